import pytest
from benchmarks.errors import CannotMeasureError
from benchmarks.instructions import total


def test_what_callgrind_counted_is_at_the_end_of_its_file() -> None:
    counts = "# callgrind format\nevents: Ir\nsummary: 0\n\nfn=(1) f\n16 5\n\ntotals: 208928051\n"

    assert total(counts) == 208_928_051


def test_a_file_without_a_total_is_told() -> None:
    with pytest.raises(CannotMeasureError, match="counted nothing"):
        total("summary: 0\n")
