"""A process that has imported Airflow and forks for each measurement.

Airflow's DAG processor and its LocalExecutor do the same: what a DAG file or a task costs is what
comes after the fork. This module is run as a program of its own by `measure.Airflow`. It reads
jobs, one JSON object a line, and answers each with what the fork used.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from datetime import datetime, timezone
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

IMPORTED = (
    # The process that forks the parsers is the first; what they themselves import, the others.
    "airflow.dag_processing.manager",
    "airflow.dag_processing.processor",
    "airflow.sdk.execution_time.task_runner",
)


def main() -> None:
    """Answer jobs until there are no more.

    The arguments name further modules to import: those of Airflow that a DAG file names, which the
    DAG processor imports before it forks.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Airflow and the nodes print is no answer
    for name in (*IMPORTED, *sys.argv[1:]):
        importlib.import_module(name)
    gc.freeze()  # as the DAG processor does
    for line in sys.stdin:
        print(_in_fork(json.loads(line)), file=answers, flush=True)


def _in_fork(job: dict[str, Any]) -> str:
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with os.fdopen(reading) as file:
            answer = file.read()
        os.waitpid(pid, 0)
        return answer or json.dumps({"error": f"{job} ended without an answer: see the log"})
    with os.fdopen(writing, "w") as file:
        try:
            answer = json.dumps(_measure(job))
        except Exception as error:
            answer = json.dumps({"error": f"{job}: {error!r}"})
        file.write(answer)
    os._exit(0)


def _measure(job: dict[str, Any]) -> dict[str, float]:
    """Import a DAG file and, if the job names a task, run it.

    Returns:
        `cpu`: seconds, user and system, of this process and its children since the fork; `peak`:
        the most bytes that it ever held.
    """
    os.chdir(job["cwd"])
    os.environ.update(job["env"])
    file = Path(job["file"])
    sys.path += [str(file.parent), *job["sys_path"]]
    before = _cpu()
    module = _import(file)
    if job["task"]:
        _run(_dags(module)[job["dag_id"]], job["task"])
    cpu = _cpu() - before
    if job["dag_id"] not in ("", *_dags(module)):
        raise LookupError(f"{file} has no DAG {job['dag_id']}")
    return {"cpu": cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _import(file: Path) -> ModuleType:
    """Import a file as Airflow's importer does."""
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    name = f"measured_{file.stem}"
    DagContext.current_autoregister_module_name = name
    loader = SourceFileLoader(name, str(file))
    spec = spec_from_loader(name, loader)
    assert spec
    sys.modules[name] = module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _dags(module: ModuleType) -> dict[str, Any]:
    """Return the DAGs of an imported file by id: those it names, and those made in a `with`."""
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    registered = [dag for dag, _ in DagContext.autoregistered_dags]
    found = [*vars(module).values(), *registered]
    return {thing.dag_id: thing for thing in found if type(thing).__name__ == "DAG"}


def _run(dag: Any, task_id: str) -> None:
    """Run a task of a file without a database, as far as the work that is the project's goes.

    kedro-airflow's tasks are functions, so the function is called and nothing of Airflow's around
    it; ours is an operator, which gets a context.
    """
    task = dag.get_task(task_id)
    if function := getattr(task, "python_callable", None):
        function()
        return
    now = datetime.now(timezone.utc)
    run_id = f"measured-{os.getpid()}"
    run = SimpleNamespace(dag_id=dag.dag_id, run_id=run_id, run_after=now, start_date=now)
    instance = SimpleNamespace(try_number=1)
    task.execute({"dag_run": run, "ti": instance, "params": dag.params.dump(), "dag": dag})


def _cpu() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


if __name__ == "__main__":
    main()
