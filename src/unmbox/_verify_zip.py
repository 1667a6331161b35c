"""What `verify` makes of ZIP volumes: each entry against its row, and whether the volumes are ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unmbox._record import WRITTEN, Digests, Written
from unmbox._volume import Volume, volumes_of

if TYPE_CHECKING:
    import sqlite3
    from zipfile import ZipFile, ZipInfo

_PIECE = 1 << 16
Found = tuple[str, str, str]
"""Kind, path and detail of a `Problem`."""


class Volumes:
    """The volumes of `destination` (``NAME.zip``), as the manifest has them."""

    def __init__(self, connection: sqlite3.Connection, destination: Path) -> None:
        self._connection = connection
        self._folder = destination.parent
        self._aside = f"{destination.stem}-aside"
        numbered = rf"{re.escape(destination.stem)}(?:-\d{{3,}})?{re.escape(destination.suffix)}"
        self._is_volume = re.compile(numbered).fullmatch
        self._is_part = re.compile(rf"\.{numbered}\.\d+\.part").fullmatch

    def is_beside(self, path: str) -> bool:
        """Whether a row names a file beside the volumes, not an entry."""
        return path.startswith(self._aside + "/")

    def folders(self) -> list[str]:
        """The folder of files beside the volumes, if it is there."""
        return [self._aside + "/"] if (self._folder / self._aside).is_dir() else []

    def problems(self, unconfirmed: int | None) -> Iterator[Found]:
        """What does not hold. Rows from `unconfirmed` on may lack their volume."""
        volumes = volumes_of(self._connection)
        names = {volume.name for volume in volumes}
        for volume in volumes:
            yield from self._volume(volume)
        yield from self._count(names, unconfirmed)
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if self._is_part(entry.name):
                    yield "temporary", entry.name, "left by a run that was interrupted: run the same again"
                elif self._is_volume(entry.name) and entry.name not in names:
                    yield "foreign", entry.name, "no row names it"

    def _count(self, names: set[str], unconfirmed: int | None) -> Iterator[Found]:
        """Whether each message that was written, and is not beside the volumes, is in one of them."""
        last = unconfirmed or 1 << 62
        prefix = self._aside + "/"
        written = self._connection.execute(
            "SELECT count(*) FROM message WHERE outcome = ? AND substr(path, 1, ?) <> ? AND id < ?",
            (WRITTEN, len(prefix), prefix, last),
        ).fetchone()[0]
        query = "SELECT volume, count(*) FROM file WHERE message < ? GROUP BY volume"
        placed = dict(self._connection.execute(query, (last,)).fetchall())
        for name in sorted(placed.keys() - names - {None}):
            yield "missing", name, f"rows name {placed[name]:,} messages in it, and no row names the volume"
        if sum(count for name, count in placed.items() if name) != written:
            yield "count", "table file", f"{written:,} messages were written, not so many stand in volumes"

    def _volume(self, volume: Volume) -> Iterator[Found]:
        """Each entry of a volume, and each row that names one."""
        from zipfile import ZipFile

        path = self._folder / volume.name
        query = (
            "SELECT f.path, m.head_sha256, m.body_sha256, m.head_size, m.body_size, m.path, m.outcome "
            "FROM file AS f JOIN message AS m ON m.id = f.message WHERE f.volume = ?"
        )
        rows = {row[0]: row[1:] for row in self._connection.execute(query, (volume.name,))}
        problems = 0
        try:
            with path.open("rb") as file, ZipFile(file) as archive:
                for entry in archive.infolist():
                    for found in self._entry(archive, entry, volume, rows.pop(entry.filename, None)):
                        problems += 1
                        yield found
        except FileNotFoundError:
            yield "missing", volume.name, f"not there, with {len(rows):,} messages"
            return
        except OSError as error:
            yield "unreadable", volume.name, error.strerror or str(error)
            return
        except Exception as error:  # what zipfile says of a damaged directory, names in it that are no UTF-8
            yield "changed", volume.name, f"no ZIP that can be read: {error}"
            return
        for name in rows:
            problems += 1
            yield "missing", f"{volume.name}/{name}", "not in the volume"
        if not problems and not volume.is_at(self._folder):
            yield "changed", volume.name, "its entries are right, the volume is not what was written"

    def _entry(
        self,
        archive: ZipFile,
        entry: ZipInfo,
        volume: Volume,
        row: tuple[str, str, int, int, str, str] | None,
    ) -> Iterator[Found]:
        where = f"{volume.name}/{entry.filename}"
        if row is None:
            yield "foreign", where, "no row names it"
            return
        *proofs, path, outcome = row
        if (path, outcome) != (entry.filename, WRITTEN):
            yield "row", where, f"its message is {outcome}, with the path {path}"
        written = Written(where, *proofs)  # type: ignore[arg-type]
        digests = Digests(written.head_size or 0)
        try:
            with archive.open(entry) as file:
                while piece := file.read(_PIECE):
                    digests.update(piece)
        except Exception as error:  # what zipfile, zlib and others say of damaged entries
            yield "changed", where, f"cannot be read: {error}"
        else:
            if found := difference(written, digests):
                yield found[0], where, found[1]


def difference(file: Written, digests: Digests) -> tuple[str, str] | None:
    """What a file is that is not what was written, and how that shows; None if it is."""
    head, body = digests.result()
    if digests.size < file.size:
        return "truncated", f"{digests.size} octets of {file.size}"
    if digests.size > file.size:
        return "changed", f"{digests.size} octets, {file.size} were written"
    if head != file.head_sha256:
        return "changed", "its header block is not what was written"
    if body != file.body_sha256:
        return "changed", "its body is not what was written"
    return None
