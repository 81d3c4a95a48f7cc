"""`python -m kedro_astro` or `python dags/kedro_astro`: the `kedro astro` commands anywhere.

Of this package it needs no other file to say which of them are damaged.
"""

import sys
from pathlib import Path

SHIM = Path(__file__).resolve().parent

IN_DAGS = SHIM.parent.name == "dags"
"""Whether the package lies in a project's `dags/`; if not, it is installed."""

CHECKSUMS = "CHECKSUMS"
"""The file in it that says how it left the template, as `sha256sum` writes it."""

REPAIR = (
    "uvx copier recopy --defaults --overwrite --vcs-ref=:current: "
    "--exclude '*' --exclude '!dags/kedro_astro'"
    if IN_DAGS
    else "uv sync --reinstall-package kedro-astro"
)
"""The command that writes the package again, in the version that the project has."""

ELSEWHERE = """\
Kedro and Airflow bring it. Take the interpreter that has them, such as:
.venv/bin/python dags/kedro_astro check"""


def content(file: Path) -> "bytes | None":
    """Return the bytes of a file; None if it is no file, cannot be read, or is over a megabyte."""
    try:
        return file.read_bytes() if file.is_file() and file.stat().st_size < 1e6 else None
    except OSError:
        return None


def checksums() -> str:
    """Return what `CHECKSUMS` has to hold for the package as it is."""
    import hashlib

    found = ""
    for file in sorted(SHIM.rglob("*")):
        text, name = content(file), file.relative_to(SHIM).as_posix()
        if text is not None and file.suffix != ".pyc" and name != CHECKSUMS:
            # Git may write other line ends on other systems: they are no change.
            hashed = hashlib.sha256(text.replace(b"\r\n", b"\n"))
            found += f"{hashed.hexdigest()}  {name}\n"
    return found


def changed_files() -> "list[str]":
    """Return the package's files that are changed, missing or added, relative to its folder."""
    written = (content(SHIM / CHECKSUMS) or b"").decode(errors="replace")
    differing = {*written.splitlines()} ^ {*checksums().splitlines()}
    return sorted({line.partition("  ")[2] for line in differing})


def damage() -> str:
    """Return which files of the package are not the template's, and what to do; or nothing."""
    if not (changed := changed_files()):
        return ""
    shim = "dags/kedro_astro" if IN_DAGS else "the installed kedro_astro"
    what = f"{shim} is not as the template wrote it ({', '.join(changed)}), and an update mixes"
    return f"{what} your changes with its own. Write it again with:\n{REPAIR}"


def main(command: str = "", *arguments: str) -> None:
    """Do what the command line says."""
    # What a task waits for: nothing of `cli` is imported for it.
    if command == "run":
        from kedro_astro.running.run import main as run

        return run(*arguments)
    if command == "read":
        from kedro_astro.reading.discover import main as read

        return read(*arguments)
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"Error: {sys.executable} is older than Python 3.10. {ELSEWHERE}")
    try:
        from kedro_astro.cli import astro

        astro(prog_name="kedro astro")
    except Exception as error:
        why = damage()
        if isinstance(error, ModuleNotFoundError) and not why:
            why = f"{sys.executable} has no {error.name}. {ELSEWHERE}"
        if not why:
            raise
        sys.exit(f"Error: {why}")


if not __package__:
    # Python puts this folder first; its modules are to be found in the package and nowhere else.
    sys.path[0] = str(SHIM.parent)
    if not IN_DAGS:
        # Another interpreter's libraries are beside it, and they are not for this one.
        import kedro_astro  # noqa: F401

        del sys.path[0]

if __name__ == "__main__":
    main(*sys.argv[1:])
