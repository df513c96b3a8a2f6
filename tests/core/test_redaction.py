import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.redaction import (
    alternatives,
    printable,
    quoted,
    redact_path,
    redact_target,
    shown,
    unknown,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"/me", "/me"),
        (b"/me?", "/me"),
        (b"/me?a=1", "/me?a"),
        (b"/me?a=1&b=2&a=3", "/me?a&b&a"),
        (b"/me?a=b=c", "/me?a"),
        (b"/me?s3cr3t", "/me"),
        (b"/me?a=1&s3cr3t&b=2", "/me?a&b"),
        (b"/me?a=1?b=2", "/me?a"),
        (b"/me?a=1;b=2", "/me?a"),
        (b"/ip/192.0.2.0%2F24?x%20y=1", "/ip/192.0.2.0%2F24?x%20y"),
        (b"/caf\xe9\x1b[2J", "/caf\\xe9\\x1b[2J"),
    ],
)
def test_a_redacted_target_has_its_path_and_query_keys(raw, shown):
    assert redact_target(raw) == shown


@given(
    pairs=st.lists(
        st.tuples(
            st.text(st.sampled_from("abc%20"), max_size=5),
            # Only values have capitals, so a capital in the output comes from a value.
            st.text(st.sampled_from("XYZ=?;/#"), min_size=1, max_size=5),
            st.sampled_from(["=", ""]),
        )
    )
)
def test_a_redacted_target_has_no_query_values(pairs):
    query = "&".join(
        key + equals + value if equals else value.replace("=", "") for key, value, equals in pairs
    )

    shown = redact_target(f"/me?{query}".encode())

    assert not set("XYZ") & set(shown)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"/a//b", "/a//b"),
        (b"/a//b?token=s3cr3t", "/a//b"),
        (b"/a?b?c", "/a"),
        (b"/a#token=s3cr3t", "/a"),
        (b"/a\r\nX: y", "/a\\x0d\\x0aX: y"),
    ],
)
def test_a_redacted_path_has_no_query_or_fragment(raw, shown):
    assert redact_path(raw) == shown


@given(text=st.text())
def test_printable_text_has_no_control_characters_and_a_bounded_length(text):
    shown = printable(text)

    assert all(" " <= char <= "~" for char in shown.removesuffix("…"))
    assert len(shown) <= 513


@pytest.mark.parametrize(
    ("length", "shown"), [(512, "a" * 512), (513, "a" * 512 + "…")], ids=["whole", "cut"]
)
def test_long_text_is_cut(length, shown):
    assert printable("a" * length) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("sandbux", "'sandbux'"),
        ("", "''"),
        ("caf\xe9\x1b[2J", "'caf\\xe9\\x1b[2J'"),
        ("a" * 80, f"'{'a' * 80}'"),
        ("a" * 81, f"'{'a' * 80}…'"),
        ("\n" * 81, "'" + "\\x0a" * 20 + "…'"),
    ],
    ids=["plain", "empty", "escaped", "longest", "cut", "escaped and cut"],
)
def test_messages_quote_a_value_escaped_and_cut_at_80_characters(value, shown):
    assert quoted(value) == shown


@pytest.mark.parametrize(
    ("kind", "value", "known", "message"),
    [
        (
            "profile",
            "sandbux",
            ("prod", "sandbox"),
            "unknown profile 'sandbux'; did you mean 'sandbox'?",
        ),
        (
            "value",
            "pretty",
            ("text", "json", "auto"),
            "unknown value 'pretty'; use text, json or auto",
        ),
        ("profile", "x", ("prod",), "unknown profile 'x'; use prod"),
        ("client", "x", (), "unknown client 'x'; there are no clients"),
        ("profile", "\x1b", ("a", "b"), "unknown profile '\\x1b'; use a or b"),
    ],
    ids=["near", "several", "one", "none", "escaped"],
)
def test_a_message_about_an_unknown_name_says_what_to_write_instead(kind, value, known, message):
    assert unknown(kind, value, known) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sandbux", "unknown profile 'sandbux'; did you mean 'sandbox'?"),
        (
            "sandbox:s3cr3t",
            "unknown profile (not shown, it may be a secret); did you mean 'sandbox'?",
        ),
        ("s3cr3t", "unknown profile (not shown, it may be a secret); use prod or sandbox"),
    ],
    ids=["near", "half a name", "not near"],
)
def test_a_message_repeats_a_possible_secret_only_if_it_is_almost_a_known_name(value, message):
    assert unknown("profile", value, ["prod", "sandbox"], is_shown=None) == message


def test_a_value_that_may_be_a_key_is_not_shown():
    assert shown("two words 12") == "'two words 12'"
    assert shown("7kbG7Bk7S9Nt7ZSV") == "(not shown, it may be a secret)"


@pytest.mark.parametrize(("names", "text"), [("a", "a"), ("ab", "a or b"), ("abc", "a, b or c")])
def test_alternatives_are_joined_by_commas_and_or(names, text):
    assert alternatives(names) == text
