"""What `Parser` says of the octets it was fed, and what `EmlWriter` takes: six kinds of event.

All offsets and lengths are in octets of the source. `Junk` and the messages (from `Head.offset`, for
`End.length` octets) tile the source: each octet belongs to exactly one of them.

Named tuples rather than frozen dataclasses: as immutable and as free of a `__dict__`, a third of the cost to
make, and `dataclasses` alone would take as long to import as all the rest.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Junk(NamedTuple):
    """Octets before the first From_ line: a byte order mark, empty lines, or no mailbox at all.

    `offset` is where the first of `data` stands. Pieces follow one another without a gap.
    """

    offset: int
    data: bytes


class Head(NamedTuple):
    r"""A message begins: its From_ line and its header block.

    `offset` is that of the From_ line. `from_line` is without its line end and holds at most 1,000 octets;
    `data` is the header block as stored, its closing empty line included, at most 1 MiB (`HeadRest` events
    bring what is over). `newline` is the source's line end where it is a lone CR (``b"\r"``), else
    ``b"\n"``, which also stands for CRLF and mixed sources. `reason` says what made the From_ line a
    separator. `charset` is for a block that is not ASCII: the Python codec that most of the source's first
    1 MiB of mail is in, other than UTF-8; "" where none shows.
    """

    offset: int
    from_line: bytes
    data: bytes
    newline: bytes
    reason: str
    charset: str = ""


class HeadRest(NamedTuple):
    """More of a header block that is over 1 MiB: `data`, which stands at `offset`."""

    offset: int
    data: bytes


class Body(NamedTuple):
    """A piece of the body: `data`, unquoted, in the stored line ends. No piece splits a CRLF.

    `offset` is where its first octet stands in the source.
    """

    offset: int
    data: bytes


class End(NamedTuple):
    """The message that began at `offset` is whole.

    `length` reaches to the next From_ line or the end of the source, so it counts the From_ line, the
    quoting and the empty line that were taken away. `notes` are codes of what the parser noticed:
    ``head-too-long``, ``content-length-ignored``.
    """

    offset: int
    length: int
    notes: tuple[str, ...] = ()


class Rejected(NamedTuple):
    """A line that began ``From `` and was not taken as a separator, with the reason (a stable code).

    `line`, which stands at `offset`, is without its line end and holds at most 1,000 octets. `reason` is one
    of the codes in the documentation's page on separators. Once a source has given 10,000 such lines, those
    of one reason that follow one another may come as one event: `lines` says how many, and the rest is told
    of the first.
    """

    offset: int
    line: bytes
    reason: str
    lines: int = 1


Event: TypeAlias = Junk | Head | HeadRest | Body | End | Rejected
