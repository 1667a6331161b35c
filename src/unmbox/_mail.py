"""One message on its way through `convert`: its octets as written, the sums over them, what its row says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from unmbox._block import Repair
from unmbox._hashing import Digest, Hasher
from unmbox._head import MessageHead, fields_of, id_of, id_text, sender_of, text_of
from unmbox._line_ends import to_crlf
from unmbox._record import Digests
from unmbox.dedup import BodyDigest, Entry, content_of
from unmbox.events import Head, Rejected
from unmbox.manifest import SourceState, Written, state_of, thread_id
from unmbox.sinks import Dated, Sink, Target

SPOOL = 1 << 20
"""Octets of one message that are kept in memory; what is longer goes to its file as it comes."""
_AT_ONCE = 1 << 15  # octets of a message that are hashed at its end; more are hashed as they come
_RECIPIENTS = (b"to", b"cc", b"bcc")
_CRLF = b"\r\n"
_MAY_END = (_CRLF, b"", b"\n")  # what before a last CRLF may be of an empty line, too
_new = tuple.__new__  # half of what it costs to call the class


class Told(NamedTuple):
    """What a row says of a message's head, as `manifest.Row` has it."""

    message_id: str | None = None
    date: datetime | None = None
    sender: str | None = None
    recipients: str | None = None
    subject: str | None = None
    labels: Sequence[str] = ()
    thread_id: str | None = None
    state: Mapping[str, bool | str] | None = None


_NOTHING = Told()


class _Undated:
    """What a sink is told of a message whose date cannot be worked out."""

    date = None


class _Sums:
    """SHA-256 of a message's block and of its body as written, and the body's identity."""

    def __init__(self, *, lf: bool) -> None:
        self._left = 0  # octets of the block that have not come
        self._block_size = 0
        self._head = sha256()
        self._body = BodyDigest()
        # Body identity is over CRLF; where LF is written the exact digest is another one.
        self._exact = sha256() if lf else None

    def update(self, octets: bytes, block_size: int, hasher: Hasher | None = None) -> None:
        """Take the next octets of the message, whose block is now known to have `block_size`."""
        self._left += block_size - self._block_size
        self._block_size = block_size
        if self._left:
            head = octets[: self._left]
            self._head.update(head)
            self._left -= len(head)
            octets = octets[len(head) :]
        if self._exact:
            self._feed(self._exact, octets, hasher)
            octets = to_crlf(octets)
        self._feed(self._body, octets, hasher)

    def _feed(self, digest: Digest, octets: bytes, hasher: Hasher | None) -> None:
        if hasher:
            hasher.update(digest, octets)
        else:
            digest.update(octets)

    def result(self) -> tuple[tuple[bytes, bytes], bytes]:
        """The digests of block and body, and of the body without trailing empty lines, in CRLF."""
        exact, identity = self._body.digest()
        return (self._head.digest(), self._exact.digest() if self._exact else exact), identity


class Mail:
    """A message under way. `add` takes its octets as written, `told` then says what its head says.

    `failure` is the reason why it could not be converted; its octets are then those of the source.
    """

    # What most messages never change stands here once, and not in each of them.
    length = 0
    size = 0
    block_size = 0
    failure = ""
    unwanted = ""  # the reason why it is left out
    refusals: tuple[str, ...] = ()  # why the destination would not take it
    links: Sequence[str] = ()  # its further names
    target: Target | None = None
    repairs: tuple[Repair, ...] = ()
    strays: Sequence[Rejected] = ()  # From_ lines that were not taken, up to its end
    uncounted = 0  # how many more of them there were
    proof: Digests | None = None  # of its octets in the source, where these are to be compared
    message_id: bytes | None = None  # as the source has it, if it tells one mail from another
    content = b""  # what does so where there is no Message-ID
    told = _NOTHING
    sums = (b"", b"")
    identity = b""
    key = b""
    _sums: _Sums | None = None

    def __init__(self, head: MessageHead, source: SourceState, *, lf: bool) -> None:
        self.head = head
        self.source = source
        self.dated: Dated = head
        self.parts: list[bytes] = []  # in memory, or (`target`) what is not yet in its file
        self.raw: list[bytes] | None = []  # its octets in the source, while all of them are in memory
        self._lf = lf

    def sent(self) -> tuple[Any, ...]:
        """What `received` makes of it in another process: all but its octets, which stay here.

        Plain values, for pickling objects by their attributes takes three times as long.
        """
        head = self.head
        date = None if self.failure else head.date  # what has failed may fail again
        return (
            (head.offset, head.from_line, head.block, date, head.evidence, head.raw8),
            tuple(self.told), self.length, self.size, self.block_size, self.message_id, self.content,
            self.sums, self.identity, self.key, self.repairs, self.refusals, self.failure,
            self.strays, self.uncounted,
        )  # fmt: skip

    def take_whole(self, parts: list[bytes], block_size: int, hasher: Hasher) -> None:
        """Take all that the writer gave of a message, its header block first."""
        self.parts = parts
        self.block_size = block_size
        self.size = sum(map(len, parts))
        if self.size > _AT_ONCE and not hasher.quick:
            self._sums = self._begin_sums(hasher)

    def add(self, octets: bytes, block_size: int, hasher: Hasher) -> None:
        """Take what the writer gave, of which the header block is what makes it `block_size` octets."""
        self.block_size = max(self.block_size, block_size)
        self.parts.append(octets)
        self.size += len(octets)
        if self._sums:
            self._sums.update(octets, self.block_size, hasher)
        elif self.size > _AT_ONCE:
            self._sums = self._begin_sums(hasher)

    def _begin_sums(self, hasher: Hasher | None = None) -> _Sums:
        sums = _Sums(lf=self._lf)
        for part in self.parts:
            sums.update(part, self.block_size, hasher)
        return sums

    def spool(self, sink: Sink) -> None:
        """Move what is gathered to the message's own file."""
        if not self.identity and self._sums is None:
            self._sums = self._begin_sums()
        if self.target is None:
            self.target = sink.open(self.dated)
        if self.parts:
            self.target.write(b"".join(self.parts))
            self.parts = []
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
            self.told = _told(self.head, id_of(self.head))
        except Exception:
            self.told = _NOTHING
            self.dated = _Undated()
        raw, self.raw = self.raw, None
        if raw is not None:
            self.discard()
            self.parts = []
            self.size = self.block_size = 0
            self._sums = None
            for data in raw:
                self.add(data, 0, hasher)

    def tell(self) -> None:
        """Work out what is known of it once its last octet has come, but for its sums."""
        head = self.head
        self.message_id = id_of(head)
        if self.message_id is None:
            self.content = content_of(head.block, head.envelope.date)
        self.told = _told(head, self.message_id)
        self.raw = None

    def add_up(self) -> None:
        """Set `sums`, SHA-256 of the block and of the rest, and what tells copies, once all is hashed."""
        if self._sums is None and not self._add_up_short():
            self._sums = self._begin_sums()
        if self._sums:
            self.sums, self.identity = self._sums.result()
            self._sums = None
        self.key = self.identity if self.message_id else sha256(self.content + self.identity).digest()

    def _add_up_short(self) -> bool:
        """Do so where no piece has octets of both, in CRLF, as of most mail: at a third of the cost."""
        if len(self.parts) < 2 or self._lf:
            return False
        block, *pieces, last = self.parts
        if len(block) != self.block_size or last[-2:] != _CRLF or last[-4:-2] in _MAY_END:
            return False
        sha = sha256()
        for piece in pieces:
            sha.update(piece)
        sha.update(memoryview(last)[:-2])
        self.identity = sha.digest()
        sha.update(_CRLF)
        self.sums = sha256(block).digest(), sha.digest()
        return True

    def entry(self, where: int) -> Entry:
        """What a dedup index is asked: by Message-ID and body, or without an ID by the whole content."""
        return _new(Entry, (self.message_id, self.identity, self.content, where))

    def as_written(self, path: str) -> Written:
        """Its file, if it has this path."""
        head_sum, body_sum = self.sums
        return Written(path, head_sum.hex(), body_sum.hex(), self.block_size, self.size - self.block_size)

    def as_stored(self, path: str) -> Written:
        """The file of its octets in the source, if it has this path and there is a `proof`."""
        proof = self.proof or Digests(0)
        return Written(path, *proof.result(), 0, proof.size)


def received(sent: tuple[Any, ...], source: SourceState, name: str) -> Mail:
    """The message, to be judged here, that another process has `sent`."""
    (offset, from_line, block, date, (charset, locale), raw8), told, *values = sent
    head = _new(Head, (offset, from_line, block, b"\n", "", charset))
    mail = Mail(MessageHead(head, name, None, locale, date=date), source, lf=False)
    mail.head.raw8 = raw8
    mail.told = _new(Told, told)
    (
        mail.length, mail.size, mail.block_size, mail.message_id, mail.content,
        mail.sums, mail.identity, mail.key, mail.repairs, mail.refusals, mail.failure,
        mail.strays, mail.uncounted,
    ) = values  # fmt: skip
    return mail


def _told(head: MessageHead, message_id: bytes | None) -> Told:
    """What a row says of a message's head, of which the raw Message-ID is known."""
    fields, beside, labels = fields_of(head), head.beside, head.labels
    state = state_of(head.block, labels, signs=fields)
    if beside:
        state |= beside.state
    sender, subject = sender_of(head), fields.get(b"subject")
    recipients = [
        text for name in _RECIPIENTS if name in fields and (text := text_of(head, name, fields[name]))
    ]
    return _new(
        Told,
        (
            id_text(message_id),
            head.date,
            None if sender is None else text_of(head, b"from", sender),
            ", ".join(recipients) or None,
            None if subject is None else text_of(head, b"subject", subject),
            labels,
            thread_id(fields.get(b"x-gm-thrid")),
            state,
        ),
    )
