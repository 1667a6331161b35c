"""`DedupIndex`: has this mail been seen before? Keys in memory, or in an SQLite file shared by processes.

A message is known by its Message-ID and its body, or by its whole content where it has no Message-ID.
Rows are only ever appended, for inserting at random into a B-tree writes a page for every key: at five
million keys that costs ten times as much. What finds a row again is a table in memory of 6 to 12 octets
a row, which the file keeps a copy of.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b, sha256
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from unmbox import _headers
from unmbox.errors import DestinationError, UsageError

if TYPE_CHECKING:
    import sqlite3

POLICIES = ("message-id+body", "message-id", "off")

Row = tuple[bytes, bytes, int]  # the key, the body's digest, what the caller gave as `where`


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an index says of a message: ``new``, a ``duplicate``, or a ``collision`` (same ID, other body).

    `of` is the `where` that was given with the message it is a copy of, or for a collision with the first
    of its Message-ID; None for a new one. New messages and collisions are kept, duplicates are not.
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


# --- what identifies a message -------------------------------------------------------------------------

_plain_id = re.compile(rb'\s*<([^\s<>()"\\]+)>\s*').fullmatch
_bracketed = re.compile(rb"<([^<>]+)>").search
_comment_marks = re.compile(rb'\\.|[()"]', re.DOTALL).finditer


def normalise_message_id(raw: bytes) -> bytes | None:
    """The Message-ID in a field's raw value: what stands between the brackets; None if nothing does.

    White space, folding and comments are no part of it, and case is (RFC 5322 §3.6.4, §4.5.4). A value
    without brackets is taken whole, the first of several in brackets counts. Linear in any value.
    """
    if match := _plain_id(raw):
        return match[1]
    text = b"".join(_without_comments(raw).split())
    match = _bracketed(text)
    return match[1] if match else text.strip(b"<>") or None


def _without_comments(raw: bytes) -> bytes:
    """Leave out comments, which nest (RFC 5322 §3.2.2); one that is never closed is text."""
    kept = []
    depth = opened = end = 0
    quoted = False
    for token in _comment_marks(raw):
        mark = token[0]
        if mark == b'"':
            quoted ^= not depth
        elif quoted or len(mark) > 1:
            continue
        elif mark == b"(":
            if not depth:
                opened = token.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                kept.append(raw[end:opened])
                end = token.end()
    return b"".join((*kept, raw[end:]))


_gmail_fields = re.compile(rb"^X-(?:GM|Gmail)-[^\n]*\n?(?:[ \t][^\n]*\n?)*", re.IGNORECASE | re.MULTILINE)
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
    """SHA-256 of a body in CRLF, and of the same without trailing empty lines, in one pass.

    The body may come in pieces, cut anywhere. Trailing line ends are counted and hashed once more is
    known, so each octet is hashed once, and a piece costs a few steps whatever is in it.
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


# --- the index -----------------------------------------------------------------------------------------


class DedupIndex:
    """Says of each message whether it is new, a copy of one seen before, or another mail with a known ID.

    Without `path` it lives in memory (some 75 octets a message); with one in an SQLite file, made if
    absent, which several processes may use at once: a writer waits `timeout` seconds for another.

    `policy`: ``"message-id+body"`` takes a message for a copy only when Message-ID *and* body are known
    together; for ``"message-id"`` the ID is enough; ``"off"`` calls everything new and keeps nothing.
    Where there is no Message-ID, content and body decide. The policy is a way of asking: one file may be
    opened under any.

    Raises `UsageError` for an unknown policy, `DestinationError` where the file cannot be used or is no
    index of ours, which is then left as it is. Not for two threads at once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        policy: str = POLICIES[0],
        timeout: float = 30.0,
    ) -> None:
        self._set(policy)
        self._store: _Store = _Memory() if path is None else _File(os.fspath(path), timeout)

    @classmethod
    def over(cls, connection: sqlite3.Connection, *, policy: str = POLICIES[0]) -> DedupIndex:
        """An index in tables of a database that is already open: `dedup` and `dedup_slots`, made if absent.

        It is part of the connection's transactions: nothing is ever committed here. Where no transaction is
        open, one is begun and left open. Rolling back takes back what was added. `close` leaves the
        connection open.
        """
        index = cls.__new__(cls)
        index._set(policy)
        index._store = _Tables(connection, "the dedup index")
        index._store.create()
        return index

    def _set(self, policy: str) -> None:
        if policy not in POLICIES:
            raise UsageError(f"unknown dedup policy {policy!r}: choose one of {', '.join(POLICIES)}")
        self._off = policy == "off"
        self._by_id = policy == "message-id"

    def add(
        self, message_id: str | bytes | None, body_digest: bytes, *, content: bytes = b"", where: int = 0
    ) -> Verdict:
        """Record a message and say what it is.

        `message_id` is the field's value, raw or decoded; `body_digest` is the second of `BodyDigest`, or
        any octets that only equal bodies share; `content` is what `content_of` gives and counts only where
        there is no Message-ID. `where` is for the caller: a signed 64-bit number that later comes back as
        `Verdict.of`. With a path each call is a transaction of its own; prefer `add_many`.
        """
        return self.add_many(((message_id, body_digest, content, where),))[0]

    def add_many(self, messages: Iterable[tuple[str | bytes | None, bytes, bytes, int]]) -> list[Verdict]:
        """Record many messages (`Entry`, or plain tuples) in one transaction: all of them or, on an error, none.

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

        Other processes that want to write wait meanwhile. Blocks may stand in one another.
        """
        store = self._store
        mark = store.enter()
        try:
            yield
            store.leave()
        except BaseException:
            store.undo(mark)
            raise
        finally:
            store.depth -= 1

    def save(self) -> None:
        """Keep what finds the rows beside them, so that opening needs not read them all: 1 µs a row.

        An index with a path does so by itself when it is closed; over a connection it is for you to call,
        before your last commit. Nothing happens in memory.
        """
        with self.transaction():
            self._store.save()

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        self._store.close()

    def __enter__(self) -> DedupIndex:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _decide(
        self, message_id: str | bytes | None, body_digest: bytes, content: bytes = b"", where: int = 0
    ) -> Verdict:
        if isinstance(message_id, str):
            message_id = _octets(message_id)
        try:
            name = normalise_message_id(message_id) if message_id else None
            if name is None:
                size = b"c%d " % len(content)
                key = blake2b(size + content + body_digest, digest_size=16).digest()
            else:
                key = blake2b(b"i" + name, digest_size=16).digest()
            body = body_digest if len(body_digest) == 32 else sha256(body_digest).digest()
        except TypeError as error:
            raise UsageError(f"message_id, body_digest and content are octets: {error}") from error
        if not isinstance(where, int) or where.bit_length() > 63:
            raise UsageError(f"where is a signed number of 64 bits, not {where!r}")
        first = self._store.put(key, body, where)
        if first is None:
            return NEW
        if self._by_id or first[1] == body:
            return Verdict("duplicate", first[2])
        # Another body under a known ID is kept under a key of its own, so that its copies are found too,
        # and a thousand messages under one ID cost no more than under a thousand.
        second = self._store.put(blake2b(b"o" + key + body, digest_size=16).digest(), body, where)
        return Verdict("collision", first[2]) if second is None else Verdict("duplicate", second[2])


# --- where the rows are --------------------------------------------------------------------------------

_first_octets = Struct("<Q").unpack_from


class _Store(ABC):
    """Rows numbered from 1, and the slots that find them.

    A slot is 32 bits: a row's number in the low ones, bits of its key's hash in what is left above. There
    are 2**n slots, n bits for the number, and open addressing. The bits above rule out nearly all other
    keys; the row itself decides. So a slot whose row was taken back does no harm.
    """

    errors: tuple[type[Exception], ...] = ()

    def __init__(self) -> None:
        self.depth = 0  # transactions, one in another
        self._closed = False
        self._count = 0  # the highest row number
        self._used = 0
        self._slots = array("I", [0]) * (1 << 10)

    @abstractmethod
    def _row(self, number: int) -> Row | None: ...

    @abstractmethod
    def _append(self, row: Row) -> None: ...

    @abstractmethod
    def _keys(self, after: int) -> Iterable[tuple[int, bytes]]: ...

    @abstractmethod
    def _take_back(self, mark: int) -> None: ...

    def put(self, key: bytes, body: bytes, where: int) -> Row | None:
        """Append a row unless there is one with this key, and return that one."""
        try:
            if self._used * 3 >= len(self._slots) * 2:
                self._rebuild(self._count + 1)
            slots = self._slots
            mask = len(slots) - 1
            (hashed,) = _first_octets(key)
            at, tag = hashed & mask, hashed >> 32 & ~mask
            while slot := slots[at]:
                if (slot ^ tag) <= mask:
                    row = self._row(slot & mask)
                    if row is not None and row[0] == key:
                        return row
                at = at + 1 & mask
            self._append((key, body, where))
        except self.errors as error:
            raise self._refusal(error) from error
        self._count += 1
        self._used += 1
        slots[at] = tag | self._count
        return None

    def enter(self) -> int:
        """Begin what can be taken back; returns the mark for `undo`."""
        if self._closed:
            raise UsageError("this index is closed")
        self.depth += 1
        return self._count

    def leave(self) -> None:
        """End it well; the last to leave commits."""

    def undo(self, mark: int) -> None:
        """Take back the rows after `mark`."""
        self._take_back(mark)
        self._count = mark

    def save(self) -> None:
        """Keep the slots, where they can be kept."""

    def close(self) -> None:
        """Let go of rows and slots."""
        self._closed = True
        self._count = self._used = 0
        self._slots = array("I", [0])

    def _refusal(self, error: Exception) -> Exception:
        return error

    def _rebuild(self, rows: int) -> None:
        """Set up slots for this many rows, from a third to two thirds of them in use."""
        self._slots = array("I")  # gone before there are new ones, or both would count
        self._slots = array("I", [0]) * (1 << max(10, (rows * 3 // 2).bit_length()))
        self._place(self._keys(0))
        self._used = rows

    def _place(self, keys: Iterable[tuple[int, bytes]]) -> None:
        slots = self._slots
        mask = len(slots) - 1
        for number, key in keys:
            (hashed,) = _first_octets(key)
            at = hashed & mask
            while slots[at]:
                at = at + 1 & mask
            slots[at] = hashed >> 32 & ~mask | number


class _Memory(_Store):
    """Rows end to end in two arrays: 56 octets each, and 6 to 12 for the slots."""

    def __init__(self) -> None:
        super().__init__()
        self._octets = bytearray()  # key, body
        self._where = array("q")

    def _row(self, number: int) -> Row | None:
        if number > self._count:
            return None
        end = number * 48
        octets = self._octets
        return bytes(octets[end - 48 : end - 32]), bytes(octets[end - 32 : end]), self._where[number - 1]

    def _append(self, row: Row) -> None:
        self._octets += row[0] + row[1]
        self._where.append(row[2])

    def _keys(self, after: int) -> Iterable[tuple[int, bytes]]:
        octets = self._octets
        return ((at // 48 + 1, octets[at : at + 16]) for at in range(after * 48, len(octets), 48))

    def _take_back(self, mark: int) -> None:
        del self._octets[mark * 48 :]
        del self._where[mark:]

    def close(self) -> None:
        super().close()
        self._take_back(0)


_BATCH = 4096  # rows that wait for SQLite, which takes many at once in half the time
_PART = 1 << 20  # octets of saved slots a row


class _Tables(_Store):
    """Rows in a table of somebody's database."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        super().__init__()
        import sqlite3

        self.errors = (sqlite3.Error,)
        self._name = name
        self._connection = connection
        self._cursor = connection.cursor()
        self._cursor.row_factory = None  # whatever the connection's owner likes rows to be
        self._execute = self._cursor.execute
        self._pending: list[Row] = []
        self._written = 0  # rows that are in the table
        self._last: tuple[int, bytes, bytes] | None = None  # of them, as it was last seen there
        self._saved = 0  # rows whose slots are saved
        self._pid = os.getpid()

    def create(self) -> None:
        """Make the tables where there are none."""
        try:
            if self._execute("SELECT 1 FROM sqlite_master WHERE name = 'dedup_slots'").fetchone():
                return
            self._begin()
            self._execute(
                "CREATE TABLE IF NOT EXISTS dedup"
                " (row INTEGER PRIMARY KEY, key BLOB NOT NULL, body BLOB NOT NULL, message INTEGER NOT NULL)"
            )
            self._execute(
                "CREATE TABLE IF NOT EXISTS dedup_slots (part INTEGER PRIMARY KEY, rows INTEGER NOT NULL,"
                " used INTEGER NOT NULL, byte_order TEXT NOT NULL, slots BLOB NOT NULL)"
            )
        except self.errors as error:
            raise self._refusal(error) from error

    def enter(self) -> int:
        if os.getpid() != self._pid:
            # Two processes on one connection are how SQLite files break.
            raise UsageError("this index was opened before the process was forked: open it anew in each")
        super().enter()
        try:
            self._begin()
            self._flush()
            self._catch_up()
        except BaseException as error:
            self.depth -= 1
            if isinstance(error, self.errors):
                raise self._refusal(error) from error
            raise
        return self._count

    def leave(self) -> None:
        try:
            self._flush()
        except self.errors as error:
            raise self._refusal(error) from error

    def save(self) -> None:
        try:
            self._flush()
            self._execute("DELETE FROM dedup_slots")
            octets = memoryview(self._slots).cast("B")
            for part, at in enumerate(range(0, len(octets), _PART)):
                values = (part, self._count, self._used, sys.byteorder, octets[at : at + _PART])
                self._execute("INSERT INTO dedup_slots VALUES (?, ?, ?, ?, ?)", values)
        except self.errors as error:
            raise self._refusal(error) from error
        self._saved = self._count

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            # At once for writing: a transaction that has read before is refused where it would have to wait.
            self._execute("BEGIN IMMEDIATE")

    def _row(self, number: int) -> Row | None:
        if number > self._written:
            waiting = number - self._written - 1
            return self._pending[waiting] if waiting < len(self._pending) else None
        row: Row | None = self._execute(
            "SELECT key, body, message FROM dedup WHERE row = ?", (number,)
        ).fetchone()
        return row

    def _append(self, row: Row) -> None:
        if len(self._pending) >= _BATCH:
            self._flush()
        self._pending.append(row)

    def _flush(self) -> None:
        if pending := self._pending:
            self._cursor.executemany("INSERT INTO dedup(key, body, message) VALUES (?, ?, ?)", pending)
            self._written += len(pending)
            self._last = (self._written, *pending[-1][:2])
            self._pending = []

    def _keys(self, after: int) -> Iterable[tuple[int, bytes]]:
        yield from self._execute("SELECT row, key FROM dedup WHERE row > ? ORDER BY row", (after,))
        yield from ((number, row[0]) for number, row in enumerate(self._pending, self._written + 1))

    def _take_back(self, mark: int) -> None:
        self._pending = []
        self._written, self._last = mark, None
        with suppress(*self.errors):
            # An error may have made SQLite roll back all by itself.
            if self._connection.in_transaction:
                self._roll_back(mark)
            if row := self._row(mark):
                self._last = (mark, *row[:2])

    def _roll_back(self, mark: int) -> None:
        self._execute("DELETE FROM dedup WHERE row > ?", (mark,))

    def _catch_up(self) -> None:
        """Take in what others have written; forget what was rolled back."""
        last = self._execute("SELECT row, key, body FROM dedup ORDER BY row DESC LIMIT 1").fetchone()
        if last == self._last:
            return
        rows = last[0] if last else 0
        known = self._row(self._count) if self._count <= rows else None
        if self._count and (known is None or (self._count, *known[:2]) != self._last):
            self._count = 0
        if not self._count:
            self._restore(rows)
        self._written = rows
        used = self._used + rows - self._count
        if self._count and used * 3 < len(self._slots) * 2:
            self._place(self._keys(self._count))
            self._used = used
        else:
            self._rebuild(rows)
        self._count, self._last = rows, last

    def _restore(self, rows: int) -> None:
        """Take the saved slots, if any are of use."""
        slots = array("I")
        saved = used = 0
        found = self._execute("SELECT rows, used, byte_order, slots FROM dedup_slots ORDER BY part")
        for saved, used, order, octets in found:
            if order != sys.byteorder or saved > rows:
                return
            slots.frombytes(octets)
        if len(slots) > saved and not len(slots) & (len(slots) - 1):
            self._slots, self._count, self._used, self._saved = slots, saved, used, saved

    def _refusal(self, error: Exception) -> Exception:
        text = str(error)
        if "locked" in text:
            return DestinationError(f"{self._name} is being written by another process, which took too long")
        if "full" in text:
            return DestinationError(errno.ENOSPC, f"{self._name}: no space is left for it")
        return DestinationError(f"{self._name} cannot be used: {text}")


_MAGIC = b"SQLite format 3\0"
_APPLICATION = int.from_bytes(b"unmd", "big")  # where SQLite keeps whose file it is: octets 68 to 71
_VERSION = 1
_open_files: dict[tuple[int, int], int] = {}
_opening = Lock()


class _File(_Tables):
    """Rows in an SQLite file of their own."""

    def __init__(self, path: str, timeout: float) -> None:
        import sqlite3

        path = os.path.abspath(path)
        _refuse_foreign(path)
        try:
            # Each statement is its own transaction unless one is begun. One thread at a time is enough.
            connection = sqlite3.connect(
                path, timeout=timeout, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise DestinationError(f"{path} cannot be used: {error}") from error
        super().__init__(connection, path)
        try:
            self._prepare()
            with _opening:
                status = os.stat(path)
                self._identity = (status.st_dev, status.st_ino)
                _open_files[self._identity] = _open_files.get(self._identity, 0) + 1
        except BaseException as error:
            connection.close()
            if isinstance(error, self.errors):
                raise self._refusal(error) from error
            raise

    def _prepare(self) -> None:
        execute = self._execute
        if self._ours() == (0, 0):
            self._begin()
            if self._ours() == (0, 0):
                self.create()
                execute(f"PRAGMA application_id = {_APPLICATION}")
                execute(f"PRAGMA user_version = {_VERSION}")
            execute("COMMIT")
        application, version = self._ours()
        if application != _APPLICATION:
            raise _not_ours(self._name)
        if version != _VERSION:
            raise DestinationError(
                f"{self._name} is a dedup index of version {version}; this unmbox knows version {_VERSION}"
            )
        # Rows are appended and rarely read: a large cache would not be used.
        execute("PRAGMA cache_size = -8192")
        # A commit is one write at the end of the log, and is synced only when that is written back, every
        # 16 MiB: a loss of power may take the last commits (copies are then kept), never the file. Where
        # the log cannot be had (a network's file system), SQLite stays with its journal.
        with suppress(*self.errors):
            execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA wal_autocheckpoint = 4096")

    def _ours(self) -> tuple[int, int]:
        pragmas = ("application_id", "user_version")
        application, version = (self._execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
        return application, version

    def leave(self) -> None:
        super().leave()
        if self.depth == 1:
            try:
                self._execute("COMMIT")
            except self.errors as error:
                raise self._refusal(error) from error

    def _roll_back(self, mark: int) -> None:
        if self.depth == 1:
            self._execute("ROLLBACK")
        else:
            super()._roll_back(mark)

    def close(self) -> None:
        if self._closed or os.getpid() != self._pid:
            return
        if self._count - self._saved > max(10_000, self._saved // 4):
            self._save_if_that_is_quick()
        super().close()
        self._connection.close()
        with _opening:
            _open_files[self._identity] -= 1

    def _save_if_that_is_quick(self) -> None:
        """All rows are there already, so nothing that goes wrong here matters."""
        with suppress(DestinationError, *self.errors):
            self._execute("PRAGMA busy_timeout = 0")
            mark = self.enter()
            try:
                self.save()
                self.leave()
            except DestinationError:
                self.undo(mark)
            self.depth -= 1


def _refuse_foreign(path: str) -> None:
    """Look at the file before SQLite does, which would tidy up even after others."""
    with _opening:
        try:
            status = os.stat(path)
            # Closing a file gives up all locks that this process has on it (POSIX), SQLite's own too.
            if _open_files.get((status.st_dev, status.st_ino)):
                return
            with open(path, "rb") as file:
                start = file.read(72)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DestinationError(error.errno, f"{path} cannot be opened: {error.strerror}") from error
    if start and (start[:16] != _MAGIC or start[68:] != _APPLICATION.to_bytes(4, "big")):
        raise _not_ours(path)


def _not_ours(path: str) -> DestinationError:
    return DestinationError(f"{path} is no dedup index of unmbox, and is left as it is")
