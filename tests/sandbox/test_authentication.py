"""Every call is checked as OVHcloud's front checks it, and refused in its words."""

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
async def test_a_signature_over_the_target_as_written_is_accepted(
    client: Any, sandbox: Sandbox, target: str
) -> None:
    reply = await client.call("GET", target)

    assert reply.status == 200
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
async def test_a_wrong_proof_is_refused_in_ovhclouds_words(
    client: Any, sandbox: Sandbox, keys: dict[str, Any], status: int, code: str, message: str
) -> None:
    sandbox.grants.add_application(Application("other", "secret"))
    sandbox.grants.add_consumer_key("lent", application_key="other")
    sandbox.grants.add_consumer_key("pending", state="pendingValidation")
    sandbox.grants.add_consumer_key("narrow", rules=(("GET", "/me/*"), ("POST", "/me")))

    reply = await client.call("GET", "/1.0/me", **keys)

    assert reply.status == status
    assert reply.json["errorCode"] == code
    assert reply.json["httpCode"].startswith(f"{status} ")
    assert reply.json["message"] == message
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
async def test_a_missing_header_is_told_apart(
    client: Any,
    sandbox: Sandbox,
    signed: Callable[..., list[tuple[str, str]]],
    missing: tuple[str, ...],
    status: int,
    code: str,
) -> None:
    headers = [pair for pair in signed(f"{sandbox.base_url}/me") if pair[0] not in missing]

    reply = await client.send("GET", "/1.0/me", headers)

    assert reply.status == status
    assert sandbox.requests[-1].verdict == f"refused: {code}"


@pytest.mark.asyncio
async def test_who_says_nothing_has_to_log_in_first(client: Any) -> None:
    reply = await client.send("GET", "/1.0/me")

    assert reply.json == {"class": "Client::Unauthorized", "message": "You must login first"}


@pytest.mark.asyncio
async def test_the_new_shape_has_a_class_and_no_code(client: Any, sandbox: Sandbox) -> None:
    sandbox.error_shape = "new"

    reply = await client.call("GET", "/1.0/me", application_secret="x")

    assert reply.json == {"class": "Client::BadRequest", "message": "Invalid signature"}


@pytest.mark.parametrize("name", [*NAMES, "Authorization"])
@pytest.mark.asyncio
async def test_a_header_that_came_twice_is_refused(
    client: Any, sandbox: Sandbox, name: str
) -> None:
    twice = [(name, "Bearer x"), (name.lower(), "Bearer y")]

    reply = await client.send("GET", "/1.0/me", twice)

    assert (reply.status, reply.json["class"]) == (400, "Client::BadRequest")
    assert sandbox.requests[-1].verdict == "refused: BAD_REQUEST"


@pytest.mark.asyncio
async def test_two_kinds_of_proof_at_once_are_refused(client: Any, sandbox: Sandbox) -> None:
    both = [("Authorization", f"Bearer {ACCESS_TOKEN}")]

    reply = await client.call("GET", "/1.0/me", both)

    assert reply.status == 400
    assert reply.json["class"] == "Client::BadRequest"
    assert sandbox.requests[-1].verdict == "refused: BAD_REQUEST"


@pytest.mark.asyncio
async def test_a_personal_access_token_is_let_in(client: Any, sandbox: Sandbox) -> None:
    reply = await client.send("GET", "/1.0/me", [("authorization", f"bearer {ACCESS_TOKEN}")])

    assert reply.status == 200
    assert sandbox.requests[-1].verdict == "token"


@pytest.mark.parametrize("value", ["Bearer x", "Bearer", ACCESS_TOKEN, f"Basic {ACCESS_TOKEN}"])
@pytest.mark.asyncio
async def test_any_other_token_is_refused(client: Any, sandbox: Sandbox, value: str) -> None:
    reply = await client.send("GET", "/1.0/me", [("Authorization", value)])

    assert reply.status == 401
    assert reply.json["class"] == "Client::Unauthorized"
    assert reply.json["message"] == "This token is invalid or has expired"


@pytest.mark.asyncio
async def test_an_issued_token_that_has_ended_is_refused(client: Any, sandbox: Sandbox) -> None:
    token = sandbox.grants.issue_token(CLIENT_ID, now=0)

    reply = await client.send("GET", "/1.0/me", [("Authorization", f"Bearer {token}")])

    assert reply.status == 401


@pytest.mark.parametrize(
    ("timestamp", "accepted"),
    [("940", True), ("1060", True), ("939", False), ("1061", False), ("", False), ("1e3", False)],
)
def test_a_timestamp_may_be_off_by_the_window(timestamp: str, accepted: bool) -> None:
    assert is_in_time(timestamp, now=1000.0, window=60.0) is accepted


@pytest.mark.asyncio
async def test_the_window_is_around_the_sandboxs_own_clock(client: Any, sandbox: Sandbox) -> None:
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

    reply = await client.send(method, target)

    assert reply.status == 404
    assert reply.json == {"class": "Client::NotFound", "message": "Got an invalid (or empty) URL"}
    assert sandbox.requests[-1].verdict == "unsigned"


@pytest.mark.asyncio
async def test_a_method_that_the_path_does_not_have_is_an_invalid_url(client: Any) -> None:
    reply = await client.call("DELETE", "/1.0/me")

    assert reply.status == 404


@pytest.mark.asyncio
async def test_an_unknown_path_still_checks_a_proof(client: Any, sandbox: Sandbox) -> None:
    reply = await client.call("GET", "/1.0/nothing", application_secret="x")

    assert reply.json["errorCode"] == "INVALID_SIGNATURE"


@pytest.mark.asyncio
async def test_rules_name_v2_paths_with_their_version(client: Any, sandbox: Sandbox) -> None:
    sandbox.grants.set_rules(CONSUMER_KEY, (("GET", "/v2/iam/*"),))

    granted = await client.call("GET", "/v2/iam/policy")
    refused = await client.call("GET", "/1.0/me")

    assert (granted.status, refused.status) == (200, 403)


@pytest.mark.asyncio
async def test_head_is_get_without_a_body(client: Any) -> None:
    reply = await client.call("HEAD", "/1.0/me")

    assert reply.status == 200
    assert int(reply.headers["Content-Length"]) > 0
    assert reply.body == b""


@pytest.mark.asyncio
async def test_every_answer_looks_like_ovhclouds(client: Any) -> None:
    replies = [
        await client.call("GET", "/1.0/me"),
        await client.send("GET", "/1.0/me"),
        await client.send("GET", "/1.0/auth/time"),
    ]

    for reply in replies:
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert reply.headers["X-Ovh-Queryid"].startswith("EU.ext-")
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
        assert reply.headers["Server"] == "OVH"
