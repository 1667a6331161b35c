"""A slow splitter to hold the parser against: the rule for separators, line by line, and nothing clever.

It keeps the whole mailbox in memory, looks as far ahead as it likes, and knows two bounds only: how far
behind a From_ line the boundary may come that makes it the open message's own, and how far before it the one
that ends its multipart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_AHEAD = 1 << 20
MAX_BEHIND = 1 << 12
MAX_CLAIM = 1 << 20
SETTLED = 1 << 20
BOM = b"\xef\xbb\xbf"

TIME = r"\d{1,2}:\d\d(:\d\d)?"
ZONE = r"([+-]\d\d:?\d\d|\(?[A-Z]{1,6}([+-]\d{1,2}(:?\d\d)?)?\)?|\([A-Z][A-Z. ]+\))"
DAY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
MONTH = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
YEAR = r"(\d{4}|\d\d)"
DATES = [
    rf"{DAY},? +{MONTH} +\d{{1,2}},? +({TIME}( +{ZONE}){{0,2}} +{YEAR}|\d{{4}} +{TIME})( +{ZONE}){{0,2}}",
    rf"({DAY},? +)?\d{{1,2}}[ -]{MONTH}[ -]{YEAR} +{TIME}( +{ZONE}){{0,2}}",
    rf"\d{{4}}-\d\d-\d\d[T ]{TIME}(\.\d+)?( ?Z| ?[+-]\d\d:?\d\d)?",
]
DATED = [re.compile(rf" {date}( remote from .*)?[ \r]*$".encode(), re.IGNORECASE) for date in DATES]
HEADER = re.compile(rb"[!-9;-~]+[ \t]*:")
KNOWN = frozenset(
    b"from to cc bcc date subject message-id received return-path reply-to sender in-reply-to references"
    b" mime-version content-type content-length content-transfer-encoding delivered-to status x-status"
    b" x-gm-thrid x-gmail-labels x-mozilla-status lines".split()
)
TELLING = frozenset(b"from to date subject message-id".split())


@dataclass(frozen=True, slots=True)
class Line:
    """One line: where it begins, its octets without and with its end."""

    offset: int
    text: bytes
    stored: bytes

    @property
    def ends(self) -> int:
        return self.offset + len(self.stored)


@dataclass(frozen=True, slots=True)
class Found:
    """One message of the mailbox."""

    offset: int
    length: int
    from_line: bytes
    raw: bytes


@dataclass(slots=True)
class Split:
    """What a mailbox is made of."""

    junk: int = 0
    messages: list[Found] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)


def is_cr_only(data: bytes) -> bool:
    """Tell whether lines end in a lone CR: the first 1 MiB has CRs and not one LF."""
    return b"\n" not in data[:SETTLED] and b"\r" in data[:SETTLED]


def lines_of(data: bytes) -> list[Line]:
    """Cut into lines; a byte order mark at the start is not part of the first one."""
    end = b"\r" if is_cr_only(data) else b"\n"
    offset = len(BOM) if data.startswith(BOM) else 0
    found = []
    for stored in data[offset:].split(end):
        stored = stored + end
        if offset + len(stored) > len(data):
            stored = stored[: -len(end)]
        if stored:
            text = stored[:-1] if stored.endswith(end) else stored
            if end == b"\n":
                text = text.removesuffix(b"\r")
            found.append(Line(offset, text, stored))
        offset += len(stored)
    return found


def is_header(line: Line) -> bool:
    return bool(HEADER.match(line.text))


def is_fold(line: Line) -> bool:
    return line.text[:1] in (b" ", b"\t")


def name_of(line: Line) -> bytes:
    return line.text.partition(b":")[0].rstrip().lower()


def has_sender(text: bytes) -> bool:
    """Tell whether what stands between "From " and the date may be one."""
    dates = [found.start() for found in (date.search(text[-200:]) for date in DATED) if found]
    sender = text[5 : max(0, len(text) - 200) + min(dates)].strip(b" \t")
    return bool(re.fullmatch(rb'\S+|"[^"]*"\S*|\S+[ \t]at[ \t]\S+', sender))


def is_dated(text: bytes) -> bool:
    return any(date.search(text.replace(b"\t", b" ")) for date in DATED)


def fields_of(block: list[Line]) -> list[tuple[bytes, bytes]]:
    """The fields of a header block: names in small letters and unfolded values."""
    fields: list[tuple[bytes, bytes]] = []
    for line in block:
        if is_fold(line) and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + line.text)
        elif is_header(line):
            fields.append((name_of(line), line.text.partition(b":")[2]))
    return fields


def content_type(block: list[Line]) -> bytes | None:
    """The media type that a header block declares."""
    for name, value in fields_of(block):
        if name == b"content-type":
            return value.partition(b";")[0].strip(b' \t"').lower()
    return None


def boundaries_in(text: bytes) -> set[bytes]:
    """The boundaries that a text declares."""
    found = re.findall(rb'boundary[ \t]*=\s*(?:"([^"\n]+)"|([^;\s"]+))', text, re.IGNORECASE)
    return {quoted or bare for quoted, bare in found}


class Reference:
    """One run over one mailbox."""

    def __init__(self, data: bytes, variant: str = "mboxrd") -> None:
        self.data = data
        self.variant = variant
        self.lines = lines_of(data)
        # Messages whose Content-Length holds, by the line they begin at: how long the empty line behind is.
        self.claimed: dict[int, int] = {}

    def separates(self, at: int) -> bool:
        """The rule for a candidate at line `at`, from the lines around it alone."""
        line = self.lines[at]
        if re.match(rb"From[ \t]+:", line.text):
            return False
        before_is_blank = at == 0 or not self.lines[at - 1].text.strip()
        following = at + 1
        if self.text(following).startswith(b">From "):
            following += 1
        remain = len(self.lines) - following
        alone = all(not one.text.strip() for one in self.lines[:at])
        sender = bool(DATED[0].search(line.text[-200:])) or alone
        if is_dated(line.text) and not (sender or has_sender(line.text)):
            return not KNOWN.isdisjoint(self.run_at(following))
        if is_dated(line.text):
            return before_is_blank or self.header_at(following) or remain <= 1
        if not remain:
            # Nothing but a From_ line, cut off: a mailbox all the same.
            return alone
        if not self.header_at(following):
            return False
        first = name_of(self.lines[following])
        known = first in KNOWN
        following += 1
        while self.text(following)[:1] in (b" ", b"\t"):
            following += 1
        if self.header_at(following):
            bare = len(line.text.split()) <= 2
            hyphen = b"-" in first or b"-" in name_of(self.lines[following])
            in_run = not KNOWN.isdisjoint({first, *self.run_at(following)})
            return b"@" in line.text or (bare and hyphen) or in_run
        if following >= len(self.lines) or self.text(following).startswith(b"From "):
            return known
        return known and not self.text(following) and before_is_blank and len(line.text.split()) <= 2

    def run_at(self, at: int) -> set[bytes]:
        """The names of the fields that stand at line `at`, one behind the other."""
        run = set()
        while self.header_at(at) or self.text(at)[:1] in (b" ", b"\t"):
            if self.header_at(at):
                run.add(name_of(self.lines[at]))
            at += 1
        return run

    def text(self, at: int) -> bytes:
        return self.lines[at].text if at < len(self.lines) else b""

    def header_at(self, at: int) -> bool:
        return bool(HEADER.match(self.text(at)))

    def split(self) -> Split:
        """Do it."""
        result = Split()
        starts: list[tuple[int, int]] = []  # the line of the From_ line, and of the first body line
        at = 0
        while at < len(self.lines):
            # What ended the last message begins the next one: that is not decided twice.
            begins = bool(starts) or (self.lines[at].text.startswith(b"From ") and self.separates(at))
            if not begins:
                if self.lines[at].text.startswith(b"From "):
                    result.rejected.append(self.lines[at].offset)
                at += 1
                continue
            body, following = self.one_message(at, result.rejected)
            starts.append((at, body))
            at = following
        result.junk = self.lines[starts[0][0]].offset if starts else len(self.data)
        nexts = [start for start, _ in starts[1:]] + [len(self.lines)] * bool(starts)
        for (start, body), following in zip(starts, nexts, strict=True):
            offset = self.lines[start].offset
            end = self.lines[following].offset if following < len(self.lines) else len(self.data)
            raw = self.octets(start, body, following)
            result.messages.append(Found(offset, end - offset, self.lines[start].text, raw))
        return result

    def one_message(self, start: int, rejected: list[int]) -> tuple[int, int]:
        """Return the first body line of the message that begins at `start`, and the next separator's line."""
        at = start + 1
        while at < len(self.lines) and self.lines[at].text:
            if self.lines[at].text.startswith(b"From "):
                if not self.stray(start, at) and self.separates(at):
                    return at, at
                rejected.append(self.lines[at].offset)
            at += 1
        body = min(at + 1, len(self.lines))
        claimed = self.claimed_end(start, body)
        if claimed is not None:
            inside = self.lines[body:claimed]
            rejected.extend(line.offset for line in inside if line.text.startswith(b"From "))
            return body, claimed
        return body, self.end_of_body(start, body, rejected)

    def end_of_body(self, start: int, body: int, rejected: list[int]) -> int:
        """The line of the next separator; the lines that are none go to `rejected`."""
        declared = boundaries_in(b"\n".join(line.text for line in self.lines[start + 1 : body]))
        near = set(declared)  # and those that the body declares
        known = set(declared)  # and those of parts that began with a From_ line
        part: tuple[bytes, list[Line]] | None = None  # since a boundary line: its boundary and the header
        first_line = b""  # in the line behind a part's header: the part's boundary
        for at in range(start + 1, len(self.lines)):
            line = self.lines[at]
            near |= boundaries_in(line.text)
            if line.text.startswith(b"From ") and at >= body:
                own = first_line or self.after_begin(at, start) or self.inside(at, start, declared, known)
                if self.separates(at) and not own:
                    return at
                if self.separates(at) and first_line:
                    known.add(first_line)
                rejected.append(line.offset)
            first_line = b""
            if line.text.startswith(b"--"):
                part = (line.text[2:].rstrip(), [])
            elif part and line.text:
                # What is no field there is the part's text already.
                real = is_header(line) or is_fold(line)
                part = (part[0], [*part[1], line]) if real else None
            elif part:
                boundary, block = part
                if boundary in near or self.opens(boundary, block, at, declared):
                    first_line = boundary
                part = None
        return len(self.lines)

    def opens(self, boundary: bytes, block: list[Line], at: int, declared: set[bytes]) -> bool:
        """Tell whether an undeclared boundary is one: MIME is below it, and it comes again or others do."""
        if boundary.endswith(b"--") or not any(name.startswith(b"content-") for name, _ in fields_of(block)):
            return False
        return bool(boundary) and (bool(declared) or self.comes_again(boundary, at))

    def inside(self, at: int, start: int, declared: set[bytes], known: set[bytes]) -> bool:
        """Tell whether a boundary of the open message comes again behind line `at`."""
        for line in reversed(self.lines[start:at]):
            dashed = line.text.rstrip() if line.text.startswith(b"--") else b""
            if dashed[2:] in declared or self.lines[at].offset - line.offset > MAX_BEHIND:
                break
            if dashed.endswith(b"--") and dashed[2:-2] in declared:
                return False
        return any(self.comes_again(boundary, at) for boundary in known)

    def comes_again(self, boundary: bytes, at: int) -> bool:
        """Tell whether the boundary comes within 1 MiB, and not after a header that declares it anew."""
        for later in self.lines[at + 1 :]:
            if later.ends - self.lines[at].offset > MAX_AHEAD:
                return False
            if later.text.rstrip() in {b"--" + boundary, b"--" + boundary + b"--"}:
                return True
            if boundary in boundaries_in(later.text):
                return False
        return False

    def stray(self, start: int, at: int) -> bool:
        """Tell whether a From_ line stands in a header block that has not said yet whose it is."""
        block = [
            line for line in self.lines[start + 1 : at] if not re.match(rb">?From (?![ \t]*:)", line.text)
        ]
        if block and self.lines[at].text.startswith(
            b"From - "
        ):  # Thunderbird's, behind what it left of another
            names = [name for name, _ in fields_of(self.lines[start + 1 : at])]
            notes = all(
                name.startswith(b"x-mozilla-") or name in {b"x-account-key", b"x-uidl"} for name in names
            )
            if notes and len(names) == at - start - 1 <= 20:
                return False
        real = all(is_header(line) or is_fold(line) for line in block)
        return real and not any(name in TELLING for name, _ in fields_of(block))

    def after_begin(self, at: int, start: int) -> bool:
        """Tell whether the last line with text is the mark that some mailers put before a message."""
        for line in reversed(self.lines[start:at]):
            if line.text.strip():
                return bool(re.fullmatch(rb"-----* *Begin Included Message *-----*", line.text.strip()))
        return False

    def claim(self, start: int, body: int) -> int | None:
        """The Content-Length, where there is one that may be believed."""
        claims = [
            value for name, value in fields_of(self.lines[start + 1 : body]) if name == b"content-length"
        ]
        if len(claims) != 1 or not re.fullmatch(rb"\d+", claims[0].strip()) or int(claims[0]) > MAX_CLAIM:
            return None
        return int(claims[0])

    def claimed_end(self, start: int, body: int) -> int | None:
        """The line at which a Content-Length that holds true says that the message ends."""
        claim = self.claim(start, body)
        if self.variant not in ("mboxcl", "mboxcl2") or claim is None:
            return None
        begin = self.lines[body].offset if body < len(self.lines) else len(self.data)
        end = begin + claim
        starts = {line.offset: at for at, line in enumerate(self.lines)} | {len(self.data): len(self.lines)}
        if end > len(self.data) or (self.data[end - 1 : end + 1] == b"\r\n" and not is_cr_only(self.data)):
            return None
        for empty in (b"", b"\r" if is_cr_only(self.data) else b"\n", b"\r\n"):
            after = end + len(empty)
            separates = after == len(self.data) or self.data.startswith(b"From ", after)
            if self.data.startswith(empty, end) and separates and after in starts:
                self.claimed[start] = len(empty)
                return starts[after]
        return None

    def octets(self, start: int, body: int, following: int) -> bytes:
        """A message's octets: without From_ line, quoting, and the empty line before the next From_ line."""
        kept = self.lines[body:following]
        claimed = self.claimed.get(start)
        if claimed is None and kept and not kept[-1].text:
            kept = kept[:-1]
        block = [one.stored for one in self.lines[start + 1 : min(body, following)]]
        whole = b"".join(block + [self.unquoted(line) for line in kept])
        return whole[:-claimed] if claimed else whole

    def unquoted(self, line: Line) -> bytes:
        pattern = {"mboxrd": rb">+From ", "auto": rb">+From ", "mboxcl2": rb"(?!)"}.get(
            self.variant, rb">From "
        )
        return line.stored[1:] if re.match(pattern, line.text) else line.stored


def split(data: bytes, variant: str = "mboxrd") -> Split:
    """Split a mailbox by the rule, slowly."""
    return Reference(data, variant).split()
