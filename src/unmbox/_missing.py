"""Values that a message should have had: its date, its author, its Message-ID; all from what is there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Final

from unmbox._dates import parse_date, parse_envelope, parse_zoned, without_comments
from unmbox._late import late

DOMAIN: Final = "unmbox.invalid"
"""RFC 2606 §2: a name that nobody can ever have."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH: Final = b"(?:" + "|".join(_MONTHS).encode() + b")"
COMMON_DATE: Final = (
    rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?"
    rb"(?:(?:0?[1-9]|1[0-9]|2[0-8]) " + _MONTH + rb"|(?:29|30) (?!F)" + _MONTH +
    rb"|31 (?:Jan|Mar|May|Jul|Aug|Oct|Dec)) (?:19|20)[0-9][0-9]"
    rb" (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] [+-][0-9][0-9][0-5][0-9](?: \([A-Z]+\))?"
)  # fmt: skip
"""Pattern of RFC 5322 §3.3 as nearly all mail spells it, with no day or hour that does not exist."""
_IS_COMMON = re.compile(COMMON_DATE).fullmatch
# RFC 5322 §3.3 with the obsolete years, zones and white space of §4.3, comments gone and white space single.
# No other names of zones: readers by the RFC take them, and AM and PM, for a time of no known zone.
_RFC_DATE = late(
    rf"(?:(?:{'|'.join(_DAYS)}), )?[0-9]{{1,2}} (?:{'|'.join(_MONTHS)}) [0-9]{{2,4}}"
    r" [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: (?:[+-][0-9]{2}[0-5][0-9]|UTC?|GMT|[ECMP][SD]T|[A-Z]))",
    re.IGNORECASE,
).fullmatch
_ADDRESS = r"[!#$%&'*+\-./0-9=?A-Z^_`a-z{|}~]{1,100}@[0-9A-Za-z-]{1,63}(?:\.[0-9A-Za-z-]{1,63}){1,20}"
_IS_ADDRESS = late(rf"<?({_ADDRESS})>?").fullmatch
_HAS_ADDRESS = late(rf"<({_ADDRESS})>|(?<!\S)({_ADDRESS})(?!\S)").search
_OBSCURED = late(r"(\S{1,100}) at (\S{1,250})").fullmatch
_PARENTHESES = late("[()]")
# Longer values hold no date or address that anybody wrote.
_LIMIT: Final = 1000
# Received fields that are asked for a date.
_HOPS: Final = 50


def is_sound_date(value: bytes) -> bool:
    """Whether a Date value is what RFC 5322 §3.3 or §4.3 allows, and a day and time that exist."""
    if _IS_COMMON(value):
        return True
    if len(value) > _LIMIT:
        return False
    plain = _plain(value)
    return _RFC_DATE(plain) is not None and parse_date(plain) is not None


def read_date(value: bytes) -> str | None:
    """Return the instant of a Date value of any form as RFC 5322 §3.3 spells it, None where there is none."""
    found = _stated(value)
    # RFC 5322 §3.3: -0000 says that nobody knows the local time.
    return found and written_date(found[0], zone=None if found[1] else "-0000")


def stated_date(value: bytes) -> datetime | None:
    """The instant of a Date value of any form, None where there is none."""
    found = _stated(value)
    return found and found[0]


def _stated(value: bytes) -> tuple[datetime, bool] | None:
    text = value[:_LIMIT].decode("latin-1")
    found = parse_zoned(_plain(value[:_LIMIT])) or parse_zoned(text)
    if found and not found[1] and "(" in text:
        # The zone may stand in a comment alone: `10:13:51 (JST)`.
        again = parse_zoned(_PARENTHESES.sub(" ", text))
        found = again if again and again[1] else found
    return found


def best_date(from_line: bytes, received: Iterable[bytes]) -> str:
    """Return the best date for a message that says none.

    That is the From_ line's; where it has none, or one from before there was mail, the newest Received that
    has a plausible one (the topmost: the reader's own server wrote it); else 1 January 1970.
    """
    found = found_date(parse_envelope(from_line)[1], received)
    return "Thu, 01 Jan 1970 00:00:00 -0000" if found is None else written_date(found)


def found_date(stated: datetime | None, received: Iterable[bytes]) -> datetime | None:
    """The same, where the From_ line has `stated` this date; None where there is none."""
    if stated is None or not _is_plausible(stated):
        for value in islice(received, _HOPS):
            when = parse_date(value[-_LIMIT:].rpartition(b";")[2])
            if when is not None and _is_plausible(when):
                return when
    return stated


def author(from_line: bytes, fallbacks: Iterable[bytes]) -> str:
    """Return an address to stand in for a missing From.

    The From_ line's sender if it is an address (Takeout's ``…@xxx`` is none; a list archive's
    ``user at host`` is), else the first address in `fallbacks`, else ``unknown@unmbox.invalid``.
    """
    sender = parse_envelope(from_line)[0]
    obscured = _OBSCURED(sender)
    match = _IS_ADDRESS(f"{obscured[1]}@{obscured[2]}" if obscured else sender)
    if match:
        return match[1]
    for value in fallbacks:
        found = _HAS_ADDRESS(value[:_LIMIT].decode("latin-1"))
        if found:
            return found[1] or found[2]
    return f"unknown@{DOMAIN}"


def message_id(from_line: bytes, header: bytes) -> str:
    """Return a Message-ID that the same From_ line and header block (LF line ends) always give."""
    digest = sha256(from_line + b"\n" + header).hexdigest()
    return f"<{digest[:32]}@{DOMAIN}>"


def written_date(when: datetime, *, zone: str | None = None) -> str:
    """Return an aware datetime as RFC 5322 §3.3 spells it; `zone` overrides its own."""
    if zone is None:
        minutes = (when.utcoffset() or timedelta()) // timedelta(minutes=1)
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    day = f"{_DAYS[when.weekday()]}, {when.day:02} {_MONTHS[when.month - 1]} {when.year}"
    return f"{day} {when.hour:02}:{when.minute:02}:{when.second:02} {zone}"


def _is_plausible(when: datetime) -> bool:
    return 1980 <= when.year < 2100


def _plain(value: bytes) -> str:
    """Drop comments (RFC 5322 §3.2.2), and the white space that is none of the date's own."""
    plain = without_comments(b" ".join(value.split()).decode("latin-1"))
    plain = re.sub(" +", " ", plain[:_LIMIT])
    return re.sub(" ?: ?", ":", re.sub(" ?, ?", ", ", plain)).strip(" ")
