import numpy as np
import pytest

from trackers.extractors.yolo.decoding import decode, suppress


def cells(S=2, B=2, C=3):
    return np.zeros((S, S, C), np.float32), np.zeros((S, S, B), np.float32), np.zeros((S, S, B, 4), np.float32)


def test_a_box_by_hand():
    """The cell's offset, the squares of the roots and the image's sides make pixels; scores are products.

    A box has its best class; within classes, all of those that are likely enough.
    """
    classes, confidences, boxes = cells()
    boxes[1, 0, 1] = [0.5, 0.25, 0.5, 0.6]  # centre 0.25, 0.625 of the image, sides 0.25, 0.36
    confidences[1, 0, 1] = 0.8
    classes[1, 0] = [0.05, 0.5, 0.2]
    for across, expected in ((True, {1: 0.4}), (False, {1: 0.4, 2: 0.16})):
        found, scores, numbers = decode(classes, confidences, boxes, (200, 100), 0.08, 0.5, across)
        assert dict(zip(numbers.tolist(), scores, strict=True)) == pytest.approx(expected)
        np.testing.assert_allclose(found, [[50 - 25, 62.5 - 18, 50, 36]] * len(expected), rtol=1e-5)
    assert (found.dtype, scores.dtype, numbers.dtype) == (np.float32, np.float32, np.int16)


def test_the_best_comes_first_and_none_is_below_the_threshold():
    """Detections are those whose score is at least the threshold, by falling score."""
    classes, confidences, boxes = cells()
    classes[..., 0] = 1
    boxes[..., :] = [0.5, 0.5, 0.1, 0.1]
    confidences[..., 0] = [[0.1, 0.9], [0.25, 0.5]]
    _, scores, _ = decode(classes, confidences, boxes, (100, 100), 0.25, 0.5, across_classes=True)
    assert scores == pytest.approx([0.9, 0.5, 0.25])


def test_scores_of_0_are_no_detections():
    """Whatever the threshold, something must speak for a detection."""
    classes, confidences, boxes = cells()
    boxes[..., :] = [0.5, 0.5, 0.1, 0.1]
    confidences[0], classes[:, 0] = 1, [0, 0, 0.5]
    _, scores, numbers = decode(classes, confidences, boxes, (100, 100), 0.0, 1.0, across_classes=False)
    assert (scores.tolist(), numbers.tolist()) == ([0.5, 0.5], [2, 2])


def test_a_box_without_a_size_is_no_detection():
    """A root of 0, or whose square is 0, is not the side of a box."""
    classes, confidences, boxes = cells()
    classes[..., 0], confidences[..., 0] = 1, 1
    boxes[..., 0, :] = [[[0.5, 0.5, 0, 0.5], [0.5, 0.5, 0.5, 0]], [[0.5, 0.5, 1e-30, 0.5], [0.5, 0.5, -0.5, 0.5]]]
    found, _, _ = decode(classes, confidences, boxes, (100, 100), 0.08, 0.5, across_classes=True)
    np.testing.assert_allclose(found, [[75 - 12.5, 75 - 12.5, 25, 25]])


def test_scores_are_at_most_1():
    """The last layer is linear: what it says beyond 1 is said to be 1, in the order that it has."""
    classes, confidences, boxes = cells()
    boxes[..., :] = [0.5, 0.5, 0.1, 0.1]
    classes[..., 0] = 1
    confidences[0, :, 0] = [1.2, 1.4]
    found, scores, _ = decode(classes, confidences, boxes, (100, 100), 0.08, 0.5, across_classes=True)
    assert scores.tolist() == [1, 1]
    assert found[0, 0] > found[1, 0]


def test_strange_numbers_are_no_detections():
    """Two negative factors, NaN and infinity make no detection."""
    classes, confidences, boxes = cells()
    classes[0, 0], confidences[0, 0] = -1, -1
    classes[0, 1], confidences[0, 1] = np.nan, 1
    classes[1], confidences[1] = 1, 1
    boxes[1] = np.nan
    boxes[1, 1, 0] = [np.inf, 0, 1, 1]
    found, scores, numbers = decode(classes, confidences, boxes, (100, 100), 0.08, 0.5, across_classes=True)
    assert (found.shape, scores.shape, numbers.shape) == ((0, 4), (0,), (0,))


def test_no_box_overlaps_a_better_one():
    """A box that overlaps a better one by more is dropped; a dropped one drops nothing; with classes, each is alone."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 4], [0, 5, 10, 5], [0, 0, 10, 10.0]])
    # With the first: 0.6, 0.4, 0.5; the third has 4/6 with the second.
    assert suppress(boxes, 0.5).tolist() == [0, 2, 3]
    assert suppress(boxes, 0.5, np.array([0, 0, 0, 0, 1])).tolist() == [0, 2, 3, 4]
    assert suppress(boxes, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert suppress(np.zeros((0, 4)), 0.5, np.zeros(0)).tolist() == []


def test_across_classes_a_box_of_another_class_is_suppressed():
    """Of two boxes in one place, of different classes, the better one is left, unless classes are told apart."""
    classes, confidences, boxes = cells()
    boxes[0, 0, 0], boxes[0, 1, 0] = [0.9, 0.5, 0.5, 0.5], [0, 0.5, 0.5, 0.5]  # 0.05 of the image apart: IoU 2/3
    confidences[0, :, 0] = [0.5, 0.75]
    classes[0, 0, 1] = classes[0, 1, 2] = 1
    for across, expected in ((True, [2]), (False, [2, 1])):
        _, _, numbers = decode(classes, confidences, boxes, (100, 100), 0.08, 0.5, across)
        assert numbers.tolist() == expected
