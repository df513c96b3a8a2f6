from collections.abc import Callable

import pytest
from benchmarks.bar import BAR, Row, mib_at_most, times, times_at_most
from benchmarks.comparisons import added_by, by, by_aws, one_shot, ours, stands_in
from benchmarks.earlier import AWS_BY_NGINX_LUA
from benchmarks.figures import Figures


def row(make: Callable[..., Row], limit: float, *values: float | None) -> Row:
    parts = tuple((f"part {n}", lambda _, v=value: v) for n, value in enumerate(values))
    return make("a row", limit, *parts)


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (row(times, 2, 2.0), "met"),
        (row(times, 2, 1.99), "not met"),
        (row(times, 2, 5.0, 1.0), "not met"),
        (row(times, 2, 5.0, None), "not measured"),
        (row(times, 2, 1.0, None), "not met"),
        (row(times, 2, None), "not measured"),
        (row(times_at_most, 2, 2.0), "met"),
        (row(times_at_most, 2, 2.01), "not met"),
        (row(mib_at_most, 16, 0.0), "met"),
        (row(mib_at_most, 16, 16.5), "not met"),
    ],
)
def test_a_target_is_met_if_every_part_meets_the_limit(target: Row, verdict: str) -> None:
    assert target.verdict(Figures()) == verdict


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (row(times, 1.5), "at least 1.5 times"),
        (row(times_at_most, 0.4), "at most 0.4 times"),
        (row(mib_at_most, 24), "at most 24 MiB"),
    ],
)
def test_a_target_shows_its_limit(target: Row, text: str) -> None:
    assert target.bound == text


FIGURES = Figures(
    {
        "direct": {"p50": [0.1], "far/one_shot/python_ovh_ms": [300.0]},
        "nginx-lua": {"plain/c16/rate": [60_000.0], "p50": [0.2]},
        "naive": {"plain/c16/rate": [5000.0]},
        "ovh-proxy": {
            "plain/c16/rate": [20_000.0],
            "p50": [0.25],
            "far/one_shot/curl_ms": [50.0],
            "mib": [3.0],
        },
    }
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (by("naive", "plain/c16/rate"), 4.0),
        (added_by("nginx-lua", "p50"), 1.5),
        (one_shot("far"), 6.0),
        (ours("mib"), 3.0),
        (by_aws("plain/c16/rate"), (20 / 60) / (10.0 / 59.5)),
        (by("naive", "p50"), None),
        (added_by("naive", "p50"), None),
        (one_shot("far12"), None),
        (by_aws("plain/c64/rate"), None),
    ],
    ids=[
        "a ratio",
        "added time vs. added time",
        "one-shot",
        "ovh-proxy only",
        "stored ratio of aws-sigv4-proxy",
        "no ratio",
        "nothing added",
        "no one-shot",
        "no stored ratio",
    ],
)
def test_a_value_is_computed_from_the_medians(value: object, expected: float | None) -> None:
    assert value(FIGURES) == (None if expected is None else pytest.approx(expected))  # type: ignore[operator]


def test_a_stored_ratio_is_not_used_if_there_is_a_measurement() -> None:
    aws = {name: [10_000.0] for name in AWS_BY_NGINX_LUA}
    figures = Figures({**FIGURES.raw, "aws-sigv4-proxy": aws})

    ratio = by_aws("plain/c16/rate")(figures)

    assert (ratio, stands_in(figures), stands_in(FIGURES)) == (2.0, False, True)


def test_a_run_without_figures_meets_no_target() -> None:
    assert {target.verdict(Figures()) for target in BAR} == {"not measured"}
