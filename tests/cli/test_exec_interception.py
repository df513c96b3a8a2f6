"""Connections of CMD of `exec`; the sandbox stands in for OVHcloud's hosts."""

import asyncio
import json

import pytest
from support.ended import Ask
from support.stand_in import OWN_HOST, SIGNED, StandIn, stand_in
from support.tools import tool

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.account_routes import ME

__all__ = ["stand_in"]

pytestmark = pytest.mark.asyncio

ME_URL = "https://eu.api.ovh.com/1.0/me"
CURL = ("--silent", "--show-error", "--max-time", "20")
SHOWN = "import json, os; print(json.dumps(dict(os.environ)))"


async def test_requests_to_ovhcloud_s_own_hosts_are_signed(start: Ask, stand_in: StandIn) -> None:
    ended = await start("exec", *stand_in.flags, "--", tool("curl"), *CURL, ME_URL)

    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["nichandle"] == ME["nichandle"]
    assert stand_in.verdicts == [SIGNED]
    assert set(stand_in.connects) == {"eu.api.ovh.com:443"}


async def test_rules_apply_to_ovhcloud_s_own_hosts(start: Ask, stand_in: StandIn) -> None:
    ended = await start(
        *("exec", *stand_in.flags, "--rule", "GET /me", "--"),
        *(tool("curl"), *CURL, "https://eu.api.ovh.com/1.0/domain/zone"),
    )

    assert json.loads(ended.out)["errorCode"] == "ACCESS_DENIED"
    assert stand_in.signed == []


async def test_with_a_profile_requests_to_ovhcloud_s_own_hosts_use_it(
    start: Ask, stand_in: StandIn
) -> None:
    ended = await start(
        "exec", *stand_in.flags, "--profile", "robot", "--", tool("curl"), *CURL, ME_URL
    )

    assert json.loads(ended.out)["nichandle"] == ME["nichandle"]
    assert stand_in.verdicts == ["token"]


async def test_requests_to_the_base_url_of_a_profile_are_intercepted_too(
    start: Ask, stand_in: StandIn
) -> None:
    own = f"https://{OWN_HOST}/1.0"
    stand_in.write(
        f"default: a\nprofiles:\n  a: {{endpoint: ovh-eu, access_token: {grants.CONSUMER_KEY}}}\n"
        f"  b: {{endpoint: '{own}', access_token: {grants.ACCESS_TOKEN}}}\n"
    )

    ended = await start("exec", *stand_in.flags, "--", tool("curl"), *CURL, f"{own}/me")

    assert (ended.code, ended.err) == (0, "")
    assert stand_in.verdicts == ["token"]
    assert stand_in.signed[0].header("Host") == OWN_HOST


async def test_without_the_token_requests_are_rejected(start: Ask, stand_in: StandIn) -> None:
    script = f'HTTPS_PROXY="$OVH_PROXY_URL" https_proxy="$OVH_PROXY_URL" curl -s {ME_URL}'

    ended = await start("exec", *stand_in.flags, "--", "sh", "-c", script)

    assert "CLIENT_TOKEN_REQUIRED" in ended.out
    assert stand_in.signed == []


async def test_proxy_variables_of_the_user_do_not_bypass_the_proxy(
    start: Ask, stand_in: StandIn
) -> None:
    present = {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}

    ended = await start(
        *("exec", *stand_in.flags, "--", tool("curl"), *CURL, ME_URL),
        **(present | {"NO_PROXY": "*", "no_proxy": ".ovh.com"}),
    )

    assert (ended.code, ended.err) == (0, "")
    assert stand_in.verdicts == [SIGNED]


async def test_a_rejected_tunnel_has_an_error_code(start: Ask, stand_in: StandIn) -> None:
    ended = await start(
        *("exec", *stand_in.flags, "--", tool("curl"), "--silent", "--verbose", "--noproxy", ""),
        "https://127.0.0.1:9/",
    )

    assert ended.code == 56
    assert "X-Ovh-Proxy-Error: " in ended.err


async def test_connections_to_other_hosts_are_not_changed(start: Ask, stand_in: StandIn) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.readexactly(5)
        received.append(hello)
        writer.close()

    received: list[bytes] = []
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    stand_in.elsewhere["192.0.2.80:443"] = server.sockets[0].getsockname()[:2]

    ended = await start(
        "exec", *stand_in.flags, "--", tool("curl"), *CURL, "https://192.0.2.80/simple/"
    )

    server.close()
    assert ended.code in (35, 56)  # the server closed the connection during the handshake
    assert [hello[:1] for hello in received] == [b"\x16"]
    assert stand_in.signed == []
