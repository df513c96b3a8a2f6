from collections.abc import Mapping
from dataclasses import replace

import pytest

from ovh_proxy.cli.client_environment import PLACEHOLDER_KEY, ProxyAccess, variables

HOSTS = ("eu.api.ovh.com", "www.ovh.com", "localhost")
ACCESS = ProxyAccess("http://127.0.0.1:4000", "T0KEN", "ovh-eu")


def assigned(access: ProxyAccess, **environ: str) -> Mapping[str, str]:
    return variables(access, environ, HOSTS)


def test_go_ovh_gets_a_url_and_a_token_and_no_other_credential() -> None:
    found = assigned(ACCESS)

    assert {name: text for name, text in found.items() if name.startswith("OVH_")} == {
        "OVH_ENDPOINT": "http://127.0.0.1:4000/1.0",
        "OVH_ACCESS_TOKEN": "T0KEN",
        "OVH_PROXY_URL": "http://127.0.0.1:4000",
    }


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_https_proxy_has_the_token(name: str) -> None:
    found = assigned(replace(ACCESS, token="a/b c"))

    assert found[name] == "http://ovh-proxy:a%2Fb%20c@127.0.0.1:4000"
    assert found["NODE_USE_ENV_PROXY"] == "1"
    assert found["PERL_LWP_ENV_PROXY"] == "1"


def test_without_a_token_sdks_get_a_placeholder() -> None:
    found = assigned(replace(ACCESS, token=None))

    assert found["OVH_ACCESS_TOKEN"] == PLACEHOLDER_KEY
    assert found["HTTPS_PROXY"] == "http://127.0.0.1:4000"


def test_plain_http_does_not_use_the_proxy() -> None:
    assert not {"HTTP_PROXY", "http_proxy", "ALL_PROXY"} & assigned(ACCESS).keys()


def test_without_interception_there_is_no_https_proxy() -> None:
    found = assigned(replace(ACCESS, intercepts=False))

    assert set(found) == {"OVH_ENDPOINT", "OVH_ACCESS_TOKEN", "OVH_PROXY_URL"}


def test_with_made_up_keys_the_application_key_is_the_token() -> None:
    found = assigned(replace(ACCESS, has_keys=True))

    assert "OVH_ACCESS_TOKEN" not in found
    assert (found["OVH_ENDPOINT"], found["OVH_END_POINT"]) == ("ovh-eu", "ovh-eu")
    assert found["LEXICON_OVH_AUTH_ENTRYPOINT"] == "ovh-eu"
    with_token = {name for name, text in found.items() if text == "T0KEN"}
    assert with_token == {
        "OVH_APPLICATION_KEY",
        "OVH_APP_KEY",
        "LEXICON_OVH_AUTH_APPLICATION_KEY",
    }
    assert {name for name, text in found.items() if text == PLACEHOLDER_KEY} == {
        *("OVH_APPLICATION_SECRET", "OVH_CONSUMER_KEY", "OVH_APP_SECRET"),
        *("OVH_AK", "OVH_AS", "OVH_CK"),
        *("LEXICON_OVH_AUTH_APPLICATION_SECRET", "LEXICON_OVH_AUTH_CONSUMER_KEY"),
    }


def test_an_endpoint_without_a_name_is_the_url_of_the_proxy() -> None:
    found = assigned(replace(ACCESS, has_keys=True, endpoint=None))

    assert found["OVH_ENDPOINT"] == "http://127.0.0.1:4000/1.0"
    assert not any(name.startswith("LEXICON_") for name in found)


@pytest.mark.parametrize(
    ("before", "left"),
    [
        ("intranet,10.0.0.0/8", "intranet,10.0.0.0/8"),
        (".example.org *.example.net", ".example.org,*.example.net"),
        ("*", ""),
        ("eu.api.ovh.com", ""),
        ("EU.API.OVH.COM:443", ""),
        (".ovh.com,intranet", "intranet"),
        ("*.ovh.com", ""),
        ("com", ""),
        ("vh.com", ""),
        ("fr.api.ovh.com", "fr.api.ovh.com"),
        ("[::1]:80,::1", "[::1]:80"),
        ("127.0.0.1", ""),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_exceptions_stay_unless_they_bypass_the_proxy(name: str, before: str, left: str) -> None:
    found = assigned(ACCESS, **{name: before})

    ours = "localhost,127.0.0.1,::1"
    assert found["NO_PROXY"] == found["no_proxy"] == (f"{ours},{left}" if left else ours)


def test_the_host_of_the_proxy_is_an_exception() -> None:
    found = assigned(replace(ACCESS, url="http://proxy.internal:4000"))

    assert found["NO_PROXY"].split(",")[-1] == "proxy.internal"


def test_the_token_is_not_in_the_repr() -> None:
    assert "T0KEN" not in repr(ACCESS)
