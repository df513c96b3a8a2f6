"""An unsigned request is signed and forwarded, and its response is streamed back."""

import asyncio
import json

import aiohttp
import pytest
from support.running import RunningProxy
from yarl import URL

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio


async def test_an_unsigned_request_is_forwarded_signed(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    response = await client.get("/me")

    assert response.status == 200
    assert (await response.json())["firstname"]
    assert sandbox.requests[-1].target == b"/1.0/me"
    assert sandbox.requests[-1].verdict == f"signed by {grants.APPLICATION_KEY}"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/me?x=1", b"/1.0/me?x=1"),
        ("/1.0/me", b"/1.0/me"),
        ("/v1/me", b"/v1/me"),
        ("/v2/iam/policy", b"/v2/iam/policy"),
        ("/@robot/me", b"/1.0/me"),
        ("/@robot/1.0/me", b"/1.0/me"),
        ("/@card/v2/iam/policy", b"/v2/iam/policy"),
    ],
)
async def test_a_target_selects_profile_and_api_version(
    client: aiohttp.ClientSession, sandbox: Sandbox, path: str, target: bytes
) -> None:
    response = await client.get(path)

    assert response.status == 200
    assert sandbox.requests[-1].target == target


async def test_a_body_with_accents_is_signed_byte_for_byte(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    body = json.dumps({"target": "été 日本"}, ensure_ascii=False).encode()

    response = await client.post("/sandbox/echo", data=body)

    assert response.status == 200
    assert sandbox.requests[-1].body == body
    assert sandbox.requests[-1].verdict.startswith("signed")


async def test_an_escaped_slash_is_forwarded_and_signed(
    client: aiohttp.ClientSession, sandbox: Sandbox, proxy: RunningProxy
) -> None:
    url = URL(f"{proxy.url}/ip/127.0.0.1%2F29/reverse", encoded=True)

    response = await client.get(url)

    assert response.status == 200
    assert sandbox.requests[-1].target == b"/1.0/ip/127.0.0.1%2F29/reverse"


async def test_authentication_headers_of_the_client_are_dropped(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    made_up = {
        "X-Ovh-Application": "mine",
        "X-Ovh-Consumer": "mine",
        "X-Ovh-Signature": "$1$mine",
        "X-Ovh-Timestamp": "1",
        "Authorization": "Bearer mine",
        "Cookie": "mine=1",
        "X-Forwarded-For": "mine",
    }

    response = await client.get("/me", headers=made_up)

    assert response.status == 200
    assert not any(b"mine" in value for _, value in sandbox.requests[-1].headers)


async def test_responses_of_ovhcloud_are_unchanged_including_errors(
    client: aiohttp.ClientSession,
) -> None:
    response = await client.get("/me/bill/NOPE")

    assert response.status == 404
    assert (await response.json())["class"].startswith("Client::NotFound")
    assert "X-Ovh-Proxy-Error" not in response.headers
    assert "X-Ovh-Queryid" in response.headers
    assert not any(name.startswith("Access-Control") for name in response.headers)


async def test_a_clock_change_is_corrected_and_the_call_succeeds(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    await client.get("/1.0/me")
    sandbox.clock_offset = 3600

    response = await client.get("/1.0/me")

    assert response.status == 200


async def test_the_clock_is_fetched_once_for_many_calls(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    await asyncio.gather(*(client.get("/me") for _ in range(20)))

    requests = [r for r in sandbox.requests if r.target == b"/1.0/auth/time"]

    assert len(requests) == 1


async def test_a_service_account_gets_one_token_for_many_calls(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    responses = await asyncio.gather(*(client.get("/@robot/me") for _ in range(20)))

    requests = [r for r in sandbox.requests if r.target == b"/auth/oauth2/token"]

    assert {answer.status for answer in responses} == {200}
    assert len(requests) == 1


async def test_a_rejected_token_is_renewed_once(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    await client.get("/@robot/me")
    sandbox.grants.forget_tokens()

    response = await client.get("/@robot/me")

    assert response.status == 200


async def test_a_rejected_credential_adds_a_hint(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grants.set_state(grants.CONSUMER_KEY, "expired")

    response = await client.get("/me")

    assert response.status == 403
    assert (await response.json())["errorCode"] == "INVALID_CREDENTIAL"
    assert response.headers["X-Ovh-Proxy-Hint"] == "run: ovh-proxy login --profile personal"


async def test_the_error_for_a_missing_consumer_key_says_what_to_do(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    response = await client.get("/@fresh/me")

    assert response.status == 503
    assert response.headers["X-Ovh-Proxy-Error"] == "NO_CREDENTIAL"
    assert "ovh-proxy login --profile fresh" in (await response.json())["message"]
    assert not [r for r in sandbox.requests if r.target == b"/1.0/me"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/auth/time", {}, []),
        ("GET", "/sandbox/echo", {"X-Ovh-Proxy-Auth": "none"}, []),
        ("POST", "/auth/credential", {}, ["X-Ovh-Application"]),
        (
            "GET",
            "/me",
            {},
            ["X-Ovh-Application", "X-Ovh-Consumer", "X-Ovh-Timestamp", "X-Ovh-Signature"],
        ),
    ],
)
async def test_some_calls_are_not_signed(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    method: str,
    path: str,
    headers: dict[str, str],
    expected: list[str],
) -> None:
    body = b'{"accessRules":[]}' if method == "POST" else None

    await client.request(method, path, headers=headers, data=body)

    names = [name.decode() for name, _ in sandbox.requests[-1].headers]
    assert [name for name in names if name.lower().startswith("x-ovh")] == expected


async def test_no_secret_is_in_the_debug_log(
    client: aiohttp.ClientSession, proxy: RunningProxy
) -> None:
    await client.get("/me?token=hunter2&flag")
    await client.get("/@robot/me")
    await client.get("/@card/me")

    log = proxy.log.getvalue()

    assert "/me?token" in log
    for secret in (
        "hunter2",
        "flag",
        grants.APPLICATION_KEY,
        grants.APPLICATION_SECRET,
        grants.CONSUMER_KEY,
        grants.CLIENT_SECRET,
        grants.ACCESS_TOKEN,
    ):
        assert secret not in log
