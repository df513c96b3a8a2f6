from xml.etree import ElementTree

import pytest
from benchmarks.figures import Figures
from benchmarks.plot import plot, spread_out

CURVES = Figures(
    {
        "direct": {f"plain/c{count}/rate": [50_000.0] for count in (1, 16, 64, 256)},
        "a <b>": {"plain/c64/rate": [900.0], "tls/c64/rate": [800.0]},
        "ovh-proxy": {"tls/c16/rate": [20_000.0], "tls/c256/rate": [18_000.0]},
        "nobody": {},
    }
)


def test_a_plot_draws_and_labels_every_curve() -> None:
    picture = ElementTree.fromstring(plot(CURVES))  # noqa: S314 - our own text

    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    lines = list(picture.iter("{http://www.w3.org/2000/svg}polyline"))
    assert [texts.count(name) for name in CURVES.raw] == [1, 2, 1, 0]
    assert len(lines) == 4


def test_a_plot_without_figures_is_valid_svg() -> None:
    assert ElementTree.fromstring(plot(Figures())) is not None  # noqa: S314 - our own text


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([], []),
        ([10.0, 50.0], [10.0, 50.0]),
        ([10.0, 12.0], [10.0, 24.0]),
        ([12.0, 10.0, 11.0], [38.0, 10.0, 24.0]),
    ],
    ids=["none", "far apart", "close", "in any order"],
)
def test_labels_do_not_overlap(positions: list[float], expected: list[float]) -> None:
    assert spread_out(positions) == expected
