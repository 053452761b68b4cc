import math

import pytest
import torch

from trackers.families.rman import network
from trackers.families.rman.network import Memory, classify, cosine, look, memorize

PLAIN = {"input.bias": torch.zeros(1, 2)}  # a fully connected layer in the LSTM's place: states are what is projected
ONE = torch.zeros(1, 1, dtype=torch.long)  # the only sample, after the only sequence


def heads(features=3, units=2, hidden=4, recurrent=True, remembers=True, lanes=1):
    """Those of so many lanes, all of them other ones, with biases that say something."""
    rng = torch.Generator().manual_seed(5)
    each = [network.initial(features, units, hidden, 0.5, recurrent, remembers, rng) for _ in range(lanes)]
    own = {name: torch.stack([one[name] for one in each]) for name in each[0]}
    return {name: some + 0.1 * torch.randn(some.shape, generator=rng) for name, some in own.items()}


def seen(sample, *states, activation="cosine"):
    """What becomes of a sample's projections by hand, after these remembered ones."""
    memory = memorize(PLAIN, torch.tensor([[states]], dtype=torch.float))
    return look(PLAIN, torch.tensor([[sample]], dtype=torch.float), memory, ONE, activation)


def test_activation_by_hand():
    """(3, 4) is by 24/25 like (4, 3) and by 20/25 like (0, 5), which weigh them in h~; a softmax of both, in a."""
    states = seen((3, 4), (4, 3), (0, 5))
    torch.testing.assert_close(states.weights, torch.tensor([[[0.96, 0.8]]]))  # Eq. 1
    activated = [0.96 * 4 + 0.8 * 0, 0.96 * 3 + 0.8 * 5]  # Eq. 2
    torch.testing.assert_close(states.temporal, torch.tensor([[[*activated, 3, 4]]]))
    share = 1 / (1 + math.exp(0.8 - 0.96))
    torch.testing.assert_close(states.reference, torch.tensor([[[share * 4, share * 3 + (1 - share) * 5]]]))  # Eq. 4


def test_states_that_point_elsewhere_count_less_than_nothing():
    """Cosines are in [-1, 1], whatever the lengths; opposite states are taken off."""
    current, others = torch.tensor([[1.0, 0]]), torch.tensor([[-2.0, 0], [0, 7], [1e-3, 0]])
    torch.testing.assert_close(cosine(current, others), torch.tensor([[-1.0, 0, 1]]))
    recurrent = Memory(torch.tensor([[[[-2.0, 0], [1e-3, 0]]]]), None)
    states = look(PLAIN, torch.tensor([[[1.0, 0]]]), recurrent, ONE, "cosine")
    torch.testing.assert_close(states.temporal, torch.tensor([[[2.001, 0, 1, 0]]]))


def test_nothing_is_like_nothing():
    """Where a state is 0 its weight is 0, and so is its slope; all are then as good references."""
    states = seen((3, 4), (-1, -1), (0, 5))
    torch.testing.assert_close(states.weights, torch.tensor([[[0.0, 0.8]]]))
    states = seen((-3, -4), (4, 3), (0, 5))
    assert states.weights.tolist() == [[[0, 0]]] and states.temporal.tolist() == [[[0, 0, 0, 0]]]
    torch.testing.assert_close(states.reference, torch.tensor([[[2.0, 4]]]))
    nothing = torch.zeros(1, 2, requires_grad=True)
    cosine(nothing, torch.zeros(3, 2)).sum().backward()
    assert nothing.grad.tolist() == [[0, 0]]


def test_average_pooling_asks_no_cosine():
    """APL (Section V-C): the mean of the states; references are still there, for L_a."""
    states = seen((3, 4), (4, 3), (0, 5), activation="average")
    torch.testing.assert_close(states.temporal, torch.tensor([[[2.0, 4, 3, 4]]]))
    torch.testing.assert_close(states.reference, seen((3, 4), (4, 3), (0, 5)).reference)


def test_without_activation_the_current_state_is_all():
    """h_T alone is classified, of an LSTM that remembers and of a layer that has no memory."""
    states = seen((3, 4), (4, 3), (0, 5), activation="none")
    assert states.temporal.tolist() == [[[3, 4]]] and states.weights is None and states.reference is None
    assert look(PLAIN, torch.tensor([[[3.0, -4]]]), None, ONE, "none").temporal.tolist() == [[[3, 0]]]


def test_the_memory_generator_is_torchs_lstm():
    """Step by step its states are an LSTMCell's, and each sample takes one step more after its own sequence."""
    own, rng = heads(), torch.Generator().manual_seed(1)
    cell = torch.nn.LSTMCell(3, 2)
    with torch.no_grad():
        for name, value in (("ih", own["input.weight"]), ("hh", own["recurrent.weight"])):
            getattr(cell, f"weight_{name}").copy_(value[0])
        cell.bias_ih.copy_(own["input.bias"][0])
        cell.bias_hh.zero_()
    patches, samples = torch.randn(1, 2, 4, 3, generator=rng), torch.randn(1, 5, 3, generator=rng)
    of = torch.tensor([[1, 0, 1, 1, 0]])
    memory = memorize(own, patches @ own["input.weight"].mT[:, None])
    hidden, states = None, []
    for step in patches[0].unbind(1):
        hidden = cell(step, hidden)
        states.append(hidden[0])
    torch.testing.assert_close(memory.states[0], torch.stack(states, 1), rtol=0, atol=1e-6)
    torch.testing.assert_close(memory.cell[0], hidden[1], rtol=0, atol=1e-6)
    found = look(own, samples @ own["input.weight"].mT, memory, of, "cosine")
    current, _ = cell(samples[0], tuple(state[of[0]] for state in hidden))
    torch.testing.assert_close(found.current[0], current, rtol=0, atol=1e-6)
    alike = cosine(current[:, None], torch.stack(states, 1)[of[0]])[:, 0]
    torch.testing.assert_close(found.weights[0], alike, rtol=0, atol=1e-6)


def test_the_classifier_by_hand():
    """Two layers and a ReLU between them; what dropout lets through multiplies what comes before each."""
    own = {
        "hidden.weight": torch.tensor([[[1.0, 2], [-1, 0]]]),
        "hidden.bias": torch.tensor([[0.5, 0]]),
        "output.weight": torch.tensor([[[1.0, 1], [2, 0]]]),
        "output.bias": torch.tensor([[0, -1.0]]),
    }
    temporal = torch.tensor([[[1.0, 1], [-2, 0]]])  # hidden: (3.5, 0) and (0, 2)
    assert classify(own, temporal).tolist() == [[[3.5, 6], [2, -1]]]
    kept = torch.tensor([[[2.0, 0], [2, 2]]]), torch.tensor([[[2.0, 2], [2, 0]]])  # (2.5, 0) and (0, 4)
    assert classify(own, temporal, kept).tolist() == [[[5, 9], [0, -1]]]


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.parametrize("activation", ["cosine", "average", "none"])
def test_lanes_do_not_mix(recurrent, activation):
    """Three lanes in one batch have the scores of each alone."""
    own, rng = heads(recurrent=recurrent, remembers=activation != "none", lanes=3), torch.Generator().manual_seed(2)
    gates = own["input.bias"].shape[1]
    patches, samples = torch.randn(3, 2, 4, gates, generator=rng), torch.randn(3, 6, gates, generator=rng)
    of = torch.randint(2, (3, 6), generator=rng)

    def scores(lanes):
        some = {name: value[lanes] for name, value in own.items()}
        return classify(
            some, look(some, samples[lanes], memorize(some, patches[lanes]), of[lanes], activation).temporal
        )

    together = scores(slice(None))
    for lane in range(3):
        torch.testing.assert_close(together[lane], scores(slice(lane, lane + 1))[0], rtol=0, atol=1e-6)
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("recurrent", [True, False])
def test_heads_begin_as_they_should(recurrent):
    """Weights have their deviations; an LSTM begins by remembering; with a memory, classifiers have more inputs."""
    rng = torch.Generator().manual_seed(0)
    own = network.initial(300, 100, 50, 0.01, recurrent, True, rng)
    gates = 400 if recurrent else 100
    assert own["input.weight"].shape == (gates, 300) and own["hidden.weight"].shape == (50, 200)
    assert own["output.weight"].shape == (2, 50)
    assert own["input.weight"].std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    if recurrent:
        assert own["recurrent.weight"].shape == (400, 100)
        assert own["recurrent.weight"].std().item() == pytest.approx(0.1, rel=0.02)
    assert own["hidden.weight"].std().item() == pytest.approx(0.01, rel=0.05)
    assert own["input.bias"].nonzero().flatten().tolist() == (list(range(100, 200)) if recurrent else [])
    assert network.initial(300, 100, 50, 0.01, recurrent, False, rng)["hidden.weight"].shape == (50, 100)
