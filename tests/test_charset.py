"""Charset names, and charsets that nobody named. How good the guesses are, benchmarks/ measures."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import unmbox
from benchmarks import charset_accuracy
from eml_check import FROM_LINE, convert, faults
from unmbox._charset import check_locale, decode_8bit
from unmbox._codecs import codec_name, decode_strictly
from unmbox._contacts import Contacts
from unmbox._decode import decode_text
from unmbox._utf8 import nearly_utf8
from unmbox._writer import EmlWriter
from unmbox.errors import UsageError


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UTF-8", "utf_8"),
        ("utf8", "utf_8"),
        ("us-ascii", "ascii"),
        ("ANSI_X3.4-1968", "ascii"),
        # The WHATWG's superset, and what mail programs mean by the name.
        ("iso-8859-1", "cp1252"),
        ("ISO8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("windows-1252", "cp1252"),
        ("windows1252", "cp1252"),
        ("CP-1252", "cp1252"),
        ("iso-8859-9", "cp1254"),
        ("iso-8859-8-i", "iso8859_8"),
        ("iso-8859-15", "iso8859_15"),
        ("gb2312", "gb18030"),
        ("GBK", "gb18030"),
        ("x-gbk", "gb18030"),
        ("hz-gb-2312", "hz"),
        ("big5", "big5hkscs"),
        ("ks_c_5601-1987", "cp949"),
        ("euc-kr", "cp949"),
        ("Shift_JIS", "cp932"),
        ("x-sjis", "cp932"),
        ("Windows-31J", "cp932"),
        ("ms932", "cp932"),
        ("x-euc-jp", "euc_jp"),
        ("ISO-2022-JP", "iso2022_jp"),
        ("koi8-u", "koi8_u"),
        ("tis-620", "cp874"),
        ("windows-874", "cp874"),
        ("x-mac-ce", "mac_latin2"),
        ("unicode-1-1-utf-7", "utf_7"),
        ("unknown-8bit", None),
        ("x-unknown", None),
        ("", None),
        ("base64", None),
        ("rot13", None),
        ("idna", None),
        ("punycode", None),
        ("unicode_escape", None),
        ("x" * 10_000, None),
        ("utf-8\x00", "utf_8"),
    ],
)
def test_names(charset: str, codec: str | None) -> None:
    assert codec_name(charset) == codec
    if codec is not None:
        "".encode(codec)  # Python knows it


@given(st.text())
@example("../os")
def test_names_never_raise(charset: str) -> None:
    codec = codec_name(charset)
    assert codec is None or decode_strictly(b"a", codec) is not None or codec.startswith(("utf_16", "utf_32"))


@pytest.mark.parametrize(
    ("raw", "codec", "expected"),
    [
        (b"\x1b$B-!-j\x1b(B", "iso2022_jp", "①㈱"),
        (b"\x1b$B|b66MM\x1b(B!", "iso2022_jp", "髙橋様!"),
        (b"\x1b$B-!\x1b(I6@\x1b(J\\", "iso2022_jp", "①ｶﾀ\\"),
        (b"\x1b$B-!\x1b$(D0!", "iso2022_jp", "①丂"),
        # Odd octets: the run stays visible, the rest is read.
        (b"\x1b$B-!\x1b(B \x1b$B-!x\x1b(B", "iso2022_jp", "① ①\x1b$Bx\x1b(B"),
        # ISO-2022-JP-2, -3 and -2004, whatever of them it is called, and beside row 13.
        (b"\x1b$(Q.!\x1b(B", "iso2022_jp", "俱"),
        (b"\x1b$(P.!\x1b(B", "iso2022_jp", "晛"),
        (b"\x1b$A0!\x1b$(C0!\x1b(B", "iso2022_jp", "啊가"),
        (b"\x1b$B-!\x1b$A0!\x1b$(C0!\x1b$(Q.!\x1b$(P.!\x1b(B", "iso2022_jp", "①啊가俱晛"),
        # Half-width kana: SO and SI, and 8 bits.
        (b"\x1b$B%F%9%H\x1b(B \x0e123\x0f.", "iso2022_jp", "テスト ｱｲｳ."),
        (b"\x0e123\x0f", "iso2022_jp", "ｱｲｳ"),
        (b"\x1b$B%F%9%H\x1b(B \xb1\xb2\xb3", "iso2022_jp", "テスト ｱｲｳ"),
        (b"\x1b$B%F%9%H\x1b(B \xe9", "iso2022_jp", None),
        (b"\x1b$B%F\xb1\x1b(B", "iso2022_jp", None),
        # Escaped to ASCII and back inside a character.
        (b"\x1b$BF\x1b(B\x1b$B|K\\8l\x1b(B", "iso2022_jp", "日本語"),
        # Cut off with the escape that ends it, or with half of a character: what follows is ASCII.
        (b'"\x1b$B;3EDB@O:" <a@b.jp>', "iso2022_jp", '"山田太郎" <a@b.jp>'),
        (b"\x1b$B;3EDB@O: <a@b.jp>", "iso2022_jp", "山田太郎 <a@b.jp>"),
        (b"\x1b$B;3ED<abc@xy.com>", "iso2022_jp", "山田<abc@xy.com>"),
        (b"\x1b$B;3ED<a@b.jp>, \x1b$BNkLZ\x1b(B <c@d.jp>", "iso2022_jp", "山田<a@b.jp>, 鈴木 <c@d.jp>"),
        (b"a@b.jp (\x1b$B;3ED), c@d.jp", "iso2022_jp", "a@b.jp (山田), c@d.jp"),
        (b'"\x1b$B;3E" <a@b.jp>', "iso2022_jp", '"山\x1b$BE\x1b(B" <a@b.jp>'),
        (b'name="\x1b$B;3ED.txt"; size=1', "iso2022_jp", 'name="山田.txt"; size=1'),
        (b"\x1b$B;3ED)", "iso2022_jp", "山田)"),
        (b"\x1b(I6E <a@b.jp>", "iso2022_jp", "ｶﾅ <a@b.jp>"),
        # Blanks among characters of two octets, between their escapes.
        (b"\x1b$B-!;3 B@O:\x1b(B!", "iso2022_jp", "①山 太郎!"),
        (b"\x1b$B|b;3 )!O:\x1b(B!", "iso2022_jp", "髙山 \x1b$B)!\x1b(B郎!"),
        # Folded between characters, with no escape at the end.
        (b"\x1b$B;3ED B@O:", "iso2022_jp", "山田 太郎"),
        (b"\x1b$B;3ED B@O: $N\x1b$B7o", "iso2022_jp", "山田 太郎 の件"),
        (b"\x1b(I6E C=D\x1b$B;3ED\x1b(B", "iso2022_jp", "ｶﾅ ﾃｽﾄ山田"),
        (b'"\x1b(I6E C=D\x1b$B;3ED" <a@b.jp>', "iso2022_jp", '"ｶﾅ ﾃｽﾄ山田" <a@b.jp>'),
        (b'\x1b(I6E C=D \x1b$B-!-" |bLZ \x1b(I6E\x1b(B', "iso2022_jp", "ｶﾅ ﾃｽﾄ ①② 髙木 ｶﾅ"),
        (b'name="\x1b$B;3ED 01"', "iso2022_jp", 'name="山田 01"'),
        (b"\x1b$B;3ED <KEN@HOGE.COM>", "iso2022_jp", "山田 <KEN@HOGE.COM>"),
        (b"\x1b$B;3ED test", "iso2022_jp", "山田 test"),
        (b"\xad\xa1\xad\xea", "euc_jp", "①㈱"),
        (b"\xad\xfe", "euc_jp", None),
        (b"\x81", "cp1252", "\x81"),
        (b"\x0e0!\x0f", "iso2022_kr", "가"),
        (b"\x1b$)C\x0e0!\x0f", "iso2022_kr", "가"),
        # The Euro sign, which Python's codecs for the supersets lack.
        ("價格 ".encode("big5") + b"\xa3\xe1100", "big5hkscs", "價格 €100"),
        ("价格 ".encode("gbk") + b"\x80100", "gb18030", "价格 €100"),
        (b"\xa3\xe1\xff", "big5hkscs", None),
        (b"\x80\xff", "gb18030", None),
        # CESU-8.
        (b"Hi \xed\xa0\xbd\xed\xb8\x80!", "utf_8", "Hi 😀!"),
        (b"\xed\xa0\xbd", "utf_8", None),
        (b"\xed\xa0\xbd\xed\xb8\x80\xff", "utf_8", None),
        (b"\xff", "utf_8", None),
        (b"\xff", "ascii", None),
    ],
)
def test_strict_decoding(raw: bytes, codec: str, expected: str | None) -> None:
    assert decode_strictly(raw, codec) == expected


@pytest.mark.parametrize("codec", ["iso2022_jp", "euc_jp"])
def test_every_character_of_nec_row_13(codec: str) -> None:
    for cell in range(0x21, 0x7D):
        sjis = bytes([0x87, cell + (0x1F if cell < 0x60 else 0x20)])
        try:
            char = sjis.decode("cp932")
        except UnicodeDecodeError:
            continue
        pair = bytes([0x2D, cell])
        raw = b"\x1b$B" + pair + b"\x1b(B" if codec == "iso2022_jp" else bytes(octet | 0x80 for octet in pair)
        assert decode_strictly(raw, codec) == char


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("佐々木 健二郎", "cp932"),
        ("お見積りの件①", "cp932"),
        ("佐々木 健二郎", "euc_jp"),
        ("关于会议的通知", "gb18030"),
        ("關於會議的通知", "big5hkscs"),
        ("회의 일정 안내", "cp949"),
        ("Встреча завтра", "koi8_r"),
        ("Встреча завтра", "cp1251"),
        ("Grüße aus Düsseldorf", "cp1252"),
        ("Où êtes-vous ?", "cp1252"),
        ("Środa o piątej", "cp1250"),
        ("Příští týden", "iso8859_2"),
        ("Καλή εβδομάδα", "cp1253"),
        ("Çarşamba günü görüşürüz", "cp1254"),
        ("שלום לכולם", "cp1255"),
    ],
)
def test_guesses(text: str, codec: str) -> None:
    assert decode_8bit(text.encode(codec)) == (text, codec)


def test_ascii_and_escapes() -> None:
    assert decode_8bit(b"") == ("", "ascii")
    assert decode_8bit(b"abc") == ("abc", "ascii")
    assert decode_8bit("日本".encode("iso-2022-jp")) == ("日本", "iso2022_jp")
    assert decode_8bit(b"a\x1b[1mb") == ("a\x1b[1mb", "ascii")
    assert decode_8bit(b"\x1b$B%F%9%H\x1b(B \xb1\xb2\xb3") == ("テスト ｱｲｳ", "iso2022_jp")
    assert decode_8bit(b"~{VPND~}", ["hz-gb-2312"]) == ("中文", "hz")


def test_what_is_declared_decides_where_octets_do_not() -> None:
    raw = "Ýr".encode("cp1252")
    assert decode_8bit(raw, ["windows-1254"])[0] == "İr"
    assert decode_8bit(raw, ["iso-8859-1"])[0] == "Ýr"
    assert decode_8bit("ТЕСТ".encode("iso8859_5"), ["iso-8859-5"]) == ("ТЕСТ", "iso8859_5")
    assert decode_8bit("Ātri".encode("cp1257"), ["windows-1257"]) == ("Ātri", "cp1257")
    assert decode_8bit("été".encode("mac_roman"), ["unknown-8bit", "macintosh"]) == ("été", "mac_roman")


def test_a_wrong_declaration_does_not_win() -> None:
    raw = "ご注文ありがとうございます".encode("cp932")
    for declared in ("us-ascii", "iso-8859-1", "gb2312", "utf-8", "utf-7", "utf-16", "iso-2022-jp"):
        assert decode_8bit(raw, [declared]) == ("ご注文ありがとうございます", "cp932")


def test_the_body_decides() -> None:
    russian = "Добрый день! Высылаю отчёт за прошлый месяц."
    for codec in ("koi8_r", "cp1251"):
        assert decode_8bit("ДА".encode(codec), body=b"\nHello,\n" + russian.encode(codec)) == ("ДА", codec)
    # A body in UTF-8 or ISO-2022-JP tells the language.
    raw = "相馬".encode("euc_jp")
    assert decode_8bit(raw)[0] != "相馬"
    for codec in ("utf-8", "iso-2022-jp"):
        assert decode_8bit(raw, body="お世話になっております。".encode(codec)) == ("相馬", "euc_jp")


@pytest.mark.parametrize(
    "locale",
    ["ja", "JA", "ja_JP.UTF-8", "zh-Hant-TW", "Japanese_Japan.932", "en", "C", "C.UTF-8", "jpn", "", None],
)
def test_a_locale_is_a_language_and_what_systems_call_so(locale: str | None) -> None:
    check_locale(locale)


@pytest.mark.parametrize("locale", ["jp", "cz_CZ", "日本語", "ja JP", "j4", "-", 5])
def test_a_country_is_no_language(locale: object) -> None:
    with pytest.raises(UsageError, match="such as ja"):
        check_locale(locale)
    with pytest.raises(UsageError, match="such as ja"):
        EmlWriter(locale=locale)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="such as ja"):
        Contacts(locale=locale)  # type: ignore[arg-type]


@pytest.mark.parametrize("locale", ["ja", "ja_JP.UTF-8", "ja-JP"])
def test_the_locale_decides(locale: str) -> None:
    raw = "相馬".encode("euc_jp")
    assert decode_8bit(raw, locale=locale) == ("相馬", "euc_jp")
    assert decode_8bit("林".encode("big5"), locale="zh_TW") == ("林", "big5hkscs")


def test_a_text_that_was_cut_in_mid_character() -> None:
    raw = "会議の議事録をお送りいたします".encode()
    assert decode_8bit(raw[:-1]) == ("会議の議事録をお送りいたしま\udce3\udc81", "utf_8")
    raw = "会議の議事録をお送りいたします".encode("cp932")
    assert decode_8bit(raw[:-1]) == ("会議の議事録をお送りいたしま\udc82", "cp932")


@pytest.mark.parametrize(
    "text",
    [
        "Invoice £25.50", "£100 off", "Save up to £50", "Café £5", "© 2020 Acme", "3½ days", "Marks®",
        "±5 °C", "Room 5 × 4 m²", "¥500", "100 µm", "99¢", "this ¦ that", "¬ sure", "“£5” for ¾ hour",
    ],
)  # fmt: skip
def test_signs_of_latin_1_are_what_they_are(text: str) -> None:
    raw = text.encode("cp1252")
    known: list[dict[str, object]] = [
        {},
        {"candidates": ["iso-8859-1"]},
        {"candidates": ["windows-1252"]},
        {"locale": "en"},
        {"body": b"It costs \xa325, or \xa345 for two.\n" * 5},
    ]
    for evidence in known:
        assert decode_8bit(raw, **evidence) == (text, "cp1252")  # type: ignore[arg-type]


CUT_SHORT = {
    "Réunion d'équipe é": "Réunion d'équipe \udcc3",
    "Grüße aus Köln ü": "Grüße aus Köln \udcc3",
    "Re: 한국어": "Re: 한국\udcec\udc96",
    "Сводка за май": "Сводка за ма\udcd0",
}
# Of these there is too little to know UTF-8 by, if nothing says that it is.
CUT_TO_LITTLE = {
    "Café é": "Café \udcc3",
    "日本": "日\udce6\udc9c",
    "Sale today 🎉": "Sale today \udcf0\udc9f\udc8e",
}


@pytest.mark.parametrize("text", [*CUT_SHORT, *CUT_TO_LITTLE])
def test_utf8_that_was_cut_in_mid_character(text: str) -> None:
    raw, said = text.encode()[:-1], (CUT_SHORT | CUT_TO_LITTLE)[text]
    assert decode_8bit(raw, ["iso-8859-1"], utf8=True) == (said, "utf_8")
    assert decode_8bit(raw, body="Voilà, à bientôt !".encode()) == (said, "utf_8")
    if text in CUT_SHORT:
        assert decode_8bit(raw, ["iso-8859-1"]) == (said, "utf_8")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"L'\xc3 \xa9quipe a r\xc3\xa9ussi \xc3\xa9", "L'\udcc3 \udca9quipe a réussi é"),
        (b"L'\xc3\n \xa9quipe a r\xc3\xa9ussi \xc3\xa9", "L'\udcc3\n \udca9quipe a réussi é"),
        ("日本".encode() + b" \xe6\x97\n \xa5", "日本 \udce6\udc97\n \udca5"),
        ("日本".encode() + b" \xf0 \x9f\x98\x80", "日本 \udcf0 \udc9f\udc98\udc80"),
        (b"[Ext\xe9rieur] R\xc3\xa9union priv\xc3\xa9e", "[Ext\udce9rieur] Réunion privée"),
        # Two values, each of them cut.
        ("Prêt à\nDéjà".encode()[:-1] + b"\n\xc3\xa9t\xc3", "Prêt à\nDéj\udcc3\nét\udcc3"),
    ],
)
def test_utf8_but_for_one_place(raw: bytes, said: str) -> None:
    assert decode_8bit(raw) == (said, "utf_8")


@pytest.mark.parametrize(
    ("text", "charset"),
    [("Від", "cp1251"), ("Рік", "cp1251"), ("пьёт", "koi8_r"), ("Звіт", "koi8_u"), ("“Olé…”", "cp1252")],
)
def test_one_character_that_is_valid_makes_no_utf8(text: str, charset: str) -> None:
    assert nearly_utf8(text.encode(charset), known=True) is None


BLOCK = b"From: ann@example.org\nDate: Tue, 19 Mar 2019 09:13:51 +0000\nMessage-ID: <a@b>\n"


@pytest.mark.parametrize(
    ("beside", "subject", "said"),
    [
        (b"Content-Type: text/plain; charset=utf-8\n", b"Caf\xc3\xa9 \xc3", "Café \udcc3"),
        (b"To: =?UTF-8?Q?Andr=C3=A9?= <a@b>\n", b"Caf\xc3\xa9 \xc3", "Café \udcc3"),
        ("To: André <a@b>\n".encode(), b"Caf\xc3\xa9 \xc3", "Café \udcc3"),
        (
            b"To: Andr\xe9 <a@b>\n",
            b"L'\xc3\n \xa9quipe a r\xc3\xa9ussi \xc3\xa9",
            "L'\udcc3 \udca9quipe a réussi é",
        ),
        (b"Content-Type: text/plain; charset=utf-8\n", "Müll".encode("latin-1"), "Müll"),
        (b"To: =?iso-8859-1?Q?=A35?= <a@b>\n", b"\xa35", "£5"),
        (b"To: =?utf-8?Q?=A35?= <a@b>\n", b"\xa35", "£5"),
    ],
)
def test_what_a_message_says_of_raw_values(beside: bytes, subject: bytes, said: str) -> None:
    block = BLOCK + beside + b"Subject: " + subject + b"\n\n"
    [message] = unmbox.messages(io.BytesIO(FROM_LINE + b"\n" + block + b"text\n"))
    assert message.subject == said
    eml = convert(block)
    assert not faults(eml.octets)
    [field] = [decode_text(field[8:]) for field in eml.fields if field.startswith(b"Subject:")]
    assert " ".join(field.split()) == said.replace("\n", "")


@pytest.mark.parametrize("texts", ["first", "second", "third"])
def test_no_other_charset_is_nearly_utf8(texts: str) -> None:
    for charset, languages in charset_accuracy.CHARSETS:
        for _, octets, body in charset_accuracy.samples(charset, languages, texts_of=texts):
            for raw in (octets, octets[:-1], body, body[:-1]):
                if decode_strictly(raw, "utf_8") is None and charset != "utf-8":
                    assert nearly_utf8(raw, known=False) is None, (charset, raw)


@pytest.mark.parametrize(
    ("raw", "charset", "said"),
    [
        ("價格 ".encode("big5") + b"\xa3\xe1100", "big5", "價格 €100"),
        ("会议通知".encode("gbk")[:-1], "gb2312", "会议通\udcd6"),
        ("髙".encode("cp932"), "shift_jis", "髙"),
        ("℡ 03".encode("cp932"), "shift_jis", "℡ 03"),
        ("회의 안내".encode("euc-kr")[:-1], "euc-kr", "회의 안\udcb3"),
    ],
)
def test_an_odd_octet_does_not_overrule_declared_cjk(raw: bytes, charset: str, said: str) -> None:
    assert decode_8bit(raw, [charset])[0] == said


NONSENSE = bytes.fromhex("fad099b5d18a8682cbd1f3e4d0e69090d1f49cc0b7f8dbc2")


@pytest.mark.parametrize("guess", [None, "nonsense", "utf-8", "cp500", "utf-16"])
def test_what_cannot_be_known_says_so(monkeypatch: pytest.MonkeyPatch, guess: str | None) -> None:
    monkeypatch.setattr("chardet.detect", lambda *_, **__: {"encoding": guess})
    text, codec = decode_8bit(b"a" + NONSENSE)
    assert codec == "unknown-8bit"
    assert text.encode("ascii", "surrogateescape") == b"a" + NONSENSE


def test_chardet_decides_where_no_reading_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chardet.detect", lambda *_, **__: {"encoding": "windows-1251"})
    assert decode_8bit(NONSENSE) == (NONSENSE.decode("cp1251"), "cp1251")


@given(st.text())
@example("ÿ")
def test_valid_utf8_is_never_read_as_something_else(text: str) -> None:
    raw = text.encode("utf-8", "ignore")
    if not raw.isascii():
        evidence = {"body": "日本語".encode("cp932"), "locale": "ja"}
        assert decode_8bit(raw) == (raw.decode(), "utf_8")
        assert decode_8bit(raw, ["shift_jis", "iso-8859-1"], **evidence) == (raw.decode(), "utf_8")  # type: ignore[arg-type]


POLISH = (
    "Dzień dobry, w załączeniu przesyłam fakturę za ostatni miesiąc, proszę o płatność. Łączę wyrazy szacunku"
).encode("cp1250")
CHINESE = "您好，附件是本月的报告，请您查收。".encode("gb18030")


@given(st.text())
@example("Да")
@example("Müller")
@example("谢谢")
def test_valid_utf8_of_a_message_in_another_charset_stays_but_for_short_chances(text: str) -> None:
    raw = text.encode("utf-8", "ignore")
    if raw.isascii():
        return
    for body in (
        CHINESE,
        "いつもお世話になっております".encode("euc_jp"),
        "Добрый день, коллеги".encode("koi8-r"),
    ):
        found, codec = decode_8bit(raw, body=body)
        if codec != "utf_8":
            # Up to four characters, not of Latin script but for rare ones.
            assert sum(not char.isascii() for char in raw.decode()) <= 4
            assert found == raw.decode(codec)
            assert codec == "koi8_r" or max(raw.decode()) < "\u0800"


@pytest.mark.parametrize(
    ("text", "charset", "body", "codec"),
    [
        ("谢谢", "gb18030", CHINESE, "gb18030"),
        ("郑爽", "gb18030", CHINESE, "gb18030"),
        ("Re: 谢谢", "gb18030", CHINESE, "gb18030"),
        ("SPÓŁKA", "cp1250", POLISH, "cp1250"),
        ("SPÓŁKA", "cp1250", POLISH.decode("cp1250").encode(), "utf_8"),
        ("SPÓŁKA", "cp1250", b"Szanowni", "utf_8"),
        ("Łódź", "utf_8", POLISH, "utf_8"),
        ("Да", "utf_8", POLISH, "utf_8"),
        # Nothing says that it is something else.
        ("谢谢", "gb18030", b"", "utf_8"),
        ("谢谢", "gb18030", b"Dear all", "utf_8"),
        ("谢谢", "gb18030", "Добрый день, коллеги".encode("koi8-r"), "utf_8"),
        ("谢谢", "gb18030", "您好，附件是本月的报告".encode(), "utf_8"),
        ("谢谢", "gb18030", b"\x1b$B$*@$OC$K$J$C$F$*$j$^$9\x1b(B", "utf_8"),
        # Too little of a body to be sure of.
        ("谢谢", "gb18030", "您好".encode("gb18030"), "utf_8"),
        ("Да", "utf_8", CHINESE, "utf_8"),
        ("Привет", "utf_8", CHINESE, "utf_8"),
        ("Müller", "utf_8", CHINESE, "utf_8"),
        ("é", "utf_8", CHINESE, "utf_8"),
        ("Thư", "utf_8", CHINESE, "utf_8"),
        ("髙橋", "utf_8", CHINESE, "utf_8"),
    ],
)
def test_utf8_by_chance(text: str, charset: str, body: bytes, codec: str) -> None:
    raw = text.encode(charset)
    raw.decode("utf-8")  # it is valid
    assert decode_8bit(raw, body=body) == (raw.decode(codec), codec)


AROUND = {
    "alone": (b"", b""),
    "address": (b'"', b'" <taro.yamada-smith@mail.example.com>'),
    "file name": (b"application/octet-stream; name=", b".pdf"),
    "answer": (b"Re: Fwd: ", b""),
}


@pytest.mark.parametrize(("before", "after"), AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("texts", ["first", "second", "third"])
def test_the_benchmark_reads_what_is_promised(texts: str, before: bytes, after: bytes) -> None:
    for charset, languages in charset_accuracy.CHARSETS:
        rows = charset_accuracy.samples(charset, languages, texts_of=texts)
        in_context = alone = 0
        for text, octets, body in rows:
            raw = before + octets + after
            shown = (before.decode() + text + after.decode()).translate(charset_accuracy.TWINS)
            alone += charset_accuracy.unmbox_reader(raw, b"").translate(charset_accuracy.TWINS) == shown
            in_context += charset_accuracy.unmbox_reader(raw, body).translate(charset_accuracy.TWINS) == shown
        assert in_context >= 0.99 * len(rows), charset
        if charset in ("utf-8", "iso-2022-jp"):
            assert alone == in_context == len(rows)
        elif not charset.startswith(("windows-125", "iso-8859")) or charset == "windows-1251":
            assert alone >= 0.9 * len(rows), charset


@pytest.mark.parametrize(
    "form", [b"%b", b'"%b" <a@b.jp>', b"%b <a@b.jp>", b"a@b.jp (%b)", b'x; name="%b"; size=1']
)
@pytest.mark.parametrize("codec", ["cp932", "euc_jp"])
@pytest.mark.parametrize("text", ["日本語メールのテスト", "東京営業部", "お世話になって", "田中商店", "佐藤"])
def test_a_name_that_was_cut_in_mid_character(text: str, codec: str, form: bytes) -> None:
    whole, octets = text[:-1], text.encode(codec)[:-1]
    said = (form % octets).decode(codec, "surrogateescape")
    assert whole in said
    assert decode_8bit(form % octets, [codec]) == (said, codec)
    assert decode_8bit(form % octets, body="日本語の本文です。よろしく。\n".encode(codec)) == (said, codec)
    if len(whole) > 2:
        assert decode_8bit(form % octets) == (said, codec)


@pytest.mark.parametrize("emoji", [b"\xf8\x9f", b"\xf9\x8b", b"\xf7\x41"])
@pytest.mark.parametrize("form", [b"%b", b'"%b" <a@docomo.ne.jp>'])
def test_a_carriers_emoji_leaves_the_text_around_it(emoji: bytes, form: bytes) -> None:
    raw = form % ("了解".encode("cp932") + emoji)
    assert decode_8bit(raw) == decode_8bit(raw, ["shift_jis"]) == (raw.decode("cp932"), "cp932")


@pytest.mark.parametrize("name", ["髙木", "髙﨑", "宮﨑様", "髙橋＊"])
def test_names_with_vendors_forms(name: str) -> None:
    assert (
        decode_8bit(name.encode("cp932"))
        == decode_8bit(name.encode("cp932"), ["shift_jis"])
        == (name, "cp932")
    )


@given(st.text(st.characters(codec="iso2022_jp", exclude_characters="\x1b")))
def test_iso_2022_jp_is_never_read_as_something_else(text: str) -> None:
    raw = text.encode("iso2022_jp")
    if b"\x1b" in raw:
        assert decode_8bit(raw, ["utf-8", "gb2312"], body=b"\xff\xfe") == (
            raw.decode("iso2022_jp"),
            "iso2022_jp",
        )


@given(
    st.binary(), st.lists(st.sampled_from(["utf-16", "utf-7", "big5", "cp037", "hz", "x", "iso-2022-kr", ""]))
)
def test_nothing_raises_and_nothing_is_lost(raw: bytes, candidates: list[str]) -> None:
    for body in (b"", raw, b"\x1b$B" + raw, "Привет".encode("koi8-r") + raw):
        text, codec = decode_8bit(raw, candidates, body=body, locale="x-y")
        if codec == "unknown-8bit":
            assert text.encode("ascii", "surrogateescape") == raw
        else:
            assert codec_name(codec) is not None


def test_chardet_is_loaded_only_for_what_is_left_over() -> None:
    code = (
        "import sys; from unmbox._charset import decode_8bit\n"
        "decode_8bit('Grüße'.encode('latin-1')); decode_8bit('日本'.encode('cp932')); decode_8bit(b'a')\n"
        "assert 'chardet' not in sys.modules\n"
        "decode_8bit(bytes.fromhex('fad099b5d18a8682cbd1f3e4d0e69090d1f49cc0b7f8dbc2'))\n"
        "assert 'chardet' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
