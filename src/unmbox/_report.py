"""What a conversion tells: `Progress` while it runs, `Report` at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from unmbox._block import Repair

_TICK = 0.1

MAX_DAMAGED = 1_000
"""Damages that are told one by one."""
MAX_NAMES = 1_000
"""Names, and folders, of EMLs that a dry run tells."""


class Progress(NamedTuple):
    """How far a conversion is: what `convert` calls its `progress` with.

    `octets` of all sources have been passed, `octets_total` is what they hold (None where a size is
    unknown); `messages` were read, `duplicates` of them are copies; `source` is the current one's name.
    """

    octets: int
    octets_total: int | None
    messages: int
    source: str
    duplicates: int = 0


class Ticker:
    """Says when it is time to tell of the progress once more: ten times a second."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def due(self, *, last: bool = False) -> bool:
        """Whether it is; the `last` time it always is."""
        now = time.monotonic()
        if not last and now < self._next:
            return False
        self._next = now + _TICK
        return True


class Damage(NamedTuple):
    """What of a source could not be read.

    `source` is its name, or that of the archive or folder around it; `offset` how many of its octets
    (unpacked) could be read, None where no offset applies; `reason` a sentence.
    """

    source: str
    offset: int | None
    reason: str

    def __str__(self) -> str:
        where = "" if self.offset is None else f", at octet {self.offset}"
        return f"{self.source}{where}: {self.reason}"


class Report(NamedTuple):
    """What one call made of its messages: ``messages = written + duplicates + filtered + quarantined``.

    `bytes_in` octets of the sources were read, `bytes_out` written in EMLs; `junk` is what stands before the
    first From_ line of a source, so junk and the messages' lengths add up to `bytes_in`. `collisions` are
    those of `written` that have the Message-ID of another mail. `repairs` counts the repairs applied by their
    code, `left_out` those that a signature forbade, and what is only told (in bodies, or a
    header too long to look at). `rejected` counts lines that begin ``From `` and were not
    taken as separators. `not_mbox` names sources that hold octets but no From_ line at all, and archives and
    folders without mail. `damaged` says what could not be read (the first 1,000), `missing` names parts of an
    export that are not there. `refused` are those of `written` that the destination of the profile would
    refuse; `aside` those that stand apart from the rest: refused and put aside, or larger than a ZIP
    volume. `unmatched` are the labels and addresses of `include` and `exclude` that no message had, unless an
    earlier run had done some. `already` counts messages that an earlier run into the same destination had
    done; they are in no other number. `seconds` is what the call took. A dry run tells in `names` what the
    EMLs would be called (the first 1,000, relative to the destination), and in `folders` how many each folder
    would get (the first 1,000 folders; "" is the destination itself).

    >>> one, two = unmbox.Report(messages=2, written=2), unmbox.Report(messages=3, written=1, duplicates=2)
    >>> both = one + two
    >>> both.messages, both.written, both.duplicates
    (5, 3, 2)
    """

    messages: int = 0
    written: int = 0
    duplicates: int = 0
    filtered: int = 0
    quarantined: int = 0
    collisions: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    junk: int = 0
    rejected: int = 0
    already: int = 0
    seconds: float = 0.0
    repairs: dict[str, int] = {}  # noqa: RUF012  # never changed: every report with repairs has its own
    left_out: dict[str, int] = {}  # noqa: RUF012
    not_mbox: tuple[str, ...] = ()
    damaged: tuple[Damage, ...] = ()
    missing: tuple[str, ...] = ()
    refused: int = 0
    names: tuple[str, ...] = ()
    folders: dict[str, int] = {}  # noqa: RUF012
    unmatched: tuple[str, ...] = ()
    aside: int = 0

    def __add__(self, other: object) -> Report:
        """The report of both runs together."""
        if not isinstance(other, Report):
            return NotImplemented
        sums: list[Any] = [
            _counts(mine, theirs) if isinstance(mine, dict) else mine + theirs
            for mine, theirs in zip(tuple[Any, ...](self), tuple[Any, ...](other), strict=True)
        ]
        return Report(*sums)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        lists = {
            "not_mbox": list(self.not_mbox),
            "damaged": [each._asdict() for each in self.damaged],
            "missing": list(self.missing),
            "names": list(self.names),
            "unmatched": list(self.unmatched),
        }
        return self._asdict() | lists


def _counts(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
    return {code: a.get(code, 0) + b.get(code, 0) for code in a | b}


class Tally:
    """Counts that become a `Report`. `counts` goes by the names of its fields, outcomes by their own."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.not_mbox: list[str] = []
        self.damaged: list[Damage] = []
        self.missing: list[str] = []
        self._repairs: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def add(
        self, outcome: str, size: int = 0, repairs: Iterable[Repair] = (), *, collision: bool = False
    ) -> None:
        """Count a message, whose EML has `size` octets."""
        counts = self.counts
        counts["messages"] += 1
        counts[outcome] += 1
        if outcome == "written":
            counts["bytes_out"] += size
            counts["collisions"] += collision
        for repair in repairs:
            (self._repairs if repair.applied else self._left_out)[repair.code] += 1

    def report(self, seconds: float, unmatched: tuple[str, ...] = ()) -> Report:
        """All of it."""
        counts = self.counts
        return Report(
            messages=counts["messages"],
            written=counts["written"],
            duplicates=counts["duplicate"],
            filtered=counts["filtered"],
            quarantined=counts["quarantined"],
            collisions=counts["collisions"],
            bytes_in=counts["bytes_in"],
            bytes_out=counts["bytes_out"],
            junk=counts["junk"],
            rejected=counts["rejected"],
            already=counts["already"],
            seconds=seconds,
            repairs=dict(self._repairs),
            left_out=dict(self._left_out),
            not_mbox=tuple(self.not_mbox),
            damaged=tuple(self.damaged[:MAX_DAMAGED]),
            missing=tuple(self.missing),
            refused=counts["refused"],
            unmatched=unmatched,
            aside=counts["aside"],
        )
