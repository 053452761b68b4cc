"""The pixel-wise tracker at the paper's widths: its two models and all of it, a lane and 16; training; memory."""

from __future__ import annotations

import gc
import itertools
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from orchestrator.speed.goturn import sequences
from trackers.backbones import vgg16
from trackers.evaluation.speed import Stopwatch, wait_for_gpu
from trackers.families.pixelwise import Config, attention, learning, segmentation, tracker
from trackers.families.pixelwise.clips import Clips, Fresh, Looking, Prepared, Take, draw, keep
from trackers.families.pixelwise.locating import Attention
from trackers.families.pixelwise.losses import segmentation_cost
from trackers.families.pixelwise.tracking import Pixelwise, Recurrent
from trackers.masks import RunLengths, of_box
from trackers.sequence import Sequence

LANES, SIZE = 16, (320, 240)  # lanes, and the size of their frames
PAPERS = Config()
CLIP, BATCH = PAPERS.clips.length, 2  # frames of a clip, clips of a minibatch
PART = 8  # frames of a clip of which gradients are kept at once, with gradient checkpointing
PAPER = {"local": 24.0, "global": 6.0}  # ms a frame, on a Tesla K80 (Section 5.2)
PAPERS_RATE = 20.0  # frames per second in all: "more than 20 fps"


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Milliseconds a frame of the models, frames per second of tracking without the start; training; peak memory.

    Weights are random. The local model is VGG-16 up to pool4 and what follows, on ROIs at hand. Of training: VGG-16
    looks at whole clips at once, against frame by frame (on a CPU it takes images one by one either way); minibatches
    come from clips prepared beforehand, against looking again at each. On a CPU clips are short there, and it is done
    once in five repeats. Memory is the most that torch takes at once: for each of 15 further lanes, against the first
    with all weights; for an update with one clip, beside weights and moments, with gradient checkpointing against
    without. Two threads, or a GPU where there is one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        return [
            *_models(device, repeats),
            *_tracking(device, repeats),
            *_looking(device, repeats),
            *_minibatches(device, repeats),
            *_memory(device),
        ]
    finally:
        torch.set_num_threads(threads)


def videos(count: int, length: int, size: tuple[int, int]) -> list[Sequence]:
    """As many, of clouds, with masks of a target that stays, a quarter of either side."""
    clouds = sequences(count, length, size)
    return [replace(one, regions=RunLengths.of(of_box(box, size) for box in one.groundtruth)) for one in clouds]


def two_stage(device: str, config: Config = PAPERS) -> Pixelwise:
    """The tracker of both models, of random weights; the global one says: the target is in the middle of the frame."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models: dict[str, nn.Module] = {
            "backbone": vgg16.VGG16(config.backbone),
            "local": learning.local_model(config),
            "global": attention.Model(config.map_size, config.attention),
        }
    weights = {f"{part}.{name}": w for part, model in models.items() for name, w in model.state_dict().items()}
    made = tracker(config, weights, device)
    assert isinstance(made, Pixelwise)
    return made


def _models(device: str, repeats: int) -> list[dict[str, Any]]:
    network, local, attentive = _models_of(two_stage(device))
    turns: dict[tuple[str, int], Callable[[], object]] = {}
    for lanes in (1, LANES):
        images = _images(lanes, PAPERS, device)
        maps, aspect = torch.ones(1, lanes, PAPERS.map_size, PAPERS.map_size).to(device), torch.ones(lanes).to(device)
        with torch.no_grad():
            states = local.start(*_features(2, lanes, PAPERS, device))

        def segment(images: Tensor = images, states: Any = states) -> object:
            return local(network.pool4(images)[None], states)

        def attend(maps: Tensor = maps, aspect: Tensor = aspect) -> object:
            return attentive(maps, aspect, attentive.zeros(len(aspect)))

        turns |= {("local", lanes): segment, ("global", lanes): attend}
    taken: dict[tuple[str, int], list[float]] = {turn: [] for turn in turns}
    for repeat in range(repeats + 1):
        for (name, lanes), turn in turns.items():
            watch = Stopwatch(wait_for_gpu)
            with torch.no_grad():
                watch.time(turn)
            if repeat:  # the first turn is to warm up
                taken[name, lanes].append(watch.seconds / lanes * 1000)
    return [
        _row(f"the {name} model, {_lanes(lanes)}, against the paper on its GPU", milliseconds, [PAPER[name]], "ms")
        for (name, lanes), milliseconds in sorted(taken.items(), key=lambda item: item[0][0], reverse=True)
    ]


def begun(made: Pixelwise, lanes: int) -> Callable[[], object]:
    """Start so many lanes, and give back what tracks another frame of each."""
    [one] = videos(1, 2, SIZE)
    made.initialize(range(lanes), [one.frames[0]] * lanes, [one.region(0)] * lanes)
    images = [one.frames[1]] * lanes
    return lambda: made.update(range(lanes), images)


def _tracking(device: str, repeats: int) -> list[dict[str, Any]]:
    turns = {lanes: begun(two_stage(device), lanes) for lanes in (1, LANES)}
    rates: dict[int, list[float]] = {lanes: [] for lanes in turns}
    for repeat in range(repeats + 1):
        for lanes, turn in turns.items():
            watch = Stopwatch(wait_for_gpu)
            watch.time(turn)
            if repeat:  # the first turn is to warm up
                rates[lanes].append(lanes / watch.seconds)
    return [
        _row(f"tracking, {LANES} lanes against one", rates[LANES], rates[1], "frames/s"),
        _row("tracking, one lane, against the paper on its GPU", rates[1], [PAPERS_RATE], "frames/s"),
    ]


def _looking(device: str, repeats: int) -> list[dict[str, Any]]:
    network, length = two_stage(device).backbone, _short(device).clips.length
    images = _images(length, PAPERS, device)
    rates = _rates(
        lambda: network.pool4(images),
        lambda: torch.cat([network.pool4(image) for image in images.split(1)]),
        length,
        device,
        repeats,
    )
    return [_row(f"looking at a clip of {length} frames, at once against frame by frame", *rates, "frames/s")]


def clips(device: str, config: Config = PAPERS) -> tuple[Prepared, Fresh]:
    """Minibatches of clips of the same videos: looked at before, one of each, and looked at again."""
    watched = dict(enumerate(videos(BATCH, 2 * config.clips.length, SIZE)))
    look = Looking(two_stage(device, config).backbone, watched, config.size, config.grown, device)

    def take(video: int, rng: np.random.Generator) -> Take:
        return draw(watched[video], video, watched[video].groundtruth, config.clips, config.roi, rng)

    rng = np.random.default_rng(0)
    kept = keep(look, [take(video, rng) for video in watched], lambda done, total: None)
    return Prepared(kept, list(watched), device), Fresh(list(watched), take, look)


def _minibatches(device: str, repeats: int) -> list[dict[str, Any]]:
    config = _short(device)
    prepared, fresh = clips(device, config)
    update, rng = _update(learning.local_model(config).to(device)), np.random.default_rng(0)
    making = _rates(lambda: prepared.batch(BATCH, rng), lambda: fresh.batch(BATCH, rng), BATCH, device, repeats)
    training = _rates(
        lambda: update(prepared.batch(BATCH, rng)), lambda: update(fresh.batch(BATCH, rng)), BATCH, device, repeats
    )
    what = f"minibatches of {BATCH} clips of {config.clips.length} frames, prepared against looked at again"
    return [
        _row(f"making {what}", *making, "clips/s"),
        _row(f"training the local model, {what}", *training, "clips/s"),
    ]


def _short(device: str) -> Config:
    """The paper's settings; on a CPU with a quarter of a clip, which takes as long for each frame."""
    return PAPERS if device == "cuda" else replace(PAPERS, clips=replace(PAPERS.clips, length=CLIP // 4))


def _update(model: segmentation.Model) -> Callable[[Clips], None]:
    optimizer = torch.optim.Adam(model.parameters(), 1e-5, fused=True)

    def update(some: Clips) -> None:
        logits, _ = model(some.features, model.start(some.first, some.masked))
        segmentation_cost(logits, some.masks.float())["loss"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return update


def _rates(
    ours: Callable[[], object], other: Callable[[], object], count: int, device: str, repeats: int
) -> tuple[list[float], list[float]]:
    """How many a second either does, turn by turn."""
    rates: tuple[list[float], list[float]] = ([], [])
    warm_up = device == "cuda"
    for repeat in range(repeats + 1 if warm_up else -(-repeats // 5)):
        for work, own in zip((ours, other), rates, strict=True):
            watch = Stopwatch(wait_for_gpu)
            watch.time(work)
            if repeat or not warm_up:
                own.append(count / watch.seconds)
    return rates


def _memory(device: str) -> list[dict[str, Any]]:
    one, many = (tracking_memory(device, lanes) for lanes in (1, LANES))
    weights = (
        sum(tensor.nbytes for part in _models_of(two_stage(device)) for tensor in part.state_dict().values()) / 1e6
    )
    parts, whole = (training_memory(device, PAPERS, remembered) for remembered in (PART, None))
    further = f"each of {LANES - 1} further lanes, against the first with {weights:.0f} MB of weights"
    clip = f"an update with a clip of {CLIP} frames, in parts of {PART} against all at once"
    return [
        _row(f"memory of tracking, {further}", [(many - one) / (LANES - 1)], [weights + one], "MB"),
        _row(f"memory of training the local model, {clip}", [parts], [whole], "MB"),
    ]


def tracking_memory(device: str, lanes: int) -> float:
    """What starting and tracking so many lanes takes at most, MB, beside the weights."""
    made = two_stage(device)
    return most_memory(lambda: begun(made, lanes)(), device)


def training_memory(device: str, config: Config, remembered: int | None) -> float:
    """What an update with one clip takes at most, MB, gradients and all, beside the clip, weights and their moments."""
    config = replace(config, remembered=remembered)
    first, masked, *features = _features(config.clips.length + 2, 1, config, device)
    masks = torch.zeros(len(features), 1, config.size, config.size, dtype=torch.bool, device=device)
    whole = Clips(torch.stack(features), first, masked, masks, torch.zeros(1, dtype=torch.int64))
    update = _update(learning.local_model(config).to(device))
    update(whole._replace(features=whole.features[:1], masks=masks[:1]))  # moments are made
    return most_memory(lambda: update(whole), device)


def most_memory(work: Callable[[], object], device: str) -> float:
    """The most that torch takes at once while something is done, MB, beside what there was before."""
    gc.collect()
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    # Of a process as a whole, the peak differs from run to run by more than a lane takes.
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as watched:
        work()
    assert watched.profiler is not None
    events = [event for event in watched.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(changes), default=0) / 1e6


def _models_of(made: Pixelwise) -> tuple[vgg16.VGG16, segmentation.Model, attention.Model]:
    assert isinstance(made.segmenter, Recurrent)
    assert isinstance(made.locator, Attention)
    return made.backbone, made.segmenter.model, made.locator.model


def _images(count: int, config: Config, device: str) -> Tensor:
    images = torch.rand(count, 3, config.size, config.size, device=device) * 255
    return images.contiguous(memory_format=torch.channels_last)


def _features(length: int, count: int, config: Config, device: str) -> Tensor:
    side = config.size // segmentation.REDUCED
    return torch.rand(length, count, config.backbone.widths[3], side, side, device=device)


def _lanes(count: int) -> str:
    return "one lane" if count == 1 else f"{count} lanes"


def _row(what: str, ours: list[float], other: list[float], unit: str) -> dict[str, Any]:
    medians = statistics.median(ours), statistics.median(other)
    rate = unit.endswith("/s")  # the more the better
    return {
        "what": what,
        "ours": medians[0],
        "other": medians[1],
        "unit": unit,
        "ratio": medians[0] / medians[1] if rate else medians[1] / medians[0],
        "target": None,
    }
