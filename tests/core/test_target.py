import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ovh_proxy.core.errors import BadTarget
from ovh_proxy.core.target import decode_path, parse_target

ACCEPTED = [
    pytest.param(b"/", id="the root"),
    pytest.param(b"/me?x=1", id="a query"),
    pytest.param(b"/me?", id="a bare question mark"),
    pytest.param(b"/me/", id="a trailing slash"),
    pytest.param(b"/ip/192.0.2.0%2F24", id="an escaped slash"),
    pytest.param(b"/ip/192.0.2.0%2f24", id="%2f in lower case"),
    pytest.param(b"/me%2F", id="a trailing %2F"),
    pytest.param(b"/ip/192.0.2.0%252F24", id="%2F escaped twice"),
    pytest.param(b"/a+b%20c", id="a plus and an escaped space"),
    pytest.param(b"/caf%C3%A9", id="UTF-8"),
    pytest.param(b"/caf%E9", id="an escaped Latin-1 byte"),
    pytest.param(b"/%80%9F", id="bytes that Latin-1 calls control characters"),
    pytest.param(b"/...", id="three dots"),
    pytest.param(b"/.well-known", id="a dot first"),
    pytest.param(b"/a..b/.c/d.", id="dots within segments"),
    pytest.param(b"/..a;b", id="dots and text before the first ;"),
    pytest.param(b"/a;..", id="dots after the first ;"),
    pytest.param(b"/a;x=1;y", id="parameters"),
    pytest.param(b"/100%25", id="an escaped percent sign"),
    pytest.param(b"/me?100%&%zz", id="a malformed escape in the query"),
    pytest.param(b"/a%3Fb%23c", id="an escaped ? and #"),
    pytest.param(b"/a:b@c,d=e$f!g~h*i(j)'k", id="characters that a path may contain"),
    pytest.param(b'/a|b"c<d>e[f]g{h}i^j`k', id="characters that clients should escape"),
    pytest.param(b"/me?a=//&b=\\&c=../..&d=%00&e=%2e%2e", id="anything in a query"),
    pytest.param(b"/me?a?b", id="a question mark in a query"),
    pytest.param(b"/me?b=1&a=2&&=&c", id="order and empty parameters of a query"),
]


@pytest.mark.parametrize("raw", ACCEPTED)
def test_an_unambiguous_target_is_preserved_byte_for_byte(raw):
    target = parse_target(raw)

    assert str(target).encode() == raw


def test_a_target_is_split_at_its_first_question_mark():
    target = parse_target(b"/me%3F?a=b?c")

    assert (target.path, target.query) == ("/me%3F", "?a=b?c")


REFUSED = [
    pytest.param(b"/.", r"\. or \.\.", id="a . segment"),
    pytest.param(b"/..", r"\. or \.\.", id="a .. segment"),
    pytest.param(b"/a/./b", r"\. or \.\.", id="a . segment within"),
    pytest.param(b"/a/../b", r"\. or \.\.", id="a .. segment within"),
    pytest.param(b"/a/..", r"\. or \.\.", id="a .. segment at the end"),
    pytest.param(b"/a/..;x", r"\. or \.\.", id="a .. segment before its first ;"),
    pytest.param(b"/a/.;/b", r"\. or \.\.", id="a . segment before its first ;"),
    pytest.param(b"/a/..%3Bx", r"\. or \.\.", id="a .. segment before an escaped ;"),
    pytest.param(b"/a/%2E%2e/b", r"\. or \.\.", id="an escaped .. segment"),
    pytest.param(b"/a/.%2e/b", r"\. or \.\.", id="a half escaped .. segment"),
    pytest.param(b"/a/%252e%252e/b", r"\. or \.\.", id="a .. segment escaped twice"),
    pytest.param(b"/a/%25252e%25252e", r"\. or \.\.", id="a .. segment escaped three times"),
    pytest.param(b"/a%2F..%2Fb", r"\. or \.\.", id="a .. segment between escaped slashes"),
    pytest.param(b"//", "//", id="only an empty segment"),
    pytest.param(b"//me", "//", id="an empty first segment"),
    pytest.param(b"/a//b", "//", id="an empty segment"),
    pytest.param(b"/a//", "//", id="an empty last segment"),
    pytest.param(b"/a/%2Fb", "//", id="an empty segment by %2F"),
    pytest.param(b"/a%2F%2Fb", "//", id="an empty segment by two %2F"),
    pytest.param(b"/a%252F/b", "//", id="an empty segment by %252F"),
    pytest.param(b"/a\\b", "backslash", id="a backslash"),
    pytest.param(b"/a%5Cb", "backslash", id="an escaped backslash"),
    pytest.param(b"/a%255cb", "backslash", id="a backslash escaped twice"),
    pytest.param(b"/a%00b", "control", id="an escaped NUL"),
    pytest.param(b"/a%0Ab", "control", id="an escaped line break"),
    pytest.param(b"/a%0D%0Ab", "control", id="an escaped CRLF"),
    pytest.param(b"/a%7Fb", "control", id="an escaped DEL"),
    pytest.param(b"/a%251fb", "control", id="a control byte escaped twice"),
    pytest.param(b"/a\tb", "control", id="a tab"),
    pytest.param(b"/a\x7fb", "control", id="DEL"),
    pytest.param(
        b"/" + b"%25" * 1 + b"25" * 16 + b"41", "nested too deep", id="too deeply nested escapes"
    ),
    pytest.param(b"/me#top", "fragment", id="a fragment"),
    pytest.param(b"/me?x#top", "fragment", id="a fragment after a query"),
    pytest.param(b"https://eu.api.ovh.com/1.0/me", "not a path", id="absolute form"),
    pytest.param(b"*", "not a path", id="the asterisk"),
    pytest.param(b"eu.api.ovh.com:443", "not a path", id="authority form"),
    pytest.param(b"me", "not a path", id="no leading slash"),
    pytest.param(b"%2Fme", "not a path", id="an escaped leading slash"),
    pytest.param(b"", "not a path", id="empty"),
    pytest.param("/café".encode(), "percent-encode", id="raw UTF-8"),
    pytest.param(b"/caf\xe9", "percent-encode", id="raw Latin-1"),
    pytest.param(b"/me?caf\xe9", "percent-encode", id="raw bytes in the query"),
]


@pytest.mark.parametrize(("raw", "why"), REFUSED)
def test_an_ambiguous_target_is_rejected(raw, why):
    with pytest.raises(BadTarget, match=why):
        parse_target(raw)


def test_the_error_does_not_repeat_the_target():
    with pytest.raises(BadTarget) as refused:
        parse_target(b"/s3cr3t//?token=s3cr3t")

    assert "s3cr3t" not in str(refused.value)


# Characters that parsers have disagreed on, and little else.
NASTY = st.text(st.sampled_from("/.;%25eEfFcC\\07aA?#@-:*& \t\x00\x7f\xe9"), max_size=24)


def reference_is_unambiguous(path):
    """Slow and obvious: checks every stage of decoding, not only the last."""
    stages = [path]
    while (decoded := unquote_to_bytes(stages[-1])) != stages[-1]:
        stages.append(decoded)
    return not any(
        re.search(rb"//|\\|[\x00-\x1f\x7f]", stage) or re.search(rb"/\.\.?(;|/|$)", stage)
        for stage in stages
    )


@given(rest=NASTY)
@example(rest="a/%252e%252e;/b")
def test_accepted_targets_are_unambiguous_at_every_stage_of_decoding(rest):
    raw = f"/{rest}".encode("latin-1")
    try:
        target = parse_target(raw)
    except BadTarget:
        accepted = False
    else:
        accepted = True
        assert str(target).encode() == raw

    path = raw.partition(b"?")[0]
    well_formed = raw.isascii() and b"#" not in raw and not re.search(rb"%(?![0-9A-Fa-f]{2})", path)
    assert accepted == (well_formed and reference_is_unambiguous(path))


@given(path=st.text(st.characters(codec="ascii"), max_size=30))
def test_a_decoded_path_decodes_to_itself(path):
    decoded = decode_path(path)

    again = decode_path(decoded)

    assert again == decoded


def test_the_repr_of_a_target_does_not_show_its_query():
    target = parse_target(b"/me?password=hunter2")

    shown = repr(target)

    assert "/me" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "path",
    ["/%" + "25" * 15 + "41", "/%4" + "%3" * 16 + "1", "/%254" + "%253" * 16 + "1"],
    ids=["escaped percent signs", "escaped digits", "both"],
)
def test_escapes_that_are_nested_too_deep_are_rejected(path):
    with pytest.raises(BadTarget, match="nested too deep"):
        decode_path(path)


@given(path=st.text("%2534aA1/", max_size=40))
def test_decoding_agrees_with_repeated_passes(path):
    expected = path.encode()
    for _ in range(40):
        expected = unquote_to_bytes(expected)

    try:
        decoded = decode_path(path)
    except BadTarget:
        return

    assert decoded == expected.decode("latin-1")


def test_the_decoded_end_of_a_path_follows_its_escapes():
    target = parse_target(b"/@a%2Fb/me%2541/")

    assert target.decoded_end("/me%2541/") == "/meA/"
    assert target.decoded_end("/") == "/"
    assert parse_target(b"/1.0").decoded_end("/") == "/"
