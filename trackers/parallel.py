"""One training by several processes, each with a GPU, or cores, of its own: synchronous and data-parallel.

Each process draws the whole minibatch, learns from its part of it, and adds its gradients to those of the others.
So all make one and the same update, which is that of one process on the whole minibatch, to rounding, and their weights
are the same at all times. What is random (dropout, noise) is drawn with the minibatch, before it is parted: it is the
same, too. A layer whose results depend on other examples of the minibatch (batch normalization) would see a part only;
no model here has one. Drawing is not shared out: where it takes longer than learning, more processes help little.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = timedelta(minutes=30)  # for another process: rank 0 may validate, or keep a checkpoint, in the meantime
BUCKET = 25 << 20  # bytes of gradients that travel together


class LostPeerError(RuntimeError):
    """Another process of the training is gone: what ended it is said there, not here."""


@contextmanager
def joined(rank: int, ranks: int, meeting: str, device: str, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Inside, this process is the `rank`-th (from 0) of so many that train together.

    meeting: where they meet, a URL of torch.distributed, the same for all; tcp://'s is an address of rank 0's.
    device: GPUs talk by NCCL, each process having one of its own; CPUs by Gloo, over the network on which the meeting
    is. LostPeerError where the others do not come, or are gone.
    """
    with _lost(rank, ranks), _interface(meeting):
        gpu = torch.device("cuda", torch.cuda.current_device()) if torch.device(device).type == "cuda" else None
        dist.init_process_group(
            "nccl" if gpu else "gloo", meeting, world_size=ranks, rank=rank, timeout=patience, device_id=gpu
        )
    try:
        yield
        with _lost(rank, ranks):
            dist.barrier()  # nobody leaves while another still listens
    finally:
        dist.destroy_process_group()


def standing() -> tuple[int, int]:
    """(rank, ranks) of this process; (0, 1) for one that trains alone."""
    together = dist.is_available() and dist.is_initialized()
    return (dist.get_rank(), dist.get_world_size()) if together else (0, 1)


def part(
    tensors: Sequence[Tensor], axes: Sequence[int | None] | None, rank: int, ranks: int
) -> tuple[tuple[Tensor, ...], float]:
    """What of a minibatch this process learns from, and its share of the examples.

    axes: of each tensor the dimension along which its examples lie, or None where all of it is for all; None: 0 of
    each. Parts follow each other, and differ by one example at most. ValueError for fewer examples than processes.
    """
    axes = [0] * len(tensors) if axes is None else axes
    counts = {tensor.shape[axis] for tensor, axis in zip(tensors, axes, strict=True) if axis is not None}
    if len(counts) != 1:
        raise ValueError(f"expected as many examples in each tensor of a minibatch, got {sorted(counts)}")
    [count] = counts
    if count < ranks:
        raise ValueError(f"batch: expected an example for each of {ranks} processes, got {count}")
    start, stop = count * rank // ranks, count * (rank + 1) // ranks
    own = (
        tensor if axis is None else tensor.narrow(axis, start, stop - start)
        for tensor, axis in zip(tensors, axes, strict=True)
    )
    return tuple(own), (stop - start) / count


class Team:
    """The processes that train a model together, seen from one of them; one alone does what it always did.

    axes: see `part`. sums: names of costs that are sums over the examples of a minibatch; all others are means.
    """

    def __init__(self, model: nn.Module, axes: Sequence[int | None] | None, sums: Collection[str]) -> None:
        self.rank, self.ranks = standing()
        self._model, self._axes, self._sums = model, axes, sums
        self._share = 1.0
        self._gradients = Gradients(model, self.rank, self.ranks) if self.ranks > 1 else None

    def begin(self, update: int) -> None:
        """All begin with the weights of rank 0, and at one update. RuntimeError where they do not."""
        if self.ranks == 1:
            return
        with _lost(self.rank, self.ranks), torch.no_grad():
            for tensor in (*self._model.parameters(), *self._model.buffers()):
                same = tensor.contiguous()
                dist.broadcast(same, 0)
                tensor.copy_(same)
            first = torch.tensor(update, device=next(self._model.parameters()).device)
            dist.broadcast(first, 0)
        if update != int(first):
            raise RuntimeError(
                f"process {self.rank} of {self.ranks}: expected to begin at update {int(first)}, as the first does, "
                f"got a checkpoint of update {update}"
            )

    def part(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What of a minibatch this process learns from."""
        if self.ranks == 1:
            return tensors
        own, self._share = part(tensors, self._axes, self.rank, self.ranks)
        return own

    def backward(self, costs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leave the gradients of the whole minibatch's "loss" in the model; its costs, by those of the parts."""
        if self._gradients is None:
            costs["loss"].backward()
            return {name: cost.detach() for name, cost in costs.items()}
        weights = {name: 1.0 if name in self._sums else self._share for name in costs}
        every = torch.stack([cost.detach().float() * weights[name] for name, cost in costs.items()])
        with _lost(self.rank, self.ranks):
            said = dist.all_reduce(every, async_op=True)
        self._gradients.backward(costs["loss"] * weights["loss"])
        with _lost(self.rank, self.ranks):
            said.wait()
        return dict(zip(costs, every.unbind(), strict=True))


class Gradients:
    """Adds up the gradients of all processes, bucket by bucket, while the backward pass goes on.

    The first pass shows which parameters have any, in any process: only these are sent, in all that follow. The order
    of the buckets, the same for all, is that of the parameters from the last to the first, about that of the pass.
    """

    def __init__(self, model: nn.Module, rank: int, ranks: int) -> None:
        self._rank, self._ranks = rank, ranks
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._buckets: list[list[nn.Parameter]] | None = None
        self._bucket_of: dict[int, int] = {}  # by the parameter's id
        self._awaited: list[int] = []  # gradients, of each bucket
        self._sent: list[tuple[Tensor, dist.Work]] = []

    def backward(self, loss: Tensor) -> None:
        """Leave in each parameter the sum of its gradients in all processes, of their losses."""
        hooks = [parameter.register_post_accumulate_grad_hook(self._arrived) for parameter in self._parameters]
        try:
            loss.backward()
        finally:
            for hook in hooks:
                hook.remove()
        self._finish()

    def _finish(self) -> None:
        if self._buckets is None:
            self._buckets = self._agreed()
            self._bucket_of = {id(p): i for i, bucket in enumerate(self._buckets) for p in bucket}
        for bucket in self._buckets[len(self._sent) :]:
            self._send(bucket)
        for bucket, (flat, work) in zip(self._buckets, self._sent, strict=True):
            with _lost(self._rank, self._ranks):
                work.wait()
            for parameter, total in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                if parameter.grad.data_ptr() != total.data_ptr():
                    parameter.grad.copy_(total.view_as(parameter))
        self._sent = []
        self._awaited = [len(bucket) for bucket in self._buckets]

    def _arrived(self, parameter: Tensor) -> None:
        if self._buckets is None:
            return
        if id(parameter) not in self._bucket_of:
            raise RuntimeError(
                f"a weight {tuple(parameter.shape)}: expected no gradient, as in the first update, got one"
            )
        self._awaited[self._bucket_of[id(parameter)]] -= 1
        while len(self._sent) < len(self._buckets) and not self._awaited[len(self._sent)]:
            self._send(self._buckets[len(self._sent)])

    def _send(self, bucket: list[nn.Parameter]) -> None:
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        alone = len(parts) == 1 and parts[0].is_contiguous()  # a large one: it is not copied
        flat = parts[0].view(-1) if alone else torch.cat([each.flatten() for each in parts])
        with _lost(self._rank, self._ranks):
            self._sent.append((flat, dist.all_reduce(flat, async_op=True)))

    def _agreed(self) -> list[list[nn.Parameter]]:
        have = torch.tensor([p.grad is not None for p in self._parameters], dtype=torch.uint8)
        have = have.to(self._parameters[0].device)
        with _lost(self._rank, self._ranks):
            dist.all_reduce(have, dist.ReduceOp.MAX)
        buckets: list[list[nn.Parameter]] = []
        size = BUCKET
        for parameter, anywhere in zip(reversed(self._parameters), reversed(have.tolist()), strict=True):
            if not anywhere:
                continue
            size += parameter.nbytes
            if size > BUCKET or parameter.dtype != buckets[-1][-1].dtype:
                buckets.append([])
                size = parameter.nbytes
            buckets[-1].append(parameter)
        return buckets


@contextmanager
def _lost(rank: int, ranks: int) -> Iterator[None]:
    """What torch.distributed raises in it is that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise LostPeerError(f"process {rank} of {ranks}: expected an answer from the others, got: {error}") from error


@contextmanager
def _interface(meeting: str) -> Iterator[None]:
    """In it Gloo listens where the meeting can be reached from; else, where the host's own name leads, if anywhere."""
    place, name = urlsplit(meeting), "GLOO_SOCKET_IFNAME"
    found = None
    if place.scheme == "tcp" and place.hostname and name not in os.environ:
        found = _interface_to(place.hostname, place.port or 1)
    if found is not None:
        os.environ[name] = found
    try:
        yield
    finally:
        if found is not None:
            del os.environ[name]


def _interface_to(host: str, port: int) -> str | None:
    """The network interface by which this machine reaches that host; None where it cannot be told."""
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))  # sends nothing
            own = socket.inet_aton(probe.getsockname()[0])
            for _, name in socket.if_nameindex():
                try:
                    asked = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()))  # SIOCGIFADDR
                except OSError:
                    continue  # it has no address
                if asked[20:24] == own:
                    return name
    except (ImportError, OSError):
        pass
    return None
