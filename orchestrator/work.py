"""What jobs do, on whatever machine they land: train, extract features, track, score, measure speed.

Each is a function of its arguments and inputs alone, and writes its result into one folder. It
runs in the driver's process or in a Ray worker, and knows of neither.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import lineage, params, score_files
from orchestrator.album import Album
from orchestrator.groups import grouped
from orchestrator.jobs import Data
from orchestrator.learnt import LearntFrom
from orchestrator.parts import names_in
from trackers import extractors, families, features
from trackers.benchmarks.collection import Collection
from trackers.evaluation import archive, missed
from trackers.evaluation.clips import clip
from trackers.evaluation.curves import CURVES
from trackers.evaluation.lanes import follow
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.protocols import PROTOCOLS, image_size, random_clips, read, supervised_reset
from trackers.evaluation.results import ALL, gather
from trackers.evaluation.scores import Score
from trackers.evaluation.speed import measure_speed
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.extractors import Extractor, Remembering
from trackers.features import Features
from trackers.sequence import Sequence, Unseen
from trackers.tracker import Tracker
from trackers.training import Inputs

if TYPE_CHECKING:
    import torch

SHORTER = "shorter"  # the role of a training that a job goes on with
AT_ONCE = 16  # frames that an extractor looks at in one batch
PAUSES = 20  # how many times as long as keeping a checkpoint takes, at least, no other is kept
SPEED_SEQUENCES = 5  # of a benchmark, by which a tracker's speed is measured

# emit("progress", done, total), emit("metric", name, value, step, ms), emit("checkpoint", step, bytes)
Emit = Callable[..., None]


class CodeChangedError(RuntimeError):
    """A result would have been kept under the key of other code."""


@dataclass(frozen=True)
class Task:
    """One attempt at a job, with all that a worker needs. None of the runtime settings change the result.

    inputs: results of other jobs, by role. data: raw data, by name. code: the job's fingerprint of the
    code. checkpoint: what to go on from. lanes: how many videos at once. rank, ranks: which of how many processes
    that do the task together this is; meeting: where they meet, a URL of torch.distributed. key: the job's.
    """

    kind: str
    label: str
    arguments: Mapping[str, Any]
    inputs: Mapping[str, Data]
    data: Mapping[str, Data]
    code: Mapping[str, str]
    checkpoint: bytes | None = None
    device: str = "cpu"
    threads: int = 1
    lanes: int = 32
    checkpoint_seconds: float = 20.0
    rank: int = 0
    ranks: int = 1
    meeting: str = ""
    key: str = ""


def run(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """Do the job; its files go to `output`. Returns facts worth remembering that are no result.

    Raises CodeChangedError where the code here is not that for which the job was planned.
    """
    here = lineage.fingerprint(task.code)
    changed = sorted(module for module in {**here, **task.code} if here.get(module) != task.code.get(module))
    if changed:
        raise CodeChangedError(f"the code of {', '.join(changed)} changed since the run began: run it again")
    if task.kind == "nothing":  # by which the executors themselves are measured
        return {}
    if task.kind == "score":  # needs no torch
        return score(task, output)
    use_threads(task.threads)
    if task.kind == "speed":
        return speed(task, output)
    return {"train": train, "extract": extract, "track": track}[task.kind](task, output, emit)


def use_threads(number: int) -> None:
    """Limit torch and OpenCV to so many CPU threads: two each on a loaded machine cost up to ten times."""
    import cv2
    import torch

    torch.set_num_threads(number)
    cv2.setNumThreads(number)


@dataclass
class JobReporter:
    """A step's reporter: passes everything on, and decides when a checkpoint is due.

    One is due `checkpoint_seconds` after the last (0: after every step), or later: 20 times as long as that took to
    keep, so that large ones take no more than about 5% of the time. Of several processes that train together the first
    alone says anything, and keeps any.
    """

    task: Task
    emit: Emit
    start: Path | None = None  # where the state lies from which a longer training of the same step goes on
    due: float = dataclasses.field(init=False)  # on the monotonic clock
    last: Callable[[], dict[str, Any]] | None = None  # the state as it is now

    def __post_init__(self) -> None:
        self.due = math.inf if self.task.rank else time.monotonic() + self.task.checkpoint_seconds

    def progress(self, done: int, total: int) -> None:
        if not self.task.rank:
            self.emit("progress", done, total)

    def metric(self, name: str, value: float, step: int) -> None:
        if not self.task.rank:
            self.emit("metric", name, float(value), step, int(time.time() * 1000))

    def checkpoint(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        self.last = state
        began = time.monotonic()
        if began < self.due:
            return
        import torch

        buffer = io.BytesIO()
        torch.save(state(), buffer)
        self.emit("checkpoint", step, buffer.getvalue())  # the buffer's own bytes, no copy
        ended, pause = time.monotonic(), self.task.checkpoint_seconds
        self.due = ended + (max(pause, PAUSES * (ended - began)) if pause else 0.0)

    def resume(self) -> dict[str, Any] | None:
        import torch

        source = self.start if self.task.checkpoint is None else io.BytesIO(self.task.checkpoint)
        if source is None:
            return None
        state = torch.load(source, map_location="cpu", weights_only=True)
        if self.task.arguments.get("goes_on"):
            self.last = lambda: state  # no update may be left to do
        return state


def train(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """One step of a family's training, or of an extractor's -> weights.pt, a flat state_dict; learnt_from.json.

    With the argument "goes_on" the state at the end is written, too: state.pt. The role SHORTER among the inputs is
    such a training of the same step, at whose end this one begins. Of several processes the first alone writes.
    """
    import torch

    from trackers import parallel

    kind = task.arguments.get("kind")
    module = families.find(task.arguments["family"]) if kind is None else extractors.find(kind)
    config: Any = params.build(module.Config, task.arguments["settings"])
    steps = {step.name: step for step in module.steps(config)}
    step = steps[task.arguments["step"]]
    inputs = Inputs(
        data={role: open_data(task, dataset) for role, dataset in task.arguments["train"].items()},
        seed=task.arguments["seed"],
        device=task.device,
        weights={role: load_weights(result.path) for role, result in task.inputs.items() if role != SHORTER},
        files={path: _file(task.data[path].path) for path in step.files},
        features={
            role: Features(task.data[dataset["features"]].path)
            for role, dataset in task.arguments["train"].items()
            if "features" in dataset
        },
    )
    shorter = task.inputs.get(SHORTER)
    start = None if shorter is None or not (shorter.path / "state.pt").exists() else shorter.path / "state.pt"
    reporter = JobReporter(task, emit, start)
    together = parallel.joined(task.rank, task.ranks, task.meeting, task.device) if task.ranks > 1 else nullcontext()
    with together:
        weights = step.run(inputs, config, reporter)
    if task.rank:
        return {}
    if task.arguments.get("goes_on") and reporter.last is not None:
        torch.save(reporter.last(), output / "state.pt")
    torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, output / "weights.pt")
    read = {role: frozenset(_names(opened)) for role, opened in inputs.data.items()}
    LearntFrom.step(
        [{task.data[task.arguments["train"][role]["name"]].digest: names} for role, names in read.items()],
        [LearntFrom.read(result.path) for result in task.inputs.values()],
        step.prepares,
    ).write(output)
    return {"parameters": sum(tensor.numel() for tensor in weights.values())}


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights that a training job published, on the CPU; read from the file as they are looked at."""
    import torch

    return torch.load(folder / "weights.pt", map_location="cpu", mmap=True, weights_only=True)


def _file(path: Path) -> Path:
    """A file that travels between machines does so in a folder of its own."""
    return next(path.iterdir()) if path.is_dir() else path


def extract(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """What an extractor sees in each frame of one sequence -> part.npz, a `trackers.features.Part`."""
    see = _extractor(task)
    dataset, name = task.arguments["dataset"], task.arguments["sequence"]
    [sequence] = open_data(task, dataset).select([name])

    def looked_at() -> Iterator[tuple[np.ndarray, features.Seen]]:
        for start in range(0, len(sequence), AT_ONCE):
            images = [read(sequence, t) for t in range(start, min(start + AT_ONCE, len(sequence)))]
            yield from zip(images, see(images), strict=True)
            emit("progress", start + len(images), len(sequence))

    features.part(name, looked_at()).save(output / "part.npz")
    return {"frames": len(sequence)}


def track(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """One tracker through one benchmark -> trajectories.npz, and pictures.npz of some of its sequences."""
    tracker = make_tracker(task)
    benchmark = open_data(task, task.arguments["test"])
    _assert_unseen(task, benchmark)
    album = Album(**task.arguments["pictures"])
    sequences: list[Sequence] = []
    trajectories: list[Trajectory] = []
    ended: set[str] = set()
    protocol = PROTOCOLS[task.arguments["protocol"]]
    if "clips" in task.arguments:
        protocol = partial(random_clips, clips=task.arguments["clips"])
    if "repetitions" in task.arguments:
        protocol = partial(supervised_reset, repetitions=task.arguments["repetitions"])
    playing = follow(
        tracker,
        protocol,
        _remembered(benchmark, sequences),
        task.lanes,
        album.look,
        task.arguments["seed"],
        soft=task.arguments.get("soft", False),
    )
    started = time.perf_counter()
    for trajectory in playing:
        trajectories.append(trajectory)
        ended.add(trajectory.sequence)
        emit("progress", len(ended), len(benchmark))
    seconds = time.perf_counter() - started
    trajectories.sort(key=lambda t: (t.sequence, t.run))  # they end in an order that depends on the lanes
    archive.save(output / "trajectories.npz", sequences, trajectories)
    album.save(output / "pictures.npz", trajectories)
    return {"frames": sum(int((t.events != Event.SKIPPED).sum()) for t in trajectories), "tracking_seconds": seconds}


def _assert_unseen(task: Task, benchmark: Any) -> None:
    """ValueError where a fold would test a sequence that the tracker, or what it sees through, learnt from.

    Outside of folds that may be meant.
    """
    test = task.arguments["test"]
    if "part" not in test:
        return
    models = [result.path for result in task.inputs.values()]
    if "extractor" in task.arguments:
        models.append(task.data[task.arguments["extractor"]["weights"]].path)
    for folder in models:
        try:
            LearntFrom.read(folder).refuse(task.data[test["name"]].digest, _names(benchmark))
        except ValueError as error:
            raise ValueError(f"data set {test['name']}, fold {test['part']['fold']}: {error}") from error


def _remembered(benchmark: Iterable[Sequence], sequences: list[Sequence]) -> Iterator[Sequence]:
    """The benchmark's sequences; those that were asked for are kept, their images as no more than a size."""
    for sequence in benchmark:
        sequences.append(replace(sequence, frames=Unseen(len(sequence)), size=image_size(sequence)))
        yield sequence


def score(task: Task, output: Path) -> dict[str, Any]:
    """Judge trajectories -> scores.json, one value a sequence, and terms.npz, of which scores are pooled.

    The curves that the measures are taken from are kept, too, of whole sequences and data sets.
    """
    found: list[Score] = []
    curves: list[Score] = []
    for protocol, data in sorted(task.inputs.items()):
        sequences, trajectories = archive.load(data.path / "trajectories.npz")
        interval, legacy = task.arguments["interval"], task.arguments["legacy_rasterization"]
        results = replace(
            gather(sequences, trajectories, protocol),
            interval=interval and (interval[0], interval[1]),
            legacy_rasterization=legacy,
            partial=interval is not None and task.arguments["partial"],
        )
        tags = sorted({tag for sequence in sequences for tag in sequence.tags})
        lengths = (task.arguments["lengths"] or [None]) if protocol == "one_pass" else [None]
        convention = task.arguments["convention"]
        measures = [name for name in task.arguments["measures"] if protocol in MEASURES[name].protocols_of(convention)]
        for name in measures:
            found += [
                MEASURES[name](results, convention, subset, length) for length in lengths for subset in (ALL, *tags)
            ]
        if None in lengths:
            curves += [curve(results, convention) for curve in CURVES.values() if curve.belongs(measures, protocol)]
    attributes = {attribute for sequence in sequences for attribute in sequence.attributes}
    members = {a: [sequence.name for sequence in sequences if a in sequence.attributes] for a in attributes}
    score_files.write(output, sorted(sequence.name for sequence in sequences), members, found, curves)
    return {}


def speed(task: Task, output: Path) -> dict[str, Any]:
    """One video at a time through the first sequences of a benchmark, alone on its node -> speed.json."""
    benchmark = itertools.islice(open_data(task, task.arguments["test"]), SPEED_SEQUENCES)
    measured = measure_speed(make_tracker(task), PROTOCOLS["one_pass"], benchmark)
    (output / "speed.json").write_text(json.dumps(dataclasses.asdict(measured)))
    return {}


def make_tracker(task: Task) -> Tracker:
    """The task's tracker, with the weights that were trained for it, and what it sees through."""
    family = families.find(task.arguments["family"])
    config: Any = params.build(family.Config, task.arguments["settings"])
    weights = load_weights(task.inputs["weights"].path) if "weights" in task.inputs else {}
    if "extractor" not in task.arguments:
        return family.tracker(config, weights, task.device)
    cache = task.arguments["test"].get("features")
    see = Remembering(lambda: _extractor(task), None if cache is None else Features(task.data[cache].path))
    return family.tracker(config, weights, task.device, see)


def _extractor(task: Task) -> Extractor:
    given = task.arguments["extractor"]
    learnt = task.data[given["weights"]]
    return _warm(given["kind"], json.dumps(given["settings"]), learnt.path, learnt.digest, task.device)


@lru_cache(maxsize=1)
def _warm(kind: str, settings: str, path: Path, digest: str, device: str) -> Extractor:
    """An extractor is kept for the next sequence: it may take seconds to load. digest: of what is at `path`."""
    return load_extractor(kind, json.loads(settings), path, device)


def load_extractor(kind: str, settings: Mapping[str, Any], folder: Path, device: str) -> Extractor:
    """The extractor of this kind, with the weights in a folder."""
    network = extractors.find(kind)
    return network.extractor(params.build(network.Config, settings), load_weights(folder), device)


def open_data(task: Task, dataset: Mapping[str, Any]) -> Any:
    """The data set of an argument {"name", "format", "settings", ...}, from its folder.

    clip: where given, how long every sequence is made. groups: where given, the sequences of each, which
    becomes their attribute. part: where given, the sequences tested in one fold, or (side "train") all others, of
    folds drawn over the names in the data set of the settings `drawn_over`, or in itself.
    features: where given, what an extractor saw in it: frames in which it missed the target are tagged.
    """
    module = params.dataset_module(dataset["format"])
    config, path = params.build(module.Config, dataset["settings"]), task.data[dataset["name"]].path
    opened = module.open(config, path, dataset["name"])
    if not {"clip", "groups", "part", "features"} & dataset.keys():
        return opened
    if not isinstance(opened, Collection):
        raise ValueError(
            f"data set {dataset['name']}: expected sequences to clip, group, split or see in, got generated ones"
        )
    opened = grouped(opened, dataset.get("groups", {}))
    if "part" in dataset:
        drawn = dataset["part"].get("drawn_over")
        over = opened if drawn is None else module.open(params.build(module.Config, drawn), path, dataset["name"])
        opened = opened.select(names_in(dataset["part"], _names(opened), _names(over)))
    if "features" in dataset:
        cache = Features(task.data[dataset["features"]].path)
        opened = replace(opened, sequences=tuple(missed.tagged(sequence, cache) for sequence in opened))
    if "clip" in dataset:
        opened = replace(opened, sequences=tuple(clip(sequence, dataset["clip"]) for sequence in opened))
    return opened


def _names(opened: Any) -> list[str]:
    """Of the sequences of a data set; generated ones have none that last."""
    return [sequence.name for sequence in opened] if isinstance(opened, Collection) else []
