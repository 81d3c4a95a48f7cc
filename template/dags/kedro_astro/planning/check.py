"""What `kedro astro check` finds before anything runs. Pure functions."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from kedro_astro.errors import choice, label
from kedro_astro.planning import deployment
from kedro_astro.planning.adoption import Files, left_to_merge
from kedro_astro.planning.deployment import CONNECT, Connections, Exists, how_to_provide
from kedro_astro.planning.ids import airflow_id
from kedro_astro.planning.plan import Plan, plan_all, shared_by_runs
from kedro_astro.project import CONTAINERS
from kedro_astro.structure import Structure, leaves, untranscoded

SETTINGS = "airflow_settings.yaml"

DISKS = {"mounts", "volumes", "pod_template_file", "pod_template_dict", "full_pod_spec"}
"""Arguments by which a container may have a disk that others have as well."""


class Finding(NamedTuple):
    """One thing that is wrong or will be.

    Attributes:
        level: `error` for what fails or loses data, `warning` for what may surprise.
        where: the pipeline, or empty for the whole project.
        what: what it is and what to do about it.
    """

    level: str
    where: str
    what: str


Found = Iterator[tuple[str, str, str]]
"""The attributes of findings."""


def findings(
    structure: Structure,
    problems: Iterable[str],
    texts: Mapping[str, str | None],
    exists: Exists,
    target: str | None,
    airflow: str,
) -> list[Finding]:
    """Return what is wrong with a project, errors first.

    Args:
        structure: the project.
        problems: what could not be read or cannot be a DAG.
        texts: of the files of `adoption.LOOKED_AT`; None for what cannot be read.
        exists: asks the project whether there is something at a path.
        target: one of `project.TARGETS` to also look for what it would lack.
        airflow: the version that is installed.
    """
    planned, _ = plan_all(structure)
    given = [plan.settings.get("credentials", {}) for plan in planned.values()]
    files = {name: text or "" for name, text in texts.items()}
    wrong = [problem.strip() for problem in problems]
    wrong += [f"{name} is no file that can be read." for name in texts if texts[name] is None]
    wrong += deployment.no_library(structure.datasets, files)
    if "Dockerfile" in files:
        wrong += deployment.left_out(structure, files)
    tasks = [task for plan in planned.values() for task in plan.tasks]
    alone = {name for plan in planned.values() for name in _alone(plan)}
    kept = {n: d for n, d in structure.datasets.items() if target or untranscoded(n) in alone}
    # Of other targets than that nobody knows what their workers bring along.
    ignored = files.get(".dockerignore", "") if target in ("astro", None) else "**"
    wrong += deployment.not_shared(replace(structure, datasets=kept), tasks, exists, ignored)
    if target == "astro":
        wrong += deployment.not_deployed(structure, files, exists, given)
    found = {
        *(("error", "", what) for what in wrong),
        *((level, "", what) for level, what in left_to_merge(files, airflow, target == "astro")),
        *_not_there(structure, exists),
        *_of_one_cause(structure),
        *_credentials(structure, given, target),
        *_surprises(structure, planned),
        *(() if target else _no_pool(planned, files)),
    }
    return sorted(Finding(*each) for each in found)


def _alone(plan: Plan) -> Iterator[str]:
    """Yield what tasks load and save in containers that share no disk that anybody knows of."""
    for task in plan.tasks:
        said = plan.arguments[task.task_id]
        place = said.get("run_in")
        if place in CONTAINERS and not said.get(place, {}).keys() & DISKS:
            yield from map(untranscoded, (*task.inputs, *task.outputs))


def _not_there(structure: Structure, exists: Exists) -> Found:
    """Inputs that no other node makes, no other run can have left, or nobody has put there."""
    nodes = [node for pipeline in structure.pipelines for node in pipeline.nodes]
    saved = {untranscoded(name) for node in nodes for name in node.outputs}
    for pipeline in structure.pipelines:
        made = {untranscoded(name) for node in pipeline.nodes for name in node.outputs}
        for name, node in {name: n.name for n in pipeline.nodes for name in n.inputs}.items():
            dataset = structure.datasets.get(name)
            if dataset is None or dataset.given or untranscoded(name) in made:
                continue
            path = dataset.location or "://"
            if not dataset.persistent or dataset.of_one_run:
                what = f"node {node} needs {name}, which no other node here makes and no run leaves"
                remedy = "Declare it in conf/base/catalog.yml, or run a pipeline that makes it too."
                level = "warning" if structure.hooks else "error"
                yield level, pipeline.name, f"{what} behind. {remedy}"
            elif "://" not in path and untranscoded(name) not in saved and not exists(path):
                what = f"nothing is at {path}, where {name} should be, and no DAG saves it."
                remedy = "Put it there, or correct the path in conf/base/catalog.yml."
                yield "warning", "", f"{what} {remedy}"


def _of_one_cause(structure: Structure) -> Found:
    """What is wrong with several names for one reason: one finding for all of them."""
    for why, names in _by_value({name: each.problem for name, each in structure.datasets.items()}):
        what = f"Kedro cannot make {names}, in a file catalog*.yml below {structure.sources[1]}"
        yield "error", "", f"{what}: {why}"
    for why, names in _by_value(structure.left_out):
        yield "warning", "", f"no trigger form shows {names}: {why}. Nodes still get it."


def _credentials(structure: Structure, given: list[Connections], target: str | None) -> Found:
    """Credentials that tasks would not find, and connections for those that nobody names.

    Kedro looks for the credentials of all entries in each session, whatever its nodes load.
    """
    env = f"conf/{structure.env or 'local'}"
    remedy = f"Put them into {env}/credentials.yml. Or {CONNECT}."
    for key in structure.no_credentials:
        if not all(key in connections for connections in given):
            names = ", ".join(dict.fromkeys(structure.credentials[key]))
            what = f"the credentials {key} of {names} are neither in conf/base nor in {env}."
            next_ = how_to_provide(structure.env) if target else remedy
            yield "error" if target else "warning", "", f"{what} {next_}"
    for key in sorted({*chain(*given)}.difference(structure.credentials)):
        what = f"airflow.yml has a connection for the credentials {label(key)}, and no entry of the"
        yield "warning", "", f"{what} catalog names them. {choice(key, structure.credentials)}"


def _by_value(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each value that is no empty text, with the names that have it."""
    for value in filter(None, dict.fromkeys(values.values())):
        yield value, ", ".join(name for name, other in values.items() if other == value)


def _no_pool(plans: Mapping[str, Plan], files: Files) -> Found:
    """Pools that tasks wait for and that nobody makes. Of a deployment's nobody knows here."""
    for pipeline, plan in plans.items():
        for pool in sorted({str(of.get("pool", "default_pool")) for of in plan.arguments.values()}):
            made = rf"(?m)^[^#\n]*\bpool_name\W+{re.escape(pool)}(?![\w.-])"
            if pool != "default_pool" and not re.search(made, files.get(SETTINGS, "")):
                what = f"its tasks wait for ever if Airflow has no pool {pool}. Make it in the UI,"
                line = f"- {{pool_name: {json.dumps(pool)}, pool_slot: 1, pool_description: ''}}"
                yield "warning", pipeline, f"{what} or below `pools` in {SETTINGS}:\n{line}"


def _surprises(structure: Structure, plans: Mapping[str, Plan]) -> Found:
    """What Airflow shows otherwise than the project has it, and runs that mix their data."""
    for pipeline in structure.pipelines:
        if not pipeline.nodes:
            yield "warning", pipeline.name, "it has no nodes yet, so it has no DAG."
    if structure.hooks:
        what = "your hooks could not be asked what they put into the catalog, so that is not known"
        yield "warning", "", f"{what} here:\n{structure.hooks}"
    for name, plan in plans.items():
        said = {".".join(keys) for keys, _ in leaves(plan.settings.get("params", {}))}
        for unknown in sorted({*structure.run_parameters} - said):
            what = f"${{runtime_params:{unknown}}} has no default, so a run without it fails"
            remedy = f"Start it with one, or put `{unknown}` under `params` in airflow.yml."
            yield "warning", name, f"{what}. {remedy}"
        if "dag_id" not in plan.settings and airflow_id(name) != name:
            yield "warning", name, f"Airflow allows no such id; its DAG is called {plan.dag_id}."
        runs = plan.settings.get("max_active_runs", 1)
        if runs != 1 and (shared := shared_by_runs(plan.tasks, structure.datasets)):
            what = f"airflow.yml allows {runs} runs at once, which would write over each other's"
            remedy = "put ${runtime_params:airflow_run} into the path, or set max_active_runs to 1."
            yield "warning", name, f"{what} {', '.join(shared)}. Make these `versioned`, {remedy}"
