"""`trackmeet track`: trackers of the parameters on a video of one's own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.paths import here

if TYPE_CHECKING:
    import numpy as np

    from orchestrator.footage import Box
    from trackers.sequence import Sequence
    from trackers.tracker import Tracker

NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*"
BOX = re.compile(",".join([NUMBER] * 4))


def track(
    source: Annotated[Path, typer.Argument(help="A video, a folder of images, or a benchmark's folder of a sequence.")],
    tracker: Annotated[list[str], typer.Option(help="A tracker of the parameters (may be repeated).")],
    study: Annotated[str | None, typer.Option(help="Its study, where several have one of that name.")] = None,
    box: Annotated[str | None, typer.Option(help="x,y,width,height in frame 0; default: from the groundtruth.")] = None,
    out: Annotated[Path | None, typer.Option(help="The video; default: NAME-tracked.mp4, if no --json.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="A file for the boxes of each frame.")] = None,
    params: Annotated[Path, typer.Option("--params", help="The parameters, which name the trackers.")] = Path(
        "params.yaml"
    ),
    device: Annotated[str, typer.Option(help="Torch device; default: cuda where there is one, else cpu.")] = "",
) -> None:
    """Track in a video with what the last run trained; draw the boxes, or write them."""
    from orchestrator import footage, overlay, trained
    from orchestrator.files import write_bytes
    from orchestrator.progress import bar
    from trackers import families
    from trackers.evaluation.lanes import TrackingError
    from trackers.evaluation.protocols import FrameError

    start = None if box is None else parse_box(box)
    sequence = footage.open(source, start)
    if out is None and as_json is None:
        out = Path(f"{sequence.name}-tracked.mp4")
    if out is not None and (out.suffix != ".mp4" or out.resolve() == source.resolve()):
        raise ValueError(f"--out: expected a file of its own that ends in .mp4, got {out}")
    trials = trained.find(params, here(), dict.fromkeys(tracker), study)
    found: dict[str, np.ndarray] = {}
    lines, done = [], 0
    with bar("frames") as progress:

        def tick(frames: int) -> None:
            progress(done + frames, len(sequence) * (len(trials) + (out is not None)))

        try:
            for name, trial in trials.items():
                loaded = trained.load(trial, params, here(), device)
                since = time.perf_counter()
                found[name] = follow(loaded, sequence, start, trial.seed, tick)
                lines.append(f"{name}: {_described(sequence, found[name], time.perf_counter() - since)}")
                caveat = families.find(trial.variant.family).caveat(trial.variant.config)
                lines += [f"{name}: {caveat}"] if caveat else []
                done += len(sequence)
            if as_json is not None:
                write_bytes(as_json, (json.dumps(as_rows(source, found)) + "\n").encode())
            if out is not None:
                overlay.write(out, sequence, found, tick)
        except (FrameError, TrackingError) as error:
            raise ValueError(str(error)) from error
    print("\n".join([*lines, *(str(path) for path in (as_json, out) if path is not None)]))


def parse_box(text: str) -> Box:
    """ "x,y,width,height" as numbers; ValueError unless width and height are positive."""
    numbers = tuple(map(float, text.split(","))) if BOX.fullmatch(text) else ()
    if len(numbers) != 4 or min(numbers[2:]) <= 0:
        raise ValueError(f"--box: expected x,y,width,height, four numbers, the last two above 0, got {text!r}")
    return numbers


def follow(
    tracker: Tracker, sequence: Sequence, start: Box | None, seed: int, progress: Callable[[int], None]
) -> np.ndarray:
    """Boxes (frames, 4) from one pass of the tracker, NaN before it starts and where it says nothing.

    start: the box in frame 0; None: the first groundtruth. progress: called with the number of frames done.
    Raises ValueError for a start that does not touch the image, and for an oracle where a frame has no groundtruth
    to show it; and what `lanes.follow` raises.
    """
    from dataclasses import replace

    import numpy as np

    from trackers.evaluation import lanes
    from trackers.evaluation.protocols import PROTOCOLS

    if start is not None:
        groundtruth = np.full((len(sequence), 4), np.nan)
        groundtruth[0] = start
        sequence = replace(sequence, groundtruth=groundtruth, regions=None, omitted=None, labelled=None)
    known = int(np.isfinite(sequence.groundtruth).all(1).sum())
    if tracker.oracle and known < len(sequence):
        raise ValueError(
            f"sequence {sequence.name}: expected groundtruth in each of its {len(sequence)} frames, for this tracker "
            f"is shown where the target is, got it in {known}"
        )
    (trajectory,) = lanes.follow(
        tracker, PROTOCOLS["one_pass"], [sequence], 1, lambda sequence, t, tracker, lane: progress(t + 1), seed
    )
    return trajectory.boxes


def as_rows(source: Path, found: dict[str, np.ndarray]) -> dict[str, object]:
    """{"source", "trackers": {name: [[x, y, width, height] or None, ...]}}."""
    import numpy as np

    rows = {
        name: [row.tolist() if np.isfinite(row).all() else None for row in tracked] for name, tracked in found.items()
    }
    return {"source": str(source), "trackers": rows}


def _described(sequence: Sequence, tracked: np.ndarray, seconds: float) -> str:
    """Speed and, over the frames with groundtruth after the start, overlap."""
    import numpy as np

    from trackers.boxes import iou

    given = np.isfinite(tracked).all(1).argmax()
    judged = np.flatnonzero(np.isfinite(sequence.groundtruth).all(1))
    judged = judged[judged > given]
    text = f"{len(tracked)} frames, {(len(tracked) - given) / seconds:.1f} a second with decoding"
    if not len(judged):
        return text
    overlap = np.nan_to_num(iou(sequence.groundtruth[judged], tracked[judged])).mean()
    return f"{text}, average overlap {overlap:.3f} in {len(judged)}"
