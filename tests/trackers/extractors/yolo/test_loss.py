import math

import pytest
import torch

from trackers.extractors.yolo.loss import loss

PARTS = ("coordinates", "confidence", "nothing", "classes")


def cells(images=1, S=2, B=2, C=3):
    """All zeros: class probabilities, confidences and boxes, then present, classes and truth of cells."""
    split = (torch.zeros(images, S, S, C), torch.zeros(images, S, S, B), torch.zeros(images, S, S, B, 4))
    shape = (images, S, S)
    return split, torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.long), torch.zeros(*shape, 4)


def one_object():
    """A 2 x 2 grid with an object of class 2 in the upper right cell, x 0.5, y 0.5 of it, sides of 0.25 and 0.16."""
    split, present, classes, truth = cells()
    present[0, 0, 1], classes[0, 0, 1] = True, 2
    truth[0, 0, 1] = torch.tensor([0.5, 0.5, 0.25, 0.16])
    return split, present, classes, truth


def parts(*arguments, **settings):
    return {name: float(value) for name, value in loss(*arguments, **settings).items()}


def test_all_terms_by_hand():
    """Equation 3, each term worked out on paper, one object and two predictors."""
    (classes, confidences, boxes), *rest = one_object()
    boxes[0, 0, 1, 0] = torch.tensor([0.5, 0.5, 0.5, 0.2])  # 0.25 x 0.04 of the image, inside of 0.25 x 0.16: 1/4
    boxes[0, 0, 1, 1] = torch.tensor([0.5, 0.5, 0.3, 0.4])  # 0.09 x 0.16: 0.36, responsible
    confidences[0, 0, 1] = torch.tensor([0.6, 0.2])
    confidences[0, 1, 0] = torch.tensor([0.1, 0.3])
    classes[0, 0, 1] = torch.tensor([0.5, 0.0, 0.4])
    classes[0, 1, 1] = 9.0  # without object, classes do not count
    found = parts((classes, confidences, boxes), *rest)
    expected = {
        "coordinates": 5 * (0.5 - 0.3) ** 2,
        "confidence": (0.2 - 0.36) ** 2,
        "nothing": 0.5 * (0.6**2 + 0.1**2 + 0.3**2),
        "classes": 0.5**2 + 0.6**2,
    }
    assert found == pytest.approx({"loss": sum(expected.values()), **expected})
    scaled = parts((classes, confidences, boxes), *rest, coordinates=1.0, nothing=2.0)
    assert scaled["coordinates"] == pytest.approx(0.04)
    assert scaled["nothing"] == pytest.approx(2 * 0.46)


def test_coordinates_are_of_cells_and_roots():
    """x and y count in units of the cell, width and height as square roots."""
    (classes, confidences, boxes), *rest = one_object()
    boxes[0, 0, 1] = torch.tensor([0.6, 0.2, 0.4, 0.7])
    found = parts((classes, confidences, boxes), *rest)
    assert found["coordinates"] == pytest.approx(5 * (0.1**2 + 0.3**2 + 0.1**2 + 0.3**2))


def test_where_none_overlaps_the_nearest_is_responsible():
    """Without overlap the predictor of the least squared distance in the image learns, towards a confidence of 0."""
    (classes, confidences, boxes), *rest = one_object()
    boxes[0, 0, 1, 0] = torch.tensor([5.0, 5.0, 0.1, 0.1])
    boxes[0, 0, 1, 1] = torch.tensor([2.5, 0.5, 0.5, 0.4])
    confidences[0, 0, 1] = torch.tensor([0.3, 0.7])
    found = parts((classes, confidences, boxes), *rest)
    assert found["coordinates"] == pytest.approx(5 * 2.0**2)
    assert found["confidence"] == pytest.approx(0.7**2)
    assert found["nothing"] == pytest.approx(0.5 * 0.3**2)


def test_a_perfect_answer_costs_nothing():
    """The object's own box, confidence 1 and class, and nothing elsewhere."""
    (classes, confidences, boxes), *rest = one_object()
    boxes[0, 0, 1, 1] = torch.tensor([0.5, 0.5, 0.5, 0.4])
    confidences[0, 0, 1, 1] = 1.0
    classes[0, 0, 1, 2] = 1.0
    assert parts((classes, confidences, boxes), *rest)["loss"] == pytest.approx(0, abs=1e-10)


def test_an_image_without_objects_costs_its_confidences():
    """Boxes and classes of empty cells are free, whatever they are; they get no gradient."""
    (classes, confidences, boxes), *rest = cells()
    split = (classes + 3, (confidences + 0.5).requires_grad_(), (boxes + 7).requires_grad_())
    found = loss(split, *rest)
    assert found["loss"].item() == pytest.approx(0.5 * 8 * 0.25)
    found["loss"].backward()
    assert not split[2].grad.any()
    assert split[1].grad.all()


def test_confidence_has_a_constant_target():
    """The overlap that a confidence is to be is a number: boxes do not learn from it."""
    (classes, confidences, boxes), *rest = one_object()
    boxes[0, 0, 1] = torch.tensor([0.5, 0.5, 0.5, 0.3])
    boxes.requires_grad_()
    loss((classes, confidences, boxes), *rest, coordinates=0.0)["loss"].backward()
    assert not boxes.grad.any()


def test_the_mean_is_over_images():
    """Of a batch, the loss is the mean of its images' losses."""
    torch.manual_seed(0)
    _, present, classes, truth = cells(3)
    split = (torch.rand(3, 2, 2, 3), torch.rand(3, 2, 2, 2), torch.rand(3, 2, 2, 2, 4))
    present[0, 1, 1] = present[2, 0, 0] = present[2, 1, 0] = True
    classes += 1
    truth += 0.3
    whole = parts(split, present, classes, truth)
    each = [
        parts(tuple(p[i : i + 1] for p in split), present[i : i + 1], classes[i : i + 1], truth[i : i + 1])
        for i in range(3)
    ]
    for name in ("loss", *PARTS):
        assert whole[name] == pytest.approx(math.fsum(one[name] for one in each) / 3, rel=1e-5)
