import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from trackers import boxes
from trackers.evaluation.lanes import follow
from trackers.evaluation.overlaps import average_overlap
from trackers.evaluation.protocols import one_pass
from trackers.families import kcf
from trackers.sequence import GreyFrames, Sequence

SHARED = Path(__file__).parents[4] / "shared" / "data"


def film(path, target=(20, 24), seed=0, background=40):
    """A textured target, (height, width), whose top left is at path[t] = (x, y), before a dim texture. uint8."""
    rng = np.random.default_rng(seed)
    scene = cv2.GaussianBlur(rng.uniform(0, 2 * background, (96, 120)).astype(np.float32), None, 2)
    texture = cv2.resize(rng.uniform(0, 255, (target[0] // 2, target[1] // 2)).astype(np.float32), target[::-1])
    frames = np.repeat(scene[None], len(path), 0)
    for frame, (x, y) in zip(frames, path, strict=True):
        top, left = max(y, 0), max(x, 0)
        part = texture[top - y : 96 - y, left - x : 120 - x]
        frame[top : top + part.shape[0], left : left + part.shape[1]] = part
    return frames.clip(0, 255).astype(np.uint8)


def sequence(path, target=(20, 24), seed=0, name="film"):
    groundtruth = np.array([[x, y, target[1], target[0]] for x, y in path], float)
    return Sequence(name, GreyFrames(film(path, target, seed)), groundtruth)


def walk(steps, start=(40, 30)):
    return np.concatenate([[start], np.array(start) + np.cumsum(steps, 0)])


def track(sequences, lanes=32, **settings):
    """The predicted boxes of each sequence, by name; and the tracker."""
    tracker = kcf.tracker(kcf.Config(**settings), {}, "cpu")
    return {t.sequence: t.regions for t in follow(tracker, one_pass, sequences, lanes)}, tracker


def plain_kcf(frames, box, kernel):
    """Algorithm 1 of Henriques et al. on raw pixels, frame by frame: all boxes, and the model (x, alpha) at the end."""
    left, top, width, height = box
    h, w = (8 * max(1, math.floor(2.5 * side / 8 + 0.5)) for side in (height, width))
    y, x = math.floor(top + height / 2 - h / 2 + 0.5), math.floor(left + width / 2 - w / 2 + 0.5)
    shifts = np.meshgrid(np.fft.fftfreq(h, 1 / h), np.fft.fftfreq(w, 1 / w), indexing="ij")
    labels = np.exp(-0.5 * (shifts[0] ** 2 + shifts[1] ** 2) / (0.1 * math.sqrt(width * height)) ** 2)
    cosine = np.outer(np.hanning(h), np.hanning(w))

    def features(frame):
        rows, columns = np.arange(y, y + h).clip(0, 95), np.arange(x, x + w).clip(0, 119)
        patch = frame[np.ix_(rows, columns)] / 255
        return np.fft.fft2((patch - patch.mean()) * cosine)

    def correlation(a, b):
        cross = a * b.conj()
        if kernel == "linear":
            return cross / (h * w)
        norms = (abs(a) ** 2 + abs(b) ** 2).sum() / (h * w)
        distance = norms - 2 * np.fft.ifft2(cross).real
        return np.fft.fft2(np.exp(-distance.clip(0) / (0.2**2 * h * w)))

    def learn(frame):
        sample = features(frame)
        return sample, np.fft.fft2(labels) / (correlation(sample, sample) + 1e-4)

    model, answers = learn(frames[0]), [box]
    for frame in frames[1:]:
        response = np.fft.ifft2(model[1] * correlation(features(frame), model[0])).real
        peak = np.unravel_index(response.argmax(), response.shape)
        dy, dx = int(shifts[0][peak]), int(shifts[1][peak])
        y, x, left, top = y + dy, x + dx, left + dx, top + dy
        model = [0.925 * old + 0.075 * new for old, new in zip(model, learn(frame), strict=True)]
        answers.append([left, top, width, height])
    return np.array(answers), model


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("target", [(20, 24), (17, 31), (8, 9)])
def test_equals_the_algorithm_frame_by_frame(kernel, target):
    """On raw pixels, boxes are those of a plain NumPy restatement, and the model is equal to 1e-4."""
    path = walk(np.random.default_rng(2).integers(-3, 4, (12, 2)))
    noise = np.random.default_rng(3).integers(0, 30, (13, 96, 120))
    frames = (film(path, target) // 2 + noise).astype(np.uint8)
    groundtruth = np.array([[x + 0.25, y, target[1], target[0]] for x, y in path], float)
    regions, tracker = track([Sequence("a", GreyFrames(frames), groundtruth)], features="grey", kernel=kernel)
    expected, (x, alpha) = plain_kcf(frames, groundtruth[0], kernel)
    np.testing.assert_array_equal(regions["a"], expected)
    half = x.shape[1] // 2 + 1
    model = tracker.targets[0].filter
    np.testing.assert_allclose(model.appearance[0].numpy(), x[:, :half], atol=1e-4 * abs(x).max())
    np.testing.assert_allclose(model.alpha.numpy(), alpha[:, :half], atol=1e-4 * abs(alpha).max())


def plain_fhog(grey, cell):
    """Felzenszwalb's features, pixel by pixel; grey is one pixel wider on each side than its cells."""
    h, w = (side // cell for side in (grey.shape[0] - 2, grey.shape[1] - 2))
    histogram = np.zeros((h, w, 18))
    for y in range(h * cell):
        for x in range(w * cell):
            dx, dy = grey[y + 1, x + 2] - grey[y + 1, x], grey[y + 2, x + 1] - grey[y, x + 1]
            angles = 2 * math.pi * np.arange(18) / 18
            best = np.argmax(dx * np.cos(angles) + dy * np.sin(angles))
            for i in range(h):
                for j in range(w):
                    near_y = max(0, 1 - abs((y + 0.5) / cell - 0.5 - i))
                    near_x = max(0, 1 - abs((x + 0.5) / cell - 0.5 - j))
                    histogram[i, j, best] += near_y * near_x * math.hypot(dx, dy)
    unsigned = histogram[..., :9] + histogram[..., 9:]
    energy = (unsigned**2).sum(-1)
    features = np.zeros((31, h, w))
    for i in range(h):
        for j in range(w):
            for k, (a, b) in enumerate([(-1, -1), (-1, 0), (0, -1), (0, 0)]):
                top, left = min(max(i + a, 0), h - 2), min(max(j + b, 0), w - 2)
                norm = math.sqrt(energy[top : top + 2, left : left + 2].sum() + 1e-4)
                signed = np.minimum(histogram[i, j] / norm, 0.2)
                features[:18, i, j] += signed / 2
                features[18:27, i, j] += np.minimum(unsigned[i, j] / norm, 0.2) / 2
                features[27 + k, i, j] = 0.2357 * signed.sum()
    return features


@pytest.mark.parametrize("cell", [2, 4])
def test_fhog_equals_its_definition(cell):
    """The 31 channels are those of a loop over pixels, orientations, cells and blocks."""
    grey = np.random.default_rng(0).uniform(0, 1, (2, 4 * cell + 2, 5 * cell + 2)).astype(np.float32)
    features = kcf.fhog(torch.from_numpy(grey), cell).numpy()
    np.testing.assert_allclose(features, [plain_fhog(one, cell) for one in grey], atol=1e-5)


def test_follows_known_shifts_exactly_on_pixels():
    """On raw pixels a textured target that moves by whole pixels is followed without any error."""
    path = walk(np.random.default_rng(0).integers(-6, 7, (25, 2)).clip(-5, 5))
    path = path.clip(5, [90, 70])
    regions, _ = track([sequence(path)], features="grey")
    np.testing.assert_array_equal(regions["film"][:, :2], path)


def test_follows_whole_cells_exactly_with_hog():
    """With HOG the same holds of moves by whole cells of 4 pixels."""
    path = walk(4 * np.random.default_rng(0).integers(-2, 3, (25, 2))).clip([4, 6], [92, 70])
    regions, _ = track([sequence(path)])
    np.testing.assert_array_equal(regions["film"][:, :2], path)


@pytest.mark.parametrize("features", ["hog", "grey"])
def test_who_shares_the_batch_changes_nothing(features):
    """Targets of many sizes in one batch get the boxes that each gets alone."""
    rng = np.random.default_rng(5)
    films = [(walk(rng.integers(-4, 5, (6, 2))), tuple(rng.integers(8, 33, 2)), i, str(i)) for i in range(40)]
    sequences = [sequence(*film) for film in films]
    alone, _ = track(sequences, lanes=1, features=features)
    together, _ = track(sequences, lanes=32, features=features)
    for name, regions in alone.items():
        np.testing.assert_array_equal(together[name], regions)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("features", ["hog", "grey"])
def test_the_device_changes_nothing(features):
    """A GPU gives the boxes that the CPU gives."""
    film = sequence(walk(np.random.default_rng(0).integers(-4, 5, (10, 2))))
    boxes = []
    for device in ("cpu", "cuda"):
        tracker = kcf.tracker(kcf.Config(features=features), {}, device)
        boxes += [trajectory.regions for trajectory in follow(tracker, one_pass, [film])]
    np.testing.assert_array_equal(*boxes)


def test_images_of_different_sizes_share_a_batch():
    """Each lane reads its own image, whatever the size of the others."""
    whole = sequence(walk([[4, 0]] * 5))
    cut = Sequence("cut", GreyFrames(np.ascontiguousarray(whole.frames.grey[:, :70, :110])), whole.groundtruth)
    regions, _ = track([whole, cut])
    np.testing.assert_array_equal(regions["film"], regions["cut"])


def test_colour_is_seen_in_grey():
    """A colour film gives the boxes of its grey version."""
    plain = sequence(walk([[4, 0], [4, 4], [0, 4]]))
    colour = np.stack([plain.frames.grey] * 3, -1) // [[[1, 2, 3]]]

    class Colour(GreyFrames):
        def __getitem__(self, t):
            return self.grey[t].astype(np.uint8)

    grey = np.stack([cv2.cvtColor(frame.astype(np.uint8), cv2.COLOR_RGB2GRAY) for frame in colour])
    regions, _ = track([
        Sequence("colour", Colour(colour), plain.groundtruth),
        Sequence("grey", GreyFrames(grey), plain.groundtruth),
    ])  # fmt: skip
    np.testing.assert_array_equal(regions["colour"], regions["grey"])
    assert average_overlap(regions["colour"], plain.groundtruth) == 1


def test_a_large_target_is_followed_at_half_size():
    """From 100 pixels on, a target is seen at half size; moves by whole cells of 8 pixels are followed exactly."""
    small = film(walk([[4, 0], [4, 4], [0, -4]], start=(30, 30)), target=(50, 52))
    frames = np.repeat(np.repeat(small, 2, 1), 2, 2)
    path = 2 * walk([[4, 0], [4, 4], [0, -4]], start=(30, 30))
    groundtruth = np.array([[x, y, 104, 100] for x, y in path], float)
    regions, tracker = track([Sequence("large", GreyFrames(frames), groundtruth)])
    assert tracker.targets[0].window == (32, 32, 2)
    np.testing.assert_array_equal(regions["large"], groundtruth)


def test_a_target_may_leave_the_image():
    """Windows that reach beyond the border, wholly even, are no error: the border is replicated."""
    path = walk([[-4, -4]] * 9, start=(8, 12))
    regions, _ = track([sequence(path)])
    assert np.isfinite(regions["film"]).all()
    np.testing.assert_array_equal(regions["film"][:3, :2], path[:3])


def test_a_flat_image_leaves_the_target_where_it_is():
    """Where there is nothing to see, nothing moves, and nothing is divided by zero."""
    flat = Sequence("flat", GreyFrames(np.full((4, 96, 120), 77, np.uint8)), np.tile([40.0, 30, 20, 20], (4, 1)))
    for features in ("hog", "grey"):
        regions, _ = track([flat], features=features)
        np.testing.assert_array_equal(regions["flat"], flat.groundtruth)


def test_the_thinnest_target_has_a_window():
    """A target of one pixel still gets cells that the cosine window leaves."""
    for features, cells in (("hog", 4), ("grey", 8)):
        _, tracker = track([sequence([(40, 30)] * 2)], features=features)
        tracker.initialize([9], [np.zeros((96, 120, 3), np.uint8)], np.array([[40.0, 30, 1, 1]]))
        assert tracker.targets[9].window[:2] == (cells, cells)


def test_settings_left_out_are_the_papers():
    """None takes the paper's value for the features that were chosen; what is given stays."""
    hog = kcf.KerCorrTracker(kcf.Config()).config
    grey = kcf.KerCorrTracker(kcf.Config(features="grey", kernel_sigma=0.3)).config
    assert (hog.cell_size, hog.interpolation_factor, hog.kernel_sigma) == (4, 0.02, 0.5)
    assert (grey.cell_size, grey.interpolation_factor, grey.kernel_sigma) == (1, 0.075, 0.3)
    assert kcf.steps(kcf.Config()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": "sift"}, "features: expected one of hog, grey, got 'sift'"),
        ({"kernel": "cubic"}, "kernel: expected one of gaussian, linear"),
        ({"padding": -0.5}, "padding: expected at least 0, got -0.5"),
        ({"regularization": 0.0}, "regularization: expected more than 0"),
        ({"interpolation_factor": 1.5}, r"interpolation_factor: expected a value in \[0, 1\], got 1.5"),
        ({"cell_size": 3}, "cell_size: expected an even number of pixels for hog, got 3"),
        ({"window_step": 6}, "window_step: expected a multiple of the cell size 4, got 6"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    """A setting that cannot work says what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        kcf.Config(**settings)


class Jpegs:
    def __init__(self, folder, length):
        self.paths = sorted(folder.glob("*.jpg"))[:length]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, t):
        return cv2.cvtColor(cv2.imread(str(self.paths[t])), cv2.COLOR_BGR2RGB)


@pytest.mark.skipif(not (SHARED / "otb").is_dir(), reason="needs OTB sequences in ../shared/data/otb")
@pytest.mark.parametrize(("name", "published"), [("Crossing", 0.708), ("Man", 0.830)])
def test_real_sequences_as_published(name, published):
    """On OTB the boxes overlap the authors' published raw results, and score as they do."""
    io = pytest.importorskip("scipy.io")
    text = (SHARED / "otb" / name / "groundtruth_rect.txt").read_text().replace(",", " ")
    groundtruth = np.array([line.split() for line in text.splitlines()], float) - [1, 1, 0, 0]
    frames = Jpegs(SHARED / "otb" / name / "img", len(groundtruth))
    regions, _ = track([Sequence(name, frames, groundtruth)])
    folder = SHARED / "otb_results" / "Tracker_Benchmark_tb100" / "results_OPE_OTB100"
    [path] = [path for path in folder.glob("*_KCF_GaussHog.mat") if path.name.lower().startswith(name.lower() + "_")]
    theirs = np.array(io.loadmat(path, simplify_cells=True)["results"]["res"], float) - [1, 1, 0, 0]
    assert average_overlap(theirs, groundtruth) == pytest.approx(published, abs=0.001)
    assert average_overlap(regions[name], groundtruth) == pytest.approx(published, abs=0.03)
    assert boxes.iou(regions[name], theirs).mean() > 0.9
