"""Rows of a dedup index and how they are found by their keys. `Memory` keeps them there.

What finds a row is a table of slots, 6 to 12 octets a row, and no B-tree: one that takes keys at random
writes a page for nearly every key, which at a million keys cost 50 µs a key on a disk.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable
from contextlib import suppress

from unmbox.errors import UsageError

Row = tuple[bytes, bytes, int]  # the key (16 octets), the body's digest (32), what the caller gave with them

RECORD = struct.Struct("<16s32sq")
SIZE = RECORD.size
unpack = RECORD.unpack_from

_pack = RECORD.pack
_hash_of = struct.Struct("=Q").unpack_from


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
        self._use(array("I", [0]) * (1 << 10))

    @abstractmethod
    def row(self, number: int) -> Row | None: ...

    @abstractmethod
    def _append(self, record: bytes) -> None: ...

    @abstractmethod
    def _chunks(self, after: int, last: int) -> Iterable[tuple[int, bytes | memoryview]]:
        """The rows after one and up to another, as they stand, each piece with the number of its first."""

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
            if self._used >= self._room:
                self._rebuild(self._count)
            slots, mask = self._slots, self._mask
            (hashed,) = _hash_of(key)
            at, tag = hashed & mask, hashed >> 32 & ~mask
            while slot := slots[at]:
                if (slot ^ tag) <= mask:
                    row = self.row(slot & mask)
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

    def guess(self) -> bool:
        """Whether one message may be tried without `enter`, to be held to `confirm`."""
        return False

    def confirm(self) -> bool:
        """Whether all was as it was thought to be. What was put is then recorded, or else forgotten."""
        return False

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
            while mark and (row := self.row(mark)) and row[2] >= where:
                mark -= 1
            self._cut(mark)
        except self.errors as error:
            raise self._refusal(error) from error
        self._count = mark

    def close(self) -> None:
        """Let go of rows and slots."""
        self._closed = True
        self._count = self._used = 0
        self._use(array("I"))

    def _refusal(self, error: Exception) -> Exception:
        return error

    def _use(self, slots: array[int]) -> None:
        self._slots = slots
        self._mask = len(slots) - 1
        self._room = len(slots) * 2 // 3

    def _rebuild(self, rows: int) -> None:
        """Set up slots for these rows and one more at least, from a third to two thirds of them in use."""
        self._use(array("I"))  # gone before there are new ones, or both would count
        slots = array("I", [0]) * (1 << max(10, ((rows + 1) * 3 // 2).bit_length()))
        self._place(slots, 0, rows)
        self._used = rows

    def _place(self, slots: array[int], after: int, last: int) -> None:
        """Enter rows into slots, and then use these."""
        self._use(array("I"))  # what an error leaves: no room, which `put` sees
        mask = len(slots) - 1
        above = ~mask
        for first, records in self._chunks(after, last):
            # A row's first 8 octets are its key's, which are hash enough; no row is taken apart for them.
            for number, hashed in enumerate(memoryview(records).cast("Q")[:: SIZE // 8].tolist(), first):
                at = hashed & mask
                while slots[at]:
                    at = at + 1 & mask
                slots[at] = hashed >> 32 & above | number
        self._use(slots)


class Memory(Store):
    """Rows end to end: 56 octets each, and 6 to 12 for the slots."""

    def __init__(self) -> None:
        super().__init__()
        self._records = bytearray()

    def row(self, number: int) -> Row | None:
        return unpack(self._records, (number - 1) * SIZE) if number <= self._count else None

    def _append(self, record: bytes) -> None:
        self._records += record

    def _chunks(self, after: int, last: int) -> Iterable[tuple[int, bytes | memoryview]]:
        # All of them, as nobody else adds any.
        with memoryview(self._records) as records:
            for at in range(0, len(records), 4096 * SIZE):
                yield at // SIZE + 1, records[at : at + 4096 * SIZE]

    def _cut(self, mark: int) -> None:
        del self._records[mark * SIZE :]

    def leave(self) -> None:
        """Everything is in its place already."""

    def save(self) -> None:
        """There is nowhere to."""

    def close(self) -> None:
        super().close()
        self._records.clear()
