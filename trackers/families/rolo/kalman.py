"""The Kalman filter of SORT (Bewley et al. 2016, arXiv:1602.00763, Section 3.2), for many targets at once.

The state is [u, v, s, r, du, dv, ds]: centre, area and aspect ratio (width by height) of the box, and how fast the
first three change a frame; the ratio stays as it is. A box is measured as [u, v, s, r]. All noise, and the first
covariance, are those of the authors' code: the paper gives none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackers.boxes import area, centre

MOTION = np.eye(7) + np.eye(7, k=4)  # F: each of u, v, s is moved by its velocity
MEASURED = np.eye(4, 7)  # H
FIRST = np.diag([10.0, 10, 10, 10, 1e4, 1e4, 1e4])  # P of a new target, whose velocities are unknown
PROCESS = np.diag([1.0, 1, 1, 1, 0.01, 0.01, 0.0001])  # Q
MEASUREMENT = np.diag([1.0, 1, 10, 10])  # R


@dataclass(frozen=True)
class Belief:
    """What is known of L targets: means (L, 7) and covariances (L, 7, 7) of their states."""

    mean: np.ndarray
    covariance: np.ndarray

    def boxes(self) -> np.ndarray:
        """(L, 4) x, y, width, height."""
        u, v, s, r = self.mean[:, :4].T
        width = np.sqrt(s * r)
        height = s / width
        return np.stack([u - width / 2, v - height / 2, width, height], 1)


def started(boxes: np.ndarray) -> Belief:
    """What is known of targets that were just seen in these boxes (L, 4)."""
    mean = np.concatenate([measurements(boxes), np.zeros((len(boxes), 3))], 1)
    return Belief(mean, np.broadcast_to(FIRST, (len(boxes), 7, 7)))


def predicted(belief: Belief) -> Belief:
    """One frame later. The area stays as it is where it would be gone."""
    mean = belief.mean.copy()
    mean[mean[:, 2] + mean[:, 6] <= 0, 6] = 0
    return Belief(mean @ MOTION.T, MOTION @ belief.covariance @ MOTION.T + PROCESS)


def updated(belief: Belief, boxes: np.ndarray) -> Belief:
    """Having seen the targets in these boxes (L, 4)."""
    P = belief.covariance  # (L, 7, 7)
    S = MEASURED @ P @ MEASURED.T + MEASUREMENT  # (L, 4, 4)
    K = np.linalg.solve(S, MEASURED @ P).transpose(0, 2, 1)  # (L, 7, 4): P and S are symmetric
    surprise = measurements(boxes) - belief.mean @ MEASURED.T  # (L, 4)
    left = np.eye(7) - K @ MEASURED
    covariance = left @ P @ left.transpose(0, 2, 1) + K @ MEASUREMENT @ K.transpose(0, 2, 1)  # Joseph's form
    return Belief(belief.mean + (K @ surprise[..., None])[..., 0], covariance)


def measurements(boxes: np.ndarray) -> np.ndarray:
    """Boxes (L, 4) of positive size -> (L, 4) u, v, s, r."""
    return np.concatenate([centre(boxes), area(boxes)[:, None], boxes[:, 2:3] / boxes[:, 3:]], 1)
