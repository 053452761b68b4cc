"""Training: a small graph of steps, each resumable bit for bit, and the loop inside most of them.

A step is a pure function of its inputs, its settings and its seed. It talks to the world only
through a `Reporter`: progress, metrics, and checkpoints from which it goes on after a kill.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from trackers import parallel

if TYPE_CHECKING:
    from trackers.features import Features

Weights = Mapping[str, Tensor]  # what training publishes: a flat state_dict


class Reporter(Protocol):
    """Where a step says how it goes."""

    def progress(self, done: int, total: int) -> None:
        """So much of the step is done (any unit, the same in both)."""

    def metric(self, name: str, value: float, step: int) -> None:
        """One point of a curve."""

    def checkpoint(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        """Offer a checkpoint: `state()` is called, and kept, only when one is due.

        The state holds tensors, numbers, strings, lists and dicts only (it is read back with
        `weights_only=True`).
        """

    def resume(self) -> dict[str, Any] | None:
        """The last checkpoint kept of this step, on the CPU; None at a fresh start."""


class Silent:
    """A reporter that keeps nothing and resumes nothing."""

    def progress(self, done: int, total: int) -> None: ...

    def metric(self, name: str, value: float, step: int) -> None: ...

    def checkpoint(self, step: int, state: Callable[[], dict[str, Any]]) -> None: ...

    def resume(self) -> dict[str, Any] | None:
        return None


@dataclass(frozen=True)
class Inputs:
    """What a step works on.

    data: the opened training data, by the role that it plays. weights: those of the steps it needs, by
    their names. files: where each of the files that it reads lies, by its name in the settings. features:
    caches of what the family's extractor saw in the training data that the step reads, by role.
    """

    data: Mapping[str, Any]
    seed: int
    device: str = "cpu"
    weights: Mapping[str, Weights] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    features: Mapping[str, Features] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One node of a family's training graph; variants that agree on all that it depends on share its result.

    needs: names of the steps whose weights it takes. reads: the training data that it looks at, by role
    ("train" where an experiment names one data set). files: paths of other files that it reads.
    settings: names of those settings that it depends on, or None for all; it sees the others at their defaults.
    seeded: whether it draws random numbers. prepares: whether it learns nothing, and only lays data out: it is given
    all sequences in cross-validation, too, so that all folds share its result. parallel: whether several processes
    can do it together, see `trackers.parallel`.
    """

    name: str
    run: Callable[[Inputs, Any, Reporter], Weights]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ("train",)
    files: tuple[str, ...] = ()
    settings: tuple[str, ...] | None = None
    seeded: bool = True
    prepares: bool = False
    parallel: bool = False


@dataclass(frozen=True)
class Training:
    """How long and how fast `fit` trains; the defaults are those of Gan et al. 2015, Appendix B.

    3,200,000 examples are read as 50 epochs of 2000 minibatches of 32, no example seen twice.
    """

    batch: int = 32  # clips, or examples, an update
    updates_per_epoch: int = 2000
    epochs: int = 50  # at most
    patience: int = 5  # epochs without a new lowest mean loss, after which training stops
    learning_rate: float = 1e-4
    decay: bool = False  # let the learning rate fall linearly, to 0 after the last epoch
    drop_every: int | None = None  # updates after which, each time, the learning rate is a tenth of what it was
    report_every: int = 100  # updates whose mean is one point of a curve
    mixed_precision: bool = False  # bfloat16 autocast, on a GPU only
    capture: bool = False  # replay each update as one CUDA graph, on a GPU only, and by one process only

    def __post_init__(self) -> None:
        for name in ("batch", "updates_per_epoch", "patience", "report_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.epochs < 0:
            raise ValueError(f"epochs: expected at least 0 (no training), got {self.epochs}")
        if self.drop_every is not None and self.drop_every < 1:
            raise ValueError(f"drop_every: expected at least 1 update, got {self.drop_every}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate: expected a positive number, got {self.learning_rate}")

    @property
    def updates(self) -> int:
        """Updates in all epochs."""
        return self.epochs * self.updates_per_epoch


class DivergedError(FloatingPointError):
    """A loss, or a weight, is no longer a finite number."""


Batch = Callable[[int], tuple[Tensor, ...]]
Costs = Callable[..., Mapping[str, Tensor]]


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    costs: Costs,
    training: Training,
    reporter: Reporter,
    validate: Callable[[], Mapping[str, float]] = dict,
    axes: Sequence[int | None] | None = None,
    sums: Collection[str] = (),
) -> Weights:
    """Train `model`, on the device where its parameters are; the weights, on the CPU.

    batch: the minibatch of an update, given its number (from 0). A pure function of it: so a
    training that was interrupted goes on from its last checkpoint to the same weights, bit for bit.
    costs: named scalars of a minibatch. "loss" is minimized; the mean of each over
    `report_every` updates is reported as a metric of that name.
    optimizer: its groups' learning rates are those of the first update. With `capture` it must be able to
    step inside a CUDA graph, with learning rates that are tensors.
    validate: more metrics, taken with the model in evaluation mode whenever costs are reported.
    axes, sums: how a minibatch and its costs are parted where several processes train together, see `parallel`: of
    each tensor the dimension of the examples (None: 0 of each), and those costs that are sums over them, not means.
    The first process alone validates; all see the same costs, and so stop, or diverge, at the same update.

    A GPU is waited for only at reports, checkpoints and the ends of epochs. There a loss that was
    not finite raises DivergedError, with the number of its update.
    """
    device = next(model.parameters()).device
    on_gpu = device.type == "cuda"
    length, total = training.updates_per_epoch, training.updates
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    team = parallel.Team(model, axes, sums)
    done, best, stale = 0, math.inf, 0  # updates; lowest mean loss of an epoch; epochs since
    curves: dict[str, Tensor] = {}  # each cost at each update of this epoch, then of the last one

    if (saved := reporter.resume()) is not None:
        model.load_state_dict(saved["model"])
        given = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
        optimizer.load_state_dict(saved["optimizer"])
        for group, own in zip(optimizer.param_groups, given, strict=True):
            group.update(own)  # who goes on with a shorter training may do so with another momentum or decay
        done, best, stale = saved["done"], saved["best"], saved["stale"]
        curves = {name: curve.to(device) for name, curve in saved["curves"].items()}
    team.begin(done)

    def update(*tensors: Tensor) -> dict[str, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=training.mixed_precision and on_gpu):
            values = costs(*tensors)
        optimizer.zero_grad(set_to_none=True)
        found = team.backward(values)
        optimizer.step()
        return found

    def check() -> None:
        losses = curves["loss"][: (done - 1) % length + 1].tolist()
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is not None:
            number = done - len(losses) + bad
            last = f"{float(curves['loss'][bad - 1]):g}" if number else "none"
            raise DivergedError(
                f"update {number}: expected a finite loss, got {losses[bad]} at a learning rate of "
                f"{rates[0] * factor(number):g}; the last finite loss was {last}"
            )

    def factor(number: int) -> float:
        drops = number // training.drop_every if training.drop_every else 0
        return (1 - number / total if training.decay else 1.0) * 0.1**drops

    def state() -> dict[str, Any]:
        check()
        return {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "done": done,
            "best": best,
            "stale": stale,
            "curves": curves,
        }

    model.train()
    step: Callable[..., Mapping[str, Tensor]] = update
    if training.capture and on_gpu and team.ranks == 1 and done < total:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = torch.tensor(rate, device=device)
        step = captured(update, batch(done), model, optimizer)
    while done < total and stale < training.patience:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            set_rate(group, rate * factor(done))
        at = done % length
        for name, value in step(*team.part(batch(done))).items():
            curves.setdefault(name, torch.zeros(length, device=device))[at] = value
        done += 1
        if (at + 1) % training.report_every == 0 or at + 1 == length:
            check()
            since = at // training.report_every * training.report_every
            for name, curve in curves.items():
                reporter.metric(name, float(curve[since : at + 1].mean()), done)
            if team.rank == 0:
                model.eval()
                for name, score in validate().items():
                    reporter.metric(name, score, done)
                model.train()
        if at + 1 == length:
            mean = float(curves["loss"].mean())
            best, stale = (mean, 0) if mean < best else (best, stale + 1)
        reporter.progress(done, total)
        reporter.checkpoint(done, state)
    for name, weight in model.state_dict().items():
        if not weight.isfinite().all():
            raise DivergedError(f"weights {name}: expected finite numbers after {done} updates, got NaN or infinity")
    return {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set a group's learning rate; in place where it is a tensor, which a CUDA graph may hold."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def captured(
    update: Callable[..., dict[str, Tensor]],
    example: tuple[Tensor, ...],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> Callable[..., dict[str, Tensor]]:
    """`update` as one CUDA graph: the same arguments, of the shapes of `example`; the same results.

    The results of one call are overwritten by the next. Model and optimizer are left as they were.
    """
    inputs = tuple(tensor.clone() for tensor in example)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), unchanged(model, optimizer):
        for _ in range(3):  # libraries choose their algorithms before the capture, which forbids that
            update(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad(set_to_none=True)  # gradients, too, are to live in the graph's own memory
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = update(*inputs)

    def replay(*tensors: Tensor) -> dict[str, Tensor]:
        for static, tensor in zip(inputs, tensors, strict=True):
            static.copy_(tensor)
        graph.replay()
        return results

    return replay


@contextmanager
def unchanged(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Undo, in place, what happens inside to the model and to the optimizer's state.

    State that an optimizer makes at its first step stays, as zeros.
    """

    def tensors() -> list[Tensor]:
        states = [value for state in optimizer.state.values() for value in state.values()]
        return [*model.parameters(), *model.buffers(), *(value for value in states if isinstance(value, Tensor))]

    before = {id(tensor): tensor.detach().clone() for tensor in tensors()}
    yield
    with torch.no_grad():
        for tensor in tensors():
            if id(tensor) in before:
                tensor.copy_(before[id(tensor)])
            else:
                tensor.zero_()
