"""Out of file descriptors: requests get an error response, and service resumes afterwards."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.hostile import HostileUpstream
from support.process import Command, command
from support.raw_server import within
from support.scripts import Held
from support.serving import call

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="prlimit exists on Linux only"),
]

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEALTH = call(target="/-/healthz")
CLOSE = "Connection: close"


@pytest.fixture(params=["uvloop", "asyncio"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """With uvloop, which `run` prefers, and as if it were not installed."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
        return {}
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "uvloop.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@contextmanager
def no_descriptors(running: Command) -> Iterator[None]:
    """Lets the process open no more files until the end of the block."""
    import resource

    taken = {int(name) for name in os.listdir(f"/proc/{running.pid}/fd")}
    lowest = next(number for number in range(len(taken) + 1) if number not in taken)
    before = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, before)


async def asking(running: Command) -> Ends:
    """Opens a connection and sends one request; the connection stays open."""
    reader, writer = await running.connect()
    writer.write(HEALTH)
    await within(reader.readuntil(b"}\n"))
    return reader, writer


async def busy(running: Command, upstream: HostileUpstream) -> list[Ends]:
    """Starts a call on each connection to the upstream, including one that was idle."""
    served: list[Ends] = []
    while not served or _connections_to(running.pid, upstream.port) > len(served):
        served.append(await asking(running))
        served[-1][1].write(call())
        await upstream.until(lambda: len(upstream.calls) == len(served))
    return served


def _connections_to(pid: int, port: int) -> int:
    # Counted at the proxy's side: the upstream may not have accepted them yet.
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


async def expect_overload(ends: Ends, text: bytes) -> None:
    """Sends a request on a connection, and expects a temporary rejection."""
    reader, writer = ends
    writer.write(text)
    answer = await within(reader.read())
    writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"X-Ovh-Proxy-Error: OVERLOADED\r\n" in answer
    assert b"\r\nRetry-After: " in answer


async def test_a_call_without_a_file_descriptor_is_rejected_temporarily(tmp_path, upstream, env):
    upstream.scripts = [held := Held()]
    async with command(tmp_path, upstream, env=env) as running:
        refused = await asking(running)
        served = await busy(running, upstream)

        with no_descriptors(running):
            await expect_overload(refused, call("POST", CLOSE))

        assert len(upstream.calls) == len(served)
        held.go.set()
        for reader, writer in served:
            await within(reader.readuntil(b"ok"))
            writer.close()
        again = await running.ask(call("POST"))
        assert again is not None
        assert again.status == 200


async def test_a_large_body_without_a_file_descriptor_is_rejected_temporarily(
    tmp_path, upstream, env
):
    limits = "limits: {memory_body_bytes: 10}\n"
    async with command(tmp_path, upstream, settings=limits, env=env) as running:
        ends = await asking(running)

        with no_descriptors(running):
            await expect_overload(ends, call("PUT", CLOSE, body=b"x" * 100))

        assert upstream.calls == []


async def test_connections_above_the_descriptor_limit_do_not_hang(tmp_path, upstream, env):
    async with command(tmp_path, upstream, env=env) as running:
        reader, writer = await running.connect()
        writer.write(call())
        await within(reader.readuntil(b"ok"))

        with no_descriptors(running):
            waiting = [asyncio.ensure_future(running.ask(HEALTH)) for _ in range(20)]
            await asyncio.wait(waiting, timeout=0.3)
            writer.write(call("GET", CLOSE))
            served = await within(reader.read())
            writer.close()

        answers = await within(asyncio.gather(*waiting))
        following = await running.ask(call())
        assert served.startswith(b"HTTP/1.1 200 ")
        # The other connections are served later, or closed at once: none hangs.
        assert {answer.status for answer in answers if answer is not None} <= {200}
        assert following is not None
        assert following.status == 200
        # asyncio itself logs it thousands of times at once.
        warnings = [one for one in running.records if one["level"] == "warning"]
        assert len(warnings) < 5
        assert all("descriptor" in one["message"] for one in warnings)


async def test_with_few_descriptors_excess_connections_are_rejected(tmp_path, upstream):
    few = ("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh")
    async with command(tmp_path, upstream, under=few) as running:
        ends = [await running.connect() for _ in range(24)]

        answer = await running.ask(HEALTH)

        assert answer is not None
        assert (answer.status, answer.code) == (503, "OVERLOADED")
        # Open connections are served: there is still a descriptor for the upstream.
        reader, writer = ends[0]
        writer.write(call())
        assert (await within(reader.readuntil(b"ok"))).startswith(b"HTTP/1.1 200 ")
        for _, writer in ends:
            writer.close()
        warning = next(one for one in running.records if one["level"] == "warning")
        assert "limits.connections" in warning["message"]


async def test_the_descriptor_limit_is_raised_as_far_as_allowed(tmp_path, upstream):
    import resource

    soft = ("sh", "-c", 'ulimit -S -n 64 && exec "$@"', "sh")
    async with command(tmp_path, upstream, under=soft) as running:
        limit, _ = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)

    assert limit > 1024
