"""The manners of a library: everything public is described, its examples run, it keeps quiet and its word."""

from __future__ import annotations

import doctest
import gc
import importlib
import inspect
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import unmbox
import unmbox.aio
import unmbox.report
from unmbox.cli import command

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "unmbox"
MODULES = [path.stem for path in sorted(PACKAGE.glob("*.py")) if ">>> " in path.read_text("utf-8")]
CALLED = [
    name
    for name in unmbox.__all__
    if callable(value := getattr(unmbox, name))
    and not getattr(value, "_is_protocol", False)
    and not (isinstance(value, type) and issubclass(value, BaseException))
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(PROJECT / "examples" / "sample-takeout.mbox", tmp_path / "All mail.mbox")
    monkeypatch.chdir(tmp_path)
    name = f"unmbox.{module}".removesuffix(".__init__")
    found = importlib.import_module(name)
    done = doctest.testmod(found, extraglobs={"unmbox": unmbox}, report=True)
    assert done.attempted
    assert not done.failed


@pytest.mark.parametrize("name", ["messages", "EmlWriter", "DedupIndex", "Message"])
def test_what_people_begin_with_has_an_example(name: str) -> None:
    assert "unmbox.convert(" in (unmbox.__doc__ or "")
    assert ">>> " in (inspect.getdoc(getattr(unmbox, name)) or "")


def members(value: object) -> dict[str, object]:
    """What a class offers under a name of its own."""
    if not isinstance(value, type):
        return {}
    fields = getattr(value, "_fields", ())
    return {
        name: member
        for base in value.__mro__
        if base.__module__.startswith("unmbox")
        for name, member in vars(base).items()
        if not name.startswith("_")
        and name not in fields
        and (callable(member) or isinstance(member, property))
    }


@pytest.mark.parametrize("name", [name for name in unmbox.__all__ if callable(getattr(unmbox, name))])
def test_every_public_name_and_method_is_described(name: str) -> None:
    value = getattr(unmbox, name)
    text = inspect.getdoc(value) or ""
    assert text.split("\n", 1)[0].endswith((".", ":")), "a summary line, then the rest"
    bare = [key for key, member in members(value).items() if not inspect.getdoc(member)]
    assert not bare


@pytest.mark.parametrize("name", CALLED)
def test_every_argument_and_field_is_described(name: str) -> None:
    value = getattr(unmbox, name)
    text = inspect.getdoc(value) or ""
    names = inspect.signature(value).parameters if name != "Message" else ()  # nobody makes one
    assert not [each for each in names if not re.search(rf"`[^`\n]*\b{each}\b", text)]


@pytest.mark.parametrize("name", CALLED)
def test_the_reference_has_every_argument_and_member(name: str) -> None:
    page = (PROJECT / "docs" / "reference.md").read_text("utf-8")
    section = page.partition(f"### `{name}`")[2].partition("\n### ")[0]
    value = getattr(unmbox, name)
    ours = {"head", "stream", "beside"} if name == "Message" else set()  # nobody makes one
    names = {*inspect.signature(value).parameters, *members(value)} - ours
    assert not [each for each in names if not re.search(rf"\b{each}\b", section)]


PUBLIC = {
    *unmbox.__all__,
    *(f"aio.{name}" for name in unmbox.aio.__all__),
    *(f"report.{name}" for name in unmbox.report.__all__),
}


@pytest.mark.parametrize("name", sorted(name for name in PUBLIC if "." in name))
def test_names_of_the_extras_are_described(name: str) -> None:
    module, _, last = name.partition(".")
    value = getattr(importlib.import_module(f"unmbox.{module}"), last)
    assert inspect.getdoc(value)
    assert not [key for key, member in members(value).items() if not inspect.getdoc(member)]
    section = (PROJECT / "docs" / "reference.md").read_text("utf-8").partition(f"`unmbox.{module}`")[2]
    assert re.search(rf"`[^`]*\b{last}\b", section.partition("\n## ")[0])


def test_public_names_stay() -> None:
    listed = (PROJECT / "tests" / "public_names.txt").read_text("utf-8").split()
    gone = set(listed) - PUBLIC
    assert not gone, "a public name goes only by the way of docs/explanation/stability.md"
    new = PUBLIC - set(listed)
    assert not new, "write it into tests/public_names.txt: from then on it stays"
    assert listed == sorted(listed)


def test_every_keyword_of_convert_is_documented_and_an_option_of_the_command() -> None:
    reference = (PROJECT / "docs" / "reference.md").read_text("utf-8")
    section = reference.partition("### `convert`")[2].partition("\n### ")[0]
    keywords = list(inspect.signature(unmbox.convert).parameters)
    assert not [name for name in keywords if not re.search(rf"^\|[^|]*`{name}`", section, re.MULTILINE)]
    convert = command.get_command(click.Context(command), "convert")
    assert convert is not None
    options = {option.name for option in convert.params}
    assert set(keywords) - options == {"sources", "destination", "manifest", "progress"}
    assert options - set(keywords) == {"paths", "as_json", "quiet", "debug"}


def test_the_logger_is_silent_by_default() -> None:
    script = """
import logging
from unmbox import _log
_log.warning("nobody asked")
print(len(logging.getLogger("unmbox").handlers), logging.root.handlers)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1 []\n"
    assert not done.stderr


def test_the_logger_tells_of_each_source(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sample = PROJECT / "examples" / "sample-takeout.mbox"
    with caplog.at_level(logging.INFO, logger="unmbox"):
        unmbox.convert(sample, tmp_path / "eml")
    assert {record.name for record in caplog.records} == {"unmbox"}
    assert [record.getMessage() for record in caplog.records] == [
        f"reading {sample} from octet 0",
        f"read {sample}: {sample.stat().st_size} octets",
    ]


def test_there_is_one_logger() -> None:
    for path in PACKAGE.glob("*.py"):
        assert set(re.findall(r"getLogger\((.*?)\)", path.read_text("utf-8"))) <= {'"unmbox"'}


def test_only_the_command_has_its_garbage_collected_less(tmp_path: Path) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    unmbox.convert(PROJECT / "examples" / "sample-takeout.mbox", tmp_path / "eml")
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
    code = "import gc, sys; from unmbox.__main__ import main; sys.argv[1:] = ['--version']; main()"
    code += "; print(gc.get_threshold()[0], gc.get_freeze_count())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    threshold, frozen = map(int, said.split()[-2:])
    assert threshold > before[0][0]
    assert frozen > 1000
