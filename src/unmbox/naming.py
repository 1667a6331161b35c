"""Where an EML goes: a layout template makes a relative path from a message's date, subject, sender and hash.

The path depends on these four and on nothing else: no machine, time zone, locale, Python version or
earlier message. It is legal on Windows, macOS, Linux and in ZIP, stays below the destination whatever a
header says, and differs wherever the hash differs, even where case or Unicode form do not count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from string import Formatter
from typing import NamedTuple
from unicodedata import category, normalize
from unicodedata import ucd_3_2_0 as old_unicode

from unmbox.errors import UsageError

DEFAULT_LAYOUT = "{year}/{month}/{date}_{time}_{subject}_{hash}"

TEXT_LIMIT = 60  # characters of a subject or sender: what a file browser shows of a name
COMPONENT_LIMIT = 255  # octets of UTF-8 (ext4, ZIP tools); UTF-16 units (NTFS, APFS) are never more
PATH_LIMIT = 200  # UTF-16 units: leaves some 55 of Windows' 260 (MAX_PATH) to the destination
PATH_OCTETS_LIMIT = 400
FOLDER_LIMIT = 90  # UTF-16 units of the folder that a label makes: the rest is for the layout
_READ_LIMIT = 1000  # characters of a header's text that are looked at: a subject may be a megabyte

# How a field stands in the format, and where its parts stand in the values that `Layout.path` gathers.
_DATE_FIELDS = {
    "year": ("%s", (0,)),
    "month": ("%s", (1,)),
    "day": ("%s", (2,)),
    "date": ("%s-%s-%s", (0, 1, 2)),
    "time": ("%s%s%s", (3, 4, 5)),
}
_FILE_FIELDS = {**_DATE_FIELDS, "subject": ("%s", (6,)), "sender": ("%s", (7,)), "hash": ("%s", (8,))}
_FOLDER_FIELDS = {**_FILE_FIELDS, "subject": ("%s", (9,)), "sender": ("%s", (10,))}
_TEXTS = ("subject", "sender")
_NO_SUBJECT = "no subject"
_NO_SENDER = "unknown"
_WIDE = "\U0001f4e7"  # as many octets and UTF-16 units as a character can have
_HEX = "0123456789abcdef"
_DIGITS = [f"{number:02d}" for number in range(100)]  # a look-up is half the cost of "%02d"

_ILLEGAL = '<>:"/\\|?*'  # to Windows; to the rest only "/" and, on old Macs, ":"
_EDGES = " .-~"  # never first: hidden files, options, home folders; " " and "." never last
_ASCII = bytes(32 if i < 32 or i >= 127 or chr(i) in _ILLEGAL else i for i in range(256))

# Windows finds its devices under any extension. The last are names that a destination needs itself.
_is_reserved = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\..*)?"
    r"|quarantine|refused|unmbox-manifest.*",
    re.IGNORECASE,
).fullmatch

# A character is kept if it was a letter, mark, digit, symbol or punctuation in Unicode 3.2, which every
# Python carries, or stands in one of these later runs, none newer than Unicode 13 (Python 3.10). The running
# Python's own table would give one message other names after an upgrade. Left out: small runs, dead scripts.
_LATER = """
221-2ff 350-377 3cf-52f 606-61a 61e-65f 74d-77f 7c0-7fa 7fd-82d 830-83e 840-85b 8a0-8b4 8b6-8c7 8d3-8e1
8e3-980 c77-c84 d54-d63 d70-d7f fce-fda 1022-109f 11a3-1247 1380-1399 18b0-18f5 1900-191e 1920-192b 1930-193b
1944-196d 1980-19ab 19b0-19c9 19de-1a1b 1a1e-1a5e 1a60-1a7c 1aa0-1aad 1ab0-1ac0 1b00-1b4b 1b50-1b7c 1b80-1bf3
1bfc-1c37 1c3b-1c49 1c4d-1c88 1c90-1cba 1cd0-1cfa 1d00-1df9 1dfb-1eff 2090-209c 20b2-20bf 213b-218b 23cf-23ff
24ff-2b73 2b76-2b95 2b97-2c2e 2c30-2c5e 2c60-2cf3 2cf9-2d25 2d30-2d67 2d7f-2d96 2de0-2e52 31b8-31e3 3244-9ffc
a4d0-a62b a640-a6f7 a700-a7bf a7f5-a82c a840-a877 a880-a8c5 a8ce-a8d9 a8e0-a953 a95f-a97c a980-a9cd a9de-a9fe
aa00-aa36 aa40-aa4d aa5c-aac2 aadb-aaf6 ab30-ab6b ab70-abed d7b0-d7c6 d7cb-d7fb fa70-fad9 fbb2-fbc1 fe24-fe48
1e900-1e94b 1f000-1f02b 1f030-1f093 1f100-1f1ad 1f1e6-1f202 1f210-1f23b 1f240-1f248 1f300-1f6d7 1f6e0-1f6ec
1f6f0-1f6fc 1f780-1f7d8 1f7e0-1f7eb 1f900-1f978 1f97a-1f9cb 1f9cd-1fa53 1fa70-1fa74 1fa78-1fa7a 1fa80-1fa86
1fa90-1faa8 1fab0-1fab6 1fac0-1fac2 1fad0-1fad6 2a700-2b734 2b740-2b81d 2b820-2cea1 2ceb0-2ebe0 30000-3134a
"""
# Nothing to see and, to HFS+, nothing to compare: joiners, variation selectors, fillers, a blank pattern.
_INVISIBLE = """
ad 34f 61c 115f-1160 17b4-17b5 180b-180f 200b-200f 2060-206f 2800 3164 fe00-fe0f ffa0 e0000-e0fff
"""


def _edges(runs: str) -> list[int]:
    """The first code point of each run and the first after it, ascending; runs are hexadecimal."""
    pairs = (run.partition("-") for run in runs.split())
    return [edge for first, _, last in pairs for edge in (int(first, 16), int(last or first, 16) + 1)]


class _Replacements(dict[int, "int | str | None"]):
    """For `str.translate`: what becomes of a code point. Looked up once, remembered in bounded memory."""

    def __init__(self) -> None:
        self._later = _edges(_LATER)
        self._invisible = _edges(_INVISIBLE)

    def __missing__(self, code: int) -> int | str | None:
        if len(self) >= 4096:
            self.clear()
        self[code] = found = self._find(code)
        return found

    def _find(self, code: int) -> int | str | None:
        if code < 128:
            return _ASCII[code]
        if bisect_right(self._invisible, code) % 2:
            return None
        kind = old_unicode.category(chr(code))
        if kind == "Cf":  # bidi overrides would show "gpj.exe" for "exe.jpg"
            return None
        if kind[0] not in "CZ" or bisect_right(self._later, code) % 2:
            return code
        return " "


_replacements = _Replacements()


def _is_mark(char: str) -> bool:
    return category(char)[0] == "M"


def _cut(text: str, limit: int, empty: str) -> str:
    """At most `limit` characters of `text`; a letter and the marks on it stay or go together."""
    if len(text) > limit:
        end = limit
        while end and _is_mark(text[end]):
            end -= 1
        text = text[:end].rstrip(" .") or empty[:limit]
    return text


def _clean(text: str, empty: str) -> str:
    """A header's text as it can stand inside a name: one line, NFC, legal everywhere, not empty."""
    text = text[:_READ_LIMIT]
    if text.isascii():
        # Three C calls; `str.translate` costs four times as much.
        text = text.encode().translate(_ASCII).decode().strip(_EDGES)
    else:
        text = normalize("NFC", text.translate(_replacements)).rstrip(_EDGES)
        start = 0
        # A mark without its letter would join whatever the template puts before it.
        while start < len(text) and (text[start] in _EDGES or _is_mark(text[start])):
            start += 1
        text = text[start:]
    if "  " in text:
        text = " ".join(text.split())
    return text or empty


def _fold(text: str) -> str:
    """One form for all spellings that a file system may take for the same: case, composition."""
    return normalize("NFC", normalize("NFD", text).upper().casefold())


def _fits(path: str) -> bool:
    octets = len(path.encode())
    if octets <= PATH_LIMIT:  # then it has no more UTF-16 units either, nor has a component
        return True
    return (
        octets <= PATH_OCTETS_LIMIT
        and len(path.encode("utf-16-le")) <= 2 * PATH_LIMIT
        and all(len(component.encode()) <= COMPONENT_LIMIT for component in path.split("/"))
    )


def folder_path(label: str) -> str:
    """A label as a relative path, nested at each "/": NFC, legal everywhere; "" where nothing stays.

    Distinct labels get distinct paths, but for spellings that differ in what no file name can hold.
    """
    whole = [_clean(part, "") for part in label.split("/")]
    cut = [_cut(name, TEXT_LIMIT, "") for name in whole]
    path = "/".join("_" + name if _is_reserved(name) else name for name in cut if name)
    if cut != whole or not _is_short(path):
        mark = "~" + sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:6]
        while not _is_short(path + mark):
            path = _cut(path, len(path) - 1, "").rstrip("/ .")
        path += mark
    return path


def _is_short(folder: str) -> bool:
    return len(folder.encode("utf-16-le")) <= 2 * FOLDER_LIMIT and len(folder.encode()) <= 2 * FOLDER_LIMIT


class _Piece(NamedTuple):
    text: str
    is_field: bool


_UNDATED = _Piece("undated", is_field=False)


class _Form:
    """A template made ready: a "%s" format and what goes into it."""

    __slots__ = ("format", "pick", "risky")

    def __init__(self, components: list[list[_Piece]]) -> None:
        formats = []
        indexes: list[int] = []
        self.risky = False  # can a header's text make a component a reserved name?
        for component in components:
            fields = _FILE_FIELDS if component is components[-1] else _FOLDER_FIELDS
            text = ""
            for piece in component:
                if piece.is_field:
                    pattern, places = fields[piece.text]
                    text += pattern
                    indexes += places
                else:
                    text += piece.text.replace("%", "%%")
            formats.append(text)
            first = component[0]
            starts_with_digits = first.is_field and first.text not in _TEXTS
            self.risky |= not starts_with_digits and any(p.is_field and p.text in _TEXTS for p in component)
        self.format = "/".join(formats) + ".eml"
        self.pick = itemgetter(*indexes)

    def fill(self, values: tuple[str, ...]) -> str:
        path: str = self.format % self.pick(values)
        if not path.isascii():
            path = normalize("NFC", path)
        if self.risky:
            path = "/".join("_" + name if _is_reserved(name) else name for name in path.split("/"))
        return path


def _parse(template: str) -> list[list[_Piece]]:
    """The template's components, each a list of pieces that is not empty."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        message = f"layout {template!r}: {error}; write a field as {{subject}} and a brace as {{{{ or }}}}"
        raise UsageError(message) from None
    components: list[list[_Piece]] = [[]]
    for literal, field, spec, conversion in parsed:
        for number, text in enumerate(literal.split("/")):
            if number:
                components.append([])
            if text:
                components[-1].append(_Piece(text, is_field=False))
        if field is None:
            continue
        if spec or conversion:
            raise UsageError(f"layout {template!r}: write {{{field}}} without {spec or conversion!r}")
        if field not in _FILE_FIELDS:
            known = ", ".join(f"{{{name}}}" for name in _FILE_FIELDS)
            raise UsageError(f"layout {template!r}: {{{field}}} is no field; write one of {known}")
        components[-1].append(_Piece(field, is_field=True))
    return components


def _check(template: str, components: list[list[_Piece]]) -> None:
    """UsageError for literal text that would make a bad name or leave the destination."""
    wrong = ""
    for component in components:
        for piece in component:
            if not piece.is_field and piece.text.translate(_replacements) != piece.text:
                bad = next(char for char in piece.text if char.translate(_replacements) != char)
                wrong = f"{bad!r} cannot stand in a file name; leave it out (folders are separated by /)"
        if not component:
            wrong = "a name is empty; write a relative path such as {year}/{subject}_{hash}"
        elif not component[0].is_field and (component[0].text[0] in _EDGES or _is_mark(component[0].text[0])):
            wrong = f"{component[0].text!r} begins a name; begin it with a letter, a digit or a field"
        elif not component[-1].is_field and component[-1].text[-1] in " .":
            wrong = f"{component[-1].text!r} ends a name; end it with a letter, a digit or a field"
        if wrong:
            break
    if not wrong and _Piece("hash", is_field=True) not in components[-1]:
        wrong = "the file name needs {hash}, else two messages could share it; write {subject}_{hash}"
    if wrong:
        raise UsageError(f"layout {template!r}: {wrong}")


def _without_date(components: list[list[_Piece]]) -> list[list[_Piece]]:
    """The template for messages without a date: the first date field reads "undated", the others go.

    A field that goes takes a neighbouring literal with it, so ``{year}/{month}/{date}_{subject}_{hash}``
    becomes ``undated/{subject}_{hash}``.
    """
    result = []
    said = False
    for component in components:
        kept: list[_Piece] = []
        skip = False
        for piece, following in zip(component, [*component[1:], None], strict=True):
            if skip:
                skip = False
            elif not (piece.is_field and piece.text in _DATE_FIELDS):
                kept.append(piece)
            elif not said:
                kept.append(_UNDATED)
                said = True
            elif following is not None and not following.is_field:
                skip = True
            elif kept and not kept[-1].is_field and kept[-1] is not _UNDATED:
                kept.pop()
        if kept and not kept[-1].is_field:
            kept[-1] = _Piece(kept[-1].text.rstrip(" ."), is_field=False)
        if kept:
            result.append(kept)
    return result


class Layout:
    """A template for relative paths, compiled once.

    Fields: ``year``, ``month``, ``day``, ``date`` (2019-03-19), ``time`` (091351), ``subject``, ``sender``,
    ``hash`` (12 hexadecimal digits; required in the last component). "/" stands between folders, ".eml" is
    added. `fields` holds the names that the template uses. In folders, subject and sender are case-folded
    (``Bob@Example.org`` becomes ``bob@example.org``), so that two spellings are one folder on every machine.

    Raises UsageError, which says what to write instead, for an unknown field, a last component without
    ``{hash}``, a path that is absolute or leaves the destination, and text that is illegal somewhere.

    >>> Layout("{year}/{subject}_{hash}").path(date=None, subject="Tea: 3?", sender="", hash="3f2a9c0d1e5b")
    'undated/Tea 3_3f2a9c0d1e5b.eml'
    """

    __slots__ = ("_dated", "_folded", "_sender", "_subject", "_undated", "fields", "template")

    template: str
    fields: frozenset[str]

    def __init__(self, template: str = DEFAULT_LAYOUT) -> None:
        components = _parse(template[:-4] if template.lower().endswith(".eml") else template)
        _check(template, components)
        self.template = template
        self.fields = frozenset(piece.text for part in components for piece in part if piece.is_field)
        self._subject = "subject" in self.fields
        self._sender = "sender" in self.fields
        self._folded = any(p.is_field and p.text in _TEXTS for part in components[:-1] for p in part)
        self._dated = _Form(components)
        self._undated = _Form(_without_date(components))
        for form in (self._dated, self._undated):
            # The shortest path there is: one character for each text, a "_" where a name is reserved.
            names = form.fill(("2000", *["20"] * 5, _WIDE, _WIDE, "0" * 12, _WIDE, _WIDE)).split("/")
            if not _fits("/".join("_" + name for name in names)):
                raise UsageError(f"layout {template!r}: too long; a path has {PATH_LIMIT} characters in all")
            for name in filter(_is_reserved, names):
                raise UsageError(f"layout {template!r}: {name!r} is a reserved name; write _{name}")

    def __repr__(self) -> str:
        return f"Layout({self.template!r})"

    def path(
        self,
        *,
        date: datetime | None,
        subject: str,
        sender: str,
        hash: str,  # noqa: A002
        folder: str = "",
    ) -> str:
        """The relative path of a message's EML, with "/" between folders, in `folder` (of `folder_path`).

        `date`'s own fields are used, in its own zone; without a date the first date field reads "undated"
        and the others are left out. `hash` is 12 lower-case hexadecimal digits, else UsageError.
        """
        if len(hash) != 12 or hash.strip(_HEX):
            raise UsageError(f"a hash is 12 lower-case hexadecimal digits, not {hash!r}")
        return self.place(date, subject, sender, hash, folder)

    def place(self, date: datetime | None, subject: str, sender: str, digits: str, folder: str = "") -> str:
        """As `path`, with a hash that is known to be one."""
        subject = _clean(subject, _NO_SUBJECT) if self._subject else ""
        sender = _clean(sender, _NO_SENDER) if self._sender else ""
        above = folder and folder + "/"
        path = above + self._fill(date, subject, sender, digits, TEXT_LIMIT)
        if len(path) > PATH_LIMIT or not path.isascii():
            limit = TEXT_LIMIT
            while not _fits(path):  # with one character it does: __init__ saw to that
                limit -= 1
                if not limit:  # not in this folder, by a template that is long by itself
                    above, limit = "", TEXT_LIMIT
                path = above + self._fill(date, subject, sender, digits, limit)
        return path

    def _fill(self, date: datetime | None, subject: str, sender: str, digits: str, limit: int) -> str:
        """The path with at most `limit` characters of each text."""
        folder_subject = folder_sender = ""
        if self._folded:
            folder_subject = _cut(_fold(subject), limit, _NO_SUBJECT)
            folder_sender = _cut(_fold(sender), limit, _NO_SENDER)
        if len(subject) > limit:
            subject = _cut(subject, limit, _NO_SUBJECT)
        if len(sender) > limit:
            sender = _cut(sender, limit, _NO_SENDER)
        texts = (subject, sender, digits, folder_subject, folder_sender)
        if date is None:
            return self._undated.fill(("", "", "", "", "", "", *texts))
        year, two = date.year, _DIGITS
        return self._dated.fill(
            (
                two[year // 100] + two[year % 100],
                two[date.month],
                two[date.day],
                two[date.hour],
                two[date.minute],
                two[date.second],
                *texts,
            )
        )
