"""Access rules are globs in which a star matches slashes."""

import pytest

from ovh_proxy.sandbox.grants import EVERYTHING, grants, matches


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/*", "/", True),
        ("/*", "/domain/zone/example.org/record/1", True),
        ("/me", "/me", True),
        ("/me", "/me/bill", False),
        ("/sms/*", "/sms", False),
        ("/sms/*", "/sms/", True),
        ("/sms/*/jobs", "/sms/a/b/jobs", True),
        ("/sms/*/jobs", "/sms/jobs", False),
        ("/domain/zone/*/record/*", "/domain/zone/example.org/record/1,2", True),
        ("/me ", "/me", False),
        ("/m.", "/me", False),
        ("/m?", "/me", False),
        ("/*", "/a\nb", True),
    ],
)
def test_a_star_matches_anything(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path) is fits


@pytest.mark.parametrize(
    ("rules", "method", "granted"),
    [
        ((("GET", "/me"),), "GET", True),
        ((("GET", "/me"),), "HEAD", True),
        ((("GET", "/me"),), "POST", False),
        ((("POST", "/me"),), "HEAD", False),
        ((("PUT", "/me"),), "PATCH", True),
        ((("PUT", "/other"),), "PATCH", False),
        (EVERYTHING, "DELETE", True),
        ((), "GET", False),
    ],
)
def test_a_rule_grants_its_method(
    rules: tuple[tuple[str, str], ...], method: str, granted: bool
) -> None:
    assert grants(rules, method, "/me") is granted
