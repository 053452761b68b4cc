from __future__ import annotations

import pytest

from orchestrator.params import PROFILES, load
from orchestrator.report import paper
from trackers.families import kcf, rectracker

PAPER = load(PROFILES / "paper.yaml")
[STUDY] = PAPER.studies
TRACKERS = {variant.name: variant.config for variant in STUDY.trackers}

# What Gan et al. 2015 print, in their words.
FRAMES = {  # Section 4
    "each video sequence used for training consists of 20 frames": ("MNIST-Single", "length", 20),
    "each frame is 100 x 100 large": ("MNIST-Single", "generator.size", 100),
    "k is a hyper-parameter (0.1 in our experiments)": ("MNIST-Single", "generator.step", 0.1),
    "N(0, v'I), where v' = 0.1": ("MNIST-Single", "generator.acceleration_variance", 0.1),
    "p = 0.1 controls the magnitude of scale change": ("MNIST-Single", "generator.scale_change", 0.1),
    "uniform-randomly scaled between 64 and 255": ("MNIST-Single", "generator.intensity", (64, 255)),
    "two digits simultaneously moving around": ("MNIST-Multi", "objects", 2),
    "overlapping two randomly selected normal MNIST digits": ("MNIST-Single-Diff", "overlaid", 2),
    "normal MNIST digits on top of each other": ("MNIST-Single-Diff", "generator.overlaid_size", 28),
    "computed over 500 test sequences": ("MNIST-Multi-Diff", "sequences", 500),
    "the lengths of test sequences among {20, 40, 80, 160}": ("MNIST-Multi-Diff", "length", 160),
}
MODELS = {  # Section 5 and Appendices A and B
    "a full, unadjusted view of the whole frame": ("RecTracker-ID", "attention", 0),
    "N is 1": ("RecTracker-Att-1", "attention", 1),
    "and 3 respectively": ("RecTracker-Att-3", "attention", 3),
    "the recurrent network is omitted": ("ConvTracker", "recurrent", False),
    "four frames (three preceding frames + current frame)": ("ConvTracker", "history", 4),
    "32 ... filters": ("RecTracker-ID", "filters", 32),
    "10 x 10 filters": ("RecTracker-ID", "filter_size", 10),
    "applied with stride 5": ("RecTracker-ID", "stride", 5),
    "200 gated recurrent units": ("RecTracker-ID", "units", 200),
    "200 tanh units": ("ConvTracker", "units", 200),
    "minibatches of size 32 examples": ("RecTracker-ID", "training.batch", 32),
    "up to 50 epochs": ("RecTracker-ID", "training.epochs", 50),
}


def value(config: object, path: str) -> object:
    for name in path.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize("words", FRAMES)
def test_the_paper_profile_has_the_papers_data(words):
    """Each number that Section 4 prints stands in the `paper` profile."""
    name, path, printed = FRAMES[words]
    assert value(PAPER.datasets[name].config, path) == printed


@pytest.mark.parametrize("words", MODELS)
def test_the_paper_profile_has_the_papers_models(words):
    """Each number that Section 5 and the appendices print stands in the `paper` profile."""
    name, path, printed = MODELS[words]
    assert value(TRACKERS[name], path) == printed


def test_a_training_set_has_3200000_examples():
    """Epochs, updates and minibatches come to the "3,200,000 randomly-generated examples" of Appendix B."""
    training = TRACKERS["RecTracker-ID"].training
    assert training.epochs * training.updates_per_epoch * training.batch == 3_200_000


def test_defaults_are_the_papers():
    """A family without settings is the paper's: RecTracker-ID, and KCF with the HOG settings of its own paper."""
    assert TRACKERS["RecTracker-ID"] == rectracker.Config()
    assert kcf.tracker(TRACKERS["KerCorrTracker"], {}, "cpu").config == kcf.tracker(kcf.Config(), {}, "cpu").config


def test_trackers_differ_in_nothing_but_what_the_paper_varies():
    """ "Other than the omission of the recurrent network, all the other details are identical" (Section 5)."""
    same = {"filters", "filter_size", "stride", "units", "given", "auxiliary", "epsilon", "training"}
    names = ("RecTracker-ID", "RecTracker-Att-1", "RecTracker-Att-3", "ConvTracker")
    assert len({tuple(getattr(TRACKERS[name], field) for field in sorted(same)) for name in names}) == 1


def test_what_is_compared_is_what_the_tables_have():
    """Trackers, data sets, lengths and measure of the profile are those of the paper's tables."""
    reported = paper.load("rectracker")
    trackers = {tracker for table in reported.tables for tracker in table.cells}
    benchmarks = {name for table in reported.tables for cells in table.cells.values() for name in cells}
    assert trackers == set(TRACKERS)
    assert benchmarks == {name for experiment in STUDY.experiments for name in experiment.test}
    assert {tuple(table.lengths) for table in reported.tables} == {STUDY.lengths}
    assert all(reported.measure in experiment.measures for experiment in STUDY.experiments)


def test_no_test_shapes_are_trained_on():
    """Novel digit classes are never trained on, and test digits never train (Section 4)."""
    for experiment in STUDY.experiments:
        train = PAPER.datasets[experiment.train].config
        assert (train.split, train.overlaid) == ("train", 1)
        for name in experiment.test:
            test = PAPER.datasets[name].config
            assert (test.split, test.objects) == ("test", train.objects)


def test_every_number_names_its_section():
    """Each line of the `paper` profile that sets a number of the paper says where it stands."""
    text = (PROFILES / "paper.yaml").read_text()
    named = ("length", "size", "step", "scale_change", "intensity", "sequences", "filters", "stride", "units", "batch")
    for line in text.splitlines():
        if line.startswith(" ") and line.strip().partition(":")[0] in named:
            assert any(word in line for word in ("Section", "Appendix", "Table")), line
