"""The project's registered pipelines, and which of them Kedro can load by themselves."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro_astro.reading.diagnose import describe, describe_skipped
from kedro_astro.structure import Node, Pipeline


def registered(project: Path, package: str) -> tuple[tuple[Pipeline, ...], tuple[str, ...]]:
    """Return the registered pipelines, sorted by name, and what kept others from being read.

    One broken pipeline folder breaks a registry that asks for errors. Then Kedro is asked for each
    folder by itself, so that the others are still there; what the registry makes of all of them
    together, `__default__` above all, cannot be known.
    """
    from kedro.framework import project as kedro_project

    registry = kedro_project.pipelines
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = {name: pipeline for name, pipeline in registry.items() if pipeline is not None}
            broken = []
        except Exception as error:
            found, broken = {}, [describe(error, project)]
    skipped = [str(w.message) for w in caught if w.filename == kedro_project.__file__]
    broken += [describe_skipped(warning, project) for warning in skipped]
    if skipped:
        # Kedro went on without the broken folder: the whole is silently a part.
        found.pop("__default__", None)
    folders = {name: _by_itself(name) for name in _pipeline_folders(package)}
    for name, pipeline in folders.items():
        if broken and pipeline is not None:
            found.setdefault(name, pipeline)
    homes = _homes(folders)
    return tuple(
        Pipeline(
            name=name,
            nodes=tuple(_node(node, homes) for node in pipeline.nodes),
            doc=_doc(sys.modules.get(f"{package}.pipelines.{name}")),
            alone=_same_nodes(folders.get(name), pipeline),
        )
        for name, pipeline in sorted(found.items())
    ), tuple(broken)


def _pipeline_folders(package: str) -> list[str]:
    """Return the names that Kedro can load one by one: the folders below `pipelines/`."""
    try:
        spec = importlib.util.find_spec(f"{package}.pipelines")
    except ModuleNotFoundError:
        return []
    paths = [Path(path) for path in (spec.submodule_search_locations or [])] if spec else []
    return sorted(
        folder.name
        for path in paths
        for folder in path.iterdir()
        if folder.is_dir() and not folder.name.startswith((".", "__"))
    )


def _by_itself(name: str) -> Any | None:
    """Return a pipeline as Kedro loads it when it is asked for nothing else; None if it cannot."""
    from kedro.framework.project import pipelines

    # Kedro 1.4 cannot be asked: it loads the whole registry, here and in each task.
    request = getattr(pipelines, "set_requested", lambda pipeline_names: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            request([name])
            return pipelines[name]
    except Exception:
        # Why is known already: reading all of them has failed with the same error.
        return None
    finally:
        request(None)


def _same_nodes(one: Any | None, other: Any) -> bool:
    return one is not None and set(one.nodes) == set(other.nodes)


def _homes(folders: Mapping[str, Any | None]) -> dict[Any, tuple[str, Any]]:
    """Return by node the smallest pipeline that Kedro can load by itself and that has it, and the
    node as it is there: to Kedro nodes with other functions may be the same."""
    found = [(len(pipeline.nodes), name) for name, pipeline in folders.items() if pipeline]
    homes: dict[Any, tuple[str, Any]] = {}
    for _, name in sorted(found):
        for node in folders[name].nodes:  # type: ignore[union-attr]
            homes.setdefault(node, (name, node))
    return homes


def _node(node: Any, homes: Mapping[Any, tuple[str, Any]]) -> Node:
    home, same = homes.get(node, ("", None))
    return Node(
        home=home if same is not None and same.func is node.func else "",
        name=node.name,
        inputs=tuple(node.inputs),
        outputs=tuple(node.outputs),
        namespace=node.namespace,
        tags=tuple(sorted(node.tags)),
        doc=_doc(node.func),
    )


def _doc(thing: object) -> str:
    """Return the docstring of a function or module, not that of its type."""
    if thing is None or isinstance(thing, functools.partial):
        return ""
    return inspect.getdoc(thing) or "" if hasattr(thing, "__name__") else ""
