"""Injected faults, which apply only to the intended calls."""

import time
from typing import Any

import pytest

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.call import parse_api_path
from ovh_proxy.sandbox.faults import Fault, Faults, faults_in, parse_fault
from ovh_proxy.sandbox.responses import WITH_CODE, WITHOUT_CODE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("delay=0.5", Fault("delay", "0.5")),
        ("refuse=INVALID_KEY", Fault("refuse", "INVALID_KEY")),
        ("status=503", Fault("status", "503")),
        ("cut=before-head", Fault("cut", "before-head")),
        (" garbage ", Fault("garbage")),
        ("clock=-3600", Fault("clock", "-3600")),
    ],
)
def test_a_fault_is_parsed(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    "text",
    ["", "x", "delay", "delay=-1", "refuse=X", "status=100", "cut=x", "garbage=1", "clock=inf"],
)
def test_an_unknown_fault_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Faults().once(text)


@pytest.mark.parametrize(
    ("path", "target", "hits"),
    [
        (None, b"/1.0/me", True),
        (None, b"/v2/iam/policy", True),
        (None, b"/1.0/auth/time", False),
        (None, b"/auth/oauth2/token", False),
        ("*", b"/v1/auth/time", False),
        ("/auth/time", b"/v1/auth/time", True),
        ("/auth/oauth2/token", b"/auth/oauth2/token", True),
        ("/me", b"/v1/me?x=1", True),
        ("/me", b"/1.0/me/bill", False),
        ("/me/*", b"/1.0/me/bill", True),
        ("/v2/iam/*", b"/v2/iam/policy", True),
    ],
)
def test_a_fault_applies_to_its_path(path: str | None, target: bytes, hits: bool) -> None:
    faults = Faults()
    faults.once("garbage", path=path)

    assert bool(faults.take(parse_api_path(target))) is hits


def test_one_time_faults_apply_to_one_call_each() -> None:
    faults = Faults()
    faults.once("status=500")
    faults.once("status=503", path="/me")
    me = parse_api_path(b"/1.0/me")

    taken = [[fault.value for fault in faults.take(me)] for _ in range(3)]

    assert taken == [["500"], ["503"], []]


def test_permanent_faults_end_when_cleared() -> None:
    faults = Faults()
    faults.always("delay=1")
    faults.once("garbage")
    me = parse_api_path(b"/1.0/me")

    first = [fault.kind for fault in faults.take(me)]
    second = [fault.kind for fault in faults.take(me)]
    faults.clear()

    assert (first, second, faults.take(me)) == (["delay", "garbage"], ["delay"], [])


def test_one_header_can_hold_several_faults() -> None:
    assert [fault.kind for fault in faults_in(["delay=0, status=500", "garbage"])] == [
        "delay",
        "status",
        "garbage",
    ]


@pytest.mark.parametrize("code", [*WITH_CODE, *WITHOUT_CODE])
@pytest.mark.asyncio
async def test_every_refusal_can_be_injected(client: Any, sandbox: Sandbox, code: str) -> None:
    sandbox.faults.once(f"refuse={code}")

    response = await client.call("GET", "/1.0/me")

    status, message = (WITH_CODE | WITHOUT_CODE)[code]
    assert (response.status, response.json["message"]) == (status, message)
    assert response.json.get("errorCode", code) == code
    assert ("details" in response.json) is (code == "USER_NOT_GRANTED")
    assert sandbox.requests[-1].verdict == f"refused: {code}"


@pytest.mark.asyncio
async def test_a_fault_header_applies_to_its_own_call(client: Any) -> None:
    failed = await client.call("GET", "/1.0/me", [("X-Sandbox-Fault", "status=503")])
    served = await client.call("GET", "/1.0/me")

    assert (failed.status, served.status) == (503, 200)


@pytest.mark.asyncio
async def test_an_unknown_fault_in_a_header_is_refused(client: Any) -> None:
    response = await client.call("GET", "/1.0/me", [("X-Sandbox-Fault", "fire")])

    assert response.status == 400
    assert response.json["message"].startswith("unknown fault 'fire'; use delay=SECONDS, ")


@pytest.mark.asyncio
async def test_a_clock_fault_changes_the_clock_after_its_call(
    client: Any, sandbox: Sandbox
) -> None:
    first = await client.call("GET", "/1.0/me", [("X-Sandbox-Fault", "clock=3600")])
    second = await client.call("GET", "/1.0/me")

    assert (first.status, second.json["errorCode"]) == (200, "QUERY_TIME_OUT")
    assert sandbox.clock_offset == 3600


@pytest.mark.asyncio
async def test_a_response_can_be_delayed(client: Any, sandbox: Sandbox) -> None:
    sandbox.faults.once("delay=0.05")
    started = time.monotonic()

    response = await client.call("GET", "/1.0/me")

    assert response.status == 200
    assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize("how", ["cut=before-head", "cut=head", "cut=body", "cut=chunk", "garbage"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/me"), ("GET", "/sandbox/bytes/200000"), ("POST", "/sandbox/answer")],
)
@pytest.mark.asyncio
async def test_a_response_breaks_where_requested(
    client: Any, sandbox: Sandbox, how: str, method: str, path: str
) -> None:
    sandbox.faults.once(how)
    body = b'{"body":"0123456789"}' if method == "POST" else b""

    response = await client.call(method, f"/1.0{path}", body=body)

    head, end_of_head, sent = response.raw.partition(b"\r\n\r\n")
    assert sandbox.requests[-1].verdict.startswith("signed by")
    match how:
        case "cut=before-head":
            assert response.raw == b""
        case "cut=head":
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert not end_of_head
        case "cut=body":
            assert len(sent) == int(response.headers["Content-Length"]) // 2
        case "cut=chunk":
            assert 0 < len(sent.partition(b"\r\n")[2]) < int(sent.partition(b"\r\n")[0], 16)
        case _:
            assert not head.startswith(b"HTTP/")


@pytest.mark.asyncio
async def test_an_endless_body_is_cut_at_once(client: Any, sandbox: Sandbox) -> None:
    sandbox.faults.once("cut=body")

    response = await client.call("GET", "/1.0/sandbox/bytes/0?chunked=1")

    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.raw.endswith(b"\r\n\r\n")


@pytest.mark.asyncio
async def test_an_empty_body_is_cut_before_its_first_chunk(client: Any, sandbox: Sandbox) -> None:
    sandbox.faults.once("cut=chunk")

    response = await client.call("GET", "/1.0/sandbox/bytes/0")

    assert response.raw.endswith(b"\r\n\r\n")


@pytest.mark.asyncio
async def test_a_cut_call_still_takes_effect(client: Any, sandbox: Sandbox) -> None:
    sandbox.faults.once("cut=before-head")
    record = "/1.0/domain/zone/example.org/record/1"

    await client.call("DELETE", record)
    response = await client.call("GET", record)

    assert response.status == 404
