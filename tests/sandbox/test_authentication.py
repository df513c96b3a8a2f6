"""Every call is checked, and refused, as OVHcloud does it."""

from collections.abc import Callable
from typing import Any

import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.authentication import is_in_time
from ovh_proxy.sandbox.grants import (
    ACCESS_TOKEN,
    APPLICATION_KEY,
    CLIENT_ID,
    CONSUMER_KEY,
    Application,
)

NAMES = ("X-Ovh-Application", "X-Ovh-Consumer", "X-Ovh-Timestamp", "X-Ovh-Signature")


@pytest.mark.parametrize(
    "target",
    [
        "/1.0/me",
        "/v1/me",
        "/v2/iam/policy",
        "/1.0/ip/127.0.0.1%2F29/reverse",
        "/1.0/ip/127.0.0.1%2f29/reverse",
        "/1.0/me?",
        "/1.0/me?filter=value%3a%26%c3%a9%27-&a=+&&=",
        "/1.0/%6De",
    ],
)
@pytest.mark.asyncio
async def test_a_signature_over_the_raw_target_is_accepted(
    client: Any, sandbox: Sandbox, target: str
) -> None:
    response = await client.call("GET", target)

    assert response.status == 200
    assert sandbox.requests[-1].target == target.encode()
    assert sandbox.requests[-1].verdict == f"signed by {APPLICATION_KEY}"


@pytest.mark.parametrize(
    ("keys", "status", "code", "message"),
    [
        ({"application_key": "x"}, 403, "INVALID_KEY", "This application key is invalid"),
        ({"application_secret": "x"}, 400, "INVALID_SIGNATURE", "Invalid signature"),
        ({"consumer_key": "x"}, 403, "NOT_CREDENTIAL", "This credential does not exist"),
        ({"consumer_key": "lent"}, 403, "NOT_CREDENTIAL", "This credential does not exist"),
        ({"consumer_key": "pending"}, 403, "INVALID_CREDENTIAL", "This credential is not valid"),
        ({"consumer_key": "narrow"}, 403, "NOT_GRANTED_CALL", "This call has not been granted"),
        ({"timestamp": 1}, 400, "QUERY_TIME_OUT", "Query out of time"),
        ({"timestamp": "soon"}, 400, "QUERY_TIME_OUT", "Query out of time"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@pytest.mark.asyncio
async def test_wrong_credentials_are_refused_like_ovhcloud_does(
    client: Any, sandbox: Sandbox, keys: dict[str, Any], status: int, code: str, message: str
) -> None:
    sandbox.grants.add_application(Application("other", "secret"))
    sandbox.grants.add_consumer_key("lent", application_key="other")
    sandbox.grants.add_consumer_key("pending", state="pendingValidation")
    sandbox.grants.add_consumer_key("narrow", rules=(("GET", "/me/*"), ("POST", "/me")))

    response = await client.call("GET", "/1.0/me", **keys)

    assert response.status == status
    assert response.json["errorCode"] == code
    assert response.json["httpCode"].startswith(f"{status} ")
    assert response.json["message"] == message
    assert sandbox.requests[-1].verdict == f"refused: {code}"


@pytest.mark.parametrize(
    ("missing", "status", "code"),
    [
        (NAMES, 401, "MISSING_CREDENTIAL"),
        (NAMES[:1], 401, "MISSING_CREDENTIAL"),
        (NAMES[1:], 401, "MISSING_CREDENTIAL"),
        (NAMES[1:2], 403, "NOT_CREDENTIAL"),
        (NAMES[2:3], 400, "QUERY_TIME_OUT"),
        (NAMES[3:], 400, "INVALID_SIGNATURE"),
    ],
    ids=["all", "application", "all-but-application", "consumer", "timestamp", "signature"],
)
@pytest.mark.asyncio
async def test_missing_headers_have_their_own_errors(
    client: Any,
    sandbox: Sandbox,
    signed: Callable[..., list[tuple[str, str]]],
    missing: tuple[str, ...],
    status: int,
    code: str,
) -> None:
    headers = [pair for pair in signed(f"{sandbox.base_url}/me") if pair[0] not in missing]

    response = await client.send("GET", "/1.0/me", headers)

    assert response.status == status
    assert sandbox.requests[-1].verdict == f"refused: {code}"


@pytest.mark.asyncio
async def test_a_call_without_credentials_is_refused(client: Any) -> None:
    response = await client.send("GET", "/1.0/me")

    assert response.json == {"class": "Client::Unauthorized", "message": "You must login first"}


@pytest.mark.asyncio
async def test_the_new_shape_has_a_class_and_no_code(client: Any, sandbox: Sandbox) -> None:
    sandbox.error_shape = "new"

    response = await client.call("GET", "/1.0/me", application_secret="x")

    assert response.json == {"class": "Client::BadRequest", "message": "Invalid signature"}


@pytest.mark.parametrize("name", [*NAMES, "Authorization"])
@pytest.mark.asyncio
async def test_a_repeated_header_is_refused(client: Any, sandbox: Sandbox, name: str) -> None:
    twice = [(name, "Bearer x"), (name.lower(), "Bearer y")]

    response = await client.send("GET", "/1.0/me", twice)

    assert (response.status, response.json["class"]) == (400, "Client::BadRequest")
    assert sandbox.requests[-1].verdict == "refused: BAD_REQUEST"


@pytest.mark.asyncio
async def test_a_token_together_with_a_signature_is_refused(client: Any, sandbox: Sandbox) -> None:
    both = [("Authorization", f"Bearer {ACCESS_TOKEN}")]

    response = await client.call("GET", "/1.0/me", both)

    assert response.status == 400
    assert response.json["class"] == "Client::BadRequest"
    assert sandbox.requests[-1].verdict == "refused: BAD_REQUEST"


@pytest.mark.asyncio
async def test_a_personal_access_token_is_accepted(client: Any, sandbox: Sandbox) -> None:
    response = await client.send("GET", "/1.0/me", [("authorization", f"bearer {ACCESS_TOKEN}")])

    assert response.status == 200
    assert sandbox.requests[-1].verdict == "token"


@pytest.mark.parametrize("value", ["Bearer x", "Bearer", ACCESS_TOKEN, f"Basic {ACCESS_TOKEN}"])
@pytest.mark.asyncio
async def test_any_other_token_is_refused(client: Any, sandbox: Sandbox, value: str) -> None:
    response = await client.send("GET", "/1.0/me", [("Authorization", value)])

    assert response.status == 401
    assert response.json["class"] == "Client::Unauthorized"
    assert response.json["message"] == "This token is invalid or has expired"


@pytest.mark.asyncio
async def test_an_expired_token_is_refused(client: Any, sandbox: Sandbox) -> None:
    token = sandbox.grants.issue_token(CLIENT_ID, now=0)

    response = await client.send("GET", "/1.0/me", [("Authorization", f"Bearer {token}")])

    assert response.status == 401


@pytest.mark.parametrize(
    ("timestamp", "accepted"),
    [("940", True), ("1060", True), ("939", False), ("1061", False), ("", False), ("1e3", False)],
)
def test_a_timestamp_may_be_off_by_the_window(timestamp: str, accepted: bool) -> None:
    assert is_in_time(timestamp, now=1000.0, window=60.0) is accepted


@pytest.mark.asyncio
async def test_the_window_is_relative_to_the_sandboxs_clock(client: Any, sandbox: Sandbox) -> None:
    sandbox.clock_offset = 3600

    early = await client.call("GET", "/1.0/me")
    told = await client.send("GET", "/1.0/auth/time")
    right = await client.call("GET", "/1.0/me", timestamp=told.json)

    assert (early.status, right.status) == (400, 200)


@pytest.mark.parametrize(
    "target", ["/1.0/nothing", "/1.0/me/", "/1.0/me/bill/", "/v2/me", "/", "/me", "*"]
)
@pytest.mark.asyncio
async def test_an_unknown_path_is_an_invalid_url(
    client: Any, sandbox: Sandbox, target: str
) -> None:
    method = "OPTIONS" if target == "*" else "GET"

    response = await client.send(method, target)

    assert response.status == 404
    assert response.json == {
        "class": "Client::NotFound",
        "message": "Got an invalid (or empty) URL",
    }
    assert sandbox.requests[-1].verdict == "unsigned"


@pytest.mark.asyncio
async def test_an_unknown_method_is_an_invalid_url(client: Any) -> None:
    response = await client.call("DELETE", "/1.0/me")

    assert response.status == 404


@pytest.mark.asyncio
async def test_an_unknown_path_still_checks_credentials(client: Any, sandbox: Sandbox) -> None:
    response = await client.call("GET", "/1.0/nothing", application_secret="x")

    assert response.json["errorCode"] == "INVALID_SIGNATURE"


@pytest.mark.asyncio
async def test_rules_name_v2_paths_with_their_version(client: Any, sandbox: Sandbox) -> None:
    sandbox.grants.set_rules(CONSUMER_KEY, (("GET", "/v2/iam/*"),))

    granted = await client.call("GET", "/v2/iam/policy")
    refused = await client.call("GET", "/1.0/me")

    assert (granted.status, refused.status) == (200, 403)


@pytest.mark.asyncio
async def test_head_is_get_without_a_body(client: Any) -> None:
    response = await client.call("HEAD", "/1.0/me")

    assert response.status == 200
    assert int(response.headers["Content-Length"]) > 0
    assert response.body == b""


@pytest.mark.asyncio
async def test_every_response_has_ovhclouds_headers(client: Any) -> None:
    responses = [
        await client.call("GET", "/1.0/me"),
        await client.send("GET", "/1.0/me"),
        await client.send("GET", "/1.0/auth/time"),
    ]

    for response in responses:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["X-Ovh-Queryid"].startswith("EU.ext-")
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert response.headers["Server"] == "OVH"
