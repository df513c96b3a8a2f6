import pytest

from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import NAME, Profile


@pytest.mark.parametrize("name", ["a", "personal", "robot-2", "a.b_c", "1", "A" * 64])
def test_a_valid_name_needs_no_quoting_in_a_path_or_header(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["", "-", ".", "..", "-a", "a/b", "a b", "a%2F", "@a", "é", "a\n", "A" * 65]
)
def test_a_name_that_needs_quoting_is_invalid(name):
    assert not NAME.fullmatch(name)


def test_a_profile_without_rules_may_make_all_calls():
    profile = Profile("personal", ENDPOINTS["ovh-eu"], AccessToken(Secret("t0ken")))

    assert profile.access_rules is None


def test_the_repr_of_a_profile_shows_no_secret():
    rules = (AccessRule(frozenset({"GET"}), "/me"),)

    shown = repr(Profile("personal", ENDPOINTS["ovh-eu"], AccessToken(Secret("t0ken")), rules))

    assert "personal" in shown
    assert "t0ken" not in shown
