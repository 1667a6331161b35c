"""`unmbox verify`."""

from __future__ import annotations

import json

import click

import unmbox
from unmbox._command import DAMAGED, DONE, opened, shared
from unmbox._terminal import bar, findings, say
from unmbox._verify import verify


@click.command("verify")
@click.argument("destination", type=click.Path(), metavar="DEST")
@click.option(
    "--source", "sources", multiple=True, metavar="SOURCE", help="Read this source again and compare."
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Read N files side by side.",
)
@shared
def command(destination: str, sources: tuple[str, ...], *, jobs: int, as_json: bool) -> int:
    """Prove that every octet of every source is accounted for and every EML in DEST is what was written.

    Nothing is changed. What does not hold is named, and the exit status is 1.

    \b
    Examples:
      unmbox verify eml/
      unmbox verify eml/ --source "All mail.mbox"
    """
    with bar(quiet=False, octets=False) as show:

        def rows(done: int, total: int) -> None:
            if show:
                show(unmbox.Progress(done, total, done, destination))

        found = verify(destination, sources=opened(sources) or None, jobs=jobs, progress=rows)
    say(json.dumps(found.to_dict(), indent=2) if as_json else findings(found, destination))
    return DONE if found.ok else DAMAGED
