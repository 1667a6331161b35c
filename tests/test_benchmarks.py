"""The benchmarks run, on inputs too small to say anything; their mailboxes are what they are said to be."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import unmbox
from benchmarks import async_loop, compare, growth, plot, shapes, stages, worst_cases

PROJECT = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"


def mailbox(name: str, *, newline: str = "lf", from_line: str = "classic", count: int | None = None) -> bytes:
    """A small one."""
    size = None if count else 300_000
    return b"".join(shapes.chunks(name, size=size, count=count, newline=newline, from_line=from_line))


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_crlf_twins_differ_in_line_ends_alone(name: str) -> None:
    # By count where that can be: a CRLF twin of the same size would hold fewer messages.
    stacked = shapes.SHAPES[name].messages is not None
    count = (1 if name == "many-fields" else 30) if stacked else None
    lf, crlf = (mailbox(name, newline=newline, count=count) for newline in ("lf", "crlf"))
    assert b"\r" not in lf
    shorter = min(len(lf), len(crlf) - crlf.count(b"\r")) if stacked else 200_000
    assert crlf.replace(b"\r\n", b"\n")[:shorter] == lf[:shorter]
    assert crlf.count(b"\r") == crlf.count(b"\n")
    assert lf.endswith(b"\n\n")


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_a_size_is_reached_and_not_by_far(name: str) -> None:
    octets = len(mailbox(name))
    slack = {"takeout": 2_000_000, "many-fields": 3_000_000}.get(name, 200_000)
    assert 300_000 <= octets <= 300_000 + slack


def test_the_octets_are_the_same_everywhere() -> None:
    found = {
        name: hashlib.sha256(mailbox(name, count=300)).hexdigest()[:16]
        for name in ("takeout", "small", "tiny")
    }
    assert found == {
        "takeout": "7ed6a3984d2fe924",
        "small": "e97c80564ff270f0",
        "tiny": "06b593edbd33d61d",
    }


@pytest.mark.parametrize(
    ("name", "count", "least", "most"), [("takeout", 2000, 65_000, 85_000), ("small", 2000, 4_500, 5_500)]
)
def test_real_mail_has_the_mean_size_it_is_said_to_have(name: str, count: int, least: int, most: int) -> None:
    octets = sum(len(data) for data in shapes.chunks(name, count=count, newline="crlf"))
    assert least <= octets / count <= most


@pytest.mark.parametrize(("name", "least", "most"), [("takeout", 4000, 6500), ("small", 900, 2500)])
def test_header_blocks_are_as_large_as_real_ones(name: str, least: int, most: int) -> None:
    for message in shapes.chunks(name, count=200):
        assert least <= message.index(b"\n\n") <= most


@pytest.mark.parametrize("name", ["takeout", "small"])
def test_one_message_in_50_holds_a_quoted_line_and_none_a_bare_one(name: str) -> None:
    octets = mailbox(name, count=500)
    assert octets.count(b"\n>From ") == 10
    assert octets.count(b"\nFrom ") == 499


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("classic", b"From 1600000000000000000@xxx Mon Sep 26 00:42:31 2005"),
        ("takeout", b"From 1600000000000000000@xxx Mon Sep 26 00:42:31 +0000 2005"),
    ],
)
def test_from_lines_in_both_forms(form: str, line: bytes) -> None:
    assert mailbox("takeout", count=1, from_line=form).splitlines()[0] == line


def test_offsets_are_those_of_the_messages() -> None:
    file = io.BytesIO()
    offsets = shapes.write("small", file, count=50)
    octets = file.getvalue()
    assert len(offsets) == 51
    assert all(octets[at : at + 5] == b"From " for at in offsets[:-1])
    assert offsets[-1] == len(octets)


@pytest.mark.parametrize(
    ("text", "octets"), [("0", 0), ("64k", 65_536), ("1.5M", 1_572_864), ("1G", 1 << 30)]
)
def test_sizes(text: str, octets: int) -> None:
    assert shapes.size_of(text) == octets


def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a module as people do."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def cells(line: str) -> list[str]:
    """What stands in a row of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_shapes_writes_a_file_and_says_what_is_in_it(tmp_path: Path) -> None:
    done = run("benchmarks.shapes", "tiny", "--count", "7", str(tmp_path / "tiny.mbox"))
    octets = (tmp_path / "tiny.mbox").read_bytes()
    assert octets == mailbox("tiny", count=7)
    assert done.stderr == f"7 messages, {len(octets)} octets\n"
    assert not done.stdout


def test_shapes_writes_to_standard_output() -> None:
    done = run("benchmarks.shapes", "dense-quoted", "--size", "64K", "-")
    assert done.stdout.startswith("From ")
    assert done.stderr == f"1 messages, {len(done.stdout)} octets\n"


def test_shapes_ends_quietly_when_its_reader_does() -> None:
    command = [sys.executable, "-m", "benchmarks.shapes", "small", "--size", "64M", "-"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.read(10)
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["giant-line", "--count", "2", "-"], "giant-line holds one message: give a --size"),
        (["small", "--size", "much", "-"], "not a size: 'much'"),
    ],
)
def test_shapes_says_what_it_cannot_do(arguments: list[str], complaint: str) -> None:
    assert complaint in run("benchmarks.shapes", *arguments, status=2).stderr


def test_worst_cases_are_linear_and_told_beside_plain_mail() -> None:
    done = run("benchmarks.worst_cases", "dense-from", "one-line", "--size", "64K", "--steps", "2")
    lines = done.stdout.splitlines()
    named = ["small", "dense-from", "one-line"]
    assert [line.split()[0] for line in lines] == ["parser:", *named, "convert:", *named]
    assert lines[1].count("(  1.0)") == 2


def test_worst_cases_all_have_the_size_that_is_asked_for() -> None:
    for name, make in worst_cases.SHAPES.items():
        assert 100_000 < len(make(1 << 17)) < 4 << 20, name


def test_compare_makes_a_table_of_each_job(tmp_path: Path) -> None:
    table, plotted = tmp_path / "table.md", tmp_path / "table.svg"
    run(
        "benchmarks.compare",
        *("--size", "100K", "--runs", "1", "--folder", str(tmp_path), "--only", "crlf"),
        *("--output", str(table), "--plot", str(plotted)),
    )
    text = table.read_text("utf-8")
    heads = [line.split(":")[0] for line in text.splitlines() if line.startswith("## ")]
    assert heads == ["## takeout, CRLF", "## small, CRLF"]
    assert text.count("| unmbox, counting |") == text.count("| unmbox convert --headers preserve |") == 2
    assert text.count("| stdlib mailbox, to files |") == 2
    for program, row in (
        ("git", "git mailsplit --mboxrd"),
        ("git", "git mailsplit --mboxrd --keep-cr"),
        ("cc", "C: read and memmem"),
        ("cc", "C floor: split where told, to files"),
    ):
        if shutil.which(program):
            assert text.count(f"| {row} |") == 2
        else:
            assert f"- left out: {row} (" in text
    if find_library("gmime-3.0"):
        # On an unlucky octet it stops early, and is told to have done another job.
        assert text.count("| GMime, to files |") + text.count("left out: GMime, to files: ") == 2
    else:
        assert "- left out: GMime, to files (no library gmime-3.0 on this machine)" in text
    drawn = ET.parse(plotted).getroot()
    assert sorted(bar.rpartition(": ")[0] for bar in bars_of(drawn)) == sorted(
        cells(line)[0] for line in text.splitlines() if line.startswith("| ") and "MB/s" not in line
    )
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "table.svg"}


def bars_of(drawn: ET.Element) -> list[str]:
    """What the bars of a plot say of themselves."""
    return [
        title.text or ""
        for group in drawn.iter(f"{SVG}g")
        if (group.get("class") or "").split()[:1] == ["bar"]
        for title in group.iter(f"{SVG}title")
    ]


def test_a_plot_holds_what_it_is_given_and_nothing_from_outside() -> None:
    charts = {
        "small, counting": {"CRLF": {"unmbox <one>": 12.0}},
        "small, to files": {
            "LF": {"unmbox": 1234.0, "other": 617.0},
            "CRLF": {"unmbox": 1000.0, "third": 7.0},
        },
    }
    text = plot.page(charts, title="Nothing & all", unit="MB/s")
    drawn = ET.fromstring(text)
    assert sorted(bars_of(drawn)) == [
        "other: 617", "third: 7", "unmbox <one>: 12", "unmbox: 1,000", "unmbox: 1,234",
    ]  # fmt: skip
    words = [each.text for each in drawn.iter(f"{SVG}text")]
    assert words.count("small, counting, CRLF, MB/s") == words.count("small, to files, MB/s") == 1
    assert words.count("LF") == words.count("CRLF") == 1
    assert {"1,234", "617", "1,000", "7", "12"} <= set(words)
    widths = {
        title.text: float(rect.get("width", ""))
        for group in drawn.iter(f"{SVG}g")
        for title, rect in zip(group.findall(f"{SVG}title"), group.findall(f"{SVG}rect"), strict=False)
    }
    assert widths["unmbox: 1,234"] == pytest.approx(2 * widths["other: 617"], rel=0.01)
    assert not [each.tag for each in drawn.iter() if each.tag in {f"{SVG}script", f"{SVG}image"}]
    assert not re.search(r"href|url\(|@import|@font-face", text)
    assert text.count("http") == text.count(SVG.strip("{}"))
    assert "prefers-color-scheme: dark" in text


def test_a_plot_keeps_all_of_its_words_on_its_paper() -> None:
    names = ["unmbox convert, without digests, index and manifest", "short"]
    drawn = ET.fromstring(plot.page({"a": {"LF": dict.fromkeys(names, 9999.0)}}, title="", unit="MB/s"))
    height, bottom = float(drawn.get("height", "0")), 0.0
    for chart in drawn.findall(f"{SVG}svg"):
        assert float(chart.get("y", "0")) >= bottom
        bottom = float(chart.get("y", "0")) + float(chart.get("height", "0"))
        (shift,) = {
            float(re.findall(r"[\d.]+", group.get("transform", ""))[0])
            for group in chart.iter(f"{SVG}g")
            if group.get("transform")
        }
        # A letter of a sans-serif font is 0.55 times as wide as high, on the average.
        assert shift >= len(names[0]) * 13 * 0.55
        ends = [
            float(each.get("x", "0")) for each in chart.iter(f"{SVG}text") if each.get("class") == "value"
        ]
        assert all(shift + end + len("9,999") * 11 * 0.6 <= 920 for end in ends)
    assert bottom <= height


def test_compare_tells_what_a_missing_library_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "find_library", lambda _: None)
    everyone = compare.peers(Path("tools"))
    found = compare.left_out([peer for peer in everyone if peer.group in {"unmbox", "gmime"}], None)
    assert found == {"GMime, to files": "no library gmime-3.0 on this machine"}


@pytest.mark.skipif(not find_library("gmime-3.0"), reason="GMime is not on this machine")
@pytest.mark.parametrize(("shape", "newline"), [("takeout", "lf"), ("takeout", "crlf"), ("small", "lf")])
def test_gmime_writes_a_file_a_message(tmp_path: Path, shape: str, newline: str) -> None:
    source, out = tmp_path / "mail.mbox", tmp_path / "out"
    messages = list(shapes.chunks(shape, count=7, newline=newline))
    source.write_bytes(b"".join(messages))
    out.mkdir()
    command = [
        sys.executable,
        compare.__file__.replace("compare", "jobs"),
        "gmime-files",
        str(source),
        str(out),
    ]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"7\n"
    written = [path.read_bytes() for path in sorted(out.iterdir())]
    for octets, message in zip(written, messages, strict=True):
        # It sets empty lines between parts as it likes.
        body = message.partition(b"\r\n\r\n" if newline == "crlf" else b"\n\n")[2]
        assert b"".join(octets.split()).endswith(b"".join(body.split()))


def test_compare_says_at_once_that_it_cannot_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        compare.main(["--plot", str(tmp_path / "absent" / "table.svg")])
    assert f"there is no folder {tmp_path / 'absent'}" in capsys.readouterr().err
    monkeypatch.setattr(compare, "find_spec", lambda _: None)
    with pytest.raises(SystemExit):
        compare.main(["--plot", str(tmp_path / "table.svg")])
    assert "pip install 'unmbox[report]'" in capsys.readouterr().err


def test_compare_names_whom_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    done = run(
        "benchmarks.compare",
        *("--size", "50K", "--runs", "1", "--folder", str(tmp_path), "--only", "small", "--only", "lf"),
        *("--only", "files", "--only", "git", "--only", "c"),
    )
    assert "- left out: git mailsplit --mboxrd (not on this machine)" in done.stdout
    assert (
        "- left out: C floor: split where told, to files (no C compiler (cc) on this machine)" in done.stdout
    )
    assert done.stdout.count("| unmbox convert --headers preserve |") == 1
    assert "stdlib" not in done.stdout


def test_compare_does_not_time_a_command_that_does_another_job(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(mailbox("tiny", count=3))
    box = compare.Mailbox("tiny", "lf", str(path), "", path.stat().st_size, 4)
    counter = compare.Peer(
        "stdlib", "stdlib", files=False, command=lambda *_: [sys.executable, "-c", "print(3)"]
    )
    usages, dropped = compare.compare([counter], box, tmp_path, 1)
    assert not usages
    assert dropped == ["left out: stdlib: 3 messages, not 4"]


def test_async_loop_tells_how_late_and_how_fast(capsys: pytest.CaptureFixture[str]) -> None:
    status = async_loop.main(["--size", "2M", "--shape", "takeout", "--loop", "asyncio", "--runs", "1"])
    assert status in {0, 1}  # what the machine was busy with meanwhile is not judged here
    lines = capsys.readouterr().out.splitlines()
    feeds = [line for line in lines if "ratio" in line]
    assert [line.partition(":")[0] for line in feeds] == [
        "takeout, asyncio, fed by path",
        "takeout, asyncio, fed by chunks",
    ]
    assert sum("99th percentile" in line for line in lines) == 2
    assert sum("100 ms and more" in line for line in lines) == 2


def test_the_parts_run_once_each() -> None:
    # Of the worst cases only one, for they take their time.
    chosen = ("-k", "not worst or one-octet-lines")
    done = run("pytest", "benchmarks", "-q", "-p", "no:cacheprovider", "--benchmark-disable", *chosen)
    assert " passed" in done.stdout


def test_archives_are_measured_beside_the_bare_mailbox() -> None:
    lines = run("benchmarks.sources", "--size", "64K", "--runs", "1").stdout.splitlines()
    assert lines[2].startswith("| bare mailbox |")
    assert all(line.count("|") == 7 for line in lines)


def test_growth_tells_what_each_step_cost(tmp_path: Path) -> None:
    table = tmp_path / "growth.md"
    done = run("benchmarks.growth", "--quick", "--folder", str(tmp_path), "--output", str(table))
    assert table.read_text("utf-8") == done.stdout
    octets, messages = done.stdout.split("## Messages grow: tiny mail")
    for text, column, most in ((octets, 1, 3.2), (messages, 2, 6400.0)):
        rows = [cells(line) for line in text.splitlines() if "x |" in line]
        assert [row[0] for row in rows] == ["1x", "4x", "16x", "64x"]
        assert rows[0][6] == "1.00"
        grown = [float(row[column].replace(",", "")) for row in rows]
        assert grown == sorted(set(grown))
        assert most <= grown[-1] < most * 1.5
        for row in rows:
            assert all(float(cell.replace(",", "")) >= 0 for cell in row[1:])
            assert 10 < float(row[7]) < 500  # MiB of memory
    last = cells(messages.splitlines()[-1])
    assert float(last[5]) == pytest.approx(float(last[3]) / 6400 * 1e6, rel=0.02)
    assert [path.name for path in tmp_path.iterdir()] == ["growth.md"]


def test_growth_stops_where_it_is_told_and_takes_one_table(tmp_path: Path) -> None:
    done = run(
        "benchmarks.growth",
        *("--quick", "--only", "messages", "--mail", "small", "--most", "4", "--runs", "2"),
        *("--folder", str(tmp_path)),
    )
    assert [line.split()[1] for line in done.stdout.splitlines() if "x |" in line] == ["1x", "4x"]
    assert "Octets" not in done.stdout
    assert "medians of 2 runs a step" in done.stdout


@pytest.mark.parametrize("shape", ["takeout", "small", "tiny"])
def test_growth_has_no_two_messages_with_one_body_or_one_id(tmp_path: Path, shape: str) -> None:
    box = growth.Mailbox(tmp_path / "mail.mbox", growth.Axis("messages", shape, "", 0))
    box.grow(messages=20)
    box.grow(messages=60)
    assert box.path.stat().st_size == box.octets
    found = list(unmbox.messages(box.path))
    assert len(found) == box.messages == 60
    assert len({message.message_id for message in found}) == 60
    bodies = {octets.partition(b"\n\n")[2] for octets in box.path.read_bytes().split(b"\nFrom ")}
    assert len(bodies) == 60


def test_growth_does_not_begin_what_has_no_room(tmp_path: Path) -> None:
    done = run("benchmarks.growth", "--octets", "900000G", "--folder", str(tmp_path), status=1)
    assert "MB wanted" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_stages_add_up_to_a_conversion(tmp_path: Path) -> None:
    table = tmp_path / "stages.md"
    done = run("benchmarks.stages", "--size", "300K", "--runs", "1", "--output", str(table))
    assert table.read_text("utf-8") == done.stdout
    rows = [cells(line) for line in done.stdout.splitlines()]
    assert rows[0][1:] == ["takeout", "small"]
    assert [row[0] for row in rows[2:-2]] == list(stages.STAGES)
    for column in (1, 2):
        own = [float(row[column]) for row in rows[2:-2]]
        assert all(each > 0 for each in own[:-1])  # every stage is met
        assert float(rows[-2][column].strip("*")) == pytest.approx(sum(own), abs=1)


def test_the_clock_counts_what_is_nested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(
        [0.0, 1.0, 4.0, 9.0]
    )  # the outer call begins, the inner one begins and ends, the outer one ends
    monkeypatch.setattr(stages, "perf_counter", lambda: next(ticks))
    inner, outer, *_ = stages.STAGES
    clock = stages.Clock()
    clock.around(outer, clock.around(inner, lambda: None))()
    assert (clock.seconds[inner], clock.seconds[outer]) == (3.0, 6.0)
    assert (clock.calls[inner], clock.calls[outer]) == (1, 1)
