"""Several processes that convert ranges of mailboxes side by side, and the one that has the last word.

The workers parse, repair and hash; here, in the order of the sources, it is decided what each message is, and
its row is committed; then the worker that has its octets writes the file. So the outcome is the same as with
one process. What a worker that dies had not finished is done here.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, NamedTuple

from unmbox import _log
from unmbox._batches import Batches
from unmbox._mail import Mail
from unmbox._ranges import Begun, Done, Drop, Failed, Finished, Paths, Setup, Task
from unmbox._worker import Answer, Order
from unmbox.manifest import Row

_TICK = 0.1
_AT_ONCE = 2  # tasks that a worker has, so that it need not wait for the next one

# A terminal sends Ctrl-C to all; what the others do about it, this one decides, also while they start.
_CODE = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from unmbox._worker import main; main()"


class Written(NamedTuple):
    """A parcel whose rows are committed and whose files are being written: its range, its first offset."""

    task: Task
    start: int
    rows: list[Row]
    links: list[Sequence[str]]


class _Worker:
    """One process: the tasks it has, and the parcels whose files it has not written."""

    def __init__(self, setup: Setup, answers: SimpleQueue[tuple[_Worker, Answer | None]]) -> None:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); "
        code += _CODE
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, with our own words
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1
        )
        self.tasks: list[int] = []
        self.unwritten: deque[Written] = deque()
        self._thread = threading.Thread(target=self._listen, args=(answers,), daemon=True)
        self._thread.start()
        self.tell(setup)

    def _listen(self, answers: SimpleQueue[tuple[_Worker, Answer | None]]) -> None:
        octets: IO[bytes] | None = self._process.stdout
        try:
            while octets:
                answers.put((self, pickle.load(octets)))  # noqa: S301  # from a process of ours
        except Exception:  # it has died, perhaps in the midst of a word
            answers.put((self, None))

    def tell(self, order: Order | Setup) -> None:
        if self._process.stdin:
            with suppress(OSError):  # it has died, which its answers tell in their turn
                pickle.dump(order, self._process.stdin, pickle.HIGHEST_PROTOCOL)
                self._process.stdin.flush()

    def fate(self) -> str:
        """How a process has ended that answers no more."""
        with suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout=5)
            return f"signal {-status}" if status < 0 else f"exit status {status}"
        return "it is mute"

    def end(self) -> None:
        """End it at once; what it has under way has no name."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):  # what was left in it goes nowhere
                    pipe.close()


def can_work() -> bool:
    """Whether there is an interpreter to start: a frozen program would start itself."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


class Crew:
    """Workers, and the ranges that they have, in the order of the sources.

    `more` gives the next range, None where there is none for now; it is asked ahead of the one in turn.
    `write_again` writes the files of a parcel that its worker has died with. `tick` is called while nobody
    answers: a message may take a worker minutes.
    """

    def __init__(
        self,
        setup: Setup,
        number: int,
        batches: Batches,
        *,
        more: Callable[[], Task | None],
        write_again: Callable[[Written], object],
        tick: Callable[[], object],
    ) -> None:
        self._batches = batches
        self._more = more
        self._write_again = write_again
        self._tick = tick
        self._answers: SimpleQueue[tuple[_Worker, Answer | None]] = SimpleQueue()
        self._inboxes: dict[int, deque[Answer]] = {}
        self._owners: dict[int, _Worker] = {}  # gone where a worker has died
        self._workers: list[_Worker] = []
        self._setup = setup
        self._unhired = number

    def next(self, task: Task) -> Answer | None:
        """The next answer about a range; None where its worker has died. Raises what failed in it."""
        self._fill()
        number = task.number
        while not (inbox := self._inboxes.get(number)):
            if not self._workers or (inbox is not None and number not in self._owners):
                return None
            self._listen()
        answer = inbox.popleft()
        if isinstance(answer, Failed):
            raise answer.error
        if isinstance(answer, Finished):
            del self._inboxes[number]
            self._owners.pop(number, None)
        return answer

    def write(self, task: Task, mails: list[Mail], rows: list[Row]) -> None:
        """Have the files written of the parcel that was told last, whose messages got these rows."""
        worker = self._owners.get(task.number)
        links = [mail.links for mail in mails]
        parcel = Written(task, mails[0].head.offset, rows, links)
        self._batches.unwritten.add(rows[0].id)
        if worker is None:
            self._rewrite(parcel)
        else:
            worker.unwritten.append(parcel)
            worker.tell(Paths([row.path for row in rows], links))

    def drop(self, task: Task) -> None:
        """Have nothing of a range."""
        self._inboxes.pop(task.number, None)
        if worker := self._owners.pop(task.number, None):
            worker.tell(Drop(task.number))

    def finish(self) -> None:
        """Return once all files are written."""
        while any(worker.unwritten for worker in self._workers):
            self._listen()

    def close(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def _fill(self) -> None:
        """See to it that all workers have enough to do, the range in turn among it."""
        for enough in range(1, _AT_ONCE + 1):
            for worker in self._workers:
                if len(worker.tasks) < enough and (task := self._more()):
                    self._give(worker, task)
            # None starts before there is something for it to do.
            while enough == 1 and self._unhired and (task := self._more()):
                self._unhired -= 1
                self._workers.append(_Worker(self._setup, self._answers))
                self._give(self._workers[-1], task)

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.tasks.append(task.number)
        self._inboxes[task.number] = deque()
        self._owners[task.number] = worker
        worker.tell(task)

    def _listen(self) -> None:
        """Wait for the next answer of any worker, but not for long; every caller comes again."""
        try:
            worker, answer = self._answers.get(timeout=_TICK)
        except Empty:
            self._tick()
            return
        if answer is None:
            self._bury(worker)
        elif isinstance(answer, Done):
            parcel = worker.unwritten.popleft()
            if answer.error:
                raise answer.error
            self._confirm(parcel)
        else:
            if isinstance(answer, (Finished, Failed)) or (isinstance(answer, Begun) and answer.first is None):
                worker.tasks.remove(answer.task)
                self._fill()
            if answer.task in self._inboxes:
                self._inboxes[answer.task].append(answer)

    def _bury(self, worker: _Worker) -> None:
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        _log.warning("a worker has died (%s): what it had not done is done here", worker.fate())
        worker.end()
        self._owners = {number: owner for number, owner in self._owners.items() if owner is not worker}
        while worker.unwritten:
            self._rewrite(worker.unwritten.popleft())

    def _rewrite(self, parcel: Written) -> None:
        self._write_again(parcel)
        self._confirm(parcel)

    def _confirm(self, parcel: Written) -> None:
        self._batches.confirm(parcel.rows)
        self._batches.unwritten.discard(parcel.rows[0].id)
