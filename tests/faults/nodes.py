"""A Ray cluster of its own, in one process tree: reads "add" and "end", answers each with a process id or "done"."""

import sys

from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": int(sys.argv[1]), "include_dashboard": False})
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "add":
        node = cluster.add_node(num_cpus=1)
        print(node.all_processes["raylet"][0].process.pid, flush=True)
    else:
        break
cluster.shutdown()
print("done", flush=True)
