"""The steps of training (Song et al. 2017, Section 5.1): what each learns, of what, and from what it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers import inference
from trackers.backbones import vgg16
from trackers.backbones.pictures import Pictures
from trackers.evaluation.clips import picked
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.pixelwise import attention, fcn, rois, segmentation
from trackers.families.pixelwise.clips import (
    Clips,
    Fresh,
    Looking,
    Prepared,
    Take,
    draw,
    frames_from,
    keep,
    mirrored,
    unpacked,
    with_noise,
)
from trackers.families.pixelwise.locating import Attention
from trackers.families.pixelwise.losses import attention_cost, segmentation_cost
from trackers.families.pixelwise.pretraining import pretrain
from trackers.families.pixelwise.tracking import Pixelwise, Recurrent
from trackers.families.pixelwise.videos import Maps, half, make_maps
from trackers.masks import iou
from trackers.sequence import Sequence as VideoSequence
from trackers.training import Inputs, Reporter, Training, Weights, fit

if TYPE_CHECKING:
    from trackers.families.pixelwise import Config

LANES = 16  # clips that a half model tracks at once


# What all folds share.


def pack_maps(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Maps of all videos; see `videos`."""
    return make_maps(inputs.data["videos"], config.map_size, reporter)


def learn_backbone(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """VGG-16's weights, learnt on still images."""
    pictures = Pictures.of(inputs.data["images"], reporter)
    return pretrain(pictures, config.backbone, config.size, config.pretraining, inputs.seed, inputs.device, reporter)


def read_backbone(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """VGG-16's weights from the file that the settings name."""
    [path] = inputs.files.values()
    return vgg16.read(path, config.backbone)


def prepare_clips(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """`prepared` clips of each video, as VGG-16 sees them (Section 3.3, steps 1 to 3)."""
    look, drawing = _looking(inputs, config), config.clips
    maps = Maps(inputs.weights["maps"])
    assert drawing.prepared is not None  # else there is no such step
    takes = [
        draw(sequence, video, maps.boxes(video), drawing, config.roi, np.random.default_rng((inputs.seed, video, n)))
        for video, sequence in look.videos.items()
        for n in range(drawing.prepared)
    ]
    return keep(look, takes, reporter.progress)._asdict()


# The local model.


def train_half(number: int, inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Step 1: the local model on one half of the videos, "with early termination"."""
    names = half(_names(inputs), number, inputs.seed)
    return _train_local(_drawn(inputs, config, names), config.halves, inputs, config, reporter)


def train_local(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """The local model on all videos, with ROIs near the groundtruth: before anything is updated (Section 3.3)."""
    return _train_local(_drawn(inputs, config, _names(inputs)), config.training, inputs, config, reporter)


def update_half(number: int, round: int, inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """A half's local model, of the round before, on the ROIs that the updated global model gives."""
    names = half(_names(inputs), number, inputs.seed)
    clips = _tracked(round, inputs, config, names, reporter)
    return _train_local(clips, config.updating, inputs, config, reporter)


def update_local(round: int, inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Step 5: the local model on all videos, with the ROIs that the updated global model gives."""
    clips = _tracked(round, inputs, config, _names(inputs), reporter)
    return _train_local(clips, config.updating, inputs, config, reporter)


def train_fcn(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """The baseline, on single frames of the same clips as the local model."""
    training, source = config.training, _drawn(inputs, config, _names(inputs))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = fcn_model(config)
    model.begin_from(inputs.weights["backbone"])
    model.to(inputs.device)

    def batch(update: int) -> tuple[Tensor, Tensor]:
        clips = source.batch(training.batch, np.random.default_rng((inputs.seed, update)))
        return clips.features.flatten(0, 1), clips.masks.flatten(0, 1)

    def costs(features: Tensor, masks: Tensor) -> dict[str, Tensor]:
        return {"loss": F.binary_cross_entropy_with_logits(model(features), masks.float())}

    optimizer = _adam(model, training, inputs.device)
    return fit(model, optimizer, batch, costs, training, reporter)


def _train_local(
    source: Fresh | Prepared, training: Training, inputs: Inputs, config: Config, reporter: Reporter
) -> Weights:
    """Eq. 2, by Adam (the paper does not say by what)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = local_model(config)
    before = [name for name in inputs.weights if name.startswith(("half", "local"))]
    if before:
        model.load_state_dict(dict(inputs.weights[before[0]]))
    model.to(inputs.device)

    def batch(update: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng((inputs.seed, update))
        clips = source.batch(training.batch, rng)
        if config.noise:
            clips = with_noise(clips, rng)
        return clips.features, clips.first, clips.masked, clips.masks

    def costs(features: Tensor, first: Tensor, masked: Tensor, masks: Tensor) -> dict[str, Tensor]:
        logits, _ = model(features, model.start(first, masked))  # (T, N, S, S)
        return segmentation_cost(logits, masks.float(), config.cross_entropy)

    optimizer = _adam(model, training, inputs.device)
    return fit(model, optimizer, batch, costs, training, reporter, axes=(1, 0, 0, 1))


def _adam(model: nn.Module, training: Training, device: str) -> torch.optim.Adam:
    """For all models here; in a CUDA graph, where one is captured, it counts its updates on the GPU."""
    capture = training.capture and device != "cpu"
    return torch.optim.Adam(model.parameters(), training.learning_rate, fused=True, capturable=capture)


# The global model.


class MapClips(NamedTuple):
    """Clips of maps: of each a video's number, its frames (n, T + 1), and the maps that the model is shown of them.

    shown: uint8 (n, T + 1, size, size / 8), eight pixels a byte; None: those of the groundtruth.
    """

    videos: np.ndarray
    frames: np.ndarray
    shown: np.ndarray | None = None


def train_global(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Step 2: the global model on maps of the groundtruth; clips begin anywhere, dilated less and less.

    A reading: Section 4 dilates "our input sequence", Section 5.1 "Z_t", which in Eq. 4 is input and target. Both are
    dilated here, alike, so that what is to be covered is what was shown.
    """
    maps = Maps(inputs.weights["maps"])
    videos = np.array([maps.names.index(name) for name in _names(inputs)])
    count = config.clips.length + 1

    def drawn(number: int, rng: np.random.Generator) -> MapClips:
        some = rng.choice(videos, number)
        frames = []
        for video in some:
            there = np.isfinite(maps.boxes(video)).all(1)
            early = there[: max(len(there) - count + 1, 1)]
            start = int(rng.choice(np.flatnonzero(early if early.any() else there)))
            frames.append(frames_from(start, count, len(there)))
        return MapClips(some, np.stack(frames))

    return _train_global(maps, drawn, config.dilation, config.attention_training, inputs, config, reporter)


def update_global(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Step 4: the global model of the round before, on what the half models made of the crossed halves."""
    maps = Maps(inputs.weights["maps"])
    clips = _crossed(maps, inputs)
    shown = clips.shown
    assert shown is not None

    def drawn(number: int, rng: np.random.Generator) -> MapClips:
        chosen = rng.integers(len(clips.videos), size=number)
        return MapClips(clips.videos[chosen], clips.frames[chosen], shown[chosen])

    return _train_global(maps, drawn, 0, config.attention_updating, inputs, config, reporter)


def _train_global(
    maps: Maps,
    drawn: Callable[[int, np.random.Generator], MapClips],
    dilation: int,
    training: Training,
    inputs: Inputs,
    config: Config,
    reporter: Reporter,
) -> Weights:
    """Eq. 4, by Adam (the paper does not say by what)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = attention.Model(config.map_size, config.attention)
    before = [name for name in inputs.weights if name.startswith("global")]
    if before:
        model.load_state_dict(dict(inputs.weights[before[0]]))
    model.to(inputs.device)

    def batch(update: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng((inputs.seed, update))
        clips = drawn(training.batch, rng)
        true = np.stack([maps.of(video, frames) for video, frames in zip(clips.videos, clips.frames, strict=True)])
        shown = true if clips.shown is None else _unpacked(clips.shown)
        both = torch.from_numpy(np.stack([shown, true])).to(inputs.device)  # (2, N, T + 1, S, S)
        sizes = maps.sizes[clips.videos]
        aspect = torch.from_numpy(sizes[:, 0] / sizes[:, 1]).float().to(inputs.device)
        both = moved(both, config.moved, rng)
        both = grown(both, max(dilation - update // config.dilation_shrinks, 0))
        return both[0, :, :-1].transpose(0, 1), both[1, :, 1:].transpose(0, 1), aspect

    def costs(shown: Tensor, true: Tensor, aspect: Tensor) -> dict[str, Tensor]:
        theta, _ = model(shown.float(), aspect, model.zeros(len(aspect)))
        settings = config.anchor_pixels, config.foreground, config.smoothness, config.burn_in
        return attention_cost(theta, true, aspect, *settings)

    optimizer = _adam(model, training, inputs.device)
    return fit(model, optimizer, batch, costs, training, reporter, axes=(1, 1, 0))


def grown(maps: Tensor, pixels: int) -> Tensor:
    """Maps (..., size, size), bool, dilated by so many pixels each way."""
    if not pixels:
        return maps
    flat = maps.flatten(0, -3)[:, None].float()
    return (F.max_pool2d(flat, 2 * pixels + 1, stride=1, padding=pixels) > 0).view(maps.shape)


def moved(maps: Tensor, most: float, rng: np.random.Generator) -> Tensor:
    """Clips of maps (2, N, T, size, size), bool, each turned over at random and moved by up to `most` of the frame.

    Ours: the few videos of a sample show few places. 0 leaves all as it is, as the paper does.
    """
    if not most:
        return maps
    size = maps.shape[-1]
    clips = []
    for clip in maps.unbind(1):  # (2, T, S, S)
        sides = [dim for dim in (-1, -2) if rng.random() < 0.5]
        clip = clip.flip(sides) if sides else clip
        down, right = (int(step) for step in np.rint(rng.uniform(-most, most, 2) * size))
        there = torch.zeros_like(clip)
        rows, columns = slice(max(down, 0), size + min(down, 0)), slice(max(right, 0), size + min(right, 0))
        from_rows, from_columns = slice(max(-down, 0), size - max(down, 0)), slice(max(-right, 0), size - max(right, 0))
        there[..., rows, columns] = clip[..., from_rows, from_columns]
        clips.append(there)
    return torch.stack(clips, 1)


# What they make of each other.


def cross(number: int, inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Step 3: the models track the videos of the half that this half's local model has not seen; what they made of it.

    Each video is gone through in clips, every `every` frames, that start from the groundtruth. videos (n,), frames
    (n, T + 1), and maps of the predicted masks (n, T + 1, size, size / 8), the first the groundtruth's.
    """
    maps, count = Maps(inputs.weights["maps"]), config.clips.length + 1
    others = half(_names(inputs), 3 - number, inputs.seed)
    [local] = [weights for name, weights in inputs.weights.items() if name.startswith("half")]
    [pointing] = [weights for name, weights in inputs.weights.items() if name.startswith("global")]
    tracker = two_stage(config, inputs.weights["backbone"], local, pointing, inputs.device)
    videos, frames, sequences = [], [], list[VideoSequence]()
    for name in others:
        video = maps.names.index(name)
        [sequence] = [one for one in inputs.data["videos"] if one.name == name]
        there = np.isfinite(maps.boxes(video)).all(1)
        for start in range(0, max(len(there) - count + 1, 1), config.every):
            if there[start]:
                videos.append(video)
                frames.append(frames_from(start, count, len(there)))
                own = picked(sequence, frames[-1])
                # They begin where there is a mask, whatever annotators' boxes say of that frame.
                boxes = maps.boxes(video)[frames[-1]]
                sequences.append(replace(own, name=str(len(sequences)), groundtruth=boxes, omitted=None))
    if not sequences:
        raise ValueError(f"half {3 - number}: expected a clip that begins with its target, got none in {others}")
    shown = np.zeros((len(sequences), count, config.map_size, config.map_size // 8), np.uint8)
    overlaps = []
    for done, run in enumerate(follow(tracker, one_pass, sequences, LANES), 1):
        clip = int(run.sequence)
        for t in range(count):
            mask = run.region(t)
            shown[clip, t] = np.packbits(rois.squeezed(mask, config.map_size), axis=-1)
            if t:
                overlaps.append(float(iou(mask, sequences[clip].region(t))))
        reporter.progress(done, len(sequences))
    reporter.metric("iou", float(np.mean(overlaps)), 1)
    arrays = {"videos": np.array(videos), "frames": np.stack(frames), "maps": shown}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _crossed(maps: Maps, inputs: Inputs, names: Iterable[str] | None = None) -> MapClips:
    """What both crossed predictions found, or of it the part of these videos."""
    both = [weights for name, weights in sorted(inputs.weights.items()) if name.startswith("crossed")]
    videos, frames, shown = (
        np.concatenate([each[name].numpy() for each in both]) for name in ("videos", "frames", "maps")
    )
    kept = np.ones(len(videos), bool) if names is None else np.isin(videos, [maps.names.index(name) for name in names])
    return MapClips(videos[kept], frames[kept], shown[kept])


def _unpacked(shown: np.ndarray) -> np.ndarray:
    return unpacked(torch.from_numpy(shown)).numpy()


def _tracked(round: int, inputs: Inputs, config: Config, names: Sequence[str], reporter: Reporter) -> Prepared:
    """Clips whose ROIs the updated global model gives (step 5), looked at once: they are the same in all updates.

    Kept in memory as float16: 7 MB a clip with the paper's settings, so 4 GB of 54 videos of VOT2016; twice as much
    where they are mirrored.
    """
    takes = _takes(round, inputs, config, names)
    videos = sorted({take.video for take in takes})
    return Prepared(keep(_looking(inputs, config), takes, reporter.progress), videos, inputs.device)


def _takes(round: int, inputs: Inputs, config: Config, names: Sequence[str]) -> list[Take]:
    """The clips of `_tracked`: the global model was shown what was predicted in step 3.

    The first ROI of each is around its mask, as in Algorithm 1. They are not perturbed any more.
    """
    maps = Maps(inputs.weights["maps"])
    clips = _crossed(maps, inputs, names)
    assert clips.shown is not None
    locator = _attention(config, inputs.weights[f"global-{round}"], inputs.device)
    takes = []
    for start in range(0, len(clips.videos), LANES):
        own = slice(start, start + LANES)
        some = MapClips(clips.videos[own], clips.frames[own], clips.shown[own])
        windows = _pointed(locator, maps, some, config)
        takes += [Take(int(v), frames, seen) for v, frames, seen in zip(some.videos, some.frames, windows, strict=True)]
    if config.clips.mirrored:
        rng = np.random.default_rng(inputs.seed)
        takes += [take._replace(mirrored=mirrored(rng) or (-1,)) for take in takes]
    return takes


def _pointed(locator: Attention, maps: Maps, clips: MapClips, config: Config) -> np.ndarray:
    """The ROIs of these clips (n, T + 1, 4), of which all are gone through at once."""
    assert clips.shown is not None
    lanes = range(len(clips.videos))
    boxes = [maps.boxes(video)[frames[0]] for video, frames in zip(clips.videos, clips.frames, strict=True)]
    centres, longer = zip(*(rois.places(box[None]) for box in boxes), strict=True)
    squares = np.concatenate([np.concatenate(centres), np.concatenate(longer)[:, None]], 1)
    locator.sizes = {lane: maps.sizes[video] for lane, video in enumerate(clips.videos)}
    locator.begin(lanes, squares, _unpacked(clips.shown[:, 0]))
    windows = [config.roi.window(squares[:, :2], squares[:, 2])]
    for t in range(1, clips.frames.shape[1]):
        windows.append(locator.windows(lanes))
        locator.look(lanes, _unpacked(clips.shown[:, t]))
    return np.stack(windows, 1)


# Models of these settings.


def local_model(config: Config) -> segmentation.Model:
    """Untrained."""
    return segmentation.Model(config.backbone.widths[3], config.size, config.local, config.remembered)


def fcn_model(config: Config) -> fcn.Model:
    """Untrained."""
    return fcn.Model((config.backbone.widths[3], config.backbone.widths[4]), config.size, config.units)


def backbone(config: Config, weights: Weights, device: str) -> vgg16.VGG16:
    """VGG-16, which learns no more."""
    network = vgg16.VGG16(config.backbone)
    network.load_state_dict(dict(weights))
    network.to(device).eval().requires_grad_(False)
    return network.on_cpu() if device == "cpu" else network


def recurrent(config: Config, weights: Weights, device: str) -> Recurrent:
    """The local model, of these weights, at work."""
    model = local_model(config)
    model.load_state_dict(dict(weights))
    if device == "cpu":
        inference.on_cpu(model)
    return Recurrent(model, device)


def two_stage(config: Config, frozen: Weights, local: Weights, pointing: Weights, device: str) -> Pixelwise:
    """Algorithm 1, of these weights."""
    locator, segmenter = _attention(config, pointing, device), recurrent(config, local, device)
    return Pixelwise(
        backbone(config, frozen, device),
        segmenter,
        locator,
        config.roi,
        config.size,
        config.grown,
        config.cut,
        device,
    )


def _attention(config: Config, weights: Weights, device: str) -> Attention:
    model = attention.Model(config.map_size, config.attention)
    model.load_state_dict(dict(weights))
    return Attention(model, config.map_size, config.roi, config.beta, config.burn_in, device)


# The videos of a step.


def _names(inputs: Inputs) -> tuple[str, ...]:
    return tuple(sequence.name for sequence in inputs.data["videos"])


def _looking(inputs: Inputs, config: Config) -> Looking:
    """At the videos by the numbers that their maps have; those that a fold leaves out are not there."""
    numbers = {name: number for number, name in enumerate(Maps(inputs.weights["maps"]).names)}
    videos = {numbers[sequence.name]: sequence for sequence in inputs.data["videos"]}
    network = backbone(config, inputs.weights["backbone"], inputs.device)
    return Looking(network, videos, config.size, config.grown, inputs.device)


def _drawn(inputs: Inputs, config: Config, names: Sequence[str]) -> Fresh | Prepared:
    """Clips of these videos with ROIs near the groundtruth (Section 3.3)."""
    maps = Maps(inputs.weights["maps"])
    numbers = [maps.names.index(name) for name in names]
    if config.clips.prepared is not None:
        return Prepared(Clips(**inputs.weights["clips"]), numbers, inputs.device)
    look = _looking(inputs, config)

    def take(video: int, rng: np.random.Generator) -> Take:
        return draw(look.videos[video], video, maps.boxes(video), config.clips, config.roi, rng)

    return Fresh(numbers, take, look)
