"""Structure and settings made into blueprints, and what `check` finds. Pure functions."""

from typing import Any

Arguments = dict[str, tuple[str, Any]]
"""Arguments of a DAG or an operator, as JSON: by name the kind and the value. The kind is empty for
what JSON has, else `timedelta` (seconds), `datetime` (ISO) or `callback` (a dotted path).
"""

Work = dict[str, Any]
"""What a task does, as JSON.

- `nodes`: their names, in order.
- `hooks`: those of Kedro's pipeline hooks that it fires.
- `producers`: by versioned input that another task of the DAG saves, that task's id.
- `saves`: by output, whether it is versioned.
- `run_in`: only where `airflow.yml` says it: the place that the nodes run in.
- `container`: only where that is one: the arguments that its operator has beside those of all.
- `removes`: only of the task that does: the datasets of the run alone that are removed.
- `retention`: beside it: how many seconds of other runs that is kept; None if forever.
"""

Blueprint = dict[str, Any]
"""One DAG, as JSON.

- `dag_id`, `pipeline`: its id, and the name of the pipeline.
- `package`: the project's Python package.
- `source`: the folder of the project's packages, relative to the project.
- `code`: what `project.code_of` says of the project.
- `label`, `doc`: what the UI shows.
- `arguments`: of the DAG, as `Arguments`.
- `schedule`: a text, None, `{"assets": [operator, URIs and such lists]}`, or as Airflow has
  serialized a timetable, `{"encoded": ...}`. Before Airflow has accepted it, also
  `{"cron", "timezone"}` and `{"timetable", "arguments"}`.
- `fields`: arguments of each `Param` of the trigger form.
- `run_parameters`: those that the project's configuration has no value for.
- `parameters`: what the project's own configuration says of these.
- `credentials`: ids of the Airflow connections that Kedro's credentials come from, by name.
- `templates`: those that may hold Jinja, by dotted name.
- `groups`: ids of task groups with those of their parents, parents first.
- `tasks`: of each operator
    - `task_id`, `label`: the whole id, and what the UI shows; both with the group's prefix.
    - `group`: the id of the innermost task group, or None.
    - `doc`: what the UI shows.
    - `upstream`: ids of tasks.
    - `merged`: whether it holds more than the grouping asks for, see `Task`.
    - `outlets`: URIs of the assets that it updates.
    - `arguments`: of the operator, as `Arguments`.
    - `work`: what it does, as `Work`.
"""
