"""Gradient descent on the first layer of many lanes by what it makes of fixed inputs.

The first layer's inputs are frozen features x, the same rows at every iteration, and hard-negative mining wants what it
makes of a thousand of them each time. As its weights W move by sums of outer products d x of minibatches alone,

    W = a W_0 + sum over rows s of c_s x_s,    and    W x = a W_0 x + sum over s of c_s (x_s . x):

with W_0 x computed once, and products of rows as they enter minibatches, an iteration costs a quarter of what it costs
to multiply by W, and no gradient of W is ever made. The coefficients c follow from SGD with momentum and weight decay
as W itself would, v <- m v + g + decay W, W <- W - rate v; of the velocity v there are such coefficients, too.

    L lanes, R rows of D features, G outputs, S rows that were in minibatches
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Layer:
    """W of each lane, by its projections of rows. weights: (G, D), rows: (R, D) of each lane; most: entries, of S."""

    def __init__(self, weights: Sequence[Tensor], rows: Sequence[Tensor], most: int, momentum: float, decay: float):
        self.first, self.rows, self.momentum, self.decay = weights, rows, momentum, decay
        lanes, count = len(rows), max(map(len, rows))
        gates = weights[0].shape[0]
        self.projected = rows[0].new_zeros(lanes, count, gates)  # W_0 x
        for lane, (weight, some) in enumerate(zip(weights, rows, strict=True)):
            torch.mm(some, weight.mT, out=self.projected[lane, : len(some)])
        # Room for as many as may enter, mostly more than do: what is used is set to 0 as rows enter.
        self.products = rows[0].new_empty(lanes, count, most)  # x . x_s
        self.entered = rows[0].new_empty(lanes, most, dtype=torch.long)  # s
        self.coefficients = rows[0].new_empty(lanes, most, gates)  # c
        self.velocities = torch.empty_like(self.coefficients)
        self.share = self.velocity = 0.0  # a - 1, and the velocity's, which all lanes have in common
        self.place = torch.full((lanes, count), -1, device=rows[0].device)  # of a row among those that entered
        self.size = 0  # S

    def __call__(self, numbers: Tensor) -> Tensor:
        """W x of rows of these numbers (L, n): (L, n, G)."""
        lanes = torch.arange(len(numbers), device=numbers.device)[:, None]
        start = self.projected[lanes, numbers].mul_(1 + self.share)
        if not self.size:
            return start
        return start.baddbmm_(self.products[lanes, numbers, : self.size], self.coefficients[:, : self.size])

    def enter(self, numbers: Tensor) -> None:
        """Rows of these numbers (L, n) are about to be in minibatches; those that have entered are left as they are."""
        new = [own[place[own] < 0].unique() for own, place in zip(numbers, self.place, strict=True)]
        size = self.size + max(map(len, new))  # slots that a lane has no row for keep coefficients of 0
        for used in (self.coefficients, self.velocities, self.entered):
            used[:, self.size : size] = 0
        for lane, (rows, some) in enumerate(zip(self.rows, new, strict=True)):
            slots = slice(self.size, self.size + len(some))
            self.place[lane, some] = torch.arange(slots.start, slots.stop, device=some.device)
            products = self.products[lane, :, self.size : size]
            products[: len(rows), : len(some)] = rows @ rows[some].mT
            products[len(rows) :], products[:, len(some) :] = 0, 0
            self.entered[lane, slots] = some
        self.size = size

    def square(self, numbers: Tensor, slopes: Tensor) -> Tensor:
        """Squared norm (L,) of the gradient of W that slopes (L, n, G) of the projections of these rows make."""
        lanes = torch.arange(len(numbers), device=numbers.device)[:, None]
        products = self.products[
            lanes[..., None], numbers[:, :, None], self.place[lanes, numbers][:, None]
        ]  # (L, n, n)
        return (products * (slopes @ slopes.mT)).sum((1, 2))

    def step(self, numbers: Tensor, slopes: Tensor, rate: float) -> None:
        """One step by slopes (L, n, G) of the projections of these rows (L, n), all of which have entered."""
        lanes = torch.arange(len(numbers), device=numbers.device)[:, None]
        c, v = self.coefficients[:, : self.size], self.velocities[:, : self.size]
        v.mul_(self.momentum).add_(c, alpha=self.decay)
        places = self.place[lanes, numbers] + lanes * self.velocities.shape[1]
        self.velocities.flatten(0, 1).index_add_(0, places.flatten(), slopes.flatten(0, 1))
        c.sub_(v, alpha=rate)
        self.velocity = self.momentum * self.velocity + self.decay * (1 + self.share)
        self.share -= rate * self.velocity

    def weights(self) -> list[Tensor]:
        """W (G, D) of each lane."""
        return [
            torch.addmm(first, c[: self.size].mT, rows[s[: self.size]], beta=1 + self.share)
            for first, c, rows, s in zip(self.first, self.coefficients, self.rows, self.entered, strict=True)
        ]
