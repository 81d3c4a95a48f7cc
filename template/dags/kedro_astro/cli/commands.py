"""`kedro astro`: what you do with the project's Airflow side from the command line."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import click

from kedro_astro.errors import KedroAstroError
from kedro_astro.planning.check import TARGETS
from kedro_astro.project import CACHE
from kedro_astro.structure import Structure


@click.group(name="Kedro-Astro")
def commands() -> None:
    """What Kedro adds to its own commands in this project."""


@commands.group()
def astro() -> None:
    """Run this project's pipelines on Airflow."""


@astro.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Of the UI."
)
def up(port: int) -> None:
    """Start a real Airflow for this project, without Docker, until you press Ctrl-C."""
    project = _project()
    if not find_spec("airflow"):
        _up_beside(project, port)
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


def _up_beside(project: Path, port: int) -> NoReturn:
    """Become `up` in the interpreter that has Airflow; its tasks then run in this one."""
    from kedro_astro.planning.adoption import airflow_of
    from kedro_astro.project import AIRFLOW_PYTHON, OWN_REQUIREMENTS, PYTHON, SHIM

    python = project / AIRFLOW_PYTHON
    if python.exists():
        arguments = [str(python), str(SHIM), "up", "--port", str(port)]
        os.execve(python, arguments, {**os.environ, PYTHON: sys.executable})
    if not (project / OWN_REQUIREMENTS).exists():
        raise click.ClickException(
            "Airflow is not installed here. Install the project with its airflow group: "
            "`uv sync --group airflow`."
        )
    venv, dockerfile = python.parents[1].name, project / "Dockerfile"
    airflow = airflow_of(dockerfile.read_text("utf-8") if dockerfile.exists() else "")
    raise click.ClickException(
        "In this project Airflow has a virtual environment of its own, which is not there yet. "
        f"Make it:\nuv venv {venv}\nuv pip install --python {venv} --compile-bytecode "
        f"'{airflow}' pytest --requirement requirements.txt"
    )


@astro.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """Show each pipeline's DAG, its tasks and their nodes."""
    from rich.console import Console

    from kedro_astro.cli.show import as_data, as_tables
    from kedro_astro.planning.plan import plan_all

    structure = _structure()
    plans = plan_all(structure)
    if as_json:
        click.echo(json.dumps(as_data(plans, structure), indent=2))
    elif plans:
        Console().print(*as_tables(plans, structure), sep="\n")
    else:
        click.echo("No pipeline has nodes yet, so there are no DAGs.")
    _say_problems(structure)


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

    structure, project = _structure(), _project()
    files = {
        file.relative_to(project).as_posix(): file.read_text(encoding="utf-8", errors="replace")
        for pattern in (*adoption.LOOKED_AT, *deployment.LOOKED_AT)
        for file in sorted(project.glob(pattern))
    }

    def exists(path: str) -> bool:
        return (project / path).exists()

    found = [
        *findings(structure, plan_all(structure), exists, target, files),
        *of_the_folder(changed_files(), conflicts(project), files, target),
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
    from kedro_astro.airflow.accept import keep
    from kedro_astro.airflow.manifest import COMPILED
    from kedro_astro.cli.show import count
    from kedro_astro.errors import BrokenProjectError

    path = manifest or (Path(named) if (named := os.environ.get(COMPILED)) else None)
    if path is None:
        raise click.UsageError(f"name the file to write, or set {COMPILED} to it")
    structure = keep(_project(), path.absolute())
    if structure.problems:
        path.unlink(missing_ok=True)
        raise click.ClickException(str(BrokenProjectError(structure.problems, kept=None)))
    click.echo(f"{path}: {count(structure.pipelines, 'pipeline')} of {structure.project_name}")


@astro.command(hidden=True)
@click.argument("socket", type=int)
def run(socket: int) -> None:
    """Run the nodes of one task, for the Airflow task at the other end of SOCKET."""
    from kedro_astro.running.child import main

    main(socket)


def _structure() -> Structure:
    from kedro_astro.airflow.manifest import load

    try:
        return load(_project())
    except KedroAstroError as error:
        raise click.ClickException(str(error)) from None


def _say_problems(structure: Structure) -> None:
    if structure.problems:
        from kedro_astro.errors import BrokenProjectError

        raise click.ClickException(
            str(BrokenProjectError(structure.problems, kept=len(structure.pipelines)))
        )


def _project() -> Path:
    """Return the project that holds this package: it lies in the project's `dags/` folder."""
    from kedro_astro.project import SHIM

    project = SHIM.parent.parent
    if not (project / "pyproject.toml").is_file():
        raise click.ClickException(
            f"{project} is no Kedro project: it has no pyproject.toml. kedro_astro belongs into "
            "the dags/ folder of one."
        )
    return project
