"""The page on which a user validates or refuses a consumer key."""

from typing import Any

import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import ConsumerKey


@pytest.fixture
def pending(sandbox: Sandbox) -> ConsumerKey:
    """A pending key."""
    rules = (("GET", "/me"), ("PUT", "/<b>/*"))
    return sandbox.grants.add_consumer_key("waiting", state="pendingValidation", rules=rules)


def form(key: ConsumerKey, response: str) -> bytes:
    return f"credentialToken={key.validation_token}&{response}".encode()


@pytest.mark.asyncio
async def test_the_page_shows_application_and_rules(client: Any, pending: ConsumerKey) -> None:
    response = await client.send("GET", f"/auth/?credentialToken={pending.validation_token}")

    page = response.body.decode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<strong>ovh-proxy sandbox</strong>" in page
    assert "PUT /&lt;b&gt;/*" in page
    assert pending.validation_token in page
    assert page.count("<option") == 4


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.asyncio
async def test_an_unknown_link_is_not_found(client: Any, method: str) -> None:
    response = await client.send(method, "/auth/?credentialToken=unknown")

    assert response.status == 404
    assert b"Nothing to validate" in response.body


@pytest.mark.parametrize(
    ("response", "state", "lifetime"),
    [
        ("decision=validate", "validated", 86400),
        ("decision=validate&validity=300", "validated", 300),
        ("decision=validate&validity=unlimited", "validated", None),
        ("decision=refuse", "refused", None),
    ],
)
@pytest.mark.asyncio
async def test_the_user_decides_once(
    client_of: Any, response: str, state: str, lifetime: int | None
) -> None:
    async with Sandbox(now=lambda: 1_700_000_000.0) as sandbox:
        key = sandbox.grants.add_consumer_key("waiting", state="pendingValidation")
        client = client_of(sandbox)

        first = await client.send("POST", "/auth/", body=form(key, response))
        second = await client.send("POST", "/auth/", body=form(key, response))

    decided = sandbox.grants.consumer_keys["waiting"]
    expires = decided.expiration and decided.expiration.timestamp() - 1_700_000_000
    assert (first.status, second.status) == (200, 404)
    assert (decided.state, expires) == (state, lifetime)


@pytest.mark.parametrize(
    "response", ["", "decision=maybe", "decision=validate&validity=1", "decision=refuse&validity=x"]
)
@pytest.mark.asyncio
async def test_a_form_without_a_decision_leaves_the_key_pending(
    client: Any, sandbox: Sandbox, pending: ConsumerKey, response: str
) -> None:
    response = await client.send("POST", "/auth/", body=form(pending, response))

    assert response.status == 400
    assert sandbox.grants.consumer_keys["waiting"].state == "pendingValidation"
