from pathlib import Path

import aiohttp
import pytest
from support.command import running
from support.stand_in import SIGNED, StandIn, stand_in

__all__ = ["stand_in"]

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("profile", "verdict"), [("personal", SIGNED), ("robot", "token"), ("card", "token")]
)
async def test_calls_of_every_kind_reach_the_sandbox_over_tls(
    home: Path, stand_in: StandIn, profile: str, verdict: str
) -> None:
    async with (
        running(home, "run", *stand_in.flags) as proxy,
        aiohttp.ClientSession() as session,
        session.get(f"{proxy.url}/@{profile}/me") as response,
    ):
        status = response.status

    assert status == 200
    (received,) = (each for each in stand_in.signed if each.target == b"/1.0/me")
    assert (received.verdict, received.header("Host")) == (verdict, "eu.api.ovh.com")
    assert set(stand_in.connects) <= {"eu.api.ovh.com:443", "www.ovh.com:443"}
