"""Small mailboxes with known messages, and all that a conversion leaves behind, ready to be compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import ledger
from unmbox import Report
from unmbox.manifest import MANIFEST_NAME

FROM_LINE = "From {}@xxx Tue Mar 19 09:13:{:02} +0000 2019"


def mail(number: int, body: str = "", *fields: str, id: str | None = "", date: str | None = "") -> str:  # noqa: A002
    """A message's header block and body. Without `id` and `date` it has its own; None leaves them out."""
    lines = [f"From: a{number}@example.org", "To: b@example.org", f"Subject: Mail {number}"]
    if date is not None:
        lines.append(f"Date: {date or f'Tue, 19 Mar 2019 18:13:{number % 60:02} +0900'}")
    if id is not None:
        lines.append(f"Message-ID: {id or f'<{number}@example.org>'}")
    return "\n".join([*lines, *fields, "", body or f"This is mail {number}."]) + "\n"


def mailbox(mails: Iterable[str], newline: str = "\n", *, seconds: int = 0) -> bytes:
    """The octets of a mailbox. `seconds` is added to the From_ lines' dates."""
    text = "".join(
        f"{FROM_LINE.format(number, (number + seconds) % 60)}\n{each}\n" for number, each in enumerate(mails)
    )
    return text.replace("\n", newline).encode("utf-8", "surrogateescape")


class Left(NamedTuple):
    """What stands in a destination: folders, files (octets and mtime), and the manifest's tables."""

    folders: list[str]
    files: dict[str, tuple[bytes, int]]
    rows: dict[str, list[tuple[Any, ...]]]


def left(destination: Path) -> Left:
    """All that is there. The files of SQLite are told by the tables."""
    files = {
        path.relative_to(destination).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(destination.rglob("*"))
        if path.is_file() and not path.name.startswith(MANIFEST_NAME)
    }
    folders = sorted(path.relative_to(destination).as_posix() for path in destination.rglob("*/"))
    return Left(folders, files, ledger.rows(destination))


def emls(destination: Path) -> dict[str, bytes]:
    """The EMLs below a folder and their octets."""
    return {
        path.relative_to(destination).as_posix(): path.read_bytes() for path in destination.rglob("*.eml")
    }


def adds_up(report: Report) -> bool:
    """Whether every message has one outcome."""
    outcomes = report.written + report.duplicates + report.filtered + report.quarantined
    return report.messages == outcomes and report.collisions <= report.written


def column(destination: Path, name: str) -> list[Any]:
    """A column of the messages' rows."""
    rows = ledger.rows(destination)["message"]
    return [values[_COLUMNS[name]] for values in rows]


_NAMES = (
    "id source_id offset length from_line message_id head_sha256 body_sha256 outcome path duplicate_of"
    " date sender recipients subject labels thread_id state head_size body_size key"
)
_COLUMNS = {name: number for number, name in enumerate(_NAMES.split())}
