from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from support.raw_server import within
from support.upstream_pool import MakePool

from ovh_proxy.auth.clock import Clocks
from ovh_proxy.auth.signers import UNSIGNED, Signer, Signers
from ovh_proxy.auth.token_cache import TokenCache
from ovh_proxy.core.credentials import (
    AccessToken,
    ApplicationCredential,
    Credential,
    ServiceAccount,
)
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import NoCredential
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile
from ovh_proxy.ovhcloud.messages import Body, UpstreamRequest
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.upstream.pool import Pool

KEYS = ApplicationCredential(
    Secret(grants.APPLICATION_KEY), Secret(grants.APPLICATION_SECRET), Secret(grants.CONSUMER_KEY)
)
PERSONAL = AccessToken(Secret(grants.ACCESS_TOKEN))


@pytest_asyncio.fixture
async def sandbox(complaints: list[object]) -> AsyncIterator[Sandbox]:
    """A sandbox that checks signatures."""
    async with Sandbox() as sandbox:
        yield sandbox


@pytest_asyncio.fixture
async def own_pool(make_pool: MakePool, sandbox: Sandbox) -> Pool:
    return make_pool()


@pytest_asyncio.fixture
async def signers(own_pool: Pool) -> AsyncIterator[Signers]:
    clocks, tokens = Clocks(own_pool), TokenCache(own_pool)
    yield Signers(clocks, tokens)
    await clocks.close()
    await tokens.close()


@pytest.fixture
def profile_with(sandbox: Sandbox) -> Callable[[Credential], Profile]:
    """Makes profiles for the sandbox."""
    endpoint = Endpoint("sandbox", sandbox.base_url)
    return lambda credential: Profile("personal", endpoint, credential)


def account(sandbox: Sandbox) -> ServiceAccount:
    return ServiceAccount(grants.CLIENT_ID, Secret(grants.CLIENT_SECRET), sandbox.token_url)


async def verdict_on(pool: Pool, sandbox: Sandbox, signer: Signer, text: bytes = b"") -> str:
    """Signs and sends a request; returns the sandbox's verdict on it."""
    url = sandbox.base_url + "/me?x=%20"
    signed_text = signer.start("POST", url)
    if signed_text is not None:
        signed_text.update(text)
    body = Body((text,), len(text), is_declared=bool(text))
    outgoing = UpstreamRequest("POST", url, (), body, signed_text)
    signed = await within(signer.sign(outgoing))
    incoming = await within(pool.send(signed))
    incoming.abandon()
    return sandbox.requests[-1].verdict


@pytest.mark.asyncio
@pytest.mark.parametrize("text", [b"", b'{"a":"\xc3\xa9"}'], ids=["no body", "a body"])
async def test_application_keys_sign(
    own_pool: Pool, sandbox: Sandbox, signers: Signers, profile_with, text: bytes
) -> None:
    signer = signers.of(profile_with(KEYS))

    outcome = await verdict_on(own_pool, sandbox, signer, text)

    assert outcome == f"signed by {grants.APPLICATION_KEY}"


@pytest.mark.asyncio
async def test_application_keys_sign_by_the_upstreams_clock(
    own_pool: Pool, sandbox: Sandbox, signers: Signers, profile_with
) -> None:
    sandbox.clock_offset = -5000.0
    signer = signers.of(profile_with(KEYS))

    outcome = await verdict_on(own_pool, sandbox, signer)

    assert outcome == f"signed by {grants.APPLICATION_KEY}"


@pytest.mark.asyncio
async def test_a_service_account_sends_a_token(
    own_pool: Pool, sandbox: Sandbox, signers: Signers, profile_with
) -> None:
    signer = signers.of(profile_with(account(sandbox)))

    outcome = await verdict_on(own_pool, sandbox, signer)

    assert outcome == "token"


@pytest.mark.asyncio
async def test_an_access_token_is_sent_unchanged(
    own_pool: Pool, sandbox: Sandbox, signers: Signers, profile_with
) -> None:
    signer = signers.of(profile_with(PERSONAL))

    outcome = await verdict_on(own_pool, sandbox, signer)

    assert outcome == "token"


@pytest.mark.asyncio
async def test_a_missing_consumer_key_error_names_the_login_command(
    sandbox: Sandbox, signers: Signers, profile_with
) -> None:
    profile = profile_with(replace(KEYS, consumer_key=None))

    with pytest.raises(NoCredential, match="run: ovh-proxy login --profile personal"):
        signers.of(profile)

    assert sandbox.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        pytest.param(KEYS, ((b"X-Ovh-Application", grants.APPLICATION_KEY.encode()),), id="keys"),
        pytest.param(
            replace(KEYS, consumer_key=None),
            ((b"X-Ovh-Application", grants.APPLICATION_KEY.encode()),),
            id="keys without a consumer key",
        ),
        pytest.param(PERSONAL, (), id="an access token"),
    ],
)
async def test_a_key_request_carries_only_the_application_key(
    signers: Signers, profile_with, credential: Credential, expected: object
) -> None:
    signer = signers.of_application(profile_with(credential))

    signed = await within(signer.sign(UpstreamRequest("POST", "http://127.0.0.1/")))

    assert signed.headers == expected


@pytest.mark.asyncio
async def test_an_unsigned_request_stays_unchanged() -> None:
    outgoing = UpstreamRequest("GET", "http://127.0.0.1/", ((b"X", b"y"),))

    signed = await UNSIGNED.sign(outgoing)

    assert signed == outgoing
    assert UNSIGNED.start("GET", outgoing.url) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", ["INVALID_KEY", "INVALID_SIGNATURE", None])
async def test_only_a_query_out_of_time_is_stale(
    sandbox: Sandbox, own_pool: Pool, signers: Signers, profile_with, refusal: str | None
) -> None:
    signer = signers.of(profile_with(KEYS))
    await verdict_on(own_pool, sandbox, signer)

    is_stale = signer.is_stale(400, refusal)

    assert not is_stale
    assert [request.target for request in sandbox.requests].count(b"/1.0/auth/time") == 1


@pytest.mark.asyncio
async def test_a_query_out_of_time_refreshes_the_clock(
    sandbox: Sandbox, own_pool: Pool, signers: Signers, profile_with
) -> None:
    signer = signers.of(profile_with(KEYS))
    await verdict_on(own_pool, sandbox, signer)
    sandbox.clock_offset = 4000.0

    is_stale = signer.is_stale(400, "QUERY_TIME_OUT")
    is_renewed = await within(signer.renew())

    assert (is_stale, is_renewed) == (True, True)
    outcome = await verdict_on(own_pool, sandbox, signer)
    assert outcome == f"signed by {grants.APPLICATION_KEY}"


@pytest.mark.asyncio
async def test_only_a_401_renews_the_token_of_a_service_account(
    sandbox: Sandbox, own_pool: Pool, signers: Signers, profile_with
) -> None:
    signer = signers.of(profile_with(account(sandbox)))
    await verdict_on(own_pool, sandbox, signer)
    outcomes = [signer.is_stale(status, None) for status in (403, 400, 401)]

    is_renewed = await within(signer.renew())

    await verdict_on(own_pool, sandbox, signer)
    assert (outcomes, is_renewed) == ([False, False, True], True)
    targets = [request.target for request in sandbox.requests]
    assert targets.count(b"/auth/oauth2/token") == 2


@pytest.mark.asyncio
async def test_a_personal_access_token_is_not_renewed(signers: Signers, profile_with) -> None:
    signer = signers.of(profile_with(PERSONAL))

    assert not signer.is_stale(401, "INVALID_CREDENTIAL")
    assert not await signer.renew()
