"""A DAG file imported in a process of its own, as Airflow does it."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from kedro_astro.airflow import dags

SHIM = Path(dags.__file__).parents[2]
PARSE = """
import json, sys
from pathlib import Path
from kedro_astro.airflow.dags import build_dags
found = build_dags(Path(sys.argv[1]))
"""

# What Airflow would do with the DAG: every task in order, each with what the ones before returned.
IN_ORDER = """
import datetime
from types import SimpleNamespace as Thing
NOW = datetime.datetime(2026, 1, 1)
dag, returned = found["shop.sales"], {}
run = Thing(dag_id=dag.dag_id, run_id="one", run_after=NOW, start_date=NOW)
class Instance:
    try_number = 1
    def xcom_pull(self, task_ids):
        return returned.get(task_ids)
for task in dag.topological_sort():
    context = {"dag_run": run, "ti": Instance(), "params": {}, "dag": dag}
    returned[task.task_id] = task.execute(context)
print(json.dumps("done"))
"""

# Airflow's DAG processor forks, too, from a process that has imported Airflow and nothing of ours.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *("airflow.sdk", "airflow.providers.common.compat.sdk"),
        *("airflow.dag_processing.dagbag", "airflow.models.dagbag"),
    ]
)


def parse(project: Path, then: str) -> Any:
    """Build the DAGs in a forked process, run `then`, and return the JSON that it prints."""
    ours, theirs = FORKS.Pipe()
    child = FORKS.Process(target=_run, args=(PARSE + then, [str(project)], theirs))
    child.start()
    theirs.close()
    output, error = ours.recv()
    child.join()
    assert not error, error
    return json.loads(output.splitlines()[-1])


def parse_afresh(project: Path, then: str, home: Path, **env: str) -> Any:
    """Do the same in a new interpreter, with an environment of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE + then, str(project)],
        env={**os.environ, "PYTHONPATH": str(SHIM), "AIRFLOW_HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _run(code: str, arguments: list[str], result: Connection) -> None:
    output, error = io.StringIO(), ""
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(output):
        try:
            exec(code, {})
        except Exception:
            error = traceback.format_exc()
    result.send((output.getvalue(), error))
