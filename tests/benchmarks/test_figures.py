import pytest
from benchmarks.figures import Figures


def figures_of(**medians: float | list[float]) -> Figures:
    return Figures(
        {
            who: {"rate": values if isinstance(values, list) else [values]}
            for who, values in medians.items()
        }
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], 3.0), ([9.0, 1.0, 5.0], 5.0), ([1.0, 2.0, 3.0, 100.0], 2.5)],
    ids=["one round", "unsorted", "an even number"],
)
def test_the_median_is_the_middle_of_the_rounds(values: list[float], expected: float) -> None:
    assert figures_of(us=values).median("us", "rate") == expected


def test_a_ratio_is_computed_from_the_medians() -> None:
    figures = figures_of(us=[10.0, 30.0, 20.0], them=[5.0, 4.0, 400.0])

    ratio = figures.ratio("us", "them", "rate")

    assert ratio == 4.0


@pytest.mark.parametrize(
    ("us", "them", "name"),
    [("us", "nobody", "rate"), ("nobody", "them", "rate"), ("us", "them", "p99_ms")],
    ids=["other contender missing", "contender missing", "not measured"],
)
def test_there_is_no_ratio_without_a_measurement(us: str, them: str, name: str) -> None:
    assert figures_of(us=1.0, them=2.0).ratio(us, them, name) is None


def test_a_ratio_to_zero_is_none() -> None:
    assert figures_of(us=1.0, them=0.0).ratio("us", "them", "rate") is None


def test_the_rounds_of_a_contender_are_collected() -> None:
    figures = Figures()

    figures.add("us", {"rate": 1.0, "p99_ms": 5.0})
    figures.add("us", {"rate": 2.0})

    assert figures.raw == {"us": {"rate": [1.0, 2.0], "p99_ms": [5.0]}}


def test_a_later_run_replaces_a_figure_for_every_contender() -> None:
    figures = Figures({"us": {"rate": [1.0], "p99_ms": [5.0]}, "them": {"rate": [2.0]}})

    figures.replace({"us": {"rate": [3.0, 4.0]}})

    assert figures.raw == {"us": {"rate": [3.0, 4.0], "p99_ms": [5.0]}, "them": {}}
