"""Dates as mail holds them, in ``Date:`` fields and in From_ lines, turned into aware datetimes.

Every result is aware. A zone that is missing, unknown, ``-0000`` or out of range is UTC, because a date
that is hours off still sorts a mailbox and no date does not. Whether a From_ line *counts* as dated is
decided elsewhere, by syntax alone; here text becomes values, and what is no date becomes None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Final

from unmbox._late import late

_UTC: Final = timezone.utc
# Longer texts than this are no dates; the bound keeps hostile fields cheap.
_LIMIT: Final = 1000

_MONTH_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS: Final = {
    spelt: number
    for number, name in enumerate(_MONTH_NAMES, 1)
    for spelt in (name, name.title(), name.upper())
}

# RFC 5322 §4.3 fixes the North American names; the others are what mail programs wrote. Where a name
# stands for several zones (IST, CST, BST) it is read as most mail means it. Hours east of Greenwich.
_ZONE_NAMES: Final = {
    "UT": 0, "UTC": 0, "GMT": 0, "Z": 0, "WET": 0,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "AKST": -9, "AKDT": -8, "HST": -10, "AST": -4, "ADT": -3, "NST": -3.5, "NDT": -2.5,
    "BRT": -3, "BRST": -2, "ART": -3, "CLT": -4, "COT": -5, "PET": -5,
    "BST": 1, "WEST": 1, "WETDST": 1, "CET": 1, "MET": 1, "MEZ": 1,
    "CEST": 2, "CETDST": 2, "MEST": 2, "MESZ": 2, "METDST": 2, "EET": 2, "SAST": 2, "IDT": 3,
    "EEST": 3, "EETDST": 3, "MSK": 3, "MSD": 4, "PKT": 5, "IST": 5.5, "ICT": 7, "WIB": 7,
    "HKT": 8, "SGT": 8, "PHT": 8, "AWST": 8, "JST": 9, "KST": 9,
    "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZT": 12, "NZDT": 13,
}  # fmt: skip
_NAMED: Final = {name: timezone(timedelta(hours=hours)) for name, hours in _ZONE_NAMES.items()}
# A look-up costs a third of an `int()`, and these are done for each message.
_TWO: Final = {f"{n:02}": n for n in range(100)} | {str(n): n for n in range(10)}
_YEARS: Final = {str(n): n for n in range(1900, 2100)}
# Numeric zones seen so far; at most 2,878 texts are in range.
_OFFSETS: Final[dict[str, timezone]] = {"+0000": _UTC, "-0000": _UTC}

# A minute of one digit counts where seconds follow: `9:5:03`.
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}|[0-9](?=:))"
    r"(?::(?P<second>[0-9]{1,2})(?:[.,][0-9]+)?)?(?![0-9])"
)
_HALF = r"(?:\s?(?P<half>[ap])\.?m\b\.?)?"
_TIME12 = _TIME + _HALF
# ``9:3:1`` and ``09.13.51``, as some programs wrote; only behind a day, a month and a year.
_LOOSE_TIME12 = r"(?P<hour>[0-9]{1,2})(?P<mark>[:.])(?P<minute>[0-9]{1,2})"
_LOOSE_TIME12 += r"(?:(?P=mark)(?P<second>[0-9]{1,2})(?:[.,][0-9]+)?)?(?![0-9])" + _HALF
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?P<day>[0-9]{1,2})"
_YEAR = r"(?P<year>[0-9]{4}|[0-9]{2})(?![0-9:])"
_ANY_YEAR = r"(?P<year>[0-9]{2,4})(?![0-9:])"
_DOW = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_ZONE = r"\(?(?:[+-][0-9]{2}:?[0-9]{2}|[a-z]{1,6}(?:[+-][0-9]{1,2}(?::?[0-9]{2})?)?)\)?"
_ZONES = rf"(?:\s+{_ZONE}){{0,2}}"
_ISO = r"(?P<year>[0-9]{4})[-/](?P<month>[0-9]{1,2})[-/]" + _DAY + r"(?:t|\s+)" + _TIME12

_ASCTIME = rf"{_DOW}[a-z]*,?\s+{_MONTH}\s+{_DAY},?\s+{_TIME12}(?P<zone>{_ZONES})\s+{_YEAR}"
_FLAGS = re.ASCII | re.IGNORECASE

# The form of nearly all mail, to be taken apart by one match.
_COMMON = re.compile(
    r"\s*(?:[A-Z][a-z][a-z], )?([0-9]{1,2}) ([A-Z][a-z][a-z]) ((?:19|20)[0-9][0-9]) "
    r"([0-9][0-9]):([0-9][0-9]):([0-9][0-9]) ([+-][0-9]{4})(?![0-9])"
).match

# Forms of a Date field, white space made single and comments gone; what follows a form is searched for a
# zone and otherwise ignored. The weekday is never checked: half of the wrong ones are in other languages, and
# some of these stand in an encoded-word (75 octets: RFC 2047 §2).
_FIELD_FORMS = (
    rf"(?:[^\s,]{{1,75}}(?:,\s?|\s))?{_DAY}[ -]\s?{_MONTH},?[ -]{_ANY_YEAR},?\s(?:at\s)?{_LOOSE_TIME12}",
    _ASCTIME,
    rf"(?:{_DOW}[a-z]*\.?,?\s)?{_MONTH}\s{_DAY}(?:st|nd|rd|th)?,?\s{_YEAR},?\s(?:at\s)?{_TIME12}",
    _ISO,
)

# Forms of a From_ line's date, which ends the line. The first two are fixed in length: they are tried at
# the only place where they can stand, before anything is searched.
_PLAIN = late(
    rb"[ \t](?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z][a-z]) ([ 0-9][0-9]) "
    rb"([0-9][0-9]):([0-9][0-9]):([0-9][0-9]) (?:([+-][0-9]{4}) )?((?:19|20)[0-9][0-9])\Z"
).match
# JavaScript names the zone once more, in words; UUCP says by whom it was sent on.
_TAIL = r"(?:\s+\([^()]{1,60}\))?(?:\s+remote\s+from\s+\S+)?\s*\Z"
_LINE_FORMS = (
    rf"{_ASCTIME}(?P<rest>{_ZONES})",
    rf"{_DOW}[a-z]*,?\s+{_MONTH}\s+{_DAY},?\s+{_YEAR},?\s+{_TIME12}(?P<rest>{_ZONES})",
    rf"(?:{_DOW}[a-z]*,?\s+)?{_DAY}[\s-]{_MONTH}[\s-]{_YEAR}\s+{_TIME12}(?P<rest>{_ZONES})",
    rf"{_ISO}(?P<rest>(?:\s*{_ZONE})?)",
)


# Compiled when mail first needs them, for that takes as long as a hundred messages.
@cache
def _of_fields() -> list[Callable[[str], re.Match[str] | None]]:
    return [re.compile(form + r"(?P<rest>.*)", _FLAGS | re.DOTALL).match for form in _FIELD_FORMS]


@cache
def _of_lines() -> list[Callable[[str], re.Match[str] | None]]:
    return [re.compile(rf"(?<!\S){form}{_TAIL}", _FLAGS).search for form in _LINE_FORMS]


_NUMERIC = late(r"([+-]) ?([0-9]{1,2}):?([0-9]{2})?(?![0-9])").search
_NAME = late(r"\b[a-z]+", _FLAGS).findall
_IN_FULL = late(r" *([ecmp])(?:astern|entral|ountain|acific) ([sd])(?:tandard|aylight) time\b", _FLAGS).match
_COMMENT_MARK = late(r"(\\.|[()])", re.DOTALL)


def parse_date(text: str | bytes) -> datetime | None:
    """Return the instant that a Date field's value states, aware, or None where it states none.

    Takes RFC 5322 §3.3, the obsolete forms of §4.3 and what mail programs wrote beside them: no weekday,
    no seconds, two-digit years, named zones, asctime, ``March 5, 2001 4:30 PM``, ISO 8601. Never raises.
    """
    if isinstance(text, bytes):
        text = text[:_LIMIT].decode("latin-1")
    match = _COMMON(text)
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
        try:
            return datetime(
                _YEARS[year], _MONTHS[month], _TWO[day], _TWO[hour], _TWO[minute], _TWO[second],
                0, _OFFSETS.get(zone) or _offset(zone),
            )  # fmt: skip
        except (KeyError, ValueError):
            pass  # a leap second or a month that is none: the long way decides
    found = parse_zoned(text)
    return found and found[0]


def parse_zoned(text: str) -> tuple[datetime, bool] | None:
    """The same, and whether it says its zone: ``-0000`` and names that nobody knows do not."""
    text = " ".join(without_comments(text[:_LIMIT]).split())
    for form in _of_fields():
        match = form(text)
        if match is not None:
            return _value(match)
    return None


def parse_envelope(line: bytes) -> tuple[str, datetime | None]:
    """Return sender and date of a From_ line: its text with or without the leading ``From ``.

    The sender is all that stands before the date, stripped, and may be empty, quoted, or hold spaces
    (``user at host``); octets beyond ASCII are read as UTF-8, else kept as surrogates. Without a date the
    whole rest is the sender, but for a date that no calendar has. A UUCP ``remote from`` tail is dropped.
    Never raises.
    """
    start = 5 if line.startswith(b"From ") else 0
    line = line[:_LIMIT].rstrip()
    # 25 and 31 octets: a blank, then asctime's form without and with the zone before the year.
    for at in (len(line) - 25, len(line) - 31):
        match = _PLAIN(line, at) if at >= start - 1 else None
        if match is not None:
            month, day, hour, minute, second, zone, year = match.groups()
            try:
                when = datetime(
                    int(year), _MONTHS[month.decode()], int(day), int(hour), int(minute), int(second),
                    tzinfo=_offset(zone.decode()) if zone else _UTC,
                )  # fmt: skip
            except (KeyError, ValueError):
                break
            return line[start:at].decode("utf-8", "surrogateescape").strip() if at > start else "", when
    text = sender = line[start:].decode("utf-8", "surrogateescape")
    for form in _of_lines():
        found = form(text)
        if found is not None:
            before = text[: found.start()]
            if (value := _value(found)) is not None:
                return before.strip(), value[0]
            sender = min(sender, before, key=len)  # a 31st of February is nobody's name
    return sender.strip(), None


def _value(match: re.Match[str]) -> tuple[datetime, bool] | None:
    part = match.groupdict()
    # RFC 5322 §4.3: two digits below 50 are of this century, three digits count from 1900.
    digits = part["year"]
    year = int(digits)
    if len(digits) < 4:
        year += 2000 if len(digits) == 2 and year < 50 else 1900
    # RFC 5322 §3.3 knows no year before 1900; 9999 may overflow when brought to another zone.
    if not 1900 <= year < 9999:
        return None
    month = part["month"]
    hour = int(part["hour"])
    if part.get("half") and 1 <= hour <= 12:
        hour = hour % 12 + (12 if part["half"] in "pP" else 0)
    second = int(part["second"] or 0)
    zone = _zone((part.get("zone") or "") + " " + part["rest"])
    try:
        when = datetime(
            year,
            int(month) if month.isdigit() else _MONTHS[month.lower()],
            int(part["day"]),
            hour,
            int(part["minute"]),
            59 if second == 60 else second,  # a leap second, which datetime does not know
            tzinfo=zone or _UTC,
        )
    except ValueError:
        return None
    return when, zone is not None


def _zone(text: str) -> timezone | None:
    """Return the zone that `text` names: a number before a name (``GMT+0900`` is +0900); None for no zone."""
    match = _NUMERIC(text)
    if match is not None:
        sign, hours, minutes = match.group(1, 2, 3)
        minutes = minutes or "00"
        if int(hours) > 23 or int(minutes) > 59 or (sign == "-" and not int(hours + minutes)):
            return None
        return _offset(f"{sign}{hours:0>2}{minutes}")
    names = _NAME(text)
    # `MET DST`: readers differ on what the second word adds, and neomutt reads the pair as UTC.
    if not names or (len(names) > 1 and names[1].upper() == "DST"):
        return None
    full = _IN_FULL(text)
    return _NAMED.get(f"{full[1]}{full[2]}T".upper() if full else names[0].upper())


def _offset(text: str) -> timezone:
    """Return the zone for ``+hhmm``; UTC where that is no offset of less than a day."""
    zone = _OFFSETS.get(text)
    if zone is None:
        hours, minutes = int(text[1:3]), int(text[3:5])
        if hours > 23 or minutes > 59:
            return _UTC
        delta = timedelta(hours=hours, minutes=minutes)
        zone = _OFFSETS[text] = timezone(-delta if text[0] == "-" else delta)
    return zone


def without_comments(text: str) -> str:
    """Put a space for each comment (RFC 5322 §3.2.2), nested ones too; an unclosed one reaches to the end."""
    if "(" not in text and ")" not in text:
        return text
    kept: list[str] = []
    depth = 0
    for piece in _COMMENT_MARK.split(text):
        if piece == "(":
            depth += 1
            kept.append(" ")
        elif piece == ")":
            depth = max(0, depth - 1)
        elif not depth:
            kept.append(piece)
    return "".join(kept)
