"""What unmbox's own files are called: a destination's manifest, its volumes, the folder beside these.

And what of a sink is a target.
"""

from __future__ import annotations

import os
import re
from contextlib import closing
from pathlib import Path

from unmbox.errors import UsageError

TARGET_CALLS = ("write", "commit", "discard")
MANIFEST_NAME = "unmbox-manifest.sqlite"
VOLUME_KEY = "volume."
"""What the keys in a manifest's `meta` begin with that name volumes."""

_of_later_volume = re.compile(r"(.+)-\d{3,}-manifest\.sqlite", re.DOTALL).fullmatch
_is_part = re.compile(r"\.unmbox-\d+-\d+\.part").fullmatch
# The second volume of NAME.zip is NAME-002.zip.
_OF_ZIP = re.compile(r"(.+)(?:-(?!00[01]\.)(\d{3,})\.zip|-aside)", re.IGNORECASE | re.DOTALL).fullmatch


def is_zip(destination: object) -> bool:
    """Whether a destination is meant to be ZIP volumes: a path that ends in .zip, and no folder."""
    if not isinstance(destination, (str, os.PathLike)):
        return False
    path = Path(os.fsdecode(destination))
    return path.suffix.lower() == ".zip" and not os.path.isdir(path)  # noqa: PTH112  # which raises nothing


def refuse_unnamed(destination: object) -> None:
    """See that a destination's name is not empty, which would be the folder that one is in."""
    if destination == "":
        raise UsageError("the destination's name is empty, perhaps a variable that is not set: name a folder")


def manifest_of(destination: str | os.PathLike[str]) -> Path:
    """Where the manifest of a folder or of ZIP volumes stands."""
    path = Path(os.fsdecode(destination))
    return path.with_name(f"{path.stem}-manifest.sqlite") if is_zip(path) else path / MANIFEST_NAME


def first_volume(manifest: Path) -> Path | None:
    """The ZIP that was meant, where one of its later volumes was named and would have this manifest."""
    found = _of_later_volume(manifest.name)
    first = manifest.with_name(f"{found[1]}.zip") if found else manifest
    return first if found and manifest_of(first).exists() else None


def aside_of(destination: str | os.PathLike[str]) -> str:
    """The folder beside ZIP volumes for what is in none of them."""
    return f"{Path(os.fsdecode(destination)).stem}-aside"


def part_name(number: int) -> str:
    """What a file is called until it is whole, by a number that no other one of this process has."""
    return f".unmbox-{os.getpid()}-{number}.part"


def is_part(name: str) -> bool:
    """Whether a file is called as one that is not whole: a run that ended too early may have left it."""
    return _is_part(name) is not None


def is_written(path: str, real: str = "", destination: str = "") -> bool:
    """Whether a path is a destination of unmbox's, a volume of one, or the folder beside volumes.

    `destination` is one for certain, by its `real_name`; `real` is the path's own, without links.
    """
    found = _OF_ZIP(path)
    if destination and destination in _places(real):
        return True
    if os.path.lexists(manifest_of(path)):
        return True
    if not found:
        return False
    manifest = manifest_of(f"{found[1]}.zip")
    return os.path.lexists(manifest) and (not found[2] or _names_volume(manifest, Path(path).name))


def real_name(path: str) -> str:
    """A path, with the suffix of a ZIP in small letters, for its volumes to be known by."""
    return f"{path[:-4]}.zip" if path.lower().endswith(".zip") else path


def _places(path: str) -> list[str]:
    """The destinations that a path may belong to: itself, and the ZIP of which it is a volume."""
    found = _OF_ZIP(path)
    return [real_name(path), f"{found[1]}.zip"] if found else [real_name(path)]


def _names_volume(manifest: Path, name: str) -> bool:
    """Whether a manifest names a volume; also where it cannot be asked, for a run may be writing it."""
    import sqlite3

    try:
        uri = f"{manifest.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0)) as record:
            query = "SELECT 1 FROM meta WHERE key = ?"
            return record.execute(query, (VOLUME_KEY + name,)).fetchone() is not None
    except (sqlite3.Error, UnicodeEncodeError):
        return True


def check_target(target: object) -> None:
    """Refuse what a sink's `open` gave if it is no target."""
    if missing := [f"{name}()" for name in TARGET_CALLS if not callable(getattr(target, name, None))]:
        what = type(target).__name__
        raise UsageError(f"the sink's open() gave a {what}, which has no {', no '.join(missing)}")
