"""Data made by a program, from a seed."""
