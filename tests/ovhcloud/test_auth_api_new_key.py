import json

import pytest

from ovh_proxy.ovhcloud.auth_api import read_new_key

URL = "https://www.ovh.com/auth/sso/api?credentialToken=abc"


def _body(**fields: object) -> bytes:
    return json.dumps({"consumerKey": "made-up", "validationUrl": URL, **fields}).encode()


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:8180/auth/?credentialToken=abc"])
def test_a_new_key_has_a_page(url: str) -> None:
    new = read_new_key(_body(validationUrl=url))

    assert (new.consumer_key.reveal(), new.validation_url) == ("made-up", url)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"not JSON",
        _body(consumerKey=None),
        _body(consumerKey="two\nlines"),
        _body(validationUrl=None),
        _body(validationUrl="file:///etc/passwd"),
        _body(validationUrl="--help"),
        _body(validationUrl="http://example.org/"),
        _body(validationUrl="https://[::1/"),
        _body(validationUrl="https://example.org/\x1b[2J"),
    ],
)
def test_a_page_that_no_browser_should_open_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not |no |Expecting"):
        read_new_key(body)
