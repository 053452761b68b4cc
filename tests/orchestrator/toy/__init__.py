"""A whole study in miniature, outside the package: data, families, an extractor, and a tracker of two methods."""
