"""The parser on real mail: the counts and octets that its writers' and readers' own tests expect."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpus import Row, rows
from drive import Gathered, Joined, is_dated, parse, random_cuts
from reference import split

# Python's standard library reads no lzip. The same mailboxes stand beside them, not compressed.
LZIP = ".lz"
# Here the peer's octets are not the stored ones: mime4j's reader drops a line end that is the message's
# own, and public-inbox's writer adds fields to what it was given.
COUNT_ONLY = ("mbox.rlug", "mbox_reader.t.generated/")


def facts_of(row: Row) -> Any:
    """What the peer states, or nothing."""
    return row.peer_facts() or {}


MAILBOXES = [row for row in rows() if row.is_mbox and not row.contested and not row.path.endswith(LZIP)]
EXPECTED = [row for row in MAILBOXES if row.expected is not None]

MATCHING = pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row.path.removeprefix("mbox/"))


def octets(row: Row) -> bytes:
    """The mailbox, decompressed where it must be."""
    data = row.file.read_bytes()
    return gzip.decompress(data) if row.path.endswith(".gz") else data


def as_lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def as_crlf(data: bytes) -> bytes:
    return as_lf(data).replace(b"\n", b"\r\n")


def as_cr(data: bytes) -> bytes:
    """Lone CRs for all line ends. A CR inside a line must not become one, so a NUL takes its place."""
    return as_lf(data).replace(b"\r", b"\x00").replace(b"\n", b"\r")


def as_mixed(data: bytes) -> bytes:
    """Every third line ends in LF, the others in CRLF."""
    lines = as_lf(data).split(b"\n")
    ends = [b"\n" if number % 3 == 0 else b"\r\n" for number in range(len(lines) - 1)] + [b""]
    return b"".join(line + end for line, end in zip(lines, ends, strict=True))


TWINS: dict[str, Callable[[bytes], bytes]] = {
    "stored": lambda data: data,
    "LF": as_lf,
    "CRLF": as_crlf,
    "CR": as_cr,
    "mixed": as_mixed,
}


def ways_to_cut(data: bytes) -> list[list[int]]:
    """Whole, at a few places, at many, and in pieces as a reader of a file makes them."""
    return [[], random_cuts(data, 7), random_cuts(data, 200, seed=1), [*range(0, len(data), 4096)]]


def test_the_corpus_is_all_there(corpus: Path) -> None:
    """The manifest's promise, so that a lost file does not pass for a green test."""
    assert len(EXPECTED) == 103
    left_out = [row for row in rows() if row.is_mbox and row not in EXPECTED]
    assert all(row.contested or row.path.endswith(LZIP) for row in left_out)
    assert all(row.file.stat().st_size == row.bytes for row in rows())


@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS.keys())
@MATCHING
def test_count(corpus: Path, row: Row, twin: Callable[[bytes], bytes]) -> None:
    data = twin(octets(row))
    whole = parse(data)
    assert len(whole.messages) == row.expected
    assert whole.tiled() == len(data)
    for cuts in ways_to_cut(data):
        assert parse(data, cuts) == whole


@pytest.mark.parametrize("variant", ["mboxrd", "mboxo", "mboxcl", "mboxcl2"])
@MATCHING
def test_count_under_every_variant(corpus: Path, row: Row, variant: str) -> None:
    """A variant named wrongly changes quoting; it loses no message."""
    data = octets(row)
    found = parse(data, (), variant)
    assert len(found.messages) == row.expected
    assert found.tiled() == len(data)


@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS.keys())
@MATCHING
def test_as_the_slow_reference(corpus: Path, row: Row, twin: Callable[[bytes], bytes]) -> None:
    data = twin(octets(row))
    expected = split(data, "mboxrd")
    found = parse(data, (), "mboxrd")
    assert len(found.junk) == expected.junk
    assert [(m.head.offset, m.length, m.head.from_line, m.raw) for m in found.messages] == [
        (m.offset, m.length, m.from_line[:1000], m.raw) for m in expected.messages
    ]
    assert [rejected.offset for rejected in found.rejected] == expected.rejected


@MATCHING
def test_octets_of_the_twins_differ_in_line_ends_only(corpus: Path, row: Row) -> None:
    data = octets(row)
    lf = [message.raw for message in parse(as_lf(data)).messages]
    assert [as_lf(message.raw) for message in parse(as_crlf(data)).messages] == lf
    assert [as_lf(message.raw) for message in parse(as_mixed(data)).messages] == lf
    if b"\r" not in as_lf(data) and b"\x00" not in data:
        assert [message.raw.replace(b"\r", b"\n") for message in parse(as_cr(data)).messages] == lf


# -- what peers state beside the files ---------------------------------------------------------------

PEERS = [row for row in MAILBOXES if facts_of(row)]


def facts_with(*path: str) -> pytest.MarkDecorator:
    """Parametrise by the mailboxes whose peer states this fact; two names: this fact of a message."""

    def states(row: Row) -> bool:
        facts: Any = facts_of(row)
        for name in path:
            facts = facts.get(name) if isinstance(facts, dict) else None
            facts = facts[0] if isinstance(facts, list) and facts and len(path) > 1 else facts
        return facts is not None

    found = [row for row in PEERS if states(row) and not any(part in row.path for part in COUNT_ONLY)]
    return pytest.mark.parametrize("row", found, ids=lambda row: row.path.rpartition("/")[2])


def field(message: Joined, name: bytes) -> bytes | None:
    """A field's first value, unfolded, as simply as can be."""
    block = re.sub(rb"\r?\n(?=[ \t])", b"", message.block)
    found = re.search(rb"(?im)^" + name + rb":[ \t]*(.*?)[ \t]*\r?$", block)
    return found[1] if found else None


def found_in(row: Row) -> Gathered:
    return parse(octets(row))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("row", PEERS, ids=lambda row: row.path.rpartition("/")[2])
def test_peer_counts(corpus: Path, row: Row) -> None:
    """The peer's count is the manifest's; where a peer gives none, it raises, or reads what is no mailbox."""
    count = facts_of(row).get("count")
    assert len(found_in(row).messages) == (row.expected if count is None else count)


@facts_with("messages", "sha256")
def test_octets_as_peers_read_them(corpus: Path, row: Row) -> None:
    stated = facts_of(row)["messages"]
    if isinstance(stated, dict):
        pytest.fail("facts by line end have a test of their own")
    assert [(len(m.raw), sha256(m.raw)) for m in found_in(row).messages] == [
        (fact["bytes"], fact["sha256"]) for fact in stated
    ]


@pytest.mark.parametrize("newline", ["LF", "CRLF"])
@facts_with("messages", "LF")
def test_offsets_as_peers_state_them(corpus: Path, row: Row, newline: str) -> None:
    """Where each message and its header block begin and end, and its octets."""
    data = TWINS[newline](octets(row))
    found = parse(data)
    stated = facts_of(row)["messages"][newline]
    for message, fact in zip(found.messages, stated, strict=True):
        begin = data.index(b"\n", message.head.offset) + 1
        assert (message.head.offset, begin) == (fact["marker_offset"], fact["begin"])
        assert begin + len(message.block) == fact["headers_end"]
        assert begin + len(message.raw) == fact["end"]
        assert data[begin : fact["end"]] == message.raw
        assert sha256(message.raw) == fact.get("sha256", sha256(message.raw))


@facts_with("first_message", "sha256")
def test_first_message(corpus: Path, row: Row) -> None:
    """One peer keeps the From_ line, two make all line ends CRLF: what they did is done to ours, too."""
    fact = facts_of(row)["first_message"]
    first = found_in(row).messages[0]
    if facts_of(row).get("advance"):
        stored = octets(row)[first.head.offset : first.head.offset + first.length]
        assert len(stored) == facts_of(row)["advance"]
        assert (len(stored), sha256(stored)) == (fact["bytes"], fact["sha256"])
    else:
        whole = as_crlf(first.raw)
        assert (len(whole), sha256(whole)) == (fact["bytes"], fact["sha256"])
        assert whole == fact["text"].encode()


@facts_with("messages", "chars")
def test_lengths_with_the_from_line(corpus: Path, row: Row) -> None:
    """node-mbox counts the From_ line and the empty line behind the text in: from one message to the next."""
    stated = [fact["chars"] for fact in facts_of(row)["messages"]]
    assert [message.length for message in found_in(row).messages] == stated


@facts_with("messages_with_from_line")
def test_messages_with_their_from_lines(corpus: Path, row: Row) -> None:
    found = [(m.head.from_line + b"\n" + m.raw).decode() for m in found_in(row).messages]
    # The peer adds a line end to a last line that has none.
    assert [text if text.endswith("\n") else text + "\n" for text in found] == facts_of(row)[
        "messages_with_from_line"
    ]


@facts_with("from_lines")
def test_from_lines(corpus: Path, row: Row) -> None:
    found = [m.head.from_line.decode().removeprefix("From ") for m in found_in(row).messages]
    assert found == facts_of(row)["from_lines"]


@facts_with("from_headers")
def test_from_fields(corpus: Path, row: Row) -> None:
    stated = [text.encode() for text in facts_of(row)["from_headers"]]
    assert [field(m, b"From") for m in found_in(row).messages] == stated


@facts_with("subjects")
def test_subjects_and_contents(corpus: Path, row: Row) -> None:
    facts = facts_of(row)
    assert [field(m, b"Subject") for m in found_in(row).messages] == [
        text.encode() for text in facts["subjects"]
    ]
    assert [m.body for m in found_in(row).messages] == [text.encode() for text in facts["contents"]]


@facts_with("first_subject")
def test_first_subject(corpus: Path, row: Row) -> None:
    assert field(found_in(row).messages[0], b"Subject") == facts_of(row)["first_subject"].encode()


@facts_with("first_data_line")
def test_first_data_line(corpus: Path, row: Row) -> None:
    assert found_in(row).messages[0].raw.startswith(facts_of(row)["first_data_line"].encode())


@facts_with("message_ids")
def test_message_ids(corpus: Path, row: Row) -> None:
    stated = [text.encode() for text in facts_of(row)["message_ids"]]
    assert [field(m, b"Message-ID") for m in found_in(row).messages] == stated


@facts_with("x_test")
def test_a_field_of_the_peers_own(corpus: Path, row: Row) -> None:
    found = found_in(row).messages
    assert [field(m, b"X-Test") for m in found] == [text.encode() for text in facts_of(row)["x_test"]]
    names = [set(re.findall(rb"(?m)^[!-9;-~]+(?=:)", m.block)) for m in found]
    assert [len(name) for name in names] == [facts_of(row)["header_names_per_message"]] * len(found)


@facts_with("error")
def test_what_peers_refuse_holds_no_message(corpus: Path, row: Row) -> None:
    """They raise; here a file without a From_ line is data, and all of it junk."""
    if facts_of(row)["error"]:
        found = found_in(row)
        assert found.messages == []
        assert found.junk == octets(row)


KNOWN_FACTS = {
    *(
        "count",
        "source",
        "note",
        "messages",
        "first_message",
        "advance",
        "from_lines",
        "from_headers",
        "subjects",
    ),
    *(
        "contents",
        "first_subject",
        "first_data_line",
        "message_ids",
        "x_test",
        "header_names_per_message",
        "error",
    ),
    "messages_with_from_line",
    # The variant is the manifest's; the others count with another rule than ours, or count usable messages.
    *("variant", "count_strict_peer", "usable"),
}


def test_every_fact_is_used(corpus: Path) -> None:
    stated = {name for row in PEERS for name in facts_of(row)}
    assert stated <= KNOWN_FACTS


# -- From_ lines that peers' tests list -----------------------------------------------------------------

# By their number in the list: where peers contradict each other, or the grammar that real mail needs.
OTHERWISE = {
    8: "no sender, but a date: neomutt and Dovecot disagree on one form, and real mailboxes omit the sender",
    10: "one digit of an hour is a time: \\d{1,2} in the grammar, as real mail has it",
    29: "the From_ line stands mid-line, where the peer finds it, too; its own note says not to copy that",
    40: "as 29, with CRLF",
    32: "no domain in the sender: senders can be anything, and the date stands",
    43: "as 32, with CRLF",
    33: "no seconds: real mail omits them",
    44: "as 33, with CRLF",
    47: "the peer wants no date from it; the line alone may still separate, with a header behind it",
}


def separator_lines(corpus: Path) -> list[tuple[int, bytes, bool | None]]:
    entries = json.loads((corpus / "separator_lines.json").read_text("utf-8"))
    return [(number, entry["line"].encode(), entry["valid"]) for number, entry in enumerate(entries)]


def first_line(text: bytes) -> bytes:
    return text.partition(b"\n")[0].removesuffix(b"\r")


def test_separator_lines(corpus: Path) -> None:
    """Whether the first line carries a date, by syntax; the exceptions are all contradicted, none is idle."""
    lines = separator_lines(corpus)
    assert len(lines) == 48
    contradicted = {number for number, text, valid in lines if is_dated(first_line(text)) is not valid}
    assert contradicted == set(OTHERWISE)


def test_valid_separator_lines_separate(corpus: Path) -> None:
    start = b"From a Thu Jan  1 00:00:00 1970\nFrom: a\nSubject: one\n\nfirst\n\n"
    rest = b"\n\nprose that is no header\nmore of it\nand more\n"
    for number, text, valid in separator_lines(corpus):
        line = first_line(text)
        found = parse(start + line + rest)
        if valid and number not in OTHERWISE:
            assert [m.head.from_line for m in found.messages[1:]] == [line], line
        elif not valid and number not in OTHERWISE:
            assert len(found.messages) == 1, line


def test_every_from_line_separates_before_a_header(corpus: Path) -> None:
    """A date in a form that nobody knows is no reason to lose a message."""
    start = b"From a Thu Jan  1 00:00:00 1970\nFrom: a\nSubject: one\n\nfirst\n\n"
    for _, text, _ in separator_lines(corpus):
        line = first_line(text)
        found = parse(start + line + b"\nFrom: b\nSubject: two\n\nsecond\n")
        assert len(found.messages) == 1 + line.startswith(b"From "), line


def test_texts_of_several_lines(corpus: Path) -> None:
    """Some of the peers' texts hold whole snippets of mailboxes: the lines in them that begin a message."""
    for number, text, valid in separator_lines(corpus):
        dated = [line for line in as_lf(text).split(b"\n") if line.startswith(b"From ") and is_dated(line)]
        found = [m.head.from_line for m in parse(text).messages]
        if valid and number not in OTHERWISE:
            assert found[:1] == dated[:1], text
