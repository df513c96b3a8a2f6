"""The messages of problems, which repeat a value unless it may be a secret."""

import pytest

from ovh_proxy.core.redaction import shown, unknown


@pytest.mark.parametrize(
    "value",
    ["", "prod2", "GET /1.0/me", "*:8080", "[::1]:80", "http://a/b", "10s", "-1.0", "x.y_z"],
)
def test_a_value_of_words_and_numbers_is_shown(value):
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        "S3CRET",
        "0123456789abcdef",
        "aBcdEfghIjklMnop",
        "1234567890123456",
        "prod-S3CRET",
        "user:hunter@host",
        "a\nb",
        "a" * 21,
    ],
)
def test_a_value_that_may_be_a_secret_is_not_shown(value):
    assert shown(value) == "(not shown, it may be a secret)"


def test_a_long_value_is_cut():
    assert shown("a b " * 30) == "'" + ("a b " * 30)[:80] + "…'"


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("sandbux", ("sandbox",), "unknown profile 'sandbux'; did you mean 'sandbox'?"),
        ("zz", ("a", "b", "c"), "unknown profile 'zz'; use a, b or c"),
        ("zz", ("a",), "unknown profile 'zz'; use a"),
        ("zz", (), "unknown profile 'zz'; there are no profiles"),
        ("S3CRET", ("a",), "unknown profile (not shown, it may be a secret); use a"),
        ("ovh2x3", ("ovh2x4",), "unknown profile 'ovh2x3'; did you mean 'ovh2x4'?"),
        (
            "consumer_key:S3CRET",
            ("consumer_key",),
            "unknown profile (not shown, it may be a secret); did you mean 'consumer_key'?",
        ),
    ],
)
def test_an_unknown_name_is_reported_with_the_nearest_or_all_known_names(name, known, message):
    assert unknown("profile", name, known, is_shown=None) == message


def test_a_name_of_the_command_line_is_always_shown():
    assert unknown("profile", "S3CRET", ("a",)) == "unknown profile 'S3CRET'; use a"
