"""What people at a terminal read: the summaries of the commands, their complaints, a progress bar."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

import unmbox
from unmbox._destination import aside_of, is_zip

if TYPE_CHECKING:
    from rich.console import Console

    from unmbox._inspection import Inspection
    from unmbox._verify import Verification

_SHOWN, _NAMED = 20, 5
_WIDE, _WIDER = 76, 100


def summary(report: unmbox.Report, destination: str, *, dry_run: bool = False) -> str:
    """What `convert` has done, in lines."""
    read = f"{_count(report.messages, 'message')} ({size_of(report.bytes_in)})"
    lines = [f"{read}: {report.written:,} {'would be ' if dry_run else ''}written to {destination}"]
    if report.already and not report.messages:
        lines = [f"nothing new for {destination}"]
    if report.duplicates:
        lines[0] += f", {_count(report.duplicates, 'copy', 'copies')} left out"
    if report.filtered:
        lines[0] += f", {report.filtered:,} filtered out"
    if report.quarantined:
        lines[0] += f", {report.quarantined:,} put into quarantine"
    if report.filtered == report.messages > 0 and not report.unmatched:
        lines.append("no message is wanted: unmbox inspect says which labels there are")
    if report.unmatched:
        lines.append(no_message_has(report.unmatched))
    if report.refused:
        refused = f"{_count(report.refused, 'message')} would be refused there"
        lines.append(refused if dry_run else f"{refused}: unmbox report {destination} says why")
    if report.aside:
        path = Path(destination)
        zipped = is_zip(destination)
        where = path.with_name(aside_of(path)) if zipped else path / "refused"
        stand = "would stand" if dry_run else "stands" if report.aside == 1 else "stand"
        lines.append(
            f"{_count(report.aside, 'message')} {stand} {'in no ZIP, but' if zipped else 'apart,'} in {where}"
        )
    if report.already:
        lines.append(f"{_count(report.already, 'message')} done by an earlier run")
    if report.collisions:
        lines.append(f"{_count(report.collisions, 'message')} kept that share a Message-ID with another mail")
    if report.repairs:
        lines.append(f"repairs: {_codes(report.repairs)}")
    from unmbox._writer import LISTED  # which --help needs not load

    if signed := {code: count for code, count in report.left_out.items() if code not in LISTED}:
        lines.append(f"left out to keep signatures whole: {_codes(signed)}")
    if listed := {code: count for code, count in report.left_out.items() if code in LISTED}:
        lines.append(f"found and left as they are: {_codes(listed)}")
    if report.rejected:
        lines.append(
            f'{_count(report.rejected, "line")} beginning "From " left as text: unmbox inspect says why'
        )
    if report.junk:
        lines.append(f"{_count(report.junk, 'octet')} left out: before the first message, part of none")
    if dry_run:
        lines.append(f"nothing was written; the EML files would take {size_of(report.bytes_out)}")
    if report.seconds >= 1:
        lines.append(f"{report.seconds:,.0f} s, {size_of(report.bytes_in / report.seconds)}/s")
    return "\n".join(lines + _planned(report))


def no_message_has(terms: Sequence[str]) -> str:
    """What is said of labels and addresses to choose by, where there is nothing to choose."""
    known = all("@" in term for term in terms)
    hint = "is that how the address is spelt?" if known else "unmbox inspect says which labels there are"
    return f"no message has {' or '.join(map(repr, terms))}: {hint}"


def _planned(report: unmbox.Report) -> list[str]:
    """What a dry run would have written: how many EMLs in which folder, and what the first are called."""
    if not report.names:
        return []
    folders = [f"{count:>9,}  {name or '.'}" for name, count in sorted(report.folders.items())]
    names = [f"  {name}" for name in report.names[:_NAMED]]
    return ["", "Folders", *_first(folders, len(folders)), "", "The first names", *names]


def _first(rows: list[str], total: int) -> list[str]:
    more = total - min(len(rows), _SHOWN)
    return [on_one_line(row) for row in rows[:_SHOWN]] + (
        [f"{'':>9}  and {more:,} more: --json has them"] if more else []
    )


def _codes(counts: Mapping[str, int]) -> str:
    often_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{code} {number:,}" for code, number in often_first)


def findings(found: Verification, destination: str) -> str:
    """What `verify` has found, in lines."""
    sources = _count(found.sources, "source")
    what = f"{_count(found.messages, 'message')} of {sources} ({size_of(found.bytes_in)})"
    if found.ok:
        files = _count(found.written, "EML file")
        return f"{what}: every octet accounted for, {files} in {destination} as written"
    shown = found.problems[:_SHOWN]
    lines = [
        f"{what}: {_count(found.problem_count, 'problem')} in {destination}",
        *(on_one_line(f"  {each.kind}  {each.path}: {each.detail}") for each in shown),
    ]
    if found.problem_count > len(shown):
        lines.append(f"  and {found.problem_count - len(shown):,} more: --json has them")
    return "\n".join(lines)


def overview(found: Inspection) -> str:
    """What `inspect` has found, in lines."""
    lines = [f"{_count(found.messages, 'message')} in {size_of(found.octets)}"]
    if found.first and found.last:
        first, last = sorted((f"{found.first:%Y-%m-%d}", f"{found.last:%Y-%m-%d}"))  # each in its own zone
        lines[0] += f", {first} to {last}"
    sources = [
        f"{each.messages:>9,}  {each.name}  ({size_of(each.octets)}, {each.variant}"
        + (f", {_count(each.junk, 'octet')} before the first message)" if each.junk else ")")
        for each in found.sources
    ]
    years = [f"{count:>9,}  {year:04}" for year, count in sorted(found.years.items())]
    if found.undated:
        years.append(f"{found.undated:>9,}  without a date")
    labels = [f"{count:>9,}  {label}" for label, count in found.labels.most_common()]
    senders = [f"{each.number:>9,}  {each.word}  ({size_of(each.octets)})" for each in found.senders]
    biggest = [f"{size_of(each.length):>9}  {each.subject or '(no subject)'}" for each in found.biggest]
    rejected = [f"{each.offset:>9,}  {each.reason}: {each.line}" for each in found.rejected]
    sections = [
        ("Sources", sources, len(sources)),
        ("Years", years, len(years)),
        ("Labels", labels, found.labels_count),
        ("Senders of most messages", senders, found.senders_count),
        ("Biggest messages", biggest, len(biggest)),
        ("Charsets named", _table(found.charsets), len(found.charsets)),
        ("Copies", _copies(found), 0),
        ("Defects (messages that convert repairs)", _table(found.defects), len(found.defects)),
        ("Messages that would be refused, by profile and check", _refusals(found), 0),
        ('Lines beginning "From " that start no message (octet, why)', rejected, found.rejections.total()),
    ]
    for title, rows, total in sections:
        if rows:
            lines += [
                "",
                title,
                *(map(on_one_line, rows) if title == "Years" else _first(rows, max(total, len(rows)))),
            ]
    return "\n".join(lines)


def _table(counts: Counter[str]) -> list[str]:
    return [f"{count:>9,}  {name}" for name, count in counts.most_common() if name]


def _refusals(found: Inspection) -> list[str]:
    by_checks = {name: Counter({n: c for n, c in all_.items() if n}) for name, all_ in found.refusals.items()}
    return [
        f"{counts['']:>9,}  {name}" + (f": {_codes(by_checks[name])}" if counts[""] else "")
        for name, counts in found.refusals.items()
    ]


def _copies(found: Inspection) -> list[str]:
    if found.deep:
        told = {"copies, of which convert writes the first": found.duplicates}
        told["messages that share a Message-ID with another mail"] = found.collisions
    else:
        told = {
            "messages whose Message-ID has occurred before (--deep compares their bodies)": found.duplicates
        }
    return _table(Counter({name: count for name, count in told.items() if count}))


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size_of(octets: float, places: int = 1) -> str:
    """So many octets as people say it."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            break
        octets /= 1000
    return f"{octets:,.0f} {unit}" if unit == "B" else f"{octets:,.{places}f} {unit}"


def fitted(text: str) -> str:
    """`text` with its lines cut to the width of the terminal; whole where standard output is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return text
    from shutil import get_terminal_size

    columns = get_terminal_size().columns
    return "\n".join(_cut(line, columns) for line in text.split("\n"))


def _cut(line: str, columns: int) -> str:
    line = printable(line)
    if len(line) * 2 <= columns:
        return line
    for end, letter in enumerate(line):
        columns -= 1 + (east_asian_width(letter) in "WF")
        if columns < 0:
            return line[: max(0, end - 2)] + "…"
    return line


def say(text: str) -> None:
    """Print to standard output. Nobody there any more is no error: the work is done."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more as it ends; give it somewhere to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(sentence: str) -> None:
    """Print to standard error, with the command's name in front."""
    try:
        print(f"unmbox: {printable(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        return  # nobody to complain to; the exit status says it too


def printable(text: str) -> str:
    """`text` without what would drive a terminal: subjects, labels and names are strangers' words."""
    # Not printable to Python, but harmless, and common: spaces of other widths, what joins an emoji.
    return "".join(
        each if each.isprintable() or each in "\n\u3000\xa0\u200d" else each.encode("unicode_escape").decode()
        for each in text
    )


def on_one_line(text: str) -> str:
    """`text` with its line ends shown, so that a stranger's name adds no line of its own."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _console() -> Console:
    """Standard error, but for its last columns: the terminal writes ^C there, and what wraps stays behind."""
    from rich.console import Console, ConsoleDimensions

    class Narrower(Console):
        @property  # type: ignore[misc]  # nobody sets it
        def size(self) -> ConsoleDimensions:
            width, height = super().size
            return ConsoleDimensions(max(1, width - 3), height)

    return Narrower(stderr=True)


@contextmanager
def bar(*, quiet: bool, octets: bool = True) -> Iterator[Callable[[unmbox.Progress], object] | None]:
    """A progress bar on standard error, if that is a terminal that can draw one."""
    if quiet or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    try:
        from rich import progress as parts
        from rich.table import Column
        from rich.text import Text
    except ModuleNotFoundError:
        yield None
        return
    console = _console()
    wide = console.width >= _WIDE

    class Words(parts.ProgressColumn):
        """What `template` makes of a task: one text, since each column of its own costs as much as three."""

        def __init__(self, template: Callable[[parts.Task], str], width: int) -> None:
            # Nothing may wrap, or the bar grows lines; and a source's name is a stranger's word: no markup.
            super().__init__(Column(no_wrap=True, overflow="ellipsis", max_width=width))
            self._template = template

        def render(self, task: parts.Task) -> Text:
            return Text(self._template(task))

    def before(task: parts.Task) -> str:
        found = f"{task.fields['messages']:,} messages"
        if not wide:
            return found
        if task.fields["duplicates"] and console.width >= _WIDER:
            found += f", {task.fields['duplicates']:,} copies"
        return f"{_cut(task.fields['source'], 16)}  {found}"

    def after(task: parts.Task) -> str:
        left = task.time_remaining
        told = "" if left is None else _clock(left)
        if not wide or not octets:
            return told
        size = size_of(task.completed) + (f" of {size_of(task.total)}" if task.total else "")
        return f"{size}, {size_of(task.speed or 0, 0)}/s  {told}"

    columns = (Words(before, 60), parts.BarColumn(bar_width=None), Words(after, 50))
    drawn = parts.Progress(
        *columns,
        console=console,
        auto_refresh=False,  # no thread: the reports come often enough
        transient=True,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with drawn:
        task = drawn.add_task("", total=None, messages=0, duplicates=0, source="")

        def show(now: unmbox.Progress) -> None:
            drawn.update(
                task,
                completed=now.octets,
                total=now.octets_total,
                messages=now.messages,
                duplicates=now.duplicates,
                source=printable(on_one_line(Path(now.source).name)),
                refresh=True,
            )

        yield show
