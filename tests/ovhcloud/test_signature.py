import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import NoCredential
from ovh_proxy.core.secret import Secret
from ovh_proxy.ovhcloud.signature import (
    SignedText,
    application_header,
    sign,
    signature_headers,
    verify,
)

# From the test suites of the official SDKs; each vector names its source.
KNOWN = Path(__file__).parents[1] / "data" / "signature_vectors.json"
VECTORS = json.loads(KNOWN.read_text("utf-8"))["vectors"]
KEYS = ApplicationCredential(Secret("ak"), Secret("as"), Secret("ck"))
KEYS_WITHOUT_CONSUMER_KEY = ApplicationCredential(Secret("ak"), Secret("as"), None)
URL = "https://eu.api.ovh.com/1.0/me"
TIME = 1457018875


def keys_of(vector):
    return ApplicationCredential(
        Secret(vector["application_key"]),
        Secret(vector["application_secret"]),
        Secret(vector["consumer_key"]),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_signature_equals_that_of_the_official_sdks(vector):
    body = vector["body"].encode()

    signature = sign(
        keys_of(vector), vector["method"], vector["url"], body, int(vector["timestamp"])
    )

    assert signature == vector["expected_signature"]


@given(chunks=st.lists(st.binary(max_size=50)))
def test_the_signature_does_not_depend_on_the_chunks_of_the_body(chunks):
    text = SignedText(KEYS, "POST", URL)
    for chunk in chunks:
        text.update(chunk)

    signature = text.signature(TIME)

    assert signature == sign(KEYS, "POST", URL, b"".join(chunks), TIME)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    url=st.text(st.characters(codec="ascii")),
    body=st.binary(),
    timestamp=st.integers(0, 2**40),
)
def test_a_signature_is_the_documented_formula(method, url, body, timestamp):
    start = f"as+ck+{method}+{url}+".encode()

    signature = sign(KEYS, method, url, body, timestamp)

    hashed = hashlib.sha1(start + body + b"+" + str(timestamp).encode(), usedforsecurity=False)
    assert signature == "$1$" + hashed.hexdigest()


def test_text_is_hashed_as_utf_8_unlike_in_java_ovh():
    url = URL + "?name=té€"

    signature = sign(KEYS, "GET", url, b"", TIME)

    utf_8 = f"as+ck+GET+{url}++{TIME}".encode()
    assert signature == "$1$" + hashlib.sha1(utf_8, usedforsecurity=False).hexdigest()


def test_a_text_can_be_signed_again_with_another_timestamp():
    text = SignedText(KEYS, "POST", URL)
    text.update(b"{}")
    text.signature(TIME)

    again = text.signature(TIME + 1)

    assert again == sign(KEYS, "POST", URL, b"{}", TIME + 1)


def test_a_signature_verifies():
    signature = sign(KEYS, "POST", URL, b"{}", TIME)

    assert verify(signature, KEYS, "POST", URL, b"{}", TIME)


OTHER_KEYS = ApplicationCredential(Secret("ak"), Secret("other"), Secret("ck"))
OTHER_CONSUMER = ApplicationCredential(Secret("ak"), Secret("as"), Secret("other"))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"credential": OTHER_KEYS}, id="secret"),
        pytest.param({"credential": OTHER_CONSUMER}, id="consumer key"),
        pytest.param({"method": "PUT"}, id="method"),
        pytest.param({"url": URL + "?"}, id="url"),
        pytest.param({"body": b"{} "}, id="body"),
        pytest.param({"timestamp": TIME + 1}, id="timestamp"),
        pytest.param({"signature": "$1$" + "0" * 40}, id="signature"),
        pytest.param({"signature": "é"}, id="non-ASCII signature"),
        pytest.param({"signature": ""}, id="no signature"),
    ],
)
def test_a_signature_of_anything_else_does_not_verify(changed):
    request = {
        "credential": KEYS,
        "method": "POST",
        "url": URL,
        "body": b"{}",
        "timestamp": TIME,
    }
    request |= {"signature": sign(**request)} | changed

    verified = verify(**request)

    assert verified is False


def test_the_four_headers_have_the_documented_spelling_and_order():
    headers = signature_headers(KEYS, "$1$abc", TIME)

    assert headers == (
        (b"X-Ovh-Application", b"ak"),
        (b"X-Ovh-Consumer", b"ck"),
        (b"X-Ovh-Timestamp", b"1457018875"),
        (b"X-Ovh-Signature", b"$1$abc"),
    )


def test_application_header_has_only_the_application_key():
    headers = application_header(KEYS_WITHOUT_CONSUMER_KEY)

    assert headers == ((b"X-Ovh-Application", b"ak"),)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda keys: SignedText(keys, "GET", URL), id="signed text"),
        pytest.param(lambda keys: sign(keys, "GET", URL, b"", TIME), id="signature"),
        pytest.param(lambda keys: signature_headers(keys, "$1$abc", TIME), id="headers"),
    ],
)
def test_without_a_consumer_key_nothing_is_signed(attempt):
    with pytest.raises(NoCredential, match="ovh-proxy login"):
        attempt(KEYS_WITHOUT_CONSUMER_KEY)


def test_the_repr_of_a_signed_text_shows_no_secret():
    keys = ApplicationCredential(Secret("ak"), Secret("s3cr3t"), Secret("c0nsumer"))

    shown = repr(SignedText(keys, "GET", URL))

    assert "s3cr3t" not in shown
    assert "c0nsumer" not in shown
