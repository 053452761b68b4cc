"""Where the next ROI is: by the global model, by the last map's centroid, or near the groundtruth.

Each keeps what it knows by lane. `start` is told the masks that lanes begin with, `see` what was found in a frame, and
`windows` gives the next ROIs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from trackers.families.pixelwise import anchor, rois
from trackers.families.pixelwise.attention import Model
from trackers.families.pixelwise.convlstm import State
from trackers.families.pixelwise.rois import ROI
from trackers.masks import bounding_box
from trackers.sequence import Sequence as VideoSequence


class Found(NamedTuple):
    """In one frame: mask, bool (height, width); probabilities, float (h, w), of the window, int (4,), that was seen."""

    mask: np.ndarray
    probabilities: np.ndarray
    window: np.ndarray


class Locator(Protocol):
    """What the module says."""

    def start(self, lanes: Sequence[int], masks: Sequence[np.ndarray]) -> None: ...

    def windows(self, lanes: Sequence[int]) -> np.ndarray:
        """The next ROIs: (len(lanes), 4) int x, y, width, height."""

    def see(self, lanes: Sequence[int], found: Sequence[Found]) -> None: ...


class Attention:
    """The global model (Section 4), its answers smoothed as in Algorithm 1, line 5, with beta.

    Readings: Z is binary. theta_old is the estimate of the frame before, and the first one's is of its
    mask. In Algorithm 1's last line the map is put back where it was cut, by theta_est. As the loss does not count
    before frame `burn_in` (5), the model sees the first mask as often before tracking begins.
    """

    def __init__(self, model: Model, map_size: int, roi: ROI, beta: float, burn_in: int, device: str) -> None:
        self.model = model.to(device).eval()
        self.map_size, self.roi, self.beta, self.burn_in, self.device = map_size, roi, beta, burn_in, device
        self.sizes: dict[int, np.ndarray] = {}  # width and height of the frames
        self.states: dict[int, list[State]] = {}
        self.told: dict[int, Tensor] = {}  # theta of the next frame, as the model says
        self.estimate: dict[int, Tensor] = {}  # theta of the last frame, smoothed

    def start(self, lanes: Sequence[int], masks: Sequence[np.ndarray]) -> None:
        squares = []
        for lane, mask in zip(lanes, masks, strict=True):
            centre, longer = rois.places(bounding_box(mask)[None])
            self.sizes[lane] = np.array(mask.shape[::-1])
            squares.append([*centre[0], longer[0]])
        maps = np.stack([rois.squeezed(mask, self.map_size) for mask in masks])
        self.begin(lanes, np.array(squares), maps)

    def begin(self, lanes: Sequence[int], squares: np.ndarray, maps: np.ndarray) -> None:
        """Start by squares (L, 3), centre and side of the target in pixels, and maps (L, size, size), bool."""
        sizes = torch.from_numpy(np.stack([self.sizes[lane] for lane in lanes])).float()
        for lane, theta in zip(lanes, anchor.around(torch.from_numpy(squares).float(), sizes), strict=True):
            self.estimate[lane] = theta
            zeros = self.model.zeros(1)
            self.states[lane] = zeros
        for _ in range(self.burn_in):
            self.look(lanes, maps)

    @torch.inference_mode()
    def look(self, lanes: Sequence[int], maps: np.ndarray) -> None:
        """Show the model one map of each lane, (L, size, size) bool."""
        sizes = np.stack([self.sizes[lane] for lane in lanes])
        aspect = torch.from_numpy(sizes[:, 0] / sizes[:, 1]).float().to(self.device)
        shown = torch.from_numpy(maps)[None].float().to(self.device)  # (1, L, S, S)
        theta, states = self.model(shown, aspect, stacked([self.states[lane] for lane in lanes]))
        for lane, told, state in zip(lanes, theta[0].cpu(), split(states), strict=True):
            self.told[lane], self.states[lane] = told, state

    def windows(self, lanes: Sequence[int]) -> np.ndarray:
        for lane in lanes:
            self.estimate[lane] = self.beta * self.told[lane] + (1 - self.beta) * self.estimate[lane]
        sizes = torch.from_numpy(np.stack([self.sizes[lane] for lane in lanes])).float()
        theta = torch.stack([self.estimate[lane] for lane in lanes])
        squares = anchor.square(theta, sizes[:, 0] / sizes[:, 1], sizes)
        centres = squares[:, :2].clamp(min=torch.zeros(2)).minimum(sizes)  # a ROI begins in the frame
        return self.roi.window(centres.numpy(), squares[:, 2].numpy())

    def see(self, lanes: Sequence[int], found: Sequence[Found]) -> None:
        self.look(lanes, np.stack([rois.squeezed(one.mask, self.map_size) for one in found]))


class Centroid:
    """The 1-stage model's: Eq. 5 on the last map, a ROI of the first frame's size; it stays where no pixel counts."""

    def __init__(self, roi: ROI) -> None:
        self.roi = roi
        self.next: dict[int, np.ndarray] = {}

    def start(self, lanes: Sequence[int], masks: Sequence[np.ndarray]) -> None:
        self.next.update({lane: rois.first(mask, self.roi) for lane, mask in zip(lanes, masks, strict=True)})

    def windows(self, lanes: Sequence[int]) -> np.ndarray:
        return np.stack([self.next[lane] for lane in lanes])

    def see(self, lanes: Sequence[int], found: Sequence[Found]) -> None:
        for lane, (mask, probabilities, window) in zip(lanes, found, strict=True):
            x, y, side, _ = window
            rows, columns = np.arange(side) + 0.5 + y, np.arange(side) + 0.5 + x
            inside = np.outer((rows > 0) & (rows < mask.shape[0]), (columns > 0) & (columns < mask.shape[1]))
            p = probabilities * inside
            total = float(p.sum())
            if total > 0:
                centre = np.array([p.sum(0) @ columns, p.sum(1) @ rows]) / total
                self.next[lane] = np.concatenate([np.rint(centre - side / 2), window[2:]]).astype(np.int64)


class Near:
    """Section 5.3: the location of the groundtruth five frames before, smoothed: L = (1 - beta) L + beta L_(t - 5).

    The ROI is as wide as the frame's own mask asks for, as in training. What no tracker may know.
    """

    def __init__(self, roi: ROI, beta: float) -> None:
        self.roi, self.beta = roi, beta
        self.truth: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # centres and longer sides, from the lane's start on
        self.at: dict[int, int] = {}  # frames since
        self.centre: dict[int, np.ndarray] = {}
        self.shown: dict[int, tuple[VideoSequence, np.ndarray]] = {}  # a lane's sequence, and all its boxes

    def reveal(self, lanes: Sequence[int], sequences: Sequence[VideoSequence], frames: Sequence[int]) -> None:
        """As of `Tracker`."""
        for lane, sequence, t in zip(lanes, sequences, frames, strict=True):
            # Masks take long to read: once a sequence, however often it is started on.
            known = next((boxes for other, boxes in self.shown.values() if other is sequence), None)
            self.shown[lane] = sequence, _boxes(sequence) if known is None else known
            self.truth[lane] = rois.places(self.shown[lane][1][t:])

    def start(self, lanes: Sequence[int], masks: Sequence[np.ndarray]) -> None:
        for lane in lanes:
            self.at[lane], self.centre[lane] = 0, self.truth[lane][0][0]

    def windows(self, lanes: Sequence[int]) -> np.ndarray:
        windows = []
        for lane in lanes:
            centres, longer = self.truth[lane]
            self.at[lane] = t = min(self.at[lane] + 1, len(longer) - 1)
            behind = centres[max(t - self.roi.delay, 0)]
            self.centre[lane] = (1 - self.beta) * self.centre[lane] + self.beta * behind
            windows.append(self.roi.window(self.centre[lane], longer[t]))
        return np.stack(windows)

    def see(self, lanes: Sequence[int], found: Sequence[Found]) -> None: ...


def _boxes(sequence: VideoSequence) -> np.ndarray:
    """(frames, 4): those around its masks, where it has such."""
    if sequence.regions is None:
        return sequence.groundtruth
    regions = (sequence.regions[t] for t in range(len(sequence)))
    return np.stack([bounding_box(r) if r.ndim == 2 else sequence.groundtruth[t] for t, r in enumerate(regions)])


def stacked(states: Sequence[list[State]]) -> list[State]:
    """Layers' states of single lanes, (1, C, S, S) each -> of all of them, (L, C, S, S)."""
    return [
        State(torch.cat([lane[i].hidden for lane in states]), torch.cat([lane[i].cell for lane in states]))
        for i in range(len(states[0]))
    ]


def split(states: list[State]) -> list[list[State]]:
    """Undoes `stacked`; copies, so that no lane keeps the memory of all."""
    count = len(states[0].hidden)
    return [
        [State(layer.hidden[i : i + 1].clone(), layer.cell[i : i + 1].clone()) for layer in states]
        for i in range(count)
    ]
