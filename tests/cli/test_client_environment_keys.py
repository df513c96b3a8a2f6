import pytest

from ovh_proxy.cli.client_environment import is_key, without_keys


@pytest.mark.parametrize(
    "name",
    [
        *("OVH_ENDPOINT", "OVH_ENDPOINT_FILE", "OVH_PROFILE"),
        *("OVH_APPLICATION_KEY", "OVH_APPLICATION_SECRET", "OVH_APPLICATION_SECRET_FILE"),
        *("OVH_CONSUMER_KEY", "OVH_CONSUMER_KEY_FILE"),
        *("OVH_CLIENT_ID", "OVH_CLIENT_SECRET", "OVH_ACCESS_TOKEN"),
        *("OVH_AK", "OVH_AS", "OVH_CK", "OVH_END_POINT"),
        *("OVH_APP_KEY", "OVH_APP_SECRET", "OVH_APP_SECRET_KEY"),
        *("LEXICON_OVH_AUTH_APPLICATION_SECRET", "LEXICON_OVH_CONSUMER_KEY"),
    ],
)
def test_keys_are_removed(name: str) -> None:
    assert is_key(name)
    assert without_keys({name: "S3CRET"}, ()) == {}


@pytest.mark.parametrize(
    "name",
    [
        "OVH_CLOUD_PROJECT_SERVICE",
        "OVH_TTL",
        "OVH_HTTP_TIMEOUT",
        "LEXICON_TTL",
        "MY_OVH_AK",
        "PATH",
    ],
)
def test_other_variables_stay(name: str) -> None:
    assert not is_key(name)
    assert without_keys({name: "stays"}, ()) == {name: "stays"}


def test_our_own_variables_and_those_of_the_store_are_removed() -> None:
    environ = {"MY_SECRET": "S3CRET", "OVH_PROXY_CREDENTIALS": "keys.yaml", "MY_OTHER": "stays"}

    assert without_keys(environ, ("MY_SECRET",)) == {"MY_OTHER": "stays"}


def test_our_own_variables_are_not_keys() -> None:
    assert not is_key("OVH_PROXY_CREDENTIALS")
