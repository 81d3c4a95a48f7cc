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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedro_astro.errors import ManifestError
from kedro_astro.project import CACHE, SHIM, kedro_env
from kedro_astro.structure import SOURCES, Structure, from_json, nothing, to_json

COMPILED = "KEDRO_ASTRO_MANIFEST"


def load(project: Path) -> Structure:
    """Return the project's structure, read again only if the sources changed.

    Args:
        project: the folder that holds `pyproject.toml`.

    Returns:
        The structure. If the sources cannot be read, that of the last time they could, with the
        reason in its `problems`.

    Raises:
        ManifestError: if `KEDRO_ASTRO_MANIFEST` names a file that is no manifest.
    """
    if compiled := os.environ.get(COMPILED):
        return _read_compiled(Path(compiled))
    path = cache_folder(project) / "manifest.json"
    if structure := _read_fresh(path, project):
        return structure
    with _one_at_a_time(path.with_name("lock")):
        # Somebody else may have read the project while we waited.
        return _read_fresh(path, project) or refresh(project, path)


def refresh(project: Path, path: Path) -> Structure:
    """Read the project in a process of its own and keep the structure at `path`.

    Args:
        project: the folder that holds `pyproject.toml`.
        path: the manifest's file; it is replaced at once or not at all.
    """
    _, kept = _kept(path)
    sources = kept.sources if kept else SOURCES
    # Taken before the reading: an edit made meanwhile makes the manifest stale, not wrong.
    fingerprint = sources_fingerprint(project, sources)
    structure = _discover(project)
    if kept and structure.problems and not structure.pipelines:
        structure = replace(kept, problems=structure.problems)
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
    the Kedro environment, this package and the interpreter."""
    facts: list[object] = [kedro_env(project), sys.executable, *_stats(str(SHIM))]
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


def _read_compiled(path: Path) -> Structure:
    try:
        return _read(path)[1]
    except OSError as error:
        raise ManifestError(path, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise ManifestError(path, f"it is damaged or of another version ({error})") from error


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


def _discover(project: Path) -> Structure:
    """Run `discover` in a fresh process: one Kedro project each, and none of it left in ours."""
    code = (
        "import json, sys; from pathlib import Path; "
        "sys.path.insert(0, sys.argv[1]); "
        "from kedro_astro.discover import discover; "
        "from kedro_astro.structure import to_json; "
        "structure = discover(Path(sys.argv[2])); "
        "Path(sys.argv[3]).write_text(json.dumps(to_json(structure)))"
    )
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "structure.json"
        child = subprocess.run(
            [sys.executable, "-c", code, str(SHIM.parent), str(project), str(result)],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if result.exists():
            return from_json(json.loads(result.read_text(encoding="utf-8")))
    ending = "\n    ".join(child.stdout.strip().splitlines()[-3:])
    problem = f"  The reading process ended with status {child.returncode}.\n    {ending}"
    return nothing(problem)


def _write(path: Path, content: dict[str, Any]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manifest-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, sort_keys=True)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
