"""The command `unmbox`: `convert`, `inspect` and `verify` for people and scripts.

Exit status: 0 done; 1 done, but something in the mail was damaged; 2 bad use, or a source that cannot be
read or is no mailbox; 3 stopped early, a rerun goes on; 130 and 143 for SIGINT and SIGTERM.
"""

from __future__ import annotations

import errno
import io
import json
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import click

import unmbox
from unmbox._terminal import bar, complain, findings, overview, say, summary
from unmbox._variant import VARIANTS
from unmbox._writer import HEADERS, NEWLINES
from unmbox.dedup import POLICIES
from unmbox.naming import DEFAULT_LAYOUT

DONE, DAMAGED, BAD_USE, STOPPED = 0, 1, 2, 3

# What may be otherwise in an hour, even before the first message: nothing that the user asked for was wrong.
_GAVE_OUT = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "ENFILE", "EMFILE", "EAGAIN")}
# Something of the user's stands in the way, however late it is met.
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}


class _Signal(BaseException):
    """A signal asks us to stop. Not an Exception, so that everything in between only cleans up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(unmbox.__version__, "--version", message="unmbox %(version)s")
@click.pass_context
def command(context: click.Context) -> None:
    """Convert MBOX mailboxes, such as Google Takeout's, to EML files.

    \b
    unmbox convert "All mail.mbox" eml/     one EML file a message, in eml/
    unmbox inspect "All mail.mbox"          what is in there, nothing written
    unmbox verify eml/                      proof that nothing was lost
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(BAD_USE)


def _shared(function: Callable[..., int]) -> Callable[..., int]:
    """The options that all commands have."""
    for option in (
        click.option(
            "--debug", is_flag=True, expose_value=False, help="Show where in the program an error arose."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
    ):
        function = option(function)
    return function


_variant = click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    default="auto",
    show_default=True,
    help='How the mailbox protects lines that begin "From ". Decided from its text unless named.',
)


@command.command("convert", short_help="Write every message as an EML file into a folder.")
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
@_variant
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
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
@_shared
def _convert(paths: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> int:
    """Write every message of the mailboxes SOURCE... as an EML file into the folder DEST.

    SOURCE - is standard input. DEST is made if it is not there. No file of yours is overwritten. The same
    command again goes on where the last one stopped; new sources add what is new in them.

    \b
    Examples:
      unmbox convert "All mail.mbox" eml/
      unmbox convert Inbox.mbox Sent.mbox eml/ --layout "{year}/{subject}_{hash}"
      unzip -p takeout-001.zip "*.mbox" | unmbox convert - eml/
    """
    if len(paths) < 2:
        given = f'"{paths[0]}"' if paths else "nothing"
        raise click.UsageError(f"say what to convert and where to: SOURCE... DEST (given: {given})")
    *sources, destination = paths
    with bar(quiet=quiet) as show:
        report = unmbox.convert(_opened(sources), destination, progress=show, **options)
    if as_json:
        say(json.dumps(report.to_dict(), indent=2))
    elif not quiet:
        say(summary(report, destination))
    return _status(report.not_mbox) or (DAMAGED if report.quarantined else DONE)


@command.command("inspect", short_help="Say what mailboxes hold; write nothing.")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@_variant
@_shared
def _inspect(sources: tuple[str, ...], *, as_json: bool, variant: str) -> int:
    """Say what the mailboxes SOURCE... hold: messages, dates, labels, and lines that may mislead.

    Nothing is written. SOURCE - is standard input.

    \b
    Examples:
      unmbox inspect "All mail.mbox"
      unmbox inspect --json *.mbox | jq .labels
    """
    from unmbox._inspect import inspect

    if not sources:
        raise click.UsageError("say what to inspect: SOURCE...")
    with bar(quiet=False) as show:
        found = inspect(_opened(sources), variant=variant, progress=show)
    say(json.dumps(found.to_dict(), indent=2) if as_json else overview(found))
    return _status(found.not_mbox)


@command.command("verify", short_help="Prove that every EML is what was written, and nothing was lost.")
@click.argument("destination", metavar="DEST")
@click.option(
    "--source", "sources", multiple=True, metavar="SOURCE", help="Read this source again and compare."
)
@_shared
def _verify(destination: str, sources: tuple[str, ...], *, as_json: bool) -> int:
    """Prove that every octet of every source is accounted for and every EML in DEST is what was written.

    Nothing is changed. What does not hold is named, and the exit status is 1.

    \b
    Examples:
      unmbox verify eml/
      unmbox verify eml/ --source "All mail.mbox"
    """
    from unmbox._verify import verify

    with bar(quiet=False, octets=False) as show:

        def rows(done: int, total: int) -> None:
            if show:
                show(unmbox.Progress(done, total, done, destination))

        found = verify(destination, sources=_opened(sources) or None, progress=rows)
    say(json.dumps(found.to_dict(), indent=2) if as_json else findings(found, destination))
    return DONE if found.ok else DAMAGED


def _opened(sources: Sequence[str]) -> list[str | BinaryIO]:
    if sources.count("-") > 1:
        raise click.UsageError("standard input can be read once: name - once")
    if "-" in sources and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError(
            "nothing comes from standard input: pipe a mailbox into the command, or name a file"
        )
    return [sys.stdin.buffer if source == "-" else source for source in sources]


def _status(not_mbox: Sequence[str]) -> int:
    for name in not_mbox:
        complain(
            f'{name} is no mbox: no line of it that begins "From " starts a message. Is it the right file?'
        )
    return BAD_USE if not_mbox else DONE


# -- how it ends -----------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's own) and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _heed_signals()
    try:
        return command.main(arguments, prog_name="unmbox", standalone_mode=False) or DONE
    except (_Signal, Exception) as error:
        given = sys.argv[1:] if arguments is None else arguments
        if "--debug" in given:
            import traceback

            traceback.print_exception(error)
        status, sentence = _account(error)
        if "--json" in given:
            say(json.dumps({"error": sentence, "status": status}))
        complain(sentence)
        return status


def _heed_signals() -> None:
    def stop(number: int, _: object) -> None:
        for each in heeded:  # a second one must not disturb the cleaning up
            signal.signal(each, signal.SIG_IGN)
        raise _Signal(number)

    wanted = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    # What the parent had us ignore (nohup, a shell's background job) stays ignored.
    heeded = [each for each in wanted if each is not None and signal.getsignal(each) is not signal.SIG_IGN]
    for each in heeded:
        signal.signal(each, stop)


def _account(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and the sentence that says what to do."""
    if isinstance(error, _Signal):
        name = signal.Signals(error.number).name
        return (
            128 + error.number,
            f"stopped by {name}; what is written is whole, and the same command again goes on from there",
        )
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "unmbox"
        sentence = re.sub(r"(?<!\.)\.$", "", error.format_message())
        return BAD_USE, f"{sentence} ({path} --help says more)"
    if isinstance(error, unmbox.UnmboxError):
        # An errno gives an OSError's text a number in front, which is nobody's first concern.
        sentence = (isinstance(error, OSError) and error.strerror) or str(error)
        gave_out = isinstance(error, OSError) and error.errno in _GAVE_OUT
        gave_out |= isinstance(error, unmbox.SourceError) and error.offset is not None
        if isinstance(error, unmbox.DestinationError) and error.under_way:
            gave_out |= error.errno not in _IN_THE_WAY
        return (STOPPED if gave_out else BAD_USE), sentence
    if isinstance(error, OSError):
        return STOPPED, f"the system refuses: {error}"
    what = f"{type(error).__name__}: {error}"
    return STOPPED, f"a fault of unmbox's own ({what}): please report what the same command says with --debug"
