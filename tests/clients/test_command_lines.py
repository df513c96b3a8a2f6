import json

import pytest
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn
from support.tools import said_by, tool

from ovh_proxy.sandbox.account_routes import ME

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

HOST = "https://eu.api.ovh.com/1.0"
RECORDS = f"{HOST}/domain/zone/example.org/record"
BODY = '{"fieldType":"A","subDomain":"new","target":"192.0.2.77"}'
JSON = "Content-Type: application/json"

GET = {
    "curl": ("curl", "-sS", f"{HOST}/me"),
    "wget": ("wget", "-q", "-O-", f"{HOST}/me"),
    "httpie": ("http", "--ignore-stdin", "--body", f"{HOST}/me"),
}
POST = {
    "curl": ("curl", "-sS", "-d", BODY, RECORDS),
    "wget": ("wget", "-q", "-O-", f"--header={JSON}", f"--post-data={BODY}", RECORDS),
    "httpie": ("http", "--ignore-stdin", "--body", f"--raw={BODY}", "POST", RECORDS),
}
DELETE = {
    "curl": ("curl", "-sS", "--fail-with-body", "-X", "DELETE", f"{RECORDS}/1"),
    "wget": ("wget", "-q", "--content-on-error", "-O-", "--method=DELETE", f"{RECORDS}/1"),
    "httpie": ("http", "--ignore-stdin", "--check-status", "--body", "DELETE", f"{RECORDS}/1"),
}
BY_URL = (
    'curl -sS -H "Authorization: Bearer $OVH_ACCESS_TOKEN" "$OVH_PROXY_URL/me"',
    'wget -q -O- --header="Authorization: Bearer $OVH_ACCESS_TOKEN" "$OVH_PROXY_URL/me"',
    'http --ignore-stdin --body -A bearer -a "$OVH_ACCESS_TOKEN" "$OVH_PROXY_URL/me"',
)
# As in Guzzle, which php-ovh uses.
PHP = f"""
$call = curl_init('{HOST}/me');
curl_setopt($call, CURLOPT_RETURNTRANSFER, true);
echo curl_exec($call) ?: curl_error($call);
"""
CLIENTS = sorted(GET)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_command_line_tool_reads(
    run_client: RunClient, stand_in: StandIn, client: str
) -> None:
    program, *rest = GET[client]

    result = await run_client(tool(program), *rest)

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == ME
    assert stand_in.verdicts == [SIGNED]


async def test_php_curl_reads(run_client: RunClient, stand_in: StandIn) -> None:
    php = tool("php")
    if "curl" not in said_by(php, "-m").stdout.split():
        pytest.skip("php-curl is not installed")

    result = await run_client(php, "-r", PHP)

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == ME
    assert stand_in.verdicts == [SIGNED]


async def test_an_older_host_name_is_intercepted(run_client: RunClient, stand_in: StandIn) -> None:
    result = await run_client(tool("curl"), "-sS", "https://api.ovh.com/1.0/me")

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == ME
    assert stand_in.verdicts == [SIGNED]
    assert set(stand_in.connects) == {"eu.api.ovh.com:443"}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_command_line_tool_creates(
    run_client: RunClient, stand_in: StandIn, client: str
) -> None:
    program, *rest = POST[client]

    result = await run_client(tool(program), *rest)

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out)["subDomain"] == "new"
    (sent,) = stand_in.signed
    assert (sent.verdict, sent.body.decode()) == (SIGNED, BODY)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_command_line_tool_can_only_make_allowed_calls(
    run_client: RunClient, stand_in: StandIn, client: str
) -> None:
    program, *rest = DELETE[client]

    result = await run_client(tool(program), *rest, flags=("--rule", "GET /me"))

    assert result.code != 0
    assert result.keys == []
    assert json.loads(result.out)["errorCode"] == "ACCESS_DENIED"
    assert stand_in.signed == []


@pytest.mark.parametrize("line", BY_URL)
async def test_a_command_line_tool_can_use_the_url(
    run_client: RunClient, stand_in: StandIn, line: str
) -> None:
    tool(line.split(maxsplit=1)[0])

    result = await run_client("sh", "-c", line)

    assert (result.code, result.keys) == (0, []), result.err
    assert json.loads(result.out) == ME
    assert stand_in.verdicts == [SIGNED]
