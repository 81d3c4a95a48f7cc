"""`kedro astro package mwaa`: what it writes, that this stays the same, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro_astro import cli
from kedro_astro.planning import mwaa
from kedro_astro.project import SHIM
from projects import CATALOG, MakeProject

GOOD = {
    "requirements.txt": "apache-airflow~=3.3\n-r requirements/kedro.txt\n",
    "requirements/kedro.txt": "kedro\ns3fs\n",
    "conf/base/catalog.yml": CATALOG.replace("data/", "s3://my-bucket/deep/data/"),
    "conf/airflow/.gitkeep": "",
    "conf/airflow/credentials.yml": "store: {key: abc}\n",
    "conf/local/credentials.yml": "store: {key: abc}\n",
    "dags/kedro_dags.py": "# loads\n",
    "dags/mine.py": "# mine\n",
    "plugins/theirs.py": "",
    "plugins/.airflowignore": "old/",
    "src/shop/__pycache__/x.pyc": "",
    "data/raw.json": "1",
}
LOADER = Path(__file__).parents[3] / "template/dags/kedro_dags.py"
UV = """#!/bin/sh
cat >>"$SAID"
echo "pins: $AIRFLOW_CONSTRAINTS_FILE" >>"$SAID"
{}
"""

PINS = "https://example.org/pins.txt"

Package = Callable[..., Result]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Return a function that packages a project; uv, which would ask the network, says what it is
    told to."""
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()

    def run(project: Path, uv: str = "exit 0") -> Result:
        (tmp_path / "bin/uv").write_text(UV.format(uv))
        (tmp_path / "bin/uv").chmod(0o755)
        monkeypatch.setattr(cli, "_project", lambda: project)
        return CliRunner().invoke(cli.astro, ["package", "mwaa", "--constraints", PINS])

    return run


def test_what_is_written(make_project: MakeProject, package: Package, tmp_path: Path) -> None:
    project = make_project(GOOD)
    done = package(project)
    assert (done.exit_code, "dist/mwaa is written" in done.output) == (0, True), done.output
    bundle = project / "dist/mwaa"
    startup = (bundle / "startup.sh").read_text()
    (manifest,) = re.findall(r'KEDRO_ASTRO_MANIFEST="\$AIRFLOW_HOME/(dags/.*)"', startup)
    assert "set -e" not in startup and set(re.findall(r"export (\w+)_", startup)) == {
        "KEDRO_ASTRO",
        "KEDRO",
    }
    written = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert written == {
        *("dags/kedro_dags.py", "dags/mine.py", manifest, "plugins.zip", "requirements.txt"),
        *("startup.sh", "deploy.sh", "policy.json"),
    }
    archive = zipfile.ZipFile(bundle / "plugins.zip")
    names = set(archive.namelist())
    assert {
        "theirs.py",
        "kedro_project/pyproject.toml",
        "kedro_project/conf/local/.gitkeep",
    } < names
    assert "kedro_project/src/shop/settings.py" in names
    assert not [name for name in names if "credentials" in name or ".pyc" in name or "data" in name]
    assert archive.read(".airflowignore").decode().split() == ["old/", "kedro_project/"]
    requirements = "--constraint ${AIRFLOW_CONSTRAINTS_FILE}\nkedro\ns3fs\n"
    assert (bundle / "requirements.txt").read_text() == requirements
    assert re.search(
        r"apache-airflow==\d\S+\n--constraint .*\nkedro\n", (tmp_path / "said").read_text()
    )
    assert f"pins: {PINS}" in (tmp_path / "said").read_text()
    listing, objects = json.loads((bundle / "policy.json").read_text())["Statement"]
    assert listing["Resource"] == ["arn:aws:s3:::my-bucket"]
    folders = ("deep/data/*",)
    assert objects["Resource"] == [f"arn:aws:s3:::my-bucket/{folder}" for folder in folders]


def test_same_input_same_bytes(make_project: MakeProject, package: Package, tmp_path: Path) -> None:
    project, bundles = make_project(GOOD), []
    for _ in range(2):
        assert package(project).exit_code == 0
        files = sorted(p for p in (project / "dist/mwaa").rglob("*") if p.is_file())
        bundles.append({p.relative_to(project): p.read_bytes() for p in files})
        (project / "dist/mwaa/dags/left_over.py").touch()
        # What the sources are does not change, when they were written does, and where they are.
        moved = project.rename(tmp_path / f"elsewhere{len(bundles)}")
        for file in moved.rglob("*"):
            os.utime(file, (1e9, 1e9 + time.time() % 1))
            file.chmod(0o700)
        project = moved
    assert bundles[0] == bundles[1]


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_written(
    make_project: MakeProject, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        "conf/base/catalog.yml": CATALOG + "db: {type: pandas.SQLTableDataset, table_name: t,\n"
        "  credentials: {con: 'postgresql://me:hunter2@host/db'}}\n",
        "conf/base/parameters.yml": "a: 1\napi_key: hunter2\n",
        ".dockerignore": "**/*credentials*\n!conf/airflow/credentials.yml\n!conf/local\n",
        "requirements.txt": "kedro\ns3fs\n./wheels/own.whl\n--index-url https://me:hunter2@host/\n",
        "src/shop/keys.py": "KEY = 'AKIA" + 16 * "A" + "'\n",
    }
    project = make_project({**GOOD, **wrong})
    (project / "conf/base/link.yml").symlink_to("/etc/hostname")
    monkeypatch.setattr(mwaa, "LIMIT", 500)
    done = package(project, "echo 'lxml<5 and lxml==6' >&2; exit 1")
    assert done.exit_code == 1
    for said in (
        "raw is at data/raw.json, on a disk that workers or containers do not share",
        "conf/base/catalog.yml:5 holds a key or password",
        "conf/base/parameters.yml:2 holds a key",
        "conf/airflow/credentials.yml:1 holds a key",
        "src/shop/keys.py:1 holds a key",
        "requirements.txt:5 holds a key",
        "the requirements name ./wheels/own.whl, a file that MWAA does not have",
        "conf/base/link.yml is a link",
        "and MWAA takes 1 GB. Put data into the bucket",
        "lxml<5 and lxml==6",
        "nothing is written",
    ):
        assert said in done.output, said
    assert "hunter2" not in done.output and "conf/local/credentials" not in done.output
    assert not (project / "dist").exists()


def test_memory_that_would_cross_tasks(make_project: MakeProject, package: Package) -> None:
    done = package(make_project({**GOOD, "conf/base/airflow.yml": "default: {grouping: node}\n"}))
    assert done.exit_code == 1
    assert "the dataset doubled is in memory" in done.output and "Declare it" in done.output


def test_what_conf_local_says_is_not_there(make_project: MakeProject, package: Package) -> None:
    files = {name: text for name, text in GOOD.items() if "conf/airflow" not in name}
    done = package(make_project(files))
    assert done.exit_code == 1 and "Make the folder conf/airflow" in done.output


def test_requirements_that_could_not_be_tried_are_said_to_be_so(
    make_project: MakeProject, package: Package
) -> None:
    done = package(make_project(GOOD), "echo 'no route to host' >&2; exit 2")
    assert done.exit_code == 0
    assert "was not tried: no route to host" in done.output and "warning" in done.output


@pytest.mark.parametrize(
    ("line", "literal"),
    [
        ("password: hunter2", True),
        ("db_password: 'hunter2'", True),
        ("store: {key_id: 1, secret: abc}", True),
        ("password:\n  hunter2", True),
        ("password: >-\n  hunter2", True),
        ("a: &a {token: hunter2, again: *a}", True),
        ("list: [{sas-token: hunter2}]", True),
        ("password: !mine hunter2", True),
        ('{"aws_secret_access_key": "x"}', True),
        ("token: ${oc.env:TOKEN,hunter2}", True),
        ("con: postgresql://me:pw@host/db", True),
        ("  -----BEGIN RSA PRIVATE KEY-----", True),
        ("password: ${oc.env:PW}", False),
        ("store: {key: ${oc.env:KEY}, secret: ${oc.env:SECRET, null}}", False),
        ("password: null", False),
        ("password: ''", False),
        ("password:", False),
        ("con: postgresql://${oc.env:ME}:${oc.env:PW}@host/db", False),
        ("pad_token: '</s>'", False),
        ("max_tokens: 512", False),
        ("primary_key: id", False),
        ("url: https://host:443/a@b", False),
    ],
)
def test_literal_keys(line: str, literal: bool) -> None:
    found = [*mwaa.literal_keys({"conf/base/x.yml": line})]
    assert len(found) == literal and "hunter2" not in "".join(found)


def test_dags_are_made_of_the_manifest_alone(
    make_project: MakeProject, package: Package, tmp_path: Path
) -> None:
    """Laid out as MWAA does it, and with sources that nobody could read any more."""
    project = make_project({**GOOD, "dags/kedro_dags.py": LOADER.read_text()})
    package(project)
    home, bundle = tmp_path / "airflow", project / "dist/mwaa"
    shutil.copytree(bundle / "dags", home / "dags")
    zipfile.ZipFile(bundle / "plugins.zip").extractall(home / "plugins")
    (home / "plugins/kedro_project/src/shop/pipeline_registry.py").write_text("broken(:")
    code = "import kedro_dags as k; print([d for d in vars(k) if d.startswith('shop')], k.PROJECT)"
    script = 'source "$1"; cd "$AIRFLOW_HOME/dags"; exec "$2" -W ignore -c "$3"'
    command = ["bash", "-c", script, "-", bundle / "startup.sh", sys.executable, code]
    env = {**os.environ, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(SHIM.parent)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["['shop',", "'shop.sales']", f"{home}/plugins/kedro_project"], (
        done.stderr
    )
    assert not [*home.rglob(".kedro-astro")]


AWS = """#!/bin/sh
printf '%s|' "$@" >>"$SAID"; echo >>"$SAID"
case "$*" in
  *SourceBucketArn*) echo arn:aws:s3:::my-bucket;;
  *DagS3Path*) echo dags/;;
  *Status*) echo "${STATUS:-AVAILABLE}";;
  *Error*) echo "no space";;
  *put-object*) echo "${VERSION-v 1}";;
esac
"""


def test_deploying(
    make_project: MakeProject, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(GOOD)
    package(project)
    (tmp_path / "said").unlink()
    (tmp_path / "bin/aws").write_text(AWS)
    (tmp_path / "bin/aws").chmod(0o755)

    def deploy(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", project / "dist/mwaa/deploy.sh", *arguments]
        env = {**os.environ, **env}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    done = deploy("my-bucket", "my env")
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "said").read_text().splitlines()
    (update,) = [line for line in said if "update-environment" in line]
    assert "|--name|my env|" in update and update.count("|v 1|") == 3
    syncs = [line for line in said if line.startswith("s3|sync")]
    assert syncs[0].endswith("/dags|s3://my-bucket/dags|")
    assert said.index(syncs[0]) < said.index(update) < said.index(syncs[1]) == len(said) - 1
    assert deploy("my-bucket").returncode == 2
    wrong = deploy("other", "my env")
    assert wrong.returncode == 1 and "reads my-bucket, not other" in wrong.stderr
    wrong = deploy("my-bucket", "my env", VERSION="None")
    assert wrong.returncode == 1 and "put-bucket-versioning" in wrong.stderr
    wrong = deploy("my-bucket", "my env", STATUS="UPDATE_FAILED")
    assert wrong.returncode == 1 and "is UPDATE_FAILED" in wrong.stderr
