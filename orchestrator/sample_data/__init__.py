"""The sample data: small, made on the spot, in the true on-disk formats, so that every reader runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from orchestrator.sample_data import moving
from orchestrator.sample_data.handwritten import digits, write_digits

__all__ = ["FOLDERS", "SAMPLE", "digits", "write"]

SAMPLE = "SAMPLE.txt"  # beside the files: by it the report knows that its numbers are no paper's
SPRITES = "moving sprites, rendered: a stand-in for {}"
FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {  # name: what fills it, and what SAMPLE.txt says
    "digits": (write_digits, "scikit-learn's handwritten digits, enlarged: a stand-in for MNIST"),
    "otb": (moving.write_otb, SPRITES.format("OTB")),
    "vot2014": (moving.write_vot2014, SPRITES.format("VOT2014")),
    "vot2016": (moving.write_vot2016, SPRITES.format("VOT2016")),
    "alov": (moving.write_alov, SPRITES.format("ALOV300++")),
    "imagenet_det": (moving.write_imagenet_det, SPRITES.format("ImageNet DET")),
    "voc": (moving.write_voc, SPRITES.format("Pascal VOC")),
    "temple": (moving.write_temple, SPRITES.format("Temple-color-128")),
    "uav123": (moving.write_uav123, SPRITES.format("UAV123 at 10 frames a second")),
    "got10k": (moving.write_got10k, SPRITES.format("GOT-10k")),
    "lasot": (moving.write_lasot, SPRITES.format("LaSOT")),
    "davis": (moving.write_davis, SPRITES.format("DAVIS 2016")),
    "video": (moving.write_video, SPRITES.format("a video of one's own")),
}


def write(root: Path, names: Iterable[str] = FOLDERS) -> bool:
    """Make those of these `FOLDERS` that `root` lacks, each whole or not at all; False if it has them all.

    What is there is never touched.
    """
    missing = [name for name in names if not (root / name).exists()]
    if missing:
        root.mkdir(parents=True, exist_ok=True)
    for name in missing:
        fill, note = FOLDERS[name]
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root.parent))  # not in root, where all is data
        try:
            unfinished.chmod(0o755)
            fill(unfinished)
            (unfinished / SAMPLE).write_text(f"{note}\n")
            unfinished.rename(root / name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return bool(missing)
