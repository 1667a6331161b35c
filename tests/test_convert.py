"""`convert`: every octet and every message has one fate, copies go, distinct mail stays, counts add up."""

from __future__ import annotations

import inspect
import io
import json
import operator
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import unmbox
from corpus import rows as corpus_rows
from ledger import rows
from mails import adds_up, column, emls, left, mail, mailbox
from unmbox import (
    DedupIndex,
    DestinationError,
    DirectorySink,
    Progress,
    Report,
    SourceError,
    UsageError,
    ZipSink,
)
from unmbox._mail import SPOOL
from unmbox._verify import verify
from unmbox.manifest import MANIFEST_NAME

BIG = "A line of text.\n" * (SPOOL // 16 + 1000)


@pytest.fixture
def eml(tmp_path: Path) -> Path:
    return tmp_path / "eml"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Put a mailbox into a file of this name."""

    def put(name: str, octets: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(octets)
        return path

    return put


class Folder:
    """A sink of a user's own: what was opened, and what got a name."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.files: dict[str, bytes] = {}
        self.discarded = 0

    def open(self, message: Any) -> Pieces:
        self.opened.append(message)
        return Pieces(self)


class Pieces:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._octets = b""

    def write(self, data: bytes) -> None:
        self._octets += data

    def commit(self, name: str) -> None:
        assert name not in self._folder.files
        self._folder.files[name] = self._octets

    def discard(self) -> None:
        self._folder.discarded += 1


# -- what becomes of every octet -------------------------------------------------------------------------

MIXED = (
    b"\r\nno mail yet\r\n"
    + mailbox(
        [
            mail(1),
            mail(2, "From here to there:\n\n>From Monday on.\n"),
            mail(1),
            mail(3, "Another body.\n", id="<1@example.org>"),
            mail(4, id=None, date=None),
        ]
    ).replace(b"\n", b"\r\n")
    + mailbox([mail(5), mail(1), mail(6, BIG)])
)


def test_the_report_adds_up(write: Any, eml: Path) -> None:
    report = unmbox.convert(write("a.mbox", MIXED), eml)
    assert report[:6] == (8, 6, 2, 0, 0, 1)
    assert adds_up(report)
    assert report.bytes_in == len(MIXED)
    assert report.junk == MIXED.index(b"From ")
    assert report.rejected == 1
    assert report.bytes_out == sum(map(len, emls(eml).values()))
    assert len(emls(eml)) == report.written
    assert report.not_mbox == ()
    assert report.already == 0
    assert verify(eml).ok


def test_junk_and_rows_tile_the_source(write: Any, eml: Path) -> None:
    report = unmbox.convert(write("a.mbox", MIXED), eml)
    tables = rows(eml)
    [source] = tables["source"]
    assert (source[2], source[5]) == (len(MIXED), report.junk)
    at = report.junk
    for offset, length in zip(column(eml, "offset"), column(eml, "length"), strict=True):
        assert offset == at
        assert MIXED.startswith(b"From ", offset)
        at += length
    assert at == len(MIXED)


@pytest.mark.parametrize("newline", ["crlf", "lf"])
@pytest.mark.parametrize("headers", ["repair", "preserve"])
def test_it_writes_what_messages_gives(write: Any, eml: Path, headers: str, newline: str) -> None:
    source = write("a.mbox", MIXED)
    report = unmbox.convert(source, eml, headers=headers, newline=newline, dedup="off")
    assert report.written == 8
    options: dict[str, Any] = {"headers": headers, "newline": newline}
    expected = [message.as_bytes() for message in unmbox.messages(source, **options)]
    assert [emls(eml)[path] for path in column(eml, "path")] == expected
    assert all((b"\r\n" in octets) == (newline == "crlf") for octets in expected)
    assert verify(eml, sources=source).ok


def test_repairs_are_counted_as_they_are_recorded(write: Any, eml: Path) -> None:
    broken = mail(1, "", "X-UID: 1", "Status: RO", id=None) + "\n" + mail(2, "", "Subject: again")
    report = unmbox.convert(write("a.mbox", mailbox([broken, mail(3, "a\0b\n"), mail(4)])), eml)
    applied, left_out = Counter[str](), Counter[str]()
    for _, code, _, was_applied, _ in rows(eml)["repair"]:
        (applied if was_applied else left_out)[code] += 1
    assert report.repairs == applied
    assert report.left_out == left_out
    assert applied["bookkeeping"] == 2
    assert applied["missing-message-id"] == 1
    assert left_out == {"body-nul": 1}
    preserved = unmbox.convert(write("b.mbox", mailbox([broken])), eml.with_name("b"), headers="preserve")
    assert (preserved.repairs, preserved.left_out) == ({}, {})


def test_a_row_tells_what_the_message_says(write: Any, eml: Path) -> None:
    labels = "=?UTF-8?Q?Inbox,=22Fr=C3=BChling,_2019=22,Opened?="
    text = mail(1, "", f"X-Gmail-Labels: {labels}", "X-GM-THRID: 1628424719502045299", "Cc: c@example.org")
    unmbox.convert(write("a.mbox", mailbox([text])), eml)
    said = {name: column(eml, name)[0] for name in ("from_line", "date", "sender", "recipients", "thread_id")}
    assert said == {
        "from_line": "From 0@xxx Tue Mar 19 09:13:00 +0000 2019",
        "date": "2019-03-19T18:13:01+09:00",
        "sender": "a1@example.org",
        "recipients": "b@example.org, c@example.org",
        "thread_id": "1628424719502045299",
    }
    assert column(eml, "subject") == ["Mail 1"]
    assert json.loads(column(eml, "labels")[0]) == ["Inbox", "Frühling, 2019", "Opened"]
    assert json.loads(column(eml, "state")[0]) == {"read": True}


def test_a_row_is_of_the_block_as_it_is_not_of_one_without_its_lone_crs(tmp_path: Path, eml: Path) -> None:
    source = tmp_path / "a.mbox"
    source.write_bytes(
        b"From a@example.org Tue Mar 19 09:13:51 2019\n"
        b"From: a@example.org\nDate: Tue, 19 Mar 2019 09:13:51 +0000\n"
        b"Message-ID: <1@example.org>\nSubject: one\rword\n\nText.\n"
    )
    assert unmbox.convert(source, eml).repairs == {"bare-cr": 1}
    [message] = unmbox.messages(source)
    assert column(eml, "subject") == [message.subject]
    assert "oneword" not in message.subject


def test_names_say_when_and_what(write: Any, eml: Path) -> None:
    unmbox.convert(write("a.mbox", mailbox([mail(1)])), eml, layout="{year}/{date}_{sender}_{subject}_{hash}")
    [name] = emls(eml)
    assert name.startswith("2019/2019-03-19")
    assert "a1@example.org" in name
    assert "Mail 1" in name


def test_every_mailbox_of_the_corpus(corpus: Path, tmp_path: Path) -> None:
    """Whatever the octets, all are accounted for and nothing is quarantined."""
    seen = 0
    for row in corpus_rows():
        if not row.is_mbox or row.bytes > 2_000_000:
            continue
        eml = tmp_path / str(seen)
        report = unmbox.convert(row.file, eml)
        seen += 1
        assert adds_up(report), row.path
        assert report.quarantined == 0, row.path
        assert report.junk + sum(column(eml, "length")) == report.bytes_in, row.path
        assert report.bytes_in == row.bytes or row.path.endswith(".gz"), row.path
        assert len(emls(eml)) == report.written
        assert verify(eml).problems == (), row.path
    assert seen > 100


# -- sources ---------------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same(write: Any, tmp_path: Path) -> None:
    path = write("a.mbox", MIXED)
    pieces = [MIXED[at : at + 1000] for at in range(0, len(MIXED), 1000)]
    with path.open("rb") as file:
        sources = {"path": path, "text": str(path), "file": file, "memory": io.BytesIO(MIXED)}
        sources |= {"list": pieces, "generator": (piece for piece in pieces)}
        reports = {name: unmbox.convert(source, tmp_path / name) for name, source in sources.items()}
    for report in reports.values():
        assert report._replace(seconds=0) == reports["path"]._replace(seconds=0), report
    assert all(emls(tmp_path / name) == emls(tmp_path / "path") for name in sources)
    assert {rows(tmp_path / name)["source"][0][3] for name in ("file", "memory", "list")} == {"stream"}


def test_several_sources_in_their_order(write: Any, eml: Path) -> None:
    first, second = mailbox([mail(1), mail(2)]), mailbox([mail(3), mail(1)])
    report = unmbox.convert([write("a.mbox", first), io.BytesIO(second)], eml)
    assert (report.messages, report.written, report.duplicates) == (4, 3, 1)
    assert report.bytes_in == len(first) + len(second)
    assert column(eml, "source_id") == [1, 1, 2, 2]
    assert column(eml, "duplicate_of") == [None, None, None, 1]


def test_a_source_listed_twice_is_read_once(write: Any, eml: Path) -> None:
    path = write("a.mbox", mailbox([mail(1), mail(2)]))
    report = unmbox.convert([path, str(path), path.parent / "." / path.name], eml, dedup="off")
    assert report.messages == report.written == 2


def test_a_file_that_is_no_mailbox_among_others(write: Any, eml: Path) -> None:
    sources = [write("a.mbox", mailbox([mail(1)])), write("b.txt", b"no mail\n"), write("c.mbox", b"")]
    for _ in range(2):  # the second time nothing is new, but it is no mailbox still
        report = unmbox.convert(sources, eml)
        assert report.not_mbox == (str(sources[1]),)
    assert len(emls(eml)) == 1
    assert verify(eml, sources=sources).ok


def test_no_source_is_bad_use(eml: Path) -> None:
    with pytest.raises(UsageError, match="no source"):
        unmbox.convert([], eml)
    assert not eml.exists()


def test_a_missing_source_is_found_before_anything_is_written(write: Any, tmp_path: Path, eml: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mbox does not exist") as caught:
        unmbox.convert([write("a.mbox", mailbox([mail(1)])), tmp_path / "gone.mbox"], eml)
    assert caught.value.offset is None
    assert not eml.exists()


@pytest.mark.parametrize(
    "option",
    [{"headers": "mend"}, {"newline": "cr"}, {"variant": "mbx"}, {"dedup": "body"}, {"layout": "{subject}"}],
    ids=lambda option: next(iter(option)),
)
def test_a_bad_option_is_found_before_anything_is_written(write: Any, eml: Path, option: Any) -> None:
    with pytest.raises(UsageError):
        unmbox.convert(write("a.mbox", mailbox([mail(1)])), eml, **option)
    assert not eml.exists()


# -- sinks -----------------------------------------------------------------------------------------------


def test_a_sink_of_ones_own(write: Any, eml: Path) -> None:
    source = write("a.mbox", MIXED)
    sink = Folder()
    report = unmbox.convert(source, sink)
    unmbox.convert(source, eml)
    assert sink.files == emls(eml)
    assert sorted(message.subject for message in sink.opened)[:2] == ["Mail 1", "Mail 2"]
    assert adds_up(report)
    again = unmbox.convert(source, Folder())
    assert again.written == report.written, "without a manifest, nothing is known of an earlier run"


def test_a_sink_of_ones_own_with_a_manifest(write: Any, tmp_path: Path) -> None:
    source, sink, manifest = write("a.mbox", MIXED), Folder(), tmp_path / "record.sqlite"
    report = unmbox.convert(source, sink, manifest=manifest)
    assert report.written == len(sink.files)
    again = unmbox.convert(source, sink, manifest=manifest)
    assert (again.messages, again.already) == (0, report.messages)
    with closing(sqlite3.connect(manifest)) as connection:
        paths = {path for (path,) in connection.execute("SELECT path FROM message WHERE path IS NOT NULL")}
    assert paths == sink.files.keys()


def test_a_sink_that_refuses_stops_the_run(write: Any, tmp_path: Path) -> None:
    class Refusing(Folder):
        def open(self, message: Any) -> Pieces:
            if len(self.opened) == 3:
                raise ConnectionError("gone")
            return super().open(message)

    sink, manifest = Refusing(), tmp_path / "record.sqlite"
    source = write("a.mbox", mailbox(mail(number) for number in range(9)))
    with pytest.raises(ConnectionError, match="gone"):
        unmbox.convert(source, sink, manifest=manifest)
    assert len(sink.files) == 3
    whole = Folder()
    unmbox.convert(source, whole, manifest=manifest)
    assert len(whole.files) == 9, "what was pending is done again"


def test_a_sink_that_settles_later_is_waited_for(write: Any, tmp_path: Path) -> None:
    class Later(Folder):
        broken = True

        def settle(self) -> None:
            if self.broken:
                raise ConnectionError("not arrived")

    sink, manifest = Later(), tmp_path / "record.sqlite"
    source = write("a.mbox", mailbox(mail(number) for number in range(9)))
    with pytest.raises(ConnectionError, match="not arrived"):
        unmbox.convert(source, sink, manifest=manifest)
    sink.broken, sink.files = False, {}
    report = unmbox.convert(source, sink, manifest=manifest)
    assert (report.written, len(sink.files)) == (9, 9), "nothing of the batch counted as done"
    assert unmbox.convert(source, Later(), manifest=manifest).already == 9


class AsyncTargets:
    """A sink whose targets keep nothing unless they are awaited."""

    class Target:
        async def write(self, data: bytes) -> None: ...
        async def commit(self, name: str) -> None: ...
        async def discard(self) -> None: ...

    def open(self, message: Any) -> Any:
        return self.Target()


class AsyncOpen(AsyncTargets):
    async def open(self, message: Any) -> Any:
        return self.Target()


def test_a_sink_may_begin_to_settle_late(write: Any) -> None:
    class Late(Folder):
        settled = 0

        def open(self, message: Any) -> Any:
            self.settle = self._settle
            return super().open(message)

        def _settle(self) -> None:
            self.settled += 1

    sink = Late()
    unmbox.convert(write("a.mbox", mailbox([mail(1)])), sink)
    assert sink.settled


def test_a_sink_that_gives_no_target(write: Any) -> None:
    class Nothing:
        def open(self, message: object) -> Any:
            return None

    with pytest.raises(UsageError, match=r"gave a NoneType, which has no write\(\)"):
        unmbox.convert(write("a.mbox", mailbox([mail(1)])), Nothing())


@pytest.mark.parametrize("sink", [AsyncTargets, AsyncOpen])
def test_an_async_sink_is_refused(sink: type[Any], write: Any, tmp_path: Path) -> None:
    source, manifest = write("a.mbox", mailbox([mail(1)])), tmp_path / "record.sqlite"
    with pytest.raises(UsageError, match=r"give it to unmbox\.aio\.convert"):
        unmbox.convert(source, sink(), manifest=manifest)
    assert unmbox.convert(source, Folder(), manifest=manifest).written == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"destination": None},
        {"destination": b"eml"},
        {"destination": 5},
        {"dedup": None},
        {"jobs": "2"},
        {"jobs": 2.0},
        {"zip_size": "5"},
        {"layout": 5},
        {"locale": 5},
        {"locale": "jp"},
        {"locale": "日本語"},
        {"layout": ""},
        {"manifest": ""},
    ],
)
def test_what_no_type_checker_has_seen(wrong: dict[str, Any], write: Any, eml: Path) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    with pytest.raises(UsageError):
        unmbox.convert(source, **{"destination": eml, **wrong})
    assert not eml.exists()


@pytest.mark.parametrize("kind", [set, iter, lambda paths: dict.fromkeys(paths).keys(), sorted])
def test_several_sources_in_anything_that_gives_them(
    kind: Callable[[list[Path]], Any], write: Any, eml: Path
) -> None:
    paths = [write(f"{number}.mbox", mailbox([mail(number)])) for number in range(3)]
    assert unmbox.convert(kind(paths), eml).written == 3
    assert unmbox.convert(eml.parent.glob("*.mbox"), eml).already == 3


def test_the_manifest_may_stand_elsewhere(write: Any, tmp_path: Path, eml: Path) -> None:
    manifest = tmp_path / "elsewhere.sqlite"
    source = write("a.mbox", mailbox([mail(1)]))
    unmbox.convert(source, eml, manifest=manifest)
    assert not (eml / MANIFEST_NAME).exists()
    assert unmbox.convert(source, eml, manifest=manifest).already == 1
    assert verify(eml, manifest=manifest).ok


# -- copies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", ["repair", "preserve"])
@pytest.mark.parametrize("nothing", ["not set", "a b c", "Mail from PC-FAX", "<  >x", "(null)", '""'])
def test_what_is_no_message_id_makes_no_copy(write: Any, eml: Path, nothing: str, headers: str) -> None:
    one, two = mail(1, "See attached.", id=nothing), mail(2, "See attached.", id=nothing)
    report = unmbox.convert(write("a.mbox", mailbox([one, two, one])), eml, headers=headers)
    assert (report.written, report.duplicates) == (2, 1)
    assert column(eml, "message_id") == [None] * 3
    assert verify(eml).ok


@pytest.mark.parametrize(
    ("block", "day", "sender", "message_id"),
    [
        (
            (
                b"Date: garbage\nDate: Tue, 19 Mar 2019 09:13:51 +0000\nFrom:\nFrom: real@example.org\n"
                b"Message-ID:\nMessage-ID: <a@b>\n"
            ),
            "2019-03-19",
            "real@example.org",
            "<a@b>",
        ),
        (
            b"Da\0te: Tue, 19 Mar\0 2019 09:13:51 +0000\nFr\0om: a@example.org\nMessage-ID: <a\0@b>\n",
            "2019-03-19",
            "a@example.org",
            "<a@b>",
        ),
        (
            (
                b"Date: 2020/05/06 07:08:09\nDate: Tue, 19 Mar 2019 09:13:51 +0000\nFrom: a@example.org\n"
                b"Message-ID: not set\nMessage-ID: <a@b>\n"
            ),
            "2019-03-19",
            "a@example.org",
            "<a@b>",
        ),
    ],
)
def test_the_record_and_the_name_say_what_the_eml_says(
    write: Any, eml: Path, block: bytes, day: str, sender: str, message_id: str
) -> None:
    octets = b"From x@example.org Fri Jan  1 00:00:00 2021\n" + block + b"Subject: hello\n\nbody\n"
    unmbox.convert(write("a.mbox", octets), eml)
    told = [column(eml, name)[0] for name in ("date", "sender", "message_id", "subject")]
    assert [told[0][:10], *told[1:]] == [day, sender, message_id, "hello"]
    [path] = emls(eml)
    assert path.startswith(f"{day[:4]}/{day[5:7]}/{day}_")


@pytest.mark.parametrize("empty", [b"From:", b"From:\n <>", b"From:\r\n , ;"])
def test_the_first_from_that_names_anybody(empty: bytes, write: Any, eml: Path) -> None:
    block = empty + b"\nFrom: real@example.org\nSubject: x\n\nbody\n"
    unmbox.convert(write("a.mbox", b"From x@example.org Fri Jan  1 00:00:00 2021\n" + block), eml)
    assert column(eml, "sender") == ["real@example.org"]


def test_without_any_other_date_a_relays_counts(write: Any, eml: Path) -> None:
    """As the EML has it: `best_date` puts the same into its Date."""
    for number, year in enumerate((b"", b" Thu Jan  1 00:00:00 1970")):
        octets = b"From x@example.org" + year + b"\nReceived: by b; Tue, 19 Mar 2019 09:13:51 +0000\n"
        unmbox.convert(write(f"{number}.mbox", octets + b"From: a@b\nSubject: %d\n\nx\n" % number), eml)
    assert [date[:10] for date in column(eml, "date")] == ["2019-03-19"] * 2
    for path, octets in emls(eml).items():
        assert path.startswith("2019/03/")
        assert b"Date: Tue, 19 Mar 2019 09:13:51 +0000" in octets


@pytest.mark.parametrize(
    ("dedup", "written", "duplicates", "collisions"),
    [("message-id+body", 3, 1, 1), ("message-id", 2, 2, 0), ("off", 4, 0, 0)],
)
def test_policies(write: Any, eml: Path, dedup: str, written: int, duplicates: int, collisions: int) -> None:
    source = write("a.mbox", mailbox([mail(1), mail(1), mail(1, "Other.\n"), mail(2)]))
    report = unmbox.convert(source, eml, dedup=dedup)
    assert (report.written, report.duplicates, report.collisions) == (written, duplicates, collisions)
    assert len(emls(eml)) == written
    assert verify(eml, sources=source).ok


def test_a_public_mailbox_where_the_id_alone_would_lose_mail(write: Any, eml: Path) -> None:
    mails = [mail(number, f"Body {number}.\n", id=f"<{number % 128}@example.org>") for number in range(152)]
    report = unmbox.convert(write("a.mbox", mailbox(mails)), eml)
    assert (report.written, report.duplicates, report.collisions) == (152, 0, 24)
    assert len(set(column(eml, "message_id"))) == 128
    assert len(emls(eml)) == 152


def test_copies_in_other_line_ends_and_quoting_are_copies(write: Any, eml: Path) -> None:
    # A From_ line in the body that no reader takes for one, quoted in one mailbox and not in the other.
    body = "Dear reader,\n{}From here on it is quoted.\n\n\n"
    one = mailbox([mail(1, body.format(">")), mail(2, id=None)])
    other = mailbox([mail(1, body.format("")), mail(2, id=None)], "\r\n")
    report = unmbox.convert([write("a.mbox", one), write("b.mbox", other)], eml)
    assert (report.written, report.duplicates) == (2, 2)
    assert column(eml, "duplicate_of") == [None, None, 1, 2]
    assert verify(eml).ok


def test_labels_of_copies_are_merged(write: Any, eml: Path) -> None:
    mails = [mail(1, "", f"X-Gmail-Labels: {labels}") for labels in ("Inbox", "Work,Inbox", "Trips")]
    for dedup in ("message-id+body", "message-id"):
        folder = eml / dedup
        unmbox.convert(write("a.mbox", mailbox(mails)), folder, dedup=dedup)
        assert list(map(json.loads, column(folder, "labels"))) == [
            ["Inbox", "Work", "Trips"],
            ["Work", "Inbox"],
            ["Trips"],
        ]
        [path] = emls(folder)
        assert b"X-Gmail-Labels: Inbox\r\n" in emls(folder)[path], "the file is the first copy's"


@pytest.mark.parametrize("headers", ["repair", "preserve"])
def test_without_ids_the_date_of_the_from_line_tells_two_mails(write: Any, eml: Path, headers: str) -> None:
    chat = mail(1, "ok\n", id=None, date=None)
    octets = mailbox([chat]) + mailbox([chat], seconds=5) + mailbox([chat]) + mailbox([chat], seconds=5)
    report = unmbox.convert(write("a.mbox", octets), eml, headers=headers)
    assert (report.written, report.duplicates) == (2, 2)
    assert len(emls(eml)) == 2


@pytest.mark.parametrize("message_id", ["<>", "", "()", "< >"])
@pytest.mark.parametrize("headers", ["repair", "preserve"])
def test_an_id_that_says_nothing_tells_no_mails_apart(
    write: Any, eml: Path, headers: str, message_id: str
) -> None:
    field = f"\nMessage-ID: {message_id}\n\n"
    mails = [mail(number, "ok\n", id=None).replace("\n\n", field) for number in (1, 2, 1)]
    report = unmbox.convert(write("a.mbox", mailbox(mails)), eml, headers=headers)
    assert (report.written, report.duplicates) == (2, 1)
    assert verify(eml).ok


@pytest.mark.parametrize("dedup", ["off", "index"])
def test_copies_that_are_kept_have_names_of_their_own(write: Any, eml: Path, dedup: str) -> None:
    sources = [write("a.mbox", mailbox([mail(1), mail(1)])), write("b.mbox", mailbox([mail(1)]))]
    with DedupIndex(policy="off") as index:
        report = unmbox.convert(sources, eml, dedup=index if dedup == "index" else dedup)
    assert report.written == len(emls(eml)) == 3
    assert len(set(emls(eml).values())) == 1


@pytest.mark.parametrize("dedup", ["message-id+body", "message-id", "off"])
def test_big_messages_as_new_and_as_copies(write: Any, eml: Path, dedup: str) -> None:
    big = mail(1, BIG)
    source = write("a.mbox", mailbox([mail(2), big, mail(3), big, mail(1, BIG + "More.\n"), mail(4)]))
    report = unmbox.convert(source, eml, dedup=dedup)
    assert report.written == {"message-id+body": 5, "message-id": 4, "off": 6}[dedup]
    assert report.bytes_out == sum(map(len, emls(eml).values()))
    assert verify(eml, sources=source).ok
    assert [path.name for path in eml.iterdir() if path.name.startswith(".")] == []


# -- an index that is shared -----------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DedupIndex]:
    with DedupIndex(tmp_path / "index.sqlite" if request.param == "file" else None) as opened:
        yield opened


def test_an_index_between_two_destinations(write: Any, tmp_path: Path, index: DedupIndex) -> None:
    """The same mail in the same row of another destination is a copy, and no row of this one."""
    one = write("a.mbox", mailbox([mail(1), mail(2, "", "X-Gmail-Labels: Inbox"), mail(2)]))
    other = write(
        "b.mbox", mailbox([mail(1, "", "X-Gmail-Labels: Sent"), mail(3), mail(3), mail(2, "Other.\n")])
    )
    first = unmbox.convert(one, tmp_path / "one", dedup=index)
    assert (first.written, first.duplicates) == (2, 1)
    assert column(tmp_path / "one", "duplicate_of") == [None, None, 2]
    second = unmbox.convert(other, tmp_path / "other", dedup=index)
    assert (second.written, second.duplicates, second.collisions) == (2, 2, 1)
    assert column(tmp_path / "other", "outcome") == ["duplicate", "written", "duplicate", "written"]
    assert column(tmp_path / "other", "duplicate_of") == [None, None, 2, None]
    assert column(tmp_path / "other", "labels") == ['["Sent"]', "[]", "[]", "[]"]
    assert verify(tmp_path / "one").ok
    assert verify(tmp_path / "other", sources=other).ok


def test_an_index_in_two_runs(write: Any, eml: Path, index: DedupIndex) -> None:
    old = write("march.mbox", mailbox([mail(1), mail(2)]))
    new = write("april.mbox", mailbox([mail(2), mail(3)]))
    assert unmbox.convert(old, eml, dedup=index).written == 2
    again = unmbox.convert([old, new], eml, dedup=index)
    assert (again.already, again.written, again.duplicates) == (2, 1, 1)
    assert column(eml, "duplicate_of") == [None, None, 2, None]
    assert len(emls(eml)) == 3


def test_an_index_with_sinks_that_have_no_manifest(write: Any, index: DedupIndex) -> None:
    source = write("a.mbox", mailbox([mail(1), mail(2), mail(1)]))
    one, other = Folder(), Folder()
    assert unmbox.convert(source, one, dedup=index).written == 2
    report = unmbox.convert(source, other, dedup=index)
    assert (report.written, report.duplicates, other.files) == (0, 3, {})


def test_starting_afresh_with_an_index_loses_nothing(write: Any, eml: Path, index: DedupIndex) -> None:
    """The index knows all of it, as rows that are gone."""
    mails = [mail(1), mail(2), mail(1, "Other.\n"), mail(3, id=None), mail(2)]
    source = write("a.mbox", mailbox(mails))
    unmbox.convert(source, eml, dedup=index)
    before = left(eml)
    report = unmbox.convert(source, eml, dedup=index, resume=False)
    assert (report.written, report.duplicates) == (4, 1)
    assert left(eml).files == before.files
    turned = write("b.mbox", mailbox(reversed(mails)))
    report = unmbox.convert(turned, eml, dedup=index, resume=False)
    assert report.written >= 4
    assert {octets.partition(b"\r\n\r\n")[2] for octets in emls(eml).values()} == {
        octets.partition(b"\r\n\r\n")[2] for octets, _ in before.files.values()
    }


@pytest.mark.parametrize("how", ["moved", "by a link"])
def test_starting_afresh_elsewhere_with_an_index_loses_nothing(
    how: str, write: Any, eml: Path, index: DedupIndex
) -> None:
    """The rows are this destination's, by whatever path it is reached."""
    source, other = write("a.mbox", mailbox([mail(1), mail(2)])), eml.with_name("other")
    unmbox.convert(source, eml, dedup=index)
    if how == "moved":
        eml.rename(other)
    else:
        other.symlink_to(eml)
    assert unmbox.convert(source, other, dedup=index, resume=False).written == 2
    assert len(emls(other)) == 2


def test_sinks_that_cannot_keep_what_is_recorded_of_them(write: Any, tmp_path: Path) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    record = tmp_path / "record.sqlite"
    with ZipSink(tmp_path / "a.zip") as sink:
        with pytest.raises(UsageError, match=r"give its path, NAME\.zip"):
            unmbox.convert(source, sink, manifest=record)
        with pytest.raises(UsageError, match=r"give its path, NAME\.zip"):
            unmbox.convert(source, sink, dedup=DedupIndex())
        assert unmbox.convert(source, sink).written == 1
    with DirectorySink(tmp_path / "a") as folder:
        with pytest.raises(UsageError, match="replace=True"):
            unmbox.convert(source, folder, manifest=record)
        assert not record.exists()
    with DirectorySink(tmp_path / "a", replace=True) as folder:
        assert unmbox.convert(source, folder, manifest=record).written == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jobs": None}, "jobs is None"),
        ({"progress": 1}, "progress is 1"),
        ({"resume": None}, "resume is None: give True or False"),
        ({"resume": "no"}, "resume is 'no'"),
        ({"dry_run": "no"}, "dry_run is 'no'"),
        ({"durable": "off"}, "durable is 'off'"),
        ({"repair_signed": None}, "repair_signed is None"),
        ({"include": 5}, "include takes texts"),
        ({"profile": 5}, "profile is 5"),
        ({"manifest": 5}, "manifest is 5"),
        ({"manifest": "a\0b"}, "holds a NUL"),
        ({"headers": "preserve", "repair_signed": True}, "choose one of the two"),
        ({"destination": "a\0b"}, "holds a NUL"),
        ({"destination": "\ud800"}, "cannot be the name of a file"),
        ({"destination": "s3://bucket/eml"}, "is a URL"),
        ({"sources": "a\ud800.mbox"}, "cannot be the name of a file"),
    ],
    ids=str,
)
def test_what_is_of_another_kind_is_bad_use(
    given: dict[str, Any], said: str, write: Any, eml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(eml.parent)
    call: dict[str, Any] = {"sources": write("a.mbox", mailbox([mail(1)])), "destination": eml, **given}
    before = sorted(eml.parent.iterdir())
    with pytest.raises(UsageError, match=said):
        unmbox.convert(**call)
    assert sorted(eml.parent.iterdir()) == before


def test_what_chooses_is_recorded_whatever_it_comes_in(write: Any, eml: Path) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    terms = ["spam", "trash", "drafts"]
    assert unmbox.convert(source, eml, exclude=set(terms)).written == 1
    assert unmbox.convert(source, eml, exclude=frozenset(reversed(terms))).already == 1
    assert unmbox.convert(source, eml, exclude=iter(sorted(terms))).already == 1
    with pytest.raises(UsageError, match="other options"):
        unmbox.convert(source, eml, exclude=iter(["spam"]))


def test_the_same_day_or_instant_is_the_same_option(write: Any, eml: Path) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    unmbox.convert(source, eml, since="2019-01-01T00:00:00+00:00", until="2020-01-01 ")
    when = datetime(2019, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert unmbox.convert(source, eml, since=when, until=date(2020, 1, 1)).already == 1


def test_a_source_is_what_it_was_when_it_was_named(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever folder one is in when its turn comes."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "z.mbox").write_bytes(mailbox([mail(1, f"In {name}.\n")]))
    monkeypatch.chdir(tmp_path / "a")
    reading = unmbox.messages("z.mbox")

    def first() -> Iterator[bytes]:
        yield mailbox([mail(2)])
        os.chdir(tmp_path / "b")

    unmbox.convert([first(), "z.mbox"], tmp_path / "eml")
    assert b"In a." in next(reading).raw
    assert any(b"In a." in octets for octets in emls(tmp_path / "eml").values())


def test_an_index_by_the_id_alone(write: Any, tmp_path: Path) -> None:
    with DedupIndex(policy="message-id") as index:
        source = write("a.mbox", mailbox([mail(1), mail(1, "Other.\n"), mail(2)]))
        for resume in (True, False):
            report = unmbox.convert(source, tmp_path / "eml", dedup=index, resume=resume)
            assert (report.written, report.duplicates) == (2, 1)
            assert verify(tmp_path / "eml", sources=source).ok


# -- other options on the same destination ---------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        {"headers": "preserve"},
        {"newline": "lf"},
        {"variant": "mboxrd"},
        {"dedup": "off"},
        {"dedup": DedupIndex()},
        {"layout": "{hash}"},
        {"repair_signed": True},
        {"locale": "ja"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_other_options_are_refused_by_name(write: Any, eml: Path, option: dict[str, Any]) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    unmbox.convert(source, eml)
    before = left(eml)
    with pytest.raises(UsageError, match=f"other options.*{next(iter(option))}"):
        unmbox.convert(source, eml, **option)
    assert left(eml) == before
    assert unmbox.convert(source, eml, **option, resume=False).written == 1


def test_options_that_change_no_octet_are_no_other_options(write: Any, eml: Path) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    unmbox.convert(source, eml)
    assert unmbox.convert(source, eml, durable=True, progress=print).already == 1


# -- what it tells ---------------------------------------------------------------------------------------


def test_progress(write: Any, eml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmbox._report._TICK", 0)
    octets = mailbox(mail(number, "x" * 2000 + "\n") for number in range(200))
    source = write("a.mbox", octets)
    told: list[Progress] = []
    unmbox.convert(source, eml, progress=told.append)
    assert [now.octets for now in told] == sorted(now.octets for now in told)
    assert told[-1] == Progress(len(octets), len(octets), 200, str(source), 0)
    assert len(told) > 3
    told.clear()
    new = write("b.mbox", mailbox([mail(1, "x" * 2000 + "\n"), mail(500)]))
    unmbox.convert([source, new], eml, progress=told.append)
    total = len(octets) + new.stat().st_size
    assert told[-1] == Progress(total, total, 2, str(new), 1), "what was done before counts as passed"


def test_progress_of_a_stream_has_no_total(eml: Path) -> None:
    told: list[Progress] = []
    unmbox.convert(io.BytesIO(mailbox([mail(1)])), eml, progress=told.append)
    assert told[-1].octets_total is None


def test_what_progress_raises_ends_the_run_and_what_is_done_stays(write: Any, eml: Path) -> None:
    def stop(now: Progress) -> None:
        raise LookupError("enough")

    source = write("a.mbox", mailbox(mail(number) for number in range(5)))
    with pytest.raises(LookupError, match="enough"):
        unmbox.convert(source, eml, progress=stop)
    assert unmbox.convert(source, eml).messages + len(emls(eml)) >= 5
    assert len(emls(eml)) == 5


def test_reports_are_added_up() -> None:
    one = Report(messages=2, written=2, repairs={"a": 1}, not_mbox=("x",), seconds=1.5)
    other = Report(messages=1, duplicates=1, repairs={"a": 2, "b": 1}, left_out={"c": 1}, not_mbox=("y",))
    both = one + other
    assert both == Report(
        messages=3,
        written=2,
        duplicates=1,
        repairs={"a": 3, "b": 1},
        left_out={"c": 1},
        not_mbox=("x", "y"),
        seconds=1.5,
    )
    assert one + Report() == one
    with pytest.raises(TypeError):
        operator.add(one, (1,))
    plain = both.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["not_mbox"] == ["x", "y"]
    promised = (
        "messages written duplicates filtered quarantined collisions bytes_in bytes_out repairs seconds"
    )
    assert set(promised.split()) < set(plain)


def test_options_have_the_defaults_that_are_promised() -> None:
    parameters = inspect.signature(unmbox.convert).parameters
    # None leaves an option to the profile; without one, what is usual is told by the manifest's options.
    promised = {"headers": None, "newline": None, "variant": "auto", "dedup": "message-id+body"}
    assert {name: parameters[name].default for name in promised} == promised
    assert parameters["resume"].default is True


# -- nothing of the user's is overwritten ----------------------------------------------------------------


def test_a_file_of_the_users_is_never_overwritten(write: Any, eml: Path) -> None:
    source = write("a.mbox", mailbox([mail(1), mail(2), mail(3)]))
    unmbox.convert(source, eml.with_name("names"))
    names = column(eml.with_name("names"), "path")
    theirs = eml / names[1]
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"mine")
    for _ in range(2):
        with pytest.raises(DestinationError, match="already there and is not overwritten"):
            unmbox.convert(source, eml)
        assert theirs.read_bytes() == b"mine"
    theirs.unlink()
    unmbox.convert(source, eml)
    assert emls(eml) == emls(eml.with_name("names"))
    assert verify(eml).ok


def test_a_file_that_holds_the_same_is_in_nobodys_way(write: Any, eml: Path) -> None:
    """The manifest is lost, and the EMLs are there: but for the one that was edited, none is in the way."""
    source = write("a.mbox", mailbox([mail(1), mail(2, BIG), mail(3)]))
    unmbox.convert(source, eml)
    before = left(eml)
    (eml / MANIFEST_NAME).unlink()
    assert unmbox.convert(source, eml).written == 3
    assert left(eml) == before
    (eml / MANIFEST_NAME).unlink()
    edited = eml / before.rows["message"][1][9]
    edited.write_bytes(edited.read_bytes() + b"A note.\n")
    with pytest.raises(DestinationError, match="already there and is not overwritten"):
        unmbox.convert(source, eml)
    assert edited.read_bytes().endswith(b"A note.\n")


def test_a_link_to_the_same_octets_is_not_replaced(write: Any, eml: Path) -> None:
    source = write("a.mbox", mailbox([mail(1)]))
    unmbox.convert(source, eml)
    [path] = (eml / name for name in emls(eml))
    path.rename(eml / "elsewhere")
    path.symlink_to(eml / "elsewhere")
    (eml / MANIFEST_NAME).unlink()
    with pytest.raises(DestinationError, match="already there"):
        unmbox.convert(source, eml)
    assert path.is_symlink()


# Where names are octets, any octets but two are a name.
NAMES = [
    "日本語 é.mbox",
    "new\nline.mbox",
    "quo'te\".mbox",
    *(["\udcff\udcfe.mbox"] if sys.platform == "linux" else []),
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_source(name: str, write: Any, eml: Path) -> None:
    source = write(name, mailbox([mail(1), mail(2)]))
    assert unmbox.convert(source, eml).written == 2
    assert unmbox.convert(source, eml).already == 2
    assert verify(eml, sources=source).ok
