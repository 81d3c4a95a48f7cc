"""Airflow's connections as Kedro's credentials. Airflow is asked for them when a task runs."""

import json
from collections.abc import Mapping
from typing import Any

from kedro_astro.errors import CredentialsError, SettingsError, label
from kedro_astro.structure import nested

_THEIRS = "aws_access_key_id aws_secret_access_key aws_session_token region_name endpoint_url"
_S3FS = "key secret token client_kwargs.region_name client_kwargs.endpoint_url"
AWS = dict(zip(_THEIRS.split(), _S3FS.split(), strict=True))
"""What the extra of a connection of the type `aws` may hold, and where s3fs takes it. The first two
are its login and its password."""

SQL = {"postgres": "postgresql"} | {n: n for n in ("mssql", "mysql", "oracle", "sqlite", "trino")}
"""SQLAlchemy's dialects, by type of connection."""


def credentials(connections: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return Kedro's credentials by name.

    Args:
        connections: by name, the id of the Airflow connection that they come from.

    Raises:
        CredentialsError: if one is not there, or cannot be made credentials of. The error that it
            comes from is not shown: what that says may hold the secret.
    """
    from kedro_astro.airflow.sdk import BaseHook

    made = {}
    for name, conn_id in connections.items():
        try:
            made[name] = arguments(BaseHook.get_connection(conn_id))
        except Exception as error:
            unknown = f"is not there, or cannot be read as one ({type(error).__name__})"
            why = str(error) if isinstance(error, SettingsError) else unknown
            raise CredentialsError(name=label(name), conn_id=label(conn_id), why=why) from None
    return made


def arguments(connection: Any) -> dict[str, Any]:
    """Return a connection as a dataset's credentials.

    - Of the type `aws`: what s3fs takes. What is not there it takes from the environment or a role.
    - Of a database: `con`, SQLAlchemy's URL, with the extra as its query but for
      `sqlalchemy_scheme`, which may name the driver.
    - Of any other type: the extra, as it is.

    Raises:
        SettingsError: what is wrong, completing "the connection ...", without any value.
        ValueError: if the extra is no JSON.
        TypeError: if it is no mapping.
    """
    login, password, host = connection.login, connection.password, connection.host
    kind, extra = connection.conn_type, {**json.loads(connection.extra or "{}")}
    if kind == "aws":
        if unknown := sorted(extra.keys() - AWS):
            what = f"has {', '.join(unknown)} in its extra, where datasets can have"
            raise SettingsError(f"{what} {', '.join(AWS)}")
        said = {**dict(zip(AWS, (login, password), strict=False)), **extra}
        return nested({AWS[name]: value for name, value in said.items() if value})
    if dialect := extra.pop("sqlalchemy_scheme", SQL.get(kind)):
        from sqlalchemy.engine import URL  # Airflow brings it

        query = {k: v if isinstance(v, str) else json.dumps(v) for k, v in extra.items()}
        place = (host, connection.port, connection.schema)
        if kind == "sqlite":  # Its file is either of the two.
            place = (None, None, host or connection.schema)
        parts = [part or None for part in (login, password, *place)]
        return {"con": URL.create(dialect, *parts, query).render_as_string(hide_password=False)}  # type: ignore[call-arg,arg-type]
    if login or password:
        what = f"has a login or password, and no dataset takes those of the type {kind}"
        raise SettingsError(f"{what}: write them into its extra, by the names that the dataset has")
    return extra
