"""What the heads learn by: Eqs. 3, 5, 6 and 7, of each lane by itself.

L lanes, N pairs of a positive and a negative sequence sample
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def classification(scores: Tensor, positive: Tensor) -> Tensor:
    """Eq. 3: mean cross entropy (L,) of scores (L, 2 N, 2) of background and target; positive: bool (L, 2 N)."""
    entropies = F.cross_entropy(scores.flatten(0, 1), positive.flatten().long(), reduction="none")
    return entropies.view(positive.shape).mean(1)


def coherence(
    positives: Tensor, references: Tensor, negatives: Tensor, negative_references: Tensor, margin: float
) -> Tensor:
    """L_a, Eq. 5, (L,): positive states h_T are to be closer to their references a_T than negative ones to theirs.

    positives, references, negatives, negative_references: (L, N, U); pairs are those of the same number.
    """
    close = (positives - references).square().sum(2)  # (L, N)
    far = (negatives - negative_references).square().sum(2)
    return F.relu(close - far + margin).mean(1)


def compactness(positives: Tensor, negatives: Tensor) -> Tensor:
    """L_b, Eq. 6, (L,): positive representations h_T* (L, N, H) are to be near their centre, negative ones far.

    A negative one in the centre itself, which Eq. 6 divides by, counts as 1e-4 away.
    """
    centre = positives.mean(1, keepdim=True)  # mu
    within = (positives - centre).square().sum(2)  # (L, N)
    between = (negatives - centre).square().sum(2)
    return (within / between.clamp(min=1e-8)).mean(1)


def total(classification: Tensor, coherence: Tensor, compactness: Tensor, weights: tuple[float, float]) -> Tensor:
    """Eq. 7, (L,); weights: lambda_1 and lambda_2."""
    return classification + weights[0] * coherence + weights[1] * compactness
