"""Deduplication: what a Message-ID is, what a body is, what an index says, and what its file survives."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import rows as corpus_rows
from unmbox import _headers, _rows_sqlite
from unmbox._parser import Parser
from unmbox._writer import EmlWriter
from unmbox.dedup import BodyDigest, DedupIndex, Entry, Verdict, content_of, normalise_message_id
from unmbox.errors import DestinationError, UsageError
from unmbox.events import Body, End, Head, HeadRest

PROJECT = Path(__file__).resolve().parents[1]
NEW = Verdict("new")


def duplicate(of: int) -> Verdict:
    return Verdict("duplicate", of)


def collision(of: int) -> Verdict:
    return Verdict("collision", of)


def digest(text: str | int) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


def entries(first: int, end: int, *, prefix: str = "") -> list[Entry]:
    """Messages that all differ; each is recorded under its own number."""
    return [Entry(f"<{prefix}{n}@example.org>", digest(n), where=n) for n in range(first, end)]


# --- Message-ID ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"<a@b>", b"a@b"),
        (b" <a@b> ", b"a@b"),
        (b"\t<a@b>\r\n", b"a@b"),
        (b"\r\n <a@b>", b"a@b"),
        (b"<Ab@Cd.E>", b"Ab@Cd.E"),
        (b"< a@b >", b"a@b"),
        (b"<long.left\r\n .more@b>", b"long.left.more@b"),
        (b"<a@b\n\t.c>", b"a@b.c"),
        # Comments, wherever RFC 5322 lets them stand.
        (b"(first) <a@b>", b"a@b"),
        (b"<a@b> (added by\r\n postmaster@example.org)", b"a@b"),
        (b"(one (two (three)) <no@no>) <a@b> (four)", b"a@b"),
        (b"<a(left)@b(right)>", b"a@b"),
        (rb"(escaped \) <no@no>) <a@b>", b"a@b"),
        (rb"(a \\) <a@b>", b"a@b"),
        (b'(it"s) <a@b> (it"s)', b"a@b"),
        (b'<"a(b)"@c>', b'"a(b)"@c'),
        (b"<a@[10.0.0.1]>", b"a@[10.0.0.1]"),
        # Not closed, not opened: text.
        (b"(never closed <a@b>", b"a@b"),
        (b"( <a@b> (closed)", b"a@b"),
        (b"<a)@b>", b"a)@b"),
        (b"<a(@b>", b"a(@b"),
        # What else is found in mailboxes.
        (b"a@b", b"a@b"),
        (b" 8787KJKJ3K.mail@example.net\r\n", b"8787KJKJ3K.mail@example.net"),
        (b"<a@b", b"a@b"),
        (b"a@b>", b"a@b"),
        (b"<<a@b>>", b"a@b"),
        (b"<a@b>;", b"a@b"),
        (b'"<a@b>"', b"a@b"),
        (b"<a@b> <c@d>", b"a@b"),
        (b"<> <a@b>", b"a@b"),
        (b"<x$<>%@b>", b"x$<>%@b"),
        (b"no id at all", b"noidatall"),
        (b"<\xe9\x00@b>", b"\xe9\x00@b"),
        (b"", None),
        (b" \r\n\t", None),
        (b"<>", None),
        (b"< \r\n >", None),
        (b"(nothing but a comment)", None),
        (b"<(this too)>", None),
    ],
)
def test_a_message_id_is_what_stands_between_the_brackets(raw: bytes, name: bytes | None) -> None:
    assert normalise_message_id(raw) == name


def nested(raw: bytes) -> bytes:
    """Comments left out the slow way: the innermost first, again and again."""
    while (fewer := re.sub(rb"\([^()]*\)", b"", raw)) != raw:
        raw = fewer
    return raw


@given(st.text("()ab ", max_size=30).filter(lambda text: text.count("(") <= text.count(")")))
def test_comments_are_left_out_as_deep_as_they_nest(text: str) -> None:
    # An unclosed one is text up to the end, inner ones and all, so only closed ones can be compared.
    depth = 0
    for mark in text:
        depth += {"(": 1, ")": -1 if depth else 0}.get(mark, 0)
    if not depth:
        raw = text.encode()
        assert normalise_message_id(raw) == (b"".join(nested(raw).split()) or None)


@given(st.binary(max_size=60))
def test_any_octets_are_a_message_id_or_none(raw: bytes) -> None:
    name = normalise_message_id(raw)
    assert name is None or (name and not re.search(rb"\s", name))


@pytest.mark.parametrize("piece", [b"(", b")", b"()", b"(\\", b"<", b">", b'"', b'"\\', b" ", b"<a", b"<(", b"(("])
def test_a_message_id_takes_linear_time(piece: bytes) -> None:
    started = time.process_time()
    for raw in (piece * 200_000, piece * 200_000 + b"<a@b>", b"<a@b>" + piece * 200_000 + b"x"):
        normalise_message_id(raw)
    assert time.process_time() - started < 5


# --- content of messages without an ID -----------------------------------------------------------------


def test_gmails_fields_and_line_ends_are_no_content() -> None:
    block = b"X-GM-THRID: 1\nX-Gmail-Labels: Inbox,\n =?UTF-8?Q?a?=\n\tb\nFrom: a@b\nDate: today\nSubject: x\n y\n\n"
    plain = b"From: a@b\r\nDate: today\r\nx-gm-msgid: 7\r\nSubject: x\r\n y\r\n\r\n"
    assert content_of(block) == content_of(plain) == b"From: a@b\nDate: today\nSubject: x\n y"
    assert content_of(block) != content_of(block.replace(b"X-GM-THRID", b"X-Mailer"))


def test_the_from_lines_date_counts_where_there_is_no_other() -> None:
    noon = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    elsewhere = noon.astimezone(timezone(timedelta(hours=9)))
    chat = b"From: a@b\nX-GM-THRID: 5\n\n"
    assert content_of(chat, noon) == content_of(chat, elsewhere) != content_of(chat)
    assert content_of(chat, noon) != content_of(chat, noon + timedelta(seconds=1))
    dated = b"From: a@b\nDate: x\n\n"
    assert content_of(dated, noon) == content_of(dated) == content_of(dated, noon + timedelta(1))


@pytest.mark.parametrize("zone", [timezone.utc, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))])
@pytest.mark.parametrize("year", [1, 9999])
def test_a_date_at_the_edge_of_time_is_content_too(year: int, zone: timezone) -> None:
    assert b"From_" in content_of(b"\n", datetime(year, 1, 1, tzinfo=zone))


# --- bodies --------------------------------------------------------------------------------------------


def digests(body: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    sha = BodyDigest()
    edges = [0, *sorted(cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        sha.update(body[start:end])
        sha.digest()  # asking changes nothing
    return sha.digest()


def expected_digests(body: bytes) -> tuple[bytes, bytes]:
    content = body
    while content.endswith(b"\r\n"):
        content = content[:-2]
    return hashlib.sha256(body).digest(), hashlib.sha256(content).digest()


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"text\r\n"]), max_size=20), st.data())
def test_a_body_has_one_identity_however_it_is_cut(parts: list[bytes], data: st.DataObject) -> None:
    body = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    assert digests(body, cuts) == expected_digests(body)


def test_a_body_octet_by_octet() -> None:
    body = b"a\r\n\r\n\rb\r\n\n\r\r\n\r\n\r\n"
    for end in range(len(body) + 1):
        assert digests(body[:end], list(range(end))) == expected_digests(body[:end])


def test_trailing_empty_lines_are_no_part_of_a_body() -> None:
    sums = [digests(body, []) for body in (b"a", b"a\r\n", b"a\r\n\r\n")]
    assert len({identity for _, identity in sums}) == 1
    assert len({exact for exact, _ in sums}) == 3
    assert digests(b"a\r\n\r\nb", [])[1] != digests(b"a\r\nb", [])[1]


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"\r\n" * 3_000_000, 0),
        (b"\r" * 3_000_000, 3_000_000),
        (b"\n" * 3_000_000 + b"\r\n" * 3, 3_000_000),
        (b"\r\n\r\nx" * 600_000, 3_000_000),
    ],
)
def test_a_body_of_line_ends_takes_little(body: bytes, content: int) -> None:
    started = time.process_time()
    sha = BodyDigest()
    for at in range(0, len(body), 4099):
        sha.update(body[at : at + 4099])
    assert sha.digest() == (hashlib.sha256(body).digest(), hashlib.sha256(body[:content]).digest())
    assert time.process_time() - started < 5


# --- verdicts ------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file", "connection"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., DedupIndex]]:
    """Makes an index of each kind; where it has a file, each call opens the same one."""
    with contextlib.ExitStack() as stack:
        connection: sqlite3.Connection | None = None
        if request.param == "connection":
            connection = stack.enter_context(
                contextlib.closing(sqlite3.connect(tmp_path / "other.sqlite", isolation_level=None))
            )

        def opened(**options: Any) -> DedupIndex:
            if connection is not None:
                return DedupIndex(connection=connection, **options)
            path = tmp_path / "index.sqlite" if request.param == "file" else None
            return stack.enter_context(DedupIndex(path, **options))

        yield opened


def test_a_copy_has_the_same_id_and_the_same_body(make: Callable[..., DedupIndex]) -> None:
    index = make()
    assert index.add(b"<a@b>", digest("A"), where=7) == NEW
    assert index.add("a@b", digest("A"), where=8) == duplicate(7)
    assert index.add(b" (again) <a@b>", digest("A"), where=9) == duplicate(7)
    assert index.add(b"<A@b>", digest("A"), where=10) == NEW
    assert index.add(b"<c@b>", digest("A"), where=11) == NEW


def test_copies_of_colliding_messages_are_copies_of_the_right_one(make: Callable[..., DedupIndex]) -> None:
    index = make()
    assert index.add(b"<a@b>", digest("A"), where=1) == NEW
    assert index.add(b"<a@b>", digest("B"), where=2) == collision(1)
    assert index.add(b"<a@b>", digest("C"), where=3) == collision(1)
    assert index.add(b"<a@b>", digest("B"), where=4) == duplicate(2)
    assert index.add(b"<a@b>", digest("A"), where=5) == duplicate(1)
    assert index.add(b"<a@b>", digest("C"), where=6) == duplicate(3)
    assert index.add(b"<other@b>", digest("B"), where=7) == NEW


def test_the_id_alone_decides_if_asked_to(make: Callable[..., DedupIndex]) -> None:
    index = make(policy="message-id")
    assert index.add(b"<a@b>", digest("A"), where=1) == NEW
    assert index.add(b"<a@b>", digest("B"), where=2) == duplicate(1)
    assert index.add(None, digest("A"), content=b"x", where=3) == NEW
    assert index.add(None, digest("A"), content=b"x", where=4) == duplicate(3)
    assert index.add(None, digest("B"), content=b"x", where=5) == NEW


def test_off_keeps_everything_and_records_nothing(make: Callable[..., DedupIndex]) -> None:
    index = make(policy="off")
    assert index.add(b"<a@b>", digest("A")) == index.add(b"<a@b>", digest("A")) == NEW
    assert index.add_many(entries(0, 3) * 2) == [NEW] * 6


@pytest.mark.parametrize("nothing", [None, b"", "", b"<>", b" (comment) ", "\r\n "])
def test_without_an_id_the_content_decides(make: Callable[..., DedupIndex], nothing: bytes | str | None) -> None:
    index = make()
    assert index.add(nothing, digest("A"), content=b"From: a", where=1) == NEW
    assert index.add(None, digest("A"), content=b"From: a", where=2) == duplicate(1)
    assert index.add(nothing, digest("B"), content=b"From: a", where=3) == NEW
    assert index.add(nothing, digest("A"), content=b"From: b", where=4) == NEW
    assert index.add(nothing, digest("A"), where=5) == NEW
    assert index.add(b"From: a", digest("A"), content=b"From: a", where=6) == NEW


def test_content_and_body_are_not_run_together(make: Callable[..., DedupIndex]) -> None:
    index = make()
    assert index.add(None, b"bc", content=b"a") == NEW
    assert index.add(None, b"c", content=b"ab") == NEW
    assert index.add(None, b"", content=b"abc") == NEW


def test_body_digests_may_be_any_octets(make: Callable[..., DedupIndex]) -> None:
    index = make()
    bodies = [b"", b"x", bytes(31), bytes(32), bytes(33), bytes(31) + b"\1", b"\1" * 32, b"x" * 64, b"x" * 65]
    verdicts = index.add_many([(b"<a@b>", body, b"", n) for n, body in enumerate(bodies)])
    assert verdicts == [NEW, *[collision(0)] * (len(bodies) - 1)]
    verdicts = index.add_many([(b"<a@b>", body, b"", 99) for body in bodies])
    assert verdicts == [duplicate(n) for n in range(len(bodies))]


def test_many_are_judged_in_their_order(make: Callable[..., DedupIndex]) -> None:
    index = make()
    messages = [
        Entry(b"<a@b>", digest("A"), where=1),
        Entry(b"<b@b>", digest("A"), where=2),
        Entry(b"<a@b>", digest("A"), where=3),
        Entry(b"<a@b>", digest("B"), where=4),
        Entry(b"<a@b>", digest("B"), where=5),
    ]
    assert index.add_many(iter(messages)) == [NEW, NEW, duplicate(1), collision(1), duplicate(4)]
    assert index.add_many([]) == []


@pytest.mark.parametrize("where", [0, -1, 1, -(2**63) + 1, 2**63 - 1])
def test_what_was_recorded_for_the_first_comes_back(make: Callable[..., DedupIndex], where: int) -> None:
    index = make()
    index.add(b"<a@b>", digest("A"), where=where)
    assert index.add(b"<a@b>", digest("A"), where=5) == duplicate(where)


def test_a_decoded_id_and_a_raw_one_are_the_same(make: Callable[..., DedupIndex]) -> None:
    index = make()
    raw = b"<caf\xe9\xff@b>"
    assert index.add(raw, digest("A")) == NEW
    assert index.add(raw.decode("utf-8", "surrogateescape"), digest("A"), where=1) == duplicate(0)
    assert index.add("<\ud800@b>", digest("A")) == NEW


@pytest.mark.parametrize(
    "arguments",
    [
        ((b"<a@b>", "a text"), {}),
        ((b"<a@b>", 5), {}),
        ((b"<a@b>", None), {}),
        ((7, b""), {}),
        ((None, b""), {"content": "text"}),
        ((b"<a@b>", b""), {"where": "1"}),
        ((b"<a@b>", b""), {"where": None}),
        ((b"<a@b>", b""), {"where": 2**63}),
        ((b"<a@b>", b""), {"where": -(2**63) - 1}),
    ],
)
def test_bad_use_is_said_and_changes_nothing(make: Callable[..., DedupIndex], arguments: Any) -> None:
    index = make()
    positional, named = arguments
    for before in (0, 1):
        with pytest.raises(UsageError):
            index.add(*positional, **named)
        assert index.add(f"<fresh{before}@b>", digest("A"), where=before) == NEW
        assert index.add(f"<fresh{before}@b>", digest("A")) == duplicate(before)


def test_unknown_policies_and_two_places_are_bad_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one of message-id\\+body, message-id, off"):
        DedupIndex(policy="on")
    with contextlib.closing(sqlite3.connect(":memory:")) as connection, pytest.raises(UsageError, match="not both"):
        DedupIndex(tmp_path / "x", connection=connection)
    assert not (tmp_path / "x").exists()


def test_a_closed_index_says_so(make: Callable[..., DedupIndex]) -> None:
    index = make()
    index.add_many(entries(0, 20))
    index.close()
    index.close()
    for call in (lambda: index.add(b"<a@b>", b""), lambda: index.add_many(entries(0, 2)), index.save):
        with pytest.raises(UsageError, match="closed"):
            call()


def test_verdicts_are_frozen_and_slotted() -> None:
    verdict = Verdict("duplicate", 3)
    with pytest.raises(AttributeError):
        verdict.of = 4  # type: ignore[misc]
    assert not hasattr(verdict, "__dict__")
    assert (verdict.kind, verdict.of, NEW.of) == ("duplicate", 3, None)


# --- against a model -----------------------------------------------------------------------------------


class Model:
    """The same in the plainest way: a list that is read from its start."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, bytes, int]] = []

    def add(self, message_id: bytes | None, body: bytes, content: bytes, where: int, policy: str) -> Verdict:
        if policy == "off":
            return NEW
        key = message_id or (content, body)
        known = [row for row in self.rows if row[0] == key]
        for row in known:
            if policy == "message-id" or row[1] == body:
                return duplicate(row[2])
        self.rows.append((key, body, where))
        return collision(known[0][2]) if known else NEW


IDS = st.one_of(st.none(), st.integers(0, 60).map(lambda n: b"%d@b" % n))
MESSAGES = st.tuples(IDS, st.sampled_from([b"A", b"B", b"C"]), st.sampled_from([b"", b"x"]))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "many", "many", "undo", "nest", "forget", "reopen", "save", "other"]),
        st.lists(MESSAGES, min_size=1, max_size=25),
    ),
    max_size=14,
)


class Broken(Exception):
    """What a block raises to be taken back."""


def walk(steps: Any, policy: str, opened: Callable[[], DedupIndex], *, reopens: bool) -> None:
    """Do the steps to an index and to the model; any two answers that differ are an error."""
    model, where = Model(), 0
    index, other = opened(), opened()
    for what, messages in steps:
        before = list(model.rows)
        batch = [(name, body, content, where + n) for n, (name, body, content) in enumerate(messages)]
        where += len(batch)
        expected = [model.add(*message, policy) for message in batch]
        if what == "add":
            found = [index.add(name, body, content=content, where=n) for name, body, content, n in batch]
            assert found == expected
        elif what == "other" and reopens:
            assert other.add_many(batch[:-1]) == expected[:-1]
            name, body, content, number = batch[-1]
            assert other.add(name, body, content=content, where=number) == expected[-1]
        elif what == "undo":
            with contextlib.suppress(Broken), index.transaction():
                assert index.add_many(batch) == expected
                raise Broken
            model.rows = before
        elif what == "nest":
            with index.transaction():
                half = len(batch) // 2
                assert index.add_many(batch[:half]) == expected[:half]
                kept = list(before)
                model.rows = kept
                for message in batch[:half]:
                    model.add(*message, policy)
                with contextlib.suppress(Broken), index.transaction():
                    assert index.add_many(batch[half:]) == expected[half:]
                    raise Broken
        elif what == "forget":
            assert index.add_many(batch) == expected
            since = where - len(batch) // 2
            index.forget(since)
            model.rows = [row for row in model.rows if row[2] < since]
        else:
            if what == "reopen" and reopens:
                index.close()
                index = opened()
            elif what == "save":
                index.save()
            assert index.add_many(batch) == expected
    index.close()
    other.close()


@given(steps=STEPS, policy=st.sampled_from(["message-id+body", "message-id", "off"]))
def test_an_index_in_memory_agrees_with_the_model(steps: Any, policy: str) -> None:
    walk(steps, policy, lambda: DedupIndex(policy=policy), reopens=False)


@given(steps=STEPS, policy=st.sampled_from(["message-id+body", "message-id"]))
def test_an_index_in_a_file_agrees_with_the_model(
    tmp_path_factory: pytest.TempPathFactory, steps: Any, policy: str
) -> None:
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    walk(steps, policy, lambda: DedupIndex(path, policy=policy), reopens=True)


@given(steps=STEPS, legacy=st.booleans())
def test_an_index_over_a_connection_agrees_with_the_model(steps: Any, legacy: bool) -> None:  # noqa: FBT001
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level="" if legacy else None)) as connection:
        walk(steps, "message-id+body", lambda: DedupIndex(connection=connection), reopens=True)
