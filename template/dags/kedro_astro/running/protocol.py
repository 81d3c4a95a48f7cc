"""What goes to a process that runs one task, and what comes back from it.

There goes a session: plain data that the worker makes before any process is started. Back come
records. A record is JSON behind a record separator, on a line of standard output (RFC 7464). All
else there is what the nodes print. A pipe brings that as well as a container's log does: all that
is asked for are its lines. Three kinds of record:

- `{"name", "levelno", ..., "msg"}`: something was logged; see `LOGGED`.
- `{"mask"}`: a secret of the project. Only said where nobody else can read it.
- `{"ended", "saved", "run_id"}`: how the session ended: the error, or an empty text if all went
  well; where each dataset is that it saved; and from a container, the session's id.

Neither Kedro nor Airflow is imported, so that either interpreter can.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

from kedro_astro.structure import PIPELINE_HOOKS

SEPARATOR = "\x1e"

LOGGED = "name levelno levelname created pathname filename module lineno funcName msg".split()
"""What a log record keeps on its way: who said it, when and where, and its text."""


@dataclass(frozen=True)
class Session:
    """What one Kedro session runs.

    Attributes:
        project: the folder that holds `pyproject.toml`.
        pipeline: the registered pipeline that the nodes are of.
        nodes: names of the nodes to run; if there are none, the hooks are fired for the whole
            pipeline and nothing is run.
        run_id: the version that versioned datasets are saved under.
        hooks: those of `PIPELINE_HOOKS` that are fired.
        load_versions: by dataset, if not the latest.
        runtime_params: nested, as Kedro takes them.
        credentials: over those in files, by name. They are not in the session's `repr`; its JSON
            is for the process that runs it, by its standard input or its container's environment,
            and for nothing that is kept.
        removes: datasets whose folders of this DAG run are removed, when there are no nodes.
        code: what `project.code_of` said of the project that the DAG was made from.
        retention: the age in seconds at which those of the DAG's other runs are, too; None: never.
    """

    project: str
    pipeline: str
    nodes: Sequence[str]
    run_id: str
    hooks: Sequence[str] = PIPELINE_HOOKS
    load_versions: Mapping[str, str] = field(default_factory=dict)
    runtime_params: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    removes: Sequence[str] = ()
    retention: float | None = None
    code: Sequence[str] = ()

    def to_json(self) -> str:
        """Return it as one line of JSON. A parameter that JSON does not have becomes its text."""
        return json.dumps(vars(self), default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Session":
        """Return the session that `to_json` wrote."""
        return cls(**json.loads(text))


class Speaker(QueueHandler):
    """Says records on what is standard output now, whatever the nodes make of that later.

    All that is logged or warned of is said from now on, and what is printed goes out line by line.

    Args:
        level: the least of what is logged.

    Attributes:
        secrets: what is shown as ***, if it is longer than a port: as in Airflow.
    """

    def __init__(self, level: int) -> None:
        super().__init__(SimpleQueue())  # There is none, see `enqueue`.
        self.secrets: set[str] = set()
        self._fd = os.dup(1)
        logging.basicConfig(level=level, handlers=[self], force=True)
        logging.captureWarnings(True)
        # basicConfig has set another: the bare message, and the traceback if there is one.
        self.setFormatter(None)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def enqueue(self, record: logging.LogRecord) -> None:
        """Say what is logged, as the library has prepared it: its arguments and its traceback are
        in its text, and where they do not go together that does not fail the node."""
        self.say(**{name: getattr(record, name) for name in LOGGED})

    def say(self, **record: object) -> None:
        """Say a record in one piece: threads and forked processes write there, too."""
        text = json.dumps(record, default=str)
        # One secret may be a part of another.
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(json.dumps(secret)[1:-1], "***") if len(secret) > 4 else text
        write(self._fd, f"{SEPARATOR}{text}\n".encode())


class Listener:
    """Logs what a process with a `Speaker` writes to standard output, as if this one had done it.

    What is printed has the logger and level that Airflow gives to what its own tasks print.

    Args:
        mask: is called with each secret of the project, before any line that may hold it.

    Attributes:
        ended: the error that ended the session; empty if all went well, None while nothing is said.
        saved: where each dataset is that it saved.
        run_id: the session's, if that was said.
    """

    def __init__(self, mask: Callable[[str], None]) -> None:
        self._mask = mask
        self.ended: str | None = None
        self.saved: dict[str, str | None] = {}
        self.run_id: str | None = None

    def take(self, line: str) -> None:
        """Take a line, without its end.

        Lines end with a newline and nothing else: `str.splitlines` takes a separator for an end.
        """
        # Before a record there may be what was printed without an end of line.
        printed, *records = line.split(SEPARATOR)
        if printed or not records:
            logging.getLogger("task.stdout").info(printed)
        for text in records:
            record: Any = None
            with suppress(ValueError):
                record = json.loads(text)
            match record:
                case {"mask": str(secret)}:
                    self._mask(secret)
                case {"ended": str(error), "saved": dict(saved)}:
                    self.ended, self.saved = error, saved
                    self.run_id = record.get("run_id")
                case {"name": str(name), "levelno": int(level), "msg": str()}:
                    if (logger := logging.getLogger(name)).isEnabledFor(level):
                        logger.handle(logging.makeLogRecord(record))
                case _:
                    # A node's own, or a long record that another process wrote into.
                    logging.getLogger("task.stdout").info(text)


def write(fd: int, data: bytes) -> None:
    """Write all of it, at once where the system does."""
    while data:
        data = data[os.write(fd, data) :]
