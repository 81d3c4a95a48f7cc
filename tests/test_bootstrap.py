"""`make setup` where something is missing: a sentence, a remedy, nothing half-done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bootstrap import BENCH, NEWEST, OLDEST, Venv, hash_of
from scaffold import ROOT

PRETENDING = (
    "import sys, runpy; sys.version_info = {}; runpy.run_path(sys.argv.pop(1), None, '__main__')"
)
UV = """#!/bin/sh
echo "$@" >> {0}/said
mkdir -p {0}/.venv {0}/.venv-oldest {0}/.venv-bench
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What bootstrap needs of a checkout, with nothing installed."""
    folder = tmp_path / "checkout"
    for name in {*NEWEST.sources, *OLDEST.sources}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "tools").mkdir()
    shutil.copy(ROOT / "tools/bootstrap.py", folder / "tools")
    return folder


def run_bootstrap(
    checkout: Path, *arguments: str, version: tuple[int, ...] = (), **env: str
) -> subprocess.CompletedProcess[str]:
    """Run it with an empty environment but for `env`: no uv on the PATH, no caches.

    With a version, this Python says that it is of that one.
    """
    pretending = ["-c", PRETENDING.format(version)] if version else []
    return subprocess.run(
        [sys.executable, *pretending, str(checkout / "tools/bootstrap.py"), *arguments],
        env={"PATH": os.defpath, "HOME": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_is_too_old(checkout: Path, tmp_path: Path) -> None:
    done = run_bootstrap(checkout, version=(3, 8, 0), PATH=str(tmp_path))
    assert done.returncode != 0
    assert "Python 3.8 cannot run this" in done.stderr and "PYTHON=python3.12" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists() and not (checkout / ".uv").exists()


def test_no_python_for_the_oldest_versions(checkout: Path, tmp_path: Path) -> None:
    done = run_bootstrap(checkout, "oldest", version=(3, 13, 0), PATH=str(tmp_path))
    assert done.returncode != 0
    assert "Python 3.13 cannot run this" in done.stderr and "3.10 to 3.12" in done.stderr
    assert "PYTHON=python3.12" in done.stderr and "Traceback" not in done.stderr
    assert not (checkout / ".venv-oldest").exists() and not (checkout / ".uv").exists()


@pytest.mark.parametrize(
    ("arguments", "venv", "version", "python"),
    [
        ((), NEWEST, (3, 11, 0), sys.executable),
        ((), NEWEST, (3, 14, 0), "python3.13"),
        (("oldest",), OLDEST, (3, 11, 0), "python3.10"),
        (("oldest",), OLDEST, (3, 10, 0), sys.executable),
        (("bench",), BENCH, (3, 12, 0), sys.executable),
    ],
)
def test_which_python_is_taken_and_what_is_installed(
    checkout: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    venv: Venv,
    version: tuple[int, ...],
    python: str,
) -> None:
    for name in ("python3.10", "python3.12", "python3.13", "uv"):
        (tmp_path / name).write_text(UV.format(checkout) if name == "uv" else "#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.defpath}"
    done = run_bootstrap(checkout, *arguments, version=version, PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    made, installed = (checkout / "said").read_text().splitlines()
    assert made == f"venv --quiet --python {python} {checkout / venv.name}"
    assert f"--group {checkout}/pyproject.toml:{venv.group}" in installed
    assert f"--constraint {checkout / venv.sources[1]}" in installed
    assert (checkout / venv.name / "ready").read_text() == hash_of(venv.sources)


def test_no_network(checkout: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    done = run_bootstrap(
        checkout, PIP_INDEX_URL=nowhere, UV_INDEX_URL=nowhere, PIP_RETRIES="0", UV_HTTP_RETRIES="0"
    )
    assert done.returncode != 0
    assert "Could not install uv" in done.stderr and "go online" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv/ready").exists()


@pytest.mark.parametrize(
    ("arguments", "venv"), [((), NEWEST), (("oldest",), OLDEST), (("bench",), BENCH)]
)
def test_what_is_ready_is_not_looked_at_again(
    checkout: Path, arguments: tuple[str, ...], venv: Venv
) -> None:
    """So `make` works offline once it has run, and at once."""
    (checkout / venv.name).mkdir()
    (checkout / venv.name / "ready").write_text(hash_of(venv.sources))
    done = run_bootstrap(checkout, *arguments, PATH="/nowhere")
    assert done.returncode == 0 and done.stdout == ""
