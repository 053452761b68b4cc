from __future__ import annotations

import numpy as np
import pytest

from orchestrator import overlay
from trackers.benchmarks.videos import Video
from trackers.sequence import Sequence

ABSENT = [np.nan] * 4


def sequence(count=3, height=120, width=81):
    """Dark frames whose target, of 20 x 30 pixels, moves right by 10 in each, and is absent in the last."""
    boxes = np.array([[10.0 + 10 * t, 40, 20, 30] for t in range(count)])
    boxes[-1] = np.nan
    return Sequence("dark", np.full((count, height, width, 3), 40, np.uint8), boxes)


def coloured(image, colour):
    """The box around the pixels that are nearer to this colour than the codec's noise: first and last x and y."""
    y, x = np.nonzero(np.abs(image.astype(int) - colour).sum(2) < 120)
    return (x.min(), y.min(), x.max(), y.max()) if len(x) else None


def test_boxes_lie_where_they_were_said_to_be(tmp_path):
    """Small frames are enlarged by a whole number, and boxes are drawn around the same pixels; none where NaN."""
    boxes = np.array([[10.0, 40, 20, 30], [30, 50, 20, 30], ABSENT])
    done = []
    overlay.write(tmp_path / "new" / "dark.mp4", sequence(), {"a": boxes}, done.append)
    video = Video(tmp_path / "new" / "dark.mp4")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["dark.mp4"]
    assert (len(video), done) == (3, [1, 2, 3])
    assert video[0].shape == (overlay.LINE + 4 * 120, 4 * 81, 3)
    below = [video[t][overlay.LINE :] for t in range(3)]
    for t, box in enumerate(4 * boxes[:2]):
        corners = box[0], box[1], box[0] + box[2], box[1] + box[3]
        np.testing.assert_allclose(coloured(below[t], overlay.COLOURS[0]), corners, atol=3)
    assert coloured(below[2], overlay.COLOURS[0]) is None
    assert coloured(below[1], overlay.WHITE) is not None
    assert coloured(below[2], overlay.WHITE) is None


def test_odd_frames_of_different_sizes_make_one_video(tmp_path):
    """The picture is as large as the first frame, its sides made even; many names take several lines above it."""
    images = [np.full((501, 333, 3), 90, np.uint8), np.full((40, 700, 3), 90, np.uint8)]
    both = Sequence("sizes", images, np.array([[1.0, 2, 3, 4], ABSENT]))
    names = [f"a tracker {i}" for i in range(6)]
    overlay.write(tmp_path / "sizes.mp4", both, {name: np.full((2, 4), np.nan) for name in names})
    video = Video(tmp_path / "sizes.mp4")
    lines = (video[0].shape[0] - 501) // overlay.LINE
    assert lines > 1
    assert video[0].shape == (lines * overlay.LINE + 502 - lines * overlay.LINE % 2, 334, 3)
    second = video[1][lines * overlay.LINE :]
    assert second[:36, :320].mean() > 80
    assert second[44:].mean() < 10


def test_nothing_is_left_of_a_video_that_failed(tmp_path, monkeypatch):
    """Where a frame or the file cannot be read, no video appears, and one of that name stays as it was."""
    (tmp_path / "dark.mp4").write_bytes(b"before")
    broken = sequence()
    broken.frames[1] = 0  # what is written is right, what follows is not
    monkeypatch.setattr(overlay, "Video", lambda path: [None])
    with pytest.raises(OSError, match="dark.mp4: expected 3 frames to be read back from what was written, got 1"):
        overlay.write(tmp_path / "dark.mp4", broken, {})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_panels_stand_side_by_side(tmp_path):
    """Each tracker's box is in its own panel alone, one beside the other where frames are high, and names above."""
    boxes = np.array([[10.0, 40, 20, 30]] * 3)
    overlay.write(tmp_path / "a.mp4", sequence(), {"a": boxes, "b": boxes + [20, 0, 0, 0]}, fps=10.0, side_by_side=True)
    video = Video(tmp_path / "a.mp4")
    height, width, _ = video[2].shape
    assert width == 2 * 4 * 81
    below = video[2][height - 4 * 120 :]
    for panel, colour, x in ((below[:, : 4 * 81], 0, 10), (below[:, 4 * 81 :], 1, 30)):
        corners = 4 * x, 4 * 40, 4 * (x + 20), 4 * (40 + 30)
        np.testing.assert_allclose(coloured(panel, overlay.COLOURS[colour]), corners, atol=3)
        assert coloured(panel, overlay.COLOURS[1 - colour]) is None


def test_pictures_are_no_wider_than_a_screen():
    """Four large frames side by side are made smaller, two by two; small ones are enlarged by a whole number."""
    large = overlay.Page((1080, 1920), ("a", "b", "c", "d"), side_by_side=True)
    assert (large.columns, large.scale, large.frame) == (2, 0.5, (540, 960))
    small = overlay.Page((120, 100), ("a", "b"), side_by_side=True)
    assert (small.columns, small.scale) == (2, 4)
