"""What jobs do, on whatever machine they land: train, track, score.

Each is a function of its arguments and inputs alone, and writes its result into one folder. It
runs in the driver's process or in a Ray worker, and knows of neither.
"""

from __future__ import annotations

import dataclasses
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import lineage, params
from orchestrator.jobs import Data
from trackers import families
from trackers.evaluation import measures, protocols
from trackers.evaluation.lanes import Trajectory, follow
from trackers.sequence import Sequence
from trackers.tracker import Tracker
from trackers.training import Inputs

if TYPE_CHECKING:
    import torch

# emit("progress", done, total), emit("metric", name, value, step, ms), emit("checkpoint", step, bytes)
Emit = Callable[..., None]


class CodeChangedError(RuntimeError):
    """A result would have been kept under the key of other code."""


@dataclass(frozen=True)
class Task:
    """One attempt at a job, with all that a worker needs. None of the runtime settings change the result.

    inputs: results of other jobs, by role. data: raw data, by name. code: the job's fingerprint of the
    code. checkpoint: what to go on from. lanes: how many videos at once.
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


def run(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """Do the job; its files go to `output`. Returns facts worth remembering that are no result.

    Raises CodeChangedError where the code here is not that for which the job was planned.
    """
    here = lineage.fingerprint(task.code)
    changed = sorted(module for module in {**here, **task.code} if here.get(module) != task.code.get(module))
    if changed:
        raise CodeChangedError(f"the code of {', '.join(changed)} changed since the run began: run it again")
    if task.kind == "score":  # needs no torch
        return score(task, output)
    use_threads(task.threads)
    return {"train": train, "track": track}[task.kind](task, output, emit)


def use_threads(number: int) -> None:
    """Limit torch and OpenCV to so many CPU threads: two each on a loaded machine cost up to ten times."""
    import cv2
    import torch

    torch.set_num_threads(number)
    cv2.setNumThreads(number)


@dataclass
class JobReporter:
    """A step's reporter: passes everything on, and decides when a checkpoint is due."""

    task: Task
    emit: Emit
    kept: float = dataclasses.field(default_factory=time.monotonic)

    def progress(self, done: int, total: int) -> None:
        self.emit("progress", done, total)

    def metric(self, name: str, value: float, step: int) -> None:
        self.emit("metric", name, float(value), step, int(time.time() * 1000))

    def checkpoint(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        if time.monotonic() - self.kept < self.task.checkpoint_seconds:
            return
        import torch

        buffer = io.BytesIO()
        torch.save(state(), buffer)
        self.emit("checkpoint", step, buffer.getvalue())
        self.kept = time.monotonic()

    def resume(self) -> dict[str, Any] | None:
        if self.task.checkpoint is None:
            return None
        import torch

        return torch.load(io.BytesIO(self.task.checkpoint), map_location="cpu", weights_only=True)


def train(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """One step of a family's training -> weights.pt, a flat state_dict."""
    import torch

    family, config = _variant(task)
    steps = {step.name: step for step in family.steps(config)}
    step = steps[task.arguments["step"]]
    inputs = Inputs(
        data=_open(task, task.arguments["train"]),
        seed=task.arguments["seed"],
        device=task.device,
        weights={role: load_weights(result.path) for role, result in task.inputs.items()},
    )
    weights = step.run(inputs, config, JobReporter(task, emit))
    torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, output / "weights.pt")
    return {"parameters": sum(tensor.numel() for tensor in weights.values())}


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights that a training job published, on the CPU."""
    import torch

    return torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)


def track(task: Task, output: Path, emit: Emit) -> dict[str, Any]:
    """One tracker through one benchmark -> trajectories.npz, and pictures.npz of its first sequences."""
    family, config = _variant(task)
    weights = load_weights(task.inputs["weights"].path) if "weights" in task.inputs else {}
    tracker = family.tracker(config, weights, task.device)
    benchmark = _open(task, task.arguments["test"])
    protocol = getattr(protocols, task.arguments["protocol"])
    album = Album(**task.arguments["pictures"])
    trajectories: list[Trajectory] = []
    started = time.perf_counter()
    for trajectory in follow(tracker, protocol, benchmark, task.lanes, album.look):
        trajectories.append(trajectory)
        emit("progress", len(trajectories), len(benchmark))
    seconds = time.perf_counter() - started
    trajectories.sort(key=lambda t: t.sequence)  # they end in an order that depends on the lanes
    np.savez(
        output / "trajectories.npz",
        sequences=np.array([t.sequence for t in trajectories]),
        regions=np.stack([t.regions for t in trajectories]),
        groundtruth=np.stack([t.groundtruth for t in trajectories]),
    )
    album.save(output / "pictures.npz", {t.sequence: t for t in trajectories})
    return {"frames": sum(len(t.regions) for t in trajectories), "tracking_seconds": seconds}


def score(task: Task, output: Path) -> dict[str, Any]:
    """Judge trajectories -> scores.json: each measure at each length, one value a sequence."""
    with np.load(task.inputs["trajectories"].path / "trajectories.npz", allow_pickle=False) as stored:
        regions, groundtruth, sequences = stored["regions"], stored["groundtruth"], stored["sequences"]
    scores = [
        {
            "measure": name,
            "protocol": task.arguments["protocol"],
            "length": length,
            "values": measures.MEASURES[name](regions[:, :length], groundtruth[:, :length]).tolist(),
        }
        for name in task.arguments["measures"]
        for length in task.arguments["lengths"] or [regions.shape[1]]
    ]
    (output / "scores.json").write_text(json.dumps({"sequences": sequences.tolist(), "scores": scores}))
    return {}


@dataclass
class Album:
    """Frames, boxes and attention of the first sequences of a benchmark, for the report's pictures.

    sequences: how many. frames: the numbers of the frames that are kept of each.
    """

    sequences: int
    frames: list[int]
    images: dict[tuple[str, int], np.ndarray] = dataclasses.field(default_factory=dict)
    masks: dict[tuple[str, int], np.ndarray] = dataclasses.field(default_factory=dict)
    chosen: set[str] = dataclasses.field(default_factory=set)

    def look(self, sequence: Sequence, t: int, tracker: Tracker, lane: int) -> None:
        """Keep this step of this lane, if it is one of those wanted."""
        if t not in self.frames:
            return
        if sequence.name not in self.chosen:
            if len(self.chosen) == self.sequences:
                return
            self.chosen.add(sequence.name)
        self.images[sequence.name, t] = np.array(sequence.frames[t])
        attention = tracker.attention([lane])
        if attention is not None:
            self.masks[sequence.name, t] = attention[0].astype(np.float16)

    def save(self, path: Path, trajectories: Mapping[str, Trajectory]) -> None:
        """frames (n, t, H, W, 3), regions and groundtruth (n, t, 4), attention (n, t, H, W) if there is any."""
        names = sorted(self.chosen)
        numbers = sorted({t for _, t in self.images})
        if not names or len(self.images) != len(names) * len(numbers):
            return  # sequences of different lengths or sizes: no common strip of frames
        masks = {"attention": self._stack(self.masks, names, numbers)} if len(self.masks) == len(self.images) else {}
        np.savez_compressed(
            path,
            allow_pickle=False,
            sequences=np.array(names),
            numbers=np.array(numbers),
            frames=self._stack(self.images, names, numbers),
            regions=np.stack([trajectories[name].regions[numbers] for name in names]),
            groundtruth=np.stack([trajectories[name].groundtruth[numbers] for name in names]),
            **masks,
        )

    @staticmethod
    def _stack(pictures: dict[tuple[str, int], np.ndarray], names: list[str], numbers: list[int]) -> np.ndarray:
        return np.stack([np.stack([pictures[name, t] for t in numbers]) for name in names])


def _variant(task: Task) -> tuple[families.Family, Any]:
    family = families.find(task.arguments["family"])
    return family, params.build(family.Config, task.arguments["settings"])


def _open(task: Task, dataset: Mapping[str, Any]) -> Any:
    """The data set of an argument {"name", "format", "settings"}, from the folder of that name."""
    module = params.dataset_module(dataset["format"])
    config = params.build(module.Config, dataset["settings"])
    return module.open(config, task.data[dataset["name"]].path, dataset["name"])
