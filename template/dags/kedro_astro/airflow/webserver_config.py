"""The webserver of Airflow 2, which reads this, for this machine; `server` is that of Airflow 3."""

from flask import Response, current_app, request

from kedro_astro.airflow.standalone import refused

AUTH_ROLE_PUBLIC = "Admin"
"""It asks for no password."""


def only_you() -> Response | None:
    """Answer what comes from you."""
    return Response(why, 403) if (why := refused(request.headers)) else None


current_app.before_request(only_you)
