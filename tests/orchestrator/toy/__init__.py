"""A whole study in miniature, outside the package: data, a family that trains, and a tracker of two methods."""
