"""Dates of fields and From_ lines: what comes out, and that nothing raises."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmbox._dates import parse_date, parse_envelope

UTC = timezone.utc


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 19 Mar 2019 09:13:51 +0000", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 +0000 (UTC)", utc(2019, 3, 19, 9, 13, 51)),
        (" Tue,  5 Mar 2019 09:13:51 -0730\r\n", utc(2019, 3, 5, 16, 43, 51)),
        ("Tue,19 Mar 2019 09:13:51 +0900", utc(2019, 3, 19, 0, 13, 51)),
        ("19 Mar 2019 09:13:51 +0900", utc(2019, 3, 19, 0, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 -0000", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13", utc(2019, 3, 19, 9, 13)),
        ("Tue, 19 Mar 2019 09:13:60 GMT", utc(2019, 3, 19, 9, 13, 59)),
        ("Tue, 19 Mar 2019\r\n\t09:13:51 +0100", utc(2019, 3, 19, 8, 13, 51)),
        ("Tue, 19 (it (really) is) Mar 2019 09:13:51 (EDT) -0400", utc(2019, 3, 19, 13, 13, 51)),
        ("19 Mar 2019 09:13:51 +0100 (unclosed (comment", utc(2019, 3, 19, 8, 13, 51)),
        ("Tue, 19 Mar 19 09:13:51 EST", utc(2019, 3, 19, 14, 13, 51)),
        ("Sun, 06 Nov 94 08:49:37 GMT", utc(1994, 11, 6, 8, 49, 37)),
        ("Sun, 06 Nov 49 08:49:37 GMT", utc(2049, 11, 6, 8, 49, 37)),
        ("Sun, 06 Nov 50 08:49:37 GMT", utc(1950, 11, 6, 8, 49, 37)),
        ("Sat, 1 Jan 100 00:00:00 GMT", utc(2000, 1, 1)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", utc(1994, 11, 6, 8, 49, 37)),
        ("Sun Nov  6 08:49:37 1994", utc(1994, 11, 6, 8, 49, 37)),
        ("Wed Sep 27 19:15:01 EDT 2000", utc(2000, 9, 27, 23, 15, 1)),
        ("Wednesday, August 15, 2007 9:21 AM", utc(2007, 8, 15, 9, 21)),
        ("Wed, Aug 15, 2007 at 12:21 AM", utc(2007, 8, 15, 0, 21)),
        ("Mar 5, 2001 4:30 PM", utc(2001, 3, 5, 16, 30)),
        ("2011-04-27 12:34:56", utc(2011, 4, 27, 12, 34, 56)),
        ("2011-04-27T12:34:56.789Z", utc(2011, 4, 27, 12, 34, 56)),
        ("2011-04-27T12:34:56+09:00", utc(2011, 4, 27, 3, 34, 56)),
        ("Tue, 19 Mar 2019 09:13:51 GMT+0900", utc(2019, 3, 19, 0, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 GMT+9", utc(2019, 3, 19, 0, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 -700", utc(2019, 3, 19, 16, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 JST", utc(2019, 3, 19, 0, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 Z", utc(2019, 3, 19, 9, 13, 51)),
        # RFC 5322 §4.3: military zones are worth nothing; names that nobody knows are no better.
        ("Tue, 19 Mar 2019 09:13:51 K", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 XYZ", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 +9999", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 +2400", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 +00000", utc(2019, 3, 19, 9, 13, 51)),
        ("Di, 19 Mar 2019 09:13:51 +0100", utc(2019, 3, 19, 8, 13, 51)),
        ("RANDOM_DOW, 19 mar 2019 09:13:51 +0100", utc(2019, 3, 19, 8, 13, 51)),
        ("Tue, 19 Mar 2019 9:13:5 - 0500", utc(2019, 3, 19, 14, 13, 5)),
        ("Tue Mar 19 09:13:51 PM 2019", utc(2019, 3, 19, 21, 13, 51)),
        ("2019-03-19 09:13:51 pm", utc(2019, 3, 19, 21, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 Pacific Daylight Time", utc(2019, 3, 19, 16, 13, 51)),
        ("Tue, 19 Mar 2019 09:13:51 Pacific Islands Time", utc(2019, 3, 19, 9, 13, 51)),
        ("Tue, 19 Mar 2019 9:3:1 +0900", utc(2019, 3, 19, 0, 3, 1)),
        ("Tue, 19 Mar 2019 09.13.51 +0900", utc(2019, 3, 19, 0, 13, 51)),
        ("19 Mar 2019 9.13 PM", utc(2019, 3, 19, 21, 13)),
        ("=?ISO-2022-JP?B?GyRCMlAbKEI=?=, 19 Mar 2019 09:13:51 +0900", utc(2019, 3, 19, 0, 13, 51)),
        # A parenthesis behind a backslash ends no comment.
        (r"Tue, 19 Mar 2019 (a \) b) 09:13:51 +0100", utc(2019, 3, 19, 8, 13, 51)),
    ],
)
def test_dates_that_mail_holds(text: str, expected: datetime) -> None:
    assert parse_date(text) == expected
    assert parse_date(text.encode()) == expected


def test_the_zone_is_kept() -> None:
    found = parse_date("Tue, 19 Mar 2019 09:13:51 -0330")
    assert found is not None
    assert found.utcoffset() == -timedelta(hours=3, minutes=30)
    assert found.hour == 9


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "bogus",
        "(invalid)",
        "Whenever",
        "Sun, 31 Feb 2019 09:13:51 +0000",
        "Sun, 00 Mar 2019 09:13:51 +0000",
        "Sun, 19 Mar 0000 09:13:51 +0000",
        "Sun, 19 Mar 1899 09:13:51 +0000",
        "Sun, 19 Mar 9999 09:13:51 +0000",
        "Sun, 19 Mar 99999 09:13:51 +0000",
        "Sun, 19 Foo 2019 09:13:51 +0000",
        "Sun, 19 Mar 2019 24:13:51 +0000",
        "Sun, 19 Mar 2019 09:60:51 +0000",
        "Sun, 19 Mar 2019 09:13:61 +0000",
        "Sun, 19 Mar 2019",
        "2019-13-01 00:00:00",
        "9" * 5000,
        "Tue, ٣ Mar 2019 09:13:51 +0000",
        "x" * 2000 + "Tue, 19 Mar 2019 09:13:51 +0000",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001  the zone is drawn below
    st.integers(-23 * 60, 23 * 60),
)
def test_what_python_writes_is_read_back(naive: datetime, minutes: int) -> None:
    when = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    found = parse_date(format_datetime(when))
    assert found == when
    assert found.utcoffset() == when.utcoffset()


@given(st.one_of(st.text(), st.binary()))
def test_nothing_raises(text: str | bytes) -> None:
    line = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    for found in (parse_date(text), parse_envelope(line)[1]):
        assert found is None or found.astimezone(UTC).tzinfo is UTC


@given(
    st.lists(
        st.sampled_from(
            (
                *("Tue", ",", " ", "19", "Mar", "March", "2019", "09:13:51", "9:13", "+0100", "+9999"),
                *("EST", "DST", "(", ")", "-", "T", "Z", "AM", "0", "99999999999", "31", "Feb"),
                *("remote from x", "\x00", "\t"),
            )
        ),
        max_size=14,
    ).map(" ".join)
)
def test_nothing_raises_on_pieces_of_dates(text: str) -> None:
    for found in (parse_date(text), parse_envelope(b"From " + text.encode())[1]):
        assert found is None or found.utcoffset() is not None


@pytest.mark.parametrize(
    ("line", "sender", "expected"),
    [
        (
            "From 1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019",
            "1628424719502045299@xxx",
            utc(2019, 3, 19, 9, 13, 51),
        ),
        ("From a@b Tue Mar 19 09:13:51 2019\r\n", "a@b", utc(2019, 3, 19, 9, 13, 51)),
        ("From a@b  Tue Mar  9 09:13:51 2019", "a@b", utc(2019, 3, 9, 9, 13, 51)),
        ("From a@b Tue Mar 19 09:13:51 2019 -0500", "a@b", utc(2019, 3, 19, 14, 13, 51)),
        ("From a@b Tue Mar 19 09:13:51 -0500 2019", "a@b", utc(2019, 3, 19, 14, 13, 51)),
        ("From a@b Tue Mar 19 09:13 MET 2019", "a@b", utc(2019, 3, 19, 8, 13)),
        ("From a@b Tue Mar 19 09:13 CDT 2019", "a@b", utc(2019, 3, 19, 14, 13)),
        ("From a@b Tue Mar 19 09:13:51 2019 MEST", "a@b", utc(2019, 3, 19, 7, 13, 51)),
        ("From a@b Tue June 19 09:13:51 2019", "a@b", utc(2019, 6, 19, 9, 13, 51)),
        ("From user at host Tue Mar 19 09:13:51 2019", "user at host", utc(2019, 3, 19, 9, 13, 51)),
        ('From "a b"@c Tue Mar 19 09:13:51 2019', '"a b"@c', utc(2019, 3, 19, 9, 13, 51)),
        ("From - Tue Mar 19 09:13:51 2019", "-", utc(2019, 3, 19, 9, 13, 51)),
        ("From Tue Mar 19 09:13:51 2019", "", utc(2019, 3, 19, 9, 13, 51)),
        ("From  Tue Mar 19 09:13:51 2019", "", utc(2019, 3, 19, 9, 13, 51)),
        ("From Tue Tue Mar 19 09:13:51 2019", "Tue", utc(2019, 3, 19, 9, 13, 51)),
        ("From user Tue Mar 19 09:13 2019 remote from host", "user", utc(2019, 3, 19, 9, 13)),
        ("From a@b Tue, 19 Mar 2019 09:13:51 +0100", "a@b", utc(2019, 3, 19, 8, 13, 51)),
        ("From a@b 19-Mar-2019 09:13:51", "a@b", utc(2019, 3, 19, 9, 13, 51)),
        ("From a@b 2019-03-19T09:13:51+01:00", "a@b", utc(2019, 3, 19, 8, 13, 51)),
        ("From a@b 2019-03-19 09:13", "a@b", utc(2019, 3, 19, 9, 13)),
        ("From a@b Fri Apr 17 01:05:26 20", "a@b", utc(2020, 4, 17, 1, 5, 26)),
        ("From jürgen@b Tue Mar 19 09:13:51 2019", "jürgen@b", utc(2019, 3, 19, 9, 13, 51)),
        # The zone in parentheses, or twice; the half of the day; the year before the time.
        ("From a@b Tue Mar 19 09:13:51 2019 +0900 (JST)", "a@b", utc(2019, 3, 19, 0, 13, 51)),
        ("From a@b Tue Mar 19 09:13:51 2019 (JST)", "a@b", utc(2019, 3, 19, 0, 13, 51)),
        ("From a@b Tue Mar 19 09:13:51 +0900 (JST) 2019", "a@b", utc(2019, 3, 19, 0, 13, 51)),
        ("From a@b Tue, 19 Mar 2019 09:13:51 +0900 (JST)", "a@b", utc(2019, 3, 19, 0, 13, 51)),
        ("From a@b 2019-03-19 09:13:51 (JST)", "a@b", utc(2019, 3, 19, 0, 13, 51)),
        ("From a@b Tue Mar 19 01:00:00 PM 2019", "a@b", utc(2019, 3, 19, 13)),
        ("From a@b Tue Mar 19 12:00:00 AM EST 2019", "a@b", utc(2019, 3, 19, 5)),
        ("From a@b Sat Apr 12 2025 15:59:28", "a@b", utc(2025, 4, 12, 15, 59, 28)),
        ("From a@b Sat Apr 12 2025 15:59:28 GMT+0900 (JST)", "a@b", utc(2025, 4, 12, 6, 59, 28)),
        (
            "From a@b Sat Apr 12 2025 15:59:28 GMT+0900 (Japan Standard Time)",
            "a@b",
            utc(2025, 4, 12, 6, 59, 28),
        ),
        ("From a@b Sat Apr 12 15:59:28 GMT+01:00 2025", "a@b", utc(2025, 4, 12, 14, 59, 28)),
        ("From ", "", None),
        ("From -", "-", None),
        ("From 1844674407370955161@xxx", "1844674407370955161@xxx", None),
        ("From a@b Tue Feb 31 09:13:51 2019", "a@b", None),
        ("From a@b Tue Mar 19 09:13:51 0000", "a@b", None),
        ("From mikel mikel March 24 01:02:03 1900", "mikel mikel March 24 01:02:03 1900", None),
        ("From here on, 2019 was dull", "here on, 2019 was dull", None),
    ],
)
def test_envelopes(line: str, sender: str, expected: datetime | None) -> None:
    assert parse_envelope(line.encode()) == (sender, expected)
    assert parse_envelope(line[5:].encode()) == (sender, expected)


def test_octets_of_a_sender_are_not_lost() -> None:
    sender, when = parse_envelope(b"From j\xfcrgen@b Tue Mar 19 09:13:51 2019")
    assert sender.encode("utf-8", "surrogateescape") == b"j\xfcrgen@b"
    assert when == utc(2019, 3, 19, 9, 13, 51)


@given(st.binary())
def test_envelopes_never_raise(line: bytes) -> None:
    sender, when = parse_envelope(b"From " + line)
    assert isinstance(sender, str)
    assert when is None or when.utcoffset() is not None


def test_peers_read_the_same(corpus: Path) -> None:
    rows = json.loads((corpus / "separator_lines.json").read_text("utf-8"))
    dated = [row for row in rows if row.get("valid") and row.get("epoch") is not None]
    assert len(dated) > 15
    for row in dated:
        sender, when = parse_envelope(row["line"].encode())
        assert when is not None, row
        assert when.timestamp() == row["epoch"], row
        assert sender == (row["sender"] or ""), row


def test_dates_of_real_mail_are_as_python_reads_them(corpus: Path) -> None:
    agreed = 0
    for path in sorted(corpus.glob("eml/**/*.eml")):
        for line in path.read_bytes()[:20_000].splitlines():
            if line[:5].lower() == b"date:":
                text = line[5:].decode("latin-1").strip()
                try:
                    expected = parsedate_to_datetime(text)
                except (TypeError, ValueError, IndexError):
                    continue
                found = parse_date(text)
                # Where no zone is given Python's result is naive; where it reads more into a broken date
                # (a year 0094, a two-word time) both may differ, so only well-formed ones count.
                if expected.tzinfo is not None and 1970 < expected.year < 2038 and ":" in text:
                    assert found == expected, text
                    agreed += 1
    assert agreed > 100
