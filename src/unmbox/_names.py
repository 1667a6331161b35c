"""Family and given names out of display names: split where the form leaves no doubt, else left whole.

A CRM that gets the wrong half of a name addresses people by it for years; one that gets the whole name as
the family name shows it as it was written. So nothing here is a guess by frequency or dictionary.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class PersonName(NamedTuple):
    """A name in two parts; `given` is empty where it was not split."""

    family: str
    given: str = ""


# Han with the marks that repeat or join them, kana but for the middle dot, Hangul.
_HAN = "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f"
_HANGUL = "\uac00-\ud7a3"
_EAST_ASIAN = re.compile(f"[{_HAN}{_KANA}{_HANGUL}]")
_EAST_ASIAN_PART = re.compile(f"[{_HAN}{_KANA}]{{1,5}}|[{_HANGUL}]{{1,4}}")
_KATAKANA = re.compile("[\u30a1-\u30ff\uff66-\uff9f]+")
# "Taro-sama" is how he is addressed, not how he is called.
_HONORIFIC = re.compile(
    r"(?<=\S)(?<!お客)(?<!お得意)(?<!^[奥皆])(?:\s*(?:様|さま|殿|先生)|\s+(?:さん|氏|君|くん|ちゃん))$"
)
_ORGANISATION_EA = re.compile(
    "会社|法人|[(（][株有][)）]|㈱|㈲|銀行|組合|協会|学校|大学|学園|病院|医院|事務|本部|支店|支社|営業|本店"
    "|[部課係室局店社会](?:$| )|担当|窓口|受付|案内|お知らせ|通知|配信|編集"
    "|(?:御中|各位|[部課係社所院局店支]長|会長|専務|常務|主任|教授)$"
    "|電機|電気|電力|電鉄|新聞|放送|役所|役場|商店|商事|製作所|工業|建設|保険|証券|出版|クリニック|ホテル"
    "|センター|サポート|サービス|ショップ|ストア|ニュース|チーム|グループ|スタッフ|メール|ジャパン|クラブ"
)
# A word of one, in mixed or in upper case; initials and apostrophes are a part of names.
_WORD = re.compile(r"[^\W\d_]+(?:['’\u2010-][^\W\d_]+)*")
_INITIAL = re.compile(r"[^\W\d_]\.?")
# Lower-case words that begin a family name.
_PARTICLES: Final = frozenset(
    re.findall(
        r"\w+",
        "af al av bin da das de del della den der di do dos du el la las le ten ter van von vom zu zum zur",
    )
)
# Titles, forms of companies, and words that no person is called by.
_NO_FAMILY: Final = frozenset(
    re.findall(
        r"\w+",
        """
        jr sr ii iii iv phd md esq mba cpa dds dr prof mr mrs ms miss
        inc ltd llc llp plc corp co company gmbh ag kg sa sas srl bv nv ab oy kk limited incorporated
        team support service services news newsletter sales store shop group club info office admin account
        accounts billing notification notifications alert alerts security customer care center centre help
        helpdesk desk no reply noreply bot system list mail mailer daemon online marketing community
        university school college bank japan usa uk international global digital
        the and via on behalf of for at by
        """,
    )
)

# Who writes under these has no name of its own, whatever the display name looks like.
_MACHINE = re.compile(
    r"(?:no|donot|do[-_.]not)[-_.]?reply|(?:mailer[-_.]?daemon|postmaster|notifications?|newsletter|news|alerts?"
    r"|bounces?|support|info|sales|service|services|admin|contact|help|team|billing|office|webmaster)(?=[-_.+@0-9])",
    re.IGNORECASE,
)
# Countries where two words in Latin letters may well be the family name first.
_FAMILY_FIRST = re.compile(r"\.(?:jp|cn|tw|hk|kr|vn|hu|sg)$")


def split_name(name: str, address: str = "") -> PersonName:
    """Split a display name (tidied) into family and given name, where the form leaves no doubt.

    - ``Family, Given``, with one comma, unless what follows is a title or a company's form.
    - East Asian names of two short parts: the family name comes first. Not where both are katakana, which
      a foreign name in its own order is written in, nor where a word of a firm or its offices is in it.
    - Latin names of which one of two words is in upper case: that is the family name.
    - ``Given Family`` in Latin letters: two words, or more where those between are initials or particles
      (``Ludwig van Beethoven``), unless `address` is of a machine, its domain begins with a word of the name
      or its country writes names either way.

    All else is whole, in `family`.
    """
    name = _HONORIFIC.sub("", name)
    if _EAST_ASIAN.search(name):
        return _east_asian(name)
    if name.count(",") == 1:
        return _at_comma(name)
    words = name.split()
    if len(words) < 2 or not all(_WORD.fullmatch(word) or _INITIAL.fullmatch(word) for word in words):
        return PersonName(name)
    if not _NO_FAMILY.isdisjoint(word.lower() for word in words):
        return PersonName(name)
    if len(words) == 2 and (found := _by_capitals(*words)):
        return found
    local, _, domain = address.rpartition("@")
    if _MACHINE.match(f"{local}@") or _FAMILY_FIRST.search(domain):
        return PersonName(name)
    if words[0].lower() in re.split(r"[.-]", domain):
        return PersonName(name)
    return _given_first(words) or PersonName(name)


def _east_asian(name: str) -> PersonName:
    parts = re.split(r"[\s,、]+", name)
    whole = PersonName(name)
    if len(parts) != 2 or _ORGANISATION_EA.search(name):
        return whole
    if not all(map(_EAST_ASIAN_PART.fullmatch, parts)) or all(map(_KATAKANA.fullmatch, parts)):
        return whole
    return PersonName(*parts)


def _at_comma(name: str) -> PersonName:
    family, given = (part.strip() for part in name.split(","))
    words = re.findall(r"[^\W\d_]+", f"{family} {given}".lower())
    fits = len(family.split()) <= 3 and 1 <= len(given.split()) <= 3
    names = all(_WORD.fullmatch(word) or _INITIAL.fullmatch(word) for word in f"{family} {given}".split())
    if family and given and fits and names and _NO_FAMILY.isdisjoint(words):
        return PersonName(family, given)
    return PersonName(name)


def _by_capitals(first: str, second: str) -> PersonName | None:
    """``YAMADA Taro`` and ``Taro YAMADA``: the custom of those whose readers cannot tell."""
    capitals = [word.isupper() and not _INITIAL.fullmatch(word) for word in (first, second)]
    if capitals == [True, False] and second[0].isupper() and len(second) > 1:
        return PersonName(first, second)
    if capitals == [False, True] and first[0].isupper() and len(first) > 1:
        return PersonName(second, first)
    return None


def _given_first(words: list[str]) -> PersonName | None:
    first, *between, last = words
    if len(first) < 2 or _INITIAL.fullmatch(last) or not (first[0].isupper() and last[0].isupper()):
        return None
    family = [last]
    while between and between[-1] in _PARTICLES:
        family.insert(0, between.pop())
    if all(_INITIAL.fullmatch(word) and word[0].isupper() for word in between):
        return PersonName(" ".join(family), " ".join([first, *between]))
    return None
