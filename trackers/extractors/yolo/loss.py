"""The loss of YOLO (Redmon et al. 2016, Section 2.2, Equation 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trackers import boxes as box


def loss(
    split: tuple[Tensor, Tensor, Tensor],
    present: Tensor,
    classes: Tensor,
    truth: Tensor,
    coordinates: float = 5.0,
    nothing: float = 0.5,
) -> dict[str, Tensor]:
    """The parts of Equation 3, each a sum over an image and the mean over the batch, and their sum, "loss".

    split: what `YOLO.split` gives: class probabilities (N, S, S, C), confidences (N, S, S, B), boxes (N, S, S, B, 4).
    present: bool (N, S, S), the cells in which an object has its centre. classes: int64 (N, S, S), its class.
    truth: float (N, S, S, 4), its box: x, y of the centre in units of the cell, width and height in those of the
    image. coordinates, nothing: lambda_coord and lambda_noobj.

    Of a cell's predictors the one whose box overlaps the object most is responsible; where none overlaps, that of
    the least squared distance in x, y, width and height (darknet's reading). Its confidence is to be that overlap;
    that of all others, and of all in cells without object, 0.
    """
    probabilities, confidences, predicted = (part.float() for part in split)
    B, C = predicted.shape[3], probabilities.shape[3]
    responsible, overlaps = _responsible(predicted.detach(), truth)  # (N, S, S), (N, S, S, B)
    is_responsible = F.one_hot(responsible, B).bool() & present[..., None]  # (N, S, S, B)
    roots = torch.cat([truth[..., :2], truth[..., 2:].sqrt()], -1)  # (N, S, S, 4)
    off = (predicted - roots[..., None, :]).square().sum(-1)  # (N, S, S, B)
    wrong = (probabilities - F.one_hot(classes, C)).square().sum(-1)  # (N, S, S)
    parts = {
        "coordinates": coordinates * torch.where(is_responsible, off, 0.0),
        "confidence": torch.where(is_responsible, (confidences - overlaps).square(), 0.0),
        "nothing": nothing * torch.where(is_responsible, 0.0, confidences.square()),
        "classes": torch.where(present, wrong, 0.0),
    }
    sums = {name: part.flatten(1).sum(1).mean() for name, part in parts.items()}
    return {"loss": torch.stack(list(sums.values())).sum(), **sums}


def _responsible(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The number of each cell's responsible predictor (N, S, S), and the IoU of each with the truth (N, S, S, B)."""
    S = predicted.shape[1]
    found = torch.cat([predicted[..., :2] / S, predicted[..., 2:].square()], -1)  # (N, S, S, B, 4)
    wanted = torch.cat([truth[..., :2] / S, truth[..., 2:]], -1)[..., None, :]  # (N, S, S, 1, 4)
    overlaps = box.iou(_cornered(found), _cornered(wanted))  # (N, S, S, B)
    distances = (found - wanted).square().sum(-1)  # (N, S, S, B)
    overlapping = overlaps.amax(-1) > 0
    return torch.where(overlapping, overlaps.argmax(-1), distances.argmin(-1)), overlaps


def _cornered(centred: Tensor) -> Tensor:
    """x, y of the centre, width, height (..., 4) -> x, y of the corner, width, height."""
    return torch.cat([centred[..., :2] - centred[..., 2:] / 2, centred[..., 2:]], -1)
