import numpy as np
import pytest

from trackers.families import find
from trackers.tracker import IdentityTracker, LaneError, SingleTracker, Tracker

IMAGE = np.zeros((10, 10, 3), np.uint8)


class Creeping:
    """One pixel to the right a frame."""

    def __init__(self, step: float = 1.0) -> None:
        self.step = step

    def initialize(self, image, region):
        self.box = np.array(region)

    def update(self, image):
        self.box = self.box + [self.step, 0, 0, 0]
        return self.box


class Failing(Creeping):
    def update(self, image):
        raise RuntimeError("lost")


class Answering(Creeping):
    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def update(self, image):
        return self.answer


class Seeded(Creeping):
    """Remembers what it was seeded with, and whether that was before its start."""

    stochastic = True
    region = "mask"

    def __init__(self):
        self.log = []

    def seed(self, number):
        self.log.append(number)

    def initialize(self, image, region):
        self.log.append("initialize")
        super().initialize(image, region)


class Annotated:
    """Settings of every kind of parameter."""

    def __init__(self, size: int, rate: "float" = 0.5, *, name: str) -> None:
        self.settings = size, rate, name

    def initialize(self, image, region): ...

    def update(self, image):
        return np.zeros(4)


class NoUpdate:
    def initialize(self, image, region): ...


def test_single_tracker_keeps_lanes_apart():
    """Each lane has its own instance, which a restart replaces."""
    tracker = SingleTracker(Creeping)
    tracker.initialize([3, 7], [IMAGE] * 2, np.array([[0, 0, 2, 2], [5, 5, 2, 2]], float))
    tracker.update([3], [IMAGE])
    assert tracker.update([7, 3], [IMAGE] * 2).tolist() == [[6, 5, 2, 2], [2, 0, 2, 2]]
    tracker.initialize([3], [IMAGE], np.array([[0, 0, 1, 1.0]]))
    assert tracker.update([3], [IMAGE]).tolist() == [[1, 0, 1, 1]]


def test_single_tracker_names_the_failing_lane():
    """What a user's tracker raises is chained to an error that names its lane."""
    tracker = SingleTracker(Failing)
    tracker.initialize([4], [IMAGE], np.ones((1, 4)))
    with pytest.raises(LaneError, match="lane 4: RuntimeError: lost") as caught:
        tracker.update([4], [IMAGE])
    assert caught.value.lane == 4
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    "answer", [None, 3.0, [1, 2, 3], (True, [1, 2, 3, 4]), np.ones((10, 9), bool), np.ones((10, 10)), "box", [1] * 6]
)
def test_single_tracker_refuses_what_is_no_region(answer):
    """An answer that is no box, polygon or mask is an error, never a box of copies or of NaN."""
    tracker = SingleTracker(lambda: Answering(answer))
    tracker.initialize([0], [IMAGE], np.ones((1, 4)))
    with pytest.raises(LaneError, match="lane 0: ValueError"):
        tracker.update([0], [IMAGE])


@pytest.mark.parametrize("answer", [[1, 2, 3, 4, 5, 6, 7, 8], np.eye(10, dtype=bool)], ids=["polygon", "mask"])
def test_single_tracker_takes_all_kinds_of_regions(answer):
    """Polygons and masks come in a list, a copy each; boxes as one array."""
    tracker = SingleTracker(lambda: Answering(answer))
    tracker.initialize([0, 1], [IMAGE] * 2, np.ones((2, 4)))
    found = tracker.update([1, 0], [IMAGE] * 2)
    assert isinstance(found, list)
    assert all((region == answer).all() and region is not answer for region in found)


def test_single_tracker_seeds_each_start_of_a_run_otherwise():
    """An instance is seeded before it is started; a restart goes on in the run's own row of numbers."""
    made = []

    def create():
        made.append(Seeded())
        return made[-1]

    tracker = SingleTracker(create, stochastic=True)
    for lanes, seeds in ([3, 4], [7, 8]), ([5], [7]):
        tracker.reseed(lanes, seeds)
        tracker.initialize(lanes, [IMAGE] * len(lanes), np.ones((len(lanes), 4)))
        tracker.initialize(lanes[:1], [IMAGE], np.ones((1, 4)))
    (lane_3, lane_4, lane_3_again, lane_5, lane_5_again) = (one.log for one in made)
    assert all(len(log) == 2 and log[1] == "initialize" for log in (lane_3, lane_4, lane_3_again))
    assert (lane_3, lane_3_again) == (lane_5, lane_5_again)
    assert len({lane_3[0], lane_4[0], lane_3_again[0]}) == 3


def test_a_tracker_is_not_stochastic_and_starts_on_boxes_unless_it_says_so(monkeypatch):
    """What a class of two methods says of itself holds for its lanes."""
    for name, says in {"Creeping": (False, "box"), "Seeded": (True, "mask")}.items():
        family = in_this_module(monkeypatch, name)
        tracker = family.tracker(family.Config(), {}, "cpu")
        assert (tracker.stochastic, tracker.region) == says
        assert family.stochastic == says[0]
    assert (IdentityTracker.stochastic, IdentityTracker.region) == (False, "box")
    IdentityTracker().reseed([0], [1])  # which means nothing to it


def test_identity_tracker_answers_with_what_it_was_given():
    """The box of a lane never changes until the lane is restarted, whatever becomes of the array."""
    tracker = IdentityTracker()
    given = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], float)
    tracker.initialize([0, 1], [IMAGE] * 2, given.copy())
    assert (tracker.update([1, 0], [IMAGE] * 2) == given[::-1]).all()
    tracker.initialize([1], [IMAGE], np.array([[0, 0, 1, 1]]))
    assert tracker.update([1], [IMAGE]).tolist() == [[0, 0, 1, 1]]


def test_find_takes_a_module_of_this_package():
    """A word without dots is a module of trackers/families."""
    family = find("kcf")
    assert family.module == "trackers.families.kcf"
    assert family.steps(family.Config()) == []
    assert isinstance(family.tracker(family.Config(), {}, "cpu"), Tracker)


def test_find_takes_a_whole_tracker_by_its_class():
    """`module:Class` enters a Tracker as it is."""
    family = find("trackers.tracker:IdentityTracker")
    assert isinstance(family.tracker(family.Config(), {}, "cpu"), IdentityTracker)
    assert family.steps(family.Config()) == []


def in_this_module(monkeypatch, name):
    import sys

    monkeypatch.setitem(sys.modules, "users_own", sys.modules[__name__])
    return find(f"users_own:{name}")


def test_find_takes_two_methods_and_the_settings_of_the_constructor(monkeypatch):
    """`module:Class` adapts two methods; the constructor's arguments are the settings, with types and defaults."""
    family = in_this_module(monkeypatch, "Creeping")
    assert family.Config() == family.Config(step=1.0)
    tracker = family.tracker(family.Config(step=2.0), {}, "cpu")
    tracker.initialize([0], [IMAGE], np.zeros((1, 4)))
    assert tracker.update([0], [IMAGE]).tolist() == [[2, 0, 0, 0]]


def test_settings_may_be_required_and_by_keyword(monkeypatch):
    """An argument without a default is a required setting, wherever it stands in the signature."""
    from typing import get_type_hints

    family = in_this_module(monkeypatch, "Annotated")
    assert get_type_hints(family.Config) == {"size": int, "rate": float, "name": str}
    with pytest.raises(TypeError, match="size"):
        family.Config(name="a")
    family.tracker(family.Config(size=1, name="a"), {}, "cpu").initialize([0], [IMAGE], np.ones((1, 4)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch", "family 'nosuch': no module trackers.families.nosuch; expected"),
        ("no.such", "family 'no.such': no module no.such"),
        ("nosuch:Class", "no module nosuch"),
        ("trackers.boxes", "module trackers.boxes has no Config, steps, tracker"),
        ("trackers.tracker:Nosuch", "has no class 'Nosuch'"),
        ("trackers.boxes:iou", "has no class 'iou'"),
    ],
)
def test_find_says_what_is_missing(name, message):
    """A family that is not there is a ValueError that says what was looked for."""
    with pytest.raises(ValueError, match=message):
        find(name)


def test_find_says_which_method_is_missing(monkeypatch):
    """A class that lacks one of the two methods is refused by that method's name."""
    with pytest.raises(ValueError, match="the class has no method update"):
        in_this_module(monkeypatch, "NoUpdate")


def test_find_leaves_a_broken_import_alone(tmp_path, monkeypatch):
    """A family whose own import fails raises that error, not "no such family"."""
    (tmp_path / "halfway.py").write_text("import a_module_that_is_nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_nowhere"):
        find("halfway:Tracker")
