from __future__ import annotations

import cv2
import numpy as np


def test_sequences_that_are_not_there_are_said(call, project, params):
    """A run on an incomplete copy of a benchmark names what it lacks; data sets that nothing read are not looked at."""
    for name in ("Gym", "Couple", "Mine"):
        folder = project.root / "data" / "otb" / name
        (folder / "img").mkdir(parents=True)
        (folder / "groundtruth_rect.txt").write_text("4,5,8,8\n" * 2)
        for t in (1, 2):
            cv2.imwrite(str(folder / "img" / f"{t:04d}.jpg"), np.zeros((24, 24, 3), np.uint8))
    params["datasets"] = {
        "some": {"format": "otb", "root": "data/otb", "subset": "otb30_test"},
        "unread": {"format": "otb", "root": "data/otb", "subset": "otb30_train"},
        "own": {"format": "otb", "root": "data/otb", "sequences": ["Mine"]},
    }
    params["studies"]["toy"] = {
        "experiments": [{"test": ["some", "own"]}],
        "trackers": {"Identity": {"family": "trackers.tracker:IdentityTracker"}},
    }
    project.write(params)
    said = "some: 7 sequences are not there: CarScale, Dancer, Dancer2, Human8, Jump, Skater, Skater2\n"
    for _ in range(2):  # said again where nothing is left to do
        assert call("run", "--executor", "local", "--record", "none")[::2] == (0, said)
