"""How a mailbox was written: its quoting and its line end, decided from its first octets."""

from __future__ import annotations

import re

from unmbox.events import End, Event, Head, Rejected

VARIANTS = ("auto", "mboxrd", "mboxo", "mboxcl", "mboxcl2")

SWAP_CR_LF = bytes.maketrans(b"\r\n", b"\n\r")
"""A table for `bytes.translate` that makes a CR-only source an LF one and back again, losing nothing."""

NO_LENGTH, BAD_LENGTH = -1, -2

_CONTENT_LENGTH = re.compile(rb"\nContent-Length[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)
_QUOTED = re.compile(rb"\n(>{1,998})From ")
_DEPTH = re.compile(rb"(?:> ?)*")
_LENGTH = re.compile(rb"\nContent-Length[ \t]*:[ \t]*(\d{1,8})[ \t]*\r?\n", re.IGNORECASE)
_BLOCK_END = re.compile(rb"\n\r?\n")


def is_cr_only(first: bytes) -> bool:
    """Tell whether lone CRs end the lines of a source that begins with these octets."""
    return b"\r" in first and b"\n" not in first


def settle_variant(first: bytes) -> str:
    """Decide ``"mboxrd"``, ``"mboxo"`` or ``"mboxcl2"`` from a source's first octets (LF or CRLF lines).

    mboxrd and mboxo differ only in ``>>From `` lines: mboxrd's writer put one ``>`` there, mboxo's did
    not touch them. So the depth of quoting around such a line tells: text that a reply quotes twice
    stands among other lines quoted twice. ``mboxcl2`` quotes nothing, which shows where a Content-Length
    is right although its body holds ``From `` lines as they were. Without evidence: mboxrd, which is
    right for both as long as no ``>>From `` comes.
    """
    if _holds_unquoted_bodies(first):
        return "mboxcl2"
    as_written = deeper = 0
    for match in _QUOTED.finditer(first):
        depth = len(match[1])
        around = max(_depth_before(first, match.start()), _depth_after(first, match.end()))
        as_written += depth > 1 and around >= depth
        deeper += depth > 1 and around < depth
    return "mboxo" if as_written > deeper else "mboxrd"


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


def as_stored(event: Event) -> Event:
    """Give a CR-only source's event back the octets that the source has."""
    if isinstance(event, Head):
        stored, line = event.data.translate(SWAP_CR_LF), event.from_line.translate(SWAP_CR_LF)
        return event._replace(data=stored, from_line=line, newline=b"\r")
    if isinstance(event, Rejected):
        return event._replace(line=event.line.translate(SWAP_CR_LF))
    if isinstance(event, End):
        return event
    return event._replace(data=event.data.translate(SWAP_CR_LF))
