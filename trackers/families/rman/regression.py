"""Box regression as in R-CNN (Girshick et al. 2014, Appendix C): from what is seen of a box to the target's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackers import boxes

NORM = 20.0


@dataclass(frozen=True)
class Regressor:
    """Linear in features, by ridge regression on the first frame. weights: (D, 4), mean: (D,), offset: (4,)."""

    weights: Tensor
    mean: Tensor
    offset: Tensor

    @classmethod
    def fit(cls, features: Tensor, drawn: np.ndarray, target: np.ndarray, ridge: float) -> Regressor:
        """features: (n, D) of boxes drawn (n, 4) around the target (4,). ridge: lambda of the penalty.

        Features and wanted corrections have their means taken off. There are fewer boxes than features, so that the
        system of n equations is solved.
        """
        wanted = torch.from_numpy(corrections(drawn, target)).to(features)  # (n, 4)
        seen = scaled(features)
        mean, offset = seen.mean(0), wanted.mean(0)
        x = seen - mean
        gram = x @ x.T
        gram.diagonal().add_(ridge)
        weights = x.T @ torch.linalg.solve(gram, wanted - offset)
        return cls(weights, mean, offset)

    def __call__(self, features: Tensor, drawn: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) corrected by what is seen of them: features (n, D)."""
        found = ((scaled(features) - self.mean) @ self.weights + self.offset).double().cpu().numpy()
        return corrected(drawn, found)


def scaled(features: Tensor) -> Tensor:
    """Features (n, D), each of the norm 20, the mean one in R-CNN: a brighter frame is no other box."""
    return features * (NORM / features.norm(dim=1, keepdim=True).clamp(min=1e-6))


def corrections(drawn: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(n, 4) from boxes (n, 4) to the target: its centre's offset in their sides, and logarithms of scales."""
    offsets = (boxes.centre(target) - boxes.centre(drawn)) / drawn[:, 2:]
    return np.concatenate([offsets, np.log(target[2:] / drawn[:, 2:])], 1)


def corrected(drawn: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The way back: boxes (n, 4) and corrections (n, 4), of which scales count at most e either way -> (n, 4)."""
    centres = boxes.centre(drawn) + found[:, :2] * drawn[:, 2:]
    sides = drawn[:, 2:] * np.exp(np.clip(found[:, 2:], -1, 1))
    return np.concatenate([centres - sides / 2, sides], 1)
