"""Made-up mail with the sizes, header blocks and parts of real mail: the same octets on every machine.

Everything here yields messages with LF line ends, each from its From_ line to the empty line that
closes it. Long texts are runs of a few pools, so that making a message costs a few slices.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import random
import time
from collections.abc import Iterator

_WORDS = """
about after again all also and answer any are as at be because before board budget but by call can change
check client come could date day delivery detail do draft each early end even every few file final find first
follow for form from further get give go good have here how if in invoice is it item keep know last late let
like line list look made make many may meeting more most much need new next no note now number of offer office
on one only open or order other our out over page part people plan please point price project put question
read ready reply report review right room same say schedule second see send set should side since so some
still sure table take team thank that the their them then there these they thing this time to today together
tomorrow two under until up update us use version very wait want was we week well were what when where which
while who will with without work would write year yes yet you your
"""

_JAPANESE = """
いつもお世話になっております。株式会社山田製作所の佐藤です。
先日お送りいただいた見積書の件でご連絡いたしました。
来週の打ち合わせですが、水曜日の午後三時からでいかがでしょうか。
添付の資料をご確認のうえ、ご意見をいただけますと幸いです。
納品の予定日が決まりましたら、あらためてお知らせいたします。
お忙しいところ恐れ入りますが、どうぞよろしくお願いいたします。
会議室は五階の大会議室を予約してあります。
ご不明な点がございましたら、お気軽にお問い合わせください。
次回の定例会では、四月からの体制についてお話しする予定です。
請求書は別便でお送りしましたので、届きましたらご一報ください。
昨日の電話でお伝えしたとおり、仕様に一部変更がございます。
なお、このメールは担当者全員にお送りしています。
"""

_SUBJECTS = (
    b"Re: Minutes of the meeting on Tuesday",
    b"Your invoice for March is ready",
    b"Fwd: Schedule for the autumn release, second draft",
    b"=?UTF-8?B?" + base64.b64encode("Re: 来週の打ち合わせについて".encode()) + b"?=",
    b"=?UTF-8?B?" + base64.b64encode("【ご連絡】納品日の変更のお願い".encode()) + b"?=\n"
    b" =?UTF-8?B?" + base64.b64encode("「四月分」".encode()) + b"?=",
    b"=?ISO-2022-JP?B?" + base64.b64encode("請求書送付のご案内".encode("iso2022_jp")) + b"?=",
    b"Re: Re: Question about the budget table, the third page and what was said of it\n with the client",
    b"[announce] Version 4.2 is out",
)

# 受信トレイ,重要,開封済み,取引先/山田: encoded and cut as Takeout does it, in the midst of a label.
_ENCODED_LABELS = (
    b"=?UTF-8?Q?=E5=8F=97=E4=BF=A1=E3=83=88=E3=83=AC=E3=82=A4,=E9=87=8D=E8=A6=81,=E9=96=8B?=\n"
    b" =?UTF-8?Q?=E5=B0=81=E6=B8=88=E3=81=BF,=E5=8F=96=E5=BC=95=E5=85=88/=E5=B1=B1=E7=94=B0?="
)
_LABELS = (
    b"Inbox,Important,Opened,Category Personal",
    b"Archived,Opened",
    b"Sent,Opened",
    b"Inbox,Unread,Category Updates",
    b'Archived,"Work, private",Opened,Project/2019',
    _ENCODED_LABELS,
    b"Spam,Unread",
)

_PEOPLE = (
    b"Alice Example <alice.example@example.com>",
    b"Bob Muster <bob@mail.example.org>",
    b"=?UTF-8?B?" + base64.b64encode("佐藤 花子".encode()) + b"?= <hanako.sato@example.jp>",
    b"=?ISO-2022-JP?B?" + base64.b64encode("山田太郎".encode("iso2022_jp")) + b"?= <taro@example.co.jp>",
    b'"Carol, of Accounts" <carol@accounts.example.net>',
    b"announce@lists.example.org",
)

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_ZONES = (b"+0000", b"+0900", b"-0700", b"+0100")

_QUOTED = b"\n>From the minutes of last week: nothing was left open.\n\n"

_TAKEOUT_HEAD = b"""\
X-GM-THRID: %(thread)d
X-Gmail-Labels: %(labels)b
Delivered-To: someone@gmail.example
Received: by 2002:a05:6214:%(host)b:b0:6ab:%(hop)b with SMTP id %(id1)b;
        %(date)b
X-Google-Smtp-Source: %(state1)b
X-Received: by 2002:a17:90b:%(host)b:b0:2c2:%(hop)b with SMTP id %(id2)b.49.%(epoch)d;
        %(date)b
ARC-Seal: i=1; a=rsa-sha256; t=%(epoch)d; cv=none;
        d=google.example; s=arc-20240605;
        b=%(seal)b==
ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=google.example; s=arc-20240605;
        h=to:subject:message-id:date:from:in-reply-to:references:mime-version
         :dkim-signature;
        bh=%(hash)b=;
        fh=%(hash2)b=;
        b=%(arc)b==;
        darn=gmail.example
ARC-Authentication-Results: i=1; mx.google.example;
       dkim=pass header.i=@example.com header.s=s2019 header.b=%(short)b;
       spf=pass (google.example: domain of bounce@example.com designates 209.85.220.41 as permitted
       sender) smtp.mailfrom=bounce@example.com;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com
Return-Path: <bounce+%(id1)b@example.com>
Received: from mail-sor-f41.google.example (mail-sor-f41.google.example. [209.85.220.41])
        by mx.google.example with SMTPS id %(id3)b.12.%(clock)b
        for <someone@gmail.example>
        (Google Transport Security);
        %(date)b
Received-SPF: pass (google.example: domain of bounce@example.com designates 209.85.220.41 as permitted
 sender) client-ip=209.85.220.41;
Authentication-Results: mx.google.example;
       dkim=pass header.i=@example.com header.s=s2019 header.b=%(short)b;
       arc=pass (i=1);
       spf=pass (google.example: domain of bounce@example.com designates 209.85.220.41 as permitted
       sender) smtp.mailfrom=bounce@example.com;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
        d=example.com; s=s2019; t=%(epoch)d; x=1%(epoch)d; darn=gmail.example;
        h=to:subject:message-id:date:from:in-reply-to:references:mime-version
         :from:to:cc:subject:date:message-id:reply-to;
        bh=%(hash)b=;
        b=%(dkim)b==
X-Google-DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
        d=1e100.example; s=20230601; t=%(epoch)d; x=1%(epoch)d;
        h=to:subject:message-id:date:from:in-reply-to:references:mime-version
         :x-gm-message-state:from:to:cc:subject:date:message-id:reply-to;
        bh=%(hash)b=;
        b=%(google)b==
X-Gm-Message-State: %(state2)b
X-Google-Smtp-Source: %(state1)b
%(list)bMIME-Version: 1.0
%(thread_fields)bFrom: %(sender)b
Date: %(date)b
Message-ID: <%(message_id)b>
Subject: %(subject)b
To: %(to)b
"""

_LIST_FIELDS = b"""\
List-ID: <announce.lists.example.org>
List-Unsubscribe: <https://lists.example.org/unsubscribe?id=announce&token=u6bWYk3JkQ0vN2pT>,
 <mailto:announce-leave@lists.example.org>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Precedence: bulk
Feedback-ID: 1.eu-west-1.announce:example
"""

_SMALL_HEAD = b"""\
Return-Path: <bounce+%(id1)b@example.com>
Delivered-To: someone@example.org
Received: from mx1.example.org (mx1.example.org [192.0.2.25])
	by store7.example.org (Postfix) with ESMTPS id %(id1)b
	for <someone@example.org>; %(date)b
Received: from mail.example.com (mail.example.com [198.51.100.17])
	(using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits))
	by mx1.example.org (Postfix) with ESMTPS id %(id2)b
	for <someone@example.org>; %(date)b
%(signature)bFrom: %(sender)b
To: %(to)b
Subject: %(subject)b
Date: %(date)b
Message-ID: <%(message_id)b>
%(thread_fields)bMIME-Version: 1.0
Content-Type: text/plain; charset=%(charset)b
Content-Transfer-Encoding: %(encoding)b
X-Mailer: Example Mail 16.0 (build 4211)

"""

_SMALL_SIGNATURE = b"""\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s2019;
	t=%(epoch)d; h=from:to:subject:date:message-id:mime-version:content-type;
	bh=%(hash)b=;
	b=%(dkim)b==
"""

_ALTERNATIVE = b"""\
Content-Type: multipart/alternative; boundary="%(b)b"

--%(b)b
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: 8bit

%(text)b
--%(b)b
Content-Type: text/html; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

%(html)b
--%(b)b--
"""

_ATTACHMENT = b"""\
--%(b)b
Content-Type: %(type)b; name="%(name)b"
Content-Disposition: attachment; filename="%(name)b"
Content-Transfer-Encoding: base64
X-Attachment-Id: f_%(id)b

%(data)b"""

_FILES = (
    (b"image/jpeg", b"IMG_2041.jpg"),
    (b"application/pdf", b"invoice-2019-03.pdf"),
    (b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"budget.xlsx"),
    (b"image/png", b"image001.png"),
)


def _english(rng: random.Random) -> bytes:
    """Some 128 KB of paragraphs, folded at 72 columns; no line begins with ``From``."""
    known = _WORDS.split()
    lines: list[str] = []
    for _ in range(380):
        words = [known[int(rng.random() * len(known))] for _ in range(30 + int(rng.random() * 60))]
        line = words[0].capitalize().replace("From", "Then")
        for word in words[1:]:
            if len(line) + len(word) > 70:
                lines.append(line)
                line = word
            else:
                line += " " + word
        lines += [line + ".", ""]
    return "\n".join(lines).encode()


def _japanese(rng: random.Random, charset: str) -> bytes:
    """Some 64 KB of short Japanese lines, each with its own escapes where the charset has them."""
    known = [line.encode(charset) for line in _JAPANESE.split()]
    lines = [known[int(rng.random() * len(known))] for _ in range(900)]
    return b"\n".join(line + b"\n" if n % 5 == 4 else line for n, line in enumerate(lines))


def _html(rng: random.Random, text: bytes) -> bytes:
    """A table of styled cells, quoted-printable."""
    rows = [
        b'<tr><td style="padding:0 12px 8px;font-family:arial,sans-serif;color:#%06x">%b</td></tr>'
        % (int(rng.random() * 0xFFFFFF), line)
        for line in text.splitlines()
    ]
    return binascii.b2a_qp(b"\n".join(rows))


class _Source:
    """The pools that messages are cut from, and the chance that cuts them."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self._rng = rng
        self.random = rng.random
        self.english = _english(rng)
        self.utf8 = _japanese(rng, "utf-8")
        self.jis = _japanese(rng, "iso2022_jp")
        self.html = _html(rng, self.english)
        self.letters = base64.b32encode(rng.randbytes(20_000)).lower()
        self.base64 = b""

    def fill_base64(self) -> None:
        """4 MiB of base64 in lines of 76, as attachments have it."""
        self.base64 = base64.encodebytes(self._rng.randbytes(3 << 20))

    def run(self, pool: bytes, octets: int) -> bytes:
        """About `octets` octets of whole lines from anywhere in the pool."""
        start = pool.find(b"\n", int(self.random() * (len(pool) - octets - 400))) + 1
        return pool[start : pool.find(b"\n", start + octets) + 1]

    def token(self, octets: int) -> bytes:
        """So many letters and digits."""
        start = int(self.random() * (len(self.letters) - octets))
        return self.letters[start : start + octets]

    def signature(self) -> bytes:
        """The 340 characters of an RSA signature, folded."""
        start = int(self.random() * (len(self.letters) - 400))
        return b"\n         ".join(self.letters[at : at + 62] for at in range(start, start + 340, 62))

    def pick(self, values: tuple[bytes, ...]) -> bytes:
        """One of them."""
        return values[int(self.random() * len(values))]

    def prose(self, number: int, octets: int) -> tuple[bytes, bytes]:
        """A text of about so many octets and its charset; one in 50 holds a quoted ``From `` line."""
        pool, charset = (
            (self.english, b"UTF-8"),
            (self.utf8, b"UTF-8"),
            (self.jis, b"ISO-2022-JP"),
            (self.english, b"UTF-8"),
        )[number % 4]
        text = self.run(pool, octets)
        if number % 50 == 7:
            text += _QUOTED
        return text, charset

    def fields(self, number: int) -> dict[bytes, object]:
        """What both header blocks need; dates lie anywhere between 2005 and 2024."""
        epoch = 1_104_537_600 + int(self.random() * 599_000_000)
        now = time.gmtime(epoch)
        zone = self.pick(_ZONES)
        message_id = b"%b%07x@mail.example.com" % (self.token(24), number)
        date = b"%b, %d %b %d %02d:%02d:%02d %b" % (
            _DAYS[now.tm_wday], now.tm_mday, _MONTHS[now.tm_mon - 1], now.tm_year,
            now.tm_hour, now.tm_min, now.tm_sec, zone,
        )  # fmt: skip
        thread = b""
        if number % 3:
            parents = [b"<%b@mail.example.com>" % self.token(31) for _ in range(1 + number % 4)]
            thread = b"References: %b\nIn-Reply-To: %b\n" % (b"\n ".join(parents), parents[-1])
        return {
            b"epoch": epoch, b"date": date, b"message_id": message_id, b"thread_fields": thread,
            b"sender": self.pick(_PEOPLE), b"to": self.pick(_PEOPLE), b"subject": self.pick(_SUBJECTS),
            b"id1": self.token(16), b"id2": self.token(16), b"hash": self.token(43),
            b"dkim": self.signature(),
        }  # fmt: skip


def from_line(sender: bytes, epoch: int, *, takeout: bool = False) -> bytes:
    """A From_ line for that moment, the zone before the year as Takeout writes it or without a zone."""
    now = time.gmtime(epoch)
    return b"From %b %b %b %2d %02d:%02d:%02d %b%d\n" % (
        sender, _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1], now.tm_mday,
        now.tm_hour, now.tm_min, now.tm_sec, b"+0000 " if takeout else b"", now.tm_year,
    )  # fmt: skip


def _takeout_body(source: _Source, number: int) -> bytes:
    text, charset = source.prose(number, 600 + int(source.random() * 3000))
    if number % 10 == 9:
        return (b"Content-Type: text/plain; charset=%b\nContent-Transfer-Encoding: 8bit\n\n" % charset) + text
    inner = b"0000000000%b" % source.token(18)
    body = _ALTERNATIVE % {
        b"b": inner,
        b"text": text if charset == b"UTF-8" else source.run(source.utf8, 2000),
        b"html": source.run(source.html, 3000 + int(source.random() * 16_000)),
    }
    if number % 3:
        return body
    outer = b"0000000000%b" % source.token(18)
    parts = [b'Content-Type: multipart/mixed; boundary="%b"\n\n--%b\n' % (outer, outer), body]
    for _ in range(2 if number % 4 == 0 else 1):
        kind, name = _FILES[int(source.random() * len(_FILES))]
        octets = int(2048 * 2 ** (source.random() * 8.8))
        data = source.run(source.base64, octets)
        fields = {b"b": outer, b"type": kind, b"name": name, b"id": source.token(12), b"data": data}
        parts.append(_ATTACHMENT % fields)
    parts.append(b"--%b--\n" % outer)
    return b"".join(parts)


def takeout(*, takeout_from: bool = False) -> Iterator[bytes]:
    """Gmail's header block of 4 to 6 KB; a third with base64 attachments of 2 to 800 KB; mean 75 KB."""
    source = _Source(1)
    source.fill_base64()
    for number in itertools.count():
        fields = source.fields(number)
        thread = 1_600_000_000_000_000_000 + number * 7_919_000_003
        head = _TAKEOUT_HEAD % {
            **fields,
            b"thread": thread, b"labels": source.pick(_LABELS), b"host": source.token(4),
            b"hop": source.token(12), b"id3": source.token(20), b"clock": b"2019.03.19.09.13.51",
            b"seal": source.signature(), b"arc": source.signature(), b"google": source.signature(),
            b"hash2": source.token(43), b"short": source.token(8), b"state1": source.token(100),
            b"state2": source.token(76), b"list": b"" if number % 4 else _LIST_FIELDS,
        }  # fmt: skip
        epoch = fields[b"epoch"]
        assert isinstance(epoch, int)
        separator = from_line(b"%d@xxx" % thread, epoch, takeout=takeout_from)
        yield b"".join((separator, head, _takeout_body(source, number), b"\n"))


def small(*, takeout_from: bool = False) -> Iterator[bytes]:
    """A header block of 1 to 2.5 KB and a plain English or Japanese body; mean 5 KB."""
    source = _Source(2)
    for number in itertools.count():
        fields = source.fields(number)
        text, charset = source.prose(number, 500 + int(source.random() * 6000))
        signature = _SMALL_SIGNATURE % fields if number % 3 else b""
        head = _SMALL_HEAD % {
            **fields,
            b"signature": signature,
            b"charset": charset,
            b"encoding": b"7bit" if charset == b"ISO-2022-JP" else b"8bit",
        }
        epoch = fields[b"epoch"]
        assert isinstance(epoch, int)
        yield b"".join((from_line(b"bob@mail.example.org", epoch, takeout=takeout_from), head, text, b"\n"))


def tiny(*, takeout_from: bool = False) -> Iterator[bytes]:
    """Messages of some 130 octets, one second apart."""
    for number in itertools.count():
        yield b"%bMessage-ID: <%d@tiny.example>\nDate: %d Mar 2019 09:13:51 +0000\nSubject: %d\n\nHi.\n\n" % (
            from_line(b"a@b.example", 1_552_986_831 + number, takeout=takeout_from),
            number,
            1 + number % 28,
            number,
        )
