import json
from base64 import b64decode
from urllib.parse import parse_qs, unquote_plus

import pytest

from ovh_proxy.core.credentials import ServiceAccount
from ovh_proxy.core.errors import CredentialRefused
from ovh_proxy.core.secret import Secret
from ovh_proxy.ovhcloud.oauth2 import Token, bearer_header, read_token, token_request

URL = "https://www.ovh.com/auth/oauth2/token"


def test_a_token_request_uses_the_client_credentials_grant():
    account = ServiceAccount("EU.0123", Secret("s3cr3t"), URL)

    outgoing = token_request(account)

    sent = dict(outgoing.headers)
    assert (outgoing.method, outgoing.url) == ("POST", URL)
    assert sent[b"Content-Type"] == b"application/x-www-form-urlencoded"
    assert sent[b"Accept"] == b"application/json"
    assert parse_qs(b"".join(outgoing.body.pieces()).decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["all"],
    }
    assert outgoing.body.size == len(b"".join(outgoing.body.pieces()))
    assert outgoing.body.is_declared


@pytest.mark.parametrize("secret", ["s3cr3t", "a:b", "a%b", "a b+c", "é€"])
def test_the_account_authenticates_with_basic_and_escaped_parts(secret):
    account = ServiceAccount("EU:01", Secret(secret), URL)

    outgoing = token_request(account)

    scheme, _, basic = dict(outgoing.headers)[b"Authorization"].partition(b" ")
    client_id, _, shown = b64decode(basic).decode("ascii").partition(":")
    assert scheme == b"Basic"
    assert (unquote_plus(client_id), unquote_plus(shown)) == ("EU:01", secret)


@pytest.mark.parametrize(
    ("expires_in", "lifetime"),
    [
        ({"expires_in": 3599}, 3599.0),
        ({"expires_in": 12.5}, 12.5),
        ({"expires_in": 1}, 1.0),
        ({"expires_in": 1e9}, 0.0),
        ({}, 0.0),
        ({"expires_in": None}, 0.0),
        ({"expires_in": "3599"}, 0.0),
        ({"expires_in": -1}, 0.0),
        ({"expires_in": float("nan")}, 0.0),
        ({"expires_in": float("inf")}, 0.0),
        ({"expires_in": 10**400}, 0.0),
    ],
    ids=[
        *("seconds", "fraction", "one", "too long", "missing", "null", "text", "negative"),
        *("NaN", "Infinity", "huge"),
    ],
)
def test_the_lifetime_of_a_token_is_expires_in(expires_in, lifetime):
    body = json.dumps({"access_token": "t0ken", "token_type": "Bearer"} | expires_in).encode()

    assert read_token(200, body) == Token(Secret("t0ken"), lifetime)


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        pytest.param(
            400,
            b'{"error":"invalid_client","error_description":"client does not exists"}',
            "the token endpoint answered 400: invalid_client - client does not exists",
            id="error and description",
        ),
        pytest.param(
            400,
            b'{"error":"invalid_scope"}',
            "the token endpoint answered 400: invalid_scope",
            id="only the error",
        ),
        pytest.param(
            401, b"{}", "the token endpoint answered 401: without a reason", id="no reason"
        ),
        pytest.param(
            401,
            b'{"error":7,"error_description":"a\\nb"}',
            "the token endpoint answered 401: without a reason",
            id="an unprintable reason",
        ),
        pytest.param(503, b"<html>", "the token endpoint answered 503 and no JSON", id="HTML"),
        pytest.param(200, b"", "the token endpoint answered 200 and no JSON", id="nothing"),
        pytest.param(200, b"[]", "the token endpoint answered 200 and no JSON", id="a list"),
        pytest.param(200, b"\xff", "the token endpoint answered 200 and no JSON", id="no UTF-8"),
        pytest.param(
            200, b"[" * 200_000, "the token endpoint answered 200 and no JSON", id="nested"
        ),
        pytest.param(
            200, b"{}", "the token endpoint answered 200: without a reason", id="no token"
        ),
        pytest.param(
            500,
            b'{"access_token":"t0ken"}',
            "the token endpoint answered 500: without a reason",
            id="a token with another status",
        ),
    ],
)
def test_an_error_has_the_reason_of_the_token_endpoint(status, body, text):
    with pytest.raises(CredentialRefused) as refused:
        read_token(status, body)

    assert str(refused.value) == text


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "é", 7, None, ["t0ken"]], ids=repr)
def test_a_token_that_is_invalid_in_a_header_is_rejected(token):
    with pytest.raises(CredentialRefused) as refused:
        read_token(200, json.dumps({"access_token": token}).encode())

    assert "X: y" not in str(refused.value)


def test_a_long_description_is_cut():
    body = json.dumps({"error": "e", "error_description": "d" * 1000}).encode()

    with pytest.raises(CredentialRefused) as refused:
        read_token(400, body)

    assert str(refused.value) == "the token endpoint answered 400: e - " + "d" * 196


def test_the_header_of_a_token_is_bearer():
    assert bearer_header(Secret("t0ken")) == ((b"Authorization", b"Bearer t0ken"),)


def test_the_repr_of_a_token_shows_no_secret():
    token = read_token(200, b'{"access_token":"t0ken","expires_in":60}')

    assert "t0ken" not in repr(token)
