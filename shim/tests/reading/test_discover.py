"""What discovery reads from real Kedro projects, in a fresh process as Airflow does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro_astro.airflow.manifest import read
from kedro_astro.structure import Dataset, Node
from projects import CATALOG, KEDRO_LOADS_ONE_ALONE, REGISTRY, SALES, MakeProject, load, write


def test_pipelines_nodes_and_datasets(make_project: MakeProject) -> None:
    structure = load(make_project())
    assert structure.problems == ()
    assert (structure.package_name, structure.project_name) == ("shop", "Shop")
    assert [pipeline.name for pipeline in structure.pipelines] == ["__default__", "sales"]
    assert structure.pipelines[1].nodes == (
        Node("first", ("raw",), ("doubled",)),
        Node("second", ("doubled",), ("total",)),
    )
    assert structure.datasets == {
        "raw": Dataset("json.JSONDataset", True, "data/raw.json"),
        "doubled": Dataset("kedro.io.MemoryDataset", False),
        "total": Dataset("json.JSONDataset", True, "data/total.json", versioned=True),
    }


LOADER = """
import yaml
from pathlib import Path
from kedro.config import AbstractConfigLoader
class Loader(AbstractConfigLoader):
    def __getitem__(self, key):
        return yaml.safe_load(Path(self.conf_source, "base", f"{key}.yml").read_text())
CONFIG_LOADER_CLASS = Loader
"""


def test_credentials_are_no_settings(make_project: MakeProject) -> None:
    """Where the base has no folder of its own, a pattern for settings is one for environments."""
    secret = "hunter2: {default: {retries: 3}}"
    files = {
        "src/shop/settings.py": "CONFIG_LOADER_ARGS = {'base_env': None}\n",
        "conf/airflow/credentials.yml": secret,
        "conf/airflow/airflow.yml": "sales: {retries: 2}",
        "conf/base/airflow/credentials.yml": secret,
        "conf/base/airflow/credentials/store.yml": secret,
    }
    for settings in (files["src/shop/settings.py"], ""):
        manifest = read(make_project({**files, "src/shop/settings.py": settings}))
        assert "hunter2" not in manifest.content.decode()
        assert manifest.structure().settings == {"sales": {"retries": 2}}


def test_a_file_whose_name_is_a_pattern(make_project: MakeProject) -> None:
    files = {"conf/base/airflow[1].yml": "sales: {retries: 2}", "conf/base/airflow.md": "# notes"}
    structure = load(make_project(files))
    assert structure.settings == {"sales": {"retries": 2}}
    assert structure.settings_file == "conf/base/airflow[1].yml"


def test_a_config_loader_that_knows_no_environments(make_project: MakeProject) -> None:
    files = {
        "src/shop/settings.py": LOADER,
        "conf/base/parameters.yml": "depth: 3",
        "conf/base/airflow.yml": "sales: {retries: 2}",
    }
    structure = load(make_project(files))
    assert structure.problems == () and structure.parameters == {"depth": 3}
    assert structure.settings == {"sales": {"retries": 2}}


def test_a_kedro_that_is_too_old(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site/kedro-0.19.14.dist-info/METADATA"
    info.parent.mkdir(parents=True)
    info.write_text("Metadata-Version: 2.1\nName: kedro\nVersion: 0.19.14\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    (problem,) = load(make_project()).problems
    assert "Kedro 0.19.14 for" in problem and "needs Kedro 1 or later" in problem


def test_the_airflow_environment_counts_if_there_is_one(make_project: MakeProject) -> None:
    factory = '"{any}": {type: pickle.PickleDataset, filepath: "data/{any}.pickle"}\n'
    structure = load(make_project({"conf/airflow/catalog.yml": factory}))
    assert structure.env == "airflow"
    assert structure.datasets["doubled"].location == "data/doubled.pickle"


def test_kedro_env_comes_first(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project({"conf/airflow/.gitkeep": "", "conf/test/.gitkeep": ""})
    monkeypatch.setenv("KEDRO_ENV", "test")
    assert load(project).env == "test"


def test_a_registered_name_that_is_no_folder(make_project: MakeProject) -> None:
    registry = REGISTRY.replace("return", 'pipelines["all of it"] = pipelines["sales"]\n    return')
    structure = load(make_project({"src/shop/pipeline_registry.py": registry}))
    assert [p.name for p in structure.pipelines] == ["__default__", "all of it", "sales"]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "src/shop/pipelines/sales/__init__.py",
            "x = (\n",
            ["SyntaxError: '(' was never closed", "in src/shop/pipelines/sales/__init__.py:1"],
        ),
        (
            "src/shop/pipelines/sales/__init__.py",
            "\nimport no_such_library\n",
            [
                "ModuleNotFoundError: No module named 'no_such_library'. If that is a library: ",
                "is it in requirements.txt, and installed in a version that has it?",
                "in src/shop/pipelines/sales/__init__.py:2",
            ],
        ),
        ("conf/base/catalog.yml", "raw: {type: [\n", ["catalog.yml"]),
        ("conf/base/catalog.yml", "3: {type: x}\n", ["The catalog of this project", "mapping"]),
        (
            "conf/base/catalog.yml",
            "raw: {x: '${globals:no}'}\n",
            ["'no' not found", "catalog*.yml"],
        ),
        ("conf/base/parameters.yml", "- 3\n", ["The parameters of this project", "mapping"]),
        ("src/shop/settings.py", "1 / 0\n", ["ZeroDivisionError", "in src/shop/settings.py:1"]),
        ("pyproject.toml", "[tool.kedro]\n", ["Missing required keys"]),
        ("src/shop/pipelines/sales/__init__.py", "import os; os._exit(7)", ["status 7"]),
    ],
)
def test_what_is_broken_and_where(
    make_project: MakeProject, file: str, text: str, says: list[str]
) -> None:
    (problem,) = load(make_project({file: text})).problems
    for part in says:
        assert part in problem
    assert "site-packages" not in problem


def test_a_pipeline_that_kedro_skips_with_a_warning_is_a_problem(
    make_project: MakeProject,
) -> None:
    structure = load(
        make_project(
            {
                "src/shop/pipeline_registry.py": REGISTRY.replace("raise_errors=True", ""),
                "src/shop/pipelines/broken/__init__.py": "import no_such_library\n",
            }
        )
    )
    assert "sales" in [pipeline.name for pipeline in structure.pipelines]
    (problem,) = structure.problems
    assert "shop.pipelines.broken" in problem and "no_such_library" in problem
    assert "in src/shop/pipelines/broken/__init__.py:1" in problem


@KEDRO_LOADS_ONE_ALONE
def test_the_other_pipelines_are_read_when_one_is_broken(make_project: MakeProject) -> None:
    """The registry asks for errors, so Kedro itself gives up on all of them."""
    more = SALES.replace("total", "more").replace("first", "third").replace("second", "fourth")
    files = {"src/shop/pipelines/more/__init__.py": more.replace("doubled", "twice")}
    project = make_project(files)
    assert [p.name for p in load(project).pipelines] == ["__default__", "more", "sales"]

    make_project({**files, "src/shop/pipelines/more/__init__.py": "import no_such_library\n"})
    manifest = read(project)
    assert manifest.dag_ids == ("shop", "shop.more", "shop.sales")  # the broken ones as they were
    (problem,) = manifest.problems
    assert "in src/shop/pipelines/more/__init__.py:1" in problem

    (project / ".kedro-astro/manifest.jsonl").unlink()
    assert read(project).dag_ids == ("shop.sales",)


def test_parameters_by_dotted_name_if_json_can_hold_them(make_project: MakeProject) -> None:
    parameters = """
    seed: 1
    model: {depth: 3, names: [a, b], options: {}, none: null}
    when: 2024-01-01
    odd: .nan
    7: seven
    """
    structure = load(make_project({"conf/base/parameters.yml": parameters}))
    assert structure.parameters == {
        "seed": 1,
        "model.depth": 3,
        "model.names": ["a", "b"],
        "model.options": {},
        "model.none": None,
        "when": "2024-01-01",
    }


def test_docstrings(make_project: MakeProject) -> None:
    text = '"""What we sold."""' + SALES.replace("return x", '"""Twice."""\n    return x')
    structure = load(make_project({"src/shop/pipelines/sales/__init__.py": text}))
    sales = structure.pipelines[1]
    assert sales.doc == "What we sold." and sales.nodes[0].doc == "Twice."


def test_functions_without_a_name_of_their_own(make_project: MakeProject) -> None:
    text = """
    from functools import partial
    from kedro.pipeline import node, pipeline
    def power(x, by):
        return x ** by
    def create_pipeline(**kwargs):
        return pipeline([
            node(lambda x: x, "raw", "same"),
            node(partial(power, by=2), "same", "total"),
        ])
    """
    structure = load(make_project({"src/shop/pipelines/sales/__init__.py": text}))
    assert structure.problems == ()
    names = [node.name for node in structure.pipelines[1].nodes]
    assert names[0].startswith("<lambda>") and names[1].startswith("partial(power)")
    assert [node.doc for node in structure.pipelines[1].nodes] == ["", ""]


def test_pipelines_made_of_others(make_project: MakeProject) -> None:
    """A modular registry: one pipeline used twice under namespaces, and sums of pipelines."""
    registry = """
    from kedro.framework.project import find_pipelines
    from kedro.pipeline import pipeline
    def register_pipelines():
        pipelines = find_pipelines(raise_errors=True)
        for shop in ("north", "south"):
            pipelines[shop] = pipeline(
                pipelines["sales"], namespace=shop, inputs={"raw"}, parameters=set()
            )
        pipelines["both"] = pipelines["north"] + pipelines["south"]
        pipelines["__default__"] = pipelines["both"] + pipelines["sales"]
        return pipelines
    """
    catalog = CATALOG + '"{shop}.total": {type: json.JSONDataset, filepath: "data/{shop}.json"}\n'
    files = {"src/shop/pipeline_registry.py": registry, "conf/base/catalog.yml": catalog}
    structure = load(make_project(files))
    assert structure.problems == ()
    nodes = {p.name: [node.name for node in p.nodes] for p in structure.pipelines}
    assert nodes["both"] == ["north.first", "south.first", "north.second", "south.second"]
    assert sorted(nodes["__default__"]) == sorted([*nodes["both"], "first", "second"])
    assert structure.datasets["south.total"].location == "data/south.json"


def test_a_place_in_a_folder_with_quotes_in_its_name(tmp_path: Path) -> None:
    files = {"src/shop/pipelines/sales/__init__.py": "x = (\n"}
    (problem,) = load(write(tmp_path / 'Zoë\'s "shop"', files)).problems
    assert "in src/shop/pipelines/sales/__init__.py:1" in problem
