"""Modules tried in a fork of this process, so that nothing they do happens in it.

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
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import psutil

EACH = 20.0
"""Seconds that one module may take. Pandas takes one, and some ten from a cold network disk."""

ALL = 60.0
"""Seconds for all of them and all attempts: so much later, at worst, the scheduler starts."""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
"""Those that Airflow or the system send to a scheduler."""


@dataclass
class Probe:
    """What a probe found.

    Attributes:
        good: the names that can be imported here, in this order.
        bad: why another cannot, by name; completes "it ...".
        grown: bytes that they take.
        seconds: what the probe took.
        too_large: whether they take more than they may. Then nobody knows of the rest.
    """

    good: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    grown: int = 0
    seconds: float = 0
    too_large: bool = False


def load(name: str) -> None:
    """Import a module, or for `module:attribute` get that, which imports what is behind it."""
    module, _, attribute = name.partition(":")
    loaded = importlib.import_module(module)
    if attribute:
        getattr(loaded, attribute)


def probe(names: Sequence[str], room: int, each: float = EACH, whole: float = ALL) -> Probe:
    """Import modules one after the other in a fork of this process.

    One that raises is bad, and so is one that does what `_marks` tells, ends the process or takes
    too long; then the others are tried again in a new fork. So what is good at the end was imported
    in one process, in this order, without what is bad.

    Args:
        names: see `load`.
        room: bytes that all of them may take.
        each, whole: seconds, see `EACH` and `ALL`.
    """
    started = time.monotonic()
    end = started + whole
    found = Probe()
    again = True
    while again:
        left = [name for name in names if name not in found.bad]
        found.good, found.grown = [], 0
        again = _attempt(left, found, room, each, end)
    if not found.too_large:
        for name in set(left) - {*found.good}:
            found.bad.setdefault(name, f"was not reached in {whole:.0f} s")
    found.seconds = time.monotonic() - started
    return found


def reason_of(error: BaseException) -> str:
    """Return an exception in one line, completing "it ..."."""
    said = " ".join(str(error).split())[:200]
    return f"raises {type(error).__name__}{': ' * bool(said)}{said}"


def _attempt(names: Sequence[str], found: Probe, room: int, each: float, end: float) -> bool:
    """Try modules in one child and note what it says; return whether another has to go on."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    base = psutil.Process().memory_info().rss
    child = os.fork()
    if child == 0:
        _in_child(names, theirs, base)
    theirs.close()
    with suppress(OSError):
        # The child does the same; whoever comes first.
        os.setpgid(child, child)
    try:
        for name in names:
            said = _answer(ours, child, base, room, min(time.monotonic() + each, end))
            if said is None:
                if time.monotonic() >= end:
                    return False
                found.bad[name] = f"takes longer than {each:.0f} s"
                return True
            reason, goes_on, found.grown = said
            if found.grown > room:
                found.too_large = True
                return False
            if reason:
                found.bad[name] = reason
            else:
                found.good.append(name)
            if not goes_on:
                return True
        return False
    finally:
        ours.close()
        _end(child)


def _answer(
    pipe: Connection, child: int, base: int, room: int, end: float
) -> tuple[str, bool, int] | None:
    """Wait for what the child says of one module; None if it says nothing in time.

    Returns:
        Why it is bad or empty text, whether the child goes on, and how many bytes it has grown.
    """
    process = psutil.Process(child)
    while not pipe.poll(0.05):
        with suppress(psutil.Error):
            # A module that takes all the memory would have the kernel choose whom it ends.
            if (grown := process.memory_info().rss - base) > room:
                return "", False, grown
        if time.monotonic() > end:
            return None
    try:
        said: tuple[str, bool, int] = pipe.recv()
        return said
    except EOFError:
        return f"ends the process{_how(child)}", False, 0


def _how(child: int) -> str:
    """Return how a child has ended, whose end of the pipe is closed."""
    for _ in range(20):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid and os.WIFSIGNALED(status):
            return f" ({signal.Signals(os.WTERMSIG(status)).name})"
        if pid:
            return f" (status {os.WEXITSTATUS(status)})"
        time.sleep(0.05)
    return ""


def _end(child: int) -> None:
    """End the child and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def _in_child(names: Sequence[str], pipe: Connection, base: int) -> NoReturn:
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        # If nobody is left to end it.
        signal.alarm(int(ALL) + 60)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        forks: list[int] = []
        os.register_at_fork(before=lambda: forks.append(1), after_in_child=lambda: os._exit(0))
        process = psutil.Process()
        before = _marks(forks)
        for name in names:
            reason = ""
            try:
                load(name)
            except BaseException as error:
                reason = reason_of(error)
            after = _marks(forks)
            changed = [what for what in after if after[what] != before[what]]
            if changed:
                reason = " and ".join(changed)
            grown = process.memory_info().rss - base
            pipe.send((reason, not changed, grown))
            if changed:
                break
    finally:
        os._exit(0)


def _marks(forks: list[int]) -> dict[str, object]:
    """Return what an import has to leave as it is in a process that others are forked from."""
    root = logging.root
    others = root.manager.loggerDict.items()
    disabled = [name for name, other in others if getattr(other, "disabled", False)]
    return {
        "starts threads": (threading.active_count(), _odd_threads()),
        "forks": len(forks),
        "leaves a process running": _has_children(),
        "sets signal handlers": [signal.getsignal(number) for number in SIGNALS],
        "replaces sys.excepthook": sys.excepthook,
        "changes logging": (root.level, [*root.handlers], root.manager.disable, disabled),
        "changes the working directory": os.getcwd(),
        # Not yet chosen is the default: to ask for a lock chooses that.
        "changes how processes start": multiprocessing.get_start_method(allow_none=True)
        or multiprocessing.get_all_start_methods()[0],
    }


def _odd_threads() -> int:
    """Return how many threads there are that a fork would miss, beside Python's own.

    OpenBLAS and jemalloc start some when they are loaded, stop them for a fork and start them again
    behind it. OpenMP starts its own with the first work, and a fork waits for them for ever.
    """
    lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    pools = {line.split()[-1] for line in lines if "openblas" in line}
    others = 0
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError):  # It has just ended.
            name = Path("/proc/self/task", task, "comm").read_text().strip()
            others += name != "jemalloc_bg_thd"
    return max(0, others - 1 - len(pools) * (len(os.sched_getaffinity(0)) - 1))


def _has_children() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False
