"""The plot as SVG text: requests per second by connections, one panel per upstream. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from xml.sax.saxutils import escape

from benchmarks.comparisons import US
from benchmarks.figures import Figures

LOADS = (1, 16, 64, 256)
PANELS = (("plain", "plain upstream"), ("tls", "TLS upstream"))
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#8c564b", "#9467bd")
OUR_COLOUR = "#d55e00"
WIDTH, HEIGHT = 980, 460
_LEFT, _TOP, _PANEL, _GAP, _BOTTOM = 75, 50, 290, 170, 400
_LABEL_PX = 14.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale from requests per second to pixels."""

    low: int
    high: int

    def y(self, rate: float) -> float:
        part = (log10(rate) - self.low) / (self.high - self.low)
        return _BOTTOM - part * (_BOTTOM - _TOP)


def plot(figures: Figures) -> str:
    """The whole SVG."""
    rates = [
        rate
        for contender in figures.contenders
        for flavour, _ in PANELS
        for _, rate in _curve(figures, contender, flavour)
    ]
    scale = Scale(int(log10(min(rates, default=100))), int(log10(max(rates, default=9999))) + 1)
    panels = "\n".join(
        _panel(figures, scale, _LEFT + number * (_PANEL + _GAP), *PANELS[number])
        for number in range(len(PANELS))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">\n'
        "<title>Requests per second by number of connections, with the proxy on one core</title>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{panels}\n</svg>\n'
    )


def _curve(figures: Figures, contender: str, flavour: str) -> list[tuple[int, float]]:
    """The index of each connection count, with the median rate."""
    medians = (figures.median(contender, f"{flavour}/c{count}/rate") for count in LOADS)
    return [(number, rate) for number, rate in enumerate(medians) if rate]


def _panel(figures: Figures, scale: Scale, left: float, flavour: str, title: str) -> str:
    curves = {who: _curve(figures, who, flavour) for who in figures.contenders}
    drawn = {who: curve for who, curve in curves.items() if curve}
    ends = [scale.y(curve[-1][1]) for curve in drawn.values()]
    parts = [_axes(scale, left, title)]
    for (who, curve), label_y in zip(drawn.items(), spread_out(ends), strict=True):
        parts.append(_drawn(who, curve, _colour(figures, who), scale, left, label_y))
    return "\n".join(parts)


def _colour(figures: Figures, contender: str) -> str:
    if contender == US:
        return OUR_COLOUR
    others = [who for who in figures.contenders if who != US]
    return COLOURS[others.index(contender) % len(COLOURS)]


def _axes(scale: Scale, left: float, title: str) -> str:
    lines = [_text(left, _TOP - 20, f"requests/s, {title}", 'font-weight="bold"')]
    for decade in range(scale.low, scale.high + 1):
        y = scale.y(10**decade)
        across = f'x1="{left}" x2="{left + _PANEL}" y1="{y:.1f}" y2="{y:.1f}"'
        lines.append(f'<line {across} stroke="#dddddd"/>')
        lines.append(_text(left - 6, y + 4, f"{10**decade:,}", 'text-anchor="end"'))
    for number, count in enumerate(LOADS):
        lines.append(_text(_x(left, number), _BOTTOM + 18, str(count), 'text-anchor="middle"'))
    lines.append(_text(left + _PANEL / 2, _BOTTOM + 38, "connections", 'text-anchor="middle"'))
    return "\n".join(lines)


def _drawn(
    who: str, curve: Sequence[tuple[int, float]], colour: str, scale: Scale, left: float, y: float
) -> str:
    points = [(_x(left, number), scale.y(rate)) for number, rate in curve]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    width = 3 if who == US else 1.5
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    name = _text(left + _PANEL + 8, y + 4, who, f'fill="{colour}"')
    stroke = f'fill="none" stroke="{colour}" stroke-width="{width}"'
    return f'<polyline points="{line}" {stroke}/>{dots}{name}'


def _x(left: float, number: int) -> float:
    return left + _PANEL * number / (len(LOADS) - 1)


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def spread_out(positions: Sequence[float], apart: float = _LABEL_PX) -> list[float]:
    """Moves overlapping labels down. Returns them in the given order."""
    moved = list(positions)
    order = sorted(range(len(positions)), key=lambda number: positions[number])
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + apart)
    return moved
