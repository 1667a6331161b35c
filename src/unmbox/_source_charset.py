"""What a source is mostly written in, told from its first octets: evidence where octets name no charset."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from unmbox._charset import decode_8bit
from unmbox._codecs import codec_name, decode_strictly

# Each spelling by itself, for a search that begins with literal octets leaps.
_DECLARED: Final = [
    re.compile(start + rb"([A-Za-z0-9][A-Za-z0-9_.:-]{1,40})").findall
    for start in (rb"=\?", rb'charset="?', rb'Charset="?', rb'CHARSET="?')
]
_HIGH = re.compile(rb"[\x80-\xff]").search
# What programs declare for text that has no octet beyond ASCII.
_DEFAULTS: Final = {"cp1252": 0.25, "iso8859_15": 0.25, "ascii": 0.0, "utf_8": 0.0, "utf_7": 0.0}
_STEP: Final = 1 << 12
_LINES: Final = 24
_LINE: Final = 200
_OF_A_LINE: Final = 2.0
_ENOUGH: Final = 12
_ASCII: Final = bytes(range(128))


def settle_charset(first: bytes) -> str:
    """Return the Python codec that most mail of a source is in which begins with `first`, "" if none shows.

    It is one other than ASCII and UTF-8, which need no guess. Charsets that are declared speak for it, and
    lines of raw octets that are spread over `first` and can be read. Takes a few milliseconds a MiB.
    """
    votes: Counter[str] = Counter()
    for findall in _DECLARED:
        for name, count in Counter(findall(first)).items():
            if codec := codec_name(name.decode()):
                votes[codec] += count * _DEFAULTS.get(codec, 1.0)  # type: ignore[assignment]
    likely = [codec for codec, _ in votes.most_common(3)]
    at = 0
    for _ in range(0 if first.isascii() else _LINES):
        while first[at : at + _STEP].isascii() and at < len(first):  # ten times as fast as the pattern
            at += _STEP
        found = _HIGH(first, at)
        if found is None:
            break
        start = max(first.rfind(b"\n", 0, found.start()) + 1, found.start() - _LINE)
        end = first.find(b"\n", found.start())
        line = first[start : min(end if end >= 0 else len(first), found.start() + _LINE)]
        # Less than that is a name, which says little of others.
        if len(line.translate(None, _ASCII)) >= _ENOUGH and decode_strictly(line, "utf_8") is None:
            votes[decode_8bit(line, likely)[1]] += _OF_A_LINE  # type: ignore[assignment]
        at = max(found.start() + len(line), found.start() + len(first) // _LINES)
    del votes["unknown-8bit"]
    return max(votes, key=votes.__getitem__, default="") if any(votes.values()) else ""
