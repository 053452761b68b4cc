"""Trackers of the parameters, with the weights that the last run trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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


def find(params: Path, paths: Paths, names: Iterable[str], study: str | None = None) -> dict[str, Trial]:
    """The trial of each of these trackers: the first of its study that is trained, in the parameters' order.

    study: where to look; None: everywhere. Raises ValueError for an unknown name, for one that means different
    trackers in different studies, and for a tracker that no run has trained; ParamsError for bad parameters.
    """
    names, store = list(names), Store(paths.store)
    prospect = look(Options(params, [study] if study else [], names, record="none"), paths, store)
    found = {}
    for name in names:
        trials = [trial for trial in prospect.chosen if trial.tracker == name]
        if not trials:
            known = ", ".join(sorted({trial.tracker for trial in prospect.trials if trial.study == study}))
            raise ValueError(f"no tracker {name!r} in study {study}; expected one of {known}")
        found[name] = _choose(name, trials, store)
    return found


def load(trial: Trial, params: Path, paths: Paths, device: str = "") -> Tracker:
    """The tracker of a trial that `find` found. device: of torch; cuda where there is one, else cpu, if not given.

    Raises ValueError where it sees through an extractor that is not trained.
    """
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    family, config, job = families.find(trial.variant.family), trial.variant.config, last_training(trial)
    weights = {} if job is None else load_weights(Store(paths.store).folder(job.key))
    name = family.extractor(config)
    if name is None:
        return family.tracker(config, weights, device)
    known = parameters.load(params)
    problem = Expected(known, sources(Options(params, [], []), paths)).wrong_weights(name)
    if problem is not None:
        raise ValueError(problem)
    extractor = known.extractors[name]
    settings = dataclasses.asdict(extractor.config)
    return family.tracker(
        config, weights, device, load_extractor(extractor.kind, settings, paths.extractors / name, device)
    )


def last_training(trial: Trial) -> Job | None:
    """The job that publishes the tracker's weights; None where nothing is trained."""
    return list(trial.training.values())[-1] if trial.training else None


def _choose(name: str, trials: list[Trial], store: Store) -> Trial:
    for trial in trials[1:]:
        if trial.study != trials[0].study and _means(trial) != _means(trials[0]):
            raise ValueError(
                f"tracker {name}: expected --study, for those of {trials[0].study} and {trial.study} differ"
            )
    for trial in trials:
        job = last_training(trial)
        if job is None or store.done(job.key):
            return trial
    raise ValueError(
        f"tracker {name}: expected its weights in {store.root}, found none for these parameters, data and code; "
        f"they are trained by: trackmeet run --study '{trials[0].study}' --tracker '{name}'"
    )


def _means(trial: Trial) -> tuple[Any, ...]:
    """All that its boxes depend on."""
    job = last_training(trial)
    return trial.variant.family, dataclasses.asdict(trial.variant.config), job and job.key
