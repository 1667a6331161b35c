"""The Python jobs that the comparison times, each a process of its own.

python jobs.py unmbox-count FILE       count messages with unmbox
python jobs.py mailbox-count FILE      the same with the standard library
python jobs.py mailbox-files FILE DEST one file a message with the standard library
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def unmbox_count(source: str) -> int:
    """Count the ends of messages that the parser reports."""
    import unmbox

    if hasattr(unmbox, "count"):
        return int(unmbox.count(source))
    from unmbox.events import End

    parser = unmbox.Parser()
    messages = 0
    with Path(source).open("rb", buffering=0) as file:
        while data := file.read(1 << 16):
            for event in parser.feed(data):
                if type(event) is End:
                    messages += 1
    return messages + sum(type(event) is End for event in parser.close())


def mailbox_count(source: str) -> int:
    """Take its length, which reads it all, line by line."""
    import mailbox

    return len(mailbox.mbox(source, create=False))


def mailbox_files(source: str, destination: str) -> int:
    """Write each message as it is; parsing them would only make it slower."""
    import mailbox

    box = mailbox.mbox(source, create=False)
    target = Path(destination)
    number = 0
    for number, key in enumerate(box.iterkeys(), 1):
        with (target / f"{number:08d}.eml").open("wb") as file:
            file.write(box.get_bytes(key))
    return number


_JOBS: dict[str, Callable[..., int]] = {
    "unmbox-count": unmbox_count,
    "mailbox-count": mailbox_count,
    "mailbox-files": mailbox_files,
}

if __name__ == "__main__":
    job, *places = sys.argv[1:]
    print(_JOBS[job](*places))
