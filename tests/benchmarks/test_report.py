import pytest
from benchmarks.earlier import WORDS
from benchmarks.figures import Figures
from benchmarks.report import markdown, number, report

FIGURES = Figures(
    {
        "direct": {"plain/open/p50_ms": [0.1]},
        "nginx-lua": {
            "plain/c64/rate": [50_000.0],
            "plain/open/p50_ms": [0.2],
            "plain/down/growth_mib": [0.5],
        },
        "ovh-proxy": {
            "plain/c64/rate": [25_000.0, 20_000.0, 30_000.0],
            "plain/open/p50_ms": [0.25],
            "plain/down/growth_mib": [3.0],
            "plain/profile/ovh_proxy/proxy/handler.py": [0.25],
        },
    }
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(27_912.0, "27.9k"), (4123.4, "4123"), (99.95, "100"), (3.456, "3.46"), (0.0123, "0.0123")],
)
def test_a_number_has_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_table_columns_are_aligned() -> None:
    table = markdown(["", "c=1"], [["us", "27.9k"], ["nobody", ""]])

    assert table.splitlines() == [
        "|        |   c=1 |",
        "| ------ | ----: |",
        "| us     | 27.9k |",
        "| nobody |       |",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "| nginx-lua | 50.0k (0.50) |",
        "| ovh-proxy |        25.0k |",
        "| requests/s vs. nginx + Lua, c = 64 | at least 0.3 times | plain 0.5 | not measured |",
        "| p50 added at 500 requests/s vs. nginx + Lua | at most 2 times | plain 1.5 | met |",
        "| nginx-lua | 0.5 |",
        "| ovh_proxy/proxy/handler.py | 25.0 % |",
        f"its ratio to nginx + Lua is used instead, {WORDS}.",
    ],
    ids=["other", "ovh-proxy", "partial row", "row", "no memory ratio", "profile", "stored ratio"],
)
def test_a_report_contains_each_line(line: str) -> None:
    text = " ".join(report(FIGURES).split())

    assert " ".join(line.split()) in text


def test_a_scene_that_was_not_measured_has_no_table() -> None:
    text = report(FIGURES)

    assert "### Requests/s, plain upstream" in text
    assert "### Requests/s, TLS upstream" not in text


def test_targets_without_a_value_can_be_omitted() -> None:
    whole, short = report(FIGURES), report(FIGURES, is_whole=False)

    assert ("slow readers" in whole, "slow readers" in short) == (True, False)


def test_a_report_without_figures_has_no_tables() -> None:
    assert report(Figures(), is_whole=False) == ""
