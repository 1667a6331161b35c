"""The files of a folder, in an order that no machine changes, and what a mail store's layout says of them.

A Maildir is known by its `cur` and its `new` or `tmp`; Thunderbird's profiles (mailboxes without a suffix,
and folders ``.sbd`` beside them) and Apple's ``.mbox`` packages need nothing but the search.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from pathlib import Path

from unmbox._fromline import begins_header
from unmbox._packed import Packed, format_of
from unmbox._report import Damage
from unmbox._scratch import scratch
from unmbox.errors import SourceError, UsageError
from unmbox.labels import Beside
from unmbox.sources import CHUNK, Identity, Part, Source, uri_of

_FEW = 2_000
"""Names that are sorted in memory; beyond, in a temporary file."""
_FIRST = 1 << 14
"""Octets of a file that tell whether it is a message."""
_FLAGS = {"D": "draft", "F": "flagged", "P": "forwarded", "R": "answered", "S": "read", "T": "deleted"}
_SKIPPED = {"tmp"}
# The last three stand for a colon on Windows, as 7-Zip, Samba and Cygwin write one.
_MARKS = ":;!_\uf022\uf03a"
_INFO = re.compile(rf"[{_MARKS}]2,[A-Za-z]*$")
# A message of a Maildir, as tools that pack up an account have it: 1234567890.M1P2.host,S=3:2,S
_IN_MAILDIR = re.compile(r"(?:.*[/\\])?(?:cur|new)[/\\](\d{9,}[._])?[^/\\]+", re.DOTALL).fullmatch
# A number, of MH, or with the dot of Cyrus. Or an EML that got a second end where Windows hid the first.
_OF_MESSAGE = re.compile(
    r"(?:.*[/\\])?(?:\d{1,10}\.?|[^/\\]+\.eml\.txt)", re.DOTALL | re.IGNORECASE
).fullmatch


def search(
    folder: Path,
    passed: Callable[[str], bool],
    note: Callable[[Damage], object],
    *,
    in_maildir: bool = False,
) -> Iterator[tuple[Source, bool]]:
    """The regular files below a folder, and whether each is a message for certain (of a Maildir).

    Links are not followed, so loops are none of ours. `passed` says of a path or the name of a folder's
    file that it is to be passed over. What cannot be read is told with `note`.
    """
    try:
        names = _sorted_names(folder)
    except OSError as error:
        note(Damage(str(folder), None, f"the folder cannot be read: {error.strerror}"))
        return
    with closing(names):
        maildir = _is_maildir(folder, inside=in_maildir)
        for name in names:
            path = folder / name
            try:
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode):
                    if maildir and name in {"cur", "new"}:
                        yield from _messages(path, note)
                    elif not (maildir and name in _SKIPPED) and not passed(uri_of(path)):
                        yield from search(path, passed, note, in_maildir=maildir)
                elif stat.S_ISREG(mode) and not passed(uri_of(path)):
                    yield Source(path), False
            except (OSError, SourceError) as error:
                note(Damage(str(path), None, f"it cannot be read: {error.strerror}"))


def is_in_maildir(name: str, peek: Callable[[int], bytes]) -> bool:
    """Whether a file of an archive is a message in a Maildir: by its flags, or else its first octets too."""
    found = _IN_MAILDIR(name)
    return found is not None and (
        _INFO.search(name) is not None or (bool(found[1]) and begins_header(peek(_FIRST)))
    )


def is_message(name: str, peek: Callable[[int], bytes]) -> bool:
    """Whether a file is a message that is not called one: by a number, as of MH, Sylpheed and Claws Mail.

    Or ``NAME.eml.txt``. Its first octets have to be a header block.
    """
    return _OF_MESSAGE(name) is not None and begins_header(peek(_FIRST))


def _is_maildir(folder: Path, *, inside: bool) -> bool:
    """Whether it is a Maildir. A copy may have left empty folders out: then, what the others hold tells."""
    there = {name for name in ("cur", "new", "tmp") if (folder / name).is_dir()}
    if "cur" in there and (inside or len(there) > 1):
        return True
    if inside and "new" in there:
        return True
    return any(_holds_messages(folder / name) for name in ("cur", "new") if name in there)


def _holds_messages(folder: Path) -> bool:
    """Whether a Maildir's `cur` or `new`, to go by the files in it, is one."""
    with suppress(OSError), os.scandir(folder) as entries:
        return any(
            entry.is_file(follow_symlinks=False)
            and not entry.name.lower().endswith(".eml")  # which is mail by itself, wherever it stands
            and is_in_maildir(f"{folder.name}/{entry.name}", partial(_peeked, entry.path))
            for entry in entries
        )
    return False


def _peeked(path: str, size: int) -> bytes:
    try:
        return within(Source(path), size)
    except SourceError:  # what is known of the others is enough
        return b""


def within(source: Source, size: int) -> bytes:
    """The first octets of a file, or of what it unpacks to."""
    head = source.read(0, size)
    if form := format_of(head):
        with suppress(UsageError):  # what is missing to unpack it is not missed by mail
            return Packed(source, form).read(0, size)
    return head


def _messages(folder: Path, note: Callable[[Damage], object]) -> Iterator[tuple[Source, bool]]:
    """The messages in a Maildir's `cur` or `new`."""
    try:
        names = _sorted_names(folder)
    except OSError as error:
        note(Damage(str(folder), None, f"the folder cannot be read: {error.strerror}"))
        return
    with closing(names):
        for name in names:
            path = folder / name
            try:
                if name.startswith(".") or not stat.S_ISREG(path.lstat().st_mode):
                    continue
                source = Source(path)
                if form := format_of(source.read(0, 16)):  # Dovecot can compress what it stores
                    source = Packed(source, form)
            except (OSError, SourceError) as error:
                note(Damage(str(path), None, f"it cannot be read: {error.strerror}"))
                continue
            source.single, source.group = True, str(folder.parent)
            source.beside = Flags(name)
            yield source, True


class Flags:
    """What a name in a Maildir says: ``:2,`` and letters (``;`` or ``!`` where no colon can be)."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, block: bytes, from_line: bytes) -> Beside:
        _, _, flags = self._name.rpartition("2,")
        info = self._name[: len(self._name) - len(flags)].endswith(tuple(f"{mark}2," for mark in _MARKS))
        state = {key: True for letter, key in _FLAGS.items() if info and letter in flags}
        return Beside(state={"read": False, **state})


class Emlx(Part):
    """Apple Mail's file of one message: a line with the number of octets, these, and a property list."""

    def __init__(self, outer: Source) -> None:
        super().__init__(outer, "", "emlx")
        self.single, self.group = True, outer.group
        line = outer.read(0, 32).partition(b"\n")[0]
        number = line.strip()
        known = number.isdigit() and len(number) < 20
        self._start = len(line) + 1 if known else 0
        self._end = self._start + int(number) if known else outer.size or 0
        self.size = self._end - self._start

    def identity(self) -> Identity:
        """That of the file."""
        return Identity(digest=self.outer.identity().digest)

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """The message's octets."""
        size = self.size or 0
        end = size if stop is None else min(stop, size)
        there = (self.outer.size or 0) - self._start
        if start < min(end, there):
            yield from self.outer.chunks(self._start + start, self._start + min(end, there))
        if end == size and there > size and not _is_list(self.outer.read(self._end, self._end + 64)):
            self.damaged(size, f"more of it stands behind the {size} octets that its first line tells of")
        if end == size and self.outer.name.lower().endswith(".partial.emlx"):
            self.damaged(size, "its attachments stand in files of their own, which are not read here")
        if end > there:
            self.damaged(max(0, there), f"the file ends in the middle of its message ({size} octets)")


def _is_list(octets: bytes) -> bool:
    """Whether these octets begin a property list, as stands behind a message of Apple Mail's."""
    return octets.lstrip().startswith((b"<?xml", b"<!DOCTYPE", b"<plist", b"bplist"))


def _sorted_names(folder: Path) -> Generator[str, None, None]:
    """The names in a folder, sorted by their octets; OSError is raised at once."""
    names = (entry.name for entry in os.scandir(folder))
    first = list(islice(names, _FEW))
    return _in_order(first, names)


def _in_order(first: list[str], more: Iterator[str]) -> Generator[str, None, None]:
    if len(first) < _FEW:
        yield from sorted(first, key=os.fsencode)
        return
    with closing(scratch("CREATE TABLE name(name BLOB PRIMARY KEY) WITHOUT ROWID")) as names:
        for several in (first, more):
            octets = ((os.fsencode(name),) for name in several)
            names.executemany("INSERT OR IGNORE INTO name VALUES(?)", octets)
        first.clear()
        for (name,) in names.execute("SELECT name FROM name ORDER BY name"):
            yield os.fsdecode(name)
