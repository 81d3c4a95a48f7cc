"""Schedules that are more than a cron expression, and DAGs that Airflow refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kedro_astro.airflow import verdict
from kedro_astro.airflow.manifest import read
from parsing import parse
from projects import CATALOG, MakeProject, write

REPORT = """
from kedro.pipeline import node, pipeline
def create_pipeline(**kwargs):
    return pipeline([
        node(abs, "total", "scratch", name="third"), node(abs, "scratch", "report", name="fourth")
    ])
"""
FILES = {
    "src/shop/pipelines/report/__init__.py": REPORT,
    "conf/base/catalog.yml": CATALOG
    + "report: {type: json.JSONDataset, filepath: data/report.json}\n"
    + 'scratch: {type: json.JSONDataset, filepath: "data/${runtime_params:airflow_run}/x.json"}\n',
}
SERIALIZED = """
from airflow.serialization.serialized_objects import BaseSerialization
def timetable(dag):
    return json.dumps(BaseSerialization.serialize(dag)["__var"]["timetable"], default=str)
"""
REFUSALS = """
from kedro_astro.airflow.manifest import raise_problems
try:
    raise_problems(Path(sys.argv[1]))
    print(json.dumps([sorted(found), ""]))
except Exception as error:
    print(json.dumps([sorted(found), str(error)]))
"""


class Judged(NamedTuple):
    before: dict[str, Any]
    after: dict[str, Any]
    ids: list[str]
    message: str


def case(name: str) -> str:
    """Return a pipeline whose nodes and results are like `report`'s, and its own."""
    return (
        REPORT.replace('"third"', f'"{name}.1"')
        .replace('"fourth"', f'"{name}.2"')
        .replace('"scratch"', f'"{name}_scratch"')
        .replace('"report"', f'"{name}"')
    )


def with_settings(make_project: MakeProject, text: str, **files: str) -> Path:
    return make_project({**FILES, "conf/base/airflow.yml": text, **files})


def timetable(project: Path) -> str:
    return str(parse(project, SERIALIZED + 'print(json.dumps(timetable(found["shop.report"])))'))


def test_a_cron_expression_in_a_time_zone(make_project: MakeProject) -> None:
    said = "report: {schedule: {cron: 0 6 * * *, timezone: Europe/Zurich}}"
    text = timetable(with_settings(make_project, said))
    assert "0 6 * * *" in text and "Europe/Zurich" in text


@pytest.mark.parametrize(
    ("assets", "uris", "operator"),
    [
        ("[total]", ["kedro://shop/total"], "all"),
        ("total", ["kedro://shop/total"], "all"),
        ("[total, 's3://lake/rates']", ["kedro://shop/total", "s3://lake/rates"], "all"),
        ("{any: [total, {all: ['x://a', 'x://b']}]}", ["kedro://shop/total", "x://b"], "any"),
    ],
)
def test_assets(make_project: MakeProject, assets: str, uris: list[str], operator: str) -> None:
    text = timetable(with_settings(make_project, f"report: {{schedule: {{assets: {assets}}}}}"))
    assert operator in text
    for uri in uris:
        assert uri in text


def test_the_asset_is_the_one_that_the_other_pipeline_updates(make_project: MakeProject) -> None:
    project = with_settings(make_project, "report: {schedule: {assets: [total]}}")
    then = """
task = found["shop.sales"].tasks[0]
print(json.dumps([asset.uri for asset in task.outlets]))
"""
    (uri,) = parse(project, then)
    assert uri in timetable(project)


@pytest.mark.parametrize(
    ("timetable_of", "expected"),
    [
        ("shop.times.every_six_hours", "21600"),
        ("shop.times.every, arguments: {hours: 3}", "10800"),
        ("airflow.timetables.trigger.CronTriggerTimetable, "
         "arguments: {cron: 5 4 * * *, timezone: UTC}", "5 4 * * *"),
    ],
)  # fmt: skip
def test_timetables(make_project: MakeProject, timetable_of: str, expected: str) -> None:
    times = """
from datetime import timedelta
from airflow.timetables.interval import DeltaDataIntervalTimetable
def every(hours):
    return DeltaDataIntervalTimetable(timedelta(hours=hours))
every_six_hours = every(6)
"""
    said = f"report: {{schedule: {{timetable: {timetable_of}}}}}"
    project = with_settings(make_project, said, **{"src/shop/times.py": times})
    assert expected in timetable(project)


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("{assets: [totl]}", ["no pipeline leaves a dataset totl", "Did you mean total?"]),
        ("{assets: [doubled]}", ["no pipeline leaves a dataset doubled"]),
        ("{assets: [scratch]}", ["no pipeline leaves a dataset scratch"]),
        ("{assets: [report]}", ["saved by report itself"]),
        ("{assets: []}", ["[] cannot be in it", "{assets: [...]}"]),
        ("{assets: {some: [total]}}", ["'some' cannot be in it"]),
        ("{asset: [total]}", ["{cron: ..., timezone: ...}, {assets: [...]}, {timetable: package"]),
        ("{cron: 0 6 * * *, assets: [total]}", ["assets cannot be in it"]),
        ("{assets: [total], timezone: UTC}", ["timezone cannot be in it"]),
    ],
)
def test_what_is_wrong_with_a_schedule(
    make_project: MakeProject, schedule: str, says: list[str]
) -> None:
    project = with_settings(make_project, f"report: {{schedule: {schedule}}}")
    (problem,) = read(project).problems
    for part in ["conf/base/airflow.yml: report.schedule", *says]:
        assert part in problem


TIMES = """
from airflow.timetables.base import Timetable
class Unknown(Timetable):
    pass
def leaves(): raise SystemExit(0)
def ends(): import os; os._exit(0)
def breaks(): raise RuntimeError("no moon today")
"""


JUDGED: list[tuple[str, list[str]]] = [
    (
        "'*/0 * * * *'",
        ["step '0' in field 0", "schedule is '*/0 * * * *'", "a cron expression"],
    ),
    ("0 0 * * 1#6", ["schedule is '0 0 * * 1#6'", "It must be a cron"]),
    ("0 0 * * mon-", ["schedule is '0 0 * * mon-'"]),
    ("'@dayly'", ["schedule is '@dayly'", "@daily"]),
    ("0 25 * * *", ["schedule is '0 25 * * *'"]),
    ("{cron: 0 6 * * *, timezone: Zurich}", ["Zurich", "schedule is"]),
    ("{cron: 0 6 * *}", ["schedule is"]),
    ("{assets: ['airflow://x']}", ["airflow", "reserved", "schedule is"]),
    ("{timetable: shop.no_such.thing}", ["the timetable shop.no_such.thing, which cannot be"]),
    ("{timetable: builtins.object, arguments: {x: 1}}", ["TypeError", "schedule is"]),
    ("{timetable: builtins.object}", ["schedule is"]),
    ("{timetable: shop.times.Unknown}", ["Unknown", "not registered"]),
    ("{timetable: shop.times.leaves}", ["SystemExit", "schedule is"]),
    ("{timetable: shop.times.ends}", ["it ends the process", "schedule is"]),
    ("{timetable: shop.times.breaks}", ["RuntimeError: no moon today", "schedule is"]),
    (
        "'@continuous', max_active_runs: 2",
        ["max_active_runs", "schedule is '@continuous'"],
    ),
    ("'@daily', catchup: true", ["start_date", "schedule is '@daily'"]),
    ("'@daily', catchup: true, start_date: 2024-01-01", []),
    ("null, pool_slots: 1, params: {a: null, b: 1}", []),
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """What became of a pipeline for each schedule, all of them in one project."""
    project = tmp_path_factory.mktemp("judged") / "shop"
    names = [f"case{number:02}" for number in range(len(JUDGED))]
    pipelines = {f"src/shop/pipelines/{name}/__init__.py": case(name) for name in names}
    write(project, {**FILES, **pipelines, "src/shop/times.py": TIMES})
    settings = project / "conf/base/airflow.yml"
    settings.write_text("".join(f"{name}: {{schedule: 0 5 * * *}}\n" for name in names))
    before = {one["dag_id"]: one for one in read(project).blueprints()}
    schedules = zip(names, (schedule for schedule, _ in JUDGED), strict=True)
    settings.write_text("".join(f"{name}: {{schedule: {text}}}\n" for name, text in schedules))
    ids, message = parse(project, REFUSALS)
    return Judged(before, {one["dag_id"]: one for one in read(project).blueprints()}, ids, message)


@pytest.mark.parametrize("number", range(len(JUDGED)), ids=[schedule for schedule, _ in JUDGED])
def test_airflow_is_the_judge_and_the_last_good_dag_stays(judged: Judged, number: int) -> None:
    pipeline, says = f"case{number:02}", JUDGED[number][1]
    assert judged.ids == sorted(judged.before)
    assert judged.after["shop.sales"] == judged.before["shop.sales"]
    lines = [text for text in judged.message.splitlines() if f"the pipeline {pipeline}:" in text]
    if not says:
        assert not lines
        return
    assert judged.after[f"shop.{pipeline}"]["schedule"] == "0 5 * * *"
    (line,) = lines
    for part in ["conf/base/airflow.yml: ", f"section {pipeline}", *says]:
        assert part in line


def test_all_that_is_wrong_is_named_at_once(make_project: MakeProject) -> None:
    """What Airflow refuses, too, and each thing of one DAG; nothing is used by halves."""
    project = with_settings(make_project, "report: {schedule: 0 5 * * *, queue: a}")
    before = [*read(project).blueprints()]
    (project / "conf/base/airflow.yml").write_text(
        "report: {schedule: '*/0 * * * *', queue: b, nodes: {third: {weight_rule: 1, retires: 1}},"
        " executor_config: {pod_override: 3}}\n"
        "sales: {schedule: 0 0 * * 1#6, grouping: [[frist]]}\n"
        "whole_project: {grouping: node}\n"
    )
    problems = read(project).problems
    memory = "dataset doubled is in memory"
    for part in ("retires", "weight_rule", "'*/0 * *", "1#6", "frist", "pod_override", memory):
        assert len([problem for problem in problems if part in problem]) == 1, part
    assert [*read(project).blueprints()] == before


def test_a_dag_that_airflow_never_took_is_named_and_takes_no_other_with_it(
    make_project: MakeProject,
) -> None:
    project = with_settings(make_project, "report: {schedule: '*/0 * * * *'}")
    ids, message = parse(project, REFUSALS)
    assert ids == ["shop", "shop.sales"]
    assert "the pipeline report" in message


def test_the_whole_project_has_a_section_of_another_name(make_project: MakeProject) -> None:
    project = with_settings(make_project, "whole_project: {schedule: '*/0 * * * *'}")
    (problem,) = read(project).problems
    assert "the pipeline __default__" in problem and "the section whole_project or def" in problem


@pytest.mark.slow
def test_a_timetable_that_hangs_takes_no_other_dag_with_it(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "EACH", 5)
    times = "import time\ndef hangs():\n    time.sleep(60)\n"
    said = "report: {schedule: {timetable: shop.times.hangs}}"
    manifest = read(with_settings(make_project, said, **{"src/shop/times.py": times}))
    assert manifest.dag_ids == ("shop", "shop.sales")
    (problem,) = manifest.problems
    assert "it takes longer than 5 s" in problem and "the pipeline report" in problem


@pytest.mark.slow
def test_a_machine_without_memory_refuses_no_dag(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is for a trial of libraries to look at, and DAGs are wanted anyway."""
    monkeypatch.setattr("kedro_astro.airflow.trial.memory_left", lambda: 0)
    times = "import time\nfrom airflow.timetables.interval import CronDataIntervalTimetable\n"
    times += "x = b'x' * (50 << 20)\ntime.sleep(0.5)\n"
    times += "nightly = CronDataIntervalTimetable('0 3 * * *', timezone='UTC')\n"
    said = "report: {schedule: {timetable: shop.times.nightly}}"
    manifest = read(with_settings(make_project, said, **{"src/shop/times.py": times}))
    assert manifest.problems == () and "shop.report" in manifest.dag_ids


def test_a_timetable_of_yours_is_imported_by_no_parse(make_project: MakeProject) -> None:
    """Nor can it take a DAG away that it once gave a schedule."""
    times = (
        "from datetime import timedelta\n"
        "from airflow.timetables.interval import DeltaDataIntervalTimetable\n"
        "def every(hours):\n    return DeltaDataIntervalTimetable(timedelta(hours=hours))\n"
    )
    said = "report: {schedule: {timetable: shop.times.every, arguments: {hours: 3}}}"
    project = with_settings(make_project, said, **{"src/shop/times.py": times})
    then = 'print(json.dumps("shop" in sys.modules))'
    read(project)
    assert parse(project, then) is False
    (project / "src/shop/times.py").write_text("1 / 0")
    ids, message = parse(project, REFUSALS)
    assert "shop.report" in ids and "ZeroDivisionError" in message
    assert "10800" in timetable(project)


def test_tasks_settings_that_airflow_refuses(make_project: MakeProject) -> None:
    project = with_settings(make_project, "report: {nodes: {third: {priority_weight: 1, pool: x}}}")
    assert read(project).problems == ()
