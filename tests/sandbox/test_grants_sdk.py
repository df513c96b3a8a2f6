"""The official SDK and the sandbox check each other."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import ovh
import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import (
    APPLICATION_KEY,
    APPLICATION_SECRET,
    CLIENT_ID,
    CLIENT_SECRET,
    CONSUMER_KEY,
)

RECORDS = "/domain/zone/example.org/record"


@pytest.fixture
def sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ovh.Client]]:
    """Makes SDK clients for the sandbox, with the only patch that our tests allow."""
    monkeypatch.setitem(ovh.client.ENDPOINTS, "sandbox", sandbox.base_url)
    made: list[ovh.Client] = []

    def make(**keys: str) -> ovh.Client:
        credential = {
            "application_key": APPLICATION_KEY,
            "application_secret": APPLICATION_SECRET,
            "consumer_key": CONSUMER_KEY,
        }
        made.append(ovh.Client("sandbox", **{**credential, **keys}))
        return made[-1]

    yield make
    for client in made:
        client._session.close()


@pytest.mark.asyncio
async def test_get_is_verified(sdk: Any, sandbox: Sandbox) -> None:
    me = await asyncio.to_thread(sdk().get, "/me")

    assert me["firstname"] == "Zoé"
    assert sandbox.requests[-1].verdict == f"signed by {APPLICATION_KEY}"


@pytest.mark.asyncio
async def test_query_parameters_are_verified(sdk: Any) -> None:
    ids = await asyncio.to_thread(sdk().get, RECORDS, fieldType="CNAME", subDomain="www")

    assert ids == [2]


@pytest.mark.asyncio
async def test_an_encoded_slash_is_verified(sdk: Any) -> None:
    names = await asyncio.to_thread(sdk().get, "/ip/127.0.0.1%2F29/reverse")

    assert names == []


@pytest.mark.asyncio
async def test_post_with_accents_is_verified(sdk: Any) -> None:
    made = await asyncio.to_thread(
        sdk().post, RECORDS, fieldType="TXT", subDomain="été", target="señor €"
    )

    assert (made["subDomain"], made["target"]) == ("été", "señor €")


@pytest.mark.asyncio
async def test_put_and_delete_are_verified(sdk: Any) -> None:
    client = sdk()

    await asyncio.to_thread(client.put, f"{RECORDS}/1", target="192.0.2.99", ttl=60)
    changed = await asyncio.to_thread(client.get, f"{RECORDS}/1")
    await asyncio.to_thread(client.delete, f"{RECORDS}/1")
    left = await asyncio.to_thread(client.get, RECORDS)

    assert (changed["target"], changed["ttl"]) == ("192.0.2.99", 60)
    assert left == [2, 3]


@pytest.mark.asyncio
async def test_a_post_without_a_body_is_verified(sdk: Any) -> None:
    response = await asyncio.to_thread(sdk().post, "/domain/zone/example.org/refresh")

    assert response is None


@pytest.mark.asyncio
async def test_v2_is_verified(sdk: Any) -> None:
    policies = await asyncio.to_thread(sdk().get, "/v2/iam/policy")

    assert [policy["name"] for policy in policies][:2] == ["dns-read", "dns-write"]


@pytest.mark.asyncio
async def test_the_sdk_uses_the_sandboxs_clock(sdk: Any, sandbox: Sandbox) -> None:
    sandbox.clock_offset = -86400

    me = await asyncio.to_thread(sdk().get, "/me")

    assert me["nichandle"]


@pytest.mark.asyncio
async def test_a_consumer_key_is_requested_validated_used_and_revoked(
    sdk: Any, sandbox: Sandbox, client: Any
) -> None:
    sdk_client = sdk()
    rules = [{"method": "GET", "path": "/me"}, {"method": "POST", "path": "/auth/logout"}]

    asked = await asyncio.to_thread(sdk_client.request_consumerkey, rules, "https://a.example/ok")
    with pytest.raises(ovh.exceptions.InvalidCredential):
        await asyncio.to_thread(sdk_client.get, "/me")
    token = asked["validationUrl"].partition("credentialToken=")[2]
    form = f"credentialToken={token}&decision=validate&validity=300".encode()
    validated = await client.send("POST", "/auth/", body=form)
    me = await asyncio.to_thread(sdk_client.get, "/me")
    await asyncio.to_thread(sdk_client.post, "/auth/logout")
    with pytest.raises(ovh.exceptions.InvalidCredential):
        await asyncio.to_thread(sdk_client.get, "/me")

    assert asked["state"] == "pendingValidation"
    assert (validated.status, validated.headers["Location"]) == (302, "https://a.example/ok")
    assert me["firstname"] == "Zoé"


@pytest.mark.parametrize(
    ("keys", "path", "error"),
    [
        ({"application_key": "x"}, "/me", ovh.exceptions.InvalidKey),
        ({"application_secret": "x"}, "/me", ovh.exceptions.BadParametersError),
        ({"consumer_key": "x"}, "/me", ovh.exceptions.NotCredential),
        ({"consumer_key": "refused"}, "/me", ovh.exceptions.InvalidCredential),
        ({"consumer_key": "narrow"}, "/me", ovh.exceptions.NotGrantedCall),
        ({}, "/nothing", ovh.exceptions.ResourceNotFoundError),
        ({}, "/sandbox/status/409", ovh.exceptions.ResourceConflictError),
        ({}, "/sandbox/status/460", ovh.exceptions.ResourceExpiredError),
        ({}, "/sandbox/status/500", ovh.exceptions.APIError),
        ({}, "/sandbox/status/503?html=1", ovh.exceptions.InvalidResponse),
    ],
)
@pytest.mark.asyncio
async def test_the_sdk_maps_each_refusal_to_its_error(
    sdk: Any, sandbox: Sandbox, keys: dict[str, str], path: str, error: type[Exception]
) -> None:
    sandbox.grants.add_consumer_key("refused", state="refused")
    sandbox.grants.add_consumer_key("narrow", rules=(("GET", "/sms"),))

    with pytest.raises(error) as raised:
        await asyncio.to_thread(sdk(**keys).get, path)

    assert type(raised.value) is error


@pytest.mark.asyncio
async def test_the_sdk_reports_the_query_id(sdk: Any) -> None:
    with pytest.raises(ovh.exceptions.ResourceNotFoundError) as raised:
        await asyncio.to_thread(sdk().get, "/nothing")

    assert raised.value.query_id.startswith("EU.ext-")


@pytest.mark.asyncio
async def test_a_service_account_gets_its_token_and_uses_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ovh.client.ENDPOINTS, "sandbox", sandbox.base_url)
    monkeypatch.setitem(ovh.client.OAUTH2_TOKEN_URLS, "sandbox", sandbox.token_url)
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    client = ovh.Client("sandbox", client_id=CLIENT_ID, client_secret=CLIENT_SECRET)

    details = await asyncio.to_thread(client.get, "/auth/details")

    assert (details["method"], details["user"]) == ("oauth2_client_credentials", CLIENT_ID)
    assert [request.verdict for request in sandbox.requests] == ["unsigned", "token"]
