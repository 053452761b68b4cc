"""YOLO at work: what it sees in images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from trackers import crops
from trackers.backbones.yolo import YOLO
from trackers.extractors import Seen
from trackers.extractors.yolo.decoding import decode
from trackers.sequence import Image

LARGEST = float(np.finfo(np.float16).max)


class Detector:
    """An `Extractor`: images are resized to the network's square and seen in one pass.

    threshold, overlap, across_classes: what of its answers is a detection, see `decode`.
    """

    def __init__(self, model: YOLO, threshold: float, overlap: float, across_classes: bool, device: str) -> None:
        self.model = model.to(device)
        self.detections = partial(decode, threshold=threshold, overlap=overlap, across_classes=across_classes)
        self.device = device

    @torch.no_grad()
    def __call__(self, images: Sequence[Image]) -> list[Seen]:
        whole = torch.tensor([[0, 0, image.shape[1], image.shape[0]] for image in images])  # (N, 4)
        seen = crops.sample_on(self.device, images, whole, self.model.config.size)
        features, output = self.model(seen)  # (N, D), (N, S * S * (B * 5 + C))
        classes, confidences, boxes = (part.float().cpu().numpy() for part in self.model.split(output))
        kept = features.clamp(-LARGEST, LARGEST).half().cpu().numpy()
        detections = (
            self.detections(classes[i], confidences[i], boxes[i], image.shape[1::-1]) for i, image in enumerate(images)
        )
        return [Seen(own, *found) for own, found in zip(kept, detections, strict=True)]
