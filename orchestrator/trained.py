"""Trackers of the parameters, with the weights that the last run trained, with others, or as the record has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import params as parameters
from orchestrator.conduct import Options, look, sources
from orchestrator.jobs import Job
from orchestrator.paths import Paths
from orchestrator.plan import Trial
from orchestrator.provenance import Expected
from orchestrator.store import Store
from orchestrator.work import load_extractor, load_weights
from trackers import families
from trackers.tracker import Tracker

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Choice:
    """A tracker to track with. name: unique among those chosen. caveat: what must be known of what it says.

    source: where its settings and weights are from, for people. load: makes it.
    """

    name: str
    seed: int
    caveat: str | None
    source: dict[str, str | None]
    load: Callable[[], Tracker] = field(repr=False)


def choose(
    params: Path, paths: Paths, names: list[str], weights: list[str], study: str | None = None, device: str = ""
) -> list[Choice]:
    """These trackers. weights: of each, a file of weights for the parameters' settings, or a run of the record with
    settings of its own, see `orchestrator.models`; []: what the last run trained.

    Raises ValueError for another number of weights, what `find` raises, and ValueError for an unknown run.
    """
    if weights and len(weights) != len(names):
        raise ValueError(f"--weights: expected one for each of {len(names)} --tracker, got {len(weights)}")
    if not weights:
        return [
            _of_trial(trial, name, params, paths, device) for name, trial in find(params, paths, names, study).items()
        ]
    chosen: list[Choice] = []
    for name, given in zip(names, weights, strict=True):
        known = {choice.name for choice in chosen}
        shown = f"{name} ({given})" if name in known else name
        if Path(given).is_file():
            trial = find(params, paths, [name], study, trained=False)[name]
            chosen.append(_of_trial(trial, shown, params, paths, device, Path(given)))
        else:
            chosen.append(_of_run(given, name, shown, paths, device))
    return chosen


def _of_trial(trial: Trial, name: str, params: Path, paths: Paths, device: str, weights: Path | None = None) -> Choice:
    family, job = families.find(trial.variant.family), last_training(trial)
    source = {
        "tracker": trial.tracker,
        "study": trial.study,
        "settings": str(params),
        "weights": str(weights) if weights else job.key if job else None,
    }
    caveat = family.caveat(trial.variant.config)
    return Choice(name, trial.seed, caveat, source, lambda: load(trial, params, paths, device, weights))


def _of_run(run: str, name: str, shown: str, paths: Paths, device: str) -> Choice:
    from orchestrator import models
    from orchestrator.record.mlflow_store import default_uri

    try:
        model = models.find(run, default_uri(paths.root))
    except ValueError as error:
        raise ValueError(f"--weights {run}: expected a file, or a run of the record, found neither: {error}") from error
    if model.name != name:
        raise ValueError(f"--weights {run}: expected a run of tracker {name}, got one of {model.name}")
    family = families.find(model.family)
    config: Any = parameters.build(family.Config, model.settings)
    source: dict[str, str | None] = {"tracker": model.name, "study": model.study, "settings": run, "weights": run}
    return Choice(shown, model.seed, family.caveat(config), source, lambda: model.tracker(device))


def find(
    params: Path, paths: Paths, names: Iterable[str], study: str | None = None, trained: bool = True
) -> dict[str, Trial]:
    """The trial of each of these trackers: the first of its study that is trained, in the parameters' order.

    trained: whether it must be. study: where to look; None: everywhere. Raises ValueError for an unknown name, for one
    that means different trackers in different studies, and for a tracker that no run has trained; ParamsError for bad
    parameters.
    """
    names, store = list(names), Store(paths.store)
    prospect = look(Options(params, [study] if study else [], names, record="none"), paths, store)
    found = {}
    for name in names:
        trials = [trial for trial in prospect.chosen if trial.tracker == name]
        if not trials:
            known = ", ".join(sorted({trial.tracker for trial in prospect.trials if trial.study == study}))
            raise ValueError(f"no tracker {name!r} in study {study}; expected one of {known}")
        found[name] = _choose(name, trials, store if trained else None)
    return found


def load(trial: Trial, params: Path, paths: Paths, device: str = "", weights: Path | None = None) -> Tracker:
    """The tracker of a trial that `find` found. device: of torch; cuda where there is one, else cpu, if not given.
    weights: a file of others than it was trained to.

    Raises ValueError where it sees through an extractor that is not trained, and where the file does not hold weights
    of this tracker.
    """
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    family, config, job = families.find(trial.variant.family), trial.variant.config, last_training(trial)
    learnt = _read(weights) if weights else load_weights(Store(paths.store).folder(job.key)) if job else {}
    name, extractor = family.extractor(config), list[Any]()
    if name is not None:
        known = parameters.load(params)
        problem = Expected(known, sources(Options(params, [], []), paths)).wrong_weights(name)
        if problem is not None:
            raise ValueError(problem)
        kind, settings = known.extractors[name].kind, dataclasses.asdict(known.extractors[name].config)
        extractor.append(load_extractor(kind, settings, paths.extractors / name, device))
    try:
        return family.tracker(config, learnt, device, *extractor)
    except (RuntimeError, KeyError) as error:
        if weights is None:
            raise
        raise ValueError(f"{weights}: expected weights of {trial.tracker}, got others: {_line(error)}") from error


def _read(path: Path) -> dict[str, torch.Tensor]:
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path}: expected a file of weights by torch.save, got another one: {_line(error)}"
        ) from error


def _line(error: Exception) -> str:
    """An error's first line."""
    return str(error).strip().partition("\n")[0]


def last_training(trial: Trial) -> Job | None:
    """The job that publishes the tracker's weights; None where nothing is trained."""
    return list(trial.training.values())[-1] if trial.training else None


def _choose(name: str, trials: list[Trial], store: Store | None) -> Trial:
    for trial in trials[1:]:
        if trial.study != trials[0].study and _means(trial) != _means(trials[0]):
            raise ValueError(
                f"tracker {name}: expected --study, for those of {trials[0].study} and {trial.study} differ"
            )
    for trial in trials:
        job = last_training(trial)
        if job is None or store is None or store.done(job.key):
            return trial
    assert store is not None
    raise ValueError(
        f"tracker {name}: expected its weights in {store.root}, found none for these parameters, data and code; "
        f"they are trained by: trackmeet run --study '{trials[0].study}' --tracker '{name}'"
    )


def _means(trial: Trial) -> tuple[Any, ...]:
    """All that its boxes depend on."""
    job = last_training(trial)
    return trial.variant.family, dataclasses.asdict(trial.variant.config), job and job.key
