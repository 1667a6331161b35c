"""The HTML report: its sums, its lists, and that nothing in a message can do anything in it."""

from __future__ import annotations

import csv
import http.server
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import unmbox
from unmbox import _page_words, _schema, report
from unmbox._page_charts import columns, rows
from unmbox._record import SourceState, checksum
from unmbox.report import write_report

SAMPLE = Path(__file__).parents[1] / "examples" / "sample-takeout.mbox"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium here: apt-get install chromium")
VOID = {"meta", "br", "img", "input", "link", "hr"}
# Their end tags may be left out (HTML, section 13.1.2.4).
OPTIONAL = {"li", "tr", "td", "th", "thead", "tbody", "tfoot"}


class Reader(HTMLParser):
    """Everything that a page holds: its tags with their attributes, and its text by section."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.stack: list[str] = []
        self._section = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.handle_data(" ")
        if tag not in VOID | OPTIONAL:
            self.stack.append(tag)
        if tag == "section":
            self._section = dict(attrs).get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPTIONAL:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts[self._section] = self.texts.get(self._section, "") + data

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def mail(number: int, **fields: str) -> bytes:
    told = {"From": "a@example.org", "Subject": f"Number {number}", "Date": "Tue, 19 Mar 2019 18:13:51 +0900"}
    told |= {"Message-ID": f"<{number}@example.org>"}
    told |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\n" for name, value in told.items())
    return f"From 1@xxx Tue Mar 19 09:13:51 +0000 2019\n{lines}\nHello {number}.\n\n".encode()


@pytest.fixture(scope="module")
def eml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, a mail with the Message-ID of another, and one that could not be converted."""
    folder = tmp_path_factory.mktemp("report") / "eml"
    more = folder.with_name("more.mbox")
    more.write_bytes(mail(1) + mail(2, Message_ID="<1@example.org>") + mail(3))
    unmbox.convert([SAMPLE, more], folder)
    with closing(sqlite3.connect(folder / "unmbox-manifest.sqlite")) as manifest:
        manifest.execute("UPDATE message SET outcome = 'quarantined' WHERE message_id = '<3@example.org>'")
        manifest.execute(
            "INSERT INTO refusal SELECT id, 'quarantined', 'ValueError: x' FROM message WHERE "
            "outcome = 'quarantined'"
        )
        manifest.execute("INSERT INTO refusal VALUES(1, 'zoho', 'over 30 MB')")
        manifest.commit()
    return folder


@pytest.fixture(scope="module")
def text(eml: Path) -> str:
    return write_report(eml, language="en").read_text("utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Reader:
    return Reader(text)


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# -- what it says ----------------------------------------------------------------------------------------


def test_the_sums_are_those_of_the_conversion(page: Reader, eml: Path) -> None:
    words = " ".join(page.texts["sums"].split())
    assert "Written 13 Left out as copies 1 Filtered out 0 In quarantine 1 Messages read 15" in words
    size = SAMPLE.stat().st_size
    assert f"{SAMPLE} mboxrd 12 0 {size:,} {size:,} ✓ adds up" in " ".join(page.texts["sources"].split())
    assert "Every octet is accounted for" in page.texts[""]
    repairs = " ".join(page.texts["repairs"].split())
    assert "missing-date no Date 2 0" in repairs
    assert "Total 5 0" in repairs
    assert "受信トレイ5" in "".join(page.texts["labels"].split())
    assert "zoho over 30 MB 1" in " ".join(page.texts["refused"].split())
    assert "ValueError: x" in page.texts["quarantine"]
    assert "2019-03" in page.texts["months"]
    for line in ("From the station it is ten minutes on foot.", "first-line-of-mime-part"):
        assert line in page.texts["lines"]
    assert page.texts["duplicates"].count("<1@example.org>") == 2


def test_sums_that_do_not_add_up_are_said_to(eml: Path, tmp_path: Path) -> None:
    copy = tmp_path / "eml"
    shutil.copytree(eml, copy)
    with closing(sqlite3.connect(copy / "unmbox-manifest.sqlite")) as manifest:
        manifest.execute("UPDATE source SET size = size + 1 WHERE id = 2")
        manifest.commit()
    told = Reader(write_report(copy, language="en").read_text("utf-8")).texts
    assert "The sums do not add up" in told[""]
    assert told["sources"].count("✓ adds up") == 1
    assert told["sources"].count("! does not add up") == 1


def test_every_message_is_in_the_csv_and_its_link_leads_to_its_eml(page: Reader, eml: Path) -> None:
    rows = cells(eml / "unmbox-report-messages.csv")
    assert len(rows) == 15
    assert sum(int(row["length"]) for row in rows if row["source"] == str(SAMPLE)) == SAMPLE.stat().st_size
    linked = {target for target in page.values("href") if target.endswith(".eml")}
    assert len(linked) == 14  # of a copy, its original
    from urllib.parse import unquote

    assert all((eml / unquote(target)).is_file() for target in linked if "Number%203" not in target)
    assert {path.name for path in eml.glob("*.csv")} == {
        f"unmbox-report-{name}.csv"
        for name in (
            "messages",
            "duplicates",
            "collisions",
            "quarantine",
            "refused",
            "repairs",
            "months",
            "labels",
            "lines",
        )
    }
    for target in page.values("href"):
        assert target.startswith("#") or (eml / unquote(target)).is_file() or "Number%203" in target
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.values("href") if target.startswith("#")} <= set(ids)


def test_the_report_is_no_stranger_to_verify(eml: Path, tmp_path: Path) -> None:
    unmbox.convert(SAMPLE, tmp_path / "eml")
    write_report(tmp_path / "eml")
    from unmbox._verify import verify

    assert verify(tmp_path / "eml").ok
    assert unmbox.convert(SAMPLE, tmp_path / "eml").already == 12


def test_an_empty_destination_has_a_report_too(tmp_path: Path) -> None:
    (tmp_path / "empty.mbox").touch()
    unmbox.convert(tmp_path / "empty.mbox", tmp_path / "eml")
    told = Reader(write_report(tmp_path / "eml", language="ja").read_text("utf-8"))
    assert "0" in told.texts["sums"]
    assert "ありません。" in told.texts["months"]


# -- languages -------------------------------------------------------------------------------------------


def test_it_says_why_mail_was_filtered_out(tmp_path: Path) -> None:
    unmbox.convert(SAMPLE, tmp_path / "eml", profile="zoho-mail", exclude="spam", since="2005-01-01")
    told = Reader(write_report(tmp_path / "eml", language="en").read_text("utf-8")).texts["sums"]
    notes = [row["note"] for row in cells(tmp_path / "eml" / "unmbox-report-filtered.csv")]
    assert notes == ["before 2005-01-01", "excluded: spam"]
    assert all(note in told for note in notes)


def test_both_languages_say_the_same_things(eml: Path, tmp_path: Path) -> None:
    assert _page_words._ENGLISH.keys() == _page_words._JAPANESE.keys()
    for name, word in _page_words._ENGLISH.items():
        wanted = sorted(re.findall(r"\{\w+\}", word))
        assert sorted(re.findall(r"\{\w+\}", _page_words._JAPANESE[name])) == wanted, name
    shown = write_report(eml, tmp_path / "ja.html", language="ja").read_text("utf-8")
    assert '<html lang="ja">' in shown
    assert "メールの変換結果" in shown
    english = {word for word in _page_words._ENGLISH.values() if len(word) > 12 and "{" not in word}
    assert not {word for word in english if word in shown}


@pytest.mark.parametrize(
    ("name", "language"), [("ja_JP.UTF-8", "ja"), ("C", "en"), ("de_DE", "en"), ("", "en")]
)
def test_the_language_is_that_of_the_machine(
    name: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", name)
    assert _page_words.language_here() == language


# -- a page that is safe, and for everybody ----------------------------------------------------------------


def test_it_is_whole_in_itself(text: str, page: Reader) -> None:
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not page.values("src")
    assert not page.values("style")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert re.findall(r"https?://[^\s\"<]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    [policy] = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style
    assert "@import" not in style


def test_those_who_cannot_see_are_told_the_same(page: Reader) -> None:
    assert ("html", {"lang": "en"}) in page.tags
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(charts) == 8
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(headings[n + 1] - headings[n] <= 1 for n in range(len(headings) - 1))
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    sections = [attributes for tag, attributes in page.tags if tag == "section" and "id" in attributes]
    assert {each["aria-labelledby"] for each in sections} <= set(page.values("id"))


def test_charts_are_drawings_and_nothing_else() -> None:
    from xml.etree import ElementTree as ET

    names = [f"{2000 + n // 12}-{n % 12 + 1:02}" for n in range(120)]
    shown = columns(names, {"written": [*range(120)]}, title='a "b" <c>', marked=names[::12])
    shown += rows(["<b>x</b>", "受信トレイ" * 20], [2, 1], title="t", kind="label")
    found = list(ET.fromstring(f"<all>{shown}</all>").iter())
    assert {each.tag.rpartition("}")[2] for each in found} == {
        "all",
        "svg",
        "g",
        "rect",
        "path",
        "text",
        "title",
    }
    assert not [each for each in found if {"style", "id"} & set(each.keys())]
    bars = [each.text for each in found if each.tag.endswith("title")]
    assert "2000-02: 1" in bars
    assert "<b>x</b>: 2" in bars


HOSTILE = [
    "<script>document.title = 'pwned'</script>",
    '"><img src=x onerror="document.title=\'pwned\'">',
    "'><svg onload=fetch('http://127.0.0.1:PORT/x')>",
    "</td></table><style>*{display:none}</style><h1>x",
    "<img src=http://127.0.0.1:PORT/y><iframe src='http://127.0.0.1:PORT/z'></iframe>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:PORT/r'><base href=//127.0.0.1:PORT>",
    "<a href=javascript:document.title='pwned'>x</a>",
    "{{ 7 * 7 }}{% for x in 'a' %}",
    "--><!-- ]]>",
    "=?utf-8?q?=E2=80=AEreversed=00=1B[2J?=",
]


class _Asked(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def listener() -> Iterator[Any]:
    """A server that nobody should ask anything."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def browse(address: str, profile: Path, *options: str) -> str:
    assert CHROMIUM
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            f"--user-data-dir={profile}",
            *options,
            address,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@in_a_browser
def test_hostile_mail_is_inert_in_a_browser(tmp_path: Path, listener: Any) -> None:
    words = [each.replace("PORT", str(listener.server_port)) for each in HOSTILE]
    mails = [
        mail(number, From=f"{word} <a@example.org>", Subject=word, X_Gmail_Labels=word.replace(",", " "))
        for number, word in enumerate(words)
    ]
    box = tmp_path / "<b onclick=x>.mbox"
    box.write_bytes(
        b"".join(mails * 2) + mail(99).replace(b"Hello", b"From <script>alert(1)</script>\nHello")
    )
    eml = tmp_path / "eml"
    unmbox.convert(box, eml, layout="{sender}/{subject}_{hash}")
    with closing(sqlite3.connect(eml / "unmbox-manifest.sqlite")) as manifest:
        manifest.executemany("INSERT INTO refusal VALUES(1, 'zoho', ?)", [(word,) for word in words])
        manifest.execute("UPDATE message SET path = 'javascript:alert(1)' WHERE id = 2")
        manifest.execute("INSERT INTO repair SELECT 1, ?, ?, 0, ?", words[:3])
        manifest.commit()
    page = write_report(eml, language="en")
    shown = browse(page.as_uri(), tmp_path / "profile", "--dump-dom", "--virtual-time-budget=2000")
    assert listener.asked == []
    told = Reader(re.sub(r"<(/?)(li|tr|td|th|thead|tbody|tfoot)\b", r"<\1\2", shown))
    assert "<title>What became of your mail</title>" in shown
    made = {tag for tag, _ in told.tags}
    assert not made & {"script", "img", "iframe", "base", "link"}
    assert [tag for tag, _ in told.tags].count("style") == 1
    assert [tag for tag, _ in told.tags].count("h1") == 1
    assert not [name for _, attributes in told.tags for name in attributes if name.startswith("on")]
    assert all(target.startswith(("#", "./")) for target in told.values("href"))
    everything = "".join(told.texts.values())
    assert "<script>document.title = 'pwned'</script>" in everything
    assert "{{ 7 * 7 }}" in everything
    assert "\u202e" not in everything
    assert "\x1b" not in everything
    # The very same page with a script of somebody's in it: its policy stops that, too.
    (tmp_path / "injected.html").write_text(
        page.read_text("utf-8").replace("</header>", f"{HOSTILE[0]}<b style='color:red'></b></header>"),
        "utf-8",
    )
    shown = browse((tmp_path / "injected.html").as_uri(), tmp_path / "profile", "--dump-dom")
    assert "<title>What became of your mail</title>" in shown


@in_a_browser
@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_the_screen(eml: Path, width: int, tmp_path: Path) -> None:
    page = write_report(eml, tmp_path / "page.html", language="ja").read_text("utf-8")
    # What measures it is put in by the test, without the policy that would not let it run.
    page = re.sub(r"<meta http-equiv=[^>]*>", "", page).replace(
        "</body>",
        "<script>document.title = [document.documentElement.scrollWidth <= innerWidth, innerWidth,"
        "getComputedStyle(document.querySelector('.chart.wide')).display,"
        "getComputedStyle(document.querySelector('.chart.narrow')).display].join()</script></body>",
    )
    frame = tmp_path / "frame.html"
    (tmp_path / "page2.html").write_text(page, "utf-8")
    # A window has a least width of its own; a frame has none.
    frame.write_text(
        f"<iframe src=page2.html width={width} height=900 style='border:0'></iframe><script>onload = () => "
        "document.title = document.querySelector('iframe').contentDocument.title</script>"
    )
    shown = browse(
        frame.as_uri(),
        tmp_path / "profile",
        "--dump-dom",
        "--allow-file-access-from-files",
        "--window-size=1400,1000",
    )
    [title] = re.findall("<title>(.*?)</title>", shown)
    charts = "none,block" if width == 390 else "block,none"
    assert title == f"true,{width},{charts}"


# -- many messages -----------------------------------------------------------------------------------------


def fill(folder: Path, count: int) -> None:
    """A manifest with so many rows, of which many are all that a row can be."""
    folder.mkdir()
    odd = '<b>&"見積' * 22

    def row(number: int) -> tuple[Any, ...]:
        outcome = ("written", "duplicate", "quarantined", "filtered")[number % 4]
        values = (
            number,
            1,
            number * 1000,
            1000,
            "From a",
            f"<{number // 3}@example.org>",
            "a" * 64,
            "b" * 64,
            outcome,
            f"2019/03/{'件' * 60}_{number}.eml",
            number - 1 if outcome == "duplicate" else None,
            f"{1990 + number % 30}-{number % 12 + 1:02}-01T00:00:00+00:00",
            odd[:90],
            "b@example.org",
            odd,
            json.dumps([f"Label {number % 3000}", "受信トレイ"]),
            None,
            "{}",
            100,
            900,
            b"",
        )
        return (*values, checksum(values))

    with closing(sqlite3.connect(folder / "unmbox-manifest.sqlite")) as manifest:
        _schema.create(manifest, {"headers": "repair"})
        state = SourceState(1, "x.mbox", count * 1000, "file", "mboxrd", offset=count * 1000, messages=count)
        state.candidates, state.done = count, True
        values = state.values()
        manifest.execute(f"INSERT INTO source VALUES({', '.join('?' * len(values))})", values)
        manifest.executemany(f"INSERT INTO message VALUES({', '.join('?' * 22)})", map(row, range(count)))
        every = range(count)
        manifest.executemany(
            "INSERT INTO repair VALUES(?, ?, ?, ?, ?)",
            ((n, f"code-{n % 20}", "Subject", n % 2, odd[:60]) for n in every),
        )
        manifest.executemany(
            "INSERT INTO refusal VALUES(?, ?, ?)",
            ((n, ("quarantined", "zoho")[n % 2], odd) for n in every if n % 4 > 1),
        )
        manifest.executemany(
            "INSERT INTO candidate VALUES(1, ?, ?, 'rejected', 'no-date')", ((n, odd) for n in every[:10_000])
        )
        manifest.commit()


def test_lists_are_capped_and_the_csv_files_are_not(tmp_path: Path) -> None:
    fill(tmp_path / "eml", 4_400)
    told = Reader(write_report(tmp_path / "eml", language="en").read_text("utf-8"))
    shown = re.findall(r"([\d,]+) of ([\d,]+) shown", "".join(told.texts.values()))
    assert shown
    assert all(int(some.replace(",", "")) <= 1_000 for some, _ in shown)
    assert {every for _, every in shown} >= {"4,400", "1,100"}
    assert len(cells(tmp_path / "eml" / "unmbox-report-messages.csv")) == 4_400
    assert len(cells(tmp_path / "eml" / "unmbox-report-quarantine.csv")) == 1_100
    assert len(cells(tmp_path / "eml" / "unmbox-report-labels.csv")) == 3_001


PEAK = """
import resource, sys
from unmbox.report import write_report
write_report(sys.argv[1], language="en")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_many_messages_make_no_large_page_and_take_no_memory(tmp_path: Path) -> None:
    # Where nothing grows from 2,000 on, nothing does up to 200,000.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    peaks, sizes = [], []
    for count in (2_000, 12_000):
        folder = tmp_path / str(count)
        fill(folder, count)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(folder)], capture_output=True, check=True, env=bare
        )
        peaks.append(int(done.stdout))
        sizes.append((folder / "unmbox-report.html").stat().st_size)
        shutil.rmtree(folder)
    assert peaks[1] - peaks[0] < 8_000  # KiB
    assert max(sizes) < 5_000_000


# -- files -------------------------------------------------------------------------------------------------


def test_nothing_of_the_users_is_overwritten(eml: Path, tmp_path: Path) -> None:
    mine = tmp_path / "page.html"
    mine.write_text("mine")
    with pytest.raises(unmbox.DestinationError, match="is there already"):
        write_report(eml, mine)
    assert mine.read_text() == "mine"
    mine.unlink()
    table = tmp_path / "page-messages.csv"
    table.write_text("mine")
    with pytest.raises(unmbox.DestinationError, match="is there already"):
        write_report(eml, mine)
    assert table.read_text() == "mine"
    assert not mine.exists()
    table.unlink()
    write_report(eml, mine, language="en")
    table.write_text("\ufeffof an earlier version")
    assert write_report(eml, mine, language="ja") == mine
    assert "メール" in mine.read_text("utf-8")
    assert not list(tmp_path.glob(".unmbox-*"))


def test_where_it_cannot_be_written(eml: Path, tmp_path: Path) -> None:
    with pytest.raises(unmbox.DestinationError, match="cannot write"):
        write_report(eml, tmp_path / "nowhere" / "page.html")


def test_bad_use(eml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(unmbox.UsageError, match="does not exist"):
        write_report(tmp_path)
    with pytest.raises(unmbox.UsageError, match="the destination's name is empty"):
        write_report("")
    with pytest.raises(unmbox.UsageError, match="choose one of en, ja"):
        write_report(eml, language="tlh")
    monkeypatch.setitem(sys.modules, "pygal", None)
    with pytest.raises(unmbox.UsageError, match=r"pip install 'unmbox\[report\]'"):
        write_report(eml)


def test_manifests_are_found(tmp_path: Path) -> None:
    assert report.manifest_at(tmp_path) == tmp_path / "unmbox-manifest.sqlite"
    assert report.manifest_at(tmp_path / "a.zip") == tmp_path / "a-manifest.sqlite"
    (tmp_path / "m.sqlite").touch()
    assert report.manifest_at(tmp_path / "m.sqlite") == tmp_path / "m.sqlite"
    assert report._page_name(tmp_path / "a-manifest.sqlite") == "a-report.html"


def test_the_command(eml: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    call = [sys.executable, "-m", "unmbox", "report", str(eml), "--output", str(page), "--language", "ja"]
    done = subprocess.run([*call, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"report": str(page)}
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{page} (")
    done = subprocess.run([*call[:4], str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


TWICE = b"From a@b Mon Jan  1 00:00:00 2001\nFrom: a@b\nMessage-ID: %b\n\n%b\n\n"


@pytest.mark.parametrize(
    ("dedup", "mails", "collisions"),
    [
        ("off", [(b"<1@x>", b"one"), (b"<1@x>", b"one")], 0),
        ("message-id+body", [(b"<1@x>", b"one"), (b"1@x", b"two")], 1),
        ("message-id+body", [(b"<1@x>", b"one"), (b"<1@x> (again)", b"two")], 1),
    ],
)
def test_other_mail_of_one_message_id(
    dedup: str, mails: list[tuple[bytes, bytes]], collisions: int, tmp_path: Path
) -> None:
    (tmp_path / "a.mbox").write_bytes(b"".join(TWICE % each for each in mails))
    eml = tmp_path / "eml"
    assert unmbox.convert(tmp_path / "a.mbox", eml, dedup=dedup).collisions == collisions
    write_report(eml)
    listed = eml / "unmbox-report-collisions.csv"
    assert listed.exists() == bool(collisions)


def test_lists_that_are_empty_now_go(tmp_path: Path) -> None:
    eml, path = tmp_path / "eml", tmp_path / "a.mbox"
    path.write_bytes(TWICE % (b"<1@x>", b"one") * 2)
    unmbox.convert(path, eml)
    write_report(eml)
    assert (eml / "unmbox-report-duplicates.csv").exists()
    unmbox.convert(path, eml, dedup="off", resume=False)
    write_report(eml)
    assert not (eml / "unmbox-report-duplicates.csv").exists()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_a_copy_is_depends_on_how_it_was_looked_for(language: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(TWICE % (b"<1@x>", b"one") + TWICE % (b"<1@x>", b"two"))
    said = _page_words.words(language)
    for dedup, key in (("message-id", "duplicates_by_id"), ("message-id+body", "duplicates_more")):
        unmbox.convert(path, tmp_path / dedup, dedup=dedup)
        assert said[key] in write_report(tmp_path / dedup, language=language).read_text("utf-8")
