"""Peak memory of the command: flat in the size of a file, a message, a line, a header block, and in messages.

Each mailbox comes through a pipe from its generator, at full size. What is written goes where memory
backs the folder if there is room, and is removed after each case.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measure

PROJECT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
# A child that is measured for coverage pays for that in memory.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("COV")}


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Path]:
    """A folder for some 3 GB, in memory if that can be."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 8 << 30
    with tempfile.TemporaryDirectory(prefix="unmbox-test-", dir=memory if roomy else tmp_path) as name:
        yield Path(name) / "eml"


def convert(source: Any, destination: Path) -> tuple[float, dict[str, Any]]:
    """Convert what `source` (an open file) gives; returns the command's peak in MiB and its report."""
    command = [sys.executable, "-m", "unmbox", "convert", "-", str(destination)]
    with tempfile.TemporaryFile() as said:
        usage = measure.run(
            [*command, "--headers", "preserve", "--json"], stdin=source, stdout=said, env=PLAIN
        )
        said.seek(0)
        text = said.read()
    assert usage.code == 0
    return usage.peak / MIB, json.loads(text)


def convert_octets(octets: bytes, destination: Path) -> tuple[float, dict[str, Any]]:
    """The same for a small mailbox."""
    with tempfile.TemporaryFile() as source:
        source.write(octets)
        source.seek(0)
        return convert(source, destination)


def convert_shape(shape: list[str], destination: Path) -> tuple[float, dict[str, Any]]:
    """The same for a generated mailbox, of which all must have been read."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.shapes", *shape, "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
        env=PLAIN,
    ) as generator:
        peak, report = convert(generator.stdout, destination)
        assert generator.stdout is not None
        assert generator.stderr is not None
        generator.stdout.close()
        said = generator.stderr.read().decode()
    assert generator.returncode == 0, said
    assert said == f"{report['messages']} messages, {report['bytes_in']} octets\n"
    return peak, report


ONE = (
    b"From a@b.example Tue Mar 19 09:13:51 2019\nSubject: %b\nDate: Tue, 19 Mar 2019 09:13:51 +0000\n\nHi.\n"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The peak for a mailbox of one small message, in MiB."""
    peak, report = convert_octets(ONE % b"Hello", tmp_path_factory.mktemp("base") / "eml")
    assert report["written"] == 1
    return peak


def test_the_measure_is_that_of_the_child_alone() -> None:
    bulk = b"\1" * (256 * MIB)  # what a child would seem to have if its parent's pages counted
    little = measure.run([sys.executable, "-I", "-S", "-c", "pass"])
    more = measure.run([sys.executable, "-I", "-S", "-c", f"bulk = b'x' * {64 * MIB}"])
    assert len(bulk) == 256 * MIB
    assert little.code == more.code == 0
    assert little.peak < 16 * MIB
    assert 60 * MIB < more.peak - little.peak < 68 * MIB


def test_base(base: float) -> None:
    assert base <= 40


def test_base_with_a_subject_that_needs_its_charset_guessed(tmp_path: Path) -> None:
    peak, report = convert_octets(ONE % "見積書の件".encode("cp932"), tmp_path / "eml")
    assert report["written"] == 1
    assert peak <= 64


@pytest.mark.parametrize(
    ("shape", "messages"),
    [
        pytest.param(
            ["takeout", "--size", "1G", "--newline", "crlf", "--from-line", "takeout"],
            None,
            id="file-of-1-GiB",
        ),
        pytest.param(["giant-message", "--size", "512M"], 1, id="message-of-512-MiB"),
        pytest.param(["giant-line", "--size", "256M"], 1, id="line-of-256-MiB"),
        pytest.param(["giant-head", "--size", "64M", "--newline", "crlf"], 1, id="header-block-of-64-MiB"),
        pytest.param(["giant-field", "--size", "64M"], 1, id="header-field-of-64-MiB"),
        pytest.param(["tiny", "--count", "500000", "--newline", "crlf"], 500_000, id="500,000-messages"),
    ],
)
def test_no_more_than_16_mib_above_base(
    shape: list[str], messages: int | None, base: float, destination: Path
) -> None:
    peak, report = convert_shape(shape, destination)
    assert report["written"] == report["messages"]
    assert messages in {None, report["messages"]}
    assert peak - base <= 16


@pytest.mark.parametrize(
    ("shape", "above"),
    [
        (["takeout", "--size", "64M"], 16),
        (["tiny", "--count", "10000"], 16),
        (["giant-message", "--size", "128M"], 16),
        (["giant-line", "--size", "64M"], 16),
        # A block is looked at up to its first MiB, and five writers have one each.
        (["giant-head", "--size", "32M"], 40),
        (["giant-field", "--size", "32M"], 40),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_inspect_deep_is_flat_too(shape: list[str], above: int, base: float) -> None:
    command = [sys.executable, "-m", "benchmarks.shapes", *shape, "-"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=PROJECT, env=PLAIN
    ) as generator:
        deep = [sys.executable, "-m", "unmbox", "inspect", "--deep", "--json", "-"]
        usage = measure.run(deep, stdin=generator.stdout, stdout=subprocess.DEVNULL, env=PLAIN)
        assert generator.stdout is not None
        generator.stdout.close()
    assert (generator.returncode, usage.code) == (0, 0)
    assert usage.peak / MIB - base <= above
