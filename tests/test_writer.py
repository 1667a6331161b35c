"""`EmlWriter` in preserve mode: line ends change, and nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drive import chunks, events_of, random_cuts
from strategies import Mailbox, cuttings, mailboxes
from unmbox import EmlWriter, Parser, UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected

NEWLINES = {"crlf": b"\r\n", "lf": b"\n"}
both = pytest.mark.parametrize("newline", NEWLINES)

octets = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"a", b"\x00", b"\xff"]),
        st.binary(max_size=4),
    )
).map(b"".join)


def preserving(newline: str = "crlf") -> EmlWriter:
    """A writer that changes line ends and nothing else."""
    return EmlWriter(headers="preserve", newline=newline)


def converted(data: bytes, newline: str, *, lone_cr: bool = False) -> bytes:
    """What the contract says: all line ends become the wanted one, a lone CR only where it ends lines."""
    return re.sub(rb"\r\n|\n|\r" if lone_cr else rb"\r\n|\n", NEWLINES[newline], data)


def written(events: list[Event], newline: str) -> list[bytes]:
    """The EMLs that a fresh writer each makes of a parser's events."""
    files: list[bytes] = []
    writer = preserving(newline)
    for event in events:
        if isinstance(event, Head):
            writer = preserving(newline)
            files.append(b"")
        piece = writer.send(event)
        if files:
            files[-1] += piece
        else:
            assert piece == b""
    return files


def head(data: bytes, newline: bytes = b"\n") -> Head:
    return Head(0, b"From a Thu Jan  1 00:00:00 1970", data, newline, "dated")


@both
@given(block=octets, rest=octets, body=octets)
@example(block=b"a\r", rest=b"", body=b"")
@example(block=b"\r\n\n", rest=b"\n", body=b"\r\r\n")
def test_line_ends_and_nothing_else(newline: str, block: bytes, rest: bytes, body: bytes) -> None:
    """Pieces are taken one by one: the parser never splits a CRLF between two."""
    writer = preserving(newline)
    assert writer.send(head(block)) == converted(block, newline)
    assert writer.send(HeadRest(1, rest)) == converted(rest, newline)
    assert writer.send(Body(2, body)) == converted(body, newline)
    assert writer.send(End(0, 10)) == b""


@both
@given(block=octets, body=octets)
@example(block=b"a\r", body=b"b\nc\r\nd\re")
def test_line_ends_of_a_cr_only_source(newline: str, block: bytes, body: bytes) -> None:
    writer = preserving(newline)
    assert writer.send(head(block, b"\r")) == converted(block, newline, lone_cr=True)
    assert writer.send(Body(2, body)) == converted(body, newline, lone_cr=True)


@both
def test_a_cr_only_source_says_nothing_about_the_next(newline: str) -> None:
    """One writer may serve a whole run: each `Head` says anew what a lone CR is."""
    writer = preserving(newline)
    writer.send(head(b"a\r", b"\r"))
    writer.send(End(0, 10))
    assert writer.send(head(b"a\rb\n")) == converted(b"a\rb\n", newline)
    assert writer.send(Body(2, b"a\rb\n")) == converted(b"a\rb\n", newline)


@both
@given(case=cuttings())
def test_cutting_changes_nothing(newline: str, case: tuple[bytes, list[int]]) -> None:
    data, cuts = case
    whole = written(events_of([data]), newline)
    assert written(events_of(chunks(data, cuts)), newline) == whole
    assert written(events_of(chunks(data, range(len(data)))), newline) == whole


@both
@given(mailbox=mailboxes())
def test_a_known_mailbox_gives_its_messages(newline: str, mailbox: Mailbox) -> None:
    cuts = random_cuts(mailbox.data)
    files = written(events_of(chunks(mailbox.data, cuts), mailbox.variant), newline)
    lone_cr = mailbox.newline == "cr"
    assert files == [converted(truth.raw, newline, lone_cr=lone_cr) for truth in mailbox.messages]


@given(mailboxes(newlines=("crlf",)))
def test_crlf_comes_out_as_it_went_in(mailbox: Mailbox) -> None:
    assert written(events_of([mailbox.data], mailbox.variant), "crlf") == [m.raw for m in mailbox.messages]


def test_what_needs_no_change_is_not_copied() -> None:
    crlf, lf, none = b"one\r\ntwo\r\n" * 10, b"one\ntwo\n" * 10, b"x" * 100
    for newline, piece in [("crlf", crlf), ("lf", lf), ("crlf", none), ("lf", none)]:
        assert preserving(newline).send(Body(0, piece)) is piece


@both
def test_nothing_is_added_at_the_end(newline: str) -> None:
    writer = preserving(newline)
    assert writer.send(head(b"Subject: x")) == b"Subject: x"
    assert writer.send(End(0, 10)) == b""


def test_what_is_no_part_of_a_message_gives_nothing() -> None:
    writer = preserving()
    assert writer.send(Junk(0, b"junk\n")) == b""
    assert writer.send(Rejected(0, b"From here on", "prose")) == b""
    assert writer.send(End(0, 10, ("head-too-long",))) == b""


def test_crlf_unless_asked() -> None:
    assert EmlWriter(headers="preserve").send(Body(0, b"a\n")) == b"a\r\n"


@pytest.mark.parametrize(
    ("wrong", "choices"),
    [({"newline": "cr"}, "crlf.*lf"), ({"newline": ""}, "crlf.*lf"), ({"headers": "x"}, "preserve")],
)
def test_bad_options_name_the_choices(wrong: dict[str, str], choices: str) -> None:
    with pytest.raises(UsageError, match=choices) as raised:
        EmlWriter(**wrong)  # type: ignore[arg-type]  # all of them are text
    assert repr(next(iter(wrong.values()))) in str(raised.value)


@both
@pytest.mark.parametrize("headers", ["preserve", "repair"])
@pytest.mark.parametrize("given", [[Body(0, b"x")], [], None, b"x"])
def test_what_is_no_event_is_told(given: object, headers: str, newline: str) -> None:
    """All that `feed` gave, handed on in one go, had come to nothing without a word."""
    with pytest.raises(UsageError, match=f"not {type(given).__name__}: send each"):
        EmlWriter(headers=headers, newline=newline).send(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("newline", ["crlf", "lf"])
def test_a_writer_forgets_a_message_that_never_ended(newline: str) -> None:
    """Its block may wait for a body that does not come, for its source broke off."""
    held = b"From a@b Tue Mar 19 09:13:51 2019\nFrom: alice@x\nSubject: A \xe9\n\nbody A\r"
    sound = (
        b"From b@b Tue Mar 19 09:13:51 2019\nFrom: bob@x\nDate: Tue, 19 Mar 2019 09:13:51 +0000\n"
        b"Message-ID: <b@x>\nSubject: B\n\nbody B\n"
    )

    def events(octets: bytes) -> list[Event]:
        parser = Parser()
        return parser.feed(octets) + parser.close()

    for first in (held, sound):
        for count in range(1, len(events(first))):
            writer, fresh = EmlWriter(newline=newline), EmlWriter(newline=newline)
            for event in events(first)[:count]:
                writer.send(event)
            for second in (sound, held):
                assert list(map(writer.send, events(second))) == list(map(fresh.send, events(second)))
                assert writer.repairs == fresh.repairs


def test_what_is_found_in_a_body_is_told_in_one_order() -> None:
    head = b"From a@b Tue Mar 19 09:13:51 2019\nFrom: a@b\n\n"
    for body in (b"a\0b\rc\xef\xbf\xbd\n", b"\xef\xbf\xbda\rb\0c\n"):
        told = set()
        for size in (1, 2, 99):
            parser, writer = Parser(), EmlWriter()
            octets = head + body
            for at in range(0, len(octets), size):
                for event in parser.feed(octets[at : at + size]):
                    writer.send(event)
            for event in parser.close():
                writer.send(event)
            told.add(writer.repairs)
        assert len(told) == 1
