"""Two directives for pages that are made while the site is built.

`{command-reference}`: what each command takes, out of click itself. `{api-reference}`: the docstring of every
public name, in the order and under the titles of `reference.md`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import unmbox
from unmbox.cli import command

_HEADINGS = re.compile(r"^(##) (.+)$|^### `([A-Za-z_]\w*)", re.MULTILINE)


class CommandReference(SphinxDirective):
    """A section for each command: usage, what it does, arguments, options, examples."""

    def run(self) -> list[nodes.Node]:
        """The nodes of the page, in the Markdown of the page itself."""
        return self.parse_text_to_nodes("\n".join(reference()), allow_section_headings=True)


class ApiReference(SphinxDirective):
    """A section for each of the titles in `reference.md`, and in it what autodoc makes of each name."""

    def run(self) -> list[nodes.Node]:
        """The nodes of the page."""
        page = Path(self.env.srcdir) / "reference.md"
        self.env.note_dependency(str(page))
        return self.parse_text_to_nodes("\n".join(api(page.read_text("utf-8"))), allow_section_headings=True)


def api(text: str) -> Iterator[str]:
    """The lines of the page, from those of `reference.md`."""
    title = ""
    for heading in _HEADINGS.finditer(text):
        if heading[1]:
            title = heading[2]
            if module := re.search(r"`unmbox\.(\w+)`", title):
                yield from (f"## {title}", "", "```{eval-rst}", f".. automodule:: unmbox.{module[1]}")
                yield from ("   :members:", "```", "")
                title = ""
            continue
        if title:
            yield from (f"## {title}", "")
            title = ""
        public = getattr(unmbox, heading[3])
        yield from ("```{eval-rst}", ".. currentmodule:: unmbox", "")
        if isinstance(public, type):
            yield from (f".. autoclass:: {heading[3]}", "   :members:")
            yield "   :inherited-members: tuple, Exception"
            yield "   :special-members: __getitem__, __contains__, __add__"
        elif callable(public):
            yield f".. autofunction:: {heading[3]}"
        else:
            yield from (f".. py:type:: {heading[3]}", "", "   The union of the six events.")
        yield from ("```", "")


def reference() -> Iterator[str]:
    """The lines of the page."""
    context = click.Context(command, info_name="unmbox", max_content_width=100)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from section(found, click.Context(found, info_name=f"unmbox {name}"))


def section(found: click.Command, context: click.Context) -> Iterator[str]:
    """The lines of one command's section."""
    yield from (f"## {context.info_name}", "", "```text", found.get_usage(context), "```", "")
    help_text = inspect.cleandoc(found.help or "").partition("\f")[0]
    for paragraph in help_text.split("\n\n"):
        if paragraph.startswith("\b\n"):  # lines that click leaves as they are
            yield from ("```text", *paragraph.splitlines()[1:], "```", "")
        else:
            yield from (escaped(paragraph), "")
    for option in found.get_params(context):
        if isinstance(option, click.Option) and not option.hidden:
            yield from described(option, context)


def described(option: click.Option, context: click.Context) -> Iterator[str]:
    """The lines of one option, as a term and its definition."""
    names, about = option.get_help_record(context) or (", ".join(option.opts), "")
    words = re.sub(r"\s*\[(?:default: [^\]]*|required)\]$", "", about)
    default = re.search(r"\[default: ([^\]]*)\]$", about)
    yield from (f"`{names}`", f": {escaped(words)}{f' Default: `{default[1]}`.' if default else ''}", "")


def escaped(text: str) -> str:
    """Text in which no character means anything to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#$])", r"\\\1", text)


def plain_words(*given: Any) -> None:
    """The field's From_ is a word and no link, and a literal of reStructuredText may not end in a space."""
    lines: list[str] = given[-1]
    if lines and lines[0].startswith("Alias for field number"):  # a named tuple's; its class says what it is
        lines.clear()
    lines[:] = [
        re.sub(r"\bFrom_(?=\W|$)", r"From\\_", line).replace("``From ``", '``"From "``') for line in lines
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known."""
    app.add_directive("command-reference", CommandReference)
    app.add_directive("api-reference", ApiReference)
    app.connect("autodoc-process-docstring", plain_words)
    return {"parallel_read_safe": True}
