"""When the world gives out: a sentence that says what to do, nothing lost, and a rerun that completes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import unmbox
from killing import small
from mails import column, emls, left, mail, mailbox
from unmbox import DestinationError, SourceError, cli, sinks, sources
from unmbox._verify import verify
from unmbox.manifest import MANIFEST_NAME, Manifest

DONE, DAMAGED, BAD_USE, STOPPED = 0, 1, 2, 3
MAILS = [mail(number, "A line of text.\n" * (number % 7 * 100)) for number in range(40)]


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    said: str

    def one_sentence(self) -> str:
        """What was said, which is a sentence for people."""
        assert self.said.startswith("unmbox: "), self.said
        assert self.said.count("\n") == 1, self.said
        assert "Errno" not in self.said
        assert "Traceback" not in self.said
        return self.said


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.mbox"
    path.write_bytes(mailbox(MAILS))
    return path


@pytest.fixture
def eml(tmp_path: Path) -> Path:
    return tmp_path / "eml"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The EMLs of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "a.mbox").write_bytes(mailbox(MAILS))
    unmbox.convert(folder / "a.mbox", folder / "eml")
    return emls(folder / "eml")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """The command, in this process so that the system's calls can be made to fail, in batches of five."""
    monkeypatch.setattr(cli, "_heed_signals", lambda: None)

    def run(*arguments: str | Path) -> Done:
        capsys.readouterr()
        status = cli.main([*map(str, arguments)])
        out, err = capsys.readouterr()
        assert status == DONE or not out
        return Done(status, err)

    with small(5):
        yield run


@contextmanager
def running(*arguments: str | Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command, as a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "unmbox", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def end_of(process: subprocess.Popen[bytes], given: bytes = b"") -> Done:
    out, err = process.communicate(given, timeout=300)
    assert process.returncode == DONE or not out
    return Done(process.returncode, err.decode())


def run(*arguments: str | Path, given: bytes = b"", **more: Any) -> Done:
    """The command, as a process of its own, to its end."""
    with running(*arguments, **more) as process:
        return end_of(process, given)


def assert_intact(eml: Path, whole: dict[str, bytes]) -> int:
    """All that is there is complete and recorded; the number of EMLs."""
    found = emls(eml)
    assert found.items() <= whole.items()
    assert [path.name for path in eml.rglob(".*")] == []
    assert {each.kind for each in verify(eml).problems} <= {"interrupted", "unfinished", "foreign"}
    return len(found)


class Failing:
    """Some module's `os`, of which one call fails from its `after`-th use on, or `close` that one time."""

    def __init__(self, call: str, number: int, after: int) -> None:
        self._call = call
        self._number = number
        self._left = after

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if name != self._call:
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if name == "close":  # what fails is writing back; the descriptor is gone all the same
                os.close(*args)
                if self._left != -1:
                    return None
            if self._left < 0:
                raise OSError(self._number, os.strerror(self._number))
            return value(*args, **kwargs)

        return call


@contextmanager
def failing(module: Any, call: str, number: int, after: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "os", Failing(call, number, after))
        yield


# -- the destination -------------------------------------------------------------------------------------

FULL = "the disk is full; free some space and run the same again"
BARRED = "permission denied; choose a folder that you may write to"
READ_ONLY = "the file system is read-only; choose another destination"


@pytest.mark.parametrize(
    ("call", "number", "said"),
    [
        ("write", errno.ENOSPC, FULL),
        ("open", errno.ENOSPC, FULL),
        ("link", errno.ENOSPC, FULL),
        ("mkdir", errno.ENOSPC, FULL),
        ("write", errno.EDQUOT, "the disk quota is used up"),
        ("write", errno.EIO, os.strerror(errno.EIO)),
        ("close", errno.EIO, os.strerror(errno.EIO)),
        ("link", errno.EACCES, BARRED),
        ("open", errno.EACCES, BARRED),
        ("mkdir", errno.EPERM, BARRED),
        ("link", errno.EROFS, READ_ONLY),
        ("open", errno.EMFILE, os.strerror(errno.EMFILE)),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else None,
)
@pytest.mark.parametrize("after", [1, 13, 31])
def test_a_destination_that_gives_out_under_way(
    call: str, number: int, said: str, after: int, source: Path, eml: Path, whole: Any, command: Any
) -> None:
    # The sink's own first calls find out what the system can do.
    skipped = {"write": 0, "open": 5, "link": 1, "mkdir": 0, "close": 2}[call]
    after = 1 if call == "mkdir" else after
    with failing(sinks, call, number, skipped + after):
        done = command("convert", source, eml)
    assert done.status == STOPPED
    assert f"cannot write {eml}" in done.one_sentence()
    assert said in done.said
    assert_intact(eml, whole)
    assert command("convert", source, eml).status == DONE
    assert emls(eml) == whole
    assert verify(eml, sources=source).ok


@pytest.mark.parametrize("after", [3, 9])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("database or disk is full", "the disk is full; free some space and run the same again"),
        ("disk I/O error", "the disk reports an error; run the same again"),
        ("attempt to write a readonly database", "permission denied, or the file system is read-only"),
    ],
)
def test_a_manifest_that_gives_out_under_way(
    fault: str,
    said: str,
    after: int,
    source: Path,
    eml: Path,
    whole: Any,
    command: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit, commits = Manifest._commit, 0

    def failing_commit(manifest: Manifest) -> None:
        nonlocal commits
        commits += 1
        if commits >= after:
            raise sqlite3.OperationalError(fault)
        commit(manifest)

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "_commit", failing_commit)
        done = command("convert", source, eml)
    assert done.status == STOPPED
    assert MANIFEST_NAME in done.one_sentence()
    assert said in done.said
    assert assert_intact(eml, whole) == (after - 3) * 5
    assert command("convert", source, eml).status == DONE
    assert emls(eml) == whole
    assert verify(eml, sources=source).ok


def mounted(folder: Path, *options: str) -> bool:
    """Whether a file system of its own could be mounted there."""
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and not subprocess.run(command, check=False, capture_output=True).returncode


@pytest.mark.parametrize("way", ["a small disk", "a limit"])
def test_a_disk_that_is_really_full(way: str, tmp_path: Path, source: Path) -> None:
    """The system's own refusal: of a small file system if one can be mounted, else of files over a limit."""
    source.write_bytes(mailbox([*MAILS, mail(50, "A line of text.\n" * 30_000), mail(51)]))
    unmbox.convert(source, tmp_path / "whole")
    whole = emls(tmp_path / "whole")
    disk = tmp_path / "disk"
    disk.mkdir()
    is_small = way == "a small disk" and mounted(disk, "-o", "size=600k")
    # Coverage's own file would meet the limit as well.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    limits: dict[str, Any] = {} if is_small else {"preexec_fn": limited, "env": env}
    try:
        for _ in range(2):  # the second time nothing was freed
            done = run("convert", source, disk / "eml", **limits)
            assert done.status == STOPPED
            assert f"cannot write {disk / 'eml'}" in done.one_sentence()
            assert emls(disk / "eml").items() < whole.items()
        if is_small:
            subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert run("convert", source, disk / "eml").status == DONE
        assert emls(disk / "eml") == whole
        assert verify(disk / "eml", sources=source).ok
    finally:
        if is_small:
            subprocess.run(["umount", str(disk)], check=True)


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.parametrize(
    ("number", "said", "status"),
    [
        (errno.EROFS, READ_ONLY, BAD_USE),
        (errno.EACCES, BARRED, BAD_USE),
        (errno.ENOSPC, FULL, STOPPED),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else None,
)
def test_a_destination_that_cannot_be_written_at_all(
    number: int, said: str, status: int, source: Path, eml: Path, command: Any
) -> None:
    with failing(sinks, "open", number, 1):
        done = command("convert", source, eml)
    assert done.status == status
    assert said in done.one_sentence()
    assert list(eml.iterdir()) == []


def test_a_read_only_file_system(tmp_path: Path, source: Path, command: Any) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    is_mounted = mounted(folder, "-o", "ro")
    try:
        with failing(sinks, "makedirs", errno.EROFS, 1000 if is_mounted else 0):
            done = command("convert", source, folder / "eml")
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)
    assert done.status == BAD_USE
    assert f"cannot write {folder / 'eml'}: {READ_ONLY}" in done.one_sentence()


@pytest.mark.parametrize("when", ["at the start", "under way"])
def test_a_file_of_the_users_stands_in_the_way(
    when: str, source: Path, eml: Path, whole: dict[str, bytes], command: Any
) -> None:
    unmbox.convert(source, eml.with_name("names"))
    names = column(eml.with_name("names"), "path")
    theirs = eml / (names[3] if when == "at the start" else names[33])
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"mine")
    for _ in range(2):
        done = command("convert", source, eml)
        assert done.status == BAD_USE
        assert f"cannot write {theirs}" in done.one_sentence()
        assert "already there and is not overwritten" in done.said
        assert theirs.read_bytes() == b"mine"
    theirs.unlink()
    assert_intact(eml, whole)
    assert command("convert", source, eml).status == DONE
    assert emls(eml) == whole


def test_a_folder_that_becomes_a_file_under_way(
    source: Path, eml: Path, whole: dict[str, bytes], command: Any, tmp_path: Path
) -> None:
    later = mail(99, "", date="Fri, 19 Apr 2019 18:13:51 +0900")
    source.write_bytes(mailbox([*MAILS, later]))
    (eml / "2019").mkdir(parents=True)
    (eml / "2019" / "04").write_bytes(b"mine")
    done = command("convert", source, eml)
    assert done.status == BAD_USE
    assert "a file or a link stands where a folder is needed" in done.one_sentence()
    (eml / "2019" / "04").unlink()
    assert_intact(eml, whole)
    assert command("convert", source, eml).status == DONE
    assert emls(eml).items() > whole.items()
    assert verify(eml, sources=source).ok


# -- the manifest ----------------------------------------------------------------------------------------


def test_a_manifest_in_use(source: Path, eml: Path, whole: dict[str, bytes]) -> None:
    unmbox.convert(source, eml)
    before = left(eml)
    with closing(sqlite3.connect(eml / MANIFEST_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = run("convert", source, eml)
    assert done.status == STOPPED
    assert "is in use by another run: wait for its end, or choose another" in done.one_sentence()
    assert left(eml) == before
    assert run("convert", source, eml).status == DONE


def test_a_destination_that_another_run_is_writing(source: Path, eml: Path, whole: dict[str, bytes]) -> None:
    with running("convert", "-", eml) as first:
        deadline = time.monotonic() + 30
        while not (eml / MANIFEST_NAME).exists() or not (eml / MANIFEST_NAME).stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        done = run("convert", source, eml)
        assert end_of(first).status == DONE
    assert done.status == STOPPED
    assert "is in use by another run" in done.one_sentence()
    assert run("convert", source, eml).status == DONE
    assert emls(eml) == whole


def other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine(x)")


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def overwritten(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xde\xad\xbe\xef" * 1024)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"This is a text of mine.\n" * 100), "is damaged, or no manifest of"),
        (lambda path: overwritten(path, 0), "is damaged, or no manifest of"),
        (lambda path: overwritten(path, 4096), "is damaged, or no manifest of"),
        (lambda path: os.truncate(path, path.stat().st_size // 2), "is damaged, or no manifest of"),
        (lambda path: os.truncate(path, 50), "is damaged, or no manifest of"),
        (other_database, "is no manifest of unmbox: move it"),
        (folder_instead, "a folder itself"),
    ],
    ids=["text", "head", "middle", "half", "stump", "database", "folder"],
)
def test_a_manifest_that_is_damaged_or_none(
    damage: Callable[[Path], object], said: str, source: Path, eml: Path, command: Any
) -> None:
    unmbox.convert(source, eml)
    path = eml / MANIFEST_NAME
    damage(path)
    octets = path.read_bytes() if path.is_file() else b""
    there = emls(eml)
    for more in ([], ["--no-resume"]):
        done = command("convert", source, eml, *more)
        assert done.status == BAD_USE
        assert said in done.one_sentence()
        assert (path.read_bytes() if path.is_file() else b"") == octets, "it is left as it is"
        assert emls(eml) == there
    path.rename(eml.with_name("moved away"))
    assert command("convert", source, eml).status == DONE
    assert emls(eml) == there
    assert verify(eml, sources=source).ok


# -- the source ------------------------------------------------------------------------------------------


READS_BEFORE = 5
"""Reads of a file before its mail is read: can it be, of what kind is it, what tells it from others?"""


@pytest.mark.parametrize("after", [1, 2])
def test_a_read_that_fails_in_the_middle(
    after: int, source: Path, eml: Path, command: Any, tmp_path: Path
) -> None:
    """Before 1 MiB has come nothing is settled and nothing written; from there on, all that came whole is."""
    filler = [mail(100 + number, "A line of text.\n" * 5000) for number in range(30)]
    source.write_bytes(mailbox([*MAILS, *filler]))
    unmbox.convert(source, tmp_path / "whole")
    chunks = (1 << 20) // sources.CHUNK
    with failing(sources, "read", errno.EIO, READS_BEFORE + chunks * after):
        done = command("convert", source, eml)
    assert done.status == STOPPED
    assert f"{source} cannot be read on at octet {after << 20}: Input/output error" in done.one_sentence()
    count = assert_intact(eml, emls(tmp_path / "whole"))
    assert count == (0 if after == 1 else sum(end < after << 20 for end in ends_of(tmp_path / "whole")))
    assert command("convert", source, eml).status == DONE
    assert emls(eml) == emls(tmp_path / "whole")
    assert verify(eml, sources=source).ok


def ends_of(eml: Path) -> list[int]:
    return [sum(pair) for pair in zip(column(eml, "offset"), column(eml, "length"), strict=True)]


def test_a_read_that_fails_tells_how_far_it_came(source: Path, eml: Path) -> None:
    with failing(sources, "read", errno.EIO, READS_BEFORE + 1), pytest.raises(SourceError) as caught:
        unmbox.convert(source, eml)
    assert caught.value.offset == sources.CHUNK
    assert caught.value.errno == errno.EIO


def test_a_source_that_cannot_be_opened(source: Path, eml: Path, command: Any, monkeypatch: Any) -> None:
    """Found before the other source is touched; root may read everything, so the system's word is made up."""
    other = source.with_name("b.mbox")
    other.write_bytes(mailbox(MAILS))

    class Barred(Failing):
        def __getattr__(self, name: str) -> Any:
            return self._open if name == "open" else getattr(os, name)

        def _open(self, path: Path, *args: Any) -> Any:
            if Path(path) == other:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return os.open(path, *args)

    monkeypatch.setattr(sources, "os", Barred("open", 0, 0))
    done = command("convert", source, other, eml)
    assert done.status == BAD_USE
    assert f"{other} cannot be read: Permission denied" in done.one_sentence()
    assert not eml.exists()


def test_a_source_that_shrinks_while_it_is_read(source: Path, eml: Path, command: Any) -> None:
    octets = mailbox([*MAILS, *(mail(100 + number, "A line of text.\n" * 5000) for number in range(40))])
    source.write_bytes(octets)
    reads = 0

    class Shrinking(Failing):
        def __getattr__(self, name: str) -> Any:
            if name == "read":
                nonlocal reads
                reads += 1
                if reads > READS_BEFORE:
                    os.truncate(source, 2_000_000)
            return getattr(os, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "os", Shrinking("read", 0, 0))
        done = command("convert", source, eml)
    assert done.status == STOPPED
    assert f"{source} ends at octet 2000000 and had {len(octets)}: it has shrunk" in done.one_sentence()
    done = command("convert", source, eml)
    assert done.status == BAD_USE
    assert "has changed since it was read" in done.one_sentence()
    assert "--no-resume" in done.said
    assert command("convert", source, eml, "--no-resume").status == DONE
    assert verify(eml, sources=source).ok
    source.write_bytes(octets)
    assert command("convert", source, eml, "--no-resume").status == DONE
    assert verify(eml, sources=source).ok


# -- signals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal(number: signal.Signals, status: int, tmp_path: Path, eml: Path) -> None:
    """All messages that had come whole are there, gathered or written; the rest comes with the next run."""
    large = mail(500, "line\n" * 300_000)  # is written at once, and all that was gathered before it
    octets = mailbox([*MAILS, large, *MAILS[:3], mail(501), large])
    unmbox.convert([octets], tmp_path / "whole")
    whole = emls(tmp_path / "whole")
    with running("convert", "-", eml) as process:
        assert process.stdin
        process.stdin.write(octets[:-1000])
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while len(emls(eml)) < len(MAILS) + 1:
            assert time.monotonic() < deadline, "it never came"
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(number)
        done = end_of(process)
    assert done.status == status
    assert number.name in done.one_sentence()
    assert "the same command again goes on" in done.said
    assert assert_intact(eml, whole) == len(whole)
    assert column(eml, "outcome").count("duplicate") == 3
    assert run("convert", "-", eml, given=octets).status == DONE
    assert emls(eml) == whole
    assert column(eml, "outcome").count("duplicate") == 4
    assert verify(eml).ok


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_file_is_converted(number: signal.Signals, tmp_path: Path, eml: Path) -> None:
    source = tmp_path / "large.mbox"
    source.write_bytes(mailbox(mail(each, "A line of text.\n" * 300) for each in range(2000)))
    done = Done(DONE, "")
    for _ in range(5):  # where the machine is busy, all may be done before the signal comes
        with running("convert", source, eml) as process:
            while not (eml / "2019").exists() and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(number)
            done = end_of(process)
        if done.status != DONE:
            break
        shutil.rmtree(eml)
    assert done.status == 128 + number
    done.one_sentence()
    assert {each.kind for each in verify(eml).problems} <= {"interrupted", "unfinished"}
    before = len(emls(eml))
    report = unmbox.convert(source, eml)
    assert report.already <= before < 2000
    assert report.already + report.messages == 2000
    assert len(emls(eml)) == 2000
    assert verify(eml, sources=source).ok


# -- a message that cannot be converted ------------------------------------------------------------------


def test_a_quarantined_message_is_told_by_the_exit_status(
    source: Path, eml: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_heed_signals", lambda: None)
    send = unmbox.EmlWriter.send

    def failing_send(writer: unmbox.EmlWriter, event: unmbox.Event) -> bytes:
        if isinstance(event, unmbox.Head) and b"Subject: Mail 7\n" in event.data:
            raise RecursionError("made up")
        return send(writer, event)

    with monkeypatch.context() as patch:
        patch.setattr(unmbox.EmlWriter, "send", failing_send)
        for _ in range(2):
            assert cli.main(["convert", str(source), str(eml), "--quiet"]) == DAMAGED
            assert len(emls(eml)) == len(MAILS)
            assert verify(eml).quarantined == 1
    assert cli.main(["convert", str(source), str(eml), "--quiet"]) == DONE
    assert emls(eml) == whole


# -- what goes wrong after what went wrong ---------------------------------------------------------------


def test_the_first_error_is_the_one_that_is_told(
    source: Path, eml: Path, whole: dict[str, bytes], command: Any
) -> None:
    """A source breaks off, and what was gathered cannot be written any more either."""
    with failing(sources, "read", errno.EIO, 1), failing(sinks, "write", errno.ENOSPC, 2):
        done = command("convert", source, eml)
    assert done.status == STOPPED
    assert "cannot be read on at octet" in done.one_sentence()
    assert command("convert", source, eml).status == DONE
    assert emls(eml) == whole


def test_errors_say_whether_a_run_was_under_way(source: Path, eml: Path) -> None:
    for call, after, under_way in (("open", 1, False), ("write", 7, True)):
        with failing(sinks, call, errno.EACCES, after), pytest.raises(DestinationError) as caught:
            unmbox.convert(source, eml)
        assert caught.value.under_way is under_way
        assert caught.value.errno == errno.EACCES
