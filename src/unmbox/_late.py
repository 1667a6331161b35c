"""Patterns that are compiled when they are first used: most runs need none of them, and start sooner."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache


def searcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """What searches a text for the pattern."""

    @cache
    def compiled() -> re.Pattern[str]:
        return re.compile(pattern)

    return lambda text: compiled().search(text)


def finder(pattern: str) -> Callable[[str], list[str]]:
    """What finds all that matches the pattern, which has no groups."""

    @cache
    def compiled() -> re.Pattern[str]:
        return re.compile(pattern)

    return lambda text: compiled().findall(text)
