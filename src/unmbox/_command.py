"""What the commands share: options, sources as they are given, exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

import click

from unmbox._report import Damage
from unmbox._terminal import complain, on_one_line
from unmbox._variant import VARIANTS

DONE, DAMAGED, BAD_USE, STOPPED = 0, 1, 2, 3
"""Exit statuses; those of signals are 128 and the signal's number."""


debug = click.option(
    "--debug", is_flag=True, expose_value=False, help="Show where in the program an error arose."
)


def shared(function: Callable[..., int]) -> Callable[..., int]:
    """The options that all commands have."""
    for option in (
        debug,
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
    ):
        function = option(function)
    return function


def selection(function: Callable[..., int]) -> Callable[..., int]:
    """The options that say which messages are wanted."""
    for option in (
        click.option("--until", metavar="DATE", help="Only messages of this day and earlier ones."),
        click.option(
            "--since",
            metavar="DATE",
            help="Only messages of this day and later ones, by their own date and zone: 2019-01-01.",
        ),
        click.option(
            "--exclude", metavar="TERM", multiple=True, help="No messages with this, such as spam or trash."
        ),
        click.option(
            "--include",
            metavar="TERM",
            multiple=True,
            help="Only messages with this label; or from:, to: or address: and an address or @domain; or "
            "state: and one such as read or auto. Given several times, any will do.",
        ),
        click.option(
            "--system-labels",
            metavar="FILE",
            help="A JSON file of how Gmail calls its own labels, where unmbox does not know it.",
        ),
    ):
        function = option(function)
    return function


variant = click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    default="auto",
    show_default=True,
    help='How the mailbox protects lines that begin "From ". Decided from its text unless named.',
)


def opened(sources: Sequence[str]) -> list[str | BinaryIO]:
    """The sources, with standard input for "-"."""
    if sources.count("-") > 1:
        raise click.UsageError("standard input can be read once: name - once")
    if "-" in sources and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError(
            "nothing comes from standard input: pipe a mailbox into the command, or name a file"
        )
    return [sys.stdin.buffer if source == "-" else source for source in sources]


def status(
    not_mbox: Sequence[str],
    damaged: Sequence[Damage] = (),
    missing: Sequence[str] = (),
    *,
    nothing: bool = False,
) -> int:
    """Complain of what is amiss with the sources; returns the exit status that follows from that.

    `nothing` says that nothing was read of them: then none could be, if any is damaged.
    """
    for sentence in (*(f"damaged: {each}" for each in damaged), *(f"missing: {each}" for each in missing)):
        complain(on_one_line(sentence))
    found = DAMAGED if damaged or missing else DONE
    if nothing and damaged:
        found = BAD_USE
    for name in map(on_one_line, not_mbox):
        complain(
            f'{name} is no mbox, and holds none: no line of it that begins "From " starts a message. '
            "Is it the right file?"
        )
    return BAD_USE if not_mbox else found
