"""Modules tried in forks of this process, so that nothing they do happens in it.

What one does when it is imported, Airflow's scheduler would have done: raised, hung, crashed, left
a thread behind that no fork takes along. No Kedro and no Airflow here.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, NoReturn

import psutil

EACH, ALL = 20.0, 30.0
"""Seconds that one module, and all of them, may take. Pandas takes some ten from a cold disk."""

MB = 1 << 20

LIMITS = {"memory.max": "anon", "memory.limit_in_bytes": "total_rss"}
"""Which file limits a control group, of version 2 or 1, and what of `memory.stat` counts."""


class Tried(NamedTuple):
    """What came of a module: why it is bad, completing "it ...", or empty text; and its bytes. Of
    the bad ones only those have some that were too large."""

    reason: str
    size: int


def load(name: str) -> None:
    """Import a module, or for `module:attribute` get that, which imports what is behind it."""
    module, _, attribute = name.partition(":")
    loaded = importlib.import_module(module)
    if attribute:
        getattr(loaded, attribute)


def reason_of(error: BaseException) -> str:
    """Return an exception in one line, completing "it ..."."""
    said = " ".join(str(error).split())[:200]
    return f"raises {type(error).__name__}{': ' * bool(said)}{said}"


def memory_left(root: Path = Path("/")) -> int:
    """Return how many bytes the machine (`root`) and each of our control groups have left."""
    left = [psutil.virtual_memory().available]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kind, path = line.split(":", 2)
        mount = root / "sys/fs/cgroup" / kind
        group = mount / path.lstrip("/")
        # A container sees its own group as the root, whatever the path says.
        for folder in (mount, group, *group.parents):
            for limit, used in LIMITS.items():
                if (most := _text(folder / limit).strip()).isdigit():
                    stat = dict(map(str.split, _text(folder / "memory.stat").splitlines()))
                    left.append(int(most) - int(stat.get(used, 0)))
    return max(0, min(left))


def trial(
    names: Sequence[str], room: int, each: float = EACH, whole: float = ALL
) -> dict[str, Tried]:
    """Import modules one after the other in forks of this process, each once; see `load`.

    The good ones were imported in one process, in this order, without the bad ones. Bad is what
    raises, ends the process, takes more than `each` seconds, does what `_marks` tells, or with the
    good ones before it takes more than `room` bytes. What is not reached in `whole` seconds is left
    out.
    """
    end = time.monotonic() + whole
    found: dict[str, Tried] = {}
    ours, theirs = multiprocessing.Pipe(duplex=False)
    if (first := os.fork()) == 0:
        _in_child(names, theirs, room, each)
    theirs.close()
    with suppress(EOFError):
        while ours.poll(max(0, end - time.monotonic())):
            name, found[name] = ours.recv()
    with suppress(ProcessLookupError):
        os.killpg(first, signal.SIGKILL)
    os.waitpid(first, 0)
    return found


def _in_child(names: Sequence[str], report: Connection, room: int, each: float) -> NoReturn:
    """Fork for each module. A fork whose module is good goes on, instead of the process before it;
    that one is still without the module, and goes on itself if it is bad."""
    try:
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        importing: list[str] = []  # The module, and again for each time that it forks.
        os.register_at_fork(
            before=lambda: importing.extend(importing[:1]),
            after_in_child=lambda: importing and os._exit(0),
        )
        before = _marks()
        for name in names:
            ours, theirs = multiprocessing.Pipe()
            if (child := os.fork()) == 0:
                ours.close()
                theirs.send(_try(name, importing, before))
                room = theirs.recv()
                continue
            theirs.close()
            reason, size = _watch(child, ours, room, each)
            if reason == "":
                report.send((name, Tried(reason, size)))
                ours.send(room - size)
                break
            os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            how = f"status {status}" if status >= 0 else signal.Signals(-status).name
            report.send((name, Tried(reason or f"ends the process ({how})", size * (size > room))))
    finally:
        os._exit(0)


def _watch(child: int, pipe: Connection, room: int, each: float) -> tuple[str | None, int]:
    """Wait for what a child says of its module, None if it ends; and return the bytes it takes."""
    end, before = time.monotonic() + each, _memory(os.getpid())
    while time.monotonic() < end:
        answered = pipe.poll(0.05)
        if (size := _memory(child) - before) > room:
            # Were nothing left, the kernel would choose whom it ends.
            return f"takes more than the {room // MB} MB of memory that are left for it", size
        if answered:
            try:
                return pipe.recv(), size
            except EOFError:
                return None, size
    return f"takes longer than {each:.0f} s", 0


def _try(name: str, importing: list[str], before: dict[str, object]) -> str:
    """Import a module; return what is bad about it, or empty text."""
    reason = ""
    importing.append(name)
    try:
        load(name)
    except BaseException as error:
        reason = reason_of(error)
    changed = ["forks"] * (len(importing) > 1)
    importing.clear()
    changed += [what for what, now in _marks().items() if now != before[what]]
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
        # Not yet chosen is the default: to ask for a lock chooses that.
        "changes how processes start": multiprocessing.get_start_method(allow_none=True)
        or multiprocessing.get_all_start_methods()[0],
    }


def _threads() -> int:
    """Return how many threads there are that a fork would miss.

    OpenBLAS ends its own at a fork and starts them again when it needs them, so it is asked behind
    one. Jemalloc starts its own again. OpenMP's stay, and in a fork are waited for for ever.
    """
    for _ in range(20):  # One that has ended is still there for a moment.
        tasks = [_text(task / "comm") for task in Path("/proc/self/task").iterdir()]
        found = len([name for name in tasks if "jemalloc" not in name])
        if found == 1:
            break
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.01)
    return found


def _memory(process: int) -> int:
    """Return the bytes that a process has for itself: what it reads of files, all share."""
    info = psutil.Process(process).memory_info()
    return int(info.rss - info.shared)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
