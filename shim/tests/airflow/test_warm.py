"""What the scheduler imports before it forks tasks and what it leaves cold, with real packages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro_astro.airflow.manifest import to_bytes
from kedro_astro.reading.libraries import KEDRO
from kedro_astro.structure import Structure
from packages import Install, run
from projects import REGISTRY, SALES, MakeProject

WARM = """
import json, logging, os, sys
from pathlib import Path
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
hook, handlers = sys.excepthook, list(logging.root.handlers)
from kedro_astro.airflow import warm
warm.warm_up(Path(sys.argv[1]), "scheduler", sys.argv[2], sys.argv[3] == "new")
assert (sys.excepthook, logging.root.handlers) == (hook, handlers)
assert logging.root.isEnabledFor(logging.INFO)
print(json.dumps([sorted(sys.modules), {k: v for k, v in os.environ.items() if "KEDRO_" in k}]))
"""
KEPT = ".kedro-astro/warm.json"


def warm(
    project: Path,
    env: dict[str, str],
    *libraries: str,
    executor: str = "LocalExecutor",
    interpreter: str = "same",
    before: str = "",
    then: str = "",
) -> tuple[list[str], set[str], dict[str, str]]:
    """Warm up for a manifest; return the lines of the log, the modules, Kedro's environment.

    Args:
        libraries: that the manifest names; if none, the project is read.
        before, then: code that runs before and after that.
    """
    if libraries:
        structure = Structure("shop", "Shop", "", (), {}, libraries=libraries)
        manifest = project / "compiled.jsonl"
        manifest.write_bytes(to_bytes(structure))
        env = {"KEDRO_ASTRO_MANIFEST": str(manifest), **env}
    output = run(f"{before}{WARM}{then}", str(project), executor, interpreter, env=env)
    *lines, last = output.splitlines()
    modules, environment = json.loads(last)
    environment.pop("KEDRO_ASTRO_MANIFEST", None)
    return lines, set(modules), environment


def test_what_is_warm_and_what_is_cold_is_a_line_each(tmp_path: Path, packages: Install) -> None:
    env = packages(
        good="", bad="raise RuntimeError('no GPU')", worse="raise RuntimeError('no GPU')"
    )
    (first, second), modules, _ = warm(tmp_path, env, "bad", "gone", "good", "worse")
    assert first.startswith("INFO kedro_astro.warm Tasks start warm: 1 modules imported in ")
    assert " s, after a trial of " in first
    assert second == (
        "WARNING kedro_astro.warm Left cold, so each task imports it: "
        "bad, worse (raises RuntimeError: no GPU); gone (is not installed here). "
        f"To try again, delete {tmp_path / KEPT}."
    )
    assert "good" in modules and not {"bad", "worse"} & modules


Tried = Callable[[], list[str]]


@pytest.fixture
def tried(tmp_path: Path) -> Tried:
    """Return what returns which modules were imported since it was last asked."""
    log = tmp_path / "log"

    def since() -> list[str]:
        found = log.read_text().split() if log.is_file() else []
        log.unlink(missing_ok=True)
        return found

    return since


def noted(folder: Path, then: str = "") -> str:
    """Return the text of a module whose imports are noted."""
    return f"open({str(folder / 'log')!r}, 'a').write(__name__ + ' ')\n{then}"


def test_the_next_start_makes_no_trial(tmp_path: Path, packages: Install, tried: Tried) -> None:
    """It says again what is cold. The trial is made again once another version is there."""
    env = packages(a=noted(tmp_path), b=noted(tmp_path, "raise OSError('no driver')"))
    _, cold = warm(tmp_path, env, "a", "b")[0]
    assert tried() == ["a", "b", "a"]
    lines, modules, _ = warm(tmp_path, env, "a", "b")
    assert lines[0].endswith(", after a trial of 0.0 s.") and lines[1] == cold
    assert tried() == ["a"] and "a" in modules
    site = tmp_path / "lib/site-packages"
    (site / "b-1.0.dist-info").rename(site / "b-1.1.dist-info")
    warm(tmp_path, env, "a", "b")
    assert tried() == ["a", "b", "a"]


def test_who_deletes_the_file_has_it_tried_again(
    tmp_path: Path, packages: Install, tried: Tried
) -> None:
    """As its line says: no version tells that a driver is there now."""
    driver = tmp_path / "driver"
    env = packages(a=noted(tmp_path, f"open({str(driver)!r})"))
    assert "No such file" in warm(tmp_path, env, "a")[0][1]
    driver.touch()
    tried()
    lines, modules, _ = warm(tmp_path, env, "a")
    assert "No such file" in lines[1] and "a" not in modules and not tried()
    (tmp_path / KEPT).unlink()
    lines, modules, _ = warm(tmp_path, env, "a")
    assert len(lines) == 1 and "a" in modules


def test_what_ends_the_process_after_all_is_tried_again(tmp_path: Path, packages: Install) -> None:
    """Or the scheduler would never start again."""
    gone = tmp_path / "gone"
    text = f"import os\nif os.path.exists({str(gone)!r}): os._exit(0)"
    env = packages(a=text, b="")
    warm(tmp_path, env, "a", "b")
    gone.touch()
    with pytest.raises(ValueError, match="not enough values"):
        warm(tmp_path, env, "a", "b")
    lines, modules, _ = warm(tmp_path, env, "a", "b")
    assert "a (ends the process (exit code 0))" in lines[1] and "b" in modules


LEFT = "from kedro_astro.airflow import trial as t, warm as w\n"
LEFT += "t.memory_left = w.memory_left = lambda: ({} << 20) - t.memory()\n"


def test_memory_is_looked_at_each_time(tmp_path: Path, packages: Install, tried: Tried) -> None:
    """What the scheduler imports for its tasks is to leave it, and them, as much again."""
    env = packages(good=noted(tmp_path), large=noted(tmp_path, "x = b'x' * (200 << 20)"))
    little, much = LEFT.format(300), LEFT.format(2000)
    lines, modules, _ = warm(tmp_path, env, "good", "large", before=little)
    assert "large (takes more than half of the memory that is left)" in lines[1]
    assert "good" in modules and "large" not in modules
    # With more of it the large one is tried again, and then known.
    _, modules, _ = warm(tmp_path, env, "good", "large", before=much)
    assert "large" in modules and tried() == ["good", "large", "good", *["good", "large"] * 2]
    warm(tmp_path, env, "good", "large", before=much)
    assert tried() == ["good", "large"]
    # And with less.
    lines, modules, _ = warm(tmp_path, env, "good", "large", before=little)
    assert "large (takes more than " in lines[1] and "large" not in modules


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b'{"x": {"a": 1}}', b"[[], {}]", b"[1, 2, 3]", b"\xff", None]
)
def test_what_was_found_may_be_damaged_or_not_be_kept(
    tmp_path: Path, packages: Install, text: bytes | None
) -> None:
    kept = tmp_path / KEPT
    kept.parent.mkdir()
    if text is None:
        kept.mkdir()
    else:
        kept.write_bytes(text)
    (line,), modules, _ = warm(tmp_path, packages(a=""), "a")
    assert "after a trial of" in line and "a" in modules


def test_kedro_leaves_no_trace_in_the_process(tmp_path: Path, packages: Install) -> None:
    """Not in its logging, which WARM looks at, and not in the environment of other tasks."""
    lines, modules, environment = warm(tmp_path, packages(), *KEDRO)
    assert len(lines) == 1 and f": {len(KEDRO)} modules" in lines[0]
    assert {"kedro.framework.project", "kedro.runner"} <= modules and "rich" not in modules
    assert environment == {}


def test_the_files_of_modules_are_known_to_inspect(tmp_path: Path, packages: Install) -> None:
    """Or each task finds them out, which takes longer than all else that Kedro does there."""
    then = "import inspect; assert json.__file__ in inspect.modulesbyfile"
    warm(tmp_path, packages(good=""), "good", then=then)


def test_what_is_in_the_environment_stays(tmp_path: Path, packages: Install) -> None:
    env = {**packages(), "KEDRO_LOGGING_CONFIG": "/mine.yml"}
    assert warm(tmp_path, env, *KEDRO)[2] == {"KEDRO_LOGGING_CONFIG": "/mine.yml"}


@pytest.mark.parametrize(
    ("environment", "setting", "says"),
    [
        ({"KEDRO_ASTRO_WARM_START": "off"}, {}, "KEDRO_ASTRO_WARM_START is off"),
        ({"KEDRO_ASTRO_WARM_START": " Off "}, {}, "KEDRO_ASTRO_WARM_START is off"),
        ({}, {"executor": "KubernetesExecutor"}, "with the KubernetesExecutor this process forks"),
        ({}, {"interpreter": "new"}, "execute_tasks_new_python_interpreter is on"),
        ({"KEDRO_ASTRO_PYTHON": "/bin/sh"}, {}, "an interpreter of their own"),
        ({"KEDRO_ASTRO_MANIFEST": "/nowhere.json"}, {}, "The compiled manifest /nowhere.json"),
    ],
)
def test_when_nothing_is_imported(
    tmp_path: Path, packages: Install, environment: dict, setting: dict, says: str
) -> None:
    env = {**packages(good=""), **environment}
    (line,), modules, _ = warm(tmp_path, env, "good", **setting)
    assert "Tasks start cold: " in line and says in line
    assert "good" not in modules


@pytest.mark.parametrize(("value", "warm_then"), [("no", False), ("", True), ("ON", True)])
def test_whatever_the_switch_says_turns_it_off(
    tmp_path: Path, packages: Install, value: str, warm_then: bool
) -> None:
    (line,), modules, _ = warm(
        tmp_path, {**packages(good=""), "KEDRO_ASTRO_WARM_START": value}, "good"
    )
    assert ("Tasks start warm" in line) == ("good" in modules) == warm_then
    assert warm_then or f"KEDRO_ASTRO_WARM_START is {value}." in line


def test_tasks_that_are_spawned_inherit_nothing(tmp_path: Path, packages: Install) -> None:
    before = "import multiprocessing; multiprocessing.set_start_method('spawn')"
    (line,), modules, _ = warm(tmp_path, packages(a=""), "a", before=before)
    assert "Tasks start cold: by spawn" in line and "a" not in modules
    assert line.endswith("AIRFLOW__CORE__MP_START_METHOD=fork changes that.")


def test_what_is_not_installed_is_never_imported(tmp_path: Path, packages: Install) -> None:
    """Such as an editable install, or your own module that hides what was installed."""
    (tmp_path / "mine.py").touch()
    env = packages()
    env["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    lines, modules, _ = warm(tmp_path, env, "mine")
    assert "mine (is not installed here)" in lines[1] and "mine" not in modules


@pytest.mark.slow
def test_a_reading_is_waited_for_and_not_for_ever(
    make_project: MakeProject, packages: Install
) -> None:
    """For what tasks imported when it was last read they start warm without another."""
    nodes = "src/shop/pipelines/sales/__init__.py"
    project = make_project({nodes: f"import good\n{SALES}"})
    env = packages(good="", late="")
    # Airflow is there in a scheduler, and a reading ends with its verdict.
    before = "import airflow.models.dagbag\n"
    (line,), modules, _ = warm(project, env, before=before)
    assert "Tasks start warm: " in line and "good" in modules
    # The reading waits for a file that never comes.
    hangs = f"import good, late, os, time\nwhile not os.path.exists('go'): time.sleep(0.1)\n{SALES}"
    (project / nodes).write_text(hangs)
    before += "from kedro_astro.airflow import warm as w\nw.PATIENCE = 0.0\n"
    try:
        (line,), modules, _ = warm(project, env, before=before)
    finally:
        (project / "go").touch()  # Or it would stay.
    assert "Tasks start warm: " in line and {"good", "late"} & modules == {"good"}


@pytest.mark.slow
def test_a_python_whose_path_leads_back_and_forth_reads_the_project_once(
    make_project: MakeProject, packages: Install, tmp_path: Path, no_airflow: str
) -> None:
    """Or the manifest would never be fresh for who knows it by its shorter path."""
    registry = f"open({str(tmp_path / 'log')!r}, 'a').write('read ')\n{REGISTRY}"
    project = make_project({"src/shop/pipeline_registry.py": registry})
    code = "import sys; from pathlib import Path; from kedro_astro.airflow.manifest import read\n"
    code += "assert read(Path(sys.argv[1])).dag_ids"
    there_and_back = no_airflow.replace("/bin/", "/bin/../bin/")
    read = []
    for python in (there_and_back, no_airflow, there_and_back):
        run(code, str(project), env={**packages(), "KEDRO_ASTRO_PYTHON": python})
        read.append((tmp_path / "log").read_text())
    assert {*read} == {read[0]}
