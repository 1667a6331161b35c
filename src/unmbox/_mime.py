"""Just enough of MIME to tell a message's own text from the mailbox around it (RFC 2046 §5.1)."""

from __future__ import annotations

import re
from array import array
from itertools import islice

BOUNDARY_AHEAD = 1 << 20
"""Octets behind a From_ line within which the open message's boundary tells that the line is its own."""

# Why a From_ line is the open message's own text.
FIRST_OF_PART = "first-line-of-mime-part"
IN_MULTIPART = "inside-multipart"
INCLUDED = "after-included-message-marker"

# RFC 2231 §3 and §4: a parameter in numbered sections, or with a charset and octets as %XX. Searched for in
# small letters; the values are then taken from the octets as they are.
_DECLARED = re.compile(
    rb"boundary[ \t]*(?:\*(\d+))?(\*?)[ \t]*=[ \t\r\n]*(?:\"([^\"\r\n]{1,998})\"|([^\s;\"]{1,998}))"
).finditer
_MAX_BOUNDARIES = 100
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_MAY_BE_PART = re.compile(rb"-|[ \t]|[!-9;-~]+[ \t]*:").match
_PART = re.compile(rb"\n--([^\r\n]{1,998})\r?\n((?:[!-9;-~]+[ \t]*:[^\n]*\n|[ \t][^\n]*\n)*)\r?\n")
# The line end behind it is the one before the next such line, so it is not taken.
_DASHED = re.compile(rb"\n--([^\r\n]*)\r?(?=\n|\Z)")
_REST_OF_DASHED = re.compile(rb"(?:--)?[ \t]*\r?(?=\n|\Z)").match
_BUCKETS = (1 << 18) - 1  # a mask
_INCLUDED = re.compile(rb"-+ ?Begin (?:Included|Forwarded) Message ?-+[ \t]*", re.IGNORECASE)


def may_open_part(line: bytes, at: int) -> bool:
    """Whether the line at `at` may be the last of a part's header, or a marker: nine in ten are neither."""
    return _MAY_BE_PART(line, at) is not None


def follows_marker(before: bytes) -> bool:
    """Whether the last line that is not empty says that a message is included here."""
    lines = before[-200:].rstrip()
    return lines.endswith(b"-") and _INCLUDED.fullmatch(lines, lines.rfind(b"\n") + 1) is not None


def is_multipart(head: bytes) -> bool:
    """Whether a header block may declare a boundary."""
    return b"boundary" in head.lower()


def boundaries(octets: bytes) -> list[bytes]:
    """The boundaries that these octets declare, a hundred of them at most."""
    found: list[bytes] = []
    for match in islice(_DECLARED(octets.lower()), _MAX_BOUNDARIES):
        value = octets[slice(*match.span(match.lastindex or 0))]
        if match[2]:
            value = _PERCENT.sub(lambda code: bytes([int(code[1], 16)]), value.rpartition(b"'")[2])
        if match[1] and int(match[1][:4]) and found:
            found[-1] += value
        else:
            found.append(value)
    return found


class OpenMessage:
    """What a message's parts say of the From_ lines in its body. `head` is its header block."""

    __slots__ = ("_declared", "_inside_to", "_known")

    def __init__(self, head: bytes) -> None:
        self._declared = boundaries(head)
        self._known = self._declared.copy()  # and those of parts that began with a From_ line
        self._inside_to = 0  # the source's offset of a boundary that is known to come

    def is_closed_by(self, line: bytes) -> bool:
        """Whether a line closes the outermost multipart, as most mail does just before the next message."""
        return (
            line.startswith(b"--")
            and line.endswith(b"--")
            and line[2:-2] in self._declared
            and line[2:] not in self._declared
        )

    def claims(self, before: bytes, blank: bool, ahead: Ahead, at: int) -> str | None:
        """Why the From_ line at the source's offset `at` is the message's own; "" if it is not.

        `before` are the octets of the message before it, of which the last line is empty if `blank`. None
        where more octets decide.
        """
        lines = before.rstrip()
        if self.is_closed_by(lines[lines.rfind(b"\n") + 1 :]):
            return ""
        if at < self._inside_to:
            return IN_MULTIPART
        if self._declared:
            for line in map(bytes.rstrip, reversed(_DASHED.findall(before))):
                if line in self._declared:
                    break
                if self.is_closed_by(b"--" + line):
                    return ""
        start = before.rfind(b"\n--") if blank else -1
        part = _PART.fullmatch(before, start) if start >= 0 else None
        if part:
            boundary = part[1].rstrip()
            opens = self._is_nested(boundary, part[2], before, ahead)
            if opens is None:
                return None
            if opens:
                if boundary not in self._known and len(self._known) < _MAX_BOUNDARIES:
                    self._known.append(boundary)
                return FIRST_OF_PART
        for boundary in self._known:
            found = ahead.find(boundary)
            if found is None:
                return None
            if found >= 0:
                self._inside_to = found
                return IN_MULTIPART
        return ""

    def _is_nested(self, boundary: bytes, header: bytes, before: bytes, ahead: Ahead) -> bool | None:
        """Whether a boundary is one: declared in the header or just before, or coming again.

        Undeclared dashes without a field of MIME below them, or closing ones, are a signature's.
        """
        if boundary in self._known or boundary in boundaries(before):
            return True
        if b"content-" not in header.lower() or boundary.endswith(b"--"):
            return False
        if self._declared:
            return True
        found = ahead.find(boundary)
        return None if found is None else found >= 0


class Ahead:
    """What stands behind a From_ line: whether a line there is a certain boundary.

    Mail made to be slow asks for another boundary at every From_ line. So each octet is searched for such
    lines once, whoever asks, and where the last of them was seen is kept under two hashes of it, in 2 MiB;
    only what these do not rule out is searched for.
    """

    __slots__ = ("_at", "_at_eof", "_base", "_data", "_last_seen", "_seen")

    def __init__(self) -> None:
        self._last_seen = array("Q")
        self._seen = 0  # the source's offset up to which all lines are in
        self._data = b""
        self._at = self._base = 0
        self._at_eof = False

    def look(self, data: bytes, at: int, base: int, at_eof: bool) -> None:
        """Stand at ``data[at]``; `base` is the source's offset of ``data[0]``."""
        self._data, self._at, self._base, self._at_eof = data, at, base, at_eof

    def find(self, boundary: bytes) -> int | None:
        """The source's offset of the next such line, closing or not, within `BOUNDARY_AHEAD` octets.

        -1 if none comes, or only after a header that declares the same boundary: what it then parts is the
        next message. None where more octets decide.
        """
        data, at = self._data, self._at
        stop = min(len(data), at + BOUNDARY_AHEAD)
        if not (self._at_eof and stop == len(data)):
            stop = data.rfind(b"\n", at, stop) + 1
        self._index(stop)
        if self._may_come(boundary):
            line = data.find(b"\n--" + boundary, at, stop)
            while line >= 0:
                if _REST_OF_DASHED(data, line + 3 + len(boundary), stop):
                    return -1 if boundary in boundaries(data[at:line]) else self._base + line
                line = data.find(b"\n--" + boundary, line + 1, stop)
        return -1 if self._at_eof or len(data) - at >= BOUNDARY_AHEAD else None

    def _may_come(self, boundary: bytes) -> bool:
        if not self._last_seen:
            return False
        here, number = self._base + self._at, hash(boundary)
        return self._last_seen[number & _BUCKETS] > here and self._last_seen[number >> 18 & _BUCKETS] > here

    def _index(self, stop: int) -> None:
        base = self._base
        start = max(self._at, self._seen - base)
        for match in _DASHED.finditer(self._data, start, stop) if start < stop else ():
            if not self._last_seen:
                self._last_seen = array("Q", bytes(8 * (_BUCKETS + 1)))
            line = match[1].rstrip()
            for text in (line, line[:-2]) if line.endswith(b"--") else (line,):
                number = hash(text)
                self._last_seen[number & _BUCKETS] = base + match.start() + 1
                self._last_seen[number >> 18 & _BUCKETS] = base + match.start() + 1
        self._seen = max(self._seen, base + stop - 1)
