"""Just enough of MIME to tell a message's own text from the mailbox around it (RFC 2046 §5.1)."""

from __future__ import annotations

import re
from itertools import islice

from unmbox._fromline import LOOK_AHEAD

MAX_ATTACHED = 16 << 20
"""Octets after which an attached mailbox that nothing closes no longer hides From_ lines."""
MAX_PEEKS = 100
"""How often in one message undeclared boundaries are looked for ahead: bounds the cost of hostile mail."""

# Why a From_ line is the open message's own text.
FIRST_OF_PART = "first-line-of-mime-part"
IN_ATTACHED = "inside-attached-mailbox"
INCLUDED = "after-included-message-marker"

# Searched for in lower case; the values are then taken from the octets as they are.
_DECLARED = re.compile(rb"boundary[ \t]*=[ \t]*(?:\"([^\"\r\n]{1,200})\"|([^\s;\"]{1,200}))").finditer
_MAX_DECLARED = 100
_MAY_BE_PART = re.compile(rb"--|[ \t]|[!-9;-~]+[ \t]*:").match
_PART = re.compile(rb"\n?--([^\r\n]{1,200}?)[ \t]*\r?\n((?:[!-9;-~]+[ \t]*:[^\n]*\n|[ \t][^\n]*\n)*)\r?\n")
_PART_HEADER = re.compile(rb"\n((?:[!-9;-~]+[ \t]*:[^\n]*\n|[ \t][^\n]*\n)*)\r?\n")
_MAX_BOUNDARY = 300  # octets of a line that closes a part, white space behind it included
_MESSAGE = re.compile(rb"(?:^|\n)Content-Type[ \t]*:\s*\"?message/(?:rfc822|global|news)", re.IGNORECASE)
_INCLUDED = re.compile(rb"-+ ?Begin (?:Included|Forwarded) Message ?-+[ \t]*", re.IGNORECASE)


def may_open_part(data: bytes, line: int) -> bool:
    """Whether a line may be the last of a part's header, or a marker: nine lines in ten are neither."""
    return _MAY_BE_PART(data, line) is not None


def follows_marker(before: bytes) -> bool:
    """Whether the last line that is not empty says that a message is included here."""
    lines = before[-200:].rstrip()
    return lines.endswith(b"-") and _INCLUDED.fullmatch(lines, lines.rfind(b"\n") + 1) is not None


class OpenMessage:
    """What a message's parts say of the From_ lines in its body. `head` is its header block."""

    def __init__(self, head: bytes) -> None:
        self._digest = b"multipart/digest" in head.lower()
        self._declared = _boundaries(head)
        self._peeks = 0
        self._closing: re.Pattern[bytes] | None = None  # finds the line that closes an attached mailbox
        self._begun = 0  # the source's offsets where that mailbox began,
        self._seen = 0  # and up to which it was searched

    def claims(self, before: bytes, data: bytes, at: int, offset: int, at_eof: bool) -> str | None:
        """Why the line at ``data[at]``, after an empty line, is the message's own, "" if it is not.

        `before` are the octets of the message before it, `offset` is its place in the source. None where
        more octets decide.
        """
        lines = before.rstrip(b"\r\n")
        last = lines[lines.rfind(b"\n") + 1 :]
        if last[2:-2] in self._declared and last[2:] not in self._declared and last.endswith(b"--"):
            return ""  # the outermost multipart has ended, as most do just before the next message
        start = before.rfind(b"\n--", 0, len(lines))
        part = _PART.fullmatch(before, start) if start >= 0 else None
        if part is None:
            return IN_ATTACHED if self._declared and self._attaches(before, offset) else ""
        boundary, header = part.groups()
        if boundary not in self._declared:
            known = self._is_nested(boundary, header, before, data, at, at_eof)
            if not known:
                return None if known is None else ""
        if self._holds_message(header):
            self._attach(boundary, offset)
        return FIRST_OF_PART

    def _is_nested(
        self, boundary: bytes, header: bytes, before: bytes, data: bytes, at: int, at_eof: bool
    ) -> bool | None:
        """Whether a multipart within this one has the boundary: declared just before, or coming again.

        Undeclared dashes without a field of MIME below them, or closing ones, are a signature's.
        """
        if boundary in _boundaries(before):
            return True
        if b"content-" not in header.lower() or boundary.endswith(b"--"):
            return False
        if self._declared:
            return True
        if self._peeks >= MAX_PEEKS:
            return False
        again = data.find(b"\n--" + boundary, at, at + LOOK_AHEAD) >= 0
        if not again and not at_eof and len(data) - at <= LOOK_AHEAD:
            return None
        self._peeks += 1
        return again

    def _holds_message(self, header: bytes) -> bool:
        # RFC 2046 §5.1.5: what a digest holds are messages, said or not.
        return _MESSAGE.search(header) is not None or (self._digest and b"content-type" not in header.lower())

    def _attaches(self, before: bytes, offset: int) -> bool:
        """Whether the last part that began in these octets is an attached message: the rest is its text."""
        ends = [opened.end() for opened in _boundary_lines(self._declared).finditer(before)]
        part = _PART_HEADER.match(before, ends[-1] - 1) if ends else None
        if part is None or not self._holds_message(part[1]):
            return False
        self._attach(b"", offset)
        return True

    def _attach(self, boundary: bytes, offset: int) -> None:
        """From here on the message's text is a mailbox, up to a boundary of this part or of one around it."""
        self._closing = _boundary_lines(self._declared | {boundary} - {b""})
        self._begun = self._seen = offset

    def holds(self, behind: bytes, data: bytes, at: int, base: int) -> bool:
        """Whether ``data[at]`` is inside an attached mailbox that no boundary has closed yet.

        `behind` are the octets before `data`, `base` is the source's offset of ``data[0]``.
        """
        closing = self._closing
        if closing is None:
            return False
        # Where the last look ended, but for a boundary of which it may have seen the beginning.
        start = max(self._seen - _MAX_BOUNDARY, self._begun) - base
        near = start >= 0
        closed = closing.search(data, start, at) if near else closing.search(behind[start:] + data[:at])
        self._seen = base + at
        if closed or self._seen - self._begun > MAX_ATTACHED:
            self._closing = None
        return self._closing is not None


def _boundaries(octets: bytes) -> frozenset[bytes]:
    """The boundaries that these octets declare."""
    spans = (match.span(match.lastindex or 0) for match in _DECLARED(octets.lower()))
    return frozenset(octets[slice(*span)] for span in islice(spans, _MAX_DECLARED))


def _boundary_lines(boundaries: frozenset[bytes]) -> re.Pattern[bytes]:
    """What finds a line that is one of these boundaries, closing or not. Compiling it takes 0.1 ms."""
    return re.compile(rb"\n--(?:" + b"|".join(map(re.escape, boundaries)) + rb")(?:--)?[ \t]*\r?\n")
