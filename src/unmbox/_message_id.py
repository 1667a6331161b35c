"""What a Message-ID field says: the identifier in it, if it tells one mail from another."""

from __future__ import annotations

import re

plain_id = re.compile(rb'\s*<([^\s<>()"\\]+)>\s*').fullmatch
# One word, and none of what begins a comment or a quoted string.
_bare_id = re.compile(rb"<?([!#-'*-;=?-\[\]-~]+)>?").fullmatch
_bracketed = re.compile(rb"<\s*([^<>\s][^<>]*)>").search
_pieces = re.compile(rb'("(?:[^"\\]|\\.)*"|\\.)|\s+', re.DOTALL).sub
_comment_marks = re.compile(rb'\\.|[()"]', re.DOTALL).finditer


def normalise_message_id(raw: bytes) -> bytes | None:
    """The Message-ID in a field's raw value: what stands between the brackets; None if nothing does.

    White space, folding and comments are no part of it, and case is, and all that a quoted string holds (RFC
    5322 §3.6.4, §4.5.4). The first of several in brackets counts. Without brackets one word is taken for it;
    several ("not set", say, or a program's name) tell no mail from another. Linear in any value.
    """
    if match := plain_id(raw):  # as of nearly all mail
        return match[1]
    found = find_message_id(raw)
    return found and found[0]


def find_message_id(raw: bytes) -> tuple[bytes, bool] | None:
    """The same of one that is not plain, and whether it stands in brackets."""
    text = _without_comments(raw).strip()
    match = _bracketed(text)
    if match and b"(" in match[1]:
        # A quote or parenthesis before it may hide comments; it must be the same when it stands alone.
        match = _bracketed(_without_comments(match[0]))
        if not match:
            return None
    if match:
        return _unspaced(match[1]), True
    bare = _bare_id(text)
    return (bare[1], False) if bare else None


def _unspaced(name: bytes) -> bytes:
    """Leave out white space, but for that of quoted strings, and folds."""
    if b'"' not in name:
        return b"".join(name.split())
    return _pieces(lambda match: (match[1] or b"").replace(b"\r", b"").replace(b"\n", b""), name)


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
