"""`kedro astro`: what you do with the project's Airflow side from the command line.

Kedro imports this at each of its own commands, so what a command needs is imported in it.
"""

import json
import os
import sys
from collections.abc import Sequence, Sized
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kedro_astro.__main__ import content, damage
from kedro_astro.airflow.manifest import COMPILED, Manifest, raise_problems, read
from kedro_astro.errors import BrokenBuildError, KedroAstroError, NoProjectError
from kedro_astro.project import CACHE, TARGETS, find_project, relative

if TYPE_CHECKING:
    from kedro_astro.planning.check import Finding
    from kedro_astro.structure import Structure


PATIENCE = 15.0
"""Seconds without a word while the project is read."""


class Group(click.Group):
    """Commands that say what a user can mend, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KedroAstroError, OSError) as error:
            # Of a reader that has seen enough, such as `head`, Click takes care.
            quiet = isinstance(error, BrokenPipeError)
            raise error if quiet else click.ClickException(str(error)) from None
        except Exception:
            if why := damage():
                raise click.ClickException(why) from None
            raise


@click.group(name="Kedro-Astro")
def commands() -> None:
    """What Kedro adds to its own commands in this project."""


@commands.group(cls=Group, context_settings={"show_default": True})
def astro() -> None:
    """Run this project's pipelines on Airflow."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may be any bytes.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not find_spec("airflow") and "--help" not in sys.argv:
        _become_airflows(_project())
    # What Airflow reads when it is imported, for whoever has none of their own.
    if "AIRFLOW_HOME" not in os.environ:
        os.environ["AIRFLOW_HOME"] = str(_project() / CACHE / "airflow")
        os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(_project() / "plugins"))


@astro.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, help="Of the UI.")
def up(port: int) -> None:
    """Start a real Airflow for this project, without Docker, until you press Ctrl-C.

    Its UI and API ask for no password, and answer this machine only: as 127.0.0.1 or localhost,
    and no page of another site. When one of its components ends, all of it does, and says why.
    What one that was killed has left is ended by the next.
    """
    from kedro_astro.airflow.standalone import running

    home = _project() / CACHE / "airflow"
    click.echo(f"Starting Airflow, which takes some 20 seconds, with its logs in {home} ...")
    try:
        with running(_project(), home, port, click.echo) as airflow:
            for dag_id in airflow.dag_ids():
                click.echo(f"  {airflow.url}/dags/{dag_id}")
            for problem in airflow.import_errors():
                click.secho(problem, fg="red", err=True)
            click.echo(f"Airflow is at {airflow.url}. Ctrl-C stops it.")
            for _ in airflow.moments():
                pass
    except KeyboardInterrupt:
        click.echo("Airflow is stopped.")


@astro.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def list_(as_json: bool) -> None:
    """Show each pipeline's DAG, its tasks and their nodes."""
    dags = [*_read(_project()).blueprints()]
    if as_json:
        click.echo(json.dumps(dags, indent=2))
    elif not dags:
        click.echo("No pipeline has nodes yet, so there are no DAGs.")
    for dag in () if as_json else dags:
        click.echo(f"{dag['dag_id']} ({dag['pipeline']})")
        for task in dag["tasks"]:
            after = f" after {', '.join(task['upstream'])}" if task["upstream"] else ""
            after += " (merged)" * task["merged"]
            nodes = ", ".join(task["work"]["nodes"]) or "(once a run)"
            click.echo(f"  {task['task_id']}: {nodes}{after}")
    raise_problems(_project())


@astro.command()
@click.option("--target", type=click.Choice(TARGETS), help="Look for what it would lack.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def check(target: str | None, as_json: bool) -> None:
    """Look for what would go wrong; the exit status is 1 if anything would."""
    structure, found, _ = _look(_project(), target)
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in found], indent=2))
    else:
        _show(found)
        click.echo(f"{_count(structure.pipelines, 'pipeline')}, {_count(found, 'finding')}")
    if any(finding.level == "error" for finding in found):
        raise SystemExit(1)


@astro.command()
@click.argument("manifest", type=click.Path(dir_okay=False, path_type=Path), envvar=COMPILED)
def compile(manifest: Path) -> None:
    """Read the project and write MANIFEST, so that Airflow need not read it at each parse.

    Without MANIFEST it is written where KEDRO_ASTRO_MANIFEST says. A project that cannot be read
    is an error: use this while you build an image.
    """
    # Airflow 2 makes folders for a scheduler's logs. In an image all services would copy those to
    # the disk that they share, at once, and fail.
    os.environ["AIRFLOW__SCHEDULER__CHILD_PROCESS_LOG_DIRECTORY"] = "/tmp"
    from kedro_astro.airflow import refresh

    made = refresh.compile(_project(), manifest.absolute())
    if made.problems:
        raise BrokenBuildError(problems="\n".join(["", *made.problems, ""]))
    structure = made.structure()
    click.echo(f"{manifest}: {_count(structure.pipelines, 'pipeline')} of {structure.project_name}")


@astro.command()
@click.argument("target", type=click.Choice(["mwaa"]))
@click.option("--constraints", help="MWAA's constraints: a file or an address.")
def package(target: str, constraints: str | None) -> None:
    """Write dist/mwaa, which Amazon MWAA takes; dist/mwaa/deploy.sh brings it there.

    Nothing is written if anything would go wrong there. Whether the requirements go with MWAA's
    Airflow is tried with uv, and with the constraints that Airflow's project publishes.
    """
    from kedro_astro.cli.package import Bundle, unresolved
    from kedro_astro.planning.check import Finding

    structure, found, files = _look(_project(), target)
    bundle = Bundle(_project(), structure, files)
    found += [Finding("error", "", problem) for problem in bundle.problems]
    found += [Finding(*each) for each in unresolved(bundle.requirements, constraints)]
    _show(found)
    if any(finding.level == "error" for finding in found):
        raise click.ClickException("nothing is written. Mend what is said above.")
    folder = Path("dist", target)
    bundle.write(_project() / folder, read(_project()))
    click.echo(f"{folder} is written. Next:\nbash {folder}/deploy.sh <bucket> <environment>")


def _look(project: Path, target: str | None) -> tuple["Structure", list["Finding"], dict[str, str]]:
    """Return a project's structure, what is wrong, and the texts of files that say so."""
    from kedro_astro.cli.integrity import wrong_files
    from kedro_astro.planning.adoption import LOOKED_AT
    from kedro_astro.planning.check import Finding, findings
    from kedro_astro.planning.plan import chosen

    manifest = _read(project)
    # Not before the reading, which imports it while it waits.
    from airflow import __version__ as airflow

    structure = chosen(manifest.structure())
    looked_at = [file for pattern in LOOKED_AT for file in sorted(project.glob(pattern))]
    texts = {relative(file, project): content(file) for file in looked_at}
    found = findings(
        structure, manifest.problems, texts, lambda p: os.path.exists(project / p), target, airflow
    )
    found += (Finding(level, "", what) for level, what in wrong_files(project))
    return structure, found, {name: text or "" for name, text in texts.items()}


def _read(project: Path) -> Manifest:
    """Return what is known of a project. Whoever waits for it for long is told so."""
    if (known := read(project, lambda: PATIENCE)).still_reading:
        click.echo("Still reading the project. What do its modules do when imported?", err=True)
        return read(project)
    return known


def _show(found: Sequence["Finding"]) -> None:
    for finding in found:
        where = f"{finding.where}: " if finding.where else ""
        color = "red" if finding.level == "error" else "yellow"
        click.echo(f"{click.style(finding.level, fg=color)}: {where}{finding.what}")


def _become_airflows(project: Path) -> NoReturn:
    """Become the same command where Airflow is; its tasks then run in this interpreter."""
    from kedro_astro.planning.adoption import FROM, airflow_of
    from kedro_astro.project import AIRFLOW_PYTHON, OWN_REQUIREMENTS, PYTHON, command

    python = project / AIRFLOW_PYTHON
    if python.exists():
        # As Kedro's plugin the command's own words come behind `astro`.
        words = sys.argv[1 + ("astro" in sys.argv and sys.argv.index("astro")) :]
        os.execve(python, command(str(python), *words), {**os.environ, PYTHON: sys.executable})
    dockerfile = content(project / "Dockerfile") or ""
    airflow = f"'apache-airflow~={airflow_of(dockerfile) or airflow_of(FROM)}.0'"
    grouped = "\nairflow = [" in (content(project / "pyproject.toml") or "")
    how = f"Install it: `{'uv sync --group airflow' if grouped else f'uv pip install {airflow}'}`."
    if (project / OWN_REQUIREMENTS).exists():
        how = "Make the virtual environment for it:\nuv venv .venv-airflow\nuv pip install --python"
        how += f" .venv-airflow --compile-bytecode {airflow} pytest --requirement requirements.txt"
    raise click.ClickException(f"Airflow is not installed for {sys.executable}. {how}")


def _project() -> Path:
    if project := find_project(Path.cwd()):
        return project
    raise NoProjectError(folder=Path.cwd())


def _count(things: Sized, name: str) -> str:
    """Return how many there are, in words."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
