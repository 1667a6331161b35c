"""The parts that Takeout cuts an export into, and those of them that are missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_PART = re.compile(
    r"(takeout-\d{8}T\d{6}Z(?:-\d+)?-)(\d{3,4})(?: ?\(\d+\))?(\.zip|\.tgz|\.tar\.gz)", re.IGNORECASE
)
_UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".opdownload")


class Absent(NamedTuple):
    """A part that is not among the sources: its file's name, and a sentence for people."""

    name: str
    sentence: str


class Takeout(NamedTuple):
    """One part of an export that Takeout has cut: what all their names begin and end with, and its number."""

    stem: str
    number: int
    suffix: str
    folder: Path

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Takeout | None:
        """What a path's name says; None where it is no part's."""
        path = Path(path)
        found = _PART.fullmatch(path.name)
        return cls(found[1], int(found[2]), found[3], path.parent) if found else None

    def name(self, number: int) -> str:
        """The name of another part."""
        return f"{self.stem}{number:03}{self.suffix}"


def in_order(paths: Iterable[str]) -> list[str]:
    """The same paths, with the parts of each export in their order, where its first one was named."""
    groups: dict[object, list[tuple[int, str]]] = {}
    for path in paths:
        part = Takeout.of(path)
        key: object = part.stem.lower() if part else len(groups)
        groups.setdefault(key, []).append((part.number if part else 0, path))
    return [path for group in groups.values() for _, path in sorted(group)]


def absent(parts: Iterable[Takeout]) -> Iterator[Absent]:
    """The parts that the others, or what stands beside them, say there are."""
    groups: dict[str, list[Takeout]] = {}
    for part in parts:
        groups.setdefault(part.stem.lower(), []).append(part)
    for group in groups.values():
        numbers = {part.number for part in group}
        folders = {part.folder for part in group}
        first = group[0]
        number = 0
        while (number := number + 1) <= max(numbers) or _beside(first.name(number), folders):
            if number not in numbers:
                found = _beside(first.name(number), folders)
                if not found:
                    given = ", ".join(first.name(each) for each in sorted(numbers)[:3])
                    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
                    found = f"download it, too, and run this again (there are {given}{more})"
                yield Absent(first.name(number), f"{first.name(number)}: {found}")


def _beside(name: str, folders: Iterable[Path]) -> str:
    """What there is of a part beside the others; "" for nothing."""
    for folder in folders:
        if (folder / name).exists():
            return f"it stands in {folder}, beside the others: name it, too"
        for suffix in _UNFINISHED:
            if (folder / (name + suffix)).exists():
                return f"its download has not come to its end ({name + suffix}): run this again when it has"
    return ""
