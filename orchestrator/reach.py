"""Which jobs the trees of a project plan: the working tree, and the commits that branches, tags, stashes, ... name.

To ask a tree is to run its code: of what others push, which lies in remote-tracking branches, only where that is said.

A job's key depends on code and data, so only a tree's own code can say what its jobs are: each is asked by
`python -m orchestrator keys`, in a folder of its own with the code of that commit and the data that DVC has of it.
Nothing of the working tree is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from orchestrator.conduct import Options, sources
from orchestrator.jobs import Job, in_order
from orchestrator.params import Params, dataset_module, load
from orchestrator.paths import Paths
from orchestrator.plan import Sources, extraction, extractor_trial, plan
from trackers.benchmarks.collection import Collection

OWN = ("refs/heads", "refs/tags", "refs/exps")  # where git and DVC keep what this repository names itself
ABSENT = "absent"  # the digest of data that is not there
MADE = (
    "sequences",
    "extractors",
    "features",
)  # stages of dvc.yaml whose outputs jobs read, and their folders in build/


@dataclass(frozen=True)
class Wanted:
    """What one tree plans.

    keys: of its jobs. unsure: how the labels of jobs begin whose keys cannot be known, for their data is not there.
    problem: why it could not be planned at all; "" if it could.
    """

    name: str
    keys: frozenset[str] = frozenset()
    unsure: tuple[str, ...] = ()
    problem: str = ""


def wanted(root: Path, left_out: Iterable[str] = (), remotes: bool = False) -> Iterator[Wanted]:
    """What each tree of the project at `root` plans. left_out: names of branches, tags, ... not to ask.

    remotes: ask remote-tracking branches, too, and whatever else was fetched.
    Raises ValueError for a name that there is not.
    """
    yield ask("the working tree", root)
    named, lender = commits(root, remotes), _Lender(root.resolve())
    known = {name for names in named.values() for name in names}
    for name in left_out:
        if name not in known:
            raise ValueError(f"no branch, tag or stash {name!r}; expected one of {', '.join(sorted(known)) or 'none'}")
    for commit, names in named.items():
        kept = [name for name in names if name not in left_out]
        if kept:
            yield _ask_commit(", ".join(kept), commit, lender)


def ask(name: str, tree: Path) -> Wanted:
    """What a tree says itself that it plans."""
    command = [sys.executable, "-m", "orchestrator", "keys"]
    path = os.pathsep.join(part for part in (str(tree.resolve()), os.environ.get("PYTHONPATH")) if part)
    try:
        done = subprocess.run(
            command, cwd=tree, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=900
        )
        if done.returncode:
            return Wanted(name, problem=(done.stderr.strip().splitlines() or ["it printed nothing"])[-1])
        said = json.loads(done.stdout)
        return Wanted(name, frozenset(said["keys"]), tuple(said["unsure"]))
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError) as error:
        return Wanted(name, problem=str(error))


def commits(root: Path, remotes: bool = False) -> dict[str, list[str]]:
    """{commit: its names}: HEAD, local branches, tags, experiments of DVC, stashes; {} outside git.

    remotes: remote-tracking branches, too, and all other references.
    """
    found: dict[str, list[str]] = {}
    places = () if remotes else OWN
    named = _git(root, "for-each-ref", "--format=%(objectname)|%(*objectname)|%(refname:short)", *places).splitlines()
    named += _git(root, "stash", "list", "--format=%H||%gd").splitlines()
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    for line in [f"{head}||HEAD", *named] if head else named:
        own, tagged, name = line.split("|", 2)
        if _git(root, "cat-file", "-t", tagged or own).strip() == "commit":
            found.setdefault(tagged or own, []).append(name)
    return found


def _ask_commit(name: str, commit: str, lender: _Lender) -> Wanted:
    with tempfile.TemporaryDirectory(prefix="trackmeet-tree-") as folder:
        try:
            prefix = _git(lender.root, "rev-parse", "--show-prefix").strip()  # of the project in the repository
            archive = subprocess.run(
                ["git", "-C", str(lender.root), "archive", "--format=tar", f"{commit}:{prefix}"],
                capture_output=True,
                check=True,
            )
            with tarfile.open(fileobj=BytesIO(archive.stdout)) as packed:
                packed.extractall(folder, filter="data")  # refuses links that lead out of the folder
            lender.lend(Path(folder))
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            said = getattr(error, "stderr", None) or str(error)
            return Wanted(name, problem=said.decode(errors="replace").strip() if isinstance(said, bytes) else said)
        return ask(name, Path(folder))


@dataclass
class _Lender:
    """Puts a commit's data below its tree, by links: as DVC has it, or, where DVC does not keep it, as it is now."""

    root: Path

    @cached_property
    def _cache(self) -> str:
        return _dvc(self.root, "cache", "dir").stdout.strip()

    @cached_property
    def _now(self) -> bytes | None:
        """What data.dvc says of the data in the working tree; None where that is not so, or was never said."""
        if not (self.root / "data.dvc").exists():
            return None
        status = _dvc(self.root, "status", "--json", "data.dvc")
        clean = status.returncode == 0 and status.stdout.strip() == "{}"
        return (self.root / "data.dvc").read_bytes() if clean else None

    def lend(self, tree: Path) -> None:
        """What DVC's cache does not hold whole is not there afterwards."""
        (tree / "build").mkdir(exist_ok=True)
        if (self.root / "build" / "digests.json").exists():
            shutil.copy(self.root / "build" / "digests.json", tree / "build")
        places = {"data.dvc": tree / "data"} | {stage: tree / "build" / stage for stage in MADE}
        if not (tree / "data.dvc").exists():
            for place in places.values():
                now = self.root / place.relative_to(tree)
                if now.exists() and not place.exists():
                    place.symlink_to(now)
            return
        (tree / ".dvc" / "config.local").write_text(
            f"[core]\n    no_scm = true\n[cache]\n    dir = {self._cache}\n    type = reflink,hardlink,symlink,copy\n"
        )
        if (tree / "data.dvc").read_bytes() == self._now:  # the hashes of these files are known
            places.pop("data.dvc")
            (tree / "data").symlink_to(self.root / "data")
        if _dvc(tree, "checkout", "--force", *places).returncode:
            for target, place in places.items():
                if _dvc(tree, "checkout", "--force", target).returncode:
                    shutil.rmtree(place, ignore_errors=True)


def _dvc(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"}
    )


def _git(root: Path, *words: str) -> str:
    """What git prints; "" where it fails, or where this is no repository."""
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True).stdout
    except OSError:
        return ""


# What one tree says of itself.


def planned(paths: Paths) -> dict[str, Any]:
    """{"keys", "unsure"} of all that the parameters here plan, in `params.yaml` and whatever others lie beside it."""
    keys: set[str] = set()
    unsure: set[str] = set()
    for file in parameters(paths.root):
        where = sources(Options(file, [], []), paths)
        jobs, unseen = _jobs(load(file), where)
        unsure |= unseen
        unknown: set[str] = set()
        for job in in_order(jobs):
            lacking = any(data.digest == ABSENT for data in job.data.values())
            if lacking or any(need.key in unknown for need in job.needs.values()):
                unknown.add(job.key)
                unsure.add(job.label)
            keys.add(job.key)
    return {"keys": sorted(keys), "unsure": sorted(unsure)}


def parameters(root: Path) -> list[Path]:
    """Files of parameters in the project's folder and its examples/: those with data sets and studies."""
    files = sorted([*root.glob("*.yaml"), *root.glob("examples/*.yaml")])
    words = [{line.split(":")[0] for line in file.read_text(errors="replace").splitlines()} for file in files]
    return [file for file, own in zip(files, words, strict=True) if {"datasets", "studies"} <= own]


def _jobs(params: Params, where: Sources) -> tuple[list[Job], set[str]]:
    """All jobs of these parameters, and how the labels begin of those that cannot be named: data is not there."""
    jobs = [job for trial in plan(params, where) for job in trial.jobs]
    jobs += [job for e in params.extractors.values() for job in extractor_trial(e, params, where).jobs]
    unseen = set()
    for cache in params.features:
        dataset = params.seen(cache)[1]
        try:
            data = where.data(dataset.root)
            opened = dataset_module(dataset.format).open(dataset.config, data.path, dataset.name)
            names = [sequence.name for sequence in opened] if isinstance(opened, Collection) else []
            jobs += extraction(cache, names, params, where).values()
        except (OSError, ValueError):
            unseen.add(f"{cache} / ")
    return jobs, unseen
