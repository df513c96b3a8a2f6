import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ovh_proxy.core.access_rules import (
    METHODS,
    AccessRule,
    authorize,
    grants,
    parse_access_rule,
    reject_version,
)
from ovh_proxy.core.errors import AccessDenied
from ovh_proxy.core.target import decode_fully


def rules(*lines):
    return tuple(rule for line in lines for rule in parse_access_rule(line))


def call(method, path, *holders):
    """Authorizes a call; each holder is a list of rules, or None for no rules at all."""
    granted = [
        (f"holder {index}", None if lines is None else rules(*lines))
        for index, lines in enumerate(holders)
    ]
    authorize(method, path, decode_fully(path), granted)


PATTERNS = [
    ("/me", "/me", True),
    ("/me", "/me/", False),
    ("/me", "/me/bill", False),
    ("/me", "/m", False),
    ("/*", "/", True),
    ("/*", "/anything/at/all", True),
    ("/sms/*", "/sms", False),
    ("/sms/*", "/sms/", True),
    ("/sms/*", "/smsx/a", False),
    ("/sms/*/jobs", "/sms/a/jobs", True),
    ("/sms/*/jobs", "/sms/a/b/jobs", True),
    ("/sms/*/jobs", "/sms/jobs", False),
    ("/sms/*/jobs", "/sms//jobs", True),
    ("/sms/*/jobs", "/sms/a/jobs/1", False),
    ("/a*b*c", "/abc", True),
    ("/a*b*c", "/acb", False),
    ("/a**b", "/ab", True),
    ("/*a*a*", "/a", False),
    ("/*a*a*", "/aa", True),
    ("/ab*ba", "/aba", False),
    ("/*b*b", "/b", False),
    ("/*b*b", "/bb", True),
    ("/me.", "/mex", False),
    ("/me?", "/mex", False),
    ("/[m]e", "/me", False),
    ("/Me", "/me", False),
]


@pytest.mark.parametrize(("pattern", "path", "matched"), PATTERNS)
def test_a_pattern_is_a_glob_whose_star_crosses_slashes(pattern, path, matched):
    rule = AccessRule(frozenset({"GET"}), pattern)

    assert rule.matches_raw(path) is matched


def slow_glob(pattern, path):
    expression = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(expression, path, re.DOTALL) is not None


@given(
    pattern=st.text(st.sampled_from("/ab*"), max_size=8),
    path=st.text(st.sampled_from("/ab"), max_size=10),
)
def test_a_glob_agrees_with_a_regular_expression(pattern, path):
    rule = AccessRule(frozenset(), pattern)

    assert rule.matches_raw(path) is slow_glob(pattern, path)


@given(
    pieces=st.lists(st.text(st.sampled_from("/ab"), max_size=3), min_size=1, max_size=5),
    filling=st.text(st.sampled_from("/ab"), max_size=3),
)
def test_a_path_built_from_a_pattern_matches_it(pieces, filling):
    rule = AccessRule(frozenset(), "*".join(pieces))

    assert rule.matches_raw(filling.join(pieces))


class CountedPath(str):
    """A path that records where each search starts."""

    __slots__ = ("searches",)

    def __new__(cls, text):
        path = super().__new__(cls, text)
        path.searches = []
        return path

    def find(self, piece, start, end):
        self.searches.append(start)
        return super().find(piece, start, end)


@pytest.mark.parametrize("stars", [1, 10, 1000])
def test_a_hostile_pattern_searches_once_per_star_without_backtracking(stars):
    rule = AccessRule(frozenset(), "/" + "*a" * stars + "*b")
    path = CountedPath("/" + "a" * 500 + "b")

    rule.matches_raw(path)

    assert 0 < len(path.searches) <= stars
    assert path.searches == sorted(path.searches)


def test_an_escaped_star_in_a_pattern_is_literal():
    (rule,) = rules("GET /a%2A")

    assert rule.matches_decoded("/a*")
    assert not rule.matches_decoded("/ab")


@pytest.mark.parametrize(
    ("line", "method", "granted"),
    [
        ("GET /me", "GET", True),
        ("GET /me", "HEAD", True),
        ("GET /me", "POST", False),
        ("GET /me", "OPTIONS", False),
        ("POST /me", "HEAD", False),
        ("GET,PUT /me", "PUT", True),
        ("GET,PUT /me", "DELETE", False),
        ("PATCH /me", "PATCH", True),
        ("DELETE /me", "DELETE", True),
        ("* /me", "DELETE", True),
        ("* /me", "OPTIONS", True),
        ("* /me", "PURGE", True),
        ("* /me", "HEAD", True),
    ],
)
def test_a_rule_covers_its_methods_and_get_covers_head(line, method, granted):
    assert grants(rules(line), method, "/me", "/me") is granted


@pytest.mark.parametrize(
    ("lines", "path", "granted"),
    [
        pytest.param(["GET /ip/*"], "/ip/192.0.2.0%2F24", True, id="a star matches both"),
        pytest.param(["GET /ip/a%2F24"], "/ip/a%2F24", True, id="the rule is written escaped"),
        pytest.param(["GET /ip/a/24"], "/ip/a%2F24", False, id="not granted as written"),
        pytest.param(["GET /ip/a%2F24"], "/ip/a/24", False, id="not granted decoded"),
        pytest.param(["GET /ip/a%2f24"], "/ip/a%2F24", True, id="a rule in lower case"),
        pytest.param(["GET /ip/a%2F24"], "/ip/a%2f24", True, id="a path in lower case"),
        pytest.param(["GET /ip/a%2f*"], "/ip/a%2Fb%2fc", True, id="mixed case before a star"),
        pytest.param(["GET /a/*"], "/a%2Fb", False, id="granted only decoded"),
        pytest.param(["GET /a%2F*"], "/a%2Fb", True, id="an escape before a star"),
        pytest.param(["GET /a/*/x"], "/a/b%2Fx", False, id="granted only as written"),
        pytest.param(["GET /a*", "GET /a/b"], "/a%2Fb", True, id="a star across an escape"),
        pytest.param(
            ["GET /%61dmin*", "GET /admin"], "/%61dmin", True, id="one rule for each form"
        ),
        pytest.param(["GET /%61dmin"], "/%61dmin", True, id="one rule for both forms"),
        pytest.param(["GET /a%252Fb"], "/a%252Fb", True, id="escaped twice"),
        pytest.param(["GET /*b"], "/a%2562", False, id="only the decoded path matches"),
        pytest.param(["GET /*%2562"], "/a%2562", True, id="both match"),
    ],
)
def test_a_call_is_granted_only_if_its_raw_and_decoded_paths_are(lines, path, granted):
    assert grants(rules(*lines), "GET", path, decode_fully(path)) is granted


def test_different_rules_may_grant_the_raw_and_the_decoded_path():
    found = rules("GET /a%2562", "GET /ab")

    assert grants(found, "GET", "/a%2562", "/ab")
    assert not grants(found[1:], "GET", "/a%2562", "/ab")


def test_a_rule_for_another_method_does_not_grant_the_decoded_path():
    found = rules("GET /a%62c", "POST /abx")

    assert not grants(found, "GET", "/a%62x", "/abx")


@given(path=st.text(st.characters(codec="ascii", exclude_characters="*"), max_size=20))
def test_a_literal_rule_grants_the_path_that_it_names(path):
    rule = AccessRule(frozenset({"GET"}), "/" + path)

    assert grants([rule], "GET", "/" + path, decode_fully("/" + path))


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("GET /me", ["GET /me"]),
        ("PUT,GET /me", ["GET,PUT /me"]),
        ("GET,GET /me", ["GET /me"]),
        ("GET   /me", ["GET /me"]),
        ("GET\t/me", ["GET /me"]),
        ("* /*", ["* /*"]),
        ("GET,POST,PUT,PATCH,DELETE /me", ["GET,POST,PUT,PATCH,DELETE /me"]),
        ("read-only /ip", ["GET /ip", "GET /ip/*"]),
        ("read-only /ip/", ["GET /ip", "GET /ip/*"]),
        ("read-only /ip/*", ["GET /ip", "GET /ip/*"]),
        ("read-write /ip", ["* /ip", "* /ip/*"]),
        ("read-only /", ["GET /*"]),
        ("read-write /*", ["* /*"]),
    ],
)
def test_a_line_is_parsed_and_a_preset_covers_the_path_and_all_below(line, meant):
    assert [str(rule) for rule in parse_access_rule(line)] == meant


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "METHOD /path"),
        ("GET", "METHOD /path"),
        ("/me", "METHOD /path"),
        (" GET /me", "METHOD /path"),
        ("GET /me ", "METHOD /path"),
        ("GET /me x", "METHOD /path"),
        ("GET, PUT /me", "METHOD /path"),
        ("GET me", "must start with /"),
        ("GET *", "must start with /"),
        ("GET https://eu.api.ovh.com/1.0/me", "must start with /"),
        ("GET /me?x=1", "without a query"),
        ("GET /me#x", "without a query"),
        ("GET /café", "percent-encoded ASCII"),
        ("get /me", "unknown method"),
        ("HEAD /me", "unknown method"),
        ("GET, /me", "unknown method"),
        ("GET,* /me", "unknown method"),
        ("read /me", "unknown method"),
        ("GET /%25252525252525252525252525252525252541", "nested too deep"),
    ],
)
def test_a_malformed_rule_is_rejected_with_a_hint(line, why):
    with pytest.raises(ValueError, match=why):
        parse_access_rule(line)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("me", "malformed rule 'me'; write METHOD /path, such as GET /me"),
        ("GET me", "rule 'GET me': the path must start with /"),
        (
            "GET,FETCH /me",
            (
                "unknown method 'FETCH'; use GET, POST, PUT, PATCH or DELETE, several separated by "
                "commas, * for all, or a preset: read-only or read-write"
            ),
        ),
    ],
)
def test_the_message_names_the_malformed_rule(line, message):
    with pytest.raises(ValueError, match=r".") as rejected:
        parse_access_rule(line)

    assert str(rejected.value) == message


@pytest.mark.parametrize(
    ("path", "version"),
    [("/1.0", "/1.0"), ("/1.0/me", "/1.0"), ("/v1/*", "/v1"), ("/1.0*", "/1.0"), ("/v1*", "/v1")],
)
def test_a_rule_path_with_a_version_is_rejected_because_it_never_matches(path, version):
    with pytest.raises(ValueError, match=r".") as rejected:
        reject_version(path)

    assert str(rejected.value) == f"rule path '{path}' never matches; leave out {version}"


@pytest.mark.parametrize("path", ["/", "/*", "/me", "/1.0x", "/v1x*", "/v2/iam", "/v2*", "/me/1.0"])
def test_a_rule_path_without_1_0_or_v1_is_accepted(path):
    reject_version(path)


@given(
    methods=st.one_of(st.just([]), st.lists(st.sampled_from(METHODS), unique=True)),
    path=st.text(st.sampled_from("ab/*%2F"), max_size=10),
)
def test_str_of_a_rule_parses_to_the_same_rule(methods, path):
    rule = AccessRule(frozenset(methods), "/" + path)

    assert parse_access_rule(str(rule)) == (rule,)


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/me", "/me"),
        ("/a%2Fb", "/a/b"),
        ("/a%252Fb", "/a/b"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("/%25zz", "/%zz"),
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("/a+b", "/a+b"),
        ("/%" + "25" * 14 + "41", "/A"),
    ],
)
def test_escapes_are_decoded_until_nothing_changes(path, decoded):
    assert decode_fully(path) == decoded


def test_too_deeply_nested_escapes_are_rejected():
    with pytest.raises(ValueError, match="nested too deep"):
        decode_fully("/%" + "25" * 15 + "41")


@given(text=st.text(st.characters(codec="latin-1"), max_size=20), depth=st.integers(0, 10))
def test_nested_escapes_are_decoded_completely(text, depth):
    assume("%" not in text)
    escaped = text
    for _ in range(depth):
        escaped = quote(escaped, safe="", encoding="latin-1")

    assert decode_fully(escaped) == text


def test_the_message_of_a_denied_call_names_holder_method_and_path():
    with pytest.raises(AccessDenied) as denied:
        authorize(
            "DELETE",
            "/me/api/credential/1",
            "/me/api/credential/1",
            [("profile personal", rules("GET /*"))],
        )

    assert str(denied.value) == (
        "no access rule of profile personal grants DELETE /me/api/credential/1"
    )


def test_control_characters_in_a_denied_path_are_escaped():
    with pytest.raises(AccessDenied) as denied:
        authorize("GET", "/\x1b[2J", "/\x1b[2J", [("profile a", ())])

    assert str(denied.value) == "no access rule of profile a grants GET /\\x1b[2J"


@pytest.mark.parametrize(
    "holders",
    [
        pytest.param([None], id="no rules at all"),
        pytest.param([["GET /me"]], id="a rule"),
        pytest.param([["GET /other", "GET /me"]], id="one of several rules"),
        pytest.param([["GET /me"], None], id="only rules of the profile"),
        pytest.param([None, ["GET /me"]], id="only rules of the client"),
        pytest.param([["GET /*"], ["read-only /me"]], id="rules of both"),
    ],
)
def test_a_call_that_every_holder_grants_passes(holders):
    call("GET", "/me", *holders)


@pytest.mark.parametrize(
    ("holders", "who"),
    [
        pytest.param([[]], "holder 0", id="an empty list of rules"),
        pytest.param([["GET /me/*"]], "holder 0", id="no rule that covers it"),
        pytest.param([["POST /me"]], "holder 0", id="another method"),
        pytest.param([["GET /me"], ["GET /ip"]], "holder 1", id="the client's rules do not"),
        pytest.param([["GET /ip"], ["GET /me"]], "holder 0", id="the profile's rules do not"),
        pytest.param([["GET /ip"], None], "holder 0", id="a client without rules adds nothing"),
    ],
)
def test_a_call_that_one_holder_does_not_grant_is_denied(holders, who):
    with pytest.raises(AccessDenied, match=f"no access rule of {who} grants GET /me$"):
        call("GET", "/me", *holders)


def test_the_time_needs_no_rule():
    call("GET", "/auth/time", [])


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/auth/time"), ("GET", "/auth/time/"), ("POST", "/auth/credential")],
)
def test_no_other_auth_call_passes_without_a_rule(method, path):
    with pytest.raises(AccessDenied):
        call(method, path, [])


LOGOUTS = [
    "/auth/logout",
    "/auth/logout/",
    "/AUTH/Logout",
    "/auth/logout;x=1",
    "/auth;x/logout",
    "/auth%2Flogout",
    "/auth/log%6Fut",
    "/auth/log%256Fut",
    "/v2/auth/logout",
    "/v1/auth/logout",
    "/1.0/auth/logout",
]


@pytest.mark.parametrize("holder", [None, ["* /*"], ["POST /auth/*"], ["POST /*/auth/*", "* /*"]])
@pytest.mark.parametrize("path", LOGOUTS)
def test_a_logout_needs_a_rule_that_names_it(path, holder):
    with pytest.raises(AccessDenied):
        call("POST", path, holder)


def test_a_denied_logout_says_why():
    with pytest.raises(AccessDenied, match="would revoke the key for everyone"):
        call("POST", "/auth/logout", ["* /*"])


@pytest.mark.parametrize(
    "holders",
    [
        pytest.param([["POST /auth/logout"]], id="the profile's rules"),
        pytest.param([["GET,POST /auth/logout"]], id="one of several methods"),
        pytest.param([["* /*", "POST /auth/logout"]], id="with a star rule"),
        pytest.param([None, ["POST /auth/logout"]], id="the client's rules"),
        pytest.param([["POST /auth/logout"], ["* /*"]], id="the profile's, and the client's grant"),
    ],
)
def test_a_logout_that_a_rule_names_passes(holders):
    call("POST", "/auth/logout", *holders)


def test_a_logout_with_a_version_passes_if_a_rule_names_both():
    call("POST", "/1.0/auth/logout", ["POST /1.0/auth/logout"])


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        pytest.param("/auth/logout/", ["POST /auth/logout", "* /*"], id="another spelling"),
        pytest.param("/auth%2Flogout", ["POST /auth/logout", "* /*"], id="an escaped slash"),
        pytest.param("/auth/logout", ["* /auth/logout"], id="a star as method"),
        pytest.param("/auth/logout", ["POST /auth/logou*"], id="a star"),
        pytest.param("/auth/logout", ["* /*", "GET /auth/logout"], id="another method"),
    ],
)
def test_a_rule_for_another_call_does_not_allow_a_logout(path, lines):
    with pytest.raises(AccessDenied, match="would revoke"):
        call("POST", path, lines)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/logout"),
        ("POST", "/auth/logouts"),
        ("POST", "/auth/logout/1"),
        ("POST", "/logout"),
        ("POST", "/auth"),
        ("POST", "/"),
    ],
)
def test_other_calls_need_no_rule_that_names_them(method, path):
    call(method, path, ["* /*"])
