"""What unmbox's own files are called: a destination's manifest, its volumes, the folder beside these."""

from __future__ import annotations

import os
import re
from pathlib import Path

MANIFEST_NAME = "unmbox-manifest.sqlite"

# The second volume of NAME.zip is NAME-002.zip.
_OF_ZIP = re.compile(r"(.+)(?:-(?!00[01]\.)\d{3,}\.zip|-aside)", re.IGNORECASE | re.DOTALL).fullmatch


def is_zip(destination: object) -> bool:
    """Whether a destination is meant to be ZIP volumes: a path that ends in .zip, and no folder."""
    if not isinstance(destination, (str, os.PathLike)):
        return False
    path = Path(os.fsdecode(destination))
    return path.suffix.lower() == ".zip" and not os.path.isdir(path)  # noqa: PTH112  # which raises nothing


def manifest_of(destination: str | os.PathLike[str]) -> Path:
    """Where the manifest of a folder or of ZIP volumes stands."""
    path = Path(os.fsdecode(destination))
    return path.with_name(f"{path.stem}-manifest.sqlite") if is_zip(path) else path / MANIFEST_NAME


def aside_of(destination: str | os.PathLike[str]) -> str:
    """The folder beside ZIP volumes for what is in none of them."""
    return f"{Path(os.fsdecode(destination)).stem}-aside"


def is_written(path: str, destination: str = "") -> bool:
    """Whether a path is a destination of unmbox's (this one, say), a volume, or the folder beside volumes."""
    found = _OF_ZIP(path)
    places = [path, f"{found[1]}.zip"] if found else [path]
    return destination in places or any(os.path.lexists(manifest_of(place)) for place in places)
