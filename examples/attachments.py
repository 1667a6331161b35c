"""Take the attachments out of a mailbox: `python attachments.py "All mail.mbox" files/`.

A file is called by the date, a few digits of its hash, and the name that the sender gave it: the same
file, sent ten times on a day, is there once. Names of senders are not to be trusted, so of theirs only
harmless characters stay.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import unmbox

unsafe = re.compile(r"[^\w.()+-]+")


def attachments(message: unmbox.Message) -> Iterator[tuple[str, bytes]]:
    """Name and octets of each attachment."""
    for part in message.as_email().walk():
        if part.is_multipart() or not (name := part.get_filename()):
            continue
        octets = part.get_payload(decode=True)
        if isinstance(octets, bytes):
            yield str(name), octets


def file_name(message: unmbox.Message, name: str, octets: bytes) -> str:
    """A name that is legal everywhere and leads nowhere else."""
    day = message.date.strftime("%Y-%m-%d") if message.date else "undated"
    digits = hashlib.sha256(octets).hexdigest()[:8]
    last = re.split(r"[\\/]", name)[-1]
    return f"{day}_{digits}_{unsafe.sub('_', last).strip('.')[-100:] or 'file'}"


def extract(mailbox: str, folder: Path) -> list[Path]:
    """Write all attachments into a folder; return those that were not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for message in unmbox.messages(mailbox):
        for name, octets in attachments(message):
            path = folder / file_name(message, name, octets)
            try:
                with path.open("xb") as out:  # never over a file that is there
                    out.write(octets)
            except FileExistsError:
                continue
            written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for path in extract(sys.argv[1], Path(sys.argv[2])):
        print(path)
