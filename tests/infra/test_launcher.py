import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "ray"
FILES = ["machines.yaml", "aws.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_ray_takes_the_file(name):
    """Ray's own preparation and validation, all of `ray up` that needs no machine, pass."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    read = prepare_config(yaml.safe_load((FOLDER / name).read_text()))
    validate_config(read)
    assert read["head_node_type"] in read["available_node_types"]


@pytest.mark.parametrize("name", FILES)
def test_machines_start_in_the_one_way(name):
    """Head and workers start by infra/ray/start, which is there, from the folder to which the project goes."""
    text = (FOLDER / name).read_text()
    config = yaml.safe_load(text)
    assert config["file_mounts"]["~/trackmeet"] == "."
    for which, where in (("head", "head --"), ("worker", "$RAY_HEAD_IP:6379")):
        command = config[f"{which}_start_ray_commands"][-1]
        assert command.startswith("cd ~/trackmeet && . .venv/bin/activate && infra/ray/start ")
        assert where in command
    for named in re.findall(r"infra/[\w./]+", text):
        assert (ROOT / named).is_file()


@pytest.mark.parametrize("name", FILES)
def test_the_token_goes_along_and_stands_nowhere(name):
    """Every machine gets this one's token file; the launcher's files hold no key."""
    text = (FOLDER / name).read_text()
    assert yaml.safe_load(text)["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert not re.search(r"\b(AKIA\w+|[0-9a-f]{32,})\b", text.replace("ami-00000000000000000", ""))
