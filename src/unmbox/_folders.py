"""What Gmail's labels mean: a system folder, a state, or a folder of the user's own.

The table is data (``system_labels.json``): Gmail writes its own labels in the language of the account, and
nobody has published the list. What is not in it is a label of the user's. Several languages in one table
mean that somebody's own label may be another language's system label; a table of one's own settles that.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

from unmbox.errors import UsageError
from unmbox.naming import folder_path

TABLE = Path(__file__).with_name("system_labels.json")
ROLES = ("trash", "spam", "draft", "user", "inbox", "sent", "archive")
"""The kinds of folders, in their order: a message goes into the first that its labels name. What was deleted,
judged spam or never sent must not turn up among the mail; a label of the user's says more than Inbox."""
FOLDERS = {
    "trash": "Trash",
    "spam": "Spam",
    "draft": "Drafts",
    "user": "",
    "inbox": "Inbox",
    "sent": "Sent",
    "archive": "Archive",
}
"""The folders' names where a profile gives no others; user labels stand at the top."""
MODES = ("primary", "link", "none")
_ALONE = ("trash", "spam", "draft")  # a link beside these would bring a message back to life

_STATES = {
    "opened": ("read", True),
    "unread": ("read", False),
    "starred": ("flagged", True),
    "important": ("important", True),
    "draft": ("draft", True),
    "chat": ("chat", True),
    "snoozed": ("snoozed", True),
    "muted": ("muted", True),
}
_IMAP_STATES = {"forwarded": ("forwarded", True), "answered": ("answered", True)}
_QUOTES = "\"'“”„‟«»‹›「」『』"
_PREFIXES = ("[gmail]/", "[google mail]/")


class Meaning(NamedTuple):
    """What a label stands for: a `role` of a folder, or "" for a state; and its `name`, for a user's own."""

    role: str
    name: str
    states: tuple[tuple[str, bool | str], ...] = ()


class LabelTable:
    """The meanings of labels. `names` has the form of ``system_labels.json``."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = {_key(name): meaning for meaning, name in _each(names.get("labels", {}))}
        words = "|".join(map(re.escape, sorted(_flat(names.get("category", {})), key=len, reverse=True)))
        self._category = re.compile(
            rf"(?:{words})(\s*[:：]\s*|\s+|(?=[{_QUOTES}]))(\S.*)", re.IGNORECASE
        ).fullmatch
        self._categories = {_key(name): kind for kind, name in _each(names.get("categories", {}))}
        self._of = lru_cache(maxsize=4096)(self._find)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> LabelTable:
        """The table that comes with unmbox, over it the one of a JSON file: its languages replace ours.

        Raises `UsageError` where the file cannot be read or has another form.
        """
        if path is None:
            return _ours()
        try:
            own = json.loads(Path(path).read_bytes())
            merged = _merged(json.loads(TABLE.read_bytes()), own)
            return cls(merged)
        except OSError as error:
            raise UsageError(f"the labels {os.fspath(path)} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(
                f"the labels {os.fspath(path)} have another form than "
                f'{{"labels": {{"inbox": {{"xx": ["name"]}}}}}}: {error}'
            ) from error

    def meaning(self, label: str) -> Meaning:
        """What a label stands for."""
        return self._of(label)

    def states(self, labels: Iterable[str]) -> dict[str, bool | str]:
        """What labels say of a message's state. Unread outdoes Opened, the first category the others."""
        state: dict[str, bool | str] = {}
        for label in labels:
            for name, value in self._of(label).states:
                if name == "read":
                    state[name] = value is True and state.get(name, True)
                else:
                    state.setdefault(name, value)
        return state

    def _find(self, label: str) -> Meaning:
        key = _key(label)
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
        kind = self._names.get(key)
        if kind is not None:
            states = (_STATES[kind],) if kind in _STATES else ()
            return Meaning(kind if kind in FOLDERS else "", kind, states)
        if key.startswith("imap_"):
            state = _IMAP_STATES.get(key[5:].lstrip("$\\"))
            return Meaning("", label, (state,) if state else ())
        category = self._category_of(label)
        if category:
            return Meaning("", "category", (("category", category),))
        return Meaning("user", label)

    def _category_of(self, label: str) -> str:
        """The category that a label such as ``Category Forums`` or ``Kategori: Reklame`` names."""
        found = self._category(normalize("NFC", label).strip())
        if not found:
            return ""
        between, rest = found[1], found[2].strip(_QUOTES)  # as in German: Kategorie: "Neuigkeiten"
        # Users rarely write a colon there: what follows is a category in words that are not known yet.
        return self._categories.get(_key(rest)) or (rest if between.strip() else "")


class Folders:
    """The folders of messages by their labels. `names` are those of a profile, null for none."""

    def __init__(self, table: LabelTable, names: Mapping[str, str | None]) -> None:
        self._table = table
        self._folders = {
            role: name if name is None else folder_path(name) for role, name in {**FOLDERS, **names}.items()
        }
        self.of = lru_cache(maxsize=4096)(self._of)
        """The folders for a tuple of labels, each once, the primary first; "" is the destination itself."""

    def _of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        found: dict[str, list[str]] = {role: [] for role in ROLES}
        own: list[tuple[int, str]] = []
        for label in labels:
            meaning = self._table.meaning(label)
            if meaning.role == "user":
                own.append((-label.count("/"), label))
            elif meaning.role:
                found[meaning.role] = [self._folders[meaning.role] or ""]
        top = self._folders["user"]
        if top is not None:
            # The most deeply nested label says most; of several, the first.
            own.sort(key=lambda each: each[0])
            found["user"] = [folder_path(f"{top}/{name}" if top else name) for name in map(_named, own)]
        for role in ROLES:
            if self._folders[role] is None:
                found[role] = []
        for role in _ALONE:
            if found[role]:
                return tuple(found[role])
        ordered = [folder for role in ROLES for folder in found[role]]
        return tuple(dict.fromkeys(ordered)) or (self._folders["archive"] or "",)


def _named(own: tuple[int, str]) -> str:
    """A label as a folder can be called: one of signs alone, such as "?", is a folder of its own, too."""
    label = own[1]
    if folder_path(label):
        return label
    return "_~" + sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:6]


@lru_cache(maxsize=1)
def _ours() -> LabelTable:
    return LabelTable(json.loads(TABLE.read_bytes()))


def _merged(ours: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    if not own.keys() <= {"labels", "categories", "category", "about", "attested"}:
        raise ValueError(f"{next(iter(own.keys() - ours.keys()))!r} is no member")
    for part in ("labels", "categories"):
        for meaning, names in own.get(part, {}).items():
            if meaning not in ours[part]:
                raise ValueError(f"{meaning!r} is none of {', '.join(ours[part])}")
            ours[part][meaning].update(names)
    ours["category"].update(own.get("category", {}))
    return ours


def _flat(names: Mapping[str, Sequence[str]]) -> Iterable[str]:
    for each in names.values():
        if not isinstance(each, list):
            raise TypeError(f"{each!r} is no array of names")
        yield from each


def _each(names: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterable[tuple[str, str]]:
    return ((meaning, name) for meaning, languages in names.items() for name in _flat(languages))


def _key(label: str) -> str:
    """One form for the spellings of a label."""
    return normalize("NFC", label).strip().casefold()
