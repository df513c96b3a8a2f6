"""Tests the request diagram: one self-contained SVG file."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

PICTURE = Path(__file__).parents[2] / "docs" / "way-of-a-request.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def svg() -> ElementTree.Element:
    """The parsed diagram, which is a trusted file."""
    return ElementTree.fromstring(PICTURE.read_text())  # noqa: S314


@pytest.mark.parametrize("part", ["title", "desc"])
def test_the_diagram_has_a_text_alternative(svg: ElementTree.Element, part: str) -> None:
    words = svg.findtext(f"{SVG}{part}")

    assert words


def test_the_diagram_scales(svg: ElementTree.Element) -> None:
    assert "viewBox" in svg.attrib
    assert "width" not in svg.attrib


def test_the_diagram_has_a_background(svg: ElementTree.Element) -> None:
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    background = svg.find(f"{SVG}rect")

    assert background is not None
    assert background.attrib["fill"] == "#fff"
    assert (float(background.attrib["width"]), float(background.attrib["height"])) == (
        width - 1,
        height - 1,
    )


def test_the_diagram_has_no_scripts_and_no_external_files() -> None:
    # Images in a README are shown without scripts, fonts or other files.
    foreign = re.findall(
        r"<(?:script|image|foreignObject)|href=|@import|url\((?!#)|on\w+=", PICTURE.read_text()
    )

    assert foreign == []
