"""Kills at random moments: whatever is killed, and whenever, a study ends as it would have undisturbed.

`TRACKMEET_KILLS=200 pytest -m slow tests/faults/test_kills.py -s` is the long form, over the smoke profile's studies.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from orchestrator import sample_data

TOY = {f"Mover {i}": {"family": "toy.family", "rate": 0.1 + 0.1 * i, "updates": 12, "pause": 0.02} for i in range(3)}


def test_ten_random_kills_change_nothing(field, wait_until):
    """After ten kills, of drivers and of workers, no finished job is redone or lost, and results are the same bytes."""
    rng = random.Random(8)
    calm, storm = field("calm", TOY), field("storm", TOY)
    begun = time.monotonic()
    assert calm.run("--executor", "local") == 0, calm.log.read_text()
    whole = time.monotonic() - begun
    for _ in range(7):
        storm.start("--executor", "local")
        time.sleep(rng.uniform(0.1, 0.6) * whole)
        storm.strike([storm.driver])
        storm.wait()
    slow = {"family": "toy.family", "rate": 0.9, "updates": 30, "pause": 0.05}
    for each in (calm, storm):
        params = yaml.safe_load((each.root / "params.yaml").read_text())
        params["studies"]["toy"]["trackers"]["Slow"] = slow  # work for Ray's workers, whatever is done already
        (each.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert calm.run("--executor", "local") == 0, calm.log.read_text()
    storm.start("--executor", "ray")
    for _ in range(2):
        checkpoints = set(storm.store.glob("checkpoints/*/*.pt"))
        wait_until(lambda: set(storm.store.glob("checkpoints/*/*.pt")) - checkpoints, "a checkpoint")  # noqa: B023
        time.sleep(rng.uniform(0.0, 0.2))
        storm.strike(storm.workers)
    time.sleep(rng.uniform(0.0, 0.5))
    storm.strike(storm.everything)
    storm.wait()
    assert storm.run("--executor", "local") == 0, storm.log.read_text()
    assert storm.kills == 10
    storm.assert_whole(calm.results())


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_random_kills_over_the_smoke_studies_change_nothing(smoke, cluster):
    """However often drivers, workers and whole machines are killed, each study ends as it would have undisturbed."""
    kills, rng = int(os.environ.get("TRACKMEET_KILLS", "20")), random.Random(int(os.environ.get("TRACKMEET_SEED", "1")))
    calm, storm = smoke("calm"), smoke("storm")
    begun = time.monotonic()
    assert calm.run("--executor", "local") == 0, calm.log.read_text()[-3000:]
    undisturbed = calm.results()
    print(f"undisturbed: {time.monotonic() - begun:.0f} s, {len(calm.finished())} jobs")
    begun, studies, struck = time.monotonic(), 0, Counter[str]()
    while storm.kills < kills or storm.finished():
        if storm.kills >= kills:  # the study that is under way is done to its end
            end = None
        else:
            end = rng.choices(["driver", "machine"], [6, 1])[0]
        own = end == "machine"
        storm.start("--executor", "ray", **({} if own else cluster.environment))
        for who in [*["worker"] * rng.randint(0, 2), end] if end else []:
            time.sleep(rng.uniform(0.0, 12.0))
            if not storm.runs:
                break
            if who == "machine":
                storm.strike(storm.everything)
            elif who == "driver":
                storm.strike([storm.driver])
            else:
                workers = storm.workers if own else cluster.workers
                if not workers:
                    continue
                storm.strike([rng.choice(workers)])
            struck[who] += 1
        status = storm.wait()
        assert status in (0, -9), storm.log.read_text()[-3000:]
        if status == 0:
            storm.assert_whole(undisturbed)
            storm.forget()
            studies += 1
    seconds = time.monotonic() - begun
    counted = ", ".join(f"{number} of a {who}" for who, number in sorted(struck.items()))
    print(
        f"{storm.kills} kills ({counted}) over {studies} times the smoke studies in {seconds:.0f} s "
        f"({seconds / storm.kills:.1f} s a kill): {storm.redone} redone, {storm.lost} lost, 0 duplicates"
    )


@pytest.fixture
def smoke(tmp_path, fields):
    """Makes fields of the smoke profile's studies, with what rolo's extractor saw; without measurements of speed."""
    packed = tmp_path / "prepared"
    packed.mkdir()
    printed = subprocess.check_output([sys.executable, "-m", "orchestrator", "params", "smoke"], text=True)
    params = yaml.safe_load(printed)
    for study in params["studies"].values():
        for experiment in study["experiments"]:
            experiment.pop("speed", None)  # times differ
    (packed / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    sample_data.write(packed / "data", sorted({Path(d["root"]).name for d in params["datasets"].values()}))
    prepare = fields(packed)
    for words in (["extractor", "yolo"], ["features", "yolo-OTB-30"]):
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words, "--executor", "local", "--record", "none"],
            cwd=packed,
            env=prepare.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def make(name: str):
        shutil.copytree(packed, tmp_path / name, ignore=shutil.ignore_patterns("store", "record", "logs"))
        return fields(tmp_path / name)

    return make
