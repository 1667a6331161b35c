"""Header blocks: each repair by itself, and what must hold for any block at all."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
import tracemalloc
from datetime import datetime
from email.parser import BytesParser
from email.policy import default
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import unmbox
from benchmarks.hostile_heads import SHAPES
from eml_check import FROM_LINE, convert, convert_again, convert_mailbox, faults
from unmbox import EmlWriter, Repair
from unmbox import _missing as made
from unmbox._block import Block
from unmbox._decode import decode_text
from unmbox._encode import encode_addresses, encoded_words
from unmbox._fields import MAX_FIELDS, Field, join_fields, names_nobody, split_block, split_fields
from unmbox._headers import usual
from unmbox._judge import MAX_HEAD
from unmbox._message_id import normalise_message_id
from unmbox._repairs import RULES, repair
from unmbox._sound import sound_fields
from unmbox.events import Body, End, Head, HeadRest

PROJECT = Path(__file__).resolve().parents[1]

FROM = b"From: a@example.org"
DATE = b"Date: Tue, 19 Mar 2019 10:13:51 +0100"
ID = b"Message-ID: <1@example.org>"


USUAL_LINES = [
    b"To: a", b"to:b", b"Cc: \n c", b"Bcc: d ", b"Subject: e\n f", b"SUBJECT:g", b"Return-Path: <>",
    b"return-path: <h>", b"X-GM-THRID: 1", b"X-Gmail-Labels: =?utf-8?Q?i?=,\n j", b"X-Gmail-Labels:",
    b"Sender: k", b"Precedence: bulk", b"Auto-Submitted: no", b"X-Autoreply: yes",
    b"Status: RO", b"X-Autoresponse: l",
]  # fmt: skip


def repaired(*lines: bytes, **options: str) -> list[bytes]:
    """The fields that come of these lines, LF folds; those that every block needs are not shown."""
    eml = convert(b"\n".join([FROM, DATE, ID, *lines, b"", b""]), **options)  # type: ignore[arg-type]
    assert not faults(eml.octets)
    return [field for field in eml.fields if field not in (FROM, DATE, ID)]


def codes(*lines: bytes) -> list[str]:
    return convert(b"\n".join([FROM, DATE, ID, *lines, b"", b""])).codes


# -- each repair -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "lines", "after"),
    [
        ("nul", [b"Sub\0ject: a\0"], [b"Subject: a"]),
        ("nul", [b"\0To: a"], [b"To: a"]),
        ("nul", [b"X: a", b"\0 To: b"], [b"X: a", b"To: b"]),
        ("nul", [b"\0\0", b"X: a"], [b"X: a"]),
        ("nul", [b"X: a", b" \0", b" b"], [b"X: a\n \n b"]),
        ("bare-cr", [b"X: a\rb\r\r"], [b"X: a b"]),
        ("bare-cr", [b"\rTo: a"], [b"To: a"]),
        ("bare-cr", [b"X: a\r\r", b"To: b\r"], [b"X: a", b"To: b"]),
        ("stray-from-line", [b">From a@b 2019"], [b"X-Unmbox-Line: >From a@b 2019"]),
        ("stray-from-line", [b"From a: b", b" c"], [b"X-Unmbox-Line: From a: b\n c"]),
        ("illegal-name", [b": a"], [b"X-Unmbox-Line: : a"]),
        ("illegal-name", [b"a\x01: b"], [b"X-Unmbox-Line: a\x01: b"]),
        ("illegal-name", ["é: b".encode()], [b"X-Unmbox-Line: =?UTF-8?B?w6k6?= b"]),
        ("no-field", [b"just text", b"\tand more"], [b"X-Unmbox-Line: just text\n\tand more"]),
        ("no-field", [b"Content Type: text/plain"], [b"X-Unmbox-Line: Content Type: text/plain"]),
        ("space-before-colon", [b"Subject \t: a"], [b"Subject: a"]),
        ("bookkeeping", [b"Status: RO", b"X-Mozilla-Keys: a", b"X-IMAPbase: 1", b"CONTENT-LENGTH: 5"], []),
        ("duplicate-field", [b"To: a", b"TO: b"], [b"To: a", b"X-Unmbox-Duplicate-TO: b"]),
        ("duplicate-field", [b"from: b@example.org"], [b"X-Unmbox-Duplicate-from: b@example.org"]),
        ("8bit-text", ["Subject: Ä b".encode()], [b"Subject: =?UTF-8?B?w4Q=?= b"]),
        ("8bit-text", [b'Subject: \x1b$B$"\x1b(B b'], [b"Subject: =?UTF-8?B?44GC?= b"]),
        (
            "8bit-text",
            ["Keywords: Ä,b,=?utf-8?Q?c,d?= é".encode()],
            [b"Keywords: =?UTF-8?B?w4Q=?=, b, =?utf-8?Q?c,d?= =?UTF-8?B?IMOp?="],
        ),
        ("8bit-name", [b'Cc: \x1b$B$"\x1b(B <a@b>'], [b"Cc: =?UTF-8?B?44GC?= <a@b>"]),
        # Cut off before the escape that ends it; and one that stays, for a carrier's emoji.
        ("8bit-name", [b'Cc: "\x1b$B$"$"" <a@b>'], [b"Cc: =?UTF-8?B?44GC44GC?= <a@b>"]),
        ("8bit-name", [b'Cc: \x1b$B$"uA\x1b(B <a@b>'], [b"Cc: =?UTF-8?B?44GCGyRCdUEbKEI=?= <a@b>"]),
        ("8bit-name", [b'Cc: a@b (\x1b$B$"uA\x1b(B)'], [b"Cc: a@b (=?UTF-8?B?44GCGyRCdUEbKEI=?=)"]),
        ("8bit-name", ["To: Ä <a@b>".encode()], [b"To: =?UTF-8?B?w4Q=?= <a@b>"]),
        ("8bit-name", ["List-ID: Ä <a.b>".encode()], [b"List-ID: =?UTF-8?B?w4Q=?= <a.b>"]),
        (
            "8bit-address",
            ["Cc: ä@b".encode()],
            [b"Cc: %C3%A4@b", b"X-Unmbox-Original-Cc: =?UTF-8?B?w6RAYg==?="],
        ),
        ("8bit-parameter", ["Content-Type: a/b; c=ä".encode()], [b"Content-Type: a/b; c*=UTF-8''%C3%A4"]),
        # A fold at a tab is a blank to people.
        (
            "8bit-parameter",
            [b"Content-Type: a/b;", '\tname="é'.encode(), b'\te"'],
            [b"Content-Type: a/b; name*=UTF-8''%C3%A9%20e"],
        ),
        ("8bit-text", ["Subject: é".encode(), "\té".encode()], [b"Subject: =?UTF-8?B?w6kgw6k=?="]),
        ("8bit-structured", [b"References: <\xe9@b>"], [b"References: <%E9@b>"]),
        ("long-line", [b"X: " + b"a " * 500], None),
        ("long-line", [b"X: a" + b" " * 999], [b"X: a"]),
        ("long-line", [b"To: " + b"a@b," * 250], None),
        ("long-line", [b"References: " + b"<a@b>" * 250], None),
        ("long-line", [b"Content-Type: a/b" + b";c=d" * 300], None),
        ("long-line", [b"Received: " + b"x" * 1000], None),
        ("long-line", [b"Keywords: " + b"word," * 200 + b"last"], None),
        ("long-line", [b"To: " + b"x" * 1000 + b"@b"], None),
        ("long-line", [b"Content-Disposition: attachment; filename=" + b"x" * 1000], None),
    ],
)  # fmt: skip
def test_a_repair(code: str, lines: list[bytes], after: list[bytes] | None) -> None:
    found = repaired(*lines)
    assert after is None or found == after
    assert code in codes(*lines)
    assert codes(*found) == []


def test_what_follows_a_parameter_is_kept_below() -> None:
    value, original = repaired('Content-Disposition: inline; filename="日本.pdf" (my file)'.encode())
    assert value == b"Content-Disposition: inline; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"
    name, _, text = original.replace(b"\n", b"").partition(b": ")
    assert name == b"X-Unmbox-Original-Content-Disposition"
    assert decode_text(text) == 'inline; filename="日本.pdf" (my file)'


def test_a_field_that_stays_has_no_original_below() -> None:
    field = b'Content-Type: text/plain; name="%b" (a)' % (b"x" * 1100)
    signature = b"DKIM-Signature: v=1; a=rsa-sha256; b=aaaa; bh=bbbb; d=x.y; s=s; h=from:content-type"
    eml = convert(b"\n".join([signature, FROM, DATE, ID, field, b"", b""]))
    assert eml.left_out == ["long-line"]
    assert eml.fields == [signature, FROM, DATE, ID, field]


def test_a_raw_boundary_stays_as_the_body_has_it() -> None:
    field = b'Content-Type: multipart/mixed; boundary="b\xfc"; x="\xfc"'
    eml = convert(b"\n".join([FROM, DATE, ID, field, b"", b""]), b"--b\xfc\n\ntext\n--b\xfc--\n")
    assert eml.fields == [FROM, DATE, ID, field]
    assert eml.repairs == (Repair("8bit-parameter", "Content-Type", applied=False, signature_impact=""),)
    # The comment is no part of it.
    [field, _] = repaired('Content-Type: multipart/mixed; boundary="b" (Grüße)'.encode())
    assert field == b'Content-Type: multipart/mixed; boundary="b"'


@pytest.mark.parametrize(
    ("value", "after"),
    [
        # There are spaces to fold at.
        (b" ".join([b"<a,b;%d@c.d>" % n for n in range(90)]), None),
        (b"a; " + b" ".join([b'x="a;b,c"'] * 120), None),
        # There are none, or not in these places.
        (b",".join([b"<https://x.y/u?a=1,2;b=%d>" % n for n in range(60)]), (b">,<", b">, <")),
        (b";".join([b'header.i="a;b,\\"c<d"'] * 60), (b'";', b'"; ')),
        (b"".join([b"<a,b;%d@c.d>" % n for n in range(90)]), (b"><", b"> <")),
    ],
)
def test_a_long_line_is_folded_where_its_value_stays_the_same(
    value: bytes, after: tuple[bytes, bytes] | None
) -> None:
    for name in (b"References: ", b"List-Unsubscribe: ", b"Authentication-Results: "):
        [field] = repaired(name + value)
        assert field.replace(b"\n", b"") == name + (value.replace(*after) if after else value)


@pytest.mark.parametrize("mark", [b",", b";"])
def test_addresses_without_blanks_between_are_folded_behind_their_marks(mark: bytes) -> None:
    addresses = [b"user%d@example.org" % number for number in range(100)]
    [field] = repaired(b"To: " + mark.join(addresses))
    assert field.removeprefix(b"To: ").replace(b"\n", b"").split(mark + b" ") == addresses


def test_a_long_line_of_addresses_is_folded_before_anything_is_put_in() -> None:
    value = b", ".join([b"a@b,c@d"] * 120)
    assert repaired(b"To: " + value)[0].replace(b"\n", b"") == b"To: " + value


def test_each_rule_has_a_test_and_says_what_it_is() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.apply.__doc__
        assert rule.clause
        assert rule.signatures
    text = Path(__file__).read_text("utf-8")
    assert [rule.code for rule in RULES if f'"{rule.code}"' not in text] == []


@pytest.mark.parametrize("value", [b"", b"<>", b'"" <>', b"(comment)", b"undisclosed:;", b"a b: ; (c),\n <>"])
def test_a_from_that_names_nobody_is_moved(value: bytes) -> None:
    eml = convert(b"\n".join([b"From: " + value, DATE, ID, b"", b""]))
    assert eml.codes == ["empty-from", "missing-from"]
    assert eml.fields[0] == b"From: ann@example.org"
    assert eml.fields[1] == b"X-Unmbox-Original-From: " + value


@pytest.mark.parametrize("value", [b'"a" <>', b"a (c)", b"a: b;", b'"": a', b"(a) b"])
def test_a_from_that_names_anybody_stays(value: bytes) -> None:
    assert convert(b"\n".join([b"From: " + value, DATE, ID, b"", b""])).codes == []


@given(st.text('<>,;:"() a@\\\n', max_size=9).map(str.encode))
def test_the_quick_look_takes_no_nobody_for_somebody(value: bytes) -> None:
    value = re.sub(rb"\n+ *", b"\n ", value).strip()
    block = b"\n".join([b"From: " + value, DATE, ID, b"", b""])
    assert not (sound_fields(block) and names_nobody(value))


def test_a_mark_before_the_first_field_is_taken_off() -> None:
    mark = b"\xef\xbb\xbf"
    eml = convert(b"\n".join([mark + mark + FROM, DATE, ID, b"", b""]))
    assert eml.fields == [FROM, DATE, ID]
    assert eml.repairs == (Repair("illegal-name", "From", applied=True, signature_impact=""),)
    [message] = unmbox.messages(io.BytesIO(b"\n".join([FROM_LINE, mark + FROM, DATE, ID, b"", b"", b""])))
    assert message["From"] == "a@example.org"
    # What is no field without it is none.
    assert convert(b"\n".join([mark + b"text", FROM, DATE, ID, b"", b""])).codes == ["no-field", "8bit-text"]


def test_long_lines_are_folded_without_loss() -> None:
    assert repaired(b"X: " + b"a " * 500) == [b"X:" + b"\n".join([b" a" * 37, *[b" a" * 38] * 12, b" a" * 7])]
    (to,) = repaired(b"To: " + b",".join(b"a%d@example.org" % n for n in range(99)))
    assert to.replace(b"\n", b"") == b"To: " + b", ".join(b"a%d@example.org" % n for n in range(99))
    (references,) = repaired(b"References: " + b"".join(b"<%d@b>" % n for n in range(200)))
    assert references.replace(b"\n", b"") == b"References: " + b" ".join(b"<%d@b>" % n for n in range(200))
    moved = b"X-Unmbox-Original-Received: =?UTF-8?Q?xxxxxxxxx"
    assert repaired(b"Received: " + b"x" * 1000)[0].replace(b"\n", b"").startswith(moved)
    eml = convert(b"\n".join([b"From: " + b"x" * 1000 + b"@b", DATE, ID, b"", b""]))
    assert eml.codes == ["long-line", "missing-from"]
    [words] = repaired(b"Keywords: " + b"word," * 200 + b"last")
    assert words.replace(b"\n", b"") == b"Keywords: " + b"word, " * 200 + b"last"


def test_only_the_long_lines_field_is_folded_anew() -> None:
    others = [b"X-A: a", b"X-B:  b\n\t c ", b"Subject: =?utf-8?q?a?=\n =?utf-8?q?b?="]
    assert repaired(others[0], b"X-Long: " + b"a " * 600, *others[1:])[0::2][0] == others[0]
    assert repaired(*others, b"X-Long: " + b"a " * 600)[:3] == others


def test_a_block_without_end_gets_one_before_the_text() -> None:
    eml = convert(b"\n".join([FROM, DATE, ID, b"Subject: a", b"No empty line before", b" me.\0\r", b"\xe9"]))
    assert eml.codes == ["missing-end"]
    assert eml.octets.endswith(b"Subject: a\r\n\r\nNo empty line before\r\n me.\0\r\n\xe9")
    assert "body-nul" in [found.code for found in eml.repairs]
    eml = convert(b"\n".join([b"Text", FROM, DATE, ID, b""]))
    assert eml.codes == ["missing-end", "no-field"]
    assert eml.octets.endswith(ID + b"\r\n\r\n")


def test_text_that_is_no_mail_becomes_a_body() -> None:
    eml = convert(b"Not a field.\n\tSurely not.\n")
    assert eml.codes == ["missing-end", "missing-message-id", "missing-from", "missing-date"]
    assert eml.octets.endswith(b"\r\n\r\nNot a field.\r\n\tSurely not.\r\n")


@pytest.mark.parametrize("block", [b"", b"\n", b"\r\n", b"\r\r\n"])
def test_an_empty_block_works(block: bytes) -> None:
    eml = convert(block, b"body\n")
    assert eml.codes[-3:] == ["missing-message-id", "missing-from", "missing-date"]
    assert not faults(eml.octets)
    assert eml.octets.endswith(b"\r\n\r\nbody\r\n")


def test_a_block_whose_lines_end_cr_cr_lf_ends_at_its_empty_line() -> None:
    block = b"\r\r\n".join([FROM, DATE, ID, b"Subject: a", b"", b"From the body", b"", b""]) + b"\n\n"
    eml = convert(block, b"and more")
    assert eml.codes == ["bare-cr"]
    assert eml.octets.partition(b"\r\n\r\n")[2] == b"From the body\r\r\n\r\r\n\r\n\r\nand more"
    assert [found.code for found in eml.repairs if not found.applied] == ["body-bare-cr"]


def test_exporter_damage_is_listed_and_stays() -> None:
    eml = convert(b"\n".join([FROM, DATE, ID, b"Subject: a\xef\xbf\xbdb", b"", b""]), b"\xef\xbf\xbd")
    listed = [Repair("exporter-damage", name, applied=False, signature_impact="") for name in ("Subject", "")]
    assert [found for found in eml.repairs if found.code == "exporter-damage"] == listed
    assert b"Subject: =?UTF-8?B?Ye+/vWI=?=" in eml.fields


@given(st.integers(0, 9), st.integers(0, 9))
def test_damage_in_a_body_is_seen_whatever_the_cutting(first: int, second: int) -> None:
    cuts = sorted({first, second})
    head = b"\n".join([FROM, DATE, ID, b"", b""])
    for body, code in (
        (b"abc\xef\xbf\xbdxyz", "exporter-damage"),
        (b"ab\0cdefgh", "body-nul"),
        (b"a\rb\ncde\n", "body-bare-cr"),
    ):
        assert [found.code for found in convert(head, body, cuts=cuts).repairs] == [code]
    assert convert(head, b"abc\xef\xbf\n\xbdx", cuts=cuts).repairs == ()


# -- what is made ------------------------------------------------------------------------------------------


def test_a_made_message_id_follows_from_the_block_and_the_from_line() -> None:
    block = b"\n".join([FROM, DATE, b"Subject: a", b"", b""])
    ids = {
        convert(each, from_line=line).fields[0]
        for each in (block, block.replace(b"\n", b"\r\n"))
        for line in (FROM_LINE,)
    }
    assert len(ids) == 1
    assert re.fullmatch(rb"Message-ID: <[0-9a-f]{32}@unmbox\.invalid>", ids.pop())
    others = [
        convert(block, from_line=FROM_LINE + b" "),
        convert(block.replace(b"Subject: a", b"Subject: b")),
    ]
    assert len({eml.fields[0] for eml in [convert(block), *others]}) == 3


@pytest.mark.parametrize(
    ("value", "after"),
    [
        (b"1@example.org", b"<1@example.org>"),
        (b"<1@example.org", b"<1@example.org>"),
        (b"1@example.org>", b"<1@example.org>"),
        (b"  1  ", b"<1>"),
        (b"<1@example.org> (added)", b" <1@example.org> (added)"),
        (b"1 @ example.org", None),
        (b"", None),
        (b"<>", None),
        (b"< >", None),
        (b"<  >x", None),
        (b"not set", None),
        (b"(null)", None),  # a comment, and many mails have it
        (b"<(null)>", None),
        (b'""', None),
    ],
)
def test_message_ids_get_their_brackets(value: bytes, after: bytes | None) -> None:
    eml = convert(b"\n".join([FROM, DATE, b"Message-Id: " + value, b"", b""]))
    if after is None:
        assert eml.codes == ["bad-message-id", "missing-message-id"]
        assert b"X-Unmbox-Original-Message-Id: " + value in eml.fields
    else:
        assert b"Message-Id: " + after.strip() in eml.fields
        assert eml.codes == ([] if after.startswith(b" ") else ["bad-message-id"])


@pytest.mark.parametrize(
    ("from_line", "fields", "author"),
    [
        (b"From a@example.org Tue Mar 19 09:13:51 2019", [], b"a@example.org"),
        (b"From <a@example.org> Tue Mar 19 09:13:51 2019", [], b"a@example.org"),
        (b"From ann at example.org  Tue Mar 19 09:13:51 2019", [], b"ann@example.org"),
        (b"From 1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019", [], b"unknown@unmbox.invalid"),
        (b"From MAILER-DAEMON Tue Mar 19 09:13:51 2019", [], b"unknown@unmbox.invalid"),
        (b"From - Tue Mar 19 09:13:51 2019", [b"Sender: B <b@example.org>"], b"b@example.org"),
        (b"From -", [b"Sender: b@example.org", b"Return-Path: <c@example.org>"], b"c@example.org"),
        (b"From -", [b"Return-Path: <>"], b"unknown@unmbox.invalid"),
        ("From ä@example.org".encode(), [b"Sender: \xe9@b"], b"unknown@unmbox.invalid"),
    ],
)
def test_a_missing_from(from_line: bytes, fields: list[bytes], author: bytes) -> None:
    eml = convert(b"\n".join([DATE, ID, *fields, b"", b""]), from_line=from_line)
    assert eml.fields[0] == b"From: " + author
    assert "missing-from" in eml.codes


def test_an_empty_from_is_no_from() -> None:
    eml = convert(b"\n".join([b"From: \n ", DATE, ID, b"", b""]))
    assert eml.codes == ["empty-from", "missing-from"]
    assert eml.fields[:2] == [b"From: ann@example.org", b"X-Unmbox-Original-From: \n "]
    eml = convert(b"\n".join([b"From:", FROM, DATE, ID, b"", b""]))
    assert eml.codes == ["empty-from"]
    for value in (b"<>", b" < >", b"<>,", b",;"):
        eml = convert(b"\n".join([b"From:" + value, DATE, ID, b"", b""]))
        assert eml.codes == ["empty-from", "missing-from"]
    for value in (b"Mailer", b"<a@b>", b"=?x?Q?a?=", b'"" <a@b>', b"-", b"."):
        assert not convert(b"\n".join([b"From: " + value, DATE, ID, b"", b""])).repairs


OLD = b"Mon, 01 Jan 2018 00:00:00 +0900"


@pytest.mark.parametrize(
    ("from_line", "received", "date"),
    [
        (b"From a Tue Mar 19 09:13:51 2019", [], b"Tue, 19 Mar 2019 09:13:51 +0000"),
        (b"From a Tue Mar 19 09:13:51 -0330 2019", [b"x; " + OLD], b"Tue, 19 Mar 2019 09:13:51 -0330"),
        (b"From a", [b"x; junk", b"x; " + OLD, b"x; 2 Jan 2018 00:00:00 +0000"], OLD),
        (b"From a", [b"x; 1 Jan 1970 00:00:00 +0000", b"x; " + OLD], OLD),
        (b"From a Thu Jan  1 00:00:00 1970", [b"x; " + OLD + b" (JST)"], OLD),
        (b"From a Thu Jan  1 00:00:01 1970", [], b"Thu, 01 Jan 1970 00:00:01 +0000"),
        (b"From a", [], b"Thu, 01 Jan 1970 00:00:00 -0000"),
    ],
)
def test_a_missing_date(from_line: bytes, received: list[bytes], date: bytes) -> None:
    block = b"\n".join([FROM, ID, *[b"Received: " + value for value in received], b"", b""])
    eml = convert(block, from_line=from_line)
    assert eml.codes == ["missing-date"]
    assert eml.fields[0] == b"Date: " + date


SOUND_DATES = [
    b"Tue, 19 Mar 2019 10:13:51 +0100",
    b"19 Mar 2019 10:13:51 +0100 (CET)",
    b"tue, 1 mar 2019 9:13 EST",
    b"Tue, 19 Mar 99 10:13:51 GMT",
    b"Thu, 31 Dec 1998 23:59:60 +0000",
    b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
    b"Sat, 20 Sep 2008 20:04:30 +0300 (\xf9\xf2)",
    b"Wed, 19 Mar 2019 10:13:51 +0100",
    b"29 Feb 2020 00:00:00 Z",
    b"Tue, 19 Mar 2019 10:13:51 UTC",
    b"Tue, 19 Mar 2019 10:13:51 PDT",
    b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"Tue,\n 19 Mar 2019\n\t10:13:51 +0100",
]
BAD_DATES = {
    b"": None,
    b"today": None,
    b"31 Feb 2019 10:13:51 +0100": None,
    b"Tue, 19 Mar 2019 25:13:51 +0100": None,
    b"Tue, 19 Mar 2019 10:13:51 +0175": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"Tue, 19 Mar 2019 10:13:51": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"2019-03-19 10:13:51": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"2019-03-19T10:13:51+01:00": b"Tue, 19 Mar 2019 10:13:51 +0100",
    b"Tue Mar 19 10:13:51 2019": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"Di, 19 Mar 2019 10:13:51 +0100": b"Tue, 19 Mar 2019 10:13:51 +0100",
    b"19-Mar-2019 10:13:51 +0100": b"Tue, 19 Mar 2019 10:13:51 +0100",
    b"Tue, 19 Mar 2019 10:13:51 \xa0+0100": b"Tue, 19 Mar 2019 10:13:51 +0100",
    # What readers by the RFC take for a time of no known zone.
    b"Tue, 19 Mar 2019 10:13:51 PM": b"Tue, 19 Mar 2019 22:13:51 -0000",
    b"Tue, 19 Mar 2019 10:13:51 JST": b"Tue, 19 Mar 2019 10:13:51 +0900",
    b"Tue, 19 Mar 2019 10:13:51 (JST)": b"Tue, 19 Mar 2019 10:13:51 +0900",
    b"Tue Mar 19 10:13:51 2019 (+0900)": b"Tue, 19 Mar 2019 10:13:51 +0900",
    b"Tue, 19 Mar 2019 10:13:51 (local time)": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"(JST) Tue, 19 Mar 2019 10:13:51": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"Tue, 19 Mar 2019 9:5:3 +0900": b"Tue, 19 Mar 2019 09:05:03 +0900",
    b"2019/3/9 9:5:03": b"Sat, 09 Mar 2019 09:05:03 -0000",
    b"Tue, 19 Mar 2019 10:13:51 CEST": b"Tue, 19 Mar 2019 10:13:51 +0200",
    b"Tue, 19 Mar 2019 10:13:51 XYZ": b"Tue, 19 Mar 2019 10:13:51 -0000",
    # A zone is claimed where there is one, and only there.
    b"Tuesday, March 19, 2019 10:13 PM": b"Tue, 19 Mar 2019 22:13:00 -0000",
    b"Tue, 19 Mar 2019 10:13:51 Asia/Tokyo": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"Tue, 19 Mar 2019 10:13:51 Eastern Standard Time": b"Tue, 19 Mar 2019 10:13:51 -0500",
    b"Tue, 19 Mar 2019 10:13:51 Somewhere Standard Time": b"Tue, 19 Mar 2019 10:13:51 -0000",
    b"Tue, 19 Mar 2019 9:13:5 +0000": b"Tue, 19 Mar 2019 09:13:05 +0000",
    b"Tue, 19 Mar 2019 9:13:5 -0000": b"Tue, 19 Mar 2019 09:13:05 -0000",
    b"Tue, 19 Mar 2019 10:13:51 - 0500": b"Tue, 19 Mar 2019 10:13:51 -0500",
    b"Tue Mar 19 10:13:51 GMT 2019": b"Tue, 19 Mar 2019 10:13:51 +0000",
}


@pytest.mark.parametrize("value", SOUND_DATES)
def test_a_sound_date_stays(value: bytes) -> None:
    assert made.is_sound_date(value)
    eml = convert(b"\n".join([FROM, b"Date: " + value, ID, b"", b""]))
    assert set(eml.codes) <= {"8bit-structured"}


@pytest.mark.parametrize("value", BAD_DATES)
def test_a_bad_date_is_moved_and_what_it_meant_is_put(value: bytes) -> None:
    assert not made.is_sound_date(value)
    eml = convert(b"\n".join([FROM, b"Date: " + value, ID, b"", b""]))
    assert eml.codes[:1] == ["bad-date"]
    assert eml.fields[0] == b"Date: " + (BAD_DATES[value] or b"Tue, 19 Mar 2019 09:13:51 +0000")
    assert any(field.startswith(b"X-Unmbox-Original-Date:") for field in eml.fields)


def test_a_sound_date_beside_a_bad_one_is_the_date() -> None:
    eml = convert(b"\n".join([FROM, b"Date: today", DATE, ID, b"", b""]))
    assert eml.codes == ["bad-date"]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2099, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_written_dates_are_sound(when: datetime, minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    aware = datetime.strptime(f"{when:%Y-%m-%d %H:%M:%S} {zone}".rjust(25, "0"), "%Y-%m-%d %H:%M:%S %z")
    text = made.written_date(aware)
    assert made.is_sound_date(text.encode())
    assert parsedate_to_datetime(text) == aware


def test_chat_records_get_a_date_and_an_id_and_no_more() -> None:
    block = b"X-GM-THRID: 1\r\nX-Gmail-Labels: Chat\r\nFrom: A <a@example.org>\r\nMIME-Version: 1.0\r\n\r\n"
    eml = convert(block, b"hi", from_line=b"From 1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019")
    assert eml.codes == ["missing-message-id", "missing-date"]
    assert eml.fields[1] == b"Date: Tue, 19 Mar 2019 09:13:51 +0000"
    assert eml.octets.endswith(block + b"hi")


# -- raw octets --------------------------------------------------------------------------------------------

RAW_SUBJECT = "Subject: 日本語の件名です".encode("cp932")


def test_the_charset_comes_from_what_the_message_declares_and_says() -> None:
    block = b"\n".join([FROM, DATE, ID, RAW_SUBJECT, b"", b""])
    encoded = b"=?UTF-8?B?5pel5pys6Kqe44Gu5Lu25ZCN44Gn44GZ?="
    for eml in (
        convert(block, "本文です。よろしくお願いします。\n".encode("cp932") * 9),
        convert(block, locale="ja"),
        convert(block.replace(ID, ID + b"\nContent-Type: text/plain; charset=Shift_JIS")),
    ):
        assert b"Subject: " + encoded in eml.fields


def test_octets_that_nobody_knows_can_be_had_back() -> None:
    eml = convert(b"\n".join([FROM, DATE, ID, b"Subject: \x81 \xff\xfe\x80 x", b"", b""]))
    (subject,) = (field for field in eml.fields if field.startswith(b"Subject"))
    assert subject.isascii()
    assert not faults(eml.octets)


@pytest.mark.parametrize("where", ["body", "another field"])
def test_a_name_that_is_utf8_by_chance_is_read_with_the_message_around_it(where: str) -> None:
    sure = "您好，附件是本月的报告，请您查收。".encode("gb18030")
    thanks = b"Subject: " + "谢谢".encode("gb18030")
    lines = [FROM, DATE, ID, thanks, b"Comments: " + sure if where == "another field" else b"X: y", b"", b""]
    body = sure + b"\n" if where == "body" else b"Hello\n"
    [subject] = [field for field in convert(b"\n".join(lines), body).fields if field.startswith(b"Subject")]
    assert subject == b"Subject: =?UTF-8?B?" + base64.b64encode("谢谢".encode()) + b"?="
    # Without them it is what it seems.
    alone = convert(b"\n".join([FROM, DATE, ID, thanks, b"", b""]), b"Hello\n")
    assert b"Subject: =?UTF-8?B?" + base64.b64encode("лл".encode()) + b"?=" in alone.fields


def test_a_block_is_held_back_only_where_the_body_may_tell_something() -> None:
    body = b"a\n" * 40_000
    head = b"\n".join([FROM, DATE, ID, b"Subject: %b", b"", b""])
    for subject, held in (("ä".encode(), False), (b"\xe4", True), ("лл".encode(), True)):
        writer = EmlWriter()
        first = writer.send(Head(0, FROM_LINE, head % subject, b"\n", ""))
        assert (first == b"") == held
        assert writer.block_size == len(first)
        second = writer.send(Body(0, body[:60_000]))
        assert (second == b"") == held
        third = writer.send(Body(60_000, body[60_000:]))
        assert third.endswith(b"a\r\n")
        assert writer.send(End(0, 0)) == b""
        whole = first + second + third
        assert whole.endswith(b"\r\n\r\n" + body.replace(b"\n", b"\r\n"))
        assert writer.block_size == whole.index(b"\r\n\r\n") + 4
        assert writer.repairs == (Repair("8bit-text", "Subject", applied=True, signature_impact=""),)


def test_a_held_block_comes_with_the_end_and_not_into_the_next_message() -> None:
    writer = EmlWriter()
    head = Head(0, FROM_LINE, b"\n".join([FROM, DATE, ID, b"Subject: \xe4", b"", b""]), b"\n", "")
    healthy = Head(9, FROM_LINE, b"\n".join([FROM, DATE, ID, b"", b""]), b"\n", "")
    assert writer.send(head) == b""
    assert writer.send(End(0, 9)).startswith(b"From: a@example.org\r\n")
    assert writer.send(healthy) == healthy.data.replace(b"\n", b"\r\n")
    assert writer.repairs == ()
    assert writer.send(End(9, 9)) == b""


# -- long blocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_block_over_the_bound_is_left_alone(line_end: bytes) -> None:
    block = line_end.join([b"Subject : \xe4", *[b"X-Field: %d" % n for n in range(100_000)], b"", b""])
    assert len(block) > MAX_HEAD
    data = FROM_LINE + line_end + block + b"body" + line_end
    (eml,) = convert_mailbox(data)
    assert eml.octets == block.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"body\r\n"
    assert eml.repairs == (Repair("head-too-long", "", applied=False, signature_impact=""),)


def test_a_long_block_in_pieces() -> None:
    writer = EmlWriter(newline="lf")
    assert writer.send(Head(0, FROM_LINE, b"X : a\0\r\n", b"\n", "")) == b""
    assert writer.send(HeadRest(8, b"Y: b\r\n")) == b"X : a\0\nY: b\n"
    assert writer.block_size == 12
    assert writer.send(HeadRest(14, b"\r\n")) == b"\n"
    assert writer.block_size == 13
    assert writer.send(Body(16, b"a")) == b"a"
    assert writer.send(End(0, 17)) == b""
    assert [found.code for found in writer.repairs] == ["head-too-long"]


def test_more_of_a_block_that_ended_cr_cr_lf_is_body() -> None:
    writer = EmlWriter()
    first = writer.send(Head(0, FROM_LINE, b"\r\r\n".join([FROM, DATE, ID, b"", b"text", b""]), b"\n", ""))
    size = writer.block_size
    assert first[size:] == b"text\r\r\n"
    assert writer.send(HeadRest(0, b"more\n")) == b"more\r\n"
    assert writer.block_size == size
    assert "head-too-long" not in [found.code for found in writer.repairs]


def test_many_fields_are_no_error() -> None:
    eml = convert(b"To: a\n" * MAX_FIELDS + b"\n")
    assert eml.codes.count("duplicate-field") == MAX_FIELDS - 1


BODIES = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\r" * 999, b"\r" * 1000, b"\r" * 1001, b"text\r\n"]),
    max_size=9,
).map(b"".join)


@given(BODIES, st.lists(st.integers(0, 3000)))
@example(b"a\r\r\n", [2])
@example(b"\r" * 1001 + b"\n\r\r\n", [1000])
def test_a_second_conversion_leaves_any_body_alone(body: bytes, cuts: list[int]) -> None:
    block = b"\n".join([FROM, DATE, ID, b"", b""])
    for newline in ("crlf", "lf"):
        eml = convert(block, body, newline=newline)
        again = convert_again(eml.octets, newline=newline)
        assert again.octets == eml.octets
        # However the parser cuts, it never does between the two of a CRLF.
        parts = [cut for cut in sorted(cuts) if body[cut - 1 : cut + 1] != b"\r\n"]
        assert convert(block, body, cuts=parts, newline=newline) == eml
        assert not again.repairs or eml.repairs == again.repairs


def test_crs_before_a_line_end_are_one_with_it_in_lf_only() -> None:
    block = b"\n".join([FROM, DATE, ID, b"", b""])
    body = b"a\r\r\nb\rc\r\n" + b"\r" * 1000 + b"\n" + b"\r" * 1001 + b"\n"
    lf = convert(block, body, newline="lf")
    assert lf.octets == block + b"a\nb\rc\n\n" + b"\r" * 1001 + b"\n"
    assert convert(block, body).octets.endswith(b"\r\n\r\n" + body)
    assert lf.repairs == convert(block, body).repairs


@pytest.mark.parametrize("line", [b"To: a\n", b"\xe9:\n", b"no field\r\n", b"Subject: \xe9\n folded\n"])
def test_of_more_fields_than_any_mail_has_only_line_ends_are_changed(line: bytes) -> None:
    block = line * (MAX_FIELDS + 1) + b"\n"
    eml = convert(block, b"body\n")
    assert eml.octets == block.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"body\r\n"
    assert eml.repairs == (Repair("head-too-long", "", applied=False, signature_impact=""),)
    assert convert_again(eml.octets).octets == eml.octets


def test_healthy_fields_may_be_as_many_as_they_like() -> None:
    block = b"".join([FROM, b"\n", DATE, b"\n", ID, b"\n", b"X-Field: a\n" * (2 * MAX_FIELDS), b"\n"])
    assert convert(block).repairs == ()


# -- what must hold for any block --------------------------------------------------------------------------

NAMES = b"""
From from To Cc CC Subject Date date Message-ID Message-Id Sender Reply-To Status X-UID Received
X-Mozilla-Status Content-Length DKIM-Signature References Content-Type X-Foo ARC-Seal Return-Path
""".split()
TAGS = (
    b"v=1; i=1; a=x; b=aa; bh=bb; cv=none; d=d; s=s; h=from:to:subject:subject:date:message-id:status:x-foo"
)
PIECES = [
    b": ",
    b":",
    b" :",
    b"\n",
    b"\r\n",
    b"\n ",
    b"\r\n\t",
    b" ",
    b"\r",
    b"\r\r\n",
    b"\0",
    b"a@b.c",
    b"<a@b.c>",
    b"<",
    b">",
    b'"',
    b"(",
    b")",
    b",",
    b";",
    b"\\",
    b"=",
    b"@",
    b"=?utf-8?Q?a?=",
    b"=?iso-8859-1?Q?\xe9?=",
    b"=?",
    b"?=",
    b"\xe9",
    b"\xc3\xa9",
    b"\xef\xbf\xbd",
    b"\x95\x5c",
    b'\x1b$B$"\x1b(B',
    b"\x1b$B",
    b"\x7f",
    b"\x0c",
    b"\xa0",
    b"x" * 999,
    b"word " * 250,
    b"name=",
    b"filename*=",
    b"From a@b Mon Mar  5 12:00:00 2001",
    b">From x",
    b"text",
    TAGS,
    *SOUND_DATES,
    *BAD_DATES,
    b"X-Unmbox-Line: a",
    b"X-Unmbox-Original-Date: " + SOUND_DATES[0],
]
pieces = st.sampled_from([*NAMES, *PIECES])
lines = st.builds(
    lambda name, colon, value: name + colon + b"".join(value) + b"\n",
    st.sampled_from(NAMES),
    st.sampled_from([b": ", b": ", b": ", b":", b" : "]),
    st.lists(pieces, max_size=3),
)
needed = st.permutations([FROM + b"\n", DATE + b"\n", ID + b"\n", b"To: b\n", b"Subject: s\n"]).map(b"".join)
junk = st.lists(pieces, max_size=12).map(b"".join)
anything = st.lists(st.one_of(lines, needed, junk, st.binary(max_size=20)), max_size=8).map(b"".join)


def blocks_of(octets: bytes) -> tuple[bytes, bytes]:
    """What a parser makes of octets: a block up to its empty line, and the rest."""
    match = re.search(rb"\n\r?\n", b"\n" + octets)
    end = match.end() - 1 if match else len(octets)
    return octets[:end], octets[end:]


@given(octets=anything, end=st.sampled_from([b"", b"\n\n", b"\r\n\r\n"]), forced=st.booleans())
@example(octets=b"\0\n\0\n \0\nA\0: \0\n", end=b"\n", forced=False)
@example(octets=b"A:\r\n\rTo: b\r\n\r\0\r\nC: d\r\0\n", end=b"\n\n", forced=False)
def test_any_block_comes_out_sound_and_a_second_conversion_changes_nothing(
    octets: bytes, end: bytes, forced: bool
) -> None:
    block, body = blocks_of(octets + end)
    eml = convert(block, body, repair_signed=forced)
    bad = [fault for fault in faults(eml.octets) if not fault.startswith("a line ends")]
    assert not bad or (eml.left_out and not forced) or eml.left_out == ["bookkeeping"]
    again = convert_again(eml.octets, repair_signed=forced)
    assert again.octets == eml.octets
    assert not again.codes
    lf = convert(block, body, newline="lf", repair_signed=forced)
    assert lf.repairs == eml.repairs
    assert lf.fields == eml.fields


JUNK = [b"X: \0", b"no field", b"\xe9: a", b"X : a", b"To: \xe9", b">From a", b"X: a\rb"]
HEALTHY = [
    b"X-A:a",
    b"X-B:  b  ",
    b"Received: a;\n\tb\n  c ",
    b"x-a: \n \n ",
    b"X-C: =?utf-8?q?a?=",
    b"!: ~",
    b"A:",
]


@given(
    fields=st.lists(st.sampled_from([*JUNK, *HEALTHY])),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_healthy_fields_keep_their_octets_and_their_order(fields: list[bytes], line_end: bytes) -> None:
    block = b"\n".join([*fields, FROM, DATE, ID, b"", b""]).replace(b"\n", line_end)
    kept = [field for field in convert(block).fields if field in HEALTHY]
    assert kept == [field for field in fields if field in HEALTHY]


@given(octets=anything, end=st.sampled_from([b"\n", b"\n\n"]))
@example(octets=b"From: a\nDate: Tue, 19 Mar 2019 10:13:51 +0100\n (x\nMessage-ID: <a>\n", end=b"\n")
@example(octets=b" \nFrom: a\n" + DATE + b"\nMessage-ID: <a>\n", end=b"\n")
@example(octets=FROM + b"\n::x\n" + DATE + b"\n" + ID + b"\n", end=b"\n")
def test_what_the_fast_check_passes_needs_no_repair(octets: bytes, end: bytes) -> None:
    block, _ = blocks_of((octets + end).replace(b"\r", b""))
    for each in (
        block,
        FROM + b"\n" + DATE + b"\n" + ID + b"\n" + block,
        block[:-1] + b"\n".join([FROM, DATE, ID, b"", b""]),
    ):
        if sound_fields(each):
            under_repair = Block(each, FROM_LINE)
            assert repair(under_repair) == each
            assert under_repair.repairs == []


@given(st.lists(st.sampled_from(USUAL_LINES), max_size=12))
def test_the_fast_check_knows_the_fields_that_the_long_way_finds(more: list[bytes]) -> None:
    block = b"\n".join([FROM, *more[:6], DATE, *more[6:], ID, b"", b""])
    if (found := sound_fields(block)) is not None:
        assert {name: found.get(name) for name in usual(block)} == usual(block)


@pytest.mark.parametrize(
    "fields",
    [
        [b"message-id: <a@b>", b"FROM: a", DATE],
        [b"message-id: <a@b>", FROM, DATE],
        [b"Message-ID: <a@b>", FROM, b"Date: 28 Feb 2020 10:13:51 +0100 (CET)"],
        [b"Message-Id:<a@b>", b"From:a", b"Date: Tue, 31 Dec 2019 23:59:59 -0000"],
        [ID, FROM, DATE, b"Cc: a", b"CC : b"],
        [ID, FROM, DATE, b"to: a"],
        [
            ID,
            FROM,
            DATE,
            b"To: a",
            b"Cc: b",
            b"Subject: c",
            b"Sender: d",
            b"Reply-To: e",
            b"Tone: f",
            b"X-U: g",
        ],
    ],
)
def test_the_fast_check_passes_what_is_common(fields: list[bytes]) -> None:
    common = not any(field.startswith(b"CC ") for field in fields)
    assert bool(sound_fields(b"\n".join([*fields, b"", b""]))) == common


COMMON = [FROM, DATE, ID, b"To: a", b"Subject: b"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fields: fields[1:],
        lambda fields: [*fields, b"subject: c"],
        lambda fields: [*fields, b"FROM: c"],
        lambda fields: [*fields, b"status: RO"],
        lambda fields: [*fields, b"X-IMAPbase: 1"],
        lambda fields: [*fields, b"x-mozilla-status2: 1"],
        lambda fields: [*fields, b"content-length: 1"],
        lambda fields: [*fields, b"From a b"],
        lambda fields: [*fields, b">From a b"],
        lambda fields: [*fields, b": c"],
        lambda fields: [*fields, b"X-A : c"],
        lambda fields: [*fields, b"X\x7f: c"],
        lambda fields: [*fields, b"X: \xc3\xa4"],
        lambda fields: [*fields, b"X: \0"],
        lambda fields: [*fields, b'X: \x1b$B$"\x1b(B'],
        lambda fields: [*fields, b"X: " + b"x" * 996],
        lambda fields: [b"X: " + b"x" * 996, *fields],
        lambda fields: [b" X", *fields],
        lambda fields: [*fields, b"Date: 1 Jan 2019 00:00:00 +0000"],
        lambda fields: [b"From:", *fields[1:]],
        lambda fields: [b"From: ", *fields[1:]],
        lambda fields: [fields[0], b"Date: 31 Apr 2019 00:00:00 +0000", *fields[2:]],
        lambda fields: [fields[0], b"Date: 29 Feb 2019 00:00:00 +0000", *fields[2:]],
        lambda fields: [fields[0], b"Date: 1 Jan 2019 24:00:00 +0000", *fields[2:]],
        lambda fields: [fields[0], b"Date: 1 Jan 2019 00:00:00 +0000 x", *fields[2:]],
        lambda fields: [*fields[:2], b"Message-ID: 1@b", *fields[3:]],
        lambda fields: [*fields[:2], b"Message-ID: <>", *fields[3:]],
    ],
)
def test_the_fast_check_passes_nothing_else(spoil: object) -> None:
    assert sound_fields(b"\n".join([*COMMON, b"", b""]))
    spoiled = b"\n".join([*spoil(COMMON), b"", b""])  # type: ignore[operator]
    assert not sound_fields(spoiled)
    assert not sound_fields(spoiled[:-1])
    assert convert(spoiled).codes


def test_a_line_of_998_octets_is_no_long_line() -> None:
    fields = [*COMMON, b"X: " + b"x" * 995]
    assert sound_fields(b"\n".join([*fields, b"", b""]))
    assert convert(b"\n".join([b" X", *fields, b"", b""])).codes == ["no-field"]


def test_healthy_mail_costs_no_block() -> None:
    block = b"\n".join([*COMMON, b"", b""])
    crlf = block.replace(b"\n", b"\r\n")
    mixed = block.replace(b"\n", b"\r\n", 2)
    for stored in (block, crlf, mixed):
        writer = EmlWriter()
        assert writer.send(Head(0, FROM_LINE, stored, b"\n", "")) == crlf
        assert writer.repairs == ()
    assert EmlWriter(newline="lf").send(Head(0, FROM_LINE, crlf, b"\n", "")) == block
    assert EmlWriter().send(Head(0, FROM_LINE, block.replace(b"\n", b"\r"), b"\r", "")) == crlf


@pytest.mark.parametrize("shape", SHAPES)
def test_hostile_blocks_come_out_sound_too(shape: str) -> None:
    block = SHAPES[shape](1 << 13)
    for eml in convert_mailbox(FROM_LINE + b"\n" + block + b"\nbody\n"):
        bad = [fault for fault in faults(eml.octets) if not fault.startswith("a line ends")]
        assert not bad or eml.left_out
        assert convert_again(eml.octets).octets == eml.octets


# -- fields ------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b" ", b"\t", b"a", b"b:", b"\0"])).map(b"".join))
def test_what_was_split_is_joined(block: bytes) -> None:
    found = split_block(block)
    assert (join_fields(split_fields(found.header)) == found.header + b"\n\n") or found.header == b""
    lines = re.split(rb"\r*\n", block)
    lines[-1] = lines[-1].rstrip(b"\r")
    empty = lines.index(b"") if b"" in lines else len(lines)
    assert found.header == b"\n".join(lines[:empty])
    assert found.closed == (empty < len(lines) - 1)
    assert block.endswith(found.rest)


def test_a_field_knows_its_parts() -> None:
    field = Field(b"X-Name\t : a\n b ")
    assert (field.name, field.key, field.value) == (b"X-Name", b"x-name", b"a b")
    field.put(b"nothing")
    assert (field.name, field.key) == (b"", b"")
    assert Field(b"x" * 997 + b":").key == b"x" * 997
    assert Field(b"x" * 998 + b":").key == b""


# -- what people read --------------------------------------------------------------------------------------

RAW_WORDS = {
    "utf-8": ["日本", "Müller", "été"],
    "cp932": ["表示", "ソニー", "山田太郎"],
    "euc_jp": ["会議の件", "山田"],
    "gb18030": ["会议通知", "王伟先生"],
    "koi8-r": ["Привет", "Иван"],
    "iso2022_jp": ["会議の件", "山田太郎"],
}
PLAIN = ["Re: ", "word", "a,b", "(x)", "X" * 70, "x" * 1000, "=?", "?="]
WORDS = ["=?utf-8?Q?Caf=C3=A9?=", "=?utf-8?B?5pel5pys?=", "=?iso-2022-jp?B?GyRCMnE1RBsoQg==?="]
SPACES = [" ", "  ", "\n ", "\n\t", "\t"]


@st.composite
def raw_texts(draw: st.DrawFn) -> tuple[str, str]:
    """Words of one charset, plain ones and encoded-words in any order, each apart from the next."""
    charset = draw(st.sampled_from(sorted(RAW_WORDS)))
    words = draw(st.lists(st.sampled_from(RAW_WORDS[charset] * 2 + PLAIN + WORDS), min_size=1, max_size=8))
    spaces = draw(st.lists(st.sampled_from(SPACES), min_size=len(words), max_size=len(words)))
    return "".join(map("".join, zip(words, spaces, strict=True))).strip(), charset


@given(raw_texts())
def test_a_subject_says_the_same_as_before(drawn: tuple[str, str]) -> None:
    text, charset = drawn
    body = " ".join(RAW_WORDS[charset] * 3).encode(charset) + b"\n"
    lines = [FROM, DATE, ID, b"Subject: " + text.encode(charset), b"", b""]
    eml = convert(b"\n".join(lines), body)
    [subject] = [field for field in eml.fields if field.startswith(b"Subject:")]
    assert not faults(eml.octets)
    said = text
    for word in WORDS:
        said = said.replace(word, decode_text(word.encode()))
    assert "".join(decode_text(subject[8:]).split()) == "".join(said.split())
    # Another reader, which takes no word for an encoded one that is none.
    other = BytesParser(policy=default).parsebytes(subject + b"\n\n")["Subject"]
    if not {"=?", "?="} & set(text.split()):
        assert "".join(other.split()) == "".join(said.split())


OF_NAMES = ["a b", ".txt", "C:\\dir", "%41", "it's", "x" * 100, "=?utf-8?Q?Caf=C3=A9?=", ";", "(1)"]


@given(st.sampled_from(sorted(RAW_WORDS)), st.data())
def test_a_file_name_is_the_same_as_before(charset: str, data: st.DataObject) -> None:
    strange = data.draw(st.sampled_from(RAW_WORDS[charset]))
    words = data.draw(st.lists(st.sampled_from([*RAW_WORDS[charset], *OF_NAMES]), max_size=5))
    parts = data.draw(st.permutations([strange, *words]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(parts)), max_size=2)))
    value = f'; filename="{"".join(parts)}"'
    if cuts:
        runs = ["".join(parts[a:b]) for a, b in pairwise([0, *cuts, len(parts)])]
        value = "".join(f';\n filename*{number}="{run}"' for number, run in enumerate(runs))
    field = f"Content-Disposition: attachment{value}; size=1".encode(charset)
    body = " ".join(RAW_WORDS[charset] * 3).encode(charset) + b"\n"
    eml = convert(b"\n".join([FROM, DATE, ID, field, b"", b""]), body)
    [found] = [each for each in eml.fields if each.startswith(b"Content-Disposition:")]
    said = "".join(parts).replace(OF_NAMES[6], "Café") if not cuts else "".join(parts)
    assert not faults(eml.octets)
    parsed = BytesParser(policy=default).parsebytes(found + b"\n\n")
    assert parsed.get_filename() == said
    assert parsed.get_param("size", header="content-disposition") == "1"


# -- the page ----------------------------------------------------------------------------------------------


def test_the_page_of_repairs_is_current() -> None:
    path = PROJECT / "docs" / "make_repairs.py"
    spec = importlib.util.spec_from_file_location("make_repairs", path)
    assert spec
    assert spec.loader
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.page() == (PROJECT / "docs" / "repairs.md").read_text("utf-8"), f"run {path.name}"


@pytest.mark.parametrize(
    ("shape", "size"), [("illegal-names", 1000), ("references", 128), ("one-8bit-word", 128)]
)
def test_memory_stays_flat_whatever_a_block_is_made_of(shape: str, size: int) -> None:
    block = SHAPES[shape](size << 10) + b"\n"
    tracemalloc.start()
    try:
        convert(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (4 << 20) + 8 * len(block)


DECLARED = b"\nContent-Type: text/plain; charset="


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        # Cut inside a character, as lists and gateways cut.
        ("年末年始休業の".encode()[:-1] + b"..." + DECLARED + b"UTF-8", "年末年始休業\udce3\udc81..."),
        ("会議の件で".encode("cp932") + b"\x82" + DECLARED + b"Shift_JIS", "会議の件で\udc82"),
        # Digits and signs of full width, and kana of half, are as common as any.
        ("第１２３回".encode("cp932") + DECLARED + b"Shift_JIS", "第１２３回"),
        ("２０１０年１０月分".encode("cp932") + DECLARED + b"Shift_JIS", "２０１０年１０月分"),
        ("TEL：０３−１２３４".encode("euc_jp") + DECLARED + b"EUC-JP", "TEL：０３−１２３４"),
        ("Re: ﾃｽﾄﾒｰﾙ".encode("cp932") + DECLARED + b"Shift_JIS", "Re: ﾃｽﾄﾒｰﾙ"),
        # The language is named, if not the charset.
        ("御礼".encode("euc_jp") + DECLARED + b"ISO-2022-JP", "御礼"),
        # Escapes say what it is, whatever it is called, and whatever is beside them.
        (b"=?UTF-8?B?GyRCMnE1RBsoQg==?=", "会議"),
        (b"=?us-ascii?B?GyRCMnE1RBsoQg==?=", "会議"),
        (b"\x1b$B2q5D\x1b(H", "会議"),
        (b"\x1b(IC=D\x1b(B", "ﾃｽﾄ"),
        # A carrier's emoji, and half a character: the rest can be read.
        (b"=?ISO-2022-JP?B?GyRCOiNGfHVBGyhC?=", "今日\x1b$BuA\x1b(B"),
        (b"\x1b$B2q5D$N7o$\x1b(B", "会議の件\x1b$B$\x1b(B"),
    ],
)
def test_raw_japanese_as_it_was_meant(subject: bytes, text: str) -> None:
    block = b"\n".join([FROM, DATE, ID, b"Subject: " + subject, b"", b""])
    mailbox = b"From a@b Tue Mar 19 09:13:51 2019\n" + block + b"text\n"
    [message] = unmbox.messages(io.BytesIO(mailbox))
    assert message.subject == text
    if subject.isascii() and b"\x1b" not in subject:
        return  # encoded-words stay as they are
    [field] = [field for field in convert(block).fields if field.startswith(b"Subject:")]
    assert field.isascii()
    assert b"\x1b" not in field
    said = decode_text(field.partition(b":")[2])
    assert said.encode("utf-8", "surrogateescape") == text.encode("utf-8", "surrogateescape")


def test_what_google_puts_on_top_says_nothing_of_the_sender() -> None:
    labels = b"X-Gmail-Labels: =?UTF-8?Q?=E5=8F=97=E4=BF=A1?=\n =?UTF-8?Q?=E3=83=88?="
    subject = b"Subject: " + "ﾃｽﾄ".encode("cp932")  # but for the last octet it would be UTF-8, too
    for top in ([], [labels]):
        eml = convert(b"\n".join([*top, FROM, DATE, ID, subject, b"", b""]))
        assert b"Subject: =?UTF-8?B?776D7729776E?=" in eml.fields


@pytest.mark.parametrize("name", ["山田@営業", "山田@営業 太郎", "＠山田 a@営業"])
def test_a_name_may_hold_an_at(name: str) -> None:
    assert encode_addresses(f"{name} <x@y.jp>") == (f"{encoded_words(name)} <x@y.jp>", False)


@pytest.mark.parametrize(
    ("value", "name", "field"),
    [
        (b"a@b", "<a@b>", b"<a@b>"),
        (b"a@b (c)", "<a@b>", b"<a@b>"),
        (b"a@b (<c@d>)", "<a@b>", b"<a@b>"),
        (b"(c)<a@b>", "<a@b>", b"(c)<a@b>"),
        (b"<(1)@b> (c)", "<(1)@b>", b"<(1)@b> (c)"),
        (b"<a@b> <c@d>", "<a@b>", b"<a@b> <c@d>"),
        (b'<"a b"@c>', '<"a b"@c>', b'<"a b"@c>'),
        (b"=?utf-8?B?PGFAYj4=?=", "<=?utf-8?B?PGFAYj4=?=>", b"<=?utf-8?B?PGFAYj4=?=>"),
        (b"<a\n b@c>", "<ab@c>", b"<a\n b@c>"),
        (b"<\xc3\xa9@b>", "<%C3%A9@b>", b"<%C3%A9@b>"),
        (b"<\xe9@b>", "<%E9@b>", b"<%E9@b>"),
    ],
)
def test_an_id_is_the_same_to_the_record_and_in_the_eml(value: bytes, name: str, field: bytes) -> None:
    mailbox = b"\n".join([FROM_LINE, FROM, DATE, b"Message-ID: " + value, b"", b"", b""])
    [message] = unmbox.messages(io.BytesIO(mailbox))
    assert message.message_id == name
    assert b"Message-ID: " + field in convert_mailbox(mailbox)[0].fields


@given(st.text('<>()"\\ @a.none\xe9', max_size=12).map(lambda text: text.encode("latin-1")))
def test_what_is_an_id_to_the_index_is_one_in_the_eml(value: bytes) -> None:
    eml = convert(b"\n".join([FROM, DATE, b"Message-Id: " + value, b"", b""]))
    made = "missing-message-id" in eml.codes
    assert made == (normalise_message_id(value) is None)
