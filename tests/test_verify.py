"""`verify`: each kind of damage is found, and named as what it is."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tracemalloc
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import unmbox
from ledger import OPTIONS, mailbox, rows, run, tree
from unmbox import EmlWriter, _batches, _job, _log
from unmbox._record import Digests, checksum, source_sum
from unmbox._schema import create, options_sum
from unmbox._verify import MAX_PROBLEMS, Problem, Verification, verify
from unmbox._verify_paths import Paths
from unmbox.errors import DestinationError, UsageError
from unmbox.events import Event, Head
from unmbox.manifest import MANIFEST_NAME, Batch, Manifest, Row


def mail(number: int, labels: str = "Inbox", body: str = "") -> str:
    fields = f"Message-ID: <{number}@example.org>\nSubject: mail {number}\nX-Gmail-Labels: {labels}\n"
    return f"{fields}\n{body or f'Mail {number} says:' + chr(10) + 'From here on, nothing.' + chr(10)}"


ANONYMOUS = "Subject: nobody's\n\nno ID at all\n"


@pytest.fixture(scope="module")
def mails() -> dict[str, bytes]:
    return {
        "a.mbox": mailbox(mail(1), mail(2), mail(1, "Work"), ANONYMOUS, mail(2, body="another\n"), mail(3)),
        "b.mbox": b"\n" + mailbox(mail(4), ANONYMOUS, mail(3), mail(5), newline="\r\n"),
        "c.mbox": b"",
        "d.mbox": b"no mailbox\n",
    }


@pytest.fixture(scope="module")
def pristine(mails: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    for name, octets in mails.items():
        (folder / name).write_bytes(octets)
    run(folder / "eml", sources_of(folder), broken=[b"mail 5"])
    return folder


def sources_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.mbox"))


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A destination of its own for each test, in good order."""
    shutil.copytree(pristine / "eml", tmp_path / "eml")
    return tmp_path / "eml"


def edit(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / MANIFEST_NAME)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


def edit_source(folder: Path, **values: Any) -> None:
    """Change the row of the first source such that its check sum fits."""
    columns = ", ".join(f"{name} = ?" for name in values)
    edit(folder, f"UPDATE source SET {columns} WHERE id = 1", *values.values())
    with closing(sqlite3.connect(folder / MANIFEST_NAME)) as connection:
        (row,) = connection.execute("SELECT * FROM source WHERE id = 1").fetchall()
    edit(folder, "UPDATE source SET checksum = ? WHERE id = 1", source_sum(row[:-1]))


def edit_option(folder: Path, name: str, value: str) -> None:
    """Change an option such that the check sum fits."""
    edit(folder, "UPDATE meta SET value = ? WHERE key = ?", value, f"option.{name}")
    with closing(sqlite3.connect(folder / MANIFEST_NAME)) as connection:
        meta = dict(connection.execute("SELECT * FROM meta").fetchall())
    edit(folder, "UPDATE meta SET value = ? WHERE key = 'checksum'", options_sum(meta))


def edit_and_sign(folder: Path, row: int, **values: Any) -> None:
    """Edit a row as somebody would who knows of the check sum."""
    columns = ", ".join(f"{name} = ?" for name in values)
    edit(folder, f"UPDATE message SET {columns} WHERE id = {row}", *values.values())
    (values_now,) = [each for each in rows(folder)["message"] if each[0] == row]
    edit(folder, "UPDATE message SET checksum = ? WHERE id = ?", checksum(values_now[:-1]), row)


def path_of(folder: Path, row: int) -> str:
    path: str = next(values[9] for values in rows(folder)["message"] if values[0] == row)
    return path


def found(folder: Path, **options: Any) -> list[tuple[str, str]]:
    """The kinds and places of all problems."""
    said = verify(folder, **options)
    assert said.problem_count == len(said.problems)
    assert said.ok == (not said.problems)
    assert all(problem.detail for problem in said.problems)
    return [(problem.kind, problem.path) for problem in said.problems]


# -- in good order -------------------------------------------------------------------------------------


def test_a_destination_in_good_order(folder: Path, pristine: Path, mails: dict[str, bytes]) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    said = verify(folder, sources=sources_of(pristine))
    assert said.problems == ()
    assert said.ok
    assert (said.sources, said.messages) == (4, 10)
    assert (said.written, said.duplicates, said.filtered, said.quarantined) == (6, 3, 0, 1)
    assert said.bytes_in == sum(map(len, mails.values()))
    emls = {name: octets for name, octets in tree(folder).items() if not name.startswith("quarantine")}
    assert said.bytes_out == sum(map(len, emls.values()))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_its_result_is_plain_data(folder: Path) -> None:
    (folder / "x.eml").touch()
    said = json.loads(json.dumps(verify(folder).to_dict()))
    assert said["ok"] is False
    assert said["problems"] == [{"kind": "foreign", "path": "x.eml", "detail": "no row names it"}]
    assert set(said) == {"ok", *Verification.__dataclass_fields__}


def test_files_that_are_no_mail_are_nobodys_business(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "other").mkdir()
    with Manifest.open(folder / "other" / MANIFEST_NAME, OPTIONS):
        (folder / "other" / "theirs.eml").write_text("of another destination")
    assert found(folder) == []


def test_names_may_come_back_decomposed(tmp_path: Path) -> None:
    with closing(Paths()) as paths:
        assert paths.name("Grüße.eml")
        assert not paths.name("Grüße.eml")
        assert paths.is_named(unicodedata.normalize("NFD", "Grüße.eml"))
        assert not paths.is_named("Gruße.eml")
        assert not paths.is_named("undecodable-\udcff.eml")


def test_progress_comes_and_ends_with_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmbox._report._TICK", 0.0)
    told: list[tuple[int, int]] = []
    verify(folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 10) for number in range(1, 11)]


# -- damaged files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 10, -1])
def test_a_flipped_octet(folder: Path, at: int) -> None:
    path = folder / path_of(folder, 1)
    octets = bytearray(path.read_bytes())
    octets[at] ^= 0x20
    path.write_bytes(octets)
    (problem,) = verify(folder).problems
    part = "header block" if at >= 0 else "body"
    assert problem == Problem("changed", path_of(folder, 1), f"its {part} is not what was written")


@pytest.mark.parametrize("size", [0, 5, -1])
def test_a_truncated_file(folder: Path, size: int) -> None:
    path = folder / path_of(folder, 4)
    octets = path.read_bytes()
    path.write_bytes(octets[:size])
    (problem,) = verify(folder).problems
    assert problem.kind == "truncated"
    assert problem.detail == f"{len(octets[:size])} octets of {len(octets)}"


def test_a_longer_file(folder: Path) -> None:
    path = folder / path_of(folder, 4)
    path.write_bytes(path.read_bytes() + b"\r\n")
    assert found(folder) == [("changed", path_of(folder, 4))]


def test_a_removed_file(folder: Path) -> None:
    (folder / path_of(folder, 2)).unlink()
    assert found(folder) == [("missing", path_of(folder, 2))]


def test_a_removed_folder(folder: Path) -> None:
    shutil.rmtree(folder / "2019")
    assert found(folder) == [("missing", path_of(folder, row)) for row in (1, 2, 4, 5, 6, 7)]


def test_an_added_file(folder: Path) -> None:
    for name in ("2019/mine.eml", "2019/03/COPY.EML"):
        (folder / name).write_bytes(b"Subject: x\r\n\r\n")
    assert sorted(found(folder)) == [("foreign", "2019/03/COPY.EML"), ("foreign", "2019/mine.eml")]


def test_a_copied_file_is_foreign(folder: Path) -> None:
    shutil.copy(folder / path_of(folder, 1), folder / "copy.eml")
    assert found(folder) == [("foreign", "copy.eml")]


def test_a_renamed_file(folder: Path) -> None:
    (folder / path_of(folder, 5)).rename(folder / "2019" / "better name.eml")
    (problem,) = verify(folder).problems
    assert problem == Problem("renamed", path_of(folder, 5), "now at 2019/better name.eml")


def test_a_file_of_the_same_size_is_another_file(folder: Path) -> None:
    path = folder / path_of(folder, 5)
    (folder / "other.eml").write_bytes(b"x" * path.stat().st_size)
    path.unlink()
    assert found(folder) == [("foreign", "other.eml"), ("missing", path_of(folder, 5))]


def test_two_files_that_changed_names(folder: Path) -> None:
    one, two = folder / path_of(folder, 1), folder / path_of(folder, 2)
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)
    assert sorted(found(folder)) == sorted([("changed", path_of(folder, 1)), ("changed", path_of(folder, 2))])


def test_a_link_is_not_a_file(folder: Path, tmp_path: Path) -> None:
    path = folder / path_of(folder, 1)
    path.rename(tmp_path / "elsewhere.eml")
    path.symlink_to(tmp_path / "elsewhere.eml")
    assert found(folder) == [("changed", path_of(folder, 1))]


def test_a_folder_in_a_files_place(folder: Path) -> None:
    path = folder / path_of(folder, 1)
    path.unlink()
    path.mkdir()
    assert found(folder) == [("changed", path_of(folder, 1))]


def test_a_file_in_a_folders_place(folder: Path) -> None:
    shutil.rmtree(folder / "2019")
    (folder / "2019").touch()
    assert {kind for kind, _ in found(folder)} == {"missing"}


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Digests, path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Digests, "read", refuse)
    assert found(folder) == [("unreadable", path_of(folder, row)) for row in (1, 2, 4, 5, 6, 7, 10)]


def test_a_folder_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> Any:
        if path.name == "03":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(folder) == [("unreadable", "2019/03/")]


def test_a_temporary_file(folder: Path) -> None:
    (folder / ".unmbox-12-3.part").touch()
    assert found(folder) == [("temporary", ".unmbox-12-3.part")]


def test_the_quarantine_is_looked_after_as_well(folder: Path) -> None:
    path = path_of(folder, 10)
    assert path.startswith("quarantine/")
    (folder / path).write_bytes(b"x")
    (folder / "quarantine" / "stray").touch()
    assert sorted(found(folder)) == [("foreign", "quarantine/stray"), ("truncated", path)]


def test_problems_beyond_the_limit_are_counted(folder: Path) -> None:
    for number in range(MAX_PROBLEMS + 5):
        (folder / f"{number}.eml").touch()
    said = verify(folder)
    assert (len(said.problems), said.problem_count) == (MAX_PROBLEMS, MAX_PROBLEMS + 5)


# -- a damaged record ----------------------------------------------------------------------------------

COLUMNS = "from_line message_id date sender recipients subject labels thread_id state key head_size body_size"


@pytest.mark.parametrize(
    "column", [*COLUMNS.split(), "head_sha256", "body_sha256", "outcome", "path", "checksum"]
)
def test_an_edited_row(folder: Path, column: str) -> None:
    path = path_of(folder, 1)
    edit(folder, f"UPDATE message SET {column} = '7' WHERE id = 1")
    others = [("foreign", path)] if column == "path" else []
    # What copies it is compared with what it says now.
    others += [("duplicate", "row 3")] * (column in {"message_id", "key", "outcome", "labels"})
    assert sorted(found(folder)) == sorted([("row", "row 1"), *others])


@pytest.mark.parametrize("column", ["offset", "length", "source_id"])
def test_a_row_of_another_place(folder: Path, column: str) -> None:
    edit(folder, f"UPDATE message SET {column} = {column} + 1 WHERE id = 1")
    assert found(folder)[0] == ("row", "row 1")


def test_a_removed_row(folder: Path, pristine: Path) -> None:
    path = path_of(folder, 2)
    edit(folder, "DELETE FROM message WHERE id = 2")
    uri = str(pristine / "a.mbox")
    assert sorted(found(folder)) == sorted(
        [("row", "row 2"), ("tiling", uri), ("count", uri), ("count", "table repair"), ("foreign", path)]
    )


def test_an_added_row(folder: Path, pristine: Path) -> None:
    edit(
        folder,
        "INSERT INTO message SELECT 11, "
        + ", ".join(f"m.{name}" for name in names(folder)[1:])
        + (" FROM message AS m WHERE id = 3"),
    )
    uri = str(pristine / "a.mbox")
    assert found(folder) == [("row", "row 11"), ("count", uri)]


def names(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / MANIFEST_NAME)) as connection:
        return [values[1] for values in connection.execute("PRAGMA table_info(message)")]


@pytest.mark.parametrize(
    ("row", "values", "kinds"),
    [
        (2, {"length": 1}, ["tiling"]),
        (2, {"length": 9999}, ["tiling"]),
        (6, {"length": 9999}, ["tiling"]),
        (1, {"offset": 1}, ["tiling", "tiling"]),
        (2, {"source_id": 99}, ["row", "tiling", "count"]),
        (2, {"outcome": "lost"}, ["row"]),
        (2, {"outcome": "filtered"}, ["row"]),
        (2, {"path": None}, ["row", "foreign"]),
        (3, {"path": "x.eml"}, ["row"]),
        (2, {"body_sha256": "7"}, ["changed"]),
        (3, {"duplicate_of": 2}, ["duplicate"]),
        (3, {"duplicate_of": 99}, ["duplicate"]),
        (3, {"duplicate_of": None}, ["duplicate"]),
        (3, {"duplicate_of": 9}, ["duplicate"]),
        (3, {"labels": '["Elsewhere"]'}, ["duplicate"]),
        (3, {"message_id": "<2@example.org>"}, ["duplicate"]),
        (8, {"key": b"another"}, ["duplicate"]),
        (9, {"duplicate_of": 8}, ["duplicate"]),
    ],
)
def test_a_row_that_does_not_fit(folder: Path, row: int, values: dict[str, Any], kinds: list[str]) -> None:
    edit_and_sign(folder, row, **values)
    problems = found(folder)
    assert sorted(kind for kind, _ in problems) == sorted(kinds)
    if kinds in (["duplicate"], ["row"]):
        assert problems[0][1] == f"row {row}"


def test_two_rows_of_one_file(folder: Path) -> None:
    lost = path_of(folder, 2)
    edit_and_sign(folder, 2, path=path_of(folder, 1))
    assert sorted(found(folder)) == [("foreign", lost), ("row", "row 2")]


def test_by_message_id_alone_bodies_may_differ(folder: Path) -> None:
    edit_and_sign(folder, 3, key=b"another")
    assert found(folder) == [("duplicate", "row 3")]
    edit_option(folder, "dedup", "message-id")
    assert found(folder) == []
    edit_and_sign(folder, 8, key=b"another")  # it has no Message-ID
    assert found(folder) == [("duplicate", "row 8")]


def test_an_index_that_is_shared_knows_originals_elsewhere(folder: Path) -> None:
    edit_and_sign(folder, 3, duplicate_of=None)
    assert found(folder) == [("duplicate", "row 3")]
    edit_option(folder, "dedup", "shared index")
    assert found(folder) == []
    edit_and_sign(folder, 3, duplicate_of=99)
    assert found(folder) == [("duplicate", "row 3")]


def test_more_places_of_a_message(folder: Path) -> None:
    edit(folder, "INSERT INTO file VALUES(1, NULL, 'second.eml')")
    edit(folder, "INSERT INTO file VALUES(2, 'volume.zip', 'third.eml')")
    assert found(folder) == [("missing", "second.eml")]
    shutil.copy(folder / path_of(folder, 1), folder / "second.eml")
    assert found(folder) == []


@pytest.mark.parametrize(
    ("statement", "kind", "place"),
    [
        ("INSERT INTO repair VALUES(99, 'x', 'y', 1, '')", "count", "table repair"),
        ("INSERT INTO refusal VALUES(99, 'x', 'y')", "count", "table refusal"),
        ("DELETE FROM candidate WHERE offset = (SELECT min(offset) FROM candidate)", "count", "a.mbox"),
        ("UPDATE source SET size = size + 1 WHERE id = 1", "tiling", "a.mbox"),
        ("UPDATE source SET junk = 0 WHERE id = 2", "tiling", "b.mbox"),
        ("UPDATE source SET messages = 7 WHERE id = 1", "count", "a.mbox"),
        ("UPDATE source SET done = 0 WHERE id = 1", "unfinished", "a.mbox"),
    ],
)
def test_what_else_does_not_add_up(
    folder: Path, pristine: Path, statement: str, kind: str, place: str
) -> None:
    edit(folder, statement)
    (problem,) = verify(folder).problems
    assert (problem.kind, problem.path.removeprefix(f"{pristine}/")) == (kind, place)


# -- what stands beside the messages -------------------------------------------------------------------

BROKEN = mailbox(
    "Message-ID: <1@example.org>\nStatus: RO\nX-UID: 7\n\nbody\nFrom here on, nothing.\n",
    "Message-ID: <2@example.org>\n\nbody\nFrom there on, nothing.\n",
    *(f"Message-ID: <{number}@b>\n\n{number}\n" for number in range(3, 40)),
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A destination with rows in each table, as `convert` makes it."""
    place = tmp_path_factory.mktemp("converted")
    (place / "a.mbox").write_bytes(BROKEN)
    with mock.patch.object(EmlWriter, "send", failing_at(b"<3@b>")):
        unmbox.convert(place / "a.mbox", place / "eml", profile="zoho-mail")
    return place


def failing_at(octets: bytes) -> Callable[[EmlWriter, Event], bytes]:
    send = EmlWriter.send

    def call(writer: EmlWriter, event: Event) -> bytes:
        if isinstance(event, Head) and octets in event.data:
            raise ValueError("cannot be converted")
        return send(writer, event)

    return call


def columns_of(table: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(":memory:")
    with closing(connection):
        create(connection, {})
        connection.execute("CREATE TABLE dedup(block, records)")
        return [(table, row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]


TABLES = ("source", "repair", "refusal", "candidate", "detail", "dedup")


@pytest.mark.parametrize(("table", "column"), [pair for table in TABLES for pair in columns_of(table)])
@pytest.mark.parametrize("last", [True, False])
def test_an_edited_row_of_any_table(
    converted: Path, tmp_path: Path, table: str, column: str, *, last: bool
) -> None:
    eml = shutil.copytree(converted / "eml", tmp_path / "eml")
    assert found(eml, sources=converted / "a.mbox") == []
    which = f"rowid = (SELECT {'max' if last else 'min'}(rowid) FROM {table})"
    with closing(sqlite3.connect(eml / MANIFEST_NAME)) as connection:
        ((value,),) = connection.execute(f"SELECT {column} FROM {table} WHERE {which}").fetchall()
        other: Any = value[:-1] + bytes([value[-1] ^ 1]) if isinstance(value, bytes) else f"{value}x"
        if isinstance(value, int):
            other = value + 1000
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {which}", (other,))
        connection.commit()
    kinds = {kind for kind, _ in found(eml)}
    assert kinds
    assert kinds <= {"row", "count", "tiling", "unfinished", "damaged"}


@pytest.mark.parametrize(
    "table", ["repair", "refusal", "detail", "candidate", "dedup", "dedup_slots", "meta", "source"]
)
def test_a_removed_row_of_any_table(converted: Path, tmp_path: Path, table: str) -> None:
    eml = shutil.copytree(converted / "eml", tmp_path / "eml")
    key = "key = (SELECT max(key) FROM meta WHERE key LIKE 'option.%')" if table == "meta" else "true"
    if table not in {"meta", "dedup_slots"}:
        key = f"rowid = (SELECT max(rowid) FROM {table})"
    edit(eml, f"DELETE FROM {table} WHERE {key}")
    assert {kind for kind, _ in found(eml)} & {"row", "count"}


def test_an_added_row_of_any_table(converted: Path, tmp_path: Path) -> None:
    eml = shutil.copytree(converted / "eml", tmp_path / "eml")
    edit(eml, "INSERT INTO repair VALUES(20, 'nul', 'Subject', 1, '')")
    assert found(eml) == [("row", "row 20")]
    edit(eml, "DELETE FROM repair WHERE message = 20 AND code = 'nul'")
    assert found(eml) == []
    edit(eml, "INSERT INTO candidate VALUES(7, 0, 'From', 'rejected', 'x')")
    assert found(eml) == [("count", "table candidate")]


def test_options_that_were_edited(folder: Path) -> None:
    edit(folder, "UPDATE meta SET value = 'mboxo' WHERE key = 'option.variant'")
    assert found(folder) == [("row", "table meta")]


def test_what_a_run_left_that_was_killed_before_it_committed_anything(tmp_path: Path) -> None:
    sources = [tmp_path / "a.mbox", tmp_path / "b.mbox"]
    for source in sources:
        source.write_bytes(BROKEN)
    eml = tmp_path / "eml"
    with (
        pytest.raises(KeyboardInterrupt),
        mock.patch.object(_job.Job, "_read", side_effect=KeyboardInterrupt),
    ):
        unmbox.convert(sources, eml)
    said = verify(eml)
    assert [(each.kind, each.path) for each in said.problems] == [
        ("unfinished", str(each)) for each in sources
    ]
    assert said.problems[0].detail.startswith(f"all of its {len(BROKEN)} octets not yet converted")
    assert not said.ok
    unmbox.convert(sources, eml)
    assert found(eml) == []
    # Before it could even say what it was to do.
    Manifest.open(tmp_path / MANIFEST_NAME, OPTIONS).close()
    assert found(tmp_path) == [("unfinished", "table source")]
    # Nobody minds that another run had nothing left to do.
    unmbox.convert(sources[0], eml)
    assert found(eml) == []


def test_what_is_left_of_one_source_is_told_in_octets(folder: Path, pristine: Path) -> None:
    edit_source(folder, done=0, size=(pristine / "a.mbox").stat().st_size + 10)
    (problem,) = verify(folder).problems
    assert problem.kind == "unfinished"
    assert problem.detail.startswith("10 octets from octet ")


# -- sources -------------------------------------------------------------------------------------------


def test_sources_that_are_what_they_were(folder: Path, pristine: Path, tmp_path: Path) -> None:
    assert found(folder, sources=pristine / "a.mbox") == []
    moved = shutil.copy(pristine / "b.mbox", tmp_path / "moved.mbox")
    assert found(folder, sources=[pristine / "a.mbox", moved]) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Mail 2 says", b"Mail 2 lies"),
        (b"mail 1", b"Mail 1"),
        (b"From 3@example.org", b"From x@example.org"),
        (b"<2@example.org>", b"<2@example.orgg>"),
        (b"\nFrom 5@example.org Tue", b"\nfrom 5@example.org Tue"),
        (b"\nFrom here", b"\nFrom 6@example.org Tue Mar 19 09:13:51 +0000 2019\nSubject: x\n\nhere"),
    ],
)
def test_a_source_that_is_not_what_it_was(
    folder: Path, pristine: Path, tmp_path: Path, mails: dict[str, bytes], old: bytes, new: bytes
) -> None:
    other = tmp_path / "a.mbox"
    assert old in mails["a.mbox"]
    other.write_bytes(mails["a.mbox"].replace(old, new, 1))
    edit_source(folder, uri=str(other))
    assert {kind for kind, _ in found(folder, sources=other)} == {"source"}


@pytest.mark.parametrize("cut", [-1, -400, 0])
def test_a_source_that_is_shorter_than_it_was(
    folder: Path, tmp_path: Path, mails: dict[str, bytes], cut: int
) -> None:
    other = tmp_path / "a.mbox"
    other.write_bytes(mails["a.mbox"][:cut])
    edit_source(folder, uri=str(other))
    problems = found(folder, sources=other)
    assert problems
    assert {kind for kind, _ in problems} == {"source"}


def test_a_source_that_is_longer_than_it_was(folder: Path, tmp_path: Path, mails: dict[str, bytes]) -> None:
    other = tmp_path / "a.mbox"
    other.write_bytes(mails["a.mbox"] + mailbox(mail(9)))
    edit_source(folder, uri=str(other))
    assert found(folder, sources=other) == [("source", str(other))]
    edit_source(folder, done=0)
    assert found(folder, sources=other) == [("unfinished", str(other))]


def test_what_was_filtered_need_not_have_been_hashed(folder: Path, pristine: Path) -> None:
    (folder / path_of(folder, 2)).unlink()
    edit_and_sign(folder, 2, outcome="filtered", path=None, head_sha256=None, body_sha256=None)
    assert found(folder, sources=pristine / "a.mbox") == []


def test_a_source_of_somebody_elses(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mbox"
    other.write_bytes(mailbox(mail(1)))
    for source in (other, iter([b"From x\n"])):
        with pytest.raises(UsageError, match="none of the sources"):
            verify(folder, sources=source)


def test_a_stream_is_known_if_there_is_but_one(tmp_path: Path, mails: dict[str, bytes]) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(mails["a.mbox"])
    run(tmp_path / "eml", [path])
    edit_source(tmp_path / "eml", digest=None, mtime=None, uri="stream:1")
    assert found(tmp_path / "eml", sources=iter([mails["a.mbox"]])) == []
    assert found(tmp_path / "eml", sources=iter([mails["b.mbox"]])) == [("source", "stream")]


# -- what cannot be verified -----------------------------------------------------------------------------


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").touch()
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "a.mbox"):
        with pytest.raises(UsageError, match="does not exist: name a folder or ZIP that unmbox"):
            verify(folder)


def test_a_later_volume_is_not_what_is_to_be_named(folder: Path, tmp_path: Path) -> None:
    unmbox.convert(folder, tmp_path / "out.zip", zip_entries=1)
    assert verify(tmp_path / "out.zip").ok
    with pytest.raises(UsageError, match=r"does not exist: name .*out\.zip, the first of the volumes"):
        verify(tmp_path / "out-002.zip")


def test_a_destination_whose_name_is_empty_is_not_the_folder_that_one_is_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert verify(".").ok
    with pytest.raises(UsageError, match="the destination's name is empty"):
        verify("")


def test_a_manifest_in_another_place(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST_NAME).rename(tmp_path / "record #1%.sqlite")
    assert found(folder, manifest=tmp_path / "record #1%.sqlite") == []


def test_a_damaged_manifest(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    octets = bytearray(path.read_bytes())
    start = octets.index(b"Mail 1".lower())
    octets[start - start % 4096 : start - start % 4096 + 4096] = b"\x0d" + b"\xff" * 4095
    path.write_bytes(octets)
    with pytest.raises(DestinationError, match="is damaged"):
        verify(folder)
    assert path.read_bytes() == octets


def test_an_interrupted_run(tmp_path: Path, mails: dict[str, bytes], steps: Callable[[str], None]) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(mails["a.mbox"])
    with pytest.raises(InterruptedError):
        run(tmp_path / "eml", [path], steps, batch=2)
    (interrupted, unfinished, *parts) = verify(tmp_path / "eml").problems
    assert interrupted.kind == "interrupted"
    assert "row 3 and later ones may lack their files" in interrupted.detail
    assert (unfinished.kind, unfinished.path) == ("unfinished", str(path))
    assert {problem.kind for problem in parts} == {"temporary"}
    run(tmp_path / "eml", [path])
    assert found(tmp_path / "eml", sources=path) == []


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A destination with rows in every table."""
    folder = tmp_path_factory.mktemp("full")
    text = "From here on it is prose\nand more of it.\n" * 20
    (folder / "a.mbox").write_bytes(mailbox(mail(1, "Work,Home", text), mail(2)))
    (folder / "few.json").write_text('{"name": "few", "title": "Few", "checks": {"size": 500}}')
    unmbox.convert(folder / "a.mbox", folder / "eml", profile=folder / "few.json", labels="link")
    return folder / "eml"


TYPED = ("source", "message", "file", "repair", "refusal", "detail", "candidate", "meta")


@pytest.mark.parametrize("value", ["x", b"\xff", 1.5])
@pytest.mark.parametrize(("table", "column"), [pair for table in TYPED for pair in columns_of(table)])
def test_a_value_of_another_type(tmp_path: Path, full: Path, table: str, column: str, value: object) -> None:
    """SQLite takes any value anywhere, but for keys."""
    eml = tmp_path / "eml"
    shutil.copytree(full, eml)
    assert found(eml) == []
    key = "key" if table == "meta" else "rowid"
    try:
        edit(eml, f"UPDATE {table} SET {column} = ? WHERE {key} = (SELECT max({key}) FROM {table})", value)
    except sqlite3.IntegrityError:
        return  # a number is wanted
    assert found(eml)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE dedup",
        "DELETE FROM meta WHERE key = 'seal'",
        "UPDATE meta SET key = 'x' WHERE key = 'seal'",
    ],
)
def test_what_was_taken_from_the_record_as_a_whole(
    tmp_path: Path, mails: dict[str, bytes], statement: str
) -> None:
    eml, path = tmp_path / "eml", tmp_path / "a.mbox"
    path.write_bytes(mails["a.mbox"])
    unmbox.convert(path, eml)
    with closing(sqlite3.connect(eml / MANIFEST_NAME)) as connection:
        connection.execute(statement)
        connection.commit()
    assert found(eml)


def test_what_could_not_be_read_behind_a_thousand_others(tmp_path: Path, mails: dict[str, bytes]) -> None:
    many, last, eml = tmp_path / "many", tmp_path / "last", tmp_path / "eml"
    for folder, number in ((many, 1_100), (last, 1)):
        folder.mkdir()
        for each in range(number):
            (folder / f"{each:04}.mbox").write_bytes(b"Rar!\x1a\x07")
        (folder / "x.mbox").write_bytes(mails["a.mbox"])
    unmbox.convert([many, last], eml)
    assert {path for kind, path in found(eml) if kind == "damaged"} == {str(many), str(last)}


@pytest.mark.parametrize("again", ["grown", "last step"])
def test_a_run_that_was_cut_short_has_removed_nothing(
    tmp_path: Path, mails: dict[str, bytes], again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    eml, folder = tmp_path / "eml", tmp_path / "in"
    folder.mkdir()
    (folder / "a.mbox").write_bytes(mails["a.mbox"])
    with monkeypatch.context() as patch:
        if again == "grown":
            unmbox.convert(folder, eml)
            (folder / "b.mbox").write_bytes(mails["b.mbox"])
            patch.setattr(_batches.Batches, "_write", lambda *_: 1 / 0)
        else:
            patch.setattr(Manifest, "settle", lambda *_: 1 / 0)
        patch.setattr(_batches.Batches, "stop", lambda _: None)
        with pytest.raises(ZeroDivisionError):
            unmbox.convert(folder, eml)
    if again == "grown":
        (folder / "a.mbox").write_bytes(mails["a.mbox"] + b"\n")
        with pytest.raises(UsageError, match="has changed"):
            unmbox.convert(folder, eml)
    assert not [path for _, path in found(eml) if path == "meta seal"]


def test_what_could_not_be_read_at_all(
    tmp_path: Path, mails: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no row, and is told until it can be."""
    eml, good = tmp_path / "eml", tmp_path / "a.mbox"
    bad = tmp_path / os.fsdecode(b"b\xff.mbox")
    good.write_bytes(mails["a.mbox"])
    bad.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(99))
    monkeypatch.setattr(_log, "warning", lambda *_: None)  # pytest's workers cannot pass on such a name
    assert unmbox.convert([good, bad], eml).damaged
    for _ in range(2):
        assert found(eml) == [("damaged", str(tmp_path / "b\\xff.mbox"))]
        assert unmbox.convert(good, eml).already
    bad.write_bytes(mails["b.mbox"])
    unmbox.convert(bad, eml)
    assert found(eml, sources=[good, bad]) == []


PENDING = [column for _, column in columns_of("pending") if column != "first"]


@pytest.mark.parametrize("column", PENDING)
def test_an_edited_row_of_what_an_interrupted_run_will_take_back(
    tmp_path: Path, mails: dict[str, bytes], steps: Callable[[str], None], column: str
) -> None:
    path, eml = tmp_path / "a.mbox", tmp_path / "eml"
    path.write_bytes(mails["a.mbox"])
    with pytest.raises(InterruptedError):
        run(eml, [path], steps, batch=2)
    kinds = {problem.kind for problem in verify(eml).problems}
    assert "row" not in kinds
    edit(eml, f"UPDATE pending SET {column} = ifnull({column}, '') || '1'")
    problems = [problem for problem in verify(eml).problems if problem.kind not in kinds]
    assert {(problem.kind, problem.path.partition(" ")[0]) for problem in problems} == {("row", "pending")}


@pytest.mark.parametrize("first", ["first - 1", "first + 1"])
def test_what_an_edited_beginning_of_a_batch_does_is_told(
    tmp_path: Path, mails: dict[str, bytes], steps: Callable[[str], None], first: str
) -> None:
    path, eml = tmp_path / "a.mbox", tmp_path / "eml"
    path.write_bytes(mails["a.mbox"])
    with pytest.raises(InterruptedError):
        run(eml, [path], steps, batch=2)
    edit(eml, f"UPDATE pending SET first = {first}")
    run(eml, [path])
    assert {problem.kind for problem in verify(eml).problems} & {"tiling", "count", "row", "missing"}


def test_a_row_that_no_run_left_pending(folder: Path) -> None:
    edit(folder, "INSERT INTO pending SELECT 1, * FROM source LIMIT 1")
    assert [kind for kind, _ in found(folder)] == ["interrupted"]


@pytest.fixture
def steps() -> Callable[[str], None]:
    """Stops after the second commit."""
    commits: list[str] = []

    def step(name: str) -> None:
        if name == "committed":
            commits.append(name)
            if len(commits) == 2:
                raise InterruptedError

    return step


def test_a_run_that_was_starting_afresh(folder: Path) -> None:
    with Manifest.open(folder / MANIFEST_NAME, OPTIONS, afresh=True):
        pass
    assert found(folder) == [("interrupted", str(folder / MANIFEST_NAME))]


def test_millions_of_rows_need_no_more_memory_than_a_few(tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 20_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        with Manifest.open(folder / MANIFEST_NAME, OPTIONS) as manifest:
            manifest.undo_pending(str)
            source = manifest.source("a", size=count, mtime=1, digest="d")
            template = (b"From x", None, "aa", "bb", "filtered")
            for first in range(1, count, 1000):
                numbers = range(first, first + 1000)
                manifest.commit(
                    Batch(rows=[Row(n, source.id, n - 1, 1, *template) for n in numbers], sources=[source])
                )
            source.offset, source.done = count, True
            manifest.commit(Batch(sources=[source]))
            manifest.settle()
        tracemalloc.start()
        said = verify(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (said.problems, said.filtered, said.bytes_in) == ((), count, count)
    # Ten times the rows, and not four octets for each of them.
    assert peaks[1] < peaks[0] + (1 << 16)


def test_a_manifest_that_holds_nothing_says_to_run_again(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).touch()
    with pytest.raises(DestinationError, match=r"is empty: .*run it again"):
        verify(tmp_path)


def test_files_read_side_by_side(folder: Path) -> None:
    assert verify(folder, jobs=3).ok
    eml = sorted(folder.rglob("*.eml"))
    eml[0].write_bytes(eml[0].read_bytes()[:-1])
    eml[1].unlink()
    alone, aside = verify(folder), verify(folder, jobs=3)
    assert len(alone.problems) == 2
    assert sorted(alone.problems, key=str) == sorted(aside.problems, key=str)
    assert (alone.messages, alone.bytes_out) == (aside.messages, aside.bytes_out)
