import numpy as np
import torch

from orchestrator.speed import rolo
from trackers.backbones import yolo as network
from trackers.extractors import yolo


def test_both_sides_train_on_the_same(tmp_path, monkeypatch):
    """What is measured is the same work: windows from the cache are those that the detector sees again, bit for bit.

    Each has as many different frames, and in each the detector finds the target.
    """
    config = yolo.Config(network=network.Config("miniature", width=1 / 32, features=12, grid=3))
    see = yolo.extractor(config, rolo.pointing(config.network), "cpu")
    videos = rolo.sequences(2, 8, (96, 72))
    cache = rolo.seen(videos, see, tmp_path / "cache")
    runs = []
    monkeypatch.setattr(rolo.SeenAgain, "__getitem__", counted(rolo.SeenAgain.__getitem__, runs))
    ours, other = (rolo.windows(videos, cache, 5, looks).batch(0, "cpu") for looks in (None, see))
    for mine, again in zip(ours, other, strict=True):
        assert torch.equal(mine, again)
    assert [len(set(numbers)) for numbers in runs] == [rolo.STEPS] * 5
    visual, detections, locations = ours
    assert visual.shape == (5, 6, 12)
    assert visual.std() > 0
    np.testing.assert_allclose(detections[..., 1:5], locations[:, None].expand(5, 6, 4), atol=1e-6)


def counted(call, runs):
    """The same call, which notes what it was asked for."""

    def counting(self, numbers):
        runs.append(numbers.tolist())
        return call(self, numbers)

    return counting
