"""The token endpoint, and each of its errors."""

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import CLIENT_ID, CLIENT_SECRET

PATH = "/auth/oauth2/token"
FORM = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
COMPLETE = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "scope": "all",
}


def basic(text: str) -> tuple[str, str]:
    return "Authorization", f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.asyncio
async def test_a_service_account_gets_a_token_that_works(client: Any, sandbox: Sandbox) -> None:
    response = await client.send("POST", PATH, FORM, urlencode(COMPLETE).encode())
    token = response.json.pop("access_token")
    me = await client.send("GET", "/1.0/me", [("Authorization", f"Bearer {token}")])

    assert response.json | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 3599,
        "scope": "all",
    }
    assert me.status == 200


@pytest.mark.asyncio
async def test_client_credentials_can_use_http_basic(client: Any) -> None:
    body = b"grant_type=client_credentials&scope=all"
    client_id = CLIENT_ID.replace(".", "%2E")

    response = await client.send("POST", PATH, [*FORM, basic(f"{client_id}:{CLIENT_SECRET}")], body)

    assert response.status == 200


@pytest.mark.parametrize(
    ("change", "headers", "error", "description"),
    [
        ({"client_id": "x"}, FORM, "invalid_client", "ovhcloud oauth2 client does not exists"),
        ({"client_secret": "x"}, FORM, "invalid_client_credentials", "client secret invalid"),
        ({"scope": "me"}, FORM, "invalid_scope", "the scope has to be: all"),
        ({"grant_type": "x"}, FORM, "unsupported_grant_type", "the grant type is not supported"),
        ({}, [], "unsupported_grant_type", "the grant type is not supported"),
        ({}, [*FORM, basic("x:y")], "invalid_client", "ovhcloud oauth2 client does not exists"),
        (
            {},
            [*FORM, ("Authorization", "Basic ?")],
            "invalid_client",
            "ovhcloud oauth2 client does not exists",
        ),
    ],
    ids=["client", "secret", "scope", "grant", "no-form", "basic", "malformed-basic"],
)
@pytest.mark.asyncio
async def test_a_wrong_request_gets_a_reason(
    client: Any,
    change: dict[str, str],
    headers: list[tuple[str, str]],
    error: str,
    description: str,
) -> None:
    response = await client.send("POST", PATH, headers, urlencode(COMPLETE | change).encode())

    assert response.status == 400
    assert response.json == {"error": error, "error_description": description}


@pytest.mark.asyncio
async def test_a_scope_is_required(client: Any) -> None:
    fields = {name: value for name, value in COMPLETE.items() if name != "scope"}

    response = await client.send("POST", PATH, FORM, urlencode(fields).encode())

    assert response.json["error"] == "invalid_scope"
