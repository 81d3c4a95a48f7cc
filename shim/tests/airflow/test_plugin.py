"""Airflow's plugin: which components warm up, from the project's own shim or from a package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from packages import run

TEMPLATE = Path(__file__).parents[3] / "template"
SHIM = TEMPLATE / "dags/kedro_astro"

# What Airflow does: it loads the plugin from a file or an entry point, and tells it of the start.
START = """
import multiprocessing, runpy, sys
import airflow.plugins_manager
from airflow.listeners.listener import get_listener_manager
plugin, arguments = sys.argv[1], sys.argv[2:]
sys.argv = ["/some/airflow", *arguments]
if plugin.endswith(".py"):
    load = lambda: runpy.run_path(plugin).get("KedroAstroWarm")
else:
    sys.path.append(plugin)
    def load():
        from kedro_astro.airflow.plugin import KedroAstroWarm
        return KedroAstroWarm
path = list(sys.path)
found = load()
print(len(found.listeners) if found else "none")
def in_a_fork():
    sys.modules.pop("kedro_astro.airflow.plugin", None)
    assert len(load().listeners) == 0
if found and found.listeners:
    child = multiprocessing.get_context("fork").Process(target=in_a_fork)
    child.start(); child.join()
    assert child.exitcode == 0
    manager, before = get_listener_manager(), {*sys.modules}
    (warm,) = found.listeners
    manager.add_listener(warm)
    manager.hook.on_starting(component=None)
    assert warm not in manager.pm.get_plugins()
    assert not {name for name in {*sys.modules} - before if name.startswith("kedro_astro")}
    if plugin.endswith(".py"):
        assert "kedro_astro" not in sys.modules
assert path == sys.path
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose shim only says what it is told."""
    project = tmp_path / "project"
    for name, text in {
        "plugins/kedro_astro_warm.py": (TEMPLATE / "plugins/kedro_astro_warm.py").read_text(),
        "dags/kedro_astro/__init__.py": "",
        "dags/kedro_astro/airflow/__init__.py": "",
        "dags/kedro_astro/airflow/plugin.py": (SHIM / "airflow/plugin.py").read_text(),
        "dags/kedro_astro/airflow/warm.py": "def warm_up(*what): print(*what)",
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return project


def start(project: Path, plugin: Path, *command: str) -> list[str]:
    """Load the plugin in a component and start that; return how many listeners it has, and what it
    hands to the warm start."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(project.parent / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    }
    return run(START, str(plugin), *command, env=env).splitlines()


def test_the_scheduler_warms_up_and_no_shim_is_left_in_it(project: Path) -> None:
    plugin = project / "plugins/kedro_astro_warm.py"
    said = f"{project} scheduler LocalExecutor False"
    listeners, *_, last = start(project, plugin, "scheduler", "--num-runs", "3")
    assert (listeners, last) == ("1", said)


def test_an_installed_package_warms_up_for_the_project_of_the_dags_folder(project: Path) -> None:
    site = project.parent / "lib/site-packages"
    site.mkdir(parents=True)
    (project / "dags/kedro_astro").rename(site / "kedro_astro")
    said = f"{project} scheduler LocalExecutor False"
    listeners, *_, last = start(project, site, "scheduler")
    assert (listeners, last) == ("1", said)


@pytest.mark.parametrize(
    "command", [[], ["dag-processor"], ["triggerer"], ["api-server"], ["celery"], ["standalone"]]
)
def test_no_other_component_does(project: Path, command: list[str]) -> None:
    assert start(project, project / "plugins/kedro_astro_warm.py", *command) == ["0"]


def test_a_shim_that_is_not_there_stops_nothing(project: Path) -> None:
    (project / "dags/kedro_astro").rename(project / "elsewhere")
    assert start(project, project / "plugins/kedro_astro_warm.py", "scheduler") == ["none"]
