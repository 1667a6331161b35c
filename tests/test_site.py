"""The site: it builds without a warning, a broken link stops it, and every page and name is in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

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
