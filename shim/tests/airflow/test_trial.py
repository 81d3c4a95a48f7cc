"""Modules tried in forks, each in a process of its own with real packages."""

from __future__ import annotations

import json
import time

import pytest
from packages import Install, run

TRIAL = """
import json, sys
from kedro_astro.airflow.trial import trial
names, each, whole = json.loads(sys.argv[1])
found = trial(names, each, whole)
loaded = [name for name in names if name in sys.modules]
print(json.dumps([found, loaded]))
"""


def try_out(
    names: list[str], env: dict[str, str], each: float = 20, whole: float = 60
) -> dict[str, str]:
    """Return what is said of each; none is imported in the process that asks."""
    found, loaded = json.loads(run(TRIAL, json.dumps([names, each, whole]), env=env))
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
