from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from orchestrator import params as reading
from orchestrator import plan, trained
from orchestrator.conduct import Outcome, conduct, sources
from orchestrator.extraction import make_features, train_extractors
from orchestrator.params import ParamsError
from trackers.evaluation import archive
from trackers.extractors import Remembering
from trackers.features import Features

LENGTHS = {"A": 4, "B": 9, "C": 6, "D": 7}


def write_otb(root: Path, lengths: dict[str, int]) -> None:
    """A bright square that moves, in OTB's layout; A is occluded; in the last frames of A and B another is brighter."""
    for number, (name, length) in enumerate(lengths.items()):
        folder = root / name
        (folder / "img").mkdir(parents=True)
        (folder / "groundtruth_rect.txt").write_text("".join(f"{4 + t},{5 + number},8,8\n" for t in range(length)))
        (folder / "attrs.txt").write_text("OCC" if name == "A" else "")
        for t in range(length):
            image = np.zeros((24, 24, 3), np.uint8)
            image[4 + number : 12 + number, 3 + t : 11 + t] = 100 + t
            if name in "AB" and t == length - 1:
                image[20:, 20:] = 250
            cv2.imwrite(str(folder / "img" / f"{t + 1:04d}.png"), image)


@pytest.fixture
def seeing(project, params):
    """A project whose trackers see through a toy network: (project, its parameters, its modules network and seer)."""
    write_otb(project.root / "data" / "otb", LENGTHS)
    params["datasets"] = {
        "OTB": {"format": "otb", "root": "data/otb"},
        "part": {"format": "otb", "root": "data/otb", "sequences": ["B", "C"]},
    }
    params["extractors"] = {"eye": {"kind": "toy.network", "train": {"pictures": "part"}}}
    params["features"] = ["eye-OTB"]
    params["studies"] = {
        "toy": {
            "experiments": [{"train": "part", "test": ["OTB"]}],
            "trackers": {"Seer": {"family": "toy.seer"}},
        }
    }
    project.write(params)
    network, seer = (importlib.import_module(f"toy.{name}") for name in ("network", "seer"))
    return project, params, network, seer


def features(project, *names: str) -> Outcome:
    return make_features(project.options(), project.paths, names)


def labels(outcome: Outcome) -> list[str]:
    return [job.label for job in outcome.prospect.todo]


def cache(project, name: str = "eye-OTB") -> Features:
    return Features(project.paths.features / name)


def refusal(project) -> str:
    """Why a run fails that may not begin; every failure has this reason, or follows."""
    failures = conduct(project.options(), project.paths).failures
    said = {text for text in failures.values() if not text.startswith("needs ")}
    assert len(said) == 1, failures
    return said.pop()


def test_an_extractor_is_trained_then_caches_are_made_once(seeing):
    """A missing extractor is made before its cache, the longest sequence is first; a second call does nothing."""
    project, _, network, _ = seeing
    outcome = features(project)
    assert labels(outcome) == ["extractors / eye / fit", *(f"eye-OTB / {name}" for name in LENGTHS)]
    assert sorted(LENGTHS.values(), reverse=True) == network.LOOKED
    assert network.FITTED == [1.0]
    made = cache(project)
    made.verify()
    assert (made.names, made.size) == (tuple(LENGTHS), 3)
    seen = made["B"].seen(5)
    assert seen.boxes.tolist() == [[8, 5, 8, 8]]
    brightest = 100  # of the first frames of its training data, B and C
    expected = 105 * 64 / 24**2 / brightest
    np.testing.assert_allclose(seen.features.astype(float), [expected] * 3, rtol=1e-3)
    before = {path: path.stat().st_mtime_ns for path in project.paths.build.rglob("*.[pb]*") if path.is_file()}
    shutil.rmtree(project.paths.store)  # what it made is enough
    for again in (features(project), train_extractors(project.options(), project.paths)):
        assert (again.prospect.todo, again.prospect.found_done) == ([], [])
    assert (len(network.LOOKED), network.FITTED) == (4, [1.0])
    kept = {path: changed for path, changed in before.items() if not path.is_relative_to(project.paths.store)}
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {path.parts[-2] for path in kept} >= {"eye", "eye-OTB"}


def test_what_is_made_again_is_what_changed(seeing, monkeypatch):
    """Settings of trackers touch nothing; those of an extractor make its weights and its caches anew, no others."""
    project, params, network, _ = seeing
    params["extractors"]["other"] = {"kind": "toy.network", "train": {"pictures": "OTB"}, "gain": 2.0}
    params["features"] += ["other-OTB"]
    project.write(params)
    features(project)
    assert sorted(network.FITTED) == [1.0, 2.0]
    other = dict(cache(project, "other-OTB").facts)
    params["studies"]["toy"]["trackers"]["Seer"]["rate"] = 0.5
    project.write(params)
    assert features(project).prospect.todo == []
    params["extractors"]["eye"]["gain"] = 3.0
    project.write(params)
    network.LOOKED.clear()
    assert set(labels(features(project))) == {"extractors / eye / fit", *(f"eye-OTB / {name}" for name in LENGTHS)}
    assert (sorted(network.FITTED), len(network.LOOKED)) == ([1.0, 2.0, 3.0], 4)
    assert cache(project).facts["extractor"]["settings"]["gain"] == 3.0
    assert cache(project, "other-OTB").facts == other


def gone(project, params) -> None:
    shutil.rmtree(project.paths.features / "eye-OTB")


def flipped_byte(project, params) -> None:
    shard = project.paths.features / "eye-OTB" / "shard-00000.bin"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def other_settings(project, params) -> None:
    params["extractors"]["eye"]["gain"] = 3.0
    project.write(params)


def other_weights(project, params) -> None:
    params["extractors"]["eye"]["gain"] = 4.0
    project.write(params)
    train_extractors(project.options(), project.paths)


def other_data(project, params) -> None:
    write_otb(project.root / "data" / "otb", {"E": 5})


def test_a_cache_that_cannot_be_used_is_refused_and_made_again(seeing):
    """Nothing runs on a cache that is gone, damaged or of other weights or data; the error says what mends it.

    That looks again at all sequences where weights or data changed, and at none where the cache alone was lost.
    """
    project, params, network, seer = seeing
    features(project)
    spoilt = {  # what it does, what is said, how many trainings and looks mend it
        gone: ("expected a cache of features, found none", 0, 0),
        flipped_byte: ("expected shards as they were written, got others in shard-00000.bin", 0, 0),
        other_settings: ("expected a cache made with today's extractor, got", 1, 4),
        other_weights: ("expected a cache made with today's extractor and weights, got", 0, 4),
        other_data: ("expected a cache made with today's data, got", 1, 5),
    }
    for spoil, (said, trainings, looks) in spoilt.items():
        spoil(project, params)
        message = refusal(project)
        assert message.startswith(f"{project.paths.features / 'eye-OTB'}: {said}"), message
        assert message.endswith("; 'trackmeet features eye-OTB' makes it")
        network.FITTED.clear()
        network.LOOKED.clear()
        assert not features(project).failures
        assert (len(network.FITTED), len(network.LOOKED)) == (trainings, looks), spoil.__name__
    assert seer.LEARNT == []
    assert cache(project).names == (*LENGTHS, "E")
    assert not conduct(project.options(), project.paths).failures
    assert seer.LEARNT == [["B", "C"]]


def test_weights_that_are_gone_are_refused_and_put_back(seeing):
    """A trained tracker is refused without its extractor's weights, which come back from the store, and sees then."""
    project, params, network, _ = seeing
    features(project)
    assert not conduct(project.options(), project.paths).failures
    file, weights = project.root / "params.yaml", project.paths.extractors / "eye" / "weights.pt"
    [trial] = trained.find(file, project.paths, ["Seer"]).values()
    image = np.zeros((24, 24, 3), np.uint8)
    image[2:5, 3:9] = 9
    assert trained.load(trial, file, project.paths, "cpu").update([0], [image]).tolist() == [[3, 2, 6, 3]]
    weights.unlink()
    with pytest.raises(ValueError, match=r"expected the weights of extractor eye, .*'trackmeet extractor eye' makes"):
        trained.load(trial, file, project.paths, "cpu")
    assert train_extractors(project.options(), project.paths).prospect.todo == []
    assert weights.is_file()
    assert network.FITTED == [1.0]


def test_an_interrupted_extraction_goes_on(seeing, monkeypatch):
    """After an interruption only the sequence in flight is looked at again, and there is no half a cache."""
    project, _, network, _ = seeing
    look = network.Eye.look

    def interrupted(self, image):
        if len(network.LOOKED) == 3:
            raise KeyboardInterrupt
        return look(self, image)

    monkeypatch.setattr(network.Eye, "look", interrupted)
    outcome = features(project)
    assert outcome.interrupted
    assert not (project.paths.features / "eye-OTB").exists()
    assert network.LOOKED == [9, 7, 6]
    monkeypatch.undo()
    monkeypatch.chdir(project.root)
    network.LOOKED.clear()
    assert not features(project).interrupted
    assert network.LOOKED == [6, 4]
    assert network.FITTED == [1.0]
    cache(project).verify()


def test_an_extractor_that_fails_spares_what_is_there(seeing):
    """Where training fails, no cache is made with other weights, and what is there stays."""
    project, params, network, _ = seeing
    params["extractors"]["eye"]["fault"] = "bug"
    project.write(params)
    assert "expected a finite loss" in str(features(project).failures)
    assert network.LOOKED == []
    assert not project.paths.features.exists()


def test_unknown_names_are_refused(seeing):
    """A name that the parameters do not have is an error that lists theirs; so is asking where there are none."""
    project, params, _, _ = seeing
    with pytest.raises(ValueError, match="no cache of features 'eye-part' in the parameters; expected one of eye-OTB"):
        features(project, "eye-part")
    with pytest.raises(ValueError, match="no extractor 'ear' in the parameters; expected one of eye"):
        train_extractors(project.options(), project.paths, ["ear"])
    del params["studies"]["toy"]["trackers"]["Seer"], params["features"], params["extractors"]
    project.write(params)
    with pytest.raises(ValueError, match="no cache of features in the parameters; expected one at least"):
        features(project)


def test_generated_data_is_refused_before_anything_is_trained(seeing):
    """No cache is of data that is generated anew: one line says so, and no job runs."""
    project, params, network, _ = seeing
    params["datasets"]["squares"] = {"format": "toy.data", "root": "data/squares"}
    params["features"] += ["eye-squares"]
    project.write(params)
    with pytest.raises(ValueError, match="eye-squares: expected recorded sequences to see in, got generated ones"):
        features(project)
    assert network.FITTED == []


def test_what_a_kill_left_is_removed(seeing):
    """Folders that were being filled when a run was killed go when the next are written."""
    project, _, _, _ = seeing
    left = [project.paths.features / ".eye-OTB.0123abcd", project.paths.extractors / ".ear.0123abcd"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "weights.pt").touch()
    features(project)
    assert not any(folder.exists() for folder in left)


def test_trackers_see_what_the_cache_has(seeing):
    """Parts of a data set share its cache, in training and tracking: where it has an image, the network does not run.

    Frames in which it missed the target are tagged. An oracle alone is told what sequence each lane starts, and where.
    """
    project, params, network, seer = seeing
    params["studies"]["toy"]["trackers"]["Oracle"] = {"family": "toy.seer", "oracle": True, "trained": False}
    project.write(params)
    features(project)
    network.LOOKED.clear()
    assert not conduct(project.options(), project.paths).failures
    assert (network.LOOKED, seer.LEARNT) == ([], [["B", "C"]])
    assert [([0, 1, 2, 3], list("ABCD"), [0, 0, 0, 0])] == seer.REVEALED
    [path] = [path for path in project.paths.results.rglob("trajectories.npz") if "Seer" in str(path)]
    sequences, trajectories = archive.load(path)
    assert trajectories[1].regions.tolist() == [[3 + t, 5, 8, 8] for t in range(8)] + [[20, 20, 4, 4]]
    assert trajectories[0].regions[-1].tolist() == [20, 20, 4, 4]
    tags = {sequence.name: sequence.tags for sequence in sequences}
    assert tags["A"]["undetected"].tolist() == tags["A"]["occluded_undetected"].tolist() == [False] * 3 + [True]
    assert tags["B"]["undetected"].tolist() == [False] * 8 + [True]
    assert not tags["B"]["occluded_undetected"].any()


def test_a_measure_of_ones_own_is_taken(seeing):
    """What a family is judged by besides is in its scores, in the convention of the experiment, which knows it."""
    project, params, _, _ = seeing
    params["studies"]["toy"]["experiments"][0].update(convention="otb", measures=["success_auc", "cle"])
    params["studies"]["toy"]["trackers"]["Seer"].update(trained=False, measures=["released_overlap", "cle"])
    project.write(params)
    features(project)
    assert not conduct(project.options(), project.paths).failures
    [path] = project.paths.results.rglob("scores.json")
    scores = json.loads(path.read_text())["scores"]
    assert sorted({score["measure"] for score in scores}) == ["cle", "released_overlap", "success_auc"]
    assert len({(score["measure"], score["subset"]) for score in scores}) == len(scores)
    assert {score["convention"] for score in scores} == {"otb"}


def test_the_network_looks_at_what_is_not_in_the_cache(seeing):
    """An image of other pixels than any in the cache is given to the network, alone."""
    project, _, network, _ = seeing
    features(project)
    network.LOOKED.clear()
    see = Remembering(lambda: network.Eye(1.0), cache(project))
    known = cv2.imread(str(project.root / "data" / "otb" / "B" / "img" / "0002.png"))[..., ::-1]
    new = np.zeros((24, 24, 3), np.uint8)
    new[2:5, 3:9] = 9
    assert [one.boxes[0].tolist() for one in see([known, new])] == [[4, 5, 8, 8], [3, 2, 6, 3]]
    assert network.LOOKED == [1]


def test_a_fold_refuses_to_test_what_the_network_learnt_from(seeing):
    """In folds, sequences that a tracker's extractor was trained on are refused by name; the others are tested."""
    project, params, _, _ = seeing
    params["studies"]["toy"]["experiments"] = [{"train": "OTB", "test": ["OTB"], "folds": 4}]
    project.write(params)
    features(project)
    failures = conduct(project.options(), project.paths).failures
    causes = [text for text in failures.values() if not text.startswith("needs ")]
    told = [text.split("expected ")[1].split(" (log")[0] for text in causes]
    assert sorted(told) == [f"sequences that nothing was learnt from, got {name}" for name in "BC"]


def test_experiments_with_the_same_training_data_are_one_trial(seeing):
    """What is trained on the same is trained once, and tested in all experiments that name it."""
    project, params, _, _ = seeing
    study = params["studies"]["toy"]
    study["experiments"] = [
        {"train": "part", "test": ["OTB"], "trackers": ["Seer"]},
        {"train": "part", "test": ["part"], "protocols": ["one_pass", "temporal_robustness"]},
        {"train": "OTB", "test": ["part"], "trackers": ["Seer"]},
    ]
    project.write(params)
    options = project.options()
    found = plan.plan(reading.load(options.params), sources(options, project.paths))
    assert {trial.name: [*trial.tracking] for trial in found} == {
        "Seer / part": [("OTB", "one_pass"), ("part", "one_pass"), ("part", "temporal_robustness")],
        "Seer / OTB": [("part", "one_pass")],
    }
    assert len({job.key for trial in found for job in trial.training.values()}) == 2
    for job in found[0].tracking.values():  # all that decides what the network sees, and which frames are tagged
        assert {"toy.network", "trackers.features", "trackers.evaluation.missed"} <= job.code.keys()


def test_commands(seeing, call):
    """`trackmeet extractor` and `trackmeet features` say what they did, and end with an error for what is unknown."""
    how = ("--executor", "local", "--record", "none")
    assert call("extractor", "eye", *how)[:2] == (
        0,
        "done    extractors / eye / fit (0.0 s)\n1 jobs trained, 0 extracted, 0 were done\n",
    )
    assert call("features", *how)[1].endswith("0 jobs trained, 4 extracted, 0 were done\n")
    assert call("features", "eye-OTB", *how)[:2] == (0, "all is there already\n")
    seeing[0].write({**seeing[1], "extractors": {"eye": {**seeing[1]["extractors"]["eye"], "gain": 2.0}}})
    assert call("features", *how)[1].endswith("\n1 jobs trained, 4 extracted, 0 were done\n")
    status, _, said = call("features", "eye-part", *how)
    assert status != 0
    assert "no cache of features 'eye-part'" in said


def spoilt(key, value):
    def spoil(params):
        *path, last = key
        at = params
        for name in path:
            at = at[name]
        at[last] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            spoilt(("studies", "toy", "trackers", "Seer", "extractor"), "ear"),
            "no extractor 'ear'; extractors has eye",
        ),
        (spoilt(("datasets", "OTB", "clip"), 5), "expected data as it was recorded to see in, got OTB"),
        (spoilt(("features",), []), "expected eye-OTB among features"),
        (spoilt(("features",), ["eye-LaSOT"]), "expected <extractor>-<data set>, .* got 'eye-LaSOT'"),
        (spoilt(("extractors", "eye", "kind"), "no_such"), "no module trackers.extractors.no_such"),
        (spoilt(("extractors", "eye", "train"), {"pictures": "LaSOT"}), "no data set 'LaSOT'"),
        (spoilt(("extractors", "eye", "train"), "part"), "expected training data by the roles pictures; got train"),
        (spoilt(("extractors", "eye", "gain"), "much"), "extractors.eye.gain: expected float, got 'much'"),
        (
            spoilt(("extractors", "eye", "train"), {"pictures": "part", "films": "OTB"}),
            r"extractors.eye.train: expected training data by the roles pictures; got pictures, films",
        ),
        (
            lambda params: params["extractors"].update(
                ear={"kind": "yolo", "network": {"weights": "yolo.weights"}, "train": {"objects": "OTB"}}
            ),
            r"extractors.ear.train: expected training data by no role, for nothing is learnt; got objects",
        ),
        (
            spoilt(("studies", "toy", "trackers", "Seer", "measures"), ["sr_50"]),
            r"params.yaml:\d+: studies.toy.experiments.0: Seer is judged by sr_50; convention: .* defined by got10k",
        ),
        (
            lambda params: params["studies"]["toy"]["experiments"][0].update(trackers=["Nobody"]),
            r"experiments.0.trackers: no tracker 'Nobody'",
        ),
    ],
)
def test_parameters_that_cannot_be_seen_through_are_refused(spoil, said, seeing):
    """Trackers whose extractor or cache is not named, and names of nothing, are refused when parameters are read."""
    project, params, _, _ = seeing
    spoil(params)
    project.write(params)
    with pytest.raises(ParamsError, match=said):
        reading.load(project.root / "params.yaml")
