"""The work of `convert`: the sources one after the other, from octets to messages that are complete."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from unmbox._assembly import Assembly
from unmbox._batches import Batches
from unmbox._mail import Mail
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._prior import settle_charset
from unmbox._report import Damage, Progress, Report
from unmbox._schema import UNDER_WAY, knows
from unmbox._single import parser_for
from unmbox._window import SETTLE
from unmbox._writer import EmlWriter
from unmbox.errors import DestinationError
from unmbox.events import Event
from unmbox.manifest import DUPLICATE, QUARANTINED, Manifest, Quarantined, SourceState
from unmbox.sources import Source

_log = logging.getLogger("unmbox")
_TICK = 0.1


class Job:
    """One call of `convert`."""

    def __init__(
        self,
        manifest: Manifest | None,
        batches: Batches,
        new_writer: Callable[[], EmlWriter],
        *,
        variant: str,
        newline: str,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self._manifest = manifest
        self._batches = batches
        self._counts = batches.tally.counts
        self._assembly = Assembly(new_writer, batches.sink, batches.hasher, newline=newline)
        self._variant = variant
        self._progress = progress
        self._total: int | None = 0
        self._passed = 0  # octets of the sources, with those that an earlier run had read
        self._next_tick = 0.0

        self._source: SourceState
        self._reading: Source
        self._name = ""
        self._known_to = 0  # messages before this offset are rows already
        self._to_retry: Mapping[int, Quarantined] = {}  # of these, by their offsets
        self._junk = 0  # octets before its first message that an earlier run has counted

    def run(self, sources: Opened) -> Report:
        """Convert the sources and say what became of them."""
        started = time.perf_counter()
        self._survey(sources)
        batches = self._batches
        if self._manifest:
            query = self._manifest.connection.execute
            if asked := [each for each in sources.asked() if not knows(query, each[0])]:
                self._manifest.note(UNDER_WAY, json.dumps(asked))
        try:
            for ordinal, source in enumerate(sources, 1):
                self._read(source, self._state_of(source, ordinal))
            batches.tally.damaged += sources.damaged
            batches.tally.not_mbox += sources.empty
            batches.tally.missing += self._missing(sources)
            batches.flush()
            if self._manifest:
                self._manifest.note(UNDER_WAY, None)
            batches.settle()
        except BaseException as error:
            if isinstance(error, DestinationError):
                error.under_way = True
            batches.stop()
            with suppress(Exception):
                self._assembly.discard()  # read again by the next run
            raise
        finally:
            batches.hasher.close()
        self._tick(last=True)
        return batches.tally.report(time.perf_counter() - started)

    # -- a source ------------------------------------------------------------------------------------

    def _survey(self, sources: Opened) -> None:
        """Add up the octets to come, and see that no source has changed, before anything is written."""
        known = self._manifest and not self._manifest.is_new and self._manifest
        if not self._progress and not known:
            return
        for source in sources.listed():
            if source is None or source.size is None or self._total is None:
                self._total = None
            else:
                self._total += source.size
            if source and known:
                known.known(source.uri, **source.identity()._asdict())

    def _missing(self, sources: Opened) -> list[str]:
        """The parts that are missing and that no earlier run has read either."""
        record = self._manifest
        return [each.sentence for each in sources.absent if not (record and record.has_part(each.name))]

    def _state_of(self, source: Source, ordinal: int) -> SourceState:
        if self._manifest is None:
            return SourceState(ordinal, source.uri, source.size, source.scheme)
        return self._manifest.source(source.uri, **source.identity()._asdict(), scheme=source.scheme)

    def _read(self, source: Source, state: SourceState) -> None:
        self._source, self._reading, self._name = state, source, source.name
        self._known_to = known_to = state.offset
        failed = self._manifest.quarantined(state) if self._manifest and known_to else []
        self._to_retry = {each.offset: each for each in failed}
        self._junk = state.junk
        self._assembly.begin(state, source.name, source.beside, proved=self._to_retry)
        if source.lasting and known_to:
            self._counts["already"] += state.messages - len(failed)
            for each in failed:
                self._retry(source, each)
        if source.lasting and state.done:
            self._passed += state.size or 0
            if state.damage:
                self._batches.tally.damaged.append(Damage(self._name, state.size, state.damage))
            if state.size and not state.messages:
                self._batches.tally.not_mbox.append(self._name)
            return
        start = known_to if source.lasting else 0
        self._passed += start
        if start and start == source.size:  # all of it has rows, and a run ended before it could say so
            self._end_source(start)
            return
        _log.info("reading %s from octet %d", self._name, start)
        octets = start
        parser = self._parser_at(start) if start else parser_for(single=source.single, variant=self._variant)
        for chunk in source.chunks(start):
            octets += len(chunk)
            self._passed += len(chunk)
            events = parser.feed(chunk)
            # Before a batch can go: a run that resumes must not settle them anew, from the middle.
            state.settle(parser.variant, parser.newline, parser.charset)
            self._handle(events)
            if self._progress:
                self._tick()
        if octets > start or not start:
            events = parser.close()
            state.settle(parser.variant, parser.newline, parser.charset)
            self._handle(events)
        self._end_source(octets)

    def _parser_at(self, offset: int) -> Parser:
        """A parser that goes on with a message of the source, as it was settled."""
        state = self._source
        return parser_for(
            single=self._reading.single,
            variant=self._variant,
            settled=state.variant,
            newline=state.newline or b"\n",
            # A run may have ended while blocks that are ASCII had come, and too little to settle it.
            charset=settle_charset(self._reading.read(0, SETTLE)) if state.charset is None else state.charset,
            offset=offset,
        )

    def _retry(self, source: Source, failed: Quarantined) -> None:
        """Read a message of a file once more, and behind it as far as its end depends on that."""
        for event in _events(source.chunks(failed.offset), self._parser_at(failed.offset)):
            if mail := self._assembly.take(event):
                mail.strays, mail.uncounted = (), 0
                self._complete(mail)
                return

    def _end_source(self, octets: int) -> None:
        state = self._source
        if self._manifest and self._known_to and not state.digest:
            self._manifest.match_end(state, octets)
        self._batches.midway = True
        self._batches.add_strays(state, *self._assembly.pass_strays())
        self._counts["bytes_in"] += octets - self._known_to
        self._counts["junk"] += state.junk - self._junk
        # Whatever holds a message has moved on beyond its junk.
        if octets and state.offset <= state.junk:
            self._batches.tally.not_mbox.append(self._name)
            state.offset = state.junk
        if damage := self._reading.damage:
            state.damage = damage.reason
            self._batches.tally.damaged.append(damage)
            logging.getLogger("unmbox").warning("damaged: %s", damage)
        state.size, state.done = octets, True
        _log.info("read %s: %d octets", self._name, octets)
        self._batches.touch(state)
        self._batches.midway = False

    # -- its messages --------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        take = self._assembly.take
        for event in events:
            if mail := take(event):
                self._complete(mail)

    def _complete(self, mail: Mail) -> None:
        """A message is whole: to the batch with it, or if it has its row already to what that says."""
        self._batches.midway = True
        if mail.failure:
            offset = mail.head.offset
            _log.warning("quarantined the message at octet %d of %s: %s", offset, self._name, mail.failure)
        if mail.head.offset < self._known_to:
            self._match(mail)
        else:
            end = mail.head.offset + mail.length
            if self._manifest and self._source.done:  # a stream that had ended before this message
                self._manifest.match_end(self._source, end)
            self._batches.make_room(mail)
            self._source.offset = end
            self._batches.add(mail)
        self._batches.midway = False

    def _match(self, mail: Mail) -> None:
        """The message has a row already: it is to be tried again, or a stream is read again."""
        self._batches.hasher.wait()
        mail.add_up()
        offset = mail.head.offset
        failed = self._to_retry.get(offset)
        if self._manifest and not mail.source.digest:
            sums = mail.proof.result() if mail.proof else map(bytes.hex, mail.sums)
            self._manifest.match_row(mail.source, offset, *sums)
        if failed is None:
            self._counts["already"] += 1
        else:
            self._counts["bytes_in"] += mail.length
            if mail.failure:
                self._batches.tally.add(QUARANTINED)
            else:
                self._batches.amend(mail, failed)
        mail.discard()

    def _tick(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress and (last or now >= self._next_tick):
            self._next_tick = now + _TICK
            done = self._counts["messages"] + self._batches.gathered
            self._progress(Progress(self._passed, self._total, done, self._name, self._counts[DUPLICATE]))


def _events(chunks: Iterator[bytes], parser: Parser) -> Iterator[Event]:
    for chunk in chunks:
        yield from parser.feed(chunk)
    yield from parser.close()
