"""Line ends, a chunk at a time: to CRLF, to LF, and the look that nearly all octets get instead."""

from __future__ import annotations

from typing import Final

_LF, _CR = 10, 13  # numbers: `in` first takes octets for one, fails, and searches then
_FEW: Final = 1 << 13
"""Octets for which replacing takes no longer than looking for lines of one width."""
_WIDTHS: Final = range(48, 1000)
"""Of lines with their ends, as encoders make them; a few lines of less are alike by chance."""


def all_crlf(octets: bytes) -> bool:
    """Whether each CR and each LF is half of a CRLF.

    An attachment in base64 is lines of one width, so where its line ends must be is known from one of them.
    These are compared and blanked out by slices with a step, and one search for each of CR and LF shows that
    there are no others: a third of the time of replacing.
    """
    size = len(octets)
    if size >= _FEW:
        end = octets.find(b"\n", size >> 1)
        width = octets.find(b"\n", end + 1) - end
        if width in _WIDTHS and octets[end : end + 8 * width : width] == b"\n" * 8:
            column, line = octets[end % width :: width], end // width
            first = len(column[:line].rstrip(b"\n"))
            lines = len(column) - len(column[line:].lstrip(b"\n")) - first
            start = end % width + first * width - 1  # of the first line's CR
            stop = start + (lines - 1) * width + 2
            if start < 0 or octets[start:stop:width] != b"\r" * lines:
                return False
            if stop - start > size >> 2:
                blanked = bytearray(octets)
                blanked[start:stop:width] = blanked[start + 1 : stop : width] = bytes(lines)
                if blanked.find(_LF, start, stop) < 0 and blanked.find(_CR, start, stop) < 0:
                    return all_crlf(octets[:start]) and all_crlf(octets[stop:])
    # Two replacements of single octets cost a quarter of one of CRLF.
    return octets.replace(b"\r", b"").replace(b"\n", b"\r\n") == octets


def to_crlf(octets: bytes) -> bytes:
    """End each line with CRLF; give back the same object where all do already. Lone CRs stay."""
    if _CR not in octets:
        return octets.replace(b"\n", b"\r\n")
    return octets if all_crlf(octets) else octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def to_lf(octets: bytes) -> bytes:
    """End each line with LF. Lone CRs stay."""
    if _CR not in octets:
        return octets
    return octets.replace(b"\r", b"") if all_crlf(octets) else octets.replace(b"\r\n", b"\n")


def with_lf(octets: bytes) -> bytes:
    """End each line with LF, where lone CRs end a source's lines: then any line end is one."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
