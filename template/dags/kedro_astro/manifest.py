"""Where what is known of the project is kept, and when that is still true.

The manifest is a file of JSON lines: a header, the structure, and the blueprint of each DAG. In an
image it is compiled while the image is built; `KEDRO_ASTRO_MANIFEST` names it and it is trusted
without a look at the sources. Anywhere else a fingerprint of the sources decides, and after a miss
the project is read anew, see `reading`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedro_astro.errors import ManifestError
from kedro_astro.project import CACHE, SHIM, kedro_env, own_python

if TYPE_CHECKING:
    from kedro_astro.blueprint import Blueprint
    from kedro_astro.structure import Structure

FORMAT = 6
"""Version of the file; a manifest of another format is read as if it were not there."""

COMPILED = "KEDRO_ASTRO_MANIFEST"
NAME = "manifest.jsonl"
STILL_READING = "still reading"


class Manifest:
    """What is known of a project.

    Args:
        lines: of the file.
        still_reading: whether a newer state of the project is being read.

    Attributes:
        fingerprint: of the sources that it was made of.
        env: the Kedro environment, or empty.
        sources: the files and folders that it was made of, relative to the project.
        problems: what could not be read or cannot be a DAG, and where; empty when all is well.

    Raises:
        ValueError: if they are no manifest of this format.
    """

    def __init__(self, lines: Sequence[bytes], still_reading: bool = False) -> None:
        header = json.loads(lines[0]) if lines else None
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"no manifest of the format {FORMAT}")
        if len(lines) < 2 + len(header["dags"]):
            raise ValueError("its end is missing")
        self._lines = lines
        self._dags: list[str] = header["dags"]
        self.fingerprint: str = header["fingerprint"]
        self.env: str = header["env"]
        self.sources: tuple[str, ...] = tuple(header["sources"])
        self.problems: tuple[str, ...] = tuple(header["problems"])
        self.still_reading = still_reading

    def structure(self) -> Structure:
        """Return the project's structure.

        Raises:
            ValueError: if it is damaged.
        """
        from kedro_astro.structure import from_json

        return from_json(json.loads(self._lines[1]))

    def blueprints(self, wanted: str | None = None) -> Iterator[Blueprint]:
        """Yield the blueprint of each DAG, or of the one with the id `wanted`."""
        for dag_id, line in zip(self._dags, self._lines[2:], strict=False):
            if wanted in (None, dag_id):
                yield json.loads(line)

    def fresh(self, project: Path) -> bool:
        """Whether the sources are as they were."""
        return self.fingerprint == sources_fingerprint(project, self.sources)

    def superseded(self) -> Manifest:
        """Return the same while a newer state of the project is being read."""
        return Manifest(self._lines, still_reading=True)


def read(project: Path, patience: Callable[[], float] | None = None) -> Manifest:
    """Return what is known of the project, which is read again only if the sources changed.

    Pipelines that cannot be read are as they were when they last could, and the reason is in the
    manifest's `problems`. If a reading takes longer than `patience` the manifest is the last one
    and `still_reading`; the reading goes on in the background.

    Args:
        project: the folder that holds `pyproject.toml`.
        patience: returns the seconds to wait for a reading; forever if None.

    Raises:
        ManifestError: if `KEDRO_ASTRO_MANIFEST` names a file that is no manifest.
        InterpreterError: if there is none where `KEDRO_ASTRO_PYTHON` says.
    """
    if compiled := os.environ.get(COMPILED):
        return _compiled(Path(compiled), kedro_env(project))
    path = cache_folder(project) / NAME
    kept = kept_at(path)
    if kept and kept.fresh(project):
        return kept
    from kedro_astro.reading import read_anew

    return read_anew(project, path, patience and patience())


def load(project: Path, patience: float | None = None) -> Structure:
    """Return the project's structure.

    Its `problems` are those of the reading alone: `plan` says which pipelines cannot be DAGs.

    Args:
        project: the folder that holds `pyproject.toml`.
        patience: seconds to wait for a reading; forever if None.

    Raises:
        KedroAstroError: as `read` does.
    """
    from dataclasses import replace

    manifest = read(project, None if patience is None else lambda: patience)
    structure = manifest.structure()
    return replace(structure, problems=(STILL_READING,)) if manifest.still_reading else structure


def kept_at(path: Path) -> Manifest | None:
    """Return the manifest in a file; a damaged one is as good as none."""
    try:
        return Manifest(path.read_bytes().splitlines())
    except (OSError, ValueError, KeyError, TypeError):
        return None


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


def _compiled(path: Path, env: str | None) -> Manifest:
    try:
        manifest = Manifest(path.read_bytes().splitlines())
    except OSError as error:
        raise ManifestError(path, error.strerror or "it cannot be read") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(path, f"it is damaged or of another version ({error})") from error
    if manifest.env != (env or ""):
        reason = f"it is of the Kedro environment {manifest.env!r}, and tasks would run in {env!r}"
        raise ManifestError(path, reason)
    return manifest
