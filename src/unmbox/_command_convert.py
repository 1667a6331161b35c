"""`unmbox convert`."""

from __future__ import annotations

import json
import os
import re
from typing import Any, ClassVar

import click

import unmbox
from unmbox._command import DAMAGED, DONE, opened, selection, shared, status, variant
from unmbox._folders import MODES
from unmbox._sorter import REFUSED
from unmbox._terminal import bar, say, summary
from unmbox._volume import ZIP_METHODS, ZIP_NAMES
from unmbox._writer import HEADERS, NEWLINES
from unmbox.dedup import POLICIES
from unmbox.naming import DEFAULT_LAYOUT


class Size(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """Octets, as a number or with kB, MB or GB."""

    name = "size"
    _units: ClassVar = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The octets that are meant."""
        found = re.fullmatch(r"([0-9]+)\s*([kmg]?)b?", str(value).strip().lower())
        if not found:
            self.fail(f"{value!r} is no size: write it as 480MB", param, ctx)
        return int(found[1]) * self._units[found[2]]


@click.command("convert")
@click.argument("paths", nargs=-1, type=click.Path(), metavar="SOURCE... DEST")
@click.option(
    "--headers",
    type=click.Choice(HEADERS),
    help="repair (the default): mend the fields that strict importers refuse. preserve: change nothing but "
    "line ends.",
)
@click.option(
    "--repair-signed",
    is_flag=True,
    help="Make repairs, too, that break a signature which could still verify.",
)
@click.option(
    "--locale",
    metavar="LANGUAGE",
    default=None,
    help="The language of raw text that does not say, such as ja.",
)
@click.option(
    "--newline",
    type=click.Choice(NEWLINES),
    help="How lines end in the EML files; crlf by default.",
)
@variant
@click.option(
    "--dedup",
    type=click.Choice(POLICIES),
    default="message-id+body",
    show_default=True,
    help="What makes a message a copy, of which only the first is written.",
)
@click.option(
    "--layout",
    metavar="TEMPLATE",
    help="Folders and name of an EML file, from {year}, {month}, {day}, {date}, {time}, {subject}, {sender} "
    f"and {{hash}}, which the name must have. By default {DEFAULT_LAYOUT}, less the folders where "
    "labels make them.",
)
@click.option(
    "--profile",
    metavar="NAME",
    help="Where the mail goes, such as zoho-mail (unmbox profiles lists them), or a JSON file of yours: "
    "says what no option says, and lists what is refused there.",
)
@click.option(
    "--labels",
    type=click.Choice(MODES),
    help="Folders of Gmail's labels. primary: each message in one. link: a hard link in each. none: none, "
    "the default without a profile.",
)
@selection
@click.option(
    "--refused",
    type=click.Choice(REFUSED),
    help="keep (the default): only list what the profile's destination would refuse. aside: write it into "
    "the folder refused instead of among the rest.",
)
@click.option(
    "--zip-size",
    metavar="SIZE",
    type=Size(),
    help="For a DEST that ends in .zip: the most that a volume may have, such as 480MB, the default.",
)
@click.option("--zip-entries", metavar="N", type=int, help="The most messages of a volume; 10000 by default.")
@click.option(
    "--zip-names", type=click.Choice(ZIP_NAMES), help="Letters of names in a ZIP; utf-8 by default."
)
@click.option("--zip-method", type=click.Choice(ZIP_METHODS), help="deflated (the default) or stored.")
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on where an earlier run into DEST stopped, or remove what it wrote and start afresh.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Processes that convert side by side; the outcome is the same. For mailboxes that are plain files.",
)
@click.option("--durable", is_flag=True, help="Sync to the disk as it goes: slower, safe from a power cut.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
@shared
def command(paths: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> int:
    """Write every message of the mailboxes SOURCE... as an EML file into the folder DEST, or a ZIP.

    SOURCE is a mailbox, an archive (Takeout's .zip or .tgz), a folder or a URL; - is standard input. DEST is
    made if it is not there; one that ends in .zip is a ZIP, in as many volumes as it takes. No file of yours
    is overwritten. The same command again goes on where the last one stopped; new sources add what is new.

    \b
    Examples:
      unmbox convert "All mail.mbox" eml/
      unmbox convert Inbox.mbox Sent.mbox eml/ --layout "{year}/{subject}_{hash}"
      unmbox convert --dry-run "All mail.mbox" eml/
      unmbox convert --profile zoho-mail --exclude spam --exclude trash "All mail.mbox" zoho.zip
      unmbox convert takeout-20240101T000000Z-*.zip eml/
    """
    if len(paths) < 2:
        given = f'"{paths[0]}"' if paths else "nothing"
        raise click.UsageError(f"say what to convert and where to: SOURCE... DEST (given: {given})")
    *sources, destination = paths
    if destination == "-":
        raise click.UsageError("standard output takes no files: name a folder (./- if it is called so)")
    if not destination.lower().endswith(".zip") and os.path.isfile(destination):  # noqa: PTH113  # raises nothing
        raise click.UsageError(
            f"{destination} is a file: the last word says where to write, so name a folder or NAME.zip"
        )
    with bar(quiet=quiet) as show:
        report = unmbox.convert(opened(sources), destination, progress=show, **options)
    if as_json:
        say(json.dumps(report.to_dict(), indent=2))
    elif not quiet:
        say(summary(report, destination, dry_run=options["dry_run"]))
    nothing = not (report.bytes_in or report.already)
    return status(report.not_mbox, report.damaged, report.missing, nothing=nothing) or (
        DAMAGED if report.quarantined else DONE
    )
