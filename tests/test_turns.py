"""A conversion gives other threads a turn every few milliseconds, and rests for nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import unmbox
from packing import mailbox
from unmbox import _turns
from unmbox._turns import Turns
from unmbox.sources import CHUNK


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.pauses = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0 or os.name == "nt"  # with 0 the system would wake nobody
        self.now += 0.00006
        self.pauses += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_turns, "perf_counter", clock)
    monkeypatch.setattr(_turns, "sleep", clock.sleep)
    return clock


@pytest.mark.parametrize(("threads", "pauses"), [(1, 0), (2, 10)])
def test_a_turn_every_ten_milliseconds(
    threads: int, pauses: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_turns, "active_count", lambda: threads)
    turns = Turns()
    for _ in range(100_000):
        clock.now += 0.000001
        turns.give()
    assert clock.pauses == pytest.approx(pauses, abs=1)


def test_a_conversion_offers_a_turn_at_every_file_and_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[bool] = []
    monkeypatch.setattr(Turns, "give", lambda _: offered.append(True))
    source = tmp_path / "mail.mbox"
    source.write_bytes(mailbox(*range(1000)))
    report = unmbox.convert(source, tmp_path / "eml")
    assert report.written == 1000
    at_the_end = 1
    assert len(offered) == 1000 + -(-source.stat().st_size // CHUNK) + at_the_end
