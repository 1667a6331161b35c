"""What a caller gives as "sources", one mailbox or message after the other, whatever it comes in."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

from unmbox import _log
from unmbox._destination import is_written
from unmbox._entry_names import parts_of
from unmbox._flow import Flow, Rest
from unmbox._fromline import decide
from unmbox._packed import FORMATS, Packed, format_of
from unmbox._remote import Remote, is_url
from unmbox._report import MAX_DAMAGED, Damage
from unmbox._search import Emlx, Flags, is_in_maildir, is_message, search, within
from unmbox._takeout import Absent, Takeout, absent, in_order
from unmbox._tar import TarEntry, is_tar, tar_entries
from unmbox._vault import Vault
from unmbox._zip import ZipEntry, zip_entries
from unmbox.errors import SourceError, UsageError
from unmbox.sources import Source, SourceLike, SourcesLike, as_list, uri_of

_HEAD = 1 << 10
"""First octets that tell what a source is; tar's magic stands at 257."""
_MOST_AMISS = 100
_DEEP = 6  # archives, and what they are packed in, in one another: those that hold themselves have no end
_SINGLE = (".eml", ".emlx")
_MAILBOXES = (".mbox", ".mbx")
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_SEVERAL = (".zip", ".zip.001", ".tgz", ".tbz", ".tbz2", ".txz", ".tar")
_ARCHIVES = (*_SEVERAL, *_PACKED)
_ELSEWHERE = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
    (b"PK\7\x08PK", "one volume of a ZIP that was split", "join them (zip -s 0 NAME.zip --out whole.zip)"),
    (b"!BDN", "a mailbox of Outlook (.pst, .ost)", "turn it into mbox (readpst -r)"),
    (b"\xd0\xcf\x11\xe0", "a message of Outlook (.msg), or a document", "save it as .eml"),
    (b"\xcf\xad\x12\xfe", "a mailbox of Outlook Express (.dbx)", "turn it into mbox"),
    (b"\x04\x22\x4d\x18", "packed with LZ4", "unpack it"),
    (b"\x1f\x9d", "packed with compress (.Z)", "unpack it"),
)
"""What is not read here, by its first octets, and what to do with it."""
_NOT_READ = (".pst", ".ost", ".msg", ".dbx", ".7z", ".7z.001", ".rar", ".z01")
"""What is told of where a search meets it, if its octets say that it is what it is called."""
_APPLE_DOUBLE = b"\0\5\x16\7"
_NO_MAIL = (".patch", ".diff", ".msf", ".emlxpart", ".sqlite")
"""Of files met in a search: patches begin with a From_ line."""

_Note = Callable[[Damage], object]


class Opened:
    """The sources in what was given, each once, in an order that does not depend on the machine.

    Iterating opens one after the other, so none is held longer than it is read; each must be read before the
    next is asked for. What is no source is told once the iteration has passed it: `damaged` what could not
    be read of an archive or a folder (`amiss` the same by the names that were given), `absent` the parts of
    an export that are not there, `empty` the names of archives and folders without any mail. `one` says that
    a list is no list of sources. In a search, what unmbox has written is passed over, and the `destination`.
    """

    destination = ""

    def __init__(self, given: SourcesLike, *, one: bool = False) -> None:
        self.damaged: list[Damage] = []
        self.amiss: dict[str, list[str]] = {}
        self._noted: list[str] = []  # of what is being read
        self.empty: list[str] = []
        self.absent: list[Absent] = []
        self._parts: dict[str, Takeout] = {}
        self._vault = Vault(self._note)
        known: dict[str, Source | Path] = {}
        streams = 0
        several = [cast("SourceLike", given)] if one else as_list(given)
        for each in _parts_in_order(several):
            if each == "":  # to pathlib it would be the folder that one is in
                raise UsageError("a source's name is empty, perhaps a variable that is not set: name a file")
            if isinstance(each, (str, os.PathLike)) and not is_url(each) and os.path.isdir(each):  # noqa: PTH112
                known.setdefault(uri_of(each), Path(each))
                continue
            source = Remote(each) if is_url(each) else Source(each)  # type: ignore[arg-type]
            if not source.lasting:
                streams += 1
                source.uri = f"stream:{streams}"
            elif source.uri not in known:
                source.read(0, 1)  # one that cannot be read is told before anything is written
            known.setdefault(source.uri, source)
        if not known:
            raise UsageError("no source: name at least one mailbox")
        self._given = known

    def asked(self) -> list[tuple[str, int | None]]:
        """What was given, by the names that those of its sources begin with, and their octets."""
        return [(uri, getattr(given, "size", None)) for uri, given in self._given.items()]

    def paths(self) -> list[Path]:
        """The files and folders that were named."""
        places = (each if isinstance(each, Path) else each.path for each in self._given.values())
        return [path for path in places if path]

    @property
    def missing(self) -> list[str]:
        """Sentences on the parts of an export that are not there."""
        return [each.sentence for each in self.absent]

    def __iter__(self) -> Iterator[Source]:
        any_found, name = False, ""
        for uri, given in self._given.items():
            found = False
            self._noted = []
            for source in self._sources(given, self._note, listing=False):
                if source is not None:
                    found = any_found = True
                    yield source
            name = str(given) if isinstance(given, Path) else given.name
            if self._noted:
                self.amiss[uri] = self._noted
            # Of an export in parts, some hold no mail: photographs, say.
            if not (found or self._noted or Takeout.of(name)):
                self.empty.append(name)
        self.absent += absent(self._parts.values())
        if not any_found:
            why = f"nothing could be read: {self.damaged[0]}" if self.damaged else f"{name} holds no mail"
            raise SourceError(errno.EIO, why)

    def size(self) -> int | None:
        """The octets to come; None where that cannot be told without reading through."""
        total = 0
        for source in self.listed():
            if source is None or source.size is None:
                return None
            total += source.size
        return total

    def listed(self) -> Iterator[Source | None]:
        """The sources that can be told without reading through; None for what can not."""
        for given in self._given.values():
            yield from self._sources(given, lambda _: None, listing=True)

    def _note(self, damage: Damage) -> None:
        _log.warning("damaged: %s", damage)
        if len(self.damaged) < MAX_DAMAGED:
            self.damaged.append(damage)
        if len(self._noted) < _MOST_AMISS:
            self._noted.append(str(damage))

    def _sources(self, given: Source | Path, note: _Note, *, listing: bool) -> Iterator[Source | None]:
        if isinstance(given, Source):
            yield from self._taken_apart(given, note, listing=listing)
            return
        root, real = uri_of(given), uri_of(os.path.realpath(given))
        for source, certain in search(given, lambda uri: self._is_passed(uri, root, real), note):
            path = Path(source.name)
            if certain:
                yield source
                continue
            try:
                if _may_be_mail(path.name, partial(within, source), top=True):
                    source.group = str(path.parent)
                    source.single = is_message(path.name, partial(within, source))
                    yield from self._taken_apart(source, note, listing=listing)
                else:
                    _tell_of_unread(source, path.name, partial(source.read, 0), note)
            except SourceError as error:
                why = getattr(error.__cause__, "strerror", None) or error.strerror
                note(Damage(source.name, error.offset, f"it cannot be read: {why}"))

    def _is_passed(self, uri: str, root: str, real: str) -> bool:
        """Whether a search leaves a path to others: to a source of its own, or to a destination.

        It follows no links, but its `root`, which is `real` in truth, may be one.
        """
        beyond = uri[len(root) :]
        return bool(beyond) and (uri in self._given or is_written(uri, real + beyond, self.destination))

    def _taken_apart(self, source: Source, note: _Note, *, listing: bool) -> Iterator[Source | None]:
        if part := Takeout.of(source.called):
            self._parts[source.uri] = part
        path = source.path
        vault = self._vault.beside(path) if path and path.suffix.lower() not in _SINGLE else None
        for each in _expand(source, note, listing=listing):
            if each is not None and vault and each.beside is None:
                each.beside = vault
            yield each


def _parts_in_order(given: list[SourceLike]) -> list[SourceLike]:
    paths = [os.fspath(each) for each in given if isinstance(each, (str, os.PathLike))]
    if len(paths) < len(given) or not all(isinstance(each, str) for each in paths):
        return given
    return list(in_order(paths))


def _expand(source: Source, note: _Note, *, listing: bool, depth: int = 0) -> Iterator[Source | None]:
    """The mailboxes and messages in a source: itself, or what an archive holds or a file unpacks to."""
    called = "" if isinstance(source, Packed) else source.called.lower()
    given = source
    if not source.lasting:
        if listing:
            yield None
            return
        flow = Flow(source)
        head = flow.peek(_HEAD)
        source = Rest(source, flow)
    elif source.called.lower().endswith(".eml"):
        source.single = True
        yield source
        return
    else:
        # An entry that stands in a flow is read once.
        head = source.peek(_HEAD) if isinstance(source, (ZipEntry, TarEntry)) else source.read(0, _HEAD)
    form = format_of(head)
    if not head and given.damage:  # as of an encrypted entry
        note(given.damage)
    elif why := _no_source(called, head):
        note(Damage(source.name, None, why))
    elif form and depth < _DEEP:
        yield from _unpacked(Packed(source, form), source.called, note, listing=listing, depth=depth + 1)
    elif _is_zip(called, head) and depth < _DEEP:
        if listing and not source.seekable:
            yield None
            return
        for entry in zip_entries(source, note):
            yield from _entry(entry, note, listing=listing, depth=depth + 1)
    elif is_tar(head) and depth < _DEEP:
        if listing and not source.seekable:
            yield None
            return
        for each in tar_entries(source, note):
            yield from _entry(each, note, listing=listing, depth=depth + 1)
    elif source.called.lower().endswith(".emlx") and source.lasting:
        yield Emlx(source)
    else:
        name = source.called
        source.single = source.single or name.lower().endswith(".eml") or is_message(name, lambda _: head)
        yield source


def _no_source(name: str, head: bytes) -> str:
    """Why octets that begin so are no source, and what to do; "" if they may be one."""
    for magic, what, remedy in _ELSEWHERE:
        if head.startswith(magic):
            return f"it is {what}, which is not read here: {remedy} and give what comes out"
    if not name.endswith(_ARCHIVES) or _is_mbox(head):
        return ""
    again = "download it again"
    if not head:
        return f"it is empty, and called an archive: {again}"
    if head.lstrip()[:5].lower() in {b"<!doc", b"<html"}:
        return f"it is a web page, not the archive that it is called: sign in and {again}"
    if format_of(head) or is_tar(head) or _is_zip(name, head):
        return ""
    return f"it is none of the archives that are read here, though it is called one: {again}"


def _is_zip(name: str, head: bytes) -> bool:
    """Whether it is a ZIP, maybe a damaged one: then its name tells, and its end has the directory."""
    return head.startswith((b"PK\3\4", b"PK\5\6", b"PK00PK\3\4")) or (
        name.endswith(".zip") and not _is_mbox(head)
    )


def _unpacked(
    packed: Packed, name: str, note: _Note, *, listing: bool, depth: int
) -> Iterator[Source | None]:
    """What a compressed file holds: one mailbox or message, or an archive."""
    stem, _, suffix = name.lower().rpartition(".")
    if listing and (suffix in {"tgz", "tbz", "tbz2", "txz"} or stem.endswith(".tar")):
        yield None
        return
    for source in _expand(packed, note, listing=listing, depth=depth):
        if source is packed or isinstance(source, Rest):
            source.single = packed.single or stem.endswith(".eml")
        yield source


def _entry(entry: ZipEntry | TarEntry, note: _Note, *, listing: bool, depth: int) -> Iterator[Source | None]:
    """What an archive's file holds, if it is mail."""
    name = entry.called
    look = partial(_peeked, entry)
    if not _may_be_mail(name, look, top=False):
        # Thunderbird's mailboxes have no suffix: of what cannot be unpacked, only its name could tell.
        if entry.damage and "." not in parts_of(name)[-1]:
            note(entry.damage)
        elif "takeout" not in parts_of(name.lower()):
            _tell_of_unread(entry, name, look, note)
        return
    entry.group = entry.outer.name
    lower = name.lower()
    if is_in_maildir(name, look):
        yield _of_maildir(entry)
    elif lower.endswith((*_PACKED, *_SEVERAL)):
        yield from _expand(entry, note, listing=listing, depth=depth)
    elif lower.endswith(".emlx") and entry.lasting:
        yield Emlx(entry)
    else:
        entry.single = lower.endswith(".eml") or is_message(name, look)
        if format_of(entry.peek(16)):
            yield from _expand(entry, note, listing=listing, depth=depth)
        else:
            yield entry


def _tell_of_unread(source: Source, name: str, peek: Callable[[int], bytes], note: _Note) -> None:
    if name.lower().endswith(_NOT_READ) and (is_no := _no_source("", peek(16))):
        note(Damage(source.name, None, is_no))


def _of_maildir(entry: ZipEntry | TarEntry) -> Source:
    """The message in an archive of Maildirs; Dovecot can compress what it stores."""
    form = format_of(entry.peek(16))
    source = Packed(entry, form) if form else entry
    source.single, source.beside = True, Flags(entry.called)
    return source


def _may_be_mail(name: str, peek: Callable[[int], bytes], *, top: bool) -> bool:
    """Whether a file that was met, not named, is worth a look: by its name, or else its first octets.

    Archives are, too, at the `top`, in a folder that was named, and in another archive; but not what stands
    beside the mail in an export of Google's, where a Drive may be full of them.
    """
    *folders, base = parts_of(name.lower())
    # ._name: what macOS cannot store elsewhere. Other dots hide nothing: ".NET.eml" is called by its subject.
    if "__macosx" in folders or (base.startswith("._") and peek(_HEAD)[:4] in {b"", _APPLE_DOUBLE}):
        return False
    if base.endswith((*_MAILBOXES, *_SINGLE)) or (not top and is_in_maildir(name, peek)):
        return True
    stem = base.removesuffix(next((suffix for suffix in _PACKED if base.endswith(suffix)), "\0"))
    if stem != base and stem.endswith((*_MAILBOXES, ".eml")):
        return True
    if base.endswith(_SEVERAL) or stem.endswith(".tar"):
        return top or Takeout.of(base) is not None or "takeout" not in folders
    return is_message(base, peek) or (not base.endswith(_NO_MAIL) and _is_mbox(peek(_HEAD)))


def _peeked(entry: ZipEntry | TarEntry, size: int) -> bytes:
    """The same of an archive's entry, as far as a few of its octets unpack."""
    head = entry.peek(size)
    if form := format_of(head):
        with suppress(Exception):  # each library has errors of its own
            return FORMATS[form][1]().decompress(head, size)
    return head


def _is_mbox(head: bytes) -> bool:
    """Whether octets begin with a From_ line that separates."""
    at_eof = len(head) < _HEAD
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if b"\n" not in head:  # of a Macintosh before 2001
        head = head.replace(b"\r", b"\n")
    line_end = head.find(b"\n")
    if not head.startswith(b"From ") or line_end < 0:
        return False
    verdict = decide(head, 0, line_end, blank_before=True, alone=True, at_eof=at_eof)
    return verdict is None or verdict[0]
