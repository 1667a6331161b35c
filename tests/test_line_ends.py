"""Line ends: whether all are CRLF is told right, in lines of one width and among them."""

from __future__ import annotations

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmbox import _line_ends
from unmbox._line_ends import all_crlf, to_crlf, to_lf, with_lf

LINES = encodebytes(bytes(range(256)) * 400).replace(b"\n", b"\r\n")  # some 140 KB, 78 octets a line


def _plainly(octets: bytes) -> bool:
    rest = octets.replace(b"\r\n", b"")
    return b"\r" not in rest and b"\n" not in rest


@st.composite
def octets_of_runs(draw: st.DrawFn) -> bytes:
    """Runs of lines of one width each, whole or with another octet somewhere."""
    line = st.tuples(st.binary(max_size=9), st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"\n\r"]))
    runs = draw(st.lists(st.tuples(line, st.integers(0, 40)), max_size=4))
    octets = bytearray(b"".join(b"".join(each) * times for each, times in runs))
    if octets:
        for at in draw(st.lists(st.integers(0, len(octets) - 1), max_size=2)):
            octets[at] = draw(st.sampled_from(b"\r\nx"))
    return bytes(octets)


@given(octets_of_runs())
def test_each_cr_and_lf_is_half_of_a_crlf_or_not(octets: bytes) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_line_ends, "_FEW", 8)
        patched.setattr(_line_ends, "_WIDTHS", range(1, 12))
        assert all_crlf(octets) == _plainly(octets)


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"x"])
def test_one_octet_in_an_attachment_is_seen(octet: bytes) -> None:
    assert all_crlf(LINES)
    for at in (*range(160), *range(69_900, 70_060), *range(len(LINES) - 160, len(LINES))):
        octets = LINES[:at] + octet + LINES[at + 1 :]
        assert all_crlf(octets) == _plainly(octets)
        octets = LINES[:at] + octet + LINES[at:]
        assert all_crlf(octets) == _plainly(octets)


def test_attachments_and_text_between_them() -> None:
    text = b"Hello,\r\nthere\r\n\r\n" * 700
    assert all_crlf(text + LINES + text + LINES[:9000] + text)
    assert not all_crlf(text + LINES + text + b"\n" + LINES[:9000] + text)


def test_healthy_octets_come_back_as_they_are() -> None:
    assert to_crlf(LINES) is LINES
    lf = to_lf(LINES)
    assert lf == LINES.replace(b"\r\n", b"\n")
    assert to_crlf(lf) == LINES
    assert to_lf(lf) is lf


def test_lone_crs_stay_or_end_lines() -> None:
    assert to_crlf(b"a\rb\nc\r\n") == b"a\rb\r\nc\r\n"
    assert to_lf(b"a\rb\nc\r\n") == b"a\rb\nc\n"
    assert with_lf(b"a\rb\nc\r\n") == b"a\nb\nc\n"
