"""Mailboxes that hypothesis builds from known messages, with the truth beside them.

A message is a list of lines without line ends; `write` gives them ends, quotes them as the variant does,
and puts From_ lines between. Only what a variant can carry there and back is built: mboxo cannot tell a
``>From `` of the author's from its own, so no body for it holds one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypothesis import strategies as st

from unmbox._opened import _no_source
from unmbox._packed import format_of

VARIANTS = ("mboxrd", "mboxo", "mboxcl", "mboxcl2")
NEWLINES = ("lf", "crlf", "cr", "mixed")
# The quoting of these does not tell an author's ">From " from their own.
_ONE_WAY = frozenset({"mboxo", "mboxcl"})


@dataclass(frozen=True, slots=True)
class Truth:
    """What a reader must give for one message: where it stands, and its octets, unquoted."""

    offset: int
    length: int
    from_line: bytes
    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.body


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox's octets, how it was written, and its messages."""

    data: bytes
    variant: str
    newline: str
    messages: tuple[Truth, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A body line. A writer does not quote a `bare` one, as many do not: the reader must see through it."""

    octets: bytes
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A message before it is written: header lines and body lines, all without their ends."""

    from_line: bytes
    header: tuple[bytes, ...]
    body: tuple[Text, ...]


DATED = (
    b"Thu Jan  1 00:00:00 1970",
    b"Tue Mar 19 09:13:51 +0000 2019",
    b"Mon Sep 17 00:00:00 2001",
    b"Fri Aug  4 22:02 MET 2000",
    b"Wed Jul  1 02:44:06 1998 MEST",
    b"Mon June 01 10:00:00 2009",
    b"Sun, 11 Nov 2007 06:58:35 +0200",
    b"2019-03-19T09:13:51Z",
)
SENDERS = (
    b"alice@example.org",
    b"1628424719502045299@xxx",
    b"-",
    b'"two words"@example.org',
    b"user at example.com",
    b"",
    b"M\xfcller@example.de",
    b"\x8f\xe9@\xff",
)
dated_lines = st.builds(
    lambda sender, date: b"From " + sender + b" " + date, st.sampled_from(SENDERS), st.sampled_from(DATED)
)

_printable = st.sampled_from([bytes([octet]) for octet in range(0x20, 0x7F)])
_prose = st.lists(_printable, max_size=30).map(b"".join)
_octet_soup = st.binary(max_size=30).map(lambda octets: re.sub(rb"[\r\n]", b"\x00", octets))
_hostile = st.sampled_from(
    [
        b"From ",
        b"From the start we knew",
        b"From here: the list",
        b">From the quoted",
        b">>From x",
        b">>>>From ",
        b"From alice@example.org Thu Jan  1 00:00:00 1970",
        b">From bob Tue Mar 19 09:13:51 +0000 2019",
        b"From",
        b"From:",
        b" From indented",
        b"> From spaced",
        b">",
        b">>>>>>>>",
        b"Fro",
        b"F",
        b"--",
        b"-- ",
        b"Subject: not a header",
        b"To: nobody",
        b"Content-Length: 3",
        b" ",
        b"\t",
        b"\x00",
        b"\xef\xbb\xbfFrom bom Thu Jan  1 00:00:00 1970",
        b"----- End Included Message -----",
        b"TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsu",
        b"z" * 998,
    ]
)
_body_line = st.one_of(_prose, _hostile, _octet_soup, st.just(b""))
_core_fields = st.sampled_from(
    [
        b"From: Alice <alice@example.org>",
        b"To: bob@example.com",
        b"Subject: hello",
        b"Date: Thu, 1 Jan 1970 00:00:00 +0000",
        b"Message-ID: <1@example.org>",
    ]
)
_more_fields = st.sampled_from(
    [
        b"Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000",
        b"X-GM-THRID: 1628424719502045299",
        b"Subject: =?utf-8?B?5pel5pys?=",
        b"Subject:",
        b"X-8bit: \xe4\xf6\xfc",
        b"X-NUL: a\x00b",
        b"x-folded: one\x00two",  # the NUL stands for a fold's line end: see `_header`
        b"References: <a@b>\x00\t<c@d>\x00  <e@f>",
        b"X-Long: " + b"y" * 900,
    ]
)
_blank_run = st.lists(st.just(b""), max_size=3)


@st.composite
def _header(draw: st.DrawFn) -> tuple[bytes, ...]:
    fields = [draw(_core_fields), *draw(st.lists(st.one_of(_core_fields, _more_fields), max_size=5))]
    lines: list[bytes] = []
    for field in fields:
        if field.startswith((b"x-folded", b"References")):
            first, *folds = field.split(b"\x00")
            lines += [first, *(fold if fold[:1] in (b" ", b"\t") else b" " + fold for fold in folds)]
        else:
            lines.append(field)
    return tuple(lines)


@st.composite
def _plain(draw: st.DrawFn) -> tuple[tuple[bytes, ...], list[Text]]:
    lines = draw(st.lists(_body_line, max_size=12)) + draw(_blank_run)
    return draw(_header()), [Text(line) for line in lines]


@st.composite
def _unquoted_prose(draw: st.DrawFn) -> tuple[tuple[bytes, ...], list[Text]]:
    """A body with undated From_ lines that nobody quoted: prose follows them, no field."""
    body: list[Text] = []
    for start in draw(
        st.lists(st.sampled_from([b"From the start", b"From ", b"From Russia with love"]), max_size=3)
    ):
        body += [Text(b"")] * draw(st.integers(0, 2))
        body += [Text(start, bare=True), Text(b"we knew that this is prose"), Text(b"Year: 1963")]
    return draw(_header()), [Text(b"Hello,"), *body, Text(b"bye")]


@st.composite
def _multipart(draw: st.DrawFn) -> tuple[tuple[bytes, ...], list[Text]]:
    """A multipart whose parts begin with dated From_ lines: a patch, a forwarded mailbox; nested or not."""
    boundary = draw(st.sampled_from([b"b1", b"=_Part.1", b"----=_NextPart_000", b"it's (a) b+,./:=?"]))
    parameter = (
        b'boundary="' + boundary + b'"'
        if draw(st.booleans()) or b" " in boundary
        else b"boundary=" + boundary
    )
    kind = draw(st.sampled_from([b"multipart/mixed", b"MULTIPART/Mixed"]))
    split = draw(st.booleans())
    content = (
        [b"Content-Type: " + kind + b";", b"\t" + parameter]
        if split
        else [b"Content-Type: " + kind + b"; " + parameter]
    )
    body = [Text(b"This is a multi-part message in MIME format.")] * draw(st.integers(0, 1))
    for _ in range(draw(st.integers(1, 3))):
        body += [Text(b"--" + boundary), *draw(_part(nested=True))]
    body += [Text(b"--" + boundary + b"--")]
    body += [Text(b"")] * draw(st.integers(0, 2))
    return (*draw(_header()), *content), body


_PATCH = (
    b"From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001",
    b"From: A U Thor <author@example.com>",
    b"Date: Thu, 7 Apr 2005 15:13:13 -0700",
    b"Subject: [PATCH] one",
    b"",
    b"diff --git a/x b/x",
)


@st.composite
def _part(draw: st.DrawFn, *, nested: bool) -> list[Text]:
    kinds = ["text", "patch", "message", "mailbox", "base64"] + ["multipart"] * nested
    kind = draw(st.sampled_from(kinds))
    if kind == "text":
        return [Text(b"Content-Type: text/plain"), Text(b""), *map(Text, draw(st.lists(_prose, max_size=4)))]
    if kind == "base64":
        lines = [Text(b"TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsu")] * draw(st.integers(0, 5))
        return [
            Text(b"Content-Type: image/png"),
            Text(b"Content-Transfer-Encoding: base64"),
            Text(b""),
            *lines,
        ]
    if kind == "patch":
        header = draw(st.sampled_from([(b"Content-Type: text/x-patch; name=a.patch",), ()]))
        return [*map(Text, header), Text(b""), *(Text(line, bare=True) for line in _PATCH)]
    if kind == "multipart":
        inner = [Text(b'Content-Type: multipart/alternative; boundary="inner"'), Text(b"")]
        for _ in range(draw(st.integers(1, 2))):
            inner += [Text(b"--inner"), *draw(_part(nested=False))]
        return [*inner, Text(b"--inner--")]
    attached = [
        Text(line, bare=True) for line in (draw(dated_lines), *draw(_header()), b"", b"forwarded", b"")
    ]
    if kind == "mailbox":
        attached *= 2
    return [
        Text(b"Content-Type: message/rfc822"),
        Text(b"Content-Disposition: attachment"),
        Text(b""),
        *attached,
    ]


@st.composite
def mails(draw: st.DrawFn) -> Mail:
    """One message of any of the shapes."""
    header, body = draw(st.one_of(_plain(), _plain(), _unquoted_prose(), _multipart()))
    return Mail(draw(dated_lines), header, tuple(body))


def _quoted(text: Text, variant: str) -> bytes:
    if text.bare or variant == "mboxcl2":
        return text.octets
    pattern = rb"From " if variant in _ONE_WAY else rb">*From "
    return b">" + text.octets if re.match(pattern, text.octets) else text.octets


def write(mails: list[Mail], variant: str, ends: list[bytes]) -> tuple[bytes, tuple[Truth, ...]]:
    """Write a mailbox as `variant` does, its line ends from `ends` in turn; return it with its truth."""
    octets = bytearray()
    truths: list[Truth] = []
    turn = 0

    def ended(line: bytes) -> bytes:
        nonlocal turn
        turn += 1
        return line + ends[turn % len(ends)]

    for mail in mails:
        offset = len(octets)
        lines = [
            text for text in mail.body if not (variant in _ONE_WAY and re.match(rb">+From ", text.octets))
        ]
        pairs = [(ended(text.octets), _quoted(text, variant)) for text in lines]
        body = b"".join(whole for whole, _ in pairs)
        stored = b"".join(
            quoted + whole[len(text.octets) :] for text, (whole, quoted) in zip(lines, pairs, strict=True)
        )
        header = [*mail.header]
        if variant in ("mboxcl", "mboxcl2"):
            header.append(b"Content-Length: %d" % len(stored))
        head = b"".join(ended(line) for line in header) + ended(b"")
        octets += ended(mail.from_line) + head + stored + ended(b"")
        truths.append(Truth(offset, len(octets) - offset, mail.from_line, head, body))
    return bytes(octets), tuple(truths)


@st.composite
def mailboxes(
    draw: st.DrawFn, *, variants: tuple[str, ...] = VARIANTS, newlines: tuple[str, ...] = NEWLINES
) -> Mailbox:
    """A mailbox of up to five messages in a variant and with line ends that are drawn."""
    variant = draw(st.sampled_from(variants))
    newline = draw(st.sampled_from(newlines))
    letters = draw(st.lists(mails(), min_size=1, max_size=5))
    ends = {"lf": [b"\n"], "crlf": [b"\r\n"], "cr": [b"\r"]}.get(newline)
    if ends is None:
        ends = draw(st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=2, max_size=9))
    if newline != "cr" and draw(st.booleans()):
        stray = Text(b"one\rFrom mid-line Thu Jan  1 00:00:00 1970\rtwo")
        letters = [Mail(mail.from_line, mail.header, (*mail.body, stray)) for mail in letters]
    data, truths = write(letters, variant, ends)
    return Mailbox(data, variant, newline, truths)


# Lines that the rule for separators weighs, for soups of them that mean nothing.
SOUP = (
    b"From alice@example.org Thu Jan  1 00:00:00 1970",
    b"From - Tue Mar 19 09:13:51 +0000 2019",
    b"From ",
    b"From bob",
    b"From the start we knew",
    b"From : header",
    b">From carol Thu Jan  1 00:00:00 1970",
    b">>From x",
    b"From: alice@example.org",
    b"Subject: x",
    b"Received: from x",
    b"X-Unknown: x",
    b" folded",
    b"\tfolded",
    b"",
    b"",
    b" ",
    b"prose",
    b"Note: prose",
    b"----- Begin Included Message -----",
    b"Content-Type: multipart/mixed; boundary=b1",
    b"Content-Type: message/rfc822",
    b"--b1",
    b"--b1--",
    b"Content-Length: 20",
    b"From the log of 5 Jan 2023 22:00 UTC",
    b"From here: 2023-01-05 10:00",
    b"X-Mozilla-Status: 0009",
    b"-- ",
    b"Content-Manager: x",
    b"Web: content-x",
)


@st.composite
def soups(draw: st.DrawFn) -> bytes:
    """Lines that matter in an order that means nothing, with line ends of all kinds."""
    lines = draw(st.lists(st.one_of(st.sampled_from(SOUP), _body_line), max_size=25))
    ends = draw(st.sampled_from([[b"\n"], [b"\r\n"], [b"\r"], [b"\n", b"\r\n"], [b"\n", b"\r", b"\r\n"]]))
    start = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\n\n", b"\r\n", b"junk\n"]))
    octets = b"".join(line + draw(st.sampled_from(ends)) for line in lines)
    return start + (octets if draw(st.booleans()) else octets.rstrip(b"\r\n"))


any_octets = st.one_of(st.binary(max_size=400), soups(), mailboxes().map(lambda mailbox: mailbox.data))
# Hypothesis draws the constants of the code under test, too: how archives and Outlook's files begin.
octets_of_a_mailbox = any_octets.filter(
    lambda octets: not (_no_source("", octets) or format_of(octets) or octets.startswith(b"PK"))
)
"""Those that are not told by their beginning to be packed, or of another program."""


@st.composite
def cuttings(draw: st.DrawFn, octets: st.SearchStrategy[bytes] = any_octets) -> tuple[bytes, list[int]]:
    """Octets, and places at which to cut them."""
    data = draw(octets)
    return data, sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
