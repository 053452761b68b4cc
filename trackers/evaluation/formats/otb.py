"""Records of the OTB toolkits: .mat of the Matlab toolkit (and UAV123's), .json of its Python port.

A file holds the runs through one sequence: 1 of OPE, 20 of TRE, 12 of SRE. Each run is a record of `res`, rows
of numbers, `type`, what these mean, where it begins and, in the port, ends, and how fast the tracker was. Rows
of an affine tracker are its six parameters; the toolkit makes boxes of them by calcRectCenter.m (`affine_boxes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trackers.benchmarks.problems import Problems
from trackers.benchmarks.reading import parse_json
from trackers.evaluation.formats import mat
from trackers.evaluation.formats.boxes import trajectory
from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence

AFFINE = ("ivtAff", "affine_ivt")
TYPES = ("rect", *AFFINE)
VERSION_73 = b"MATLAB 7.3"


def read_mat(content: bytes, file: str, sequence: Sequence, problems: Problems) -> list[Trajectory]:
    """The runs in a .mat file with a cell `results` of records, or a bare one; [] and problems where there is none.

    file: its place, for messages.
    """
    if content[:10] == VERSION_73:
        problems.say(file, "a .mat file of version 7 or before (save -v7)", "version 7.3")
        return []
    try:
        variables = mat.read(content)
    except (ValueError, RecursionError) as error:
        problems.say(file, "a whole .mat file", str(error))
        return []
    held = next((variables[name] for name in ("results", "result", "res") if name in variables), None)
    records = _records(held)
    if not records:
        problems.say(file, "`results`, a cell of structs with res and type", ", ".join(variables)[:60] or "nothing")
        return []
    return _runs(records, file, sequence, problems)


def read_json(content: bytes, file: str, sequence: Sequence, problems: Problems) -> list[Trajectory]:
    """The runs in a .json file, a list of records; [] and problems where it is none."""
    before = len(problems)
    loaded = parse_json(content, file, problems)
    if len(problems) > before:
        return []
    records = loaded if isinstance(loaded, list) else [loaded]
    if not records or not all(isinstance(record, dict) and "res" in record for record in records):
        problems.say(file, "a list of records with `res`", "something else")
        return []
    return _runs([{"type": record.get("resType"), **record} for record in records], file, sequence, problems)


def affine_boxes(rows: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Boxes (frames, 4) of affine parameters (frames, 6) of a template of `size` (width, height).

    A point (u, v) of it, seen from its centre, is at (p1 + p3 u + p4 v, p2 + p5 u + p6 v). The box is that of
    two opposite corners, each rounded down to whole pixels (calcRectCenter.m).
    """
    reach = rows[:, 2:].reshape(-1, 2, 2) @ (np.array(size) / 2)
    first, last = np.floor(rows[:, :2] - reach), np.floor(rows[:, :2] + reach)
    return np.concatenate([first, last - first], 1)


def _runs(records: list[Mapping[str, Any]], file: str, sequence: Sequence, problems: Problems) -> list[Trajectory]:
    runs = []
    for number, record in enumerate(records):
        where = f"run {number + 1}: " if len(records) > 1 else ""
        try:
            kind, rows = str(record.get("type")), _numbers(record["res"])
            size = tuple(_numbers(record.get("tmplsize", ())).ravel())
            begin = int(_scalar(record.get("annoBegin"), 1))
            first = int(_scalar(record.get("startFrame"), 1)) - begin
            end = int(_scalar(record.get("endFrame"), len(sequence) + begin - 1)) - begin + 1
            rate = _scalar(record.get("fps"), np.nan)
        except (TypeError, ValueError, OverflowError) as error:
            problems.say(file, f"{where}rows of numbers", str(error))
            continue
        width = 6 if kind in AFFINE else 4
        if kind not in TYPES:
            problems.say(file, f"{where}results of type {' or '.join(TYPES)}", repr(kind))
            continue
        if rows.ndim != 2 or rows.shape[1] != width or (kind in AFFINE and len(size) < 2):
            what = " and the size of the template" if kind in AFFINE else ""
            problems.say(file, f"{where}rows of {width} numbers{what}", f"shape {rows.shape}, template {size}")
            continue
        if len(rows) == len(sequence):
            first, end = 0, len(sequence)  # the groundtruth begins where the run does
        if not 0 <= first < end <= len(sequence) or len(rows) != end - first:
            expected = (
                f"{where}{end - first} rows, of frames {first + 1} to {end} of {len(sequence)} of {sequence.name}"
            )
            problems.say(file, expected, str(len(rows)))
            continue
        boxes = affine_boxes(rows, (size[0], size[1])) if kind in AFFINE else rows
        seconds = np.full(len(sequence), 1 / rate) if rate > 1e-9 else None
        runs.append(trajectory(sequence, boxes, number, first, seconds))
    return runs


def _records(held: Any) -> list[Mapping[str, Any]]:
    """Records in a cell of structs, in an array of structs, or in one; [] where there is anything else."""
    if not isinstance(held, list):
        return []
    found = [record for each in held for record in (each if isinstance(each, list) else [each])]
    return found if all(isinstance(record, dict) and "res" in record for record in found) else []


def _numbers(value: Any) -> np.ndarray:
    """Numbers and nothing that could be taken for some, none of them infinite. Raises ValueError for others."""
    array = np.array(value)
    if array.size and (array.dtype.kind not in "iuf" or np.isinf(array).any()):
        raise ValueError(f"{value!r:.40}")
    return array.astype(float)


def _scalar(value: Any, default: float) -> float:
    array = _numbers(default if value is None else value)
    return float(array.ravel()[0]) if array.size else default
