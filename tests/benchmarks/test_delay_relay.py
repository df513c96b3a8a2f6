import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from benchmarks import delay_relay
from benchmarks.processes import child, free_port, wait_for_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="relays are pinned to cores")
ROUND_TRIP_S = 0.04
CALL_BYTES = 100_000


@pytest.mark.asyncio
async def test_a_first_call_takes_two_round_trips(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(await reader.readexactly(CALL_BYTES))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    upstream_port = server.sockets[0].getsockname()[1]
    async with server:
        first, second, ended = await asyncio.to_thread(_two_calls, upstream_port, tmp_path)

    assert first >= 2 * ROUND_TRIP_S
    assert ROUND_TRIP_S <= second < first
    assert ended == b""


def _two_calls(upstream_port: int, home: Path) -> tuple[float, float, bytes]:
    """The seconds of two calls on one connection, and the bytes received after its end."""
    port, log = free_port(), home / "log"
    command = (sys.executable, delay_relay.__file__, str(port), str(upstream_port))
    with child((*command, str(ROUND_TRIP_S)), min(os.sched_getaffinity(0)), home, log=log) as relay:
        wait_for_port(port, relay, log)
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            took = [_call(connection) for _ in range(2)]
            return took[0], took[1], connection.recv(1)


def _call(connection: socket.socket) -> float:
    began = time.perf_counter()
    connection.sendall(b"x" * CALL_BYTES)
    received = 0
    while received < CALL_BYTES:
        received += len(connection.recv(65_536))
    return time.perf_counter() - began
