"""The corpus of real mail that stands beside the checkout: its manifest, row by row.

The files are under mixed licences, so they are read where they stand and never copied in.
"""

from __future__ import annotations

import csv
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2] / "shared" / "corpus"


@dataclass(frozen=True, slots=True)
class Row:
    """One file of the corpus. `expected` is its right number of messages, or None where nobody can say."""

    path: str
    bytes: int
    line_ending: str
    expected: int | None
    peer_count: int | None
    expectation_source: str
    variant: str
    tags: frozenset[str]
    readers: dict[str, str]
    licence: str
    notes: str

    @property
    def file(self) -> Path:
        """Where the file stands."""
        return ROOT / self.path

    @property
    def is_mbox(self) -> bool:
        """Whether it is a mailbox, rather than a single message."""
        return self.path.startswith("mbox/")

    @property
    def contested(self) -> bool:
        """Whether peers disagree on its count for reasons that have no right answer."""
        return "contested" in self.tags

    def peer_facts(self) -> Any | None:
        """What the peer expects of the file, from the `.expect.json` beside it; None where there is none."""
        beside = self.file.with_name(self.file.name + ".expect.json")
        return json.loads(beside.read_text("utf-8")) if beside.exists() else None


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


@functools.cache
def rows() -> list[Row]:
    """Every row of the manifest in its order; an empty list where the corpus is absent."""
    manifest = ROOT / "manifest.tsv"
    if not manifest.exists():
        return []
    with manifest.open(encoding="utf-8", newline="") as lines:
        return [
            Row(
                path=row["path"],
                bytes=int(row["bytes"]),
                line_ending=row["line_ending"],
                expected=_number(row["expected"]),
                peer_count=_number(row["peer_count"]),
                expectation_source=row["expectation_source"],
                variant=row["variant"],
                tags=frozenset(filter(None, row["tags"].split(","))),
                readers=dict(item.split("=", 1) for item in row["readers"].split() if "=" in item),
                licence=row["licence"],
                notes=row["notes"],
            )
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]
