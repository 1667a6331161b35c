"""Values of any text in 7-bit octets: what was put in comes out, by readers that are not ours."""

from __future__ import annotations

import base64
import quopri
import re
from email import message_from_bytes, policy
from email.utils import collapse_rfc2231_value, getaddresses, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmbox import _encode, _repairs
from unmbox._parameters import encode_parameters, has_raw_boundary

# Line ends are the fold's business and NUL a repair of its own; the rest of Unicode may stand in a value.
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0\x1b"))
words = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", "é", "日本語", "=?UTF-8?Q?x?=", "=?iso-8859-1?Q?=E9?=", "?=", "=?", "x" * 901, "é" * 99]
        ),
        st.text("aé 　\t?=_", max_size=5),
    )
)
spaced = words.map(" ".join)


def said(value: str) -> str:
    """What RFC 2047 §6.2 makes of a value: white space between encoded-words is dropped, these decoded."""

    def decoded(match: re.Match[str]) -> str:
        charset, encoding, text = match.groups()
        quoted = encoding in "Qq"
        octets = quopri.decodestring(text.replace("_", "=20")) if quoted else base64.b64decode(text)
        return octets.decode("ascii" if charset == "unknown-8bit" else charset, "surrogateescape")

    word = r"=\?([^?\s]+)\?([BbQq])\?([^?\s]*)\?="
    value = re.sub(rf"(?<!\S)({word})[ \t]+(?={word}(?!\S))", r"\1\n", value)
    return re.sub(rf"(?<!\S){word}(?!\S)", decoded, value).replace("\n", "")


@given(any_text)
def test_encoded_words_say_what_went_in(text: str) -> None:
    encoded = _encode.encoded_words(text)
    assert encoded.isascii()
    assert said(encoded) == text
    for word in encoded.split(" "):
        assert len(word) <= 75
        said(word).encode()  # whole characters


@given(st.binary())
def test_octets_of_no_known_charset_can_be_had_back(octets: bytes) -> None:
    octets = octets.replace(b"\n", b"")
    text = octets.decode("ascii", "surrogateescape")
    encoded = _encode.encoded_words(text)
    assert ("unknown-8bit" in encoded) == (not octets.isascii())
    assert said(encoded).encode("ascii", "surrogateescape") == octets


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("日本\udce8\udcaa", "=?UTF-8?B?5pel5pys?= =?unknown-8bit?B?6Ko=?="),
        ("日本\udc83", "=?UTF-8?B?5pel5pys?= =?unknown-8bit?Q?=83?="),
        ("Caf\udce9", "=?unknown-8bit?Q?Caf=E9?="),
        ("日\udc83\udc83\udc83\udc83", "=?unknown-8bit?B?5pelg4ODgw==?="),
        ("\udc83日\udc83", "=?unknown-8bit?B?g+aXpYM=?="),
    ],
)
def test_what_was_cut_leaves_the_rest_in_a_known_charset(text: str, encoded: str) -> None:
    assert _encode.encoded_words(text) == encoded


@given(st.text("ab é日\t", max_size=60).map(lambda text: text.strip(" \t")))
def test_only_words_that_need_it_are_encoded(text: str) -> None:
    encoded = _encode.encode_text(text)
    assert encoded.isascii()
    assert said(encoded) == text
    assert [word for word in encoded.split() if "=?" not in word] == [
        word for word in text.split(" ") for word in word.split("\t") if word and word.isascii()
    ]


@given(spaced)
def test_text_with_encoded_words_in_it_still_says_the_same(text: str) -> None:
    encoded = _encode.encode_text(text)
    assert encoded.isascii()
    assert max(map(len, encoded.split()), default=0) <= _encode.MAX_WORD
    if "=?" not in text and "?=" not in text:
        assert said(encoded) == text.strip(" \t") or said(encoded).strip(" \t") == text.strip(" \t")
    assert _encode.encode_text(encoded) == encoded


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain  text", "plain  text"),
        ("Grüße aus Köln", "=?UTF-8?B?R3LDvMOfZQ==?= aus =?UTF-8?B?S8O2bG4=?="),
        ("é é", "=?UTF-8?B?w6kgw6k=?="),
        ("=?utf-8?q?a?= é", "=?utf-8?q?a?= =?UTF-8?B?IMOp?="),
        ("é =?utf-8?q?a?= b", "=?UTF-8?B?w6kg?= =?utf-8?q?a?= b"),
        ("x =?iso-8859-1?Q?Mü_r?= y", "x =?UTF-8?B?TcO8IHI=?= y"),
        ("=?gb2312?Q?中文?=", "=?UTF-8?B?5Lit5paH?="),
        ("=?x-none?Q?é?=", "=?UTF-8?B?w6k=?="),
        ("=?utf-8?Q?a b?= é", "=?utf-8?Q?a b?= =?UTF-8?B?IMOp?="),
        ("a\x1b$B", "=?UTF-8?Q?a=1B=24B?="),
        # Each word in its own charset, glued or apart; what is around stays text.
        ("=?iso-2022-jp?B?GyRCMnE1RBsoQg==?==?utf-8?Q?W=C3=B6 é", "=?UTF-8?B?5Lya6K2wV8O2IMOp?="),
        ("x=?utf-8?Q?W=C3=B6?=  é", "=?UTF-8?B?eFfDtiAgw6k=?="),
        ("=?utf-8?Q?a=?=?utf-8?B?5pel5pys?=é", "=?UTF-8?B?YT0/5pel5pysw6k=?="),
        # Cut off: readers differ on it, so beside what is written anew it is, too.
        ("=?utf-8?Q?W=C3=B6rld é", "=?UTF-8?B?V8O2cmxkIMOp?="),
        ("é =?utf-8?B?5pel5pys", "=?UTF-8?B?w6kg5pel5pys?="),
        ("=?utf-8?Q?W=C3=B6rld", "=?utf-8?Q?W=C3=B6rld"),
    ],
)
def test_encode_text(text: str, encoded: str) -> None:
    assert _encode.encode_text(text) == encoded


def test_a_long_encoded_word_is_cut_where_characters_end() -> None:
    text = "日本語テキスト" * 60
    word = f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="
    for value in (word, f"=?utf-8?Q?before?= {word} after"):
        encoded = _encode.encode_text(value)
        assert all(len(each) <= 75 for each in encoded.split())
        assert said(encoded) == value.replace("=?utf-8?Q?before?= ", "before").replace(word, text)


def test_parts_of_a_character_in_two_words_stay_together() -> None:
    # A program has cut after every 600 octets, in the midst of a character.
    text = "é" * 500
    octets = text.encode()
    halves = [f"=?UTF-8?B?{base64.b64encode(part).decode()}?=" for part in (octets[:799], octets[799:])]
    assert said(_encode.encode_text(" ".join(halves))) == text


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("a@b", "a@b"),
        ("Ann <a@b>, Bob <c@d>", "Ann <a@b>, Bob <c@d>"),
        ("Jürgen Müller <a@b>", "=?UTF-8?B?SsO8cmdlbiBNw7xsbGVy?= <a@b>"),
        ('"Müller, \\"Jo\\"" <a@b>', "=?UTF-8?B?TcO8bGxlciwgIkpvIg==?= <a@b>"),
        ("Ü<a@b>,Ä<c@d>", "=?UTF-8?B?w5w=?= <a@b>, =?UTF-8?B?w4Q=?= <c@d>"),
        ("<a@b> (Ü)", "<a@b> (=?UTF-8?B?w5w=?=)"),
        ("a@b (Ö (ä) z)", "a@b (=?UTF-8?B?w5Y=?= (=?UTF-8?B?w6Q=?=) z)"),
        ("Grüppe: a@b, Ä <c@d>;", "=?UTF-8?Q?Gr=C3=BCppe?=: a@b, =?UTF-8?B?w4Q=?= <c@d>;"),
        ("=?utf-8?Q?Doe,_John?= <c@d>, Ü <a@b>", "=?utf-8?Q?Doe,_John?= <c@d>, =?UTF-8?B?w5w=?= <a@b>"),
        ("Heinz =?iso-8859-1?Q?Mü?= <a@b>", "Heinz =?UTF-8?B?TcO8?= <a@b>"),
        ('"Müller <a@b>, c@d', "=?UTF-8?Q?M=C3=BCller?= <a@b>, c@d"),
        ("(Ü <a@b>", "=?UTF-8?B?KMOc?= <a@b>"),
        ("a@b (c) Ü", "a@b (c) =?UTF-8?B?w5w=?="),
        ("<a@b>Ü", "<a@b> =?UTF-8?B?w5w=?="),
        ("Ü\\é <a@b", "=?UTF-8?B?w5xcw6k=?= <a@b"),
        # Quotes around are none of the name's; half of a character is.
        ('"=?utf-8?Q?=C3=A9?= é" <a@b>', "=?UTF-8?B?w6kgw6k=?= <a@b>"),
        ('"\udc95\\\udc8e" <a@b>', "=?unknown-8bit?B?lVyO?= <a@b>"),
    ],
)
def test_encode_addresses(text: str, encoded: str) -> None:
    assert _encode.encode_addresses(text) == (encoded, False)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("Jø <jø@exämple.org>", "=?UTF-8?B?SsO4?= <j%C3%B8@xn--exmple-cua.org>"),
        ("a@ä", "a@xn--4ca"),
        # Other domains than "fass" and "βόλοσ" (RFC 5894 §7.2), and by the codec's rules of 2003 the same.
        ("<j@faß.de>", "<j@xn--fa-hia.de>"),
        ("<j@βόλος.com>", "<j@xn--nxasmm1c.com>"),
        ("<j@STRAẞE.Käse.de>", "<j@xn--strae-oqa.xn--kse-qla.de>"),
        ("<j@" + "ß" * 60 + ".de>", "<j@" + "%C3%9F" * 60 + ".de>"),
        ('"ü x"@b (c)', '"%C3%BC x"@b (c)'),
        ("<ü@" + "ä" * 300 + ">", "<%C3%BC@" + "%C3%A4" * 300 + ">"),
        ("<a@\udce9>", "<a@%E9>"),
        # Marks that a domain's normal form would make ASCII are no syntax.
        ("x@b．c，evil", "x@b%EF%BC%8Ec%EF%BC%8Cevil"),
        ("x@b；y", "x@b%EF%BC%9By"),
        ("a@b（c）", "a@b%EF%BC%88c%EF%BC%89"),
        ("a@ﷺ.com", "a@%EF%B7%BA.com"),
        ("x@℀.com", "x@%E2%84%80.com"),
        ("x@ｂ．c", "x@b.c"),
        # But they are one where an address is spelled in them.
        ("山田太郎＜a@b.c＞", "=?UTF-8?B?5bGx55Sw5aSq6YOO?= <a@b.c>"),
        ("山田 <ａ＠ｂ．ｃ>, x＠y.z", "=?UTF-8?B?5bGx55Sw?= <a@b.c>, x@y.z"),
        ('"＜a@b.c＞" <d@e.f>, a＠b.c', "=?UTF-8?B?77ycYUBiLmPvvJ4=?= <d@e.f>, a@b.c"),
        ("＜a@b.c＞ <d@e.f>, a＠b.c", "=?UTF-8?B?77ycYUBiLmPvvJ4=?= <d@e.f>, a@b.c"),
    ],
)
def test_addresses_beyond_ascii_get_a_form_and_say_so(text: str, encoded: str) -> None:
    wanted = None if len(encoded) > _encode.MAX_WORD else (encoded, True)
    assert _encode.encode_addresses(text) == wanted


def test_addresses_are_loosened_and_too_long_ones_given_up() -> None:
    assert _encode.encode_addresses('a@b,"c,d"<e@f>,(g,h),', loose=True) == (
        'a@b, "c,d"<e@f>, (g,h), ',
        False,
    )
    assert _encode.encode_addresses("=?utf-8?Q?a,b?= <c@d>,e@f", loose=True) == (
        "=?utf-8?Q?a,b?= <c@d>, e@f",
        False,
    )
    assert _encode.encode_addresses("x" * 901 + "@b") is None
    assert _encode.encode_addresses("<" + "x" * 901 + "@b>") is None
    long_name = _encode.encode_addresses('"' + "x" * 901 + '" <a@b>')
    assert long_name is not None
    assert said(long_name[0]) == "x" * 901 + " <a@b>"


names = st.text(st.sampled_from('aé日,.;:<>()"\\ @'), min_size=1, max_size=12).filter(
    lambda name: name.strip()
)


@given(
    st.lists(st.tuples(names, st.sampled_from(["a@b.example", "x.y+z@example.org"])), min_size=1, max_size=4)
)
def test_names_and_addresses_come_out_as_they_went_in(people: list[tuple[str, str]]) -> None:
    quoted = [(re.sub(r'(["\\])', r"\\\1", name), address) for name, address in people]
    encoded = _encode.encode_addresses(", ".join(f'"{name}" <{address}>' for name, address in quoted))
    assert encoded is not None
    assert not encoded[1]
    assert [(said(name), address) for name, address in getaddresses([encoded[0]])] == people


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ('text/plain; name="a.txt"', 'text/plain; name="a.txt"'),
        ('text/plain; name="é a.txt"; charset=x', "text/plain; name*=UTF-8''%C3%A9%20a.txt; charset=x"),
        ("application/pdf; name=Übung 1.pdf", "application/pdf; name*=UTF-8''%C3%9Cbung%201.pdf"),
        ("attachment; filename*=utf-8''naïve", "attachment; filename*=UTF-8''na%C3%AFve"),
        # The rest of the value says that it was Latin-1.
        (
            "attachment; filename*=iso-8859-1''na%EFve-é.txt",
            "attachment; filename*=UTF-8''na%C3%AFve-%C3%A9.txt",
        ),
        ("attachment; filename*=x''%E9é", "attachment; filename*=unknown-8bit''%E9%C3%A9"),
        # All parts of a value are one text.
        ('a; n*0="é"; n*1="b é.txt"; c=d', "a; n*=UTF-8''%C3%A9b%20%C3%A9.txt; c=d"),
        ('a; n*0="a"; n*1=é', "a; n*=UTF-8''a%C3%A9"),
        ("a; n*1*=%C3%A9; x=y; n*0*=UTF-8''é", "a; x=y; n*=UTF-8''%C3%A9%C3%A9"),
        ("a; n*0*=shift_jis''%95%5C; n*1=示", "a; n*=UTF-8''%E8%A1%A8%E7%A4%BA"),
        ("a; n*0*=UTF-8''x%C3; n*1*=%A9é", "a; n*=UTF-8''x%C3%A9%C3%A9"),
        # After a gap, and without a beginning.
        ("a; n*0=é; n*2=b", "a; n*=UTF-8''%C3%A9; n*2=b"),
        ('a; n*1="é"', 'a; n*1="=?UTF-8?B?w6k=?="'),
        # An encoded-word, which has no place in a parameter and is there all the same.
        ('a; n="=?iso-8859-1?Q?M=FC?= é"; c=d', "a; n*=UTF-8''M%C3%BC%20%C3%A9; c=d"),
        ("a; n==?utf-8?B?w6k=?=ü", "a; n*=UTF-8''%C3%A9%C3%BC"),
        # A path, and half of a character whose charset nobody knows.
        ('a; n="C:\\dé.txt"', "a; n*=UTF-8''C%3A%5Cd%C3%A9.txt"),
        ("a; n*=utf-8''\"é.txt\"", "a; n*=UTF-8''%C3%A9.txt"),
        ('a; n="\udc95\\\udc8e.txt"', "a; n*=unknown-8bit''%95%5C%8E.txt"),
        ('a; n="\udc95\\\\x"', "a; n*=unknown-8bit''%95%5C%5Cx"),
        (
            "attachment; filename*=UTF-8''a; filename=ü",
            "attachment; filename*=UTF-8''a; filename=\"=?UTF-8?B?w7w=?=\"",
        ),
        ('x; name="a\\"é;b"; c=d', "x; name*=UTF-8''a%22%C3%A9%3Bb; c=d"),
        ("é/x; a=b", "%C3%A9/x; a=b"),
        ("a/b; (é)", "a/b; (%C3%A9)"),
        ("a/b; name=\udce9", "a/b; name*=unknown-8bit''%E9"),
        # A semicolon is missing, or there are quotes inside.
        ('a; n="é" size=12; c=d', "a; n*=UTF-8''%C3%A9; size=12; c=d"),
        ('a; n="é"size="1" m="ü"', "a; n*=UTF-8''%C3%A9;size=\"1\"; m*=UTF-8''%C3%BC"),
        ('a; n="é "b" c.txt"', "a; n*=UTF-8''%C3%A9%20%22b%22%20c.txt"),
        # Two of the same name: readers would join them.
        ("a; n=é; N=ü", "a; n*=UTF-8''%C3%A9; N=\"=?UTF-8?B?w7w=?=\""),
    ],
)
def test_encode_parameters(text: str, encoded: str) -> None:
    assert encode_parameters(text) == (encoded, False)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ('a; n="é.pdf" (my file); c=d', "a; n*=UTF-8''%C3%A9.pdf; c=d"),
        ('text/plain; charset="utf-8" (Grüße)', 'text/plain; charset="utf-8"'),
        ('a/b; boundary="b" (Grüße)', 'a/b; boundary="b"'),
        ('a; n="é" m="ü" (c)', "a; n*=UTF-8''%C3%A9; m*=UTF-8''%C3%BC"),
    ],
)
def test_what_follows_a_quoted_value_is_no_part_of_it(text: str, encoded: str) -> None:
    assert encode_parameters(text) == (encoded, True)


@pytest.mark.parametrize(
    ("text", "raw"),
    [('a/b; boundary="b\udcfc"', True), ("a/b; Boundary=é", True), ('a/b; boundary="b" (é); n=é', False)],
)
def test_a_raw_boundary_is_known(text: str, raw: bool) -> None:
    assert has_raw_boundary(text) is raw


def test_parameters_are_loosened() -> None:
    assert encode_parameters('a/b;c="d;e";f=g', loose=True) == ('a/b; c="d;e"; f=g', False)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_file_names_come_out_as_they_went_in(name: str) -> None:
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    encoded, _ = encode_parameters(f'attachment; filename="{quoted}"; size=1')
    if name.isascii():
        assert encoded == f'attachment; filename="{quoted}"; size=1'
        return
    raw = _encode.fold("Content-Disposition", encoded)
    assert raw is not None
    message = message_from_bytes(raw + b"\n\n", policy=policy.compat32)
    found = message.get_param("filename", header="content-disposition")
    assert isinstance(found, tuple)
    assert unquote(collapse_rfc2231_value(found)) == unquote(name)
    assert message.get_param("size", header="content-disposition") == "1"


@given(name=st.sampled_from(["A", "Subject", "X" * 990]), value=spaced.filter(str.isascii))
def test_a_fold_changes_nothing_but_lines(name: str, value: str) -> None:
    folded = _encode.fold(name, value)
    fitting = all(len(word) + 1 <= 998 for word in re.split(r"[ \t]", value))
    assert (folded is not None) >= fitting
    if folded is None:
        return
    head, _, rest = folded.decode().partition(":")
    assert head == name
    assert rest.replace("\n", "").strip(" \t") == value.strip(" \t")
    for line in folded.split(b"\n")[1:]:
        assert line.strip(b" \t")
    for line in folded.split(b"\n"):
        assert len(line) <= 998
        assert len(line) <= 76 or len(line.split()) == 1 or len(name) > 70


def test_no_fold_tears_a_sinful_encoded_word() -> None:
    value = " ".join(["=?utf-8?Q?a b c d e f g?="] * 9)
    folded = _encode.fold("Subject", value)
    assert folded is not None
    assert folded.count(b"\n") > 2
    assert b"a b c d e f g" in folded
    assert len(re.findall(rb"=\?utf-8\?Q\?a b c d e f g\?=", folded)) == 9


def test_runs_of_white_space_that_fill_a_line_become_one_space() -> None:
    assert _encode.fold("X", "a" + " " * 2000 + "b") == b"X: a b"
    assert _encode.fold("X", "x" * 999) is None


def test_loosened_and_percent_encoded() -> None:
    assert _repairs._loosened(b"<a><b>, c;d; e") == b"<a> <b>, c; d; e"
    kept = b'<a,b;c@d> i="a;b,\\"c;d" (\\,) <x;y>'
    assert _repairs._loosened(kept + b";z") == kept + b"; z"
    assert _encode.percent_encoded(b"a\xe9\x1b%41") == b"a%E9%1B%41"
