"""Plots as SVG, by hand: few marks, a legend in words, readable in a light and a dark page."""

import math
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 760
_HEIGHT: Final = 400
_LEFT: Final = 78
_RIGHT: Final = 150
_TOP: Final = 52
_BOTTOM: Final = 58
_STYLE: Final = """<style>
svg { font: 13px system-ui, sans-serif; color-scheme: light dark }
.ground { fill: #ffffff } text { fill: #24292f } .quiet { fill: #57606a }
.grid { stroke: #d0d7de; stroke-width: 1 } .axis { stroke: #57606a; stroke-width: 1 }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round } .mark { stroke-dasharray: 5 4 }
.c0 { stroke: #0550ae; fill: #0550ae } .c1 { stroke: #bc4c00; fill: #bc4c00 }
.c2 { stroke: #1a7f37; fill: #1a7f37 } .c3 { stroke: #8250df; fill: #8250df }
.c4 { stroke: #bf3989; fill: #bf3989 } .c5 { stroke: #57606a; fill: #57606a }
.line.c0, .line.c1, .line.c2, .line.c3, .line.c4, .line.c5 { fill: none }
text.c0, text.c1, text.c2, text.c3, text.c4, text.c5, rect.bar { stroke: none }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 }
.grid { stroke: #30363d } .axis { stroke: #9198a1 }
.c0 { stroke: #79c0ff; fill: #79c0ff } .c1 { stroke: #ffa657; fill: #ffa657 }
.c2 { stroke: #7ee787; fill: #7ee787 } .c3 { stroke: #d2a8ff; fill: #d2a8ff }
.c4 { stroke: #ff9bce; fill: #ff9bce } .c5 { stroke: #9198a1; fill: #9198a1 }
}
</style>"""
_COLORS: Final = 6
_LABEL_GAP: Final = 16
_NEAR: Final = 20


class Axis(NamedTuple):
    """From `low` to `high`, with numbers at `ticks`."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def part(self, value: float) -> float:
        """Where a value lies between the ends, from 0 to 1."""
        value = min(max(value, self.low), self.high)
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


class Line(NamedTuple):
    name: str
    points: list[tuple[float, float]]


class Bar(NamedTuple):
    name: str
    value: float
    color: int
    note: str = ""


class Mark(NamedTuple):
    """A value of the horizontal axis worth a line of its own."""

    value: float
    name: str


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def lines(title: str, x: Axis, y: Axis, drawn: list[Line], mark: Mark | None = None) -> str:
    """Lines, each named where it ends."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [*_frame(title, _WIDTH, _HEIGHT), *_grid(x, y, right, bottom)]

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across, up = x.part(point[0]), y.part(point[1])
        return _LEFT + across * (right - _LEFT), bottom - up * (bottom - _TOP)

    if mark is not None:
        across, _ = at((mark.value, y.low))
        parts.append(f'<line class="axis mark" x1="{across:.1f}" y1="{_TOP}" x2="{across:.1f}" '
                     f'y2="{bottom}"/>')  # fmt: skip
        parts.append(_text(across + 5, _TOP + 12, mark.name, "quiet"))
    ends = []
    for place, line in enumerate(drawn):
        color = f"c{place % _COLORS}"
        path = " ".join(f"{across:.1f},{up:.1f}" for across, up in map(at, line.points))
        parts.append(f'<polyline class="line {color}" points="{path}"/>')
        across, up = at(line.points[-1])
        if across < right - _NEAR:  # it ends within the plot, and is named there
            parts.append(_text(across + 6, up - 4, line.name, color))
        else:
            ends.append((up, line.name, color))
    for up, name, color in _spread(ends):
        parts.append(_text(right + 8, up + 4, name, color))
    return _document(parts)


def bars(title: str, x: Axis, drawn: list[Bar], mark: Mark) -> str:
    """Bars that lie, on one axis, each with its name before it and its value behind."""
    left, right, step = 300, _WIDTH - 90, 30
    bottom = _TOP + step * len(drawn) + 8
    height = bottom + _BOTTOM
    parts = _frame(title, _WIDTH, height)
    for tick in x.ticks:
        across = left + x.part(tick) * (right - left)
        parts.append(f'<line class="grid" x1="{across:.1f}" y1="{_TOP}" x2="{across:.1f}" '
                     f'y2="{bottom}"/>')  # fmt: skip
        parts.append(_text(across, bottom + 18, number(tick), "quiet", "middle"))
    for row, bar in enumerate(drawn):
        up = _TOP + row * step + 6
        width = x.part(bar.value) * (right - left)
        parts.append(f'<rect class="bar c{bar.color}" x="{left}" y="{up}" width="{width:.1f}" '
                     f'height="{step - 12}" rx="2"/>')  # fmt: skip
        parts.append(_text(left - 10, up + 13, bar.name, "", "end"))
        parts.append(_text(left + width + 7, up + 13, bar.note or number(bar.value), ""))
    across = left + x.part(mark.value) * (right - left)
    parts.append(f'<line class="axis mark" x1="{across:.1f}" y1="{_TOP - 6}" x2="{across:.1f}" '
                 f'y2="{bottom}"/>')  # fmt: skip
    parts.append(_text(across, _TOP - 10, mark.name, "quiet", "middle"))
    parts.append(_text((left + right) / 2, bottom + 42, x.title, "", "middle"))
    return _document(parts)


def _frame(title: str, width: float, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'width="{width}" height="{height}" aria-label="{escape(title)}">',
        _STYLE,
        f'<rect class="ground" width="{width}" height="{height}"/>',
        f'<text x="16" y="24" font-weight="600" font-size="15">{escape(title)}</text>',
    ]


def _grid(x: Axis, y: Axis, right: float, bottom: float) -> list[str]:
    parts = []
    for tick in y.ticks:
        up = bottom - y.part(tick) * (bottom - _TOP)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{up:.1f}" x2="{right}" y2="{up:.1f}"/>')
        parts.append(_text(_LEFT - 8, up + 4, number(tick), "quiet", "end"))
    for tick in x.ticks:
        across = _LEFT + x.part(tick) * (right - _LEFT)
        parts.append(f'<line class="axis" x1="{across:.1f}" y1="{bottom}" x2="{across:.1f}" '
                     f'y2="{bottom + 5}"/>')  # fmt: skip
        parts.append(_text(across, bottom + 20, number(tick), "quiet", "middle"))
    parts.append(f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
    parts.append(_text((_LEFT + right) / 2, bottom + 44, x.title, "", "middle"))
    middle = (_TOP + bottom) / 2
    parts.append(f'<text transform="translate(20 {middle:.1f}) rotate(-90)" '
                 f'text-anchor="middle">{escape(y.title)}</text>')  # fmt: skip
    return parts


def _spread(ends: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Names of lines that end close to each other, moved apart."""
    placed: list[tuple[float, str, str]] = []
    for up, name, color in sorted(ends, reverse=True):
        lowest = placed[-1][0] - _LABEL_GAP if placed else up
        placed.append((min(up, lowest), name, color))
    return placed


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _document(parts: list[str]) -> str:
    return "\n".join([*parts, "</svg>"]) + "\n"
