from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import cli, lineage
from orchestrator.conduct import Options
from orchestrator.executor import Settings
from orchestrator.paths import Paths

PARAMS: dict[str, Any] = {
    "profile": "toy",
    "datasets": {
        "train": {"format": "toy.data", "root": "data/squares"},
        "test": {"format": "toy.data", "root": "data/squares", "sequences": 4},
    },
    "studies": {
        "toy": {
            "lengths": [4, 8],
            "experiments": [{"train": "train", "test": ["test"]}],
            "trackers": {
                "Mover": {"family": "toy.family"},
                "Slow mover": {"family": "toy.family", "rate": 0.1},
                "Identity": {"family": "trackers.tracker:IdentityTracker"},
            },
        }
    },
}


class Project:
    """A folder with parameters, data and a family of its own, as a user would have it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root)

    def write(self, params: dict[str, Any]) -> None:
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def options(self, **changes: Any) -> Options:
        settings = {"params": self.root / "params.yaml", "studies": [], "trackers": [], "executor": "local"}
        return Options(**{**settings, "record": "none", "settings": Settings(checkpoint_seconds=0.0), **changes})


@pytest.fixture
def params() -> dict[str, Any]:
    return copy.deepcopy(PARAMS)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any]) -> Iterator[Project]:
    """A toy project in the working directory."""
    shutil.copytree(Path(__file__).parent / "orchestrator" / "toy", tmp_path / "toy")
    (tmp_path / "data" / "squares").mkdir(parents=True)
    (tmp_path / "data" / "squares" / "brightness.txt").write_text("200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("TRACKMEET_STORE", raising=False)
    project = Project(tmp_path)
    project.write(params)
    _forget_toy()
    yield project
    _forget_toy()


@pytest.fixture
def edit() -> Callable[[Path, str, str], None]:
    """Change a module's source as an editor would: the next plan reads it anew."""

    def change(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        _forget_toy()
        lineage._read_code.cache_clear()

    return change


def _forget_toy() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "toy"]:
        del sys.modules[name]
    lineage._source.cache_clear()  # what was read stays known by its path, which no other test has


@pytest.fixture
def call(project, monkeypatch, capsys):
    """`trackmeet` with these words: (exit status, standard output, standard error)."""

    def trackmeet(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trackmeet", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
            raise SystemExit(0)
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return trackmeet
