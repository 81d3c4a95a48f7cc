"""A Kedro project read into a structure, in a process of its own: the one place that imports it."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_astro.project import SHIM, kedro_env, prepare_kedro
from kedro_astro.structure import Dataset, Node, Pipeline, Structure, is_parameter, nothing

if TYPE_CHECKING:
    from kedro.io import CatalogConfigResolver

MEMORY_DATASETS = ("MemoryDataset", "SharedMemoryDataset")
"""Classes whose data ends with the process. Compared without their module: the catalog may write
`MemoryDataset`, `io.MemoryDataset` or `kedro.io.MemoryDataset`."""


def discover(project: Path) -> Structure:
    """Read the project's pipelines and catalog. Imports Kedro and the user's code.

    It needs no data, no credentials, no network, and no dataset class that is not installed:
    catalog entries are read, never instantiated.

    Args:
        project: the folder that holds `pyproject.toml`.

    Returns:
        The structure. What could not be read is in its `problems`; if that is everything, it has
        no pipelines.
    """
    prepare_kedro()
    env = kedro_env(project)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            structure = _read(project, env)
    except Exception as error:
        return nothing(describe(error, project))
    problems = tuple(
        _skipped_pipeline(str(warning.message), project)
        for warning in caught
        if warning.filename == _project_module_file()
    )
    return replace(structure, problems=problems)


def describe(error: BaseException, project: Path) -> str:
    """Return `error` and its causes in a few lines, with the user's file and line.

    Args:
        error: what the project raised.
        project: paths below it are shown relative to it.
    """
    parts: dict[str, str | None] = {}
    current: BaseException | None = error
    while current is not None:
        text = current.msg if isinstance(current, SyntaxError) else str(current)
        what = f"  {type(current).__name__}: {text}"
        parts[what] = parts.get(what) or _place(current, project)
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return "\n".join(
        what + (f"\n    in {place}" if place else "") for what, place in reversed(parts.items())
    )


def _place(error: BaseException, project: Path) -> str | None:
    """Return `file:line` of the innermost frame that is the user's own."""
    if isinstance(error, SyntaxError) and error.filename:
        frames = [(error.filename, error.lineno)]
    else:
        frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    own = (_own_line(filename, line, project) for filename, line in reversed(frames))
    return next(filter(None, own), None)


def _own_line(filename: str, line: int | None, project: Path) -> str | None:
    path = Path(filename).resolve()
    if path.is_relative_to(project) and not path.is_relative_to(SHIM):
        relative = path.relative_to(project)
        return None if "site-packages" in relative.parts else f"{relative}:{line}"
    return None


def _project_module_file() -> str | None:
    from kedro.framework import project

    return project.__file__


def _skipped_pipeline(warning: str, project: Path) -> str:
    """Return what `find_pipelines` warned of: it goes on without a pipeline that it cannot import.

    Nobody sees a warning inside Airflow, so it becomes a problem of the project. The warning ends
    with a traceback; its last line and the user's last line of code are kept.
    """
    text, _, trace = warning.partition("Traceback (most recent call last):")
    frames = re.findall(r'File "([^"]+)", line (\d+)', trace)
    own = (_own_line(filename, int(line), project) for filename, line in reversed(frames))
    place = next(filter(None, own), None)
    first = " ".join(text.split("\n\n")[0].split())
    last = f"\n    {trace.strip().splitlines()[-1]}" if trace else ""
    return f"  {first}{last}" + (f"\n    in {place}" if place else "")


def _read(project: Path, env: str | None) -> Structure:
    from kedro.framework.project import pipelines, settings, validate_settings
    from kedro.framework.startup import bootstrap_project
    from kedro.io import CatalogConfigResolver, DataCatalog

    metadata = bootstrap_project(project)
    validate_settings()
    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(project / settings.CONF_SOURCE), env=env, **settings.CONFIG_LOADER_ARGS
    )
    catalog = _without_credentials(_catalog(loader))
    resolver = CatalogConfigResolver(catalog, None, DataCatalog.default_runtime_patterns)
    registered = {
        name: Pipeline(name, tuple(_node(node) for node in pipeline.nodes))
        for name, pipeline in sorted(pipelines.items())
    }
    names = {
        name
        for pipeline in registered.values()
        for node in pipeline.nodes
        for name in (*node.inputs, *node.outputs)
        if not is_parameter(name)
    }
    return Structure(
        package_name=metadata.package_name,
        project_name=metadata.project_name,
        env=env or "",
        pipelines=tuple(registered.values()),
        datasets={name: _dataset(name, resolver, project) for name in sorted(names)},
        sources=(_relative(metadata.source_dir, project), settings.CONF_SOURCE, "pyproject.toml"),
    )


def _catalog(loader: Mapping[str, Any]) -> dict[str, Any]:
    from kedro.config import MissingConfigException

    try:
        return dict(loader["catalog"])
    except MissingConfigException:
        return {}


def _node(node: Any) -> Node:
    return Node(
        name=node.name,
        inputs=tuple(node.inputs),
        outputs=tuple(node.outputs),
        namespace=node.namespace,
        tags=tuple(sorted(node.tags)),
    )


def _dataset(name: str, resolver: CatalogConfigResolver, project: Path) -> Dataset:
    config = resolver.resolve_pattern(name)
    kind = str(config["type"])
    return Dataset(
        type=kind,
        persistent=not _in_memory(config),
        location=_location(config, project),
        versioned=bool(config.get("versioned")),
    )


def _in_memory(config: Mapping[str, Any]) -> bool:
    """Whether the data ends with the process. A `CachedDataset` saves through to what it wraps."""
    kind = str(config["type"]).rpartition(".")[2]
    inner = config.get("dataset")
    if kind == "CachedDataset" and inner is not None:
        return _in_memory(inner if isinstance(inner, Mapping) else {"type": inner})
    return kind in MEMORY_DATASETS


def _location(config: Mapping[str, Any], project: Path) -> str | None:
    """Return `filepath` or `path` without credentials, relative to the project if it is in it."""
    path = config.get("filepath") or config.get("path")
    if not isinstance(path, str):
        inner = config.get("dataset")
        return _location(inner, project) if isinstance(inner, Mapping) else None
    if "://" in path:
        return re.sub(r"://[^/@]*@", "://", path.partition("?")[0])
    return _relative(Path(path), project)


def _relative(path: Path, project: Path) -> str:
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


def _without_credentials(value: Any) -> Any:
    """Drop every `credentials` key: one that is not defined here must not stop the reading."""
    if isinstance(value, Mapping):
        return {k: _without_credentials(v) for k, v in value.items() if k != "credentials"}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_without_credentials(item) for item in value]
    return value
