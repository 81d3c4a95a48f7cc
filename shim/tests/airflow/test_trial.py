"""Modules tried in forks, each in a process of its own with real packages."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from kedro_astro.airflow.trial import TOO_LARGE, memory_left
from packages import Install, run

TRIAL = """
import json, sys
from kedro_astro.airflow import trial
names, known, each, whole, left = json.loads(sys.argv[1])
if left:
    trial.memory_left = lambda: (left << 20) - trial.memory()
found = trial.trial(names, known, each, whole)
loaded = [name for name in names if name in sys.modules]
print(json.dumps([found, loaded]))
"""


def try_out(
    names: list[str],
    env: dict[str, str],
    known: Mapping[str, str] | None = None,
    each: float = 20,
    whole: float = 60,
    left: int = 0,
) -> dict[str, str]:
    """Return what is said of each; none is imported in the process that asks.

    Args:
        left: megabytes that a trial begins with; what the machine has if 0.
    """
    given = json.dumps([names, known or {}, each, whole, left])
    found, loaded = json.loads(run(TRIAL, given, env=env))
    assert loaded == []
    return dict(found)


BAD = {
    "raise RuntimeError('no\\nGPU')": "raises RuntimeError: no GPU",
    "import no_such_module": "raises ModuleNotFoundError: No module named 'no_such_module'",
    "x = (": "raises SyntaxError: '(' was never closed (it.py, line 1)",
    "import sys; sys.exit('bye')": "raises SystemExit: bye",
    "raise KeyboardInterrupt": "ends the process (exit code 0)",
    "import os; os._exit(7)": "ends the process (exit code 7)",
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "ends the process (exit code -11)",
    "import time; time.sleep(60)": "takes longer than 1 s",
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()": (
        "starts threads"
    ),
    "import _thread, time\n_thread.start_new_thread(time.sleep, (60,))": "starts threads",
    "import os\nif os.fork(): os._exit(0)": "ends the process (exit code 0)",
    "import os\nos.fork()": "leaves a process running",
    "import multiprocessing\nmultiprocessing.Process(target=print).start()": (
        "leaves a process running"
    ),
    "import subprocess\nchild = subprocess.Popen(['sleep', '60'])": "leaves a process running",
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)": "sets signal handlers",
    "import sys\nsys.excepthook = print": "replaces sys.excepthook",
    "import logging\nlogging.basicConfig()": "changes logging",
    "import logging.config\nlogging.getLogger('mine')\n"
    "logging.config.dictConfig({'version': 1})": "changes logging",
    "import os\nos.chdir('/')": "changes the working directory",
    "import multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)": (
        "changes how processes start"
    ),
    "import multiprocessing\nmultiprocessing.set_start_method('spawn')": (
        "raises RuntimeError: context has already been set"
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_what_a_module_may_not_do(packages: Install, text: str) -> None:
    """The one before it and the one after it are well, and nothing is left running."""
    env = packages(before="", it=text, behind="")
    found = try_out(["before", "it", "behind"], env, each=1)
    assert found == {"before": "", "it": BAD[text], "behind": ""}


def test_what_imports_a_bad_module_is_bad_too(packages: Install) -> None:
    env = packages(a="import b", b="import os; os._exit(3)", c="")
    status = "ends the process (exit code 3)"
    assert try_out(["a", "b", "c"], env) == {"a": status, "b": status, "c": ""}


def test_what_catches_the_error_of_another_is_well(packages: Install) -> None:
    env = packages(a="try:\n    import b\nexcept ImportError: pass", b="raise ImportError")
    assert try_out(["a", "b"], env) == {"a": "", "b": "raises ImportError"}


def test_a_thread_that_has_ended_is_none(packages: Install) -> None:
    text = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()"
    names = [f"m{number}" for number in range(30)]
    found = try_out(names, packages(**dict.fromkeys(names, text)))
    assert found == dict.fromkeys(names, "")


def test_a_module_may_take_half_of_the_memory_that_is_left(packages: Install) -> None:
    """More, and the kernel might end the scheduler. What is tried after it is not held against it,
    nor is what the scheduler itself has."""
    env = packages(fits="x = bytes(range(256)) * (120 << 12)", large="import fits", small="")
    assert try_out(["fits", "small"], env, left=300) == {"fits": "", "small": ""}
    env = packages(fits="x = bytes(range(256)) * (120 << 12)", large="x = b'x' * (64 << 20)")
    found = try_out(["fits", "large", "small"], env, left=300)
    assert found == {"fits": "", "large": TOO_LARGE, "small": ""}


def test_a_module_that_takes_all_memory_is_stopped(packages: Install) -> None:
    """Before it has it: the kernel ends what it chooses, and Kubernetes all of a container."""
    greedy = (
        "import time\nx = []\nfor _ in range(3000): x.append(b'x' * (1 << 20)); time.sleep(0.002)"
    )
    env = packages(before="", greedy=f"{greedy}\nraise OSError", small="")
    found = try_out(["before", "greedy", "small"], env, left=300)
    assert found == {"before": "", "greedy": TOO_LARGE, "small": ""}


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    """Not what its files in the cache take, which the kernel gives back."""
    machine = memory_left(tmp_path)
    assert machine > 100 << 20
    (tmp_path / "memory.stat").write_text(f"anon {30 << 20}\nfile {60 << 20}\nkernel 5\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_left(tmp_path) > 100 << 20
    (tmp_path / "memory.max").write_text(f"{100 << 20}\n")
    assert memory_left(tmp_path) == 70 << 20


def test_what_is_known_is_not_tried_again(packages: Install, tmp_path: Path) -> None:
    """But for what was too large: there may be more memory now."""
    noted = f"open({str(tmp_path / 'log')!r}, 'a').write(__name__ + ' ')"
    env = packages(**dict.fromkeys(("bad", "good", "large", "new"), noted))
    known = {"bad": "raises OSError", "good": "", "gone": "raises ValueError"}
    assert try_out(["bad", "good"], env, known) == known
    assert not (tmp_path / "log").exists()
    # A module may be good only without another: a new one is tried with all of them.
    assert try_out(["bad", "good", "new"], env, known) == {**known, "new": ""}
    assert (tmp_path / "log").read_text() == "good new "
    assert try_out(["large"], env, {"large": f"starts threads and {TOO_LARGE}"}) == {"large": ""}


def test_all_together_may_take_so_long(packages: Install) -> None:
    env = packages(a="", b="import time; time.sleep(60)", c="")
    start = time.monotonic()
    assert try_out(["a", "b", "c"], env, whole=1) == {"a": ""}
    assert time.monotonic() - start < 30


def test_nothing_is_printed(packages: Install) -> None:
    env = packages(a="import sys; print('out'); print('error', file=sys.stderr)")
    assert try_out(["a"], env) == {"a": ""}


def test_an_attribute_is_got(packages: Install) -> None:
    lazy = "def __getattr__(name):\n    if name == 'There': import behind; return 1\n    raise {}"
    env = packages(lazy=lazy.format("AttributeError(name)"), behind="raise OSError('no driver')")
    assert try_out(["lazy:There", "lazy:Gone", "lazy"], env) == {
        "lazy:There": "raises OSError: no driver",
        "lazy:Gone": "raises AttributeError: Gone",
        "lazy": "",
    }
