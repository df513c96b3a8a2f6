from urllib.parse import parse_qsl, urlsplit

import pytest

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.ovhcloud.key_rules import KEY_METHODS, create_token_url


# Source: `auth.HTTPMethodEnum` of OVHcloud's schema.
def test_consumer_keys_know_four_methods() -> None:
    assert KEY_METHODS == ("GET", "POST", "PUT", "DELETE")


def _rules(*texts: str) -> list[AccessRule]:
    return [rule for text in texts for rule in parse_access_rule(text)]


def test_the_page_has_each_method_and_path() -> None:
    url = create_token_url("ovh-eu", _rules("GET /me", "GET,POST /domain/zone/*/record"))

    assert url == (
        "https://eu.api.ovh.com/createToken/"
        "?GET=/me&GET=/domain/zone/*/record&POST=/domain/zone/*/record"
    )


def test_a_star_stands_for_every_method_of_consumer_keys() -> None:
    url = create_token_url("ovh-eu", _rules("* /me"))

    assert url == ("https://eu.api.ovh.com/createToken/?GET=/me&POST=/me&PUT=/me&DELETE=/me")


def test_a_base_url_of_ovhcloud_has_the_page_of_its_endpoint() -> None:
    url = create_token_url("https://ca.api.ovh.com/1.0", _rules("GET /me"))

    assert url == "https://ca.api.ovh.com/createToken/?GET=/me"


def test_characters_that_would_end_a_value_are_encoded() -> None:
    url = create_token_url("ovh-eu", _rules("GET /a&GET=/b", "GET /ip/%2F+x"))

    assert url is not None
    assert parse_qsl(urlsplit(url).query) == [("GET", "/a&GET=/b"), ("GET", "/ip/%2F+x")]


@pytest.mark.parametrize(
    "rule", ["PATCH /me", "GET /v2", "GET /v2/iam/policy", "POST /auth/credential"]
)
def test_rules_that_consumer_keys_cannot_have_or_need_are_left_out(rule: str) -> None:
    assert create_token_url("ovh-eu", _rules(rule, "PUT /x")) == (
        "https://eu.api.ovh.com/createToken/?PUT=/x"
    )


@pytest.mark.parametrize(
    ("endpoint", "rules"),
    [("http://127.0.0.1:8080/1.0", ["GET /me"]), ("ovh-eu", ["PATCH /me"]), ("ovh-eu", [])],
    ids=["no page known", "no rule for keys", "no rules"],
)
def test_there_is_no_page_without_a_known_host_and_rules(endpoint: str, rules: list[str]) -> None:
    assert create_token_url(endpoint, _rules(*rules)) is None
