"""Patterns that are compiled when they are first used: of two hundred most runs need a few, and start sooner.

For what healthy mail seldom meets. What is used with every message is compiled at once, and its calls cost
nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, AnyStr, cast


class _Late:
    """Has the methods of the pattern that it becomes, and may be taken before it has."""

    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self.pattern = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[Any]:
        return re.compile(self.pattern, self._flags)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*arguments: Any) -> Any:
            return getattr(self._compiled, name)(*arguments)

        self.__dict__[name] = method
        return method


def late(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`, but nothing is compiled before a method is called."""
    return cast("re.Pattern[AnyStr]", _Late(pattern, flags))
