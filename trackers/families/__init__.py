"""Families: all variants of one paper, one module each.

A family is a module with these names:

    Config                             a frozen dataclass: the settings of one variant
    steps(config) -> [Step]            its training, as a small graph; [] where nothing is trained
    tracker(config, weights, device)   the tracker itself, from the last step's weights ({} if none)
    stochastic = True                  only where its trackers draw random numbers
    extractor(config) -> name          only where its trackers see through an extractor of the parameters, see
                                       `trackers.extractors`: its steps find caches of what that saw in
                                       `Inputs.features`, and `tracker` takes an `Extractor` as a fourth argument
    caveat(config) -> str or None      only where some are shown what no tracker may know: what every table that
                                       has one of them must say
    measures(config) -> names          only where some are judged by measures of their own, besides the experiment's

`find` takes the word that stands after `family:` in params.yaml: `rectracker` is the module
`trackers.families.rectracker`; `some.module` is a family outside this package; `module:Class` is a
user's own tracker, of two methods (see `trackers.tracker.TwoMethods`) or a `Tracker`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any

from trackers.tracker import SingleTracker, Tracker
from trackers.training import Step, Weights

OPTIONAL = ("stochastic", "extractor", "caveat", "measures")


@dataclass(frozen=True)
class Family:
    """What `find` found. module: dotted name of the module that holds it.

    stochastic: whether its trackers draw random numbers, so that seeds make different runs of them.
    extractor, caveat, measures: of a config; see the module.
    """

    module: str
    Config: type
    steps: Callable[[Any], list[Step]]
    tracker: Callable[..., Tracker]
    stochastic: bool = False
    extractor: Callable[[Any], str | None] = lambda config: None
    caveat: Callable[[Any], str | None] = lambda config: None
    measures: Callable[[Any], tuple[str, ...]] = lambda config: ()


def find(name: str) -> Family:
    """The family of that name; ValueError, with what was expected, if there is none."""
    module_name, _, class_name = name.partition(":")
    path = module_name if class_name or "." in module_name else f"trackers.families.{module_name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not (path == error.name or path.startswith(error.name + ".")):
            raise
        raise ValueError(
            f"family {name!r}: no module {path}; expected the name of a module in trackers/families, "
            "a dotted module, or module:Class"
        ) from error
    if class_name:
        return _of_class(path, getattr(module, class_name, None), name)
    missing = [part for part in ("Config", "steps", "tracker") if not hasattr(module, part)]
    if missing:
        raise ValueError(f"family {name!r}: module {path} has no {', '.join(missing)}")
    own = {part: getattr(module, part) for part in OPTIONAL if hasattr(module, part)}
    return Family(path, module.Config, module.steps, module.tracker, **own)


def _of_class(module: str, tracker_class: Any, name: str) -> Family:
    """A family of one untrained tracker: its settings are the arguments of its constructor."""
    if not inspect.isclass(tracker_class):
        raise ValueError(f"family {name!r}: module {module} has no class {name.partition(':')[2]!r}")
    missing = [m for m in ("initialize", "update") if not callable(getattr(tracker_class, m, None))]
    if missing:
        raise ValueError(f"family {name!r}: the class has no method {' and no '.join(missing)}")
    fields: list[Any] = []
    for parameter in inspect.signature(tracker_class).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = () if parameter.default is parameter.empty else (field(default=parameter.default),)
        fields.append((parameter.name, kind, *default))
    config_class = make_dataclass("Config", fields, frozen=True, kw_only=True)
    config_class.__module__ = module  # where the names in its annotations mean something

    stochastic = getattr(tracker_class, "stochastic", False)

    def tracker(config: Any, weights: Weights, device: str) -> Tracker:
        create: Callable[[], Any] = partial(tracker_class, **vars(config))
        if issubclass(tracker_class, Tracker):
            return create()
        return SingleTracker(create, stochastic, getattr(tracker_class, "region", "box"))

    return Family(module, config_class, lambda config: [], tracker, stochastic)
