"""What `verify` makes of the manifest's tables beside `message`: each row against a sum kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from unmbox._dedup_sqlite import unchained
from unmbox._record import MAX_CANDIDATES, detail_sum, source_sum
from unmbox._schema import AMISS, UNDER_WAY, knows, options_sum, seal

Query: TypeAlias = Callable[..., Any]
Found = tuple[str, str, str]
"""Kind, path and detail of a `Problem`."""

_KNOWN = "WHERE message IN (SELECT id FROM message)"
_DETAILS = (
    f"SELECT message, 'repair', code, field, applied, signature_impact FROM repair {_KNOWN} UNION ALL "  # noqa: S608
    f"SELECT message, 'refusal', profile, reason, NULL, NULL FROM refusal {_KNOWN} ORDER BY message"
)
_SUMS = f"SELECT message, checksum FROM detail {_KNOWN} ORDER BY message"  # noqa: S608
_EDITED = "edited: its values are not those of its check sum"


# The columns that are counted with, or that name things; an edit of the others is told by its row's sum.
_TYPES = {
    "meta": "key T, value T",
    "source": "id I, uri T, size IN, junk I, offset I, messages I, candidates I, done I, candidate_sum I",
    "message": "id I, source_id I, offset I, length I, path TN, head_size IN, body_size IN",
    "file": "message I, volume TN, path T",
    "repair": "message I",
    "refusal": "message I",
    "detail": "message I, checksum I",
    "candidate": "source_id I",
    "pending": "first I, id I, offset I",
}
_LETTERS = {"I": "'integer'", "T": "'text'", "N": "'null'"}


def types(query: Query) -> Iterator[Found]:
    """The tables that hold values of another type than a run writes there, for SQLite takes any anywhere."""
    for table, columns in _TYPES.items():
        pairs = (column.split() for column in columns.split(","))
        sound = " AND ".join(
            f"typeof({name}) IN ({', '.join(map(_LETTERS.__getitem__, letters))})" for name, letters in pairs
        )
        (count,) = query(f"SELECT count(*) FROM {table} WHERE NOT ({sound})").fetchone()  # noqa: S608
        if count:
            yield "row", f"table {table}", f"edited: {count} rows hold what no run writes there"


def sources(query: Query, suspect: Container[str]) -> Iterator[Found]:
    """What does not hold of the rows of `source` and `candidate`, and what a run was asked for and left.

    `suspect` are the names of sources of which something is known to be wrong: that tells more than a sum.
    """
    strays = groupby(query("SELECT * FROM candidate ORDER BY source_id, rowid"), itemgetter(0))
    stray = next(strays, None)
    for values in query("SELECT * FROM source ORDER BY id"):
        number, uri, *_, candidates, _done, _damage, _charset, expected, _checksum = values
        count = total = 0
        while stray and stray[0] <= number:
            if stray[0] < number:
                yield from _of_no_source(*stray)
            else:
                for _, *told in stray[1]:
                    count, total = count + 1, (total + detail_sum(told)) % (1 << 32)
            stray = next(strays, None)
        if count != min(candidates, MAX_CANDIDATES):
            yield "count", uri, f"{count} candidates, not {min(candidates, MAX_CANDIDATES)}"
        elif total != expected:
            yield "row", uri, "its candidates were edited: they are not those of their check sum"
        elif values[-1] != source_sum(values[:-1]) and uri not in suspect:
            yield "row", uri, _EDITED
    while stray:
        yield from _of_no_source(*stray)
        stray = next(strays, None)
    for _first, *before in query("SELECT * FROM pending"):
        if before[-1] != source_sum(before[:-1]):
            yield "row", f"pending {before[1]}", _EDITED
    yield from _unfinished(query)


def _of_no_source(number: int, rows: Iterator[Any]) -> Iterator[Found]:
    yield "count", "table candidate", f"{sum(1 for _ in rows)} rows tell of a source with no row ({number})"


def _unfinished(query: Query) -> Iterator[Found]:
    """What a run was asked for that did not come to its end, but for what has a row of its own."""
    row = query("SELECT value FROM meta WHERE key = ?", (UNDER_WAY,)).fetchone()
    if row is None and not query("SELECT 1 FROM source LIMIT 1").fetchone():
        yield "unfinished", "table source", "no run has recorded anything here: run the same command again"
    try:
        asked = json.loads(row[0]) if row else []
        for uri, size in asked:
            if not knows(query, uri):
                octets = "its octets" if size is None else f"all of its {size} octets"
                yield "unfinished", uri, f"{octets} not yet converted: run the same command again"
    except (TypeError, ValueError):
        yield "row", f"meta {UNDER_WAY}", "edited: it is not what a run writes there"
    row = query("SELECT value FROM meta WHERE key = ?", (AMISS,)).fetchone()
    try:
        for uri, sentences in json.loads(row[0]).items() if row else ():
            for sentence in sentences:
                yield "damaged", uri, str(sentence)
    except (TypeError, ValueError, AttributeError):
        yield "row", f"meta {AMISS}", "edited: it is not what a run writes there"


def details(query: Query) -> Iterator[Found]:
    """What does not hold of the rows that tell more of messages."""
    for table in ("file", "repair", "refusal"):
        rows = f"SELECT count(*) FROM {table} WHERE message NOT IN (SELECT id FROM message)"  # noqa: S608
        if count := query(rows).fetchone()[0]:
            yield "count", f"table {table}", f"{count} rows tell of messages that have no row"
    sums = iter(query(_SUMS))
    expected = next(sums, None)
    for number, of_it in groupby(query(_DETAILS), itemgetter(0)):
        total = sum(detail_sum(values[1:]) for values in of_it) % (1 << 32)
        while expected and expected[0] < number:
            yield "row", f"row {expected[0]}", "its repairs and refusals are gone"
            expected = next(sums, None)
        if not expected or expected[0] != number:
            yield "row", f"row {number}", "repairs and refusals that were added"
            continue
        if expected[1] != total:
            yield "row", f"row {number}", "edited: its repairs and refusals are not those of their check sum"
        expected = next(sums, None)
    while expected:
        yield "row", f"row {expected[0]}", "its repairs and refusals are gone"
        expected = next(sums, None)


def others(query: Query, *, settled: bool) -> Iterator[Found]:
    """What does not hold of the options, and of the dedup index, if the last run `settled` one."""
    meta = dict(query("SELECT key, value FROM meta"))
    if meta.get("checksum") != options_sum(meta):
        yield "row", "table meta", "edited: the options are not those of their check sum"
    if not query("SELECT 1 FROM sqlite_master WHERE name = 'dedup'").fetchone():
        if "seal" in meta:
            yield "row", "table dedup", "removed: the last run left one"
        return
    if settled and "seal" not in meta and UNDER_WAY not in meta:
        yield "row", "meta seal", "removed: a run that has come to its end leaves one"
    block = unchained(query("SELECT block, records FROM dedup ORDER BY block"))
    if block is not None:
        yield "row", f"dedup block {block}", "edited, or one before it: the chain of their sums is broken"
    elif settled and "seal" in meta and meta["seal"] != seal(query):
        yield "row", "table dedup", "edited: its last rows or its slots are not what the last run left"
