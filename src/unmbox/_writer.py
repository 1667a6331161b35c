"""`EmlWriter`: events in, the octets of an EML out. No input or output of its own."""

from __future__ import annotations

from unmbox._variant import SWAP_CR_LF
from unmbox.errors import UsageError
from unmbox.events import Body, Event, Head, HeadRest

HEADERS = ("preserve",)
NEWLINES = ("crlf", "lf")


class EmlWriter:
    """Turns the events of messages into EML files, a piece at a time (sans-I/O).

    `headers="preserve"` changes nothing but line ends. `newline` is what those become: ``"crlf"``
    (RFC 5322 §2.1) or ``"lf"``. A lone CR is an octet like any other and stays, except in a source whose
    lines all end so (`Head.newline`).
    """

    def __init__(self, *, headers: str = "preserve", newline: str = "crlf") -> None:
        if headers not in HEADERS:
            raise UsageError(f"unknown headers {headers!r}: choose one of {', '.join(HEADERS)}")
        if newline not in NEWLINES:
            raise UsageError(f"unknown newline {newline!r}: choose one of {', '.join(NEWLINES)}")
        self._convert = to_crlf if newline == "crlf" else to_lf
        self._swapped = False

    def send(self, event: Event) -> bytes:
        """The octets that this event adds to the EML: the block of a `Head`, the piece of a `Body`.

        Nothing for `End`, and for `Junk` and `Rejected`, which are no part of any message.
        """
        if isinstance(event, Head):
            self._swapped = event.newline == b"\r"
        elif not isinstance(event, (Body, HeadRest)):
            return b""
        return self._convert(event.data.translate(SWAP_CR_LF) if self._swapped else event.data)


def to_crlf(octets: bytes) -> bytes:
    """End each line with CRLF; give back the same object where all do already."""
    if b"\r" not in octets:
        return octets.replace(b"\n", b"\r\n")
    # Two replacements of single octets cost a quarter of one of CRLF, and healthy octets need no more.
    converted = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
    if converted == octets:
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def to_lf(octets: bytes) -> bytes:
    """End each line with LF; lone CRs stay."""
    if b"\r" not in octets:
        return octets
    converted = octets.replace(b"\r", b"")
    return converted if converted.replace(b"\n", b"\r\n") == octets else octets.replace(b"\r\n", b"\n")
