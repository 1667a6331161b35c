"""How late an event loop is while it converts, and what `unmbox.aio` costs beside the sync call.

    python -m benchmarks.async_loop --size 1G
    python -m benchmarks.async_loop --size 50M --shape small --loop trio --feed chunks --runs 3

A ticker in the loop sleeps 5 ms at a time meanwhile; how much later than that it wakes is its lateness. The
sync and the async runs take turns, fed in the same way, and the medians of their times are compared.
Mailbox and EMLs stand in memory where the system has a folder there.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import anyio

import unmbox
from unmbox import aio

TICK = 0.005
LOOPS = ("asyncio", "uvloop", "trio")
_EDGES = (1, 2, 5, 10, 20, 50, 100)  # milliseconds
_TARGETS = (20.0, 0.85)  # milliseconds at the 99th percentile; of the sync throughput


async def tick(late: list[float]) -> None:
    """Note how late each tick comes, in milliseconds."""
    while True:
        due = time.perf_counter() + TICK
        await anyio.sleep(TICK)
        late.append(1000 * (time.perf_counter() - due))


async def chunks(path: Path) -> AsyncIterator[bytes]:
    """The file in pieces, as a network would give them."""
    with path.open("rb") as file:  # memory-backed, and no part of what is measured
        while chunk := file.read(1 << 16):
            yield chunk
            await anyio.lowlevel.checkpoint()


def pieces(path: Path) -> Iterator[bytes]:
    """The same for the sync call."""
    with path.open("rb") as file:
        while piece := file.read(1 << 16):
            yield piece


async def timed(source: Any, destination: Path, late: list[float]) -> float:
    """Seconds that a conversion takes, with a ticker beside it."""
    late.append(0.0)  # there may be no time for one
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick, late)
        began = time.perf_counter()
        await aio.convert(source, destination)
        seconds = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return seconds


def run_in(loop: str, function: Callable[..., Any], *args: Any) -> Any:
    """Run an async function under this event loop."""
    if loop == "uvloop":
        return importlib.import_module("uvloop").run(function(*args))
    return asyncio.run(function(*args)) if loop == "asyncio" else anyio.run(function, *args, backend="trio")


def histogram(late: list[float]) -> str:
    """How many ticks were how late."""
    lines = []
    for low, high in zip((-1, *_EDGES), (*_EDGES, None), strict=True):
        count = sum(low <= each and (high is None or each < high) for each in late)
        label = f"{max(low, 0)}-{high} ms" if high else f"{low} ms and more"
        lines.append(f"    {label:>15} {count:>7}  {'#' * round(50 * count / len(late))}")
    return "\n".join(lines)


def compare(path: Path, folder: Path, loop: str, feed: str, runs: int) -> tuple[float, float]:
    """Print one comparison; returns the lateness at the 99th percentile and the ratio of throughputs."""
    late: list[float] = []
    times: dict[str, list[float]] = {"sync": [], "async": []}
    for _ in range(runs):
        began = time.perf_counter()
        unmbox.convert(pieces(path) if feed == "chunks" else path, folder / "sync")
        times["sync"].append(time.perf_counter() - began)
        shutil.rmtree(folder / "sync")
        source = chunks(path) if feed == "chunks" else path
        times["async"].append(run_in(loop, timed, source, folder / "async", late))
        shutil.rmtree(folder / "async")
    late.sort()
    p50, p99 = (late[int(len(late) * part)] for part in (0.5, 0.99))
    octets = path.stat().st_size / 1e6
    sync, other = (octets / median(times[name]) for name in ("sync", "async"))
    print(f"{path.stem}, {loop}, fed by {feed}: {other:.0f} MB/s, sync {sync:.0f}, ratio {other / sync:.2f}")
    print(f"  late by {p50:.1f} ms at the median, {p99:.1f} at the 99th percentile, {late[-1]:.1f} at most")
    print(histogram(late))
    return p99, other / sync


def main(arguments: list[str] | None = None) -> int:
    """Compare what was asked for; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--size", default="1G", help="octets of the mailbox (K, M, G)")
    parser.add_argument("--shape", action="append", choices=("takeout", "small"))
    parser.add_argument("--loop", action="append", choices=LOOPS)
    parser.add_argument("--feed", action="append", choices=("path", "chunks"))
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args(arguments)
    memory = Path("/dev/shm")  # only where it is, and then under a name of our own
    missed = False
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        for shape in asked.shape or ("takeout", "small"):
            path = Path(name, f"{shape}.mbox")
            command = [sys.executable, "-m", "benchmarks.shapes", shape, "--size", asked.size, str(path)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            for loop in asked.loop or LOOPS:
                for feed in asked.feed or ("path", "chunks"):
                    p99, ratio = compare(path, Path(name), loop, feed, asked.runs)
                    missed |= p99 > _TARGETS[0] or ratio < _TARGETS[1]
            path.unlink()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
