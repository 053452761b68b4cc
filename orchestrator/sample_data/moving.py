"""What moves in the sample data: the scenes of every benchmark, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trackers.synthetic import layouts, shapes
from trackers.synthetic.sprites import Clip, Scene, picture, render

# Names of OTB's kind: the class with a capital letter.
OTB = {
    "Disc": Scene("disc", ("IV", "FM"), 60),
    "Ring": Scene("ring", ("OPR", "SV"), 50),
    "Square": Scene("square", ("SV", "IPR", "MB"), 50),
    "Triangle": Scene("triangle", ("POC", "CM"), 60),
    "Diamond": Scene("diamond", ("DEF", "SOB"), 50, distractors=2),
    "Cross": Scene("cross", ("MB", "CM"), 40, grey=True),
    "Star": Scene("star", ("FM", "OV"), 50),
    "Crescent": Scene("crescent", ("OV", "IV"), 50),
    "Hourglass": Scene("hourglass", ("BC", "OPR"), 60),
    "Gear": Scene("gear", ("LR", "IPR", "BC"), 50, distractors=2),
}
PAIR = Scene("arrow", ("SOB", "POC"), 40)  # two targets in one video
LATE = Scene("letter", ("FOC", "DEF"), 40)  # its first image is not number 1
OFTEN = ("disc", "square", "star", "gear")  # classes of which ALOV's sample has many videos; of the others, one each
RARELY = tuple(label for label in shapes.LABELS if label not in OFTEN)
VOT2014 = {  # the same happens to classes that are often trained, above, and to those that rarely are, below
    "disc1": Scene("disc", ("CM", "POC"), 40),
    "disc2": Scene("disc", ("IV", "SV"), 40),
    "square1": Scene("square", ("IV", "CM"), 40),
    "square2": Scene("square", ("DEF", "FM"), 40),
    "star1": Scene("star", ("POC", "IPR"), 40),
    "star2": Scene("star", ("SV", "BC"), 40),
    "gear1": Scene("gear", ("SOB", "CM"), 40, distractors=2),
    "gear2": Scene("gear", ("OPR", "FOC"), 40),
    "ring": Scene("ring", ("CM", "POC"), 40),
    "triangle": Scene("triangle", ("IV", "SV"), 40),
    "diamond": Scene("diamond", ("IV", "CM"), 40),
    "cross": Scene("cross", ("DEF", "FM"), 40),
    "arrow": Scene("arrow", ("POC", "IPR"), 40),
    "crescent": Scene("crescent", ("SV", "BC"), 40),
    "hourglass": Scene("hourglass", ("SOB", "CM"), 40, distractors=2),
    "letter": Scene("letter", ("OPR", "FOC"), 40),
}
VOT2016 = {  # as many as ten folds need, and two more; the short ones below are for those who learn from them
    "disc1": Scene("disc", ("SV", "CM"), 45),
    "ring1": Scene("ring", ("IV", "FM"), 40),
    "square1": Scene("square", ("IPR",), 45),
    "triangle1": Scene("triangle", ("OPR", "SOB"), 40, distractors=2),
    "diamond1": Scene("diamond", ("POC", "SV"), 45),
    "cross1": Scene("cross", ("DEF", "CM"), 40),
    "star1": Scene("star", ("BC", "IPR"), 45),
    "arrow1": Scene("arrow", ("IPR", "SV", "CM"), 40),
    "crescent1": Scene("crescent", ("MB",), 40),
    "hourglass1": Scene("hourglass", ("FOC",), 45),
    "gear1": Scene("gear", ("LR", "CM"), 40),
    "letter1": Scene("letter", ("FM", "IV"), 40),
    "disc2": Scene("disc", ("DEF", "CM"), 25),
    "ring2": Scene("ring", ("SV", "CM"), 25),
    "square2": Scene("square", ("BC", "SV"), 25),
    "triangle2": Scene("triangle", ("IPR", "CM"), 25),
    "diamond2": Scene("diamond", ("FM", "IV"), 25),
    "cross2": Scene("cross", ("OPR",), 25, distractors=2),
    "star2": Scene("star", ("SV", "MB"), 25),
    "arrow2": Scene("arrow", ("POC", "CM"), 25),
    "crescent2": Scene("crescent", ("SV", "IPR"), 25),
    "hourglass2": Scene("hourglass", ("SOB", "CM"), 25),
    "gear2": Scene("gear", ("SV", "BC"), 25),
    "letter2": Scene("letter", ("OPR", "CM"), 25),
    "disc3": Scene("disc", ("FM", "MB"), 25),
    "ring3": Scene("ring", ("OPR", "IV"), 25),
    "square3": Scene("square", ("POC", "CM"), 25),
    "triangle3": Scene("triangle", ("SV", "FM"), 25),
    "diamond3": Scene("diamond", ("IPR", "SOB"), 25, distractors=2),
    "cross3": Scene("cross", ("SV", "IPR"), 25),
    "star3": Scene("star", ("DEF", "CM"), 25),
    "arrow3": Scene("arrow", ("SV", "BC"), 25),
    "crescent3": Scene("crescent", ("POC", "IV"), 25),
    "hourglass3": Scene("hourglass", ("SV", "CM"), 25),
    "gear3": Scene("gear", ("FM", "IPR"), 25),
    "letter3": Scene("letter", ("SV", "DEF"), 25),
}
ALOV = {  # what happens in the videos of a category
    "01-Light": ("IV",),
    "05-Shape": ("DEF",),
    "06-MotionSmoothness": ("MB",),
    "08-Clutter": ("BC",),
    "09-Confusion": ("SOB",),
    "11-Occlusion": ("POC",),
    "12-MovingCamera": ("CM", "IPR"),
    "13-ZoomingCamera": ("SV",),
}
SLOW = 0.05  # sides a frame: of ALOV every 5th frame is labelled, and training looks from one to the next
PICTURES = 180
CLOSE = 6  # every so many of them show things that fill them
DETECTED = 600  # pictures from which to learn to detect


def write_otb(folder: Path) -> None:
    """12 sequences; Arrow has two targets, Letter begins at image 8, Cross is grey."""
    clips = _render(OTB, 1000)
    pair = {f"Arrow.{target + 1}": render(PAIR, 1100, target) for target in range(2)}
    layouts.write_otb(folder, {**clips, **pair, "Letter": render(LATE, 1101)}, first={"Letter": 8})


def write_vot2014(folder: Path) -> None:
    """16 sequences, with .label files: 8 of the classes that are often trained, 8 of the others."""
    layouts.write_vot(folder, _render(VOT2014, 2000), tags="label")


def write_vot2016(folder: Path) -> None:
    """36 sequences, with .tag files and segmentations in masks/."""
    layouts.write_vot(folder, _render(VOT2016, 3000), masks=True)


def alov_scenes() -> dict[str, Scene]:
    """40 short videos of 8 categories: each class of `OFTEN` once in every category, each other class once in all.

    The order changes from category to category, as the last video of each is the reader's validation data:
    that is never the only one of its class.
    """
    scenes = {}
    for i, (category, challenges) in enumerate(ALOV.items()):
        turn = i % len(OFTEN)
        for number, label in enumerate([RARELY[i], *OFTEN[turn:], *OFTEN[:turn]], 1):
            length = 21 + 5 * (number % 2)
            scenes[f"{category}_video{number:05d}"] = Scene(label, challenges, length, (96, 72), 20.0, SLOW)
    return scenes


def write_alov(folder: Path) -> None:
    """40 short videos of 8 categories, the classes in unequal numbers."""
    layouts.write_alov(folder, _render(alov_scenes(), 4000))


def write_imagenet_det(folder: Path) -> None:
    """180 images of one to four objects, 15 of each class and more."""
    pictures = {}
    for i in range(PICTURES):
        labels = [shapes.LABELS[(i + 5 * j) % len(shapes.LABELS)] for j in range(1 + i // 12 % 4)]
        sides = (0.6, 1.1) if i % CLOSE == i // 12 % CLOSE else (0.18, 0.5)
        name = f"ILSVRC2013_train/{labels[0]}/{labels[0]}_{i}"
        pictures[name] = picture(labels, (128, 96), 5000 + i, sides)
    layouts.write_imagenet_det(folder, pictures)


def write_voc(folder: Path) -> None:
    """600 images of two to four objects, all of them told: 100 of each class and more."""
    pictures = {}
    for i in range(DETECTED):
        labels = [shapes.LABELS[(i + 5 * j) % len(shapes.LABELS)] for j in range(2 + i % 3)]
        pictures[f"{i:06d}"] = picture(labels, (128, 96), 12000 + i, (0.18, 0.45))
    layouts.write_voc(folder, pictures)


def write_temple(folder: Path) -> None:
    """2 sequences."""
    scenes = {"Disc_ce": Scene("disc", ("SV", "IV"), 30), "Gear_ce": Scene("gear", ("OV",), 40)}
    layouts.write_temple(folder, _render(scenes, 6000))


def write_uav123(folder: Path) -> None:
    """3 sequences at 10 frames a second; bird1_1 is the first part of the video bird1, as in the benchmark."""
    scenes = {
        "bird1_1": Scene("crescent", ("LR", "OV"), 85),
        "uav6": Scene("cross", ("CM", "ARC"), 37),
        "wakeboard7": Scene("letter", ("OV", "SV"), 40),
    }
    layouts.write_uav123(folder, _render(scenes, 7000), {"bird1_1": "bird1"}, "UAV123_10fps")


def write_got10k(folder: Path) -> None:
    """The val split: 3 sequences."""
    challenges = {"disc": ("SV",), "star": ("OV",), "arrow": ("FOC",)}
    scenes = {
        f"GOT-10k_Val_{number:06d}": Scene(label, happens, 30)
        for number, (label, happens) in enumerate(challenges.items(), 1)
    }
    layouts.write_got10k(folder, _render(scenes, 8000))


def write_lasot(folder: Path) -> None:
    """2 classes, one sequence each."""
    scenes = {"ring-1": Scene("ring", ("OV",), 40), "square-2": Scene("square", ("FOC", "SV"), 30)}
    layouts.write_lasot(folder, _render(scenes, 9000))


def write_davis(folder: Path) -> None:
    """3 videos with masks."""
    scenes = {
        "star-spin": Scene("star", ("IPR", "SV"), 24),
        "ring-tilt": Scene("ring", ("OPR",), 24),
        "letter-hide": Scene("letter", ("POC", "DEF"), 24),
    }
    layouts.write_davis(folder, _render(scenes, 10000))


def write_video(folder: Path) -> None:
    """One video file."""
    layouts.write_video(folder, _render({"hourglass": Scene("hourglass", ("IPR",), 40)}, 11000))


def _render(scenes: Mapping[str, Scene], seed: int) -> dict[str, Clip]:
    return {name: render(scene, seed + i) for i, (name, scene) in enumerate(scenes.items())}
