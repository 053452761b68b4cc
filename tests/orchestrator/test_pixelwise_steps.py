import json

import pytest
import yaml

from orchestrator import plan
from orchestrator.jobs import Data
from orchestrator.params import PROFILES, load

FOLDS = 2
FULL = "2-stage ConvLSTM"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Keys of jobs by tracker, fold and step, of the sample's study of a family whose training is a graph, in folds.

    Of this tracker alone where it is given, with other settings.
    """
    params = yaml.safe_load((PROFILES / "sample.yaml").read_text())
    study = params["studies"]["pixelwise"]
    for experiment in study["experiments"]:
        experiment["folds"] = FOLDS
    path = tmp_path_factory.mktemp("pixelwise") / "params.json"
    sources = plan.Sources(lambda root: Data(root, str(root)), lambda modules: {})

    def make(tracker=None, **settings):
        planned = study
        if tracker is not None:
            trackers = {tracker: study["trackers"][tracker] | settings}
            planned = study | {"trackers": trackers, "experiments": study["experiments"][:1]}
        path.write_text(json.dumps(params | {"studies": {"pixelwise": planned}}))
        trials = plan.plan(load(path), sources)
        return {(t.tracker, t.fold): {step: job.key for step, job in t.training.items()} for t in trials if t.training}

    return make


@pytest.fixture(scope="module")
def found(keys):
    """Those of all trackers, as they are set."""
    return keys()


def test_folds_and_variants_share_their_preparation(found):
    """Maps, backbone and clips are one job each, whatever is learnt from them."""
    assert {fold for _, fold in found} == set(range(FOLDS))
    for step in ("maps", "backbone", "clips"):
        assert len({steps[step] for steps in found.values() if step in steps}) == 1


def test_variants_share_what_they_agree_on(found):
    """1-stage is the local model of 2-stage, which goes on from that compared without updates; both FCNs are one."""
    for fold in range(FOLDS):
        full, one, first = (found[name, fold] for name in (FULL, "1-stage ConvLSTM", "2-stage-First"))
        assert {step for step in full if full[step] != one.get(step)} == {"tracker"}
        for step in ("local-0", "global-0"):
            assert first[step] == full[step]
        near, clean = found["ConvLSTM-Near", fold], found["ConvLSTM-Near-Clean", fold]
        assert near["local-0"] == first["local-0"] != clean["local-0"]
        assert found["FCN", fold]["fcn"] == found["FCN-Near", fold]["fcn"]


def test_every_fold_learns_anew(found):
    """No step that learns from videos is one job for two folds."""
    for tracker in {tracker for tracker, _ in found}:
        one, other = found[tracker, 0], found[tracker, 1]
        assert {step for step in one if one[step] == other[step]} <= {"maps", "backbone", "clips"}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"beta": 0.37}, {"crossed-1-1", "crossed-1-2", "global-1", "local-1"}),
        ({"moved": 0.37}, {"global-0", "crossed-1-1", "crossed-1-2", "global-1", "local-1"}),
        ({"every": 17}, {"crossed-1-1", "crossed-1-2", "global-1", "local-1"}),
        ({"cut": 0.37}, {"crossed-1-1", "crossed-1-2", "global-1", "local-1"}),
        ({"units": 37}, set()),
        ({"remembered": 7}, {"half-1", "half-2", "local-0", "crossed-1-1", "crossed-1-2", "global-1", "local-1"}),
        ({"updating": {"epochs": 7}}, {"local-1"}),
        ({"attention_updating": {"epochs": 7}}, {"global-1", "local-1"}),
    ],
)
def test_a_setting_redoes_what_depends_on_it(change, again, keys, found):
    """The steps that use it, those that need them, and no others."""
    before, after = found[FULL, 0], keys(FULL, **change)[FULL, 0]
    assert before.keys() == after.keys()
    assert {step for step in before if before[step] != after[step]} == again | ({"tracker"} if again else set())


def test_a_further_round_goes_on_from_the_one_before(keys, found):
    """With another round, all that was done of the first one stays, but its final local model."""
    before, after = found[FULL, 0], keys(FULL, rounds=2)[FULL, 0]
    assert {step for step in before if before[step] != after.get(step)} == {"local-1", "tracker"}
