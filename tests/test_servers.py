"""The scripts in examples/, against real servers on loopback: mail goes on as it is, once, and resumes."""

from __future__ import annotations

import getpass
import grp
import imaplib
import os
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

import unmbox
from unmbox.sources import SourceLike

PROJECT = Path(__file__).parents[1]
SAMPLE = PROJECT / "examples" / "sample-takeout.mbox"


def run(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "utf8", PROJECT / "examples" / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
        check=False,
    )


CASES = (
    "From 1@xxx Tue Mar 19 09:13:51 +0000 2019\n"
    "From: =?utf-8?B?5bGx55Sw?= <customer@example.org>\nTo: support@example.com\nSubject: Help\n"
    "Date: Tue, 19 Mar 2019 09:13:51 +0000\nMessage-ID: <1@example.org>\n\nIt is broken.\n.\n..two dots\n\n"
    "From 2@xxx Tue Mar 19 08:13:51 +0000 2019\n"
    "From: out@example.org\nTo: support@example.com\nSubject: Away\nAuto-Submitted: auto-replied\n"
    "Date: Tue, 19 Mar 2019 08:13:51 +0000\nMessage-ID: <2@example.org>\n\nI am away.\n\n"
    "From 3@xxx Tue Mar 19 07:13:51 +0000 2019\n"
    "From: customer@example.org\nTo: support@example.com\nSubject: Re: Help\n"
    "Date: Tue, 19 Mar 2019 18:13:51 +0900\nMessage-ID: <3@example.org>\nIn-Reply-To: <1@example.org>\n"
    "References: <0@example.org>\n <1@example.org>\nContent-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: 8bit\n\nまだ壊れています。\n\n"
).encode()


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Support mail, converted."""
    unmbox.convert([[CASES]], tmp_path / "support")
    return tmp_path / "support"


class Desk:
    """What takes the mail in; the first `busy` times it is too busy to."""

    def __init__(self, busy: int = 0) -> None:
        self.taken: list[bytes] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self.busy = busy

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if b"Subject: Re" in envelope.content and self.busy:
            self.busy -= 1
            return "451 later"
        self.taken.append(envelope.content)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 taken"


@pytest.fixture
def desk() -> Iterator[tuple[Desk, int]]:
    """A real SMTP server on loopback, and its port."""
    handler = Desk()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


def send(folder: Path, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    where = ("--host", "127.0.0.1", "--port", str(port), "--tls", "never")
    return run("send_on.py", folder, "--to", "desk@example.net", "--sender", "me@example.com", *where, *more)


def test_mail_is_sent_on_as_it_is_and_once(cases: Path, desk: tuple[Desk, int]) -> None:
    handler, port = desk
    done = send(cases, port)
    assert (done.returncode, done.stdout) == (0, "2 sent to desk@example.net, 0 refused\n"), done.stderr
    written = {path.read_bytes() for path in cases.rglob("*.eml")}
    assert set(handler.taken) < written
    first, second = (message_from_bytes(octets) for octets in handler.taken)
    assert first["Message-ID"] == "<1@example.org>"
    assert first["From"] == "=?utf-8?B?5bGx55Sw?= <customer@example.org>"
    assert second["In-Reply-To"] == "<1@example.org>"
    assert second["References"].split() == ["<0@example.org>", "<1@example.org>"]
    assert handler.envelopes == [("me@example.com", ["desk@example.net"])] * 2
    assert send(cases, port).stdout == "0 sent to desk@example.net, 0 refused\n"
    assert send(cases, port, "--auto").stdout == "1 sent to desk@example.net, 0 refused\n"
    assert set(handler.taken) == written


def test_sending_goes_on_where_it_stopped(cases: Path, desk: tuple[Desk, int]) -> None:
    handler, port = desk
    handler.busy = 1
    done = send(cases, port)
    assert done.returncode == 3
    assert "the same command again" in done.stderr
    assert send(cases, port).returncode == 0
    assert [message_from_bytes(octets)["Message-ID"] for octets in handler.taken] == [
        "<1@example.org>",
        "<3@example.org>",
    ]


def test_no_server_is_told_without_a_traceback(cases: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = send(cases, taken.getsockname()[1])
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["From", "Message-ID", "In-Reply-To", "References"])
def test_what_threads_a_case_is_unchanged(cases: Path, name: str) -> None:
    field = re.compile(rb"^%s:[^\n]*(?:\n[ \t][^\n]*)*" % name.encode(), re.MULTILINE)
    emls = b"\n".join(path.read_bytes() for path in sorted(cases.rglob("*.eml")))
    assert sorted(field.findall(emls.replace(b"\r\n", b"\n"))) == sorted(field.findall(CASES))


@pytest.mark.parametrize(
    ("field", "chosen"),
    [
        ("Delivered-To: support@example.com", True),
        ("X-Original-To: Support@EXAMPLE.com", True),
        ("To: Help desk <support@example.com>, a@example.org", True),
        ("To: a@example.org\nCc: b@example.org,\n =?utf-8?B?5bGx?= <support@example.com>", True),
        ("To: a@example.org\nTo: support@example.com", True),
        ("To: support@example.com.example.org", False),
        ("To: no-support@example.com", False),
        ('To: "support@example.com" <a@example.org>', False),
        ("Subject: support@example.com", False),
        ("Reply-To: support@example.com", False),
    ],
)
def test_support_mail_is_chosen_by_where_it_was_delivered(tmp_path: Path, field: str, chosen: bool) -> None:
    octets = f"From 1@xxx Tue Mar 19 09:13:51 +0000 2019\nFrom: c@example.org\n{field}\n\nHelp.\n".encode()
    report = unmbox.convert([[octets]], tmp_path, include="to:support@example.com")
    assert (report.written, report.filtered) == ((1, 0) if chosen else (0, 1))


# -- IMAP --------------------------------------------------------------------------------------------------


DOVECOT = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_fsync = never
mail_location = maildir:{folder}/mail
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
"""


@pytest.fixture(scope="module")
def dovecot() -> Iterator[int]:
    """A private Dovecot on loopback with an empty account, run by whoever runs the tests; its port."""
    if DOVECOT is None:
        pytest.skip("dovecot is not installed (Debian and Ubuntu: dovecot-imapd)")
    version = subprocess.run([DOVECOT, "--version"], capture_output=True, text=True, check=True).stdout
    if not version.startswith("2.3."):
        pytest.skip(f"this test writes a configuration for Dovecot 2.3, not {version.split()[0]}")
    # Not below pytest's own folder: nobody else may enter that, and no mail is given to root.
    with tempfile.TemporaryDirectory(prefix="unmbox-dovecot-") as name, socket.socket() as free:
        folder = Path(name)
        user = getpass.getuser() if os.getuid() else "nobody"
        entry = pwd.getpwnam(user)
        group = grp.getgrgid(entry.pw_gid).gr_name
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        values = {"user": user, "group": group, "uid": entry.pw_uid, "gid": entry.pw_gid}
        (folder / "dovecot.conf").write_text(CONFIG.format(folder=folder, port=port, **values))
        if not os.getuid():
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        server = subprocess.Popen([DOVECOT, "-F", "-c", folder / "dovecot.conf"], stderr=subprocess.PIPE)
        try:
            _wait_for(port, server, folder / "log")
            yield port
        finally:
            server.terminate()
            server.communicate(timeout=20)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    said = log.read_text() if log.exists() else ""
    raise AssertionError(f"dovecot does not start: {said}")


def append(folder: Path, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    where = ("--host", "127.0.0.1", "--port", str(port), "--tls", "never", "--user", "me")
    return run("append_to_imap.py", folder, *where, *more, IMAP_PASSWORD="secret")


def mailboxes(port: int, below: str) -> dict[str, list[tuple[str, bytes]]]:
    """What is in the account: by mailbox, what IMAP says of each message, and its octets."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    with imaplib.IMAP4("127.0.0.1", port) as server:
        server.login("me", "secret")
        for line in server.list('""', f'"{below}*"')[1]:
            assert isinstance(line, bytes)
            name = line.decode().partition(' "." ')[2]
            if b"\\Noselect" in line or server.select(name, readonly=True)[1] == [b"0"]:
                continue
            answer = server.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
            found[name.strip('"')] = [
                (part[0].decode(), part[1]) for part in answer if isinstance(part, tuple)
            ]
    return found


def test_every_eml_comes_back_octet_for_octet(dovecot: int, tmp_path: Path) -> None:
    strange = (
        b"From x@y Tue Mar 19 09:13:51 2019\nFrom: a@example.org\nSubject: \xe5\xb1\xb1\n"
        b"X-Gmail-Labels: Starred,Opened\n\nlone\rCR\n.\nlong " + b"x" * 5_000 + b"\n\n"
    )
    folder = tmp_path / "eml"
    sources: list[SourceLike] = [SAMPLE, [CASES], [strange]]
    unmbox.convert(sources, folder)
    done = append(folder, dovecot, "--into", "All")
    assert done.returncode == 0, done.stderr
    found = [octets for mails in mailboxes(dovecot, "All").values() for _, octets in mails]
    assert sorted(found) == sorted(path.read_bytes() for path in folder.rglob("*.eml"))
    assert len(found) > 10


def test_folders_dates_and_flags(dovecot: int, tmp_path: Path) -> None:
    labels = ("Work.x/日本 & 語,Opened", "ゴミ箱,Opened,スター付き", "受信トレイ,未読")
    octets = CASES
    for number, label in enumerate(labels, 1):
        from_line = b"From %d@xxx" % number
        start = octets.index(b"\n", octets.index(from_line)) + 1
        octets = octets[:start] + f"X-Gmail-Labels: {label}\n".encode() + octets[start:]
    unmbox.convert([[octets]], tmp_path / "eml", labels="primary")
    assert append(tmp_path / "eml", dovecot, "--into", "Old").stdout == "3 appended, 0 refused\n"
    found = {name: mails for name, mails in mailboxes(dovecot, "Old").items() if mails}
    assert found.keys() == {"Old.Work_x.&ZeVnLA- &- &ip4-", "Old.Trash", "Old.Inbox"}
    said = found["Old.Trash"][0][0]
    assert "\\Seen" in said
    assert "\\Flagged" in said
    assert "19-Mar-2019" in said
    assert "\\Seen" not in found["Old.Inbox"][0][0]


def test_appending_goes_on_where_it_stopped(dovecot: int, cases: Path) -> None:
    assert append(cases, dovecot, "--into", "Again").stdout == "3 appended, 0 refused\n"
    assert append(cases, dovecot, "--into", "Again").stdout == "0 appended, 0 refused\n"
    # As if it had been killed between the server's answer and the note, and before the next one.
    with closing(sqlite3.connect(cases / "appended.sqlite")) as note, note:
        note.execute("UPDATE appended SET whole = 0 WHERE message = 2")
        note.execute("DELETE FROM appended WHERE message = 3")
    with imaplib.IMAP4("127.0.0.1", dovecot) as server:
        server.login("me", "secret")
        for mailbox in mailboxes(dovecot, "Again"):
            server.select(f'"{mailbox}"')
            for number in server.search(None, "HEADER", "Message-ID", "<3@example.org>")[1][0].split():
                server.store(number.decode(), "+FLAGS", "\\Deleted")
                server.expunge()
    assert append(cases, dovecot, "--into", "Again").stdout == "1 appended, 0 refused\n"
    assert sum(map(len, mailboxes(dovecot, "Again").values())) == 3


def test_imap_says_what_is_missing(cases: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = append(cases, taken.getsockname()[1])
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_real_mail_goes_into_imap_and_comes_back(dovecot: int, corpus: Path, tmp_path: Path) -> None:
    mboxes = sorted(path for path in (corpus / "mbox").rglob("*.mbox") if path.is_file())
    folder = tmp_path / "eml"
    report = unmbox.convert(mboxes, folder, layout="{date}_{hash}")
    done = append(folder, dovecot, "--into", "Real")
    written = [path.read_bytes() for path in folder.glob("*.eml")]
    carried = [octets for octets in written if b"\0" not in octets]
    assert len(written) == report.written > 500
    assert done.stdout == f"{len(carried)} appended, {len(written) - len(carried)} refused\n", done.stderr
    assert sorted(octets for _, octets in mailboxes(dovecot, "Real")["Real"]) == sorted(carried)
