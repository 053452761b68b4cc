import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trackers import crops

corner, side = st.floats(-400, 800), st.floats(0.5, 500)
boxes = st.builds(lambda *sides: torch.tensor(sides, dtype=torch.float64), corner, corner, side, side)


def noise(height, width, seed=0):
    """Grey levels without structure, in which no two places look alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def padded(image, window):
    """A window's pixels by another way: out of an image with black all around."""
    x, y, width, height = (int(value) for value in window)
    far = 2000
    return cv2.copyMakeBorder(image, far, far, far, far, cv2.BORDER_CONSTANT)[y + far :, x + far :][:height, :width]


def test_a_window_is_twice_its_box_in_whole_pixels():
    """The corner is rounded towards 0 and the sides up, to one pixel or more, worked out by hand."""
    inputs = torch.tensor(
        [[10.0, 20, 30, 40], [10.3, 20.9, 30.1, 39.8], [1, 2, 9, 9], [5, 5, 0.3, 0.3]], dtype=torch.float64
    )
    expected = [[-5, 0, 60, 80], [-4, 1, 61, 80], [-3, -2, 18, 18], [4, 4, 1, 1]]
    assert crops.windows(inputs).tolist() == expected
    assert crops.windows(inputs[None])[0].tolist() == expected


def test_context_is_how_much_more_than_the_box_a_window_shows():
    """Without context a window of whole pixels is its box; with three it is three times as wide around the centre."""
    box = torch.tensor([10.0, 20, 30, 40])
    assert crops.windows(box, 1).tolist() == [10, 20, 30, 40]
    assert crops.windows(box, 3).tolist() == [-20, -20, 90, 120]


@given(boxes)
def test_a_window_holds_its_box(box):
    """All of a box is inside of the window around it, up to the pixel that rounding may take."""
    low, high = crops.to_window(box, window := crops.windows(box)).reshape(2, 2)
    pixel = 1 / window[2:]
    assert (low >= -pixel).all() and (high <= 1 + pixel).all()


@given(boxes, boxes)
def test_from_window_undoes_to_window(box, around):
    """A box comes back from the units of any window as it was."""
    window = crops.windows(around)
    assert torch.allclose(crops.from_window(crops.to_window(box, window), window), box, rtol=0, atol=1e-9)


def test_a_window_is_the_unit_of_its_corners():
    """The window itself goes from 0 to 1, and a box in its middle from 0.25 to 0.75."""
    window = torch.tensor([-10, 20, 40, 80])
    inputs = torch.tensor([[-10.0, 20, 40, 80], [0, 40, 20, 40]])
    assert crops.to_window(inputs, window).tolist() == [[0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75]]


WINDOWS = {
    "inside": [20, 10, 50, 40],
    "over the left and top": [-15, -12, 60, 60],
    "over the right and bottom": [70, 50, 61, 47],
    "around all": [-30, -20, 200, 150],
    "outside": [150, -90, 30, 30],
    "one pixel": [99, 74, 1, 1],
    "one row": [3, 74, 90, 1],
    "large": [5, 5, 90, 65],
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_what_is_outside_of_the_image_is_black(window):
    """A cut holds the image's own pixels where there are such, and 0 elsewhere."""
    image = noise(75, 100)
    assert np.array_equal(crops.cut(image, window), padded(image, window))


@pytest.mark.parametrize("resize", [crops._resized, crops._grid_sampled], ids=["on a CPU", "on a GPU"])
@pytest.mark.parametrize("size", [7, 64])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_a_crop_is_the_resized_cut(window, size, resize):
    """Windows are resized as OpenCV does with black around the image, within one grey level, each by itself."""
    images = [noise(75, 100), noise(40, 30, seed=1)]
    windows = torch.tensor([window, [2, 3, 20, 30], window])
    found = resize([torch.from_numpy(image) for image in images], windows, size, torch.tensor([0, 1, 1]))
    assert found.dtype == torch.float32
    for crop, image, where in zip(found, [images[0], images[1], images[1]], windows, strict=True):
        expected = cv2.resize(padded(image, where), (size, size), interpolation=cv2.INTER_LINEAR)
        assert np.abs(crop.permute(1, 2, 0).numpy() - expected).max() <= 1


def test_windows_are_those_of_their_image_unless_told_otherwise():
    """A row of windows for each image is the same as a flat list of windows with the numbers of their images."""
    images = torch.from_numpy(np.stack([noise(60, 80, seed) for seed in range(3)]))
    windows = torch.tensor(list(WINDOWS.values())[:6]).view(3, 2, 4)
    found = crops.sample(images, windows, 16)  # (3, 2, 3, 16, 16)
    assert found.shape == (3, 2, 3, 16, 16)
    flat = crops.sample(images, windows.view(6, 4), 16, of=torch.tensor([0, 0, 1, 1, 2, 2]))
    assert torch.equal(found.flatten(0, 1), flat)
    assert flat.is_contiguous(memory_format=torch.channels_last)


def test_many_windows_are_shared_out_to_threads():
    """Whatever the number of threads, the crops are the same ones."""
    image = torch.from_numpy(noise(75, 100))
    windows = torch.tensor([*WINDOWS.values()] * 5)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(crops.sample([image], windows[None], 16))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("names", [["inside"], ["one row", "inside"], ["outside"], list(WINDOWS), []])
def test_what_no_window_shows_of_an_image_is_not_sent(names, monkeypatch):
    """Crops are those of whole images, though of each no more is sent than the rectangle around its windows."""
    images = [noise(75, 100), noise(40, 30, seed=1)]
    chosen = [WINDOWS[name] for name in names]
    windows = torch.tensor([*chosen, [2, 3, 5, 6], [4, -3, 9, 6]])
    of = torch.tensor([0] * len(chosen) + [1, 1])
    sent = []
    monkeypatch.setattr(crops, "send", lambda tensor, device: sent.append(tuple(tensor.shape)) or tensor)
    found = crops.sample_on("cpu", images, windows, 16, of)
    assert torch.equal(found, crops.sample([torch.from_numpy(image) for image in images], windows, 16, of))
    x0, y0 = (min([100, *(np.clip(window[i], 0, None) for window in chosen)]) for i in (0, 1))
    x1, y1 = (max([0, *(min(window[i] + window[i + 2], (100, 75)[i]) for window in chosen)]) for i in (0, 1))
    assert np.prod(sent[0]) == max(x1 - x0, 0) * max(y1 - y0, 0) * 3
    assert sent[1] == (9, 11, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_crops_as_a_cpu_does():
    """The same windows of the same images are the same within one grey level on both."""
    images = [torch.from_numpy(noise(75, 100)), torch.from_numpy(noise(40, 30, seed=1))]
    windows = torch.tensor([list(WINDOWS.values())] * 2)
    expected = crops.sample(images, windows, 64)
    on_gpu = crops.sample([image.cuda() for image in images], windows.cuda(), 64)
    assert (on_gpu.cpu() - expected).abs().max() <= 1
    sent = crops.sample_on("cuda", [image.numpy() for image in images], windows, 64)
    assert (sent.cpu() - expected).abs().max() <= 1


WARPS = pytest.mark.parametrize("warp", [crops._warped, crops._grid_warped], ids=["on a CPU", "on a GPU"])


def warped(warp, image, *boxes, size, outside=0.0):
    """Warps of boxes of one image, (N, rows, columns, 3)."""
    boxes = torch.tensor(boxes, dtype=torch.float64)
    found = warp([torch.from_numpy(image)], boxes, size, outside, torch.zeros(len(boxes), dtype=torch.int64))
    assert found.dtype == torch.float32 and found.is_contiguous(memory_format=torch.channels_last)
    return found.permute(0, 2, 3, 1).numpy()


@WARPS
def test_a_box_of_whole_pixels_warped_to_its_own_size_is_its_pixels(warp):
    """Nothing is between pixels there, and outside of the image the grey is."""
    image = noise(30, 40)
    [inside, over] = warped(warp, image, (7, 5, 12, 9), (-3, 25, 12, 9), size=(9, 12), outside=100)
    assert np.abs(inside - image[5:14, 7:19]).max() < 1e-2
    expected = np.full((9, 12, 3), 100.0)
    expected[:5, 3:] = image[25:, :9]
    assert np.abs(over - expected).max() < 1e-2


@WARPS
def test_half_a_pixel_further_neighbours_are_averaged(warp):
    """To the right, or below; at the border one neighbour is the grey."""
    image = noise(30, 40).astype(float)
    [right, below] = warped(warp, image.astype(np.uint8), (31.5, 5, 9, 6), (20, -0.5, 9, 6), size=(6, 9), outside=50)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=50)
    assert np.abs(right - (padded[6:12, 32:41] + padded[6:12, 33:42]) / 2).max() <= 0.51
    assert np.abs(below - (padded[0:6, 21:30] + padded[1:7, 21:30]) / 2).max() <= 0.51


@WARPS
def test_a_warp_is_exact_to_fractions_of_a_pixel(warp):
    """A ramp of grey levels stays one, and says where each pixel was looked at: to the rounding of grey levels."""
    ramp = np.zeros((60, 80, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = 3 * np.arange(80), 4 * np.arange(60)[:, None]
    for box in ((10.3, 5.7, 20, 20), (10.41, 5.7, 15, 13.2), (3.3, 2.2, 70.1, 50.9)):
        [found] = warped(warp, ramp, box, size=(16, 21))
        x = box[0] + (np.arange(21) + 0.5) / 21 * box[2] - 0.5
        y = box[1] + (np.arange(16) + 0.5) / 16 * box[3] - 0.5
        assert np.abs(found[..., 0] - 3 * x).max() < 0.6 and np.abs(found[..., 1] - 4 * y[:, None]).max() < 0.6


def test_both_ways_to_warp_agree():
    """On any box, inside or over the border, within rounding; and what is all outside is the grey."""
    images = [torch.from_numpy(noise(75, 100)), torch.from_numpy(noise(40, 30, seed=1))]
    rng = np.random.default_rng(0)
    boxes = torch.from_numpy(np.c_[rng.uniform(-40, 110, (30, 2)), rng.uniform(1, 90, (30, 2))])
    boxes[0] = torch.tensor([500.0, 20, 30, 30])
    of = torch.arange(30) % 2
    found = [warp(images, boxes, (16, 21), 128.0, of) for warp in (crops._warped, crops._grid_warped)]
    assert (found[0] - found[1]).abs().max() < 0.6
    assert (found[0][0] == 128).all() and (found[1][0] == 128).all()


def test_warps_are_of_their_image_whatever_is_sent_of_it():
    """A row of boxes for each image is a flat list with numbers; of each image only what is shown is sent."""
    images = [noise(75, 100), noise(40, 30, seed=1)]
    boxes = torch.tensor([[[10.3, 20.6, 30, 15], [70, 60, 50.5, 30]], [[5, 5, 11.2, 9], [200, 5, 8, 8]]])
    found = crops.warp([torch.from_numpy(image) for image in images], boxes, 12, 128.0)
    assert found.shape == (2, 2, 3, 12, 12)
    assert (crops.warp_on("cpu", images, boxes, 12, 128.0) - found).abs().max() <= 1  # where rounding begins at a half
    of = torch.tensor([1, 0, 0])
    picked = boxes[[1, 0, 0], [0, 1, 0]]
    found = found[[1, 0, 0], [0, 1, 0]]
    assert (crops.warp_on("cpu", images, picked, 12, 128.0, of) - found).abs().max() <= 1
    nowhere = crops.warp_on("cpu", images, torch.tensor([[-50.0, -50, 9, 9]]), (4, 5), 128.0, torch.tensor([0]))
    assert nowhere.shape == (1, 3, 4, 5) and (nowhere == 128).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_warps_as_a_cpu_does():
    """The same boxes of the same image are the same within rounding on both."""
    image, boxes = noise(75, 100), torch.tensor([[10.3, 20.6, 30, 15], [70, 60, 50.5, 30], [-50, -50, 9, 9]])
    of = torch.zeros(3, dtype=torch.int64)
    expected = crops.warp_on("cpu", [image], boxes, 64, 128.0, of)
    assert (crops.warp_on("cuda", [image], boxes, 64, 128.0, of).cpu() - expected).abs().max() < 0.6
