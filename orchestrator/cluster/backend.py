"""The Ray backend: long-lived actor slots, one job at a time each.

Ray's own retries are off: the driver sees every death and decides (`orchestrator.executor`). The driver
keeps book of the nodes and says on which one a slot starts, so that what is asked for by a job is never
waiting unseen in Ray's queue. A slot has a second thread, by which it is asked, while it works, for
progress, checkpoints and what it printed. Nothing depends on a shared file system: where a node does not
see the store's folder, inputs travel by content hash, in chunks, from the driver's shelf (or through the depot that
TRACKMEET_DEPOT names) into a bounded cache on the node, and results come back to the driver.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.cluster.connection import connect, described
from orchestrator.cluster.nodes import Node, Share, place
from orchestrator.cluster.slot import Said, Shelf, Slot
from orchestrator.depot import Depot
from orchestrator.executor import Event
from orchestrator.gang import GRACE, cause, follows
from orchestrator.jobs import Resources
from orchestrator.work import Task

POLL_SECONDS = 0.5
LOOK_SECONDS = 2.0  # between looks at which nodes there are
PLACE_SECONDS = 60.0  # in which a slot comes up, or is given up; twice as many each time on a node where none did
LONGEST_PLACE = 240.0
RETURN_SECONDS = 120.0  # in which a job waits for a node to come back that alone could take it
SUSPECT_SECONDS = 30.0  # for which a node on which a slot died is the last choice: it may be gone, and not yet known


@dataclass(eq=False)
class _Held:
    """The driver's side of a slot. job: what it works on; None if idle. Until it has answered `ping` it is not up."""

    actor: Any
    node: Node
    share: Share
    ping: ray.ObjectRef
    born: float
    up: bool = False
    shared: bool = False
    job: _Work | None = None
    run: ray.ObjectRef | None = None
    poll: ray.ObjectRef | None = None
    next_poll: float = 0.0
    heard: int = 0  # events, over the life of the slot

    @property
    def shape(self) -> tuple[int, float]:
        """What an idle slot must have in common with a job to be used for it: what Ray was told of it."""
        return self.share.resources.cpus, self.share.resources.gpus


@dataclass(eq=False)
class _Work:
    """A running job and its slots, one a process; the first of them tells what becomes of it."""

    key: str
    task: Task
    slots: list[_Held]
    ended: dict[int, tuple[Any, ...]] = field(default_factory=dict)  # what each ended with, by its rank
    until: float | None = None  # when one failed only as another was gone: until when that may say why


class Cluster:
    """A Ray cluster as a backend: the one that RAY_ADDRESS names, else one of this machine's own.

    workers: how many jobs at once (default: as many as fit). share: False ships every input, even
    to nodes that could read the driver's files.
    """

    def __init__(self, marker: Path, workers: int | None = None, share: bool = True) -> None:
        connect(workers)
        self.workers = workers
        self._marker, self._token = marker.resolve(), uuid.uuid4().hex if share else ""
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(self._token)
        self._nodes: dict[str, Node] = {}
        self._paces: dict[str, float] = {}
        self._looked = -LOOK_SECONDS
        self._suspects: dict[str, float] = {}  # until when, by node
        self._blind: set[str] = set()  # ids of nodes that see the store's folder, but not all inputs
        self._possible: dict[Resources, float] = {}  # when there last were nodes for such a job
        self._patience: dict[str, float] = {}  # seconds for which a slot is waited for, by node
        self._slots: list[_Held] = []
        self._work: dict[str, _Work] = {}
        self._news: list[Event] = []  # what `wait` has to say first
        self._shelf: Any = None
        self._shelved: set[str] = set()
        depot = os.environ.get("TRACKMEET_DEPOT")
        self._depot = Depot(depot) if depot else None
        self._path = [str(Path.cwd()), *(entry for entry in sys.path if entry and "site-packages" not in entry)]

    # Backend.

    def room(self, resources: Resources, avoid: frozenset[str]) -> bool:
        nodes = self._look()
        if not _could(nodes, resources):
            if time.monotonic() - self._possible.get(resources, -RETURN_SECONDS) < RETURN_SECONDS:
                return False  # a node is gone, and may come back
            every = f"{resources.processes} times " if resources.processes > 1 else ""
            raise ValueError(f"no nodes of the cluster have {every}{resources.cpus} CPUs and {resources.gpus:g} GPUs")
        self._possible[resources] = time.monotonic()
        if self.workers is not None and len(self._work) >= self.workers:
            return False
        return self._choose(resources, avoid) is not None

    def elsewhere(self, resources: Resources, avoid: frozenset[str]) -> bool:
        return _could([node for node in self._look() if node.name not in avoid], resources)

    def start(self, key: str, task: Task, resources: Resources, avoid: frozenset[str]) -> None:
        inputs = {one.digest for one in (*task.inputs.values(), *task.data.values())}
        chosen = self._choose(resources, avoid, inputs)
        if chosen is None:  # a node went away since there was room
            self._news.append(Event(key, "unplaced", ("the node that had room for it is gone",)))
            return
        job = _Work(key, task, [])
        for node in chosen:
            slot = self._idle(node, resources) or self._create(node, resources)
            slot.job = job
            job.slots.append(slot)
        self._work[key] = job
        if all(slot.up for slot in job.slots):
            self._submit(job, self._news.append)

    def wait(self, timeout: float, take: Callable[[Event], None]) -> None:
        while self._news:
            take(self._news.pop(0))
        now = time.monotonic()
        waiting: dict[ray.ObjectRef, _Held] = {}
        for slot in self._slots:
            if slot.job is None:
                continue
            if slot.run is not None and slot.poll is None and now >= slot.next_poll:
                slot.poll = slot.actor.poll.remote(slot.heard)
            for ref in (slot.run if slot.up else slot.ping, slot.poll):
                if ref is not None:
                    waiting[ref] = slot
        if not waiting:
            time.sleep(min(timeout, 0.05))
            return
        refs = list(waiting)
        ready, _ = ray.wait(refs, num_returns=1, timeout=min(timeout, POLL_SECONDS))
        if ready and len(refs) > 1:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            slot = waiting[ref]
            if slot not in self._slots or slot.job is None:
                continue
            if ref == slot.poll:
                self._hear(slot, take)
            elif ref == slot.ping and not slot.up:
                self._arrive(slot, take)
            elif ref == slot.run:
                self._end(slot, take)
        self._watch(take)

    def kill(self, key: str) -> None:
        self._news = [event for event in self._news if event.key != key]
        if key in self._work:  # else it has ended, and nobody was told yet
            self._drop(self._work.pop(key))

    def close(self) -> None:
        for slot in list(self._slots):
            self._kill(slot)
        if self._shelf is not None:
            ray.kill(self._shelf)
        self._marker.unlink(missing_ok=True)
        ray.shutdown()

    # Nodes.

    def _look(self) -> list[Node]:
        """The nodes that there are now; slots on those that are gone are forgotten, unless a job waits to be told."""
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            alive = {row["NodeID"]: row for row in ray.nodes() if row["Alive"]}
            hosts = [row["NodeManagerHostname"] for row in alive.values()]
            for id, row in alive.items():
                if id not in self._nodes:
                    self._nodes[id] = described(row, alone=hosts.count(row["NodeManagerHostname"]) == 1)
            for id in self._nodes.keys() - alive.keys():
                del self._nodes[id]
            for slot in [slot for slot in self._slots if slot.job is None and slot.node.id not in alive]:
                self._kill(slot)
        return list(self._nodes.values())

    def _choose(self, resources: Resources, avoid: frozenset[str], inputs: Collection[str] = ()) -> list[Node] | None:
        """A node for each process of such a job, those that are suspect last; None where there is no room."""
        now = time.monotonic()
        open_ones = [node for node in self._look() if node.name not in avoid]
        sound = [node for node in open_ones if self._suspects.get(node.id, 0.0) <= now]
        idle = {id(slot.share) for slot in self._slots if slot.job is None}
        return place(sound or open_ones, resources, idle, inputs)

    def _idle(self, node: Node, resources: Resources) -> _Held | None:
        """A slot of this node that is warm and free: it takes what this job takes from now on."""
        shape = resources.cpus, resources.gpus
        for slot in self._slots:
            if slot.job is None and slot.node is node and slot.shape == shape:
                slot.share.resources = resources
                return slot
        return None

    def _create(self, node: Node, resources: Resources) -> _Held:
        idle = [slot for slot in self._slots if slot.job is None and slot.node is node]
        while (share := node.share(resources)) is None and idle:
            self._kill(idle.pop(0))  # of another shape
        share = share or Share(resources)
        node.shares.append(share)
        actor = (
            ray.remote(Slot)
            .options(
                num_cpus=resources.cpus,
                num_gpus=resources.gpus,
                max_concurrency=2,  # the second thread answers `ping` and `poll` while the first works
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote(self._path, resources.gpus)
        )
        measure = node.name not in self._paces
        if measure:
            self._paces[node.name] = 0.0
        slot = _Held(actor, node, share, actor.ping.remote(self._marker, self._token, measure), time.monotonic())
        self._slots.append(slot)
        return slot

    # A job's life.

    def _arrive(self, slot: _Held, take: Callable[[Event], None]) -> None:
        """A slot came up: now it is known whether anything has to be shipped there."""
        assert slot.job is not None
        try:
            slot.shared, pace = ray.get(slot.ping)
        except RayTaskError as error:
            self._refuse(slot, take, str(error.cause), str(error))
        except RayError as error:
            if isinstance(error, RayActorError) and error.actor_init_failed:  # the package, say, is not there
                self._refuse(slot, take, str(error).strip().splitlines()[-1], str(error))
                return
            self._suspects[slot.node.id] = time.monotonic() + SUSPECT_SECONDS
            self._lose(slot.job, take, "unplaced", str(error))
        else:
            slot.up = True
            slot.shared = slot.shared and slot.node.id not in self._blind
            if pace:
                self._paces[slot.node.name] = pace
            if all(other.up for other in slot.job.slots):
                self._submit(slot.job, take)

    def _refuse(self, slot: _Held, take: Callable[[Event], None], message: str, trace: str) -> None:
        """No slot can start on this node: an error of the node, so that the job goes to another one."""
        assert slot.job is not None
        self._suspects[slot.node.id] = time.monotonic() + SUSPECT_SECONDS
        take(Event(slot.job.key, "started", (slot.node.name,)))
        self._lose(slot.job, take, "error", f"the worker did not start: {message}", trace)

    def _submit(self, job: _Work, take: Callable[[Event], None]) -> None:
        take(Event(job.key, "started", tuple(slot.node.name for slot in job.slots)))
        try:
            meeting = ray.get(job.slots[0].actor.meet.remote(), timeout=30) if len(job.slots) > 1 else ""
            for rank, slot in enumerate(job.slots):
                inputs = () if slot.shared else (*job.task.inputs.values(), *job.task.data.values())
                remote = tuple(dict.fromkeys(one.digest for one in inputs))
                source = self._source(inputs) if remote else None
                task = replace(job.task, rank=rank, meeting=meeting) if meeting else job.task
                slot.run = slot.actor.run.remote((task, remote, source))
                slot.next_poll = time.monotonic() + POLL_SECONDS
        except Exception as error:  # of the shelf, the slot where they were to meet, or the depot's own library
            self._lose(job, self._news.append, "lost", f"it could not be handed over: {error}")

    def _source(self, inputs: tuple[Any, ...]) -> Any:
        """From where nodes get these: the depot's URL, or the actor that reads files of this node."""
        if self._shelf is None and self._depot is None:
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            self._shelf = ray.remote(Shelf).options(num_cpus=0, max_concurrency=8, scheduling_strategy=here).remote()
        new = {one.digest: one.path for one in inputs if one.digest not in self._shelved}
        if self._depot is not None:
            for digest, path in new.items():
                self._depot.put(digest, path)
        elif new:
            try:
                ray.get(self._shelf.put.remote(new))  # before any node asks for them
            except RayActorError:  # the shelf died: the next attempt gets another, with everything on it
                self._shelf = None
                self._shelved.clear()
                raise
        self._shelved |= new.keys()
        return self._shelf if self._depot is None else self._depot.url

    def _hear(self, slot: _Held, take: Callable[[Event], None]) -> None:
        assert slot.job is not None and slot.poll is not None
        with suppress(RayError):  # the run's own reference says what became of it
            self._tell(slot, ray.get(slot.poll), take)
        slot.poll, slot.next_poll = None, time.monotonic() + max(POLL_SECONDS, len(self._slots) / 200)

    def _tell(self, slot: _Held, said: Said, take: Callable[[Event], None]) -> None:
        """What is new of what a slot says of its job; of several processes of one, only the first is heard."""
        assert slot.job is not None
        first, events = said
        new, slot.heard = events[max(0, slot.heard - first) :], max(slot.heard, first + len(events))
        if slot is slot.job.slots[0]:
            for kind, *payload in new:
                take(Event(slot.job.key, kind, tuple(payload)))

    def _end(self, slot: _Held, take: Callable[[Event], None]) -> None:
        job = slot.job
        assert job is not None and slot.run is not None
        said: Said = (slot.heard, [])
        why: tuple[Any, ...] = ()
        slot.poll = None  # what it will say is said here, too
        try:
            said, last = ray.get(slot.run)
            if last[0] == "done" and isinstance(last[1], str):
                assert self._depot is not None
                last = ("done", self._depot.take_result(job.key, last[1]), last[2])
        except RayTaskError as error:
            why = ("error", f"the worker failed: {error.cause}", str(error))
        except OutOfMemoryError as error:
            why = ("memory", f"the node ran out of memory: {error}", "host")
        except RayError as error:
            if isinstance(error, RayActorError):
                self._suspects[slot.node.id] = time.monotonic() + SUSPECT_SECONDS
            why = ("lost", f"the worker died: {error}")
        except Exception as error:  # of the depot, whose library has errors of its own
            why = ("lost", f"its result did not arrive: {error}")
        self._tell(slot, said, take)  # what fails here, as on a full disk of the store, is no fault of the worker's
        if why:
            self._lose(job, take, *why)
            return
        if self._depot is not None and last[0] == "done":
            with suppress(Exception):  # it is here; what is left there only takes room
                self._depot.drop_results(job.key)
        if last[0] == "unseen":
            self._blind.add(slot.node.id)
            for other in self._slots:
                other.shared = other.shared and other.node.id not in self._blind
            self._lose(job, take, "unplaced", f"{slot.node.name} does not see {last[1]}, which will be sent there")
            return
        if last[0] == "lost":  # inputs did not arrive there, say as its disk is full: others first
            self._suspects[slot.node.id] = time.monotonic() + SUSPECT_SECONDS
        self._ended(job, slot, last, take)

    def _ended(self, job: _Work, slot: _Held, last: tuple[Any, ...], take: Callable[[Event], None]) -> None:
        """One of its processes came to an end; the job does when all have, or one failed."""
        slot.run = None
        job.ended[job.slots.index(slot)] = last
        failed = [one for one in job.ended.values() if one[0] != "done"]
        if failed and len(job.slots) > 1:
            job.until = job.until or time.monotonic() + GRACE
            if not all(map(follows, failed)) or len(job.ended) == len(job.slots):
                self._lose(job, take, *cause(failed))
            return
        if len(job.ended) < len(job.slots):
            return
        kind, *payload = job.ended[0]
        if kind == "done":
            for one in job.slots if not job.slots[0].shared else ():
                one.node.warm.update(data.digest for data in (*job.task.inputs.values(), *job.task.data.values()))
            where = job.slots[0].node.name
            payload[1] = {**payload[1], "host": where, "pace": self._paces.get(where) or 1.0}
        del self._work[job.key]
        for one in job.slots:
            one.job = None
        if kind == "memory":  # what it holds would be missing to the next one
            self._drop(job)
        take(Event(job.key, kind, tuple(payload)))

    def _watch(self, take: Callable[[Event], None]) -> None:
        """Give up what does not come: slots (somebody else may have taken what they need), and why a job failed."""
        now = time.monotonic()
        for job in list(self._work.values()):
            if job.until is not None and now > job.until:
                self._lose(job, take, *cause(one for one in job.ended.values() if one[0] != "done"))
        late = [
            slot
            for slot in self._slots
            if slot.job is not None
            and not slot.up
            and now - slot.born > self._patience.get(slot.node.id, PLACE_SECONDS)
        ]
        for id in {slot.node.id for slot in late}:
            self._patience[id] = min(2 * self._patience.get(id, PLACE_SECONDS), LONGEST_PLACE)
        for slot in late:
            if slot.job is not None and slot in self._slots:
                self._suspects[slot.node.id] = now + SUSPECT_SECONDS
                self._lose(slot.job, take, "unplaced", f"no worker came up on {slot.node.name}")

    def _lose(self, job: _Work, take: Callable[[Event], None], kind: Any, *payload: Any) -> None:
        self._work.pop(job.key, None)
        self._drop(job)
        take(Event(job.key, kind, payload))

    def _drop(self, job: _Work) -> None:
        for slot in job.slots:
            if slot in self._slots:
                self._kill(slot)

    def _kill(self, slot: _Held) -> None:
        ray.kill(slot.actor)
        self._slots.remove(slot)
        slot.node.shares = [share for share in slot.node.shares if share is not slot.share]


def _could(nodes: list[Node], resources: Resources) -> bool:
    """Whether these nodes could take all processes of such a job if nothing else ran."""
    return sum(node.most(resources) for node in nodes) >= resources.processes
