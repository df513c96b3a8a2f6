import pytest

from ovh_proxy.cli.terminal import safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoé → €", "Zoé → €"),
        ("a\nb", "a\\u000ab"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("\x9b31m", "\\u009b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udce9", "\\udce9"),
    ],
    ids=["accents", "line break", "escape", "C1 escape", "bidirectional mark", "not UTF-8"],
)
def test_characters_that_could_control_a_terminal_are_escaped(text: str, shown: str) -> None:
    assert safe(text) == shown
