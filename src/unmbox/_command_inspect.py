"""`unmbox inspect`."""

from __future__ import annotations

import json

import click

from unmbox._command import opened, shared, status, variant
from unmbox._inspect import inspect
from unmbox._terminal import bar, fitted, overview, say


@click.command("inspect")
@click.argument("sources", nargs=-1, type=click.Path(), metavar="SOURCE...")
@click.option(
    "--deep",
    is_flag=True,
    help="Look at bodies too: for copies, for defects in them, and for what each profile would refuse.",
)
@variant
@shared
def command(sources: tuple[str, ...], *, as_json: bool, deep: bool, variant: str) -> int:
    """Say what the mailboxes SOURCE... hold: messages, years, labels, senders, sizes, charsets, defects.

    Nothing is written. Without --deep it is what the heads tell. SOURCE - is standard input.

    \b
    Examples:
      unmbox inspect "All mail.mbox"
      unmbox inspect --deep takeout-*.zip
      unmbox inspect --json *.mbox | jq .labels
    """
    if not sources:
        raise click.UsageError("say what to inspect: SOURCE...")
    with bar(quiet=False) as show:
        found = inspect(opened(sources), variant=variant, deep=deep, progress=show)
    say(json.dumps(found.to_dict(), indent=2) if as_json else fitted(overview(found)))
    return status(found.not_mbox, found.damaged, found.missing, nothing=not found.octets)
