"""Figures: strips of example frames (plain arrays), and charts (matplotlib)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from orchestrator.report.charts import BANDED, CURVED, FPS, OF_EVERYONE, OTHERS, Drawing, Point, height
from orchestrator.report.curves import points as curve_points
from orchestrator.report.paper import Aspect, Chart, Paper
from orchestrator.report.results import Example, Study, Trial
from orchestrator.report.scores import Cell, Grid
from orchestrator.report.summary import Summary, measure_name, shown, subset_name
from orchestrator.results import slug
from trackers.evaluation.curves import CURVES
from trackers.evaluation.results import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any kind of colour vision.
GROUNDTRUTH, PREDICTION = (86, 180, 233), (230, 159, 0)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
MORE_COLOURS = ("#332288", "#999933", "#882255", "#117733", "#661100", "#6699cc", "#aa4499")  # Tol's, for the rest
CHART_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "font.size": 9,
    "grid.color": "#dddddd",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "savefig.transparent": True,  # the page's own background, light or dark, shows through
}
SHARED = "#444444"  # of what several trackers have in common
FRAME = 200  # pixels: the height at which a frame is shown
GAP = 4  # pixels between frames
FILL = 0.4  # share of its colour with which a predicted mask covers the frame
ACROSS = 4  # cells of a memory beside each other below a frame, as in Song et al. 2017, Fig. 3
BELOW, ABOVE = (0, 114, 178), (213, 94, 0)  # what a memory cell has below 0, and above; 0 is white
TOGETHER, APART = BELOW, ABOVE  # correlations of positives with each other, and with negatives
MANY = 12  # lines, above which a legend stands below its panel
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
    width = _enlarged(example.frames[0]).shape[1]
    rows = [_cells(cells.astype(np.float32), width) for cells in example.memory.values()]
    gap = np.full((GAP, rows[0].shape[1], 3), 128, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])


def recalled_strip(example: Example) -> np.ndarray:
    """Of each frame the remembered patches, the oldest first, and the chosen one; below them their weights as bars.

    Bars go up from 0 to 1, and down to -1; under them the weights as numbers, and the frame's under the chosen patch.
    """
    assert example.patches is not None
    assert example.weights is not None
    blocks = [_block(*of) for of in zip(example.patches, example.weights, example.numbers, strict=True)]
    return _in_lines(blocks, PER_LINE)


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
    assert example.contrast is not None
    most = max(float(example.contrast.max(initial=0)), 1e-12)
    panels = [_histograms(shares / most, f"#{n}") for n, shares in zip(example.numbers, example.contrast, strict=True)]
    return _side_by_side(panels)


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


def _cells(cells: np.ndarray, width: int) -> np.ndarray:
    """Those of one layer (t, cells, h, w), in a grid below each frame of that width."""
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
    return _side_by_side(grids)


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
        suffix, (_, content) = ".jpg", cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    path = path.with_name(path.name + suffix)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content.tobytes())
    return path


# Charts


def write_charts(study: Study, paper: Paper, grid: Grid, folder: Path) -> dict[str, Path]:
    """Training curves and score by length, where there is something to draw; paths below the report, by chart."""
    charts: dict[str, Callable[[], Figure]] = {}
    if any(trial.curves for trial in study.trials):
        charts["training"] = lambda: _training(study)
    if any(aspect.length for _, _, aspect in grid.cells) and len(study.lengths) > 1:
        charts["length"] = lambda: _by_length(study, paper, grid)
    return _draw(study, charts, folder)


def write_curves(study: Study, summaries: Iterable[Summary], folder: Path) -> dict[str, Path]:
    """The plots of curves behind each summary that has any; paths below the report, by its name."""
    charts = {}
    for summary in summaries:
        curves = summary.curves()
        if curves:
            charts[summary.name] = partial(_curves, summary, curves)
    return _draw(study, charts, folder)


def write_points(study: Study, drawn: Mapping[Chart, Drawing], folder: Path) -> dict[str, Path]:
    """The paper's own figures of numbers; paths below the report, by title."""
    kinds = {chart: _plots if chart.kind in CURVED else _points for chart in drawn}
    colours = series_colours(study, drawn.values())
    return _draw(study, {chart.title: partial(kinds[chart], chart, drawn[chart], colours) for chart in drawn}, folder)


def series_colours(study: Study, drawings: Iterable[Drawing]) -> dict[str, str]:
    """A colour for each series, the same in all drawings: for trackers in the study's order, then for the others."""
    places = {tracker: i for i, tracker in enumerate(study.trackers)}
    names = dict.fromkeys(point.series for drawing in drawings for point in drawing.points if point.series != OTHERS)
    ordered = sorted(names, key=lambda name: places.get(name, len(places)))
    return {OTHERS: SHARED, **dict(zip(ordered, cycle(COLOURS + MORE_COLOURS), strict=False))}


def _draw(study: Study, charts: Mapping[str, Callable[[], Figure]], folder: Path) -> dict[str, Path]:
    import matplotlib as mpl

    paths = {name: Path("figures") / study.name / f"{slug(name)}.png" for name in charts}
    for name, draw in charts.items():
        (folder / paths[name]).parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(CHART_STYLE):
            # No software version in the file: the same results give the same bytes.
            draw().savefig(folder / paths[name], dpi=144, metadata={"Software": None})
    return paths


def _training(study: Study) -> Figure:
    """One panel a metric, one line a trial; a tracker keeps its colour, training data its dashes.

    A metric of one step of several is called after both: "train: loss". A step that trials share is one line.
    Losses and errors that span more than a decade have a log axis.
    """
    trained = [trial for trial in study.trials if trial.curves]
    metrics = list(dict.fromkeys(name for trial in trained for name in trial.curves))
    dashes = dict(zip(dict.fromkeys(trial.train for trial in trained), ("-", "--", ":", "-."), strict=False))
    colours = _colours(study)
    figure, panels = _panels([metric.replace("/", ": ") for metric in metrics])
    for metric, axes in zip(metrics, panels, strict=True):
        drawn = [trial for trial in trained if metric in trial.curves]
        alike: dict[bytes, list[Trial]] = {}
        for trial in drawn:
            alike.setdefault(trial.curves[metric].tobytes(), []).append(trial)
        for trial, *others in alike.values():
            steps, values = trial.curves[metric].T
            style, colour = dashes.get(trial.train, "-"), colours[trial.tracker]
            label = f"{trial.name}†" if trial.caveat else trial.name
            if others:
                style, colour, label = "-", SHARED, f"shared by {len(others) + 1} trials"
            axes.plot(steps, values, style, color=colour, label=label)
        axes.set_xlabel("step")
        reached = np.concatenate([trial.curves[metric][:, 1] for trial in drawn])
        if metric.endswith(("loss", "error")) and 0 < 10 * reached.min(initial=np.inf) < reached.max(initial=0):
            axes.set_yscale("log")
    _legend(figure, panels)
    return figure


def _by_length(study: Study, paper: Paper, grid: Grid) -> Figure:
    """One panel a benchmark, one line a tracker in its 95% interval; crosses are the paper's own, if comparable."""
    figure, panels = _panels(list(study.benchmarks), shared=True)
    for benchmark, axes in zip(study.benchmarks, panels, strict=True):
        for tracker, colour in _colours(study).items():
            keys = {length: (tracker, benchmark, Aspect(paper.measure, length)) for length in study.lengths}
            found = {length: grid.cells[key] for length, key in keys.items() if key in grid.cells}
            printed = {length: paper.cells.get(key) for length, key in keys.items()}
            if found:
                low, high = zip(*(cell.interval for cell in found.values()), strict=True)
                axes.fill_between(list(found), low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(
                    list(found), [cell.mean for cell in found.values()], "o-", color=colour, label=study.marked(tracker)
                )
            if study.comparable:
                means = {length: cell.mean for length, cell in printed.items() if cell is not None}
                axes.plot(list(means), list(means.values()), "x", color=colour)
        axes.set_xscale("log", base=2)
        axes.set_xticks(study.lengths, [str(length) for length in study.lengths])
        axes.minorticks_off()
        axes.set_xlabel("length in frames")
    panels[0].set_ylim(bottom=0)  # of all: they share it
    figure.supylabel(measure_name(paper.measure), fontsize=9)
    _legend(figure, panels)
    return figure


def _curves(summary: Summary, curves: Mapping[str, Mapping[str, Cell]]) -> Figure:
    """One panel a curve, one line a tracker; the legend has the best first, with its score, as OTB's plots do."""
    from matplotlib.figure import Figure

    most = max(map(len, curves.values()))
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 2, "fontsize": 6} if most > MANY else {}
    height = 3 + (0.06 * most if below else 0)  # a line of the legend for every two
    figure = Figure(figsize=(3.6 * max(2, len(curves)), height), layout="constrained")
    panels = figure.subplots(1, max(2, len(curves)), squeeze=False)[0]
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    colours = _colours(summary.grid.study)
    for (name, cells), axes in zip(curves.items(), panels, strict=False):
        curve = CURVES[name]
        measure = next(measure for measure in curve.measures if measure in summary.measures)
        for tracker in summary.ranked(measure):
            if tracker in cells:
                score = summary.cell(tracker, measure)
                assert score is not None
                label = f"{summary.grid.study.marked(tracker)} [{shown(measure, score.mean)}]"
                line = "-" if list(colours).index(tracker) < len(COLOURS + MORE_COLOURS) else "--"  # the colours recur
                axes.plot(*curve_points(cells[tracker]), line, color=colours[tracker], label=label)
        axes.set_title(f"{name.replace('_', ' ')} [{measure_name(measure)}]")
        axes.set_xlabel(curve.axes[0])
        axes.set_ylabel(curve.axes[1])
        axes.set_ylim(0, 1)
        axes.margins(x=0)
        axes.legend(**below)
    return figure


def _plots(chart: Chart, drawing: Drawing, colours: Mapping[str, str]) -> Figure:
    """One panel a protocol, one line a tracker; the legend has the height of each."""
    curve = CURVES[CURVED[chart.kind]]
    figure, panels = _panels(list(dict.fromkeys(point.panel for point in drawing.points)))
    for axes in panels:
        lines: dict[str, list[Point]] = {}
        for point in drawing.points:
            if point.panel == axes.get_title(loc="left"):
                lines.setdefault(point.series, []).append(point)
        for tracker, line in lines.items():
            x, y = np.array([(point.x, point.y) for point in line]).T
            label = f"{_marked(tracker, drawing)} [{height(chart, x, y):.3f}]"
            axes.plot(x, y, color=colours[tracker], label=label)
            if chart.kind in BANDED:
                low, high = np.array([(point.low, point.high) for point in line], float).T
                axes.fill_between(x, low, high, color=colours[tracker], alpha=0.15, linewidth=0)
        axes.set_xlabel(curve.axes[0])
        axes.set_ylabel(curve.axes[1])
        axes.set_ylim(0, 1)
        axes.margins(x=0)
        axes.legend()
    return figure


def _marked(name: str, drawing: Drawing) -> str:
    """With a dagger where there is a caveat, see `Study.marked`."""
    return f"{name}†" if name in drawing.caveats else name


def _points(chart: Chart, drawing: Drawing, colours: Mapping[str, str]) -> Figure:
    """One panel of points, or two; a line, or a colour, is a series. Ranks run from the worst to the best."""
    points = [replace(point, label=_marked(point.label, drawing)) for point in drawing.points]
    figure, panels = _panels(list(dict.fromkeys(point.panel for point in points)))
    names = list(dict.fromkeys(point.series for point in points))
    for axes in panels:
        for i, name in enumerate(names):
            own = [point for point in points if (point.series, point.panel) == (name, axes.get_title(loc="left"))]
            x, y = np.array([(point.x, point.y) for point in own]).reshape(-1, 2).T
            if chart.kind in ("subsets", "trend"):  # beside each other
                width = 0.6 if chart.kind == "subsets" else 0.02 * np.ptp([point.x for point in points])
                x = x + width * ((i + 0.5) / len(names) - 0.5)
            line = "-" if chart.kind == "trend" or (chart.kind == "ranks" and name != OTHERS) else ""
            axes.plot(x, y, "o" + line, color=colours[name], label=subset_name(_marked(name, drawing)))
            if chart.kind in ("subsets", "trend", "tradeoff"):
                low, high = np.array([(point.low, point.high) for point in own], float).reshape(-1, 2).T
                axes.vlines(x, low, high, color=colours[name], linewidth=1)
        _label(chart, points, axes)
        if chart.kind in OF_EVERYONE:
            _name([point for point in points if point.panel == axes.get_title(loc="left")], axes, len(panels))
    if names != [ALL]:
        _legend(figure, panels)
    return figure


def _label(chart: Chart, points: Sequence[Point], axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_ylabel(FPS if axes.get_title(loc="left") == FPS else measure_name(chart.measure))
    if chart.kind in ("ranks", "speed"):
        axes.invert_yaxis()
    if chart.kind in OF_EVERYONE:
        axes.margins(0.15)
    if chart.kind == "ranks":
        axes.invert_xaxis()
        axes.set_xlabel("accuracy rank")
        axes.set_ylabel("robustness rank")
    elif chart.kind in ("speed", "tradeoff"):
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(axes.get_title(loc="left") or FPS)
        if chart.kind == "speed":
            axes.set_ylabel("overall rank")
        else:
            axes.set_ylim(bottom=0)
    elif chart.kind == "subsets":
        places = {point.x: subset_name(point.label) for point in points}
        axes.set_xticks(list(places), list(places.values()))
        axes.set_ylim(bottom=0)
    else:
        axes.set_xlabel(chart.axis or chart.setting)
        axes.set_ylim(bottom=0)


def _name(points: Sequence[Point], axes: Axes, columns: int) -> None:
    """Write each point's label beside it, at the first of four corners where it is on no other, nor on a point."""
    height, width = 150, 460 / columns  # of a panel, in typographic points, about
    to_axes = axes.transScale + axes.transLimits
    at = to_axes.transform([(point.x, point.y) for point in points]) * (width, height)
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    for point, (x, y) in zip(points, at, strict=True):
        wide = 3.8 * len(point.label)
        corners = [(x + 4, y + 2), (x + 4, y - 10), (x - 4 - wide, y + 2), (x - 4 - wide, y - 10)]
        boxes = [(left, low, left + wide, low + 8) for left, low in corners]
        crossed = [
            sum(a < right and left < c and b < top and low < d for a, b, c, d in taken)
            for left, low, right, top in boxes
        ]
        best = crossed.index(min(crossed))
        taken.append(boxes[best])
        offset, side = (4 if best < 2 else -4, (2, -10)[best % 2]), ("left", "right")[best // 2]
        place = (point.x, point.y)
        axes.annotate(point.label, place, offset, textcoords="offset points", fontsize=7, ha=side)


def _colours(study: Study) -> dict[str, str]:
    return dict(zip(study.trackers, cycle(COLOURS + MORE_COLOURS), strict=False))


def _panels(titles: list[str], shared: bool = False) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure  # without pyplot: no display, no state

    columns = min(2, len(titles))
    lines = -(-len(titles) // columns)
    figure = Figure(figsize=(7.2, 2.6 * lines + 0.8), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, sharey=shared).flat)
    for axes in panels[len(titles) :]:
        axes.set_visible(False)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
    return figure, panels[: len(titles)]


def _legend(figure: Figure, panels: list[Axes]) -> None:
    """One legend for all panels, below them."""
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if entries:
        columns = max(1, 110 // (max(map(len, entries)) + 8))  # about 110 letters stand in a line
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)
