"""Ends a conversion at a step of one's choice or at any instant, in the process of the tests or in another.

A step is a call that changes what is on the disk; it can end before the call, after it, or half-way through
a write. `Fault` says how: with an exception, as a signal does, or at once, as SIGKILL does.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import unmbox
from unmbox import _assembly, _batches, sinks
from unmbox._dedup_sqlite import File
from unmbox._mail import SPOOL
from unmbox._place import Place
from unmbox.manifest import Manifest

ENDED = 9
"""Exit status of a process that ended at its step."""
_CALLS = frozenset({"write", "link", "rename", "replace", "mkdir", "unlink", "close"})


class Killed(BaseException):
    """A step was the last."""


@dataclass
class Fault:
    """Counts steps and ends with the one numbered `last`. `instead` is raised there, or called."""

    last: int = -1
    instead: Callable[[], object] | BaseException = field(default_factory=Killed)
    names: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self.last:
            if isinstance(self.instead, BaseException):
                raise self.instead
            self.instead()


class FaultyOs:
    """The `os` module of the sinks, of which some calls are steps."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if name not in _CALLS:
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fault.step(f"before {name}")
            done = 0
            if name == "write":
                done = os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
                self._fault.step("half-way through write")
                args = (args[0], bytes(args[1])[done:])
            result = value(*args, **kwargs)
            self._fault.step(f"after {name}")
            return result + done if name == "write" else result

        return call


@contextmanager
def faulty(fault: Fault) -> Iterator[Fault]:
    """Make what changes the disk a step: files, folders, transactions, and what is taken back."""

    def stepping(owner: Any, name: str, called: str) -> Any:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            fault.step(f"before {called}")
            result = original(*args, **kwargs)
            fault.step(f"after {called}")
            return result

        return mock.patch.object(owner, name, call)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(sinks, "os", FaultyOs(fault)))
        stack.enter_context(stepping(Manifest, "_commit", "commit"))
        stack.enter_context(stepping(Manifest, "_forget", "undo"))
        stack.enter_context(stepping(File, "leave", "commit of the index"))
        stack.enter_context(stepping(Place, "remove", "removal"))
        yield fault


@contextmanager
def small(batch: int, spool: int = SPOOL) -> Iterator[None]:
    """Commit after so many messages, and keep no more than so much of one in memory."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(_batches, "BATCH_MESSAGES", batch))
        stack.enter_context(mock.patch.object(_assembly, "SPOOL", spool))
        stack.enter_context(mock.patch.object(sinks, "_GATHERED", min(spool, sinks._GATHERED)))
        yield


@contextmanager
def dying_at_once() -> Iterator[None]:
    """Nothing is put in order behind an exception, as if there were no process any more."""
    with mock.patch.object(_batches.Batches, "stop"):
        yield


@dataclass(frozen=True)
class Order:
    """What another process is to convert."""

    sources: Sequence[Path]
    destination: Path
    batch: int = 3
    spool: int = SPOOL
    options: Mapping[str, Any] = field(default_factory=dict)
    last: int = -1

    def do(self) -> unmbox.Report:
        with small(self.batch, self.spool):
            return unmbox.convert(list(self.sources), self.destination, **self.options)


def _child(order: Order, ready: Connection) -> None:
    ready.send("ready")
    if order.last < 0:
        order.do()
        return
    with faulty(Fault(order.last, lambda: os._exit(ENDED))):
        order.do()


# Forks of a process that has nothing but the library loaded: quick, and none of the tests' own threads.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["unmbox._convert", "unmbox._dedup_sqlite", "unittest.mock", "sqlite3"])


def in_another_process(order: Order, killed_after: float | None = None) -> int:
    """Convert there and return the exit status; SIGKILL comes so many seconds after the beginning, if any."""
    here, there = _context.Pipe(duplex=False)
    process = _context.Process(target=_child, args=(order, there), daemon=True)
    process.start()
    there.close()
    with here:
        here.recv()
    if killed_after is not None:
        process.join(killed_after)
        process.kill()
    process.join(60)
    assert process.exitcode is not None, "it never came to its end"
    return process.exitcode
