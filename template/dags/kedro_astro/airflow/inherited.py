"""The shim as a process imported it, for those that it forks: they need not import it again.

Airflow forks a process for each parse of a file and for each task. What that inherits counts as
long as the files are what they were: after an update of the shim, or for a project that brings
another one, all of it is imported anew.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedro_astro.planning.blueprint import Blueprint

PACKAGE = "kedro_astro"

REHEARSED: Blueprint = {
    "dag_id": "rehearsed",
    "pipeline": "rehearsed",
    "package": "rehearsed",
    "source": "src",
    "label": "rehearsed",
    "doc": "",
    "arguments": {
        "plain": {},
        "special": {"start_date": ("datetime", "2020-01-01T00:00:00+00:00")},
    },
    "schedule": None,
    "fields": {"number": {"default": 1, "type": "integer"}},
    "parameters": {},
    "templates": {},
    "groups": [("group", None)],
    "tasks": [
        {
            "task_id": f"group.{number}",
            "label": f"group.{number}",
            "group": "group",
            "doc": "",
            "upstream": ["group.1"] if number == 2 else [],
            "outlets": ["dataset"],
            "arguments": {"plain": {}, "special": {}},
            "work": {"nodes": [], "hooks": [], "load": "", "producers": {}, "saves": {}},
        }
        for number in (1, 2)
    ],
}
"""A DAG of no use, with something of all that DAGs mostly have."""


def hand_on(project: Path) -> None:
    """Do here what a parse does first, for the processes that this one forks.

    Airflow finds out many things when it makes its first DAG, and this package is imported. Here
    itself it is afterwards as if it had never been.

    Args:
        project: the folder that holds `pyproject.toml`.
    """
    import kedro_astro.airflow.problems
    import kedro_astro.running.run  # noqa: F401
    from kedro_astro.airflow.dags import build_dag

    build_dag(REHEARSED, project).validate()  # type: ignore[no-untyped-call]
    gc.collect()
    names = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
    sys.meta_path.insert(0, Inherited({name: sys.modules.pop(name) for name in names}))


class Inherited(MetaPathFinder, Loader):
    """Finds this package as it was imported before the fork, with its modules.

    All of them or none: they refer to each other, so one that changed makes all of them old.

    Args:
        modules: the package and its modules, by name.
    """

    def __init__(self, modules: Mapping[str, ModuleType]) -> None:
        self._modules = modules
        self._files = [str(module.__file__) for module in modules.values()]
        self._states = self._states_now()
        self._home = str(Path(str(modules[PACKAGE].__file__)).parents[1])

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the package is, or None to have others look for it, or for a module."""
        if name != PACKAGE or not self._comes_first() or self._states != self._states_now():
            return None
        spec = ModuleSpec(name, self, origin=self._modules[name].__file__, is_package=True)
        spec.submodule_search_locations = list(self._modules[name].__path__)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the package, which is there."""
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Say that its modules are there, too. All of them ran when they were first imported."""
        sys.modules.update(self._modules)

    def _comes_first(self) -> bool:
        """Whether `sys.path` leads to this package before any other folder of its name."""
        for folder in sys.path:
            if folder == self._home:
                return True
            if os.path.isdir(os.path.join(folder, PACKAGE)):
                return False
        return False

    def _states_now(self) -> list[tuple[int, int]]:
        """Return (bytes, nanoseconds) of each module's file; of one that is gone (-1, -1)."""
        states = []
        for file in self._files:
            try:
                found = os.stat(file)
                states.append((found.st_size, found.st_mtime_ns))
            except FileNotFoundError:
                states.append((-1, -1))
        return states
