"""Which messages are copies: what a dedup index says, in the row numbers of one manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from unmbox._late import late
from unmbox._mail import Mail
from unmbox._message_id import normalise_message_id
from unmbox._schema import our_errors
from unmbox.dedup import NEW, DedupIndex, Entry, Verdict
from unmbox.manifest import WRITTEN, Manifest

_ROW = (1 << 32) - 1
_MAY_BE_ENCODED = late("%[89A-F][0-9A-F]").search


class Copies:
    """Tells copies from new mail. `index` is the manifest's own, or `shared` with other destinations.

    A shared index knows a message by its row and, in the upper 31 bits, by whose row that is. It commits
    after the manifest, whose rows are confirmed then: what a kill keeps from it, the next run into the same
    destination tells it (`catch_up`); what is converted elsewhere before costs a copy. It may also know rows
    that are gone (a run that started afresh), so what it calls a copy of one of ours is looked up.
    """

    def __init__(self, index: DedupIndex, manifest: Manifest | None, *, shared: bool) -> None:
        self._index = index
        self._manifest = manifest
        self.shared = shared
        self._ours = 0
        if shared and manifest:
            self._ours = manifest.number << 32

    def transaction(self) -> AbstractContextManager[None]:
        """What is judged inside is recorded when the block ends; nothing is, if it raises."""
        return self._index.transaction()

    def save(self) -> None:
        """Keep in the manifest what makes its own index quick to open."""
        if not self.shared:
            self._index.save()

    def judge(self, mails: Sequence[Mail], first: int) -> list[Verdict]:
        """What the index says of these messages, whose rows are numbered from `first`.

        `Verdict.of` is a row of the manifest, None for a copy of what stands in another destination. What
        could not be converted, or is not wanted, is new: it must not pass for the original of a copy.
        """
        entries = [
            mail.entry(number)
            for number, mail in enumerate(mails, self._ours + first)
            if not (mail.failure or mail.unwanted)
        ]
        found = self._index.add_many(entries)
        if not self.shared and len(found) == len(mails):
            return found
        verdicts = iter(found)
        return [
            NEW if mail.failure or mail.unwanted else self._ruled(next(verdicts), mails, number, first)
            for number, mail in enumerate(mails)
        ]

    def _ruled(self, verdict: Verdict, mails: Sequence[Mail], number: int, first: int) -> Verdict:
        if verdict.of is None or not self.shared:
            return verdict
        if not self._ours or verdict.of & ~_ROW != self._ours:
            return Verdict(verdict.kind)
        row = verdict.of & _ROW
        # Of its batch only those before it are kept already: itself it may have been in another run.
        before = mails[row - first : number] if row >= first else ()
        return Verdict(verdict.kind, row) if self._stands(row, mails[number], before) else NEW

    def _stands(self, row: int, mail: Mail, before: Sequence[Mail]) -> bool:
        """Whether that row of ours, the first of those `before` or in the manifest, is the same mail."""
        if before:
            found = (row, before[0].told.message_id, before[0].key)
        else:
            found = next(self._kept("id = ?", row), (row, None, b""))
        name = _name(mail.told.message_id)
        by_id = name is not None and self._index.policy == "message-id"
        return _name(found[1]) == name and (by_id or found[2] == mail.key)

    def catch_up(self, last: int) -> None:
        """Tell a shared index of the `last` rows, which a kill may have kept from it.

        But for those that have no Message-ID: what told their content is not in the manifest. Nor are the
        octets of one that may not have been ASCII.
        """
        if not self._ours or not self._manifest:
            return
        rows = self._kept("id >= ?", self._manifest.next_id - last)
        self._index.add_many(
            Entry(message_id, key, where=self._ours + row)
            for row, message_id, key in rows
            if _name(message_id) and not _MAY_BE_ENCODED(message_id or "")
        )

    def _kept(self, where: str, value: int) -> Iterator[tuple[int, str | None, bytes]]:
        if not self._manifest:
            return
        query = f"SELECT id, message_id, key FROM message WHERE outcome = '{WRITTEN}' AND {where}"  # noqa: S608
        with our_errors(self._manifest.path):
            yield from self._manifest.connection.execute(query, (value,))


def _name(message_id: str | None) -> bytes | None:
    return normalise_message_id(message_id.encode("utf-8", "replace")) if message_id else None
