"""ROLO and its baselines at work (Ning et al. 2016, Sections 2.2, 3 and 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from trackers import boxes as geometry
from trackers.extractors import Extractor
from trackers.families.rolo import heatmaps, kalman
from trackers.families.rolo.assignment import ByGroundtruth, Choose, most_overlapping
from trackers.families.rolo.network import Model
from trackers.families.rolo.windows import detection, located
from trackers.features import Seen
from trackers.sequence import Image
from trackers.sequence import Sequence as Video
from trackers.tracker import Tracker

SORT_IOU_MIN = 0.3  # of Bewley et al. 2016's code


class ByDetection(Tracker):
    """What the three trackers share: each sees detections, and says of each frame's which one is the target.

    Boxes end at the image's border, but keep a pixel of width and height; an answer that is no box of some size
    means that the target has stayed.

    rule: makes, of the box in which a target is given, what chooses among the detections of the frames from there.
    None, as in the released code: an oracle, that chooses by the groundtruth.
    """

    def __init__(self, see: Extractor, rule: Callable[[np.ndarray], Choose] | None) -> None:
        self.see = see
        self.rule = rule
        self.oracle = rule is None
        self.choose: dict[int, Choose] = {}  # by lane
        self.boxes: dict[int, np.ndarray] = {}  # by lane: the last answer
        self.videos: dict[int, tuple[Video, int]] = {}  # of an oracle, by lane: what it plays, and the frame seen last

    def reveal(self, lanes: Sequence[int], sequences: Sequence[Video], frames: Sequence[int]) -> None:
        for lane, video, frame in zip(lanes, sequences, frames, strict=True):
            self.videos[lane] = video, frame

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        for lane, image, region in zip(lanes, images, np.asarray(regions, float), strict=True):
            if self.rule is None:
                video, frame = self.videos[lane]
                self.choose[lane] = ByGroundtruth(video.groundtruth[frame:])
            else:
                self.choose[lane] = self.rule(region)
            self.boxes[lane] = geometry.inside(region, *image.shape[1::-1])

    def chosen(self, lanes: Sequence[int], images: Sequence[Image]) -> list[tuple[Seen, int | None]]:
        """What is seen in the next image of these lanes, and which of the detections there is the target."""
        return [(seen, self.choose[lane](seen.boxes)) for lane, seen in zip(lanes, self.see(images), strict=True)]

    def answer(self, lanes: Sequence[int], images: Sequence[Image], boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Boxes (4,) as they were found -> (L, 4) as they are answered."""
        for lane, image, box in zip(lanes, images, boxes, strict=True):
            if np.isfinite(box).all() and (box[2:] > 0).all():
                self.boxes[lane] = geometry.inside(box, *image.shape[1::-1])
        return np.stack([self.boxes[lane] for lane in lanes])


class YOLO(ByDetection):
    """The detector alone: the target is where its detection is, or was last; at first where it is given."""

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        super().initialize(lanes, images, regions)
        self.chosen(lanes, images)

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        found = [
            self.boxes[lane] if chosen is None else seen.boxes[chosen].astype(float)
            for lane, (seen, chosen) in zip(lanes, self.chosen(lanes, images), strict=True)
        ]
        return self.answer(lanes, images, found)


class SORT(ByDetection):
    """The detector, and SORT's Kalman filter of one target, which is never given up (Bewley et al. 2016).

    Of a frame's detections that counts whose IoU with the predicted box is the highest, and at least 0.3. It is
    started on the given box. oracle: the detections are chosen by the groundtruth.
    """

    def __init__(self, see: Extractor, oracle: bool = False) -> None:
        super().__init__(see, None if oracle else _nearest)
        self.beliefs: dict[int, kalman.Belief] = {}  # by lane, of one target each

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        super().initialize(lanes, images, regions)
        if self.oracle:
            self.chosen(lanes, images)
        self._remember(lanes, kalman.started(np.asarray(regions, float)))

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        before = [self.beliefs[lane] for lane in lanes]
        belief = kalman.predicted(
            kalman.Belief(
                np.concatenate([each.mean for each in before]), np.concatenate([each.covariance for each in before])
            )
        )
        found = belief.boxes()  # (L, 4)
        if not self.oracle:
            self.choose |= {lane: _nearest(box) for lane, box in zip(lanes, found, strict=True)}
        every = self.chosen(lanes, images)
        [hit] = np.nonzero([chosen is not None for _, chosen in every])
        if len(hit):
            measured = np.stack([every[i][0].boxes[every[i][1]] for i in hit]).astype(float)
            better = kalman.updated(kalman.Belief(belief.mean[hit], belief.covariance[hit]), measured)
            belief.mean[hit], belief.covariance[hit], found[hit] = better.mean, better.covariance, better.boxes()
        self._remember(lanes, belief)
        return self.answer(lanes, images, list(found))

    def _remember(self, lanes: Sequence[int], belief: kalman.Belief) -> None:
        for i, lane in enumerate(lanes):
            self.beliefs[lane] = kalman.Belief(belief.mean[i : i + 1], belief.covariance[i : i + 1])


def _nearest(box: np.ndarray) -> Choose:
    """SORT's rule for one frame, of the box (4,) that is predicted there."""
    return partial(most_overlapping, reference=box.copy(), least=SORT_IOU_MIN)


class ROLO(ByDetection):
    """The recurrent network, on the last `steps` frames of each lane; of one that has fewer, the first is repeated.

    An oracle also looks one frame ahead: what it says of a frame, it says having seen the next; in the last frame
    of a sequence it has seen no more than in the one before.
    """

    def __init__(
        self,
        model: Model,
        see: Extractor,
        rule: Callable[[np.ndarray], Choose] | None,
        steps: int,
        device: str,
    ) -> None:
        super().__init__(see, rule)
        self.model = model.to(device).eval()
        self.device = device
        # By lane, the last frames; in turn, so that none is moved: `newest` is where the last one is.
        self.frames = torch.zeros(0, steps, model.width, device=device)
        self.newest = np.zeros(0, int)
        self.heatmaps: dict[int, tuple[np.ndarray, tuple[int, int]]] = {}  # by lane, with its image's height and width

    @torch.inference_mode()
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        super().initialize(lanes, images, regions)
        more = max(lanes) + 1 - len(self.newest)
        if more > 0:
            self.frames = torch.cat([self.frames, self.frames.new_zeros(more, *self.frames.shape[1:])])
            self.newest = np.pad(self.newest, (0, more))
        self.frames[list(lanes)] = self._rows(lanes, images)[:, None]  # (L, steps, width)
        if self.oracle:
            self._see_next(lanes)
        if self.model.by_heatmap:
            for lane, image in zip(lanes, images, strict=True):
                where = torch.from_numpy(located(self.boxes[lane], np.array(image.shape[1::-1])))
                self.heatmaps[lane] = self._square(heatmaps.drawn(where, self.model.side)), image.shape[:2]

    @torch.inference_mode()
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        if self.oracle:
            self._see_next(lanes)
        else:
            self._push(lanes, images)
        steps = self.frames.shape[1]
        order = (self.newest[list(lanes), None] + np.arange(1 - steps, 1)) % steps  # (L, steps)
        windows = self.frames[torch.as_tensor(lanes)[:, None], torch.from_numpy(order)]  # (L, steps, width)
        said = self.model(windows)
        if said.heatmap is not None:
            for lane, image, heatmap in zip(lanes, images, said.heatmap.cpu(), strict=True):
                self.heatmaps[lane] = self._square(heatmap), image.shape[:2]
        if said.location is not None:
            locations = said.location.double().cpu().numpy()  # (L, 4), centre and size
            shares = np.concatenate([locations[:, :2] - locations[:, 2:] / 2, locations[:, 2:]], 1)
        else:
            shares = np.stack([heatmaps.box(self.heatmaps[lane][0]) for lane in lanes])
        sizes = np.array([image.shape[1::-1] * 2 for image in images])  # (L, 4)
        return self.answer(lanes, images, list(shares * sizes))

    def attention(self, lanes: Sequence[int]) -> np.ndarray | None:
        """The heatmaps of the last step, resized to the image; None where only locations are regressed."""
        if not self.model.by_heatmap:
            return None
        shown = (self.heatmaps[lane] for lane in lanes)
        return np.stack([cv2.resize(heatmap, shape[::-1]).clip(min=0) for heatmap, shape in shown])

    def _see_next(self, lanes: Sequence[int]) -> None:
        """See one frame more of the sequences that these lanes play, where there is one."""
        ahead = {lane: (video, t + 1) for lane in lanes for video, t in [self.videos[lane]] if t + 1 < len(video)}
        if ahead:
            self.videos.update(ahead)
            self._push(list(ahead), [video.frames[t] for video, t in ahead.values()])

    def _push(self, lanes: Sequence[int], images: Sequence[Image]) -> None:
        at = (self.newest[list(lanes)] + 1) % self.frames.shape[1]
        self.frames[torch.as_tensor(lanes), torch.from_numpy(at)] = self._rows(lanes, images)
        self.newest[list(lanes)] = at

    def _rows(self, lanes: Sequence[int], images: Sequence[Image]) -> Tensor:
        """What the network is to see of one image of each lane: (L, width)."""
        every = self.chosen(lanes, images)
        visual = torch.from_numpy(np.stack([seen.features for seen, _ in every])).to(self.device).float()
        rows = [
            detection(seen, chosen, image.shape[1::-1], raw=self.oracle)
            for (seen, chosen), image in zip(every, images, strict=True)
        ]
        return self.model.inputs(visual, torch.from_numpy(np.stack(rows)).float().to(self.device))

    def _square(self, heatmap: Tensor) -> np.ndarray:
        """(side^2,) -> (side, side)."""
        return heatmap.float().reshape(self.model.side, -1).numpy()
