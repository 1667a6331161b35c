"""`messages()` and `Message`, through every door into a mailbox."""

from __future__ import annotations

import functools
import gc
import gzip
import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unmbox
from corpus import rows
from drive import DOORS, Door, Seen, every_door
from strategies import Mail, Mailbox, Text, mailboxes, octets_of_a_mailbox, write
from unmbox import BodyGoneError, Message, SourceError, UnmboxError, UsageError

# The rewriting of headers has tests of its own: here every octet must come out as it went in.
messages = functools.partial(unmbox.messages, headers="preserve")

DATED = b"From a@example.org Thu Jan  1 00:00:00 1970"
UTC = timezone.utc

LETTERS = [
    Mail(
        b"From 1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019",
        (
            b"X-GM-THRID: 1628424719502045299",
            b"X-Gmail-Labels: Inbox,Opened",
            b"From: a@example.org",
            b"Subject: one",
        ),
        (Text(b"From the start"), Text(b">From here"), Text(b">>From there"), Text(b""), Text(b"")),
    ),
    Mail(b"From b@example.org Wed Mar 20 00:00:00 2019", (b"Subject: header only",), ()),
    Mail(
        DATED,
        (b"Content-Type: multipart/mixed;", b"\tboundary=b", b"Subject: attached"),
        tuple(
            Text(line, bare=True)
            for line in (
                b"--b",
                b"Content-Type: message/rfc822",
                b"",
                DATED,
                b"Subject: in",
                b"",
                b"in",
                b"--b--",
            )
        ),
    ),
    Mail(DATED, (b"Subject: 8-bit \xe4", b"X-NUL: \x00"), (Text(b"\xff\xfe\x00"), Text(b"x" * 5000))),
]
NEWLINES = {"LF": [b"\n"], "CRLF": [b"\r\n"], "CR": [b"\r"], "mixed": [b"\n", b"\r\n", b"\r\n"]}
VECTORS = {
    f"{variant}-{name}": (*write(LETTERS, variant, ends), variant)
    for variant in ("mboxrd", "mboxo", "mboxcl", "mboxcl2")
    for name, ends in NEWLINES.items()
}


def one(data: bytes) -> Message:
    """The first message of a mailbox."""
    return next(messages(io.BytesIO(data)))


def header(*lines: bytes, newline: bytes = b"\n") -> Message:
    """A message with this header block."""
    return one(newline.join([DATED, *lines, b"", b"text", b""]))


# -- doors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS)
@every_door
def test_every_vector_through_every_door(door: Door, vector: str, tmp_path: Path) -> None:
    data, truths, variant = VECTORS[vector]
    assert door(data, tmp_path, variant) == [Seen(truth.offset, truth.length, truth.raw) for truth in truths]


@settings(max_examples=25)
@given(mailboxes())
def test_known_mailboxes_through_every_door(mailbox: Mailbox) -> None:
    expected = [Seen(truth.offset, truth.length, truth.raw) for truth in mailbox.messages]
    with tempfile.TemporaryDirectory() as folder:
        for door in DOORS.values():
            assert door(mailbox.data, Path(folder), mailbox.variant) == expected


@settings(max_examples=50)
@given(octets_of_a_mailbox)
def test_any_octets_through_every_door(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen = [door(data, Path(folder), "auto") for door in DOORS.values()]
    assert all(other == seen[0] for other in seen)


@every_door
def test_real_mail_through_every_door(corpus: Path, door: Door, tmp_path: Path) -> None:
    """Each door gives what the first one gives, which has tests of its own."""
    small = [
        row
        for row in rows()
        if row.is_mbox
        and 0 < row.bytes < 50_000
        and row.line_ending in {"LF", "CRLF"}
        # What is compressed is unpacked by doors that know sources, and not by the parser.
        and row.file.suffix != ".gz"
    ]
    assert len(small) > 60
    for row in small:
        data = row.file.read_bytes()
        assert door(data, tmp_path, "auto") == DOORS["whole"](data, tmp_path, "auto")


@every_door
@pytest.mark.parametrize("data", [b"", b"\n", b"no mailbox\n", b"From: a\nSubject: b\n\nx\n"])
def test_no_message_at_all(door: Door, data: bytes, tmp_path: Path) -> None:
    assert door(data, tmp_path, "auto") == []


# -- sources and options that cannot be ----------------------------------------------------------------


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.mbox") as raised:
        messages(tmp_path / "missing.mbox")
    assert isinstance(raised.value, OSError)
    assert isinstance(raised.value, UnmboxError)


def test_a_folder_without_mail(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no mail"):
        list(messages(tmp_path))


@pytest.mark.parametrize("wrong", [{"variant": "mbx"}, {"newline": "cr"}, {"headers": "mangle"}])
def test_bad_options_fail_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="choose one of"):
        messages(io.BytesIO(), **wrong)


@pytest.mark.parametrize("source", [None, 3, b"From a\n", bytearray(b"x"), memoryview(b"x")])
def test_what_is_no_source(source: object) -> None:
    with pytest.raises(UsageError):
        messages(source)  # type: ignore[call-overload, arg-type, unused-ignore]


@pytest.mark.parametrize("source", [io.StringIO("From a\n"), ["From a\n"], [1, 2]])
def test_sources_of_no_octets(source: object) -> None:
    with pytest.raises(UsageError):
        list(messages(source))  # type: ignore[call-overload, arg-type, unused-ignore]


class TornError(Exception):
    """What a caller's own source raises."""


def test_an_error_of_the_callers_own_passes_through() -> None:
    def pieces() -> Iterator[bytes]:
        yield DATED + b"\nSubject: x\n\ntext\n\n" + DATED + b"\nSubject: y\n\n"
        yield b"text\n" * 1000 + b"\n" + DATED + b"\nSubject: z\n\n"
        raise TornError

    # What was whole before the tear is given.
    stream = messages(pieces(), variant="mboxrd")
    assert [next(stream).subject, next(stream).subject] == ["x", "y"]
    with pytest.raises(TornError):
        list(stream)


def test_pieces_may_be_any_kind_of_octets() -> None:
    data = DATED + b"\nSubject: x\n\ntext\n"
    pieces: list[Any] = [bytearray(data[:20]), memoryview(data)[20:40], b"", data[40:]]
    assert [message.raw for message in messages(pieces)] == [data[len(DATED) + 1 :]]


def test_a_reused_buffer_is_safe() -> None:
    """A source may hand out one buffer again and again, as `readinto` loops do."""
    data = DATED + b"\nSubject: x\n\n" + b"text\n" * 100

    def pieces() -> Iterator[Any]:
        buffer = bytearray(7)
        for at in range(0, len(data), 7):
            piece = data[at : at + 7]
            buffer[:] = piece
            yield buffer

    assert [message.raw for message in messages(pieces())] == [data[len(DATED) + 1 :]]


# -- what a message says ---------------------------------------------------------------------------------


def test_offset_length_and_source(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    data, truths, _ = VECTORS["mboxrd-CRLF"]
    path.write_bytes(b"\r\n" + data)
    for message, truth in zip(messages(path), truths, strict=True):
        assert message.source == str(path)
        assert message.offset == truth.offset + 2
        assert message.length is None
        assert message.raw == truth.raw
        assert message.length == truth.length


def test_length_is_known_once_the_next_one_came() -> None:
    data, truths, _ = VECTORS["mboxrd-LF"]
    found = list(messages(io.BytesIO(data)))
    assert [message.length for message in found] == [truth.length for truth in truths]


@pytest.mark.parametrize(
    ("line", "sender", "date"),
    [
        (b"a@b Thu Jan  1 00:00:00 1970", "a@b", datetime(1970, 1, 1, tzinfo=UTC)),
        (
            b"1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019",
            "1628424719502045299@xxx",
            datetime(2019, 3, 19, 9, 13, 51, tzinfo=UTC),
        ),
        (
            b"a@b Tue Mar 19 09:13:51 +0900 2019",
            "a@b",
            datetime(2019, 3, 19, 9, 13, 51, tzinfo=timezone(timedelta(hours=9))),
        ),
        (
            b"a@b Tue Mar 19 09:13:51 2019 -0330",
            "a@b",
            datetime(2019, 3, 19, 9, 13, 51, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        ),
        (b" Tue Mar 19 09:13:51 2019", "", datetime(2019, 3, 19, 9, 13, 51, tzinfo=UTC)),
        (b"a at b.c  Tue Mar 19 09:13:51 2019", "a at b.c", datetime(2019, 3, 19, 9, 13, 51, tzinfo=UTC)),
        (b'"a b"@c Tue Mar 19 09:13 2019', '"a b"@c', datetime(2019, 3, 19, 9, 13, tzinfo=UTC)),
        (b"- Tue Mar 19 09:13:51 2019", "-", datetime(2019, 3, 19, 9, 13, 51, tzinfo=UTC)),
        (b"a@b Tue Feb 30 09:13:51 2019", None, None),
        (b"a@b", "a@b", None),
        (b"", "", None),
    ],
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_envelope(line: bytes, sender: str | None, date: datetime | None, newline: bytes) -> None:
    envelope = one(newline.join([b"From " + line, b"From: x", b"Subject: y", b"", b""])).envelope
    assert envelope.date == date
    if date is not None:
        assert envelope.date is not None
        assert envelope.date.utcoffset() == date.utcoffset()
    if sender is not None:
        assert envelope == (sender, date)


def test_envelopes_of_real_mail(corpus: Path) -> None:
    """No From_ line in the corpus raises, and every dated one tells a time with a zone."""
    for row in rows():
        if row.is_mbox and row.line_ending in {"LF", "CRLF"}:
            for message in messages(row.file):
                sender, date = message.envelope
                assert isinstance(sender, str)
                assert date is None or date.utcoffset() is not None


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_header_properties(newline: bytes) -> None:
    message = header(
        b"Received: x;",
        b"\tThu, 1 Jan 1970 00:00:00 +0000",
        b'X-Gmail-Labels: =?UTF-8?B?5Y+X5L+h44OI44Os44Kk?=,"a, b"',
        b"Message-ID: <one@example.org>",
        b"Date: Tue, 19 Mar 2019 18:13:51 +0900",
        b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=",
        b" and more",
        b"From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>",
        newline=newline,
    )
    assert message.message_id == "<one@example.org>"
    assert message.date == datetime(2019, 3, 19, 9, 13, 51, tzinfo=UTC)
    assert message.date.utcoffset() == timedelta(hours=9)
    assert message.subject == "Grüße and more"
    assert message["subject"] == message["SUBJECT"] == message.subject
    assert message["From"] == "Jürgen <j@example.org>"
    assert message.labels == ["受信トレイ", "a, b"]
    assert message["X-Absent"] is None
    assert "X-Absent" not in message
    assert "received" in message


def test_without_fields() -> None:
    message = header()
    assert message.message_id is None
    assert message.subject == ""
    assert message.labels == []
    assert message.date == datetime(1970, 1, 1, tzinfo=UTC)  # the From_ line's
    assert message["Subject"] is None


def test_the_header_ends_where_the_body_begins() -> None:
    message = one(DATED + b"\nFrom: a\nX-Other: b\n\nSubject: in the body\n")
    assert message.subject == ""
    assert "Subject" not in message


def test_a_field_is_found_by_its_whole_name() -> None:
    message = header(
        b"X-Subject: no", b"Subject-X: no", b"References: <a>", b" Subject: a fold", b"Subject : yes"
    )
    assert message.subject == "yes"


def test_the_first_of_equal_fields_is_shown() -> None:
    assert header(b"subject: one", b"Subject: two").subject == "one"
    assert header(b"Subject: one", b"SUBJECT: two").subject == "one"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("filename*=utf-8'ja'%E8%A6%8B%E7%A9%8D.pdf; size=3", 'filename="見積.pdf"; size=3'),
        ("filename*0*=shift_jis''%8C%A9%90;\n filename*1*=%CF;\n filename*2=.pdf", 'filename="見積.pdf"'),
        ("filename*=iso-2022-jp''%1B%24B8%2B%40Q%1B%28B.pdf", 'filename="見積.pdf"'),
        ("filename*=utf-8''%22%5C%0D%0Aa", 'filename="\\"\\\\ a"'),
        ("filename*=utf-8''\"%E8%A6%8B.pdf\"; a=b", 'filename="見.pdf"; a=b'),
        ("filename*=utf-8''%E8%A6", 'filename="\udce8\udca6"'),
        ('filename="a*b.pdf"', 'filename="a*b.pdf"'),
    ],
)
def test_parameters_as_people_read_them(parameters: str, said: str) -> None:
    raw = f"Content-Disposition: attachment; {parameters}\n\n".encode("latin-1")
    [message] = messages(io.BytesIO(DATED + b"\n" + raw))
    assert message["Content-Disposition"] == f"attachment; {said}"


def test_dates_that_are_none() -> None:
    assert header(b"Date: yesterday").date == datetime(1970, 1, 1, tzinfo=UTC)
    assert one(b"From \nDate: yesterday\nSubject: x\n\n").date is None


names = st.one_of(
    st.sampled_from(
        ["Subject", "From", "To", "Date", "Message-ID", "X-Gmail-Labels", "", ":", "a:b", "a b", "é", "\n"]
    ),
    st.text(max_size=8),
)


@given(octets_of_a_mailbox, names)
def test_no_octets_make_a_message_raise(data: bytes, name: str) -> None:
    for message in messages(io.BytesIO(data)):
        assert isinstance(message[name], str | None)
        assert isinstance(name in message, bool)
        assert isinstance(message.subject, str)
        assert isinstance(message.message_id, str | None)
        assert isinstance(message.date, datetime | None)
        assert isinstance(message.envelope.sender, str)
        assert all(isinstance(label, str) for label in message.labels)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"Subject", b"From", b"To", b"Date", b"Message-ID", b"X-Gmail-Labels"]),
            st.binary(max_size=60),
        )
    )
)
def test_no_field_makes_a_message_raise(fields: list[tuple[bytes, bytes]]) -> None:
    lines = [name + b": " + value.replace(b"\n", b"\n ") for name, value in fields]
    for message in messages(io.BytesIO(b"\n".join([DATED, b"From: a", *lines, b"", b"x"]))):
        for name in ("Subject", "From", "To", "Date", "Message-ID", "X-Gmail-Labels"):
            assert isinstance(message[name], str | None)
        assert isinstance(
            message.subject + str(message.date) + str(message.message_id) + "".join(message.labels), str
        )


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?B?not base64!!?=",
        b"=?unknown-8bit?Q?=FF?=",
        b"=?x-no-such?B?AAAA?=",
        b"=?utf-8?B?//79?=",
        b"=?ISO-2022-JP?B?GyRCLVtCigobKEI=?=",
        b"=?utf-8?Q?" + b"=C3=BC" * 2000 + b"?=",
        b"\xff\xfe\x00\x80",
        b"=?" * 5000,
        b"(" * 5000,
        b'"' * 5001,
        b"<" * 5000,
        b",;:@" * 2000,
        b"a\r\x00b",
    ],
)
def test_item_access_never_raises(value: bytes) -> None:
    message = header(b"Subject: " + value, b"From: " + value, b"Date: " + value, b"X-Gmail-Labels: " + value)
    for name in ("Subject", "From", "Date", "X-Gmail-Labels"):
        assert isinstance(message[name], str)
    assert isinstance(message.labels, list)
    assert isinstance(message.date, datetime)


# -- the body ----------------------------------------------------------------------------------------


def test_raw_bytes_and_pieces() -> None:
    for vector in ("mboxrd-LF", "mboxrd-CRLF", "mboxrd-CR"):
        data, truths, _ = VECTORS[vector]
        for message, truth in zip(messages(io.BytesIO(data)), truths, strict=True):
            eml = message.as_bytes()
            lines = truth.raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            assert eml == lines.replace(b"\n", b"\r\n")
            assert message.raw == truth.raw
            assert b"".join(message.iter_bytes()) == eml
            assert b"".join(message.iter_bytes()) == eml


def test_pieces_alone() -> None:
    data, truths, _ = VECTORS["mboxrd-CRLF"]
    found = [b"".join(message.iter_bytes()) for message in messages(io.BytesIO(data))]
    assert found == [truth.raw for truth in truths]


def test_lf_on_request() -> None:
    data, truths, _ = VECTORS["mboxrd-CRLF"]
    found = [message.as_bytes() for message in messages(io.BytesIO(data), newline="lf")]
    assert found == [truth.raw.replace(b"\r\n", b"\n") for truth in truths]


def test_as_email() -> None:
    data, _, _ = VECTORS["mboxrd-LF"]
    found = [message.as_email() for message in messages(io.BytesIO(data))]
    assert all(isinstance(email, EmailMessage) for email in found)
    assert [email["Subject"] for email in found][:3] == ["one", "header only", "attached"]
    assert found[2].is_multipart()


def test_a_header_longer_than_a_head_event() -> None:
    block = b"Subject: x\n" + b"X-Field: 0123456789\n" * 120_000 + b"\n"
    data = DATED + b"\n" + block + b"text\n"
    (message,) = [message for message in messages(io.BytesIO(data)) if message.raw]
    assert message.subject == "x"
    assert message.raw == block + b"text\n"
    assert message.as_bytes() == (block + b"text\n").replace(b"\n", b"\r\n")


def is_gone(message: Message) -> None:
    """No way to the body is left, and each says what to do."""
    for use in (
        lambda: message.raw,
        message.as_bytes,
        message.as_email,
        lambda: b"".join(message.iter_bytes()),
    ):
        with pytest.raises(BodyGoneError, match=r"raw|as_bytes") as raised:
            use()
        assert isinstance(raised.value, RuntimeError)
        assert isinstance(raised.value, UnmboxError)


def test_the_body_of_a_passed_message_is_gone() -> None:
    data, truths, _ = VECTORS["mboxrd-LF"]
    passed = list(messages(io.BytesIO(data)))
    assert len(passed) == len(truths)
    for message in passed:
        is_gone(message)


def test_the_header_of_a_passed_message_lives_on() -> None:
    data, _, _ = VECTORS["mboxrd-LF"]
    passed = list(messages(io.BytesIO(data)))
    assert [message.subject for message in passed][:3] == ["one", "header only", "attached"]
    assert passed[0].labels == ["Inbox", "Opened"]
    assert passed[0].envelope.sender == "1628424719502045299@xxx"
    assert passed[0]["X-GM-THRID"] == "1628424719502045299"
    assert passed[0].offset == 0


@pytest.mark.parametrize("read", ["raw", "as_bytes", "as_email"])
def test_what_was_read_is_kept(read: str) -> None:
    data, truths, _ = VECTORS["mboxrd-CRLF"]
    passed = []
    for message in messages(io.BytesIO(data)):
        value = getattr(message, read)
        if callable(value):
            value()
        passed.append(message)
    assert [message.raw for message in passed] == [truth.raw for truth in truths]
    assert [message.as_bytes() for message in passed] == [truth.raw for truth in truths]
    assert [b"".join(message.iter_bytes()) for message in passed] == [truth.raw for truth in truths]


def test_unread_bodies_are_skipped() -> None:
    data, truths, _ = VECTORS["mboxrd-LF"]
    found = []
    for number, message in enumerate(messages(io.BytesIO(data))):
        if number % 2:
            found.append(message.raw)
    assert found == [truth.raw for truth in truths][1::2]


def big(sizes: list[int]) -> Iterator[bytes]:
    """A mailbox with bodies of these sizes in pieces of 100,000 octets, made as it is read."""
    piece = b"0123456789abcde\n" * 6250
    for number, size in enumerate(sizes):
        yield DATED + b"\nFrom: a\nSubject: %d\n\n" % number
        for _ in range(size // len(piece)):
            yield piece
        yield b"\n"


def test_a_half_read_body_is_skipped() -> None:
    found = []
    for message in messages(big([3_000_000, 5_000_000, 200_000])):
        pieces = message.iter_bytes()
        next(pieces)
        next(pieces)
        found.append(message.subject)
    assert found == ["0", "1", "2"]


def test_a_half_read_body_is_gone_once_the_next_message_came() -> None:
    stream = messages(big([3_000_000, 200_000]))
    first = next(stream)
    pieces = first.iter_bytes()
    next(pieces)
    second = next(stream)
    with pytest.raises(BodyGoneError):
        b"".join(pieces)
    # The second message has lost nothing by it.
    assert len(second.raw) == len(b"From: a\nSubject: 1\n\n") + 200_000


def test_a_body_of_any_size_streams() -> None:
    """The source is read as the pieces are asked for, and no piece is large."""
    size = 64_000_000
    fed = 0

    def counted() -> Iterator[bytes]:
        nonlocal fed
        for piece in big([size, 100_000]):
            fed += len(piece)
            yield piece

    stream = messages(counted())
    message = next(stream)
    seen = 0
    for piece in message.iter_bytes():
        seen += len(piece)
        assert len(piece) < 3_000_000
        assert fed - seen < 3_000_000
    assert seen > size
    assert next(stream).subject == "1"


def test_reading_lazily() -> None:
    """The first message is there before the source's end is."""

    def endless() -> Iterator[bytes]:
        while True:
            yield DATED + b"\nFrom: a\nSubject: x\n\n" + b"text\n" * 100 + b"\n"

    stream = messages(endless())
    assert [next(stream).subject for _ in range(5)] == ["x"] * 5


def test_a_message_outlives_the_iterator_that_gave_it() -> None:
    """``next(messages(path)).raw`` drops the iterator at once; nothing was passed, so the body is there."""
    data, truths, _ = VECTORS["mboxrd-CRLF"]
    assert next(messages(io.BytesIO(data))).raw == truths[0].raw
    message = next(messages(io.BytesIO(data)))
    assert message.as_bytes() == truths[0].raw
    assert b"".join(next(messages(io.BytesIO(data))).iter_bytes()) == truths[0].raw


def test_two_streams_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    data, truths, _ = VECTORS["mboxrd-LF"]
    path.write_bytes(data)
    pairs = [(one.raw, other.raw) for one, other in zip(messages(path), messages(path), strict=True)]
    assert pairs == [(truth.raw, truth.raw) for truth in truths]


def test_messages_are_made_by_messages() -> None:
    assert isinstance(one(DATED + b"\n\n"), unmbox.Message)


def test_raw_octets_are_read_with_the_locale_and_signed_fields_repaired_when_asked() -> None:
    signed = b"DKIM-Signature: v=1; a=rsa-sha256; b=aa; bh=bb; d=d; s=s; h=from:subject\nFrom: a@b\n"
    subject = "会議".encode("euc_jp")
    source = b"From a@b Tue Mar 19 09:13:51 2019\n" + signed + b"Subject: " + subject + b"\n\n"

    def converted(**options: Any) -> str | None:
        eml = next(unmbox.messages(io.BytesIO(source), **options)).as_bytes()
        assert (subject in eml) == (not options)
        [again] = unmbox.messages(io.BytesIO(b"From a@b Tue Mar 19 09:13:51 2019\r\n" + eml))
        return again["Subject"]

    assert converted(repair_signed=True) == "柴的"
    assert converted(repair_signed=True, locale="ja") == "会議"
    assert converted()


def letters_in_chinese(body_octets: int = 0) -> bytes:
    """A MiB that tells nothing, then three raw subjects: with a body, with one that tells late, with none."""
    first = DATED + b"\nSubject: long\n\n" + b"a line\n" * 160_000 + b"\n"
    subject = b"From: a@b\nSubject: " + "吴昊天".encode("gb18030") + b"\n\n"
    text = "您好，附件是本月的报告，请您查收。".encode("gb18030") + b"\n\n"
    bodies = text + b"x" * body_octets, b"a line\n" * 20_000 + text, b""
    return first + b"".join(DATED + b"\n" + subject + body + b"\n" for body in bodies)


CHINESE_SUBJECTS = ["long", "吴昊天", "Овк»Мм", "Овк»Мм"]


@pytest.mark.parametrize("size", [7, 1000, 65_536, 1 << 20])
def test_the_body_tells_what_a_raw_subject_says(size: int) -> None:
    source = letters_in_chinese(200_000 if size > 7 else 0)
    told = source.index(b"From: a@b")
    cuts = [0, *range(told, len(source), size), len(source)]
    found = list(unmbox.messages(source[start:end] for start, end in pairwise(cuts)))
    assert [each.subject for each in found] == CHINESE_SUBJECTS
    lengths = [each.length for each in found]
    assert sum(length or 0 for length in lengths) == len(source)


def test_what_the_body_told_costs_no_octet_and_stays_with_the_message(tmp_path: Path) -> None:
    source = letters_in_chinese(300_000)
    for number in range(2):  # a source of its own ends where the next begins
        (tmp_path / f"{number}.mbox").write_bytes(source)
    plain = [each.raw for each in unmbox.messages(io.BytesIO(source), headers="preserve")]
    kept = []
    for number, each in enumerate(unmbox.messages(tmp_path)):
        assert each.raw == plain[number % 4]
        # The EML says what the message says.
        [again] = unmbox.messages(io.BytesIO(DATED + b"\r\n" + each.as_bytes()))
        assert again.subject == each.subject
        kept.append(each)
    assert [each.subject for each in kept] == CHINESE_SUBJECTS * 2


def test_a_message_that_was_passed_while_the_next_one_waited_is_gone() -> None:
    source = letters_in_chinese()
    cut = source.index(b"From: a@b") + 100
    reading = unmbox.messages(iter([source[:cut], source[cut:]]))
    first, second, third = next(reading), next(reading), next(reading)
    for passed in (first, second):
        with pytest.raises(BodyGoneError, match="passed without being read"):
            _ = passed.raw
    assert third.raw.startswith(b"From: a@b")


# -- sources that fail, and programs that leave off early ------------------------------------------------


LONG_BOX = b"".join(
    b"From a@b Tue Mar 19 09:13:5%d 2019\nSubject: s%d\n\n%b\n\n" % (n, n, b"y" * 99_999) for n in range(9)
)


class Net:
    """A file that fails once, as a network does."""

    def __init__(self, at: int) -> None:
        self._reads, self._at = 0, at
        self._octets = io.BytesIO(LONG_BOX)

    def read(self, size: int) -> bytes:
        self._reads += 1
        if self._reads == self._at:
            raise TimeoutError
        return self._octets.read(size)


@pytest.mark.parametrize("at", [1, 2, 3, 5, 9])
def test_what_has_failed_is_not_read_on(at: int) -> None:
    passing = messages(Net(at))
    lengths = []
    with pytest.raises(TimeoutError):
        lengths += [len(message.raw) for message in passing]
    for _ in range(2):
        with pytest.raises(SourceError, match="cut off before"):
            next(passing)
    assert set(lengths) <= {100_014}, "none was cut"


def test_a_body_that_has_failed_is_not_read_on() -> None:
    passing = messages(Net(2), variant="mboxrd")
    message = next(passing)
    with pytest.raises(TimeoutError):
        _ = message.raw
    with pytest.raises(SourceError, match="cut off before"):
        next(passing)


@pytest.mark.parametrize("given", [None, 5, "text"])
def test_a_file_that_gives_no_octets(given: object) -> None:
    class File:
        def read(self, size: int) -> Any:
            return given

    with pytest.raises(UsageError, match="the source"):
        list(messages(File()))


@pytest.mark.parametrize("ending", ["", "; import gc; gc.collect()", "; raise SystemExit"])
def test_a_program_ends_that_left_off_in_an_archive(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "box.mbox.gz"
    path.write_bytes(gzip.compress(LONG_BOX * 20, 1))
    script = f"import unmbox; m = next(unmbox.messages({str(path)!r})){ending}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing here lists open files")
@pytest.mark.parametrize("name", ["box.mbox", "box.mbox.gz"])
def test_a_header_that_is_kept_keeps_no_file_open(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(LONG_BOX) if name.endswith(".gz") else LONG_BOX)
    before = len(list(Path("/proc/self/fd").iterdir()))
    passed, kept = [], []
    for _ in range(5):
        reading = unmbox.messages(path)
        passed.append(next(reading))
        next(reading)
        kept.append(next(unmbox.messages(path)))
        assert kept[-1].as_bytes()
        del reading
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert {message.as_bytes() for message in kept} == {kept[0].as_bytes()}
    with pytest.raises(BodyGoneError):
        passed[0].as_bytes()


@pytest.mark.parametrize("name", ["box.mbox", "box.mbox.gz"])
def test_what_nobody_needs_is_closed_at_once(name: str, tmp_path: Path) -> None:
    """Without the garbage collector, that is: in a loop over many mailboxes it would come too late."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(LONG_BOX * 20, 1) if name.endswith(".gz") else LONG_BOX)
    threads = threading.active_count()
    gc.disable()
    try:
        for message in messages(path):
            assert message.raw
            break
        del message
        assert threading.active_count() == threads
        open_files = {os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()}
        assert str(path) not in open_files
    finally:
        gc.enable()


def test_names_of_another_kind_are_bad_use() -> None:
    message = next(messages(io.BytesIO(DATED + b"\nSubject: x\n\n")))
    for name in (b"To", 0, None):
        with pytest.raises(UsageError, match="name of a field is text"):
            message[name]  # type: ignore[index]
        with pytest.raises(UsageError, match="name of a field is text"):
            message.get_all(name)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="name of a field is text"):
        list(message)  # type: ignore[call-overload]
    for ask in (message.raw_field, message.text):
        with pytest.raises(UsageError, match="name of a field is octets"):
            ask("subject")  # type: ignore[arg-type]
