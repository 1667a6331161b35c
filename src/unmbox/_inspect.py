"""`inspect()`: what mailboxes hold, without writing anything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from unmbox._head import MessageHead
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._report import Damage, Progress
from unmbox._single import parser_for
from unmbox.events import End, Event, Head, Junk, Rejected
from unmbox.labels import Beside
from unmbox.sources import Source, SourceLike

_BIGGEST_KEPT = 5
_REJECTED_KEPT = 1_000
_TICK = 0.1


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
    """What some mailboxes hold. Flat in memory but for the number of distinct labels.

    `first` and `last` are the earliest and latest date, `years` counts messages by the year in their own
    zone, `undated` those without any date, `labels` those with each label. `rejected` holds the first
    1,000 lines that were not taken as separators, `rejections` counts all of them by reason. `biggest`
    are the five largest messages. `not_mbox` names the sources that hold octets but no From_ line, and
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
            "rejections": dict(self.rejections.most_common()),
            "biggest": [each._asdict() for each in self.biggest],
            "rejected": [each._asdict() for each in self.rejected],
            "sources": [each._asdict() for each in self.sources],
            "not_mbox": list(self.not_mbox),
            "damaged": [each._asdict() for each in self.damaged],
            "missing": list(self.missing),
        }


def inspect(
    sources: SourceLike | Iterable[SourceLike],
    *,
    variant: str = "auto",
    progress: Callable[[Progress], object] | None = None,
) -> Inspection:
    """Read mailboxes through and count what is in them. Sources and `progress` are as for `convert`.

    Raises `UsageError` for bad options and `SourceError` where a source cannot be read.
    """
    opened = Opened(sources)
    Parser(variant=variant)  # a bad option is an error now
    run = _Run(progress, opened.size() if progress else None)
    for source in opened:
        run.read(source, parser_for(single=source.single, variant=variant))
    run.found.damaged += opened.damaged
    run.found.missing += opened.missing
    run.found.empty += opened.empty
    return run.found


class _Run:
    """One call of `inspect`: the sources, one after the other."""

    def __init__(self, progress: Callable[[Progress], object] | None, total: int | None) -> None:
        self.found = Inspection()
        self._progress = progress
        self._total = total
        self._next_tick = 0.0
        self._name = ""
        self._beside: Callable[[bytes, bytes], Beside | None] | None = None
        self._message: MessageHead

    def read(self, source: Source, parser: Parser) -> None:
        found, self._name, self._beside = self.found, source.name, source.beside
        octets, messages, junk = found.octets, found.messages, found.junk
        for chunk in source.chunks():
            found.octets += len(chunk)
            self._handle(parser.feed(chunk))
            self._tick()
        self._handle(parser.close())
        self._next_tick = 0.0  # so that the end of a source is seen
        self._tick()
        if source.damage:
            found.damaged.append(source.damage)
        now = (found.octets - octets, found.messages - messages, found.junk - junk)
        name = source.group or source.name
        if source.group and found.sources and found.sources[-1].name == name:
            last = found.sources.pop()
            now = (last.octets + now[0], last.messages + now[1], last.junk + now[2])
        found.sources.append(SourceFacts(name, *now, parser.variant))

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Head):
                self._message = MessageHead(event, self._name, self._beside)
                self._count(self._message)
            elif isinstance(event, End):
                self._rank(event.length)
            elif isinstance(event, Rejected):
                self._record(event)
            elif isinstance(event, Junk):
                self.found.junk += len(event.data)

    def _count(self, message: MessageHead) -> None:
        found = self.found
        found.messages += 1
        found.labels.update(message.labels)
        date = message.date
        if date is None:
            found.undated += 1
            return
        found.years[date.year] += 1
        if found.first is None or date < found.first:
            found.first = date
        if found.last is None or date > found.last:
            found.last = date

    def _rank(self, length: int) -> None:
        biggest = self.found.biggest
        if len(biggest) < _BIGGEST_KEPT or length > biggest[-1].length:
            message = self._message
            biggest.append(Sized(length, message.source, message.offset, message.subject))
            biggest.sort(key=lambda each: each.length, reverse=True)
            del biggest[_BIGGEST_KEPT:]

    def _record(self, event: Rejected) -> None:
        found = self.found
        found.rejections[event.reason] += 1
        if len(found.rejected) < _REJECTED_KEPT:
            line = event.line.decode("utf-8", "backslashreplace")
            found.rejected.append(RejectedLine(self._name, event.offset, line, event.reason))

    def _tick(self) -> None:
        now = time.monotonic()
        if self._progress and now >= self._next_tick:
            self._next_tick = now + _TICK
            self._progress(Progress(self.found.octets, self._total, self.found.messages, self._name))
