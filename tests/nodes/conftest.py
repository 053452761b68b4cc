"""Several machines on this one: a network namespace each, with its own address, name, folders and files in sight.

Where namespaces cannot be made (they take root), the machines are processes with loopback addresses of their own; then
no link can be cut. All traffic stays on this machine. Whatever was started ends with the test, by process id.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORT = 6379
FAST = {  # a machine that is cut off is noticed in under 30 s
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Network:
    """Machines that reach each other and nothing else. root: their folders, with a short name, as sockets need one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = f"trackmeet-{os.getpid()}"
        self.machines: list[Machine] = []
        self.head_cpus = 1
        self.apart = os.geteuid() == 0 and shutil.which("ip") is not None and not os.environ.get("TRACKMEET_NO_NETNS")
        if self.apart:
            try:
                run("ip", "netns", "add", f"{self.name}-switch")
            except subprocess.CalledProcessError:
                self.apart = False
        if self.apart:
            for words in ("link add bridge type bridge", "link set bridge up"):
                run("ip", "-n", f"{self.name}-switch", *words.split())
        self.code = root / "code"
        for package in ("orchestrator", "trackers"):
            shutil.copytree(ROOT / package, self.code / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "tests" / "orchestrator" / "toy", self.code / "toy")
        self.token = root / "token"
        self.token.write_text(secrets.token_hex(32))
        self.token.chmod(0o600)

    @property
    def project(self) -> Path:
        """The driver's folder, which only the first machine sees."""
        return self.root / "project"

    def cluster(self, machines: int, head_cpus: int = 1, **environment: str) -> list[Machine]:
        """Start Ray on so many, of one CPU each; the first is the head."""
        self.project.mkdir(exist_ok=True)
        self.head_cpus = head_cpus
        for _ in range(machines):
            self.add(**environment)
        for machine in self.machines:
            machine.wait_for_ray()
        return self.machines

    def add(self, **environment: str) -> Machine:
        """One more machine, with Ray on its way up."""
        machine = Machine(self, len(self.machines) + 1)
        self.machines.append(machine)
        machine.start_ray(environment)
        if machine.number == 1 or not self.apart:  # nodes that share a folder take each other's sockets
            machine.wait_for_ray()
        return machine

    def drive(self, *words: str, **environment: str) -> subprocess.Popen:
        """`trackmeet` with these words, on the first machine, in the project's folder."""
        address = self.machines[0].address
        environment = {"RAY_ADDRESS": f"{address}:{PORT}", **environment}
        if not self.apart:
            environment["NOTHING_SHARED"] = "1"
        script = str(Path(__file__).with_name("drive.py"))
        return self.machines[0].popen(sys.executable, script, *words, cwd=self.project, log="driver.log", **environment)

    def events(self, what: str = "") -> list[list]:
        """What the driver noted, of one kind where that is given: [seconds since the epoch, what, label, ...]."""
        try:
            lines = (self.project / "events.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [event for event in map(json.loads, lines) if event[1].startswith(what)]

    def close(self) -> None:
        for machine in self.machines:
            machine.kill()
        if self.apart:
            for name in [f"{self.name}-switch", *(machine.namespace for machine in self.machines)]:
                subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Machine:
    """A node: its processes see its own folder and the code, and, unless it is the first, nothing of the project."""

    def __init__(self, network: Network, number: int) -> None:
        self.network, self.number = network, number
        self.name = f"node{number}"
        self.home = network.root / self.name
        self.namespace = f"{network.name}-{number}"
        self.address = f"10.77.0.{number}" if network.apart else f"127.0.7.{number}"
        for folder in ("tmp", "work"):
            (self.home / folder).mkdir(parents=True)
        if network.apart:
            switch = f"{network.name}-switch"
            run("ip", "netns", "add", self.namespace)
            link = ["link", "add", "eth0", "netns", self.namespace, "type", "veth", "peer", "name", f"port{number}"]
            run("ip", "-n", switch, *link)
            for words in (f"link set port{number} master bridge", f"link set port{number} up"):
                run("ip", "-n", switch, *words.split())
            for words in (
                "link set lo up",
                f"address add {self.address}/24 dev eth0",
                "link set eth0 up",
                "route add default via 10.77.0.254",  # leads nowhere, but Ray wants one
            ):
                run("ip", "-n", self.namespace, *words.split())

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def popen(self, *command: str, cwd: Path | None = None, log: str = "log", **environment: str) -> subprocess.Popen:
        """Start a process there. Its own environment is all that it has: no proxies, no settings of the caller's."""
        prefix: list[str] = []
        if self.network.apart:
            script = f'hostname {self.name} && exec "$@"'
            if self.number > 1:  # Ray gives all nodes the head's folder: each has its own in that place
                session, head = self.home / "session", self.network.machines[0].home
                session.mkdir(exist_ok=True)
                hide = f"mount -t tmpfs none {self.network.project} && mount --bind {session} {head}"
                script = f"{hide} && {script}"
            prefix = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts", "sh", "-c", script, "sh"]
        with (self.home / log).open("ab") as file:
            return subprocess.Popen(
                [*prefix, *command],
                cwd=cwd or self.home / "work",
                env={
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                    "HOME": str(self.home),
                    "TMPDIR": str(self.home / "tmp"),
                    "RAY_TMPDIR": str(self.home),
                    "RAY_AUTH_MODE": "token",
                    "RAY_AUTH_TOKEN_PATH": str(self.network.token),
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "RAY_raylet_start_wait_time_s": "150",  # on a machine that has other things to do
                    **FAST,
                    "PYTHONPATH": str(self.network.code),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "OMP_NUM_THREADS": "1",
                    "TRACKMEET_CACHE": str(self.cache),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_ray(self, environment: dict[str, str]) -> None:
        head = self.network.machines[0]
        role = ["--head", f"--port={PORT}"] if self is head else [f"--address={head.address}:{PORT}"]
        cpus = self.network.head_cpus if self is head else 1
        words = [f"--num-cpus={cpus}", "--object-store-memory=200000000", "--disable-usage-stats", "--block"]
        self.popen("ray", "start", *role, f"--node-ip-address={self.address}", *words, log="ray.log", **environment)

    def wait_for_ray(self) -> None:
        until = time.monotonic() + 180
        while "Ray runtime started" not in (self.home / "ray.log").read_text():
            assert time.monotonic() < until, f"{self.name}: {(self.home / 'ray.log').read_text()}"
            time.sleep(0.2)

    def pids(self) -> list[int]:
        """Of all processes that were started there and their children: they have its folder as their home."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"HOME={self.home}\0".encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def kill(self) -> None:
        """As if the power failed."""
        until = time.monotonic() + 20
        while (pids := self.pids()) and time.monotonic() < until:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)

    def link(self, state: str) -> None:
        """Cut it off from the others ("down"), or let it come back ("up")."""
        if not self.network.apart:
            pytest.skip("links can be cut only between network namespaces, which take root and `ip`")
        run("ip", "-n", f"{self.network.name}-switch", "link", "set", f"port{self.number}", state)


@pytest.fixture
def network() -> Iterator[Network]:
    root = Path(tempfile.mkdtemp(prefix="tm-", dir="/tmp"))
    network = Network(root)
    try:
        yield network
    finally:
        network.close()
        keep = os.environ.get("TRACKMEET_KEEP_NODES")
        if keep:
            print(f"kept {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
