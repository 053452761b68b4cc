"""Clips written in the layouts of the benchmarks, as real copies of them lie on disk.

Every function writes clips, by name, below a folder that it makes where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from trackers.sequence import Image
from trackers.synthetic.sprites import OTB, UAV123, Clip, Picture

QUALITY = 80  # of the JPEG files
DELIMITERS = (",", "\t", " ")  # of the rows of OTB, which differ from sequence to sequence


def write_otb(
    folder: Path,
    clips: Mapping[str, Clip],
    delimiters: tuple[str, ...] = DELIMITERS,
    first: Mapping[str, int] | None = None,
) -> None:
    """OTB: `<name>/img/0001.jpg`, `<name>/groundtruth_rect.txt`, `<name>/attrs.txt`; delimiters in turn.

    first: number of the first image, of the sequences where that is not 1.
    Clips named `<name>.1`, `<name>.2` are targets of one video, with the same frames: they share the folder
    `<name>`, in which each has its `groundtruth_rect.<number>.txt`. Boxes are whole numbers from 1 on.
    """
    written = set()
    for i, (name, clip) in enumerate(clips.items()):
        video, dot, number = name.partition(".")
        if video not in written:
            written.add(video)
            _write_frames(folder / video / "img", clip.frames, 4, (first or {}).get(video, 1))
            (folder / video / "attrs.txt").write_text(", ".join(c for c in OTB if c in clip.attributes))
        rows = _rows(_whole_numbers(clip.boxes), delimiters[i % len(delimiters)], "%d")
        (folder / video / f"groundtruth_rect{dot}{number}.txt").write_text(rows)


def write_vot(folder: Path, clips: Mapping[str, Clip], tags: str = "tag", masks: bool = False) -> None:
    """VOT 2014 to 2016: `list.txt`, `<name>/00000001.jpg`, `<name>/groundtruth.txt` of 8 numbers a row.

    tags: the suffix of the files of the tags, "label" in 2014. masks: also `masks/<name>/00000001.png`,
    of 0 and 255.
    """
    for name, clip in clips.items():
        _write_frames(folder / name, clip.frames, 8)
        (folder / name / "groundtruth.txt").write_text(_rows(clip.polygons, ",", "%.3f"))
        for tag, marked in clip.tags.items():
            (folder / name / f"{tag}.{tags}").write_text(_rows(marked[:, None].astype(int), ",", "%d"))
        if masks:
            _write_masks(folder / "masks" / name, clip.visible, 8, 1)
    _write_list(folder / "list.txt", clips)


def write_alov(folder: Path, clips: Mapping[str, Clip], every: int = 5) -> None:
    """ALOV300++: `imagedata++/<category>/<name>/00000001.jpg`, and `<name>.ann` for each with every 5th frame.

    A name is its category and a number: `01-Light_video00001`. A row is a number of a frame, from 1 on, and
    the corners of a box, the top right one first.
    """
    for name, clip in clips.items():
        category = name.partition("_")[0]
        _write_frames(folder / "imagedata++" / category / name, clip.frames, 8)
        x, y, width, height = (clip.boxes + [1, 1, 0, 0]).T
        right, bottom = x + width, y + height
        rows = np.stack([np.arange(1, len(clip) + 1), right, y, x, y, x, bottom, right, bottom], -1)[::every]
        annotations = folder / "alov300++_rectangleAnnotation_full" / category
        annotations.mkdir(parents=True, exist_ok=True)
        (annotations / f"{name}.ann").write_text(_rows(rows[~np.isnan(rows).any(1)], " ", "%.5g"))


def write_imagenet_det(folder: Path, pictures: Mapping[str, Picture], split: str = "train") -> None:
    """ImageNet DET: `Data/DET/<split>/<name>.JPEG` and `Annotations/DET/<split>/<name>.xml`.

    A name may have folders: `ILSVRC2013_train/disc/disc_1`.
    """
    for name, picture in pictures.items():
        image = folder / "Data" / "DET" / split / f"{name}.JPEG"
        annotation = folder / "Annotations" / "DET" / split / f"{name}.xml"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(_jpeg(picture.image))
        annotation.write_text(
            _xml(image.stem.rpartition("_")[0], image.stem, "ILSVRC_2013", picture, _corners(picture))
        )


def write_voc(folder: Path, pictures: Mapping[str, Picture]) -> None:
    """Pascal VOC: `JPEGImages/<name>.jpg` and `Annotations/<name>.xml`.

    Corners are whole pixels from 1 on, none beyond the image's last.
    """
    for part in ("Annotations", "JPEGImages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        height, width, _ = picture.image.shape
        corners = np.minimum(_corners(picture) + 1, [width, height] * 2)
        (folder / "JPEGImages" / f"{name}.jpg").write_bytes(_jpeg(picture.image))
        (folder / "Annotations" / f"{name}.xml").write_text(
            _xml("VOC2007", f"{name}.jpg", "The VOC2007 Database", picture, corners)
        )


def write_temple(folder: Path, clips: Mapping[str, Clip]) -> None:
    """Temple-color-128: `<name>/img/0001.jpg`, `<name>/<name>_gt.txt`, `<name>/<name>_frames.txt` and `_att.txt`."""
    for name, clip in clips.items():
        _write_frames(folder / name / "img", clip.frames, 4)
        (folder / name / f"{name}_gt.txt").write_text(_rows(_whole_numbers(clip.boxes), ",", "%d"))
        (folder / name / f"{name}_frames.txt").write_text(f"1,{len(clip)}\n")
        (folder / name / f"{name}_att.txt").write_text(", ".join(c for c in OTB if c in clip.attributes))


def write_uav123(
    folder: Path, clips: Mapping[str, Clip], videos: Mapping[str, str] | None = None, part: str = "UAV123"
) -> None:
    """UAV123: `data_seq/<part>/<video>/000001.jpg`, `anno/<part>/<name>.txt` and its 12 flags in `anno/<part>/att`.

    videos: the folder of a clip's frames, where that is not its own name. NaN where the target is out of view.
    """
    attributes = folder / "anno" / part / "att"
    attributes.mkdir(parents=True, exist_ok=True)
    for name, clip in clips.items():
        _write_frames(folder / "data_seq" / part / (videos or {}).get(name, name), clip.frames, 6)
        rows = np.rint(clip.boxes + [1, 1, 0, 0])
        (attributes.parent / f"{name}.txt").write_text(_rows(rows, ",", "%.0f").replace("nan", "NaN"))
        (attributes / f"{name}.txt").write_text(",".join(str(int(code in clip.attributes)) for code in UAV123) + "\n")


def write_got10k(folder: Path, clips: Mapping[str, Clip], split: str = "val") -> None:
    """GOT-10k: `<split>/list.txt`, `<split>/<name>/00000001.jpg`, `groundtruth.txt`, three labels, `meta_info.ini`."""
    for name, clip in clips.items():
        home = folder / split / name
        _write_frames(home, clip.frames, 8)
        absent = np.isnan(clip.boxes[:, 0])
        cover = np.where(absent, 0, np.rint(8 * clip.inside * (1 - clip.occlusion)))
        (home / "groundtruth.txt").write_text(_rows(np.nan_to_num(clip.boxes + [1, 1, 0, 0]), ",", "%.4f"))
        for label, values in {"absence": absent, "cover": cover, "cut_by_image": clip.inside < 1}.items():
            (home / f"{label}.label").write_text(_rows(values[:, None].astype(int), ",", "%d"))
        (home / "meta_info.ini").write_text(
            "[METAINFO]\nurl: none\nbegin: 00:00:00\nend: 00:00:05\nanno_fps: 10Hz\n"
            f"object_class: {clip.label}\nmotion_class: moving\nmajor_class: sprite\nroot_class: object\n"
            f"motion_adverb: steadily\nresolution: ({clip.frames.shape[2]}, {clip.frames.shape[1]})\n"
        )
    _write_list(folder / split / "list.txt", clips)


def write_lasot(folder: Path, clips: Mapping[str, Clip]) -> None:
    """LaSOT: `<class>/<class>-1/img/00000001.jpg`, `groundtruth.txt`, `full_occlusion.txt`, `out_of_view.txt`.

    A name is its class and a number: `disc-1`.
    """
    for name, clip in clips.items():
        home = folder / name.rpartition("-")[0] / name
        _write_frames(home / "img", clip.frames, 8)
        (home / "groundtruth.txt").write_text(_rows(_whole_numbers(clip.boxes), ",", "%d"))
        (home / "nlp.txt").write_text(f"a {clip.label} that moves\n")
        for label, marked in {
            "full_occlusion": clip.occlusion > 0.98,
            "out_of_view": np.isnan(clip.boxes[:, 0]),
        }.items():
            (home / f"{label}.txt").write_text(",".join(str(int(mark)) for mark in marked) + "\n")


def write_davis(folder: Path, clips: Mapping[str, Clip], subset: str = "val") -> None:
    """DAVIS 2016: `JPEGImages/480p/<name>/00000.jpg`, `Annotations/480p/<name>/00000.png` of 0 and 255, a list."""
    rows = []
    for name, clip in clips.items():
        _write_frames(folder / "JPEGImages" / "480p" / name, clip.frames, 5, 0)
        _write_masks(folder / "Annotations" / "480p" / name, clip.visible, 5, 0)
        rows += [f"/JPEGImages/480p/{name}/{t:05d}.jpg /Annotations/480p/{name}/{t:05d}.png" for t in range(len(clip))]
    _write_list(folder / "ImageSets" / "480p" / f"{subset}.txt", rows)


def write_video(folder: Path, clips: Mapping[str, Clip]) -> None:
    """Video files: `<name>.avi` of motion JPEG, and `<name>.txt`, a box a row, from 0 on.

    Raises OSError where this OpenCV writes no such files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, clip in clips.items():
        path = folder / f"{name}.avi"
        size = (clip.frames.shape[2], clip.frames.shape[1])
        writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, size)
        if not writer.isOpened():
            raise OSError(f"{path}: expected an OpenCV that writes motion JPEG, got one that does not")
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, QUALITY)
        for frame in clip.frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        (folder / f"{name}.txt").write_text(_rows(clip.boxes, ",", "%.2f"))


def _write_frames(folder: Path, frames: np.ndarray, digits: int, first: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        (folder / f"{number:0{digits}d}.jpg").write_bytes(_jpeg(frame))


def _write_masks(folder: Path, masks: np.ndarray, digits: int, first: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks, first):
        content = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1]
        (folder / f"{number:0{digits}d}.png").write_bytes(content.tobytes())


def _write_list(path: Path, rows: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def _jpeg(image: Image) -> bytes:
    """A file of one channel where the image is grey, as the grey sequences of OTB are."""
    grey = (image == image[..., :1]).all()
    content = image[..., 0] if grey else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", content, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _rows(values: np.ndarray, delimiter: str, form: str) -> str:
    return "".join(delimiter.join(form % value for value in row) + "\n" for row in values)


def _whole_numbers(boxes: np.ndarray) -> np.ndarray:
    """Boxes whose first pixel is numbered 1, of whole pixels; 0, 0, 0, 0 where the target is absent."""
    edges = np.rint(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1))
    sides = np.maximum(edges[:, 2:] - edges[:, :2], 1)
    return np.nan_to_num(np.concatenate([edges[:, :2] + 1, sides], 1)).astype(int)


def _corners(picture: Picture) -> np.ndarray:
    """(objects, 4): left, top, right and bottom of each, whole numbers from 0 on."""
    return np.rint(np.concatenate([picture.boxes[:, :2], picture.boxes[:, :2] + picture.boxes[:, 2:]], 1))


def _xml(folder: str, file: str, database: str, picture: Picture, corners: np.ndarray) -> str:
    height, width, _ = picture.image.shape
    objects = "".join(
        f"\t<object>\n\t\t<name>{label}</name>\n\t\t<bndbox>\n\t\t\t<xmin>{left:.0f}</xmin>\n"
        f"\t\t\t<ymin>{top:.0f}</ymin>\n\t\t\t<xmax>{right:.0f}</xmax>\n\t\t\t<ymax>{bottom:.0f}</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n"
        for label, (left, top, right, bottom) in zip(picture.labels, corners, strict=True)
    )
    return (
        f"<annotation>\n\t<folder>{folder}</folder>\n\t<filename>{file}</filename>\n"
        f"\t<source>\n\t\t<database>{database}</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )
