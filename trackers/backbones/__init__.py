"""Backbones: the networks that families look at images with, one a module, and the weights files they read."""
