"""One message on its way through `convert`: its octets as written, the sums over them, what its row says."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from unmbox._block import Repair
from unmbox._hashing import Hasher
from unmbox._head import MessageHead
from unmbox._record import Digests
from unmbox._writer import to_crlf
from unmbox.dedup import BodyDigest, Entry, content_of, normalise_message_id
from unmbox.manifest import SourceState, Written, state_of, thread_id
from unmbox.sinks import Dated, Sink, Target

SPOOL = 1 << 20
"""Octets of one message that are kept in memory; what is longer goes to its file as it comes."""
_RECIPIENTS = (b"to", b"cc", b"bcc")


class _Undated:
    """What a sink is told of a message whose date cannot be worked out."""

    date = None


class Mail:
    """A message under way. `add` takes its octets as written, `told` then says what its head says.

    `failure` is the reason why it could not be converted; its octets are then those of the source.
    """

    __slots__ = (
        "_body",
        "_exact",
        "block_size",
        "content",
        "dated",
        "failure",
        "head",
        "head_sum",
        "identity",
        "key",
        "length",
        "lf",
        "message_id",
        "parts",
        "proof",
        "raw",
        "repairs",
        "size",
        "source",
        "sums",
        "target",
        "told",
    )

    def __init__(self, head: MessageHead, source: SourceState, *, lf: bool) -> None:
        self.head = head
        self.source = source
        self.lf = lf
        self.length = 0
        self.target: Target | None = None
        self.dated: Dated = head
        self.failure = ""
        self.repairs: tuple[Repair, ...] = ()
        self.proof: Digests | None = None  # of its octets in the source, where these are to be compared
        self.raw: list[bytes] | None = []  # these octets, while all of them are in memory
        self._begin()

        self.message_id: bytes | None = None  # as the source has it, if it tells one mail from another
        self.content = b""  # what does so where there is no Message-ID
        self.told: dict[str, Any] = {"message_id": None}
        self.sums = (b"", b"")
        self.identity = b""
        self.key = b""

    def _begin(self) -> None:
        self.parts: list[bytes] = []  # in memory, or (`target`) what is not yet in its file
        self.size = self.block_size = 0
        self.head_sum = sha256()
        self._body = BodyDigest()
        # Body identity is over CRLF; where LF is written the exact digest is another one.
        self._exact = sha256() if self.lf else None

    def add(self, octets: bytes, block_size: int, hasher: Hasher) -> None:
        """Take what the writer gave, of which the header block is what makes it `block_size` octets."""
        if block_size > self.block_size:
            head = octets[: block_size - self.block_size]
            self.head_sum.update(head)
            self.block_size = block_size
            self.size += len(head)
            self.parts.append(head)
            if len(head) == len(octets):
                return
            octets = octets[len(head) :]
        if self._exact:
            hasher.update(self._exact, octets)
            hasher.update(self._body, to_crlf(octets))
        else:
            hasher.update(self._body, octets)
        self.size += len(octets)
        self.parts.append(octets)

    def spool(self, sink: Sink) -> None:
        """Move what is gathered to the message's own file."""
        if self.target is None:
            self.target = sink.open(self.dated)
        for part in self.parts:
            self.target.write(part)
        self.parts.clear()
        self.raw = None

    def discard(self) -> None:
        """Leave nothing of the file, if one was begun."""
        if self.target is not None:
            self.target.discard()
            self.target = None

    def fail(self, error: Exception, hasher: Hasher) -> None:
        """Give up what the writer made of it: from here on it is what the source holds.

        Once a message is too long for memory, what was written of it stays: its block is done then, and
        of a body only line ends are changed.
        """
        self.failure = f"{type(error).__name__}: {error}"
        self.repairs = ()
        try:
            self.told = _told(self.head)
        except Exception:
            self.told = {"message_id": None}
            self.dated = _Undated()
        raw, self.raw = self.raw, None
        if raw is not None:
            self.discard()
            self._begin()
            for data in raw:
                self.add(data, 0, hasher)

    def tell(self) -> None:
        """Work out what is known of it once its last octet has come, but for its sums."""
        head = self.head
        raw = head.raw_field(b"message-id")
        # A field such as "<>" is there and tells nothing: the content has to.
        self.message_id = raw if raw and normalise_message_id(raw) else None
        self.content = b"" if self.message_id else content_of(head.block, head.envelope.date)
        self.told = _told(head)
        self.raw = None

    def add_up(self) -> None:
        """Set `sums`, SHA-256 of the block and of the rest, and what tells copies, once all is hashed."""
        exact, self.identity = self._body.digest()
        self.sums = self.head_sum.digest(), self._exact.digest() if self._exact else exact
        self.key = self.identity if self.message_id else sha256(self.content + self.identity).digest()

    def entry(self, where: int) -> Entry:
        """What a dedup index is asked: by Message-ID and body, or without an ID by the whole content."""
        return Entry(self.message_id, self.identity, self.content, where)

    def as_written(self, path: str) -> Written:
        """Its file, if it has this path."""
        head_sum, body_sum = self.sums
        return Written(path, head_sum.hex(), body_sum.hex(), self.block_size, self.size - self.block_size)

    def as_stored(self, path: str) -> Written:
        """The file of its octets in the source, if it has this path and there is a `proof`."""
        proof = self.proof or Digests(0)
        return Written(path, *proof.result(), 0, proof.size)


def _told(head: MessageHead) -> dict[str, Any]:
    """What a row says of a message's head."""
    labels = head.labels
    state = state_of(head.block, labels)
    if beside := head.beside:
        state |= beside.state
    return {
        "message_id": head.message_id,
        "date": head.date,
        "sender": head.text(b"from"),
        "recipients": ", ".join(filter(None, map(head.text, _RECIPIENTS))) or None,
        "subject": head.text(b"subject"),
        "labels": labels,
        "thread_id": thread_id(head.block),
        "state": state,
    }
