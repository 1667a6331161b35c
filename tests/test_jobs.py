"""Several processes give what one gives: the same files, rows and report, whatever happens to them."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmbox
from benchmarks import shapes
from corpus import rows as corpus_rows
from mails import Left, emls, left, mail, mailbox
from unmbox import EmlWriter, Progress, Report, SourceError, UsageError, _crew, _ranges
from unmbox._verify import verify
from unmbox.manifest import SourceState

DICE = random.Random(5)
TRAPS = (
    "From me to you.\n",
    "\nFrom here on it is text.\n",
    "\nFrom a@example.org Tue Mar 19 09:13:51 2019\nThat was quoted by nobody.\n",
    "\n>From a@example.org Tue Mar 19 09:13:51 2019\n\n",
    "A line.\n" * 2000,
    "",
)


def letters(number: int) -> list[str]:
    """Mails with copies, collisions, mails without Message-ID, labels to merge and lines that mislead."""
    return [
        mail(
            DICE.randrange(number),
            DICE.choice(TRAPS) * DICE.randint(1, 3),
            *DICE.choice([(), ("X-Gmail-Labels: Inbox",), ("X-Gmail-Labels: Work",), ("Status: RO",)]),
            id=DICE.choice(["", "", None]),
        )
        for _ in range(number)
    ]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "1.mbox").write_bytes(b"Nobody's line.\n\n" + mailbox(letters(150)))
    (folder / "2.mbox").write_bytes(mailbox(letters(60), "\r\n"))
    (folder / "3.mbox").write_bytes(mailbox(letters(3)))
    (folder / "4.mbox").write_bytes(mailbox(letters(40), "\r"))
    (folder / "5.mbox").write_bytes(mailbox([mail(1), mail(2, "A long text.\n" * 30_000), *letters(40)]))
    (folder / "6.mbox").write_bytes(b"This is no mailbox.\n" * 5000)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def alone(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Left]:
    """What one process makes of them."""
    eml = tmp_path_factory.mktemp("alone") / "eml"
    report = unmbox.convert(sources, eml)
    assert report.duplicates > 20
    assert report.rejected > 20
    assert report.collisions
    return report, left(eml)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ranges, "_LEAST", 4000)
    monkeypatch.setattr(_ranges, "RANGE", 20_000)


def untimed(report: Report) -> Report:
    return report._replace(seconds=0)


def assert_same(report: Report, eml: Path, alone: tuple[Report, Left]) -> None:
    assert untimed(report) == untimed(alone[0])
    there = left(eml)
    assert there.files == alone[1].files
    assert there.folders == alone[1].folders
    for table, expected in alone[1].rows.items():
        assert there.rows[table] == expected, table


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_outcome_is_that_of_one(
    jobs: int, sources: list[Path], tmp_path: Path, alone: tuple[Report, Left]
) -> None:
    ticks: list[unmbox.Progress] = []
    report = unmbox.convert(sources, tmp_path / "eml", jobs=jobs, progress=ticks.append)
    assert_same(report, tmp_path / "eml", alone)
    assert verify(tmp_path / "eml", sources=sources).ok
    octets = [tick.octets for tick in ticks]
    assert octets[-1] == ticks[-1].octets_total == sum(path.stat().st_size for path in sources)
    again = unmbox.convert(sources, tmp_path / "eml", jobs=jobs)
    assert (again.messages, again.already) == (0, report.messages)


@pytest.mark.parametrize(
    "options", [{"dedup": "off", "newline": "lf"}, {"headers": "preserve", "durable": True}]
)
def test_options_reach_the_others(options: dict[str, Any], sources: list[Path], tmp_path: Path) -> None:
    one = unmbox.convert(sources, tmp_path / "one", **options)
    assert_same(
        unmbox.convert(sources, tmp_path / "two", jobs=2, **options),
        tmp_path / "two",
        (one, left(tmp_path / "one")),
    )


def test_the_corpus(corpus: Path, tmp_path: Path) -> None:
    paths = [corpus / row.path for row in corpus_rows() if row.path.startswith("mbox/")]
    paths = [path for path in paths if path.stat().st_size > 8000]
    assert len(paths) > 10
    one = unmbox.convert(paths, tmp_path / "one")
    two = unmbox.convert(paths, tmp_path / "two", jobs=2)
    assert untimed(one) == untimed(two)
    assert emls(tmp_path / "one") == emls(tmp_path / "two")  # a file's time may be that of its writing
    assert left(tmp_path / "one").rows == left(tmp_path / "two").rows


@given(edges=st.lists(st.integers(1, 10**9), max_size=12))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_it_is_cut(
    edges: list[int],
    sources: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
    alone: tuple[Report, Left],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cut(source: unmbox.sources.Source, start: int, _: int) -> list[tuple[int, int]]:
        size = source.size or 0
        inner = sorted({at % size for at in edges if start < at % size})
        return list(zip([start, *inner], [*inner, size], strict=True))

    monkeypatch.setattr("unmbox._job.cut", cut)
    eml = tmp_path_factory.mktemp("cut") / "eml"
    assert_same(unmbox.convert(sources, eml, jobs=2), eml, alone)


def test_no_more_workers_start_than_have_something_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[_crew._Worker] = []
    start = _crew._Worker.__init__

    def count(worker: _crew._Worker, *args: Any) -> None:
        started.append(worker)
        start(worker, *args)

    monkeypatch.setattr(_crew._Worker, "__init__", count)
    source = tmp_path / "small.mbox"
    source.write_bytes(mailbox([mail(1)]))
    assert unmbox.convert(source, tmp_path / "eml", jobs=1000).written == 1
    assert started == []


@pytest.mark.parametrize("executable", [None, "frozen"])
def test_without_an_interpreter_to_start_one_process_does_it(
    executable: str | None,
    sources: list[Path],
    tmp_path: Path,
    alone: tuple[Report, Left],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if executable:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", None)
    assert_same(unmbox.convert(sources, tmp_path / "eml", jobs=2), tmp_path / "eml", alone)


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Kills the workers that are given their n-th orders, before or after they get them."""
    numbers: list[int] = []
    told = 0
    tell = _crew._Worker.tell

    def tell_and_kill(worker: _crew._Worker, order: Any) -> None:
        nonlocal told
        told += 1
        if told in numbers:
            os.kill(worker._process.pid, signal.SIGKILL)
        tell(worker, order)
        if -told in numbers:
            time.sleep(0.02)  # it may have begun
            os.kill(worker._process.pid, signal.SIGKILL)

    monkeypatch.setattr(_crew._Worker, "tell", tell_and_kill)
    yield numbers
    assert told >= max(map(abs, numbers), default=0)


@pytest.mark.parametrize("numbers", [[4], [-9], [12, -13], [2, 5]], ids=str)
def test_a_worker_that_dies(
    numbers: list[int],
    deadly: list[int],
    sources: list[Path],
    tmp_path: Path,
    alone: tuple[Report, Left],
    caplog: pytest.LogCaptureFixture,
) -> None:
    deadly += numbers
    report = unmbox.convert(sources, tmp_path / "eml", jobs=2)
    assert_same(report, tmp_path / "eml", alone)
    assert "a worker has died (signal 9): what it had not done is done here" in caplog.messages
    assert verify(tmp_path / "eml", sources=sources).ok


@pytest.mark.parametrize(
    "broken",
    [
        """
from unmbox import EmlWriter, _worker
send = EmlWriter.send
def failing(writer, event):
    if b"Subject: Mail 1" in getattr(event, "data", b""):
        raise RecursionError("made up")
    return send(writer, event)
EmlWriter.send = failing
_worker.main()
""",
        """
from unmbox import _worker
from unmbox._head import MessageHead
date = MessageHead.date.fget
def failing(head):
    if b"Subject: Mail 1" in head.block:
        raise RecursionError("made up")
    return date(head)
MessageHead.date = property(failing)
_worker.main()
""",
    ],
    ids=["written", "described"],
)
def test_a_message_that_cannot_be_converted(
    broken: str,
    sources: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_crew, "_CODE", broken)
    report = unmbox.convert(sources[0], tmp_path / "eml", jobs=2)
    assert report.quarantined > 0
    assert len(list((tmp_path / "eml" / "quarantine").iterdir())) == report.quarantined
    assert sum("quarantined the message" in text for text in caplog.messages) == report.quarantined
    monkeypatch.undo()
    unmbox.convert(sources[0], tmp_path / "eml", jobs=2)
    unmbox.convert(sources[0], tmp_path / "whole")
    assert left(tmp_path / "eml").files == left(tmp_path / "whole").files


def test_a_place_that_gives_out(sources: list[Path], tmp_path: Path, alone: tuple[Report, Left]) -> None:
    eml = tmp_path / "eml"
    eml.mkdir()
    (eml / "2019").write_text("in the way")
    with pytest.raises(unmbox.DestinationError) as caught:
        unmbox.convert(sources, eml, jobs=2)
    assert caught.value.under_way
    (eml / "2019").unlink()
    report = unmbox.convert(sources, eml, jobs=2)
    assert report.messages + report.already == alone[0].messages
    assert left(eml).files == alone[1].files


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
def test_a_run_that_is_stopped(
    number: signal.Signals, sources: list[Path], tmp_path: Path, alone: tuple[Report, Left]
) -> None:
    eml = tmp_path / "eml"
    order = [str(each) for each in (*sources, eml, "--jobs", "2", "--json")]
    code = (
        "import sys; from unmbox import _ranges; _ranges._LEAST, _ranges.RANGE = 4000, 20_000; "
        "from unmbox import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    for wait in (0.3, 0.5, 0.7):
        running = subprocess.Popen(
            [sys.executable, "-c", code, "convert", *order],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        time.sleep(wait)
        os.killpg(running.pid, number) if number != signal.SIGKILL else running.kill()
        running.communicate(timeout=30)
        assert running.returncode in {0, 2, 128 + number, -number}  # 2: one of the sources is no mailbox
    unmbox.convert(sources, eml, jobs=2)
    assert left(eml).files == alone[1].files
    assert not [path.name for path in eml.rglob(".*")]
    assert verify(eml, sources=sources).ok


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_what_was_read_here_and_what_a_worker_made_are_taken_back_apart(
    error: type[BaseException],
    deadly: list[int],
    sources: list[Path],
    tmp_path: Path,
    alone: tuple[Report, Left],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run ends with a parcel, while its own messages of the range before wait for their commit."""
    deadly += [2]  # the one that has the first range

    def stop(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(_crew.Crew, "write", stop)
        with pytest.raises(error):
            unmbox.convert(sources, tmp_path / "eml", jobs=2)
    report = unmbox.convert(sources, tmp_path / "eml", jobs=2)
    assert report.already
    assert left(tmp_path / "eml").files == alone[1].files
    assert verify(tmp_path / "eml", sources=sources).ok


def test_what_stands_before_the_first_message_is_counted_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped between the first messages of a range and the range's end goes on behind them."""
    monkeypatch.setattr(_ranges, "_LEAST", 4000)
    monkeypatch.setattr(_ranges, "RANGE", 300_000)
    monkeypatch.setattr("unmbox._report._TICK", 0)
    source = tmp_path / "a.mbox"
    with source.open("wb") as file:
        file.write(b"Not yet a mailbox\n")
        shapes.write("tiny", file, size=2_400_000)

    def stop(at: Progress) -> None:
        if at.messages >= 2000:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        unmbox.convert(source, tmp_path / "eml", jobs=2, progress=stop)
    report = unmbox.convert(source, tmp_path / "eml", jobs=2)
    assert report.already
    assert verify(tmp_path / "eml", sources=source).ok


def test_a_file_that_is_replaced_meanwhile(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of it must not be half of this file and half of that one."""
    monkeypatch.setattr("unmbox._report._TICK", 0)
    source = tmp_path / "a.mbox"
    source.write_bytes(sources[0].read_bytes() * 30)
    other = tmp_path / "other"
    other.write_bytes(source.read_bytes().replace(b"Subject: ", b"Another: "))

    def replace(at: Progress) -> None:
        if at.messages >= 1000 and other.exists():
            other.replace(source)

    with pytest.raises(SourceError, match=r"a\.mbox was replaced by another file while it was read"):
        unmbox.convert(source, tmp_path / "eml", jobs=2, progress=replace)
    with pytest.raises(UsageError, match="has changed since it was read"):
        unmbox.convert(source, tmp_path / "eml", jobs=2)
    written = [path.read_bytes() for path in (tmp_path / "eml").rglob("*.eml")]
    assert written
    assert not any(b"Another: " in octets for octets in written)


def test_a_worker_whose_caller_is_gone_says_nothing(sources: list[Path], tmp_path: Path) -> None:
    """It may be about to answer when the process that was called dies, before it sees its input end."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _crew._CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert worker.stdin
    assert worker.stdout
    worker.stdout.close()
    path = str(sources[0])
    task = _ranges.Task(1, path, SourceState(1, path, 1000, "file"), 0, 1000, True, 0)
    for order in (_ranges.Setup(str(tmp_path), False, unmbox.EmlWriter, "crlf", "auto"), task):
        pickle.dump(order, worker.stdin)
        worker.stdin.flush()
    assert worker.wait(30) == 0  # its input is still open
    assert worker.stderr
    assert worker.stderr.read() == b""
    worker.stdin.close()
    worker.stderr.close()


def test_a_number_that_is_none(sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="jobs is a number of processes, not 0: give 1 or more"):
        unmbox.convert(sources, tmp_path / "eml", jobs=0)
    assert not (tmp_path / "eml").exists()


def test_a_worker_that_dies_while_a_stream_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are written in the midst of that, and what was in quarantine is still known by its octets."""
    path = tmp_path / "a.mbox"
    path.write_bytes(mailbox([mail(number) for number in range(60)]))
    streamed = mailbox([mail(number, "", "X-Bad: 1", "Status: R") for number in range(100, 104)])
    send = EmlWriter.send

    def failing(writer: EmlWriter, event: Any) -> bytes:
        if b"X-Bad" in getattr(event, "data", b""):
            raise ZeroDivisionError("made up")
        return send(writer, event)

    with monkeypatch.context() as broken:
        broken.setattr(EmlWriter, "send", failing)
        assert unmbox.convert(iter([streamed]), tmp_path / "eml").quarantined == 4

    tell = _crew._Worker.tell
    parcels = 0

    def tell_or_kill(worker: _crew._Worker, order: Any) -> None:
        nonlocal parcels
        parcels += isinstance(order, _ranges.Paths)
        if isinstance(order, _ranges.Paths) and order.paths[-1] == last:
            worker._process.kill()
        tell(worker, order)

    whole = unmbox.convert([path, iter([streamed])], tmp_path / "whole")
    last = next(name for name, octets in emls(tmp_path / "whole").items() if b"Subject: Mail 59\r" in octets)
    monkeypatch.setattr(_crew._Worker, "tell", tell_or_kill)
    report = unmbox.convert([path, iter([streamed])], tmp_path / "eml", jobs=2)
    assert parcels
    assert (whole.written, report.written, report.quarantined) == (64, 64, 0)
    assert left(tmp_path / "eml").files == left(tmp_path / "whole").files
