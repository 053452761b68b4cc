"""How many nodes of the Ray cluster at this address are alive, asked from one of them: alive.py HEAD:PORT."""

import logging
import sys

import ray

ray.init(sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
print(sum(node["Alive"] for node in ray.nodes()))
