"""Sources by URL: from a web server on this machine, with and without ranges, and from fsspec's memory."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from aiohttp import web

import unmbox
from packing import ALL_MAIL, ARCHIVES, COMPRESSED, IN_TAKEOUT, TAKEOUT, mailbox, sources_of, tree
from unmbox import _remote
from unmbox._inspect import inspect
from unmbox._verify import verify


class Server:
    """A web server: files below ``/files`` with ranges, the same below ``/whole`` without them.

    Below ``/silent`` they come in ranges of which nobody is told, below ``/streams`` without their sizes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = False
        self.page_from: int | None = None  # the octet from which on it wants a password first
        self.once = False  # and then no more
        self.short = False  # gives less than it is asked for
        self.asked: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        application = web.Application()
        application.router.add_get("/files/{name:.*}", self._file)
        application.router.add_get("/whole/{name:.*}", self._whole)
        application.router.add_get("/silent/{name:.*}", self._silent)
        application.router.add_get("/streams/{name:.*}", self._stream)
        runner = web.AppRunner(application)
        loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        loop.run_until_complete(site.start())
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        self._ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Range", ""))
        path = self.folder / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        if self.broken:
            raise web.HTTPInternalServerError
        part = request.http_range
        if self.page_from is not None and (part.start or 0) >= self.page_from:
            self.page_from = None if self.once else self.page_from
            return web.Response(text="<html>Please sign in.</html>", content_type="text/html")
        if self.short and request.method == "GET" and part.start is not None:
            octets, start = path.read_bytes(), part.start
            few = octets[start : min(part.stop or len(octets), start + 100_001)]
            told = f"bytes {start}-{start + len(few) - 1}/{len(octets)}"
            return web.Response(body=few, status=206, headers={"Content-Range": told})
        return web.FileResponse(path)

    async def _whole(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=(self.folder / request.match_info["name"]).read_bytes())

    async def _silent(self, request: web.Request) -> web.StreamResponse:
        octets = (self.folder / request.match_info["name"]).read_bytes()
        part = request.http_range
        return web.Response(body=octets[part], status=200 if part.start is None else 206)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.method == "GET":
            await response.write((self.folder / request.match_info["name"]).read_bytes())
        return response


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    for name in ("deflated.zip", "stored.zip", "takeout.tgz"):
        (folder / name).write_bytes(ARCHIVES[name]())
    (folder / "all mail.mbox").write_bytes(TAKEOUT[ALL_MAIL])
    (folder / "all.mbox.gz").write_bytes(COMPRESSED["gz"](TAKEOUT[ALL_MAIL]))
    server = Server(folder)
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("all mail.mbox", 29),
        ("all.mbox.gz", 29),
        ("deflated.zip", IN_TAKEOUT),
        ("stored.zip", IN_TAKEOUT),
        ("takeout.tgz", IN_TAKEOUT),
    ],
)
def test_from_a_web_server(server: Server, name: str, messages: int, tmp_path: Path) -> None:
    url = f"{server.url}/files/{name.replace(' ', '%20')}"
    unmbox.convert(server.folder / name, tmp_path / "local")
    report = unmbox.convert(url, tmp_path / "eml")
    assert report.messages == messages
    assert tree(tmp_path / "eml") == tree(tmp_path / "local")
    assert all(uri.startswith(url) for uri in sources_of(tmp_path / "eml"))
    again = unmbox.convert(url, tmp_path / "eml")
    assert (again.messages, again.already) == (0, messages)
    assert verify(tmp_path / "eml", sources=url).ok
    assert inspect(url).messages == messages


def test_what_is_done_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    octets = b"".join(mailbox(number, body=os.urandom(1500).hex() + "\n") for number in range(1000))
    (server.folder / "done.mbox").write_bytes(octets)
    url = f"{server.url}/files/done.mbox"
    unmbox.convert(url, tmp_path / "eml")
    server.asked.clear()
    assert unmbox.convert(url, tmp_path / "eml").already == 1000
    ranges = [each.removeprefix("bytes=").split("-") for each in server.asked if each]
    assert 0 < sum(int(last) - int(first) + 1 for first, last in ranges) < len(octets) // 4


@pytest.mark.parametrize(("way", "lasts"), [("streams", False), ("whole", False), ("silent", True)])
def test_a_server_that_tells_of_no_ranges(way: str, lasts: bool, server: Server, tmp_path: Path) -> None:
    for name, messages in (("all.mbox.gz", 29), ("deflated.zip", IN_TAKEOUT)):
        url = f"{server.url}/{way}/{name}"
        assert _remote.Remote(url).lasting == lasts
        assert unmbox.convert(url, tmp_path / f"eml-{messages}").messages == messages
        again = unmbox.convert(url, tmp_path / f"eml-{messages}")
        assert (again.messages, again.already) == (0, messages)


def test_what_a_server_refuses(server: Server, tmp_path: Path) -> None:
    with pytest.raises(unmbox.SourceError, match="cannot be read"):
        unmbox.convert(f"{server.url}/files/absent.mbox", tmp_path / "eml")
    assert not (tmp_path / "eml").exists()
    with pytest.raises(unmbox.SourceError, match="cannot be read"):
        unmbox.convert("http://127.0.0.1:1/mail.mbox", tmp_path / "eml")


def test_a_server_that_breaks_down(server: Server, tmp_path: Path) -> None:
    octets = b"".join(mailbox(number, body=os.urandom(1500).hex() + "\n") for number in range(1500))
    (server.folder / "large.mbox").write_bytes(octets)
    found = unmbox.messages(f"{server.url}/files/large.mbox")
    assert next(found).offset == 0
    server.broken = True
    try:
        with pytest.raises(unmbox.SourceError) as raised:
            list(found)
    finally:
        server.broken = False
    assert raised.value.offset


def test_another_file_system(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/mail/a.zip", ARCHIVES["deflated.zip"]())
    report = unmbox.convert("memory://mail/a.zip", tmp_path / "eml")
    assert report.messages == IN_TAKEOUT
    memory.pipe_file("/mail/a.zip", ARCHIVES["deflated.zip"]().replace(b"PK\1\2", b"PK\1\3", 1))
    with pytest.raises(unmbox.SourceError, match="folder"):
        unmbox.convert("memory://mail", tmp_path / "eml")


def test_a_scheme_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(unmbox.UsageError, match="cannot be opened"):
        unmbox.convert("nobody://mail/a.mbox", tmp_path / "eml")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://me:secret@host/a.mbox", "ftp://me@host/a.mbox"),
        ("https://host/a.mbox", "https://host/a.mbox"),
        ("https://host/get?file=a.mbox&part=2", "https://host/get?file=a.mbox&part=2"),
        ("https://host/get?id=1&access_token=x&apikey=y&API_KEY=z", "https://host/get?id=1"),
        (
            "https://b.example/a.zip?X-Amz-Signature=ab&X-Amz-Expires=60&versionId=3",
            "https://b.example/a.zip?versionId=3",
        ),
        ("https://g.example/a.zip?GoogleAccessId=me&Expires=1&Signature=x%2F", "https://g.example/a.zip"),
        ("https://z.example/a.zip?sv=2024&se=2030&sr=b&sp=r&sig=x%3D", "https://z.example/a.zip"),
        ("https://host/list?sp=1&sv=2", "https://host/list?sp=1&sv=2"),
        ("https://host/get?token=abc", "https://host/get?token=ba7816bf"),
        ("s3://bucket/what?.mbox", "s3://bucket/what?.mbox"),
        ("http://me:sec@ret@host/a.mbox", "http://me@host/a.mbox"),
        ("https://ghp_secret@host/a.mbox", "https://host/a.mbox"),
        ("zip://a.mbox::http://me:secret@host/x.zip", "zip://a.mbox::http://me@host/x.zip"),
        ("https://host/files/1?alt=media&key=abc", "https://host/files/1?alt=media&key=ba7816bf"),
        ("https://host/a?rlkey=x&password=y&dl=1", "https://host/a?dl=1"),
    ],
)
def test_what_only_lets_one_in_is_not_told(url: str, shown: str) -> None:
    assert _remote.shown(url) == shown


def test_a_url_that_was_signed_anew_is_the_same_source(server: Server, tmp_path: Path) -> None:
    for name, messages in (("all%20mail.mbox", 29), ("deflated.zip", IN_TAKEOUT)):
        url = f"{server.url}/files/{name}"
        eml = tmp_path / f"{messages}"
        assert unmbox.convert(f"{url}?X-Amz-Date=1&X-Amz-Signature=one", eml).written
        assert all(uri.startswith(url) and "one" not in uri for uri in sources_of(eml))
        again = unmbox.convert(f"{url}?X-Amz-Date=2&X-Amz-Signature=two", eml)
        assert (again.messages, again.already) == (0, messages)
        assert verify(eml, sources=f"{url}?X-Amz-Date=3&X-Amz-Signature=three").ok
    with pytest.raises(unmbox.SourceError) as raised:
        unmbox.convert(f"{server.url}/files/absent.mbox?X-Amz-Signature=one", tmp_path / "eml")
    assert "absent.mbox" in str(raised.value)
    assert "one" not in str(raised.value)


def test_urls_and_what_are_none() -> None:
    assert not _remote.is_url("C:\\mail\\a.mbox")
    assert not _remote.is_url("a:b/c.mbox")
    assert _remote.is_url("s3://bucket/a.mbox")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(unmbox.UsageError, match=r"pip install 'unmbox\[remote\]'"):
        unmbox.convert("s3://bucket/a.mbox", tmp_path / "eml")


def test_a_server_that_does_not_answer_is_told_as_such(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a.mbox"
        with pytest.raises(unmbox.SourceError, match="Cannot connect"):
            unmbox.convert(url, tmp_path / "eml")


@pytest.mark.parametrize(
    "url", ["zip://a.mbox::http://me:secret@127.0.0.1:9/x.zip", "zip://a.mbox::file:///no.zip"]
)
def test_a_chain_whose_outer_file_cannot_be_had(url: str, tmp_path: Path) -> None:
    with pytest.raises((unmbox.SourceError, unmbox.UsageError)) as raised:
        unmbox.convert(url, tmp_path / "eml")
    assert "secret" not in str(raised.value)
    assert not (tmp_path / "eml").exists()


@pytest.mark.parametrize("below", ["files", "whole", "streams"])
def test_a_query_hides_no_suffix(server: Server, below: str, tmp_path: Path) -> None:
    (server.folder / "one.eml").write_bytes(b"From: a@example.org\nSubject: x\n\ntext\n")
    assert unmbox.convert(f"{server.url}/{below}/one.eml?version=1", tmp_path / "eml").messages == 1


@pytest.fixture
def large(server: Server) -> str:
    octets = b"".join(mailbox(number, body=os.urandom(1500).hex() + "\n") for number in range(700))
    (server.folder / "large.mbox").write_bytes(octets)
    return f"{server.url}/files/large.mbox"


@pytest.mark.parametrize("once", [True, False])
def test_a_page_in_place_of_a_part_is_no_mail(server: Server, large: str, once: bool) -> None:
    source = _remote.Remote(large)
    identity = source.identity()
    server.page_from, server.once = 1_000_000, once
    try:
        with pytest.raises(unmbox.SourceError, match=r"something else|cannot be read") as raised:
            list(source.chunks())
    finally:
        server.page_from = None
    assert raised.value.offset == 1_572_864
    assert _remote.Remote(large).identity() == identity


def test_parts_that_are_shorter_than_asked_for(server: Server, large: str, tmp_path: Path) -> None:
    server.short = True
    try:
        assert unmbox.convert(large, tmp_path / "eml").messages == 700
    finally:
        server.short = False
    assert verify(tmp_path / "eml", sources=large).ok
