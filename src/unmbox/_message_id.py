"""What a Message-ID field says: the identifier in it, if it tells one mail from another."""

from __future__ import annotations

import re

plain_id = re.compile(rb'\s*<([^\s<>()"\\]+)>\s*').fullmatch
# One word, and none of what begins a comment or a quoted string.
_bare_id = re.compile(rb"<?([!#-'*-;=?-\[\]-~]+)>?").fullmatch
_bracketed = re.compile(rb"<([^<>]+)>").search
_comment_marks = re.compile(rb'\\.|[()"]', re.DOTALL).finditer


def normalise_message_id(raw: bytes) -> bytes | None:
    """The Message-ID in a field's raw value: what stands between the brackets; None if nothing does.

    White space, folding and comments are no part of it, and case is (RFC 5322 §3.6.4, §4.5.4). The first of
    several in brackets counts. Without brackets one word is taken for it; several ("not set", say, or a
    program's name) tell no mail from another. Linear in any value.
    """
    if match := plain_id(raw):
        return match[1]
    text = _without_comments(raw).strip()
    if match := _bracketed(b"".join(text.split())):
        return match[1]
    bare = _bare_id(text)
    return bare[1] if bare else None


def _without_comments(raw: bytes) -> bytes:
    """Leave out comments, which nest (RFC 5322 §3.2.2); one that is never closed is text."""
    kept = []
    depth = opened = end = 0
    quoted = False
    for token in _comment_marks(raw):
        mark = token[0]
        if mark == b'"':
            quoted ^= not depth
        elif quoted or len(mark) > 1:
            continue
        elif mark == b"(":
            if not depth:
                opened = token.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                kept.append(raw[end:opened])
                end = token.end()
    return b"".join((*kept, raw[end:]))
