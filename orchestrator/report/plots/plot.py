"""One plot of the page, as a description of it in Vega-Lite, and the files that it becomes.

charts/<name>.js          what the page draws when it comes into view: trackmeet.plot("<name>", {...})
figures/<name>.svg, .pdf  the same for a paper
figures/<name>.csv        the numbers that it shows
assets/vega.js            what draws it in the page
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile
from typing import Any

from orchestrator.report.plots.style import COLUMNS, CONFIG

HOVER = "hover"  # the name of a layer that only the page has: what answers to the pointer
_RESOURCES = re.compile(rb"(?<=<<\n)(?: +/\w+ \d+ 0 R\n)+(?= *>>)")  # of a PDF's page: its fonts, or its opacities


@dataclass
class Plot:
    """name: of slug characters, unique in the report (see `table.tell_apart`). description: a sentence, for those who
    do not see it.

    spec: a Vega-Lite view of one panel, with width and height in pixels and its data inside. wide: as wide as the page.
    place: of what it is, where a heading of the page says so already.
    """

    name: str
    title: str
    description: str
    spec: Mapping[str, Any]
    wide: bool = False
    place: str = ""

    @property
    def full(self) -> str:
        """Its title, as it is understood alone."""
        return f"{self.place}: {self.title}" if self.place else self.title

    @property
    def height(self) -> int:
        """In pixels, in the page as on paper."""
        return int(self.spec["height"])


def write(plots: Iterable[Plot], folder: Path, old: Path) -> None:
    """Write the plots' files below `folder`; what the report `old` has drawn alike is taken over."""
    for name in ("charts", "figures", "assets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write_bundle(folder / "assets/vega.js", old / "assets/vega.js")
    for plot in plots:
        chart = Path("charts", f"{plot.name}.js")
        content = _script(plot)
        (folder / chart).write_text(content, encoding="utf-8")
        (folder / "figures" / f"{plot.name}.csv").write_text(_csv(plot), encoding="utf-8")
        pictures = [Path("figures", f"{plot.name}.{kind}") for kind in ("svg", "pdf")]
        if _reads(old / chart, content) and all((old / picture).exists() for picture in pictures):
            for picture in pictures:
                copyfile(old / picture, folder / picture)
        else:
            drawn = svg(plot)
            (folder / pictures[0]).write_text(drawn, encoding="utf-8")
            (folder / pictures[1]).write_bytes(pdf(drawn))


def svg(plot: Plot) -> str:
    """The plot as a picture."""
    import vl_convert

    config = CONFIG | {"legend": CONFIG["legend"] | {"columns": COLUMNS[plot.spec["width"]]}}
    return str(vl_convert.vegalite_to_svg(_still(plot.spec), config=config))


def pdf(drawn: str) -> bytes:
    """A picture in SVG as PDF, the same bytes for the same picture.

    The library writes the resources of a page in an order that changes from call to call; here they are in order.
    """
    import vl_convert

    content = bytes(vl_convert.svg_to_pdf(drawn))
    return _RESOURCES.sub(lambda found: b"".join(sorted(found[0].splitlines(keepends=True))), content)


def _still(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Without what answers to the pointer."""
    return {**spec, "layer": [layer for layer in spec["layer"] if layer.get("name") != HOVER]}


def _script(plot: Plot) -> str:
    spec = json.dumps(plot.spec, separators=(",", ":")).replace("<", "\\u003c")
    return f"// {_made_by()}\ntrackmeet.plot({json.dumps(plot.name)}, {spec});\n"


def _made_by() -> str:
    """What, besides the plot, its pictures depend on."""
    style = hashlib.sha256(json.dumps(CONFIG).encode()).hexdigest()[:8]
    return f"vl-convert {version('vl-convert-python')}, style {style}"


def _csv(plot: Plot) -> str:
    """The plot's data, with a column for each of its fields."""
    rows = plot.spec["data"]["values"]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(field for row in rows for field in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _write_bundle(path: Path, old: Path) -> None:
    """Making it takes seconds: an old one is taken over where the same version made it."""
    import vl_convert

    first = f"// vl-convert {version('vl-convert-python')}\n"
    if _begins(old, first):
        copyfile(old, path)
    else:
        path.write_text(first + vl_convert.javascript_bundle(), encoding="utf-8")  # type: ignore[call-arg]


def _begins(path: Path, text: str) -> bool:
    if not path.exists():
        return False
    with path.open(encoding="utf-8") as file:
        return file.read(len(text)) == text


def _reads(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
