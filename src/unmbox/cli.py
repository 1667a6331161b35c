"""The command `unmbox`, for people and scripts: its group, and how it ends.

Each command lives in a module of its own, loaded when it is called, so that `--help` is quick.

Exit status: 0 done; 1 done, but something in the mail was damaged; 2 bad use, or a source that cannot be
read or is no mailbox; 3 stopped early, a rerun goes on; 130 and 143 for SIGINT and SIGTERM.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile

import click

import unmbox
from unmbox._command import BAD_USE, DONE, STOPPED
from unmbox._terminal import complain, on_one_line, say

_COMMANDS = {
    "convert": "Write every message as an EML file into a folder.",
    "inspect": "Say what mailboxes hold; write nothing.",
    "verify": "Prove that every EML is what was written, and nothing was lost.",
    "report": "Show on an HTML page what became of the mail.",
    "profiles": "List the destinations that are known, and what they refuse.",
    "contacts": "List the people of mailboxes as a CSV.",
    "completion": "Print what makes a shell complete with the Tab key.",
}
"""What each command does; `command` in the module `_command_NAME` does it."""

# What may be otherwise in an hour, even before the first message: nothing that the user asked for was wrong.
_GAVE_OUT = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "ENFILE", "EMFILE", "EAGAIN")}
# Something of the user's stands in the way, however late it is met.
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}


class _Signal(BaseException):
    """A signal asks us to stop. Not an Exception, so that everything in between only cleans up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Commands(click.Group):
    """A group that knows its commands by name, and loads one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"unmbox._command_{cmd_name}").command
        found.short_help = _COMMANDS[cmd_name]  # what a shell shows beside the name
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(name, _COMMANDS, 1)
            did_you = f" Did you mean '{close[0]}'?" if close else f" There are {', '.join(_COMMANDS)}."
            ctx.fail(f"No such command '{name}'.{did_you}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
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
    unmbox report eml/                      a page that shows what became of it

    Each command says more, with examples: unmbox convert --help
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(BAD_USE)


# -- how it ends -----------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's own) and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _heed_signals()
    try:
        return command.main(arguments, prog_name="unmbox", standalone_mode=False) or DONE
    except SystemExit:  # of click's own help, where nobody reads on
        return DONE
    except (_Signal, Exception) as error:
        given = sys.argv[1:] if arguments is None else arguments
        given = list(takewhile(lambda word: word != "--", given))
        if "--debug" in given:
            import traceback

            traceback.print_exception(error)
        status, sentence = _account(error)
        if isinstance(error, _Signal) and given[:1] == ["convert"] and "--dry-run" not in given:
            sentence += "; what is written is whole, and the same command again goes on from there"
        if "--json" in given:
            with suppress(OSError):  # it may be what the error is about
                say(json.dumps({"error": sentence, "status": status}))
        complain(on_one_line(sentence))
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
        return 128 + error.number, f"stopped by {signal.Signals(error.number).name}"
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "unmbox"
        # Of what there is to choose from, click makes a list over several lines.
        sentence = error.format_message().replace(",\n\t", ", ").replace(":\n\t", ": ")
        sentence = re.sub(r"(?<!\.)\.$", "", sentence)
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
