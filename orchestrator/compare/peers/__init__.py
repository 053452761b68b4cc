"""Scripts that run in the toolkits' own environment, without this project: each prints one JSON object.

python got10k_toolkit.py FOLDER REPEATS      {"seconds": [...], "values": {tracker: {measure: [...]}}}

The others differ in what they are given, and say so.
"""
