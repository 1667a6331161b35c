"""`Parser`: the octets of a mailbox in, events out. No input or output of its own.

The octets pass through whole chunks at a time. A chunk is searched for the next line that begins
``From ``, quoted or not; what lies between two such lines is handed on as one piece, so the number of
Python steps grows with messages and chunks, not with lines. Held back is only what the next octets may
still change: a line that may become a From_ line, and the line end before it.
"""

from __future__ import annotations

from collections.abc import Callable

from unmbox._fromline import DATED_AFTER_BLANK, common_line
from unmbox._judge import MAX_HEAD, MAX_TOLD, Judge
from unmbox._scan import (
    FROM_LINE,
    FROM_SIZE,
    empty_line,
    find_from,
    find_line_end,
    head_stop,
    hold_back,
    start_of_line_end,
)
from unmbox._variant import (
    NO_LENGTH,
    SWAP_CR_LF,
    AsStored,
    check_variant,
    content_length,
    end_of_claim,
    is_cr_only,
    settle_variant,
)
from unmbox._window import SETTLE, as_bytes
from unmbox.errors import UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected

# What the octets and the open message say beyond `_fromline` and `_mime`.
BY_LENGTH = "Content-Length"
RESUMED = "known before"
IN_CLAIM = "inside-content-length"
HEAD_TOO_LONG = "head-too-long"
CLAIM_IGNORED = "content-length-ignored"

_BOM = b"\xef\xbb\xbf"
_QUOTE = ord(">")
_new = tuple.__new__  # half of what it costs to call the class; for what comes with every message


class Parser(Judge):
    """Turns the octets of one mailbox into events, whatever the cutting (sans-I/O).

    `variant` is how bodies are quoted: ``"mboxrd"`` (one ``>`` is taken from ``>+From ``), ``"mboxo"``
    (only ``>From ``), ``"mboxcl"`` (as mboxo, with Content-Length), ``"mboxcl2"`` (Content-Length, no
    quoting), or ``"auto"``: decided from the first 1 MiB. Content-Length counts in the last two only when
    named, and only where the octets agree with it.

    `offset`, `settled`, `newline` and `charset` are for going on in the middle of a source: the first octet
    fed stands at `offset` and begins a From_ line that is known to separate; the others are what the
    properties `variant`, `newline` and `charset` had said.

    Nothing but `UsageError` (an unknown variant, `feed` after `close`) is raised, whatever the octets.
    Held back are at most 1 MiB of a header block, of a claimed body or behind a From_ line in a multipart,
    else 64 KiB and the last chunk.
    """

    def __init__(
        self,
        *,
        variant: str = "auto",
        settled: str | None = None,
        newline: bytes = b"\n",
        charset: str | None = None,
        offset: int | None = None,
    ) -> None:
        check_variant(variant)
        if not isinstance(offset, (int, type(None))):
            raise UsageError(f"offset is a number of octets, not {offset!r}")
        if settled is not None:
            check_variant(settled)
        if offset is not None and (settled or variant) == "auto":
            raise UsageError("in the middle of a source say what its variant is: settled=, or variant=")
        super().__init__(offset or 0, settled or variant)
        self._by_length = variant in {"mboxcl", "mboxcl2"}
        self._swapped = newline == b"\r"
        self._as_stored = AsStored()
        self._charset = charset
        self._first = [] if offset is None else None
        self._closed = False
        self._state: Callable[[bool], bool] = self._start if offset is None else self._resume

        # The open message.
        self._offset = 0  # of its From_ line in the source
        self._from_line = b""
        self._reason = ""
        self._notes: tuple[str, ...] = ()
        self._strays: list[Rejected] = []  # From_ lines in a header block, told after its `Head`

    def feed(self, data: bytes) -> list[Event]:
        """Take the next octets (any number) and return what they made certain, in the source's order."""
        if self._closed:
            raise UsageError("feed() after close(): make a new Parser for a new source")
        if type(data) is not bytes:
            data = as_bytes(data)
        self._settle(data, at_eof=False)
        enough = self._add(data.translate(SWAP_CR_LF) if self._swapped else data)
        return self._run(at_eof=False) if enough else []

    def close(self) -> list[Event]:
        """Say that the source has ended and return the last events. A second call returns none."""
        if self._closed:
            return []
        self._closed = True
        self._settle(b"", at_eof=True)
        return self._run(at_eof=True)

    # -- the machine ---------------------------------------------------------------------------------

    def _run(self, *, at_eof: bool) -> list[Event]:
        self._join()
        while self._state(at_eof):
            pass
        self._trim()
        events = self._events
        self._events = []
        return self._settled(self._as_stored(events) if self._swapped else events)

    # -- before the first From_ line -----------------------------------------------------------------

    def _start(self, at_eof: bool) -> bool:
        data = self._data
        enough = at_eof or len(data) >= SETTLE
        if not enough and (self._variant == "auto" or b"\n" not in data):
            return False
        if is_cr_only(data[:SETTLE]):
            self._swapped = True
            self._data = data = data.translate(SWAP_CR_LF)
        if self._variant == "auto":
            self._set_variant(settle_variant(data[:SETTLE]))
        self._state = self._read_junk
        self._scan = len(_BOM) if data.startswith(_BOM) else 0
        if data.startswith(b"From ", self._scan):
            self._state = self._read_first
        return True

    def _resume(self, at_eof: bool) -> bool:
        line_end = find_line_end(self._data, 0, at_eof)
        if line_end is None:
            return False
        self._open(0, line_end, RESUMED)
        return True

    def _read_first(self, at_eof: bool) -> bool:
        """The source's very first line begins ``From ``: no line end stands before it to be found by."""
        return self._judge_junk(self._scan, at_eof)

    def _read_junk(self, at_eof: bool) -> bool:
        at = find_from(self._data, self._scan, FROM_LINE)
        if at >= 0:
            self._scan = at - 1
            return self._judge_junk(at, at_eof)
        end = len(self._data)
        settled, self._scan = (end, end) if at_eof else hold_back(self._data, self._scan)
        self._emit(Junk, settled)
        return False

    def _judge_junk(self, at: int, at_eof: bool) -> bool:
        """Decide on a From_ line with no message open; False where it needs more octets."""
        prose = self._pass_over(at) if self._told else None  # most files begin with the line that separates
        if prose:
            self._events.append(prose)
            self._state = self._read_junk
            return True
        line_end = find_line_end(self._data, at, at_eof)
        alone = not self._before(at).removeprefix(_BOM).strip()
        blank = alone or self._blank_before(at)
        verdict = None if line_end is None else self._decide(at, line_end, blank, at_eof, alone=alone)
        self._emit(Junk, at)
        if line_end is None or verdict is None:
            return False
        if verdict[0]:
            self._open(at, line_end, verdict[1])
        else:
            self._events.append(self._reject(at, line_end, verdict[1]))
            self._state = self._read_junk
        return True

    # -- From_ lines ---------------------------------------------------------------------------------

    def _open(self, at: int, line_end: int, reason: str) -> None:
        """Begin the message whose From_ line stands at `at`."""
        self._offset = self._base + at
        self._from_line = self._line(at, line_end)
        self._reason = reason
        self._out = self._checked = block = min(line_end + 1, len(self._data))
        self._block = self._base + block
        self._scan = line_end
        self._quoted = -1
        self._head = self._mime = None
        self._notes = ()
        self._trace_only = self._may_be_stub = True
        self._state = self._read_head

    def _end(self, at: int) -> None:
        self._events.append(End(self._offset, self._base + at - self._offset, self._notes))
        self._out = at

    # -- the header block ----------------------------------------------------------------------------

    def _read_head(self, at_eof: bool) -> bool:
        """Find the block's end: an empty line, a From_ line that separates, or the end of the source."""
        data = self._data
        end = len(data)
        while match := head_stop(data, self._scan, end):
            self._scan = match.start()
            if match.end() - match.start() < FROM_SIZE:
                self._emit_head(match.end())
                self._scan = match.end() - 1
                self._quoted = -1
                self._state = self._read_claimed if self._by_length else self._read_body
                return True
            at = match.start() + 1
            stray = self._pass_in_head(at)
            if stray is None:
                line_end = find_line_end(data, at, at_eof)
                verdict = None if line_end is None else self._decide_in_head(at, line_end, at_eof)
                if line_end is None or verdict is None:
                    if self._base + at - self._block > MAX_HEAD:
                        self._emit_head(start_of_line_end(data, at))
                    return False
                if verdict[0]:
                    self._emit_head(at)
                    self._end(at)
                    self._open(at, line_end, verdict[1])
                    return True
                stray = self._reject(at, line_end, verdict[1])
            if self._head is None:
                self._keep_stray(stray)
            else:
                self._events.append(stray)
        if at_eof:
            self._emit_head(len(data))
            self._end(len(data))
            self._state = self._read_nothing
            return False
        self._scan = max(self._scan, len(data) - FROM_SIZE + 1)
        if self._base + len(data) - self._block > MAX_HEAD + FROM_SIZE:
            line = data.find(b"\n", self._scan)
            settled = start_of_line_end(data, line + 1) if line >= 0 else len(data) - data.endswith(b"\r")
            self._emit_head(settled)
        return False

    def _keep_stray(self, stray: Rejected) -> None:
        """Keep a From_ line until the `Head` is out; flat in memory once lines are only counted."""
        last = self._strays[-1] if self._strays else None
        if last and self._told - stray.lines > MAX_TOLD and last.reason == stray.reason:
            self._strays[-1] = last._replace(lines=last.lines + stray.lines)
        else:
            self._strays.append(stray)

    def _emit_head(self, end: int) -> None:
        """Hand on the block up to `end`: as `Head` up to its bound, as `HeadRest` from there."""
        data, out, stop = self._data, self._out, end
        if self._head is None:
            if end - out > MAX_HEAD:
                self._notes = (HEAD_TOO_LONG,)
                stop = data.rfind(b"\n", out, out + MAX_HEAD) + 1
                stop = stop or out + MAX_HEAD - (data[out + MAX_HEAD - 1] == 0x0D)
            self._head = data[out:stop]
            self._events.append(Head(self._offset, self._from_line, self._head, b"\n", self._reason))
            if self._strays:
                self._events += self._strays
                self._strays = []
            self._out = stop
        self._emit(HeadRest, end)

    # -- the body ------------------------------------------------------------------------------------

    def _read_body(self, at_eof: bool) -> bool:
        """Find the next From_ line. Messages that plainly follow one another are read in this one loop."""
        data, base, events = self._data, self._base, self._events
        end_of_data = len(data)
        at = self._find(self._scan)
        while at >= 0:
            if data[at - 1] == _QUOTE:
                self._note_quoted(at)
                at = self._find(at)
                continue
            common = common_line(data, at)
            end = self._plain_end(at, at_eof) if common else 0
            if common is None or not end:
                if not self._pass_over_all(at, end_of_data, events):
                    line_end = find_line_end(data, at, at_eof)
                    verdict = None if line_end is None else self._decide_in_body(at, line_end, at_eof)
                    if line_end is None or verdict is None:
                        self._scan = at - 1
                        self._emit_body(start_of_line_end(data, at))
                        return False
                    if verdict[0]:
                        self._drop_empty_line(at)
                        self._end(at)
                        self._open(at, line_end, verdict[1])
                        return True
                    events.append(self._reject(at, line_end, verdict[1]))
                at = self._find(self._scan)
                continue
            if self._quoted >= 0:
                self._emit_body(end)
            elif end > self._out:
                events.append(_new(Body, (base + self._out, data[self._out : end])))
            offset = base + at
            events.append(_new(End, (self._offset, offset - self._offset, self._notes)))
            block = common.end()
            following = find_from(data, block - 1, self._search)
            stop = empty_line(data, block - 1, following if following >= 0 else end_of_data)
            body = stop.end() if stop else 0
            if not 0 < body - block <= MAX_HEAD:
                self._open(at, block - 1, DATED_AFTER_BLANK)
                return True
            self._head = data[block:body]
            events.append(_new(Head, (offset, common[1], self._head, b"\n", DATED_AFTER_BLANK, "")))
            self._offset = offset
            self._block = base + block
            self._out = body
            self._scan = body - 1
            self._quoted = -1
            self._mime = None
            self._notes = ()
            at = following
        if at_eof:
            self._finish()
            return False
        settled, self._scan = hold_back(data, self._scan)
        self._emit_body(settled)
        return False

    def _finish(self) -> None:
        end = len(self._data)
        if end > self._out and self._data.endswith(b"\n"):
            self._drop_empty_line(end)
        self._emit_body(end)
        self._end(end)
        self._state = self._read_nothing

    def _read_nothing(self, _at_eof: bool) -> bool:
        """The source has ended."""
        self._scan = self._out = len(self._data)
        return False

    # -- the body by its Content-Length --------------------------------------------------------------

    def _read_claimed(self, at_eof: bool) -> bool:
        """Take a body by its Content-Length where the octets agree: the end or a From_ line behind it."""
        data = self._data
        claim = content_length(self._head or b"")
        end = end_of_claim(data, self._out, claim, at_eof) if claim >= 0 else (-1, -1)
        if end is None:
            return False
        stop, after = end
        if stop < 0:
            if claim != NO_LENGTH:
                self._notes += (CLAIM_IGNORED,)
            self._state = self._read_body
            return True
        line_end = find_line_end(data, after, at_eof)
        if line_end is None:
            return False
        self._emit_claimed(stop)
        self._end(after)
        self._scan = after
        self._state = self._read_nothing
        if after < len(data):
            self._open(after, line_end, BY_LENGTH)
        return True

    def _emit_claimed(self, stop: int) -> None:
        data = self._data
        while 0 <= (at := self._find(self._scan)) < stop:
            if data[at - 1] == _QUOTE:
                self._note_quoted(at)
                self._scan = at
            else:
                line_end = data.find(b"\n", at, stop)
                self._events.append(self._reject(at, line_end if line_end >= 0 else stop, IN_CLAIM))
        self._emit_body(stop)
