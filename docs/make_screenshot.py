"""Write `pictures/terminal.svg` and `pictures/report.png`, what people see: `python docs/make_screenshot.py`.

The terminal shows what the commands really say of the sample mailbox. The mailbox behind the report is made
up: some years of letters with labels, copies, and headers that need repair. The report needs Chromium.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from make_pictures import Picture

import unmbox
from unmbox.report import write_report

PICTURES = Path(__file__).parent / "pictures"
EXPORT = "takeout-20260110T010203Z-001.zip"
SESSION = (f"unmbox convert {EXPORT} eml/", "unmbox verify eml/", "ls eml/2019/03")
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


def terminal() -> None:
    """Draw what the commands of the session say."""
    sample = Path(__file__).parents[1] / "examples" / "sample-takeout.mbox"
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(Path(folder) / EXPORT, "w") as archive:
            archive.write(sample, "Takeout/Mail/All mail Including Spam and Trash.mbox")
        for command in SESSION:
            run = command.replace("unmbox", f"{sys.executable} -m unmbox", 1)
            done = subprocess.run(run, shell=True, cwd=folder, capture_output=True, text=True, check=True)
            lines += [(f"$ {command}", "c b"), *((line, "c") for line in done.stdout.splitlines()), ("", "c")]
    about = "unmbox converts an export, verifies the EML files, and the files of a month are listed."
    picture = Picture("terminal", 900, 66 + 23 * (len(lines) - 1), "What the command says", about)
    for number in range(3):
        picture.box(26 + 20 * number, 20, 12, 12, "card", 6)
    for number, (line, kind) in enumerate(lines):
        picture.text(28, 62 + 23 * number, line, kind + (" t" if kind.endswith("b") else ""))
    (PICTURES / "terminal.svg").write_text(picture.svg(), "utf-8")


def report() -> None:
    """Take a picture of a report."""
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
        call = [browser, *options, f"--screenshot={PICTURES / 'report.png'}", page.as_uri()]
        subprocess.run(call, check=True, capture_output=True)


if __name__ == "__main__":
    terminal()
    report()
