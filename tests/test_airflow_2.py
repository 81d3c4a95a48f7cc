"""A project on Airflow 2: what is written for it, and the example on a real 2.10 and 2.11."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import copier
import httpx
import pytest
import yaml
from scaffold import ROOT, Releases, commit, run, scaffold, succeed
from tasks import RESULTS
from up import Up, up

RUNTIMES = {"2.11": "13.4.0-python-3.12", "2.10": "12.11.0-python-3.11"}
VENVS = {"2.11": ".venv-oldest", "2.10": ".venv-astro-sdk"}


@pytest.mark.slow
class TestWhatIsWritten:
    @pytest.fixture(scope="class", params=RUNTIMES)
    def project(self, request: pytest.FixtureRequest, tmp_path_factory) -> tuple[str, Path]:
        folder = tmp_path_factory.mktemp("two") / "penguins"
        return request.param, scaffold(folder, runtime=RUNTIMES[request.param])

    def test_the_image(self, project: tuple[str, Path]) -> None:
        version, folder = project
        tag = f"quay.io/astronomer/astro-runtime:{RUNTIMES[version]}"
        assert (folder / "Dockerfile").read_text().startswith(f"FROM {tag}\n")
        assert f"apache-airflow~={version}.0" in (folder / "pyproject.toml").read_text()

    def test_the_services_are_those_of_the_astro_cli(self, project: tuple[str, Path]) -> None:
        """It has no other for Airflow 2 that needs what is not in the image."""
        said = yaml.safe_load((project[1] / "docker-compose.override.yml").read_text())
        assert said["services"].keys() == {"scheduler"}
        scheduler = said["services"]["scheduler"]
        assert "./conf:/usr/local/airflow/conf:ro,z" in scheduler["volumes"]
        assert "airflow db migrate && exec" in scheduler["command"][-1]


EDITS = {
    "Dockerfile": "RUN echo mine\n",
    "docker-compose.override.yml": "  mine:\n    image: busybox\n",
    "pyproject.toml": "\n[tool.mine]\n",
    "requirements.txt": "mine==1.0\n",
    "packages.txt": "mine\n",
    "README.md": "mine\n",
    ".gitignore": "mine\n",
    ".dockerignore": "mine\n",
    ".pre-commit-config.yaml": "# mine\n",
    ".github/workflows/test.yml": "# mine\n",
    "conf/base/catalog.yml": "mine: {type: MemoryDataset}\n",
    "conf/base/parameters.yml": "mine: 1\n",
    "conf/base/globals.yml": "mine: 1\n",
    "conf/airflow/airflow.yml": "# mine\n",
    "conf/airflow/catalog.yml": "# mine\n",
    "src/penguins/settings.py": "# mine\n",
    "src/penguins/pipelines/reporting/nodes.py": "# mine\n",
    "tests/test_pipelines.py": "# mine\n",
    "dags/mine.py": "# mine\n",
    "plugins/mine.py": "# mine\n",
}
"""Lines of an owner's, at the end of files of every kind."""


@pytest.mark.slow
def test_one_update_brings_airflow_3_and_loses_no_line(tmp_path: Path) -> None:
    template = Releases(tmp_path / "template")
    template.release("0.1.0")
    answers = {"project_name": "Penguins", "runtime": RUNTIMES["2.11"]}
    project = template.copy(tmp_path / "p", **answers)
    for name, line in EDITS.items():
        with (project / name).open("a") as file:
            file.write(line)
    commit(project, "mine")
    template.release("0.2.0")
    answer = {"runtime": "3.3-8-python-3.12"}
    copier.run_update(project, data=answer, defaults=True, quiet=True, overwrite=True)
    fresh = template.copy(tmp_path / "fresh", **{**answers, **answer})
    assert len(EDITS) == 20
    for name, line in EDITS.items():
        there = (fresh / name).read_text() if (fresh / name).exists() else ""
        assert (project / name).read_text() == there + line, name


SINCE_3 = {
    "a factor": ("retry_exponential_backoff: 3", "retry_exponential_backoff is 3"),
    "a timetable": (
        "schedule: {timetable: airflow.sdk.CronPartitionTimetable, arguments: {cron: '@daily'}}",
        "the timetable airflow.sdk.CronPartitionTimetable, which cannot be imported",
    ),
}
"""What airflow.yml may say since Airflow 3, and what `check` says of that before."""


@pytest.mark.airflow_2
@pytest.mark.parametrize("what", SINCE_3)
@pytest.mark.parametrize("version", VENVS)
def test_check_says_what_airflow_2_cannot_do(tmp_path: Path, version: str, what: str) -> None:
    setting, says = SINCE_3[what]
    project = scaffold(tmp_path / "p", runtime=RUNTIMES[version], place="venv")
    (project / "conf/airflow/airflow.yml").write_text(f"data_science: {{{setting}}}\n")
    env = {"KEDRO_ASTRO_PYTHON": sys.executable, "AIRFLOW_HOME": str(tmp_path / "airflow")}
    python = ROOT / VENVS[version] / "bin/python"
    done = run([python, "-W", "ignore", "dags/kedro_astro", "check"], project, env)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert "Airflow refuses the DAG of the pipeline data_science" in said and says in said
    assert "Traceback" not in said


@pytest.mark.airflow_2
@pytest.mark.parametrize("version", VENVS)
def test_compile_leaves_no_logs(tmp_path: Path, version: str) -> None:
    """In an image all services would copy them to the disk that they share, at once, and fail."""
    project = scaffold(tmp_path / "p", runtime=RUNTIMES[version], place="venv")
    env = {"KEDRO_ASTRO_PYTHON": sys.executable, "AIRFLOW_HOME": str(tmp_path / "airflow")}
    python = ROOT / VENVS[version] / "bin/python"
    manifest = tmp_path / "manifest.jsonl"
    succeed([python, "-W", "ignore", "dags/kedro_astro", "compile", manifest], project, env)
    assert manifest.exists() and not (tmp_path / "airflow/logs").exists()


@pytest.mark.airflow_2
class TestUp:
    @pytest.fixture(scope="class", params=VENVS)
    def airflow(
        self, request: pytest.FixtureRequest, tmp_path_factory
    ) -> Iterator[tuple[Up, Path]]:
        python = ROOT / VENVS[request.param] / "bin/python"
        assert python.exists(), "`make test-airflow-2` installs it"
        folder = tmp_path_factory.mktemp("up") / "penguins"
        project = scaffold(
            folder, runtime=RUNTIMES[request.param], project_name="Penguins", place="venv"
        )
        with up(project, python) as airflow:
            assert airflow.get("/version")["version"].startswith(request.param)
            yield airflow, project

    def test_the_example_as_kedro_run_leaves_it(
        self, airflow: tuple[Up, Path], after_kedro_run: Path
    ) -> None:
        api, project = airflow
        assert api.run("penguins", api.trigger("penguins"))["state"] == "success"
        for name in RESULTS:
            here, there = (p / "data/08_reporting" / name for p in (project, after_kedro_run))
            assert here.read_bytes() == there.read_bytes()

    @pytest.mark.parametrize("headers", [{"Host": "evil.test"}, {"Origin": "http://evil.test"}])
    def test_nobody_else_is_answered(
        self, airflow: tuple[Up, Path], headers: dict[str, str]
    ) -> None:
        api, _ = airflow
        found = httpx.get(f"{api.api}/dags", headers=headers, trust_env=False)
        assert found.status_code == 403 and "no page of another site" in found.text
        assert httpx.get(f"{api.url}/home", trust_env=False).is_success
