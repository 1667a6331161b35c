"""What it costs to convert out of an archive: beside the bare mailbox, and beside unpacking alone.

    python -m benchmarks.sources --size 256M --runs 5

Each round runs every command once, one after the other; figures are medians over the rounds. The ratio
beside an archive is to the slower of two: the same mailbox bare, and its unpacking alone (`unzip -p`,
`gzip -dc`) into nothing. Both overlap in unmbox, so it is what unpacking adds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import measure, shapes

_MIB = 1 << 20


def pack(plain: Path) -> dict[str, tuple[Path, list[str]]]:
    """The mailbox in archives made by others' programs, and the command that only unpacks each."""
    folder = plain.parent
    made: dict[str, tuple[Path, list[str]]] = {}
    for name, program, command, unpack in (
        ("deflated.zip", "zip", ["zip", "-q"], ["unzip", "-p"]),
        ("stored.zip", "zip", ["zip", "-q", "-0"], ["unzip", "-p"]),
        ("takeout.tgz", "tar", ["tar", "czf"], ["tar", "xzOf"]),
        ("all.mbox.gz", "gzip", ["gzip", "-kc"], ["gzip", "-dc"]),
        ("all.mbox.zst", "zstd", ["zstd", "-qc"], ["zstd", "-qdc"]),
    ):
        path = folder / name
        if not shutil.which(program) or not shutil.which(unpack[0]):
            continue
        if command[-1].endswith("c"):
            with path.open("wb") as out:
                subprocess.run([*command, plain.name], cwd=folder, stdout=out, check=True)
        else:
            subprocess.run([*command, path.name, plain.name], cwd=folder, check=True)
        made[name] = (path, [*unpack, str(path)])
    return made


def once(command: list[str]) -> measure.Usage:
    """Run a command into nothing; it must do its job."""
    usage = measure.run(command, stdout=subprocess.DEVNULL)
    assert usage.code == 0, command
    return usage


def convert(source: Path, destination: Path) -> measure.Usage:
    """Convert a source, and remove what came out of it, outside the time."""
    usage = once([sys.executable, "-m", "unmbox", "convert", str(source), str(destination), "--quiet"])
    shutil.rmtree(destination)
    return usage


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="256M", help="of the mailbox")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="unmbox-bench-", dir=memory) as name:
        folder = Path(name)
        plain = folder / "all.mbox"
        shapes.main(["takeout", str(plain), "--size", options.size, "--newline", "crlf"])
        packed = pack(plain)
        size = plain.stat().st_size
        bare: list[measure.Usage] = []
        alone: dict[str, list[measure.Usage]] = {kind: [] for kind in packed}
        ours: dict[str, list[measure.Usage]] = {kind: [] for kind in packed}
        for _ in range(options.runs):
            bare.append(convert(plain, folder / "eml"))
            for kind, (path, unpack) in packed.items():
                alone[kind].append(once(unpack))
                ours[kind].append(convert(path, folder / "eml"))
    print("| source | seconds | MiB/s | unpacking alone | to the slower | peak MiB |")
    print("|---|---|---|---|---|---|")
    wall = median(each.wall for each in bare)
    print(row("bare mailbox", size, bare, "", ""))
    for kind, usages in ours.items():
        unpacking = median(each.wall for each in alone[kind])
        ratio = median(each.wall for each in usages) / max(wall, unpacking)
        print(row(kind, size, usages, f"{unpacking:.2f}", f"{ratio:.2f}"))


def row(kind: str, size: int, usages: list[measure.Usage], unpacking: str, ratio: str) -> str:
    """A line of the table."""
    wall = median(each.wall for each in usages)
    peak = max(each.peak for each in usages) / _MIB
    return f"| {kind} | {wall:.2f} | {size / _MIB / wall:.0f} | {unpacking} | {ratio} | {peak:.0f} |"


if __name__ == "__main__":
    main()
