import math

import numpy as np
import pytest

from trackers.extractors import Seen
from trackers.extractors.yolo.precision import average_precision, mean_average_precision

A, B = [0.0, 0, 10, 10], [50.0, 50, 10, 10]
NEAR_A, FAR = [0.0, 0, 10, 5], [30.0, 0, 10, 10]


def seen(*found):
    """Detections (box, score, class), best first."""
    boxes, scores, classes = zip(*found, strict=True) if found else ([], [], [])
    features = np.zeros(1, np.float16)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Seen(features, boxes, np.array(scores, np.float32), np.array(classes, np.int16))


def truth(*objects):
    boxes, classes = zip(*objects, strict=True) if objects else ([], [])
    return np.array(boxes, float).reshape(-1, 4), np.array(classes, int)


def test_the_area_by_hand():
    """Right, wrong, right of three objects: precision 1, 1/2, 2/3 made to fall, 1 and 2/3, at recalls of a third."""
    images = [seen((A, 0.9, 0), (FAR, 0.8, 0)), seen((B, 0.7, 0))]
    objects = [truth((A, 0)), truth((B, 0), (A, 0))]
    assert average_precision(images, objects, 0, 0.5) == pytest.approx((1 + 2 / 3) / 3)


def test_an_object_is_found_once():
    """The second detection of an object is wrong, even where another object is free."""
    images = [seen((A, 0.9, 0), (NEAR_A, 0.8, 0), (B, 0.7, 0))]
    assert average_precision(images, [truth((A, 0), (B, 0))], 0, 0.5) == pytest.approx((1 + 2 / 3) / 2)


def test_an_overlap_of_just_so_much_will_do():
    """An IoU of a half is right at 0.5, and wrong at 0.51."""
    images, objects = [seen((NEAR_A, 0.9, 0))], [truth((A, 0))]
    assert average_precision(images, objects, 0, 0.5) == 1
    assert average_precision(images, objects, 0, 0.51) == 0


def test_scores_order_detections_of_all_images():
    """A better wrong detection in another image lowers precision; a worse one after all are found does not."""
    objects = [truth((A, 0)), truth()]
    assert average_precision([seen((A, 0.5, 0)), seen((A, 0.9, 0))], objects, 0, 0.5) == 0.5
    assert average_precision([seen((A, 0.5, 0)), seen((A, 0.4, 0))], objects, 0, 0.5) == 1


def test_the_mean_is_over_classes_with_objects():
    """Each class with objects counts the same, found or not; detections of other classes count nowhere."""
    images = [seen((A, 0.9, 0), (B, 0.8, 7), (B, 0.7, 1))]
    objects = [truth((A, 0), (A, 1), (B, 2))]
    assert mean_average_precision(images, objects) == pytest.approx((1 + 0 + 0) / 3)
    assert math.isnan(mean_average_precision([seen((A, 0.9, 0))], [truth()]))
