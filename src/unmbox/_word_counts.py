"""`WordCounts`: how often each word of strangers occurs, exactly and in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unmbox._scratch import scratch

if TYPE_CHECKING:
    import sqlite3

_HELD = 20_000
_LONGEST = 200
_ADD = """
INSERT INTO word VALUES (?, ?, ?) ON CONFLICT (word) DO UPDATE SET
    count = count + excluded.count, octets = octets + excluded.octets
"""


class Counted(NamedTuple):
    """A word, how often it occurred, and the octets that were counted with it."""

    word: str
    number: int
    octets: int


class WordCounts:
    """Counts words; those over 200 letters by their first 200.

    Beyond 20,000 different ones they go to a temporary file of SQLite's, which is removed when it is closed.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[int]] = {}
        self._connection: sqlite3.Connection | None = None

    def add(self, word: str, octets: int = 0) -> None:
        """Count a word once more."""
        word = word[:_LONGEST]
        known = self._held.get(word)
        if known is not None:
            known[0] += 1
            known[1] += octets
            return
        if len(self._held) >= _HELD:
            self._spill()
        self._held[word] = [1, octets]

    def top(self, number: int) -> list[Counted]:
        """So many words, the most frequent first; of equals the first in the alphabet."""
        if self._connection is None:
            every = [Counted(word, *known) for word, known in self._held.items()]
            return sorted(every, key=lambda each: (-each.number, each.word))[:number]
        self._spill()
        query = "SELECT word, count, octets FROM word ORDER BY count DESC, word LIMIT ?"
        return [
            Counted(word.decode("utf-8", "surrogatepass"), times, octets)
            for word, times, octets in self._connection.execute(query, (number,))
        ]

    def __len__(self) -> int:
        if self._connection is None:
            return len(self._held)
        self._spill()
        number: int = self._connection.execute("SELECT count(*) FROM word").fetchone()[0]
        return number

    def close(self) -> None:
        """Remove the file, if there is one."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _spill(self) -> None:
        if self._connection is None:
            table = "CREATE TABLE word (word BLOB PRIMARY KEY, count INTEGER, octets INTEGER) WITHOUT ROWID"
            self._connection = scratch(table, cache=4096)
        # Octets sort as their letters do, and hold the surrogates of what nobody could decode.
        rows = [(word.encode("utf-8", "surrogatepass"), *known) for word, known in self._held.items()]
        self._connection.executemany(_ADD, rows)
        self._held.clear()
