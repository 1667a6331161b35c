"""What a caller gives as "sources", one mailbox or message after the other, whatever it comes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from unmbox._report import Damage
from unmbox.errors import UsageError
from unmbox.sources import Source, SourceLike, as_list


class Opened:
    """The sources in what was given, each once, in an order that does not depend on the machine.

    Iterating opens one after the other, so none is held longer than it is read. What is no source is told
    once the iteration has passed it: `damaged` what could not be read of an archive or a folder, `missing`
    the parts of an export that are not there, `empty` the names of archives and folders without any mail.
    `one` says that a list is no list of sources.
    """

    def __init__(self, given: SourceLike | Iterable[SourceLike], *, one: bool = False) -> None:
        self.damaged: list[Damage] = []
        self.missing: list[str] = []
        self.empty: list[str] = []
        known: dict[str, Source] = {}
        streams = 0
        for source in map(Source, [cast("SourceLike", given)] if one else as_list(given)):
            if not source.lasting:
                streams += 1
                source.uri = f"stream:{streams}"
            elif source.uri not in known:
                source.read(0, 1)  # one that cannot be read is told before anything is written
            known.setdefault(source.uri, source)
        if not known:
            raise UsageError("no source: name at least one mailbox")
        self._given = list(known.values())

    def __iter__(self) -> Iterator[Source]:
        yield from self._given

    def size(self) -> int | None:
        """The octets to come; None where that cannot be told without reading through."""
        total = 0
        for source in self.listed():
            if source is None or source.size is None:
                return None
            total += source.size
        return total

    def listed(self) -> Iterator[Source | None]:
        """The sources that can be told without reading through; None for what can not."""
        yield from self._given
