import numpy as np
import pytest

from orchestrator.groups import grouped
from trackers.benchmarks.collection import Collection
from trackers.sequence import Sequence, Unseen


def collection():
    fast = {"tags": {"occlusion": np.zeros(3, bool)}, "attributes": ("FM",)}
    sequences = [Sequence(name, Unseen(3), np.ones((3, 4)), **fast) for name in ("car", "bolt", "ball")]
    return Collection("VOT", tuple(sequences))


def test_a_group_is_an_attribute_of_its_sequences():
    """Each sequence has the attributes that it had, and the names of the groups that it is in."""
    found = grouped(collection(), {"quick": ["bolt", "car"], "round": ["ball"]})
    assert {s.name: s.attributes for s in found} == {
        "car": ("FM", "quick"),
        "bolt": ("FM", "quick"),
        "ball": ("FM", "round"),
    }


@pytest.mark.parametrize("name", ["all", "FM", "occlusion"])
def test_a_group_needs_a_name_of_its_own(name):
    """A group called as all sequences, an attribute or a tag of frames would take the place of its scores."""
    with pytest.raises(ValueError, match=f"groups.{name}: expected a name of its own"):
        grouped(collection(), {name: ["car"]})


def test_a_group_of_strangers_is_refused():
    """A sequence that the data set does not have is named, with the group."""
    with pytest.raises(ValueError, match="groups.quick: expected names of sequences of VOT, got nobody"):
        grouped(collection(), {"quick": ["car", "nobody"]})
