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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kedro_astro.project import CHECKSUMS, SHIM, cache_folder, kedro_env, own_python

if TYPE_CHECKING:
    from kedro_astro.planning.blueprint import Blueprint
    from kedro_astro.structure import Structure

FORMAT = 8
"""Version of the file; a manifest of another format is read as if it were not there."""

COMPILED = "KEDRO_ASTRO_MANIFEST"
NAME = "manifest.jsonl"
STILL_READING = "still reading"


class Manifest:
    """What is known of a project. Only what is asked for is read.

    Args:
        file: of JSON lines, open; see the top of this file.
        still_reading: whether a newer state of the project is being read.

    Attributes:
        fingerprint: of the sources that it was made of.
        env: the Kedro environment, or empty.
        sources: the files and folders that it was made of, relative to the project.
        problems: what could not be read or cannot be a DAG, and where; empty when all is well.

    Raises:
        ValueError: if it is no manifest of this format.
    """

    def __init__(self, file: BinaryIO, still_reading: bool = False) -> None:
        header = json.loads(file.readline())
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"no manifest of the format {FORMAT}")
        try:
            self._places: dict[str, tuple[int, int]] = header["dags"]
            self.fingerprint: str = header["fingerprint"]
            self.env: str = header["env"]
            self.sources: tuple[str, ...] = tuple(header["sources"])
            self.problems: tuple[str, ...] = tuple(header["problems"])
            size = header["size"]
        except KeyError as error:
            raise ValueError(f"no {error} in its first line") from error
        self._file = file
        self._start = file.tell()
        self.still_reading = still_reading
        if file.seek(0, os.SEEK_END) - self._start != size:
            raise ValueError("its end is missing")

    def structure(self) -> Structure:
        """Return the project's structure.

        Raises:
            ValueError: if it is damaged.
        """
        from kedro_astro.structure import from_json

        self._file.seek(self._start)
        return from_json(json.loads(self._file.readline()))

    def blueprints(self, wanted: str | None = None) -> Iterator[Blueprint]:
        """Yield the blueprint of each DAG, or of the one with the id `wanted`."""
        for dag_id, (offset, size) in self._places.items():
            if wanted in (None, dag_id):
                self._file.seek(self._start + offset)
                yield json.loads(self._file.read(size))

    def fresh(self, project: Path) -> bool:
        """Whether the sources are as they were."""
        return self.fingerprint == sources_fingerprint(project, self.sources)


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
    from kedro_astro.airflow.accept import read_anew

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


def kept_at(path: Path, still_reading: bool = False) -> Manifest | None:
    """Return the manifest in a file; a damaged one is as good as none."""
    try:
        return Manifest(path.open("rb"), still_reading)
    except (OSError, ValueError):
        return None


def sources_fingerprint(project: Path, sources: Iterable[str]) -> str:
    """Return a hash of what the structure depends on: names, sizes and times of the source files,
    the Kedro environment, this package, the interpreter and when something was installed there."""
    python = own_python() or sys.executable
    # An update of the shim changes its checksums.
    facts: list[object] = [kedro_env(project), python, *_stats(str(SHIM / CHECKSUMS))]
    facts += [os.stat(folder).st_mtime_ns for folder in _site_packages(python)]
    for name in sources:
        facts += _stats(str(project / name))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _site_packages(python: str) -> list[str]:
    """Return where an interpreter has its libraries. A glob would take ten times as long."""
    libraries = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    names = sorted(os.listdir(libraries)) if os.path.isdir(libraries) else []
    folders = [f"{libraries}/{name}/site-packages" for name in names if name[:7] == "python3"]
    return [folder for folder in folders if os.path.isdir(folder)]


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
    from kedro_astro.errors import ManifestError

    try:
        manifest = Manifest(path.open("rb"))
    except OSError as error:
        raise ManifestError(path, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise ManifestError(path, f"it is damaged or of another version ({error})") from error
    if manifest.env != (env or ""):
        reason = f"it is of the Kedro environment {manifest.env!r}, and tasks would run in {env!r}"
        raise ManifestError(path, reason)
    return manifest
