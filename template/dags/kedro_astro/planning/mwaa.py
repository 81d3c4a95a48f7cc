"""What Amazon MWAA takes of a project, and what it would not. Pure functions."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kedro_astro.planning.requirements import named, whole
from kedro_astro.structure import Dataset

PROJECT = "kedro_project"
"""The folder of the project in `plugins/`; Airflow is told not to import what is in it."""

LIMIT = 2**30
"""The most bytes that MWAA takes."""

PYTHON = "3.12"
VERSIONS = {"2.11": "2.11.2", "3.0": "3.0.6", "3.2": "3.2.1", "3.3": "3.3.1"}
"""MWAA's own version of each Airflow, all of them on `PYTHON`."""

ACTIONS = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
"""What tasks do with objects of S3."""

CONSTRAINTS = "AIRFLOW_CONSTRAINTS_FILE"
"""In MWAA's containers it names Airflow's constraints, which are there without a network."""

CONSTRAINED = r"(?m)^\s*(?:-c|--constraint)[\s=]"
AIRFLOW = r"(?i)\s*apache[-_.]airflow([-_.]core|[-_.]task[-_.]sdk)?\s*([\[<>=!~;@#]|$)"
"""How a line begins that names Airflow itself, which MWAA brings."""

LOCAL = r"(?:^|[\s=])((?:\.|file:)\S*|(?![/$])[^\s:]+\.(?:txt|whl|zip|gz))(?:\s|$)"
"""A file or folder that a requirement names, and that is on no other machine."""

KEYS = r"""(?ix) .* (passw(or)?d | passphrase | pwd | secret | api[-_]?key | connection[-_]?string
 | (access|account|private|secret|shared)[-_]?key([-_]?id)?
 | (access|api|auth|bearer|sas|security|session)[-_]?token) | token"""
"""Names of secrets. In a file of credentials `key` is one as well; `pad_token` is none."""

NO_SECRET = r"""[~$]?|null|true|false|\$\{[^,]*(,\s*(null|""|'')?\s*)?\}"""
"""A value that stands elsewhere, or is none."""

PLAIN = r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
IN_ADDRESS = r"://[^\s/:@\"'${<]*:[^\s/@\"'${<]+@"


def literal_keys(files: Mapping[str, str]) -> Iterator[str]:
    """Yield where files hold secrets themselves, and never what they are.

    Args:
        files: texts by path. In Python's only AWS's keys and private keys are looked for.
    """
    for path, text in files.items():
        plain = PLAIN if path.endswith(".py") else f"{PLAIN}|{IN_ADDRESS}"
        found = {n for n, line in enumerate(text.splitlines(), 1) if re.search(plain, line)}
        if path.endswith((".yml", ".yaml", ".json")):
            names = f"{KEYS} | key" if "credentials" in path else KEYS
            for key, value, number in _values(text):
                if re.fullmatch(names, key) and not re.fullmatch(NO_SECRET, value.strip()):
                    found.add(number)
        for number in sorted(found):
            what = f"{path}:{number} holds a key or password, and MWAA would get the file."
            next_ = "The execution role lets tasks into the bucket, without any key. For what else"
            yield f"{what} {next_} they need name a variable, such as ${{oc.env:STORE_PASSWORD}}."


def _values(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the keys of a YAML text whose values are scalars, these values, and their lines."""
    import yaml  # Airflow brings it

    tokens: list[Any] = []
    with suppress(yaml.YAMLError):  # Kedro says what is wrong with it.
        tokens.extend(yaml.scan(text))
    # A tag or an anchor may stand before a value.
    tokens = [each for each in tokens if not isinstance(each, yaml.TagToken | yaml.AnchorToken)]
    for key, colon, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if isinstance(colon, yaml.ValueToken) and isinstance(value, yaml.ScalarToken):
            yield str(getattr(key, "value", "")), value.value, value.start_mark.line + 1


def requirements(files: Mapping[str, str], names: Iterable[str]) -> tuple[str, list[str]]:
    """Return the text of MWAA's file of requirements, and what is wrong with it.

    Args:
        files: texts by path in the project.
        names: of its own files of requirements; which are not there, add nothing.
    """
    lines = "\n".join(whole(files, name) for name in names).splitlines()
    lines = [line for line in lines if line.strip() and not re.match(AIRFLOW, line)]
    there = set().union(*(named(files, name) for name in names if name in files))
    lines += [name for name in ("kedro", "s3fs") if name not in there]
    local = [found[1] for line in lines if (found := re.search(LOCAL, line))]
    what = "a file that MWAA does not have. Delete the line, or name an address."
    if not re.search(CONSTRAINED, "\n".join(lines)):
        lines.insert(0, f"--constraint ${{{CONSTRAINTS}}}")
    return "\n".join(lines) + "\n", [f"the requirements name {name}, {what}" for name in local]


def policy(datasets: Iterable[Dataset]) -> str:
    """Return what the execution role has to be allowed for the data, as AWS takes it: JSON."""
    # Only a run knows what is in <>.
    found = [re.match(r"s3[an]?://([^/<]+)/?([^<]*)", each.location or "") for each in datasets]
    places = {(each[1], posixpath.dirname(each[2])) for each in found if each}
    objects = {posixpath.join(bucket, folder, "*") for bucket, folder in places}
    statement = [_allow(["ListBucket"], {bucket for bucket, _ in places}), _allow(ACTIONS, objects)]
    return json.dumps({"Version": "2012-10-17", "Statement": statement}, indent=2) + "\n"


def _allow(actions: Iterable[str], names: Iterable[str]) -> dict[str, object]:
    resources = [f"arn:aws:s3:::{name}" for name in sorted(names)]
    return {"Effect": "Allow", "Action": [f"s3:{a}" for a in actions], "Resource": resources}
