"""Just enough of MIME to tell a message's own text from the mailbox around it (RFC 2046 §5.1)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from itertools import islice
from typing import TypeAlias

from unmbox._late import late

BOUNDARY_AHEAD = 1 << 20
"""Octets behind a From_ line within which the open message's boundary tells that the line is its own."""

# Why a From_ line is the open message's own text.
FIRST_OF_PART = "first-line-of-mime-part"
IN_MULTIPART = "inside-multipart"
INCLUDED = "after-included-message-marker"

# RFC 2231 §3 and §4: a parameter in numbered sections, or with a charset and octets as %XX. Searched for in
# small letters; the values are then taken from the octets as they are.
_DECLARATION = late(
    rb"boundary[ \t]*(?:\*(\d+))?(\*?)[ \t]*=[ \t\r\n]*(?:\"([^\"\r\n]{1,998})\"|([^\s;\"]{1,998}))"
)
_ONE_DECLARED = re.compile(rb"boundary=(?:\"([^\"\r\n]{1,998})\"|([^\s;\"]{1,998}))").match
_MAX_BOUNDARIES = 100
_MAX_HITS = 20  # of a boundary's octets: few others have them
_PERCENT = late(rb"%([0-9A-Fa-f]{2})")
_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*:").match
_PART = late(rb"\n--([^\r\n]{1,998})\r?\n((?:[!-9;-~]+[ \t]*:[^\n]*\n|[ \t][^\n]*\n)*)\r?\n")
# The line end behind it is the one before the next such line, so it is not taken.
_OF_MIME = re.compile(rb"(?:\A|\n)content-", re.IGNORECASE).search
_DASHED = re.compile(rb"\n--([^\r\n]*)\r?(?=\n|\Z)").findall
_TEXTS = re.compile(rb"--(?<=\n--)([^\n]*)").findall
Rest: TypeAlias = "Callable[[bytes, int, int], re.Match[bytes] | None]"
_REST_OF_DASHED = re.compile(rb"(?:--)?[ \t]*\r?(?=\n|\Z)").match
_REST_IS_WHITE: Rest = re.compile(rb"[ \t\v\f]*\r?(?=\n|\Z)").match
_BUCKETS = (1 << 20) - 1  # a mask
_BLOCK = 12  # bits: blocks of 4 KiB
_STEP = 1 << 16  # octets that are looked at in one go
# How many blocks ahead a line can have been seen, and how many searches for one are remembered.
_FAR = (BOUNDARY_AHEAD + _STEP >> _BLOCK) + 2
_MAX_FOUND = 128
_INCLUDED = re.compile(rb"-+ ?Begin (?:Included|Forwarded) Message ?-+[ \t]*", re.IGNORECASE)


def may_open_part(line: bytes, at: int) -> bool:
    """Whether the line at `at` may be the last of a part's header, or a marker: nine in ten are neither."""
    return line[at] in b"- \t" or (line.find(b":", at) >= 0 and _FIELD_NAME(line, at) is not None)


def follows_marker(before: bytes) -> bool:
    """Whether the last line that is not empty says that a message is included here."""
    lines = before[-200:].rstrip()
    return lines.endswith(b"-") and _INCLUDED.fullmatch(lines, lines.rfind(b"\n") + 1) is not None


def boundaries(octets: bytes) -> list[bytes]:
    """The boundaries that these octets declare, a hundred of them at most."""
    small = octets.lower()
    first = small.find(b"boundary")
    if first < 0:
        return []
    found: list[bytes] = []
    one = _ONE_DECLARED(small, first)
    if one and small.find(b"boundary", first + 8) < 0:  # as in most mail, and in half the time
        return [octets[one.start(one.lastindex or 0) : one.end(one.lastindex or 0)]]
    for match in islice(_DECLARATION.finditer(small, first), _MAX_BOUNDARIES):
        value = octets[slice(*match.span(match.lastindex or 0))]
        if match[2]:
            value = _PERCENT.sub(lambda code: bytes([int(code[1], 16)]), value.rpartition(b"'")[2])
        if match[1] and int(match[1][:4]) and found:
            found[-1] += value
        else:
            found.append(value)
    return found


def declares(data: bytes, at: int, end: int, boundary: bytes) -> bool:
    """Whether ``data[at:end]`` declares a boundary, which mostly the next header block does."""
    size = 1 << 8
    while size < end - at:
        # No declaration but the last goes on behind a line end.
        if boundary in boundaries(data[at : data.rfind(b"\n", at, at + size) + 1])[:-1]:
            return True
        size <<= 3
    if boundary in boundaries(data[at:end]):
        return True
    # Behind a hundred others, as it is written nearly always.
    hit = data.find(boundary, at, end)
    for _ in range(_MAX_HITS):
        if hit < 0:
            break
        near = data[
            max(at, hit - 100) : hit + len(boundary) + 1
        ]  # the last octet shows whether it ends there
        for match in _DECLARATION.finditer(near.lower()):
            if not (match[1] or match[2]) and near[slice(*match.span(match.lastindex or 0))] == boundary:
                return True
        hit = data.find(boundary, hit + 1, end)
    return False


class OpenMessage:
    """What a message's parts say of the From_ lines in its body. `declared` are its header's boundaries."""

    __slots__ = ("_declared", "_inside_to", "_known", "_seen")

    def __init__(self, declared: list[bytes]) -> None:
        self._declared = declared
        self._known = declared.copy()  # and those of parts that began with a From_ line
        self._inside_to = 0  # the source's offset of a boundary that is known to come
        self._seen = 0  # and of the From_ line before which no line closes it

    def is_closed_by(self, line: bytes) -> bool:
        """Whether a line closes the outermost multipart, as most mail does just before the next message."""
        return (
            line.startswith(b"--")
            and line.endswith(b"--")
            and line[2:-2] in self._declared
            and line[2:] not in self._declared
        )

    def is_cut_off(self, ahead: Ahead, at: int) -> bool:
        """Whether none of its boundaries comes behind the source's offset `at`, as is certain by now."""
        if at >= self._inside_to:
            for boundary in self._known:
                if ahead.find(boundary) != -1:
                    break
            else:
                return True
        return False

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
            for line in map(
                bytes.rstrip, reversed(_DASHED(before, max(0, self._seen - at + len(before) - 1)))
            ):
                if line in self._declared:
                    break
                if self.is_closed_by(b"--" + line):
                    return ""
            self._seen = at
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
        if not boundary or boundary.endswith(b"--") or not _OF_MIME(header):
            return False
        if self._declared:
            return True
        found = ahead.find(boundary)
        return None if found is None else found >= 0


class Ahead:
    """What stands behind a From_ line: whether a line there is a certain boundary.

    Mail made to be slow asks for another boundary at every From_ line. So each octet is searched for such
    lines once, whoever asks, and the block of 4 KiB where the last of them was seen is kept under two hashes
    of it, in 2 MiB; only what these do not rule out is searched for. Block numbers wrap after 256 MiB: one
    from so long ago may rule out less, never more.
    """

    __slots__ = ("_at", "_at_eof", "_base", "_data", "_first", "_last_seen", "_looked", "_seen")

    def __init__(self) -> None:
        self._last_seen = array("H")
        self._seen = 0  # the source's offset up to which all lines are in
        self._looked = 0  # and up to which there is no other that is whole
        self._first: dict[tuple[bytes, Rest], int] = {}  # the source's offset before which no such line comes
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
        data, at, base = self._data, self._at, self._base
        size = len(data)
        stop = at + BOUNDARY_AHEAD if size - at > BOUNDARY_AHEAD else size
        if (self._seen if self._at_eof else self._looked) < base + stop:
            self._index(stop)
        # Lines that begin in this block are searched for, and the blocks behind it only where they hold one.
        line_start = b"\n--" + boundary
        here = base + at >> _BLOCK
        near = (here + 1 << _BLOCK) - base + len(line_start)
        number, seen = hash(boundary), self._last_seen
        far = (
            seen
            and 0 < (seen[number & _BUCKETS] - here & 0xFFFF) <= _FAR
            and 0 < (seen[number >> 20 & _BUCKETS] - here & 0xFFFF) <= _FAR
        )
        if far or data.find(line_start, at, min(near, stop)) >= 0:
            line = self._find_line(boundary, None if far else near)
            if line >= 0:
                return -1 if declares(data, at, line, boundary) else base + line
        return -1 if self._at_eof or size - at >= BOUNDARY_AHEAD else None

    def _find_line(self, boundary: bytes, near: int | None) -> int:
        """Where the line is that a boundary begins, before `near` or as far as is looked; -1 if none is."""
        data, at = self._data, self._at
        stop = min(len(data), at + BOUNDARY_AHEAD)
        if not (self._at_eof and stop == len(data)):
            stop = data.rfind(b"\n", at, stop) + 1
        last = stop if near is None else min(near, stop)
        if b"\r" in boundary or b"\n" in boundary:
            return -1
        # What ends in white space is taken for a line's end, unless closing dashes stand behind.
        if boundary[-1:].isspace():
            if self._search(boundary + b"--", _REST_IS_WHITE, last, stop) < 0:
                return -1
            last = stop
        return self._search(boundary, _REST_OF_DASHED, last, stop)

    def _search(self, text: bytes, rest: Rest, last: int, stop: int) -> int:
        """Where a line of this text goes on as `rest` says, else -1. Up to `stop` it is searched once."""
        data, base, line_start, asked = self._data, self._base, b"\n--" + text, (text, rest)
        line = data.find(line_start, max(self._at, self._first.get(asked, 0) - base), last)
        while line >= 0 and not rest(data, line + len(line_start), stop):
            line = data.find(line_start, line + 1, last)
        if last == stop:
            if len(self._first) >= _MAX_FOUND:
                self._first.clear()
            self._first[asked] = base + (line if line >= 0 else stop - 1)
        return line

    def _index(self, stop: int) -> None:
        """Take in the lines that begin before `stop`, and some more, so that not every From_ line does."""
        data, base = self._data, self._base
        at = max(self._at, self._seen - base)
        stop = min(len(data), stop + _STEP)
        self._looked = base + stop
        if not (self._at_eof and stop == len(data)):
            stop = data.rfind(b"\n", at, stop)
        while (at := data.find(b"\n--", at, stop)) >= 0:
            block = base + at >> _BLOCK
            end = min((block + 1 << _BLOCK) - base, stop)
            after = data.find(b"\n", end)  # the end of the last of them
            texts = set(map(bytes.rstrip, _TEXTS(data, at + 1, after if after >= 0 else len(data))))
            texts.update([text[:-2] for text in texts if text[-2:] == b"--"])
            if not self._last_seen:
                self._last_seen = array("H", bytes(2 * (_BUCKETS + 1)))
            seen, block = self._last_seen, block & 0xFFFF
            for number in map(hash, texts):
                seen[number & _BUCKETS] = seen[number >> 20 & _BUCKETS] = block
            at = end
        self._seen = max(self._seen, base + stop)
