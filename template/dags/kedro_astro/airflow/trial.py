"""Modules tried in forks of this process, so that nothing they do happens in it.

What one does when it is imported, Airflow's scheduler would have done: raised, hung, crashed, left
a thread behind that no fork takes along. No Kedro and no Airflow here.
"""

import logging
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import psutil

EACH, ALL = 20.0, 30.0
"""Seconds that one module, and all of them, may take. Pandas takes some ten from a cold disk."""

TOO_LARGE = "takes more memory than is left for it"

T = TypeVar("T")


def in_fork(items: Iterable[T], patience: Callable[[], float]) -> Iterator[T]:
    """Yield what an iterable gives in a fork of this process, which ends with the iterator, as all
    that it has started. What it gives ends early if the fork does.

    Args:
        items: iterated over in the fork alone.
        patience: returns the seconds to wait for the next one.

    Raises:
        TimeoutError: if it takes longer.
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
    try:
        os.setpgid(child, child)  # Whichever of the two comes first.
        while ours.poll(patience()):
            yield ours.recv()
        raise TimeoutError
    except EOFError:
        return
    finally:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


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


def memory_left(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes the machine has left, and our container: it sees its own control group
    at the root of them."""
    left = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # Without a limit there is no file, or it says "max".
        limit = int((group / "memory.max").read_text())
        # "anon" comes first. The kernel takes the rest back when it needs it.
        left = min(left, limit - int((group / "memory.stat").read_text().split()[1]))
    return max(0, left)


def memory(process: int) -> int:
    """Return the bytes that a process has for itself: what it reads of files, all share."""
    info = psutil.Process(process).memory_info()
    return int(info.rss - info.shared)


def trial(names: list[str], room: int, each: float = EACH, whole: float = ALL) -> dict[str, str]:
    """Import modules one after the other in forks of this process, each once; see `load`.

    Returns:
        Why each is bad, completing "it ...", or empty text. The good ones were imported in one
        process, in this order, without the bad ones. Bad is what raises, ends the process, takes
        more than `each` seconds, does what `_marks` tells, or takes the good ones above `room`
        bytes. What is not reached in `whole` seconds is left out.
    """
    end = time.monotonic() + whole
    found: dict[str, str] = {}
    with suppress(TimeoutError):
        found.update(in_fork(_tried(names, room, each), lambda: max(0, end - time.monotonic())))
    return found


def _tried(names: list[str], room: int, each: float) -> Iterator[tuple[str, str]]:
    """Yield what comes of each module, from a fork for each. One whose module is good goes on,
    instead of the process before it; that one is still without the module, and goes on itself if it
    is bad."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    before, most = _marks(), memory(os.getpid()) + room
    for name in names:
        ours, theirs = multiprocessing.Pipe()
        if (child := os.fork()) == 0:
            theirs.send(_try(name, theirs, before))
            theirs.recv()
            continue
        theirs.close()
        if (reason := _wait(child, ours, most, each)) == "":
            yield name, reason
            ours.send("go on")
            return
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield name, reason or f"ends the process (exit code {status})"


def _wait(child: int, pipe: Connection, most: int, each: float) -> str | None:
    """Return what a child says of its module; None if it ends instead."""
    end = time.monotonic() + each
    while time.monotonic() < end:
        answered = pipe.poll(0.05)
        # Were nothing left, the kernel would choose whom it ends.
        if memory(child) > most:
            return TOO_LARGE
        if answered:
            try:
                return str(pipe.recv())
            except EOFError:
                return None
    return f"takes longer than {each:.0f} s"


def _try(name: str, pipe: Connection, before: dict[str, object]) -> str:
    """Import a module; return what is bad about it, or empty text."""
    importing = True

    def forks() -> None:
        if importing:
            pipe.send("forks")
            os._exit(0)

    os.register_at_fork(before=forks)
    reason = load(name)
    importing = False
    changed = [what for what, now in _marks().items() if now != before[what]]
    return " and ".join(changed) or reason


def _marks() -> dict[str, object]:
    """Return what an import has to leave as it is in a process that others are forked from."""
    root = logging.root
    loggers = root.manager.loggerDict.items()
    disabled = [name for name, logger in loggers if getattr(logger, "disabled", False)]
    return {
        "starts threads": _threads(),
        "leaves a process running": len(psutil.Process().children()),
        "sets signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "replaces sys.excepthook": sys.excepthook,
        "changes logging": (root.level, [*root.handlers], root.manager.disable, disabled),
        "changes the working directory": os.getcwd(),
        "changes how processes start": multiprocessing.get_start_method(),
    }


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
