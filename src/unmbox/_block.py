"""A header block under repair: its fields, what is known of them, and the list of what was done.

Every change goes through here, so that each is listed, and none breaks a signature unasked.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from unmbox._block_charset import Raw8Bit, is_unclear
from unmbox._fields import MAX_NAME, Field, join_fields, split_block, split_fields
from unmbox._signatures import Signatures

LINE: Final = b"X-Unmbox-Line"
"""Name for a line that is no field."""
ORIGINAL: Final = b"X-Unmbox-Original-"
"""Prefix for the name of a field that could not stand as it was."""
DUPLICATE: Final = b"X-Unmbox-Duplicate-"
"""Prefix for the name of a field that may occur only once."""

STRUCTURED: Final = frozenset(
    b"received message-id in-reply-to references date resent-date resent-message-id mime-version content-id"
    b" content-transfer-encoding content-location dkim-signature domainkey-signature x-google-dkim-signature"
    b" arc-seal arc-message-signature arc-authentication-results authentication-results received-spf"
    b" list-archive list-help list-owner list-post list-subscribe list-unsubscribe".split()
)
"""Fields (lower case) whose grammar has no place for text beyond ASCII."""


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


class Block:
    """A header block under repair.

    `block` holds its octets as stored (where lone CRs are no line ends), `from_line` the From_ line. A
    repair that would break a signature is left out and listed so, unless `repair_signed` or its code is
    `forced`.
    """

    def __init__(
        self,
        block: bytes,
        from_line: bytes,
        *,
        repair_signed: bool = False,
        forced: frozenset[str] = frozenset(),
    ) -> None:
        self.header, self.closed, self.rest, self.stripped = split_block(block)
        self.ended = block.endswith(b"\n")
        self.from_line = from_line
        self.fields = split_fields(self.header)
        self.added: list[Field] = []
        self.repairs: list[Repair] = []
        self.stated_date: str | None = None  # what a Date that is none was meant to say
        self.signatures = Signatures(self.fields)
        self.is_ascii = self.header.isascii()
        self.is_plain = self.is_ascii and 0x1B not in self.header
        self._unclear = [] if self.is_ascii else unclear_values(self.fields)
        self.raw8 = Raw8Bit(self._unclear)
        self._repair_signed = repair_signed
        self._forced = forced

    @property
    def needs_body(self) -> bool:
        """Whether the body's text would help to tell the charset of raw octets in the block."""
        return bool(self._unclear)

    def settle(self, body: bytes, locale: str | None, prior: str) -> None:
        """Take the evidence for charsets: the body's beginning (as stored), a hint, other mail's codec."""
        self.raw8 = Raw8Bit(self._unclear, self.header, body, locale, prior)

    def octets(self) -> bytes:
        """The block as it is now: LF line ends, closed by its empty line."""
        return join_fields([*self.added, *self.fields])

    # -- what rules use ------------------------------------------------------------------------------

    def called(self, *names: bytes) -> list[Field]:
        """All fields of these names (lower case), in the order of the names."""
        return [field for name in names for field in self.fields if field.key == name]

    def text(self, field: Field) -> str:
        """A field's value as one line of text; see `Raw8Bit.text`."""
        value = field.value
        if b"\t" in value and (not value.isascii() or b"\x1b" in value):
            # People read a fold as a blank. A tab in encoded text would be a part of a name for good.
            value = Field(field.raw.replace(b"\n\t", b"\n ")).value
        return self.raw8.text(value)

    def decide(self, code: str, name: bytes, impact: str = "") -> bool:
        """List a repair and say whether to apply it."""
        applied = self._repair_signed or not impact or code in self._forced
        self._list(code, name, applied, impact)
        return applied

    def leave(self, code: str, name: bytes, impact: str = "") -> None:
        """List what is not to be repaired."""
        self._list(code, name, False, impact)

    def _list(self, code: str, name: bytes, applied: bool, impact: str) -> None:
        self.repairs.append(Repair(code, name[:100].decode("ascii", "backslashreplace"), applied, impact))

    def rewrite(self, code: str, field: Field, raw: bytes) -> None:
        """Give a field other octets."""
        if self.decide(code, field.name or LINE, self.signatures.rewriting(field, raw)):
            field.put(raw)

    def rename(self, code: str, field: Field, prefix: bytes) -> None:
        """Move a field to another name, with the value that it has."""
        self.rewrite(code, field, prefixed(prefix, field) + field.raw[field.colon :])

    def add(self, code: str, name: str, value: str) -> None:
        """Put a new field on top."""
        if self.decide(code, name.encode(), self.signatures.adding(name.lower().encode())):
            self.added.append(Field(f"{name}: {value}".encode()))


def unclear_values(fields: list[Field]) -> list[bytes]:
    """The values of which a charset has to be found out, but for fields that hold no text."""
    values = (field.value for field in fields if field.key not in STRUCTURED)
    return [value for value in values if is_unclear(value)]


def prefixed(prefix: bytes, field: Field) -> bytes:
    """The field's name under another prefix."""
    # A name that long is nobody's; the value is what must not be lost.
    return prefix + field.name[: MAX_NAME - 20]
