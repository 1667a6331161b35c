"""Archives and compressed files: whole ones through every door, broken ones as far as they can be read."""

from __future__ import annotations

import io
import lzma
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unmbox
import unmbox.aio
from packing import (
    ALL_MAIL,
    ARCHIVES,
    COMPRESSED,
    IN_TAKEOUT,
    TAKEOUT,
    check,
    mail,
    mailbox,
    sources_of,
    tarred,
    tree,
    zipped,
    zipped_by_macos,
)
from unmbox import _batches, _flow, _packed, _zip
from unmbox._inspect import inspect
from unmbox._opened import Opened
from unmbox._verify import verify

every_archive = pytest.mark.parametrize("name", ARCHIVES)
every_compression = pytest.mark.parametrize("suffix", COMPRESSED)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# -- whole ones ------------------------------------------------------------------------------------------


@every_archive
def test_an_archive(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, ARCHIVES[name]())
    check(path, tmp_path / "eml", IN_TAKEOUT)
    inside = [entry for entry in TAKEOUT if entry.endswith(".mbox")]
    assert list(sources_of(tmp_path / "eml")) == [f"{path}!/{entry}" for entry in inside]
    found = list(unmbox.messages(path))
    assert {message.source for message in found} == {f"{path}!/{entry}" for entry in inside}
    assert found[-1].offset > 0
    facts = inspect(path)
    assert facts.messages == IN_TAKEOUT
    assert [each.name for each in facts.sources] == [f"{path}!/{entry}" for entry in inside]


@every_archive
def test_an_archive_that_comes_as_a_stream(name: str, tmp_path: Path) -> None:
    data = ARCHIVES[name]()
    whole = unmbox.convert(write(tmp_path / name, data), tmp_path / "whole")
    streams: list[Any] = [io.BytesIO(data), (data[at : at + 1] for at in range(len(data)))]
    for number, stream in enumerate(streams):
        report = unmbox.convert(stream, tmp_path / str(number))
        assert not report.damaged
        assert (report.messages, report.bytes_in) == (whole.messages, whole.bytes_in)
        assert tree(tmp_path / str(number)) == tree(tmp_path / "whole")
        assert verify(tmp_path / str(number), sources=io.BytesIO(data)).ok
        again = unmbox.convert(io.BytesIO(data), tmp_path / str(number))
        assert (again.messages, again.already) == (0, IN_TAKEOUT)


@pytest.mark.parametrize("name", ["deflated.zip", "takeout.tgz"])
def test_the_asynchronous_door_gives_the_same(name: str, tmp_path: Path) -> None:
    """The name of each source, and all that comes before what is damaged."""
    data = ARCHIVES[name]()
    for number, octets in enumerate((data, data[: len(data) * 3 // 4])):
        path = write(tmp_path / f"{number}-{name}", octets)
        expected, broken = read(path, lambda message: (message.source, message.offset))
        found: list[Any] = []

        async def gather(path: Path = path, found: list[Any] = found) -> None:
            async for message in unmbox.aio.messages(path):
                found.append((message.source, message.offset))  # noqa: PERF401  # what came before an error counts

        if broken:
            with pytest.raises(unmbox.SourceError, match="damaged"):
                anyio.run(gather)
        else:
            anyio.run(gather)
        assert found == expected
        assert len(found) > 15


@every_compression
def test_a_compressed_mailbox(suffix: str, tmp_path: Path) -> None:
    data = mailbox(*range(1, 40))
    path = write(tmp_path / f"mail.mbox.{suffix}", COMPRESSED[suffix](data))
    check(path, tmp_path / "eml", 39)
    assert list(sources_of(tmp_path / "eml")) == [str(path)]
    plain = [(each.offset, each.raw) for each in unmbox.messages(io.BytesIO(data))]
    packed = [(each.offset, each.raw) for each in unmbox.messages(io.BytesIO(path.read_bytes()))]
    assert packed == plain


@every_compression
def test_streams_that_follow_one_another_are_one(suffix: str, tmp_path: Path) -> None:
    pack = COMPRESSED[suffix]
    data = pack(mailbox(*range(1, 20))) + pack(b"") + pack(mailbox(*range(20, 30)))
    check(write(tmp_path / f"mail.mbox.{suffix}", data), tmp_path / "eml", 29)
    if suffix in {"gz", "xz"}:
        check(write(tmp_path / f"padded.mbox.{suffix}", data + bytes(1024)), tmp_path / "padded", 29)


@every_compression
def test_what_follows_the_compressed_octets_is_told(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"mail.mbox.{suffix}", COMPRESSED[suffix](mailbox(1)) + b"something else")
    report = unmbox.convert(path, tmp_path / "eml")
    assert report.messages == 1
    assert [damage.offset for damage in report.damaged] == [len(mailbox(1))]


def test_a_compressed_message(tmp_path: Path) -> None:
    path = write(tmp_path / "one.eml.gz", COMPRESSED["gz"](mail(1).encode()))
    check(path, tmp_path / "eml", 1)


def test_a_mailbox_of_many_blocks(tmp_path: Path) -> None:
    """Over the size from which a thread unpacks ahead."""
    noise = random.Random(1)
    body = "".join(f"{noise.random()}\n" for _ in range(500))
    data = mailbox(*range(400), body=body)
    assert len(data) > 3 * _flow.BLOCK
    for name, packed in (
        ("a.mbox.gz", COMPRESSED["gz"](data)),
        ("a.zip", zipped({"a.mbox": data})),
        ("a.tgz", tarred({"a.mbox": data}, "w:gz")),
    ):
        path = write(tmp_path / name, packed)
        check(path, tmp_path / f"{name}-eml", 400)
        for message in unmbox.messages(path):  # left early, the thread ends
            assert message.offset == 0
            break


def test_every_shape_gives_the_same_files(tmp_path: Path) -> None:
    expected: dict[str, bytes] = {}
    for name, make in ARCHIVES.items():
        unmbox.convert(write(tmp_path / name, make()), tmp_path / f"{name}-eml")
        expected = expected or tree(tmp_path / f"{name}-eml")
        assert tree(tmp_path / f"{name}-eml") == expected
    assert len(expected) == IN_TAKEOUT


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    """A plain mailbox is cut in ranges, an archive read by one; copies are told across both."""
    plain = write(tmp_path / "plain.mbox", TAKEOUT[ALL_MAIL] * 3)
    given = [write(tmp_path / "a.zip", ARCHIVES["deflated.zip"]()), plain]
    one = unmbox.convert(given, tmp_path / "one")
    two = unmbox.convert(given, tmp_path / "two", jobs=2)
    assert (two.messages, two.duplicates, two.written) == (one.messages, one.duplicates, one.written)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    assert verify(tmp_path / "two", sources=given).ok


def test_archives_in_an_archive(tmp_path: Path) -> None:
    inner = {
        "takeout-20240101T000000Z-001.zip": zipped(TAKEOUT),
        "mail/old.mbox.gz": COMPRESSED["gz"](mailbox(70)),
        "Takeout/Drive/somebody's.zip": zipped({"private.mbox": mailbox(80)}),
        "mail/older.zip": zipped(
            {"older.mbox": mailbox(71), "oldest.tgz": tarred({"a.mbox": mailbox(72)}, "w:gz")}
        ),
        "mail/photos.zip": zipped({"a.jpg": b"\xff\xd8"}),
    }
    for name, data in (
        ("in.zip", zipped(inner)),
        ("in.tar", tarred(inner)),
        ("in.tgz", tarred(inner, "w:gz")),
    ):
        check(write(tmp_path / name, data), tmp_path / f"{name}-eml", IN_TAKEOUT + 3)


def test_an_archive_in_itself_ends(tmp_path: Path) -> None:
    data = mailbox(1)
    for _ in range(20):
        data = zipped({"takeout-20240101T000000Z-001.zip": data, "a.mbox": mailbox(2)})
    report = unmbox.convert(write(tmp_path / "deep.zip", data), tmp_path / "eml")
    assert 0 < report.messages < 20


def test_names_that_come_twice(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.mbox", mailbox(1))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.mbox", mailbox(2))
    path = write(tmp_path / "twice.zip", out.getvalue())
    check(path, tmp_path / "eml", 2)
    assert list(sources_of(tmp_path / "eml")) == [f"{path}!/a.mbox", f"{path}!/a.mbox#2"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("é.mbox".encode(), "é.mbox"), (b"\x82.mbox", "é.mbox"), ("受信.mbox".encode(), "受信.mbox")],
)
def test_names_without_the_flag_of_utf_8(raw: bytes, shown: str, tmp_path: Path) -> None:
    data = zipped({"x" * len(raw): mailbox(1)}).replace(b"x" * len(raw), raw)
    path = write(tmp_path / "names.zip", data)
    assert [message.source for message in unmbox.messages(path)] == [f"{path}!/{shown}"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("メール/一覧表.mbox", "メール/一覧表.mbox"),
        ("受信表", "受信表"),
        ("schön/für.mbox", ""),
        ("ﾒｰﾙ表.mbox", ""),
        ("成功.mbox", ""),
    ],
)
@pytest.mark.parametrize("packed", ["zip", "stream", "tar"])
def test_letters_of_code_pages_that_end_like_a_backslash(
    name: str, shown: str, packed: str, tmp_path: Path
) -> None:
    """They had made a hidden file of `.mbox`, and of a mailbox without a suffix a folder."""
    raw = name.encode({"s": "cp850", "成": "big5"}.get(name[0], "cp932"))
    assert (b"\\" in raw) == (not name.startswith("s"))
    stand_in = "x" * len(raw)
    if packed == "tar":
        info = tarfile.TarInfo(raw.decode("utf-8", "surrogateescape"))
        octets = mailbox(1)
        info.size = len(octets)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
            archive.addfile(info, io.BytesIO(octets))
        data = out.getvalue()
    else:
        files = {"y\\": b"", stand_in: mailbox(1)}
        data = zipped(files, streamed=packed == "stream").replace(stand_in.encode(), raw)
    path = write(tmp_path / f"a.{packed}", data)
    source = io.BytesIO(data) if packed == "stream" else path
    found = [message.source for message in unmbox.messages(source)]
    assert len(found) == 1
    assert packed == "tar" or found[0].endswith(f"!/{shown}" if shown else "")
    assert unmbox.convert(source if packed != "stream" else io.BytesIO(data), tmp_path / "eml").written == 1


def test_zip64(tmp_path: Path) -> None:
    """Sizes in the fields that 4 GiB need, and the directory's own place in a record of 64 bits."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        with archive.open("a.mbox", "w", force_zip64=True) as file:
            file.write(mailbox(1, 2))
        archive.writestr("z.mbox", mailbox(3))
    data = out.getvalue()
    end = data.index(b"PK\5\6")
    count, length, start = struct.unpack_from("<HLL", data, end + 10)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    full = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = write(tmp_path / "large.zip", data[:end] + large + locator + full)
    assert zipfile.ZipFile(path).namelist() == ["a.mbox", "z.mbox"]
    check(path, tmp_path / "eml", 3)


def test_names_that_come_again_say_the_same_of_what_they_are(tmp_path: Path) -> None:
    """As of messages that are called by their subjects, and in archives that were joined."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(3):
            archive.writestr("Inbox/hello.eml", mail(number))
            archive.writestr("in.zip", zipped({"a.mbox": mailbox(10 + number)}))
    check(write(tmp_path / "a.zip", out.getvalue()), tmp_path / "eml", 6)
    one, two = ({"mh/1": mail(n).encode(), "x.mbox.gz": COMPRESSED["gz"](mailbox(n + 9))} for n in (1, 2))
    check(write(tmp_path / "a.tar", tarred(one) + tarred(two)), tmp_path / "tar-eml", 4)


@pytest.mark.parametrize("folder", ["Takeout", "__MACOSX"])
def test_where_an_archive_stands_says_nothing_of_what_it_holds(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    data = zipped({"inner.zip": zipped({"a.mbox": mailbox(1)}), "b.mbox": mailbox(2)})
    check(write(tmp_path / folder / "x.zip", data), tmp_path / "eml", 2)


def test_damage_of_an_archive_in_an_archive_is_told(tmp_path: Path) -> None:
    inner = zipped({"a.eml": mail(1).encode(), "b.eml": mail(2).encode()})
    data = bytearray(COMPRESSED["gz"](inner))
    data[-8] ^= 1  # of its check sum
    report = unmbox.convert(write(tmp_path / "in.zip.gz", bytes(data)), tmp_path / "eml")
    assert report.messages == 2
    assert report.damaged


@pytest.mark.parametrize("behind", [b"", bytes(10_240), b"what a tape had held" * 99])
def test_tar_archives_that_were_joined(behind: bytes, tmp_path: Path) -> None:
    """``cat one.tar two.tar``, which `tar -i` reads."""
    data = tarred({"a.mbox": mailbox(1)}) + tarred({"a.mbox": mailbox(2), "b.mbox": mailbox(3)}) + behind
    check(write(tmp_path / "joined.tar", data), tmp_path / "eml", 3)
    check(write(tmp_path / "joined.tar.gz", COMPRESSED["gz"](data)), tmp_path / "gz-eml", 3)


@pytest.mark.parametrize("streamed", [False, True])
def test_zip_archives_that_were_joined(streamed: bool, tmp_path: Path) -> None:
    """As of an export's parts; the directory at the end knows of the last one alone."""
    archives = [
        zipped({"a.mbox": mailbox(n), "b.mbox": mailbox(n + 10)}, streamed=streamed) for n in (1, 2, 3)
    ]
    path = write(tmp_path / "a.zip", b"".join(archives))
    check(path, tmp_path / "eml", 6)
    assert list(sources_of(tmp_path / "eml"))[:3] == [
        f"{path}!/{n}" for n in ("a.mbox", "b.mbox", "a.mbox#2")
    ]
    with path.open("rb") as file:
        assert len(list(unmbox.messages(file))) == 6
    report = unmbox.convert(write(tmp_path / "b.zip", archives[0][:-30] + archives[1]), tmp_path / "cut")
    assert report.messages == 2
    assert "another archive begins here" in report.damaged[0].reason


@pytest.mark.parametrize("most", [1 << 10, 1 << 14, 1 << 20])
def test_large_files_that_macos_has_packed_up(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no ZIP64: headers hold 32 bits of sizes and offsets that have more. Here, fewer bits."""
    monkeypatch.setattr(_zip, "_ROUND", most)
    data = zipped_by_macos(TAKEOUT, most)
    assert (len(data) > most) == (most < 1 << 14)
    path = write(tmp_path / "a.zip", data)
    check(path, tmp_path / "eml", IN_TAKEOUT)
    with path.open("rb") as file:
        assert len(list(unmbox.messages(file))) == IN_TAKEOUT
    cut = unmbox.convert(write(tmp_path / "cut.zip", data[:-3000] + data[-2900:]), tmp_path / "cut")
    assert cut.damaged


def test_an_archive_behind_a_program(tmp_path: Path) -> None:
    path = write(tmp_path / "shifted.zip", b"PK00" + zipped(TAKEOUT))
    check(path, tmp_path / "eml", IN_TAKEOUT)


@pytest.mark.skipif(not shutil.which("zip"), reason="Info-ZIP's zip is not installed")
@pytest.mark.parametrize("options", [["-0"], ["-9"], ["-fz"], ["-Z", "bzip2"]])
@pytest.mark.parametrize("streamed", [False, True])
def test_archives_of_info_zip(options: list[str], streamed: bool, tmp_path: Path) -> None:
    write(tmp_path / "a.mbox", mailbox(*range(1, 10)))
    path = tmp_path / "made.zip"
    if streamed:
        with path.open("wb") as out:
            subprocess.run(["zip", "-q", *options, "-", "a.mbox"], cwd=tmp_path, stdout=out, check=True)
    else:
        subprocess.run(["zip", "-q", *options, path, "a.mbox"], cwd=tmp_path, check=True)
    check(path, tmp_path / "eml", 9)
    assert len(list(unmbox.messages(io.BytesIO(path.read_bytes())))) == 9


def test_links_and_special_files_are_passed_over(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)):
            info = tarfile.TarInfo(f"{number}.mbox")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("../../" + "long/" * 60 + "a.mbox")
        info.size = len(mailbox(1))
        archive.addfile(info, io.BytesIO(mailbox(1)))
    check(write(tmp_path / "links.tar", out.getvalue()), tmp_path / "eml", 1)

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zip_file:
        link = zipfile.ZipInfo("link.mbox")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        zip_file.writestr(link, "/etc/passwd")
        zip_file.writestr("/etc/../../a\n\x1b[31m.mbox", mailbox(1))
    check(write(tmp_path / "links.zip", out.getvalue()), tmp_path / "eml-zip", 1)
    assert not (tmp_path / "etc").exists()


# -- going on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deflated.zip", "stored.zip", "takeout.tgz", "plain.tar", "mail.mbox.xz"])
@pytest.mark.parametrize("octets", [1, 3_000, len(TAKEOUT[ALL_MAIL]), len(TAKEOUT[ALL_MAIL]) + 100])
def test_a_run_that_stopped_goes_on(
    name: str, octets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an entry, between two, and with finished ones, whose octets are not read again."""
    make = ARCHIVES.get(name, lambda: COMPRESSED["xz"](b"".join(list(TAKEOUT.values())[1:3])))
    path = write(tmp_path / name, make())
    unmbox.convert(path, tmp_path / "whole")
    monkeypatch.setattr(_batches, "BATCH_MESSAGES", 3)
    left = octets
    opened = Opened.__iter__

    def limited(chunks: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def give(*arguments: Any, **named: Any) -> Iterator[bytes]:
            nonlocal left
            for chunk in chunks(*arguments, **named):
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    raise OSError("pulled out")

        return give

    def sources(self: Any) -> Iterator[Any]:
        for source in opened(self):
            monkeypatch.setattr(source, "chunks", limited(source.chunks))
            yield source

    with monkeypatch.context() as patch:
        patch.setattr(Opened, "__iter__", sources)
        with pytest.raises(OSError, match="pulled out"):
            unmbox.convert(path, tmp_path / "eml")
    unmbox.convert(path, tmp_path / "eml")
    assert tree(tmp_path / "eml") == tree(tmp_path / "whole")
    assert sources_of(tmp_path / "eml") == sources_of(tmp_path / "whole")
    found = verify(tmp_path / "eml", sources=path)
    assert found.ok, found.problems


def test_an_archive_that_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", zipped({"a.mbox": mailbox(1), "b.mbox": mailbox(2)}))
    unmbox.convert(path, tmp_path / "eml")
    path.write_bytes(zipped({"a.mbox": mailbox(1), "b.mbox": mailbox(3), "c.mbox": mailbox(4)}))
    with pytest.raises(unmbox.UsageError, match=r"b\.mbox has changed"):
        unmbox.convert(path, tmp_path / "eml")
    path.write_bytes(zipped({"a.mbox": mailbox(1), "b.mbox": mailbox(2), "c.mbox": mailbox(4)}))
    assert unmbox.convert(path, tmp_path / "eml").messages == 1


def test_a_damaged_source_is_told_again_and_by_verify(tmp_path: Path) -> None:
    data = ARCHIVES["deflated.zip"]()
    path = write(tmp_path / "cut.zip", data[: len(data) // 2])
    first = unmbox.convert(path, tmp_path / "eml")
    again = unmbox.convert(path, tmp_path / "eml")
    assert first.damaged
    assert again.damaged == first.damaged
    assert (again.messages, again.already) == (0, first.messages)
    assert {each.kind for each in verify(tmp_path / "eml", sources=path).problems} == {"damaged"}


# -- broken ones -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deflated.zip", "stored.zip", "streamed.zip", "takeout.tgz", "plain.tar"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_truncated_archive_gives_what_is_there(name: str, streamed: bool, tmp_path: Path) -> None:
    data = ARCHIVES[name]()
    path = write(tmp_path / name, data[: len(data) * 6 // 10])
    report = unmbox.convert(io.BytesIO(path.read_bytes()) if streamed else path, tmp_path / "eml")
    assert 5 < report.messages < IN_TAKEOUT
    assert report.damaged
    (uri,) = sources_of(tmp_path / "eml")
    assert report.damaged[0].source.endswith(ALL_MAIL)
    assert report.damaged[0].offset == report.bytes_in
    assert uri.endswith(ALL_MAIL)


@pytest.mark.parametrize("name", ["deflated.zip", "streamed-stored.zip", "plain.tar", "takeout.tgz"])
def test_every_truncation(name: str, tmp_path: Path) -> None:
    """At each octet of a small archive: what comes out is a beginning of what the whole one gives."""
    data = _small(name, {"a.mbox": mailbox(1, 2), "b.mbox": mailbox(3)})
    whole = [(each.message_id, each.raw) for each in unmbox.messages(io.BytesIO(data))]
    assert len(whole) == 3
    path = tmp_path / name
    begin = 512 if data[257:262] == b"ustar" else 10  # octets that tell what it is
    for size in range(len(data)):
        if name.endswith(".tar") and size % 61:
            continue  # nothing but zeros, for the most part
        path.write_bytes(data[:size])
        for source in (path, io.BytesIO(data[:size])):
            found, damaged = read(source)
            assert found == whole[: len(found)] or found[:-1] == whole[: len(found) - 1]
            end = size >= len(data) - 1024 and name.endswith(".tar")
            assert damaged or end or len(found) == 3 or size < begin, (size, found)


def _small(name: str, files: dict[str, bytes]) -> bytes:
    if ".zip" in name:
        method = {"stored": 0, "streamed-stored": 0, "bzip2": 12}.get(name.removesuffix(".zip"), 8)
        return zipped(files, method=method, streamed="streamed" in name)
    if name.endswith(".zst"):
        return COMPRESSED["zst"](tarred(files))
    mode = {"tgz": "w:gz", "tar": "w"}.get(name.rpartition(".")[2]) or f"w:{name.rpartition('.')[2]}"
    return tarred(files, mode)


def read(source: Any, what: Callable[[Any], Any] = lambda message: (message.message_id, message.raw)) -> Any:
    """What can be read of a source, and whether it was damaged."""
    found: list[Any] = []
    try:
        for message in unmbox.messages(source):
            found += [what(message)]
    except unmbox.SourceError:
        return found, True
    return found, False


@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(sorted(ARCHIVES)))
def test_flipped_octets_raise_nothing_but_our_error(data: st.DataObject, name: str) -> None:
    octets = bytearray(_small(name, {"a.mbox": mailbox(1, 2), "b.mbox": mailbox(3)}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at] ^= data.draw(st.integers(1, 255))
    read(io.BytesIO(bytes(octets)))  # lets nothing but SourceError pass unseen
    with _file(bytes(octets)) as path:
        read(path)


class _file:  # noqa: N801  # as a function
    """A file for one example, where pytest's folder would be shared by all."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> str:
        import tempfile

        handle, self._path = tempfile.mkstemp(suffix=".zip")
        with os.fdopen(handle, "wb") as file:
            file.write(self._data)
        return self._path

    def __exit__(self, *_: object) -> None:
        Path(self._path).unlink()


@settings(max_examples=60)
@given(
    st.binary(max_size=600),
    st.sampled_from(
        [b"", b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"]
    ),
)
def test_random_octets_raise_nothing_but_our_error(data: bytes, magic: bytes) -> None:
    octets = magic + data
    read(io.BytesIO(octets))
    with _file(octets) as path:
        read(path)


@settings(max_examples=30)
@given(
    st.dictionaries(st.text("ab./\\é受\0\n", min_size=1, max_size=8), st.integers(0, 5), max_size=5),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
    st.booleans(),
)
def test_random_archives(names: dict[str, int], method: int, streamed: bool) -> None:
    files = {
        f"{index}{name}.mbox": mailbox(*range(count)) for index, (name, count) in enumerate(names.items())
    }
    data = zipped(files, method=method, streamed=streamed)
    expected = sum(count for name, count in zip(files, names.values(), strict=True))
    for given_ in (io.BytesIO(data), None):
        with _file(data) as path:
            found, damaged = read(given_ or path)
        shown = [name for name in files if not name.replace("\\", "/").rpartition("/")[2].startswith(".")]
        if len(shown) == len(files) and "\0" not in "".join(files):
            assert len(found) == expected
            assert damaged == (not files)


def test_a_wrong_check_sum(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mbox": mailbox(1, 2)}, method=zipfile.ZIP_STORED))
    at = data.index(b"Hello")
    data[at : at + 5] = b"Jello"
    report = unmbox.convert(write(tmp_path / "a.zip", bytes(data)), tmp_path / "eml")
    assert report.messages == 2
    assert [each.reason for each in report.damaged] == [_packed.WRONG_SUM]


def test_an_octet_flipped_in_deflated_mail_loses_only_what_follows(tmp_path: Path) -> None:
    noise = random.Random(2)
    body = "".join(f"{noise.random()}\n" for _ in range(200))
    data = bytearray(zipped({"a.mbox": mailbox(*range(200), body=body), "b.mbox": mailbox(999)}))
    middle = len(data) // 2
    data[middle : middle + 8] = b"\xff" * 8
    report = unmbox.convert(write(tmp_path / "a.zip", bytes(data)), tmp_path / "eml")
    assert 80 < report.messages <= 202
    assert "a.mbox" in report.damaged[0].source
    assert any("/b.mbox" in uri for uri in sources_of(tmp_path / "eml"))


@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_unpacked_and_may_be_a_mailbox_is_told(stream: bool, tmp_path: Path) -> None:
    """Thunderbird's have no suffix, and without its first octets nothing else could tell."""
    data = bytearray(zipped({"a.mbox": mailbox(1), "Mail/Inbox": mailbox(2), "photo.jpg": b"x"}))
    for sign, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flags of the second and third entries
        start = data.index(sign)
        for _ in range(2):
            start = data.index(sign, start + 4)
            data[start + at] |= 1
    path = write(tmp_path / "a.zip", bytes(data))
    report = unmbox.convert(io.BytesIO(data) if stream else path, tmp_path / "eml")
    assert report.messages == 1
    [damage] = report.damaged
    assert damage.source.endswith("Mail/Inbox")
    assert "encrypted" in damage.reason


def test_a_name_that_comes_twice_in_a_tar(tmp_path: Path) -> None:
    """As `tar -r` leaves it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for numbers in (range(5), range(5, 12)):
            octets = mailbox(*numbers)
            info = tarfile.TarInfo("Inbox.mbox")
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
    check(write(tmp_path / "a.tar", out.getvalue()), tmp_path / "eml", 12)


@pytest.mark.parametrize("name", ["a.mbox", "a.mbox.gz", "a.zip", "a.tgz"])
def test_an_encrypted_entry(name: str, tmp_path: Path) -> None:
    data = bytearray(zipped({name: mailbox(1), "b.mbox": mailbox(2)}))
    for sign, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(sign) + at] |= 1
    path = write(tmp_path / "a.zip", bytes(data))
    for source in (path, io.BytesIO(bytes(data))):
        report = unmbox.convert(source, tmp_path / f"eml-{source == path}")
        assert report.messages == 1
        assert report.damaged[0].source.endswith(f"!/{name}")
        assert "encrypted" in report.damaged[0].reason


def test_a_method_that_nothing_here_unpacks(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mbox": mailbox(1)}))
    for sign, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        struct.pack_into("<H", data, data.index(sign) + at, 9)
    report = unmbox.convert(write(tmp_path / "a.zip", bytes(data)), tmp_path / "eml")
    assert "Deflate64" in report.damaged[0].reason


def test_entries_that_lie_on_top_of_one_another(tmp_path: Path) -> None:
    """As in David Fifield's ZIP bomb: one kernel of octets, told of by many headers of the directory."""
    data = zipped({"0.mbox": mailbox(*range(50))})
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    header = data[start:end]
    many = b"".join(header.replace(b"0.mbox", b"%d.mbox" % (number % 10)) for number in range(1000))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1000, 1000, len(many), start, 0)
    report = unmbox.convert(write(tmp_path / "bomb.zip", data[:start] + many + tail), tmp_path / "eml")
    assert report.damaged
    assert "bomb" in report.damaged[0].reason
    assert len(report.damaged) <= 1000
    assert report.messages < 50_000


def test_a_volume_of_a_split_archive(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mbox": mailbox(1)}))
    struct.pack_into("<H", data, data.index(b"PK\5\6") + 4, 3)
    report = unmbox.convert(write(tmp_path / "a.zip", bytes(data)), tmp_path / "eml")
    assert "split" in report.damaged[0].reason


def test_nothing_but_damage_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", zipped(TAKEOUT)[:20])
    with pytest.raises(unmbox.SourceError, match="nothing could be read"):
        unmbox.convert(path, tmp_path / "eml")


def test_a_sparse_file_in_a_tar(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.mbox": mailbox(1), "b.mbox": mailbox(2)}, form=tarfile.GNU_FORMAT))
    data[156] = ord("S")
    total = sum(data[:148]) + sum(data[156:512]) + 8 * 32
    data[148:156] = b"%06o\0 " % total
    report = unmbox.convert(write(tmp_path / "a.tar", bytes(data)), tmp_path / "eml")
    assert report.messages == 1
    assert "sparse" in report.damaged[0].reason


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> Any:
        raise ImportError(name)

    path = write(tmp_path / "a.mbox.zst", COMPRESSED["zst"](mailbox(1)))
    monkeypatch.setattr(_packed, "import_module", gone)
    with pytest.raises(unmbox.UsageError, match=r"pip install 'unmbox\[zstd\]'"):
        unmbox.convert(path, tmp_path / "eml")


def test_the_manifest_says_what_is_damaged(tmp_path: Path) -> None:
    data = ARCHIVES["takeout.tgz"]()
    unmbox.convert(write(tmp_path / "a.tgz", data[: len(data) // 2]), tmp_path / "eml")
    with closing(sqlite3.connect(tmp_path / "eml" / "unmbox-manifest.sqlite")) as manifest:
        rows = manifest.execute("SELECT scheme, damage FROM source").fetchall()
    assert [scheme for scheme, _ in rows] == ["tar"]
    assert rows[0][1]


@pytest.mark.parametrize("boxes", [1, 2])
def test_no_flipped_bit_of_a_directory_loses_mail_in_silence(tmp_path: Path, boxes: int) -> None:
    """Nothing protects a ZIP's directory: a bit of it must not make a mailbox a link, or hide another."""
    data = bytearray(zipped({f"{n}.mbox": mailbox(*range(1 + n, 40, boxes)) for n in range(boxes)}))
    path = tmp_path / "a.zip"
    for at in range(data.index(b"PK\1\2"), len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            path.write_bytes(data)
            found, damaged = read(path)
            assert damaged or len(found) == 39, (at - data.index(b"PK\5\6"), bit)
            data[at] ^= 1 << bit


@pytest.mark.parametrize("streamed", [False, True])
def test_lzma_in_a_zip(streamed: bool, tmp_path: Path) -> None:
    data = zipped(TAKEOUT, method=zipfile.ZIP_LZMA, streamed=streamed)
    check(write(tmp_path / "a.zip", data), tmp_path / "eml", IN_TAKEOUT)
    assert unmbox.convert(io.BytesIO(data), tmp_path / "stream").messages == IN_TAKEOUT


def _own_lzma(mail_box: bytes, *, properties: int = 5) -> bytes:
    """An entry as 7-Zip writes it, without an end marker: its size tells."""
    packed = lzma.compress(mail_box, lzma.FORMAT_ALONE)
    # Python puts no size there and an end marker behind; what stands before that is the same.
    packed = b"\x09\x14" + struct.pack("<H", properties) + packed[:5] + packed[13:]
    header = struct.pack("<5H3L2H", 63, 0, 14, 0, 33, zlib.crc32(mail_box), len(packed), len(mail_box), 6, 0)
    return b"PK\3\4" + header + b"a.mbox" + packed + b"PK\5\6" + bytes(18)


def test_lzma_without_an_end_marker(tmp_path: Path) -> None:
    box = mailbox(*range(500))
    found, damaged = read(io.BytesIO(_own_lzma(box)))
    assert (len(found), damaged) == (500, False)
    found, damaged = read(io.BytesIO(_own_lzma(box, properties=6)))
    assert (found, damaged) == ([], True)


@pytest.mark.skipif(not shutil.which("7z"), reason="7-Zip is not installed")
@pytest.mark.parametrize("method", ["LZMA", "xz", "BZip2", "Deflate"])
def test_archives_of_7_zip(method: str, tmp_path: Path) -> None:
    write(tmp_path / "a.mbox", mailbox(*range(1, 200)))
    command = ["7z", "a", "-tzip", f"-mm={method}", "a.zip", "a.mbox"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    check(tmp_path / "a.zip", tmp_path / "eml", 199)


@pytest.mark.parametrize(
    ("name", "octets", "sentence"),
    [
        ("a.zip", b"", "it is empty.* download it again"),
        ("a.zip", b"<!DOCTYPE html><title>Sign in</title>", "web page.* sign in and download it again"),
        ("a.tgz", b"\n<html>", "web page"),
        ("a.zip", bytes(5000), "cut short"),
        ("a.tgz", bytes(5000), "none of the archives.* download it again"),
        ("a.mbox.gz", b"Subject: no archive\n\n", "none of the archives"),
        ("a.mbox", b"7z\xbc\xaf\x27\x1c" + bytes(99), "7-Zip archive.*: unpack it"),
        ("a.rar", b"Rar!\x1a\x07\1\0" + bytes(99), "RAR archive.*: unpack it"),
        ("a.pst", b"!BDN" + bytes(99), "Outlook.*readpst"),
        ("a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "Outlook.*save it as .eml"),
        ("a.z01", b"PK\7\x08PK\3\4" + bytes(99), "split.*: join them"),
    ],
)
def test_what_is_no_source_is_told_with_what_to_do(
    name: str, octets: bytes, sentence: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, octets)
    with pytest.raises(unmbox.SourceError, match=f"(?s){name}.*{sentence}"):
        unmbox.convert(path, tmp_path / "eml")
    write(tmp_path / "good.mbox", mailbox(1))
    report = unmbox.convert([path, tmp_path / "good.mbox"], tmp_path / "eml")
    assert report.messages == 1
    assert [each.source for each in report.damaged] == [str(path)]


def test_a_mailbox_that_is_called_an_archive_is_read(tmp_path: Path) -> None:
    for name in ("a.zip", "a.tgz"):
        check(write(tmp_path / name, mailbox(1, 2)), tmp_path / name[2:], 2)


def test_a_zip_whose_first_octets_are_gone(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mbox": mailbox(1), "b.mbox": mailbox(2)}))
    data[:8] = bytes(8)
    found, damaged = read(write(tmp_path / "a.zip", bytes(data)))
    assert (len(found), damaged) == (1, True)
