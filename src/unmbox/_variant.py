"""How a mailbox was written: its quoting and its line end, decided from its first octets."""

from __future__ import annotations

import re
from itertools import islice

from unmbox._late import late
from unmbox.errors import UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Rejected

VARIANTS = ("auto", "mboxrd", "mboxo", "mboxcl", "mboxcl2")


def check_variant(variant: str) -> None:
    """Raise `UsageError` for a variant that there is not."""
    if variant not in VARIANTS:
        raise UsageError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")


SWAP_CR_LF = bytes.maketrans(b"\r\n", b"\n\r")
"""A table for `bytes.translate` that makes a CR-only source an LF one and back again, losing nothing."""

MAX_CLAIM = 1 << 20
"""Largest Content-Length that is believed: it is verified by looking ahead, and that much is held."""
NO_LENGTH, BAD_LENGTH = -1, -2

_CONTENT_LENGTH = late(rb"\nContent-Length[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)
# One ">" is both variants' own, and says nothing.
_QUOTED = late(rb"\n(>{2,998})From ").finditer
_MAX_QUOTED = 1000
_DEPTH = late(rb"(?:> ?)*")
_LENGTH = late(rb"\nContent-Length[ \t]*:[ \t]*(\d{1,8})[ \t]*\r?\n", re.IGNORECASE)
_BLOCK_END = late(rb"\n\r?\n")


def is_cr_only(first: bytes) -> bool:
    """Tell whether lone CRs end the lines of a source that begins with these octets."""
    return b"\r" in first and b"\n" not in first


def settle_variant(first: bytes) -> str:
    """Decide ``"mboxrd"``, ``"mboxo"`` or ``"mboxcl2"`` from a source's first octets (LF or CRLF lines).

    mboxrd and mboxo differ only in ``>>From `` lines: mboxrd's writer put one ``>`` there, mboxo's did
    not touch them. So the depth of quoting around the first 1,000 such lines tells: text that a reply
    quotes twice stands among other lines quoted twice; where only deeper quoting is around, there is
    nothing to compare with. ``mboxcl2`` quotes nothing, which shows where a Content-Length
    is right although its body holds ``From `` lines as they were. Without evidence: mboxrd, which is
    right for both as long as no ``>>From `` comes.
    """
    if _holds_unquoted_bodies(first):
        return "mboxcl2"
    evidence = 0
    for match in islice(_QUOTED(first), _MAX_QUOTED):
        depth = len(match[1])
        around = _depth_before(first, match.start()), _depth_after(first, match.end())
        if depth in around:
            evidence += not any(0 < other < depth for other in around)  # or they contradict one another
        elif max(around) < depth:
            evidence -= 1
    return "mboxo" if evidence > 0 else "mboxrd"


def _depth_before(first: bytes, line_end: int) -> int:
    line = first[first.rfind(b"\n", max(0, line_end - 1000), line_end) + 1 : line_end]
    return _depth(line)


def _depth_after(first: bytes, at: int) -> int:
    start = first.find(b"\n", at, at + 1000) + 1
    return _depth(first[start : start + 1000]) if start else 0


def _depth(line: bytes) -> int:
    """How many times a line is quoted; 0 for lines that a mailbox's writer may have quoted itself."""
    quotes = _DEPTH.match(line)
    if quotes is None or line.startswith(b"From ", quotes.end()):
        return 0
    return quotes[0].count(b">")


def _holds_unquoted_bodies(first: bytes) -> bool:
    """Whether a right Content-Length spans a body line ``From `` that any quoting would have quoted."""
    if b"\ncontent-length" not in first.lower():
        return False
    for match in _LENGTH.finditer(first):
        block_end = _BLOCK_END.search(first, match.end() - 1)
        if block_end is None:
            return False
        body = block_end.end()
        stop = body + int(match[1])
        after = first[stop : stop + 7].removeprefix(b"\r").removeprefix(b"\n")
        right = stop <= len(first) and first[stop - 1] == 0x0A and (not after or after.startswith(b"From "))
        if right and first.find(b"\nFrom ", body - 1, stop - 1) >= 0:
            return True
    return False


def content_length(block: bytes) -> int:
    """A header block's Content-Length in octets; `NO_LENGTH` without one, `BAD_LENGTH` if it is of no use."""
    values = _CONTENT_LENGTH.findall(b"\n" + block)
    if not values:
        return NO_LENGTH
    digits = values[0].strip()
    return int(digits) if len(values) == 1 and digits.isdigit() and len(digits) < 12 else BAD_LENGTH


def end_of_claim(data: bytes, begin: int, claim: int, at_eof: bool) -> tuple[int, int] | None:
    """Where a body of `claim` octets ends that begins at `begin`, and where what is behind it begins.

    That is the end of the source or a From_ line, after an empty line or none: (-1, -1) if it is neither,
    None if more octets decide.
    """
    stop = after = begin + claim
    if claim > MAX_CLAIM:
        return -1, -1
    if len(data) < stop + len(b"\r\nFrom ") and not at_eof:
        return None
    if data.startswith((b"\n", b"\r\n"), stop):
        after = data.index(b"\n", stop) + 1
    agrees = after == len(data) or data.startswith(b"From ", after)
    # A From_ line begins a line: the body or the empty line after it must end one.
    halved = data[stop - 1 : stop + 1] == b"\r\n"
    if not agrees or halved or (after < len(data) and data[after - 1] != 0x0A):
        return -1, -1
    return stop, after


class AsStored:
    """Gives a CR-only source's events back the octets that the source has.

    An LF is an octet like any other there, but a reader takes it and the CR before it for one line end. So
    no piece of a body may end between the two: what ends in a CR waits for what follows.
    """

    def __init__(self) -> None:
        self._held: Body | HeadRest | None = None

    def __call__(self, events: list[Event]) -> list[Event]:
        """The events that nothing to come can change: the last of a message is its `End`."""
        told: list[Event] = []
        for swapped in events:
            event, held = _as_stored(swapped), self._held
            if isinstance(event, Rejected):  # it is told of before the body in which it stands
                told.append(event)
                continue
            if held is not None:
                self._held = None
                if isinstance(event, type(held)) and event.data.startswith(b"\n"):
                    held = held._replace(data=held.data + b"\n")
                    event = event._replace(offset=event.offset + 1, data=event.data[1:])
                told.append(held)
            if isinstance(event, (Body, HeadRest)):
                if event.data.endswith(b"\r"):
                    self._held = event
                    continue
                if not event.data:  # it was the LF alone
                    continue
            told.append(event)
        return told


def _as_stored(event: Event) -> Event:
    if isinstance(event, Head):
        stored, line = event.data.translate(SWAP_CR_LF), event.from_line.translate(SWAP_CR_LF)
        return event._replace(data=stored, from_line=line, newline=b"\r")
    if isinstance(event, Rejected):
        return event._replace(line=event.line.translate(SWAP_CR_LF))
    if isinstance(event, End):
        return event
    return event._replace(data=event.data.translate(SWAP_CR_LF))
