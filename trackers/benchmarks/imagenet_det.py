"""ImageNet's detection set: still images with the boxes of objects, in Pascal VOC's xml files.

    Annotations/DET/train/n01440764/n01440764_18.xml
    Data/DET/train/n01440764/n01440764_18.JPEG

An image lies beside its xml file, or below a folder images, Data, JPEGImages or the like in the place of the
xml's annotations or Annotations; what the xml itself says of folder and file does not count. Each object is a
sequence of one frame, `<image>`, or `<image>.<k>`, k = 1, 2, ..., where the xml has several; its label is the
class. Only names and sizes are read here; an image that is of another size than its xml says is found where
headers are checked.

A box goes from (xmin, ymin) to (xmax, ymax), taken as points, as Held et al.'s code takes them. Objects without
area are left out, as there.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trackers.benchmarks import reading
from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.sequence import Frames, Sequence, Unseen

NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d*)?", re.ASCII)
EDGES = ("xmin", "ymin", "xmax", "ymax")
PARALLEL = ("annotations", "images", "data", "jpegimages")  # folders, in lower case, of which one is as good as another


@dataclass(frozen=True)
class Config:
    """largest: objects that fill this share of the image or more in width or height are left out (Held et al.
    2016, section 5.1: 66%); None keeps them.

    origin: coordinate of the first pixel: 0 in ImageNet, as Held et al. read it, 1 in Pascal VOC.
    sequences: the images to read, by name without extension; (): all. exclude: those to leave out.
    """

    largest: float | None = 0.66
    origin: Literal[0, 1] = 0
    sequences: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.largest is not None and not self.largest > 0:
            raise ValueError(f"largest: expected a share above 0, got {self.largest}")
        if self.origin not in (0, 1):
            raise ValueError(f"origin: expected 0 or 1, got {self.origin}")


def open(config: Config, root: Path, name: str) -> Collection:
    """The data set of that name in the folder `root`; DataError lists all that is wrong with it."""
    return open_collection(read, config, root, name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """Its sequences, by name of the xml file and place in it; what is wrong is noted in `problems`."""
    annotations = [name for name in files.names if name.lower().endswith(".xml")]
    images: dict[str, str] = {}
    for name in files.names:
        if reading.IMAGE.search(name):
            other = images.setdefault(_place(name), name)
            if other != name:
                problems.say(files.show(name), "one image for an xml file", f"also {files.show(other)}")
    stems = set(map(reading.stem, annotations))
    for wanted in config.sequences:
        if wanted not in stems:
            problems.say(files.show(""), f"{wanted}.xml", "no such file")
    sequences = []
    for annotation in annotations:
        name = reading.stem(annotation)
        if name in config.exclude or (config.sequences and name not in config.sequences):
            continue
        image = images.get(_place(annotation))
        if images and image is None:
            problems.say(files.show(annotation), "an image of that name", "none")
        sequences += _read_image(config, annotation, image, files, problems)
    return sequences


def _place(name: str) -> str:
    """The same for an image and its xml file."""
    folder, _, file = name.rpartition("/")
    parts = ["*" if part.lower() in PARALLEL else part for part in folder.split("/")]
    return "/".join([*parts, reading.stem(file)])


def _read_image(config: Config, annotation: str, image: str | None, files: Files, problems: Problems) -> list[Sequence]:
    """A sequence for each object that is kept; [] where something is wrong with the file."""
    before, file = len(problems), files.show(annotation)
    root = _parse(reading.read(files, annotation, problems), file, problems)
    if root is None:
        return []
    objects = root.findall("object")
    width, height = (_number(root, f"size/{side}", file, problems) for side in ("width", "height"))
    if len(problems) > before:
        return []
    if width < 1 or height < 1 or width % 1 or height % 1:
        problems.say(file, "width and height of the image, whole numbers above 0", f"{width:g} and {height:g}")
    frames: Frames = Unseen(1) if image is None else Images(files, (image,))
    name, sequences = reading.stem(annotation), []
    for k, found in enumerate(objects, 1):
        xmin, ymin, xmax, ymax = (_number(found, f"bndbox/{edge}", file, problems) for edge in EDGES)
        label = _text(found, "name", file, problems)
        if not label:
            problems.say(file, f"a name of object {k}", "none")
        if xmax < xmin or ymax < ymin or xmin < config.origin - 1 or ymin < config.origin - 1:
            edges = f"{xmin:g} {ymin:g} {xmax:g} {ymax:g}"
            problems.say(file, f"xmin ymin xmax ymax of object {k} in this order, none below 0", edges)
        box = np.array([[xmin - config.origin, ymin - config.origin, xmax - xmin, ymax - ymin]])
        share = max((xmax - xmin) / max(width, 1), (ymax - ymin) / max(height, 1))
        if box[0, 2:].min() <= 0 or (config.largest is not None and share >= config.largest):
            continue
        full_name = name if len(objects) == 1 else f"{name}.{k}"
        size = (int(width), int(height))
        sequences.append(Sequence(full_name, frames, box, label=label, size=size, origin=config.origin))
    return [] if len(problems) > before else sequences


class _NoDoctype(ET.TreeBuilder):
    """Refuses what entities would be declared in, before they are: they can name other files, or grow without end."""

    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise ValueError("a document type")


def _parse(content: bytes | None, file: str, problems: Problems) -> ET.Element | None:
    """The root of an xml file, an <annotation>."""
    if content is None:
        return None
    parser = ET.XMLParser(target=_NoDoctype())
    try:
        parser.feed(content)
        root = parser.close()
    except ET.ParseError as error:
        problems.say(file, "a well-formed xml file", str(error).partition(":")[0], error.position[0])
        return None
    except (ValueError, LookupError) as error:  # a document type, or an encoding that Python has not
        problems.say(file, "a plain xml file", str(error))
        return None
    if root.tag != "annotation":
        problems.say(file, "<annotation> at the root", f"<{root.tag}>")
        return None
    return root


def _number(element: ET.Element, path: str, file: str, problems: Problems) -> float:
    """The number at `path` below an element; NaN and a problem where there is none."""
    text = _text(element, path, file, problems)
    if NUMBER.fullmatch(text):
        return float(text)
    problems.say(file, f"a number in <{path.replace('/', '><')}>", repr(text[:40]) if text else "none")
    return float("nan")


def _text(element: ET.Element, path: str, file: str, problems: Problems) -> str:
    """The text at `path` below an element; "" where there is none, and a problem where there are several."""
    found = [(each.text or "").strip() for each in element.findall(path)]
    if len(found) > 1:
        problems.say(file, f"one <{path.replace('/', '><')}>", f"{len(found)} of them")
    return found[0] if found else ""
