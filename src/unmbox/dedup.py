"""`DedupIndex`: has this mail been seen before? Keys in memory, or in an SQLite file shared by processes.

A message is known by its Message-ID and its body, or by its whole content where it has no Message-ID.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b, sha256
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from unmbox import _headers
from unmbox._dedup_rows import Memory, Store
from unmbox._dedup_sqlite import File, Tables
from unmbox._late import late
from unmbox._message_id import normalise_message_id, plain_id
from unmbox.errors import UsageError

if TYPE_CHECKING:
    import sqlite3

POLICIES = ("message-id+body", "message-id", "off")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an index says of a message.

    `kind` is ``new``, ``duplicate``, or ``collision`` (same ID, other body). `of` is the `where` that was
    given with the message it is a copy of, or for a collision with the first of its Message-ID; None for a
    new one. New messages and collisions are kept, duplicates are not.
    """

    kind: Literal["new", "duplicate", "collision"]
    of: int | None = None


NEW = Verdict("new")


class Entry(NamedTuple):
    """One message for `DedupIndex.add_many`: the arguments of `DedupIndex.add` in their order."""

    message_id: str | bytes | None
    body_digest: bytes
    content: bytes = b""
    where: int = 0


def _octets(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


_gmail_fields = late(rb"^X-(?:GM|Gmail)-[^\n]*\n?(?:[ \t][^\n]*\n?)*", re.IGNORECASE | re.MULTILINE)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def content_of(block: bytes, sent: datetime | None = None) -> bytes:
    """What stands for the Message-ID of a message that has none: pass it as `content`.

    `block` is the raw header block. Gmail's own fields (``X-GM-*``, ``X-Gmail-*``) differ from export to
    export and are left out, and line ends do not count. `sent` is the From_ line's date (aware), which
    counts only where the block holds no Date: it may be all that tells two chat records apart.
    """
    text = _gmail_fields.sub(b"", block.replace(b"\r\n", b"\n")).strip(b"\n")
    if sent is None or _headers.find(block, b"Date") is not None:
        return text
    return b"%s\nFrom_ %d" % (text, (sent - _EPOCH).total_seconds())


_LINE_ENDS = b"\r\n" * (1 << 15)


class BodyDigest:
    r"""SHA-256 of a body in CRLF, and of the same without trailing empty lines, in one pass.

    The body may come in pieces, cut anywhere. Trailing line ends are counted and hashed once more is
    known, so each octet is hashed once, and a piece costs a few steps whatever is in it.

    >>> once, more = unmbox.BodyDigest(), unmbox.BodyDigest()
    >>> once.update(b"Hello\r\n")
    >>> more.update(b"Hel")
    >>> more.update(b"lo\r\n\r\n")
    >>> [mine == other for mine, other in zip(once.digest(), more.digest())]
    [False, True]
    """

    __slots__ = ("_cr", "_line_ends", "_sha")

    def __init__(self) -> None:
        self._sha = sha256()
        self._line_ends = 0  # CRLFs seen but not yet hashed
        self._cr = False  # a CR after them, which may be half of another

    def update(self, piece: bytes) -> None:
        """Take the next octets."""
        if self._cr and piece:
            piece = b"\r" + piece
            self._cr = False
        if piece.endswith(b"\r"):
            piece = piece[:-1]
            self._cr = True
        end = length = len(piece)
        if piece.endswith(b"\r\n"):
            end -= 2
            if piece[end - 2 : end] == b"\r\n":
                end = _end_of_content(piece)
        if end:
            if self._line_ends:
                _add_line_ends(self._sha, self._line_ends)
                self._line_ends = 0
            # Slicing a view copies nothing; large updates release the GIL.
            self._sha.update(piece if end == length else memoryview(piece)[:end])
        self._line_ends += (length - end) >> 1

    def digest(self) -> tuple[bytes, bytes]:
        """The digests so far, 32 octets each: of the body as written, and for `DedupIndex.add`."""
        identity = self._sha.digest()
        if not self._line_ends and not self._cr:
            return identity, identity
        sha = self._sha.copy()
        _add_line_ends(sha, self._line_ends)
        if self._cr:
            sha.update(b"\r")
        exact = sha.digest()
        # A lone CR is content, and so is all that stands before it.
        return (exact, exact) if self._cr else (exact, identity)


def _end_of_content(piece: bytes) -> int:
    """Where the CRLFs begin that end `piece`."""
    end = len(piece.rstrip(b"\r\n"))
    run = piece[end:]
    # Two like octets side by side are not both of CRLFs: what counts begins between the last such two.
    start = max(run.rfind(b"\r\r"), run.rfind(b"\n\n")) + 1
    return end + start + run.startswith(b"\n", start)


def _add_line_ends(sha: Any, count: int) -> None:
    while count > 0:
        sha.update(_LINE_ENDS[: 2 * count])
        count -= len(_LINE_ENDS) >> 1


class DedupIndex:
    """Says of each message whether it is new, a copy of one seen before, or another mail with a known ID.

    Without `path` it lives in memory (some 65 octets a message); with one in an SQLite file, made if
    absent, which several processes may use at once: a writer waits `timeout` seconds for another. With
    `connection`, of a database that is open already, it is in the tables `dedup` and `dedup_slots` there,
    made if absent, and part of that connection's transactions: nothing is ever committed here. Where none
    is open, one is begun and left open; rolling it back takes back what was added, and is what to do after
    a `DestinationError`. In either database it takes 6 to 12 octets of memory a message and 8 MiB.

    `policy`: ``"message-id+body"`` takes a message for a copy only when Message-ID *and* body are known
    together; for ``"message-id"`` the ID is enough; ``"off"`` calls everything new and keeps nothing.
    Where there is no Message-ID, content and body decide. The policy is a way of asking: one file may be
    opened under any.

    Raises `UsageError` for an unknown policy, `DestinationError` where the file cannot be used or is no
    index of ours, which is then left as it is. Threads may share one: a transaction makes the others wait.

    >>> index = unmbox.DedupIndex()
    >>> index.add("<1@example.org>", b"one body", where=7)
    Verdict(kind='new', of=None)
    >>> index.add("<1@example.org>", b"one body", where=8)
    Verdict(kind='duplicate', of=7)
    >>> index.add("<1@example.org>", b"another body", where=9)
    Verdict(kind='collision', of=7)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        policy: str = POLICIES[0],
        connection: sqlite3.Connection | None = None,
        timeout: float = 30.0,
    ) -> None:
        if policy not in POLICIES:
            raise UsageError(f"unknown dedup policy {policy!r}: choose one of {', '.join(POLICIES)}")
        self.policy = policy
        self._lock = RLock()
        self._off = policy == "off"
        self._by_id = policy == "message-id"
        self._store: Store
        if path is not None and "\0" in os.fsdecode(path):
            raise UsageError(f"{path!r} is no path: it holds a NUL")
        if connection is None:
            self._store = Memory() if path is None else File(os.fspath(path), timeout)
        elif path is None:
            self._store = Tables(connection, "the dedup index")
            self._store.create()
        else:
            raise UsageError("give a path or a connection, not both")

    def add(
        self, message_id: str | bytes | None, body_digest: bytes, *, content: bytes = b"", where: int = 0
    ) -> Verdict:
        """Record a message and say what it is.

        `message_id` is the field's value, raw or decoded; `body_digest` is the second of `BodyDigest`, or
        any octets that only equal bodies share; `content` is what `content_of` gives and counts only where
        there is no Message-ID. `where` is for the caller: a signed 64-bit number that later comes back as
        `Verdict.of`. With a path each call is a transaction of its own; prefer `add_many`.
        """
        if self._off:
            return NEW
        store = self._store
        with self._lock:
            if store.guess():
                verdict = self._decide(message_id, body_digest, content, where)
                if store.confirm():
                    return verdict
            with self.transaction():
                return self._decide(message_id, body_digest, content, where)

    def add_many(self, messages: Iterable[tuple[str | bytes | None, bytes, bytes, int]]) -> list[Verdict]:
        """Record many messages (`Entry`, or plain tuples) in one transaction; on an error none of them.

        The verdicts stand in the order of the messages, which is also that of their recording.
        """
        if self._off:
            return [NEW for _ in messages]
        with self.transaction():
            decide = self._decide
            return [decide(*message) for message in messages]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is added inside is recorded when the block ends; nothing is, if it raises.

        Other threads and processes that want to write wait meanwhile. Blocks may stand in one another.
        Whoever writes down elsewhere what became of the messages does so before the block ends: what is lost
        between the two is then known to be new again, and a copy is kept, rather than a mail skipped.
        """
        store = self._store
        with self._lock:
            mark = store.enter()
            try:
                yield
                store.leave()
            except BaseException:
                store.undo(mark)
                raise
            finally:
                store.depth -= 1

    def forget(self, where: int) -> None:
        """Take back the last messages, back to the first of an unbroken row whose `where` is this or more.

        For a caller who numbers messages upwards and finds that it has lost the last of them.
        """
        with self.transaction():
            self._store.forget(where)

    def save(self) -> None:
        """Keep what finds the rows beside them, so that the next opening needs not read them all.

        An index with a path does so by itself when it is closed; over a connection it is for you to call,
        before your last commit. Nothing happens in memory.
        """
        with self.transaction():
            self._store.save()

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        self._store.close()

    def __enter__(self) -> DedupIndex:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _decide(
        self, message_id: str | bytes | None, body_digest: bytes, content: bytes = b"", where: int = 0
    ) -> Verdict:
        try:
            name = None
            if message_id:
                octets = _octets(message_id) if isinstance(message_id, str) else message_id
                plain = plain_id(octets)
                name = plain[1] if plain else normalise_message_id(octets)
            if name is not None:
                key = blake2b(b"i" + name, digest_size=16).digest()
            else:
                key = blake2b(b"c%d %b%b" % (len(content), content, body_digest), digest_size=16).digest()
            body = body_digest if type(body_digest) is bytes else b"%b" % body_digest
            if len(body) != 32:
                body = sha256(body).digest()
            too_large = where.bit_length() > 63 and where != -(1 << 63)
        except (TypeError, AttributeError) as error:
            raise UsageError(f"octets are wanted, and a number for `where`: {error}") from error
        if too_large:
            raise UsageError(f"where is a signed number of 64 bits, not {where}")
        first = self._store.put(key, body, where)
        if first is None:
            return NEW
        if self._by_id or first[1] == body:
            return Verdict("duplicate", first[2])
        # Another body under a known ID is kept under a key of its own, so that its copies are found too,
        # and a thousand messages under one ID cost no more than under a thousand.
        second = self._store.put(blake2b(b"o" + key + body, digest_size=16).digest(), body, where)
        return Verdict("collision", first[2]) if second is None else Verdict("duplicate", second[2])
