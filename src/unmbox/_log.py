"""Words for the logger ``unmbox``, which is silent unless the embedder listens.

Whoever listens has imported `logging`. Where nobody has, to import it would take 8 ms of each start, for
words that nobody hears.
"""

from __future__ import annotations

import sys


def info(text: str, *values: object) -> None:
    """Tell what is done, if anybody listens."""
    _tell("INFO", text, values)


def warning(text: str, *values: object) -> None:
    """Tell what went wrong and did not end the run, if anybody listens."""
    _tell("WARNING", text, values)


def _tell(level: str, text: str, values: tuple[object, ...]) -> None:
    if "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger("unmbox")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # else `logging` would print warnings that nobody asked for
    logger.log(getattr(logging, level), text, *values, stacklevel=3)
