"""VGG-M's weights where the user names no file: learnt by telling the classes of objects in still images."""

from __future__ import annotations

from dataclasses import dataclass, field

from trackers.training import Training


@dataclass(frozen=True)
class Pretraining:
    """Adam on cross entropy. held_out: of so many objects one, by which accuracy is measured and nothing learnt."""

    held_out: int = 10
    training: Training = field(
        default_factory=lambda: Training(batch=50, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )
