"""One Airflow with two workers that share no disk, on which all tests of this folder run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, cluster, missing
from s3 import Store, serving
from scaffold import DAGS, append, python, scaffold, succeed
from scaffold import ROOT as CHECKOUT

HELD = '''
"""What waits for a file of its own before it goes on, so that a test can do something meanwhile."""
import os
import select
from pathlib import Path
from kedro.pipeline import node, pipeline
def gather(gate):
    return {"gate": gate, "numbers": list(range(1000))}
def hold(gathered):
    gates, gate = Path(os.environ["GATES"]), gathered["gate"]
    (gates / f"{gate}.{os.getpid()}.holds").write_text("")
    while not (gates / gate).exists():
        # With a clock that libfaketime has put back, Python's sleep is refused.
        select.select([], [], [], 0.05)
    return {**gathered, "sum": sum(gathered["numbers"]), "ballast": "x" * 20_000_000}
def judge(held):
    return {"gate": held["gate"], "sum": held["sum"], "whole": len(held["ballast"])}
def create_pipeline(**kwargs):
    return pipeline([
        node(gather, "params:gate", "held.gathered", name="gather"),
        node(hold, "held.gathered", "held.held", name="hold"),
        node(judge, "held.held", "held.verdict", name="judge"),
    ])
'''
WIDE = '''
"""Nodes that wait for half a second each and for nothing else."""
import time
from kedro.pipeline import node, pipeline
def wait(seconds):
    time.sleep(seconds)
    return seconds
def create_pipeline(**kwargs):
    return pipeline([
        node(wait, "params:seconds", f"waited_{n:02}", name=f"wait_{n:02}") for n in range(64)
    ])
'''
SMALL = '''
"""A pipeline as small as one can be."""
from kedro.pipeline import node, pipeline
def square(number):
    return number * number
def root(squared):
    return round(squared ** 0.5)
def create_pipeline(**kwargs):
    return pipeline([
        node(square, "params:number", "small.squared", name="square"),
        node(root, "small.squared", "small.root", name="root"),
    ])
'''
LOCAL = '''
"""Data on the disk of one worker."""
from kedro.pipeline import node, pipeline
def fill(megabytes):
    return "x" * (megabytes * 1_000_000)
def count(filled):
    return len(filled)
def create_pipeline(**kwargs):
    return pipeline([
        node(fill, "params:megabytes", "local.filled", name="fill"),
        node(count, "local.filled", "local.counted", name="count"),
    ])
'''
PIPELINES = {"held": HELD, "wide": WIDE, "small": SMALL, "local": LOCAL}
CATALOG = """
"held.{name}":
  type: json.JSONDataset
  filepath: ${globals:data_root}/held/{name}.json
  versioned: true
local.filled: {type: text.TextDataset, filepath: data/filled.txt}
"small.{name}":
  type: json.JSONDataset
  filepath: ${globals:data_root}/small/{name}.json
  versioned: true
"""
PARAMETERS = "gate: none\nseconds: 0.5\nnumber: 3\nmegabytes: 1\n"
# Two retries are to outlast a store that is away for twenty seconds.
SETTINGS = """
held: {retries: 2, retry_delay: 12s}
local: {retries: 0, nodes: {fill: {queue: worker-1}, count: {queue: worker-2}}}
small: {max_active_runs: 16, grouping: pipeline}
wide: {max_active_tasks: 64}
"""
BY_HAND = '''
"""The pipeline `wide` as it is written without Kedro."""
import time
from airflow.sdk import DAG
from airflow.providers.standard.operators.python import PythonOperator
def wait(seconds):
    time.sleep(seconds)
    return seconds
with DAG("by_hand", max_active_tasks=64):
    for n in range(64):
        PythonOperator(task_id=f"wait_{n:02}", python_callable=wait, op_args=[0.5])
'''
BUCKET = "lake"
ROOT = f"s3://{BUCKET}/penguins"


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For all that is not in the project."""
    if reason := missing():
        pytest.fail(reason)
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="package")
def store(folder: Path) -> Iterator[Store]:
    with serving(folder / "store", BUCKET, alone=True) as found:
        yield found


@pytest.fixture(scope="package")
def project(folder: Path) -> Path:
    """The example on S3, and pipelines for faults and figures."""
    project = scaffold(folder / "penguins", project_name="Penguins", data_root=ROOT)
    for name, text in PIPELINES.items():
        pipeline = project / "src/penguins/pipelines" / name
        pipeline.mkdir()
        (pipeline / "__init__.py").write_text(text)
    append(project / "conf/base/catalog.yml", CATALOG)
    append(project / "conf/airflow/airflow.yml", SETTINGS)
    append(project / "requirements.txt", "s3fs\n")
    registry = project / "src/penguins/pipeline_registry.py"
    # All of the example together, without what waits for a test.
    own = f"[p for name, p in pipelines.items() if name not in {[*PIPELINES]}]"
    registry.write_text(registry.read_text().replace("sum(pipelines.values()", f"sum({own}"))
    (project / "conf/base/parameters_faults.yml").write_text(PARAMETERS)
    (project / "dags/by_hand.py").write_text(BY_HAND)
    return project


@pytest.fixture(scope="package")
def manifest(project: Path, folder: Path) -> Path:
    """Compiled once and the same for all, as in an image."""
    file = folder / "manifest.jsonl"
    env = {"KEDRO_ASTRO_MANIFEST": str(file), "AIRFLOW_HOME": str(folder / "compiling")}
    succeed(python("dags/kedro_astro", "compile"), project, env)
    return file


@pytest.fixture(scope="package")
def airflow(project: Path, folder: Path, store: Store, manifest: Path) -> Iterator[Cluster]:
    (folder / "gates").mkdir()
    more = {"GATES": str(folder / "gates"), "KEDRO_ASTRO_MANIFEST": str(manifest)}
    with cluster(project, folder / "airflow", store, more) as found:
        found.client.wait_for("the DAGs", lambda: {*DAGS} <= {*found.client.dag_ids()})
        for number in (1, 2):
            found.start_worker(number)
        for number in (1, 2):
            found.ready(number)
        yield found


@pytest.fixture(scope="package")
def figures() -> Iterator[dict[str, Any]]:
    """What is measured; it is kept in build/workers.json, and docs/how-to has that of one day."""
    found: dict[str, Any] = {}
    yield found
    file = CHECKOUT / "build/workers.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=2))


@dataclass
class Run:
    """A run of the pipeline `held`; how long it took from the fault on goes into `figures`."""

    airflow: Cluster
    gates: Path
    store: Store
    run_id: str
    gate: str
    figures: dict[str, Any]
    began: float = 0

    def holding(self, number: int = 1) -> int:
        """Wait until the node `hold` waits, in its try of that number; return its process."""
        found = self.airflow.client.wait_for(
            f"try {number} of the node that holds", lambda: self._holders()[number - 1 :]
        )
        self.began = self.began or time.monotonic()
        return found[0]

    def _holders(self) -> list[int]:
        files = sorted(self.gates.glob(f"{self.gate}.*.holds"), key=lambda f: f.stat().st_mtime_ns)
        return [int(file.name.split(".")[1]) for file in files]

    def go(self) -> None:
        """Let it go on."""
        (self.gates / self.gate).touch()

    def worker(self, task_id: str = "hold") -> str:
        """Return the worker that has a task."""
        return self.tries()[task_id][1]

    def tries(self) -> dict[str, tuple[int, str]]:
        """Return number of tries and last worker of each task."""
        found = self.airflow.client.task_instances("penguins.held", self.run_id)
        return {task.task_id: (task.try_number, task.hostname) for task in found}

    def ends(self) -> str:
        """Wait for the end of the run and return its state."""
        ended = self.airflow.client.wait_for_run("penguins.held", self.run_id, 150)
        self.figures[self.gate] = round(time.monotonic() - self.began, 1)
        return ended

    def state(self, task_id: str) -> str | None:
        found = self.airflow.client.task_instances("penguins.held", self.run_id)
        return next(task.state for task in found if task.task_id == task_id)

    def log(self, task_id: str, try_number: int = 1) -> str:
        """Return what a task has logged; nothing before it begins."""
        with suppress(KeyError):
            lines = self.airflow.client.task_log("penguins.held", self.run_id, task_id, try_number)
            return json.dumps(lines)
        return ""

    def verdict(self) -> dict[str, Any]:
        """What the run has saved last."""
        return self.saved_by("judge")

    def version(self, task_id: str) -> str:
        """Return the version under which a task has saved."""
        (saved,) = self.airflow.client.saved("penguins.held", self.run_id, task_id).values()
        return str(saved["version"])

    def saved_by(self, task_id: str) -> dict[str, Any]:
        """What a task has saved, in the version that it says."""
        found = self.airflow.client.saved("penguins.held", self.run_id, task_id).values()
        (saved,) = found
        location, version = str(saved["location"]), str(saved["version"])
        place = f"{location}/{version}/{location.rpartition('/')[2]}"
        return dict(json.loads(self.store.files().cat(place)))

    def right(self) -> dict[str, Any]:
        """What that has to be."""
        return {"gate": self.gate, "sum": 499500, "whole": 20_000_000}


@pytest.fixture
def two_workers(airflow: Cluster) -> Iterator[None]:
    """Leave no other workers to the next test than it expects."""
    yield
    for name in [name for name in airflow.processes if name.startswith("worker")]:
        airflow.stop(name)
    for number in (1, 2):
        airflow.start_worker(number)
    for number in (1, 2):
        airflow.ready(number)


@pytest.fixture
def held(
    airflow: Cluster,
    folder: Path,
    store: Store,
    figures: dict[str, Any],
    request: pytest.FixtureRequest,
) -> Iterator[Run]:
    """A run whose second task waits to be let go."""
    # It is a file in a folder, too.
    gate = re.sub(r"\W+", "-", request.node.name)
    run_id = airflow.client.trigger("penguins.held", {"gate": gate})
    found = Run(airflow, folder / "gates", store, run_id, gate, figures)
    yield found
    found.go()
