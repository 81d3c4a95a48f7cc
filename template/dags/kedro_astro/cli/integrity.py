"""What is wrong with the files of the template: conflicts, damage, what would hurt an update."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kedro_astro.__main__ import SHIM, content, damage
from kedro_astro.project import IN_DAGS

# The whole words, not to be found in this file itself.
MARKERS = (b"<" * 7 + b" before updating", b">" * 7 + b" after updating")

FOLDERS = """
.astro .github .github/workflows conf conf/airflow conf/base conf/local dags dags/kedro_astro data
data/01_raw data/02_intermediate data/03_primary data/06_models data/07_model_output
data/08_reporting include plugins src tests tests/dags
""".split()
"""Where the template writes, besides the project's own folder."""

MANAGED = """
.astro/config.yaml .astro/dag_integrity_exceptions.txt .astro/test_dag_integrity_default.py
.copier-answers.yml .dockerignore Dockerfile dags/.airflowignore dags/airflow.schema.json
dags/kedro_dags.py dags/kedro_problems.py docker-compose.override.yml packages.txt
plugins/kedro_astro_warm.py requirements-kedro.txt requirements.txt tests/dags/test_dags.py
tests/test_template.py
""".split()
"""Files that an update writes in every project, besides the shim."""


def conflicts(project: Path) -> list[str]:
    """Return where `copier update` left both versions: `file:line`, relative to the project."""
    return [
        f"{file.relative_to(project).as_posix()}:{number}"
        for pattern in ("*", *(f"{folder}/**/*" for folder in FOLDERS if folder[:4] != "data"))
        for file in sorted(project.glob(pattern))
        for number, line in enumerate((content(file) or b"").splitlines(), start=1)
        if line.startswith(MARKERS)
    ]


def wrong_files(project: Path) -> Iterator[tuple[str, str]]:
    """Yield `error` or `warning`, and what is wrong with the files of the template."""
    if places := conflicts(project):
        what = f"copier update left two versions at {', '.join(places)}. Decide and delete one."
        yield "error", what
    if damaged := damage():
        yield "error", damaged
    if not (project / ".copier-answers.yml").is_file():
        return
    for what in _in_the_way(project):
        yield "warning", f"{what}. Do that before you update."


def _in_the_way(project: Path) -> Iterator[str]:
    """Yield what an update would stop at, half-way, or lose."""
    top = os.path.realpath(project)
    for folder in FOLDERS:
        path = os.path.realpath(project / folder)
        if not f"{path}/".startswith(f"{top}/"):
            yield f"{folder} leads out of the project, where no update writes: make it a folder"
        elif os.path.exists(path) and not os.path.isdir(path):
            yield f"{folder} is no folder, and the template has one there: move it away"
    shim = [f"dags/{file.relative_to(SHIM.parent)}" for file in SHIM.rglob("*.py")] * IN_DAGS
    there = [name for name in (*MANAGED, *shim) if os.path.exists(project / name)]
    for name in there:
        if os.path.isdir(project / name):
            yield f"{name} is a folder, and the template has a file there: move it away"
        try:
            (content(project / name) or b"").decode()
        except UnicodeDecodeError as error:
            where = f"at byte {error.start} of {name}, which an update would drop"
            yield f"there is something that is no UTF-8 {where}: save it as UTF-8"
    for ignored in _ignored(project):
        folder = f"{ignored.rstrip('/')}/"
        if any(f"{name}/".startswith(folder) for name in there):
            what = f"git ignores {ignored}, so an update would overwrite or delete what you changed"
            yield f"{what}: `git add --force {ignored}`"
        if ignored.endswith(".rej"):
            yield f"{ignored} is left of an older update, and the next one stops at it: delete it"


def _ignored(project: Path) -> list[str]:
    """Return what git ignores in the project: files, and folders in which it ignores everything."""
    command = "git ls-files --others --ignored --exclude-standard --directory -z".split()
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []  # No git, or no repository.
    found = os.fsdecode(done.stdout).split("\0")
    return [] if "./" in found else found[:-1]
