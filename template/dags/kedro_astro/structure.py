"""All that Airflow needs to know of a Kedro project, as plain data, and its JSON.

Nothing here imports Kedro or Airflow: `discover` makes a structure from a project, `plan` and
`dags` read it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

RUN_PARAMETER = "airflow_run"
"""Kedro runtime parameter that names the folder of a DAG run, for paths in the catalog."""

RUN_FOLDER = "<run>"
"""What stands for that folder in the structure: it is made for all runs."""

PIPELINE_HOOKS = ("before_pipeline_run", "after_pipeline_run")
"""Kedro's hooks that it fires once in each session, so in each task."""

SOURCES = ("src", "conf", "pyproject.toml")
"""What a structure is read from in a project of Kedro's usual layout."""


ELSEWHERE = r"(?!(?:file|local|memory):/)[\w+:]{2,}:/"
"""How locations begin that are not on a disk, or in the memory, of one machine: `dbfs:/`, too."""


def on_a_disk(location: str | None) -> bool:
    """Whether what is there another machine finds only if the two share a disk."""
    return bool(location) and not re.match(ELSEWHERE, str(location))


@dataclass(frozen=True)
class Dataset:
    """A catalog entry as one pipeline sees it.

    Attributes:
        type: the class as the catalog spells it, such as `pandas.CSVDataset`.
        persistent: whether what one process saves another can load.
        location: path or URL without credentials, None for what has no `filepath`.
        versioned: whether each save makes a new Kedro version.
        problem: why Kedro could not make it, and what to do; empty if it could.
        given: whether a hook of the project puts it into the catalog of each session.
    """

    type: str
    persistent: bool
    location: str | None = None
    versioned: bool = False
    problem: str = ""
    given: bool = False

    @property
    def on_a_disk(self) -> bool:
        """Whether what one process saves another can load only if the two share a disk."""
        return self.persistent and on_a_disk(self.location)

    @property
    def of_one_run(self) -> bool:
        """Whether each DAG run has its own place for it: the location holds `RUN_FOLDER`."""
        return RUN_FOLDER in (self.location or "")


@dataclass(frozen=True)
class Node:
    """A Kedro node: names only, never its function.

    Attributes:
        name: unique in its pipeline.
        inputs, outputs: dataset names in Kedro's order, parameters included,
            transcoding (`name@format`) left as it is written.
        namespace: dotted, or None.
        tags: sorted.
        doc: the docstring of its function, or empty.
        confirms: names of datasets.
    """

    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    namespace: str | None = None
    tags: tuple[str, ...] = ()
    doc: str = ""
    confirms: tuple[str, ...] = ()

    @property
    def datasets(self) -> list[str]:
        """What it loads, saves and confirms, without parameters."""
        names = (*self.inputs, *self.outputs, *self.confirms)
        return [name for name in names if not is_parameter(name)]


@dataclass(frozen=True)
class Pipeline:
    """A registered pipeline.

    Attributes:
        name: the name it is registered under.
        nodes: in Kedro's topological order.
        doc: the docstring of the package it comes from, or empty.
    """

    name: str
    nodes: tuple[Node, ...]
    doc: str = ""


@dataclass(frozen=True)
class Structure:
    """A Kedro project, read under one environment.

    Attributes:
        package_name: the project's Python package.
        project_name: the name people gave it.
        env: the Kedro environment it was read under.
        pipelines: sorted by name.
        datasets: by name as nodes write it; parameters are not in it.
        parameters: value by dotted name (`model.depth`), JSON values only; what JSON cannot hold is
            not in it.
        credentials: by name of Kedro's credentials, the catalog entries that have them.
        no_credentials: those of them that no file of the environment has.
        run_parameters: dotted names of what the configuration takes from a run's parameters and has
            no default for. The structure has `<name>` in the place of each.
        hooks: why the project's hooks could not be asked for the catalog; empty if they could.
        left_out: why a trigger form cannot hold a parameter, by its dotted name.
        libraries: third-party modules that tasks import, or `module:attribute`, sorted.
        settings: what `airflow.yml` says, as it is written: JSON data, and in the manifest what it
            said when it was last right.
        settings_file: the file or files that say it, relative to the project.
        sources: the files and folders it was read from, relative to the project.
        code: what `project.code_of` says of it.
        problems: what could not be read, and where; empty when all is well.
    """

    package_name: str
    project_name: str
    env: str
    pipelines: tuple[Pipeline, ...]
    datasets: Mapping[str, Dataset]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    run_parameters: tuple[str, ...] = ()
    hooks: str = ""
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    no_credentials: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    settings: Any = None
    settings_file: str = "airflow.yml"
    sources: tuple[str, ...] = SOURCES
    code: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def nothing(problem: str, sources: tuple[str, ...] = SOURCES) -> Structure:
    """Return the structure of a project that could not be read at all."""
    return Structure("", "", "", (), {}, sources=sources, problems=(problem,))


def from_json(data: Mapping[str, Any]) -> Structure:
    """Return the structure that `dataclasses.asdict` made the data of.

    Raises:
        ValueError: if the data is no structure.
    """
    # Not at the top: the project's own interpreter, which makes structures, may lack it.
    from pydantic import TypeAdapter

    return TypeAdapter(Structure).validate_python(data)


def is_parameter(name: str) -> bool:
    """Whether a dataset name is Kedro's `parameters` or one `params:` entry."""
    return name == "parameters" or name.startswith("params:")


def untranscoded(name: str) -> str:
    """Return the dataset behind `name@format`: both spellings are the same data to Kedro."""
    return name.partition("@")[0]


def asset_uri(package: str, name: str) -> str:
    """Return the URI of a dataset's asset, the same on every machine."""
    return f"kedro://{package}/{quote(untranscoded(name), safe='')}"


Keys = tuple[Any, ...]


def leaves(nested: Mapping[Any, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield the keys to each value that is no mapping, or an empty one, and the value."""
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"a.b": 1}` as `{"a": {"b": 1}}`, the form of Kedro's runtime parameters.

    Raises:
        ValueError: if a name lies below another that has a value of its own.
    """
    found: dict[str, Any] = {}
    # Outer names first: the parts of a mapping go into it, whichever was named first.
    for name, value in sorted(dotted.items(), key=lambda item: item[0].count(".")):
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                both = f"the parameter {name} and also {parent}, which it is a part of"
                raise ValueError(f"This run sets {both}. Start it again with one of them.")
        place[last] = dict(value) if isinstance(value, dict) else value
    return found
