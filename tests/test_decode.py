"""Field values as people read them: the grammar, the sins, and that nothing raises, is lost or takes long."""

from __future__ import annotations

import base64
import io
import quopri
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import unmbox
from benchmarks import charset_accuracy
from unmbox._decode import decode_addresses, decode_text
from unmbox._encode import encoded_words


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ""),
        (b" plain \r\n", "plain"),
        (b"a\r\n b\n\tc\r d", "a b c d"),
        (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Grüße aus Köln"),
        (b"=?utf-8?B?5pel5pys6Kqe?= and =?iso-8859-1?q?caf=E9?=", "日本語 and café"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=\r\n  =?utf-8?q?_c?=", "ab c"),
        # Adjacent words of different charsets, too, lose what is between them (RFC 2047 §6.2).
        (b"=?utf-8?q?=C3=A9?=  =?iso-8859-1?q?=E9?=", "éé"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?us-ascii?q?=3D=5F=3f?=", "=_?"),
        (b"=?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        # Raw UTF-8 (RFC 6532).
        ("Grüße 日本".encode(), "Grüße 日本"),
        ("Grüße =?utf-8?q?=C3=A9?= 日本".encode(), "Grüße é 日本"),
    ],
)
def test_the_grammar(raw: bytes, expected: str) -> None:
    assert decode_text(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # A character that begins in one word and ends in the next; with another case of the charset, too.
        (b"=?utf-8?Q?=E6=97?= =?UTF-8?q?=A5=E6=9C=AC?=", "日本"),
        (b"=?gb2312?B?1tA=?= =?gb2312?B?zsQ=?=", "中文"),
        (b"=?gb2312?Q?=D6?= =?gb2312?B?0M7E?=", "中文"),
        # Base64 that was cut at any place.
        (b"=?utf-8?B?5pel5p?= =?utf-8?B?ys6Kqe?=", "日本語"),
        # Each word is ISO 2022 in itself, and the first forgot to return to ASCII.
        (b"=?iso-2022-jp?B?GyRCRnxLXA==?= =?iso-2022-jp?B?GyRCOGwbKEI=?=", "日本語"),
        # Each returned to ASCII, inside a character.
        (b"=?iso-2022-jp?B?GyRCRhsoQg==?= =?iso-2022-jp?B?GyRCfEtcOGwbKEI=?=", "日本語"),
        (b"=?utf-8?Q?hello big world?=", "hello big world"),
        (b"=?utf-8?Q?hello\r\n world?=", "hello world"),
        (b"=?utf-8?B?5pel 5pys\r\n 6Kqe?=", "日本語"),
        (b'"=?utf-8?Q?=C3=A9t=C3=A9?="', '"été"'),
        (b"=?utf-8?q?a?=b=?utf-8?q?c?=", "abc"),
        (b"=?utf-8?Q?What?=20now??=", "What? now?"),
        (b"=?utf-8?Q?=C3=A9?=Ed", "éEd"),
        (b"=?utf-8?Q?=C3=A9t=C3=A9", "été"),
        (b"=?utf-8?B?5pel5pys", "日本"),
        (b"=?utf-8?B?5pel5pys?", "日本"),
        (b"=?utf-8?Q?=C3=A9?=?utf-8?Q?t=C3=A9?=", "été"),
        (b"=?utf-8?Q?=C3=A9 =?utf-8?Q?t=C3=A9?=", "été"),
        (b"=?utf-8?B?w6k?=", "é"),
        (b"=?utf-8?B?w6k===?=", "é"),
        (b"=?utf-8?B?w6k=w6k=?=", "éé"),
        # Names of charsets that are wrong, unknown or a superset's in truth.
        (b"=?us-ascii?Q?=C3=A9?=", "é"),
        (b"=?iso-8859-1?Q?=C3=A9t=C3=A9?=", "été"),
        (b"=?iso-8859-1?Q?=93quoted=94?=", "“quoted”"),
        (b"=?utf-8?Q?caf=E9_cr=E8me?=", "café crème"),
        (b"=?unknown-8bit?Q?=C3=A9t=C3=A9?=", "été"),
        (b"=?x-nonsense?Q?Stra=DFe_nach_K=F6ln?=", "Straße nach Köln"),
        (b"=??Q?=C3=A9?=", "é"),
        ("=?x-sjis?B?" + b64("①髙橋".encode("cp932")).decode() + "?=", "①髙橋"),
        ("=?ms932?B?" + b64("①".encode("cp932")).decode() + "?=", "①"),
        ("=?gb2312?B?" + b64("镕".encode("gbk")).decode() + "?=", "镕"),
        ("=?ks_c_5601-1987?B?" + b64("똠방".encode("cp949")).decode() + "?=", "똠방"),
        (b"=?iso-2022-jp?B?" + b64(b"\x1b$B-!-j\x1b(B") + b"?=", "①㈱"),
        (b"=?euc-jp?Q?=AD=A1=AD=EA?=", "①㈱"),
        (b"=?windows1252?Q?=80?=", "€"),
        (b"=?gbk?Q?=80100?=", "€100"),
        (b"=?big5?Q?=A3=E1100?=", "€100"),
        # Surrogates in UTF-8, as Java and MySQL have written them.
        (b"=?utf-8?B?7aC97biA?=", "😀"),
        (b"=?iso-2022-jp?B?" + b64(b"\x1b$(Q.!\x1b(B") + b"?=", "俱"),
        (b"=?cp-850?Q?=82?=", "é"),
        # Raw octets inside an encoded-word.
        (b"=?iso-8859-1?Q?M\xfcller?=", "Müller"),
        # Cut in mid-character: B beside Q, and behind nothing but ASCII.
        (b"=?utf-8?B?5pel5pys?= =?utf-8?Q?_=E8=AA=9E=E8=AA?=", "日本 語\udce8\udcaa"),
        (b"=?utf-8?Q?it=E2=80?=", "it\udce2\udc80"),
        (b"=?utf-8?Q?caf=E9?=", "café"),
        # Line ends smuggled in stay inside the line.
        (b"=?utf-8?Q?a=0D=0ABcc:_b?=", "a Bcc: b"),
    ],
)
def test_the_sins(raw: bytes | str, expected: str) -> None:
    assert decode_text(raw.encode() if isinstance(raw, str) else raw) == expected


@pytest.mark.parametrize(
    "text",
    [
        "=?",
        "=?=",
        "?=",
        "=?utf-8?X?abc?=",
        "=?utf-8?B?not base64!?=",
        "=?utf-8?B?b@d?= =?utf-8?B?w0rs*?=",
        "a =?utf 8?Q?b?= c",
        "1 =? 2",
    ],
)
def test_what_is_no_encoded_word_stays(text: str) -> None:
    assert decode_text(text.encode()) == text


def test_raw_octets_in_a_word_leave_its_neighbours() -> None:
    raw = b"=?utf-8?Q?one_\xbb\xe1\xd2\xe9\xcd\xa8\xd6\xaa?= =?utf-8?Q?Caf=C3=A9?="
    assert decode_text(raw) == "one 会议通知Café"


def test_a_bad_word_leaves_its_neighbours() -> None:
    raw = b"=?utf-8?Q?=C3=A9?= =?utf-8?B?b@d?= =?utf-8?Q?=C3=A9?="
    assert decode_text(raw) == "é =?utf-8?B?b@d?= é"


def test_damage_in_a_long_text_leaves_the_rest() -> None:
    octets = "日本語のとても長い件名".encode()
    assert decode_text(b"=?utf-8?B?" + b64(octets[:-1]) + b"?=")[:10] == "日本語のとても長い件"
    raw = b"=?shift_jis?B?" + b64("日本語のとても長い件名".encode("cp932") + b"\x81") + b"?="
    assert decode_text(raw) == "日本語のとても長い件名\udc81"


def test_raw_octets_are_guessed_with_the_declared_charsets() -> None:
    raw = "Привет ".encode("koi8-r") + b"=?koi8-r?Q?=D7?="
    assert decode_text(raw) == "Привет в"
    # Parts of a value are of one charset.
    assert decode_text("髙橋 ".encode("cp932") + b"=?us-ascii?Q?x?=" + " 様".encode("cp932")) == "髙橋 x 様"


def test_raw_iso_2022_jp_is_decoded() -> None:
    assert decode_text("Re: 日本語".encode("iso-2022-jp")) == "Re: 日本語"
    assert decode_addresses("日本 <a@b>".encode("iso-2022-jp")) == "日本 <a@b>"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a@b, C <c@d>", "a@b, C <c@d>"),
        (b"=?utf-8?Q?J=C3=B6rg_M=2E?= <a@b>", "Jörg M. <a@b>"),
        (b"=?utf-8?Q?M=C3=BCller=2C_J=C3=B6rg?= <a@b>, c@d", '"Müller, Jörg" <a@b>, c@d'),
        (b'"=?utf-8?Q?M=C3=BCller=2C?= J" <a@b>', '"Müller, J" <a@b>'),
        (b'"=?utf-8?Q?a=22b=5C?=" <a@b>', '"a\\"b\\\\" <a@b>'),
        (b"=?utf-8?Q?boss=40bank=2Eexample?= <a@b>", '"boss@bank.example" <a@b>'),
        (b"a@b (=?utf-8?Q?=C3=A9=29?=)", "a@b (é\\))"),
        (b"a@b ((=?utf-8?Q?=C3=A9=2C?=)), =?utf-8?Q?=C3=A9=2C?= <c@d>", 'a@b ((é,)), "é," <c@d>'),
        (b'"a\\"b" =?utf-8?Q?=2C?= <c@d>', '"a\\"b" "," <c@d>'),
        # An address is never made of an encoded-word.
        (b"<=?utf-8?Q?a=40evil?=@b>", "<=?utf-8?Q?a=40evil?=@b>"),
        ("Jörg <jörg@köln.example>".encode(), "Jörg <jörg@köln.example>"),
        (b"Team: =?utf-8?q?=C3=A9?= <a@b>, c@d;", "Team: é <a@b>, c@d;"),
        (b"  \r\n", ""),
    ],
)
def test_addresses(raw: bytes, expected: str) -> None:
    assert decode_addresses(raw) == expected


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            (
                *(b"=?utf-8?q?", b"=?UTF-8?B?", b"=?x?q?", b"=?iso-2022-jp?b?", b"=?gb2312?q?", b"?=", b"=?"),
                *(b" ", b"\r\n ", b'"', b"<", b">", b"(", b")", b"\\", b"=E6", b"=97=A5", b"5pel", b"\x1b$B"),
                *(b";", b"=", b"\xe6", b"\xed\xa0\xbd", b"\xed\xb8\x80", b"\x0e", "日".encode()),
            )
        ),
    ),
    max_size=20,
).map(b"".join)


@given(PIECES)
@example(b"=?utf-7?q?+AGE-?=")
@example(b"=?punycode?q?abc?= =?idna?q?abc?= =?rot13?q?abc?= =?undefined?q?abc?= =?unicode_escape?q?\\?=")
@example(b"=?\xff?q?a?=")
def test_nothing_raises(raw: bytes) -> None:
    for text in (
        decode_text(raw),
        decode_text(b"=?nonsense?Q?=E9?= =?utf-16?Q?=E9?= " + raw),
        decode_addresses(raw),
    ):
        assert isinstance(text, str)
        assert text == text.strip()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), st.integers(1, 20), st.booleans())
def test_what_was_encoded_comes_back(text: str, cut: int, base64ed: bool) -> None:
    octets = text.strip().encode()
    words = []
    for at in range(0, len(octets), cut):
        piece = octets[at : at + cut]
        coded = b64(piece) if base64ed else quopri.encodestring(piece, header=True).replace(b"=\n", b"")
        words.append(b"=?utf-8?" + (b"b" if base64ed else b"q") + b"?" + coded.replace(b"?", b"=3F") + b"?=")
    assert decode_text(b"\r\n ".join(words)) == text.strip()


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])).filter(lambda text: "=?" not in text)
)
def test_valid_utf8_is_never_read_as_something_else(text: str) -> None:
    assert decode_text(text.encode()) == text.strip()
    assert decode_addresses(text.encode()) == text.strip()


HOSTILE = {
    "words": b"=?utf-8?q?=E3=81=82?= ",
    "charsets in turn": b"=?utf-8?q?=ff?= =?big5?q?=ff?= ",
    "openings": b"=?utf-8?q?",
    "closings": b"?= ",
    "half openings": b"=?",
    "bad base64": b"=?utf-8?b?!?= ",
    "comments": b"((=?u?q?a?=",
    "quotes": b'"<\\ =?u?q?a?=',
    "folds": b"\r\n \xff",
    "escapes": b"\x1b$B",
    "escapes and back": b"\x1b$BF\x1b(B",
    "cut and back": b"\x1b$B||\x1b(B" * 2 + b"\x1b$BF\x1b(B",
    "shifts": b"\x1b(B\x0e12",
    "surrogates": b"\xed\xa0\xbd",
    "blanks": b"; \t ",
    "octets": b"\xe9\xff\x80 ",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear(piece: bytes) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        decode_addresses(piece * count)
        decode_text(piece * count)
        return time.process_time() - started

    # Eight times as much may take sixteen times as long, and a moment; quadratic would take 64 times.
    assert seconds(16_000) < 16 * seconds(2_000) + 0.2


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "iso-8859-15", "iso-8859-2"])
@pytest.mark.parametrize("charset", ["cp932", "euc_jp", "gb18030", "big5", "cp949"])
def test_cjk_that_bears_a_latin_label(label: str, charset: str) -> None:
    """As programs have written it that put their default there."""
    text = {
        "gb18030": "请确认您的订单信息",
        "big5": "請確認您的訂單資訊",
        "cp949": "주문 내용을 확인해 주세요",
    }
    said = text.get(charset, "件名：ご確認のお願い")
    word = b"=?%b?B?%b?=" % (label.encode(), base64.b64encode(said.encode(charset)))
    assert decode_text(word) == said


@pytest.mark.parametrize("charset", ["cp1252", "iso8859_15", "cp1254"])
@pytest.mark.parametrize("text", ["¡¡¡¡¡¡Hola!!!!!!", "ÀÂÇÉÈÊËÎÏÔ", "ÄÖÜäöüß", "°°°°°°°°", "»»»»»» Ünü"])
def test_runs_of_letters_that_are_latin(charset: str, text: str) -> None:
    word = b"=?%b?B?%b?=" % (charset.encode(), base64.b64encode(text.encode(charset)))
    assert decode_text(word) == text


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso8859_2", "ĄĆĘŁŃÓŚŹŻ"), ("cp1250", "ĚŠČŘŽÝÁÍÉ"), ("cp1250", "ĽŠČŤŽÝÁÍÉ"),
        ("cp1250", "test ĚŠČŘŽÝÁÍÉ"), ("cp1250", "test ĽŠČŤŽÝÁÍÉ"), ("iso8859_2", "śćżź"),
        ("iso8859_2", "ŚĆŻŹ"), ("iso8859_1", "ÀÉÈÙ"), ("iso8859_15", "ŠŽŒŸ"),
    ],
)  # fmt: skip
def test_letters_of_one_case_are_what_their_label_says(charset: str, text: str) -> None:
    assert decode_text(word(charset, text.encode(charset))) == text


def word(charset: str, octets: bytes) -> bytes:
    return b"=?%b?B?%b?=" % (charset.encode(), b64(octets))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Réunion é", "Réunion \udcc3"),
        ("Anfrage für Müll ü", "Anfrage für Müll \udcc3"),
        ("Hi 😀", "Hi \udcf0\udc9f\udc98"),
        ("Café", "Caf\udcc3"),
        ("日本", "日\udce6\udc9c"),
    ],
)
def test_a_word_of_utf8_that_was_cut_in_mid_character(text: str, said: str) -> None:
    assert decode_text(word("UTF-8", text.encode()[:-1])) == said
    # As a repair writes it, and as a whole.
    assert decode_text(encoded_words(f"x{said}").encode()) == f"x{said}"
    assert decode_text(word("unknown-8bit", said.encode("utf-8", "surrogateescape"))) == said


def test_no_blank_comes_of_what_a_repair_has_left_of_a_character() -> None:
    words = b"=?UTF-8?B?5pel?= =?unknown-8bit?Q?=E6?="
    assert decode_text(words + b" =?UTF-8?B?5pys?=") == "日\udce6本"
    assert decode_text(words + b" x =?UTF-8?B?5pys?=") == "日\udce6 x 本"


def test_a_word_of_utf8_that_was_folded_in_mid_character() -> None:
    assert decode_text(b"=?utf-8?Q?Gr=C3\n =BC=C3=9Fe?=") == "Gr\udcc3 \udcbcße"


@pytest.mark.parametrize("charset", ["gb2312", "big5", "shift_jis", "euc-jp", "euc-kr"])
def test_a_word_of_cjk_that_was_cut_in_mid_character(charset: str) -> None:
    text = "회의 안내" if charset == "euc-kr" else "日本文字"
    octets = text.encode(charset)
    cut = decode_text(word(charset, octets[:-1]) + b" \xe9", guess=lambda raw: raw.decode("latin-1"))
    assert cut == text[:-1] + octets[-2:-1].decode("ascii", "surrogateescape") + " é"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("gb2312", "会议通知"), ("gbk", "会议"), ("gb18030", "銷售部"), ("gb2312", "Café"),
        ("gb2312", "Привет"), ("shift_jis", "請求書"), ("shift_jis", "Grüße"), ("euc-kr", "주문"),
        ("big5", "會議通知"), ("big5", "Müller"), ("tis-620", "สวัสดี"), ("windows-1253", "Γειά σου"),
        ("windows-1255", "שלום"), ("windows-1256", "مرحبا"), ("windows-1257", "Ātri"),
        ("iso-8859-5", "Привет"), ("iso-8859-5", "Café"), ("iso-8859-7", "Γειά"), ("iso-8859-13", "Ātri"),
        ("ibm866", "Привет"), ("ibm866", "Café"), ("cp850", "Café"), ("cp437", "日本"),
        ("macintosh", "l’été"), ("x-mac-cyrillic", "Привет"), ("koi8-r", "Да"), ("iso-8859-2", "Łódź"),
        ("windows-1252", "Məmməd"), ("windows-1252", "ㅋㅋ"), ("iso-8859-1", "Да"), ("iso-8859-2", "Ё!"),
    ],
)  # fmt: skip
def test_utf8_under_another_label(label: str, text: str) -> None:
    assert decode_text(word(label, text.encode())) == text


MORE_CHARSETS = (
    ("iso8859_5", ("Russian",)),
    ("cp866", ("Russian",)),
    ("mac_cyrillic", ("Russian",)),
    ("iso8859_7", ("Greek",)),
    ("mac_roman", charset_accuracy.WESTERN),
    ("cp850", charset_accuracy.WESTERN),
    ("cp852", charset_accuracy.CENTRAL),
)


@pytest.mark.parametrize("texts", ["first", "second", "third"])
def test_what_is_labelled_rightly_is_never_taken_for_utf8(texts: str) -> None:
    for charset, languages in charset_accuracy.CHARSETS + MORE_CHARSETS:
        for text, octets, _ in charset_accuracy.samples(charset, languages, texts_of=texts):
            said = decode_text(word(charset, octets))
            assert said.translate(charset_accuracy.TWINS) == text.translate(charset_accuracy.TWINS)


BY_CHANCE = [
    ("iso-8859-2", "SPÓŁKA Z O.O."), ("windows-1250", "PÓŹNIEJ"), ("windows-1250", "WSPÓŁPRACA"),
    ("windows-1250", "VÝŠKA"), ("windows-1250", "BLÍŽE"), ("windows-1250", "Úžas"),
    ("windows-1250", "RŮŽENA"), ("windows-1250", "zvlášť"), ("iso-8859-1", "NESCAFÉ®"),
    ("windows-1252", "NESTLÉ™"), ("windows-1252", "PROCÉ…"), ("windows-1251", "Ні"),
]  # fmt: skip


@pytest.mark.parametrize(("charset", "text"), BY_CHANCE)
def test_letters_that_are_utf8_by_chance(charset: str, text: str) -> None:
    octets = text.encode(charset)
    octets.decode()  # it is valid
    assert decode_text(word(charset, octets)) == text


@pytest.mark.parametrize(("charset", "text"), BY_CHANCE)
def test_raw_letters_that_are_utf8_by_chance(charset: str, text: str) -> None:
    def subject(declared: str) -> str:
        lines = [
            "From a@b Tue Mar 19 09:13:51 2019",
            "Subject: ",
            f"Content-Type: text/plain; charset={declared}",
        ]
        block = (
            "\n".join([*lines, "", ""]).encode().replace(b"Subject: ", b"Subject: " + text.encode(charset))
        )
        [message] = unmbox.messages(io.BytesIO(block))
        return message.subject

    assert subject(charset) == text
    assert subject("utf-8") == text.encode(charset).decode()


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("tis-620", "รถ"), ("tis-620", "ลด 50%"), ("tis-620", "เขต"), ("iso-8859-5", "УМ"), ("ibm866", "чай"),
        ("macintosh", "l’élan"), ("gb2312", "谢谢"), ("gb2312", "郑爽"), ("gb2312", "停水通知"),
    ],
)  # fmt: skip
def test_short_words_that_are_utf8_by_chance(charset: str, text: str) -> None:
    octets = text.encode(charset)
    octets.decode()  # it is valid
    assert decode_text(word(charset, octets)) == text


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "shift_jis", "utf-8"])
def test_base64_that_was_cut_at_any_place(charset: str) -> None:
    """In a charset of single octets whatever comes of the pieces is text."""
    text = "Grüße aus Köln" if charset != "shift_jis" else "お茶会の時間"
    octets = base64.b64encode(text.encode(charset))
    for at in range(1, len(octets) - 2):
        words = (b"=?%b?B?%b?=" % (charset.encode(), part) for part in (octets[:at], octets[at:]))
        said = decode_text(b" ".join(words))
        assert said == text or (at % 4 == 3 and charset != "utf-8"), "by chance the spare bits may be zero"


@given(st.lists(st.text("aäéñ xyz", min_size=1, max_size=9), min_size=2, max_size=4))
def test_words_that_lack_their_padding_are_whole_all_the_same(parts: list[str]) -> None:
    for charset in (b"iso-8859-1", b"windows-1252"):
        pieces = (base64.b64encode(part.encode("latin-1")).rstrip(b"=") for part in parts)
        words = b" ".join(b"=?%b?B?%b?=" % (charset, piece) for piece in pieces)
        assert decode_text(b"|" + words + b"|") == "|" + "".join(parts) + "|"
