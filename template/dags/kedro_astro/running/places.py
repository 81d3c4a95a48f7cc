"""Where a task's session can run: a function for each place, which returns when it has ended.

Each takes the session, and `mask`, which is called with each of the project's credentials before
anything uses them.
"""

import logging
import os
import selectors
import signal
from collections.abc import Callable
from contextlib import suppress
from subprocess import PIPE, Popen

from kedro_astro.errors import SessionError, of_status
from kedro_astro.project import command
from kedro_astro.running.protocol import Listener, write
from kedro_astro.running.run import run
from kedro_astro.running.session import Session

Mask = Callable[[str], None]
OnStart = Callable[[Callable[[], None]], object]


def worker(session: Session, mask: Mask) -> None:
    """Run a session in this process.

    Raises:
        Exception: whatever the project raises.
    """
    # A crash ends it. Airflow's parse of the DAG file has left a handler that returns to what
    # crashed, for ever; outside the main thread there is none.
    with suppress(ValueError):
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    run(session, mask)


def venv(session: Session, mask: Mask, python: str, on_start: OnStart) -> None:
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
        assert process.stdin
        try:
            on_start(process.terminate)
            # If it has ended before it listens, its output and its status say why.
            with suppress(BrokenPipeError):
                write(process.stdin.fileno(), f"{session.to_json()}\n".encode())
            _follow(process, listener)
            status = process.wait()
        finally:
            # It may not have ended: Airflow limits a task's time.
            process.kill()
    if status or listener.ended != "":
        raise SessionError(listener.ended or of_status(status))


def _follow(process: Popen[bytes], listener: Listener) -> None:
    """Take all lines that a process writes, until it ends."""
    assert process.stdout and process.stderr
    takes = {process.stdout: listener.out, process.stderr: listener.err}
    rest = dict.fromkeys(takes, b"")
    with selectors.DefaultSelector() as selector:
        for stream in takes:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        ended = False
        while rest and not ended:
            # Asked first: what it has written before it ended is then there to be read.
            ended = process.poll() is not None
            # What it started may keep its output open, so there is a look at it now and then.
            selector.select(0 if ended else 0.2)
            # Standard error is read first and taken last: its secrets are said on standard output.
            more = {stream: stream.read(1 << 20) for stream in reversed(rest)}
            for stream in [*rest]:
                *lines, rest[stream] = (rest[stream] + (more[stream] or b"")).split(b"\n")
                if ended or more[stream] == b"":
                    selector.unregister(stream)
                    lines += filter(None, [rest.pop(stream)])
                for line in lines:
                    takes[stream](line.decode("utf-8", "replace").rstrip("\r"))
