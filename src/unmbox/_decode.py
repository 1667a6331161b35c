"""Field values as people read them: RFC 2047 and RFC 6532 with the sins of real mail.

Nothing here raises, and nothing is lost: an encoded-word that cannot be decoded stays as it was written,
and octets of no known charset become surrogates, which `str.encode` with ``surrogateescape`` turns back.
The time is linear in the value, whatever a hostile sender made of it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from unmbox._late import late

from ._charset import cjk_for_latin, common_cjk, cut_cjk, decode_8bit
from ._codecs import codec_name, decode_strictly, iso_2022_jp, no_text
from ._utf8 import MAX_LEFT_OVER, NEVER_UTF8, nearly_utf8, says_rather

# A fold of a field's value: its line end and one blank become one space.
_FOLD = re.compile(rb"(?:\r\n?|\n)[ \t]?")
# The opening of an encoded-word (RFC 2047 §2). Its end is looked for separately: it may be missing, and
# the text may hold what the grammar forbids (spaces, question marks).
_OPENING = re.compile(rb"=\?([!-<>@-~]{0,60})\?([BbQq])\?")
# In Q text a stray question mark may stand before an encoded octet: `What?=20now?=`.
_CLOSING_Q = late(rb"\?=(?![0-9A-F]{2})")
_BASE64 = late(rb"[A-Za-z0-9+/]+")
_BASE64_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CONTROL = late("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NOT_BASE64 = late(rb"[^A-Za-z0-9+/=]")
_LEADING_BASE64 = late(rb"[A-Za-z0-9+/=]*")
_LEADING_Q = late(rb"[^\s?]*")
_SURROGATE = late("[\udc80-\udcff]")
_HIGH = late(rb"[\x80-\xff]")
_ASCII = late(rb"[\x00-\x7f]").search
_LINE_END = late(r"\r\n?|\n")
# Guesses of a charset cost up to 1 ms; a field that needs more than these is hostile.
_GUESSES: Final = 50
_CANDIDATES: Final = 8
# Those in which a short word may be: `รถ` in TIS-620 is `ö`, `чай` in cp866 a Chinese character.
_SELDOM_UTF8: Final = frozenset(
    {f"cp{page}" for page in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 865, 866, 869)}
    | {f"mac_{name}" for name in ("roman", "cyrillic", "greek", "turkish", "latin2", "iceland")}
    | {"iso8859_5", "cp874"}
)
# Of these, letters that are Latin ones in UTF-8.
_SELDOM_LATIN: Final = frozenset({"iso8859_5", "cp874"})
_CJK: Final = frozenset({"cp932", "euc_jp", "gb18030", "big5hkscs", "cp949"})
_LATIN: Final = frozenset({"iso8859_2", "iso8859_15", "cp1250", "cp1252", "cp1254"})
# A first character that is valid UTF-8, which most of other charsets are not.
_LIKE_UTF8 = re.compile(
    rb"[\x00-\x7f]*(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
).match
# ASCII, and more of a character than the first octet, which alone may be a letter of Latin-1.
_BEGUN_UTF8 = late(rb"([\x00-\x7f]+)([\xe0-\xef][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{1,2})").fullmatch
# Latin letters, and signs of any text.
_ANY_LATIN = late(r"\A[\x00-\x7f\xa0-\u024f\u2000-\u2bff\ufe0f\U0001f000-\U0001faff]*\Z").search
_SEAM = late("[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]").search
_BOX = late("[\u2500-\u259f]").search
_BEYOND_ASCII, _LONG = late("[^\x00-\x7f]").findall, 3
_OF_THREE = late("[\u0800-\uffff]").findall
_HALF_WIDTH = late("[\uff61-\uff9f][\u3040-\u9fff]|[\u3040-\u9fff][\uff61-\uff9f]").search
# What nearly all encoded values are: sound encoded-words of one charset, before a sound address or nothing.
_WORD = rb"=\?[\w-]{1,40}\?(?:[Bb]\?[A-Za-z0-9+/]*={0,2}|[Qq]\?[!->@-~]*)\?="
_SOUND = re.compile(rb"(%b(?:[ \t\r\n]+%b)*)( <[^<>()\"\\\s?]*>)?" % (_WORD, _WORD)).fullmatch
_PARTS = re.compile(rb"=\?([^?]*)\?(.)\?([^?]*)\?=").findall
_NEEDS_QUOTES = late(r'[()<>\[\]:;@\\,"]')
_QUOTED_SPECIALS = late(r'["\\]')
_COMMENT_SPECIALS = late(r"[()\\]")
_STRUCTURE = late(r'\\.|["()<>]', re.DOTALL)


Guess = Callable[[bytes], str]


class _Word(NamedTuple):
    """An encoded-word: its charset, ``b"B"`` or ``b"Q"``, its text, all of it as it stood, what it says."""

    charset: str
    encoding: bytes
    text: bytes
    source: bytes
    octets: bytes = b""


class _Piece(NamedTuple):
    """A part of a value: `source` is the encoded-word that it was, empty for ordinary text."""

    text: str
    source: str


def decode_text(raw: bytes, guess: Guess | None = None) -> str:
    """Return an unstructured value (a Subject) as one line of text, stripped.

    `guess` reads octets that name no charset, by what else is known of the message. Never raises.
    """
    if _is_plain(raw):
        return raw.decode("ascii").strip()
    sound = _SOUND(raw)
    if sound and not sound[2] and (text := _sound_text(sound[1])) is not None:
        return text.strip()
    return "".join([piece.text for piece in _pieces(raw, guess)]).strip()


def decode_addresses(raw: bytes, guess: Guess | None = None) -> str:
    """Return a structured value (From, To) as text whose structure still stands.

    What an encoded-word brings in is a name and no syntax: it is quoted where it holds a comma or the
    like, escaped where it stands in quotes, and left encoded inside ``<>``. Never raises.
    """
    if _is_plain(raw):
        return raw.decode("ascii").strip()
    sound = _SOUND(raw)
    if sound and (text := _sound_text(sound[1])) is not None:
        address = sound[2].decode("ascii", "surrogateescape") if sound[2] else ""
        return f"{_quoted(text)}{address}".strip()
    shown: list[str] = []
    # What is open around a piece: nothing, `"`, `<` or `(`, and how deep the comment is.
    within, depth = "", 0
    for text, source in _pieces(raw, guess):
        if not source:
            shown.append(text)
            within, depth = _context(text, within, depth)
        elif within == "<":
            shown.append(source)
        elif within == "(":
            shown.append(_COMMENT_SPECIALS.sub(r"\\\g<0>", text))
        elif within:
            shown.append(_QUOTED_SPECIALS.sub(r"\\\g<0>", text))
        else:
            shown.append(_quoted(text))
    return "".join(shown).strip()


def _quoted(name: str) -> str:
    """A display name as it stands outside quotes."""
    if not _NEEDS_QUOTES.search(name):
        return name
    return '"' + _QUOTED_SPECIALS.sub(r"\\\g<0>", name) + '"'


def _sound_text(words: bytes) -> str | None:
    """What sound encoded-words say, None where the long way must tell; it says the same of the others."""
    octets = []
    parts = _PARTS(words)
    charset = parts[0][0]
    for name, encoding, text in parts:
        if name != charset:
            return None
        if encoding in b"Bb":
            if len(text) % 4:
                return None
            octets.append(binascii.a2b_base64(text))
        elif b"==" in text or text.endswith(b"="):
            return None
        else:
            octets.append(binascii.a2b_qp(text, header=True))
    codec = codec_name(charset.decode("ascii"))
    if codec is None or codec in NEVER_UTF8:
        return None
    whole = b"".join(octets)
    if codec != "utf_8" and _LIKE_UTF8(whole) and decode_strictly(whole, "utf_8") is not None:
        return None
    if b"\x1b" in whole and not codec.startswith("iso2022"):
        return None
    said = decode_strictly(whole, codec)
    return None if said is None or "\n" in said or "\r" in said else said


def _is_plain(raw: bytes) -> bool:
    """Say whether `raw` is what it shows: ASCII, one line, no encoded-word, no ISO 2022 escape."""
    return raw.isascii() and raw.find(b"=?") < 0 and 0x0A not in raw and 0x0D not in raw and 0x1B not in raw


def _context(text: str, within: str, depth: int) -> tuple[str, int]:
    """Follow quotes, comments and angle brackets through `text`."""
    for mark in _STRUCTURE.findall(text):
        if within == '"':
            within = "" if mark == '"' else within
        elif within == "<":
            within = "" if mark == ">" else within
        elif mark == "(":
            within, depth = "(", depth + 1
        elif within:
            depth -= mark == ")"
            within = "(" if depth else ""
        elif mark in ('"', "<"):
            within = mark
    return within, depth


def _pieces(raw: bytes, guess: Guess | None) -> list[_Piece]:
    field = _Field(guess)
    tokens = list(field.decoded(_tokens(_FOLD.sub(b" ", raw).strip())))
    # Raw octets of one value are of one charset: they are decoded together, kept apart by line ends.
    strange = [token for token in tokens if isinstance(token, bytes)]
    texts = iter(field.raw(strange))
    return [_Piece(next(texts), "") if isinstance(token, bytes) else token for token in tokens]


def _tokens(raw: bytes) -> Iterator[bytes | _Word]:
    """Cut a value into ordinary text and encoded-words; each octet is looked at a few times at most."""
    done = 0
    openings = _OPENING.finditer(raw)
    opening = next(openings, None)
    while opening is not None:
        following = next(openings, None)
        start, limit = opening.end(), following.start() if following else len(raw)
        encoding = opening[2].upper()
        end, after = _closing(raw, start, limit, encoding)
        if opening.start() > done:
            yield raw[done : opening.start()]
        yield _Word(opening[1].decode("ascii"), encoding, raw[start:end], raw[opening.start() : after])
        done, opening = after, following
    if done < len(raw):
        yield raw[done:]


def _closing(raw: bytes, start: int, limit: int, encoding: bytes) -> tuple[int, int]:
    """Return where the text of an encoded-word ends, and where what belongs to it ends."""
    if encoding == b"Q" and (match := _CLOSING_Q.search(raw, start, limit)):
        return match.start(), match.end()
    end = raw.find(b"?=", start, limit)
    if end >= 0:
        return end, end + 2
    # No `?=`: cut off by a program that limits lengths, or merged with the next opening.
    leading = (_LEADING_BASE64 if encoding == b"B" else _LEADING_Q).match(raw, start, limit)
    end = leading.end() if leading else start
    return end, end + 1 if raw[end : end + 1] == b"?" and end < limit else end


class _Field:
    """What is known while one value is decoded: charsets that it names, and how many guesses are left."""

    def __init__(self, guess: Guess | None) -> None:
        self._candidates: list[str] = []
        self._guess = guess
        self._guesses = _GUESSES

    def decoded(self, tokens: Iterator[bytes | _Word]) -> Iterator[bytes | _Piece]:
        """Decode the encoded-words, dropping the white space between them (RFC 2047 §6.2).

        Ordinary text comes back as a piece where it is ASCII, else as octets.
        """
        words: list[_Word] = []
        blank: bytes = b""
        was_left_over = False
        for token in tokens:
            if isinstance(token, _Word) and (octets := _octets(token)) is not None:
                if words and _differ(words[0].charset, token.charset):
                    said = self._joined(words)
                    words, blank = [], b""
                    was_left_over = _is_left_over(said.source, token, octets)
                    if was_left_over:
                        left_over = octets.decode("ascii", "surrogateescape")
                        yield _Piece(said.text + left_over, f"{said.source} {token.source.decode('ascii')}")
                        continue
                    yield said
                words.append(token._replace(octets=octets))
                blank = b""
            elif (words or was_left_over) and isinstance(token, bytes) and token.isspace():
                blank = token
            else:
                if words:
                    yield self._joined(words)
                words, was_left_over = [], False
                text = blank + (token if isinstance(token, bytes) else token.source)
                blank = b""
                yield _Piece(text.decode("ascii"), "") if text.isascii() and b"\x1b" not in text else text
        if words:
            yield self._joined(words)

    def _joined(self, words: list[_Word]) -> _Piece:
        """Decode adjacent encoded-words of one charset: a character may begin in one and end in the next."""
        source = b" ".join([word.source for word in words]).decode("utf-8", "surrogateescape")
        charset = words[0].charset.partition("*")[0]  # RFC 2231 §5 puts a language after an asterisk
        if len(self._candidates) < _CANDIDATES and charset not in self._candidates:
            self._candidates.append(charset)
        octets = [word.octets for word in words]
        whole = b"".join(octets)
        codec = codec_name(charset)
        if codec is not None and _may_be_cut_inside(words):
            # In a charset of one octet a letter whatever comes of the pieces is text.
            together = _rejoined(words) or whole
            if _is_cut_inside(words) or (_controls(whole, codec) and not _controls(together, codec)):
                whole = together
        if codec is not None and len(words) > 1 and decode_strictly(whole, codec) is None:
            # Each may be whole in itself (ISO 2022), or base64 was cut at any place.
            for parts in (octets, [_rejoined(words) or whole]):
                texts = [decode_strictly(part, codec) for part in parts]
                if None not in texts:
                    return _Piece(_LINE_END.sub(" ", "".join(filter(None, texts))), source)
            # One that is damaged, or holds raw octets, says nothing of the others.
            runs = groupby(octets, lambda part: decode_strictly(part, codec) is not None)
            said = [self.text(b"".join(run), charset) for _, run in runs]
            return _Piece(_LINE_END.sub(" ", "".join(said)), source)
        return _Piece(_LINE_END.sub(" ", self.text(whole, charset)), source)

    def text(self, octets: bytes, charset: str) -> str:
        """Decode octets that were declared to be `charset`, which may be wrong or unknown."""
        codec = codec_name(charset)
        if codec is None:
            # Repairs write so what is UTF-8 but for some octets.
            is_repaired = charset.lower() == "unknown-8bit"
            return nearly_utf8(octets, known=is_repaired) or self.raw([octets])[0]
        said = iso_2022_jp(octets) if b"\x1b" in octets and not codec.startswith("iso2022") else None
        if said is not None and octets.isascii():
            return said  # its escapes say what it is, whatever it is called
        text = decode_strictly(octets, codec)
        if text is not None and (octets.isascii() or codec == "utf_8"):
            return text
        utf8 = decode_strictly(octets, "utf_8")
        if utf8 is not None and (text is None or _is_rather(utf8, octets, codec, text)):
            return utf8
        if said is not None:
            return said
        if utf8 is None and codec in _LATIN:
            text = self._cjk(octets, codec) or text
        return self._damaged(octets, codec) if text is None else text

    def _damaged(self, octets: bytes, codec: str) -> str:
        """Decode octets that are not all of their charset."""
        cut = nearly_utf8(octets, known=True) if codec == "utf_8" else cut_cjk(octets, codec)
        if cut is None and codec == "utf_8" and (end := _BEGUN_UTF8(octets)):
            cut = end[1].decode("ascii") + end[2].decode("ascii", "surrogateescape")
        if cut is not None:
            return cut
        # Cut in mid-character, or a few octets damaged: the declaration still says the most.
        try:
            damaged = octets.decode(codec, "surrogateescape")
        except (UnicodeError, LookupError):
            damaged = octets.decode("ascii", "surrogateescape")
        if 8 * len(_SURROGATE.findall(damaged)) <= len(_HIGH.findall(octets)):
            return damaged
        return self.raw([octets])[0]

    def _cjk(self, octets: bytes, codec: str) -> str | None:
        self._guesses -= 1
        return cjk_for_latin(octets, codec) if self._guesses >= 0 else None

    def raw(self, parts: list[bytes]) -> list[str]:
        """Decode octets that name no charset, all parts alike."""
        if not parts:
            return []
        if self._guess:
            return list(map(self._guess, parts))
        self._guesses -= 1
        if self._guesses >= 0:
            texts = decode_8bit(b"\n".join(parts), self._candidates)[0].split("\n")
            if len(texts) == len(parts):
                return texts
        return [part.decode("utf-8", "surrogateescape") for part in parts]


def _is_rather(utf8: str, octets: bytes, codec: str, said: str) -> bool:
    """Whether octets that say something in UTF-8, and in the charset of their label, are UTF-8 rather."""
    if codec in NEVER_UTF8:
        return not says_rather(said, utf8)
    is_long = len(_OF_THREE(utf8)) > 1 or len(_BEYOND_ASCII(utf8)) > _LONG
    if codec in _CJK:
        is_common = common_cjk(octets, codec) is not None and not _HALF_WIDTH(said)
        return bool(no_text(said) or (is_long and not is_common) or (_ANY_LATIN(utf8) and _SEAM(said)))
    if codec not in _SELDOM_UTF8:
        return False
    if is_long or no_text(said) or _BOX(said):
        return True
    return bool(_ANY_LATIN(utf8)) and (codec not in _SELDOM_LATIN or bool(_SEAM(said)))


def _differ(one: str, other: str) -> bool:
    return one != other and codec_name(one) != codec_name(other)


def _is_left_over(before: str, word: _Word, octets: bytes) -> bool:
    """Whether a repair has written a word so, for what is left of a character after text in UTF-8."""
    return (
        word.charset == "unknown-8bit"
        and len(octets) <= MAX_LEFT_OVER
        and not _ASCII(octets)
        and before.startswith("=?UTF-8?")
    )


def _octets(word: _Word) -> bytes | None:
    """Undo B or Q, as far as it can be undone without losing an octet; None where it cannot."""
    text = word.text
    if word.encoding == b"Q":
        # a2b_qp drops an equals sign before another one and at the end.
        if b"==" in text or text.endswith(b"="):
            text = re.sub(rb"=(?![0-9A-Fa-f]{2})", b"=3D", text)
        return binascii.a2b_qp(text, header=True)
    text = b"".join(text.split())
    if _NOT_BASE64.search(text):
        return None
    return b"".join([_unbase64(run) for run in _BASE64.findall(text)])


def _may_be_cut_inside(words: list[_Word]) -> bool:
    """Whether these encoded-words may be one base64 text that was cut inside a group of four."""
    sizes = [len(word.text) for word in words]
    if sum(sizes) % 4 or not any(size % 4 for size in sizes):
        return False
    return all(word.encoding == b"B" for word in words) and not any(b"=" in word.text for word in words[:-1])


def _is_cut_inside(words: list[_Word]) -> bool:
    """Whether they surely are: a word that is whole, and lacks its padding, ends in bits that are zero."""
    for text in (word.text for word in words[:-1]):
        spare = {1: 63, 2: 15, 3: 3}.get(len(text) % 4, 0)
        if spare and _BASE64_DIGITS.find(text[-1:]) & spare:
            return True
    return False


def _controls(octets: bytes, codec: str) -> bool:
    text = decode_strictly(octets, codec)
    return text is None or _CONTROL.search(text) is not None


def _rejoined(words: list[_Word]) -> bytes | None:
    """Decode encoded-words as one text, whose base64 was not cut at multiples of four; None if it is none."""
    if any(word.encoding != words[0].encoding for word in words):
        return None
    return _octets(words[0]._replace(text=b"".join([word.text for word in words])))


def _unbase64(run: bytes) -> bytes:
    """Decode one run of base64 without its padding, which may have been missing or wrong."""
    if len(run) % 4 == 1:
        run = run[:-1]  # six bits are no octet: the text was cut off here
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))
