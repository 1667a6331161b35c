"""Events of a source in, messages out that are complete: what is done with a message before it is judged."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

from unmbox._hashing import Hasher
from unmbox._head import MessageHead
from unmbox._mail import SPOOL, Mail
from unmbox._writer import EmlWriter
from unmbox.errors import UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected
from unmbox.labels import Beside
from unmbox.manifest import Digests, SourceState
from unmbox.sinks import Sink

MANY_STRAYS = 10_000
"""From_ lines that were not taken in one message and are told one by one."""


class Assembly:
    """Puts the messages of one source after the other together. `mail` is the one under way, if it is long.

    `strays` are the From_ lines that were not taken since the last message was complete, and `uncounted` how
    many more there were.
    """

    def __init__(
        self, new_writer: Callable[[], EmlWriter], sink: Sink, hasher: Hasher, *, newline: str
    ) -> None:
        self._new_writer = new_writer
        self._writer = new_writer()
        self._sink = sink
        self._hasher = hasher
        self._lf = newline == "lf"
        self._state: SourceState | None = None
        self._name = ""
        self._beside: Callable[[bytes, bytes], Beside | None] | None = None
        self._proved: Container[int] = ()
        self._gathered: list[Head | Body] = []  # events of the message under way, if it is short so far
        self._size = 0  # octets of theirs
        self.mail: Mail | None = None
        self.strays: list[Rejected] = []
        self.uncounted = 0

    def begin(
        self,
        state: SourceState,
        name: str,
        beside: Callable[[bytes, bytes], Beside | None] | None = None,
        *,
        proved: Container[int] = (),
    ) -> None:
        """Go on with another source. The messages at the offsets in `proved` get a `Mail.proof`."""
        self._state, self._name, self._beside, self._proved = state, name, beside, proved

    def mails(self, events: Iterable[Event]) -> Iterator[Mail]:
        """Take the next events; yields each message that they complete.

        What is short is gathered until its end and then put together in one go; what is not goes through
        piece by piece.
        """
        for event in events:
            if isinstance(event, Body) and self._gathered:
                self._gathered.append(event)
                self._size += len(event.data)
                if self._size > SPOOL >> 2:
                    self._take_apart()
            elif isinstance(event, End):
                mail = self._put_together(event) if self._gathered else self._complete(event)
                if mail is not None:
                    yield mail
            elif isinstance(event, Head):
                self._gathered = [event]
                self._size = len(event.data)
                if event.offset in self._proved:
                    self._take_apart()
            elif isinstance(event, Rejected):
                if event.lines == 1 and len(self.strays) < MANY_STRAYS:
                    self.strays.append(event)
                else:
                    self.uncounted += event.lines
            elif not isinstance(event, Junk):
                self._take_apart()
                self._add(event)
            elif self._state and event.offset >= self._state.junk:
                self._state.junk += len(event.data)

    def pass_strays(self) -> tuple[list[Rejected], int]:
        """Hand on the From_ lines that were not taken."""
        strays, self.strays = self.strays, []
        uncounted, self.uncounted = self.uncounted, 0
        return strays, uncounted

    def discard(self) -> None:
        """Leave nothing of the message under way."""
        self._gathered = []
        mail, self.mail = self.mail, None
        if mail:
            mail.discard()

    def _put_together(self, end: End) -> Mail | None:
        """A message whose events have all been gathered."""
        writer, gathered = self._writer, self._gathered
        try:
            parts = [octets for event in (*gathered, end) if (octets := writer.send(event))]
            mail = self._new_mail(gathered[0], writer.fields)
            mail.take_whole(parts, writer.block_size, self._hasher)
            mail.repairs, mail.refusals, mail.head.raw8 = writer.repairs, writer.refusals, writer.raw8
            mail.tell()
        except Exception:  # piece by piece it will be seen what is wrong with it
            self._writer = self._new_writer()
            self._take_apart()
            return self._complete(end)
        self._gathered = []
        mail.length = end.length
        if self.strays:
            mail.strays, mail.uncounted = self.pass_strays()
        return mail

    def _take_apart(self) -> None:
        """Take what was gathered of a message piece by piece, and what is still to come of it."""
        gathered, self._gathered = self._gathered, []
        for event in gathered:
            self._add(event)

    def _new_mail(self, head: Head | Body, fields: dict[bytes, bytes] | None = None) -> Mail:
        if self._state is None or isinstance(head, Body):
            raise UsageError("begin() comes before mails()")
        return Mail(
            MessageHead(head, self._name, self._beside, self._writer.locale, fields), self._state, lf=self._lf
        )

    def _add(self, event: Head | HeadRest | Body) -> None:
        if isinstance(event, Head):
            self.mail = self._new_mail(event)
            if event.offset in self._proved:
                self.mail.proof = Digests(0)
        mail = self.mail
        if mail is None:
            return
        if mail.raw is not None:
            mail.raw.append(event.data)
        if mail.proof is not None:
            mail.proof.update(event.data)
        if mail.failure:
            mail.add(event.data, 0, self._hasher)
        else:
            try:
                octets = self._writer.send(event)
            except Exception as error:
                self._fail(mail, error)
            else:
                if octets:
                    mail.add(octets, self._writer.block_size, self._hasher)
        if mail.size > SPOOL:
            mail.spool(self._sink)

    def _fail(self, mail: Mail, error: Exception) -> None:
        """What should not happen: the message goes to quarantine as it is, and the run goes on."""
        mail.fail(error, self._hasher)
        self._writer = self._new_writer()

    def _complete(self, end: End) -> Mail | None:
        mail = self.mail
        if mail is None:
            return None
        if not mail.failure:
            try:
                if octets := self._writer.send(end):
                    mail.add(octets, self._writer.block_size, self._hasher)
                mail.repairs = self._writer.repairs
                mail.refusals = self._writer.refusals
                mail.head.raw8 = self._writer.raw8  # what the EML says, its row says too
                mail.tell()
            except Exception as error:
                self._fail(mail, error)
        mail.length = end.length
        if self.strays:
            mail.strays, mail.uncounted = self.pass_strays()
        self.mail = None
        return mail
