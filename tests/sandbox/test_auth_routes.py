"""Consumer keys: requested, inspected, revoked."""

import json
from typing import Any

import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import ACCESS_TOKEN, APPLICATION_KEY, CONSUMER_KEY

APPLICATION = [("X-Ovh-Application", APPLICATION_KEY)]
RULES = [{"method": "GET", "path": "/me"}]


async def ask(client: Any, **fields: Any) -> Any:
    body = json.dumps({"accessRules": RULES, **fields}).encode()
    return await client.send("POST", "/1.0/auth/credential", APPLICATION, body)


@pytest.mark.asyncio
async def test_the_time_is_a_bare_number_by_the_sandboxs_clock(client_of: Any) -> None:
    async with Sandbox(now=lambda: 1_700_000_000.9) as sandbox:
        sandbox.clock_offset = -100

        response = await client_of(sandbox).send("GET", "/1.0/auth/time")

    assert response.body == b"1699999900"
    assert response.headers["Date"] == "Tue, 14 Nov 2023 22:11:40 GMT"


@pytest.mark.asyncio
async def test_a_new_key_is_pending(client: Any, sandbox: Sandbox) -> None:
    response = await ask(client, redirection="https://a.example/", allowedIPs=["192.0.2.0/24"])

    key = sandbox.grants.consumer_keys[response.json["consumerKey"]]
    url = f"{sandbox.url}/auth/?credentialToken={key.validation_token}"
    assert response.json["state"] == "pendingValidation"
    assert response.json["validationUrl"] == url
    assert key.rules == (("GET", "/me"),)
    assert (key.redirection, key.allowed_ips) == ("https://a.example/", ("192.0.2.0/24",))


@pytest.mark.parametrize(
    "fields",
    [
        {"accessRules": None},
        {"accessRules": []},
        {"accessRules": "GET /me"},
        {"accessRules": [{"method": "GET"}]},
        {"accessRules": [{"method": "PATCH", "path": "/me"}]},
        {"accessRules": [{"method": "GET", "path": "me"}]},
        {"redirection": 1},
        {"redirection": "javascript:alert(1)"},
        {"redirection": "https://a.example/\r\nSet-Cookie: a=b"},
        {"allowedIPs": "192.0.2.0/24"},
        {"allowedIPs": [1]},
    ],
    ids=str,
)
@pytest.mark.asyncio
async def test_a_malformed_request_for_a_key_is_refused(
    client: Any, sandbox: Sandbox, fields: dict[str, Any]
) -> None:
    response = await ask(client, **fields)

    assert (response.status, response.json["class"]) == (400, "Client::BadRequest")
    assert sandbox.grants.consumer_keys.keys() == {CONSUMER_KEY}


@pytest.mark.parametrize("body", [b"", b"[]", b"GET /me", b"\xff"])
@pytest.mark.asyncio
async def test_a_body_that_is_not_an_object_is_refused(client: Any, body: bytes) -> None:
    response = await client.send("POST", "/1.0/auth/credential", APPLICATION, body)

    assert response.status == 400


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("unknown", 403)])
@pytest.mark.asyncio
async def test_only_an_application_can_request_a_key(
    client: Any, key: str | None, status: int
) -> None:
    headers = [("X-Ovh-Application", key)] if key else []

    response = await client.send("POST", "/1.0/auth/credential", headers, b'{"accessRules":[]}')

    assert response.status == status


@pytest.mark.asyncio
async def test_a_key_can_read_its_state(client: Any, sandbox: Sandbox) -> None:
    sandbox.grants.set_rules(CONSUMER_KEY, (("GET", "/domain/zone/*"),))
    sandbox.grants.expire_at(CONSUMER_KEY, 4_102_444_800)

    response = await client.call("GET", "/1.0/auth/currentCredential")

    assert response.json["status"] == "validated"
    assert response.json["rules"] == [{"method": "GET", "path": "/domain/zone/*"}]
    assert response.json["expiration"] == "2100-01-01T00:00:00+00:00"
    assert response.json["lastUse"] is None
    assert response.json["allowedIPs"] is None


@pytest.mark.asyncio
async def test_a_key_records_its_last_use(client_of: Any) -> None:
    async with Sandbox(now=lambda: 1_700_000_000.0) as sandbox:
        client = client_of(sandbox)
        await client.call("GET", "/1.0/me", timestamp=1_700_000_000)

        response = await client.call("GET", "/1.0/auth/currentCredential", timestamp=1_700_000_000)

    assert response.json["lastUse"] == "2023-11-14T22:13:20+00:00"


@pytest.mark.asyncio
async def test_a_token_is_not_a_consumer_key(client: Any) -> None:
    bearer = [("Authorization", f"Bearer {ACCESS_TOKEN}")]

    response = await client.send("GET", "/1.0/auth/currentCredential", bearer)

    assert response.json["errorCode"] == "NOT_CREDENTIAL"


@pytest.mark.asyncio
async def test_details_name_the_kind_of_caller(client: Any) -> None:
    bearer = [("Authorization", f"Bearer {ACCESS_TOKEN}")]

    by_key = await client.call("GET", "/1.0/auth/details")
    by_token = await client.send("GET", "/1.0/auth/details", bearer)

    assert (by_key.json["method"], len(by_key.json["allowedRoutes"])) == ("account", 4)
    assert (by_token.json["method"], by_token.json["allowedRoutes"]) == ("user", None)


@pytest.mark.asyncio
async def test_a_key_that_logs_out_is_expired(client: Any, sandbox: Sandbox) -> None:
    response = await client.call("POST", "/1.0/auth/logout")

    assert response.body == b"null"
    assert sandbox.grants.consumer_keys[CONSUMER_KEY].state == "expired"
