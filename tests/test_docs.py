"""What the documents show works: every Python block and every command in them is run."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

import unmbox
from packing import COMPRESSED, mail, put, tarred, zipped

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
# What sets up the project or needs a shell's network is shown, not run here; `make` has tests of its own.
NOT_HERE = ("pip install", "make ", "unzip ")
# Later blocks of a page may use what earlier ones made.
ORDERED = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Page(NamedTuple):
    """A document, and its examples in order."""

    path: Path
    blocks: list[tuple[str, str]]


def pages() -> list[Page]:
    """The documents that hold examples."""
    found = [Page(path, ORDERED.findall(path.read_text("utf-8"))) for path in PAGES]
    return [page for page in found if page.blocks]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the mailboxes that the documents speak of."""
    sample = PROJECT / "examples" / "sample-takeout.mbox"
    for name in ("All mail.mbox", "All mail Including Spam and Trash.mbox", "archive.mbox"):
        shutil.copy(sample, tmp_path / name)
    for name in ("takeout-20260110T010203Z-001.zip", "takeout-20260210T010203Z-001.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(sample, "Takeout/メール/すべてのメール（迷惑メール、ゴミ箱のメールを含む）.mbox")
    octets = sample.read_bytes()
    inside = {"Takeout/Mail/a.mbox": octets}
    eml = mail(1).encode()
    shapes = {
        "takeout-20240101T000000Z-001.zip": zipped(inside),
        "takeout-20240101T000000Z-002.zip": zipped(inside),
        "takeout-20240101T000000Z-001.tgz": tarred(inside, "w:gz"),
        "old.mbox.gz": COMPRESSED["gz"](octets),
        "mail/2019.mbox": octets,
        "Maildir/cur/1:2,S": eml,
        "Maildir/new/2": mail(2).encode(),
        "zoho-export.zip": zipped({"Inbox/1.eml": eml}),
        "profile/Mail/Local Folders/Inbox": octets,
        "Inbox.mbox/mbox": octets,
        "vault/case-1.zip": zipped({"case-user.mbox": octets}),
        "vault/case-metadata.xml": b"<Root/>",
    }
    return put(tmp_path, shapes)


def commands(block: str) -> list[str]:
    """The commands of a console block, without comments and what is not for here."""
    lines = [line[2:].split("  #")[0].strip() for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith(NOT_HERE)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.path.relative_to(PROJECT)))
def test_examples_run(page: Page, desk: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for kind, block in page.blocks:
        calls: list[list[str]] = [[sys.executable, "-X", "utf8", "-c", block]]
        if kind == "console":
            calls = [["bash", "-o", "pipefail", "-c", command] for command in commands(block)]
        for call in calls:
            done = subprocess.run(
                call, cwd=desk, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{call[-1]}\n{done.stdout}\n{done.stderr}"


def test_there_are_examples_to_run() -> None:
    names = {page.path.relative_to(PROJECT).as_posix() for page in pages()}
    assert {"README.md", "docs/tutorial.md", "docs/how-to/reading.md", "docs/how-to/embedding.md"} <= names


def test_every_how_to_page_is_listed() -> None:
    folder = PROJECT / "docs" / "how-to"
    index = (folder / "index.md").read_text("utf-8")
    missing = [
        path.name
        for path in folder.glob("*.md")
        if path.name != "index.md" and f"]({path.name})" not in index
    ]
    assert not missing


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", path.read_text("utf-8")):
        assert not target or (path.parent / target).exists(), target


def test_the_proofs_that_the_readme_names_are_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (PROJECT / "README.md").read_text("utf-8")))
    assert len(named) > 10
    assert not [name for name in named if not (PROJECT / "tests" / name).is_file()]


def test_every_reason_of_the_parser_is_explained() -> None:
    page = (PROJECT / "docs" / "explanation" / "separators.md").read_text("utf-8")
    code = re.compile(r'^[A-Z_]+(?:: Final)? = "([a-z]+(?:-[a-z]+)+)"$', re.MULTILINE)
    sources = (PROJECT / "src" / "unmbox" / f"{name}.py" for name in ("_fromline", "_mime", "_parser"))
    found = {reason for source in sources for reason in code.findall(source.read_text("utf-8"))}
    notes = {"head-too-long", "content-length-ignored"}  # of `End`: in the reference
    assert len(found) > 8
    assert not [reason for reason in found - notes if f"| `{reason}` |" not in page]


def test_every_code_of_a_repair_is_explained() -> None:
    page = (PROJECT / "docs" / "repairs.md").read_text("utf-8")
    writer = (PROJECT / "src" / "unmbox" / "_writer.py").read_text("utf-8")
    codes = set(re.findall(r'^[A-Z_]+ = "([a-z]+(?:-[a-z]+)+)"$', writer, re.MULTILINE))
    assert codes
    assert not [code for code in codes if f"`{code}`" not in page]


def test_every_column_of_the_manifest_is_documented(tmp_path: Path) -> None:
    unmbox.convert(PROJECT / "examples" / "sample-takeout.mbox", tmp_path / "eml")
    page = (PROJECT / "docs" / "manifest.md").read_text("utf-8")
    with closing(sqlite3.connect(tmp_path / "eml" / "unmbox-manifest.sqlite")) as manifest:
        tables = [name for (name,) in manifest.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            assert f"`{table}`" in page, table
            if table not in {"pending", "dedup", "dedup_slots", "detail"}:  # named as not for others
                columns = [row[1] for row in manifest.execute(f"PRAGMA table_info({table})")]
                assert not [name for name in columns if f"`{name}`" not in page], table
