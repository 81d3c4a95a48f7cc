"""How much memory this process may still take: of the machine, and of its container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """Return bytes: the least of what the machine has left and what each control group allows.

    Args:
        root: where `proc` and `sys` are.
    """
    left = [*_groups(root)]
    with suppress(OSError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                left.append(int(line.split()[1]) * 1024)
    return max(0, min(left, default=0))


def _groups(root: Path) -> Iterator[int]:
    """Yield what is left in each control group that this process is in, of version 1 or 2."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        limit, used, cache = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        group = mount / path.lstrip("/")
        # A container sees its own group as the root, whatever the path says.
        for folder in {mount, group, *(p for p in group.parents if p.is_relative_to(mount))}:
            most, taken = _text(folder / limit).strip(), _text(folder / used).strip()
            if most.isdigit() and taken.isdigit():
                yield int(most) - int(taken) + _field(_text(folder / "memory.stat"), cache)


def _field(text: str, name: str) -> int:
    """Return a number of a file of lines `name number`: here the pages that are given back."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
