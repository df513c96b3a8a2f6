import pytest

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.ovhcloud.key_rules import wider_rules


@pytest.mark.parametrize(
    ("rules", "of_key", "wider"),
    [
        (["GET /me"], ["GET /*"], ()),
        (["* /*"], ["GET,POST,PUT,DELETE /*"], ()),
        (["GET /me"], ["GET /me"], ()),
        (["GET /me*"], ["GET /me*"], ()),
        (["GET /a/*/b"], ["GET /a/*"], ()),
        (["read-only /ip"], ["GET /ip", "GET /ip/*"], ()),
        (["GET /me"], [], ("GET /me",)),
        (["GET,POST /me"], ["GET /me"], ("POST /me",)),
        (["GET /*"], ["GET /me"], ("GET /*",)),
        (["GET /me/*"], ["GET /me"], ("GET /me/*",)),
        (["* /a"], ["GET /*"], ("POST /a", "PUT /a", "DELETE /a")),
        (["PATCH /a"], ["GET /*"], ()),
        (["GET /v2/iam/policy"], ["GET /me"], ()),
        (["GET /me"], ["BREW /me"], ()),
    ],
    ids=lambda value: " + ".join(value) or "none",
)
def test_rules_that_a_key_does_not_cover_are_listed(rules, of_key, wider):
    parsed = [rule for text in rules for rule in parse_access_rule(text)]

    assert wider_rules(parsed, of_key) == wider
