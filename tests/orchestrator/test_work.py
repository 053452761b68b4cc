from __future__ import annotations

import io
from functools import partial
from typing import Any

import pytest
import torch

from orchestrator import work
from orchestrator.work import JobReporter, Task


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(work, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("pause", "takes", "kept"),
    [
        (20, 1, [20, 40, 60, 80, 100]),
        (20, 2, [20, 60, 100]),  # 20 times as long as it took: 40 s
        (0, 2, list(range(1, 101))),
    ],
)
def test_large_checkpoints_are_kept_less_often(clock, pause, takes, kept):
    """In steps of a second, checkpoints are a pause apart, or 20 times as long as keeping one took; or each is kept."""
    sent: list[tuple[Any, ...]] = []

    def emit(*event: Any) -> None:
        clock.now += takes
        sent.append(event)

    reporter = JobReporter(Task("train", "", {}, {}, {}, {}, checkpoint_seconds=pause), emit)
    for step in range(1, 101):
        clock.now += 1
        reporter.checkpoint(step, partial(dict, done=torch.tensor(step)))
    assert [step for _, step, _ in sent] == kept
    loaded = [torch.load(io.BytesIO(content), weights_only=True)["done"] for *_, content in sent]
    assert loaded == kept
