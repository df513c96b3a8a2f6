"""A target is split at slashes before it is decoded."""

import pytest

from ovh_proxy.sandbox.call import parse_api_path


@pytest.mark.parametrize(
    ("target", "version", "path", "rule_path"),
    [
        (b"/1.0/me", "v1", "/me", "/me"),
        (b"/v1/me", "v1", "/me", "/me"),
        (b"/v2/iam/policy", "v2", "/iam/policy", "/v2/iam/policy"),
        (b"/1.0", "v1", "/", "/"),
        (b"/1.0/", "v1", "/", "/"),
        (b"/1.0//me", "v1", "//me", "//me"),
        (b"/1.0x/me", "", "/1.0x/me", "/1.0x/me"),
        (b"/auth/oauth2/token", "", "/auth/oauth2/token", "/auth/oauth2/token"),
        (b"*", "", "*", "*"),
        (b"http://localhost/1.0/me", "", "http://localhost/1.0/me", "http://localhost/1.0/me"),
    ],
)
def test_the_version_is_the_first_segment(
    target: bytes, version: str, path: str, rule_path: str
) -> None:
    place = parse_api_path(target)

    assert (place.version, place.path, place.rule_path) == (version, path, rule_path)


def test_an_encoded_slash_does_not_separate_segments() -> None:
    place = parse_api_path(b"/1.0/ip/127.0.0.1%2F29/reverse?x=a%2Fb&x=c&y")

    assert place.segments == ("ip", "127.0.0.1/29", "reverse")
    assert place.parameters == {"x": "c", "y": ""}
