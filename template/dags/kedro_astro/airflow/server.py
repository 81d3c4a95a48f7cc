"""Airflow's UI and API for this machine: `kedro astro up` starts this, not `airflow api-server`.

It asks for no password, so whatever reaches it must come from you. That it listens on this machine
only is not enough: a browser also asks what pages of others tell it to.
"""

from collections.abc import Awaitable, Callable

import uvicorn
from airflow.api_fastapi.main import app
from airflow.utils.log.file_task_handler import FileTaskHandler
from fastapi import Request, Response

from kedro_astro.airflow.standalone import HOST, refused


def main(port: str) -> None:
    """Serve until this process is told to end: `python -m kedro_astro serve PORT`."""
    # For the log of a running task Airflow asks a log server as well. None runs: they listen to all
    # the world, and the logs lie on this disk.
    setattr(FileTaskHandler, "_read_from_logs_server", lambda *_: ([], []))  # noqa: B010
    app.middleware("http")(only_you)
    # Airflow has set up logging, and logs each request itself.
    uvicorn.run(app, host=HOST, port=int(port), access_log=False, log_config=None)


async def only_you(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Answer what comes from you."""
    if why := refused(request.headers):
        return Response(why, 403)
    response = await answer(request)
    # No page of theirs shows this one under buttons of its own.
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
