"""What becomes of a message that is whole: wanted or not, in which folders, refused or not."""

from __future__ import annotations

import re

from unmbox._folders import Folders, LabelTable
from unmbox._mail import Mail
from unmbox._record import state_of
from unmbox._selection import Selection

REFUSED = ("keep", "aside")
_LEAF = re.compile(r".*[/\\]", re.DOTALL)
# The folder of a message that has a file of its own: an .eml's, or the one around cur or new of a Maildir.
_FOLDER = re.compile(
    r"(?:.*[/\\.])?([^/\\.!]+)[/\\](?:(?:cur|new)[/\\][^/\\]*|[^/\\]*\.emlx?)", re.IGNORECASE | re.DOTALL
).fullmatch


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
            mail.unwanted = self._selection.unwanted(mail.head, self._labels(mail), mail.told.state or {})

    @property
    def unmatched(self) -> tuple[str, ...]:
        """What was to be chosen by, and no message had."""
        return self._selection.unmatched

    def folders(self, mail: Mail) -> tuple[str, ...]:
        """The folders of a message, the primary first; "" is the destination itself."""
        if self._folders is None:
            return ("",)
        found = self._folders.of(self._labels(mail))
        return found if self._links else found[:1]

    def _labels(self, mail: Mail) -> tuple[str, ...]:
        """A message's labels; without any, its mailbox's or folder's name if that is one of everybody's.

        What its state calls deleted or a draft is in Trash or Drafts, whatever its labels.
        """
        labels = tuple(mail.told.labels)
        if not labels:
            name = self._origin(mail.head.source)
            if self._table.meaning(name).role not in {"", "user"}:
                labels = (name,)
        state = mail.told.state
        if state and (state.get("deleted") or state.get("draft")):
            labels += ("Trash",) if state.get("deleted") else ("Drafts",)
        return labels

    @staticmethod
    def _origin(source: str) -> str:
        """What the mailbox, or the folder of a message in a file of its own, is called."""
        if found := _FOLDER(source):
            return "Inbox" if found[1].lower() == "maildir" else found[1]  # the top of a Maildir++
        return _LEAF.sub("", source).partition(".")[0]

    def puts_aside(self, mail: Mail) -> bool:
        """Whether the message goes to a place of its own because the destination would refuse it."""
        return self._aside and bool(mail.refusals)
