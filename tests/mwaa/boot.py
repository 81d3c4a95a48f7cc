"""Boots Airflow as a container of Amazon MWAA's 3.3.1 does, runs a DAG, prints its end as JSON.

Run it as root in a mount and a process namespace of its own: it mounts over /usr/local/airflow and
/tmp. What MWAA does is read in its public images; Celery and the queue are left out.

Usage: boot.py BUNDLE DAG_ID VARIABLES, with the folder that `kedro astro package mwaa` has written,
and a file with the container's environment as JSON. `pip` and `airflow` are found by its PATH.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

HOME = Path("/usr/local/airflow")
BASE = Path(__file__).parent
PINS = {
    "AIRFLOW_CONSTRAINTS_FILE": BASE / "airflow_constraints.txt",
    "MWAA_ESSENTIAL_CONSTRAINTS_FILE": BASE / "mwaa_essential_constraints.txt",
}
PROTECTED = "AIRFLOW_HOME AIRFLOW_VERSION AWS_DEFAULT_REGION AWS_REGION PYTHONPATH".split()
PROTECTED += ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
OPINIONATED = {
    "AIRFLOW__CORE__EXECUTE_TASKS_NEW_PYTHON_INTERPRETER": "True",
    "AIRFLOW__SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
}
ESSENTIAL = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
}
HERE = {
    # Airflow 3 has no use for MWAA's own setting of that. Nothing of the scheduler's is in these.
    "AIRFLOW__CORE__MP_START_METHOD": "spawn",
    "AIRFLOW__CORE__PARALLELISM": "2",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__API__PORT": "18080",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__BASE_URL": "http://127.0.0.1:18080",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://127.0.0.1:18080/execution/",
}


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def lay_out(bundle: Path) -> None:
    """Put the bundle where MWAA puts it, with nothing else there, and let nobody write to it."""
    inside = {path.name: path.read_bytes() for path in bundle.iterdir() if path.is_file()}
    dags = {p.relative_to(bundle): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
    mount("-t", "tmpfs", "tmpfs", HOME)
    for name, content in dags.items():
        if name.parts[0] == "dags":
            (HOME / name).parent.mkdir(parents=True, exist_ok=True)
            (HOME / name).write_bytes(content)
    zipfile.ZipFile(bundle / "plugins.zip").extractall(HOME / "plugins")
    for folder, name in (("requirements", "requirements.txt"), ("startup", "startup.sh")):
        (HOME / folder).mkdir()
        (HOME / folder / name).write_bytes(inside[name])
    mount("-t", "tmpfs", "tmpfs", "/tmp")
    for folder in ("dags", "plugins", "requirements", "startup"):
        mount("--bind", HOME / folder, HOME / folder)
        mount("-o", "remount,bind,ro", HOME / folder)


def started(given: dict[str, str]) -> dict[str, str]:
    """Return the environment after startup.sh, which is sourced, by the rules of MWAA."""
    code = 'source "$HOME/startup/startup.sh"; exec python -c "import json, os, sys; '
    code += "json.dump(dict(os.environ), open('/tmp/customer_env_vars.json', 'w'))\""
    subprocess.run(["bash", "-c", code], env={**OPINIONATED, **given}, check=True, timeout=300)
    said = json.loads(Path("/tmp/customer_env_vars.json").read_text())
    kept = {key: value for key, value in given.items() if key in PROTECTED or key[:6] == "MWAA__"}
    return {**given, **OPINIONATED, **said, **kept, **ESSENTIAL}


def install(env: dict[str, str]) -> None:
    """Install the requirements as MWAA's `safe-pip-install` does."""
    requirements = HOME / "requirements/requirements.txt"
    command = ["pip", "install", "--constraint", env["MWAA_ESSENTIAL_CONSTRAINTS_FILE"]]
    command += ["-r", str(requirements)]
    if not re.search(r"-c |--constraint ", requirements.read_text()):
        command += ["-c", env["AIRFLOW_CONSTRAINTS_FILE"]]
    subprocess.run(command, env=env, check=True, timeout=540, stdout=sys.stderr)


def run(dag_id: str, env: dict[str, str]) -> dict[str, object]:
    """Run a DAG on an Airflow with this environment; return its state and those of its tasks."""
    with open("/tmp/airflow.log", "w") as log:
        airflow = subprocess.Popen(["airflow", "standalone"], env=env, stdout=log, stderr=log)
        try:
            ask(f"dags/{dag_id}", until=lambda dag: not dag["is_paused"])
            body = {"logical_date": None, "dag_run_id": "mwaa"}
            ask(f"dags/{dag_id}/dagRuns", body, until=bool)
            ended = ("success", "failed")
            done = ask(f"dags/{dag_id}/dagRuns/mwaa", until=lambda run: run["state"] in ended)
            tasks = ask(f"dags/{dag_id}/dagRuns/mwaa/taskInstances")["task_instances"]
            errors = [e["stack_trace"] for e in ask("importErrors")["import_errors"]]
        except TimeoutError:
            sys.stderr.write(Path("/tmp/airflow.log").read_text()[-20000:])
            raise
        finally:
            airflow.terminate()
    logs = [file.read_text() for file in sorted((HOME / "logs").rglob("attempt=*.log"))]
    states = {task["task_id"]: task["state"] for task in tasks}
    return {"state": done["state"], "tasks": states, "import_errors": errors, "logs": logs}


def ask(path, body=None, until=lambda said: True, seconds=600):
    """Ask Airflow's API until the answer is as it should be."""
    end = time.monotonic() + seconds
    while True:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:18080/api/v2/{path}")
            with urllib.request.urlopen("http://127.0.0.1:18080/auth/token", timeout=20) as token:
                request.add_header("Authorization", f"Bearer {json.load(token)['access_token']}")
            if body is not None:
                request.data = json.dumps(body).encode()
                request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request, timeout=20) as answer:
                said = json.load(answer)
            if until(said):
                return said
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(1)


def main(bundle: str, dag_id: str, variables: str) -> None:
    given = json.loads(Path(variables).read_text())
    given |= {"HOME": str(HOME), "AIRFLOW_HOME": str(HOME), "AIRFLOW_VERSION": "3.3.1"}
    given |= {name: str(file) for name, file in PINS.items()}
    lay_out(Path(bundle))
    os.chdir(HOME)
    env = started(given)
    install(env)
    said = run(dag_id, {**env, **HERE})
    # A project that is read leaves its cache in one of these.
    read = [*Path("/tmp").glob("kedro-astro-*"), *HOME.glob("plugins/*/.kedro-astro")]
    sys.stdout.write("\n" + json.dumps({**said, "read": [str(path) for path in read]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
