"""What the parts cost on their own: ``pytest benchmarks``.

Whole mailboxes are some 4 MB, so that they stay in the processor's cache; a time divided by the size or
the count in `extra_info` is what to compare.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import mail, shapes
from unmbox import Body, DirectorySink, EmlWriter, End, Event, Head, Parser
from unmbox._dates import parse_date, parse_envelope
from unmbox._fromline import decide
from unmbox._head import MessageHead
from unmbox.naming import Layout

SIZE = 4 << 20
CHUNK = 1 << 16
MEMORY = Path("/dev/shm")

real_mail = pytest.mark.parametrize(
    ("shape", "newline"), [(shape, newline) for shape in ("takeout", "small") for newline in ("lf", "crlf")]
)


def cut(octets: bytes) -> list[bytes]:
    """As reading hands them on."""
    return [octets[at : at + CHUNK] for at in range(0, len(octets), CHUNK)]


def parse(pieces: list[bytes]) -> list[Event]:
    """Everything that the parser says."""
    parser = Parser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.close()


def heads(shape: str, count: int) -> list[Head]:
    """The heads of so many messages."""
    pieces = list(shapes.chunks(shape, count=count))
    return [event for event in parse(pieces) if isinstance(event, Head)]


@real_mail
def test_parser(benchmark: BenchmarkFixture, shape: str, newline: str) -> None:
    messages = list(shapes.chunks(shape, size=SIZE, newline=newline))
    octets = b"".join(messages)
    benchmark.extra_info.update(octets=len(octets), messages=len(messages))
    events = benchmark(parse, cut(octets))
    assert sum(isinstance(event, End) for event in events) == len(messages)


@pytest.mark.parametrize("shape", [name for name in shapes.SHAPES if name not in {"takeout", "small"}])
def test_parser_at_its_worst(benchmark: BenchmarkFixture, shape: str) -> None:
    octets = b"".join(shapes.chunks(shape, size=2 << 20))
    benchmark.extra_info["octets"] = len(octets)
    assert benchmark(parse, cut(octets))


@pytest.mark.parametrize("output", ["crlf", "lf"])
@real_mail
def test_writer(benchmark: BenchmarkFixture, shape: str, newline: str, output: str) -> None:
    events = parse(cut(b"".join(shapes.chunks(shape, size=SIZE, newline=newline))))
    writer = EmlWriter(headers="preserve", newline=output)
    benchmark.extra_info["octets"] = sum(
        len(event.data) for event in events if isinstance(event, (Head, Body))
    )
    written = benchmark(lambda: sum(len(writer.send(event)) for event in events))
    assert written > SIZE * 0.9


@pytest.mark.parametrize(
    "line",
    [
        b"From 1628424719502045299@xxx Tue Mar 19 09:13:51 +0000 2019\n",
        b"From someone@example.org Tue Mar 19 09:13:51 2019\n",
        b"From -\n",
        b"From the first of the month on, the office opens at nine\n",
    ],
    ids=["takeout", "classic", "undated", "prose"],
)
def test_decide(benchmark: BenchmarkFixture, line: bytes) -> None:
    data = line + b"Received: by mx1.example.org\nSubject: Hello\n\nHello\n"
    if line.startswith(b"From the"):
        data = line + b"and closes at five.\n"
    assert benchmark(decide, data, 0, len(line) - 1, blank_before=True, alone=False, at_eof=False)


@pytest.mark.parametrize(
    "text",
    [
        b"Tue, 19 Mar 2019 09:13:51 +0900",
        b"Tue, 19 Mar 2019 09:13:51 -0700 (PDT)",
        b"19 Mar 99 9:13 GMT",
        b"2019-03-19T09:13:51Z",
        b"next Tuesday",
    ],
)
def test_date(benchmark: BenchmarkFixture, text: bytes) -> None:
    assert (benchmark(parse_date, text) is None) == (text == b"next Tuesday")


@pytest.mark.parametrize("takeout", [False, True], ids=["classic", "takeout"])
def test_envelope(benchmark: BenchmarkFixture, takeout: bool) -> None:
    line = mail.from_line(b"1628424719502045299@xxx", 1_552_986_831, takeout=takeout)
    assert benchmark(parse_envelope, line)[1]


@pytest.mark.parametrize("shape", ["takeout", "small"])
def test_what_a_name_needs_of_a_head(benchmark: BenchmarkFixture, shape: str) -> None:
    endless = itertools.cycle(heads(shape, 200))

    def look() -> tuple[object, str]:
        head = MessageHead(next(endless), "mail.mbox")
        return head.date, head.subject

    assert benchmark(look)[0]


def test_naming(benchmark: BenchmarkFixture) -> None:
    known = [MessageHead(head, "mail.mbox") for head in heads("small", 200)]
    endless = itertools.cycle([(head.date, head.subject, head["From"] or "") for head in known])
    layout = Layout()

    def name() -> str:
        date, subject, sender = next(endless)
        return layout.path(date=date, subject=subject, sender=sender, hash="0123456789ab")

    assert benchmark(name).endswith(".eml")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory if that can be: a disk's figures say more of the disk."""
    parent = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(prefix="unmbox-bench-", dir=parent) as name:
        yield Path(name)


def test_directory_sink(benchmark: BenchmarkFixture, folder: Path) -> None:
    known = [MessageHead(head, "mail.mbox") for head in heads("small", 200)]
    octets = b"x" * 5000
    numbers = itertools.count()

    with DirectorySink(folder / "eml") as sink:

        def write() -> None:
            number = next(numbers)
            target = sink.open(known[number % len(known)])
            target.write(octets)
            target.commit(f"2019/{number % 12 + 1:02d}/{number:012x}.eml")

        benchmark(write)
        written = next(numbers)
    found = [name for _, _, names in os.walk(folder) for name in names if name.endswith(".eml")]
    assert len(found) == written
