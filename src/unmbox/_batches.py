"""The work of `convert`: messages are gathered into batches, and a batch is one transaction.

For a batch, in this order: the dedup index says what each message is, the rows are committed as pending,
the files are written under their names. The next commit confirms them. A kill at any instant leaves
pending rows whose files may be missing, and the next run takes these back and does them again; since
everything follows from the octets alone, it ends where an undisturbed run does.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

from unmbox._copies import Copies
from unmbox._hashing import Hasher
from unmbox._head import MessageHead
from unmbox._mail import SPOOL, Mail
from unmbox._parser import Parser
from unmbox._report import Progress, Report
from unmbox._writer import EmlWriter
from unmbox.dedup import Verdict
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected
from unmbox.manifest import (
    DUPLICATE,
    QUARANTINED,
    WRITTEN,
    Batch,
    Manifest,
    Quarantined,
    Row,
    SourceState,
    Written,
)
from unmbox.naming import Layout
from unmbox.sinks import Sink
from unmbox.sources import Source

BATCH_OCTETS = 4 << 20
"""Octets of EML that are gathered before a commit; with twice that, small mail fell out of the caches."""
BATCH_MESSAGES = 1000
_MANY_STRAYS = 10_000
_TICK = 0.1


class Job:
    """One call of `convert`: the sources one after the other, the messages batch by batch."""

    def __init__(
        self,
        sink: Sink,
        manifest: Manifest | None,
        index: DedupIndex,
        writer: EmlWriter,
        layout: Layout,
        *,
        variant: str,
        newline: str,
        by_place: bool,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self._sink = sink
        self._manifest = manifest
        self._index = index
        self._writer = writer
        self._layout = layout
        self._variant = variant
        self._lf = newline == "lf"
        self._by_place = by_place
        self._progress = progress
        self._total: int | None = 0
        self._next_tick = 0.0
        self._hasher = Hasher()

        self._counts: Counter[str] = Counter()
        self._repairs: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._not_mbox: list[str] = []

        self._next_id = 1  # for rows without a manifest
        self._source: SourceState
        self._name = ""
        self._known_to = 0  # messages before this offset are rows already
        self._mail: Mail | None = None
        self._strays: list[Rejected] = []  # of the message under way
        self._uncounted = 0
        self._mails: list[tuple[SourceState, Mail]] = []
        self._octets = 0
        self._batch = Batch()
        self._writing = False

    def run(self, sources: list[Source]) -> Report:
        """Convert the sources and say what became of their messages."""
        started = time.perf_counter()
        sizes = [source.size for source in sources]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        try:
            for ordinal, source in enumerate(sources, 1):
                self._read(source, ordinal)
            self._flush()
            self._settle()
        except BaseException:
            self._stop()
            raise
        finally:
            self._hasher.close()
        self._tick(last=True)
        return self._report(time.perf_counter() - started)

    def _stop(self) -> None:
        """Keep what is whole; the message that was under way is read again by the next run."""
        if self._mail and self._mail.target:
            self._mail.target.discard()
        if self._writing:
            # Half a batch is written: its rows stay pending, and the next run takes them back.
            for _, mail in self._mails:
                if mail.target:
                    mail.target.discard()
            return
        self._flush()
        self._settle()

    def _settle(self) -> None:
        if self._manifest:
            self._index.save()
            self._manifest.commit(Batch())
            self._manifest.settle()

    def _report(self, seconds: float) -> Report:
        counts = self._counts
        return Report(
            messages=counts["messages"],
            written=counts[WRITTEN],
            duplicates=counts[DUPLICATE],
            quarantined=counts[QUARANTINED],
            collisions=counts["collisions"],
            bytes_in=counts["bytes_in"],
            bytes_out=counts["bytes_out"],
            junk=counts["junk"],
            rejected=counts["rejected"],
            already=counts["already"],
            seconds=seconds,
            repairs=dict(self._repairs),
            left_out=dict(self._left_out),
            not_mbox=tuple(self._not_mbox),
        )

    # -- a source ------------------------------------------------------------------------------------

    def _read(self, source: Source, ordinal: int) -> None:
        state = self._state_of(source, ordinal)
        self._source, self._name = state, source.name
        self._known_to = state.offset
        if state.done and source.is_path:
            self._counts["already"] += self._manifest.count(state) if self._manifest else 0
            return
        start = state.offset if source.is_path else 0
        if start:
            self._counts["already"] += self._manifest.count(state) if self._manifest else 0
            parser = Parser(
                variant=state.variant or self._variant, newline=state.newline or b"\n", offset=start
            )
        else:
            parser = Parser(variant=self._variant)
        octets = start
        for chunk in source.chunks(start):
            octets += len(chunk)
            self._counts["bytes_in"] += len(chunk)
            self._handle(parser.feed(chunk))
            state.variant, state.newline = parser.variant, parser.newline
            if self._progress:
                self._tick()
        self._handle(parser.close())
        state.variant, state.newline = parser.variant, parser.newline
        self._end_source(state, octets)

    def _state_of(self, source: Source, ordinal: int) -> SourceState:
        if self._manifest is None:
            return SourceState(ordinal, source.uri, source.size, "file")
        if not source.is_path:
            return self._manifest.source(source.uri, size=None, mtime=None, digest=None, scheme="stream")
        digest = sample_digest(source.uri)
        return self._manifest.source(source.uri, size=source.size, mtime=source.mtime, digest=digest)

    def _end_source(self, state: SourceState, octets: int) -> None:
        if self._manifest and not state.digest and self._known_to:
            self._manifest.match_end(state, octets)
        self._keep_strays()
        if octets and not state.offset:
            self._not_mbox.append(self._name)
        if not state.offset:
            state.offset = state.junk
        state.size, state.done = octets, True
        self._touch(state)

    def _touch(self, state: SourceState) -> None:
        if state not in self._batch.sources:
            self._batch.sources.append(state)

    # -- its messages --------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, (Head, Body, HeadRest)):
                self._take(event)
            elif isinstance(event, End):
                self._end_message(event)
            elif isinstance(event, Rejected):
                self._counts["rejected"] += 1
                self._strays.append(event)
                if len(self._strays) > _MANY_STRAYS:
                    self._strays.pop()
                    self._uncounted += 1
            elif event.offset >= self._source.junk:
                self._source.junk += len(event.data)
                self._counts["junk"] += len(event.data)

    def _take(self, event: Head | HeadRest | Body) -> None:
        if isinstance(event, Head):
            self._mail = Mail(MessageHead(event, self._name), lf=self._lf)
        mail = self._mail
        if mail is None:
            return
        if mail.failure:
            mail.add(event.data, 0, self._hasher)
        else:
            try:
                octets = self._writer.send(event)
                if octets:
                    mail.add(octets, self._writer.block_size, self._hasher)
            except Exception as error:
                self._fail(mail, error, event.data)
        if mail.size > SPOOL:
            mail.spool(self._sink)

    def _fail(self, mail: Mail, error: Exception, octets: bytes) -> None:
        """What should not happen: the message goes to quarantine as it is, and the run goes on."""
        mail.failure = f"{type(error).__name__}: {error}"
        logging.getLogger("unmbox").warning(
            "quarantined the message at octet %d of %s: %s", mail.head.offset, self._name, mail.failure
        )
        mail.add(octets, 0, self._hasher)

    def _end_message(self, end: End) -> None:
        mail, self._mail = self._mail, None
        if mail is None:
            return
        mail.length = end.length
        if not mail.failure:
            try:
                if octets := self._writer.send(end):
                    mail.add(octets, self._writer.block_size, self._hasher)
                mail.repairs = self._writer.repairs
            except Exception as error:
                self._fail(mail, error, b"")
        source = self._source
        if end.offset < self._known_to:
            self._match(mail)
            return
        source.offset = end.offset + end.length
        self._keep_strays()
        self._mails.append((source, mail))
        self._octets += mail.size
        if mail.target or self._octets >= BATCH_OCTETS or len(self._mails) >= BATCH_MESSAGES:
            self._flush()

    def _match(self, mail: Mail) -> None:
        """A stream is read again from its beginning: this message is a row already, or should be."""
        self._strays.clear()
        if mail.target:
            mail.target.discard()
        self._hasher.wait()
        head, body, _ = mail.digests()
        self._counts["already"] += 1
        if self._manifest:
            self._manifest.match_row(self._source, mail.head.offset, head.hex(), body.hex())

    def _keep_strays(self) -> None:
        """Put the From_ lines that were not taken into the batch, with the message that they stand in."""
        for stray in self._strays:
            self._batch.add_candidate(self._source, stray.offset, stray.line, stray.reason)
        self._strays.clear()
        self._source.candidates += self._uncounted
        self._uncounted = 0

    # -- a batch -------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Decide on the messages gathered, commit their rows, write their files."""
        mails, batch, manifest = self._mails, self._batch, self._manifest
        if not mails and not batch.sources:
            return
        self._writing = True
        first = manifest.next_id if manifest else self._next_id
        self._hasher.wait()
        entries = []
        digests = []
        for number, (_, mail) in enumerate(mails, first):
            sums = mail.digests()
            digests.append(sums)
            entries.append(_entry(mail.head, sums[2], number))
        places = []
        with self._index.transaction():
            verdicts = self._index.add_many(entries)
            for (source, mail), sums, entry, verdict in zip(mails, digests, entries, verdicts, strict=True):
                row = self._row(source, mail, sums, entry, verdict)
                places.append(row.path)
                self._count(mail, row, verdict)
                batch.rows.append(row)
                batch.repairs += [(row.id, *repair) for repair in mail.repairs]
                if source not in batch.sources:
                    batch.sources.append(source)
            if manifest:
                manifest.commit(batch)
        for (_, mail), path in zip(mails, places, strict=True):
            self._write(mail, path)
        self._next_id = first + len(mails)
        self._mails, self._batch, self._octets = [], Batch(), 0
        self._writing = False

    def _write(self, mail: Mail, path: str | None) -> None:
        if path is None:
            if mail.target:
                mail.target.discard()
            return
        mail.spool(self._sink)
        if mail.target:
            mail.target.commit(path)

    def _row(self, source: SourceState, mail: Mail, sums: _Sums, entry: Entry, verdict: Verdict) -> Row:
        head, (head_sum, body_sum, identity) = mail.head, sums
        # A run that was killed after a shared index had been told finds its own message there.
        copy = verdict.kind == "duplicate" and verdict.of != entry.where
        subject = head.text(b"subject")
        path: str | None
        if mail.failure:
            outcome, path = QUARANTINED, f"quarantine/{source.id}-{head.offset}.eml"
        else:
            outcome = DUPLICATE if copy else WRITTEN
            path = None if copy else self._path(source, head, subject, head_sum + body_sum, entry)
        labels = head.labels
        return Row(
            id=entry.where,
            source_id=source.id,
            offset=head.offset,
            length=mail.length,
            from_line=head.from_line,
            message_id=head.message_id,
            head_sha256=head_sum.hex(),
            body_sha256=body_sum.hex(),
            outcome=outcome,
            path=path,
            duplicate_of=verdict.of if copy and not mail.failure else None,
            date=head.date,
            sender=head.text(b"from"),
            recipients=", ".join(filter(None, map(head.text, _RECIPIENTS))) or None,
            subject=subject,
            labels=labels,
            thread_id=thread_id(head.block),
            state=state_of(head.block, labels),
            head_size=mail.block_size,
            body_size=mail.size - mail.block_size,
            key=identity if entry.message_id else sha256(entry.content + identity).digest(),
        )

    def _path(
        self, source: SourceState, head: MessageHead, subject: str | None, sums: bytes, entry: Entry
    ) -> str:
        """The name: from the message alone, or where copies are kept too, from its place as well."""
        if self._by_place:
            sums += b"%d %d" % (source.id, head.offset)
        elif not entry.message_id:
            sums += entry.content
        wants_sender = "sender" in self._layout.fields
        return self._layout.path(
            date=head.date,
            subject=subject or "",
            sender=(head.text(b"from") or head.envelope.sender) if wants_sender else "",
            hash=sha256(sums).hexdigest()[:12],
        )

    def _count(self, mail: Mail, row: Row, verdict: Verdict) -> None:
        counts = self._counts
        counts["messages"] += 1
        counts[row.outcome] += 1
        if row.outcome == WRITTEN:
            counts["bytes_out"] += mail.size
            counts["collisions"] += verdict.kind == "collision"
        for repair in mail.repairs:
            (self._repairs if repair.applied else self._left_out)[repair.code] += 1

    def _tick(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress and (last or now >= self._next_tick):
            self._next_tick = now + _TICK
            counts = self._counts
            octets, done = counts["bytes_in"], counts["messages"] + len(self._mails)
            self._progress(Progress(octets, self._total, done, self._name, counts[DUPLICATE]))


def _entry(head: MessageHead, identity: bytes, number: int) -> Entry:
    """What the dedup index is asked: by Message-ID and body, or without an ID by the whole content."""
    raw = head.raw_field(b"message-id")
    content = b"" if raw else content_of(head.block, head.envelope.date)
    return Entry(raw, identity, content, number)
