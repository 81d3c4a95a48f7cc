"""Where a task's session can run: a function for each place, which returns when it has ended, with
the place of each dataset that was saved.

Each takes the session, and `mask`, which is called with each of the project's credentials before
anything uses them.
"""

import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from subprocess import PIPE, Popen
from typing import IO

from kedro_astro.errors import SessionError, of_status
from kedro_astro.project import command
from kedro_astro.running.protocol import Listener, Session, write
from kedro_astro.running.run import run

Mask = Callable[[str], None]
Saved = dict[str, str | None]
OnStart = Callable[[Callable[[], None]], object]


def worker(session: Session, mask: Mask) -> Saved:
    """Run a session in this process.

    Raises:
        Exception: whatever the project raises.
    """
    # A crash ends it. Airflow's parse of the DAG file has left a handler that returns to what
    # crashed, for ever; outside the main thread there is none.
    with suppress(ValueError):
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    return run(session, mask)


def venv(session: Session, mask: Mask, python: str, on_start: OnStart) -> Saved:
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
    run_it = command(python, "run", str(logging.getLogger().getEffectiveLevel()), "private")
    with Popen(run_it, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        try:
            on_start(process.terminate)
            # If it has ended before it listens, its output and its status say why.
            with suppress(BrokenPipeError):
                write(process.stdin.fileno(), f"{session.to_json()}\n".encode())
            printed = logging.getLogger("task.stderr").error
            _follow(process, {process.stdout: listener.take, process.stderr: printed})
            status = process.wait()
        finally:
            # It may not have ended: Airflow limits a task's time.
            process.kill()
    if status or listener.ended != "":
        raise SessionError(listener.ended) if listener.ended else of_status(status)
    return listener.saved


def _follow(process: Popen[bytes], takes: Mapping[IO[bytes], Callable[[str], None]]) -> None:
    """Take all lines that a process writes to its streams, until it ends."""
    rest = dict.fromkeys(takes, b"")
    for stream in takes:
        os.set_blocking(stream.fileno(), False)
    ended = False
    while not ended:
        # Asked first: what it has written before it ended is then there to be read.
        ended = process.poll() is not None
        # What it started may keep its output open, so there is a look at it now and then.
        wait([stream.fileno() for stream in rest], 0 if ended else 0.2)
        # Standard error is read first and taken last: its secrets are said on standard output.
        more = {stream: stream.read(1 << 20) for stream in reversed(rest)}
        for stream in [*rest]:
            *lines, rest[stream] = (rest[stream] + (more[stream] or b"")).split(b"\n")
            if ended or more[stream] == b"":
                lines += filter(None, [rest.pop(stream)])
            for line in lines:
                takes[stream](line.decode("utf-8", "replace").rstrip("\r"))
