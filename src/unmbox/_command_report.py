"""`unmbox report`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from unmbox._command import DONE, shared
from unmbox._page_words import LANGUAGES
from unmbox._terminal import say
from unmbox.report import write_report


@click.command("report")
@click.argument("destination", type=click.Path(), metavar="DEST")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The HTML file; by default unmbox-report.html in DEST.",
)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="The language of the page; by default that of the system.",
)
@shared
def command(destination: str, output: Path | None, language: str | None, *, as_json: bool) -> int:
    """Write an HTML page about what became of the mail in DEST, and CSV files of its lists beside it.

    The page is one file that needs no network and runs no script. The EML files are not read.

    \b
    Examples:
      unmbox report eml/
      unmbox report eml/ --language ja --output report.html
    """
    if output and str(output) == "-":
        raise click.UsageError("the page has CSV files beside it: name a file (./- if it is called so)")
    page = write_report(destination, output, language=language)
    say(json.dumps({"report": str(page)}) if as_json else f"{page} ({page.stat().st_size:,} octets)")
    return DONE
