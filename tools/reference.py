"""What is written from the code that it is about, by `make docs`: the pages of docs/reference, and
the schema by which editors know `airflow.yml`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
SCHEMA = ROOT / "template" / "dags" / "airflow.schema.json"

sys.path.insert(0, str(ROOT / "shim" / "src"))

from kedro_astro.cli import astro  # noqa: E402
from kedro_astro.settings.models import (  # noqa: E402
    MERGED,
    WHOLE_PROJECT,
    Dag,
    Default,
    Model,
    Section,
    Selection,
    Task,
)

MADE_FROM = "<!-- `make docs` writes this page from {}: make changes there. -->\n"

SETTINGS = f"""
# airflow.yml

What Airflow does with your pipelines. Kedro's configuration loader reads it, from `conf/base` and
from the environment of Airflow's tasks, which is `conf/airflow` unless `KEDRO_ENV` names another:
files whose names begin with `airflow`, or all files in a folder of that name. `kedro astro check`
says what is wrong with it. So does an editor that has the YAML language server, as you type: the
first line of `conf/airflow/airflow.yml` names the schema, which knows all that is on this page.

| section | is for |
|---|---|
| `default` | all pipelines |
| a pipeline's name | that one; what it says goes over `default` |
| `{WHOLE_PROJECT}` | the pipeline `__default__`, all of them together |
| `pipelines` | which pipelines become DAGs |

What no section says is Airflow's own default, but for these: a DAG has no schedule, `catchup` is
false, `start_date` is 2020-01-01, `description` names the pipeline, and `max_active_runs` is 1
where runs would write over each other's data. Each DAG also has the tags `kedro` and the package's
name. A setting that is null counts as not said; in a pipeline's section it takes back what
`default` says.

```yaml
# conf/airflow/airflow.yml
default:
  retries: 2
  retry_delay: 5m
data_science:
  schedule: {{assets: [penguins]}}
  nodes:
    data_science.train_classifier: {{pool: gpu, execution_timeout: 1h}}
{WHOLE_PROJECT}:
  schedule: {{cron: "0 6 * * 1", timezone: Europe/Zurich}}
pipelines:
  exclude: [reporting]
```
"""

GROUPS: tuple[tuple[type[Model], str, str], ...] = (
    (Dag, "Of a DAG", "In `default` or in a pipeline's section."),
    (Section, "Of a pipeline", "In `default` or in a pipeline's section."),
    (
        Task,
        "Of tasks",
        "In `default` or in a pipeline's section; for single tasks also below the names in\n"
        "`nodes`, `node_tags` and `namespaces`.",
    ),
    (Selection, "Which pipelines become DAGs", "In the section `pipelines`."),
)

COMMANDS = """
# kedro astro

Commands of a project, in its folder. Where the project does not have them as `kedro astro`, because
it is not installed or was there before the template, `python dags/kedro_astro` is the same:
`python dags/kedro_astro list`. Only the latter starts where a file that Kedro or the shim needs is
damaged, and its `check` says which. They end with status 1 if something is wrong.
"""


def pages() -> dict[Path, str]:
    """Return the text of each file that the code makes."""
    return {
        PAGES / "airflow-yml.md": MADE_FROM.format("settings/models.py")
        + SETTINGS
        + "".join(_settings()),
        PAGES / "commands.md": MADE_FROM.format("cli/__init__.py")
        + COMMANDS
        + "".join(_commands()),
        SCHEMA: json.dumps(schema(), indent=1) + "\n",
    }


class AirflowYml(BaseModel):
    """What Airflow does with a Kedro project's pipelines: a section for each, by its name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Section | None] = Field(init=False)
    default: Default | None = Field(None, description="settings of all pipelines")
    whole_project: Section | None = Field(None, description="settings of the pipeline __default__")
    pipelines: Selection | None = Field(None, description="which pipelines become DAGs")


class _Schema(GenerateJsonSchema):
    """Without defaults: an editor would offer null for each setting."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def schema() -> dict[str, Any]:
    """Return the JSON schema of `airflow.yml`, for editors."""
    dialect = {"$schema": _Schema.schema_dialect}
    return dialect | AirflowYml.model_json_schema(schema_generator=_Schema)


def _settings() -> Iterator[str]:
    for model, title, place in GROUPS:
        yield f"\n## {title}\n\n{place}\n\n| setting | says | is |\n|---|---|---|\n"
        inherited = {*Dag.model_fields, *Task.model_fields} if model is Section else ()
        yield from (_row(model, key) for key in model.model_fields if key not in inherited)


def _row(model: type[Model], key: str) -> str:
    field = model.model_fields[key]
    notes = [
        field.description,
        "not in `default`" if model is Section and key not in Default.model_fields else "",
        "added to what `default` says, name by name" if key in MERGED else "",
    ]
    cells = (f"`{key}`", "; ".join(filter(None, notes)), str(field.title))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _commands() -> Iterator[str]:
    for name, command in sorted(astro.commands.items()):
        if command.hidden:
            continue
        parent = click.Context(astro, info_name="kedro astro", **astro.context_settings)
        context = click.Context(command, parent, name, terminal_width=90)
        yield f"\n## kedro astro {name}\n\n```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
