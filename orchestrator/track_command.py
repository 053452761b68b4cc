"""`trackmeet track`: trackers of the parameters, or of the record, on a video of one's own or before a camera."""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.paths import here

if TYPE_CHECKING:
    import numpy as np

    from orchestrator.footage import Box
    from orchestrator.trained import Choice
    from trackers.sequence import Sequence

NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*"
BOX = re.compile(",".join([NUMBER] * 4))


def track(
    source: Annotated[
        str,
        typer.Argument(
            help="A video, a folder of images, or a benchmark's folder of a sequence; or a camera: its number, a "
            "device or a stream's address."
        ),
    ],
    tracker: Annotated[list[str], typer.Option(help="A tracker of the parameters (may be repeated).")],
    study: Annotated[str | None, typer.Option(help="Its study, where several have one of that name.")] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="For each tracker a run of the record (its id, a trial's key, models:/NAME@current), or a file of "
            "weights; default: what the last run trained."
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="x,y,width,height in the first frame; default: the groundtruth's, or drawn with the mouse."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The video: .webm, which browsers play, or .mp4, which players do, written faster; default, if no "
            "--json and no window: NAME-tracked.webm, of a camera camera-tracked.mp4."
        ),
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="A file for the boxes of each frame.")] = None,
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="A panel for each tracker.")] = False,
    start: Annotated[int, typer.Option(min=0, help="The first frame, from 0.")] = 0,
    end: Annotated[int | None, typer.Option(min=0, help="The last frame; default: the video's last.")] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="Frames a second; default: the file's, of images 25.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Of a camera: end after so many.")] = None,
    no_window: Annotated[bool, typer.Option("--no-window", help="Open no window, though there is a display.")] = False,
    params: Annotated[Path, typer.Option("--params", help="The parameters, which name the trackers.")] = Path(
        "params.yaml"
    ),
    device: Annotated[str, typer.Option(help="Torch device; default: cuda where there is one, else cpu.")] = "",
) -> None:
    """Track in a video or before a camera; draw the boxes, or write them.

    A camera is shown in a window, where there is a display; q in it or Ctrl-C ends, and what was seen is written.
    """
    from orchestrator import trained
    from orchestrator.camera import is_live
    from orchestrator.files import write_bytes
    from orchestrator.overlay import CODECS
    from orchestrator.window import display
    from trackers.evaluation.lanes import TrackingError
    from trackers.evaluation.protocols import FrameError

    given = None if box is None else parse_box(box)
    windowed = display() and not no_window
    if out is not None and (out.suffix not in CODECS or out.resolve() == Path(source).resolve()):
        raise ValueError(f"--out: expected a file of its own that ends in {' or '.join(CODECS)}, got {out}")
    choices = trained.choose(params, here(), tracker, weights or [], study, device)
    try:
        if is_live(source):
            if out is None and as_json is None and not windowed:
                out = Path("camera-tracked.mp4")  # the quicker one
            found = _before_camera(source, choices, given, windowed, out, frames, side_by_side)
        else:
            sequence, given = _open(Path(source), given, windowed, start, end)
            if out is None and as_json is None:
                out = Path(f"{sequence.name}-tracked.webm")
            found = _in_footage(source, sequence, choices, given, start, fps, out, side_by_side)
    except (FrameError, TrackingError) as error:
        raise ValueError(str(error)) from error
    if as_json is not None:
        write_bytes(as_json, (json.dumps(as_rows(found, choices)) + "\n").encode())
    print("\n".join([*found.lines, *(str(path) for path in (as_json, out) if path is not None)]))


@dataclass
class Found:
    """What was tracked. numbers, times: of each frame, its number and its seconds since the first.

    boxes: (frames, 4) by tracker, NaN before it starts and where it says nothing. seconds: that it took for each
    frame, None where it took no step. lines: what is said of it to people.
    """

    source: str
    fps: float
    numbers: list[int]
    times: list[float]
    boxes: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: dict[str, list[float | None]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def _open(source: Path, box: Box | None, windowed: bool, start: int, end: int | None) -> tuple[Sequence, Box | None]:
    """The frames to track in, and the box in the first; None: the groundtruth's."""
    from orchestrator import footage, window

    try:
        return footage.cut(footage.open(source, box), start, end), box
    except footage.NoBoxError:
        if not windowed:
            raise
    frames = footage.cut(footage.open(source, (0, 0, 1, 1)), start, end).frames
    box = window.pick(frames[0], f"trackmeet {source.resolve().name}")
    if box is None:
        raise ValueError(f"{source}: expected a box to be drawn in the window, got none before it was ended")
    return footage.cut(footage.open(source, box), start, end), box


def _in_footage(
    source: str,
    sequence: Sequence,
    choices: list[Choice],
    box: Box | None,
    first: int,
    fps: float | None,
    out: Path | None,
    side_by_side: bool,
) -> Found:
    """Each tracker by itself in all frames, then the video."""
    import numpy as np

    from orchestrator import footage, overlay
    from orchestrator.progress import bar

    fps = fps or footage.rate(Path(source))
    numbers = range(len(sequence))
    found = Found(source, fps, [first + t for t in numbers], [round(t / fps, 6) for t in numbers])
    with bar("frames") as progress:
        done, total = 0, len(sequence) * (len(choices) + (out is not None))
        for choice in choices:
            tracker, ticks = choice.load(), [time.perf_counter()]

            def tick(frames: int, done: int = done, ticks: list[float] = ticks) -> None:
                ticks.append(time.perf_counter())
                progress(done + frames, total)

            boxes = footage.follow(tracker, sequence, box, choice.seed, tick)
            waited = len(sequence) + 1 - len(ticks)
            found.boxes[choice.name] = boxes
            found.seconds[choice.name] = [None] * waited + np.diff(ticks).round(6).tolist()
            found.lines += _lines(choice, _described(sequence, boxes, ticks[-1] - ticks[0]))
            done += len(sequence)
        if out is not None:
            overlay.write(
                out, sequence, found.boxes, lambda frames: progress(done + frames, total), fps, side_by_side, first
            )
    return found


def _before_camera(
    source: str,
    choices: list[Choice],
    box: Box | None,
    windowed: bool,
    out: Path | None,
    most: int | None,
    side_by_side: bool,
) -> Found:
    """All trackers at once in each frame as it comes."""
    import numpy as np

    from orchestrator import live
    from orchestrator.camera import Camera
    from orchestrator.progress import bar
    from orchestrator.window import Window

    trackers = {choice.name: (choice.load(), choice.seed) for choice in choices}
    with Camera(source) as camera, ExitStack() as stack:
        window = stack.enter_context(Window(f"trackmeet {source}")) if windowed else None
        if most is None:
            print(f"{source}: until {'q in the window or ' if window else ''}Ctrl-C", file=sys.stderr)
        progress = stack.enter_context(bar("frames")) if most else lambda done, total: None
        seen = live.follow(
            camera, trackers, box, window, out, most, side_by_side, lambda done: progress(done, most or done)
        )
        found = Found(source, camera.fps, seen.numbers, [round(time, 6) for time in seen.times])
    for choice in choices:
        took = seen.seconds[choice.name]
        found.boxes[choice.name] = np.array(seen.boxes[choice.name])
        found.seconds[choice.name] = np.round(took, 6).tolist()
        text = f"{len(took)} frames of {seen.numbers[-1] - seen.numbers[0] + 1}, {len(took) / sum(took):.1f} a second"
        found.lines += _lines(choice, text)
    return found


def _lines(choice: Choice, text: str) -> list[str]:
    return [f"{choice.name}: {text}", *([f"{choice.name}: {choice.caveat}"] if choice.caveat else [])]


def parse_box(text: str) -> Box:
    """ "x,y,width,height" as numbers; ValueError unless width and height are positive."""
    numbers = tuple(map(float, text.split(","))) if BOX.fullmatch(text) else ()
    if len(numbers) != 4 or min(numbers[2:]) <= 0:
        raise ValueError(f"--box: expected x,y,width,height, four numbers, the last two above 0, got {text!r}")
    return numbers


def as_rows(found: Found, choices: list[Choice]) -> dict[str, object]:
    """{"source", "fps", "frames": numbers, "times": seconds since the first, "trackers": {name: {where its settings and
    weights are from, "boxes": [[x, y, width, height] or None, ...], "seconds": that each frame took}}}.
    """
    import numpy as np

    trackers = {
        choice.name: {
            **choice.source,
            "boxes": [row.tolist() if np.isfinite(row).all() else None for row in found.boxes[choice.name]],
            "seconds": found.seconds[choice.name],
        }
        for choice in choices
    }
    return {
        "source": found.source,
        "fps": found.fps,
        "frames": found.numbers,
        "times": found.times,
        "trackers": trackers,
    }


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
