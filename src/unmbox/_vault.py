"""What Google Vault writes beside its mail: labels and states, in documents of metadata."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

from unmbox._late import late
from unmbox._report import Damage
from unmbox._scratch import scratch
from unmbox.labels import Beside

if TYPE_CHECKING:
    import sqlite3

_VAULT_LABELS = {
    "^INBOX": "Inbox",
    "^SENT": "Sent",
    "^DRAFT": "Drafts",
    "^TRASH": "Trash",
    "^SPAM": "Spam",
    "^STARRED": "Starred",
    "^OPENED": "Opened",
    "^UNREAD": "Unread",
    "^IMPORTANT": "Important",
    "^CHAT": "Chat",
}
"""What Vault calls Gmail's own labels, in the words of an English Takeout."""
_FROM_NAME = late(rb"From (\S+?)(?:@\S*)? ").match
_MESSAGE_ID = late(rb"^Message-ID[ \t]*:\s*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE).search


class VaultMetadata:
    """Labels and states by Vault's ``*-metadata.xml``, which stands beside its mailboxes and archives.

    Each ``Document`` there names its file, which is also the sender in the message's From_ line, and has a
    tag of labels. Read once, into a temporary file.
    """

    def __init__(self, paths: list[Path], note: Callable[[Damage], object]) -> None:
        self._paths = paths
        self._note = note
        self._known: sqlite3.Connection | None = None

    def __call__(self, block: bytes, from_line: bytes) -> Beside | None:
        """What is known of the message with this header block and From_ line."""
        if self._known is None:
            self._known = self._read()
        keys = [found[1] for found in (_FROM_NAME(from_line + b" "), _MESSAGE_ID(block)) if found]
        for key in keys:
            query = "SELECT labels FROM known WHERE key = ?"
            row = self._known.execute(query, (key.decode("utf-8", "replace"),)).fetchone()
            if row is not None:
                return _beside_of(row[0])
        return None

    def _read(self) -> sqlite3.Connection:
        known = scratch("CREATE TABLE known(key TEXT PRIMARY KEY, labels TEXT) WITHOUT ROWID", threads=True)
        finalize(self, known.close)  # messages outlive the run that they came in, and ask again
        for path in self._paths:
            rows = ((key, labels) for keys, labels in _documents(path, self._note) for key in keys)
            known.executemany("INSERT OR IGNORE INTO known VALUES(?, ?)", rows)
        return known


class Vault:
    """The metadata for each mailbox and archive of a folder; only the last folder's is kept."""

    def __init__(self, note: Callable[[Damage], object]) -> None:
        self._note = note
        self._folder: Path | None = None
        self._files: list[Path] = []
        self._known: dict[tuple[Path, ...], VaultMetadata] = {}

    def beside(self, path: Path) -> VaultMetadata | None:
        """What stands beside a file and begins with its export's name; None where nothing does."""
        ending = "-metadata.xml"
        if path.parent != self._folder:
            self._folder, self._files, self._known = path.parent, [], {}
            with suppress(OSError), os.scandir(path.parent) as entries:
                names = sorted(each.name for each in entries if each.name.endswith(ending))
                self._files = [path.parent / name for name in names]
        mine = tuple(each for each in self._files if path.name.startswith(each.name.removesuffix(ending)))
        if mine and mine not in self._known:
            self._known[mine] = VaultMetadata(list(mine), self._note)
        return self._known.get(mine)


def _beside_of(labels: str) -> Beside:
    names = [name.strip() for name in labels.split(",")]
    state = {"deleted": True} if "^DELETED" in names else {}
    known = (_VAULT_LABELS.get(name.upper(), name) for name in names if name)
    return Beside(tuple(name for name in dict.fromkeys(known) if not name.startswith("^")), state)


def _documents(path: Path, note: Callable[[Damage], object]) -> Iterator[tuple[list[str], str]]:
    """The documents of a metadata file: the names of each, and its labels. What is no XML is told."""
    from xml.parsers import expat

    found: list[tuple[list[str], str]] = []
    keys: list[str] = []
    labels: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Document":
            keys[:], labels[:] = [attributes.get("DocID", "")], []
        elif name == "ExternalFile":
            keys.append(os.path.basename(attributes.get("FileName", "")))  # noqa: PTH119  # no path of ours
        elif name == "Tag":
            tag, value = attributes.get("TagName", "").lstrip("#").lower(), attributes.get("TagValue", "")
            if tag == "labels":
                labels.append(value)
            elif tag.replace("-", "") in {"messageid", "rfc822messageid"}:
                keys.append(f"<{value.strip('<> ')}>")

    def end(name: str) -> None:
        if name == "Document":
            found.append(([key for key in keys if key], ",".join(labels)))

    def refuse(*_: object) -> None:
        raise ValueError("it declares entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = refuse  # ours has none, and those that grow are an old trick
    if not path.is_file():  # to open a pipe would take for ever
        return
    try:
        with path.open("rb") as file:
            while data := file.read(1 << 16):
                parser.Parse(data, False)
                yield from found
                found.clear()
            parser.Parse(b"", True)
    except (OSError, ValueError, LookupError, expat.ExpatError) as error:
        note(Damage(str(path), None, f"labels may be missing, it cannot be read on: {error}"))
    yield from found
