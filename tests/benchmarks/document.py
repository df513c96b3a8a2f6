"""The page that shows a run: the part between two marks is made anew, the rest is kept."""

import os
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.plot import plot
from benchmarks.report import markdown, report
from benchmarks.run_record import RunRecord

BEGIN = "<!-- measured: made by tests/benchmarks/run.py -->"
END = "<!-- end of measured -->"


def measured(record: RunRecord, picture: str) -> str:
    """All that a run says, in Markdown.

    Args:
        picture: the plot's file name.
    """
    facts = [[name, fact] for name, fact in (record.machine | record.asked).items()]
    parts = [markdown(["", ""], facts) if facts else "", f"![requests per second]({picture})"]
    parts.append(report(record.figures))
    if record.failed:
        lines = "\n".join(f"- {line}" for line in record.failed)
        parts.append(f"Not measured:\n\n{lines}")
    return "\n\n".join(part for part in parts if part)


def renewed(page: str, part: str) -> str:
    """The page with that part in the place of the old one, or at its end where there is none.

    Raises:
        CannotMeasureError: one of the two marks is missing.
    """
    block = f"{BEGIN}\n\n{part}\n\n{END}\n"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + block + after.removeprefix("\n")
    if begin or END in page:
        raise CannotMeasureError(f"the page needs both marks: {BEGIN} and {END}")
    return f"{page}\n{block}" if page else block


def check(prefix: Path) -> None:
    """Looks whether that can be written: before an hour of measuring, not after it.

    Raises:
        CannotMeasureError: it says why not.
    """
    page = Path(f"{prefix}.md")
    if not prefix.parent.is_dir():
        raise CannotMeasureError(f"there is no directory {prefix.parent}")
    if not os.access(prefix.parent, os.W_OK):
        raise CannotMeasureError(f"{prefix.parent} cannot be written to")
    renewed(page.read_text() if page.exists() else "", "")


def write(prefix: Path, record: RunRecord) -> list[Path]:
    """Writes PREFIX.json and PREFIX.svg and renews PREFIX.md; gives their paths."""
    page, picture, raw = (Path(f"{prefix}{ending}") for ending in (".md", ".svg", ".json"))
    before = page.read_text() if page.exists() else ""
    page.write_text(renewed(before, measured(record, picture.name)))
    picture.write_text(plot(record.figures))
    raw.write_text(record.text())
    return [page, picture, raw]
