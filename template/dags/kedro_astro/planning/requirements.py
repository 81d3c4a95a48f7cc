"""Which libraries an image installs, and which `pyproject.toml` wants. Pure functions."""

import posixpath
import re
import sys
from collections.abc import Mapping
from importlib import import_module

UNKNOWN = "?"
"""Stands among names of libraries for others that cannot be known from here."""

BY_HAND = {"ipykernel", "ipython", "jupyter", "jupyterlab", "kedro-viz", "notebook", "python"}
"""What an image does not need; `kedro new` writes some of it into `pyproject.toml`."""

INCLUDED = r"(?m)(?:^\s*|install\b[^&;\n]*\s)(?:-r|--requirement)[\s=]*(\S+)"
PROJECT = (
    r"(?m)^\s*(?:-e|--editable)?[\s=]*(?:\.|file:)\S*\s*$|\b(?:uv|poetry|pdm) (?:sync|install)\b"
)
BUILT = r"\binstall\b[^&;\n]*?\s(?:\.\S*|\S+\.whl)(?!\S)"


def named(files: Mapping[str, str], name: str) -> set[str]:
    """Return the libraries that a file names, and those of the files that it includes.

    Each word that could be a library's name is one, so none that is one is missing. `UNKNOWN` is
    among them if it installs the project or includes what is not in `files`.

    Args:
        files: texts by path in the project.
        name: of a file of requirements, or of a Dockerfile.
    """
    from packaging.utils import canonicalize_name  # Airflow brings it

    if name not in files:
        return {UNKNOWN}
    text = re.sub(r"(?m)(?:^|\s)#.*|\[.*?\]|\\\n", " ", files[name])
    found = {str(canonicalize_name(word)) for word in re.findall(r"[A-Za-z0-9][\w.-]*", text)}
    for path in re.findall(INCLUDED, text):
        near = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        others = {other: files[other] for other in files if other != name}
        found |= named(others, near if near in files else posixpath.basename(path))
    return found | {UNKNOWN} if re.search(f"{PROJECT}|{BUILT}", text) else found


def lacking(files: Mapping[str, str], name: str) -> list[str]:
    """Return the lines that a file of requirements lacks of what `pyproject.toml` wants.

    Libraries of extras and groups, or for other systems, are wanted by no image.

    Args:
        files: texts by path in the project.
        name: of the file of requirements.
    """
    from packaging.utils import canonicalize_name

    there = named(files, name) | named(files, "Dockerfile") | BY_HAND
    found = []
    for line in () if UNKNOWN in there else _wanted(files):
        library = re.match(r"\s*([A-Za-z0-9][\w.-]*)(?!.*;.*(?:win32|[Ww]indows|[Dd]arwin))", line)
        if library and canonicalize_name(library[1]) not in there:
            # An address may hold a token.
            found.append(re.sub(r"@.*", "@ <its address>", line))
    return found


def _wanted(files: Mapping[str, str]) -> list[str]:
    """Return what `pyproject.toml` wants, as Python, setuptools or Poetry write it; nothing if it
    is no TOML or has another shape, which Kedro and pip say."""
    try:
        toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # of Kedro
        pyproject = toml.loads(files.get("pyproject.toml", ""))
        tool = pyproject.get("tool", {})
        elsewhere = tool.get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
        read = [files.get(name, "") for name in re.findall(r"[\w./-]+", str(elsewhere.get("file")))]
        poetry = tool.get("poetry", {}).get("dependencies", {})
        wanted = [*pyproject.get("project", {}).get("dependencies", ()), *poetry]
        return [*map(str, wanted), *"\n".join(read).splitlines()]
    except (ImportError, ValueError, RecursionError, AttributeError, TypeError):
        return []
