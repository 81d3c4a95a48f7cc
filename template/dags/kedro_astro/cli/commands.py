"""`kedro astro`: what you do with the project's Airflow side from the command line."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from kedro_astro.errors import KedroAstroError
from kedro_astro.planning.adoption import airflow_of
from kedro_astro.project import AIRFLOW_PYTHON, CACHE, OWN_REQUIREMENTS, PYTHON, TARGETS, command

if TYPE_CHECKING:
    from kedro_astro.airflow.manifest import Manifest


@click.group(name="Kedro-Astro")
def commands() -> None:
    """What Kedro adds to its own commands in this project."""


@commands.group()
def astro() -> None:
    """Run this project's pipelines on Airflow."""
    if not find_spec("airflow") and "--help" not in sys.argv:
        _become_airflows(_project())
    # What Airflow reads when it is imported, for whoever has none of their own.
    if "AIRFLOW_HOME" not in os.environ:
        os.environ["AIRFLOW_HOME"] = str(_project() / CACHE / "airflow")
        os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(_project() / "plugins"))


@astro.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Of the UI."
)
def up(port: int) -> None:
    """Start a real Airflow for this project, without Docker, until you press Ctrl-C."""
    project = _project()
    from kedro_astro.airflow.standalone import running

    click.echo("Starting Airflow, which takes some 20 seconds ...")
    try:
        with running(project, project / CACHE / "airflow", port) as airflow:
            airflow.wait_for(
                "the first look at dags/", lambda: airflow.dag_ids() or airflow.import_errors()
            )
            for dag_id in airflow.dag_ids():
                click.echo(f"  {airflow.url}/dags/{dag_id}")
            for problem in airflow.import_errors():
                click.secho(problem, fg="red", err=True)
            click.echo(f"Airflow is at {airflow.url}, its log in {airflow.log}. Ctrl-C stops it.")
            airflow.wait_for("Ctrl-C", lambda: None, float("inf"))
    except KeyboardInterrupt:
        click.echo("Airflow is stopped.")
    except KedroAstroError as error:
        raise click.ClickException(str(error)) from None


@astro.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """Show each pipeline's DAG, its tasks and their nodes."""
    from rich.console import Console

    from kedro_astro.cli.show import as_data, as_tables
    from kedro_astro.errors import BrokenProjectError
    from kedro_astro.planning.plan import plan_all

    manifest = _manifest()
    structure = manifest.structure()
    plans = plan_all(structure)
    if as_json:
        click.echo(json.dumps(as_data(plans, structure), indent=2))
    elif plans:
        Console().print(*as_tables(plans, structure), sep="\n")
    else:
        click.echo("No pipeline has nodes yet, so there are no DAGs.")
    if manifest.problems:
        kept = len(manifest.dag_ids)
        raise click.ClickException(str(BrokenProjectError(manifest.problems, kept)))


@astro.command()
@click.option("--target", type=click.Choice(TARGETS), help="Look for what it would lack.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def check(target: str | None, as_json: bool) -> None:
    """Look for what would go wrong; the exit status is 1 if anything would."""
    from kedro_astro.cli.integrity import changed_files, conflicts
    from kedro_astro.cli.show import count
    from kedro_astro.planning import adoption, deployment
    from kedro_astro.planning.check import findings, of_the_folder
    from kedro_astro.planning.plan import plan_all

    manifest, project = _manifest(), _project()
    structure = manifest.structure()
    files = {
        file.relative_to(project).as_posix(): file.read_text(encoding="utf-8", errors="replace")
        for pattern in (*adoption.LOOKED_AT, *deployment.LOOKED_AT)
        for file in sorted(project.glob(pattern))
    }

    def exists(path: str) -> bool:
        return (project / path).exists()

    found = [
        *findings(structure, plan_all(structure), manifest.problems, exists, target, files),
        *of_the_folder(changed_files(), conflicts(project)),
    ]
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in found], indent=2))
    else:
        for finding in found:
            where = f"{finding.where}: " if finding.where else ""
            color = "red" if finding.level == "error" else "yellow"
            click.echo(f"{click.style(finding.level, fg=color)}: {where}{finding.what}")
        click.echo(f"{count(structure.pipelines, 'pipeline')}, {count(found, 'finding')}")
    if any(finding.level == "error" for finding in found):
        raise SystemExit(1)


@astro.command()
@click.argument("manifest", type=click.Path(dir_okay=False, path_type=Path), required=False)
def compile(manifest: Path | None) -> None:
    """Read the project and write MANIFEST, so that Airflow need not read it at each parse.

    Without MANIFEST it is written where KEDRO_ASTRO_MANIFEST says. A project that cannot be read
    is an error: use this while you build an image.
    """
    from kedro_astro.airflow import refresh
    from kedro_astro.airflow.manifest import COMPILED
    from kedro_astro.cli.show import count
    from kedro_astro.errors import BrokenProjectError

    path = manifest or (Path(named) if (named := os.environ.get(COMPILED)) else None)
    if path is None:
        raise click.UsageError(f"name the file to write, or set {COMPILED} to it")
    made = refresh.compile(_project(), path.absolute())
    if made.problems:
        raise click.ClickException(str(BrokenProjectError(made.problems, kept=None)))
    structure = made.structure()
    click.echo(f"{path}: {count(structure.pipelines, 'pipeline')} of {structure.project_name}")


def _become_airflows(project: Path) -> NoReturn:
    """Become the same command where Airflow is; its tasks then run in this interpreter."""
    python = project / AIRFLOW_PYTHON
    if python.exists():
        # As Kedro's plugin the command's own words come behind `astro`.
        words = sys.argv[1 + ("astro" in sys.argv and sys.argv.index("astro")) :]
        os.execve(python, command(str(python), *words), {**os.environ, PYTHON: sys.executable})
    dockerfile = project / "Dockerfile"
    airflow = airflow_of(dockerfile.read_text("utf-8") if dockerfile.exists() else "")
    if not (project / OWN_REQUIREMENTS).exists():
        raise click.ClickException(
            f"Airflow is not installed for {sys.executable}, and it has the last word on DAGs. "
            "Install it: `uv sync --group airflow` where pyproject.toml has that group, else "
            f"`pip install '{airflow}'`."
        )
    venv = python.parents[1].name
    raise click.ClickException(
        "In this project Airflow has a virtual environment of its own, which is not there yet. "
        f"Make it:\nuv venv {venv}\nuv pip install --python {venv} --compile-bytecode "
        f"'{airflow}' pytest --requirement requirements.txt"
    )


def _manifest() -> Manifest:
    from kedro_astro.airflow.manifest import read

    try:
        return read(_project())
    except KedroAstroError as error:
        raise click.ClickException(str(error)) from None


def _project() -> Path:
    from kedro_astro.project import find_project

    project = find_project(Path.cwd())
    if project is None:
        raise click.ClickException(
            f"{Path.cwd()} is in no project: neither it nor a folder above it has pyproject.toml "
            "and dags/kedro_dags.py. Change into your project, and copy the template there if it "
            "has no dags/kedro_dags.py."
        )
    return project
