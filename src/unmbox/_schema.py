"""The manifest's SQLite file: its tables, how it is known, and SQLite's errors as ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from unmbox._destination import first_volume
from unmbox.errors import DestinationError, UsageError, refusal

if TYPE_CHECKING:
    import sqlite3

SCHEMA = 2
UNDER_WAY = "under-way"
"""Key of the row in `meta` that says what a run was asked to convert, until it has."""
NUMBER = "number"
"""Key of the row in `meta` by which an index that destinations share knows this one."""
AMISS = "amiss"
"""Key of the row in `meta` that says what could not be read of what was given, by its name."""
APPLICATION_ID = 0x756E6D62
"""``unmb``: what a manifest is known by, in the header of the SQLite file."""
CACHE = 1 << 20
"""Octets of pages that SQLite keeps in memory."""

_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE source(id INTEGER PRIMARY KEY, uri TEXT NOT NULL UNIQUE, size INTEGER, scheme TEXT NOT NULL,
  variant TEXT, junk INTEGER NOT NULL, mtime INTEGER, digest TEXT, newline TEXT, offset INTEGER NOT NULL,
  messages INTEGER NOT NULL, candidates INTEGER NOT NULL, done INTEGER NOT NULL, damage TEXT,
  charset TEXT, candidate_sum INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE message(id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, from_line TEXT NOT NULL, message_id TEXT, head_sha256 TEXT, body_sha256 TEXT,
  outcome TEXT NOT NULL, path TEXT, duplicate_of INTEGER, date TEXT, sender TEXT, recipients TEXT,
  subject TEXT, labels TEXT NOT NULL, thread_id TEXT, state TEXT NOT NULL, head_size INTEGER,
  body_size INTEGER, key BLOB, checksum INTEGER NOT NULL);
CREATE INDEX message_quarantined ON message(source_id) WHERE outcome = 'quarantined';
CREATE TABLE file(message INTEGER NOT NULL, volume TEXT, path TEXT NOT NULL);
CREATE TABLE repair(message INTEGER NOT NULL, code TEXT NOT NULL, field TEXT, applied INTEGER NOT NULL,
  signature_impact TEXT);
CREATE TABLE refusal(message INTEGER NOT NULL, profile TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE detail(message INTEGER PRIMARY KEY, checksum INTEGER NOT NULL);
CREATE TABLE candidate(source_id INTEGER NOT NULL, offset INTEGER NOT NULL, line TEXT NOT NULL,
  verdict TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE pending AS SELECT 0 AS first, * FROM source WHERE 0;
"""
# `detail` holds a sum of what `repair` and `refusal` say of a message, where they do; most need no such row.
# `pending` holds the first row of the batch whose files may lack their names, and what `source` held before.


def read_only(path: str | os.PathLike[str], *, may_be_empty: bool = False) -> sqlite3.Connection:
    """A connection to the manifest at `path` that writes nothing, in a transaction; for `unmbox verify`.

    Raises `UsageError` where there is no manifest, else as `Manifest.open`.
    """
    import sqlite3

    path = Path(path)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):  # the latter where a file is named, such as the source
        what = f"{path} does not exist: name a folder or ZIP that unmbox has converted into"
        if (first := first_volume(path)) is not None:
            what = f"{path} does not exist: name {first}, the first of the volumes"
        raise UsageError(what) from None
    except OSError as error:
        raise refusal(f"{path} cannot be read: {error.strerror}", error.errno) from error
    with our_errors(str(path)):
        # Not "ro": a killed run may have left a transaction that the next reader rolls back.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        try:
            connection.execute(f"PRAGMA cache_size = -{CACHE >> 10}")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            check_ours(connection, str(path), may_be_empty=may_be_empty)
        except BaseException:
            connection.close()
            raise
    return connection


def create(connection: sqlite3.Connection, options: Mapping[str, str]) -> None:
    """Make the tables, in the transaction that is open."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    meta = [("schema", str(SCHEMA)), *((f"option.{name}", value) for name, value in sorted(options.items()))]
    meta.append(("checksum", options_sum(dict(meta))))
    connection.executemany("INSERT INTO meta VALUES(?, ?)", meta)


def knows(query: Callable[..., Any], uri: str) -> bool:
    """Whether a source of this name has a row, or one that stands in what is called so."""
    inside = "uri >= :uri || '/' AND uri < :uri || '0' OR uri >= :uri || '!' AND uri < :uri || '\"'"
    row = query(f"SELECT 1 FROM source WHERE uri = :uri OR {inside} LIMIT 1", {"uri": uri}).fetchone()  # noqa: S608
    return row is not None


def options_sum(meta: Mapping[str, str]) -> str:
    """The CRC-32 of the schema's version and the options, in a row of `meta` with them."""
    told = [f"{key}={value}" for key, value in sorted(meta.items()) if key == "schema" or "option." in key]
    return f"{crc32(chr(0).join(told).encode('utf-8', 'backslashreplace')):08x}"


def seal(query: Callable[[str], Any]) -> str | None:
    """A hash of the dedup index's last block and its slots, None without an index.

    Each block holds a hash of the one before, so the last answers for all.
    """
    if not query("SELECT 1 FROM sqlite_master WHERE name = 'dedup_slots'").fetchone():
        return None
    digest = blake2b(digest_size=16)
    for table in (
        "SELECT records FROM dedup ORDER BY block DESC LIMIT 1",
        "SELECT part || ' ' || rows || ' ' || used, byte_order, slots FROM dedup_slots ORDER BY part",
    ):
        for values in query(table):
            for value in values:
                digest.update(value.encode() if isinstance(value, str) else bytes(value))
    return digest.hexdigest()


def check_ours(connection: sqlite3.Connection, path: str, *, may_be_empty: bool = True) -> bool:
    """Whether the file is a manifest of this schema, False if it is empty; else raise `DestinationError`."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and not application and not may_be_empty:
            raise DestinationError(
                f"{path} is empty: no run has come far enough to record anything; run it again"
            )
        if tables or application:
            raise DestinationError(f"{path} is no manifest of unmbox: move it or use another destination")
        return False
    found = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if found is None or not found[0].isdigit():
        raise damaged(path)
    schema = int(found[0])
    if schema != SCHEMA:
        age, advice = ("newer", "update unmbox") if schema > SCHEMA else ("older", "use that one again")
        raise DestinationError(
            f"{path} was made by an unmbox that is {age} than this one (schema {schema}, not {SCHEMA}): "
            f"{advice}, or choose another destination"
        )
    return True


def read_options(connection: sqlite3.Connection) -> dict[str, str]:
    """The options that the manifest was made with."""
    rows = connection.execute("SELECT substr(key, 8), value FROM meta WHERE key LIKE 'option.%'")
    return dict(rows.fetchall())


@contextmanager
def our_errors(path: str) -> Iterator[None]:
    """Make `DestinationError` of what SQLite raises, in a sentence that says what to do."""
    import sqlite3

    try:
        yield
    except sqlite3.DatabaseError as error:
        said = str(error)
        for part, code, sentence in _REASONS:
            if part in said:
                raise refusal(sentence.format(path), code) from error
        if type(error) is sqlite3.DatabaseError or "no such" in said:  # page, table, column
            raise damaged(path) from error
        raise refusal(f"{path} refuses: {said}", None) from error


# Codes of errors (`sqlite_errorcode`) came with Python 3.11; the words are those of SQLite's sqlite3ErrStr().
_REASONS = (
    ("locked", errno.EAGAIN, "{} is in use by another run: wait for its end, or choose another destination"),
    ("full", errno.ENOSPC, "cannot write {}: the disk is full; free some space and run the same again"),
    ("readonly", errno.EACCES, "cannot write {}: permission denied, or the file system is read-only"),
    (
        "unable to open",
        errno.EACCES,
        "cannot open {}: no such folder, a folder itself, or permission denied",
    ),
    ("disk I/O", errno.EIO, "cannot read or write {}: the disk reports an error; run the same again"),
)


def damaged(path: str) -> DestinationError:
    """The refusal of a file that SQLite or we cannot make sense of."""
    return refusal(
        f"{path} is damaged, or no manifest of unmbox: it was left as it is; move it away or choose another "
        "destination",
        errno.EIO,
    )
