"""Which third-party modules a project needs, from its text and what is installed. Imports none."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import distributions, entry_points
from pathlib import Path

KEDRO = (
    "kedro.framework.context",
    "kedro.framework.project",
    "kedro.framework.session",
    "kedro.framework.startup",
    "kedro.runner",
)
"""What each task imports of Kedro, whatever its pipeline is."""

DATASETS = ("kedro.io.", "kedro_datasets.", "")
"""Where Kedro looks for the class of a catalog entry, in its order."""

INSTALLED = ("site-packages", "dist-packages")
"""Folders of what was installed. Anything else may be edited, as an editable install is."""


def imported(source: str | bytes) -> set[str]:
    """Return the absolute names that a Python file imports, wherever in it: nodes import lazily.

    `from x import y` gives `x` and `x.y`, which need not be a module. What is imported only for
    type checkers is left out.

    Raises:
        SyntaxError: if it is no Python.
    """
    names: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        else:
            nodes += ast.iter_child_nodes(node)
    return names


def plugins() -> list[str]:
    """Return the modules of installed Kedro plugins with hooks, which each session imports."""
    return [point.module for point in entry_points(group="kedro.hooks")]


def dataset_class(kind: str) -> str | None:
    """Return where Kedro finds the class of a catalog entry, as `module:Class`.

    Args:
        kind: as the catalog spells it, such as `pandas.CSVDataset`.

    Returns:
        None if it is not installed, or is the project's own.
    """
    for prefix in DATASETS:
        module, _, name = f"{prefix}{kind}".rpartition(".")
        if module and (spec := _spec(module)):
            return f"{module}:{name}" if _is_installed(spec) else None
    return None


def requirements(names: Iterable[str]) -> dict[str, str]:
    """Return those names that were installed from elsewhere, with what they are of.

    Args:
        names: of modules, or `module:attribute`. Python's own, the project's own, and what is no
            module are left out.

    Returns:
        By name the distribution and its version, such as `scikit-learn==1.7.2`; empty text where
        no distribution owns the file.
    """
    found = {
        name: spec
        for name in sorted(set(names))
        if (spec := _spec(name.partition(":")[0])) and _is_installed(spec)
    }
    files = {name: str(spec.origin) for name, spec in found.items()}
    owned = _owners(set(files.values()))
    return {name: owned.get(file, "") for name, file in files.items()}


def _spec(module: str) -> ModuleSpec | None:
    """Return where a module is; None if nowhere, or in Python itself. No parent is imported."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None
    parts, path, spec = module.split("."), None, None
    for number in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return spec


def _is_installed(spec: ModuleSpec) -> bool:
    # A namespace is no file: there is nothing in it to import.
    return spec.origin is not None and any(name in INSTALLED for name in Path(spec.origin).parts)


def _owners(files: set[str]) -> dict[str, str]:
    """Return by file the distribution that installed it, as a requirement."""
    owners: dict[str, str] = {}
    folders = sorted({folder for file in files for folder in _site_folders(file)})
    for distribution in distributions(path=folders):
        record = "\n" + (distribution.read_text("RECORD") or "")
        for file in files - owners.keys():
            for folder in _site_folders(file):
                if f"\n{Path(file).relative_to(folder).as_posix()}," in record:
                    owners[file] = f"{distribution.metadata['Name']}=={distribution.version}"
    return owners


def _site_folders(file: str) -> Iterator[str]:
    return (str(folder) for folder in Path(file).parents if folder.name in INSTALLED)
