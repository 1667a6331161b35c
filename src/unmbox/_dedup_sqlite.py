"""Rows of a dedup index in SQLite: in tables of an open database, or in a file of their own.

Rows are only ever appended, some to a block, so that what is written is in one place. The last block is
written again as it fills. Each begins with a hash of the one before, so the last tells of all: while it is
what it was, nobody has added or taken back anything.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from array import array
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from unmbox._dedup_rows import SIZE, Row, Store, unpack
from unmbox.errors import DestinationError, UsageError, refusal

if TYPE_CHECKING:
    import sqlite3

_PAGE = 1024  # octets: a commit writes whole pages
_BLOCK = 17  # rows: 960 octets with the hash, the most that a page holds
_HASH = 8
_HELD = 240 * _BLOCK * SIZE  # octets that wait for SQLite
_PART = 1 << 20  # octets of saved slots a row
_UNKNOWN = (-1, b"")  # no block


class Tables(Store):
    """Rows in a table of somebody's database."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        super().__init__()
        import sqlite3

        # The last two are what comes of a block that somebody has edited.
        self.errors = (sqlite3.Error, struct.error, TypeError)
        self._name = name
        self._connection = connection
        self._cursor = connection.cursor()
        self._cursor.row_factory = None  # whatever the connection's owner likes rows to be
        self._execute = self._cursor.execute
        self._tail = bytearray()  # the rows from block `_start` on
        self._start = 0
        self._chain = bytes(_HASH)  # of the block before
        self._waiting = False  # whether the tail holds rows that the table does not
        self._last: tuple[int, bytes] | None = None  # the table's last block, as far as we know
        self._read: tuple[int, bytes] = _UNKNOWN  # the block that was read last
        self._saved = 0  # rows whose slots are saved
        self._pid = os.getpid()

    def close(self) -> None:
        """Let go of rows and slots, and of what would keep a connection open that its owner closes."""
        super().close()
        self._cursor.close()

    def create(self) -> None:
        """Make the tables where there are none."""
        try:
            if not self._is_made():
                self._begin()
                self._make()
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
            if self._count and not self._is_made():  # its owner has rolled back the making of it, too
                self._make()

    def _is_made(self) -> bool:
        return bool(self._execute("SELECT 1 FROM sqlite_master WHERE name = 'dedup_slots'").fetchone())

    def _make(self) -> None:
        self._execute("CREATE TABLE IF NOT EXISTS dedup (block INTEGER PRIMARY KEY, records BLOB NOT NULL)")
        self._execute(
            "CREATE TABLE IF NOT EXISTS dedup_slots (part INTEGER PRIMARY KEY, rows INTEGER NOT NULL,"
            " used INTEGER NOT NULL, byte_order TEXT NOT NULL, slots BLOB NOT NULL)"
        )

    def row(self, number: int) -> Row | None:
        if number > self._count:
            return None
        block, place = divmod(number - 1, _BLOCK)
        if block >= self._start:
            return unpack(self._tail, (number - 1 - self._start * _BLOCK) * SIZE)
        if block != self._read[0]:
            self._read = (block, self._records(block))
        at = _HASH + place * SIZE
        # Another may have taken it back, which is noticed later.
        return unpack(self._read[1], at) if len(self._read[1]) >= at + SIZE else None

    def _records(self, block: int) -> bytes:
        found = self._execute("SELECT records FROM dedup WHERE block = ?", (block,)).fetchone()
        return found[0] if found else b""

    def _append(self, record: bytes) -> None:
        if len(self._tail) >= _HELD:
            self._flush()
        self._tail += record
        self._waiting = True

    def _flush(self) -> None:
        if not self._waiting:
            return
        size = _BLOCK * SIZE
        blocks = []
        start, chain = self._start, self._chain
        for at in range(0, len(self._tail), size):
            blocks.append((start, chain + self._tail[at : at + size]))
            if at + size <= len(self._tail):
                start, chain = start + 1, _hash(blocks[-1][1])
        if len(blocks) > 1:
            self._cursor.executemany("REPLACE INTO dedup VALUES (?, ?)", blocks)
        else:
            self._execute("REPLACE INTO dedup VALUES (?, ?)", blocks[0])
        self._waiting = False
        self._last = blocks[-1]
        del self._tail[: (start - self._start) * size]
        self._start, self._chain = start, chain

    def _chunks(self, after: int, last: int) -> Iterable[tuple[int, bytes | memoryview]]:
        self._flush()
        sql = "SELECT block, records FROM dedup WHERE block BETWEEN ? AND ? ORDER BY block"
        for block, records in self._execute(sql, (after // _BLOCK, (last - 1) // _BLOCK)):
            skip = max(0, after - block * _BLOCK)
            end = min(_BLOCK, last - block * _BLOCK)
            yield block * _BLOCK + skip + 1, records[_HASH + skip * SIZE : _HASH + end * SIZE]

    def _cut(self, mark: int) -> None:
        self._waiting, self._last = False, _UNKNOWN
        # An error may have made SQLite roll back all by itself.
        if self._connection.in_transaction:
            block, rows = divmod(mark, _BLOCK)
            kept = self._records(block)[: _HASH + rows * SIZE]
            self._execute("DELETE FROM dedup WHERE block >= ?", (block,))
            if self._saved > mark:
                self._saved = 0
            self._execute("DELETE FROM dedup_slots WHERE rows > ?", (mark,))
            if rows:
                self._execute("INSERT INTO dedup VALUES (?, ?)", (block, kept))
        self._settle(mark)

    def _settle(self, rows: int) -> None:
        """Take the end of the table, which holds this many rows, for the end of all rows."""
        self._last, self._read = _UNKNOWN, _UNKNOWN
        self._start, rest = divmod(rows, _BLOCK)
        self._tail.clear()
        self._chain = bytes(_HASH)
        if not rows:
            self._last = None
        elif rest:
            records = self._records(self._start)[: _HASH + rest * SIZE]
            self._chain, self._tail = records[:_HASH], bytearray(records[_HASH:])
            self._last = (self._start, records) if len(self._tail) == rest * SIZE else _UNKNOWN
        else:
            records = self._records(self._start - 1)
            self._chain = _hash(records)
            self._last = (self._start - 1, records)

    def _catch_up(self) -> None:
        """Take in what others have written; forget what was rolled back."""
        last = self._execute("SELECT block, records FROM dedup ORDER BY block DESC LIMIT 1").fetchone()
        if last == self._last:
            return
        rows = last[0] * _BLOCK + (len(last[1]) - _HASH) // SIZE if last else 0
        known = self._last
        # Either all that was there still stands, or who knows what.
        if known is None or known is _UNKNOWN or not self._records(known[0]).startswith(known[1]):
            self._count = 0
            self._restore(rows)
        used = self._used + rows - self._count
        if self._count and used < self._room:
            self._place(self._slots, self._count, rows)
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
            self._use(slots)
            self._count, self._used = counts
            self._saved = self._count

    def _refusal(self, error: Exception) -> Exception:
        text = str(error)
        if "locked" in text:
            return DestinationError(f"{self._name} is being written by another process, which took too long")
        if "full" in text:
            return refusal(f"{self._name}: no space is left for it", errno.ENOSPC)
        return DestinationError(f"{self._name} cannot be used: {text}")


def unchained(blocks: Iterable[tuple[int, Any]]) -> int | None:
    """The first of all blocks of an index that does not follow from the one before; None if all do."""
    chain, rows = bytes(_HASH), _BLOCK
    for expected, (block, records) in enumerate(blocks):
        if not isinstance(records, bytes):
            return expected
        whole, rest = divmod(len(records) - _HASH, SIZE)
        if block != expected or records[:_HASH] != chain or rest or rows != _BLOCK or not 0 < whole <= _BLOCK:
            return expected
        chain, rows = _hash(records), whole
    return None


def _hash(block: bytes) -> bytes:
    return blake2b(block, digest_size=_HASH).digest()


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
        self._version: tuple[int] | None = None
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
            execute(f"PRAGMA page_size = {_PAGE}")
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
        # A commit is one write at the end of the log, and is synced only when that is written back, every
        # 16 MiB: a loss of power may take the last commits (copies are then kept), never the file. Where
        # the log cannot be had (a network's file system), SQLite stays with its journal.
        with suppress(*self.errors):
            execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute(f"PRAGMA wal_autocheckpoint = {(16 << 20) // _PAGE}")
        # Rows are appended and rarely read: a large cache would be of no use.
        execute("PRAGMA cache_size = -8192")

    def _ours(self) -> tuple[int, int]:
        pragmas = ("application_id", "user_version")
        application, version = (self._execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
        return application, version

    def guess(self) -> bool:
        # Where nobody else writes, this is two thirds of a transaction's work. A full block would leave
        # nothing to compare.
        known = self._tail and not self._waiting and self._last is not _UNKNOWN
        return bool(known) and not self.depth and not self._closed and os.getpid() == self._pid

    def confirm(self) -> bool:
        if not self._waiting:
            return self._unchanged()
        block, known = self._last or _UNKNOWN
        records = self._chain + self._tail
        try:
            # As long as the last block is not full, it changes with whatever is added.
            sql = "UPDATE dedup SET records = ? WHERE block = ? AND records = ?"
            if self._execute(sql, (records, block, known)).rowcount != 1:
                self._disown()
                return False
        except self.errors as error:
            self._disown()
            raise self._refusal(error) from error
        self._waiting = False
        self._last = (block, records)
        if len(self._tail) == _BLOCK * SIZE:
            self._start, self._chain = self._start + 1, _hash(records)
            self._tail.clear()
        return True

    def _unchanged(self) -> bool:
        """Whether no other connection has committed anything since we last looked."""
        try:
            return bool(self._execute("PRAGMA data_version").fetchone() == self._version)
        except self.errors as error:
            raise self._refusal(error) from error

    def _disown(self) -> None:
        """Forget the row of a guess."""
        known = self._last[1][_HASH:] if self._last else b""
        self._waiting = False
        self._tail = bytearray(known)
        self._count = self._start * _BLOCK + len(known) // SIZE

    def enter(self) -> int:
        if self._waiting and not self.depth:
            self._disown()  # an interrupt came between a guess and its confirmation
        try:
            return super().enter()
        except BaseException:
            with suppress(*self.errors):
                if not self.depth and self._connection.in_transaction:
                    self._execute("ROLLBACK")
            raise

    def _catch_up(self) -> None:
        super()._catch_up()
        # Another number than this says that others have written (or taken back) what we do not know of.
        self._version = self._execute("PRAGMA data_version").fetchone()

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
            raise refusal(f"{path} cannot be opened: {error.strerror}", error.errno) from error
    if start and (start[:16] != _MAGIC or start[68:] != _APPLICATION.to_bytes(4, "big")):
        raise _not_ours(path)


def _not_ours(path: Path | str) -> DestinationError:
    return DestinationError(f"{path} is no dedup index of unmbox, and is left as it is")
