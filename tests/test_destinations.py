"""Where mail goes: folders of labels, what is left out, what is refused, and ZIP volumes through kills."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from email.header import Header
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import unmbox
from killing import ENDED, Fault, Killed, Order, dying_at_once, faulty, in_another_process, small
from mails import adds_up, emls, mail, mailbox
from unmbox import UsageError, _checks, _ranges, zips
from unmbox._batches import Batches
from unmbox._checks import CheckingWriter
from unmbox._destination import manifest_of
from unmbox._terminal import summary
from unmbox._verify import verify
from unmbox.manifest import MANIFEST_NAME

FLAT = "2019-03-19_1813{:02}_Mail {}_"


def labelled(number: int, *labels: str, body: str = "", more: tuple[str, ...] = ()) -> str:
    """A message with Gmail's labels, as Takeout writes them."""
    text = ",".join(f'"{label}"' if "," in label else label for label in labels)
    value = text if text.isascii() else Header(text, "utf-8").encode()
    return mail(number, body, f"X-Gmail-Labels: {value}", *more)


@pytest.fixture
def takeout(tmp_path: Path) -> Path:
    """A mailbox with the labels of an account in Japanese, and of one in English."""
    path = tmp_path / "takeout.mbox"
    mails = [
        labelled(0, "受信トレイ", "仕事/請求書", "開封済み"),
        labelled(1, "送信済みメール", "スター付き"),
        labelled(2, "ゴミ箱", "仕事"),
        labelled(3, "迷惑メール", "未読"),
        labelled(4, "Inbox", "Work", "Work/2024", "Category Promotions"),
        labelled(5, "Archived", "Trips, 2023"),
        labelled(6, "Archived"),
        labelled(7, "Draft", "Inbox"),
    ]
    path.write_bytes(mailbox(mails, "\r\n"))
    return path


def rows(manifest: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(manifest)) as connection:
        return connection.execute(query).fetchall()


def folders(paths: Iterator[str] | list[str]) -> list[str]:
    return [path.rpartition("/")[0] for path in paths]


# -- folders ---------------------------------------------------------------------------------------------


def test_links_into_more_folders_than_are_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmbox.sinks._FOLDERS", 8)
    source = tmp_path / "a.mbox"
    source.write_bytes(mailbox([labelled(n, *(f"L{(n + k) % 30}/a/b" for k in range(25))) for n in range(9)]))
    report = unmbox.convert(source, tmp_path / "eml", labels="link")
    assert report.written == 9
    assert len(list((tmp_path / "eml").rglob("*.eml"))) == 9 * 25
    assert verify(tmp_path / "eml").ok


def test_each_message_stands_in_its_primary_folder(takeout: Path, tmp_path: Path) -> None:
    report = unmbox.convert(takeout, tmp_path / "eml", labels="primary")
    assert adds_up(report)
    assert report.written == 8
    found = rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT path, state FROM message ORDER BY id")
    assert folders([path for path, _ in found]) == [
        "仕事/請求書",
        "Sent",
        "Trash",
        "Spam",
        "Work/2024",
        "Trips, 2023",
        "Archive",
        "Drafts",
    ]
    assert set(emls(tmp_path / "eml")) == {path for path, _ in found}
    assert [json.loads(state) for _, state in found[:5]] == [
        {"read": True},
        {"flagged": True},
        {},
        {"read": False},
        {"category": "promotions"},
    ]
    assert verify(tmp_path / "eml").ok


@pytest.mark.parametrize("given", ["がき", "か\u3099き"])
@pytest.mark.parametrize("written", ["がき", "か\u3099き"])
def test_a_label_is_the_same_however_its_letters_are_composed(
    given: str, written: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(mailbox([labelled(0, written), labelled(1, "Work")]))
    report = unmbox.convert(path, tmp_path / "eml", exclude=[given])
    assert (report.written, report.filtered, report.unmatched) == (1, 1, ())


def test_a_link_in_the_folder_of_each_label(takeout: Path, tmp_path: Path) -> None:
    eml = tmp_path / "eml"
    unmbox.convert(takeout, eml, labels="link")
    expected = [
        "Archive",
        "Archive",
        "Drafts",
        "Inbox",
        "Inbox",
        "Sent",
        "Spam",
        "Trash",
        "Work",
        "Work/2024",
    ]
    assert sorted(folders(list(emls(eml)))) == sorted([*expected, "Trips, 2023", "仕事/請求書"])
    linked = rows(eml / MANIFEST_NAME, "SELECT message, volume, path FROM file ORDER BY message, path")
    assert [(number, path.rpartition("/")[0]) for number, _, path in linked] == [
        (1, "Inbox"),
        (5, "Inbox"),
        (5, "Work"),
        (6, "Archive"),
    ]
    for number, volume, path in linked:
        [(first,)] = rows(eml / MANIFEST_NAME, f"SELECT path FROM message WHERE id = {number}")
        assert volume is None
        assert (eml / path).samefile(eml / first)
    assert verify(eml).ok
    assert unmbox.convert(takeout, eml, labels="link").already == 8
    (eml / MANIFEST_NAME).unlink()  # as if the record were lost: the same files are no obstacle
    unmbox.convert(takeout, eml, labels="link")
    assert verify(eml).ok
    unmbox.convert(takeout, eml, resume=False)
    assert not list(eml.glob("Inbox/*"))


def test_one_mailbox_a_label_gives_one_eml_with_all_labels(tmp_path: Path) -> None:
    for name, labels in (("Inbox", ["Inbox"]), ("Work", ["Work"]), ("Starred", ["Starred", "Inbox"])):
        path = tmp_path / f"{name}.mbox"
        path.write_bytes(mailbox([labelled(1, *labels)]))
    report = unmbox.convert(
        [tmp_path / f"{name}.mbox" for name in ("Inbox", "Starred", "Work")],
        tmp_path / "eml",
        labels="primary",
    )
    assert (report.written, report.duplicates) == (1, 2)
    [(labels,)] = rows(
        tmp_path / "eml" / MANIFEST_NAME, "SELECT labels FROM message WHERE outcome = 'written'"
    )
    assert json.loads(labels) == ["Inbox", "Starred", "Work"]
    assert verify(tmp_path / "eml").ok


def test_a_table_of_ones_own_names_folders_and_states(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(mailbox([labelled(1, "Enirkesto", "Nelegita")]))
    table = tmp_path / "eo.json"
    table.write_text('{"labels": {"inbox": {"eo": ["Enirkesto"]}, "unread": {"eo": ["Nelegita"]}}}', "utf-8")
    unmbox.convert(tmp_path / "a.mbox", tmp_path / "eml", labels="primary", system_labels=table)
    [(path, state)] = rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT path, state FROM message")
    assert path.startswith("Inbox/")
    assert json.loads(state) == {"read": False}


@pytest.mark.parametrize(
    ("name", "fields", "folder"),
    [
        ("Inbox.mbox", (), "Inbox"),
        ("Sent Items", (), "Sent"),
        ("Trash.mbox", (), "Trash"),
        ("ゴミ箱.mbox", (), "Trash"),
        ("project.mbox", (), "Archive"),
        ("Inbox", ("X-Mozilla-Status: 0009",), "Trash"),
        ("Inbox", ("X-Status: T",), "Drafts"),
        ("Inbox.mbox", ("X-Gmail-Labels: Work",), "Work"),
    ],
)
def test_mail_without_labels_goes_by_its_mailbox_and_its_state(
    name: str, fields: tuple[str, ...], folder: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(mailbox([mail(1, "", *fields)]))
    unmbox.convert(tmp_path / name, tmp_path / "eml", labels="primary")
    assert folders(list(emls(tmp_path / "eml"))) == [folder]
    excluded = unmbox.convert(tmp_path / name, tmp_path / "not", exclude="trash")
    assert excluded.filtered == (folder == "Trash")


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("Sent/1.eml", "Sent"),
        ("export/ゴミ箱/1.eml", "Trash"),
        ("export/project/1.eml", "Archive"),
        ("Maildir/cur/1.host:2,S", "Inbox"),
        ("Maildir/.Sent/cur/1.host:2,S", "Sent"),
        ("Maildir/.INBOX.Trash/new/1.host", "Trash"),
        ("store/Spam/cur/1.host:2,", "Spam"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_message_in_a_file_of_its_own_goes_by_its_folder(
    path: str, folder: str, zipped: bool, tmp_path: Path
) -> None:
    """As Zoho Mail exports them, and as a Maildir has them: what was deleted stays in Trash."""
    file = tmp_path / "given" / path
    file.parent.mkdir(parents=True)
    (file.parent.parent / "cur").mkdir(exist_ok=True)
    file.write_text(mail(1))
    given = tmp_path / "given"
    if zipped and path.endswith(".eml"):
        given = tmp_path / "given.zip"
        with zipfile.ZipFile(given, "w") as archive:
            archive.write(file, path)
    unmbox.convert(given, tmp_path / "eml", labels="primary")
    assert folders(list(emls(tmp_path / "eml"))) == [folder]


# -- what goes in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"exclude": ["spam", "trash"]}, [0, 1, 4, 5, 6, 7]),
        ({"exclude": "迷惑メール"}, [0, 1, 2, 4, 5, 6, 7]),
        ({"include": ["仕事"]}, [0, 2]),
        ({"include": ["work", "label:Trips, 2023"], "exclude": ["category promotions"]}, [5]),
        ({"include": "opened"}, [0]),
        ({"include": "from:A5@EXAMPLE.ORG"}, [5]),
        ({"include": ["to:@example.org"], "exclude": "address:a6@example.org"}, [0, 1, 2, 3, 4, 5, 7]),
        ({"since": "2019-03-20"}, []),
        ({"since": "2019-03-19", "until": "2019-03-19"}, list(range(8))),
        ({"since": "2019-03-19T09:13:05Z"}, [5, 6, 7]),
        ({"until": "2019-03-19T18:13:01+09:00"}, [0, 1]),
    ],
)
def test_what_is_wanted(options: dict[str, Any], kept: list[int], takeout: Path, tmp_path: Path) -> None:
    report = unmbox.convert(takeout, tmp_path / "eml", **options)
    found = rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT id - 1, outcome, path FROM message")
    assert [number for number, outcome, _ in found if outcome == "written"] == kept
    assert all((path is None) == (outcome == "filtered") for _, outcome, path in found)
    assert (report.written, report.filtered) == (len(kept), 8 - len(kept))
    assert adds_up(report)
    left_out = rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT DISTINCT message FROM refusal")
    assert len(left_out) == report.filtered
    assert verify(tmp_path / "eml", sources=takeout).ok


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("options", "unmatched"),
    [
        ({"exclude": ["Wrok", "spam", "仕事"]}, ("Wrok",)),
        ({"exclude": ["spam", "trash", "chats", "state:flagged"]}, ()),  # what Gmail knows is no mistake
        (
            {"include": ["work", "Trips, 2023", "from:a6@example.org", "to:@nobody.example"]},
            ("to:@nobody.example",),
        ),
        ({"include": ["Work", "Work/2024"]}, ()),
        ({"include": "Wrok", "exclude": "Wrok"}, ("Wrok",)),
    ],
)
def test_what_no_message_has_is_told(
    options: dict[str, Any], unmatched: tuple[str, ...], jobs: int, takeout: Path, tmp_path: Path
) -> None:
    with mock.patch.object(_ranges, "_LEAST", 500):
        report = unmbox.convert(takeout, tmp_path / "eml", jobs=jobs, **options)
    assert report.unmatched == unmatched == tuple(report.to_dict()["unmatched"])
    told = summary(report, "eml")
    assert ("no message has 'Wrok':" in told) == (unmatched == ("Wrok",))
    # What an earlier run has done may have had it.
    assert unmbox.convert(takeout, tmp_path / "eml", jobs=jobs, **options).unmatched == ()


def test_undated_mail_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(b"From - \nFrom: a@b\nTo: c@d\nSubject: x\n\nHi\n")
    assert unmbox.convert(tmp_path / "a.mbox", tmp_path / "eml", since="2019-01-01").written == 1


def test_what_is_left_out_is_no_original_of_a_copy(tmp_path: Path) -> None:
    same = [labelled(1, "Spam"), labelled(1, "Inbox"), labelled(1, "Trash"), labelled(1, "Work")]
    (tmp_path / "a.mbox").write_bytes(mailbox(same))
    report = unmbox.convert(tmp_path / "a.mbox", tmp_path / "eml", exclude=["spam", "trash"])
    assert (report.written, report.filtered, report.duplicates) == (1, 2, 1)
    assert verify(tmp_path / "eml").ok


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"include": "from:nobody"}, "write an address or @domain"),
        ({"exclude": " "}, "is no label"),
        ({"since": "yesterday"}, "write it as 2019-12-31"),
        ({"since": "2020-01-01", "until": "2019-01-01"}, "exchange them"),
        ({"labels": "all"}, "unknown labels 'all': choose one of primary, link, none"),
        ({"zip_size": 1_000_000}, "zip_size is for a destination that ends in .zip: name one"),
        ({"refused": "aside"}, "nothing says what would be refused: name a profile"),
        ({"profile": "nowhere"}, "no profile is called"),
        ({"system_labels": "none.json"}, "cannot be read"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    options: dict[str, Any], sentence: str, takeout: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=sentence):
        unmbox.convert(takeout, tmp_path / "eml", **options)
    assert not (tmp_path / "eml").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"zip_size": 999}, "1,000 to 2,000,000,000 octets, not 999"),
        ({"zip_entries": 65_536}, "1 to 65,535 entries, not 65,536"),
        ({"zip_names": "cp437"}, "unknown names 'cp437'"),
        ({"zip_method": "lzma"}, "unknown method 'lzma'"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_limits_that_no_volume_has_are_told_by_a_dry_run_too(
    options: dict[str, Any], sentence: str, takeout: Path, tmp_path: Path, *, dry_run: bool
) -> None:
    with pytest.raises(UsageError, match=sentence):
        unmbox.convert(takeout, tmp_path / "new" / "out.zip", dry_run=dry_run, **options)
    assert not (tmp_path / "new").exists()


def test_other_options_on_the_same_destination_are_refused(takeout: Path, tmp_path: Path) -> None:
    unmbox.convert(takeout, tmp_path / "eml", labels="primary", exclude="spam")
    with pytest.raises(UsageError, match=r"exclude: \[\"spam\"\], now none"):
        unmbox.convert(takeout, tmp_path / "eml", labels="primary")
    assert unmbox.convert(takeout, tmp_path / "eml", labels="primary", exclude=["spam"]).already == 8


# -- what is refused -------------------------------------------------------------------------------------


def profile(folder: Path, **members: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"name": "mine", "title": "Mine", **members}), "utf-8")
    return path


ATTACHED = "--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=a\n\nx\n"
PARTS = "--b\nContent-Type: {}\n\nx\n"


@pytest.mark.parametrize(
    ("checks", "text", "refusal"),
    [
        ({"size": 200}, mail(1, "x" * 300), "size: "),
        ({"attachments": 2}, mail(1, ATTACHED * 3 + "--b--"), "attachments: 3 attachments, at most 2"),
        ({"attachments": 2}, mail(1, ATTACHED * 2), ""),
        ({"attachments": 1}, mail(1, ATTACHED.replace(": att", ":\n ATT") * 2), "attachments: 2"),
        ({"attachments": 1}, mail(1, PARTS.format("application/pdf;\n\tname=a.pdf") * 2), "attachments: 2"),
        ({"attachments": 1}, mail(1, PARTS.format("image/png; NAME*=\"utf-8''%61\"") * 2), "attachments: 2"),
        ({"attachments": 1}, mail(1, PARTS.format("text/plain; charset=utf-8") * 2), ""),
        ({"attachments": 1}, mail(1, "Content-Type: image/png; name=a\n" * 2), ""),
        ({"recipients": 2}, mail(1, "", "Cc: x@y, z@y", "Bcc: u@v"), "recipients: 4 addresses"),
        ({"recipients": 2}, mail(1, "", "Cc: x@y"), ""),
        ({"header_size": 50}, mail(1), "header_size: "),
        ({"header_line": 70}, mail(1, "", "X-A: " + "a" * 70), "header_line: 75 octets"),
        ({"fields": 4}, mail(1), "fields: 5 header fields"),
        ({"field_size": {"x-a": 5}}, mail(1, "", "X-A: 123456"), "field_size: 6 octets in x-a, at most 5"),
        ({"field_size": {"*": 100, "x-a": 500}}, mail(1, "", "X-A: " + "ab " * 60), ""),
        ({"required": ["sender"]}, mail(1), "required: no sender"),
        ({"single": ["to"]}, mail(1), ""),
        ({"sender_differs": True}, mail(1, "", "Sender: <A1@example.org>"), "sender_differs: "),
        ({"sender_differs": True}, mail(1, "", "Sender: b@example.org"), ""),
        ({"sender_differs": False}, mail(1, "", "Sender: a1@example.org"), ""),
        ({"no_nul": True}, mail(1, "a\0b"), "no_nul: a NUL"),
        ({"no_bare_cr": True}, mail(1, "a\rb"), "no_bare_cr: "),
        ({"no_bare_lf": True}, mail(1), ""),
        ({"ascii_header": True}, mail(1, "ü"), ""),
    ],
)
def test_checks(checks: dict[str, Any], text: str, refusal: str, tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(mailbox([text]))
    report = unmbox.convert(tmp_path / "a.mbox", tmp_path / "eml", profile=profile(tmp_path, checks=checks))
    found = rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT profile, reason FROM refusal")
    assert [(name, reason[: len(refusal)]) for name, reason in found] == (
        [("mine", refusal)] if refusal else []
    )
    assert report.refused == len(found)
    assert report.written == 1


def test_checks_of_header_blocks_that_are_kept_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(
        b"From a@b Tue Mar 19 09:13:51 2019\nFrom: a@b\nFrom: c@d\nSubject: \xfc\0\n\nHi\n"
    )
    checks = {"single": ["from"], "ascii_header": True, "no_nul": True, "no_bare_lf": True}
    path = profile(tmp_path, checks=checks)
    report = unmbox.convert(
        tmp_path / "a.mbox", tmp_path / "eml", profile=path, headers="preserve", newline="lf"
    )
    reasons = [reason for (reason,) in rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT reason FROM refusal")]
    assert [reason.partition(":")[0] for reason in reasons] == list(checks)
    assert report.refused == 1


def test_fields_are_measured_however_a_profile_spells_them(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(mailbox([mail(1)]))
    checks = {"field_size": {"SUBJECT": 1}, "required": ["x-None"], "single": ["MESSAGE-ID"]}
    unmbox.convert(tmp_path / "a.mbox", tmp_path / "eml", profile=profile(tmp_path, checks=checks))
    reasons = [reason for (reason,) in rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT reason FROM refusal")]
    assert [reason.partition(":")[0] for reason in reasons] == ["field_size", "required"]


def test_folders_of_a_profile_are_made(takeout: Path, tmp_path: Path) -> None:
    path = profile(tmp_path, folders={"sent": "Gesendet"})
    unmbox.convert(takeout, tmp_path / "eml", profile=path)
    assert "Gesendet" in folders(list(emls(tmp_path / "eml")))


def test_attachments_are_counted_across_any_cut(tmp_path: Path) -> None:
    named = PARTS.format("application/pdf; name=a")
    octets = mailbox([mail(1, (ATTACHED + PARTS.format("text/plain") + named) * 20)])
    for cut in (1, 7, 64, 1000):
        pieces = [octets[at : at + cut] for at in range(0, len(octets), cut)]
        eml = tmp_path / str(cut)
        path = profile(tmp_path, checks={"attachments": 39})
        unmbox.convert(iter(pieces), eml, profile=path)
        [(reason,)] = rows(eml / MANIFEST_NAME, "SELECT reason FROM refusal")
        assert reason == "attachments: 40 attachments, at most 39"


def test_what_would_be_refused_is_put_apart_on_request(takeout: Path, tmp_path: Path) -> None:
    path = profile(
        tmp_path, checks={"required": ["x-none"]}, options={"labels": "primary", "refused": "aside"}
    )
    report = unmbox.convert(takeout, tmp_path / "eml", profile=path)
    assert (report.written, report.refused) == (8, 8)
    assert all(name.startswith("refused/") for name in emls(tmp_path / "eml"))
    assert any(name.startswith("refused/仕事/請求書/") for name in emls(tmp_path / "eml"))
    assert verify(tmp_path / "eml").ok


def test_a_profile_forces_repairs(tmp_path: Path) -> None:
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=b; s=s; h=From:Subject; bh=x; b=y; c=simple/simple"
    (tmp_path / "a.mbox").write_bytes(mailbox([mail(1, "a\0b\rc", signature, "Subject: twice")]))
    forced = ["body-nul", "body-bare-cr", "duplicate-field"]
    report = unmbox.convert(tmp_path / "a.mbox", tmp_path / "plain")
    assert report.left_out.keys() >= {"body-nul", "body-bare-cr"}
    path = profile(tmp_path, force=forced, checks={"no_nul": True, "no_bare_cr": True})
    report = unmbox.convert(tmp_path / "a.mbox", tmp_path / "eml", profile=path)
    assert report.repairs.keys() >= {"body-nul", "body-bare-cr"}
    assert report.refused == 0
    [octets] = emls(tmp_path / "eml").values()
    assert octets.endswith(b"ab\r\nc\r\n")
    impacts = dict(rows(tmp_path / "eml" / MANIFEST_NAME, "SELECT code, signature_impact FROM repair"))
    assert impacts["body-nul"] == "the body that DKIM-Signature covers"
    assert verify(tmp_path / "eml", sources=tmp_path / "a.mbox").ok


def test_without_a_profile_nothing_is_looked_at(takeout: Path, tmp_path: Path) -> None:
    # What a writer raises would only put a message into quarantine.
    with mock.patch.object(CheckingWriter, "send") as send:
        report = unmbox.convert(takeout, tmp_path / "eml")
    assert not send.called
    assert report.written
    assert report.quarantined == 0


# -- ZIP volumes -----------------------------------------------------------------------------------------


def held(folder: Path, name: str = "out") -> dict[str, list[str]]:
    """The entries of each volume, all of which are sound."""
    found = {}
    for path in sorted(folder.glob(f"{name}*.zip"), key=lambda path: (len(path.name), path.name)):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            found[path.name] = archive.namelist()
    return found


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A mailbox for several volumes, with a copy, a message for no volume, and one that is left out."""
    path = tmp_path / "many.mbox"
    mails = [labelled(n, "Inbox" if n % 2 else "仕事", body=f"{n:03} " * (n * 7 % 60)) for n in range(24)]
    mails[9] = mails[2]
    mails[12] = labelled(99, "Inbox", body="large " * 600)
    mails[17] = labelled(98, "Spam")
    path.write_bytes(mailbox(mails))
    return path


OPTIONS: dict[str, Any] = {"labels": "primary", "exclude": "spam", "zip_size": 3000, "zip_method": "stored"}


def test_a_path_that_ends_in_zip_becomes_volumes(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    report = unmbox.convert(many, out, **OPTIONS)
    assert (report.written, report.duplicates, report.filtered) == (22, 1, 1)
    volumes = held(tmp_path)
    assert len(volumes) > 3
    assert sum(map(len, volumes.values())) == 21
    assert len(list((tmp_path / "out-aside").rglob("*.eml"))) == 1
    assert max(path.stat().st_size for path in tmp_path.glob("out*.zip")) <= 3000
    assert verify(out, sources=many).ok
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out*.zip")}
    assert unmbox.convert(many, out, **OPTIONS).already == 24
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out*.zip")} == before
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("last", [30, 60, 90, 120])
def test_a_kill_loses_nothing_of_volumes_with_a_shared_index(many: Path, tmp_path: Path, last: int) -> None:
    """Rows stay pending until their volume is whole, also where an index is told of them before."""
    out = tmp_path / "out.zip"
    with (
        small(2),
        faulty(Fault(last)),
        unmbox.DedupIndex(tmp_path / "index.sqlite") as index,
        pytest.raises(Killed),
        dying_at_once(),
    ):
        unmbox.convert(many, out, **OPTIONS, dedup=index)
    with small(2), unmbox.DedupIndex(tmp_path / "index.sqlite") as index:
        unmbox.convert(many, out, **OPTIONS, dedup=index)
    assert sum(map(len, held(tmp_path).values())) == 21
    assert verify(out, sources=many).ok


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_nothing_is_removed_where_something_is_in_the_way_of_starting_afresh(
    kind: str, many: Path, tmp_path: Path
) -> None:
    out = tmp_path / ("out.zip" if kind == "zip" else "out")
    options = OPTIONS if kind == "zip" else {}
    unmbox.convert(many, out, **options)
    files = sorted(tmp_path.glob("out-0*.zip") if kind == "zip" else out.rglob("*.eml"))
    files[2].write_bytes(files[2].read_bytes() + b"x")
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(unmbox.DestinationError, match="already there") as caught:
        unmbox.convert(many, out, **options, resume=False)
    assert str(files[2]) in str(caught.value)
    assert {path: path.read_bytes() for path in files} == before
    assert unmbox.convert(many, out, **options).already == 24
    files[2].unlink()
    assert adds_up(unmbox.convert(many, out, **options, resume=False))
    assert verify(out, sources=many).ok


def test_a_foreign_volume_is_known_before_ours_are_removed(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    unmbox.convert(many, out, **OPTIONS)
    (tmp_path / "out-099.zip").write_bytes(b"mine")
    before = {path: path.read_bytes() for path in tmp_path.glob("out*.zip")}
    with pytest.raises(unmbox.DestinationError, match="already there"):
        unmbox.convert(many, out, **OPTIONS, resume=False)
    assert {path: path.read_bytes() for path in tmp_path.glob("out*.zip")} == before


def test_next_months_export_goes_into_a_further_volume(many: Path, takeout: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    unmbox.convert(many, out, labels="primary")
    unmbox.convert([many, takeout], out, labels="primary")
    assert list(held(tmp_path)) == ["out.zip", "out-002.zip"]
    assert verify(out).ok
    unmbox.convert(takeout, out, resume=False)
    assert list(held(tmp_path)) == ["out.zip"]
    assert verify(out).ok


@pytest.mark.parametrize("name", ["out.zip", "out-007.zip"])
def test_a_zip_of_the_users_is_never_overwritten(name: str, many: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(unmbox.DestinationError, match="already there"):
        unmbox.convert(many, tmp_path / "out.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_zip_has_no_links(many: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a ZIP has no links"):
        unmbox.convert(many, tmp_path / "out.zip", labels="link")


def test_verify_sees_what_is_amiss_with_volumes(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    unmbox.convert(many, out, **OPTIONS)
    volumes = list(held(tmp_path))
    octets = bytearray((tmp_path / volumes[1]).read_bytes())
    octets[300] ^= 1
    (tmp_path / volumes[1]).write_bytes(octets)
    (tmp_path / volumes[2]).unlink()
    with zipfile.ZipFile(tmp_path / volumes[3], "a") as archive:
        archive.writestr("mine.eml", b"mine")
    (tmp_path / "out-017.zip").write_bytes(b"mine")
    (tmp_path / ".out-018.zip.1.part").write_bytes(b"")
    next((tmp_path / "out-aside").rglob("*.eml")).unlink()
    found = verify(out)
    assert sorted((problem.kind, problem.path.partition("/")[0]) for problem in found.problems) == sorted(
        [
            ("changed", volumes[1]),
            ("foreign", "out-017.zip"),
            ("foreign", volumes[3]),
            ("missing", "out-aside"),
            ("missing", volumes[2]),
            ("temporary", ".out-018.zip.1.part"),
        ]
    )


def test_verify_names_a_volume_of_whose_directory_any_octet_is_another(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    unmbox.convert(many, out, **OPTIONS)
    whole = out.read_bytes()
    begin = whole.index(b"PK\1\2")
    for at in range(begin, len(whole)):
        octets = bytearray(whole)
        octets[at] ^= 0x80  # where a letter is not ASCII, what is left is no UTF-8
        out.write_bytes(octets)
        problems = verify(out).problems
        assert problems
        assert all(problem.path.startswith("out.zip") for problem in problems), at


def test_verify_sees_a_place_in_a_volume_that_stands_there_twice(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    unmbox.convert(many, out, **OPTIONS)
    with closing(sqlite3.connect(manifest_of(out))) as record:
        record.execute("INSERT INTO file SELECT * FROM file LIMIT 1")
        record.commit()
    assert [(problem.kind, problem.path) for problem in verify(out).problems] == [("count", "table file")]


def left(folder: Path, out: Path) -> tuple[Any, ...]:
    """All that a run has left, to be compared."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "manifest" not in path.name
    }
    tables = ("message", "file", "refusal", "repair", "source", "pending")
    return files, [rows(manifest_of(out), f"SELECT * FROM {table}") for table in tables]


@contextmanager
def zip_steps(fault: Fault) -> Iterator[None]:
    """What makes a volume: each entry, and its name."""

    def stepping(original: Any, called: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            fault.step(f"before {called}")
            result = original(*args, **kwargs)
            fault.step(f"after {called}")
            return result

        return call

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(zips, "_give_name", stepping(zips._give_name, "naming")))
        stack.enter_context(mock.patch.object(zips.ZipSink, "_put", stepping(zips.ZipSink._put, "entry")))
        stack.enter_context(faulty(fault))
        yield


def test_a_run_that_ends_at_any_step_is_finished_by_the_next(many: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "out.zip"
    count = Fault()
    with small(3), zip_steps(count):
        unmbox.convert(many, whole, **OPTIONS)
    expected = left(whole.parent, whole)
    for last in range(0, len(count.names), 3):
        out = tmp_path / str(last) / "out.zip"
        with small(3):
            with pytest.raises(Killed), zip_steps(Fault(last)), dying_at_once():
                unmbox.convert(many, out, **OPTIONS)
            unmbox.convert(many, out, **OPTIONS)
        assert left(out.parent, out) == expected, count.names[last]
        assert verify(out).ok


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_a_process_that_is_killed_leaves_no_half_volume(share: float, many: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole" / "out.zip", tmp_path / "killed" / "out.zip"
    count = Fault()
    with small(3), faulty(count):
        unmbox.convert(many, whole, **OPTIONS)
    order = Order([many], out, options=OPTIONS, last=int(len(count.names) * share))
    assert in_another_process(order) == ENDED
    for path in out.parent.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    Order([many], out, options=OPTIONS).do()
    assert left(out.parent, out) == left(whole.parent, whole)


def test_what_was_in_quarantine_comes_in_a_volume_of_its_own(many: Path, tmp_path: Path) -> None:
    class Broken(unmbox.EmlWriter):
        def send(self, event: Any) -> bytes:
            if event.offset == 0:
                raise ValueError("injected")
            return super().send(event)

    out = tmp_path / "out.zip"
    with mock.patch.object(_checks, "EmlWriter", Broken):
        assert unmbox.convert(many, out, **OPTIONS).quarantined == 1
    assert [path.name for path in (tmp_path / "out-aside" / "quarantine").iterdir()] == ["1-0.eml"]
    assert verify(out).ok
    number = len(held(tmp_path))
    assert unmbox.convert(many, out, **OPTIONS).written == 1
    assert not (tmp_path / "out-aside" / "quarantine").exists()
    assert list(map(len, held(tmp_path).values()))[number:] == [1]
    assert verify(out, sources=many).ok


def test_a_durable_zip(many: Path, tmp_path: Path) -> None:
    unmbox.convert(many, tmp_path / "out.zip", durable=True, **OPTIONS)
    assert verify(tmp_path / "out.zip").ok


def test_a_dry_run_into_a_zip_writes_nothing(many: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    assert unmbox.convert(many, tmp_path / "out.zip", dry_run=True, **OPTIONS).written == 22
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_error_or_a_signal_leaves_only_whole_volumes(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    add = Batches.add

    def stop(batches: Batches, mail: Any) -> None:
        if mail.head.offset > many.stat().st_size // 2:
            raise KeyboardInterrupt
        add(batches, mail)

    with mock.patch.object(Batches, "add", stop), pytest.raises(KeyboardInterrupt):
        unmbox.convert(many, out, **OPTIONS)
    assert 0 < len(held(tmp_path)) < 6
    assert not list(tmp_path.glob(".out*"))
    assert not verify(out).ok
    unmbox.convert(many, out, **OPTIONS)
    assert verify(out).ok


def test_what_stands_in_no_volume_is_counted_and_told(many: Path, tmp_path: Path) -> None:
    dry = unmbox.convert(many, tmp_path / "out.zip", dry_run=True, **OPTIONS)
    report = unmbox.convert(many, tmp_path / "out.zip", **OPTIONS)
    assert (dry.aside, report.aside) == (1, 1)
    assert dry.folders["out-aside/Inbox"] == 1
    assert len(list((tmp_path / "out-aside").rglob("*.eml"))) == 1
    named = str(Path("a", "out.zip"))
    assert (
        f"1 message stands in no ZIP, but in {Path('a', 'out-aside')}" in summary(report, named).splitlines()
    )
    assert f"1 message would stand in no ZIP, but in {Path('a', 'out-aside')}" in summary(
        dry, named, dry_run=True
    )


@pytest.mark.parametrize("layout", ["{subject}/{hash}", "{hash}"])
def test_no_label_and_no_subject_leads_out_of_the_volumes(layout: str, tmp_path: Path) -> None:
    named = labelled(0, "out-aside/x").replace("Mail 0", "out-aside")
    (tmp_path / "a.mbox").write_bytes(mailbox([named, labelled(1, "Inbox")]))
    for labels in ("primary", "none"):
        given = tmp_path / "a.mbox", tmp_path / labels / "out.zip"
        dry = unmbox.convert(*given, labels=labels, layout=layout, dry_run=True)
        report = unmbox.convert(*given, labels=labels, layout=layout)
        assert (report.written, report.aside, dry.aside) == (2, 0, 0)
        assert sorted(dry.names) == sorted(held(tmp_path / labels)["out.zip"])


@pytest.mark.parametrize("out", ["out", "out.zip"])
def test_what_is_put_apart_is_counted_and_told(out: str, takeout: Path, tmp_path: Path) -> None:
    path = profile(tmp_path, checks={"recipients": 1}, options={"refused": "aside"})
    (tmp_path / "a.mbox").write_bytes(mailbox([mail(1), mail(2, "", "Cc: b@example.org, c@example.org")]))
    dry = unmbox.convert(tmp_path / "a.mbox", tmp_path / out, profile=path, dry_run=True)
    assert "report" not in summary(dry, out, dry_run=True)  # there will be none to read
    report = unmbox.convert(tmp_path / "a.mbox", tmp_path / out, profile=path)
    assert (report.written, report.refused, report.aside, dry.aside) == (2, 1, 1, 1)
    where = "in no ZIP, but in out-aside" if out.endswith("zip") else f"apart, in {Path('out', 'refused')}"
    assert f"1 message stands {where}" in summary(report, out).splitlines()
    assert not unmbox.convert(tmp_path / "a.mbox", tmp_path / out, profile=path).aside


# -- Zoho Mail, from end to end --------------------------------------------------------------------------


def test_a_japanese_takeout_becomes_what_zoho_mail_takes(tmp_path: Path) -> None:
    crowded = EmailMessage()
    crowded["From"], crowded["To"], crowded["Subject"] = "a@example.org", "b@example.org", "多すぎる添付"
    crowded["Date"], crowded["Message-ID"] = "Tue, 19 Mar 2019 18:13:51 +0900", "<crowded@example.org>"
    crowded["X-Gmail-Labels"] = "受信トレイ"
    crowded.set_content("添付")
    for number in range(501):
        crowded.add_attachment(b"x", "text", "plain", filename=f"{number}.txt")
    mails = [labelled(n, "受信トレイ", f"顧客/{n % 5}", body="本文 " * (n * 31 % 400)) for n in range(60)]
    mails += [mails[7], labelled(70, "送信済みメール"), labelled(71, "ゴミ箱"), crowded.as_string()]
    export = tmp_path / "takeout-001.zip"
    with zipfile.ZipFile(export, "w") as archive:
        name = "Takeout/メール/すべてのメール（迷惑メール、ゴミ箱のメールを含む）.mbox"
        archive.writestr(name, mailbox(mails, "\r\n"))
    out = tmp_path / "zoho.zip"
    report = unmbox.convert(export, out, profile="zoho-mail", refused="aside", zip_size=10_000)
    assert adds_up(report)
    assert (report.written, report.duplicates, report.refused) == (63, 1, 1)
    volumes = held(tmp_path, "zoho")
    assert len(volumes) > 1
    assert max((tmp_path / name).stat().st_size for name in volumes) <= 10_000
    names = [name for each in volumes.values() for name in each]
    assert len(set(names)) == len(names) == 62
    assert set(folders(names)) == {*(f"顧客/{n}" for n in range(5)), "Sent", "Trash"}
    assert all(name.rpartition("/")[2].isascii() and name.endswith(".eml") for name in names)
    [(path, reason)] = rows(
        manifest_of(out), "SELECT path, reason FROM refusal JOIN message ON message.id = refusal.message"
    )
    assert reason == "attachments: 501 attachments, at most 500"
    assert path.startswith("zoho-aside/refused/Inbox/")
    assert (tmp_path / path).is_file()
    assert verify(out, sources=export).ok
