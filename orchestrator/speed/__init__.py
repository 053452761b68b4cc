"""Speed measurements, one module each: both sides in one run, in turn, medians and their ratio."""
