"""Profiles: the data that comes with unmbox, files of one's own, and what is wrong with bad ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from unmbox import profiles
from unmbox._command_convert import Size
from unmbox._command_profiles import command
from unmbox.errors import UsageError
from unmbox.profiles import BODY_REPAIRS, Profile

every = pytest.mark.parametrize("name", profiles.names())


def write(folder: Path, **members: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"name": "mine", "title": "Mine", **members}), "utf-8")
    return path


@every
def test_a_profile_is_whole_and_called_like_its_file(name: str) -> None:
    profile = profiles.load(name)
    assert profile.name == name
    assert profile.title
    assert profile.about


@every
def test_what_a_profile_forces_is_a_repair(name: str) -> None:
    text = (Path(__file__).parents[1] / "docs" / "repairs.md").read_text("utf-8")
    codes = set(re.findall(r"^\| \[`([^`]+)`\]", text, re.MULTILINE))
    assert len(codes) > 20
    assert profiles.load(name).force <= codes | set(BODY_REPAIRS)


@every
def test_what_a_profile_does_has_a_source_or_is_said_to_be_unknown(name: str) -> None:
    profile = profiles.load(name)
    told = {about for fact in profile.facts for about in fact.about}
    done = {*profile.options, *profile.checks, *profile.force}
    assert done <= told, f"no fact tells of {sorted(done - told)}"
    for fact in profile.facts:
        assert fact.source is None or fact.source.startswith("https://")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, checks={"size": 5}, force=[BODY_REPAIRS[0]], options={"newline": "lf"})
    for given in (path, str(path)):
        profile = profiles.load(given)
        assert profile == Profile(
            "mine", "Mine", options={"newline": "lf"}, force=frozenset({"body-nul"}), checks={"size": 5}
        )
        assert profile.unknown() == ["newline", "body-nul", "size"]


def test_folders_of_a_profile_are_used_unless_it_says_otherwise(tmp_path: Path) -> None:
    folders = {"inbox": "Eingang"}
    assert profiles.load(write(tmp_path, folders=folders)).options == {"labels": "primary"}
    assert profiles.load(write(tmp_path, folders=folders, options={"labels": "none"})).options == {
        "labels": "none"
    }


def test_no_such_profile(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no profile is called 'zoho': choose one of .*zoho-mail"):
        profiles.load("zoho")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        profiles.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"option": {}}, "'option' is no member of a profile: write one of name, title"),
        ({"title": ""}, "'title' is missing, or no text"),
        ({"options": {"durable": True}}, "'durable' is none of options: write one of headers"),
        ({"options": {"newline": "cr"}}, "'newline' in options cannot be \"cr\""),
        ({"options": []}, "'options' must be an object"),
        ({"checks": {"size": 0}}, "'size' in checks cannot be 0"),
        ({"checks": {"size": True}}, "'size' in checks cannot be true"),
        ({"checks": {"field_size": {"to": "4000"}}}, "'field_size' in checks cannot be"),
        ({"checks": {"field_size": {"To:": 4000}}}, "'field_size' in checks cannot be"),
        ({"checks": {"required": ["Message ID"]}}, "'required' in checks cannot be"),
        ({"checks": {"single": ["差出人"]}}, "'single' in checks cannot be"),
        ({"about": 7}, "'about' must be a text"),
        ({"name": "filtered"}, "'name' cannot be 'filtered': the manifest lists other messages under it"),
        ({"name": "\ud800"}, "'\\ud800' is half a character"),
        ({"folders": {"chats": "Chats"}}, "'chats' in folders: write a name or null for one of trash"),
        ({"force": "nul"}, "'force' must be an array"),
        ({"facts": [{"says": "x"}]}, "'facts' must be an array"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(tmp_path: Path, members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        profiles.load(write(tmp_path, **members))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is no JSON"), ("[]", "must be one JSON object"), ("[" * 100_000, "is no JSON")],
)
def test_a_file_that_is_no_profile(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=sentence):
        profiles.load(path)


# -- the command -----------------------------------------------------------------------------------------


def test_the_command_lists_the_destinations() -> None:
    listed = CliRunner().invoke(command, [])
    assert [line.split()[0] for line in listed.output.splitlines()] == profiles.names()


def test_the_command_tells_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    page = CliRunner().invoke(command, ["zoho-mail"]).output
    assert "refuses  more than 500 attachments (attachments)\n" in page
    assert "sets     zip_entries = 10,000  [unknown, taken to be so]\n" in page
    assert "sets     zip_size = 480,000,000\n" in page
    assert "(size, attachments) https://www.zoho.com/" in page
    assert "unknown: nobody has published it" in page
    mine = CliRunner().invoke(command, [str(write(tmp_path, force=["nul"]))]).output
    assert mine.splitlines()[0] == "mine: Mine"
    assert "forces   nul" in mine


def test_the_command_has_words_for_every_check(tmp_path: Path) -> None:
    checks = {
        name: {"*": 1} if name == "field_size" else next(v for v in (1, True, ["from"]) if rule(v))
        for name, rule in profiles.CHECKS.items()
    }
    page = CliRunner().invoke(command, [str(write(tmp_path, checks=checks))]).output
    for name in profiles.CHECKS:
        assert f"({name})" in page


def test_the_command_gives_plain_values() -> None:
    told = json.loads(CliRunner().invoke(command, ["--json"]).output)
    assert [profile["name"] for profile in told] == profiles.names()
    assert {"about", "says", "source"} == set(told[0]["facts"][0])


@pytest.mark.parametrize(
    ("text", "octets"),
    [("480MB", 480_000_000), ("1 gb", 10**9), ("20k", 20_000), ("12345", 12_345)],
)
def test_sizes_as_people_write_them(text: str, octets: int) -> None:
    assert Size()(text) == octets


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5GB", "480 MiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write it as 480MB"):
        Size()(text)
