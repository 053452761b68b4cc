import json

import numpy as np
import pytest
from typer.testing import CliRunner

from orchestrator.data_commands import data_app
from orchestrator.params import ParamsError
from trackers.benchmarks import files, packs


@pytest.fixture
def call(tmp_path, monkeypatch):
    """`trackmeet data` with these words in an empty folder: what the runner saw."""
    monkeypatch.chdir(tmp_path)

    def data(*words):
        result = CliRunner().invoke(data_app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return data


@pytest.fixture
def sequence(tmp_path):
    """One OTB sequence of two frames, its second one cut short."""
    import cv2

    folder = tmp_path / "benchmark" / "Deer" / "img"
    folder.mkdir(parents=True)
    jpeg = cv2.imencode(".jpg", np.zeros((24, 32, 3), np.uint8))[1].tobytes()
    (folder / "0001.jpg").write_bytes(jpeg)
    (folder / "0002.jpg").write_bytes(jpeg[:-2])
    (folder.parent / "groundtruth_rect.txt").write_text("1,1,5,5\n" * 2)
    return folder.parents[1]


ONE = ("--root", "benchmark", "--format", "otb")


def test_check_lists_problems_and_ends_with_1(call, sequence):
    """`check` prints a line for the data set and one for each problem, and ends with 1; without problems with 0."""
    result = call("check", *ONE)
    assert result.exit_code == 1
    heading, problem = result.stdout.splitlines()
    assert heading == "benchmark (otb, benchmark): 1 sequence, 2 frames: 1 problem"
    assert problem.startswith("  benchmark/Deer/img/0002.jpg: expected the end of the JPEG (ff d9), found it cut short")
    (sequence / "Deer" / "img" / "0002.jpg").write_bytes((sequence / "Deer" / "img" / "0001.jpg").read_bytes())
    result = call("check", *ONE)
    assert (result.exit_code, result.stdout) == (0, "benchmark (otb, benchmark): 1 sequence, 2 frames: no problems\n")


def test_json_holds_the_same(call, sequence):
    """`check --json` and `list --json` print one object, a data set an entry, a problem its four parts."""
    (checked,) = json.loads(call("check", "--json", *ONE).stdout)["datasets"]
    assert (checked["name"], checked["format"], checked["sequences"], checked["frames"]) == ("benchmark", "otb", 1, 2)
    (problem,) = checked["problems"]
    assert (problem["file"], problem["line"]) == ("benchmark/Deer/img/0002.jpg", 0)
    assert set(problem) == {"file", "line", "expected", "found"}
    (listed,) = json.loads(call("list", "--json", *ONE).stdout)["datasets"]
    assert (listed["sequences"], listed["frames"], listed["smallest"]) == (1, 2, [32, 24])


def test_the_data_sets_are_those_of_the_parameters(call, sequence):
    """Without a root, the data sets are the ones that the parameters name."""
    params = {"studies": {}, "datasets": {n: {"format": "otb", "root": f"{n}"} for n in ("benchmark", "nothing")}}
    (sequence.parent / "params.json").write_text(json.dumps(params))
    result = call("list", "--params", "params.json")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("benchmark: otb, benchmark (")
    assert "nothing: otb, nothing" in result.stdout
    assert call("check", "--params", "params.json").stdout.count("1 problem\n") == 2


def test_root_and_format_belong_together(call, sequence):
    """One of root and format alone is refused, and so are an unknown format and missing parameters."""
    for words in (("--root", "benchmark"), ("--format", "otb")):
        with pytest.raises(ValueError, match="expected --root and --format together"):
            call("check", *words)
    with pytest.raises(ValueError, match=r"no module trackers\.benchmarks\.oth"):
        call("list", "--root", "benchmark", "--format", "oth")
    with pytest.raises(ParamsError, match="no such file"):
        call("list")


def test_pack_goes_to_build_unless_told(call, sequence):
    """`pack` puts a folder under its name into build/sequences, or where it is told to, and says how many files."""
    result = call("pack", "benchmark")
    assert result.stdout == f"3 files packed into 1 shard in {sequence.parent}/build/sequences/benchmark\n"
    packed = files.open(sequence.parent / "build" / "sequences" / "benchmark")
    assert isinstance(packed, packs.Pack)
    call("pack", "benchmark/", "elsewhere")
    assert files.open(sequence.parent / "elsewhere").digest == packed.digest
    assert "packed" in call("list", "--root", "elsewhere", "--format", "otb").stdout


def test_sample_data_is_made_once(call, tmp_path, monkeypatch):
    """`sample` says whether it made data/ or found it there."""
    made = []
    monkeypatch.setattr("orchestrator.sample_data.write", lambda root: made.append(root) or len(made) == 1)
    assert call("sample").stdout == "sample data written to data/\n"
    assert call("sample").stdout == "data/ has all of its folders already; nothing changed\n"
    assert made == [tmp_path / "data"] * 2
