"""The project's registered pipelines."""

import importlib
import inspect
import pkgutil
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedro_astro.reading.diagnose import describe, describe_skipped
from kedro_astro.structure import Node, Pipeline


def registered(project: Path, package: str, source: Path) -> tuple[list[Pipeline], list[str]]:
    """Return the registered pipelines, sorted by name, and what kept others from being read.

    One broken pipeline folder breaks a registry that asks for errors. Then Kedro is asked for each
    folder by itself, so that the others are still there; what the registry makes of all of them
    together, `__default__` above all, cannot be known.
    """
    from kedro.framework import project as kedro_project
    from kedro.pipeline import Pipeline as KedroPipeline

    registry = kedro_project.pipelines
    found, broken = {}, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = dict(registry.items())
        except Exception as error:
            what = describe(error, project)
            ours = "\n    in " in what
            broken = [what if ours else f"{what}. Does register_pipelines return a mapping?"]
    skipped = [str(w.message) for w in caught if w.filename == kedro_project.__file__]
    broken += [describe_skipped(warning, project) for warning in skipped]
    if skipped:
        # Kedro went on without the broken folder: the whole is silently a part.
        found.pop("__default__", None)
    if broken:
        found = {**_by_themselves(package), **found}
    good = {name: each for name, each in found.items() if isinstance(each, KedroPipeline)}
    for name, each in found.items():
        if name not in good:
            what = f"  The registry has under {name!a} a {type(each).__name__}"
            broken.append(f"{what}, which is no Pipeline.")
    docs = {name: _doc(sys.modules.get(f"{package}.pipelines.{name}")) for name in good}
    return [Pipeline(n, tuple(map(_node, good[n].nodes)), docs[n]) for n in sorted(good)], broken


def _by_themselves(package: str) -> dict[str, Any]:
    """Return the pipelines that Kedro loads when it is asked for one folder below `pipelines/`."""
    from kedro.framework.project import pipelines

    found = {}
    paths = [f"{path}/pipelines" for path in importlib.import_module(package).__path__]
    for folder in pkgutil.iter_modules(paths):
        # Why one cannot be loaded is known already: reading all has failed with the same error.
        with suppress(Exception, SystemExit), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            # Kedro 1.4 cannot be asked for one.
            pipelines.set_requested([folder.name])
            found[folder.name] = pipelines[folder.name]
    return found


def _node(node: Any) -> Node:
    return Node(
        name=node.name,
        inputs=tuple(node.inputs),
        outputs=tuple(node.outputs),
        confirms=tuple(node.confirms),
        namespace=node.namespace,
        tags=tuple(sorted(node.tags)),
        doc=_doc(node.func),
    )


def _doc(thing: object) -> str:
    """Return the docstring of a function or module, not that of its type."""
    return inspect.getdoc(thing) or "" if hasattr(thing, "__name__") else ""
