"""Clips that the local models learn from (Song et al. 2017, Section 3.3): ROIs of successive frames, and their masks.

What frozen layers see of a clip does not change while others learn. So a number of clips can be drawn of each video
beforehand, looked at once, and learnt from by all halves and folds; or each minibatch draws and looks at its own.

Readings. A clip is `length` frames after an initial one, of which only the first states are made. Its ROIs are as wide
as the mask of their own frame asks for, and centred on that of five frames before, or on the clip's first where that is
later. They are perturbed (step 3) after their width is truncated (step 2), so that those of small targets are, too. The
shift of up to 10 pixels is one of pixels of the ROI of 224, drawn like the scale for each frame. Initial frames show
the target, and have no tag of occlusion; the paper chose them by hand. Of a video that is shorter than a clip, frames
are repeated evenly, as the paper does it in testing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trackers import crops
from trackers.backbones.vgg16 import VGG16
from trackers.families.pixelwise import rois
from trackers.families.pixelwise.rois import ROI
from trackers.families.pixelwise.videos import READERS
from trackers.sequence import Sequence

OCCLUDED = "occlusion"  # VOT's tag of frames


@dataclass(frozen=True)
class Drawing:
    """How clips are drawn. scale: of ROIs, in [1 - scale, 1 + scale]. shift: in pixels of 224 (Section 3.3).

    prepared: how many of each video are drawn once, for all halves and folds; None: new ones for each minibatch.
    mirrored: whether clips are turned over at random, left to right and top to bottom. Ours: a sample has few videos.
    """

    length: int = 32
    scale: float = 0.1
    shift: float = 10.0
    prepared: int | None = None
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.length < 1 or not 0 <= self.scale < 1 or not 0 <= self.shift < float("inf"):
            raise ValueError(f"clips: expected length >= 1, 0 <= scale < 1 and shift >= 0, got {self}")
        if self.prepared is not None and self.prepared < 1:
            raise ValueError(f"prepared: expected at least 1 clip of each video, got {self.prepared}")


class Take(NamedTuple):
    """A clip, not yet looked at. frames: int (T + 1,), the initial one first. windows: int (T + 1, 4) in them.

    mirrored: of -2 (top to bottom) and -1 (left to right) those in which it is turned over.
    """

    video: int
    frames: np.ndarray
    windows: np.ndarray
    mirrored: tuple[int, ...] = ()


class Clips(NamedTuple):
    """N clips as the local models see them.

    features: (T, N, C, side, side), pool4 of ROIs. first, masked: (N, C, side, side), of the initial ROI, and of its
    target alone. masks: bool (T, N, size, size). videos: (N,), numbers of their videos.
    """

    features: Tensor
    first: Tensor
    masked: Tensor
    masks: Tensor
    videos: Tensor


def frames_from(start: int, count: int, length: int) -> np.ndarray:
    """`count` frames of a video of `length`, from `start` on; where there are fewer, all of them, evenly repeated."""
    if length - start < count:
        return np.linspace(start, length - 1, count).round().astype(int)
    return np.arange(start, start + count)


def draw(
    sequence: Sequence, video: int, boxes: np.ndarray, drawing: Drawing, roi: ROI, rng: np.random.Generator
) -> Take:
    """A clip of a video, at random. boxes: (frames, 4) around its masks."""
    there = np.isfinite(boxes).all(1)
    clear = there & ~sequence.tags[OCCLUDED] if OCCLUDED in sequence.tags else there
    last = max(len(sequence) - drawing.length, 1)  # the first `last` frames have as many behind them as a clip
    candidates = next(some for some in (clear[:last], there[:last], there) if some.any())
    frames = frames_from(int(rng.choice(np.flatnonzero(candidates))), drawing.length + 1, len(sequence))
    centres, longer = rois.places(boxes)
    before = frames[(np.arange(len(frames)) - roi.delay).clip(0)]
    scale = rng.uniform(1 - drawing.scale, 1 + drawing.scale, len(frames))
    shift = rng.uniform(-drawing.shift, drawing.shift, (len(frames), 2)) / 224  # shares of the ROI
    side = np.clip(roi.context * longer[frames], roi.least, roi.most)[:, None]
    centre, side = centres[before] + shift * side, np.rint(side * scale[:, None]).clip(1)
    windows = np.concatenate([np.rint(centre - side / 2), side, side], -1).astype(np.int64)
    return Take(video, frames, windows, mirrored(rng) if drawing.mirrored else ())


def mirrored(rng: np.random.Generator) -> tuple[int, ...]:
    """Dimensions in which a clip is turned over, at random."""
    return tuple(dim for dim in (-2, -1) if rng.random() < 0.5)


class Looking:
    """What the frozen layers see of clips. size: of a ROI, in pixels. dilation: of the first mask, in these.

    videos: the sequences that the clips' numbers stand for.
    """

    def __init__(self, backbone: VGG16, videos: Mapping[int, Sequence], size: int, dilation: int, device: str) -> None:
        self.backbone = backbone
        self.videos = videos
        self.size = size
        self.dilation = dilation
        self.device = device

    @torch.no_grad()
    def __call__(self, takes: list[Take]) -> Clips:
        """Whole clips at once, of one length. Raises ValueError, by sequence and frame, for a bad image or mask."""
        looked = [self._of(take) for take in takes]
        features, first, masked, masks = (torch.stack(parts) for parts in zip(*looked, strict=True))
        videos = torch.tensor([take.video for take in takes])
        return Clips(features.transpose(0, 1), first, masked, masks.transpose(0, 1), videos)

    def _of(self, take: Take) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        sequence = self.videos[take.video]

        def read(t: int, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            try:
                image = sequence.frames[t]
                mask = sequence.region(t)
                if mask.shape != image.shape[:2]:
                    raise ValueError(f"expected a mask of the image's size {image.shape[:2]}, got {mask.shape}")
                return np.array(crops.cut(image, window)), rois.cut(mask, window, self.size)
            except (ValueError, OSError) as cause:
                raise ValueError(f"sequence {sequence.name}, frame {t}: {cause}") from cause

        with ThreadPoolExecutor(READERS) as threads:
            patches, masks = zip(*threads.map(read, take.frames.tolist(), take.windows), strict=True)
        whole = torch.tensor([[0, 0, patch.shape[1], patch.shape[0]] for patch in patches])  # (T + 1, 4)
        images = crops.sample_on(self.device, patches, whole, self.size)  # (T + 1, 3, S, S)
        shown = torch.from_numpy(np.stack(masks)).to(self.device)  # (T + 1, S, S)
        if take.mirrored:
            images, shown = images.flip(take.mirrored), shown.flip(take.mirrored)
        first, masked = self.backbone.both(images[:1], dilated(shown[:1], self.dilation))
        return self.backbone.pool4(images[1:]), first[0], masked[0], shown[1:]


def dilated(masks: Tensor, pixels: int) -> Tensor:
    """Masks (N, S, S), bool, grown by so many pixels each way -> float (N, 1, S, S)."""
    return F.max_pool2d(masks[:, None].float(), 2 * pixels + 1, stride=1, padding=pixels)


class Fresh:
    """Clips of these videos, drawn and looked at for each minibatch. takes: of a video, by a generator of numbers."""

    def __init__(self, videos: list[int], take: Callable[[int, np.random.Generator], Take], look: Looking) -> None:
        self.videos, self.take, self.look = videos, take, look

    def batch(self, count: int, rng: np.random.Generator) -> Clips:
        """So many clips, of different videos as long as there are such."""
        return self.look([self.take(video, rng) for video in chosen(self.videos, count, rng)])


class Prepared:
    """Clips that were looked at before: drawn from what `keep` made, those of these videos."""

    def __init__(self, kept: Clips, videos: list[int], device: str) -> None:
        self.kept, self.device = kept, device
        own = kept.videos.numpy()
        self.places = {video: np.flatnonzero(own == video) for video in videos}

    def batch(self, count: int, rng: np.random.Generator) -> Clips:
        """So many clips, of different videos as long as there are such."""
        videos = chosen(list(self.places), count, rng)
        places = torch.from_numpy(np.array([rng.choice(self.places[video]) for video in videos]))
        features, first, masked, masks, own = self.kept
        packed = masks[:, places].to(self.device)
        return Clips(
            features[:, places].to(self.device).float(),
            first[places].to(self.device).float(),
            masked[places].to(self.device).float(),
            unpacked(packed),
            own[places],
        )


def keep(look: Looking, takes: Iterable[Take], progress: Callable[[int, int], None]) -> Clips:
    """What is seen of these clips, one at least, to be kept: features float16, masks eight pixels a byte.

    Each is put in its place at once, so that no more memory is taken than is kept.
    """
    takes = list(takes)
    dims = (1, 0, 0, 1, 0)  # frames come first in features and masks, clips in all else
    kept: list[Tensor] = []
    for n, take in enumerate(takes):
        seen = look([take])
        packed = torch.from_numpy(np.packbits(seen.masks.cpu().numpy(), axis=-1))
        parts = seen._replace(masks=packed, **{name: getattr(seen, name).half().cpu() for name in Clips._fields[:3]})
        if not kept:
            shapes = [(*p.shape[:dim], len(takes), *p.shape[dim + 1 :]) for p, dim in zip(parts, dims, strict=True)]
            kept = [torch.empty(shape, dtype=p.dtype) for p, shape in zip(parts, shapes, strict=True)]
        for whole, part, dim in zip(kept, parts, dims, strict=True):
            whole.narrow(dim, n, 1).copy_(part)
        progress(n + 1, len(takes))
    return Clips(*kept)


def unpacked(packed: Tensor) -> Tensor:
    """Bits (..., n) uint8 -> bool (..., 8 n)."""
    bits = packed[..., None] >> torch.arange(7, -1, -1, dtype=torch.uint8, device=packed.device)
    return (bits & 1).bool().flatten(-2)


def chosen(videos: list[int], count: int, rng: np.random.Generator) -> list[int]:
    """`count` of these videos, each once before any comes again."""
    rounds = [rng.permutation(videos) for _ in range(-(-count // len(videos)))]
    return np.concatenate(rounds)[:count].tolist()


def with_noise(clips: Clips, rng: np.random.Generator) -> Clips:
    """Section 3.3, step 4: in each clip the ROI of one frame is that of another video's, and its mask empty.

    The other is a clip of the minibatch, at another random frame. Clips stay as they are where all are of one video.
    """
    length, count = clips.masks.shape[:2]
    videos = clips.videos.numpy()
    others = [np.flatnonzero(videos != video) for video in videos]
    if any(not len(other) for other in others):
        return clips
    at, there = (torch.from_numpy(rng.integers(length, size=count)) for _ in range(2))
    other = torch.from_numpy(np.array([rng.choice(some) for some in others]))
    features, masks, own = clips.features.clone(), clips.masks.clone(), torch.arange(count)
    features[at, own] = clips.features[there, other]
    masks[at, own] = False
    return clips._replace(features=features, masks=masks)
