"""Profiles: what a destination takes and refuses, as data. One JSON file each, and users may write their own.

A profile is an object with these members, all but `name` and `title` optional:

- `name`, `title`, `about`: how it is called, what it is, how the EMLs get there.
- `options`: what `convert` is to do where its caller does not say: see `OPTIONS`.
- `folders`: the name of the folder of each of `ROLES`; null makes none (``"user": null``: labels make none).
  Where it is there, `labels` is ``"primary"`` unless `options` say otherwise.
- `force`: codes of repairs that are made even where a signature breaks, and of `BODY_REPAIRS`, which else
  are never made.
- `checks`: what would be refused: see `CHECKS`.
- `contacts`: for `unmbox contacts`: see `CONTACTS`.
- `facts`: an array of objects with `about` (members of `options`, `force`, `checks` or `contacts`), `says`
  and `source` (an address); a `source` of null says that nobody has published it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from unmbox._folders import MODES, ROLES
from unmbox.errors import UsageError

DATA = Path(__file__).with_name("profiles_data")
BODY_REPAIRS = ("body-nul", "body-bare-cr")
"""What may be forced in bodies: NULs are dropped, lone CRs become line ends."""
_OTHERS = ("filtered", "quarantined")  # what else the manifest lists under in `refusal`
_is_field_name = re.compile("[!-9;-~]+").fullmatch  # RFC 5322, 2.2


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value)) and all(map(_is_count, value.values()))


def _is_field_names(value: object) -> bool:
    return _is_texts(value) and all(map(_is_field_name, value))  # type: ignore[call-overload]  # texts by now


def _is_field_counts(value: object) -> bool:
    return _is_counts(value) and _is_field_names(list(value))  # type: ignore[call-overload]  # an object by now


def _is_renaming(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value)) and all(map(_is_text, value.values()))


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: value in words


OPTIONS: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "headers": _one_of("repair", "preserve"),
        "newline": _one_of("crlf", "lf"),
        "layout": _is_text,
        "labels": _one_of(*MODES),
        "include": _is_texts,
        "exclude": _is_texts,
        "refused": _one_of("keep", "aside"),
        "zip_size": _is_count,
        "zip_entries": _is_count,
        "zip_names": _one_of("utf-8", "ascii"),
        "zip_method": _one_of("stored", "deflated"),
    }
)
"""The options of `convert` that a profile may set, and what holds of their values."""

CHECKS: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "size": _is_count,  # octets of an EML at most
        "attachments": _is_count,  # parts with the disposition "attachment" or a file name, at most
        "recipients": _is_count,  # addresses in To, Cc and Bcc together, at most
        "header_size": _is_count,  # octets of the header block at most
        "header_line": _is_count,  # octets of a line of the header block at most, without its line end
        "fields": _is_count,  # fields of the header block at most
        "field_size": _is_field_counts,  # octets of a field's value at most: {"to": 4000}, "*" for all others
        "required": _is_field_names,  # fields that must be there
        "single": _is_field_names,  # fields of which there must be exactly one
        "sender_differs": _is_flag,  # Sender must not be From once more
        "no_nul": _is_flag,
        "no_bare_lf": _is_flag,
        "no_bare_cr": _is_flag,
        "ascii_header": _is_flag,
    }
)
"""What a destination may refuse, and what holds of the limits."""


CONTACTS: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "columns": _is_renaming,  # names of columns
        "required": _is_texts,  # columns that must not be empty
        "longest": _is_counts,  # characters of a column at most
        "role": _is_texts,  # local parts that are left out
        "refused": _is_text,  # characters that an address must not have
    }
)
"""What an importer of contacts asks for, and what holds of the values."""


class Fact(NamedTuple):
    """What is known of a destination, by what address; `source` is None for what nobody has published."""

    about: tuple[str, ...]
    says: str
    source: str | None


@dataclass(frozen=True)
class Profile:
    """A destination: see the module's docstring for what its members mean."""

    name: str
    title: str
    about: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    folders: Mapping[str, str | None] = field(default_factory=dict)
    force: frozenset[str] = frozenset()
    checks: Mapping[str, Any] = field(default_factory=dict)
    contacts: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()

    def unknown(self) -> list[str]:
        """What it does for which there is no published source."""
        known = {name for fact in self.facts if fact.source for name in fact.about}
        return [name for name in (*self.options, *sorted(self.force), *self.checks) if name not in known]


def names() -> list[str]:
    """The names of the profiles that come with unmbox."""
    return sorted(path.stem for path in DATA.glob("*.json"))


def load(profile: str | os.PathLike[str]) -> Profile:
    """The profile of this name, or of the JSON file at this path.

    Raises `UsageError` where there is none, or the file is no profile; it says what is wrong.
    """
    text = os.fspath(profile)
    path = Path(text)
    if not (isinstance(profile, os.PathLike) or path.suffix.lower() == ".json" or path.name != text):
        path = DATA / f"{text}.json"
        if text not in names():
            from difflib import get_close_matches

            close = get_close_matches(text, names(), 1, cutoff=0.8)
            choose = f"did you mean {close[0]!r}? There are" if close else "choose one of"
            raise UsageError(
                f"no profile is called {text!r}: {choose} {', '.join(names())}; "
                "or name a file of your own (.json)"
            )
    try:
        values = json.loads(path.read_bytes())
        json.dumps(values, ensure_ascii=False).encode()  # half a character would stop the manifest
    except OSError as error:
        raise UsageError(f"the profile {path} cannot be read: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise UsageError(f"the profile {path}: {error.object[error.start]!r} is half a character") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the profile {path} is no JSON: {error}") from error
    return _checked(values, str(path))


def _checked(values: Any, path: str) -> Profile:
    def fail(what: str) -> UsageError:
        return UsageError(f"the profile {path}: {what}")

    if not isinstance(values, dict):
        raise fail("it must be one JSON object")
    known = ("name", "title", "about", "options", "folders", "force", "checks", "contacts", "facts")
    for member in values:
        if member not in known:
            raise fail(f"{member!r} is no member of a profile: write one of {', '.join(known)}")
    for member in ("name", "title"):
        if not _is_text(values.get(member)):
            raise fail(f"{member!r} is missing, or no text")
    if values["name"] in _OTHERS:
        raise fail(f"'name' cannot be {values['name']!r}: the manifest lists other messages under it")
    if not isinstance(values.get("about", ""), str):
        raise fail("'about' must be a text")
    for member, rules in (("options", OPTIONS), ("checks", CHECKS), ("contacts", CONTACTS)):
        for name, value in _members(values, member, fail).items():
            if name not in rules:
                raise fail(f"{name!r} is none of {member}: write one of {', '.join(rules)}")
            if not rules[name](value):
                raise fail(f"{name!r} in {member} cannot be {json.dumps(value)}")
    for name, value in _members(values, "folders", fail).items():
        if name not in ROLES or not (value is None or _is_text(value)):
            raise fail(f"{name!r} in folders: write a name or null for one of {', '.join(ROLES)}")
    if not _is_texts(values.get("force", [])):
        raise fail("'force' must be an array of codes of repairs")
    facts = values.get("facts", [])
    if not (isinstance(facts, list) and all(map(_is_fact, facts))):
        raise fail("'facts' must be an array of objects with about (an array), says, and source (or null)")
    folders = values.get("folders", {})
    checks = values.get("checks", {})
    if sizes := checks.get("field_size"):
        checks = {**checks, "field_size": {name.lower(): size for name, size in sizes.items()}}
    return Profile(
        name=values["name"],
        title=values["title"],
        about=values.get("about", ""),
        options={**({"labels": "primary"} if folders else {}), **values.get("options", {})},
        folders=folders,
        force=frozenset(values.get("force", [])),
        checks=checks,
        contacts=values.get("contacts", {}),
        facts=tuple(Fact(tuple(fact["about"]), fact["says"], fact["source"]) for fact in facts),
    )


def _members(values: dict[str, Any], name: str, fail: Callable[[str], UsageError]) -> Mapping[str, Any]:
    members = values.get(name, {})
    if not isinstance(members, dict):
        raise fail(f"{name!r} must be an object")
    return members


def _is_fact(fact: object) -> bool:
    if not isinstance(fact, dict) or fact.keys() != {"about", "says", "source"}:
        return False
    source = fact["source"]
    return _is_texts(fact["about"]) and _is_text(fact["says"]) and (source is None or _is_text(source))
