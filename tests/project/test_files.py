"""Files of the project that other programs read."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from scaffold import GIT, run, scaffold, succeed


def test_renovate_knows_where_to_look(penguins: Path) -> None:
    content = json.loads((penguins / "renovate.json").read_text())
    looks_at = {
        "copier": ".copier-answers.yml",
        "github-actions": ".github/workflows/test.yml",
        "pep621": "pyproject.toml",
        "pip_requirements": "requirements.txt",
    }
    assert content["extends"] == ["config:recommended"]
    assert sorted(content["enabledManagers"]) == sorted(looks_at)
    assert all((penguins / name).is_file() for name in looks_at.values())


def test_the_environment_is_an_example_only(penguins: Path, tmp_path: Path) -> None:
    lines = (penguins / ".env.example").read_text().splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    assert [line for line in lines if re.fullmatch(r"# [A-Z_]+=\S+", line)]
    shutil.copy(penguins / ".gitignore", tmp_path)
    succeed([*GIT, "init", "--quiet"], tmp_path)
    assert run(["git", "check-ignore", ".env"], tmp_path).returncode == 0
    assert run(["git", "check-ignore", ".env.example"], tmp_path).returncode == 1


SECRETS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|eyJ)\w{16}",
    r"://[^\s/:@]*:[^\s/@]+@",
    r"(?i)(passw(or)?d|pwd|secret|token|api_?key)\w*['\"]?\s*[:=]\s*['\"]?[\w+/-]{6}",
    r"(?<![\w+/])(?=[\w+/]*\d)(?=[\w+/]*[A-Z])[\w+/]{32,}={0,2}(?![\w+/])",
)


def secrets(folder: Path) -> list[str]:
    """Return the lines below a folder that look as if they gave something away."""
    return [
        f"{file.relative_to(folder)}: {line}"
        for file in folder.rglob("*")
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
        if any(re.search(pattern, line) for pattern in SECRETS)
    ]


def test_no_secret_is_in_any(tmp_path: Path) -> None:
    for start in ("example", "empty"):
        targets = ["astro", "mwaa", "kubernetes"]
        assert secrets(scaffold(tmp_path / start, start=start, targets=targets)) == []


@pytest.mark.parametrize(
    "line",
    [
        "AIRFLOW_CONN_DB=postgres://reader:hunter2@db:5432/x",
        "aws_access_key_id: AKIA" + "ABCDEFGH12345678",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "password = 'hunter2'",
        "ASTRO_API_TOKEN: abc123def",
        "key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz",
    ],
)
def test_a_secret_would_be_seen(tmp_path: Path, line: str) -> None:
    (tmp_path / "file").write_text(f"fine: ${{{{ secrets.ASTRO_API_TOKEN }}}}\n{line}\n")
    assert secrets(tmp_path) == [f"file: {line}"]
