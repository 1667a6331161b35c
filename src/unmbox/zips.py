"""`ZipSink`: EMLs in ZIP volumes that an importer takes, each below a size and a number of entries.

A volume is ``NAME.zip``, ``NAME-002.zip`` and so on. It gets its name when it is whole; while it grows it is
called ``.NAME.zip.<number>.part``. There is no ZIP64, no data descriptor and no comment; entries stand in
the order in which they were committed, with the message's own date (a ZIP knows no zone) and the same
permissions, so the same messages make the same octets, as long as zlib is the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from unmbox._destination import aside_of
from unmbox._volume import END, ZIP_ENTRIES, ZIP_SIZE, Limits, Volume, dos_time, volume_of
from unmbox.errors import DestinationError, UsageError
from unmbox.sinks import _NO_NAMES, _NO_PATH, Dated, DirectorySink, _explain, _refusal

if TYPE_CHECKING:
    import zipfile  # imported late: it costs more than all of this package

__all__ = ["ZipSink", "ZipTarget"]

_METHODS = {"deflated": 8, "stored": 0}  # APPNOTE 4.4.5
_GATHERED = 1 << 20  # octets of a message in memory; the rest goes to a file without a name
_PIECE = 1 << 16


class ZipSink:
    """ZIP volumes of EMLs at `path` (its folder is made if absent), and a folder for what they cannot hold.

    `size` is the octets and `entries` the number of messages that a volume has at most. `names` is
    ``"utf-8"`` (names beyond ASCII are marked so, flag bit 11) or ``"ascii"`` (other letters become "_",
    and folders a mark that keeps them apart). `method` is ``"deflated"`` or ``"stored"``.

    A message that is larger than a volume, and whatever is committed under a name that begins with `aside`
    and "/", becomes a file of the folder ``NAME-aside`` beside the volumes. `first` is the number of the
    first volume. Nothing is overwritten, unless `replace` is true or, called with the path, says so. With
    `durable` a volume is synced before it gets its name.

    `end_volume` completes the volume under way, and so does the end of a ``with`` block that has not raised;
    `close` alone discards what is in it. Memory is bounded, whatever the size of messages and volumes. Raises
    `DestinationError` when the destination refuses and `UsageError` for bad options and for a name that is no
    relative path. For one thread.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: int = ZIP_SIZE,
        entries: int = ZIP_ENTRIES,
        names: str = "utf-8",
        method: str = "deflated",
        durable: bool = False,
        first: int = 1,
        replace: Callable[[str], bool] | bool = False,
    ) -> None:
        self._limits = Limits(size, entries, names, method).check()
        self.path = os.fsdecode(path)
        whole = Path(self.path).absolute()
        self.folder = whole.parent
        self._stem, self._suffix = whole.stem, whole.suffix
        self.number = first
        """The number of the volume under way, or of the next one."""
        self.aside = aside_of(whole)
        self._durable = durable
        self._replace = replace
        self._beside: DirectorySink | None = None
        self._part: Path | None = None
        self._file: BinaryIO | None = None
        self._zip: zipfile.ZipFile | None = None
        self._directory = 0  # octets that the central directory will have
        self._open: set[ZipTarget] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:  # what mkdir() says of a file
            raise _refusal(NotADirectoryError(errno.ENOTDIR, ""), str(self.folder)) from error
        except OSError as error:
            raise _refusal(error, str(self.folder)) from error

    def __enter__(self) -> ZipSink:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is None:
            self.end_volume()
        self.close()

    @property
    def volume(self) -> str:
        """The file name of the volume under way, or of the next one."""
        return self.volume_name(self.number)

    def volume_name(self, number: int) -> str:
        """The file name of a volume."""
        return self._stem + (f"-{number:03d}" if number > 1 else "") + self._suffix

    def number_of(self, name: str) -> int:
        """The number of the volume that has this file name."""
        number = name[len(self._stem) + 1 : len(name) - len(self._suffix)]
        return int(number) if number.isdigit() else 1

    def volumes(self) -> Iterator[str]:
        """The names in the folder that are, or look like, those of volumes."""
        yield from volumes_beside(self.folder / f"{self._stem}{self._suffix}")

    def open(self, message: Dated, /) -> ZipTarget:
        """A target whose entry will have this message's date."""
        target = ZipTarget(self, message)
        self._open.add(target)
        return target

    def name(self, name: str, size: int) -> str:
        """The name that a message of `size` octets gets if it is committed as `name`."""
        return self._limits.name(name, size, self.aside)

    def fits(self, octets: int, count: int = 1) -> bool:
        """Whether `count` more messages of `octets` in all fit into the volume under way, however named."""
        taken = len(self._zip.infolist()) if self._zip else 0
        bound = self._position + self._directory + self._limits.bound(octets, count) + END
        return taken + count <= self._limits.entries and bound <= self._limits.size

    @property
    def is_empty(self) -> bool:
        """Whether no volume is under way."""
        return self._zip is None

    @property
    def _position(self) -> int:
        return self._file.tell() if self._file else 0

    def end_volume(self, note: Callable[[Volume], object] | None = None) -> Volume | None:
        """Complete the volume under way and give it its name; None if there is none.

        `note` is called with the volume when it is whole and has no name yet.
        """
        if self._zip is None or self._file is None:
            return None
        path = self.folder / self.volume
        try:
            self._zip.close()
            self._zip = None
            self._file.flush()
            if self._durable:
                os.fsync(self._file.fileno())
            volume = volume_of(self._file, self.volume)
            self._file.close()
            self._file = None
            if note:
                note(volume)
            if self._part:
                _give_name(self._part, path)
                self._part = None
            if self._durable and hasattr(os, "O_DIRECTORY"):
                _sync(self.folder)
        except BaseException as error:
            self._drop()
            _explain(error, str(path))
            raise
        self.number += 1
        self._directory = 0
        return volume

    def close(self) -> None:
        """Discard what was not committed, and the volume under way: `end_volume` comes before."""
        for target in list(self._open):
            target.discard()
        self._drop()
        self._close_aside()

    def _close_aside(self) -> None:
        if self._beside:
            self._beside.close()
            self._beside = None

    def clear_leftovers(self) -> int:
        """Remove the unfinished volumes and files that killed runs left; returns their number."""
        is_part = re.compile(
            r"\." + re.escape(self._stem) + r"(?:-\d{3,})?" + re.escape(self._suffix) + r"\.\d+\.part"
        ).fullmatch
        number = 0
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if (
                        is_part(entry.name)
                        and entry.is_file(follow_symlinks=False)
                        and Path(entry.path) != self._part
                    ):
                        Path(entry.path).unlink()
                        number += 1
        except OSError as error:
            _explain(error, str(self.folder))
        if (self.folder / self.aside).is_dir():
            number += self._aside_sink().clear_leftovers()
            self._close_aside()  # whoever removes what is in there may remove the folder, too
        return number

    def _drop(self) -> None:
        """Forget the volume under way."""
        with contextlib.suppress(OSError, ValueError):
            if self._zip is not None:
                self._zip.fp = None  # it would write its directory
                self._zip.close()
        self._zip = None
        self._directory = 0
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        if self._part:
            with contextlib.suppress(OSError):
                self._part.unlink()
            self._part = None

    def _aside_sink(self) -> DirectorySink:
        if self._beside is None:
            self._beside = DirectorySink(
                self.folder / self.aside, replace=self._replace, durable=self._durable
            )
        return self._beside

    def _begin(self) -> zipfile.ZipFile:
        import zipfile

        path = self.folder / self.volume
        if _is_there(path):
            raise taken(path)
        self._part = self.folder / f".{self.volume}.{time.time_ns()}.part"
        self._file = self._part.open("x+b")
        self._zip = zipfile.ZipFile(self._file, "w", allowZip64=False)
        return self._zip

    def _put(self, target: ZipTarget, name: str) -> None:
        """Write a message that is whole under its name."""
        size = target.size
        name = self.name(name, size)
        if name.startswith(self.aside + "/"):
            beside = self._aside_sink().open(target.message)
            for piece in target.pieces():
                beside.write(piece)
            beside.commit(name[len(self.aside) + 1 :])
            return
        if name.startswith("/") or not _NO_NAMES.isdisjoint(name.split("/")) or "\0" in name or "\\" in name:
            raise UsageError(f"cannot write {name!r}: {_NO_PATH}")
        try:
            encoded = len(name.encode())
        except UnicodeEncodeError as error:
            raise UsageError(f"cannot write {name!r}: {error}") from error
        if not self._holds(size, encoded):
            self.end_volume()
        archive = self._zip
        if archive and name in archive.NameToInfo:
            raise taken(self.folder / self.volume / name)
        from zipfile import ZipInfo

        entry = ZipInfo(name, dos_time(target.message.date))
        entry.compress_type = _METHODS[self._limits.method]
        entry.create_system = 3  # Unix, wherever this runs, so that the permissions mean something
        entry.external_attr = 0o100644 << 16
        entry.file_size = size
        try:
            with (archive or self._begin()).open(entry, "w") as file:
                for piece in target.pieces():
                    file.write(piece)
        except BaseException as error:
            self._drop()  # it ends in half an entry
            _explain(error, str(self.folder / self.volume))
            raise
        self._directory += 46 + encoded

    def _holds(self, size: int, name: int) -> bool:
        """Whether a message fits into the volume under way, or there is none."""
        if self._zip is None:
            return True
        bound = self._position + self._directory + self._limits.bound(size, 1, name) + END
        return len(self._zip.infolist()) < self._limits.entries and bound <= self._limits.size


class ZipTarget:
    """One entry in the making; made by `ZipSink.open`."""

    def __init__(self, sink: ZipSink, message: Dated) -> None:
        self.message = message
        self.size = 0
        self._sink = sink
        self._pieces: list[bytes] | None = []
        self._file: BinaryIO | None = None

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        """Add octets. DestinationError if they cannot be stored; the target is then discarded."""
        pieces = self._pieces
        if pieces is None:
            raise UsageError("this EML is committed or discarded; open another target")
        octets = data if isinstance(data, bytes) else bytes(memoryview(data))  # len() of a view counts items
        self.size += len(octets)
        try:
            if self._file is not None:
                self._file.write(octets)
                return
            pieces.append(octets)
            if self.size > _GATHERED:
                from tempfile import TemporaryFile

                self._file = TemporaryFile(dir=self._sink.folder, prefix=".unmbox-")  # noqa: SIM115  # see discard()
                self._file.writelines(pieces)
                pieces.clear()
        except BaseException as error:
            self.discard()
            _explain(error, str(self._sink.folder))
            raise

    def pieces(self) -> Iterator[bytes]:
        """What was written, from its beginning."""
        if self._file is None:
            yield b"".join(self._pieces or ())
            return
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def commit(self, name: str, /) -> None:
        """Put the EML into the volume under this name, a relative path with "/" between folders.

        A new volume is begun where it would not fit. DestinationError if it cannot be written or the name
        is taken, UsageError if it is no relative path; the target is then discarded.
        """
        if self._pieces is None:
            raise UsageError("this EML is committed or discarded; open another target")
        try:
            self._sink._put(self, name)  # noqa: SLF001  # one class in two halves
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget the EML; after `commit` nothing happens."""
        self._pieces = None
        self._sink._open.discard(self)  # noqa: SLF001
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _give_name(part: Path, path: Path) -> None:
    """Name a file, which must not take the place of another: rename() would, link() does not."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if _is_there(path):
            raise FileExistsError(errno.EEXIST, "the name is taken", path) from None
        part.rename(path)
    else:
        part.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_there(path: Path) -> bool:
    """Whether the name is taken, be it by a link that leads nowhere."""
    return path.is_symlink() or path.exists()


def volumes_beside(path: Path) -> list[str]:
    """The names in its folder that are, or look like, those of the volumes of a ZIP at `path`."""
    is_volume = re.compile(re.escape(path.stem) + r"(?:-\d{3,})?" + re.escape(path.suffix)).fullmatch
    with os.scandir(path.parent) as entries:
        return sorted(entry.name for entry in entries if is_volume(entry.name))


def refuse_taken(path: str | os.PathLike[str]) -> None:
    """See, for a run that writes nothing, that no file has the name of a volume of a ZIP at `path`."""
    whole = Path(os.fsdecode(path)).absolute()
    try:
        found = volumes_beside(whole)
    except FileNotFoundError:  # the folder would be made
        return
    except OSError as error:
        raise _refusal(error, str(whole.parent)) from error
    if found:
        raise taken(whole.with_name(found[0]))


def taken(path: Path) -> DestinationError:
    """The refusal of a name that a file of the user's has."""
    return _refusal(FileExistsError(errno.EEXIST, ""), str(path))
