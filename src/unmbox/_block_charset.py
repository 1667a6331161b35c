"""Raw 8-bit octets of a header block: which charset they are in, for the whole block at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from unmbox._charset import common_cjk, decode_8bit, said_rather, sample
from unmbox._codecs import codec_name, decode_strictly, errors_for, iso_2022_jp
from unmbox._late import late
from unmbox._utf8 import broken, is_utf8, may_be_chance, may_be_latin, nearly_utf8

BODY: Final = 1 << 16
"""Octets of the body that may tell the charset."""

# What the values have in common is decided on this many octets; a guess costs up to 2 ms.
_SAMPLE: Final = 1 << 12
# Values that may be guessed one by one, where they do not share a charset.
_GUESSES: Final = 20
_CANDIDATES: Final = 10
_DECLARED = late(
    rb"=\?([A-Za-z0-9][A-Za-z0-9_.:-]{1,40})[*?]|charset[ \t]*=[ \t]*\"?([A-Za-z0-9][A-Za-z0-9_.:-]{1,40})",
    re.IGNORECASE,
)
# What Google puts on top, in UTF-8 whatever the sender wrote in.
_LABELS = late(rb"^X-Gmail-Labels:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_UTF8 = late(rb"(?:=\?|charset[ \t]*=[ \t]*\"?)utf-?8(?![\w-])", re.IGNORECASE)
_CONTROLS = late("[\x00-\x08\n-\x1f\x7f-\x9f]")
_LOST = late("[\udc80-\udcff]").findall
_HIGH = late(rb"[\x80-\xff]").findall
_PRINTABLE: Final = bytes(range(32, 127))


def is_unclear(value: bytes) -> bool:
    """Whether octets are beyond ASCII and not surely UTF-8, so that their charset has to be found out."""
    if value.isascii():
        return False
    text = decode_strictly(value, "utf_8")
    return text is None or may_be_chance(text) or may_be_latin(text)


class Raw8Bit:
    """Turns the raw values of one header block into text.

    `values` are those that are unclear, `declared` octets that name charsets (the block), `body` the
    beginning of the body, `locale` a hint such as ``ja``, `prior` the codec of other mail (`Head.charset`).
    """

    def __init__(
        self,
        values: Iterable[bytes],
        declared: bytes = b"",
        body: bytes = b"",
        locale: str | None = None,
        prior: str = "",
    ) -> None:
        values = list(values)
        body = body[:BODY]
        self._candidates = _declared_charsets(declared + b"\n" + body) if values else []
        self._body = sample(body) if values else b""  # a message may be kept, with this
        self._utf8 = bool(values) and (_says_utf8(declared, body) or is_utf8(self._body))
        # What is UTF-8 after all would mislead.
        others = [value for value in values if self._certain(value) is None]
        self._sample = b"\n".join(others or values)[:_SAMPLE]
        self._locale = locale
        self._prior = prior
        self._codec: str | None = None
        self._guesses = _GUESSES

    def text(self, value: bytes) -> str:
        """Return a value's text; octets of no known charset become surrogates (``surrogateescape``)."""
        if b"\x1b" in value and value.isascii():
            return decode_8bit(value)[0]  # ISO-2022-JP, which is 7-bit
        text = self._certain(value)
        if text is None or may_be_chance(text):
            if self._codec is None:
                self._codec = self._guess(self._sample)
            text = _decoded(value, self._codec) if text is None else common_cjk(value, self._codec) or text
        if text is None and self._guesses > 0:
            self._guesses -= 1
            text = _decoded(value, self._guess(value))
        return value.decode("ascii", "surrogateescape") if text is None else text

    def _certain(self, value: bytes) -> str | None:
        """The text of what is UTF-8 but for a place at most, or says what it is; None of other octets."""
        text = decode_strictly(value, "utf_8")
        if text is None and b"\x1b" in value:
            text = iso_2022_jp(value)
        elif text is not None and not self._utf8:
            rather = said_rather(value, text, self._candidates, self._body)
            text = rather[0] if rather else text
        return nearly_utf8(value, known=self._utf8) if text is None else text

    def _guess(self, octets: bytes) -> str:
        found = decode_8bit(
            octets,
            self._candidates,
            body=self._body,
            locale=self._locale,
            prior=self._prior,
            utf8=self._utf8,
        )
        return found[1]


def _decoded(value: bytes, charset: str) -> str | None:
    """Decode, unless that would change the ASCII around, or bring in what no header may hold."""
    codec = codec_name(charset)
    if codec is None or not _keeps_ascii(codec):
        return None
    text = decode_strictly(value, codec)
    if text is None:
        text = value.decode(codec, errors_for(codec))
        if len(broken(text)) > 1 and 8 * len(_LOST(text)) > len(_HIGH(value)):
            return None
    if not _CONTROLS.search(text):
        return text
    return text if len(_CONTROLS.findall(text)) <= len(_CONTROLS.findall(value.decode("latin-1"))) else None


@lru_cache(maxsize=64)
def _keeps_ascii(codec: str) -> bool:
    return decode_strictly(_PRINTABLE, codec) == _PRINTABLE.decode()


def _says_utf8(header: bytes, body: bytes) -> bool:
    """Whether a message names UTF-8, or raw UTF-8 is in its header."""
    if _UTF8.search(body) or (_UTF8.search(header) and _UTF8.search(_LABELS.sub(b"", header))):
        return True
    lines = [] if header.isascii() else header.split(b"\n")
    return any(not line.isascii() and not is_unclear(line) for line in lines)


def _declared_charsets(octets: bytes) -> list[str]:
    """The charsets that a message names, in their order; ASCII and UTF-8 say nothing of other octets."""
    names: dict[str, None] = {}
    for match in _DECLARED.finditer(octets):
        name = (match[1] or match[2]).decode().lower()
        if codec_name(name) not in (None, "us-ascii", "ascii", "utf_8"):
            names[name] = None
            if len(names) == _CANDIDATES:
                break
    return list(names)
