"""Where EMLs go: the protocol of a sink, and the sink that makes a folder of files.

A file gets its name only when it is whole, and never the name of a file that is already there. What is
under way has no name at all where the system can do that (Linux, ``O_TMPFILE``), so that a kill leaves
nothing behind; elsewhere it is called ``.unmbox-<process>-<number>.part`` and stands in the destination
itself, where `DirectorySink.clear_leftovers` finds it without a walk through the folders.

Links inside the destination are not followed: a folder is opened from its parent's descriptor and must be
a real one, so whoever could write there before cannot lead a file outside. The destination itself may be a
link; that is its owner's choice.
"""
# pathlib knows no descriptors, and one Path costs as much as half a file:
# ruff: noqa: PTH100, PTH102, PTH103, PTH118

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from datetime import datetime, timezone
from itertools import count
from typing import NamedTuple, Protocol

from unmbox._destination import is_part, part_name
from unmbox.errors import DestinationError, UnmboxError, UsageError, refusal

__all__ = ["Dated", "DirectorySink", "DirectoryTarget", "Sink", "Target"]


class Dated(Protocol):
    """What a sink needs to know of a message when it opens a target for it."""

    @property
    def date(self) -> datetime | None:
        """When the message was written; None if it does not say."""


class Target(Protocol):
    """One EML in the making. It exists for others only after `commit`."""

    def write(self, data: bytes, /) -> None:
        """Add octets at the end."""

    def commit(self, name: str, /) -> None:
        """The EML is whole: give it its name, a relative path with "/" between folders."""

    def discard(self) -> None:
        """Forget the EML; after `commit` nothing happens."""


class Sink(Protocol):
    """A place for EMLs. If it may be busy after `commit`, ``settle()`` is called after a batch and waits."""

    def open(self, message: Dated, /) -> Target:
        """A target for this message."""


_GATHERED = 128 * 1024  # octets kept in memory until the name is known: nearly all messages, one system call
_PIECE = 512  # octets that a piece counts beside its own, so that small ones do not add up to megabytes
_FOLDERS = 256  # descriptors of folders kept open: 20 years of months

_Replace = bool | Callable[[str], bool]
_WINDOWS = os.name == "nt"
_HAS_DIR_FD = {os.open, os.mkdir, os.rename, os.unlink, os.stat} <= os.supports_dir_fd
_HAS_FD_TIMES = os.utime in os.supports_fd
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
_NAMELESS = os.O_WRONLY | os.O_TMPFILE if hasattr(os, "O_TMPFILE") else 0
_NO_PATH = "not a relative path of a file"
_NO_NAMES = frozenset(("", ".", ".."))
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same again",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "permission denied; choose a folder that you may write to"),
    errno.EROFS: "the file system is read-only; choose another destination",
    errno.ENAMETOOLONG: "the name is too long for this file system; choose a shorter destination or layout",
    errno.EEXIST: "a file of that name is already there and is not overwritten",
    **dict.fromkeys((errno.ENOTDIR, errno.ELOOP), "a file or a link stands where a folder is needed"),
    errno.EISDIR: "a folder stands where the file is to go",
    errno.EXDEV: "it is on another file system than the destination",
    errno.EFBIG: "the file is larger than the file system or a limit allows",
}
# A file system without such dates, or one that says so: the octets matter, the time is a courtesy.
_NO_TIMES = {errno.EINVAL, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def _refusal(error: OSError, path: str) -> DestinationError:
    """The destination's refusal in a sentence; keeps `errno`."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    return refusal(f"cannot write {path}: {reason}", error.errno)


def _explain(error: BaseException, path: str) -> None:
    """Raise our own error for what went wrong with `path`; return if there is nothing to add."""
    if isinstance(error, OSError) and not isinstance(error, UnmboxError):
        raise _refusal(error, path) from error
    # Also Python's own, for a NUL or a lone surrogate.
    if isinstance(error, ValueError) and not isinstance(error, UnmboxError):
        raise UsageError(f"cannot write {path!r}: {error}") from error


def _write_all(fd: int, data: bytes) -> None:
    """`os.write` until all is written: a full disk, a limit or a signal may stop it half-way."""
    written = os.write(fd, data)
    if written < len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]


def _stamp(file: int | str, date: datetime) -> None:
    """Set the file's times to `date`, in UTC if it has no zone: the machine's zone has no say."""
    seconds = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    try:
        os.utime(file, (seconds, seconds))
    except OverflowError:  # the platform has no such date
        pass
    except OSError as error:
        if error.errno not in _NO_TIMES:
            raise


class _Place(NamedTuple):
    """A folder to write in: a descriptor, or where the system has no use for one, a path's beginning."""

    fd: int | None
    prefix: str


class _Tree:
    """The destination as the operating system has it: folders, temporary names, what it can do."""

    def __init__(self, path: str, replace: _Replace, *, durable: bool) -> None:
        self.path = path
        self.replace = replace
        self.durable = durable
        self.open: set[DirectoryTarget] = set()  # those that close() must see to
        self.pid = os.getpid()
        self.numbers = count(time.time_ns())  # a killed run of the same process number left other names
        self.proc: int | None = None  # of /proc/self/fd, if files can be nameless
        self.mode = 0o666
        self.limit = _FOLDERS
        os.makedirs(path, exist_ok=True)
        self.root = _Place(None, os.path.join(os.path.abspath(path), ""))
        if _HAS_DIR_FD:
            self.root = _Place(os.open(path, _FOLDER & ~_NO_FOLLOW), "")
            self.limit = max(8, min(_FOLDERS, os.sysconf("SC_OPEN_MAX") // 4))
        self.places = {"": self.root}
        try:
            self._probe()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for place in (*self.places.values(), _Place(self.proc, "")):
            if place.fd is not None:
                os.close(place.fd)
        self.places, self.proc = {}, None

    def _probe(self) -> None:
        """Try to write, learn the permissions that the umask leaves, and whether files can be nameless."""
        part = self.new_part()
        fd = os.open(self.root.prefix + part, _CREATE, self.mode, dir_fd=self.root.fd)
        try:
            # Before Linux 6.0 the umask is not applied to a nameless file where a file system lacks ACLs.
            self.mode = stat.S_IMODE(os.fstat(fd).st_mode)
        finally:
            os.close(fd)
            self.remove(part)
        if not _NAMELESS:
            return
        # Kernels, file systems and containers lack one or the other half of it: only doing it tells.
        with contextlib.suppress(OSError), contextlib.ExitStack() as undo:
            proc = os.open("/proc/self/fd", _FOLDER)
            undo.callback(os.close, proc)
            fd = os.open(".", _NAMELESS, self.mode, dir_fd=self.root.fd)
            try:
                os.link(str(fd), part, src_dir_fd=proc, dst_dir_fd=self.root.fd, follow_symlinks=True)
            finally:
                os.close(fd)
            self.remove(part)
            undo.pop_all()
            self.proc = proc

    def new_part(self) -> str:
        return part_name(next(self.numbers))

    def remove(self, part: str) -> None:
        os.unlink(self.root.prefix + part, dir_fd=self.root.fd)

    def has(self, place: _Place, name: str) -> bool:
        """Whether the name is taken, be it by a link that leads nowhere."""
        try:
            os.stat(place.prefix + name, dir_fd=place.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def may_replace(self, name: str) -> bool:
        return self.replace(name) if callable(self.replace) else self.replace

    def enter(self, folder: str) -> _Place:
        """The folder, opened by way of its parents, made if absent. ValueError for no relative path."""
        place = self.places.get(folder)
        if place:
            return place
        if not self.places:
            raise ValueError("the sink is closed")
        parent, _, name = folder.rpartition("/")
        if name in _NO_NAMES or folder[0] == "/":
            raise ValueError(_NO_PATH)
        above = self.enter(parent)
        try:
            place = self._step(above, name)
        except OSError as error:
            raise _refusal(error, os.path.join(self.path, folder)) from error
        if len(self.places) >= self.limit:
            oldest = self.places.pop(next(key for key in self.places if key))
            if oldest.fd is not None:
                os.close(oldest.fd)
        self.places[folder] = place
        return place

    def check(self, name: str) -> None:
        """ValueError for a name or a process that could lead elsewhere."""
        if self.pid != os.getpid():  # /proc/self/fd would be the parent's
            raise ValueError("the sink was made in another process; make one in each")
        if name.startswith("/") or (_WINDOWS and ("\\" in name or ":" in name)):
            raise ValueError(_NO_PATH)

    def _step(self, above: _Place, name: str) -> _Place:
        """The folder `name` in the one above it; it must be a folder, not a link to one."""
        if above.fd is None:
            path = above.prefix + name
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            state = os.lstat(path)
            if not stat.S_ISDIR(state.st_mode) or getattr(state, "st_reparse_tag", 0) == _JUNCTION:
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", path)
            return _Place(None, os.path.join(path, ""))
        try:
            return _Place(os.open(name, _FOLDER, dir_fd=above.fd), "")
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=above.fd)
            return _Place(os.open(name, _FOLDER, dir_fd=above.fd), "")


class DirectorySink:
    """A folder of EML files: `path`, made if absent with its parents.

    Files and folders get the permissions that the umask leaves, files the message's date as mtime (in UTC if
    it has no zone; without a date, the time of writing). A name that is taken is refused, unless `replace` is
    true or, called with the relative path, says so. With `durable` a file is synced before it gets its name.

    Memory and descriptors are bounded, whatever the number of folders. Raises DestinationError, with `errno`
    and the original error as its cause, when the destination refuses, at once if nothing can be written there
    at all, and UsageError for a name that is no relative path. For one thread and one process.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, replace: _Replace = False, durable: bool = False
    ) -> None:
        self.path = os.fsdecode(path)
        self.replaces = bool(replace)  # or perhaps: a function says of each
        try:
            self._tree = _Tree(self.path, replace, durable=durable)
        except FileExistsError as error:
            raise _refusal(OSError(errno.ENOTDIR, ""), self.path) from error  # what `os.makedirs` means
        except (OSError, ValueError) as error:
            _explain(error, self.path)

    def __enter__(self) -> DirectorySink:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def open(self, message: Dated, /) -> DirectoryTarget:
        """A target whose file will have this message's date."""
        return DirectoryTarget(self._tree, message)

    def close(self) -> None:
        """Discard what was not committed and let go of the folder. Closing twice does no harm."""
        for target in list(self._tree.open):
            target.discard()
        self._tree.close()

    def clear_leftovers(self) -> int:
        """Remove the unfinished files that killed runs left in the destination; returns their number.

        Only regular files that have our temporary names, and none of this sink's own. No other run may be
        under way in this destination.
        """
        ours = {target.part for target in self._tree.open}
        number = 0
        try:
            root = self._tree.enter("")
            with os.scandir(root.prefix if root.fd is None else root.fd) as entries:
                for entry in entries:
                    left = is_part(entry.name) and entry.name not in ours
                    if left and entry.is_file(follow_symlinks=False):
                        self._tree.remove(entry.name)
                        number += 1
        except (OSError, ValueError) as error:
            _explain(error, self.path)
        return number


class DirectoryTarget:
    """One file in the making; made by `DirectorySink.open`."""

    _fd = -1
    part = ""  # the temporary name, while there is one

    def __init__(self, tree: _Tree, message: Dated) -> None:
        self._tree = tree
        self._message = message
        self._pieces: list[bytes] | None = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        """Add octets. DestinationError if they cannot be stored; the target is then discarded."""
        pieces = self._pieces
        if pieces is None:
            raise UsageError("this EML is committed or discarded; open another target")
        if type(data) is not bytes:
            data = bytes(data)  # the caller may use its buffer again
        if self._fd < 0:
            pieces.append(data)
            self._size += len(data) + _PIECE
            if self._size <= _GATHERED:
                return
        tree = self._tree
        try:
            if self._fd >= 0:
                _write_all(self._fd, data)
            else:
                tree.open.add(self)
                self._create(tree.enter(""), pieces)
        except BaseException as error:
            self.discard()
            _explain(error, tree.path)
            raise

    def commit(self, name: str, /) -> None:
        """Give the file its name: a relative path with "/" between folders, which are made as needed.

        DestinationError if it cannot be written or the name is taken, UsageError if it is no relative path;
        the target is then discarded and nothing of it stays.
        """
        pieces = self._pieces
        if pieces is None:
            raise UsageError("this EML is committed or discarded; open another target")
        tree = self._tree
        date = self._message.date
        folder, _, leaf = name.rpartition("/")
        try:
            if tree.pid != os.getpid() or not folder or _WINDOWS:
                tree.check(name)
            place = tree.places.get(folder) or tree.enter(folder)
            fd = self._fd if self._fd >= 0 else self._create(place, pieces)
            if date is not None and _HAS_FD_TIMES:
                _stamp(fd, date)
            if tree.durable:
                os.fsync(fd)
            if tree.proc is None:
                self._rename(place, leaf, name, date)
            else:
                try:
                    os.link(str(fd), leaf, src_dir_fd=tree.proc, dst_dir_fd=place.fd, follow_symlinks=True)
                except FileExistsError:
                    self._supplant(place, leaf, name)
                else:
                    self._fd = -1
                    try:
                        os.close(fd)
                    except OSError:  # a file system may say only now that it could not keep the octets
                        os.unlink(leaf, dir_fd=place.fd)
                        raise
        except BaseException as error:
            self.discard()
            if leaf in _NO_NAMES:
                raise UsageError(f"cannot write {name!r}: {_NO_PATH}") from error
            _explain(error, os.path.join(tree.path, name))
            raise
        self._pieces = None
        tree.open.discard(self)

    def discard(self) -> None:
        """Leave nothing of the file. After `commit`, or a second time, nothing happens."""
        self._pieces = None
        self._tree.open.discard(self)
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.close(fd)
        if self.part:
            part, self.part = self.part, ""
            with contextlib.suppress(OSError):
                self._tree.remove(part)

    def _create(self, place: _Place, pieces: list[bytes]) -> int:
        """Open the file and write what was gathered."""
        tree = self._tree
        if tree.proc is None:
            self.part = tree.new_part()
            self._fd = fd = os.open(tree.root.prefix + self.part, _CREATE, 0o666, dir_fd=tree.root.fd)
        else:
            self._fd = fd = os.open(".", _NAMELESS, tree.mode, dir_fd=place.fd)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        _write_all(fd, data)
        return fd

    def _supplant(self, place: _Place, leaf: str, name: str) -> None:
        """Put the nameless file in the place of one that has its name: link() would not, rename() does."""
        tree = self._tree
        if not tree.may_replace(name):
            raise FileExistsError(errno.EEXIST, "the name is taken", name)
        fd, self.part = self._fd, tree.new_part()
        os.link(str(fd), self.part, src_dir_fd=tree.proc, dst_dir_fd=tree.root.fd, follow_symlinks=True)
        self._fd = -1
        os.close(fd)
        os.replace(self.part, leaf, src_dir_fd=tree.root.fd, dst_dir_fd=place.fd)
        self.part = ""

    def _rename(self, place: _Place, leaf: str, name: str, date: datetime | None) -> None:
        """Close the file and give it its name; rename() would overwrite, so the name is looked up first."""
        tree, root, fd = self._tree, self._tree.root, self._fd
        self._fd = -1
        os.close(fd)
        if date is not None and not _HAS_FD_TIMES:
            _stamp(root.prefix + self.part, date)
        move = os.rename  # Windows itself refuses a name that was taken in between
        if tree.has(place, leaf):
            if not tree.may_replace(name):
                raise FileExistsError(errno.EEXIST, "the name is taken", name)
            move = os.replace
        move(root.prefix + self.part, place.prefix + leaf, src_dir_fd=root.fd, dst_dir_fd=place.fd)
        self.part = ""
