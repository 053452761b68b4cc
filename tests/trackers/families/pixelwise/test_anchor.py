import itertools

import pytest
import torch
import torch.nn.functional as F

from trackers.families.pixelwise.anchor import around, reach, square, transformed

SIZES = [(128, 96), (96, 128), (100, 100), (640, 90)]


def tensors(*values):
    return torch.tensor(values, dtype=torch.float64)


def image(pixels):
    """The anchor's image: on in a square half as wide as it."""
    drawn = torch.zeros(1, 1, pixels, pixels, dtype=torch.float64)
    drawn[..., pixels // 4 : -(pixels // 4), pixels // 4 : -(pixels // 4)] = 1
    return drawn


@pytest.mark.parametrize(("size", "side"), [((200, 100), 50), ((100, 200), 50), ((60, 60), 30)])
def test_the_anchor_is_half_of_the_shorter_side(size, side):
    """Left as it is, by theta = (1, 0, 0), it lies in the middle of the frame."""
    found = square(tensors(1, 0, 0), tensors(size[0] / size[1])[0], tensors(*size))
    assert found.tolist() == [size[0] / 2, size[1] / 2, side]


def test_a_transform_worked_by_hand():
    """In a frame of 200 x 100, s = 1.5 makes 75 pixels; x = 0.5 is 50 to the right, and y = -0.2 is 10 up."""
    found = square(tensors(1.5, 0.5, -0.2), tensors(2)[0], tensors(200, 100))
    torch.testing.assert_close(found, tensors(150, 40, 75))


@pytest.mark.parametrize("size", SIZES)
def test_it_is_a_square_in_the_frame(size):
    """Half its extent on the map, in pixels of the frame, is the same across and down, whatever the frame's shape."""
    width, height = size
    for scale in (0.3, 1.0, 2.0):
        across, down = reach(tensors(scale, 0.1, 0.7), tensors(width / height)[0]).tolist()
        assert across * width / 2 == pytest.approx(down * height / 2)
        assert across * width == pytest.approx(scale * min(size) / 2)


@pytest.mark.parametrize("pixels", [4, 8, 32])
def test_it_is_the_sampled_image_of_a_square(pixels):
    """The product of ramps is what grid_sample makes of the anchor's image, for any transform and aspect."""
    torch.manual_seed(pixels)
    count, size = 40, 24
    theta = torch.cat([torch.rand(count, 1) * 2 + 0.1, torch.rand(count, 2) * 2 - 1], 1).double()
    aspect = torch.exp(torch.randn(count)).double()
    # Where in the anchor's image a place of the map lies: less the shift, by the extent of the image on the map.
    across, down = theta[:, 0] * (1 / aspect).clamp(max=1), theta[:, 0] * aspect.clamp(max=1)
    zero = torch.zeros(count).double()
    matrix = torch.stack(
        [
            torch.stack([1 / across, zero, -theta[:, 1] / across], 1),
            torch.stack([zero, 1 / down, -theta[:, 2] / down], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, [count, 1, size, size], align_corners=False)
    expected = F.grid_sample(image(pixels).expand(count, 1, -1, -1), grid, "bilinear", "zeros", align_corners=False)
    torch.testing.assert_close(transformed(theta, aspect, size, pixels), expected[:, 0], rtol=0, atol=2e-5)


def test_many_transforms_at_once_are_single_ones():
    """Leading axes are those of theta and of aspects."""
    theta, aspect = torch.rand(3, 2, 3), torch.rand(3, 2) + 0.5
    found = transformed(theta, aspect, 10, 8)
    assert found.shape == (3, 2, 10, 10)
    for t, n in itertools.product(range(3), range(2)):
        torch.testing.assert_close(found[t, n], transformed(theta[t, n], aspect[t, n], 10, 8))


@pytest.mark.parametrize("size", SIZES)
def test_squares_and_transforms_are_inverse(size):
    """A transform's square is that around which it is found, and the other way round."""
    torch.manual_seed(0)
    frame = tensors(*size)
    theta = torch.cat([torch.rand(20, 1) + 0.1, torch.rand(20, 2) * 2 - 1], 1).double()
    squares = square(theta, tensors(size[0] / size[1]).expand(20), frame.expand(20, 2))
    torch.testing.assert_close(around(squares, frame.expand(20, 2)), theta)


@pytest.mark.parametrize(("x", "y"), [(0.3, 0.0), (-0.3, 0.0), (0.0, 0.3), (0.0, -0.3), (0.3, -0.2)])
def test_the_slope_points_towards_the_target(x, y):
    """The squared distance from a map falls where the anchor is shifted towards the target in it."""
    aspect = tensors(1.3)[0]
    target = transformed(tensors(1, x, y), aspect, 32, 32).round()
    theta = tensors(1, 0, 0).requires_grad_()
    (transformed(theta, aspect, 32, 8) - target).square().sum().backward()
    _, slope_x, slope_y = theta.grad.tolist()
    for slope, way in ((slope_x, x), (slope_y, y)):
        assert -slope * way > 0 if way else abs(slope) < 1e-9


@pytest.mark.parametrize(("target", "grows"), [(1.4, True), (0.6, False)])
def test_the_slope_fits_the_size(target, grows):
    """It falls where a square that is too small grows, and one that is too large shrinks."""
    aspect = tensors(0.8)[0]
    map_ = transformed(tensors(target, 0, 0), aspect, 32, 32).round()
    theta = tensors(1, 0, 0).requires_grad_()
    (transformed(theta, aspect, 32, 8) - map_).square().sum().backward()
    assert (theta.grad[0] < 0) == grows
