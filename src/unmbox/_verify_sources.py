"""What `verify` adds up for each source, of which there may be a million: the done ones leave memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unmbox._scratch import scratch

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "id, uri, size, junk, offset, messages, done, damage, junk"


@dataclass(slots=True)
class SourceTally:
    """A row of `source`, and what the rows of its messages have said so far."""

    id: int
    uri: str
    size: int | None
    junk: int
    checkpoint: int
    messages: int
    done: bool
    damage: str | None
    at: int | None  # where the next message must begin; None after a row that cannot be trusted
    seen: int = 0
    first: int = 0
    last: int = 0

    def is_settled(self) -> bool:
        """Whether its only message has come, and all is well."""
        whole = self.done and self.at == self.checkpoint == self.size
        return whole and self.seen == self.messages == 1


class Tallies:
    """All sources of a manifest. Those that are settled are kept in a temporary file."""

    def __init__(self, query: Callable[..., sqlite3.Cursor]) -> None:
        self._query = query
        self._open: dict[int, SourceTally] = {}
        self._file = scratch("CREATE TABLE settled(id INTEGER PRIMARY KEY, row INTEGER)")
        self._settled = self._file.execute

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __len__(self) -> int:
        found: int = self._query("SELECT count(*) FROM source").fetchone()[0]
        return found

    def __iter__(self) -> Iterator[SourceTally]:
        for values in self._query(f"SELECT {_COLUMNS} FROM source ORDER BY id"):  # noqa: S608
            yield self._open.get(values[0]) or self._of(values)

    def get(self, number: int) -> SourceTally | None:
        """The source of this number, to be added to; None where there is none."""
        found = self._open.get(number)
        if found is None:
            with suppress(KeyError):
                self._open[number] = found = self.look(number)
        return found

    def look(self, number: int) -> SourceTally:
        """The source of this number, as it is now; KeyError where there is none."""
        if number in self._open:
            return self._open[number]
        values = self._query(f"SELECT {_COLUMNS} FROM source WHERE id = ?", (number,)).fetchone()  # noqa: S608
        if values is None:
            raise KeyError(number)
        return self._of(values)

    def let_go(self, tally: SourceTally) -> None:
        """Say that no more is to be added for now."""
        if tally.is_settled():
            self._settled("REPLACE INTO settled VALUES(?, ?)", (tally.id, tally.first))
            self._open.pop(tally.id, None)

    def _of(self, values: tuple[Any, ...]) -> SourceTally:
        tally = SourceTally(*values)
        row = self._settled("SELECT row FROM settled WHERE id = ?", (tally.id,)).fetchone()
        if row is not None:
            tally.seen, tally.first, tally.last, tally.at = 1, row[0], row[0], tally.checkpoint
        return tally
