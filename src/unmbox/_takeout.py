"""The parts that Takeout cuts an export into, and those of them that are missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
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
    for stem, group in groups.items():
        numbers = {part.number for part in group}
        suffixes = {part.suffix.lower() for part in group}
        beside: dict[int, str] = {}
        for folder in sorted({part.folder for part in group}):
            beside = {**_beside(folder, stem, suffixes), **beside}
        first = group[0]
        for number in range(1, max(numbers | beside.keys()) + 1):
            if number not in numbers:
                found = beside.get(number)
                if not found:
                    given = ", ".join(first.name(each) for each in sorted(numbers)[:3])
                    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
                    found = f"download it, too, and run this again (there are {given}{more})"
                yield Absent(first.name(number), f"{first.name(number)}: {found}")


def _beside(folder: Path, stem: str, suffixes: set[str]) -> dict[int, str]:
    """What there is of an export in a folder: a sentence for the number of each part."""
    found: dict[int, str] = {}
    with suppress(OSError, ValueError):  # of a URL or an archive it is no folder
        for name in sorted(path.name for path in folder.iterdir()):
            whole = name.removesuffix(next((end for end in _UNFINISHED if name.endswith(end)), ""))
            part = Takeout.of(whole)
            if part is None or part.stem.lower() != stem or part.suffix.lower() not in suffixes:
                continue
            if whole == name:
                called = "" if name == part.name(part.number) else f", called {name}"
                found[part.number] = f"it stands in {folder}, beside the others{called}: name it, too"
            else:
                why = f"its download has not come to its end ({name}): run this again when it has"
                found.setdefault(part.number, why)
    return found
