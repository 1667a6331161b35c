"""Gmail's labels as Takeout writes them: CSV, and that inside RFC 2047 encoded-words.

The order of the steps is the point: unfold, join the encoded-words (they break in the middle of a label
and of a character), decode, and only then split at commas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from unmbox._decode import decode_text


class Beside(NamedTuple):
    """What a source knows of a message besides its octets: labels and state, as in the manifest."""

    labels: tuple[str, ...] = ()
    state: Mapping[str, bool] = {}


def decode_labels(raw: bytes) -> list[str]:
    r"""Return the labels of an ``X-Gmail-Labels`` value, in order, without duplicates and empty ones.

    A name that holds a comma stands in quotes, a quote in such a name is doubled (RFC 4180 §2), and a
    leading ``'`` appears as ``\'``. Never raises.

    >>> decode_labels(b'Inbox,=?UTF-8?Q?"Archiv=C3=A9s,_2019"?=,Inbox')
    ['Inbox', 'Archivés, 2019']
    """
    text = decode_text(raw)
    pieces = text.split(",")
    labels = [piece.strip() for piece in (_rejoin(pieces) if '"' in text else pieces)]
    return list(dict.fromkeys(label[1:] if label.startswith("\\'") else label for label in labels if label))


def _rejoin(pieces: list[str]) -> Iterator[str]:
    """Put together what a comma inside quotes has split; the pieces of an unclosed quote stay apart."""
    pending: list[str] = []
    for piece in pieces:
        odd = piece.count('"') % 2 == 1
        if pending:
            pending.append(piece)
            if odd:
                yield _unquote(",".join(pending))
                pending = []
        elif odd and piece.lstrip().startswith('"'):
            pending = [piece]
        else:
            yield _unquote(piece)
    yield from pending


def _unquote(name: str) -> str:
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name
