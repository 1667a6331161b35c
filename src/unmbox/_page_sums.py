"""What the report's page says, out of a manifest: sums made by SQLite, and lists that are read row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from unmbox._message_id import normalise_message_id
from unmbox.manifest import OUTCOMES

if TYPE_CHECKING:
    import sqlite3

MANY = 1_000
"""Rows of a list that the page shows; the CSV file has them all."""
_KB, _MB = 1_000, 1_000_000
SIZES = (10 * _KB, 100 * _KB, _MB, 5 * _MB, 25 * _MB)
"""Where one class of sizes ends and the next begins, in octets."""
_LONG_MONTHS, _LONG_YEARS = 360, 150


class Mail(NamedTuple):
    """A message of a list. `path` is where its EML is, of a copy where that of its original is."""

    id: int
    source: str
    offset: int
    length: int
    outcome: str
    path: str | None
    date: str | None
    sender: str | None
    subject: str | None
    message_id: str | None
    note: str | None


class Period(NamedTuple):
    """A month (``2019-03``), a year or None for no date, and its messages by outcome."""

    name: str | None
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """All of its messages."""
        return sum(self.counts.values())


class SourceSum(NamedTuple):
    """A source: its octets, those before its first message and in messages, their number; what is damaged."""

    name: str
    size: int | None
    junk: int
    octets: int
    messages: int
    variant: str | None
    damage: str | None

    @property
    def whole(self) -> bool:
        """Whether every octet of it is somewhere."""
        return self.size == self.junk + self.octets


# What a list holds: the path and the note beside each message, and which messages in which order.
_COLUMNS = (
    "m.id, s.uri, m.offset, m.length, m.outcome, {path}, m.date, m.sender, m.subject, m.message_id, {note}"
)
_FROM = "FROM message m JOIN source s ON s.id = m.source_id"
# There is no index by message, so the smaller table leads; its rows stand in the order of the messages.
# Of refusals, those by a destination; the others say why a message was not wanted, or not converted.
_BY_PROFILE = "profile NOT IN ('quarantined', 'filtered')"
_TOLD_OF = "CROSS JOIN message m ON m.id = r.message JOIN source s ON s.id = m.source_id"
_TWICE = (
    "SELECT name_of(message_id) FROM message WHERE outcome = 'written' AND message_id IS NOT NULL "
    "GROUP BY name_of(message_id) HAVING count(DISTINCT key) > 1"
)
_IS_TWICE = f"name_of(m.message_id) IN ({_TWICE})"
_WHY_NOT = "LEFT JOIN refusal r ON r.message = m.id AND r.profile = 'filtered'"
_LISTS = {
    "messages": ("m.path", "NULL", f"{_FROM} ORDER BY m.id"),
    "biggest": ("m.path", "NULL", f"{_FROM} ORDER BY m.length DESC, m.id"),
    # Here SQLite makes an index for the while: no message may be missing that has no reason.
    "filtered": (
        "m.path",
        "r.reason",
        f"{_FROM} {_WHY_NOT} WHERE m.outcome = 'filtered' ORDER BY m.id",
    ),
    "duplicates": (
        "o.path",
        "o.path",
        f"{_FROM} LEFT JOIN message o ON o.id = m.duplicate_of WHERE m.outcome = 'duplicate' ORDER BY m.id",
    ),
    "collisions": (
        "m.path",
        "m.message_id",
        f"{_FROM} WHERE m.outcome = 'written' AND {_IS_TWICE} ORDER BY m.message_id, m.id",
    ),
    "quarantine": (
        "m.path",
        "r.reason",
        f"FROM refusal r {_TOLD_OF} WHERE r.profile = 'quarantined' ORDER BY r.rowid",
    ),
    "refused": (
        "m.path",
        "r.profile || ': ' || r.reason",
        f"FROM refusal r {_TOLD_OF} WHERE r.{_BY_PROFILE} ORDER BY r.rowid",
    ),
}
_REPAIRS = (
    "m.path",
    "json_array(r.code, r.field, r.applied, r.signature_impact)",
    f"FROM repair r {_TOLD_OF} {{where}} ORDER BY r.rowid",
)
LISTS = (*_LISTS, "repairs")


class Sums:
    """The sums over one manifest, by a connection that only reads. Memory does not grow with the messages."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.create_function("name_of", 1, _name_of, deterministic=True)
        self._execute = connection.execute
        told = {
            row[0]: row[1:]
            for row in self._execute(
                "SELECT outcome, count(*), sum(length), "
                "sum(coalesce(head_size, 0) + coalesce(body_size, 0)) FROM message GROUP BY outcome"
            )
        }
        self.outcomes = {each: told.get(each, (0,))[0] for each in OUTCOMES}
        self.messages = sum(self.outcomes.values())
        self.octets_in: int = sum(each[1] for each in told.values())
        self.octets_out: int = told.get("written", (0, 0, 0))[2]
        self.sources = self._sources()
        self.whole = all(source.whole for source in self.sources)
        self.options = self._all(
            "SELECT substr(key, 8), value FROM meta WHERE key LIKE 'option.%' ORDER BY 1"
        )
        self.by_id = any(name == "dedup" and value.endswith("message-id") for name, value in self.options)
        self.periods, self.undated, self.by_month = self._periods()
        self.sizes = self._sizes()
        self.labels, self.labels_count, self.unlabelled = self._labels()
        self.repairs = self._all(
            "SELECT code, sum(applied), sum(NOT applied) FROM repair "
            "GROUP BY code ORDER BY count(*) DESC, code"
        )
        self.repaired: int = sum(row[1] for row in self.repairs)
        self.collisions: int = self._one(f"SELECT coalesce(sum(n - 1), 0) FROM ({_counted(_TWICE)})")  # noqa: S608
        self.refusals = self._all(
            f"SELECT profile, reason, count(*) FROM refusal WHERE {_BY_PROFILE} "  # noqa: S608
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 1000"
        )
        self.lines_count: int = self._one("SELECT coalesce(sum(candidates), 0) FROM source")
        self.lines_kept: int = self._one("SELECT count(*) FROM candidate")
        self.counts = {
            "messages": self.messages,
            "biggest": self.messages,
            "filtered": self.outcomes["filtered"],
            "duplicates": self.outcomes["duplicate"],
            "collisions": self._one(f"SELECT coalesce(sum(n), 0) FROM ({_counted(_TWICE)})"),  # noqa: S608
            "quarantine": self.outcomes["quarantined"],
            "refused": self._one(
                "SELECT count(*) FROM refusal WHERE profile NOT IN ('quarantined', 'filtered')"
            ),
            "repairs": self._one("SELECT count(*) FROM repair"),
        }

    def mails(self, name: str, code: str | None = None) -> Iterator[Mail]:
        """The messages of a list, one after the other; of the repairs those with this `code`."""
        path, note, rest = _REPAIRS if name == "repairs" else _LISTS[name]
        rest = rest.format(where="WHERE r.code = ?" if code else "")
        query = f"SELECT {_COLUMNS.format(path=path, note=note)} {rest}"
        return map(Mail._make, self._execute(query, (code,) if code else ()))

    def lines(self) -> Iterator[tuple[str, int, str, str]]:
        """The lines that began ``From `` and were not taken: source, octet, line, reason."""
        query = (
            "SELECT s.uri, c.offset, c.line, c.reason FROM candidate c JOIN source s ON s.id = c.source_id"
        )
        for source, offset, line, reason in self._execute(query):
            yield source, offset, line if isinstance(line, str) else line.decode("utf-8", "replace"), reason

    def every_label(self) -> Iterator[tuple[str, int]]:
        """All labels with the number of their messages, the most frequent first."""
        return iter(
            self._execute(
                "SELECT value, count(*) FROM message, json_each(labels) WHERE labels != '[]' "
                "GROUP BY value ORDER BY 2 DESC, 1"
            )
        )

    def _sources(self) -> list[SourceSum]:
        return list(
            map(
                SourceSum._make,
                self._execute(
                    "SELECT uri, size, junk, coalesce(octets, 0), messages, variant, damage FROM source s "
                    "LEFT JOIN "
                    "(SELECT source_id, sum(length) AS octets FROM message GROUP BY source_id) "
                    "ON source_id = s.id ORDER BY id"
                ),
            )
        )

    def _periods(self) -> tuple[list[Period], int, bool]:
        """Messages by month, or by year where these are too many; gaps are filled unless they are huge."""
        found: dict[str, Counter[str]] = {}
        undated = 0
        for name, outcome, count in self._execute(
            "SELECT substr(date, 1, 7), outcome, count(*) FROM message GROUP BY 1, 2"
        ):
            if name is None:
                undated += count
            else:
                found.setdefault(name, Counter())[outcome] += count
        by_month = not found or _months(max(found)) - _months(min(found)) < _LONG_MONTHS
        if not by_month:
            years: dict[str, Counter[str]] = {}
            for name, counts in found.items():
                years.setdefault(name[:4], Counter()).update(counts)
            found = years
        names = sorted(found)
        if by_month and names:
            span = range(_months(names[0]), _months(names[-1]) + 1)
            names = [f"{month // 12:04}-{month % 12 + 1:02}" for month in span]
        elif names and int(names[-1]) - int(names[0]) < _LONG_YEARS:
            names = [f"{year:04}" for year in range(int(names[0]), int(names[-1]) + 1)]
        return [Period(name, dict(found.get(name, {}))) for name in names], undated, by_month

    def _sizes(self) -> list[tuple[int | None, int, int]]:
        """For each class of sizes: its end (None for the last), its messages and their octets."""
        cases = " ".join(f"WHEN length <= {end} THEN {end}" for end in SIZES)
        found = {
            row[0]: row[1:]
            for row in self._execute(
                f"SELECT CASE {cases} END, count(*), sum(length) FROM message GROUP BY 1"  # noqa: S608
            )
        }
        return [(end, *found.get(end, (0, 0))) for end in (*SIZES, None)]

    def _labels(self) -> tuple[list[tuple[str, int]], int, int]:
        """The first labels, how many there are, and the number of messages that have none."""
        first: list[tuple[str, int]] = []
        count = 0
        for row in self.every_label():
            count += 1
            if count <= MANY:
                first.append(row)
        return first, count, self._one("SELECT count(*) FROM message WHERE labels = '[]'")

    def _all(self, query: str) -> Sequence[tuple[Any, ...]]:
        return self._execute(query).fetchall()

    def _one(self, query: str) -> int:
        number: int = self._execute(query).fetchone()[0]
        return number


def _name_of(message_id: str) -> bytes | None:
    """What `convert` knows a message by, however its Message-ID is spelled."""
    return normalise_message_id(str(message_id).encode("utf-8", "replace"))


def _counted(query: str) -> str:
    return query.replace("SELECT name_of(message_id)", "SELECT count(*) AS n, name_of(message_id)", 1)


def _months(name: str) -> int:
    return int(name[:4]) * 12 + int(name[5:7]) - 1
