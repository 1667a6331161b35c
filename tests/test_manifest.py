"""The manifest: a kill at any step changes nothing in the end, and nobody else's file is ever touched."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import ledger
from ledger import OPTIONS, Killed, Steps, mailbox, rows, run, tree
from unmbox._record import Digests, checksum
from unmbox._verify import verify
from unmbox.errors import DestinationError, UnmboxError, UsageError
from unmbox.manifest import (
    DUPLICATE,
    MANIFEST_NAME,
    MAX_CANDIDATES,
    WRITTEN,
    Batch,
    Manifest,
    Row,
    SourceState,
    Written,
    state_of,
    thread_id,
)

TESTS = Path(__file__).parent


def mail(number: int, labels: str = "Inbox", body: str = "") -> str:
    body = body or f"This is mail {number}.\nFrom here on: nothing.\n"
    return (
        f"Message-ID: <{number}@example.org>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= {number}\n"
        f"Date: Tue, 19 Mar 2019 09:13:{number:02} +0900\nX-GM-THRID: 16284247195020452{number:02}\n"
        f"X-Gmail-Labels: {labels}\nStatus: RO\n\n{body}"
    )


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Mailboxes with copies within and among them, junk, From_ lines in bodies, and one without any mail."""
    first = [
        mail(1),
        mail(2, "Sent"),
        mail(1, "Work"),
        mail(3),
        mail(2, "Inbox,Sent"),
        mail(2, body="another\n"),
    ]
    second = [mail(3, "Starred,Opened"), mail(7), "\nno header at all\n", mail(8), "\nno header at all\n"]
    octets = {
        "first.mbox": mailbox(*first),
        "second.mbox": b"\n\n" + mailbox(*second, newline="\r\n"),
        "empty.mbox": b"",
        "third.mbox": mailbox(*(mail(number) for number in range(7, 14)), mail(2, "Late")),
    }
    paths = []
    for name, data in octets.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    return paths


@pytest.fixture
def undisturbed(tmp_path: Path, sources: list[Path]) -> Path:
    """What a run that nobody disturbs makes of them."""
    run(tmp_path / "undisturbed", sources)
    return tmp_path / "undisturbed"


def nothing(written: Written) -> None:
    """For rows whose files never were."""


def open_manifest(folder: Path, **options: Any) -> Manifest:
    folder.mkdir(exist_ok=True)
    manifest = Manifest.open(folder / MANIFEST_NAME, OPTIONS, timeout=0.1, **options)
    try:
        manifest.undo_pending(nothing)
    except BaseException:
        manifest.close()
        raise
    return manifest


def row(number: int, source: SourceState, **other: Any) -> Row:
    return Row(
        number, source.id, 100 * number, 100, b"From x", None, "aa", "bb", WRITTEN, f"{number}.eml"
    )._replace(**other)


# -- what is written -----------------------------------------------------------------------------------


def test_every_message_has_a_row(undisturbed: Path, sources: list[Path]) -> None:
    table = rows(undisturbed)
    assert [source[1] for source in table["source"]] == [str(path) for path in sources]
    messages = [dict(zip(Row._fields, values, strict=False)) for values in table["message"]]
    assert [message["id"] for message in messages] == list(range(1, 20))
    first = messages[0]
    assert first["from_line"] == "From 0@example.org Tue Mar 19 09:13:51 +0000 2019"
    assert first["subject"] == "Grüße 1"
    assert first["date"] == "2019-03-19T09:13:01+09:00"
    assert first["thread_id"] == "1628424719502045201"
    assert json.loads(first["state"]) == {"read": True}
    eml = (undisturbed / first["path"]).read_bytes()
    assert eml.startswith(b"Message-ID: <1@example.org>\r\nSubject: =?utf-8")
    assert len(eml) == first["head_size"] + first["body_size"]
    copies = {
        message["id"]: message["duplicate_of"] for message in messages if message["outcome"] == DUPLICATE
    }
    assert copies == {3: 1, 5: 2, 7: 4, 11: 9, 12: 8, 13: 10, 19: 2}
    assert all(message["path"] is None for message in messages if message["outcome"] == DUPLICATE)


def test_labels_of_copies_are_merged(undisturbed: Path) -> None:
    labels = {values[0]: json.loads(values[15]) for values in rows(undisturbed)["message"]}
    assert labels[1] == ["Inbox", "Work"]
    assert labels[2] == ["Sent", "Inbox", "Late"]
    assert labels[3] == ["Work"]
    assert labels[4] == ["Inbox", "Starred", "Opened"]


def test_junk_and_rows_tile_each_source(undisturbed: Path, sources: list[Path]) -> None:
    table = rows(undisturbed)
    for path, source in zip(sources, table["source"], strict=True):
        lengths = [values[3] for values in table["message"] if values[1] == source[0]]
        assert source[5] + sum(lengths) == path.stat().st_size == source[2]
        assert source[10] == len(lengths)


def test_repairs_refusals_places_and_candidates_are_kept(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        batch = Batch(rows=[row(1, source)], sources=[source])
        batch.repairs.append((1, "code", "Subject", False, "breaks x"))
        batch.refusals.append((1, "zoho", "too large"))
        batch.files.append((1, "b.zip", "1.eml"))
        batch.add_candidate(source, 7, b"From \xff", "reason")
        batch.add_candidate(source, 9, "From é".encode(), "reason")
        manifest.commit(batch)
        manifest.settle()
    table = rows(tmp_path)
    assert table["repair"] == [(1, "code", "Subject", 0, "breaks x")]
    assert table["refusal"] == [(1, "zoho", "too large")]
    assert table["file"] == [(1, "b.zip", "1.eml")]
    said = [(1, 7, b"From \xff", "rejected", "reason"), (1, 9, "From é", "rejected", "reason")]
    assert table["candidate"] == said


def test_candidates_are_counted_beyond_what_is_kept(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        batch = Batch(sources=[source])
        for number in range(MAX_CANDIDATES + 5):
            batch.add_candidate(source, number, b"From x", "reason")
        manifest.commit(batch)
    assert len(rows(tmp_path)["candidate"]) == MAX_CANDIDATES
    assert rows(tmp_path)["source"][0][11] == MAX_CANDIDATES + 5


def test_text_that_has_no_utf8_is_stored_all_the_same(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        wild = row(
            1,
            source,
            from_line=b"From \xff\x00",
            subject="a\udcffb\x00c",
            labels=("\udce9", "é"),
            sender="x\udc80",
        )
        manifest.commit(Batch(rows=[wild._replace(state={"read": True})], sources=[source]))
        manifest.settle()
    message = rows(tmp_path)["message"][0]
    assert message[4] == b"From \xff\x00"
    assert message[12] == "x\ufffd"
    assert message[14] == "a\ufffdb\x00c"
    assert json.loads(message[15]) == ["\ufffd", "é"]
    assert verify(tmp_path).problems[0].kind != "row"


def test_a_stream_has_its_size_at_its_end(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("stream:1", size=None, mtime=None, digest=None, scheme="stream")
        manifest.commit(Batch(sources=[source]))
        assert manifest.source("stream:1", size=None, mtime=None, digest=None).done is False
        source.size, source.offset, source.done = 5, 5, True
        source.newline = b"\r"
        manifest.commit(Batch(sources=[source]))
        manifest.settle()
        assert manifest.source("stream:1", size=None, mtime=None, digest=None) == source


# -- interrupted runs ----------------------------------------------------------------------------------


def finish_after(folder: Path, sources: list[Path], *lasts: int) -> list[str]:
    """Convert, stopped at these steps of one run after the other; returns the steps that were the last."""
    stopped = []
    for last in lasts:
        try:
            run(folder, sources, Steps(last))
        except Killed as killed:
            stopped.append(str(killed))
    run(folder, sources)
    return stopped


def test_a_kill_at_any_step_changes_nothing_in_the_end(
    tmp_path: Path, sources: list[Path], undisturbed: Path
) -> None:
    steps = Steps()
    run(tmp_path / "counted", sources, steps)
    assert {"opened", "part written", "before commit", "committed", "renamed", "settled"} <= set(steps.names)
    wanted = rows(undisturbed), tree(undisturbed)
    for last in range(len(steps.names)):
        folder = tmp_path / f"killed-{last}"
        assert finish_after(folder, sources, last) == [steps.names[last]]
        assert (rows(folder), tree(folder)) == wanted, f"after {steps.names[last]} ({last})"
        assert verify(folder, sources=sources).ok


def test_so_do_two_and_three_kills(tmp_path: Path, sources: list[Path], undisturbed: Path) -> None:
    wanted = rows(undisturbed), tree(undisturbed)
    dice = random.Random(4)
    for number in range(40):
        folder = tmp_path / f"killed-{number}"
        finish_after(folder, sources, *(dice.randrange(1, 30) for _ in range(dice.choice([2, 3]))))
        assert (rows(folder), tree(folder)) == wanted


def test_no_step_leaves_what_verify_would_not_name(tmp_path: Path, sources: list[Path]) -> None:
    steps = Steps()
    run(tmp_path / "counted", sources, steps)
    for last in range(1, len(steps.names) - 2):
        folder = tmp_path / f"killed-{last}"
        with pytest.raises(Killed):
            run(folder, sources, Steps(last))
        problems = verify(folder).problems
        kinds = {problem.kind for problem in problems}
        assert kinds <= {"interrupted", "unfinished", "temporary"}, f"after {steps.names[last]}: {problems}"
        assert ("interrupted" in kinds) == (steps.names[last] in {"committed", "renamed", "read"}) or (
            # The next batch is under way, and what it would confirm is not yet.
            "interrupted" in kinds and steps.names[last] in {"deduplicated", "part written", "before commit"}
        )


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ledger import Steps, run
folder, last, *sources = sys.argv[2:]
steps = Steps(int(last), lambda: os.kill(os.getpid(), signal.SIGKILL))
run(Path(folder), [Path(name) for name in sources], steps)
"""


@pytest.mark.parametrize(
    "name", ["deduplicated", "part written", "before commit", "committed", "renamed", "read"]
)
def test_a_real_kill(tmp_path: Path, sources: list[Path], undisturbed: Path, name: str) -> None:
    steps = Steps()
    run(tmp_path / "counted", sources, steps)
    last = [number for number, each in enumerate(steps.names) if each == name][-1]
    folder = tmp_path / "killed"
    arguments = [str(folder), str(last), *map(str, sources)]
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(TESTS), *arguments], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    run(folder, sources)
    assert (rows(folder), tree(folder)) == (rows(undisturbed), tree(undisturbed))
    assert {path.name for path in folder.iterdir()} == {"2019", MANIFEST_NAME}


def test_a_kill_in_the_middle_of_sqlites_own_writing(tmp_path: Path) -> None:
    folder, copy = tmp_path / "a", tmp_path / "b"
    with open_manifest(folder) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        manifest.commit(Batch(rows=[row(1, source)], sources=[source]))
        manifest.settle()
        # So small a cache that pages go to the file long before the commit, with their former octets in
        # the journal: what a kill at this moment leaves.
        manifest.connection.execute("PRAGMA cache_size = 5")
        filler = [("x" * 3000,)] * 200
        manifest.connection.executemany("UPDATE message SET subject = ?", [("y" * 3000,)])
        manifest.connection.executemany("INSERT INTO refusal VALUES(1, 'p', ?)", filler)
        copy.mkdir()
        for name in (MANIFEST_NAME, MANIFEST_NAME + "-journal"):
            # As other processes see the files; opening them here would give up the lock.
            subprocess.run(["cp", str(folder / name), str(copy / name)], check=True)
    assert (copy / f"{MANIFEST_NAME}-journal").stat().st_size > 0
    assert (copy / MANIFEST_NAME).stat().st_size > (folder / MANIFEST_NAME).stat().st_size
    with open_manifest(copy) as manifest:
        assert manifest.next_id == 2
    assert rows(copy) == rows(folder)


def test_a_file_that_is_not_what_was_written_stays(tmp_path: Path, sources: list[Path]) -> None:
    steps = Steps()
    run(tmp_path / "counted", sources, steps)
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        run(folder, sources, Steps(steps.names.index("renamed")))
    (eml,) = [name for name in tree(folder) if name.endswith(".eml")]
    (folder / eml).write_bytes(b"mine now")
    with Manifest.open(folder / MANIFEST_NAME, OPTIONS) as manifest:
        given: list[Written] = []
        assert manifest.undo_pending(given.append) == 3
    assert eml in [written.path for written in given]
    assert not any(written.is_at(folder / written.path) for written in given)


def test_settling_forgets_what_was_not_committed(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        manifest.commit(Batch(rows=[row(1, source)], sources=[source]))
        manifest.connection.execute("INSERT INTO meta VALUES('half', 'done')")
        manifest.settle()
    assert "half" not in dict(rows(tmp_path)["meta"])
    with closing(sqlite3.connect(tmp_path / MANIFEST_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM pending").fetchone() == (0,)


def test_closing_leaves_the_last_batch_pending(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        manifest.commit(Batch(rows=[row(1, source)], sources=[source]))
        source.offset, source.junk = 200, 100
        manifest.commit(Batch(rows=[row(2, source)], sources=[source], files=[(2, None, "copy.eml")]))
    removed: list[Written] = []
    with Manifest.open(tmp_path / MANIFEST_NAME, OPTIONS) as manifest:
        assert manifest.undo_pending(removed.append) == 1
        assert [written.path for written in removed] == ["2.eml", "copy.eml"]
        assert manifest.next_id == 2
        again = manifest.source("a", size=200, mtime=1, digest="d")
        assert (again.offset, again.junk, again.messages) == (0, 0, 1)


# -- the next run --------------------------------------------------------------------------------------


def test_next_months_export_adds_only_what_is_new(tmp_path: Path, sources: list[Path]) -> None:
    folder = tmp_path / "eml"
    run(folder, sources)
    before, files = rows(folder), tree(folder)
    run(folder, sources)
    assert (rows(folder), tree(folder)) == (before, files)
    new = tmp_path / "april.mbox"
    new.write_bytes(mailbox(mail(7, "April"), mail(30), mail(31)))
    run(folder, [*sources, new])
    assert tree(folder).items() > files.items()
    assert len(tree(folder)) == len(files) + 2
    assert [values[8] for values in rows(folder)["message"][-3:]] == [DUPLICATE, WRITTEN, WRITTEN]
    assert verify(folder, sources=[*sources, new]).ok


def test_what_was_quarantined_is_tried_again_and_nothing_else(
    tmp_path: Path, sources: list[Path], undisturbed: Path
) -> None:
    folder = tmp_path / "eml"
    broken = [b"is mail 8", b"is mail 11"]
    run(folder, sources, broken=broken)
    said = verify(folder)
    assert (said.problems, said.quarantined, said.written) == ((), 3, 10)
    run(folder, sources, broken=broken)
    assert verify(folder).to_dict() == said.to_dict()
    before = rows(folder)["message"]
    for last in ("retried", "quarantine left"):
        with pytest.raises(Killed, match=last):
            run(folder, sources, Steps(["opened", "undone", "retried", "quarantine left"].index(last)))
    run(folder, sources)
    after = rows(folder)["message"]
    assert [new[0] for old, new in zip(before, after, strict=True) if old != new] == [10, 13, 16]
    assert [(new[8], new[10]) for new in after if new[0] == 13] == [(DUPLICATE, 10)]
    assert tree(folder) == tree(undisturbed)
    assert after == rows(undisturbed)["message"]
    assert verify(folder, sources=sources).ok


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "size"),
        (lambda path: os.utime(path, (1, 1)), "time of change"),
    ],
    ids=["longer", "touched"],
)
def test_a_source_that_changed_is_refused(
    tmp_path: Path, sources: list[Path], change: Callable[[Path], object], what: str
) -> None:
    run(tmp_path / "eml", sources)
    before = rows(tmp_path / "eml")
    change(sources[1])
    with pytest.raises(UsageError, match=rf"second.mbox has changed .*its {what} is another.*--no-resume"):
        run(tmp_path / "eml", sources)
    assert rows(tmp_path / "eml") == before


def test_a_source_that_changed_in_place_is_refused(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        manifest.commit(Batch(sources=[manifest.source("a", size=200, mtime=1, digest="d")]))
        with pytest.raises(UsageError, match="its content is another"):
            manifest.source("a", size=200, mtime=1, digest="e")
        with pytest.raises(UsageError, match="has changed"):
            manifest.source("a", size=None, mtime=None, digest=None)


def test_a_source_that_is_not_yet_stored_is_one_and_the_same(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        first = manifest.source("a", size=1, mtime=1, digest="d")
        assert manifest.source("a", size=1, mtime=1, digest="d") is first
        assert manifest.source("b", size=1, mtime=1, digest="d").id == 2


def test_a_stream_is_matched_row_by_row(tmp_path: Path) -> None:
    def known(manifest: Manifest) -> SourceState:
        return manifest.source("stream:1", size=None, mtime=None, digest=None, scheme="stream")

    with open_manifest(tmp_path) as manifest:
        stream, other = known(manifest), manifest.source("b", size=9, mtime=1, digest="d")
        pair = [row(1, stream), row(2, other), row(3, stream, head_sha256=None, body_sha256="cc")]
        stream.offset, stream.messages = 400, 0
        manifest.commit(Batch(rows=pair, sources=[stream, other]))
        manifest.settle()
    with open_manifest(tmp_path) as manifest:
        stream = known(manifest)
        assert stream.messages == 2
        for _ in range(2):
            manifest.replays.match_row(stream, 100, "aa", "bb")
            manifest.replays.match_row(stream, 300, "aa", "cc")
            manifest.replays.match_end(stream, 400)
        manifest.replays.match_end(stream, 500)
        for offset, head, body in [(101, "aa", "bb"), (100, "ab", "bb"), (100, "aa", "bc")]:
            with pytest.raises(UsageError, match=rf"the message at octet {offset} is another"):
                manifest.replays.match_row(stream, offset, head, body)
            manifest.replays.match_end(stream, 400)
        with pytest.raises(UsageError, match="ends at octet 399 and had 400"):
            manifest.replays.match_end(stream, 399)
        stream.done = True
        with pytest.raises(UsageError, match="goes on behind octet 400"):
            manifest.replays.match_end(stream, 401)
        manifest.replays.match_row(stream, 100, "aa", "bb")
        manifest.replays.match_row(stream, 300, "aa", "cc")
        with pytest.raises(UsageError, match="octet 500 is another"):
            manifest.replays.match_row(stream, 500, "aa", "cc")


# -- afresh --------------------------------------------------------------------------------------------


def test_starting_afresh_leaves_nothing_stale_and_takes_nothing_of_others(
    tmp_path: Path, sources: list[Path], undisturbed: Path
) -> None:
    steps = Steps()
    folder = tmp_path / "eml"
    run(folder, [*sources[2:]])
    (folder / "2019" / "mine.eml").write_bytes(b"mine")
    run(folder, sources, steps, afresh=True)
    assert steps.names.count("before removal") == 8
    assert rows(folder) == rows(undisturbed)
    assert tree(folder) == tree(undisturbed) | {"2019/mine.eml": b"mine"}


def test_a_kill_while_starting_afresh(tmp_path: Path, sources: list[Path], undisturbed: Path) -> None:
    for last in range(12):
        folder = tmp_path / f"killed-{last}"
        run(folder, sources[2:])
        with pytest.raises(Killed):
            run(folder, sources, Steps(last), afresh=True)
        kinds = {problem.kind for problem in verify(folder).problems}
        assert kinds <= {"interrupted", "unfinished", "temporary"}
        run(folder, sources)
        assert (rows(folder), tree(folder)) == (rows(undisturbed), tree(undisturbed))


def test_afresh_the_options_may_differ(tmp_path: Path, sources: list[Path]) -> None:
    run(tmp_path / "eml", sources)
    other = {**OPTIONS, "newline": "lf"}
    with Manifest.open(tmp_path / "eml" / MANIFEST_NAME, other, afresh=True) as manifest:
        pass
    with Manifest.open(tmp_path / "eml" / MANIFEST_NAME, other) as manifest:
        assert manifest.undo_pending(nothing) == 19
        assert manifest.source("a", size=1, mtime=1, digest="d").id == 1
    size = (tmp_path / "eml" / MANIFEST_NAME).stat().st_size
    with open_manifest(tmp_path / "new"):
        pass
    assert size == (tmp_path / "new" / MANIFEST_NAME).stat().st_size
    with pytest.raises(UsageError, match="newline: lf, now crlf"):
        open_manifest(tmp_path / "eml")


# -- refusals ------------------------------------------------------------------------------------------


def test_other_options_are_named(tmp_path: Path) -> None:
    with open_manifest(tmp_path):
        pass
    other = {"headers": "repair", "newline": "crlf", "variant": "auto", "layout": "{hash}", "dedup": "off"}
    with pytest.raises(UsageError) as caught:
        Manifest.open(tmp_path / MANIFEST_NAME, other)
    said = str(caught.value)
    assert "headers: preserve, now repair" in said
    assert "layout: none, now {hash}" in said
    assert "variant" not in said
    assert "another destination" in said


def test_a_manifest_in_use_is_refused_until_its_holder_dies(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from unmbox.manifest import Manifest\n"
        f"manifest = Manifest.open(sys.argv[1], {OPTIONS!r})\nprint('open', flush=True)\nsys.stdin.read()"
    )
    path = tmp_path / MANIFEST_NAME
    arguments = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        for again in (lambda: Manifest.open(path, OPTIONS, timeout=0.1), lambda: verify(tmp_path)):
            with pytest.raises(DestinationError, match="in use by another run"):
                again()
        holder.kill()
        holder.wait()
        with open_manifest(tmp_path) as manifest:
            assert manifest.next_id == 1


def test_a_second_run_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with open_manifest(tmp_path), pytest.raises(DestinationError, match="in use"):
        open_manifest(tmp_path)
    with open_manifest(tmp_path):
        pass


def foreign_text(path: Path) -> None:
    path.write_bytes(b"Dear diary, this is no database.\n" * 100)


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta(key, value)")
        connection.execute("INSERT INTO meta VALUES('schema', '1')")
        connection.commit()


def other_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


def edit(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with open_manifest(path.parent):
            pass
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
            connection.commit()

    return change


def truncated(path: Path) -> None:
    with open_manifest(path.parent):
        pass
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path: Path) -> None:
    with open_manifest(path.parent):
        pass
    octets = bytearray(path.read_bytes())
    octets[4096:8192] = b"\xff" * 4096
    path.write_bytes(octets)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (foreign_text, "damaged, or no manifest of unmbox"),
        (foreign_database, "no manifest of unmbox"),
        (other_application, "no manifest of unmbox"),
        (truncated, "damaged"),
        (overwritten, "damaged"),
        (
            edit("UPDATE meta SET value = '3' WHERE key = 'schema'"),
            "newer than this one .schema 3, not 2.: update",
        ),
        (edit("UPDATE meta SET value = '0' WHERE key = 'schema'"), "older than this one"),
        (edit("UPDATE meta SET value = 'x' WHERE key = 'schema'"), "damaged"),
        (edit("DELETE FROM meta"), "damaged"),
        (edit("DROP TABLE meta"), "damaged"),
    ],
    ids=[
        "text",
        "database",
        "application",
        "short",
        "overwritten",
        "newer",
        "older",
        "nonsense",
        "unversioned",
        "tableless",
    ],
)
def test_what_cannot_be_used_is_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / MANIFEST_NAME
    make(path)
    before = path.read_bytes()
    for afresh in (False, True):
        with pytest.raises(DestinationError, match=said):
            open_manifest(tmp_path, afresh=afresh)
        assert path.read_bytes() == before
    with pytest.raises(DestinationError, match=said):
        verify(tmp_path)


def test_a_table_that_is_gone(tmp_path: Path) -> None:
    edit("DROP TABLE pending")(tmp_path / MANIFEST_NAME)
    with pytest.raises(DestinationError, match="damaged"):
        open_manifest(tmp_path)


def test_an_empty_file_is_a_run_that_was_killed_at_once(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).touch()
    with pytest.raises(UnmboxError, match="no run has come far enough to record anything; run it again"):
        verify(tmp_path)
    with open_manifest(tmp_path) as manifest:
        assert manifest.next_id == 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="cannot open"):
        Manifest.open(tmp_path / "absent" / MANIFEST_NAME, OPTIONS)
    (tmp_path / MANIFEST_NAME).mkdir()
    with pytest.raises(DestinationError, match="cannot open"):
        Manifest.open(tmp_path / MANIFEST_NAME, OPTIONS)


def test_a_full_disk(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        manifest.commit(Batch(rows=[row(1, source)], sources=[source]))
        (pages,) = manifest.connection.execute("PRAGMA page_count").fetchone()
        manifest.connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DestinationError, match="the disk is full"):
            manifest.commit(Batch(rows=[row(2, source, subject="x" * 100_000)], sources=[source]))
        manifest.settle()
    with open_manifest(tmp_path) as manifest:
        assert manifest.next_id == 2


def test_a_record_that_contradicts_itself(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        manifest.commit(Batch(rows=[row(1, source)], sources=[source]))
        manifest.connection.execute("UPDATE message SET id = 2")
        with pytest.raises(DestinationError, match="refuses: UNIQUE constraint failed"):
            manifest.commit(Batch(rows=[row(2, source)], sources=[source]))


def test_bad_batches(tmp_path: Path) -> None:
    with Manifest.open(tmp_path / MANIFEST_NAME, OPTIONS) as manifest:
        with pytest.raises(UsageError, match="undo_pending"):
            manifest.commit(Batch())
        manifest.undo_pending(nothing)
        source = manifest.source("a", size=200, mtime=1, digest="d")
        with pytest.raises(UsageError, match="next_id, now 1"):
            manifest.commit(Batch(rows=[row(2, source)], sources=[source]))
        with pytest.raises(UsageError, match="missing in its sources"):
            manifest.commit(Batch(rows=[row(1, source)]))
        with pytest.raises(UsageError, match="a batch of their own"):
            manifest.commit(Batch(rows=[row(1, source)], sources=[source], amended=[row(1, source)]))
        manifest.merge_labels(99, ["of no row"])
        manifest.commit(Batch(rows=[row(1, source)], sources=[source]))


def test_durable_syncs_and_the_rest_does_not(tmp_path: Path) -> None:
    for durable, level in ((True, 2), (False, 0)):
        with open_manifest(tmp_path, durable=durable) as manifest:
            assert manifest.connection.execute("PRAGMA synchronous").fetchone() == (level,)
            assert manifest.connection.execute("PRAGMA locking_mode").fetchone() == ("exclusive",)


# -- what is told of a message and a source --------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "labels", "state"),
    [
        ("Subject: x\nX-Spam-Status: No\n", [], {}),
        ("Status: RO\n", [], {"read": True}),
        ("Status: O\n", [], {"read": False}),
        ("Status:\n", [], {"read": False}),
        ("STATUS: r\nX-STATUS : af\n", [], {"read": True, "answered": True, "flagged": True}),
        (
            "Status: RO\nX-Status: AFDT\n",
            [],
            dict.fromkeys(["read", "answered", "flagged", "deleted", "draft"], True),
        ),
        ("Subject: Status: RO\n Status: RO\n", [], {}),
        (
            "X-Mozilla-Status: 0009\n",
            [],
            {"read": True, "answered": False, "flagged": False, "deleted": True},
        ),
        (
            "X-Mozilla-Status: 0006\n",
            [],
            {"read": False, "answered": True, "flagged": True, "deleted": False},
        ),
        ("X-Mozilla-Status: nonsense\nX-Mozilla-Status2: 00000001\n", [], {}),
        (
            "Status: O\nX-Mozilla-Status: 0001\n",
            [],
            {"read": True, "answered": False, "flagged": False, "deleted": False},
        ),
        ("", ["Inbox", "Opened", "Starred"], {"read": True, "flagged": True}),
        ("", ["Opened", "Unread"], {"read": False}),
        ("", ["Unread", "Opened", "Important", "Drafts"], {"read": False, "important": True, "draft": True}),
    ],
)
def test_state_of(block: str, labels: list[str], state: dict[str, bool]) -> None:
    assert state_of(block.encode() + b"\n", labels) == state


def test_thread_id() -> None:
    assert thread_id(b"1628424719502045299") == "1628424719502045299"
    assert thread_id(b"12 34") is None
    assert thread_id(b"9" * 400) is None
    assert thread_id(None) is None


@pytest.mark.parametrize("cut", [0, 1, 5, 10, 20])
def test_digests_split_where_the_head_ends(cut: int) -> None:
    octets = bytes(range(20))
    whole, pieces = Digests(cut), Digests(cut)
    whole.update(octets)
    for at in range(0, 20, 3):
        pieces.update(octets[at : at + 3])
    head, body = Digests(20), Digests(0)
    head.update(octets[:cut])
    body.update(octets[cut:])
    assert whole.result() == pieces.result() == (head.result()[0], body.result()[1])
    assert whole.size == 20


def test_written_is_at_only_what_was_written(tmp_path: Path) -> None:
    digests = Digests(2)
    digests.update(b"abcdef")
    written = Written("x.eml", *digests.result(), 2, 4)
    path = tmp_path / "x.eml"
    assert not written.is_at(path)
    path.write_bytes(b"abcdef")
    assert written.is_at(path)
    path.write_bytes(b"abcdeF")
    assert not written.is_at(path)
    assert not written.is_at(tmp_path)


def test_the_check_sum_is_the_same_for_ever() -> None:
    values = Row(
        7,
        2,
        300,
        400,
        b"From \xff",
        "<a@b>",
        "aa",
        None,
        WRITTEN,
        "2019/é.eml",
        None,
        None,
        "A",
        None,
        "S\udcff",
        ["x"],
    ).values()
    assert values[-1] == 958191805
    assert checksum((*values[:-2], b"key")) != values[-1] != checksum((8, *values[1:-1]))
    assert checksum((*values[:4], 5, *values[5:-1])) == -1
    assert checksum(("7", *values[1:-1])) == -1


def test_a_date_keeps_its_zone(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        source = manifest.source("a", size=200, mtime=1, digest="d")
        date = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
        manifest.commit(Batch(rows=[row(1, source, date=date)], sources=[source]))
    assert rows(tmp_path)["message"][0][11] == "0001-01-01T00:00:00-09:30"


def test_ledger_tells_steps_apart() -> None:
    steps = ledger.Steps(1)
    steps("one")
    with pytest.raises(Killed, match="two"):
        steps("two")
    assert steps.names == ["one", "two"]
