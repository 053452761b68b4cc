"""Extractors are trained, and what they see in whole data sets is kept: `trackmeet extractor`, `trackmeet features`.

Both run as studies do, by the same executors: a killed one goes on where it was, and does again no more than what was
under way. A cache is made a sequence a job, the longest first, and put together at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator import params as parameters
from orchestrator import plan
from orchestrator.conduct import Options, Outcome, Prospect, alone, carry_out, prospect, refused, sources, unreadable
from orchestrator.jobs import Job
from orchestrator.params import Params, dataset_module
from orchestrator.paths import Paths
from orchestrator.plan import Sources
from orchestrator.provenance import Expected, put_weights
from orchestrator.store import Store
from trackers import features
from trackers.benchmarks.collection import Collection
from trackers.folders import remove_unfinished

FRAME = 0.1  # seconds that one is expected to take: what counts is which sequence takes longest


def train_extractors(options: Options, paths: Paths, names: Iterable[str] = ()) -> Outcome:
    """Train these extractors (all, where none are named), and put their weights in their place.

    Those whose weights lie there, made of what they would be made of now, are left as they are. Raises ValueError
    for an unknown name.
    """
    with alone(options, paths) as store:
        params, here = parameters.load(options.params), sources(options, paths)
        chosen = _known(names, params.extractors, "extractor")
        return _train(_stale(chosen, params, here), params, here, options, paths, store)


def make_features(options: Options, paths: Paths, names: Iterable[str] = ()) -> Outcome:
    """Make these caches (all that the parameters name, where none is given), and whatever extractors they need.

    Those that lie there, made of what they would be made of now, are left as they are. The outcome has the jobs that
    train extractors, too. Raises ValueError for an unknown name, and for a data set that cannot be looked at.
    """
    with alone(options, paths) as store:
        params, here = parameters.load(options.params), sources(options, paths)
        known = _known(names, params.features, "cache of features")
        caches = {cache: _sequences(cache, params, here) for cache in known}
        needed = dict.fromkeys(params.seen(cache)[0].name for cache in caches)
        trained = _train(_stale(needed, params, here), params, here, options, paths, store)
        if trained.failed or trained.interrupted:
            return trained
        here = sources(options, paths)  # there may be other weights now
        expected = Expected(params, here)
        stale = {cache: found for cache, found in caches.items() if expected.wrong_features(cache) is not None}
        return _both(trained, _extract(stale, params, here, options, paths, store))


def _train(names: list[str], params: Params, here: Sources, options: Options, paths: Paths, store: Store) -> Outcome:
    trials = [plan.extractor_trial(params.extractors[name], params, here) for name in names]
    jobs = [job for trial in trials for job in trial.jobs]
    todo = prospect(params, trials, trials, jobs, store)
    if not jobs:
        return Outcome(todo, {})
    outcome = carry_out(todo, options, paths, store, refused(todo.todo, params, here))
    remove_unfinished(here.extractors)
    for trial in trials:
        last = list(trial.training.values())[-1]
        if store.manifest(last.key) is not None:
            put_weights(store.folder(last.key), last.key, here.extractors / trial.tracker)
    return outcome


def _extract(
    caches: Mapping[str, Collection], params: Params, here: Sources, options: Options, paths: Paths, store: Store
) -> Outcome:
    jobs: dict[str, dict[str, Job]] = {}
    costs: dict[str, float] = {}
    for cache, sequences in caches.items():
        frames = {sequence.name: len(sequence) for sequence in sequences}
        jobs[cache] = plan.extraction(cache, frames, params, here)
        costs |= {job.key: FRAME * frames[name] for name, job in jobs[cache].items()}
    every = [job for own in jobs.values() for job in own.values()]
    todo = prospect(params, [], [], every, store)
    if not every:
        return Outcome(todo, {})
    outcome = carry_out(todo, options, paths, store, refused(todo.todo, params, here), costs)
    expected = Expected(params, here)
    remove_unfinished(here.features)
    for cache, own in jobs.items():
        if all(store.manifest(job.key) is not None for job in own.values()):
            parts = (features.Part.load(store.folder(job.key) / "part.npz") for job in own.values())
            features.write(here.features / cache, expected.facts(cache), parts)
    return outcome


def _both(first: Outcome, second: Outcome) -> Outcome:
    """What two runs did, one after the other."""
    before, after = first.prospect, second.prospect
    both = Prospect(
        after.params, before.trials, before.chosen, before.todo + after.todo, before.found_done + after.found_done
    )
    return Outcome(both, second.failed, second.interrupted, max(first.unrecorded, second.unrecorded))


def _sequences(cache: str, params: Params, here: Sources) -> Collection:
    """Those of a cache's data set, in its order. ValueError where it cannot be read, or has none that stay the same."""
    dataset = params.seen(cache)[1]
    path = here.data(dataset.root).path
    problem = unreadable(dataset, path)
    if problem is not None:
        raise ValueError(problem)
    opened = dataset_module(dataset.format).open(dataset.config, path, dataset.name)
    if not isinstance(opened, Collection):
        raise ValueError(f"features {cache}: expected recorded sequences to see in, got generated ones, {dataset.name}")
    return opened


def _stale(extractors: Iterable[str], params: Params, here: Sources) -> list[str]:
    """Those whose weights are not there, or are others."""
    expected = Expected(params, here)
    return [name for name in extractors if expected.wrong_weights(name) is not None]


def _known(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    """These, or all, where none are named. Raises ValueError for an unknown one, and where there is none at all."""
    names, known = list(dict.fromkeys(names)), list(known)
    if not known:
        raise ValueError(f"no {what} in the parameters; expected one at least")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no {what} {unknown[0]!r} in the parameters; expected one of {', '.join(known)}")
    return names or known
