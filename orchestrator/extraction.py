"""Extractors are trained, and what they see in whole data sets is kept: `trackmeet extractor`, `trackmeet features`.

Both run as studies do, by the same executors: a killed one goes on where it was, and does again no more than what was
under way. A cache is made a sequence a job, the longest first, and put together at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator import params as parameters
from orchestrator import plan
from orchestrator.conduct import Options, Outcome, alone, carry_out, prospect, refused, sources, unreadable
from orchestrator.jobs import Job
from orchestrator.params import Params, dataset_module
from orchestrator.paths import Paths
from orchestrator.plan import Sources
from orchestrator.provenance import Expected, put_weights
from orchestrator.store import Store
from trackers import features
from trackers.sequence import Sequence

FRAME = 0.1  # seconds that one is expected to take: what counts is which sequence takes longest


def train_extractors(options: Options, paths: Paths, names: Iterable[str] = ()) -> Outcome:
    """Train these extractors (all, where none are named), and put their weights in their place."""
    with alone(options, paths) as store:
        params, here = parameters.load(options.params), sources(options, paths)
        chosen = _known(names, params.extractors, "extractor")
        return _train(chosen, params, here, options, paths, store)


def make_features(options: Options, paths: Paths, names: Iterable[str] = ()) -> Outcome:
    """Make these caches (all that the parameters name, where none is given), and whatever extractors they need.

    Raises ValueError for an unknown name.
    """
    with alone(options, paths) as store:
        params, here = parameters.load(options.params), sources(options, paths)
        caches = _known(names, params.features, "cache of features")
        expected = Expected(params, here)
        needed = dict.fromkeys(params.seen(cache)[0].name for cache in caches)
        stale = [name for name in needed if expected.wrong_weights(name) is not None]
        if stale:
            outcome = _train(stale, params, here, options, paths, store)
            if outcome.failed or outcome.interrupted:
                return outcome
            here = sources(options, paths)  # there are other weights now
        return _extract(caches, params, here, options, paths, store)


def _train(names: list[str], params: Params, here: Sources, options: Options, paths: Paths, store: Store) -> Outcome:
    trials = [plan.extractor_trial(params.extractors[name], params, here) for name in names]
    jobs = [job for trial in trials for job in trial.jobs]
    todo = prospect(params, trials, trials, jobs, store)
    outcome = carry_out(todo, options, paths, store, refused(todo.todo, params, here))
    expected = Expected(params, here)
    for trial in trials:
        last = list(trial.training.values())[-1]
        folder = here.extractors / trial.tracker
        if store.manifest(last.key) is not None and expected.wrong_weights(trial.tracker) is not None:
            put_weights(store.folder(last.key) / "weights.pt", last.key, folder)
    return outcome


def _extract(caches: list[str], params: Params, here: Sources, options: Options, paths: Paths, store: Store) -> Outcome:
    jobs: dict[str, dict[str, Job]] = {}
    costs: dict[str, float] = {}
    for cache in caches:
        sequences = {sequence.name: sequence for sequence in _sequences(cache, params, here)}
        jobs[cache] = plan.extraction(cache, sequences, params, here)
        costs |= {job.key: FRAME * len(sequences[name]) for name, job in jobs[cache].items()}
    every = [job for own in jobs.values() for job in own.values()]
    todo = prospect(params, [], [], every, store)
    outcome = carry_out(todo, options, paths, store, refused(todo.todo, params, here), costs)
    expected = Expected(params, here)
    for cache, own in jobs.items():
        if all(store.manifest(job.key) is not None for job in own.values()) and expected.wrong_features(cache):
            parts = (features.Part.load(store.folder(job.key) / "part.npz") for job in own.values())
            features.write(here.features / cache, expected.facts(cache), parts)
    return outcome


def _sequences(cache: str, params: Params, here: Sources) -> Iterable[Sequence]:
    """Those of a cache's data set, in its order. Raises ValueError where it cannot be read."""
    dataset = params.seen(cache)[1]
    path = here.data(dataset.root).path
    problem = unreadable(dataset, path)
    if problem is not None:
        raise ValueError(problem)
    return dataset_module(dataset.format).open(dataset.config, path, dataset.name)


def _known(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    """These, or all, where none are named. Raises ValueError for an unknown one, and where there is none at all."""
    names, known = list(dict.fromkeys(names)), list(known)
    for name in names or ([] if known else [""]):
        if name not in known:
            raise ValueError(f"no {what} {name!r} in the parameters; expected one of {', '.join(known) or 'none'}")
    return names or known
