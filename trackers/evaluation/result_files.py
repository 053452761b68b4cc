"""Results of other toolkits as trajectories, and ours in files that other toolkits read.

The formats, and where their files lie, are in `trackers.evaluation.formats`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from trackers.benchmarks import decimals, files, reading
from trackers.benchmarks.files import Files
from trackers.benchmarks.problems import Problems
from trackers.benchmarks.reading import stem
from trackers.evaluation.formats import boxes, layout, otb, vot
from trackers.evaluation.formats.layout import EXPERIMENTS, Source
from trackers.evaluation.protocols import PERTURBATIONS
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

Format = Literal["otb", "got10k", "lasot", "vot"]
FORMATS: tuple[Format, ...] = get_args(Format)
AHEAD = 4  # trackers whose texts are in memory at once
PLACES: dict[Format, dict[str, str]] = {  # the protocols that a format has a place for, and VOT's experiment of each
    **dict.fromkeys(("otb", "got10k", "lasot"), {"one_pass": "", "unsupervised": ""}),
    "vot": {"supervised_reset": "baseline", "unsupervised": "unsupervised", "one_pass": "unsupervised"},
}


@dataclass(frozen=True)
class Submission:
    """What one tracker brought: trajectories through every sequence, under one protocol.

    notes: what was left out: files of sequences that the benchmark does not have, frames without results.
    """

    tracker: str
    protocol: str
    trajectories: tuple[Trajectory, ...]
    notes: tuple[str, ...] = ()


def read(root: Path, sequences: Iterable[Sequence], cut: bool = False, partial: bool = False) -> tuple[Submission, ...]:
    """The results of all trackers below `root`, or of the one that it belongs to, by name.

    The layout is recognised. Every tracker must have results of every sequence; partial: of one at least, the
    others are noted. cut: boxes a line are cut to the shorter of results and groundtruth. Raises DataError
    that lists every problem in every file, OSError where there is no folder.
    """
    wanted = {sequence.name: sequence for sequence in sequences}
    problems, found = Problems(), files.open(root)
    sources = layout.find(found, wanted)
    if not sources:
        some = f", none of them of {next(iter(wanted))} or another sequence here" if found.names else ""
        problems.say(str(root), "result files, .txt, .mat or .json", f"{len(found.names)} files{some}")
    submissions: dict[Source, tuple[str, list[Trajectory]]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # while texts are parsed, which needs no Python, others are read
        for start in range(0, len(sources), AHEAD):
            texts = [(source, _read_source(found, source, problems, pool)) for source in sources[start : start + AHEAD]]
            for source, of_source in texts:
                submissions[source] = _trajectories(found, source, of_source, wanted, problems, cut, partial)
    problems.refuse()
    taken = [(source.tracker, protocol) for source, (protocol, _) in submissions.items()]
    return tuple(
        Submission(
            source.tracker if taken.count((source.tracker, protocol)) == 1 else f"{source.folder} ({source.suffix})",
            protocol,
            tuple(trajectories),
            tuple(_notes(source, trajectories, wanted)),
        )
        for source, (protocol, trajectories) in submissions.items()
    )


def write(
    form: Format, out: Path, tracker: str, protocol: str, sequences: Iterable[Sequence], runs: Iterable[Trajectory]
) -> None:
    """Write the runs of a tracker below `out`, where the toolkits of that format look for them.

    Raises ValueError where the format has no place for results of the protocol.
    """
    if protocol not in PLACES[form]:
        raise ValueError(f"format {form}: expected results of {' or '.join(PLACES[form])}, got {protocol}")
    known = {sequence.name: sequence for sequence in sequences}
    for run in runs:
        if form == "vot":
            vot.write(out / tracker / PLACES[form][protocol], known[run.sequence], run)
        else:
            boxes.write(out / tracker, known[run.sequence], run, numbered=form == "got10k")


@dataclass(frozen=True)
class Texts:
    """The files of a tracker. contents: by name. plain: the numbers of those that are plain text."""

    contents: dict[str, bytes]
    is_vot: bool
    plain: Callable[[], list[np.ndarray | None]]


def _read_source(found: Files, source: Source, problems: Problems, pool: Executor) -> Texts:
    """Its files, all of them, and begin to parse them."""
    read_ones = {file: reading.read(found, file, problems) for file in source.files.values()}
    contents = {file: content for file, content in read_ones.items() if content is not None}
    texts = list(contents.values()) if source.suffix == "txt" else []
    is_vot = bool(source.experiment) or any(map(vot.looks_like, texts))
    return Texts(contents, is_vot, decimals.begin([vot.by_line(text) for text in texts] if is_vot else texts, pool))


def _trajectories(
    found: Files,
    source: Source,
    texts: Texts,
    wanted: Mapping[str, Sequence],
    problems: Problems,
    cut: bool,
    partial: bool,
) -> tuple[str, list[Trajectory]]:
    """Protocol and trajectories; problems, where something is missing or wrong."""
    runs: list[Trajectory | None] = []
    plain = dict(zip(texts.contents, texts.plain(), strict=source.suffix == "txt"))
    for (name, run), file in source.files.items():
        sequence, place, content = wanted[name], found.show(file), texts.contents.get(file)
        if content is None:
            continue
        if source.suffix == "mat":
            runs += otb.read_mat(content, place, sequence, problems)
        elif source.suffix == "json":
            runs += otb.read_json(content, place, sequence, problems)
        elif source.suffix == "bin":
            problems.say(place, "a trajectory in text (VOT_RESULTS_BINARY=false writes it)", "a binary one")
        elif texts.is_vot:
            seconds = vot.seconds(found, file, len(sequence))
            runs.append(vot.read(content, place, sequence, run, problems, seconds, plain[file]))
        else:
            seconds = boxes.seconds(found, file, sequence, run)
            runs.append(boxes.read(content, place, sequence, run, problems, cut, seconds, plain[file]))
    trajectories = [run for run in runs if run is not None]
    missing = [] if partial else _missing(source, wanted)
    for name in missing:
        problems.say(found.show(source.folder), f"results of {source.tracker} on {name}", "none")
    if missing:  # a name that was misspelt shows up on both sides
        for file in source.others:
            problems.say(found.show(file), "results of a sequence of this benchmark", f"those of {stem(file)}")
    return EXPERIMENTS.get(source.experiment) or _protocol(trajectories, texts.is_vot), trajectories


def _protocol(trajectories: list[Trajectory], is_vot: bool) -> str:
    """That of results that do not say it."""
    if is_vot:
        return "supervised_reset"
    if any(run.run and run.events[0] == Event.SKIPPED for run in trajectories):
        return "temporal_robustness"
    runs = [run.run for run in trajectories]
    return "spatial_robustness" if max(runs, default=0) == len(PERTURBATIONS) - 1 else "one_pass"


def _missing(source: Source, wanted: Mapping[str, Sequence]) -> list[str]:
    """Names of the sequences without results."""
    present = {name for name, _ in source.files}
    return [name for name in wanted if name not in present]


def _notes(source: Source, trajectories: list[Trajectory], wanted: Mapping[str, Sequence]) -> Iterator[str]:
    missing = _missing(source, wanted)
    if missing:
        yield f"no results of {len(missing)} of the {len(wanted)} sequences, {missing[0]} the first of them"
    if source.others:
        yield f"{len(source.others)} files of other sequences are left out, {source.others[0]} the first of them"
    for run in trajectories:
        if run.events[-1] == Event.SKIPPED and Event.FAILED not in run.events:
            frames = len(run) - int(np.argmax(run.events[::-1] != Event.SKIPPED))
            yield f"{run.sequence}: results end in frame {frames} of {len(run)}; the others do not count"
