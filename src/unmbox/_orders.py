"""What `convert` is to do: what its caller says, else what the profile says, else what is usual."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from hashlib import sha256
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from unmbox._checks import writer_for
from unmbox._destination import aside_of, is_zip, manifest_of, refuse_unnamed
from unmbox._folders import MODES, Folders, LabelTable
from unmbox._place import DryPlace, Place
from unmbox._remote import is_url
from unmbox._repairs import RULES
from unmbox._selection import Selection, When, check_utf8, recorded
from unmbox._sorter import REFUSED, Sorter
from unmbox._variant import check_variant
from unmbox._volume import ZIP_ENTRIES, ZIP_SIZE, Limits
from unmbox._writer import EmlWriter
from unmbox._zip_place import ZipPlace
from unmbox.errors import UsageError
from unmbox.naming import DEFAULT_LAYOUT, Layout
from unmbox.profiles import BODY_REPAIRS, Profile, load
from unmbox.sinks import Sink
from unmbox.sources import checked_path
from unmbox.zips import refuse_taken

FLAT_LAYOUT = "{date}_{time}_{subject}_{hash}"
"""The default where labels make the folders."""

_USUAL: Mapping[str, Any] = {
    "headers": "repair",
    "newline": "crlf",
    "layout": None,
    "labels": "none",
    "include": (),
    "exclude": (),
    "refused": "keep",
    "zip_size": ZIP_SIZE,
    "zip_entries": ZIP_ENTRIES,
    "zip_names": "utf-8",
    "zip_method": "deflated",
}


class Orders:
    """The options of one call of `convert`, checked. Raises `UsageError` for what cannot be.

    `given` has the options that a profile may set, None or () where the caller leaves them to it. `options`
    are those that a manifest records, `new_writer` makes a writer, `layout` and `sorter` are for `Batches`.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str] | Sink,
        *,
        profile: str | os.PathLike[str] | None = None,
        system_labels: str | os.PathLike[str] | None = None,
        since: When | None = None,
        until: When | None = None,
        repair_signed: bool = False,
        locale: str | None = None,
        variant: str = "auto",
        jobs: int = 1,
        **given: Any,
    ) -> None:
        more = {"jobs": jobs, "locale": locale, "repair_signed": repair_signed}
        _check_kinds(destination, {**given, **more, "profile": profile, "system_labels": system_labels})
        check_variant(variant)
        if jobs < 1:
            raise UsageError(f"jobs is a number of processes, not {jobs}: give 1 or more")
        self._destination = destination
        self._zip = is_zip(destination)
        self._profile = _loaded(profile) if profile is not None else Profile("", "")
        self._values = {name: self._value(name, given.get(name)) for name in _USUAL}
        values = self._values
        self._check(values, given)
        self.newline: str = values["newline"]
        template: str | None = values["layout"]
        if template is None:
            template = DEFAULT_LAYOUT if values["labels"] == "none" else FLAT_LAYOUT
        self.layout = Layout(template)
        self.new_writer = self._writers(repair_signed=repair_signed, locale=locale)
        self.new_writer()
        table = LabelTable.load(system_labels)
        selection = Selection(table, values["include"], values["exclude"], since, until)
        self.sorter = self._sorter(table, selection, is_own=system_labels is not None)
        self.options = {
            "headers": values["headers"],
            "newline": self.newline,
            "layout": template,
            "repair_signed": str(repair_signed).lower(),
            "locale": locale or "",
            **self._recorded(selection, system_labels),
        }

    def manifest(self) -> Path | None:
        """Where the manifest stands unless its place is named; None for a sink of the caller's."""
        return manifest_of(self._destination) if isinstance(self._destination, (str, os.PathLike)) else None

    def place(self, *, durable: bool, dry_run: bool, manifest: Path | str | os.PathLike[str] | None) -> Place:
        """The destination, made ready to be written to."""
        recorded = manifest is not None and os.path.exists(manifest)  # noqa: PTH110  # which raises nothing
        if dry_run and self._zip:
            if not recorded:
                refuse_taken(self._destination)  # type: ignore[arg-type]  # a path, or it were no ZIP
            return DryPlace(
                aside=aside_of(self._destination),  # type: ignore[arg-type]  # a path, or it were no ZIP
                limits=Limits(*(self._values[name] for name in _ZIP)),
            )
        if dry_run:
            return DryPlace()
        if not self._zip or not isinstance(self._destination, (str, os.PathLike)):
            return Place(self._destination, durable=durable)
        zips = {name[4:]: self._values[name] for name in _ZIP}
        return ZipPlace(self._destination, durable=durable, recorded=recorded, **zips)

    def _value(self, name: str, given: Any) -> Any:
        if given is None or given == ():
            return self._profile.options.get(name, _USUAL[name])
        if name not in {"include", "exclude"}:
            return given
        if isinstance(given, str):  # it would be a list of its letters
            return (given,)
        if not isinstance(given, Iterable):
            raise UsageError(f"{name} takes texts, labels or addresses, not {given!r}")
        return tuple(sorted(given) if isinstance(given, AbstractSet) else given)

    def _check(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        for name, choices in (("labels", MODES), ("refused", REFUSED)):
            if values[name] not in choices:
                raise UsageError(f"unknown {name} {values[name]!r}: choose one of {', '.join(choices)}")
        if not self._zip and (zips := [name for name in _ZIP if given.get(name) is not None]):
            raise UsageError(f"{zips[0]} is for a destination that ends in .zip: name one, or leave it out")
        if self._zip and values["labels"] == "link":
            raise UsageError("a ZIP has no links: choose the labels primary or none")
        if self._zip:  # a dry run makes no volume that would say so
            Limits(*(values[name] for name in _ZIP)).check()

    def _writers(self, *, repair_signed: bool, locale: str | None) -> Callable[[], EmlWriter]:
        return partial(
            writer_for,
            checks=self._profile.checks,
            force=self._profile.force,
            headers=self._values["headers"],
            newline=self.newline,
            repair_signed=repair_signed,
            locale=locale,
        )

    def _sorter(self, table: LabelTable, selection: Selection, *, is_own: bool) -> Sorter | None:
        labels, aside = self._values["labels"], self._values["refused"] == "aside"
        if aside and not self._profile.name:
            raise UsageError("nothing says what would be refused: name a profile")
        if labels == "none" and not selection and not is_own and not self._profile.checks:
            return None
        return Sorter(
            table,
            selection,
            None if labels == "none" else Folders(table, self._profile.folders),
            links=labels == "link",
            profile=self._profile.name,
            aside=aside,
            is_own=is_own,
        )

    def _recorded(self, selection: Selection, system_labels: str | os.PathLike[str] | None) -> dict[str, str]:
        """What differs from the usual: a destination's rows all follow from the same options."""
        found: dict[str, str] = {}
        for name in ("labels", "include", "exclude", "refused", *(_ZIP if self._zip else ())):
            value = self._values[name]
            if value != _USUAL[name] or name in _ZIP:
                found[name] = value if isinstance(value, str) else _json(value)
        limits = ("since", selection.since), ("until", selection.until)
        found |= {name: recorded(when) for name, when in limits if when is not None}
        if system_labels is not None:
            found["system_labels"] = sha256(Path(system_labels).read_bytes()).hexdigest()[:12]
        profile = self._profile
        if profile.name:
            does = [profile.options, profile.folders, sorted(profile.force), profile.checks]
            found["profile"] = f"{profile.name} {sha256(_json(does).encode()).hexdigest()[:12]}"
            if profile.force:
                found["force"] = ",".join(sorted(profile.force))
        return found


_TEXTS, _NUMBERS = {"layout", "locale"}, {"zip_size", "zip_entries", "jobs"}


def _check_kinds(destination: object, given: Mapping[str, object]) -> None:
    """See that the values are such as they have to be, for callers without a type checker."""
    refuse_unnamed(destination)
    if isinstance(destination, (str, os.PathLike)):
        checked_path(destination)
        if is_url(destination):
            raise UsageError(f"{destination!r} is a URL: EMLs go into a folder or a .zip, name one of these")
        if sys.getfilesystemencoding() != "utf-8" and not is_zip(destination):
            here = sys.getfilesystemencoding()
            raise UsageError(f"file names are in {here} here, which holds few letters: set PYTHONUTF8=1")
    elif not callable(getattr(destination, "open", None)):
        what = type(destination).__name__
        raise UsageError(f"a {what} is no destination: give the path of a folder or a .zip, or a sink")
    for name in _TEXTS | _NUMBERS:
        value = given.get(name)
        if (value is not None or name == "jobs") and not isinstance(value, str if name in _TEXTS else int):
            raise UsageError(f"{name} is {value!r}: give a {'text' if name in _TEXTS else 'whole number'}")
    if given.get("headers") == "preserve" and given.get("repair_signed"):
        raise UsageError("headers that are preserved are not repaired, signed or not: choose one of the two")
    if (progress := given.get("progress")) is not None and not callable(progress):
        raise UsageError(f"progress is {progress!r}: give a function")
    if iscoroutinefunction(progress):
        raise UsageError("progress is an async function: give a plain one, or call unmbox.aio.convert")
    for name in ("manifest", "profile", "system_labels"):
        value = given.get(name)
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise UsageError(f"{name} is {value!r}: give a name or a path")
    if isinstance(manifest := given.get("manifest"), (str, os.PathLike)):
        checked_path(manifest)
    named = [destination] if is_zip(destination) else []
    for text in (*named, given.get("locale") or ""):
        check_utf8(os.fsdecode(text))  # type: ignore[arg-type]  # a path, or a text


def check_switches(**given: object) -> None:
    """Refuse what is neither true nor false: ``resume=None`` would remove what is there."""
    for name, value in given.items():
        if value not in (True, False):
            raise UsageError(f"{name} is {value!r}: give True or False")


def _loaded(name: str | os.PathLike[str]) -> Profile:
    profile = load(name)
    if profile.contacts and not (profile.options or profile.folders or profile.force or profile.checks):
        raise UsageError(f"the profile {profile.name} is for unmbox contacts: no mail goes there")
    codes = [*(rule.code for rule in RULES), *BODY_REPAIRS]
    if unknown := sorted(profile.force.difference(codes)):
        what = f"{unknown[0]!r} in force is the code of no repair"
        raise UsageError(f"the profile {profile.name}: {what}: write one of {', '.join(codes)}")
    return profile


_ZIP = tuple(name for name in _USUAL if name.startswith("zip_"))


def _json(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, (list, dict, str)):
        value = list(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
