"""Who is named in a From, To, Cc or Bcc: addresses and names, out of lists that keep no rule of RFC 5322.

Works on what `_decode.decode_addresses` gives: text whose structure still stands. Nothing here raises, and
the time is linear in the text, whatever a hostile sender made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_ADDRESS: Final = 254
"""Octets of an address (RFC 5321 §4.5.3.1.3, less the brackets of its path)."""

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MARK = re.compile(r'["()<,;:]')
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_ANGLE = re.compile(r"([^<>]*)(>*)")
_UNCLOSED = re.compile(r"([^<>,;]*)")
_CUT = re.compile(r"[\s,;<>]")
# RFC 5322 §3.2.3: what may stand in an address without quotes, its dots included; and what may not.
_ATOMS = re.compile(r'[^\s()<>\[\],;:\\"@]+')
_NO_ATOM = re.compile(r'[\s()<>\[\],;:\\"@]')
_LITERAL = re.compile(r"\[[^\[\]\s]{1,100}\]")
_BLANKS = re.compile(r"\s+")


class Mailbox(NamedTuple):
    """One entry of a list: the name (may be empty) and the address as written (empty where there is none)."""

    name: str
    address: str


def split_mailboxes(text: str) -> Iterator[Mailbox]:
    """Cut the decoded value of an address field into its entries, in their order; empty ones are left out.

    RFC 5322 §3.4, obsolete routes, comments as names and groups (whose names are dropped), and what programs
    write instead: ``Family, Given <a@b>`` without quotes, semicolons, missing brackets or quotes.
    """
    held = ""  # a name that a comma has cut off from the rest of it
    for entry, end in _entries(text):
        mailbox = entry.mailbox()
        if held and mailbox.address and entry.angle:
            mailbox = Mailbox(f"{held}, {mailbox.name}" if mailbox.name else held, mailbox.address)
        elif held:
            yield Mailbox(held, "")
        held = ""
        if mailbox.name and not mailbox.address and end == ",":
            held = mailbox.name
        elif mailbox.name or mailbox.address:
            yield mailbox
    if held:
        yield Mailbox(held, "")


def find_address(text: str) -> tuple[int, int] | None:
    """Where in `text` the last address stands, None where there is none."""
    at = text.rfind("@")
    if at < 1:
        return None
    match = (_LITERAL if text.startswith("[", at + 1) else _ATOMS).match(text, at + 1)
    if not match:
        return None
    if text[at - 1] == '"':
        start = text.rfind('"', 0, at - 1)
    else:
        window = text[max(0, at - MAX_ADDRESS) : at]
        start = at - len(_NO_ATOM.split(window)[-1])
    return (start, match.end()) if 0 <= start < at and text[start - 1 : start] != "@" else None


def key_of(address: str) -> str:
    """What two spellings of an address have in common: no server in use tells cases apart."""
    return address.lower()


def normalise(address: str) -> str:
    """The address with its domain in lower case (RFC 4343), its local part as written (RFC 5321 §2.4)."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def tidy(name: str) -> str:
    """A name on one line: blanks single, without what cannot be seen and quotes around the whole."""
    if not name.isprintable():
        name = "".join([each if each.isprintable() else " " for each in name])
    name = _BLANKS.sub(" ", name).strip()
    while len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
        name = name[1:-1].strip()
    return name


class _Entry:
    """One entry under way."""

    __slots__ = ("angle", "comment", "words")

    def __init__(self) -> None:
        self.words: list[str] = []  # as written
        self.angle: str | None = None
        self.comment = ""

    def mailbox(self) -> Mailbox:
        text = "".join(self.words)
        if self.angle is not None:
            found = find_address(self.angle)
            if found:
                return self._named(text, self.angle[slice(*found)])
        found = find_address(text)
        if not found:
            return Mailbox(_unquoted(text) or tidy(self.comment), "")
        start, end = found
        return self._named(f"{text[:start]} {text[end:]}", text[start:end])

    def _named(self, text: str, address: str) -> Mailbox:
        address = normalise(address.rstrip("."))
        if len(address.encode("utf-8", "replace")) > MAX_ADDRESS or address.endswith("@"):
            address = ""
        name = _unquoted(text) or tidy(self.comment)
        return Mailbox("" if key_of(name) == key_of(address) else name, address)


def _unquoted(text: str) -> str:
    return tidy(_QUOTED.sub(lambda match: _ESCAPED.sub(r"\1", match[1]), text))


def _entries(text: str) -> Iterator[tuple[_Entry, str]]:
    """The entries of a list, each with the mark that ended it."""
    entry = _Entry()
    at = 0
    # Once a quote or a comment does not close, no later one of its kind is looked at: each costs the rest.
    closing = {'"': True, "(": True}
    while match := _MARK.search(text, at):
        entry.words.append(text[at : match.start()])
        mark, at = match[0], match.end()
        if mark in closing:
            end = _end_of(text, match.start()) if closing[mark] else -1
            if end < 0:
                closing[mark] = False
                entry.words.append(" ")
                continue
            if mark == "(":
                entry.comment = text[at : end - 1]
            else:
                entry.words.append(text[match.start() : end])
            at = end
        elif mark == "<":
            at, address = _inside(text, at)
            address = address.strip().removeprefix("mailto:")
            if address.startswith("@"):
                address = address.rpartition(":")[2]  # RFC 5322 §4.4: a route
            if "@" in address or entry.angle is None:
                entry.angle = address if address.startswith('"') else _CUT.split(address, maxsplit=1)[0]
        elif mark == ":":
            entry = _Entry()  # what stood before was a group's name
        elif mark in ",;":
            yield entry, mark
            entry = _Entry()
    entry.words.append(text[at:])
    yield entry, ""


def _inside(text: str, start: int) -> tuple[int, str]:
    """What the angle bracket before `start` holds, and where that ends."""
    match = _ANGLE.match(text, start)
    if not match or not match[2]:  # it does not close: the entry ends where entries do
        match = _UNCLOSED.match(text, start)
    return (match.end(), match[1]) if match else (start, "")


def _end_of(text: str, start: int) -> int:
    """Where the quoted string or the comment that begins at `start` ends, -1 where it does not."""
    if text[start] == '"':
        match = _QUOTED.match(text, start)
        return match.end() if match else -1
    depth = 0
    for match in _PARENTHESIS.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return -1
