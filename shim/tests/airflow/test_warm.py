"""What the scheduler imports before it forks tasks, and what it leaves cold, each in a process of
its own with real packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro_astro.airflow.accept import to_bytes
from kedro_astro.airflow.memory import available
from kedro_astro.airflow.warm import said
from kedro_astro.reading.libraries import KEDRO, requirements
from kedro_astro.structure import Structure
from parsing import SHIM

MB = 1 << 20
PLUGIN = Path(__file__).parents[3] / "template/plugins/kedro_astro_warm.py"

PROBE = """
import json, sys
from dataclasses import asdict
from kedro_astro.airflow.probe import probe
names, room, each, whole = json.loads(sys.argv[1])
found = probe(names, room << 20, each, whole)
loaded = [name for name in names if name in sys.modules]
print(json.dumps([asdict(found), loaded]))
"""

WARM = """
import json, logging, sys
from pathlib import Path
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
hook, handlers = sys.excepthook, list(logging.root.handlers)
import kedro_astro.airflow.warm
kedro_astro.airflow.warm.hand_on = lambda project: None  # needs Airflow: see test_inherited.py
kedro_astro.airflow.warm.warm_up(Path(sys.argv[1]), "scheduler", sys.argv[2], sys.argv[3] == "new")
import os
assert (sys.excepthook, logging.root.handlers) == (hook, handlers)
assert logging.root.isEnabledFor(logging.INFO)
print(json.dumps([sorted(sys.modules), {k: v for k, v in os.environ.items() if "KEDRO_" in k}]))
"""

Packages = Callable[..., dict[str, str]]


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    """Return a function that installs modules, by name, and returns the environment to find them.

    Each is of a distribution of its own name, version 1.0.
    """

    def install(**texts: str) -> dict[str, str]:
        site = tmp_path / "lib/site-packages"
        for name, text in texts.items():
            info = site / f"{name}-1.0.dist-info"
            info.mkdir(parents=True)
            (site / f"{name}.py").write_text(text)
            (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
            (info / "RECORD").write_text(f"{name}.py,,\n")
        path = os.pathsep.join([str(SHIM), str(site)])
        ours = {name: value for name, value in os.environ.items() if "KEDRO_" not in name}
        return {**ours, "PYTHONPATH": path, "AIRFLOW_HOME": str(tmp_path / "airflow")}

    return install


def run(code: str, *arguments: str, env: dict[str, str], timeout: float = 60) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_out(
    names: list[str], env: dict[str, str], room: float = 500, each: float = 20, whole: float = 60
) -> dict:
    """Probe modules; none is imported in the process that asks."""
    output = run(PROBE, json.dumps([names, room, each, whole]), env=env)
    found, loaded = json.loads(output.splitlines()[-1])
    assert loaded == []
    return found


BAD = {
    "raise RuntimeError('no\\nGPU')": "raises RuntimeError: no GPU",
    "import no_such_module": "raises ModuleNotFoundError: No module named 'no_such_module'",
    "x = (": "raises SyntaxError: '(' was never closed (it.py, line 1)",
    "import sys; sys.exit('bye')": "raises SystemExit: bye",
    "raise KeyboardInterrupt": "raises KeyboardInterrupt",
    "import os; os._exit(7)": "ends the process (status 7)",
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "ends the process (SIGSEGV)",
    "import time; time.sleep(60)": "takes longer than 1 s",
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()": (
        "starts threads"
    ),
    "import _thread, time\n_thread.start_new_thread(time.sleep, (60,))": "starts threads",
    "import os\nif os.fork() == 0: os._exit(0)\nos.wait()": "forks",
    "import os\nif os.fork(): os._exit(0)": "ends the process (status 0)",
    "import os\nos.fork()": "forks",
    "import multiprocessing\nmultiprocessing.Process(target=print).start()": "forks",
    "import subprocess\nchild = subprocess.Popen(['sleep', '60'])": "leaves a process running",
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)": "sets signal handlers",
    "import sys\nsys.excepthook = print": "replaces sys.excepthook",
    "import logging\nlogging.basicConfig()": "changes logging",
    "import logging.config\nlogging.getLogger('mine')\n"
    "logging.config.dictConfig({'version': 1})": "changes logging",
    "import os\nos.chdir('/')": "changes the working directory",
    "import multiprocessing\nmultiprocessing.set_start_method('spawn')": (
        "changes how processes start"
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_what_a_module_may_not_do(packages: Packages, text: str) -> None:
    """The one before it and the one after it are well, and nothing is left running."""
    env = packages(before="", it=text, behind="")
    found = try_out(["before", "it", "behind"], env, each=1)
    assert found["good"] == ["before", "behind"]
    reason = found["bad"].pop("it")
    # What forks may leave a process for a moment.
    assert reason.removesuffix(" and leaves a process running") == BAD[text]
    assert found["bad"] == {}


def test_what_imports_a_bad_module_is_bad_too(packages: Packages) -> None:
    env = packages(a="import b", b="import os; os._exit(3)", c="")
    found = try_out(["a", "b", "c"], env)
    assert found["good"] == ["c"] and set(found["bad"]) == {"a", "b"}


def test_what_catches_the_error_of_another_is_well(packages: Packages) -> None:
    env = packages(a="try:\n    import b\nexcept ImportError: pass", b="raise ImportError")
    found = try_out(["a", "b"], env)
    assert found["good"] == ["a"] and set(found["bad"]) == {"b"}


def test_all_together_may_take_so_long(packages: Packages) -> None:
    env = packages(a="", b="import time; time.sleep(60)", c="")
    start = time.monotonic()
    found = try_out(["a", "b", "c"], env, whole=1)
    assert time.monotonic() - start < 10
    assert found["good"] == ["a"]
    assert found["bad"] == dict.fromkeys(["b", "c"], "was not reached in 1 s")


@pytest.mark.parametrize(
    "text", ["x = b'x' * (200 << 20)", "x = []\nwhile True: x.append('x' * 99)"]
)
def test_what_is_too_large_is_stopped(packages: Packages, text: str) -> None:
    found = try_out(["a", "b"], packages(a="", b=text), room=50)
    assert found["too_large"] and found["grown"] > 50 * MB


def test_an_attribute_is_got(packages: Packages) -> None:
    lazy = "def __getattr__(name):\n    if name == 'There': import behind; return 1\n    raise {}"
    env = packages(lazy=lazy.format("AttributeError(name)"), behind="raise OSError('no driver')")
    found = try_out(["lazy:There", "lazy:Gone", "lazy"], env)
    assert found["bad"] == {
        "lazy:There": "raises OSError: no driver",
        "lazy:Gone": "raises AttributeError: Gone",
    }


def warm(
    tmp_path: Path,
    env: dict[str, str],
    libraries: dict[str, str],
    executor: str = "LocalExecutor",
    interpreter: str = "same",
    before: str = "",
    then: str = "",
) -> tuple[list[str], set[str], dict[str, str]]:
    """Warm up for a manifest; return the lines of the log, the modules, Kedro's environment.

    Args:
        before, then: code that runs before and after that.
    """
    structure = Structure("shop", "Shop", "", (), {}, libraries=libraries)
    manifest = tmp_path / "compiled.jsonl"
    manifest.write_bytes(to_bytes(structure, ""))
    env = {"KEDRO_ASTRO_MANIFEST": str(manifest), **env}
    output = run(f"{before}{WARM}{then}", str(tmp_path), executor, interpreter, env=env)
    *lines, last = output.splitlines()
    modules, environment = json.loads(last)
    environment.pop("KEDRO_ASTRO_MANIFEST")
    return lines, set(modules), environment


def test_what_is_warm_and_what_is_cold_is_a_line_each(tmp_path: Path, packages: Packages) -> None:
    env = packages(
        good="", bad="raise RuntimeError('no GPU')", worse="raise RuntimeError('no GPU')"
    )
    same = {name: f"{name}==1.0" for name in ("bad", "good", "worse")}
    libraries = {**same, "gone": "gone==1.0", "other": "other==0.9"}
    env = {**packages(other=""), **env}
    (first, second), modules, _ = warm(tmp_path, env, libraries)
    assert first.startswith(
        "INFO kedro_astro.airflow.warm Tasks start warm: 1 modules imported in "
    )
    assert second == (
        "WARNING kedro_astro.airflow.warm Left cold, so that each task imports it anew: "
        "bad, worse (raises RuntimeError: no GPU); "
        "gone (was gone==1.0 when the project was read and is not installed here); "
        "other (was other==0.9 when the project was read and is other==1.0 here)."
    )
    assert "good" in modules and not {"bad", "worse", "other"} & modules


def test_kedro_leaves_no_trace_in_the_process(tmp_path: Path, packages: Packages) -> None:
    """Not in its logging, which WARM looks at, and not in the environment of other tasks."""
    lines, modules, environment = warm(tmp_path, packages(), requirements(KEDRO))
    assert len(lines) == 1 and f": {len(KEDRO)} modules" in lines[0]
    assert {"kedro.framework.project", "kedro.runner"} <= modules and "rich" not in modules
    assert environment == {}


def test_the_files_of_modules_are_known_to_inspect(tmp_path: Path, packages: Packages) -> None:
    """Or each task finds them out, which takes longer than all else that Kedro does there."""
    then = "import inspect; assert json.__file__ in inspect.modulesbyfile"
    warm(tmp_path, packages(good=""), {"good": "good==1.0"}, then=then)


def test_what_is_in_the_environment_stays(tmp_path: Path, packages: Packages) -> None:
    env = {**packages(), "KEDRO_LOGGING_CONFIG": "/mine.yml"}
    assert warm(tmp_path, env, requirements(KEDRO))[2] == {"KEDRO_LOGGING_CONFIG": "/mine.yml"}


@pytest.mark.parametrize(
    ("environment", "setting", "says"),
    [
        ({"KEDRO_ASTRO_WARM_START": "off"}, {}, "KEDRO_ASTRO_WARM_START is off"),
        ({"KEDRO_ASTRO_WARM_START": " OFF "}, {}, "KEDRO_ASTRO_WARM_START is off"),
        ({}, {"executor": "KubernetesExecutor"}, "with the KubernetesExecutor this process forks"),
        ({}, {"interpreter": "new"}, "execute_tasks_new_python_interpreter is on"),
        ({"KEDRO_ASTRO_PYTHON": "/bin/sh"}, {}, "an interpreter of their own"),
        ({"KEDRO_ASTRO_MANIFEST": "/nowhere.json"}, {}, "The compiled manifest /nowhere.json"),
    ],
)
def test_when_nothing_is_imported(
    tmp_path: Path, packages: Packages, environment: dict, setting: dict, says: str
) -> None:
    env = {**packages(good=""), **environment}
    (line,), modules, _ = warm(tmp_path, env, {"good": "good==1.0"}, **setting)
    assert "Tasks start cold: " in line and says in line
    assert "good" not in modules


def test_a_misspelt_switch_counts_as_on(tmp_path: Path, packages: Packages) -> None:
    env = {**packages(good=""), "KEDRO_ASTRO_WARM_START": "of"}
    lines, modules, _ = warm(tmp_path, env, {"good": "good==1.0"})
    assert lines[0].endswith("KEDRO_ASTRO_WARM_START is 'of', which counts as on. Write on or off.")
    assert "good" in modules


def test_without_the_memory_all_is_cold(tmp_path: Path, packages: Packages) -> None:
    env = packages(good="", large="x = b'x' * (64 << 20)", small="")
    libraries = {name: f"{name}==1.0" for name in ("good", "large", "small")}
    before = "import kedro_astro.airflow.memory as m; m.available = lambda: 100 << 20"
    (line,), modules, _ = warm(tmp_path, env, libraries, before=before)
    assert "the libraries take more than 50 MB, half of the memory that is left" in line
    assert not set(libraries) & modules


def test_tasks_that_are_spawned_inherit_nothing(tmp_path: Path, packages: Packages) -> None:
    before = "import multiprocessing; multiprocessing.set_start_method('spawn')"
    (line,), modules, _ = warm(tmp_path, packages(a=""), {"a": "a==1.0"}, before=before)
    assert "Tasks start cold: Airflow starts them by spawn" in line and "a" not in modules
    assert line.endswith("AIRFLOW__CORE__MP_START_METHOD=fork changes that.")


def test_what_is_not_installed_is_never_imported(tmp_path: Path, packages: Packages) -> None:
    """Such as an editable install, or your own module that hides what was installed."""
    (tmp_path / "mine.py").touch()
    env = packages()
    env["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    lines, modules, _ = warm(tmp_path, env, {"mine": ""})
    assert "mine (was" in lines[1] and "mine" not in modules


PLUG_IN = """
import multiprocessing, runpy, sys
from pathlib import Path
project, component = Path(sys.argv[1]), sys.argv[2]
def listeners():
    plugin = runpy.run_path(str(project / "plugins/kedro_astro_warm.py"))["KedroAstroWarm"]
    return len(plugin.listeners)
for other in ("triggerer", "api-server", "celery", "standalone"):
    sys.argv = ["airflow", other]
    assert listeners() == 0, other
sys.argv = ["airflow"]
assert listeners() == 0
sys.argv = ["/some/airflow", component, "--num-runs", "3"]
def in_a_fork():
    assert listeners() == 0
child = multiprocessing.get_context("fork").Process(target=in_a_fork)
child.start(); child.join()
assert child.exitcode == 0

from airflow.listeners.listener import get_listener_manager
manager, path = get_listener_manager(), list(sys.path)
(warm,) = (it for it in manager.pm.get_plugins() if type(it).__name__ == "Starting")
shim = project / "dags/kedro_astro/warm.py"
def start():
    manager.add_listener(warm)
    manager.hook.on_starting(component=None)
    print(flush=True)
    assert path == sys.path and "kedro_astro" not in sys.modules
    assert warm not in manager.pm.get_plugins()
start()
shim.write_text(shim.read_text().replace("first", "edited"))
start()
shim.unlink()
start()
"""


@pytest.mark.parametrize("component", ["scheduler", "dag-processor"])
def test_only_what_forks_warms_up(tmp_path: Path, component: str) -> None:
    """Not another component, not what these fork; a shim that is not there stops nothing."""
    for name, text in {
        "plugins/kedro_astro_warm.py": PLUGIN.read_text(),
        "dags/kedro_astro/__init__.py": "",
        "dags/kedro_astro/warm.py": "def warm_up(*what): print('first', *what, end='')",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    }
    lines = run(PLUG_IN, str(tmp_path), component, env=env).splitlines()[-3:]
    said = f"{tmp_path} {component} LocalExecutor False"
    assert lines == [f"first {said}", f"edited {said}", ""]


def test_what_is_said_of_many() -> None:
    assert said({"b": "x", "a": "x", "c": "y"}) == "a, b (x); c (y)"


MEMINFO = "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n"


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"proc/meminfo": MEMINFO}, 4_096_000_000),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/b/memory.current": "100\n",
                "sys/fs/cgroup/a/memory.max": "1000\n",
                "sys/fs/cgroup/a/memory.current": "600\n",
                "sys/fs/cgroup/a/memory.stat": "active_file 7\ninactive_file 50\n",
            },
            450,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/../pod\n",
                "sys/fs/cgroup/memory.max": "1000\n",
                "sys/fs/cgroup/memory.current": "600\n",
            },
            400,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "5:cpu:/a\n4:memory:/a\n0::/\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000\n",
                "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "1100\n",
                "sys/fs/cgroup/memory/a/memory.stat": "total_inactive_file 20\n",
            },
            0,
        ),
        ({}, 0),
    ],
)
def test_the_memory_that_is_left(tmp_path: Path, files: dict[str, str], left: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available(tmp_path) == left


def test_this_machine_has_memory_left() -> None:
    assert available() > 10 * MB
