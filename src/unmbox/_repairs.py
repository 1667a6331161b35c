"""Repairs of a header block: a table of small functions, each of which does one thing and says so.

A field that no rule has a word about keeps its exact octets, its folding and its place. Fields that are
added go on top. What is replaced or moved stays in the block under an ``X-Unmbox-`` name, so nothing is
lost: ``X-Unmbox-Original-NAME`` (could not stand as it was), ``X-Unmbox-Duplicate-NAME`` (one too many),
``X-Unmbox-Line`` (no field at all). A second run over the result finds nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from unmbox import _encode, _missing
from unmbox._block import DUPLICATE, LINE, ORIGINAL, STRUCTURED, Block, prefixed
from unmbox._fields import ADDRESSES, BOM, MAX_LINE, ONCE, PARAMETERS, Field, names_nobody
from unmbox._late import late
from unmbox._message_id import find_message_id
from unmbox._parameters import encode_parameters, has_raw_boundary
from unmbox._signatures import DAMAGE, Signatures

_STRAY = late(rb">?From (?![ \t]*:)").match
_FIRST_MARKS = late(rb"\A(?:%b)+" % BOM).sub
_NOT_A_NAME = late(rb"[^\s:]*:").match
_BOOKKEEPING: Final = frozenset(b"content-length status x-status x-keywords x-uid x-imap x-imapbase".split())
_OF_A_KIND: Final = ADDRESSES | PARAMETERS | STRUCTURED
# Text in it is 7-bit, and still none that a reader would know to decode.
_ISO_2022 = late(rb"\x1b(?:\$|\(I)").search

# Marks behind which a space may go (not those of quoted strings, or in brackets), and all that may not.
_MARKS = late(rb'("(?:[^"\\]|\\.)*"|\\.|<[^<>]*>(?!<))|<[^<>]*>|[,;](?![ \t])', re.DOTALL).sub

_WORDS: Final = b"keywords"  # RFC 5322 §3.6.5: phrases with commas between
_PHRASE = late(r'(?:=\?[^?\s]{1,60}\?[BbQq]\?[^?"]*\?=|"(?:[^"\\]|\\.)*"|\\.|[^,])+', re.DOTALL).finditer

_Apply = Callable[[Block], None]


@dataclass(frozen=True)
class Rule:
    """A row of the table: `apply` does the repair; the rest is what people are told of it."""

    code: str
    clause: str
    signatures: str
    apply: _Apply


_RULES: list[Rule] = []


def repair(block: Block, body: bytes = b"", locale: str | None = None, prior: str = "") -> bytes:
    """Apply every rule and return the block, LF line ends, closed by its empty line.

    `body`, `locale` and `prior` are as for `Block.settle`. `block.repairs` then lists what was done or left
    out, `block.rest` holds octets that belong to the body.
    """
    block.settle(body, locale, prior)
    for rule in RULES:
        rule.apply(block)
    return block.octets()


def _rule(code: str, clause: str, signatures: str) -> Callable[[_Apply], _Apply]:
    def enter(apply: _Apply) -> _Apply:
        _RULES.append(Rule(code, clause, signatures, apply))
        return apply

    return enter


# Effects on signatures that several rules share.
_CHANGES: Final = "Breaks a signature that covers the field."
_UNFOLDS: Final = "Breaks a signature that covers the field under `simple`; none under `relaxed`."
_REMOVES: Final = "Breaks a signature that covers this very one (they cover the lowest ones first)."
_ADDS: Final = "Breaks a signature that names the field although it was missing."
_UNSIGNED: Final = "None: no signature covers what is no field."


@_rule(
    "exporter-damage",
    "Unicode §3.9",
    "None: listed only. A signature that covers the field may be lost already; it is kept all the same.",
)
def _exporter_damage(block: Block) -> None:
    """U+FFFD stands where another program could not read the original octets. They are gone."""
    for field in block.fields if not block.is_ascii else ():
        if DAMAGE in field.raw:
            block.leave("exporter-damage", field.name or LINE)


@_rule("missing-end", "RFC 5322 §2.1", "None.")
def _missing_end(block: Block) -> None:
    """The empty line that ends a header block is added: before the text that follows the last field."""
    if block.closed:
        return
    fields = block.fields
    end = len(fields)
    while end and not Field(fields[end - 1].raw.replace(b"\0", b"")).key:
        end -= 1
    if end < len(fields):
        block.rest = b"\n".join([field.raw for field in fields[end:]]) + (b"\n" if block.ended else b"")
        block.fields = fields[:end]
    block.decide("missing-end", b"")


@_rule("nul", "RFC 5322 §4.1", _CHANGES)
def _nul(block: Block) -> None:
    """NUL octets are taken out."""
    _without(block, "nul", b"\0", b"")


@_rule("bare-cr", "RFC 5322 §2.2", _CHANGES + " CRs before a line end are none of the field's.")
def _bare_cr(block: Block) -> None:
    """A CR inside a line becomes a space; more than one CR before a line end becomes one line end."""
    if block.stripped:
        block.decide("bare-cr", b"")
    _without(block, "bare-cr", b"\r", b" ")


def _without(block: Block, code: str, octet: bytes, instead: bytes) -> None:
    if octet not in block.header:
        return
    kept: list[Field] = []
    for field in block.fields:
        if octet in field.raw:
            raw = field.raw.replace(octet, instead)
            if field.raw[0] not in b" \t":
                raw = raw.lstrip(b" \t\n")  # it must not become the fold of the field above
            if block.decide(code, field.name or LINE, block.signatures.rewriting(field, raw)):
                if not raw.strip(b" \t\n"):
                    continue
                field.put(raw)
        kept.append(field)
    block.fields = kept


@_rule("stray-from-line", "RFC 5322 §2.2; RFC 4155", _UNSIGNED)
def _stray_from_line(block: Block) -> None:
    """A `From ` or `>From ` line among the fields becomes an X-Unmbox-Line field."""
    for field in block.fields:
        if not field.key and _STRAY(field.raw):
            block.rewrite("stray-from-line", field, LINE + b": " + field.raw)


@_rule(
    "illegal-name",
    "RFC 5322 §2.2",
    _UNSIGNED + " A mark stays where a signature names its field although it was missing.",
)
def _illegal_name(block: Block) -> None:
    """A line whose name is empty, too long or not printable ASCII becomes an X-Unmbox-Line field.

    But a byte order mark before the first field is taken off.
    """
    if block.fields and block.fields[0].raw.startswith(BOM):
        first = block.fields[0]
        plain = Field(_FIRST_MARKS(b"", first.raw))
        impact = block.signatures.adding(plain.key)
        if plain.key and block.decide("illegal-name", plain.name, impact):
            first.put(plain.raw)
            # One that covers the field, as a From, counts from now on.
            block.signatures = Signatures(block.fields)
    for field in block.fields:
        if not field.key and _NOT_A_NAME(field.raw):
            block.rewrite("illegal-name", field, LINE + b": " + field.raw)


@_rule("no-field", "RFC 5322 §2.2", _UNSIGNED)
def _no_field(block: Block) -> None:
    """A line that is neither a field nor the fold of one becomes an X-Unmbox-Line field."""
    for field in block.fields:
        if not field.key:
            block.rewrite("no-field", field, LINE + b": " + field.raw.strip(b" \t\n"))


@_rule("space-before-colon", "RFC 5322 §4.5", _UNFOLDS)
def _space_before_colon(block: Block) -> None:
    """White space between a name and its colon is taken out."""
    for field in block.fields:
        if field.key and field.colon > len(field.key):
            block.rewrite("space-before-colon", field, field.name + field.raw[field.colon :])


@_rule(
    "bookkeeping",
    "none: mailboxes write them about themselves",
    "Never taken out where a signature covers it.",
)
def _bookkeeping(block: Block) -> None:
    """Status, X-Status, X-Keywords, X-UID, X-IMAP(base), X-Mozilla-* and Content-Length are left out."""
    kept: list[Field] = []
    for field in block.fields:
        if field.key in _BOOKKEEPING or field.key.startswith(b"x-mozilla-"):
            impact = block.signatures.removing(field)
            if not impact:
                block.decide("bookkeeping", field.name)
                continue
            block.leave("bookkeeping", field.name, impact)
        kept.append(field)
    block.fields = kept


@_rule("bad-message-id", "RFC 5322 §3.6.4", _CHANGES)
def _bad_message_id(block: Block) -> None:
    """A Message-ID without brackets gets them; one that holds no identifier is moved out of the way."""
    for field in block.called(b"message-id"):
        found = find_message_id(field.value)
        if found is None:
            block.rename("bad-message-id", field, ORIGINAL)
        elif not found[1]:
            block.rewrite("bad-message-id", field, field.name + b": <" + found[0] + b">")


@_rule("bad-date", "RFC 5322 §3.3, §4.3", _REMOVES)
def _bad_date(block: Block) -> None:
    """A Date that is none is moved out of the way; `missing-date` then puts what it meant."""
    for field in block.called(b"date"):
        if not _missing.is_sound_date(field.value):
            block.stated_date = block.stated_date or _missing.read_date(field.value)
            block.rename("bad-date", field, ORIGINAL)


@_rule("empty-from", "RFC 5322 §3.6.2", _REMOVES)
def _empty_from(block: Block) -> None:
    """A From without a value, or with empty brackets, quotes, groups or comments alone, is moved away."""
    for field in block.called(b"from"):
        if names_nobody(field.value):
            block.rename("empty-from", field, ORIGINAL)


@_rule("duplicate-field", "RFC 5322 §3.6", _REMOVES)
def _duplicate_field(block: Block) -> None:
    """Of several From, Subject, Date, Message-ID, To, Cc, Sender, Reply-To the first stays.

    But of several From the one that is signed stays, where the others are not.
    """
    stays: dict[bytes, Field] = {}
    for field in block.fields:
        if field.key in ONCE:
            stays.setdefault(field.key, field)
    others = [field for field in block.fields if stays.get(field.key, field) is not field]
    if any(field.key == b"from" for field in others):
        signed = [field for field in block.called(b"from") if block.signatures.removing(field)]
        if len(signed) == 1:
            stays[b"from"] = signed[0]
    for field in block.fields:
        if stays.get(field.key, field) is not field:
            block.rename("duplicate-field", field, DUPLICATE)


@_rule("8bit-name", "RFC 2047 §5 (2), (3)", _CHANGES)
def _8bit_name(block: Block) -> None:
    """Raw 8-bit text in display names and comments becomes encoded-words; addresses stay as they are."""
    for field in _raw(block, ADDRESSES):
        encoded = _encode.encode_addresses(block.text(field))
        if encoded and not encoded[1]:
            _refold(block, "8bit-name", field, encoded[0])


@_rule("8bit-address", "RFC 6532 §3.2; RFC 5890", _CHANGES)
def _8bit_address(block: Block) -> None:
    """An address that is not ASCII gets an ASCII form; the field as it was is kept below it."""
    originals: dict[int, Field] = {}
    for field in _raw(block, ADDRESSES):
        name, text = prefixed(ORIGINAL, field), block.text(field)
        encoded = _encode.encode_addresses(text)
        if encoded and not encoded[1]:
            continue  # a name, left alone for a signature's sake
        _refold(block, "8bit-address", field, encoded[0] if encoded else None)
        if encoded and field.raw.isascii():
            originals[id(field)] = Field(_as_text(name, text))
    _keep(block, originals)


@_rule("8bit-parameter", "RFC 2231 §4", _CHANGES)
def _8bit_parameter(block: Block) -> None:
    """Raw 8-bit text in parameters (`filename=`, `name=`) is written as RFC 2231 has it.

    A comment behind one is left out, and the field as it was is kept below it. A field whose boundary is raw
    stays as it is, for the body has the same octets.
    """
    _encode_parameters(block, "8bit-parameter", _raw(block, PARAMETERS))


def _encode_parameters(block: Block, code: str, fields: list[Field], *, loose: bool = False) -> None:
    originals: dict[int, Field] = {}
    for field in fields:
        name, text, before = prefixed(ORIGINAL, field), block.text(field), field.raw
        if has_raw_boundary(text):
            block.leave(code, field.name)
            continue
        value, left_out = encode_parameters(text, loose=loose)
        _refold(block, code, field, value)
        if left_out and field.key in PARAMETERS and field.raw != before:
            originals[id(field)] = Field(_as_text(name, text))
    _keep(block, originals)


@_rule("8bit-structured", "RFC 5322 §2.2", _CHANGES)
def _8bit_structured(block: Block) -> None:
    """Raw octets where no RFC has a form for them (Received, References) are written `%XX`."""
    for field in block.fields if not block.is_ascii else ():
        if field.key in STRUCTURED and not field.raw.isascii():
            block.rewrite("8bit-structured", field, _encode.percent_encoded(field.raw))


@_rule("8bit-text", "RFC 2047 §5 (1)", _CHANGES)
def _8bit_text(block: Block) -> None:
    """Raw 8-bit text in unstructured fields (Subject, and all that are not known) becomes encoded-words.

    So does raw ISO-2022-JP, which is 7-bit and unreadable all the same, here and in names and parameters.
    """
    for field in _raw(block, None):
        text = block.text(field)
        _refold(
            block, "8bit-text", field, _phrases(text) if field.key == _WORDS else _encode.encode_text(text)
        )


@_rule(
    "long-line", "RFC 5322 §2.1.1", _UNFOLDS + " Where there is nowhere to fold, the value must change too."
)
def _long_line(block: Block) -> None:
    """A field with a line over 998 octets is folded anew; one that cannot be is moved out of the way.

    Words of text that are too long become encoded-words, too long parameters are continued (RFC 2231 §3).
    """
    long = [field for field in block.fields if len(field.raw) > MAX_LINE and _has_long_line(field.raw)]
    for field in long:
        text = block.text(field)
        folds = text.isascii() and "\x1b" not in text and _encode.fold(field.name.decode(), text)
        if not folds and field.key in PARAMETERS:
            _encode_parameters(block, "long-line", [field], loose=True)
        else:
            _refold(block, "long-line", field, text if folds else _loose(field.key, text))


def _has_long_line(raw: bytes) -> bool:
    return max(map(len, raw.split(b"\n"))) > MAX_LINE


def _loose(key: bytes, text: str) -> str | None:
    """A value with more places to fold at and its long words encoded, as its field's grammar allows."""
    if key in ADDRESSES:
        encoded = _encode.encode_addresses(text, loose=True)
        return encoded[0] if encoded else None
    if key in STRUCTURED:
        octets = text.encode("utf-8", "surrogateescape")
        return _loosened(_encode.percent_encoded(octets)).decode()
    return _phrases(text) if key == _WORDS else _encode.encode_text(text)


def _loosened(octets: bytes) -> bytes:
    """Return a structured value (References, Received) with spaces to fold at after its marks.

    None goes into brackets or quotes: identifiers, addresses of pages and what was signed would be others.
    """
    return _MARKS(_with_space, octets)


def _with_space(match: re.Match[bytes]) -> bytes:
    return match[0] + b" " if match[1] is None else match[0]


@_rule("missing-message-id", "RFC 5322 §3.6.4", _ADDS)
def _missing_message_id(block: Block) -> None:
    """A Message-ID is made: a hash of the From_ line and the block, so the same message gets the same one."""
    if not block.called(b"message-id"):
        block.add("missing-message-id", "Message-ID", _missing.message_id(block.from_line, block.header))


@_rule("missing-from", "RFC 5322 §3.6.2", _ADDS)
def _missing_from(block: Block) -> None:
    """A From is made: the From_ line's address, else Return-Path's, Sender's, or unknown@unmbox.invalid."""
    if not block.called(b"from"):
        known = [field.value for field in block.called(b"return-path", b"sender")]
        block.add("missing-from", "From", _missing.author(block.from_line, known))


@_rule("missing-date", "RFC 5322 §3.6.1", _ADDS)
def _missing_date(block: Block) -> None:
    """A Date is made: what an unsound one meant, else the From_ line's date, else the newest Received's."""
    if not block.called(b"date"):
        received = (field.value for field in block.called(b"received"))
        block.add("missing-date", "Date", block.stated_date or _missing.best_date(block.from_line, received))


RULES: Final = tuple(_RULES)
"""The table of repairs, in the order in which they are done."""


# -- what the rules for 8-bit octets and long lines share ------------------------------------------------


def _raw(block: Block, keys: frozenset[bytes] | None) -> list[Field]:
    """The fields of these names (None: of all that have no rule of their own) that hold raw text."""
    if block.is_plain:
        return []
    if keys is None:
        fields = [field for field in block.fields if field.key and field.key not in _OF_A_KIND]
    else:
        fields = [field for field in block.fields if field.key in keys]
    return [
        field
        for field in fields
        if not field.raw.isascii() or (_ISO_2022(field.raw) and not block.text(field).isascii())
    ]


def _refold(block: Block, code: str, field: Field, value: str | None) -> None:
    """Give a field another value, or another name where there is no value that would fit into lines."""
    raw = None if value is None else _encode.fold(field.name.decode(), value)
    block.rewrite(code, field, raw or _as_text(prefixed(ORIGINAL, field), block.text(field)))


def _phrases(text: str) -> str:
    """Return a list of phrases, each encoded by itself: a comma inside of a word would be a part of it."""
    return ", ".join(_encode.encode_text(match[0].strip(" \t")) for match in _PHRASE(text))


def _keep(block: Block, originals: dict[int, Field]) -> None:
    """Put fields below those (by `id`) that they were before."""
    if originals:
        both = ((field, originals.get(id(field))) for field in block.fields)
        block.fields = [field for pair in both for field in pair if field]


def _as_text(name: bytes, text: str) -> bytes:
    """A field of unstructured text, which fits into lines whatever it says."""
    return _encode.fold(name.decode(), _encode.encode_text(text)) or b""
