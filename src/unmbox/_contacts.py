"""`Contacts`: who is named in mailboxes, one row an address, and which rows an importer would not take.

Addresses may be millions: they are kept in a temporary SQLite database, which goes to the disk once it
outgrows its cache and goes away when it is closed. Memory is flat in the number of messages and of people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple

from unmbox import _headers
from unmbox._addresses import Mailbox, key_of, normalise, split_mailboxes
from unmbox._block_charset import Raw8Bit, is_unclear
from unmbox._cells import guarded
from unmbox._charset import check_locale
from unmbox._decode import decode_addresses
from unmbox._head import MessageHead, unclear_in
from unmbox._names import split_name
from unmbox._opened import Opened
from unmbox._record import state_of
from unmbox._report import Progress, Ticker
from unmbox._scratch import scratch
from unmbox._selection import Selection
from unmbox._single import parser_for
from unmbox._variant import check_variant
from unmbox.dedup import content_of
from unmbox.errors import UsageError
from unmbox.events import Head
from unmbox.sources import SourcesLike

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "family": "family_name",
        "given": "given_name",
        "address": "address",
        "company": "company",
        "messages": "count",
        "first": "first_date",
        "last": "last_date",
    }
)
"""The columns of a row, and what they are called unless a profile has other names for them."""

# The person's own fields first: what people call themselves outdoes what others call them.
_FIELDS: Final = (b"from", b"to", b"cc", b"bcc")
_HELD: Final = 5_000
_LONG: Final = 500
_TABLES = (
    """CREATE TABLE person (
    key TEXT PRIMARY KEY, address TEXT, count INTEGER, first REAL, first_date TEXT, last REAL, last_date TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE name (
    key TEXT, own INTEGER, text TEXT, count INTEGER, last REAL, PRIMARY KEY (key, own, text)
    ) WITHOUT ROWID""",
    "CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID",
)
_ADD_PERSON = """
INSERT INTO person VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    count = count + excluded.count,
    first_date = CASE WHEN first <= excluded.first THEN first_date
        ELSE coalesce(excluded.first_date, first_date) END,
    first = coalesce(min(first, excluded.first), first, excluded.first),
    last_date = CASE WHEN last >= excluded.last THEN last_date
        ELSE coalesce(excluded.last_date, last_date) END,
    last = coalesce(max(last, excluded.last), last, excluded.last)
"""
_ADD_NAME = """
INSERT INTO name VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, own, text) DO UPDATE SET
    count = count + excluded.count, last = coalesce(max(last, excluded.last), last, excluded.last)
"""
_PEOPLE = """
SELECT address, count, first_date, last_date, (
    SELECT text FROM name WHERE name.key = person.key ORDER BY own DESC, count DESC, last DESC, text LIMIT 1
) FROM person ORDER BY count DESC, key
"""
DOMAIN: Final = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:[^\W\d_]{2,63}|xn--[a-z0-9-]{1,59})")
"""RFC 1035 §2.3.1 as mail uses it: labels, at least two of them, the last of letters (or an A-label)."""
_LOCAL = re.compile(r"[^\s.\"@\x00-\x1f\x7f]+(?:\.[^\s.\"@\x00-\x1f\x7f]+)*")


class Contact(NamedTuple):
    """One address: who it is, in how many messages it is named, and the dates of the first and last of them.

    Dates are of the writers' own zones, ISO 8601, empty where no message has one.
    """

    family: str
    given: str
    address: str
    company: str
    messages: int
    first: str
    last: str


class Rules(NamedTuple):
    """What an importer asks of a row: the member `contacts` of a profile.

    `columns` are other names for `COLUMNS`; `required` columns must not be empty, `longest` says how many
    characters one may hold. `role` are local parts that the importer leaves out, `refused` characters that it
    does not take in an address.
    """

    columns: Mapping[str, str] = COLUMNS
    required: Sequence[str] = ("address",)
    longest: Mapping[str, int] = MappingProxyType({})
    role: frozenset[str] = frozenset()
    refused: str = ""

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any]) -> Rules:
        """The rules that a profile called `name` has. Raises `UsageError` where they make no sense."""
        if not values:
            raise UsageError(f"the profile {name} says nothing of contacts")
        columns = values.get("columns", {})
        for column in (*columns, *values.get("required", ()), *values.get("longest", ())):
            if column not in COLUMNS:
                raise UsageError(
                    f"the profile {name}: no column is called {column!r}: write {', '.join(COLUMNS)}"
                )
        return cls(
            {**COLUMNS, **columns},
            values.get("required", ["address"]),
            values.get("longest", {}),
            frozenset(map(str.lower, values.get("role", ()))),
            values.get("refused", ""),
        )

    def reason(self, contact: Contact) -> str:
        """Why the importer would not take a row; empty where nothing is known against it."""
        for column in self.required:
            if not getattr(contact, column):
                return f"no {self.columns[column]}"
        if not contact.address:
            return "no address"
        if not is_address(contact.address):
            return "not an address that mail can be sent to"
        if guarded(contact.address) != contact.address:
            return "a spreadsheet would take the address for a formula"
        local = contact.address.partition("@")[0]
        if local.lower() in self.role:
            return "the address of a role, not of a person"
        if found := next((each for each in self.refused if each in contact.address), ""):
            return f"{found} in the address"
        for column, limit in self.longest.items():
            if len(str(guarded(getattr(contact, column)))) > limit:
                return f"{self.columns[column]} is longer than {limit} characters"
        return ""


class Contacts:
    """The people of some mailboxes. Fill it with `add`, then read `rows`; close it (or use ``with``).

    `moved` maps addresses to those that took their place; an empty one leaves the address out. `companies`
    maps domains to companies, "" all others. `locale` is a hint for raw text, such as ``ja``. `wanted` says
    which messages count. `messages` is how many were added, `left_out` how many of them are not wanted,
    `copies` how many had been added before.
    """

    def __init__(
        self,
        *,
        moved: Mapping[str, str] = MappingProxyType({}),
        companies: Mapping[str, str] = MappingProxyType({}),
        locale: str | None = None,
        wanted: Selection | None = None,
    ) -> None:

        check_locale(locale)
        self.messages = 0
        self.left_out = 0
        self.copies = 0
        self._moved = {key_of(old): new and normalise(new) for old, new in moved.items()}
        self._companies = {domain.lower(): company for domain, company in companies.items()}
        self._locale = locale
        self._wanted = wanted or None
        self._people: dict[str, list[Any]] = {}
        self._names: dict[tuple[str, int, str], list[Any]] = {}
        self._rows = scratch(*_TABLES, cache=8192)

    def __enter__(self) -> Contacts:  # noqa: PYI034  # Self is of Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the temporary file."""
        self._rows.close()

    def add(self, head: MessageHead) -> None:
        """Count the people of one message, once each; a message that is already in counts no more."""
        self.messages += 1
        if self._wanted:
            labels, beside = head.labels, head.beside
            state = state_of(head.block, labels) | dict(beside.state if beside else {})
            if self._wanted.unwanted(head, labels, state):
                self.left_out += 1
                return
        digest = blake2b(content_of(head.block, head.envelope.date), digest_size=16).digest()
        if not self._rows.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount:
            self.copies += 1
            return
        date = head.date
        counted: set[str] = set()
        for name in _FIELDS:
            for mailbox in self._mailboxes(head, name):
                key = key_of(mailbox.address) or f"\0{mailbox.name}"
                self._count(key, mailbox, date, own=name == b"from", again=key in counted)
                counted.add(key)
        if len(self._people) + len(self._names) > _HELD:
            self._flush()

    def rows(self) -> Iterator[Contact]:
        """Every address once, those named most often first. Names without an address come with it empty."""
        self._flush()
        for address, messages, first, last, name in self._rows.execute(_PEOPLE):
            family, given = split_name(name or "", address)
            domain = address.rpartition("@")[2]
            company = self._companies.get(domain, self._companies.get("", "")) if domain else ""
            first, last = sorted((first or "", last or ""))  # days of different zones
            yield Contact(family, given, address, company, messages, first, last)

    def _mailboxes(self, head: MessageHead, name: bytes) -> Iterator[Mailbox]:
        for value in _headers.find_all(head.block, name):
            if is_unclear(value) or b"\x1b" in value:
                known = unclear_in(head) or [value]
                text = Raw8Bit(known, head.block, b"", self._locale, head.evidence[0]).text(value)
                value = text.encode("utf-8", "surrogateescape")
            for person, address in _people_in(value) if len(value) < _LONG else _split(value):
                if address and (new := self._moved.get(key_of(address))) is not None:
                    address = new
                    if not new:
                        continue
                yield Mailbox(person, address)

    def _count(self, key: str, mailbox: Mailbox, date: datetime | None, *, own: bool, again: bool) -> None:
        at = None if date is None else date.timestamp()
        day = None if date is None else date.date().isoformat()
        person = self._people.setdefault(key, [mailbox.address, 0, None, None, None, None])
        person[1] += not again
        if at is not None:
            if person[2] is None or at < person[2]:
                person[2:4] = at, day
            if person[4] is None or at > person[4]:
                person[4:6] = at, day
        if mailbox.name:
            name = self._names.setdefault((key, int(own), mailbox.name), [0, None])
            name[0] += not again
            if at is not None and (name[1] is None or at > name[1]):
                name[1] = at

    def _flush(self) -> None:
        self._rows.executemany(_ADD_PERSON, ((key, *each) for key, each in self._people.items()))
        self._rows.executemany(_ADD_NAME, ((*key, *each) for key, each in self._names.items()))
        self._people.clear()
        self._names.clear()


def _split(value: bytes) -> Iterator[Mailbox]:
    """The entries of a raw address field, as text that has UTF-8."""
    for name, address in split_mailboxes(decode_addresses(value)):
        yield Mailbox(name.encode("utf-8", "replace").decode(), address.encode("utf-8", "replace").decode())


@lru_cache(maxsize=4096)
def _people_in(value: bytes) -> tuple[Mailbox, ...]:
    """A mailbox names the same few people in most of its messages."""
    return tuple(_split(value))


def is_address(address: str) -> bool:
    """Whether mail could be sent to it from anywhere: a domain with a dot, no quotes, no empty part."""
    local, _, domain = address.rpartition("@")
    return bool(_LOCAL.fullmatch(local) and DOMAIN.fullmatch(domain) and len(local.encode()) <= 64)


def read(
    sources: SourcesLike,
    contacts: Contacts,
    *,
    variant: str = "auto",
    progress: Callable[[Progress], object] | None = None,
) -> Opened:
    """Add every message of the mailboxes; what is returned says which are empty, damaged or missing.

    Sources, `variant` and `progress` are as for `convert`. Raises `UsageError` and `SourceError` as it does.
    """
    opened = Opened(sources)
    check_variant(variant)
    total = opened.size() if progress else None
    octets, ticker = 0, Ticker()
    for source in opened:
        parser = parser_for(single=source.single, variant=variant)
        octets_before, messages_before = octets, contacts.messages
        for chunk in chain(source.chunks(), (None,)):
            for event in parser.close() if chunk is None else parser.feed(chunk):
                if isinstance(event, Head):
                    contacts.add(MessageHead(event, source.name, source.beside))
            octets += len(chunk or b"")
            if progress and ticker.due(last=chunk is None):
                progress(Progress(octets, total, contacts.messages, source.name, contacts.copies))
        if octets > octets_before and contacts.messages == messages_before:
            opened.empty.append(source.name)
        if source.damage:
            opened.damaged.append(source.damage)
    return opened
