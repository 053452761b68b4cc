import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trackers import crops
from trackers.boxes import centre, xywh_to_xyxy
from trackers.families.goturn.motion import Motion, draw

FRAME = np.array([320, 240])
box = st.tuples(st.floats(-20, 300), st.floats(-20, 220), st.floats(1, 400), st.floats(1, 400))
motions = st.builds(
    Motion, kind=st.sampled_from(["laplace", "uniform"]), half_inside=st.sampled_from(["window", "target"])
)


def drawn(motion, count=40_000, seed=0):
    """Shifts (count, 2) and factors (count, 2) of a box of 40 x 20 pixels, in a frame that does not narrow them."""
    target = np.array([[5000.0, 5000, 40, 20]])
    moved = draw(motion, target, np.array([[10_000, 10_000]]), count, np.random.default_rng(seed))[0]
    return (centre(moved) - centre(target)) / target[:, 2:], moved[:, 2:] / target[:, 2:]


def truncated(scale, limit):
    """Mean absolute deviation of a Laplace distribution of that scale of which nothing is beyond the limit."""
    return scale - limit / np.expm1(limit / scale)


def test_motion_has_the_scales_of_the_paper():
    """Mean absolute deviations are those of Laplace distributions with b_x = 1/5 and b_s = 1/15, around 0 and 1."""
    shifts, factors = drawn(Motion(half_inside="target"))
    assert np.allclose(np.abs(shifts).mean(0), truncated(1 / 5, 1), rtol=0.02)
    assert np.allclose(np.abs(factors - 1).mean(0), truncated(1 / 15, 0.4), rtol=0.02)
    assert np.allclose(shifts.mean(0), 0, atol=0.005) and np.allclose(factors.mean(0), 1, atol=0.002)
    # Of a Laplace distribution the median of what is beyond 0 is b ln 2; of a normal one it is farther out.
    assert np.allclose(np.median(np.abs(shifts), 0), np.log(2) / 5, rtol=0.03)


def test_uniform_motion_has_no_smoothness():
    """Small motions are as likely as large ones, up to the same limits."""
    shifts, factors = drawn(Motion(kind="uniform", half_inside="target"))
    assert np.allclose(np.quantile(shifts, [0.25, 0.5, 0.75], axis=0).T, [-0.5, 0, 0.5], atol=0.02)
    assert np.allclose(np.quantile(factors, [0.25, 0.5, 0.75], axis=0).T, [0.8, 1, 1.2], atol=0.01)


def test_shifts_and_sizes_in_both_dimensions_have_nothing_to_do_with_each_other():
    """The four numbers of Eqs. 1-4 are drawn independently."""
    correlation = np.corrcoef(np.hstack(drawn(Motion())).T)
    assert np.allclose(correlation, np.eye(4), atol=0.03)


@given(box, motions, st.integers(0, 2**31))
def test_at_least_half_of_the_target_is_inside(target, motion, seed):
    """In each dimension the window holds half of the target, up to a pixel, or its centre is a width near."""
    target = np.array([target])
    moved = draw(motion, target, FRAME[None], 20, np.random.default_rng(seed))[0]
    if motion.half_inside == "window":
        edges, own = xywh_to_xyxy(crops.windows(torch.from_numpy(moved)).numpy()), xywh_to_xyxy(target)
        held = np.minimum(edges[:, 2:], own[:, 2:]) - np.maximum(edges[:, :2], own[:, :2])
        assert (held >= target[:, 2:] / 2 - 1).all()
    else:
        assert (np.abs(centre(moved) - centre(target)) <= target[:, 2:] * (1 + 1e-9)).all()


@given(box, motions, st.integers(0, 2**31))
def test_sizes_change_within_their_limits(target, motion, seed):
    """Factors lie within 0.6 and 1.4 whatever the frame."""
    moved = draw(motion, np.array([target]), FRAME[None], 20, np.random.default_rng(seed))[0]
    factors = moved[:, 2:] / target[2:]
    assert factors.min() >= 0.6 - 1e-9 and factors.max() <= 1.4 + 1e-9


def test_moved_boxes_stay_in_the_frame():
    """A box inside of its frame is still there after a motion."""
    target = np.array([[0.0, 200, 60, 40], [300, 0, 20, 220]])
    moved = draw(Motion(kind="uniform"), target, np.stack([FRAME, FRAME]), 500, np.random.default_rng(3))
    assert moved.shape == (2, 500, 4)
    assert (moved[..., :2] >= -1e-9).all() and (moved[..., :2] + moved[..., 2:] <= FRAME + 1e-9).all()


@pytest.mark.parametrize(
    "settings",
    [{"kind": "normal"}, {"shift_scale": 0.0}, {"size_scale": -1.0}, {"size_limit": 1.0}, {"half_inside": "crop"}],
    ids=lambda settings: next(iter(settings)),
)
def test_strange_settings_are_refused_by_name(settings):
    """An error says which setting was expected to be what."""
    [(name, value)] = settings.items()
    with pytest.raises(ValueError, match=rf"{name}: expected .*, got {value}"):
        Motion(**settings)
