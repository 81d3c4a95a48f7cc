"""Where a task's session can run: a function for each place, which returns when it has ended.

Each takes the session, and `mask`, which is called with each of the project's credentials before
anything uses them.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kedro_astro.errors import SessionError
from kedro_astro.project import command
from kedro_astro.running.protocol import Listener, printed_on, write
from kedro_astro.running.run import run
from kedro_astro.running.session import Session

Mask = Callable[[str], None]

LOOK = 0.2
"""Seconds between looks whether a process has ended: what it started may keep its output open."""


def worker(session: Session, mask: Mask) -> None:
    """Run a session in this process.

    Raises:
        Exception: whatever the project raises.
    """
    run(session, mask)


def venv(
    session: Session,
    mask: Mask,
    python: str,
    on_start: Callable[[Callable[[], None]], object] = lambda end: None,
) -> None:
    """Run a session in a process of another interpreter, and log what it logs and prints.

    The process ends when this one does, whatever ends that.

    Args:
        session, mask: as in each place.
        python: the interpreter.
        on_start: is called with a function that asks the process to end, for Airflow's `on_kill`.

    Raises:
        SessionError: if the session or the process fails.
    """
    listener = Listener(mask)
    level = logging.getLogger().getEffectiveLevel()
    with subprocess.Popen(
        command(python, "run", str(level), "private"),
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        try:
            on_start(process.terminate)
            # If it has ended before it listens, its output and its status say why.
            with suppress(BrokenPipeError):
                write(process.stdin.fileno(), f"{session.to_json()}\n".encode())
            _follow(process, listener)
            status = process.wait()
        except BaseException:
            # Above all Airflow's limit on a task's time.
            process.kill()
            raise
    if listener.ended != "" or status:
        raise SessionError(listener.ended or _in_words(status))


def _follow(process: subprocess.Popen[bytes], listener: Listener) -> None:
    """Take all that a process writes, until it ends."""
    assert process.stdout and process.stderr
    out, err = process.stdout.fileno(), process.stderr.fileno()
    takes: dict[int, Callable[[str], None]] = {
        out: listener.hear,
        err: partial(printed_on, "stderr"),
    }
    rest = dict.fromkeys(takes, b"")
    with selectors.DefaultSelector() as selector:
        for fd in takes:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        ended = False
        while selector.get_map() and not ended:
            # Asked first: what it has written before it ended is then there to be read.
            ended = process.poll() is not None
            selector.select(0 if ended else LOOK)
            # Standard error is read first and taken last: its secrets are said on standard output.
            more = {fd: _read(fd) for fd in (err, out)}
            for fd, take in takes.items():
                if more[fd] is None and fd in selector.get_map():
                    selector.unregister(fd)
                *lines, rest[fd] = (rest[fd] + (more[fd] or b"")).split(b"\n")
                for line in lines:
                    take(_text(line))
    for fd, take in takes.items():
        if rest[fd]:
            take(_text(rest[fd]))


def _read(fd: int) -> bytes | None:
    """Return what there is to read now; None at the end."""
    try:
        return os.read(fd, 1 << 20) or None
    except BlockingIOError:
        return b""


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _in_words(status: int) -> str:
    if status != -signal.SIGKILL:
        name = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return (
            f"The process of this task's nodes did not run to its end: it ended with {name}. Its "
            "last lines may say why."
        )
    return (
        "The process of this task's nodes was killed (SIGKILL). If you did not stop the task, the "
        "machine had no memory left: give the task less to hold, or a larger worker."
    )
