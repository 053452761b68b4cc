from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What a bare GPU machine does not have.
ABSENT = ("ray", "mlflow", "dvc", "yaml", "scipy", "sklearn", "matplotlib", "jinja2")


def python(code: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **options)


def test_the_import_rules_hold():
    """The contracts of pyproject.toml hold: science apart from logistics, families apart, one door to each library."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = python(command, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["orchestrator.cli", "orchestrator.record", "trackers.evaluation.lanes"])
def test_nothing_heavy_is_imported_at_start_up(module):
    """Importing the command line, the record or the evaluation loads no torch, Ray, MLflow, DVC or plotting."""
    heavy = ("torch", "ray", "mlflow", "dvc", "matplotlib", "sklearn", "pandas")
    done = python(f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])", cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_bare_machine_runs_a_study(project, params):
    """With torch, NumPy, OpenCV and typer alone, `run --executor local --record none` runs a study to its table."""
    (project.root / "params.json").write_text(json.dumps(params))
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["trackmeet", "run", "--executor", "local", "--record", "none", "--params", "params.json"]
from orchestrator.cli import main
main()
"""
    done = python(code, cwd=project.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Mover" in done.stdout
    assert (project.paths.results / "toy" / "study.json").exists()
