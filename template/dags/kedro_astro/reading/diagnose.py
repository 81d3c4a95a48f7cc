"""What a project raised, in a few lines: the error, and the user's own file and line."""

import re
import traceback
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path

from kedro_astro.errors import KedroAstroError
from kedro_astro.project import OWN_REQUIREMENTS, SHIM


def describe(error: BaseException, project: Path) -> str:
    """Return `error` and its causes in a few lines, with the user's file and line.

    Args:
        error: what the project raised.
        project: paths below it are shown relative to it.
    """
    parts: dict[str, str] = {}
    current: BaseException | None = error
    while current is not None:
        text = current.msg if isinstance(current, SyntaxError) else str(current)
        own = isinstance(current, KedroAstroError)
        what = f"  {text}" if own else f"  {type(current).__name__}: {text}"
        what += _where_libraries_go(what, project)
        trace = "".join(traceback.format_exception(current, chain=False))
        parts[what] = parts.get(what) or _innermost(trace, project)
        before = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or before
    return "\n".join(what + place for what, place in reversed(parts.items()))


def _where_libraries_go(what: str, project: Path) -> str:
    """Return what to do about what is not there to import, if it is none of the project's own."""
    missing = re.search(r"(?:No module named|cannot import name '\w+' from) '((\w+)[.\w]*)", what)
    if not missing or any(project.glob(f"*/{missing[2]}")):
        return ""
    named = {*packages_distributions().get(missing[2], ())}
    at = getattr(PathFinder.find_spec(missing[2]), "origin", None)
    if at and len(named) == 1:  # To others, namespaces, more can be added.
        (name,) = named
        return f". {name} {version(name)} is installed, and does not have it: another version may."
    file = OWN_REQUIREMENTS if (project / OWN_REQUIREMENTS).exists() else "requirements.txt"
    return f". If that is a library: is it in {file}, and installed?" if not at or named else ""


def describe_skipped(warning: str, project: Path) -> str:
    """Return what `find_pipelines` warned of: it goes on without a pipeline that it cannot import.

    Nobody sees a warning inside Airflow, so it becomes a problem of the project. The warning ends
    with a traceback; its last line and the user's last line of code are kept.
    """
    text, _, trace = warning.partition("Traceback (most recent call last):")
    first = " ".join(text.split("\n\n")[0].split())
    last = f"\n    {trace.strip().splitlines()[-1]}" if trace else ""
    last += _where_libraries_go(last, project)
    return f"  {first}{last}{_innermost(trace, project)}"


def _innermost(trace: str, project: Path) -> str:
    """Return the line that says `file:line` of the innermost place in a traceback, or of the error
    of syntax that it ends with, that is the user's own."""
    for filename, line in reversed(re.findall(r'  File "(.+)", line (\d+)', trace)):
        path = Path(filename).resolve()
        if path.is_relative_to(project) and not path.is_relative_to(SHIM):
            place = path.relative_to(project)
            if "site-packages" not in place.parts:
                return f"\n    in {place}:{line}"
    return ""
