"""A run that ended too soon, at whatever instant, and the next one do together what one would have done."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from unittest import mock

import pytest

import unmbox
from killing import ENDED, Fault, Killed, Order, dying_at_once, faulty, in_another_process, small
from ledger import rows
from mails import Left, adds_up, column, emls, left, mail, mailbox
from unmbox import DedupIndex, DestinationError, EmlWriter, Report, UsageError, _batches, _ranges, zips
from unmbox._repairs import RULES
from unmbox._verify import verify
from unmbox.events import Body, End, Event, Head
from unmbox.manifest import Manifest

SPOOL = 2000  # in place of 1 MiB, so that a big message is quick to convert

# What differs between messages: copies, labels to merge, collisions, repairs, lines that begin "From ".
FIRST = [
    mail(1, "", "X-Gmail-Labels: Inbox"),
    mail(2, "A longer text.\n" * 300),
    mail(1, "", "X-Gmail-Labels: Work"),
    mail(3, "From here on it is text.\n", id=None),
]
SECOND = [
    mail(1, "Another body.\n", "X-UID: 7"),
    mail(2, "A longer text.\n" * 300, "X-Gmail-Labels: Sent"),
    mail(4, "ok\n", id=None, date=None),
    mail(5, "A longer text.\n" * 500),
    mail(3, "From here on it is text.\n", id=None),
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "first.mbox").write_bytes(b"\n" + mailbox(FIRST))
    (folder / "second.mbox").write_bytes(mailbox(SECOND, "\r\n"))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def undisturbed(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What a run leaves that nobody disturbed, in batches of another size."""
    eml = tmp_path_factory.mktemp("undisturbed") / "eml"
    report = unmbox.convert(sources, eml)
    assert (report.messages, report.written, report.duplicates, report.collisions) == (9, 6, 3, 1)
    assert verify(eml, sources=sources).ok
    return left(eml)


@pytest.fixture
def eml(tmp_path: Path) -> Path:
    return tmp_path / "eml"


def unfinished(eml: Path) -> list[str]:
    return [path.name for path in eml.rglob(".*")]


def assert_untorn(eml: Path, whole: Left) -> None:
    """Whatever has a final name is complete."""
    for path in eml.rglob("*.eml"):
        assert path.read_bytes() == whole.files[path.relative_to(eml).as_posix()][0]


def assert_same_in_the_end(order: Order, whole: Left) -> Report:
    """The same again, and what is there is what one undisturbed run leaves."""
    report = order.do()
    now = left(order.destination)
    assert now.files == whole.files
    assert now.folders == whole.folders
    for table, there in whole.rows.items():
        assert now.rows[table] == there, table
    assert unfinished(order.destination) == []
    return report


# -- killed ----------------------------------------------------------------------------------------------


def test_sigkill_at_random_instants(tmp_path: Path) -> None:
    """Again and again, until a run comes through; the mail is small and big, and some of it copies."""
    dice = random.Random(11)
    mails = [
        mail(number % 70, f"Text {number % 70}.\n" * dice.choice((1, 30)) if number % 7 else "")
        for number in range(150)
    ]
    for at in (20, 90, 140):
        mails[at] = mail(at, "A long text.\n" * 90_000)
    sources = [tmp_path / "first.mbox", tmp_path / "second.mbox"]
    sources[0].write_bytes(mailbox(mails))
    sources[1].write_bytes(mailbox(reversed(mails), "\r\n"))
    unmbox.convert(sources, tmp_path / "whole")
    whole = left(tmp_path / "whole")
    begun = time.monotonic()
    Order(sources, tmp_path / "timed", batch=10).do()
    within = time.monotonic() - begun
    kills = rounds = 0
    while kills < 40:
        rounds += 1
        assert rounds < 40, "hardly a kill came before the end"
        order = Order(sources, tmp_path / f"eml{rounds}", batch=dice.randint(2, 20))
        for _ in range(3):
            kills += in_another_process(order, dice.uniform(0, within / 2)) < 0
            assert_untorn(order.destination, whole)
        assert_same_in_the_end(order, whole)
        shutil.rmtree(order.destination)


def dead(fault: Fault, order: Order, *, at_once: bool = True) -> bool:
    """Whether a run that meets this fault came to its end by it."""
    with faulty(fault):
        try:
            if at_once:
                with dying_at_once():
                    order.do()
            else:
                order.do()
        except Killed:
            return True
    return False


def steps_of(order: Order) -> list[str]:
    """The steps of a run that comes through."""
    fault = Fault()
    assert not dead(fault, order)
    return fault.names


@pytest.mark.parametrize(
    ("at_once", "batch"),
    [(True, 3), (True, 1), (False, 3)],
    ids=["dead", "dead, in small steps", "put in order"],
)
def test_the_end_at_any_step(
    at_once: bool, batch: int, tmp_path: Path, sources: list[Path], undisturbed: Left
) -> None:
    """Before and after each call that changes files, folders or the manifest, and half-way through writes."""
    names = steps_of(Order(sources, tmp_path / "steps", batch=batch, spool=SPOOL))
    assert {name.split(maxsplit=1)[1] for name in names} == {
        *("close", "unlink", "link", "mkdir", "write", "through write", "commit"),
    }
    done = set()
    for last, name in enumerate(names):
        order = Order(sources, tmp_path / f"eml{last}", batch=batch, spool=SPOOL)
        fault = Fault(last)
        assert dead(fault, order, at_once=at_once)
        assert fault.names[last] == name
        if order.destination.exists():
            assert_untorn(order.destination, undisturbed)
        report = assert_same_in_the_end(order, undisturbed)
        done.add(report.already)
        shutil.rmtree(order.destination)
    assert {0, 9} < done


def test_the_end_at_a_step_in_another_process(tmp_path: Path, sources: list[Path], undisturbed: Left) -> None:
    names = steps_of(Order(sources, tmp_path / "steps", spool=SPOOL))
    for last in range(3, len(names), 8):
        order = Order(sources, tmp_path / f"eml{last}", spool=SPOOL, last=last)
        assert in_another_process(order) == ENDED
        assert_untorn(order.destination, undisturbed)
        assert_same_in_the_end(order, undisturbed)


def half_written(sources: Sequence[Path], eml: Path) -> Order:
    """A destination with a batch of which one file has its name and one has not."""
    order = Order(sources, eml, batch=4, spool=SPOOL)
    links = 0

    class UpToLink(Fault):
        def step(self, name: str) -> None:
            nonlocal links
            links += name == "after link"
            if links == 6:  # one is of the sink's own probe
                raise Killed

    assert dead(UpToLink(), order)
    return order


def test_the_end_at_any_step_of_taking_back(tmp_path: Path, sources: list[Path], undisturbed: Left) -> None:
    order = half_written(sources, tmp_path / "half")
    before = left(order.destination)
    assert 0 < len(before.files) < len(undisturbed.files)
    shutil.copytree(order.destination, tmp_path / "copy")
    names = steps_of(Order(sources, tmp_path / "copy", spool=SPOOL))
    last_undo = names.index("after undo")
    assert "after removal" in names[:last_undo]
    for last in range(last_undo + 4):
        copy = Order(sources, tmp_path / f"eml{last}", batch=2, spool=SPOOL)
        shutil.copytree(order.destination, copy.destination)
        assert dead(Fault(last), copy)
        assert_untorn(copy.destination, undisturbed)
        assert_same_in_the_end(copy, undisturbed)


def interrupted(order: Order, at: int, within: Callable[[CodeType], bool]) -> int:
    """Convert with an interrupt at a line of that code; how many lines there were."""
    count = 0

    def local(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count == at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: local if within(frame.f_code) else None)
    try:
        if at:
            with pytest.raises(KeyboardInterrupt):
                order.do()
        else:
            order.do()
    finally:
        sys.settrace(before)
    return count


def _is_ours(code: CodeType) -> bool:
    ours = ("_job.py", "_assembly.py", "_batches.py", "_mail.py", "_copies.py", "_place.py")
    return Path(code.co_filename).name in ours


def _moves_on(code: CodeType) -> bool:
    """Where what is to be committed takes several lines to come about."""
    names = {"_complete", "_end_source", "pass_strays", "add_strays", "add", "touch", "settle"}
    return _is_ours(code) and code.co_name in names


@pytest.mark.parametrize(("within", "sample"), [(_is_ours, 60), (_moves_on, 60)])
def test_an_interrupt_at_any_line(
    within: Callable[[CodeType], bool], sample: int, tmp_path: Path, sources: list[Path], undisturbed: Left
) -> None:
    """Python delivers signals between any two lines; none may commit half of a step."""
    count = interrupted(Order(sources, tmp_path / "all", batch=4, spool=SPOOL), 0, within)
    for at in sorted(random.Random(5).sample(range(1, count), sample)):
        order = Order(sources, tmp_path / f"eml{at}", batch=4, spool=SPOOL)
        interrupted(order, at, within)
        assert_same_in_the_end(order, undisturbed)
        shutil.rmtree(order.destination)


def test_what_is_gathered_is_kept_when_a_source_ends_too_soon(eml: Path) -> None:
    """An error between two messages costs nothing that was read."""
    octets = mailbox(FIRST) + mailbox([mail(9)])

    def pieces() -> Iterator[bytes]:
        yield octets + b" " * (1 << 20)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        unmbox.convert(pieces(), eml)
    assert len(emls(eml)) == 3
    assert column(eml, "outcome") == ["written", "written", "duplicate", "written"]


@pytest.mark.parametrize(
    ("variant", "body"),
    [("mboxrd", ">>From one\n"), ("mboxo", ">> Two\n>>From three\n>> four\n")],
    ids=["mboxrd", "mboxo"],
)
def test_the_settled_variant_outlives_a_kill(variant: str, body: str, tmp_path: Path) -> None:
    """The first octets decide for the whole source, in the very batch in which they came."""
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox(mail(number, body + "text\n" * 5000) for number in range(100)))
    unmbox.convert(source, tmp_path / "whole")
    whole = left(tmp_path / "whole")
    assert whole.rows["source"][0][4] == variant
    for last in range(100, 150, 16):
        order = Order([source], tmp_path / f"eml{last}", batch=2)
        assert dead(Fault(last), order)
        assert_same_in_the_end(order, whole)


@pytest.mark.parametrize("newline", ["\r", "\r\n"])
def test_line_ends_outlive_a_kill(tmp_path: Path, newline: str) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox((mail(number, "text\n" * 5000) for number in range(100)), newline))
    unmbox.convert(source, tmp_path / "whole")
    order = Order([source], tmp_path / "eml", batch=2)
    assert dead(Fault(100), order)
    assert 0 < len(emls(order.destination)) < 100
    assert_same_in_the_end(order, left(tmp_path / "whole"))


# -- an index that is shared -----------------------------------------------------------------------------


def test_a_kill_costs_a_copy_never_a_mail_of_a_shared_index(tmp_path: Path, sources: list[Path]) -> None:
    def bodies(*folders: Path) -> list[bytes]:
        found = [octets.partition(b"\r\n\r\n")[2] for folder in folders for octets in emls(folder).values()]
        return sorted(found)

    def both(number: int, last: int) -> tuple[Path, Path]:
        """Into one destination, with an end at a step; into another; and into the first once more."""
        folder = tmp_path / str(number)
        folder.mkdir()
        index = folder / "index.sqlite"
        one, other = folder / "one", folder / "other"

        def convert(which: Sequence[Path], into: Path, last: int = -1) -> list[str]:
            fault = Fault(last)
            with small(3, SPOOL), faulty(fault), DedupIndex(index) as shared:
                try:
                    with dying_at_once():
                        unmbox.convert(which, into, dedup=shared)
                except Killed:
                    pass
            return fault.names

        steps.append(convert(sources[:1], one, last))
        convert(sources, other)
        assert set(bodies(one, other)) >= set(whole)
        shutil.copytree(one, folder / "copy")
        convert(sources[1:], one)
        assert set(bodies(one, other)) >= set(whole), "whatever the first is used for next"
        shutil.rmtree(one)
        (folder / "copy").rename(one)
        convert(sources[:1], one)
        assert unfinished(one) == unfinished(other) == []
        return one, other

    steps: list[list[str]] = []
    whole: list[bytes] = []
    whole = bodies(*both(0, -1))
    assert len(whole) == 6
    assert "after commit of the index" in steps[0]
    copies = 0
    for last in range(8, len(steps[0])):
        found = bodies(*both(last, last))
        assert set(found) == set(whole)
        copies += len(found) - len(whole)
        shutil.rmtree(tmp_path / str(last))
    assert copies < len(steps[0]) / 5


def test_a_rerun_tells_a_shared_index_what_a_kill_kept_from_it(tmp_path: Path, sources: list[Path]) -> None:
    def convert(into: str, fault: Fault) -> unmbox.Report | None:
        with faulty(fault), DedupIndex(tmp_path / "index.sqlite") as shared:
            try:
                with dying_at_once():
                    return unmbox.convert(sources[0], tmp_path / into, dedup=shared)
            except Killed:
                return None

    fault = Fault(-1)
    whole = convert("undisturbed", fault)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    assert whole
    last = max(n for n, name in enumerate(fault.names) if name == "before commit of the index")
    assert convert("one", Fault(last)) is None
    again, elsewhere = convert("one", Fault(-1)), convert("other", Fault(-1))
    assert again
    assert again.already == whole.messages
    assert elsewhere
    assert elsewhere.written == whole.repairs["missing-message-id"] == 1, "of others the content is not kept"


def test_an_id_beyond_ascii_is_told_to_no_shared_index_as_another(tmp_path: Path) -> None:
    raw, spelled = tmp_path / "raw.mbox", tmp_path / "spelled.mbox"
    for path, name in (raw, "é".encode()), (spelled, b"%C3%A9"):
        path.write_bytes(
            b"From a@b Tue Mar 19 09:13:51 2019\nFrom: a@b\nMessage-ID: <" + name + b"@x>\n\nText\n\n"
        )

    def convert(path: Path, into: str, index: str) -> unmbox.Report:
        with DedupIndex(tmp_path / index, policy="message-id") as shared:
            return unmbox.convert(path, tmp_path / into, dedup=shared)

    assert convert(raw, "one", "before.sqlite").written == 1
    # The index knows nothing of it, as after a kill.
    (tmp_path / "before.sqlite").unlink()
    assert convert(raw, "one", "before.sqlite").already == 1
    assert convert(spelled, "other", "before.sqlite").written == 1


# -- afresh ----------------------------------------------------------------------------------------------


def test_afresh_only_what_is_ours_goes(tmp_path: Path, sources: list[Path], undisturbed: Left) -> None:
    eml = tmp_path / "eml"
    unmbox.convert(sources, eml, layout="old/{subject}_{hash}")
    (eml / "mine.eml").write_bytes(b"mine")
    (eml / "old" / "mine.txt").write_bytes(b"mine too")
    edited = eml / column(eml, "path")[0]
    edited.write_bytes(edited.read_bytes() + b"A note of mine.\n")
    report = unmbox.convert(sources, eml, resume=False)
    assert (report.messages, report.already) == (9, 0)
    mine = {"mine.eml", "old/mine.txt", edited.relative_to(eml).as_posix()}
    now = left(eml)
    assert {name: now.files[name] for name in now.files.keys() - mine} == undisturbed.files
    assert mine < now.files.keys()
    assert now.rows == undisturbed.rows


def test_afresh_an_edited_file_in_the_way_is_named(eml: Path, sources: list[Path]) -> None:
    unmbox.convert(sources, eml)
    edited = eml / column(eml, "path")[0]
    edited.write_bytes(b"all mine now")
    before = left(eml)
    with pytest.raises(DestinationError, match="already there and is not overwritten") as caught:
        unmbox.convert(sources, eml, resume=False)
    assert str(edited) in str(caught.value)
    assert left(eml) == before, "nothing is removed before that is known"
    assert unmbox.convert(sources, eml).already, "and nothing was begun"
    edited.rename(eml / "mine.txt")
    unmbox.convert(sources, eml, resume=False)
    assert verify(eml).ok


def test_the_end_at_any_step_of_starting_afresh(
    tmp_path: Path, sources: list[Path], undisturbed: Left
) -> None:
    unmbox.convert(sources, tmp_path / "old", layout="old/{subject}_{hash}")
    shutil.copytree(tmp_path / "old", tmp_path / "steps")
    options = {"resume": False}
    names = steps_of(Order(sources, tmp_path / "steps", options=options))
    assert names.count("after removal") == 6
    last_removal = max(number for number, name in enumerate(names) if name == "after removal")
    for last in range(names.index("after commit"), last_removal + 8):
        order = Order(sources, tmp_path / f"eml{last}", options=options)
        shutil.copytree(tmp_path / "old", order.destination)
        assert dead(Fault(last), order)
        # What was begun afresh goes on so, whatever the next call says.
        assert_same_in_the_end(Order(sources, order.destination), undisturbed)


# -- next month ------------------------------------------------------------------------------------------


def test_the_same_again_does_nothing(eml: Path, sources: list[Path]) -> None:
    first = unmbox.convert(sources, eml)
    before = left(eml)
    again = unmbox.convert(sources, eml)
    assert again._replace(seconds=0) == Report(already=first.messages)
    assert left(eml) == before


def test_next_months_export_adds_only_what_is_new(tmp_path: Path, eml: Path, sources: list[Path]) -> None:
    unmbox.convert(sources, eml)
    before = left(eml)
    april = tmp_path / "april.mbox"
    april.write_bytes(mailbox(FIRST) + mailbox(SECOND) + mailbox([mail(30), mail(31)]))
    for given in ([april], [*sources, april]):
        folder = tmp_path / str(len(given))
        shutil.copytree(eml, folder)
        report = unmbox.convert(given, folder)
        assert (report.messages, report.written, report.duplicates) == (11, 2, 9)
        now = left(folder)
        assert now.files.items() > before.files.items()
        assert len(now.files) == len(before.files) + 2
        assert verify(folder, sources=[*sources, april]).ok


@pytest.mark.parametrize("how", ["grown", "rewritten", "touched"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_source_that_has_changed_is_refused(
    how: str, finished: bool, tmp_path: Path, eml: Path, sources: list[Path]
) -> None:
    copies = [Path(shutil.copy2(source, tmp_path)) for source in sources]
    order = Order(copies, eml, spool=SPOOL)
    dead(Fault(-1 if finished else 90), order)
    before = left(eml)
    octets = copies[0].read_bytes()
    if how == "touched":
        os.utime(copies[0], (1, 1))
    else:
        copies[0].write_bytes(octets + mailbox([mail(8)]) if how == "grown" else octets.replace(b"1", b"2"))
    with pytest.raises(UsageError, match=r"first\.mbox has changed since it was read.*--no-resume"):
        unmbox.convert(copies, eml)
    assert left(eml) == before
    assert adds_up(unmbox.convert(copies, eml, resume=False))
    assert verify(eml, sources=copies).ok


# -- streams ---------------------------------------------------------------------------------------------


def test_a_stream_is_read_again_and_compared(tmp_path: Path, sources: list[Path], eml: Path) -> None:
    octets = b"\n" + mailbox([*FIRST, *SECOND])
    with small(3, SPOOL):
        unmbox.convert(io.BytesIO(octets), tmp_path / "whole")
    whole = left(tmp_path / "whole")
    first = unmbox.convert(io.BytesIO(octets), eml)
    again = unmbox.convert([octets[:5000], octets[5000:]], eml)
    assert again._replace(seconds=0) == Report(already=first.messages)
    assert left(eml) == whole
    with small(3, SPOOL), faulty(Fault()) as fault:
        unmbox.convert(io.BytesIO(octets), tmp_path / "steps")
    for last in range(10, len(fault.names), 7):
        folder = tmp_path / f"eml{last}"
        with small(3, SPOOL):
            with faulty(Fault(last)), pytest.raises(Killed), dying_at_once():
                unmbox.convert(io.BytesIO(octets), folder)
            report = unmbox.convert(io.BytesIO(octets), folder)
        assert report.already + report.messages == 9
        assert report.bytes_in == report.junk + sum(column(folder, "length")[report.already :])
        assert left(folder) == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda octets: octets.replace(b"Mail 3", b"Mail X"), "the message at octet .* is another"),
        (lambda octets: b"\n" + octets, "the message at octet 2 is another"),
        (lambda octets: octets + mailbox([mail(8)]), "is another|ends at octet|goes on behind"),
        (lambda octets: octets[: octets.rindex(b"From 3@")], "is another|ends at octet|goes on behind"),
        (lambda octets: octets[:0], "it ends at octet 0"),
    ],
    ids=["edited", "shifted", "longer", "shorter", "empty"],
)
def test_a_stream_that_is_another_is_refused(change: Callable[[bytes], bytes], said: str, eml: Path) -> None:
    octets = b"\n" + mailbox(FIRST)
    unmbox.convert(io.BytesIO(octets), eml)
    before = left(eml)
    with pytest.raises(UsageError, match=f"stream:1 has changed since it was read .*({said})"):
        unmbox.convert(io.BytesIO(change(octets)), eml)
    assert left(eml) == before


def test_a_stream_that_was_cut_short_goes_on(eml: Path, tmp_path: Path) -> None:
    """Not one that ended, but one that broke: the next reading may be longer."""
    octets = mailbox(FIRST)

    def broken() -> Iterator[bytes]:
        yield octets + mailbox(SECOND)[:200] + b" " * (1 << 20)
        raise OSError("broken pipe")

    with pytest.raises(OSError, match="broken pipe"):
        unmbox.convert(broken(), eml)
    report = unmbox.convert([octets + mailbox(SECOND)], eml)
    assert report.already == 4
    unmbox.convert([octets + mailbox(SECOND)], tmp_path / "whole")
    assert left(eml) == left(tmp_path / "whole")


# -- quarantine ------------------------------------------------------------------------------------------


class Failing:
    """Writers that fail at a kind of event of the messages that hold certain octets."""

    def __init__(self, octets: bytes, at: type[Event] = Head) -> None:
        self.failures = 0
        send = EmlWriter.send
        inside: set[int] = set()

        def failing(writer: EmlWriter, event: Event) -> bytes:
            result = send(writer, event)
            if isinstance(event, Head):
                inside.discard(id(writer))
                if octets in event.data:
                    inside.add(id(writer))
            if id(writer) in inside and isinstance(event, at):
                self.failures += 1
                raise ZeroDivisionError("made up")
            return result

        self._patch = mock.patch.object(EmlWriter, "send", failing)

    def __enter__(self) -> Failing:  # noqa: PYI034  # typing.Self is of 3.11
        self._patch.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._patch.stop()


def quarantined(eml: Path) -> dict[str, bytes]:
    folder = eml / "quarantine"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def raw(octets: bytes, number: int) -> bytes:
    return [message.raw for message in unmbox.messages(io.BytesIO(octets))][number]


@pytest.mark.parametrize("newline", ["crlf", "lf"])
@pytest.mark.parametrize(
    ("at", "size"), [(Head, 1), (Body, 1), (End, 1), (Head, 100_000), (Body, 100_000), (End, 100_000)]
)
def test_what_cannot_be_converted_is_kept_as_it_is(
    at: type[Event], size: int, newline: str, eml: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    octets = mailbox([mail(1), mail(2, ">From a line\n" * size, "X-Bad: 1"), mail(3), mail(1)])
    source = tmp_path / "a.mbox"
    source.write_bytes(octets)
    with Failing(b"X-Bad", at):
        report = unmbox.convert(source, eml, newline=newline)
    assert report[:5] == (4, 2, 1, 0, 1)
    assert adds_up(report)
    assert report.bytes_in == len(octets)
    [(name, stored)] = quarantined(eml).items()
    offset = column(eml, "offset")[1]
    assert name == f"1-{offset}.eml"
    if at is Head or size == 1:  # beyond, what was written already stays as it was written
        assert stored == raw(octets, 1)
    assert stored.count(b"\nFrom a line") >= size
    assert column(eml, "outcome")[1] == "quarantined"
    assert rows(eml)["refusal"] == [(2, "quarantined", "ZeroDivisionError: made up")]
    assert f"quarantined the message at octet {offset} of {source}" in caplog.text
    assert column(eml, "subject")[1] == "Mail 2"
    assert verify(eml).problems == ()


def test_a_fault_in_a_repair_or_a_field_quarantines_too(eml: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox([mail(1), mail(2, "", "X-UID: 2", "Status: R"), mail(3)]))

    def fail(*arguments: object) -> Any:
        raise KeyError("made up")

    rule = next(rule for rule in RULES if rule.code == "bookkeeping")
    with mock.patch.dict(rule.__dict__, apply=fail):
        assert unmbox.convert(source, eml / "rule").quarantined == 1
    with mock.patch("unmbox._dates.parse_date", fail):
        assert unmbox.convert(source, eml / "date").quarantined == 3
    assert len(quarantined(eml / "date")) == 3
    for name in ("rule", "date"):
        assert verify(eml / name).ok
        report = unmbox.convert(source, eml / name)
        assert (report.written, report.already) == (report.messages, 3 - report.messages)
        assert verify(eml / name, sources=source).ok


def test_a_rerun_retries_what_was_quarantined_and_nothing_else(
    tmp_path: Path, eml: Path, sources: list[Path], undisturbed: Left
) -> None:
    with Failing(b"X-UID") as failing:
        first = unmbox.convert(sources, eml)
        before = left(eml)
        again = unmbox.convert(sources, eml)
    assert failing.failures == 3, "as a whole and in pieces, then once more"
    assert (first.quarantined, again.quarantined) == (1, 1)
    assert (again.messages, again.already, again.bytes_in) == (1, 8, column(eml, "length")[4])
    assert left(eml) == before, "what fails again stays as it was"
    report = unmbox.convert(sources, eml)
    assert (report.messages, report.written, report.already) == (1, 1, 8)
    assert report.repairs == {"bookkeeping": 1}
    now = left(eml)
    assert now.files == undisturbed.files
    assert now.folders == undisturbed.folders
    assert {name: now.rows[name] for name in ("message", "refusal", "source")} == {
        name: undisturbed.rows[name] for name in ("message", "refusal", "source")
    }
    assert sorted(now.rows["repair"]) == sorted(undisturbed.rows["repair"])
    assert verify(eml, sources=sources).ok
    assert unmbox.convert(sources, eml)._replace(seconds=0) == Report(already=9)


def test_what_is_tried_again_may_be_a_copy_by_now(tmp_path: Path, eml: Path) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(
        mailbox([mail(1, "", "X-Bad: 1", "X-Gmail-Labels: Inbox"), mail(1, "", "X-Gmail-Labels: Work")])
    )
    with Failing(b"X-Bad"):
        report = unmbox.convert(source, eml)
    assert (report.written, report.duplicates, report.quarantined) == (1, 0, 1)
    report = unmbox.convert(source, eml)
    assert (report.messages, report.duplicates) == (1, 1)
    assert column(eml, "duplicate_of") == [2, None]
    assert json.loads(column(eml, "labels")[1]) == ["Work", "Inbox"]
    assert quarantined(eml) == {}
    assert len(emls(eml)) == 1
    assert verify(eml, sources=source).ok


def test_what_is_tried_again_ends_where_it_did(tmp_path: Path, eml: Path) -> None:
    """A last line that would separate at the end of the source separates nothing in the middle."""
    trap = mail(2, "Text.\nFrom x@example.org Tue Mar 19 09:13:51 2019\nOne line.", "X-Bad: 1")
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox([mail(1), trap, mail(3)]).replace(b"One line.\n\n", b"One line.\n"))
    unmbox.convert(source, tmp_path / "whole")
    with Failing(b"X-Bad"):
        unmbox.convert(source, eml)
    unmbox.convert(source, eml)
    assert emls(eml) == emls(tmp_path / "whole")
    assert column(eml, "length") == column(tmp_path / "whole", "length")


@pytest.mark.parametrize("size", [1, 500])
def test_the_end_at_any_step_of_trying_again(tmp_path: Path, size: int) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox([mail(1), mail(2, "Text.\n" * size, "X-Bad: 1"), mail(3), mail(4)]))
    unmbox.convert(source, tmp_path / "whole")
    whole = left(tmp_path / "whole")
    with Failing(b"X-Bad"), pytest.raises(Killed), faulty(Fault(60)), dying_at_once():
        Order([source], tmp_path / "old", spool=SPOOL).do()
    with Failing(b"X-Bad"):
        unmbox.convert(source, tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "steps")
    names = steps_of(Order([source], tmp_path / "steps", spool=SPOOL))
    for at_once in (True, False):
        for last in range(len(names)):
            order = Order([source], tmp_path / f"eml{last}{at_once}", spool=SPOOL)
            shutil.copytree(tmp_path / "old", order.destination)
            assert dead(Fault(last), order, at_once=at_once)
            order.do()
            now = left(order.destination)
            assert (now.files, now.folders) == (whole.files, whole.folders)
            assert now.rows["message"] == whole.rows["message"]
            assert verify(order.destination, sources=source).ok


def test_the_end_of_a_volume_in_which_something_is_tried_again(tmp_path: Path) -> None:
    """What proves a volume is committed before it has its name, and the index too, but not yet the row."""
    source, out = tmp_path / "a.mbox", tmp_path / "eml" / "mail.zip"
    source.write_bytes(mailbox([mail(1), mail(2, "", "X-Bad: 1"), mail(3)]))
    with Failing(b"X-Bad"):
        assert unmbox.convert(source, out).quarantined == 1
    with mock.patch.object(zips, "_give_name", side_effect=Killed), dying_at_once(), pytest.raises(Killed):
        unmbox.convert(source, out)
    report = unmbox.convert(source, out)
    assert (report.written, report.duplicates) == (1, 0)
    assert verify(out, sources=source).ok


def test_nothing_is_tried_again_while_rows_may_be_taken_back(
    tmp_path: Path, eml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys in the index are taken back from its end: an old row's must not stand behind those of new ones."""
    monkeypatch.setattr(_ranges, "_LEAST", 4000)
    new, old = tmp_path / "new.mbox", tmp_path / "old.mbox"
    new.write_bytes(mailbox([mail(number, "x" * 5000) for number in range(1000, 3000)]))
    old.write_bytes(mailbox([mail(number, "", "X-Bad: 1") for number in range(3)]))
    with Failing(b"X-Bad"):
        assert unmbox.convert(old, eml).quarantined == 3
    amend, pending = _batches.Batches.amend, []

    def noting(batches: _batches.Batches, each: Any, failed: Any) -> None:
        pending.append(set(batches.unwritten))
        amend(batches, each, failed)

    monkeypatch.setattr(_batches.Batches, "amend", noting)
    assert unmbox.convert([new, old], eml, jobs=2).written == 2003
    assert pending == [set()] * 3
    assert verify(eml, sources=[new, old]).ok


def test_a_stream_is_tried_again_too(eml: Path) -> None:
    octets = mailbox([mail(1), mail(2, ">From a line\n", "X-Bad: 1"), mail(3)])
    with Failing(b"X-Bad"):
        unmbox.convert(io.BytesIO(octets), eml)
        again = unmbox.convert(io.BytesIO(octets), eml)
    assert (again.messages, again.quarantined, again.already) == (1, 1, 2)
    report = unmbox.convert(io.BytesIO(octets), eml)
    assert (report.messages, report.written, report.already) == (1, 1, 2)
    assert report.bytes_in == column(eml, "length")[1]
    assert quarantined(eml) == {}
    assert verify(eml).ok


def test_an_edited_file_in_quarantine_stays(tmp_path: Path, eml: Path) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox([mail(1, "", "X-Bad: 1")]))
    with Failing(b"X-Bad"):
        unmbox.convert(source, eml)
    [path] = (eml / "quarantine").iterdir()
    path.write_bytes(b"mended by hand")
    assert unmbox.convert(source, eml).written == 1
    assert path.read_bytes() == b"mended by hand"


# -- durable ---------------------------------------------------------------------------------------------


class Disk:
    """Notes in which order things are done to files: what is synced, what gets a name, what is committed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[tuple[str, str]] = []
        fsync, link, commit = os.fsync, os.link, Manifest._commit

        def noting_fsync(descriptor: int) -> None:
            state = os.fstat(descriptor)
            path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            self.notes.append(
                ("folder", path) if stat.S_ISDIR(state.st_mode) else ("octets", str(state.st_ino))
            )
            fsync(descriptor)

        def noting_link(source: str, name: str, **more: Any) -> None:
            link(source, name, **more)
            state = os.stat(name, dir_fd=more["dst_dir_fd"])
            self.notes.append(("name", str(state.st_ino)))

        def noting_commit(manifest: Manifest) -> None:
            assert manifest.connection.execute("PRAGMA synchronous").fetchone() == (2,)
            self.notes.append(("commit", ""))
            commit(manifest)

        monkeypatch.setattr(os, "fsync", noting_fsync)
        monkeypatch.setattr(os, "link", noting_link)
        monkeypatch.setattr(Manifest, "_commit", noting_commit)


def test_durable_syncs_in_order(
    sources: list[Path], undisturbed: Left, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Octets before their name, names and the folders above before the commit that confirms them."""
    eml = tmp_path / "eml"
    disk = Disk(monkeypatch)
    with small(3, SPOOL):
        unmbox.convert(sources, eml, durable=True)
    assert left(eml) == undisturbed
    notes = disk.notes[disk.notes.index(("commit", "")) :]
    unnamed: set[str] = set()
    named = 0
    folders: set[str] | None = set()  # None while there are names that are not synced
    for what, which in notes:
        if what == "octets":
            unnamed.add(which)
        elif what == "name":
            unnamed.remove(which)
            named += 1
            folders = None
        elif what == "folder":
            folders = (folders or set()) | {which}
        else:
            assert folders is not None
            assert not unnamed
            assert folders in (set(), {str(eml), str(eml / "2019"), str(eml / "2019" / "03")})
            folders = set()
    assert named == 6
    disk.notes.clear()


def test_nothing_is_synced_unasked(sources: list[Path], eml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    unmbox.convert(sources, eml)
    assert synced == []


def test_a_disk_that_fails_to_sync(sources: list[Path], eml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DestinationError, match="cannot sync") as caught:
        unmbox.convert(sources, eml, durable=True)
    assert caught.value.errno == errno.EIO
    monkeypatch.undo()
    unmbox.convert(sources, eml)
    assert verify(eml, sources=sources).ok
