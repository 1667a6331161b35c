"""The files in a ZIP archive, one after the other, from its directory or, if that is gone, without it.

By the .ZIP File Format Specification (APPNOTE.TXT 6.3.10). The directory is read as a stream, so an archive
of a million small files costs no more memory than one of a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from zlib import crc32

from unmbox._flow import Flow, ahead, cut
from unmbox._packed import CUT_SHORT, FORMATS, WRONG_SUM, Broken, Inflater, Unpacker, ZipLzma, unpack
from unmbox._report import Damage
from unmbox._zip_records import (
    BEHIND,
    DESCRIPTOR_SIGN,
    ENCRYPTED,
    END,
    END_64,
    END_MARKER,
    END_SIGN,
    LOCAL_SIGN,
    LOCATOR,
    LOCATOR_SIGN,
    STREAMED,
    Record,
    central,
    local,
    pass_directory,
)
from unmbox.errors import UsageError
from unmbox.sources import CHUNK, PIECE, Identity, Part, Source

_STORED, _DEFLATED = 0, 8
_LZMA = 14
_UNPACKERS: dict[int, Callable[[], Unpacker]] = {
    _DEFLATED: lambda: Inflater(-15),
    12: FORMATS["bzip2"][1],
    93: FORMATS["zstd"][1],
    95: FORMATS["xz"][1],
}
_UNPACK_IT = "unpack the archive with another program, such as 7-Zip, and give what comes out"
_NAMES = 10_000
_JOINED = 1_000  # archives in one file
_ROUND = 1 << 32
"""What sizes and offsets without ZIP64 are remainders of. So macOS packs up mailboxes that are larger."""
_METHODS = {9: "Deflate64", 98: "PPMd"}


class ZipEntry(Part):
    """A file in an archive. With a `flow`, which stands behind its local header, it comes next in there."""

    def __init__(self, outer: Source, record: Record, *, flow: Flow | None = None, number: int = 1) -> None:
        name = record.name if number == 1 else f"{record.name}#{number}"
        super().__init__(outer, name, "zip", record.size, called=record.name)
        self._record = record
        self._flow = flow
        self._coming = self._octets(flow) if flow else None
        self._begun = False

    @property
    def seekable(self) -> bool:
        """Whether `chunks` begins anywhere without reading what stands before."""
        return self._plain and self.outer.seekable and self._flow is None

    @property
    def _plain(self) -> bool:
        return self._record.method == _STORED and not self._record.flags & ENCRYPTED

    def identity(self) -> Identity:
        """What its header says of it; of its archive too, where the header does not know."""
        if not self.lasting:
            return Identity()
        whole = self.outer.identity().digest if self._record.packed is None or self._flow else ""
        return Identity(digest=sha256(f"zip {whole} {self._record!r}".encode("utf-8", "replace")).hexdigest())

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """Its octets, unpacked, from `start` on; a check sum that is wrong is told at their end."""
        if self._coming and not self._begun:
            self._begun = True
            yield from cut(_held(self._coming), start, stop)
            return
        if not self.lasting:
            return
        if self.seekable:
            yield from self._stored(start, stop)
            return
        blocks = self._octets(Flow(self.outer, self._record.at, piece=PIECE), header=True)
        yield from cut(ahead(blocks), start, stop)

    def peek(self, size: int) -> bytes:
        """Its first octets, before it is read."""
        if self._flow is None:
            return self.read(0, size)
        if self._plain:
            limit = size if self._record.packed is None else min(size, self._record.packed)
            return self._flow.peek(limit)
        new = _unpacker_of(self._record)
        if new is None or self._record.flags & ENCRYPTED:
            self._cannot(new)
            return b""
        try:
            return next(unpack(new(), iter([self._flow.peek(size)])), b"")[:size]
        except (Broken, UsageError):
            return b""

    def finish(self) -> None:
        """Pass over what nobody has read of it, so that the flow stands behind it."""
        flow = self._flow
        if flow is None or self._coming is None:
            return
        if not self._begun and self._record.packed is not None:
            flow.skip(self._record.packed)
            self._pass_descriptor(flow, 0, None)
            return
        for _ in self._coming:
            pass

    def _stored(self, start: int, stop: int | None) -> Iterator[bytes]:
        """Read what is not compressed from where it is wanted."""
        flow = Flow(self.outer, self._record.at)
        if not _behind_header(flow):
            self.damaged(0, f"no header of a file at octet {self._record.at} of the archive")
            return
        flow.skip(start)
        size = self._record.packed or 0
        end = size if stop is None else min(stop, size)
        at, crc = start, 0
        for chunk in flow.pieces(end - start):
            at += len(chunk)
            crc = crc32(chunk, crc) if start == 0 else self._record.crc
            yield chunk
        if stop is None:
            self._check(at, crc)

    def _octets(self, flow: Flow, *, header: bool = False) -> Iterator[bytes]:
        """Unpack what comes: blocks of the entry's octets."""
        record = self._record
        if header and not _behind_header(flow):
            self.damaged(0, f"no header of a file at octet {record.at} of the archive")
            return
        end = None if record.packed is None else flow.offset + record.packed
        new = _unpacker_of(record)
        at, crc = 0, 0
        if not self._cannot(new):
            try:
                for block in self._unpacked(flow, new):
                    at += len(block)
                    crc = crc32(block, crc)
                    yield block
            except Broken as error:
                damage = self.outer.damage
                self.damaged(at, damage.reason if damage else str(error))
            else:
                if record.packed is not None:
                    self._check(at, crc)
        if header:
            return
        if end is not None:
            flow.skip(max(0, end - flow.offset))
        elif self.damage:
            _find_header(flow)
            return
        self._pass_descriptor(flow, at, crc)

    def _cannot(self, new: Callable[[], Unpacker] | None) -> bool:
        """Whether it cannot be unpacked, whatever its octets, and why."""
        record = self._record
        if record.flags & ENCRYPTED:
            self.damaged(0, "it is encrypted: unpack the archive with its password and give what comes out")
        elif record.method != _STORED and new is None:
            known = _METHODS.get(record.method, f"method {record.method}")
            self.damaged(0, f"it is compressed with {known}, which is not read here: {_UNPACK_IT}")
        else:
            return False
        return True

    def _unpacked(self, flow: Flow, new: Callable[[], Unpacker] | None) -> Iterator[bytes]:
        record = self._record
        if new is None:
            yield from flow.pieces(record.packed) if record.packed is not None else _until_descriptor(flow)
            return
        unpacker = new()
        yield from unpack(unpacker, flow.pieces(record.packed))
        if record.packed is None:
            flow.put_back(unpacker.unused_data)

    def _check(self, size: int, crc: int) -> None:
        """Compare what has come with what the archive says of it."""
        record = self._record
        if record.size is not None and size < record.size:
            self.damaged(size, f"the archive ends, or it is shorter than it should be ({record.size} octets)")
        elif record.size is not None and (size - record.size) % _ROUND:
            self.damaged(size, f"it is longer than it should be ({record.size} octets)")
        elif crc != record.crc:
            self.damaged(size, WRONG_SUM)

    def _pass_descriptor(self, flow: Flow, at: int, crc: int | None) -> None:
        """Pass over the sizes and the check sum that a streaming writer puts behind a file, and compare."""
        if not self._record.flags & STREAMED:
            return
        behind = (LOCAL_SIGN, *BEHIND)
        data = flow.peek(28)
        for size in (16, 24, 12, 20):
            if data[size:].startswith(behind) and (size in {12, 20} or data.startswith(DESCRIPTOR_SIGN)):
                flow.skip(size)
                known = int.from_bytes(data[:4] if size in {12, 20} else data[4:8], "little")
                if crc is not None and crc != known and self._record.packed is None:
                    self.damaged(at, WRONG_SUM)
                return


def _unpacker_of(record: Record) -> Callable[[], Unpacker] | None:
    if record.method == _LZMA:
        return lambda: ZipLzma(None if record.flags & END_MARKER else record.size)
    return _UNPACKERS.get(record.method)


def zip_entries(source: Source, note: Callable[[Damage], object]) -> Iterator[ZipEntry]:
    """The files of an archive, by its directory if that can be reached and read, else as they come.

    Without a directory each must be read before the next is asked for, or its source be `lasting`. What is
    not as it should be is told with `note`, with its octet in the archive. Links are not followed.
    """
    if not source.seekable:
        yield from _as_they_come(Flow(source), note)
        return
    found = _directory(source, source.size or 0)
    if isinstance(found, str):
        note(Damage(source.name, source.size, found))
        yield from _as_they_come(Flow(source), lambda _: None)
        return
    places = [found]
    # What stands before an archive may be a program, or another one: parts that somebody has joined.
    while (shift := places[-1][2]) and source.read(0, len(LOCAL_SIGN)) == LOCAL_SIGN:
        found = _directory(source, shift)
        if isinstance(found, str) and shift % _ROUND == 0:
            yield from _as_they_come(Flow(source), note)
            return
        if isinstance(found, str) or len(places) == _JOINED:
            why = "another archive begins here; what is before it is not read: give that as a file of its own"
            note(Damage(source.name, shift, why))
            break
        places.append(found)
    names: dict[str, int] = {}
    for place in reversed(places):
        yield from _by_directory(source, place, names, note)


def _by_directory(
    source: Source, place: tuple[int, int, int], names: dict[str, int], note: Callable[[Damage], object]
) -> Iterator[ZipEntry]:
    start, end, shift = place
    flow = Flow(source, start)
    last, total, size = 0, 0, source.size or 0
    while flow.offset < end:
        at = flow.offset
        record = central(flow, shift)
        if record is None or flow.offset > end:
            note(Damage(source.name, at, "the archive's directory is damaged here; it is read without it"))
            yield from _as_they_come(Flow(source, last), note)
            return
        last = record.at + 30
        total += record.packed or 0
        if not record.is_file:
            continue
        if total > size or record.at >= size:
            reason = "it lies on top of other files, or outside of the archive: a ZIP bomb?"
            note(Damage(f"{source.name}!/{record.name}", 0, reason))
            continue
        yield ZipEntry(source, record, number=_again(names, record.name))


def _again(names: dict[str, int], name: str) -> int:
    """How often a name has come. Only the last ones are kept: those that come twice come together."""
    names[name] = number = names.get(name, 0) + 1
    if len(names) > _NAMES:
        del names[next(iter(names))]
    return number


def _directory(source: Source, size: int) -> tuple[int, int, int] | str:
    """Where the directory of the archive that ends at `size` begins and ends, and how far all is shifted.

    Or why that is not known.
    """
    base = max(0, size - (1 << 16) - END.size)
    tail = source.read(base, size)
    at = tail.rfind(END_SIGN, 0, max(0, len(tail) - END.size + len(END_SIGN)))
    if at < 0:
        return "the archive is cut short, its end is missing: was it downloaded whole? What is there is read"
    _, disk, _, _, _, length, start, _ = END.unpack_from(tail, at)
    if disk not in {0, 0xFFFF}:
        return "it is one volume of a ZIP that was split: join them first (zip -s 0 NAME.zip --out whole.zip)"
    end = base + at
    locator = tail[at - LOCATOR.size : at] if at >= LOCATOR.size else b""
    if locator[:4] == LOCATOR_SIGN:
        where = LOCATOR.unpack(locator)[2]
        for place in (where, end - LOCATOR.size - END_64.size):
            record = source.read(place, place + END_64.size) if 0 <= place < size else b""
            if len(record) == END_64.size and record[:4] == b"PK\6\6":
                length, start = END_64.unpack(record)[8:]
                end = place
                break
    shift = end - length - start
    if shift < 0 or start + shift < 0:
        return "the archive's directory is not where it should be; the archive is read without it"
    return start + shift, end, shift


def _behind_header(flow: Flow) -> bool:
    """Take a local header; whether there is one."""
    return local(flow) is not None


def _as_they_come(flow: Flow, note: Callable[[Damage], object]) -> Iterator[ZipEntry]:
    """The files by their own headers: of a stream, or of an archive without a directory."""
    source = flow.source
    names: dict[str, int] = {}
    lost = False
    while True:
        sign = flow.peek(4)
        if sign in BEHIND:
            pass_directory(flow)
            if flow.peek(4) == LOCAL_SIGN:  # of an archive that was joined to it
                continue
            for _ in flow.pieces():
                pass
            if source.damage:  # of what it is packed in
                note(source.damage)
            return
        at = flow.offset
        record = local(flow) if sign == LOCAL_SIGN else None
        if record is None:
            if len(sign) < 4 or sign == LOCAL_SIGN:
                why = (
                    source.damage.reason if source.damage else "the archive ends here, without its directory"
                )
                note(Damage(source.name, at, why))
                return
            if not lost:
                note(Damage(source.name, at, "this is no header of a file; the next one is looked for"))
            lost = True
            _find_header(flow)
            continue
        lost = False
        entry = ZipEntry(source, record, flow=flow, number=_again(names, record.name))
        if record.is_file:
            yield entry
        entry.finish()


def _find_header(flow: Flow) -> None:
    """Pass over octets up to where a header may begin."""
    flow.skip(1)
    while len(data := flow.peek(CHUNK)) >= 4:
        found = data.find(b"PK", 0)
        while found >= 0 and data[found : found + 4] not in {LOCAL_SIGN, *BEHIND}:
            found = data.find(b"PK", found + 1)
        if found >= 0:
            flow.skip(found)
            return
        flow.skip(len(data) - 3)
    flow.skip(4)


def _until_descriptor(flow: Flow) -> Iterator[bytes]:
    """Octets stored without their number: up to a descriptor that has their check sum and number."""
    at, crc = 0, 0
    while data := flow.peek(CHUNK):
        found = data.find(DESCRIPTOR_SIGN)
        if found < 0:
            found = len(data) if len(data) < CHUNK else len(data) - 3
        elif found == 0:
            head = flow.peek(24)
            sizes = {int.from_bytes(head[8:12], "little"), int.from_bytes(head[8:16], "little")}
            if int.from_bytes(head[4:8], "little") == crc and at in sizes:
                return
            found = 1
        piece = flow.take(found)
        at += len(piece)
        crc = crc32(piece, crc)
        yield piece
    raise Broken(CUT_SHORT)


def _held(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, but closing it does not close them."""
    for block in blocks:  # noqa: UP028  # "yield from" would close them
        yield block
