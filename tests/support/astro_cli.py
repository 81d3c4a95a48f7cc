"""What the Astro CLI does with a project in Docker, done with public tools.

With `KEDRO_ASTRO_RUNTIME=real`, and where the CLI is, by the CLI itself. The facts are those of CLI
1.45: `airflow/include/airflow?/composeyml.go.tmpl` and `airflow/docker_image.go` in its repository.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from scaffold import ROOT, run, succeed

CLI = shutil.which("astro") if os.environ.get("KEDRO_ASTRO_RUNTIME") == "real" else None
HOME = "/usr/local/airflow"
HOST_USER = 12345
DATABASE = "postgresql://postgres:postgres@postgres:5432"
ENVIRONMENT = {
    "AIRFLOW__API__BASE_URL": "http://localhost:8080",
    "AIRFLOW__API__PORT": "8080",
    "AIRFLOW__API__SECRET_KEY": "penguins",
    "AIRFLOW__API_AUTH__JWT_SECRET": "penguins",
    "AIRFLOW__CORE__AUTH_MANAGER": (
        "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    ),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api-server:8080/execution/",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__SQL_ALCHEMY_CONN": DATABASE,
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": DATABASE,
    "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
    "ASTRONOMER_ENVIRONMENT": "local",
}


def compose_file(project: Path, image: str, postgres: str, port: int) -> str:
    """Return the Compose file that the CLI makes for a project.

    The CLI merges it with the project's `docker-compose.override.yml`.
    """

    def airflow(*command: str, mounts: Sequence[str] = ()) -> dict[str, object]:
        own = {"command": ["airflow", *command], "depends_on": ["db-migration"]}
        return _service(project, image, mounts) | own | {"environment": ENVIRONMENT}

    folders = ("dags", "plugins", "include", "tests")
    services = {
        "db-migration": {
            "image": image,
            "command": ["airflow", "db", "migrate"],
            "depends_on": ["postgres"],
            "networks": ["airflow"],
            "environment": ENVIRONMENT,
        },
        "scheduler": airflow("scheduler", mounts=folders),
        "dag-processor": airflow("dag-processor", mounts=folders),
        "api-server": airflow("api-server", mounts=folders) | {"ports": [f"127.0.0.1:{port}:8080"]},
        "triggerer": airflow("triggerer", mounts=folders[:3]),
    }
    return _with_postgres(services, postgres)


def compose_file_of_airflow_2(project: Path, image: str, postgres: str, port: int) -> str:
    """Return the Compose file that the CLI makes for a project with a Runtime of Airflow 2."""
    environment = {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": DATABASE,
        "AIRFLOW__WEBSERVER__SECRET_KEY": "penguins",
        # What the CLI makes of it depends on the image: the API's basic authentication.
        "AIRFLOW__API__AUTH_BACKENDS": (
            "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth"
        ),
        "ASTRONOMER_ENVIRONMENT": "local",
    }

    def airflow(command: str, needs: Sequence[str], mounts: Sequence[str]) -> dict[str, object]:
        own = {"command": ["bash", "-c", command], "depends_on": ["postgres", *needs]}
        return _service(project, image, mounts) | own | {"environment": environment}

    folders = ("dags", "plugins", "include", "tests")
    user = "airflow users create -r Admin -u admin -e admin@example.com -f admin -l user -p admin"
    serves = f"{user} && airflow sync-perm && airflow webserver"
    services = {
        "scheduler": airflow("airflow db upgrade && airflow scheduler", [], folders),
        "triggerer": airflow("airflow db upgrade && airflow triggerer", [], folders[:3]),
        "webserver": airflow(serves, ["scheduler"], folders)
        | {"ports": [f"127.0.0.1:{port}:8080"]},
    }
    return _with_postgres(services, postgres)


def _service(project: Path, image: str, mounts: Sequence[str]) -> dict[str, object]:
    """Return what all services of Airflow have."""
    mounted = [f"{project}/{folder}:{HOME}/{folder}:z" for folder in mounts]
    return {
        "image": image,
        "user": "astro",
        "restart": "unless-stopped",
        "networks": ["airflow"],
        "env_file": [str(file) for file in [project / ".env"] if file.exists()],
        "volumes": [*mounted, f"airflow_logs:{HOME}/logs"],
    }


def _with_postgres(services: dict[str, object], image: str) -> str:
    """Return the file of Airflow's services, their database, and what all of them share."""
    postgres = {
        "image": image,
        "networks": ["airflow"],
        "environment": {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "postgres"},
        "volumes": ["postgres_data:/var/lib/postgresql/data"],
    }
    file = {
        "services": {"postgres": postgres, **services},
        "networks": {"airflow": {"driver": "bridge"}},
        "volumes": {"postgres_data": {}, "airflow_logs": {}},
    }
    return json.dumps(file, indent=1)


def give_to_host_user(project: Path) -> None:
    """Have a project belong to a user who is nobody in the image."""
    for path in (project, *project.rglob("*")):
        os.chown(path, HOST_USER, HOST_USER, follow_symlinks=False)
    for parent in project.parents:
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)


def start(project: Path, image: str, port: int) -> list[str]:
    """Have the CLI itself start a project; return the command that shows what it logs."""
    assert CLI
    options = ["--no-browser", "--no-proxy", "--wait", "5m", "--port", str(port)]
    succeed([CLI, "dev", "start", "--image-name", image, *options], project)
    return [CLI, "dev", "logs", "--follow"]


def standalone_environment(project: Path, port: int) -> dict[str, str]:
    """Return what `astro dev start --standalone` adds to the environment of `airflow standalone`,
    which it runs in the project's folder."""
    return {
        "PYTHONPATH": str(project),
        "AIRFLOW_HOME": str(project / ".astro/standalone"),
        "ASTRONOMER_ENVIRONMENT": "local",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": "penguins",
        "AIRFLOW__API_AUTH__JWT_SECRET": "penguins",
    }


def pytest_in(image: str, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as `astro dev pytest` and `astro dev parse` do: in a container of the image, with
    the project's own `dags`, `tests`, `plugins`, `include` and `.astro` copied over its."""
    if CLI:
        parse = arguments == (".astro/test_dag_integrity_default.py",)
        what = ["parse"] if parse else ["pytest", *arguments]
        return run([CLI, "dev", *what, "--image-name", image], project)
    container = succeed(["docker", "create", image, "pytest", *arguments], ROOT).strip()
    try:
        for folder in ("dags", "tests", "plugins", "include", ".astro"):
            succeed(["docker", "cp", project / folder, f"{container}:{HOME}/"], ROOT)
        return run(["docker", "start", "--attach", container], ROOT)
    finally:
        run(["docker", "rm", "--force", container], ROOT)
