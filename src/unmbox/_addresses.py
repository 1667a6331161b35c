"""Who is named in a From, To, Cc or Bcc: addresses and names, out of lists that keep no rule of RFC 5322.

Works on what `_decode.decode_addresses` gives: text whose structure still stands. Nothing here raises, and
the time is linear in the text, whatever a hostile sender made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from unmbox._late import late

MAX_ADDRESS: Final = 254
"""Octets of an address (RFC 5321 §4.5.3.1.3, less the brackets of its path)."""

_QUOTED = late(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = late(r"\\(.)", re.DOTALL)
_LITERAL = late(r"\[[^\[\]@<>\s]{1,100}\]")
# A domain in brackets holds colons (RFC 5322 §3.4.1).
_MARK = late(rf'@{_LITERAL.pattern}|\b(?i:mailto):|["()<,;:]')
_PARENTHESIS = late(r"\\.|[()]", re.DOTALL)
_ANGLE = late(r"([^<>]*)(>*)")
_UNCLOSED = late(r"([^<>,;]*)")
_CUT = late(r"[\s,;<>]+")
# RFC 5322 §3.2.3: what may stand in an address without quotes, its dots included; and what may not.
_ATOMS = late(r'[^\s()<>\[\],;:\\"@]+')
_NO_ATOM = late(r'[\s()<>\[\],;:\\"@]')
_PLAIN = late(rf"{_ATOMS.pattern}@{_ATOMS.pattern}")
_BLANKS = late(r"\s+")
# RFC 5322 §4.4: blanks and folds around at-sign and dots; but outside of brackets "Dr. a@b" has a name.
_SPACED = late(r"(?<!\s)\s*([@.])\s*")
_SPACED_OUT = late(r"(?<!\s)(?:\s*(@)|\s+(\.))\s*")
_HTML = late(r"&lt;\s{0,9}([^\s&;<>]{1,254}@[^\s&;<>]{1,254})\s{0,9}&gt;?")
# What is left around an address that has been taken out of a text, or before a name where no comma is.
_OPENING: Final = " \t\u3000<[{(,;"
_CLOSING: Final = " \t\u3000>]}),;、，；"
_LINK = late(r"\A(?:[&/+|\s]|and(?!\S))+")
# An address in the full width of East Asian letters: quoted strings, escapes and comments are let alone; then
# come what stands in brackets, and what stands alone, where neither is a name before brackets of ASCII.
_COMMENT = r"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)"
# On both sides of what is quoted or a comment; a mark that nothing closes is text.
_IN_NAME = (
    r'[^,;<"(]{0,300}(?:(?:"(?:[^"\\]{0,200}"|(?![^"\\]{0,200}"))'
    r'|\((?:[^()\\]{0,200}\)|(?![^()\\]{0,200}\))))[^,;<"(]{0,300}){0,4}<'
)
_WIDE = (
    rf'\\.|"(?:[^"\\]|\\.)*"|{_COMMENT}'
    rf'|(?:<|＜(?![^<>＞"(),;]{{0,340}}[>＞]{_IN_NAME}))'
    r'[ \t\u3000]{0,9}([^\s<>＜＞"(),;]{3,320})[ \t\u3000]{0,9}[>＞]'
    r'|(?<![^\s,;])([^\s<>＜＞"(),;@＠]{1,64}[@＠][^\s<>＜＞"(),;@＠]{1,255})(?![^\s,;]|[^,;<＜"]{0,200}[<＜])'
)
_HALF: Final = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
_OF_ASCII = late(r"[!#-'*+\-./-9=?A-Z^_`a-z{|}~]{1,64}@[0-9A-Za-z-]{1,63}(?:\.[0-9A-Za-z-]{1,63}){1,20}")


class Mailbox(NamedTuple):
    """One entry of a list: the name (may be empty) and the address as written (empty where there is none)."""

    name: str
    address: str


def split_mailboxes(text: str) -> Iterator[Mailbox]:
    """Cut the decoded value of an address field into its entries, in their order; empty ones are left out.

    RFC 5322 §3.4, obsolete routes, comments as names and groups (whose names are dropped), and what programs
    write instead: ``Family, Given <a@b>`` without quotes, semicolons, missing brackets or quotes.
    """
    text = _HTML.sub(r"<\1>", read_wide(text)) if "&lt;" in text else read_wide(text)
    return _joined(_entries(text))


def _joined(entries: Iterable[tuple[_Entry, str]]) -> Iterator[Mailbox]:
    """The mailboxes of entries, names that a comma has cut in two whole again."""
    held = ""  # a name that a comma has cut off from the rest of it
    for entry, end in entries:
        mailbox, *others = entry.mailboxes()
        if held and mailbox.address and entry.angle:
            mailbox = Mailbox(f"{held}, {mailbox.name}" if mailbox.name else held, mailbox.address)
        elif held:
            yield Mailbox(held, "")
        held = ""
        if mailbox.name and not mailbox.address and end == ",":
            held = mailbox.name
        elif mailbox.name or mailbox.address:
            yield mailbox
        yield from others
    if held:
        yield Mailbox(held, "")


def read_wide(text: str) -> str:
    """Read an address in letters, marks or brackets of full width as the one of ASCII that it spells."""
    return (
        re.sub(_WIDE, _narrow, text, flags=re.DOTALL)
        if "＠" in text or "＜" in text or "＞" in text
        else text
    )


def _narrow(match: re.Match[str]) -> str:
    inside, bare = match.groups()
    address = (inside or bare or "").translate(_HALF)
    if match[0].isascii() or not _OF_ASCII.fullmatch(address):
        return match[0]
    return address if bare else f"<{address}>" if match[0][0] == "<" else f" <{address}>"


def find_address(text: str, end: int | None = None) -> tuple[int, int] | None:
    """Where in `text` the last address stands whose at-sign is before `end`, None where there is none."""
    at = text.rfind("@", 0, end)
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

    __slots__ = ("angle", "comment", "others", "size", "words")

    def __init__(self) -> None:
        self.words: list[str] = []  # as written
        self.angle: str | None = None  # the address in brackets, empty where these hold none
        self.others: list[str] = []  # more of them between the same brackets
        self.size = 0  # how many words stand before the brackets
        self.comment = ""

    def open(self, content: str) -> _Entry | None:
        """Take what stands in brackets; return the next entry, where it is one and no comma came before."""
        found = _in_brackets(content)
        if self.angle and found:
            if found == [self.angle]:
                return None
            following = _Entry()
            following.words = [_unlinked("".join(self.words[self.size :]).lstrip(_CLOSING))]
            del self.words[self.size :]
            following.open(content)
            return following
        if found or self.angle is None:
            self.angle, *self.others = found or [""]
            self.words.append(" ")
            self.size = len(self.words)
        return None

    def mailboxes(self) -> list[Mailbox]:
        """The entry's mailbox, and others that no comma sets apart from it."""
        if self.angle:
            others = [self._named("", address, "") for address in self.others]
            after = "".join(self.words[self.size :])
            if "@" in after and '"' not in after and "." in after.rpartition("@")[2] and find_address(after):
                del self.words[self.size :]
                again = key_of(normalise(self.angle))  # as in `Ann <a@b> [mailto:a@b]`
                others += [
                    Mailbox(_unlinked(name), address)
                    for name, address in self._bare(after.lstrip(_CLOSING))
                    if name or key_of(address) != again
                ]
            return [self._named("".join(self.words), self.angle), *filter(any, others)]
        text = "".join(self.words)
        quoted = _QUOTED.fullmatch(text.strip())
        if quoted and "@" in text:
            # All of it was put in quotes, or into an encoded-word.
            text = _ESCAPED.sub(r"\1", quoted[1])
            entries = list(_entries(text))
            if any(entry.angle for entry, _ in entries):
                boxes = [box for box in _joined(entries) if box.address]
                if boxes:
                    return boxes
        return self._bare(text)

    def _bare(self, text: str) -> list[Mailbox]:
        """The mailboxes of text without brackets: each address, and what stands before it as its name."""
        whole = _SPACED_OUT.sub(r"\1\2", text.strip())
        if self.angle is None and _PLAIN.fullmatch(whole) and "." in whole.rpartition("@")[2]:
            return [self._named("", whole)]
        found = find_address(text)
        if not found:
            return [Mailbox(_unquoted(text) or tidy(self.comment), "")]
        places = [found]
        quotes = text.count('"', 0, found[0])
        while found := find_address(text, places[-1][0]):
            quotes -= text.count('"', found[0], places[-1][0])
            if quotes % 2 or "." not in text[slice(*found)].rpartition("@")[2]:
                break  # a name may hold an at-sign
            places.append(found)
        boxes: list[Mailbox] = []
        before = 0
        for start, end in reversed(places):
            name = _before(text[before:start])
            if boxes:
                name = _unlinked(name)
            if start == places[0][0]:
                name += " " + text[end:].lstrip(_CLOSING)
            boxes.append(self._named(name, text[start:end], "" if boxes else None))
            before = end
        return [boxes[0], *filter(any, boxes[1:])]

    def _named(self, text: str, address: str, comment: str | None = None) -> Mailbox:
        if address[0] == address[-1] == "'" and find_address(address[1:-1]):
            address = address[1:-1]  # as Outlook shows those without a name
        address = normalise(address.rstrip("."))
        if len(address.encode("utf-8", "replace")) > MAX_ADDRESS or address.endswith("@"):
            address = ""
        name = _unquoted(text) or tidy(self.comment if comment is None else comment)
        return Mailbox("" if key_of(name) == key_of(address) else name, address)


def _before(text: str) -> str:
    """What stands before an address, without what is left of brackets."""
    return text.lstrip(_CLOSING).rstrip(_OPENING)


def _unlinked(name: str) -> str:
    """A name after an address, without what links the two where no comma does."""
    return _LINK.sub("", name)


def _in_brackets(content: str) -> list[str]:
    """The addresses that stand between two brackets: one, but for what programs write."""
    content = content.strip()
    if content[:7].lower() == "mailto:":
        content = content[7:].partition("?")[0]
    if content.startswith("@"):
        content = content.rpartition(":")[2].strip()  # RFC 5322 §4.4: a route
    if content.startswith('"'):
        parts = [content]
    else:
        whole = _SPACED.sub(r"\1", content)
        parts = [whole] if _PLAIN.fullmatch(whole) else _CUT.split(content)
    return [part[slice(*found)] for part in parts if (found := find_address(part))]


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
        if mark[0] == "@":
            entry.words.append(mark)
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
            at, content = _inside(text, at)
            following = entry.open(content)
            if following:
                yield entry, ""
                entry = following
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
