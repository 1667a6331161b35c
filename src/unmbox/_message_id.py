"""What a Message-ID field says: the identifier in it, if it tells one mail from another."""

from __future__ import annotations

import re

from unmbox._late import late

plain_id = re.compile(rb'\s*<([^\s<>()"\\]+)>\s*').fullmatch
# One word, and none of what begins a comment or a quoted string.
_bare_id = late(rb"<?([!#-'*-;=?-\[\]-~]+)>?").fullmatch
_bracketed = late(rb"<\s*([^<>\s][^<>]*)>").finditer
_pieces = late(rb'("(?:[^"\\]|\\.)*"|\\.)|\s+', re.DOTALL).sub
# What may hold a parenthesis that begins no comment, and what begins one.
_outside = late(rb'\\.|<[^<>]*>|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\(', re.DOTALL).search
_parentheses = late(rb"\\.|[()]", re.DOTALL).finditer


def normalise_message_id(raw: bytes) -> bytes | None:
    """The Message-ID in a field's raw value: what stands between the brackets; None if nothing does.

    White space and folding are no part of it, nor are comments beside the brackets; case is, and all that a
    quoted string holds (RFC 5322 §3.6.4, §4.5.4), and parentheses inside, for programs have put there what
    tells one mail from another: but not ``(null)`` alone. The first of several in brackets counts. Without
    brackets one word is taken for it; several ("not set", say, or a program's name) tell no mail from
    another. Linear in any value.
    """
    if match := plain_id(raw):  # as of nearly all mail
        return match[1]
    found = find_message_id(raw)
    return found and found[0]


def find_message_id(raw: bytes) -> tuple[bytes, bool] | None:
    """The same of one that is not plain, and whether it stands in brackets."""
    text = _without_comments(raw).strip()
    for match in _bracketed(text):
        if b"(" not in match[1] or _without_comments(match[1]).strip():
            return _unspaced(match[1]), True
    bare = _bare_id(text)
    return (bare[1], False) if bare else None


def _unspaced(name: bytes) -> bytes:
    """Leave out white space, but for that of quoted strings, and folds."""
    if b'"' not in name:
        return b"".join(name.split())
    return _pieces(lambda match: (match[1] or b"").replace(b"\r", b"").replace(b"\n", b""), name)


def _without_comments(raw: bytes) -> bytes:
    """Leave out comments, which nest (RFC 5322 §3.2.2), outside of brackets; one never closed is text."""
    kept = []
    at = done = 0
    while mark := _outside(raw, at):
        at = mark.end()
        if mark[0] == b"(":
            end = _end_of_comment(raw, mark.start())
            if end < 0:
                break
            kept.append(raw[done : mark.start()])
            at = done = end
    return b"".join((*kept, raw[done:]))


def _end_of_comment(raw: bytes, start: int) -> int:
    depth = 0
    for mark in _parentheses(raw, start):
        depth += {b"(": 1, b")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
    return -1
