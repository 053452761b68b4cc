from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from orchestrator.jobs import Data, Job, Resources, in_order
from orchestrator.store import Store, StoreBusyError


def job(**changes) -> Job:
    parts = {"kind": "train", "label": "a / fit", "arguments": {"settings": {"rate": 0.1}, "seed": 1}}
    return Job(**{**parts, "code": {"m": "1"}, **changes})


def test_a_key_depends_on_what_the_result_depends_on(tmp_path):
    """Arguments, needs, data and code change a job's key; its label and resources do not."""
    same = [
        job(),
        job(label="b"),
        job(resources=Resources(2, 1.0)),
        job(arguments={"seed": 1, "settings": {"rate": 0.1}}),
    ]
    assert len({j.key for j in same}) == 1
    other = [
        job(arguments={"settings": {"rate": 0.2}, "seed": 1}),
        job(code={"m": "2"}),
        job(needs={"x": job()}),
        job(data={"d": Data(tmp_path, "1")}),
        job(data={"d": Data(tmp_path, "2")}),
    ]
    assert len({j.key for j in [*same, *other]}) == 6


def test_jobs_come_after_what_they_need():
    """`in_order` lists every needed job once, before those that need it."""
    first = job()
    second = job(kind="track", needs={"weights": first})
    third = job(kind="score", needs={"trajectories": second, "weights": first})
    assert in_order([third, second]) == [first, second, third]


def test_published_is_done_and_damage_is_noticed(tmp_path):
    """A published job is done until a file of it is damaged or lost."""
    store = Store(tmp_path)
    assert not store.done(job().key)
    store.publish(job(), {"weights.pt": b"abc"}, {"seconds": 1})
    assert store.done(job().key)
    assert store.manifest(job().key)["seconds"] == 1
    path = store.folder(job().key) / "weights.pt"
    path.write_bytes(b"abd")
    assert not store.done(job().key)
    assert store.why(job()) == "its files are damaged"
    store.publish(job(), {"weights.pt": b"abc"}, {})
    assert store.done(job().key)
    path.unlink()
    assert not store.done(job().key)


@pytest.mark.parametrize("name", ["../escaped", "a/b", "manifest.json", ".."])
def test_a_result_cannot_leave_its_folder(tmp_path, name):
    """A result's file name with a path in it is refused and nothing is left behind."""
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match="expected plain file names"):
        store.publish(job(), {"ok": b"", name: b""}, {})
    assert not store.done(job().key)
    assert not list((tmp_path / "store" / "tmp").iterdir())


def test_checkpoints_are_kept_until_the_job_is_done(tmp_path):
    """The newest checkpoint and the curve wait for the next attempt, and go when the job is done."""
    store = Store(tmp_path)
    store.keep_checkpoint(job().key, 10, b"ten")
    store.keep_checkpoint(job().key, 9, b"late, of an attempt that was cut off")
    store.extend_curve(job().key, ["loss", 0.5, 1, 99])
    with (tmp_path / "checkpoints" / job().key / "curve.jsonl").open("a") as file:
        file.write('["loss", 0.4')  # a kill cut this line off
    assert store.checkpoint(job().key) == b"ten"
    assert store.curve(job().key) == [["loss", 0.5, 1, 99]]
    store.publish(job(), {}, {})
    assert store.checkpoint(job().key) is None
    assert store.curve(job().key) == []


def test_why_names_what_changed(tmp_path):
    """The reason that a job runs names the setting, the code, the data or the need that changed."""
    store = Store(tmp_path)
    assert store.why(job()) == "never ran"
    store.publish(job(), {}, {})
    assert store.why(job(arguments={"settings": {"rate": 0.2}, "seed": 1})) == "rate: 0.1 -> 0.2"
    assert store.why(job(code={"m": "2", "n": "1"})) == "code of m changed; code of n changed"
    assert store.why(job(data={"d": Data(tmp_path, "1")})) == "data d changed"
    assert store.why(job(needs={"weights": job()})) == "its weights change"
    store.keep_checkpoint(job(code={"m": "3"}).key, 1, b"")
    assert "goes on from its checkpoint" in store.why(job(code={"m": "3"}))


def test_one_driver_at_a_time(tmp_path):
    """A second driver waits for a while, then is told which process holds the store."""
    hold = f"""
import sys, time
from pathlib import Path
from orchestrator.store import Store
with Store(Path({str(tmp_path)!r})).locked():
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusyError, match=f"process {holder.pid}"), Store(tmp_path).locked(patience=0.3):
            pass
        threading.Timer(0.5, holder.kill).start()
        with Store(tmp_path).locked(patience=30):
            assert (tmp_path / "lock").exists()
    finally:
        holder.kill()
        holder.wait()
