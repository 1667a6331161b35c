"""`convert()`: sources in, a folder of EML files, its manifest and a `Report` out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypedDict

from unmbox._batches import BATCH_MESSAGES, Batches
from unmbox._copies import Copies
from unmbox._destination import real_name
from unmbox._job import Job
from unmbox._opened import Opened
from unmbox._orders import Orders, check_switches
from unmbox._overlap import refuse_own
from unmbox._place import Place
from unmbox._ranges import Setup
from unmbox._report import Progress, Report
from unmbox._selection import When
from unmbox.dedup import DedupIndex
from unmbox.errors import UsageError
from unmbox.manifest import Manifest
from unmbox.sinks import DirectorySink, Sink
from unmbox.sources import SourcesLike, uri_of
from unmbox.zips import ZipSink


class Options(TypedDict, total=False):
    """The options of `convert`, for calls that hand them on."""

    headers: str | None
    newline: str | None
    variant: str
    dedup: str | DedupIndex
    layout: str | None
    profile: str | os.PathLike[str] | None
    labels: str | None
    system_labels: str | os.PathLike[str] | None
    include: str | Iterable[str]
    exclude: str | Iterable[str]
    since: When | None
    until: When | None
    refused: str | None
    zip_size: int | None
    zip_entries: int | None
    zip_names: str | None
    zip_method: str | None
    jobs: int
    resume: bool
    repair_signed: bool
    locale: str | None
    durable: bool
    dry_run: bool
    manifest: str | os.PathLike[str] | None


def convert(
    sources: SourcesLike,
    destination: str | os.PathLike[str] | Sink,
    *,
    headers: str | None = None,
    newline: str | None = None,
    variant: str = "auto",
    dedup: str | DedupIndex = "message-id+body",
    layout: str | None = None,
    profile: str | os.PathLike[str] | None = None,
    labels: str | None = None,
    system_labels: str | os.PathLike[str] | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    since: When | None = None,
    until: When | None = None,
    refused: str | None = None,
    zip_size: int | None = None,
    zip_entries: int | None = None,
    zip_names: str | None = None,
    zip_method: str | None = None,
    jobs: int = 1,
    resume: bool = True,
    repair_signed: bool = False,
    locale: str | None = None,
    durable: bool = False,
    dry_run: bool = False,
    manifest: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Report:
    """Convert mailboxes to EML files, in constant memory, and say what became of every message.

    `sources` is one or several of: a path (a mailbox, an archive or a folder of some, an EML file), a URL, a
    binary file object, an iterable of bytes. `destination` is a folder (made if absent), a path that ends in
    ``.zip`` (volumes; `zip_size`, `zip_entries`, `zip_names`, `zip_method` are as for `ZipSink`) or a sink.
    `headers`, `newline`, `repair_signed` and `locale` are as for `EmlWriter`, `variant` as for `Parser`,
    `layout` as for `naming.Layout`. `dedup` is a policy of `DedupIndex` or an index that several runs share.
    `jobs` processes share the work on plain files.

    `profile` names a destination (`unmbox profiles` lists them) and says what is None here. `labels` puts a
    message into the folder of its ``"primary"`` label, or a ``"link"`` into each, or makes none (``"none"``);
    `system_labels` is a table of one's own. `include` and `exclude` are labels, or addresses after ``from:``,
    ``to:`` or ``address:``; `since` and `until` the first and last day, as the message's own date says it.
    What the profile's destination would refuse is listed; `refused="aside"` puts it apart as well.

    The manifest is ``unmbox-manifest.sqlite`` in the folder (beside ``NAME.zip``: ``NAME-manifest.sqlite``),
    or where `manifest` says; a sink of your own has none unless you give one. With it, the same call goes on
    where the last commit was (`resume=False` starts afresh and removes what the manifest names), and new
    sources are added. `durable` syncs every batch to the disk. `dry_run` reads, mends and counts as ever,
    but writes nothing; its report names what it would. `progress` is called ten times a second.

    Raises `UsageError` before anything is written, `SourceError` where a source cannot be read (on) and
    `DestinationError` where the destination refuses. What was committed before stays.
    """
    given = {name: value for name, value in locals().items() if name in _ORDERS}
    check_switches(resume=resume, durable=durable, dry_run=dry_run, repair_signed=repair_signed)
    opened, orders = Opened(sources), Orders(destination, **given)
    index, shared, policy = _index(dedup, dry_run=dry_run)
    options = {**orders.options, "variant": variant, "dedup": policy}
    manifest = orders.manifest() if manifest is None else manifest
    _check(opened, destination, manifest, shared=shared)
    with ExitStack() as stack:
        place = stack.enter_context(orders.place(durable=durable, dry_run=dry_run, manifest=manifest))
        record = None
        if manifest is not None:
            record = Manifest.open(manifest, options, durable=durable, afresh=not resume, dry=dry_run)
            index = stack.enter_context(_recorded(index, record, place, shared=shared))
        setup = Setup(str(place.folder), durable, orders.new_writer, orders.newline, variant)
        batches = _batches(orders, place, record, index, shared=shared)
        return place.told(Job(record, batches, setup, jobs=jobs, progress=progress).run(opened))


# What of its arguments `convert` leaves to `Orders`.
_ORDERS = frozenset(Options.__annotations__) - {"dedup", "resume", "durable", "dry_run"} | {"progress"}


def _batches(
    orders: Orders, place: Place, record: Manifest | None, index: DedupIndex, *, shared: bool
) -> Batches:
    # A kill may keep messages from a shared index, and then copies of them are kept too.
    by_place = shared or index.policy == "off"
    copies = Copies(index, record, shared=shared)
    copies.catch_up(BATCH_MESSAGES)
    return Batches(place, record, copies, orders.layout, by_place=by_place, sorter=orders.sorter)


def _check(
    opened: Opened,
    destination: str | os.PathLike[str] | Sink,
    manifest: str | os.PathLike[str] | None,
    *,
    shared: bool,
) -> None:
    """See that what is recorded will be there, and nothing that was written here is converted once more."""
    if manifest == "":
        raise UsageError("the manifest's name is empty, perhaps a variable that is not set: name a file")
    if isinstance(destination, (str, os.PathLike)):
        opened.destination = real_name(uri_of(os.path.realpath(destination)))
        refuse_own(opened.paths(), destination, manifest)
    if isinstance(destination, ZipSink) and (manifest is not None or shared):
        raise UsageError(
            "a ZipSink may still drop what it was given, so no manifest and no shared index can go with it: "
            "give its path, NAME.zip, as the destination"
        )
    if isinstance(destination, DirectorySink) and manifest is not None and not destination.replaces:
        raise UsageError(
            "a run that goes on writes some files once more, which this DirectorySink would refuse: "
            "give its path as the destination, or make it with replace=True"
        )


@contextmanager
def _recorded(index: DedupIndex, record: Manifest, place: Place, *, shared: bool) -> Iterator[DedupIndex]:
    """The index to use beside a manifest, from which and from the place a killed run's leavings are gone.

    The manifest is closed in the end.
    """
    with record:
        place.undo(record)
        if shared or index.policy == "off":
            yield index
            return
        with DedupIndex(connection=record.connection, policy=index.policy) as own:
            yield own


def _index(dedup: str | DedupIndex, *, dry_run: bool) -> tuple[DedupIndex, bool, str]:
    """The index that is meant, whether it is shared with other runs, and what is recorded of it."""
    if isinstance(dedup, str):
        return DedupIndex(policy=dedup), False, dedup
    if not isinstance(dedup, DedupIndex):
        raise UsageError(f"dedup is the name of a policy or a DedupIndex, not {dedup!r}")
    if dry_run:
        raise UsageError("a dry run would fill the shared index: give the name of a policy instead")
    return dedup, True, f"shared index, {dedup.policy}"
