import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trackers.families.rman.descent import Layer

MOMENTUM, DECAY, RATE = 0.9, 0.03, 0.05
D, G, R = 3, 2, 5
seeds = st.integers(0, 2**31)
minibatches = st.lists(st.lists(st.integers(0, R - 1), min_size=1, max_size=6), min_size=1, max_size=7)


def drawn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss(projected):
    """Anything but linear: slopes depend on what came before."""
    return projected.sin().sum()


@given(seeds, minibatches, st.booleans())
@settings(max_examples=40, deadline=None)
def test_descent_is_torchs(seed, batches, early):
    """Projections, norms of gradients and final weights are those of SGD on a plain Linear, whatever rows come again.

    It makes no difference whether rows enter one minibatch at a time or all at once before.
    """
    rows, plain = drawn(seed, R, D), nn.Linear(D, G, bias=False, dtype=torch.float64)
    with torch.no_grad():
        plain.weight.copy_(drawn(seed + 1, G, D))
    descent = torch.optim.SGD(plain.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    layer = Layer([plain.weight.detach().clone()], [rows], sum(map(len, batches)), MOMENTUM, DECAY)
    if early:
        layer.enter(torch.tensor([sum(batches, [])]))
    for batch in batches:
        numbers = torch.tensor([batch])
        layer.enter(numbers)
        projected = layer(numbers)
        torch.testing.assert_close(projected[0], plain(rows[batch]), rtol=0, atol=1e-9)
        [slopes] = torch.autograd.grad(loss(projected.requires_grad_()), [projected])
        descent.zero_grad()
        loss(plain(rows[batch])).backward()
        norm = plain.weight.grad.square().sum()
        torch.testing.assert_close(layer.square(numbers, slopes)[0], norm, rtol=0, atol=1e-9)
        layer.step(numbers, slopes, RATE)
        descent.step()
    torch.testing.assert_close(layer(torch.arange(R)[None])[0], plain(rows), rtol=0, atol=1e-9)
    torch.testing.assert_close(layer.weights()[0], plain.weight.detach(), rtol=0, atol=1e-9)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_lanes_with_more_and_fewer_rows_are_each_alone(seed):
    """Of lanes with other numbers of rows, some of which come again, none knows of another."""
    counts, steps = (R, 2, 9), 4
    rows = [drawn(seed + i, count, D) for i, count in enumerate(counts)]
    weights = [drawn(seed + 10 + i, G, D) for i in range(len(counts))]
    rng = torch.Generator().manual_seed(seed)
    batches = [torch.stack([torch.randint(count, (4,), generator=rng) for count in counts]) for _ in range(steps)]

    def learnt(lanes):
        layer = Layer([weights[i] for i in lanes], [rows[i] for i in lanes], 4 * steps, MOMENTUM, DECAY)
        for numbers in batches:
            own = numbers[lanes]
            layer.enter(own)
            layer.step(own, layer(own).cos(), RATE)
        return layer.weights(), layer.square(batches[0][lanes], layer(batches[0][lanes]))

    together, norms = learnt([0, 1, 2])
    for lane in range(len(counts)):
        [alone], norm = learnt([lane])
        torch.testing.assert_close(together[lane], alone, rtol=0, atol=1e-9)
        torch.testing.assert_close(norms[lane], norm[0], rtol=0, atol=1e-9)


def test_before_any_step_it_is_the_layer():
    """Rows that have entered, and those that have not, are projected by the weights that it began with."""
    rows, weights = drawn(0, R, D), drawn(1, G, D)
    layer = Layer([weights], [rows], 2, MOMENTUM, DECAY)
    torch.testing.assert_close(layer(torch.tensor([[4, 0]]))[0], rows[[4, 0]] @ weights.mT)
    layer.enter(torch.tensor([[1, 3]]))
    torch.testing.assert_close(layer(torch.tensor([[1, 4]]))[0], rows[[1, 4]] @ weights.mT)
    assert torch.equal(layer.weights()[0], weights)
