"""Two exports of one account, months apart, as one folder: `python merge_exports.py old.mbox new.mbox mail/`.

What both hold is written once. A message that only shares its Message-ID with another stays. Afterwards the
manifest says how much each export has brought.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import unmbox

BY_SOURCE = """
SELECT source.uri, total(outcome = 'written'), total(outcome = 'duplicate')
FROM source JOIN message ON message.source_id = source.id GROUP BY source.id ORDER BY source.id
"""


def merge(exports: list[str], folder: Path) -> tuple[unmbox.Report, list[tuple[str, int, int]]]:
    """Convert all exports into one folder; return the report, and what was new and known in each export."""
    report = unmbox.convert(exports, folder)
    with closing(sqlite3.connect(folder / "unmbox-manifest.sqlite")) as manifest:
        return report, [
            (Path(uri).name, int(new), int(known)) for uri, new, known in manifest.execute(BY_SOURCE)
        ]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    *exports, folder = sys.argv[1:]
    report, sources = merge(exports, Path(folder))
    for name, new, known in sources:
        print(f"{name}: {new} new, {known} known")
    print(f"{report.written} written, {report.collisions} of them with another mail's Message-ID")
