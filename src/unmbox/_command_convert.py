"""`unmbox convert`."""

from __future__ import annotations

import json
from typing import Any

import click

import unmbox
from unmbox._command import DAMAGED, DONE, opened, shared, status, variant
from unmbox._terminal import bar, say, summary
from unmbox._writer import HEADERS, NEWLINES
from unmbox.dedup import POLICIES
from unmbox.naming import DEFAULT_LAYOUT


@click.command("convert")
@click.argument("paths", nargs=-1, metavar="SOURCE... DEST")
@click.option(
    "--headers",
    type=click.Choice(HEADERS),
    default="repair",
    show_default=True,
    help="repair: mend the fields that strict importers refuse. preserve: change nothing but line ends.",
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
    default="crlf",
    show_default=True,
    help="How lines end in the EML files.",
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
    default=DEFAULT_LAYOUT,
    help="Folders and name of an EML file, from {year}, {month}, {day}, {date}, {time}, {subject}, {sender} "
    f"and {{hash}}, which the name must have. By default {DEFAULT_LAYOUT}",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on where an earlier run into DEST stopped, or remove what it wrote and start afresh.",
)
@click.option("--durable", is_flag=True, help="Sync to the disk as it goes: slower, safe from a power cut.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
@shared
def command(paths: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> int:
    """Write every message of the mailboxes SOURCE... as an EML file into the folder DEST.

    SOURCE - is standard input. DEST is made if it is not there. No file of yours is overwritten. The same
    command again goes on where the last one stopped; new sources add what is new in them.

    \b
    Examples:
      unmbox convert "All mail.mbox" eml/
      unmbox convert Inbox.mbox Sent.mbox eml/ --layout "{year}/{subject}_{hash}"
      unmbox convert --dry-run "All mail.mbox" eml/
      unzip -p takeout-001.zip "*.mbox" | unmbox convert - eml/
    """
    if len(paths) < 2:
        given = f'"{paths[0]}"' if paths else "nothing"
        raise click.UsageError(f"say what to convert and where to: SOURCE... DEST (given: {given})")
    *sources, destination = paths
    with bar(quiet=quiet) as show:
        report = unmbox.convert(opened(sources), destination, progress=show, **options)
    if as_json:
        say(json.dumps(report.to_dict(), indent=2))
    elif not quiet:
        say(summary(report, destination, dry_run=options["dry_run"]))
    return status(report.not_mbox, report.damaged, report.missing) or (
        DAMAGED if report.quarantined else DONE
    )
