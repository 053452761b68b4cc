"""Online learning (Sections IV-A and IV-C) of the heads of many lanes at once; none depends on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackers.families.rman import losses, network
from trackers.families.rman.descent import Layer
from trackers.families.rman.memory import Draws


@dataclass(frozen=True)
class Objective:
    """What is learnt by, and how; see `Config` of the family. rate: of this training."""

    rate: float
    activation: str
    weights: tuple[float, float]  # lambda_1, lambda_2
    margin: float
    dropout: float
    momentum: float
    decay: float
    clip: float
    last_rate: float


def learn(
    heads: Sequence[network.Heads],
    draws: Sequence[Draws],
    objective: Objective,
    generators: Sequence[torch.Generator],
) -> list[dict[str, Tensor]]:
    """The heads of each lane after this training; a generator each for what dropout lets through."""
    lesson = Lesson(heads, draws, objective, generators)
    for iteration in range(len(draws[0].positives)):
        lesson.learn(lesson.mined(iteration))
    return lesson.heads()


class Lesson:
    """One training of lanes' heads, iteration by iteration.

    L lanes, F frames of K remembered patches, U patches, N pairs, M candidates for negatives, T iterations
    """

    def __init__(
        self,
        heads: Sequence[network.Heads],
        draws: Sequence[Draws],
        objective: Objective,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.objective, self.generators = objective, generators
        device = draws[0].rows.device
        frames, rows = max(len(one.sequences) for one in draws), max(len(one.of) for one in draws)
        self.sequences = torch.stack([_padded(one.sequences, frames) for one in draws]).to(device)  # (L, F, K)
        self.of = torch.stack([_padded(one.of, rows) for one in draws]).to(device)  # (L, R)
        self.positives = torch.stack([one.positives for one in draws], 1).to(device)  # (T, L, N)
        self.candidates = torch.stack([one.candidates for one in draws], 1).to(device)  # (T, L, M)
        self.rest = {name: _stacked([own[name] for own in heads]) for name in heads[0] if name != network.PROJECTION}
        self.velocities = {name: torch.zeros_like(parameter) for name, parameter in self.rest.items()}
        remembers = objective.activation != "none" or "recurrent.weight" in self.rest
        patches = torch.arange(max(one.patches for one in draws) if remembers else 0)
        # In place of patches that a lane lacks it has its last one: it may have no other rows.
        own = [patches.clamp(max=one.patches - 1) for one in draws]
        self.patches = torch.stack(own).to(device)  # (L, U)
        most = len(patches) + 2 * self.positives.shape[0] * self.positives.shape[2]
        first = [own[network.PROJECTION] for own in heads]
        self.layer = Layer(first, [one.rows for one in draws], most, objective.momentum, objective.decay)
        self.layer.enter(self.patches)

    @torch.no_grad()
    def mined(self, iteration: int) -> Tensor:
        """Rows of a minibatch, (L, 2 N): the positives of this iteration, and the candidates most like a target."""
        candidates, pairs = self.candidates[iteration], self.positives.shape[2]
        states = self._states(self.layer(candidates), self.layer(self.patches), candidates)
        hardest = network.classify(self.rest, states.temporal)[..., 1].topk(pairs, 1).indices
        return torch.cat([self.positives[iteration], candidates.gather(1, hardest)], 1)

    def learn(self, rows: Tensor) -> None:
        """One step of gradient descent on a minibatch of rows (L, 2 N), positives first."""
        self.layer.enter(rows)
        numbers = torch.cat([rows, self.patches], 1)  # (L, 2 N + U)
        projected = self.layer(numbers).requires_grad_()
        loss = self._loss(projected, rows)
        slopes, *gradients = torch.autograd.grad(
            loss.sum(), [projected, *self.rest.values()], allow_unused=True, materialize_grads=True
        )
        self._step(numbers, slopes, dict(zip(self.rest, gradients, strict=True)))

    def heads(self) -> list[dict[str, Tensor]]:
        """What each lane has learnt."""
        return [
            {network.PROJECTION: first, **{name: own.detach()[lane].clone() for name, own in self.rest.items()}}
            for lane, first in enumerate(self.layer.weights())
        ]

    def _states(self, projected: Tensor, remembered: Tensor, rows: Tensor) -> network.States:
        """Of rows (L, n): projections (L, n, G), those of the patches (L, U, G)."""
        memory = None
        if remembered.shape[1]:
            memory = network.memorize(self.rest, network.pick(remembered, self.sequences))
        return network.look(self.rest, projected, memory, self.of.gather(1, rows), self.objective.activation)

    def _loss(self, projected: Tensor, rows: Tensor) -> Tensor:
        """Eq. 7, (L,), of projections (L, 2 N + U, G)."""
        own, pairs = self.objective, rows.shape[1] // 2
        states = self._states(projected[:, : 2 * pairs], projected[:, 2 * pairs :], rows)
        scores = network.classify(self.rest, states.temporal, self._kept(states.temporal))
        positive = (torch.arange(2 * pairs, device=rows.device) < pairs).expand_as(rows)
        loss = losses.classification(scores, positive)
        if states.reference is None:
            return loss
        (h, h_n), (a, a_n), (z, z_n) = (x.split(pairs, 1) for x in (states.current, states.reference, states.temporal))
        coherence, compactness = losses.coherence(h, a, h_n, a_n, own.margin), losses.compactness(z, z_n)
        return losses.total(loss, coherence, compactness, own.weights)

    def _step(self, numbers: Tensor, slopes: Tensor, gradients: dict[str, Tensor]) -> None:
        own = self.objective
        norms = [
            torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim))) for gradient in gradients.values()
        ]
        norm = (self.layer.square(numbers, slopes) + torch.stack(norms).square().sum(0)).sqrt()  # (L,)
        factor = (own.clip / norm.clamp(min=1e-6)).clamp(max=1)
        self.layer.step(numbers, slopes * factor[:, None, None], own.rate)
        with torch.no_grad():
            for name, gradient in gradients.items():
                rate = own.rate * (own.last_rate if name.startswith("output") else 1.0)
                parameter, velocity = self.rest[name], self.velocities[name]
                velocity.mul_(own.momentum).add_(parameter, alpha=own.decay)
                velocity.addcmul_(gradient, factor.view(-1, *[1] * (gradient.ndim - 1)))
                parameter.sub_(velocity, alpha=rate)

    def _kept(self, temporal: Tensor) -> tuple[Tensor, Tensor] | None:
        """What dropout lets through before each layer of the classifier: (L, 2 N, .) each, 0 or 1 / (1 - share)."""
        share = self.objective.dropout
        if not share:
            return None
        count, widths = temporal.shape[1], (temporal.shape[2], self.rest["hidden.weight"].shape[1])
        drawn = [
            [torch.rand(count, width, generator=rng, device=temporal.device) for rng in self.generators]
            for width in widths
        ]
        first, second = ((torch.stack(some) >= share) / (1 - share) for some in drawn)
        return first, second


def _stacked(parameters: Sequence[Tensor]) -> Tensor:
    """(L, ...) to be learnt: weights column by column in memory, as their gradients come."""
    if parameters[0].ndim == 1:
        return torch.stack(tuple(parameters)).requires_grad_()
    return torch.stack([weights.T for weights in parameters]).mT.requires_grad_()


def _padded(numbers: Tensor, length: int) -> Tensor:
    """The first one repeated at the end."""
    return torch.cat([numbers, numbers[:1].expand(length - len(numbers), *numbers.shape[1:])])
