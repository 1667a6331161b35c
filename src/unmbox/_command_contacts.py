"""`unmbox contacts`."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import click

from unmbox import profiles
from unmbox._command import opened, selection, shared, status, variant
from unmbox._contacts import Contacts, Rules, read
from unmbox._contacts_csv import Counts, read_companies, read_map, write_csv
from unmbox._folders import LabelTable
from unmbox._selection import Selection
from unmbox._terminal import bar, complain, no_message_has, say
from unmbox.errors import UsageError, refusal


@click.command("contacts")
@click.argument("sources", nargs=-1, type=click.Path(), metavar="SOURCE...")
@click.option("--output", "-o", metavar="FILE", help="Write the CSV here, not to standard output.")
@click.option(
    "--apart",
    metavar="FILE",
    help="Write the rows that lack something here, each with the reason; by default to OUTPUT-apart.csv.",
)
@click.option(
    "--profile",
    metavar="NAME",
    help="What the importer asks of a row, such as zoho-crm or zoho-campaigns, or a JSON file of your own.",
)
@click.option(
    "--map",
    "moved",
    metavar="OLD=NEW",
    multiple=True,
    help="An address of yours and the one that took its place (none: leave it out), or a CSV of such pairs.",
)
@click.option(
    "--company",
    "companies",
    metavar="DOMAIN=NAME",
    multiple=True,
    help="The company of the addresses of a domain; without DOMAIN= that of all others.",
)
@click.option(
    "--bom/--no-bom",
    default=False,
    show_default=True,
    help="Begin with the mark by which Excel knows UTF-8. An importer may take it for a part of a heading.",
)
@click.option("--locale", metavar="LANGUAGE", help="The language of raw text that does not say, such as ja.")
@selection
@variant
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
@shared
def command(
    sources: tuple[str, ...],
    *,
    output: str | None,
    apart: str | None,
    profile: str | None,
    moved: tuple[str, ...],
    companies: tuple[str, ...],
    bom: bool,
    locale: str | None,
    system_labels: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    since: str | None,
    until: str | None,
    variant: str,
    quiet: bool,
    as_json: bool,
) -> int:
    """Write the people of the mailboxes SOURCE... as a CSV in UTF-8: one row an address.

    People are those in From, To, Cc and Bcc. Names are split into family and given name only where the form
    leaves no doubt; what a message does not say stays empty. The mailboxes are only read.

    \b
    Examples:
      unmbox contacts "All mail.mbox" --exclude spam --exclude trash > contacts.csv
      unmbox contacts "All mail.mbox" -o contacts.csv --profile zoho-crm
      unmbox contacts "All mail.mbox" -o contacts.csv --map me@old.example=me@new.example
    """
    if not sources:
        raise click.UsageError("say whose people to list: SOURCE...")
    output = None if output == "-" else output
    if as_json and not output:
        raise click.UsageError("standard output is for the JSON: say where the CSV goes with --output FILE")
    rules = Rules()
    if profile:
        rules = Rules.of(profile, profiles.load(profile).contacts)
    wanted = Selection(LabelTable.load(system_labels), include, exclude, since, until)
    aside = _apart_of(output, apart)
    encoding = "utf-8-sig" if bom else "utf-8"
    with ExitStack() as stack:
        people = stack.enter_context(
            Contacts(moved=read_map(moved), companies=read_companies(companies), locale=locale, wanted=wanted)
        )
        if aside and os.path.lexists(aside):
            raise _in_the_way(aside)
        # Opened before the long work, so that nothing is in the way after it.
        taken = stack.enter_context(_output(output, encoding))
        with bar(quiet=quiet) as show:
            read_all = read(opened(sources), people, variant=variant, progress=show)

        def other() -> TextIO:
            return stack.enter_context(_new_file(aside, encoding) if aside else _nowhere())

        if read_all.empty and not people.messages:
            status(read_all.empty)
            raise UsageError("nothing was written: no message was found")
        counts = write_csv(people.rows(), rules, taken, other)
        told = {**_told(people, counts, output, aside), "unmatched": list(wanted.unmatched)}
    if as_json:
        amiss = {"not_mbox": read_all.empty, "missing": read_all.missing}
        damaged = [each._asdict() for each in read_all.damaged]
        say(json.dumps({**told, **amiss, "damaged": damaged}, indent=2))
    elif not quiet:
        (say if output else complain)(_summary(told))
    nothing = not people.messages
    return status(read_all.empty, read_all.damaged, read_all.missing, nothing=nothing)


def _apart_of(output: str | None, apart: str | None) -> str | None:
    """The file for what is put apart: the one that is named, else one beside the output."""
    if output == "" or apart == "":
        raise click.UsageError("the name of a file is empty, perhaps a variable that is not set: name a file")
    if output and not Path(output).name:
        raise click.UsageError(f"{output} is a folder: name a file")
    aside = apart or (f"{Path(output).with_suffix('')}-apart.csv" if output else None)
    if output and aside and os.path.abspath(output) == os.path.abspath(aside):  # noqa: PTH100  # resolve() follows links
        raise click.UsageError("--output and --apart must be two files")
    return aside


def _told(people: Contacts, counts: Counts, output: str | None, aside: str | None) -> dict[str, Any]:
    return {
        "messages": people.messages,
        "copies": people.copies,
        "filtered": people.left_out,
        **counts._asdict(),
        "output": output,
        "apart_file": aside if counts.apart else None,
    }


def _summary(told: dict[str, Any]) -> str:
    text = _count(told["messages"], "message")
    if told["filtered"]:
        text += f", {told['filtered']:,} filtered out"
    text += f": {_count(told['contacts'], 'contact')}"
    if told["apart"]:
        file = told["apart_file"]
        text += f"; {told['apart']:,} "
        text += f"apart in {file}, with the reason" if file else "left out: --apart FILE lists them"
    if told["unmatched"]:
        text += f"\n{no_message_has(told['unmatched'])}"
    return text


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def _new_file(path: str, encoding: str) -> Iterator[TextIO]:
    """A file that was not there before, and is not there afterwards unless all went well."""
    try:
        file = Path(path).open("x", encoding=encoding, newline="")  # noqa: SIM115  # closed below
    except FileExistsError as error:
        raise _in_the_way(path) from error
    except OSError as error:
        raise refusal(f"{path} cannot be written: {error.strerror}", error.errno) from error
    try:
        with file:
            yield file
    except BaseException:
        with suppress(OSError):
            Path(path).unlink()
        raise


def _in_the_way(path: str) -> UsageError:
    return UsageError(f"{path} is there already and is not overwritten: choose another name, or move it away")


def _output(path: str | None, encoding: str) -> AbstractContextManager[TextIO]:
    if path:
        return _new_file(path, encoding)
    return _standard_output(encoding) if sys.stdout else _nowhere()


@contextmanager
def _standard_output(encoding: str) -> Iterator[TextIO]:
    text = io.TextIOWrapper(sys.stdout.buffer, encoding=encoding, newline="", write_through=False)
    try:
        yield text
        text.flush()
    except BrokenPipeError:  # a reader that has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        with suppress(OSError, ValueError):
            text.detach()


@contextmanager
def _nowhere() -> Iterator[TextIO]:
    yield io.StringIO()
