"""`EmlWriter`: events in, the octets of an EML out. No input or output of its own."""

from __future__ import annotations

from typing import Final

from unmbox._block import Block, Repair
from unmbox._block_charset import BODY, Raw8Bit
from unmbox._charset import check_locale
from unmbox._fields import too_many
from unmbox._late import late
from unmbox._line_ends import all_crlf, to_crlf, to_lf, with_lf
from unmbox._repairs import repair
from unmbox._signatures import DAMAGE
from unmbox._sound import sound_fields
from unmbox.errors import UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected

HEADERS = ("repair", "preserve")
NEWLINES = ("crlf", "lf")

HEAD_TOO_LONG = "head-too-long"
BODY_NUL = "body-nul"
BODY_BARE_CR = "body-bare-cr"
EXPORTER_DAMAGE = "exporter-damage"
LISTED = frozenset((HEAD_TOO_LONG, BODY_NUL, BODY_BARE_CR, EXPORTER_DAMAGE))
"""Codes of what is told and left as it is, whatever is signed."""
_OF_BODIES = {BODY_NUL: 1, BODY_BARE_CR: 2, EXPORTER_DAMAGE: 3}

# Numbers: `in` first takes octets for one, fails, and searches then, all of which costs more than the search.
_LF, _CR, _NUL = b"\n\r\0"
# CRs before an LF that are one line end with it, and the octet before the first; more than that are none.
_MOST_CRS: Final = 1000
_LINE_END = late(rb"(?<!\r)\r{1,%d}\n" % _MOST_CRS)


class EmlWriter:
    r"""Turns the events of messages into EML files, a piece at a time (sans-I/O).

    `headers="repair"` makes each header block one that strict readers take and lists what it did in
    `repairs`; fields that need no repair keep their octets. A repair that would break a DKIM or ARC
    signature is left out, unless `repair_signed`. `locale` (such as ``"ja"``) is a hint for raw octets whose
    charset nothing else tells. `headers="preserve"` changes nothing but line ends.

    `newline` is what those become: ``"crlf"`` (RFC 5322 §2.1) or ``"lf"``. A lone CR in a body is an octet
    like any other and stays, except in a source whose lines all end so (`Head.newline`), and with
    ``"lf"`` where only CRs are between it and the line's end: in a file of LF lines one of them would pass
    for a part of the line end, and a second conversion would take it.

    Raises `UsageError` for an unknown option or what is no event, and nothing else, whatever the octets.

    >>> octets = b"From a@b Tue Mar 19 09:13:51 2019\nFrom: a@b\nStatus: RO\n\nHello\n"
    >>> parser, writer = unmbox.Parser(), unmbox.EmlWriter()
    >>> eml = b"".join(map(writer.send, parser.feed(octets) + parser.close()))
    >>> [repair.code for repair in writer.repairs]
    ['bookkeeping', 'missing-message-id', 'missing-date']
    >>> eml.splitlines()[1:]
    [b'Date: Tue, 19 Mar 2019 09:13:51 +0000', b'From: a@b', b'', b'Hello']
    """

    forced: frozenset[str] = frozenset()
    """Codes of repairs that are made although they break a signature."""
    refusals: tuple[str, ...] = ()
    """Why a destination would refuse the current message: see `profiles`."""

    def __init__(
        self,
        *,
        headers: str = "repair",
        newline: str = "crlf",
        repair_signed: bool = False,
        locale: str | None = None,
    ) -> None:
        if headers not in HEADERS:
            raise UsageError(f"unknown headers {headers!r}: choose one of {', '.join(HEADERS)}")
        if newline not in NEWLINES:
            raise UsageError(f"unknown newline {newline!r}: choose one of {', '.join(NEWLINES)}")
        check_locale(locale)
        self._convert = to_crlf if newline == "crlf" else to_lf
        self._crlf = newline == "crlf"
        self._repairing = headers == "repair"
        self._repair_signed = repair_signed
        self.locale = locale
        self._prior = ""
        self.fields: dict[bytes, bytes] | None = None
        """Of the current message, as `MessageHead.fields`, where a look at its block has brought them up."""
        self.raw8: Raw8Bit | None = None
        """What reads the raw octets of the current message's block, where it had to be found out how."""
        self._swapped = False
        self._repairs: list[Repair] = []
        # A block that waits: for more of itself, or for the body to tell a charset.
        self._held: Block | None = None
        self._head = b""
        self._too_long = False
        self._body: list[bytes] = []
        self._size = 0
        self._edge = b""  # the last octets of the body so far, where damage may begin
        self._crs = 0  # at the end of the body so far, held back: they may be of a line end
        self._many_crs = False  # or too many for that: these and their LF stay
        self.block_size = 0
        """Octets of the current message's header block that `send` has returned so far."""

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was repaired in the current message, or left alone and why: all of it once `End` was sent."""
        return tuple(sorted(self._repairs, key=_order))

    def send(self, event: Event) -> bytes:
        """The octets that this event adds to the EML: mostly the block of a `Head`, the piece of a `Body`.

        Nothing for `Junk` and `Rejected`, which are no part of any message. A block whose repair depends on
        what follows is held back until 64 KiB of body have come, or the message's `End`.
        """
        if isinstance(event, Body) and self._repairing and not self._swapped and self._held is None:
            return self._body_octets(event.data)  # nearly all there is
        if not isinstance(event, (Body, Head, HeadRest)):
            return self._end() if isinstance(event, End) else _nothing(event)
        if isinstance(event, Head):
            self._swapped = event.newline == b"\r"
        data = with_lf(event.data) if self._swapped else event.data
        if not self._repairing:
            octets = self._convert(data)
            if not isinstance(event, Body):
                self.block_size = len(octets) if isinstance(event, Head) else self.block_size + len(octets)
            return octets
        if isinstance(event, Head):
            self._prior = event.charset
            return self._begin(data, event.from_line)
        if isinstance(event, HeadRest) and self._held is not None and not self._held.closed:
            # The block goes on beyond what is looked at: only its line ends are made right.
            self._held = None
            self._note(HEAD_TOO_LONG)
            self._too_long = True
            data = self._head + data
        if isinstance(event, HeadRest) and self._too_long:
            octets = self._convert(data)
            self.block_size += len(octets)
            return octets
        return self._take(data)

    def _begin(self, data: bytes, from_line: bytes) -> bytes:
        """Answer a `Head` in repair mode, with nothing where the block must wait."""
        self._repairs = []
        self._held = None  # a block that was held back, if its message never came to its end
        self.raw8 = None
        self._edge = b""
        self._crs, self._many_crs = 0, False
        self._too_long = False
        lf = data.replace(b"\r", b"") if _CR in data else data
        self.fields = None
        fields = sound_fields(lf)
        if fields is not None:
            crlf = lf.replace(b"\n", b"\r\n")
            if lf is data or crlf == data or data.replace(b"\r\n", b"\n") == lf:
                self.fields = fields  # not where lone CRs, which `lf` lacks, are to be repaired
                self.block_size = len(crlf) if self._crlf else len(lf)
                return crlf if self._crlf else lf
        if too_many(data):
            self._held = None
            self._too_long = True
            self._note(HEAD_TOO_LONG)
            octets = self._convert(data)
            self.block_size = len(octets)
            return octets
        self.block_size = 0
        self._held = block = Block(data, from_line, repair_signed=self._repair_signed, forced=self.forced)
        self._head = data
        self._body = []
        self._size = 0
        return self._release(block) if block.closed and not block.needs_body else b""

    def _end(self) -> bytes:
        """Answer an `End`: with what was held back until now."""
        octets = self._release(self._held) if self._held is not None else b""
        crs, self._crs = self._crs, 0
        return octets + b"\r" * crs

    def _take(self, data: bytes) -> bytes:
        """Answer a piece of body in repair mode."""
        if self._held is None:
            return self._body_octets(data)
        self._body.append(data)
        self._size += len(data)
        return self._release(self._held) if self._size >= BODY else b""

    def _release(self, block: Block) -> bytes:
        """Repair the block that was held, and let go what has come of the body."""
        self._held = None
        body, self._body = self._body, []
        lf = repair(block, b"".join([block.rest, *body]), self.locale, self._prior)
        self.raw8 = block.raw8
        self._repairs = block.repairs
        head = lf.replace(b"\n", b"\r\n") if self._crlf else lf
        self.block_size = len(head)
        return b"".join([head, *map(self._body_octets, [block.rest, *body])])

    def _body_octets(self, data: bytes) -> bytes:
        """What is written for a piece of body, once it is looked at."""
        octets = to_crlf(data) if self._crlf else self._to_lf(data)
        self._look_at(data, octets)
        return octets

    def _to_lf(self, data: bytes) -> bytes:
        """End each line with LF, such that doing so again changes nothing, wherever the pieces are cut."""
        if not self._crs and not self._many_crs:
            if _CR not in data:
                return data
            if all_crlf(data):
                return data.replace(b"\r", b"")
        first = b""
        if self._many_crs:
            rest = data.lstrip(b"\r")
            first = data[: len(data) - len(rest) + rest.startswith(b"\n")]
            data = data[len(first) :]
            self._many_crs = not data and not first.endswith(b"\n")
        data = b"\r" * self._crs + data
        whole = data.rstrip(b"\r")
        self._crs = len(data) - len(whole)
        if self._crs > _MOST_CRS:
            whole, self._crs, self._many_crs = data, 0, True
        return first + _LINE_END.sub(b"\n", whole)

    def _look_at(self, data: bytes, octets: bytes) -> None:
        """List what is wrong with a piece of body, once a message: it is not ours to change."""
        if _NUL in data:
            self._note(BODY_NUL)
        if self._crlf and octets is data and _LF in data:
            pass  # CRLF throughout: it came back as the same object
        elif _CR in data and data.count(b"\r") != data.count(b"\r\n"):
            self._note(BODY_BARE_CR)
        if (0xEF in data and DAMAGE in data) or (self._edge and DAMAGE in self._edge + data[:2]):
            self._note(EXPORTER_DAMAGE)
        tail = (self._edge + data if len(data) < 2 else data)[-2:]
        self._edge = b"" if tail.isascii() else tail

    def _note(self, code: str) -> None:
        repair = Repair(code, "", applied=False, signature_impact="")
        if repair not in self._repairs:
            self._repairs.append(repair)


def _nothing(event: object) -> bytes:
    """What an event adds that is no part of a message; an error for what is no event."""
    if not isinstance(event, (Junk, Rejected)):
        raise UsageError(
            f"send() takes one event, not {type(event).__name__}: send each that feed() returned"
        )
    return b""


def _order(repair: Repair) -> int:
    """Where it stands among the others: how a body was cut must not show in what is found in it."""
    return _OF_BODIES.get(repair.code, 0)
