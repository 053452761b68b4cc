"""Readers: one module per on-disk format or generated data set; each has `Config` and `open`."""
