"""Charset names as mail has them, the codecs that they mean, and decoding that keeps what it cannot read."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final, cast

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


no_text = re.compile("[\x80-\x9f\ud800-\uf8ff\ufffd]").findall
"""Finds characters that no text holds: what comes of a wrong charset."""
_ESCAPES = re.compile(rb"\x1b(\$[@B]|\([BJIH]|\$\(D)")
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
    髙), which Python's own ISO-2022-JP and EUC-JP refuse.
    """
    if codec == "iso2022_kr" and b"\x1b$)C" not in raw:
        raw = b"\x1b$)C" + raw  # RFC 1557 wants it once; encoded-words leave it out
    try:
        return raw.decode(codec)
    except (UnicodeError, LookupError):
        pass
    if codec == "cp1252":
        return raw.decode("latin_1")
    if codec == "euc_jp" and not no_text(text := raw.decode(codec, "unmbox-lossless")):
        return text
    return iso_2022_jp(raw) if codec.startswith("iso2022_jp") else None


def keeps_ascii(codec: str) -> bool:
    """Say whether ASCII is itself in a charset, without a state: not so in EBCDIC, UTF-16, ISO 2022."""
    plain = "".join(map(chr, range(128)))
    return not codec.startswith(("iso2022", "hz")) and decode_strictly(plain.encode(), codec) == plain


def iso_2022_jp(raw: bytes) -> str | None:
    """Return the text of ISO-2022-JP (RFC 1468), the extensions included; None without its escapes.

    What is no pair of a JIS row stays as it stands, its escape shown.
    """
    if not raw.isascii() or _ESCAPES.search(raw) is None:
        return None
    text: str | None
    try:
        return raw.decode("iso2022_jp_ext")
    except UnicodeError:
        pass
    first, *rest = _ESCAPES.split(raw)
    texts = [first.decode("ascii")]
    for escape, run in zip(rest[::2], rest[1::2], strict=True):
        text = run.decode("ascii")
        if escape in (b"$@", b"$B"):
            text = decode_strictly(run.translate(_TO_HIGH), "euc_jp")
        elif escape == b"(I":
            text = decode_strictly(run.translate(_TO_HIGH), "cp932")
        elif escape == b"$(D":
            pairs = re.sub(rb"[\xa1-\xfe]{2}", b"\x8f\\g<0>", run.translate(_TO_HIGH))
            text = decode_strictly(pairs, "euc_jp")
        texts.append(_pairs(escape, run) if text is None else text)
    return "".join(texts)


def _pairs(escape: bytes, run: bytes) -> str:
    """A run of a JIS set in which some pair is none, such as a carrier's emoji, or half of one."""
    if escape not in (b"$@", b"$B"):
        return (b"\x1b" + escape + run).decode("ascii")
    texts = []
    for pair in (run[at : at + 2] for at in range(0, len(run), 2)):
        text = decode_strictly(pair.translate(_TO_HIGH), "euc_jp") if len(pair) == 2 else None
        texts.append((b"\x1b" + escape + pair + b"\x1b(B").decode("ascii") if text is None else text)
    return "".join(texts)


def errors_for(codec: str) -> str:
    """Return the error handler that loses nothing; the quicker one where it will do."""
    return "unmbox-lossless" if codec == "euc_jp" else "surrogateescape"


def _lossless(error: UnicodeError) -> tuple[str, int]:
    """Decode a JIS row that Python's EUC-JP lacks, as cp932 does; else make a surrogate of the octet."""
    if isinstance(error, UnicodeDecodeError) and error.encoding == "euc_jp":
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
