"""What a DKIM or ARC signature covers, and so which change to a header block would break it.

A signature counts here while it could still verify: its tags are complete (RFC 6376 §3.5, RFC 8617 §4.1),
and the message has the From that every signature must cover. Whether it does verify needs a key from the DNS
and the whole body, which is not ours to ask; so where U+FFFD stands in a signed field, nobody here knows
whether an exporter put it there, or the sender had.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from unmbox._fields import Field, relaxed
from unmbox._late import late

DAMAGE: Final = b"\xef\xbf\xbd"
"""U+FFFD in UTF-8: what a program writes in place of octets that it could not read."""

_DKIM: Final = b"dkim-signature"
_ARC_MESSAGE: Final = b"arc-message-signature"
_ARC_SEAL: Final = b"arc-seal"
_ARC_SET: Final = (_ARC_SEAL, _ARC_MESSAGE, b"arc-authentication-results")
# The tags without which a verifier gives up.
_REQUIRED: Final = {
    _DKIM: (b"v", b"a", b"b", b"bh", b"d", b"h", b"s"),
    _ARC_MESSAGE: (b"i", b"a", b"b", b"bh", b"d", b"h", b"s"),
    _ARC_SEAL: (b"i", b"a", b"b", b"cv", b"d", b"s"),
}
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}").fullmatch
_SPACE = late(rb"[ \t\n]+")
# Signatures that are told apart for one field name; more than these are weighed by their strictest.
_APART: Final = 16
# Octets of a signature beyond which it is none: no signer writes and no verifier takes such a one.
_LONGEST: Final = 1 << 17
# Octets of signatures that are searched for a name; more are read at once.
_LONG: Final = 1 << 14
# More than any field occurs: a seal covers all of its fields, and that there are no others.
_ALL: Final = 1 << 30


class _Signature(NamedTuple):
    """A signature that could verify: how often it names each field, and whether it allows refolding."""

    label: str
    counts: dict[bytes, int]
    simple: bool


class _Cover(NamedTuple):
    """One signature's hold on the fields of one name: on the lowest `depth` of them (RFC 6376 §5.4.2)."""

    depth: int
    simple: bool
    label: str


class Signatures:
    """The signatures of one header block, asked before each change whether it would break one.

    Every answer is "" or a sentence that names what would break, each change judged alone against the
    block as it came. The signatures are read (and the fields' `rank` set) when a question first needs it.
    """

    def __init__(self, fields: list[Field]) -> None:
        self._fields = fields
        signing = [field.raw.lower() for field in fields if field.key in _REQUIRED]
        # What no signature so much as mentions, none covers: most questions end here.
        self._mentioned = b"\n".join(signing)
        self._unread = bool(signing)
        self._covers: dict[bytes, list[_Cover]] = {}
        self._own: dict[int, _Cover] = {}
        self._present: Counter[bytes] = Counter()

    def _read(self) -> None:
        self._unread = False
        fields = self._fields
        for field in reversed(fields):
            field.rank = self._present[field.key]
            self._present[field.key] += 1
        for field in fields:
            signature = _parse(field) if field.key in _REQUIRED else None
            if signature and (field.key == _ARC_SEAL or self._present[b"from"]):
                self._own[id(field)] = _Cover(_ALL, signature.simple, signature.label)
                for name, count in signature.counts.items():
                    self._covers.setdefault(name, []).append(_Cover(count, signature.simple, signature.label))
        for name, covers in self._covers.items():
            if len(covers) > _APART:
                self._covers[name] = list(_strictest(covers))

    def _of(self, name: bytes) -> list[_Cover]:
        """The signatures that cover fields of this name."""
        if self._unread and name:
            long = len(self._mentioned) > _LONG
            if long or name in self._mentioned or name in _ARC_SET:
                self._read()
        return self._covers.get(name, [])

    def rewriting(self, field: Field, raw: bytes) -> str:
        """What breaks if `field` gets the octets `raw`, which may give it another name."""
        if not self._mentioned:
            return ""
        after = Field(raw)
        if after.key != field.key:
            return _sentence([*self._hits(field), *self._of(after.key)])
        same = relaxed(raw) == relaxed(field.raw)
        return _sentence([cover for cover in self._hits(field) if cover.simple or not same])

    def removing(self, field: Field) -> str:
        """What breaks if `field` is taken away."""
        return _sentence(list(self._hits(field)))

    def adding(self, name: bytes) -> str:
        """What breaks if a field called `name` (lower case) is put on top of the block."""
        return _sentence([cover for cover in self._of(name) if cover.depth > self._present[name]])

    def _hits(self, field: Field) -> Iterator[_Cover]:
        """What covers this field; a signature covers itself."""
        yield from (cover for cover in self._of(field.key) if cover.depth > field.rank)
        if id(field) in self._own:
            yield self._own[id(field)]


def _strictest(covers: list[_Cover]) -> Iterator[_Cover]:
    for simple in (True, False):
        of_kind = [cover for cover in covers if cover.simple is simple]
        if of_kind:
            depth = max(cover.depth for cover in of_kind)
            yield _Cover(depth, simple, f"{of_kind[0].label} and up to {len(of_kind) - 1} more")


def _sentence(covers: list[_Cover]) -> str:
    return "breaks " + ", ".join(dict.fromkeys(cover.label for cover in covers)) if covers else ""


def _parse(field: Field) -> _Signature | None:
    """Read a tag list (RFC 6376 §3.2); None where no verifier could use it."""
    tags: dict[bytes, bytes] = {}
    if len(field.raw) > _LONGEST:
        return None
    for tag in field.value.split(b";"):
        name, equals, value = tag.partition(b"=")
        name = name.strip(b" \t")
        if equals and name in tags:
            return None
        tags[name] = value.strip(b" \t")
    if not all(tags.get(name) for name in _REQUIRED[field.key]):
        return None
    if not all(_BASE64(_SPACE.sub(b"", tags[name])) for name in (b"b", b"bh") if name in tags):
        return None
    who = f"d={_shown(tags[b'd'])} s={_shown(tags[b's'])}"
    if field.key == _ARC_SEAL:
        return _Signature(
            f"ARC-Seal i={_shown(tags[b'i'])} {who}", dict.fromkeys(_ARC_SET, _ALL), simple=False
        )
    names = Counter(filter(None, (name.strip(b" \t").lower() for name in tags[b"h"].split(b":"))))
    canonical, _, _ = tags.get(b"c", b"simple").lower().partition(b"/")
    if canonical not in (b"simple", b"relaxed"):
        return None
    if field.key == _ARC_MESSAGE:
        label = f"ARC-Message-Signature i={_shown(tags[b'i'])} {who}"
    elif tags[b"v"] == b"1" and b"from" in names:
        label = f"DKIM-Signature {who}"
    else:
        return None
    return _Signature(label, names, simple=canonical == b"simple")


def _shown(octets: bytes) -> str:
    return octets[:80].decode("ascii", "backslashreplace")
