"""Whether the shim is as the template wrote it, and what an update left for you to decide."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kedro_astro.project import CHECKSUMS, SHIM

# The whole words, not to be found in this file itself.
MARKERS = (b"<" * 7 + b" before updating", b">" * 7 + b" after updating")

FOLDERS = (".astro", ".github", "conf", "dags", "include", "plugins", "src", "tests")
"""Where the template writes, besides the project's own folder."""

LARGEST = 1_000_000


def checksums() -> str:
    """Return what `CHECKSUMS` has to hold for the shim as it is."""
    lines = []
    for file in sorted(SHIM.rglob("*")):
        if file.is_file() and file.suffix != ".pyc" and file.name != CHECKSUMS:
            # Git may write other line ends on other systems: they are no change.
            content = file.read_bytes().replace(b"\r\n", b"\n")
            name = file.relative_to(SHIM).as_posix()
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    return "".join(lines)


def changed_files() -> list[str]:
    """Return the shim's files that are changed, missing or added, relative to its folder."""
    written = (SHIM / CHECKSUMS).read_text(encoding="utf-8") if (SHIM / CHECKSUMS).exists() else ""
    differing = {*written.splitlines()} ^ {*checksums().splitlines()}
    return sorted({line.partition("  ")[2] for line in differing})


def conflicts(project: Path) -> list[str]:
    """Return where `copier update` left both versions: `file:line`, relative to the project."""
    return [
        f"{file.relative_to(project).as_posix()}:{number}"
        for pattern in ("*", *(f"{folder}/**/*" for folder in FOLDERS))
        for file in sorted(project.glob(pattern))
        if file.is_file() and file.stat().st_size < LARGEST
        for number, line in enumerate(file.read_bytes().splitlines(), start=1)
        if line.startswith(MARKERS)
    ]
