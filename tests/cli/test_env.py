import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from support.certificates import make_pair, server_context
from support.command import running
from support.ended import Ask
from support.stand_in import StandIn, stand_in

__all__ = ["stand_in"]

pytestmark = pytest.mark.asyncio

TOKEN = "token-of-the-client"
CLIENTS = (
    f"clients: [{{name: ci, token: {{sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}}}}}]\n"
)


async def test_a_shell_is_pointed_to_a_running_proxy(start: Ask, stand_in: StandIn) -> None:
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        ended = await start("env", *stand_in.flags, "--url", proxy.url)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"export OVH_ENDPOINT={proxy.url}/1.0",
        "export OVH_ACCESS_TOKEN=made-up",
        f"export OVH_PROXY_URL={proxy.url}",
    ]


async def test_the_proxy_is_found_in_the_settings(
    start: Ask, home: Path, stand_in: StandIn
) -> None:
    # The first TCP listener without TLS; not the admin listener.
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        port = proxy.url.rpartition(":")[2]
        config = home / "found.yaml"
        config.write_text(
            f"listen: ['unix:{home}/s', {{tcp: '127.0.0.1:1', tls: auto}}, '127.0.0.1:{port}']\n"
            "admin_listen: 127.0.0.1:1\n"
        )
        ended = await start("env", "--config", config, "--format", "json")

    assert json.loads(ended.out)["OVH_PROXY_URL"] == proxy.url


async def test_the_token_of_the_variable_is_passed_to_clients(
    start: Ask, stand_in: StandIn
) -> None:
    stand_in.write(settings=CLIENTS)
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        ended = await start("env", *stand_in.flags, "--url", proxy.url, OVH_PROXY_TOKEN=TOKEN)

    assert f"export OVH_ACCESS_TOKEN={TOKEN}" in ended.out.splitlines()


@pytest.mark.parametrize("where", ["file", "-"])
async def test_the_token_may_come_from_a_file(start: Ask, stand_in: StandIn, where: str) -> None:
    stand_in.write(settings=CLIENTS)
    file = stand_in.home / "token"
    file.write_text(f"{TOKEN}\n")
    named = "-" if where == "-" else str(file)
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        ended = await start(
            *("env", *stand_in.flags, "--url", proxy.url, "--token-file", named),
            stdin=file.read_bytes() if where == "-" else b"",
        )

    assert f"export OVH_ACCESS_TOKEN={TOKEN}" in ended.out.splitlines()


@pytest.mark.parametrize(
    ("token", "code", "message"),
    [
        ("", 2, "requires a client token; use --token-file FILE"),
        ("another", 1, "rejects this client token"),
        ("with space", 2, "printable ASCII without spaces"),
        ("two\nlines", 2, "printable ASCII without spaces"),
    ],
    ids=["none", "another", "space", "lines"],
)
async def test_an_unusable_token_is_reported_and_nothing_is_printed(
    start: Ask, stand_in: StandIn, token: str, code: int, message: str
) -> None:
    stand_in.write(settings=CLIENTS)
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        ended = await start("env", *stand_in.flags, "--url", proxy.url, OVH_PROXY_TOKEN=token)

    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert not token or token not in ended.err


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "message"),
    [
        (("--url", "http://127.0.0.1:1"), "", 1, "no proxy responds at 127.0.0.1:1"),
        (
            ("--url", "unix:/a"),
            "",
            2,
            "need the host and port of the proxy, not unix:/a; use --url",
        ),
        (("--url", "ftp://a"), "", 2, "--url: invalid URL 'ftp://a'; use http://HOST:PORT"),
        ((), "", 2, "need the host and port of the proxy, not 127.0.0.1:0; use"),
        ((), "nonsense: 1\n", 2, "nonsense"),
        (("--url", "http://127.0.0.1:1", "--token-file", "gone"), "", 1, "gone does not exist"),
    ],
    ids=["no proxy", "unix", "no URL", "port 0", "settings", "no token file"],
)
async def test_a_proxy_that_cannot_be_used_is_reported(
    start: Ask,
    stand_in: StandIn,
    arguments: tuple[str, ...],
    settings: str,
    code: int,
    message: str,
) -> None:
    stand_in.write(settings=settings)

    ended = await start("env", *stand_in.flags, *arguments)

    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err


async def test_a_binary_token_is_reported(start: Ask, stand_in: StandIn) -> None:
    ended = await start(
        *("env", *stand_in.flags, "--url", "http://127.0.0.1:1", "--token-file", "-"),
        stdin=b"\xff\n",
    )

    assert (ended.code, ended.out) == (2, "")
    assert "printable ASCII" in ended.err


async def test_the_token_is_not_sent_to_a_server_with_an_unverified_certificate(
    start: Ask, stand_in: StandIn
) -> None:
    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    heads: list[bytes] = []
    pair = make_pair(stand_in.home / "other.pem")
    server = await asyncio.start_server(reject, "127.0.0.1", 0, ssl=server_context(pair))
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    ended = await start("env", *stand_in.flags, "--url", url, OVH_PROXY_TOKEN=TOKEN)

    server.close()
    assert ended.code == 0
    assert f"export OVH_ACCESS_TOKEN={TOKEN}" in ended.out.splitlines()
    assert len(heads) == 1
    assert TOKEN.encode() not in heads[0]


async def test_a_server_that_is_not_a_proxy_is_reported(start: Ask, stand_in: StandIn) -> None:
    ended = await start(*("env", *stand_in.flags, "--url"), f"http://127.0.0.1:{stand_in.port}")

    assert (ended.code, ended.out) == (1, "")
    assert "403" in ended.err


async def test_keys_of_the_shell_are_unset(start: Ask, stand_in: StandIn) -> None:
    keys = {"OVH_APPLICATION_SECRET": "S3CRET", "OVH_AK": "S3CRET", "OVH_PROXY_PROFILE": "card"}
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        line = ("env", *stand_in.flags, "--url", proxy.url)
        ended = await start(*line, **keys)
        kept = await start(*line, "--keep-keys", **keys)

    assert {"unset OVH_APPLICATION_SECRET", "unset OVH_AK"} <= set(ended.out.splitlines())
    assert "OVH_PROXY_PROFILE" not in ended.out
    assert "unset" not in kept.out
    assert "S3CRET" not in ended.out + kept.out


async def test_made_up_keys_come_with_the_name_of_the_endpoint(
    start: Ask, stand_in: StandIn
) -> None:
    async with running(stand_in.home, "run", *stand_in.flags) as proxy:
        line = ("env", *stand_in.flags, "--url", proxy.url, "--made-up-keys")
        ended = await start(*line, "--format", "dotenv")
        unknown = await start(*line, "--credentials", "gone.yaml")

    assert "OVH_ENDPOINT=ovh-eu" in ended.out.splitlines()
    assert "OVH_ACCESS_TOKEN" not in ended.out
    assert (unknown.code, unknown.out) == (2, "")
