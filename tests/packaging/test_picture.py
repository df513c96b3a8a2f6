"""The picture of a request's way: one file that shows the same wherever it is put."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

PICTURE = Path(__file__).parents[2] / "docs" / "way-of-a-request.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawn() -> ElementTree.Element:
    """The picture, parsed; it comes from this tree."""
    return ElementTree.fromstring(PICTURE.read_text())  # noqa: S314


@pytest.mark.parametrize("part", ["title", "desc"])
def test_the_picture_says_in_words_what_it_shows(drawn: ElementTree.Element, part: str) -> None:
    words = drawn.findtext(f"{SVG}{part}")

    assert words


def test_the_picture_scales(drawn: ElementTree.Element) -> None:
    assert "viewBox" in drawn.attrib
    assert "width" not in drawn.attrib


def test_the_picture_brings_its_own_background(drawn: ElementTree.Element) -> None:
    _, _, width, height = (float(number) for number in drawn.attrib["viewBox"].split())
    paper = drawn.find(f"{SVG}rect")

    assert paper is not None
    assert paper.attrib["fill"] == "#fff"
    assert (float(paper.attrib["width"]), float(paper.attrib["height"])) == (width - 1, height - 1)


def test_the_picture_loads_nothing_and_runs_nothing() -> None:
    # A README's pictures are shown without scripts, fonts or files of their own.
    foreign = re.findall(
        r"<(?:script|image|foreignObject)|href=|@import|url\((?!#)|on\w+=", PICTURE.read_text()
    )

    assert foreign == []
