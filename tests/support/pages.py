"""The pages of the documentation, cut into blocks."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from scaffold import ROOT

PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
TUTORIAL = "docs/tutorial.md"
SETTINGS = "conf/airflow/airflow.yml"
READMES = ("README.md", "the project's README.md")
MARK = re.compile(r"<!-- (needs an account|needs Docker|not run here: .+|refused: .+) -->")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: what stands behind the fence.
        mark: of the line before; see the top of this file.
        line: of the page, where its text begins.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def file(self) -> str | None:
        """The project's file that the first line names as where the sample goes."""
        first = re.match(r"# ([\w./-]+\.(yml|py|toml))\n", self.text)
        return first[1] if first else None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with the lines of output that are shown for it."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        found: list[tuple[str, list[str]]] = []
        for line in joined.splitlines():
            if line.startswith("$ "):
                found.append((re.sub(r"\s+#.*", "", line[2:]), []))
            else:
                found[-1][1].append(line)
        return found

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    lines = text.splitlines()
    found: list[Block] = []
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        before = lines[start - 1]
        mark = MARK.fullmatch(before)
        assert mark or not before.startswith("<!--"), f"{page}:{start}: no such mark: {before}"
        body = "".join(f"{line}\n" for line in lines[start + 1 : number])
        found.append(Block(page, start + 2, lines[start][3:], mark[1] if mark else "", body))
        start = None
    assert start is None, f"{page}: a block has no end"
    return found


def read(page: str | Path) -> str:
    """Return the text of a file of this repository, or of one with an absolute path."""
    return (ROOT / page).read_text(encoding="utf-8")


def put(block: Block, project: Path) -> None:
    """Write a sample into its file: to the end of YAML and of Kedro's settings, instead of anything
    else.

    Settings of how-to pages stand each for itself; those of the tutorial add up.
    """
    file = project / str(block.file)
    file.parent.mkdir(parents=True, exist_ok=True)
    adds = block.language == "yaml" and (block.file != SETTINGS or block.page == TUTORIAL)
    adds = adds or file.name == "settings.py"
    before = file.read_text() + "\n" if adds and file.exists() else ""
    if block.language != "toml":
        file.write_text(before + block.text)


BLOCKS = [block for page in PAGES for block in blocks_of(page, read(page))]
COMMANDS = [block for block in BLOCKS if block.language == "console"]
FOLLOWED = sorted({b.page for b in COMMANDS if not b.mark and b.page not in READMES})
