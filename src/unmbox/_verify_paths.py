"""Paths by the million: what the rows of a manifest name, to be compared with what a folder holds."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

from unmbox._record import Written
from unmbox._scratch import scratch


class Paths:
    """The paths that rows name, by the million: in a temporary file, with those that nothing was found at."""

    def __init__(self) -> None:
        self._connection = scratch(
            "CREATE TABLE named(digest BLOB PRIMARY KEY) WITHOUT ROWID",
            "CREATE TABLE missing(size, path, head_sha256, body_sha256, head_size, body_size)",
            "CREATE INDEX missing_size ON missing(size)",
        )
        self._execute = self._connection.execute

    def close(self) -> None:
        """Remove the file."""
        self._connection.close()

    def name(self, path: str) -> bool:
        """Note a path that a row names; False if another has named it."""
        return self._execute("INSERT OR IGNORE INTO named VALUES(?)", (_digest(path),)).rowcount == 1

    def is_named(self, path: str) -> bool:
        """Whether a row names this path."""
        found = self._execute("SELECT 1 FROM named WHERE digest = ?", (_digest(path),)).fetchone()
        if found is None and not path.isascii() and (composed := normalize("NFC", path)) != path:
            return self.is_named(composed)  # some file systems give names back decomposed
        return found is not None

    def miss(self, file: Written) -> None:
        """Note a file that is not where it should be."""
        self._execute("INSERT INTO missing VALUES(?, ?, ?, ?, ?, ?)", (file.size, *file))

    def missed(self) -> Iterator[str]:
        """The paths of those that were not found elsewhere."""
        return (path for (path,) in self._execute("SELECT path FROM missing ORDER BY rowid"))

    def found_at(self, path: Path, size: int) -> str | None:
        """The missing file that stands at `path` instead; missing no more."""
        for number, _, *values in self._execute("SELECT rowid, * FROM missing WHERE size = ?", (size,)):
            file = Written(*values)
            if file.is_at(path):
                self._execute("DELETE FROM missing WHERE rowid = ?", (number,))
                return file.path
        return None


def _digest(path: str) -> bytes:
    return blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest()
