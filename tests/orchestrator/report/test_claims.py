from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.report import claims, paper
from orchestrator.report.claims import decide
from orchestrator.report.paper import Aspect, Claim, Key, Paper, PaperTable, Printed
from orchestrator.report.results import Quantity, Study
from orchestrator.report.scores import Cell, Grid

SETS, LENGTHS = ("one", "two"), (20, 40)
NAMES = tuple(f"{i:03d}" for i in range(60))
HARD = np.random.default_rng(7).normal(0, 0.2, len(NAMES))  # what makes a sequence easy or hard for every tracker


def cell_of(names: tuple[str, ...], values: np.ndarray, length: int) -> Cell:
    """A plain mean over sequences, of one run."""
    terms = values[:, None, None]
    return Cell(Quantity("average_overlap", "one_pass", length), names, terms, np.ones_like(terms))


def key(tracker: str, benchmark: str, length: int) -> Key:
    return tracker, benchmark, Aspect("average_overlap", length)


def grid(means: dict[tuple[str, str, int], float], spread: dict[str, float] | None = None) -> Grid:
    """A study of trackers A and B whose scores share the sequences' difficulty, and differ a little at random."""
    cells = {}
    for i, ((tracker, benchmark, length), mean) in enumerate(means.items()):
        own = np.random.default_rng(i).normal(0, 0.01, len(NAMES))
        values = mean + (spread or {}).get(tracker, 1.0) * (HARD - HARD.mean()) + own - own.mean()
        cells[key(tracker, benchmark, length)] = cell_of(NAMES, values, length)
    return Grid(Study("s", "sample", {}, LENGTHS, ("A", "B"), SETS, ()), {}, cells)


def even(a: float, b: float, fall: float = 0.0) -> dict[tuple[str, str, int], float]:
    """A scores `a` and B scores `b` on every set; both lose `fall` at the greater length."""
    return {
        (tracker, benchmark, length): mean - fall * LENGTHS.index(length)
        for tracker, mean in (("A", a), ("B", b))
        for benchmark in SETS
        for length in LENGTHS
    }


def claim(check: str, tracker: str = "A", than: str | None = "B", **more: object) -> Claim:
    return Claim("name", "statement", "1", "quote", check, tracker, than, **more)  # type: ignore[arg-type]


def found(one: Claim, study: Grid, tables: tuple[PaperTable, ...] = ()) -> claims.Finding:
    (finding,) = claims.check(Paper(claims=(one,), tables=tables), study)
    return finding


@pytest.mark.parametrize(
    ("low", "high", "claimed", "verdict"),
    [
        (0.01, 0.2, (0, inf), "holds"),
        (-0.2, -0.01, (0, inf), "does not hold"),
        (-0.01, 0.2, (0, inf), "undecided"),
        (0.0, 0.2, (0, inf), "undecided"),
        (-0.04, 0.04, (-0.05, 0.05), "holds"),
        (-0.04, 0.06, (-0.05, 0.05), "undecided"),
        (0.06, 0.08, (-0.05, 0.05), "does not hold"),
        (-0.08, -0.06, (-0.05, 0.05), "does not hold"),
        (-0.2, 0.2, (-0.05, 0.05), "undecided"),
        (-0.2, 0.04, (-inf, 0.05), "holds"),
        (-0.2, 0.06, (-inf, 0.05), "undecided"),
        (0.06, 0.2, (-inf, 0.05), "does not hold"),
    ],
)
def test_an_interval_decides(low: float, high: float, claimed: tuple[float, float], verdict: str) -> None:
    """An interval wholly on one side of a boundary decides; one across it leaves the claim undecided."""
    assert decide(low, high, claimed) == verdict


def test_differences_are_paired() -> None:
    """Sequences that are hard for both do not blur a difference: 0.05 shows among deviations of 0.2."""
    finding = found(claim("better_on_average"), grid(even(0.55, 0.5)))
    assert finding.verdict == "holds"
    assert finding.estimate is not None
    assert finding.estimate.effect == pytest.approx(0.05)
    assert finding.estimate.high - finding.estimate.low < 0.01
    assert finding.estimate.n == 2 * len(NAMES)  # the sequences of both sets, whatever the number of lengths


def test_one_bad_cell_breaks_a_claim_about_every_cell_only() -> None:
    """Better in all cells but one: true on average, not in every cell, and the cells tell which."""
    means = even(0.6, 0.5) | {("A", "two", 40): 0.45}
    assert found(claim("better_on_average"), grid(means)).verdict == "holds"
    finding = found(claim("better_in_every_cell"), grid(means))
    assert finding.verdict == "does not hold"
    assert finding.holding == 3
    assert [c.first for c in finding.contrasts if c.verdict == "does not hold"] == [key("A", "two", 40)]


def test_a_cell_across_zero_leaves_every_cell_undecided() -> None:
    """Where no cell speaks against a claim but one does not speak for it, every cell is undecided."""
    means = even(0.6, 0.5) | {("A", "two", 40): 0.5}
    assert found(claim("better_in_every_cell"), grid(means)).verdict == "undecided"


@pytest.mark.parametrize(("difference", "verdict"), [(0.02, "holds"), (0.05, "undecided"), (-0.09, "does not hold")])
def test_hardly_differing_is_shown_not_assumed(difference: float, verdict: str) -> None:
    """Two trackers hardly differ only where the intervals lie within the margin; a wide one proves nothing."""
    assert found(claim("hardly_differ", margin=0.05), grid(even(0.5 + difference, 0.5))).verdict == verdict


def test_falling_compares_neighbouring_lengths_of_one_tracker() -> None:
    """Quality falls if the mean loss from each length to the next is above 0."""
    finding = found(claim("falls_with_length", than=None), grid(even(0.5, 0.5, fall=0.03)))
    assert finding.verdict == "holds"
    assert finding.estimate is not None
    assert finding.estimate.effect == pytest.approx(0.03)
    assert [(c.first, c.second) for c in finding.contrasts] == [(key("A", s, 20), key("A", s, 40)) for s in SETS]
    assert found(claim("falls_with_length", than=None), grid(even(0.5, 0.5, fall=-0.03))).verdict == "does not hold"


def test_spread_compares_standard_deviations() -> None:
    """A tracker of the same mean and twice the deviation has the larger spread, by the difference of deviations."""
    finding = found(claim("larger_spread"), grid(even(0.5, 0.5), spread={"A": 2.0}))
    assert finding.verdict == "holds"
    assert finding.estimate is not None
    assert finding.estimate.effect == pytest.approx(HARD.std(), rel=0.05)
    assert found(claim("larger_spread", "B", "A"), grid(even(0.5, 0.5), spread={"A": 2.0})).verdict == "does not hold"


def test_a_claim_looks_only_at_its_benchmarks() -> None:
    """What happens on other sets changes nothing."""
    means = even(0.6, 0.5) | {("A", "two", length): 0.1 for length in LENGTHS}
    assert found(claim("better_in_every_cell", benchmarks=("one",)), grid(means)).verdict == "holds"


@pytest.mark.parametrize(
    ("one", "missing"),
    [
        (claim("better_on_average"), (key("B", "two", 40),)),
        (claim("better_on_average", benchmarks=("elsewhere",)), ()),
        (claim("falls_with_length", "C"), tuple(key("C", s, n) for s in SETS for n in LENGTHS)),
    ],
)
def test_a_claim_with_a_hole_is_not_tested(one: Claim, missing: tuple[Key, ...]) -> None:
    """Where any of its cells is missing a claim has no verdict and no numbers, and names what it lacks."""
    means = {place: mean for place, mean in even(0.6, 0.5).items() if place != ("B", "two", 40)}
    study = grid(means)
    finding = found(one, study)
    assert (finding.verdict, finding.estimate, finding.missing) == ("not tested", None, missing)
    row = claims.row(study.study, finding)
    assert tuple(row) == claims.COLUMNS
    assert row["effect"] is None


def test_sequences_that_one_side_lacks_do_not_count() -> None:
    """Only sequences that both trackers have are compared."""
    study = grid(even(0.6, 0.5))
    cells = {
        place: cell_of(NAMES[:10], cell.values[:10, 0], 20) if place == key("B", "one", 20) else cell
        for place, cell in study.cells.items()
    }
    finding = found(claim("better_on_average", benchmarks=("one",)), Grid(study.study, {}, cells))
    assert [contrast.estimate.n for contrast in finding.contrasts] == [10, 60]


def test_trackers_without_a_sequence_in_common_are_not_compared() -> None:
    """Two trackers that were tested on different sequences leave the claim not tested."""
    study = grid(even(0.6, 0.5))
    other = {
        place: cell_of(tuple(f"x{name}" for name in NAMES), c.values[:, 0], place[2].length or 0)
        for place, c in study.cells.items()
        if place[0] == "B"
    }
    finding = found(claim("better_on_average"), Grid(study.study, {}, {**study.cells, **other}))
    assert (finding.verdict, finding.contrasts) == ("not tested", ())


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_swapping_sides_negates(a: float, b: float) -> None:
    """B over A is minus A over B, interval and all."""
    study = grid(even(a, b))
    one, other = found(claim("better_on_average"), study), found(claim("better_on_average", "B", "A"), study)
    assert one.estimate is not None
    assert other.estimate is not None
    assert one.estimate.effect == pytest.approx(-other.estimate.effect)
    assert (one.estimate.low, one.estimate.high) == pytest.approx((-other.estimate.high, -other.estimate.low))


def test_the_papers_own_numbers_stand_beside() -> None:
    """Each cell carries the same difference from the paper's tables, and the finding counts those that agree."""
    table = PaperTable(
        1,
        tuple(Aspect("average_overlap", length) for length in LENGTHS),
        {
            "A": {"one": (Printed(0.5, 0.1), Printed(0.3, 0.1)), "two": (Printed(0.4, 0.1), Printed(0.4, 0.1))},
            "B": {"one": (Printed(0.4, 0.2), Printed(0.4, 0.2)), "two": (Printed(0.3, 0.1), Printed(0.3, 0.1))},
        },
    )
    finding = found(claim("better_on_average"), grid(even(0.6, 0.5)), (table,))
    assert [contrast.paper for contrast in finding.contrasts] == [0.1, -0.1, 0.1, 0.1]
    assert finding.printed == (3, 4)
    spread = found(claim("larger_spread", "B", "A"), grid(even(0.6, 0.5)), (table,))
    assert [contrast.paper for contrast in spread.contrasts] == [0.1, 0.1, 0.0, 0.0]


def test_each_rule_is_said_in_words() -> None:
    """The check of every packaged claim reads as a sentence with its own trackers in it."""
    for path in Path(paper.PAPERS).glob("*.yaml"):
        for one in paper.load(path.stem).claims:
            rule = claims.Finding(one, "holds", None, (), ()).rule
            assert one.tracker in rule
            assert (one.than or one.tracker) in rule
            assert "None" not in rule


def errors(lost: dict[str, np.ndarray], frames: np.ndarray) -> Grid:
    """A study of trackers that overlap alike and lose the target so often, (n,) by tracker; overall errors alone."""
    cells = {}
    names = NAMES[: len(frames)]
    quantity = Quantity("overall_error", "supervised_reset", None)
    for tracker, failures in lost.items():
        above, below = np.stack([0.5 * frames, failures], 1), np.stack([frames, frames], 1).astype(float)
        cell = Cell(quantity, names, above[:, None], below[:, None], "overall_error")
        cells[tracker, "one", Aspect("overall_error")] = cell
    return Grid(Study("s", "sample", {}, (), tuple(lost), ("one",), ()), {}, cells)


def test_a_lower_error_is_better() -> None:
    """Of an error the sign is turned: fewer failures are better, by exactly what the tables differ by."""
    frames = np.full(20, 100)
    study = errors({"A": np.full(20, 1.0), "B": np.full(20, 3.0)}, frames)
    finding = found(claim("better_on_average", measure="overall_error"), study)
    assert finding.verdict == "holds"
    assert finding.estimate is not None
    assert finding.estimate.effect == pytest.approx((np.exp(-0.3) - np.exp(-0.9)) / 2)


def test_scores_are_pooled_before_they_are_subtracted() -> None:
    """A fails on one long sequence, B a little on all: the mean of sequences' own errors would order them otherwise."""
    frames = np.array([400, *(19 * [40])])
    study = errors({"A": np.array([30.0, *(19 * [0.0])]), "B": np.full(20, 0.6)}, frames)
    a, b = (study.cells[tracker, "one", Aspect("overall_error")] for tracker in "AB")
    assert a.values.mean() < b.values.mean()
    finding = found(claim("better_on_average", measure="overall_error"), study)
    assert finding.estimate is not None
    assert finding.estimate.effect == pytest.approx(b.mean - a.mean)
    assert finding.estimate.effect < 0


def test_one_sequence_decides_nothing() -> None:
    """Where a single sequence counts there is nothing to resample: undecided, however large the difference."""
    study = errors({"A": np.array([0.0]), "B": np.array([9.0])}, np.array([100]))
    assert found(claim("better_on_average", measure="overall_error"), study).verdict == "undecided"


def test_worse_is_hardly_better() -> None:
    """That one tracker is hardly better holds where it is worse, and fails where it is much better."""
    assert found(claim("hardly_better", margin=0.05), grid(even(0.2, 0.5))).verdict == "holds"
    assert found(claim("hardly_better", margin=0.05), grid(even(0.6, 0.5))).verdict == "does not hold"


def test_one_video_at_two_lengths_is_one_video() -> None:
    """Benchmarks of the same videos are resampled together: they are no more evidence than one of them."""
    means = {place: mean for place, mean in even(0.55, 0.5).items() if place[2] == 20}
    study = grid(means)
    noise = np.random.default_rng(3).normal(0, 0.1, len(NAMES))
    cells = {
        place: cell_of(NAMES, cell.values[:, 0] + (noise if place[0] == "A" else 0), 20)
        for place, cell in study.cells.items()
    }
    apart = replace(study.study, lengths=(20,))
    facts = {"format": "vot", "root": "data/vot", "settings": {}}
    together = replace(apart, data=dict.fromkeys(SETS, facts))
    wide, narrow, single = (
        found(claim("better_on_average", benchmarks=benchmarks), Grid(one, {}, cells)).estimate
        for one, benchmarks in ((together, SETS), (apart, SETS), (together, SETS[:1]))
    )
    assert wide is not None
    assert narrow is not None
    assert single is not None
    assert (wide.n, narrow.n, single.n) == (60, 120, 60)
    assert wide.effect == narrow.effect
    assert wide.high - wide.low == pytest.approx(single.high - single.low, rel=0.1)
    assert narrow.high - narrow.low == pytest.approx((single.high - single.low) / np.sqrt(2), rel=0.1)


def test_a_claim_may_be_on_another_protocol() -> None:
    """A claim that names a protocol looks at what was measured under it, of whole sequences."""
    terms = {
        tracker: np.full((len(NAMES), 1, 1), mean) + HARD[:, None, None] for tracker, mean in (("A", 0.6), ("B", 0.5))
    }
    quantities = {protocol: Quantity("mask_iou", protocol, None) for protocol in ("random_clips", "one_pass")}
    cells = {
        (tracker, "one", Paper().aspect(quantity)): Cell(
            quantity,
            NAMES,
            terms[tracker] if protocol == "random_clips" else -terms[tracker],
            np.ones_like(terms[tracker]),
        )
        for tracker in terms
        for protocol, quantity in quantities.items()
    }
    study = Grid(Study("s", "sample", {}, (20, 40), ("A", "B"), ("one",), ()), {}, cells)
    clips = found(claim("better_on_average", measure="mask_iou", protocol="random_clips"), study)
    assert clips.verdict == "holds"
    assert clips.contrasts[0].first == ("A", "one", Aspect("mask_iou", protocol="random_clips"))
    study = replace(study, study=replace(study.study, lengths=()))
    for protocol in (None, "one_pass"):  # the paper's own
        assert (
            found(claim("better_on_average", measure="mask_iou", protocol=protocol), study).verdict == "does not hold"
        )


def test_a_claim_may_be_about_a_subset() -> None:
    """A claim on a subset looks at its cells, and is not tested where there are none."""
    study = errors({"A": np.full(20, 1.0), "B": np.full(20, 3.0)}, np.full(20, 100))
    one = claim("better_on_average", measure="overall_error", subset="occlusion")
    assert found(one, study).missing == tuple((t, "one", Aspect("overall_error", None, "occlusion")) for t in "AB")
    moved = {(t, b, aspect._replace(subset="occlusion")): cell for (t, b, aspect), cell in study.cells.items()}
    assert found(one, Grid(study.study, {}, moved)).verdict == "holds"
