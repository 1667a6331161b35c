"""Repairs of a header block: a table of small functions, each of which does one thing and says so.

A field that no rule has a word about keeps its exact octets, its folding and its place. Fields that are
added go on top. What is replaced or moved stays in the block under an ``X-Unmbox-`` name, so nothing is
lost: ``X-Unmbox-Original-NAME`` (could not stand as it was), ``X-Unmbox-Duplicate-NAME`` (one too many),
``X-Unmbox-Line`` (no field at all). A second run over the result finds nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from unmbox import _encode, _made
from unmbox._fields import MAX_LINE, MAX_NAME, Field, join_fields, split_block, split_fields
from unmbox._raw8 import Raw8Bit
from unmbox._signatures import DAMAGE, Signatures

LINE: Final = b"X-Unmbox-Line"
ORIGINAL: Final = b"X-Unmbox-Original-"
DUPLICATE: Final = b"X-Unmbox-Duplicate-"

_STRAY = re.compile(rb">?From (?![ \t]*:)").match
_NOT_A_NAME = re.compile(rb"[^\s:]*:").match
_BARE_ID = re.compile(rb"<?([!-;=?-~]+)>?").fullmatch
_IN_BRACKETS = re.compile(rb"<[^<>]*[^<> \t][^<>]*>").search
_BOOKKEEPING = re.compile(
    rb"content-length|status|x-status|x-keywords|x-uid|x-imap|x-imapbase|x-mozilla-.*", re.DOTALL
).fullmatch
_ONCE: Final = frozenset(b"from subject date message-id to cc sender reply-to".split())
_ADDRESSES: Final = frozenset(
    b"from to cc bcc sender reply-to return-path delivered-to x-original-to envelope-to errors-to"
    b" mail-followup-to mail-reply-to disposition-notification-to return-receipt-to apparently-to list-id"
    b" resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to".split()
)
_PARAMETERS: Final = frozenset((b"content-type", b"content-disposition"))
# Fields whose grammar has no place for an encoded-word.
_STRUCTURED: Final = frozenset(
    b"received message-id in-reply-to references date resent-date resent-message-id mime-version content-id"
    b" content-transfer-encoding content-location dkim-signature domainkey-signature x-google-dkim-signature"
    b" arc-seal arc-message-signature arc-authentication-results authentication-results received-spf"
    b" list-archive list-help list-owner list-post list-subscribe list-unsubscribe".split()
)


class Repair(NamedTuple):
    """One repair of a message, or one that was left alone.

    `code` names the rule, `field` the field (as spelled; "" where it is the block as a whole). `applied` is
    False where the message stays as it was: `signature_impact` then says which signature the repair would
    have broken, or is "" where the damage is only listed. Where it was applied all the same,
    `signature_impact` says what it broke.
    """

    code: str
    field: str
    applied: bool
    signature_impact: str


@dataclass(frozen=True)
class Rule:
    """A row of the table: `apply` does the repair; the rest is what people are told of it."""

    code: str
    clause: str
    signatures: str
    apply: Callable[[Block], None]


class Block:
    """A header block under repair.

    `block` holds its octets as stored (lone CRs are no line ends), `from_line` the From_ line. A repair that
    would break a signature is left out and listed so, unless `repair_signed`.
    """

    def __init__(self, block: bytes, from_line: bytes, *, repair_signed: bool = False) -> None:
        self.header, self.closed, self.rest, self.stripped = split_block(block)
        self.from_line = from_line
        self.fields = split_fields(self.header)
        self.added: list[Field] = []
        self.repairs: list[Repair] = []
        self.signatures = Signatures(self.fields)
        self.raw8 = Raw8Bit()
        self._repair_signed = repair_signed

    @property
    def needs_body(self) -> bool:
        """Whether the body's text would help to tell the charset of raw octets in the block."""
        return not self.header.isascii() and any(
            field.key not in _STRUCTURED and Raw8Bit.is_unclear(field.value) for field in self.fields
        )

    def repair(self, body: bytes = b"", locale: str | None = None) -> bytes:
        """Apply every rule and return the block, LF line ends, closed by its empty line.

        `body` is the beginning of the body as stored, `locale` a hint such as ``ja``: evidence for charsets.
        """
        self.raw8 = Raw8Bit(self.header, body, locale)
        for rule in RULES:
            rule.apply(self)
        return join_fields([*self.added, *self.fields])

    # -- what rules do ------------------------------------------------------------------------------

    def decide(self, code: str, field: bytes, impact: str = "") -> bool:
        """List a repair and say whether to apply it."""
        applied = self._repair_signed or not impact
        self.repairs.append(Repair(code, field[:100].decode("ascii", "backslashreplace"), applied, impact))
        return applied

    def note(self, code: str, field: bytes) -> None:
        """List damage that nothing can be done about."""
        self.repairs.append(Repair(code, field[:100].decode("ascii", "backslashreplace"), applied=False, signature_impact=""))

    def rewrite(self, code: str, field: Field, raw: bytes) -> bool:
        """Give a field other octets."""
        applied = self.decide(code, field.name, self.signatures.rewriting(field, raw))
        if applied:
            field.put(raw)
        return applied

    def rename(self, code: str, field: Field, prefix: bytes) -> bool:
        """Move a field to another name; its value stays."""
        # A name that long is nobody's but its own; the value is what must not be lost.
        return self.rewrite(code, field, prefix + field.name[:200] + field.raw[field.colon :])

    def drop(self, code: str, field: Field) -> None:
        """Leave a field out."""
        if self.decide(code, field.name, self.signatures.removing(field)):
            self.fields.remove(field)

    def add(self, code: str, name: bytes, value: bytes) -> None:
        """Put a new field on top."""
        if self.decide(code, name, self.signatures.adding(name.lower())):
            self.added.append(Field(name + b": " + value))

    def called(self, name: bytes) -> list[Field]:
        """All fields of this name (lower case), in their order."""
        return [field for field in [*self.added, *self.fields] if field.key == name]
