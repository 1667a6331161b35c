"""What separates two messages: the line itself, the lines around it, and the open message."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive import DATED, MAIL, MIB, Gathered, count, is_dated, parse, random_cuts
from strategies import SOUP
from unmbox._fromline import LOOK_AHEAD, decide


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"  ", b" \t\r\n"], ids=repr)
@pytest.mark.parametrize(
    "line",
    [
        b"From a@example.org Thu Jan  1 00:00:00 1970",
        b"From 1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019",
        b"From  Thu Jan  1 00:00:00 1970",
        b"From Thu Jan  1 00:00:00 1970",
        b"From Thu Thu Jan  1 00:00:00 1970",
        b'From "a b c"@example.org Thu Jan  1 00:00:00 1970',
        b"From user at host.example Thu Jan  1 00:00:00 1970",
        b"From a\tThu Jan  1 00:00:00 1970",
        b"From \xff\x00\x80 Thu Jan  1 00:00:00 1970",
        b"From " + b"a" * 3000 + b" Thu Jan  1 00:00:00 1970",
        b"From a Thu Jan  1 00:00:00 1970 remote from host",
        b"From a Fri Aug  4 22:02 MET 2000",
        b"From a Wed Jul  1 02:44:06 1998 MEST",
        b"From a Sun, 11 Nov 2007 06:58:35 +0200",
        b"From a 2019-03-19T09:13:51Z",
        b"From a Sat Apr 12 2025 15:59:28",
        b"From a Sat Apr 12 2025 15:59:28 GMT+0900 (JST)",
        b"From a Sat Apr 12 2025 15:59:28 GMT+0900 (Japan Standard Time)",
        b"From a Sat Apr 12 15:59:28 GMT+01:00 2025",
        b"From a Sat Apr 12 03:59:28 PM 2025",
    ],
)
def test_lines_with_a_date(line: bytes, end: bytes) -> None:
    assert is_dated(line + end)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"From",
        b"From ",
        b"From -",
        b"From a@example.org",
        b"From: a Thu Jan  1 00:00:00 1970",
        b">From a Thu Jan  1 00:00:00 1970",
        b" From a Thu Jan  1 00:00:00 1970",
        b"FROM a Thu Jan  1 00:00:00 1970",
        b"Fromage Thu Jan  1 00:00:00 1970",
        b"Thu Jan  1 00:00:00 1970",
        b"From a Thu Jan  1 00:00:00 1970 or thereabouts",
        b"From a Thu Jan  1 00:00:00 1970, he said",
        b"From a@xThu Jan  1 00:00:00 1970",
        b"From a Thu Jan  1 00:00:00",
        b"From a Thu Jan  1 1970",
        b"From a Thu Jan  1 00:00:00 19701",
        b"From a Thu Jan  1 000:00:00 1970",
        b"From a Thu Jan  1 00:0:00 1970",
        b"From a Thu Jan  111 00:00:00 1970",
        b"From a Thu Jan  1 00:00:00 A B C 1970",
        b"From a at 10:30 on Thu",
        b"From 10:00 to 11:00 2019",
    ],
)
def test_lines_without_a_date(line: bytes) -> None:
    assert not is_dated(line)


def test_a_header_form_is_no_candidate() -> None:
    for line in [b"From :", b"From : a", b"From \t: a Thu Jan  1 00:00:00 1970", b"From  :a"]:
        data = line + b"\nTo: x\nSubject: y\n\n"
        verdict = decide(data, 0, len(line), blank_before=True, alone=True, at_eof=True)
        assert verdict is not None
        assert verdict[0] is False


def verdict_on(data: bytes, *, blank_before: bool, alone: bool = False, at_eof: bool = True) -> bool | None:
    """The verdict on the first line of `data`; None where more octets are needed."""
    line_end = data.find(b"\n")
    decided = decide(
        data,
        0,
        len(data) if line_end < 0 else line_end,
        blank_before=blank_before,
        alone=alone,
        at_eof=at_eof,
    )
    return None if decided is None else decided[0]


@pytest.mark.parametrize(
    ("after", "blank", "no_blank"),
    [
        (b"", True, True),
        (b"\n", True, True),
        (b"Subject: x\n", True, True),
        (b"X-Unknown: x\nprose\n", True, True),
        (b"X-Unknown : x\nprose\n\n", True, True),
        (b">From b Thu Jan  1 00:00:00 1970\nSubject: x\n\n", True, True),
        (b"prose\n", True, True),
        (b"prose", True, True),
        (b"prose\nprose\n", True, False),
        (b"prose\nprose", True, False),
        (b"\nprose\nprose\n", True, False),
        (b"two words: x\nprose\n", True, False),
        (b" Subject: x\nprose\n", True, False),
        (b": x\nprose\n", True, False),
        (b"\xc3\xa9: x\nprose\n", True, False),
        (b">From b\nprose\nprose\n", True, False),
    ],
    ids=repr,
)
def test_dated_lines(after: bytes, blank: bool, no_blank: bool) -> None:
    for newline in [b"\n", b"\r\n"]:
        data = (DATED + b"\n" + after).replace(b"\n", newline)
        assert verdict_on(data, blank_before=True) is blank
        assert verdict_on(data, blank_before=False) is no_blank


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (b"", False),
        (b"\ntext\ntext\n", False),
        (b"Subject: x\nX-Unknown: y\n", True),
        (b"X-Unknown: x\nX-Other: y\nFrom: z\n\n", True),
        (b">From b\nSubject: x\nTo: y\n", True),
        (b"To 2023-01-05 12:00\n\nbye\n", False),
        (b"until 6 Jan 2023 02:00\nand so on\n", False),
    ],
)
@pytest.mark.parametrize("date", [b"2023-01-05 10:00", b"5 Jan 2023 22:00 UTC", b"Thu, 5 Jan 2023 22:00"])
def test_dates_as_in_prose(date: bytes, after: bytes, expected: bool) -> None:
    """Of bookings and maintenance, after an empty line."""
    for newline in [b"\n", b"\r\n"]:
        data = (b"From " + date + b"\n" + after).replace(b"\n", newline)
        assert verdict_on(data, blank_before=True) is expected


@pytest.mark.parametrize(
    ("line", "after", "blank", "no_blank"),
    [
        (b"From ", b"To: x\nX-Unknown: y\n\n", True, True),
        (b"From the log", b"ERROR: x\nWARN: y\n", False, False),
        (b"From the config:", b"version: 3\nimage: x\n", False, False),
        (b"From Tokyo", b"Departure: 10:00\nArrival: 12:00\n", False, False),
        (b"From Monday", b"10:00 start\n12:00 lunch\n", False, False),
        (b"From bob and carol", b"X-Unknown: x\nTo: y\n", True, True),
        (b"From bob 01/02/2003 10:11:12", b"X-A: x\n fold\nX-B: y\nReceived: z\n\n", True, True),
        (b"From bob Do Mai  3 10:11:12 2001", b"Path: x\nNewsgroups: y\nFrom: z\n\n", True, True),
        (b"From bob@ex.com 03.05.2001 10:11:12", b"X-A: x\nX-B: y\nprose\n", True, True),
        (b"From news", b"Path: x\nNewsgroups: y\nFrom: z\n\n", True, True),
        (b"From news", b"Path: x\nNewsgroups: y\n\nFrom: z\n", False, False),
        (b"From bob and carol", b"X-Unknown: x\nX-Other: y\n", False, False),
        (b"From bob", b"X-Unknown: x\n\tfold\n fold\nX-Other: y\n\n", True, True),
        (b"From bob and carol", b"To: x\nFrom: y\n\n", True, True),
        (b"From bob", b">From carol\nTo: x\nFrom: y\n\n", True, True),
        (b"From ", b"Subject: x", True, True),
        (b"From ", b"Subject: x\n", True, True),
        (b"From bob", b"Subject: x\n fold\n", True, True),
        (b"From ", b"Subject: x\nFrom \nSubject: y\n", True, True),
        (b"From ", b"X-Unknown: x\n", False, False),
        (b"From ", b"X-Unknown: x\nFrom \nX-Unknown: x\n", False, False),
        (b"From ", b"Subject: x\n\ntext\n", True, False),
        (b"From bob", b"Subject: x\n\ntext\n", True, False),
        (b"From bob and carol", b"Subject: x\n\ntext\n", False, False),
        (b"From bob", b"X-Unknown: x\n\ntext\n", False, False),
        (b"From bob", b"Subject: x\nprose\n", False, False),
        (b"From bob", b"prose\nTo: x\nFrom: y\n", False, False),
        (b"From bob", b"\nTo: x\nFrom: y\n", False, False),
        (b"From bob", b"", False, False),
        (b"From bob", b"\n", False, False),
        (b"From bob", b"prose\n", False, False),
    ],
    ids=repr,
)
def test_undated_lines(line: bytes, after: bytes, blank: bool, no_blank: bool) -> None:
    for newline in [b"\n", b"\r\n"]:
        data = (line + b"\n" + after).replace(b"\n", newline)
        assert verdict_on(data, blank_before=True) is blank
        assert verdict_on(data, blank_before=False) is no_blank


def test_alone_in_the_file() -> None:
    assert verdict_on(b"From bob", blank_before=True, alone=True)
    assert verdict_on(b"From bob\n", blank_before=True, alone=True)


_lines = st.one_of(st.sampled_from(SOUP), st.binary(max_size=6))


@given(
    st.sampled_from([line for line in SOUP if line.startswith(b"From ")]),
    st.lists(_lines, max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_more_octets_change_no_verdict(
    line: bytes, after: list[bytes], newline: bytes, blank_before: bool, alone: bool
) -> None:
    """None may become a verdict, a verdict stays; at the end there is one."""
    data = line + newline + newline.join(after)
    line_end = data.index(b"\n")

    def decided(size: int, *, at_eof: bool = False) -> tuple[bool, str] | None:
        return decide(data[:size], 0, line_end, blank_before=blank_before, alone=alone, at_eof=at_eof)

    last = decided(len(data), at_eof=True)
    assert last is not None
    assert last[1]
    for size in range(line_end + 1, len(data) + 1):
        assert decided(size) in {None, last}


@pytest.mark.parametrize("line", [DATED, b"From bob"])
@pytest.mark.parametrize(
    "piece", [b"x", b" ", b"X: y\n", b"X: y\n z\n", b"\n", b"x\n", b">", b">From "], ids=repr
)
@pytest.mark.parametrize("blank_before", [True, False])
def test_the_look_ahead_is_bounded(line: bytes, piece: bytes, blank_before: bool) -> None:
    """With more than 64 KiB there is always a verdict, and as much again does not change it."""
    for start in [b"", b"Subject: ", b"Subject: x\n ", b"Subject: x\n"]:
        data = line + b"\n" + start + piece * (2 * LOOK_AHEAD // len(piece))
        more = data[: LOOK_AHEAD + 1]
        assert verdict_on(more, blank_before=blank_before, at_eof=False) is not None
        assert verdict_on(more, blank_before=blank_before, at_eof=False) is verdict_on(
            data, blank_before=blank_before
        )


# -- through the parser: the reasons of the rule -----------------------------------------------------


def mail(body: bytes, header: bytes = b"From: a@example.org\nSubject: x\n") -> bytes:
    return DATED + b"\n" + header + b"\n" + body


NOT_SEPARATORS = {
    "poem": b"Shall I compare thee\n\nFrom fairest creatures we desire increase,\nThat thereby rose\n",
    "poem-no-blank": b"Thy beauty,\nFrom hands of falsehood, in sure wards of trust!\nBut thou\n",
    "signature": b"-- \nFrom the desk of\nJane Doe\n",
    "signature-with-field": b"\nFrom the desk of\nPhone: 555\n\nbye\n",
    "paragraph-at-the-end": b"text\n\nFrom then on\n",
    "bare-word": b"text\n\nFrom \nprose\n",
    "bare-word-at-the-end": b"text\n\nFrom \n",
    "wrote": b"From John Doe at 10:30 he said\nhello\n",
    "range": b"\nFrom 10:00 to 12:00 2019\nwe met\n",
    "header-form": b"forwarded:\n\nFrom : bob@example.org\nTo : carol@example.org\nSubject : x\n\nhello\n",
    "header-form-tab": b"forwarded:\n\nFrom \t: bob@example.org\nTo: carol@example.org\n\nhello\n",
    "dated-in-prose": b"the log says\nFrom bob Thu Jan  1 00:00:00 1970\nand nothing else\nof note\n",
    "included": b"see\n\n----- Begin Included Message -----\n\n"
    + MAIL
    + b"----- End Included Message -----\nbye\n",
    "included-at-once": b"see\n\n----- Begin Included Message -----\n"
    + MAIL
    + b"----- End Included Message -----\nbye\n",
    "indented": b"\n " + MAIL.replace(b"\n", b"\n ") + b"\n",
    "prefixed": b"\n> " + MAIL.replace(b"\n", b"\n> ") + b"\n",
    "quoted-with-header": b"\n>" + MAIL,
    "cited-header": b"\n--- forwarded ---\nFrom: bob@example.org\nTo: carol@x\nSubject: y\n\nhello\n",
    "one-unknown-field": b"\nFrom here\nNote: this\n\nmore\n",
    "known-field-but-prose": b"\nFrom my point of view\nDate: unknown\n\nmore\n",
    "french": "\nFrom là, on voit\nla mer\n".encode(),
}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("body", NOT_SEPARATORS.values(), ids=NOT_SEPARATORS.keys())
def test_no_separator(body: bytes, newline: bytes) -> None:
    data = (mail(body + b"\n") + MAIL).replace(b"\n", newline)
    for cuts in [(), range(len(data))]:
        found = parse(data, cuts, "mboxrd")
        assert len(found.messages) == 2
        unquoted = re.sub(rb"(?m)^>(>*From )", rb"\1", body) if body.startswith(b"\n>From") else body
        assert found.messages[0].body == unquoted.replace(b"\n", newline)
        candidates = len(re.findall(rb"(?m)^From ", body))
        assert len(found.rejected) == candidates
        assert all(rejected.reason for rejected in found.rejected)


SEPARATORS = {
    "no-blank-line": b"From bob@example.org Thu Jan  1 00:00:00 1970\nSubject: y\n\n",
    "no-blank-folded": b"From bob@example.org Thu Jan  1 00:00:00 1970\nReceived: x\n\ty\n\n",
    "takeout": b"\nFrom 16284@xxx Tue Mar 19 09:13:51 +0000 2019\nX-GM-THRID: 1\nX-Gmail-Labels: a\n\n",
    "takeout-undated": b"\nFrom 1628424719502045299@xxx\nX-GM-THRID: 1\nX-Gmail-Labels: a\n\n",
    "vault": b"\nFrom 149898-8cd918dd-8bbb.mbox@xxx Mon Apr 20 02:27:10 2015\nSubject: y\n\n",
    "thunderbird": b"\nFrom - Fri Aug 24 11:55:47 2018\nX-Mozilla-Status: 0001\nSubject: y\n\n",
    "thunderbird-undated": b"\nFrom - \nX-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nFrom: y\n\n",
    "bare": b"\nFrom \nTo: x\nFrom: y\n\n",
    "bare-no-blank": b"From \nTo: x\nFrom: y\n\n",
    "bare-one-known-field": b"\nFrom \nSubject: y\n\n",
    "empty-sender": b"\nFrom  Thu Jan  1 00:00:00 1970\nSubject: y\n\n",
    "quoted-sender": b'\nFrom "two words"@example.org Thu Jan  1 00:00:00 1970\nSubject: y\n\n',
    "mailman": b"\nFrom bob at example.org  Thu Jan  1 00:00:00 1970\nSubject: y\n\n",
    "8-bit-sender": b"\nFrom M\xfcller Thu Jan  1 00:00:00 1970\nSubject: y\n\n",
    "uucp": b"\nFrom bob Thu Jan  1 00:00:00 1970 remote from host\nSubject: y\n\n",
    "folded-first-field": b"\nFrom bob\nReceived: x\n\tby y\n\tby z\nSubject: y\n\n",
    "odd-first-field": b"\nFrom bob\nX-Spam : x\nSubject : y\n\n",
    "quoted-line-first": b"\nFrom b Thu Jan  1 00:00:00 1970\n>From c Thu Jan  1 00:00:00 1970\nX: y\n\n",
    "undated-quoted-first": b"\nFrom bob\n>From carol Thu Jan  1 00:00:00 1970\nSubject: y\nTo: z\n\n",
    "no-header": b"\nFrom bob Thu Jan  1 00:00:00 1970\n\ntext only\n",
    "tabs": b"\nFrom bob\tThu Jan  1 00:00:00 1970\nSubject: y\n\n",
    "trailing-space": b"\nFrom bob Thu Jan  1 00:00:00 1970  \nSubject: y\n\n",
    "after-white-space": b" \t \nFrom bob Thu Jan  1 00:00:00 1970\n\ntext\n",
}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("second", SEPARATORS.values(), ids=SEPARATORS.keys())
def test_separator(second: bytes, newline: bytes) -> None:
    data = (mail(b"text\n") + second + b"hello\n").replace(b"\n", newline)
    for cuts in [(), range(len(data))]:
        found = parse(data, cuts)
        assert len(found.messages) == 2
        at = len((mail(b"text\n") + second[: second.index(b"From ")]).replace(b"\n", newline))
        assert found.messages[1].head.offset == at


DATES = """Thu Jan  1 00:00:00 1970|Thu Jan 1 00:00:00 1970|Thu Jan 01 00:00:00 1970|Thu Jan  1 0:00:00 1970
Thu Jan  1 00:00 1970|Thu Jan  1 00:00:00 70|Thu Jan  1 00:00:00 +0000 1970|Thu Jan  1 00:00:00 1970 +0000
Thu Jan  1 00:00:00 GMT 1970|Thu Jan  1 00:00:00 1970 GMT|Thu Jan  1 00:00:00 MET DST 1970
Thu Jan  1 00:00:00 1970 MET DST|Thu Jan  1 00:00:00 WETDST 1970|Thu Jan  1 00:00:00 1970 MEST
Thu Jan  1 00:00 CDT 2000|Thu Jan  1 00:00:00 UTC 1970 +0000|Thu Jan  1 00:00:00 GMT+1 1970
Thu Jan  1 00:00:00 UTC-10 1970|Thu Jan  1 00:00:00 Z 1970|Thu June  1 00:00:00 1970
Thu January  1 00:00:00 1970|Thu Sept  1 00:00:00 1970|THU JAN  1 00:00:00 1970|thu jan  1 00:00:00 1970
Thu, Jan  1 00:00:00 1970|Thu, Jan 1, 00:00:00 1970|Thu Jan  1, 00:00:00 1970|Thu, 1 Jan 1970 00:00:00 +0000
Thu, 1 Jan 1970 00:00:00 GMT|Thu, 1 Jan 1970 00:00 +0000|Thu, 1 Jan 1970 00:00:00|1 Jan 1970 00:00:00 +0000
Thu, 01 Jan 70 00:00:00 +0000|01-Jan-1970 00:00:00 +0000|1-Jan-70 00:00:00|Thu 1 Jan 1970 00:00:00 EST
Thu, 1 Jan 1970 00:00:00 -0800 PST|1970-01-01 00:00:00|1970-01-01T00:00:00|1970-01-01T00:00:00Z
1970-01-01T00:00:00+00:00|1970-01-01 00:00:00 +0000|1970-01-01 00:00|Fri Feb 30 25:61:61 1999
Wed Dec 31 23:59:60 1998|Sat Jan  3 01:05:34 1996|Mon Sep 17 00:00:00 2001|Thu Jan  1 00:00:00 -0330 1970
Thu Jan  1 00:00:00 +1400 1970|Thu Jan  1 00:00:00 A 1970|Thu Jan  1 00:00:00 2038|Thu Jan  1 00:00:00 9999
Thu Jan  1 00:00:00 1970 remote from uunet|Thu Jan  1 00:00:00 EDT 1970 remote from a!b"""
ALL_DATES = [date for row in DATES.splitlines() for date in row.split("|")]

NO_DATES = """1234567890|2019|Thu|Thu Jan|Thu Jan  1|Jan  1 1970|Thu Jan  1 1970|00:00:00|Thu Jan  1 00:00:00
Thu Jan  1 00:00:00 1|Thu Foo  1 00:00:00 1970|Foo Jan  1 00:00:00 1970|Thu Jan  x 00:00:00 1970
Thu Jan  1 00-00-00 1970|Thu Jan  1 00:00:00 1970 and so on|Do 1. Januar 1970 00:00:00|Do Jan  1 10:xx 1970
2019年3月19日 09:13:51|Thu, 1 Foo 1970 00:00:00|1970/01/01 00:00:00|the first of January 1970"""
ALL_NO_DATES = [date for row in NO_DATES.splitlines() for date in row.split("|")]


@pytest.mark.parametrize("date", ALL_DATES)
def test_dated(date: str) -> None:
    """Before prose only the date can tell; the line is a separator after an empty line."""
    line = b"From bob@example.org " + date.encode()
    data = mail(b"text\n\n") + line + b"\n\nno header at all\nprose\nprose\n"
    assert [m.head.offset for m in parse(data).messages] == [0, len(mail(b"text\n\n"))]


@pytest.mark.parametrize("date", ALL_NO_DATES)
def test_undated(date: str) -> None:
    line = b"From bob@example.org " + date.encode()
    prose = mail(b"text\n\n") + line + b"\n\nno header at all\nprose\nprose\n"
    assert count(prose) == 1
    assert [rejected.line for rejected in parse(prose).rejected] == [line]
    # A localised or broken date is no reason to lose a message whose header follows.
    header = mail(b"text\n\n") + line + b"\nReceived: x\nSubject: y\n\ntext\n"
    assert count(header) == 2


# -- through the parser: MIME ------------------------------------------------------------------------

PATCH = (
    b"From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: A U Thor <a@x>\n"
    b"Date: Thu, 7 Apr 2005 15:13:13 -0700\nSubject: [PATCH] one\n\n---\n 1 file\n\ndiff --git a/x b/x\n"
)
MULTIPART = (
    b"From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=%s\n"
)


def multipart(*parts: bytes, boundary: bytes = b"b1", parameter: bytes | None = None) -> bytes:
    body = b"".join(b"--" + boundary + b"\n" + part for part in parts) + b"--" + boundary + b"--\n"
    return mail(body, MULTIPART % (boundary if parameter is None else parameter))


def alone(data: bytes, newline: bytes = b"\n") -> Gathered:
    """Parse the one message `data` before and after another, cut in all ways; it must come out whole."""
    data = data.replace(b"\n", newline)
    other = MAIL.replace(b"\n", newline)
    for before, after in [(b"", b""), (other, newline + other), (b"", newline + other)]:
        whole = before + data + after
        for cuts in [(), range(len(whole)), random_cuts(whole, 5)]:
            found = parse(whole, cuts, "mboxrd")
            at = len(before)
            ours = [message for message in found.messages if message.head.offset == at]
            assert len(found.messages) == 1 + bool(before) + bool(after)
            assert ours[0].raw == data[len(DATED) + len(newline) :]
    return parse(data, (), "mboxrd")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Content-Type: text/x-patch; name=a.patch\n",
        b"Content-Type: text/plain\nContent-Disposition: attachment;\n\tfilename=a.patch\n",
        b"content-type: application/octet-stream\nContent-Transfer-Encoding: 8bit\n",
        b"Content-Type: message/rfc822\n",
    ],
)
def test_a_patch_as_an_attachment(header: bytes, newline: bytes) -> None:
    found = alone(multipart(b"Content-Type: text/plain\n\nsee below\n", header + b"\n" + PATCH), newline)
    assert [rejected.line for rejected in found.rejected] == [PATCH.split(b"\n")[0]]


@pytest.mark.parametrize(
    ("boundary", "parameter"),
    [
        (b"b1", b'"b1"'),
        (b"b1", b"b1; charset=utf-8"),
        (b"b1", b"\n\tb1"),
        (b"=_Part_1.2", b'"=_Part_1.2"'),
        (b"----=_NextPart_000", b'"----=_NextPart_000"'),
        (b"two words", b'"two words"'),
        (b"a'()+_,-./:=?z", b'"a\'()+_,-./:=?z"'),
        (b"a--", b'"a--"'),
        (b"-", b'"-"'),
        (b"x" * 70, b"x" * 70),
        (b"x" * 150, b"x" * 150),
        (b"x" * 900, b"x" * 900),
    ],
)
def test_boundaries_as_they_are_declared(boundary: bytes, parameter: bytes) -> None:
    alone(
        multipart(
            b"\ntext\n", b"Content-Type: text/plain\n\n" + PATCH, boundary=boundary, parameter=parameter
        )
    )


@pytest.mark.parametrize(
    "parameter",
    [
        b"boundary*=us-ascii''b%31",
        b"boundary*0=b; boundary*1=1",
        b'boundary*0="b";\n\tboundary*1="1"',
        b"BOUNDARY*0*=us-ascii'en'%62; boundary*1*=%31",
        b"boundary*0*=''b; charset=x; boundary*1=1",
        b"boundary*00=b; boundary*01=1",
        b"boundary*0=b1",
    ],
)
def test_parameters_of_rfc_2231(parameter: bytes) -> None:
    """Only a boundary that is known hides the first line of a part behind which it does not come again."""
    header = MULTIPART.replace(b"boundary=%s", parameter.replace(b"%", b"%%")) % ()
    cut_off = mail(b"--b1\n\n" + MAIL + b"text\n\n", header)
    assert count(cut_off + MAIL) == 2
    assert count(cut_off.replace(b"oundary", b"ounds") + MAIL) == 3


@pytest.mark.parametrize("name", [b"boundary", b"Boundary", b"BOUNDARY", b"boundary "])
def test_the_parameter_as_it_is_spelled(name: bytes) -> None:
    data = multipart(b"Content-Type: text/plain\n\n" + PATCH).replace(b"boundary=", name + b"=")
    alone(data)


def test_white_space_behind_a_boundary() -> None:
    data = multipart(b"Content-Type: text/plain\n\n" + PATCH)
    alone(data.replace(b"--b1\n", b"--b1  \n"))


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_an_attached_mailbox_of_many_messages(newline: bytes) -> None:
    attached = b"Content-Type: message/rfc822; name=Mailbox\nContent-Description: Mailbox\n\n" + MAIL * 5
    found = alone(multipart(b"Content-Type: text/plain\n\nsee below\n", attached), newline)
    assert len(found.rejected) == 5


def test_an_attached_message_that_is_a_multipart() -> None:
    inner = mail(
        b"--inner\nContent-Type: text/plain\n\n" + PATCH + b"\n" + PATCH + b"\n--inner--\n",
        MULTIPART % b"inner",
    )
    alone(multipart(b"Content-Type: message/rfc822\n\n" + inner))


def test_nested_multiparts() -> None:
    inner = (
        b"Content-Type: multipart/alternative; boundary=inner\n\n--inner\nContent-Type: text/plain\n\n"
        + PATCH
        + b"--inner\nContent-Type: text/html\n\n"
        + PATCH
        + b"--inner--\n"
    )
    alone(multipart(inner, b"Content-Type: text/plain\n\n" + PATCH))


def test_nested_deep_and_far() -> None:
    """Each level is declared by the one above it, megabytes before it is used."""
    depth = 5
    body = PATCH
    for level in range(depth, 0, -1):
        name = b"level%d" % level
        filler = b"--" + name + b"\nContent-Type: image/png\n\n" + b"eHh4\n" * 60_000
        body = (
            b"Content-Type: multipart/mixed; boundary="
            + name
            + b"\n\n"
            + filler
            + b"--"
            + name
            + b"\n"
            + (b"Content-Type: text/plain\n\n" if level == depth else b"")
            + body
            + b"--"
            + name
            + b"--\n"
        )
    data = multipart(body)
    found = parse(data + b"\n" + MAIL)
    assert len(found.messages) == 2
    assert len(found.rejected) == 1


def test_a_large_patch_in_a_nested_multipart() -> None:
    """A signed mail with a long letter: the boundary is declared far above and comes again far below."""
    letter = b"Content-Type: text/plain\n\n" + b"the quick brown fox\n" * 4000
    patch = b"Content-Type: text/x-patch\n\n" + PATCH + b"+the quick brown fox\n" * 8000
    inner = (
        b"Content-Type: multipart/mixed; boundary=inner\n\n--inner\n"
        + letter
        + b"\n--inner\n"
        + patch
        + b"--inner--\n"
    )
    data = multipart(inner, b"Content-Type: application/pgp-signature\n\nxxxx\n").replace(
        b"mixed;", b"signed;", 1
    )
    found = parse(data + b"\n" + MAIL)
    assert [rejected.line for rejected in found.rejected] == [PATCH.split(b"\n")[0]]
    assert len(found.messages) == 2


def test_a_nested_part_that_names_nothing() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=inner\n\n--inner\n\n" + PATCH + b"--inner--\n"
    alone(multipart(inner))


def test_an_attached_message_without_a_from_line_of_its_own() -> None:
    """What is inside it is its text, even a whole message: nobody quotes in an attachment."""
    attached = (
        b"Content-Type: message/rfc822\n\nFrom: b@example.org\nSubject: in\n\nlook:\n\n" + MAIL + b"bye\n"
    )
    assert len(alone(multipart(attached)).rejected) == 1


def test_a_digest() -> None:
    """In a digest a part that names no type is a message (RFC 2046, section 5.1.5)."""
    data = multipart(b"\n" + MAIL * 2, b"\n" + MAIL).replace(b"multipart/mixed", b"multipart/digest")
    assert len(alone(data).rejected) == 3


@pytest.mark.parametrize(
    "kind", [b"message/rfc822", b"MESSAGE/RFC822", b"Message/rfc822; name=x", b'"message/rfc822"']
)
def test_kinds_of_attached_message(kind: bytes) -> None:
    attached = b"Content-Type: " + kind + b"\n\n" + MAIL * 2
    assert len(alone(multipart(attached)).rejected) == 2


def test_a_folded_content_type() -> None:
    assert len(alone(multipart(b"Content-Type:\n message/rfc822\n\n" + MAIL * 2)).rejected) == 2


def test_after_the_last_boundary_mail_goes_on() -> None:
    data = multipart(b"Content-Type: message/rfc822\n\n" + MAIL)
    assert count(data + MAIL) == 2
    assert count(data + b"\n" + MAIL) == 2
    assert count(data + b"epilogue\n\n" + MAIL + MAIL) == 3


def test_after_the_next_boundary_mail_goes_on() -> None:
    """An attached message ends at the boundary; the text part behind it hides only its first line."""
    part = b"--b1\nContent-Type: message/rfc822\n\n" + MAIL + b"--b1\nContent-Type: text/plain\n\ntext\n\n"
    data = mail(part, MULTIPART % b"b1")
    assert count(data + MAIL) == 2


def test_an_outer_boundary_ends_what_is_inside() -> None:
    """A nested multipart that is not closed hides nothing behind the boundary of the one around it."""
    inner = (
        b"Content-Type: multipart/mixed; boundary=inner\n\n--inner\nContent-Type: message/rfc822\n\n" + MAIL
    )
    data = multipart(inner)
    assert count(data + b"\n" + MAIL) == 2
    part = b"--b1\n" + inner + b"--b1\nContent-Type: text/plain\n\ntext\n\n"
    assert count(mail(part, MULTIPART % b"b1") + MAIL) == 2


def test_a_part_cut_off_in_its_text_swallows_nothing() -> None:
    data = mail(b"--b1\nContent-Type: text/plain\n\ncut off he\n\n", MULTIPART % b"b1")
    assert count(data + MAIL) == 2


def test_a_boundary_of_the_last_message_counts_no_more() -> None:
    first = multipart(b"Content-Type: text/plain\n\ntext\n")
    second = mail(b"my boundary was\n--b1\nContent-Type: text/plain\n\n")
    assert count(first + b"\n" + second + MAIL) == 3


def test_boundaries_that_nothing_declares() -> None:
    """Dashes above a paragraph, as signatures and cited headers have them, hide nothing."""
    for text in [
        b"-- \nJane\n\n",
        b"--\n\n",
        b"--b1\n\n",
        b"-----Original Message-----\nFrom: bob\nSent: today\n\n",
        b"--text\nNote: x\n\n",
    ]:
        assert count(mail(text) + MAIL) == 2, text


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_an_attached_message_that_nothing_closes(newline: bytes) -> None:
    """It was cut off: all mail behind its first line is mail, from the first message on."""
    for part in [MAIL, b"From: b@example.org\nSubject: in\n\ncut off he\n\n"]:
        data = mail(b"--b1\nContent-Type: message/rfc822\n\n" + part, MULTIPART % b"b1")
        other = DATED + b"\nFrom: b\nSubject: y\n\n" + b"the quick brown fox\n" * 15_000 + b"\n"
        whole = (data + other * 8 + MAIL).replace(b"\n", newline)
        found = parse(whole, range(0, len(whole), 65536))
        assert [m.head.offset for m in found.messages[:2]] == [0, len(data.replace(b"\n", newline))]
        assert len(found.messages) == 10
        assert found.tiled() == len(whole)


@pytest.mark.parametrize("size", [100, 60_000, 1_000_000])
@pytest.mark.parametrize("kind", [b"message/rfc822", b"text/x-patch", b"text/plain"])
def test_inside_a_multipart_whose_boundary_comes_again(kind: bytes, size: int) -> None:
    """Whatever the part is, and wherever in it the line stands: behind the boundary the message goes on."""
    filler = b"the quick brown fox jumps over it\n" * (size // 34)
    part = b"Content-Type: " + kind + b"\n\nSubject: in\n\n" + filler + b"\n" + MAIL + MAIL + filler + b"\n"
    data = multipart(b"\ntext\n", part) + b"\n"
    for cuts in [(), range(0, len(data), 65536), random_cuts(data, 9)]:
        found = parse(data + MAIL, cuts)
        assert [m.head.offset for m in found.messages] == [0, len(data)]
        assert [rejected.reason for rejected in found.rejected] == ["inside-multipart"] * 2


@pytest.mark.parametrize("more", [-2, -1, 0, 1, 2])
def test_the_boundary_around_the_bound(more: int) -> None:
    last = b"--b1--\n"
    between = MAIL + b"x" * (MIB - len(MAIL) - 1 - len(last) + more) + b"\n"
    data = mail(b"--b1\n\ntext\n\n", MULTIPART % b"b1")
    for cuts in [(), range(0, len(data) + MIB, 65536), [len(data) + MIB - 1, len(data) + MIB]]:
        found = parse(data + between + last + b"\n" + MAIL, cuts)
        assert len(found.messages) == 2 + (more > 0)


def test_a_boundary_that_a_later_message_declares_anew() -> None:
    """Some mailers give all their mail the same boundary; a copy of a message has it, too."""
    cut_off = mail(b"--b1\nContent-Type: text/plain\n\ncut off he\n\n", MULTIPART % b"b1")
    whole = multipart(b"Content-Type: text/plain\n\ntext\n")
    assert count(cut_off + whole) == 2
    assert count(cut_off + cut_off + whole + b"\n" + MAIL) == 4
    other = whole.replace(b"=b1", b"*=\"us-ascii''%62%31\"")
    assert count(cut_off + other + b"\n" + MAIL) == 3


def test_a_footer_behind_the_last_boundary() -> None:
    """What a mailing list's server adds ends no multipart anew, and needs no look ahead."""
    footer = b"_____\nexample mailing list\nTo leave: https://lists.example.org\n"
    data = multipart(b"Content-Type: text/plain\n\ntext\n") + footer * 20 + b"\n"
    again = b"--b1\nno boundary of the message that has ended\n"
    assert count(data + MAIL + again) == 2


def test_an_attached_message_that_ends_after_megabytes() -> None:
    attached = (
        b"Content-Type: message/rfc822\n\n" + MAIL + b"the quick brown fox\n" * (4 * MIB // 20) + b"\n" + MAIL
    )
    data = multipart(attached) + b"\n" + MAIL
    for size in [65536, 1 << 20, 1000]:
        found = parse(data, range(0, len(data), size))
        assert len(found.messages) == 2
        assert len(found.rejected) == 2


def around_the_bounds() -> dict[str, bytes]:
    """Mailboxes in which what decides stands near the end of how far the parser looks."""
    vectors = {}
    for more in (-40, -12, -1, 0, 1, 30):
        far = 65536 + more
        vectors[f"next-field-far{more:+}"] = (
            MAIL + b"From bob\nX-Long: " + b"y" * (far - 18) + b"\nSubject: z\n\ntext\n\n" + MAIL
        )
        vectors[f"fold-far{more:+}"] = (
            MAIL + b"From bob\nX-Long: y\n " + b"y" * (far - 22) + b"\nSubject: z\n\ntext\n\n" + MAIL
        )
        vectors[f"dated-last-line-far{more:+}"] = MAIL[:-1] + DATED + b"\n" + b"y" * (far - len(DATED) - 1)
        vectors[f"dated-next-line-far{more:+}"] = MAIL[:-1] + DATED + b"\n" + b"y" * far + b"\nmore\n"
        vectors[f"from-line-far{more:+}"] = (
            MAIL + b"From " + b"y" * (far - 5) + b"\nTo: z\nSubject: z\n\ntext\n"
        )
        vectors[f"boundary-far{more:+}"] = (
            MAIL
            + mail(b"--u1\nContent-Type: text/plain\n\n")
            + DATED
            + b"\nFrom: a\n\n"
            + b"y" * far
            + b"\n--u1\nContent-Type: text/plain\n\ntext\n\n"
            + MAIL
        )
        vectors[f"part-header-far{more:+}"] = mail(
            b"--b1\nContent-Type: text/plain;\n name="
            + b"y" * (4096 + more - 40)
            + b"\n\n"
            + PATCH
            + b"--b1--\n",
            MULTIPART % b"b1",
        )
        vectors[f"candidate-in-head{more:+}"] = (
            DATED
            + b"\nSubject: x\n"
            + b"X: 0123456\n" * (MIB // 11 + more - 5)
            + b"From bob\nTo: y\nX: z\n\ntext\n"
            + MAIL
        )
        vectors[f"stray-in-head{more:+}"] = (
            DATED
            + b"\nReceived: x\n"
            + b"X: 0123456\n" * (MIB // 11 + more - 5)
            + DATED
            + b"\nX: z\n\ntext\n"
            + MAIL
        )
    return vectors


BOUNDS = around_the_bounds()


@pytest.mark.parametrize("name", BOUNDS)
def test_cutting_changes_nothing_at_the_bounds(name: str) -> None:
    data = BOUNDS[name]
    whole = parse(data, (), "mboxrd")
    assert whole.tiled() == len(data)
    sizes = [1 << 16, 1 << 12, 9973, (1 << 16) + 1]
    for cuts in [random_cuts(data, 40), *(range(0, len(data), size) for size in sizes)]:
        assert parse(data, cuts, "mboxrd") == whole
    near = [at for middle in (4096, 65536, MIB) for at in range(middle - 60, middle + 120, 7)]
    assert parse(data, [at for at in near if at < len(data)], "mboxrd") == whole


@pytest.mark.parametrize("name", ["next-field-far-40", "fold-far-40"])
def test_a_field_within_the_look_ahead_decides(name: str) -> None:
    assert len(parse(BOUNDS[name]).messages) == 3


# -- through the parser: in a header block -----------------------------------------------------------


def test_a_stray_from_line_among_trace_fields() -> None:
    """The message's own From_ line again, below what relays put on top: no message ends there."""
    data = (
        DATED
        + b"\nReturn-Path: <a@example.org>\nReceived: x\n\tby y\n"
        + b"From b@example.org Thu Jan  1 00:00:01 1970\nReceived: z\nFrom: b\nSubject: y\n\ntext\n"
    )
    found = parse(data)
    assert len(found.messages) == 1
    assert [rejected.line for rejected in found.rejected] == [b"From b@example.org Thu Jan  1 00:00:01 1970"]


def test_a_from_line_as_first_header_line() -> None:
    data = DATED + b"\nFrom b@example.org Thu Jan  1 00:00:01 1970\nFrom: b@example.org\nSubject: y\n\ntext\n"
    assert count(data) == 1
    assert count(data + b"\n" + data) == 2


@pytest.mark.parametrize(
    "field", [b"From: a", b"To: a", b"Date: a", b"Subject: a", b"Message-ID: <a>", b"message-id : <a>"]
)
def test_a_header_only_message_without_an_empty_line(field: bytes) -> None:
    data = DATED + b"\nReceived: x\n" + field + b"\n" + MAIL
    found = parse(data)
    assert len(found.messages) == 2
    assert found.messages[0].block == b"Received: x\n" + field + b"\n"


def test_header_only_messages_without_any_empty_line() -> None:
    data = b"From \nSubject: test\nFrom \nSubject: test2\n"
    assert [m.raw for m in parse(data).messages] == [b"Subject: test\n", b"Subject: test2\n"]
    crlf = parse(data.replace(b"\n", b"\r\n"))
    assert [m.raw for m in crlf.messages] == [b"Subject: test\r\n", b"Subject: test2\r\n"]


def test_no_header_and_no_empty_line() -> None:
    data = DATED + b"\nmessage1\n" + DATED + b"\nmessage2"
    for cuts in [(), range(len(data))]:
        assert [m.raw for m in parse(data, cuts).messages] == [b"message1\n", b"message2"]


def test_reasons_are_stable_codes() -> None:
    bodies = [body for name, body in NOT_SEPARATORS.items() if name != "french"]
    bodies.append(multipart(b"Content-Type: message/rfc822\n\n" + MAIL * 2))
    found = [rejected.reason for body in bodies for rejected in parse(mail(body + b"\n")).rejected]
    assert found
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason) for reason in found)
