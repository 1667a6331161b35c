"""Sources that stand in the destination, and destinations in the source: nothing doubled, nothing lost."""

from __future__ import annotations

import io
import os
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import unmbox
from mails import emls, left, mail, mailbox
from unmbox import UsageError
from unmbox._destination import is_written, manifest_of

WITHOUT_ID = [mail(0), mail(1, id=None), mail(2)]
"""One of them gets a Message-ID made for it: what was written would pass for another mail."""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "box.mbox"
    path.parent.mkdir()
    path.write_bytes(mailbox(WITHOUT_ID))
    return path


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("given", ["eml", "eml/2019", "eml/2019/03", "link", "one", "eml/../eml/2019"])
def test_what_was_written_is_no_source_of_its_own_destination(
    given: str, tmp_path: Path, box: Path, *, dry_run: bool
) -> None:
    eml = tmp_path / "eml"
    unmbox.convert(box, eml)
    (tmp_path / "link").symlink_to(eml / "2019")
    before = left(eml)
    source = min(eml.rglob("*.eml")) if given == "one" else tmp_path / given
    with pytest.raises(UsageError, match="choose another destination"):
        unmbox.convert(source, eml, layout="{subject}_{hash}", resume=False, dry_run=dry_run)
    assert left(eml) == before
    assert unmbox.convert(box, eml).already == 3  # and the manifest is not marked as gone


@pytest.mark.parametrize("given", ["mail.zip", "mail-002.zip", "mail-aside", "mail-aside/refused"])
def test_what_was_written_is_no_source_of_its_own_volumes(given: str, tmp_path: Path) -> None:
    box = tmp_path / "box.mbox"
    box.write_bytes(mailbox([*WITHOUT_ID, mail(3, "x" * 700)]))
    profile = tmp_path / "few.json"
    profile.write_text('{"name": "few", "title": "Few", "checks": {"size": 500}}', "utf-8")
    out = tmp_path / "mail.zip"
    unmbox.convert(box, out, zip_entries=2, profile=profile, refused="aside")
    assert (tmp_path / given).exists()
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    with pytest.raises(UsageError, match="choose another destination"):
        unmbox.convert(tmp_path / given, out, resume=False)
    assert {path: path.stat().st_mtime_ns for path in before} == {
        path: status.st_mtime_ns for path, status in before.items()
    }


def test_a_mailbox_of_ones_own_may_stand_in_the_destination(box: Path) -> None:
    home = box.parent
    assert unmbox.convert(box, home).written == 3
    assert unmbox.convert(box, home).already == 3
    assert unmbox.convert(box, home, resume=False).written == 3
    assert box.exists()
    assert len(emls(home)) == 3


@pytest.mark.parametrize("out", ["mail.zip", "eml"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_destination_in_a_searched_folder_is_passed_over(out: str, box: Path, *, elsewhere: bool) -> None:
    home = box.parent
    manifest = home.parent / "record.sqlite" if elsewhere else None
    entries = 1 if out == "mail.zip" else None
    assert unmbox.convert(home, home / out, manifest=manifest, zip_entries=entries).written == 3
    for _ in range(2):
        again = unmbox.convert(home, home / out, manifest=manifest, zip_entries=entries)
        assert (again.messages, again.already) == (0, 3)


def test_a_folder_is_no_destination_of_itself(box: Path) -> None:
    with pytest.raises(UsageError, match="is a source and the destination, too"):
        unmbox.convert(box.parent, box.parent)
    assert [path.name for path in box.parent.iterdir()] == [box.name]


def test_a_killed_first_run_is_no_obstacle(box: Path) -> None:
    """It may have left a manifest without any table."""
    home = box.parent
    manifest_of(home).touch()
    assert unmbox.convert(box, home).written == 3


def test_an_archive_of_ones_own_beside_volumes(tmp_path: Path) -> None:
    """Its name may be that of a volume; what the manifest does not name is not ours."""
    home = tmp_path / "home"
    home.mkdir()
    box = tmp_path / "box.mbox"
    box.write_bytes(mailbox(WITHOUT_ID))
    unmbox.convert(box, home / "mail.zip", zip_entries=2)
    assert {path.name for path in home.glob("*.zip")} == {"mail.zip", "mail-002.zip"}
    with zipfile.ZipFile(home / "mail-2019.zip", "w") as archive:
        archive.writestr("other.mbox", mailbox([mail(7), mail(8)]))
    assert unmbox.convert(home, tmp_path / "out").written == 2


@pytest.mark.parametrize("name", ["out", "X.ZIP", "x.zip"])
def test_a_destination_is_known_through_links_and_in_capitals(name: str, box: Path) -> None:
    home, manifest = box.parent, box.parent.parent / "record.sqlite"
    link = home.parent / "link"
    link.symlink_to(home)
    entries = 1 if name.lower().endswith(".zip") else None
    for source in (home, link, home):
        unmbox.convert(source, home / name, manifest=manifest, zip_entries=entries, dedup="off")
    with closing(sqlite3.connect(manifest)) as record:
        [(uris,)] = record.execute("SELECT group_concat(uri, ' ') FROM source").fetchall()
    assert set(uris.split()) == {str(box), str(link / box.name)}


@pytest.mark.parametrize("name", [b"b\xff.mbox", b"b\xff.eml"])
def test_a_name_that_is_no_utf8_is_none_of_ours(name: bytes, tmp_path: Path, box: Path) -> None:
    eml = tmp_path / "eml"
    unmbox.convert(box, eml)
    odd = eml / os.fsdecode(name)
    odd.write_bytes(mailbox([mail(9)]))
    assert unmbox.convert(odd, eml).messages == 1


def test_what_is_written_is_known_by_its_name(tmp_path: Path) -> None:
    unmbox.convert(io.BytesIO(mailbox(WITHOUT_ID)), tmp_path / "mail.zip", zip_entries=2)
    unmbox.convert(io.BytesIO(mailbox(WITHOUT_ID)), tmp_path / "eml")
    ours = {"mail.zip", "mail-002.zip", "mail-aside", "eml"}
    others = {
        "mail-001.zip",
        "mail-2.zip",
        "mail-2019.zip",
        "mail.mbox",
        "other.zip",
        "other-002.zip",
        "mail-a",
    }
    for name in ours | others:
        assert is_written(str(tmp_path / name)) == (name in ours), name
    assert is_written("/b/other-003.ZIP", "/a/other-003.ZIP", "/a/other.zip")
    assert is_written("/b/other", "/a/other", "/a/other")
    assert not is_written("/a/other", "/b/other", "/a/other")
