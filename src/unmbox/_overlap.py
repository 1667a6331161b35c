"""Sources that stand in a destination: mail of the user's own may, what was written there may not.

Converted into its own destination, what was written would be doubled; and a run that starts afresh would
remove it, as all that the manifest names, before it is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from unmbox._destination import aside_of, is_zip
from unmbox._schema import our_errors, read_only
from unmbox._volume import volumes_of
from unmbox.errors import UsageError

_NAMES = (
    "SELECT 1 FROM (SELECT path FROM message UNION ALL SELECT path FROM file WHERE volume IS NULL) "
    "WHERE path = :path OR substr(path, 1, length(:path) + 1) = :path || '/' LIMIT 1"
)


def refuse_own(
    paths: Iterable[Path], destination: str | os.PathLike[str], manifest: str | os.PathLike[str] | None
) -> None:
    """See that none of the `paths` is the destination, or was written there by the manifest's word.

    Raises `UsageError` for one that is, else as `_schema.read_only`.
    """
    place, packs = _real(destination), is_zip(destination)
    folder = place.parent if packs else place
    inside: list[tuple[Path, str]] = []
    for path in paths:
        real = _real(path)
        if real == place:
            raise UsageError(f"{path} is a source and the destination, too: choose another destination")
        if real.is_relative_to(folder):
            inside.append((path, real.relative_to(folder).as_posix()))
    if not inside or manifest is None or not os.path.exists(manifest):  # noqa: PTH110  # which raises nothing
        return
    with our_errors(os.fspath(manifest)), closing(read_only(manifest, may_be_empty=True)) as record:
        query = record.execute
        if not query("SELECT 1 FROM sqlite_master WHERE name = 'message'").fetchone():
            return
        volumes = {volume.name for volume in volumes_of(record)}
        aside = aside_of(destination) if packs else ""
        for path, name in inside:
            if not _has_utf8(name):
                continue  # no name of ours
            beside = not packs or name == aside or name.startswith(aside + "/")
            if name in volumes or (beside and query(_NAMES, {"path": name}).fetchone()):
                raise UsageError(
                    f"{path} was written by unmbox into this very destination: name the mailbox that it is "
                    "from, or choose another destination"
                )


def _has_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _real(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.realpath(os.fsdecode(path)))
