import pytest
from benchmarks.errors import CannotMeasureError
from benchmarks.instructions import total


def test_the_total_is_read_from_the_end_of_the_file() -> None:
    counts = "# callgrind format\nevents: Ir\nsummary: 0\n\nfn=(1) f\n16 5\n\ntotals: 208928051\n"

    assert total(counts) == 208_928_051


def test_a_file_without_a_total_is_an_error() -> None:
    with pytest.raises(CannotMeasureError, match="counted no instructions"):
        total("summary: 0\n")
