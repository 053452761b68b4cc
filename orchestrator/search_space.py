"""What a search says beside its tracker in params.yaml: which settings it tries, and how it judges them."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trackers.evaluation.measures import MEASURES

if TYPE_CHECKING:
    from random import Random

SHAPES = ("uniform", "loguniform", "int", "choice", "grid")
REDUCTION = 3  # of the candidates of one rung, ASHA lets one in so many go on to the next, of so many times its budget


@dataclass(frozen=True)
class Search:
    """The space and the judgement of a search.

    space: by setting ("training.learning_rate" for one within another), one of {loguniform: [from, to]},
    {uniform: [from, to]}, {int: [from, to]}, ends included, {choice: [...]} and {grid: [...]}; a grid is a choice
    where the search is no grid search.
    measure: by its mean over sequences candidates are compared. validation: the data set that they are judged on;
    None: the first recorded one that the tracker's experiment trains on. folds: its sequences are drawn into so many;
    the last half of them is held out, each other one validates what was trained without it and without those.
    budget: the setting that says how long is trained, which ASHA and PBT divide into rungs. seed: of what is drawn.
    """

    space: Mapping[str, Mapping[str, tuple[Any, ...]]]
    measure: str = "average_overlap"
    validation: str | None = None
    folds: int = 4
    budget: str | None = None
    rungs: int = 3
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.space:
            raise ValueError("space: expected at least one setting, got none")
        if self.folds < 2:
            raise ValueError(f"folds: expected at least 2, one to validate and one to hold out, got {self.folds}")
        if self.rungs < 2:
            raise ValueError(f"rungs: expected at least 2, got {self.rungs}")
        if self.measure not in MEASURES:
            raise ValueError(f"measure: expected one of {', '.join(MEASURES)}, got {self.measure!r}")
        if self.budget is not None and self.budget in self.space:
            raise ValueError(f"budget: expected a setting that is not searched, got {self.budget}")

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """The space, read."""
        return {name: Dimension.read(said) for name, said in self.space.items()}

    @property
    def held_out(self) -> tuple[int, ...]:
        """Numbers of the folds that nobody looks at before the end."""
        return tuple(range(self.folds - self.folds // 2, self.folds))

    @property
    def validating(self) -> tuple[int, ...]:
        """Numbers of the other folds."""
        return tuple(range(self.folds - self.folds // 2))

    @property
    def sign(self) -> int:
        """1 where more of the measure is better, -1 where less is."""
        return 1 if MEASURES[self.measure].better == "higher" else -1

    def levels(self, scheduler: str, whole: int) -> list[int]:
        """The budgets of the rungs, rising to the whole: a third each for ASHA, in equal steps for PBT."""
        if scheduler == "asha":
            found = [whole // REDUCTION**i for i in range(self.rungs)]
        elif scheduler == "pbt":
            found = [whole * i // self.rungs for i in range(1, self.rungs + 1)]
        else:
            found = [whole]
        return sorted({level for level in found if level > 0} | {whole})


@dataclass(frozen=True)
class Dimension:
    """The values that one setting may take. values: [from, to], ends included, or all of them."""

    shape: str
    values: tuple[Any, ...]

    @classmethod
    def read(cls, said: Mapping[str, tuple[Any, ...]]) -> Dimension:
        """From {shape: values}. ValueError where that means nothing."""
        if len(said) != 1 or not said.keys() <= set(SHAPES):
            raise ValueError(f"expected one of {', '.join(SHAPES)}, got {', '.join(said) or 'none'}")
        [(shape, values)] = said.items()
        if shape in ("choice", "grid"):
            if not values:
                raise ValueError(f"{shape}: expected at least one value, got none")
            return cls(shape, values)
        numbers = [_number(value) for value in values]
        if len(numbers) != 2 or None in numbers or not numbers[0] < numbers[1]:  # type: ignore[operator]  # no None
            raise ValueError(f"{shape}: expected two numbers, from and to, got {list(values)}")
        low, high = numbers
        assert low is not None and high is not None
        if shape == "loguniform" and low <= 0:
            raise ValueError(f"loguniform: expected numbers above 0, got {low:g}")
        if shape == "int":
            if not (low.is_integer() and high.is_integer()):
                raise ValueError(f"int: expected whole numbers, got {list(values)}")
            return cls(shape, (int(low), int(high)))
        return cls(shape, (low, high))

    @property
    def finite(self) -> bool:
        """Whether its values are counted."""
        return self.shape in ("choice", "grid")

    def draw(self, random: Random) -> Any:
        """One value."""
        if self.finite:
            return random.choice(self.values)
        low, high = self.values
        if self.shape == "int":
            return random.randint(low, high)
        if self.shape == "loguniform":
            return math.exp(random.uniform(math.log(low), math.log(high)))
        return random.uniform(low, high)

    def clip(self, value: Any) -> Any:
        """The nearest value that is allowed; of those that are counted, itself."""
        return value if self.finite else min(max(value, self.values[0]), self.values[1])


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value)  # YAML 1.1 takes 1e-4, which has no dot, for a word
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with these dotted ones in place of theirs. KeyError for one that there is not."""
    found = copy.deepcopy(dict(settings))
    for name, value in changes.items():
        *path, last = name.split(".")
        inner: Any = found
        for part in path:
            inner = inner[part]
        if not isinstance(inner, dict) or last not in inner:
            raise KeyError(name)
        inner[last] = value
    return found


def value_of(settings: Mapping[str, Any], name: str) -> Any:
    """A dotted setting. KeyError for one that there is not."""
    inner: Any = settings
    for part in name.split("."):
        if not isinstance(inner, Mapping) or part not in inner:
            raise KeyError(name)
        inner = inner[part]
    return inner


def problems(
    search: Search, config: Any, refusal: Callable[[dict[str, Any]], str | None]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with a search of a tracker of this config: (where in the search, what).

    refusal: why the tracker's family refuses settings; None where it takes them.
    """
    settings = dataclasses.asdict(config)
    for name, said in search.space.items():
        where = ("space", name)
        try:
            dimension = Dimension.read(said)
        except ValueError as error:
            yield where, str(error)
            continue
        for value in dimension.values:
            try:
                refused = refusal(changed(settings, {name: value}))
            except (KeyError, TypeError):
                yield where, f"no such setting; expected one of {', '.join(_names(settings))}"
                break
            if refused is not None:
                yield where, f"{value!r} is refused: {refused}"
    if search.budget is not None:
        try:
            whole = value_of(settings, search.budget)
        except KeyError:
            yield ("budget",), f"no setting {search.budget!r}; expected one of {', '.join(_names(settings))}"
            return
        if not isinstance(whole, int) or isinstance(whole, bool):
            yield ("budget",), f"expected a setting that counts, got {search.budget}: {whole!r}"


def _names(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
