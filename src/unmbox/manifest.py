"""The manifest: what became of every octet of every source, and how far a run has come.

One SQLite file beside the EMLs holds the record, the checkpoints and (through `Manifest.connection`) the
dedup index, so one transaction commits all three.

**What is promised.** A process that dies at any instant, SIGKILL included, loses nothing that was committed:
what SQLite has handed to the operating system outlives the process, and a transaction that was under way is
rolled back by whoever opens the file next. Rows are committed *before* their files get their final names
and stay pending until the next commit or `Manifest.settle`; `Manifest.undo_pending` takes them back, so
that doing them again ends in the rows and files of a run that nobody disturbed. A loss of power, or a
crash of the system, is another matter. Without ``durable`` (``PRAGMA synchronous = OFF``) the manifest may
then be damaged, or name files whose octets never reached the disk: `unmbox verify` tells. With ``durable``
(``synchronous = FULL``) a commit is on the disk when it returns, unless the disk lies; the sink must have
synced the files before it, and their folders before the next one.

**One writer.** From `Manifest.open` to `Manifest.close` the file is locked against all other processes,
readers too (``locking_mode = EXCLUSIVE``). The lock is the operating system's and dies with the process.
POSIX drops it as well when the process opens and closes the file in another way, so nothing else may.

**Columns.** Digests are SHA-256 in lower-case hexadecimal, as ``sha256sum`` prints them; `head_size` and
`body_size` say of how many octets. `from_line` and `candidate.line` are TEXT, or a BLOB where the octets are
not UTF-8. `date` is ISO 8601 in the message's own zone, `source.mtime` is in nanoseconds, `source.offset` is
the checkpoint. `checksum` is the CRC-32 of the row's other values, so that an edited row can be told.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING

from unmbox._destination import MANIFEST_NAME
from unmbox._record import (
    DUPLICATE,
    FILTERED,
    MAX_CANDIDATES,
    OUTCOMES,
    QUARANTINED,
    WRITTEN,
    Batch,
    Digests,
    Quarantined,
    Row,
    SourceState,
    Written,
    checksum,
    labels_to_json,
    state_of,
    thread_id,
)
from unmbox._replays import Replays, changed
from unmbox._schema import CACHE, NUMBER, check_ours, create, our_errors, read_only, read_options, seal
from unmbox.dedup import DedupIndex
from unmbox.errors import UsageError

if TYPE_CHECKING:
    import sqlite3

__all__ = [
    "DUPLICATE",
    "FILTERED",
    "MANIFEST_NAME",
    "MAX_CANDIDATES",
    "OUTCOMES",
    "QUARANTINED",
    "WRITTEN",
    "Batch",
    "Digests",
    "Manifest",
    "Quarantined",
    "Row",
    "SourceState",
    "Written",
    "state_of",
    "thread_id",
]

_DETAILS = ("repair", "refusal", "detail")
_INSERT_MESSAGE = f"INSERT INTO message VALUES({', '.join('?' * 22)})"
_REPLACE_SOURCE = f"REPLACE INTO source VALUES({', '.join('?' * 17)})"


class Manifest:
    """The manifest of one destination, open for writing and locked. A context manager that closes it.

    A transaction is always open: what a dedup index writes through `connection` joins the next `commit`,
    or is forgotten with it. `next_id` is the id of the next new row. For one thread at a time.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, options: Mapping[str, str]) -> None:
        self.connection = connection
        self.path = path
        self.options = dict(options)
        self.next_id = 1
        self._next_source = 1
        self._new_sources: dict[str, SourceState] = {}
        self.replays = Replays(self.connection, path)
        self._afresh = self._begun = False
        self._ready = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        options: Mapping[str, str],
        *,
        durable: bool = False,
        afresh: bool = False,
        timeout: float = 3.0,
        dry: bool = False,
    ) -> Manifest:
        """Create the manifest at `path`, or open it and check that it belongs to a run with these options.

        `undo_pending` must follow. With `afresh` that takes back everything, and the options may differ.
        A process that holds the file is waited for, `timeout` seconds at most. If it is `dry`, all of this
        happens to a copy in a temporary file of SQLite's own, which is gone when it is closed.

        Raises `UsageError` where the options differ, and `DestinationError` where the file is locked,
        damaged, of another schema or none of ours: it is then left as it is.
        """
        import sqlite3

        path = os.fspath(path)
        with our_errors(path):
            connection = sqlite3.connect(
                "" if dry else path, timeout=timeout, isolation_level=None, check_same_thread=False
            )
            try:
                if dry and os.path.exists(path):  # noqa: PTH110  # a Path would be the only one here
                    with closing(read_only(path)) as original:
                        original.backup(connection)
                manifest = cls(connection, path, options)
                manifest._claim(durable=durable, afresh=afresh)
            except BaseException:
                connection.close()
                raise
        return manifest

    def __enter__(self) -> Manifest:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was not committed, and unlock the file. What is pending stays pending."""
        self.replays.close()  # a cursor that somebody still sees would keep the file locked
        self.connection.close()

    def _claim(self, *, durable: bool, afresh: bool) -> None:
        execute = self.connection.execute
        execute("BEGIN")  # or another run might make it in the midst of the look
        check_ours(self.connection, self.path)
        execute("COMMIT")
        execute("PRAGMA locking_mode = EXCLUSIVE")
        # While the lock is held, a commit is the overwriting of the journal's header, which FULL syncs; the
        # journal goes when the file is closed. A WAL would have each page written twice.
        execute("PRAGMA journal_mode = DELETE")
        execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        execute(f"PRAGMA cache_size = -{CACHE >> 10}")
        execute("BEGIN EXCLUSIVE")
        if not check_ours(self.connection, self.path):
            create(self.connection, self.options)
            self._commit()
        begun = bool(execute("SELECT 1 FROM meta WHERE key = 'afresh'").fetchone())
        self._afresh, self._begun = afresh or begun, begun
        if not self._afresh:
            self._check_options()
            return
        # Marked before the first file goes: a kill on the way must not leave what passes for a destination.
        execute("REPLACE INTO meta VALUES('afresh', '')")
        self._commit()

    def _check_options(self) -> None:
        then, now = read_options(self.connection), self.options
        names = sorted(name for name in then.keys() | now if then.get(name) != now.get(name))
        if names:
            pairs = [f"{name}: {then.get(name, 'none')}, now {now.get(name, 'none')}" for name in names]
            raise UsageError(
                f"{self.path} is of a run with other options ({'; '.join(pairs)}): give the same again, "
                "choose another destination, or start afresh (--no-resume)"
            )

    def _commit(self) -> None:
        self.connection.execute("COMMIT")
        self.connection.execute("BEGIN EXCLUSIVE")

    # -- what an earlier run left ----------------------------------------------------------------------

    @property
    def undone_from(self) -> int | None:
        """The first row that `undo_pending` would take back, None if it would none."""
        with our_errors(self.path):
            first: int | None = self.connection.execute("SELECT min(first) FROM pending").fetchone()[0]
        return 0 if self._afresh else first

    def to_redo(self) -> Iterator[Written]:
        """The files that `undo_pending` takes back and that will get the same names again."""
        first, layout = self.undone_from, read_options(self.connection).get("layout")
        if first is not None and layout == self.options.get("layout"):
            yield from self._files(first)

    def spare(self) -> None:
        """Take back that all is to be taken back, if that has not been begun."""
        if self._afresh and not self._begun:
            self.note("afresh", None)

    def undo_pending(self, remove: Callable[[Written], object]) -> int:
        """Take back the rows whose files may lack their names, and return their number.

        `remove` is called with each file that such a row names, and removes it if it is there and the same
        (`Written.is_at`). When all are gone, the rows go with their repairs, refusals, candidates and dedup
        keys, and the sources stand where the batch began. Labels that were merged into older rows stay: the
        same ones will be merged again. Afresh, that is every row, with all sources and options.
        """
        with our_errors(self.path):
            execute = self.connection.execute
            first = self.undone_from
            count = 0
            if first is not None:
                for written in self._files(first):
                    remove(written)
                (count,) = execute("SELECT count(*) FROM message WHERE id >= ?", (first,)).fetchone()
                if self._afresh:
                    self._wipe()
                else:
                    self._forget(first)
            self.next_id = 1 + (execute("SELECT max(id) FROM message").fetchone()[0] or 0)
            self._next_source = 1 + (execute("SELECT max(id) FROM source").fetchone()[0] or 0)
        self._ready = True
        return count

    def _files(self, first: int) -> Iterator[Written]:
        proofs = "head_sha256, body_sha256, head_size, body_size"
        query = (
            f"SELECT path, {proofs} FROM message WHERE id >= ? AND path IS NOT NULL UNION ALL "  # noqa: S608
            f"SELECT f.path, {proofs} FROM file AS f JOIN message AS m ON m.id = f.message "
            "WHERE f.message >= ? AND f.volume IS NULL"
        )
        for values in self.connection.execute(query, (first, first)):
            yield Written(*values)

    def _forget(self, first: int) -> None:
        execute = self.connection.execute
        execute("DELETE FROM message WHERE id >= ?", (first,))
        for table in ("file", *_DETAILS):
            execute(f"DELETE FROM {table} WHERE message >= ?", (first,))  # noqa: S608
        execute(
            "DELETE FROM candidate WHERE EXISTS (SELECT 1 FROM pending AS p "
            "WHERE p.id = candidate.source_id AND p.offset <= candidate.offset)"
        )
        if execute("SELECT 1 FROM sqlite_master WHERE name = 'dedup'").fetchone():
            with DedupIndex(connection=self.connection) as index:
                index.forget(first)
            execute("UPDATE meta SET value = ? WHERE key = 'seal'", (seal(execute) or "",))
        for _, *values in execute("SELECT * FROM pending ORDER BY first DESC").fetchall():
            execute(_REPLACE_SOURCE, values)
        execute("DELETE FROM pending")
        self._commit()

    def _wipe(self) -> None:
        """Leave an empty manifest with the new options; nobody else gets the file in between."""
        execute = self.connection.execute
        number = execute("SELECT key, value FROM meta WHERE key = ?", (NUMBER,)).fetchall()
        for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            execute(f'DROP TABLE "{name}"')
        create(self.connection, self.options)
        self.connection.executemany("INSERT INTO meta VALUES(?, ?)", number)
        execute("COMMIT")
        execute("VACUUM")
        execute("BEGIN EXCLUSIVE")
        self._afresh = False

    def source(
        self, uri: str, *, size: int | None, mtime: int | None, digest: str | None, scheme: str = "file"
    ) -> SourceState:
        """The state of the source called `uri`: a new one, or as an earlier run left it.

        `size` in octets, `mtime` in nanoseconds and `digest` are its identity, as for `known`. Nothing is
        stored before a batch that holds the state is committed.
        """
        state = self._new_sources.get(uri) or self.known(uri, size=size, mtime=mtime, digest=digest)
        if state is None:
            state = SourceState(self._next_source, uri, size, scheme, mtime=mtime, digest=digest)
            self._next_source += 1
            self._new_sources[uri] = state
        return state

    @property
    def is_new(self) -> bool:
        """Whether no earlier run has left a source in it."""
        with our_errors(self.path):
            return self.connection.execute("SELECT 1 FROM source LIMIT 1").fetchone() is None

    @property
    def number(self) -> int:
        """A number of 31 bits, 0 excepted, that no other destination has, made when it is first asked for.

        It stays when the destination is moved, and when its mail is converted afresh.
        """
        with our_errors(self.path):
            found = self.connection.execute("SELECT value FROM meta WHERE key = ?", (NUMBER,)).fetchone()
        if found is None:
            found = (str(int.from_bytes(os.urandom(4), "big") >> 1 or 1),)
            self.note(NUMBER, found[0])
        return int(found[0])

    def has_part(self, name: str) -> bool:
        """Whether an archive of this name is among the sources."""
        with our_errors(self.path):
            query = "SELECT 1 FROM source WHERE instr(uri, ?) LIMIT 1"
            return self.connection.execute(query, (f"{name}!/",)).fetchone() is not None

    def known(
        self, uri: str, *, size: int | None, mtime: int | None, digest: str | None
    ) -> SourceState | None:
        """The state in which an earlier run left the source called `uri`, None where there is none.

        Raises `UsageError` where it has another identity now. A stream has no `digest`, so nothing is
        compared here; what stands in an archive has its size and time in its digest.
        """
        with our_errors(self.path):
            values = self.connection.execute("SELECT * FROM source WHERE uri = ?", (uri,)).fetchone()
        if values is None:
            return None
        state = SourceState.of(values)
        if digest or state.digest:
            pairs = {
                "its size": (size, state.size),
                "its time of change": (mtime, state.mtime),
                "its content": (digest, state.digest),
            }
            for what, (now, then) in pairs.items():
                if now != then and (now, what) != (None, "its size"):
                    raise changed(uri, f"{what} is another")
        return state

    def quarantined(self, source: SourceState) -> list[Quarantined]:
        """The messages of a source that could not be converted, to be tried again."""
        query = "SELECT id, offset, length, path FROM message WHERE source_id = ? AND outcome = 'quarantined'"
        with our_errors(self.path):
            return [Quarantined(*values) for values in self.connection.execute(query, (source.id,))]

    # -- what this run does ----------------------------------------------------------------------------

    def commit(self, batch: Batch, *, since: int | None = None) -> None:
        """Commit a batch as pending, with what a dedup index has written since the last commit.

        The files of the batches before must have their names now, but for those whose rows begin at `since`
        or later: that the others are pending no more is committed with it. Labels of duplicates are merged
        into the rows that they are copies of.
        """
        rows, first = batch.rows, self.next_id
        counts = Counter(row.source_id for row in rows)
        if not self._ready:
            raise UsageError("undo_pending() comes before the first commit()")
        if rows and (rows[0].id, rows[-1].id) != (first, first + len(rows) - 1):
            raise UsageError(f"the ids of a batch's rows go up by one from next_id, now {first}")
        if not counts.keys() <= {state.id for state in batch.sources}:
            raise UsageError("the sources of a batch's rows are missing in its sources")
        if rows and batch.amended:
            # Their dedup keys would hide those of the others from `DedupIndex.forget`.
            raise UsageError("amended rows go in a batch of their own")
        for state in batch.sources:
            state.messages += counts.pop(state.id, 0)
        with our_errors(self.path):
            many = self.connection.executemany
            self.connection.execute(
                "DELETE FROM pending WHERE first < ?", (self.next_id if since is None else since,)
            )
            self._save_sources(batch.sources, first)
            many(_INSERT_MESSAGE, map(Row.values, rows))
            self._amend(batch.amended)
            many("INSERT INTO repair VALUES(?, ?, ?, ?, ?)", batch.repairs)
            many("INSERT INTO refusal VALUES(?, ?, ?)", batch.refusals)
            many("INSERT INTO detail VALUES(?, ?)", batch.details())
            many("INSERT INTO file VALUES(?, ?, ?)", batch.files)
            many("INSERT INTO candidate VALUES(?, ?, ?, ?, ?)", batch.candidates)
            labels: dict[int, list[str]] = {}
            for row in (*rows, *batch.amended):
                if row.outcome == DUPLICATE and row.duplicate_of is not None and row.labels:
                    labels.setdefault(row.duplicate_of, []).extend(row.labels)
            for kept, others in labels.items():
                self.merge_labels(kept, others)
            self._commit()
        self.next_id += len(rows)

    def _save_sources(self, sources: Iterable[SourceState], first: int) -> None:
        execute = self.connection.execute
        for state in sources:
            if self._new_sources.pop(state.uri, None):
                execute(_REPLACE_SOURCE, state.untouched().values())
            execute(
                "INSERT INTO pending SELECT ?, * FROM source WHERE id = ? "
                "AND NOT EXISTS (SELECT 1 FROM pending WHERE first = ? AND id = ?)",
                (first, state.id, first, state.id),
            )
            execute(_REPLACE_SOURCE, state.values())

    def _amend(self, rows: Sequence[Row]) -> None:
        execute = self.connection.execute
        for row in rows:
            labels = execute("SELECT labels FROM message WHERE id = ?", (row.id,)).fetchone()
            execute("DELETE FROM message WHERE id = ?", (row.id,))
            for table in ("file", *_DETAILS):
                execute(f"DELETE FROM {table} WHERE message = ?", (row.id,))  # noqa: S608
            execute(_INSERT_MESSAGE, row.values())
            if labels:  # of its copies too
                self.merge_labels(row.id, json.loads(labels[0]))

    def merge_labels(self, row_id: int, labels: Sequence[str]) -> None:
        """Add `labels` to those of a row, each once and in order; part of the next commit."""
        execute = self.connection.execute
        added = labels_to_json(labels)
        found = execute("SELECT labels FROM message WHERE id = ?", (row_id,)).fetchone()
        if found is None or found[0] == added:
            return
        union = labels_to_json(list(dict.fromkeys(json.loads(found[0]) + json.loads(added))))
        if union != found[0]:
            execute("UPDATE message SET labels = ? WHERE id = ?", (union, row_id))
            (*values, _) = execute("SELECT * FROM message WHERE id = ?", (row_id,)).fetchone()
            execute("UPDATE message SET checksum = ? WHERE id = ?", (checksum(tuple(values)), row_id))

    def note(self, key: str, value: str | None) -> None:
        """Commit a row of `meta`, or with None that there is none; what is pending stays so."""
        with our_errors(self.path):
            self.connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            if value is not None:
                self.connection.execute("INSERT INTO meta VALUES(?, ?)", (key, value))
            self._commit()

    def settle(self) -> None:
        """Say that all files of the last commit have their names. What was not committed is forgotten."""
        with our_errors(self.path):
            if self.connection.in_transaction:  # a commit that failed has ended it
                self.connection.execute("ROLLBACK")
            self.connection.execute("BEGIN EXCLUSIVE")
            self.connection.execute("DELETE FROM pending")
            if sealed := seal(self.connection.execute):
                self.connection.execute("REPLACE INTO meta VALUES('seal', ?)", (sealed,))
            self._commit()
