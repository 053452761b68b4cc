import sys

import numpy as np
import pytest

from orchestrator.speed import pixelwise
from trackers.backbones import vgg16
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.pixelwise import Config, attention, segmentation
from trackers.families.pixelwise.clips import Drawing

SMALL = Config(
    backbone=vgg16.Config((2, 2, 4, 4, 4)),
    size=32,
    map_size=16,
    local=segmentation.Widths(4, 2, (2, 2, 2)),
    attention=attention.Widths((2, 2), 2, 4),
    clips=Drawing(length=6),
)


def test_the_tracker_looks_where_the_target_is():
    """What is measured is tracking: lanes stay lively, and ROIs in the middle of frames, where the target is."""
    tracker = pixelwise.two_stage("cpu", SMALL)
    videos = pixelwise.videos(3, 4, (96, 72))
    runs = list(follow(tracker, one_pass, videos, 2, readers=0))
    assert [run.region(3).shape for run in runs] == [(72, 96)] * 3
    window = tracker.found[0].window
    assert (window[:2] + window[2:] / 2).tolist() == [48, 36]


def test_both_sides_train_on_clips_of_the_same_videos():
    """Minibatches of either side are of one shape, of each video once, and show the target in all of its frames."""
    for source in pixelwise.clips("cpu", SMALL):
        clips = source.batch(pixelwise.BATCH, np.random.default_rng(0))
        assert clips.features.shape == (6, pixelwise.BATCH, 4, 2, 2)
        assert clips.masks.shape == (6, pixelwise.BATCH, 32, 32)
        assert sorted(clips.videos.tolist()) == list(range(pixelwise.BATCH))
        assert clips.masks.flatten(2).any(2).all()
        assert clips.features.std() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, which tells the peak of memory")
def test_peaks_are_forgotten():
    """The peak is the most memory there was since it was last forgotten, not what is left of it."""
    pixelwise.forget_peak("cpu")
    before = pixelwise.peak("cpu")
    taken = np.ones(100_000_000, np.uint8)
    del taken
    grown = pixelwise.peak("cpu")
    pixelwise.forget_peak("cpu")
    assert grown > before + 80
    assert pixelwise.peak("cpu") < grown - 80
