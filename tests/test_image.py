"""The project's image: its own Dockerfile, unchanged, on a Docker engine."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from astro_cli import HOME, pytest_in
from engine import build, image_of, in_image, layers
from scaffold import DAGS, ROOT, RUN_TASKS, python, run, scaffold, succeed

TAG = "kedro-astro/penguins"
SECRET = "hunter2-planted"
SECRETS = (
    *(".env", "airflow_settings.yaml", "conf/local/credentials.yml"),
    "conf/airflow/credentials.yml",
)

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = scaffold(tmp_path_factory.mktemp("image") / "penguins", project_name="Penguins")
    for name in SECRETS:
        (project / name).write_text(f"# {SECRET}\n")
    succeed(["git", "init", "--quiet"], project)
    return project


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    with image_of(project, TAG) as image:
        yield image


def test_it_is_not_root(image: str) -> None:
    assert in_image(image, "id").startswith("uid=50000(astro) gid=0(root)")


def test_what_is_in_it(image: str) -> None:
    files = in_image(image, "find", ".", "-type", "f").split()
    assert {"./dags/kedro_dags.py", "./src/penguins/settings.py"} <= set(files)
    left_out = r"\./(\.git/|\.github|\.env|tests|data|\.venv|\.astro|conf/local/[^.]|.*credentials)"
    assert [file for file in files if re.match(left_out, file)] == []


def test_no_layer_has_a_secret(image: str, tmp_path: Path) -> None:
    """Nor any that a later layer deletes."""
    archive = tmp_path / "image.tar"
    succeed(["docker", "save", "--output", archive, image], ROOT)
    assert SECRET.encode() not in archive.read_bytes()


def test_a_parse_trusts_the_manifest_that_the_build_made(image: str) -> None:
    """The root file system is read-only, and nothing of Kedro is imported."""
    code = (
        "import sys; sys.path.insert(0, 'dags'); import kedro_dags, json\n"
        "dags = sorted(n for n, d in vars(kedro_dags).items() if type(d).__name__ == 'DAG')\n"
        "print(json.dumps([dags, 'kedro' in sys.modules]))"
    )
    options = ("--env", "AIRFLOW_HOME=/tmp")
    output = in_image(image, "python", "-W", "ignore", "-c", code, options=options)
    dags, kedro = json.loads(output.splitlines()[-1])
    assert dags == DAGS
    assert kedro is False


def test_a_run_of_the_example(image: str, project: Path) -> None:
    (data := project / "data").chmod(0o777)
    for folder in data.iterdir():
        folder.chmod(0o777)
    options = ("--env", "AIRFLOW_HOME=/tmp", "--volume", f"{data}:{HOME}/data")
    command = ("python", "-W", "ignore", "-c", RUN_TASKS, "penguins")
    returned = json.loads(in_image(image, *command, options=options).splitlines()[-1])
    assert returned["plot_penguins"]["penguin_plot"]["location"].endswith("penguin_plot.png")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")
@pytest.mark.parametrize(("mode", "then"), [(0o777, 0o777), (0o755, 0o777)])
def test_data_on_a_file_system_without_access_control_lists(
    image: str, project: Path, tmp_path: Path, mode: int, then: int
) -> None:
    """Where whoever looks may write, as on macOS, nothing changes; elsewhere all may, said so."""
    data = tmp_path / "data"
    data.mkdir()
    succeed(["mount", "-t", "ramfs", "none", data], ROOT)
    try:
        data.chmod(mode)
        options = ["--rm", "--user", "root", "--volume", f"{data}:{HOME}/data"]
        compose = yaml.safe_load((project / "docker-compose.override.yml").read_text())
        *bash, script = compose["services"]["db-migration"]["command"]
        # Compose's own escape, and what the service is there for.
        script = script.replace("$$", "$").replace("airflow db migrate", "touch data/mine")
        said = succeed(["docker", "run", *options, image, *bash, script], ROOT)
        assert ("everybody may write into data" in said) == (mode != then)
        assert data.stat().st_mode & 0o777 == then
        assert (data / "mine").stat().st_uid == 50000
    finally:
        succeed(["umount", data], ROOT)


def test_astro_dev_parse(image: str, project: Path) -> None:
    done = pytest_in(image, project, ".astro/test_dag_integrity_default.py")
    assert done.returncode == 0, done.stdout


def test_astro_dev_pytest(image: str, project: Path) -> None:
    done = pytest_in(image, project, "tests/")
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_astro_dev_parse_says_what_is_wrong_in_dags(
    image: str, project: Path, tmp_path: Path
) -> None:
    """Only what the CLI copies into the container is as it is now; the rest is the image's."""
    copy = tmp_path / "penguins"
    shutil.copytree(project, copy)
    (copy / "dags/mine.py").write_text("import airflow, no_such_module  # for a DAG\n")
    done = pytest_in(image, copy, ".astro/test_dag_integrity_default.py")
    assert done.returncode == 1
    assert "mine.py" in done.stdout and "no_such_module" in done.stdout


def parse(image: str, dags: Path) -> tuple[list[str], str]:
    """Return the DAGs that another `dags/` than the image's holds, and its import errors."""
    code = (
        "import json\nfrom airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag('dags')\n"
        "print(json.dumps([sorted(bag.dag_ids), '\\n'.join(bag.import_errors.values())]))"
    )
    options = ("--env", "AIRFLOW_HOME=/tmp", "--volume", f"{dags}:{HOME}/dags:ro")
    output = in_image(image, "python", "-W", "ignore", "-c", code, options=options)
    dag_ids, errors = json.loads(output.splitlines()[-1])
    return dag_ids, errors


def test_a_deploy_of_dags_alone(image: str, project: Path, tmp_path: Path) -> None:
    """`astro deploy --dags` replaces `dags/`; all else is the image's."""
    dags = shutil.copytree(project / "dags", tmp_path / "dags")
    (dags / "mine.py").write_text("from airflow.sdk import DAG\nwith DAG('mine'):\n    pass\n")
    assert parse(image, dags) == (["mine", *DAGS], "")


def test_a_deploy_of_a_newer_shim_alone_says_what_else_to_deploy(
    image: str, project: Path, tmp_path: Path
) -> None:
    dags = shutil.copytree(project / "dags", tmp_path / "dags")
    manifest = dags / "kedro_astro/airflow/manifest.py"
    before = manifest.read_text()
    manifest.write_text(re.sub(r"(?m)^FORMAT = \d+", "FORMAT = 9999", before))
    assert manifest.read_text() != before
    dag_ids, errors = parse(image, dags)
    assert dag_ids == []
    assert "`astro deploy` without --dags" in errors


def test_an_edit_of_a_node_makes_two_small_layers_anew(image: str, project: Path) -> None:
    def size(tag: str) -> int:
        return int(succeed(["docker", "image", "inspect", "--format", "{{ .Size }}", tag], ROOT))

    nodes = project / "src/penguins/pipelines/reporting/nodes.py"
    before = nodes.read_text()
    nodes.write_text(before + "# edited\n")
    try:
        done = build(project, f"{TAG}:edited")
        assert done.returncode == 0, done.stdout
        first, edited = layers(image), layers(f"{TAG}:edited")
        new = [layer for layer in edited if layer not in first]
        assert len(new) == 2 and edited[-2:] == new
        runtime = (project / "Dockerfile").read_text().split()[1]
        assert size(f"{TAG}:edited") - size(image) < 100_000 < size(image) - size(runtime)
    finally:
        nodes.write_text(before)
        run(["docker", "image", "rm", "--force", f"{TAG}:edited"], ROOT)


def test_a_broken_project_fails_its_build_and_says_why(image: str, project: Path) -> None:
    nodes = project / "src/penguins/pipelines/reporting/nodes.py"
    before = nodes.read_text()
    nodes.write_text(before + "def broken(:\n")
    try:
        done = build(project, f"{TAG}:broken")
    finally:
        nodes.write_text(before)
    assert done.returncode != 0
    line = len(before.splitlines()) + 1
    assert "SyntaxError" in done.stdout
    assert f"src/penguins/pipelines/reporting/nodes.py:{line}" in done.stdout
    assert "Traceback" not in done.stdout and "Mend it and build again" in done.stdout


def test_dags_that_are_deployed_by_themselves(image: str, project: Path, tmp_path: Path) -> None:
    """As `astro deploy` builds where DAG deploys are on: the image has no `dags/`, which brings the
    manifest, made on another machine."""
    copy = shutil.copytree(project, tmp_path / "penguins")
    with (copy / ".dockerignore").open("a") as ignored:
        ignored.write("\ndags/\n")
    tag = f"{TAG}:without"
    done = build(copy, tag)
    assert done.returncode == 0, done.stdout
    try:
        assert not in_image(tag, "sh", "-c", "ls dags 2>/dev/null || true")
        dags = copy / "dags"
        assert "do `kedro astro compile dags/manifest.jsonl` before" in parse(tag, dags)[1]
        succeed(python("dags/kedro_astro", "compile", "dags/manifest.jsonl"), copy)
        assert parse(tag, dags) == (DAGS, "")
        options = ("--volume", f"{dags}:{HOME}/dags:ro", "--env", "AIRFLOW_HOME=/tmp")
        options += ("--volume", f"{copy / 'data'}:{HOME}/data")
        # What a run of the test before left, too: the copies are root's.
        for path in (copy / "data", *(copy / "data").rglob("*")):
            path.chmod(0o777)
        command = ("python", "-W", "ignore", "-c", RUN_TASKS, "penguins.data_processing")
        returned = json.loads(in_image(tag, *command, options=options).splitlines()[-1])
        assert "drop_incomplete" in returned
    finally:
        run(["docker", "image", "rm", "--force", tag], ROOT)


def test_the_cli_finds_its_labels(image: str) -> None:
    shown = succeed(["docker", "image", "inspect", "--format", "{{ json .Config }}", image], ROOT)
    config = json.loads(shown)
    assert config["Labels"]["io.astronomer.docker.runtime.version"]
    assert config["User"] == "astro"
    assert SECRET not in shown
