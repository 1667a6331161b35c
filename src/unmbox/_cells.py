"""Cells of a CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

import re

# Excel and its like run what begins so (CWE-1236); the full-width forms, too, under a Japanese locale.
_FORMULA = re.compile("[ \u3000\xa0]*[=+\\-@\t\r\n|%＝＋－＠]").match


def guarded(value: object) -> object:
    """The cell for a value: an apostrophe goes before a text that would begin a formula; None is empty.

    NULs are left out, at which other programs end a text, and which Python before 3.11 refuses to write.
    """
    if isinstance(value, str):
        value = value.replace("\0", "")
        return f"'{value}" if _FORMULA(value) else value
    return "" if value is None else value
