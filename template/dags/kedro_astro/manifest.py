"""Where the structure is kept, and when what is kept is still true.

In an image the manifest is compiled while the image is built; `KEDRO_ASTRO_MANIFEST` names it and
it is trusted without a look at the sources. Anywhere else a fingerprint of the sources decides,
and a miss reads the project again in a process of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kedro_astro.errors import ManifestError
from kedro_astro.project import CACHE, SHIM, kedro_env, own_python
from kedro_astro.structure import SOURCES, Structure, from_json, nothing, to_json

COMPILED = "KEDRO_ASTRO_MANIFEST"
STILL_READING = "still reading"


def load(project: Path, patience: float | None = None) -> Structure:
    """Return the project's structure, read again only if the sources changed.

    Args:
        project: the folder that holds `pyproject.toml`.
        patience: seconds to wait for a reading, forever if None.

    Returns:
        The structure. Pipelines that cannot be read are as they were when they last could, and
        the reason is in its `problems`. If a reading takes longer than `patience` that is the last
        structure with `STILL_READING` as its problem; the reading goes on in the background.

    Raises:
        ManifestError: if `KEDRO_ASTRO_MANIFEST` names a file that is no manifest.
    """
    if compiled := os.environ.get(COMPILED):
        return _read_compiled(Path(compiled), kedro_env(project))
    path = cache_folder(project) / "manifest.json"
    if structure := _read_fresh(path, project):
        return structure
    end = None if patience is None else time.monotonic() + patience
    with path.with_name("lock").open("w") as lock:
        # Somebody else may have read the project while we waited.
        if _acquire(lock, end) and not (structure := _read_fresh(path, project)):
            structure = _read_in_background(project, path, lock, end)
    return structure or _with_last_good(nothing(STILL_READING), _kept(path)[1])


def keep(project: Path, path: Path) -> Structure:
    """Read the project in this process and keep the structure at `path`. Imports Kedro.

    Args:
        project: the folder that holds `pyproject.toml`.
        path: the manifest's file; it is replaced at once or not at all.
    """
    from kedro_astro.discover import discover

    _, kept = _kept(path)
    sources = kept.sources if kept else SOURCES
    # Taken before the reading: an edit made meanwhile makes the manifest stale, not wrong.
    fingerprint = sources_fingerprint(project, sources)
    structure = _with_last_good(discover(project), kept)
    if structure.sources != sources:
        fingerprint = sources_fingerprint(project, structure.sources)
    _write(path, {"fingerprint": fingerprint, "structure": to_json(structure)})
    return structure


def cache_folder(project: Path) -> Path:
    """Return the folder for what kedro-astro may lose: in the project, or where that is read-only
    in the system's temporary folder. It is made if need be, with a `.gitignore` of its own."""
    owner = hashlib.sha256(f"{os.getuid()} {project}".encode()).hexdigest()[:16]
    for folder in (project / CACHE, Path(tempfile.gettempdir()) / f"kedro-astro-{owner}"):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_uid != os.getuid() and folder.parent != project:
                continue
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            if os.access(folder, os.W_OK):
                return folder
        except OSError:
            continue
    raise ManifestError(project / CACHE, "neither it nor the temporary folder can be written to")


def sources_fingerprint(project: Path, sources: Iterable[str]) -> str:
    """Return a hash of what the structure depends on: names, sizes and times of the source files,
    the Kedro environment, this package, the interpreter and when something was installed there."""
    python = Path(own_python() or sys.executable)
    facts: list[object] = [kedro_env(project), str(python), *_stats(str(SHIM))]
    facts += [p.stat().st_mtime_ns for p in python.parent.parent.glob("lib/python3*/site-packages")]
    for name in sources:
        facts += _stats(str(project / name))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _stats(path: str) -> list[tuple[str, int, int]]:
    """Return (path, bytes, nanoseconds) of `path`, or of every file below it, sorted.

    Hidden files, caches and links to folders are passed over.
    """
    found: list[tuple[str, int, int]] = []
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except NotADirectoryError:
            stat = os.stat(folder)
            return [(folder, stat.st_size, stat.st_mtime_ns)]
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__pycache__":
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file():
                stat = entry.stat()
                found.append((entry.path, stat.st_size, stat.st_mtime_ns))
    return sorted(found)


def _read_compiled(path: Path, env: str | None) -> Structure:
    try:
        structure = _read(path)[1]
    except OSError as error:
        raise ManifestError(path, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise ManifestError(path, f"it is damaged or of another version ({error})") from error
    if structure.env != (env or ""):
        reason = f"it is of the Kedro environment {structure.env!r}, and tasks would run in {env!r}"
        raise ManifestError(path, reason)
    return structure


def _read_fresh(path: Path, project: Path) -> Structure | None:
    """Return the kept structure if it is true of the sources as they are now."""
    fingerprint, kept = _kept(path)
    if kept and fingerprint == sources_fingerprint(project, kept.sources):
        return kept
    return None


def _kept(path: Path) -> tuple[str, Structure | None]:
    """Return what is kept at `path`; a damaged file is as good as none."""
    try:
        return _read(path)
    except (OSError, ValueError):
        return "", None


def _read(path: Path) -> tuple[str, Structure]:
    """Return the fingerprint and the structure in a manifest file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no manifest of this format.
    """
    content = json.loads(path.read_bytes())
    try:
        return str(content["fingerprint"]), from_json(content["structure"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no manifest: {error!r}") from error


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
) -> Structure | None:
    """Let a fresh process `keep` the project, and wait for it until `end`.

    One Kedro project a process, and none of it left in ours. The process holds the lock, and it
    goes on if we are stopped, as Airflow stops a DAG file that takes too long.

    Returns:
        The structure; None if the process is still at it.
    """
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
        "from kedro_astro.manifest import keep; keep(Path(sys.argv[2]), Path(sys.argv[3]))"
    )
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
    _, kept = _kept(path)
    if status == 0 and kept:
        return kept
    last = "\n    ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    problem = f"  The process that read the project ended with status {status}.\n    {last}"
    structure = _with_last_good(nothing(problem), kept)
    fingerprint = sources_fingerprint(project, structure.sources)
    _write(path, {"fingerprint": fingerprint, "structure": to_json(structure)})
    return structure


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manifest-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, sort_keys=True)
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
