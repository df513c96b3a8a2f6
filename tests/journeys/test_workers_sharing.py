"""What workers share: clock, tokens, credential states, rate limits, recordings."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest
from support.command import write_store
from support.workers import proxy_with_workers, until

from ovh_proxy.recording.calls import parse_recording
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]


@pytest.fixture
def store(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A store with a profile of each kind."""
    return write_store(tmp_path, sandbox)


def asked(sandbox: Sandbox, target: bytes) -> int:
    return [request.target for request in sandbox.requests].count(target)


async def test_the_clock_is_fetched_once_for_all_workers_and_replacements(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store, workers=3) as proxy:
        for caller in await proxy.call_each():
            await until(lambda caller=caller: is_ready(caller))
            assert (await caller.ask("/me")).status == 200
        successor = await proxy.call_to(await proxy.kill(proxy.pids[0]))
        ready = await is_ready(successor)
        response = await successor.ask("/me")

    assert (ready, response.status) == (True, 200)
    assert asked(sandbox, b"/1.0/auth/time") == 1


async def is_ready(caller) -> bool:
    return bool((await caller.ask("/-/readyz")).status == 200)


async def test_a_clock_corrected_by_one_worker_is_correct_in_all(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        one, other = await proxy.call_each()
        await one.ask("/me")
        sandbox.clock_offset = 3600

        responses = [await one.ask("/me"), await other.ask("/me")]

    assert [response.status for response in responses] == [200, 200]
    assert asked(sandbox, b"/1.0/auth/time") == 2


async def test_a_token_is_fetched_once_for_concurrent_requests_of_all_workers(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store, workers=3) as proxy:
        callers = await proxy.call_each()
        asking = [caller.ask("/@robot/me") for caller in (*callers, *await proxy.call_each())]
        responses = await asyncio.gather(*asking)
        successor = await proxy.call_to(await proxy.kill(proxy.pids[0]))
        responses.append(await successor.ask("/@robot/me"))
        log = (tmp_path / "log").read_text()

    shown = {
        request.header("Authorization") for request in sandbox.requests if b"/me" in request.target
    }
    tokens = {header for header in shown if header and header.startswith("Bearer ")}
    assert [response.status for response in responses] == [200] * 7
    assert asked(sandbox, b"/auth/oauth2/token") == 1
    assert len(tokens) == 1
    assert tokens.pop().removeprefix("Bearer ") not in log


async def test_a_rejected_token_is_renewed_once_for_all_workers(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        one, other = await proxy.call_each()
        await one.ask("/@robot/me")
        sandbox.grants.forget_tokens()

        responses = [await one.ask("/@robot/me"), await other.ask("/@robot/me")]

    assert [response.status for response in responses] == [200, 200]
    assert asked(sandbox, b"/auth/oauth2/token") == 2


async def test_the_state_of_a_key_is_fetched_once_and_shown_by_every_worker(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        for caller in await proxy.call_each():
            await until(lambda caller=caller: has_state(caller, "valid"))

    # For `personal` and `runabove`, which share a key.
    assert asked(sandbox, b"/1.0/auth/currentCredential") == 2


async def has_state(caller, state: str) -> bool:
    profiles = (await caller.ask("/-/profiles")).json["profiles"]
    return bool(profiles[0]["credential"]["state"] == state)


async def test_a_key_rejected_in_one_worker_is_shown_as_rejected_by_all(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    async with proxy_with_workers(tmp_path, store) as proxy:
        one, other = await proxy.call_each()
        await until(lambda: has_state(other, "valid"))
        sandbox.grants.revoke(grants.CONSUMER_KEY)

        response = await one.ask("/me")

        assert response.status == 403
        await until(lambda: has_state(other, "refused"))


async def test_the_rate_limit_applies_to_all_workers_together(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    digest = hashlib.sha256(b"the-token-of-ci-0123456789").hexdigest()
    config = tmp_path / "c.yaml"
    config.write_text(
        f"clients: [{{name: ci, token: {{sha256: {digest}}}, requests_per_minute: 2}}]\n"
    )
    token = "Authorization: Bearer the-token-of-ci-0123456789"

    async with proxy_with_workers(tmp_path, store, "--config", config) as proxy:
        one, other = await proxy.call_each()
        served = [await one.ask("/me", token), await other.ask("/me", token)]
        refused = [await one.ask("/me", token), await other.ask("/me", token)]

    assert [response.status for response in served] == [200, 200]
    assert [response.json["errorCode"] for response in refused] == ["OVERLOADED"] * 2
    assert asked(sandbox, b"/1.0/me") == 2


async def test_calls_of_every_worker_are_recorded(
    tmp_path: Path, store: Path, sandbox: Sandbox
) -> None:
    file = tmp_path / "rules.jsonl"

    async with proxy_with_workers(tmp_path, store, "--record-rules", file) as proxy:
        for caller, target in zip(await proxy.call_each(), ("/me", "/domain/zone"), strict=True):
            assert (await caller.ask(target)).status == 200

    noted = {call.path for call in parse_recording(file.read_text(), str(file))}
    assert {"/me", "/domain/zone"} <= noted


async def test_request_ids_differ_between_workers(tmp_path: Path, store: Path) -> None:
    async with proxy_with_workers(tmp_path, store, workers=3) as proxy:
        for caller in await proxy.call_each():
            for _ in range(3):
                await caller.ask("/me")

    ids = [record["request_id"] for record in proxy.logged("request")]
    assert len(set(ids)) == len(ids) == 9
