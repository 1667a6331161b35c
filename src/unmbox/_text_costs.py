"""What a text costs in a language, in bits: how often its characters occur, and what stands together."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

from unmbox._codecs import no_text
from unmbox._frequencies import COMMON, TABLES
from unmbox._late import late

WESTERN: Final = "en de fr es it pt sv da is"
CENTRAL: Final = "pl cs sk hu ro hr"
LATIN: Final = frozenset(f"{WESTERN} {CENTRAL} tr".split())

# Costs in bits that no list gives, set on generated texts: names and phrases made of the same lists.
_ASCII_LETTER, _OTHER_LETTER, SYMBOL, _UNDECODABLE = 6.0, 14.0, 17.0, 30.0
_HALF_WIDTH, RARE_CJK, COMMON_CJK = 9.0, 22.0, 13.0
# ASCII that text seldom has, and that is often the second octet of a CJK character.
_ASCII_MARKS: Final = dict.fromkeys("^~`{}|\\", 6.0)
_MARKS: Final = dict.fromkeys("“”‘’–—…€°«»„§№·¡¿ ´º®²³µ£¥¢©±×½¼¾¦¬¶", 7.0)
_CJK_MARKS: Final = dict.fromkeys(
    "、。・「」【】（）！？：；，．～〜“”‘’…《》－—　★☆◆■●○①②③④⑤⑥⑦⑧⑨⑩㈱№ⅠⅡⅢ"
    "０１２３４５６７８９／＝＆＃＋％＊＜＞￥〒→←↑↓♪※◎△▲□▽▼〇",
    8.0,
) | {"€": 13.0}
# Vendors' forms of two characters of names, which the lists spell as JIS has them.
_OF_NAMES: Final = dict.fromkeys("髙﨑", COMMON_CJK - 1)
# The patterns that a wrong charset makes: ASCII and other letters side by side where a language keeps
# them apart, runs of accented letters, symbols inside words, final forms of letters before others,
# capitals after small letters.
seams, _SEAM, _SEAM_CJK = late("[A-Za-z](?=[^\x00-\x7f])|[^\x00-\x7f](?=[A-Za-z])").findall, 7.0, 6.0
_RUNS, _RUN = late("(?<=[^\x00-\x7f])[^\x00-\x7f]").findall, 4.0
_INSIDES, _INSIDE = late(r"(?<=[^\W\d_])[«»„“”°º´№€§¡¿…—](?=[^\W\d_])").findall, 8.0
# Signs that stand by numbers and blanks: beside letters and one another they are letters, wrongly read.
misplaced = late(
    r"[£¥¢©±×½¼¾¦¬¶®²³](?=[A-Za-z\x80-\u200f\u2027-\U0010ffff])"
    r"|(?<=[A-Za-z\x80-\u200f\u2027-\U0010ffff])[£¥¢©±×½¼¾¦¬¶µ]"
    r"|(?<=[^\x00-\x7f])[®²³]|(?<=[A-Za-z]{3})[²³]|µ(?=[A-Za-z\x80-\U0010ffff]{3})"
).findall
# A closing mark that nothing opened.
_UNOPENED = late(r"^[^«]*[^\W\d_]»(?!\w)").match
_FINALS, _FINAL = late(r"[ςךםןףץ]\w").findall, 8.0
_BEYOND_ASCII = late("[^\x00-\x7f]").findall
_MIXED_CASE: Final = 8.0
_WORDS: Final = late(r"[^\W\d_]+").findall


def patterns(text: str, language: str) -> float:
    """Return what `text` costs in a language over its characters: their case, and what stands together."""
    if language in COMMON:
        return _SEAM_CJK * len(seams(text))
    bits = 0.0
    words = _WORDS(text)
    capitals = False
    for word in words:
        if word.islower():
            bits += 2.0 * capitals
        elif word.isupper():
            bits += 0.0 if capitals else 4.0 if len(word) > 1 else 1.0
            capitals = capitals or len(word) > 1
        elif word[1:].islower():
            bits += 1.0
        elif word.lower() != word:
            rises = sum([left.islower() and right.isupper() for left, right in pairwise(word)])
            bits += _MIXED_CASE * (rises or 0.5)
    if words and words[0].islower():
        bits += 1.5
    bits += _INSIDE * (len(_INSIDES(text)) + bool(_UNOPENED(text)))
    bits += (SYMBOL - 7.0) * len(misplaced(text))
    if language in LATIN:
        return bits + _RUN * len(_RUNS(text))
    return bits + _SEAM * len(seams(text)) + _FINAL * len(_FINALS(text))


def all_words(text: str) -> bool:
    """Whether all beyond ASCII are letters, of words in small letters, in capitals, or capitalised."""
    if not all(map(str.isalpha, _BEYOND_ASCII(text))):
        return False
    words = (word for word in _WORDS(text) if not word.isascii())
    return all(word.isupper() or word[1:].islower() or len(word) == 1 for word in words)


class _Costs(dict[str, float]):
    """What each character costs in a language; what no table lists is judged by its kind, once."""

    def __init__(self, language: str) -> None:
        super().__init__(_CJK_MARKS if language in COMMON else _MARKS)
        self._language = language
        if language == "ja":
            self.update(_OF_NAMES)
        for octet in range(128):
            self[chr(octet)] = _ASCII_LETTER if chr(octet).isalpha() else _ASCII_MARKS.get(chr(octet), 0.0)
        for bits, chars in re.findall(r"(\d+)(\D+)", TABLES.get(language, "")):
            for char in chars:
                self[char] = self[char.upper()] = float(bits)

    def __missing__(self, char: str) -> float:
        bits = self._judge(char)
        if len(self) < 5000:
            self[char] = bits
        return bits

    def _judge(self, char: str) -> float:
        if no_text(char):
            return _UNDECODABLE
        if self._language == "any":
            return _ASCII_LETTER
        if self._language not in COMMON:
            return _OTHER_LETTER if char.isalpha() else SYMBOL
        if "\uff61" <= char <= "\uff9f":
            return _HALF_WIDTH
        charset, last, bits = COMMON[self._language]
        octets = char.encode(charset, "replace")
        return bits if len(octets) == 2 and char.isalpha() and octets[0] <= last else RARE_CJK


costs_in = lru_cache(maxsize=None)(_Costs)
