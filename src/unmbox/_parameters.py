"""Parameters of Content-Type and Content-Disposition values, put into 7-bit octets as RFC 2231 has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from unmbox._codecs import codec_name, decode_strictly
from unmbox._encode import (
    ALPHANUMERIC,
    PAYLOAD,
    cuts,
    encoded_words,
    needs_encoding,
    octets_of,
    percent_encoded,
    spelled,
    words_said,
)
from unmbox._late import late

# A semicolon, or text without: a backslash takes the octet after it along.
_LEXEMES = late(r'\\.|[";]|[^\\";]+|\\')
_PARAMETER = late(
    r"([ \t]*)([!#$&+\-.0-9A-Z^_`a-z{|}~]{1,60})((?:\*[0-9]{1,3})?\*?)([ \t]*=[ \t]*)(.*)", re.DOTALL
).fullmatch
_IN_QUOTES = late(r'[^"=]*=[ \t]*"(?:[^"\\]|\\.)*"[ \t]*', re.DOTALL).match
_BEGINS = late(r"[!#$&+\-.0-9A-Z^_`a-z{|}~]{1,60}(?:\*[0-9]{1,3})?\*?[ \t]*=").match
# Of C:\new.txt no backslash may go, nor one that is half of a character.
_ESCAPED = late(r'(?<![\udc80-\udcff])\\(["\\])')
_UNQUOTABLE, _AFTER_BACKSLASH = late(r'["\\]'), r"\\\g<0>"
_LINE_END = late(r"\r\n?|\n")
_ENCODED = late(r"%([0-9A-Fa-f]{2})")
# RFC 2231 §7: attribute-char.
_PERCENT: Final = [f"%{octet:02X}" for octet in range(256)]
for _octet in ALPHANUMERIC + b"!#$&+-.^_`{|}~":
    _PERCENT[_octet] = chr(_octet)
_COSTS: Final = bytes(map(len, _PERCENT))


def has_raw_boundary(text: str) -> bool:
    """Whether a value's boundary holds raw text, which no encoding can spell as the body does."""
    found = map(_PARAMETER, _apart(_parts(text))[0][1:])
    values = [match[5] for match in found if match and match[2].lower() == "boundary"]
    return any(not value.isascii() or "\x1b" in value for value in values)


def encode_parameters(text: str, *, loose: bool = False) -> tuple[str, bool]:
    """Return a Content-Type or Content-Disposition value with its parameters in RFC 2231 form where needed.

    A comment, or what else follows a quoted value without being another parameter, is left out where
    something there needs a new form; the second result says so. `loose` puts a space after each semicolon, to
    fold at.
    """
    parts, left_out = _apart(_parts(text))
    found = [None, *map(_PARAMETER, parts[1:])]
    extended = {match[2].lower() for match in found if match and match[3]}
    raw = {
        match[2].lower() for part, match in zip(parts, found, strict=True) if match and needs_encoding(part)
    }
    joined = _joined(found, raw & extended) if raw & extended else {}
    out = []
    for number, (part, match) in enumerate(zip(parts, found, strict=True)):
        if number in joined:
            out += joined[number]
        elif not needs_encoding(part):
            out.append(part)
        elif match:
            name = match[2].lower()
            out.append(_parameter(match, taken=name in extended))
            extended.add(name)  # readers would join a second one to it
        else:
            out.append(percent_encoded(part.encode("utf-8", "surrogateescape")).decode())
    separator = "; " if loose else ";"
    return separator.join([part.lstrip() if loose else part for part in out]), left_out


def _parts(text: str) -> Iterator[str]:
    """Cut a value at the semicolons outside quoted strings."""
    part: list[str] = []
    quoted = False
    for match in _LEXEMES.finditer(text):
        lexeme = match[0]
        if lexeme == ";" and not quoted:
            yield "".join(part)
            part = []
            continue
        quoted ^= lexeme == '"'
        part.append(lexeme)
    yield "".join(part)


def _apart(parts: Iterator[str]) -> tuple[list[str], bool]:
    """Cut what needs a new form behind closing quotes; say whether anything there is left out.

    Text that ends in quotes belongs to the value: a name with quotes in it that nobody has escaped.
    """
    kept = [next(parts)]
    left_out = False
    for part in parts:
        at = 0
        is_raw = needs_encoding(part)
        while is_raw and (match := _IN_QUOTES(part, at)) and match.end() < len(part):
            end = match.end()
            if _BEGINS(part, end):
                kept.append(part[at:end].rstrip(" \t"))
                # The blank that separates it goes along.
                at = end - (part[end - 1] in " \t")
                continue
            if not part.endswith('"'):
                left_out = True
                part = part[:end].rstrip(" \t")
            break
        kept.append(part[at:])
    return kept, left_out


def said_parameters(text: str) -> str:
    """A Content-Type or Content-Disposition value as people read it: what RFC 2231 encodes, in quotes."""
    if "*" not in text:
        return text
    parts = list(_parts(text))
    found = [None, *map(_PARAMETER, parts[1:])]
    for run in _values(found, {match[2].lower() for match in found if match and match[3]}):
        said = _LINE_END.sub(" ", _said([match for _, match in run]))
        place, first = run[0]
        parts[place] = f'{first[1]}{first[2]}="{_UNQUOTABLE.sub(_AFTER_BACKSLASH, said)}"'
        for place, _ in run[1:]:
            parts[place] = ""
    return ";".join([parts[0], *filter(None, parts[1:])])


def _joined(found: list[re.Match[str] | None], names: set[str]) -> dict[int, list[str]]:
    """Write RFC 2231 values anew of which a part holds raw text: what stands instead of each of their parts.

    All of a value goes where its first part stood; what comes after a gap in its numbers is left to others.
    """
    out: dict[int, list[str]] = {}
    for run in _values(found, names):
        place, first = run[0]
        out |= {place: [] for place, _ in run}
        out[place] = [_written(first[1], first[2], _said([match for _, match in run]))]
    return out


def _values(found: list[re.Match[str] | None], names: set[str]) -> Iterator[list[tuple[int, re.Match[str]]]]:
    """The parts of each RFC 2231 value of these names, up to a gap in its numbers, with their places."""
    parts: dict[str, dict[int, tuple[int, re.Match[str]]]] = {name: {} for name in names}
    for place, match in enumerate(found):
        if match and match[3] and (name := match[2].lower()) in names:
            parts[name].setdefault(int(match[3].strip("*") or 0), (place, match))
    for numbered in parts.values():
        run = [numbered[number] for number in range(len(numbered)) if number in numbered]
        run = run[: next((number for number in range(len(run)) if number not in numbered), len(run))]
        if run:
            yield run


def _said(run: list[re.Match[str]]) -> str:
    """Return what the parts of a value say together."""
    charset, octets = "utf-8", b""
    for number, match in enumerate(run):
        value = _unquoted(match[5])
        if match[3].endswith("*"):
            if number == 0 and value.count("'") >= 2:
                charset, _, value = value.split("'", 2)
                value = _unquoted(value)  # as programs write that know both forms by halves
            value = _ENCODED.sub(_octet_of, value)
        octets += _in_charset(value, charset)
    codec = codec_name(charset)
    text = decode_strictly(octets, codec) if codec else None
    return octets.decode("utf-8", "surrogateescape") if text is None else text


def _octet_of(code: re.Match[str]) -> str:
    """An octet beyond ASCII becomes a surrogate, for the text around is text already."""
    return bytes([int(code[1], 16)]).decode("ascii", "surrogateescape")


def _in_charset(value: str, charset: str) -> bytes:
    """Return text as octets of its value's charset, surrogates as the octets that they stand for."""
    try:
        return value.encode(codec_name(charset) or "utf-8", "surrogateescape")
    except UnicodeError:
        return value.encode("utf-8", "surrogateescape")


def _unquoted(value: str) -> str:
    value = value.strip(" \t")
    return _ESCAPED.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value


def _parameter(match: re.Match[str], *, taken: bool) -> str:
    """Write one parameter anew. `taken`: an RFC 2231 form of it, or a part of one, stands there already."""
    space, name, form, equals, value = match.groups()
    if form.endswith("*"):
        octets = value.strip(" \t").encode("utf-8", "surrogateescape")
        return f"{space}{name}{form}{equals}{percent_encoded(octets).decode()}"
    if taken:
        # Readers take the other one; what this one said goes where most of them would look for it.
        return f'{space}{name}{form}{equals}"{encoded_words(words_said(_unquoted(value)))}"'
    return _written(space, name, words_said(_unquoted(value)))


def _written(space: str, name: str, value: str) -> str:
    """Return a parameter in its RFC 2231 form, in parts where it is long."""
    charset, octets = octets_of(value)
    costs = octets.translate(_COSTS)
    if sum(costs) <= PAYLOAD:
        return f"{space}{name}*={charset}''{spelled(_PERCENT, octets)}"
    pieces = (spelled(_PERCENT, octets[a:b]) for a, b in cuts(octets, costs))
    # RFC 2231 §4.1: the charset stands in the first part alone.
    return ";".join(
        [
            f"{space or ' '}{name}*{n}*={'' if n else charset + chr(39) * 2}{piece}"
            for n, piece in enumerate(pieces)
        ]
    )
