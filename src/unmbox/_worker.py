"""A process that converts ranges for another one, `_crew.Crew`: octets to messages, then files.

It is no fork of the caller's program but an interpreter of its own, ``python -c`` with this module's `main`.
Tasks come on standard input and answers go to standard output, pickled. When the input ends the other one is
gone, and this one goes too, at once: what is under way has no name.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections import deque
from queue import SimpleQueue
from typing import BinaryIO

from unmbox import _batches
from unmbox._assembly import Assembly
from unmbox._batches import write_file
from unmbox._hashing import Hasher
from unmbox._mail import Mail
from unmbox._own_process import collect_less
from unmbox._parser import Parser
from unmbox._place import Place
from unmbox._ranges import (
    Begun,
    Done,
    Drop,
    Failed,
    Finished,
    Parcel,
    Paths,
    Setup,
    Task,
    guess_start,
    parser_of,
)
from unmbox.sources import Source

_AHEAD = 3  # parcels that wait for their names: the rest of a range that is not in turn yet

Order = Task | Paths | Drop
Answer = Begun | Parcel | Finished | Done | Failed


class Worker:
    """Does one task after the other, in their order, and writes files as their names come."""

    def __init__(self, setup: Setup, orders: SimpleQueue[Order], answers: BinaryIO, place: Place) -> None:
        self._orders = orders
        self._answers = answers
        self._place = place
        self._variant = setup.variant
        self._hasher = Hasher()
        self._assembly = Assembly(setup.new_writer, place.sink, self._hasher, newline=setup.newline)
        self._tasks: deque[Task] = deque()
        self._waiting: deque[tuple[int, list[Mail]]] = deque()  # parcels whose names have not come
        self._dropped: set[int] = set()
        self._mails: list[Mail] = []
        self._octets = 0

    def serve(self) -> None:
        """Do what comes, until the process is ended."""
        while True:
            while not self._tasks:
                self._obey(self._orders.get())
            task = self._tasks.popleft()
            try:
                self._do(task)
            except Exception as error:
                self._answer(Failed(task.number, error))

    def _answer(self, answer: Answer) -> None:
        try:
            pickle.dump(answer, self._answers, pickle.HIGHEST_PROTOCOL)
            self._answers.flush()
        except OSError:
            os._exit(0)  # whoever has asked is gone, and nobody would make anything of a traceback

    def _obey(self, order: Order) -> None:
        if isinstance(order, Task):
            self._tasks.append(order)
        elif isinstance(order, Drop):
            self._dropped.add(order.task)
            dropped = [mails for number, mails in self._waiting if number == order.task]
            for mails in dropped:
                for mail in mails:
                    mail.discard()
            self._waiting = deque(each for each in self._waiting if each[0] != order.task)
        else:
            _, mails = self._waiting.popleft()
            try:
                for mail, path, mail.links in zip(mails, order.paths, order.links, strict=True):
                    write_file(self._place, mail, path)
            except Exception as error:
                self._answer(Done(error))
            else:
                self._answer(Done())

    def _do(self, task: Task) -> None:
        source = task.source()
        start: int | None = task.start
        if not task.known:
            start = guess_start(source, task.start, task.stop)
            self._answer(Begun(task.number, start))
        if start is not None:
            state = task.state
            self._assembly.begin(state, source.name)
            end = self._read(task, source, start)
            self._assembly.discard()
            self._send(task)
            self._answer(Finished(task.number, end, state, *self._assembly.pass_strays()))
        self._assembly.discard()

    def _read(self, task: Task, source: Source, start: int) -> int:
        """Convert the messages of a range; returns where the one after them begins."""
        state = task.state
        parser = parser_of(state, self._variant, start) if start else Parser(variant=self._variant)
        at = start
        chunks = source.chunks(start)
        while True:
            while not self._orders.empty():
                self._obey(self._orders.get())
            if task.number in self._dropped:
                return at
            chunk = next(chunks, None)
            events = parser.close() if chunk is None else parser.feed(chunk)
            for mail in self._assembly.mails(events):
                at = mail.head.offset + mail.length
                self._gather(task, mail)
                if at >= task.stop:
                    return at
            if chunk is None:
                return state.size or 0

    def _gather(self, task: Task, mail: Mail) -> None:
        self._mails.append(mail)
        self._octets += mail.size
        if (
            mail.target
            or self._octets >= _batches.BATCH_OCTETS
            or len(self._mails) >= _batches.BATCH_MESSAGES
        ):
            self._send(task)

    def _send(self, task: Task) -> None:
        """Tell of the messages gathered; then wait, while too many have no names."""
        mails, self._mails, self._octets = self._mails, [], 0
        if task.number in self._dropped:
            for mail in mails:
                mail.discard()
        elif mails:
            self._hasher.wait()
            for mail in mails:
                mail.add_up()
            self._waiting.append((task.number, mails))
            self._answer(Parcel(task.number, [mail.sent() for mail in mails], task.state.junk))
        while len(self._waiting) >= _AHEAD:
            self._obey(self._orders.get())


def _listen(orders: SimpleQueue[Order], octets: BinaryIO) -> None:
    try:
        while True:
            orders.put(pickle.load(octets))  # noqa: S301  # from the process that started this one
    except BaseException:
        os._exit(0)


def main() -> None:
    """Serve whoever has started this process."""
    collect_less()
    octets, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not end up between the answers
    try:
        setup: Setup = pickle.load(octets)  # noqa: S301
    except EOFError:
        return  # whoever has started it is gone already
    orders: SimpleQueue[Order] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders, octets), daemon=True).start()
    with Place(setup.destination, durable=setup.durable) as place:
        Worker(setup, orders, answers, place).serve()
