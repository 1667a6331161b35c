"""Gmail's labels: decoded first, split after."""

from __future__ import annotations

import base64
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmbox.labels import decode_labels


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Inbox,Important,Opened", ["Inbox", "Important", "Opened"]),
        (b" Inbox, Category Updates\r\n", ["Inbox", "Category Updates"]),
        (b"Inbox,\r\n Sent", ["Inbox", "Sent"]),
        (b'"Smith, John",Inbox', ["Smith, John", "Inbox"]),
        (b'"say ""hi"", then go",Inbox', ['say "hi", then go', "Inbox"]),
        (b"\\'quoted,Inbox", ["'quoted", "Inbox"]),
        (b"a\\'b", ["a\\'b"]),
        (b"b,a,b,,a, ,c", ["b", "a", "c"]),
        (b"", []),
        (b'"', ['"']),
        (b'""', []),
        (b'"open,Inbox', ['"open', "Inbox"]),
        (b"=?UTF-8?Q?Archived,=22Work,_old=22,Inbox?=", ["Archived", "Work, old", "Inbox"]),
        # One label in two encoded-words, and one character in two.
        (
            (
                b"=?UTF-8?Q?=E5=8F=97=E4=BF=A1=E3=83=88=E3=83=AC?=\r\n =?UTF-8?Q?=E3=82=A4,Projekt_?=\r\n"
                b" =?UTF-8?Q?M=C3?= =?UTF-8?Q?=BCnchen?="
            ),
            ["受信トレイ", "Projekt München"],
        ),
        ("Archivés,Envoyé".encode(), ["Archivés", "Envoyé"]),
    ],
)
def test_labels(raw: bytes, expected: list[str]) -> None:
    assert decode_labels(raw) == expected


@given(st.binary())
def test_nothing_raises(raw: bytes) -> None:
    labels = decode_labels(raw)
    assert "" not in labels
    assert len(set(labels)) == len(labels)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1).filter(
    lambda name: not name.startswith(("'", "\\'")) and name.strip() == name
)


@given(st.lists(NAMES, unique=True), st.integers(1, 45))
def test_what_a_csv_writer_wrote_comes_back(names: list[str], cut: int) -> None:
    line = io.StringIO()
    csv.writer(line).writerow(names)
    octets = line.getvalue().removesuffix("\r\n").encode()
    words = [octets[at : at + cut] for at in range(0, len(octets), cut)]
    raw = b"\r\n ".join(b"=?utf-8?B?" + base64.b64encode(word) + b"?=" for word in words)
    assert decode_labels(raw) == names
