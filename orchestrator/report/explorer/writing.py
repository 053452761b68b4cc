"""Writing what the explorer shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.params import Report
from orchestrator.report import colours
from orchestrator.report.explorer import outlines
from orchestrator.report.explorer.links import link
from orchestrator.report.explorer.overlap import overlaps, score, worst
from orchestrator.report.explorer.played import NOTES, Played, Set, sets
from orchestrator.report.explorer.said import said
from orchestrator.report.explorer.sheets import COLUMNS, ROWS, Shelf, names_of
from orchestrator.report.explorer.videos import Opened, Videos
from orchestrator.report.results import Study
from trackers.evaluation.trajectory import Event
from trackers.sequence import Sequence

FOLDER = Path("explorer")


@dataclass(frozen=True)
class Explorer:
    """What the page must know before it loads anything else. sets: what can be chosen.

    links: to the first sequence of each, by study, benchmark and protocol.
    """

    sets: tuple[dict[str, Any], ...]
    links: Mapping[tuple[str, str, str], str]

    @property
    def json(self) -> str:
        """The sets, safe inside a script of HTML."""
        return _json(self.sets)


@dataclass
class _Film:
    """Frames of a video that are shown. shown: their numbers in it."""

    number: int
    videos: Videos
    name: str
    shown: set[int] = field(default_factory=set)


@dataclass
class _Films:
    """The videos that are shown, by identity. most: how many of each data set; None: all."""

    opened: Opened | None
    most: int | None
    found: dict[str, _Film] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def find(self, study: Study, benchmark: str, name: str) -> _Film | None:
        """That of a sequence; None where its frames are not here."""
        videos = None if self.opened is None else self.opened(benchmark, study.data.get(benchmark, {}))
        identity = None if videos is None else videos.identity(name)
        if videos is None or identity is None:
            return None
        if identity not in self.found:
            count = self.counts.get(videos.origin, 0)
            if self.most is not None and count >= self.most:
                return None
            self.counts[videos.origin] = count + 1
            self.found[identity] = _Film(len(self.found), videos, name)
        return self.found[identity]


def write(
    studies: Iterable[Study], opened: Opened | None, settings: Report, folder: Path, old: Path | None = None
) -> Explorer:
    """Write all that the page loads below `folder`, the report's.

    opened: opens data sets, see `videos.opener`; None: there are no frames. old: an earlier report, whose pictures of
    frames are taken where they are the same.
    """
    shelf, films = Shelf(folder, old), _Films(opened, settings.sequences)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    described, links = [], {}
    for number, chosen in enumerate(one for study in studies for one in sets(study)):
        index: dict[str, list[Any]] = {"sequences": [], "frames": [], "scores": [], "failures": [], "said": []}
        for i, played in enumerate(chosen.played):
            film = films.find(chosen.study, chosen.benchmark, played.sequence.name)
            data, row = _sequence(chosen, played, film, settings, shelf)
            _write(folder, f"{number}-{i}", data)
            for name, value in row.items():
                index[name].append(value)
        _write(folder, str(number), index)
        described.append(_described(chosen))
        place = chosen.study.name, chosen.benchmark, chosen.protocol
        links[place] = link(*place, chosen.played[0].sequence.name)
    for identity, film in films.found.items():
        _write(folder, f"video-{film.number}", _video(identity, film, settings))
    shelf.keep_frames(_missing(films.found, settings, shelf), settings.side)
    return Explorer(tuple(described), links)


def _described(chosen: Set) -> dict[str, Any]:
    of = colours.of(chosen.study.trackers)
    return {
        "study": chosen.study.name,
        "benchmark": chosen.benchmark,
        "protocol": chosen.protocol,
        "trackers": list(chosen.trackers),
        "colours": [of[tracker] for tracker in chosen.trackers],
        "note": NOTES.get(chosen.protocol, ""),
    }


def _sequence(
    chosen: Set, played: Played, film: _Film | None, settings: Report, shelf: Shelf
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the page shows of a sequence, and its place in the index; its film learns which frames are to be shown."""
    sequence, n = played.sequence, len(played.sequence)
    values = dict(zip(played.runs, overlaps(sequence, list(played.runs.values())), strict=True))
    wanted = set(np.linspace(0, n - 1, min(n, settings.frames)).round().astype(int).tolist())
    trackers: list[dict[str, Any]] = []
    scores: list[int | None] = []
    failures: list[int | None] = []
    for i, tracker in enumerate(chosen.trackers):
        run = played.runs.get(tracker)
        if run is None:
            scores.append(None)
            failures.append(None)
            continue
        lost, low = np.flatnonzero(run.events == Event.FAILED).tolist(), worst(values[tracker])
        own: dict[str, Any] = {
            "tracker": i,
            "regions": outlines.of_run(run, settings.side),
            "iou": [_thousandths(value) for value in values[tracker].tolist()],
            "events": "".join(str(event) for event in run.events.tolist()),
            "worst": low,
        }
        wanted |= {*low, *lost, *np.flatnonzero(run.events == Event.INITIALIZED).tolist()}
        if tracker in played.examples:
            own["said"] = said(played.examples[tracker], shelf)
            wanted |= set(played.examples[tracker].numbers)
        trackers.append(own)
        scores.append(_thousandths(score(values[tracker])))
        failures.append(len(lost))
    data: dict[str, Any] = {
        "size": _size(sequence),
        "truth": outlines.of_sequence(sequence, settings.side),
        "trackers": trackers,
    }
    if film is not None:
        numbers = film.videos.numbers(sequence.name, n)
        film.shown |= {int(numbers[t]) for t in wanted}
        data["video"] = film.number
        if not np.array_equal(numbers, np.arange(n)):
            data["numbers"] = numbers.tolist()
    row = {
        "sequences": sequence.name,
        "frames": n,
        "scores": scores,
        "failures": failures,
        "said": [i for i, tracker in enumerate(chosen.trackers) if tracker in played.examples],
    }
    return data, row


def _size(sequence: Sequence) -> list[int]:
    """Width and height; of what holds the target, where nobody said."""
    if sequence.size is not None:
        return list(sequence.size)
    corners = sequence.groundtruth[:, :2] + sequence.groundtruth[:, 2:]
    return [math.ceil(most) for most in np.nan_to_num(corners).max(0, initial=1)]


def _video(identity: str, film: _Film, settings: Report) -> dict[str, Any]:
    shown = sorted(film.shown)
    return {"frames": shown, "columns": COLUMNS, "rows": ROWS, "sheets": names_of(identity, shown, settings.side)}


def _missing(
    found: dict[str, _Film], settings: Report, shelf: Shelf
) -> Iterator[tuple[Sequence, list[int], list[str]]]:
    """Sequences of which sheets are not there yet, the frames that are shown, and the names of the sheets.

    Each data set is gone through once.
    """
    by_videos: dict[int, dict[str, tuple[list[int], list[str]]]] = {}
    for identity, film in found.items():
        shown = sorted(film.shown)
        names = names_of(identity, shown, settings.side)
        if not all(shelf.has(name) for name in names):
            by_videos.setdefault(id(film.videos), {})[film.name] = shown, names
    for videos in {id(film.videos): film.videos for film in found.values()}.values():
        wanted = by_videos.get(id(videos), {})
        for sequence in videos.sequences if wanted else ():
            if sequence.name in wanted:
                yield sequence, *wanted[sequence.name]


def _thousandths(value: float) -> int | None:
    return None if math.isnan(value) else round(value * 1000)


def _write(folder: Path, name: str, data: Any) -> None:
    text = f'explorerData("{name}",{_json(data)});\n'
    (folder / FOLDER / f"{name}.js").write_text(text, encoding="utf-8")


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
