"""Rows of a dedup index, found by their keys: in memory, in tables of an open database, in a file.

Rows are only ever appended, 72 to a block, which fills a page of SQLite's. A B-tree that takes keys at
random writes a page for nearly every one: at a million keys that cost 50 µs a key on a disk, at five
million more. What finds a row is a table of slots in memory, 6 to 12 octets a row, of which the database
keeps a copy for the next time.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from unmbox.errors import DestinationError, UsageError

if TYPE_CHECKING:
    import sqlite3

Row = tuple[bytes, bytes, int]  # the key (16 octets), the body's digest (32), what the caller gave with them

_RECORD = struct.Struct("<16s32sq")
_SIZE = _RECORD.size
_BLOCK = 72  # rows: 4032 octets, the most that leaves a page of 4096 without overflow
_HELD = 4032  # rows that wait for SQLite
_PART = 1 << 20  # octets of saved slots a row
_UNKNOWN = (-1, b"")  # no block

_pack = _RECORD.pack
_unpack = _RECORD.unpack_from
_hash_of = struct.Struct("<Q").unpack_from
_hashes = struct.Struct(f"<Q{_SIZE - 8}x").iter_unpack


class Store(ABC):
    """Rows numbered from 1, and the slots that find them.

    A slot is 32 bits: a row's number in the low ones, bits of its key's hash in what is left above. There
    are 2**n slots, n bits for the number, and open addressing. The bits above rule out nearly all other
    keys; the row itself decides. So a slot whose row was taken back does no harm.
    """

    errors: tuple[type[Exception], ...] = ()

    def __init__(self) -> None:
        self.depth = 0  # transactions, one in another
        self._closed = False
        self._count = 0
        self._used = 0
        self._slots = array("I", [0]) * (1 << 10)

    @abstractmethod
    def _row(self, number: int) -> Row | None: ...

    @abstractmethod
    def _append(self, record: bytes) -> None: ...

    @abstractmethod
    def _chunks(self, after: int) -> Iterable[tuple[int, bytes | bytearray]]:
        """All rows after a number, as they stand, each piece with the number of its first."""

    @abstractmethod
    def _cut(self, mark: int) -> None: ...

    @abstractmethod
    def leave(self) -> None:
        """End well what `enter` began; the last to leave a file commits."""

    @abstractmethod
    def save(self) -> None:
        """Keep the slots, where they can be kept."""

    def put(self, key: bytes, body: bytes, where: int) -> Row | None:
        """Append a row unless there is one with this key, and return that one."""
        try:
            if self._used * 3 >= len(self._slots) * 2:
                self._rebuild(self._count + 1)
            slots = self._slots
            mask = len(slots) - 1
            (hashed,) = _hash_of(key)
            at, tag = hashed & mask, hashed >> 32 & ~mask
            while slot := slots[at]:
                if (slot ^ tag) <= mask:
                    row = self._row(slot & mask)
                    if row is not None and row[0] == key:
                        return row
                at = at + 1 & mask
            self._append(_pack(key, body, where))
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

    def undo(self, mark: int) -> None:
        """Take back the rows after `mark`, because of an error that must not be hidden by another."""
        with suppress(*self.errors):
            self._cut(mark)
        self._count = mark

    def forget(self, where: int) -> None:
        """Take back the last rows whose `where` is this or more."""
        try:
            mark = self._count
            while mark and (row := self._row(mark)) and row[2] >= where:
                mark -= 1
            self._cut(mark)
        except self.errors as error:
            raise self._refusal(error) from error
        self._count = mark

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
        self._place(self._chunks(0))
        self._used = rows

    def _place(self, chunks: Iterable[tuple[int, bytes | bytearray]]) -> None:
        slots = self._slots
        mask = len(slots) - 1
        for first, records in chunks:
            for number, (hashed,) in enumerate(_hashes(records), first):
                at = hashed & mask
                while slots[at]:
                    at = at + 1 & mask
                slots[at] = hashed >> 32 & ~mask | number


class Memory(Store):
    """Rows end to end: 56 octets each, and 6 to 12 for the slots."""

    def __init__(self) -> None:
        super().__init__()
        self._records = bytearray()

    def _row(self, number: int) -> Row | None:
        return _unpack(self._records, (number - 1) * _SIZE) if number <= self._count else None

    def _append(self, record: bytes) -> None:
        self._records += record

    def _chunks(self, after: int) -> Iterable[tuple[int, bytes | bytearray]]:
        return ((after + 1, self._records[after * _SIZE :] if after else self._records),)

    def _cut(self, mark: int) -> None:
        del self._records[mark * _SIZE :]

    def leave(self) -> None:
        """Everything is in its place already."""

    def save(self) -> None:
        """There is nowhere to."""

    def close(self) -> None:
        super().close()
        self._records.clear()


class Tables(Store):
    """Rows in a table of somebody's database."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        super().__init__()
        import sqlite3

        self.errors = (sqlite3.Error, struct.error)  # the latter where somebody has edited a block
        self._name = name
        self._connection = connection
        self._cursor = connection.cursor()
        self._cursor.row_factory = None  # whatever the connection's owner likes rows to be
        self._execute = self._cursor.execute
        self._tail = bytearray()  # the rows from block `_start` on
        self._start = 0
        self._waiting = False  # whether the tail holds rows that the table does not
        self._last: tuple[int, bytes] | None = None  # the table's last block, as far as we know
        self._read: tuple[int, bytes] = _UNKNOWN  # the block that was read last
        self._saved = 0  # rows whose slots are saved
        self._pid = os.getpid()

    def create(self) -> None:
        """Make the tables where there are none."""
        try:
            if self._execute("SELECT 1 FROM sqlite_master WHERE name = 'dedup_slots'").fetchone():
                return
            self._begin()
            self._execute(
                "CREATE TABLE IF NOT EXISTS dedup (block INTEGER PRIMARY KEY, records BLOB NOT NULL)"
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
        if number > self._count:
            return None
        block, place = divmod(number - 1, _BLOCK)
        if block >= self._start:
            return _unpack(self._tail, (number - 1 - self._start * _BLOCK) * _SIZE)
        if block != self._read[0]:
            self._read = (block, self._records(block))
        return _unpack(self._read[1], place * _SIZE)

    def _records(self, block: int) -> bytes:
        found = self._execute("SELECT records FROM dedup WHERE block = ?", (block,)).fetchone()
        return found[0] if found else b""

    def _append(self, record: bytes) -> None:
        if len(self._tail) >= _HELD * _SIZE:
            self._flush()
        self._tail += record
        self._waiting = True

    def _flush(self) -> None:
        if not self._waiting:
            return
        size = _BLOCK * _SIZE
        tail = self._tail
        blocks = [(self._start + at // size, bytes(tail[at : at + size])) for at in range(0, len(tail), size)]
        self._cursor.executemany("REPLACE INTO dedup VALUES (?, ?)", blocks)
        self._last = blocks[-1]
        self._waiting = False
        self._start += len(tail) // size
        del tail[: len(tail) // size * size]

    def _chunks(self, after: int) -> Iterable[tuple[int, bytes | bytearray]]:
        self._flush()
        sql = "SELECT block, records FROM dedup WHERE block >= ? ORDER BY block"
        for block, records in self._execute(sql, (after // _BLOCK,)):
            skip = max(0, after - block * _BLOCK)
            yield block * _BLOCK + skip + 1, records[skip * _SIZE :]

    def _cut(self, mark: int) -> None:
        self._waiting, self._last = False, _UNKNOWN
        # An error may have made SQLite roll back all by itself.
        if self._connection.in_transaction:
            block, rows = divmod(mark, _BLOCK)
            kept = self._records(block)[: rows * _SIZE]
            self._execute("DELETE FROM dedup WHERE block >= ?", (block,))
            self._execute("DELETE FROM dedup_slots WHERE rows > ?", (mark,))
            if kept:
                self._execute("INSERT INTO dedup VALUES (?, ?)", (block, kept))
        self._settle(mark)

    def _settle(self, rows: int) -> None:
        """Take the end of the table, which holds this many rows, for the end of all rows."""
        self._last, self._read = _UNKNOWN, _UNKNOWN
        self._start = rows // _BLOCK
        self._tail = bytearray(self._records(self._start)[: rows % _BLOCK * _SIZE])
        if self._tail:
            self._last = (self._start, bytes(self._tail))
        else:
            self._last = (self._start - 1, self._records(self._start - 1)) if rows else None

    def _catch_up(self) -> None:
        """Take in what others have written; forget what was rolled back."""
        last = self._execute("SELECT block, records FROM dedup ORDER BY block DESC LIMIT 1").fetchone()
        if last == self._last:
            return
        rows = last[0] * _BLOCK + len(last[1]) // _SIZE if last else 0
        known = self._last
        # Either what was there still stands, or all of it may be other rows.
        if known is None or known is _UNKNOWN or not self._records(known[0]).startswith(known[1]):
            self._count = 0
            self._restore(rows)
        used = self._used + rows - self._count
        if self._count and used * 3 < len(self._slots) * 2:
            self._place(self._chunks(self._count))
            self._used = used
        else:
            self._rebuild(rows)
        self._count = rows
        self._settle(rows)

    def _restore(self, rows: int) -> None:
        """Take the saved slots, if any are of use."""
        slots = array("I")
        counts = [0, 0]
        found = self._execute("SELECT rows, used, byte_order, slots FROM dedup_slots ORDER BY part")
        for *counts, order, octets in found:
            if order != sys.byteorder or counts[0] > rows:
                return
            slots.frombytes(octets)
        if len(slots) > max(counts) and not len(slots) & (len(slots) - 1):
            self._slots = slots
            self._count, self._used = counts
            self._saved = self._count

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


class File(Tables):
    """Rows in an SQLite file of their own."""

    def __init__(self, place: str, timeout: float) -> None:
        import sqlite3

        path = Path(place).absolute()  # whatever it is called: ":memory:" is a file too
        _refuse_foreign(path)
        try:
            # Each statement is its own transaction unless one is begun. One thread at a time is enough.
            connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise DestinationError(f"{path} cannot be used: {error}") from error
        super().__init__(connection, str(path))
        try:
            self._prepare()
            with _opening:
                status = path.stat()
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

    def undo(self, mark: int) -> None:
        if self.depth > 1:
            super().undo(mark)
            return
        self._waiting, self._last = False, _UNKNOWN
        with suppress(*self.errors):
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            self._settle(mark)
        self._count = mark

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


def _refuse_foreign(path: Path) -> None:
    """Look at the file before SQLite does, which would tidy up even after others."""
    with _opening:
        try:
            status = path.stat()
            # Closing a file gives up all locks that this process has on it (POSIX), SQLite's own too.
            if _open_files.get((status.st_dev, status.st_ino)):
                return
            with path.open("rb") as file:
                start = file.read(72)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DestinationError(error.errno, f"{path} cannot be opened: {error.strerror}") from error
    if start and (start[:16] != _MAGIC or start[68:] != _APPLICATION.to_bytes(4, "big")):
        raise _not_ours(path)


def _not_ours(path: Path | str) -> DestinationError:
    return DestinationError(f"{path} is no dedup index of unmbox, and is left as it is")
