"""Header values of any text, put into 7-bit octets: RFC 2047 words, and folding.

Each encoder takes a value as one line of text. What needs no encoding stays as it is written; what needs
it is what is not ASCII, and words too long for any line. Octets of an unknown charset come as surrogates
(``surrogateescape``) and are labelled ``unknown-8bit`` (RFC 1428), so nothing is lost and nothing claimed.
"""

from __future__ import annotations

import binascii
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import Final
from unicodedata import normalize

from unmbox._addresses import read_wide
from unmbox._codecs import codec_name
from unmbox._decode import decode_text
from unmbox._fields import MAX_LINE
from unmbox._late import late
from unmbox._utf8 import cut_off

MAX_WORD: Final = 900
"""Characters of a word that may stand unbroken in a line of its own."""
_FOLD_AT: Final = 76  # RFC 2047 §2 for lines with encoded-words; RFC 5322 §2.1.1 advises 78
PAYLOAD: Final = 75 - len("=?unknown-8bit?Q??=")
"""Octets that one encoded-word, or one part of a parameter, holds at most."""

_WHITE_SPACE = late(r"([ \t]+)")
# Spaces inside are against RFC 2047, and in real mail; a fold there would tear the word in two.
_ENCODED_WORD = late(r"(=\?[^?\s]{1,60}\?[BbQq]\?[^?]*\?=)")
_IS_ENCODED_WORD = late(r"=\?[^?\s]{1,60}\?[BbQq]\?[^?]*\?=").fullmatch
# The same in any text, where its end may be missing.
_WORD_OF = late(r"=\?([^?\s]{1,60})\?[BbQq]\?(?:[^?]*\?=(?!\?[^?\s]{1,60}\?[BbQq]\?)|(?:(?!=\?)[^?\s])*\??)")
# The parenthesis of an ISO 2022 escape, which stays where what it is for is no character, opens no comment.
_ESCAPE: Final = r"\x1b\$?\([@-Z]"
_LEXEMES = late(
    rf'=\?[^?\s]{{1,60}}\?[BbQq]\?[^?"]*\?=|{_ESCAPE}|\\.|["()<>,:;]|[ \t]+|[^\\"()<>,:; \t\x1b]+|\\|\x1b'
)
_CLOSING: Final = {'"': '"', "<": ">", "(": ")"}
# What comes before an address in brackets is its name, whatever is in it.
_IN_NAME = late(r'[^,:;<>"()]{0,200}<').match
_MARKS: Final = frozenset(",:;)>")
_BETWEEN_PARENTHESES = late(rf"(?:{_ESCAPE}|[^()])+")
# But half of a character whose charset nobody knows.
_ESCAPED = late(r"(?<![\udc80-\udcff])\\(.)", re.DOTALL)

ALPHANUMERIC: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# RFC 2047 §5 (3), the narrowest of its sets: what these spell is right wherever a word may stand.
_Q: Final = ["_" if octet == 32 else f"={octet:02X}" for octet in range(256)]
for _octet in ALPHANUMERIC + b"!*+-/":
    _Q[_octet] = chr(_octet)
_Q_COSTS: Final = bytes(map(len, _Q))
_HIGH = late(rb"[\x1b\x80-\xff]")
_DEVIATING = late("[ßẞς\u200c\u200d]")
_IS_DOMAIN = late(r"[0-9A-Za-z._-]+").fullmatch
_DOTS = late("[.。．｡]")  # RFC 3490 §3.1
_LONG_WORD = late(rf"(?<![^ \t])[^ \t]{{{MAX_WORD + 1}}}").search
# Words, and characters of a word, that are encoded at a time: memory stays flat, however long a value is.
_WORDS_AT_ONCE: Final = 1000
_AT_ONCE: Final = 1 << 13


def needs_encoding(text: str) -> bool:
    """Whether a text cannot stand in a header line as it is: not ASCII, or a word too long to fold.

    An escape would be read as ISO-2022-JP, which is no plain text either.
    """
    return not text.isascii() or "\x1b" in text or (len(text) > MAX_WORD and bool(_LONG_WORD(text)))


def encoded_words(text: str) -> str:
    """Return `text` as encoded-words of at most 75 characters, each of whole characters (RFC 2047 §2, §5)."""
    if len(text) > _AT_ONCE:
        return " ".join(encoded_words(text[at : at + _AT_ONCE]) for at in range(0, len(text), _AT_ONCE))
    charset, octets = octets_of(text)
    if charset != "UTF-8" and (kept := cut_off(text)):
        # What is left of the last character has a word of its own: readers know the rest.
        return f"{encoded_words(kept)} {encoded_words(text[len(kept) :])}"
    costs = octets.translate(_Q_COSTS)
    if sum(costs) <= (len(octets) + 2) // 3 * 4:
        return " ".join(f"=?{charset}?Q?{spelled(_Q, octets[a:b])}?=" for a, b in cuts(octets, costs))
    # Three octets become four characters; a third more each is a cost that never under-counts them.
    chunks = (octets[a:b] for a, b in cuts(octets, [4 / 3] * len(octets)))
    return " ".join(
        f"=?{charset}?B?{binascii.b2a_base64(chunk, newline=False).decode()}?=" for chunk in chunks
    )


def spelled(table: Sequence[str], octets: bytes) -> str:
    """Return octets in the forms that a table has for each."""
    return "".join([table[octet] for octet in octets])


def octets_of(text: str) -> tuple[str, bytes]:
    """Return the octets of text, surrogates as the octets that they were, and the name of their charset."""
    try:
        return "UTF-8", text.encode()
    except UnicodeEncodeError:
        return "unknown-8bit", text.encode("utf-8", "surrogateescape")


def cuts(octets: bytes, costs: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Cut `octets` before characters, such that each piece costs at most `PAYLOAD`."""
    if sum(costs) <= PAYLOAD - 3:
        yield 0, len(octets)
        return
    start, size, last = 0, 0.0, 0
    since = 0.0  # the cost from `last`, where the current character begins
    for at, cost in enumerate(costs):
        if octets[at] & 0xC0 != 0x80 or at - last > 3:
            last, since = at, 0.0
        size += cost
        since += cost
        if size > PAYLOAD - 3 and last > start:
            yield start, last
            start, size = last, since
    yield start, len(octets)


# -- unstructured text, and the words of phrases and comments --------------------------------------


@dataclass(slots=True)
class _Unit:
    """A word: the white space before it, its octets as written, what it says, and whether to encode it."""

    space: str
    written: str
    text: str
    encode: bool

    @property
    def is_encoded(self) -> bool:
        """Whether a reader would drop white space between this word and an encoded one."""
        return self.encode or bool(_IS_ENCODED_WORD(self.written))


def encode_text(text: str) -> str:
    """Return an unstructured value (a Subject, or part of a comment) with its words encoded where needed."""
    if not needs_encoding(text):
        return text
    out: list[str] = []
    units: list[_Unit] = []
    space = ""
    before: _Unit | None = None
    for piece in _pieces(text):
        if piece[0] in " \t":
            space = piece
            continue
        units.append(_Unit(space, piece, piece, needs_encoding(piece)))
        space = ""
        if len(units) == _WORDS_AT_ONCE:
            out.append(_joined(units, before))
            before, units = units[-1], []
    return "".join(out) + _joined(units, before)


def _pieces(text: str) -> Iterator[str]:
    """Cut text into words and the white space between; an encoded-word is one, whatever is in it."""
    word: list[str] = []
    for number, piece in enumerate(_split(_ENCODED_WORD, text)):
        if number % 2:
            word.append(piece)
            continue
        for part in filter(None, _split(_WHITE_SPACE, piece)):
            if part[0] in " \t":
                if word:
                    yield "".join(word)
                    word = []
                yield part
            else:
                word.append(part)
    if word:
        yield "".join(word)


def _split(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Yield what stands between matches, and these: as `re.split` does, without a list of them all."""
    at = 0
    for match in pattern.finditer(text):
        yield text[at : match.start()]
        yield match[0]
        at = match.end()
    yield text[at:]


def _decode_broken(units: list[_Unit]) -> None:
    """Let encoded-words that must be written anew say their text, together with their like beside them."""
    run: list[_Unit] = []
    for unit in [*units, _Unit("", "", "", encode=False)]:
        if "=?" in unit.written:
            run.append(unit)
            continue
        if any(each.encode for each in run):
            whole = run[0].text + "".join([each.space + each.text for each in run[1:]])
            run[0].text = words_said(whole)
            run[0].encode = True
            for each in run[1:]:
                each.space = each.written = each.text = ""
                each.encode = True
        run = []


def words_said(text: str) -> str:
    """Return what text with encoded-words in it says.

    What is longer than any header says nothing worth its decoding.
    """
    if "=?" not in text or len(text) > _AT_ONCE:
        return text
    out: list[str] = []
    run, of, at = "", "", 0  # adjacent encoded-words of one charset, and where they end
    for match in [*_WORD_OF.finditer(text), None]:
        between = text[at : match.start() if match else len(text)]
        apart = not run or between.strip(" \t")
        if run and (apart or match is None or match[1].lower() != of):
            out.append(_decoded(run, of))
            run = ""
        if apart or match is None:
            out.append(between)
        if match:
            run, of, at = f"{run} {match[0]}".strip(" "), match[1].lower(), match.end()
    return "".join(out)


def _decoded(words: str, charset: str) -> str:
    """Return what encoded-words say; letters in them that are no ASCII were octets of their charset."""
    try:
        octets = words.encode(codec_name(charset.partition("*")[0]) or "utf-8")
    except UnicodeError:
        octets = words.encode("utf-8", "surrogateescape")
    # Marks around keep the white space that the words themselves say.
    return decode_text(b"|" + octets + b"|")[1:-1]


def _joined(units: list[_Unit], before: _Unit | None = None) -> str:
    """Write the units after `before`: a run of those to be encoded, with its white space, as encoded-words.

    RFC 2047 §6.2: a reader drops white space between encoded-words, so what shall be seen goes inside one.
    """
    if any(unit.encode for unit in units):
        for unit in units:
            # Of one that is cut off, or glued to a word, readers differ on what it and the space behind say.
            unit.encode = unit.encode or ("=?" in unit.written and not _IS_ENCODED_WORD(unit.written))
        if any(unit.encode and "=?" in unit.written for unit in units):
            _decode_broken(units)
    out: list[str] = []
    run: list[str] = []
    for unit in units:
        if unit.encode:
            if run:
                run += unit.space, unit.text
            else:
                out.append(unit.space or (" " if before else ""))
                run = [unit.space, unit.text] if before and before.is_encoded else [unit.text]
        else:
            space = unit.space
            if run:
                if unit.is_encoded:
                    run.append(space)
                out.append(encoded_words("".join(run)))
                run = []
                space = space or " "
            out += space, unit.written
        before = unit
    if run:
        out.append(encoded_words("".join(run)))
    return "".join(out)


# -- addresses ---------------------------------------------------------------------------------------


def encode_addresses(text: str, *, loose: bool = False) -> tuple[str, bool] | None:
    """Return a value of addresses with its names and comments encoded where needed (RFC 2047 §5).

    Addresses stay as they are. One that is not ASCII has no 7-bit form: its domain becomes A-labels
    (RFC 5890) where it can, other octets ``%XX``, and the second result says so, as it does where marks of
    full width have become ASCII. `loose` puts a space after each comma and semicolon, to fold at. None where
    an address is too long for a line.
    """
    given, text = text, read_wide(text)
    out = StringIO()
    phrase: list[_Unit] = []
    before: _Unit | None = None  # the word before, where the phrase is a long one's rest
    space = ""
    changed = text != given
    for kind, written in chain(_segments(text), [("mark", "")]):
        if kind == "space":
            space = written
            continue
        if kind == "word":
            said = _ESCAPED.sub(r"\1", written[1:].removesuffix('"')) if written[0] == '"' else written
            if not phrase and not before and not space and out.tell() and needs_encoding(written):
                space = " "
            phrase.append(_Unit(space, written, said, needs_encoding(written)))
            space = ""
            if len(phrase) == _WORDS_AT_ONCE:
                out.write(_joined(phrase, before))
                before, phrase = phrase[-1], []
            continue
        if phrase:
            out.write(_joined(phrase, before))
            before, phrase = phrase[-1], []
        if before and before.encode and kind != "mark":
            space = space or " "
        before = None
        if kind == "comment":
            written = _comment(written)
        elif needs_encoding(written):
            changed |= not written.isascii()
            written = _ascii_address(written)
            if len(written) > MAX_WORD:
                return None
        out.write(space + written)
        space = " " if loose and written in (",", ";") else ""
    return out.getvalue(), changed


def _segments(text: str) -> Iterator[tuple[str, str]]:
    """Cut a value into spaces, words (quoted strings too), addresses, comments and marks, as written."""
    word: list[str] = []
    opened = len(text)  # where the open segment begins
    closing, depth = "", 0  # what ends it, and how often that must come (comments nest)
    for match in _LEXEMES.finditer(text):
        lexeme = match[0]
        if depth:
            if lexeme == closing:
                depth -= 1
            elif lexeme == "(" and closing == ")":
                depth += 1
            if depth:
                continue
            whole, opened = text[opened : match.end()], len(text)
            if lexeme == '"':
                word = [whole]
            else:
                yield ("comment" if lexeme == ")" else "address"), whole
            continue
        if word and (lexeme[0] in ' \t(<>),:;"' or (word[0][0] == '"' and lexeme[0] != "@")):
            yield "word" if _IN_NAME(text, match.start()) else _kind(word), "".join(word)
            word = []
        if lexeme in _CLOSING:
            closing, depth, opened = _CLOSING[lexeme], 1, match.start()
        elif lexeme[0] in " \t":
            yield "space", lexeme
        elif lexeme in _MARKS:
            yield "mark", lexeme
        else:
            word.append(lexeme)
    if word:
        yield _kind(word), "".join(word)
    # Nothing closes what is still open: the value was cut off, or the mark was ordinary text.
    for piece in filter(None, _split(_WHITE_SPACE, text[opened:])):
        yield ("space" if piece[0] in " \t" else _kind([piece])), piece


def _kind(word: list[str]) -> str:
    """Tell an address from a word: in a quoted string only an ``@`` behind it counts."""
    quoted = word[0][0] == '"' and len(word[0]) > 1 and word[0][-1] == '"'
    return "address" if "@" in "".join(word[1:] if quoted else word) else "word"


def _comment(written: str) -> str:
    return _BETWEEN_PARENTHESES.sub(_part_of_comment, written) if needs_encoding(written) else written


def _part_of_comment(match: re.Match[str]) -> str:
    words = match[0].rstrip(" \t")
    return encode_text(words) + match[0][len(words) :]


def _ascii_address(written: str) -> str:
    head, at, domain = written.rpartition("@")
    end = ">" if domain.endswith(">") else ""
    # Python's codec takes quadratic time for long names; the DNS takes 253 octets.
    if at and not domain.isascii() and len(domain) < 256:
        with contextlib.suppress(UnicodeError):
            found = _ascii_domain(domain.removesuffix(end))
            # Of characters that look like them the codec makes commas, brackets and blanks.
            domain = found + end if _IS_DOMAIN(found) else domain
    return percent_encoded((head + at + domain).encode("utf-8", "surrogateescape")).decode()


def _ascii_domain(domain: str) -> str:
    """A domain in letters, digits and hyphens (RFC 5890). Raises UnicodeError where there is no such form."""
    if not _DEVIATING.search(domain):
        return domain.encode("idna").decode()
    return ".".join(map(_ascii_label, _DOTS.split(domain)))


def _ascii_label(label: str) -> str:
    # Python's codec is of 2003, when these letters were others' spellings; now they are their own (UTS 46).
    if not _DEVIATING.search(label):
        return label.encode("idna").decode()
    written = "xn--" + normalize("NFC", label.lower()).encode("punycode").decode()
    if len(written) > 63:
        raise UnicodeError("label too long")
    return written


# -- fields that take no encoding ------------------------------------------------------------------------


def percent_encoded(octets: bytes) -> bytes:
    """Return octets with those beyond ASCII as ``%XX``: where no RFC has a 7-bit form, nothing is lost so."""
    return _HIGH.sub(_percent, octets)


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % ord(match[0])


# -- folding --------------------------------------------------------------------------------------------


def fold(name: str, value: str) -> bytes | None:
    """Return a whole field with LF line ends, folded at its white space to 76 characters where words allow.

    Never between the words of what looks like an encoded-word, never such that a line is blank. White
    space is kept, but for runs that would fill a line. None where a line would exceed 998 octets.
    """
    value = value.strip(" \t")
    if len(name) + len(": ") + len(value) <= _FOLD_AT:
        return f"{name}: {value}".encode("ascii")
    lines: list[str] = []
    line = name + ":"
    space = " "
    for piece in _pieces(value):
        if piece[0] in " \t":
            space = piece if len(piece) < _FOLD_AT else " "
        elif len(line) + len(space) + len(piece) <= _FOLD_AT or (
            not lines and len(line) < 40 and len(piece) < 40
        ):
            line += space + piece
        else:
            lines.append(line)
            line = space + piece
    lines.append(line)
    if any(len(line) > MAX_LINE for line in lines):
        return None
    return "\n".join(lines).encode("ascii")
