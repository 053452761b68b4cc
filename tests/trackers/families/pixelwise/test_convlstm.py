import math

import pytest
import torch

from trackers.families.pixelwise.convlstm import ConvLSTM, Stack, State

T, N, INPUTS, CHANNELS, SIDE = 3, 2, 2, 2, 3


def layer(seed=0, inputs=INPUTS):
    """One whose weights, those of the memory among them, are all drawn."""
    torch.manual_seed(seed)
    made = ConvLSTM(inputs, CHANNELS, SIDE).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.5)
    return made


def drawn(seed=1):
    """Inputs of T steps, and a state."""
    torch.manual_seed(seed)
    state = State(*(torch.randn(N, CHANNELS, SIDE, SIDE, dtype=torch.float64) for _ in range(2)))
    return torch.randn(T, N, INPUTS, SIDE, SIDE, dtype=torch.float64), state


def convolved(weights, maps, r, c):
    """(W * X) at row r, column c: a sum of plain floats, 0 beyond the border. weights: [channel][row][column]."""
    total = 0.0
    for kernel, plane in zip(weights, maps, strict=True):
        for i in range(3):
            for j in range(3):
                if 0 <= r + i - 1 < SIDE and 0 <= c + j - 1 < SIDE:
                    total += kernel[i][j] * plane[r + i - 1][c + j - 1]
    return total


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def by_hand(made, x, hidden, cell):
    """Eq. 1, one place after the other, in plain floats: lists [channel][row][column] -> hidden and cell likewise."""
    weights = {}
    for name, tensor in (("x", made.of_input.weight), ("h", made.of_hidden.weight), ("b", made.of_input.bias)):
        weights[name] = dict(zip("ifco", tensor.view(4, CHANNELS, *tensor.shape[1:]).tolist(), strict=True))
    peephole = dict(zip("ifo", made.of_cell.tolist(), strict=True))
    new_hidden = [[[0.0] * SIDE for _ in range(SIDE)] for _ in range(CHANNELS)]
    new_cell = [[[0.0] * SIDE for _ in range(SIDE)] for _ in range(CHANNELS)]
    for k in range(CHANNELS):
        for r in range(SIDE):
            for c in range(SIDE):
                total = {
                    gate: convolved(weights["x"][gate][k], x, r, c)
                    + convolved(weights["h"][gate][k], hidden, r, c)
                    + weights["b"][gate][k]
                    for gate in "ifco"
                }
                old = cell[k][r][c]
                i = sigmoid(total["i"] + peephole["i"][k][r][c] * old)
                f = sigmoid(total["f"] + peephole["f"][k][r][c] * old)
                new = f * old + i * math.tanh(total["c"])
                o = sigmoid(total["o"] + peephole["o"][k][r][c] * new)
                new_cell[k][r][c] = new
                new_hidden[k][r][c] = o * math.tanh(new)
    return new_hidden, new_cell


def test_steps_are_eq_1():
    """Hidden states and memory cells of three steps are what a loop over plain floats says."""
    made, (inputs, state) = layer(), drawn()
    hidden, last = made(inputs, state)
    for n in range(N):
        h, c = state.hidden[n].tolist(), state.cell[n].tolist()
        for t in range(T):
            h, c = by_hand(made, inputs[t, n].tolist(), h, c)
            torch.testing.assert_close(hidden[t, n], torch.tensor(h, dtype=torch.float64), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(last.hidden[n], torch.tensor(h, dtype=torch.float64), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(last.cell[n], torch.tensor(c, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_steps_at_once_are_single_steps():
    """A clip in one call, and frame by frame with the state carried over, give the same."""
    made, (inputs, state) = layer(), drawn()
    hidden, last = made(inputs, state)
    for t in range(T):
        [now], state = made(inputs[t : t + 1], state)
        torch.testing.assert_close(now, hidden[t])
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("gate", range(3))
def test_the_memory_keeps_channels_and_places_apart(gate):
    """Through a weight of the memory, a changed cell reaches its own channel and place, and no other."""
    made, (inputs, state) = layer(), drawn()
    with torch.no_grad():
        made.of_cell[[g for g in range(3) if g != gate]] = 0
    changed = State(state.hidden, state.cell.clone())
    changed.cell[1, 0, 2, 1] += 1
    before, after = (made(inputs[:1], some)[1] for some in (state, changed))
    for one, other in zip(before, after, strict=True):
        assert (one != other).nonzero().tolist() == [[1, 0, 2, 1]]


def test_training_begins_without_peepholes_and_remembers():
    """Weights of the memory begin at 0, biases of forget gates at 1, all others at 0."""
    made = ConvLSTM(INPUTS, CHANNELS, SIDE)
    assert not made.of_cell.any()
    assert made.of_input.bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_a_state_of_nothing_is_zeros():
    """It is one for each map, and of the layer's own type."""
    state = layer().zeros(4)
    assert all(part.shape == (4, CHANNELS, SIDE, SIDE) and part.dtype == torch.float64 for part in state)
    assert not any(part.any() for part in state)


def test_the_second_layer_sees_the_first():
    """A stack gives what its second layer makes of the first one's hidden states, and the last states of both."""
    stack = Stack(INPUTS, CHANNELS, SIDE).double()
    inputs, first = drawn()
    _, second = drawn(2)
    hidden, last = stack(inputs, [first, second])
    below, first = stack.layers[0](inputs, first)
    above, second = stack.layers[1](below, second)
    assert torch.equal(hidden, above)
    torch.testing.assert_close(last, [first, second], rtol=0, atol=0)
    assert len(stack.zeros(3)) == 2
