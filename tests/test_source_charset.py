"""What other mail of a source says of raw octets that name no charset."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

import unmbox
from drive import events_of
from killing import Order, in_another_process
from mails import left
from unmbox._charset import decode_8bit
from unmbox._source_charset import settle_charset
from unmbox._window import SETTLE
from unmbox.events import Head

FROM_LINE = b"From a@b Tue Mar 19 09:13:51 2019\n"
SUBJECT = "会議"
LONG = "いつもお世話になっております。先日の件、ご確認をお願いいたします。"


def message(number: int, *, subject: bytes = b"", body: bytes = b"text", more: bytes = b"") -> bytes:
    fields = b"From: a@b\nDate: Tue, 19 Mar 2019 09:13:51 +0000\nMessage-ID: <%d@b>\n" % number
    return (
        FROM_LINE
        + fields
        + more
        + (b"Subject: " + subject + b"\n" if subject else b"")
        + b"\n"
        + body
        + b"\n\n"
    )


ASKED = message(1, subject=SUBJECT.encode("euc_jp"))
TELLING = {
    "raw bodies": message(2, body=LONG.encode("euc_jp")),
    "declared": message(2, more=b'Content-Type: text/plain; charset="EUC-JP"\n'),
    "encoded-words": message(2, subject=b"=?EUC-JP?B?xvzL3A==?="),
    "another charset of the language": message(2, more=b"Content-Type: text/plain; charset=iso-2022-jp\n"),
}
REST = b"".join(message(number, body=b"text\n" * 50_000) for number in range(3, 10))


def test_alone_it_cannot_be_known() -> None:
    [found] = unmbox.messages(io.BytesIO(ASKED))
    assert found.subject == "柴的"


@pytest.mark.parametrize("telling", TELLING.values(), ids=TELLING)
@pytest.mark.parametrize("before", [True, False])
def test_other_mail_of_the_source_tells(telling: bytes, *, before: bool) -> None:
    source = telling + ASKED if before else ASKED + telling
    found = {each.message_id: each for each in map(kept, unmbox.messages(io.BytesIO(source)))}["<1@b>"]
    assert found.subject == SUBJECT
    [again] = unmbox.messages(io.BytesIO(FROM_LINE + found.as_bytes()))
    assert again.subject == SUBJECT


def kept(message: unmbox.Message) -> unmbox.Message:
    message.as_bytes()
    return message


def test_only_the_first_mebioctet_counts() -> None:
    assert len(REST) > SETTLE
    for source, expected in [
        (ASKED + REST + TELLING["raw bodies"], "柴的"),
        (TELLING["raw bodies"] + REST + ASKED, SUBJECT),
    ]:
        subjects = {each.message_id: each.subject for each in unmbox.messages(io.BytesIO(source))}
        assert subjects["<1@b>"] == expected


@pytest.mark.parametrize("variant", ["auto", "mboxrd"])
def test_it_is_the_same_however_the_source_is_cut(variant: str) -> None:
    source = ASKED + REST[: SETTLE // 2] + TELLING["raw bodies"] + REST
    whole = events_of([source], variant)
    heads = [event for event in whole if isinstance(event, Head)]
    assert heads[0].charset == "euc_jp"
    assert not any(head.charset for head in heads[1:])
    for size in (1000, 1 << 16, SETTLE - 1, SETTLE + 1):
        pieces = [source[at : at + size] for at in range(0, len(source), size)]
        assert [event for event in events_of(pieces, variant) if isinstance(event, Head)] == heads


@pytest.mark.parametrize("options", [{}, {"variant": "mboxrd"}, {"headers": "preserve"}])
def test_rows_and_names_say_what_the_messages_say_and_a_killed_run_goes_on_with_it(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(
        message(0)
        + TELLING["raw bodies"]
        + REST
        + b"".join(message(100 + number, subject=SUBJECT.encode("euc_jp")) for number in range(6))
    )
    unmbox.convert(source, tmp_path / "whole", **options)
    whole = left(tmp_path / "whole")
    assert sum(SUBJECT in path for path in whole.files) == 6
    assert [row[0] for row in whole.rows["source"]]
    for last in (3, 40, 90, 140):
        order = Order([source], tmp_path / f"eml{last}", batch=2, options=options, last=last)
        in_another_process(order)
        Order([source], order.destination, options=options).do()
        assert left(order.destination).files == whole.files


def test_what_most_mail_is_in() -> None:
    assert settle_charset(b"") == settle_charset(message(1)) == ""
    assert settle_charset(message(1, body=LONG.encode())) == ""
    assert settle_charset(ASKED) == ""
    assert settle_charset(b'=?koi8-r?B??= charset=windows-1251\nCharset="KOI8-R"\n') == "koi8_r"
    # Programs declare Western charsets for mail in ASCII, too.
    assert settle_charset(b"charset=iso-8859-1\n" * 3 + b"charset=iso-2022-jp\n") == "iso2022_jp"
    assert settle_charset(b"charset=iso-8859-1\n" * 5 + b"charset=iso-2022-jp\n") == "cp1252"


def test_what_the_message_says_itself_counts_more() -> None:
    raw = SUBJECT.encode("euc_jp")
    assert decode_8bit(raw, prior="euc_jp") == (SUBJECT, "euc_jp")
    assert decode_8bit(raw, ["gb18030"], prior="euc_jp") == ("柴的", "gb18030")
    assert decode_8bit("会議".encode(), prior="euc_jp") == ("会議", "utf_8")
    body = "明天的会议改到下午三点，请大家准时参加，谢谢。".encode("gb18030")
    assert decode_8bit(raw, body=body, prior="euc_jp") == ("柴的", "gb18030")
    assert decode_8bit("Привет".encode("cp866"), prior="cp866")[0] == "Привет"
    # A hint by the user counts less.
    assert decode_8bit(raw, prior="gb18030", locale="ja") == ("柴的", "gb18030")
