"""Write `repairs.md`: every repair with what it does, before and after, and its effect on signatures.

    python docs/make_repairs.py

The table is that of the code, and so is what comes after "after"; a test checks that the page is current.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

from unmbox import EmlWriter, End, Head
from unmbox._repairs import RULES

PAGE = Path(__file__).with_name("repairs.md")

_FROM_LINE = b"From ann@example.org Tue Mar 19 09:13:51 2019"
# What every example has unless it is about just that; left out of what is shown.
_SOUND = {
    b"from": b"From: Ann <ann@example.org>",
    b"date": b"Date: Tue, 19 Mar 2019 10:13:51 +0100",
    b"message-id": b"Message-ID: <1@example.org>",
}

BEFORE = {
    "exporter-damage": b"Subject: Gr\xef\xbf\xbd\xef\xbf\xbde",
    "missing-end": b"Subject: no empty line\nHello,\nthis is the body.",
    "nul": b"Subject: a\0b",
    "bare-cr": b"Subject: a\rb",
    "stray-from-line": b">From ann@example.org Tue Mar 19 09:13:51 2019\nSubject: relayed",
    "illegal-name": "Größe: 3\n: no name".encode(),
    "no-field": b"Subject: a long subject that some program\nwrapped badly",
    "space-before-colon": b"Subject : Hello",
    "bookkeeping": b"Status: RO\nX-Mozilla-Status: 0001\nSubject: read",
    "bad-message-id": b"Message-ID: 1@example.org",
    "bad-date": b"Date: 2019-03-19 10:13",
    "empty-from": b"From:\nSubject: from nobody",
    "duplicate-field": b"Subject: first\nSubject: second",
    "8bit-name": """To: "Müller, Jürgen" <jm@example.org>, Bob (Büro) <bob@example.org>""".encode(),
    "8bit-address": "To: Jøran <jøran@exämple.org>".encode(),
    "8bit-parameter": 'Content-Disposition: attachment; filename="Übersicht 2019.pdf"'.encode(),
    "8bit-structured": b"Received: from b\xfcro (192.0.2.1) by mx.example.org; 19 Mar 2019 10:13:52 +0100",
    "8bit-text": "Subject: Grüße aus Köln".encode("latin-1"),
    "long-line": b"References:" + b"".join(b" <%d.20190319101351@mail.example.org>" % n for n in range(30)),
    "missing-message-id": b"Subject: no Message-ID",
    "missing-from": b"Subject: no From",
    "missing-date": b"Subject: no Date",
}
_WITHOUT = {"missing-message-id": b"message-id", "missing-from": b"from", "missing-date": b"date"}

_INTRODUCTION = """\
# What is repaired

<!-- Written by make_repairs.py. -->

With `headers="repair"` (the default) each header block is made one that strict readers take. A field that
needs no repair keeps its octets, its folding and its place; of a body nothing is changed but its line ends,
unless a profile drops NULs or lone CRs.
Fields that are added stand on top. Nothing is lost: what a repair replaces or moves stays in the block as

- `X-Unmbox-Original-NAME`: a field that could not stand as it was,
- `X-Unmbox-Duplicate-NAME`: a field that may occur only once,
- `X-Unmbox-Line`: a line that is no field.

Converting the result again changes nothing.

**Signatures first.** A DKIM or ARC signature that could still verify (its tags are complete, its signed
fields stand) is not broken: a repair that would do so is left out and listed with `applied` false and
`signature_impact` saying which signature it would have broken. `repair_signed=True` (`--repair-signed`)
forces such repairs; bookkeeping fields that are signed stay even then. `X-Google-DKIM-Signature` keeps its
octets and protects nothing: no RFC defines it, no verifier asks for it (RFC 6376 §3.5 names the field that is
verified), and Google writes a DKIM-Signature beside it where it signs for others.

**Raw octets.** Valid UTF-8 is UTF-8. For other octets the charset is found from what the message declares,
the beginning of its body, other mail of the source, and the `locale` hint; what cannot be known is labelled
`unknown-8bit` (RFC 1428), from which the octets can be had back.

Examples show one part of a header block; `\\xE9` stands for the octet E9, and `[…]` for lines left out.
"""

_LISTED = """\
## Listed only

These are found and listed, and left alone:

| code | what |
|---|---|
| `head-too-long` | Over 1 MiB, or over 10,000 fields: of the block, too, only line ends are changed. |
| `body-nul` | The body holds NUL octets. |
| `body-bare-cr` | The body holds CRs that end no line. |
| `exporter-damage` | With an empty `field`: the body holds U+FFFD, see above. |
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    lines = ["| code | rule | effect on signatures |", "|---|---|---|"]
    lines += [f"| [`{rule.code}`](#{rule.code}) | {rule.clause} | {rule.signatures} |" for rule in RULES]
    sections = [_INTRODUCTION, "\n".join(lines) + "\n"]
    for rule in RULES:
        about = textwrap.fill(" ".join((inspect.getdoc(rule.apply) or "").split()), 110)
        before, after = _example(rule.code)
        sections.append(f"## {rule.code}\n\n{about}\n\nBefore:\n\n{before}\n\nAfter:\n\n{after}\n")
    return "\n".join([*sections, _LISTED])


def _example(code: str) -> tuple[str, str]:
    sample = BEFORE[code]
    names = {line.partition(b":")[0].strip().lower() for line in sample.split(b"\n")}
    sound = [field for name, field in _SOUND.items() if name not in names and name != _WITHOUT.get(code)]
    block = b"\n".join([*sound, sample, b"" if code == "missing-end" else b"\n"])
    writer = EmlWriter(newline="lf")
    eml = writer.send(Head(0, _FROM_LINE, block, b"\n", "")) + writer.send(End(0, 0))
    if code not in {repair.code for repair in writer.repairs}:
        raise ValueError(f"the example of {code} is none")
    header, _, body = eml.partition(b"\n\n")
    after = [line for line in header.split(b"\n") if line not in sound]
    return _shown(sample.split(b"\n")), _shown(
        after + ([b"", *body.rstrip(b"\n").split(b"\n")] if body else [])
    )


def _shown(lines: list[bytes]) -> str:
    """Lines as a block of code, the unprintable spelled out, the long ones shortened."""
    shown = [
        re.sub(r"[^ -~]", lambda match: f"\\x{ord(match[0]):02X}", line.decode("latin-1")) for line in lines
    ]
    shown = [line if len(line) <= 110 else f"{line[:90]} […] ({len(line)} octets)" for line in shown]
    if len(shown) > 8:
        shown = [*shown[:3], "[…]", shown[-1]]
    return "\n".join(["```text", *(line.rstrip() for line in shown), "```"])


if __name__ == "__main__":
    main()
