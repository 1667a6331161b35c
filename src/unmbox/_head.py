"""A message's header as people read it: what is known once its `Head` has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from unmbox import _dates, _decode, _headers, _missing, labels
from unmbox._block import unclear_values
from unmbox._block_charset import Raw8Bit, is_unclear
from unmbox._encode import percent_encoded
from unmbox._fields import (
    ADDRESSES,
    BOM,
    PARAMETERS,
    names_nobody,
    split_block,
    split_fields,
    too_many,
)
from unmbox._message_id import normalise_message_id
from unmbox._parameters import said_parameters
from unmbox.errors import UsageError
from unmbox.events import Head
from unmbox.labels import Beside

_DATE, _FROM, _MESSAGE_ID, _LABELS = b"date", b"from", b"message-id", b"x-gmail-labels"
_SHORT = 500  # octets of a value that is worth remembering


class Envelope(NamedTuple):
    """What the From_ line says: `sender`, who handed the message in, and `date`, when it was put there.

    `sender` is text, "" where the line has none; `date` is aware, UTC where the line names no zone, None
    where it has none. (RFC 4155, appendix A; exporters write many other forms.)
    """

    sender: str
    date: datetime | None


class MessageHead:
    """The header of one message: raw octets, and decoded on request. Nothing here raises on broken mail."""

    __slots__ = (
        "_beside",
        "_date",
        "_envelope",
        "block",
        "evidence",
        "fields",
        "from_line",
        "offset",
        "raw8",
        "source",
    )

    def __init__(
        self,
        head: Head,
        source: str,
        beside: Callable[[bytes, bytes], Beside | None] | None = None,
        locale: str | None = None,
        fields: dict[bytes, bytes] | None = None,
        *,
        date: datetime | Literal[False] | None = False,  # not yet asked for
    ) -> None:
        self.source = source
        self.offset = head.offset
        self.from_line = head.from_line
        # Lines end in lone CRs in some old mailboxes; names and folding are found by LF.
        block = head.data.replace(b"\r", b"\n") if head.newline == b"\r" else head.data
        # Neither a NUL (RFC 5322 §4.1) nor a byte order mark is a part of a name: what is written has none.
        block = block.replace(b"\0", b"") if 0 in block else block
        self.block = block.removeprefix(BOM)
        self.fields = fields  # see `fields_of`
        self._envelope: Envelope | None = None
        self._date = date
        self._beside = beside
        self.evidence = head.charset, locale
        self.raw8: Raw8Bit | None = None

    @property
    def envelope(self) -> Envelope:
        """The From_ line's sender and date (aware; UTC where it names no zone; None where it has none)."""
        if self._envelope is None:
            self._envelope = Envelope(*_dates.parse_envelope(self.from_line))
        return self._envelope

    @property
    def date(self) -> datetime | None:
        """When the message was written, in its own zone: its Date, or else what a Date made for it says."""
        date = self._date
        if date is False:
            value = self.raw_field(_DATE)
            sound = value and _missing.is_sound_date(value)
            date = self._date = (_dates.parse_date(value) if value and sound else None) or _found_date(self)
        return date

    @property
    def message_id(self) -> str | None:
        """The Message-ID in its brackets, without white space, as the EML has it; None where there is none.

        Octets beyond ASCII are ``%XX``, as in the converted message.
        What tells no mail from another (``not set``) is none, and the first of several that does counts.
        """
        return id_text(id_of(self))

    @property
    def subject(self) -> str:
        """The decoded subject, "" where there is none."""
        return self.text(b"subject") or ""

    @property
    def labels(self) -> list[str]:
        """Gmail's labels as Takeout stores them, decoded, in order; then those that stand beside the mail."""
        value = self.raw_field(_LABELS)
        found = _labels(value) if value else []
        beside = self.beside
        return list(dict.fromkeys((*found, *beside.labels))) if beside and beside.labels else found

    @property
    def beside(self) -> Beside | None:
        """What the source knows of the message besides its octets."""
        return self._beside(self.block, self.from_line) if self._beside else None

    def raw_field(self, name: bytes) -> bytes | None:
        """The raw value of the first field called `name` (lower case), None where there is none."""
        if name not in _headers.USUAL:
            if not isinstance(name, bytes):
                raise UsageError(f"the name of a field is octets here, such as b'to', not {name!r}")
            return _headers.find(self.block, name)
        return (fields_of(self) if self.fields is None else self.fields).get(name)

    def text(self, name: bytes) -> str | None:
        """The decoded text of the first field called `name` (lower case), None where there is none."""
        value = self.raw_field(name)
        return None if value is None else text_of(self, name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at octet {self.offset} of {self.source!r}: {self.subject!r}>"

    def __getitem__(self, name: str) -> str | None:
        """The decoded text of the first field called `name` (in any case), None where there is none."""
        return self.text(_octets(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.raw_field(_octets(name)) is not None

    def get_all(self, name: str) -> list[str]:
        """The decoded texts of all fields called `name`, in their order."""
        octets = _octets(name)
        return [text_of(self, octets, value) for value in _headers.find_all(self.block, octets)]


def fields_of(head: MessageHead) -> dict[bytes, bytes]:
    """The raw values of the fields that are asked for most, by their names: see `_headers.usual`."""
    if head.fields is None:
        head.fields = _headers.usual(head.block)
    return head.fields


def id_of(head: MessageHead) -> bytes | None:
    """The raw value of the first Message-ID that tells one mail from another; None where none does."""
    value = head.raw_field(_MESSAGE_ID)
    if value is None or normalise_message_id(value):
        return value
    return next(filter(normalise_message_id, _headers.find_all(head.block, _MESSAGE_ID)), None)


def id_text(value: bytes | None) -> str | None:
    """The text of a Message-ID whose raw value this is, in its brackets, as a converted message has it."""
    name = value and normalise_message_id(value)
    if not name:
        return None
    return f"<{(name if name.isascii() else percent_encoded(name)).decode('ascii')}>"


def sender_of(head: MessageHead) -> bytes | None:
    """The raw value of the first From that names anybody, else of the first; None where there is none."""
    value = head.raw_field(_FROM)
    # An at-sign, not of a comment, is somebody's.
    if value is None or (0x40 in value and 0x28 not in value) or not names_nobody(value):
        return value
    return next((each for each in _headers.find_all(head.block, _FROM) if not names_nobody(each)), value)


def _found_date(head: MessageHead) -> datetime | None:
    """The date of a message whose first Date is not sound: what the repaired Date will say."""
    stated = [value for value in _headers.find_all(head.block, _DATE) if _missing.stated_date(value)]
    if stated:
        return _missing.stated_date(next(filter(_missing.is_sound_date, stated), stated[0]))
    return _missing.found_date(head.envelope.date, _headers.find_all(head.block, b"received"))


def text_of(head: MessageHead, name: bytes, value: bytes) -> str:
    """The decoded text of a raw value in this header, of a field called `name` (lower case)."""
    if value.isascii() or not is_unclear(value):
        if name not in ADDRESSES:
            text = _decode.decode_text(value)
            return said_parameters(text) if name in PARAMETERS else text
        return _address(value) if len(value) < _SHORT else _decode.decode_addresses(value)
    raw8 = head.raw8 or settle_raw8(head, b"", [value])
    if name in ADDRESSES:
        return _decode.decode_addresses(value, raw8.text)
    text = _decode.decode_text(value, raw8.text)
    return said_parameters(text) if name in PARAMETERS else text


def unclear_in(head: MessageHead) -> list[bytes]:
    """The raw values of which a charset has to be found out."""
    if head.block.isascii() or too_many(head.block):
        return []
    return unclear_values(split_fields(split_block(head.block).header))


def settle_raw8(head: MessageHead, body: bytes, others: Sequence[bytes] = ()) -> Raw8Bit:
    """Find out the charset of raw values (of `others`, where no field has one) with the body's help."""
    prior, locale = head.evidence
    head.raw8 = Raw8Bit(unclear_in(head) or others, head.block, body, locale, prior)
    return head.raw8


def _octets(name: str) -> bytes:
    if not isinstance(name, str):
        raise UsageError(f"the name of a field is text such as 'To', not {name!r}")
    return name.encode("ascii", "replace").lower()


# A mailbox has few correspondents and few combinations of labels, and many messages of each.
@lru_cache(maxsize=2048)
def _address(value: bytes) -> str:
    return _decode.decode_addresses(value)


@lru_cache(maxsize=1024)
def _decoded_labels(value: bytes) -> tuple[str, ...]:
    return tuple(labels.decode_labels(value))


def _labels(value: bytes) -> list[str]:
    return list(_decoded_labels(value) if len(value) < _SHORT else labels.decode_labels(value))
