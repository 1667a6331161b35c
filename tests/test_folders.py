"""Labels to folders: system labels in many languages, states, nesting, legal names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmbox._folders import FOLDERS, ROLES, TABLE, Folders, LabelTable
from unmbox.errors import UsageError
from unmbox.manifest import state_of
from unmbox.naming import FOLDER_LIMIT, Layout, folder_path

DATA: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
OURS = LabelTable.load()


def of(*labels: str, **names: str | None) -> tuple[str, ...]:
    return Folders(OURS, names).of(labels)


def test_the_table_has_each_meaning_in_each_language() -> None:
    languages = set(DATA["category"])
    assert len(languages) == 29
    for part in ("labels", "categories"):
        for meaning, names in DATA[part].items():
            assert set(names) == languages, meaning
            assert all(name == name.strip() and name for each in names.values() for name in each)


@pytest.mark.parametrize("part", ["labels", "categories"])
def test_no_name_has_two_meanings(part: str) -> None:
    seen: dict[str, str] = {}
    for meaning, languages in DATA[part].items():
        for name in (name.casefold() for names in languages.values() for name in names):
            assert seen.setdefault(name, meaning) == meaning, name


def test_what_was_seen_in_exports_is_known() -> None:
    for label in DATA["attested"]:
        assert OURS.meaning(label).role != "user", label


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ("Inbox", "inbox"),
        ("受信トレイ", "inbox"),
        ("送信済みメール", "sent"),
        ("下書き", "draft"),
        ("迷惑メール", "spam"),
        ("ゴミ箱", "trash"),
        ("Archivés", "archive"),
        ("Envoyé", "sent"),
        ("보관됨", "archive"),
        ("열림", ""),
        ("Åpnet", ""),
        ("PAPIERKORB", "trash"),
        ("[Gmail]/Trash", "trash"),
        ("IMAP_NotJunk", ""),
        ("Work/2024", "user"),
        ("Inbox/2024", "user"),
        ("Category", "user"),
        ("Category Cooking", "user"),
        ("Categories", "user"),
    ],
)
def test_what_a_label_stands_for(label: str, role: str) -> None:
    assert OURS.meaning(label).role == role


@pytest.mark.parametrize(
    ("labels", "state"),
    [
        (["Opened", "Starred"], {"read": True, "flagged": True}),
        (["Opened", "Unread"], {"read": False}),
        (["未読", "スター付き", "重要"], {"read": False, "flagged": True, "important": True}),
        (["Category Promotions"], {"category": "promotions"}),
        (["Kategori: Reklame"], {"category": "promotions"}),
        (["Catégorie : Forums"], {"category": "forums"}),
        (["Kategori: Noe annet"], {"category": "Noe annet"}),
        (['Kategorie: "Neuigkeiten"'], {"category": "updates"}),
        (["カテゴリ「ソーシャル」"], {"category": "social"}),
        (["カテゴリ「会議」"], {}),
        (["Catégorie\xa0: E-mails personnels"], {"category": "personal"}),
        (["Chat", "IMAP_$Forwarded"], {"chat": True, "forwarded": True}),
        (["Work"], {}),
    ],
)
def test_what_labels_say_of_the_state(labels: list[str], state: dict[str, object]) -> None:
    assert state_of(b"", labels) == state


@pytest.mark.parametrize(
    ("labels", "folders"),
    [
        (["Inbox", "Opened"], ("Inbox",)),
        (["受信トレイ", "仕事/請求書", "開封済み"], ("仕事/請求書", "Inbox")),
        (["Inbox", "Work", "Work/2024", "Home"], ("Work/2024", "Work", "Home", "Inbox")),
        (["Sent", "Inbox"], ("Inbox", "Sent")),
        (["Work", "Trash"], ("Trash",)),
        (["Spam", "Inbox", "Trash"], ("Trash",)),
        (["Draft", "Work"], ("Drafts",)),
        (["Archived", "Sent"], ("Sent", "Archive")),
        (["Archived", "Opened"], ("Archive",)),
        (["Opened", "Category Forums"], ("Archive",)),
        ([], ("Archive",)),
    ],
)
def test_the_folders_of_a_message_the_primary_first(labels: list[str], folders: tuple[str, ...]) -> None:
    assert of(*labels) == folders


def test_labels_of_signs_have_folders_of_their_own() -> None:
    found = [of(label) for label in ("?", "***", "-", "../..")]
    assert len(set(found)) == 4
    for (name,) in found:
        assert re.fullmatch("_~[0-9a-f]{6}", name)
    assert of("?", user="Labels") == (f"Labels/{found[0][0]}",)


def test_a_profile_names_the_folders() -> None:
    assert of("Spam", spam="Junk") == ("Junk",)
    assert of("Sent", "Work", sent="INBOX/Sent Items") == ("Work", "INBOX/Sent Items")
    assert of("Work", "Inbox", user=None) == ("Inbox",)
    assert of("Work", user=None) == ("Archive",)
    assert of("Work/2024", user="Labels") == ("Labels/Work/2024",)
    assert of(archive=None) == ("",)
    assert set(FOLDERS) == set(ROLES)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    own = {
        "labels": {"inbox": {"eo": ["Enirkesto"]}, "trash": {"de": ["Ablage P"]}},
        "category": {"eo": ["Kategorio"]},
    }
    path.write_text(json.dumps(own), "utf-8")
    table = LabelTable.load(path)
    assert table.meaning("enirkesto").role == "inbox"
    assert table.meaning("Ablage P").role == "trash"
    assert table.meaning("Papierkorb").role == "user"
    assert table.meaning("Corbeille").role == "trash"
    assert table.states(["Kategorio: Forums"]) == {"category": "forums"}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"inbox": {}}', '{"labels": {"outbox": {}}}', '{"labels": {"inbox": {"xx": "name"}}}'],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match="have another form"):
        LabelTable.load(path)
    with pytest.raises(UsageError, match="cannot be read"):
        LabelTable.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ("Work/2024", "Work/2024"),
        ("a:b/c?d", "a b/c d"),
        ("CON/aux.txt", "_CON/_aux.txt"),
        ("quarantine", "_quarantine"),
        ("refused/x", "_refused/x"),
        ("../../etc", "etc"),
        ("/a//b/", "a/b"),
        ("...", ""),
        ("Cafe\N{COMBINING ACUTE ACCENT}", "Café"),
    ],
)
def test_a_label_as_a_folder(label: str, path: str) -> None:
    assert folder_path(label) == path


def test_long_labels_are_cut_and_stay_apart() -> None:
    one, other = folder_path("受/" * 80 + "a"), folder_path("受/" * 80 + "b")
    assert one != other
    assert max(map(len, (one, other))) <= FOLDER_LIMIT
    path = Layout("{year}/{subject}_{sender}_{hash}").path(
        date=None, subject="題" * 300, sender="人" * 300, hash="0" * 12, folder=one
    )
    assert path.startswith(one + "/undated/題")
    assert len(path.encode()) <= 400


@pytest.mark.parametrize("letter", ["x", "受"])
@pytest.mark.parametrize("nested", ["{}", "a/{}", "{}/a"])
def test_labels_that_differ_where_they_are_cut_stay_apart(letter: str, nested: str) -> None:
    labels = [nested.format(letter * 60 + end) for end in ("", "A", "B", "AB")]
    assert len({*map(folder_path, labels)}) == 4


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_label_is_a_legal_folder(label: str) -> None:
    path = folder_path(label)
    assert path == folder_path(path) or "~" in path
    assert len(path.encode("utf-16-le")) <= 2 * FOLDER_LIMIT
    for name in path.split("/") if path else ():
        assert name
        assert name[0] not in " .-~"
        assert name[-1] not in " ."
        assert not set(name) & set('<>:"\\|?*\0')
    layout = "x" * 150 + "{hash}"
    made = Layout(layout).path(date=None, subject="", sender="", hash="0" * 12, folder=path)
    assert len(made.encode("utf-16-le")) <= 400
