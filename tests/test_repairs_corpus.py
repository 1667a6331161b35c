"""Every message of the corpus of real mail: strict readers take it; a second conversion changes nothing."""

from __future__ import annotations

import base64
from pathlib import Path

import dkim
import pytest
from dkim.canonicalization import CanonicalizationPolicy

from corpus import Row, rows
from drive import events_of
from eml_check import Eml, convert_again, convert_mailbox, faults
from unmbox import EmlWriter
from unmbox.events import Body, Head, HeadRest

FROM_LINE = b"From someone@example.org Tue Mar 19 09:13:51 2019"


def mailbox(row: Row) -> bytes:
    """The row's octets; a single message is wrapped into a mailbox of one."""
    data = row.file.read_bytes()
    if row.is_mbox:
        return data
    first = data.partition(b"\n")[0]
    return FROM_LINE + (b"\r\n" if first.endswith(b"\r") else b"\n") + data


def converted(row: Row) -> list[Eml]:
    return convert_mailbox(mailbox(row))


every_row = pytest.mark.parametrize("row", rows() or [None], ids=lambda row: row.path if row else "absent")


@every_row
def test_strict_readers_take_every_message_and_a_second_conversion_changes_nothing(
    corpus: Path, row: Row
) -> None:
    for eml, lf in zip(converted(row), convert_mailbox(mailbox(row), newline="lf"), strict=True):
        assert eml.left_out or not faults(eml.octets)
        again = convert_again(eml.octets)
        assert again.octets == eml.octets
        assert not again.codes
        # Line ends decide nothing.
        assert eml.repairs == lf.repairs
        assert lf.octets.startswith(eml.header + b"\n\n")


@every_row
def test_preserve_changes_no_octet_but_line_ends(corpus: Path, row: Row) -> None:
    writer = EmlWriter(headers="preserve", newline="lf")
    source, written = [], []
    for event in events_of([mailbox(row)]):
        written.append(writer.send(event))
        if isinstance(event, (Head, HeadRest, Body)):
            assert not isinstance(event, Head) or event.newline == b"\n"
            source.append(event.data)
    assert b"".join(written) == b"".join(source).replace(b"\r\n", b"\n")
    assert writer.repairs == ()


def test_what_is_left_out_for_signatures_is_little_and_known(corpus: Path) -> None:
    left_out = {
        (row.path.split("/")[1], *eml.left_out) for row in rows() for eml in converted(row) if eml.left_out
    }
    assert left_out == {("postalsys+mailauth", "duplicate-field")}


def sound_body_hashes(eml: bytes) -> int:
    """How many of an EML's DKIM and ARC signatures have the hash of its body."""
    header, _, body = eml.partition(b"\r\n\r\n")
    sound = 0
    for name, value in dkim.rfc822_parse(header + b"\r\n\r\n")[0]:
        if name.lower() not in (b"dkim-signature", b"arc-message-signature"):
            continue
        tags = dkim.util.parse_tag_value(value)
        policy = CanonicalizationPolicy.from_c_value(tags.get(b"c", b"simple/simple"))
        octets = policy.canonicalize_body(body)
        if b"l" in tags:
            octets = octets[: int(tags[b"l"])]
        digest = dkim.HASH_ALGORITHMS[tags[b"a"]](octets).digest()
        sound += b"".join(tags[b"bh"].split()) == base64.b64encode(digest)
    return sound


SIGNED = [row for row in rows() if any("dkim-bh-ok" in tag or "dkim-bodyhash" in tag for tag in row.tags)]


@pytest.mark.parametrize("row", SIGNED or [None], ids=lambda row: row.path if row else "absent")
@pytest.mark.parametrize("newline", ["crlf", "lf"])
def test_body_hashes_still_hold(corpus: Path, row: Row, newline: str) -> None:
    emls = [eml.octets for eml in convert_mailbox(mailbox(row), newline=newline)]
    # The canonical forms are of CRLF lines, whatever a file's lines end in.
    found = [sound_body_hashes(eml if newline == "crlf" else eml.replace(b"\n", b"\r\n")) for eml in emls]
    wanted = [int(tag.partition(":")[2]) for tag in row.tags if tag.startswith("dkim-bh-ok:")]
    assert sum(map(bool, found)) >= (wanted[0] if wanted else 1)
