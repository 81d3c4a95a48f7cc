"""Which libraries an image installs, and which `pyproject.toml` wants. Pure functions."""

import posixpath
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module

UNKNOWN = "?"
"""Stands among names of libraries for others that cannot be known from here."""

BY_HAND = {"ipykernel", "ipython", "jupyter", "jupyterlab", "kedro-viz", "notebook", "python"}
"""What an image does not need; `kedro new` writes some of it into `pyproject.toml`."""

IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
"""What an image says to a requirement that asks for its system."""

AT = r"(?m:(^\s*|\binstall\b[^&;\n]*\s))"
"""What is before an argument, in a file of requirements and in a command."""

INCLUDED = AT + r"(?:-r|--requirement)[\s=]*(\S+)"
BUILT = AT + r"(?:(?:-e|--editable)[\s=]*)?(\.\S*|file:\S*|\S+\.whl)(?!\S)"
SYNCED = r"\b(?:uv|poetry|pdm) (?:sync|install)\b"


def whole(files: Mapping[str, str], name: str) -> str:
    """Return the text of a file with those that it includes in their places, without comments.

    Args:
        files: texts by path in the project. What includes another that is not there stays.
        name: of a file of requirements, or of a Dockerfile.
    """
    others = {other: text for other, text in files.items() if other != name}

    def included(found: re.Match[str]) -> str:
        near = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))
        # A Dockerfile may have copied it to elsewhere.
        near = near if near in others else posixpath.basename(near)
        return f"{found[1]}\n{whole(others, near)}\n" if near in others else found[0]

    return re.sub(INCLUDED, included, re.sub(r"(?m)(?:^|\s)#.*|\\\n", " ", files.get(name, "")))


def named(files: Mapping[str, str], name: str) -> set[str]:
    """Return the libraries that a file names, and those of the files that it includes.

    Each word that could be a library's name is one, so none that is one is missing. `UNKNOWN` is
    among them if it installs the project or includes what is not in `files`.

    Args:
        files: texts by path in the project.
        name: of a file of requirements, or of a Dockerfile.
    """
    from packaging.utils import canonicalize_name  # Airflow brings it

    text = whole(files, name)
    words = re.findall(r"[A-Za-z0-9][\w.-]*", re.sub(r"\[.*?\]", " ", text))
    unknown = name not in files or re.search(f"{INCLUDED}|{BUILT}|{SYNCED}", text)
    return {str(canonicalize_name(word)) for word in words} | ({UNKNOWN} if unknown else set())


def lacking(files: Mapping[str, str], name: str) -> list[str]:
    """Return the lines that a file of requirements lacks of what `pyproject.toml` wants.

    Libraries of extras and groups, or for other systems, are wanted by no image. A pyproject of
    another shape wants nothing: Kedro and pip say that.

    Args:
        files: texts by path in the project.
        name: of the file of requirements.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    there = named(files, name) | named(files, "Dockerfile") | BY_HAND
    found: list[str] = []
    with suppress(ImportError, ValueError, RecursionError, AttributeError, TypeError):
        toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # of Kedro
        said = toml.loads(files.get("pyproject.toml", ""))
        poetry = said.get("tool", {}).get("poetry", {}).get("dependencies", {})
        for line in [*said.get("project", {}).get("dependencies", ()), *poetry]:
            wanted = Requirement(line)
            needed = not wanted.marker or wanted.marker.evaluate(IMAGE)
            if needed and not {canonicalize_name(wanted.name), UNKNOWN} & there:
                # An address may hold a token.
                found.append(f"{wanted.name} @ <its address>" if wanted.url else line)
    return found
