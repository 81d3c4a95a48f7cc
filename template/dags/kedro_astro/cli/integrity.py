"""Whether the shim is as the template wrote it, and what an update left for you to decide."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from kedro_astro.project import CHECKSUMS, SHIM

# The whole words, not to be found in this file itself.
MARKERS = ("<" * 7 + " before updating", ">" * 7 + " after updating")

NOT_OURS = ("data", "build", "dist", "node_modules", "__pycache__")
HIDDEN_OURS = (".astro", ".github")
LARGEST = 1_000_000


def checksums() -> str:
    """Return what `CHECKSUMS` has to hold for the shim as it is."""
    files = sorted(
        file
        for file in SHIM.rglob("*")
        if file.is_file() and file.suffix != ".pyc" and file.name != CHECKSUMS
    )
    # Git may write other line ends on other systems: they are no change.
    contents = {file: file.read_bytes().replace(b"\r\n", b"\n") for file in files}
    return "".join(
        f"{hashlib.sha256(content).hexdigest()}  {file.relative_to(SHIM).as_posix()}\n"
        for file, content in contents.items()
    )


def changed_files() -> list[str]:
    """Return the shim's files that are changed, missing or added, relative to its folder."""
    written = (SHIM / CHECKSUMS).read_text(encoding="utf-8") if (SHIM / CHECKSUMS).exists() else ""
    differing = {*written.splitlines()} ^ {*checksums().splitlines()}
    return sorted({line.partition("  ")[2] for line in differing})


def conflicts(project: Path) -> list[str]:
    """Return where `copier update` left both versions: `file:line`, relative to the project."""
    return [
        f"{file.relative_to(project).as_posix()}:{number}"
        for file in _files(project)
        for number, line in enumerate(file.read_bytes().splitlines(), start=1)
        if line.startswith(tuple(marker.encode() for marker in MARKERS))
    ]


def _files(project: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(
            name
            for name in folders
            if name in HIDDEN_OURS or not (name.startswith(".") or name in NOT_OURS)
        )
        for name in sorted(files):
            file = Path(folder, name)
            if file.is_file() and file.stat().st_size < LARGEST:
                yield file
