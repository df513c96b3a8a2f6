"""The upstream of all contenders: nginx, plain and TLS, with responses of 300 bytes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import nginx_texts
from benchmarks.errors import CannotMeasureError
from benchmarks.nginx import nginx
from benchmarks.processes import child, free_port, wait_for_port

ANSWER_BYTES = 300
TARGET = "/1.0/me"
ROUND_TRIP_S = 0.04
# Files of zeros. 32 clients read the second at the same time, and some contenders hold all of it.
FILES = {"large": 1 << 30, "slowly_read": 1 << 26}


@dataclass(frozen=True, slots=True)
class Upstream:
    """The addresses of the upstream.

    Attributes:
        ports: by flavour: `plain`, `tls` (the newest version), `tls12` (nothing newer than 1.2),
            `far` and `far12`: those two with a round trip of 40 ms.
    """

    ports: dict[str, int]
    ca_file: Path

    def authority(self, flavour: str) -> str:
        return f"127.0.0.1:{self.ports[flavour]}"

    def origin(self, flavour: str) -> str:
        return f"{scheme(flavour)}://{self.authority(flavour)}"


def scheme(flavour: str) -> str:
    return "http" if flavour == "plain" else "https"


def answer() -> str:
    """The response to every call: JSON of 300 bytes."""
    me = {"nichandle": "xx1234-ovh", "firstname": "Ada", "country": "FR", "language": "fr_FR"}
    padding = ANSWER_BYTES - len(json.dumps({**me, "padding": ""}))
    return json.dumps({**me, "padding": "x" * padding})


@contextmanager
def upstream(core: int, home: Path) -> Iterator[Upstream]:
    """Serves until the end of the block."""
    home.mkdir()
    make_certificate(home)
    for name, size in FILES.items():
        make_file(home / name, size)
    ports = {flavour: free_port() for flavour in ("plain", "tls", "tls12")}
    values = {f"{flavour}_port": port for flavour, port in ports.items()}
    routes = nginx_texts.ROUTES.substitute(values, home=home, answer=answer())
    (home / "routes.conf").write_text(routes)
    text = nginx_texts.UPSTREAM.substitute(values, home=home, load="")
    with nginx(text, ports["tls12"], core, home), _far(ports, core, home) as far:
        yield Upstream({**ports, **far}, home / "cert.pem")


@contextmanager
def _far(ports: dict[str, int], core: int, home: Path) -> Iterator[dict[str, int]]:
    """Relays to the same servers with a delay."""
    far = {"far": free_port(), "far12": free_port()}
    script = Path(__file__).parent / "delay_relay.py"
    with ExitStack() as relays:
        for flavour, near in (("far", "tls"), ("far12", "tls12")):
            port, log = far[flavour], home / f"{flavour}.log"
            command = (sys.executable, script, str(port), str(ports[near]), str(ROUND_TRIP_S))
            relay = relays.enter_context(child(command, core, home, log=log))
            wait_for_port(port, relay, log)
        yield far


def make_file(path: Path, size: int) -> None:
    """Creates a sparse file of zeros, and reads it once to fill the page cache."""
    with path.open("wb") as file:
        os.truncate(file.fileno(), size)
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 20)
        while file.readinto(buffer):
            pass


def make_certificate(home: Path) -> None:
    """Creates a self-signed certificate for 127.0.0.1."""
    try:
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
                *("-keyout", str(home / "key.pem"), "-out", str(home / "cert.pem")),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
    except FileNotFoundError as failure:
        raise CannotMeasureError("openssl is missing: apt-get install openssl") from failure
