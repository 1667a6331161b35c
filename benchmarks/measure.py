"""What a command takes: time, and memory at its peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LAUNCHER = Path(__file__).with_name("launcher.py")

Stream = IO[bytes] | int | None


@dataclass(frozen=True)
class Usage:
    """Seconds, octets of memory at the peak, and the exit status (negative for a signal)."""

    wall: float
    user: float
    system: float
    peak: int
    code: int


def tell(lines: Iterable[str], output: Path | None) -> None:
    """Print lines as they come, and keep them in a file, if there is to be one, as they come too."""
    with output.open("w", encoding="utf-8") if output else nullcontext() as file:
        for line in lines:
            print(line, flush=True)
            if file:
                print(line, file=file, flush=True)


def run(
    command: list[str], *, stdin: Stream = subprocess.DEVNULL, stdout: Stream = None, stderr: Stream = None,
    env: dict[str, str] | None = None,
) -> Usage:  # fmt: skip
    """Run `command` to its end, with a small process as its parent, for the reason that `launcher` gives.

    Raises FileNotFoundError where the command cannot be started.
    """
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as report:
        try:
            launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), str(writer), *command],
                stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=(writer,), env=env,
            )  # fmt: skip
        finally:
            os.close(writer)
        result = report.read()
        launcher.wait()
    if not result:
        raise FileNotFoundError(command[0])
    return Usage(**json.loads(result))
