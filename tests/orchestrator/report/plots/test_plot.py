from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from orchestrator.report.plots import plot
from orchestrator.report.plots.curves import lines
from orchestrator.report.plots.plot import Plot, pdf, svg  # before the tests of reports leave them out
from orchestrator.report.plots.style import COLUMNS

FILES = ("charts/some.js", "figures/some.svg", "figures/some.pdf", "figures/some.csv")


@pytest.fixture
def some() -> Plot:
    """One of two lines, in two fonts' worth of letters and with an opacity."""
    rows: list[dict[str, object]] = [
        {"tracker": name, "label": f"{name} [0.5]", "x": x, "y": y, "low": y - 0.1, "high": y + 0.1}
        for name, y in (("A</script>", 0.4), ("Ä†", 0.6))
        for x in (0.0, 1.0)
    ]
    labels = {"Ä† [0.5]": "#0072b2", "A</script> [0.5]": "#d55e00"}
    return Plot("some", "Some", "Two lines.", lines(rows, labels, ("overlap", "success"), band=True))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A report that has nothing but what draws plots in the page."""
    (tmp_path / "old/assets").mkdir(parents=True)
    (tmp_path / "old/assets/vega.js").write_text(f"// vl-convert {version('vl-convert-python')}\nthe library")
    return tmp_path / "old"


def test_a_picture_has_the_same_bytes_each_time(some: Plot) -> None:
    """Drawn several times, a plot has the same bytes as SVG and as PDF, and the PDF has its fonts inside."""
    drawn = [svg(some) for _ in range(2)]
    assert drawn[0] == drawn[1]
    printed = {pdf(drawn[0]) for _ in range(12)}  # in any of them, two resources of a kind may come either way round
    assert len(printed) == 1
    assert b"/FontFile" in printed.pop()


def test_what_answers_to_the_pointer_is_in_the_page_alone(some: Plot) -> None:
    """A picture has no layer that only the pointer shows; the page's description of it has one."""
    names = [layer.get("name") for layer in plot._still(some.spec)["layer"]]
    assert names == [None, None]
    assert [layer.get("name") for layer in some.spec["layer"]] == [None, None, "hover"]


def test_what_is_drawn_alike_is_taken_over(
    some: Plot, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plot that the old report has is copied, its library too; one that changed is drawn anew."""
    counted = []
    monkeypatch.setattr(plot, "_write_bundle", lambda new, was: new.write_bytes(was.read_bytes()))
    monkeypatch.setattr(plot, "svg", lambda one: counted.append(one.name) or f"<svg>{len(counted)}</svg>")
    monkeypatch.setattr(plot, "pdf", lambda drawn: drawn.encode())
    plot.write([some], tmp_path / "first", old)
    plot.write([some], tmp_path / "second", tmp_path / "first")
    assert counted == ["some"]
    for name in (*FILES, "assets/vega.js"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    plot.write([replace(some, spec={**some.spec, "height": 10})], tmp_path / "third", tmp_path / "second")
    assert counted == ["some", "some"]


def test_a_script_ends_where_its_data_does(some: Plot, old: Path, tmp_path: Path) -> None:
    """The page's description calls one function with JSON, in which no name can end a script; CSV has the numbers."""
    plot.write([some], tmp_path / "new", old)
    first, call = (tmp_path / "new/charts/some.js").read_text().splitlines()
    assert first.startswith("// vl-convert")
    assert "<" not in call
    name, _, spec = call.removeprefix("trackmeet.plot(").removesuffix(");").partition(", ")
    assert (json.loads(name), json.loads(spec)) == ("some", some.spec)
    with (tmp_path / "new/figures/some.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tracker"], float(row["x"]), float(row["y"])) for row in rows[:2]] == [
        ("A</script>", 0, 0.4),
        ("A</script>", 1, 0.4),
    ]
    assert some.spec["width"] in COLUMNS
