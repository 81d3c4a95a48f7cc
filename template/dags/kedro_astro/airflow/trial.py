"""Modules tried in forks of this process, so that nothing they do happens in it.

What one does when it is imported, Airflow's scheduler would have done: raised, hung, crashed, left
a thread behind that no fork takes along. No Kedro and no Airflow here.
"""

import logging
import math
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

EACH, ALL = 20.0, 30.0
"""Seconds that one module, or DAG, and all modules may take: pandas takes ten from a cold disk."""

TOO_LARGE = "takes more than half of the memory that is left"


def in_fork(
    items: Iterable[Any], each: float, end: float = math.inf, most: float = math.inf
) -> tuple[list[Any], str]:
    """Return what an iterable gives in a fork of this process, and why it gives no more, completing
    "it ...". All that the fork has started ends with it.

    Args:
        items: iterated over in the fork alone.
        each: seconds that it may take for one.
        end: when it is ended at the latest, by `time.monotonic`.
        most: bytes that it may take more than this process has.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    if (child := os.fork()) == 0:
        try:
            os.setpgid(0, 0)
            for item in items:
                theirs.send(item)
        finally:
            os._exit(0)
    theirs.close()
    found, why = [], ""
    last, own = time.monotonic(), psutil.Process().memory_info().rss
    try:
        os.setpgid(child, child)  # Whichever of the two comes first.
        with suppress(EOFError):
            while not why and time.monotonic() < end:
                if ours.poll(0.1):
                    found.append(ours.recv())
                    last = time.monotonic()
                elif time.monotonic() > last + each:
                    why = f"takes longer than {each:.0f} s"
                elif psutil.Process(child).memory_info().rss - own > most:
                    # Were nothing left, the kernel would choose whom it ends.
                    why = TOO_LARGE
    finally:
        os.killpg(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return found, why or f"ends the process (exit code {status})"


def load(name: str) -> str:
    """Import a module, or for `module:attribute` get that, which imports what is behind it.

    Returns:
        What it raises, completing "it ...", in one line; or empty text.
    """
    try:
        pkgutil.resolve_name(name if ":" in name else f"{name}:")
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:200]
        return f"raises {type(error).__name__}: {said}".removesuffix(": ")
    return ""


def trial(
    names: list[str], known: Mapping[str, str], each: float = EACH, whole: float = ALL
) -> dict[str, str]:
    """Import modules one after the other in a fork of this process; see `load`. After a bad one
    another fork imports the good ones again, and goes on without it.

    Args:
        names: of the modules.
        known: what an earlier trial has returned. What is bad there is not tried again, but for
            what was too large: there may be more memory now. If all are known, nothing is tried.
        each, whole: seconds.

    Returns:
        Why each is bad, completing "it ...", or empty text. Bad is what raises, ends the process,
        takes more than `each` seconds, or does what `_marks` tells. What is not reached in `whole`
        seconds is left out.
    """
    end = time.monotonic() + whole
    found = {name: reason for name, reason in known.items() if TOO_LARGE not in reason}
    while {*names}.difference(found) and time.monotonic() < end:
        left = [name for name in names if not found.get(name)]
        reasons, why = in_fork(_tried(left), each, end, memory_left() / 2)
        if not any(reasons) and time.monotonic() < end:
            reasons.append(why)
        found.update(zip(left, reasons, strict=False))
    return found


def _tried(names: list[str]) -> Iterator[str]:
    """Yield what is bad about each module, or empty text, up to the first bad one."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    # What a module forks would go on with the trial. So it is only a process that is left.
    os.register_at_fork(after_in_child=lambda: os._exit(0))
    before = _marks()
    for name in names:
        reason = load(name)
        changed = [what for what, now in _marks().items() if now != before[what]]
        reason = " and ".join(changed) or reason
        yield reason
        if reason:
            return


def _marks() -> dict[str, object]:
    """Return what an import has to leave as it is in a process that others are forked from."""
    root = logging.root
    disabled = [k for k, v in root.manager.loggerDict.items() if getattr(v, "disabled", False)]
    return {
        "starts threads": _threads(),
        TOO_LARGE: memory() > memory_left(),
        "leaves a process running": len(psutil.Process().children()),
        "sets signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "replaces sys.excepthook": sys.excepthook,
        "changes logging": (root.level, [*root.handlers], root.manager.disable, disabled),
        "changes the working directory": os.getcwd(),
        "changes how processes start": multiprocessing.get_start_method(),
    }


def memory() -> int:
    """Return the bytes that this process has for itself: a fork what it has not got from us."""
    return int(psutil.Process().memory_full_info().uss)


def memory_left(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes the machine has left, and our container: it sees its own control group
    at the root of them."""
    left = [psutil.virtual_memory().available]
    with suppress(OSError, ValueError):  # Without a limit there is no file, or it says "max".
        # "anon" comes first. The kernel takes the rest back when it needs it.
        used = (group / "memory.stat").read_text().split()[1]
        left.append(int((group / "memory.max").read_text()) - int(used))
    return min(left)


def _threads() -> bool:
    """Whether there are threads that a fork would miss.

    OpenBLAS ends its own at a fork and starts them again when it needs them, so it is asked behind
    one. Jemalloc starts its own again. OpenMP's stay, and in a fork are waited for for ever.
    """
    for _ in range(20):  # One that has ended is still there for a moment.
        with suppress(OSError):
            names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
            if sum("jemalloc" not in name for name in names) == 1:
                return False
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.01)
    return True
