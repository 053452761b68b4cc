"""A browser without a window, to look at pages with: the Chromium that is here, or Playwright's own.

python -m orchestrator.browser      # install one where there is none; needs the extra "dev"
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

VARIABLE = "PLAYWRIGHT_CHROMIUM"  # of the environment: which one to take
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowserError(RuntimeError):
    """There is none that could be started, and why."""


@contextmanager
def browser() -> Iterator[Browser]:
    """One that is started, and ended after. NoBrowserError where there is none."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError as error:
        raise NoBrowserError("expected Playwright, found none: pip install -e '.[dev]'") from error
    with sync_playwright() as playwright:
        path = _find(playwright)
        if path is None:
            raise NoBrowserError(
                f"expected {' or '.join(NAMES[:3])} on the path, or {VARIABLE} to name one, found none: "
                "'python -m orchestrator.browser' installs one"
            )
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        try:
            found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if as_root else [])
        except Error as error:
            raise NoBrowserError(f"{path} does not start: {error}") from error
        try:
            yield found
        finally:
            found.close()


def _find(playwright: Playwright) -> str | None:
    """Where one is: the one that is named, one of the system's, or the one that Playwright installed."""
    here = os.environ.get(VARIABLE) or next((path for name in NAMES if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    return here or (own if Path(own).exists() else None)


def install() -> None:
    """Install one where none starts: the system's package for root, else Playwright's. Says so where neither goes."""
    try:
        with browser():
            return
    except NoBrowserError as error:
        print(error, file=sys.stderr)
    ways = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        apt = ["apt-get", "-qq", "-o", "Acquire::Retries=3"]
        ways.insert(0, [[*apt, "update"], [*apt, "install", "-y", "--no-install-recommends", "chromium"]])
    for commands in ways:
        if all(subprocess.run(command, check=False).returncode == 0 for command in commands):
            return
    print("no browser could be installed: the tests that look at the report in one are skipped", file=sys.stderr)


if __name__ == "__main__":
    install()
