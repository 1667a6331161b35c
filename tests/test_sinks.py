"""Files that appear whole or not at all, never in the place of another, never outside the destination."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unmbox import sinks
from unmbox.errors import DestinationError, UsageError
from unmbox.sinks import DirectorySink, DirectoryTarget, Sink, Target

CALLS = ("open", "write", "utime", "fsync", "link", "close", "rename", "replace", "mkdir", "unlink", "stat")
PART = re.compile(r"\.unmbox-\d+-\d+\.part")
WAYS = {
    "nameless": {},  # what Linux does; elsewhere the same as the next
    "renamed": {"_NAMELESS": 0},
    "by path": {"_NAMELESS": 0, "_HAS_DIR_FD": False, "_HAS_FD_TIMES": False},  # what Windows does
}


@dataclass(frozen=True)
class Message:
    date: datetime | None = None


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs in each of the ways that operating systems allow."""
    for name, value in WAYS[request.param].items():
        monkeypatch.setattr(sinks, name, value)
    return str(request.param)


class FaultyOs:
    """The `os` module with a mind of its own: `before` may raise, or give the result instead of the call."""

    def __init__(self, before: Callable[[str, tuple[Any, ...]], Any]) -> None:
        self._before = before

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if name not in CALLS and name not in ("makedirs", "lstat", "scandir"):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            instead = self._before(name, args)
            return value(*args, **kwargs) if instead is None else instead

        return call


def failing(call: str, number: int, *, after: int = 0, once: bool = False) -> FaultyOs:
    """Calls of that name fail with that errno after so many that do not: from then on, or only once."""
    seen = 0

    def before(name: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if name == call:
            seen += 1
            if seen == after + 1 or (seen > after and not once):
                if name == "close":  # what fails is writing back; the descriptor is gone all the same
                    os.close(args[0])
                raise OSError(number, os.strerror(number))

    return FaultyOs(before)


def put(sink: Sink, name: str, data: bytes = b"mail", date: datetime | None = None) -> None:
    target = sink.open(Message(date))
    target.write(data)
    target.commit(name)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def open_descriptors() -> int:
    return len(names("/dev/fd"))


# --- writing


def test_files_in_folders(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path / "new" / "eml") as sink:
        put(sink, "top.eml", b"1")
        put(sink, "2019/03/a.eml", b"2")
        put(sink, "2019/03/b.eml", b"")
        put(sink, "2019/メール/ü.eml", b"3")
    assert tree(tmp_path / "new" / "eml") == {
        "top.eml": b"1",
        "2019/03/a.eml": b"2",
        "2019/03/b.eml": b"",
        "2019/メール/ü.eml": b"3",
    }


def test_linux_leaves_no_temporary_name(tmp_path: Path) -> None:
    """Else a kill would; on other systems there is nothing better than a name that can be recognised."""
    with DirectorySink(tmp_path) as sink:
        target = sink.open(Message())
        target.write(b"x" * 1_000_000)
        left = names(tmp_path)
        assert left == [] if sys.platform == "linux" else PART.fullmatch(left[0])
        target.commit("a.eml")
    assert tree(tmp_path) == {"a.eml": b"x" * 1_000_000}


def test_it_is_a_sink(tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        as_protocol: Sink = sink
        target: Target = as_protocol.open(Message())
        assert isinstance(target, DirectoryTarget)
        target.discard()


@given(
    pieces=st.lists(st.one_of(st.binary(max_size=20), st.integers(0, 200_000).map(bytes)), max_size=8),
    kind=st.sampled_from([bytes, bytearray, memoryview]),
)
@example(pieces=[b"x"] * 2000, kind=bytes)
@example(pieces=[bytes(128 * 1024), b"x"], kind=memoryview)
def test_any_pieces_give_their_sum(pieces: list[bytes], kind: Callable[[bytes], bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, DirectorySink(folder) as sink:
        target = sink.open(Message())
        for piece in pieces:
            target.write(kind(piece))
        target.commit("a/b.eml")
        assert Path(folder, "a", "b.eml").read_bytes() == b"".join(pieces)


def test_a_buffer_may_be_reused_after_write(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        target, buffer = sink.open(Message()), bytearray(b"one ")
        target.write(buffer)
        buffer[:] = b"two "
        target.write(memoryview(buffer))
        buffer[:] = b"none"
        target.commit("a.eml")
        target = sink.open(Message())
        target.write(bytes(300_000))
        target.write(memoryview(b"abcdefgh").cast("I"))
        target.commit("b.eml")
    assert tree(tmp_path) == {"a.eml": b"one two ", "b.eml": bytes(300_000) + b"abcdefgh"}


@pytest.mark.parametrize("size", [10, 300_000])
def test_short_writes_are_continued(
    way: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stingy(name: str, args: tuple[Any, ...]) -> int | None:
        return os.write(args[0], bytes(args[1])[:7777][: max(1, size // 9)]) if name == "write" else None

    data = random.Random(0).randbytes(size)
    with DirectorySink(tmp_path) as sink:
        monkeypatch.setattr(sinks, "os", FaultyOs(stingy))
        put(sink, "a.eml", data)
        target = sink.open(Message())
        for start in range(0, size, 1000):
            target.write(data[start : start + 1000])
        target.commit("b.eml")
    assert tree(tmp_path) == {"a.eml": data, "b.eml": data}


def test_memory_is_flat(way: str, tmp_path: Path) -> None:
    piece = bytes(65536)
    with DirectorySink(tmp_path) as sink:
        put(sink, "warm.eml")
        tracemalloc.start()
        big, slow = sink.open(Message()), sink.open(Message())
        for _ in range(256):
            big.write(piece)
        for number in range(100_000):
            slow.write(b"%d" % number)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        big.commit("big.eml")
        slow.commit("slow.eml")
    assert peak < 600_000
    assert (tmp_path / "big.eml").stat().st_size == 256 * 65536
    assert (tmp_path / "slow.eml").read_bytes() == b"".join(b"%d" % number for number in range(100_000))


def test_folders_cost_a_bounded_number_of_descriptors(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "_FOLDERS", 8)
    before = open_descriptors()
    with DirectorySink(tmp_path) as sink:
        for turn in range(2):  # the second finds folders that were let go of
            for number in range(40):
                put(sink, f"{number % 7}/{number}/{turn}.eml", b"%d" % number)
                put(sink, f"{turn}-{number}.eml")
        assert open_descriptors() - before <= 8 + 3
    assert open_descriptors() == before
    assert len(tree(tmp_path)) == 160
    assert (tmp_path / "4" / "39" / "1.eml").read_bytes() == b"39"


def test_permissions_are_what_the_umask_leaves(way: str, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with DirectorySink(tmp_path / "eml") as sink:
            put(sink, "a/b.eml")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "eml" / "a" / "b.eml").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "eml" / "a").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "eml").stat().st_mode) == 0o750


# --- the date


@pytest.fixture(params=["UTC0", "JST-9", "PST8PDT"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (datetime(2019, 3, 19, 9, 13, 51, tzinfo=timezone.utc), 1552986831),
        (datetime(2019, 3, 19, 9, 13, 51, tzinfo=timezone(timedelta(hours=9))), 1552954431),
        (datetime(2019, 3, 19, 9, 13, 51), 1552986831),  # noqa: DTZ001
        (datetime(1970, 1, 1, tzinfo=timezone.utc), 0),
        (datetime(1965, 1, 1, tzinfo=timezone.utc), -157766400),
    ],
)
def test_mtime_is_the_date(
    zone: None, way: str, size: int, date: datetime, expected: int, tmp_path: Path
) -> None:
    with DirectorySink(tmp_path) as sink:
        put(sink, "a/b.eml", bytes(size), date)
    assert (tmp_path / "a" / "b.eml").stat().st_mtime == expected


@pytest.mark.parametrize(
    "date",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=12))),
        datetime.min,  # noqa: DTZ901
        datetime.max,  # noqa: DTZ901
    ],
)
def test_a_date_beyond_the_file_system_does_no_harm(way: str, date: datetime, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        put(sink, "a.eml", b"x", date)
    assert tree(tmp_path) == {"a.eml": b"x"}


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, ""), OSError(errno.EOPNOTSUPP, ""), OverflowError()])
def test_a_file_system_without_times(
    way: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(name: str, args: tuple[Any, ...]) -> None:
        if name == "utime":
            raise error

    with DirectorySink(tmp_path) as sink:
        monkeypatch.setattr(sinks, "os", FaultyOs(before))
        put(sink, "a.eml", b"x", datetime.now(timezone.utc))
    assert tree(tmp_path) == {"a.eml": b"x"}


def test_without_a_date_the_time_of_writing_stays(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        put(sink, "a.eml")
    assert abs((tmp_path / "a.eml").stat().st_mtime - time.time()) < 60


# --- nothing is overwritten


def test_a_name_that_is_taken_is_refused(way: str, tmp_path: Path) -> None:
    (tmp_path / "2019").mkdir()
    (tmp_path / "2019" / "mine.eml").write_bytes(b"mine")
    (tmp_path / "dangling.eml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.eml").mkdir()
    with DirectorySink(tmp_path) as sink:
        put(sink, "ours.eml", b"first")
        for name in ("2019/mine.eml", "ours.eml", "dangling.eml", "folder.eml"):
            with pytest.raises(DestinationError, match="already there and is not overwritten") as caught:
                put(sink, name, b"second")
            assert caught.value.errno == errno.EEXIST
            assert str(tmp_path / name) in str(caught.value)
        put(sink, "2019/other.eml", b"goes on")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "dangling.eml").unlink()
    assert tree(tmp_path) == {"2019/mine.eml": b"mine", "ours.eml": b"first", "2019/other.eml": b"goes on"}


def test_two_sinks_do_not_overwrite_each_other(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as one, DirectorySink(tmp_path) as two:
        first, second = one.open(Message()), two.open(Message())
        first.write(b"1" * 300_000)
        second.write(b"2" * 300_000)
        second.commit("a.eml")
        with pytest.raises(DestinationError, match="already there"):
            first.commit("a.eml")
    assert tree(tmp_path) == {"a.eml": b"2" * 300_000}


@pytest.mark.parametrize("size", [10, 300_000])
def test_replace(way: str, size: int, tmp_path: Path) -> None:
    date = datetime(2019, 3, 19, tzinfo=timezone.utc)
    (tmp_path / "outside").write_bytes(b"outside")
    (tmp_path / "eml" / "a").mkdir(parents=True)
    (tmp_path / "eml" / "a" / "link.eml").symlink_to(tmp_path / "outside")
    with DirectorySink(tmp_path / "eml", replace=True) as sink:
        for data in (b"1", b"2"):
            for name in ("a/b.eml", "a/link.eml"):
                put(sink, name, data * size, date)
    assert tree(tmp_path) == {
        "outside": b"outside",
        "eml/a/b.eml": b"2" * size,
        "eml/a/link.eml": b"2" * size,
    }
    assert (tmp_path / "eml" / "a" / "b.eml").stat().st_mtime == date.timestamp()
    assert (tmp_path / "eml" / "a" / "b.eml").stat().st_nlink == 1


def test_replace_by_what_the_caller_knows(way: str, tmp_path: Path) -> None:
    asked = []

    def ours(name: str) -> bool:
        asked.append(name)
        return name == "a/ours.eml"

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "ours.eml").write_bytes(b"old")
    (tmp_path / "a" / "mine.eml").write_bytes(b"mine")
    with DirectorySink(tmp_path, replace=ours) as sink:
        put(sink, "a/new.eml", b"new")
        assert asked == []
        put(sink, "a/ours.eml", b"new")
        with pytest.raises(DestinationError, match="already there"):
            put(sink, "a/mine.eml", b"new")
    assert asked == ["a/ours.eml", "a/mine.eml"]
    assert tree(tmp_path) == {"a/new.eml": b"new", "a/ours.eml": b"new", "a/mine.eml": b"mine"}


def test_replace_does_not_take_a_folder(way: str, tmp_path: Path) -> None:
    (tmp_path / "a.eml").mkdir()
    with DirectorySink(tmp_path, replace=True) as sink, pytest.raises(DestinationError, match=r"a\.eml"):
        put(sink, "a.eml")
    assert names(tmp_path) == ["a.eml"]


# --- nothing outside


@pytest.mark.parametrize("to_folder", [True, False])
def test_links_to_folders_are_not_followed(way: str, to_folder: bool, tmp_path: Path) -> None:
    (tmp_path / "outside" / "03").mkdir(parents=True)
    (tmp_path / "eml" / "2020").mkdir(parents=True)
    (tmp_path / "eml" / "2019").symlink_to(tmp_path / ("outside" if to_folder else "nowhere"))
    (tmp_path / "eml" / "2020" / "03").symlink_to(tmp_path / "outside" / "03", target_is_directory=True)
    with DirectorySink(tmp_path / "eml") as sink:
        for name in ("2019/a.eml", "2019/03/a.eml", "2020/03/a.eml", "2020/03/04/a.eml"):
            with pytest.raises(DestinationError, match="a file or a link stands where a folder is needed"):
                put(sink, name)
        put(sink, "2020/04/a.eml")
    assert tree(tmp_path / "outside") == {}
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "eml" / "2020" / "04" / "a.eml").exists()


def test_the_destination_may_be_a_link(way: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    with DirectorySink(tmp_path / "link") as sink:
        put(sink, "a/b.eml")
    assert tree(tmp_path / "real") == {"a/b.eml": b"mail"}


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", ".", "..", "/a.eml", "//a.eml", "/etc/a.eml", "a/", "a/..", "../a.eml", "./a.eml"),
        *("a/../b.eml", "a//b.eml", "a/./b.eml", "a\0.eml", "a\0/b.eml", "\ud800.eml", "a/\ud800/b.eml"),
    ],
)
@pytest.mark.parametrize("replace", [True, False])
def test_what_is_no_relative_path_is_bad_use(way: str, name: str, replace: bool, tmp_path: Path) -> None:
    with (
        DirectorySink(tmp_path / "eml", replace=replace) as sink,
        pytest.raises(UsageError, match="cannot write"),
    ):
        put(sink, name)
    assert names(tmp_path) == ["eml"]
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    "name",
    ["..\\a.eml", "a\\b.eml", "C:a.eml", "a.eml:stream", "a/..\\b.eml", "..\\a/b.eml", "C:/b.eml"],
)
def test_what_windows_takes_for_a_path(
    way: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "_WINDOWS", True)
    with DirectorySink(tmp_path) as sink, pytest.raises(UsageError, match="not a relative path"):
        put(sink, name)
    assert names(tmp_path) == []


def test_a_relative_destination_stays_where_it_was(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with DirectorySink("eml") as sink:
        monkeypatch.chdir(tmp_path / "elsewhere")
        put(sink, "a/b.eml")
        put(sink, "c.eml", bytes(300_000))
        (tmp_path / "eml" / ".unmbox-7-1.part").touch()
        assert sink.clear_leftovers() == 1
    assert set(tree(tmp_path)) == {"eml/a/b.eml", "eml/c.eml"}


@given(name=st.text(st.sampled_from("ab./\\~:\0é\ud800 "), max_size=12), replace=st.booleans())
def test_any_name_stays_inside(name: str, replace: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with (
            DirectorySink(Path(folder, "eml"), replace=replace) as sink,
            suppress(UsageError, DestinationError),
        ):
            put(sink, "taken/b")
            put(sink, name)
        assert names(folder) == ["eml"]
        assert set(tree(Path(folder, "eml"))) <= {"taken/b", name}


# --- a destination that refuses


def test_a_file_in_the_place_of_a_folder(way: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "eml"):
        with pytest.raises(
            DestinationError, match="a file or a link stands where a folder is needed"
        ) as caught:
            DirectorySink(path)
        assert caught.value.errno == errno.ENOTDIR
        assert str(path) in str(caught.value)
        assert isinstance(caught.value.__cause__, OSError)
    with DirectorySink(tmp_path) as sink, pytest.raises(DestinationError, match="where a folder is needed"):
        put(sink, "file/a.eml")
    assert tree(tmp_path) == {"file": b"mine"}


def test_a_path_that_is_none(way: str) -> None:
    with pytest.raises(UsageError, match="null"):
        DirectorySink("a\0b")


def test_a_name_too_long_for_the_file_system(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        for name in ("x" * 300, "x" * 300 + "/a.eml"):
            with pytest.raises(DestinationError, match="too long for this file system") as caught:
                put(sink, name)
            assert caught.value.errno == errno.ENAMETOOLONG
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOSPC, "the disk is full; free some space"),
    ],
)
@pytest.mark.parametrize("call", ["makedirs", "open"])
def test_a_destination_that_cannot_be_written_is_refused_at_once(
    way: str, call: str, number: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    monkeypatch.setattr(sinks, "os", failing(call, number))
    with pytest.raises(DestinationError, match=says) as caught:
        DirectorySink(tmp_path / "eml")
    assert str(tmp_path / "eml") in str(caught.value)
    assert caught.value.errno == number
    assert open_descriptors() == before


def test_a_failed_probe_leaves_nothing(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    monkeypatch.setattr(sinks, "os", failing("open", errno.EACCES, after=0 if way == "by path" else 1))
    with pytest.raises(DestinationError, match="permission denied"):
        DirectorySink(tmp_path)
    assert open_descriptors() == before
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("call", ["open", "link"])
def test_a_system_without_nameless_files(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No /proc, a file system without O_TMPFILE, one without hard links: found out once, then renamed."""
    before = open_descriptors()
    # The destination and the probe's first file are opened before.
    for after in range(2, 4) if call == "open" else range(1):
        monkeypatch.setattr(sinks, "os", failing(call, errno.EOPNOTSUPP, after=after))
        sink = DirectorySink(tmp_path)
        monkeypatch.undo()
        with sink:
            assert sink._tree.proc is None
            put(sink, f"a/{after}.eml")
            with pytest.raises(DestinationError, match="already there"):
                put(sink, f"a/{after}.eml")
        assert open_descriptors() == before
        assert all(name.startswith("a/") for name in tree(tmp_path))


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_any_call_may_fail(
    way: str, call: str, size: int, number: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own error with the path; no new file, no temporary one, no descriptor; and the next file works."""
    data = b"x" * size
    with DirectorySink(tmp_path, replace=True) as sink:
        put(sink, "a/old.eml", b"old")
        put(sink, "b/c/old.eml", b"old")
        descriptors = open_descriptors()
        for name in ("a/new.eml", "a/old.eml", "n/new.eml"):
            monkeypatch.setattr(sinks, "os", failing(call, number, once=True))
            refused = None
            try:
                put(sink, name, data, datetime.now(timezone.utc))
            except DestinationError as error:
                refused = error
            monkeypatch.setattr(sinks, "os", os)
            if refused:
                assert says in str(refused)
                assert str(tmp_path) in str(refused)
                assert refused.errno == number
                assert isinstance(refused.__cause__, OSError)
                if name.endswith("new.eml"):
                    assert not (tmp_path / name).exists()
                    put(sink, name, data)
            assert (tmp_path / name).read_bytes() in ({data, b"old"} if refused else {data})
            assert not any(PART.fullmatch(left) for left in names(tmp_path))
        assert open_descriptors() <= descriptors + 1  # for the folder that is new


def test_all_our_calls_are_tried() -> None:
    """So that the test above leaves none out."""
    source = Path(sinks.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r"\bos\.([a-z]+)\b", source))
    harmless = {"fsdecode", "getpid", "sysconf", "makedirs", "fstat", "lstat", "scandir", "name", "path"}
    assert used - harmless == set(CALLS)


def test_a_disk_that_is_really_full(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own ENOSPC: /dev/full stands in for each file."""
    full = os.open("/dev/full", os.O_WRONLY)

    def before(name: str, args: tuple[Any, ...]) -> None:
        if name == "write":
            os.dup2(full, args[0])

    with DirectorySink(tmp_path) as sink:
        monkeypatch.setattr(sinks, "os", FaultyOs(before))
        for size in (10, 300_000):
            with pytest.raises(DestinationError, match="the disk is full") as caught:
                put(sink, "a/b.eml", bytes(size))
            assert caught.value.errno == errno.ENOSPC
    os.close(full)
    assert tree(tmp_path) == {}


LIMITED = """
import resource, sys
from unmbox import sinks
if sys.argv[2] == "renamed":
    sinks._NAMELESS = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
class Message:
    date = None
with sinks.DirectorySink(sys.argv[1]) as sink:
    for name, size in ("small", 10), ("large", 110_000), ("streamed", 300_000), ("last", 100_000):
        target = sink.open(Message())
        try:
            for start in range(0, size, 50_000):
                target.write(b"x" * min(50_000, size - start))
            target.commit("a/" + name)
        except sinks.DestinationError as error:
            print(name, error)
"""


@pytest.mark.parametrize("how", ["nameless", "renamed"])
def test_a_limit_of_the_system(how: str, tmp_path: Path) -> None:
    """A real limit on the size of files: the kernel writes the half of a buffer, then refuses."""
    done = run(LIMITED, str(tmp_path), how)
    said, _ = done.communicate(timeout=60)
    assert done.returncode == 0
    assert [line.split()[0] for line in said.splitlines()] == ["large", "streamed"]
    assert said.count("the file is larger than the file system or a limit allows") == 2
    assert {name: len(data) for name, data in tree(tmp_path).items()} == {"a/small": 10, "a/last": 100_000}


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Another Python with the same library."""
    environment = {**os.environ, "PYTHONPATH": str(Path(sinks.__file__).parents[1])}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


# --- kills


class Killed(BaseException):
    """From here on, the process does nothing more."""


def test_a_kill_at_any_call_tears_no_file(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead before or after each call, the write half done: whole files, and a rerun gives the whole tree."""
    wanted = {"a/small.eml": b"s" * 1000, "a/large.eml": b"l" * 300_000, "b/c/old.eml": b"n" * 1000}

    def convert(folder: Path) -> None:
        with DirectorySink(folder, replace=True) as sink:
            sink.clear_leftovers()
            for name, data in wanted.items():
                target = sink.open(Message(datetime.now(timezone.utc)))
                for start in range(0, len(data), 65536):
                    target.write(data[start : start + 65536])
                target.commit(name)

    kills = 0
    for late in (False, True):
        for step in range(1000):
            folder = tmp_path / f"{late}{step}"
            (folder / "b" / "c").mkdir(parents=True)
            (folder / "b" / "c" / "old.eml").write_bytes(b"o" * 1000)
            left = step

            def before(name: str, args: tuple[Any, ...], late: bool = late) -> Any:
                nonlocal left
                left -= 1
                if left >= 0:
                    return None
                if left == -1 and late:
                    if name == "write":
                        return os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
                    return None
                raise Killed

            descriptors = set(names("/dev/fd"))
            monkeypatch.setattr(sinks, "os", FaultyOs(before))
            dead = False
            try:
                convert(folder)
            except Killed:
                dead = True
            monkeypatch.setattr(sinks, "os", os)
            for descriptor in set(names("/dev/fd")) - descriptors:  # as the kernel does
                with suppress(OSError):
                    os.close(int(descriptor))
            found = tree(folder)
            torn = {
                name
                for name, data in found.items()
                if not PART.fullmatch(name) and data not in (wanted[name], b"o" * 1000)
            }
            assert not torn
            assert way != "nameless" or sys.platform != "linux" or len(found) - len(wanted) <= 1
            kills += dead
            convert(folder)
            assert tree(folder) == wanted
            if not dead:
                break
    assert kills > 40


ENDLESS = """
import hashlib, os, sys
from unmbox import sinks
if sys.argv[2] == "renamed":
    sinks._NAMELESS = 0
class Message:
    date = None
with sinks.DirectorySink(sys.argv[1]) as sink:
    sink.clear_leftovers()
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        data = os.urandom(number % 7 * 50_000 + 1)
        target = sink.open(Message())
        for start in range(0, len(data), 65536):
            target.write(data[start:start + 65536])
        target.commit(f"{number % 5}/{os.getpid()}-{number}-{hashlib.sha256(data).hexdigest()}")
"""


@pytest.mark.parametrize("how", ["nameless", "renamed"])
def test_a_real_kill_tears_no_file(how: str, tmp_path: Path) -> None:
    whole = 0
    dice = random.Random(7)
    for _ in range(6):
        process = run(ENDLESS, str(tmp_path), how)
        assert process.stdout
        with process.stdout:
            assert process.stdout.readline() == "ready\n"
            time.sleep(dice.uniform(0.01, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
        for name, data in tree(tmp_path).items():
            if PART.fullmatch(name):
                assert how == "renamed" or sys.platform != "linux"
            else:
                assert name.endswith(hashlib.sha256(data).hexdigest())
                whole += 1
    assert whole
    with DirectorySink(tmp_path) as sink:
        sink.clear_leftovers()
    assert not any(PART.fullmatch(name) for name in tree(tmp_path))


# --- the end


def test_discard_leaves_nothing(way: str, tmp_path: Path) -> None:
    before = open_descriptors()
    with DirectorySink(tmp_path) as sink:
        for size in (10, 300_000):
            target = sink.open(Message())
            target.write(bytes(size))
            target.discard()
            target.discard()
            with pytest.raises(UsageError, match="open another target"):
                target.write(b"more")
            with pytest.raises(UsageError, match="open another target"):
                target.commit("a.eml")
    assert tree(tmp_path) == {}
    assert open_descriptors() == before


def test_discard_after_commit_does_nothing(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        target = sink.open(Message())
        target.write(b"x" * 300_000)
        target.commit("a.eml")
        target.discard()
        with pytest.raises(UsageError, match="open another target"):
            target.commit("b.eml")
    assert tree(tmp_path) == {"a.eml": b"x" * 300_000}


def test_close_discards_what_is_under_way(way: str, tmp_path: Path) -> None:
    before = open_descriptors()
    sink = DirectorySink(tmp_path)
    small, large = sink.open(Message()), sink.open(Message())
    small.write(b"x")
    large.write(b"x" * 300_000)
    sink.close()
    sink.close()
    assert tree(tmp_path) == {}
    assert open_descriptors() == before
    uses: list[Callable[[], None]] = [
        lambda: small.commit("a.eml"),
        lambda: large.commit("a.eml"),
        lambda: put(sink, "a.eml"),
        lambda: put(sink, "a/b.eml"),
        lambda: put(sink, "a.eml", b"x" * 300_000),
        lambda: [None][sink.clear_leftovers()],
    ]
    for use in uses:
        with pytest.raises(UsageError):
            use()
    assert tree(tmp_path) == {}


def test_a_forked_process_must_make_its_own(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DirectorySink(tmp_path) as sink:
        put(sink, "a/b.eml")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(UsageError, match="another process"):
                put(sink, "a/c.eml")
        put(sink, "a/d.eml")
    assert set(tree(tmp_path)) == {"a/b.eml", "a/d.eml"}


def test_leftovers_are_ours_alone(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".unmbox-7-1.part").write_bytes(b"torn")
    (tmp_path / ".unmbox-99999-18446744073709551616.part").write_bytes(b"torn")
    (tmp_path / "a").mkdir()
    (tmp_path / ".unmbox-7-2.part").mkdir()
    (tmp_path / ".unmbox-7-3.part").symlink_to(tmp_path / "a")
    mine = [
        ".unmbox-x-1.part",
        ".unmbox-7-1.part.eml",
        "x.unmbox-7-1.part",
        ".unmbox-7-1.PART",
        "a/.unmbox-7-1.part",
    ]
    for name in mine:
        (tmp_path / name).write_bytes(b"mine")
    with DirectorySink(tmp_path) as sink:
        target = sink.open(Message())
        target.write(b"x" * 300_000)
        assert sink.clear_leftovers() == 2
        assert sink.clear_leftovers() == 0
        target.commit("b.eml")
        monkeypatch.setattr(sinks, "os", failing("scandir", errno.EIO))
        with pytest.raises(DestinationError, match=re.escape(str(tmp_path))):
            sink.clear_leftovers()
    assert (tmp_path / ".unmbox-7-2.part").is_dir()
    (tmp_path / ".unmbox-7-3.part").unlink()
    assert set(tree(tmp_path)) == {*mine, "b.eml"}


def test_an_error_of_the_message_passes_through(way: str, tmp_path: Path) -> None:
    class Odd:
        @property
        def date(self) -> datetime | None:
            raise LookupError

    with DirectorySink(tmp_path) as sink:
        target = sink.open(Odd())
        target.write(b"x" * 300_000)
        with pytest.raises(LookupError):
            target.commit("a.eml")
    assert tree(tmp_path) == {}


def test_targets_are_forgotten(way: str, tmp_path: Path) -> None:
    with DirectorySink(tmp_path) as sink:
        for size in (10, 300_000):
            target = sink.open(Message())
            target.write(bytes(size))
            target.commit(f"{size}.eml")
            seen = weakref.ref(target)
            del target
            assert seen() is None
