from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.document import BEGIN, END, check, renewed, write
from benchmarks.errors import CannotMeasureError
from benchmarks.figures import Figures
from benchmarks.run_record import RunRecord

RECORD = RunRecord(
    {"Python": "3.11"},
    {},
    ["up plain of naive: it ended"],
    Figures({"ovh-proxy": {"plain/c64/rate": [25_000.0]}}),
)


def test_only_the_text_between_the_markers_is_replaced() -> None:
    page = f"# Title\n\nBefore.\n\n{BEGIN}\n\nold\n\n{END}\n\nAfter.\n"

    assert renewed(page, "new") == f"# Title\n\nBefore.\n\n{BEGIN}\n\nnew\n\n{END}\n\nAfter.\n"


def test_updating_a_page_twice_changes_nothing() -> None:
    once = renewed(f"Before.\n\n{BEGIN}\n{END}\n\nAfter.\n", "new")

    assert renewed(once, "new") == once


@pytest.mark.parametrize("page", ["", "Before.\n"])
def test_markers_are_appended_to_a_page_without_them(page: str) -> None:
    text = renewed(page, "new")

    assert text.startswith(page)
    assert text.endswith(f"{BEGIN}\n\nnew\n\n{END}\n")


@pytest.mark.parametrize("page", [BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_page_with_only_one_marker_is_rejected(page: str) -> None:
    with pytest.raises(CannotMeasureError, match="needs both markers"):
        renewed(page, "new")


def test_an_unwritable_path_is_rejected_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "half.md").write_text(BEGIN)

    check(tmp_path / "new")
    with pytest.raises(CannotMeasureError, match="does not exist"):
        check(tmp_path / "nowhere" / "performance")
    with pytest.raises(CannotMeasureError, match="needs both markers"):
        check(tmp_path / "half")


def test_a_run_is_written_as_page_plot_and_raw_figures(tmp_path: Path) -> None:
    page, picture, raw = write(tmp_path / "performance", RECORD)

    assert "| ovh-proxy | 25.0k |" in page.read_text()
    assert "- up plain of naive: it ended\n" in page.read_text()
    assert '"plain/c64/rate": [25000.0]' in raw.read_text()
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 - our own text
