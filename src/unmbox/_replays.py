"""What a source says that is read again from its beginning, held against what the manifest says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unmbox._record import SourceState
from unmbox._schema import our_errors
from unmbox.errors import UsageError

if TYPE_CHECKING:
    import sqlite3


class Replays:
    """The rows of sources that are read again, each source's in their order."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._rows: dict[int, sqlite3.Cursor] = {}

    def match_row(self, source: SourceState, offset: int, head_sha256: str, body_sha256: str) -> None:
        """Check that the next message of a source that is read again is what its next row says.

        For each message before ``source.offset``, in order. Raises `UsageError` where it is another one.
        """
        with our_errors(self._path):
            rows = self._rows.get(source.id)
            if rows is None:
                query = "SELECT offset, head_sha256, body_sha256 FROM message WHERE source_id = ? ORDER BY id"
                self._rows[source.id] = rows = self._connection.execute(query, (source.id,))
            row = rows.fetchone() or (None, "", "")
        if row[0] != offset or row[1] not in {None, head_sha256} or row[2] not in {None, body_sha256}:
            raise changed(source.uri, f"the message at octet {offset} is another")

    def match_end(self, source: SourceState, size: int) -> None:
        """Check that a source that was read again has, with its `size` octets, all that it had.

        And no more, where it had been read to its end. Raises `UsageError` otherwise.
        """
        self._rows.pop(source.id, None)
        if size < source.offset:
            raise changed(source.uri, f"it ends at octet {size} and had {source.offset}")
        if source.done and size > source.offset:
            raise changed(source.uri, f"it goes on behind octet {source.offset}, where it ended")

    def close(self) -> None:
        """Forget all rows."""
        self._rows.clear()


def changed(uri: str, how: str) -> UsageError:
    """The refusal for a source that is another now."""
    return UsageError(
        f"{uri} has changed since it was read ({how}): convert it into another destination, or start this "
        "one afresh (--no-resume)"
    )
