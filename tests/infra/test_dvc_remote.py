import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REMOTE = ROOT / "infra" / "dvc" / "remote"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    **{f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def call(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


def do(folder: Path, *commands: str) -> None:
    for command in commands:
        done = call(folder, *command.split())
        assert done.returncode == 0, done.stderr


def test_places_that_are_none_are_refused(tmp_path):
    """A relative folder, which means another on each machine, and a missing package are said before DVC is asked."""
    done = call(tmp_path, REMOTE, "shared")
    assert done.returncode == 2 and "an absolute folder" in done.stderr
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")  # a Python without DVC's packages for S3 and SSH
    (tmp_path / "python").chmod(0o755)
    for place, package in (("s3://bucket/x", "dvc-s3"), ("ssh://me@host/x", "dvc-ssh")):
        command = ["env", f"PATH={tmp_path}:/usr/bin:/bin", REMOTE, place]
        done = call(tmp_path, *command)
        assert done.returncode == 2 and f"pip install {package}" in done.stderr


@pytest.mark.slow
def test_a_fresh_clone_pulls_what_was_pushed(tmp_path):
    """After `infra/dvc/remote FOLDER`, `dvc push` and a commit, a clone elsewhere gets the same data by `dvc pull`."""
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "data" / "digits").mkdir(parents=True)
    (here / "data" / "digits" / "one").write_bytes(bytes(range(256)) * 1000)
    (here / "data" / "name").write_text("square")
    do(here, "git init -q", "dvc init -q", "dvc add -q data", f"{REMOTE} {tmp_path}/lab/trackmeet", "dvc push -q")
    do(here, "git add .", "git commit -q -m data")
    do(tmp_path, f"git clone -q {here} {there}")
    assert not (there / "data").exists()
    do(there, "dvc pull -q")
    for name in ("digits/one", "name"):
        assert (there / "data" / name).read_bytes() == (here / "data" / name).read_bytes()
    (there / "data" / "name").unlink()
    (there / "data" / "name").write_text("circle")
    do(there, "dvc add -q data", "dvc push -q", "git commit -q -a -m circle")
    do(here, f"git pull -q {there} HEAD", "dvc pull -q")
    assert (here / "data" / "name").read_text() == "circle"
