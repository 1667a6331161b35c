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
from unmbox import _dedup_rows, _dedup_sqlite, _headers
from unmbox._message_id import normalise_message_id
from unmbox._parser import Parser
from unmbox._writer import EmlWriter
from unmbox.dedup import BodyDigest, DedupIndex, Entry, Verdict, content_of
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


def add_each(index: DedupIndex, messages: list[Entry]) -> list[Verdict]:
    return [index.add(message.message_id, message.body_digest, where=message.where) for message in messages]


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
        # Inside of brackets they are text: what tells one mail from another may stand there.
        (b"<a(left)@b(right)>", b"a(left)@b(right)"),
        (b"<(1)@x>", b"(1)@x"),
        (b"<20190319(abc)@x> (comment)", b"20190319(abc)@x"),
        (b"(a <b) > <c(1)@d>", b"c(1)@d"),
        (b"<(null)> <a@b>", b"a@b"),
        (b"<a@b (closed)", b"a@b"),
        (rb"(escaped \) <no@no>) <a@b>", b"a@b"),
        (rb"(a \\) <a@b>", b"a@b"),
        (b'(it"s) <a@b> (it"s)', b"a@b"),
        (b'<"a(b)"@c>', b'"a(b)"@c'),
        # Blanks of a quoted string are of the name: without them it would be another's.
        (b'<"a b"@c>', b'"a b"@c'),
        (b'< "a\r\n b" @ c >', b'"a b"@c'),
        (b'<"a b@c d>', b'"ab@cd'),
        (b'x" <a(b)c@d>', b"a(b)c@d"),
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
        (b"<x$<>%@b>", None),
        (b"no id at all", None),
        (b"Mail from PC-FAX", None),
        (b"<  >x", None),
        (b'""', None),
        (b"<(null)> null", None),
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
        words = nested(raw).split()
        told = len(words) == 1 and not set(words[0]) & set(b"()")
        assert normalise_message_id(raw) == (words[0] if told else None)


@given(st.binary(max_size=60))
def test_any_octets_are_a_message_id_or_none(raw: bytes) -> None:
    name = normalise_message_id(raw)
    assert name is None or (name and (b'"' in name or not re.search(rb"\s", name)))


@pytest.mark.parametrize(
    "piece", [b"(", b")", b"()", b"(\\", b"<", b">", b'"', b'"\\', b" ", b"<a", b"<(", b"((", b"<(a)>"]
)
def test_a_message_id_takes_linear_time(piece: bytes) -> None:
    started = time.process_time()
    for raw in (piece * 50_000, piece * 50_000 + b"<a@b>", b"<a@b>" + piece * 50_000 + b"x"):
        normalise_message_id(raw)
    assert time.process_time() - started < 5


# --- content of messages without an ID -----------------------------------------------------------------


def test_gmails_fields_and_line_ends_are_no_content() -> None:
    block = (
        b"X-GM-THRID: 1\nX-Gmail-Labels: Inbox,\n =?UTF-8?Q?a?=\n\tb\nFrom: a@b\nDate: t\nSubject: x\n y\n\n"
    )
    plain = b"From: a@b\r\nDate: t\r\nx-gm-msgid: 7\r\nSubject: x\r\n y\r\n\r\n"
    assert content_of(block) == content_of(plain) == b"From: a@b\nDate: t\nSubject: x\n y"
    assert content_of(block) != content_of(block.replace(b"X-GM-THRID", b"X-Mailer"))


def test_the_from_lines_date_counts_where_there_is_no_other() -> None:
    noon = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    elsewhere = noon.astimezone(timezone(timedelta(hours=9)))
    chat = b"From: a@b\nX-GM-THRID: 5\n\n"
    assert content_of(chat, noon) == content_of(chat, elsewhere) != content_of(chat)
    assert content_of(chat, noon) != content_of(chat, noon + timedelta(seconds=1))
    dated = b"From: a@b\nDate: x\n\n"
    assert content_of(dated, noon) == content_of(dated) == content_of(dated, noon + timedelta(1))


@pytest.mark.parametrize(
    "zone", [timezone.utc, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))]
)
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
def test_without_an_id_the_content_decides(
    make: Callable[..., DedupIndex], nothing: bytes | str | None
) -> None:
    index = make()
    assert index.add(nothing, digest("A"), content=b"From:a", where=1) == NEW
    assert index.add(None, digest("A"), content=b"From:a", where=2) == duplicate(1)
    assert index.add(nothing, digest("B"), content=b"From:a", where=3) == NEW
    assert index.add(nothing, digest("A"), content=b"From:b", where=4) == NEW
    assert index.add(nothing, digest("A"), where=5) == NEW
    assert index.add(b"From:a", digest("A"), content=b"From:a", where=6) == NEW


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
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(UsageError, match="not both"),
    ):
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


class BrokenOffError(Exception):
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
            name, body, content, number = batch[0]
            assert other.add(name, body, content=content, where=number) == expected[0]
            assert other.add_many(batch[1:]) == expected[1:]
        elif what == "undo":
            with contextlib.suppress(BrokenOffError), index.transaction():
                assert index.add_many(batch) == expected
                raise BrokenOffError
            model.rows = before
        elif what == "nest":
            with index.transaction():
                half = len(batch) // 2
                assert index.add_many(batch[:half]) == expected[:half]
                kept = list(before)
                model.rows = kept
                for message in batch[:half]:
                    model.add(*message, policy)
                with contextlib.suppress(BrokenOffError), index.transaction():
                    assert index.add_many(batch[half:]) == expected[half:]
                    raise BrokenOffError
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
def test_an_index_over_a_connection_agrees_with_the_model(steps: Any, legacy: bool) -> None:
    level: Any = "" if legacy else None
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=level)) as connection:
        walk(steps, "message-id+body", lambda: DedupIndex(connection=connection), reopens=True)


# --- how rows are found --------------------------------------------------------------------------------


def test_keys_of_one_hash_are_told_apart(make: Callable[..., DedupIndex]) -> None:
    # Same slot, same bits above: only the rows tell.
    store = make()._store
    keys = [bytes(8) + n.to_bytes(8, "big") for n in range(60)]
    mark = store.enter()
    assert all(store.put(key, digest(n), n) is None for n, key in enumerate(keys))
    assert [store.put(key, bytes(32), 0) for key in keys] == [
        (key, digest(n), n) for n, key in enumerate(keys)
    ]
    store.undo(mark)
    store.depth -= 1


def test_thousands_are_found_again(make: Callable[..., DedupIndex]) -> None:
    index = make()
    messages = entries(0, 5000)
    shuffled = random.Random(4).sample(messages, len(messages))
    for start in range(0, 5000, 700):
        assert set(index.add_many(messages[start : start + 700])) == {NEW}
    assert index.add_many(shuffled) == [duplicate(message.where) for message in shuffled]
    assert index.add_many(messages[:3]) == [duplicate(0), duplicate(1), duplicate(2)]


def test_slots_are_set_up_anew_only_to_double(
    make: Callable[..., DedupIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make()
    sizes = []
    use = _dedup_rows.Store._use

    def spy(store: Any, slots: Any) -> None:
        sizes.append(len(slots))
        use(store, slots)

    monkeypatch.setattr(_dedup_rows.Store, "_use", spy)
    for start in range(0, 12_000, 500):
        index.add_many(entries(start, start + 500))
    assert [size for size in sizes if size] == [2048, 4096, 8192, 16384, 32768]


def test_a_row_taken_back_is_not_found_where_another_took_its_number(make: Callable[..., DedupIndex]) -> None:
    index = make()
    for attempt in range(30):
        with contextlib.suppress(BrokenOffError), index.transaction():
            assert index.add_many(entries(0, 50, prefix=f"gone{attempt}-")) == [NEW] * 50
            raise BrokenOffError
        assert index.add(f"<kept{attempt}@b>", digest("k"), where=attempt) == NEW
    for attempt in range(30):
        assert index.add(f"<kept{attempt}@b>", digest("k")) == duplicate(attempt)
        assert index.add(f"<gone{attempt}-7@example.org>", digest(7)) == NEW


def test_an_error_half_way_records_nothing(make: Callable[..., DedupIndex]) -> None:
    index = make()
    index.add_many(entries(0, 10))

    def failing() -> Iterator[Entry]:
        yield from entries(10, 9000)  # more than what waits for a file at most
        raise BrokenOffError

    with pytest.raises(BrokenOffError):
        index.add_many(failing())
    assert index.add_many(entries(0, 9000)) == [*map(duplicate, range(10)), *[NEW] * 8990]
    with index.transaction():
        with pytest.raises(BrokenOffError):
            index.add_many(itertools.chain(entries(0, 20_000), failing()))
        assert index.add_many(entries(9000, 9002)) == [NEW, NEW]
    assert index.add_many(entries(8999, 9003)) == [*map(duplicate, range(8999, 9002)), NEW]


def test_adding_while_adding(make: Callable[..., DedupIndex]) -> None:
    index = make()

    def nosy() -> Iterator[Entry]:
        for message in entries(0, 40):
            assert (
                index.add(b"<inner@b>", digest(message.where), where=100 + message.where).kind != "duplicate"
            )
            yield message

    assert index.add_many(nosy()) == [NEW] * 40
    assert index.add(b"<inner@b>", digest(5)) == duplicate(105)
    assert index.add_many(entries(0, 40)) == list(map(duplicate, range(40)))


def test_an_interrupt_before_the_verdict_is_given_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DedupIndex(tmp_path / "i") as index:
        index.add_many(entries(0, 5))
        with monkeypatch.context() as patch:
            patch.setattr(index._store, "confirm", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                index.add(b"<lost@b>", digest("x"), where=77)
        assert index.add(b"<next@b>", digest("x"), where=78) == NEW
        assert index.add(b"<lost@b>", digest("x"), where=79) == NEW
    with DedupIndex(tmp_path / "i") as index:
        assert index.add(b"<lost@b>", digest("x")) == duplicate(79)
        assert index.add(b"<next@b>", digest("x")) == duplicate(78)


# --- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 16, 17, 18, 34, 700, 30_000])
def test_a_file_remembers(tmp_path: Path, count: int) -> None:
    path = tmp_path / "index.sqlite"
    with DedupIndex(path) as index:
        assert index.add_many(entries(0, count)) == [NEW] * count
    assert [file.name for file in tmp_path.iterdir()] == ["index.sqlite"]
    with DedupIndex(str(path)) as index:
        assert index.add(b"<more@b>", digest("m"), where=-1) == NEW
        assert index.add_many(entries(0, count)) == list(map(duplicate, range(count)))
    with DedupIndex(path, policy="message-id") as index:
        assert index.add(b"<more@b>", digest("other")) == duplicate(-1)


def saved_rows(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT ifnull(max(rows), 0) FROM dedup_slots").fetchone()[0])


def test_slots_are_saved_where_that_pays_and_taken_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.sqlite"
    with DedupIndex(path) as index:
        index.add_many(entries(0, 10_000))
    assert saved_rows(path) == 0
    with DedupIndex(path) as index:
        index.add_many(entries(10_000, 40_000))
    assert saved_rows(path) == 40_000
    with monkeypatch.context() as patch:
        # Found again without reading all rows.
        patch.setattr(_dedup_sqlite.File, "_rebuild", lambda *_: pytest.fail("all rows are read"))
        with DedupIndex(path) as index:
            assert index.add_many(entries(39_998, 40_002)) == [duplicate(39_998), duplicate(39_999), NEW, NEW]
    assert saved_rows(path) == 40_000
    with DedupIndex(path) as index:
        index.forget(39_990)
        assert index.add_many(entries(39_989, 39_991)) == [duplicate(39_989), NEW]
    assert saved_rows(path) == 39_991


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM dedup_slots WHERE part = 0",
        "UPDATE dedup_slots SET slots = zeroblob(12)",
        "UPDATE dedup_slots SET byte_order = 'middle'",
        "UPDATE dedup_slots SET rows = 99999999",
    ],
)
def test_without_saved_slots_the_rows_are_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "index.sqlite"
    with DedupIndex(path) as index:
        index.add_many(entries(0, 12_000))
    assert saved_rows(path) == 12_000
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damage)
    with DedupIndex(path) as index:
        assert index.add_many(entries(11_000, 12_001)) == [*map(duplicate, range(11_000, 12_000)), NEW]


def test_two_indexes_on_one_file_see_what_the_other_adds(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with DedupIndex(path) as one, DedupIndex(path) as two:
        for n in range(100):
            assert one.add(f"<{n}@b>", digest("1"), where=n) == NEW
            assert two.add(f"<{n}@b>", digest("1")) == duplicate(n)
            assert two.add(f"<{n}@b>", digest("2"), where=1000 + n) == collision(n)
            assert one.add(f"<{n}@b>", digest("2")) == duplicate(1000 + n)
        two.forget(1099)
        assert one.add(b"<99@b>", digest("2"), where=5) == collision(99)
        two.forget(0)
        assert one.add(b"<7@b>", digest("1"), where=6) == NEW


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=ro", "with space é"])
def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with DedupIndex(name) as index:
        index.add(b"<a@b>", b"")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def write_text(path: Path) -> None:
    path.write_text("these are the user's own words\n" * 30)


def write_little(path: Path) -> None:
    path.write_bytes(b"x")


def write_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE dedup (block INTEGER PRIMARY KEY, records BLOB)")


def write_open_log(path: Path) -> None:
    """A database whose owner was killed: the log beside it is not yet written back."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('CREATE TABLE t(x)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.with_name(path.name + "-wal").exists()


@pytest.mark.parametrize("write", [write_text, write_little, write_database, write_open_log])
def test_a_file_that_is_no_index_is_left_as_it_is(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "other"
    write(path)
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    with pytest.raises(DestinationError, match="is no dedup index of unmbox, and is left as it is"):
        DedupIndex(path)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()} == before


def test_an_empty_file_becomes_an_index(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with DedupIndex(path) as index:
        assert index.add(b"<a@b>", b"") == NEW
    with DedupIndex(path) as index:
        assert index.add(b"<a@b>", b"") == duplicate(0)


def test_an_index_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    DedupIndex(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        connection.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(DestinationError, match="version 2; this unmbox knows version 1"):
        DedupIndex(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "absent/index"])
def test_a_place_that_can_hold_no_file_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(DestinationError, match=re.escape(str(tmp_path))):
        DedupIndex(tmp_path / name)


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with DedupIndex(path) as index:
        index.add_many(entries(0, 1000))
        execute = index._store._connection.execute  # type: ignore[attr-defined]
        (pages,) = execute("PRAGMA page_count").fetchone()
        execute(f"PRAGMA max_page_count = {pages + 5}")
        with pytest.raises(DestinationError, match="no space is left") as caught:
            index.add_many(entries(1000, 20_000))
        assert caught.value.errno == 28
        assert index.add_many(entries(990, 1010)) == [*map(duplicate, range(990, 1000)), *[NEW] * 10]
        with pytest.raises(DestinationError, match="no space is left"):
            add_each(index, entries(1010, 2000))
        execute("PRAGMA max_page_count = 100000")
        verdicts = index.add_many(entries(0, 2000))
    kept = verdicts.index(NEW)
    assert kept > 1010
    assert verdicts == [*map(duplicate, range(kept)), *[NEW] * (2000 - kept)]


@pytest.mark.parametrize("records", [b"", b"x", bytes(8 + 56 * 17 + 1), bytes(8 + 56 * 400), bytes(63)])
def test_a_damaged_block_is_said_or_costs_a_copy(tmp_path: Path, records: bytes) -> None:
    path = tmp_path / "index"
    with DedupIndex(path) as index:
        index.add_many(entries(0, 100))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE dedup SET records = ? WHERE block = 2", (records,))
        with contextlib.suppress(DestinationError):
            assert index.add_many(entries(40, 41)) in ([NEW], [duplicate(40)])
    with DedupIndex(path) as index, contextlib.suppress(DestinationError):
        assert index.add_many(entries(0, 1)) == [duplicate(0)]


def test_a_locked_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with DedupIndex(path) as one, DedupIndex(path, timeout=0.05) as two:
        two.add_many(entries(0, 5))
        with one.transaction():
            one.add_many(entries(5, 10))
            for call in (lambda: two.add(b"<a@b>", b""), lambda: two.add_many(entries(0, 20)), two.save):
                with pytest.raises(DestinationError, match="is being written by another process"):
                    call()
        assert two.add_many(entries(0, 12)) == [*map(duplicate, range(10)), NEW, NEW]


WRITER = """
import collections, json, sys, time
from unmbox.dedup import DedupIndex
path, mine, start = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
time.sleep(max(0, start - time.time()))
said = {}
with DedupIndex(path, timeout=60) as index:
    for at in range(0, 1200, 30):
        # Half of the messages are everybody's.
        batch = [(f"<{n if n % 2 else f'{mine}-{n}'}@b>", b"%d" % n, b"", mine * 10_000 + n)
                 for n in range(at, at + 30)]
        verdicts = index.add_many(batch[:15])
        verdicts += [index.add(name, body, where=where) for name, body, _, where in batch[15:]]
        said.update((name, [verdict.kind, verdict.of, where])
                    for (name, _, _, where), verdict in zip(batch, verdicts))
print(json.dumps(said))
"""


def spawn(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)


def test_processes_that_write_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "index"
    start = time.time() + 1
    # They all make the file, too.
    writers = [spawn(WRITER, path, number, start) for number in range(4)]
    said = []
    for writer in writers:
        out, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        said.append(json.loads(out))
    first: dict[str, int] = {}
    for answers in said:
        for name, (kind, _, where) in answers.items():
            if kind == "new":
                assert name not in first
                first[name] = where
    assert len(first) == 600 + 4 * 600
    for answers in said:
        for name, (kind, of, _) in answers.items():
            assert kind == "new" or (kind, of) == ("duplicate", first[name])
    with DedupIndex(path) as index:
        for name, where in first.items():
            assert index.add(name, b"%d" % (where % 10_000)) == duplicate(where)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


KILLED = """
import sys
from unmbox.dedup import DedupIndex
index = DedupIndex(sys.argv[1])
for n in range(10**9):
    if n % 100 < 50:
        verdicts = [index.add(f"<{n}@b>", b"", where=n)]
        done = n
    elif n % 100 == 50:
        index.add_many((f"<{k}@b>", b"", b"", k) for k in range(n, n + 50))
        done = n + 49
    else:
        continue
    print(done, flush=True)
"""


def test_a_killed_process_leaves_a_whole_index(tmp_path: Path) -> None:
    path = tmp_path / "index"
    random_times = random.Random(5)
    for _ in range(6):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        with spawn(KILLED, path) as process:
            assert process.stdout is not None
            answered = process.stdout.readline()
            time.sleep(random_times.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            answered += process.stdout.read()
            done = int(answered.split(b"\n")[-2])
        with DedupIndex(path) as index:
            verdicts = index.add_many([(f"<{n}@b>", b"", b"", -1) for n in range(done + 200)])
        # Everything that was answered for is there; of a batch, all or nothing.
        known = verdicts.index(NEW)
        assert known > done
        assert verdicts == [*map(duplicate, range(known)), *[NEW] * (done + 200 - known)]
        assert known % 100 <= 50


def test_a_second_index_in_the_process_does_not_give_up_the_locks_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "index"
    script = (
        "import sys; from unmbox.dedup import DedupIndex; from unmbox.errors import DestinationError\n"
        "try: DedupIndex(sys.argv[1], timeout=0.05).add(b'<a@b>', b'')\n"
        "except DestinationError: sys.exit(7)"
    )
    with DedupIndex(path) as one:
        one.add(b"<z@b>", b"")
        with one.transaction():
            DedupIndex(path).close()
            with spawn(script, path) as other:
                assert other.wait(60) == 7
        with spawn(script, path) as other:
            assert other.wait(60) == 0
        assert one.add(b"<a@b>", b"") == duplicate(0)


def test_a_forked_process_may_not_go_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DedupIndex(tmp_path / "i") as index:
        index.add(b"<a@b>", b"")
        with monkeypatch.context() as patch:
            patch.setattr("unmbox._dedup_sqlite.os.getpid", lambda: -1)
            with pytest.raises(UsageError, match="forked"):
                index.add(b"<b@b>", b"")
            with pytest.raises(UsageError, match="forked"):
                index.add_many(entries(0, 2))
            index.close()
        assert index.add(b"<a@b>", b"") == duplicate(0)


# --- in somebody's transaction -------------------------------------------------------------------------


@pytest.fixture(params=["explicit", "implicit"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    level: Any = None if request.param == "explicit" else ""
    with contextlib.closing(sqlite3.connect(tmp_path / "other", isolation_level=level)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("CREATE TABLE own (x)")
        connection.commit()
        yield connection


def is_open(connection: sqlite3.Connection) -> bool:
    """Whether a transaction is."""
    return connection.in_transaction


def tables(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as other:
        return {name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_nothing_is_committed_over_a_connection(connection: sqlite3.Connection, tmp_path: Path) -> None:
    with DedupIndex(connection=connection) as index:
        index.add(b"<a@b>", b"")
        index.add_many(entries(0, 10_000))
        with index.transaction():
            index.add(b"<c@b>", b"")
        index.save()
    assert is_open(connection)
    assert tables(tmp_path / "other") == {"own"}
    connection.execute("INSERT INTO own VALUES (1)")
    connection.commit()
    assert tables(tmp_path / "other") == {"own", "dedup", "dedup_slots"}
    assert saved_rows(tmp_path / "other") == 10_002
    assert not is_open(connection)
    index = DedupIndex(connection=connection)
    assert not is_open(connection)
    assert index.add_many(entries(0, 20)) == list(map(duplicate, range(20)))


def test_rolling_back_takes_back_what_was_added(connection: sqlite3.Connection) -> None:
    index = DedupIndex(connection=connection)
    index.add_many(entries(0, 100))
    connection.commit()
    for _ in range(3):
        assert index.add_many(entries(90, 400)) == [*map(duplicate, range(90, 100)), *[NEW] * 300]
        connection.execute("INSERT INTO own VALUES (1)")
        connection.rollback()
    assert index.add(b"<100@example.org>", digest(100), where=7) == NEW
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM own").fetchone()[0] == 0
    assert index.add_many(entries(99, 102)) == [duplicate(99), NEW, NEW]
    connection.commit()
    assert index.add_many(entries(99, 102)) == list(map(duplicate, range(99, 102)))


def test_rolling_back_all_of_it_and_what_another_wrote_since(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    index = DedupIndex(connection=connection)
    connection.commit()
    index.add_many(entries(0, 50))
    connection.rollback()
    with contextlib.closing(sqlite3.connect(tmp_path / "other")) as other:
        DedupIndex(connection=other).add_many([*entries(200, 210), *entries(10, 50)])
        other.commit()
    assert index.add_many(entries(0, 10)) == [NEW] * 10
    assert index.add_many(entries(10, 50)) == list(map(duplicate, range(10, 50)))
    assert index.add_many(entries(200, 210)) == list(map(duplicate, range(200, 210)))


def test_tables_are_rolled_back_too(connection: sqlite3.Connection) -> None:
    index = DedupIndex(connection=connection)
    index.add(b"<a@b>", b"")
    connection.rollback()
    assert index.add(b"<a@b>", b"") == NEW
    assert index.add(b"<a@b>", b"") == duplicate(0)
    connection.rollback()
    assert DedupIndex(connection=connection).add(b"<a@b>", b"") == NEW


def test_the_least_number_there_is(connection: sqlite3.Connection) -> None:
    index = DedupIndex(connection=connection)
    least = -(1 << 63)
    assert index.add(b"<a@b>", b"", where=least) == NEW
    assert index.add(b"<a@b>", b"") == duplicate(least)
    for where in (1 << 63, least - 1):
        with pytest.raises(UsageError, match="a signed number"):
            index.add(b"<b@b>", b"", where=where)


def test_a_nul_is_in_no_path() -> None:
    with pytest.raises(UsageError, match="a NUL"):
        DedupIndex("a\0b")


def test_an_open_transaction_is_joined(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO own VALUES (1)")
    index = DedupIndex(connection=connection)
    assert index.add(b"<a@b>", b"") == NEW
    with contextlib.suppress(BrokenOffError), index.transaction():
        assert index.add(b"<b@b>", b"") == NEW
        raise BrokenOffError
    assert is_open(connection)
    connection.commit()
    assert connection.execute("SELECT count(*) FROM own").fetchone()[0] == 1
    assert index.add_many([Entry(b"<a@b>", b""), Entry(b"<b@b>", b"")]) == [duplicate(0), NEW]


def test_a_connection_that_is_closed_or_locked_is_said(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    index = DedupIndex(connection=connection)
    connection.commit()
    with contextlib.closing(sqlite3.connect(tmp_path / "other", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(DestinationError, match="another process"):
            index.add(b"<a@b>", b"")
        other.execute("ROLLBACK")
    assert index.add(b"<a@b>", b"") == NEW
    connection.close()
    with pytest.raises(DestinationError, match="closed"):
        index.add(b"<a@b>", b"")


# --- real mail, the imports, the benchmark -------------------------------------------------------------


def identities(octets: bytes, *, newline: bytes | None = None) -> Iterator[tuple[Entry, bytes]]:
    """The entry of each message of a mailbox, and its body as written."""
    if newline:
        octets = re.sub(rb"\r?\n", newline, octets)
    parser, writer = Parser(), EmlWriter()
    block, body, sha = b"", b"", BodyDigest()
    count = 0
    for event in parser.feed(octets) + parser.close():
        if isinstance(event, Head):
            block, body, sha = event.data, b"", BodyDigest()
            writer.send(event)
        elif isinstance(event, (Body, HeadRest)):
            piece = writer.send(event)
            body += piece
            sha.update(piece)
        elif isinstance(event, End):
            name = _headers.find(block, b"Message-ID")
            yield Entry(name, sha.digest()[1], content_of(block), count), body.rstrip(b"\r\n")
            count += 1


def test_real_mail_keeps_all_that_differs(corpus: Path) -> None:
    index, model = DedupIndex(), Model()
    kinds = dict.fromkeys(("new", "duplicate", "collision"), 0)
    for number, row in enumerate(corpus_rows()):
        if not row.is_mbox or not row.expected or row.bytes > 3_000_000:
            continue
        for entry, body in identities(row.file.read_bytes()):
            where = number * 1000 + entry.where
            name = normalise_message_id(entry.message_id) if isinstance(entry.message_id, bytes) else None
            verdict = index.add(*entry[:2], content=entry.content, where=where)
            assert verdict == model.add(name, body, entry.content, where, "message-id+body")
            kinds[verdict.kind] += 1
    assert kinds["new"] > 300
    assert kinds["duplicate"] > 10
    assert kinds["collision"] > 0


def test_lf_and_crlf_copies_of_a_mailbox_are_the_same_mail(corpus: Path) -> None:
    seen = 0
    for row in corpus_rows():
        if (
            not row.is_mbox
            or not row.expected
            or row.bytes > 300_000
            or row.line_ending not in {"LF", "CRLF"}
        ):
            continue
        octets = row.file.read_bytes()
        index = DedupIndex()
        first = index.add_many([entry for entry, _ in identities(octets, newline=b"\n")])
        again = index.add_many([entry for entry, _ in identities(octets, newline=b"\r\n")])
        assert len(again) == len(first)
        assert {verdict.kind for verdict in again} <= {"duplicate"}
        seen += len(again)
    assert seen > 300


def test_sqlite_is_loaded_only_for_a_path(tmp_path: Path) -> None:
    script = (
        "import sys, unmbox.dedup\n"
        "unmbox.dedup.DedupIndex().add(b'<a@b>', b'')\n"
        "assert 'sqlite3' not in sys.modules\n"
        "unmbox.dedup.DedupIndex(sys.argv[1]).close()\n"
        "assert 'sqlite3' in sys.modules"
    )
    # Measuring coverage loads sqlite3 by itself.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "i")], check=True, env=bare)


def test_the_benchmark_draws_its_curve(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dedup_growth", "--quick", "--folder", str(tmp_path)],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if re.match(r"\| *[\d,]+ \|", line)]
    assert len(lines) == 4
    assert not list(tmp_path.iterdir())
