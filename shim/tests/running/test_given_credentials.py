"""Credentials that a session is given, over those in files, in both kinds of process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from kedro_astro.running.places import venv
from kedro_astro.running.protocol import Session
from parsing import SHIM
from projects import CATALOG, MakeProject

SECRET = "hunter2-of-the-connection"
KEYED = """
from pathlib import Path
from kedro.io import AbstractDataset
class Keyed(AbstractDataset):
    def __init__(self, credentials):
        self.credentials = credentials
    def _load(self):
        for name in ("environ", "cmdline"):
            assert self.credentials["key"] not in Path("/proc/self", name).read_text()
        print("the key is", self.credentials["key"])
        return [self.credentials]
    def _save(self, data):
        pass
    def _describe(self):
        return {}
"""
NODE = """
from kedro.pipeline import node, pipeline
def create_pipeline(**kwargs):
    return pipeline([node(list, "keyed", "total", name="first")])
"""
OWN_LOADER = """
from kedro.config import AbstractConfigLoader, OmegaConfigLoader
class Own(AbstractConfigLoader):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.update({name: OmegaConfigLoader(**arguments)[name] for name in ("catalog",)})
        self.update(parameters={})
CONFIG_LOADER_CLASS = Own
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
"""
REPLACES = """
from kedro.framework.hooks import hook_impl
class Replace:
    @hook_impl
    def after_context_created(self, context):
        assert context.config_loader["credentials"]["store"]["key"].startswith("hunter2")
        context.config_loader["credentials"] = {"other": {"key": "of the hook"}}
HOOKS = (Replace(),)
"""
IN_FILES = {"conf/local/credentials.yml": "store: {key: of-a-file}\nother: {key: as-it-was}\n"}
WORKER = """
import sys
from kedro_astro.running.places import worker
from kedro_astro.running.protocol import Session
worker(Session.from_json(sys.stdin.readline()), lambda secret: print("mask", secret))
"""


@pytest.fixture(params=["worker", "venv"])
def loaded(request: pytest.FixtureRequest, make_project: MakeProject, no_airflow: str):
    """Return a function that runs a session and returns what the dataset got, and what was masked.

    The secret is masked before it is printed.
    """

    def run(files: dict[str, str], **given: object) -> tuple[object, list[str]]:
        pipeline = {"src/shop/pipelines/sales/__init__.py": NODE, "src/shop/keyed.py": KEYED}
        catalog = CATALOG + "keyed: {type: shop.keyed.Keyed, credentials: store}\n"
        project = make_project({**pipeline, "conf/base/catalog.yml": catalog, **files})
        version = "2026-01-01T00.00.00.000Z"
        wanted = Session(str(project), "sales", ("first",), version, credentials=given)
        masked: list[str] = []
        if request.param == "venv":
            venv(wanted, masked.append, no_airflow, lambda end: None)
        else:
            done = subprocess.run(
                [sys.executable, "-c", WORKER],
                input=wanted.to_json(),
                env={**os.environ, "PYTHONPATH": str(SHIM)},
                cwd=project,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            before, _, _ = done.stdout.partition("the key is")
            masked += [line.removeprefix("mask ") for line in before.splitlines()]
        (found,) = json.loads((project / "data/total.json" / version / "total.json").read_text())
        return found, masked

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "files",
    [IN_FILES, {"src/shop/settings.py": OWN_LOADER}, {"src/shop/settings.py": REPLACES}],
    ids=["files", "own loader", "hook"],
)
def test_a_dataset_gets_them_and_they_are_masked_before(loaded, files: dict[str, str]) -> None:
    # OmegaConf is to resolve nothing in them.
    nested = {"key": SECRET, "client_kwargs": {"endpoint_url": "${oc.env:HOME}"}}
    found, masked = loaded(files, store=nested)
    assert found == nested
    assert {SECRET, "${oc.env:HOME}"} <= {*masked}
    if files == IN_FILES:
        assert "as-it-was" in masked


def test_a_session_does_not_show_them() -> None:
    session = Session(
        "p", "sales", ["first"], "v", ["after_pipeline_run"], credentials={"store": {"key": SECRET}}
    )
    assert SECRET not in repr(session) + str(replace(session, run_id="w"))
    assert Session.from_json(session.to_json()).credentials == session.credentials
