"""Peak memory of the command for each kind of source: flat in its size, and in the number of its messages."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import measure
from packing import mail, mailbox
from test_memory import MIB, PLAIN, PROJECT
from test_remote import Server

SIZE = "16M"
MANY = 2_500
"""Messages in files of their own: more than are sorted in memory."""


def peak_of(source: Path | str, destination: Path, stdin: Path | None = None) -> tuple[float, int]:
    """The command's peak in MiB, and the messages that it has written."""
    command = [sys.executable, "-m", "unmbox", "convert", str(source), str(destination)]
    with tempfile.TemporaryFile() as said, (stdin or Path(os.devnull)).open("rb") as given:
        options = [*command, "--headers", "preserve", "--json"]
        usage = measure.run(options, stdin=given, stdout=said, env=PLAIN)
        said.seek(0)
        report = json.load(said)
    assert usage.code == 0, report
    assert report["written"] == report["messages"]
    return usage.peak / MIB, report["messages"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "plain.mbox"
    command = [sys.executable, "-m", "benchmarks.shapes", "takeout", "--size", SIZE, str(path)]
    subprocess.run(command, cwd=PROJECT, env=PLAIN, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> float:
    folder = tmp_path_factory.mktemp("base")
    (folder / "one.mbox").write_bytes(mailbox(1))
    return peak_of(folder / "one.mbox", folder / "eml")[0]


def _zip(path: Path, plain: Path, method: int) -> None:
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        archive.write(plain, "Takeout/Mail/All mail.mbox")


def _tar(path: Path, plain: Path, mode: str) -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is one of its own
        archive.add(plain, "Takeout/Mail/All mail.mbox")


def _zstd(path: Path, plain: Path) -> None:
    from backports import zstd

    path.write_bytes(zstd.compress(plain.read_bytes(), 1))


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "deflated.zip": lambda path, plain: _zip(path, plain, zipfile.ZIP_DEFLATED),
    "stored.zip": lambda path, plain: _zip(path, plain, zipfile.ZIP_STORED),
    "takeout.tgz": lambda path, plain: _tar(path, plain, "w:gz"),
    "plain.tar": lambda path, plain: _tar(path, plain, "w"),
    "all.mbox.gz": lambda path, plain: path.write_bytes(gzip.compress(plain.read_bytes(), 1)),
    "all.mbox.bz2": lambda path, plain: path.write_bytes(bz2.compress(plain.read_bytes(), 1)),
    "all.mbox.xz": lambda path, plain: path.write_bytes(lzma.compress(plain.read_bytes(), preset=0)),
    "all.mbox.zst": _zstd,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_archive(kind: str, plain: Path, base: float, tmp_path: Path) -> None:
    path = tmp_path / kind
    KINDS[kind](path, plain)
    peak, messages = peak_of(path, tmp_path / "eml")
    assert messages > 100
    assert peak - base <= 16


@pytest.mark.parametrize("kind", ["deflated.zip", "stored.zip", "takeout.tgz", "plain.tar", "all.mbox.xz"])
def test_a_large_archive_from_standard_input(kind: str, plain: Path, base: float, tmp_path: Path) -> None:
    path = tmp_path / kind
    KINDS[kind](path, plain)
    peak, messages = peak_of("-", tmp_path / "eml", stdin=path)
    assert messages > 100
    assert peak - base <= 16


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("served"))
    (server.folder / "one.mbox").write_bytes(mailbox(1))
    yield server
    server.stop()


@pytest.mark.parametrize("way", ["files", "streams"])
@pytest.mark.parametrize("kind", ["all.mbox", "deflated.zip", "takeout.tgz", "all.mbox.gz"])
def test_a_large_file_by_url(kind: str, way: str, server: Server, plain: Path, tmp_path: Path) -> None:
    """Against a small one by URL: what fsspec and its web client take is theirs."""
    path = server.folder / kind
    if kind == "all.mbox":
        path.write_bytes(plain.read_bytes())
    else:
        KINDS[kind](path, plain)
    small, _ = peak_of(f"{server.url}/{way}/one.mbox", tmp_path / "one")
    peak, messages = peak_of(f"{server.url}/{way}/{kind}", tmp_path / "eml")
    assert messages > 100
    assert peak - small <= 16


def test_a_maildir_of_many_messages_and_a_large_one(base: float, tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    for number in range(MANY):
        (tmp_path / "Maildir/cur" / f"{number}.{'x' * 60}:2,S").write_text(mail(number))
    with (tmp_path / "Maildir/new/large").open("w") as file:
        file.write(mail(MANY))
        for _ in range(32):
            file.write(f"{'y' * 75}\n" * 14_000)  # 1 MiB
    peak, messages = peak_of(tmp_path / "Maildir", tmp_path / "eml")
    assert messages == MANY + 1
    assert peak - base <= 16


def test_many_messages_in_a_folder(base: float, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    for number in range(MANY):
        path = folder / f"{number % 2}" / f"{number}-{'x' * 60}.eml"
        if number < 2:
            path.parent.mkdir(parents=True)
        path.write_text(mail(number))
    peak, messages = peak_of(folder, tmp_path / "eml")
    assert messages == MANY
    assert peak - base <= 16


def test_many_messages_in_an_archive(base: float, tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(MANY):
            archive.writestr(f"Inbox/{number}-{'x' * 60}.eml", mail(number))
    (tmp_path / "mail.zip").write_bytes(data.getvalue())
    peak, messages = peak_of(tmp_path / "mail.zip", tmp_path / "eml")
    assert messages == MANY
    assert peak - base <= 16
    verify = [sys.executable, "-m", "unmbox", "verify", str(tmp_path / "eml")]
    usage = measure.run(
        [*verify, "--source", str(tmp_path / "mail.zip")], stdout=subprocess.DEVNULL, env=PLAIN
    )
    assert usage.code == 0
    assert usage.peak / MIB - base <= 16
