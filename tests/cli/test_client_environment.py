from collections.abc import Mapping
from dataclasses import replace

import pytest

from ovh_proxy.cli.client_environment import SANDBOX_KEY, ProxyAccess, variables

HOSTS = ("eu.api.ovh.com", "www.ovh.com", "localhost")
WAY = ProxyAccess("http://127.0.0.1:4000", "T0KEN", "ovh-eu")


def told(access: ProxyAccess, **environ: str) -> Mapping[str, str]:
    return variables(access, environ, HOSTS)


def test_go_ovh_finds_a_url_and_a_token_and_no_second_kind_of_credential() -> None:
    found = told(WAY)

    assert {name: text for name, text in found.items() if name.startswith("OVH_")} == {
        "OVH_ENDPOINT": "http://127.0.0.1:4000/1.0",
        "OVH_ACCESS_TOKEN": "T0KEN",
        "OVH_PROXY_URL": "http://127.0.0.1:4000",
    }


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_rest_of_the_world_is_led_here_with_the_token(name: str) -> None:
    found = told(replace(WAY, token="a/b c"))

    assert found[name] == "http://ovh-proxy:a%2Fb%20c@127.0.0.1:4000"
    assert found["NODE_USE_ENV_PROXY"] == "1"
    assert found["PERL_LWP_ENV_PROXY"] == "1"


def test_without_tokens_none_is_shown_and_sdks_get_something_to_hold() -> None:
    found = told(replace(WAY, token=None))

    assert found["OVH_ACCESS_TOKEN"] == SANDBOX_KEY
    assert found["HTTPS_PROXY"] == "http://127.0.0.1:4000"


def test_what_is_in_clear_goes_its_own_way() -> None:
    assert not {"HTTP_PROXY", "http_proxy", "ALL_PROXY"} & told(WAY).keys()


def test_a_proxy_that_intercepts_nothing_is_no_https_proxy() -> None:
    found = told(replace(WAY, intercepts=False))

    assert set(found) == {"OVH_ENDPOINT", "OVH_ACCESS_TOKEN", "OVH_PROXY_URL"}


def test_made_up_keys_name_the_endpoint_and_let_in_by_the_application_key() -> None:
    found = told(replace(WAY, has_keys=True))

    assert "OVH_ACCESS_TOKEN" not in found
    assert (found["OVH_ENDPOINT"], found["OVH_END_POINT"]) == ("ovh-eu", "ovh-eu")
    assert found["LEXICON_OVH_AUTH_ENTRYPOINT"] == "ovh-eu"
    let_in = {name for name, text in found.items() if text == "T0KEN"}
    assert let_in == {
        "OVH_APPLICATION_KEY",
        "OVH_APP_KEY",
        "LEXICON_OVH_AUTH_APPLICATION_KEY",
    }
    assert {name for name, text in found.items() if text == SANDBOX_KEY} == {
        *("OVH_APPLICATION_SECRET", "OVH_CONSUMER_KEY", "OVH_APP_SECRET"),
        *("OVH_AK", "OVH_AS", "OVH_CK"),
        *("LEXICON_OVH_AUTH_APPLICATION_SECRET", "LEXICON_OVH_AUTH_CONSUMER_KEY"),
    }


def test_an_endpoint_without_a_name_is_called_by_the_proxys_url() -> None:
    found = told(replace(WAY, has_keys=True, endpoint=None))

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
def test_exceptions_stay_but_those_that_would_lead_past_us(
    name: str, before: str, left: str
) -> None:
    found = told(WAY, **{name: before})

    ours = "localhost,127.0.0.1,::1"
    assert found["NO_PROXY"] == found["no_proxy"] == (f"{ours},{left}" if left else ours)


def test_a_proxy_elsewhere_is_reached_without_itself() -> None:
    found = told(replace(WAY, url="http://proxy.internal:4000"))

    assert found["NO_PROXY"].split(",")[-1] == "proxy.internal"


def test_the_token_does_not_show_by_accident() -> None:
    assert "T0KEN" not in repr(WAY)
