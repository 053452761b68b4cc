import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
EXAMPLE = (FOLDER / ".env.example").read_text()


def test_secrets_come_from_the_environment_alone():
    """Each password, key and token is a variable that must be set; the example names all of them, and no value."""
    wanted = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert wanted == {"POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "RAY_AUTH_TOKEN"}
    assert set(re.findall(r"^(\w+)=$", EXAMPLE, re.MULTILINE)) == wanted
    for name, value in re.findall(r"(\w*(?:PASSWORD|SECRET|TOKEN)\w*): (\S+)", TEXT):
        assert value.startswith("${"), name


def test_git_never_sees_the_secrets():
    """The file with the values is ignored by git and left out of images."""
    ignored = subprocess.run(["git", "-C", str(FOLDER), "check-ignore", "-q", ".env"])
    assert ignored.returncode == 0
    assert "**/.env" in (ROOT / ".dockerignore").read_text().split()


def test_services_wait_until_what_they_need_is_well():
    """Whatever another service waits for has a check of its health, or ends; nothing waits in a circle."""
    order: list[str] = []
    while len(order) < len(SERVICES):
        ready = [
            name for name in SERVICES if name not in order and set(SERVICES[name].get("depends_on", {})) <= {*order}
        ]
        assert ready, "a circle"
        order += ready
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            ends = needed["condition"] == "service_completed_successfully"
            assert ends or (needed["condition"] == "service_healthy" and "test" in SERVICES[name]["healthcheck"])


def test_commands_are_there():
    """Scripts of this project that a service starts exist, and those it starts by themselves may be executed."""
    for service in SERVICES.values():
        for place, word in enumerate(service.get("command", [])):
            if word.startswith("infra/"):
                assert (ROOT / word).is_file()
                assert place > 0 or os.access(ROOT / word, os.X_OK)


def test_ray_has_one_token_and_the_common_settings():
    """Head and workers read infra/ray.env, which sets tokens to be asked for, and have the same token."""
    for name in ("ray-head", "ray-worker"):
        assert (FOLDER / SERVICES[name]["env_file"]).resolve() == ROOT / "infra" / "ray.env"
        assert SERVICES[name]["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN")


def test_the_server_knows_the_names_by_which_it_is_called():
    """MLflow answers 403 to any other: the drivers' address and the published one are both allowed."""
    allowed = SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    address = SERVICES["ray-head"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    published = SERVICES["mlflow"]["ports"][0].rpartition(":")[0]
    assert address in allowed and published in allowed


@pytest.mark.slow
@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "gpus.yaml"]], ids=["cpu", "gpus"])
def test_compose_takes_the_files(files, tmp_path):
    """Docker Compose reads them, with the example's variables filled in, and not without."""
    command = ["docker", "compose"]
    if subprocess.run([*command, "version"], capture_output=True).returncode:
        command = ["docker-compose"]
        if shutil.which("docker-compose") is None:
            pytest.skip("no Docker Compose here (Debian: apt-get install docker-compose)")
    filled = tmp_path / "env"
    filled.write_text(re.sub(r"=$", "=value", EXAMPLE, flags=re.MULTILINE))
    chosen = [word for file in files for word in ("-f", str(FOLDER / file))]
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    done = subprocess.run([*command, "--env-file", filled, *chosen, "config"], capture_output=True, text=True, env=bare)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    assert set(read) == set(SERVICES)
    assert read["ray-worker"]["environment"]["RAY_AUTH_MODE"] == "token"
    assert json.dumps(read).count("${") == 0
    refused = subprocess.run(
        [*command, "--env-file", FOLDER / ".env.example", *chosen, "config"], capture_output=True, text=True, env=bare
    )
    assert refused.returncode != 0 and "set it in .env" in refused.stderr
