"""A header block taken apart into its fields, each with its exact octets, and put together again.

Inside, lines end with LF alone; a field is without its last line end. What is no field keeps its place
in the list under an empty name, so that joining gives back what was split.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from unmbox._late import late

MAX_LINE: Final = 998
"""Octets of a line without its line end (RFC 5322 §2.1.1)."""
MAX_NAME: Final = MAX_LINE - 1
"""Octets of a field's name beyond which no fold could keep its line within `MAX_LINE`."""

MAX_FIELDS: Final = 10_000
"""Fields of a block that is looked at, lines that are none included: no mail has a tenth of them."""

ADDRESSES: Final = frozenset(
    b"from to cc bcc sender reply-to return-path delivered-to x-original-to envelope-to errors-to"
    b" mail-followup-to mail-reply-to disposition-notification-to return-receipt-to apparently-to list-id"
    b" resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to".split()
)
"""Names of the fields that hold addresses, or phrases before what stands in ``<>``."""

PARAMETERS: Final = frozenset((b"content-type", b"content-disposition"))
"""Names of the fields whose parameters people read, such as the name of a file."""

ONCE: Final = frozenset(b"from subject date message-id to cc sender reply-to".split())
"""Names of the fields that a message has once at most, and that people read (RFC 5322 §3.6)."""

BOM: Final = b"\xef\xbb\xbf"
"""What some programs begin a file with, and so, when they join files, a message."""

# Marks, quotes and comments without anything else, and groups that are empty (RFC 5322 §3.4).
_NOBODY = late(
    rb'(?:[\s<>,;]|""|\((?:[^()\\]|\\.)*\)|[^\s:<>@"(),;\\][^:<>@"(),;\\]{0,200}:\s{0,99};)*', re.DOTALL
).fullmatch
# RFC 5322 §2.2.3: a line that begins with white space continues the field before it.
_BETWEEN_FIELDS = late(rb"\n(?![ \t])")
# RFC 5322 §2.2, and the white space that §4.5 allowed before the colon.
_NAME = late(rb"([!-9;-~]{1,%d})[ \t]*:" % MAX_NAME).match


class Field:
    """One field, or a line that is none (then `key` is empty).

    `raw` holds all of its octets, `key` its name in lower case; `colon` is where in `raw` the name's colon
    stands. `rank` is how many fields of the same name stand below it in the source.
    """

    __slots__ = ("colon", "key", "rank", "raw")

    def __init__(self, raw: bytes) -> None:
        self.rank = 0
        self.put(raw)

    def put(self, raw: bytes) -> None:
        """Give the field other octets, and with them perhaps another name."""
        self.raw = raw
        match = _NAME(raw)
        if match:
            self.key, self.colon = match[1].lower(), match.end() - 1
        else:
            self.key, self.colon = b"", -1

    @property
    def name(self) -> bytes:
        """The name as spelled, empty where this is no field."""
        return self.raw[: len(self.key)]

    @property
    def value(self) -> bytes:
        """The octets behind the colon, without line ends and outer white space."""
        return self.raw[self.colon + 1 :].replace(b"\n", b"").strip(b" \t")


def names_nobody(value: bytes) -> bool:
    """Whether a From's raw value is empty, or has nothing in it that would name anybody."""
    return _NOBODY(value) is not None


def too_many(block: bytes) -> bool:
    """Whether a block (LF or CRLF lines) has more fields, or lines that are none, than `MAX_FIELDS`."""
    lines = block.count(b"\n") - 1  # the closing empty one is none
    return lines > MAX_FIELDS and lines - block.count(b"\n ") - block.count(b"\n\t") > MAX_FIELDS


class Split(NamedTuple):
    """A header block in its parts.

    `header` is the block with LF line ends, without the last one and the closing empty line. `closed` says
    whether there was such an empty line. `rest` is what follows it: octets of a body that no other reader
    would call header. `stripped` says whether lines ended in more than one CR.
    """

    header: bytes
    closed: bool
    rest: bytes
    stripped: bool


def split_block(block: bytes) -> Split:
    """Find a block's end and make its lines end with LF, those that ended CR CR LF too."""
    lf = block.replace(b"\r\n", b"\n")
    if b"\r" not in lf and lf.find(b"\n\n") == len(lf) - 2 >= 0:
        return Split(lf[:-2], closed=True, rest=b"", stripped=False)
    lines = block.split(b"\n")
    kept: list[bytes] = []
    stripped = False
    for number, line in enumerate(lines):
        bare = line.rstrip(b"\r") if line.endswith(b"\r") else line
        if not bare:
            return Split(b"\n".join(kept), number < len(lines) - 1, b"\n".join(lines[number + 1 :]), stripped)
        stripped |= len(line) - len(bare) > 1
        kept.append(bare)
    return Split(b"\n".join(kept), closed=False, rest=b"", stripped=stripped)


def split_fields(header: bytes) -> list[Field]:
    """Take a header (as in `Split`) apart."""
    return list(map(Field, _BETWEEN_FIELDS.split(header))) if header else []


def join_fields(fields: list[Field]) -> bytes:
    """Put fields together to a block, closed by its empty line."""
    return b"\n".join([*[field.raw for field in fields], b"", b""]) if fields else b"\n"


def relaxed(raw: bytes) -> bytes:
    """Return a field as RFC 6376 §3.4.2 has it hashed: unfolded, white space single, name in lower case."""
    name, colon, value = raw.replace(b"\n", b"").partition(b":")
    value = value.replace(b"\t", b" ")
    while b"  " in value:
        value = value.replace(b"  ", b" ")
    return name.rstrip(b" \t").lower() + colon + value.strip(b" ")
