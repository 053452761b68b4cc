import cv2
import numpy as np
import pytest
import torch

from trackers.benchmarks.collection import Collection
from trackers.extractors.yolo.examples import Augmentation, Examples, coloured, targets
from trackers.extractors.yolo.packed import Pack, pack
from trackers.sequence import Sequence
from trackers.training import Silent

PLAIN = Augmentation(jitter=0.0, colour=1.0, flip=False)


def still(name, image, box, label):
    return Sequence(name, image, np.array([box], float), label=label)


def collection(images=4):
    """Black images of 80 x 60 with a white disc, number i of them also a bar that is labelled, at 10 i."""
    sequences = []
    for i in range(images):
        image = np.zeros((1, 60, 80, 3), np.uint8)
        cv2.rectangle(image[0], (10 * i, 5), (10 * i + 9, 24), (250, 100, 50), -1)
        cv2.rectangle(image[0], (40, 30), (59, 49), (255, 255, 255), -1)
        sequences += [
            still(f"{i}.1", image, [10 * i, 5, 10, 20], "bar"),
            still(f"{i}.2", image, [40, 30, 20, 20], "square"),
        ]
    return Collection("stills", tuple(sequences))


@pytest.fixture(scope="module")
def packed():
    return pack(collection(), Silent())


def examples(packed, augmentation=PLAIN, batch=6, seed=0, images=None):
    whole = Pack(packed, ("square", "bar"))
    images = np.arange(len(whole)) if images is None else np.array(images)
    return Examples(whole, images, augmentation, batch, 56, 7, seed)


def test_objects_of_an_image_are_packed_together(packed):
    """Each image is kept once, with all of its objects, and decoded as it was."""
    whole = Pack(packed, ("square", "bar"))
    assert len(whole) == 4
    boxes, classes = whole.objects(2)
    assert boxes.tolist() == [[20, 5, 10, 20], [40, 30, 20, 20]]
    assert classes.tolist() == [1, 0]
    np.testing.assert_array_equal(whole.pixels(2), collection().sequences[4].frames[0])


def test_other_classes_are_left_out(packed):
    """Of images only objects of the wanted classes count; a class that no object has is an error."""
    whole = Pack(packed, ("bar",))
    assert whole.starts.tolist() == [0, 1, 2, 3, 4]
    assert whole.classes.tolist() == [0] * 4
    with pytest.raises(ValueError, match="expected each to have objects among the images, got none of cat; there are"):
        Pack(packed, ("bar", "cat"))


def test_boxes_are_cut_and_what_is_outside_left_out():
    """Boxes end at the border; those outside, unlabelled or without numbers are no objects."""
    image = np.zeros((1, 60, 80, 3), np.uint8)
    boxes = {"cut": [-5, 50, 20, 20], "outside": [90, 0, 5, 5], "absent": [np.nan] * 4}
    objects = tuple(still(name, image, box, "bar") for name, box in boxes.items())
    objects += (still("nameless", image, [0, 0, 5, 5], None),)
    whole = Pack(pack(Collection("some", objects), Silent()), ("bar",))
    assert whole.boxes.tolist() == [[0, 50, 15, 10]]
    with pytest.raises(ValueError, match="data set none: expected labelled objects, got none in 3 sequences"):
        pack(Collection("none", objects[1:]), Silent())


def test_an_image_that_cannot_be_decoded_is_named():
    """The error says which sequence and frame."""

    class Broken:
        def __len__(self):
            return 1

        def __getitem__(self, t):
            raise ValueError("expected an image, found one that cannot be decoded")

    broken = Sequence("bad", Broken(), np.array([[0.0, 0, 5, 5]]), label="bar")
    with pytest.raises(ValueError, match="sequence bad, frame 0: expected an image"):
        pack(Collection("some", (broken,)), Silent())


def test_cells_by_hand():
    """An object belongs to the cell of its centre, as offsets in the cell and shares of the image."""
    corners = np.array([[0.1, 0.6, 0.5, 0.7], [0.6, 0.0, 0.8, 0.4]])
    present, classes, truth = targets(np.array([1, 0]), corners, np.array([2, 1]), 3, 2)
    assert np.argwhere(present).tolist() == [[0, 0, 1], [1, 1, 0]]  # image, row, column
    assert (classes[0, 0, 1], classes[1, 1, 0]) == (1, 2)
    np.testing.assert_allclose(truth[1, 1, 0], [0.6, 0.3, 0.4, 0.1], rtol=1e-6)
    np.testing.assert_allclose(truth[0, 0, 1], [0.4, 0.4, 0.2, 0.4], rtol=1e-6)


def test_a_cell_has_one_object_the_larger():
    """Of objects with centres in one cell the larger stays, whatever their order."""
    corners = np.array([[0.1, 0.1, 0.3, 0.3], [0.0, 0.0, 0.6, 0.6], [0.2, 0.2, 0.4, 0.4]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        _, classes, truth = targets(np.zeros(3, int), corners[order], np.array(order), 1, 2)
        assert classes[0, 0, 0] == 1
        np.testing.assert_allclose(truth[0, 0, 0], [0.6, 0.6, 0.6, 0.6], rtol=1e-6)


def test_objects_that_leave_the_image():
    """An object whose centre is outside is dropped; of others the part inside is the object."""
    corners = np.array([[-0.3, 0.1, 0.2, 0.3], [-0.2, 0.6, 0.4, 0.8], [0.9, 0.9, 1.1, 1.2]])
    present, _, truth = targets(np.zeros(3, int), corners, np.zeros(3, int), 1, 2)
    assert np.argwhere(present).tolist() == [[0, 1, 0]]
    np.testing.assert_allclose(truth[0, 1, 0], [0.4, 0.4, 0.4, 0.2], rtol=1e-6)


def test_unchanged_images_are_whole(packed):
    """Without any change an example is the image, resized, and its boxes are where they were."""
    seen, present, classes, truth = examples(packed, images=[1], batch=1).batch(0, "cpu")
    whole = cv2.resize(Pack(packed, ("bar",)).pixels(1), (56, 56))
    np.testing.assert_allclose(seen[0].permute(1, 2, 0).numpy(), whole, atol=1e-3)
    # The bar's centre is 15, 15 of 80 x 60: cell 1.3125, 1.75; the square's 50, 40: 4.375, 4.667.
    assert np.argwhere(present[0].numpy()).tolist() == [[1, 1], [4, 4]]
    assert classes[0, 1, 1] == 1
    np.testing.assert_allclose(truth[0, 1, 1].numpy(), [0.3125, 0.75, 10 / 80, 20 / 60], rtol=1e-5)


def test_boxes_move_with_the_pixels(packed):
    """Whatever is done to an image, the boxes still enclose what they did."""
    checked = 0
    stills = examples(packed, Augmentation(jitter=0.2, colour=1.0))
    for update in range(4):
        seen, present, classes, truth = stills.batch(update, "cpu")
        for image, row, column in np.argwhere((present & (classes == 0)).numpy()):
            x, y, width, height = truth[image, row, column].tolist()
            x, y, width, height = (column + x) * 8, (row + y) * 8, width * 56, height * 56
            white = np.argwhere((seen[image].amin(0) > 128).numpy())  # the square alone has all three colours
            (top, left), (bottom, right) = white.min(0), white.max(0) + 1
            expected = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            np.testing.assert_allclose([left, top, right, bottom], expected, atol=1.1)
            checked += 1
    assert checked > 12


def test_colours_are_scaled_in_hsv():
    """Saturation and exposure are multiplied as in HSV, cut at 1, and hue stays."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 5, 6, 3)).astype(np.float32)
    rgb[0, 0] = 0
    rgb[0, 1] = 77
    saturation, exposure = np.array([1.4, 0.7], np.float32), np.array([1.5, 0.8], np.float32)
    found = coloured(torch.from_numpy(rgb).permute(0, 3, 1, 2), *map(torch.from_numpy, (saturation, exposure)))
    for i in range(2):
        hsv = cv2.cvtColor(rgb[i] / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 1] = (hsv[..., 1] * saturation[i]).clip(max=1)
        hsv[..., 2] = (hsv[..., 2] * exposure[i]).clip(max=1)
        expected = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
        np.testing.assert_allclose(found[i].permute(1, 2, 0).numpy(), expected, atol=0.05)


def test_minibatches_are_functions_of_seed_and_number(packed):
    """Asked again, in another order, by another object: the same; another seed or number: another."""
    first, again = examples(packed, Augmentation()), examples(packed, Augmentation())
    batches = [first.batch(update, "cpu") for update in range(3)]
    for update in (2, 0, 1):
        for one, other in zip(again.batch(update, "cpu"), batches[update], strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(batches[0][0], batches[1][0])
    assert not torch.equal(batches[0][0], examples(packed, Augmentation(), seed=1).batch(0, "cpu")[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"jitter": 0.5}, "jitter: expected a share in"), ({"colour": 0.9}, "colour: expected at least 1, got 0.9")],
)
def test_settings_are_checked(settings, message):
    """A change that makes no image is refused by its name."""
    with pytest.raises(ValueError, match=message):
        Augmentation(**settings)
