"""What an `airflow.yml` says of one pipeline, and of one task. Pure functions.

A setting that is null counts as not said, and takes back what `default` says.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from kedro_astro.errors import TwoValuesError, shown
from kedro_astro.settings.models import MERGED, SCOPED, Model, Task, section_name
from kedro_astro.structure import Node

Said = Mapping[str, Any]
"""What one section says, or all sections of one pipeline: the value by key. Times are aware,
durations timedeltas, functions `Callback`s; a schedule is a text, `Cron`, `OnAssets` or
`Timetable`."""

File = Mapping[str, Said]
"""What an `airflow.yml` says, by section, null as None. What is wrong in it is not in here, and
`schedule_interval` is `schedule`."""


def selected(file: File, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the pipelines that become DAGs, in the order of `names`.

    Those that match `include`, which is all of them if it is not there, and not `exclude`.
    """
    section = file.get("pipelines", {})
    include, exclude = section.get("include"), section.get("exclude") or ()
    chosen = [n for n in names if include is None or any(fnmatchcase(n, p) for p in include)]
    return tuple(n for n in chosen if not any(fnmatchcase(n, pattern) for pattern in exclude))


def for_pipeline(file: File, name: str) -> Said:
    """Return what is said of the pipeline `name`: its own section over `default`, key by key.

    `params`, `credentials` and the settings of nodes, tags and namespaces are added to the
    default's, name by name; all else replaces it. What is null is left out.
    """
    merged = over(file.get("default", {}), file.get(section_name(name), {}))
    return {key: value for key, value in merged.items() if value is not None}


def arguments(said: Said, model: type[Model]) -> dict[str, Any]:
    """Return what is said of the arguments that a model has: `Dag` or `Task`."""
    return {key: said[key] for key in model.model_fields if key in said}


def over(below: Said, above: Said) -> Said:
    """Return the values of a pipeline's own section over the default's."""
    return {**below, **{key: _merged(key, below.get(key), above[key]) for key in above}}


def _merged(key: str, below: Any, above: Any) -> Any:
    if key not in MERGED or not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if key in SCOPED:
        above = {name: over(below.get(name, {}), section) for name, section in above.items()}
    return {**below, **above}


def for_task(settings: Said, nodes: Sequence[Node]) -> dict[str, Any]:
    """Return the operator's arguments for the task that holds `nodes`.

    The pipeline's, then those of the nodes' tags, namespaces (outer before inner) and names, each
    over the one before.

    Raises:
        TwoValuesError: if two that count alike, such as two nodes' names, say different things.
    """
    sections = [(*section, node) for node in nodes for section in sections_of(node)]
    said: Said = arguments(settings, Task)
    wrong: dict[str, TwoValuesError] = {}
    last: dict[str, tuple[int, str, Any]] = {}
    for rank, kind, name, node in sorted(sections, key=lambda section: section[0]):
        for key, value in settings.get(kind, {}).get(name, {}).items():
            who = f"the node {node.name} ({kind}.{name})"
            highest, first, other = last.get(key, (-1, "", None))
            if rank > highest:
                wrong.pop(key, None)
            elif value != other:
                said_of = {"other": shown(other), "first": first, "value": shown(value)}
                wrong[key] = TwoValuesError(key=key, second=who, **said_of)
            last[key] = (rank, who, value)
            said = over(said, {key: value})
    for error in wrong.values():
        raise error
    return {key: value for key, value in said.items() if value is not None}


def sections_of(node: Node) -> Iterator[tuple[int, str, str]]:
    """Yield what may say something of a node: how much it counts, the setting, the name in it."""
    yield from ((0, "node_tags", tag) for tag in node.tags)
    yield from ((depth, "namespaces", name) for depth, name in enumerate(namespaces_of(node), 1))
    yield sys.maxsize, "nodes", node.name


def namespaces_of(node: Node) -> list[str]:
    """Return the namespaces that hold a node: of `a.b`, `a` and `a.b`."""
    parts = node.namespace.split(".") if node.namespace else []
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]
