"""The charts of the report's page: static SVG without script or style of its own, drawn by pygal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width
from xml.etree.ElementTree import Element, SubElement, tostring

_FONT = 13
_FEW = 6
WIDE, NARROW = 920, 380
"""Widths of the two drawings of each chart, in its own pixels: for a screen, and for a phone."""


def columns(
    names: Sequence[str], series: Mapping[str, Sequence[int]], *, title: str, marked: Sequence[str]
) -> str:
    """Upright columns, the series stacked. `marked` names have their name below them."""
    drawn = []
    for width, height, some in ((WIDE, 280, 12), (NARROW, 240, 4)):
        step = -(-len(marked) // some) or 1
        chart = _chart(
            "StackedBar", width, height, max(map(sum, zip(*series.values(), strict=True)), default=0)
        )
        chart.x_labels = names
        chart.x_labels_major = marked[::step]
        chart.show_minor_x_labels = False
        for kind, values in series.items():
            chart.add(kind, values)
        drawn.append(_drawing(chart, list(series), title, "wide" if width == WIDE else "narrow"))
    return "".join(drawn)


def rows(names: Sequence[str], values: Sequence[int], *, title: str, kind: str) -> str:
    """Lying bars, one below the other, the first on top."""
    drawn = []
    for width, letters in ((WIDE, 36), (NARROW, 16)):
        short = [_short(name, letters) for name in names]
        chart = _chart("HorizontalBar", width, 44 + 26 * len(names), max(values, default=0))
        # pygal takes each letter for one as wide as a Latin one.
        lacking = max((_width(name) - len(name) for name in short), default=0)
        chart.margin_left = 4 + lacking * _FONT * 0.55
        chart.margin_right = 24
        chart.x_labels = short[::-1]
        chart.add(kind, values[::-1])
        drawn.append(_drawing(chart, [kind], title, "wide" if width == WIDE else "narrow"))
    return "".join(drawn)


def _chart(kind: str, width: int, height: int, most: int) -> Any:
    import pygal
    from pygal.style import Style

    return getattr(pygal, kind)(
        style=Style(label_font_size=_FONT, major_label_font_size=_FONT),
        js=(),
        css=(),
        width=width,
        height=height,
        margin=4,
        margin_bottom=8,
        spacing=8,
        show_legend=False,
        truncate_label=-1,
        min_scale=3,
        max_scale=6,
        value_formatter="{:,.0f}".format,
        # Among a handful of messages there are no halves.
        y_labels=range(most + 1) if most < _FEW else None,
    )


def _drawing(chart: Any, kinds: Sequence[str], title: str, size: str) -> str:
    """The chart's shapes and words, with our classes instead of its styles, and a title on each bar."""
    tree: Element = chart.render_tree()
    for parent in list(tree.iter()):
        _tell_value(parent)
        for child in list(parent):
            if _is_idle(child) or (child.tag == "title" and parent.get("class") != "bar"):
                parent.remove(child)
    for number, kind in enumerate(kinds):
        for each in tree.iter("g"):
            if f"serie-{number}" in (each.get("class") or "").split():
                each.set("class", f"series {kind}")
    for each in tree.iter():
        for name in ("id", "style", "rx", "ry"):
            each.attrib.pop(name, None)
        for name in {"x", "y", "width", "height"}.intersection(each.keys()):
            each.set(name, f"{float(each.get(name, '0')):.4g}")
    tree.attrib.update({"class": f"chart {size}", "role": "img", "aria-label": title})
    return tostring(tree, "unicode")


def _is_idle(element: Element) -> bool:
    """Whether it is neither shape nor text (a comment, a style), or there for pygal's script alone."""
    if element.tag not in {"g", "path", "rect", "text", "title"}:
        return True
    return "overlay" in (element.get("class") or "").partition(" ")[2]


def _tell_value(bar: Element) -> None:
    """Give a bar a title, which browsers show, of what pygal tells its own script."""
    told = (
        {each.get("class"): each.text or "" for each in bar.iter("desc")} if bar.get("class") == "bar" else {}
    )
    if told.get("value"):
        SubElement(bar, "title").text = f"{told.get('x_label', '')}: {told['value']}"


def _width(text: str) -> int:
    return sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def _short(text: str, letters: int) -> str:
    """`text` in so many columns at most."""
    if _width(text) <= letters:
        return text
    while _width(text) > letters - 1:
        text = text[:-1]
    return text + "…"
