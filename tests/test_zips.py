"""`ZipSink`: what other people's tools say of its volumes, their limits, and what cannot be put in one."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmbox import DestinationError, UsageError, ZipSink
from unmbox._volume import ascii_path

JST = timezone(timedelta(hours=9))
tools = pytest.mark.parametrize("tool", ["unzip", "zip", "7z", "bsdtar"])
methods = pytest.mark.parametrize("method", ["stored", "deflated"])


NOW = datetime(2019, 3, 19, 9, 13, 51, tzinfo=JST)


class Message(NamedTuple):
    date: datetime | None = NOW


def put(sink: ZipSink, name: str, data: bytes = b"mail", date: datetime | None = NOW) -> None:
    target = sink.open(Message(date))
    target.write(data)
    target.commit(name)


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def volumes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.zip"), key=lambda path: (len(path.name), path.name))


def fill(folder: Path, **options: object) -> list[Path]:
    octets = random.Random(6)
    with ZipSink(folder / "out.zip", **options) as sink:  # type: ignore[arg-type]
        for number in range(60):
            data = octets.randbytes(octets.randrange(2000)) + b"text " * octets.randrange(200)
            put(sink, f"{'仕事' if number % 3 else 'Work'}/{number:02}.eml", data)
    return volumes(folder)


@tools
@methods
def test_other_peoples_tools_read_the_volumes(tool: str, method: str, tmp_path: Path) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    made = fill(tmp_path, method=method, size=30_000)
    assert len(made) > 1
    commands = {
        "unzip": ["unzip", "-tqq"],
        "zip": ["zip", "-Tq"],
        "7z": ["7z", "t", "-bso0"],
        "bsdtar": ["bsdtar", "-tf"],
    }
    for path in made:
        done = subprocess.run([*commands[tool], str(path)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout


def test_unzip_makes_the_folders(tmp_path: Path) -> None:
    if not shutil.which("unzip"):
        pytest.skip("unzip is not installed")
    with ZipSink(tmp_path / "out.zip") as sink:
        put(sink, "仕事/請求書/a.eml", b"1")
        put(sink, "Inbox/b.eml", b"2")
    # Info-ZIP writes the names in the locale's charset, and needs one that has them.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    there = tmp_path / "there"
    subprocess.run(["unzip", "-qq", tmp_path / "out.zip", "-d", there], check=True, env=environment)
    assert (there / "仕事/請求書/a.eml").read_bytes() == b"1"
    assert (there / "Inbox/b.eml").read_bytes() == b"2"


@methods
def test_every_message_is_whole_in_one_volume_below_the_limits(method: str, tmp_path: Path) -> None:
    made = fill(tmp_path, method=method, size=30_000, entries=25)
    assert [path.name for path in made] == ["out.zip", *(f"out-{n:03}.zip" for n in range(2, len(made) + 1))]
    held = [entries(path) for path in made]
    assert sum(map(len, held)) == 60
    assert len({name for each in held for name in each}) == 60
    assert max(map(len, held)) <= 25
    assert max(path.stat().st_size for path in made) <= 30_000
    assert min(path.stat().st_size for path in made[:-1]) > 25_000 or method == "deflated"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 3000), max_size=30),
    st.integers(1000, 9000),
    st.sampled_from(["stored", "deflated"]),
)
def test_no_volume_is_ever_over_its_limit(sizes: list[int], limit: int, method: str) -> None:
    import tempfile

    octets = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ZipSink(folder / "out.zip", size=limit, method=method) as sink:
            for number, size in enumerate(sizes):
                put(sink, f"受信/{number}.eml", octets.randbytes(size))
        held = [entries(path) for path in volumes(folder)]
        aside = list(folder.glob("out-aside/受信/*.eml"))
        assert sum(map(len, held)) + len(aside) == len(sizes)
        assert all(path.stat().st_size <= limit for path in volumes(folder))
        assert all(path.stat().st_size > limit - 800 for path in aside)


def test_the_same_messages_make_the_same_octets(tmp_path: Path) -> None:
    one, other = fill(tmp_path / "a", size=30_000), fill(tmp_path / "b", size=30_000)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_what_stands_in_the_headers(tmp_path: Path) -> None:
    with ZipSink(tmp_path / "out.zip", method="stored") as sink:
        put(sink, "plain.eml")
        put(sink, "仕事/a.eml", date=None)
        put(sink, "b.eml", date=datetime(1971, 1, 1, tzinfo=timezone.utc))
        put(sink, "c.eml", date=datetime(2150, 1, 1, tzinfo=timezone.utc))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        plain, work, old, late = archive.infolist()
    assert plain.date_time == (2019, 3, 19, 9, 13, 50)  # as the message says it; a ZIP counts in two seconds
    assert [plain.flag_bits, work.flag_bits] == [0, 0x800]
    assert work.date_time == old.date_time == (1980, 1, 1, 0, 0, 0)
    assert late.date_time == (2107, 12, 31, 23, 59, 58)
    assert (plain.create_system, plain.external_attr >> 16) == (3, 0o100644)
    octets = (tmp_path / "out.zip").read_bytes()
    assert b"PK\6\6" not in octets  # ZIP64
    assert b"PK\6\7" not in octets
    assert b"PK\7\x08" not in octets  # data descriptors


def test_names_in_ascii_on_request(tmp_path: Path) -> None:
    with ZipSink(tmp_path / "out.zip", names="ascii") as sink:
        put(sink, "仕事/Café_0123.eml")
        put(sink, "私事/題_4567.eml")
        put(sink, "Work/x.eml")
    names = list(entries(tmp_path / "out.zip"))
    assert all(name.isascii() for name in names)
    work, private, plain = (name.split("/") for name in names)
    assert work[0] != private[0]
    assert work[1] == "Cafe_0123.eml"
    assert private[1] == "_4567.eml"
    assert plain == ["Work", "x.eml"]
    assert [ascii_path(name) for name in names] == names


def test_a_message_that_is_larger_than_a_volume_is_put_beside(tmp_path: Path) -> None:
    with ZipSink(tmp_path / "out.zip", size=5000) as sink:
        put(sink, "a.eml")
        put(sink, "Inbox/big.eml", b"x" * 6000)
        put(sink, "out-aside/refused/b.eml", b"wanted here")
        put(sink, "c.eml")
    assert list(entries(tmp_path / "out.zip")) == ["a.eml", "c.eml"]
    assert (tmp_path / "out-aside/Inbox/big.eml").read_bytes() == b"x" * 6000
    assert (tmp_path / "out-aside/refused/b.eml").read_bytes() == b"wanted here"


def test_octets_are_counted_whatever_holds_them(tmp_path: Path) -> None:
    octets = b"0123456789abcdef" * 200
    wide = memoryview(octets).cast("Q")  # len() of which is an eighth
    with ZipSink(tmp_path / "out.zip", size=5000, method="stored") as sink:
        for name in "abc":
            target = sink.open(Message())
            for data in (wide, bytearray(octets[:80]), memoryview(octets)[:160:2]):
                target.write(data)
            assert target.size == len(octets) + 160
            target.commit(name)
    assert len(volumes(tmp_path)) == 3
    for path in volumes(tmp_path):
        assert path.stat().st_size <= 5000
        assert [*entries(path).values()] == [octets + octets[:80] + octets[:160:2]]


def test_memory_is_flat_in_the_size_of_a_message(tmp_path: Path) -> None:
    with ZipSink(tmp_path / "out.zip", method="stored") as sink:
        put(sink, "warm.eml")
        piece = b"x" * 65536
        tracemalloc.start()
        target = sink.open(Message())
        for _ in range(16 * 40):
            target.write(piece)
        target.commit("large.eml")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 << 20
    assert len(entries(tmp_path / "out.zip")["large.eml"]) == 40 << 20


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out-002.zip").write_bytes(b"mine")
    sink = ZipSink(tmp_path / "out.zip", size=1000, method="stored")
    put(sink, "a.eml", b"x" * 500)
    with pytest.raises(
        DestinationError, match=r"out-002.zip: a file of that name is already there"
    ) as caught:
        put(sink, "b.eml", b"x" * 500)
    assert caught.value.errno == errno.EEXIST
    sink.close()
    assert (tmp_path / "out-002.zip").read_bytes() == b"mine"
    assert list(entries(tmp_path / "out.zip")) == ["a.eml"]


def test_a_name_stands_once_in_a_volume(tmp_path: Path) -> None:
    with ZipSink(tmp_path / "out.zip") as sink:
        put(sink, "a.eml", b"1")
        with pytest.raises(DestinationError, match="already there"):
            put(sink, "a.eml", b"2")
        put(sink, "b.eml", b"3")
    assert entries(tmp_path / "out.zip") == {"a.eml": b"1", "b.eml": b"3"}


@pytest.mark.parametrize("name", ["", "/a", "a/../b", "a//b", "./a", "a\\b", "a\0b", "\ud800.eml"])
def test_what_is_no_relative_path(name: str, tmp_path: Path) -> None:
    with ZipSink(tmp_path / "out.zip") as sink, pytest.raises(UsageError):
        put(sink, name)
    assert not volumes(tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 999}, "1,000 to"),
        ({"size": 1 << 31}, "1,000 to"),
        ({"entries": 0}, "1 to 65,535"),
        ({"entries": 65_536}, "1 to 65,535"),
        ({"names": "cp437"}, "unknown names"),
        ({"method": "lzma"}, "unknown method"),
    ],
)
def test_bad_options(options: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        ZipSink(tmp_path / "out.zip", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_volume_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    sink = ZipSink(tmp_path / "out.zip")
    put(sink, "a.eml")
    target = sink.open(Message())
    target.write(b"never")
    [part] = tmp_path.iterdir()
    assert part.name.startswith(".out.zip.")
    sink.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="committed or discarded"):
        target.write(b"more")
    with pytest.raises(RuntimeError), ZipSink(tmp_path / "out.zip") as sink:  # noqa: PT012
        put(sink, "a.eml")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".out.zip.1.part", ".out-017.zip.22.part", ".outs.zip.1.part", ".out.zip.part", "x.part"):
        (tmp_path / name).write_bytes(b"")
    with ZipSink(tmp_path / "out.zip") as sink:
        put(sink, "a.eml")
        assert sink.clear_leftovers() == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".out.zip.part",
        ".outs.zip.1.part",
        "out.zip",
        "x.part",
    ]


def test_what_the_system_refuses_is_a_destination_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match="a file or a link stands where a folder is needed"):
        ZipSink(tmp_path / "file" / "out.zip")
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = ZipSink(tmp_path / "out.zip", method="stored")
    put(sink, "a.eml")
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DestinationError) as caught:
            put(sink, "b.eml", b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.errno == errno.EFBIG
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
