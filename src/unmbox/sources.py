"""Where octets come from: a path, a binary file object, an iterable of bytes, as one stream of chunks.

A `Source` is one mailbox or one message. What holds several (an archive, a folder) is taken apart by
`unmbox._opened`; the sources that come out of it are of the classes below this one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sized
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, Union, runtime_checkable

from unmbox._report import Damage
from unmbox.errors import SourceError, UsageError
from unmbox.labels import Beside

CHUNK = 1 << 16
"""Octets a read. Larger chunks fall out of the processor's caches: 4 MiB cost 1.6 times."""
PIECE = 1 << 18
"""The same for what is unpacked from there, on a thread that gives way to others at every read."""

_SAMPLE = 1 << 14


@runtime_checkable
class Readable(Protocol):
    """Anything with ``read(n)`` that gives bytes: an open file, a socket's file, a decompressor."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` octets, none at the end."""


_One = Union[str, "os.PathLike[str]", Readable, IO[bytes]]
SourceLike = _One | Iterable[bytes]
# One iterable of all: of two, checkers cannot tell which one ["a.mbox", Path("b.mbox")] is to be.
SourcesLike = _One | Iterable[bytes | _One | Iterable[bytes]]


class Identity(NamedTuple):
    """What tells whether a source is the one that an earlier run had read. No digest, no identity."""

    size: int | None = None
    mtime: int | None = None
    digest: str | None = None


class Source:
    """One stream of octets. `name` says where from; `size` is in octets, None where it is unknown.

    `uri` tells it from other sources, in text that has UTF-8: the absolute path of a file, else a name that
    the caller gives. `scheme` is its kind. `single` says that it is one message, not a mailbox. `damage` is
    what was found when its octets were read, None while all is well. `beside` is asked for what is known of
    a message besides its octets, from its header block and From_ line.
    """

    scheme = "file"
    single = False
    _identity: Identity | None = None
    group = ""  # the folder or archive that single messages are told together as
    beside: Callable[[bytes, bytes], Beside | None] | None = None

    def __init__(self, source: SourceLike) -> None:
        self.name = self.uri = "stream"
        self.size: int | None = None
        self.damage: Damage | None = None
        self._path: Path | None = None
        self._source = source
        given: object = source  # callers without a type checker pass anything
        if isinstance(source, (str, os.PathLike)):
            given_path = checked_path(source)
            self.name = str(given_path)
            # Absolute: the folder that one is in may be another when it is read.
            self._path = Path(os.path.abspath(given_path))  # noqa: PTH100  # as for `uri`
            self.uri = uri_of(self._path)
            self.size = _checked_size(self._path, self.name)
        elif isinstance(given, (bytes, bytearray, memoryview)):
            raise UsageError("bytes are no source: pass io.BytesIO(data), or a path as str")
        elif isinstance(source, Readable):
            self.name = str(getattr(source, "name", "stream"))
        elif not isinstance(given, Iterable):
            what = type(given).__name__
            if hasattr(given, "__aiter__"):
                raise UsageError(f"a {what} is an async source: give it to unmbox.aio, itself or in a list")
            raise UsageError(f"a {what} is no source: pass a path, a binary file or an iterable of bytes")
        if not self.lasting:
            self.scheme = "stream"

    @property
    def called(self) -> str:
        """Its name as far as it may tell what it is."""
        return self.name

    @property
    def path(self) -> Path | None:
        """Where it is in the system's files, if it is there."""
        return self._path

    @property
    def is_path(self) -> bool:
        """Whether it is a regular file of the system, which can be opened again and read from anywhere."""
        return self._path is not None and self.size is not None

    @property
    def lasting(self) -> bool:
        """Whether it has an identity and can be read again, from anywhere."""
        return self.is_path

    @property
    def seekable(self) -> bool:
        """Whether `chunks` begins anywhere without reading what stands before."""
        return self.is_path

    @property
    def mtime(self) -> int | None:
        """When a file was last changed, in nanoseconds; None for a stream."""
        return self._path.stat().st_mtime_ns if self._path and self.is_path else None

    def identity(self) -> Identity:
        """What tells whether it has changed since an earlier run."""
        if not self.lasting:
            return Identity()
        if self._identity is None:
            self._identity = Identity(self.size, self.mtime, sample_digest(self))
        return self._identity

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """The octets from `start` on, once, as chunks of any size but none empty; of a path, `piece` each.

        Only a source that is `lasting` can start elsewhere than at 0; it is read up to `stop`, or to its
        size when it was opened. Raises `SourceError`, whose `offset` says how far it came, where the system
        fails to read it or it ends before; what a user's own file object or iterable raises comes through
        unchanged. Where what is read makes no sense (a damaged archive), the octets end and `damage` says.
        """
        if self._path is not None:
            return _read_path(self._path, self.name, start, self.size if stop is None else stop, piece)
        if isinstance(self._source, Readable):
            return _read_file(self._source)
        return _checked(iter(self._source))  # type: ignore[arg-type]  # a path has been ruled out above

    def read(self, start: int, stop: int) -> bytes:
        """The octets from `start` to `stop` of a source that is `lasting`; fewer where it ends before."""
        if self.size is not None:
            stop = min(stop, self.size)
        return b"".join(self.chunks(start, stop)) if start < stop else b""


class Part(Source):
    """A source that stands in another one, its `outer`: an archive's entry, or what a file unpacks to."""

    def __init__(
        self, outer: Source, name: str, scheme: str, size: int | None = None, *, called: str = ""
    ) -> None:
        self.outer = outer
        self._called = called or name or outer.called
        self.name = f"{outer.name}!/{name}" if name else outer.name
        self.uri = f"{outer.uri}!/{_encodable(name)}" if name else outer.uri
        self.scheme = scheme if outer.lasting else "stream"
        self.size = size
        self.damage = None
        self._path = None

    @property
    def called(self) -> str:
        """Its name in the outer source, which may tell what it is; no number that tells it from others."""
        return self._called

    @property
    def lasting(self) -> bool:
        """Whether its outer source is."""
        return self.outer.lasting

    @property
    def seekable(self) -> bool:
        """Whether `chunks` begins anywhere without reading what stands before."""
        return False

    def damaged(self, offset: int | None, reason: str) -> None:
        """Note what is wrong with it; what was noted first stays."""
        if self.damage is None:
            self.damage = Damage(self.name, offset, reason)


def sample_digest(source: Source) -> str:
    """SHA-256 of a source's size and of 16 KiB at its head, middle and end: cheap for any size."""
    size = source.size or 0
    digest = sha256(b"%d " % size)
    for at in sorted({0, max(0, (size - _SAMPLE) // 2), max(0, size - _SAMPLE)}):
        digest.update(source.read(at, at + _SAMPLE))
    return digest.hexdigest()


def uri_of(path: str | os.PathLike[str]) -> str:
    """The absolute path, in text that has UTF-8."""
    absolute = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow links
    return os.fsencode(absolute).decode("utf-8", "backslashreplace")


def as_list(sources: SourcesLike) -> list[SourceLike]:
    """Take "one or several" apart: what gives other things than bytes gives several, such as paths."""
    given: Any = sources
    if isinstance(given, (list, tuple)):
        return [given] if given and all(map(_is_octets, given)) else list(given)
    lone = _is_octets(given) or isinstance(given, (str, os.PathLike, Readable))
    if lone or not isinstance(given, Iterable):
        return [given]
    if isinstance(given, Sized) and not given:
        return []
    items = iter(given)
    first: Any = next(items, b"")
    return [chain((first,), items)] if _is_octets(first) else [first, *items]


def _is_octets(given: object) -> bool:
    return isinstance(given, (bytes, bytearray, memoryview))


def _encodable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def checked_path(given: str | os.PathLike[str]) -> Path:
    """The path that is given; `UsageError` for text that names nothing on any system."""
    path = os.fsdecode(given)
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise UsageError(f"{path!r} cannot be the name of a file on this system") from None
    if "\0" in path:
        raise UsageError(f"{path!r} holds a NUL, so it is no path")
    return Path(path)


def _checked_size(path: Path, name: str) -> int | None:
    try:
        mode = path.stat()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        what = "does not exist" if missing else f"cannot be read: {error.strerror}"
        raise SourceError(error.errno, f"{name} {what}") from error
    if stat.S_ISDIR(mode.st_mode):
        raise SourceError(errno.EISDIR, f"{name} is a folder, not a mailbox: name the .mbox file in it")
    return mode.st_size if stat.S_ISREG(mode.st_mode) else None


def _read_path(path: Path, name: str, start: int, stop: int | None, piece: int) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise SourceError(error.errno, f"{name} cannot be read: {error.strerror}") from error
    at = start
    try:
        if start:
            os.lseek(descriptor, start, os.SEEK_SET)
        while stop is None or at < stop:
            try:
                chunk = os.read(descriptor, piece if stop is None else min(piece, stop - at))
            except OSError as error:
                what = f"{name} cannot be read on at octet {at}: {error.strerror}"
                raise SourceError(error.errno, what, offset=at) from error
            if not chunk:
                if stop is None:
                    return
                what = f"{name} ends at octet {at} and had {stop}: it has shrunk"
                raise SourceError(errno.EIO, what, offset=at)
            at += len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


def _read_file(file: Readable) -> Iterator[bytes]:
    while True:
        chunk: object = file.read(CHUNK)
        if isinstance(chunk, str):
            raise UsageError("the source gives text: open it in binary mode, open(path, 'rb')")
        if chunk is None:  # of a raw file that does not block
            raise UsageError("the source has nothing to give yet and does not wait: make it blocking")
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            if hasattr(chunk, "__await__"):
                if close := getattr(chunk, "close", None):
                    close()  # of a coroutine that nobody will await
                raise UsageError(
                    "the source's read() has to be awaited: give the source to unmbox.aio, itself or "
                    "in a list, and define it with async def"
                )
            raise UsageError(f"the source gives {type(chunk).__name__}, not bytes")
        if not chunk:
            return
        yield bytes(chunk)


def _checked(chunks: Iterator[object]) -> Iterator[bytes]:
    for chunk in chunks:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            several = ": for several paths, ask for each" if isinstance(chunk, (str, os.PathLike)) else ""
            raise UsageError(f"the source gives {type(chunk).__name__}, not bytes{several}")
        if chunk:
            yield bytes(chunk)
