"""Every setting of `airflow.yml`, once: where it may stand, what it may be, what it means.

Checking, conversion and documentation all read `KEYS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kedro_astro.settings.times import DATE, DURATION, SCHEDULE, TIMEOUT
from kedro_astro.settings.values import (
    ADDRESSES,
    BACKOFF,
    CALLBACK,
    COUNT,
    FLAG,
    GROUPING,
    ID,
    MAPPING,
    PARAMS,
    PIPELINE_HOOKS,
    POSITIVE,
    SCOPED,
    TAGS,
    TEXT,
    TEXTS,
    WHOLE,
    Kind,
)


@dataclass(frozen=True)
class Key:
    """One setting.

    Attributes:
        where: `dag`: an argument of the DAG. `task`: an argument of its tasks, also allowed for
            single nodes, tags and namespaces. `pipeline`: for the shim itself. `selection`: of
            the section `pipelines`.
        meaning: completes "it says ..." for the documentation.
        alias: another name that it may have.
        shared: whether it may stand in `default`.
    """

    name: str
    kind: Kind
    where: Literal["dag", "task", "pipeline", "selection"]
    meaning: str
    alias: str | None = None
    shared: bool = True


KEYS = (
    Key("dag_id", ID,
        "pipeline", "the DAG's id", shared=False),
    Key("description", TEXT, "dag", "the line under the DAG's name"),
    Key("tags", TAGS, "dag",
        "labels to find the DAG by"),
    Key("schedule", SCHEDULE, "dag", "when a run starts by itself", alias="schedule_interval"),
    Key("start_date", DATE, "dag", "no scheduled run is for an earlier time; "
        "its offset is the one that the schedule is read in"),
    Key("end_date", DATE, "dag", "no scheduled run is for a later time"),
    Key("catchup", FLAG, "dag", "whether the runs since start_date are made up for"),
    Key("max_active_runs", POSITIVE, "dag", "how many runs of the DAG there may be at once"),
    Key("max_active_tasks", POSITIVE, "dag", "how many tasks of a run there may be at once"),
    Key("dagrun_timeout", TIMEOUT, "dag", "when a run that still goes on fails"),
    Key("params", PARAMS, "pipeline",
        "the trigger form's fields and their values"),
    Key("grouping", GROUPING, "pipeline", "which nodes share a task"),
    Key("pipeline_hooks", PIPELINE_HOOKS, "pipeline", "whether Kedro's before_pipeline_run and "
        "after_pipeline_run fire in each task, or once a DAG run in two tasks of their own"),
    Key("nodes", SCOPED, "pipeline", "settings of the tasks that hold a node"),
    Key("node_tags", SCOPED, "pipeline", "settings of the tasks that hold a node with a Kedro tag"),
    Key("namespaces", SCOPED, "pipeline", "settings of the tasks that hold a node in or below a "
        "namespace"),
    Key("owner", TEXT, "task", "who looks after the tasks"),
    Key("depends_on_past", FLAG, "task", "whether a task waits for its own success in the last "
        "run"),
    Key("email", ADDRESSES, "task", "whom to write to"),
    Key("email_on_failure", FLAG, "task", "whether to write when a task fails"),
    Key("email_on_retry", FLAG, "task", "whether to write when a task is tried again"),
    Key("retries", COUNT, "task", "how often a task that failed is tried again"),
    Key("retry_delay", DURATION, "task", "how long to wait before that"),
    Key("retry_exponential_backoff", BACKOFF,
        "task", "what the delay is multiplied by at each retry; true is 2"),
    Key("max_retry_delay", TIMEOUT, "task", "the longest that the delay may grow to"),
    Key("execution_timeout", TIMEOUT, "task", "when a task that still goes on fails"),
    Key("pool", TEXT, "task", "the Airflow pool that the tasks take slots of"),
    Key("pool_slots", POSITIVE, "task", "how many slots a task takes"),
    Key("queue", TEXT, "task", "the queue that a Celery executor's workers listen to"),
    Key("priority_weight", WHOLE, "task", "which task goes first when slots are short: the larger"),
    Key("executor_config", MAPPING, "task", "what the executor takes for a task"),
    Key("on_execute_callback", CALLBACK, "task", "the function to call before a task runs"),
    Key("on_success_callback", CALLBACK, "task", "the function to call when a task succeeded"),
    Key("on_retry_callback", CALLBACK, "task", "the function to call when a task is tried again"),
    Key("on_failure_callback", CALLBACK, "task", "the function to call when a task failed"),
    Key("include", TEXTS, "selection", "shell patterns: the pipelines that become DAGs"),
    Key("exclude", TEXTS, "selection", "shell patterns: the pipelines that do not, even so"),
)  # fmt: skip


def _named(*keys: Key) -> dict[str, Key]:
    return {name: key for key in keys for name in (key.name, key.alias) if name}


IN_SELECTION = _named(*(key for key in KEYS if key.where == "selection"))
IN_PIPELINE = _named(*(key for key in KEYS if key.where != "selection"))
IN_DEFAULT = _named(*(key for key in IN_PIPELINE.values() if key.shared))
IN_TASK = _named(*(key for key in KEYS if key.where == "task"))
