"""What `inspect` tells: the numbers and lists of an `Inspection`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from unmbox._report import Damage
from unmbox._word_counts import Counted


class SourceFacts(NamedTuple):
    """One source: its octets, how many messages they are, and how many stand before the first of them.

    The .eml files of one folder or archive are one source here.
    """

    name: str
    octets: int
    messages: int
    junk: int
    variant: str


class Sized(NamedTuple):
    """One message and its size: the octets from its From_ line to the next one."""

    length: int
    source: str
    offset: int
    subject: str


class RejectedLine(NamedTuple):
    """A line that began ``From `` and was not taken as a separator."""

    source: str
    offset: int
    line: str
    reason: str


@dataclass(slots=True)
class Inspection:
    """What some mailboxes hold. Flat in memory.

    `first` and `last` are the earliest and latest date, `years` counts messages by the year in their own
    zone, `undated` those without any date, `labels` those with each label (the 10,000 most frequent of
    `labels_count`), `senders` the 100 who wrote most of `senders_count`, `charsets` messages that name each
    charset. `defects` counts messages by what `EmlWriter` would repair in them, or leave to a signature.
    `duplicates` counts messages whose Message-ID has occurred before; with `deep`, those that `convert`
    would leave out as copies, and `collisions` the others. `refusals` is told with `deep` too: for each
    profile the number of messages that would be refused (under ""), and by check. `rejected` holds the first
    1,000 lines that were not taken as separators, `rejections` counts all of them by reason. `biggest`
    are the ten largest messages. `not_mbox` names the sources that hold octets but no From_ line, and
    archives and folders without mail; `damaged` says what could not be read, `missing` names absent parts.
    """

    messages: int = 0
    octets: int = 0
    junk: int = 0
    first: datetime | None = None
    last: datetime | None = None
    undated: int = 0
    years: Counter[int] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    labels_count: int = 0
    senders: list[Counted] = field(default_factory=list)
    senders_count: int = 0
    charsets: Counter[str] = field(default_factory=Counter)
    defects: Counter[str] = field(default_factory=Counter)
    deep: bool = False
    duplicates: int = 0
    collisions: int = 0
    refusals: dict[str, Counter[str]] = field(default_factory=dict)
    biggest: list[Sized] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)
    rejections: Counter[str] = field(default_factory=Counter)
    sources: list[SourceFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    @property
    def not_mbox(self) -> tuple[str, ...]:
        """The sources that hold octets but no From_ line at all."""
        found = (each.name for each in self.sources if each.octets and not each.messages)
        return (*found, *self.empty)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON: dates as ISO 8601, years in order, labels by count."""
        return {
            "messages": self.messages,
            "octets": self.octets,
            "junk": self.junk,
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "undated": self.undated,
            "years": {str(year): count for year, count in sorted(self.years.items())},
            "labels": dict(self.labels.most_common()),
            "labels_count": self.labels_count,
            "senders": [
                {"address": each.word, "messages": each.number, "octets": each.octets}
                for each in self.senders
            ],
            "senders_count": self.senders_count,
            "charsets": dict(self.charsets.most_common()),
            "defects": dict(self.defects.most_common()),
            "deep": self.deep,
            "duplicates": self.duplicates,
            **({"collisions": self.collisions, "refusals": self._refusals()} if self.deep else {}),
            "rejections": dict(self.rejections.most_common()),
            "biggest": [each._asdict() for each in self.biggest],
            "rejected": [each._asdict() for each in self.rejected],
            "sources": [each._asdict() for each in self.sources],
            "not_mbox": list(self.not_mbox),
            "damaged": [each._asdict() for each in self.damaged],
            "missing": list(self.missing),
        }

    def _refusals(self) -> dict[str, Any]:
        return {
            profile: {"messages": counts[""], "checks": {name: n for name, n in counts.most_common() if name}}
            for profile, counts in self.refusals.items()
        }
