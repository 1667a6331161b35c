"""`write_report()`: one HTML file that shows what became of the mail, made from the manifest.

The page is whole in itself: no script, no network, nothing that a message says can run. Its policy
(Content-Security-Policy) allows one style, by its hash, and nothing else; words of messages pass through
the template's escaping. The lists show `MANY` rows at most; beside the page a CSV file of each has them all.
"""

from __future__ import annotations

import csv
import json
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import unmbox
from unmbox import _page_charts as charts
from unmbox._cells import guarded
from unmbox._destination import MANIFEST_NAME, manifest_of, part_name, refuse_unnamed
from unmbox._page_sums import LISTS, MANY, Mail, Sums
from unmbox._page_words import LANGUAGES, language_here, words
from unmbox._schema import our_errors, read_only
from unmbox._terminal import printable, size_of
from unmbox.errors import DestinationError, UsageError, refusal

if TYPE_CHECKING:
    import jinja2

__all__ = ["write_report"]

PAGE_NAME = "unmbox-report.html"
_MARK = "<!doctype html>\n<!-- made by unmbox report -->\n"
_LIST_OCTETS = 380_000
"""What a list may add to the page: a thousand rows of common mail; nine lists stay below 4 MB."""
_CODES_OCTETS = 800_000
_CHARTED = 12
_TEXT = 140
_COLUMNS = (
    "id",
    "source",
    "octet",
    "length",
    "outcome",
    "path",
    "date",
    "from",
    "subject",
    "message-id",
    "note",
)


def write_report(
    destination: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    language: str | None = None,
) -> Path:
    """Write the report on a destination of `convert` and return its path; in flat memory.

    `output` is the HTML file, by default ``unmbox-report.html`` in the destination (beside a manifest that is
    a file); its CSV files get its name with ``-messages.csv`` and so on. `language` is ``en`` or ``ja``, by
    default that of the machine's locale. A report that stands there already is replaced, no other file is.

    Raises `UsageError` where there is no manifest, for an unknown language or without the extra ``[report]``,
    and `DestinationError` where the manifest is damaged or in use, or a file cannot be written.
    """
    language = language or language_here()
    if language not in LANGUAGES:
        raise UsageError(f"no report in {language!r}: choose one of {', '.join(LANGUAGES)}")
    environment = _environment()
    path = manifest_at(destination)
    page = Path(output) if output else path.parent / _page_name(path)
    with our_errors(str(path)), closing(read_only(path)) as connection:
        sums = Sums(connection)
        told = _Page(sums, page, path, words(language))
        with _ours(page):
            again = _is_ours(page, _MARK)
        gone = {told.beside(name) for name in (*LISTS, "months", "labels", "lines")} if again else set()
        for name, columns, rows in told.tables():
            _write_csv(told.beside(name), columns, rows, ours=again)
            gone.discard(told.beside(name))
        for path in gone:  # of lists that are empty now
            with _ours(path):
                path.unlink(missing_ok=True)
        style = environment.get_template("report.css").render().strip()
        policy = (
            f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        )
        policy += "; base-uri 'none'; form-action 'none'"
        parts = environment.get_template("report.html").generate(
            page=told, sums=sums, t=told.words, language=language, style=style, policy=policy
        )
        _write(page, _MARK, lambda file: file.writelines(parts))
    return page


def manifest_at(destination: str | os.PathLike[str]) -> Path:
    """Where the manifest of a destination is: in the folder, beside the ZIP file, or this very file."""
    refuse_unnamed(destination)
    path = Path(destination)
    is_manifest = path.suffix == ".sqlite" and os.path.isfile(path)  # noqa: PTH113  # which raises nothing
    return path if is_manifest else manifest_of(path)


def _page_name(manifest: Path) -> str:
    return (
        manifest.name.replace("manifest.sqlite", "report.html") if "manifest" in manifest.name else PAGE_NAME
    )


def _environment() -> jinja2.Environment:
    try:
        import jinja2
        import pygal  # noqa: F401  # wanted later; what lacks is better said now
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the report needs {error.name}, which is not installed: pip install 'unmbox[report]'"
        ) from error
    return jinja2.Environment(
        loader=jinja2.PackageLoader("unmbox"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


class _Page:
    """What the template asks for."""

    many = MANY

    def __init__(self, sums: Sums, page: Path, manifest: Path, told: Mapping[str, str]) -> None:
        self.sums = sums
        self.words = told
        self.manifest = manifest.name
        self.place = printable(str(manifest.parent.absolute()))
        self.version = unmbox.__version__
        self.when = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
        self._page = page
        # Where the EMLs are, as seen from the page; a ZIP file's have no address.
        folder = manifest.parent if manifest.name == MANIFEST_NAME else None
        self._root: str | None = None
        if folder:
            with suppress(ValueError):  # another drive
                self._root = os.path.relpath(folder.absolute(), page.absolute().parent)
        self.shown = 0
        self.size = size_of

    # -- words ---------------------------------------------------------------------------------------

    def clean(self, text: str | None, length: int = _TEXT) -> str:
        """A stranger's words without what would drive a page or a terminal, and not endless."""
        text = printable((text or "")[: length + 1]).replace("\n", " ")
        return text if len(text) <= length else text[:length] + "…"

    def link(self, path: str | None) -> str | None:
        """The address of an EML, from the page; never anything but a relative path."""
        if path is None or self._root is None:
            return None
        return quote("./" + Path(self._root, path).as_posix())

    def repair_note(self, mail: Mail) -> str:
        """What became of one repair: its field, and made or not."""
        _, field, applied, impact = json.loads(mail.note or "[]")
        made = self.words["made_here"]
        if not applied:
            # An impact is a sentence on signatures; without one it is nothing that is ever mended.
            why = "left_here" if impact else "listed_here"
            made = self.words[why].format(signatures=impact.removeprefix("breaks "))
        return self.clean(f"{field}: {made}" if field else made)

    def size_class(self, number: int, end: int | None) -> str:
        """The name of a class of sizes, of which this is the number."""
        classes = self.sums.sizes
        if end is None:
            return self.words["sizes_last"].format(size=size_of(classes[number - 1][0] or 0, places=0))
        return self.words["sizes_first"].format(size=size_of(end, places=0))

    # -- lists ---------------------------------------------------------------------------------------

    def rows(self, name: str, code: str | None = None) -> Iterator[Mail]:
        """The beginning of a list, by rows and by octets; `shown` counts."""
        budget = _CODES_OCTETS // max(1, len(self.sums.repairs)) if code else _LIST_OCTETS
        yield from self._some(self.sums.mails(name, code), budget)

    def lines(self) -> Iterator[tuple[str, int, str, str]]:
        """The same of the lines that were not taken."""
        yield from self._some(self.sums.lines(), _LIST_OCTETS)

    def some_labels(self) -> Iterator[tuple[str, int]]:
        """The same of the labels."""
        yield from self._some(iter(self.sums.labels), _LIST_OCTETS)

    def _some(self, rows: Iterator[Any], budget: int) -> Iterator[Any]:
        self.shown = 0
        for row in rows:
            # Escaped, a "&" takes five octets, and a letter of an address nine.
            shown = (row.sender, row.subject, row.note) if isinstance(row, Mail) else row
            budget -= 150 + sum(
                len(escape(self.clean(each)).encode()) for each in shown if isinstance(each, str)
            )
            budget -= len(self.link(row.path) or "") if isinstance(row, Mail) else 0
            if budget < 0 or self.shown == MANY:
                return
            self.shown += 1
            yield row

    # -- files beside ----------------------------------------------------------------------------------

    def beside(self, name: str) -> Path:
        """The CSV file of a list."""
        return self._page.with_name(f"{self._page.stem}-{name}.csv")

    def csv(self, name: str) -> str:
        """Its address."""
        return quote("./" + self.beside(name).name)

    def tables(self) -> Iterator[tuple[str, Sequence[str], Iterable[Sequence[Any]]]]:
        """Every CSV file: its name, columns and rows; none for a list that is empty."""
        sums = self.sums
        for name in LISTS:
            if sums.counts[name] and name not in {"biggest", "repairs"}:
                yield name, _COLUMNS, sums.mails(name)
        if sums.repairs:
            columns = (*_COLUMNS[:-1], "repair", "field", "applied", "signature")
            yield (
                "repairs",
                columns,
                ((*mail[:-1], *json.loads(mail.note or "")) for mail in sums.mails("repairs")),
            )
        if sums.periods:
            rows = ((each.name, each.total) for each in sums.periods)
            yield "months", ("month" if sums.by_month else "year", "messages"), rows
        if sums.labels:
            yield "labels", ("label", "messages"), sums.every_label()
        if sums.lines_kept:
            yield "lines", ("source", "octet", "line", "reason"), sums.lines()

    # -- charts ----------------------------------------------------------------------------------------

    def months_chart(self) -> str:
        """Messages over time, by outcome."""
        periods = self.sums.periods
        names = [each.name or "" for each in periods]
        # Below January stands the year alone.
        names = [name.removesuffix("-01") for name in names] if self.sums.by_month else names
        marked = [name for name in names if len(name) == 4]
        kinds = [kind for kind, count in self.sums.outcomes.items() if count]
        return charts.columns(
            names,
            {kind: [each.counts.get(kind, 0) for each in periods] for kind in kinds},
            title=self.words["months_chart"].format(
                unit=self.words["by_month" if self.sums.by_month else "by_year"],
                first=names[0],
                last=names[-1],
            ),
            marked=marked if len(marked) > 1 else names,
        )

    def sizes_chart(self) -> str:
        """Messages by size."""
        sizes = self.sums.sizes
        names = [self.size_class(number, end) for number, (end, *_) in enumerate(sizes)]
        return charts.rows(names, [row[1] for row in sizes], title=self.words["sizes_chart"], kind="written")

    def labels_chart(self) -> str:
        """The most frequent labels."""
        first = self.sums.labels[:_CHARTED]
        names = [self.clean(name) for name, _ in first]
        return charts.rows(names, [n for _, n in first], title=self.words["labels_chart"], kind="label")

    def repairs_chart(self) -> str:
        """The most frequent repairs."""
        first = self.sums.repairs[:_CHARTED]
        names = [self.words.get(row[0], row[0]) for row in first]
        counts = [int(row[1]) + int(row[2]) for row in first]
        return charts.rows(names, counts, title=self.words["repairs_chart"], kind="repair")


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, ours: bool) -> None:
    """A CSV file that spreadsheets take as it is: UTF-8 with a mark, CRLF, and no cell is a formula.

    One that stands beside a page of ours is `ours`, whatever columns it has.
    """
    mark = "\ufeff" + ",".join(columns) + "\r\n"

    def fill(file: Any) -> None:
        csv.writer(file).writerows(map(guarded, row) for row in rows)

    _write(path, mark, fill, ours=ours)


def _is_ours(path: Path, mark: str) -> bool:
    """Whether a file of ours is there, which begins with `mark`; `DestinationError` for another one."""
    if not path.exists():
        return False
    octets = mark.encode()
    with path.open("rb") as old:
        if old.read(len(octets)) == octets:
            return True
    raise DestinationError(
        f"{path} is there already and no report of unmbox: it was left as it is; "
        "move it away, or name another file with --output"
    )


def _write(path: Path, mark: str, fill: Callable[[Any], object], *, ours: bool = False) -> None:
    """Make a file that begins with `mark`, whole or not at all; an older one of ours gives way to it."""
    with _ours(path):
        if not ours:
            _is_ours(path, mark)
        part = path.with_name(part_name(time.time_ns()))
        try:
            with part.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(mark)
                fill(file)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    """Make `DestinationError` of what the system says about a file of the report."""
    try:
        yield
    except OSError as error:
        if isinstance(error, DestinationError):
            raise
        raise refusal(f"cannot write {path}: {error.strerror}", error.errno) from error
