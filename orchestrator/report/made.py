"""How the results were made: revisions, parameters, machines, versions, and what failed on the way and why.

    params.yaml      the parameters, as they were read
    origins.json     revisions; the keys of all trials; of each table and plot the trials whose results it shows

So a figure can be traced: from its name to trials, from their keys to the runs in MLflow and to jobs, which costs.csv
has with the keys by which the store knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import gmtime, strftime

from orchestrator.amounts import size
from orchestrator.executor import FOLLOWS
from orchestrator.facts import Facts
from orchestrator.files import write_json
from orchestrator.report.plots.plot import Plot
from orchestrator.report.results import Study, Trial
from orchestrator.report.table import Cell, Column, Row, Table, slug
from orchestrator.requests import CANCELLED

SHORT = 12  # characters of a key that are shown
_LOG = re.compile(r"; log: (.+)(?=\)$)")  # where a message says it
_DIRTY = "-dirty"


@dataclass(frozen=True)
class Origin:
    """What a table or plot shows: results of these trials on these benchmarks. trials: keys by (study, name)."""

    file: str
    benchmarks: tuple[str, ...]
    trials: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Made:
    """All that the page says of it. facts: None where nobody gathered any. warnings: why it is not so simple."""

    facts: Facts | None
    origins: Mapping[str, Origin]
    revisions: Sequence[tuple[str, str]]
    commands: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    failures: Table | None
    hosts: Table | None
    data: Table | None
    trials: Table
    sources: Table

    @property
    def tables(self) -> list[Table]:
        """All of them, in the page's order."""
        return [table for table in (self.failures, self.hosts, self.data, self.trials, self.sources) if table]


def of(studies: Sequence[Study], facts: Facts | None, tables: Iterable[Table] = (), plots: Iterable[Plot] = ()) -> Made:
    """Everything, and where each of these tables and plots comes from."""
    files = [(table.name, f"tables/{table.name}.csv") for table in tables]
    files += [(plot.name, f"figures/{plot.name}.svg") for plot in plots]
    origins = {name: origin(name, file, studies) for name, file in files}
    return Made(
        facts=facts,
        origins=origins,
        revisions=() if facts is None else _revisions(facts),
        commands=() if facts is None else _commands(facts),
        warnings=_warnings(studies, facts),
        failures=_failures(studies),
        hosts=None if facts is None else _hosts(facts),
        data=None if facts is None or not facts.contents else _data(facts),
        trials=_trials(studies),
        sources=_sources(origins),
    )


def write(made: Made, studies: Sequence[Study], folder: Path) -> None:
    """Write params.yaml and origins.json into `folder`."""
    facts = made.facts
    if facts is not None and facts.parameters:
        (folder / "params.yaml").write_text(facts.parameters, encoding="utf-8")
    write_json(
        folder / "origins.json",
        {
            "revisions": {} if facts is None else {"git": facts.git, "data": facts.data, "params": facts.sha256},
            "versions": {} if facts is None else dict(facts.versions),
            "trials": {study.name: {trial.name: trial.key for trial in study.trials} for study in studies},
            "of": {
                name: {
                    "file": one.file,
                    "benchmarks": list(one.benchmarks),
                    "trials": sorted({f"{study} / {trial}" for study, trial in one.trials}),
                }
                for name, one in made.origins.items()
            },
        },
    )


def origin(name: str, file: str, studies: Sequence[Study]) -> Origin:
    """What a table or plot of this name shows: names begin with the study's, and have the benchmark's after it.

    Of all studies where it begins with none; of all its study's benchmarks where it names none.
    """
    named = [study for study in studies if f"{name}-".startswith(f"{slug(study.name)}-")]
    chosen = [max(named, key=lambda study: len(slug(study.name)))] if named else list(studies)
    rest = name[len(slug(chosen[0].name)) :] if named else f"-{name}"
    known = dict.fromkeys(chain.from_iterable(study.benchmarks for study in chosen))
    there = [benchmark for benchmark in known if f"-{slug(benchmark)}-" in f"{rest}-"]
    longest = [one for one in there if not any(one != other and slug(one) in slug(other) for other in there)]
    benchmarks = tuple(longest or known)
    trials = {
        (study.name, trial.name): trial.key
        for study in chosen
        for trial in study.trials
        if trial.state == "done" and not set(trial.benchmarks).isdisjoint(benchmarks)
    }
    return Origin(file, benchmarks, trials)


def _revisions(facts: Facts) -> list[tuple[str, str]]:
    return [
        ("code", facts.git if facts.git != "unknown" else "not in git"),
        ("code that jobs run", facts.code[:SHORT] or "unknown"),
        ("data", facts.data if facts.data != "unknown" else "no data.dvc"),
        ("parameters", f"profile {facts.profile or 'unknown'}, sha256 {facts.sha256[:SHORT]}"),
        *([("last result", f"{strftime('%Y-%m-%d %H:%M', gmtime(facts.complete))} UTC")] if facts.complete else []),
        ("versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())),
    ]


def _commands(facts: Facts) -> list[tuple[str, str]]:
    """Each with what it is for."""
    return [
        *([(f"git checkout {facts.git.removesuffix(_DIRTY)}", "the code")] if facts.git != "unknown" else []),
        *([("dvc checkout data.dvc", f"the data, md5 {facts.data}")] if facts.data != "unknown" else []),
        ("cp build/report/params.yaml params.yaml", f"the parameters, sha256 {facts.sha256[:SHORT]}"),
        ("dvc repro", "what is not done, and this report"),
    ]


def _warnings(studies: Sequence[Study], facts: Facts | None) -> list[str]:
    if facts is None:
        return ["Nobody gathered how these results were made: 'trackmeet report' in the project does."]
    found = []
    if facts.git.endswith(_DIRTY):
        found.append(
            "Files differed from the commit when this report was built: the commit alone does not give this code."
        )
    if facts.git == "unknown":
        found.append("The project is not in git: only the digest of the code says which it was.")
    if facts.problem and not facts.trials:
        found.append(f"What was planned is not known: {facts.problem}.")
    other = [
        trial
        for study in studies
        for trial in study.trials
        if facts.trials and facts.trials.get((study.name, trial.name)) != trial.key
    ]
    if other:
        found.append(
            f"{len(other)} of {sum(len(study.trials) for study in studies)} trials are of other parameters, data or "
            f"code than are here now, {other[0].name} among them: 'dvc repro' brings them up to date."
        )
    return found


def _failures(studies: Sequence[Study]) -> Table | None:
    """Trials without results, those that failed first; None where all are done."""
    undone = [(study, trial) for study in studies for trial in study.trials if trial.state != "done"]
    rows = [
        Row(
            trial.name,
            [
                Cell(study.name),
                Cell("failed", mark="failed") if trial.failed else Cell("not run", mark="soft"),
                Cell(_LOG.sub("", trial.error)) if trial.error else Cell(),
                Cell(f"build/logs/{_log(trial)}") if _log(trial) else Cell(),
                Cell(advice(study, trial)),
            ],
        )
        for study, trial in sorted(undone, key=lambda one: not one[1].failed)
    ]
    names = ("trial", "study", "state", "why", "log", "what to do")
    return Table("made-failures", "Trials without results", _head(names), rows) if rows else None


def _log(trial: Trial) -> str:
    """The name of the file that says more; "" where there is none."""
    found = _LOG.search(trial.error or "")
    return Path(trial.log or (found[1] if found else "")).name


def advice(study: Study, trial: Trial) -> str:
    """What to do about a trial without results."""
    again = f"trackmeet run --study '{study.name}' --tracker '{trial.tracker}'"
    error = trial.error or ""
    if not trial.failed:
        return f"It was left out: {again} runs it."
    if error.startswith(CANCELLED):
        return f"It was cancelled: {again} goes on from its checkpoint."
    if error.startswith("data set "):
        return "Mend the data: 'trackmeet data check' lists all that is wrong with it."
    if error.startswith(FOLLOWS):
        return "What it needs comes first: see why that failed."
    if "out of memory" in error:
        return f"Give it more memory, or fewer at once: {again} --lanes 8 --workers 1."
    if error.startswith("took longer than"):
        return f"Give it longer: {again} --timeout, in seconds."
    if "attempts" in error:
        return f"Its worker died each time: 'trackmeet doctor' says what this machine lacks; then {again}."
    return f"Read its log: trackmeet logs '{trial.name}'; once mended, {again} does what is not done."


def _hosts(facts: Facts) -> Table:
    rows = [
        Row(
            host.name,
            [
                Cell(host.processor) if host.processor else Cell(),
                Cell(str(host.cores), host.cores) if host.cores else Cell(),
                Cell(size(host.memory), host.memory) if host.memory else Cell(),
                Cell("; ".join(host.gpus) or ("none" if host.system else "–")),
                Cell(host.system) if host.system else Cell(),
                Cell(f"{host.pace:.2f}", host.pace) if host.pace else Cell(),
            ],
        )
        for host in facts.hosts
    ]
    names = ("host", "processor", "cores", "memory", "GPUs", "system", "pace")
    note = "pace: how fast one thread is, 1 for a core of the reference machine. What other hosts have is not kept."
    return Table("made-hosts", "Machines that jobs ran on", _head(names, ("cores", "memory", "pace")), rows, (note,))


def _data(facts: Facts) -> Table:
    rows = [Row(name, [Cell(sha[:SHORT])]) for name, sha in sorted(facts.contents.items())]
    note = "sha256 over names and contents of its files: several data sets may be parts of one folder."
    return Table("made-data", "Data sets by content", _head(("data set", "content")), rows, (note,))


def _trials(studies: Sequence[Study]) -> Table:
    rows = [
        Row(trial.name, [Cell(study.name), Cell(trial.state), Cell(trial.key[:SHORT])])
        for study in studies
        for trial in study.trials
    ]
    note = "The key changes when a result may: it is the tag trackmeet.key of the run in MLflow; whole in origins.json."
    return Table("made-keys", "Keys of trials", _head(("trial", "study", "state", "key")), rows, (note,))


def _sources(origins: Mapping[str, Origin]) -> Table:
    rows = [
        Row(
            name,
            [
                Cell(_several(list(dict.fromkeys(study for study, _ in one.trials)), "studies")),
                Cell(_several(one.benchmarks, "benchmarks")),
                Cell(str(len(one.trials)), len(one.trials)),
            ],
            link=one.file,
        )
        for name, one in origins.items()
    ]
    head = _head(("table or plot", "study", "benchmarks", "trials"), ("trials",))
    return Table("made-sources", "Where tables and plots come from", head, rows, ("Which trials: in origins.json.",))


def _several(names: Sequence[str], what: str) -> str:
    """Three names at most, else their number."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} {what}"


def _head(names: Sequence[str], numbers: Sequence[str] = ()) -> list[Column]:
    return [Column(name, text=name not in numbers) for name in names]
