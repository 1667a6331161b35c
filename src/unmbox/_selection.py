"""Which messages are wanted: by label, by address, by date."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timezone
from typing import NamedTuple
from unicodedata import normalize

from unmbox._addresses import key_of, split_mailboxes
from unmbox._folders import LabelTable
from unmbox._head import MessageHead
from unmbox._late import late
from unmbox.errors import UsageError

When = str | date | datetime
State = Mapping[str, bool | str]
STATES = frozenset({
    "read", "answered", "flagged", "deleted", "draft", "important", "chat", "snoozed", "muted", "forwarded",
    "auto",
})  # fmt: skip
_is_day = late(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_is_instant = late(r"\d{4}-\d\d-\d\d[T ].+", re.ASCII).fullmatch
_FIELDS = {
    "from": ("From", "Sender"),
    "to": ("To", "Cc", "Bcc", "Delivered-To", "X-Original-To"),
}
_FIELDS["address"] = (*_FIELDS["from"], *_FIELDS["to"])


_LEAF = late(r".*[/\\]", re.DOTALL)
# The folder of a message that has a file of its own: an .eml's, or the one around cur or new of a Maildir.
_FOLDER = late(
    r"(?:.*[/\\.])?([^/\\.!]+)[/\\](?:(?:cur|new)[/\\][^/\\]*|[^/\\]*\.emlx?)", re.IGNORECASE | re.DOTALL
).fullmatch


class _Term(NamedTuple):
    """One thing to look for, as it was written and as a question to a message."""

    text: str
    matches: Callable[[MessageHead, Sequence[str], State], bool]
    is_own: bool = True  # a word of the user's, which may be misspelt; not one of those that are known


class Selection:
    """What is wanted of a mailbox.

    `include` and `exclude` are terms: a message is wanted if any of the first and none of the second
    matches (without `include`: none of the second). A term is a label, in its own words or the English
    ones for what Gmail calls its own (``spam``, ``trash``, ``inbox``, ``category promotions``…), which takes
    in the labels nested in it; ``from:`` or ``to:`` with an address or ``@domain`` (To, Cc, Bcc,
    Delivered-To, X-Original-To), ``address:`` for both; ``state:`` with a state as in the manifest, such as
    ``state:deleted`` or ``state:read``; ``label:`` where a label looks like one of these.

    `since` and `until` are the first and the last day wanted. A day is compared with the message's own
    date, in the zone that the message states, as in file names; a `datetime`, or such a text, is an
    instant (UTC if it has no zone). A message without any date is wanted.

    Raises `UsageError` for what is no term and no date.
    """

    def __init__(
        self,
        table: LabelTable,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        since: When | None = None,
        until: When | None = None,
    ) -> None:
        self._table = table
        self._include = [self._term(text) for text in _texts("include", include)]
        self._exclude = [self._term(text) for text in _texts("exclude", exclude)]
        self.since = None if since is None else _when("since", since)
        self.until = None if until is None else _when("until", until)
        self._unmatched = [term for term in self._include + self._exclude if term.is_own]
        first, last = _day(self.since), _day(self.until)
        if first and last and first > last:
            raise UsageError(f"nothing is since {self.since} and until {self.until}: exchange them")

    def __bool__(self) -> bool:
        return bool(self._include or self._exclude or self.since or self.until)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The user's own labels and the addresses that no message had so far: they may be misspelt."""
        return tuple(dict.fromkeys(term.text for term in self._unmatched))

    def unwanted(self, head: MessageHead, labels: Sequence[str], state: State) -> str:
        """Why a message with these labels of its own is not wanted; "" if it is."""
        labels = filing_labels(self._table, head.source, labels, state)
        if self._unmatched:
            self._unmatched = [term for term in self._unmatched if not term.matches(head, labels, state)]
        for term in self._exclude:
            if term.matches(head, labels, state):
                return f"excluded: {term.text}"
        if self._include and not any(term.matches(head, labels, state) for term in self._include):
            return "not included"
        when = head.date
        if when is not None:
            if self.since and _compare(when, self.since) < 0:
                return f"before {self.since}"
            if self.until and _compare(when, self.until) > 0:
                return f"after {self.until}"
        return ""

    def _term(self, text: str) -> _Term:
        kind, colon, rest = text.partition(":")
        kind, rest = kind.strip().lower(), rest.strip()
        if colon and kind in _FIELDS:
            if "@" not in rest:
                raise UsageError(f"{text!r}: write an address or @domain after {kind}:")
            return _Term(text, _address(rest, _FIELDS[kind]))
        if colon and kind == "state":
            if rest.lower() not in STATES:
                raise UsageError(f"{text!r} is no state: choose of {', '.join(sorted(STATES))}")
            return _Term(text, lambda _head, _labels, state: bool(state.get(rest.lower())), is_own=False)
        label = rest if colon and kind == "label" else text.strip()
        if not label:
            raise UsageError(f"{text!r} is no label and no address")
        return self._label(text, label)

    def _label(self, text: str, wanted: str) -> _Term:
        table = self._table
        meaning = table.meaning(wanted)
        if meaning.role != "user":
            name, states = meaning.name, meaning.states

            def is_same(_: MessageHead, labels: Sequence[str], _state: State) -> bool:
                return any(
                    found.role != "user"
                    and found.name == name
                    and (name != "category" or found.states == states)
                    for found in map(table.meaning, labels)
                )

            return _Term(text, is_same, is_own=False)
        key = _folded(wanted)
        below = key + "/"

        def is_in(_: MessageHead, labels: Sequence[str], _state: State) -> bool:
            return any(label == key or label.startswith(below) for label in map(_folded, labels))

        return _Term(text, is_in)


def filing_labels(table: LabelTable, source: str, labels: Sequence[str], state: State) -> tuple[str, ...]:
    """What a message is filed by: its labels; without any, its mailbox's or folder's name if that is Gmail's.

    What its state calls deleted or a draft is in Trash or Drafts, whatever its labels.
    """
    found = tuple(labels)
    if not found:
        name = _origin(source)
        if table.meaning(name).role not in {"", "user"}:
            found = (name,)
    if state.get("deleted") or state.get("draft"):
        found += ("Trash",) if state.get("deleted") else ("Drafts",)
    return found


def _origin(source: str) -> str:
    """What the mailbox, or the folder of a message in a file of its own, is called."""
    if found := _FOLDER(source):
        return "Inbox" if found[1].lower() == "maildir" else found[1]  # the top of a Maildir++
    return _LEAF.sub("", source).partition(".")[0]


def _folded(label: str) -> str:
    """One form for all spellings of a label; macOS gives its kana and accents in two characters."""
    return label.casefold() if label.isascii() else normalize("NFC", label).casefold()


def addresses(head: MessageHead, fields: Iterable[str]) -> Iterable[str]:
    """The addresses in all fields of these names, in one form for all spellings."""
    for field in fields:
        for text in head.get_all(field):
            for mailbox in split_mailboxes(text):
                if mailbox.address:
                    yield key_of(mailbox.address)


def _address(wanted: str, fields: Sequence[str]) -> Callable[[MessageHead, Sequence[str], State], bool]:
    key = key_of(wanted)

    def matches(head: MessageHead, _: Sequence[str], _state: State) -> bool:
        found = addresses(head, fields)
        return any(each.endswith(key) for each in found) if key[0] == "@" else key in found

    return matches


def _texts(name: str, given: Iterable[str]) -> list[str]:
    texts = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{name} takes texts: labels or addresses")
    for text in texts:
        check_utf8(text)
    return texts


def check_utf8(text: str) -> None:
    """See that the manifest can hold a text, which a shell may have made of any octets."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} is no UTF-8: write it in letters") from None


def _when(name: str, given: When) -> date | datetime:
    if isinstance(given, (date, datetime)):
        return _zoned(given)
    try:
        text = given.strip()
        if _is_day(text):
            return date.fromisoformat(text)
        if _is_instant(text):
            return _zoned(datetime.fromisoformat(text.replace("Z", "+00:00")))  # Python 3.10 knows no "Z"
    except (ValueError, AttributeError):
        pass
    raise UsageError(f"{name} {given!r} is no date: write it as 2019-12-31")


def _zoned(given: date | datetime) -> date | datetime:
    if isinstance(given, datetime) and given.tzinfo is None:
        return given.replace(tzinfo=timezone.utc)
    return given


def recorded(when: date | datetime) -> str:
    """A limit as text, which is the same for the same instant."""
    return str(when.astimezone(timezone.utc) if isinstance(when, datetime) else when)


def _day(when: date | datetime | None) -> date | None:
    return when.date() if isinstance(when, datetime) else when


def _compare(when: datetime, limit: date | datetime) -> int:
    if isinstance(limit, datetime):
        instant = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        return (instant > limit) - (instant < limit)
    return (when.date() > limit) - (when.date() < limit)
