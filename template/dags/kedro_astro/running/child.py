"""A task's Kedro session in a process of the project's own interpreter, which may lack Airflow.

The two ends talk JSON lines over a socket: the parent sends the session; the child sends secrets to
mask, log records, and how it ended. What the child prints goes into the parent's log line by line.
Nothing but the standard library is imported, so that either interpreter can.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any, BinaryIO

from kedro_astro.errors import SessionError
from kedro_astro.project import SHIM
from kedro_astro.running.run import Session, run

RECORD = (
    *("name", "levelno", "levelname", "created"),
    *("pathname", "filename", "module", "lineno", "funcName"),
)
"""What a log record keeps on its way, besides its text."""

PRINTED = {"stdout": logging.INFO, "stderr": logging.ERROR}
"""Levels of what is printed, and loggers `task.<stream>`: as Airflow has it for its own tasks."""

LOOK = 0.2
"""Seconds between looks whether the child has ended: what it started may keep its output open."""


class Child:
    """The process in which a task's nodes run.

    It ends when this process does, whatever ends that.

    Args:
        python: the interpreter.
        session: what to run.
    """

    def __init__(self, python: str, session: Session) -> None:
        self._session = session
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [python, str(SHIM), "run", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
            )

    def run(self, mask: Callable[[str], None]) -> None:
        """Have the session run, and log what the child logs and prints until it ends.

        Args:
            mask: is called with each of the project's credentials before anything uses them.

        Raises:
            SessionError: if the session or the process fails.
        """
        said = _Said(mask)
        try:
            level = logging.getLogger().getEffectiveLevel()
            # If it has ended before it listens, its output and its status say why.
            with suppress(BrokenPipeError):
                _send(self._socket, {"session": asdict(self._session), "level": level})
            self._listen(said)
            status = self._process.wait()
        except BaseException:
            # Above all Airflow's limit on a task's time.
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._socket.close()
        if said.error or status:
            raise SessionError(said.error or _of_status(status))

    def terminate(self) -> None:
        """Ask the process to end, as Airflow asks the task."""
        self._process.terminate()

    def _listen(self, control: _Said) -> None:
        streams: dict[Any, _Lines] = {self._socket: _Lines(control.message)}
        for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr)):
            streams[stream] = _Lines(partial(logging.getLogger(f"task.{name}").log, PRINTED[name]))
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ)
            ended = False
            while selector.get_map() and not ended:
                # Asked first: what it has written before it ended is then there to be read.
                ended = self._process.poll() is not None
                for key, _ in selector.select(0 if ended else LOOK):
                    said = _read(key.fd)
                    if said is None:
                        selector.unregister(key.fd)
                    if key.fileobj is not self._socket:
                        # A secret in what it printed was announced before.
                        streams[self._socket].add(_read(self._socket.fileno()) or b"")
                    streams[key.fileobj].add(said or b"")
        for lines in streams.values():
            lines.add(b"\n" if lines.rest else b"")


class _Said:
    """What the child has said.

    Attributes:
        error: the one that ended the session, or None.
    """

    def __init__(self, mask: Callable[[str], None]) -> None:
        self._mask = mask
        self.error: str | None = None

    def message(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            # Processes that the child forked have its socket, too, and may talk at once.
            logging.getLogger("task.stderr").error(line)
            return
        if "mask" in message:
            self._mask(message["mask"])
        elif "error" in message:
            self.error = message["error"]
            logging.getLogger(__name__).error(message["traceback"])
        elif (logger := logging.getLogger(message["name"])).isEnabledFor(message["levelno"]):
            logger.handle(logging.makeLogRecord(message))


class _Lines:
    """Bytes made into lines.

    Args:
        take: is called with each line.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self.rest = b""

    def add(self, more: bytes) -> None:
        *lines, self.rest = (self.rest + more).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace").rstrip("\r"))


def _read(fd: int) -> bytes | None:
    """Return what there is to read now; None at the end."""
    try:
        return os.read(fd, 1 << 20) or None
    except BlockingIOError:
        return b""
    except ConnectionResetError:
        return None


def _send(to: socket.socket, message: Mapping[str, Any]) -> None:
    to.sendall(json.dumps(message, default=str).encode() + b"\n")


def _of_status(status: int) -> str:
    if status != -signal.SIGKILL:
        name = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return f"The process of this task's nodes ended with {name}. Its last lines may say why."
    return (
        "The process of this task's nodes was killed (SIGKILL). If you did not stop the task, the "
        "machine had no memory left: give the task less to hold, or a larger worker."
    )


def main(fd: int) -> None:
    """Be the child: run the session that the parent sends.

    Args:
        fd: of the socket.
    """
    parent = socket.socket(fileno=fd)
    received = parent.makefile("rb")
    wanted = json.loads(received.readline())
    threading.Thread(target=_end_with_parent, args=[received], daemon=True).start()
    _log_to(parent, wanted["level"])
    try:
        run(Session.of(wanted["session"]), lambda secret: _send(parent, {"mask": secret}))
    except BaseException as error:
        what = f"{type(error).__name__}: {error}"
        _send(parent, {"error": what, "traceback": traceback.format_exc().strip()})
        raise SystemExit(1) from None


def _end_with_parent(received: BinaryIO) -> None:
    """End this process when the parent has ended: nobody else would end it."""
    received.read()
    os._exit(1)


def _log_to(parent: socket.socket, level: int) -> None:
    class ToParent(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept = {name: getattr(record, name) for name in RECORD}
            _send(parent, {**kept, "msg": self.format(record)})

    logging.basicConfig(handlers=[ToParent()], level=level, force=True)
    # With the bare message, and the traceback if there is one.
    logging.getLogger().handlers[0].setFormatter(logging.Formatter())
    logging.captureWarnings(True)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
