"""A Kedro project read into a structure, in a process of its own: the one place that imports it."""

import glob
import importlib.util
import json
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import entry_points, version
from itertools import chain
from pathlib import Path
from typing import Any

from kedro_astro.errors import ConfigurationError, InterpreterError, NoEnvironmentError
from kedro_astro.project import code_of, kedro_env, own_modules, prepare_kedro, relative, write
from kedro_astro.reading.catalog import classes, credentials_of, dataset_of
from kedro_astro.reading.diagnose import describe
from kedro_astro.reading.hooks import Hooks
from kedro_astro.reading.libraries import KEDRO, imported, installed, of_store
from kedro_astro.reading.parameters import for_form, plain
from kedro_astro.reading.registry import registered
from kedro_astro.structure import RUN_FOLDER, RUN_PARAMETER, SOURCES, Structure, nested, nothing


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
    kedro = version("kedro") if importlib.util.find_spec("kedro") else "is not installed"
    if not "1" <= kedro < "a":
        why = f"Kedro {kedro} for {sys.executable}, and kedro-astro needs Kedro 1 or later"
        return nothing(f"  {InterpreterError(why=why)}")
    prepare_kedro()
    sources = list(SOURCES)
    given = {RUN_PARAMETER: RUN_FOLDER}
    while True:
        try:
            return _read(project, kedro_env(project), sources, given)
        except (Exception, SystemExit) as error:
            # Only a run can know some: their names stand in for them.
            unknown = re.match("Runtime parameter '(.+)' not found", str(error.__cause__))
            if not unknown or unknown[1] in given:
                return nothing(describe(error, project), tuple(sources))
            given[unknown[1]] = f"<{unknown[1]}>"


def main(project: str, file: str, fingerprint: str) -> None:
    """Read a project and write the structure to a file, with the fingerprint that was given.

    It is there whole, or not at all. Be a process of your own: this one is full of the project's
    code afterwards.

    Args:
        project: the folder that holds `pyproject.toml`.
        file: is replaced.
        fingerprint: of the sources, taken before.
    """
    # Nobody waits for an import that hangs: ten minutes are enough.
    signal.alarm(600)
    structure = asdict(discover(Path(project)))
    text = json.dumps({"fingerprint": fingerprint, "structure": structure}, ensure_ascii=False)
    # A docstring may have half a character, which is no JSON.
    write(Path(file), text.encode(errors="replace"))


def _read(
    project: Path, env: str | None, sources: list[str], given: Mapping[str, str]
) -> Structure:
    """Return the structure; as soon as it is known, what it is read from is in `sources`.

    A run would be given the parameters in `given`, by dotted name.
    """
    from kedro.framework.project import settings, validate_settings
    from kedro.framework.startup import bootstrap_project
    from kedro.io import CatalogConfigResolver, DataCatalog

    metadata = bootstrap_project(project)
    sources[0] = relative(metadata.source_dir, project)
    validate_settings()
    sources[1] = settings.CONF_SOURCE
    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(project / settings.CONF_SOURCE),
        env=env,
        runtime_params=nested(given),
        **settings.CONFIG_LOADER_ARGS,
    )
    for name in _environments(loader, env):
        # To Kedro a folder that is not there is a section of the configuration that is not there.
        if name and not (project / sources[1] / name).is_dir():
            raise NoEnvironmentError(folder=f"{sources[1]}/{name}")
    hooks = Hooks(project, env, loader)
    catalog = _section(loader, "catalog", hooks)
    parameters, left_out = for_form(_section(loader, "parameters", hooks))
    # All credentials are there, and empty: one that is not defined here must not stop the reading.
    credentials: dict[str, Any] = defaultdict(dict, {"": {}})
    resolver = CatalogConfigResolver(catalog, credentials, DataCatalog.default_runtime_patterns)
    pipelines, broken = registered(project, metadata.package_name, metadata.source_dir)
    names = {name for pipeline in pipelines for node in pipeline.nodes for name in node.datasets}
    put, refused = {}, ""
    try:
        put = hooks.put(resolver)
    except (Exception, SystemExit) as error:
        refused = describe(error, project)
    entries = {name: put.get(name) or resolver.resolve_pattern(name) for name in sorted(names)}
    datasets = {n: dataset_of(e, project, n in put) for n, e in entries.items()}
    stores = {of_store(dataset.location) for dataset in datasets.values()}
    # Where the project itself is that folder, most of it is no package.
    source = metadata.package_name if sources[0] == "." else sources[0]
    said, file = settings_of(loader, project, env)
    return Structure(
        package_name=metadata.package_name,
        project_name=metadata.project_name,
        env=env or "",
        pipelines=tuple(pipelines),
        datasets=datasets,
        parameters={name: value for name, value in parameters.items() if name not in given},
        run_parameters=tuple(name for name in given if name != RUN_PARAMETER),
        hooks=refused,
        left_out=left_out,
        credentials=(named := credentials_of(catalog)),
        no_credentials=_not_there(named, loader),
        libraries=_libraries(metadata.source_dir, entries.values(), stores),
        settings=said,
        settings_file=file,
        sources=tuple(sources),
        code=tuple(code_of(project, [source, *sources[1:]])),
        problems=tuple(broken),
    )


def _environments(loader: Any, env: str | None) -> tuple[str, str]:
    """Return the folders that are read, empty for what is none. A loader of the project's own need
    not know environments."""
    run_env = env or getattr(loader, "default_run_env", "")
    return getattr(loader, "base_env", "") or "", run_env or ""


def settings_of(loader: Any, project: Path, env: str | None) -> tuple[Any, str]:
    """Return what `airflow.yml` says, as JSON data, and which files say it.

    Where kedro-airflow's users keep it: `airflow*` in an environment's folder, or in a folder
    `airflow` there. No file of credentials is one, wherever it lies.

    Args:
        loader: of the project's configuration.
        project: the folder that holds `pyproject.toml`.
        env: the Kedro environment, or None.

    Raises:
        ConfigurationError: if its files cannot be read, or what they say is not JSON.
    """
    conf, (base, run_env) = Path(loader.conf_source), _environments(loader, env)
    # Where the base has no folder of its own, `airflow` is that of an environment.
    patterns = ("airflow*", "airflow/**/*") if base else ("airflow*",)
    files = {
        relative(file, project): glob.escape(relative(file, folder))
        for folder in (conf / base, conf / run_env)
        for file in chain(*map(folder.glob, patterns))
        if file.suffix in (".yml", ".yaml", ".json") and "credentials" not in relative(file, folder)
    }
    getattr(loader, "config_patterns", {}).setdefault("airflow", [*files.values()])
    where = " or ".join(files) or "airflow.yml"
    try:
        return plain(_section(loader, "airflow", where=where)), where
    except (TypeError, RecursionError) as error:
        raise ConfigurationError(section="airflow", what="cannot be used", where=where) from error


def _libraries(source: Path, entries: Iterable[Any], stores: set[str]) -> tuple[str, ...]:
    """Return which third-party modules tasks import: the project's modules that are loaded now say
    so, and the types and the stores of its datasets."""
    kinds = {kind for entry in entries for kind in classes(entry)}
    datasets = [f"{k.__module__}:{k.__qualname__}" for k in kinds if not isinstance(k, str)]
    # Each session imports those.
    plugins = [point.module for point in entry_points(group="kedro.hooks")]
    mine = own_modules(source).values()
    written = {n for f in mine if f.suffix == ".py" for n in imported(f.read_bytes())}
    return tuple(installed([*KEDRO, *stores, *plugins, *datasets, *written]))


def _section(loader: Any, name: str, hooks: Hooks | None = None, where: str = "") -> dict[str, Any]:
    """Return one section of the configuration, empty if no file has it.

    What cannot be resolved may be after `hooks` have seen the context.

    Raises:
        ConfigurationError: if its files cannot be read.
    """
    from kedro.config import MissingConfigException

    try:
        return dict(loader[name])
    except (MissingConfigException, KeyError):
        return {}
    except Exception as error:
        if hooks:
            with suppress(Exception, SystemExit):
                _ = hooks.context
            return _section(loader, name)
        mapping = "" if "full_key" in str(error) else ". Each of its files must be a mapping"
        where = where or f"{name}*.yml or {name}/, below conf/base or in the environment's folder"
        what = f"cannot be read{mapping}"
        raise ConfigurationError(section=name, what=what, where=where) from error


def _not_there(named: Iterable[str], loader: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which credentials are in no file: names only, never a value."""
    try:
        return tuple(sorted({*named}.difference(_section(loader, "credentials"))))
    except ConfigurationError:
        # Values that come from an environment which is not this one's: they may be there.
        return ()
