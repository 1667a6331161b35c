"""`inspect()`: what mailboxes hold, without writing anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from functools import lru_cache
from typing import Any

from unmbox import profiles
from unmbox._addresses import split_mailboxes
from unmbox._checks import CheckingWriter, Seen
from unmbox._decode import decode_addresses
from unmbox._head import MessageHead, id_of, sender_of
from unmbox._inspection import Inspection, RejectedLine, Sized, SourceFacts
from unmbox._line_ends import to_crlf, with_lf
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._report import Progress, Ticker
from unmbox._single import parser_for
from unmbox._variant import check_variant
from unmbox._word_counts import WordCounts
from unmbox._writer import EmlWriter
from unmbox.dedup import BodyDigest, DedupIndex, Entry, content_of
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected
from unmbox.labels import Beside
from unmbox.sources import Source, SourcesLike

NONE_NAMED, RAW = "none named", "raw octets"
"""What `Inspection.charsets` calls messages whose head names no charset and needs none, or would."""
_BIGGEST_KEPT = 10
_REJECTED_KEPT = 1_000
_SENDERS_KEPT = 100
_LABELS_KEPT = 10_000
_CHARSETS_KEPT = 200
_GATHERED = 500
_NAME = rb"([A-Za-z0-9][A-Za-z0-9_.:-]{1,40})"
# A literal beginning is what makes a search leap; attachments hold it nowhere.
_CHARSETS = tuple(re.compile(rb'%b[ \t]*=[ \t]*"?' % word + _NAME) for word in (b"harset", b"HARSET"))
_ENCODED_WORD = re.compile(rb"=\?" + _NAME + rb"(?:\*[^?]*)?\?[BbQq]\?")
_EDGE = 64  # octets of a piece in which a charset may begin that ends in the next


def inspect(
    sources: SourcesLike,
    *,
    variant: str = "auto",
    deep: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> Inspection:
    """Read mailboxes through and count what is in them. Sources and `progress` are as for `convert`.

    What heads tell comes at the speed of reading. `deep` looks at bodies too: for copies, for defects and
    charsets in them, and for what each profile would refuse.

    Raises `UsageError` for bad options and `SourceError` where a source cannot be read.
    """
    opened = Opened(sources)
    check_variant(variant)
    with closing(_Run(progress, opened.size() if progress else None, deep=deep)) as run:
        for source in opened:
            run.read(source, parser_for(single=source.single, variant=variant))
        run.finish()
    run.found.damaged += opened.damaged
    run.found.missing += opened.missing
    run.found.empty += opened.empty
    return run.found


class _Run:
    """One call of `inspect`: the sources, one after the other."""

    def __init__(
        self, progress: Callable[[Progress], object] | None, total: int | None, *, deep: bool
    ) -> None:
        import sqlite3

        self.found = Inspection(deep=deep)
        self._deep = deep
        self._progress = progress
        self._total = total
        self._ticker = Ticker()
        self._name = ""
        self._beside: Callable[[bytes, bytes], Beside | None] | None = None
        self._message: MessageHead
        self._writer = EmlWriter()
        self._checking: dict[str, CheckingWriter] = {}
        self._checks: dict[str, Mapping[str, Any]] = {}  # of profiles that force nothing: one writer does
        self._asked: set[str] = set()  # what any of these checks
        self._seen = Seen(())
        for profile in map(profiles.load, profiles.names() if deep else ()):
            if profile.checks:
                self.found.refusals[profile.name] = Counter()
                if profile.force:
                    self._checking[profile.name] = CheckingWriter(checks=profile.checks, force=profile.force)
                else:
                    self._checks[profile.name] = profile.checks
                    self._asked |= profile.checks.keys()
        self._labels, self._senders = WordCounts(), WordCounts()
        # In a temporary file, which is removed when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._index = DedupIndex(
            connection=self._database, policy="message-id+body" if deep else "message-id"
        )
        self._entries: list[Entry] = []
        self._digest = BodyDigest()
        self._charsets: set[bytes] = set()
        self._edge = b""

    def close(self) -> None:
        self._database.close()
        self._labels.close()
        self._senders.close()

    def read(self, source: Source, parser: Parser) -> None:
        found, self._name, self._beside = self.found, source.name, source.beside
        octets, messages, junk = found.octets, found.messages, found.junk
        for chunk in source.chunks():
            found.octets += len(chunk)
            self._handle(parser.feed(chunk))
            self._tick()
        self._handle(parser.close())
        self._tick(last=True)  # so that the end of a source is seen
        if source.damage:
            found.damaged.append(source.damage)
        now = (found.octets - octets, found.messages - messages, found.junk - junk)
        name = (source.single and source.group) or source.name
        if source.single and found.sources and found.sources[-1].name == name:
            last = found.sources.pop()
            now = (last.octets + now[0], last.messages + now[1], last.junk + now[2])
        found.sources.append(SourceFacts(name, *now, parser.variant))

    def finish(self) -> None:
        """Put what was gathered into what was found."""
        self._ask()
        found = self.found
        found.labels = Counter({each.word: each.number for each in self._labels.top(_LABELS_KEPT)})
        found.labels_count = len(self._labels)
        found.senders = self._senders.top(_SENDERS_KEPT)
        found.senders_count = len(self._senders)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Head):
                self._message = MessageHead(event, self._name, self._beside)
                self._count(self._message)
                self._digest = BodyDigest()
                self._swapped = event.newline == b"\r"
                self._write(event)
            elif isinstance(event, End):
                self._write(event)
                self._end(event.length)
            elif isinstance(event, Rejected):
                self._record(event)
            elif isinstance(event, Junk):
                self.found.junk += len(event.data)
            elif self._deep or isinstance(event, HeadRest):
                self._write(event)
                if isinstance(event, Body):
                    self._digest.update(to_crlf(with_lf(event.data) if self._swapped else event.data))
                    self._look(event.data)

    def _write(self, event: Event) -> None:
        if isinstance(event, Head):
            self._seen = Seen(self._asked)
        with suppress(Exception):  # what `convert` would put into quarantine is told by it
            octets = self._writer.send(event)
            if self._asked:
                self._seen.add(octets, self._writer.block_size)
        for writer in self._checking.values():
            with suppress(Exception):
                writer.send(event)

    def _count(self, message: MessageHead) -> None:
        found = self.found
        found.messages += 1
        for label in message.labels:
            self._labels.add(label)
        block = message.block
        self._charsets = {name.lower() for name in _ENCODED_WORD.findall(block)}
        self._edge = b""
        self._look(block)
        date = message.date
        if date is None:
            found.undated += 1
            return
        found.years[date.year] += 1
        if found.first is None or date < found.first:
            found.first = date
        if found.last is None or date > found.last:
            found.last = date

    def _look(self, data: bytes) -> None:
        """Find the charsets that are named in these octets."""
        joined = self._edge + data
        for pattern in _CHARSETS:
            self._charsets.update(name.lower() for name in pattern.findall(joined))
        self._edge = joined[-_EDGE:] if self._deep else b""

    def _end(self, length: int) -> None:
        found, message = self.found, self._message
        if not self._charsets:
            found.charsets[NONE_NAMED if message.block.isascii() else RAW] += 1
        for name in map(bytes.decode, sorted(self._charsets)):  # the same output each time
            known = name in found.charsets or len(found.charsets) < _CHARSETS_KEPT
            found.charsets[name if known else "others"] += 1
        found.defects.update(sorted({repair.code for repair in self._writer.repairs}))
        seen = self._seen
        refusals: dict[str, Iterable[str]] = {
            name: seen.refusals(checks) for name, checks in self._checks.items()
        }
        refusals |= {name: writer.refusals for name, writer in self._checking.items()}
        for name, reasons in refusals.items():
            refused = dict.fromkeys(each.partition(":")[0] for each in reasons)
            found.refusals[name].update(["", *refused] if refused else ())
        sender = _address(sender_of(message) or b"")
        if sender:
            self._senders.add(sender, length)
        self._gather(message)
        biggest = found.biggest
        if len(biggest) < _BIGGEST_KEPT or length > biggest[-1].length:
            biggest.append(Sized(length, message.source, message.offset, message.subject))
            biggest.sort(key=lambda each: each.length, reverse=True)
            del biggest[_BIGGEST_KEPT:]

    def _gather(self, message: MessageHead) -> None:
        """Have the message compared with those before it, some hundreds at once."""
        named = id_of(message)
        if self._deep:
            content = b"" if named else content_of(message.block, message.envelope.date)
            self._entries.append(Entry(named, self._digest.digest()[1], content))
        elif named:
            self._entries.append(Entry(named, b""))
        if len(self._entries) >= _GATHERED:
            self._ask()

    def _ask(self) -> None:
        kinds = Counter(verdict.kind for verdict in self._index.add_many(self._entries))
        self.found.duplicates += kinds["duplicate"]
        self.found.collisions += kinds["collision"]
        self._entries.clear()

    def _record(self, event: Rejected) -> None:
        found = self.found
        found.rejections[event.reason] += event.lines
        if len(found.rejected) < _REJECTED_KEPT:
            line = event.line.decode("utf-8", "backslashreplace")
            found.rejected.append(RejectedLine(self._name, event.offset, line, event.reason))

    def _tick(self, *, last: bool = False) -> None:
        if self._progress and self._ticker.due(last=last):
            done = (self.found.octets, self._total, self.found.messages, self._name)
            self._progress(Progress(*done, self.found.duplicates))


# A mailbox has few correspondents, and many messages of each.
@lru_cache(maxsize=2048)
def _address(value: bytes) -> str:
    """The first address in a From field's raw value, in lower case; "" where there is none."""
    mailboxes = split_mailboxes(decode_addresses(value))
    return next((each.address.lower() for each in mailboxes if each.address), "")
