"""Count how often the characters of CJK languages occur: the tables of `unmbox._frequencies`.

    pip install wordfreq faker opencc-python-reimplemented
    python benchmarks/charset_tables.py

Two thirds are words as often as they are written, one third is surnames and given names, for these are what
raw headers hold. A number says how many bits each of the characters after it costs, rounded. Last on each
line: what a common character costs that the table does not list.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from unmbox._frequencies import COMMON

NAMES = 1 / 3
LIMIT = 14
SOURCES = {"ja": ("ja", "ja_JP"), "zh-cn": ("zh", "zh_CN"), "zh-tw": ("zh", "zh_TW"), "ko": ("ko", "ko_KR")}
# The word list of Chinese holds simplified forms alone; rarer words would only cost time.
OFTEN_ENOUGH = 1e-7


def shares(words: Iterable[tuple[str, float]], keep: Callable[[str], bool]) -> Counter[str]:
    """Return how much of all text each character makes up."""
    found: Counter[str] = Counter()
    for word, weight in words:
        for char in filter(keep, word):
            found[char] += weight  # type: ignore[assignment]  # a Counter adds up floats too
    total = sum(found.values())
    return Counter({char: weight / total for char, weight in found.items()})


def names(locale: str) -> list[tuple[str, float]]:
    """Return surnames and given names, each list with a sum of 1."""
    provider: Any = importlib.import_module(f"faker.providers.person.{locale}").Provider
    found: list[tuple[str, float]] = []
    for each in (provider.last_names, provider.first_names):
        weights = dict(each) if isinstance(each, dict) else dict.fromkeys(each, 1.0)
        total = sum(weights.values())
        found += [(name, weight / total) for name, weight in weights.items()]
    return found


def table(language: str) -> tuple[str, float]:
    """Return a language's table and what a character costs that is not in it."""
    charset, last, _ = COMMON[language]
    lexicon, locale = SOURCES[language]

    def keep(char: str) -> bool:
        octets = char.encode(charset, "replace")
        return len(octets) == 2 and char.isalpha()

    frequencies = importlib.import_module("wordfreq").get_frequency_dict(lexicon, wordlist="best")
    words = list(frequencies.items())
    if language == "zh-tw":
        convert = importlib.import_module("opencc").OpenCC("s2twp").convert
        words = [(convert(word), weight) for word, weight in words if weight > OFTEN_ENOUGH]
    written, called = shares(words, keep), shares(names(locale), keep)
    share = {char: (1 - NAMES) * written[char] + NAMES * called[char] for char in written | called}
    rows: defaultdict[int, list[str]] = defaultdict(list)
    for char in sorted(share, key=lambda char: (-share[char], char)):
        rows[round(-math.log2(share[char]))].append(char)
    listed = {char for bits, chars in rows.items() if bits <= LIMIT for char in chars}
    rest = [
        char
        for char in map(chr, range(0x3040, 0xD7A4))
        if char not in listed and keep(char) and char.encode(charset, "replace")[0] <= last
    ]
    mean = sum(share.get(char, 0.0) for char in rest) / len(rest)
    text = "".join(f"{bits}{''.join(chars)}" for bits, chars in sorted(rows.items()) if bits <= LIMIT)
    return text, -math.log2(mean)


if __name__ == "__main__":
    for tag in SOURCES:
        found, bits = table(tag)
        print(tag, found, f"{bits:.1f}", sep="\t")
