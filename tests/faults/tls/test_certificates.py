"""An endpoint whose certificate changes or expires, and an authority that is replaced."""

import pytest
from support.raw_server import OK, answering
from support.serving import Outcome, call, outcome_of

pytestmark = pytest.mark.asyncio

NOT_TRUSTED = Outcome(502, "UPSTREAM_TLS", attempts=3, arrived=0)


async def test_a_trusted_endpoint_is_called(proxy_server, upstream):
    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(200)


@pytest.mark.parametrize("name", ["second", "ended", "early"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_endpoint_gets_no_calls_while_its_certificate_is_invalid(
    proxy_server, upstream, context, pairs, method, name
):
    pairs[name].used_by(context)

    outcome = await outcome_of(proxy_server, upstream, call(method))
    pairs["first"].used_by(context)
    following = await outcome_of(proxy_server, upstream, call(method))

    assert outcome == NOT_TRUSTED
    assert following == Outcome(200)


async def test_an_open_connection_outlives_a_change_of_the_certificate(
    proxy_server, upstream, context, pairs
):
    upstream.scripts = [answering(OK)]
    await proxy_server.ask(call())
    pairs["second"].used_by(context)

    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(200)
    assert len(upstream.sides) == 1


async def test_a_replaced_authority_is_trusted_without_a_restart(
    proxy_server, upstream, context, pairs, ca_file
):
    pairs["second"].used_by(context)
    before = await outcome_of(proxy_server, upstream, call())
    pairs["second"].trusted_in(ca_file)

    outcome = await outcome_of(proxy_server, upstream, call())

    assert (before, outcome) == (NOT_TRUSTED, Outcome(200))


async def test_a_replaced_authority_is_no_longer_trusted(proxy_server, upstream, pairs, ca_file):
    before = await outcome_of(proxy_server, upstream, call())
    pairs["second"].trusted_in(ca_file)

    outcome = await outcome_of(proxy_server, upstream, call())

    assert (before, outcome) == (Outcome(200), NOT_TRUSTED)


@pytest.mark.parametrize(
    "text", [None, b"", b"no certificate"], ids=["missing", "empty", "garbage"]
)
async def test_if_the_authority_cannot_be_read_the_previous_one_is_used(
    proxy_server, upstream, ca_file, text
):
    await proxy_server.ask(call())
    if text is None:
        ca_file.unlink()
    else:
        ca_file.write_bytes(text)

    outcome = await outcome_of(proxy_server, upstream, call())

    assert outcome == Outcome(200)
