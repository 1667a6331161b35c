"""A destination that is ZIP volumes, with its record: what is pending until a volume is whole.

For a volume, in this order: rows are committed as pending, batch by batch, while their messages go into a
file without a name; the volume is completed, and what proves it is committed; it gets its name; the rows
are confirmed. A kill at any instant leaves pending rows. The next run takes these back, removes the volume
if it had its name already, and does it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from unmbox._destination import VOLUME_KEY
from unmbox._place import Place, among, in_the_way
from unmbox._schema import our_errors
from unmbox._volume import Volume, volumes_of
from unmbox.errors import DestinationError
from unmbox.manifest import Manifest, Written
from unmbox.zips import ZipSink, taken


class ZipPlace(Place):
    """A destination of ZIP volumes; `folder` is the one that they stand in."""

    packs = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool,
        size: int,
        entries: int,
        names: str,
        method: str,
        recorded: bool,
    ) -> None:
        self.writing = None
        self._durable = durable
        self._zips = ZipSink(
            path,
            size=size,
            entries=entries,
            names=names,
            method=method,
            durable=durable,
            replace=self._is_same,
        )
        self.sink = self._zips
        self.folder = self._zips.folder
        self._record: Manifest | None = None
        if not recorded:
            self._refuse_foreign(())

    def __exit__(self, *exception: object) -> None:
        self._zips.close()

    def undo(self, record: Manifest) -> None:
        """Take back what a killed run has left, and see that no volume stands there but ours."""
        self._record = record
        volumes = self._volumes()
        first = record.undone_from
        whole = "SELECT DISTINCT volume FROM file WHERE volume IS NOT NULL"
        if first is not None:
            whole += f" AND message < {first}"
        with our_errors(record.path):
            kept = {name for (name,) in record.connection.execute(whole)}
        for volume in volumes:
            path = self._zips.folder / volume.name
            if volume.name not in kept and os.path.lexists(path) and not volume.is_at(self._zips.folder):
                record.spare()
                raise in_the_way(path)
        self._refuse_changed(record)
        try:
            self._refuse_foreign([volume.name for volume in volumes])
        except DestinationError:
            record.spare()
            raise
        self._zips.clear_leftovers()
        for volume in volumes:
            if volume.name not in kept and volume.is_at(self._zips.folder):
                try:
                    (self._zips.folder / volume.name).unlink()
                except OSError as error:
                    raise DestinationError(f"cannot remove {volume.name}: {error.strerror}") from error
        gone = [(VOLUME_KEY + volume.name,) for volume in volumes if volume.name not in kept]
        with our_errors(record.path):
            record.connection.executemany("DELETE FROM meta WHERE key = ?", gone)
        record.undo_pending(self.remove)
        numbers = (self._zips.number_of(volume.name) for volume in self._volumes())
        self._zips.number = 1 + max(numbers, default=0)

    def remove(self, written: Written) -> None:
        """Remove a file of ours; what stands in a volume goes with it."""
        if self._is_file(written.path):
            super().remove(written)

    def sync(self, paths: Iterable[str]) -> None:
        """If all is to be durable, bring the names of files beside the volumes to the disk."""
        super().sync(path for path in paths if self._is_file(path))

    def name(self, path: str, size: int) -> str:
        """The name that a message of this size gets in the end."""
        return self._zips.name(path, size)

    def beside(self, path: str) -> str:
        """The name for what an importer must not find."""
        return f"{self._zips.aside}/{path}"

    def among(self, path: str) -> str:
        """The name for a message that goes into a volume if it can."""
        return among(path, self._zips.aside)

    def is_apart(self, path: str) -> bool:
        """Whether a message of this name stands in no volume."""
        return self._is_file(path)

    def volume(self, path: str) -> str | None:
        """The volume that what is written now under this name goes into, if it does."""
        return None if self._is_file(path) else self._zips.volume

    def fits(self, octets: int, count: int) -> bool:
        """Whether so much more goes into the volume under way."""
        return self._zips.fits(octets, count)

    def link(self, path: str, other: str) -> None:
        """A ZIP has each message once."""

    def is_too_large(self, octets: int) -> bool:
        """Whether no volume can hold a message of that size."""
        return self._zips.name("x", octets) != "x"

    def end_volume(self) -> None:
        """Complete the volume under way; its rows are confirmed."""
        if self._zips.end_volume(self._note) and self._record:
            self._record.settle()

    def _note(self, volume: Volume) -> None:
        if self._record:
            value = f"{volume.size} {volume.sha256}"
            self._record.note(VOLUME_KEY + volume.name, value)

    def _volumes(self) -> list[Volume]:
        return volumes_of(self._record.connection) if self._record else []

    def _is_file(self, path: str) -> bool:
        return path.startswith(self._zips.aside + "/")

    def _is_same(self, name: str) -> bool:
        return super()._is_same(self.beside(name))

    def _refuse_foreign(self, ours: Iterable[str]) -> None:
        foreign = sorted(set(self._zips.volumes()) - set(ours))
        if foreign:
            raise taken(self._zips.folder / foreign[0])
