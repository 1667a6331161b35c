"""`verify()`: proves that every octet of every source is accounted for and every EML is what was written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmbox import _verify_tables
from unmbox._checks import writer_for
from unmbox._destination import MANIFEST_NAME, is_part, is_zip, manifest_of, refuse_unnamed
from unmbox._message_id import normalise_message_id
from unmbox._opened import Opened
from unmbox._record import (
    DUPLICATE,
    FILTERED,
    OUTCOMES,
    QUARANTINED,
    WRITTEN,
    Digests,
    Written,
    checksum,
    storable,
)
from unmbox._report import Ticker
from unmbox._schema import damaged, our_errors, read_only, read_options
from unmbox._single import events_of, parser_for
from unmbox._verify_files import Files
from unmbox._verify_paths import Paths
from unmbox._verify_sources import SourceTally, Tallies
from unmbox._verify_zip import Volumes, difference
from unmbox._writer import EmlWriter
from unmbox.dedup import POLICIES
from unmbox.errors import UsageError
from unmbox.events import End, Head, Junk
from unmbox.sources import Source, SourcesLike

if TYPE_CHECKING:
    import sqlite3

MAX_PROBLEMS = 1000
"""Problems that are told one by one; beyond, they are counted."""
_AGAIN = "run the same command again"

_ROWS = (
    "SELECT m.*, k.outcome, k.message_id, k.key, k.labels FROM message AS m "
    "LEFT JOIN message AS k ON k.id = m.duplicate_of ORDER BY m.id"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold. `path` is the file, source or row concerned.

    Kinds, of files: ``missing``, ``truncated``, ``changed``, ``renamed``, ``foreign`` (an EML that no row
    names), ``temporary`` (an unfinished one), ``unreadable``. Of the record: ``interrupted`` and
    ``unfinished`` (the same command again goes on), ``damaged`` (a source that could not be read to its end),
    ``row`` (edited, added or removed), ``tiling`` (octets of a source that no row has, or two), ``duplicate``
    (names no kept row with the same key), ``count``. And ``source``: one that was read again and is not what
    it was.
    """

    kind: str
    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was proved, and what was not. Sizes are in octets.

    ``messages = written + duplicates + filtered + quarantined``; `bytes_in` is all sources' junk and
    messages, `bytes_out` all EMLs. `problems` holds the first `MAX_PROBLEMS` of `problem_count`.
    """

    sources: int
    messages: int
    written: int
    duplicates: int
    filtered: int
    quarantined: int
    bytes_in: int
    bytes_out: int
    problem_count: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.problem_count == 0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return {"ok": self.ok, **asdict(self)}


def verify(
    destination: str | os.PathLike[str],
    *,
    sources: SourcesLike | None = None,
    manifest: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Verification:
    """Check a folder or ZIP volumes of `convert` against their manifest, in constant memory; changes nothing.

    Each EML is read and compared with its two digests, each row with its check sum, its neighbours and the
    row it is a copy of, the folder with the rows. With `sources`, these are read and converted once more,
    and what comes out is compared message by message. `manifest` is for one that stands elsewhere.
    `jobs` files are read side by side. `progress` is called with the rows checked and their number.

    Raises `UsageError` where there is no manifest or a source is none of its own, `DestinationError` where
    the manifest is damaged or in use, `SourceError` where a source cannot be read.
    """
    refuse_unnamed(destination)
    folder = Path(destination)
    zipped = is_zip(destination)
    path = manifest_of(folder) if manifest is None else Path(manifest)
    with ExitStack() as stack:
        stack.enter_context(our_errors(str(path)))
        connection = stack.enter_context(closing(read_only(path)))
        if wrong := tuple(Problem(*each) for each in _verify_tables.types(connection.execute)):
            return Verification(0, 0, 0, 0, 0, 0, 0, 0, len(wrong), wrong)  # nothing else can be told then
        tallies = stack.enter_context(closing(Tallies(connection.execute)))
        paths = stack.enter_context(closing(Paths()))
        volumes = Volumes(connection, folder) if zipped else None
        root = folder.parent if zipped else folder
        audit = _Audit(connection, path, root, paths, volumes, tallies, jobs)
        stack.callback(audit.close)
        given = None if sources is None else Opened(sources)
        for source in given.listed() if given else ():
            if source:
                audit.find(source)  # a wrong one is told before all is read
        audit.manifest()
        audit.rows(progress)
        audit.other_tables()
        audit.folder()
        for source in given or ():
            audit.source(source, audit.find(source))
        return audit.result()


class _Audit:
    """One verification: the record by itself, then the files it names, the folder, the sources."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        folder: Path,
        paths: Paths,
        volumes: Volumes | None,
        sources: Tallies,
        jobs: int,
    ) -> None:
        self._files = Files(jobs, self._compare)
        self._volumes = volumes
        self._query = connection.execute
        self._path = path
        self._root = folder
        self._paths = paths
        self._options = read_options(connection)
        self._problems: list[Problem] = []
        self._problem_count = 0
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._bytes_in = 0
        self._bytes_out = 0
        self._sources = sources
        self._unconfirmed: int | None = None  # the first row whose file may lack its name

    def close(self) -> None:
        self._files.close()

    def result(self) -> Verification:
        counts = self._outcomes
        return Verification(
            sources=len(self._sources),
            messages=sum(counts.values()),
            written=counts[WRITTEN],
            duplicates=counts[DUPLICATE],
            filtered=counts[FILTERED],
            quarantined=counts[QUARANTINED],
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            problem_count=self._problem_count,
            problems=tuple(self._problems),
        )

    def _problem(self, kind: str, path: str, detail: str) -> None:
        self._problem_count += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(kind, path, detail))

    # -- the record ------------------------------------------------------------------------------------

    def manifest(self) -> None:
        """Whether SQLite finds its file in order, and the last run came to its end."""
        if self._query("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise damaged(str(self._path))
        if self._query("SELECT 1 FROM meta WHERE key = 'afresh'").fetchone():
            self._unconfirmed = 0
            self._problem("interrupted", str(self._path), f"a run was starting afresh: {_AGAIN}")
        elif (first := self._query("SELECT min(first) FROM pending").fetchone()[0]) is not None:
            self._unconfirmed = first
            detail = f"a run was interrupted, row {first} and later ones may lack their files: {_AGAIN}"
            self._problem("interrupted", str(self._path), detail)
        for source in self._sources:
            self._bytes_in += source.junk
            if not source.done:
                left = "what follows" if source.size is None else f"{source.size - source.checkpoint} octets"
                detail = f"{left} from octet {source.checkpoint} on not yet converted: {_AGAIN}"
                self._problem("unfinished", source.uri, detail)
            elif source.damage:
                self._problem("damaged", source.uri, f"read up to octet {source.checkpoint}: {source.damage}")

    def rows(self, progress: Callable[[int, int], object] | None) -> None:
        """Every message's row, and the file it names."""
        total = self._query("SELECT max(id) FROM message").fetchone()[0] or 0
        ticker, last = Ticker(), 0
        for values in self._query(_ROWS):
            number = values[0]
            if number != last + 1:
                self._problem("row", f"row {last + 1}", f"missing, up to {number - 1}")
            last = number
            self._row(values[:22], values[22:])
            if progress and ticker.due(last=number == total):
                progress(number, total)
        for source in self._sources:
            if source.at is not None and source.at != source.checkpoint:
                self._gap(source, source.at, source.checkpoint)
            elif source.done and source.checkpoint != source.size:
                told = f"{source.checkpoint} octets are told of, not {source.size}"
                self._problem("tiling", source.uri, told)
            if source.seen != source.messages:
                self._problem("count", source.uri, f"{source.seen} messages, not {source.messages}")

    def _row(self, values: tuple[Any, ...], kept: tuple[Any, ...]) -> None:
        number, source_id, offset, length = values[:4]
        outcome, path = values[8:10]
        named = isinstance(path, str) and self._named(path, number)
        source = self._sources.get(source_id)
        if source:
            source.seen += 1
            source.first, source.last = source.first or number, number
        if outcome in self._outcomes:
            self._outcomes[outcome] += 1
        if checksum(values[:-1]) != values[-1]:
            # Whatever else is wrong with the row follows from that, and names only what it no longer says.
            self._problem("row", f"row {number}", "edited: its values are not those of its check sum")
            if source:
                source.at = None
            return
        self._bytes_in += length
        if source is None:
            self._problem("row", f"row {number}", f"of a source that has no row ({source_id})")
            return
        if source.at is not None and source.at != offset:
            self._gap(source, source.at, offset)
        source.at = offset + length
        self._sources.let_go(source)
        if outcome not in self._outcomes:
            self._problem("row", f"row {number}", f"of no known outcome ({outcome})")
        elif (path is not None) != (outcome in {WRITTEN, QUARANTINED}):
            self._problem("row", f"row {number}", f"{outcome}, but it names {'a' if path else 'no'} file")
        elif outcome == DUPLICATE:
            self._duplicate(number, values, kept)
        elif named:
            file = Written(path, *values[6:8], *values[18:20])
            self._bytes_out += file.size if outcome == WRITTEN else 0
            self._file(file, number)

    def _gap(self, source: SourceTally, at: int, offset: int) -> None:
        first, end = sorted((at, offset))
        whose = "no message" if at < offset else "two messages"
        self._problem("tiling", source.uri, f"octets {first} to {end} belong to {whose}")

    def _duplicate(self, number: int, values: tuple[Any, ...], kept: tuple[Any, ...]) -> None:
        message_id, of, labels, key = values[5], values[10], values[15], values[20]
        outcome, kept_id, kept_key, kept_labels = kept
        name, kept_name = (normalise_message_id(str(text or "").encode()) for text in (message_id, kept_id))
        policy = self._options.get("dedup", "")  # or what an index that is shared calls its own
        by_id = name is not None and policy.rpartition(" ")[2] == "message-id"
        if of is None and policy not in POLICIES:
            return  # a copy of what stands in another destination, by an index that they share
        if outcome not in {WRITTEN, QUARANTINED}:
            self._problem("duplicate", f"row {number}", f"a copy of row {of}, which is not kept")
        elif name != kept_name or not (by_id or (key is not None and key == kept_key)):
            self._problem("duplicate", f"row {number}", f"a copy of row {of}, which has another key")
        elif not _labels(labels) <= _labels(kept_labels):
            self._problem("duplicate", f"row {number}", f"its labels are not among those of row {of}")

    def other_tables(self) -> None:
        """Whether what stands beside the messages is what was written there."""
        settled = self._unconfirmed is None
        for found in chain(
            _verify_tables.sources(self._query, {problem.path for problem in self._problems}),
            _verify_tables.details(self._query),
            _verify_tables.others(self._query, settled=settled),
        ):
            self._problem(*found)

    # -- the files -------------------------------------------------------------------------------------

    def _named(self, path: str, number: int) -> bool:
        if self._paths.name(path):
            return True
        self._problem("row", f"row {number}", f"names a file that another row names: {path}")
        return False

    def _file(self, file: Written, number: int) -> None:
        if self._unconfirmed is not None and number >= self._unconfirmed:
            return
        if self._volumes and not self._volumes.is_beside(file.path):
            return
        self._files.read(file, self._root / file.path)

    def _compare(self, file: Written, found: Digests | OSError) -> None:
        if isinstance(found, (FileNotFoundError, NotADirectoryError)):
            self._paths.miss(file)
        elif isinstance(found, PermissionError):
            self._problem("unreadable", file.path, found.strerror or str(found))
        elif isinstance(found, OSError):
            self._problem("changed", file.path, f"not a file that can be read: {found.strerror or found}")
        elif wrong := difference(file, found):
            self._problem(wrong[0], file.path, wrong[1])

    def folder(self) -> None:
        """What the folder holds, against what the rows name."""
        query = (
            "SELECT f.path, m.head_sha256, m.body_sha256, m.head_size, m.body_size, m.id FROM file AS f "
            "JOIN message AS m ON m.id = f.message WHERE f.volume IS NULL"
        )
        for *values, number in self._query(query):
            file = Written(*values)
            if self._named(file.path, number):
                self._file(file, number)
        self._files.finish()
        folders = self._volumes.folders() if self._volumes else [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self._root / folder) as entries:
                    for entry in entries:
                        self._entry(entry, folder + entry.name, folders)
            except OSError as error:
                self._problem("unreadable", folder, error.strerror or str(error))
        for path in self._paths.missed():
            self._problem("missing", path, "not there")
        if self._volumes:
            for kind, path, detail in self._volumes.problems(self._unconfirmed):
                self._problem(kind, path, detail)

    def _entry(self, entry: os.DirEntry[str], path: str, folders: list[str]) -> None:
        if entry.is_dir(follow_symlinks=False):
            # A folder with a manifest of its own is another destination.
            if not os.path.lexists(f"{entry.path}/{MANIFEST_NAME}"):
                folders.append(path + "/")
        elif is_part(entry.name):
            self._problem("temporary", path, f"left by a run that was interrupted: {_AGAIN}")
        elif not (entry.name.lower().endswith(".eml") or path.startswith("quarantine/")):
            return
        elif not self._paths.is_named(path):
            was = self._paths.found_at(self._root / path, entry.stat(follow_symlinks=False).st_size)
            if was is None:
                self._problem("foreign", path, "no row names it")
            else:
                self._problem("renamed", was, f"now at {path}")

    # -- the sources -----------------------------------------------------------------------------------

    def find(self, source: Source) -> SourceTally:
        """The row of a source that is to be read again, by its name, or else by its content."""
        found = self._query("SELECT id FROM source WHERE uri = ?", (source.uri,)).fetchall()
        if not found and source.lasting:
            digest = (source.identity().digest,)
            found = self._query("SELECT id FROM source WHERE digest = ?", digest).fetchall()
        elif not found:
            found = self._query("SELECT id FROM source WHERE digest IS NULL").fetchall()
        if len(found) != 1:
            raise UsageError(f"{source.name} is none of the sources of {self._root}, or could be several")
        return self._sources.look(found[0][0])

    def source(self, source: Source, tally: SourceTally) -> None:
        """Convert a source once more, as far as it was read, and compare with its rows."""
        query = (
            "SELECT offset, from_line, length, head_sha256, body_sha256, head_size, outcome FROM message "
            "WHERE source_id = ? AND id BETWEEN ? AND ? ORDER BY id"
        )
        rows = self._query(query, (tally.id, tally.first, tally.last))
        writer = _writer(self._options)
        row: Any = None
        digests, end = Digests(0), 0
        variant = self._options.get("variant", "auto")
        for event in events_of(source.chunks(), parser_for(single=source.single, variant=variant)):
            if isinstance(event, Head):
                row = rows.fetchone()
                if row is None or row[:2] != (event.offset, storable(event.from_line)):
                    break
                digests = Digests(row[5] or 0)
            if isinstance(event, Junk):
                end = event.offset + len(event.data)
            elif row and row[6] != QUARANTINED:
                digests.update(writer.send(event))
            if isinstance(event, End):
                end = event.offset + event.length
                proved = row[6] == QUARANTINED or row[3] is None or row[3:5] == digests.result()
                if row[2] != event.length or not proved:
                    self._problem("source", source.name, f"the message at octet {event.offset} is another")
        else:
            row = rows.fetchone()
            if row is None and end == tally.checkpoint:
                return
        if row or tally.done:
            self._problem("source", source.name, f"not what it was from octet {end} on")


def _writer(options: Mapping[str, str]) -> EmlWriter:
    return writer_for(
        checks={},
        force=[code for code in options.get("force", "").split(",") if code],
        headers=options.get("headers", "preserve"),
        newline=options.get("newline", "crlf"),
        repair_signed=options.get("repair_signed") == "true",
        locale=options.get("locale") or None,
    )


@lru_cache(maxsize=16)  # of a message with many copies they are asked for with each
def _labels(text: str) -> frozenset[str]:
    try:
        return frozenset(json.loads(text))
    except (TypeError, ValueError):  # an edited row, which is told as such
        return frozenset()
