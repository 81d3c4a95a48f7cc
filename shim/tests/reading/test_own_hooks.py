"""What the project's own Kedro hooks add to its configuration and its catalog."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from kedro_astro import cli
from kedro_astro.structure import Dataset
from parsing import IN_ORDER, parse
from projects import CATALOG, SALES, MakeProject, load

HOOKS = """
from kedro.framework.hooks import hook_impl
from kedro.io import MemoryDataset
from kedro_datasets.json import JSONDataset
class Kept(MemoryDataset):
    pass
class Hooks:
    @hook_impl
    def after_context_created(self, context):
        from omegaconf import OmegaConf
        OmegaConf.register_new_resolver("folder", lambda: "data", replace=True)
        self.context = context
    @hook_impl
    def after_catalog_created(self, catalog, parameters):
        assert self.context.env == "local" or self.context.env is None
        catalog["rate"] = parameters["params:rate"]
        catalog["doubled"] = Kept()
        catalog["more"] = JSONDataset(filepath=str(self.context.project_path / "data/more.json"))
HOOKS = (Hooks(),)
"""
PIPELINE = """
from kedro.pipeline import node, pipeline
def create_pipeline(**kwargs):
    return pipeline([
        node(lambda x, rate: x * rate, ["raw", "rate"], "doubled", name="first"),
        node(lambda x: x * 2, "doubled", "more", name="second"),
        node(lambda x: x + 1, "more", "total", name="third"),
    ])
"""
FILES = {
    "src/shop/settings.py": HOOKS,
    "src/shop/pipelines/sales/__init__.py": PIPELINE,
    "conf/base/parameters.yml": "rate: 2",
    # The hook replaces `doubled`: what the catalog says of it is not true.
    "conf/base/catalog.yml": CATALOG.replace("data/raw.json", "'${folder:}/raw.json'")
    + "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n",
    "data/raw.json": "21",
}


@pytest.mark.slow
def test_what_hooks_put_into_the_catalog_is_there(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(FILES)
    structure = load(project)
    assert structure.problems == () and structure.hooks == ""
    datasets = structure.datasets
    assert datasets["raw"].location == "data/raw.json"
    assert datasets["rate"] == Dataset("kedro.io.memory_dataset.MemoryDataset", False, given=True)
    assert datasets["doubled"] == Dataset("shop.settings.Kept", False, given=True)
    assert datasets["more"].persistent and datasets["more"].location == "data/more.json"
    assert parse(project, "print(json.dumps([*found['shop.sales'].task_dict]))") == [
        "first__second",
        "third",
    ]
    assert parse(project, IN_ORDER) == "done"
    (total,) = (project / "data/total.json").glob("*/*.json")
    assert total.read_text() == "85"
    monkeypatch.setattr(cli, "_project", lambda: project)
    assert CliRunner().invoke(cli.astro, "check").output == "2 pipelines, 0 findings\n"


def test_hooks_that_cannot_be_asked_here(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where their credentials are not there: the DAGs stay, and nothing is called wrong."""
    hooks = HOOKS.replace('catalog["rate"] = ', "1 / 0, ")
    files = {"src/shop/settings.py": hooks, "conf/base/catalog.yml": CATALOG}
    project = make_project({**FILES, **files})
    structure = load(project)
    assert structure.problems == () and len(structure.pipelines) == 2
    monkeypatch.setattr(cli, "_project", lambda: project)
    done = CliRunner().invoke(cli.astro, "check")
    assert done.exit_code == 0
    assert "warning: your hooks could not be asked what they put into the catalog" in done.output
    assert "ZeroDivisionError: division by zero\n    in src/shop/settings.py:" in done.output
    assert "warning: sales: node first needs rate" in done.output


def test_a_broken_catalog_is_the_catalogs_fault(make_project: MakeProject) -> None:
    """A hook is asked for a resolver that the catalog may need; what it says is another matter."""
    hooks = HOOKS.replace("self.context = context", "1 / 0")
    files = {"src/shop/settings.py": hooks, "conf/base/catalog.yml": "raw: ${nobody:}\n"}
    (problem,) = load(make_project({**FILES, **files})).problems
    assert "Unsupported interpolation type nobody" in problem and "catalog*.yml" in problem
    assert "ZeroDivisionError" not in problem


REGISTRIES = {
    "from kedro.pipeline import pipeline\n"
    "def register_pipelines():\n    return [pipeline([]), pipeline([])]\n": [
        "Error: ",
        "Does register_pipelines return a mapping?",
    ],
    "def register_pipelines():\n    pass\n": ["'NoneType'", "return a mapping?"],
}


@pytest.mark.parametrize(("registry", "says"), REGISTRIES.items())
def test_a_registry_that_is_none(make_project: MakeProject, registry: str, says: list[str]) -> None:
    problem, *_ = load(make_project({"src/shop/pipeline_registry.py": registry})).problems
    for part in says:
        assert part in problem


def test_entries_of_the_registry_that_are_no_pipelines(make_project: MakeProject) -> None:
    """Those that are, are read all the same; and no text of theirs stops the reading."""
    registry = (
        "from kedro.framework.project import find_pipelines\n"
        "def register_pipelines():\n"
        "    pipelines = find_pipelines(raise_errors=True)\n"
        "    strange = {'half \\ud800': pipelines['sales'], 3: pipelines['sales']}\n"
        "    return {**pipelines, **strange, 'few': [], 'none': None, 'later': lambda: 1}\n"
    )
    half = SALES.replace("return x * 2", "'''Half \\ud800.'''\n    return x * 2")
    files = {
        "src/shop/pipeline_registry.py": registry,
        "src/shop/pipelines/sales/__init__.py": half,
    }
    structure = load(make_project(files))
    assert [pipeline.name for pipeline in structure.pipelines] == ["__default__", "sales"]
    assert structure.pipelines[1].nodes[0].doc == "Half ?."
    assert sorted(structure.problems) == [
        "  The registry has under 'few' a list, which is no Pipeline.",
        "  The registry has under 'half \\ud800' a pipeline. Its name must be text: rename it.",
        "  The registry has under 'later' a function, which is no Pipeline.",
        "  The registry has under 'none' a NoneType, which is no Pipeline.",
        "  The registry has under 3 a pipeline. Its name must be text: rename it.",
    ]
