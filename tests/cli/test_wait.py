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
async def _answering(answers: Iterator[tuple[int, object]]) -> AsyncIterator[str]:
    """A server that gives one answer after the other; gives its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /-/readyz HTTP/1.1\r\n")
        status, value = next(answers)
        writer.write(f"HTTP/1.1 {status} Told\r\n\r\n{json.dumps(value)}\n".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.asyncio
async def test_a_proxy_that_is_ready_ends_the_wait(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", "--listen", "127.0.0.1:0", "--credentials", store) as proxy:
        ended = await ask("wait", "--url", proxy.url)

    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.asyncio
async def test_it_waits_until_nothing_is_missing(ask: Ask) -> None:
    answers = iter([(503, NOT_READY), (503, NOT_READY), (200, {"status": "ready"})])

    async with _answering(answers) as url:
        ended = await ask("wait", "--url", url)

    assert (ended.code, ended.err) == (0, "")
    assert list(answers) == []


@pytest.mark.asyncio
async def test_a_proxy_that_asks_for_a_token_counts_as_ready(ask: Ask) -> None:
    async with _answering(iter([(401, {})])) as url:
        ended = await ask("wait", "--url", url)

    assert ended.code == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (NOT_READY, "the clock of ovh-eu is not known yet"),
        ({"reasons": 1}, "answers 503"),
        (["no object"], "answers 503"),
    ],
    ids=["reasons", "no list", "no object"],
)
async def test_what_is_missing_is_told_when_the_time_is_over(
    ask: Ask, answer: object, told: str
) -> None:
    async with _answering(iter([(503, answer)] * 9)) as url:
        ended = await ask("wait", "--for", "0.5s", "--url", url)

    assert ended.code == 1
    assert ended.err.startswith("ovh-proxy: not ready after 0.5 s: ")
    assert told in ended.err


@pytest.mark.asyncio
async def test_nobody_there_is_1_and_names_the_address(ask: Ask) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        address = "{}:{}".format(*bound.getsockname())

        ended = await ask("wait", "--for", "0.2", "--url", f"http://{address}")

    assert ended.code == 1
    assert f"no proxy answers at {address}" in ended.err


@pytest.mark.asyncio
async def test_the_settings_say_where_as_well(ask: Ask, home: Path) -> None:
    async with _answering(iter([(200, {})])) as url:
        (home / "ovh-proxy.yaml").write_text(f"admin_listen: {url.removeprefix('http://')}\n")

        ended = await ask("wait", "--config", "ovh-proxy.yaml")

    assert ended.code == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0.5s", 0.5), ("30s", 30), ("5m", 300), ("2h", 7200), ("7d", 604800)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1y", "1 s", "nan", "1e9", "1.s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="30s, 10m, 2h or 7d"):
        parse_duration(text)


@pytest.mark.asyncio
async def test_what_is_no_duration_is_a_usage_error(ask: Ask) -> None:
    ended = await ask("wait", "--for", "soon")

    assert ended.code == 2
    assert "30s, 10m, 2h or 7d" in ended.err


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-1, "0s"), (42.9, "42s"), (598, "9m 58s"), (600, "10m 00s"), (7260, "2h 01m")],
)
def test_a_time_that_is_left_is_told_in_short(seconds: float, told: str) -> None:
    assert in_short(seconds) == told
