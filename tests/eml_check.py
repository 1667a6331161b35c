"""What a strict importer asks of an EML, and how to put one into a mailbox and have it converted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email import errors, policy
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from drive import chunks, events_of
from unmbox import EmlWriter, Repair
from unmbox.events import Body, End, Head

FROM_LINE = b"From ann@example.org Tue Mar 19 09:13:51 2019"


class Eml(NamedTuple):
    """What became of one message."""

    octets: bytes
    repairs: tuple[Repair, ...]

    @property
    def header(self) -> bytes:
        """The header block without the empty line, LF line ends."""
        return re.split(rb"\r?\n\r?\n", self.octets, maxsplit=1)[0].replace(b"\r\n", b"\n")

    @property
    def fields(self) -> list[bytes]:
        """The fields of the header, each with its folds."""
        return re.split(rb"\n(?![ \t])", self.header)

    @property
    def codes(self) -> list[str]:
        """The codes of the repairs that were applied."""
        return [repair.code for repair in self.repairs if repair.applied]

    @property
    def left_out(self) -> list[str]:
        """The codes of the repairs that were left out for a signature's sake."""
        return [repair.code for repair in self.repairs if not repair.applied and repair.signature_impact]


def convert(
    block: bytes,
    body: bytes = b"",
    *,
    from_line: bytes = FROM_LINE,
    cuts: Iterable[int] = (),
    newline: str = "crlf",
    repair_signed: bool = False,
    locale: str | None = None,
) -> Eml:
    """Send one message through a writer in repair mode, its body cut at these places."""
    writer = EmlWriter(newline=newline, repair_signed=repair_signed, locale=locale)
    octets = [writer.send(Head(0, from_line, block, b"\n", "dated"))]
    octets += [writer.send(Body(0, piece)) for piece in chunks(body, cuts) if piece]
    octets.append(writer.send(End(0, len(block) + len(body))))
    return Eml(b"".join(octets), writer.repairs)


def convert_mailbox(data: bytes, *, variant: str = "auto", **options: str) -> list[Eml]:
    """Parse a mailbox and write each message in repair mode."""
    writer = EmlWriter(**options)  # type: ignore[arg-type]  # only texts are passed so
    emls: list[Eml] = []
    octets: list[bytes] = []
    for event in events_of([data], variant):
        if isinstance(event, Head):
            octets = []
        octets.append(writer.send(event))
        if isinstance(event, End):
            emls.append(Eml(b"".join(octets), writer.repairs))
    return emls


def convert_again(eml: bytes, *, newline: str = "crlf", repair_signed: bool = False) -> Eml:
    """Convert an EML once more."""
    end = b"\n" if newline == "lf" else b"\r\n"
    size = len(end) if eml.startswith(end) else eml.index(end + end) + 2 * len(end)
    return convert(eml[:size], eml[size:], newline=newline, repair_signed=repair_signed)


DATE = re.compile(
    r"(?:[a-z]{3}, )?\d{1,2} [a-z]{3} \d{2,4} \d\d?:\d\d(?::\d\d)? (?:[+-]\d{4}|[a-z]+)", re.IGNORECASE
).fullmatch


def is_date(value: bytes) -> bool:
    """Whether a value is what RFC 5322 §3.3 and §4.3 have, and a day that exists."""
    plain = value.decode("ascii")
    while (without := re.sub(r"\((?:[^()\\]|\\.)*\)", " ", plain)) != plain:
        plain = without
    plain = re.sub(" ?: ?", ":", re.sub(" ?, ?", ", ", " ".join(plain.split())))
    try:
        return bool(DATE(plain) and parsedate_to_datetime(plain))
    except ValueError:
        return False


IS_SOUND: dict[bytes, Callable[[bytes], object]] = {
    b"from": lambda value: bool(value.strip()),
    b"date": is_date,
    b"message-id": re.compile(rb"[^<>]*<\s*[^<>\s].*>.*", re.DOTALL).fullmatch,
}
BOOKKEEPING = re.compile(
    rb"(?:content-length|status|x-(?:status|keywords|uid|imap|imapbase|mozilla-.*))", re.DOTALL
).fullmatch


def faults(eml: bytes) -> list[str]:
    """What a strict reader would not take: an empty list for a sound EML."""
    header, end, body = eml.partition(b"\r\n\r\n")
    found = [] if end else ["the header block has no end"]
    if b"\n" in (header + body).replace(b"\r\n", b""):
        found.append("a line ends in LF alone")
    if b"\0" in header or b"\r" in header.replace(b"\r\n", b""):
        found.append("NUL or a bare CR in the header block")
    if not header.isascii():
        found.append("raw 8-bit in the header block")
    if max(map(len, header.split(b"\r\n"))) > 998:
        found.append("a line over 998 octets")
    names: list[bytes] = []
    for field in re.split(rb"\r\n(?![ \t])", header):
        match = re.match(rb"([!-9;-~]+):", field)
        names.append(match[1].lower() if match else b"")
        if not match:
            found.append(f"no field: {field[:60]!r}")
        elif not IS_SOUND.get(names[-1], bool)(field[match.end() :].replace(b"\r\n", b"").strip() or b" "):
            found.append(f"unsound: {field[:60]!r}")
        elif BOOKKEEPING(names[-1]):
            found.append(f"a mailbox's own: {field[:60]!r}")
    counts = {
        name: names.count(name) for name in b"from date message-id to cc subject sender reply-to".split()
    }
    found += [f"no {name.decode()}" for name in (b"from", b"date", b"message-id") if not counts[name]]
    found += [f"{count} {name.decode()}" for name, count in counts.items() if count > 1]
    # Another reader: it finds the same fields, and nothing odd about where they end.
    parsed = BytesParser(policy=policy.compat32).parsebytes(header + b"\r\n\r\n")
    if [name.lower().encode() for name, _ in parsed.items()] != names:
        found.append("the standard library finds other fields")
    odd = (errors.FirstHeaderLineIsContinuationDefect, errors.MissingHeaderBodySeparatorDefect)
    return found + [repr(defect) for defect in parsed.defects if isinstance(defect, odd)]
