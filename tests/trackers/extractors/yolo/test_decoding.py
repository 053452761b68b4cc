import numpy as np
import pytest

from trackers.extractors.yolo.decoding import decode, suppress


def cells(S=2, B=2, C=3):
    return np.zeros((S, S, C), np.float32), np.zeros((S, S, B), np.float32), np.zeros((S, S, B, 4), np.float32)


def test_a_box_by_hand():
    """The cell's offset, the squares of the roots and the image's sides make pixels; scores are products."""
    classes, confidences, boxes = cells()
    boxes[1, 0, 1] = [0.5, 0.25, 0.5, 0.6]  # centre 0.25, 0.625 of the image, sides 0.25, 0.36
    confidences[1, 0, 1] = 0.8
    classes[1, 0] = [0.05, 0.5, 0.2]
    found, scores, numbers = decode(classes, confidences, boxes, (200, 100), threshold=0.08, overlap=0.5)
    assert numbers.tolist() == [1, 2]
    assert scores == pytest.approx([0.4, 0.16])
    np.testing.assert_allclose(found, [[50 - 25, 62.5 - 18, 50, 36]] * 2, rtol=1e-5)
    assert (found.dtype, scores.dtype, numbers.dtype) == (np.float32, np.float32, np.int16)


def test_the_best_comes_first_and_only_above_the_threshold():
    """Detections are those above the threshold, by falling score."""
    classes, confidences, boxes = cells()
    classes[..., 0] = 1
    boxes[..., :] = [0.5, 0.5, 0.1, 0.1]
    confidences[..., 0] = [[0.1, 0.9], [0.25, 0.5]]
    _, scores, _ = decode(classes, confidences, boxes, (100, 100), threshold=0.25, overlap=0.5)
    assert scores == pytest.approx([0.9, 0.5])


def test_scores_are_at_most_1():
    """The last layer is linear: what it says beyond 1 is said to be 1, in the order that it has."""
    classes, confidences, boxes = cells()
    boxes[..., :] = [0.5, 0.5, 0.1, 0.1]
    classes[..., 0] = 1
    confidences[0, :, 0] = [1.2, 1.4]
    found, scores, _ = decode(classes, confidences, boxes, (100, 100), 0.08, 0.5)
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
    found, scores, numbers = decode(classes, confidences, boxes, (100, 100), 0.08, 0.5)
    assert (found.shape, scores.shape, numbers.shape) == ((0, 4), (0,), (0,))


def test_of_a_class_no_box_overlaps_a_better_one():
    """A box that overlaps a better one by more is dropped; a dropped one drops nothing; other classes do not mind."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 4], [0, 5, 10, 5], [0, 0, 10, 10.0]])
    # With the first: 0.6, 0.4, 0.5; the third has 4/6 with the second.
    assert suppress(boxes, np.array([0, 0, 0, 0, 1]), 0.5).tolist() == [0, 2, 3, 4]
    assert suppress(boxes, np.array([0, 0, 0, 0, 0]), 1.0).tolist() == [0, 1, 2, 3, 4]
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []
