"""The example as a Kedro project: what its owner does with it without Airflow."""

import json
import site
import subprocess
from pathlib import Path

from scaffold import python, succeed


def test_kedro_run_makes_a_model_metrics_and_a_plot(after_kedro_run: Path) -> None:
    data = after_kedro_run / "data"
    assert json.loads((data / "08_reporting/metrics.json").read_text())["accuracy"] > 0.9
    assert (data / "08_reporting/penguin_plot.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((data / "06_models/classifier.pickle").iterdir())) == 1


def test_kedro_run_leaves_the_sources_alone(after_kedro_run: Path, penguins: Path) -> None:
    for name in ("pyproject.toml", "conf/base/catalog.yml"):
        assert (after_kedro_run / name).read_text() == (penguins / name).read_text()


def test_every_pipeline_is_registered(penguins: Path) -> None:
    listed = succeed(python("-m", "kedro", "registry", "list"), penguins)
    for name in ("__default__", "data_processing", "data_science", "reporting"):
        assert f"- {name}\n" in listed


def test_astro_dev_parse_finds_nothing_wrong(penguins: Path, tmp_path: Path) -> None:
    integrity = ".astro/test_dag_integrity_default.py"
    env = {"AIRFLOW_HOME": str(tmp_path)}
    succeed(python("-m", "pytest", "-p", "no:cacheprovider", integrity), penguins, env)


def test_a_reader_that_has_seen_enough_is_no_error(after_kedro_run: Path) -> None:
    """As in `kedro astro list | head -1`."""
    command = [*map(str, python("-W", "ignore", "dags/kedro_astro", "list"))]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=after_kedro_run, text=True, **streams) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""


def test_kedro_astro_is_a_command_of_the_installed_project(
    after_kedro_run: Path, tmp_path: Path
) -> None:
    """As after `uv sync`: the project is installed editable, beside Kedro."""
    venv = tmp_path / "venv"
    succeed(python("-m", "venv", "--without-pip", venv), tmp_path)
    packages = next(venv.glob("lib/*/site-packages"))
    (packages / "what-is-installed-here.pth").write_text(site.getsitepackages()[0])
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--editable"]
    succeed(python("-m", "pip", "--python", venv, "install", *options, after_kedro_run), tmp_path)
    output = succeed([venv / "bin/python", "-m", "kedro", "astro", "--help"], after_kedro_run)
    assert "up" in output and "compile" in output
