"""The tables of `unmbox contacts`: what it writes, and the addresses and companies that it is given."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from unmbox._addresses import find_address, key_of
from unmbox._cells import guarded
from unmbox._contacts import COLUMNS, DOMAIN, Contact, Rules
from unmbox._selection import check_utf8
from unmbox.errors import UsageError


class Counts(NamedTuple):
    """How many rows went where."""

    contacts: int = 0
    apart: int = 0


def write_csv(
    contacts: Iterable[Contact], rules: Rules, taken: TextIO, apart: Callable[[], TextIO]
) -> Counts:
    """Write the rows that an importer takes to `taken`; the others, with the reason, to what `apart` gives.

    `apart` is called when there is such a row. Lines end with CR LF (RFC 4180 §2).
    """
    main = csv.writer(taken)
    main.writerow(rules.columns[column] for column in COLUMNS)
    other: Any = None
    counts = Counts()
    for contact in contacts:
        reason = rules.reason(contact)
        cells = [guarded(cell) for cell in contact]
        if not reason:
            counts = counts._replace(contacts=counts.contacts + 1)
            main.writerow(cells)
            continue
        if other is None:
            other = csv.writer(apart())
            other.writerow([*(rules.columns[column] for column in COLUMNS), "reason"])
        counts = counts._replace(apart=counts.apart + 1)
        other.writerow([*cells, reason])
    return counts


def read_map(given: Iterable[str]) -> dict[str, str]:
    """Old addresses and their new ones: each of `given` is ``OLD=NEW`` or the path of a CSV of two columns.

    Who moved twice goes to the last address. Raises `UsageError` for what is neither, saying where, and for
    addresses that take one another's place.
    """
    moved: dict[str, str] = {}

    def put(old: str, new: str, where: str) -> None:
        for address in filter(None, (old, new)):
            if find_address(address) != (0, len(address)):
                raise UsageError(
                    f"{where}: {address!r} is no address: write OLD=NEW, such as me@old.org=me@new.org"
                )
        if key_of(old) in moved and moved[key_of(old)] != new:
            raise UsageError(f"{where}: {old} goes to {moved[key_of(old)]} already")
        moved[key_of(old)] = new

    for each in given:
        pair = re.fullmatch(r"\s*(.+@[^=@]+?)\s*=\s*(.*?)\s*", each)
        if pair:
            put(pair[1], pair[2], each)
            continue
        try:
            with Path(each).open(encoding="utf-8-sig", newline="") as file:
                for number, row in enumerate(csv.reader(file), 1):
                    cells = [cell.strip() for cell in row]
                    if not any(cells) or (number == 1 and "@" not in cells[0]):
                        continue  # the headings
                    if len(cells) < 2 or not cells[0]:
                        raise UsageError(f"{each}, row {number}: write the old address and the new one")
                    put(cells[0], cells[1], f"{each}, row {number}")
        except OSError as error:
            raise UsageError(
                f"{each} is neither OLD=NEW nor a CSV that can be read: {error.strerror}"
            ) from error
        except (UnicodeError, csv.Error) as error:
            raise UsageError(f"{each} is no CSV in UTF-8: {error}") from error
    return {old: _last(old, moved) for old in moved}


def _last(old: str, moved: Mapping[str, str]) -> str:
    """Where an address goes in the end."""
    new = moved[old]
    passed = {old}
    while (key := key_of(new)) in moved and key_of(moved[key]) != key:  # an address may be spelled anew
        if key in passed:
            raise UsageError(f"{old} goes to {moved[old]} and comes back: say which of them is left")
        passed.add(key)
        new = moved[key]
    return moved.get(key_of(new), new)


def read_companies(given: Iterable[str]) -> dict[str, str]:
    """Companies by domain: each of `given` is ``DOMAIN=NAME``, or a name for all other addresses."""
    found: dict[str, str] = {}
    for each in given:
        check_utf8(each)
        domain, mark, company = map(str.strip, each.partition("="))
        if not mark:
            found[""] = each.strip()
        elif DOMAIN.fullmatch(domain) and company:
            found[domain.lower()] = company
        else:
            raise UsageError(f"{each!r} names no company: write DOMAIN=NAME, or a name for all others")
    return found
