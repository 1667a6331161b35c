"""`unmbox completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from unmbox._command import DONE, debug
from unmbox._terminal import say


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@debug
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print what makes SHELL complete commands, options and file names of unmbox with the Tab key.

    \b
    Examples:
      unmbox completion bash > ~/.local/share/bash-completion/completions/unmbox
      unmbox completion zsh > ~/.zfunc/_unmbox      (and in .zshrc: fpath+=~/.zfunc; compinit)
      unmbox completion fish > ~/.config/fish/completions/unmbox.fish
      eval "$(unmbox completion bash)"              (for this session alone)
    """
    known = get_completion_class(shell)
    if known is None:
        raise click.UsageError(f"this version of click does not know {shell}: update it")
    say(known(context.find_root().command, {}, "unmbox", "_UNMBOX_COMPLETE").source())
    return DONE
