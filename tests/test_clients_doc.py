import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/clients.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", PAGE, re.MULTILINE))
CLIENTS = SECTIONS.keys() - {"Others"}
# How the last paragraph of a section says that it was verified.
VERIFIED = re.compile(r"(Tested by `tests/|Tested by hand|Based on its source code)[^\n]*\.\Z")


def anchor(heading: str) -> str:
    """What GitHub makes of a heading in a link."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_a_client_names_is_there(file: str, name: str) -> None:
    text = (ROOT / file).read_text("utf-8")

    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)
    assert "pytest.mark.clients" in text


@pytest.mark.parametrize("heading", sorted(CLIENTS))
def test_every_client_has_a_configuration_and_says_how_it_was_verified(heading: str) -> None:
    text = SECTIONS[heading].strip()

    assert "```" in text or "`http" in text
    assert VERIFIED.search(text)


def test_the_table_and_the_sections_name_the_same_clients_in_the_same_order() -> None:
    linked = re.findall(r"^\| \[(.+?)\]\(#([\w-]+)\) \|", PAGE, re.MULTILINE)

    headings = [heading for heading in SECTIONS if heading != "Others"]
    assert linked[:-1] == [(heading, anchor(heading)) for heading in headings]
    assert linked[-1] == ("others", "others")


def test_every_client_that_the_readme_leads_to_is_there() -> None:
    led_to = re.findall(r"\(docs/clients\.md#([\w-]+)\)", README)

    assert set(led_to) <= {anchor(heading) for heading in SECTIONS}
