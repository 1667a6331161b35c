"""`unmbox profiles`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from unmbox import profiles
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
        say(json.dumps([_plain(profile) for profile in found], indent=2, ensure_ascii=False))
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
    lines = [f"{profile.name}: {profile.title}", profile.about]
    said = (("sets", profile.options), ("refuses", profile.checks), ("contacts", profile.contacts))
    for heading, members in said:
        lines += [f"{heading}  {name} = {_value(value)}" for name, value in members.items()]
    if profile.force:
        lines.append(f"forces  {', '.join(sorted(profile.force))}")
    for fact in profile.facts:
        lines += [
            "",
            fact.says,
            f"  ({', '.join(fact.about)}) {fact.source or 'unknown: nobody has published it'}",
        ]
    return "\n".join(lines)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
