"""Whether a conversion stays linear: time and memory as octets and messages grow, to 10 GB and 5 million.

    python -m benchmarks.growth --output growth.md
    python -m benchmarks.growth --only octets --most 16       # no further than 2.5 GB
    python -m benchmarks.growth --quick

Two tables, each of four steps of 1, 4, 16 and 64 times: *octets* grow with mail as Takeout has it (some 77
KB a message), *messages* grow with the smallest mail there is (some 160 octets each), so that one table tells
what an octet costs and the other what a message does. Each message has a Message-ID and a body of its own:
the index of copies gets a key for every one of them.

It is the whole default job that is timed: repairs, digests, the index, names, and a manifest on the disk.
What comes out is given to a sink that keeps none of it, for five million files say more of a file system than
of a converter. The mailbox is a file that is made, and synced, before the clock starts; a step's mailbox is
that of the step before and more. Each step runs in a process of its own, so memory is that of the step alone.
Within it a small mailbox goes first, which loads what is loaded but once; seconds are those of the one call
of `convert`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import measure, shapes

STEPS = (1, 4, 16, 64)
OCTETS = 10_000_000_000
MESSAGES = 5_000_000
_QUICK = (3_200_000, 6_400)
_MIB = 1 << 20
_ROW = 1_000  # octets of a row in the manifest, all its tables and indexes, and more than that
_HEAD = (
    "| step | MB | messages | seconds | processor | {unit} | of the first step's | peak MiB | manifest MB |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


class Forgetful:
    """A sink that keeps nothing, and its own target."""

    def open(self, message: object, /) -> Forgetful:
        """A target for this message."""
        return self

    def write(self, data: bytes, /) -> None:
        """Forget these octets."""

    def commit(self, name: str, /) -> None:
        """Forget the name, too."""

    def discard(self) -> None:
        """There is nothing to forget."""


@dataclass(frozen=True)
class Axis:
    """What grows: its unit, the shape of the mail, and how far it goes."""

    name: str
    shape: str
    unit: str
    most: int

    def amount(self, octets: int, messages: int) -> float:
        """How many units a mailbox has."""
        return octets / 1e6 if self.name == "octets" else messages


class Mailbox:
    """A file that grows by whole messages, each with a body of its own."""

    def __init__(self, path: Path, axis: Axis) -> None:
        self.path = path
        self.octets = self.messages = 0
        # Limited by nothing: where a step ends is decided here.
        self._made = shapes.chunks(axis.shape, size=sys.maxsize)

    def grow(self, *, octets: int = 0, messages: int = 0) -> None:
        """Go on until it has so many octets and messages."""
        with self.path.open("ab", buffering=1 << 20) as file:
            while self.octets < octets or self.messages < messages:
                # Texts are cut from pools, so that among millions some are the same but for this line.
                data = b"%bThis is number %d.\n\n" % (next(self._made)[:-1], self.messages)
                file.write(data)
                self.octets += len(data)
                self.messages += 1
            file.flush()
            os.fsync(file.fileno())  # the system would write it out meanwhile


def convert(source: str, record: str) -> dict[str, float]:
    """Convert a mailbox to nowhere, with a record; what that took and what it says it has done."""
    import unmbox

    unmbox.convert(shapes.chunks("small", count=50), Forgetful(), manifest=f"{record}-first")
    wall, processor = time.perf_counter(), time.process_time()
    report = unmbox.convert(source, Forgetful(), manifest=record)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "wall": wall,
        "processor": processor,
        "written": report.written,
        "octets": report.bytes_in,
        "manifest": Path(record).stat().st_size,
    }


def one_run(box: Mailbox, folder: Path) -> dict[str, float]:
    """Convert the mailbox in a process of its own, and see that it has done so."""
    with tempfile.TemporaryDirectory(dir=folder) as work, tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", "benchmarks.growth", "--work", str(box.path), f"{work}/record"]
        usage = measure.run(command, stdout=said)
        if usage.code:
            sys.exit(f"the conversion of {box.messages:,} messages ended with status {usage.code}")
        said.seek(0)
        run: dict[str, float] = json.loads(said.read())
    for what, found, right in (
        ("messages", run["written"], box.messages),
        ("octets", run["octets"], box.octets),
    ):
        if found != right:
            sys.exit(f"{found:,} {what} were converted, not {right:,}")
    return {**run, "peak": usage.peak}


def steps(axis: Axis, most: int, runs: int, folder: Path) -> Iterator[str]:
    """Yield the lines of a table, each when it is known."""
    yield _HEAD.format(unit=axis.unit)
    box = Mailbox(folder / f"{axis.name}.mbox", axis)
    first = 0.0
    for step in STEPS:
        if step > most:
            break
        box.grow(**{axis.name: axis.most * step // STEPS[-1]})
        done = [one_run(box, folder) for _ in range(runs)]
        seconds, processor = (median(run[name] for run in done) for name in ("wall", "processor"))
        each = seconds / axis.amount(box.octets, box.messages)
        first = first or each
        cells = (
            f"{step}x",
            f"{box.octets / 1e6:,.1f}",
            f"{box.messages:,}",
            f"{seconds:.2f}",
            f"{processor:.2f}",
            f"{each * (1e3 if axis.name == 'octets' else 1e6):.2f}",
            f"{each / first:.2f}",
            f"{max(run['peak'] for run in done) / _MIB:.0f}",
            f"{done[-1]['manifest'] / 1e6:,.1f}",
        )
        yield f"| {' | '.join(cells)} |"
    box.path.unlink()


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the Markdown, line by line."""
    yield "# A conversion's cost against its size"
    yield ""
    yield (
        f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} CPUs; "
        + ("one run a step" if options.runs == 1 else f"medians of {options.runs} runs a step")
        + ". Linear is 1.00 of the first step's."
    )
    for axis in (
        Axis("octets", "takeout", "ms a MB", options.octets),
        Axis("messages", options.mail, "µs a message", options.messages),
    ):
        if axis.name in options.only:
            yield f"\n## {axis.name.capitalize()} grow: {axis.shape} mail\n"
            with work_folder(options, axis) as folder:
                yield from steps(axis, options.most, options.runs, Path(folder))


def work_folder(options: argparse.Namespace, axis: Axis) -> tempfile.TemporaryDirectory[str]:
    """A folder with room for the largest mailbox and its manifest."""
    mean = {"takeout": 70_000, "small": 5_500, "tiny": 170}[axis.shape]
    share = options.most / STEPS[-1]
    octets, messages = (
        (axis.most, axis.most / mean) if axis.name == "octets" else (axis.most * mean, axis.most)
    )
    wanted = share * (octets + 2 * messages * _ROW)  # a manifest has its journal beside it
    folder = tempfile.TemporaryDirectory(prefix="unmbox-growth-", dir=options.folder)
    free = shutil.disk_usage(folder.name).free
    if free < wanted:
        folder.cleanup()
        sys.exit(f"{folder.name}: {free / 1e6:,.0f} MB free, {wanted / 1e6:,.0f} MB wanted")
    return folder


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="so little that only the run itself is tested")
    parser.add_argument(
        "--only", action="append", choices=("octets", "messages"), default=[], help="only one of the tables"
    )
    parser.add_argument(
        "--most", type=int, choices=STEPS, default=STEPS[-1], help="the last step to take (64)"
    )
    parser.add_argument("--octets", type=shapes.size_of, help=f"at the step 64x ({OCTETS})")
    parser.add_argument("--messages", type=int, help=f"at the step 64x ({MESSAGES})")
    parser.add_argument(
        "--mail", choices=("tiny", "small"), default="tiny",
        help="what grows by messages; 5 million of small take 28 GB and the time of making them (tiny)",
    )  # fmt: skip
    parser.add_argument("--runs", type=int, default=1, help="runs a step, of which the median counts (1)")
    parser.add_argument("--folder", help="where mailbox and manifest lie (the folder for temporary files)")
    parser.add_argument("--output", type=Path, help="where the Markdown goes, besides standard output")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    octets, messages = _QUICK if options.quick else (OCTETS, MESSAGES)
    options.octets = options.octets or octets
    options.messages = options.messages or messages
    options.only = options.only or ["octets", "messages"]
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Print the report as it comes to be known."""
    options = _arguments(arguments)
    if options.work:
        print(json.dumps(convert(*options.work)))
        return 0
    if not hasattr(os, "wait4"):
        sys.exit("a process's memory can only be measured where there is wait4 (not on Windows)")
    measure.tell(report(options), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
