import dataclasses

import numpy as np
import pytest

from trackers.backbones.pictures import Pictures
from trackers.benchmarks.collection import Collection
from trackers.sequence import Sequence
from trackers.training import Silent


def collection(*labels):
    """Still images of one object each."""
    return Collection(
        "stills",
        tuple(
            Sequence(str(i), np.zeros((1, 20, 30, 3), np.uint8), np.array([[5.0, 5, 8, 8]]), label=label)
            for i, label in enumerate(labels)
        ),
    )


@pytest.mark.parametrize("labels", [(), ("disc",), ("disc", "disc", None)])
def test_fewer_than_two_classes_are_refused(labels):
    """There is nothing to tell apart; the message says what else can be done."""
    with pytest.raises(ValueError, match=r"at least two classes to learn a backbone from, got [01]; or name a file"):
        Pictures.of(collection(*labels), Silent())


def test_a_single_image_is_refused():
    """One is held out, and none would be left to learn from; the message says what else can be done."""
    one, other = collection("disc", "star")
    other = dataclasses.replace(other, frames=one.frames)
    message = r"data set stills: expected at least two images .* held out, got 1; or name a file"
    with pytest.raises(ValueError, match=message):
        Pictures.of(Collection("stills", (one, other)), Silent())


def test_objects_of_one_image_are_together():
    """Sequences of the same frames are objects of one picture; those without label or box are left out."""
    frames = np.zeros((1, 20, 30, 3), np.uint8)
    boxes = [[1.0, 2, 3, 4], [5.0, 6, 7, 8], [9.0, 9, 9, 9], [np.nan] * 4]
    objects = [
        Sequence(str(i), frames, np.array([box]), label=label)
        for i, (box, label) in enumerate(zip(boxes, ("star", "disc", None, "gear"), strict=True))
    ]
    pictures = Pictures.of(Collection("stills", (*objects, *collection("disc"))), Silent())
    assert pictures.classes == ("disc", "gear", "star")
    assert [some.tolist() for some in pictures.boxes] == [boxes[:2], [[5, 5, 8, 8]]]
    assert [some.tolist() for some in pictures.labels] == [[2, 0], [0]]
