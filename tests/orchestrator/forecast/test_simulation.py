from __future__ import annotations

import random
import time

import pytest

from orchestrator import conduct
from orchestrator.executor import Executor, InProcess, Observer, Settings
from orchestrator.forecast.durations import expected
from orchestrator.forecast.simulation import Node, Overheads, Schedule, graph, simulate
from orchestrator.jobs import Job, Resources
from orchestrator.store import Store

ONE, TWO = Node("one", 1), Node("two", 2)


def job(label: str, *needs: Job, **resources: object) -> Job:
    return Job("train", label, {"label": label}, {n.label: n for n in needs}, resources=Resources(**resources))


def play(
    seconds: list[tuple[Job, float]], *nodes: Node, **how: object
) -> tuple[Schedule, dict[str, tuple[float, float]]]:
    """The schedule, and (start, end) by label."""
    planned = graph([one for one, _ in seconds], {one.key: took for one, took in seconds})
    played = simulate(planned, nodes, **how)
    spans = zip(played.starts, played.ends, strict=True)
    return played, {one.label: span for one, span in zip(planned.jobs, spans, strict=True)}


def test_a_chain_takes_the_sum_of_its_jobs():
    """Jobs that need each other run one after the other, however many cores there are."""
    a = job("a")
    played, spans = play([(a, 3), (job("b", a), 4)], TWO)
    assert played.makespan == 7
    assert spans == {"a": (0, 3), "b": (3, 7)}
    assert played.cpu_seconds == 7


def test_of_a_fork_the_longest_way_starts_first():
    """After the stem, the longest branch starts first and the short ones share the other core."""
    stem = job("stem")
    _, spans = play([(stem, 1), (job("long", stem), 5), (job("c", stem), 2), (job("d", stem), 2)], TWO)
    assert spans["long"] == (1, 6)
    assert sorted([spans["c"], spans["d"]]) == [(1, 3), (3, 5)]


def test_nothing_runs_beside_a_job_that_is_alone():
    """A job that must run alone waits until nothing runs, and nothing starts until it ends."""
    _, spans = play([(job("long"), 4), (job("alone", alone=True), 3), (job("short"), 1)], TWO)
    assert spans == {"long": (0, 4), "short": (0, 1), "alone": (4, 7)}
    _, spans = play([(job("alone", alone=True), 3), (job("x"), 2), (job("y"), 1)], TWO)
    assert spans == {"alone": (0, 3), "x": (3, 5), "y": (3, 4)}


def test_who_is_alone_is_so_on_its_node():
    """What must run alone leaves other nodes to others: two such jobs run at once on two nodes."""
    _, spans = play([(job("alone", alone=True), 3), (job("also", alone=True), 3), (job("x"), 1)], ONE, TWO)
    assert spans == {"alone": (0, 3), "also": (0, 3), "x": (3, 4)}


def test_a_node_of_twice_the_pace_takes_half_the_time():
    """The fastest free node takes the longest job, in seconds divided by its pace."""
    played, spans = play([(job("a"), 8), (job("b"), 4), (job("c"), 2)], Node("slow", 1), Node("fast", 1, pace=2))
    assert spans == {"a": (0, 4), "b": (0, 4), "c": (4, 5)}
    assert played.nodes == ["fast", "slow", "fast"]


@pytest.mark.parametrize(("share", "gpus", "makespan"), [(0.5, 1, 4), (0.25, 1, 2), (0.6, 2, 4), (1, 2, 4), (2, 2, 6)])
def test_shares_of_a_gpu_are_of_one_gpu(share, gpus, makespan):
    """Three jobs of 2 s run at once as far as each has its share of one GPU, or its whole GPUs: 0.6 and 0.6 do not."""
    jobs = [(job(name, gpus=share), 2.0) for name in "abc"]
    played, _ = play(jobs, Node("gpus", 8, gpus))
    assert played.makespan == makespan
    assert played.gpu_seconds == pytest.approx(6 * share)


def test_several_processes_of_a_job_run_at_once_on_several_nodes():
    """A job of two processes waits for room for both, holds both, and goes at the pace of the slower."""
    both = job("both", processes=2, gpus=1.0)
    _, spans = play([(job("one", gpus=1.0), 9), (both, 4)], Node("a", 1, 1), Node("b", 1, 1, pace=0.5), workers=1)
    assert spans == {"one": (0, 9), "both": (9, 17)}


def test_declared_memory_is_room_like_any_other():
    """Two jobs that take more than half of a node's memory do not run there at once."""
    jobs = [(job("a", memory=6), 1.0), (job("b", memory=6), 1.0)]
    assert play(jobs, Node("n", 4, memory=10))[0].makespan == 2
    assert play(jobs, Node("n", 4, memory=12))[0].makespan == 1


def test_a_job_of_more_memory_than_a_node_has_runs_there_alone():
    """As the executor does: what needs more memory than any node has is let in where nothing else runs."""
    jobs = [(job("big", memory=30), 2.0), (job("a", memory=1), 1.0), (job("b", memory=1), 1.0)]
    assert play(jobs, Node("n", 4, memory=10))[1] == {"big": (0, 2), "a": (2, 3), "b": (2, 3)}


def test_overheads_are_counted_where_they_arise():
    """The start counts once, a worker once, and each job its own: 5 + 6 + (1 + 0.5) + (1 + 0.5)."""
    assert play([(job("a"), 1), (job("b"), 1)], ONE, overheads=Overheads(5, 6, 0.5))[0].makespan == 14


def test_workers_limit_the_jobs_at_once():
    """With one worker on two cores two jobs run one after the other."""
    assert play([(job("a"), 1), (job("b"), 1)], TWO, workers=1)[0].makespan == 2


def test_what_no_node_has_room_for_is_refused():
    """A job that needs a GPU where there is none is named, with what there is."""
    with pytest.raises(ValueError, match=r"big: expected nodes with room for 1 x .1 CPUs, 1 GPUs., got 2 CPUs"):
        play([(job("big", gpus=1.0), 1)], TWO)


def test_what_is_done_is_not_waited_for():
    """A need that is not among the jobs counts as done."""
    assert play([(job("b", job("a")), 2)], ONE)[0].makespan == 2


def test_memory_at_the_peak_is_of_what_runs_at_once():
    """Of jobs of 5, 3 and 1 bytes on two cores the peak is 8."""
    jobs = [job("a"), job("b"), job("c")]
    seconds, memory = ({one.key: n for one, n in zip(jobs, row, strict=True)} for row in ((3, 2, 1), (5, 3, 1)))
    planned = graph(jobs, seconds, memory)
    assert simulate(planned, [TWO]).memory == 8


@pytest.mark.parametrize("seed", range(20))
def test_no_schedule_beats_its_bounds(seed):
    """Never below the longest chain or work / cores; no more cores held than there are; needs before users."""
    rng = random.Random(seed)
    jobs: list[Job] = []
    for number in range(60):
        needs = rng.sample(jobs, min(len(jobs), rng.randrange(3)))
        jobs.append(job(str(number), *needs, cpus=rng.choice([1, 1, 2]), alone=rng.random() < 0.05))
    nodes = [Node(str(n), rng.choice([2, 4])) for n in range(rng.randrange(1, 4))]
    seconds = {one.key: rng.uniform(0.1, 9) for one in jobs}
    planned = graph(jobs, seconds)
    played = simulate(planned, nodes)
    cores = sum(node.cpus for node in nodes)
    held = sum(seconds[one.key] * one.resources.cpus for one in jobs)
    assert played.makespan >= max(planned.bound, held / cores) - 1e-9
    for i, own in enumerate(planned.needs):
        assert all(played.ends[need] <= played.starts[i] for need in own)
        running = [k for k in range(len(jobs)) if played.starts[k] <= played.starts[i] < played.ends[k]]
        assert sum(planned.jobs[k].resources.cpus for k in running) <= cores
        beside = [k for k in running if played.nodes[k] == played.nodes[i]]
        assert len(beside) == 1 or not any(planned.jobs[k].resources.alone for k in beside)


def test_jobs_start_in_the_order_in_which_the_executor_starts_them(project):
    """One at a time, the toy study's jobs are begun by the real executor in the simulated order."""
    store = Store(project.paths.store)
    prospect = conduct.look(project.options(), project.paths, store)
    costs = expected(prospect.todo, store)
    planned = graph(prospect.todo, costs)
    played = simulate(planned, [ONE])
    order = [label for _, label in sorted(zip(played.starts, (one.label for one in planned.jobs), strict=True))]
    begun: list[str] = []

    class Seen(Observer):
        def started(self, job: Job, where: str) -> None:
            begun.append(job.label)

    Executor(store, InProcess(), [Seen()], project.paths.logs, Settings()).run(prospect.todo, costs, {})
    assert begun == order


@pytest.mark.slow
def test_a_hundred_thousand_jobs_are_played_in_under_five_seconds():
    """One simulation of 100,000 jobs on 128 nodes takes less than 5 s."""
    seconds = {}
    jobs = []
    for number in range(50_000):
        first = Job("train", f"a {number}", {"n": number}, resources=Resources(1, 0.5))
        jobs += [first, Job("track", f"b {number}", {"n": number}, {"weights": first})]
        seconds |= {first.key: 1.0 + number % 97, jobs[-1].key: 1.0}
    planned = graph(jobs, seconds)
    since = time.process_time()
    simulate(planned, [Node(str(n), 8, 8) for n in range(128)], Overheads(5, 6, 0.01))
    assert time.process_time() - since < 5
