"""What Amazon MWAA takes of a project, and what it would not. Pure functions."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kedro_astro.planning.requirements import INCLUDED, named
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

NO_SECRET = r"""~?|null|true|false|\$\{[^,]*(,\s*(null|""|'')?\s*)?\}"""
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

    todo: list[Any] = []
    seen: set[int] = set()
    with suppress(yaml.YAMLError, RecursionError):  # Kedro says what is wrong with it.
        todo = list(yaml.compose_all(text, yaml.SafeLoader))
    while todo:
        node = todo.pop()
        # An alias is the same node, and may be in itself.
        if id(node) not in seen and isinstance(node, yaml.CollectionNode):
            seen.add(id(node))
            for item in node.value:
                key, value = item if isinstance(item, tuple) else (None, item)
                todo.append(value)
                if key and isinstance(value, yaml.ScalarNode):
                    yield str(key.value), value.value, value.start_mark.line + 1


def requirements(files: Mapping[str, str], names: Iterable[str]) -> tuple[str, list[str]]:
    """Return the text of MWAA's file of requirements, and what is wrong with it.

    Args:
        files: texts by path in the project.
        names: of its own files of requirements.
    """
    lines = [line for name in names for line in _lines(files, name)]
    there = set().union(*(named(files, name) for name in names))
    lines += [name for name in ("kedro", "s3fs") if name not in there]
    problems = []
    for line in lines:
        if found := re.search(LOCAL, re.sub(r"(?:^|\s)#.*", "", line)):
            what = f"the requirements name {found[1]}, a file that MWAA does not have."
            problems.append(f"{what} Delete the line, or name an address.")
    if not re.search(CONSTRAINED, "\n".join(lines)):
        lines.insert(0, f"--constraint ${{{CONSTRAINTS}}}")
    return "\n".join(lines) + "\n", problems


def _lines(files: Mapping[str, str], name: str) -> Iterator[str]:
    """Yield the lines of a file of requirements, and of those that it includes."""
    for line in files.get(name, "").splitlines():
        included = re.match(INCLUDED, line)
        near = posixpath.join(posixpath.dirname(name), included[1] if included else "")
        if included and (near := posixpath.normpath(near)) in files and near != name:
            yield from _lines({other: files[other] for other in files if other != name}, near)
        elif not re.match(AIRFLOW, line):
            yield line


def policy(datasets: Iterable[Dataset]) -> str:
    """Return what the execution role has to be allowed for the data, as AWS takes it: JSON."""
    folders: dict[str, list[str]] = {}
    for dataset in datasets:
        # Only a run knows what is in <>.
        if found := re.match(r"s3[an]?://([^/<]+)/?([^<]*)", dataset.location or ""):
            folders.setdefault(found[1], []).append(posixpath.dirname(found[2]))
    buckets = {name: posixpath.commonpath(paths) for name, paths in sorted(folders.items())}
    objects = [posixpath.join(name, folder, "*") for name, folder in buckets.items()]
    statement = [_allow(["ListBucket"], buckets), _allow(ACTIONS, objects)]
    return json.dumps({"Version": "2012-10-17", "Statement": statement}, indent=2) + "\n"


def _allow(actions: Iterable[str], names: Iterable[str]) -> dict[str, object]:
    resources = [f"arn:aws:s3:::{name}" for name in names]
    return {"Effect": "Allow", "Action": [f"s3:{a}" for a in actions], "Resource": resources}
