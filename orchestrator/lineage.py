"""Where results come from: content hashes of data, fingerprints of code, revisions.

A job's key holds the hash of the data that it reads and of the code that it runs, so that
finished work is found again exactly when neither has changed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from orchestrator.files import write_json
from trackers.benchmarks.files import digest
from trackers.benchmarks.files import open as open_files
from trackers.benchmarks.packs import Pack


def file_digest(path: Path) -> str:
    """sha256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Digests:
    """Content hashes of folders; a file is read again only if its size or time of change moved."""

    cache: Path
    _known: dict[str, tuple[int, int, str]] | None = field(default=None, repr=False)

    def folder(self, root: Path) -> str:
        """One sha256 over the names and contents of all files below `root` ('absent' if there is none).

        Hidden files do not count. A data set has the same digest packed and not (`trackers.benchmarks.files.digest`);
        where it is packed, the digest that is recorded there is taken, once the shards are as long as they should be.
        """
        if not root.exists():
            return "absent"
        files = open_files(root) if root.is_dir() else None
        if isinstance(files, Pack):
            return files.digest
        if self._known is None:
            self._known = self._load()
        base, hashes, changed = root.resolve(), [], False
        for name in files.names if files is not None else (".",):
            path = base / name
            stat, place = path.stat(), str(path)
            known = self._known.get(place)
            if known is None or known[:2] != (stat.st_size, stat.st_mtime_ns):
                known = (stat.st_size, stat.st_mtime_ns, file_digest(path))
                self._known[place] = known
                changed = True
            hashes.append((name, known[2]))
        if changed:
            write_json(self.cache, self._known)
        return digest(hashes)

    def _load(self) -> dict[str, tuple[int, int, str]]:
        try:
            return {place: (row[0], row[1], row[2]) for place, row in json.loads(self.cache.read_text()).items()}
        except (OSError, ValueError, LookupError):
            return {}  # only a cache: what cannot be read is made again


def fingerprint(modules: Iterable[str]) -> dict[str, str]:
    """{module: sha256 of its code} of these modules and all that they can reach by import.

    Inside `trackers`, imports are followed within `trackers`; in a user's own module, within its
    own top-level package too; a module of the orchestrator counts alone. Comments, docstrings and
    layout do not count: the syntax tree does.
    """
    waiting, seen = list(modules), dict[str, str]()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        source = _source(module)
        if source is None:
            continue  # an attribute of a module, not a module
        seen[module], imports = _read_code(source)
        package = module.split(".")[0]
        if package == "orchestrator":
            continue
        parents = [".".join(module.split(".")[:i]) for i in range(1, module.count(".") + 1)]
        waiting += parents
        waiting += [name for name in imports if name.split(".")[0] in (package, "trackers")]
    return dict(sorted(seen.items()))


@cache
def _source(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@cache
def _read_code(source: Path) -> tuple[str, tuple[str, ...]]:
    """(sha256 of the code, the names that it imports)."""
    tree = ast.parse(source.read_bytes())
    imports = tuple(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # a submodule, perhaps


def git_revision(root: Path) -> str:
    """The commit of the working tree, '-dirty' behind it where files differ; 'unknown' outside git."""
    return _printed(["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"])


def data_revision(root: Path) -> str:
    """What data.dvc says of data/: its md5; 'unknown' where there is no data.dvc."""
    try:
        lines = (root / "data.dvc").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split("md5:")[1].strip() for line in lines if "md5:" in line), "unknown")


def _printed(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
