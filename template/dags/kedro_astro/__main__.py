"""`python -m kedro_astro` or `python dags/kedro_astro`: the `kedro astro` commands anywhere.

Of this package it needs no other file to say which of them are damaged.
"""

import sys
from importlib import import_module
from pathlib import Path

SHIM = Path(__file__).resolve().parent
CHECKSUMS = SHIM / "CHECKSUMS"
"""The file that says how the package left the template, as `sha256sum` writes it."""

REPAIR = "uvx copier recopy --defaults --overwrite --vcs-ref=:current: "
"""The command that writes the package again, in the version that the project has."""
REPAIR += "--exclude '*' --exclude '!dags/kedro_astro'"
if SHIM.parent.name != "dags":  # It is installed.
    REPAIR = "uv sync --reinstall-package kedro-astro"

_MODULES = "running.run running.container reading.discover airflow.server"
INNER = dict(zip("run contain read serve".split(), _MODULES.split(), strict=True))
"""Commands of ours alone, which something waits for: nothing of `cli` is imported for them."""


def content(file: Path) -> "str | None":
    """Return the text of a file, with a sign for what is no UTF-8; None if it is no file, cannot be
    read, or is over a megabyte. Git may write other line ends on other systems: all are one."""
    try:
        readable = file.is_file() and file.stat().st_size < 1e6
        return file.read_text(encoding="utf-8", errors="replace") if readable else None
    except OSError:
        return None


def checksums() -> str:
    """Return what `CHECKSUMS` has to hold for the package as it is."""
    from hashlib import sha256

    found = ""
    for file in sorted(SHIM.rglob("*")):
        text = content(file)
        if text is not None and file.suffix != ".pyc" and file != CHECKSUMS:
            found += f"{sha256(text.encode()).hexdigest()}  {file.relative_to(SHIM).as_posix()}\n"
    return found


def damage() -> str:
    """Return which of the package's files are changed, missing or added, and what to do."""
    differing = {*(content(CHECKSUMS) or "").splitlines()} ^ {*checksums().splitlines()}
    if not (names := sorted({line.partition("  ")[2] for line in differing})):
        return ""
    what = f"kedro_astro is not as the template wrote it ({', '.join(names)}), and an update mixes"
    return f"{what} your changes with its own. Write it again with:\n{REPAIR}"


def main(command: str = "", *arguments: str) -> None:
    """Do what the command line says."""
    if command in INNER:
        import_module(f"kedro_astro.{INNER[command]}").main(*arguments)
        return
    try:
        from kedro_astro.cli import astro
    except Exception as error:
        why = f"{sys.executable} cannot do that: {error}. Take the interpreter of your project,"
        why += " which has Kedro and Airflow:\n.venv/bin/python dags/kedro_astro check"
        sys.exit(f"Error: {damage() or why}")
    astro(prog_name="kedro astro")


if not __package__:
    # Python puts this folder first; its modules are to be found in the package and nowhere else.
    sys.path[0] = str(SHIM.parent)
    if SHIM.parent.name != "dags" or sys.argv[1:2] == ["serve"]:
        # Another interpreter's libraries are beside it, and they are not for this one. Nor is a
        # project's `dags/` for what Airflow imports itself.
        import_module("kedro_astro")
        del sys.path[0]

if __name__ == "__main__":
    main(*sys.argv[1:])
