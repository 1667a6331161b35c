"""The site: it builds without a warning, a broken link stops it, and every page and name is in it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest

import unmbox
from unmbox.cli import command

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"


def build(pages: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does."""
    call: list[str | Path] = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        pages,
        site,
    ]
    return subprocess.run(call, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built once."""
    made = tmp_path_factory.mktemp("site")
    done = build(DOCS, made)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_headings_of_the_reference_are_names_alone() -> None:
    # So that `reference.md#name` leads there, on the site and where code is hosted; signatures stand below.
    headings = re.findall(r"^### (.*)$", (DOCS / "reference.md").read_text("utf-8"), re.MULTILINE)
    assert not [heading for heading in headings if not re.fullmatch(r"`[A-Za-z_.]+`", heading)]


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert len(pages) > 15
    assert not [page for page in pages if not (site / page).is_file()]


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    # Sphinx has checked those of the pages; here are those that the theme and the directives made, too.
    broken = []
    targets = {
        path: set(re.findall(r'\bid="([^"]+)"', path.read_text("utf-8"))) for path in site.rglob("*.html")
    }
    for page, own in targets.items():
        for link in re.findall(r'href="((?!https?:|mailto:|data:)[^"]*)"', page.read_text("utf-8")):
            path, _, anchor = link.partition("#")
            there = (page.parent / path.partition("?")[0]).resolve() if path else page
            known = own if there == page else targets.get(there, set())
            if not there.is_file() or (anchor and there.suffix == ".html" and anchor not in known):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert not broken


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', page.read_text("utf-8"))


def test_the_command_page_has_every_option(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "command.html").read_text("utf-8"))
    context = click.Context(command, info_name="unmbox")
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        assert f"unmbox {name}" in text
        for option in found.params:
            gone = [name for name in option.opts if name.startswith("-") and name not in text]
            assert not gone


def test_the_library_page_has_every_name(site: Path) -> None:
    text = (site / "api.html").read_text("utf-8")
    missing = [name for name in unmbox.__all__ if name != "__version__" and f'id="unmbox.{name}"' not in text]
    assert not missing


def test_a_broken_link_stops_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    shutil.copytree(DOCS / "_static", pages / "_static")
    conf = (DOCS / "conf.py").read_text("utf-8").replace(', "site_reference"', "")
    (pages / "conf.py").write_text(conf, "utf-8")
    broken = "[x](gone-page.md) [x](other.md#gone-anchor) ![x](gone-picture.svg)"
    (pages / "index.md").write_text(
        f"# One\n\n[there](other.md#here) {broken}\n\n```{{toctree}}\nother\n```\n"
    )
    (pages / "other.md").write_text("# Other\n\n## Here\n")
    done = build(pages, tmp_path / "site")
    assert done.returncode != 0
    assert set(re.findall(r"gone-\w+", done.stderr)) == {"gone-page", "gone-anchor", "gone-picture"}
    assert "#here" not in done.stderr


def script(name: str) -> Any:
    """A script of the documents, as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_current() -> None:
    drawn = dict(script("make_pictures").pictures())
    assert {name: (DOCS / "pictures" / name).read_text("utf-8") for name in drawn} == drawn
    for path in (DOCS / "pictures").glob("*.svg"):
        svg = path.read_text("utf-8")
        ET.fromstring(svg)
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_of_separators_tells_the_truth() -> None:
    lines = script("make_pictures").MAILBOX
    octets = "".join(f"{line}\n" for line, *_ in lines).encode()
    parser = unmbox.Parser(variant="mboxrd")
    events = parser.feed(octets) + parser.close()
    starts = [
        octets[event.offset :].split(b"\n")[0].decode() for event in events if isinstance(event, unmbox.Head)
    ]
    assert starts == [line for line, _, verdict, _ in lines if verdict == "a message begins"]
    rejected = [event.line.decode() for event in events if isinstance(event, unmbox.Rejected)]
    assert rejected == [line for line, _, verdict, _ in lines if verdict == "text"]
    body = b"".join(event.data for event in events if isinstance(event, unmbox.Body))
    assert b"\nFrom now on" in body


def test_every_picture_says_in_words_what_it_shows() -> None:
    for page in [PROJECT / "README.md", *DOCS.rglob("*.md")]:
        for words in re.findall(r"!\[([^\]]*)\]", page.read_text("utf-8")):
            assert len(words.split()) >= 4, f"{page.name}: {words!r}"
