"""`_fromline`: what carries a date, and the decision about one line from the lines around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SOUP

from unmbox._fromline import LOOK_AHEAD, decide, is_dated

DATED = b"From a@example.org Thu Jan  1 00:00:00 1970"


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
    ],
)
def test_dated(line: bytes, end: bytes) -> None:
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
def test_undated(line: bytes) -> None:
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
        data, 0, len(data) if line_end < 0 else line_end, blank_before=blank_before, alone=alone, at_eof=at_eof
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
    ("line", "after", "blank", "no_blank"),
    [
        (b"From ", b"To: x\nX-Unknown: y\n\n", True, True),
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
@pytest.mark.parametrize("piece", [b"x", b" ", b"X: y\n", b"X: y\n z\n", b"\n", b"x\n", b">", b">From "], ids=repr)
@pytest.mark.parametrize("blank_before", [True, False])
def test_the_look_ahead_is_bounded(line: bytes, piece: bytes, blank_before: bool) -> None:
    """With more than 64 KiB there is always a verdict, and as much again does not change it."""
    for start in [b"", b"Subject: ", b"Subject: x\n ", b"Subject: x\n"]:
        data = line + b"\n" + start + piece * (2 * LOOK_AHEAD // len(piece))
        more = data[: LOOK_AHEAD + 1]
        assert verdict_on(more, blank_before=blank_before, at_eof=False) is not None
        assert verdict_on(more, blank_before=blank_before, at_eof=False) is verdict_on(data, blank_before=blank_before)
