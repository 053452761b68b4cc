"""Extractors: frozen networks that look at a frame once, for every tracker that builds on what they see there.

An extractor is a module with these names:

    Config                                 a frozen dataclass: its settings
    steps(config) -> [Step]                how its weights come about: trained, or read from a file
    extractor(config, weights, device)     an `Extractor`, from the last step's weights

`find` takes the word that stands after `network:` in params.yaml. What it saw of a whole data set is kept in a
cache, see `trackers.features`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trackers.features import Features, Seen
from trackers.sequence import Image
from trackers.training import Step, Weights


class Extractor(Protocol):
    """Looks at images of any size, uint8 RGB, in one batch."""

    def __call__(self, images: Sequence[Image]) -> list[Seen]: ...


@dataclass(frozen=True)
class Network:
    """What `find` found. module: dotted name of the module that holds it."""

    module: str
    Config: type
    steps: Callable[[Any], list[Step]]
    extractor: Callable[[Any, Weights, str], Extractor]


def find(name: str) -> Network:
    """The network of that name; ValueError, with what was expected, if there is none."""
    path = name if "." in name else f"trackers.extractors.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not (path == error.name or path.startswith(error.name + ".")):
            raise
        raise ValueError(
            f"network {name!r}: no module {path}; expected the name of a module in trackers/extractors, "
            "or a dotted module"
        ) from error
    missing = [part for part in ("Config", "steps", "extractor") if not hasattr(module, part)]
    if missing:
        raise ValueError(f"network {name!r}: module {path} has no {', '.join(missing)}")
    return Network(path, module.Config, module.steps, module.extractor)


class Remembering:
    """An extractor that looks up what a cache holds of an image, and runs the network on all others, in one batch.

    A network's answers may differ in the last bits by which images share a batch: of YOLO's 16,000 float16 features,
    48 were others in batches of 16, as caches are made, than one at a time. So what a tracker sees in a cached frame
    and what it would see live agree to rounding, not bit for bit; a detection right at a threshold may come or go.

    make: makes the extractor, when it is first needed. cache: None to run the network on everything.
    """

    def __init__(self, make: Callable[[], Extractor], cache: Features | None = None) -> None:
        self.make = make
        self.cache = cache
        self.extractor: Extractor | None = None

    def __call__(self, images: Sequence[Image]) -> list[Seen]:
        seen = [None if self.cache is None else self.cache.find(image) for image in images]
        unknown = [i for i, known in enumerate(seen) if known is None]
        if unknown:
            if self.extractor is None:
                self.extractor = self.make()
            for i, new in zip(unknown, self.extractor([images[i] for i in unknown]), strict=True):
                seen[i] = new
        return [one for one in seen if one is not None]
