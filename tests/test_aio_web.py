"""The web service of docs/how-to/async.md, in a real server on loopback, with a real client."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import unmbox
from mails import emls, mail, mailbox

PROJECT = Path(__file__).resolve().parents[1]
MAILBOX = mailbox(mail(number, f"Line {number}.\n" * 2000) for number in range(60))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Where the service answers, and the folder for its temporary files."""
    text = (PROJECT / "docs" / "how-to" / "async.md").read_text("utf-8")
    [app] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Starlette(" in block]
    folder = tmp_path_factory.mktemp("service")
    (folder / "app.py").write_text(app, "utf-8")
    (folder / "tmp").mkdir()
    with socket.socket() as listener, (folder / "log").open("wb") as log:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(listener.fileno()), "--no-access-log"],
            cwd=folder,
            env=os.environ | {"TMPDIR": str(folder / "tmp")},
            pass_fds=(listener.fileno(),),
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", folder
        server.terminate()
        server.wait()


def extracted(archive: bytes, folder: Path) -> dict[str, bytes]:
    (folder / "got.zip").write_bytes(archive)
    with zipfile.ZipFile(folder / "got.zip") as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist() if name.endswith(".eml")}


def pieces() -> Iterator[bytes]:
    for at in range(0, len(MAILBOX), 50_000):
        yield MAILBOX[at : at + 50_000]


@pytest.mark.skipif(sys.platform == "win32", reason="a listening socket is handed down by its number")
def test_mailbox_in_zip_out(service: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = service
    unmbox.convert(iter([MAILBOX]), tmp_path / "eml")
    expected = {path.rpartition("/")[2]: octets for path, octets in emls(tmp_path / "eml").items()}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        answers = [
            client.post("/body", content=pieces()),
            client.post("/form", files={"mailbox": ("mail.mbox", MAILBOX)}),
        ]
        for answer in answers:
            assert answer.status_code == 200
            found = extracted(answer.content, tmp_path)
            assert {path.rpartition("/")[2]: octets for path, octets in found.items()} == expected
        assert client.post("/body", content=b"no mail").status_code == 422
    assert "Traceback" not in (folder / "log").read_text("utf-8")
    deadline = time.monotonic() + 10
    while list((folder / "tmp").iterdir()):
        assert time.monotonic() < deadline, "temporary files stay"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="a listening socket is handed down by its number")
def test_a_client_that_goes_away_leaves_nothing(service: tuple[str, Path]) -> None:
    url, folder = service
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + MAILBOX)
        deadline = time.monotonic() + 20
        while not list((folder / "tmp").iterdir()):
            assert time.monotonic() < deadline, "it never began"
            time.sleep(0.05)
    while list((folder / "tmp").iterdir()):
        assert time.monotonic() < deadline, "temporary files stay"
        time.sleep(0.05)
