"""What becomes of a From_ line: `decide`'s word on it, and what the open message has to say."""

from __future__ import annotations

from unmbox._fromline import (
    SURELY,
    TOO_LONG,
    decide,
    find_other,
    holds_trace_fields_only,
    is_stub,
    surely_none,
    trace_lines,
)
from unmbox._mime import INCLUDED, Ahead, OpenMessage, boundaries, follows_marker, may_open_part
from unmbox._scan import FROM_LINE, empty_line
from unmbox._window import LOOK_BEHIND, MAX_LINE, Window
from unmbox.events import Event, Rejected

MAX_HEAD = 1 << 20
"""Octets of a header block in a `Head`. Postfix takes 100 KiB of header, Exim 1 MiB."""
MAX_TOLD = 10_000
"""Lines of a source that are reported one by one; those after them are counted where that is faster."""
IN_HEADER_BLOCK = "inside-header-block"

_LF, _CR, _DASH = b"\n\r-"
_TAIL = 256
"""Octets before a From_ line that show whether it ends its message in the plainest way."""

_NEAR = 1 << 12
"""Octets of a header block that are searched for its end before lines in it are counted."""
_new = tuple.__new__  # half of what it costs to call the class

Verdict = tuple[bool, str]


class Judge(Window):
    """Decides on the From_ lines in the window."""

    def __init__(self, base: int, variant: str) -> None:
        super().__init__(base, variant)
        self._told = 0  # lines that were not taken
        self._ahead = Ahead()
        self._by_length = False
        # The open message.
        self._block = 0  # its header block in the source
        self._head: bytes | None = None  # its header block, once `Head` has gone out
        self._mime: OpenMessage | None = None
        self._trace_only = True
        self._may_be_stub = True  # no From_ line has stood in the header block so far

    def _decide(
        self, at: int, line_end: int, blank: bool, at_eof: bool, *, alone: bool = False
    ) -> Verdict | None:
        if line_end < 0:
            return False, TOO_LONG
        return decide(self._data, at, line_end, blank_before=blank, alone=alone, at_eof=at_eof)

    def _reject(self, at: int, line_end: int, reason: str, lines: int = 1) -> Rejected:
        if line_end < 0:
            line_end = at + MAX_LINE
        self._scan = line_end
        self._told += lines
        return _new(Rejected, (self._base + at, self._line(at, line_end), reason, lines))

    def _pass_over(self, at: int, end: int | None = None) -> Rejected | None:
        """Reject a From_ line that is surely no separator, as `decide` would; None if it may be one.

        Those behind it, before `end`, that surely are none for the same reason go with it once lines are only
        counted.
        """
        passed: list[Rejected] = []
        self._pass_over_all(at, len(self._data) if end is None else end, passed, 1)
        return passed[0] if passed else None

    def _pass_over_all(self, at: int, end: int, passed: list[Event] | list[Rejected], most: int = 0) -> bool:
        """The same for those behind it, for whichever reason, or `most` of these; whether there was one.

        In mail made to be slow the reason changes from line to line, so this loop calls nothing of ours.
        """
        data, base = self._data, self._base
        match_at = surely_none()
        match = match_at(data, at)
        if match is None:
            return False
        if self._told < MAX_TOLD:
            passed.append(self._reject(at, data.index(b"\n", at), SURELY[match.lastindex or 0]))
            return True
        find = find_other()
        if self._quoted < 0 and self._search is not FROM_LINE:
            self._note_quoted(at)
        while match is not None:
            kind = match.lastindex or 0
            line_end = data.index(b"\n", at)
            line = data[at : min(line_end, at + MAX_LINE)].removesuffix(b"\r")
            other = find[kind](data, line_end, end)
            last = other.start() - 1 if other else max(line_end, data.rfind(b"\n", line_end, end))
            lines = 1 if last == line_end else 1 + data.count(b"\nFrom ", line_end, last)
            passed.append(_new(Rejected, (base + at, line, SURELY[kind], lines)))
            self._told += lines
            self._scan = last
            if other is None or most:
                break
            at = last + 1
            match = match_at(data, at)
        return True

    def _pass_in_head(self, at: int) -> Rejected | None:
        """The same for a From_ line in a header block."""
        data, near = self._data, self._block - self._base + MAX_HEAD
        if at > near or not self._only_trace_fields(at):
            end = min(at + _NEAR, len(data))
            stop = empty_line(data, at, end)
            return self._pass_over(at, stop.start() + 1 if stop else end)
        found = trace_lines(data, at, near) if self._told >= MAX_TOLD and not self._may_be_stub else None
        if found is None:
            return None
        lines = data.count(b"\nFrom ", at - 1, found.end())
        rejected = self._reject(at, data.index(b"\n", at), IN_HEADER_BLOCK, lines)
        self._checked = found.end()
        self._scan = found.end() - 1
        return rejected

    def _decide_in_head(self, at: int, line_end: int, at_eof: bool) -> Verdict | None:
        begin = self._block - self._base
        if at - begin <= MAX_HEAD and self._only_trace_fields(at):
            # A relay wrote the message's own From_ line among the fields: it begins nothing.
            self._may_be_stub = self._may_be_stub and is_stub(self._data, begin, at)
            if not self._may_be_stub:
                return False, IN_HEADER_BLOCK
        return self._decide(at, line_end, self._blank_before(at), at_eof)

    def _only_trace_fields(self, at: int) -> bool:
        """Whether the block up to `at` is all fields, and none that every message has."""
        if self._trace_only and at > self._checked:
            lines = b"\n" + self._data[self._checked : at - 1]
            self._trace_only = holds_trace_fields_only(lines)
            self._checked = at
        return self._trace_only

    def _plain_end(self, at: int, at_eof: bool) -> int:
        """Where the body ends before a From_ line with a common date that surely separates; 0 otherwise.

        That is after an empty line, itself after a line that is neither MIME's nor a marker, in a message of
        one part or in a multipart that is cut off; or after a line that closes the message's multipart. With
        the facts at hand, and no call of `decide`, whose verdict is the same.
        """
        data = self._data
        if at < _TAIL or self._by_length:
            return 0
        end = at - 2 if data[at - 2] == _CR else at - 1
        if data[end - 1] != _LF:
            return 0
        tail = data[at - _TAIL : end].rstrip()
        last = tail.rfind(b"\n") + 1
        if not last:
            return 0
        mime = self._mime
        if mime is None:
            declared = boundaries(self._head or b"")
            if not declared:
                # Only the last 200 octets of a line are a marker's, so it may begin with anything.
                return 0 if may_open_part(tail, last) or tail[-1] == _DASH else end
            self._mime = mime = OpenMessage(declared)
        if tail[-1] == _DASH:
            return end if mime.is_closed_by(tail[last:]) else 0
        if may_open_part(tail, last):
            return 0
        ahead = self._ahead
        ahead.look(data, at, self._base, at_eof)
        return end if mime.is_cut_off(ahead, self._base + at) else 0

    def _decide_in_body(self, at: int, line_end: int, at_eof: bool) -> Verdict | None:
        blank = self._blank_before(at)
        verdict = self._decide(at, line_end, blank, at_eof)
        if verdict is None or not verdict[0]:
            return verdict
        before = self._before(at, min(LOOK_BEHIND, self._base + at - self._block))
        if follows_marker(before):
            return False, INCLUDED
        if self._mime is None:
            self._mime = OpenMessage(boundaries(self._head or b""))
        self._ahead.look(self._data, at, self._base, at_eof)
        claim = self._mime.claims(before, blank, self._ahead, self._base + at)
        if claim is None:
            return None
        return (False, claim) if claim else verdict
