"""The project's registered pipelines, and which of them Kedro can load by themselves."""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
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
    folders = _by_themselves(package)
    if broken:
        found = {**folders, **found}
    homes = _homes(folders)
    return tuple(
        Pipeline(
            name=name,
            nodes=tuple(_node(node, homes) for node in pipeline.nodes),
            doc=_doc(sys.modules.get(f"{package}.pipelines.{name}")),
            alone=name in folders and set(folders[name].nodes) == set(pipeline.nodes),
        )
        for name, pipeline in sorted(found.items())
    ), tuple(broken)


def _by_themselves(package: str) -> dict[str, Any]:
    """Return the pipelines as Kedro loads each when it is asked for nothing else: by the name of
    its folder below `pipelines/`."""
    from kedro.framework.project import pipelines

    # Kedro 1.4 cannot be asked: it loads the whole registry, here and in each task.
    request = getattr(pipelines, "set_requested", lambda pipeline_names: None)
    paths = importlib.import_module(package).__path__
    folders = {folder for path in paths for folder in Path(path, "pipelines").glob("*")}
    names = {folder.name for folder in folders if folder.is_dir()}
    found = {}
    for name in sorted(name for name in names if not name.startswith((".", "__"))):
        # Why one cannot be loaded is known already: reading all has failed with the same error.
        with suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            request([name])
            if pipelines[name] is not None:
                found[name] = pipelines[name]
    request(None)
    return found


def _homes(folders: Mapping[str, Any]) -> dict[tuple[Any, int], str]:
    """Return by node and its function, which to Kedro is no part of what a node is, the smallest
    pipeline that Kedro can load by itself and that has it."""
    homes: dict[tuple[Any, int], str] = {}
    for name, pipeline in sorted(folders.items(), key=lambda item: (len(item[1].nodes), item[0])):
        for node in pipeline.nodes:
            homes.setdefault((node, id(node.func)), name)
    return homes


def _node(node: Any, homes: Mapping[tuple[Any, int], str]) -> Node:
    return Node(
        home=homes.get((node, id(node.func)), ""),
        name=node.name,
        inputs=tuple(node.inputs),
        outputs=tuple(node.outputs),
        namespace=node.namespace,
        tags=tuple(sorted(node.tags)),
        doc=_doc(node.func),
    )


def _doc(thing: object) -> str:
    """Return the docstring of a function or module, not that of its type."""
    return inspect.getdoc(thing) or "" if hasattr(thing, "__name__") else ""
