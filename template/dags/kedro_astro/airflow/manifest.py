"""What is known of a project, kept in a file, and when that is still true.

The manifest is a file of JSON lines: a checksum of the others, a header, the structure, and the
blueprint of each DAG, all of which Airflow has accepted. In an image it is compiled while the image
is built; `KEDRO_ASTRO_MANIFEST` names it and it is trusted without a look at the sources. Anywhere
else a fingerprint of the sources decides, and after a miss the project is read anew, see `refresh`.
"""

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_astro.project import PYTHON, SHIM, cache_folder, kedro_env

if TYPE_CHECKING:
    from kedro_astro.planning import Blueprint
    from kedro_astro.structure import Structure

FORMAT = 14
"""Version of the file; the checksum starts with it, so one of another is as good as damaged."""

COMPILED = "KEDRO_ASTRO_MANIFEST"
NAME = "manifest.jsonl"


class Manifest:
    """What is known of a project.

    Args:
        content: of the file; see the top of this module.

    Attributes:
        content: as given.
        still_reading: whether a newer state of the project is being read.
        fingerprint: of the sources that it was made of.
        env: the Kedro environment, or empty.
        sources: the files and folders that it was made of, relative to the project.
        problems: what could not be read or cannot be a DAG, and where; empty when all is well.
        dag_ids: of the DAGs, in order.

    Raises:
        ValueError: if it is no manifest of this format, or damaged.
    """

    def __init__(self, content: bytes) -> None:
        checksum, _, body = content.partition(b"\n")
        if checksum != _checksum(body):
            raise ValueError("damaged, or of another version")
        first, self._structure, *self._blueprints = body.split(b"\n")
        header = json.loads(first)
        self.fingerprint: str = header["fingerprint"]
        self.env: str = header["env"]
        self.sources: tuple[str, ...] = tuple(header["sources"])
        self.problems: tuple[str, ...] = tuple(header["problems"])
        self.dag_ids: tuple[str, ...] = tuple(header["dag_ids"])
        self.content = content
        self.still_reading = False

    def structure(self) -> "Structure":
        """Return the project's structure; its `problems` are those of the reading alone."""
        from kedro_astro.structure import from_json

        return from_json(self.data())

    def data(self) -> Any:
        """Return the structure as JSON, which needs no pydantic."""
        return json.loads(self._structure)

    def blueprints(self, wanted: str | None = None) -> Iterator["Blueprint"]:
        """Yield the blueprint of each DAG, or of the one with the id `wanted`."""
        for dag_id, line in zip(self.dag_ids, self._blueprints, strict=True):
            if wanted in (None, dag_id):
                yield json.loads(line)

    def fresh(self, project: Path) -> bool:
        """Whether the sources are as they were."""
        return self.fingerprint == fingerprint_of(project, self.sources)


def to_bytes(
    structure: "Structure",
    blueprints: Sequence["Blueprint"] = (),
    problems: Sequence[str] = (),
    fingerprint: str = "",
) -> bytes:
    """Return the content of a manifest, which `Manifest` takes."""
    from dataclasses import asdict

    header = {
        "fingerprint": fingerprint,
        "env": structure.env,
        "sources": structure.sources,
        "problems": problems,
        "dag_ids": [blueprint["dag_id"] for blueprint in blueprints],
    }
    body = b"\n".join(json.dumps(p).encode() for p in (header, asdict(structure), *blueprints))
    return _checksum(body) + b"\n" + body


def _checksum(body: bytes) -> bytes:
    return b"%d" % zlib.crc32(body, FORMAT)


def read(
    project: Path, wait: Callable[[], float] | None = None, dag_id: str | None = None
) -> Manifest:
    """Return what is known of the project, which is read again only if the sources changed.

    What cannot be a DAG now is as it was when it last could be, and the reason is in `problems`. If
    a reading takes longer than `wait` says, the manifest is the last one and `still_reading`; the
    reading goes on in the background.

    Args:
        project: the folder that holds `pyproject.toml`.
        wait: returns the seconds to wait for a reading; forever if None. Asked only if need be.
        dag_id: of the task that asks. Its run was scheduled from the last manifest, which is the
            one to go by if it has the DAG, whatever has changed since.

    Raises:
        ManifestError: if `KEDRO_ASTRO_MANIFEST` names a file that is no manifest.
        InterpreterError: if there is none where `KEDRO_ASTRO_PYTHON` says.
    """
    if compiled := os.environ.get(COMPILED):
        return _compiled(Path(compiled), kedro_env(project))
    path = cache_folder(project) / NAME
    kept = kept_at(path)
    if dag_id in kept.dag_ids or kept.fresh(project):
        return kept
    from kedro_astro.airflow.refresh import refresh

    return refresh(project, path, wait and wait())


def raise_problems(project: Path) -> None:
    """Raise what is wrong with the project, for `dags/kedro_problems.py` to show in Airflow's UI.

    Raises:
        BrokenProjectError: if pipelines could not be read, or cannot be DAGs.
        StillReadingError: if the project is being read for longer than Airflow would wait.
    """
    manifest = read(project, patience)
    kept = len(manifest.dag_ids)
    # Mostly all is well, and a parse has no need of the errors.
    if manifest.still_reading:
        from kedro_astro.errors import StillReadingError

        there = f"the {kept} DAGs of the last reading stay" if kept else "there are no DAGs"
        raise StillReadingError(there=there)
    if manifest.problems:
        from kedro_astro.errors import BrokenProjectError

        stay = f"Its {kept} DAGs that could be read, now or before, stay."
        dags = stay if kept else "Until then it has no DAGs."
        raise BrokenProjectError(problems="\n".join(["", *manifest.problems, ""]), dags=dags)


def patience() -> float:
    """Return how many seconds a parse waits for a reading: Airflow stops a file that takes longer,
    and DAGs have to be built."""
    from airflow.configuration import conf

    return 0.6 * float(conf.getfloat("core", "dagbag_import_timeout"))


def kept_at(path: Path) -> Manifest:
    """Return the manifest in a file; if that cannot be read, or is damaged, one of no project."""
    try:
        return Manifest(path.read_bytes())
    except (OSError, ValueError):
        from kedro_astro.structure import nothing

        return Manifest(to_bytes(nothing("")))


def fingerprint_of(project: Path, sources: Iterable[str]) -> str:
    """Return a hash of all that a manifest depends on: names, sizes and times of the source files,
    the Kedro environment, this package, the interpreters and when something was installed there."""
    pythons = sorted({os.path.abspath(file) for file in (own_python(), sys.executable) if file})
    # An update of the shim changes its checksums.
    facts: list[object] = [kedro_env(project), os.environ.get("KEDRO_DATA_ROOT"), *pythons]
    for name in (str(SHIM / "CHECKSUMS"), *sources):
        facts += _stats(str(project / name))
    facts += [_stat(folder) for python in pythons for folder in _site_packages(python)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def own_python() -> str | None:
    """Return the interpreter that the project has for itself; None if it shares Airflow's.

    Raises:
        InterpreterError: if there is none where `KEDRO_ASTRO_PYTHON` says.
    """
    path = os.environ.get(PYTHON)
    if not path or os.path.abspath(path) == os.path.abspath(sys.executable):
        return None
    if not os.access(path, os.X_OK):
        from kedro_astro.errors import InterpreterError

        raise InterpreterError(why=f"{PYTHON} says {path}, where there is none")
    return path


def _site_packages(python: str) -> list[str]:
    """Return where an interpreter has its libraries. A glob would take ten times as long."""
    libraries = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    names = sorted(os.listdir(libraries)) if os.path.isdir(libraries) else []
    return [f"{libraries}/{name}/site-packages" for name in names if name[:7] == "python3"]


def _stats(path: str) -> Iterator[tuple[str, object, object]]:
    """Yield `_stat` of every file below `path`, in order, or of what is no folder that can be read.

    Hidden files and caches are passed over.
    """
    try:
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.name[0] != "." and entry.name != "__pycache__":
                inside = entry.is_dir(follow_symlinks=False)
                yield from _stats(entry.path) if inside else [_stat(entry.path)]
    except OSError:
        yield _stat(path)


def _stat(path: str) -> tuple[str, object, object]:
    """Return (path, bytes, nanoseconds), or (path, number of the error, None).

    What cannot be looked at is a fact like others, and becomes another when it can be.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        return path, error.errno, None
    return path, found.st_size, found.st_mtime_ns


def _compiled(path: Path, env: str | None) -> Manifest:
    from kedro_astro.errors import ManifestError

    try:
        manifest = Manifest(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ManifestError(path=path, why=f"it cannot be read ({error})") from error
    if manifest.env != (env or ""):
        why = f"it is of the Kedro environment {manifest.env!r}, and tasks would run in {env!r}"
        raise ManifestError(path=path, why=why)
    return manifest
