from urllib.parse import parse_qsl, urlsplit

import pytest

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.ovhcloud.key_rules import create_token_url


def _rules(*texts: str) -> list[AccessRule]:
    return [rule for text in texts for rule in parse_access_rule(text)]


def test_the_page_asks_for_each_method_and_path() -> None:
    url = create_token_url("ovh-eu", _rules("GET /me", "GET,POST /domain/zone/*/record"))

    assert url == (
        "https://eu.api.ovh.com/createToken/"
        "?GET=/me&GET=/domain/zone/*/record&POST=/domain/zone/*/record"
    )


def test_every_method_that_a_consumer_key_knows_is_asked_for() -> None:
    url = create_token_url("ovh-eu", _rules("* /me"))

    assert url == ("https://eu.api.ovh.com/createToken/?GET=/me&POST=/me&PUT=/me&DELETE=/me")


def test_a_base_url_of_ovhclouds_has_the_page_of_its_name() -> None:
    url = create_token_url("https://ca.api.ovh.com/1.0", _rules("GET /me"))

    assert url == "https://ca.api.ovh.com/createToken/?GET=/me"


def test_what_would_end_a_value_is_encoded() -> None:
    url = create_token_url("ovh-eu", _rules("GET /a&GET=/b", "GET /ip/%2F+x"))

    assert url is not None
    assert parse_qsl(urlsplit(url).query) == [("GET", "/a&GET=/b"), ("GET", "/ip/%2F+x")]


@pytest.mark.parametrize(
    "rule", ["PATCH /me", "GET /v2", "GET /v2/iam/policy", "POST /auth/credential"]
)
def test_what_a_consumer_key_cannot_or_need_not_grant_is_left_out(rule: str) -> None:
    assert create_token_url("ovh-eu", _rules(rule, "PUT /x")) == (
        "https://eu.api.ovh.com/createToken/?PUT=/x"
    )


@pytest.mark.parametrize(
    ("endpoint", "rules"),
    [("http://127.0.0.1:8080/1.0", ["GET /me"]), ("ovh-eu", ["PATCH /me"]), ("ovh-eu", [])],
    ids=["no page known", "nothing to ask for", "no rules"],
)
def test_there_is_no_page_without_a_host_or_rights(endpoint: str, rules: list[str]) -> None:
    assert create_token_url(endpoint, _rules(*rules)) is None
