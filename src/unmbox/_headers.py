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


def find(block: bytes, name: bytes) -> bytes | None:
    """The raw value of the first field called `name` (in any case), without its final line end."""
    # Spelt as usual and not the first field, which a plain search finds fastest.
    at = block.find(b"\n" + name + b":")
    if at >= 0 and block.find(b"\n" + name.lower() + b":", 0, at) < 0:
        return _value_at(block, at + len(name) + 2)
    for value in find_all(block, name):
        return value
    return None


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
