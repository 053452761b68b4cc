import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WRITERS, TRIALS, STEPS = 16, 3, 2000  # processes; trials of each; steps of each trial's two curves
LONG = 240  # seconds that nothing here ever takes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WRITER = """if True:
    import sys, time
    from pathlib import Path
    import mlflow
    from orchestrator.record.delivery import MlflowRecord
    from orchestrator.record import Point, TrialRun

    me, trials, steps = map(int, sys.argv[1:4])
    folder, uri = Path(sys.argv[4]), sys.argv[5]
    print("ready", flush=True)
    sys.stdin.readline()
    record = MlflowRecord(folder / f"spool {me}", uri)
    for trial in range(trials):
        key = f"{me}/{trial}"
        (folder / f"weights {me} {trial}").write_text(key)
        record.trial(TrialRun(key, "together", f"trial {key}", {"writer": me}, {"fold": str(trial)}))
        for start in range(0, steps, 100):
            for name in ("loss", "iou"):
                points = [Point(name, step / (me + 1), step, 1000 + step) for step in range(start, start + 100)]
                record.metrics(key, points)
            time.sleep(0.02)  # a training takes time between its reports
        record.artifact(key, folder / f"weights {me} {trial}")
        record.finish(key, "FINISHED", 5000)
    left = record.close(240)
    sys.exit(f"{left} entries left" if left else 0)
"""


def program(name: str) -> Path | None:
    """A program of PostgreSQL's server, from the PATH or where Debian keeps the newest."""
    found = shutil.which(name)
    places = [Path(found)] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]), reverse=True)
    return places[0] if places else None


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


class Postgres:
    """A PostgreSQL server of our own on a free port, with a database `mlflow`; it refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self._password = folder, free_port(), secrets.token_hex(8)
        # As root, another user runs it: Debian's package brings `postgres`.
        self._user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
        password = folder / "password"
        password.write_text(self._password)
        password.chmod(0o644)
        self._call("initdb", "--username=mlflow", f"--pwfile={password}", "--auth=scram-sha-256", "--pgdata", self.data)
        self.start()
        import psycopg

        with psycopg.connect(self.uri("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("create database mlflow")

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def uri(self, database: str = "mlflow") -> str:
        return f"postgresql+psycopg://mlflow:{self._password}@127.0.0.1:{self.port}/{database}"

    def query(self, text: str) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.uri().replace("+psycopg", "")) as connection:
            return connection.execute(text).fetchall()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self._call("pg_ctl", "start", "--wait", "--pgdata", self.data, "--log", log, "--options", options)

    def stop(self, mode: str = "fast") -> None:
        self._call("pg_ctl", "stop", "--wait", "--pgdata", self.data, "--mode", mode)

    def _call(self, name: str, *words: str) -> None:
        command = [*self._user, str(program(name)), *words]
        done = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    if program("initdb") is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/postgres.XXXXXX"], text=True).strip())
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder)


@contextmanager
def mlflow_server(uri: str, folder: Path) -> Iterator[str]:
    """The server as `infra/README.md` starts it, on this machine only; its address."""
    port = free_port()
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [str(ROOT / "infra" / "mlflow" / "serve"), "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environment(MLFLOW_BACKEND_STORE_URI=uri, MLFLOW_ARTIFACTS_DESTINATION=str(folder / "artifacts")),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + LONG
        while not healthy(port):
            assert server.poll() is None and time.monotonic() < end, (folder / "server.log").read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def healthy(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
    except OSError:
        return False


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {"PYTHONPATH": str(ROOT), "PATH": path, "OMP_NUM_THREADS": "1"} | variables


@contextmanager
def writers(folder: Path, address: str) -> Iterator[list[subprocess.Popen]]:
    """Sixteen drivers, each ready to write: one line starts it."""
    words = [str(TRIALS), str(STEPS), str(folder), address]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(writer), *words],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for writer in range(WRITERS)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def start(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def check_everything_is_there_once(postgres: Postgres) -> None:
    trials = {f"{writer}/{trial}" for writer in range(WRITERS) for trial in range(TRIALS)}
    runs = postgres.query(
        "select t.value, r.status from runs r join tags t using (run_uuid) where key = 'trackmeet.key'"
    )
    assert sorted(runs) == sorted((key, "FINISHED") for key in trials)
    assert postgres.query("select count(*) from experiments where name = 'together'") == [(1,)]
    curves = postgres.query(
        "select t.value, m.key, count(*), count(distinct step), sum(m.value)"
        " from metrics m join tags t using (run_uuid) where t.key = 'trackmeet.key' group by t.value, m.key"
    )
    assert {(key, name) for key, name, *_ in curves} == {(key, name) for key in trials for name in ("loss", "iou")}
    for key, _, points, steps, total in curves:
        assert (points, steps) == (STEPS, STEPS)
        assert total == pytest.approx(sum(range(STEPS)) / (int(key.split("/")[0]) + 1))


def test_sixteen_writers_lose_and_double_nothing(postgres, tmp_path, capsys):
    """Through one MLflow server on PostgreSQL, 16 drivers at once: each trial one finished run, each point once."""
    with mlflow_server(postgres.uri(), tmp_path) as address, writers(tmp_path, address) as processes:
        began = time.monotonic()
        start(processes)
        for process in processes:
            assert process.wait(LONG) == 0, process.stderr.read()
        seconds = time.monotonic() - began
        check_everything_is_there_once(postgres)
        files = sorted(file.read_text() for file in (tmp_path / "artifacts").rglob("weights *"))
        assert files == sorted(f"{writer}/{trial}" for writer in range(WRITERS) for trial in range(TRIALS))
    points = WRITERS * TRIALS * STEPS * 2
    with capsys.disabled():
        print(
            f"\n{WRITERS} writers, {WRITERS * TRIALS} runs, {points} points: {seconds:.1f} s, {points / seconds:.0f}/s"
        )


def test_a_database_that_dies_in_the_middle_loses_and_doubles_nothing(postgres, tmp_path):
    """PostgreSQL crashes while 16 drivers write and is back 10 s later: the same holds, and no driver has failed."""
    with mlflow_server(postgres.uri(), tmp_path) as address, writers(tmp_path, address) as processes:
        start(processes)
        end = time.monotonic() + LONG
        while postgres.query("select count(*) from metrics") < [(WRITERS * TRIALS * STEPS // 4,)]:
            assert time.monotonic() < end
            time.sleep(0.1)
        postgres.stop("immediate")
        assert any(process.poll() is None for process in processes)
        time.sleep(10)
        postgres.start()
        for process in processes:
            assert process.wait(LONG) == 0, process.stderr.read()
        check_everything_is_there_once(postgres)
