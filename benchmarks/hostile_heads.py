"""What header blocks made to cost time do cost: each shape at doubling sizes, which must double the time.

    python -m benchmarks.hostile_heads            # every shape, 64 to 512 KiB
    python -m benchmarks.hostile_heads comments quotes
    python -m benchmarks.hostile_heads --limit 3  # exit status 1 if twice the size takes 3 times as long

A block over 1 MiB is not looked at beyond its line ends (the shape `huge` goes to 64 MiB).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from unmbox._parser import Parser
from unmbox._writer import EmlWriter

_SIZES = tuple((1 << 16) << step for step in range(4))
_HUGE = tuple((1 << 20) << step for step in range(1, 7))
_SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; c=%b; b=aaaa; bh=bbbb; d=example.com; s=s; h=from:%b\n"


def _times(pattern: bytes) -> Callable[[int], bytes]:
    return lambda size: pattern * (size // len(pattern))


def _value(name: bytes, pattern: bytes) -> Callable[[int], bytes]:
    return lambda size: name + b": " + pattern * (size // len(pattern)) + b"\n"


def _numbered(pattern: bytes) -> Callable[[int], bytes]:
    return lambda size: b"".join(pattern % number for number in range(size // len(pattern % 99_999)))


def _signed(pattern: bytes) -> Callable[[int], bytes]:
    """Half the block are signatures that name many fields, half are fields to be repaired."""
    names = b":".join(b"x-%d:to:subject:x-unmbox-line" % number for number in range(20))
    signature = _SIGNATURE % (b"simple/simple", names)
    return lambda size: signature * (size // 2 // len(signature)) + pattern * (size // 2 // len(pattern))


SHAPES: dict[str, Callable[[int], bytes]] = {
    # Many fields.
    "healthy": _numbered(b"X-%d: a\n"),
    "no-field": _times(b"no field\n"),
    "illegal-names": _times(b"\xe9:\n"),
    "from-lines": _times(b">From x\n"),
    "nul": _times(b"X: \0\n"),
    "nul-lines": _times(b"\0\n"),
    "bare-cr": _times(b"X: \ra\n"),
    "spaces-before-colon": _times(b"X : \n"),
    "bookkeeping": _times(b"Status: R\n"),
    "duplicates": _times(b"To: a\n"),
    "bad-dates": _times(b"Date: x\n"),
    "bad-ids": _times(b"Message-ID: x y\n"),
    "empty-from": _times(b"From:\n"),
    "received": _times(b"Received: x; y\n"),
    "8bit-text": _times("Subject: é\n".encode()),
    "8bit-unclear": _numbered(b"X-%d: \xe9\xff \x81\n"),
    "8bit-names": _times("Cc: é <a@b>\n".encode()),
    "8bit-addresses": _times("Resent-To: é@é\n".encode()),
    "folds": lambda size: b"Subject:" + b"\n " * (size // 2) + b"a\n",
    "damage": _times(b"X: \xef\xbf\xbd\n"),
    # Signatures.
    "signatures": _signed(b"X: \n"),
    "signed-duplicates": _signed(b"To: a\n"),
    "signed-lines": _signed(b"a line\n"),
    "names-in-h": lambda size: (
        b"From: a@b\n" + _SIGNATURE % (b"relaxed", b"to:" * (size // 3)) + b"To: a\nTo: b\n"
    ),
    "unsigned-names": lambda size: (
        b"DKIM-Signature: " + b"a" * (size // 2) + b"\n" + _numbered(b"X-%d : a\n")(size // 2)
    ),
    "signed-damage": _signed(b"To: \xef\xbf\xbd\n"),
    "tags": _value(b"DKIM-Signature", b"a=b; "),
    # One field.
    "one-word": _value(b"Subject", b"a"),
    "one-8bit-word": _value(b"Subject", "é".encode()),
    "words": _value(b"Subject", b"a "),
    "white-space": lambda size: b"Subject: a" + b" " * size + b"b\n",
    "encoded-words": _value(b"Subject", b"=?UTF-8?Q?a?= "),
    "glued-encoded-words": _value(b"Subject", b"=?UTF-8?Q?a?="),
    "openings": _value(b"Subject", b"=?a?Q?"),
    "8bit-openings": _value(b"Subject", b"=?\xe9?Q?"),
    "one-address": _value(b"To", b"a@"),
    "addresses": _value(b"To", b"a@b,"),
    "comments": lambda size: b"To: a@b " + b"(" * (size // 2) + "é".encode() + b")" * (size // 2) + b"\n",
    "comments-in-date": lambda size: b"Date: " + b"(" * (size // 2) + b")" * (size // 2) + b"\n",
    "open-comments": _value(b"Cc", "é(".encode()),
    "quotes": _value(b"To", b'"'),
    "escapes": _value(b"To", '"é\\"'.encode()),
    "angles": _value(b"To", "<é".encode()),
    "angles-in-id": _value(b"Message-ID", b"<"),
    "parameters": _value(b"Content-Type", b'; a="b"'),
    "8bit-parameters": _value(b"Content-Type", '; a="é"'.encode()),
    "one-parameter": lambda size: b"Content-Disposition: attachment; filename=" + b"a" * size + b"\n",
    "references": _value(b"References", b"<a@b>"),
    # No block at all.
    "text": _times(b"a line of text that is no field\n"),
    "cr-runs": lambda size: b"Subject: " + b"\r" * size + b"x\n",
    "cr-cr-lf": _times(b"X: a\r\r\n"),
    "huge": _times(b"X-Field: a\n Status: b\n"),
}


def seconds(block: bytes) -> float:
    """What it takes to read a mailbox of one message with this header block, and to write its EML."""
    source = b"From a@b Tue Mar 19 09:13:51 2019\n" + block + b"\nbody\n"
    start = time.perf_counter()
    parser, writer = Parser(), EmlWriter()
    written = 0
    for at in range(0, len(source), 1 << 16):
        written += sum(len(writer.send(event)) for event in parser.feed(source[at : at + (1 << 16)]))
    written += sum(len(writer.send(event)) for event in parser.close())
    assert written, "an EML has octets"
    return time.perf_counter() - start


def main() -> int:
    """Print a line a shape; with a limit, fail where time grows faster than that for a doubled size."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("shapes", nargs="*", help="shapes to time (all)")
    asked.add_argument("--limit", type=float, help="largest growth allowed for a doubled size")
    options = asked.parse_args()
    failed = False
    for name in options.shapes or SHAPES:
        sizes = _HUGE if name == "huge" else _SIZES
        taken = [min(seconds(SHAPES[name](size)) for _ in range(2)) for size in sizes]
        growth = (taken[-1] / taken[0]) ** (1 / (len(sizes) - 1))
        failed |= options.limit is not None and growth > options.limit
        shown = "  ".join(
            f"{size >> 10:6} K {1000 * spent:8.1f} ms" for size, spent in zip(sizes, taken, strict=True)
        )
        print(f"{name:20} {shown}   x {growth:.2f} for twice the size", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
