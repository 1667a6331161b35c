"""Patterns that are compiled late: as good as others, and not compiled too early."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys

import pytest

import unmbox
from unmbox._late import late


def test_nothing_is_compiled_before_a_method_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_now = re.compile

    def tell(pattern: str, flags: int = 0) -> re.Pattern[str]:
        compiled.append(pattern)
        return compile_now(pattern, flags)

    monkeypatch.setattr(re, "compile", tell)
    words = late("[a-z]+", re.IGNORECASE)
    find, split = words.findall, late(r"\s").split
    assert not compiled
    assert find("Yes, no") == ["Yes", "no"]
    assert split("a b\tc", 1) == ["a", "b\tc"]
    match = words.match("Yes", 1)
    assert match is not None
    assert match.span() == (1, 3)
    assert words.sub("x", "a1") == find("x")[0] + "1"
    assert compiled == ["[a-z]+", r"\s"]


def test_octets_and_the_pattern_itself() -> None:
    digits = late(rb"[0-9]+")
    assert digits.pattern == rb"[0-9]+"
    assert digits.fullmatch(b"12")
    assert not digits.fullmatch(b"12x")


def test_every_pattern_of_the_package_can_be_compiled() -> None:
    modules = [module.name for module in pkgutil.iter_modules(unmbox.__path__) if module.name != "__main__"]
    code = f"""
import importlib, re
from unmbox import _late
patterns = []
begin = _late._Late.__init__
def note(self, pattern, flags):
    begin(self, pattern, flags)
    patterns.append(re.compile(pattern, flags))
_late._Late.__init__ = note
for name in {modules!r}:
    importlib.import_module("unmbox." + name)
print(len(patterns))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(told.stdout) > 100
