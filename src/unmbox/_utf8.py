"""What is UTF-8 although no label says so: whole, cut or folded in mid-character, or by chance."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from itertools import chain, pairwise
from typing import Final

from unmbox._codecs import no_text
from unmbox._late import late
from unmbox._text_costs import seams

broken = late("[\udc80-\udcff]+(?:(?: |\r?\n[ \t])[\udc80-\udcff]+)?").findall
"""Finds what is left over of characters: where text was cut or folded, of one."""
# What is left over of one character in UTF-8: an octet, the beginning of it, all of it about a fold.
_LEFT_OF_ONE = late(
    "[\udc80-\udcff]|[\udce0-\udcef][\udc80-\udcbf]|[\udcf0-\udcf4][\udc80-\udcbf]{1,2}"
    "|(?=[\udcc2-\udcdf]\\s+[\udc80-\udcbf]$|[\udce0-\udcef](?:\\s*[\udc80-\udcbf]){2}$"
    "|[\udcf0-\udcf4](?:\\s*[\udc80-\udcbf]){3}$).+",
    re.DOTALL,
).fullmatch
MAX_LEFT_OVER: Final = 3
"""Octets that may be left of a character that was cut."""
_SURROGATES: Final = bytes(range(0x80, 0x100)).decode("ascii", "surrogateescape")
_VALUES = late("\n(?![ \t])").split
_WHOLE = late("[^\x00-\x7f\udc80-\udcff]").findall
# What a few octets of another charset may say in UTF-8 by chance, and mail hardly ever does.
_SELDOM_SAID = late(
    "[\x80-\x9f\u0180-\u0217\u021c-\u02bf\u02df-\u02ff\u030d-\u0326\u0328-\u0373\u0376\u0377\u037b-\u037f\u03cf-\u03ff"
    "\u0460-\u048f\u0492-\u058f\u0700-\u08ff\u0e80-\u109f\u1100-\u1dff\u2c00-\u2fff\u3130-\u4dff\u9fa6-\uabff\ue000-\ufdff"
    "\U00020000-\U0010ffff]"
).search
_LATIN_LETTER, _NO_LATIN_LETTER = late("[\xc0-\u024f]").search, late("[\u0370-\u06ff]").search
# One such character beside an octet that begins none of its script, or inside a word of ASCII.
_STRANGER = late(
    "[\x80-\u024f](?![\udcc2-\udcc5\udce2])[\udc80-\udcff]|[\u0370-\u04ff](?![\udccd-\udcd3\udce2])[\udc80-\udcff]"
    "|[\u0590-\u06ff](?![\udcd6-\udcdb\udce2])[\udc80-\udcff]|[\udc80-\udcff][\x80-\u06ff]|[A-Za-z][\u2e80-\ud7a3]"
).search
# The beginning of an emoji, or of a letter that would be a capital one after a small one.
_BEGINNING = late("\udcf0\udc9f|[a-z][\udcc2-\udcd6\udcd8-\udcde]$").search
_FOLDED = late("[\udc80-\udcff]\\s+[\udc80-\udcff]").search
# So many that are whole are no chance.
_OF_THREE = late("[\u0800-\ud7ff\ue000-\uffff]").findall
_BEYOND_ASCII = late("[^\x00-\x7f]").findall
_NO_CHANCE: Final = 3
_ENOUGH: Final = 2
NEVER_UTF8: Final = frozenset(
    {f"iso8859_{part}" for part in (2, 3, 4, 6, 7, 8, 10, 13, 14, 15, 16)}
    | {f"cp{page}" for page in range(1250, 1259)}
    | {"koi8_r", "koi8_u"}
)
"""Charsets of single octets whose texts are no valid UTF-8, but for what `says_rather` tells."""
# Few characters of two octets in UTF-8, none of them of a language in Latin script.
_CHANCE = late("[\x00-\x7f]*(?:[\u0180-\u07ff][\x00-\x7f]*){2,4}").fullmatch


def nearly_utf8(raw: bytes, *, known: bool) -> str | None:
    """Return the text of UTF-8 that was cut or folded in mid-character, or has one bad octet; None of others.

    One such place in each value (`raw` may be several lines); its octets become surrogates. Two characters
    that are whole, or folded, are enough, or one where it is `known` that UTF-8 is about.
    """
    text = raw.decode("utf_8", "surrogateescape")
    places = [broken(value) for value in _VALUES(text)]
    if max(map(len, places)) > 1:
        return None
    if len(_OF_THREE(text)) >= _NO_CHANCE:
        return text
    if not all(map(_LEFT_OF_ONE, chain(*places))):
        return None
    whole = "".join(_WHOLE(text))
    sound = len(whole) + bool(_FOLDED(text))
    is_enough = sound + known >= _ENOUGH or (known and _BEGINNING(text))
    is_mixed = _STRANGER(text) if sound == 1 else _LATIN_LETTER(whole) and _NO_LATIN_LETTER(whole)
    return text if is_enough and not is_mixed and not _SELDOM_SAID(whole) else None


def cut_off(text: str) -> str:
    """What is whole of text whose last character was cut, if that is more than ASCII; "" of other text."""
    whole = text.rstrip(_SURROGATES)
    is_cut = 0 < len(text) - len(whole) <= MAX_LEFT_OVER and not whole.isascii()
    return whole if is_cut and not broken(whole) else ""


@lru_cache(maxsize=8)
def is_utf8(lines: bytes) -> bool:
    """Whether lines of a body are UTF-8 beyond ASCII; they may end in mid-character."""
    try:
        return not lines.isascii() and bool(codecs.getincrementaldecoder("utf-8")().decode(lines))
    except UnicodeDecodeError:
        return False


def may_be_chance(text: str) -> bool:
    """Whether octets that are valid UTF-8 and say `text` could be one or two CJK characters all the same.

    谢谢 in GB18030 is лл in UTF-8. Of names of two characters one in thirty is such, of four one in a
    thousand; text of Latin letters, or of three octets a character, never is.
    """
    return bool(_CHANCE(text)) and not seams(text)


def may_be_latin(utf8: str) -> bool:
    """Whether octets that are valid UTF-8 and say this could be two or three letters of Latin script.

    ``SPÓŁKA`` in ISO 8859-2 is ``SPӣKA`` in UTF-8: what mail hardly ever holds, or no Latin letter in a word.
    """
    few = 0 < len(_BEYOND_ASCII(utf8)) <= _NO_CHANCE
    return few and bool(_SELDOM_SAID(utf8) or (_NO_LATIN_LETTER(utf8) and seams(utf8)))


def says_rather(said: str, utf8: str) -> bool:
    """Whether octets say `said`, in the charset of their label, not `utf8`, which they say too."""
    if not may_be_latin(utf8) or no_text(said):
        return False
    # Of three octets three letters, not signs among them: ``zvlášť``, but no ``ㅋ``.
    if _OF_THREE(utf8) and not all(map(str.isalpha, _BEYOND_ASCII(said))):
        return False
    return not any(one.islower() and other.isupper() for one, other in pairwise(said))
