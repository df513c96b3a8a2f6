"""The page on which a user validates or refuses a consumer key."""

from typing import Any

import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import ConsumerKey


@pytest.fixture
def pending(sandbox: Sandbox) -> ConsumerKey:
    """A key that waits for its user."""
    rules = (("GET", "/me"), ("PUT", "/<b>/*"))
    return sandbox.grants.add_consumer_key("waiting", state="pendingValidation", rules=rules)


def form(key: ConsumerKey, answer: str) -> bytes:
    return f"credentialToken={key.validation_token}&{answer}".encode()


@pytest.mark.asyncio
async def test_the_page_names_application_and_rules(client: Any, pending: ConsumerKey) -> None:
    reply = await client.send("GET", f"/auth/?credentialToken={pending.validation_token}")

    page = reply.body.decode()
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<strong>ovh-proxy sandbox</strong>" in page
    assert "PUT /&lt;b&gt;/*" in page
    assert pending.validation_token in page
    assert page.count("<option") == 4


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.asyncio
async def test_an_unknown_link_has_nothing_to_validate(client: Any, method: str) -> None:
    reply = await client.send(method, "/auth/?credentialToken=unknown")

    assert reply.status == 404
    assert b"Nothing to validate" in reply.body


@pytest.mark.parametrize(
    ("answer", "state", "lifetime"),
    [
        ("decision=validate", "validated", 86400),
        ("decision=validate&validity=300", "validated", 300),
        ("decision=validate&validity=unlimited", "validated", None),
        ("decision=refuse", "refused", None),
    ],
)
@pytest.mark.asyncio
async def test_the_user_decides_once(
    client_of: Any, answer: str, state: str, lifetime: int | None
) -> None:
    async with Sandbox(now=lambda: 1_700_000_000.0) as sandbox:
        key = sandbox.grants.add_consumer_key("waiting", state="pendingValidation")
        client = client_of(sandbox)

        first = await client.send("POST", "/auth/", body=form(key, answer))
        second = await client.send("POST", "/auth/", body=form(key, answer))

    decided = sandbox.grants.consumer_keys["waiting"]
    expires = decided.expiration and decided.expiration.timestamp() - 1_700_000_000
    assert (first.status, second.status) == (200, 404)
    assert (decided.state, expires) == (state, lifetime)


@pytest.mark.parametrize(
    "answer", ["", "decision=maybe", "decision=validate&validity=1", "decision=refuse&validity=x"]
)
@pytest.mark.asyncio
async def test_a_form_that_decides_nothing_leaves_the_key_pending(
    client: Any, sandbox: Sandbox, pending: ConsumerKey, answer: str
) -> None:
    reply = await client.send("POST", "/auth/", body=form(pending, answer))

    assert reply.status == 400
    assert sandbox.grants.consumer_keys["waiting"].state == "pendingValidation"
