"""A blocking call on a thread of its own, and the event loop that serves it meanwhile.

One thread a call, which is gone when the call is: a pool's threads would stay. It asks the loop for what only
the loop can do (`Bridge.ask`), and a cancellation reaches the caller only once the thread has ended.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, NamedTuple, TypeVar

import anyio

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818  # no error: nobody but the thread ever sees it
    """The caller was cancelled: the thread is to clean up and end."""


class Outcome(NamedTuple):
    """What a function returned or raised."""

    result: Any
    error: BaseException | None = None

    def get(self) -> Any:
        """Return or raise it."""
        try:
            if self.error is not None:
                raise self.error
            return self.result
        finally:
            del self  # a traceback holds this frame


class _Request(NamedTuple):
    """What the thread asks the loop for."""

    function: Callable[..., Awaitable[Any]]
    arguments: tuple[Any, ...]
    answer: SimpleQueue[Outcome]

    async def serve(self) -> None:
        outcome = Outcome(None, Stopped())
        try:
            outcome = Outcome(await self.function(*self.arguments))
        except Exception as error:
            outcome = Outcome(None, error)
        finally:
            self.answer.put(outcome)


class Bridge:
    """Between the task that awaits `run` and the thread that does the work; for one run.

    `post` has the loop call a function with these arguments soon; a thread that calls it goes on at once.
    """

    def __init__(self) -> None:
        self.post = _poster()
        self._requests: deque[_Request] = deque()
        self._news = anyio.Event()
        self._outcome: Outcome | None = None
        self._thread: Thread | None = None
        self._stopping = False
        self._at_stop: list[Callable[[], None]] = []

    async def run(self, function: Callable[[], object]) -> Outcome:
        """Run `function` on a thread; returns once that has ended.

        A cancellation, of whatever kind, stops the thread where it next asks or checks, and is the outcome.
        """
        context = contextvars.copy_context()
        self._thread = thread = Thread(target=self._work, args=(context, function), daemon=True)
        thread.name = "unmbox-async"
        thread.start()
        failure: BaseException | None = None
        try:
            while request := await self._next_request():
                await request.serve()
        except GeneratorExit:  # the loop is torn down around us: there is no waiting any more
            self._stop()
            raise
        except BaseException as error:
            failure = error
            self._stop()
            await self._wait_for_end()
        thread.join()
        outcome, self._outcome = self._outcome, None
        try:
            return outcome if outcome and failure is None else Outcome(None, failure)
        finally:
            del failure, outcome  # a traceback holds this frame

    # -- for the thread ------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise `Stopped` if the thread is to end."""
        if self._stopping:
            raise Stopped

    def ask(self, function: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Have the task that runs us await `function(*arguments)`; returns or raises what that does."""
        self.check()
        if self._thread is not current_thread():
            raise RuntimeError("the loop cannot wait for itself")
        request = _Request(function, arguments, SimpleQueue())
        self.post(self._arrive, request)
        return request.answer.get().get()  # type: ignore[no-any-return]  # what the function returned

    def when_stopped(self, function: Callable[[], None]) -> None:
        """Have the loop call `function` if the thread is to end; `Stopped` if that has been said."""
        self._at_stop.append(function)
        self.check()

    def _work(self, context: contextvars.Context, function: Callable[[], object]) -> None:
        try:
            outcome = Outcome(context.run(function))
        except BaseException as error:
            outcome = Outcome(None, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.post(self._finish, outcome)

    # -- in the loop ---------------------------------------------------------------------------------

    def _arrive(self, request: _Request) -> None:
        self._requests.append(request)
        self._news.set()

    def _finish(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._news.set()

    async def _next_request(self) -> _Request | None:
        """What the thread asks next; None once it has ended. Loses nothing if it is cancelled."""
        while not self._requests:
            if self._outcome is not None:
                return None
            self._news = anyio.Event()
            await self._news.wait()
        return self._requests.popleft()

    def _stop(self) -> None:
        self._stopping = True
        for call in self._at_stop:
            call()

    async def _wait_for_end(self) -> None:
        """Wait until the thread has ended; nothing that it still asks for is done."""
        while True:
            # asyncio's own cancellation comes through a shield, and may come again and again.
            with suppress(anyio.get_cancelled_exc_class()), anyio.CancelScope(shield=True):
                while request := await self._next_request():
                    request.answer.put(Outcome(None, Stopped()))
                return


def _poster() -> Callable[..., object]:
    """What has the running event loop call a function soon, from any thread and without waiting for it."""
    if trio := sys.modules.get("trio"):
        with suppress(RuntimeError):  # another loop is running
            return trio.lowlevel.current_trio_token().run_sync_soon  # type: ignore[no-any-return]
    return asyncio.get_running_loop().call_soon_threadsafe
