"""Relative paths: legal everywhere, the same everywhere, never outside, never twice the same."""

from __future__ import annotations

import os
import re
import string
import subprocess
import sys
import time
import unicodedata
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from unmbox import naming
from unmbox.errors import UsageError
from unmbox.naming import DEFAULT_LAYOUT, Layout

DATE = datetime(2019, 3, 19, 9, 13, 51, tzinfo=timezone(timedelta(hours=9)))
HASH = "0123456789ab"
LAYOUTS = [
    DEFAULT_LAYOUT,
    "{hash}",
    "{sender}/{subject}_{hash}",
    "{subject}/{sender}/{subject}.{hash}",
    "{subject}.{hash}",
    "COM{subject}/lpt{sender}.{hash}",
    "メール/{year}-{month}/{sender}/{day} {time} {subject} ({hash})",
    "100%/{subject}{sender}{subject}{sender}{subject}{sender}_{hash}",
]
# Everything that has ever hurt, and surrogates and unassigned code points, which plain `text()` leaves out.
NASTY = st.sampled_from(
    [
        *'<>:"/\\|?*\0\n\r\t\x1b\x7f\x85 .-~_%{}',
        *("..", "../", "con", "PRN", "aux.txt", "nul ", "COM1", "com¹", "lpt0.x", "conin$"),
        *("quarantine", "unmbox-manifest.sqlite"),
        *("\u202e", "\u200d", "\ud800", "\udcff", "\ue000", "\uffff", "\U000e0041", "\u0378", "\u3164"),
        *("\u0301", "e\u0301", "\u0345", "\u212b", "\u1100\u1161", "か\u3099", "が"),
        *("ß", "İ", "ı", "ﬁ", "🎉", "x" * 61, "字" * 70, "🎉" * 65, "e" + "\u0301" * 80, "\u0301" * 80),
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(codec=None)),
    st.lists(st.one_of(NASTY, st.text(max_size=3)), max_size=8).map("".join),
)
ZONES = st.one_of(st.none(), st.integers(-1439, 1439).map(lambda minute: timezone(timedelta(minutes=minute))))
DATES = st.one_of(st.none(), st.datetimes(timezones=ZONES))
HASHES = st.text(string.digits + "abcdef", min_size=12, max_size=12)
DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    name + digit for name in ("COM", "LPT") for digit in "0123456789¹²³"
}


def path(layout: str = DEFAULT_LAYOUT, **values: object) -> str:
    fields = {"date": DATE, "subject": "Hello", "sender": "bob@example.org", "hash": HASH} | values
    return Layout(layout).path(**fields)  # type: ignore[arg-type]


def collision_key(name: str) -> str:
    """What a file system at its most forgiving would compare."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).upper().casefold())


def assert_legal(name: str) -> None:
    assert len(name.encode("utf-16-le")) // 2 <= 200
    assert len(name.encode()) <= 400
    assert name.endswith(".eml")
    assert name == unicodedata.normalize("NFC", name)
    assert not PurePosixPath(name).is_absolute()
    assert not PureWindowsPath(name).drive
    assert not PureWindowsPath(name).root
    for component in name.split("/"):
        assert component
        assert 0 < len(component.encode()) <= 255
        assert len(component.encode("utf-16-le")) // 2 <= 255
        assert not set(component) & set('<>:"\\|?*')
        assert component[0] not in " .-~"
        assert component[-1] not in " ."
        assert component.partition(".")[0].rstrip(" ").upper() not in DEVICES
        assert component.lower() != "quarantine"
        assert not component.lower().startswith("unmbox-manifest")
        for char in component:
            assert char == " " or unicodedata.category(char)[0] not in "CZ", hex(ord(char))


@pytest.mark.parametrize("layout", LAYOUTS)
@given(date=DATES, subject=TEXTS, sender=TEXTS, digits=HASHES)
@example(date=None, subject="", sender="", digits=HASH)
@example(date=None, subject="..", sender="../..", digits=HASH)
@example(date=datetime.min, subject="1", sender="¹", digits=HASH)  # noqa: DTZ901
@example(date=datetime.max, subject="🎉" * 99, sender="🎉" * 99, digits=HASH)  # noqa: DTZ901
@example(date=DATE, subject="con", sender="quarantine", digits=HASH)
@example(date=DATE, subject="aux .", sender="Unmbox-Manifest.sqlite-wal", digits=HASH)
def test_any_text_gives_a_legal_path(
    layout: str, date: datetime | None, subject: str, sender: str, digits: str
) -> None:
    compiled = Layout(layout)
    name = compiled.path(date=date, subject=subject, sender=sender, hash=digits)
    assert_legal(name)
    assert digits in name.rpartition("/")[2]
    assert name == compiled.path(date=date, subject=subject, sender=sender, hash=digits)


@pytest.mark.parametrize("layout", LAYOUTS[:5])
@given(
    messages=st.lists(
        st.tuples(DATES, TEXTS, TEXTS, HASHES), min_size=2, max_size=6, unique_by=lambda message: message[3]
    )
)
def test_other_hashes_never_collide_nor_do_folders(
    layout: str, messages: list[tuple[datetime | None, str, str, str]]
) -> None:
    compiled = Layout(layout)
    names = [compiled.path(date=d, subject=s, sender=f, hash=h) for d, s, f, h in messages]
    assert len({collision_key(name) for name in names}) == len(names)
    # Folders may be shared, but only under one spelling: else the tree would depend on who came first.
    folders = {folder for name in names for folder in map(str, PurePosixPath(name).parents)}
    assert len({collision_key(folder) for folder in folders}) == len(folders)


@given(text=TEXTS)
@example("Straße")
@example("ͅα")
@example("ΐ\u1fd3")
def test_spellings_of_one_sender_are_one_folder(text: str) -> None:
    def folder(sender: str) -> str:
        return path("{sender}/{hash}", sender=sender).rpartition("/")[0]

    plain = "x" + text  # an edge that is stripped in one form only would be another sender
    forms = [unicodedata.normalize(form, plain) for form in ("NFC", "NFD")]
    assume(all(len(form) <= 60 for form in forms))
    kept = "".join(char for char in forms[0] if ord(char) < 0x10000)
    assert folder(forms[0]) == folder(forms[1])
    assert folder(kept.upper()) == folder(kept.upper().lower())


def test_every_code_point_is_kept_or_goes_but_never_hurts() -> None:
    layout = Layout("{sender}/{subject}_{hash}")
    # Planes 4 to 13 are unassigned throughout, 15 and 16 private: their edges stand for them.
    for start in [*range(0, 0x40000, 32), *range(0xDFFE0, 0xE1000, 32), 0xFFFE0, 0x10FFE0]:
        text = "".join(map(chr, range(start, start + 32)))
        assert_legal(layout.path(date=None, subject="a" + text, sender="b" + text, hash=HASH))


def test_what_people_write_is_kept() -> None:
    for text in (
        "Grüße aus Köln",
        "会議の議事録について",
        "髙橋様（株）",
        "Привет, мир!",
        "हिन्दी में संदेश",
        "안녕하세요",
        "𠮷野家",
        "Party 🎉🥳",
        "₹500 or €5",
        "it's [done] (100%) #1 & {more}",
    ):
        assert path("{subject}_{hash}", subject=text) == f"{text}_{HASH}.eml"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Re: Hello", "Re Hello"),
        ("a/b\\c", "a b c"),
        ("../../etc/passwd", "etc passwd"),
        ("  two\r\n\tlines  ", "two lines"),
        ("--help", "help"),
        (".hidden.", "hidden"),
        ("~root", "root"),
        ("", "no subject"),
        ("???", "no subject"),
        ("... - ...", "no subject"),
        ("\u0301\u0302", "no subject"),
        ("report\u202egpj.exe", "reportgpj.exe"),
        ("zero\u200bwidth\u00adhyphen", "zerowidthhyphen"),
        ("葛\U000e0100城", "葛城"),
        ("undecoded \udce9\udc80 octets", "undecoded octets"),
        ("private \ue000 use", "private use"),
        ("か\u3099", "が"),
        ("e\u0301te\u0301", "été"),
        ("全角　空白", "全角 空白"),
        ("x" * 59 + " y", "x" * 59),
        ("x" * 59 + "e\u0301", "x" * 59 + "é"),
        ("x" * 59 + "q\u0301", "x" * 59),
        ("x" + "\u0301" * 70, "no subject"),
        ("🎉" * 61, "🎉" * 55),
    ],
)
def test_subjects(subject: str, expected: str) -> None:
    assert path(subject=subject) == f"2019/03/2019-03-19_091351_{expected}_{HASH}.eml"


def test_a_megabyte_of_subject_costs_no_more_than_its_beginning() -> None:
    started = time.perf_counter()
    assert path("{subject}_{hash}", subject="字" * 1_000_000) == "字" * 60 + f"_{HASH}.eml"
    assert path("{subject}_{hash}", subject="a\u0301\u0316" * 1_000_000).endswith(f"_{HASH}.eml")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("layout", "values", "expected"),
    [
        ("{subject}.{hash}", {"subject": "con"}, f"_con.{HASH}.eml"),
        ("{subject}.{hash}", {"subject": "conx"}, f"conx.{HASH}.eml"),
        ("COM{subject}/{hash}", {"subject": "1"}, f"_COM1/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "LPT²"}, f"_lpt²/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "Nul.txt"}, f"_nul.txt/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "Quarantine"}, f"_quarantine/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "unmbox-manifest.sqlite"}, f"_unmbox-manifest.sqlite/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "Bob <Bob@Example.org>"}, f"bob bob@example.org/{HASH}.eml"),
        ("{sender}_{hash}", {"sender": "Bob@Example.org"}, f"Bob@Example.org_{HASH}.eml"),
        ("{sender}/{hash}", {"sender": ""}, f"unknown/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "STRASSE"}, f"strasse/{HASH}.eml"),
        ("{sender}/{hash}", {"sender": "Straße"}, f"strasse/{HASH}.eml"),
        ("{day}.{month}.{year}/{hash}", {}, f"19.03.2019/{HASH}.eml"),
        ("{hash}.EML", {}, f"{HASH}.eml"),
        ("{{{hash}}}", {}, f"{{{HASH}}}.eml"),
        ("{hash}", {"date": None}, f"{HASH}.eml"),
    ],
)
def test_layouts(layout: str, values: dict[str, object], expected: str) -> None:
    assert path(layout, **values) == expected


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (DEFAULT_LAYOUT, f"undated/Hello_{HASH}.eml"),
        ("{date}_{time}_{subject}_{hash}", f"undated_Hello_{HASH}.eml"),
        ("{year}{month}/{hash}", f"undated/{HASH}.eml"),
        ("{year}-{month}/{hash}", f"undated/{HASH}.eml"),
        ("mail of {year}/{subject} {day} {hash}", f"mail of undated/Hello {HASH}.eml"),
        ("{year}/{subject} {day}/{hash}", f"undated/hello/{HASH}.eml"),
        ("{year}/{subject} . {day}_/{hash}", f"undated/hello/{HASH}.eml"),
        ("{year}/on {day}/{hash}", f"undated/{HASH}.eml"),
        ("{sender}/{subject}_{hash}", f"bob@example.org/Hello_{HASH}.eml"),
    ],
)
def test_messages_without_a_date(layout: str, expected: str) -> None:
    assert path(layout, date=None) == expected


@given(date=st.datetimes(timezones=ZONES))
def test_the_date_is_as_written(date: datetime) -> None:
    day, clock = date.isoformat()[:10], date.isoformat()[11:19].replace(":", "")
    assert path(date=date) == f"{date.year:04d}/{date.month:02d}/{day}_{clock}_Hello_{HASH}.eml"


def test_dated_names_sort_by_date() -> None:
    days = [(9, 1, 1), (999, 12, 31), (1969, 2, 1), (2019, 10, 9), (2019, 10, 10)]
    names = [path(date=datetime(*day, tzinfo=timezone.utc)) for day in days]
    assert all(earlier < later for earlier, later in pairwise(names))


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ("", "a name is empty"),
        ("{subject}", "needs {hash}"),
        ("{hash}/{subject}", "write {subject}_{hash}"),
        ("{hash}/", "a name is empty"),
        ("/{hash}", "relative path"),
        ("//server/{hash}", "relative path"),
        ("a//{hash}", "a name is empty"),
        ("../{hash}", "'..' begins a name"),
        ("a/../{hash}", "'..' begins a name"),
        ("./{hash}", "'.' begins a name"),
        ("C:/{hash}", "':' cannot stand in a file name"),
        ("mail\\{hash}", "folders are separated by /"),
        ("a\0{hash}", "'\\x00' cannot stand"),
        ("\u202e{hash}", "'\\u202e' cannot stand"),
        ("~/{hash}", "'~' begins a name"),
        ("-x{hash}", "begin it with a letter"),
        (" x{hash}", "begin it with a letter"),
        ("\u0301{hash}", "begin it with a letter"),
        ("x./{hash}", "ends a name"),
        ("x /{hash}", "ends a name"),
        ("{hash}.", "ends a name"),
        ("{label}_{hash}", "{label} is no field; write one of {year}, {month}, {day}"),
        ("{}_{hash}", "{} is no field"),
        ("{0}_{hash}", "{0} is no field"),
        ("{subject.x}_{hash}", "is no field"),
        ("{subject:>20}_{hash}", "write {subject} without '>20'"),
        ("{subject!r}_{hash}", "write {subject} without 'r'"),
        ("{subject_{hash}", "write a field as {subject}"),
        ("}{hash}", "a brace as {{ or }}"),
        ("con/{hash}", "'con' is a reserved name; write _con"),
        ("quarantine/{hash}", "reserved name"),
        ("unmbox-manifest.{hash}", "reserved name"),
        ("x" * 184 + "{hash}", "too long"),
        ("字" * 82 + "{hash}", "too long"),
        ("字" * 60 + "/" + "字" * 70 + "/{hash}", "too long"),
        ("{year}/" * 40 + "{hash}", "too long"),
    ],
)
def test_a_bad_layout_says_what_to_write(layout: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        Layout(layout)


@given(st.text(st.sampled_from("ab/.{}hash_\\ subject~:é\u0301-%"), max_size=30))
def test_a_layout_is_refused_or_works(start: str) -> None:
    try:
        layout = Layout(start + "{hash}")
    except UsageError:
        return
    for date in (DATE, None):
        assert_legal(layout.path(date=date, subject="S", sender="F", hash=HASH))


def test_the_longest_layout_that_is_taken_always_works() -> None:
    layout = Layout("x" * 140 + "/{subject}{sender}/{subject}_{hash}")
    for text in ("x" * 300, "🎉" * 300, "字" * 300, "", "con", "e" + "\u0301" * 300):
        for date in (DATE, None):
            assert_legal(layout.path(date=date, subject=text, sender=text, hash=HASH))


@pytest.mark.parametrize("digits", ["", "0123456789a", "0123456789abc", "0123456789AB", "../456789abc"])
def test_a_bad_hash_is_bad_use(digits: str) -> None:
    with pytest.raises(UsageError, match="12 lower-case hexadecimal digits"):
        path(hash=digits)


def test_fields_say_what_to_compute() -> None:
    assert Layout().fields == {"year", "month", "date", "time", "subject", "hash"}
    assert Layout("{hash}").fields == {"hash"}
    assert repr(Layout("{hash}")) == "Layout('{hash}')"
    assert Layout("{hash}").template == "{hash}"


def test_memory_does_not_grow_with_the_characters_seen() -> None:
    layout = Layout("{subject}_{hash}")
    for start in range(0x4E00, 0x9F00, 50):
        layout.path(date=None, subject="".join(map(chr, range(start, start + 50))), sender="", hash=HASH)
        assert len(naming._replacements) <= 4096


@pytest.mark.parametrize("zone", ["UTC0", "JST-9", "PST8PDT"])
def test_the_machine_has_no_say(zone: str) -> None:
    """Another process with another time zone, locale and hash seed gives the same names."""
    script = (
        "from datetime import datetime, timezone, timedelta\n"
        "from unmbox.naming import Layout\n"
        "layout = Layout('{sender}/{year}/{date}_{time}_{subject}_{hash}')\n"
        "far = timezone(timedelta(hours=14))\n"
        "for date in datetime(2019, 3, 19, 23), datetime(2019, 3, 19, tzinfo=far):\n"
        "    name = layout.path(date=date, subject='Grüße 🎉', sender='İı', hash='0123456789ab')\n"
        "    print(ascii(name))\n"
    )
    source = str(Path(naming.__file__).parents[1])
    environment = {**os.environ, "TZ": zone, "LC_ALL": "C", "PYTHONHASHSEED": "random", "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        ascii(path)
        for path in (
            "i̇i/2019/2019-03-19_230000_Grüße 🎉_0123456789ab.eml",
            "i̇i/2019/2019-03-19_000000_Grüße 🎉_0123456789ab.eml",
        )
    ]
