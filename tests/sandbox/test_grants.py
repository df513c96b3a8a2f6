"""The sandbox's state: applications, keys and tokens."""

import pytest

from ovh_proxy.sandbox.grants import (
    ACCESS_TOKEN,
    APPLICATION_KEY,
    CLIENT_ID,
    CONSUMER_KEY,
    Application,
    Grants,
)

NOW = 1_700_000_000.0


def test_new_grants_have_one_of_each() -> None:
    grants = Grants()

    assert grants.applications.keys() == {APPLICATION_KEY}
    assert grants.consumer_keys[CONSUMER_KEY].state_at(NOW) == "validated"
    assert grants.service_accounts.keys() == {CLIENT_ID}
    assert grants.is_token(ACCESS_TOKEN, NOW)


def test_the_first_credentials_can_be_chosen() -> None:
    grants = Grants(application_key="a", application_secret="s", consumer_key="c", client_id="i")

    assert grants.applications["a"] == Application("a", "s")
    assert grants.consumer_keys["c"].application_key == "a"
    assert "i" in grants.service_accounts


@pytest.mark.parametrize(
    ("expires", "state"), [(None, "validated"), (NOW + 1, "validated"), (NOW, "expired")]
)
def test_a_validated_key_expires(expires: float | None, state: str) -> None:
    grants = Grants()

    grants.expire_at(CONSUMER_KEY, expires)

    assert grants.consumer_keys[CONSUMER_KEY].state_at(NOW) == state


def test_a_refused_key_stays_refused_after_its_expiration() -> None:
    grants = Grants()
    grants.expire_at(CONSUMER_KEY, NOW - 1)

    grants.set_state(CONSUMER_KEY, "refused")

    assert grants.consumer_keys[CONSUMER_KEY].state_at(NOW) == "refused"


def test_an_unknown_state_is_rejected() -> None:
    with pytest.raises(
        ValueError, match="unknown state 'valid'; use one of pendingValidation, validated"
    ):
        Grants().set_state(CONSUMER_KEY, "valid")


def test_a_revoked_key_is_gone() -> None:
    grants = Grants()

    grants.revoke(CONSUMER_KEY)

    assert CONSUMER_KEY not in grants.consumer_keys


def test_an_issued_token_expires_after_its_lifetime() -> None:
    grants = Grants()
    grants.token_lifetime = 60

    token = grants.issue_token(CLIENT_ID, NOW)

    assert grants.is_token(token, NOW + 59)
    assert not grants.is_token(token, NOW + 60)
    assert not grants.is_token("another", NOW)


def test_forgetting_issued_tokens_leaves_personal_ones() -> None:
    grants = Grants()
    token = grants.issue_token(CLIENT_ID, NOW)

    grants.forget_tokens()

    assert not grants.is_token(token, NOW)
    assert grants.is_token(ACCESS_TOKEN, NOW)
