"""Airflow's Git bundle: a run keeps the commit that it began with, while `main` moves on.

It needs `apache-airflow-providers-git` beside what `make` installs: `make test-bundles`.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from airflow_client.client import AssetApi, DAGApi
from client import Client
from kedro_astro.airflow.standalone import running
from scaffold import GIT, append, commit, free_port, python, scaffold, succeed

pytestmark = pytest.mark.bundles

PIPELINE = """
import pathlib, time
from kedro.pipeline import node, pipeline
def begin(gate, word):
    gate = pathlib.Path(gate)
    (gate / word).touch()
    while not (gate / "open").exists():
        time.sleep(0.1)
    return ["first", word]
def end(begun, word):
    import kedro_astro
    return [*begun, "first", word, __file__, kedro_astro.__file__]
def create_pipeline(**kwargs):
    return pipeline([
        node(begin, ["params:gate", "params:word"], "begun", name="begin"),
        node(end, ["begun", "params:word"], "ended", name="end"),
    ])
"""
CATALOG = """
begun: {type: json.JSONDataset, filepath: "${globals:data_root}/begun.json"}
ended: {type: json.JSONDataset, filepath: "${globals:data_root}/ended.json"}
over: {type: json.JSONDataset, filepath: "${globals:data_root}/over.json"}
"""
CONFIGURATION = """
[api_auth]
jwt_secret = of-this-test-alone-and-long-enough-for-its-algorithm-which-wants-64-bytes
[dag_processor]
dag_bundle_storage_path = %s
dag_bundle_config_list = [{
      "name": "shop",
      "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
      "kwargs": {
        "repo_url": "%s",
        "tracking_ref": "main",
        "subdir": "dags",
        "refresh_interval": 5
      }
    }]
"""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the Git repositories in a folder; yield the address that their paths come behind."""
    port = free_port()
    # `git daemon` would start it, and leave it behind.
    daemon = Path(succeed(["git", "--exec-path"], folder).strip(), "git-daemon")
    command = [daemon, "--export-all", f"--base-path={folder}", "--listen=127.0.0.1"]
    with subprocess.Popen([*command, f"--port={port}", "--reuseaddr", str(folder)]) as server:
        try:
            while server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
            yield f"git://127.0.0.1:{port}"
        finally:
            server.kill()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The project, whose `main` was pushed to a repository that is served."""
    work = scaffold(tmp_path / "work", project_name="Penguins", start="empty")
    pipeline = work / "src/penguins/pipelines/slow/__init__.py"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text(PIPELINE)
    append(work / "conf/base/catalog.yml", CATALOG)
    (work / "conf/base/parameters.yml").write_text(f"word: old\ngate: {tmp_path}\n")
    (work / "conf/base/globals.yml").write_text(f"data_root: {tmp_path / 'data'}\n")
    succeed([*GIT, "init", "--quiet", "--initial-branch=main"], work)
    commit(work, "old")
    succeed([*GIT, "clone", "--quiet", "--bare", work, tmp_path / "served/shop.git"], tmp_path)
    succeed([*GIT, "remote", "add", "origin", tmp_path / "served/shop.git"], work)
    return work


def push(work: Path, message: str) -> str:
    """Commit all and push it; return the commit."""
    commit(work, message)
    succeed([*GIT, "push", "--quiet", "origin", "main"], work)
    return succeed([*GIT, "rev-parse", "HEAD"], work).strip()


CLEAN = """
from airflow.dag_processing.bundles.base import BundleUsageTrackingManager
BundleUsageTrackingManager().remove_stale_bundle_versions()
"""


def test_a_run_keeps_the_commit_that_it_began_with(work: Path, tmp_path: Path) -> None:
    """Nodes, parameters, shape and assets, although `main` has none of them any more."""
    home, bundles, nothing = tmp_path / "home", tmp_path / "bundles", tmp_path / "nothing"
    for folder in (home, nothing / "dags", nothing / "plugins"):
        folder.mkdir(parents=True)
    old = succeed([*GIT, "rev-parse", "HEAD"], work).strip()
    dag_id, saved = "penguins.slow", tmp_path / "data/ended.json"
    with serving(tmp_path / "served") as address:
        (home / "airflow.cfg").write_text(CONFIGURATION % (bundles, f"{address}/shop.git"))
        with running(nothing, home) as found:
            airflow = Client.of(found)
            airflow.wait_for("the DAG", lambda: dag_id in airflow.dag_ids())
            first = airflow.trigger(dag_id)
            airflow.wait_for("its first task", (tmp_path / "old").exists)
            read = manifest_of(bundles, old)

            file = work / "src/penguins/pipelines/slow/__init__.py"
            text = file.read_text().replace('"first"', '"second"')
            file.write_text(text.replace('"ended", name="end"', '"over", name="over"'))
            (work / "conf/base/parameters.yml").write_text(f"word: new\ngate: {tmp_path}\n")
            new = push(work, "new")
            dags = DAGApi(airflow.api)
            airflow.wait_for(
                "the new commit", lambda: dags.get_dag_details(dag_id).bundle_version == new
            )
            (tmp_path / "open").touch()

            assert airflow.wait_for_run(dag_id, first) == "success"
            assert [task.task_id for task in airflow.task_instances(dag_id, first)] == [
                "begin",
                "end",
            ]
            *words, node, shim = json.loads(saved.read_text())
            assert words == ["first", "old", "first", "old"]
            version = str(bundles / "shop/versions" / old)
            assert node.startswith(version) and shim.startswith(version)
            # The second task has read nothing anew.
            assert manifest_of(bundles, old) == read

            second = airflow.trigger(dag_id)
            assert airflow.wait_for_run(dag_id, second) == "success"
            assert airflow.run(dag_id, second).bundle_version == new
            tasks = airflow.task_instances(dag_id, second)
            assert [task.task_id for task in tasks] == ["begin", "over"]
            *words, node, _ = json.loads(saved.with_name("over.json").read_text())
            assert words == ["second", "new", "second", "new"]
            events = AssetApi(airflow.api).get_asset_events(source_run_id=second).asset_events
            assert sorted(event.uri for event in events) == [
                "kedro://penguins/begun",
                "kedro://penguins/over",
            ]
            assert airflow.import_errors() == []
    # What Airflow no longer needs of a version goes as a whole, the cache with it.
    stale = {"MIN_VERSIONS": "0", "AGE_THRESHOLD": "0"}
    env = {f"AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_{k}": v for k, v in stale.items()}
    succeed(python("-c", CLEAN), nothing, {**env, "AIRFLOW_HOME": str(home)})
    assert [*(bundles / "shop/versions").iterdir()] == []
    assert [path.parent.parent.name for path in bundles.rglob("manifest.jsonl")] == [
        "tracking_repo"
    ]


def manifest_of(bundles: Path, version: str) -> tuple[int, int]:
    """Return which file a version's manifest is, and when it was written."""
    found = (bundles / "shop/versions" / version / ".kedro-astro/manifest.jsonl").stat()
    return found.st_ino, found.st_mtime_ns
