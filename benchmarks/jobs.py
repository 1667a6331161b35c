"""The Python jobs that the comparison times, each a process of its own.

python jobs.py unmbox-count FILE       count messages with unmbox
python jobs.py unmbox-read FILE        the same, and make the EML of each
python jobs.py unmbox-bare FILE DEST   convert without what proves it: no digests, no index, no manifest
python jobs.py floor FILE OFFSETS DEST what any converter that keeps a record must ask of the system
python jobs.py mailbox-count FILE      the same with the standard library
python jobs.py mailbox-files FILE DEST one file a message with the standard library
python jobs.py gmime-files FILE DEST   one file a message with GMime, a library in C
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def unmbox_count(source: str) -> int:
    """Count the ends of messages that the parser reports."""
    import unmbox

    if hasattr(unmbox, "count"):
        return int(unmbox.count(source))
    from unmbox.events import End

    parser = unmbox.Parser()
    messages = 0
    with Path(source).open("rb", buffering=0) as file:
        while data := file.read(1 << 16):
            for event in parser.feed(data):
                if type(event) is End:
                    messages += 1
    return messages + sum(type(event) is End for event in parser.close())


def unmbox_read(source: str) -> int:
    """Make the EML of each message, in pieces, and leave it."""
    import unmbox

    messages = 0
    for message in unmbox.messages(source):
        for _ in message.iter_bytes():
            pass
        messages += 1
    return messages


def unmbox_bare(source: str, destination: str) -> int:
    """Convert without what proves it: no digests, no index, no manifest."""
    import unmbox
    from unmbox import _mail

    class Nothing:
        def __init__(self, _: bytes = b"") -> None:
            pass

        def update(self, _: bytes) -> None:
            pass

        def digest(self) -> bytes:
            return bytes(32)

    class NoBody(Nothing):
        def digest(self) -> tuple[bytes, bytes]:  # type: ignore[override]
            return bytes(32), bytes(32)

    vars(_mail).update(sha256=Nothing, BodyDigest=NoBody)
    # With copies kept, a name comes of the message's place too, so all are different still.
    return unmbox.convert(source, unmbox.DirectorySink(destination), dedup="off").written


def floor(source: str, offsets: str, destination: str) -> int:
    """Read, hash, write, date and name each message, and give it a row: no parsing, no choice, no check."""
    import os
    import sqlite3
    from array import array
    from hashlib import sha256

    edges = array("Q")
    edges.frombytes(Path(offsets).read_bytes())
    record = sqlite3.connect(Path(destination) / "record.sqlite", isolation_level=None)
    record.execute("PRAGMA synchronous = OFF")
    record.execute("CREATE TABLE message(id INTEGER PRIMARY KEY, head BLOB, body BLOB, path TEXT)")
    file = os.open(source, os.O_RDONLY)
    rows = []
    for number in range(len(edges) - 1):
        octets = os.read(file, edges[number + 1] - edges[number])
        name = f"{number:08d}.eml"
        part = os.open(f"{destination}/part", os.O_WRONLY | os.O_CREAT, 0o666)
        os.write(part, octets)
        os.utime(part, (0, 0))
        os.close(part)
        os.rename(f"{destination}/part", f"{destination}/{name}")  # noqa: PTH104  # as cheap as can be
        rows.append((sha256(octets[:1024]).digest(), sha256(memoryview(octets)[1024:]).digest(), name))
        if len(rows) == 500 or number == len(edges) - 2:
            record.execute("BEGIN")
            record.executemany("INSERT INTO message(head, body, path) VALUES(?, ?, ?)", rows)
            record.execute("COMMIT")
            rows = []
    record.close()
    return len(edges) - 1


def mailbox_count(source: str) -> int:
    """Take its length, which reads it all, line by line."""
    import mailbox

    return len(mailbox.mbox(source, create=False))


def mailbox_files(source: str, destination: str) -> int:
    """Write each message as it is; parsing them would only make it slower."""
    import mailbox

    box = mailbox.mbox(source, create=False)
    target = Path(destination)
    number = 0
    for number, key in enumerate(box.iterkeys(), 1):
        with (target / f"{number:08d}.eml").open("wb") as file:
            file.write(box.get_bytes(key))
    return number


def gmime_files(source: str, destination: str) -> int:
    """Let GMime parse each message and write it: its C, with three calls a message from here."""
    import ctypes
    from ctypes.util import find_library

    gmime, gobject = (ctypes.CDLL(find_library(name)) for name in ("gmime-3.0", "gobject-2.0"))
    pointer, mbox = ctypes.c_void_p, 1
    for library, name, result, *arguments in (
        (gmime, "g_mime_init", None),
        (gmime, "g_mime_stream_file_open", pointer, ctypes.c_char_p, ctypes.c_char_p, pointer),
        (gmime, "g_mime_parser_new_with_stream", pointer, pointer),
        (gmime, "g_mime_parser_set_format", None, pointer, ctypes.c_int),
        (gmime, "g_mime_parser_set_respect_content_length", None, pointer, ctypes.c_int),
        (gmime, "g_mime_parser_eos", ctypes.c_int, pointer),
        (gmime, "g_mime_parser_construct_message", pointer, pointer, pointer),
        (gmime, "g_mime_object_write_to_stream", ctypes.c_ssize_t, pointer, pointer, pointer),
        (gmime, "g_mime_stream_close", ctypes.c_int, pointer),
        (gobject, "g_object_unref", None, pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    gmime.g_mime_init()
    parser = gmime.g_mime_parser_new_with_stream(gmime.g_mime_stream_file_open(source.encode(), b"rb", None))
    gmime.g_mime_parser_set_format(parser, mbox)
    gmime.g_mime_parser_set_respect_content_length(parser, False)
    number = 0
    while not gmime.g_mime_parser_eos(parser):
        message = gmime.g_mime_parser_construct_message(parser, None)
        if not message:
            break
        number += 1
        file = gmime.g_mime_stream_file_open(f"{destination}/{number:08d}.eml".encode(), b"wb", None)
        if not file or gmime.g_mime_object_write_to_stream(message, None, file) < 0:
            sys.exit(f"message {number} cannot be written")
        gmime.g_mime_stream_close(file)
        gobject.g_object_unref(file)
        gobject.g_object_unref(message)
    return number


_JOBS: dict[str, Callable[..., int]] = {
    "unmbox-count": unmbox_count,
    "unmbox-read": unmbox_read,
    "unmbox-bare": unmbox_bare,
    "floor": floor,
    "mailbox-count": mailbox_count,
    "mailbox-files": mailbox_files,
    "gmime-files": gmime_files,
}

if __name__ == "__main__":
    job, *places = sys.argv[1:]
    print(_JOBS[job](*places))
