"""The fast check: does a header block surely need no repair? A few searches in C, no step a line.

It only ever errs to the safe side: what it cannot vouch for is looked at field by field by `_repairs`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from unmbox._fields import MAX_LINE
from unmbox._made import COMMON_DATE

_DATE: Final = rb": " + COMMON_DATE + rb"(?:\n(?![ \t])|\Z)"
# The names that are counted, each in its healthy form; in any other form they come with their colon. An
# empty result is a line that is neither a field nor the fold of one. The common beginning, a literal line
# end, is what makes the search leap from line to line.
_COUNTED = re.compile(
    rb"\n(?![ \t])(?:(?![!-9;-~]+:)|(?=[FTCSDMRXftcsdmrx])("
    rb"From(?=:[ \t<>,;]*[!-+\--:=?-~])|Date(?=" + _DATE + rb")|Message-I[Dd](?=:[ \t]*<[!-;=?-~]+>)"
    rb"|[Ff](?i:rom:)|[Tt](?i:o)(?=:)|[Cc](?i:c)(?=:)|[Ss](?i:ubject|ender)(?=:)|[Rr](?i:eply-to)(?=:)"
    rb"|[Dd](?i:ate:)|[Mm](?i:essage-id:)|[Cc](?i:ontent-length:)|[Ss](?i:tatus:)"
    rb"|[Xx](?i:-(?:status|keywords|uid|imap|imapbase|mozilla-[!-9;-~]*):)))"
).findall
_REQUIRED: Final = {b"from", b"date", b"message-id"}
_ALLOWED: Final = _REQUIRED | {b"to", b"cc", b"subject", b"sender", b"reply-to"}


def is_healthy(block: bytes) -> bool:
    """Whether a closed header block, its lines ended with LF and free of other CRs, needs no repair.

    That is: 7-bit, no NUL or ESC, no line over 998 octets, sound fields only; one From with a value, one Date
    that is one, one Message-ID in brackets; at most one To, Cc, Subject, Sender, Reply-To; nothing that only
    a mailbox needs. False says "perhaps".
    """
    if (
        not block.isascii()
        or 0 in block
        or 0x1B in block
        or not block.endswith(b"\n\n")
        or block[0] in b" \t"
    ):
        return False
    end = len(block) - 2
    at = 0
    while end - at > MAX_LINE:
        at = block.rfind(b"\n", at, at + MAX_LINE + 1) + 1
        if not at:
            return False
    # The first field gets a line end before it, like the others; the last two line ends begin nothing.
    counted = _COUNTED(b"\n" + block, 0, end + 1)
    return len(counted) <= len(_ALLOWED) and _are_healthy(tuple(counted))


@lru_cache(maxsize=1024)
def _are_healthy(names: tuple[bytes, ...]) -> bool:
    """Whether these counted fields are a healthy set; most mailboxes need a few dozen answers."""
    lowered = {name.lower() for name in names}
    return len(lowered) == len(names) and lowered <= _ALLOWED and lowered >= _REQUIRED
