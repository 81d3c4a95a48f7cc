"""What the tests do with the template: scaffold projects from this checkout, run commands."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import copier

ROOT = Path(__file__).resolve().parents[2]
DAGS = ["penguins", "penguins.data_processing", "penguins.data_science", "penguins.reporting"]
"""Of the example, called Penguins."""


def scaffold(destination: Path, **answers: object) -> Path:
    """Make a project from the checkout with its uncommitted changes, without trusting it.

    Where there is nothing yet it is copied from one that this process has made before.
    """
    if destination.exists():
        return _scaffold(destination, answers)
    # Some answers are by default what the folder's name says.
    made = _made / hashlib.sha256(repr(sorted(answers.items())).encode()).hexdigest()
    if not (made / destination.name).exists():
        _scaffold(made / destination.name, answers)
    return Path(shutil.copytree(made / destination.name, destination, symlinks=True))


_temporary = tempfile.TemporaryDirectory()  # until this process ends
_made = Path(_temporary.name)


def _scaffold(destination: Path, answers: dict[str, object]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", copier.errors.DirtyLocalWarning)
        copier.run_copy(
            str(ROOT),
            destination,
            data=answers,
            defaults=True,
            quiet=True,
            unsafe=False,
            vcs_ref="HEAD",
        )
    return destination


NUMBERS = '''
"""Numbers, doubled twice."""

from kedro.pipeline import Pipeline, node, pipeline


def double(number: int) -> int:
    return 2 * number


def create_pipeline(**kwargs: object) -> Pipeline:
    return pipeline(
        [
            node(double, "params:number", "doubled", name="first"),
            node(double, "doubled", "total", name="second"),
        ]
    )
'''.lstrip()
CATALOG = "total: {type: json.JSONDataset, filepath: data/total.json}\n"

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]


def kedro_new(project: Path, interpreter: str | Path = sys.executable) -> Path:
    """Make what `kedro new` makes, with a pipeline of numbers in it."""
    options = ["--name", project.name, "--tools", "none", "--example", "n", "--telemetry", "no"]
    succeed([interpreter, "-m", "kedro", "new", *options], project.parent)
    add_numbers(project)
    return project


def add_numbers(project: Path) -> None:
    """Add a pipeline `sums`, which saves 84 as data/total.json."""
    (package,) = (path.parent for path in project.glob("src/*/settings.py"))
    folder = package / "pipelines/sums"
    folder.mkdir()
    (folder / "__init__.py").write_text(NUMBERS)
    (project / "conf/base/catalog.yml").write_text(CATALOG)
    (project / "conf/base/parameters.yml").write_text("number: 21\n")


def add_pipeline(project: Path, name: str, body: str) -> Path:
    """Write a pipeline folder, as `kedro pipeline create` and an editor would; return its nodes."""
    folder = project / "src/penguins/pipelines" / name
    folder.mkdir()
    nodes = folder / "nodes.py"
    nodes.write_text(f"def {name}(penguins):\n    {body}\n")
    (folder / "pipeline.py").write_text(
        "from kedro.pipeline import node, pipeline\n"
        f"from .nodes import {name}\n"
        "def create_pipeline(**kwargs):\n"
        f"    first = node({name}, 'penguins', '{name}_result', name='{name}_node')\n"
        f"    second = node(repr, '{name}_result', '{name}_text', name='{name}_text_node')\n"
        "    return pipeline([first, second])\n"
    )
    (folder / "__init__.py").write_text("from .pipeline import create_pipeline\n")
    return nodes


def append(file: Path, text: str) -> None:
    """Add a text to the end of a file."""
    file.write_text(file.read_text() + text)


class Releases:
    """A copy of the template as a git repository, whose tags are releases.

    Attributes:
        path: the repository; change its files, then `release`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        listed = succeed(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT)
        for name in listed.splitlines():
            source, target = ROOT / name.strip('"'), path / name.strip('"')
            if source.is_file() and not source.is_symlink():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
        succeed([*GIT, "init", "--quiet"], path)

    def release(self, tag: str) -> None:
        """Commit the repository as it is and tag it."""
        commit(self.path, tag)
        succeed([*GIT, "tag", tag], self.path)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in a file; an empty `old` is its end."""
        file = self.path / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new) if old else text + new, encoding="utf-8")

    def copy(self, project: Path, **answers: object) -> Path:
        """Make a project of the newest release, as a git repository of its own."""
        self._copier(copier.run_copy, str(self.path), project, data=answers)
        if not (project / ".git").exists():
            succeed([*GIT, "init", "--quiet"], project)
        commit(project, "made")
        return project

    def update(self, project: Path, unsafe: bool = False) -> None:
        """Bring a project to the newest release, which needs no trust unless said so."""
        self._copier(copier.run_update, project, overwrite=True, unsafe=unsafe)

    @staticmethod
    def _copier(operation: Callable[..., object], *arguments: object, **options: object) -> None:
        operation(*arguments, **{"defaults": True, "quiet": True, "unsafe": False, **options})


def commit(folder: Path, message: str) -> None:
    """Commit all that is in a folder."""
    succeed([*GIT, "add", "--all", "."], folder)
    succeed([*GIT, "commit", "--quiet", "--allow-empty", "--message", message], folder)


def tree(project: Path) -> dict[str, bytes]:
    """Return the content of each file of a project, but for git's own and for caches."""
    return {
        file.relative_to(project).as_posix(): file.read_bytes()
        for file in sorted(project.rglob("*"))
        if file.is_file() and file.relative_to(project).parts[0] not in (".git", ".kedro-astro")
    }


def files_with(project: Path, *secrets: str) -> set[str]:
    """Names of what Airflow and the shim have written that hold a secret: logs, database, all."""
    return {
        file.name
        for file in (project / ".kedro-astro").rglob("*")
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets)
    }


def run(
    command: list[str | Path], cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal; its output, both streams as one, is in `stdout`."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def succeed(command: list[str | Path], cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed and return its output."""
    done = run(command, cwd, env)
    assert done.returncode == 0, done.stdout
    return done.stdout


def python(*arguments: str | Path) -> list[str | Path]:
    """Return the command line of this interpreter with arguments."""
    return [sys.executable, *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


RUN_TASKS = """
import datetime, json, sys
from pathlib import Path
from types import SimpleNamespace as Thing
sys.path.insert(0, str(Path("dags").resolve()))
import kedro_dags
dag, returned = vars(kedro_dags)[sys.argv[1]], {}
class Instance:
    try_number = 1
    def xcom_pull(self, task_ids):
        return returned.get(task_ids)
now = datetime.datetime.now(datetime.timezone.utc)
run = Thing(dag_id=dag.dag_id, run_id="test", run_after=now, start_date=now)
for task in dag.topological_sort():
    context = {"dag_run": run, "ti": Instance(), "params": dag.params.dump(), "dag": dag}
    returned[task.task_id] = task.execute(context)
print(json.dumps(returned))
"""


def run_dag(project: Path, dag_id: str, airflow_home: Path) -> dict[str, dict]:
    """Run a DAG's tasks in order without an Airflow; return what each saved."""
    output = succeed(
        python("-W", "ignore", "-c", RUN_TASKS, dag_id),
        project,
        {"AIRFLOW_HOME": str(airflow_home)},
    )
    return json.loads(output.splitlines()[-1])
