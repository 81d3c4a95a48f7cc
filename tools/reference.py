"""The pages of docs/reference, written from the code that they are about: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"

sys.path.insert(0, str(ROOT / "shim" / "src"))

from kedro_astro.cli.commands import astro  # noqa: E402
from kedro_astro.settings.keys import KEYS, Key  # noqa: E402
from kedro_astro.settings.read import WHOLE_PROJECT  # noqa: E402

MADE_FROM = "<!-- `make docs` writes this page from {}: make changes there. -->\n"

SETTINGS = f"""
# airflow.yml

What Airflow does with your pipelines. Kedro's configuration loader reads it, from `conf/base` and
from the environment of Airflow's tasks, which is `conf/airflow` unless `KEDRO_ENV` names another:
files whose names begin with `airflow`, or all files in a folder of that name. `kedro astro check`
says what is wrong with it.

| section | is for |
|---|---|
| `default` | all pipelines |
| a pipeline's name | that one; what it says goes over `default` |
| `{WHOLE_PROJECT}` | the pipeline `__default__`, all of them together |
| `pipelines` | which pipelines become DAGs |

What no section says is Airflow's own default, but for these: a DAG has no schedule, `catchup` is
false, `start_date` is 2020-01-01, `max_active_runs` is 1 where runs would write over each other's
data, X

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

GROUPS: Mapping[str, tuple[str, str]] = {
    "dag": ("Of a DAG", "In `default` or in a pipeline's section."),
    "pipeline": ("Of a pipeline", "In `default` or in a pipeline's section."),
    "task": (
        "Of tasks",
        "In `default` or in a pipeline's section; for single tasks also below the names in\n"
        "`nodes`, `node_tags` and `namespaces`.",
    ),
    "selection": ("Which pipelines become DAGs", "In the section `pipelines`."),
}

COMMANDS = """
# kedro astro

Commands of a project, in its folder. Where the project does not have them as `kedro astro`, because
it is not installed or was there before the template, `python dags/kedro_astro` is the same:
`python dags/kedro_astro list`. They end with status 1 if something is wrong.
"""


def pages() -> dict[Path, str]:
    """Return the text of each page that the code makes."""
    return {
        PAGES / "airflow-yml.md": MADE_FROM.format("settings_keys.py")
        + SETTINGS
        + "".join(_settings()),
        PAGES / "commands.md": MADE_FROM.format("cli.py") + COMMANDS + "".join(_commands()),
    }


def _settings() -> Iterator[str]:
    for where, (title, place) in GROUPS.items():
        yield f"\n## {title}\n\n{place}\n\n| setting | says | is |\n|---|---|---|\n"
        yield from (_row(key) for key in KEYS if key.where == where)


def _row(key: Key) -> str:
    name = f"`{key.name}`" + (f" or `{key.alias}`" if key.alias else "")
    notes = [
        "" if key.shared else "not in `default`",
        "added to what `default` says, name by name" if key.kind.merged else "",
    ]
    cells = (name, "; ".join(filter(None, [key.meaning, *notes])), key.kind.allowed)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _commands() -> Iterator[str]:
    for name, command in sorted(astro.commands.items()):
        if command.hidden:
            continue
        context = click.Context(command, info_name=f"kedro astro {name}", terminal_width=90)
        yield f"\n## kedro astro {name}\n\n```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
