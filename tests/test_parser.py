"""`Parser` against its contract: any octets, known mailboxes, bounds, and the octets of each message."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import drive
from drive import DATED, MAIL, MIB, Gathered, chunks, count, events_of, gather, parse, random_cuts
from reference import BOM, lines_of
from reference import split as reference_split
from strategies import Mailbox, any_octets, cuttings, mailboxes, soups
from unmbox import _judge, _parser
from unmbox._parser import Parser
from unmbox.errors import UnmboxError, UsageError
from unmbox.events import Body, Event, Head, HeadRest, Junk, Rejected

VARIANTS = ["auto", "mboxrd", "mboxo", "mboxcl", "mboxcl2"]

variants = st.sampled_from(VARIANTS)


# -- any octets --------------------------------------------------------------------------------------


@given(cuttings(), variants)
def test_cutting_changes_nothing(case: tuple[bytes, list[int]], variant: str) -> None:
    data, cuts = case
    assert parse(data, cuts, variant) == parse(data, (), variant)


@given(any_octets, variants)
def test_octet_by_octet_changes_nothing(data: bytes, variant: str) -> None:
    assert parse(data, range(len(data)), variant) == parse(data, (), variant)


@given(cuttings(), variants)
def test_junk_and_messages_tile_the_input(case: tuple[bytes, list[int]], variant: str) -> None:
    data, cuts = case
    found = parse(data, cuts, variant)
    assert found.tiled() == len(data)
    assert data.startswith(found.junk)
    for message in found.messages:
        at = message.head.offset
        assert data.startswith(b"From ", at)
        assert data.startswith(message.head.from_line, at)


@given(cuttings(), variants)
def test_pieces_stand_where_they_say(case: tuple[bytes, list[int]], variant: str) -> None:
    data, cuts = case
    last = -1
    for event in events_of(chunks(data, cuts), variant):
        if isinstance(event, Junk | HeadRest | Body):
            assert data.startswith(event.data[:1], event.offset)
            assert event.offset > last
            last = event.offset
        if isinstance(event, Junk | HeadRest) or (isinstance(event, Body) and b">" not in data):
            assert data.startswith(event.data, event.offset)


@given(cuttings(), variants)
def test_no_piece_splits_a_crlf(case: tuple[bytes, list[int]], variant: str) -> None:
    data, cuts = case
    pieces: list[bytes] = []
    for event in events_of(chunks(data, cuts), variant):
        if isinstance(event, Head):
            pieces = [event.data]
        elif isinstance(event, HeadRest | Body):
            if pieces[-1]:
                assert not (pieces[-1].endswith(b"\r") and event.data.startswith(b"\n"))
            pieces.append(event.data)


@given(cuttings(), variants)
def test_events_in_the_order_of_the_source(case: tuple[bytes, list[int]], variant: str) -> None:
    data, cuts = case
    at = 0
    for event in events_of(chunks(data, cuts), variant):
        if isinstance(event, Head | Junk):
            assert event.offset >= at
            at = event.offset


@given(cuttings(), variants)
def test_every_from_line_is_taken_or_reported(case: tuple[bytes, list[int]], variant: str) -> None:
    data, cuts = case
    found = parse(data, cuts, variant)
    taken = [message.head.offset for message in found.messages]
    reported = [rejected.offset for rejected in found.rejected]
    candidates = [line.offset for line in lines_of(data) if line.text.startswith(b"From ")]
    assert sorted(taken + reported) == candidates
    by_offset = {line.offset: line for line in lines_of(data)}
    for rejected in found.rejected:
        assert rejected.line == by_offset[rejected.offset].text[:1000]
        assert rejected.reason
    for message in found.messages:
        assert message.head.from_line == by_offset[message.head.offset].text[:1000]
        assert message.head.reason


@given(cuttings(), variants)
def test_only_quotes_from_lines_and_one_empty_line_are_taken_away(
    case: tuple[bytes, list[int]], variant: str
) -> None:
    """What is missing from a message's octets is accounted for, octet by octet."""
    data, cuts = case
    for message in parse(data, cuts, variant).messages:
        offset = message.head.offset
        stored = [line for line in lines_of(data) if offset < line.offset < offset + message.length]
        quotes = sum(line.text.startswith(b">") and b"From " in line.text for line in stored)
        whole = sum(len(line.stored) for line in stored)
        empty = len(stored[-1].stored) if stored and not stored[-1].text else 0
        assert whole - len(message.raw) - quotes <= empty
        assert len(message.raw) <= whole


@given(st.one_of(soups(), mailboxes().map(lambda mailbox: mailbox.data)), st.sampled_from(VARIANTS[1:]))
@example(b"From x\n\nFrom y\n", "mboxrd")
def test_as_the_slow_reference(data: bytes, variant: str) -> None:
    expected = reference_split(data, variant)
    found = parse(data, (), variant)
    assert [(m.head.offset, m.head.from_line, m.raw) for m in found.messages] == [
        (m.offset, m.from_line[:1000], m.raw) for m in expected.messages
    ]
    assert [rejected.offset for rejected in found.rejected] == expected.rejected


# -- known mailboxes ---------------------------------------------------------------------------------


def holds_the_truth(found: Gathered, mailbox: Mailbox) -> None:
    assert found.junk == b""
    assert [message.head.from_line for message in found.messages] == [m.from_line for m in mailbox.messages]
    for message, truth in zip(found.messages, mailbox.messages, strict=True):
        assert (message.head.offset, message.length) == (truth.offset, truth.length)
        assert message.block == truth.head
        assert message.body == truth.body
        assert message.head.newline == (b"\r" if mailbox.newline == "cr" else b"\n")
        assert message.notes == ()


@given(mailboxes(), st.data())
def test_a_known_mailbox_gives_its_messages(mailbox: Mailbox, draw: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(mailbox.data)), max_size=8)
    cuts = sorted(draw.draw(places, label="cuts"))
    holds_the_truth(parse(mailbox.data, cuts, mailbox.variant), mailbox)


@given(mailboxes(variants=("mboxrd", "mboxo")))
def test_auto_reads_both_kinds_of_quoting(mailbox: Mailbox) -> None:
    """They differ in ``>>From `` alone, and what that was is a matter of evidence: a test of its own."""
    assume(b">>From " not in mailbox.data)
    holds_the_truth(parse(mailbox.data), mailbox)


@given(mailboxes(variants=("mboxrd",)))
def test_without_the_last_empty_line(mailbox: Mailbox) -> None:
    """A writer that ends the file with the last message's text loses nothing."""
    last = mailbox.messages[-1]
    ends = re.search(rb"(\r\n|\n|\r)\Z", mailbox.data)
    assert ends
    data = mailbox.data[: ends.start()]
    if (
        not last.body
        or last.body.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
        or last.body in {b"\n", b"\r\n", b"\r"}
    ):
        return  # here one of the message's own empty lines would be taken for the writer's
    assert parse(data, (), "mboxrd").messages[-1].raw == last.raw


# -- use ---------------------------------------------------------------------------------------------


def test_unknown_variant() -> None:
    with pytest.raises(UsageError, match=r"mboxrd.*mboxo.*mboxcl.*mboxcl2") as raised:
        Parser(variant="mbx")
    assert "auto" in str(raised.value)
    assert "mbx" in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, UnmboxError)


def test_feed_after_close() -> None:
    parser = Parser()
    parser.feed(MAIL)
    assert parser.close()
    with pytest.raises(UsageError, match="close"):
        parser.feed(b"x")
    assert parser.close() == []


@pytest.mark.parametrize("data", ["text", 3, None, [b"x"]])
def test_feed_takes_octets_only(data: Any) -> None:
    with pytest.raises(UsageError, match="bytes"):
        Parser().feed(data)


def test_a_reused_buffer_is_copied_or_refused() -> None:
    """Octets that wait for more must not change under the parser's hands."""
    data = MAIL * 3
    parser, events = Parser(), []
    buffer = bytearray(16)
    try:
        for at in range(0, len(data), 16):
            piece = data[at : at + 16]
            buffer[:] = piece
            events += parser.feed(buffer)  # type: ignore[arg-type]  # what callers without types do
    except UsageError:
        return
    assert gather(events + parser.close()) == parse(data)


@pytest.mark.parametrize("pieces", [[], [b""], [b"", b"", b""]])
def test_nothing(pieces: list[bytes]) -> None:
    assert events_of(pieces) == []


def test_events_are_frozen() -> None:
    head = parse(MAIL).messages[0].head
    with pytest.raises(AttributeError):
        head.offset = 3  # type: ignore[misc]


# -- bounds ------------------------------------------------------------------------------------------


def held_back(pieces: list[bytes], variant: str = "auto") -> int:
    """The most octets that the parser kept to itself at any time, as far as its events show."""
    parser = Parser(variant=variant)
    fed = said = most = 0
    for piece in pieces:
        fed += len(piece)
        for event in parser.feed(piece):
            if isinstance(event, Head):
                said += len(event.from_line)
            if isinstance(event, Head | HeadRest | Body | Junk):
                said += len(event.data)
        most = max(most, fed - said)
    parser.close()
    return most


ENDLESS = {
    "line": b"x" * 65536,
    "line-of-spaces": b" " * 65536,
    "blank-lines": b"\n" * 65536,
    "blank-crlf-lines": b"\r\n" * 32768,
    "carriage-returns": b"\r" * 65536,
    "quotes": b">" * 65536,
    "word": b"From " * 13107,
    "fields": b"X-Field: x\n" * 6000,
    "folds": b" fold\n" * 11000,
    "nul": bytes(65536),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("piece", ENDLESS.values(), ids=ENDLESS.keys())
@pytest.mark.parametrize(
    "start",
    [
        b"",
        DATED,
        DATED + b"\n",
        DATED + b"\nSubject: x",
        DATED + b"\nSubject: x\n",
        MAIL,
        MAIL + b"\n>",
        MAIL + b"From ",
        MAIL[:-1] + DATED + b"\n",
        DATED + b"\nContent-Length: 1048576\n\n",
        DATED + b"\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n",
        DATED + b"\nContent-Type: multipart/mixed; boundary=b\n\n--b\n",
    ],
    ids=[
        "junk",
        "from-line",
        "head",
        "field",
        "fields",
        "body",
        "quote",
        "candidate",
        "dated",
        "claim",
        "attached",
        "part",
    ],
)
def test_memory_stays_flat(start: bytes, piece: bytes, variant: str) -> None:
    assert held_back([start, *[piece] * 64], variant) < 2.5 * MIB


@pytest.mark.parametrize("ahead", [b"", MAIL], ids=["junk", "body"])
@pytest.mark.parametrize("size", [65536, 1000, 77])
def test_many_from_lines_are_told_one_by_one_and_then_counted(ahead: bytes, size: int) -> None:
    """The first 10,000 each with its octets; those behind them cost no memory and none is forgotten."""
    quoted = b">From there on\n"
    one = b"From here\nand there\n" + quoted + b"From me: to you\nNote: x\n\nFrom \n" * 2
    data = ahead + one * 5000 + MAIL
    parser = Parser(variant="mboxrd")
    events: list[Event] = []
    for at in range(0, len(data), size):
        said = parser.feed(data[at : at + size])
        assert said or at + size < 4 * 65536
        events += said
    events += parser.close()
    rejected = [event for event in events if isinstance(event, Rejected)]
    starts = [match.start() for match in re.finditer(rb"(?m)^From (?!a@)", data)]
    assert [event.offset for event in rejected[:10_000]] == starts[:10_000]
    assert all(event.lines == 1 for event in rejected[:10_000])
    assert sum(event.lines for event in rejected) == len(starts) == 25_000
    told = {event.offset: event for event in rejected}
    assert all(data.startswith(b"From ", offset) for offset in told)
    found = gather(events)
    assert found == parse(data, (), "mboxrd")
    assert found.messages[-1].body == b"first\n"
    if ahead:
        assert found.messages[0].body == b"first\n\n" + (one * 5000).replace(b">From", b"From")


def test_many_from_lines_in_a_header_block_cost_no_memory() -> None:
    parser = Parser(variant="mboxrd")
    assert parser.feed(DATED + b"\n" + (b"Received: x\n" + DATED + b"\n") * 17_000) == []
    events = [*parser.feed(b"From: a\n\ntext\n"), *parser.close()]
    rejected = [event for event in events if isinstance(event, Rejected)]
    assert len(rejected) == 10_001
    assert sum(event.lines for event in rejected) == 17_000


@given(cuttings(), variants)
def test_counting_lines_changes_nothing_else(case: tuple[bytes, list[int]], variant: str) -> None:
    """As if 10,000 lines had been told before: neighbours with one reason become one, and no more."""
    data, cuts = case
    one_by_one = parse(data, cuts, variant)
    with pytest.MonkeyPatch.context() as patch:
        for module in (_judge, _parser):
            patch.setattr(module, "MAX_TOLD", 0)
        patch.setattr(drive, "TOLD", 0)
        counted = parse(data, cuts, variant)
    assert (counted.junk, counted.messages) == (one_by_one.junk, one_by_one.messages)
    runs = [list(run) for _, run in groupby(one_by_one.rejected, key=lambda rejected: rejected.reason)]
    assert counted.rejected == [run[0]._replace(lines=len(run)) for run in runs]


class Calls:
    """Counts the calls that Python and C functions get: steps, not seconds."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        self.count += event in {"call", "c_call"}

    def of(self, data: bytes, size: int) -> int:
        """The number of calls that parsing takes in pieces of `size` octets."""
        self.count = 0
        parser = Parser(variant="mboxrd")
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            for at in range(0, len(data), size):
                parser.feed(data[at : at + size])
            parser.close()
        finally:
            sys.setprofile(before)
        return self.count


PARTS = DATED + b"\nContent-Type: multipart/mixed; boundary=b%d\n\n--b%d\n\ntext\n\n"
STEPS = {
    "base64": lambda n: MAIL + b"TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsu\n" * n,
    "prose": lambda n: MAIL + b"the quick brown fox jumps over the lazy dog\n" * n,
    "quotes": lambda n: MAIL + b">From here on, quoted text\n" * n,
    "deep-quotes": lambda n: MAIL + b">" * 100 * n,
    "from-lines": lambda n: MAIL + b"From here on\nprose\n" * n,
    "dated-lines": lambda n: MAIL + b"text\n" + (DATED + b"\nprose\n") * n,
    "messages": lambda n: MAIL * n,
    "header": lambda n: DATED + b"\n" + b"X-Field: value of it\n" * n,
    "from-lines-in-header": lambda n: DATED + b"\n" + (b"Received: x\n" + DATED + b"\n") * n,
    "attached": lambda n: (
        DATED
        + b"\nFrom: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        + MAIL * n
    ),
    "undeclared-boundaries": lambda n: (
        MAIL + b"".join(b"--x%d\nContent-Type: text/plain\n\n%s\nX: y\n\n" % (i, DATED) for i in range(n))
    ),
    "cut-off-multiparts": lambda n: b"".join(PARTS % (i, i) for i in range(n)),
    "one-boundary": lambda n: PARTS % (1, 2) * n + b"--b1\n",
    "from-lines-as-parts": lambda n: PARTS % (1, 1) + (b"--b1\n\n" + DATED + b"\n") * n,
    "junk": lambda n: b"From here on\nprose\n" * n,
    "blank": lambda n: MAIL + b"\n" * n,
}


@pytest.mark.parametrize("size", [1, 100, 65536])
@pytest.mark.parametrize("make", STEPS.values(), ids=STEPS.keys())
def test_steps_grow_with_the_input_only(make: Any, size: int) -> None:
    count = 100 if size == 1 else 1000
    calls = Calls()
    once, twice = calls.of(make(count), size), calls.of(make(2 * count), size)
    assert twice <= 2.3 * once + 100


def test_chunks_cost_steps_and_lines_do_not() -> None:
    """A megabyte of lines takes no more steps than a megabyte without any."""
    lines = MAIL + b"the quick brown fox jumps over the lazy dog\n" * 25_000
    assert Calls().of(lines, 65536) < 4000
    assert Calls().of(MAIL + b"TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsu\n" * 27_000, 65536) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"X: y" * (5 * MIB // 16),
        DATED + b"\n" + b"X: y" * (5 * MIB // 16) + b"\n\n" + b"body" * (MIB // 8),
    ],
    ids=["junk", "message"],
)
def test_megabytes_in_crumbs(data: bytes) -> None:
    """Were the cost of a piece to grow with what is held, this would not end."""
    parser = Parser()
    events: list[Event] = []
    for at in range(0, len(data), 5):
        events += parser.feed(data[at : at + 5])
    events += parser.close()
    assert gather(events).tiled() == len(data)


def test_a_long_header_block_is_cut_at_a_line_end() -> None:
    block = b"Subject: x\n" + b"X-Field: 0123456789\n" * (MIB // 10) + b"\n"
    data = DATED + b"\n" + block + b"body\n" + b"\n" + MAIL
    for cuts in [(), random_cuts(data), range(0, len(data), 65536)]:
        found = parse(data, cuts)
        long, short = found.messages
        assert MIB - 100 < len(long.head.data) <= MIB
        assert long.head.data.endswith(b"\n")
        assert long.block == block
        assert long.body == b"body\n"
        assert long.notes == ("head-too-long",)
        assert short.notes == ()


@pytest.mark.parametrize("more", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_header_block_around_the_bound(newline: bytes, more: int) -> None:
    ends = b"Subject: x" + newline + newline
    block = b"X: " + b"y" * (MIB - len(ends) - 3 - len(newline) + more) + newline + ends
    data = DATED + newline + block + b"body" + newline
    for cuts in [(), range(0, len(data), 65536), [MIB - 1, MIB, MIB + 1]]:
        message = parse(data, cuts).messages[0]
        assert message.block == block
        assert message.body == b"body" + newline
        assert len(message.head.data) <= MIB
        assert message.notes == (("head-too-long",) if len(block) > MIB else ())


def test_one_header_line_longer_than_the_bound() -> None:
    block = b"Subject: " + b"x" * (2 * MIB) + b"\n\n"
    found = parse(DATED + b"\n" + block + b"body\n\n" + MAIL)
    assert found.messages[0].block == block
    assert found.messages[0].body == b"body\n"
    assert len(found.messages[0].head.data) == MIB
    assert len(found.messages) == 2


def test_from_lines_behind_the_bound_of_a_header_block() -> None:
    fields = b"X-Field: 0123456789\n" * (MIB // 10)
    data = DATED + b"\n" + fields + DATED + b"\nprose without a field\n\nbody\n"
    found = parse(data)
    assert found.tiled() == len(data)
    assert len(found.messages) + len(found.rejected) == 2


def test_recorded_lines_hold_1000_octets() -> None:
    """A From_ line of any length separates; its first 1,000 octets are kept."""
    taken = b"From " + b"x" * 3000 + b" Thu Jan  1 00:00:00 1970"
    data = (
        taken + b"\nFrom: a\nSubject: b\n\nFrom " + b"y" * 3000 + b"\nprose\n\n" + taken + b"\nFrom: a\n\nb\n"
    )
    found = parse(data)
    assert [message.head.from_line for message in found.messages] == [taken[:1000]] * 2
    assert [rejected.line for rejected in found.rejected] == [b"From " + b"y" * 995]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_from_line_longer_than_the_look_ahead(newline: bytes) -> None:
    line = b"From " + b"x" * 70_000
    data = MAIL + line + newline + b"From: a" + newline + newline + b"text"
    found = parse(data)
    assert len(found.messages) == 1
    assert found.rejected[0].line == line[:1000]
    assert found.messages[0].body.endswith(line + newline + b"From: a" + newline + newline + b"text")


FILLERS = {
    "no-space": b"x",
    "spaces": b" ",
    "words": b"xFrom ",
    "lines": b"x\n",
    "crlf-lines": b"x\r\n",
    "blank-lines": b"\n",
    "quotes": b">",
    "line-starts": b"\nFro",
}
LANDMARKS = {
    "quoted": (b">From x\n", b"From x\n"),
    "twice-quoted": (b">>From x\n", b">From x\n"),
    "deep": (b">" * 900 + b"From x\n", b">" * 899 + b"From x\n"),
    "candidate": (b"From here\nprose\n", b"From here\nprose\n"),
    "two": (b">From x\nFrom here\n>From y\n", b"From x\nFrom here\nFrom y\n"),
}


@pytest.mark.parametrize("landmark", LANDMARKS)
@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS.keys())
def test_every_distance_between_lines_that_matter(filler: bytes, landmark: str) -> None:
    """The search leaps and works in windows: no line may fall between two of them, wherever it stands."""
    stored, given_back = LANDMARKS[landmark]
    for size in [*range(32_700, 32_800, 3), *range(31_700, 32_700, 97), *range(65_500, 65_560, 7)]:
        fill = b"a " + filler * (size // len(filler)) + b"\n"
        data = DATED + b"\nSubject: x\n\n" + fill + stored + fill + stored + b"end"
        expected = fill + given_back + fill + given_back + b"end"
        message = parse(data, (), "mboxrd").messages[0]
        assert message.body == expected
        assert parse(data, sorted([len(data) // 3, 40_000]), "mboxrd").messages[0].body == expected


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("variant", ["mboxrd", "mboxo", "mboxcl2"])
def test_dense_quoting_over_many_windows(variant: str, newline: bytes) -> None:
    lines = [b">" * (number % 4) + b"From %d " % number + b"x" * (number * 7 % 90) for number in range(5000)]
    lines = [b"_" + line if line.startswith(b"From ") else line for line in lines]
    body = newline.join(lines) + newline
    expected = body
    if variant != "mboxcl2":
        strip = rb"(?m)^>(>*From )" if variant == "mboxrd" else rb"(?m)^>(From )"
        expected = newline.join(re.sub(strip, rb"\1", line) for line in lines) + newline
    data = DATED + newline + b"Subject: x" + newline + newline + body
    for cuts in [(), random_cuts(data, 50), range(0, len(data), 4096)]:
        assert parse(data, cuts, variant).messages[0].body == expected


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (b"x" + b"-" * 190 + b"Begin Included Message---\n\n" + DATED, "after-included-message-marker"),
        (b"text\n\nFrom :a Thu Jan  1 00:00:00 1970", "header-field"),
    ],
    ids=["marker", "header-form"],
)
def test_the_plainest_end_is_judged_as_any(end: bytes, reason: str) -> None:
    data = MAIL + b"text\n" * 80 + end + b"\nSubject: x\n\ntext\n"
    for cuts in [(), range(len(data))]:
        assert [line.reason for line in parse(data, cuts).rejected] == [reason]


@pytest.mark.parametrize("far", [0, 5_000, 70_000, 1_000_000, 1_060_000])
@pytest.mark.parametrize(
    ("boundary", "line", "comes"),
    [
        (b"b", b"--b", True),
        (b"b", b"--b--", True),
        (b"b", b"--b-- \t", True),
        (b"b", b"--bb", False),
        (b'"a b"', b"--a b", True),
        (b'"b "', b"--b ", False),
        (b'"b "', b"--b\n--b \n--b --", True),
        (b"b--", b"--b----", True),
        (b"b--", b"--b", False),
    ],
)
def test_a_boundary_however_far_ahead(boundary: bytes, line: bytes, comes: bool, far: int) -> None:
    head = DATED + b"\nContent-Type: multipart/mixed; boundary=" + boundary + b"\n\n"
    data = head + b"text\n" * 60 + b"\n" + MAIL + b"--a\n" + b"more text\n" * (far // 10) + line + b"\n"
    for cuts in [(), range(0, len(data), 65536)]:
        within = far < MIB and comes
        assert [found.reason for found in parse(data, cuts).rejected] == ["inside-multipart"] * within


@pytest.mark.parametrize("dashes", ["-- ", "---", "--Joe", "--*", "--\xa0"])
@pytest.mark.parametrize("lines", ["Job: Content-Manager\n", "Tel: 1\nWeb: http://e.org/content-x\n"])
def test_a_signature_is_no_part_of_a_multipart(dashes: str, lines: str) -> None:
    """Not even below a name with MIME's letters in it, and though all other mail has such dashes, too."""
    first = MAIL.replace(b"first\n", f"first\n\n{dashes}\n{lines}".encode())
    others = MAIL.replace(b"first\n", f"text\n\n{dashes}\nJoe\n".encode()) * 20
    assert len(parse(first + others).messages) == 21


@pytest.mark.parametrize("between", [1, 99, 100, 101, 250])
def test_a_boundary_that_is_declared_anew_behind_many_others(between: int) -> None:
    def mail(boundary: str, end: str) -> bytes:
        head = f'{DATED.decode()}\nFrom: a\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n'
        return f"{head}--{boundary}\nContent-Type: text/plain\n\ntext\n{end}\n".encode()

    unclosed = mail("B", "")
    closed = b"".join(mail(f"C{number}", f"\n--C{number}--\n") for number in range(between))
    assert len(parse(unclosed + closed + unclosed).messages) == between + 2


def test_what_compacting_left_is_a_message_of_its_own() -> None:
    """Thunderbird's, of which nothing but its own notes is there: the next one's state is another."""
    line = DATED.replace(b"From a@example.org", b"From -")
    left = line + b"\nX-Mozilla-Status: 0009\nX-Mozilla-Status2: 00000000\n"
    found = parse(MAIL + left + line + b"\nX-Mozilla-Status: 0001\nFrom: a\nSubject: b\n\ntext\n")
    assert [message.block.count(b"X-Mozilla-Status:") for message in found.messages] == [0, 1, 1]
    # A relay's own line behind such notes begins nothing.
    assert len(parse(left + DATED + b"\nReceived: x\nFrom: a\n\ntext\n").messages) == 1


def test_mid_line_is_no_line_start() -> None:
    """A chunk that begins with ``From `` inside a long line is inside that line still."""
    data = MAIL + b"x" * 100_000 + DATED + b"\nFrom: a\nSubject: b\n\n"
    at = data.index(DATED, len(MAIL))
    for cuts in [[at], [at - 1], [at, at + 1], [at, at + 5], [at - 65536, at]]:
        found = parse(data, cuts)
        assert len(found.messages) == 1
        assert found.rejected == []


# -- what stands before the first From_ line -----------------------------------------------------------


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(
    "junk",
    [
        b"",
        BOM,
        b"\n",
        BOM + b"\n\n",
        b"\n\n\n",
        b"  \n\t\n",
        b"text\n\n",
        b"text\nmore: text\n\n\n",
        b"\x00\n\n",
    ],
)
def test_junk_before_the_first_message(junk: bytes, newline: bytes) -> None:
    junk = junk.replace(b"\n", newline)
    data = junk + MAIL.replace(b"\n", newline)
    found = parse(data)
    assert found.junk == junk
    assert [message.head.offset for message in found.messages] == [len(junk)]
    assert found.messages[0].body == b"first" + newline


def test_a_bom_before_an_undated_from_line() -> None:
    found = parse(BOM + b"From \nTo: bob\nSubject: hi\n\nx\n")
    assert found.junk == BOM
    assert len(found.messages) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"plain text\nand more\n",
        b"From: a@example.org\nSubject: a message, no mailbox\n\ntext\n",
        b">From a Thu Jan  1 00:00:00 1970\nFrom: x\n\n",
        b" From a Thu Jan  1 00:00:00 1970\nFrom: x\n\n",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"{}",
        BOM,
        b"\n\n\n",
        b"From",
        b"Fro",
    ],
)
def test_no_mailbox_is_all_junk(data: bytes) -> None:
    found = parse(data)
    assert found.messages == []
    assert found.junk == data


def test_from_lines_in_junk_are_reported() -> None:
    data = b"intro\nFrom here on prose\nand more\n\n" + MAIL
    found = parse(data)
    assert len(found.messages) == 1
    assert [(rejected.offset, rejected.line) for rejected in found.rejected] == [(6, b"From here on prose")]


@pytest.mark.parametrize(
    "data",
    [
        b"From ",
        b"From \n",
        b"From a\n",
        b"From a\r\n",
        b"\n\nFrom a",
        BOM + b"From a\n",
        b"From a\n>From b\n",
        b"From a\n>From b",
    ],
)
def test_a_lone_from_line_is_a_mailbox_cut_off(data: bytes) -> None:
    assert count(data) == 1


# -- empty lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("blank", range(6))
def test_exactly_one_empty_line_is_dropped(newline: bytes, blank: int) -> None:
    head = DATED + newline + b"Subject: x" + newline + newline
    message = head + b"text" + newline + newline * blank
    kept = b"text" + newline + newline * max(0, blank - 1)
    data = message + message
    for cuts in [(), range(len(data))]:
        assert [m.body for m in parse(data, cuts).messages] == [kept, kept]


def test_one_empty_line_of_either_kind_is_dropped() -> None:
    data = DATED + b"\nSubject: x\n\ntext\r\n\n\r\n" + MAIL
    assert parse(data).messages[0].body == b"text\r\n\n"
    data = DATED + b"\nSubject: x\n\ntext\r\n\r\n\n" + MAIL
    assert parse(data).messages[0].body == b"text\r\n\r\n"


def test_a_line_of_white_space_is_not_empty() -> None:
    assert parse(DATED + b"\nSubject: x\n\ntext\n \n").messages[0].body == b"text\n \n"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_header_block_keeps_its_end(newline: bytes) -> None:
    block = b"Subject: x" + newline + newline
    once = DATED + newline + block
    for blank, body in [(0, b""), (1, b""), (2, newline), (3, newline * 2)]:
        data = (once + newline * blank) * 2
        found = parse(data)
        assert [(m.block, m.body) for m in found.messages] == [(block, body)] * 2
        assert found.tiled() == len(data)


def test_a_message_without_any_header() -> None:
    data = (DATED + b"\n\ntext\n\n") * 2
    assert [(m.block, m.body) for m in parse(data).messages] == [(b"\n", b"text\n")] * 2


def test_a_message_without_any_octet() -> None:
    data = DATED + b"\n\n" + DATED + b"\n\n" + DATED + b"\n"
    assert [m.raw for m in parse(data).messages] == [b"\n", b"\n", b""]


def test_a_separator_right_behind_the_text() -> None:
    data = DATED + b"\nSubject: x\n\ntext\n" + MAIL
    assert parse(data).messages[0].body == b"text\n"


# -- quoting -----------------------------------------------------------------------------------------


QUOTED = [
    # stored, mboxrd, mboxo, mboxcl2
    (b">From x", b"From x", b"From x", b">From x"),
    (b">>From x", b">From x", b">>From x", b">>From x"),
    (b">>>From x", b">>From x", b">>>From x", b">>>From x"),
    (b">From", b">From", b">From", b">From"),
    (b">From:", b">From:", b">From:", b">From:"),
    (b"> From x", b"> From x", b"> From x", b"> From x"),
    (b" >From x", b" >From x", b" >From x", b" >From x"),
    (b"x>From x", b"x>From x", b"x>From x", b"x>From x"),
    (b">from x", b">from x", b">from x", b">from x"),
    (b">\tFrom x", b">\tFrom x", b">\tFrom x", b">\tFrom x"),
    (b">From ", b"From ", b"From ", b">From "),
    (b">" * 900 + b"From x", b">" * 899 + b"From x", b">" * 900 + b"From x", b">" * 900 + b"From x"),
]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("stored", "rd", "o", "cl2"), QUOTED)
@pytest.mark.parametrize("before", [b"", b"text\n", b"\n", b"text\n\n", b">From y\n"], ids=repr)
def test_quoting(before: bytes, stored: bytes, rd: bytes, o: bytes, cl2: bytes, newline: bytes) -> None:
    for variant, expected in [("mboxrd", rd), ("mboxo", o), ("mboxcl", o), ("mboxcl2", cl2)]:
        start = before if variant == "mboxcl2" else before.replace(b">From y", b"From y")
        data = DATED + b"\nSubject: x\n\n" + before + stored + b"\nafter\n"
        whole = (start + expected + b"\nafter\n").replace(b"\n", newline)
        data = data.replace(b"\n", newline)
        for cuts in [(), range(len(data)), [data.index(b"after") - 8]]:
            assert parse(data, cuts, variant).messages[0].body == whole


def test_quoted_at_the_very_end() -> None:
    assert parse(DATED + b"\n\nx\n>From ", (), "mboxrd").messages[0].body == b"x\nFrom "
    assert parse(DATED + b"\n\nx\n>From", (), "mboxrd").messages[0].body == b"x\n>From"


def test_nothing_is_unquoted_in_a_header_block() -> None:
    block = b"Subject: x\n>From a Thu Jan  1 00:00:00 1970\nX: y\n\n"
    for first in [b"", b">From carol Thu Jan  1 00:00:00 1970\n", b">From - \n"]:
        message = parse(DATED + b"\n" + first + block + b">From b\n", (), "mboxrd").messages[0]
        assert message.block == first + block
        assert message.body == b"From b\n"


def test_auto_tells_mboxo_by_twice_quoted_text() -> None:
    """A lone ``>>From `` was ``>From ``; among other lines that are quoted twice, it was itself in mboxo."""
    reply = b"Alice wrote:\n> Bob wrote:\n>> hello,\n>>From now on\n>> it is so\n"
    data = DATED + b"\nFrom: a\nSubject: b\n\n" + reply
    assert parse(data, (), "mboxo").messages[0].body == reply
    assert parse(data, (), "mboxrd").messages[0].body == reply.replace(b">>From", b">From")
    assert parse(data).messages[0].body == reply


@pytest.mark.parametrize(
    ("around", "mboxo"),
    [
        (b">>>>> deep\n%s>>>>> deep\n", False),  # quoted deeper: nothing to compare with
        (b">>>>> deep\n%s>> as deep\n", True),
        (b">> as deep\n%s>>>>> deep\n", True),
        (b"> once\n%s> once\n", False),
        (b">> as deep\n%s> once\n", False),  # each says another thing
        (b"> once\n%s>> as deep\n", False),
        (b"text\n%stext\n", False),
    ],
)
def test_what_stands_around_twice_quoted_text(around: bytes, mboxo: bool) -> None:
    text = around % b">>From here on\n"
    body = text if mboxo else text.replace(b">>From", b">From")
    for times in (1, 3000):
        found = parse(DATED + b"\nFrom: a\nSubject: b\n\n" + text * times)
        assert found.messages[0].body == body * times


def test_auto_decides_once_from_the_first_mebibyte() -> None:
    """What comes after 1 MiB changes nothing about how the start was read."""
    start = DATED + b"\nFrom: a\nSubject: b\n\n>From x\n>>From y\n" + b"text\n" * (MIB // 5)
    reply = b"> Bob wrote:\n>> hello,\n>>From now on\n>> it is so\n"
    found = parse(start + reply * 3)
    assert found.messages[0].body.startswith(b"From x\n>From y\n")
    assert found.messages[0].body.endswith(reply.replace(b">>From", b">From"))


# -- Content-Length ----------------------------------------------------------------------------------


def claimed(length: bytes, body: bytes, after: bytes = MAIL) -> bytes:
    return DATED + b"\nSubject: x\nContent-Length: " + length + b"\n\n" + body + after


HIDDEN = b"text\n\n" + MAIL + b"more text\n"


@pytest.mark.parametrize("variant", ["mboxcl", "mboxcl2"])
def test_content_length_hides_from_lines(variant: str) -> None:
    data = claimed(b"%d" % len(HIDDEN), HIDDEN, b"\n" + MAIL)
    for cuts in [(), range(len(data)), random_cuts(data)]:
        found = parse(data, cuts, variant)
        assert [m.body for m in found.messages] == [HIDDEN, b"first\n"]
        assert found.messages[0].notes == ()
        assert [rejected.line for rejected in found.rejected] == [DATED]


@pytest.mark.parametrize("variant", ["auto", "mboxrd", "mboxo"])
def test_content_length_counts_for_nothing_elsewhere(variant: str) -> None:
    found = parse(claimed(b"%d" % len(HIDDEN), HIDDEN, b"\n" + MAIL), (), variant)
    assert len(found.messages) == 3
    assert all("content-length-ignored" not in message.notes for message in found.messages)


@pytest.mark.parametrize(
    "claim",
    [
        b"43603",
        b"0",
        b"1",
        b"-1",
        b"x",
        b"",
        b"9" * 30,
        b"0x10",
        b"1e3",
        b"4 4",
        b"\xb2",
        b"1048577",
        b"+5",
        b"1_0",
    ],
)
@pytest.mark.parametrize("variant", ["mboxcl", "mboxcl2"])
def test_a_lying_content_length_is_ignored(variant: str, claim: bytes) -> None:
    data = claimed(claim, b"text that is\n\n")
    for cuts in [(), range(len(data))]:
        found = parse(data, cuts, variant)
        assert [m.body for m in found.messages] == [b"text that is\n", b"first\n"]
        assert found.messages[0].notes == ("content-length-ignored",)
        assert found.messages[1].notes == ()


@pytest.mark.parametrize("off", [-3, -2, -1, 1, 2, 3, 6])
def test_content_length_off_by_some(off: int) -> None:
    body = b"one\ntwo\n"
    data = claimed(b"%d" % (len(body) + off), body, b"\n" + MAIL)
    found = parse(data, (), "mboxcl2")
    assert len(found.messages) == 2
    # One more than the text spans the empty line: it leads to a From_ line still, and ends no other line.
    assert found.messages[0].body in ({body, body + b"\n"} if off == 1 else {body})


def test_content_length_that_points_into_a_line() -> None:
    """The octets that it points to read ``From ``, but no line begins there."""
    body = b"a letter From bob to carol\nFrom: x\n\n"
    data = claimed(b"9", body)
    found = parse(data, (), "mboxcl2")
    assert found.messages[0].body == body[:-1]
    assert found.messages[0].notes == ("content-length-ignored",)


@pytest.mark.parametrize("variant", ["mboxcl", "mboxcl2"])
def test_content_length_that_points_into_a_crlf(variant: str) -> None:
    """One less than the body: the octet that it leaves out is the LF of the last line, no empty line."""
    body = b"one\r\ntwo\r\n"
    for after in [MAIL.replace(b"\n", b"\r\n"), b""]:
        data = claimed(b"%d" % (len(body) - 1), b"", b"").replace(b"\n", b"\r\n") + body + after
        found = parse(data, (), variant)
        assert found.messages[0].body == body
        assert found.messages[0].notes == ("content-length-ignored",)


def test_two_content_lengths_are_none() -> None:
    data = DATED + b"\nContent-Length: 5\nContent-Length: 5\n\ntext\n\n" + MAIL
    found = parse(data, (), "mboxcl2")
    assert [m.notes for m in found.messages] == [("content-length-ignored",), ()]
    assert found.messages[0].body == b"text\n"


def test_content_length_to_the_end_of_the_file() -> None:
    for tail in [b"", b"\n", b"\r\n"]:
        found = parse(claimed(b"%d" % len(HIDDEN), HIDDEN, tail), (), "mboxcl2")
        assert [m.body for m in found.messages] == [HIDDEN]
        assert found.tiled() == len(claimed(b"%d" % len(HIDDEN), HIDDEN, tail))


def test_content_length_of_a_body_without_a_last_line_end() -> None:
    body = b"text\n\n" + MAIL + b"no line end"
    assert parse(claimed(b"%d" % len(body), body, b""), (), "mboxcl2").messages[0].body == body


@pytest.mark.parametrize("size", [MIB - 1, MIB])
def test_content_length_up_to_a_mebibyte(size: int) -> None:
    body = HIDDEN + b"x" * (size - len(HIDDEN) - 1) + b"\n"
    data = claimed(b"%d" % size, body, b"\n" + MAIL)
    for cuts in [(), range(0, len(data), 65536)]:
        assert [m.body for m in parse(data, cuts, "mboxcl2").messages] == [body, b"first\n"]


def test_content_length_over_a_mebibyte_is_ignored() -> None:
    body = b"x" * MIB + b"\n"
    found = parse(claimed(b"%d" % len(body), body, b"\n" + MAIL), (), "mboxcl2")
    assert [m.notes for m in found.messages] == [("content-length-ignored",), ()]
    assert found.messages[0].body == body


@pytest.mark.parametrize("field", [b"content-length:5", b"CONTENT-LENGTH : 5", b"Content-Length:\t 5  "])
def test_content_length_as_it_is_spelled(field: bytes) -> None:
    data = DATED + b"\nSubject: x\n" + field + b"\n\ntext\n\n" + MAIL
    found = parse(data, (), "mboxcl2")
    assert [m.notes for m in found.messages] == [(), ()]
    assert [m.head.reason for m in found.messages][1] != parse(data).messages[1].head.reason


def test_content_length_in_a_cr_only_file() -> None:
    data = claimed(b"%d" % len(HIDDEN), HIDDEN, b"\n" + MAIL).replace(b"\n", b"\r")
    assert [m.body for m in parse(data, (), "mboxcl").messages] == [HIDDEN.replace(b"\n", b"\r"), b"first\r"]


def test_quotes_inside_a_claimed_body() -> None:
    body = b">From a\nx\n>>From b\n"
    data = claimed(b"%d" % len(body), body, b"\n" + MAIL)
    assert parse(data, (), "mboxcl").messages[0].body == b"From a\nx\n>>From b\n"
    assert parse(data, (), "mboxcl2").messages[0].body == body


# -- line ends ---------------------------------------------------------------------------------------


def test_crlf_separators_between_lf_bodies() -> None:
    data = b"".join(DATED + b"\r\nFrom: a\r\nSubject: b\r\n\r\nline\nline\n\r\n" for _ in range(3))
    assert [m.body for m in parse(data).messages] == [b"line\nline\n"] * 3


def test_lf_separators_between_crlf_bodies() -> None:
    data = b"".join(DATED + b"\nFrom: a\r\nSubject: b\r\n\r\nline\r\nline\r\n\n" for _ in range(3))
    assert [m.body for m in parse(data).messages] == [b"line\r\nline\r\n"] * 3


def test_bare_cr_ends_no_line_among_lf() -> None:
    data = DATED + b"\nFrom: a\nSubject: b\n\none\r" + DATED + b"\rFrom: c\rSubject: d\r\rtwo\n"
    found = parse(data)
    assert len(found.messages) == 1
    assert found.messages[0].head.newline == b"\n"
    assert found.rejected == []


def test_cr_only_is_decided_once() -> None:
    """An LF in a CR-only file's first 1 MiB makes it an LF file; behind that it is an octet like any."""
    mail = MAIL.replace(b"\n", b"\r")
    late = mail + DATED + b"\rSubject: x\r\r" + b"y" * MIB + b"\n" + DATED + b"\rFrom: a\r\r" + b"\r" + mail
    found = parse(late)
    assert {m.head.newline for m in found.messages} == {b"\r"}
    assert len(found.messages) == 3
    assert found.tiled() == len(late)


@pytest.mark.parametrize(
    "tail",
    [
        b"x\r\ny\r",
        b"\r\n\r\n\r\n",
        b"x\r\r\n\n\r\r",
        b"\r\n>From x\r\n\r>From y\r\r\n",
        b"x\r\ny\rFrom here on\rit is text\r",
    ],
)
def test_no_piece_of_a_cr_only_file_splits_a_crlf(tail: bytes) -> None:
    """The first 1 MiB says that lone CRs end lines; a CRLF behind it is one line end all the same."""
    mail = DATED + b"\rSubject: x\r\r" + b"y" * MIB
    whole = parse(mail + tail)
    for cuts in ([len(mail) + at] for at in range(len(tail))), [range(len(mail), len(mail) + len(tail))]:
        for cut in cuts:
            assert parse(mail + tail, cut) == whole
            pieces = [e.data for e in events_of(chunks(mail + tail, cut), "auto") if isinstance(e, Body)]
            assert b"\r|\n" not in b"|".join(pieces)


def test_a_crlf_across_every_cut() -> None:
    data = MAIL.replace(b"\n", b"\r\n") * 2
    whole = parse(data)
    for at in range(len(data)):
        assert parse(data, [at]) == whole


def test_a_double_cr_before_lf() -> None:
    """``CR CR LF`` is an LF's line with a CR of its own, as a transfer in text mode leaves it."""
    data = MAIL.replace(b"\n", b"\r\r\n") * 2
    found = parse(data)
    assert found.tiled() == len(data)
    assert len(found.messages) == 2


def test_nul_and_8_bit_octets_pass() -> None:
    body = bytes(set(range(256)) - {10, 13}) * 3 + b"\n"
    assert parse(DATED + b"\nSubject: \x00\xff\n\n" + body).messages[0].body == body


def test_going_on_in_the_middle_ends_as_an_undisturbed_run_does() -> None:
    """From every message on, also where what was settled reads like an order to trust Content-Length."""
    body = b"text\nFrom hell\nmore\n"
    mails = [
        DATED + b"\nSubject: %d\nContent-Length: %d\n\n" % (number, len(body)) + body + b"\n"
        for number in range(4)
    ]
    data = b"".join(mails) + DATED + b"\nContent-Length: 57\nSubject: lie\n\none\n\n" + DATED + b"\n" + MAIL
    whole = Parser()
    events = [*whole.feed(data), *whole.close()]
    assert whole.variant == "mboxcl2"
    starts = [event.offset for event in events if isinstance(event, Head)]
    assert len(starts) > 4
    for start in starts:
        rest = Parser(settled=whole.variant, newline=whole.newline, offset=start)
        found = [*rest.feed(data[start:]), *rest.close()]
        assert [event.offset for event in found if isinstance(event, Head)] == [
            at for at in starts if at >= start
        ]
