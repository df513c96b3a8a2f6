"""OVHcloud's SDK with an endpoint table for the proxy and made-up keys."""

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator

import ovh
import ovh.client
import pytest
import pytest_asyncio
from support.running import RunningProxy

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def sdk(proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ovh.Client]:
    """The SDK, which signs with made-up keys."""
    monkeypatch.setitem(ovh.client.ENDPOINTS, "proxy", f"{proxy.url}/1.0")
    yield ovh.Client(
        endpoint="proxy",
        application_key="made-up",
        application_secret="made-up",
        consumer_key="made-up",
    )


def signed(sandbox: Sandbox) -> list[str]:
    """Returns the sandbox's verdicts on the calls that need a signature."""
    return [r.verdict for r in sandbox.requests if not r.target.endswith(b"/auth/time")]


async def test_get(sdk: ovh.Client, sandbox: Sandbox) -> None:
    me = await asyncio.to_thread(sdk.get, "/me")

    assert me["firstname"]
    assert all(verdict.startswith("signed by") for verdict in signed(sandbox))


async def test_post_with_accents_put_and_delete(sdk: ovh.Client, sandbox: Sandbox) -> None:
    records = "/domain/zone/example.org/record"

    made = await asyncio.to_thread(
        sdk.post, records, fieldType="TXT", subDomain="été", target='"où ça ?"'
    )
    await asyncio.to_thread(sdk.put, f"{records}/{made['id']}", target='"là"')
    read = await asyncio.to_thread(sdk.get, f"{records}/{made['id']}")
    await asyncio.to_thread(sdk.delete, f"{records}/{made['id']}")

    assert read["target"] == '"là"'
    assert len(signed(sandbox)) == 4
    assert all(verdict.startswith("signed by") for verdict in signed(sandbox))


async def test_v2(sdk: ovh.Client, sandbox: Sandbox) -> None:
    policies = await asyncio.to_thread(sdk.get, "/v2/iam/policy")

    assert isinstance(policies, list)
    assert sandbox.requests[-1].target.startswith(b"/v2/iam/policy")


async def test_an_error_of_ovhcloud_raises_the_sdks_exception(sdk: ovh.Client) -> None:
    with pytest.raises(ovh.exceptions.ResourceNotFoundError):
        await asyncio.to_thread(sdk.get, "/me/bill/NOPE")


async def test_an_error_of_the_proxy_raises_the_sdks_exception(sdk: ovh.Client) -> None:
    with pytest.raises(ovh.exceptions.APIError, match="would revoke the key for everyone"):
        await asyncio.to_thread(sdk.post, "/auth/logout")


async def test_a_consumer_key_can_be_requested_and_its_page_opens(
    sdk: ovh.Client, sandbox: Sandbox
) -> None:
    wanted = sdk.new_consumer_key_request()
    wanted.add_recursive_rules(ovh.API_READ_ONLY, "/me")

    requested = await asyncio.to_thread(wanted.request)
    with await asyncio.to_thread(urllib.request.urlopen, requested["validationUrl"]) as page:
        text = page.read().decode()

    assert requested["state"] == "pendingValidation"
    assert re.search("validate", text, re.IGNORECASE)
