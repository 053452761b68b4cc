import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "infra" / "README.md").read_text()


def test_what_the_page_names_is_there():
    """Every file that the page names exists, and the page names every file of its folder, or the folder it is in."""
    named = set(re.findall(r"infra/[\w./]+\w", README)) - {"infra/compose"}
    named |= {f"infra/{cell}" for cell in re.findall(r"`((?:compose|ray|slurm|kuberay|mlflow|dvc)/[\w.]*)`", README)}
    for name in named:
        assert (ROOT / name).exists(), name
    for file in (ROOT / "infra").glob("[!R]*"):
        assert file.name in README
    for launcher in (ROOT / "infra" / "ray").glob("*.yaml"):
        assert f"ray/{launcher.name}" in README


def test_variables_of_the_page_are_ones_that_something_reads():
    """Each TRACKMEET_ variable that the page and its files name is read by the orchestrator."""
    read = "".join(file.read_text() for file in (ROOT / "orchestrator").rglob("*.py"))
    files = [file for file in (ROOT / "infra").rglob("*") if file.is_file()]
    names = {name for file in files for name in re.findall(r"TRACKMEET_[A-Z_]+", file.read_text())}
    assert names
    for name in names:
        assert name in read
