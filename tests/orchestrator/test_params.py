from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import yaml

from orchestrator import params as reading
from orchestrator.params import ParamsError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclass(frozen=True)
class Settings:
    count: int
    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    sizes: tuple[int, ...] = ()
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count: expected at least 0, got {self.count}")


def test_settings_become_typed_values():
    """Plain settings become the Config they describe, numbers written without a dot included."""
    built = reading.build(Settings, {"count": 3, "inner": {"rate": "1e-4"}, "sizes": [1, 2], "limit": 2})
    assert built == Settings(3, "a", Inner(1e-4), (1, 2), 2.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"count": "three"}, "count: expected int, got 'three' (str)"),
        ({"count": True}, "count: expected int, got True (bool)"),
        ({"count": 1, "kind": "c"}, "kind: expected one of 'a', 'b', got 'c' (str)"),
        ({"count": 1, "speed": 2}, "speed: unknown key; expected one of count, kind, inner, sizes, limit"),
        ({"count": 1, "inner": {"rate": None}}, "inner.rate: expected float, got nothing"),
        ({"count": 1, "inner": 3}, "inner: expected settings (a mapping), got 3 (int)"),
        ({"count": 1, "sizes": 4}, "sizes: expected a list, got 4 (int)"),
        ({"count": 1, "sizes": [1, "x"]}, "sizes.1: expected int, got 'x' (str)"),
        ({}, "the key 'count' is missing"),
        ({"count": -1}, "count: expected at least 0, got -1"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], said: str):
    """An unknown key, a wrong type or a value out of range is refused in words that say what was expected."""
    with pytest.raises(ParamsError) as error:
        reading.build(Settings, settings)
    assert said in str(error.value)


def test_every_problem_of_a_file_is_listed_with_its_line(project, params):
    """All problems are found in one reading, each with file, line and field."""
    params["studies"]["toy"]["trackers"]["Mover"]["rat"] = 1
    params["studies"]["toy"]["trackers"]["Nobody"] = {"family": "no_such_family"}
    params["studies"]["toy"]["experiments"][0]["train"] = "nothing"
    params["datasets"]["test"]["sequences"] = "many"
    project.write(params)
    path = project.root / "params.yaml"
    lines = path.read_text().splitlines()
    with pytest.raises(ParamsError) as error:
        reading.load(path)
    problems = str(error.value).splitlines()
    assert len(problems) == 4
    assert any(f"{path}:{1 + lines.index('      rat: 1'.replace('      ', '        '))}: " in p for p in problems)
    assert any("datasets.test.sequences: expected int, got 'many' (str)" in p for p in problems)
    assert any("no module trackers.families.no_such_family" in p for p in problems)
    assert any("no data set 'nothing'" in p for p in problems)


def test_json_says_the_same_as_yaml(project, params):
    """A params.json is read like the params.yaml with the same content, so that no YAML reader is needed."""
    del params["studies"]["toy"]["trackers"]["Identity"]  # its Config is made anew at each reading
    project.write(params)
    (project.root / "params.json").write_text(json.dumps(params))
    assert reading.load(project.root / "params.json") == reading.load(project.root / "params.yaml")


def test_merged_keys_are_found_where_they_stand(project, params):
    """YAML anchors and merge keys work, and what they bring in is checked too."""
    text = yaml.safe_dump(params, sort_keys=False).replace("\n  test:\n", "\n  test: &t\n", 1)
    text = text.replace("\nstudies:", "\n  more:\n    <<: *t\n    frames: 5\nstudies:", 1)
    (project.root / "params.yaml").write_text(text)
    more = reading.load(project.root / "params.yaml").datasets["more"]
    assert (more.config.sequences, more.config.frames) == (4, 5)


def test_broken_yaml_is_said_with_its_line(project):
    """A file that is not YAML is refused with the line on which it stops being so."""
    (project.root / "params.yaml").write_text("profile: x\nstudies: [\n")
    with pytest.raises(ParamsError, match=r"params.yaml:3: not YAML"):
        reading.load(project.root / "params.yaml")


def test_a_missing_file_is_said(tmp_path):
    """A params.yaml that is not there is an error that names it."""
    with pytest.raises(ParamsError, match="no such file"):
        reading.load(tmp_path / "params.yaml")


@pytest.mark.parametrize("profile", reading.profiles())
def test_packaged_profiles_are_valid(profile):
    """Every packaged profile can be loaded."""
    assert reading.load(reading.PROFILES / f"{profile}.yaml").studies
