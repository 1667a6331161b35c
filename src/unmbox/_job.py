"""The work of `convert`: the sources one after the other, from octets to messages that are complete."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, count
from typing import TYPE_CHECKING, NamedTuple

from unmbox import _log
from unmbox._assembly import Assembly
from unmbox._batches import Batches
from unmbox._mail import Mail, received
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._ranges import Begun, Finished, Parcel, Setup, Task, cut, is_worth_it, parser_of, settle
from unmbox._report import Damage, Progress, Report, Ticker
from unmbox._schema import AMISS, UNDER_WAY, knows
from unmbox._single import events_of, parser_for
from unmbox._source_charset import settle_charset
from unmbox._window import SETTLE
from unmbox.errors import DestinationError
from unmbox.events import Event
from unmbox.manifest import DUPLICATE, QUARANTINED, Manifest, Quarantined, SourceState
from unmbox.sources import Source

if TYPE_CHECKING:
    from unmbox._crew import Crew, Written


class _Entry(NamedTuple):
    """A source and how far it has come; its ranges, if other processes are to convert it."""

    source: Source
    state: SourceState
    tasks: list[Task] | None


class Job:
    """One call of `convert`, with as many more processes as `jobs` if that is more than one."""

    def __init__(
        self,
        manifest: Manifest | None,
        batches: Batches,
        setup: Setup,
        *,
        jobs: int,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self._manifest = manifest
        self._batches = batches
        self._counts = batches.tally.counts
        self._setup = setup
        self._assembly = self._new_assembly()
        self._variant = setup.variant
        self._progress = progress
        self._total: int | None = 0
        self._passed = 0  # octets of the sources, with those that an earlier run had read
        self._ticker = Ticker()

        self._source: SourceState
        self._reading: Source
        self._name = ""
        self._known_to = 0  # messages before this offset are rows already
        self._to_retry: Mapping[int, Quarantined] = {}  # of these, by their offsets
        self._jobs = jobs if batches.can_share else 1
        self._crew: Crew | None = None
        self._numbers = count(1)
        self._entries: Iterator[_Entry] = iter(())
        self._ahead: deque[_Entry] = deque()  # what has been looked at before its turn
        self._undealt: deque[Task] = deque()
        self._source_is_cut = False
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
            with self._employ():
                self._entries = (self._enter(source, ordinal) for ordinal, source in enumerate(sources, 1))
                while entry := self._next_entry():
                    self._read(*entry)
                if self._crew:
                    self._crew.finish()
            batches.tally.damaged += sources.damaged
            batches.tally.not_mbox += sources.empty
            batches.tally.missing += self._missing(sources)
            batches.flush()
            if self._manifest:
                self._note_amiss(self._manifest, sources)
            batches.settle()
            if self._manifest:
                self._manifest.note(UNDER_WAY, None)
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
        return batches.tally.report(time.perf_counter() - started, batches.unmatched)

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
        found = [each.sentence for each in sources.absent if not (record and record.has_part(each.name))]
        for sentence in found:
            _log.warning("missing: %s", sentence)
        return found

    @staticmethod
    def _note_amiss(record: Manifest, sources: Opened) -> None:
        """Write down what could not be read, beside what is still so of other runs' sources."""
        row = record.connection.execute("SELECT value FROM meta WHERE key = ?", (AMISS,)).fetchone()
        before = json.loads(row[0]) if row else {}
        asked = dict(sources.asked())
        now = {uri: told for uri, told in before.items() if uri not in asked} | sources.amiss
        if now != before:
            record.note(AMISS, json.dumps(now) if now else None)

    def _state_of(self, source: Source, ordinal: int) -> SourceState:
        if self._manifest is None:
            return SourceState(ordinal, source.uri, source.size, source.scheme)
        return self._manifest.source(source.uri, **source.identity()._asdict(), scheme=source.scheme)

    def _enter(self, source: Source, ordinal: int) -> _Entry:
        """What is to be done with a source: by other processes if there are any, and if they can."""
        state = self._state_of(source, ordinal)
        tasks = None
        start = state.offset
        if self._crew and not state.done and is_worth_it(source, start):
            settle(source, state, self._variant)
            if state.newline != b"\r":
                path = str(source.path)
                inode = os.stat(path).st_ino  # noqa: PTH116
                tasks = [
                    Task(next(self._numbers), path, state, at, stop, at == start, inode)
                    for at, stop in cut(source, start, self._jobs)
                ]
                self._undealt += tasks
        return _Entry(source, state, tasks)

    def _next_entry(self) -> _Entry | None:
        return self._ahead.popleft() if self._ahead else next(self._entries, None)

    def _next_task(self) -> Task | None:
        """The next range for a worker. Beyond a source that they cannot read nothing is looked at."""
        while not self._undealt and all(entry.tasks for entry in self._ahead) and self._source_is_cut:
            entry = next(self._entries, None)
            if entry is None:
                return None
            self._ahead.append(entry)
        return self._undealt.popleft() if self._undealt else None

    @contextmanager
    def _employ(self) -> Iterator[None]:
        """Have workers, if there are to be any."""
        if self._jobs > 1:
            from unmbox._crew import Crew, can_work  # most runs have none

            if can_work():
                self._crew = Crew(
                    self._setup,
                    self._jobs,
                    self._batches,
                    more=self._next_task,
                    write_again=self._write_again,
                    tick=self._tick,
                )
            else:
                _log.warning("no Python to start other processes with: one does the work")
        try:
            yield
        finally:
            if self._crew:
                self._crew.close()
                self._crew = None

    def _read(self, source: Source, state: SourceState, tasks: list[Task] | None) -> None:
        self._source_is_cut = tasks is not None
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
        if (
            start and start == source.size and source.is_path
        ):  # all of it has rows, and a run ended before it could say so
            self._end_source(start)
            return
        _log.info("reading %s from octet %d", self._name, start)
        crew = self._crew
        if crew is None or tasks is None:
            self._end_source(self._read_from(start))
            return
        at = start
        for task in tasks:
            if at < task.stop:
                at = self._read_range(crew, task, at)
            elif self._undealt and self._undealt[0] is task:  # all of it stands within a message
                self._undealt.popleft()
            else:
                crew.drop(task)
        self._end_source(at)

    def _read_from(self, start: int, stop: int | None = None) -> int:
        """Read the source from a message on, or from its beginning, to its end.

        Or until a message ends at `stop` or later. Returns how far it came.
        """
        source, state = self._reading, self._source
        at = start
        parser = self._parser_at(start) if start else parser_for(single=source.single, variant=self._variant)
        for chunk in chain(source.chunks(start), (b"",)):
            if not chunk and at == start and start:
                break  # there is nothing of it
            at += len(chunk)
            self._passed += len(chunk)
            events = parser.feed(chunk) if chunk else parser.close()
            # Before a batch can go: a run that resumes must not settle them anew, from the middle.
            state.settle(parser.variant, parser.newline, parser.charset)
            if self._handle(events, stop):
                self._passed -= at - state.offset
                return state.offset
            self._batches.turns.give()
            if self._progress:
                self._tick()
        return at

    def _read_range(self, crew: Crew, task: Task, at: int) -> int:
        """Take what a worker made of a range, in which a message begins at `at`, or read it here."""
        state = self._source
        answer = crew.next(task)
        if not task.known:
            if isinstance(answer, Begun) and answer.first == at:
                answer = crew.next(task)
            else:
                crew.drop(task)
                answer = None
        while isinstance(answer, Parcel):
            # With the first of its messages: a run that goes on behind them does not read it again.
            state.junk = max(state.junk, answer.junk)
            self._take_parcel(crew, task, answer)
            self._passed += state.offset - at
            at = state.offset
            if self._progress:
                self._tick()
            answer = crew.next(task)
        if not isinstance(answer, Finished):
            if at >= task.stop:
                return at
            task.source()  # or an error: it is opened anew
            return self._read_from(at, task.stop)
        state.junk = max(state.junk, answer.state.junk)
        self._batches.add_strays(state, answer.strays, answer.uncounted)
        self._passed += answer.end - at
        return answer.end

    def _take_parcel(self, crew: Crew, task: Task, parcel: Parcel) -> None:
        state = self._source
        mails = [received(sent, state, self._name) for sent in parcel.mails]
        # Before the source moves on: a commit of what was read here must not say that these were, too.
        self._batches.flush()
        self._batches.midway = True
        for mail in mails:
            self._tell_failure(mail)
        state.offset = mails[-1].head.offset + mails[-1].length
        self._batches.take(mails, lambda rows: crew.write(task, mails, rows))
        self._batches.midway = False

    def _write_again(self, parcel: Written) -> None:
        """Write the files of a parcel whose worker has died before it said that it had."""
        task, start, rows, links = parcel
        source = task.source()
        parser = parser_of(task.state, self._variant, start)
        assembly = self._new_assembly()  # the other one may be in the midst of another source
        assembly.begin(task.state, source.name)
        mails = assembly.mails(events_of(source.chunks(start), parser))
        # The rows come first: no message beyond them is asked for.
        for row, more, mail in zip(rows, links, mails, strict=False):
            mail.links = more
            self._batches.write_anew(mail, row.path)
        assembly.discard()

    def _new_assembly(self) -> Assembly:
        batches, setup = self._batches, self._setup
        return Assembly(setup.new_writer, batches.sink, batches.hasher, newline=setup.newline)

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
        events = events_of(source.chunks(failed.offset), self._parser_at(failed.offset))
        for mail in self._assembly.mails(events):
            mail.strays, mail.uncounted = (), 0
            self._complete(mail)
            return

    def _end_source(self, octets: int) -> None:
        state = self._source
        if self._manifest and self._known_to and not state.digest:
            self._manifest.replays.match_end(state, octets)
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
            _log.warning("damaged: %s", damage)
        state.size, state.done = octets, True
        _log.info("read %s: %d octets", self._name, octets)
        self._batches.touch(state)
        self._batches.midway = False

    # -- its messages --------------------------------------------------------------------------------

    def _handle(self, events: list[Event], stop: int | None = None) -> bool:
        """Whether a message ends at `stop` or later."""
        for mail in self._assembly.mails(events):
            self._complete(mail)
            if stop is not None and self._source.offset >= stop:
                return True
        return False

    def _complete(self, mail: Mail) -> None:
        """A message is whole: to the batch with it, or if it has its row already to what that says."""
        batches, offset = self._batches, mail.head.offset
        batches.midway = True
        self._tell_failure(mail)
        if offset < self._known_to:
            self._match(mail)
        else:
            end = offset + mail.length
            if self._source.done and self._manifest:  # a stream that had ended before this message
                self._manifest.replays.match_end(self._source, end)
            batches.make_room(mail)
            self._source.offset = end
            batches.add(mail)
        batches.midway = False

    def _tell_failure(self, mail: Mail) -> None:
        if mail.failure:
            offset = mail.head.offset
            _log.warning("quarantined the message at octet %d of %s: %s", offset, self._name, mail.failure)

    def _match(self, mail: Mail) -> None:
        """The message has a row already: it is to be tried again, or a stream is read again."""
        self._batches.hasher.wait()
        mail.add_up()
        offset = mail.head.offset
        failed = self._to_retry.get(offset)
        if self._manifest and not mail.source.digest:
            sums = mail.proof.result() if mail.proof else map(bytes.hex, mail.sums)
            self._manifest.replays.match_row(mail.source, offset, *sums)
        if failed is None:
            self._counts["already"] += 1
        else:
            self._counts["bytes_in"] += mail.length
            if mail.failure:
                self._batches.tally.add(QUARANTINED)
            else:
                # Its key in the index must not stand behind those of rows that may still be taken back.
                if self._crew:
                    self._crew.finish()
                self._batches.amend(mail, failed)
        mail.discard()

    def _tick(self, *, last: bool = False) -> None:
        if self._progress and self._ticker.due(last=last):
            done = self._counts["messages"] + self._batches.gathered
            self._progress(Progress(self._passed, self._total, done, self._name, self._counts[DUPLICATE]))
