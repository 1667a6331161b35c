"""Files read and added up, several side by side: hashing and reading let other threads go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from unmbox._record import Digests, Written

_AHEAD = 4  # files a thread that are read before they are asked for


class Files:
    """Reads files in `jobs` threads. `tell` hears of each in its turn: its digests, or why there are none."""

    def __init__(self, jobs: int, tell: Callable[[Written, Digests | OSError], None]) -> None:
        self._tell = tell
        self._most = _AHEAD * jobs if jobs > 1 else 0
        self._pool = ThreadPoolExecutor(jobs, "unmbox-verify") if jobs > 1 else None
        self._waiting: deque[tuple[Written, Future[Digests | OSError]]] = deque()

    def read(self, file: Written, path: Path) -> None:
        """Have a file read, now or in its turn."""
        if self._pool is None:
            self._tell(file, _digests(file, path))
            return
        self._waiting.append((file, self._pool.submit(_digests, file, path)))
        while len(self._waiting) > self._most:
            self._settle()

    def finish(self) -> None:
        """Tell of all that were asked for."""
        while self._waiting:
            self._settle()

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _settle(self) -> None:
        file, future = self._waiting.popleft()
        self._tell(file, future.result())


def _digests(file: Written, path: Path) -> Digests | OSError:
    digests = Digests(file.head_size or 0)
    try:
        digests.read(path)
    except OSError as error:
        return error
    return digests
