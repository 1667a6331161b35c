"""Searches in a chunk of a mailbox that cost a constant number of Python steps, whatever the chunk holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from unmbox._fromline import LOOK_AHEAD

Search: TypeAlias = "Callable[[bytes, int, int], re.Match[bytes] | None]"

FROM_SIZE = len(b"\nFrom ")
WINDOW = 1 << 13
"""Octets that are searched for the word before the next leap over octets without a space."""

# A pattern that begins with five literal octets is searched for twice as fast as one that begins with a line
# end, and twice as fast as `bytes.find` goes; what stands before them is then looked back at.
FROM_LINE: Search = re.compile(rb"From (?<=\nFrom )").search
"""Finds a line that begins ``From ``."""
FROM_OR_QUOTED: Search = re.compile(rb"From (?<=[\n>]From )").search
"""The same, or perhaps ``>From ``: anything may stand before that ``>``."""

# Quoting deeper than this is not mail, and a bound keeps an endless run of ">" from being held back.
_MAX_QUOTES = 998
_TAIL = re.compile(rb">{0,998}(?:F(?:r(?:om?)?)?)?").fullmatch
_MAY_BEGIN = (b"", b">", b"F")  # a look that spares the pattern at most ends of chunks
_TAIL_SIZE = _MAX_QUOTES + len(b"From ")
_QUOTED = {
    "mboxrd": re.compile(rb"\n>{1,998}From ").search,
    "mboxo": re.compile(rb"\n>From ").search,
    "mboxcl": re.compile(rb"\n>From ").search,
}
# Its replacement names no group: `re` then calls back to nothing for a line.
_ONE_QUOTE = re.compile(rb"\n>(?=>{0,997}From )").sub

# The block's end, or a From_ line in it. What can follow is said twice, for the sake of the first look.
head_stop: Search = re.compile(rb"\n(?=[\r\nF])(?:\r?\n|From )").search
empty_line: Search = re.compile(rb"\n(?=[\r\n])\r?\n").search


def find_from(data: bytes, at: int, search: Search) -> int:
    """Where the next line that `search` is for says ``From ``, at `at` or later; -1 if none does.

    Attachments hold no space for megabytes and a From_ line does, so a search for that one octet, ten
    times as fast as any pattern, leaps over them.
    """
    while (space := data.find(b" ", at + 4)) >= 0:
        at = space - 4
        match = search(data, at, at + WINDOW)
        if match:
            return match.start()
        at += WINDOW - 4
    return -1


def find_quoted(data: bytes, at: int, variant: str) -> int:
    """The line end before the next quoted From_ line whose ``From `` is at `at` or later, else the end."""
    line = data.rfind(b"\n", max(0, at - _MAX_QUOTES - 1), at)
    match = _QUOTED[variant](data, line if line >= 0 else at)
    return match.start() if match else len(data)


def unquote(octets: bytes, variant: str) -> bytes:
    """Take the writer's ``>`` from each quoted line after a line end, as the variant wants it."""
    if variant == "mboxrd":
        return _ONE_QUOTE(b"\n", octets)
    return octets.replace(b"\n>From ", b"\nFrom ")


def start_of_line_end(data: bytes, at: int) -> int:
    """Where the line end (LF or CRLF) begins that stands before the line at `at`."""
    return at - 2 if at >= 2 and data[at - 2] == 0x0D else at - 1


def hold_back(data: bytes, at: int) -> tuple[int, int]:
    """What of a chunk the next octets may still change, not looking before `at`.

    Returns the index up to which it is settled, and the one where the search must go on: a line that may
    become ``>*From `` waits together with the line end before it, and a CR waits for its LF.
    """
    end = len(data)
    line = data.rfind(b"\n", max(at, end - _TAIL_SIZE), end)
    if line >= 0 and data[line + 1 : line + 2] in _MAY_BEGIN and _TAIL(data, line + 1, end):
        return start_of_line_end(data, line + 1), line
    return end - data.endswith(b"\r"), end


def find_line_end(data: bytes, at: int, at_eof: bool) -> int | None:
    """Where the line at `at` ends (its LF, or the end); -1 if it is too long; None if not yet known."""
    line_end = data.find(b"\n", at, at + LOOK_AHEAD)
    if line_end >= 0:
        return line_end
    if len(data) - at > LOOK_AHEAD:
        return -1
    return len(data) if at_eof else None


def blank_line_before(before: bytes) -> bool:
    """Whether the last line of these octets is empty or white space."""
    if before.endswith((b"\n\n", b"\n\r\n")):
        return True
    if not before[-2:-1].isspace():
        return False
    _, line_end, line = before.rstrip(b"\n\r").rpartition(b"\n")
    return bool(line_end) and not line.strip()
