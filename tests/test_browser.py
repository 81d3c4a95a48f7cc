"""What Airflow's UI shows of a project, looked at in Chromium.

Each look leaves a picture in build/screenshots; docs/airflow.png is the one of the graph.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from client import Client
from kedro_astro.airflow.standalone import running
from playwright.sync_api import Page, expect, sync_playwright
from scaffold import DAGS, ROOT, scaffold

PICTURES = ROOT / "build/screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
# One that is not to phone home, on machines without a screen, a GPU or, as root, a sandbox.
OPTIONS = """
--disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync
""".split()
OF_ROOT = [] if os.geteuid() else ["--no-sandbox"]

AT_REST = """() => {
    const now = document.querySelector(".react-flow__viewport").style.transform;
    const same = window.before === now;
    window.before = now;
    return same;
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM and not os.environ.get("CI"), reason="there is no Chromium: install it"
    ),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with a task for each node, so that a namespace is a task group."""
    project = scaffold(tmp_path_factory.mktemp("browser") / "penguins", project_name="Penguins")
    (project / "conf/airflow/airflow.yml").write_text("default: {grouping: node}\n")
    catalog = project / "conf/base/catalog.yml"
    in_memory = r'"data_science\.\{part\}_\w+":\n  type: MemoryDataset\n'
    text, found = re.subn(in_memory, "", catalog.read_text())
    assert found == 2
    catalog.write_text(text)
    return project


@pytest.fixture(scope="module")
def airflow(project: Path) -> Iterator[Client]:
    with running(project, project / ".kedro-astro/airflow") as found:
        client = Client.of(found)
        client.wait_for("the DAGs", lambda: client.dag_ids() == DAGS)
        yield client


@pytest.fixture(scope="module")
def page(airflow: Client) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, *OF_ROOT])
        page = browser.new_page(
            base_url=airflow.url,
            viewport={"width": 1400, "height": 800},
            color_scheme="light",
            reduced_motion="reduce",
        )
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield page
        browser.close()


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def test_the_dags_are_listed_with_their_tags(page: Page) -> None:
    page.goto("/dags")
    expect(page.get_by_test_id("dag-id")).to_have_text(DAGS)
    expect(page.get_by_role("link", name="kedro", exact=True)).to_have_count(len(DAGS))
    picture(page, "dags")


def test_the_trigger_form_has_the_projects_parameters(page: Page, airflow: Client) -> None:
    """A value changed in the form reaches the run."""
    page.goto("/dags/penguins")
    page.get_by_test_id("trigger-dag-button").click()
    page.get_by_role("button", name="data_science").click()
    features = page.locator("[name='element_data_science.features']")
    expect(features).to_have_value("flipper_length_mm\nbill_length_mm")
    seed, share = page.get_by_role("spinbutton").all()
    expect(seed).to_have_value("42")
    expect(share).to_have_value("0.3")
    seed.fill("7")
    expect(page.get_by_role("dialog")).to_have_css("opacity", "1")
    picture(page, "trigger-form")
    page.get_by_test_id("trigger-dag-submit").click()
    runs = airflow.wait_for("a run", lambda: airflow.runs("penguins"))
    assert runs[0].conf["data_science.seed"] == 7
    assert airflow.wait_for_run("penguins", runs[0].dag_run_id) == "success"


def test_the_graph_has_task_groups(page: Page, airflow: Client) -> None:
    run_id = airflow.runs("penguins")[0].dag_run_id
    page.goto(f"/dags/penguins/runs/{quote(run_id)}")
    page.get_by_label("Show Graph").click()
    graph = page.locator(".react-flow")
    expect(graph.get_by_text("plot_penguins")).to_be_visible()
    expect(graph.get_by_text("train_classifier")).to_have_count(0)
    page.get_by_test_id("expand-all-button").click()
    for node in ("split_penguins", "train_classifier", "evaluate_classifier"):
        expect(graph.get_by_text(node)).to_be_visible()
    page.get_by_label("Collapse Details Panel").click()
    page.get_by_label("Fit View").click()
    page.wait_for_function(AT_REST, polling=500)
    picture(page, "graph")


def test_a_dag_says_what_it_is(page: Page) -> None:
    page.goto("/dags/penguins.data_science")
    page.get_by_test_id("markdown-button").click()
    expect(page.get_by_role("dialog")).to_contain_text("data_science")
    expect(page.get_by_role("dialog")).to_have_css("opacity", "1")
    picture(page, "doc")


def test_what_is_broken_is_named(page: Page, airflow: Client, project: Path) -> None:
    nodes = project / "src/penguins/pipelines/reporting/nodes.py"
    lines = len(nodes.read_text().splitlines())
    with nodes.open("a") as file:
        file.write("def broken(:\n")
    airflow.wait_for("the import error", airflow.import_errors)
    page.goto("/")
    page.get_by_role("button", name=re.compile("Import Error")).click()
    page.get_by_role("button", name="Bundle Name: dags-folder").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"reporting/nodes.py:{lines + 1}")
    picture(page, "broken")
    assert airflow.dag_ids() == DAGS
