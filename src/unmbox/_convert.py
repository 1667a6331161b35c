"""`convert()`: sources in, a folder of EML files, its manifest and a `Report` out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from unmbox._batches import Batches
from unmbox._copies import Copies
from unmbox._job import Job
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._place import Nowhere, Place
from unmbox._report import Progress, Report
from unmbox._writer import EmlWriter
from unmbox.dedup import DedupIndex
from unmbox.errors import UsageError
from unmbox.manifest import MANIFEST_NAME, Manifest
from unmbox.naming import DEFAULT_LAYOUT, Layout
from unmbox.sinks import Sink
from unmbox.sources import SourceLike


def convert(
    sources: SourceLike | Iterable[SourceLike],
    destination: str | os.PathLike[str] | Sink,
    *,
    headers: str = "repair",
    newline: str = "crlf",
    variant: str = "auto",
    dedup: str | DedupIndex = "message-id+body",
    layout: str = DEFAULT_LAYOUT,
    resume: bool = True,
    repair_signed: bool = False,
    locale: str | None = None,
    durable: bool = False,
    dry_run: bool = False,
    manifest: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Report:
    """Convert mailboxes to EML files, in constant memory, and say what became of every message.

    `sources` is one or several of: a path, a binary file object, an iterable of bytes. `destination` is a
    folder (made if absent) or a sink. `headers`, `newline`, `repair_signed` and `locale` are as for
    `EmlWriter`, `variant` as for `Parser`, `layout` as for `naming.Layout`. `dedup` is a policy of
    `DedupIndex` or an index that several runs share.

    The manifest is ``unmbox-manifest.sqlite`` in the folder, or the path that `manifest` gives; a sink of
    your own has none unless you give one. With it, the same call again goes on where the last commit was
    (`resume=False` starts afresh and removes what the manifest names), and new sources are added.
    `durable` syncs every batch to the disk. `dry_run` reads, mends and counts as ever, what an earlier run
    has done included, but writes nothing: no folder, no file, no manifest. `progress` is called with a
    `Progress` ten times a second.

    Raises `UsageError` before anything is written, `SourceError` where a source cannot be read (on) and
    `DestinationError` where the destination refuses. What was committed before stays, and the same call
    goes on from there.
    """
    opened = Opened(sources)
    new_writer = partial(
        EmlWriter, headers=headers, newline=newline, repair_signed=repair_signed, locale=locale
    )
    new_writer()  # a bad option is an error now, before anything is written
    Parser(variant=variant)
    names = Layout(layout)
    index, shared = _index(dedup, dry_run=dry_run)
    options = {
        "headers": headers,
        "newline": newline,
        "variant": variant,
        "dedup": f"shared index, {index.policy}" if shared else index.policy,
        "layout": layout,
        "repair_signed": str(repair_signed).lower(),
        "locale": locale or "",
    }
    if manifest is None and isinstance(destination, (str, os.PathLike)):
        manifest = Path(destination) / MANIFEST_NAME
    with ExitStack() as stack:
        place = stack.enter_context(Place(Nowhere() if dry_run else destination, durable=durable))
        record: Manifest | None = None
        if manifest is not None:
            opening = Manifest.open(manifest, options, durable=durable, afresh=not resume, dry=dry_run)
            record = stack.enter_context(opening)
            index = _recorded(index, record, place, shared=shared)
        # A kill may keep messages from a shared index, and then copies of them are kept too.
        by_place = shared or index.policy == "off"
        batches = Batches(place, record, Copies(index, record, shared=shared), names, by_place=by_place)
        job = Job(record, batches, new_writer, variant=variant, newline=newline, progress=progress)
        return job.run(opened)


def _recorded(index: DedupIndex, record: Manifest, place: Place, *, shared: bool) -> DedupIndex:
    """The index to use beside a manifest, from which and from the place a killed run's leavings are gone."""
    place.clear_leftovers()
    record.undo_pending(place.remove)
    if shared or index.policy == "off":
        return index
    return DedupIndex(connection=record.connection, policy=index.policy)


def _index(dedup: str | DedupIndex, *, dry_run: bool) -> tuple[DedupIndex, bool]:
    """The index that is meant, and whether it is shared with other runs."""
    if isinstance(dedup, str):
        return DedupIndex(policy=dedup), False
    if dry_run:
        raise UsageError("a dry run would fill the shared index: give the name of a policy instead")
    return dedup, True
