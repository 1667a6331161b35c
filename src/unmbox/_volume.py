"""ZIP volumes as data: what proves one, what an entry is called, and when it was written."""

from __future__ import annotations

import os
import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from unicodedata import normalize

from unmbox._destination import VOLUME_KEY
from unmbox.errors import UsageError
from unmbox.naming import PATH_OCTETS_LIMIT

if TYPE_CHECKING:
    import sqlite3

ZIP_SIZE = 480_000_000
"""Octets of a volume at most, by default: importers stop at 500 MB, and not all of them say which."""
ZIP_ENTRIES = 10_000
ZIP_NAMES = ("utf-8", "ascii")
ZIP_METHODS = ("deflated", "stored")
MOST_OCTETS = 2_000_000_000
"""No volume may be larger: there are readers without ZIP64 that count in 31 bits (APPNOTE 4.4.8)."""
MOST_ENTRIES = 65_535

END = 22
"""Octets of the record that ends a volume, without a comment (APPNOTE 4.3.16)."""
_ENTRY = 30 + 46  # local and central header without the name (APPNOTE 4.3.7, 4.3.12)
_PIECE = 1 << 16
_UNDATED = (1980, 1, 1, 0, 0, 0)  # DOS time begins there


class Limits(NamedTuple):
    """What a volume may hold, and what its entries are called: the arguments of `ZipSink`."""

    size: int = ZIP_SIZE
    entries: int = ZIP_ENTRIES
    names: str = "utf-8"
    method: str = "deflated"

    def check(self) -> Limits:
        """These limits. Raises `UsageError` where no volume can have them."""
        if not 1000 <= self.size <= MOST_OCTETS:
            raise UsageError(f"a ZIP volume has 1,000 to {MOST_OCTETS:,} octets, not {self.size:,}")
        if not 1 <= self.entries <= MOST_ENTRIES:
            raise UsageError(f"a ZIP volume has 1 to {MOST_ENTRIES:,} entries, not {self.entries:,}")
        if self.names not in ZIP_NAMES:
            raise UsageError(f"unknown names {self.names!r}: choose one of {', '.join(ZIP_NAMES)}")
        if self.method not in ZIP_METHODS:
            raise UsageError(f"unknown method {self.method!r}: choose one of {', '.join(ZIP_METHODS)}")
        return self

    def bound(self, octets: int, count: int, name: int = PATH_OCTETS_LIMIT) -> int:
        """Octets that messages take at most, without the end of the volume."""
        if self.method == "deflated":  # what cannot be deflated grows (deflateBound() of zlib)
            octets += (octets >> 10) + 64 * count
        return octets + count * (_ENTRY + 2 * name)

    def name(self, path: str, size: int, aside: str) -> str:
        """What a message of `size` octets is called: an entry, or a file of the folder `aside`."""
        if path.startswith(aside + "/"):
            return path
        if self.names == "ascii" and not path.isascii():
            path = ascii_path(path)
        too_large = self.bound(size, 1, len(path.encode("utf-8", "surrogatepass"))) + END > self.size
        return f"{aside}/{path}" if too_large else path


class Volume(NamedTuple):
    """A volume that is whole: its file name, its octets, and SHA-256 of its central directory and end.

    The directory holds name, size and CRC-32 of each entry.
    """

    name: str
    size: int
    sha256: str

    def is_at(self, folder: Path) -> bool:
        """Whether the file of this name in `folder` is this volume."""
        try:
            with (folder / self.name).open("rb") as file:
                return volume_of(file, self.name) == self
        except (OSError, ValueError):
            return False


def volume_of(file: BinaryIO, name: str) -> Volume:
    """What proves the volume in `file`. Raises ValueError where it is none of ours."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END))
    end = file.read(END)
    if len(end) < END or end[:4] != b"PK\5\6":
        raise ValueError("no end of a central directory where a volume has it")
    file.seek(int.from_bytes(end[16:20], "little"))
    digest = sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return Volume(name, size, digest.hexdigest())


def dos_time(date: datetime | None) -> tuple[int, int, int, int, int, int]:
    """The date as the message states it: local to its writer, for a ZIP has no place for a zone."""
    if date is None or not 1980 <= date.year <= 2107:
        return _UNDATED if date is None or date.year < 1980 else (2107, 12, 31, 23, 59, 58)
    return date.year, date.month, date.day, date.hour, date.minute, date.second


def ascii_path(path: str) -> str:
    """A path in ASCII. Folders that lose letters get a mark; a file's name has its hash."""
    *folders, leaf = path.split("/")
    return "/".join([*(_ascii(name, mark=True) for name in folders), _ascii(leaf, mark=False)])


def _ascii(name: str, *, mark: bool) -> str:
    if name.isascii():
        return name
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    replaced = "".join(char if char.isascii() else "_" for char in normalize("NFC", name))
    # "Café" can be read as "Cafe"; of "仕事" nothing is left but its length.
    text = plain if len(plain) == len(replaced) else replaced
    text = re.sub(r'[<>:"\\|?*]|__+', "_", text)
    return f"{text}~{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}" if mark else text


def volumes_of(connection: sqlite3.Connection) -> list[Volume]:
    """The volumes that a manifest names, in their order."""
    start = len(VOLUME_KEY)
    query = "SELECT substr(key, ?), value FROM meta WHERE substr(key, 1, ?) = ?"
    volumes = []
    for name, value in connection.execute(query, (start + 1, start, VOLUME_KEY)):
        size, _, digest = str(value).partition(" ")
        volumes.append(Volume(name, int(size) if size.isdigit() else 0, digest))
    return sorted(volumes, key=lambda volume: (len(volume.name), volume.name))
