"""A mailbox for each year out of one for all: `python split_by_year.py "All mail.mbox" years/`.

Each message is appended to the mailbox of its year as it was stored, with its From_ line. One message is in
memory at a time, whatever the mailbox holds.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import unmbox

# What a reader would take for the next message gets a ">" more (mboxrd), so that nothing is lost.
quote = re.compile(rb"^(>*From )", re.MULTILINE)


def split(mailbox: str, folder: Path) -> Counter[str]:
    """Write the mailboxes of all years into a new folder; return how many messages each has."""
    folder.mkdir(parents=True)  # fails where it is there already: nothing of yours is appended to
    counts: Counter[str] = Counter()
    for message in unmbox.messages(mailbox):
        year = str(message.date.year) if message.date else "undated"
        newline = b"\r\n" if message.block.endswith(b"\r\n") else b"\n"
        end = len(message.block)  # header blocks are never quoted
        with (folder / f"{year}.mbox").open("ab") as out:
            out.write(message.from_line + newline + message.raw[:end])
            out.write(quote.sub(rb">\1", message.raw[end:]) + newline)
        counts[year] += 1
    return counts


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for year, count in sorted(split(sys.argv[1], Path(sys.argv[2])).items()):
        print(f"{year}: {count}")
