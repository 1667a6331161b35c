"""The people of mailboxes: addresses out of lists, names in two parts, one row an address, and the CSV."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email.utils import formataddr
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmbox import UsageError, profiles
from unmbox._addresses import Mailbox, find_address, split_mailboxes
from unmbox._cells import guarded
from unmbox._contacts import Contact, Contacts, Rules, is_address, read
from unmbox._contacts_csv import read_companies, read_map, write_csv
from unmbox._names import split_name

SAMPLE = Path(__file__).parents[1] / "examples" / "sample-takeout.mbox"


def mail(number: int, *fields: str | bytes, day: int = 1) -> bytes:
    """A message with these address fields."""
    lines = [field.encode() if isinstance(field, str) else field for field in fields]
    head = [
        b"From %d@xxx Tue Mar %02d 09:13:51 +0000 2019" % (number, day),
        *lines,
        b"Date: Tue, %02d Mar 2019 23:30:00 -0500" % day,
        b"Message-ID: <%d@example.org>" % number,
    ]
    return b"\n".join([*head, b"", b"Text.", b"", b""])


def people(*mails: bytes, **options: Any) -> dict[str, Contact]:
    """The contacts of a mailbox, by address; those without one by their name."""
    with Contacts(**options) as contacts:
        read(io.BytesIO(b"".join(mails)), contacts)
        rows = list(contacts.rows())
    found = {row.address or row.family: row for row in rows}
    assert len(found) == len(rows), "one row an address"
    return found


def names(*fields: str | bytes, **options: Any) -> dict[str, str]:
    return {
        address: " ".join(filter(None, (row.family, row.given)))
        for address, row in people(mail(1, *fields), **options).items()
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@x.org", [("", "a@x.org")]),
        ("A <a@X.ORG>, b@y.org", [("A", "a@x.org"), ("", "b@y.org")]),
        ('"Yamada, Taro" <T.Y@x.jp>', [("Yamada, Taro", "T.Y@x.jp")]),
        ('"A \\"B\\" C" <a@x.org>', [('A "B" C', "a@x.org")]),
        ("a@x.org (Taro (the) Y)", [("Taro (the) Y", "a@x.org")]),
        ("Friends: a@x.org, B <b@y.org>; c@z.org", [("", "a@x.org"), ("B", "b@y.org"), ("", "c@z.org")]),
        ("undisclosed-recipients:;", []),
        ("<@r.org,@s.org:u@x.org>", [("", "u@x.org")]),
        ('"john doe"@x.org', [("", '"john doe"@x.org')]),
        ("A <a@[192.0.2.1]>", [("A", "a@[192.0.2.1]")]),
        # What programs write instead.
        ("Yamada, Taro <t@x.jp>, b@y.org", [("Yamada, Taro", "t@x.jp"), ("", "b@y.org")]),
        ("a@x.org; b@y.org", [("", "a@x.org"), ("", "b@y.org")]),
        ('"Taro <t@x.jp>', [("Taro", "t@x.jp")]),
        ("Taro t@x.jp", [("Taro", "t@x.jp")]),
        ("A <a@x.org, B <b@y.org>", [("A", "a@x.org"), ("B", "b@y.org")]),
        ("<<a@x.org>>", [("", "a@x.org")]),
        ("<mailto:a@x.org>", [("", "a@x.org")]),
        ("'a@x.org' <a@x.org>", [("", "a@x.org")]),
        ("山田\u3000太郎 <t@x.jp>", [("山田 太郎", "t@x.jp")]),
        ("Taro", [("Taro", "")]),
        ("Taro <>", [("Taro", "")]),
        ("Taro, Jiro", [("Taro", ""), ("Jiro", "")]),
        ("a@b@c.org", [("a@b@c.org", "")]),
        (f"A <{'a' * 300}@x.org>", [("A", "")]),
        ("(A) (B", [("B", "")]),
        # No comma between, or none that is ASCII, or all of them in one pair of brackets.
        ("Ann <a@b.c> Bob <d@e.f>", [("Ann", "a@b.c"), ("Bob", "d@e.f")]),
        ("<a@b.c> <d@e.f>", [("", "a@b.c"), ("", "d@e.f")]),
        ("Ann <a@b.c> <a@b.c>", [("Ann", "a@b.c")]),
        ("Lee, Ann <a@b.c> Bob <d@e.f>, c@d.e", [("Lee, Ann", "a@b.c"), ("Bob", "d@e.f"), ("", "c@d.e")]),
        ("a@b.c\n d@e.f", [("", "a@b.c"), ("", "d@e.f")]),
        ("a@b.c d@e.f g@h.i", [("", "a@b.c"), ("", "d@e.f"), ("", "g@h.i")]),
        ('"Ann" a@b.c "Bob" d@e.f', [("Ann", "a@b.c"), ("Bob", "d@e.f")]),
        ("Ann <a@b.c> Bob d@e.f", [("Ann", "a@b.c"), ("Bob", "d@e.f")]),
        ("Ann <a@b.c;d@e.f>", [("Ann", "a@b.c"), ("", "d@e.f")]),
        ("Ann <a@b.c>、Bob <d@e.f>", [("Ann", "a@b.c"), ("Bob", "d@e.f")]),
        ("山田@営業 a@b.c", [("山田@営業", "a@b.c")]),
        ('"a@b.c" d@e.f', [("a@b.c", "d@e.f")]),
        # What links two of them is no name, and no part of one.
        ("Ann <a@b.c> & Bob <d@e.f>", [("Ann", "a@b.c"), ("Bob", "d@e.f")]),
        ("Ann <a@b.c> / d@e.f", [("Ann", "a@b.c"), ("", "d@e.f")]),
        ("a@b.c and Andy d@e.f / g@h.i", [("", "a@b.c"), ("Andy", "d@e.f"), ("", "g@h.i")]),
        ("& Bob <d@e.f>", [("& Bob", "d@e.f")]),
        ("Ann <a@b.c> [mailto:a@b.c]", [("Ann", "a@b.c")]),
        ("Ann <a@b.c> Bob a@b.c", [("Ann", "a@b.c"), ("Bob", "a@b.c")]),
        # RFC 5322 §4.4, and a literal that holds colons.
        ("Ann <ann.lee@\n example.org>", [("Ann", "ann.lee@example.org")]),
        ("ann @ example.org", [("", "ann@example.org")]),
        ("a . b @ c . d", [("", "a.b@c.d")]),
        ("Dr. lee@x.org", [("Dr.", "lee@x.org")]),
        ("a@[IPv6:::1], b@c.d", [("", "a@[ipv6:::1]"), ("", "b@c.d")]),
        # All of it in quotes; brackets, quotes and marks that are no part of anything.
        ('"Ann <a@b.c>"', [("Ann", "a@b.c")]),
        ('"a@b.c, d@e.f"', [("", "a@b.c"), ("", "d@e.f")]),
        ('"Doe, John <j@d.org>"', [("Doe, John", "j@d.org")]),
        ('"Doe, John <j@d.org>, Roe, Ann <a@r.org>"', [("Doe, John", "j@d.org"), ("Roe, Ann", "a@r.org")]),
        ("a <> @b.c", [("a @b.c", "")]),
        ('"Lee, Ann (a@b.c)"', [("Lee, Ann", "a@b.c")]),
        ('"Lee (Acme) a@b.c"', [("Lee (Acme)", "a@b.c")]),
        ("Ann [mailto:a@b.c]", [("Ann", "a@b.c")]),
        ("Ann <MAILTO:a@b.c?subject=x>", [("Ann", "a@b.c")]),
        ("Ann a@b.c>", [("Ann", "a@b.c")]),
        ("'a@b.c'", [("", "a@b.c")]),
        ("'Ann' <'a@b.c'>", [("Ann", "a@b.c")]),
        ("o'a@b.c, 'a@b.c", [("", "o'a@b.c"), ("", "'a@b.c")]),
        ("&lt;a@b.c&gt;", [("", "a@b.c")]),
        ("Ann &lt;a@b.c&gt;, Bob", [("Ann", "a@b.c"), ("Bob", "")]),
        # Letters and marks of full width.
        ("山田太郎＜a@b.c＞", [("山田太郎", "a@b.c")]),
        ("山田 ＜ａ＠ｂ．ｃ＞", [("山田", "a@b.c")]),
        ("a＠b.c", [("", "a@b.c")]),
        ("Taro＠Tokyo <t@x.jp>", [("Taro＠Tokyo", "t@x.jp")]),
        # But none that is a part of a name.
        ("山田＜x@y.jp＞ <y@t.jp>", [("山田＜x@y.jp＞", "y@t.jp")]),
        ("山田＜ｘ＠ｙ．ｊｐ＞ <y@t.jp>", [("山田＜ｘ＠ｙ．ｊｐ＞", "y@t.jp")]),
        ("＜x@y.jp＞＜z@y.jp＞ <y@t.jp>", [("＜x@y.jp＞＜z@y.jp＞", "y@t.jp")]),
        ('山田＜x@y.jp＞ "A, B" <y@t.jp>', [("山田＜x@y.jp＞ A, B", "y@t.jp")]),
        ("山田＜x@y.jp＞ (a, b) ( <y@t.jp>", [("山田＜x@y.jp＞", "y@t.jp")]),
        ("(＜x@y.jp＞) y@t.jp", [("＜x@y.jp＞", "y@t.jp")]),
        ("山田＜x@y.jp＞, <y@t.jp>", [("山田", "x@y.jp"), ("", "y@t.jp")]),
        ("", []),
    ],
)
def test_entries_of_a_list(text: str, found: list[tuple[str, str]]) -> None:
    assert list(split_mailboxes(text)) == [Mailbox(*each) for each in found]


word = st.text("abcdefghijkXYZ", min_size=1, max_size=8)
address = st.builds(lambda local, domain: f"{local}@{domain.lower()}.org", word, word)
phrase = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12).map(
    lambda text: text.strip("'\" ")
)


@given(st.lists(st.tuples(phrase, address), min_size=1, max_size=5))
@settings(max_examples=100)
def test_a_list_that_is_well_formed_comes_back(entries: list[tuple[str, str]]) -> None:
    text = ", ".join(formataddr(entry) for entry in entries)
    assert list(split_mailboxes(text)) == [
        Mailbox("" if name.lower() == address.lower() else name, address) for name, address in entries
    ]


@given(st.text('aA山@,;:<>()[]"\\. \u3000=', max_size=60))
@settings(max_examples=300)
def test_no_list_raises_and_what_is_found_stands_there(text: str) -> None:
    for mailbox in split_mailboxes(text):
        assert mailbox.name or mailbox.address
        left = iter(text.lower())  # blanks and comments may stand between
        assert all(letter in left for letter in mailbox.address.lower())
        if mailbox.address:
            assert find_address(mailbox.address) == (0, len(mailbox.address))


@pytest.mark.parametrize(
    "unit",
    [
        *('"', '\\"', "(", "<", "<a", "@", "a@", ",", "()", ":", '"a@b', "<a,", "a@b,", " ", "< ", ". "),
        *("a@b.c ", "<a@b.c>", '"a@b.c" ', "a@[", "mailto:", "&lt;", "&lt;a@b&gt", "＜", "＜a＠b.c＞", "a＠"),
        *('＜a＠b.c＞"', "＜a＠b.c＞(", "＜a＠b.c＞()", '＜a＠b.c＞""'),
    ],
)
def test_hostile_lists_end(unit: str) -> None:
    assert sum(1 for _ in split_mailboxes(unit * (100_000 // len(unit)))) < 100_000


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("山田 太郎", ("山田", "太郎")),
        ("山田 太郎 様", ("山田", "太郎")),
        ("山田 太郎様", ("山田", "太郎")),
        ("やまだ たろう", ("やまだ", "たろう")),
        ("김 철수", ("김", "철수")),
        ("Yamada, Taro", ("Yamada", "Taro")),
        ("García Márquez, Gabriel", ("García Márquez", "Gabriel")),
        ("YAMADA Taro", ("YAMADA", "Taro")),
        ("Taro YAMADA", ("YAMADA", "Taro")),
        ("John Smith", ("Smith", "John")),
        ("John Q. Smith", ("Smith", "John Q.")),
        ("J. Smith", ("Smith", "J.")),
        ("Ludwig van Beethoven", ("van Beethoven", "Ludwig")),
        ("Conan O'Brien", ("O'Brien", "Conan")),
        # Where there is doubt, the whole stays together.
        ("山田太郎", ("山田太郎", "")),
        ("ジョン スミス", ("ジョン スミス", "")),
        ("株式会社 山田", ("株式会社 山田", "")),
        ("営業部 山田", ("営業部 山田", "")),
        ("高橋 花子（営業）", ("高橋 花子（営業）", "")),
        ("お客様", ("お客様", "")),
        ("皆様", ("皆様", "")),
        ("三菱電機 御中", ("三菱電機 御中", "")),
        ("保護者 各位", ("保護者 各位", "")),
        ("山田 部長", ("山田 部長", "")),
        ("朝日 新聞", ("朝日 新聞", "")),
        ("横浜 市役所", ("横浜 市役所", "")),
        ("Acme, Inc.", ("Acme, Inc.", "")),
        ("Smith, Jr.", ("Smith, Jr.", "")),
        ("Sales, Tokyo", ("Sales, Tokyo", "")),
        ("Acme Support", ("Acme Support", "")),
        ("John Smith via Sales", ("John Smith via Sales", "")),
        ("John Fitzgerald Kennedy", ("John Fitzgerald Kennedy", "")),
        ("bob builder", ("bob builder", "")),
        ("Bob", ("Bob", "")),
        ("", ("", "")),
    ],
)
def test_names_are_split_where_that_is_certain(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name, "someone@example.org") == parts


def test_the_address_may_make_a_name_uncertain() -> None:
    assert split_name("Taro Yamada", "taro@example.jp") == ("Taro Yamada", "")
    assert split_name("Google Drive", "drive@google.com") == ("Google Drive", "")
    assert split_name("Amazon Prime", "no-reply@example.com") == ("Amazon Prime", "")


@given(st.text("aBé山田カ한 ,.'-様", max_size=20), st.sampled_from(["a@b.org", "noreply@x.jp", "", "@"]))
def test_no_letter_of_a_name_is_made_up(name: str, address: str) -> None:
    family, given_name = split_name(name, address)
    assert family in name
    assert given_name in name
    assert family or not name.strip() or not given_name


TARO = "山田 太郎"


@pytest.mark.parametrize(
    "field",
    [
        b"From: =?iso-2022-jp?B?GyRCOzNFRBsoQiAbJEJCQE86GyhC?= <t@example.org>",
        b"From: =?utf-8?Q?=E5=B1=B1=E7=94=B0?= =?utf-8?Q?_=E5=A4=AA=E9=83=8E?= <t@example.org>",
        b"From: " + TARO.encode() + b" <t@example.org>",
        b"From: \x1b$B;3ED\x1b(B \x1b$BB@O:\x1b(B <t@example.org>",
        b"From: =?euc-jp?B?u7PF xCDCwM+6?= <t@example.org>",
        b"Content-Type: text/plain; charset=shift_jis\nFrom: " + TARO.encode("cp932") + b" <t@example.org>",
        b"Content-Type: text/plain; charset=euc-jp\nFrom: " + TARO.encode("euc_jp") + b" <t@example.org>",
    ],
    ids=["iso-2022-jp", "utf-8-q", "raw-utf-8", "raw-iso-2022-jp", "euc-jp", "raw-cp932", "raw-euc-jp"],
)
def test_names_in_any_charset(field: bytes) -> None:
    assert people(mail(1, field))["t@example.org"][:3] == ("山田", "太郎", "t@example.org")


def test_other_raw_values_of_the_block_help() -> None:
    subject, name = "会議のお知らせ".encode("euc_jp"), "山﨑".encode("euc_jp", "replace")
    field = b"Subject: " + subject + b"\nFrom: \xbb\xb3\xf9\xf5 <t@x.org>"
    assert name != b"\xbb\xb3\xf9\xf5", "Python's own codec lacks the second letter"
    assert names(field) == {"t@x.org": "山﨑"}


def test_a_locale_helps_with_raw_text_that_does_not_say() -> None:
    field = b"From: " + "髙橋 一郎".encode("cp932") + b" <t@example.org>"
    assert names(field, locale="ja") == {"t@example.org": "髙橋 一郎"}


def test_one_row_an_address_however_it_is_written() -> None:
    found = people(
        mail(1, "From: A.B@Example.ORG", "To: c@example.org", day=5),
        mail(2, "From: c@example.org", "To: a.b@example.org, a.b@EXAMPLE.org", "Cc: A.B@example.org", day=3),
        mail(3, "From: c@example.org", "Bcc: d@example.org", day=9),
    )
    assert {address: row[4:] for address, row in found.items()} == {
        "A.B@example.org": (2, "2019-03-03", "2019-03-05"),
        "c@example.org": (3, "2019-03-03", "2019-03-09"),
        "d@example.org": (1, "2019-03-09", "2019-03-09"),
    }


def test_the_same_mail_under_two_labels_counts_once() -> None:
    one = mail(1, "X-Gmail-Labels: Inbox", "From: a@example.org")
    other = mail(1, "X-Gmail-Labels: Work", "From: a@example.org")
    with Contacts() as contacts:
        read([io.BytesIO(one), io.BytesIO(other)], contacts)
        assert [row.messages for row in contacts.rows()] == [1]
        assert (contacts.messages, contacts.copies) == (2, 1)


def test_what_people_call_themselves_outdoes_what_others_call_them() -> None:
    found = people(
        *(mail(n, "From: x@example.org", "To: Mum <a@example.org>") for n in range(5)),
        mail(6, "From: Anna Berg <a@example.org>"),
        mail(7, "From: a@example.org"),
    )
    assert found["a@example.org"][:2] == ("Berg", "Anna")


def test_the_name_used_most_often_wins() -> None:
    found = people(
        mail(1, "To: Ann <a@example.org>"),
        mail(2, "To: Anna <a@example.org>", day=2),
        mail(3, "To: Anna <a@example.org>"),
    )
    assert found["a@example.org"].family == "Anna"


def test_a_message_without_any_date_leaves_dates_empty() -> None:
    octets = b"From \nFrom: a@example.org\nTo: b@example.org\nSubject: s\n\nText.\n"
    assert people(octets)["a@example.org"][4:] == (1, "", "")


def test_addresses_of_ones_own_move() -> None:
    moved = {"me@old.example": "me@new.example", "spam@old.example": ""}
    found = people(
        mail(1, "From: Me <Me@Old.example>", "To: spam@old.example"),
        mail(2, "From: me@new.example", "To: you@example.org"),
        moved=moved,
    )
    assert {address: row.messages for address, row in found.items()} == {
        "me@new.example": 2,
        "you@example.org": 1,
    }


def test_only_what_is_wanted_counts(tmp_path: Path) -> None:
    output = tmp_path / "c.csv"
    done = unmbox_(SAMPLE, "-o", output, "--exclude", "spam", "--since", "2018-01-01", "--json")
    said = json.loads(done.stdout)
    assert (said["messages"], said["filtered"], said["contacts"]) == (12, 5, 3)
    assert "info@example.com" not in output.read_text("utf-8")


def test_a_label_that_no_message_has_is_told(tmp_path: Path) -> None:
    done = unmbox_(SAMPLE, "-o", tmp_path / "a.csv", "--exclude", "Wrok", "--exclude", "chats", "--json")
    assert json.loads(done.stdout)["unmatched"] == ["Wrok"]
    done = unmbox_(SAMPLE, "-o", tmp_path / "b.csv", "--exclude", "Wrok")
    assert b"no message has 'Wrok': " in done.stdout


def test_companies_by_domain() -> None:
    companies = read_companies(["Example.org=Example K.K.", "Others"])
    found = people(mail(1, "From: a@example.org", "To: b@example.net", "Cc: Taro"), companies=companies)
    assert {address: row.company for address, row in found.items()} == {
        "a@example.org": "Example K.K.",
        "b@example.net": "Others",
        "Taro": "",
    }


def test_memory_does_not_grow_with_people() -> None:
    with Contacts() as contacts:
        for start in range(0, 12_000, 1_000):
            to = ",\n ".join(f"P{n} Q <p{n}@example.org>" for n in range(start, start + 1_000))
            read(io.BytesIO(mail(start, f"To: {to}")), contacts)
            assert len(contacts._people) + len(contacts._names) <= 7_000
        assert sum(1 for _ in contacts.rows()) == 12_000


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t=", " =", "＝", "|", "%"])
def test_a_strangers_name_is_no_formula(lead: str) -> None:
    assert guarded(f"{lead}1+1") == f"'{lead}1+1"


def test_no_cell_holds_a_nul() -> None:
    assert guarded("a\0b\0") == "ab"
    assert guarded("\0=1+1") == "'=1+1"


def test_other_cells_stay_as_they_are() -> None:
    assert [guarded(cell) for cell in ("山田", "a-b", "", 12, "2019-03-01", -5, None)] == [
        "山田", "a-b", "", 12, "2019-03-01", -5, ""
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a.b+c@example.org", True),
        ("a@例え.jp", True),
        ("a@xn--r8jz45g.xn--zckzah", True),
        ("root@localhost", False),
        ('"a b"@example.org', False),
        ("a..b@example.org", False),
        ("a\1b@example.org", False),
        ("\x7fb@example.org", False),
        ("a@[192.0.2.1]", False),
        ("a@example.1", False),
        ("", False),
    ],
)
def test_addresses_that_mail_can_be_sent_to(text: str, valid: bool) -> None:
    assert is_address(text) is valid


def contact(**values: Any) -> Contact:
    return Contact("Y", "T", "t@example.org", "", 1, "", "")._replace(**values)


def rules(name: str) -> Rules:
    return Rules.of(name, profiles.load(name).contacts)


@pytest.mark.parametrize(
    ("profile", "values", "reason"),
    [
        ("zoho-crm", {}, ""),
        ("zoho-crm", {"family": "", "given": ""}, "no Last Name"),
        ("zoho-crm", {"address": ""}, "no Email"),
        ("zoho-crm", {"family": "山" * 81}, "longer than 80"),
        ("zoho-crm", {"family": "=" + "a" * 79}, "longer than 80"),  # with the apostrophe before it
        ("zoho-campaigns", {"family": "", "given": ""}, ""),
        ("zoho-campaigns", {"address": "Info@example.org"}, "role"),
        ("zoho-campaigns", {"address": "t+x@example.org"}, "+"),
        ("zoho-campaigns", {"address": "t@localhost"}, "not an address"),
        ("zoho-crm", {"address": "=cmd@example.org"}, "formula"),
    ],
)
def test_what_an_importer_does_not_take(profile: str, values: dict[str, str], reason: str) -> None:
    said = rules(profile).reason(contact(**values))
    assert bool(said) == bool(reason)
    assert reason in said


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def written(rows: Iterable[Contact], asked: Rules | None = None) -> tuple[str, str]:
    taken, apart = io.StringIO(newline=""), io.StringIO(newline="")
    counts = write_csv(rows, asked or Rules(), taken, lambda: apart)
    assert counts == (len(table(taken.getvalue())), len(table(apart.getvalue())))
    return taken.getvalue(), apart.getvalue()


def test_rows_that_lack_something_are_listed_apart_and_never_filled() -> None:
    taken, apart = written(
        [contact(), contact(family="", given="", address="x@example.org")], rules("zoho-crm")
    )
    assert [row["Email"] for row in table(taken)] == ["t@example.org"]
    assert table(apart) == [
        {
            "Last Name": "", "First Name": "", "Email": "x@example.org", "Company": "", "Messages": "1",
            "First Date": "", "Last Date": "", "reason": "no Last Name",
        }
    ]  # fmt: skip


def test_any_text_comes_back_from_the_csv() -> None:
    name = 'Ya"ma,da\r\n山田;'
    taken, apart = written([contact(family=name)])
    assert table(taken)[0]["family_name"] == name
    assert apart == ""
    assert taken.startswith("family_name,given_name,address,company,count,first_date,last_date\r\n")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"nonsense": 1},
        {"required": "family"},
        {"required": ["surname"]},
        {"required": [["family"]]},
        {"longest": {"x": 1}},
        {"longest": {"address": "9"}},
        {"role": [1]},
        {"columns": {"family": 5}},
        {"refused": 5},
    ],
)
def test_a_profile_that_makes_no_sense(values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "mine", "title": "Mine", "contacts": values}))
    with pytest.raises(UsageError, match=r"the profile .*mine"):
        Rules.of("mine", profiles.load(path).contacts)


def test_maps_are_pairs_or_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("old,new\nA@old.example,a@new.example\n\nb@old.example,\n", "utf-8-sig")
    assert read_map([str(path), "c=d@old.example = c@new.example"]) == {
        "a@old.example": "a@new.example",
        "b@old.example": "",
        "c=d@old.example": "c@new.example",
    }


@pytest.mark.parametrize("given_", ["nowhere.csv", "me@old.example=me", "a b@x.org=c@x.org"])
def test_a_map_that_is_none(given_: str) -> None:
    with pytest.raises(UsageError):
        read_map([given_])


def test_who_moved_twice_goes_to_the_last_address() -> None:
    pairs = ["b@x.example=c@x.example", "a@x.example=B@x.example", "C@x.example=c@X.example", "d@x.example="]
    assert read_map([*pairs, "e@x.example=d@x.example"]) == {
        "a@x.example": "c@X.example",
        "b@x.example": "c@X.example",
        "c@x.example": "c@X.example",
        "d@x.example": "",
        "e@x.example": "",
    }


@pytest.mark.parametrize("count", [2, 3, 9])
def test_addresses_that_take_one_anothers_place_are_an_error(count: int) -> None:
    pairs = [f"{n}@x.example={(n + 1) % count}@x.example" for n in range(count)]
    with pytest.raises(UsageError, match="comes back"):
        read_map(pairs)
    with pytest.raises(UsageError, match="comes back"):
        read_map(["a@x.example=0@x.example", *pairs])


def test_a_map_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("a@old.example,a@new.example\na@old.example\n")
    with pytest.raises(UsageError, match="row 2"):
        read_map([str(path)])
    path.write_text("a@old.example,a@new.example\na@old.example,b@new.example\n")
    with pytest.raises(UsageError, match="goes to"):
        read_map([str(path)])
    path.write_bytes("あ@old.example,b@new.example\n".encode("cp932"))
    with pytest.raises(UsageError, match="UTF-8"):
        read_map([str(path)])


def unmbox_(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "unmbox", "contacts", *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env={name: value for name, value in os.environ.items() if name not in {"TERM", "COLUMNS"}},
        timeout=60,
        check=False,
    )


def test_standard_output_holds_the_csv_and_nothing_else() -> None:
    done = unmbox_(SAMPLE)
    assert done.returncode == 0
    rows = table(done.stdout.decode())
    assert rows[0] == {
        "family_name": "佐藤", "given_name": "花子", "address": "hanako.sato@example.jp", "company": "",
        "count": "9", "first_date": "2004-11-05", "last_date": "2021-05-05",
    }  # fmt: skip
    assert b"4 contacts" in done.stderr


def test_a_file_and_the_one_beside_it(tmp_path: Path) -> None:
    output = tmp_path / "people.csv"
    done = unmbox_(SAMPLE, "-o", output, "--profile", "zoho-crm", "--bom", "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["contacts"], said["apart"]) == (3, 1)
    assert output.read_bytes().startswith(codecs.BOM_UTF8)
    assert table((tmp_path / "people-apart.csv").read_text("utf-8-sig"))[0]["reason"] == "no Last Name"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    for options in (("-o", mine), ("-o", tmp_path / "new.csv", "--apart", mine)):
        done = unmbox_(SAMPLE, *options)
        assert done.returncode == 2
        assert b"not overwritten" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_failure_leaves_no_half_file(tmp_path: Path) -> None:
    done = unmbox_(tmp_path / "absent.mbox", "-o", tmp_path / "new.csv")
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "SOURCE"),
        ((SAMPLE, "--json"), "--output"),
        ((SAMPLE, "--profile", "nobody"), "no profile is called"),
        ((SAMPLE, "--profile", "zoho-mail"), "says nothing of contacts"),
        ((SAMPLE, "--map", "me"), "OLD=NEW"),
        ((SAMPLE, "-o", "x.csv", "--apart", "./x.csv"), "two files"),
        ((SAMPLE, "-o", "no/such/folder.csv"), "cannot be written"),
        ((SAMPLE, "-o", "."), ". is a folder"),
        ((SAMPLE, "-o", "/"), "/ is a folder"),
        ((SAMPLE, "-o", ""), "name of a file is empty"),
        ((SAMPLE, "--apart", ""), "name of a file is empty"),
    ],
)
def test_bad_use_says_what_to_do(options: tuple[str | Path, ...], says: str) -> None:
    done = unmbox_(*options)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_what_is_no_mailbox_is_told() -> None:
    done = unmbox_("-", stdin=b"no mailbox\n")
    assert done.returncode == 2
    assert b"is no mbox" in done.stderr


def test_json_tells_of_damage_and_missing_parts(tmp_path: Path) -> None:
    path = tmp_path / "takeout-20240101T000000Z-002.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(SAMPLE, "Takeout/Mail/All mail.mbox")
    path.write_bytes(path.read_bytes()[:-100])
    done = unmbox_(path, "-o", tmp_path / "people.csv", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["damaged"][0]["reason"]
    assert len(said["missing"]) == 1
    assert said["contacts"]


def test_first_and_last_are_days_in_their_order() -> None:
    """Each is its writer's own day, and an earlier instant may be of a later one."""
    early = "Date: Fri, 1 Jan 2016 00:30:00 +1400\nFrom: a@x.org"
    late = "Date: Thu, 31 Dec 2015 11:00:00 +0000\nFrom: a@x.org"
    # The first Date of several counts.
    found = people(mail(1, early), mail(2, late))
    assert found["a@x.org"][5:] == ("2015-12-31", "2016-01-01")
