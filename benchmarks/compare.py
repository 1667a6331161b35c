"""Compare whole processes: unmbox, its peers on this machine, and what C needs for the same job.

    python -m benchmarks.compare --size 512M --runs 5 --output table.md --plot table.svg

Each round runs every command once, one after the other, so that what disturbs the machine disturbs them
all; figures are medians over the rounds, and a ratio is the median of the rounds' own ratios. Input and
output lie in a memory-backed folder, for a disk's figures say more of the disk. What a run has written is
looked at (as many files as messages?) and removed between the runs, outside the time.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks import measure, shapes

_HERE = Path(__file__).resolve().parent
_JOBS = str(_HERE / "jobs.py")
_MIB = 1 << 20


@dataclass(frozen=True)
class Mailbox:
    """A generated mailbox: its file, the offsets of its messages beside it, and how many there are."""

    shape: str
    newline: str
    path: str
    offsets: str
    octets: int
    messages: int


@dataclass(frozen=True)
class Peer:
    """A command that does a job. `files` tells the jobs: writing files, or counting to standard output."""

    name: str
    group: str
    files: bool
    command: Callable[[Mailbox, str], list[str]]
    program: str = sys.executable
    library: str = ""
    newlines: tuple[str, ...] = ("lf", "crlf")


@dataclass(frozen=True)
class Result:
    """What the rounds of one job have shown, by command."""

    box: Mailbox
    job: str
    usages: dict[str, list[measure.Usage]]


class PeerError(Exception):
    """A command failed, or did another job than the one that is timed."""


def peers(tools: Path) -> list[Peer]:
    """All that there are, unmbox first in each job; `tools` is where the C programs have been built."""
    count, in_memory, split = (str(tools / name) for name in ("count", "convert", "split"))
    return [
        Peer(
            "unmbox, counting", "unmbox", files=False,
            command=lambda box, _: [sys.executable, _JOBS, "unmbox-count", box.path],
        ),
        Peer(
            "unmbox, reading every body", "unmbox", files=False,
            command=lambda box, _: [sys.executable, _JOBS, "unmbox-read", box.path],
        ),
        Peer(
            "C: read and memmem", "c", files=False, program=count,
            command=lambda box, _: [count, box.path],
        ),
        Peer(
            "C: split, unquote, CRLF, into nothing", "c", files=False, program=in_memory,
            command=lambda box, _: [in_memory, box.path],
        ),
        Peer(
            "stdlib mailbox, counting", "stdlib", files=False,
            command=lambda box, _: [sys.executable, _JOBS, "mailbox-count", box.path],
        ),
        Peer(
            "unmbox convert --headers preserve", "unmbox", files=True,
            command=lambda box, out: [
                sys.executable, "-m", "unmbox", "convert", box.path, out, "--headers", "preserve", "--quiet",
            ],
        ),
        Peer(
            "unmbox convert", "unmbox", files=True,
            command=lambda box, out: [sys.executable, "-m", "unmbox", "convert", box.path, out, "--quiet"],
        ),
        Peer(
            "unmbox convert, without digests, index and manifest", "unmbox", files=True,
            command=lambda box, out: [sys.executable, _JOBS, "unmbox-bare", box.path, out],
        ),
        Peer(
            "unmbox convert --jobs 2", "unmbox", files=True,
            command=lambda box, out: [
                sys.executable, "-m", "unmbox", "convert", box.path, out, "--quiet", "--jobs", "2",
            ],
        ),
        Peer(
            "Python floor: the system calls, SHA-256, a row each", "floor", files=True,
            command=lambda box, out: [sys.executable, _JOBS, "floor", box.path, box.offsets, out],
        ),
        Peer(
            "git mailsplit --mboxrd", "git", files=True, program="git",
            command=lambda box, out: ["git", "mailsplit", "--mboxrd", f"-o{out}", box.path],
        ),
        # Without --keep-cr it takes the CRs away; with it, it does of a CRLF file what unmbox does.
        Peer(
            "git mailsplit --mboxrd --keep-cr", "git", files=True, program="git", newlines=("crlf",),
            command=lambda box, out: ["git", "mailsplit", "--mboxrd", "--keep-cr", f"-o{out}", box.path],
        ),
        Peer(
            "stdlib mailbox, to files", "stdlib", files=True,
            command=lambda box, out: [sys.executable, _JOBS, "mailbox-files", box.path, out],
        ),
        Peer(
            "GMime, to files", "gmime", files=True, library="gmime-3.0",
            command=lambda box, out: [sys.executable, _JOBS, "gmime-files", box.path, out],
        ),
        Peer(
            "C floor: split where told, to files", "c", files=True, program=split,
            command=lambda box, out: [split, box.path, box.offsets, out, box.newline],
        ),
    ]  # fmt: skip


def build(tools: Path) -> str | None:
    """Compile the C programs; returns why there are none, or None."""
    compiler = shutil.which("cc")
    if compiler is None:
        return "no C compiler (cc) on this machine"
    for source in sorted((_HERE / "c").glob("*.c")):
        command = [compiler, "-O2", "-o", str(tools / source.stem), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{source.name} does not compile here: {done.stderr.strip().splitlines()[0]}"
    return None


def left_out(contestants: list[Peer], no_tools: str | None) -> dict[str, str]:
    """Who cannot run here, and why."""
    why = {}
    for peer in contestants:
        if not shutil.which(peer.program):
            why[peer.name] = no_tools if peer.group == "c" and no_tools else "not on this machine"
        elif peer.library and not find_library(peer.library):
            why[peer.name] = f"no library {peer.library} on this machine"
    return why


def one_run(peer: Peer, box: Mailbox, folder: Path) -> measure.Usage:
    """Run it once, see that it did the job, and remove what it wrote."""
    out = folder / "out"
    out.mkdir()
    try:
        with tempfile.TemporaryFile() as said:
            usage = measure.run(peer.command(box, str(out)), stdout=said)
            said.seek(0)
            text = said.read()
        if usage.code:
            raise PeerError(f"{peer.name}: exit status {usage.code}")
        if peer.files:
            found = sum(
                name.endswith(".eml") or name.isdigit() for _, _, names in os.walk(out) for name in names
            )
        else:
            found = int(text)
        if found != box.messages:
            raise PeerError(f"{peer.name}: {found} messages, not {box.messages}")
    finally:
        shutil.rmtree(out)
    return usage


def compare(
    contestants: list[Peer], box: Mailbox, folder: Path, runs: int
) -> tuple[dict[str, list[measure.Usage]], list[str]]:
    """Run the rounds, after one that only warms up and drops who cannot do the job; returns why, too."""
    usages: dict[str, list[measure.Usage]] = {}
    dropped = []
    for peer in contestants:
        try:
            one_run(peer, box, folder)
        except PeerError as error:
            if peer.group == "unmbox":
                raise
            dropped.append(f"left out: {error}")
        else:
            usages[peer.name] = []
    for _ in range(runs):
        for peer in contestants:
            if peer.name in usages:
                usages[peer.name].append(one_run(peer, box, folder))
    return usages, dropped


def _spread(values: list[float], form: str) -> str:
    """The median, and in brackets the least and the most."""
    low, middle, high = (format(value, form) for value in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def table(box: Mailbox, usages: dict[str, list[measure.Usage]]) -> Iterator[str]:
    """Yield a Markdown table's lines; the first command is the one that the ratios are of."""
    reference = next(iter(usages.values()))
    yield "| command | MB/s | µs a message | user s | system s | peak MiB | unmbox is … times as fast |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name, runs in usages.items():
        ratios = [other.wall / own.wall for own, other in zip(reference, runs, strict=True)]
        cells = (
            name,
            _spread([box.octets / run.wall / 1e6 for run in runs], ".0f"),
            f"{median(run.wall for run in runs) / box.messages * 1e6:.1f}",
            f"{median(run.user for run in runs):.2f}",
            f"{median(run.system for run in runs):.2f}",
            f"{max(run.peak for run in runs) / _MIB:.0f}",
            "" if runs is reference else _spread(ratios, ".2f"),
        )
        yield f"| {' | '.join(cells)} |"


def bars(results: list[Result]) -> dict[str, dict[str, dict[str, float]]]:
    """MB/s at the median: a chart a shape and job, a series a line end, a bar a command."""
    charts: dict[str, dict[str, dict[str, float]]] = {}
    for box, job, usages in ((each.box, each.job, each.usages) for each in results):
        chart = charts.setdefault(f"{box.shape}, {'to files' if job == 'files' else 'counting'}", {})
        chart[box.newline.upper()] = {
            name: median(box.octets / run.wall / 1e6 for run in runs) for name, runs in usages.items()
        }
    return charts


@contextmanager
def work_folder(chosen: str | None, size: int) -> Iterator[Path]:
    """Yield a folder with room for input and output, in memory where there is one, gone afterwards."""
    parent = chosen or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    if parent is None:
        print("warning: no memory-backed folder here; these figures are the disk's as well", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="unmbox-compare-", dir=parent) as name:
        free = shutil.disk_usage(name).free
        # A small message fills two pages and an inode, so its file takes up to twice its size.
        if free < 4 * size:
            sys.exit(f"{parent or name}: {free / _MIB:.0f} MiB free, {4 * size / _MIB:.0f} MiB wanted")
        yield Path(name)


def _machine(folder: Path, size: int, runs: int) -> Iterator[str]:
    yield f"- CPython {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield f"- {os.cpu_count()} CPUs"
    for command in (["git", "--version"], ["cc", "--version"]):
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            yield f"- {said.splitlines()[0]}"
    kind = "in memory" if folder.is_relative_to("/dev/shm") else "on whatever backs the folder"
    yield f"- mailboxes of {size / _MIB:.0f} MiB, input and output {kind}, {runs} rounds after one to warm up"
    yield "- peaks below some 10 MiB are those of the process that starts and measures the command"


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description="Compare unmbox with its peers, whole processes."
    )
    parser.add_argument("--size", type=shapes.size_of, default="512M", help="octets of each mailbox (512M)")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (5)")
    words = {"takeout": "shape", "small": "shape", "lf": "newline", "crlf": "newline", "count": "job",
             "files": "job", "git": "peer", "stdlib": "peer", "gmime": "peer",
             "c": "peer", "floor": "peer"}  # fmt: skip
    parser.add_argument(
        "--only", action="append", choices=words, default=[], metavar="WORD",
        help=f"only these shapes, line ends, jobs or peers, may be given again: {', '.join(words)}",
    )  # fmt: skip
    parser.add_argument("--folder", help="where to work (/dev/shm, else the folder for temporary files)")
    parser.add_argument("--output", type=Path, help="where the Markdown goes, besides standard output")
    parser.add_argument(
        "--plot", type=Path, help="where bars of MB/s go, as SVG; needs pygal (the extra `report`)"
    )
    options = parser.parse_args(arguments)
    for kind in ("shape", "newline", "job", "peer"):
        known = [word for word, its_kind in words.items() if its_kind == kind]
        setattr(options, kind, [word for word in known if word in options.only] or known)
    if options.runs < 1:
        parser.error("--runs: at least 1")
    if options.plot and not find_spec("pygal"):
        parser.error("--plot needs pygal: pip install 'unmbox[report]'")
    if options.plot and not options.plot.parent.is_dir():  # known now, not after the last round
        parser.error(f"--plot: there is no folder {options.plot.parent}")
    return options


def report(options: argparse.Namespace, folder: Path, results: list[Result]) -> Iterator[str]:
    """Yield the lines of the whole report, as they come to be known; `results` gets what they tell."""
    yield "# unmbox and its peers"
    yield ""
    yield from _machine(folder, options.size, options.runs)
    # As installed: a package is compiled once, and not in each run, whatever the environment says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "pycache")
    no_tools = build(folder)
    everyone = [peer for peer in peers(folder) if peer.group in ("unmbox", *options.peer)]
    missing = left_out(everyone, no_tools)
    for name, why in missing.items():
        yield f"- left out: {name} ({why})"
    for shape in options.shape:
        for newline in options.newline:
            path, beside = folder / "mail.mbox", folder / "offsets"
            with path.open("wb") as file:
                offsets = shapes.write(shape, file, size=options.size, newline=newline)
            beside.write_bytes(offsets.tobytes())
            box = Mailbox(shape, newline, str(path), str(beside), offsets[-1], len(offsets) - 1)
            yield ""
            yield f"## {shape}, {newline.upper()}: {box.messages:,} messages, {box.octets / 1e6:,.0f} MB"
            for job in options.job:
                contestants = [
                    peer
                    for peer in everyone
                    if peer.files == (job == "files")
                    and newline in peer.newlines
                    and peer.name not in missing
                ]
                yield ""
                usages, dropped = compare(contestants, box, folder, options.runs)
                results.append(Result(box, job, usages))
                yield from table(box, usages)
                for line in dropped:
                    yield ""
                    yield line
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Print the report as it comes to be known, and plot it if that is asked for."""
    options = _arguments(arguments)
    if not hasattr(os, "wait4"):
        sys.exit("a command's time and memory can only be measured where there is wait4 (not on Windows)")
    results: list[Result] = []
    with work_folder(options.folder, options.size) as folder:
        measure.tell(report(options, folder, results), options.output)
    if options.plot:
        from benchmarks import plot

        title = "unmbox and its peers: MB/s, the median of the rounds"
        options.plot.write_text(plot.page(bars(results), title=title, unit="MB/s"), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
