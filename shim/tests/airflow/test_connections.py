"""What Airflow's connections are as Kedro's credentials, and what is said where they are none."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
import sqlalchemy
from kedro_astro.airflow.connections import credentials
from kedro_astro.errors import CredentialsError

SECRET = "hunter2/@of-the:store"
AWS = {"conn_type": "aws", "login": "AKIA", "password": SECRET}
HTTP = {"conn_type": "http", "host": "example.org"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch):
    """Return a function that defines a connection and returns the credentials made of it."""

    def make(connection: object) -> dict[str, Any]:
        text = connection if isinstance(connection, str) else json.dumps(connection)
        monkeypatch.setenv("AIRFLOW_CONN_MINE", text)
        return credentials({"store": "mine"})["store"]

    return make


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (AWS, {"key": "AKIA", "secret": SECRET}),
        # The role, the instance or the environment has them.
        ({"conn_type": "aws"}, {}),
        ({"conn_type": "aws", "login": "", "extra": {"region_name": ""}}, {}),
        (
            {**AWS, "extra": {"region_name": "eu-west-1", "endpoint_url": "http://127.0.0.1:9"}},
            {
                "key": "AKIA",
                "secret": SECRET,
                "client_kwargs": {
                    "region_name": "eu-west-1",
                    "endpoint_url": "http://127.0.0.1:9",
                },
            },
        ),
        (
            {
                "conn_type": "aws",
                "extra": {
                    "aws_access_key_id": "AKIA",
                    "aws_secret_access_key": SECRET,
                    "aws_session_token": "t",
                },
            },
            {"key": "AKIA", "secret": SECRET, "token": "t"},
        ),
        ({**HTTP, "extra": {"auth": ["ada", SECRET], "n": 1}}, {"auth": ["ada", SECRET], "n": 1}),
        ("generic://", {}),
        ("sqlite:////data/shop.db", {"con": "sqlite:////data/shop.db"}),
        ("sqlite://%2Fdata%2Fshop.db", {"con": "sqlite:////data/shop.db"}),
        ("mysql://db.example.org/shop", {"con": "mysql://db.example.org/shop"}),
    ],
    ids=str,
)
def test_what_a_connection_becomes(made, connection: object, expected: dict[str, Any]) -> None:
    assert made(connection) == expected


def test_a_database_is_sqlalchemys_url(made) -> None:
    """Of whatever its password has in it."""
    extra = {"sslmode": "require", "connect_timeout": 10}
    place = {"host": "db.example.org", "port": 5433, "schema": "shop"}
    said = {"conn_type": "postgres", "login": "ada", "password": SECRET, **place, "extra": extra}
    url = sqlalchemy.engine.make_url(made(said)["con"])
    assert (url.drivername, url.username, url.password) == ("postgresql", "ada", SECRET)
    assert (url.host, url.port, url.database) == ("db.example.org", 5433, "shop")
    assert url.query == {"sslmode": "require", "connect_timeout": "10"}
    extra = {"sqlalchemy_scheme": "mssql+pyodbc", "driver": "ODBC Driver 18"}
    url = sqlalchemy.engine.make_url(made({**said, "conn_type": "odbc", "extra": extra})["con"])
    assert (url.drivername, url.query) == ("mssql+pyodbc", {"driver": "ODBC Driver 18"})


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (f'{{"conn_type": "aws", "password": "{SECRET}"', "is not there, or cannot be read"),
        ({**AWS, "port": SECRET}, "is not there, or cannot be read"),
        ({**AWS, "extra": f"password={SECRET}"}, "JSON"),
        ({**AWS, "extra": [SECRET]}, "TypeError"),
        ({**AWS, "extra": {"role_arn": SECRET}}, "has role_arn in its extra, where datasets can"),
        ({**HTTP, "password": SECRET}, "no dataset takes those of the type http"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_without_the_secret(
    made, connection: object, says: str
) -> None:
    with pytest.raises(CredentialsError) as raised:
        made(connection)
    assert "the credentials store from the Airflow connection mine, which" in str(raised.value)
    assert says in str(raised.value) and "`credentials` in airflow.yml" in str(raised.value)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_one_that_is_not_there() -> None:
    with pytest.raises(CredentialsError, match="connection nowhere, which is not there"):
        credentials({"store": "nowhere"})
