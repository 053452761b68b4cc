from dataclasses import replace

import numpy as np
import pytest
import torch

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


@pytest.mark.slow  # torch's profiler takes two seconds to begin
def test_the_most_memory_is_that_of_what_is_held_at_once():
    """Of 8 MB that are given back before 12 and 4 are taken, the most is 16; what was there before does not count."""
    before = torch.ones(1_000_000)

    def work():
        torch.ones(2_000_000)
        kept = torch.ones(3_000_000)
        return kept[:1_000_000] + before

    assert pixelwise.most_memory(work, "cpu") == 16


@pytest.mark.slow
def test_checkpoints_save_memory():
    """Gradients in parts take less memory than all at once."""
    config = replace(SMALL, local=segmentation.Widths(16, 8, (16, 16, 16)), clips=Drawing(length=24))
    parts, whole = (pixelwise.training_memory("cpu", config, remembered) for remembered in (4, None))
    assert parts < whole / 2
