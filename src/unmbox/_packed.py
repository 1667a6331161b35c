"""Sources that unpack to one stream of octets: gzip, bzip2, xz, Zstandard."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from typing import Protocol

from unmbox._flow import BLOCK, ahead, cut
from unmbox.errors import UsageError
from unmbox.sources import CHUNK, PIECE, Identity, Part, Source

_MOST_MEMORY = 256 << 20  # of xz, whose dictionary may take 4 GiB; the presets take 65 MiB at most


class Unpacker(Protocol):
    """What bz2, lzma and zstd call a decompressor."""

    @property
    def eof(self) -> bool:
        """Whether its stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether it gives nothing more without more input."""

    @property
    def unused_data(self) -> bytes:
        """What was given to it and stands behind the end of its stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take `data` and give at most `max_length` octets."""


class Inflater:
    """zlib's decompressor, with the manners of the others."""

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self._before = self._inflate
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether its stream has ended."""
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        """What was given to it and stands behind the end of its stream."""
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take `data` and give at most `max_length` octets."""
        inflate = self._inflate
        self._before = inflate.copy()
        octets = inflate.decompress(inflate.unconsumed_tail + data, max(0, max_length))
        self.needs_input = not inflate.unconsumed_tail and len(octets) < max_length
        return octets

    def salvage(self, data: bytes) -> bytes:
        """What `decompress` could have given of `data`, had it not found that it goes wrong further on."""
        inflate = self._before
        found = bytearray()
        data = inflate.unconsumed_tail + data
        for step in (1 << 12, 1 << 6, 1):
            while True:
                before = inflate.copy()
                try:
                    octets = inflate.decompress(data, step)
                except zlib.error:
                    inflate = before
                    break
                if not octets:
                    return bytes(found)
                found += octets
                data = inflate.unconsumed_tail
        return bytes(found)


def _bzip2() -> Unpacker:
    from bz2 import BZ2Decompressor

    return BZ2Decompressor()


def _xz() -> Unpacker:
    from lzma import LZMADecompressor

    return LZMADecompressor(memlimit=_MOST_MEMORY)


def _lzma() -> Unpacker:
    from lzma import FORMAT_ALONE, LZMADecompressor

    return LZMADecompressor(FORMAT_ALONE, memlimit=_MOST_MEMORY)


def new_zstd() -> Unpacker:
    """An unpacker of Zstandard; raises `UsageError` where nothing is installed that can."""
    for name in ("compression.zstd", "backports.zstd"):  # the first is Python's own, from 3.14 on
        with suppress(ImportError):
            unpacker: Unpacker = import_module(name).ZstdDecompressor()
            return unpacker
    raise UsageError("Zstandard needs one more package: pip install 'unmbox[zstd]'")


FORMATS: dict[str, tuple[bytes, Callable[[], Unpacker]]] = {
    "gzip": (b"\x1f\x8b\x08", lambda: Inflater(31)),
    "bzip2": (b"BZh", _bzip2),
    "xz": (b"\xfd7zXZ\0", _xz),
    "zstd": (b"\x28\xb5\x2f\xfd", new_zstd),
}
"""Name of a format, the octets that it begins with, and what unpacks it."""


def format_of(head: bytes) -> str | None:
    """The format of octets that begin so."""
    if head[:3] == b"BZh" and head[4:10] not in {b"1AY&SY", b"\x17rE8P\x90"}:
        return None  # text that begins so
    return next((name for name, (magic, _) in FORMATS.items() if head.startswith(magic)), None)


class Broken(Exception):  # noqa: N818  # it never leaves the readers of archives
    """Octets that cannot be unpacked further."""


CUT_SHORT = "it is cut short here"
WRONG_SUM = "its check sum is wrong: some octet before is not what it was"


class ZipLzma:
    """LZMA as ZIP has it (APPNOTE 5.8.8): a version, the size of the properties, and these, in front."""

    def __init__(self, size: int | None) -> None:
        self._size = size  # of what it unpacks to; None: an end marker tells
        self._head = b""
        self._unpacker: Unpacker | None = None

    @property
    def eof(self) -> bool:
        """Whether its stream has ended."""
        return self._unpacker is not None and self._unpacker.eof

    @property
    def needs_input(self) -> bool:
        """Whether it gives nothing more without more input."""
        return self._unpacker is None or self._unpacker.needs_input

    @property
    def unused_data(self) -> bytes:
        """What was given to it and stands behind the end of its stream."""
        return self._unpacker.unused_data if self._unpacker else self._head

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take `data` and give at most `max_length` octets."""
        if self._unpacker is None:
            self._head += data
            if len(self._head) < 9:
                return b""
            if int.from_bytes(self._head[2:4], "little") != 5:
                raise Broken("these are no properties of LZMA")
            size = -1 if self._size is None else self._size
            # The header of an .lzma file: the same properties, and the size.
            data = self._head[4:9] + size.to_bytes(8, "little", signed=True) + self._head[9:]
            self._unpacker = _lzma()
        return self._unpacker.decompress(data, max_length)


def unpack(unpacker: Unpacker, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What one stream unpacks to, in blocks; raises `Broken` where it cannot be unpacked or ends too early.

    What of a chunk stands behind its end is in ``unpacker.unused_data``.
    """
    step = BLOCK if isinstance(unpacker, Inflater) else CHUNK  # what the others lose where it goes wrong
    parts: list[bytes] = []
    size = 0
    reason = ""
    while not unpacker.eof and not reason:
        chunk = next(chunks, None) if unpacker.needs_input else b""
        if chunk is None:
            reason = CUT_SHORT
            break
        try:
            octets = unpacker.decompress(chunk, min(step, BLOCK - size))
        except Exception as error:  # each library has errors of its own
            reason = (
                WRONG_SUM if "data check" in str(error) else f"its packed octets are damaged here ({error})"
            )
            octets = unpacker.salvage(chunk) if isinstance(unpacker, Inflater) else b""
        parts.append(octets)
        size += len(octets)
        if size >= BLOCK:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)
    if reason:
        raise Broken(reason)


class Packed(Part):
    """What a compressed source unpacks to. Streams that follow one another are one."""

    def __init__(self, outer: Source, form: str) -> None:
        super().__init__(outer, "", form)
        self.single, self.group, self.beside = outer.single, outer.group, outer.beside
        self._form = form
        FORMATS[form][1]()  # what is missing to unpack it is told now

    def identity(self) -> Identity:
        """That of what it is unpacked from."""
        digest = self.outer.identity().digest
        return Identity(digest=digest and sha256(f"{self._form} {digest}".encode()).hexdigest())

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """The octets unpacked, from `start` on."""
        blocks = self._blocks()
        # What a user's own stream does in another thread is not ours to say.
        return cut(ahead(blocks) if self.lasting else blocks, start, stop)

    def _blocks(self) -> Iterator[bytes]:
        magic, new = FORMATS[self._form]
        chunks = self.outer.chunks(piece=PIECE)
        at = 0
        left = b""
        while True:
            unpacker = new()
            try:
                for block in unpack(unpacker, _joined(left, chunks)):
                    at += len(block)
                    yield block
            except Broken as error:
                damage = self.outer.damage
                self.damaged(at, damage.reason if damage else str(error))
                return
            left = unpacker.unused_data
            while not left.strip(b"\0") and (chunk := next(chunks, None)) is not None:
                left = chunk  # padding, as on tapes
            left = left.lstrip(b"\0")
            if not left:
                return
            if len(left) < len(magic):
                left += next(chunks, b"")
            if not left.startswith(magic):
                self.damaged(at, "something else follows what is compressed")
                return


def _joined(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from chunks
