"""Where the time of a message goes: each stage of `convert` by itself, and the system calls in it.

    python -m benchmarks.stages                      # takeout and small, CRLF, 48 MiB each
    python -m benchmarks.stages --size 128M --newline lf --output stages.md

A clock is put around the functions that the stages begin with; what a stage spends in another one counts
there and not here, and what the clock itself costs is taken off. Figures are µs a message, of the quickest of
several runs in this process: a start of the command comes on top. Mailbox and EMLs stand in memory where the
system has a folder there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks import shapes
from benchmarks.measure import tell
from unmbox import _batches, _convert
from unmbox._copies import Copies
from unmbox._mail import Mail
from unmbox._parser import Parser
from unmbox._writer import EmlWriter
from unmbox.manifest import Manifest

REST = "the rest: gathering, handing on, opening and closing"
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "read: system call": ((os, "read"),),
    "parse: find From_ lines, cut heads and bodies": ((Parser, "feed"), (Parser, "close")),
    "write: check and repair the block, line ends of the body": ((EmlWriter, "send"),),
    "describe: date, names, subject, labels, state": ((Mail, "tell"),),
    "hash: block, body, identity": ((Mail, "take_whole"), (Mail, "add"), (Mail, "add_up")),
    "judge: new, copy or collision": ((Copies, "judge"),),
    "name it and make its row": ((_batches.Batches, "_row"),),
    "record: SQLite": ((Manifest, "commit"),),
    "file: sink and target": ((_batches, "write_file"),),
    "file: system calls": tuple((os, name) for name in ("open", "write", "utime", "link", "close", "rename")),
    REST: ((_convert, "convert"),),
}


class Clock:
    """Time and calls of each stage, of which one at a time is running."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self.calls: dict[str, int] = dict.fromkeys(STAGES, 0)
        self._inner = [0.0]  # of each stage that is under way, what others took in it

    def around(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, with its time added to the stage."""
        inner, seconds, calls = self._inner, self.seconds, self.calls

        def timed(*args: Any, **kwargs: Any) -> Any:
            inner.append(0.0)
            began = perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                took = perf_counter() - began
                seconds[stage] += took - inner.pop()
                calls[stage] += 1
                inner[-1] += took

        return timed

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Be around all stages meanwhile."""
        with ExitStack() as undo:
            for stage, places in STAGES.items():
                for place, name in places:
                    call = getattr(place, name)
                    undo.callback(setattr, place, name, call)
                    setattr(place, name, self.around(stage, call))
            yield


def own_cost() -> tuple[float, float]:
    """Seconds that a call costs with the clock around it: within what it measures, and outside."""
    clock = Clock()
    stage = next(iter(STAGES))
    count = 200_000
    timed = clock.around(stage, lambda: None)
    began = perf_counter()
    for _ in range(count):
        timed()
    whole = (perf_counter() - began) / count
    inside = clock.seconds[stage] / count
    return inside, whole - inside


def convert(source: Path, destination: Path) -> tuple[float, int]:
    """Seconds of one conversion, and its messages."""
    began = perf_counter()
    report = _convert.convert(source, destination)
    seconds = perf_counter() - began
    shutil.rmtree(destination)
    return seconds, report.messages


def measure(source: Path, folder: Path, runs: int) -> dict[str, float]:
    """µs a message of each stage, and of the whole as it is without a clock."""
    destination = folder / "eml"
    plain, messages = min(convert(source, destination) for _ in range(runs + 1))
    inside, outside = own_cost()
    best: dict[str, float] = {}
    for _ in range(runs):
        clock = Clock()
        with clock.watching():
            convert(source, destination)
        # What a call costs outside has counted in the stage around it, which mostly is the rest.
        found = {stage: took - inside * clock.calls[stage] for stage, took in clock.seconds.items()}
        found[REST] -= outside * sum(clock.calls.values())
        if not best or sum(found.values()) < sum(best.values()):
            best = found
    return {stage: took / messages * 1e6 for stage, took in best.items()} | {"whole": plain / messages * 1e6}


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the table's lines."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="unmbox-stages-", dir=memory) as name:
        for shape in options.shape or ("takeout", "small"):
            source = Path(name, f"{shape}.mbox")
            with source.open("wb") as file:
                shapes.write(shape, file, size=options.size, newline=options.newline)
            columns[shape] = measure(source, Path(name), options.runs)
            source.unlink()
    yield f"| µs a message, {options.newline.upper()} | {' | '.join(columns)} |"
    yield "|---|" + "---:|" * len(columns)
    for stage in STAGES:
        yield f"| {stage} | {' | '.join(f'{column[stage]:.1f}' for column in columns.values())} |"
    sums = [sum(column[stage] for stage in STAGES) for column in columns.values()]
    yield f"| **sum** | {' | '.join(f'**{each:.1f}**' for each in sums)} |"
    whole = [column["whole"] for column in columns.values()]
    yield f"| the same run without a clock | {' | '.join(f'{each:.1f}' for each in whole)} |"


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and keep it where that is asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--size", type=shapes.size_of, default="48M", help="octets of each mailbox (48M)")
    parser.add_argument("--shape", action="append", choices=("takeout", "small"), help="only this one")
    parser.add_argument("--newline", choices=("crlf", "lf"), default="crlf")
    parser.add_argument("--runs", type=int, default=5, help="the quickest counts (5)")
    parser.add_argument("--output", type=Path, help="where the table goes, besides standard output")
    options = parser.parse_args(arguments)
    tell(report(options), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
