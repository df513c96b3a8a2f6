"""Pebble, Let's Encrypt's ACME server for tests, and a name server for one zone."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.certificates import make_pair
from support.tools import tool

START_S = 15.0
SOA = 6


@dataclass(frozen=True, slots=True)
class Acme:
    """An ACME server that accepts every challenge.

    Attributes:
        url: the ACME directory.
        ca_file: the certificate of the server.
        resolver: the address of the name server.
    """

    url: str
    ca_file: Path
    resolver: str


@asynccontextmanager
async def pebble(home: Path, zone: str) -> AsyncIterator[Acme]:
    """Runs both until the end of the block.

    Args:
        zone: the only zone of the name server.
    """
    program = tool("pebble")
    pair = make_pair(home / "pebble.pem", names=["localhost"])
    port, other = _free_ports()
    settings = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{other}",
        "certificate": str(pair.path),
        "privateKey": str(pair.path),
        "httpPort": 1,
        "tlsPort": 1,
    }
    (home / "pebble.json").write_text(json.dumps({"pebble": settings}))
    loop = asyncio.get_running_loop()
    names, _ = await loop.create_datagram_endpoint(
        lambda: _OneZone(zone), local_addr=("127.0.0.1", 0)
    )
    resolver = "{}:{}".format(*names.get_extra_info("sockname"))
    process = await asyncio.create_subprocess_exec(
        *(program, "-config", str(home / "pebble.json"), "-dnsserver", resolver),
        env={
            "PEBBLE_VA_ALWAYS_VALID": "1",
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "0",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(port)
        yield Acme(f"https://localhost:{port}/dir", pair.path, resolver)
    finally:
        process.kill()
        await process.wait()
        names.close()


async def _listening(port: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def _free_ports() -> tuple[int, int]:
    # Pebble does not support port 0.
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


class _OneZone(asyncio.DatagramProtocol):
    """Responds to queries for the SOA record of the zone, and to others with no records."""

    def __init__(self, zone: str) -> None:
        self._name = (
            b"".join(bytes([len(part)]) + part.encode() for part in zone.split(".")) + b"\0"
        )

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        question = data[12:end]
        is_soa = question[-4:-2] == struct.pack("!H", SOA) and question[:-4] == self._name
        head = struct.pack("!2s5H", data[:2], 0x8580, 1, is_soa, 0, 0)
        record = b""
        if is_soa:
            soa = self._name + self._name + struct.pack("!5I", 1, 60, 60, 60, 60)
            record = self._name + struct.pack("!2HIH", SOA, 1, 60, len(soa)) + soa
        self._transport.sendto(head + question + record, addr)
