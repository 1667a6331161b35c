"""Write `pictures/report.png`, what the report looks like: `python docs/make_screenshot.py`. Needs Chromium.

The mailbox behind it is made up: some years of letters with labels, copies, and headers that need repair.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import unmbox
from unmbox.report import write_report

PICTURE = Path(__file__).parent / "pictures" / "report.png"
LABELS = (
    "Inbox,Important",
    "Inbox",
    "Sent",
    "Inbox,Tea",
    "Archive,Tea",
    "Inbox,Starred,Family",
    "Family",
    "Spam",
)
SUBJECTS = (
    "Tea on Friday",
    "Re: Tea on Friday",
    "Pictures of the garden",
    "Your order",
    "Minutes",
    "Hello again",
)


def mailbox(count: int = 3_000) -> Iterator[bytes]:
    """The messages, one after the other."""
    chance = random.Random(7)
    day = datetime(2013, 5, 1, 8, tzinfo=timezone.utc)
    for number in range(count):
        day += timedelta(hours=chance.expovariate(1 / 24))
        fields = [
            f"Message-ID: <{number}@mail.example.org>",
            f"X-Gmail-Labels: {chance.choice(LABELS)}",
            f"From: Friend {chance.randrange(40)} <friend{chance.randrange(40)}@example.org>",
            "To: me@example.com",
            f"Subject: {chance.choice(SUBJECTS)}",
            f"Date: {format_datetime(day)}",
        ]
        if chance.random() < 0.04:
            del fields[chance.choice((0, 2, 5))]
        body = "words and words\n" * int(chance.lognormvariate(4, 1.6)) + "\nFrom here on it is text.\n"
        octets = "\n".join(
            [f"From {number}@xxx {day:%a %b %d %H:%M:%S} +0000 {day:%Y}", *fields, "", body, ""]
        )
        yield from [octets.encode()] * (2 if chance.random() < 0.15 else 1)


def main() -> None:
    """Write the picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("this needs Chromium")
    with tempfile.TemporaryDirectory() as folder:
        destination = Path(folder) / "eml"
        (Path(folder) / "All mail.mbox").write_bytes(b"".join(mailbox()))
        unmbox.convert(Path(folder) / "All mail.mbox", destination)
        page = write_report(destination, language="en")
        page.write_text(page.read_text("utf-8").replace(f"{folder}/", ""), "utf-8")
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1000,1596",
        ]
        call = [browser, *options, f"--screenshot={PICTURE}", page.as_uri()]
        subprocess.run(call, check=True, capture_output=True)


if __name__ == "__main__":
    main()
