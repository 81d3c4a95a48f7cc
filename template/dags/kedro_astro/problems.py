"""What is wrong with the project, raised for Airflow's UI. What was well is not looked at again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import airflow

from kedro_astro.errors import ManifestError
from kedro_astro.manifest import COMPILED, NAME, cache_folder, sources_fingerprint
from kedro_astro.project import kedro_env


def raise_problems(project: Path) -> None:
    """Raise what is wrong with the project, for `dags/kedro_problems.py` to show in Airflow's UI.

    That is known when all DAGs are built, which `dags/kedro_dags.py` does as well. So it is noted
    when a project is well, and as long as nothing changes only the note is read.

    Raises:
        KedroAstroError: as `dags.raise_problems` does.
    """
    with suppress(OSError, ValueError, ManifestError):
        state, sources = json.loads(_note(project).read_bytes())
        if state == _state(project, sources):
            return
    # Not at the top: what was well has no need of it.
    from kedro_astro import dags

    sources = dags.raise_problems(project).sources
    # A compiled manifest is read where there may be no place to write to.
    with suppress(OSError, ManifestError):
        state = _state(project, sources)
        _note(project).write_text(json.dumps([state, sources]), encoding="utf-8")


def _note(project: Path) -> Path:
    return cache_folder(project) / "well.json"


def _state(project: Path, sources: Sequence[str]) -> list[object]:
    """Return what decides whether the project is well: sources, manifest, and what is installed.

    An edit that is made while the DAGs are built is in here, but the manifest is not yet the one of
    that edit: when it is, the state is another.
    """
    compiled = os.environ.get(COMPILED)
    manifest = Path(compiled) if compiled else cache_folder(project) / NAME
    installed = Path(airflow.__file__).parents[1]
    return [
        kedro_env(project),
        None if compiled else sources_fingerprint(project, sources),
        *([str(path), path.stat().st_mtime_ns] for path in (manifest, installed)),
    ]
