"""What a destination would refuse, found in the octets as they are written: see `profiles.CHECKS`.

Only where a profile has checks or forced repairs is a message written through `CheckingWriter`. It takes a
constant number of steps a piece and keeps no more of a message than its header block, up to 1 MiB of that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from unmbox import _decode, _headers
from unmbox._addresses import split_mailboxes
from unmbox._block import Repair
from unmbox._fields import Field, split_fields
from unmbox._late import late
from unmbox._writer import BODY_BARE_CR, BODY_NUL, EmlWriter
from unmbox.events import Body, End, Event, Head

_MOST = 1 << 20  # octets of a block that are looked at
_EDGE = 1 << 13  # octets of a part's header block that are waited for
_PART = late(rb"\n--[^\n]{1,200}\n((?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+)")
_PART_END = late(rb"\n\r?\n").search
# What makes a part an attachment (RFC 2183): its disposition, or a file's name, even if it is shown inline.
_IS_ATTACHED = late(
    rb"^content-disposition:\s*attachment"
    rb"|^content-(?:disposition|type):(?:[^\n]|\n[ \t])*?;\s*(?:file)?name\*?[0-9*]*=",
    re.MULTILINE,
).search
_BARE_CR = late(rb"\r(?!\n)")
_SIGNED = late(rb"^(dkim-signature|arc-message-signature)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_RECIPIENTS = (b"to", b"cc", b"bcc")

LIMITED: Final = {
    "size": "octets",
    "attachments": "attachments",
    "recipients": "addresses in To, Cc and Bcc",
    "header_size": "octets of header block",
    "header_line": "octets in a line of the header block",
    "fields": "header fields",
}
"""What the checks that are numbers count."""
FAULTS: Final = {
    "sender_differs": "Sender is the same as From",
    "no_nul": "a NUL",
    "no_bare_lf": "lines that end in LF alone",
    "no_bare_cr": "a CR that ends no line",
    "ascii_header": "octets beyond ASCII in the header block",
}
"""What the checks without a number find."""


class CheckingWriter(EmlWriter):
    """An `EmlWriter` that says of each message what the destination would refuse, in `refusals`.

    `checks` are those of a profile. `force` are codes of repairs that are made although a signature breaks,
    and of `profiles.BODY_REPAIRS`; further arguments are those of `EmlWriter`.
    """

    def __init__(
        self,
        *,
        checks: Mapping[str, Any],
        force: Collection[str] = (),
        headers: str = "repair",
        **options: Any,
    ) -> None:
        super().__init__(headers=headers, **options)
        self.forced = frozenset(force)
        self._checks = checks
        self._mends = headers == "repair" and bool(self.forced & {BODY_NUL, BODY_BARE_CR})
        self._seen = Seen(self._checks)
        self._mended: list[Repair] = []

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """As for `EmlWriter`, with what was forced in the body."""
        return (*super().repairs, *self._mended)

    def send(self, event: Event) -> bytes:
        """The octets that this event adds to the EML."""
        if isinstance(event, Head):
            self._seen = Seen(self._checks)
            self._mended = []
            self.refusals = ()
        elif isinstance(event, Body) and self._mends:
            event = event._replace(data=self._mend(event.data))
        octets = super().send(event)
        if octets:
            self._seen.add(octets, self.block_size)
        if isinstance(event, End):
            self.refusals = tuple(self._seen.refusals(self._checks))
        return octets

    def _mend(self, data: bytes) -> bytes:
        """A piece of body without what the profile does not let through; no piece splits a CRLF."""
        if BODY_NUL in self.forced and 0 in data:
            data = data.replace(b"\0", b"")
            self._tell(BODY_NUL)
        # Where lone CRs end all lines of a source, the writer makes line ends of them anyway.
        if BODY_BARE_CR in self.forced and not self._swapped and data.count(b"\r") != data.count(b"\r\n"):
            data = _BARE_CR.sub(b"\n", data)
            self._tell(BODY_BARE_CR)
        return data

    def _tell(self, code: str) -> None:
        signed = _SIGNED.search(self._seen.block)
        impact = f"the body that {signed[1].decode()} covers" if signed else ""
        repair = Repair(code, "", applied=True, signature_impact=impact)
        if repair not in self._mended:
            self._mended.append(repair)


def writer_for(*, checks: Mapping[str, Any], force: Collection[str], **options: Any) -> EmlWriter:
    """The writer for a profile with these; `options` are those of `EmlWriter`."""
    if not checks and not force:
        return EmlWriter(**options)
    return CheckingWriter(checks=checks, force=force, **options)


class Seen:
    """What has been written of a message, as far as `checks` ask for it, of one profile or of several."""

    def __init__(self, checks: Collection[str]) -> None:
        self.block = bytearray()
        self._checks = checks
        self._block_size = 0
        self._octets = 0
        self._attached = 0
        self._tail = b"\n"  # the block's end: a body may begin with a boundary
        self._faults: set[str] = set()  # of the body
        self._lf: bytes | None = None

    def add(self, octets: bytes, block_size: int) -> None:
        """Take the next octets of a message whose block has `block_size` so far."""
        self._octets += len(octets)
        if self._block_size < block_size:
            head = octets[: block_size - self._block_size]
            self._block_size += len(head)
            if len(self.block) < _MOST:
                self.block += head
            octets = octets[len(head) :]
        checks = self._checks
        if "no_nul" in checks and 0 in octets:
            self._faults.add("no_nul")
        if "no_bare_lf" in checks and octets.count(b"\n") != octets.count(b"\r\n"):
            self._faults.add("no_bare_lf")
        if "no_bare_cr" in checks and octets.count(b"\r") != octets.count(b"\r\n"):
            self._faults.add("no_bare_cr")
        if "attachments" in checks:
            self._count(octets.lower())

    def _count(self, lower: bytes) -> None:
        """Count parts that are attachments; one whose header block has not ended waits for what follows."""
        lower = self._tail + lower
        end = lower.rfind(b"\n--", max(0, len(lower) - _EDGE))
        if end < 0 or _PART_END(lower, end):
            end = len(lower) - (2 if lower.endswith(b"\n-") else lower.endswith(b"\n"))
        self._attached += _attached(lower[:end])
        self._tail = lower[end:]

    def refusals(self, checks: Mapping[str, Any]) -> Iterator[str]:
        """Each of these checks that does not hold, in a sentence that begins with its name; at the end."""
        if self._lf is None:
            self._attached += _attached(self._tail)
            self._lf = bytes(self.block).replace(b"\r\n", b"\n")
        for name, limit in checks.items():
            if limit is not False:
                for said in getattr(self, f"_{name}")(self._lf, limit):
                    yield f"{name}: {said}"

    # -- the checks: most blocks are shorter than what any of their parts may be ----------------------

    def _size(self, _: bytes, limit: int) -> Iterator[str]:
        yield from _more(self._octets, limit, LIMITED["size"])

    def _attachments(self, _: bytes, limit: int) -> Iterator[str]:
        yield from _more(self._attached, limit, LIMITED["attachments"])

    def _recipients(self, block: bytes, limit: int) -> Iterator[str]:
        count = sum(1 for name in _RECIPIENTS for _ in _addresses(block, name))
        yield from _more(count, limit, LIMITED["recipients"])

    def _header_size(self, _: bytes, limit: int) -> Iterator[str]:
        yield from _more(self._block_size, limit, LIMITED["header_size"])

    def _header_line(self, block: bytes, limit: int) -> Iterator[str]:
        if len(block) > limit:
            yield from _more(max(map(len, block.split(b"\n"))), limit, LIMITED["header_line"])

    def _fields(self, block: bytes, limit: int) -> Iterator[str]:
        if block.count(b"\n") > limit:
            yield from _more(len(list(filter(_is_field, split_fields(block)))), limit, LIMITED["fields"])

    def _field_size(self, block: bytes, limits: Mapping[str, int]) -> Iterator[str]:
        if len(block) <= min(limits.values(), default=_MOST):
            return
        for field in filter(_is_field, split_fields(block)):
            name = field.key.decode("ascii", "replace")
            limit = limits.get(name, limits.get("*", _MOST))
            size = len(field.value.replace(b"\n", b"").strip())
            yield from _more(size, limit, f"octets in {name}")

    def _required(self, block: bytes, names: Collection[str]) -> Iterator[str]:
        for name in names:
            if not _headers.find(block, name.encode()):
                yield f"no {name}"

    def _single(self, block: bytes, names: Collection[str]) -> Iterator[str]:
        for name in names:
            count = sum(1 for _ in _headers.find_all(block, name.encode()))
            if count != 1:
                yield f"{count} fields called {name}, not one"

    def _sender_differs(self, block: bytes, _: bool) -> Iterator[str]:
        senders = list(_addresses(block, b"sender"))
        if senders and senders == list(_addresses(block, b"from")):
            yield FAULTS["sender_differs"]

    def _no_nul(self, block: bytes, _: bool) -> Iterator[str]:
        if "no_nul" in self._faults or 0 in block:
            yield FAULTS["no_nul"]

    def _no_bare_lf(self, _: bytes, __: bool) -> Iterator[str]:
        if "no_bare_lf" in self._faults or self.block.count(b"\n") != self.block.count(b"\r\n"):
            yield FAULTS["no_bare_lf"]

    def _no_bare_cr(self, _: bytes, __: bool) -> Iterator[str]:
        if "no_bare_cr" in self._faults or self.block.count(b"\r") != self.block.count(b"\r\n"):
            yield FAULTS["no_bare_cr"]

    def _ascii_header(self, block: bytes, _: bool) -> Iterator[str]:
        if not block.isascii():
            yield FAULTS["ascii_header"]


def _attached(lower: bytes) -> int:
    return sum(_IS_ATTACHED(block) is not None for block in _PART.findall(lower))


def _is_field(field: Field) -> bool:
    return bool(field.key)


def _more(count: int, limit: int, what: str) -> Iterator[str]:
    if count > limit:
        yield f"{count:,} {what}, at most {limit:,}"


def _addresses(block: bytes, name: bytes) -> Iterator[str]:
    for value in _headers.find_all(block, name):
        for mailbox in split_mailboxes(_decode.decode_addresses(value)):
            if mailbox.address:
                yield mailbox.address.lower()
