"""The command `unmbox`: `convert` and `inspect` for people and scripts.

Exit status: 0 done; 1 done, but something in the mail was damaged; 2 bad use, or a source that cannot be
read or is no mailbox; 3 stopped early, a rerun goes on; 130 and 143 for SIGINT and SIGTERM.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

import unmbox
from unmbox._inspect import Inspection, inspect
from unmbox._variant import VARIANTS
from unmbox._writer import HEADERS, NEWLINES
from unmbox.naming import DEFAULT_LAYOUT

DONE, BAD_USE, STOPPED = 0, 2, 3

# A destination that was good at first and gave out under way: nothing that the user asked for was wrong.
_GAVE_OUT = {
    getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "ENFILE", "EMFILE")
}
_SHOWN = 20
_WIDE = 76


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
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(BAD_USE)


def _shared(function: Callable[..., int]) -> Callable[..., int]:
    """The options that both commands have."""
    for option in (
        click.option(
            "--debug", is_flag=True, expose_value=False, help="Show where in the program an error arose."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
        click.option(
            "--variant",
            type=click.Choice(VARIANTS),
            default="auto",
            show_default=True,
            help='How the mailbox protects lines that begin "From ". Decided from its text unless named.',
        ),
    ):
        function = option(function)
    return function


@command.command("convert", short_help="Write every message as an EML file into a folder.")
@click.argument("paths", nargs=-1, metavar="SOURCE... DEST")
@click.option(
    "--headers",
    type=click.Choice(HEADERS),
    default="preserve",
    show_default=True,
    help="preserve: change nothing in a header but its line ends.",
)
@click.option(
    "--newline",
    type=click.Choice(NEWLINES),
    default="crlf",
    show_default=True,
    help="How lines end in the EML files.",
)
@click.option(
    "--layout",
    metavar="TEMPLATE",
    default=DEFAULT_LAYOUT,
    help="Folders and name of an EML file, from {year}, {month}, {day}, {date}, {time}, {subject}, {sender} "
    f"and {{hash}}, which the name must have. By default {DEFAULT_LAYOUT}",
)
@_shared
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
def _convert(paths: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> int:
    """Write every message of the mailboxes SOURCE... as an EML file into the folder DEST.

    SOURCE - is standard input. DEST is made if it is not there. No file of yours is overwritten.

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
    with _bar(quiet=quiet) as progress:
        report = unmbox.convert(_opened(sources), destination, progress=progress, **options)
    if as_json:
        _say(json.dumps(report.to_dict(), indent=2))
    elif not quiet:
        _say(_summary(report, destination))
    return _status(report.not_mbox)


@command.command("inspect", short_help="Say what mailboxes hold; write nothing.")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@_shared
def _inspect(sources: tuple[str, ...], *, as_json: bool, variant: str) -> int:
    """Say what the mailboxes SOURCE... hold: messages, dates, labels, and lines that may mislead.

    Nothing is written. SOURCE - is standard input.

    \b
    Examples:
      unmbox inspect "All mail.mbox"
      unmbox inspect --json *.mbox | jq .labels
    """
    if not sources:
        raise click.UsageError("say what to inspect: SOURCE...")
    with _bar(quiet=False) as progress:
        found = inspect(_opened(sources), variant=variant, progress=progress)
    _say(json.dumps(found.to_dict(), indent=2) if as_json else _overview(found))
    return _status(found.not_mbox)


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
        _complain(
            f'{name} is no mbox: no line of it that begins "From " starts a message. Is it the right file?'
        )
    return BAD_USE if not_mbox else DONE


# -- what people read ------------------------------------------------------------------------------------


def _summary(report: unmbox.Report, destination: str) -> str:
    lines = [f"{_count(report.written, 'message')} ({_size(report.bytes_in)}) now EML files in {destination}"]
    if report.seconds >= 1:
        lines[0] += f", {report.seconds:,.0f} s at {_size(report.bytes_in / report.seconds)}/s"
    if report.rejected:
        lines.append(
            f'{_count(report.rejected, "line")} beginning "From " left as text: unmbox inspect says why'
        )
    if report.junk:
        lines.append(f"{_count(report.junk, 'octet')} left out: before the first message, part of none")
    return "\n".join(lines)


def _overview(found: Inspection) -> str:
    lines = [f"{_count(found.messages, 'message')} in {_size(found.octets)}"]
    if found.first and found.last:
        lines[0] += f", {found.first:%Y-%m-%d} to {found.last:%Y-%m-%d}"
    sources = [
        f"{each.messages:>9,}  {each.name}  ({_size(each.octets)}, {each.variant}"
        + (f", {_count(each.junk, 'octet')} before the first message)" if each.junk else ")")
        for each in found.sources
    ]
    years = [f"{count:>9,}  {year:04}" for year, count in sorted(found.years.items())]
    if found.undated:
        years.append(f"{found.undated:>9,}  without a date")
    labels = [f"{count:>9,}  {label}" for label, count in found.labels.most_common()]
    biggest = [f"{_size(each.length):>9}  {each.subject or '(no subject)'}" for each in found.biggest]
    rejected = [f"{each.offset:>9,}  {each.reason}: {each.line}" for each in found.rejected]
    for title, rows, total in (
        ("Sources", sources, len(sources)),
        ("Years", years, len(years)),
        ("Labels", labels, len(labels)),
        ("Biggest", biggest, len(biggest)),
        ('Lines beginning "From " that start no message (octet, why)', rejected, found.rejections.total()),
    ):
        if rows:
            shown = rows if title == "Years" else rows[:_SHOWN]
            more = (
                [f"{'':>9}  and {total - len(shown):,} more: --json has them"] if total > len(shown) else []
            )
            lines += ["", title, *shown, *more]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(octets: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            break
        octets /= 1000
    return f"{octets:,.0f} {unit}" if unit == "B" else f"{octets:,.1f} {unit}"


def _say(text: str) -> None:
    """Print to standard output. Nobody there any more is no error: the work is done."""
    try:
        print(_printable(text), flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more as it ends; give it somewhere to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(sentence: str) -> None:
    try:
        print(f"unmbox: {_printable(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        return  # nobody to complain to; the exit status says it too


def _printable(text: str) -> str:
    """`text` without what would drive a terminal: subjects, labels and names are strangers' words."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[unmbox.Progress], object] | None]:
    """A progress bar on standard error, if that is a terminal that can draw one."""
    if quiet or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    try:
        from rich import progress as parts
        from rich.console import Console
        from rich.table import Column
    except ModuleNotFoundError:
        yield None
        return
    console = Console(stderr=True)

    def text(template: str, width: int) -> parts.TextColumn:
        # The source's name is a stranger's word: no markup. Nothing may wrap, or the bar grows lines.
        column = Column(no_wrap=True, overflow="ellipsis", max_width=width)
        return parts.TextColumn(template, markup=False, table_column=column)

    columns: list[parts.ProgressColumn] = [
        text("{task.fields[messages]:,} messages", 20),
        parts.BarColumn(bar_width=None),
        parts.TimeRemainingColumn(compact=True),
    ]
    if console.width >= _WIDE:
        columns[1:1] = [parts.DownloadColumn(), parts.TransferSpeedColumn()]
        columns.insert(0, text("{task.fields[source]}", 16))
    bar = parts.Progress(
        *columns,
        console=console,
        auto_refresh=False,  # no thread: the reports come often enough
        transient=True,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task("", total=None, messages=0, source="")

        def show(now: unmbox.Progress) -> None:
            bar.update(
                task,
                completed=now.octets,
                total=now.octets_total,
                messages=now.messages,
                source=_printable(Path(now.source).name),
                refresh=True,
            )

        yield show


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
            traceback.print_exception(error)
        status, sentence = _account(error)
        if "--json" in given:
            _say(json.dumps({"error": sentence, "status": status}))
        _complain(sentence)
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
        return 128 + error.number, f"stopped by {name}; the EML files that are in place are whole"
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "unmbox"
        sentence = re.sub(r"(?<!\.)\.$", "", error.format_message())
        return BAD_USE, f"{sentence} ({path} --help says more)"
    if isinstance(error, unmbox.UnmboxError):
        # An errno gives an OSError's text a number in front, which is nobody's first concern.
        sentence = (isinstance(error, OSError) and error.strerror) or str(error)
        gave_out = isinstance(error, OSError) and error.errno in _GAVE_OUT
        return (STOPPED if gave_out else BAD_USE), sentence
    if isinstance(error, OSError):
        return STOPPED, f"the system refuses: {error}"
    what = f"{type(error).__name__}: {error}"
    return STOPPED, f"a fault of unmbox's own ({what}): please report what the same command says with --debug"
