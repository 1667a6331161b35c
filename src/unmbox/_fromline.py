"""What a From_ line is: its grammar as data, and one decision function that says why.

No rule that looks at the line alone is right: undated separators are real, and so are undated ``From ``
lines in bodies; separators without an empty line before them are real too. So `decide` weighs the line
with what stands before and after it. The places where a From_ line is a message's own text although all
of that speaks for it (a forwarded mailbox in a MIME part, say) need the open message and are in `_parser`.

mbox has no standard beyond RFC 4155, which real mailboxes do not follow.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from unmbox._late import late

FindOther: TypeAlias = "Callable[[bytes, int, int], re.Match[bytes] | None]"
Match: TypeAlias = "Callable[[bytes, int], re.Match[bytes] | None]"

LOOK_AHEAD = 1 << 16
"""Octets from a candidate on that may decide on it: more than any header field in honest mail, and a
bound on what is held back."""

_TIME = rb"\d{1,2}:\d\d(?::\d\d)?"
_ZONE = rb"(?:[+-]\d\d:?\d\d|\(?[A-Z]{1,6}(?:[+-]\d{1,2}(?::?\d\d)?)?\)?|\([A-Z][A-Z. ]{1,60}\))"
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_YEAR = rb"(?:\d{4}|\d\d)"
_ZONES = rb"(?:[ \t]+" + _ZONE + rb"){0,2}"
_S = rb"[ \t]+"

# asctime with zones on either side of the year (Takeout writes them before it), or with the year before the
# time (as JavaScript has it), RFC 822, ISO 8601.
_ASCTIME = _DAY + rb"[a-z]*,?" + _S + _MONTH + rb"[a-z]*\.?" + _S + rb"\d{1,2},?" + _S
_ASCTIME += rb"(?:" + _TIME + _ZONES + _S + _YEAR + rb"|\d{4}" + _S + _TIME + rb")" + _ZONES
_RFC822 = rb"(?:" + _DAY + rb"[a-z]*,?" + _S + rb")?\d{1,2}[ \t-]+" + _MONTH + rb"[a-z]*[ \t-]+" + _YEAR
_RFC822 += _S + _TIME + _ZONES
_ISO = rb"\d{4}-\d\d-\d\d[T \t]+" + _TIME + rb"(?:[.,]\d+)?(?:[ \t]*(?:Z|[+-]\d\d:?\d\d))?"
_DATE_AT_END = late(
    rb"[ \t](?:(" + _ASCTIME + rb")|" + _RFC822 + rb"|" + _ISO + rb")(?:[ \t]+remote from[ \t].*)?[ \t\r]*\Z",
    re.IGNORECASE,
)
# One word, or an address in words.
_SENDER = late(rb"[ \t]*(?:\S+|\"[^\"\n]*\"\S*|\S+[ \t]at[ \t]\S+)[ \t]*").fullmatch
_COMMON = rb"(?!:)\S{1,900} +" + _DAY + rb" " + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d(?: [+-]\d{4})? \d{4}"
# What nine mailboxes in ten write, in one match: the line, then its end.
common_line = re.compile(rb"(From " + _COMMON + rb")\r?\n").match

_HEADER_FORM = re.compile(rb"From[ \t]+:").match
# RFC 5322 §2.2: a field name is printable ASCII but the colon; old mail has white space before the colon.
_FIELD_START = re.compile(rb"[!-9;-~]+[ \t]*:").match
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)").match
_RUN = late(rb"(?:[!-9;-~]+[ \t]*:[^\n]*(?:\n|\Z)|[ \t][^\n]*(?:\n|\Z))*").match
_HYPHEN_IN_TWO = late(
    rb"[!-9;-~]*-[!-9;-~]*[ \t]*:|[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*[!-9;-~]*-[!-9;-~]*[ \t]*:"
).match
_NO_FIELD = re.compile(rb"[^!-9;-~]|[!-9;-~]+(?:[^!-9;-~ \t:]|[ \t]+[^ \t:])").match
_QUOTED_FIRST = re.compile(rb">From [^\n]*(?:\n|\Z)").match

_NO_FIELD_LINE = late(rb"\n(?![ \t]|[!-9;-~]+[ \t]*:|>?From )")
_CORE = rb"(?i:From|To|Date|Subject|Message-ID)[ \t]*:"
_CORE_FIELD = late(rb"\n" + _CORE)
# Whole lines of such a block, From_ lines among them. So few that what `re` keeps of them stays small.
trace_lines = late(
    rb"(?:>?From (?![ \t]*:)[^\n]*\n|[ \t][^\n]*\n|(?!" + _CORE + rb")[!-9;-~]+[ \t]*:[^\n]*\n){1,5000}"
).match

# Fields that begin a header block so often that one of them alone tells it from prose such as "Note: …".
_KNOWN = frozenset(
    b"apparently-to arc-seal bcc cc content-length content-transfer-encoding content-type date delivered-to"
    b" delivery-date dkim-signature envelope-to from in-reply-to lines mail-from message-id mime-version"
    b" received references reply-to resent-from return-path sender status subject to x-envelope-from"
    b" x-from-line x-gm-thrid x-gmail-labels x-mailer x-mozilla-status x-original-to x-status x-uid"
    b" x-uidl".split()
)

# Why a line was taken.
DATED_AFTER_BLANK = "dated, after an empty line"
DATED_BEFORE_FIELD = "dated, before a header field"
DATED_AT_END = "dated, at the end"
UNDATED_BEFORE_FIELDS = "undated, before two header fields"
UNDATED_BEFORE_KNOWN = "undated, before a known header field"
ALONE = "alone in the file"
# Why a line was not taken.
HEADER_FORM = "header-field"
TOO_LONG = "line-too-long"
NOT_SEPARATED = "dated-but-no-field-follows"
NO_FIELD_FOLLOWS = "undated-and-no-field-follows"
ONE_FIELD_FOLLOWS = "undated-and-one-field-follows"
UNKNOWN_FIELDS_FOLLOW = "undated-and-unknown-fields-follow"

# Patterns for what stands behind the "From " of lines that `decide` would reject whatever stands farther off,
# found eight times as fast. None is of a line that it would call too long, and more octets change nothing.
# Each matches in one way only: where `re` can be told so (Python 3.11), it spares itself half of its steps.
_ONCE = rb"+" if sys.version_info >= (3, 11) else rb""
_TO_COLON = rb"[^\n:]{0,998}" + _ONCE
# A date has a time in it.
_UNDATED = rb"(?![ \t]*:)%b(?::(?!\d\d)%b){0,9}\n(?!>From )" % (_TO_COLON, _TO_COLON)
_PROSE = rb"(?:[^!-9;-~]|[!-9;-~]+(?:[^!-9;-~ \t:]|[ \t]+[^ \t:]))"
_TO_END = rb"[^\n]{0,998}" + _ONCE + rb"\n"
_FIELD_HERE = rb"[!-9;-~]+[ \t]*:%b(?:[ \t]%b){0,9}(?![ \t])" % (_TO_END, _TO_END)
# By their first letters: `re` tries no branch that begins with another, unless it has to fold cases there.
_BY_LETTER = [(first, [name[1:] for name in sorted(_KNOWN) if name[0] == first]) for first in range(97, 123)]
_KNOWN_HERE = b"|".join(
    b"[%c%c](?i:%b)" % (first, first - 32, b"|".join(names)) for first, names in _BY_LETTER if names
)
_KNOWN_HERE = rb"(?:" + _KNOWN_HERE + rb")[ \t]*:"
_KNOWN_LINE = late(rb"\n" + _KNOWN_HERE).search
_UNKNOWN_ALONE = rb"(?!" + _KNOWN_HERE + rb")" + _FIELD_HERE + _PROSE
_AFTER_TEXT = rb"(?:(?<=[^\s\xbf]\nFrom )|(?<=[^\s\xbf]\r\nFrom ))"  # no BOM: a file may begin with it
_ONE_FIELD = rb"(?:" + _UNKNOWN_ALONE + rb"|" + _FIELD_HERE + rb"(?![\r\n]|From )" + _PROSE + rb")"
_DATED = _AFTER_TEXT + _COMMON + rb"\r?\n(?!>From )(?=" + _PROSE + rb")[^\n]{0,998}\n[\0-\xff]"
_COLON = rb"[ \t]*:[^\n]{0,998}\n"
# Several words, none an address, and two or more fields that are not known, up to what is no field.
_UNKNOWN_RUN = rb"(?=[^\S\n]*\S+[^\S\n]+\S)(?=[^@\n]{0,998}\n)" + _UNDATED
_UNKNOWN_RUN += rb"(?:(?!%b)%b){2,9}(?:\r?\n|From [^ \t:\n]|%b)" % (_KNOWN_HERE, _FIELD_HERE, _PROSE)
_SURELY = (
    ("", b""),
    (NO_FIELD_FOLLOWS, _UNDATED + _PROSE),
    (ONE_FIELD_FOLLOWS, _UNDATED + _ONE_FIELD),
    (NOT_SEPARATED, _DATED),
    (HEADER_FORM, _COLON),
    (UNKNOWN_FIELDS_FOLLOW, _UNKNOWN_RUN),
)


SURELY = tuple(reason for reason, _ in _SURELY)
"""By the `lastindex` of what `surely_none` matches, the reason."""


# Compiled when a mailbox first needs them: many never do, and it takes milliseconds.
@cache
def surely_none() -> Match:
    """What matches a From_ line that surely is no separator; None says that it may be one."""
    kinds = (_UNDATED, _PROSE, _ONE_FIELD, _DATED, _COLON, _UNKNOWN_RUN)
    return re.compile(rb"From (?:%b(?:(%b)|(%b))|(%b)|(%b)|(%b))" % kinds).match


@cache
def find_other() -> list[FindOther]:
    """By the same `lastindex`, what finds the next line that is no such one."""
    return [re.compile(rb"From (?<=\nFrom )(?!%b)" % line).search for _, line in _SURELY]


def find_date(line: bytes) -> re.Match[bytes] | None:
    """The date that ends a line; group 1 is one in the form of From_ lines, not as in prose and tables."""
    end = len(line.rstrip(b"\r\n"))
    return _DATE_AT_END.search(line, max(0, end - 200), end)


def decide(
    data: bytes, at: int, line_end: int, *, blank_before: bool, alone: bool, at_eof: bool
) -> tuple[bool, str] | None:
    """Decide whether the line ``data[at:line_end]``, which begins ``From ``, separates two messages.

    `blank_before`: the line before is empty, or there is none. `alone`: nothing but empty lines stands
    before it in the source. `at_eof`: `data` reaches to the end of the source. Returns the verdict and
    its reason, or None where more octets are needed (never once `data` holds more than `LOOK_AHEAD` octets
    from `at` on); more octets never change a verdict.
    """
    if blank_before and common_line(data, at):
        return True, DATED_AFTER_BLANK
    line = data[at:line_end]
    if _HEADER_FORM(line):
        return False, HEADER_FORM
    date = find_date(line)
    if date and not (date[1] or alone or _SENDER(line, len(b"From "), date.start())):
        return _decide_date_alone(data, at, line_end, at_eof)
    if date:
        return (True, DATED_AFTER_BLANK) if blank_before else _decide_dated(data, at, line_end, at_eof)
    return _decide_undated(data, at, line_end, blank_before, alone, at_eof)


def _decide_dated(data: bytes, at: int, line_end: int, at_eof: bool) -> tuple[bool, str] | None:
    end = len(data)
    limit = min(end, at + LOOK_AHEAD)
    final = at_eof or end - at > LOOK_AHEAD
    after = _after_quoted(data, line_end + 1, limit)
    if _FIELD_START(data, after, limit):
        return True, DATED_BEFORE_FIELD
    if not final and not _no_field(data, after, limit):
        return None
    # "At most one line remains": nothing behind the next line end.
    next_end = data.find(b"\n", after, limit)
    if 0 <= next_end < end - 1:
        return False, NOT_SEPARATED
    if at_eof and limit == end:
        return True, DATED_AT_END
    return (False, NOT_SEPARATED) if final else None


def _decide_date_alone(data: bytes, at: int, line_end: int, at_eof: bool) -> tuple[bool, str] | None:
    """Decide on a date as in prose and tables without a sender: a field that is known of mail must follow."""
    limit = min(len(data), at + LOOK_AHEAD)
    first = _after_quoted(data, line_end + 1, limit)
    run = _RUN(data, first, limit)
    end = run.end() if run else first
    if _KNOWN_LINE(data, first - 1, end):
        return True, DATED_BEFORE_FIELD
    settled = at_eof or len(data) - at > LOOK_AHEAD or data.find(b"\n", end, limit) >= 0
    return (False, NOT_SEPARATED) if settled else None


def _decide_undated(
    data: bytes, at: int, line_end: int, blank_before: bool, alone: bool, at_eof: bool
) -> tuple[bool, str] | None:
    end = len(data)
    limit = min(end, at + LOOK_AHEAD)
    at_end = at_eof and limit == end
    final = at_eof or end - at > LOOK_AHEAD
    after = _after_quoted(data, line_end + 1, limit)
    if at_end and after >= end:
        return (True, ALONE) if alone else (False, NO_FIELD_FOLLOWS)
    first = after
    field = _FIELD(data, after, limit)
    if field is None:
        return (False, NO_FIELD_FOLLOWS) if final or _no_field(data, after, limit) else None
    known = field[1].lower() in _KNOWN
    after = field.end()
    if after == limit:
        if not final:
            return None
        return (True, UNDATED_BEFORE_KNOWN) if at_end and known else (False, ONE_FIELD_FOLLOWS)
    if _FIELD_START(data, after, limit):
        of_mail = known or _is_of_mail(data, at, line_end, first, limit, final)
        if of_mail is None:
            return None
        return (True, UNDATED_BEFORE_FIELDS) if of_mail else (False, UNKNOWN_FIELDS_FOLLOW)
    if not final and (limit - after < len(b"From ") or not _no_field(data, after, limit)):
        return None
    if data.startswith(b"From ", after):
        return (True, UNDATED_BEFORE_KNOWN) if known else (False, ONE_FIELD_FOLLOWS)
    if data.startswith((b"\n", b"\r\n"), after):
        # Prose holds "From here on\nNote: …" too; a short line after an empty one does not look like it.
        bare = blank_before and len(data[at:line_end].split()) <= 2
        return (True, UNDATED_BEFORE_KNOWN) if known and bare else (False, ONE_FIELD_FOLLOWS)
    return (False, ONE_FIELD_FOLLOWS) if final or _no_field(data, after, limit) else None


def _is_of_mail(data: bytes, at: int, line_end: int, first: int, limit: int, final: bool) -> bool | None:
    """Whether the fields at `first`, of which the first is not known, are mail's; None if more octets decide.

    Prose holds "From the log", "ERROR: …" and "WARN: …", line by line. An address in the line tells a header
    block from it, or a field that mail is known to begin with, however far below; or a short line and a name
    with a hyphen.
    """
    if b"@" in data[at:line_end]:
        return True
    if len(data[at:line_end].split()) <= 2 and _HYPHEN_IN_TWO(data, first, limit):
        return True
    run = _RUN(data, first, limit)
    end = run.end() if run else first
    if _KNOWN_LINE(data, first - 1, end):
        return True
    return False if final or data.find(b"\n", end, limit) >= 0 else None


def _after_quoted(data: bytes, after: int, limit: int) -> int:
    """Step over a ``>From `` line that old mailers left as the first line of a header block."""
    quoted = _QUOTED_FIRST(data, after, limit)
    return quoted.end() if quoted else after


def _no_field(data: bytes, after: int, limit: int) -> bool:
    """Tell whether no field can begin at `after`, whatever octets follow what is there."""
    return _NO_FIELD(data, after, limit) is not None and not data.startswith(b">From ", after)


_MOST_NOTES = 1000  # octets
_NOTES = late(
    rb"(?:(?:X-Mozilla-[!-9;-~]{1,50}|X-Account-Key|X-Identity-Key|X-UIDL)[ \t]*:[^\n]*\n){1,20}",
    re.IGNORECASE,
).fullmatch


def is_stub(data: bytes, block: int, at: int) -> bool:
    """Whether what stands from `block` to a From_ line is what Thunderbird left of a message: its notes."""
    return (
        data.startswith(b"From - ", at) and at - block <= _MOST_NOTES and _NOTES(data, block, at) is not None
    )


def begins_header(head: bytes) -> bool:
    """Whether octets begin with a header block, whole or cut off, and a field in it is known of mail."""
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if b"\n" not in head:
        head = head.replace(b"\r", b"\n")
    run = _RUN(head)
    end = run.end() if run else 0
    is_whole = end == len(head) or head.startswith((b"\n", b"\r\n"), end)
    return is_whole and _KNOWN_LINE(b"\n" + head[:end]) is not None


def holds_trace_fields_only(lines: bytes) -> bool:
    """Whether these lines, each after its LF, are all fields and none is one that every message has."""
    return not (_NO_FIELD_LINE.search(lines) or _CORE_FIELD.search(lines))
