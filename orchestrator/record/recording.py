"""Tells the record what happens to trials, as their jobs run and from what the store holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from orchestrator.executor import Observer
from orchestrator.jobs import Job
from orchestrator.params import Params
from orchestrator.plan import Trial
from orchestrator.record import Point, Record, Study, TrialRun, descriptions, layout
from orchestrator.record.comparability import comparable
from orchestrator.record.layout import Group, Headline
from orchestrator.report import paper
from orchestrator.requests import CANCELLED
from orchestrator.store import Store
from trackers.evaluation.measures import MEASURES

MAX_TAG = 5000  # characters of a tag, the last ones


@dataclass
class Recording(Observer):
    """An observer of the executor: one run of the record per trial, found again by the trial's key.

    tags: revisions and whatever else holds for all trials. todo: keys of jobs that are still to be done, whatever lies
    in the store: it may be damaged.
    """

    record: Record
    params: Params
    trials: list[Trial]
    store: Store
    tags: dict[str, str]
    todo: set[str] = field(default_factory=set)
    _of_job: dict[str, list[Trial]] = field(default_factory=dict)
    _open: dict[str, Trial] = field(default_factory=dict)
    _retries: dict[str, list[str]] = field(default_factory=dict)  # by the trial's key, as all that follow
    _problems: dict[str, str] = field(default_factory=dict)
    _points: dict[str, list[Point]] = field(default_factory=dict)  # of those that are done
    _found: dict[str, Headline] = field(default_factory=dict)

    def open(self) -> None:
        """Say which trials there are; a finished one that the record may have missed is told whole."""
        for name in dict.fromkeys(trial.study for trial in self.trials):
            self.record.study(self._study(name))
        for group in self._groups:
            if group.several:
                self._tell_group(group)
        for trial in self.trials:
            for job in trial.jobs:
                self._of_job.setdefault(job.key, []).append(trial)
            if self._is_stored(trial):
                self._tell_whole(trial)
            else:
                self._tell(trial)
                self._open[trial.key] = trial

    def close(self, status: str) -> None:
        """No more will run: trials that did not end are `status`."""
        for key in list(self._open):
            self.record.finish(key, status, _now())  # type: ignore[arg-type]  # one of the record's own words
            del self._open[key]
        for group in self._groups:
            if group.several and not self._is_done(group):
                self._tell_group(group)
                self.record.finish(group.key, status, _now())  # type: ignore[arg-type]
        for name in dict.fromkeys(trial.study for trial in self.trials):
            self.record.study(self._study(name))

    # Observer.

    def metric(self, job: Job, name: str, value: float, step: int, timestamp_ms: int) -> None:
        for trial in self._of_job.get(job.key, ()):
            self.record.metrics(trial.key, [Point(layout.training_curve(trial, job, name), value, step, timestamp_ms)])

    def finished(self, job: Job) -> None:
        self.todo.discard(job.key)
        for trial in self._of_job.get(job.key, ()):
            if trial.key in self._open and self._is_stored(trial):
                self._tell_whole(trial)

    def retried(self, job: Job, message: str) -> None:
        for trial in self._of_job.get(job.key, ()):
            self._retries.setdefault(trial.key, []).append(f"{job.label}: {message}")
            if trial.key in self._open:  # one that has failed would count as running again
                self._tell(trial)

    def failed(self, job: Job, message: str) -> None:
        for trial in self._of_job.get(job.key, ()):
            if self._open.pop(trial.key, None):
                self._problems[trial.key] = message
                self._tell(trial)
                self.record.finish(trial.key, "KILLED" if message.startswith(CANCELLED) else "FAILED", _now())

    # What the store holds: sent with the times at which it happened, so sending twice changes nothing.

    def _tell_whole(self, trial: Trial) -> None:
        points = layout.points(trial, self.store)
        self._points[trial.key], self._found[trial.key] = points, layout.headline(trial, self.store)
        self._tell(trial)
        self.record.metrics(trial.key, points)
        group = self._group_of[trial.key]
        model = layout.model(trial, group, trial is self._first[trial.study, trial.tracker], self.store)
        if model is not None and all(path.exists() for path in model.files.values()):
            self.record.model(trial.key, model)
        elif trial.training:  # the last step's weights are the trained tracker's
            last = list(trial.training.values())[-1]
            self.record.artifact(trial.key, self.store.folder(last.key) / "weights.pt", "weights")
        self.record.finish(trial.key, "FINISHED", layout.ended(trial, self.store))
        self._open.pop(trial.key, None)
        if group.several and self._is_done(group):
            self._tell_group(group)
            self.record.finish(group.key, "FINISHED", max(layout.ended(one, self.store) for one in group.trials))

    def _is_stored(self, trial: Trial) -> bool:
        return not self.todo & trial.keys and all(self.store.manifest(job.key) for job in trial.jobs)

    def _is_done(self, group: Group) -> bool:
        return all(trial.key in self._points for trial in group.trials)

    # What is told.

    def _tell(self, trial: Trial) -> None:
        """What there is to say of a trial, of attempts at its jobs that were in vain, and of what it found."""
        retries, group = self._retries.get(trial.key, []), self._group_of[trial.key]
        known, problem = self._found.get(trial.key, {}), self._problems.get(trial.key, "")
        self.record.trial(
            TrialRun(
                key=trial.key,
                study=trial.study,
                name=group.title(trial),
                settings={**layout.settings(trial), "seed": trial.seed},
                tags={
                    "level": "fold" if group.several else "variant",
                    **layout.tags(trial),
                    **layout.place(trial),
                    **({"retries": "\n".join(retries)[-MAX_TAG:]} if retries else {}),
                    **self._common(trial.study),
                },
                description=descriptions.of_trial(trial, self._papers[trial.study], known, problem)[:MAX_TAG],
                parent=group.key if group.several else "",
                began=layout.began(trial, self.store) if self._is_stored(trial) else None,
                data=layout.data_sets(trial, self.params.datasets, self.tags.get("data", "unknown")),
            )
        )

    def _tell_group(self, group: Group) -> None:
        """What the trials below it are, and of those that are done the means."""
        trial, reported = group.trials[0], self._papers[group.trials[0].study]
        own = {group.title(one).removeprefix(f"{group.name}, "): one.key for one in group.trials}
        began = [layout.began(one, self.store) for one in group.trials if self._is_stored(one)]
        finished = [one for one in group.trials if one.key in self._found]
        done = {title: self._found[key] for title, key in own.items() if key in self._found}
        means = {
            key: fmean(found[key] for found in done.values())
            for key in next(iter(done.values()), {})
            if all(key in found for found in done.values())
        }
        name, score = layout.losing(done, reported.measure)
        problems = [f"{title}: {self._problems[key]}" for title, key in own.items() if key in self._problems]
        self.record.trial(
            TrialRun(
                key=group.key,
                study=trial.study,
                name=group.name,
                settings=layout.settings(trial),
                tags={
                    "level": "variant",
                    **layout.tags(trial),
                    "folds done": f"{len(done)} of {len(group.trials)}",
                    **({"losing fold": name, "losing fold score": score} if name else {}),
                    **self._common(trial.study),
                },
                description=descriptions.of_group(
                    group, reported, means, f"{name}, {score}" if name else "", "; ".join(problems)
                )[:MAX_TAG],
                began=min(began, default=None),
                data=layout.data_sets(trial, self.params.datasets, self.tags.get("data", "unknown")),
            )
        )
        if done:
            self.record.metrics(group.key, layout.averages([self._points[one.key] for one in finished]))

    def _study(self, name: str) -> Study:
        own = [group for group in self._groups if group.trials[0].study == name]
        trackers = list(dict.fromkeys(group.trials[0].tracker for group in own))
        comparable = self._comparable[name]
        keys = [group.key if group.several else group.trials[0].key for group in own]
        found = dict.fromkeys(key for group in own for one in group.trials for key in self._found.get(one.key, {}))
        measure = self._papers[name].measure
        main = [key for key in found if key[1].measure == measure]
        known = {benchmark for benchmark, _ in main}
        for benchmark, quantity in found:  # of one that does not have it, what was measured first
            if benchmark not in known:
                known.add(benchmark)
                main.append((benchmark, quantity))
        return Study(
            name,
            descriptions.of_study(name, self._papers[name], trackers, comparable),
            {"profile": self.params.profile, "comparable": comparable},
            keys,
            [layout.metric_name(*key) for key in found],
            [layout.metric_name(*key) for key in main],
            MEASURES[measure].better == "lower",
        )

    def _common(self, study: str) -> dict[str, str]:
        return {"comparable": self._comparable[study], "profile": self.params.profile, **self.tags}

    @cached_property
    def _groups(self) -> list[Group]:
        return layout.groups(self.trials)

    @cached_property
    def _group_of(self) -> dict[str, Group]:
        return {trial.key: group for group in self._groups for trial in group.trials}

    @cached_property
    def _first(self) -> dict[tuple[str, str], Trial]:
        """Of each tracker of a study the trial that is meant where none is named."""
        found: dict[tuple[str, str], Trial] = {}
        for trial in self.trials:
            found.setdefault((trial.study, trial.tracker), trial)
        return found

    @cached_property
    def _papers(self) -> Mapping[str, paper.Paper]:
        return {name: paper.load(name) for name in {trial.study for trial in self.trials}}

    @cached_property
    def _comparable(self) -> dict[str, str]:
        return comparable(self.trials, self.params)


def _now() -> int:
    return int(time.time() * 1000)
