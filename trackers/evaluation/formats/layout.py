"""Where results lie: which files below a folder hold which tracker's run through which sequence.

    <tracker>/<sequence>.txt                              OTB, LaSOT, UAV123, pysot; .json: the Python port of OTB
    <tracker>/<sequence>/<sequence>_001.txt               GOT-10k, a file for each repetition
    <tracker>/baseline/<sequence>/<sequence>_001.txt      VOT, below the name of the experiment
    <sequence>_<tracker>.mat                              OTB in Matlab, UAV123

Where there is but one tracker, its folder may be the root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trackers.benchmarks.files import Files
from trackers.benchmarks.reading import key, stem

SUFFIXES = ("txt", "mat", "json", "bin")
EXPERIMENTS = {  # of VOT, and the protocol of each
    "baseline": "supervised_reset",
    "realtime": "supervised_reset",
    "unsupervised": "unsupervised",
}
NUMBERED = re.compile(r"(.+)_(\d{3})")
TIMES = re.compile(r"(.+_|)times?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Source:
    """Files of one kind that belong to one tracker. folder: below the root; experiment: of VOT, or "".

    files: their names by sequence and run (from 0). others: names of files of sequences that nobody asked for.
    """

    tracker: str
    folder: str
    suffix: str
    experiment: str
    files: dict[tuple[str, int], str]
    others: tuple[str, ...]


class Names:
    """Names of sequences, found in any spelling: as they are, or else without regard to case and to . _ -."""

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = set(names)
        keys = [key(name) for name in self._exact]
        self._loose = {key(name): name for name in self._exact if keys.count(key(name)) == 1}
        self._longest_first = sorted(self._loose.items(), key=lambda item: -len(item[0]))

    def find(self, name: str) -> str | None:
        """The sequence that is meant; None if there is none."""
        return name if name in self._exact else self._loose.get(key(name))

    def split(self, name: str) -> tuple[str, str] | None:
        """`<sequence>_<rest>` as the sequence, with the longest name that fits, and the rest."""
        for loose, sequence in self._longest_first:
            if key(name).startswith(f"{loose}-") and len(name) > len(loose) + 1:
                return sequence, name[len(loose) + 1 :]
        return None


def find(files: Files, sequences: Iterable[str]) -> list[Source]:
    """The results of each tracker, by name; [] if no file belongs to any of these sequences."""
    names = Names(sequences)
    found: dict[tuple[str, str, str, str], dict[tuple[str, int], str]] = {}
    strange: dict[str, list[str]] = {}
    for name in files.names:
        folder, _, file = name.rpartition("/")
        suffix = file.rpartition(".")[2].lower()
        if suffix not in SUFFIXES or TIMES.fullmatch(stem(name)) or TIMES.fullmatch(folder.rpartition("/")[2]):
            continue
        place = _place(names, folder, stem(name), suffix, files.root.absolute().name)
        if place is None:
            strange.setdefault(folder, []).append(name)
        else:
            source, entry = place
            found.setdefault(source, {}).setdefault(entry, name)
    _drop_misread(found, strange)
    return [
        Source(tracker, folder, suffix, experiment, entries, _others(strange, folder, experiment, suffix))
        for (tracker, folder, suffix, experiment), entries in sorted(found.items())
    ]


def _place(
    names: Names, folder: str, stem: str, suffix: str, root: str
) -> tuple[tuple[str, str, str, str], tuple[str, int]] | None:
    """(tracker, folder, suffix, experiment) and (sequence, run) of a file; None if it is of no known sequence."""
    above, _, last = folder.rpartition("/")
    sequence = names.find(stem)
    if sequence is not None:
        return (last or root, folder, suffix, ""), (sequence, 0)
    if suffix == "mat":
        split = names.split(stem)
        return None if split is None else ((split[1], folder, suffix, ""), (split[0], 0))
    numbered = NUMBERED.fullmatch(stem)
    sequence = None if numbered is None or key(numbered[1]) != key(last) else names.find(last)
    if numbered is None or sequence is None or numbered[2] == "000":
        return None
    experiment = above.rpartition("/")[2]
    if experiment in EXPERIMENTS:
        above = above.rpartition("/")[0]
    else:
        experiment = ""
    return (above.rpartition("/")[2] or root, above, suffix, experiment), (sequence, int(numbered[2]) - 1)


def _drop_misread(found: dict[tuple[str, str, str, str], dict[tuple[str, int], str]], strange: dict) -> None:
    """car1_s_KCF.mat is no result of a tracker s_KCF on car1, where there is a tracker KCF: car1_s is not asked for."""
    for tracker, folder, suffix, experiment in list(found):
        if suffix == "mat" and any(
            (other[1], other[2]) == (folder, suffix) and re.search(rf"[._-]{re.escape(other[0])}$", tracker)
            for other in found
        ):
            strange.setdefault(folder, []).extend(found.pop((tracker, folder, suffix, experiment)).values())


def _others(strange: dict[str, list[str]], folder: str, experiment: str, suffix: str) -> tuple[str, ...]:
    """Files beside those of a tracker, one folder deeper where each sequence has its own."""
    top = "/".join(part for part in (folder, experiment) if part)
    beside = [
        name
        for other, names in strange.items()
        if other == top or (NUMBERED.fullmatch(stem(names[0])) and other.rpartition("/")[0] == top)
        for name in names
    ]
    return tuple(name for name in beside if name.lower().endswith(f".{suffix}"))
