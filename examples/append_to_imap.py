"""Appends the EMLs of a folder that unmbox wrote to an IMAP account, octet for octet.

    python append_to_imap.py eml/ --host imap.example.com --user me@example.com

A mailbox for each folder (convert with `--labels primary` to have a folder for each label), the date of each
message as its INTERNALDATE, and its flags: read, starred, answered, draft. The same command again goes on
where it stopped; no message is appended twice. The password is read from the environment: IMAP_PASSWORD.
"""

from __future__ import annotations

import argparse
import base64
import imaplib
import json
import os
import re
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

FLAGS = {
    "read": "\\Seen",
    "flagged": "\\Flagged",
    "answered": "\\Answered",
    "draft": "\\Draft",
    "forwarded": "$Forwarded",
}
QUERY = "SELECT id, path, date, state, message_id FROM message WHERE outcome = 'written' ORDER BY id"


class Mail(NamedTuple):
    """A row of the manifest."""

    id: int
    path: str
    date: str | None
    state: str
    message_id: str | None

    @property
    def flags(self) -> str:
        """Its IMAP flags."""
        state = json.loads(self.state)
        return f"({' '.join(flag for key, flag in FLAGS.items() if state.get(key))})"

    @property
    def internal_date(self) -> str | None:
        """Its date as IMAP writes it; None, which makes it today, where it has none."""
        return imaplib.Time2Internaldate(datetime.fromisoformat(self.date)) if self.date else None


class Account:
    """An IMAP account, and the note of what is in it already."""

    def __init__(self, server: imaplib.IMAP4, note: sqlite3.Connection, prefix: str) -> None:
        self._server = server
        self._note = note
        self._prefix = prefix
        self._made = {"INBOX"}
        note.execute(
            "CREATE TABLE IF NOT EXISTS appended (message INTEGER PRIMARY KEY, mailbox TEXT, whole INT)"
        )
        answer = _asked(server.list('""', '""'))
        match = re.search(rb'\) (?:"(\\?.)"|NIL) ', answer[0] or b"")
        self._separator = (match[1] or b"").decode().lstrip("\\") if match else "/"

    def mailbox_of(self, path: str) -> str:
        """The name of the mailbox for an EML at this path below the folder."""
        parts = [part for part in (*self._prefix.split("/"), *path.split("/")[:-1]) if part]
        if [part.upper() for part in parts[:1]] == ["INBOX"]:
            parts[0] = "INBOX"
        # What the server separates with cannot stand in a name.
        parts = [part.replace(self._separator, "_") if self._separator else part for part in parts]
        return (self._separator or "_").join(parts) or "INBOX"

    def append(self, mail: Mail, octets: bytes) -> bool:
        """Append a message unless it is there; say whether that was needed."""
        row = self._note.execute(
            "SELECT mailbox, whole FROM appended WHERE message = ?", (mail.id,)
        ).fetchone()
        if row and (row[1] or self._holds(row[0], mail, octets)):
            self._note.execute("UPDATE appended SET whole = 1 WHERE message = ?", (mail.id,))
            return False
        mailbox = self.mailbox_of(mail.path)
        name = _quoted(mailbox)
        if mailbox not in self._made:
            self._server.create(name)  # it may be there already
            self._server.subscribe(name)
            self._made.add(mailbox)
        self._note.execute("REPLACE INTO appended VALUES (?, ?, 0)", (mail.id, mailbox))
        self._note.commit()  # with what came of the message before: a commit waits for the disk
        # `append` would make every lone CR a line end; the literal goes out as it is.
        self._server.literal = octets  # type: ignore[assignment]  # typeshed knows another version
        words = [word for word in (name, mail.flags, mail.internal_date) if word]
        _asked(self._server._simple_command("APPEND", *words))  # noqa: SLF001  # there is no public way
        self._note.execute("UPDATE appended SET whole = 1 WHERE message = ?", (mail.id,))
        return True

    def _holds(self, mailbox: str, mail: Mail, octets: bytes) -> bool:
        """Whether a message, of which we do not know if the server took it, is in its mailbox."""
        if self._server.select(_quoted(mailbox), readonly=True)[0] != "OK":
            return False
        wanted = ("HEADER", "Message-ID", _quoted(mail.message_id)) if mail.message_id else ("ALL",)
        found = _asked(self._server.search(None, *wanted))[0]
        for number in (found or b"").split():
            for part in _asked(self._server.fetch(number.decode(), "(BODY.PEEK[])")):
                if isinstance(part, tuple) and part[1] == octets:
                    return True
        return False


def _asked(answer: tuple[str, Any]) -> list[Any]:
    """What the server answered, if it was not "no"."""
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(b" ".join(filter(None, data)).decode(errors="replace"))
    return list(data)


def _quoted(name: str) -> str:
    """A name as IMAP has it: modified UTF-7 (RFC 3501 §5.1.3), in quotes."""

    def encoded(match: re.Match[str]) -> str:
        text = base64.b64encode(match[0].encode("utf-16-be")).decode()
        return f"&{text.rstrip('=').replace('/', ',')}-"

    text = re.sub(r"[^\x20-\x7e]+", encoded, name.replace("&", "&-"))
    return '"{}"'.format(re.sub(r'(["\\])', r"\\\1", text))


def mails(folder: Path) -> Iterator[Mail]:
    """What the manifest says was written, in its order."""
    manifest = f"{(folder / 'unmbox-manifest.sqlite').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(manifest, uri=True)) as record:
        for row in record.execute(QUERY):
            yield Mail(*row)


def append_all(arguments: argparse.Namespace) -> int:
    """Append what is not there yet; return how many messages the server would not take."""
    kind = imaplib.IMAP4 if arguments.tls == "never" else imaplib.IMAP4_SSL
    with (
        closing(sqlite3.connect(arguments.folder / "appended.sqlite")) as note,
        kind(arguments.host, arguments.port or (143 if arguments.tls == "never" else 993)) as server,
    ):
        # imaplib sends a message's end by itself: without this each waits for the answer to the rest.
        server.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.login(arguments.user, os.environ["IMAP_PASSWORD"])
        account = Account(server, note, arguments.into)
        appended = refused = 0
        for mail in mails(arguments.folder):
            octets = (arguments.folder / mail.path).read_bytes()
            if b"\0" in octets:  # RFC 3501 §4.3: a literal has none
                print(f"{mail.path}: left out, it holds a NUL, which IMAP cannot carry", file=sys.stderr)
                refused += 1
                continue
            try:
                appended += account.append(mail, octets)
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as error:
                print(f"{mail.path}: refused, {error}", file=sys.stderr)
                refused += 1
        note.commit()
        print(f"{appended} appended, {refused} refused")
        return refused


def main() -> int:
    """Read the arguments and append."""
    parser = argparse.ArgumentParser(description="Append EMLs that unmbox wrote to an IMAP account.")
    parser.add_argument("folder", type=Path, help="where `unmbox convert` wrote them")
    parser.add_argument("--host", required=True, help="the IMAP server")
    parser.add_argument("--port", type=int)
    parser.add_argument("--user", required=True, help="to log in; the password is IMAP_PASSWORD")
    parser.add_argument("--tls", choices=("always", "never"), default="always")
    parser.add_argument("--into", default="", metavar="MAILBOX", help="a mailbox to put all mailboxes under")
    arguments = parser.parse_args()
    if "IMAP_PASSWORD" not in os.environ:
        parser.error("say the password in the environment variable IMAP_PASSWORD")
    try:
        return 1 if append_all(arguments) else 0
    except (imaplib.IMAP4.error, OSError, sqlite3.Error) as error:
        print(f"stopped: {error}; the same command again goes on", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
