"""What `airflow.yml` may say: a type for each kind of value, a model for each kind of section.

A field's description completes "it says ...", the title of its type "it must be ...": the
reference, the JSON schema and what is said of a wrong file are made of them. Every setting may be
null. Dates and durations become Airflow's; all else stays as it is written.
"""

import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from typing_extensions import TypeAliasType

from kedro_astro.project import CONTAINERS

LARGEST = 2**31 - 1
"""The largest whole number that Airflow's database holds."""

YEAR = 365 * 24 * 60
"""In minutes."""

UNIT = r"^[0-9]+(\.[0-9]+)? ?[smhd]$"
ABOVE_0 = r"^([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*) ?[smhd]$"

ISO = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{3}([0-9]{3})?)?)?([+-][0-9]{2}:[0-9]{2}|[Zz])?)?$"
)
"""Only forms that every supported Python reads alike: Kedro's and Airflow's may differ."""

GroupingName: TypeAlias = Literal["memory", "node", "namespace", "tag", "pipeline"]


class Model(BaseModel):
    """A mapping without any key that is not known, and with values as YAML has them."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Callback(str):
    """The dotted path of a function that Airflow is to call."""


def _duration(value: float | str) -> timedelta:
    if isinstance(value, str):
        value = float(value[:-1]) * {"s": 1 / 60, "m": 1, "h": 60, "d": 24 * 60}[value[-1]]
    if value > YEAR:
        raise ValueError("it is more than a year")
    return timedelta(minutes=value)


def _date(value: str | list[Any]) -> datetime:
    iso = value if isinstance(value, str) else datetime(*value).isoformat()
    moment = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", iso))
    if not 1970 <= moment.year < 3000:
        raise ValueError("its year is not between 1970 and 2999")
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def groups(grouping: Any) -> list[tuple[str | None, list[str]]]:
    """Return groups that are written by hand: the id, or None, and the nodes of each."""
    if isinstance(grouping, dict):
        return list(grouping.items())
    return [(None, nodes) for nodes in grouping] if isinstance(grouping, list) else []


def _each_once(grouping: Any) -> Any:
    nodes = Counter(node for _, group in groups(grouping) for node in group)
    if twice := [node for node, times in nodes.items() if times > 1]:
        raise ValueError(f"the node {twice[0][:70]!r} is in it {nodes[twice[0]]} times")
    return grouping


_Text = Annotated[str, Field(pattern=r"\S", max_length=2000)]
_Path = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$", max_length=2000)]
_Minutes = Annotated[float, Field(ge=0, le=YEAR)]
_Json = dict[str, JsonValue]

Text = Annotated[_Text | None, Field(title="text of at most 2000 characters")]
Texts = Annotated[list[_Text] | None, Field(title="a list of texts")]
_Tag = Annotated[_Text, Field(max_length=100)]
Tags = Annotated[list[_Tag] | None, Field(title="a list of texts of at most 100 characters")]
Addresses = Annotated[_Text | list[_Text] | None, Field(title="an address or a list of addresses")]
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,250}$")]
Id = Annotated[_Id | None, Field(title="letters, digits, dashes, dots, underscores, at most 250")]
Flag = Annotated[bool | None, Field(title="true or false")]
Whole = Annotated[int | None, Field(ge=-LARGEST, le=LARGEST, title="a whole number")]
Count = Annotated[int | None, Field(ge=0, le=LARGEST, title="a whole number, 0 or more")]
Positive = Annotated[int | None, Field(ge=1, le=LARGEST, title="a whole number, 1 or more")]
_Factor = Annotated[float, Field(ge=1, le=100)]
Backoff = Annotated[bool | Literal[0] | _Factor | None, Field(title="true, false, 0, or 1 to 100")]
MINUTES = 'minutes, or text such as "30s", "5m", "1h" or "1d"; at most a year'
_Duration = Annotated[_Minutes | Annotated[str, Field(pattern=UNIT)], AfterValidator(_duration)]
Duration = Annotated[_Duration | None, Field(title=MINUTES)]
_More = Annotated[_Minutes, Field(gt=0)] | Annotated[str, Field(pattern=ABOVE_0)]
_Timeout = Annotated[_More, AfterValidator(_duration)]
Timeout = Annotated[_Timeout | None, Field(title=f"more than 0: {MINUTES}")]
_Numbers = Annotated[list[Annotated[int, Field(ge=0, le=10**6)]], Field(min_length=3, max_length=7)]
_Date = Annotated[Annotated[str, Field(pattern=ISO)] | _Numbers, AfterValidator(_date)]
DATE = 'a date such as 2024-01-31, "2024-01-31T06:00:00+02:00" or [2024, 1, 31], else read in UTC'
Date = Annotated[_Date | None, Field(title=DATE)]
_Function = Annotated[_Path, AfterValidator(Callback)]
Function = Annotated[_Function | None, Field(title="a path such as package.module.function")]
Values = Annotated[_Json | None, Field(title="a mapping of names to values that JSON has")]
Hooks = Annotated[Literal["task", "run"] | None, Field(title="task or run")]
# What Airflow allows. A URL with a password is none.
_Conn = Annotated[str, Field(pattern=r"^[\w#!()\-.:/\\]+$", max_length=250)]
Ids = Annotated[dict[str, _Conn] | None, Field(title="a mapping of names to ids of connections")]
_Retention = Literal["forever"] | _Timeout
Retention = Annotated[_Retention | None, Field(title=f"forever, or more than 0: {MINUTES}")]

PLACE = "worker, venv, docker or kubernetes"
Place = Annotated[Literal["worker", "venv", "docker", "kubernetes"] | None, Field(title=PLACE)]

_Group = Annotated[list[_Text], Field(min_length=1)]
# In a schema the pattern of the ids alone would let any other name pass.
_Named = Field(min_length=1, json_schema_extra={"additionalProperties": False})
_Groups = Annotated[list[_Group], Field(min_length=1)] | Annotated[dict[_Id, _Group], _Named]
_Grouping = Annotated[GroupingName | _Groups, AfterValidator(_each_once)]
GROUPING = "memory, node, namespace, tag, pipeline, a list of lists of nodes, or lists by their ids"
Grouping = Annotated[_Grouping | None, Field(title=GROUPING)]

Assets = TypeAliasType(
    "Assets",
    "_Text | Annotated[list[Assets], Field(min_length=1)]"
    " | Annotated[dict[Literal['all', 'any'], Assets], Field(min_length=1, max_length=1)]",
)
"""Datasets of the project and URIs: one, or all of a list, or `{any: [...]}`, `{all: [...]}`."""


class Cron(Model):
    """A cron expression, read in a time zone; UTC if it has none."""

    cron: _Text
    timezone: _Text | None = None


class OnAssets(Model):
    """A run starts when assets were updated."""

    assets: Assets


class Timetable(Model):
    """An Airflow timetable, or what makes one of the arguments."""

    timetable: _Path
    arguments: _Json | None = None


# kedro-airflow writes null as "None".
_Expression = Annotated[_Text, AfterValidator(lambda said: None if said == "None" else said)]
_Schedule = _Expression | Cron | OnAssets | Timetable
SCHEDULE = (
    'a cron expression such as "0 6 * * 1", a preset such as @daily, or null; or a mapping: '
    "{cron: ..., timezone: ...}, {assets: [...]}, {timetable: package.module.name, arguments: ...}"
)
Schedule = Annotated[_Schedule | None, Field(title=SCHEDULE)]


WHOLE_PROJECT = "whole_project"
"""The section of `__default__`: Kedro drops sections whose name begins with `_`."""

SCOPED = {"nodes": "node", "node_tags": "tag of a node", "namespaces": "namespace"}
"""Settings for single tasks, and what the names in them are of."""

MERGED = ("params", "credentials", *CONTAINERS, *SCOPED)
"""What a pipeline's section adds to `default`, name by name."""


def _says(meaning: str) -> Any:
    return Field(None, description=meaning)


class Task(Model):
    """Arguments of an operator."""

    owner: Text = _says("who looks after the tasks")
    depends_on_past: Flag = _says("whether a task waits for its own success in the last run")
    email: Addresses = _says("whom to write to")
    email_on_failure: Flag = _says("whether to write when a task fails")
    email_on_retry: Flag = _says("whether to write when a task is tried again")
    retries: Count = _says("how often a task that failed is tried again")
    retry_delay: Duration = _says("how long to wait before that")
    retry_exponential_backoff: Backoff = _says("what the delay is multiplied by each time; true: 2")
    max_retry_delay: Timeout = _says("the longest that the delay may grow to")
    execution_timeout: Timeout = _says("when a task that still goes on fails")
    pool: Text = _says("the Airflow pool that the tasks take slots of")
    pool_slots: Positive = _says("how many slots a task takes")
    queue: Text = _says("the queue that a Celery executor's workers listen to")
    priority_weight: Whole = _says("which task goes first when slots are short: the larger")
    executor_config: Values = _says("what the executor takes for a task")
    run_in: Place = _says("where nodes run; not said: venv with KEDRO_ASTRO_PYTHON, or worker")
    docker: Values = _says("arguments of Airflow's operator for a task in docker")
    kubernetes: Values = _says("the same for kubernetes; objects as in Kubernetes' YAML")
    on_execute_callback: Function = _says("the function to call before a task runs")
    on_success_callback: Function = _says("the function to call when a task succeeded")
    on_retry_callback: Function = _says("the function to call when a task is tried again")
    on_failure_callback: Function = _says("the function to call when a task failed")


class Dag(Model):
    """Arguments of a DAG."""

    description: Text = _says("the line under the DAG's name")
    tags: Tags = _says("labels to find the DAG by")
    schedule: Schedule = _says("when a run starts by itself")
    schedule_interval: Schedule = _says("the same, by the name that kedro-airflow has for it")
    start_date: Date = _says("no run is for an earlier time; the schedule is read in its offset")
    end_date: Date = _says("no scheduled run is for a later time")
    catchup: Flag = _says("whether the runs since start_date are made up for")
    max_active_runs: Positive = _says("how many runs of the DAG there may be at once")
    max_active_tasks: Positive = _says("how many tasks of a run there may be at once")
    dagrun_timeout: Timeout = _says("when a run that still goes on fails")


_ByName = dict[str, Task | None] | None
ByName = Annotated[_ByName, Field(title="a mapping of names to settings of a task")]


class Default(Dag, Task):
    """Settings of all pipelines."""

    params: Values = _says("the trigger form's fields and their values")
    credentials: Ids = _says("which of Kedro's credentials come from which Airflow connection")
    grouping: Grouping = _says("which nodes share a task")
    pipeline_hooks: Hooks = _says(
        "whether Kedro's before_pipeline_run and after_pipeline_run fire in each task, or once a "
        "DAG run in two tasks of their own"
    )
    retention: Retention = _says(
        "how long what a run saves in a folder of its own stays if the run does not succeed. A run "
        "that succeeds removes its own, and what older ones have left; forever: none removes any"
    )
    nodes: ByName = _says("settings of the tasks that hold a node")
    node_tags: ByName = _says("settings of the tasks that hold a node with a Kedro tag")
    namespaces: ByName = _says("settings of the tasks that hold a node in or below a namespace")


class Section(Default):
    """Settings of one pipeline, over those of all."""

    dag_id: Id = _says("the DAG's id")


class Selection(Model):
    """Which pipelines become DAGs."""

    include: Texts = _says("shell patterns: the pipelines that become DAGs")
    exclude: Texts = _says("shell patterns: the pipelines that do not, even so")


def section_name(pipeline: str) -> str:
    """Return the name of a pipeline's own section."""
    return WHOLE_PROJECT if pipeline == "__default__" else pipeline
