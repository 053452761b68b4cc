from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestrator import sample_data
from orchestrator.conduct import conduct
from orchestrator.report import claims, dvc_files, paper, results, scores
from orchestrator.report.paper import Aspect

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "TRACKMEET_EXECUTOR": "local",
}
SETTING = "studies.rectracker.trackers.KerCorrTracker.padding"


def reported(folder: Path) -> list[dvc_files.Reported]:
    """The studies of a results folder, as a report has them."""
    found = []
    for study in results.read(folder):
        said = paper.load(study.name)
        grid = scores.grid(study, said)
        found.append(dvc_files.Reported(grid, said, tuple(claims.check(said, grid))))
    return found


def leaves(tree: dict, *place: str) -> dict[tuple[str, ...], float]:
    """Every number of a tree by its place."""
    found = {}
    for name, value in tree.items():
        found |= leaves(value, *place, name) if isinstance(value, dict) else {(*place, name): value}
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def studies(project, params):
    """The toy study, run."""
    params["studies"]["toy"]["trackers"].pop("Slow mover")
    project.write(params)
    conduct(project.options(), project.paths)
    return reported(project.paths.results)


def test_every_number_is_that_of_a_row_of_scores(studies, tmp_path):
    """What `dvc metrics` shows are values of scores.csv, each under its study, benchmark, measure and tracker."""
    dvc_files.write(tmp_path, studies)
    [study] = studies
    known = {
        (row["study"], row["benchmark"], f"{row['measure']}/{row['length']}", row["tracker"]): row["value"]
        for row in map(dict, csv.DictReader(scores.as_csv(scores.COLUMNS, scores.rows(*study[:2])).splitlines()))
        if (row["fold"], row["subset"]) == ("all", "all")
    }
    shown = leaves(json.loads((tmp_path / "measures.json").read_text()))
    assert {place: f"{value:.6f}" for place, value in shown.items()} == known
    headline = leaves(json.loads((tmp_path / "metrics.json").read_text()))
    assert headline.keys() == {place for place in shown if place[2] == "average_overlap/8"}
    assert headline.items() <= shown.items()


def test_lines_are_drawn_by_length_and_by_step(studies, tmp_path):
    """A study with lengths has a line a tracker through its scores, one that trains a line a trial; none has an
    empty file.
    """
    dvc_files.write(tmp_path, studies)
    shown = json.loads((tmp_path / "measures.json").read_text())["toy"]["test"]
    points = {(row["line"], row["x"]): row["y"] for row in rows(tmp_path / "plots" / "lengths" / "toy.csv")}
    assert points == {
        (tracker, str(length)): f"{shown[f'average_overlap/{length}'][tracker]:.6f}"
        for tracker in ("Mover", "Identity")
        for length in (4, 8)
    }
    trained = rows(tmp_path / "plots" / "training" / "toy.csv")
    assert {row["line"] for row in trained} == {"Mover / train"}
    assert not (tmp_path / "plots" / "curves").exists()


def test_verdicts_are_counted(studies):
    """The table of experiments has the number of claims with each verdict, of every verdict that there may be."""
    verdicts = (claims.HOLDS, claims.HOLDS, claims.UNDECIDED)
    findings = tuple(claims.Finding(None, verdict, None, (), ()) for verdict in verdicts)
    counts = {"holds": 2, "undecided": 1, "does not hold": 0, "not tested": 0}
    assert dvc_files.headline(studies[0]._replace(findings=findings))["claims"] == {"verdict": counts}
    assert "claims" not in dvc_files.headline(studies[0])


def test_a_benchmark_is_headed_by_what_its_paper_is_about(studies):
    """The paper's measure at the longest length comes first; where it was not measured, the first that was."""
    [study] = studies
    assert scores.main_aspect(study.grid, study.paper, "test") == Aspect("average_overlap", 8)
    other = study._replace(paper=paper.Paper(measure="eao"))
    assert scores.main_aspect(other.grid, other.paper, "test") == next(iter(study.grid.cells))[2]
    assert scores.main_aspect(study.grid, study.paper, "nowhere") is None


class Repository:
    """A small project under git, made by the pipeline of this one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], text=True)
        for name in listed.splitlines():
            if (ROOT / name).is_file() and name not in ("data.dvc", "dvc.lock"):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes((ROOT / name).read_bytes())
        smoke = yaml.safe_load(self.call("trackmeet", "params", "smoke"))
        study = smoke["studies"]["rectracker"]
        study["experiments"] = study["experiments"][:1]
        study["trackers"] = {"KerCorrTracker": {"family": "kcf", "padding": 1.5}}
        names = {study["experiments"][0]["train"], *study["experiments"][0]["test"]}
        smoke |= {"studies": {"rectracker": study}, "sequences": ["digits"], "extractors": {}, "features": []}
        smoke["datasets"] = {name: smoke["datasets"][name] for name in names}
        (root / "params.yaml").write_text(yaml.safe_dump(smoke, sort_keys=False))
        sample_data.write(root / "data", ["digits"])
        for folder in ("extractors", "features"):  # stages that have nothing to do make none
            (root / "build" / folder).mkdir(parents=True)
            (root / "build" / folder / "none").touch()
        self.call("git", "init", "-q")
        self.call("dvc", "repro")
        self.commit()

    def call(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.root, env=ENVIRONMENT, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self) -> None:
        self.call("git", "add", ".")
        self.call("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base")


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_dvc_compares_what_the_report_says(tmp_path):
    """`dvc exp run -S` changes a setting; `dvc metrics diff`, `dvc exp show` and `dvc plots diff` show the report's
    numbers before and after it.
    """
    clone = Repository(tmp_path)
    report = tmp_path / "build" / "report"
    before = leaves(json.loads((report / "metrics.json").read_text()))
    told = json.loads(clone.call("dvc", "metrics", "show", "--json"))[""]["data"]["build/report/metrics.json"]["data"]
    assert leaves(told) == before

    clone.call("dvc", "exp", "run", "-n", "narrow", "-S", f"{SETTING}=1.0")
    after = leaves(json.loads((report / "metrics.json").read_text()))
    changed = {place for place in after if after[place] != before[place]}
    assert changed
    assert {place[-1] for place in changed} == {"KerCorrTracker"}
    [differences] = json.loads(clone.call("dvc", "metrics", "diff", "--json")).values()
    shown = {name: (change["old"], change["new"]) for name, change in differences.items()}
    assert shown == {".".join(place): (before[place], after[place]) for place in changed}
    every = json.loads(clone.call("dvc", "metrics", "diff", "--json", "--targets", "build/report/measures.json"))
    assert set(shown) < set(every["build/report/measures.json"])

    table = list(csv.DictReader(clone.call("dvc", "exp", "show", "--csv").splitlines()))
    narrow = next(row for row in table if row["Experiment"] == "narrow")
    place = min(changed)
    assert float(narrow[".".join(place)]) == after[place]
    assert float(narrow[SETTING]) == 1.0

    plots = json.loads(clone.call("dvc", "plots", "diff", "--json", "HEAD", "workspace"))
    assert not plots.get("errors")
    [plot] = plots["data"]["build/report/plots/lengths/rectracker.csv"]
    ends = {(row["rev"], row["panel"], row["line"], row["x"]): row["y"] for row in plot["content"]["data"]["values"]}
    assert {rev for rev, *_ in ends} == {"HEAD", "workspace"}
    _, benchmark, measure, tracker = place
    [length] = {measure.partition("/")[2]}
    panel = f"{benchmark}: average overlap by length (frames)"
    assert ends["HEAD", panel, tracker, length] == f"{before[place]:.6f}"
    assert ends["workspace", panel, tracker, length] == f"{after[place]:.6f}"
