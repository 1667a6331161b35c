"""What becomes of a message that is whole: wanted or not, in which folders, refused or not."""

from __future__ import annotations

from unmbox._folders import Folders, LabelTable
from unmbox._mail import Mail
from unmbox._record import state_of
from unmbox._selection import Selection, filing_labels

REFUSED = ("keep", "aside")


class Sorter:
    """Sorts messages. `folders` is None where labels make none; `links` asks for one in each of them.

    `profile` is the name that refusals are listed under; with `aside` what is refused is put apart. The
    state that `table` tells replaces what the messages were given, if it `is_own`.
    """

    def __init__(
        self,
        table: LabelTable,
        selection: Selection,
        folders: Folders | None,
        *,
        links: bool = False,
        profile: str = "",
        aside: bool = False,
        is_own: bool = False,
    ) -> None:
        self._table = table
        self._selection = selection
        self._folders = folders
        self._links = links
        self.profile = profile
        self._aside = aside
        self._is_own = is_own

    def sort(self, mail: Mail) -> None:
        """Say whether the message is wanted, and what its state is by a table of the user's own."""
        if mail.failure:
            return
        labels = mail.told.labels
        if self._is_own:
            state = state_of(mail.head.block, labels, self._table)
            if beside := mail.head.beside:
                state |= beside.state
            mail.told = mail.told._replace(state=state)
        if self._selection:
            mail.unwanted = self._selection.unwanted(mail.head, labels, mail.told.state or {})

    @property
    def unmatched(self) -> tuple[str, ...]:
        """What was to be chosen by, and no message had."""
        return self._selection.unmatched

    def folders(self, mail: Mail) -> tuple[str, ...]:
        """The folders of a message, the primary first; "" is the destination itself."""
        if self._folders is None:
            return ("",)
        told = mail.told
        labels = filing_labels(self._table, mail.head.source, told.labels, told.state or {})
        found = self._folders.of(labels)
        return found if self._links else found[:1]

    def puts_aside(self, mail: Mail) -> bool:
        """Whether the message goes to a place of its own because the destination would refuse it."""
        return self._aside and bool(mail.refusals)
