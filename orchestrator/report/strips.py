"""Strips: the example frames of a trial side by side, with what its tracker said and saw, as plain pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from orchestrator.report.colours import ABOVE, APART, BELOW, GROUNDTRUTH, PREDICTION, TOGETHER
from orchestrator.report.results import Example, Study, Trial
from orchestrator.results import slug

FRAME = 200  # pixels: the height at which a frame is shown
GAP = 4  # pixels between frames
FILL = 0.4  # share of its colour with which a predicted mask covers the frame
ACROSS = 4  # cells of a memory beside each other below a frame, as in Song et al. 2017, Fig. 3
PATCH = 64  # pixels: the side of a remembered patch as it is shown
BARS = 48  # pixels: the height of weights from -1 to 1
PER_LINE = 3  # frames whose patches stand beside each other
HISTOGRAM = (240, 120)  # pixels: width and height of a frame's
LARGE = 200_000  # bytes of a PNG


@dataclass(frozen=True)
class Strip:
    """Pictures of one sequence as one tracker saw it, by their paths below the report.

    boxes: frames with groundtruth and prediction. masks: attention and masked frames; None if it looks everywhere.
    memory: its memory cells, below the frames of `boxes`; None if it shows none. recalled, contrast: what it recalled,
    and how it told the target from the rest, in each of these frames; None if it does not say.
    """

    boxes: Path
    masks: Path | None
    memory: Path | None = None
    recalled: Path | None = None
    contrast: Path | None = None


def write_strips(study: Study, folder: Path) -> dict[tuple[str, str, str], Strip]:
    """The example sequences of every trial as pictures; by trial's name, benchmark and sequence.

    Of benchmarks that are the same videos cut to several lengths, what was trained alike has those of the first alone.
    """
    strips = {}
    shown: set[tuple[object, ...]] = set()
    for trial in study.trials:
        for benchmark in trial.benchmarks:
            same = trial.tracker, trial.train, trial.fold, trial.seed, study.videos(benchmark)
            examples = trial.pictures(benchmark) if same not in shown else []
            shown |= {same} if examples else set()
            for example in examples:
                path = trial_folder(study, trial) / slug(f"{benchmark}-{example.sequence}")
                strips[trial.name, benchmark, example.sequence] = _strip(folder, path, example)
    return strips


def _strip(folder: Path, path: Path, example: Example) -> Strip:
    def write(kind: str, image: np.ndarray, drawn: bool = False) -> Path:
        return _write(folder, path.with_name(f"{path.name}-{kind}"), image, drawn)

    return Strip(
        boxes=_write(folder, path, boxes_strip(example)),
        masks=None if example.attention is None else write("attention", masks_strip(example)),
        memory=write("memory", memory_strip(example), drawn=True) if example.memory else None,
        recalled=None if example.patches is None else write("recalled", recalled_strip(example)),
        contrast=None if example.contrast is None else write("contrast", contrast_strip(example), drawn=True),
    )


def trial_folder(study: Study, trial: Trial) -> Path:
    """Where, below the report, the pictures of that trial lie."""
    return Path("figures") / study.name / trial.folder.name


def boxes_strip(example: Example) -> np.ndarray:
    """Its frames side by side, groundtruth and prediction drawn on top; RGB (height, width, 3).

    Boxes are outlined. Of masks the predicted one is filled, and that of the groundtruth outlined.
    """
    frames = []
    for i, (frame, number) in enumerate(zip(example.frames, example.numbers, strict=True)):
        image = _enlarged(frame)
        scale = image.shape[0] / frame.shape[0]
        if example.masks is not None:
            _fill_mask(image, example.masks[i], PREDICTION)
        if example.groundtruth_masks is not None:
            _outline_mask(image, example.groundtruth_masks[i], GROUNDTRUTH)
        else:
            _draw_box(image, example.groundtruth[i] * scale, GROUNDTRUTH)
        if example.masks is None:
            _draw_box(image, example.regions[i] * scale, PREDICTION)
        cv2.putText(image, str(number), (5, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        frames.append(image)
    return _side_by_side(frames)


def masks_strip(example: Example) -> np.ndarray:
    """The attention masks, each as a share of its largest value; below them the masked frames."""
    assert example.attention is not None
    attention = np.nan_to_num(example.attention.astype(np.float32), nan=0.0)
    shares = attention / np.maximum(attention.max((1, 2), keepdims=True), 1e-12)  # (t, height, width) in [0, 1]
    masks = [_enlarged((share * 255).round().astype(np.uint8)) for share in shares]
    masked = [
        _enlarged((_rgb(frame) * share[..., None]).round().astype(np.uint8))
        for frame, share in zip(example.frames, shares, strict=True)
    ]
    rows = [_side_by_side(masks), _side_by_side(masked)]
    gap = np.full((GAP, rows[0].shape[1], 3), 128, np.uint8)
    return np.concatenate([rows[0], gap, rows[1]])


def memory_strip(example: Example) -> np.ndarray:
    """Below each frame the cells of each layer, layer by layer; RGB, as wide as `boxes_strip`.

    One scale a layer, from its largest magnitude below 0 over white to the same above.
    """
    return _side_by_side(memory_tiles(example))


def memory_tiles(example: Example) -> list[np.ndarray]:
    """The parts of `memory_strip`, one a frame."""
    width = _enlarged(example.frames[0]).shape[1]
    gap = np.full((GAP, width, 3), 128, np.uint8)
    layers = [_cells(cells.astype(np.float32), width) for cells in example.memory.values()]
    columns = zip(*layers, strict=True)  # the grids of a frame, layer by layer
    return [np.concatenate([part for grid in column for part in (grid, gap)][:-1]) for column in columns]


def recalled_strip(example: Example) -> np.ndarray:
    """Of each frame the remembered patches, the oldest first, and the chosen one; below them their weights as bars.

    Bars go up from 0 to 1, and down to -1; under them the weights as numbers, and the frame's under the chosen patch.
    """
    return _in_lines(recalled_tiles(example), PER_LINE)


def recalled_tiles(example: Example) -> list[np.ndarray]:
    """The parts of `recalled_strip`, one a frame."""
    assert example.patches is not None
    assert example.weights is not None
    return [_block(*of) for of in zip(example.patches, example.weights, example.numbers, strict=True)]


def _block(patches: np.ndarray, weights: np.ndarray, number: int) -> np.ndarray:
    """Those of one frame, a column each."""
    columns = []
    for i, patch in enumerate(patches):
        column = np.full((PATCH + BARS + 16, PATCH, 3), 255, np.uint8)
        column[:PATCH] = cv2.resize(patch, (PATCH, PATCH), interpolation=cv2.INTER_NEAREST)
        zero = PATCH + BARS // 2
        text = f"#{number}"
        if i < len(weights):
            weight = float(np.nan_to_num(weights[i].clip(-1, 1)))
            end = zero - round(weight * BARS / 2)
            column[min(zero, end) : max(zero, end), PATCH // 4 : -PATCH // 4] = ABOVE if weight > 0 else BELOW
            column[zero] = 128
            text = f"{weight:z.2f}"
        cv2.putText(column, text, (4, column.shape[0] - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        columns.append(np.pad(column, ((0, 0), (0, GAP // 2), (0, 0)), constant_values=255))
    return np.concatenate(columns, 1)[:, : -GAP // 2]


def contrast_strip(example: Example) -> np.ndarray:
    """A panel for each frame: how positives correlate with positives (TOGETHER), and with negatives (APART).

    From -1 on the left to 1 on the right, as shares of the pairs of its kind, on one scale for all frames.
    """
    return _side_by_side(contrast_tiles(example))


def contrast_tiles(example: Example) -> list[np.ndarray]:
    """The parts of `contrast_strip`, one a frame."""
    assert example.contrast is not None
    most = max(float(example.contrast.max(initial=0)), 1e-12)
    return [_histograms(shares / most, f"#{n}") for n, shares in zip(example.numbers, example.contrast, strict=True)]


def _histograms(shares: np.ndarray, text: str) -> np.ndarray:
    """Two (2, bins) in [0, 1], one laid over the other, with a line at 0."""
    width, height = HISTOGRAM
    panel = np.full((height, width, 3), 255, np.uint8)
    panel[:, width // 2] = 204
    bins = np.arange(width) * shares.shape[1] // width  # of each column of pixels
    below_top = height - np.arange(height)[:, None]
    for row, colour in zip(shares, (TOGETHER, APART), strict=True):
        inside = below_top <= np.round(row[bins] * (height - 18))  # (height, width)
        panel[inside] = ((panel[inside].astype(int) + colour) / 2).round().astype(np.uint8)
    cv2.putText(panel, text, (5, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return panel


def _in_lines(blocks: list[np.ndarray], per_line: int) -> np.ndarray:
    """Blocks of one size, so many beside each other."""
    blank = [np.full_like(blocks[0], 255)] * (-len(blocks) % per_line if len(blocks) > per_line else 0)
    blocks = [*blocks, *blank]
    lines = [_side_by_side(blocks[i : i + per_line]) for i in range(0, len(blocks), per_line)]
    gap = np.full((GAP, lines[0].shape[1], 3), 128, np.uint8)
    return np.concatenate([part for line in lines for part in (line, gap)][:-1])


def _cells(cells: np.ndarray, width: int) -> list[np.ndarray]:
    """Those of one layer (t, cells, h, w), in a grid for each frame of that width."""
    shares = np.nan_to_num(cells) / max(float(np.abs(np.nan_to_num(cells)).max(initial=0)), 1e-12)  # in [-1, 1]
    side = (width + GAP // 2) // ACROSS - GAP // 2
    size = side, max(1, round(side * cells.shape[2] / cells.shape[3]))
    grids = []
    for frame in shares:
        tiles = [cv2.resize(_diverging(cell), size, interpolation=cv2.INTER_NEAREST) for cell in frame]
        grid = np.full((-(-len(tiles) // ACROSS) * (size[1] + GAP // 2) - GAP // 2, width, 3), 128, np.uint8)
        for i, tile in enumerate(tiles):
            y, x = i // ACROSS * (size[1] + GAP // 2), i % ACROSS * (side + GAP // 2)
            grid[y : y + size[1], x : x + side] = tile
        grids.append(grid)
    return grids


def _diverging(shares: np.ndarray) -> np.ndarray:
    """RGB of values in [-1, 1]."""
    ends = np.where(shares[..., None] < 0, BELOW, ABOVE)
    return (255 + (ends - 255) * np.abs(shares[..., None])).round().astype(np.uint8)


def _rgb(frame: np.ndarray) -> np.ndarray:
    return frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, -1)


def _enlarged(frame: np.ndarray) -> np.ndarray:
    """RGB, about FRAME pixels high: whole pixels repeated for small frames, area averages of large ones."""
    height, width = frame.shape[:2]
    if height <= FRAME:
        times = max(1, round(FRAME / height))
        return np.ascontiguousarray(_rgb(frame).repeat(times, 0).repeat(times, 1))
    return cv2.resize(_rgb(frame), (round(width * FRAME / height), FRAME), interpolation=cv2.INTER_AREA)


def _draw_box(image: np.ndarray, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    if not np.isfinite(box).all():
        return  # the target is absent
    x, y, w, h = np.clip(box, -1e4, 1e4)
    corner = (round(float(x)), round(float(y)))
    cv2.rectangle(image, corner, (round(float(x + w)) - 1, round(float(y + h)) - 1), colour, 2)


def _fill_mask(image: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Translucent, with an outline."""
    inside = _enlarged_mask(mask, image)
    image[inside] = ((1 - FILL) * image[inside] + FILL * np.array(colour)).round().astype(np.uint8)
    _outline_mask(image, mask, colour)


def _outline_mask(image: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    outlines, _ = cv2.findContours(_enlarged_mask(mask, image).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, colour, 2)


def _enlarged_mask(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Of the size of the image."""
    return cv2.resize(mask.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0


def _side_by_side(frames: list[np.ndarray]) -> np.ndarray:
    gap = np.full((frames[0].shape[0], GAP, 3), 128, np.uint8)
    return np.concatenate([part for frame in frames for part in (frame, gap)][:-1], 1)


def _write(folder: Path, path: Path, image: np.ndarray, drawn: bool = False) -> Path:
    """PNG, which keeps every pixel, where it is small or all drawn; JPEG of photos. The path below `folder`, whole."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 6] if drawn else []  # a quarter of the bytes of large even areas
    suffix, (_, content) = ".png", cv2.imencode(".png", image[..., ::-1], options)
    if content.nbytes > LARGE and not drawn:
        suffix, (_, content) = ".jpg", cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    path = path.with_name(path.name + suffix)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content.tobytes())
    return path
