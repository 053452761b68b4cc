"""RecTracker-ID's training at the paper's size: whole clips at once against frame by frame."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trackers.families.rectracker import Config, Model, cost
from trackers.optimizers import RMSProp
from trackers.training import captured

CLIPS, LENGTH, SIZE = 32, 20, 100


class PlainLoop(nn.Module):
    """The same layers as one writes them down: a convolution and a GRU cell a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 10, stride=5)
        self.gru = nn.GRUCell(19 * 19 * 32 + 4, 200)
        self.out = nn.Linear(200, 4)

    def forward(self, frames: Tensor, given: Tensor) -> Tensor:
        box, h = given[:, 0], torch.zeros(len(given), 200, device=given.device)
        predicted = []
        for t in range(frames.shape[1]):
            features = torch.tanh(self.conv(frames[:, t, None].float() / 255)).flatten(1)  # (N, 11552)
            h = self.gru(torch.cat([features, box], dim=1), h)  # (N, 200)
            if t:
                box = torch.tanh(self.out(h))  # (N, 4)
                predicted.append(box)
        return torch.stack(predicted, dim=1)


class OwnSteps(nn.Module):
    """The tracker's own model, frame by frame."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(Config(image_size=SIZE))

    def forward(self, frames: Tensor, given: Tensor) -> Tensor:
        state, predicted = self.model.start(given[:, 0]), []
        for t in range(frames.shape[1]):
            if t == 1:
                state = state._replace(box=given[:, 0])
            state = self.model.step(state, frames[:, t])
            predicted.append(state.box)
        return torch.stack(predicted[1:], dim=1)


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Training sequences per second: forward, backward and optimizer, on clips made beforehand.

    On a GPU, where there is one, ours is captured in a CUDA graph; else both have two cores.
    """
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    torch.set_num_threads(2)
    frames = torch.randint(0, 256, (CLIPS, LENGTH, SIZE, SIZE), dtype=torch.uint8).to(device)
    corners = (torch.rand(CLIPS, LENGTH, 4) * 2 - 1).to(device)
    model = Model(Config(image_size=SIZE))
    updates = {
        "ours": _update(model.to(device), frames, corners, capture=on_gpu),
        "a plain loop": _update(PlainLoop().to(device), frames, corners),
        "its own steps": _update(OwnSteps().to(device), frames, corners),
    }
    if on_gpu:
        updates["ours, in bfloat16"] = _update(
            Model(Config(image_size=SIZE)).to(device), frames, corners, capture=True, mixed_precision=True
        )
    rates: dict[str, list[float]] = {what: [] for what in updates}
    updates_a_turn = 50 if on_gpu else 2
    for repeat in range(repeats + 1):
        for what, update in updates.items():
            start = time.perf_counter()
            for _ in range(updates_a_turn):
                update()
            if on_gpu:
                torch.cuda.synchronize()
            if repeat:  # the first turn is to warm up
                rates[what].append(CLIPS * updates_a_turn / (time.perf_counter() - start))
    medians = {what: statistics.median(rate) for what, rate in rates.items()}
    target = 10.0 if on_gpu else 2.0
    rows = [
        ("ours", "a plain loop", target),
        ("ours", "its own steps", None),
        ("ours, in bfloat16", "a plain loop", None),
    ]
    return [
        {
            "what": f"RecTracker-ID, whole clips at once{ours.removeprefix('ours')}, against {other}",
            "ours": medians[ours],
            "other": medians[other],
            "unit": "sequences/s",
            "ratio": medians[ours] / medians[other],
            "target": wanted,
        }
        for ours, other, wanted in rows
        if ours in medians
    ]


def _update(
    network: nn.Module, frames: Tensor, corners: Tensor, *, capture: bool = False, mixed_precision: bool = False
) -> Callable[[], object]:
    """One update of a network on these clips, as a function."""
    optimizer = RMSProp(network.parameters(), lr=torch.tensor(1e-4, device=frames.device))

    def update(frames: Tensor, corners: Tensor) -> dict[str, Tensor]:
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=mixed_precision):
            loss = cost(network(frames, corners[:, :1]), corners[:, 1:], 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    run = captured(update, (frames, corners), network, optimizer) if capture else update
    return lambda: run(frames, corners)
