"""Which libraries an image installs, and which `pyproject.toml` wants. Pure functions."""

import posixpath
import re
import sys
from collections.abc import Mapping
from importlib import import_module

UNKNOWN = "?"
"""Stands among names of libraries for others that cannot be known from here."""

IN_NO_IMAGE = {"ipykernel", "ipython", "jupyter", "jupyterlab", "kedro-viz", "notebook", "python"}
"""What pyproject.toml names for work by hand: `kedro new` writes some of it."""

INCLUDED = r"(?m)(?:^\s*|install\b[^&;\n]*\s)(?:-r|--requirement)[\s=]*(\S+)"
LOCAL = r"(?m)^\s*(?:-e|--editable)?[\s=]*(?:\.|file:)\S*\s*$"
BUILT = (
    r"\b(?:uv|poetry|pdm) (?:sync|install)\b|\bpip3? install\b[^&;\n]*?\s(?:\.\S*|\S+\.whl)(?!\S)"
)


def named(files: Mapping[str, str], name: str) -> set[str]:
    """Return the libraries that a file names, and those of the files that it includes.

    Each word that could be a library's name is in it, so none that is one is missing. `UNKNOWN` is
    if it includes what is not in `files`, or installs the project.

    Args:
        files: texts by path in the project.
        name: of a file of requirements, or of a Dockerfile.
    """
    from packaging.utils import canonicalize_name  # Airflow brings it

    text = re.sub(r"\\\n", " ", re.sub(r"(?m)(?:^|\s)#.*", "", files.get(name, "")))
    words = re.findall(r"[A-Za-z0-9][\w.-]*", re.sub(r"\[.*?\]", "", text))
    found = {str(canonicalize_name(word)) for word in words}
    others = {other: files[other] for other in files if other != name}
    for path in re.findall(INCLUDED, text):
        paths = (posixpath.normpath(f"{posixpath.dirname(name)}/{path}".lstrip("/")), path)
        known = [other for other in (*paths, posixpath.basename(path)) if other in files]
        found |= named(others, known[0]) if known else {UNKNOWN}
    return found | {UNKNOWN} if re.search(f"{LOCAL}|{BUILT}", text) else found


def lacking(files: Mapping[str, str], name: str) -> list[str]:
    """Return the lines that a file of requirements lacks of what `pyproject.toml` wants.

    No image needs the libraries of extras and groups.

    Args:
        files: texts by path in the project.
        name: of the file of requirements.
    """
    from packaging.utils import canonicalize_name

    there = named(files, name) | named(files, "Dockerfile") | IN_NO_IMAGE
    wanted = {} if UNKNOWN in there else _wanted(files)
    return [line for library, line in wanted.items() if canonicalize_name(library) not in there]


def _wanted(files: Mapping[str, str]) -> dict[str, str]:
    """Return the line for each library that `pyproject.toml` wants on Linux, by its name."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    for line in map(str, _lines(files)):
        name = re.match(r"[A-Za-z0-9][\w.-]*|", line)
        try:
            wanted = Requirement(line)
            if wanted.marker and not wanted.marker.evaluate({"sys_platform": "linux"}):
                continue
            # An address may hold a token.
            found[wanted.name] = f"{wanted.name} @ <its address>" if wanted.url else line
        except ValueError:
            found |= {name[0]: name[0]} if name and name[0] else {}
    return found


def _lines(files: Mapping[str, str]) -> list[str]:
    """Return what `pyproject.toml` wants, line by line, where it is Python's, setuptools' or
    Poetry's; nothing if that is no TOML or of another shape, as others will say."""
    try:
        loads = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads
        pyproject = loads(files.get("pyproject.toml", ""))
        tool = pyproject.get("tool", {})
        dynamic = tool.get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
        read = dynamic.get("file", ())
        poetry = tool.get("poetry", {}).get("dependencies", {})
        return [
            *pyproject.get("project", {}).get("dependencies", ()),
            *(
                line
                for file in ([read] if isinstance(read, str) else read)
                for line in files.get(file, "").splitlines()
            ),
            *(
                f"{name} {said}".replace("^", ">=")
                for name, said in poetry.items()
                if "optional" not in said
            ),
        ]
    except (ImportError, ValueError, RecursionError, AttributeError, TypeError):
        return []
