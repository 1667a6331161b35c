"""Searches in a chunk of a mailbox that cost a constant number of Python steps, whatever the chunk holds."""

from __future__ import annotations

import re

from unmbox._fromline import LOOK_AHEAD

FROM_SIZE = len(b"\nFrom ")
WINDOW = 1 << 15
"""Octets that are searched for words before the next leap over octets without a space."""

# Quoting deeper than this is not mail, and a bound keeps an endless run of ">" from being held back.
_QUOTES = rb">{0,998}"
_FROM = re.compile(rb"\n" + _QUOTES + rb"From ")
_TAIL = re.compile(_QUOTES + rb"(?:F(?:r(?:om?)?)?)?")
_TAIL_SIZE = 998 + len(b"From ")
_UNQUOTE = {
    "mboxrd": re.compile(rb"\n>(>{0,997}From )"),
    "mboxo": re.compile(rb"\n>(From )"),
    "mboxcl": re.compile(rb"\n>(From )"),
}


def find_from(data: bytes, at: int) -> re.Match[bytes] | None:
    """Find the next line that begins ``>*From `` and whose line end before it is at `at` or later.

    The match begins at that line end, so it is `FROM_SIZE` octets long where the line is not quoted.
    Attachments hold no space for megabytes and a From_ line does, so a search for that one octet, fifty
    times as fast as for six, leaps over them.
    """
    end = len(data)
    while (space := data.find(b" ", at, end)) >= 0:
        line = data.rfind(b"\n", at, space)
        at = line if line >= 0 else space
        stop = min(end, space + WINDOW)
        # The bare word is found faster than any pattern; the pattern then begins at its line.
        word = data.find(b"From", at, stop)
        if word >= 0:
            line = data.rfind(b"\n", at, word)
            match = _FROM.search(data, line if line >= 0 else word, stop)
            if match:
                return match
        if stop == end:
            break
        # Nothing begins at any line of the window but perhaps at its last, which it may have cut.
        line = data.rfind(b"\n", at + 1, stop)
        at = line if line >= 0 else stop
    return None


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
    if line >= 0 and _TAIL.fullmatch(data, line + 1, end):
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


def unquote(octets: bytes, variant: str) -> bytes:
    """Take the writer's ``>`` from each quoted line after a line end, as the variant wants it."""
    return _UNQUOTE[variant].sub(rb"\n\1", octets)
