"""Mail in every shape that it comes in, and what must hold of each of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import unmbox
from unmbox._verify import verify

Files = Mapping[str, bytes]


def mail(number: int, body: str = "Hello.\n", *, fields: str = "") -> str:
    """One message without its From_ line."""
    return (
        f"From: a@example.org\nTo: b@example.org\nSubject: number {number}\n"
        f"Message-ID: <{number}@example.org>\n"
        f"Date: Tue, 19 Mar 2019 09:13:{number % 60:02} +0000\n{fields}\n{body}"
    )


def mailbox(*numbers: int, body: str = "Hello.\n") -> bytes:
    """A mailbox of these messages."""
    line = "From a@example.org Tue Mar 19 09:13:51 2019\n"
    return "".join(f"{line}{mail(number, body)}\n" for number in numbers).encode()


ALL_MAIL = "Takeout/Mail/すべてのメール（迷惑メール、ゴミ箱のメールを含む）.mbox"
_noise = random.Random(1)
TAKEOUT: Files = {
    "Takeout/archive_browser.html": b"<html></html>\n",
    ALL_MAIL: b"".join(mailbox(number, body=f"{_noise.randbytes(200).hex()}\n") for number in range(1, 30)),
    "Takeout/Groups/knitting/topics.mbox": mailbox(50, 51),
    "Takeout/Drive/letter.txt": b"From the desk of nobody\nDear all\n",
}
"""What Takeout packs, and how many messages are in it."""
IN_TAKEOUT = 31


def zipped(files: Files, *, method: int = zipfile.ZIP_DEFLATED, streamed: bool = False) -> bytes:
    """A ZIP archive; `streamed` as a writer makes it that cannot go back to write the sizes."""
    out = io.BytesIO()
    target: Any = _Unseekable(out) if streamed else out
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def zipped_by_macos(files: Files, most: int) -> bytes:
    """A ZIP archive without ZIP64: of what is not less than `most`, its headers have what is left of it."""
    out, directory = b"", b""
    for name, data in files.items():
        raw, at = name.encode(), len(out)
        deflate = zlib.compressobj(wbits=-15)
        packed = deflate.compress(data) + deflate.flush()
        sums = struct.pack("<3L", zlib.crc32(data), len(packed) % most, len(data) % most)
        out += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 8, 8, 0, 33, 0, 0, 0, len(raw), 0) + raw
        out += packed + b"PK\7\x08" + sums
        directory += struct.pack("<4s6H", b"PK\1\2", 0x315, 20, 8, 8, 0, 33) + sums
        directory += struct.pack("<5H2L", len(raw), 0, 0, 0, 0, 0o100644 << 16, at % most) + raw
    count = len(files)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(out) % most, 0)
    return out + directory + end


class _Unseekable:
    def __init__(self, out: io.BytesIO) -> None:
        self.write, self.flush = out.write, out.flush


def tarred(files: Files, mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive, in any compression."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    """The same in Zstandard."""
    from backports import zstd as library

    packed: bytes = library.compress(data)
    return packed


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "deflated.zip": lambda: zipped(TAKEOUT),
    "stored.zip": lambda: zipped(TAKEOUT, method=zipfile.ZIP_STORED),
    "bzip2.zip": lambda: zipped(TAKEOUT, method=zipfile.ZIP_BZIP2),
    "streamed.zip": lambda: zipped(TAKEOUT, streamed=True),
    "streamed-stored.zip": lambda: zipped(TAKEOUT, method=zipfile.ZIP_STORED, streamed=True),
    "takeout.tgz": lambda: tarred(TAKEOUT, "w:gz"),
    "plain.tar": lambda: tarred(TAKEOUT),
    "gnu.tar": lambda: tarred(TAKEOUT, form=tarfile.GNU_FORMAT),
    "takeout.tar.xz": lambda: tarred(TAKEOUT, "w:xz"),
    "takeout.tar.bz2": lambda: tarred(TAKEOUT, "w:bz2"),
    "takeout.tar.zst": lambda: zstd(tarred(TAKEOUT)),
}


def put(folder: Path, files: Files) -> Path:
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every EML below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.eml")}


def sources_of(folder: Path) -> dict[str, int]:
    """The sources that a manifest names, and their messages; fails where rows do not tile a source."""
    with closing(sqlite3.connect(folder / "unmbox-manifest.sqlite")) as manifest:
        rows = manifest.execute(
            "SELECT uri, size, junk, messages, "
            "coalesce((SELECT sum(length) FROM message WHERE source_id = s.id), 0) "
            "FROM source AS s WHERE done"
        ).fetchall()
    for uri, size, junk, _, lengths in rows:
        assert size == junk + lengths, uri
    return {uri: messages for uri, _, _, messages, _ in rows}


def check(given: Path | Sequence[Path], destination: Path, messages: int) -> unmbox.Report:
    """Convert, again, and verify: every kind of source must stand all of that."""
    report = unmbox.convert(given, destination)
    assert report.messages == messages
    assert not report.damaged
    assert not report.not_mbox
    assert report.bytes_in == report.junk + _octets(destination)
    assert sum(sources_of(destination).values()) == messages
    again = unmbox.convert(given, destination)
    assert (again.messages, again.already, again.damaged) == (0, messages, ())
    found = verify(destination, sources=given)
    assert found.ok, found.problems
    return report


def _octets(destination: Path) -> int:
    with closing(sqlite3.connect(destination / "unmbox-manifest.sqlite")) as manifest:
        found: int = manifest.execute("SELECT coalesce(sum(length), 0) FROM message").fetchone()[0]
    return found
