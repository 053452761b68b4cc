"""A search from the parameters to the patch: Tune asks for scores, the executor runs the jobs behind them.

A candidate's jobs are jobs like all others: what is in the store is not done again, whatever crashed. The journal
keeps what Tune was answered, so that a search that goes on answers it at once.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import conduct, lineage, params
from orchestrator.conduct import Options
from orchestrator.executor import FOLLOWS, Executor, Observer
from orchestrator.files import write_bytes, write_json
from orchestrator.jobs import Job, digest, in_order
from orchestrator.paths import Paths
from orchestrator.plan import Trial
from orchestrator.progress import Board, Display
from orchestrator.record import Point, Record, TrialRun
from orchestrator.requests import Requests
from orchestrator.search_journal import Journal, Member, Rung, Settings
from orchestrator.search_patch import patch
from orchestrator.search_plan import Ground, Values
from orchestrator.store import Store
from trackers.evaluation.statistics import Estimate, paired_difference

if TYPE_CHECKING:  # it imports ray, for seconds
    from orchestrator.search import Asked, Tuning


@dataclass(frozen=True)
class Plea:
    """What `trackmeet tune` was asked for. trials: how many candidates; of a grid, all there are."""

    study: str
    tracker: str
    trials: int
    algorithm: Any = "random"
    scheduler: Any = "none"
    resume: bool = False


@dataclass(frozen=True)
class Found:
    """What a search found. settings: the best. gain: of the best over the present setting, on what was held out."""

    best: Member
    settings: Settings
    score: float
    scores: tuple[float, float]
    gain: Estimate
    folder: Path
    others: tuple[str, ...]
    unrecorded: int

    @property
    def measured(self) -> dict[str, Any]:
        """On what was held out. gain: [effect, low, high]; None where no sequence has a value of both."""
        gain = [self.gain.effect, self.gain.low, self.gain.high] if self.gain.n else None
        return {"best": self.scores[0], "present": self.scores[1], "gain": gain}


@dataclass
class _Waiting:
    """Some trials whose jobs are under way. by: Tune's name of the candidate they are for."""

    trials: list[Trial]
    keys: set[str]
    by: str = ""
    member: Member | None = None
    lineage: list[Settings] = field(default_factory=list)


@dataclass
class Searching(Observer):
    """An observer of the executor and a source of its jobs, between Tune and the store."""

    ground: Ground
    tuning: Tuning
    journal: Journal
    store: Store
    record: Record
    board: Board
    tags: dict[str, str]
    open: bool = True
    executor: Executor | None = None
    proven: list[list[Trial]] = field(default_factory=list)  # of the best setting and the present one
    _members: dict[str, Member] = field(default_factory=dict)  # by Tune's name
    _waiting: list[_Waiting] = field(default_factory=list)
    _final: bool = False
    _there: set[str] = field(default_factory=set)  # keys of jobs that are in the store: to look costs reading them
    _handed: set[str] = field(default_factory=set)  # of those that the executor was given
    _spared: set[str] = field(default_factory=set)  # of those of them that nobody waits for any more

    # Source of jobs.

    def jobs(self) -> list[Job]:
        """The jobs of whom Tune wants the score of, once all earlier answers are out."""
        new: list[Job] = []
        running = self.tuning.running  # before it is asked: what it said last is heard
        for asked in self.tuning.asked() if running else ():
            new += self._ask(asked)
        for by in self.tuning.ended():
            self._end(self._members[by], "FINISHED")
        for waiting in [waiting for waiting in self._waiting if self._over(waiting)]:
            self._waiting.remove(waiting)
            self._answer(waiting)
        self._end_spared()
        if not running and not self._waiting:
            if self.tuning.error is not None:
                raise self.tuning.error
            new += [] if self._final else self._prove()
            self.open = bool(self._waiting)
        self.board.add(new)
        return new

    def _ask(self, asked: Asked) -> list[Job]:
        member = self._member(asked)
        lineage = json.loads(json.dumps(asked.lineage))
        known = member.rung(lineage)
        rung = len(lineage) - 1
        if known is not None:
            last = member.ended is not None and known is member.rungs[-1]
            self.tuning.answer(asked.by, rung, known.score, over=last)
            return []
        if member.ended == "FAILED":
            self.tuning.refuse(asked.by, member.message)
            return []
        try:
            last = rung + 1 == len(self.tuning.levels)
            trials = self.ground.validated(f"trial {member.number}", self._budgeted(lineage), last)
        except ValueError as error:  # what the family refuses
            self._fail(asked.by, member, str(error))
            return []
        return self._await(_Waiting(trials, set(), asked.by, member, lineage))

    def _budgeted(self, lineage: list[Settings]) -> list[Settings]:
        """With the budget of each rung among its settings."""
        if len(self.tuning.levels) == 1:
            return lineage
        assert self.ground.search.budget is not None
        return [{**s, self.ground.search.budget: b} for s, b in zip(lineage, self.tuning.levels, strict=False)]

    def _member(self, asked: Asked) -> Member:
        """Whom Tune means: of the journal, or new."""
        if asked.by in self._members:
            return self._members[asked.by]
        first, taken = json.loads(json.dumps(asked.lineage[0])), {id(member) for member in self._members.values()}
        for member in self.journal.members:
            fits = member.number == asked.member if asked.member is not None else member.settings == first
            if fits and id(member) not in taken:
                break
        else:
            member = self.journal.begin(first)
            self.tell(member)
        self._members[asked.by] = member
        return member

    def _await(self, waiting: _Waiting) -> list[Job]:
        assert self.executor is not None
        jobs = in_order(job for trial in waiting.trials for job in trial.jobs)
        todo = [job for job in jobs if not self._done(job.key)]
        waiting.keys = {job.key for job in todo}
        self._waiting.append(waiting)
        for key in waiting.keys & self._spared:  # somebody wants it after all
            self._spared.remove(key)
            if self.executor.failures.pop(key, None) is not None:
                self._handed.remove(key)
        new = [job for job in todo if job.key not in self._handed]
        self._handed |= {job.key for job in new}
        return new

    def _done(self, key: str) -> bool:
        if key not in self._there and key not in self._handed and self.store.done(key):
            self._there.add(key)
        return key in self._there

    def _over(self, waiting: _Waiting) -> bool:
        assert self.executor is not None
        return not waiting.keys or any(key in self.executor.failures for key in waiting.keys)

    def _answer(self, waiting: _Waiting) -> None:
        assert self.executor is not None
        failures = [self.executor.failures[key] for key in waiting.keys if key in self.executor.failures]
        causes = [text for text in failures if not text.startswith(FOLLOWS)] or failures
        if waiting.member is None:
            if causes:
                raise ValueError(f"the setting could not be tried on what was held out: {causes[0]}")
            return
        if causes:
            own = [text for text in causes if of_its_own(text)]
            self._fail(waiting.by, waiting.member, (own or causes)[0], final=bool(own))
            wanted = {key for other in self._waiting for key in other.keys}
            self._spared |= waiting.keys - wanted - self.executor.failures.keys()
            return
        values = self.ground.values(waiting.trials, self.store)
        if not values:
            measure = self.ground.search.measure
            self._fail(waiting.by, waiting.member, f"{measure}: expected a value of some sequence, got none")
            return
        score = sum(values.values()) / len(values)
        rung = self.journal.score(waiting.member, waiting.lineage, score)
        self.record.metrics(self.key(waiting.member), self._points(rung))
        self.tuning.answer(waiting.by, len(waiting.lineage) - 1, score)

    def _fail(self, by: str, member: Member, message: str, final: bool = True) -> None:
        self._end(member, "FAILED", message, final)
        self.tuning.refuse(by, message)

    def _end_spared(self) -> None:
        """End what was done for failed candidates alone.

        What is still in the executor's queue stays there until it begins: somebody may want it again before.
        """
        assert self.executor is not None
        begun = [key for key in self._spared if key in self.board.running]
        self.executor.cancel(begun, f"{FOLLOWS}not be done: a candidate of which it was a part failed")

    def _end(self, member: Member, ended: str, message: str = "", final: bool = True) -> None:
        if member.ended is None:
            self.journal.end(member, ended, message, final)
            self.record.finish(self.key(member), member.ended, member.at)  # type: ignore[arg-type]  # one of its words

    def _prove(self) -> list[Job]:
        self._final = True
        changes, new = self.best()[1], []
        for name, settings in (("best", changes), ("present", {})):
            self.proven.append(self.ground.proven(name, settings))
            new += self._await(_Waiting(self.proven[-1], set()))
        return list({job.key: job for job in new}.values())

    # Observer.

    def finished(self, job: Job) -> None:
        self._there.add(job.key)
        for waiting in self._waiting:
            waiting.keys.discard(job.key)

    # What it found.

    def best(self) -> tuple[Member, Settings, float]:
        """The best candidate of those that came furthest, its last settings, and its score."""
        rungs = [(member, member.rungs[-1]) for member in self.journal.members if member.rungs]
        if not rungs:
            messages = dict.fromkeys(member.message for member in self.journal.members if member.message)
            raise ValueError(f"expected a candidate with a score, got none: {'; '.join(messages) or 'none began'}")
        far = max(len(rung.lineage) for _, rung in rungs)
        sign = self.ground.search.sign
        member, rung = max(((m, r) for m, r in rungs if len(r.lineage) == far), key=lambda pair: sign * pair[1].score)
        return member, rung.lineage[-1], rung.score

    # Record: one run a candidate, below one of the search.

    @property
    def _title(self) -> str:
        return f"{self.ground.present.name} search {self.journal.id}"

    def key(self, member: Member | None = None) -> str:
        """Of a candidate's run, or of the search's own."""
        return digest([self.journal.id, None if member is None else member.number])

    def tell_all(self) -> None:
        """What the record may have missed: told again, it makes no second run."""
        self.tell(None)
        for member in self.journal.members:
            self.tell(member)
            for rung in member.rungs:
                self.record.metrics(self.key(member), self._points(rung))
            if member.ended is not None:
                self.record.finish(self.key(member), member.ended, member.at)  # type: ignore[arg-type]

    def tell(self, member: Member | None) -> None:
        """That a candidate, or the search, began."""
        search, present = self.ground.search, self.ground.present
        said = {"search": dataclasses.asdict(search), "algorithm": self.tuning.algorithm}
        settings = said | {"scheduler": self.tuning.scheduler} if member is None else member.settings
        kind = "search" if member is None else "candidate"
        self.record.trial(
            TrialRun(
                self.key(member),
                self.ground.study.name,
                self._title if member is None else f"{self._title} / {member.number}",
                {"family": present.family, **settings},
                {"tracker": present.name, "kind": kind, "validation": self.ground.on.name, **self.tags},
                parent="" if member is None else self.key(),
            )
        )

    def _points(self, rung: Rung) -> list[Point]:
        """Its score, and what PBT has made of its settings, at the budget of the rung."""
        level = self.tuning.levels[len(rung.lineage) - 1]
        points = [Point(f"{self.ground.search.measure}/{self.ground.on.name}", rung.score, level, rung.at)]
        if self.tuning.scheduler == "pbt":
            numbers = {name: v for name, v in rung.lineage[-1].items() if isinstance(v, int | float)}
            points += [Point(f"settings/{name}", float(value), level, rung.at) for name, value in numbers.items()]
        return points


def of_its_own(message: str) -> bool:
    """Whether a job failed by an error of its own, as the executor words that.

    Else its nodes died, were slow, or lacked something; another time they may not.
    """
    return "(log: " in message and not message.startswith("took longer than ")


def search(plea: Plea, options: Options, paths: Paths) -> Found | None:
    """Search, prove the best on what was held out, and write it down; None where it was interrupted.

    ParamsError or ValueError for what cannot be searched; StoreBusyError if a run is under way.
    """
    with conduct.alone(options, paths) as store:
        known = params.load(options.params)
        ground = Ground.of(known, plea.study, plea.tracker, conduct.sources(options, paths))
        folder = paths.build / "searches" / plea.study / plea.tracker
        identity = digest([ground.identity, plea.algorithm, plea.scheduler])
        tuning = _tuning(plea, ground, options)
        present = ground.validated("present", [{}], True) + ground.proven("present", {})
        jobs = in_order(job for trial in present for job in trial.jobs)
        for text in conduct.refused(jobs, ground.params, ground.sources).values():
            raise ValueError(text)
        journal = Journal(folder / "journal.jsonl", identity, plea.resume)
        tuning.members = journal.members if journal.resumed else []
        return _carry_out(ground, tuning, journal, store, options, paths, folder)


def _tuning(plea: Plea, ground: Ground, options: Options) -> Tuning:
    from orchestrator.search import Tuning

    space = ground.search.dimensions
    levels = ground.search.levels(plea.scheduler, 1 if plea.scheduler == "none" else ground.whole)
    if plea.scheduler != "none" and len(levels) < 2:
        raise ValueError(f"{ground.search.budget}: expected at least 2, to be divided into rungs, got {levels[-1]}")
    if plea.scheduler == "pbt" and (plea.algorithm != "random" or plea.trials < 2):
        raise ValueError("--scheduler pbt: expected --search random and at least 2 trials, which are its members")
    trials = plea.trials
    if plea.algorithm == "grid":
        endless = [name for name, dimension in space.items() if not dimension.finite]
        if endless:
            raise ValueError(f"--search grid: expected choice or grid of each setting, got another of {endless[0]}")
        trials = int(np.prod([len(dimension.values) for dimension in space.values()]))
    mode: Any = "max" if ground.search.sign > 0 else "min"
    return Tuning(space, plea.algorithm, plea.scheduler, trials, levels, mode, ground.search.seed, [])


def _carry_out(
    ground: Ground, tuning: Tuning, journal: Journal, store: Store, options: Options, paths: Paths, folder: Path
) -> Found | None:
    board = Board([], 0, {}, paths.status)
    record = conduct.open_record(options, paths)
    git = lineage.git_revision(paths.root)
    tags = {"git": git, "mlflow.source.git.commit": git, "data": lineage.data_revision(paths.root)}
    searching = Searching(ground, tuning, journal, store, record, board, tags)
    began = time.time()
    state: Any = "failed"
    try:
        searching.tell_all()
        backend = conduct.open_backend(options, paths)
        try:
            with Display(board) as display:
                requests = Requests(store.root / "requests", [])  # the whole search can be asked to end
                executor = Executor(store, backend, [board, searching, display, requests], paths.logs, options.settings)
                searching.executor = requests.executor = executor
                tuning.start()
                executor.run([], {}, {}, searching)
        finally:
            tuning.stop()
            backend.close()
        found = _write(searching, folder, options.params, time.time() - began)
        state = "finished"
        _tell_end(searching, found)
        return dataclasses.replace(found, unrecorded=record.close(timeout=60.0))
    except KeyboardInterrupt:
        state = "interrupted"
        return None
    finally:
        if state != "finished":
            at, how = time.time_ns() // 1_000_000, "KILLED" if state == "interrupted" else "FAILED"
            for member in [None, *(member for member in journal.members if member.ended is None)]:
                record.finish(searching.key(member), how, at)  # type: ignore[arg-type]  # one of the record's words
            record.close(timeout=2.0 if state == "interrupted" else 60.0)
        board.write(state)


def _tell_end(searching: Searching, found: Found) -> None:
    at, name = time.time_ns() // 1_000_000, f"{searching.ground.search.measure}/held out"
    values = {"best": found.scores[0], "present": found.scores[1]}
    if found.gain.n:
        values |= {"gain": found.gain.effect, "gain low": found.gain.low, "gain high": found.gain.high}
    points = [Point(f"{name}/{what}", value, 0, at) for what, value in values.items()]
    searching.record.metrics(searching.key(), points)
    for member in searching.journal.members:
        if member.ended is None:  # its process at Tune's died
            searching.record.finish(searching.key(member), "KILLED", at)
    searching.record.finish(searching.key(), "FINISHED", at)


def _write(searching: Searching, folder: Path, file: Path, seconds: float) -> Found:
    """trials.csv, summary.json and best.patch; what they say."""
    ground, members = searching.ground, searching.journal.members
    member, settings, score = searching.best()
    best, present = (ground.values(trials, searching.store) for trials in searching.proven)
    if not best or not present:
        raise ValueError(f"{ground.search.measure}: expected a value of some held-out sequence, got none")
    gain = _gain(best, present)
    scores = float(np.mean(list(best.values()))), float(np.mean(list(present.values())))
    said = patch(
        file.read_text(encoding="utf-8"),
        file.as_posix(),
        ground.study.name,
        ground.present.name,
        settings,
        dataclasses.asdict(ground.present.config),
    )
    _check(said.text, file, ground, settings)
    found = Found(member, settings, score, scores, gain, folder, said.others, 0)
    head = "".join(f"# {line}\n" for line in describe(found, ground))
    write_bytes(folder / "best.patch", (head + said.diff).encode())
    write_bytes(folder / "trials.csv", _table(members, list(ground.search.space), searching.tuning.levels).encode())
    write_json(
        folder / "summary.json",
        {
            "study": ground.study.name,
            "tracker": ground.present.name,
            "search": searching.tuning.algorithm,
            "scheduler": searching.tuning.scheduler,
            "measure": ground.search.measure,
            "validation": {"data": ground.on.name, "folds": [list(ground.folds[i]) for i in ground.search.validating]},
            "trials": len(members),
            "failed": sum(member.ended == "FAILED" for member in members),
            "best": {"trial": member.number, "settings": settings, "score": score},
            "held out": {"sequences": list(ground.held_out), **found.measured},
            "seconds": round(seconds, 1),
        },
    )
    return found


def _check(text: str, file: Path, ground: Ground, settings: Settings) -> None:
    """ValueError unless the patched parameters mean the setting that was tried."""
    with tempfile.TemporaryDirectory() as folder:
        patched = Path(folder) / file.name
        patched.write_text(text, encoding="utf-8")
        studies = {study.name: study for study in params.load(patched).studies}
    [found] = [v.config for v in studies[ground.study.name].trackers if v.name == ground.present.name]
    if found != ground.config(settings):
        raise ValueError(f"{file}: expected that a patch makes {settings}, got {found}; set them by hand")


def _gain(best: Values, present: Values) -> Estimate:
    """Over the sequences of which both have a value."""
    shared = sorted(best.keys() & present.keys())
    if not shared:
        return Estimate(np.nan, np.nan, np.nan, 0)
    a, b = (np.array([values[name] for name in shared]) for values in (best, present))
    return paired_difference(a, b)


def describe(found: Found, ground: Ground) -> list[str]:
    """What a search found, for people."""
    search, gain = ground.search, found.gain
    known = "the gain is unknown: no sequence has a value of both"
    if gain.n:
        known = f"gain {gain.effect:+.4f}, 95% interval {gain.low:+.4f} to {gain.high:+.4f}"
    better = "" if search.sign > 0 else " (less is better)"
    lines = [
        f"{ground.study.name}/{ground.present.name}: trial {found.best.number} is the best, {search.measure}{better} "
        f"{found.score:.4f} on the validation folds of {ground.on.name}:",
        *(f"  {name}: {value}" for name, value in found.settings.items()),
        f"on the {gain.n or len(ground.held_out)} sequences held out: {found.scores[0]:.4f}, "
        f"with the present setting {found.scores[1]:.4f}; {known}",
    ]
    if found.others:
        lines.append(f"these take settings from it, and change with it: {', '.join(found.others)}")
    return lines


def _table(members: list[Member], names: list[str], levels: list[int]) -> str:
    """One row a candidate: its last settings, and its score on each rung."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ["score"] if len(levels) == 1 else [f"score at {level}" for level in levels]
    writer.writerow(["trial", "state", *names, *heads, "message"])
    for member in members:
        last: Mapping[str, Any] = member.lineage[-1] if member.rungs else member.settings
        scores = {len(rung.lineage) - 1: rung.score for rung in member.rungs}
        row = [scores.get(i, "") for i in range(len(levels))]
        writer.writerow([member.number, member.ended or "", *(last[name] for name in names), *row, member.message])
    return text.getvalue()
