"""Turns for other threads: an event loop, an unpacker, whatever else a program does beside a conversion.

A thread that waits for the interpreter's lock asks for it after 5 ms in which nobody has let go of it. A
conversion lets go at every system call, and has the lock again before anyone is awake: while it wrote a batch
of short messages, an event loop waited for 40 ms.
"""

from __future__ import annotations

import os
from threading import active_count
from time import perf_counter, sleep

_EVERY = 0.01  # seconds
PAUSE = 0.0 if os.name == "nt" else 1e-6
"""Seconds asked for: some 60 µs, in which the system wakes who waits. Windows would make it milliseconds."""


class Turns:
    """Asked again and again, it lets the others have a turn every 10 ms, if there are others."""

    def __init__(self) -> None:
        self._next = 0.0

    def give(self) -> None:
        """Let go of the interpreter's lock for a moment, if it is time."""
        now = perf_counter()
        if now > self._next:
            if active_count() > 1:
                sleep(PAUSE)
                now = perf_counter()
            self._next = now + _EVERY
