"""The charset of octets that name none.

`decode_8bit` weighs readings: what the octets would say in each charset, and how many bits that text costs
in a language of the charset, given how often its characters occur and how its words are capitalised. What
is known beforehand is added: charsets that the message declares, its body, a locale. The cheapest reading
wins. For names and subjects of a few characters this does better than a detector made for documents (see
``benchmarks/charset_accuracy.py``); chardet is asked only where no reading is a good one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final

from unmbox._codecs import codec_name, decode_strictly, errors_for, iso_2022_jp, keeps_ascii, no_text
from unmbox._frequencies import COMMON
from unmbox._late import late
from unmbox._text_costs import (
    CENTRAL,
    COMMON_CJK,
    LATIN,
    RARE_CJK,
    SYMBOL,
    WESTERN,
    all_words,
    costs_in,
    misplaced,
    patterns,
    seams,
)
from unmbox._utf8 import NEVER_UTF8, is_utf8, may_be_chance, may_be_latin, nearly_utf8, says_rather
from unmbox.errors import UsageError

# What each charset is read as, and how many bits that costs beforehand, for some are met less often.
_READINGS: Final = {
    "cp932": ("ja", 0.0), "euc_jp": ("ja", 0.5), "gb18030": ("zh-cn zh-tw", 0.0), "big5hkscs": ("zh-tw", 0.0),
    "cp949": ("ko", 0.0), "koi8_r": ("ru", 0.5), "cp1251": ("ru uk", 0.0), "koi8_u": ("uk", 2.0),
    "cp1252": (WESTERN, 0.0), "iso8859_15": (WESTERN, 1.0), "cp1250": (CENTRAL, 1.0),
    "iso8859_2": (CENTRAL, 1.5), "cp1254": ("tr", 0.5), "cp1253": ("el", 3.0), "iso8859_7": ("el", 3.5),
    "cp1255": ("he", 4.0), "cp1256": ("ar", 4.0), "cp874": ("th", 4.0), "utf_8": ("any", 8.0),
}  # fmt: skip
_SELDOM: Final = {"is": 5.0, "sk": 2.0, "ro": 1.0, "hr": 0.5}
# Charsets that are weighed only where the message declares them; any other is read as any language.
_DECLARED: Final = {
    "iso8859_5": "ru uk", "cp866": "ru", "mac_cyrillic": "ru", "iso8859_8": "he", "iso8859_6": "ar",
    "mac_roman": WESTERN, "cp850": WESTERN, "cp437": WESTERN, "cp852": CENTRAL, "mac_latin2": CENTRAL,
}  # fmt: skip

# What evidence is worth: a declaration (two less for each that is likelier), a locale, the body at most; what
# other mail of the source is in, and that another charset has the same language.
_PRIOR, _PRIOR_LANGUAGE = 9.0, 5.0
_DECLARATION, _LOCALE, _BODY, _BODY_LANGUAGE = 16.0, 6.0, 40.0, 15.0

_HIGH = late(rb"[\x80-\xff]")
# Octets of a body beyond ASCII that are enough to be sure of its charset.
_SURE: Final = 12
# Words of ASCII alone in a header value are addresses, parameter names, extensions: they do not tell one
# script from another. They end at octets that are never the second one of a CJK character.
_ASCII_WORDS = late(rb"(?<![^\x00-/:-?])[0-9@-~]+(?![^\x00-/:-?])")
# But words of a phrase, which tell one language in Latin script from another, and from those in others.
_PHRASE = late(rb"(?<![^ ])[A-Za-z]{2,}(?![^ ,.!?])").findall
_OTHER_SCRIPT: Final = 3.0
# Tags of a body, whole or cut off, do not either; its other words are prose.
_TAGS = late(rb"<[!-;=?-~][\t-;=?-~]*>?|[\t-;=?-~]*[!-;=?-~]>")
# Latin script has no such runs, and leaving it out here halves the time for all others.
_LONG_RUN = late(rb"[\x80-\xff]{6}").search
_ROW: Final = 2  # octets of which a row of signs is made
# Seldom met in words of Latin script: ``żółć``.
_RUN_OF_FOUR = late(rb"[\x80-\xff]{4}").search
# What is left of a character at the end of a value, or before what ends a name in it.
_CUT = late(r'[\udc80-\udcff](?=[\s"<>(),.:;]|\Z)').search
# What Japan's carriers put where Shift_JIS leaves room.
_EMOJI = late("[\ue000-\ue757]").findall
_NO_CHARACTER = late("[\x00-\x7f\udc80-\udcff\ue000-\uf8ff]+")
_ASCII_LETTERS = late("[A-Za-z]").search
# Rare characters that do not speak against the charset that is declared.
_FEW: Final = 2


# ISO 639-1, with the codes that it once had, such as those for Hebrew and Indonesian.
_LANGUAGES: Final = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id "
    "ie ig ii ik in io is it iu iw ja ji jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln "
    "lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl "
    "ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk "
    "tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu "
)

_Reading = tuple[str, str]


def check_locale(locale: object) -> None:
    """See that a hint is a language's; a country's code (``jp``) would be no hint at all, and nothing told.

    Names of locales are taken as systems write them: ``ja_JP.UTF-8``, ``Japanese_Japan.932``, ``C``.
    """
    if locale is None or locale == "":
        return
    first = r"([A-Za-z]+)(?:[-_.@].*)?"
    found = re.fullmatch(first, locale, re.DOTALL) if isinstance(locale, str) else None
    if found is None or (len(found[1]) == 2 and f"{found[1].lower()} " not in _LANGUAGES):
        raise UsageError(f"locale {locale!r} is no language: write its code, such as ja, zh-TW or ru")


def decode_8bit(
    raw: bytes,
    candidates: Sequence[str] = (),
    *,
    body: bytes = b"",
    locale: str | None = None,
    prior: str = "",
    utf8: bool = False,
) -> tuple[str, str]:
    """Return the text of octets that name no charset, and the Python codec that it was read with.

    Valid UTF-8 is UTF-8 (but for the few characters of `may_be_chance`, in a message whose body says
    otherwise, and of `says_rather`, in one that says what) and ISO 2022 escapes are ISO-2022-JP, whatever
    else is known. `candidates` are charsets that are declared nearby, likeliest first; `utf8` says that UTF-8
    is; `body` is text of the same message as stored; `prior` is the codec that other mail of its source is in
    (`_source_charset`); `locale` is a language tag (``ja``, ``zh_TW``). What cannot be known comes back as
    ASCII with surrogates for the other octets and ``unknown-8bit`` (RFC 1428) for the codec. Never raises.
    """
    escaped = iso_2022_jp(raw) if b"\x1b" in raw else None
    if raw.isascii():
        if escaped is not None:
            return escaped, "iso2022_jp"
        for codec in map(codec_name, candidates):
            if codec in ("hz", "iso2022_kr") and (text := decode_strictly(raw, codec)) is not None:
                return text, codec
        return raw.decode("ascii"), "ascii"
    if (text := decode_strictly(raw, "utf_8")) is not None:
        if not utf8 and (rather := said_rather(raw, text, candidates, sample(body))):
            return rather
        codec = _cjk_codec(sample(body)) if body and may_be_chance(text) else ""
        cjk = common_cjk(raw, codec)
        return (text, "utf_8") if cjk is None else (cjk, codec)
    if escaped is not None:
        return escaped, "iso2022_jp"
    if (text := nearly_utf8(raw, known=utf8 or is_utf8(sample(body)))) is not None:
        return text, "utf_8"
    priors = _priors(tuple(candidates[:8]), locale, prior)
    from_body = _from_body(sample(body), tuple(priors))
    before = {reading: bits + from_body.get(reading, 0.0) for reading, bits in priors.items()}
    weights = _weigh(_ASCII_WORDS.sub(b"", raw[:1000]), _with_phrase(before, raw[:1000]), 0.0)
    codec, language = min(weights, key=weights.__getitem__)
    text = raw.decode(codec, errors_for(codec))
    strange = [costs_in(language)[char] for char in text[:1000] if not char.isascii()]
    rare = RARE_CJK if language in COMMON else SYMBOL
    odd = sum(bits >= rare for bits in strange) + (len(misplaced(text)) if language not in COMMON else 0)
    poor = 2 * odd > len(strange) and from_body.get((codec, language)) != 0.0
    left_over = len(no_text(text))
    if language in COMMON and not seams(text):
        is_declared = codec in map(codec_name, candidates)
        is_known = is_declared or from_body.get((codec, language)) == 0.0 or _is_common(text, language)
        # A rare character or two, or one that was cut, say nothing against what is declared.
        if is_declared:
            poor = poor and (left_over > 0 or len(strange) > _FEW or _ASCII_LETTERS(text) is not None)
        if is_known and left_over == len(_EMOJI(text)) * (codec == "cp932") + bool(_CUT(text)):
            left_over = 0
    if (poor or left_over) and (guess := _ask_chardet(raw)) is not None:
        return guess
    if not poor and 8 * left_over <= len(_HIGH.findall(raw)):
        return text, codec
    return raw.decode("ascii", "surrogateescape"), "unknown-8bit"


def _is_common(text: str, language: str) -> bool:
    """Whether most of the characters of a text, and two of them at least, are as common ones are."""
    bits = [costs_in(language)[char] for char in _NO_CHARACTER.sub("", text)]
    return len(bits) >= _FEW and sum(bits) < COMMON_CJK * len(bits)


def said_rather(raw: bytes, utf8: str, candidates: Sequence[str], lines: bytes) -> tuple[str, str] | None:
    """Return the text that valid UTF-8 rather is, and its codec: the one declared first, else the body's."""
    if not may_be_latin(utf8):
        return None
    codec = codec_name(candidates[0]) if candidates else _body_reading(lines)[0]
    text = decode_strictly(raw, codec) if codec in NEVER_UTF8 else None
    return (text, codec) if text is not None and codec and says_rather(text, utf8) else None


def common_cjk(raw: bytes, codec: str) -> str | None:
    """Return the text of `raw` in a CJK codec if it is of common characters, else None."""
    languages = _languages(codec) if codec in _READINGS else []
    text = decode_strictly(raw, codec) if COMMON.keys() & languages else None
    if text is None or seams(text):
        return None
    strange = [char for char in text if not char.isascii()]
    bits = min(sum(map(costs_in(language).__getitem__, strange)) for language in languages)
    return text if bits < COMMON_CJK * len(strange) else None


def cut_cjk(raw: bytes, codec: str) -> str | None:
    """Return the text of `raw` if its last character was cut, and the others are common ones, else None."""
    is_enough = raw[-1] > 0x7F and len(_HIGH.findall(raw)) > 2 * _FEW
    text = common_cjk(raw[:-1], codec) if is_enough else None
    return None if text is None else text + raw[-1:].decode("ascii", "surrogateescape")


def cjk_for_latin(raw: bytes, codec: str) -> str | None:
    """Return the CJK text of octets whose label names a charset of Latin script, where they are no such text.

    Programs have put their default there. What may give it away are runs of letters beyond ASCII, and
    octets that the charset has no character for; then the readings are weighed, unless all are letters in
    words of one case, or capitalised: ``ĄĆĘŁŃÓŚŹŻ``.
    """
    is_row = len(set(_HIGH.findall(raw))) <= _ROW  # ``€€€€€€``
    said = raw.decode(codec, "surrogateescape")
    if is_row or not (_RUN_OF_FOUR(raw) or no_text(said)) or all_words(said):
        return None
    text, read_as = decode_8bit(raw, [codec])
    return text if COMMON.keys() & _languages(read_as) else None


def _cjk_codec(lines: bytes) -> str:
    """Return the codec of a body that is surely CJK text and no UTF-8, else ""."""
    codec, language = _body_reading(lines)
    return codec if language in COMMON else ""


@lru_cache(maxsize=8)
def _body_reading(lines: bytes) -> _Reading:
    """Return the codec and the language of a body that is surely no UTF-8, else twice ""."""
    if len(_HIGH.findall(lines)) < _SURE or is_utf8(lines) or iso_2022_jp(lines):
        return "", ""
    weights = _weigh(lines, dict.fromkeys(_priors((), None), 0.0), 0.0)
    return min(weights, key=weights.__getitem__)


@lru_cache(maxsize=32)
def _priors(candidates: tuple[str, ...], locale: str | None, prior: str = "") -> dict[_Reading, float]:
    """Return what each reading costs before the octets are looked at."""
    priors = {
        (codec, language): bits + _SELDOM.get(language, 0.0)
        for codec, (languages, bits) in _READINGS.items()
        for language in languages.split()
    }
    for rank, codec in enumerate(map(codec_name, candidates)):
        if codec is not None and codec.startswith("iso2022_jp"):  # the language is named, too
            for near in ("cp932", "euc_jp"):
                priors[near, "ja"] -= _PRIOR
        elif codec is not None and codec != "ascii" and keeps_ascii(codec):
            for language in _languages(codec):
                priors[codec, language] = min(2.0 * rank - _DECLARATION, priors.get((codec, language), 0.0))
    spoken = _languages(prior) if prior else []
    for language in spoken if prior and keeps_ascii(prior) else ():
        priors.setdefault((prior, language), 0.0)
    for codec, language in priors:
        if language in spoken:
            priors[codec, language] -= _PRIOR if codec == prior else _PRIOR_LANGUAGE
    tag = (locale or "").lower().replace("_", "-")
    for reading in priors:
        if tag and (tag.startswith(reading[1]) or reading[1].startswith(tag.partition("-")[0])):
            priors[reading] -= _LOCALE
    return priors


def _languages(codec: str) -> list[str]:
    """The languages that text in a charset is read as."""
    if codec.startswith("iso2022_jp"):
        return ["ja"]
    return (_READINGS[codec][0] if codec in _READINGS else _DECLARED.get(codec, "any")).split()


def _weigh(octets: bytes, before: dict[_Reading, float], margin: float) -> dict[_Reading, float]:
    """Return what the cheapest reading costs, and those that cost up to `margin` more.

    The characters alone are a lower bound of the cost, so most readings need no second look.
    """
    possible: list[tuple[float, _Reading, str]] = []
    with_latin = not _LONG_RUN(octets)
    for (codec, language), bits in before.items():
        if with_latin or language not in LATIN:
            try:
                text = octets.decode(codec, errors_for(codec))
            except UnicodeError:
                continue
            possible.append((bits + sum(map(costs_in(language).__getitem__, text)), (codec, language), text))
    weights: dict[_Reading, float] = {}
    limit = float("inf")
    for bound, reading, text in sorted(possible, key=itemgetter(0)):
        if bound > limit:
            break
        weights[reading] = bound + patterns(text, reading[1])
        limit = min(limit, weights[reading] + margin)
    return weights


def _with_phrase(before: dict[_Reading, float], octets: bytes) -> dict[_Reading, float]:
    """Add to each reading what the ASCII words of a phrase say against its language."""
    words = b" ".join(_PHRASE(octets)).decode("ascii")
    if not words:
        return before
    costs = {one: sum(map(costs_in(one).__getitem__, words)) for one in LATIN}
    least = min(costs.values())
    return {
        reading: bits
        + (
            costs[reading[1]] - least
            if reading[1] in costs
            else 0.0
            if reading[1] in COMMON
            else _OTHER_SCRIPT
        )
        for reading, bits in before.items()
    }


def sample(body: bytes) -> bytes:
    """Return a few lines of a body that hold something other than ASCII, or nothing."""
    found = _HIGH.search(body)
    start = found.start() if found else body.find(b"\x1b$")
    if start < 0:
        return b""
    lines = body[max(start - 100, body.rfind(b"\n", 0, start) + 1) : start + 400]
    return _TAGS.sub(b" ", lines) if b">" in lines else lines


@lru_cache(maxsize=8)
def _from_body(lines: bytes, readings: tuple[_Reading, ...]) -> dict[_Reading, float]:
    """Return what the body holds against each reading; its language alone where its charset is named."""
    if not lines:
        return {}
    try:
        # Not final: the lines may end in mid-character.
        text = iso_2022_jp(lines) or codecs.getincrementaldecoder("utf-8")().decode(lines)
    except UnicodeDecodeError:
        limit, weights = _BODY, _weigh(lines, dict.fromkeys(readings, 0.0), _BODY)
    else:
        limit = _BODY_LANGUAGE
        spoken = {language for _, language in readings} - {"any"}
        costs = {one: sum(map(costs_in(one).__getitem__, text)) + patterns(text, one) for one in spoken}
        weights = {reading: costs.get(reading[1], min(costs.values())) for reading in readings}
    least = min(weights.values())
    return {reading: min(weights.get(reading, least + limit) - least, limit) for reading in readings}


def _ask_chardet(raw: bytes) -> tuple[str, str] | None:
    """Return chardet's reading if it leaves nothing over and most of it is letters."""
    import chardet  # here, for most mail never needs it

    codec = codec_name(chardet.detect(raw[:4096], compat_names=False)["encoding"] or "")
    text = decode_strictly(raw, codec) if codec else None
    if codec is None or text is None or no_text(text) or not keeps_ascii(codec):
        return None
    strange = [char.isalpha() for char in text if not char.isascii()]
    return (text, codec) if 2 * sum(strange) > len(strange) else None
