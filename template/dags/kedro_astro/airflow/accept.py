"""A project read anew: in a process of its own, one at a time, and kept as a manifest."""

from __future__ import annotations

import fcntl
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import IO

from kedro_astro.airflow.manifest import (
    FORMAT,
    STILL_READING,
    Manifest,
    kept_at,
    sources_fingerprint,
)
from kedro_astro.planning.blueprint import blueprints
from kedro_astro.project import SHIM, WELL, own_python
from kedro_astro.structure import SOURCES, Structure, nothing, to_json


def read_anew(project: Path, path: Path, patience: float | None) -> Manifest:
    """Have the project read, and return its manifest.

    Args:
        project: the folder that holds `pyproject.toml`.
        path: of the manifest.
        patience: seconds to wait, forever if None.
    """
    end = None if patience is None else time.monotonic() + patience
    manifest = None
    with path.with_name("lock").open("w") as lock:
        if _acquire(lock, end):
            # Somebody else may have read the project while we waited.
            manifest = kept_at(path)
            if not manifest or not manifest.fresh(project):
                manifest = _read_in_background(project, path, lock, end)
    if manifest:
        return manifest
    nothing_yet = BytesIO(to_bytes(nothing(STILL_READING), ""))
    return kept_at(path, still_reading=True) or Manifest(nothing_yet, still_reading=True)


def keep(project: Path, path: Path) -> Structure:
    """Read the project in this process and keep what is known at `path`. Imports Kedro.

    Args:
        project: the folder that holds `pyproject.toml`.
        path: the manifest's file; it is replaced at once or not at all.
    """
    from kedro_astro.reading.discover import discover

    # Modules, nodes and datasets all stay: the collector would go through them again and again.
    gc.disable()
    try:
        kept = _kept_structure(path)
        sources = kept.sources if kept else SOURCES
        # Taken before the reading: an edit made meanwhile makes the manifest stale, not wrong.
        fingerprint = sources_fingerprint(project, sources)
        structure = _with_last_good(discover(project), kept)
        if structure.sources != sources:
            fingerprint = sources_fingerprint(project, structure.sources)
        _write(path, to_bytes(structure, fingerprint))
        return structure
    finally:
        gc.enable()


def to_bytes(structure: Structure, fingerprint: str) -> bytes:
    """Return a manifest.

    Args:
        structure: the project.
        fingerprint: of the sources that it was read from.
    """
    made, refused = blueprints(structure)
    lines = [json.dumps(part).encode() + b"\n" for part in (to_json(structure), *made)]
    offsets = accumulate(map(len, lines))
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "env": structure.env,
        "sources": structure.sources,
        "problems": [*structure.problems, *refused],
        # Where each line is, counted from the end of this one.
        "dags": {
            blueprint["dag_id"]: (offset, len(line))
            for blueprint, offset, line in zip(made, offsets, lines[1:], strict=False)
        },
        "size": sum(map(len, lines)),
    }
    return b"".join([json.dumps(header).encode(), b"\n", *lines])


def _kept_structure(path: Path) -> Structure | None:
    kept = kept_at(path)
    try:
        return kept.structure() if kept else None
    except ValueError:
        return None


def _with_last_good(structure: Structure, kept: Structure | None) -> Structure:
    """Fill what a broken project lacks from the structure of the last time it was whole."""
    if structure.settings is None:
        structure = replace(structure, settings=kept.settings if kept else {})
    if not structure.problems or kept is None:
        return structure
    if not structure.pipelines:
        return replace(kept, problems=structure.problems)
    fresh = {pipeline.name for pipeline in structure.pipelines}
    old = [pipeline for pipeline in kept.pipelines if pipeline.name not in fresh]
    pipelines = sorted((*structure.pipelines, *old), key=lambda pipeline: pipeline.name)
    return replace(
        structure,
        pipelines=tuple(pipelines),
        datasets={**kept.datasets, **structure.datasets},
    )


def _read_in_background(
    project: Path, path: Path, lock: IO[str], end: float | None
) -> Manifest | None:
    """Let a fresh process `keep` the project, and wait for it until `end`.

    One Kedro project a process, and none of it left in ours. The process holds the lock, and it
    goes on if we are stopped, as Airflow stops a DAG file that takes too long.

    Returns:
        The manifest; None if the process is still at it.
    """
    code = (
        # Only the package is to come from there: where it is installed, libraries are beside it.
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
        "import kedro_astro; sys.path[0] = sys.argv[2] + '/dags'; "
        "from kedro_astro.airflow.accept import keep; keep(Path(sys.argv[2]), Path(sys.argv[3]))"
    )
    # Meanwhile nobody is to say that all is well.
    path.with_name(WELL).unlink(missing_ok=True)
    log = path.with_name("reading.log")
    with log.open("w") as output:
        child = subprocess.Popen(
            [own_python() or sys.executable, "-c", code, str(SHIM.parent), str(project), str(path)],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    try:
        status = child.wait(None if end is None else max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    kept = kept_at(path)
    if status == 0 and kept:
        return kept
    last = "\n    ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    problem = f"  The process that read the project ended with status {status}.\n    {last}"
    structure = _with_last_good(nothing(problem), _kept_structure(path))
    content = to_bytes(structure, sources_fingerprint(project, structure.sources))
    _write(path, content)
    return Manifest(BytesIO(content))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manifest-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _acquire(lock: IO[str], end: float | None) -> bool:
    """Take the lock that a reading holds, waiting for it until `end`; return whether we have it."""
    if end is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return True
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
