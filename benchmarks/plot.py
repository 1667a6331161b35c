"""Bars as one SVG picture that needs nothing else: no script, no font, no style from outside.

It paints its own paper, light or dark as the reader prefers, for where it is shown is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from unmbox._page_charts import _FONT, _chart, _drawing

Bars = Mapping[str, Mapping[str, float]]
"""What a chart shows: by the names of its series, the value of each row."""

_WIDE = 920
_TITLE, _GAP, _EDGE = 40, 18, 16
_BAR, _BETWEEN, _AXIS = 13, 9, 40
_OWN = "unmbox"
_SVG = "http://www.w3.org/2000/svg"
_COLOURS = {
    # paper, text, soft text, lines, then each series: own bars, those of others
    "light": ("#ffffff", "#1f2328", "#59636e", "#d1d9e0", ("#0a58b5", "#8c959f"), ("#6cb0f5", "#c8ced4")),
    "dark": ("#0d1117", "#f0f6fc", "#9da7b1", "#3d444d", ("#4493f8", "#7d8590"), ("#1d4f91", "#484f58")),
}


def page(charts: Mapping[str, Bars], *, title: str, unit: str) -> str:
    """The picture: a chart below the other, each with its name."""
    ET.register_namespace("", _SVG)
    root = ET.Element(f"{{{_SVG}}}svg", {"role": "img", "font-family": "sans-serif", "font-size": str(_FONT)})
    _add(root, "title").text = title
    _add(root, "style").text = _style()
    paper = _add(root, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    top = _GAP
    letters = max((len(name) for bars in charts.values() for name in rows(bars)), default=0)
    for name, bars in charts.items():
        heading = _add(root, "text", {"class": "title", "x": str(_EDGE), "y": str(top + 18)})
        only = f", {next(iter(bars))}" if len(bars) == 1 else ""
        heading.text = f"{name}{only}, {unit}"
        if not only:
            _legend(root, list(bars), top + 18)
        drawn = _bars(bars, name, top + _TITLE, letters)
        root.append(drawn)
        top += _TITLE + int(drawn.get("height", "0")) + _GAP
    root.attrib.update({"viewBox": f"0 0 {_WIDE} {top}", "width": str(_WIDE), "height": str(top)})
    paper.set("height", str(top))
    return ET.tostring(root, "unicode") + "\n"


def rows(bars: Bars) -> list[str]:
    """The names of a chart's rows: in the order of the longest series, for some lack one or the other."""
    series = sorted(bars.values(), key=len, reverse=True)
    return list(dict.fromkeys(name for values in series for name in values))


def _bars(bars: Bars, title: str, top: int, letters: int) -> ET.Element:
    """One chart, with the value behind each bar."""
    names = rows(bars)
    height = _AXIS + len(names) * (len(bars) * _BAR + _BETWEEN)
    most = max((value for values in bars.values() for value in values.values()), default=0)
    chart = _chart("HorizontalBar", _WIDE, height, int(most) + 1)
    # pygal takes a letter for 0.6 times as wide as high; bars of all charts are to begin at one place.
    chart.margin_left = _EDGE + (letters - max(map(len, names), default=0)) * 0.6 * _FONT
    chart.margin_right = 64
    chart.x_labels = names[::-1]  # pygal begins below
    for series, values in bars.items():
        chart.add(series, [values.get(name) for name in reversed(names)])
    kinds = [f"series-{number}" for number in range(len(bars))]
    drawn = ET.fromstring(_drawing(chart, kinds, title, ""))
    drawn.attrib.update({"y": str(top), "width": str(_WIDE), "height": str(height)})
    for bar in drawn.iter(f"{{{_SVG}}}g"):
        if bar.get("class") == "bar":
            _finish(bar)
    return drawn


def _finish(bar: ET.Element) -> None:
    """Tell our own bars from those of others, and write the value behind each."""
    told, box = bar.find(f"{{{_SVG}}}title"), bar.find(f"{{{_SVG}}}rect")
    assert told is not None
    assert box is not None
    name, _, value = (told.text or "").rpartition(": ")
    if name.startswith(_OWN):
        bar.set("class", "bar own")
    x, y, width, height = (float(box.get(each, "0")) for each in ("x", "y", "width", "height"))
    place = {"class": "value", "x": f"{x + width + 5:.1f}", "y": f"{y + height / 2 + 4:.1f}"}
    _add(bar, "text", place).text = value


def _legend(root: ET.Element, names: list[str], y: int) -> None:
    """The series' names, each with the colours of its bars."""
    x = _WIDE - 90 * len(names)
    for number, name in enumerate(names):
        for place, kind in ((0, "bar own"), (14, "bar")):
            group = _add(_add(root, "g", {"class": f"series-{number}"}), "g", {"class": kind})
            _add(group, "rect", {"x": str(x + place), "y": str(y - 11), "width": "12", "height": "12"})
        _add(root, "text", {"class": "soft", "x": str(x + 32), "y": str(y)}).text = name
        x += 90


def _add(parent: ET.Element, name: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
    return ET.SubElement(parent, f"{{{_SVG}}}{name}", dict(attributes or {}))


def _style() -> str:
    """Rules for light paper, and those for dark; without variables, for not every viewer knows them."""
    lines = [
        ".title { font-size: 16px; font-weight: bold }",
        ".value { font-size: 11px; paint-order: stroke; stroke-width: 3px }",
        ".background { fill: none }",
        ".axis.x text { text-anchor: middle }",
        ".axis.y text { text-anchor: end }",
        ".axis.y .line { display: none }",
        ".line { fill: none; stroke-width: 1 }",
    ]
    for scheme, (paper, text, soft, line, *series) in _COLOURS.items():
        rules = [
            f".paper {{ fill: {paper} }}",
            f"text {{ fill: {text} }}",
            f".value {{ stroke: {paper} }}",
            f".axis.x text, .soft {{ fill: {soft} }}",
            f".line {{ stroke: {line} }}",
        ]
        for number, (own, other) in enumerate(series):
            rules.append(f".series-{number} .bar rect {{ fill: {other} }}")
            rules.append(f".series-{number} .bar.own rect {{ fill: {own} }}")
        lines += rules if scheme == "light" else ["@media (prefers-color-scheme: dark) {", *rules, "}"]
    return "\n".join(lines)
