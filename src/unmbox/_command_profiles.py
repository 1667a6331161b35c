"""`unmbox profiles`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from unmbox import profiles
from unmbox._checks import FAULTS, LIMITED
from unmbox._command import DONE, shared
from unmbox._terminal import say
from unmbox.profiles import Profile


@click.command("profiles")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@shared
def command(names: tuple[str, ...], *, as_json: bool) -> int:
    """List the destinations that are known; of those called NAME..., all that is known.

    NAME may be a JSON file of your own. Each fact has its source; "unknown" marks what nobody has published.

    \b
    Examples:
      unmbox profiles
      unmbox profiles zoho-mail
    """
    found = [profiles.load(name) for name in names or profiles.names()]
    if as_json:
        say(json.dumps([_plain(profile) for profile in found], indent=2))
    elif names:
        say("\n\n".join(map(_page, found)))
    else:
        width = max(len(profile.name) for profile in found)
        say("\n".join(f"{profile.name:{width}}  {_title(profile)}" for profile in found))
    return DONE


def _title(profile: Profile) -> str:
    return f"{profile.title}, for unmbox contacts" if profile.contacts else profile.title


def _plain(profile: Profile) -> dict[str, Any]:
    facts = [fact._asdict() for fact in profile.facts]
    return asdict(profile) | {"force": sorted(profile.force), "facts": facts}


def _page(profile: Profile) -> str:
    lines = [f"{profile.name}: {profile.title}", profile.about, ""]
    unknown = set(profile.unknown())
    for heading, members in (("sets", profile.options), ("contacts", profile.contacts)):
        lines += [
            _line(heading, f"{name} = {_value(value)}", name in unknown) for name, value in members.items()
        ]
    for name, value in profile.checks.items():
        lines += [_line("refuses", f"{what} ({name})", name in unknown) for what in _refuses(name, value)]
    if profile.force:
        lines.append(f"forces   {', '.join(sorted(profile.force))}")
    for fact in profile.facts:
        lines += [
            "",
            fact.says,
            f"  ({', '.join(fact.about)}) {fact.source or 'unknown: nobody has published it'}",
        ]
    return "\n".join(lines)


def _line(heading: str, what: str, is_unknown: bool) -> str:
    return f"{heading:9}{what}" + ("  [unknown, taken to be so]" if is_unknown else "")


def _refuses(name: str, value: Any) -> list[str]:
    """What a check refuses, in words."""
    if name in LIMITED:
        return [f"more than {value:,} {LIMITED[name]}"]
    if name == "field_size":
        sizes = {"all others" if field == "*" else field: size for field, size in value.items()}
        return [f"more than {size:,} octets in {field}" for field, size in sizes.items()]
    if name == "required":
        return [f"a message without {field}" for field in value]
    if name == "single":
        return [f"none or several fields called {field}" for field in value]
    return [FAULTS[name]] if value else []


def _value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
