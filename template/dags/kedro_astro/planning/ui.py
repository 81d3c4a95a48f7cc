"""What a user sees of a DAG in Airflow's UI: names, texts and the trigger form. Plain data."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from kedro_astro.planning.grouping import Task
from kedro_astro.planning.ids import airflow_id
from kedro_astro.structure import Dataset, Pipeline, Structure, is_parameter


def form(
    pipeline: Pipeline, structure: Structure, said: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the trigger form: the arguments of each field's `Param`, by the parameter's name.

    It has the parameters that the pipeline's nodes use and those that `airflow.yml` says for it,
    typed by their value; and empty fields for those that only a run can know.
    """
    parameters = structure.parameters
    used = {name: parameters[name] for name in used_parameters(pipeline, parameters)}
    fields = {**used, **dict.fromkeys(structure.run_parameters), **said}
    return {
        name: {
            "default": value,
            "type": _json_types(value, parameters.get(name, value)),
            "section": name.rpartition(".")[0] or None,
        }
        for name, value in sorted(fields.items())
    }


def used_parameters(pipeline: Pipeline, names: Iterable[str]) -> list[str]:
    """Return those of the dotted names that the pipeline's nodes take, alone or as a part."""
    inputs = {name for node in pipeline.nodes for name in node.inputs if is_parameter(name)}
    parts = {name.partition(":")[2] for name in inputs}
    # Of `parameters`, which is all of them, the part is empty: all begin with an empty text.
    used = tuple(f"{part}." if part else "" for part in parts)
    return [name for name in names if f"{name}.".startswith(used)]


def _json_types(*values: Any) -> str | list[str]:
    """Return the JSON type that all values have, or all their types: `airflow.yml` may say a
    template, which is text, for a number."""
    types = sorted({TypeAdapter(type(value)).json_schema()["type"] for value in values})
    if types == ["null"]:
        return ["null", "string"]
    return types[0] if len(types) == 1 else types


def display_name(task: Task) -> str:
    """Return the task's id, or the node's own name where Airflow does not allow that as an id. The
    first name stands for all in an id of many that is longer than Airflow's grid is wide."""
    names = [node.name for node in task.nodes]
    if len(names) > 1 and len(task.task_id) > 40 and task.task_id.startswith(airflow_id(names[0])):
        return f"{names[0]} and {len(names) - 1} more"
    return names[0] if [airflow_id(name) for name in names] == [task.task_id] else task.task_id


def dag_doc(pipeline: Pipeline, shared: Collection[str], left_out: Mapping[str, str]) -> str:
    """Return what a pipeline is and what is special about its DAG, as Markdown.

    Args:
        pipeline: the one it is of.
        shared: datasets that are why it runs once at a time.
        left_out: why a trigger form cannot hold a parameter, by the parameter's name.
    """
    names = ", ".join(f"`{name}`" for name in shared)
    remedy = "Make them `versioned`, or put `${runtime_params:airflow_run}` into their path."
    backfill = "A backfill has a limit of its own: give it one run at a time, too."
    alone = f"These datasets have one place for all runs: {names}. {remedy} {backfill}"
    missing = ((name, left_out[name]) for name in used_parameters(pipeline, left_out))
    parts = {
        "Nodes": _listed((node.name, node.doc.partition("\n")[0]) for node in pipeline.nodes),
        "One run at a time": alone if shared else "",
        "Parameters that the trigger form cannot show": _listed(missing),
    }
    return f"{pipeline.doc}\n\n{_sections(parts)}".strip()


def task_doc(task: Task, datasets: Mapping[str, Dataset]) -> str:
    """Return what a task runs, loads and saves, as Markdown."""
    # A list of arguments would be one line in Markdown.
    docs = ((n.name, re.sub(r"\n(?: {1,4}(?=[^\s*-])|(?=:\w))", "\n- ", n.doc)) for n in task.nodes)
    parts = {
        "Fires": f"the project's `{task.hook}` hooks, once a DAG run" if task.hook else "",
        "Removes": _listed((name, _description(datasets[name])) for name in task.removes),
        "Nodes": "\n\n".join(f"`{name}`\n\n{doc}".strip() for name, doc in docs),
        "Loads": _listed((name, _description(datasets[name])) for name in task.inputs),
        "Saves": _listed((name, _description(datasets[name])) for name in task.outputs),
    }
    return _sections(parts)


def _sections(parts: Mapping[str, str]) -> str:
    return "\n\n".join(f"**{title}**\n\n{text}" for title, text in parts.items() if text)


def _listed(entries: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- `{name}`" + (f": {text}" if text else "") for name, text in entries)


def _description(dataset: Dataset) -> str:
    return f"{dataset.type} at `{dataset.location}`" if dataset.location else dataset.type
