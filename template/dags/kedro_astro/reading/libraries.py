"""Which third-party modules a project needs, from its text and what is installed. Imports none."""

import ast
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

KEDRO = ("kedro.framework.session", "kedro.framework.startup", "kedro.runner")
"""What each task imports of Kedro, whatever its pipeline is."""

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of what was installed. Anything else may be edited, as an editable install is."""


def imported(source: str | bytes) -> set[str]:
    """Return the absolute names that a Python file imports, wherever in it: nodes import lazily.

    `from x import y` gives `x` and `x.y`, which need not be a module. What is imported only for
    type checkers is left out.

    Raises:
        SyntaxError: if it is no Python.
    """
    names: set[str] = set()
    nodes: list[Any] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        nodes += node.orelse if typing else ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def of_store(location: str | None) -> str:
    """Return the module by which fsspec reads a location; `fsspec` itself for what it does not know
    or reads without another."""
    from fsspec.registry import known_implementations  # Kedro brings it, and Airflow does

    scheme = (location or "").partition("://")[0].rpartition("::")[2].replace("abfss", "abfs")
    return str(known_implementations.get(scheme, {"class": "fsspec"})["class"]).partition(".")[0]


def installed(names: Iterable[str]) -> list[str]:
    """Return those modules, or `module:attribute`, that were installed from elsewhere, sorted.

    Python's own, the project's own, and what is no module are left out. Kedro's are in front: all
    tasks need them, and should another one hang, it is not reached before them.
    """
    return sorted(filter(_is_installed, {*names}), key=lambda name: (name[:5] != "kedro", name))


def _is_installed(name: str) -> bool:
    """Whether `installed` returns it. Not even its parents are imported."""
    spec, path, whole = None, None, ""
    for part in name.partition(":")[0].split("."):
        whole = f"{whole}.{part}".lstrip(".")
        if whole in sys.stdlib_module_names or not (spec := PathFinder.find_spec(whole, path)):
            return False
        path = spec.submodule_search_locations or []
    # A namespace is no file: there is nothing in it to import.
    return bool(spec and INSTALLED & {*Path(spec.origin or "").parts})
