"""The science: trackers, the data that they follow, and the measures that judge them."""
