"""Section IV: a classifier that is trained in the first frame, looks for the target, and goes on learning."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from trackers import boxes
from trackers.families.rman import insight, network, sampling
from trackers.families.rman.insight import Glance
from trackers.families.rman.learning import Objective, learn
from trackers.families.rman.memory import Draws, Recollection
from trackers.families.rman.regression import Regressor
from trackers.families.rman.seeing import Maps, Patches
from trackers.sequence import Image
from trackers.tracker import Contrast, Recalled, Tracker

if TYPE_CHECKING:
    from trackers.families.rman import Config, Learning


SEQUENCES = 8  # of remembered patches, in the first frame


@dataclass
class Lane:
    """One video in flight. box: (4,) of the target, around which it is looked for next. refined: the box that is said.

    lost: whether the target was not found in the last frame. step: frames since the first. past: the last K + 1
    steps, of which the first frame is one, for those who look into them.
    """

    box: np.ndarray
    refined: np.ndarray
    heads: network.Heads
    recollection: Recollection
    regressor: Regressor | None
    past: deque[Glance]
    step: int = 0
    lost: bool = False


@dataclass
class Dice:
    """What a lane draws by: boxes, and what dropout lets through."""

    boxes: np.random.Generator
    dropout: torch.Generator

    @classmethod
    def of(cls, seed: int, device: str) -> Dice:
        first, second = np.random.SeedSequence(seed).generate_state(2)
        return cls(np.random.default_rng(first), torch.Generator(device).manual_seed(int(second)))


class RMAN(Tracker):
    """Each lane has heads of its own; those that learn at the same time do so in one batch."""

    stochastic = True

    def __init__(self, see: Patches | Maps, config: Config, device: str) -> None:
        self.see, self.config, self.device = see, config, device
        self.patches = Patches(see.backbone, see.size, see.border, see.grey, device)  # for those who look into it
        self.remembers = config.activation != "none" or config.recurrent
        self.lanes: dict[int, Lane] = {}
        self.dice: dict[int, Dice] = {}

    def reseed(self, lanes: Sequence[int], seeds: Sequence[int]) -> None:
        self.dice.update((lane, Dice.of(seed, self.device)) for lane, seed in zip(lanes, seeds, strict=True))

    @torch.no_grad()
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        own, drawn, draws, targets = self.config, [], [], [_of_a_pixel(box) for box in np.asarray(regions, float)]
        for number, image, box in zip(lanes, images, targets, strict=True):
            dice = self.dice.setdefault(number, Dice.of(0, self.device))
            drawn.append(self._first(box, _size(image), dice.boxes))
        seen = self.see(images, [np.concatenate(parts) for parts in drawn], targets)
        for number, box, parts, features in zip(lanes, targets, drawn, seen, strict=True):
            patch, around, positives, negatives = features.split([len(part) for part in parts])
            recollection = Recollection(own.remembered, own.long, own.short)
            recollection.remember(patch[0].clone())  # as what follows: else all that was seen would be kept with it
            every = max(1, len(negatives) // own.sampling.negatives)  # of the first frame as many as of any other
            recollection.collect(positives.clone(), negatives[::every].clone())
            draws.append(self._first_draws(positives, negatives, self.dice[number].boxes))
            regressor = Regressor.fit(around, parts[1], box, own.ridge) if len(around) else None
            past: deque[Glance] = deque(maxlen=own.remembered + 1)
            self.lanes[number] = Lane(
                box.copy(), box.copy(), self._heads(number, features.shape[1]), recollection, regressor, past
            )
        self._learn(lanes, draws, own.first)
        for number, image in zip(lanes, images, strict=True):
            self.lanes[number].past.append(self._glance(self.lanes[number], image))

    @torch.no_grad()
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        own = self.config
        here = [self.lanes[lane] for lane in lanes]
        candidates = [self._candidates(*one) for one in zip(lanes, here, images, strict=True)]
        seen = self.see(images, candidates, [lane.box for lane in here])
        # How much likelier the target is than background, as a logarithm: probabilities near 1 would be rounded to it.
        scores = self.scores(lanes, seen).diff(dim=2)[..., 0]  # (L, n)
        best = scores.topk(own.best, 1)
        for lane, image, drawn, features, score, chosen in zip(
            here, images, candidates, seen, best.values.tolist(), best.indices, strict=True
        ):
            lane.step += 1
            lane.lost = not expit(score).mean() > own.found  # nor is it where the score is no number
            if not lane.lost:
                some = drawn[chosen.cpu().numpy()]
                lane.box = some.mean(0)
                if lane.regressor is not None:
                    some = lane.regressor(features[chosen], some)
                lane.refined = boxes.inside(some.mean(0), *_size(image))
            lane.past.append(self._glance(lane, image))
        self._collect(lanes, images)
        due = [lane for lane, one in zip(lanes, here, strict=True) if one.step % own.every == 0]
        if due:
            self._learn(
                due,
                [self._draws(self.lanes[lane].recollection, own.update, self.dice[lane].boxes) for lane in due],
                own.update,
            )
        return np.stack([lane.refined for lane in here])

    def scores(self, lanes: Sequence[int], seen: Sequence[Tensor]) -> Tensor:
        """Scores (L, n, 2) of background and target of features (n, D) in each lane, after what it remembers."""
        return network.classify(self._rest(lanes), self.states(lanes, seen).temporal)

    def states(self, lanes: Sequence[int], seen: Sequence[Tensor]) -> network.States:
        """What features (n, D) become in each lane, after what it remembers."""
        here = [self.lanes[lane] for lane in lanes]
        first = [lane.heads[network.PROJECTION].mT for lane in here]
        projected = torch.stack([some @ weights for some, weights in zip(seen, first, strict=True)])  # (L, n, G)
        rest, memory = self._rest(lanes), None
        if self.remembers:
            patches = [torch.stack(tuple(lane.recollection.patches)) for lane in here]  # (K, D) each
            memory = network.memorize(
                rest, torch.stack([some @ weights for some, weights in zip(patches, first, strict=True)])[:, None]
            )
        of = torch.zeros(projected.shape[:2], dtype=torch.long, device=projected.device)
        return network.look(rest, projected, memory, of, self.config.activation)

    @torch.no_grad()
    def attention(self, lanes: Sequence[int]) -> np.ndarray:
        return np.stack([insight.attention(self.patches, self._last(lane), self.config.activation) for lane in lanes])

    @torch.no_grad()
    def recalled(self, lanes: Sequence[int]) -> list[Recalled] | None:
        own = self.config
        found = [
            insight.recalled(self.patches, list(self.lanes[lane].past), own.activation, own.remembered)
            for lane in lanes
        ]
        there = [one for one in found if one is not None]
        return there if len(there) == len(found) else None

    @torch.no_grad()
    def contrast(self, lanes: Sequence[int]) -> list[Contrast]:
        own = self.config
        return [insight.contrast(self.see, self._last(lane), own.activation, own.negative) for lane in lanes]

    def _last(self, lane: int) -> Glance:
        return self.lanes[lane].past[-1]

    def _glance(self, lane: Lane, image: Image) -> Glance:
        patches = torch.stack(tuple(lane.recollection.patches)) if self.remembers else None
        return Glance(image, lane.box, lane.heads, patches)

    def _rest(self, lanes: Sequence[int]) -> dict[str, Tensor]:
        """The lanes' parameters beside the first layer's, stacked."""
        here = [self.lanes[lane].heads for lane in lanes]
        return {name: torch.stack([heads[name] for heads in here]) for name in here[0] if name != network.PROJECTION}

    def _heads(self, lane: int, features: int) -> network.Heads:
        own, rng = self.config, torch.Generator().manual_seed(int(self.dice[lane].boxes.integers(2**32)))
        remembers = own.activation != "none"
        heads = network.initial(features, own.units, own.hidden, own.initial_std, own.recurrent, remembers, rng)
        return {name: parameter.to(self.device) for name, parameter in heads.items()}

    def _first(self, box: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
        """Boxes of the first frame: the target's; for the regression; positives; negatives."""
        own, draw = self.config, self.config.sampling
        spread = partial(sampling.uniform, box, shift=0.3, scale=1.6, aspect=1.1, size=size, rng=rng)
        around = sampling.overlapping(spread, box, draw.regression, low=0.6)
        positives = self._positives(box, draw.first_positives, size, rng)
        near = partial(sampling.uniform, box, shift=1.0, scale=2.0, aspect=1.1, size=size, rng=rng)
        far = partial(sampling.whole, box, scale=1.2, aspect=1.1, size=size, rng=rng)
        half = draw.first_negatives // 2
        negatives = [
            sampling.overlapping(near, box, half, high=own.negative),
            sampling.overlapping(far, box, draw.first_negatives - half, high=own.negative),
        ]
        return [box[None], around, positives, self._some(np.concatenate(negatives), box, draw.first_negatives, rng)]

    def _positives(self, box: np.ndarray, count: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        draw = partial(sampling.gaussian, box, shift=0.1, scale=1.2, size=size, rng=rng)
        found = sampling.overlapping(draw, box, count, low=self.config.positive)
        return found if len(found) else np.repeat(box[None], count, 0)

    def _some(self, found: np.ndarray, box: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Negatives; parts of the target where there are no others, as it fills the image."""
        return np.resize(found, (count, 4)) if len(found) else sampling.quarters(box, count, rng)

    def _candidates(self, number: int, lane: Lane, image: Image) -> np.ndarray:
        own = self.config.sampling
        shift = own.lost if lane.lost else own.shift
        return sampling.gaussian(lane.box, own.candidates, shift, own.scale, _size(image), self.dice[number].boxes)

    def _collect(self, lanes: Sequence[int], images: Sequence[Image]) -> None:
        """Samples of this frame (Section IV-C), of lanes whose target was found; and of all the patch in their box."""
        own = self.config
        drawn = []
        for number, image in zip(lanes, images, strict=True):
            lane, size, rng = self.lanes[number], _size(image), self.dice[number].boxes
            parts = [lane.box[None]]
            if not lane.lost:
                near = partial(sampling.uniform, lane.box, shift=1.5, scale=1.2, aspect=1.1, size=size, rng=rng)
                negatives = sampling.overlapping(near, lane.box, own.sampling.negatives, high=own.negative)
                parts.append(self._positives(lane.box, own.sampling.positives, size, rng))
                parts.append(self._some(negatives, lane.box, own.sampling.negatives, rng))
            drawn.append(parts)
        seen = self.see(images, [np.concatenate(parts) for parts in drawn], [self.lanes[lane].box for lane in lanes])
        for number, parts, features in zip(lanes, drawn, seen, strict=True):
            recollection = self.lanes[number].recollection
            if len(parts) > 1:
                recollection.collect(*(some.clone() for some in features[1:].split([len(part) for part in parts[1:]])))
            recollection.remember(features[0].clone())

    def _first_draws(self, positives: Tensor, negatives: Tensor, rng: np.random.Generator) -> Draws:
        """Sequence samples of the first frame: what each follows are patches drawn from its positives."""
        own, count = self.config, SEQUENCES
        first = Recollection(own.remembered, count, count)
        for some, others in zip(positives.tensor_split(count), negatives.tensor_split(count), strict=True):
            for number in rng.integers(len(positives), size=own.remembered):
                first.patches.append(positives[number])
            first.collect(some, others)
        return self._draws(first, own.first, rng)

    def _draws(self, recollection: Recollection, learning: Learning, rng: np.random.Generator) -> Draws:
        return recollection.draw(learning.iterations, self.config.pairs, self.config.mined, rng)

    def _learn(self, lanes: Sequence[int], draws: Sequence[Draws], learning: Learning) -> None:
        own = self.config
        objective = Objective(
            learning.learning_rate,
            own.activation,
            (own.coherence, own.compactness),
            own.margin,
            own.dropout,
            own.momentum,
            own.weight_decay,
            own.clip,
            own.last_rate,
        )
        with torch.enable_grad():
            learnt = learn(
                [self.lanes[lane].heads for lane in lanes],
                draws,
                objective,
                [self.dice[lane].dropout for lane in lanes],
            )
        for lane, heads in zip(lanes, learnt, strict=True):
            self.lanes[lane].heads = heads


def _of_a_pixel(box: np.ndarray) -> np.ndarray:
    """A box (4,) whose sides are a pixel at least: what is smaller cannot be enlarged to a patch."""
    sides = box[2:].clip(min=1)
    return np.concatenate([box[:2] + (box[2:] - sides) / 2, sides])


def _size(image: Image) -> tuple[int, int]:
    """Width and height."""
    return image.shape[1], image.shape[0]
