"""Real clusters of three machines, `pytest -m slow tests/nodes`: `conftest.py` says how they are made."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator import sample_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DATA = Path(__file__).parents[2] / "data"


def trackmeet(network, cwd: Path, *words: str) -> str:
    """A command in this process's own surroundings, to the end."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PYTHONPATH": str(network.code), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def smoke(network, *studies: str) -> None:
    """A project with the smoke profile (of all studies, or these) and the sample data that it reads, packed in part."""
    project = network.project
    project.mkdir()
    params = yaml.safe_load(trackmeet(network, project, "params", "smoke"))
    params["studies"] = {name: study for name, study in params["studies"].items() if name in studies or not studies}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    folders = sorted({Path(dataset["root"]).name for dataset in params["datasets"].values()})
    if all((DATA / folder).exists() for folder in folders):
        for folder in folders:
            shutil.copytree(DATA / folder, project / "data" / folder)
    else:
        sample_data.write(project / "data", folders)
    for folder in params["sequences"]:
        trackmeet(network, project, "data", "pack", f"data/{folder}", f"build/sequences/{folder}")


def toy(project: Path, **pauses: float) -> None:
    """A project with a tracker for each of these names; an update of its training pauses so many seconds."""
    (project / "data" / "squares").mkdir(parents=True)
    (project / "data" / "squares" / "brightness.txt").write_text("200")
    trackers = {
        name: {"family": "toy.family", "updates": 40, "rate": 0.1 + 0.01 * i, "pause": pause, "diary": f"{name}.diary"}
        for i, (name, pause) in enumerate(pauses.items())
    }
    data = {"format": "toy.data", "root": "data/squares"}
    study = {"lengths": [4, 8], "experiments": [{"train": "squares", "test": ["squares"]}], "trackers": trackers}
    params = {"profile": "toy", "datasets": {"squares": data}, "studies": {"toy": study}}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def scores(project: Path) -> dict[str, bytes]:
    """What was found, by the label of the job: scores, and the measured curves of trainings without their times."""
    found = {}
    for manifest in (project / "build" / "store" / "done").glob("*/*/manifest.json"):
        label = json.loads(manifest.read_text())["label"]
        if (manifest.parent / "scores.json").exists():
            found[label] = (manifest.parent / "scores.json").read_bytes()
    return found


def manifests(project: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in (project / "build" / "store" / "done").glob("*/*/manifest.json")]


def wait(what: str, true: Callable[[], object], seconds: float, driver: subprocess.Popen | None = None) -> float:
    """-> seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what}: not after {seconds:g} s"
        assert driver is None or driver.poll() is None, f"{what}: not before the driver ended"
        time.sleep(0.1)
    return time.monotonic() - began


def finish(network, driver: subprocess.Popen, seconds: float = 300) -> None:
    status = driver.wait(seconds)
    assert status == 0, (network.machines[0].home / "driver.log").read_text()[-3000:]
    published = Counter(label for _, _, label in network.events("published"))
    assert set(published.values()) == {1}, published.most_common(3)
    assert len(published) == len(manifests(network.project))


def where(network) -> dict[str, str]:
    """The machine that each job started on last."""

    def machine(node: str) -> str:  # where all have one host name, nodes are called by their addresses
        return next((m.name for m in network.machines if m.address in node), node)

    return {label: machine(node) for _, _, label, node in network.events("started")}


def updates(machine, name: str) -> int:
    """Of the training of that tracker, on this machine."""
    return sum(len(path.read_text().splitlines()) for path in machine.home.rglob(f"{name}.diary"))


def shipped(network) -> int:
    """Bytes that went to the machines' caches for the jobs that are finished."""
    return sum(manifest.get("fetched", 0) for manifest in manifests(network.project))


def cached(machine) -> int:
    """Bytes of inputs on this machine."""
    return sum(path.stat().st_size for path in set(machine.cache.glob("*/**/*")) if path.is_file())


def test_every_study_over_three_machines(network, capsys):
    """All studies of the smoke profile run over three machines, of which two see no file of the driver's.

    Scores are those of a local run, byte for byte; all three worked, and the record has each trial once.
    """
    smoke(network)
    alone = network.root / "alone"
    shutil.copytree(network.project, alone)
    began = time.monotonic()
    for words in (["features"], ["run"]):
        trackmeet(network, alone, *words, "--executor", "local", "--record", "none")
    local = time.monotonic() - began
    began = time.monotonic()
    network.cluster(3)
    up = time.monotonic() - began
    began = time.monotonic()
    for words in (["features"], ["run"]):
        driver = network.drive(*words, "--record", "mlflow", MLFLOW_TRACKING_URI="")
        finish(network, driver, 600)
    took = time.monotonic() - began
    assert scores(network.project) == scores(alone)
    assert len(scores(alone)) > 20
    by = Counter(where(network).values())
    assert set(by) == {"node1", "node2", "node3"}
    with sqlite3.connect(network.project / "build" / "record" / "mlflow.db") as database:
        keys = [key for (key,) in database.execute("select value from tags where key = 'trackmeet.key'")]
        states = {state for (state,) in database.execute("select status from runs")}
    status = json.loads((network.project / "build" / "status.json").read_text())
    assert len(keys) == len(set(keys)) > 30
    assert states == {"FINISHED"}
    assert status["state"] == "finished"
    with capsys.disabled():
        print(f"\nthree machines: up in {up:.0f} s; {by.total()} jobs in {took:.0f} s ({local:.0f} s in one process),")
        print(f"by node {dict(by)}; {shipped(network) / 1e6:.1f} MB shipped")


def test_a_machine_that_is_cut_off_is_noticed(network, capsys):
    """A cut link is noticed in under 30 s, its jobs go on elsewhere from their checkpoints, and nothing comes twice.

    The machine that is cut off goes on computing; when the link is back, nothing of that is published.
    """
    short = dict.fromkeys(("fourth", "fifth", "sixth", "seventh"), 0.02)
    toy(network.project, first=0.7, second=0.7, third=0.7, **short)
    toy(network.root / "alone", first=0, second=0, third=0, **dict.fromkeys(short, 0))
    trackmeet(network, network.root / "alone", "run", "--executor", "local", "--record", "none")
    machines = network.cluster(3)
    driver = network.drive("run", "--record", "none", "--checkpoint-seconds", "0.5")
    names = ("first", "second", "third")
    wait("trainings on all three", lambda: sum(updates(m, n) > 4 for m in machines for n in names) == 3, 60, driver)
    cut = machines[1]
    [name] = [n for n in names if updates(cut, n)]
    done = len(network.events("finished"))
    cut.link("down")
    at = time.time()
    noticed = wait("the loss noticed", lambda: network.events("retried"), 60, driver)
    assert noticed < 30
    assert f"/ {name} /" in network.events("retried")[0][2]
    before = updates(cut, name)
    wait("the machine computing on", lambda: updates(cut, name) > before, 10, driver)
    label = network.events("retried")[0][2]
    wait("its job elsewhere", lambda: where(network)[label] != cut.name, 30, driver)
    again = network.events("started")[-1][0] - at
    cut.link("up")
    finish(network, driver)
    time.sleep(10)  # whatever the machine has still to say
    assert Counter(label for _, _, label in network.events("published")).most_common(1)[0][1] == 1
    assert scores(network.project) == scores(network.root / "alone") != {}
    retried = [label for _, _, label, _ in network.events("retried")]
    started = Counter(label for _, _, label, _ in network.events("started"))
    assert started.total() == len(started) + len(retried)
    redone = sum(updates(machine, name) for machine in machines if machine is not cut)
    with capsys.disabled():
        print(f"\na cut link: noticed after {noticed:.1f} s, its job went on elsewhere after {again:.1f} s")
        print(f"({redone} of 40 updates there); {done} jobs were finished before, none of them was done again")


def test_machines_die_and_join(network, capsys):
    """A machine that dies is done without, one that joins is used, and every job is finished once."""
    toy(network.project, **{f"t{i}": 0.2 for i in range(8)})
    machines = network.cluster(2)
    driver = network.drive("run", "--record", "none", "--checkpoint-seconds", "0.5")
    wait("work on the second", lambda: machines[1].name in where(network).values(), 60, driver)
    wait("updates there", lambda: any(updates(machines[1], f"t{i}") > 2 for i in range(8)), 60, driver)
    machines[1].kill()
    noticed = wait("the death noticed", lambda: network.events("retried"), 60, driver)
    third = network.add()
    third.wait_for_ray()
    used = wait("work on the third", lambda: third.name in where(network).values(), 60, driver)
    finish(network, driver)
    with capsys.disabled():
        print(f"\na dead machine: noticed after {noticed:.1f} s; one that joined had its first job after {used:.1f} s")


def test_a_small_cache_is_enough(network, capsys):
    """Where the caches hold next to nothing, entries are removed and fetched again, and the study completes."""
    toy(network.project, **{f"t{i}": 0.0 for i in range(6)})
    limit = 12_000  # one or two results of jobs, which have 5 or 9 kB each
    network.cluster(3, head_cpus=0, TRACKMEET_CACHE_GB=str(limit / 1e9))
    finish(network, network.drive("run", "--record", "none"))
    sizes = {machine.name: cached(machine) for machine in network.machines[1:]}
    assert all(size <= limit for size in sizes.values())
    assert shipped(network) > sum(sizes.values()) > 0  # some were removed
    with capsys.disabled():
        print(f"\ncaches of {limit} bytes: {sizes} at the end, {shipped(network)} bytes shipped")


@pytest.mark.parametrize("how", ["folder", "url"])
def test_inputs_travel_by_a_depot(network, how):
    """With TRACKMEET_DEPOT, a folder that all see or a URL, inputs are put there once, and results are the same."""
    toy(network.project, **{f"t{i}": 0.05 for i in range(6)})
    alone = network.root / "alone"
    shutil.copytree(network.project, alone)
    trackmeet(network, alone, "run", "--executor", "local", "--record", "none")
    depot = network.root / "depot"
    url = str(depot) if how == "folder" else f"file://{depot}"
    network.cluster(3, head_cpus=0, TRACKMEET_DEPOT=url)
    finish(network, network.drive("run", "--record", "none", TRACKMEET_DEPOT=url))
    assert scores(network.project) == scores(alone)
    assert set(where(network).values()) <= {"node2", "node3"}
    assert shipped(network) > 0
    assert list((depot / "inputs").glob("*.json"))
    assert not list((depot / "results").rglob("*.json"))  # all taken
