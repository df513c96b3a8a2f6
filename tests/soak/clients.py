"""Clients that keep connections, use them once, disconnect, send slowly or read slowly."""

import asyncio
import random
import socket
import struct
from contextlib import suppress

from soak.calls import Call
from soak.records import ClientRecords
from support.proxy_server import Message, read_message

# Longer than every timeout of the proxy in a soak test, so only a hang reaches it.
BOUND_S = 20.0
# Twice the limit of requests in flight.
_OUTSTANDING = 120

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Clients:
    """Makes calls and records their outcomes."""

    def __init__(self, port: int, records: ClientRecords, rng: random.Random) -> None:
        self._port = port
        self._records = records
        self._rng = rng
        self._kept: list[Ends] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, call: Call) -> None:
        """Starts a call in a new task, unless too many are running."""
        if len(self._tasks) < _OUTSTANDING:
            self._records.made[call.number] = call
            task = asyncio.create_task(self._make(call))
            self._tasks.add(task)
            task.add_done_callback(self._record_end)

    async def end(self) -> None:
        """Waits for all running calls, and closes all connections."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._kept:
            self._kept.pop()[1].close()

    def _record_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = task.exception()
        if failure is not None:
            self._records.wrong.append(repr(failure))

    async def _make(self, call: Call) -> None:
        self._records.kinds[call.behavior] += 1
        try:
            async with asyncio.timeout(BOUND_S):
                await self._converse(call)
        except TimeoutError:
            self._records.record(call, "hang")
            self._records.wrong.append(f"call {call.number} ({call.behavior}) hangs")
        except (asyncio.IncompleteReadError, ConnectionError):
            self._records.record(call, "cut")

    async def _converse(self, call: Call) -> None:
        ends = self._kept.pop() if self._kept and call.behavior == "kept" else None
        reader, writer = ends or await asyncio.open_connection("127.0.0.1", self._port)
        answer = None
        try:
            answer = await self._ask(call, reader, writer)
        finally:
            if answer is not None and call.behavior == "kept" and _stays(answer):
                self._kept.append((reader, writer))
            elif call.behavior == "leaving" and call.is_reset:
                _reset(writer)
            else:
                writer.close()
        if answer is None:
            self._records.record(call, "left")
        else:
            self._records.record_response(call, answer)

    async def _ask(
        self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Message | None:
        match call.behavior:
            case "leaving":
                await self._leave(call, reader, writer)
                return None
            case "slow-sending":
                await _send_slowly(call, writer)
            case _:
                writer.write(call.text)
        if call.behavior == "slow-reading":
            # Read nothing for a while, so that the response has to wait in the proxy.
            await asyncio.sleep(self._rng.random())
        return await read_message(reader)

    async def _leave(
        self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        whole, head = len(call.text), call.head_bytes
        sent = {"connected": 0, "in its head": head // 2, "in its body": (head + whole) // 2}
        self._records.kinds[f"left {call.stage}"] += 1
        writer.write(call.text[: sent.get(call.stage, whole)])
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await writer.drain()
            if call.stage == "in its response":
                await reader.readexactly(20)
            else:
                await asyncio.sleep(self._rng.random() / 10)


async def _send_slowly(call: Call, writer: asyncio.StreamWriter) -> None:
    size = max(1, len(call.text) // 8)
    for start in range(0, len(call.text), size):
        writer.write(call.text[start : start + size])
        await writer.drain()
        await asyncio.sleep(0.1)


def _stays(answer: Message) -> bool:
    return (answer.value("Connection") or "").lower() != "close"


def _reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
