"""`make setup` where something is missing: a sentence, a remedy, nothing half-done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bootstrap import SOURCES, hash_of
from scaffold import ROOT

OLD = (
    "import sys, runpy; sys.version_info = (3, 8, 0); runpy.run_path(sys.argv[1], None, '__main__')"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What bootstrap needs of a checkout, with nothing installed."""
    folder = tmp_path / "checkout"
    for name in ("pyproject.toml", "constraints.txt", "template/requirements.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "tools").mkdir()
    shutil.copy(ROOT / "tools/bootstrap.py", folder / "tools")
    return folder


def run_bootstrap(checkout: Path, *python: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it with an empty environment but for `env`: no uv on the PATH, no caches."""
    return subprocess.run(
        [sys.executable, *python, str(checkout / "tools/bootstrap.py")],
        env={"PATH": os.defpath, "HOME": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_is_too_old(checkout: Path, tmp_path: Path) -> None:
    done = run_bootstrap(checkout, "-c", OLD, PATH=str(tmp_path))
    assert done.returncode != 0
    assert "Python 3.8 cannot run this" in done.stderr and "PYTHON=python3.12" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists() and not (checkout / ".uv").exists()


def test_no_network(checkout: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    done = run_bootstrap(
        checkout, PIP_INDEX_URL=nowhere, UV_INDEX_URL=nowhere, PIP_RETRIES="0", UV_HTTP_RETRIES="0"
    )
    assert done.returncode != 0
    assert "Could not install uv" in done.stderr and "go online" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv/ready").exists()


def test_what_is_ready_is_not_looked_at_again(checkout: Path) -> None:
    """So `make` works offline once it has run, and at once."""
    (checkout / ".venv").mkdir()
    (checkout / ".venv/ready").write_text(hash_of(SOURCES))
    done = run_bootstrap(checkout, PATH="/nowhere")
    assert done.returncode == 0 and done.stdout == ""
