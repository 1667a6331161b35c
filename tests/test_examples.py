"""The examples: each is run as a person would run it, and what it makes is looked at."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

import unmbox

PROJECT = Path(__file__).resolve().parents[1]
EXAMPLES = PROJECT / "examples"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the sample mailbox."""
    shutil.copy(EXAMPLES / "sample-takeout.mbox", tmp_path / "all.mbox")
    return tmp_path


def run(desk: Path, name: str, *arguments: str, status: int = 0) -> str:
    """What an example prints."""
    environment = os.environ | {"PYTHONUTF8": "1", "PYTHONWARNINGS": "error", "NO_PROXY": "*"}
    call = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(
        call, cwd=desk, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_run_and_named_in_the_documents() -> None:
    tests = "".join(path.read_text("utf-8") for path in (PROJECT / "tests").glob("test_*.py"))
    page = (PROJECT / "docs" / "how-to" / "examples.md").read_text("utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in tests, path.name
        assert path.name == "make_sample.py" or path.name in page, path.name


def test_split_by_year(desk: Path) -> None:
    says = run(desk, "split_by_year.py", "all.mbox", "years")
    assert says.splitlines()[-2:] == ["2021: 1", "undated: 1"] or "2021: 2" in says
    before = [(m.from_line, m.raw) for m in unmbox.messages(desk / "all.mbox")]
    after = [
        (m.from_line, m.raw)
        for path in sorted((desk / "years").glob("*.mbox"))
        for m in unmbox.messages(path, variant="mboxrd")
    ]
    assert len(after) == 12
    assert sorted(after) == sorted(before)
    run(desk, "split_by_year.py", "all.mbox", "years", status=1)


def test_search(desk: Path) -> None:
    assert run(desk, "search.py", "build", "all.mbox", "mail.db") == "12 messages\n"
    assert "夕焼けの写真" in run(desk, "search.py", "find", "mail.db", "夕焼け")
    assert "Lines that begin" in run(desk, "search.py", "find", "mail.db", "water must be cold")
    assert run(desk, "search.py", "find", "mail.db", 'nothing" OR "like it') == ""


class Service(BaseHTTPRequestHandler):
    """A web service that keeps what is put; it refuses the fourth once."""

    kept: dict[str, bytes]
    refusals: list[str]

    def do_PUT(self) -> None:
        """Keep an EML."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = len(self.kept) == 3 and not self.refusals
        if refused:
            self.refusals.append(self.path)
        else:
            self.kept[unquote(self.path)] = body
        self.send_response(503 if refused else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody listens."""


@pytest.fixture
def service() -> Iterator[tuple[str, type[Service]]]:
    handler = type("Fresh", (Service,), {"kept": {}, "refusals": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/mail/", handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_upload(desk: Path, service: tuple[str, type[Service]]) -> None:
    url, handler = service
    run(desk, "upload.py", "all.mbox", url, status=1)
    assert len(handler.refusals) == 1
    run(desk, "upload.py", "all.mbox", url)
    unmbox.convert(desk / "all.mbox", desk / "eml")
    expected = {
        f"/mail/{p.relative_to(desk / 'eml').as_posix()}": p.read_bytes() for p in desk.glob("eml/**/*.eml")
    }
    assert handler.kept == expected
    assert run(desk, "upload.py", "all.mbox", url) == "0 sent, 12 had been sent before\n"


def test_attachments(desk: Path) -> None:
    says = run(desk, "attachments.py", "all.mbox", "files")
    names = sorted(path.name for path in (desk / "files").iterdir())
    assert len(names) == len(says.splitlines()) == 2
    assert names[0].startswith("2018-12-24_")
    assert names[0].endswith("_夕焼け.png")
    assert names[1].endswith("_0001-steep-longer.patch")
    picture = (desk / "files" / names[0]).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert hashlib.sha256(picture).hexdigest()[:8] in names[0]
    assert run(desk, "attachments.py", "all.mbox", "files") == ""


def test_attachments_stay_in_their_folder(desk: Path) -> None:
    text = 'From a@b Tue Mar 19 09:13:51 2019\nContent-Disposition: attachment; filename="{}"\n\nx\n\n'
    names = ("../../out", r"C:\\out", "/etc/out", "..", "nul\\0byte", "a" * 300)
    (desk / "bad.mbox").write_text("".join(text.format(name) for name in names))
    run(desk, "attachments.py", "bad.mbox", "files")
    assert {path.name for path in desk.iterdir()} == {"all.mbox", "bad.mbox", "files"}
    assert all(path.is_file() for path in (desk / "files").iterdir())
    assert len(list((desk / "files").iterdir())) >= 4


def test_merge_exports(desk: Path) -> None:
    octets = (desk / "all.mbox").read_bytes()
    second = octets.index(b"From ", 5)
    fourth = octets.index(b"\r\nFrom ", octets.index(b"\r\nFrom ", second) + 5) + 2
    (desk / "old.mbox").write_bytes(octets[:fourth])
    (desk / "new.mbox").write_bytes(octets[second:])
    says = run(desk, "merge_exports.py", "old.mbox", "new.mbox", "mail")
    report = unmbox.convert(desk / "all.mbox", desk / "eml")
    assert f"{report.written} written, 0 of them" in says
    assert {p.name for p in desk.glob("mail/**/*.eml")} == {p.name for p in desk.glob("eml/**/*.eml")}
    for path in desk.glob("mail/**/*.eml"):
        assert message_from_bytes(path.read_bytes(), policy=policy.default)["From"]
