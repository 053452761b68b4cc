import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "infra" / "slurm" / "trackmeet.sbatch"
LONG = 150  # seconds that nothing here ever takes

# Slurm's commands for an allocation of two nodes, both of them this machine: the loopback's first two addresses.
SHIMS = {
    "scontrol": """
case "$1" in
show) printf '127.0.0.1\\n127.0.0.2\\n' ;;
requeue) echo "$2" >"$SLURM_SUBMIT_DIR/requeued" ;;
*) exit 1 ;;
esac
""",
    "srun": """
while [[ $1 == --* ]]; do shift; done
echo "$*" >>"$SLURM_SUBMIT_DIR/steps"
tasks=()
for node in 0 1; do
    SLURM_NODEID=$node SLURMD_NODENAME=127.0.0.$((node + 1)) SLURM_CPUS_ON_NODE=1 "$@" &
    tasks+=($!)
done
trap 'kill -TERM "${tasks[@]}" 2>/dev/null' TERM
until wait "${tasks[0]}"; [ $? -le 128 ] || ! kill -0 "${tasks[0]}" 2>/dev/null; do :; done
wait
""",
    "sbatch": """
export SLURM_JOB_ID=$$ SLURM_SUBMIT_DIR=$PWD SLURM_JOB_NODELIST='127.0.0.[1-2]' SLURM_JOB_NUM_NODES=2
exec bash "$@"
""",
}


@pytest.fixture
def slurm(project, tmp_path) -> dict[str, str]:
    """The toy project's folder with `infra/` in it; an environment with Slurm's commands."""
    shutil.copytree(ROOT / "infra", tmp_path / "infra")
    (tmp_path / "bin").mkdir()
    for name, text in SHIMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
    return inherited | {"PATH": path, "PYTHONPATH": str(ROOT), "TRACKMEET_CHECKPOINT_SECONDS": "0"}


class Job:
    """A batch job as Slurm starts it: its script's process, and what that prints."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.log = root / "job.log"
        command = ["sbatch", "infra/slurm/trackmeet.sbatch", "trackmeet", "run", "--record", "none", "--with-parent"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)

    def end(self) -> int:
        return self.process.wait(LONG)

    def left(self) -> list[str]:
        """What of its Ray still runs: every process of it names its folder."""
        folder = f"/tmp/trackmeet-{self.process.pid}/".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if folder in line:
                found.append(line.replace(b"\0", b" ").decode())
        return found

    def clean(self) -> None:
        self.process.terminate()  # an orderly end: Ray with it
        self.process.wait(LONG)
        shutil.rmtree(f"/tmp/trackmeet-{self.process.pid}", ignore_errors=True)


def test_the_scripts_are_bash():
    """The batch script and what it starts on each node are well-formed, and what they name is there."""
    for script in (SCRIPT, SCRIPT.with_name("node")):
        subprocess.run(["bash", "-n", script], check=True)
        for named in re.findall(r"infra/[\w./]+", script.read_text()):
            assert (ROOT / named).is_file()
        assert os.access(script, os.X_OK)


def test_options_stand_before_the_first_command():
    """Slurm reads `#SBATCH` lines up to the first command alone: there all of them stand."""
    lines = SCRIPT.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    options = [number for number, line in enumerate(lines) if line.startswith("#SBATCH ")]
    assert options and max(options) < first


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_nodes_run_a_study_and_leave_nothing(project, slurm):
    """Over an allocation of two nodes Ray comes up with this job's token, the study runs on it, and all ends."""
    job = Job(project.root, slurm)
    try:
        assert job.end() == 0, job.log.read_text()
        assert "2 of 2 nodes" in job.log.read_text()
        assert (project.root / "steps").read_text() == "infra/slurm/node\n"
        status = json.loads(project.paths.status.read_text())
        assert status["jobs"] > 0 and (project.paths.results).is_dir()
        assert job.left() == []
    finally:
        job.clean()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_near_its_time_limit_a_job_ends_in_order_and_goes_on_later(project, params, slurm):
    """On Slurm's warning the run ends, Ray with it, and is queued again; then the training goes on where it was."""
    diary = project.root / "diary"
    mover = params["studies"]["toy"]["trackers"]["Mover"]
    mover |= {"updates": 30, "pause": 0.5, "diary": str(diary)}
    project.write(params)
    job = Job(project.root, slurm)
    try:
        end = time.monotonic() + LONG
        while not diary.exists() or len(diary.read_text().split()) < 8:
            assert job.process.poll() is None and time.monotonic() < end, job.log.read_text()
            time.sleep(0.2)
        job.process.send_signal(signal.SIGUSR1)
        assert job.end() == 0, job.log.read_text()
        assert (project.root / "requeued").read_text() == f"{job.process.pid}\n"
        assert job.left() == []
    finally:
        job.clean()
    before = len(diary.read_text().split())
    assert before < 30

    again = Job(project.root, slurm)
    try:
        assert again.end() == 0, again.log.read_text()
        updates = [int(line) for line in diary.read_text().split()]
        assert updates[-1] == 29
        assert updates[before] >= before - 2  # but for what was not yet in a checkpoint
    finally:
        again.clean()
