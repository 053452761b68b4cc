import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "infra" / "mlflow" / "trackmeet-mlflow.service"
SERVE = ROOT / "infra" / "mlflow" / "serve"


def test_the_unit_starts_what_is_there():
    """What systemd starts in /opt/trackmeet is a script of this project, and no secret stands in the unit."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    program = unit["Service"]["ExecStart"].split()[0]
    assert ROOT / Path(program).relative_to("/opt/trackmeet") == SERVE
    assert unit["Service"]["EnvironmentFile"].startswith("/etc/")
    assert "postgresql+" not in UNIT.read_text()


def test_serve_says_what_it_misses():
    """Without a database or a place for files the server does not start, and the error names the variable."""
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run([SERVE], env=path, capture_output=True, text=True)
    assert done.returncode != 0 and "MLFLOW_BACKEND_STORE_URI" in done.stderr
    done = subprocess.run([SERVE], env=path | {"MLFLOW_BACKEND_STORE_URI": "x"}, capture_output=True, text=True)
    assert done.returncode != 0 and "MLFLOW_ARTIFACTS_DESTINATION" in done.stderr


@pytest.mark.slow
def test_systemd_takes_the_unit(tmp_path):
    """systemd's own check finds nothing wrong, with the project where the unit says it is."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/trackmeet", str(ROOT)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
