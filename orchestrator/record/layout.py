"""How trials stand in the record: what their runs are called, tagged and measured by, and which belong together.

Metrics, whose names MLflow's charts group by what stands before the last "/":

    overlap/OTB                      a score; then its protocol, its subset and its length, where it has such
    std over sequences/overlap/OTB   how far the sequences lie apart
    success curve/OTB                a curve, by steps of one percent, one pixel or one frame
    fps/OTB                          frames a second, where that was measured
    cost/...                         seconds of training, parameters, memory

The trials of one tracker that differ by fold or seed alone stand below a run that has the means of their metrics, and
"std over folds/...". That run belongs to exactly these trials: where one changes there is another, as of a trial.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orchestrator import score_files
from orchestrator.jobs import Job, digest
from orchestrator.params import Dataset
from orchestrator.plan import Trial
from orchestrator.record import DataSet, Model, Point
from orchestrator.report.results import Quantity
from orchestrator.store import Store
from trackers import families
from trackers.evaluation.curves import CURVES
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL
from trackers.evaluation.scores import Score

SEQUENCES, FOLDS = "std over sequences", "std over folds"
Headline = Mapping[tuple[str, Quantity], float]  # scores of all sequences, by benchmark and what was measured
REFUSED = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics
CURRENT = "current"  # the alias of a tracker's first trial


@dataclass(frozen=True)
class Group:
    """Trials of one tracker that differ by fold or seed alone; often only one. name: unique in the study."""

    name: str
    trials: tuple[Trial, ...]

    @property
    def several(self) -> bool:
        """Whether they stand below a run of their own."""
        return len(self.trials) > 1

    @property
    def key(self) -> str:
        """Of that run."""
        return digest(sorted(trial.key for trial in self.trials))

    def title(self, trial: Trial) -> str:
        """What the run of one of them is called."""
        fold = [] if trial.fold is None else [f"fold {trial.fold}"]
        seed = [f"seed {trial.seed}"] if trial.seed != 1 or len({one.seed for one in self.trials}) > 1 else []
        return ", ".join([self.name, *fold, *seed])


def groups(trials: Iterable[Trial]) -> list[Group]:
    """The trials of one study or of several, in their order; named by the tracker, and by the data if need be."""
    alike: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        alike.setdefault((trial.study, trial.tracker, trial.train, tuple(trial.scores), trial.folds), []).append(trial)
    times = Counter((study, tracker) for study, tracker, *_ in alike)
    learnt = Counter((study, tracker, train) for study, tracker, train, *_ in alike)
    found = []
    for (study, tracker, train, tests, _), own in alike.items():
        data = train if train is not None and learnt[study, tracker, train] == 1 else " + ".join(tests)
        found.append(Group(f"{tracker}, {data}" if times[study, tracker] > 1 else tracker, tuple(own)))
    return found


def settings(trial: Trial) -> dict[str, Any]:
    """What the columns of parameters show."""
    return {
        "family": trial.variant.family,
        **dataclasses.asdict(trial.variant.config),
        "training data": trial.train or "none",
    }


def tags(trial: Trial) -> dict[str, str]:
    """What a run can be found by, and what whoever reads its scores must know."""
    is_tracker = bool(trial.scores)  # else an extractor, whose kind is no family
    caveat = families.find(trial.variant.family).caveat(trial.variant.config) if is_tracker else None
    return {
        "tracker": trial.tracker,
        "family": trial.variant.family,
        "study": trial.study,
        "train": trial.train or "none",
        "test": ", ".join(trial.scores) or "none",
        **({"steps": trial.steps} if trial.training else {}),
        **({"caveat": caveat} if caveat else {}),
    }


def place(trial: Trial) -> dict[str, str]:
    """Which fold and seed it is."""
    return {
        "fold": "none" if trial.fold is None else str(trial.fold),
        **({} if trial.fold is None else {"folds": f"{trial.folds}, drawn by seed {trial.fold_seed}"}),
        "seed": str(trial.seed),
    }


def data_sets(trial: Trial, datasets: Mapping[str, Dataset], revision: str) -> list[DataSet]:
    """What it learns from and is tested in. revision: of the data, as DVC knows it."""
    uses: dict[str, list[str]] = {}
    found: dict[str, tuple[Job, Mapping[str, Any]]] = {}
    for job in trial.jobs:
        trained = [("training", use) for use in job.arguments.get("train", {}).values()]
        tested = [("testing", job.arguments["test"])] if "test" in job.arguments else []
        for context, use in [*trained, *tested]:
            found.setdefault(use["name"], (job, use))
            if context not in uses.setdefault(use["name"], []):
                uses[use["name"]].append(context)
    return [
        DataSet(
            name,
            job.data[name].digest[:12],
            " and ".join(uses[name]),
            {"path": datasets[name].root.as_posix() if name in datasets else name, "dvc": revision},
            {"format": use["format"], "settings": use["settings"]},
        )
        for name, (job, use) in found.items()
        if name in job.data
    ]


def points(trial: Trial, store: Store) -> list[Point]:
    """All that a finished trial measured, with the time at which it did."""
    found: list[Point] = []
    for job in trial.training.values():
        path = store.folder(job.key) / "curve.json"
        if path.exists():
            rows = json.loads(path.read_text())
            found += [Point(training_curve(trial, job, name), value, step, at) for name, value, step, at in rows]
    for dataset, job in trial.scores.items():
        scores, at = score_files.read(store.folder(job.key)), _finished(store, job)
        for score in scores.scores:
            found += _score(score, dataset, at)
        for curve in scores.curves:
            found += _curve(curve, dataset, at)
    for dataset, job in trial.speed.items():
        speed = json.loads((store.folder(job.key) / "speed.json").read_text())
        found.append(Point(f"fps/{dataset}", speed["fps"], 0, _finished(store, job)))
    return [*found, *_costs(trial, store)]


def training_curve(trial: Trial, job: Job, name: str) -> str:
    """A curve's name: with its step's, where a family trains in several."""
    if len(trial.training) == 1:
        return name
    return next((f"{step}/{name}" for step, own in trial.training.items() if own.key == job.key), name)


def ended(trial: Trial, store: Store) -> int:
    """When the last of its jobs was done, in ms."""
    return max(_finished(store, job) for job in trial.jobs)


def began(trial: Trial, store: Store) -> int:
    """When the first of its jobs began, in ms; of finished ones."""
    manifests = [store.manifest(job.key) or {} for job in trial.jobs]
    return int(min(manifest["finished"] - manifest.get("seconds", 0.0) for manifest in manifests) * 1000)


def averages(found: Sequence[Sequence[Point]]) -> list[Point]:
    """Of several trials' points: the mean of each that all of them have, and of each score the deviation.

    The time is that of the last of them.
    """
    values: dict[tuple[str, int], list[Point]] = {}
    for trial in found:
        for point in {(point.name, point.step): point for point in trial}.values():
            values.setdefault((point.name, point.step), []).append(point)
    told: list[Point] = []
    for (name, step), those in values.items():
        if len(those) < len(found) or name.startswith(SEQUENCES):
            continue
        numbers, at = np.array([point.value for point in those]), max(point.timestamp_ms for point in those)
        told.append(Point(name, float(numbers.mean()), step, at))
        if "/" in name and step == 0 and not name.startswith(("cost/", "fps/")) and " curve/" not in name:
            told.append(Point(f"{FOLDS}/{name}", float(numbers.std()), 0, at))
    return told


def headline(trial: Trial, store: Store) -> Headline:
    """A finished trial's scores of all sequences."""
    found = {}
    for dataset, job in trial.scores.items():
        for entry in json.loads((store.folder(job.key) / "scores.json").read_text())["scores"]:
            if entry["subset"] == ALL and entry["value"] is not None:
                facts = (entry[name] for name in ("measure", "protocol", "length", "subset", "convention"))
                found[dataset, Quantity(*facts)] = entry["value"]
    return found


def metric_name(benchmark: str, quantity: Quantity | Score) -> str:
    """What a score is called; without characters that MLflow refuses: "UAV123_10fps"."""
    parts = [
        quantity.measure,
        benchmark,
        quantity.protocol if quantity.protocol != "one_pass" else None,
        quantity.subset if quantity.subset != ALL else None,
        quantity.length,
    ]
    return REFUSED.sub("_", "/".join(str(part) for part in parts if part is not None))


def losing(found: Mapping[str, Headline], measure: str) -> tuple[str, str]:
    """Which of several trials, by name, is the worst, and its score in words: ("fold 3", "0.210 eao/VOT2016").

    By this measure, where all have it, else by the first that they all have; ("", "") where there is none.
    """
    known = [key for key in next(iter(found.values()), {}) if all(key in scores for scores in found.values())]
    if not known:
        return "", ""
    key = next((key for key in known if key[1].measure == measure), known[0])
    worst = min if MEASURES[key[1].measure].better == "higher" else max
    name = worst(found, key=lambda one: found[one][key])
    return name, f"{found[name][key]:.3f} {metric_name(*key)}"


def model(trial: Trial, group: Group, first: bool, store: Store) -> Model | None:
    """Its tracker, to be registered; None where it tracks nothing, or learnt nothing that the first has not.

    first: whether it is the first of all trials of that tracker.
    """
    if not trial.tracking or not (trial.training or first):
        return None
    arguments = next(iter(trial.tracking.values())).arguments
    extractor = arguments.get("extractor")
    tracker = {
        "name": trial.tracker,
        "study": trial.study,
        "family": arguments["family"],
        "settings": arguments["settings"],
        "seed": trial.seed,
        "extractor": extractor and {"kind": extractor["kind"], "settings": extractor["settings"]},
    }
    files = {"weights.pt": store.folder(list(trial.training.values())[-1].key)} if trial.training else {}
    if extractor:
        job = next(iter(trial.tracking.values()))
        files["extractor.pt"] = job.data[extractor["weights"]].path
    own = group.title(trial).removeprefix(trial.tracker)
    aliases = [*([CURRENT] if first else []), *([_alias(own)] if own and trial.training else [])]
    return Model(
        registered_name(trial.study, trial.tracker),
        aliases,
        f"{trial.tracker} of the study {trial.study}: `mlflow.pyfunc.load_model"
        f'("models:/{registered_name(trial.study, trial.tracker)}@{CURRENT}")`',
        {"study": trial.study, "tracker": trial.tracker, "train": trial.train or "none", **place(trial)},
        tracker,
        {name: folder / "weights.pt" for name, folder in files.items()},
    )


def registered_name(study: str, tracker: str) -> str:
    """As MLflow takes it, and as it stands in an address without being quoted: "goturn.GOTURN"."""
    return re.sub(r"[^\w.+-]+", "-", f"{study}.{tracker}", flags=re.ASCII).strip("-")


def _alias(text: str) -> str:
    return re.sub(r"\W+", "-", text, flags=re.ASCII).strip("-")


def _score(score: Score, dataset: str, at: int) -> Iterable[Point]:
    values = score.values[np.isfinite(score.values)]
    if not len(values) or not np.isfinite(score.value):
        return
    name = metric_name(dataset, score)
    yield Point(name, score.value, 0, at)
    yield Point(f"{SEQUENCES}/{name}", float(values.std()), 0, at)


def _curve(curve: Score, dataset: str, at: int) -> Iterable[Point]:
    """Its points by whole steps: of thresholds up to 1 percents, of others themselves."""
    x, y = CURVES[curve.measure].points(curve.numerator.sum(0), curve.denominator.sum(0))
    name = metric_name(dataset, replace(curve, measure=f"{curve.measure} curve"))
    scale = 100 if x.max() <= 1 else 1
    steps = {round(scale * float(threshold)): float(value) for threshold, value in zip(x, y, strict=True)}
    return [Point(name, value, step, at) for step, value in steps.items() if np.isfinite(value)]


def _costs(trial: Trial, store: Store) -> Iterable[Point]:
    manifests = [(job, store.manifest(job.key) or {}) for job in trial.training.values()]
    if not manifests:
        return
    at = max(_finished(store, job) for job, _ in manifests)
    yield Point("cost/training seconds", sum(manifest.get("seconds", 0.0) for _, manifest in manifests), 0, at)
    if "parameters" in manifests[-1][1]:
        yield Point("cost/parameters", manifests[-1][1]["parameters"], 0, at)
    memory = [manifest["memory"] for _, manifest in manifests if "memory" in manifest]
    if memory:
        yield Point("cost/training memory in GB", max(memory) / 1e9, 0, at)


def _finished(store: Store, job: Job) -> int:
    return int((store.manifest(job.key) or {})["finished"] * 1000)
