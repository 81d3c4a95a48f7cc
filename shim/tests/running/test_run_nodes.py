"""One task's nodes in one Kedro session, each in a process of its own as a worker has it."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro_astro.airflow.manifest import read
from parsing import SHIM
from projects import CATALOG, KEDRO_LOADS_ONE_ALONE, OTHER, REGISTRY, SALES, TELLING, MakeProject

RUN = """
import json, logging, sys
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
from kedro_astro.running.places import worker
from kedro_astro.running.protocol import Session
worker(Session(**json.loads(sys.argv[1])), lambda secret: None)
"""
PARAMETERS = """
from kedro.pipeline import node, pipeline
def scale(x, by, rest):
    return [x * by, rest]
def create_pipeline(**kwargs):
    inputs = ["raw", "params:size.by", "params:size.rest"]
    return pipeline([node(scale, inputs, "total", name="first")])
"""
HOOKS = (
    TELLING
    + """
class Tell(Telling):
    @hook_impl
    def before_pipeline_run(self, run_params):
        self.tell("before " + ",".join(run_params["node_names"]))
    @hook_impl
    def after_node_run(self, node):
        self.tell("node " + node.name)
    @hook_impl
    def after_pipeline_run(self):
        self.tell("after")
HOOKS = (Tell(),)
"""
)


PARSED = """
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
DagBag("dags/any.py")
"""
"""What a task's process does first, and what it leaves behind there."""


def run(project: Path, before: str = "", **given: Any) -> subprocess.CompletedProcess[str]:
    given = {"nodes": ["first", "second"], **given}
    given = {"pipeline": "sales", "run_id": "2026-01-01T00.00.00.000Z", **given}
    given["project"] = str(project)
    return subprocess.run(
        [sys.executable, "-c", before + RUN, json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(SHIM)},
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def total(project: Path, version: str = "2026-01-01T00.00.00.000Z") -> Any:
    return json.loads((project / "data/total.json" / version / "total.json").read_text())


@pytest.fixture
def project(make_project: MakeProject) -> Path:
    return make_project({"data/raw.json": "21"})


def test_nodes_run_and_save_under_the_version(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert total(project) == 84


def test_log_lines_keep_level_and_logger_and_nothing_is_rich(project: Path) -> None:
    lines = run(project).stdout.splitlines()
    assert "INFO kedro.runner.sequential_runner Completed node: first" in lines
    assert not any("Heap" in line or "usage data" in line for line in lines)


def test_runtime_params_reach_nested_parameters(make_project: MakeProject) -> None:
    files = {
        "src/shop/pipelines/sales/__init__.py": PARAMETERS,
        "conf/base/parameters.yml": "size: {by: 2, rest: kept}\n",
        "data/raw.json": "21",
    }
    project = make_project(files)
    done = run(project, nodes=["first"], runtime_params={"size": {"by": 3}})
    assert done.returncode == 0, done.stderr
    assert total(project) == [63, "kept"]


@pytest.mark.parametrize(
    "typed",
    ["${oc.env:HOME}", "a ${b", "${", r"\${x}", r"\\${oc.env:HOME}", "}", "$${a}", "plain \\ text"],
)
def test_what_is_typed_into_the_form_is_data(make_project: MakeProject, typed: str) -> None:
    """Whoever may start a run may not call resolvers: those of the environment, above all."""
    node = PARAMETERS.replace("x * by, rest", "by, rest")
    files = {
        "src/shop/pipelines/sales/__init__.py": node,
        "conf/base/parameters.yml": "size: {by: a, rest: [a]}\n",
        "data/raw.json": "21",
    }
    project = make_project(files)
    done = run(project, nodes=["first"], runtime_params={"size": {"by": typed, "rest": [typed]}})
    assert done.returncode == 0, done.stderr
    assert total(project) == [typed, [typed]]


def test_a_value_that_omegaconf_takes_for_none(project: Path) -> None:
    done = run(project, runtime_params={"a": ["???"]})
    assert done.returncode == 1 and "A parameter of this run is ???" in done.stderr


STORE = """
import json
from pathlib import Path
from kedro.framework.session.store import BaseSessionStore
class Store(BaseSessionStore):
    def save(self):
        Path("saved.json").write_text(json.dumps(self.data, default=str))
SESSION_STORE_CLASS = Store
"""


def test_the_projects_session_store_keeps_the_session(make_project: MakeProject) -> None:
    project = make_project({"src/shop/settings.py": STORE, "data/raw.json": "21"})
    done = run(project)
    assert done.returncode == 0, done.stderr
    saved = json.loads((project / "saved.json").read_text())
    assert saved["session_id"] == "2026-01-01T00.00.00.000Z"


def test_a_pipeline_that_is_no_folder(make_project: MakeProject) -> None:
    registry = REGISTRY.replace("return", 'pipelines["all of it"] = pipelines["sales"]\n    return')
    project = make_project({"src/shop/pipeline_registry.py": registry, "data/raw.json": "21"})
    assert run(project, pipeline="all of it").returncode == 0
    assert total(project) == 84


def test_a_config_loader_of_the_projects_own(make_project: MakeProject) -> None:
    """One that takes no other arguments than those Kedro has always given it."""
    loader = """
    from kedro.config import OmegaConfigLoader
    class Loader(OmegaConfigLoader):
        def __init__(self, conf_source, env, runtime_params, base_env, default_run_env):
            super().__init__(conf_source, env, runtime_params,
                             base_env=base_env, default_run_env=default_run_env)
    CONFIG_LOADER_CLASS = Loader
    """
    project = make_project({"src/shop/settings.py": loader, "data/raw.json": "21"})
    done = run(project, pipeline="__default__")
    assert done.returncode == 0, done.stderr


def test_a_wheel_of_the_project_does_not_hide_its_source(make_project: MakeProject) -> None:
    """A Dockerfile of before may install one; Kedro puts the source folder before it."""
    project = make_project({"data/raw.json": "21"})
    wheel = project / "lib/shop/pipelines/sales/__init__.py"
    wheel.parent.mkdir(parents=True)
    for package in (wheel.parents[1], wheel.parents[2]):
        (package / "__init__.py").touch()
    wheel.write_text(SALES.replace("x * 2", "x * 5"), encoding="utf-8")
    done = run(project, before=f"import sys; sys.path.insert(0, {str(project / 'lib')!r})\n")
    assert done.returncode == 0, done.stderr
    assert total(project) == 84


@KEDRO_LOADS_ONE_ALONE
def test_another_pipeline_that_is_broken_does_not_matter(make_project: MakeProject) -> None:
    files = {"src/shop/pipelines/more/__init__.py": "x = (", "data/raw.json": "21"}
    project = make_project(files)
    assert run(project).returncode == 0
    assert total(project) == 84


def test_an_entry_that_the_nodes_do_not_use_is_not_touched(make_project: MakeProject) -> None:
    """Its class is not even imported: one library that is missing fails no other task."""
    more = "more: {type: shop.broken.Dataset}\nless: {type: not.installed.Dataset}\n"
    files = {
        "conf/base/catalog.yml": CATALOG + more,
        "src/shop/broken.py": "raise RuntimeError('touched')",
        "data/raw.json": "21",
    }
    project = make_project(files)
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert total(project) == 84


def test_a_task_of_the_whole_project_imports_what_kedro_run_would(
    make_project: MakeProject,
) -> None:
    """What another folder does when it is imported, as registering a pandas accessor, is done."""
    files = {
        "src/shop/pipelines/more/__init__.py": (
            f"import builtins\nbuiltins.factor = lambda: 2\n{OTHER}"
        ),
        "src/shop/pipelines/sales/__init__.py": SALES.replace("x * 2", "x * factor()"),
        "data/raw.json": "21",
    }
    project = make_project(files)
    done = run(project, pipeline="__default__")
    assert done.returncode == 0, done.stderr
    assert total(project) == 84


def test_what_modules_do_to_warnings_stays(make_project: MakeProject) -> None:
    loud = "import warnings\nwarnings.filterwarnings('error', 'mine')\n" + SALES.replace(
        "return x * 2", "warnings.warn('mine')\n    return x * 2"
    )
    files = {"src/shop/pipelines/sales/__init__.py": loud, "data/raw.json": "21"}
    done = run(make_project(files))
    assert done.returncode == 1 and "UserWarning: mine" in done.stderr


@KEDRO_LOADS_ONE_ALONE
def test_a_folder_that_loads_only_behind_another(make_project: MakeProject) -> None:
    """`more` and `sales` import each other, which works if `more` comes first."""
    first = "    find_pipelines(pipelines_to_find=['more'])\n    pipelines ="
    files = {
        "src/shop/pipelines/more/__init__.py": (
            f"RATE = 2\nfrom shop.pipelines.sales import double as again\n{OTHER}"
        ),
        "src/shop/pipelines/sales/__init__.py": f"from shop.pipelines.more import RATE\n{SALES}",
        "src/shop/pipeline_registry.py": REGISTRY.replace("    pipelines =", first, 1),
        "data/raw.json": "21",
    }
    project = make_project(files)
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert "sales" not in done.stderr and total(project) == 84


MIXED = """
from kedro.framework.project import find_pipelines
def register_pipelines():
    pipelines = find_pipelines(raise_errors=True)
    if {"sales", "more"} <= pipelines.keys():
        pipelines["mixed"] = (
            pipelines["sales"].only_nodes("first") + pipelines["more"].only_nodes("two")
        )
    return pipelines
"""


def test_a_task_of_nodes_from_two_folders_has_them_from_the_registry(
    make_project: MakeProject,
) -> None:
    """The folders as they are may not go together: here both have a node called `second`."""
    more = SALES.replace('name="first"', 'name="second"').replace("doubled", "total", 1)
    more = more.replace('"raw", "total", name="second"', '"raw", "rest", name="second"')
    more = more.replace('"doubled", "total", name="second"', '"doubled", "total", name="two"')
    files = {
        "src/shop/pipelines/more/__init__.py": more,
        "src/shop/pipeline_registry.py": MIXED,
        "data/raw.json": "21",
    }
    project = make_project(files)
    (mixed,) = (b for b in read(project).blueprints() if b["pipeline"] == "mixed")
    (task,) = mixed["tasks"]
    assert task["work"]["nodes"] == ["first", "two"]
    done = run(project, pipeline="mixed", nodes=["first", "two"])
    assert done.returncode == 0, done.stderr
    assert total(project) == 84


def test_the_projects_hooks_fire_once_a_task(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    project = make_project({"src/shop/settings.py": HOOKS, "data/raw.json": "21"})
    assert run(project).returncode == 0
    told = (tmp_path / "told").read_text().splitlines()
    assert told == ["before first,second", "node first", "node second", "after"]


def test_a_version_is_never_saved_over(project: Path) -> None:
    assert run(project).returncode == 0
    (project / "data/raw.json").write_text("1")
    done = run(project)
    assert done.returncode != 0 and "must not exist" in done.stderr
    assert total(project) == 84


@pytest.mark.slow
def test_a_run_loads_the_version_it_is_told(make_project: MakeProject) -> None:
    reader = SALES.replace('"doubled"', '"total"').replace(
        '"total", name="second"', '"end", name="second"'
    )
    catalog = CATALOG + "end: {type: json.JSONDataset, filepath: data/end.json}\n"
    files = {"src/shop/pipelines/sales/__init__.py": reader, "conf/base/catalog.yml": catalog}
    project = make_project({**files, "data/raw.json": "21"})
    first, later = "2026-01-01T00.00.00.000Z", "2026-02-01T00.00.00.000Z"
    assert run(project, nodes=["first"], run_id=first).returncode == 0
    (project / "data/raw.json").write_text("1")
    assert run(project, nodes=["first"], run_id=later).returncode == 0
    assert run(project, nodes=["second"], load_versions={"total": first}).returncode == 0
    assert json.loads((project / "data/end.json").read_text()) == 84
    # Another run's versions are no reason to say that this one's is there.
    lost = {"load_versions": {"total": "2026-03-01T00.00.00.000Z"}}
    assert "that shares no disk with this one" in run(project, nodes=["second"], **lost).stderr


def test_what_is_not_on_this_disk_is_named_with_the_remedy(make_project: MakeProject) -> None:
    """Another worker may have saved it. What is there and cannot be read is not named so."""
    project = make_project({"data/raw.json": "not JSON"})
    said = run(project).stderr
    assert "Failed while loading data" in said and "shares no disk" not in said
    (project / "data/raw.json").unlink()
    said = run(project).stderr
    assert "DatasetError: raw, at data/raw.json, could not be loaded: FileNotFoundError" in said
    assert f"shares no disk with this one, {platform.node()}: set data_root" in said


def test_partitions_that_one_task_saves_are_what_another_loads(make_project: MakeProject) -> None:
    pipeline = """
    from kedro.pipeline import node, pipeline
    def split(x):
        return {"tens": x // 10, "ones": lambda: x % 10}
    def join(parts):
        return {name: load() for name, load in sorted(parts.items())}
    def create_pipeline(**kwargs):
        return pipeline([
            node(split, "raw", "parts", name="first"), node(join, "parts", "total", name="second")
        ])
    """
    catalog = CATALOG + (
        "parts: {type: partitions.PartitionedDataset, path: data/parts, filename_suffix: .json, "
        "dataset: {type: json.JSONDataset}}\n"
    )
    files = {"src/shop/pipelines/sales/__init__.py": pipeline, "conf/base/catalog.yml": catalog}
    project = make_project({**files, "data/raw.json": "42"})
    for name in ("first", "second"):
        done = run(project, nodes=[name])
        assert done.returncode == 0, done.stderr
    assert total(project) == {"ones": 2, "tens": 4}


@pytest.mark.slow
def test_a_crash_ends_the_process_after_airflows_parse(make_project: MakeProject) -> None:
    """It would go on crashing for ever: Airflow's handler returns to what has crashed."""
    crash = SALES.replace("    return x * 2", "    import ctypes; ctypes.string_at(0)")
    dags = {"dags/any.py": "# airflow dag"}
    project = make_project({"src/shop/pipelines/sales/__init__.py": crash, **dags})
    (project / "data").mkdir()
    (project / "data/raw.json").write_text("21")
    assert run(project, PARSED).returncode == -signal.SIGSEGV
