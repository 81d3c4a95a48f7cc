"""A Kedro project read into a structure, in a process of its own: the one place that imports it."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro_astro.catalog import check_entries, dataset_of, types_of, without_credentials
from kedro_astro.diagnose import describe, describe_skipped
from kedro_astro.errors import ConfigurationError, MissingEnvironmentError, NoKedroError
from kedro_astro.libraries import KEDRO, dataset_class, imported, plugins, requirements
from kedro_astro.parameters import for_form
from kedro_astro.plan import dag_id
from kedro_astro.project import PYTHON, kedro_env, prepare_kedro, relative
from kedro_astro.settings import normalise
from kedro_astro.settings_check import problems
from kedro_astro.structure import (
    RUN_FOLDER,
    RUN_PARAMETER,
    Dataset,
    Node,
    Pipeline,
    Structure,
    is_parameter,
    nothing,
    untranscoded,
)


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
    if not importlib.util.find_spec("kedro"):
        return nothing(f"  {NoKedroError(PYTHON, sys.executable)}")
    prepare_kedro()
    try:
        return _read(project, kedro_env(project))
    except Exception as error:
        return nothing(describe(error, project))


def _read(project: Path, env: str | None) -> Structure:
    from kedro.framework.project import settings, validate_settings
    from kedro.framework.startup import bootstrap_project
    from kedro.io import CatalogConfigResolver, DataCatalog

    metadata = bootstrap_project(project)
    validate_settings()
    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(project / settings.CONF_SOURCE),
        env=env,
        runtime_params={RUN_PARAMETER: RUN_FOLDER},
        **settings.CONFIG_LOADER_ARGS,
    )
    for name in (loader.base_env, loader.env or loader.default_run_env):
        # To Kedro a folder that is not there is a section of the configuration that is not there.
        if name and not Path(loader.conf_source, name).is_dir():
            raise MissingEnvironmentError(relative(Path(loader.conf_source, name), project))
    written = _section(loader, "catalog")
    catalog = without_credentials(written)
    check_entries(catalog)
    parameters, left_out = for_form(_section(loader, "parameters"))
    resolver = CatalogConfigResolver(catalog, None, DataCatalog.default_runtime_patterns)
    pipelines, broken = _registered(project, metadata.package_name)
    names = {
        name
        for pipeline in pipelines
        for node in pipeline.nodes
        for name in (*node.inputs, *node.outputs)
        if not is_parameter(name)
    }
    datasets = {name: dataset_of(name, resolver, project) for name in sorted(names)}
    settings_, wrong = _settings(
        loader, project, metadata.package_name, pipelines, datasets, bool(broken)
    )
    return Structure(
        package_name=metadata.package_name,
        project_name=metadata.project_name,
        env=env or "",
        pipelines=pipelines,
        datasets=datasets,
        parameters=parameters,
        left_out=left_out,
        no_credentials=_no_credentials(written, loader),
        libraries=_libraries(metadata.source_dir, names, resolver),
        settings=settings_,
        sources=(relative(metadata.source_dir, project), settings.CONF_SOURCE, "pyproject.toml"),
        problems=(*broken, *wrong),
    )


def _settings(
    loader: Any,
    project: Path,
    package: str,
    pipelines: Sequence[Pipeline],
    datasets: Mapping[str, Dataset],
    some_missing: bool,
) -> tuple[Mapping[str, Any] | None, list[str]]:
    """Return what `airflow.yml` says and what is wrong with it.

    Where kedro-airflow's users keep it: `airflow*` in an environment's folder, or in a folder
    `airflow` there.
    """
    loader.config_patterns.setdefault("airflow", ["airflow*", "airflow/**"])
    raw = _section(loader, "airflow")
    if not raw:
        return {}, []
    folders = [Path(loader.conf_source) / name for name in (loader.base_env, loader.env) if name]
    files = [relative(file, project) for folder in folders for file in folder.glob("airflow*.y*ml")]
    ids = {pipeline.name: dag_id(package, pipeline.name) for pipeline in pipelines}
    lasting = {
        untranscoded(name)
        for pipeline in pipelines
        for node in pipeline.nodes
        for name in node.outputs
        if datasets[name].persistent and not datasets[name].of_one_run
    }
    source = " or ".join(files) or "airflow.yml"
    # What names a pipeline that could not be read is not wrong.
    wrong = [] if some_missing else problems(raw, pipelines, source, ids, lasting)
    return (None if wrong else normalise(raw)), [f"  {text}" for text in wrong]


def _registered(project: Path, package: str) -> tuple[tuple[Pipeline, ...], tuple[str, ...]]:
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


def _libraries(source: Path, names: Iterable[str], resolver: Any) -> dict[str, str]:
    """Return which third-party modules tasks import: the project's modules that are loaded now say
    so, and the types of its datasets."""
    loaded = [Path(file) for m in [*sys.modules.values()] if (file := getattr(m, "__file__", None))]
    own = [file for file in loaded if file.suffix == ".py" and file.is_relative_to(source)]
    kinds = {kind for name in names for kind in types_of(resolver.resolve_pattern(name))}
    classes = [found for kind in kinds if (found := dataset_class(kind))]
    written = {name for file in own for name in imported(file.read_bytes())}
    return requirements([*KEDRO, *plugins(), *classes, *written])


def _section(loader: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one section of the configuration, empty if no file has it.

    Raises:
        ConfigurationError: if its files cannot be read.
    """
    from kedro.config import MissingConfigException

    try:
        return dict(loader[name])
    except MissingConfigException:
        return {}
    except Exception as error:
        raise ConfigurationError(
            name, "cannot be read. Each of its files must be a mapping"
        ) from error


def _no_credentials(catalog: Mapping[str, Any], loader: Mapping[str, Any]) -> dict[str, str]:
    """Return which credentials entries name that are not there: names only, never a value."""
    try:
        there = _section(loader, "credentials")
    except ConfigurationError:
        # Values that come from an environment which is not this one's: they may be there.
        return {}
    named = {
        name: entry.get("credentials")
        for name, entry in catalog.items()
        if isinstance(entry, Mapping)
    }
    return {name: key for name, key in named.items() if isinstance(key, str) and key not in there}


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
