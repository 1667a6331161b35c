"""The library's own errors: bad use and a world that refuses. Broken mail is data and never raises.

Each is also the builtin that a caller would expect, so ``except ValueError`` and ``except OSError``
work for those who do not want to know our names.
"""

from __future__ import annotations


class UnmboxError(Exception):
    """What unmbox raises. Anything else that escapes from it is a bug."""


class UsageError(UnmboxError, ValueError):
    """The call cannot be done as asked; the message says what to change. Nothing was written.

    Except where a stream of yours yields something other than bytes midway: what was committed before stays.
    """


class SourceError(UnmboxError, OSError):
    """A source cannot be opened, or read on from `offset`. What was converted before stays."""

    def __init__(self, *args: object, offset: int | None = None) -> None:
        super().__init__(*args)
        self.offset = offset


class DestinationError(UnmboxError, OSError):
    """The destination refuses (not writable, full, not ours). What was written before stays.

    `under_way` says that messages were being converted, so that the same call again goes on with them.
    """

    under_way = False

    def __reduce__(self) -> tuple[object, ...]:  # as an OSError of one argument it would lose its errno
        return type(self), self.args, {"errno": self.errno, "under_way": self.under_way}


def refusal(sentence: str, code: int | None) -> DestinationError:
    """A `DestinationError` with this `errno`, which as an argument would stand in front of the sentence."""
    error = DestinationError(sentence)
    error.errno = code
    return error


class BodyGoneError(UnmboxError, RuntimeError):
    """A passed message's body was asked for, but the stream has moved on and nothing had kept it."""
