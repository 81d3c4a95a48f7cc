"""A session in a container: it comes in environment variables, and no secret goes out.

What is written to a container's log may be kept and read by others. So the session runs in a
process of its own, and what that says is masked here.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kedro_astro.errors import KedroAstroError, TooLargeError
from kedro_astro.project import PYTHON, code_of
from kedro_astro.running.places import venv
from kedro_astro.running.protocol import Session, Speaker

NAME = "KEDRO_ASTRO_SESSION_"
PART, MOST = 100_000, 1_000_000
"""The most bytes that Linux lets one variable have, and Kubernetes a pod; less some for others."""


def variables(session: Session) -> dict[str, str]:
    """Return a session as environment variables.

    Raises:
        TooLargeError: if it is more than a container takes.
    """
    # Kubernetes replaces $(NAME) by another variable, which may hold a secret.
    text = replace(session, project="").to_json().replace("$", r"\u0024")
    if len(text) > MOST:
        raise TooLargeError(size=len(text), most=MOST)
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return {f"{NAME}{number:02}": part for number, part in enumerate(parts)}


def main(level: str) -> None:
    """Be a container's process, in the project's folder: `python -m kedro_astro contain LEVEL`.

    Args:
        level: number of the least level of what is logged.

    Raises:
        SystemExit: with status 1, if the session fails.
    """
    names = sorted(name for name in os.environ if name.startswith(NAME))
    session = Session.from_json("".join(os.environ.pop(name) for name in names))
    session = replace(session, project=os.getcwd())
    speaker = Speaker(int(level))
    if session.code and session.code != code_of(Path.cwd(), session.code[1:]):
        what = "This image holds other code or configuration than the DAG was made from"
        logging.getLogger(__name__).warning(f"{what}: build the image again, or deploy the DAG.")
    python = os.environ.get(PYTHON) or sys.executable
    try:
        saved = venv(session, speaker.secrets.add, python, _ended_with_this)
    except KedroAstroError as error:
        speaker.say(ended=str(error), saved={})
        raise SystemExit(1) from None
    speaker.say(ended="", saved=saved, run_id=session.run_id)


def _ended_with_this(end: Callable[[], None]) -> None:
    # The first process of a container is ended by no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: end())
