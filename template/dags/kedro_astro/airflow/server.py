"""Airflow's UI and API for this machine: `kedro astro up` starts this, not `airflow api-server`.

It asks for no password, so whatever reaches it must come from you. That it listens on this machine
only is not enough: a browser also asks what pages of others tell it to.
"""

from collections.abc import Awaitable, Callable

import uvicorn
from airflow.api_fastapi.main import app
from airflow.utils.log.file_task_handler import FileTaskHandler
from fastapi import Request, Response

from kedro_astro.airflow.standalone import HOST


def main(port: str) -> None:
    """Serve until this process is told to end: `python -m kedro_astro serve PORT`."""
    # For the log of a running task Airflow asks a log server as well. None runs: they listen to all
    # the world, and the logs lie on this disk.
    setattr(FileTaskHandler, "_read_from_logs_server", lambda *_: ([], []))  # noqa: B010
    app.middleware("http")(only_you)
    # Airflow has set up logging, and logs each request itself.
    uvicorn.run(app, host=HOST, port=int(port), access_log=False, log_config=None)


async def only_you(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse what is asked under a foreign name, or by a page of another site.

    Their name may lead here (DNS rebinding). Without that a page of theirs could not read what it
    gets, but start runs. `Origin` says whose page it is, wherever a request changes something.
    """
    host = request.headers.get("host", "")
    origin = request.headers.get("origin", f"http://{host}")
    if host.partition(":")[0] not in (HOST, "localhost") or origin != f"http://{host}":
        return Response(f"Airflow answers {HOST} and localhost, and no page of another site.", 403)
    response = await answer(request)
    # No page of theirs shows this one under buttons of its own.
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
