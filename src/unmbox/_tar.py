"""The files in a tar archive, one after the other, as far as it can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256

from unmbox._flow import Flow
from unmbox._packed import CUT_SHORT
from unmbox._report import Damage
from unmbox.sources import CHUNK, Identity, Part, Source

BLOCK = 512
_NAMES = 10_000  # that are remembered
_MOST_EXTRA = 1 << 20  # octets of a long name or of pax records
_ZEROS = bytes(BLOCK)
_FILES = (b"0", b"\0", b"7")


class TarEntry(Part):
    """A file in an archive, whose octets begin at `at` of it. A `number` tells it from others of its name."""

    def __init__(self, flow: Flow, name: str, number: str, at: int, size: int) -> None:
        super().__init__(flow.source, name + number, "tar", size, called=name)
        self._flow = flow
        self._at = at
        self._size = size

    @property
    def seekable(self) -> bool:
        """Whether `chunks` begins anywhere without reading what stands before."""
        return self.outer.seekable

    def identity(self) -> Identity:
        """Its archive's, and its place there."""
        digest = self.outer.identity().digest
        return Identity(digest=digest and sha256(f"tar {digest} {self._at} {self.uri}".encode()).hexdigest())

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """Its octets from `start` on: those that come next in the archive, or read from there anew."""
        first = self._at + start
        flow = self._flow
        if flow.offset > first:
            if not self.lasting:
                return
            flow = Flow(self.outer, first)
        flow.skip(first - flow.offset)
        end = self._size if stop is None else min(stop, self._size)
        yield from flow.pieces(end - start)
        if flow.offset < self._at + end:
            why = self.outer.damage.reason if self.outer.damage else CUT_SHORT
            self.damaged(max(0, flow.offset - self._at), why)

    def peek(self, size: int) -> bytes:
        """Its first octets, before it is read."""
        return self._flow.peek(min(size, self._size))


def is_tar(head: bytes) -> bool:
    """Whether these 512 octets are a header of tar."""
    if len(head) < BLOCK or (head[257:262] != b"ustar" and head[:5] == b"From "):
        return False
    return _header(head[:BLOCK]) is not None


def tar_entries(source: Source, note: Callable[[Damage], object]) -> Iterator[TarEntry]:
    """The files of an archive. Each must be read before the next is asked for, or its source be `lasting`.

    What is not as it should be is told with `note`, with its octet in the archive, and reading goes on
    behind it. Links are not followed.
    """
    flow = Flow(source)
    extra: dict[str, str] = {}
    names: dict[str, int] = {}
    lost = ended = False
    part = 1  # of archives that were joined
    while True:
        at = flow.offset
        block = flow.take(BLOCK)
        if ended and len(block) < BLOCK:
            break
        if len(block) < BLOCK:
            why = source.damage.reason if source.damage else "the archive is cut short here"
            note(Damage(source.name, at, f"{why}: was it downloaded whole? What stood behind is lost"))
            return
        if block == _ZEROS:
            ended = True  # unless another archive was joined to it
            continue
        header = _header(block)
        if header is None and ended:
            break  # what a tape had held before
        if ended:
            part, names, ended = part + 1, {}, False
        if header is None:
            if not lost:
                note(Damage(source.name, at, "this is no header of an archive; the next one is looked for"))
            lost = True
            continue
        lost = False
        name, kind, size = header
        if kind in {b"L", b"K", b"x", b"g"}:
            data = flow.take(min(size, _MOST_EXTRA))
            flow.skip(_padded(size) - len(data))
            if kind == b"L":
                extra["path"] = _text(data.rstrip(b"\0"))
            elif kind == b"x":
                extra |= _pax(data)
            continue
        name = extra.get("path", name)
        if extra.get("size", "").isdecimal() and len(extra["size"]) < 20:
            size = int(extra["size"])
        sparse = kind == b"S" or any(key.startswith("GNU.sparse") for key in extra)
        extra = {}
        end = flow.offset + _padded(size)
        if sparse:
            note(Damage(f"{source.name}!/{name}", 0, "it is stored as a sparse file, which cannot be read"))
        elif kind in _FILES and not name.endswith("/"):
            names[name] = number = names.get(name, 0) + 1  # `tar -r` and `-u` add it once more
            again = f"#{number}" if number > 1 else ""
            yield TarEntry(flow, name, f"#{part}.{number}" if part > 1 else again, flow.offset, size)
            if len(names) > _NAMES:
                del names[next(iter(names))]
        flow.skip(max(0, end - flow.offset))
    for _ in flow.pieces():  # so that what it is packed in is found whole or not
        pass
    if source.damage:
        note(source.damage)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _header(block: bytes) -> tuple[str, bytes, int] | None:
    """Name, type and size of the octets that follow; None where it is no header."""
    from tarfile import HeaderError, TarInfo

    try:
        found = TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (HeaderError, ValueError):
        return None
    if found.size < 0:
        return None
    # Links and devices have no octets, whatever size they claim.
    return found.name, found.type, found.size if found.type not in b"123456" else 0


def _pax(data: bytes) -> dict[str, str]:
    """The records of an extended header (POSIX.1-2001, pax): "length keyword=value" and a line end each."""
    found = {}
    while data:
        number, space, _ = data.partition(b" ")
        if not space or not number.isdigit() or len(number) > 7 or int(number) <= len(number) + 1:
            break
        key, _, value = data[len(number) + 1 : int(number)].rstrip(b"\n").partition(b"=")
        found[_text(key)] = _text(value)
        data = data[int(number) :]
    return found
