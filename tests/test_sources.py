"""Sources that are no archives: messages on their own, folders and what mail stores put there, exports."""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmbox
from drive import gather
from packing import (
    ALL_MAIL,
    COMPRESSED,
    IN_TAKEOUT,
    TAKEOUT,
    check,
    mail,
    mailbox,
    put,
    sources_of,
    tarred,
    tree,
    zipped,
)
from unmbox import _search
from unmbox._inspect import inspect
from unmbox._single import SINGLE, SingleParser
from unmbox._takeout import Takeout, in_order
from unmbox._verify import verify
from unmbox.errors import SourceError
from unmbox.events import End, Event, Head
from unmbox.sources import Source


def digest(path: Path) -> str | None:
    return Source(path).identity().digest


def test_an_empty_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a shell's variable that is not set: what stands around is not meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mbox").write_bytes(TAKEOUT[ALL_MAIL])
    for sources in ("", ["a.mbox", ""]):
        with pytest.raises(unmbox.UsageError, match="source's name is empty"):
            unmbox.convert(sources, "eml")
    with pytest.raises(unmbox.UsageError, match="source's name is empty"):
        list(unmbox.messages(""))
    with pytest.raises(unmbox.UsageError, match="destination's name is empty"):
        unmbox.convert("a.mbox", "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mbox"]


def test_an_identity_sees_both_ends_and_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "large"
    octets = bytearray(1 << 20)
    path.write_bytes(octets)
    seen = {digest(path)}
    for at in (0, 1 << 19, (1 << 20) - 1):
        octets[at] = 1
        path.write_bytes(octets)
        seen.add(digest(path))
    path.write_bytes(b"")
    seen.add(digest(path))
    path.write_bytes(b"\0")
    seen.add(digest(path))
    assert len(seen) == 6
    with pytest.raises(SourceError, match="does not exist"):
        digest(tmp_path / "absent")


# -- one message -----------------------------------------------------------------------------------------


def single(data: bytes, cuts: list[int] | None = None) -> list[Event]:
    parser = SingleParser()
    events: list[Event] = []
    at = 0
    for cut in [*(cuts or []), len(data)]:
        events += parser.feed(data[at:cut])
        at = cut
    return events + parser.close()


@given(
    st.lists(
        st.sampled_from(
            [
                b"\n",
                b"\r\n",
                b"\r",
                b"From a Tue Mar 19 09:13:51 2019",
                b">From x",
                b"A: b",
                b" c",
                b"\xef\xbb\xbf",
                b"d",
                b":",
            ]
        ),
        max_size=14,
    ),
    st.data(),
)
def test_one_message_tiles_its_source_whatever_the_cutting(pieces: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    whole, cut = gather(single(octets)), gather(single(octets, cuts))
    assert whole == cut
    assert len(whole.messages) == bool(octets)
    assert whole.tiled() == len(octets)
    assert not whole.rejected
    for found in whole.messages:
        rest = octets[len(whole.junk) :]
        assert rest.endswith(found.raw)  # all of it, unless a From_ line stands on top
        assert (len(found.raw) == len(rest)) == (not found.head.from_line)


@pytest.mark.parametrize(
    ("octets", "junk", "from_line", "block"),
    [
        (b"Subject: a\r\n\r\nbody\r\n", b"", b"", b"Subject: a\r\n\r\n"),
        (b"\xef\xbb\xbfSubject: a\n\nbody", b"\xef\xbb\xbf", b"", b"Subject: a\n\n"),
        (b"\r\n\r\nSubject: a\n\nbody", b"\r\n\r\n", b"", b"Subject: a\n\n"),
        (b"\nbody alone\n", b"", b"", b"\n"),
        (b"From a b\nSubject: a\n\nFrom c d\n", b"", b"From a b", b"Subject: a\n\n"),
        (b">From a b\nSubject: a\n\n>From c\n", b"", b">From a b", b"Subject: a\n\n"),
        (b"From: a\n\nb", b"", b"", b"From: a\n\n"),
        (b"Subject: a\rTo: b\r\rbody\r", b"", b"", b"Subject: a\rTo: b\r\r"),
        (b"Subject: a", b"", b"", b"Subject: a"),
        (b"\n\n", b"", b"", b"\n"),
    ],
)
def test_what_one_message_is(octets: bytes, junk: bytes, from_line: bytes, block: bytes) -> None:
    found = gather(single(octets))
    [message] = found.messages
    assert (found.junk, message.head.from_line, message.block) == (junk, from_line, block)
    assert message.body == octets[octets.index(block) + len(block) :]
    assert message.head.newline == (b"\r" if b"\n" not in octets and b"\r" in octets else b"\n")


def test_bounds_of_one_message() -> None:
    events = single(b"A: b\n" * 300_000 + b"\nbody")
    heads = [event for event in events if isinstance(event, Head)]
    assert len(heads) == 1
    assert len(heads[0].data) <= 1 << 20
    end = events[-1]
    assert isinstance(end, End)
    assert "head-too-long" in end.notes


def test_an_eml_file(tmp_path: Path) -> None:
    path = tmp_path / "one.EML"
    path.write_bytes(mail(1, "From here on\n>From there\n").encode())
    check(path, tmp_path / "eml", 1)
    [written] = tree(tmp_path / "eml").values()
    assert written.endswith(b"\r\nFrom here on\r\n>From there\r\n")
    with closing(sqlite3.connect(tmp_path / "eml/unmbox-manifest.sqlite")) as manifest:
        assert manifest.execute("SELECT variant, size FROM source").fetchone() == (
            SINGLE,
            path.stat().st_size,
        )


def test_the_same_mail_from_a_mailbox_and_from_eml_files_is_one(tmp_path: Path) -> None:
    (tmp_path / "all.mbox").write_bytes(mailbox(1, 2, 3))
    folder = put(
        tmp_path / "zoho", {f"Inbox/{n}.eml": mail(n).replace("\n", "\r\n").encode() for n in (2, 3, 4)}
    )
    (tmp_path / "zoho.zip").write_bytes(
        zipped({"Inbox/4.eml": mail(4).encode(), "Sent/5.eml": mail(5).encode()})
    )
    report = unmbox.convert([tmp_path / "all.mbox", folder, tmp_path / "zoho.zip"], tmp_path / "eml")
    assert (report.messages, report.written, report.duplicates) == (8, 5, 3)
    assert verify(tmp_path / "eml", sources=[folder, tmp_path / "zoho.zip"]).ok


def test_an_empty_eml_file_is_no_message(tmp_path: Path) -> None:
    folder = put(tmp_path / "mail", {"a.eml": b"", "b.eml": mail(1).encode(), "c.eml": b"\r\n"})
    assert unmbox.convert(folder, tmp_path / "eml").messages == 2


def test_emlx(tmp_path: Path) -> None:
    octets = mail(1).encode()
    data = b"%-10d\n%b<?xml version='1.0'?><plist/>" % (len(octets), octets)
    folder = put(
        tmp_path / "V10", {"A.mbox/Data/Messages/1.emlx": data, "A.mbox/Data/Messages/2.emlx": data[:60]}
    )
    report = unmbox.convert(folder, tmp_path / "eml")
    assert report.messages == 2
    assert [damage.source for damage in report.damaged] == [str(folder / "A.mbox/Data/Messages/2.emlx")]
    assert octets.replace(b"\n", b"\r\n") in tree(tmp_path / "eml").values()
    (folder / "A.mbox/Data/Messages/2.emlx").unlink()
    check(folder, tmp_path / "whole", 1)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"1.emlx": data}))
    check(path, tmp_path / "zip", 1)


def test_an_emlx_that_tells_too_few_octets(tmp_path: Path) -> None:
    octets = mail(1).encode()
    path = tmp_path / "1.emlx"
    path.write_bytes(b"%-10d\n%b<?xml version='1.0'?><plist/>" % (len(octets) - 20, octets))
    assert "more of it stands behind" in unmbox.convert(path, tmp_path / "eml").damaged[0].reason


# -- folders ---------------------------------------------------------------------------------------------


def test_a_folder_is_searched(tmp_path: Path) -> None:
    inside = put(
        tmp_path / "mail",
        {
            "b/Inbox": mailbox(1),
            "b/Inbox.msf": b'// <!-- <mdb:mork:z v="1.4"/> -->',
            "b/Inbox.sbd/Work": mailbox(2),
            "a.mbox": mailbox(3),
            "old/2003-March.txt": mailbox(4),
            "old/notes.txt": b"From the desk of nobody\n\nhello\n",
            "old/fix.patch": b"From 0123456789abcdef Mon Sep 17 00:00:00 2001\nFrom: a\nSubject: b\n\nc\n",
            "empty": b"",
            "z/x.mbox.gz": COMPRESSED["gz"](mailbox(5)),
            "z/takeout.tgz": tarred({"Takeout/Mail/a.mbox": mailbox(6)}, "w:gz"),
            "z/y.eml": mail(7).encode(),
            "z/._y.eml": b"\0\5\26\7",
            "done/unmbox-manifest.sqlite": b"",
            "done/y.eml": mail(8).encode(),
        },
    )
    check(inside, tmp_path / "eml", 7)
    names = [uri.removeprefix(f"{inside}/") for uri in sources_of(tmp_path / "eml")]
    expected = [
        "a.mbox",
        "b/Inbox",
        "b/Inbox.sbd/Work",
        "old/2003-March.txt",
        "z/takeout.tgz!/Takeout/Mail/a.mbox",
    ]
    assert names == [*expected, "z/x.mbox.gz", "z/y.eml"]


def test_the_destination_in_a_source_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, {"a.mbox": mailbox(1, 2)})
    for _ in range(2):
        assert unmbox.convert(tmp_path, tmp_path / "eml").written in {2, 0}
    assert len(tree(tmp_path / "eml")) == 2


def test_what_is_named_itself_is_read_once(tmp_path: Path) -> None:
    folder = put(tmp_path / "mail", {"a.mbox": mailbox(1), "sub/b.mbox": mailbox(2)})
    given: list[Any] = [folder, folder / "a.mbox", folder / "sub", folder / "sub/b.mbox", str(folder)]
    report = unmbox.convert(given, tmp_path / "eml")
    assert (report.messages, report.duplicates) == (2, 0)


def test_loops_and_links_are_not_followed(tmp_path: Path) -> None:
    folder = put(tmp_path / "mail", {"a/a.mbox": mailbox(1)})
    try:
        (folder / "a/loop").symlink_to(folder)
        (folder / "b.mbox").symlink_to(folder / "a/a.mbox")
        (folder / "gone.mbox").symlink_to("nowhere")
    except OSError:
        pytest.skip("links cannot be made here")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.mbox")
    check(folder, tmp_path / "eml", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all that there is")
def test_what_may_not_be_read_in_a_folder_is_told(tmp_path: Path) -> None:
    folder = put(tmp_path / "mail", {"a.mbox": mailbox(1), "b.mbox": mailbox(2), "c/c.mbox": mailbox(3)})
    (folder / "b.mbox").chmod(0)
    (folder / "c").chmod(0)
    report = unmbox.convert(folder, tmp_path / "eml")
    (folder / "c").chmod(0o700)
    assert report.messages == 1
    assert [each.source for each in report.damaged] == [str(folder / "b.mbox"), str(folder / "c")]


def test_many_names_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{random.Random(n).random()}é{n}" for n in range(300)]
    put(tmp_path, dict.fromkeys(names, b""))
    few = list(_search._sorted_names(tmp_path))
    monkeypatch.setattr(_search, "_FEW", 10)
    assert list(_search._sorted_names(tmp_path)) == few == sorted(names, key=os.fsencode)


def test_maildir(tmp_path: Path) -> None:
    folder = put(
        tmp_path / "Maildir",
        {
            "cur/1.host:2,RS": mail(1).encode(),
            "cur/2.host:2,FT": mail(2).encode(),
            "cur/3.host!2,DP": mail(3).encode(),
            "new/4.host": mail(4).encode(),
            "tmp/5.host": mail(5).encode(),
            ".Sent/cur/6.host:2,S": mail(6).encode(),
            "dovecot.index": b"\0",
        },
    )
    for name in (".Sent/new", ".Sent/tmp"):
        (folder / name).mkdir()
    check(folder, tmp_path / "eml", 5)
    with closing(sqlite3.connect(tmp_path / "eml/unmbox-manifest.sqlite")) as manifest:
        rows = manifest.execute("SELECT subject, state FROM message").fetchall()
    states = {subject: {key for key, value in json.loads(state).items() if value} for subject, state in rows}
    assert states == {
        "number 1": {"read", "answered"},
        "number 2": {"flagged", "deleted"},
        "number 3": {"draft", "forwarded"},
        "number 4": set(),
        "number 6": {"read"},
    }
    facts = inspect(folder)
    assert [(each.name, each.messages) for each in facts.sources] == [
        (str(folder / ".Sent"), 1),
        (str(folder), 4),
    ]


def test_a_maildir_whose_empty_folders_a_copy_has_left_out(tmp_path: Path) -> None:
    files = {"cur/1.host:2,S": mail(1).encode(), ".Trash/cur/2.host": mail(2).encode()}
    check(put(tmp_path / "Maildir", files), tmp_path / "eml", 2)
    check(put(tmp_path / "of-windows", {"cur/1.host!2,S": mail(1).encode()}), tmp_path / "other", 1)
    with pytest.raises(unmbox.SourceError, match="holds no mail"):
        unmbox.convert(put(tmp_path / "none", {"cur/notes.txt": b"Shopping: eggs\n"}), tmp_path / "third")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("new/1600000000.M1P2.host,S=3", {}),
        ("cur/1600000000.M1P2.host", {}),
        ("new/1600000000_0.31513.host,U=1,FMD5=7e33429f656f1e6e9d79b29c3f82c57e", {}),
        ("cur/1600000000.M1P2.host_2,RS", {"answered", "read"}),
        ("cur/1600000000.M1P2.host\uf0222,F", {"flagged"}),
    ],
)
def test_what_is_left_of_a_maildir(name: str, state: set[str], tmp_path: Path) -> None:
    """All of it unread, or without flags; as OfflineIMAP names it; with what Windows has for a colon."""
    files = {name: mail(1).encode()}
    check(put(tmp_path / "Maildir", files), tmp_path / "eml", 1)
    with closing(sqlite3.connect(tmp_path / "eml/unmbox-manifest.sqlite")) as manifest:
        [[text]] = manifest.execute("SELECT state FROM message").fetchall()
    assert {key for key, value in json.loads(text).items() if value} == set(state)
    (tmp_path / "a.tar").write_bytes(tarred({f"home/{key}": value for key, value in files.items()}))
    check(tmp_path / "a.tar", tmp_path / "packed-eml", 1)


def test_a_folder_of_new_letters_is_no_maildir(tmp_path: Path) -> None:
    files = {"1600000000.eml": mail(1).encode(), "notes.txt": b"To do: all\n", "1600000001.pdf": b"%PDF"}
    check(put(tmp_path / "new", files), tmp_path / "eml", 1)


def test_what_stands_in_a_maildir_beside_its_messages_is_searched(tmp_path: Path) -> None:
    files = {
        "cur/1:2,S": mail(1).encode(),
        "tmp/2": mail(2).encode(),
        "old.mbox": mailbox(3),
        "2019.zip": zipped({"a.mbox": mailbox(4)}),
        "dovecot-uidlist": b"3 V1\n",
        ".customflags": b"",
    }
    (tmp_path / "Maildir/new").mkdir(parents=True)
    check(put(tmp_path / "Maildir", files), tmp_path / "eml", 3)


def test_thunderbird_keeps_what_was_deleted_and_says_so(tmp_path: Path) -> None:
    octets = mailbox(1) + mailbox(2).replace(
        b"Subject:", b"X-Mozilla-Status: 0009\nX-Mozilla-Status2: 0\nSubject:"
    )
    folder = put(
        tmp_path / "profile", {"Mail/Local Folders/Inbox": octets, "Mail/Local Folders/Inbox.msf": b"//"}
    )
    check(folder, tmp_path / "eml", 2)
    with closing(sqlite3.connect(tmp_path / "eml/unmbox-manifest.sqlite")) as manifest:
        states = [json.loads(state) for (state,) in manifest.execute("SELECT state FROM message ORDER BY id")]
    assert [state.get("deleted", False) for state in states] == [False, True]
    assert states[1]["read"]
    assert all(b"X-Mozilla" not in data for data in tree(tmp_path / "eml").values())
    report = unmbox.convert(folder, tmp_path / "kept", exclude="state:deleted")
    assert (report.written, report.filtered) == (1, 1)
    report = unmbox.convert(folder, tmp_path / "deleted", include=["state:deleted"])
    assert (report.written, report.filtered) == (1, 1)
    with pytest.raises(unmbox.UsageError, match="is no state"):
        unmbox.convert(folder, tmp_path / "none", exclude="state:gone")


def test_apples_package(tmp_path: Path) -> None:
    folder = put(tmp_path / "Inbox.mbox", {"mbox": mailbox(1, 2), "table_of_contents": b"\0\1\2"})
    check(folder, tmp_path / "eml", 2)
    assert list(sources_of(tmp_path / "eml")) == [str(folder / "mbox")]


# -- exports ---------------------------------------------------------------------------------------------


def part(number: int, suffix: str = ".zip") -> str:
    return f"takeout-20240101T000000Z-{number:03}{suffix}"


def test_parts_in_any_order_are_one_export(tmp_path: Path) -> None:
    for number in range(1, 4):
        files = {f"Takeout/Mail/{number}.mbox": mailbox(1, 2, number + 10)}
        put(tmp_path, {part(number): zipped(files)})
    paths = [tmp_path / part(number) for number in (1, 2, 3)]
    first = unmbox.convert(paths, tmp_path / "one")
    second = unmbox.convert([str(path) for path in reversed(paths)], tmp_path / "two")
    assert first.missing == second.missing == ()
    assert (first.messages, first.duplicates) == (9, 4)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert list(sources_of(tmp_path / "one")) == list(sources_of(tmp_path / "two"))


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    for number in (2, 4):
        put(tmp_path / "a", {part(number): zipped({"Takeout/a.mbox": mailbox(number)})})
    put(tmp_path / "a", {part(5) + ".crdownload": b"PK"})
    report = unmbox.convert(tmp_path / "a", tmp_path / "eml")
    assert [sentence.split(":")[0] for sentence in report.missing] == [part(1), part(3), part(5)]
    assert "download" in report.missing[2]
    assert part(2) in report.missing[0]
    assert report.to_dict()["missing"] == list(report.missing)
    assert list(inspect(tmp_path / "a").missing) == list(report.missing)


def test_a_part_that_stands_beside_is_named_and_one_that_was_read_is_not(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        put(tmp_path, {part(number, ".tgz"): tarred({"Takeout/a.mbox": mailbox(number)}, "w:gz")})
    first = unmbox.convert(tmp_path / part(1, ".tgz"), tmp_path / "eml")
    assert ["beside" in sentence for sentence in first.missing] == [True, True]
    (tmp_path / part(1, ".tgz")).unlink()
    second = unmbox.convert([tmp_path / part(number, ".tgz") for number in (2, 3)], tmp_path / "eml")
    assert second.missing == ()


def test_a_part_that_stands_behind_a_missing_one_is_named(tmp_path: Path) -> None:
    """And one that was downloaded twice, under the browser's name for it."""
    for name in (part(1), part(4).replace(".zip", " (1).zip")):
        put(tmp_path, {name: zipped({"Takeout/a.mbox": mailbox(1)})})
    put(tmp_path, {part(3) + ".crdownload": b"PK", part(4) + ".part": b"PK", part(5, ".tgz"): b"\x1f\x8b"})
    report = unmbox.convert(tmp_path / part(1), tmp_path / "eml")
    assert [sentence.split(":")[0] for sentence in report.missing] == [part(2), part(3), part(4)]
    for words, sentence in zip(("download it", "to its end", "(1).zip"), report.missing, strict=True):
        assert words in sentence


def test_one_part_that_stands_in_no_folder(tmp_path: Path) -> None:
    stream = io.BytesIO(zipped(TAKEOUT))
    stream.name = part(1)  # as an upload has it
    report = unmbox.convert(stream, tmp_path / "eml")
    assert (report.messages, report.missing) == (IN_TAKEOUT, ())


def test_a_part_without_mail_is_no_fault(tmp_path: Path) -> None:
    put(tmp_path, {part(1): zipped({"Takeout/Photos/a.jpg": b"\xff\xd8"}), part(2): zipped(TAKEOUT)})
    report = unmbox.convert([tmp_path / part(1), tmp_path / part(2)], tmp_path / "eml")
    assert (report.messages, report.not_mbox, report.missing) == (IN_TAKEOUT, (), ())


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("takeout-20240101T000000Z-001.zip", 1),
        ("takeout-20240101T000000Z-3-012.tgz", 12),
        ("takeout-20240101T000000Z-001 (1).zip", 1),
        ("takeout-20240101T000000Z.zip", None),
        ("letter-001.zip", None),
    ],
)
def test_names_of_parts(name: str, number: int | None) -> None:
    found = Takeout.of(f"folder/{name}")
    assert (found and found.number) == number


def test_other_sources_keep_their_order() -> None:
    names = ["b.mbox", part(2), "a.mbox", part(1), "c.mbox"]
    assert in_order(names) == ["b.mbox", part(1), part(2), "a.mbox", "c.mbox"]


VAULT = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<Root DataInterchangeType='Update'><Batch><Documents>
<Document DocID='1-a'><Tags>
 <Tag TagName='#Subject' TagDataType='Text' TagValue='x'/>
 <Tag TagName='Labels' TagDataType='Text' TagValue='^INBOX,^OPENED,Kunden &amp; Partner'/></Tags>
 <Files><File FileType='Native'><ExternalFile FileName='1-a.mbox' FileSize='1'/></File></Files></Document>
<Document DocID='2-b'><Tags>
 <Tag TagName='Labels' TagDataType='Text' TagValue='^SENT,^STARRED,^DELETED'/></Tags>
 <Files><File FileType='Native'><ExternalFile FileName='2-b.mbox'/></File></Files></Document>
</Documents></Batch></Root>
"""


def vault_mailbox() -> bytes:
    first = mailbox(1).replace(b"From a@example.org Tue", b"From 1-a.mbox@xxx Tue", 1)
    second = mailbox(2).replace(b"From a@example.org Tue", b"From 2-b.mbox@xxx Tue", 1)
    return first + second + mailbox(3)


@pytest.mark.parametrize("shape", ["mbox", "zip", "folder"])
def test_vault(shape: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "export", {"case-metadata.xml": VAULT.encode()})
    if shape == "zip":
        put(folder, {"case-1.zip": zipped({"case-user.mbox": vault_mailbox()})})
    else:
        put(folder, {"case-user.mbox": vault_mailbox()})
    source = {"mbox": folder / "case-user.mbox", "zip": folder / "case-1.zip", "folder": folder}[shape]
    check(source, tmp_path / "eml", 3)
    with closing(sqlite3.connect(tmp_path / "eml/unmbox-manifest.sqlite")) as manifest:
        rows = manifest.execute("SELECT labels, state FROM message ORDER BY id").fetchall()
    assert [json.loads(labels) for labels, _ in rows] == [
        ["Inbox", "Opened", "Kunden & Partner"],
        ["Sent", "Starred"],
        [],
    ]
    states = [json.loads(state) for _, state in rows]
    assert states[0]["read"] is True
    assert (states[1]["deleted"], states[1]["flagged"]) == (True, True)
    assert next(iter(unmbox.messages(source))).labels == ["Inbox", "Opened", "Kunden & Partner"]
    assert inspect(source).labels["Inbox"] == 1


@pytest.mark.parametrize(
    "text",
    [
        VAULT[:300],
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'ccc'>]><Root>&b;</Root>",
        "no XML at all",
        "<Root><Document><Tag/></Document></Root>",
    ],
)
def test_metadata_that_is_broken(text: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "x", {"case-metadata.xml": text.encode(), "case-1.mbox": vault_mailbox()})
    report = unmbox.convert(folder, tmp_path / "eml")
    assert report.messages == 3
    assert bool(report.damaged) == ("<Root><Document><Tag/>" not in text)


def test_mail_without_date_is_dated_by_its_from_line(tmp_path: Path) -> None:
    """Chat records and Google Groups: no Date, no Message-ID."""
    octets = b"From 1-2@xxx Tue Mar 19 09:13:51 +0000 2019\r\nX-GM-THRID: 1\r\n"
    octets += b"From: a@example.org\r\n\r\nhi\r\n\r\n"
    path = tmp_path / "topics.mbox"
    path.write_bytes(octets)
    check(path, tmp_path / "eml", 1)
    [(name, data)] = tree(tmp_path / "eml").items()
    assert "2019-03-19" in name
    assert b"\r\nDate: Tue, 19 Mar 2019 09:13:51 +0000\r\n" in b"\r\n" + data
    other = io.BytesIO(octets.replace(b"X-GM-THRID: 1", b"X-GM-THRID: 2"))
    sources: list[Any] = [path, other]
    again = unmbox.convert(sources, tmp_path / "two")
    assert (again.messages, again.duplicates) == (2, 1)


# -- the command -----------------------------------------------------------------------------------------


def test_the_command_tells_of_damage_and_missing_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from unmbox.cli import main

    data = zipped(TAKEOUT)
    put(tmp_path, {part(2): data[: len(data) // 2]})
    assert main(["convert", str(tmp_path / part(2)), str(tmp_path / "eml"), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert f"missing: {part(1)}" in said
    assert "damaged: " in said
    assert main(["inspect", str(tmp_path / part(2)), "--json"]) == 1
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert facts["damaged"]
    assert facts["missing"]
    assert main(["verify", str(tmp_path / "eml"), "--source", str(tmp_path / part(2))]) == 1


@pytest.mark.parametrize("suffix", ["tbz", "tbz2", "txz", "tgz"])
def test_archives_in_a_folder(suffix: str, tmp_path: Path) -> None:
    mode = {"b": "w:bz2", "x": "w:xz", "g": "w:gz"}[suffix[1]]
    put(tmp_path / "mail", {f"a.{suffix}": tarred({"a.mbox": mailbox(1, 2)}, mode)})
    check(tmp_path / "mail", tmp_path / "eml", 2)


@pytest.mark.parametrize("suffix", sorted(COMPRESSED))
def test_a_compressed_mailbox_in_a_folder_is_known_by_what_it_holds(suffix: str, tmp_path: Path) -> None:
    """As Mailman archives it: ``2022-January.txt.gz``."""
    pack = COMPRESSED[suffix]
    files = {
        f"2022-January.txt.{suffix}": pack(mailbox(1)),
        f"old.{suffix}": pack(mailbox(2)),
        f"syslog.1.{suffix}": pack(b"Jan  1 00:00:00 host: From here\n" * 9),
        f"cut.{suffix}": pack(b"")[:12],
    }
    check(put(tmp_path / "mail", files), tmp_path / "eml", 2)


def test_messages_as_mh_stores_them(tmp_path: Path) -> None:
    """And Sylpheed, Claws Mail and Cyrus: numbers, whole messages without a From_ line."""
    files = {
        "inbox/1": mail(1).encode(),
        "inbox/2": mail(2).replace("\n", "\r\n").encode(),
        "inbox/10.": mail(3).encode(),
        "inbox/.mh_sequences": b"unseen: 2\n",
        "inbox/05": ("To: " + ",\n ".join(f"p{n}@example.org" for n in range(100)) + "\n" + mail(5)).encode(),
        "inbox/6": b"X-Spam-Level: a\nX-Spam-Checker-Version: b\n" + mail(6).encode(),
        "inbox/7": COMPRESSED["gz"](mail(7).encode()),
        "inbox/3": b"no mail: this\nis a list\n",
        "inbox/4": b"",
        "a.mbox": mailbox(4),
    }
    check(put(tmp_path / "Mail", files), tmp_path / "eml", 7)
    (tmp_path / "mail.tgz").write_bytes(tarred(files, "w:gz"))
    check(tmp_path / "mail.tgz", tmp_path / "packed-eml", 7)


def test_what_is_compressed_in_an_archive_and_does_not_say_so(tmp_path: Path) -> None:
    pack = COMPRESSED["gz"]
    files = {
        "new/1600000000.M1P2.host,S=3": pack(mail(1).encode()),
        "inbox/7": pack(mail(2).encode()),
        "Mail/Inbox": pack(mailbox(3, 4)),
        "a.mbox": pack(mailbox(5)),
    }
    for number, data in enumerate((tarred(files), zipped(files), zipped(files, streamed=True))):
        path = tmp_path / f"{number}"
        path.write_bytes(data)
        check(path, tmp_path / f"eml-{number}", 5)
        with path.open("rb") as file:
            assert len(list(unmbox.messages(file))) == 5


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_maildirs_in_an_archive(mode: str, tmp_path: Path) -> None:
    """As a web host's panel packs up an account."""
    top = "backup/homedir/mail/example.org/user"
    files = {
        f"{top}/cur/1600000000.M1P2.host,S=3:2,FS": mail(1).encode(),
        f"{top}/new/1600000001.M1P2.host,S=3": mail(2).encode(),
        f"{top}/.Sent/cur/1600000002.M1P2.host:2,S": COMPRESSED["gz"](mail(3).encode()),
        f"{top}/.Sent/cur/dovecot-uidlist": b"3 V1\n",
        f"{top}/tmp/1600000003.M1P2.host": mail(4).encode(),
        "backup/new/1600000000.pdf": b"%PDF-1.4",
    }
    path = tmp_path / "backup.tar"
    path.write_bytes(tarred(files, mode))
    check(path, tmp_path / "eml", 3)
    with closing(sqlite3.connect(tmp_path / "eml/unmbox-manifest.sqlite")) as manifest:
        states = [json.loads(state) for (state,) in manifest.execute("SELECT state FROM message ORDER BY id")]
    assert states == [{"read": True, "flagged": True}, {"read": False}, {"read": True}]
    assert unmbox.convert(path, tmp_path / "sorted", labels="primary").folders == {}
    assert len(list((tmp_path / "sorted/Sent").rglob("*.eml"))) == 1


def test_what_is_passed_over_is_told_where_it_holds_mail(tmp_path: Path) -> None:
    unread = {"a.7z": b"7z\xbc\xaf\x27\x1c", "b.RAR": b"Rar!\x1a\x07", "old.pst": b"!BDN"}
    files = {"a.mbox": mailbox(1), "notes.pst": b"of no program", **unread}
    split = {"c.zip.001": zipped({"a.mbox": mailbox(2)})[:-9]}
    report = unmbox.convert(put(tmp_path / "mail", {**files, **split}), tmp_path / "eml")
    told = [Path(damage.source).name for damage in report.damaged]
    assert told == ["a.7z", "b.RAR", "c.zip.001", "old.pst"]
    for words, damage in zip(("unpack", "unpack", "cut short", "readpst"), report.damaged, strict=True):
        assert words in damage.reason
    assert report.messages == 2
    (tmp_path / "all.zip").write_bytes(zipped({**files, "Takeout/Drive/b.rar": unread["b.RAR"]}))
    report = unmbox.convert(tmp_path / "all.zip", tmp_path / "zip")
    assert [damage.source.rpartition("!/")[2] for damage in report.damaged] == list(unread)
    assert report.messages == 1


def test_an_eml_that_windows_shows_without_its_end(tmp_path: Path) -> None:
    files = {"a.eml.txt": mail(1).encode(), "B.EML.TXT": mail(2).encode(), "c.eml.txt": b"Dear all,\n"}
    check(put(tmp_path / "mail", files), tmp_path / "eml", 2)
    (tmp_path / "all.zip").write_bytes(zipped(files))
    check(tmp_path / "all.zip", tmp_path / "zip", 2)
    check(tmp_path / "mail" / "a.eml.txt", tmp_path / "one", 1)


def test_an_emlx_without_its_attachments_is_told(tmp_path: Path) -> None:
    octets = mail(1).encode()
    data = b"%-10d\n%b<?xml version='1.0'?><plist/>" % (len(octets), octets)
    folder = put(tmp_path / "V10", {"A.mbox/Data/Messages/2.partial.emlx": data})
    report = unmbox.convert(folder, tmp_path / "eml")
    assert report.messages == 1
    assert "attachments" in report.damaged[0].reason


def test_mailboxes_without_a_suffix(tmp_path: Path) -> None:
    """With line ends of old Macintoshes, and with a first field that is longer than the first look."""
    undated = b"From -\nX-Long: " + b"x" * 2000 + b"\nSubject: a\n\ntext\n"
    files = {"In": mailbox(1).replace(b"\n", b"\r"), "Out": mailbox(2), "Drafts": undated}
    check(put(tmp_path / "mail", files), tmp_path / "eml", 3)


def test_a_pipe_beside_a_mailbox_is_no_metadata(tmp_path: Path) -> None:
    put(tmp_path / "mail", {"a.mbox": mailbox(1)})
    os.mkfifo(tmp_path / "mail" / "a-metadata.xml")
    assert unmbox.convert(tmp_path / "mail" / "a.mbox", tmp_path / "eml").messages == 1


@pytest.mark.parametrize("packed", ["", "zip", "tar"])
def test_a_dot_before_a_name_hides_no_mail(packed: str, tmp_path: Path) -> None:
    """As of a letter that is called by its subject; but what macOS puts beside a file is none."""
    files = {
        ".NET 8.eml": mail(1).encode(),
        "...再送.eml": mail(2).encode(),
        "a/.sent": mailbox(3),
        "a/.old.mbox": mailbox(4),
        "a/._to all.eml": mail(5).encode(),
        "a/._b.eml": b"\0\5\x16\7\0\2\0\0Mac OS X",
        "a/._c.mbox": b"",
        "b.eml": mail(6).encode(),
    }
    if packed:
        (tmp_path / "a").write_bytes(zipped(files) if packed == "zip" else tarred(files))
        check(tmp_path / "a", tmp_path / "eml", 6)
        (tmp_path / "b").write_bytes(zipped(files, streamed=True))
        with (tmp_path / "b").open("rb") as file:
            assert len(list(unmbox.messages(file))) == 6
    else:
        check(put(tmp_path / "mail", files), tmp_path / "eml", 6)


@pytest.mark.filterwarnings("ignore:PluginImportFixer")  # pygal's; it is asked for the encoding's module
def test_metadata_in_an_encoding_that_is_none(tmp_path: Path) -> None:
    put(
        tmp_path / "mail",
        {"a.mbox": mailbox(1), "a-metadata.xml": b"<?xml version='1.0' encoding='foo'?><a/>"},
    )
    report = unmbox.convert(tmp_path / "mail" / "a.mbox", tmp_path / "eml")
    assert (report.written, report.quarantined) == (1, 0)
    assert "labels may be missing" in report.damaged[0].reason


def test_a_maildir_whose_messages_are_compressed(tmp_path: Path) -> None:
    """As Dovecot's zlib plugin keeps them."""
    octets = mail(1).encode()
    files = {"cur/1:2,S": octets, "cur/2:2,SZ": COMPRESSED["gz"](mail(2).encode()), "new/3": mail(3).encode()}
    put(tmp_path / "Maildir", {**files, "tmp/x": b""})
    check(tmp_path / "Maildir", tmp_path / "eml", 3)
    assert octets.replace(b"\n", b"\r\n") in tree(tmp_path / "eml").values()
    assert not [each for each in tree(tmp_path / "eml").values() if b"\x1f\x8b" in each]
