"""All that Airflow needs to know of a Kedro project, as plain data, and its JSON.

Nothing here imports Kedro or Airflow: `discover` makes a structure from a project, `plan` and
`dags` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUN_PARAMETER = "airflow_run"
"""Kedro runtime parameter that names the folder of a DAG run, for paths in the catalog."""

RUN_FOLDER = "<run>"
"""What stands for that folder in the structure: it is made for all runs."""

SOURCES = ("src", "conf", "pyproject.toml")
"""What a structure is read from in a project of Kedro's usual layout."""


@dataclass(frozen=True)
class Dataset:
    """A catalog entry as one pipeline sees it.

    Attributes:
        type: the class as the catalog spells it, such as `pandas.CSVDataset`.
        persistent: whether what one process saves another can load.
        location: path or URL without credentials, None for what has no `filepath`.
        versioned: whether each save makes a new Kedro version.
    """

    type: str
    persistent: bool
    location: str | None = None
    versioned: bool = False

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
        home: the smallest pipeline that has it and that Kedro can load by itself, or empty.
    """

    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    namespace: str | None = None
    tags: tuple[str, ...] = ()
    doc: str = ""
    home: str = ""


@dataclass(frozen=True)
class Pipeline:
    """A registered pipeline.

    Attributes:
        name: the name it is registered under.
        nodes: in Kedro's topological order.
        doc: the docstring of the package it comes from, or empty.
        alone: whether Kedro can load it by its name without the other pipelines.
    """

    name: str
    nodes: tuple[Node, ...]
    doc: str = ""
    alone: bool = False


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
        no_credentials: by catalog entry, the credentials that it names and the environment lacks.
        left_out: why a trigger form cannot hold a parameter, by its dotted name.
        libraries: third-party modules that tasks import, or `module:attribute`, sorted.
        settings: what `airflow.yml` says, as `settings.normalise` returns it; None if it cannot be
            used.
        sources: the files and folders it was read from, relative to the project.
        problems: what could not be read, and where; empty when all is well.
    """

    package_name: str
    project_name: str
    env: str
    pipelines: tuple[Pipeline, ...]
    datasets: Mapping[str, Dataset]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    no_credentials: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = field(default_factory=dict)
    sources: tuple[str, ...] = SOURCES
    problems: tuple[str, ...] = ()


def nothing(problem: str) -> Structure:
    """Return the structure of a project that could not be read at all."""
    return Structure("", "", "", (), {}, problems=(problem,))


def to_json(structure: Structure) -> dict[str, Any]:
    """Return the structure as JSON-serializable data; `from_json` is its inverse."""
    pipelines = [
        {**vars(pipeline), "nodes": [vars(node) for node in pipeline.nodes]}
        for pipeline in structure.pipelines
    ]
    datasets = {name: vars(dataset) for name, dataset in structure.datasets.items()}
    return {**vars(structure), "pipelines": pipelines, "datasets": datasets}


def from_json(data: Mapping[str, Any]) -> Structure:
    """Return the structure that `to_json` wrote.

    Raises:
        ValueError: if the data is no structure.
    """
    try:
        return Structure(
            package_name=data["package_name"],
            project_name=data["project_name"],
            env=data["env"],
            pipelines=tuple(
                Pipeline(**{**pipeline, "nodes": tuple(_node(node) for node in pipeline["nodes"])})
                for pipeline in data["pipelines"]
            ),
            datasets={name: Dataset(**dataset) for name, dataset in data["datasets"].items()},
            parameters=data["parameters"],
            left_out=data["left_out"],
            no_credentials=data["no_credentials"],
            libraries=tuple(data["libraries"]),
            settings=data["settings"],
            sources=tuple(data["sources"]),
            problems=tuple(data["problems"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a kedro-astro structure ({error!r})") from error


def _node(data: Mapping[str, Any]) -> Node:
    lists = {name: tuple(data[name]) for name in ("inputs", "outputs", "tags")}
    return Node(**{**data, **lists})


def is_parameter(name: str) -> bool:
    """Whether a dataset name is Kedro's `parameters` or one `params:` entry."""
    return name == "parameters" or name.startswith("params:")


def untranscoded(name: str) -> str:
    """Return the dataset behind `name@format`: both spellings are the same data to Kedro."""
    return name.partition("@")[0]
