"""Write a generated mailbox as a stream: the same octets on every machine, in flat memory.

    python -m benchmarks.shapes takeout --size 256M --newline crlf mail.mbox
    python -m benchmarks.shapes tiny --count 500000 - | python -m unmbox convert - eml/

`takeout` and `small` are the two shapes of real mail that the comparisons use; the others are worst
cases, for time and for memory. A size is at least that many octets (K, M, G are powers of 1024).
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks import mail

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_BLOCK = 1 << 16

_FROM = b"1628424719502045299@xxx"
_EPOCH = 1_552_986_831
_FIELDS = b"""\
From: a@example.com
To: b@example.org
Subject: A message with one thing too many
Date: Tue, 19 Mar 2019 09:13:51 +0000
Message-ID: <one@example.com>
"""

_BASE64_AND_WORDS = (
    b"bm90aGluZyB0byBzZWUgaGVyZSwganVzdCBvY3RldHMgaW4gYSByb3csIHRoYXQgaXMgYWxs\n" * 13
    + b"and a line of words, from here to there\n"
)
# Undated, each followed by what a look-ahead has to read before it can say no.
_DENSE_FROM = (
    b"From the window we saw it\nFrom the door: nothing\nNote: a line like a field\n"
    b" and one like its fold\n\nFrom there on\n\nFrom\tnowhere\n"
)
_RUNS = b"".join(b"a line and a run of %d\n" % n + b"\n" * n for n in (*range(41), 70_000))


@dataclass(frozen=True)
class Shape:
    """How a mailbox is made: message by message, or one message filled up with a pattern."""

    about: str
    default: str
    messages: Callable[..., Iterator[bytes]] | None = None
    head: bytes = b""
    pattern: bytes = b""
    tail: bytes = b"\n"


def _body(about: str, default: str, *, pattern: bytes, tail: bytes = b"\n") -> Shape:
    return Shape(about, default, head=_FIELDS + b"\n", pattern=pattern, tail=tail)


def _many_fields(*, takeout_from: bool = False) -> Iterator[bytes]:
    fields = b"".join(b"X-Field-%d: value %d\n" % (n, n) for n in range(100_000))
    for number in itertools.count():
        separator = mail.from_line(_FROM, _EPOCH, takeout=takeout_from)
        yield b"%bSubject: %d\n%b\nHi.\n\n" % (separator, number, fields)


SHAPES = {
    "takeout": Shape("Gmail's headers, base64 attachments, mean 75 KB", "256M", mail.takeout),
    "small": Shape("plain English and Japanese text, mean 5 KB", "256M", mail.small),
    "tiny": Shape("messages of 130 octets", "64M", mail.tiny),
    "many-fields": Shape("messages of 100,000 header fields", "16M", _many_fields),
    "giant-message": _body("one message of base64 and words", "512M", pattern=_BASE64_AND_WORDS),
    "giant-line": _body(
        "one line, with From in the midst of it",
        "256M",
        pattern=b"no line end in here, From the first octet to the last; >From a to z ",
        tail=b"\n\n",
    ),
    "giant-head": Shape(
        "one header block of long fields",
        "64M",
        head=_FIELDS,
        pattern=b"X-Filler: a field that says nothing, and goes on\n to a second line to say the same\n",
        tail=b"\nHi.\n\n",
    ),
    "giant-field": Shape(
        "one folded header field",
        "64M",
        head=_FIELDS + b"X-Filler: folded\n",
        pattern=b" and folded again, always with the same words as it were\n",
        tail=b"\nHi.\n\n",
    ),
    "endless-head": Shape(
        "a header block that never ends",
        "16M",
        head=_FIELDS,
        pattern=b"X-Filler: a field that says nothing\n",
    ),
    "dense-from": _body("lines that begin with From and are no separators", "16M", pattern=_DENSE_FROM),
    "dense-from-head": Shape(
        "the same among trace fields",
        "16M",
        pattern=b"Received: by mx1.example.org\nReceived: by mx2.example.org\nFrom stray\n",
        tail=b"\nHi.\n\n",
    ),
    "dense-quoted": _body(
        "quoted From lines", "16M", pattern=b">From a\n>>From b\n>From c d e\n>>>>>From f\n"
    ),
    "one-octet-lines": _body("lines of one octet", "16M", pattern=b"x\n"),
    "newline-runs": _body("runs of 0 to 70,000 empty lines", "16M", pattern=_RUNS),
}


def size_of(text: str) -> int:
    """``256M`` as octets."""
    number, unit = (text[:-1], _UNITS[text[-1].upper()]) if text[-1:].upper() in _UNITS else (text, 1)
    try:
        return int(float(number) * unit)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (say 500000, 64K, 256M or 1G)") from None


def chunks(
    name: str,
    *,
    size: int | None = None,
    count: int | None = None,
    newline: str = "lf",
    from_line: str = "classic",
) -> Iterator[bytes]:
    """Yield the mailbox: a message at a time, or pieces of some 64 KiB where one message fills it.

    It ends with the message that reaches `size` octets, or after `count` messages, whichever is given.
    """
    shape = SHAPES[name]
    crlf = newline == "crlf"
    takeout_from = from_line == "takeout"
    if size is None and count is None:
        size = size_of(shape.default)
    if shape.messages is None and count is not None:
        raise ValueError(f"{name} holds one message: give a size")
    make = shape.messages or partial(_one_message, shape)
    pieces = make(takeout_from=takeout_from)
    octets = 0
    for number, piece in enumerate(pieces):
        if (size is not None and octets >= size) or number == count:
            break
        # No piece holds a CR, nor does a cut part one, so this is exact.
        data = piece.replace(b"\n", b"\r\n") if crlf else piece
        octets += len(data)
        yield data
    if shape.messages is None:
        yield shape.tail.replace(b"\n", b"\r\n") if crlf else shape.tail


def _one_message(shape: Shape, *, takeout_from: bool) -> Iterator[bytes]:
    yield mail.from_line(_FROM, _EPOCH, takeout=takeout_from) + shape.head
    block = shape.pattern * max(1, _BLOCK // len(shape.pattern))
    while True:
        yield block


def write(
    name: str,
    file: IO[bytes],
    *,
    size: int | None = None,
    count: int | None = None,
    newline: str = "lf",
    from_line: str = "classic",
) -> array[int]:
    """Write the mailbox; returns where each message begins, and at last where the mailbox ends."""
    offsets = array("Q", [0])
    for data in chunks(name, size=size, count=count, newline=newline, from_line=from_line):
        file.write(data)
        offsets.append(offsets[-1] + len(data))
    return offsets if SHAPES[name].messages else array("Q", [0, offsets[-1]])


def main(arguments: list[str] | None = None) -> int:
    """Write one mailbox to a file or to standard output, and say on standard error how large it is."""
    about = "\n".join(f"  {name:<16} {shape.about} ({shape.default})" for name, shape in SHAPES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shapes",
        description="Write a generated mailbox.",
        epilog=f"shapes (with the size they have unless told otherwise):\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shape", choices=SHAPES, metavar="SHAPE", help="one of those below")
    parser.add_argument("out", metavar="OUT", help="the file to write, - for standard output")
    parser.add_argument("--size", type=size_of, help="stop at so many octets: 500000, 64K, 256M, 1G")
    parser.add_argument("--count", type=int, help="stop after so many messages")
    parser.add_argument("--newline", choices=("lf", "crlf"), default="lf")
    parser.add_argument(
        "--from-line", choices=("classic", "takeout"), default="classic", help="takeout: zone before the year"
    )
    options = vars(parser.parse_args(arguments))
    name, out = options.pop("shape"), options.pop("out")
    if options["count"] is not None and SHAPES[name].messages is None:
        parser.error(f"{name} holds one message: give a --size")
    try:
        with nullcontext(sys.stdout.buffer) if out == "-" else Path(out).open("wb") as file:
            offsets = write(name, file, **options)
            file.flush()
    except BrokenPipeError:
        # The reader has gone; the interpreter must not try to flush what is left at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    print(f"{len(offsets) - 1} messages, {offsets[-1]} octets", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
