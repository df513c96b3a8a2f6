"""The page that shows a run: replaces the part between two markers and keeps the rest."""

import os
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.plot import plot
from benchmarks.report import markdown, report
from benchmarks.run_record import RunRecord

BEGIN = "<!-- measured: made by tests/benchmarks/run.py -->"
END = "<!-- end of measured -->"


def measured(record: RunRecord, picture: str) -> str:
    """The results of a run in Markdown.

    Args:
        picture: the file name of the plot.
    """
    facts = [[name, fact] for name, fact in (record.machine | record.asked).items()]
    parts = [markdown(["", ""], facts) if facts else "", f"![requests per second]({picture})"]
    parts.append(report(record.figures))
    if record.failed:
        lines = "\n".join(f"- {line}" for line in record.failed)
        parts.append(f"Not measured:\n\n{lines}")
    return "\n\n".join(part for part in parts if part)


def renewed(page: str, part: str) -> str:
    """The page with the part between the markers replaced, or appended if there are no markers.

    Raises:
        CannotMeasureError: one of the two markers is missing.
    """
    block = f"{BEGIN}\n\n{part}\n\n{END}\n"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + block + after.removeprefix("\n")
    if begin or END in page:
        raise CannotMeasureError(f"the page needs both markers: {BEGIN} and {END}")
    return f"{page}\n{block}" if page else block


def check(prefix: Path) -> None:
    """Checks that the files can be written, before measuring for an hour.

    Raises:
        CannotMeasureError: they cannot be written; the message says why.
    """
    page = Path(f"{prefix}.md")
    if not prefix.parent.is_dir():
        raise CannotMeasureError(f"directory {prefix.parent} does not exist")
    if not os.access(prefix.parent, os.W_OK):
        raise CannotMeasureError(f"directory {prefix.parent} is not writable")
    renewed(page.read_text() if page.exists() else "", "")


def write(prefix: Path, record: RunRecord) -> list[Path]:
    """Writes PREFIX.json and PREFIX.svg, updates PREFIX.md, and returns their paths."""
    page, picture, raw = (Path(f"{prefix}{ending}") for ending in (".md", ".svg", ".json"))
    before = page.read_text() if page.exists() else ""
    page.write_text(renewed(before, measured(record, picture.name)))
    picture.write_text(plot(record.figures))
    raw.write_text(record.text())
    return [page, picture, raw]
