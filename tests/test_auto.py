"""Which messages a machine sent by itself."""

from __future__ import annotations

import pytest

from unmbox._auto import is_automatic
from unmbox.manifest import state_of


@pytest.mark.parametrize(
    ("block", "auto"),
    [
        ("Auto-Submitted: auto-replied", True),
        ("auto-submitted:auto-generated (rejected)", True),
        ("AUTO-SUBMITTED: AUTO-NOTIFIED", True),
        ("Auto-Submitted:\n auto-replied", True),
        ("Auto-Submitted: no", False),
        ("Auto-Submitted: NO (a person)", False),
        ("Auto-Submitted:", False),
        ("X-Autoreply: yes", True),
        ("X-Autorespond: Re: your mail", True),
        ("X-Auto-Reply-From: a@example.org", True),
        ("X-Autoreply: no", False),
        ("Precedence: auto_reply", True),
        ("Precedence: bulk", False),
        ("Return-Path: <>", True),
        ("Return-Path: <a@example.org>", False),
        ("Subject: Auto-Submitted: auto-replied", False),
        ("Subject: a\n Auto-Submitted: auto-replied", False),
        ("X-Return-Path: <>", False),
        ("X-Auto-Response-Suppress: All", False),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "From: a@example.org\n"])
def test_a_machine_is_known_by_its_fields(block: str, auto: bool, newline: str, before: str) -> None:
    octets = f"{before}{block}\nTo: b@example.org\n\n".replace("\n", newline).encode()
    assert is_automatic(octets) is auto
    assert state_of(octets) == ({"auto": True} if auto else {})
