from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.nodes import Node, Share, place
from orchestrator.jobs import Resources

QUARTER = Resources(gpus=0.25)
HALF = Resources(gpus=0.5)
WHOLE = Resources(gpus=1.0)


def fill(node: Node, *resources: Resources) -> list[int | None]:
    """Take these of a node, one after the other: which GPU each one gets."""
    gpus = []
    for one in resources:
        share = node.share(one)
        assert share is not None
        node.shares.append(share)
        gpus.append(share.gpu)
    return gpus


def test_shares_of_gpus_fill_one_before_the_next():
    """Eight quarters fill two GPUs, four each, and a ninth does not fit."""
    node = Node("a", "a", 16, gpus=2)
    assert fill(node, *[QUARTER] * 8) == [0] * 4 + [1] * 4
    assert node.share(QUARTER) is None


def test_a_share_is_of_one_gpu():
    """What is left of two GPUs together is no room for a job that needs it of one."""
    node = Node("a", "a", 16, gpus=2)
    assert fill(node, Resources(gpus=0.6), Resources(gpus=0.6)) == [0, 1]
    assert node.share(HALF) is None
    assert fill(node, Resources(gpus=0.4)) == [0]


def test_whole_gpus_are_left_whole():
    """A job that takes a whole GPU gets one of which nobody has a share, and the shares of others stay off it."""
    node = Node("a", "a", 16, gpus=2)
    fill(node, WHOLE, HALF, HALF)
    assert node.share(QUARTER) is None
    other = Node("b", "b", 16, gpus=2)
    fill(other, HALF)
    assert other.share(Resources(gpus=2.0)) is None
    assert other.share(WHOLE) is not None


def test_memory_is_shared_out_but_never_bars_a_node_that_is_empty():
    """Two jobs that need 6 GB each are not together on a node of 10; one that needs 20 runs there alone."""
    node = Node("a", "a", 16, memory=10e9)
    fill(node, Resources(memory=6 * 10**9))
    assert node.share(Resources(memory=6 * 10**9)) is None
    assert node.share(Resources(memory=4 * 10**9)) is not None
    assert Node("b", "b", 16, memory=10e9).share(Resources(memory=20 * 10**9)) is not None


def test_who_must_be_alone_is():
    """A job that must run alone waits for an empty node, and nothing starts beside it."""
    alone = Resources(alone=True)
    node = Node("a", "a", 16)
    fill(node, Resources())
    assert node.share(alone) is None
    empty = Node("b", "b", 16)
    fill(empty, alone)
    assert empty.share(Resources()) is None


def test_idle_slots_count_as_room():
    """What an idle slot holds can be had."""
    node = Node("a", "a", 1)
    held = Share(Resources())
    node.shares.append(held)
    assert node.share(Resources()) is None
    assert place([node], Resources(), {id(held)}) == [node]
    assert node.shares == [held]


def test_the_processes_of_one_job_stand_close_together_or_not_at_all():
    """Four processes fill the emptier of two nodes before the other, and where only three fit, none is placed."""
    nodes = [Node("a", "a", 2), Node("b", "b", 3)]
    assert sorted(node.id for node in place(nodes, Resources(processes=4), set()) or ()) in (
        ["a", "a", "b", "b"],
        ["a", "b", "b", "b"],
    )
    assert place(nodes, Resources(processes=6), set()) is None
    assert all(not node.shares for node in nodes)


def test_jobs_go_where_their_inputs_are():
    """Of the nodes that have room, one that was sent a job's inputs is taken before an emptier one."""
    nodes = [Node("a", "a", 4), Node("b", "b", 4, warm={"data"})]
    fill(nodes[1], Resources())
    assert place(nodes, Resources(), set(), {"data"}) == [nodes[1]]
    assert place(nodes, Resources(), set(), {"other"}) == [nodes[0]]
    assert place(nodes, Resources(cpus=4), set(), {"data"}) == [nodes[0]]


@given(st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.0]), max_size=30))
def test_no_gpu_is_promised_twice(shares):
    """Whatever is asked for, in whatever order: the shares of a GPU never exceed it, nor whole ones those untouched."""
    node = Node("a", "a", 100, gpus=4)
    for gpus in shares:
        share = node.share(Resources(gpus=gpus))
        if share is not None:
            node.shares.append(share)
    used = [sum(s.resources.gpus for s in node.shares if s.gpu == gpu) for gpu in range(4)]
    whole = sum(s.resources.gpus for s in node.shares if s.gpu is None)
    assert all(one <= 1 + 1e-6 for one in used)
    assert whole <= sum(one < 1e-9 for one in used)
