"""What the results cost: time by kind of job, study and tracker, how busy the workers were, what had to be done again.

Seconds are those of workers. A job that several trackers need is split evenly among them, so that all parts add up to
what was spent; what a tracker would take alone is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from time import gmtime, strftime

from orchestrator.amounts import size, span
from orchestrator.facts import Done, Facts
from orchestrator.report.plots import costs as plots
from orchestrator.report.plots.plot import Plot
from orchestrator.report.table import Cell, Column, Row, Table

KINDS = {
    "train": "training",
    "track": "tracking",
    "score": "scoring",
    "speed": "measuring speed",
    "extract": "features",  # what an extractor sees, for a cache
}
PAUSE = 60.0  # seconds in which no job runs, after which what comes is another run
LONGEST, BARS = 12, 20  # jobs, and trackers in the plot, that are shown
COLUMNS = (
    "job",
    "kind",
    "for",
    "trials",
    "run",
    "lane",
    "began",
    "seconds",
    "worked",
    "cores",
    "host",
    "memory",
    "gpu_memory",
    "attempts",
    "key",
)


@dataclass(frozen=True)
class Span:
    """A job, and in which lane it stands: one of as many on its host as jobs ran there at once, from 1."""

    job: Done
    lane: int


@dataclass(frozen=True)
class Spell:
    """What was done without a pause: a run, as far as its jobs still count."""

    spans: tuple[Span, ...]

    @property
    def began(self) -> float:
        """Seconds since 1970."""
        return min(span.job.began for span in self.spans)

    @property
    def wall(self) -> float:
        """Seconds from its first job's start to its last one's end."""
        return max(span.job.ended for span in self.spans) - self.began

    @property
    def worked(self) -> float:
        """Seconds of all workers."""
        return sum(span.job.worked for span in self.spans)

    @property
    def lanes(self) -> int:
        """As many workers as were seen at once."""
        return len({(span.job.host, span.lane) for span in self.spans})

    @property
    def utilization(self) -> float:
        """The share of the workers' time in which they were at a job."""
        return self.worked / (self.wall * self.lanes) if self.wall else 1.0


@dataclass(frozen=True)
class Costs:
    """All that the page says of costs. problem: why there is nothing to say, or not all."""

    summary: Sequence[str]
    tables: Sequence[Table]
    plots: Sequence[Plot]
    problem: str = ""


def of(facts: Facts) -> Costs:
    """Everything, of what the store still has."""
    if not facts.done:
        return Costs((), (), (), f"What it cost is not known: {facts.problem or 'no job is done'}.")
    found = spells(facts.done)
    shares = _shares(facts.done)
    tables = [_by_kind(facts.done, found[-1]), _by_study(facts.done), _by_tracker(facts.done, shares), _runs(found)]
    tables += [_longest(facts.done), *([_again(facts.done)] if any(job.attempts for job in facts.done) else [])]
    charts = [plots.timeline("costs-timeline", _spans(found[-1])), _bars(shares)]
    return Costs(_summary(facts, found), tables, charts, _lacking(facts))


def rows(facts: Facts) -> list[dict[str, object]]:
    """Of `COLUMNS`: one a job, the first to begin first. run: 0 is the last one, 1 the one before."""
    found = spells(facts.done)
    return [
        {
            "job": span.job.label,
            "kind": span.job.kind,
            "for": "; ".join(" / ".join(user) for user in span.job.users),
            "trials": span.job.trials,
            "run": len(found) - number,
            "lane": span.lane,
            "began": _when(span.job.began),
            "seconds": round(span.job.seconds, 3),
            "worked": span.job.worked,
            "cores": span.job.cores,
            "host": span.job.host,
            "memory": span.job.memory or None,
            "gpu_memory": span.job.gpu_memory or None,
            "attempts": "; ".join(span.job.attempts) or None,
            "key": span.job.key,
        }
        for number, spell in enumerate(found, 1)
        for span in spell.spans
    ]


def spells(jobs: Iterable[Done]) -> list[Spell]:
    """The runs in which these jobs were done, the last one last: a pause parts them."""
    parts: list[list[Done]] = []
    end = float("-inf")
    for job in sorted(jobs, key=lambda job: (job.began, job.ended, job.key)):
        if job.began > end + PAUSE:
            parts.append([])
        parts[-1].append(job)
        end = max(end, job.ended)
    return [Spell(tuple(_in_lanes(part))) for part in parts]


def _in_lanes(jobs: Sequence[Done]) -> Iterable[Span]:
    """Each in the lane of its host that has been free for the shortest time; in order of their beginning."""
    ends: dict[str, list[float]] = {}
    for job in jobs:
        own = ends.setdefault(job.host, [])
        free = [lane for lane, end in enumerate(own) if end <= job.began + 1e-3]  # clocks have a finite grain
        lane = max(free, key=own.__getitem__, default=len(own))
        own[lane : lane + 1] = [job.ended]
        yield Span(job, lane + 1)


Shares = dict[tuple[str, str], dict[str, float]]  # seconds by (study, tracker) and kind


def _shares(jobs: Iterable[Done]) -> Shares:
    """What each tracker's part of each kind of job took."""
    spent: Shares = {}
    for job in jobs:
        for user in job.users:
            own, kind = spent.setdefault(user, {}), KINDS[job.kind]
            own[kind] = own.get(kind, 0.0) + job.worked / len(job.users)
    return spent


def _spans(spell: Spell) -> Iterable[tuple[str, str, str, float, float]]:
    """As the timeline has them; seconds since the run began."""
    for one in spell.spans:
        job = one.job
        yield f"{job.host} {one.lane}", KINDS[job.kind], job.label, job.began - spell.began, job.ended - spell.began


def _bars(shares: Shares) -> Plot:
    """Of those trackers that took longest."""
    longest = sorted(shares, key=lambda user: -sum(shares[user].values()))[:BARS]
    rows = [(f"{user[1]} ({user[0]})", kind, spent) for user in longest for kind, spent in shares[user].items()]
    plot = plots.seconds("costs-seconds", rows)
    few = len(longest) == len(shares)
    return plot if few else replace(plot, title=f"{plot.title}: the {BARS} that took longest")


# In words, and as tables.


def _summary(facts: Facts, found: Sequence[Spell]) -> list[str]:
    last, every = found[-1], sum(job.worked for job in facts.done)
    cores = sum(job.worked * job.cores for job in facts.done)
    peak = max(job.memory for job in facts.done)
    shared = [job for job in facts.done if len(job.users) > 1]
    sentences = [
        f"All {len(facts.done)} jobs took workers {span(every)}"
        + (f", and {span(cores)} of cores that they held." if round(cores) != round(every) else ".")
    ]
    if shared:
        saved = sum(job.worked * (len(job.users) - 1) for job in shared)
        sentences.append(f"{len(shared)} of them serve several trackers, which saved {span(saved)}.")
    kept = len(facts.done) - len(last.spans)
    sentences.append(
        f"The last run did {len(last.spans)} of them in {span(last.wall)}: "
        f"{last.lanes} at once at most, workers busy {last.utilization:.0%} of the time"
        + (f"; {kept} were done before and not done again." if kept else ".")
    )
    if peak:
        sentences.append(f"No job took more than {size(peak)} of memory.")
    return sentences


def _lacking(facts: Facts) -> str:
    return f"Of {facts.lacking} jobs more the store knows nothing: they are not in these figures." * (facts.lacking > 0)


def _by_kind(jobs: Sequence[Done], last: Spell) -> Table:
    every = sum(job.worked for job in jobs)
    newest = {span.job.key for span in last.spans}
    lines = []
    for kind, name in KINDS.items():
        own = [job for job in jobs if job.kind == kind]
        if own:
            spent = sum(job.worked for job in own)
            cells = [
                _count(len(own)),
                _count(sum(job.key in newest for job in own)),
                _time(spent),
                _share(spent, every),
                _time(spent / len(own)),
                _time(max(job.worked for job in own)),
                _memory(max(job.memory for job in own)),
                *([_memory(max(job.gpu_memory for job in own))] if any(job.gpu_memory for job in jobs) else []),
            ]
            lines.append(Row(name, cells))
    names = ["jobs", "in the last run", "time", "share", "mean", "longest", "memory at most"]
    names += ["GPU memory at most"] * any(job.gpu_memory for job in jobs)
    return Table("costs-kinds", "Time of workers by kind of job", _head("kind", names), lines)


def _by_study(jobs: Sequence[Done]) -> Table:
    every = sum(job.worked for job in jobs)
    studies = list(dict.fromkeys(study for job in jobs for study, _ in job.users))
    lines = []
    for name in studies:
        own = [job for job in jobs if any(study == name for study, _ in job.users)]
        spent = sum(job.worked * _part(job, name) for job in own)
        shared = [job for job in own if _part(job, name) < 1]
        lines.append(
            Row(
                name,
                [
                    _count(len(own)),
                    _count(len(shared)),
                    _time(spent),
                    _share(spent, every),
                    _time(sum(job.worked for job in own)),
                ],
            )
        )
    head = _head("study", ["jobs", "shared with others", "time", "share", "alone"])
    return Table("costs-studies", "Time of workers by study", head, lines, _split(jobs))


def _part(job: Done, study: str) -> float:
    return sum(name == study for name, _ in job.users) / len(job.users)


def _by_tracker(jobs: Sequence[Done], shares: Shares) -> Table:
    alone = {user: sum(job.worked for job in jobs if user in job.users) for user in shares}
    kinds = [name for name in KINDS.values() if any(name in own for own in shares.values())]
    lines = [
        Row(
            tracker,
            [
                Cell(study),
                *(_time(own[kind]) if kind in own else Cell() for kind in kinds),
                _time(sum(own.values())),
                _time(alone[study, tracker]),
            ],
        )
        for (study, tracker), own in sorted(shares.items(), key=lambda item: -sum(item[1].values()))
    ]
    head = [Column("tracker", text=True), Column("study", text=True), *map(Column, [*kinds, "in all", "alone"])]
    return Table("costs-trackers", "Time of workers by tracker", head, lines, _split(jobs))


def _split(jobs: Sequence[Done]) -> tuple[str, ...]:
    if not any(len(job.users) > 1 for job in jobs):
        return ()
    return ("Jobs that several trackers need are split evenly among them; alone: what it takes if nothing is shared.",)


def _runs(found: Sequence[Spell]) -> Table:
    lines = [
        Row(
            _when(spell.began),
            [
                _count(len(spell.spans)),
                _time(spell.wall),
                _time(spell.worked),
                _count(spell.lanes),
                Cell(f"{spell.utilization:.0%}", spell.utilization),
            ],
        )
        for spell in reversed(found)
    ]
    head = _head("began (UTC)", ["jobs", "wall time", "time of workers", "at once", "busy"])
    note = (
        f"Only jobs whose results still count. After {PAUSE:.0f} s in which none ran, another run begins. Busy: the "
        "workers' time over wall time times the number of them that were seen at once."
    )
    return Table("costs-runs", "Runs", head, lines, (note,))


def _longest(jobs: Sequence[Done]) -> Table:
    chosen = sorted(jobs, key=lambda job: -job.worked)[:LONGEST]
    lines = [
        Row(
            job.label,
            [Cell(KINDS[job.kind]), _time(job.worked), _memory(job.memory), Cell(job.host), Cell(_when(job.began))],
        )
        for job in chosen
    ]
    names = ("kind", "time", "memory", "host", "began (UTC)")
    texts = ("kind", "host", "began (UTC)")
    head = [Column("job", text=True), *(Column(name, text=name in texts) for name in names)]
    return Table("costs-longest", "The longest jobs", head, lines, ("All jobs are in costs.csv.",))


def _again(jobs: Sequence[Done]) -> Table:
    lines = [Row(job.label, [_count(len(job.attempts)), Cell("; ".join(job.attempts))]) for job in jobs if job.attempts]
    head = [Column("job", text=True), Column("attempts in vain"), Column("why they ended", text=True)]
    return Table("costs-again", "Jobs that had to be tried again", head, lines)


def _head(first: str, names: Iterable[str]) -> list[Column]:
    return [Column(first, text=True), *map(Column, names)]


def _count(number: int) -> Cell:
    return Cell(f"{number:,}", number)


def _time(seconds: float) -> Cell:
    return Cell(span(seconds), round(seconds, 3))


def _share(part: float, whole: float) -> Cell:
    return Cell(f"{part / whole:.0%}", part / whole) if whole else Cell()


def _memory(number: int) -> Cell:
    return Cell(size(number), number) if number else Cell()


def _when(seconds: float) -> str:
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(seconds))
