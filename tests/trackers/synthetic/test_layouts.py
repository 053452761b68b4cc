import cv2
import numpy as np
import pytest

from trackers import boxes
from trackers.benchmarks import alov, davis, got10k, imagenet_det, lasot, otb, plain, temple, uav123, vot
from trackers.synthetic import layouts
from trackers.synthetic.sprites import OTB, TAGS, UAV123, Scene, picture, render

SCENE = Scene("star", ("OV", "SV", "CM"), 18, (64, 48), 14.0)
ODD = Scene("gear", ("POC", "LR", "IV"), 12, (64, 48), 14.0, grey=True)
STAY = Scene("cross", ("IPR", "FOC"), 16, (64, 48), 14.0)


@pytest.fixture(scope="module")
def clips():
    return {"One": render(SCENE, 1), "Two": render(ODD, 2)}


@pytest.fixture(scope="module")
def staying():
    return {"one": render(STAY, 1), "two": render(ODD, 2)}


def opened(module, root, **settings):
    return {sequence.name: sequence for sequence in module.open(module.Config(**settings), root, "made")}


def same_images(frames, clip):
    """JPEG changes the pixels a little, and nothing else."""
    return len(frames) == len(clip) and all(
        cv2.PSNR(np.ascontiguousarray(frames[t]), np.ascontiguousarray(clip.frames[t])) > 24 for t in range(len(clip))
    )


def test_otb(tmp_path, clips):
    """OTB gives back boxes to half a pixel, absence, attributes and frames; delimiters differ, grey images are grey."""
    layouts.write_otb(tmp_path, clips, first={"Two": 7})
    found = opened(otb, tmp_path)
    for name, clip in clips.items():
        assert same_images(found[name].frames, clip)
        assert np.array_equal(np.isnan(found[name].groundtruth), np.isnan(clip.boxes))
        assert found[name].groundtruth == pytest.approx(clip.boxes, abs=1.01, nan_ok=True)
        assert found[name].attributes == tuple(code for code in OTB if code in clip.attributes)
    assert np.isnan(found["One"].groundtruth).any()
    assert "," in (tmp_path / "One" / "groundtruth_rect.txt").read_text()
    assert "\t" in (tmp_path / "Two" / "groundtruth_rect.txt").read_text()
    assert cv2.imread(str(tmp_path / "Two" / "img" / "0007.jpg"), cv2.IMREAD_UNCHANGED).ndim == 2


def test_two_targets_in_one_folder(tmp_path):
    """Two clips of one video share its images, and are read as two sequences."""
    targets = [render(STAY, 3, follow) for follow in (0, 1)]
    layouts.write_otb(tmp_path, {"Pair.1": targets[0], "Pair.2": targets[1]})
    assert [path.name for path in tmp_path.iterdir()] == ["Pair"]
    found = opened(otb, tmp_path)
    for name, clip in zip(("Pair-1", "Pair-2"), targets, strict=True):
        assert found[name].groundtruth == pytest.approx(clip.boxes, abs=1.01, nan_ok=True)


@pytest.mark.parametrize("tags", ["tag", "label"])
def test_vot(tmp_path, staying, tags):
    """VOT gives back polygons to the last printed digit, tags of each frame, and the order of the sequences."""
    layouts.write_vot(tmp_path, dict(reversed(staying.items())), tags)
    found = opened(vot, tmp_path)
    assert list(found) == ["two", "one"]
    for name, clip in staying.items():
        assert same_images(found[name].frames, clip)
        assert np.array([*found[name].regions]) == pytest.approx(clip.polygons, abs=6e-4)
        for tag in TAGS:
            assert np.array_equal(found[name].tags[tag], clip.tags[tag])


def test_vot_masks(tmp_path, staying):
    """VOT's segmentations give back the visible pixels exactly."""
    layouts.write_vot(tmp_path, staying, masks=True)
    for name, sequence in opened(vot, tmp_path, regions="masks").items():
        for t, mask in enumerate(staying[name].visible):
            assert np.array_equal(sequence.region(t), mask)


def test_alov(tmp_path, clips):
    """ALOV gives back every fifth box, of the frames where there is one; the others are not labelled."""
    named = {f"01-Light_video0000{i}": clip for i, clip in enumerate(clips.values(), 1)}
    layouts.write_alov(tmp_path, named)
    found = opened(alov, tmp_path)
    for name, clip in named.items():
        expected = (np.arange(len(clip)) % 5 == 0) & ~np.isnan(clip.boxes[:, 0])
        assert np.array_equal(found[name].labelled, expected)
        assert found[name].groundtruth[expected] == pytest.approx(clip.boxes[expected], abs=0.01)
        assert found[name].attributes == ("01-Light",)
        assert same_images(found[name].frames, clip)


def test_imagenet_det(tmp_path):
    """ImageNet DET gives back each object's class and box, to half a pixel."""
    pictures = {f"some/star_{seed}": picture(["star", "disc"], (80, 60), seed) for seed in range(3)}
    layouts.write_imagenet_det(tmp_path, pictures)
    found = opened(imagenet_det, tmp_path, largest=None)
    for name, shown in pictures.items():
        stem = name.rpartition("/")[2]
        objects = [sequence for title, sequence in found.items() if title.partition(".")[0] == stem]
        assert tuple(sequence.label for sequence in objects) == shown.labels
        assert np.concatenate([sequence.groundtruth for sequence in objects]) == pytest.approx(shown.boxes, abs=1.01)
        assert objects[0].frames[0].shape == (60, 80, 3)


def test_voc(tmp_path):
    """Pascal VOC gives back each object's class, and corners to half a pixel, or one at the image's border."""
    pictures = {f"{seed:06d}": picture(["star", "disc", "gear"], (80, 60), seed, (0.4, 0.9)) for seed in range(6)}
    layouts.write_voc(tmp_path, pictures)
    found = opened(imagenet_det, tmp_path, largest=None, origin=1)
    border = False
    for name, shown in pictures.items():
        objects = [sequence for title, sequence in found.items() if title.partition(".")[0] == name]
        assert tuple(sequence.label for sequence in objects) == shown.labels
        read = np.concatenate([sequence.groundtruth for sequence in objects])
        expected, far = shown.boxes[:, :2] + shown.boxes[:, 2:], read[:, :2] + read[:, 2:]
        at_border = expected > [79.5, 59.5]
        assert read[:, :2] == pytest.approx(shown.boxes[:, :2], abs=0.5)
        assert far[~at_border] == pytest.approx(expected[~at_border], abs=0.5)
        assert (far[at_border] == np.broadcast_to([79, 59], far.shape)[at_border]).all()
        assert objects[0].frames[0].shape == (60, 80, 3)
        border |= at_border.any()
    assert border
    xml = (tmp_path / "Annotations" / "000000.xml").read_text()
    assert "<filename>000000.jpg</filename>" in xml


def test_temple(tmp_path, clips):
    """Temple-color-128 gives back boxes to half a pixel, and attributes."""
    layouts.write_temple(tmp_path, clips)
    found = opened(temple, tmp_path)
    for name, clip in clips.items():
        assert found[name].groundtruth == pytest.approx(clip.boxes, abs=1.01, nan_ok=True)
        assert found[name].attributes == tuple(code for code in OTB if code in clip.attributes)
        assert same_images(found[name].frames, clip)


def test_uav123(tmp_path):
    """UAV123 gives back boxes, NaN where the target is out of view, its twelve attributes, and a part of a video."""
    long = render(Scene("crescent", ("OV", "LR"), 85, (48, 40), 10.0), 0)
    short = render(SCENE, 1)
    layouts.write_uav123(tmp_path, {"bird1_1": long, "uav6": short}, {"bird1_1": "bird1"}, "UAV123_10fps")
    found = opened(uav123, tmp_path, version="uav123_10fps")
    for name, clip in {"bird1_1": long, "uav6": short}.items():
        assert found[name].groundtruth == pytest.approx(clip.boxes, abs=1.01, nan_ok=True)
        assert found[name].attributes == tuple(code for code in UAV123 if code in clip.attributes)
        assert same_images(found[name].frames, clip)
    assert "NaN,NaN,NaN,NaN" in (tmp_path / "anno" / "UAV123_10fps" / "bird1_1.txt").read_text()


def test_got10k(tmp_path, clips):
    """GOT-10k gives back boxes to the last printed digit, absence, cover, cuts at the border, and the class."""
    layouts.write_got10k(tmp_path, clips)
    found = opened(got10k, tmp_path / "val")
    for name, clip in clips.items():
        assert found[name].groundtruth == pytest.approx(clip.boxes, abs=6e-5, nan_ok=True)
        assert np.array_equal(found[name].tags["absence"], np.isnan(clip.boxes[:, 0]))
        assert np.array_equal(found[name].tags["cut_by_image"], clip.inside < 1)
        assert found[name].label == clip.label
        assert found[name].size == (64, 48)
        assert same_images(found[name].frames, clip)


def test_lasot(tmp_path, clips):
    """LaSOT gives back boxes to half a pixel, none where the target cannot be seen, and why."""
    named = {"star-1": clips["One"], "gear-2": clips["Two"]}
    layouts.write_lasot(tmp_path, named)
    found = opened(lasot, tmp_path)
    for name, clip in named.items():
        gone = np.isnan(clip.boxes[:, 0])
        assert np.array_equal(found[name].tags["out_of_view"], gone)
        assert np.array_equal(found[name].tags["full_occlusion"], clip.occlusion > 0.98)
        seen = ~found[name].tags["absent"]
        assert found[name].groundtruth[seen] == pytest.approx(clip.boxes[seen], abs=1.01)
        assert found[name].label == clip.label
        assert same_images(found[name].frames, clip)


def test_davis(tmp_path, clips):
    """DAVIS gives back the visible pixels exactly, and those videos that its list names."""
    layouts.write_davis(tmp_path, clips, "train")
    found = opened(davis, tmp_path, subset="480p/train")
    assert set(found) == set(clips)
    for name, clip in clips.items():
        assert same_images(found[name].frames, clip)
        for t, mask in enumerate(clip.visible):
            assert np.array_equal(found[name].region(t), mask)


def test_video(tmp_path, clips):
    """A video file gives back its frames and the boxes beside it."""
    layouts.write_video(tmp_path, clips)
    found = opened(plain, tmp_path)
    for name, clip in clips.items():
        assert same_images(found[name].frames, clip)
        overlap = boxes.iou(found[name].groundtruth, clip.boxes)
        assert np.nanmin(overlap) > 0.98
        assert np.array_equal(np.isnan(overlap), np.isnan(clip.boxes[:, 0]))
