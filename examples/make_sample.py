"""Writes `sample-takeout.mbox` beside itself: a small mailbox in the ways of a Gmail export from Japan.

The same octets on every machine and every Python: no clock, no chance, no locale, no compressor.
All people, places and numbers in it are made up.
"""

from __future__ import annotations

import base64
import struct
import zlib
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path

SAMPLE = Path(__file__).with_name("sample-takeout.mbox")

ASCII = "Content-Type: text/plain; charset=us-ascii\n"
UTF8 = "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
SATO = f"=?UTF-8?B?{base64.b64encode('佐藤 花子'.encode()).decode()}?= <hanako.sato@example.jp>"
SUZUKI = "Ichiro Suzuki <ichiro@example.jp>"
LIST = "Tea lovers <tea@lists.example.org>"


def words(text: str, charset: str = "UTF-8", encoding: str = "Q", size: int = 14) -> str:
    """`text` as RFC 2047 encoded-words of `size` octets at most, each on a line of its own."""
    pieces = [""]
    for character in text:
        if len((pieces[-1] + character).encode(charset)) > size:
            pieces.append("")
        pieces[-1] += character
    return "\n ".join(
        f"=?{charset}?{encoding}?{encoded(piece.encode(charset), encoding)}?=" for piece in pieces
    )


def encoded(octets: bytes, encoding: str) -> str:
    """The text of an encoded-word, in encoding Q or B."""
    if encoding == "B":
        return base64.b64encode(octets).decode()
    return "".join(chr(o) if chr(o).isalnum() and o < 0x80 else f"={o:02X}" for o in octets)


def undeclared(text: str, charset: str) -> str:
    """`text` as the raw octets of `charset`."""
    return text.encode(charset).decode("ascii", "surrogateescape")


def picture(width: int = 24, height: int = 16) -> bytes:
    """A PNG of a gradient. Its data is stored, not compressed: no two zlibs compress alike."""
    pixels = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 160)) for x in range(width))
        for y in range(height)
    )
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(pixels), len(pixels) ^ 0xFFFF) + pixels
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", stored + struct.pack(">I", zlib.adler32(pixels))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def message(when: str, labels: str, fields: str, body: str | bytes) -> bytes:
    """One message as Takeout writes it: From_ line in UTC, two fields of Gmail's on top, CRLF throughout."""
    utc = datetime.fromisoformat(when).astimezone(timezone.utc)
    number = 1628424719502045299 + int(utc.timestamp()) * 1_000_003
    weekday, month, _, clock, year = utc.ctime().split()
    top = f"From {number}@xxx {weekday} {month} {utc.day:02} {clock} +0000 {year}\nX-GM-THRID: {number}\n"
    stored = b"".join(
        part.encode(errors="surrogateescape") if isinstance(part, str) else part
        for part in (top, f"X-Gmail-Labels: {labels}\n", fields, "\n", body, "\n")
    )
    return stored.replace(b"\n", b"\r\n")


def usual(when: str, sender: str, to: str, subject: str, rest: str = UTF8) -> str:
    """The fields that ordinary mail has."""
    sent = datetime.fromisoformat(when)
    return (
        f"MIME-Version: 1.0\nDate: {format_datetime(sent)}\n"
        f"Message-ID: <{sent:%Y%m%d%H%M%S}@mail.example.jp>\n"
        f"Subject: {subject}\nFrom: {sender}\nTo: {to}\n{rest}"
    )


def alternative() -> bytes:
    """Plain text and HTML of one text, with labels that break inside a name."""
    when = "2019-03-19T18:13:51+09:00"
    text = "佐藤様\r\n\r\n来週のお茶会は三時に変わりました。\r\n"
    html = "<p>佐藤様</p>\r\n<p>来週のお茶会は<b>三時</b>に変わりました。</p>\r\n"
    body = f"""--=_alt
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: base64

{base64.encodebytes(text.encode()).decode()}--=_alt
Content-Type: text/html; charset=UTF-8
Content-Transfer-Encoding: base64

{base64.encodebytes(html.encode()).decode()}--=_alt--
"""
    subject = words("お茶会の時間が変わりました（来週の金曜日）", encoding="B", size=36)
    rest = 'Content-Type: multipart/alternative; boundary="=_alt"\n'
    return message(
        when, words("受信トレイ,重要,開封済み,お茶の会"), usual(when, SUZUKI, SATO, subject, rest), body
    )


def attachment() -> bytes:
    """A picture whose Japanese name is in RFC 2231 form."""
    when = "2018-12-24T21:05:00+09:00"
    body = f"""--=_mixed
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit

写真を送ります。

--=_mixed
Content-Type: image/png
Content-Disposition: attachment; filename*=UTF-8''%E5%A4%95%E7%84%BC%E3%81%91.png
Content-Transfer-Encoding: base64

{base64.encodebytes(picture()).decode()}--=_mixed--
"""
    rest = 'Content-Type: multipart/mixed; boundary="=_mixed"\n'
    fields = usual(when, SATO, SUZUKI, words("夕焼けの写真", encoding="B", size=36), rest)
    return message(when, words('受信トレイ,スター付き,"写真, 2018年"'), fields, body)


def patch() -> bytes:
    """An attached git patch, whose first line looks just like a separator and is none."""
    when = "2020-02-02T10:00:00+01:00"
    body = """--=_patch
Content-Type: text/plain; charset=us-ascii

The fix is attached.

--=_patch
Content-Type: text/x-patch; name="0001-steep-longer.patch"

From 5f1d3a0c2b4e6f8091a2b3c4d5e6f708192a3b4c Mon Sep 17 00:00:00 2001
From: Ichiro Suzuki <ichiro@example.jp>
Date: Sun, 2 Feb 2020 09:58:00 +0100
Subject: [PATCH] Steep for longer

---
 tea.txt | 2 +-
--=_patch--
"""
    references = "References: <1@lists.example.org>\n <2@lists.example.org>\n"
    rest = f'{references}Content-Type: multipart/mixed; boundary="=_patch"\n'
    return message(when, "Inbox,Opened", usual(when, SUZUKI, LIST, "[PATCH] Steep for longer", rest), body)


def plain() -> list[bytes]:
    """The messages that are one text each."""
    old, quoted, spoken = (
        "2004-11-05T09:30:00+09:00",
        "2017-06-01T08:00:00+00:00",
        "2017-06-02T08:00:00-04:00",
    )
    sent, chat, spam = "2019-03-20T07:45:10+09:00", "2013-08-09T12:00:00+09:00", "2011-04-01T00:00:00+00:00"
    empty, draft = "2021-01-01T00:00:30+09:00", "2021-05-05T23:59:59+09:00"
    jis = UTF8.replace("UTF-8", "ISO-2022-JP").replace("8bit", "7bit")
    return [
        message(
            old,
            words("アーカイブ済み,開封済み"),
            usual(old, SUZUKI, SATO, words("新茶のご案内", "ISO-2022-JP", "B", 40), jis),
            "今年の新茶が入りました。\nどうぞお越しください。\n".encode("iso2022_jp"),
        ),
        message(
            quoted,
            words("受信トレイ,開封済み"),
            usual(quoted, LIST, SATO, "Lines that begin with From"),
            "A line of this text began with From and was quoted:\n\n>From here on the water must be cold.\n"
            "\nOne was quoted twice:\n\n>>From there on it must be hot.\n",
        ),
        message(
            spoken,
            words("受信トレイ"),
            usual(spoken, LIST, SATO, "Re: Lines that begin with From"),
            "This one was not quoted:\n\nFrom the station it is ten minutes on foot.\nWe open at nine.\n",
        ),
        message(
            sent,
            words("送信済みメール,開封済み"),
            usual(sent, SATO, SUZUKI, "Re: " + words("お茶会の時間が変わりました", encoding="B", size=42)),
            "三時ですね。承知しました。\n\n佐藤\n",
        ),
        message(chat, words("チャット"), f"From: {SUZUKI}\n{UTF8}", "今夜は遅くなります\n"),
        message(
            spam,
            words("迷惑メール"),
            # Raw Shift_JIS in a field, and nothing that says so.
            usual(spam, "info@example.com", SATO, undeclared("大特価のお知らせ", "cp932"), ASCII),
            "Only today.\n",
        ),
        message(
            empty,
            "Sent",
            usual(empty, SATO, SUZUKI, words("明けましておめでとう", encoding="B", size=45)),
            "",
        ),
        message(draft, words("下書き"), f"From: {SATO}\nSubject: \n{UTF8}", "まだ書きかけ\n"),
    ]


def sample() -> bytes:
    """The whole mailbox: twelve messages in no order of time, the last a copy of the first."""
    return b"".join([alternative(), *plain(), attachment(), patch(), alternative()])


if __name__ == "__main__":
    SAMPLE.write_bytes(sample())
    print(f"{SAMPLE.name}: {SAMPLE.stat().st_size:,} octets")
