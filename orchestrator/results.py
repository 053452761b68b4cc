"""What trials found, laid out for the report: build/results, the DVC output of the experiments.

    <study>/study.json                        the trials, and how each of them went
    <study>/<trial>/training.json             its training curves {name: [[step, value], ...]}
    <study>/<trial>/<data set>/               scores.json, terms.npz, pictures.npz, speed.json
    <study>/<trial>/<data set>/<protocol>/    trajectories.npz

Copied from the store; the same jobs give the same bytes, whenever and wherever they ran.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.files import replaced_folder, write_json
from orchestrator.jobs import Job
from orchestrator.params import Dataset, Params, dataset_module
from orchestrator.plan import Trial
from orchestrator.sample_data import SAMPLE
from orchestrator.store import Store
from trackers import families
from trackers.benchmarks import files


def write(params: Params, trials: list[Trial], store: Store, failures: Mapping[str, str], out: Path) -> None:
    """Replace `out` by what the store holds of these trials. failures: by job key, what went wrong."""
    read = {name: data.path for trial in trials for job in trial.jobs for name, data in job.data.items()}
    places = {name: path for name, path in read.items() if path.is_dir()}
    with replaced_folder(out) as folder:
        for study in params.studies:
            own = [trial for trial in trials if trial.study == study.name]
            write_json(
                folder / study.name / "study.json",
                {
                    "study": study.name,
                    "profile": params.profile,
                    "lengths": list(study.lengths),
                    "trackers": [variant.name for variant in study.trackers],
                    "benchmarks": list(dict.fromkeys(name for e in study.experiments for name in e.test)),
                    "data": {
                        name: {
                            "format": d.format,
                            "root": d.root.as_posix(),
                            "settings": dataclasses.asdict(d.config),
                            "sample": name in places and SAMPLE in files.open(places[name]),
                            "missing": list(missing(d, places[name])) if name in places else [],
                        }
                        for name, d in params.datasets.items()
                    },
                    "trials": [_trial(trial, store, failures) for trial in own],
                },
            )
            for trial in own:
                _copy(trial, store, folder / study.name / slug(trial.name))


def missing(dataset: Dataset, root: Path) -> tuple[str, ...]:
    """Names of the sequences that the data set should have, and that are not below `root`, packed or not.

    Only of data sets whose reader has a function `missing`, as `trackers.benchmarks.otb` does: () of others.
    """
    find = getattr(dataset_module(dataset.format), "missing", None)
    return find(dataset.config, files.open(root)) if find is not None else ()


def slug(name: str) -> str:
    """A trial's name as a folder's."""
    return re.sub(r"[^\w.-]+", "_", name)


def _trial(trial: Trial, store: Store, failures: Mapping[str, str]) -> dict[str, Any]:
    undone = [job for job in trial.jobs if store.manifest(job.key) is None]
    errors = [failures[job.key] for job in undone if job.key in failures]
    message = errors[0] if errors else None  # the first in order of needs: the cause, not its followers
    error, _, log = (message or "").partition(" (log: ")
    return {
        "name": trial.name,
        "key": trial.key,
        "folder": slug(trial.name),
        "tracker": trial.tracker,
        "train": trial.train,
        "fold": trial.fold,
        "folds": trial.folds,
        "fold_seed": trial.fold_seed,
        "seed": trial.seed,
        "benchmarks": list(trial.scores),
        "settings": {"family": trial.variant.family, **dataclasses.asdict(trial.variant.config)},
        "caveat": families.find(trial.variant.family).caveat(trial.variant.config),
        "state": "failed" if errors else "missing" if undone else "done",
        "error": error or None,
        "log": log.removesuffix(")") or None,
    }


def _copy(trial: Trial, store: Store, folder: Path) -> None:
    curves: dict[str, list[list[float]]] = {}
    for step, job in trial.training.items():
        path = store.folder(job.key) / "curve.json"
        if store.manifest(job.key) is not None and path.exists():
            for name, value, number, _ in json.loads(path.read_text()):
                title = name if len(trial.training) == 1 else f"{step}/{name}"
                curves.setdefault(title, []).append([number, value])
    if curves:
        write_json(folder / "training.json", curves)
    for dataset, job in trial.scores.items():
        _copy_files(store, job, folder / dataset)
    for dataset, job in trial.speed.items():
        _copy_files(store, job, folder / dataset)
    for (dataset, protocol), job in trial.tracking.items():
        _copy_files(store, job, folder / dataset / protocol, ["trajectories.npz"])
        _copy_files(store, job, folder / dataset, ["pictures.npz"])


def _copy_files(store: Store, job: Job, folder: Path, only: list[str] | None = None) -> None:
    manifest = store.manifest(job.key)
    for name in manifest["files"] if manifest else ():
        if only is None or name in only:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.folder(job.key) / name, folder / name)
