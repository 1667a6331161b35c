"""What the manifest is told and tells: a message's row, a source's state, the digests that prove a file."""

from __future__ import annotations

import json
import os
import re
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any, NamedTuple
from zlib import crc32

from unmbox import _headers
from unmbox._auto import is_automatic
from unmbox._folders import LabelTable
from unmbox._late import late

MAX_CANDIDATES = 10_000
"""Rows in `candidate` for one source; ``source.candidates`` counts on."""
WRITTEN, DUPLICATE, FILTERED, QUARANTINED = OUTCOMES = ("written", "duplicate", "filtered", "quarantined")

_PIECE = 1 << 16

_STATUS = late(rb"^((?:X-(?:Mozilla-)?)?Status)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_LETTERS = {"R": "read", "A": "answered", "F": "flagged", "D": "deleted", "T": "draft"}
_MOZILLA = {0x1: "read", 0x2: "answered", 0x4: "flagged", 0x8: "deleted"}
_BEFORE_NEWLINE = ("id", "uri", "size", "scheme", "variant", "junk", "mtime", "digest")
_surrogates = re.compile("[\ud800-\udfff]")
_is_thread = re.compile(rb"[0-9]{1,20}").fullmatch


class Row(NamedTuple):
    """One message for the manifest. Ids go up by one from `Manifest.next_id`; a source's rows in its order.

    `path` is relative with "/", of an EML or (quarantined) of raw octets; None where nothing was written.
    `head_sha256` is over the first `head_size` octets as written, `body_sha256` over the `body_size` others.
    `key` proves duplicates: of the same Message-ID and `key`, or of the same `key` where there is no
    Message-ID, is a copy and the row that it is a copy of. So it is the body's identity (the second of
    `dedup.BodyDigest`), with the content hashed in where there is no Message-ID.
    """

    id: int
    source_id: int
    offset: int
    length: int
    from_line: bytes
    message_id: str | None
    head_sha256: str | None
    body_sha256: str | None
    outcome: str
    path: str | None = None
    duplicate_of: int | None = None
    date: datetime | None = None
    sender: str | None = None
    recipients: str | None = None
    subject: str | None = None
    labels: Sequence[str] = ()
    thread_id: str | None = None
    state: Mapping[str, bool | str] | None = None
    head_size: int | None = None
    body_size: int | None = None
    key: bytes | None = None

    def values(self) -> tuple[Any, ...]:
        """The row of `message`, in the order of its columns: as SQLite stores them, and their checksum."""
        (
            number, source, offset, length, line, message_id, head, body, outcome, path, of,
            date, sender, recipients, subject, labels, thread, state, head_size, body_size, key,
        ) = self  # fmt: skip
        values: tuple[Any, ...] = (
            number, source, offset, length, storable(line), message_id, head, body, outcome, path, of,
            date and date.isoformat(), sender, recipients, subject,
            labels_to_json(labels) if labels else "[]", thread,
            _state_to_json(tuple(state.items())) if state else "{}", head_size, body_size, key,
        )  # fmt: skip
        try:
            return (*values, checksum(values))
        except UnicodeEncodeError:  # lone surrogates, which stand for octets that nobody could decode
            values = tuple(_text(value) if isinstance(value, str) else value for value in values)
            return (*values, checksum(values))


class Quarantined(NamedTuple):
    """A message to try again: its row, where it stands in its source, and the file of its raw octets."""

    id: int
    offset: int
    length: int
    path: str | None


@dataclass(slots=True)
class SourceState:
    """A source as the manifest knows it. Whoever reads it moves it on; `Manifest.commit` writes it down.

    `offset` is where reading goes on: all octets before belong to `junk` or to committed rows, `messages`
    of them (`Manifest.commit` counts). `variant`, `newline` and `charset` are what the parser settled on. A
    source that is `done` has `damage` where it could not be read to what should be its end. A source
    without `digest` has no identity: it is read again from its beginning, and `Replays.match_row` sees to
    it that it is the same.
    """

    id: int
    uri: str
    size: int | None
    scheme: str
    variant: str | None = None
    junk: int = 0
    mtime: int | None = None
    digest: str | None = None
    newline: bytes | None = None
    offset: int = 0
    messages: int = 0
    candidates: int = 0
    done: bool = False
    damage: str | None = None
    charset: str | None = None
    candidate_sum: int = 0

    def settle(self, variant: str, newline: bytes, charset: str | None) -> None:
        """Take what its parser has settled on."""
        self.variant, self.newline, self.charset = variant, newline, charset

    def values(self) -> tuple[Any, ...]:
        """The row of `source`, in the order of its columns."""
        newline = None if self.newline is None else "cr" if self.newline == b"\r" else "lf"
        counts = (self.offset, self.messages, self.candidates, int(self.done), self.damage, self.charset)
        before = (getattr(self, name) for name in _BEFORE_NEWLINE)
        values = (*before, newline, *counts, self.candidate_sum)
        return (*values, source_sum(values))

    @classmethod
    def of(cls, values: Sequence[Any]) -> SourceState:
        """The state that a row of `source` holds."""
        *before, newline, offset, messages, candidates, done, damage, charset, candidate_sum, _ = values
        state = cls(**dict(zip(_BEFORE_NEWLINE, before, strict=True)))
        state.newline = {None: None, "lf": b"\n", "cr": b"\r"}[newline]
        state.offset, state.messages, state.candidates, state.done = offset, messages, candidates, bool(done)
        state.damage, state.charset, state.candidate_sum = damage, charset, candidate_sum
        return state

    def untouched(self) -> SourceState:
        """The state in which it was before its first octet was read."""
        # The size of a stream is known at its end only.
        size = self.size if self.digest else None
        return SourceState(self.id, self.uri, size, self.scheme, mtime=self.mtime, digest=self.digest)


@dataclass(slots=True)
class Batch:
    """What one transaction commits. `sources` are those whose rows it holds or whose state has moved.

    `repairs` are (row id, code, field, applied, signature impact), `refusals` (row id, profile, reason),
    `files` (row id, volume, path) for places beyond `Row.path`. `amended` rows, in a batch without other
    rows, stand in for quarantined ones of the same id; their files must have their final names already.
    """

    rows: list[Row] = field(default_factory=list)
    sources: list[SourceState] = field(default_factory=list)
    repairs: list[tuple[int, str, str | None, bool, str | None]] = field(default_factory=list)
    refusals: list[tuple[int, str, str]] = field(default_factory=list)
    files: list[tuple[int, str | None, str]] = field(default_factory=list)
    candidates: list[tuple[int, int, str | bytes, str, str]] = field(default_factory=list)
    amended: list[Row] = field(default_factory=list)

    def add_candidate(self, source: SourceState, offset: int, line: bytes, reason: str) -> None:
        """Record a line that began ``From `` and was not taken; beyond `MAX_CANDIDATES` only count it."""
        source.candidates += 1
        if source.candidates <= MAX_CANDIDATES:
            values = offset, storable(line), "rejected", reason
            self.candidates.append((source.id, *values))
            source.candidate_sum = (source.candidate_sum + detail_sum(values)) % (1 << 32)

    def details(self) -> list[tuple[int, int]]:
        """For each row that repairs or refusals tell of, its id and the sum of theirs."""
        sums: dict[int, int] = {}
        for number, code, name, applied, impact in self.repairs:
            sums[number] = sums.get(number, 0) + detail_sum(("repair", code, name, int(applied), impact))
        for number, profile, reason in self.refusals:
            sums[number] = sums.get(number, 0) + detail_sum(("refusal", profile, reason, None, None))
        return [(number, total % (1 << 32)) for number, total in sums.items()]


class Digests:
    """SHA-256 of a file's first `head_size` octets and of the rest; each octet is hashed once."""

    def __init__(self, head_size: int) -> None:
        self.size = 0
        self._left = head_size
        self._head = sha256()
        self._body = sha256()

    def update(self, data: bytes) -> None:
        """Take the next octets."""
        self.size += len(data)
        if self._left:
            self._head.update(data[: self._left])
            data, self._left = data[self._left :], max(0, self._left - len(data))
        self._body.update(data)

    def read(self, path: str | os.PathLike[str]) -> None:
        """Take the octets of a regular file. Raises OSError where there is none, or only a link to it."""
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(None, "not a regular file")
            while data := os.read(descriptor, _PIECE):
                self.update(data)
        finally:
            os.close(descriptor)

    def result(self) -> tuple[str, str]:
        """Both digests, in lower-case hexadecimal."""
        return self._head.hexdigest(), self._body.hexdigest()


class Written(NamedTuple):
    """A file that the manifest names: `path` below the destination, and what was written there."""

    path: str
    head_sha256: str | None
    body_sha256: str | None
    head_size: int | None
    body_size: int | None

    @property
    def size(self) -> int:
        """Octets of the file."""
        return (self.head_size or 0) + (self.body_size or 0)

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether the regular file at `path` holds these octets; False where there is none."""
        digests = Digests(self.head_size or 0)
        try:
            digests.read(path)
        except OSError:
            return False
        return digests.size == self.size and digests.result() == (self.head_sha256, self.body_sha256)


def state_of(
    block: bytes,
    labels: Sequence[str] = (),
    table: LabelTable | None = None,
    signs: Mapping[bytes, bytes] | None = None,
) -> dict[str, bool | str]:
    """What a header block (lines end in LF) and Gmail's labels say of a message's state in its mailbox.

    Keys, where something is said: read, answered, flagged, deleted, draft, important, chat, snoozed, muted,
    forwarded, auto, category (a text). Sources: Status and X-Status as c-client and Dovecot write them, the
    bits of X-Mozilla-Status, Takeout's pseudo-labels, of which Unread outdoes Opened (see `LabelTable`), and
    for auto what `is_automatic` says. `signs` are the block's `_headers.usual` fields, if they are known:
    most blocks then need no further look.
    """
    state = (table or LabelTable.load()).states(labels) if labels else {}
    if signs is not None and _headers.SIGNS.isdisjoint(signs) and not _may_be_automatic(signs):
        return state
    if b"tatus" in block or b"TATUS" in block:
        for name, value in _STATUS.findall(block):
            for key, said in _status(name.lower(), value.strip()):
                state[key] = said or state.get(key, False)
    if is_automatic(block):
        state["auto"] = True
    return state


def _may_be_automatic(signs: Mapping[bytes, bytes]) -> bool:
    if signs.get(_headers.PATH, b"").startswith(b"<>"):
        return True
    precedence = signs.get(_headers.PRECEDENCE)
    return precedence is not None and b"auto" in precedence.lower()


def _status(name: bytes, value: bytes) -> list[tuple[str, bool]]:
    if name == b"x-mozilla-status":
        try:
            bits = int(value, 16)
        except ValueError:
            return []
        return [(key, bool(bits & bit)) for bit, key in _MOZILLA.items()]
    letters = value.decode("latin-1").upper()
    said = [(key, True) for letter, key in _LETTERS.items() if letter in letters]
    # "O" without "R" is a message that a reader has listed and nobody opened.
    return said if name == b"x-status" else [("read", "R" in letters), *said]


def thread_id(value: bytes | None) -> str | None:
    """Gmail's thread, the decimal number that is the raw value of X-GM-THRID; None where it is none."""
    return value.decode("ascii") if value and _is_thread(value) else None


def storable(octets: bytes) -> str | bytes:
    """Octets as a TEXT that people can search, as they are where they are not UTF-8."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets


def labels_to_json(labels: Sequence[str]) -> str:
    """A JSON array; what cannot be encoded in UTF-8 is replaced."""
    return _labels_to_json(tuple(labels)) if labels else "[]"


# A mailbox has few combinations of labels, and of states, and a million messages.
@lru_cache(maxsize=256)
def _labels_to_json(labels: tuple[str, ...]) -> str:
    # A JSON encoder is made anew for each call, which costs four times as much.
    return _text(f"[{', '.join(map(encode_basestring, labels))}]")


@lru_cache(maxsize=256)
def _state_to_json(items: tuple[tuple[str, bool | str], ...]) -> str:
    return _text(json.dumps(dict(items), ensure_ascii=False))


def _text(text: str) -> str:
    """`text` without lone surrogates, which have no UTF-8."""
    return _surrogates.sub("\ufffd", text)


_seven = struct.Struct("<7q").pack


def checksum(values: tuple[Any, ...]) -> int:
    """The CRC-32 of a row of `message` but for its last column, which is this; -1 for what is no such row.

    NULL counts as 0 or as empty. To compute it in another way takes another `SCHEMA`.
    """
    (
        number, source_id, offset, length, line, message_id, head, body, outcome, path, of,
        date, sender, recipients, subject, labels, thread, state, head_size, body_size, key,
    ) = values  # fmt: skip
    # Quicker than formatting the lot, and unlike `marshal` the same in every Python.
    try:
        numbers = _seven(number, source_id, offset, length, of or 0, head_size or 0, body_size or 0)
        line = line if isinstance(line, str) else line.hex()
        texts = (
            line, message_id or "", head or "", body or "", outcome, path or "", labels, thread or "", state,
            date or "", sender or "", recipients or "", subject or "",
        )  # fmt: skip
        return crc32("\n".join(texts).encode(), crc32(key or b"", crc32(numbers)))
    except (AttributeError, TypeError, struct.error):
        return -1


def source_sum(values: Sequence[Any]) -> int:
    """The CRC-32 of a row of `source` but for its last column, which is this."""
    return crc32("\n".join(map(str, values)).encode("utf-8", "backslashreplace"))


def detail_sum(values: Sequence[Any]) -> int:
    """The CRC-32 of a row that belongs to a message or a source, but for whose it is.

    Those of one message, or of one source, are added up: their order is nobody's business.
    """
    return crc32("\0".join(map(str, values)).encode("utf-8", "backslashreplace"))
