import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.command import running, write_store
from support.ended import Ask

from ovh_proxy.cli.options import in_short, parse_duration
from ovh_proxy.sandbox.api import Sandbox

NOT_READY = {"status": "not ready", "reasons": ["the clock of ovh-eu is not known yet"]}


@asynccontextmanager
async def _responding(responses: Iterator[tuple[int, object]]) -> AsyncIterator[str]:
    """The URL of a server that sends these responses in turn."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /-/readyz HTTP/1.1\r\n")
        status, value = next(responses)
        writer.write(f"HTTP/1.1 {status} Told\r\n\r\n{json.dumps(value)}\n".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.asyncio
async def test_it_exits_when_the_proxy_is_ready(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", "--listen", "127.0.0.1:0", "--credentials", store) as proxy:
        ended = await ask("wait", "--url", proxy.url)

    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.asyncio
async def test_it_waits_until_the_proxy_is_ready(ask: Ask) -> None:
    responses = iter([(503, NOT_READY), (503, NOT_READY), (200, {"status": "ready"})])

    async with _responding(responses) as url:
        ended = await ask("wait", "--url", url)

    assert (ended.code, ended.err) == (0, "")
    assert list(responses) == []


@pytest.mark.asyncio
async def test_a_proxy_that_requires_a_token_counts_as_ready(ask: Ask) -> None:
    async with _responding(iter([(401, {})])) as url:
        ended = await ask("wait", "--url", url)

    assert ended.code == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("response", "message"),
    [
        (NOT_READY, "the clock of ovh-eu is not known yet"),
        ({"reasons": 1}, "responds with status 503"),
        (["no object"], "responds with status 503"),
    ],
    ids=["reasons", "no list", "no object"],
)
async def test_a_timeout_reports_why_the_proxy_is_not_ready(
    ask: Ask, response: object, message: str
) -> None:
    async with _responding(iter([(503, response)] * 9)) as url:
        ended = await ask("wait", "--for", "0.5s", "--url", url)

    assert ended.code == 1
    assert ended.err.startswith("ovh-proxy: not ready after 0.5 s: ")
    assert message in ended.err


@pytest.mark.asyncio
async def test_without_a_proxy_it_exits_with_1_and_names_the_address(ask: Ask) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        address = "{}:{}".format(*bound.getsockname())

        ended = await ask("wait", "--for", "0.2", "--url", f"http://{address}")

    assert ended.code == 1
    assert f"no proxy responds at {address}" in ended.err


@pytest.mark.asyncio
async def test_the_address_can_come_from_the_settings(ask: Ask, home: Path) -> None:
    async with _responding(iter([(200, {})])) as url:
        (home / "ovh-proxy.yaml").write_text(f"admin_listen: {url.removeprefix('http://')}\n")

        ended = await ask("wait", "--config", "ovh-proxy.yaml")

    assert ended.code == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0.5s", 0.5), ("30s", 30), ("5m", 300), ("2h", 7200), ("7d", 604800)],
)
def test_durations_have_units_or_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1y", "1 s", "nan", "1e9", "1.s"])
def test_an_invalid_duration_is_repeated_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=f"^invalid duration '{text}'; .* 30s, 10m, 2h or 7d$"):
        parse_duration(text)


@pytest.mark.asyncio
async def test_an_invalid_duration_is_a_usage_error(ask: Ask) -> None:
    ended = await ask("wait", "--for", "soon")

    assert ended.code == 2
    assert ended.err == (
        "ovh-proxy: --for: invalid duration 'soon'; use a number and a unit, such as 30s, 10m, "
        "2h or 7d; see ovh-proxy wait --help\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (42.9, "42s"), (598, "9m 58s"), (600, "10m 00s"), (7260, "2h 01m")],
)
def test_a_remaining_time_is_short(seconds: float, text: str) -> None:
    assert in_short(seconds) == text
