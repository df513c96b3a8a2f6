import pytest

from ovh_proxy.core.credentials import (
    AccessToken,
    ApplicationCredential,
    ServiceAccount,
    kind_of,
)
from ovh_proxy.core.secret import Secret

KEYS = ApplicationCredential(Secret("k3y"), Secret("s3cr3t"), Secret("c0nsumer"))
ACCOUNT = ServiceAccount("EU.0123", Secret("s3cr3t"), "https://www.ovh.com/auth/oauth2/token")
TOKEN = AccessToken(Secret("t0ken"))


@pytest.mark.parametrize(
    ("credential", "kind"),
    [(KEYS, "application keys"), (ACCOUNT, "service account"), (TOKEN, "access token")],
    ids=["keys", "account", "token"],
)
def test_the_name_of_each_kind_of_credential(credential, kind):
    assert kind_of(credential) == kind


@pytest.mark.parametrize("credential", [KEYS, ACCOUNT, TOKEN], ids=["keys", "account", "token"])
def test_the_repr_of_a_credential_shows_no_secret(credential):
    shown = repr(credential)

    assert not any(secret in shown for secret in ("k3y", "s3cr3t", "c0nsumer", "t0ken"))


def test_equal_credentials_are_the_same_cache_key():
    again = ApplicationCredential(Secret("k3y"), Secret("s3cr3t"), Secret("c0nsumer"))

    assert {KEYS: "clock"}[again] == "clock"
