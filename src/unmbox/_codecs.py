"""Charset names as mail has them, the codecs that they mean, and decoding that keeps what it cannot read."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final, cast

from unmbox._late import late

# What mail calls a charset where Python's own aliases do not lead to the codec that decodes it: other
# names, and names that are used for a superset (as mail programs and the WHATWG read them).
_ALIASES: Final = {
    "latin_1": "cp1252", "ascii": "ascii", "iso8859_9": "cp1254", "tis_620": "cp874", "iso8859_11": "cp874",
    "cp874": "cp874", "iso8859_8_i": "iso8859_8", "iso8859_8_e": "iso8859_8",
    "gb2312": "gb18030", "gbk": "gb18030", "euc_cn": "gb18030", "gb_2312_80": "gb18030",
    "gb_2312": "gb18030", "gb2312_80": "gb18030", "csgb2312": "gb18030", "mac_chinesesimp": "gb18030",
    "hz_gb_2312": "hz", "hz": "hz",
    "big5": "big5hkscs", "cp950": "big5hkscs", "cn_big5": "big5hkscs", "mac_chinesetrad": "big5hkscs",
    "shift_jis": "cp932", "sjis": "cp932", "ms932": "cp932", "mac_japanese": "cp932", "cp31j": "cp932",
    "eucjp_ms": "euc_jp", "cp51932": "euc_jp", "iso_2022_jp_ms": "iso2022_jp", "cp50220": "iso2022_jp",
    "cp50221": "iso2022_jp", "cp50222": "iso2022_jp",
    "euc_kr": "cp949", "ks_c_5601_1987": "cp949", "ks_c_5601": "cp949", "ksc5601": "cp949",
    "koi8": "koi8_r", "koi8_u": "koi8_u", "koi8_ru": "koi8_u", "koi8_t": "koi8_t", "dos_866": "cp866",
    "cp720": "cp720", "cp737": "cp737", "cp856": "cp856", "mac": "mac_roman", "mac_ce": "mac_latin2",
    "mac_centraleurope": "mac_latin2", "utf8mb4": "utf_8", "unicode_1_1_utf_8": "utf_8",
    "unicode_1_1_utf_7": "utf_7", "iso_10646_ucs_2": "utf_16_be",
}  # fmt: skip
_NOT_TEXT: Final = {
    *("base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec")
}
_CODECS: Final = (frozenset(aliases.values()) - _NOT_TEXT) | frozenset(_ALIASES.values())


no_text = late("[\x80-\x9f\ud800-\uf8ff\ufffd]").findall
"""Finds characters that no text holds: what comes of a wrong charset."""
_ESCAPES = late(rb"\x1b(\$[@AB]|\$\([CDOPQ]|\([BJIH])")
# The sets of two octets: what EUC puts before a character of theirs, and the EUC.
_SETS: Final = {
    b"$@": (b"", "euc_jp"), b"$B": (b"", "euc_jp"), b"$(D": (b"\x8f", "euc_jp"),
    b"$A": (b"", "gb2312"), b"$(C": (b"", "euc_kr"),
    b"$(O": (b"", "euc_jis_2004"), b"$(Q": (b"", "euc_jis_2004"), b"$(P": (b"\x8f", "euc_jis_2004"),
}  # fmt: skip
_PAIR = late(rb"[\xa1-\xfe]{2}")
# What ends a run that no escape ends: a blank or control character, which no set has, or an address.
_NO_CHARACTER = late(
    rb"[\x00- \x7f]"
    rb"|<[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,9}>(?=[\s,;]|\Z)"
)
# What goes on behind a blank, where a line was folded: kana, the usual kanji, and no address.
_MORE_WORDS = late(rb"(?: +(?:[!#-%\-0-O{|][!-~])+)+(?<!>) *\Z").match
_MORE_KANA = late(rb"(?: +[!-_]+)+(?<!>) *\Z").match
# Rows of JIS X 0208 in which there is a character, if only a vendor's.
_ASSIGNED = late(rb"(?:[!-(\-0-~][!-~])*[!-~]?")
_MARKS: Final = b'"(),:;>'
# Half-width kana stand among ASCII between SO and SI, or in 8 bits.
_SHIFTED = late(rb"\x0e([!-_]*)\x0f?")
_NO_KANA = late(rb"[\x80-\xa0\xe0-\xff]").search
# A surrogate pair, each half as UTF-8 would have it (CESU-8): of Java, MySQL and Oracle.
_CESU = late(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
# The Euro sign where Python's codec for the superset lacks it, and cp936 and cp950 have it.
_EUROS: Final = {"gb18030": b"\x80", "big5hkscs": b"\xa3\xe1"}
_SURROGATE = late("[\ud800-\udfff]").search
_SINGLE: Final = (b"(B", b"(J", b"(H")
_TO_HIGH: Final = bytes(octet | 0x80 if 0x20 < octet < 0x7F else octet for octet in range(256))


@lru_cache(maxsize=256)
def codec_name(charset: str) -> str | None:
    """Return the Python codec for a MIME charset name, or None for a name that says nothing.

    Takes the misspellings of real mail. Looks into tables only: a made-up name costs no file search.
    """
    name = re.sub(r"[^a-z0-9]+", "_", charset[:60].lower()).strip("_")
    name = re.sub(r"^(?:x_)?(?:(windows|win|cp)_?(?=[0-9]))?", lambda match: "cp" if match[1] else "", name)
    name = re.sub(r"^iso_?8859_?(?=[0-9])", "iso8859_", name)
    codec = aliases.get(name, name)
    codec = _ALIASES.get(name) or _ALIASES.get(codec, codec)
    return codec if codec in _CODECS else None


def decode_strictly(raw: bytes, codec: str) -> str | None:
    """Return `raw` as text, or None where an octet is not of that charset.

    `codec` is a name that `codec_name` gave. Japanese includes NEC row 13 and the IBM extensions (①, ㈱,
    髙), which Python's own ISO-2022-JP and EUC-JP refuse, Chinese the Euro sign, UTF-8 what is CESU-8.
    """
    if codec.startswith("iso2022"):
        if codec == "iso2022_kr" and b"\x1b$)C" not in raw:
            raw = b"\x1b$)C" + raw  # RFC 1557 wants it once; encoded-words leave it out
        elif b"\x0e" in raw and codec.startswith("iso2022_jp"):
            return iso_2022_jp(b"\x1b(B" + raw)
    try:
        return raw.decode(codec)
    except (UnicodeError, LookupError):
        pass
    if codec == "cp1252":
        return raw.decode("latin_1")
    if codec == "utf_8":
        return decode_strictly(_CESU.sub(_joined_surrogates, raw), codec) if _CESU.search(raw) else None
    if codec == "euc_jp" and not no_text(text := raw.decode(codec, "unmbox-lossless")):
        return text
    if codec in _EUROS and _EUROS[codec] in raw:
        text = raw.decode(codec, errors_for(codec))
        return None if _SURROGATE(text) else text
    return iso_2022_jp(raw) if codec.startswith("iso2022_jp") else None


def _joined_surrogates(pair: re.Match[bytes]) -> bytes:
    halves = pair[0].decode("utf_8", "surrogatepass")
    return halves.encode("utf_16_le", "surrogatepass").decode("utf_16_le").encode()


def keeps_ascii(codec: str) -> bool:
    """Say whether ASCII is itself in a charset, without a state: not so in EBCDIC, UTF-16, ISO 2022."""
    plain = "".join(map(chr, range(128)))
    return not codec.startswith(("iso2022", "hz")) and decode_strictly(plain.encode(), codec) == plain


def iso_2022_jp(raw: bytes) -> str | None:
    """Return the text of ISO-2022-JP (RFC 1468), the extensions included; None without its escapes.

    These are ISO-2022-JP-1 to -3 and -2004, what vendors have put into JIS rows, and half-width kana in 8
    bits; any other octet beyond ASCII gives None, too. What is no pair of a JIS row stays as it stands, its
    escape shown.
    """
    if _ESCAPES.search(raw) is None:
        return None
    raw = _ended(raw)
    for codec in ("iso2022_jp_ext", "iso2022_jp_2004", "iso2022_jp_2") if b"\x0e" not in raw else ():
        try:
            return raw.decode(codec)
        except UnicodeError:
            pass
    texts: list[str] = []
    for escape, run in _runs(raw):
        if escape in _SETS:
            text = _of_set(escape, run)
        elif escape == b"(I":
            text = decode_strictly(run.translate(_TO_HIGH), "cp932") if run.isascii() else None
        else:
            text = None if _NO_KANA(run) else _SHIFTED.sub(_kana, run).decode("cp932")
        if text is None and not run.isascii():
            return None
        texts.append((b"\x1b" + escape + run).decode("ascii") if text is None else text)
    return "".join(texts)


def _ended(raw: bytes) -> bytes:
    """Return octets with an escape to ASCII where a run goes on without one into what is ASCII.

    Programs that limit the length of names cut the escape behind them off: the quotes, and the address that
    is named so, are none of their characters.
    """
    first, *rest = _ESCAPES.split(raw)
    parts = [first]
    is_quoted = first.count(b'"') % 2 > 0
    for escape, run, after in zip(rest[::2], rest[1::2], [*rest[2::2], b""], strict=True):
        is_open = (escape in _SETS or escape == b"(I") and after not in _SINGLE
        end = _end_of(escape, run, is_quoted, not after) if is_open else len(run)
        parts += [b"\x1b" + escape, run[:end]]
        if end < len(run):
            parts += [b"\x1b(B", run[end:]]
        if escape in _SINGLE or end < len(run):
            is_quoted ^= run.count(b'"', 0 if escape in _SINGLE else end) % 2 > 0
    return b"".join(parts)


def _end_of(escape: bytes, run: bytes, is_quoted: bool, is_last: bool) -> int:
    """Where a run that no escape ends has its last character."""
    found = _NO_CHARACTER.search(run)
    more_words = _MORE_KANA if escape == b"(I" else _MORE_WORDS
    is_closed = is_quoted and is_last  # by a quote that is none of its characters
    if (not is_closed and more_words(run, found.start())) if found else not is_last:
        return len(run)
    end = found.start() if found else len(run)
    if escape in (b"$@", b"$B") and (assigned := _ASSIGNED.match(run, 0, end)):
        end = assigned.end() if assigned.end() == end else assigned.end() // 2 * 2
    while end and run[end - 1] in _MARKS:
        if is_quoted and found and run[end - 1] == ord('"'):
            is_quoted = False
        elif escape not in _SETS or not end % 2:
            break
        end -= 1
    return end


def _kana(shifted: re.Match[bytes]) -> bytes:
    return shifted[1].translate(_TO_HIGH)


def _runs(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The escapes and what each is for, ASCII first.

    Encoded-words have to end in ASCII: one that ends in mid-character as well is joined with the next.
    """
    first, *rest = _ESCAPES.split(raw)
    runs = [(b"(B", bytearray(first))]
    for escape, run in zip(rest[::2], rest[1::2], strict=True):
        before, cut = runs[-2] if len(runs) > 1 and not runs[-1][1] else (b"", b"")
        if len(cut) % 2 and before == escape in _SETS and runs[-1][0] not in _SETS:
            del runs[-1]
            runs[-1][1].extend(run)
        else:
            runs.append((escape, bytearray(run)))
    return [(escape, bytes(run)) for escape, run in runs]


def _of_set(escape: bytes, run: bytes) -> str | None:
    """The text of a run of characters of two octets.

    Of one in which some pair is none, such as a carrier's emoji, or half of one, a pair at a time.
    """
    if not run.isascii():
        return None
    before, codec = _SETS[escape]
    text = decode_strictly(_PAIR.sub(before + rb"\g<0>", run.translate(_TO_HIGH)), codec)
    if text is not None or escape not in (b"$@", b"$B"):
        return text
    if b" " in run:  # where a line was folded; no character has a blank in it
        return " ".join(filter(None, [_of_set(escape, word) for word in run.split(b" ")]))
    texts = []
    for pair in (run[at : at + 2] for at in range(0, len(run), 2)):
        text = decode_strictly(pair.translate(_TO_HIGH), codec) if len(pair) == 2 else None
        texts.append((b"\x1b" + escape + pair + b"\x1b(B").decode("ascii") if text is None else text)
    return "".join(texts)


def errors_for(codec: str) -> str:
    """Return the error handler that loses nothing; the quicker one where it will do."""
    return "unmbox-lossless" if codec == "euc_jp" or codec in _EUROS else "surrogateescape"


def _lossless(error: UnicodeError) -> tuple[str, int]:
    """Decode what Python's codec lacks, as that of the superset does; else make a surrogate of the octet."""
    if isinstance(error, UnicodeDecodeError) and (euro := _EUROS.get(error.encoding)):
        if error.object.startswith(euro, error.start):
            return "€", error.start + len(euro)
    elif isinstance(error, UnicodeDecodeError) and error.encoding == "euc_jp":
        pair = error.object[error.start : error.start + 2]
        if len(pair) == 2 and min(pair) > 0xA0:
            row, cell = pair[0] - 0xA1, pair[1] - 0xA1
            lead = row // 2 + (0x81 if row < 62 else 0xC1)
            trail = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)
            char = decode_strictly(bytes([lead, trail]), "cp932")
            if char is not None:
                return char, error.start + 2
    return cast("tuple[str, int]", _surrogates(error))


_surrogates = codecs.lookup_error("surrogateescape")
codecs.register_error("unmbox-lossless", _lossless)
