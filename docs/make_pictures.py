"""Write the pictures in `pictures/`: `python docs/make_pictures.py`. A test checks that they are current.

Each is one SVG with a ground of its own, readable in light and dark whatever the page around it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

FOLDER = Path(__file__).with_name("pictures")

_STYLE = """
:root{--ground:#fbfaf6;--card:#fff;--ink:#1d2a2f;--soft:#56666b;--line:#c8d1cf;--teal:#0b6e63;--mint:#dcefeb;
--amber:#8a5200;--sand:#fcecd0;--red:#a3302a;--rose:#fae1de}
@media(prefers-color-scheme:dark){:root{--ground:#12181b;--card:#1b2429;--ink:#e8eef0;--soft:#a3b3b8;--line:#3a484e;
--teal:#6fd8c8;--mint:#12403a;--amber:#f2ba66;--sand:#40300f;--red:#ff9a90;--rose:#46211e}}
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:var(--ink)}
.b{font-weight:650}.s{font-size:12.5px;fill:var(--soft)}.m{text-anchor:middle}.e{text-anchor:end}
.c{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}
.t{fill:var(--teal)}.a{fill:var(--amber)}.r{fill:var(--red)}
.ground{fill:var(--ground)}.card{fill:var(--card);stroke:var(--line)}.mint{fill:var(--mint);stroke:var(--teal)}
.sand{fill:var(--sand);stroke:var(--amber)}.rose{fill:var(--rose);stroke:var(--red)}.band{stroke:none}
.way{fill:none;stroke:var(--soft);stroke-width:1.6}.thin{stroke:var(--line);stroke-width:1.2;fill:none}
.dash{stroke-dasharray:4 4}.tip{fill:var(--soft)}.cut{stroke:var(--red);stroke-width:2;fill:none}
""".replace("\n", "")


# fmt: off
MAILBOX = (
    (
        "From 1628424719@xxx Tue Mar 19 09:13:51 +0000 2019",
        "mint",
        "a message begins",
        "dated, and a field follows",
    ),
    ("Subject: Tea", "", "", ""),
    ('Content-Type: multipart/mixed; boundary="=_patch"', "", "", ""),
    ("", "", "", ""),
    ("From here on the water must be cold.", "sand", "text", "no date, and prose follows"),
    (">From now on it may boil.", "sand", "text, quoted", "one > is taken away"),
    ("", "", "", ""),
    ("--=_patch", "", "", ""),
    ("Content-Type: text/x-patch", "", "", ""),
    ("", "", "", ""),
    ("From 5f1d3a0c2b4e Mon Sep 17 00:00:00 2001", "sand", "text", "dated, but an attachment begins with it"),
    ("From: Ichiro <ichiro@example.jp>", "", "", ""),
    ("--=_patch--", "", "", ""),
    ("From -", "mint", "a message begins", "no date, but two fields follow"),
    ("X-Mozilla-Status: 0001", "", "", ""),
    ("From: Hanako <hanako@example.jp>", "", "", ""),
)
"""The mailbox of the picture on separators, with the verdict on each line; a test asks the parser."""
# fmt: on


_SVG = "http://www.w3.org/2000/svg"
_COLOURS = {"mint": "t", "sand": "a", "rose": "r"}
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="tip" d="M0 0 10 5 0 10z"/></marker></defs>'
)


class Picture:
    """Shapes on a ground of `width` by `height`, with a title and a description for those who listen."""

    def __init__(self, name: str, width: int, height: int, title: str, about: str) -> None:
        self.name = name
        self.parts = [
            f'<svg xmlns="{_SVG}" viewBox="0 0 {width} {height}" width="{width}" height="{height}"',
            ' role="img" aria-labelledby="title about">',
            f'<title id="title">{escape(title)}</title><desc id="about">{escape(about)}</desc>',
            f"<style>{_STYLE}</style>",
            _TIP,
            f'<rect class="ground" width="{width}" height="{height}" rx="14"/>',
        ]

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        """A line of text; `kind`: b bold, s small, c code, m centred, e ending at x, t a r coloured."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words, quote=False)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "card", rx: float = 9) -> None:
        """A rectangle."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{rx:g}" class="{kind}"/>'
        )

    def path(self, d: str, kind: str = "way", *, tip: bool = True) -> None:
        """A line, with an arrow's tip at its end."""
        mark = ' marker-end="url(#tip)"' if tip else ""
        self.parts.append(f'<path d="{d}" class="{kind}"{mark}/>')

    def svg(self) -> str:
        """All of it."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def way() -> Picture:
    """The way of the data."""
    p = Picture(
        "way",
        900,
        404,
        "The way of the data",
        "Octets of a source go to the Parser, which turns them into events; the EmlWriter turns events into "
        "EML octets, which go to a sink. The DedupIndex says whether a message was seen before; the "
        "manifest records what became of every octet.",
    )
    p.text(28, 40, "octets", "s")
    sources = ("mbox file", "Takeout .zip, .tgz", "folder", "URL", "pipe, async stream")
    for i, words in enumerate(sources):
        p.box(28, 54 + 34 * i, 150, 26, "card", 13)
        p.text(103, 72 + 34 * i, words, "m s")
        p.path(f"M178 {67 + 34 * i}C212 {67 + 34 * i} 204 135 232 135", tip=i == 2)
    for x, name, one, two in (
        (238, "Parser", "finds where each", "message begins"),
        (468, "EmlWriter", "mends the header,", "never the body"),
    ):
        p.box(x, 94, 158, 82, "mint")
        p.text(x + 79, 120, name, "m b")
        p.text(x + 79, 142, one, "m s")
        p.text(x + 79, 160, two, "m s")
    p.path("M396 135H462")
    p.text(429, 126, "events", "m s")
    p.path("M626 135C652 135 648 135 672 135", tip=False)
    p.text(648, 126, "EML", "m s")
    sinks = ("folder of .eml files", "ZIP volumes", "a sink of your own")
    for i, words in enumerate(sinks):
        p.box(712, 76 + 46 * i, 160, 34, "card", 17)
        p.text(792, 98 + 46 * i, words, "m s")
        p.path(f"M672 135C694 135 688 {93 + 46 * i} 706 {93 + 46 * i}")
    p.box(238, 268, 158, 84, "sand")
    p.text(317, 294, "DedupIndex", "m b")
    p.text(317, 316, "seen before?", "m s")
    p.text(317, 334, "new · copy · collision", "m s")
    p.box(468, 268, 158, 84, "sand")
    p.text(547, 294, "Manifest", "m b")
    p.text(547, 316, "what became of", "m s")
    p.text(547, 334, "every octet", "m s")
    p.path("M508 182C508 232 400 214 352 262")
    p.text(226, 222, "Message-ID, digest of body", "s")
    p.path("M402 310H462")
    p.path("M586 182V262")
    p.path("M792 208V310H632", "way dash")
    p.text(714, 300, "names, digests", "m s")
    p.text(714, 330, "one transaction a batch", "m s")
    p.text(
        450,
        386,
        "Parser and EmlWriter do no input or output: sync, async and workers are short loops.",
        "m s",
    )
    return p


def separator() -> Picture:
    """How it is decided where a message begins."""
    p = Picture(
        "separator",
        900,
        68 + 25 * len(MAILBOX),
        "How a separator is decided",
        "Five lines of one mailbox begin with the word From. Two begin a message: one has a date and a "
        "field follows, one has no date but two fields follow. Three are text: prose, a quoted line, and "
        "the first line of an attached patch.",
    )
    p.box(24, 24, 470, 20 + 25 * len(MAILBOX))
    for i, (words, kind, verdict, reason) in enumerate(MAILBOX):
        y = 36 + 25 * i
        if kind:
            colour = _COLOURS[kind]
            p.box(25, y - 1, 468, 24, f"{kind} band", 0)
            p.path(f"M494 {y + 11}H520", "thin", tip=False)
            p.text(530, y + 16, verdict, f"b {colour}")
            p.text(530 + 9.6 * max(len(verdict), 5), y + 16, reason, "s")
        p.text(40, y + 16, words, "c")
    return p


def kill() -> Picture:
    """What happens at a kill."""
    p = Picture(
        "kill",
        900,
        372,
        "What a kill leaves, and what the next run does",
        "A batch takes three steps: its rows are committed as pending, its files get their names, the next "
        "commit confirms them. Killed before the first step nothing of the batch is there and it is done "
        "again; killed after it, the next run takes the pending rows and their files back and does the "
        "batch again; killed after the third step, it goes on behind it.",
    )
    steps = (
        (34, "gather", "messages are read and", "written without a name"),
        (252, "1  commit", "rows are in the manifest,", "marked as pending"),
        (470, "2  name", "each file gets its name,", "whole, in one step"),
        (688, "3  confirm", "the next commit takes", "the mark away"),
    )
    for x, name, one, two in steps:
        p.box(x, 32, 178, 88, "card" if name == "gather" else "mint")
        p.text(x + 89, 60, name, "m b")
        p.text(x + 89, 84, one, "m s")
        p.text(x + 89, 102, two, "m s")
        if x > 40:
            p.path(f"M{x - 40} 76H{x - 5}")
    for x, left, right, does, more in (
        (231, "Left: nothing that has", "a name", "The next run reads", "these messages again."),
        (
            449,
            "Left: pending rows,",
            "no file or some",
            "It takes rows and files",
            "back, and does it again.",
        ),
        (667, "Left: pending rows,", "all files", "The same: so the result", "is the same, to the octet."),
    ):
        p.path(f"M{x} 52V150", "cut", tip=False)
        p.path(f"M{x - 7} 136 {x + 7} 150M{x + 7} 136 {x - 7} 150", "cut", tip=False)
        p.text(x, 174, "killed here", "m b r")
        p.box(x - 98, 190, 196, 118)
        p.text(x, 216, left, "m s")
        p.text(x, 234, right, "m s")
        p.path(f"M{x - 80} 248H{x + 80}", "thin", tip=False)
        p.text(x, 270, does, "m")
        p.text(x, 290, more, "m")
    p.text(
        450,
        346,
        "At any instant one batch at most is pending, and no file that has its name is half.",
        "m b t",
    )
    return p


def proof() -> Picture:
    """How the octets add up."""
    p = Picture(
        "proof",
        900,
        330,
        "Every octet is accounted for",
        "A source is a row of octets without a gap: what stands before the first message, then each message "
        "from its From_ line to the next. Each has one row in the manifest with its outcome: written as a "
        "file whose digests are recorded, a duplicate of another row, filtered, or in quarantine.",
    )
    p.text(30, 42, "All mail.mbox", "b")
    p.text(870, 42, "junk + every message's length = size of the file", "e s")
    x = 30.0
    pieces = (
        (34, "card", "junk", ""),
        (190, "mint", "message 1", "written"),
        (120, "mint", "message 2", "written"),
        (190, "sand", "message 3", "a copy of 1"),
        (150, "mint", "message 4", "written"),
        (156, "rose", "message 5", "quarantined"),
    )
    centres = []
    for width, kind, name, outcome in pieces:
        p.box(x, 58, width, 46, kind, 3)
        p.text(x + width / 2, 86, name, "m s" if name == "junk" else "m")
        centres.append((x + width / 2, kind, outcome))
        x += width
    for at, kind, outcome in centres[1:]:
        p.path(f"M{at:g} 106V140")
        p.text(at, 158, outcome, f"m b {_COLOURS[kind]}")
    p.path("M469 166C469 206 186 206 186 170", "way dash")
    for at, kind, _ in centres[1:]:
        if kind == "mint":
            p.path(f"M{at:g} 168V222")
            p.box(at - 52, 228, 104, 38)
            p.text(at, 252, "….eml", "m c")
        elif kind == "rose":
            p.path(f"M{at:g} 168V222")
            p.box(at - 62, 228, 124, 38)
            p.text(at, 252, "quarantine/…", "m c")
    p.text(
        450,
        302,
        "unmbox verify adds up the lengths and reads every file again: both must be as recorded.",
        "m s",
    )
    return p


def mark() -> str:
    """The project's mark: a letter that comes out of a box."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="unmbox">'
        '<rect x="14" y="6" width="36" height="34" rx="4" fill="#fff" stroke="#0b6e63" stroke-width="4"/>'
        '<path d="M16 12 32 25 48 12" fill="none" stroke="#0b6e63" stroke-width="4" stroke-linejoin="round"/>'
        '<path d="M6 32H58V54a5 5 0 0 1-5 5H11a5 5 0 0 1-5-5Z" fill="#0b6e63"/>'
        '<path d="M24 41h16" stroke="#fff" stroke-width="4" stroke-linecap="round"/></svg>\n'
    )


def pictures() -> Iterator[tuple[str, str]]:
    """Name and text of each file."""
    for picture in (way(), separator(), kill(), proof()):
        yield f"{picture.name}.svg", picture.svg()
    yield "mark.svg", mark()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pictures():
        (FOLDER / name).write_text(text, "utf-8")
