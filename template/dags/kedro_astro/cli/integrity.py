"""Whether the shim is as the template wrote it, and what an update left for you to decide."""

import hashlib
from pathlib import Path

from kedro_astro.project import CHECKSUMS, SHIM

# The whole words, not to be found in this file itself.
MARKERS = (b"<" * 7 + b" before updating", b">" * 7 + b" after updating")

FOLDERS = (".astro", ".github", "conf", "dags", "include", "plugins", "src", "tests")
"""Where the template writes, besides the project's own folder."""


def checksums() -> str:
    """Return what `CHECKSUMS` has to hold for the shim as it is."""
    files = [file for file in sorted(SHIM.rglob("*")) if file.is_file() and file.suffix != ".pyc"]
    # Git may write other line ends on other systems: they are no change.
    texts = {file: file.read_bytes().replace(b"\r\n", b"\n") for file in files}
    hashes = {file.relative_to(SHIM).as_posix(): hashlib.sha256(texts[file]) for file in files}
    return "".join(f"{h.hexdigest()}  {name}\n" for name, h in hashes.items() if name != CHECKSUMS)


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
        if file.is_file() and file.stat().st_size < 1_000_000
        for number, line in enumerate(file.read_bytes().splitlines(), start=1)
        if line.startswith(MARKERS)
    ]
