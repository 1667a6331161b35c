"""Names of files in archives: as text, and the folders that they name.

Windows packs up in the code page of its country, and old tools write backslashes between folders. The two
get in each other's way: in the code pages of Japan, Taiwan and China the second octet of a letter may be that
of a backslash (5C). So it is in 表, 能, 申 and ソ, which many a mailbox and letter is called by.
"""

from __future__ import annotations

import re
from contextlib import suppress

_BETWEEN = re.compile(r"/|(?<![^\0-\x7f])\\").split
# No one letter: é and n in the code pages of Europe are one of Japan's.
_JAPANESE = re.compile(r"[\u3005\u3041-\u3096\u30a1-\u30fc\u4e00-\u9fff]{2}").search


def parts_of(name: str) -> list[str]:
    """The folders of a name, and the file's own. Behind a letter beyond ASCII a backslash is a part of it."""
    return _BETWEEN(name)


def names_folder(raw: bytes, size: int | None) -> bool:
    """Whether a name is a folder's; one that ends with a backslash only where it has no octets."""
    return raw.endswith(b"/") or (raw.endswith(b"\\") and size == 0)


def text_of(raw: bytes) -> str:
    """A name that does not say what it is in: UTF-8 where it can be, else Japanese, else DOS's code page."""
    with suppress(UnicodeDecodeError):
        return raw.decode()
    with suppress(UnicodeDecodeError):
        text = raw.decode("cp932")
        if _JAPANESE(text):
            return text
    return raw.decode("cp437")
