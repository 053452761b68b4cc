"""Whether a study's numbers may be held against its paper's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestrator.params import Params
from orchestrator.plan import Trial
from orchestrator.results import missing
from orchestrator.sample_data import SAMPLE
from trackers.benchmarks import files


def comparable(trials: Iterable[Trial], params: Params) -> dict[str, str]:
    """Of each study "yes", or "no" and why not: other settings than the paper's, a sample, sequences that lack."""
    read: dict[str, dict[str, Path]] = {}
    for trial in trials:
        own = read.setdefault(trial.study, {})
        own |= {name: data.path for job in trial.jobs for name, data in job.data.items() if name in params.datasets}
    lacks = {place: _lacks(params, *place) for place in {place for own in read.values() for place in own.items()}}
    profile = [] if params.profile == "paper" else [f"profile {params.profile}"]
    whys = {study: [*profile, *sorted({lacks[place] for place in own.items()} - {""})] for study, own in read.items()}
    return {study: f"no ({', '.join(why)})" if why else "yes" for study, why in whys.items()}


def _lacks(params: Params, name: str, path: Path) -> str:
    if not path.is_dir():
        return ""
    if SAMPLE in files.open(path):
        return "sample data"
    lacking = missing(params.datasets[name], path) if params.profile == "paper" else ()
    return f"{name} lacks {len(lacking)} sequences" if lacking else ""
