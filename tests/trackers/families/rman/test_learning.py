from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trackers.families.rman import network
from trackers.families.rman.learning import Lesson, Objective, learn
from trackers.families.rman.memory import Recollection

D, UNITS, HIDDEN, K, PAIRS, MINED, ITERATIONS = 5, 4, 6, 3, 3, 8, 6
OBJECTIVE = Objective(
    rate=0.02,
    activation="cosine",
    weights=(0.7, 0.1),
    margin=1.0,
    dropout=0.0,
    momentum=0.9,
    decay=0.01,
    clip=1.5,
    last_rate=10.0,
)
VARIANTS = [(activation, recurrent) for activation in ("cosine", "average", "none") for recurrent in (True, False)]


def heads(seed, activation="cosine", recurrent=True):
    rng = torch.Generator().manual_seed(seed)
    return network.initial(D, UNITS, HIDDEN, 0.5, recurrent, activation != "none", rng)


def draws(seed, frames=4, iterations=ITERATIONS):
    """Samples of so many frames, positives and negatives around other places."""
    rng = torch.Generator().manual_seed(seed)
    own = Recollection(K, 100, 20)
    for _ in range(frames):
        own.remember(torch.randn(D, generator=rng) + 1)
        own.collect(torch.randn(5, D, generator=rng) + 1, torch.randn(20, D, generator=rng) - 1)
    return own.draw(iterations, PAIRS, MINED, np.random.default_rng(seed))


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Plain(nn.Module):
    """Figure 2 for one lane in torch's own modules: sequence samples (N, K, D) and (N, D) -> h, a, h*, scores."""

    def __init__(self, own, activation):
        super().__init__()
        self.activation = activation
        self.first = nn.LSTMCell(D, UNITS) if "recurrent.weight" in own else nn.Linear(D, UNITS)
        self.hidden, self.output = nn.Linear(own["hidden.weight"].shape[1], HIDDEN), nn.Linear(HIDDEN, 2)
        if "recurrent.weight" in own:
            nn.init.zeros_(self.first.bias_hh.requires_grad_(False))
        with torch.no_grad():
            for name, parameter in self.named().items():
                parameter.copy_(own[name])

    def named(self):
        """Its parameters by the names of heads."""
        cell = isinstance(self.first, nn.LSTMCell)
        first = {"weight_ih": "input.weight", "bias_ih": "input.bias", "weight_hh": "recurrent.weight"}
        return {
            (first[name[6:]] if cell else f"input.{name[6:]}") if name.startswith("first.") else name: parameter
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        }

    def forward(self, remembered, x):
        if isinstance(self.first, nn.LSTMCell):
            state, states = None, []
            for patch in remembered.unbind(1):
                state = self.first(patch, state)
                states.append(state[0])
            h, states = self.first(x, state)[0], torch.stack(states, 1)
        else:
            h, states = F.relu(self.first(x)), F.relu(self.first(remembered))
        theta = F.cosine_similarity(h[:, None], states, dim=2)
        reference = (theta.softmax(1)[..., None] * states).sum(1)
        activated = (theta[..., None] * states).sum(1) if self.activation == "cosine" else states.mean(1)
        z = h if self.activation == "none" else torch.cat([activated, h], 1)
        return h, reference, z, self.output(F.relu(self.hidden(z)))


def plainly(own, drawn, objective):
    """What `learn` makes of one lane, one iteration after the other by autograd and torch's SGD."""
    model = Plain(own, objective.activation)
    last = list(model.output.parameters())
    others = [parameter for name, parameter in model.named().items() if not name.startswith("output")]
    groups = [{"params": others}, {"params": last, "lr": objective.rate * objective.last_rate}]
    descent = torch.optim.SGD(groups, objective.rate, objective.momentum, weight_decay=objective.decay)

    def said(rows):
        return model(drawn.rows[drawn.sequences[drawn.of[rows]]], drawn.rows[rows])

    for positives, candidates in zip(drawn.positives, drawn.candidates, strict=True):
        hardest = said(candidates)[3][:, 1].topk(PAIRS).indices
        h, a, z, scores = said(torch.cat([positives, candidates[hardest]]))
        loss = F.cross_entropy(scores, (torch.arange(2 * PAIRS) < PAIRS).long())
        if objective.activation != "none":
            near, far = (h - a).square().sum(1).split(PAIRS)
            within, between = (z - z[:PAIRS].mean(0)).square().sum(1).split(PAIRS)
            loss = loss + objective.weights[0] * F.relu(near - far + objective.margin).mean()
            loss = loss + objective.weights[1] * (within / between).mean()
        descent.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.named().values(), objective.clip)
        descent.step()
    return {name: parameter.detach() for name, parameter in model.named().items()}


def assert_same(ours, others):
    assert ours.keys() == others.keys()
    for name, own in ours.items():
        torch.testing.assert_close(own, others[name], rtol=0, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("clip", [pytest.param(1e9, marks=pytest.mark.slow), 0.5])
@pytest.mark.parametrize(("activation", "recurrent"), VARIANTS)
def test_learning_is_autograds(activation, recurrent, clip):
    """Of each variant, a training equals one by SGD on parameters, clipped or not; all weights have moved."""
    objective = replace(OBJECTIVE, activation=activation, clip=clip)
    own, drawn = heads(1, activation, recurrent), draws(2)
    [learnt] = learn([own], [drawn], objective, generators(0))
    assert_same(learnt, plainly(own, drawn, objective))
    assert all((learnt[name] - own[name]).abs().max() > 1e-3 for name in own)


@pytest.mark.parametrize(("activation", "recurrent"), [("cosine", True), ("none", False)])
@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_lanes_learn_each_alone(activation, recurrent, dropout):
    """Three lanes in one batch learn what each learns alone, be their frames, and their rows, many or few."""
    objective = replace(OBJECTIVE, activation=activation, dropout=dropout)
    all_heads = [heads(seed, activation, recurrent) for seed in range(3)]
    all_draws = [draws(seed, frames) for seed, frames in enumerate((4, 1, 60))]
    together = learn(all_heads, all_draws, objective, generators(0, 1, 2))
    for lane in range(3):
        [alone] = learn(all_heads[lane : lane + 1], all_draws[lane : lane + 1], objective, generators(lane))
        assert_same(together[lane], alone)


def test_a_lane_may_have_fewer_rows_than_another_patches():
    """A training of one iteration on one frame has a handful of rows; beside a long video it is the same."""
    all_heads, all_draws = [heads(0), heads(1)], [draws(0, 1, iterations=1), draws(1, 40, iterations=1)]
    assert len(all_draws[0].rows) < all_draws[1].patches
    together = learn(all_heads, all_draws, OBJECTIVE, generators(0, 1))
    assert_same(together[0], learn(all_heads[:1], all_draws[:1], OBJECTIVE, generators(0))[0])


def test_the_hardest_negatives_are_learnt_from():
    """Those mined have the highest scores as targets of all candidates; the positives are those of the iteration."""
    own, drawn = heads(3), draws(4)
    lesson, plain = Lesson([own], [drawn], OBJECTIVE, generators(0)), Plain(own, "cosine")
    for iteration in range(ITERATIONS):
        [rows] = lesson.mined(iteration)
        candidates = drawn.candidates[iteration]
        with torch.no_grad():
            scores = plain(drawn.rows[drawn.sequences[drawn.of[candidates]]], drawn.rows[candidates])[3][:, 1]
        assert rows[:PAIRS].tolist() == drawn.positives[iteration].tolist()
        assert set(rows[PAIRS:].tolist()) == set(candidates[scores.argsort(descending=True)[:PAIRS]].tolist())


def test_the_same_seed_learns_the_same():
    """Bit for bit, dropout and all; another one drops other things."""
    objective = replace(OBJECTIVE, dropout=0.5)
    first, again, other = (learn([heads(1)], [draws(2)], objective, generators(seed))[0] for seed in (5, 5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["hidden.weight"], other["hidden.weight"])


def test_dropout_keeps_the_mean(monkeypatch):
    """Before each layer a share of numbers is left out and the others grow by as much, in every lane others.

    When negatives are mined nothing is left out.
    """
    seen, classify = [], network.classify

    def recorded(heads, temporal, kept=None):
        seen.append(kept)
        return classify(heads, temporal, kept)

    monkeypatch.setattr(network, "classify", recorded)
    own, drawn = [heads(1)] * 2, [draws(2, iterations=40)] * 2
    learn(own, drawn, replace(OBJECTIVE, dropout=0.75), generators(0, 1))
    assert all(kept is None for kept in seen[::2]) and len(seen) == 80
    for layer, width in ((0, 2 * UNITS), (1, HIDDEN)):
        kept = torch.stack([one[layer] for one in seen[1::2]])
        assert kept.shape == (40, 2, 2 * PAIRS, width) and kept.unique().tolist() == [0, 4]
        assert kept.mean().item() == pytest.approx(1, abs=0.1)
        assert not torch.equal(kept[:, 0], kept[:, 1]) and not torch.equal(kept[0], kept[1])


def test_what_is_given_is_left_as_it_was():
    """Heads before a training are still there after it."""
    own = heads(1)
    before = {name: value.clone() for name, value in own.items()}
    learn([own], [draws(2)], OBJECTIVE, generators(0))
    assert all(torch.equal(own[name], before[name]) for name in own)


@pytest.mark.parametrize("weights", [(5.0, 0.0), (0.0, 5.0)])
@pytest.mark.parametrize("activation", ["cosine", "average"])
def test_temporal_coherence_does_not_affect_the_classifier(activation, weights):
    """In a step L_a, and L_b, move the memory generator and nothing of the classifier (Section III-B)."""
    objective = replace(OBJECTIVE, activation=activation, clip=1e9)
    drawn = draws(2, iterations=1)
    with_it, without = (
        learn([heads(1)], [drawn], replace(objective, weights=some), generators(0))[0] for some in (weights, (0.0, 0.0))
    )
    for name, own in with_it.items():
        assert torch.equal(own, without[name]) == name.startswith(("hidden", "output")), name


def test_learning_tells_targets_from_background():
    """After it, positives are taken for targets and negatives for background, which they were not before."""
    own, drawn = heads(1), draws(2, iterations=30)
    [learnt] = learn([own], [drawn], OBJECTIVE, generators(0))

    def targets(heads, rows):
        scores = Plain(heads, "cosine")(drawn.rows[drawn.sequences[drawn.of[rows]]], drawn.rows[rows])[3]
        return scores.argmax(1).float().mean().item()

    positives, negatives = drawn.positives.flatten(), drawn.candidates.flatten()
    assert targets(own, positives) - targets(own, negatives) < 0.3
    assert targets(learnt, positives) - targets(learnt, negatives) > 0.7
