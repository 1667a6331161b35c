"""Sources: what each shape of mail gives, and that what is broken in it is told, never raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from unmbox.errors import SourceError
from unmbox.sources import Source


def digest(path: Path) -> str | None:
    return Source(path).identity().digest


def test_an_identity_sees_both_ends_and_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "large"
    octets = bytearray(1 << 20)
    path.write_bytes(octets)
    seen = {digest(path)}
    for at in (0, 1 << 19, (1 << 20) - 1):
        octets[at] = 1
        path.write_bytes(octets)
        seen.add(digest(path))
    path.write_bytes(b"")
    seen.add(digest(path))
    path.write_bytes(b"\0")
    seen.add(digest(path))
    assert len(seen) == 6
    with pytest.raises(SourceError, match="does not exist"):
        digest(tmp_path / "absent")
