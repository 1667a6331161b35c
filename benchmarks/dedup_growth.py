"""What a dedup index costs as it grows: time an add against the number of keys, and memory.

    python -m benchmarks.dedup_growth --output curve.md
    python -m benchmarks.dedup_growth --quick

At each size new keys go in by `add_many` (in batches) and one at a time by `add`, then copies of known
ones come: in the order of their recording, and at random. Times are the wall's, in µs a message, making
the messages left out. Each index grows in a process of its own, whose memory is counted from just before
the index is opened: at its peak, and at the end of each size.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.measure import tell

_SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 3_000_000, 5_000_000]
_QUICK = [1_000, 3_000]
_MIB = 1 << 20
_HEAD = (
    "| keys | add_many | worst batch, ms | add | copies in order | copies at random | peak, MiB "
    "| now, MiB |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def messages(numbers: Iterator[int] | range | list[int]) -> list[tuple[bytes, bytes, bytes, int]]:
    """One message a number, told apart by Message-ID and body."""
    return [(b"<%d.abcdefghijkl@mail.example.com>" % n, sha256(b"%d" % n).digest(), b"", n) for n in numbers]


def memory() -> tuple[float, float]:
    """MiB of memory now and at the peak, the same where the system tells only one."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except FileNotFoundError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            _MIB if sys.platform == "darwin" else 1024
        )
        return peak, peak
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return int(sizes["VmRSS"]) / 1024, int(sizes["VmHWM"]) / 1024


def timed(call: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def grow(path: str | None, sizes: list[int], batch: int, sample: int) -> Iterator[dict[str, float]]:
    """Let an index grow through the sizes; yields what each cost."""
    from unmbox.dedup import DedupIndex

    chosen = random.Random(20)
    messages(range(batch))  # the memory of a batch is not the index's
    before, _ = memory()
    done = 0
    with DedupIndex(path) as index:
        for size in sizes:
            start, many, worst = done, 0.0, 0.0
            while done < size - sample:
                new = messages(range(done, min(done + batch, size - sample)))
                seconds = timed(lambda new=new: index.add_many(new))  # type: ignore[misc]
                many, worst = many + seconds, max(worst, seconds)
                done += len(new)
            many_each = many / (done - start)
            new = messages(range(done, size))
            one = timed(lambda new=new: [index.add(*message[:2], where=message[3]) for message in new])  # type: ignore[misc]
            done = size
            first = chosen.randrange(size - sample)
            known = messages(range(first, first + sample))
            ordered = timed(lambda known=known: index.add_many(known))  # type: ignore[misc]
            known = messages([chosen.randrange(size) for _ in range(sample)])
            at_random = timed(lambda known=known: index.add_many(known))  # type: ignore[misc]
            now, peak = memory()
            yield {
                "keys": size,
                "add_many": many_each * 1e6,
                "worst": worst * 1e3,
                "add": one / sample * 1e6,
                "ordered": ordered / sample * 1e6,
                "random": at_random / sample * 1e6,
                "peak": peak - before,
                "now": now - before,
            }


def opening(path: str, sizes: list[int]) -> dict[str, float]:
    """What the first answer of an index that is opened again costs."""
    from unmbox.dedup import DedupIndex

    before, _ = memory()
    started = time.perf_counter()
    with DedupIndex(path) as index:
        (verdict,) = index.add_many(messages([sizes[0] - 1]))
        seconds = time.perf_counter() - started
    if verdict.of != sizes[0] - 1:
        raise RuntimeError(f"{path} has forgotten a key")
    return {"seconds": seconds, "peak": memory()[1] - before, "octets": Path(path).stat().st_size / sizes[-1]}


def in_its_own_process(
    work: str, path: str | None, options: argparse.Namespace
) -> Iterator[dict[str, float]]:
    """Run this module for one part of the work; yields its lines as they come."""
    command = [sys.executable, "-m", "benchmarks.dedup_growth", "--work", work, "--batch", str(options.batch)]
    command += ["--path", path] if path else []
    command += ["--quick"] if options.quick else ["--most", str(options.most)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as child:
        assert child.stdout is not None
        for line in child.stdout:
            yield json.loads(line)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


def report(options: argparse.Namespace) -> Iterator[str]:
    """The Markdown, line by line."""
    yield "# Dedup index: cost against size"
    yield ""
    yield (
        f"µs a message; batches of {options.batch}; CPython {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {os.cpu_count()} processors."
    )
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="dedup-") as folder:
        for name, path in (("In memory", None), ("SQLite file", str(Path(folder) / "index.sqlite"))):
            yield f"\n## {name}\n\n{_HEAD}"
            for row in in_its_own_process("grow", path, options):
                yield (
                    "| {keys:,} | {add_many:.1f} | {worst:.0f} | {add:.1f} | {ordered:.1f} | {random:.1f} "
                    "| {peak:.0f} | {now:.0f} |"
                ).format(**row)
            if path:
                for row in in_its_own_process("open", path, options):
                    yield (
                        "\nOpened again: {seconds:.2f} s to the first answer, {peak:.0f} MiB at the peak; "
                        "{octets:.0f} octets a key on disk."
                    ).format(**row)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="so few keys that only the run itself is tested")
    parser.add_argument("--most", type=int, default=_SIZES[-1], help="the largest number of keys")
    parser.add_argument("--batch", type=int, default=1000, help="messages an add_many")
    parser.add_argument(
        "--folder", help="where the file lies for the time (a disk's figures say more of the disk)"
    )
    parser.add_argument("--output", type=Path, help="where the table goes, besides standard output")
    parser.add_argument("--work", choices=["grow", "open"], help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = _QUICK if options.quick else [size for size in _SIZES if size <= options.most]
    if options.work == "grow":
        for row in grow(options.path, sizes, options.batch, sample=sizes[0] // 2):
            print(json.dumps(row), flush=True)
    elif options.work == "open":
        print(json.dumps(opening(options.path, sizes)))
    else:
        tell(report(options), options.output)


if __name__ == "__main__":
    main()
