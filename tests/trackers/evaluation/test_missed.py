import numpy as np
import pytest

from trackers import features
from trackers.evaluation.missed import tagged
from trackers.features import Features, FeaturesError, Seen
from trackers.sequence import GreyFrames, Sequence

FRAMES = GreyFrames(np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 20, 20), np.uint8))
TARGET = [4.0, 4.0, 8.0, 8.0]
DETECTED = [
    [TARGET],
    [[4, 4, 8, 4]],  # the upper half: overlaps by exactly half
    [[4, 4, 8, 3.9], [0, 0, 3, 3]],  # less than half
    [],
    [[15, 15, 4, 4], TARGET],  # the target is not the best
    [],  # and nobody says where it is
]


@pytest.fixture
def cache(tmp_path):
    def seen(boxes):
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        scores, classes = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32), np.zeros(len(boxes), np.int16)
        return Seen(np.ones(2, np.float16), boxes, scores, classes)

    frames = [(FRAMES[t], seen(boxes)) for t, boxes in enumerate(DETECTED)]
    features.write(tmp_path / "cache", {}, [features.part("one", frames)])
    return Features(tmp_path / "cache")


def sequence(**known):
    return Sequence("one", FRAMES, np.array([TARGET] * 5 + [[np.nan] * 4]), **known)


def test_frames_without_a_detection_of_the_target(cache):
    """Undetected is where no detection, the best or not, overlaps by half, and somebody says where the target is."""
    tags = tagged(sequence(), cache).tags
    assert tags["undetected"].tolist() == [False, False, True, True, False, False]
    assert not tags["occluded_undetected"].any()


def test_occluded_frames_are_those_tagged(cache):
    """Of undetected frames those tagged as occluded count, whatever the attributes of the sequence; tags are kept."""
    occlusion = np.array([True, False, False, True, True, True])
    found = tagged(sequence(tags={"occlusion": occlusion}, attributes=("OCC",)), cache)
    assert found.tags["occluded_undetected"].tolist() == [False, False, False, True, False, False]
    assert found.tags["occlusion"] is occlusion
    assert found.frames is FRAMES


@pytest.mark.parametrize(("attribute", "occluded"), [("OCC", True), ("FOC", True), ("POC", True), ("OV", False)])
def test_a_sequence_with_occlusion_is_occluded_everywhere(attribute, occluded, cache):
    """Where frames have no tags, all undetected ones of a sequence with an attribute of occlusion count."""
    tags = tagged(sequence(attributes=("IV", attribute)), cache).tags
    assert tags["undetected"].sum() == 2
    assert tags["occluded_undetected"].tolist() == (tags["undetected"] & occluded).tolist()


def test_a_cache_of_other_sequences_is_refused(cache):
    """A sequence that is not there, or has another number of frames, is an error that names it and the cache."""
    short = Sequence("one", GreyFrames(FRAMES.grey[:5]), np.array([TARGET] * 5))
    with pytest.raises(FeaturesError, match="cache: expected 5 frames of sequence one, got 6, of other data"):
        tagged(short, cache)
    other = Sequence("two", FRAMES, np.array([TARGET] * 6))
    with pytest.raises(FeaturesError, match="cache: expected sequence 'two' among 1 here"):
        tagged(other, cache)
