import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "infra" / "Dockerfile").read_text()
LINES = [line for line in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines() if line]
KNOWN = {"ARG", "FROM", "RUN", "USER", "ENV", "WORKDIR", "COPY", "CMD"}


def test_each_line_is_an_instruction():
    """Continued lines joined, each begins with an instruction, and a stage begins before anything but arguments."""
    instructions = [line.split()[0] for line in LINES]
    assert set(instructions) <= KNOWN
    assert set(instructions[: instructions.index("FROM")]) == {"ARG"}


def test_stages_build_on_stages_for_both_devices():
    """For either DEVICE the last stage stands on stages that came before it, down to one image of Python."""
    for device in ("cpu", "cuda"):
        beneath: dict[str, str] = {}
        for line in LINES:
            if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
                base = match[1].replace("${DEVICE}", device)
                assert base in beneath or base == "python:${PYTHON}-slim"
                beneath[match[2]] = base
        chain = ["trackmeet"]
        while chain[-1] in beneath:
            chain.append(beneath[chain[-1]])
        assert chain == ["trackmeet", f"torch-{device}", "system", "python:${PYTHON}-slim"]


def test_what_is_copied_exists():
    """Each file that COPY names is in the project, and .dockerignore leaves it in."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in LINES:
        if line.startswith("COPY"):
            for source in line.split()[2:-1]:
                assert (ROOT / source).exists()
                assert source not in ignored


def test_the_image_holds_what_the_project_needs():
    """All that is read, run or hashed in an image is copied: nothing of it stands in .dockerignore."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for needed in (
        "trackers",
        "orchestrator",
        "infra",
        "params.yaml",
        "dvc.yaml",
        "dvc.lock",
        "data.dvc",
        ".dvc",
        "tests",
    ):
        assert needed not in ignored
    assert "README.md" not in ignored  # pyproject.toml names it


def test_no_root_and_no_secret():
    """Everything that is installed and run belongs to a user without rights, and no secret is a build argument."""
    user = LINES.index("USER meet")
    assert not any(line.startswith("USER") for line in LINES[user + 1 :])
    assert all("pip" not in line for line in LINES[:user])
    assert not re.search(r"(PASSWORD|TOKEN|SECRET)", TEXT)


def test_torch_is_pinned_for_cpus_and_free_for_cuda():
    """The CPU image has the torch of constraints.txt; the CUDA one any that the project allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = next(name for name in project["dependencies"] if name.startswith("torch"))
    assert f'ARG TORCH="{allowed}"' in LINES
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    assert len(pins) == 1  # the line that the CUDA stage takes out
    cpu, cuda = (
        next(line for line in LINES if line.startswith("RUN") and word in line) for word in ("TORCH_INDEX", "grep")
    )
    assert "cp constraints.txt" in cpu and "'^torch=='" in cuda
