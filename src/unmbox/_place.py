"""Where a conversion's EMLs go: a sink, and if it is a folder what else is to be done to the files there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path

from unmbox._destination import TARGET_CALLS, check_target
from unmbox._links import link
from unmbox._report import MAX_NAMES, Report
from unmbox._volume import Limits
from unmbox.errors import DestinationError, UsageError, refusal
from unmbox.manifest import Manifest, Written
from unmbox.sinks import Dated, DirectorySink, Sink, Target


class Nowhere:
    """A sink that keeps nothing but names, and its own target: for a run that only says what it would do.

    `names` are those that were committed, `folders` how many in each folder; of both the first 1,000.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.folders: dict[str, int] = {}

    def open(self, message: Dated, /) -> Target:
        """A target for this message."""
        return self

    def write(self, data: bytes, /) -> None:
        """Forget these octets."""

    def commit(self, name: str, /) -> None:
        """Keep the name."""
        if len(self.names) < MAX_NAMES:
            self.names.append(name)
        folder = name.rpartition("/")[0]
        if folder in self.folders or len(self.folders) < MAX_NAMES:
            self.folders[folder] = self.folders.get(folder, 0) + 1

    def discard(self) -> None:
        """There is nothing to forget."""


class _Given:
    """A user's own sink. Its first target is looked at: one that has to be awaited would keep nothing."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._looked = False

    @property
    def settle(self) -> Callable[[], object] | None:
        """The sink's own, if it has one by now."""
        return getattr(self._sink, "settle", None)

    def open(self, message: Dated, /) -> Target:
        """A target for this message."""
        target = self._sink.open(message)
        if not self._looked:
            calls = [getattr(target, name, None) for name in TARGET_CALLS]
            if isawaitable(target) or any(map(iscoroutinefunction, calls)):
                if close := getattr(target, "close", None):
                    close()  # of a coroutine that nobody will await
                raise UsageError(
                    "the sink is an async one: give it to unmbox.aio.convert, and make its open() async, too"
                )
            check_target(target)
            self._looked = True
        return target


class Place:
    """A destination: `sink`, and `folder` if it is one; a user's own sink is only written to.

    A file that stands under the name of an EML already is in the way, unless it holds the same octets: a
    run has left it whose manifest does not say so, or is gone. `writing` tells what these octets are.
    """

    packs = False  # whether files are put into volumes, whose rows are pending until they are whole

    def __init__(self, destination: str | os.PathLike[str] | Sink, *, durable: bool) -> None:
        self.writing: Callable[[str], Written] | None = None
        self.folder: Path | None = None
        self._durable = durable
        if isinstance(destination, (str, os.PathLike)):
            self._own = DirectorySink(destination, replace=self._is_same, durable=durable)
            self.sink: Sink = self._own
            self.folder = Path(self._own.path)
        else:
            self.sink = _Given(destination)

    def __enter__(self) -> Place:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(self, *exception: object) -> None:
        if self.folder:
            self._own.close()

    def undo(self, record: Manifest) -> None:
        """Take back what a killed run has left: unfinished files, and the rows that may lack theirs."""
        if self.folder:
            self._refuse_changed(record)
            self._own.clear_leftovers()
        record.undo_pending(self.remove)

    def _refuse_changed(self, record: Manifest) -> None:
        """See before anything is removed that what is not to be removed will not be in the way."""
        for written in record.to_redo():
            path = Path(self.folder or "", written.path)
            if self._is_file(written.path) and os.path.lexists(path) and not written.is_at(path):
                record.spare()
                raise in_the_way(path)

    def name(self, path: str, size: int) -> str:
        """The name that a message of `size` octets gets in the end."""
        return path

    def beside(self, path: str) -> str:
        """The name for what is not to be found among the mail."""
        return path

    def among(self, path: str) -> str:
        """The name for a message among the rest, whatever its label or subject is."""
        return path

    def is_apart(self, _path: str) -> bool:
        """Whether a message of this name stands in no volume, although others do."""
        return False

    def volume(self, path: str) -> str | None:
        """The volume that what is written now under this name goes into, if it does."""
        return None

    def _is_file(self, path: str) -> bool:
        """Whether a message of this path has a file of its own."""
        return True

    def fits(self, octets: int, count: int) -> bool:
        """Whether so much more goes into the volume under way."""
        return True

    def is_too_large(self, octets: int) -> bool:
        """Whether no volume can hold a message of that size."""
        return False

    def end_volume(self) -> None:
        """Complete the volume under way; its rows are confirmed."""

    def link(self, path: str, other: str) -> None:
        """Give a file another name too; a sink that is no folder has each message once."""
        if self.folder:
            link(self._own, path, other, replace=self._is_same)

    def remove(self, written: Written) -> None:
        """Remove a file of ours, if it is there and still the same, and the folders that it leaves empty."""
        if self.folder is None or not written.is_at(self.folder / written.path):
            return
        try:
            (self.folder / written.path).unlink()
        except OSError as error:
            raise refusal(
                f"cannot remove {self.folder / written.path}: {error.strerror}", error.errno
            ) from error
        with suppress(OSError):
            for parent in Path(written.path).parents[:-1]:
                (self.folder / parent).rmdir()

    def told(self, report: Report) -> Report:
        """The report of the run, with what only the place knows."""
        return report

    def settle(self) -> None:
        """Have a sink that commits behind our back, if it is one, make sure of all that it was given."""
        if settle := getattr(self.sink, "settle", None):
            settle()

    def sync(self, paths: Iterable[str]) -> None:
        """If all is to be durable, bring names to the disk: of new files, and of folders that may be new."""
        if self.folder is None or not self._durable or not hasattr(os, "O_DIRECTORY"):
            return  # Windows has no way to sync a folder, and no need of one
        parents = {parent for folder in set(map(os.path.dirname, paths)) for parent in _with_parents(folder)}
        try:
            for parent in sorted(parents):
                descriptor = os.open(self.folder / parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise refusal(f"cannot sync {self.folder}: {error.strerror}", error.errno) from error

    def _is_same(self, name: str) -> bool:
        if self.folder is None or self.writing is None:
            return False
        return self.writing(name).is_at(self.folder / name)


class DryPlace(Place):
    """The place of a run that only says what it would do. With `aside` and `limits` it is one for a ZIP."""

    def __init__(self, *, aside: str = "", limits: Limits | None = None) -> None:
        self.nowhere = Nowhere()
        super().__init__(self.nowhere, durable=False)
        self._aside, self._limits = aside, limits

    def name(self, path: str, size: int) -> str:
        """The name that a message gets in the end."""
        return self._limits.name(path, size, self._aside) if self._limits else path

    def beside(self, path: str) -> str:
        """The name for what is not to be found among the mail."""
        return f"{self._aside}/{path}" if self._aside else path

    def among(self, path: str) -> str:
        """The name for a message among the rest, whatever its label or subject is."""
        return among(path, self._aside)

    def is_apart(self, path: str) -> bool:
        """Whether a message of this name would stand in no volume."""
        return bool(self._aside) and path.startswith(self.beside(""))

    def link(self, path: str, other: str) -> None:
        """Keep the other name, too."""
        self.nowhere.commit(other)

    def told(self, report: Report) -> Report:
        """The report of the run, with what it would have written."""
        return report._replace(names=tuple(self.nowhere.names), folders=self.nowhere.folders)


def among(path: str, aside: str) -> str:
    """A path that does not lead into the folder `aside` beside ZIP volumes, be there a label of that name."""
    return path.replace("-aside/", "_aside/", 1) if aside and path.startswith(aside + "/") else path


def in_the_way(path: Path) -> DestinationError:
    """The refusal for a file that is not, or no longer, what we write under its name."""
    return refusal(
        f"cannot write {path}: a file of that name is already there and is not overwritten (if it is "
        "unmbox's, it has changed), so nothing was removed: move it away and run the same again",
        errno.EEXIST,
    )


def _with_parents(folder: str) -> tuple[Path, ...]:
    return (Path(folder), *Path(folder).parents)
