"""The scaffolded project as its team has it."""

from __future__ import annotations

import shutil
import site
from pathlib import Path

import pytest
from scaffold import GIT, commit, python, scaffold, succeed

UV = '#!/bin/sh\n[ "$1" = run ] || exec echo uv "$@"\nshift\nexec python -m "$@"\n'


@pytest.fixture(scope="package", params=["example", "empty"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `uv sync` and the first commit. Leave it as it is.

    Its .venv sees what is installed here, and its `uv run X` is `python -m X`.
    """
    project = tmp_path_factory.mktemp(request.param) / "penguins"
    scaffold(project, project_name="Penguins", start=request.param, targets=["astro"])
    venv = project / ".venv"
    succeed(python("-m", "venv", "--without-pip", venv), project)
    packages = next(venv.glob("lib/*/site-packages"))
    (packages / "what-is-installed-here.pth").write_text(site.getsitepackages()[0])
    (venv / "bin/uv").write_text(UV)
    (venv / "bin/uv").chmod(0o755)
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--editable"]
    succeed(python("-m", "pip", "--python", venv, "install", *options, project), project)
    succeed([*GIT, "init", "--quiet"], project)
    commit(project, "made")
    return project


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Path:
    """A copy of it to work in, with the same .venv."""
    copy = tmp_path / "penguins"
    shutil.copytree(fresh, copy, ignore=shutil.ignore_patterns(".venv", "*.egg-info"))
    (copy / ".venv").symlink_to(fresh / ".venv")
    return copy
