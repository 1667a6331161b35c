"""`unmbox inspect`."""

from __future__ import annotations

import json

import click

from unmbox._command import opened, shared, status, variant
from unmbox._inspect import inspect
from unmbox._terminal import bar, overview, say


@click.command("inspect")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@variant
@shared
def command(sources: tuple[str, ...], *, as_json: bool, variant: str) -> int:
    """Say what the mailboxes SOURCE... hold: messages, dates, labels, and lines that may mislead.

    Nothing is written. SOURCE - is standard input.

    \b
    Examples:
      unmbox inspect "All mail.mbox"
      unmbox inspect --json *.mbox | jq .labels
    """
    if not sources:
        raise click.UsageError("say what to inspect: SOURCE...")
    with bar(quiet=False) as show:
        found = inspect(opened(sources), variant=variant, progress=show)
    say(json.dumps(found.to_dict(), indent=2) if as_json else overview(found))
    return status(found.not_mbox, found.damaged, found.missing)
