import json
from datetime import datetime, timedelta, timezone

import pytest

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.auth_api import (
    CredentialState,
    credential_request,
    hint,
    read_credential_state,
    read_time,
    refusal_of,
    time_request,
)
from ovh_proxy.ovhcloud.messages import UpstreamRequest

EU = ENDPOINTS["ovh-eu"]
KEYS = ApplicationCredential(Secret("k3y"), Secret("s3cr3t"), None)


def test_the_time_request_is_not_authenticated():
    assert time_request(EU) == UpstreamRequest("GET", "https://eu.api.ovh.com/1.0/auth/time")


@pytest.mark.parametrize(
    ("body", "seconds"), [(b"1457018875", 1457018875), (b" 12\r\n", 12), (b"0", 0)]
)
def test_the_time_is_a_bare_number(body, seconds):
    assert read_time(body) == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"soon", b"-1", b"+1", b"1.5", b"1_000", b'"1"', b"1 2", b"\xb2", b"<html>", b"9" * 5000],
    ids=lambda body: repr(body[:8]),
)
def test_anything_else_is_not_a_time(body):
    with pytest.raises(ValueError):  # noqa: PT011 the message is never shown
        read_time(body)


def rules(*lines):
    return tuple(rule for line in lines for rule in parse_access_rule(line))


def test_a_credential_request_has_the_application_key_and_no_secret():
    outgoing = credential_request(EU, KEYS, rules("GET /me"))

    assert (outgoing.method, outgoing.url) == ("POST", "https://eu.api.ovh.com/1.0/auth/credential")
    assert outgoing.headers == (
        (b"Content-Type", b"application/json"),
        (b"X-Ovh-Application", b"k3y"),
    )
    assert b"".join(outgoing.body.pieces()) == b'{"accessRules":[{"method":"GET","path":"/me"}]}'


@pytest.mark.parametrize(
    ("lines", "requested"),
    [
        (["GET,PUT /me"], [("GET", "/me"), ("PUT", "/me")]),
        (["* /*"], [("GET", "/*"), ("POST", "/*"), ("PUT", "/*"), ("DELETE", "/*")]),
        (["read-only /ip"], [("GET", "/ip"), ("GET", "/ip/*")]),
        (["GET /me", "POST /sms/*"], [("GET", "/me"), ("POST", "/sms/*")]),
        (["PATCH /me"], []),
    ],
    ids=["list", "star", "preset", "several", "no key method"],
)
def test_each_method_of_a_rule_is_requested_separately(lines, requested):
    outgoing = credential_request(EU, KEYS, rules(*lines))

    fields = json.loads(b"".join(outgoing.body.pieces()))
    assert [(rule["method"], rule["path"]) for rule in fields["accessRules"]] == requested


def test_a_credential_request_may_have_a_redirection_and_addresses():
    outgoing = credential_request(EU, KEYS, (), "https://example.org/", ("192.0.2.0/24",))

    assert json.loads(b"".join(outgoing.body.pieces())) == {
        "accessRules": [],
        "redirection": "https://example.org/",
        "allowedIPs": ["192.0.2.0/24"],
    }


# Source: node-ovh issue 20.
CURRENT = {
    "ovhSupport": False,
    "status": "validated",
    "applicationId": 38683,
    "credentialId": 116223292,
    "rules": [
        {"method": "PUT", "path": "/domain/zone/*"},
        {"method": "GET", "path": "/me"},
        {"method": "GET", "path": "/domain/zone/*"},
    ],
    "expiration": "2017-07-12T08:08:44+02:00",
    "lastUse": None,
    "creation": "2017-07-11T08:07:49+02:00",
}


def test_the_state_of_a_credential_is_read():
    state = read_credential_state(json.dumps(CURRENT).encode())

    paris = timezone(timedelta(hours=2))
    assert state == CredentialState(
        status="validated",
        expiration=datetime(2017, 7, 12, 8, 8, 44, tzinfo=paris),
        rules=("GET,PUT /domain/zone/*", "GET /me"),
    )


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"expiration": None}, CredentialState("validated", None, ())),
        ({"rules": None}, CredentialState("validated", None, ())),
        ({"rules": "all"}, CredentialState("validated", None, ())),
        ({"rules": ["GET /me"]}, CredentialState("validated", None, ())),
        (
            {"rules": [{"method": "NEW", "path": "/a"}, {"method": "GET", "path": "/a"}]},
            CredentialState("validated", None, ("GET,NEW /a",)),
        ),
        ({"status": "expired"}, CredentialState("expired", None, ())),
    ],
    ids=[
        "never expires",
        "no rules",
        "rules of another type",
        "rule of another type",
        "new",
        "expired",
    ],
)
def test_missing_fields_of_a_state_have_defaults(changed, state):
    body = json.dumps({"status": "validated"} | changed).encode()

    assert read_credential_state(body) == state


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"status":1}', b'{"status":"validated","expiration":"soon"}'],
)
def test_anything_else_is_not_a_state(body):
    with pytest.raises(ValueError):  # noqa: PT011 the message is never shown
        read_credential_state(body)


REFUSALS = [
    (403, "INVALID_KEY", "This application key is invalid"),
    (403, "INVALID_KEY", "Invalid application key"),
    (400, "INVALID_SIGNATURE", "Invalid signature"),
    (400, "QUERY_TIME_OUT", "Query out of time"),
    (403, "NOT_CREDENTIAL", "This credential does not exist"),
    (403, "INVALID_CREDENTIAL", "This credential is not valid"),
    (401, "INVALID_CREDENTIAL", "This credential is not valid"),
    (403, "NOT_GRANTED_CALL", "This call has not been granted"),
]


@pytest.mark.parametrize(("status", "code", "message"), REFUSALS)
@pytest.mark.parametrize("shape", ["old", "new", "only the code"])
def test_a_rejected_credential_is_recognized_by_code_or_message(status, code, message, shape):
    body = {
        "old": {"errorCode": code, "httpCode": str(status), "message": message},
        "new": {"class": "Client::Forbidden", "message": message},
        "only the code": {"errorCode": code, "message": "in other words"},
    }[shape]

    assert refusal_of(status, json.dumps(body).encode()) == code


def test_a_known_message_with_an_unknown_code_is_recognized():
    body = b'{"errorCode":"NEW","message":"Invalid signature"}'

    assert refusal_of(400, body) == "INVALID_SIGNATURE"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(404, b'{"errorCode":"INVALID_KEY"}', id="another status"),
        pytest.param(200, b'{"message":"Invalid signature"}', id="success"),
        pytest.param(403, b'{"errorCode":"FORBIDDEN","message":"no"}', id="another refusal"),
        pytest.param(403, b'{"message":"User not granted for this request"}', id="IAM"),
        pytest.param(401, b'{"message":"You must login first"}', id="no login"),
        pytest.param(403, b"<html>", id="HTML"),
        pytest.param(400, b"", id="nothing"),
    ],
)
def test_any_other_response_rejects_no_credential(status, body):
    assert refusal_of(status, body) is None


def profile(endpoint=EU):
    return Profile("personal", endpoint, KEYS)


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ("INVALID_KEY", "https://eu.api.ovh.com/createApp/"),
        ("NOT_CREDENTIAL", "run: ovh-proxy login --profile personal"),
        ("INVALID_CREDENTIAL", "run: ovh-proxy login --profile personal"),
        ("INVALID_SIGNATURE", "application secret of profile personal"),
        ("NOT_GRANTED_CALL", "ovh-proxy login --profile personal --rule"),
    ],
)
def test_a_hint_says_how_to_fix_it_in_one_line(refusal, says):
    text = hint(refusal, profile())

    assert says in text
    assert text.isprintable()
    assert not any(secret in text for secret in ("k3y", "s3cr3t"))


def test_at_a_base_url_the_hint_has_no_page():
    text = hint("INVALID_KEY", profile(parse_endpoint("https://gw.example/1.0")))

    assert text.endswith("created at https://gw.example/1.0: its createApp page")


@pytest.mark.parametrize("refusal", ["QUERY_TIME_OUT", "FORBIDDEN"])
def test_other_codes_have_no_hint(refusal):
    assert hint(refusal, profile()) is None
