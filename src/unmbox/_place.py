"""Where a conversion's EMLs go: a sink, and if it is a folder what else is to be done to the files there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from unmbox.errors import DestinationError
from unmbox.manifest import Written
from unmbox.sinks import Dated, DirectorySink, Sink, Target


class Nowhere:
    """A sink that forgets what it is given, and its own target: for a run that only says what it would do."""

    def open(self, message: Dated, /) -> Target:
        """A target for this message."""
        return self

    def write(self, data: bytes, /) -> None:
        """Forget these octets."""

    def commit(self, name: str, /) -> None:
        """Forget this name."""

    def discard(self) -> None:
        """There is nothing to forget."""


class Place:
    """A destination: `sink`, and `folder` if it is one; a user's own sink is only written to.

    A file that stands under the name of an EML already is in the way, unless it holds the same octets: a
    run has left it whose manifest does not say so, or is gone. `writing` tells what these octets are.
    """

    def __init__(self, destination: str | os.PathLike[str] | Sink, *, durable: bool) -> None:
        self.writing: Callable[[str], Written] | None = None
        self.folder: Path | None = None
        self._durable = durable
        if isinstance(destination, (str, os.PathLike)):
            self._own = DirectorySink(destination, replace=self._is_same, durable=durable)
            self.sink: Sink = self._own
            self.folder = Path(self._own.path)
        else:
            self.sink = destination

    def __enter__(self) -> Place:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(self, *exception: object) -> None:
        if self.folder:
            self._own.close()

    def clear_leftovers(self) -> None:
        """Remove the unfinished files of killed runs."""
        if self.folder:
            self._own.clear_leftovers()

    def remove(self, written: Written) -> None:
        """Remove a file of ours, if it is there and still the same, and the folders that it leaves empty."""
        if self.folder is None or not written.is_at(self.folder / written.path):
            return
        try:
            (self.folder / written.path).unlink()
        except OSError as error:
            raise _refusal(error, f"cannot remove {self.folder / written.path}") from error
        with suppress(OSError):
            for parent in Path(written.path).parents[:-1]:
                (self.folder / parent).rmdir()

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
            raise _refusal(error, f"cannot sync {self.folder}") from error

    def _is_same(self, name: str) -> bool:
        if self.folder is None or self.writing is None:
            return False
        return self.writing(name).is_at(self.folder / name)


def _with_parents(folder: str) -> tuple[Path, ...]:
    return (Path(folder), *Path(folder).parents)


def _refusal(error: OSError, what: str) -> DestinationError:
    refusal = DestinationError(f"{what}: {error.strerror}")
    refusal.errno = error.errno
    return refusal
