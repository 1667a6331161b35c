"""A conversion in small steps, of which any can be the last: what the manifest is for, without the rest.

It plays `convert`'s part towards `Manifest`: batches, files under temporary names, a commit, the renames.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from drive import events_of
from unmbox._head import MessageHead
from unmbox._writer import EmlWriter
from unmbox.dedup import BodyDigest, DedupIndex, Entry, content_of
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected
from unmbox.manifest import (
    DUPLICATE,
    MANIFEST_NAME,
    QUARANTINED,
    WRITTEN,
    Batch,
    Manifest,
    Row,
    SourceState,
    Written,
    state_of,
    thread_id,
)
from unmbox.sources import Source

OPTIONS = {"headers": "preserve", "newline": "crlf", "variant": "auto", "dedup": "message-id+body"}


class Killed(BaseException):
    """A step was the last."""


class Steps:
    """Counts steps, and makes number `last` the last one."""

    def __init__(self, last: int = -1, stop: Callable[[], object] | None = None) -> None:
        self.names: list[str] = []
        self._last = last
        self._stop = stop

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self._last:
            if self._stop:
                self._stop()
            raise Killed(name)


@dataclass(slots=True)
class Mail:
    """A message and its EML."""

    head: Head
    pieces: list[bytes] = field(default_factory=list)
    head_size: int = 0
    length: int = 0

    @property
    def eml(self) -> bytes:
        return b"".join(self.pieces)


def mailbox(*mails: str, newline: str = "\n") -> bytes:
    """The octets of a mailbox: each mail is its fields and its body, as one text."""
    line = "From {}@example.org Tue Mar 19 09:13:51 +0000 2019\n"
    text = "".join(line.format(number) + mail + "\n\n" for number, mail in enumerate(mails))
    return text.replace("\n", newline).encode("utf-8", "surrogateescape")


def run(
    destination: Path,
    sources: Sequence[Path],
    step: Callable[[str], object] = str,
    *,
    broken: Iterable[bytes] = (),
    batch: int = 3,
    **options: Any,
) -> None:
    """Convert the sources. A mail that holds one of the `broken` octets is quarantined."""
    destination.mkdir(exist_ok=True)
    with Manifest.open(destination / MANIFEST_NAME, OPTIONS, **options) as manifest:
        step("opened")
        for part in destination.glob(".unmbox-*.part"):
            part.unlink()
        manifest.undo_pending(lambda written: _remove(destination, written, step))
        step("undone")
        with DedupIndex(connection=manifest.connection) as index:
            job = _Job(destination, manifest, index, step, tuple(broken))
            for source in sources:
                job.read(source, batch)
        step("read")
        manifest.settle()
        step("settled")


def _remove(destination: Path, written: Written, step: Callable[[str], object]) -> None:
    step("before removal")
    if written.is_at(destination / written.path):
        (destination / written.path).unlink()


@dataclass
class _Job:
    destination: Path
    manifest: Manifest
    index: DedupIndex
    step: Callable[[str], object]
    broken: tuple[bytes, ...]

    def read(self, path: Path, batch: int) -> None:
        state = self.manifest.source(str(path), **Source(path).identity()._asdict())
        if state.done:
            self._retry(state, path.read_bytes())
            return
        mails: list[Mail] = []
        todo = Batch(sources=[state])
        start, writer = state.offset, EmlWriter(headers="preserve")
        for event in events_of([path.read_bytes()]):
            if event.offset < start:
                continue
            if isinstance(event, Junk):
                state.junk = event.offset + len(event.data)
            elif isinstance(event, Rejected):
                todo.add_candidate(state, event.offset, event.line, event.reason)
            elif _add(mails, event, writer) and len(mails) == batch:
                self._commit(state, mails, todo)
                mails, todo = [], Batch(sources=[state])
        state.offset, state.done, state.variant, state.newline = path.stat().st_size, True, "mboxrd", b"\n"
        self._commit(state, mails, todo)

    def _commit(self, state: SourceState, mails: list[Mail], todo: Batch) -> None:
        entries = [_entry(mail, row) for row, mail in enumerate(mails, self.manifest.next_id)]
        verdicts = self.index.add_many(entries)
        self.step("deduplicated")
        names: list[tuple[Path, Path]] = []
        for entry, mail, verdict in zip(entries, mails, verdicts, strict=True):
            failed = any(octets in mail.eml for octets in self.broken)
            outcome = QUARANTINED if failed else DUPLICATE if verdict.kind == "duplicate" else WRITTEN
            row = make_row(mail, entry, state, outcome, verdict.of if outcome == DUPLICATE else None)
            todo.rows.append(row)
            todo.repairs.append((row.id, "made-up", "Subject", True, "none"))
            if row.path:
                part = self.destination / f".unmbox-1-{row.id}.part"
                part.write_bytes(mail.eml)
                names.append((part, self.destination / row.path))
                self.step("part written")
        if mails and not state.done:
            state.offset = mails[-1].head.offset + mails[-1].length
        self.step("before commit")
        self.manifest.commit(todo)
        self.step("committed")
        for part, name in names:
            name.parent.mkdir(parents=True, exist_ok=True)
            part.rename(name)
            self.step("renamed")

    def _retry(self, state: SourceState, octets: bytes) -> None:
        writer = EmlWriter(headers="preserve")
        for failed in self.manifest.quarantined(state):
            mails: list[Mail] = []
            for event in events_of([octets[failed.offset : failed.offset + failed.length]]):
                _add(mails, event, writer)
            (mail,) = mails
            if any(octets in mail.eml for octets in self.broken):
                continue
            entry = _entry(mail, failed.id)
            (verdict,) = self.index.add_many([entry])
            of = verdict.of if verdict.kind == "duplicate" and verdict.of != failed.id else None
            row = make_row(mail, entry, state, DUPLICATE if of else WRITTEN, of)
            if row.path:
                part = self.destination / ".unmbox-1-0.part"
                part.write_bytes(mail.eml)
                part.rename(self.destination / row.path)
            self.step("retried")
            (self.destination / str(failed.path)).unlink(missing_ok=True)
            self.step("quarantine left")
            self.manifest.commit(Batch(sources=[state], amended=[row._replace(offset=failed.offset)]))


def _add(mails: list[Mail], event: Event, writer: EmlWriter) -> bool:
    """Take in an event; True where it was the end of a mail."""
    if isinstance(event, Head):
        mails.append(Mail(event))
    if isinstance(event, (Head, HeadRest, Body)):
        mails[-1].pieces.append(writer.send(event))
        mails[-1].head_size += 0 if isinstance(event, Body) else len(mails[-1].pieces[-1])
    elif isinstance(event, End):
        mails[-1].length = event.length
        return True
    return False


def _identity(mail: Mail) -> bytes:
    body = BodyDigest()
    body.update(mail.eml[mail.head_size :])
    return body.digest()[1]


def _entry(mail: Mail, row: int) -> Entry:
    head = MessageHead(mail.head, "")
    return Entry(head.message_id, _identity(mail), content_of(mail.head.data, head.envelope.date), row)


def make_row(mail: Mail, entry: Entry, state: SourceState, outcome: str, of: int | None = None) -> Row:
    """The row of a mail; its path follows from its EML."""
    head = MessageHead(mail.head, "")
    digest = sha256(mail.eml + (b"" if head.message_id else entry.content)).hexdigest()[:12]
    place = f"{state.id}-{mail.head.offset}"
    path = {WRITTEN: f"2019/03/{digest}.eml", QUARANTINED: f"quarantine/{place}.eml"}.get(outcome)
    return Row(
        id=entry.where,
        source_id=state.id,
        offset=mail.head.offset,
        length=mail.length,
        from_line=mail.head.from_line,
        message_id=head.message_id,
        head_sha256=sha256(mail.eml[: mail.head_size]).hexdigest(),
        body_sha256=sha256(mail.eml[mail.head_size :]).hexdigest(),
        outcome=outcome,
        path=path,
        duplicate_of=of,
        date=head.date,
        sender=head["From"],
        recipients=head["To"],
        subject=head.subject,
        labels=head.labels,
        thread_id=thread_id(head.raw_field(b"x-gm-thrid")),
        state=state_of(head.block, head.labels),
        head_size=mail.head_size,
        body_size=len(mail.eml) - mail.head_size,
        key=entry.body_digest if entry.message_id else sha256(entry.content + entry.body_digest).digest(),
    )


# What only speeds things up, or says how far an unfinished run has come.
_UNTOLD = {"dedup_slots", "pending"}


def rows(destination: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that the manifest says, table by table."""
    with closing(sqlite3.connect(destination / MANIFEST_NAME)) as connection:
        names = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(names - _UNTOLD)
        }


def tree(destination: Path) -> dict[str, bytes]:
    """All files but the manifest, with their octets."""
    return {
        path.relative_to(destination).as_posix(): path.read_bytes()
        for path in sorted(destination.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    }
