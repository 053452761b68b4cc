import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = dict(line.split("=", 1) for line in (ROOT / "infra" / "ray.env").read_text().splitlines() if line[0] != "#")


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {"PATH": path, "PYTHONPATH": str(ROOT)} | variables


def test_a_node_that_is_cut_off_is_noticed_in_half_a_minute():
    """Periods, timeouts and repetitions of Ray's health check, and of its connections, add up to under 30 s."""
    check = {
        name: int(SETTINGS[f"RAY_health_check_{name}"]) for name in ("period_ms", "timeout_ms", "failure_threshold")
    }
    assert (check["period_ms"] + check["timeout_ms"]) * check["failure_threshold"] < 30_000
    assert sum(int(SETTINGS[f"RAY_grpc_client_keepalive_{name}_ms"]) for name in ("time", "timeout")) < 30_000


def test_settings_are_ones_that_this_ray_has():
    """Each setting of infra/ray.env is read by the Ray that is installed: none has another name by now."""
    package = Path(importlib.util.find_spec("ray").origin).parent
    binary = (package / "core/src/ray/gcs/gcs_server").read_bytes()
    for name in SETTINGS:
        if name[4].islower():
            assert name.removeprefix("RAY_").encode() in binary
    assert SETTINGS["RAY_AUTH_MODE"] == "token"


@pytest.mark.slow
def test_a_cluster_of_ones_own_has_the_same_settings():
    """What a run without a cluster sets for its own Ray is what infra/ray.env sets for all others."""
    from orchestrator import cluster

    assert cluster.SETTINGS.items() == SETTINGS.items() - {("RAY_AUTH_MODE", "token")}


def test_settings_are_plain_lines():
    """What sh, compose, systemd and kubectl all read: NAME=VALUE, no quotes, no spaces, no secrets."""
    for name, value in SETTINGS.items():
        assert re.fullmatch(r"\w+", name) and re.fullmatch(r"\w+", value)
    assert not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(SETTINGS)


def test_no_machine_starts_without_a_token(tmp_path):
    """Without one, and without `head` or an address, `infra/ray/start` says what it misses and starts nothing."""
    for words, missing in (([], "expected head"), (["head"], "token")):
        command = [ROOT / "infra" / "ray" / "start", *words]
        done = subprocess.run(command, env=environment(HOME=str(tmp_path)), capture_output=True, text=True)
        assert done.returncode == 2 and missing in done.stderr


@contextmanager
def machine(place: Path, log: Path, *words: str, **variables: str) -> Iterator[subprocess.Popen]:
    """One machine's part of a cluster, as `infra/ray/start` starts it; ended with all that it started."""
    options = ["--block", "--num-cpus=1", "--temp-dir", str(place), "--min-worker-port=0", "--max-worker-port=0"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [ROOT / "infra" / "ray" / "start", *words, *options],
            env=environment(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="0", **variables),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def alive(address: str, token: str) -> int:
    command = [ROOT / "infra/ray/run", sys.executable, ROOT / "infra/ray/alive.py", address]
    done = subprocess.run(command, env=environment(RAY_AUTH_TOKEN=token), capture_output=True, text=True, timeout=120)
    return int(done.stdout or 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_list_of_machines_runs_a_study(project, tmp_path):
    """By the README's commands two machines become a cluster that runs a study; one with another token stays out."""
    token, port = secrets.token_hex(32), 20000 + os.getpid() % 10000
    address = f"127.0.0.1:{port}"
    place = Path("/tmp") / f"trackmeet-test-{os.getpid()}"  # short: names of sockets may have 107 letters
    worker = [address, "--node-ip-address=127.0.0.2"]
    stranger = [address, "--node-ip-address=127.0.0.3"]
    head = ["head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    try:
        with machine(place, tmp_path / "head.log", *head, RAY_AUTH_TOKEN=token):
            end = time.monotonic() + 60
            while alive(address, token) < 1:
                assert time.monotonic() < end, (tmp_path / "head.log").read_text()
            with (
                machine(place, tmp_path / "worker.log", *worker, RAY_AUTH_TOKEN=token),
                machine(place, tmp_path / "other.log", *stranger, RAY_AUTH_TOKEN=secrets.token_hex(32)) as other,
            ):
                assert other.wait(90) != 0
                while alive(address, token) < 2:
                    assert time.monotonic() < end + 60, (tmp_path / "worker.log").read_text()
                done = subprocess.run(
                    [ROOT / "infra/ray/run", "trackmeet", "run", "--record", "none"],
                    cwd=project.root,
                    env=environment(RAY_AUTH_TOKEN=token, RAY_ADDRESS=address),
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                assert done.returncode == 0, done.stdout + done.stderr
                assert json.loads(project.paths.status.read_text())["jobs"] > 0
                assert alive(address, token) == 2
    finally:
        shutil.rmtree(place, ignore_errors=True)
