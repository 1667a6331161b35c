"""The raw header block: finding fields in it without taking it apart.

A block is the octets of a header as stored, its closing empty line included. Field values are raw
octets, folding and all; `_decode` turns them into text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

# RFC 5322 §2.2.3: a line that begins with white space continues the field before it.
_VALUE = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*").match


@lru_cache(maxsize=256)
def _field_start(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\n" + re.escape(name) + rb"[ \t]*:", re.IGNORECASE)


# What a conversion asks every message for.
USUAL = frozenset(
    (b"from", b"to", b"cc", b"bcc", b"date", b"subject", b"message-id", b"x-gm-thrid", b"x-gmail-labels")
)
_USUAL = re.compile(
    rb"\n(" + b"|".join(sorted(USUAL)) + rb")[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE
).findall


def usual(block: bytes) -> dict[bytes, bytes]:
    """The raw values of the `USUAL` fields that the block has, by lower-case name, the first of each.

    One pass costs half of nine searches for fixed octets, each of which reads nearly all of the block.
    """
    found = _USUAL(b"\n" + block)
    found.reverse()
    return {name.lower(): value.rstrip() for name, value in found}


def find(block: bytes, name: bytes) -> bytes | None:
    """The raw value of the first field called `name` (in any case), without its final line end."""
    return next(find_all(block, name), None)


def find_all(block: bytes, name: bytes) -> Iterator[bytes]:
    """The raw values of all fields called `name`, in their order."""
    pattern = _field_start(name)
    first = pattern.match(b"\n" + block[: len(name) + 100])
    if first:
        yield _value_at(block, first.end() - 1)
    for match in pattern.finditer(block):
        yield _value_at(block, match.end())


def _value_at(block: bytes, at: int) -> bytes:
    match = _VALUE(block, at)
    return match[0].strip(b" \t\r\n") if match else b""
