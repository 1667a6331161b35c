"""What `convert` commits: messages are gathered into batches, and a batch is one transaction.

For a batch, in this order: the dedup index says what each message is, the rows are committed as pending,
the files are written under their names. The next commit confirms them. A kill at any instant leaves
pending rows whose files may be missing, and the next run takes these back and does them again; since
everything follows from the octets alone, it ends where an undisturbed run does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256

from unmbox._copies import Copies
from unmbox._hashing import Hasher
from unmbox._mail import Mail
from unmbox._place import Place
from unmbox._report import Tally
from unmbox._sorter import Sorter
from unmbox._turns import Turns
from unmbox.dedup import NEW, Verdict
from unmbox.events import Rejected
from unmbox.manifest import (
    DUPLICATE,
    FILTERED,
    QUARANTINED,
    WRITTEN,
    Batch,
    Manifest,
    Quarantined,
    Row,
    SourceState,
)
from unmbox.naming import Layout

BATCH_OCTETS = 4 << 20
"""Octets of EML that are gathered before a commit; with twice that, small mail fell out of the caches."""
BATCH_MESSAGES = 500
_new = tuple.__new__  # half of what it costs to call the class


class Batches:
    """Gathers messages and commits them. `tally` counts them, `hasher` has hashed them once they are here.

    `midway` says that an error or a signal now would leave half a step, and nothing that
    could be committed; whoever moves a source's state on sets it meanwhile.
    """

    def __init__(
        self,
        place: Place,
        manifest: Manifest | None,
        copies: Copies,
        layout: Layout,
        *,
        by_place: bool,
        sorter: Sorter | None = None,
    ) -> None:
        self._place = place
        self.sink = place.sink
        self._manifest = manifest
        self._copies = copies
        self._layout = layout
        self._by_place = by_place
        self._sorter = sorter
        self.tally = Tally()
        self.hasher = Hasher()
        self.turns = Turns()
        self.midway = False
        self._next_id = 1  # for rows without a manifest
        self._mails: list[Mail] = []
        self._octets = 0
        self._batch = Batch()
        self._touched: set[int] = set()  # the sources in it
        self.unwritten: set[int] = set()
        """The first rows of the batches whose files other processes are about to write."""

    @property
    def can_share(self) -> bool:
        """Whether other processes may write files: into a folder, where no other run waits for them."""
        return self._place.folder is not None and not self._place.packs and not self._copies.shared

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The labels and addresses to choose by that no message had, if all messages were looked at."""
        counts = self.tally.counts
        return self._sorter.unmatched if self._sorter and counts["messages"] and not counts["already"] else ()

    @property
    def gathered(self) -> int:
        """Messages that wait for their commit."""
        return len(self._mails)

    def make_room(self, mail: Mail) -> None:
        """Before a source moves on beyond a message: complete the volume that it may be too long for."""
        place = self._place
        if not place.packs or place.fits(self._octets + mail.size, len(self._mails) + 1):
            return
        self.flush()
        if not place.fits(mail.size, 1) and not place.is_too_large(mail.size):
            place.end_volume()

    def add(self, mail: Mail) -> None:
        """Gather a message that is complete, with the From_ lines in it that were not taken."""
        if mail.strays:
            self.add_strays(mail.source, mail.strays, mail.uncounted)
        if self._sorter:
            self._sorter.sort(mail)
        self._mails.append(mail)
        self._octets += mail.size
        if mail.target or self._octets >= BATCH_OCTETS or len(self._mails) >= BATCH_MESSAGES:
            self.flush()

    def add_strays(self, state: SourceState, strays: Sequence[Rejected], uncounted: int) -> None:
        """Gather From_ lines that were not taken, and count those for which there was no room."""
        for stray in strays:
            self._batch.add_candidate(state, stray.offset, stray.line, stray.reason)
        state.candidates += uncounted
        self.tally.counts["rejected"] += len(strays) + uncounted

    def touch(self, state: SourceState) -> None:
        """Have the next commit write down how far a source has come."""
        if state.id not in self._touched:
            self._touched.add(state.id)
            self._batch.sources.append(state)

    def flush(self) -> None:
        """Decide on the messages gathered, commit their rows, write their files."""
        self._commit(self._write)

    def take(self, mails: list[Mail], write: Callable[[list[Row]], object]) -> None:
        """Decide on messages that another process has made, commit their rows, have it write their files.

        `confirm` is to be told once it has. What was gathered before must be committed: the source
        of these messages has moved on already.
        """
        for mail in mails:
            if mail.strays:
                self.add_strays(mail.source, mail.strays, mail.uncounted)
            if self._sorter:
                self._sorter.sort(mail)
        self._mails = mails
        self._commit(write)

    def _commit(self, write: Callable[[list[Row]], object]) -> None:
        mails, batch, manifest, place = self._mails, self._batch, self._manifest, self._place
        if not mails and not batch.sources:
            return
        self.midway = True
        self.hasher.wait()
        source = None
        for mail in mails:
            if not mail.identity:
                mail.add_up()
            if mail.source is not source:
                source = mail.source
                self.touch(source)
        first = manifest.next_id if manifest else self._next_id
        with self._copies.transaction():
            verdicts = self._copies.judge(mails, first)
            batch.rows = list(map(self._row, mails, range(first, first + len(mails)), verdicts))
            tells_all = place.packs or self._sorter is not None
            for mail, row in zip(mails, batch.rows, strict=True):
                if tells_all or mail.repairs or mail.failure:
                    self._tell(batch, mail, row)
            if manifest:
                manifest.commit(batch, since=0 if place.packs else min(self.unwritten, default=None))
            write(batch.rows)
        self._next_id = first + len(mails)
        self._mails, self._batch, self._octets = [], Batch(), 0
        self._touched.clear()
        self.midway = False

    def _write(self, rows: list[Row]) -> None:
        for mail, row in zip(self._mails, rows, strict=True):
            write_file(self._place, mail, row.path)
            self.turns.give()
        self._place.settle()
        self.confirm(rows)

    def write_anew(self, mail: Mail, path: str | None) -> None:
        """Write the file of a message whose row is committed."""
        self.hasher.wait()
        mail.add_up()
        write_file(self._place, mail, path)

    def amend(self, mail: Mail, failed: Quarantined) -> None:
        """Put in the place of a row in quarantine what has become of its message this time."""
        self.flush()
        self._place.end_volume()
        self.midway = True
        if self._sorter:
            self._sorter.sort(mail)
        with self._copies.transaction():
            [verdict] = self._copies.judge([mail], failed.id)
            if verdict.of == failed.id:  # judged by a run that was killed before its row was committed
                verdict = NEW
            row = self._row(mail, failed.id, verdict)
            batch = Batch(sources=[mail.source], amended=[row])
            self._tell(batch, mail, row)
            write_file(self._place, mail, row.path)
            self._place.settle()
            self._place.end_volume()
            if failed.path:
                self._place.remove(mail.as_stored(failed.path))
            if self._manifest:
                self._manifest.commit(batch, since=min(self.unwritten, default=None))
            self.confirm([row])
        self.midway = False

    def settle(self) -> None:
        """Confirm the last batch: all is done."""
        self._place.end_volume()
        if self._manifest:
            self._copies.save()
            self._manifest.commit(Batch())
            self._manifest.settle()

    def stop(self) -> None:
        """Keep what is whole. What made the run stop is what its caller must hear of, not what follows."""
        mails = self._mails
        with suppress(Exception):
            # Midway, rows stay pending whose files may be missing: the next run takes them back.
            # So they do in a volume that is not full: completed now, it would not be what it shall be.
            if not self.midway and not self.unwritten and not self._place.packs:
                self.flush()
                self.settle()
        for mail in mails:
            with suppress(Exception):
                mail.discard()

    def confirm(self, rows: Iterable[Row]) -> None:
        """The files have their names: make that last, where more than the next commit depends on it."""
        self._place.sync(row.path for row in rows if row.path)
        # In a volume they have their names only once that has its own.
        if self._manifest and self._copies.shared and not self._place.packs:
            self._manifest.settle()

    def _row(self, mail: Mail, number: int, verdict: Verdict) -> Row:
        head = mail.head
        path: str | None = None
        if mail.failure:
            outcome = QUARANTINED
            path = self._place.beside(f"quarantine/{mail.source.id}-{head.offset}.eml")
        elif mail.unwanted:
            outcome = FILTERED
        elif verdict.kind == "duplicate":
            outcome = DUPLICATE
        else:
            path, *mail.links = self._paths(mail)
            outcome, path = WRITTEN, self._place.name(path, mail.size)
            if mail.refusals:
                self.tally.counts["refused"] += 1
            if (self._sorter and self._sorter.puts_aside(mail)) or self._place.is_apart(path):
                self.tally.counts["aside"] += 1
        self.tally.add(outcome, mail.size, mail.repairs, collision=verdict.kind == "collision")
        head_sum, body_sum = mail.sums
        told = mail.told
        of = verdict.of if outcome == DUPLICATE else None
        before = number, mail.source.id, head.offset, mail.length, head.from_line, told[0]
        written = head_sum.hex(), body_sum.hex(), outcome, path, of
        return _new(
            Row, (*before, *written, *told[1:], mail.block_size, mail.size - mail.block_size, mail.key)
        )

    def _paths(self, mail: Mail) -> list[str]:
        """The names, the first of which is the file's and the others are links.

        They follow from the message alone, or where copies are kept too, from its place as well.
        """
        head = mail.head
        sums = b"".join(mail.sums)
        if self._by_place:
            sums += b"%d %d" % (mail.source.id, head.offset)
        elif not mail.message_id:
            sums += mail.content
        told, layout = mail.told, self._layout
        sender = (told.sender or head.envelope.sender) if "sender" in layout.fields else ""
        known = head.date, told.subject or "", sender, sha256(sums).hexdigest()[:12]
        if self._sorter is None:
            return [self._place.among(layout.place(*known))]
        paths = [self._place.among(layout.place(*known, folder)) for folder in self._sorter.folders(mail)]
        return [self._place.beside(f"refused/{paths[0]}")] if self._sorter.puts_aside(mail) else paths

    def _tell(self, batch: Batch, mail: Mail, row: Row) -> None:
        """Put into the batch what a row has in other tables than its own."""
        batch.repairs += [(row.id, *repair) for repair in mail.repairs]
        if mail.failure:
            batch.refusals.append((row.id, QUARANTINED, mail.failure))
        if mail.unwanted:
            batch.refusals.append((row.id, FILTERED, mail.unwanted))
        if row.outcome != WRITTEN or row.path is None:
            return
        if self._sorter:
            batch.refusals += [(row.id, self._sorter.profile, reason) for reason in mail.refusals]
            batch.files += [(row.id, None, path) for path in mail.links]
        if volume := self._place.volume(row.path):
            batch.files.append((row.id, volume, row.path))


def write_file(place: Place, mail: Mail, path: str | None) -> None:
    """Give a message its file and its links, or leave nothing of it where there is no path."""
    if path is None:
        mail.discard()
        return
    place.writing = mail.as_written
    mail.spool(place.sink)
    if mail.target:
        mail.target.commit(path)
    for each in mail.links:
        place.link(path, each)
