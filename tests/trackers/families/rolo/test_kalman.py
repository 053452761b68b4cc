import numpy as np
import pytest

from trackers.boxes import iou
from trackers.families.rolo import kalman

BOX = np.array([[10.0, 20, 8, 4]])  # u, v, s, r = 14, 22, 32, 2


def test_one_step_by_hand():
    """Of each of u, v, s, r on its own: gain, mean and covariance after one prediction and one detection.

    u: the covariance [[10, 0], [0, 1e4]] becomes [[10 + 1e4 + 1, 1e4], [1e4, 1e4 + 0.01]]; S = 10011 + 1.
    """
    start = kalman.started(BOX)
    np.testing.assert_array_equal(start.mean, [[14, 22, 32, 2, 0, 0, 0]])
    after = kalman.predicted(start)
    np.testing.assert_array_equal(after.mean, start.mean)
    assert after.covariance[0, 0, 0] == after.covariance[0, 2, 2] == 10011
    assert after.covariance[0, 3, 3] == 11
    assert after.covariance[0, 0, 4] == 1e4 and after.covariance[0, 4, 4] == 10000.01
    assert after.covariance[0, 6, 6] == 10000.0001

    better = kalman.updated(after, np.array([[13.0, 21, 10, 4]]))  # u, v, s, r = 18, 23, 40, 2.5
    position, speed = 10011 / 10012, 1e4 / 10012  # gains of u and v; those of s have R = 10
    expected = [14 + 4 * position, 22 + position, 32 + 8 * 10011 / 10021, 2 + 0.5 * 11 / 21]
    expected += [4 * speed, speed, 8 * 1e4 / 10021]
    np.testing.assert_allclose(better.mean, [expected], rtol=1e-12)
    assert better.covariance[0, 0, 0] == pytest.approx(10011 * (1 - position))
    assert better.covariance[0, 4, 4] == pytest.approx(10000.01 - 1e4 * speed)
    np.testing.assert_allclose(better.covariance[0], better.covariance[0].T, atol=1e-9)


def test_boxes_are_what_was_measured():
    """Centre, area and ratio give the box again."""
    np.testing.assert_allclose(kalman.started(BOX).boxes(), BOX)


def test_lanes_do_not_meet():
    """Three targets at once are what each is alone."""
    rng = np.random.default_rng(1)
    steps = rng.uniform(5, 20, (6, 3, 4))

    def play(boxes):
        belief = kalman.started(boxes[0])
        for seen in boxes[1:]:
            belief = kalman.updated(kalman.predicted(belief), seen)
        return belief

    together = play(steps)
    for i in range(3):
        alone = play(steps[:, i : i + 1])
        np.testing.assert_allclose(together.mean[i], alone.mean[0], rtol=1e-12)
        np.testing.assert_allclose(together.covariance[i], alone.covariance[0], rtol=1e-9, atol=1e-9)


def test_it_goes_on_as_the_target_did():
    """A target of constant velocity is predicted, without a detection, where it will be ten frames later."""
    belief = kalman.started(BOX)
    for t in range(1, 20):
        belief = kalman.updated(kalman.predicted(belief), BOX + [3 * t, -t, 0, 0])
    for _ in range(10):
        belief = kalman.predicted(belief)
    np.testing.assert_allclose(belief.boxes(), BOX + [3 * 29, -29, 0, 0], atol=0.1)
    assert iou(belief.boxes(), BOX + [87.0, -29, 0, 0])[0] > 0.98


def test_an_area_never_vanishes():
    """Where its velocity would make it 0 or less, the area stays what it is."""
    belief = kalman.Belief(np.array([[14.0, 22, 32, 2, 1, 1, -32]]), kalman.FIRST[None])
    np.testing.assert_array_equal(kalman.predicted(belief).mean, [[15, 23, 32, 2, 1, 1, 0]])
    assert belief.mean[0, 6] == -32
