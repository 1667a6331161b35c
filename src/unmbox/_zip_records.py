"""The records of a ZIP archive: what they say of the files in it, by APPNOTE.TXT 6.3.10."""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

from unmbox._entry_names import names_folder, text_of
from unmbox._flow import Flow

_LOCAL = struct.Struct("<4s5HL2L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
LOCAL_SIGN, CENTRAL_SIGN, END_SIGN = b"PK\3\4", b"PK\1\2", b"PK\5\6"
DESCRIPTOR_SIGN, LOCATOR_SIGN = b"PK\7\x08", b"PK\6\7"
BEHIND = (CENTRAL_SIGN, END_SIGN, b"PK\6\6", LOCATOR_SIGN, b"PK\6\x08")  # what follows the last file
_NOT_HERE = 0xFFFFFFFF
ENCRYPTED, END_MARKER, STREAMED, _UTF_8 = 0x1, 0x2, 0x8, 0x800
_LINK, _FOLDER = 0o120000, 0o040000
_LONGEST_LINK = 1 << 12  # octets of a path
_MOST_END = 1 << 20  # octets of the end's record of 64 bits, which has 44


class Record(NamedTuple):
    """What a header says of a file. `packed` is how many octets it has in the archive; None: they tell."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int | None
    size: int | None
    at: int  # of its local header
    is_file: bool = True


def central(flow: Flow, shift: int) -> Record | None:
    """Take what the directory says of a file; None where that makes no sense."""
    head = flow.take(_CENTRAL.size)
    if len(head) < _CENTRAL.size or head[:4] != CENTRAL_SIGN:
        return None
    values = _CENTRAL.unpack(head)
    made_by, flags, method = values[1], values[3], values[4]
    crc, packed, size, name_size, extra_size, comment_size = values[7:13]
    mode, at = values[15] >> 16, values[16]
    variable = flow.take(name_size + extra_size + comment_size)
    raw, extra = variable[:name_size], variable[name_size : name_size + extra_size]
    size, packed, at = _large(extra, [size, packed, at])
    kind = mode & 0o170000 if made_by >> 8 == 3 else 0  # of Unix
    # Nothing protects these bits: what is too large for a link or a folder is a file, whatever they say.
    is_file = size > {_LINK: _LONGEST_LINK, _FOLDER: 0}.get(kind, -1)
    is_file &= not names_folder(raw, size)
    return Record(_name(raw, flags, extra), flags, method, crc, packed, size, at + shift, is_file)


def local(flow: Flow) -> Record | None:
    """Take a file's own header; None where there is none."""
    at = flow.offset
    head = flow.take(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != LOCAL_SIGN:
        return None
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(head)
    variable = flow.take(name_size + extra_size)
    if len(variable) < name_size + extra_size:
        return None
    raw, extra = variable[:name_size], variable[name_size:]
    size, packed = _large(extra, [size, packed])
    unknown = bool(flags & STREAMED) and not packed
    is_file = not names_folder(raw, None if unknown else size)
    name = _name(raw, flags, extra)
    if unknown:
        return Record(name, flags, method, crc, None, None, at, is_file)
    return Record(name, flags, method, crc, packed, size, at, is_file)


def _large(extra: bytes, values: list[int]) -> list[int]:
    """Those of the values that are too large for 32 bits, from the ZIP64 field (APPNOTE 4.5.3)."""
    field = _field(extra, 1)
    for index, value in enumerate(values):
        if value == _NOT_HERE and len(field) >= 8:
            values[index] = int.from_bytes(field[:8], "little")
            field = field[8:]
    return values


def _field(extra: bytes, wanted: int) -> bytes:
    while len(extra) >= 4:
        number, size = struct.unpack_from("<2H", extra)
        if number == wanted:
            return extra[4 : 4 + size]
        extra = extra[4 + size :]
    return b""


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    """The name as text. It tells what a file may be, and is shown; it is never used as a path."""
    unicode_path = _field(extra, 0x7075)  # Info-ZIP: version, check sum of the name, the name in UTF-8
    if len(unicode_path) > 5 and int.from_bytes(unicode_path[1:5], "little") == crc32(raw):
        raw, flags = unicode_path[5:], _UTF_8
    return raw.decode("utf-8", "backslashreplace") if flags & _UTF_8 else text_of(raw)


def pass_directory(flow: Flow) -> None:
    """Pass over what stands behind the last file, as far as it is what it should be."""
    while (sign := flow.peek(4)) in BEHIND:
        head = flow.peek(_CENTRAL.size)
        if sign == CENTRAL_SIGN:
            size = _CENTRAL.size + sum(struct.unpack_from("<3H", head.ljust(_CENTRAL.size), 28))
        elif sign == END_SIGN:
            size = END.size + int.from_bytes(head[20:22], "little")
        elif sign == LOCATOR_SIGN:
            size = LOCATOR.size
        elif sign == b"PK\6\6":
            size = 12 + min(int.from_bytes(head[4:12], "little"), _MOST_END)
        else:
            size = 8 + int.from_bytes(head[4:8], "little")
        flow.skip(size)
