"""Fixtures of the shim's tests."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest
from projects import FILES, MakeProject

# Airflow reads its settings there when it is imported, and makes folders: not in the user's own.
os.environ["AIRFLOW_HOME"] = str(Path(__file__).parents[2] / "build" / "airflow")


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Return a function that writes the project `shop`; its files can be added or replaced."""

    def make(files: dict[str, str] | None = None) -> Path:
        project = tmp_path / "shop"
        for name, text in {**FILES, **(files or {})}.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return project.resolve()

    return make
