"""The command, as a process of its own: what it writes, what it says, and how it ends."""

from __future__ import annotations

import contextlib
import errno
import inspect
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import unmbox
from packing import zipped
from unmbox import _word_counts
from unmbox._command_convert import command as convert_command
from unmbox._inspect import inspect as inspect_mailboxes
from unmbox.cli import _COMMANDS

SAMPLE = Path(__file__).parents[1] / "examples" / "sample-takeout.mbox"
PYTHON = sys.executable
# What a child must not inherit: a terminal, and the measuring of coverage where it would be in the way.
PLAIN = {
    name: value for name, value in os.environ.items() if name not in {"TERM", "NO_COLOR", "COLUMNS", "LINES"}
}
UNMEASURED = {name: value for name, value in PLAIN.items() if not name.startswith("COV")}

MESSAGE = (
    b"From 1@xxx Tue Mar 19 09:13:51 +0000 2019\nX-Gmail-Labels: Inbox\nFrom: a@example.org\nSubject: Hello\n"
    b"Date: Tue, 19 Mar 2019 18:13:51 +0900\nMessage-ID: <1@example.org>\n\nHello.\n\n"
)


def mails(count: int) -> bytes:
    """So many messages, each with a Message-ID of its own."""
    return b"".join(MESSAGE.replace(b"<1@", b"<%d@" % number) for number in range(count))


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def unmbox_(
    *arguments: str | Path, stdin: bytes | None = None, env: dict[str, str] | None = None, **more: Any
) -> Done:
    """Run the command to its end."""
    done = subprocess.run(
        [PYTHON, "-m", "unmbox", *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=env or PLAIN,
        timeout=60,
        check=False,
        **more,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def emls(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.eml"))


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden and temporary ones too, but for the manifest."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("unmbox-manifest.sqlite")
    }


def assert_one_sentence(done: Done) -> None:
    assert done.err.startswith("unmbox: "), done
    assert done.err.count("\n") == 1, done
    assert "Traceback" not in done.err
    assert "Errno" not in done.err


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    path = tmp_path / "mail.mbox"
    path.write_bytes(mails(3))
    return path


@pytest.fixture
def eml(tmp_path: Path) -> Path:
    return tmp_path / "eml"


# -- convert ---------------------------------------------------------------------------------------------


def test_convert_writes_every_message_and_says_so(eml: Path) -> None:
    done = unmbox_("convert", SAMPLE, eml)
    assert done.status == 0
    assert done.out.splitlines() == [
        f"12 messages (9.8 kB): 11 written to {eml}, 1 copy left out",
        "repairs: missing-date 2, missing-message-id 2, 8bit-text 1",
        '2 lines beginning "From " left as text: unmbox inspect says why',
    ]
    assert done.err == ""
    files = emls(eml)
    assert len(files) == 11
    assert all(b"\n" not in path.read_bytes().replace(b"\r\n", b"") for path in files)
    assert not any(path.read_bytes().startswith(b"From ") for path in files)
    assert any("お茶会の時間が変わりました" in path.name for path in files)


def test_what_is_written_is_what_the_library_reads(eml: Path) -> None:
    unmbox_("convert", SAMPLE, eml)
    expected = {message.as_bytes() for message in unmbox.messages(SAMPLE)}
    assert sorted(path.read_bytes() for path in emls(eml)) == sorted(expected)


def test_quoting_is_taken_off_and_only_that(eml: Path) -> None:
    unmbox_("convert", SAMPLE, eml)
    [quoted] = [path for path in emls(eml) if path.match("2017-06-01*")]
    assert b"\r\nFrom here on" in quoted.read_bytes()
    assert b"\r\n>From there on" in quoted.read_bytes()


def test_json_is_one_object_and_nothing_else(eml: Path) -> None:
    done = unmbox_("convert", SAMPLE, eml, "--json")
    assert done.status == 0
    assert done.err == ""
    report = done.json
    size = SAMPLE.stat().st_size
    expected = {"messages": 12, "written": 11, "duplicates": 1, "bytes_in": size, "junk": 0, "rejected": 2}
    assert {name: report[name] for name in expected} == expected
    assert report["messages"] == sum(
        report[name] for name in ("written", "duplicates", "filtered", "quarantined")
    )
    assert report["repairs"] == {"missing-date": 2, "missing-message-id": 2, "8bit-text": 1}
    assert report["bytes_out"] == sum(path.stat().st_size for path in emls(eml))
    assert report["seconds"] > 0


def test_quiet_says_nothing(mailbox: Path, eml: Path) -> None:
    assert unmbox_("convert", "--quiet", mailbox, eml) == (0, "", "")
    assert len(emls(eml)) == 3


def test_standard_input_is_a_source(mailbox: Path, eml: Path) -> None:
    done = unmbox_("convert", "-", mailbox, eml, "--json", stdin=mails(5))
    assert (done.status, done.json["messages"], done.json["written"]) == (0, 8, 5)


def test_several_sources_and_options(mailbox: Path, eml: Path) -> None:
    options = ["--newline", "lf", "--layout", "{sender}/{hash}", "--dedup", "off", "--json"]
    done = unmbox_("convert", mailbox, SAMPLE, eml, *options)
    assert (done.status, done.json["written"]) == (0, 15)
    assert all(b"\r" not in path.read_bytes() for path in emls(eml))
    assert len(emls(eml / "a@example.org")) == 3


def test_where_nothing_could_be_read_it_is_no_success(tmp_path: Path, eml: Path) -> None:
    data = bytearray(zipped({"a.mbox": mails(1)}))
    for sign, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(sign) + at] |= 1  # encrypted
    (tmp_path / "a.zip").write_bytes(data)
    for command in (("convert", tmp_path / "a.zip", eml), ("inspect", tmp_path / "a.zip")):
        done = unmbox_(*command)
        assert done.status == 2
        assert "password" in done.err
    (tmp_path / "b.mbox").write_bytes(mails(1))
    assert unmbox_("convert", tmp_path / "a.zip", tmp_path / "b.mbox", eml).status == 1
    assert unmbox_("convert", tmp_path / "a.zip", tmp_path / "b.mbox", eml).status == 1


def test_a_strangers_name_adds_no_line(tmp_path: Path) -> None:
    data = zipped({"a\nunmbox: all is well.mbox": mails(1)})
    at = data.index(b"PK\1\2") + 16
    (tmp_path / "a.zip").write_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :])  # its check sum is wrong
    done = unmbox_("inspect", tmp_path / "a.zip")
    assert "a\\nunmbox: all is well.mbox" in done.out
    assert "\nunmbox: all" not in done.out + done.err


def test_what_is_left_in_bodies_is_not_said_to_be_for_signatures(tmp_path: Path, eml: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(mails(1).replace(b"Hello", b"He\0llo") + b"\0\n")
    done = unmbox_("convert", tmp_path / "a.mbox", eml)
    assert "found and left as they are: body-nul 1" in done.out
    assert "signatures" not in done.out


def test_variant_is_passed_on(tmp_path: Path, eml: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(MESSAGE.replace(b"Hello.", b">>From here\n"))
    for variant, kept in (("mboxrd", b">From here"), ("mboxo", b">>From here")):
        unmbox_("convert", path, eml / variant, "--variant", variant)
        [written] = emls(eml / variant)
        assert written.read_bytes().partition(b"\r\n\r\n")[2].startswith(kept)


def test_an_empty_mailbox_is_no_error(tmp_path: Path, eml: Path) -> None:
    (tmp_path / "empty.mbox").touch()
    done = unmbox_("convert", tmp_path / "empty.mbox", eml)
    assert (done.status, done.err) == (0, "")
    assert emls(eml) == []


def test_files_of_the_users_stay_as_they_are(mailbox: Path, eml: Path) -> None:
    eml.mkdir()
    (eml / "2019").mkdir()
    (eml / "letter.txt").write_text("mine")
    (eml / "2019" / "03").mkdir()
    (eml / "2019" / "03" / "mine.eml").write_text("mine too")
    before = everything(eml)
    done = unmbox_("convert", mailbox, eml)
    assert done.status == 0
    after = everything(eml)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 3


@pytest.mark.parametrize(("options", "mended"), [([], True), (["--headers", "preserve"], False)])
def test_headers_are_repaired_unless_they_are_to_be_preserved(
    options: list[str], mended: bool, tmp_path: Path, eml: Path
) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(MESSAGE.replace(b"Date:", b"X-Date:"))
    assert unmbox_("convert", path, eml, *options).status == 0
    [written] = emls(eml)
    assert (b"\r\nDate: " in b"\r\n" + written.read_bytes()) is mended


def test_the_same_command_again_has_nothing_to_do(mailbox: Path, eml: Path) -> None:
    unmbox_("convert", mailbox, eml)
    before = everything(eml)
    done = unmbox_("convert", mailbox, eml)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"nothing new for {eml}",
        "3 messages done by an earlier run",
    ]
    assert everything(eml) == before
    done = unmbox_("convert", mailbox, eml, "--no-resume", "--json")
    assert (done.json["written"], done.json["already"]) == (3, 0)
    assert everything(eml) == before


def test_a_dry_run_says_what_would_be_written(eml: Path) -> None:
    done = unmbox_("convert", "--dry-run", SAMPLE, eml)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"12 messages (9.8 kB): 11 would be written to {eml}, 1 copy left out\n")
    assert "nothing was written" in done.out
    assert not eml.exists()
    dry = unmbox_("convert", "--dry-run", "--json", SAMPLE, eml).json
    wet = unmbox_("convert", "--json", SAMPLE, eml).json
    told = {"seconds": 0, "names": [], "folders": {}}
    assert {**dry, **told} == {**wet, "seconds": 0}
    assert sorted(dry["names"]) == sorted(path.relative_to(eml).as_posix() for path in emls(eml))
    assert "\n        2  2019/03\n" in done.out
    assert f"\n  {dry['names'][0]}\n" in done.out


@pytest.mark.parametrize(
    "options", [["--labels", "link"], ["--labels", "primary", "--profile", "zoho-mail", "--refused", "aside"]]
)
def test_a_dry_run_names_the_files_that_the_run_writes(options: list[str], eml: Path) -> None:
    dry = unmbox_("convert", "--dry-run", "--json", *options, SAMPLE, eml).json
    unmbox_("convert", *options, SAMPLE, eml)
    files = [path.relative_to(eml) for path in emls(eml)]
    assert sorted(dry["names"]) == sorted(path.as_posix() for path in files)
    assert dry["folders"] == Counter(path.parent.as_posix() for path in files)


@pytest.mark.parametrize("names", ["utf-8", "ascii"])
def test_a_dry_run_names_the_entries_of_a_zip(names: str, tmp_path: Path) -> None:
    given: list[str | Path] = ["--profile", "zoho-mail", "--zip-names", names, SAMPLE, tmp_path / "a.zip"]
    dry = unmbox_("convert", "--dry-run", "--json", *given).json
    assert not list(tmp_path.iterdir())
    unmbox_("convert", *given)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert sorted(dry["names"]) == sorted(packed.namelist())


@pytest.mark.parametrize("option", [["--zip-size", "99GB"], ["--zip-entries", "0"], []])
def test_a_dry_run_refuses_the_zip_that_the_run_refuses(option: list[str], tmp_path: Path) -> None:
    if not option:
        (tmp_path / "a-002.zip").write_bytes(b"mine")
    before = everything(tmp_path)
    given: list[str | Path] = ["convert", *option, SAMPLE, tmp_path / "a.zip"]
    dry = unmbox_(*given, "--dry-run")
    assert (dry.status, dry.out) == (2, "")
    assert_one_sentence(dry)
    assert everything(tmp_path) == before
    assert unmbox_(*given).err == dry.err


def test_a_dry_run_refuses_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    given: list[str | Path] = ["convert", SAMPLE, tmp_path / "file" / "a.zip"]
    dry, wet = unmbox_(*given, "--dry-run"), unmbox_(*given)
    assert (dry.status, dry.err) == (wet.status, wet.err)
    assert dry.status == 2


def test_a_dry_run_tells_so_many_names(tmp_path: Path, eml: Path) -> None:
    path = tmp_path / "many.mbox"
    path.write_bytes(
        b"".join(b"From a Tue Mar 19 09:13:51 2019\nFrom: a%d@b.c\n\nHello\n\n" % n for n in range(1_100))
    )
    given: list[str | Path] = [path, eml, "--layout", "{sender}/{hash}"]
    dry = unmbox_("convert", "--dry-run", "--json", *given).json
    assert (dry["written"], len(dry["names"]), len(dry["folders"])) == (1_100, 1_000, 1_000)
    assert "and 980 more: --json has them" in unmbox_("convert", "--dry-run", *given).out


def test_a_dry_run_knows_what_is_done_already(mailbox: Path, eml: Path) -> None:
    unmbox_("convert", mailbox, eml)
    before = {path: path.read_bytes() for path in eml.rglob("*") if path.is_file()}
    report = unmbox_("convert", "--dry-run", mailbox, SAMPLE, eml, "--json").json
    assert (report["already"], report["written"]) == (3, 11)
    done = unmbox_("convert", "--dry-run", mailbox, eml, "--newline", "lf")
    assert done.status == 2
    assert_one_sentence(done)
    assert "newline: crlf, now lf" in done.err
    report = unmbox_("convert", "--dry-run", "--no-resume", mailbox, eml, "--json").json
    assert (report["already"], report["written"]) == (0, 3)
    assert {path: path.read_bytes() for path in eml.rglob("*") if path.is_file()} == before


def test_a_dry_run_leaves_a_shared_index_alone(mailbox: Path, eml: Path) -> None:
    with pytest.raises(unmbox.UsageError, match="shared index"):
        unmbox.convert(mailbox, eml, dedup=unmbox.DedupIndex(), dry_run=True)


BROKEN = """
import sys, unmbox._checks as checks
from unmbox.cli import main
class Broken(checks.EmlWriter):
    def send(self, event):
        if event.offset == 0:
            raise ValueError("injected")
        return super().send(event)
checks.EmlWriter = Broken
sys.exit(main())
"""


def test_what_cannot_be_converted_is_said_and_shows_in_the_status(mailbox: Path, eml: Path) -> None:
    # No mail that does this is known, so one is made.
    done = in_process(BROKEN, "convert", mailbox, eml)
    assert done.status == 1
    assert "1 put into quarantine" in done.out
    assert len([path for path in emls(eml) if "quarantine" not in path.parts]) == 2


def test_a_profile_of_people_is_none_for_mail(mailbox: Path, eml: Path) -> None:
    done = unmbox_("convert", mailbox, eml, "--profile", "zoho-crm")
    assert done.status == 2
    assert "unmbox contacts" in done.err
    assert not eml.exists()


def test_a_choice_that_leaves_nothing_is_told(mailbox: Path, eml: Path) -> None:
    done = unmbox_("convert", mailbox, eml, "--include", "no such label")
    assert done.status == 0
    assert "unmbox inspect" in done.out


def test_every_keyword_of_the_function_is_an_option_of_convert() -> None:
    keywords = inspect.signature(unmbox.convert).parameters
    options = convert_command.make_context("convert", ["SOURCE", "DEST"]).params
    for name in options.keys() - {"paths", "as_json", "quiet"}:
        # What may be given several times is an empty tuple there.
        assert (keywords[name].default or None) == (options[name] or None), name
    # A manifest elsewhere is for those who bring a sink of their own.
    assert set(keywords) - {"sources", "destination", "progress", "manifest"} <= set(options)


# -- verify ----------------------------------------------------------------------------------------------


def test_verify_proves_what_convert_did(mailbox: Path, eml: Path) -> None:
    unmbox_("convert", mailbox, eml)
    done = unmbox_("verify", eml, "--source", mailbox)
    assert (done.status, done.err) == (0, "")
    what = f"3 messages of 1 source ({mailbox.stat().st_size} B)"
    assert done.out == f"{what}: every octet accounted for, 3 EML files in {eml} as written\n"
    assert unmbox_("verify", eml, "--json").json["ok"] is True


def test_verify_names_what_does_not_hold(mailbox: Path, eml: Path) -> None:
    unmbox_("convert", mailbox, eml)
    changed, removed, _ = emls(eml)
    changed.write_bytes(changed.read_bytes().replace(b"Hello.", b"Hallo."))
    removed.unlink()
    done = unmbox_("verify", eml)
    assert (done.status, done.err) == (1, "")
    lines = done.out.splitlines()
    assert "2 problems" in lines[0]
    assert any("changed" in line and changed.name in line for line in lines[1:])
    assert any("missing" in line and removed.name in line for line in lines[1:])
    done = unmbox_("verify", eml, "--json")
    assert (done.status, done.json["ok"], done.json["problem_count"]) == (1, False, 2)


def test_verify_names_only_so_many(tmp_path: Path, eml: Path) -> None:
    (tmp_path / "mail.mbox").write_bytes(mails(30))
    unmbox_("convert", tmp_path / "mail.mbox", eml)
    for path in emls(eml):
        path.unlink()
    done = unmbox_("verify", eml)
    assert done.status == 1
    assert len(done.out.splitlines()) == 22
    assert "and 10 more" in done.out


def test_verify_of_a_folder_that_convert_did_not_make(tmp_path: Path) -> None:
    done = unmbox_("verify", tmp_path)
    assert (done.status, done.out) == (2, "")
    assert_one_sentence(done)


# -- inspect ---------------------------------------------------------------------------------------------


def test_inspect_says_what_is_in_there() -> None:
    done = unmbox_("inspect", SAMPLE)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "12 messages in 9.8 kB, 2004-11-05 to 2021-05-05"
    assert "        2  2017" in lines
    assert "        5  受信トレイ" in lines
    assert "        1  写真, 2018年" in lines
    assert "    3,015  undated-and-no-field-follows: From the station it is ten minutes on foot." in lines


def test_inspect_as_json() -> None:
    done = unmbox_("inspect", SAMPLE, "--json")
    assert (done.status, done.err) == (0, "")
    found = done.json
    size = SAMPLE.stat().st_size
    assert (found["messages"], found["octets"], found["junk"]) == (12, size, 0)
    assert found["years"] == {
        "2004": 1,
        "2011": 1,
        "2013": 1,
        "2017": 2,
        "2018": 1,
        "2019": 3,
        "2020": 1,
        "2021": 2,
    }
    assert found["first"] == "2004-11-05T09:30:00+09:00"
    assert found["labels"]["受信トレイ"] == 5
    assert [each["offset"] for each in found["rejected"]] == [3015, 8517]
    assert found["rejections"] == {"undated-and-no-field-follows": 1, "first-line-of-mime-part": 1}
    assert found["biggest"][0]["subject"] == "夕焼けの写真"
    assert found["sources"] == [
        {"name": str(SAMPLE), "octets": size, "messages": 12, "junk": 0, "variant": "mboxrd"}
    ]
    octets = SAMPLE.read_bytes()
    for each in found["rejected"] + found["biggest"]:
        assert octets.startswith(b"From ", each["offset"])


def test_inspect_counts_over_sources(tmp_path: Path, mailbox: Path) -> None:
    odd = tmp_path / "odd.mbox"
    odd.write_bytes(b"\xef\xbb\xbf\n" + b"From nobody\nX-A: 1\nY: 2\n\n\n" + MESSAGE)
    found = unmbox_("inspect", mailbox, odd, "--json").json
    assert [(each["messages"], each["junk"]) for each in found["sources"]] == [(3, 0), (2, 4)]
    assert (found["messages"], found["undated"], found["junk"]) == (5, 1, 4)
    assert found["labels"] == {"Inbox": 4}
    text = unmbox_("inspect", odd).out
    assert "1  without a date" in text
    assert "4 octets before the first message" in text


def test_inspect_keeps_only_so_much(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    rejected = b"".join(b"From here, line %d\nit goes on.\n" % number for number in range(1_100))
    path.write_bytes(MESSAGE + rejected + b"\n" + MESSAGE * 6)
    found = inspect_mailboxes(path)
    assert len(found.rejected) == 1_000
    assert found.rejections.total() == 1_100
    assert [each.offset for each in found.biggest] == [
        0,
        *(path.stat().st_size - len(MESSAGE) * n for n in (6, 5, 4, 3, 2, 1)),
    ]
    assert "and 1,080 more" in unmbox_("inspect", path).out


def test_inspect_tells_what_heads_tell() -> None:
    found = inspect_mailboxes(SAMPLE)
    assert [(each.word, each.number) for each in found.senders[:2]] == [
        ("ichiro@example.jp", 5),
        ("hanako.sato@example.jp", 4),
    ]
    assert sum(each.octets for each in found.senders) == SAMPLE.stat().st_size
    assert found.charsets == {"utf-8": 11, "none named": 1, "iso-2022-jp": 1, "us-ascii": 1}
    assert found.defects == {"missing-date": 2, "missing-message-id": 2, "8bit-text": 1}
    assert (found.duplicates, found.collisions) == (1, 0)
    told = found.to_dict()
    assert "collisions" not in told
    assert told["senders"][0]["address"] == "ichiro@example.jp"


def test_inspect_tells_more_of_bodies_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    other = MESSAGE.replace(b"Hello.", b"Other.")
    parts = MESSAGE.replace(b"<1@", b"<2@").replace(b"Hello.", b"Content-Type: text/plain; charset=Shift_JIS")
    nul = MESSAGE.replace(b"<1@", b"<3@").replace(b"Hello.", b"Hel\0lo.")
    path.write_bytes(MESSAGE + MESSAGE + other + parts + nul)
    shallow, deep = inspect_mailboxes(path), inspect_mailboxes(path, deep=True)
    assert (shallow.duplicates, shallow.collisions) == (2, 0)
    assert (deep.duplicates, deep.collisions) == (1, 1)
    assert shallow.charsets == {"none named": 5}
    assert deep.charsets == {"none named": 4, "shift_jis": 1}
    assert (shallow.defects, deep.defects) == ({}, {"body-nul": 1})
    report = unmbox.convert(path, tmp_path / "eml")
    assert (report.duplicates, report.collisions) == (deep.duplicates, deep.collisions)
    text = unmbox_("inspect", path, "--deep").out
    assert "1  copies, of which convert writes the first" in text
    assert "1  body-nul" in text


def test_inspect_says_the_same_each_time(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    words = b"=?koi8-r?Q?a?= =?big5?Q?a?= =?gbk?Q?a?="
    path.write_bytes(b"From a Tue Mar 19 09:13:51 2019\nSubject: caf\xe9\nX: " + words + b"\n\nHi\n\n")
    told = {
        unmbox_("inspect", "--deep", "--json", path, env={**PLAIN, "PYTHONHASHSEED": seed}).out
        for seed in "1234"
    }
    assert len(told) == 1


def test_inspect_tells_what_a_profile_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    part = b"--b\nContent-Disposition: attachment\n\n"
    many = MESSAGE.replace(b"<1@", b"<2@").replace(b"Hello.", part * 502)
    path.write_bytes(MESSAGE + many)
    found = unmbox_("inspect", path, "--deep", "--json").json
    assert found["refusals"]["zoho-mail"] == {"messages": 1, "checks": {"attachments": 1}}
    assert found["refusals"]["gmail"] == {"messages": 0, "checks": {}}
    text = unmbox_("inspect", path, "--deep").out
    assert "        1  zoho-mail: attachments 1\n" in text
    assert "        0  gmail\n" in text
    assert "refused" not in unmbox_("inspect", path).out


def test_a_charset_is_found_wherever_the_octets_are_cut() -> None:
    text = MESSAGE.replace(b"Hello.", b'Content-Type: text/plain; CHARSET="koi8-r"\n' * 3)
    for cut in range(1, len(text), 7):
        found = inspect_mailboxes(iter([text[:cut], text[cut:]]), deep=True)
        assert found.charsets == {"koi8-r": 1}, cut


def test_words_are_counted_exactly_in_a_file_once_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_word_counts, "_HELD", 10)
    often = _word_counts.WordCounts()
    words = [f"word {number % 37}" for number in range(1_000)] + ["\udc80", "x" * 300]
    for word in words:
        often.add(word, 2)
    expected = Counter(word[:200] for word in words)
    assert len(often) == len(expected)
    assert {each.word: each.number for each in often.top(100)} == expected
    assert [each[1:] for each in often.top(2)] == [(28, 56), (27, 54)]
    assert often.top(1) == [("word 0", 28, 56)]
    often.close()


def test_inspect_of_no_source_is_bad_use() -> None:
    with pytest.raises(unmbox.UsageError, match="no source"):
        inspect_mailboxes([])


# -- bad use and a world that refuses --------------------------------------------------------------------


# Root may read and write everything that is there.
BARRED = [] if os.geteuid() == 0 else ["barred"]


@pytest.fixture(params=["missing", "folder", "socket", "below-a-file", *BARRED])
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "source"
    with socket.socket(socket.AF_UNIX) as unix:
        if request.param == "folder":
            path.mkdir()
        elif request.param == "socket":
            unix.bind(os.path.relpath(path))  # an address has 108 octets at most
        elif request.param == "below-a-file":
            path.touch()
            path /= "mail.mbox"
        elif request.param == "barred":
            path.write_bytes(MESSAGE)
            path.chmod(0)
        yield path


@pytest.mark.parametrize("name", ["convert", "inspect"])
def test_an_unreadable_source(name: str, unreadable: Path, eml: Path) -> None:
    arguments = [unreadable, eml] if name == "convert" else [unreadable]
    done = unmbox_(name, *arguments)
    assert done.status in {2, 3}
    assert done.out == ""
    assert_one_sentence(done)
    assert str(unreadable) in done.err
    assert emls(eml) == []


def test_one_missing_source_is_found_before_anything_is_written(
    mailbox: Path, tmp_path: Path, eml: Path
) -> None:
    done = unmbox_("convert", mailbox, tmp_path / "gone.mbox", eml)
    assert done.status == 2
    assert_one_sentence(done)
    assert "gone.mbox does not exist" in done.err
    assert not eml.exists()


@pytest.mark.parametrize(
    "octets", [b"MZ\x90\0" * 999, b"Subject: one message\n\nno mailbox\n", b"From\n", b"\n \n"]
)
@pytest.mark.parametrize("name", ["convert", "inspect"])
def test_a_file_that_is_no_mbox(name: str, octets: bytes, tmp_path: Path, eml: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(octets)
    done = unmbox_(name, path, *([eml] if name == "convert" else []), "--json")
    assert done.status == 2
    assert_one_sentence(done)
    assert f"{path} is no mbox" in done.err
    assert done.json["not_mbox"] == [str(path)]
    assert done.json["junk"] == len(octets)
    assert emls(eml) == []


def test_a_file_that_is_no_mbox_among_others_is_named(mailbox: Path, tmp_path: Path, eml: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"no mail\n")
    done = unmbox_("convert", path, mailbox, eml)
    assert done.status == 2
    assert_one_sentence(done)
    assert "notes.txt" in done.err
    assert "mail.mbox" not in done.err
    assert len(emls(eml)) == 3


def test_the_destination_is_a_file_of_the_users(mailbox: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mbox"
    other.write_bytes(MESSAGE)
    done = unmbox_("convert", mailbox, other)
    assert done.status == 2
    assert done.out == ""
    assert_one_sentence(done)
    assert str(other) in done.err
    assert other.read_bytes() == MESSAGE


@pytest.mark.parametrize("parent", ["below-a-file", *BARRED])
def test_the_destination_cannot_be_made(parent: str, mailbox: Path, tmp_path: Path) -> None:
    eml = tmp_path / parent / "eml"
    if parent == "barred":
        eml.parent.mkdir(mode=0o500)
    else:
        eml.parent.touch()
    done = unmbox_("convert", mailbox, eml)
    assert done.status == 2
    assert done.out == ""
    assert_one_sentence(done)
    assert str(eml) in done.err


def test_a_folder_of_the_destination_is_a_file_of_the_users(mailbox: Path, eml: Path) -> None:
    eml.mkdir()
    (eml / "2019").write_text("mine")
    done = unmbox_("convert", mailbox, eml)
    assert done.status in {2, 3}
    assert_one_sentence(done)
    assert everything(eml) == {"2019": b"mine"}


def test_a_full_disk(tmp_path: Path, eml: Path) -> None:
    # No file may grow over 1 MiB: to the program the same as a disk that is full.
    path = tmp_path / "mail.mbox"
    path.write_bytes(mails(1_000) + MESSAGE.replace(b"Hello.", b"A line of text.\n" * 100_000) + MESSAGE)
    limited: dict[str, Any] = {
        "env": UNMEASURED,
        "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    }
    done = unmbox_("convert", path, eml, **limited)
    assert (done.status, done.out) == (3, "")
    assert_one_sentence(done)
    assert f"cannot write {eml}" in done.err
    assert emls(eml)
    assert len(everything(eml)) == len(emls(eml)), "something unfinished was left behind"
    assert {path.read_bytes()[-8:] for path in emls(eml)} == {b"Hello.\r\n"}
    assert unmbox_("convert", path, eml).status == 0
    assert len(emls(eml)) == 1_001


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["convert"], "SOURCE... DEST"),
        (["convert", "only-one"], "SOURCE... DEST"),
        (["inspect"], "SOURCE..."),
        (["convert", "--newline", "cr", "a", "b"], "crlf"),
        (["convert", "--wrong", "a", "b"], "--wrong"),
        (["convert", "-", "-", "b"], "standard input"),
        (["verb"], "verb"),
        (["convert", str(SAMPLE), "eml", "--layout", "{hsh}"], "hsh"),
        (["convert", str(SAMPLE), "eml", "--layout", "../{hash}"], ".."),
        (["convert", str(SAMPLE), "eml", "--zip-size", "5MB"], "ends in .zip"),
        (["convert", str(SAMPLE), "eml", "--profile", "zohomail"], "did you mean 'zoho-mail'?"),
    ],
)
def test_bad_use(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = unmbox_(*arguments, cwd=tmp_path)
    assert done.status == 2
    assert done.out == ""
    assert_one_sentence(done)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_error_as_json(tmp_path: Path, eml: Path) -> None:
    done = unmbox_("convert", tmp_path / "gone.mbox", eml, "--json")
    assert done.status == 2
    assert done.json == {"error": done.err.removeprefix("unmbox: ").rstrip(), "status": 2}


def test_no_command_shows_the_help_as_bad_use() -> None:
    done = unmbox_()
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage: unmbox")


def in_process(script: str, *arguments: str | Path, **more: Any) -> Done:
    """Run `script`, which does something to the command and then calls it."""
    done = subprocess.run(
        [PYTHON, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **{"env": PLAIN, **more},
    )
    return Done(done.returncode, done.stdout, done.stderr)


FAULT = """
import sys, unmbox._inspect
from unmbox.cli import main
def broken(*_, **__): raise {error}
unmbox._inspect.inspect = broken
sys.exit(main())
"""


def test_a_fault_of_our_own_is_a_sentence_too(mailbox: Path) -> None:
    done = in_process(FAULT.format(error="KeyError('x')"), "inspect", mailbox)
    assert done.status == 3
    assert_one_sentence(done)
    assert "KeyError" in done.err
    assert "--debug" in done.err


def test_an_error_of_the_system_is_a_sentence_too(mailbox: Path) -> None:
    done = in_process(FAULT.format(error="PermissionError(13, 'Permission denied', 'x')"), "inspect", mailbox)
    assert done.status == 3
    assert "Permission denied" in done.err
    assert "Traceback" not in done.err


def test_debug_shows_where(mailbox: Path) -> None:
    done = in_process(FAULT.format(error="KeyError('x')"), "inspect", mailbox, "--debug")
    assert done.status == 3
    assert "Traceback" in done.err
    assert "in broken" in done.err


def test_without_click_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['click'] = None; from unmbox.__main__ import main; sys.exit(main())"
    done = in_process(script, "--help")
    assert (done.status, done.out) == (2, "")
    assert_one_sentence(done)
    assert 'pip install "unmbox[cli]"' in done.err
    done = in_process(script, "inspect", SAMPLE, "--json")
    assert (done.status, done.err) == (2, f"unmbox: {done.json['error']}\n")


def test_another_missing_module_is_not_blamed_on_the_extra() -> None:
    script = "import sys; sys.modules['json'] = None; from unmbox.__main__ import main; sys.exit(main())"
    done = in_process(script, "--help")
    assert "ModuleNotFoundError" in done.err


# -- output: pipes, encodings, strangers' words ----------------------------------------------------------


@pytest.mark.parametrize("arguments", [["inspect", SAMPLE], ["inspect", SAMPLE, "--json"], ["--help"]])
def test_nobody_reads_standard_output_any_more(arguments: list[str | Path]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [PYTHON, "-m", "unmbox", *map(str, arguments)],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            env=PLAIN,
        )
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode in {0, 1}


def test_a_conversion_is_done_even_if_nobody_reads_of_it(mailbox: Path, eml: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        subprocess.run(
            [PYTHON, "-m", "unmbox", "convert", mailbox, eml], stdout=writer, check=True, env=PLAIN
        )
    finally:
        os.close(writer)
    assert len(emls(eml)) == 3


def test_standard_output_cannot_be_written(mailbox: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            [PYTHON, "-m", "unmbox", "inspect", mailbox],
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            env=UNMEASURED,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr.decode()


def test_a_terminal_that_knows_only_ascii() -> None:
    done = unmbox_("inspect", SAMPLE, env={**PLAIN, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.status == 0
    assert "\\u53d7\\u4fe1\\u30c8\\u30ec\\u30a4" in done.out


def test_strangers_words_do_not_drive_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(
        MESSAGE.replace(b"Inbox", b"\x1b[2Jlabel")
        .replace(b"Subject: Hello", b"Subject: =?utf-8?Q?=1B=5D0=3Bsubject=07?=")
        .replace(b"Hello.", b"From \x1b[31mhere\x9b on")
    )
    done = unmbox_("inspect", path)
    assert "label" in done.out
    assert "subject" in done.out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.out)


# -- signals ---------------------------------------------------------------------------------------------


# More than a batch, and more than the 1 MiB after which the variant is decided.
HALF = mails(1_200) + b"line\n" * 500_000


def half_way(eml: Path, **more: Any) -> subprocess.Popen[bytes]:
    """A conversion that has written a batch and waits for the rest of a message."""
    process = subprocess.Popen(
        [PYTHON, "-m", "unmbox", "convert", "-", eml],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=PLAIN,
        **more,
    )
    assert process.stdin is not None
    process.stdin.write(HALF)
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while len(emls(eml)) < 1_000:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_it_and_leaves_nothing_unfinished(
    number: signal.Signals, status: int, eml: Path
) -> None:
    process = half_way(eml)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    done = Done(process.returncode, out.decode(), err.decode())
    assert (done.status, done.out) == (status, "")
    assert_one_sentence(done)
    assert number.name in done.err
    assert len(everything(eml)) == len(emls(eml))
    assert {path.read_bytes()[-8:] for path in emls(eml)} == {b"Hello.\r\n"}
    again = unmbox_("convert", "-", eml, "--json", stdin=HALF)
    assert (again.status, again.json["written"] + again.json["already"]) == (0, 1_200)
    assert unmbox_("verify", eml).status == 0


def test_a_dry_run_that_is_stopped_does_not_speak_of_what_is_written(eml: Path) -> None:
    process = subprocess.Popen(
        [PYTHON, "-m", "unmbox", "convert", "--dry-run", "-", eml],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=PLAIN,
    )
    assert process.stdin is not None
    process.stdin.write(HALF)  # more than a pipe holds: by its end the command is at work
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"unmbox: stopped by SIGINT\n")


def test_a_signal_that_the_parent_ignores_is_ignored(eml: Path) -> None:
    process = half_way(eml, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert len(emls(eml)) == 1_200


# -- what a person at a terminal sees --------------------------------------------------------------------


def on_terminal(
    arguments: list[str | Path], feed: list[bytes], *, columns: int = 100, **env: str
) -> tuple[int, str]:
    """Run the command with standard error a terminal, the source in pieces; its status and what it drew."""
    import fcntl
    import struct
    import termios

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [PYTHON, "-m", "unmbox", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=child,
        env={**PLAIN, "TERM": "xterm-256color", **env},
    )
    os.close(child)
    drawn = bytearray()

    def look() -> None:
        # A terminal says by an error that its last user is gone.
        with contextlib.suppress(OSError):
            while piece := os.read(parent, 1 << 16):
                drawn.extend(piece)

    watcher = threading.Thread(target=look)
    watcher.start()
    assert process.stdin is not None
    for piece in feed:
        process.stdin.write(piece)
        process.stdin.flush()
        time.sleep(0.05)
    process.stdin.close()
    status = process.wait(timeout=30)
    watcher.join(timeout=30)
    os.close(parent)
    return status, drawn.decode()


PIECES = [MESSAGE * 2_000] * 12


def test_a_bar_on_a_terminal(eml: Path) -> None:
    started = time.monotonic()
    status, drawn = on_terminal(["inspect", "-"], PIECES)
    seconds = time.monotonic() - started
    assert status == 0
    assert re.search(r"[\d,]+ messages", drawn)
    assert "MB/s" in drawn or "kB/s" in drawn
    assert "stdin" in drawn
    assert drawn.count(" messages") <= seconds * 10 + 4, "drawn more than ten times a second"
    assert drawn.rstrip().endswith("\x1b[?25h\r\x1b[1A\x1b[2K") or "\x1b[?25h" in drawn, (
        "the cursor is shown again"
    )


def test_the_bar_knows_the_time_left_of_a_file(tmp_path: Path, eml: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(MESSAGE * 1_000)
    status, drawn = on_terminal(["convert", path, eml], [])
    assert status == 0
    assert "1,000 messages" in drawn
    assert "mail.mbox" in drawn
    assert "0:00" in drawn or "00:00" in drawn


def test_a_name_of_several_lines_adds_no_line_to_the_bar(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.mbox"
    path.write_bytes(MESSAGE * 1_000)
    status, drawn = on_terminal(["inspect", path], [])
    assert status == 0
    assert r"two\nlines" in drawn
    # Up to the bar and away with it: one line up for each time, where two lines would take two.
    assert "\x1b[1A\x1b[2K\x1b[1A" not in drawn


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_narrow_terminal_is_not_overrun(columns: int) -> None:
    status, drawn = on_terminal(["inspect", "-"], PIECES[:4], columns=columns)
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert text.strip()
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= columns


def test_a_dumb_terminal_gets_no_bar() -> None:
    assert on_terminal(["inspect", "-"], PIECES[:2], TERM="dumb") == (0, "")


def test_no_colour_where_none_is_wanted() -> None:
    status, drawn = on_terminal(["inspect", "-"], PIECES[:4], NO_COLOR="1")
    assert status == 0
    assert "messages" in drawn
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", drawn)


def test_quiet_on_a_terminal_too(eml: Path) -> None:
    assert on_terminal(["convert", "-", eml, "--quiet"], PIECES[:2]) == (0, "")


def test_an_error_under_the_bar_stands_on_a_line_of_its_own(eml: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"no mail\n")
    status, drawn = on_terminal(["convert", tmp_path / "notes.txt", eml], [])
    assert status == 2
    assert re.search(r"(^|[\nK])unmbox: .*notes\.txt is no mbox", drawn)


def test_without_rich_there_is_no_bar(eml: Path) -> None:
    script = "import sys; sys.modules['rich'] = None; from unmbox.cli import main; sys.exit(main())"
    parent, child = pty.openpty()
    done = subprocess.run(
        [PYTHON, "-c", script, "inspect", SAMPLE],
        stderr=child,
        stdout=subprocess.PIPE,
        check=False,
        env=PLAIN,
    )
    os.close(child)
    os.close(parent)
    assert done.returncode == 0
    assert done.stdout.startswith(b"12 messages")


def test_a_terminal_as_standard_input_is_asked_nothing(eml: Path) -> None:
    parent, child = pty.openpty()
    done = subprocess.run(
        [PYTHON, "-m", "unmbox", "convert", "-", eml],
        stdin=child,
        capture_output=True,
        text=True,
        check=False,
        env=PLAIN,
    )
    os.close(child)
    os.close(parent)
    assert done.returncode == 2
    assert "pipe a mailbox" in done.stderr


# -- help ------------------------------------------------------------------------------------------------


def test_version() -> None:
    assert unmbox_("--version") == (0, f"unmbox {unmbox.__version__}\n", "")


@pytest.mark.parametrize("name", ["convert", "inspect"])
def test_help_has_examples(name: str) -> None:
    done = unmbox_(name, "--help")
    assert (done.status, done.err) == (0, "")
    assert f"unmbox {name}" in done.out.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["convrt", "a", "b"], "Did you mean 'convert'?"),
        (["inspekt"], "Did you mean 'inspect'?"),
        (["xyz"], "There are convert, inspect, verify"),
        (["convert", "--heders", "repair", "a", "b"], "--headers"),
        (["inspect", "--jsn", "a"], "--json"),
    ],
)
def test_what_is_mistyped_is_guessed(arguments: list[str], meant: str) -> None:
    done = unmbox_(*arguments)
    assert (done.status, done.out) == (2, "")
    assert_one_sentence(done)
    assert meant in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_each_shell(shell: str) -> None:
    done = unmbox_("completion", shell)
    assert done.status == 0
    assert f"_UNMBOX_COMPLETE={shell}_complete" in done.out
    assert unmbox_("completion", "csh").status == 2
    none = unmbox_("completion")
    assert none.status == 2
    assert "Choose from: bash, zsh, fish (" in none.err


def test_what_is_completed() -> None:
    def offered(words: str) -> set[str]:
        env = {
            **PLAIN,
            "_UNMBOX_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        done = unmbox_(env=env)
        assert done.err == ""
        return {line.partition(",")[2] for line in done.out.splitlines()}

    assert offered("unmbox con") == {"convert", "contacts"}
    assert {"--headers", "--dry-run", "--json"} <= offered("unmbox convert --")
    assert offered("unmbox convert --newline ") == {"crlf", "lf"}
    assert offered("unmbox convrt --") <= {"--help", "--version"}


def test_a_shell_shows_what_a_command_does() -> None:
    env = {**PLAIN, "_UNMBOX_COMPLETE": "zsh_complete", "COMP_WORDS": "unmbox ver", "COMP_CWORD": "1"}
    assert unmbox_(env=env).out.splitlines() == ["plain", "verify", _COMMANDS["verify"]]


def test_every_command_has_help_with_examples_and_debug() -> None:
    for name in _COMMANDS:
        done = unmbox_(name, "--help")
        assert done.status == 0
        assert f"unmbox {name}" in done.out.partition("Examples:")[2], name
        assert "--debug" in done.out, name


def test_help_names_every_field_of_a_layout() -> None:
    text = unmbox_("convert", "--help").out
    from unmbox.naming import Layout

    fields = set(re.findall(r"\{(\w+)\}", text))
    assert Layout("_".join(f"{{{field}}}" for field in sorted(fields))).fields == fields
    with pytest.raises(unmbox.UsageError) as told:
        Layout("{nothing}{hash}")
    assert set(re.findall(r"\{(\w+)\}", str(told.value))) - {"nothing"} <= fields


def test_help_does_not_load_what_draws_the_bar() -> None:
    script = """
import sys, unmbox.cli as cli
cli.main(["--help"])
loaded = {"rich", "chardet", "sqlite3", "email"} & set(sys.modules)
sys.exit(f"loaded: {loaded}" if loaded else 0)
"""
    assert in_process(script, env=UNMEASURED) == (0, unmbox_("--help").out, "")


# -- odd words and odd places ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["convert --json", "inspect --json", "profiles --json", "convert"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_standard_output(command: str, mailbox: Path, eml: Path) -> None:
    name, *options = command.split()
    arguments = {"convert": [mailbox, eml], "inspect": [mailbox], "profiles": []}[name]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PYTHON, "-m", "unmbox", name, *options, *arguments],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env=PLAIN,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr


def test_a_closed_standard_output(mailbox: Path) -> None:
    command = f"exec {PYTHON} -m unmbox contacts {mailbox} >&-"
    done = subprocess.run(
        ["sh", "-c", command], check=False, capture_output=True, env=PLAIN, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "fault" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "BOX", b"o\xffx.zip"],
        ["convert", "--include", b"a\xff", "BOX", "out"],
        ["convert", "--locale", b"\xff", "BOX", "out"],
        ["contacts", "--company", b"A\xff", "BOX"],
        ["contacts", "--exclude", b"\xff", "BOX"],
    ],
)
def test_words_that_are_no_utf8(arguments: list[str | bytes], mailbox: Path, tmp_path: Path) -> None:
    given = [mailbox.name if each == "BOX" else each for each in arguments]
    done = subprocess.run(
        [PYTHON, "-m", "unmbox", *given],
        check=False,
        capture_output=True,
        env=PLAIN,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"is no UTF-8" in done.stderr
    assert os.listdir(tmp_path) == [mailbox.name]  # noqa: PTH208


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "n" * 300, "out"],
        ["convert", "BOX", "n" * 300 + ".zip"],
        ["convert", "BOX", "n" * 300],
        ["verify", "n" * 300],
        ["report", "n" * 300],
    ],
)
def test_names_that_are_too_long(arguments: list[str], mailbox: Path, tmp_path: Path) -> None:
    done = unmbox_(*(mailbox.name if each == "BOX" else each for each in arguments), cwd=tmp_path)
    assert done.status == 2
    assert_one_sentence(done)


@pytest.mark.parametrize(
    "text", ["20191231", "2020-W01", "2020-W01-1", "2019-12", "2019-12-31T", "31.12.2019"]
)
def test_what_is_no_day(text: str, mailbox: Path, eml: Path) -> None:
    done = unmbox_("convert", mailbox, eml, "--until", text)
    assert done.status == 2
    assert "write it as 2019-12-31" in done.err
    assert not eml.exists()


def test_contacts_of_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a.mbox": mails(3)})[:20])
    assert unmbox_("contacts", path).status == unmbox_("inspect", path).status == 2


def test_profiles_as_json_whatever_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "mine", "title": "caf\u00e9 \x85 \U000e0001", "checks": {"size": 9}}))
    done = unmbox_("profiles", "--json", path, env={**PLAIN, "PYTHONIOENCODING": "ascii"})
    assert done.json[0]["title"] == "caf\u00e9 \x85 \U000e0001"


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_only_a_conversion_goes_on(command: str, tmp_path: Path, eml: Path) -> None:
    fifo = tmp_path / "fifo.mbox"
    os.mkfifo(fifo)
    arguments = [fifo, eml] if command == "convert" else [fifo]
    process = subprocess.Popen(
        [PYTHON, "-m", "unmbox", command, *arguments], stderr=subprocess.PIPE, env=PLAIN, text=True
    )
    deadline = time.monotonic() + 60
    writer = -1
    while writer < 0:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        with suppress(OSError):  # it has not begun to read
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.02)
    try:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        os.close(writer)
    assert process.returncode == 143
    assert ("the same command again goes on" in said) == (command == "convert")


@pytest.mark.parametrize("arguments", ["--help", "convert --help", "profiles"])
def test_a_reader_that_has_seen_enough(arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PYTHON, "-m", "unmbox", *arguments.split()],
        check=False,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=PLAIN,
        timeout=60,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_inspect_counts_copies_as_convert_does(newline: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    one = MESSAGE.rstrip(b"\n") + b"\n\n"
    path.write_bytes((one + one.replace(b"Hello.\n", b"Hello.\n\n\n")).replace(b"\n", newline))
    found = unmbox_("inspect", "--deep", "--json", path).json
    report = unmbox.convert(path, tmp_path / "eml")
    assert (found["duplicates"], found["collisions"]) == (report.duplicates, report.collisions) == (1, 0)


def test_inspect_knows_the_sender_that_convert_records(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(MESSAGE.replace(b"From: a@", b"From:\nFrom: real@"))
    [sender] = unmbox_("inspect", "--json", path).json["senders"]
    assert "real@example.org" in json.dumps(sender)
