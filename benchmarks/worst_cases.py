"""What mailboxes made to cost time do cost, beside plain mail, and how that grows with their size.

    python -m benchmarks.worst_cases                       # every shape, 1, 4, 16 MiB, parser and convert
    python -m benchmarks.worst_cases dense-from --size 4M  # 4, 16 and 64 MiB of one shape
    python -m benchmarks.worst_cases --parser --limit 20   # exit status 1 if one takes 20 times as long

Each figure is processor time in milliseconds for a MiB, the best of three runs (one for convert); behind
it stands how many times that of plain mail it is. Linear shapes show the same figure at every size, or a
falling one: of a source's From_ lines that are not taken the first 10,000 are told one by one.

A message costs a file, a name and a row, and the parser three events, however short it is; plain mail
has one in 5 KB. Where a shape has more of them, the last column says how many times the time of as many
plain messages it takes. The limit is for what takes longer than both as many octets and as many messages.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import unmbox
from benchmarks.shapes import chunks, size_of
from unmbox._parser import Parser
from unmbox.events import End

_CHUNK = 1 << 16
_MIB = 1 << 20
_PLAIN = "small"
_DATED = b"From a@example.org Thu Jan  1 00:00:00 1970\n"
_FIELDS = b"From: a@example.org\nSubject: one\n"
_MAIL = _DATED + _FIELDS + b"\ntext\n\n"
_PARTS = _DATED + b"Content-Type: multipart/mixed; boundary=b\n\n"
_PART = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\nContent-Type: text/plain\n\ntext\n\n"


def _body(pattern: bytes) -> Callable[[int], bytes]:
    return lambda size: _MAIL + pattern * (size // len(pattern))


def _head(pattern: bytes) -> Callable[[int], bytes]:
    return lambda size: _DATED + pattern * (size // len(pattern)) + b"\ntext\n"


def _shape(name: str) -> Callable[[int], bytes]:
    return lambda size: b"".join(chunks(name, size=size))


def _attached(size: int) -> bytes:
    part = b"--b0\nContent-Type: message/rfc822\n\n" + _MAIL * (size // len(_MAIL)) + b"--b0--\n"
    return _DATED + b"Content-Type: multipart/mixed; boundary=b0\n\n" + part


def _dashed(size: int) -> bytes:
    mail = _PARTS + b"".join(b"--%x\n" % number for number in range(1 << 13)) + b"text\n\n"
    return mail * (size // len(mail) + 1)


def _awaited(size: int) -> bytes:
    mail = _PARTS + b"text\n\n"
    return (mail * ((1 << 19) // len(mail)) + b"--b\n\n") * (size + (1 << 19) - 1 >> 19)


def _cut_off(size: int) -> bytes:
    return b"".join(_DATED + _PART % (number, number) for number in range(size // 140))


SHAPES: dict[str, Callable[[int], bytes]] = {
    _PLAIN: _shape("small"),
    "takeout": _shape("takeout"),
    # Lines that begin with "From ": prose, a field behind, dated among text, the old header field.
    "dense-from": _body(b"From \n"),
    "dense-from-prose": _body(b"From here\nand there\n"),
    "dense-from-field": _body(b"From here\nNote: x\n\n"),
    "dense-from-dated": _body(b"text\n" + _DATED + b"text\n"),
    "dense-from-colon": _body(b"From : a\n"),
    "dense-from-mixed": _shape("dense-from"),
    "dense-from-head": _head(b"From x\n"),
    "dense-from-trace": _head(b"Received: x\nFrom y\n"),
    "dense-from-junk": lambda size: b"From x\n" * (size // 7),
    "dense-from-attached": _attached,
    "dense-quoted": _body(b">From \n"),
    "dense-quoted-deep": _body(b">>>>From a\n>From b\n>>From c\n"),
    "from-mid-line": _body(b"x>From "),
    # Lines and runs.
    "one-octet-lines": _body(b"x\n"),
    "newlines": _body(b"\n"),
    "newline-runs": _shape("newline-runs"),
    "carriage-returns": _body(b"\r\n"),
    "one-line": _shape("giant-line"),
    "one-word": _body(b"x"),
    "spaces": _body(b" "),
    "quote-marks": _body(b">"),
    # Header blocks.
    "endless-head": _shape("endless-head"),
    "one-field": _shape("giant-field"),
    "fields-100000": _shape("many-fields"),
    # Messages.
    "tiny": _shape("tiny"),
    # Boundaries: of a message that is cut off, one that comes but is another message's, lines like many.
    "cut-off-multiparts": _cut_off,
    "awaited-boundary": _awaited,
    "dashed-lines": _dashed,
    "dense-from-parts": lambda size: _PARTS + (b"--b\n\n" + _DATED) * (size // 49),
}


def messages_in(data: bytes) -> int:
    """How many messages the parser finds."""
    parser = Parser()
    return sum(isinstance(event, End) for event in [*parser.feed(data), *parser.close()])


def parser_seconds(data: bytes) -> float:
    """Processor time of `Parser` alone."""
    started = time.process_time()
    parser = Parser()
    for at in range(0, len(data), _CHUNK):
        parser.feed(data[at : at + _CHUNK])
    parser.close()
    return time.process_time() - started


def convert_seconds(data: bytes) -> float:
    """Processor time of `convert` into a folder, manifest and all."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "mail.mbox")
        source.write_bytes(data)
        started = time.process_time()
        unmbox.convert(source, Path(folder, "eml"))
        return time.process_time() - started


def main(arguments: list[str] | None = None) -> int:
    """Print a line a shape; with a limit, fail where the largest takes more times plain mail's time."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("shapes", nargs="*", help=f"some of: {' '.join(SHAPES)} (all)")
    asked.add_argument("--size", type=size_of, default=1 << 20, help="the smallest size (1M)")
    asked.add_argument("--steps", type=int, default=3, help="how many sizes, each four times the last (3)")
    asked.add_argument("--parser", action="store_true", help="the parser alone, not convert")
    asked.add_argument(
        "--limit",
        type=float,
        help="times plain mail's time that a shape may take, both by octets and by messages",
    )
    options = asked.parse_args(arguments)
    unknown = set(options.shapes) - SHAPES.keys()
    if unknown:
        asked.error(f"no such shape: {', '.join(sorted(unknown))}")
    sizes = [options.size << 2 * step for step in range(options.steps)]
    jobs = [("parser", parser_seconds, 3)] + [("convert", convert_seconds, 1)] * (not options.parser)
    failed = False
    for job, seconds, runs in jobs:
        print(f"{job}: ms a MiB at {', '.join(f'{size >> 10} K' for size in sizes)} (times plain mail)")
        seconds(_MAIL)  # what a first run imports is not a shape's
        plain: list[float] = []
        plain_messages = 0.0
        for name in dict.fromkeys([_PLAIN, *(options.shapes or SHAPES)]):
            taken, data = [], b""
            for size in sizes:
                data = SHAPES[name](size)
                taken.append(min(seconds(data) for _ in range(runs)) * 1e3 / (len(data) / _MIB))
            messages = messages_in(data) / (len(data) / _MIB)
            plain, plain_messages = plain or taken, plain_messages or messages
            times = [each / one for each, one in zip(taken, plain, strict=True)]
            shown = "  ".join(f"{each:8.1f} ({by:5.1f})" for each, by in zip(taken, times, strict=True))
            more = messages / plain_messages
            shown += f"  a message: {times[-1] / more:.1f}" if more > 1 else ""
            print(f"{name:20} {shown}", flush=True)
            failed |= options.limit is not None and times[-1] / max(more, 1) > options.limit
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
