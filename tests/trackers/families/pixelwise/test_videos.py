import dataclasses

import numpy as np
import pytest

from trackers.families.pixelwise import rois
from trackers.families.pixelwise.videos import Maps, half, make_maps
from trackers.masks import bounding_box
from trackers.sequence import Sequence
from trackers.training import Silent


def test_maps_are_the_squeezed_masks(films):
    """Of each video and frame: maps, boxes around masks, NaN where these are empty, frame sizes and names."""
    videos = films(3)
    masks = videos[1].regions.copy()
    masks[4] = False
    videos[1] = dataclasses.replace(videos[1], regions=masks)
    maps = Maps(make_maps(videos, 16, Silent()))
    assert maps.names == ("film0", "film1", "film2")
    assert maps.sizes.tolist() == [[64, 48]] * 3
    assert [maps.length(video) for video in range(3)] == [len(video) for video in videos]
    for number, video in enumerate(videos):
        np.testing.assert_array_equal(maps.boxes(number), bounding_box(video.regions))
        frames = np.array([len(video) - 1, 0, 4, 4])
        expected = [rois.squeezed(video.regions[t], 16) for t in frames]
        assert np.array_equal(maps.of(number, frames), expected)
    assert np.isnan(maps.boxes(1)[4]).all()


def test_videos_without_masks_are_refused():
    """Boxes and polygons are not what can be learnt from; the message names the video."""
    frames, boxes = np.zeros((3, 20, 30, 3), np.uint8), np.tile([3.0, 4, 5, 6], (3, 1))
    with pytest.raises(ValueError, match="sequence boxed: expected masks of the target to learn from, got boxes"):
        make_maps([Sequence("boxed", frames, boxes)], 16, Silent())
    with pytest.raises(ValueError, match="sequence poly: expected masks of the target to learn from, got polygons"):
        make_maps([Sequence("poly", frames, boxes, regions=np.zeros((3, 8)))], 16, Silent())


def test_a_video_that_never_shows_its_target_is_refused():
    """Empty masks alone teach nothing; the message names the video."""
    frames, masks = np.zeros((3, 20, 30, 3), np.uint8), np.zeros((3, 20, 30), bool)
    with pytest.raises(ValueError, match="sequence dark: expected a mask with at least one pixel of the target"):
        make_maps([Sequence("dark", frames, np.full((3, 4), np.nan), regions=masks)], 16, Silent())


def test_halves_are_disjoint_and_all():
    """Each video is in one half, whose sizes differ by at most 1; they are drawn by the seed."""
    names = [f"v{i}" for i in range(55)]
    one, two = half(names, 1, 7), half(names, 2, 7)
    assert sorted([*one, *two]) == sorted(names)
    assert abs(len(one) - len(two)) == 1
    assert half(reversed(names), 1, 7) == one
    assert half(names, 1, 8) != one


def test_one_video_cannot_be_halved():
    """Two models learn from two halves: there are two videos at least."""
    with pytest.raises(ValueError, match="expected at least two training videos for halves, got alone"):
        half(["alone"], 1, 0)
