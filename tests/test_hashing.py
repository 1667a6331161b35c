"""Digests are the same, whoever hashes; and a thread that hashes is there only where that pays."""

from __future__ import annotations

import threading
from hashlib import sha256

import pytest

from unmbox import _hashing
from unmbox._hashing import LARGE, Hasher

PIECES = [b"a" * LARGE, b"b", b"c" * 3 * LARGE, b"", b"d" * (LARGE - 1)] * 40


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "unmbox-hasher"]


def _hash(hasher: Hasher) -> list[str]:
    one, other = sha256(), sha256()
    for piece in PIECES:
        hasher.update(one, piece)
        hasher.update(other, piece[::-1])
    hasher.wait()
    return [one.hexdigest(), other.hexdigest()]


EXPECTED = [sha256(b"".join(pieces)).hexdigest() for pieces in (PIECES, [each[::-1] for each in PIECES])]


@pytest.mark.parametrize("rate", [float("inf"), 0.0], ids=["slow", "quick"])
def test_the_order_of_the_pieces_is_kept(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hashing, "_QUICK", rate)
    hasher = Hasher()
    assert _hash(hasher) == EXPECTED
    assert _hash(hasher) == EXPECTED  # after a wait too
    assert hasher.quick == (rate == 0.0)
    assert _threads() == ([] if hasher.quick else ["unmbox-hasher"])
    hasher.close()
    assert not _threads()
    hasher.close()


def test_one_slow_piece_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hashing, "_QUICK", float("inf"))
    hasher = Hasher()
    digest = sha256()
    hasher.update(digest, PIECES[0])
    monkeypatch.setattr(_hashing, "_QUICK", 0.0)
    hasher.update(digest, PIECES[0])
    hasher.update(digest, PIECES[0])
    assert hasher.quick
    assert not _threads()
    assert digest.digest() == sha256(PIECES[0] * 3).digest()
