"""The report, in Markdown. No I/O."""

from collections.abc import Sequence

from benchmarks.bar import BAR, Row
from benchmarks.comparisons import AWS, US, stands_in
from benchmarks.earlier import WORDS
from benchmarks.figures import Figures
from benchmarks.sheets import SHEETS, Column, Sheet

ABOUT_CELLS = (
    "Each cell is the median of all rounds. In parentheses: the figure of ovh-proxy divided by it."
)
ABOUT_STAND_IN = (
    "Where aws-sigv4-proxy was not measured in this run, "
    f"its ratio to nginx + Lua is used instead, {WORDS}."
)
ABOUT_PROFILE = "Percentage of the sampled time per source file. C code counts toward its caller."
MOST_FILES = 20
FLAVOURS = {"plain": "plain upstream", "tls": "TLS upstream"}


def report(figures: Figures, is_whole: bool = True) -> str:
    """The targets, then every table that is not empty.

    Args:
        is_whole: whether targets that were not measured are shown too.
    """
    sheets = [table for sheet in SHEETS if (table := sheet_table(sheet, figures))]
    parts = [bar_table(figures, is_whole), ABOUT_CELLS if sheets else "", *sheets]
    parts += [profile_table(flavour, figures) for flavour in FLAVOURS]
    return "\n\n".join(part for part in parts if part)


def bar_table(figures: Figures, is_whole: bool = True) -> str:
    """Each target: its bound, what was measured, and whether it is met."""
    rows = [[row.text, row.bound, _measured(row, figures), row.verdict(figures)] for row in BAR]
    shown = [row for row in rows if row[2] or is_whole]
    if not shown:
        return ""
    table = markdown(["", "target", "measured", ""], shown)
    needs_note = stands_in(figures) and any(row[2] and AWS in row[0] for row in shown)
    return f"{table}\n\n{ABOUT_STAND_IN}" if needs_note else table


def _measured(row: Row, figures: Figures) -> str:
    known = [(label, value) for label, value in row.values(figures) if value is not None]
    return ", ".join(f"{label} {number(value)}" for label, value in known)


def sheet_table(sheet: Sheet, figures: Figures) -> str:
    """One table without rows and columns that were not measured; empty if there are no figures."""
    columns = [column for column in sheet.columns if _has_any(column, figures)]
    rows = [
        [contender, *(_cell(column, figures, contender) for column in columns)]
        for contender in figures.contenders
    ]
    rows = [row for row in rows if any(row[1:])]
    if not rows:
        return ""
    table = markdown(["", *(column.heading for column in columns)], rows)
    return "\n\n".join(part for part in (f"### {sheet.title}", sheet.note, table) if part)


def _has_any(column: Column, figures: Figures) -> bool:
    return any(column.cell(figures, contender) is not None for contender in figures.contenders)


def _cell(column: Column, figures: Figures, contender: str) -> str:
    value, ours = column.cell(figures, contender), column.cell(figures, US)
    if value is None:
        return ""
    if contender == US or ours is None or value <= 0 or not column.is_compared:
        return number(value)
    return f"{number(value)} ({ours / value:.2f})"


def profile_table(flavour: str, figures: Figures) -> str:
    """Where the Python contenders spend their time; empty if that was not measured."""
    prefix = f"{flavour}/profile/"
    sampled = [
        contender
        for contender, named in figures.raw.items()
        if any(name.startswith(prefix) for name in named)
    ]
    shares = {
        contender: {
            name.removeprefix(prefix): figures.median(contender, name) or 0.0
            for name in figures.raw[contender]
            if name.startswith(prefix)
        }
        for contender in sampled
    }
    most = {
        name: max(named.get(name, 0.0) for named in shares.values())
        for named in shares.values()
        for name in named
    }
    largest = sorted(most, key=lambda name: -most[name])[:MOST_FILES]
    rows = [[name, *(_percent(shares[who].get(name)) for who in sampled)] for name in largest]
    title = f"### Where the time goes, c = 16, {FLAVOURS[flavour]}"
    return f"{title}\n\n{ABOUT_PROFILE}\n\n{markdown(['', *sampled], rows)}" if rows else ""


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def number(value: float) -> str:
    """The value with three significant digits."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.1f}k"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with the first column aligned left and the others aligned right."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in (head, rule, *rows))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [f"{first[0]:{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
    return f"| {' | '.join(cells)} |"
