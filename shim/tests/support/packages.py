"""Packages installed for a process of its own, in which what they do may happen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from parsing import SHIM

Install = Callable[..., dict[str, str]]


def install(folder: Path, **texts: str) -> dict[str, str]:
    """Install modules, by name, each of a distribution of its own, version 1.0.

    Returns:
        The environment to find them, and the shim, in.
    """
    site = folder / "lib/site-packages"
    for name, text in texts.items():
        (site / f"{name}-1.0.dist-info").mkdir(parents=True, exist_ok=True)
        (site / f"{name}.py").write_text(text)
    path = os.pathsep.join([str(SHIM), str(site)])
    ours = {name: value for name, value in os.environ.items() if "KEDRO_" not in name}
    return {
        **ours,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(folder / "airflow"),
    }


def run(code: str, *arguments: str, env: dict[str, str], timeout: float = 60) -> str:
    """Run code that must succeed; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
