"""`unmbox.aio`: the same as the sync side, under asyncio, uvloop and trio; nothing torn, nothing left."""
# A test may read a small file in the loop:
# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import importlib.util
import inspect
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints
from unittest import mock

import aiofiles
import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile

import unmbox
from drive import chunks as cut
from killing import small
from mails import Left, left, mail, mailbox
from strategies import cuttings
from unmbox import BodyGoneError, DedupIndex, Report, SourceError, UsageError, aio
from unmbox._convert import Options

Run = Callable[..., Any]

LOOPS = ("asyncio", "uvloop", "trio")
LONG = "A line of text.\n" * 90_000  # 1.4 MB: more than is kept of one message, or read at once
MANY = mailbox(mail(number % 90, f"Body {number}.\n") for number in range(100))
# Nothing is given before what is settled from the first 1 MiB has come.
BULK = mailbox(mail(number, f"Line {number}.\n" * 15_000) for number in range(30))
MIXED = (
    b"\r\nno mail yet\r\n"
    + mailbox([mail(1), mail(2, "From here to there:\n\n>From Monday on.\n"), mail(1), mail(4, id=None)])
    + mailbox(
        [mail(5, LONG), mail(1, "Another body.\n"), mail(6, "Ein Gru\udcdf.\n", "X-Long: " + "x" * 2000)]
    )
)


def has_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None


def open_files() -> list[str]:
    """The files that this process has open, as far as the system tells."""
    found = []
    for entry in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.append(str(entry.readlink()))
    return sorted(name for name in found if name.startswith("/") and not name.startswith("/dev"))


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Run an async function under each event loop; whatever becomes of it, nothing may be left."""
    if request.param == "uvloop" and not has_uvloop():
        pytest.skip("uvloop does not exist for this platform")
    return partial(go, loop=request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def run_asyncio(request: pytest.FixtureRequest) -> Run:
    if request.param == "uvloop" and not has_uvloop():
        pytest.skip("uvloop does not exist for this platform")
    return partial(go, loop=request.param)


def go(function: Callable[..., Awaitable[Any]], *args: Any, loop: str = "asyncio") -> Any:
    """As people run a loop, without anyio."""
    gc.collect()
    before = open_files()

    async def watched() -> Any:
        threads = set(threading.enumerate())
        try:
            return await function(*args)
        finally:
            # Ours are gone when the call is, not some time later.
            assert not [each for each in set(threading.enumerate()) - threads if "unmbox" in each.name]

    try:
        if loop == "trio":
            return trio.run(watched)
        return asyncio.run(watched()) if loop == "asyncio" else import_module("uvloop").run(watched())
    finally:
        gc.collect()
        assert open_files() == before


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mail.mbox"
    path.write_bytes(MIXED)
    return path


async def pieces(octets: bytes, size: int = 5000) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), size):
        yield octets[at : at + size]
        await anyio.lowlevel.checkpoint()


def told(report: Report) -> Report:
    return report._replace(seconds=0)


# -- sources ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def generator(path: Path) -> AsyncIterator[Any]:
    yield pieces(path.read_bytes())


@asynccontextmanager
async def anyio_file(path: Path) -> AsyncIterator[Any]:
    async with await anyio.open_file(path, "rb") as file:
        yield file


@asynccontextmanager
async def anyio_path(path: Path) -> AsyncIterator[Any]:
    yield anyio.Path(path)


@asynccontextmanager
async def aiofiles_file(path: Path) -> AsyncIterator[Any]:
    async with aiofiles.open(path, "rb") as file:
        yield file


@asynccontextmanager
async def tcp_stream(path: Path) -> AsyncIterator[Any]:
    async def serve(client: Any) -> None:
        async with client:
            await client.send(path.read_bytes())

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                yield stream
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def stream_reader(path: Path) -> AsyncIterator[Any]:
    async def serve(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(path.read_bytes())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def httpx_response(path: Path) -> AsyncIterator[Any]:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=pieces(path.read_bytes()))

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        client.stream("GET", "https://mail.example/") as response,
    ):
        yield response.aiter_bytes()


@asynccontextmanager
async def upload(path: Path) -> AsyncIterator[Any]:
    with path.open("rb") as file:
        yield UploadFile(file, filename="mail.mbox")


@asynccontextmanager
async def plain_path(path: Path) -> AsyncIterator[Any]:
    yield str(path)


@asynccontextmanager
async def plain_file(path: Path) -> AsyncIterator[Any]:
    with path.open("rb") as file:
        yield file


@asynccontextmanager
async def plain_iterable(path: Path) -> AsyncIterator[Any]:
    yield cut(path.read_bytes(), range(0, len(MIXED), 1000))


Opening = Callable[[Path], AbstractAsyncContextManager[Any]]
ANYWHERE: list[Opening] = [
    generator, anyio_file, anyio_path, tcp_stream, httpx_response, upload,
    plain_path, plain_file, plain_iterable,
]  # fmt: skip
UNDER_ASYNCIO: list[Opening] = [aiofiles_file, stream_reader]


def seen(source: Any) -> list[tuple[Any, ...]]:
    return [
        (each.offset, each.subject, each.date, each.raw, each.as_bytes(), each.repairs, each.length)
        for each in unmbox.messages(source)
    ]


async def seen_async(source: Any) -> list[tuple[Any, ...]]:
    found = []
    async for each in aio.messages(source):
        raw, eml, repairs = await each.raw(), await each.as_bytes(), await each.repairs()
        found.append((each.offset, each.subject, each.date, raw, eml, repairs, each.length))
    return found


def same_but_for_names(one: Left, other: Left) -> bool:
    """Whether all is the same; a stream is called otherwise than a file, and has no time."""
    tables = [{name: rows for name, rows in each.rows.items() if name != "source"} for each in (one, other)]
    return one[:2] == other[:2] and tables[0] == tables[1]


def but_for_undated_times(found: Left) -> Left:
    """The same, but for the times of files whose mail has no date: when they were written."""
    files = {
        name: (octets, 0 if name.startswith("undated/") else time)
        for name, (octets, time) in found.files.items()
    }
    return found._replace(files=files)


async def check_source(opening: Opening, path: Path, eml: Path) -> None:
    async with opening(path) as source:
        assert await seen_async(source) == seen(path)
    async with opening(path) as source:
        report = await aio.convert(source, eml)
    expected = eml.with_name("expected")
    assert told(report) == told(unmbox.convert(path, expected))
    assert same_but_for_names(left(eml), left(expected))


@pytest.mark.parametrize("opening", ANYWHERE)
def test_a_source(run: Run, opening: Opening, path: Path, tmp_path: Path) -> None:
    run(check_source, opening, path, tmp_path / "eml")


@pytest.mark.parametrize("opening", UNDER_ASYNCIO)
def test_a_source_of_asyncio(run_asyncio: Run, opening: Opening, path: Path, tmp_path: Path) -> None:
    run_asyncio(check_source, opening, path, tmp_path / "eml")


def test_several_sources_of_all_kinds(run: Run, path: Path, tmp_path: Path) -> None:
    other = MANY
    sources: list[Any] = [path, iter([other]), iter([MIXED])]
    sync = unmbox.convert(sources, tmp_path / "sync")
    report = run(aio.convert, [path, pieces(other), iter([MIXED])], tmp_path / "async")
    assert told(report) == told(sync)
    assert left(tmp_path / "async") == left(tmp_path / "sync")


def test_a_file_tells_its_name(run: Run, path: Path) -> None:
    async def check() -> None:
        async with await anyio.open_file(path, "rb") as file:
            assert {each.source async for each in aio.messages(file)} == {str(path)}

    run(check)


@settings(max_examples=12)
@given(cutting=cuttings(), loop=st.sampled_from(["asyncio", "trio"]))
@example(cutting=(b"\xd0\xcf\x11\xe0", [2]), loop="asyncio")
def test_the_same_for_any_input_and_cutting(
    cutting: tuple[bytes, list[int]], loop: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    octets, cuts = cutting
    folder = tmp_path_factory.mktemp("any")

    async def parts() -> AsyncIterator[bytes]:
        for part in cut(octets, cuts):
            yield part

    async def both() -> tuple[Any, Any]:
        try:
            return await seen_async(parts()), told(await aio.convert(parts(), folder / "async"))
        except SourceError as error:  # the octets may begin as an archive does
            return str(error), None

    expected: tuple[Any, Any]
    try:
        expected = seen(iter([octets])), told(unmbox.convert(iter([octets]), folder / "sync"))
    except SourceError as error:
        expected = str(error), None
    assert go(both, loop=loop) == expected
    if expected[1] is None:
        return
    assert but_for_undated_times(left(folder / "async")) == but_for_undated_times(left(folder / "sync"))


def test_options_are_those_of_the_sync_side(path: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"newline": "lf", "headers": "preserve", "dedup": "off", "layout": "{hash}"}
    report = go(lambda: aio.convert(path, tmp_path / "async", **options))
    assert told(report) == told(unmbox.convert(path, tmp_path / "sync", **options))
    assert left(tmp_path / "async") == left(tmp_path / "sync")
    ours, theirs = (inspect.signature(each).parameters for each in (aio.messages, unmbox.messages))
    assert list(ours) == list(theirs)
    with pytest.raises(TypeError, match="no_such_option"):
        go(lambda: aio.convert(path, tmp_path / "async", no_such_option=1))  # type: ignore[call-arg]  # it is none


def test_the_options_have_the_types_of_the_sync_side() -> None:
    """Where only names are given, editors and type checkers know no more than these."""
    hints = get_type_hints(unmbox.convert)
    for name in ("sources", "destination", "progress", "return"):
        del hints[name]
    assert list(hints.items()) == list(get_type_hints(Options).items())
    assert aio.convert.__annotations__["options"] == "Unpack[Options]"


@pytest.mark.parametrize("source", [io.BytesIO(b"From x"), pieces(MANY)])
def test_bad_use_is_told_before_anything_is_done(run: Run, source: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="variant"):
        run(lambda: aio.convert(source, tmp_path / "eml", variant="mbox9"))
    with pytest.raises(UsageError, match="variant"):
        aio.messages(source, variant="mbox9")
    with pytest.raises(UsageError, match="concurrency"):
        run(lambda: aio.convert(source, tmp_path / "eml", concurrency=0))
    assert not (tmp_path / "eml").exists()


def test_text_and_other_things_are_refused(run: Run, path: Path, tmp_path: Path) -> None:
    async def text() -> AsyncIterator[str]:
        yield "From x"

    async def check() -> None:
        for what, source in [("str", text()), ("str", await anyio.open_file(path)), ("int", 5)]:
            with pytest.raises(UsageError, match=what):
                [each async for each in aio.messages(source)]  # type: ignore[arg-type]
            if hasattr(source, "aclose"):
                await source.aclose()
        with pytest.raises(UsageError, match="str"):
            await aio.convert(text(), tmp_path / "eml")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no source"):
            await aio.convert([], tmp_path / "eml")

    run(check)


def test_a_path_that_is_not_there(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        run(aio.convert, tmp_path / "none.mbox", tmp_path / "eml")
    with pytest.raises(SourceError, match="does not exist"):
        run(seen_async, tmp_path / "none.mbox")


# -- messages --------------------------------------------------------------------------------------------


def test_a_message_in_pieces(run: Run, path: Path) -> None:
    expected = [eml for *_, eml, _, _ in seen(path)]

    async def check() -> None:
        async for each in aio.messages(path):
            eml = b"".join([piece async for piece in each.iter_bytes()])
            assert eml == expected.pop(0)
            with pytest.raises(BodyGoneError, match="read in pieces"):
                await each.as_bytes()

    run(check)


def test_what_was_passed_is_gone_and_what_was_kept_is_not(run: Run) -> None:
    async def check() -> None:
        found = [each async for each in aio.messages(pieces(MANY))]
        assert found[0].subject == "Mail 0"
        with pytest.raises(BodyGoneError, match="passed without being read"):
            await found[0].raw()
        kept = []
        async for each in aio.messages(pieces(MANY)):
            await each.raw()
            kept.append(each)
        assert [await each.as_bytes() for each in kept] == [eml for *_, eml, _, _ in seen(io.BytesIO(MANY))]
        assert (await kept[0].as_email())["Subject"] == "Mail 0"
        assert {len(await each.repairs()) for each in kept} == {0}

    run(check)


def test_the_body_tells_what_a_raw_subject_says(run: Run) -> None:
    octets = mailbox([mail(1, "a line\r\n" * 140_000)])
    subject, body = (text.encode("gb18030") for text in ("吴昊天", "您好，附件是本月的报告，请您查收。"))
    octets += b"From a@b Tue Mar 19 09:13:51 2019\r\nSubject: " + subject + b"\r\n\r\n" + body + b"\r\n"

    async def check() -> list[str]:
        return [each.subject async for each in aio.messages(pieces(octets, 1000))]

    assert run(check)[-1] == "吴昊天"


def test_a_header_block_of_a_megabyte(run: Run) -> None:
    octets = mailbox([mail(1, "", *(f"X-Field-{number}: {number}" for number in range(40_000)))])
    assert run(seen_async, pieces(octets, 100_000)) == seen(io.BytesIO(octets))


def test_other_tasks_run_while_messages_come_out_of_memory(run: Run) -> None:
    async def check() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await anyio.lowlevel.checkpoint()

        async def at_once() -> AsyncIterator[bytes]:
            began = time.thread_time()  # whatever else the machine is doing
            while time.thread_time() - began < 0.5:
                yield MANY

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            async for each in aio.messages(at_once()):
                await each.as_bytes()
            tasks.cancel_scope.cancel()
        assert ticks > 40, "one some five milliseconds"

    run(check)


def test_other_tasks_run_while_short_chunks_are_at_hand(run: Run, tmp_path: Path) -> None:
    since_tick = at_most = 0

    async def tick() -> None:
        nonlocal since_tick
        while True:
            since_tick = 0
            await anyio.lowlevel.checkpoint()

    async def at_once() -> AsyncIterator[bytes]:
        nonlocal since_tick, at_most
        for chunk in cut(BULK[: 5 << 19], range(16, 5 << 19, 16)):
            since_tick += 1
            at_most = max(at_most, since_tick)
            yield chunk

    async def check() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            await aio.convert(at_once(), tmp_path / "eml")
            tasks.cancel_scope.cancel()

    run(check)
    assert 0 < at_most < 60_000, "as many as five milliseconds bring, not a window's 131,072"


class Watched:
    """An async generator over a mailbox that does not end, and whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield MANY
                await anyio.lowlevel.checkpoint()
        finally:
            self.closed = True


def test_early_exit_closes_the_source(run: Run, path: Path) -> None:
    path.write_bytes(BULK)

    async def check() -> None:
        watched = Watched()
        async with aio.messages(watched()) as messages:
            async for _ in messages:
                break
            states = [watched.closed]
        assert [*states, watched.closed] == [False, True]
        assert [each async for each in messages] == []
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        before = open_files()
        async for _first in aio.messages(path):
            assert len(open_files()) > len(before) or not before
            break
        assert open_files() == before, "closed although a message of it is still there"

    run(check)


def test_octets_are_no_source(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        for octets in (b"/path/All.mbox", bytearray(b"x"), [io.BytesIO(MANY), b"x"]):
            with pytest.raises(UsageError, match="bytes are no source"):
                await aio.convert(octets, tmp_path / "eml")  # type: ignore[arg-type]
        assert (await aio.convert([MANY[:500], MANY[500:]], tmp_path / "eml")).messages == 90 + 10

    run(main)


def test_a_generator_that_was_begun_is_closed_if_its_turn_never_comes(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        closed = []

        async def begun() -> AsyncIterator[bytes]:
            try:
                yield b""
                yield MANY
            finally:
                closed.append(True)

        for options in ({"headers": "no such"}, {}):
            source = begun()
            await anext(source)
            with pytest.raises((UsageError, SourceError)):
                await aio.convert([tmp_path / "no.mbox", source], tmp_path / "eml", **options)  # type: ignore[arg-type]
        assert closed == [True, True]

    run(main)


def test_what_blocks_is_asked_in_the_thread(run: Run, tmp_path: Path) -> None:
    """The first of what an iterable gives, too, by which it is known for one of octets or of sources."""
    here: list[bool] = []

    def blocking() -> Iterator[bytes]:
        for chunk in (MANY[:500], MANY[500:]):
            here.append(threading.current_thread() is threading.main_thread())
            yield chunk

    async def main() -> None:
        assert (await aio.convert(blocking(), tmp_path / "eml")).messages == 100

    run(main)
    assert here == [False, False]


def test_async_targets_need_an_async_open(run: Run, path: Path) -> None:
    class Half:
        def open(self, message: object) -> Any:
            return Upload(Store(), 1)

    async def main() -> None:
        with pytest.raises(UsageError, match="make its open"):
            await aio.convert(path, Half())

    run(main)


def test_an_async_open_needs_async_targets(run: Run, path: Path) -> None:
    def sink(target: object) -> Any:
        class Half:
            async def open(self, message: object) -> Any:
                return target

        return Half()

    class Plain:
        def write(self, data: bytes) -> None: ...
        def commit(self, name: str) -> None: ...
        def discard(self) -> None: ...

    async def main() -> None:
        with pytest.raises(UsageError, match=r"write\(\) has to be"):
            await aio.convert(path, sink(Plain()))
        with pytest.raises(UsageError, match=r"NoneType, which has no write\(\), no commit\(\), no discard"):
            await aio.convert(path, sink(None))
        with pytest.raises(UsageError, match="progress is 5"):
            await aio.convert(path, sink(None), progress=5)  # type: ignore[arg-type]

    run(main)


def test_the_sync_side_says_what_is_for_the_async_one(tmp_path: Path) -> None:
    class File:
        async def read(self, size: int) -> bytes:
            raise AssertionError("nobody can await this")

    async def progress(at: object) -> None: ...

    for source, why in ((File(), r"read\(\) has to be awaited"), (pieces(MANY), "an async source")):
        with pytest.raises(UsageError, match=why):
            unmbox.convert(source, tmp_path / "eml")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=why):
            list(unmbox.messages(source))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"call unmbox\.aio"):
        unmbox.convert(io.BytesIO(MANY), tmp_path / "other", progress=progress)
    assert not (tmp_path / "other").exists()


def test_early_exit_without_with_closes_a_generator_too(run_asyncio: Run) -> None:
    async def check() -> None:
        watched = Watched()
        async for _ in aio.messages(watched()):
            break
        await asyncio.sleep(0.01)  # asyncio closes a generator that was let go of in a task of its own
        assert watched.closed

    run_asyncio(check)


def test_a_generator_that_cannot_be_read_on_is_closed_at_once(run: Run) -> None:
    packed = gzip.compress(BULK, 0)  # of which a thread asks for more than it was given
    closed = False

    async def source(scope: anyio.CancelScope) -> AsyncIterator[Any]:
        nonlocal closed
        try:
            for at in range(0, len(packed), 1000):
                if at == 2_000_000:
                    scope.cancel()
                yield packed[at : at + 1000]
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            closed = True

    async def check() -> None:
        with anyio.CancelScope() as scope:
            messages = aio.messages(source(scope))
            [each async for each in messages]
        assert closed
        with pytest.raises(SourceError, match="cut off"):
            [each async for each in messages]

    run(check)


def test_an_open_file_of_the_callers_stays_open(run: Run, path: Path) -> None:
    async def check() -> None:
        async with await anyio.open_file(path, "rb") as file:
            async with aio.messages(file) as messages:
                async for _ in messages:
                    break
            await file.seek(0)
            assert await file.read(5) == MIXED[:5]

    run(check)


# -- sinks -----------------------------------------------------------------------------------------------


class Store:
    """An async sink: what it has, how many came together, what was discarded."""

    def __init__(self, *, fail_at: int = -1, error: BaseException | None = None, wait: float = 0) -> None:
        self.files: dict[str, bytes] = {}
        self.begun = 0
        self.open_now = self.open_at_most = self.discarded = 0
        self.fail_at, self.error, self.wait = fail_at, error, wait
        self.at_commit: Callable[[], object] = lambda: None

    async def open(self, message: Any) -> Upload:
        self.begun += 1
        self.open_now += 1
        self.open_at_most = max(self.open_at_most, self.open_now)
        return Upload(self, self.begun)


class Upload:
    def __init__(self, store: Store, number: int) -> None:
        self.store, self.number = store, number
        self.parts: list[bytes] = []

    async def write(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        self.parts.append(data)

    async def commit(self, name: str) -> None:
        self.store.at_commit()
        await anyio.sleep(self.store.wait)
        if self.number == self.store.fail_at:
            assert self.store.error is not None
            raise self.store.error
        self.store.open_now -= 1
        self.store.files[name] = b"".join(self.parts)

    async def discard(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.store.open_now -= 1
        self.store.discarded += 1


@pytest.fixture
def expected(tmp_path: Path) -> Callable[[bytes], dict[str, bytes]]:
    def emls(octets: bytes) -> dict[str, bytes]:
        unmbox.convert(io.BytesIO(octets), tmp_path / "expected")
        return {name: data for name, (data, _) in left(tmp_path / "expected").files.items()}

    return emls


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_async_sink(
    run: Run, concurrency: int, tmp_path: Path, expected: Callable[[bytes], dict[str, bytes]]
) -> None:
    octets, store = MIXED + mailbox([mail(7, LONG)]) + MANY, Store(wait=0.0001)
    manifest = tmp_path / "record.sqlite"
    report = run(lambda: aio.convert(io.BytesIO(octets), store, manifest=manifest, concurrency=concurrency))
    assert store.files == expected(octets)
    assert report.written == len(store.files)
    assert store.open_now == 0
    assert store.open_at_most <= concurrency + 1  # and a long one, which is written as it comes
    assert concurrency == 1 or store.open_at_most > 1
    again = run(lambda: aio.convert(io.BytesIO(octets), Store(), manifest=manifest))
    assert (again.written, again.already) == (0, report.messages)


def test_an_upload_that_fails_is_done_again(
    run: Run, tmp_path: Path, expected: Callable[[bytes], dict[str, bytes]]
) -> None:
    error = ConnectionError("gone")
    store, manifest = Store(fail_at=30, error=error), tmp_path / "record.sqlite"
    with small(batch=20):
        with pytest.raises(ConnectionError) as caught:
            run(lambda: aio.convert(io.BytesIO(MANY), store, manifest=manifest))
        assert caught.value is error
        assert store.open_now == 0, "whatever was open has been discarded"
        assert store.discarded >= 1
        assert len(store.files) >= 20
        again = Store()
        report = run(lambda: aio.convert(io.BytesIO(MANY), again, manifest=manifest))
    assert report.already == 20, "of the batch that failed nothing counted as done"
    assert store.files | again.files == expected(MANY)
    assert not set(list(store.files)[:20]) & again.files.keys()


def test_a_sync_sink(run: Run, expected: Callable[[bytes], dict[str, bytes]]) -> None:
    files: dict[str, bytes] = {}

    class Plain:
        def open(self, message: Any) -> Any:
            target = io.BytesIO()
            return mock.Mock(write=target.write, commit=lambda name: files.update({name: target.getvalue()}))

    run(aio.convert, pieces(MANY), Plain())
    assert files == expected(MANY)


# -- what the user's own code raises ---------------------------------------------------------------------


class MineError(Exception):
    pass


class Interrupt(BaseException):
    pass


@pytest.mark.parametrize("error", [MineError("mine"), Interrupt("mine"), anyio.EndOfStream()])
def test_errors_of_a_source_come_out_as_they_are(run: Run, error: BaseException, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield BULK[: len(BULK) * 3 // 4]
        raise error

    async def check() -> None:
        with pytest.raises(type(error)) as caught:
            await aio.convert(broken(), tmp_path / "eml")
        assert caught.value is error
        messages = aio.messages(broken())
        with pytest.raises(type(error)) as caught:
            [each async for each in messages]
        assert caught.value is error
        with pytest.raises(SourceError, match="cut off"):
            await anext(messages)

    run(check)
    whole = unmbox.convert(iter([BULK]), tmp_path / "eml")
    assert whole.already > 5, "what was whole is there"
    assert whole.already + whole.messages == 30


@pytest.mark.parametrize("method", ["open", "write", "commit"])
@pytest.mark.parametrize("long", [False, True])
def test_errors_of_a_sink_come_out_as_they_are(run: Run, method: str, long: bool) -> None:
    error = MineError("mine")

    async def fail(*_: Any) -> None:
        raise error

    store = Store()
    octets = mailbox([mail(1, LONG)]) if long else MANY
    with (
        mock.patch.object(Store if method == "open" else Upload, method, fail),
        pytest.raises(MineError) as caught,
    ):
        run(aio.convert, io.BytesIO(octets), store)
    assert caught.value is error
    assert not store.files
    assert store.open_now == 0


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("method", ["open", "write", "commit"])
def test_a_sink_that_waits_for_what_was_cancelled_loses_nothing(
    run_asyncio: Run,
    method: str,
    concurrency: int,
    tmp_path: Path,
    expected: Callable[[bytes], dict[str, bytes]],
) -> None:
    store, again, manifest = Store(), Store(), tmp_path / "record.sqlite"

    async def check() -> None:
        waited_for = asyncio.ensure_future(asyncio.sleep(60))
        waited_for.cancel()
        owner: Any = Store if method == "open" else Upload
        usual = getattr(owner, method)

        async def wait(self: Any, *given: Any) -> Any:
            if store.begun >= 30:
                await waited_for
            return await usual(self, *given)

        with mock.patch.object(owner, method, wait), pytest.raises(asyncio.CancelledError):
            await aio.convert(io.BytesIO(MANY), store, manifest=manifest, concurrency=concurrency)
        assert store.open_now == 0
        await aio.convert(io.BytesIO(MANY), again, manifest=manifest)

    run_asyncio(check)
    assert store.files | again.files == expected(MANY)


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_progress_is_told_in_the_loop_and_its_errors_come_out(
    run: Run, kind: str, path: Path, tmp_path: Path
) -> None:
    error, told_in = MineError("mine"), []

    def progress(at: unmbox.Progress) -> None:
        told_in.append(threading.current_thread())
        if at.octets == len(MIXED) and len(told_in) > 1:
            raise error

    async def awaited(at: unmbox.Progress) -> None:
        await anyio.lowlevel.checkpoint()
        progress(at)

    call = progress if kind == "function" else awaited
    with mock.patch("unmbox._report._TICK", 0), pytest.raises(MineError) as caught:
        run(lambda: aio.convert(path, tmp_path / "eml", progress=call))
    assert caught.value is error
    assert set(told_in) == {threading.main_thread()}


# -- cancellation ----------------------------------------------------------------------------------------


def undisturbed(octets: bytes, folder: Path) -> Left:
    unmbox.convert(iter([octets]), folder)
    return left(folder)


@pytest.mark.parametrize("after", [0, 9, 15])
def test_cancelled_at_a_chunk_it_goes_on_from_there(run: Run, after: int, tmp_path: Path) -> None:
    scope: Any = mock.Mock()

    async def stalling() -> AsyncIterator[bytes]:
        for number in range(after):
            yield BULK[number * 250_000 : (number + 1) * 250_000]
        scope.cancel()
        await anyio.sleep(60)

    async def check() -> None:
        nonlocal scope
        with anyio.CancelScope() as scope:
            await aio.convert(stalling(), tmp_path / "eml")
        assert scope.cancelled_caught
        await aio.convert(pieces(BULK, 100_000), tmp_path / "eml")

    with small(batch=3):
        run(check)
    assert left(tmp_path / "eml") == undisturbed(BULK, tmp_path / "whole")


@pytest.mark.parametrize("after", [0, 1, 3, 9])
def test_cancelled_in_the_middle_of_a_file(run: Run, after: int, path: Path, tmp_path: Path) -> None:
    calls = 0
    scope: Any = mock.Mock()

    def progress(at: unmbox.Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == after + 1:
            scope.cancel()

    async def check() -> None:
        nonlocal scope
        with anyio.CancelScope() as scope:
            await aio.convert(path, tmp_path / "eml", progress=progress)
        assert scope.cancelled_caught
        await aio.convert(path, tmp_path / "eml")

    with mock.patch("unmbox._report._TICK", 0), small(batch=2):
        run(check)
    unmbox.convert(path, tmp_path / "whole")
    assert left(tmp_path / "eml") == left(tmp_path / "whole")


@pytest.mark.parametrize("times", [1, 5])
def test_cancelled_by_asyncio_itself(run_asyncio: Run, times: int, tmp_path: Path) -> None:
    async def check() -> None:
        stalled = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield BULK[: len(BULK) * 3 // 4]
            stalled.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(aio.convert(stalling(), tmp_path / "eml"))
        await stalled.wait()
        for _ in range(times):
            task.cancel("enough")
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aio.convert(stalling(), tmp_path / "eml"), 0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(seen_async(stalling()), 0.05)
        assert len(asyncio.all_tasks()) == 1
        await aio.convert(pieces(BULK), tmp_path / "eml")

    run_asyncio(check)
    assert left(tmp_path / "eml") == undisturbed(BULK, tmp_path / "whole")


@pytest.mark.parametrize("octets", [MANY, mailbox([mail(1, LONG)])], ids=["many", "long"])
def test_cancelled_in_an_upload(
    run: Run, octets: bytes, tmp_path: Path, expected: Callable[[bytes], dict[str, bytes]]
) -> None:
    manifest, first, second = tmp_path / "record.sqlite", Store(wait=60), Store()

    async def check() -> None:
        with anyio.CancelScope() as scope:
            first.at_commit = scope.cancel
            await aio.convert(io.BytesIO(octets), first, manifest=manifest)
        assert scope.cancelled_caught
        assert first.open_now == 0
        assert first.discarded == first.begun > 0
        await aio.convert(io.BytesIO(octets), second, manifest=manifest)

    run(check)
    assert first.files == {}
    assert second.files == expected(octets)


def test_cancelled_while_a_file_is_read(run: Run, path: Path) -> None:
    async def check() -> None:
        with anyio.CancelScope() as scope:
            async for each in aio.messages(path):
                scope.cancel()
                await each.as_bytes()
        assert scope.cancelled_caught
        found = []
        messages = aio.messages(path)
        for _ in range(7):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(messages)
            found.append((await anext(messages)).offset)
        assert found == [offset for offset, *_ in seen(path)], "nothing is lost"

    run(check)


def test_a_thread_that_is_busy_is_waited_for(run: Run, tmp_path: Path) -> None:
    begun, finished = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield MANY
        begun.set()
        finished.wait(0.1)
        finished.set()

    async def check() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(aio.convert, slow(), tmp_path / "eml")
                await anyio.to_thread.run_sync(begun.wait)
                scope.cancel()
        assert finished.is_set()

    run(check)


def test_workers_that_are_busy_are_not_waited_for(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.mbox"
    path.write_bytes(BULK)
    deaf = "import sys, time; sys.stdin.buffer.read(1); time.sleep(300)"
    heard: list[int] = []
    scope: Any = mock.Mock()

    def progress(at: unmbox.Progress) -> None:
        heard.append(at.octets)
        if len(heard) == 3:
            scope.cancel()

    async def check() -> None:
        nonlocal scope
        with anyio.CancelScope() as scope, anyio.fail_after(60):
            await aio.convert(path, tmp_path / "eml", jobs=2, progress=progress)
        assert scope.cancelled_caught

    with mock.patch("unmbox._crew._CODE", deaf), mock.patch("unmbox._ranges._LEAST", 1 << 10):
        run(check)
    run(lambda: aio.convert(path, tmp_path / "eml"))
    unmbox.convert(path, tmp_path / "whole")
    assert left(tmp_path / "eml") == left(tmp_path / "whole")


# -- many at a time --------------------------------------------------------------------------------------


def test_twenty_at_once(run: Run, tmp_path: Path) -> None:
    async def check() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(aio.convert, pieces(MANY), tmp_path / str(number))

    run(check)
    whole = undisturbed(MANY, tmp_path / "whole")
    assert all(left(tmp_path / str(number)) == whole for number in range(20))


@pytest.mark.parametrize("where", ["memory", "file"])
def test_twenty_at_once_with_one_index(run: Run, where: str, tmp_path: Path) -> None:
    reports = []

    async def one(number: int, index: DedupIndex) -> None:
        reports.append(await aio.convert(pieces(MANY), tmp_path / str(number), dedup=index))

    async def check() -> None:
        with contextlib.closing(DedupIndex(tmp_path / "index" if where == "file" else None)) as index:
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(one, number, index)

    with small(batch=3):
        run(check)
    assert sum(report.written for report in reports) == 100, "each mail once, wherever it came first"


MEMORY = """
import resource, sys, anyio, unmbox, sqlite3, chardet
from unmbox import aio

async def pieces():
    line = b"From a@b.example Tue Mar 19 09:13:51 2019\\n"
    for number in range(60):
        yield line + b"Subject: x\\nMessage-ID: <%d@x>\\n\\n" % number + b"A line of text\\n" * 4000 + b"\\n"
        await anyio.lowlevel.checkpoint()

async def main():
    async with anyio.create_task_group() as tasks:
        for number in range(int(sys.argv[1])):
            tasks.start_soon(aio.convert, pieces(), f"{sys.argv[2]}/{number}")

anyio.run(main)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_each_of_twenty_costs_a_fixed_amount(tmp_path: Path) -> None:
    def peak(number: int) -> int:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(number), str(tmp_path / str(number))],
            capture_output=True, text=True, check=True, env=bare,
        )  # fmt: skip
        return int(done.stdout) >> 10 * (sys.platform == "darwin")

    assert (peak(20) - peak(1)) / 19 < 12


# -- the extra -------------------------------------------------------------------------------------------


def test_without_the_extra_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['anyio'] = None; import unmbox; import unmbox.aio"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'unmbox[async]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", aio.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    reference = (Path(__file__).resolve().parents[1] / "docs" / "reference.md").read_text("utf-8")
    assert f"| `aio.{name}" in reference
    public = getattr(aio, name)
    assert public.__doc__
    if isinstance(public, type):
        methods = [each for key, each in vars(public).items() if callable(each) and key[0] != "_"]
        assert methods
        assert all(each.__doc__ for each in methods)
