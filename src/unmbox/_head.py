"""A message's header as people read it: what is known once its `Head` has come."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from unmbox import _dates, _decode, _headers, labels
from unmbox.events import Head

_ADDRESSES = frozenset(
    ("from", "to", "cc", "bcc", "sender", "reply-to", "return-path", "delivered-to")
    + ("resent-from", "resent-to", "resent-cc", "resent-sender")
)


class Envelope(NamedTuple):
    """What the From_ line says: who handed the message in, and when it was put into the mailbox."""

    sender: str
    date: datetime | None


class MessageHead:
    """The header of one message: raw octets, and decoded on request. Nothing here raises on broken mail."""

    __slots__ = ("_date", "_envelope", "block", "from_line", "offset", "source")

    def __init__(self, head: Head, source: str) -> None:
        self.source = source
        self.offset = head.offset
        self.from_line = head.from_line
        # Lines end in lone CRs in some old mailboxes; names and folding are found by LF.
        self.block = head.data.replace(b"\r", b"\n") if head.newline == b"\r" else head.data
        self._envelope: Envelope | None = None
        self._date: datetime | bool | None = False

    @property
    def envelope(self) -> Envelope:
        """The From_ line's sender and date (aware; UTC where it names no zone; None where it has none)."""
        if self._envelope is None:
            self._envelope = Envelope(*_dates.parse_envelope(self.from_line))
        return self._envelope

    @property
    def date(self) -> datetime | None:
        """When the message was written, in its own zone: its Date, or else the From_ line's date."""
        if isinstance(self._date, bool):
            value = _headers.find(self.block, b"Date")
            self._date = (_dates.parse_date(value) if value else None) or self.envelope.date
        return self._date

    @property
    def message_id(self) -> str | None:
        """The Message-ID with its brackets, as written but for white space; None where there is none."""
        value = _headers.find(self.block, b"Message-ID")
        return "".join(_decode.decode_text(value).split()) if value else None

    @property
    def subject(self) -> str:
        """The decoded subject, "" where there is none."""
        return self["Subject"] or ""

    @property
    def labels(self) -> list[str]:
        """Gmail's labels as Takeout stores them, decoded, in their order."""
        value = _headers.find(self.block, b"X-Gmail-Labels")
        return labels.decode_labels(value) if value else []

    def __getitem__(self, name: str) -> str | None:
        """The decoded text of the first field called `name` (in any case), None where there is none."""
        value = _headers.find(self.block, name.encode("ascii", "replace"))
        return None if value is None else self._decoded(name, value)

    def __contains__(self, name: object) -> bool:
        return (
            isinstance(name, str) and _headers.find(self.block, name.encode("ascii", "replace")) is not None
        )

    def get_all(self, name: str) -> list[str]:
        """The decoded texts of all fields called `name`, in their order."""
        return [
            self._decoded(name, value)
            for value in _headers.find_all(self.block, name.encode("ascii", "replace"))
        ]

    def _decoded(self, name: str, value: bytes) -> str:
        decode = _decode.decode_addresses if name.lower() in _ADDRESSES else _decode.decode_text
        return decode(value)
