"""A database that is nobody else's: what does not fit into memory, in a temporary file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def scratch(*statements: str, cache: int | None = None, threads: bool = False) -> sqlite3.Connection:
    """A database in memory and, beyond `cache` KiB of it, in a file that goes away with its connection.

    The `statements` make its tables, in a transaction that stays open for good: there is nothing to come back
    to. With `threads`, several may use it, one at a time.
    """
    import sqlite3  # not every run needs it

    connection = sqlite3.connect("", isolation_level=None, check_same_thread=not threads)
    size = () if cache is None else (f"PRAGMA cache_size = -{cache}",)
    for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *size, "BEGIN", *statements):
        connection.execute(statement)
    return connection
