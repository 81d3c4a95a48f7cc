"""What the tests do with the template: scaffold projects from this checkout, run commands."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import copier

ROOT = Path(__file__).resolve().parent.parent


def scaffold(destination: Path, **answers: object) -> Path:
    """Make a project from the checkout with its uncommitted changes, without trusting it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", copier.errors.DirtyLocalWarning)
        copier.run_copy(
            str(ROOT),
            destination,
            data=answers,
            defaults=True,
            quiet=True,
            unsafe=False,
            vcs_ref="HEAD",
        )
    return destination


def run(
    command: list[str | Path], cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal; its output, both streams as one, is in `stdout`."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def succeed(command: list[str | Path], cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed and return its output."""
    done = run(command, cwd, env)
    assert done.returncode == 0, done.stdout
    return done.stdout


def python(*arguments: str | Path) -> list[str | Path]:
    """Return the command line of this interpreter with arguments."""
    return [sys.executable, *arguments]
