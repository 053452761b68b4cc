"""Write what trials found in the formats of other toolkits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.report import results
from orchestrator.report.results import Study, Trial
from orchestrator.results import slug
from trackers.evaluation import archive, result_files
from trackers.evaluation.result_files import PLACES, Format


def export(
    found: Path, form: Format, out: Path, studies: Sequence[str] = (), trackers: Sequence[str] = ()
) -> tuple[list[Path], list[str]]:
    """Write the results of these studies and trackers (): all), as <out>/<study>/<data set>/<tracker>/...

    found: the results folder. A tracker of several seeds has a folder for each. Returns the folders of the
    trackers, and what was left out, as the format has no place for its protocol. Raises ValueError for a
    name that is not known, or damaged results.
    """
    there = results.read(found)
    _check("study", studies, [study.name for study in there])
    chosen = [study for study in there if not studies or study.name in studies]
    _check("tracker", trackers, [tracker for study in chosen for tracker in study.trackers])
    written: dict[Path, None] = {}
    left_out = []
    for study in chosen:
        for trial in study.trials:
            if trackers and trial.tracker not in trackers:
                continue
            for benchmark, protocol, path in _trajectories(trial):
                if protocol not in PLACES[form]:
                    left_out.append(f"{study.name}, {trial.tracker}, {benchmark}, {protocol}")
                    continue
                folder, tracker = out / slug(study.name) / slug(benchmark), slug(_title(study, trial))
                result_files.write(form, folder, tracker, protocol, *archive.load(path))
                written[folder / tracker] = None
    return list(written), left_out


def _trajectories(trial: Trial) -> Iterator[tuple[str, str, Path]]:
    """(benchmark, protocol, file) of all that a trial has tracked."""
    for benchmark in trial.benchmarks:
        for path in sorted((trial.folder / benchmark).glob("*/trajectories.npz")):
            yield benchmark, path.parent.name, path


def _title(study: Study, trial: Trial) -> str:
    """The tracker's name, with what tells its trials apart; folds are parts of one."""
    others = study.trials_of(trial.tracker)
    parts = [trial.tracker]
    if len({other.train for other in others}) > 1:
        parts.append(f"trained on {trial.train}")
    if len({other.seed for other in others}) > 1:
        parts.append(f"seed {trial.seed}")
    return " ".join(parts)


def _check(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ValueError(f"no {what} {name!r}; expected one of {', '.join(dict.fromkeys(known))}")
