"""The contenders that are programs of others, and the naive one."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.environment import environment
from benchmarks.place import Place
from benchmarks.processes import child, free_port, wait_for_port
from benchmarks.running import Running
from benchmarks.upstream import scheme

HERE = Path(__file__).parent


@contextmanager
def direct(place: Place, flavour: str) -> Iterator[Running]:
    yield Running(place.upstream.origin(flavour))


def naive(place: Place, flavour: str) -> AbstractContextManager[Running]:
    port, origin = free_port(), place.upstream.origin(flavour)
    command = (sys.executable, HERE / "naive_proxy.py", str(port), origin, place.upstream.ca_file)
    env = environment(place, flavour)
    return _listening(command, port, place, place.directory("naive"), env)


def missing_aws_sigv4_proxy(place: Place) -> str | None:
    if place.aws_sigv4_proxy:
        return None
    return "say where it is with --aws-sigv4-proxy (github.com/awslabs/aws-sigv4-proxy)"


def aws_sigv4_proxy(place: Place, flavour: str) -> AbstractContextManager[Running]:
    port = free_port()
    command = (
        *(str(place.aws_sigv4_proxy), "--port", f"127.0.0.1:{port}", "--name", "execute-api"),
        *("--region", "eu-west-1", "--host", place.upstream.authority(flavour)),
        *("--upstream-url-scheme", scheme(flavour)),
    )
    env = environment(
        place,
        flavour,
        AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        SSL_CERT_FILE=str(place.upstream.ca_file),
        GOMAXPROCS="1",
    )
    return _listening(command, port, place, place.directory("aws-sigv4-proxy"), env)


def missing_mitmproxy(place: Place) -> str | None:
    if mitmdump(place):
        return None
    return "mitmproxy is missing: apt-get install mitmproxy, or --mitmdump where pip put it"


def mitmdump(place: Place) -> str | None:
    return place.mitmdump or shutil.which("mitmdump")


def mitmproxy(place: Place, flavour: str) -> AbstractContextManager[Running]:
    port, home = free_port(), place.directory("mitmproxy")
    command = (
        *(str(mitmdump(place)), "--quiet", "--mode", f"reverse:{place.upstream.origin(flavour)}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(port), "--set", f"confdir={home}"),
        *("--set", f"ssl_verify_upstream_trusted_ca={place.upstream.ca_file}"),
        *("--set", "stream_large_bodies=128m", "-s", HERE / "mitm_addon.py"),
    )
    return _listening(command, port, place, home, environment(place, flavour))


@contextmanager
def _listening(
    command: Sequence[str | Path], port: int, place: Place, home: Path, env: dict[str, str]
) -> Iterator[Running]:
    log = home / "log"
    began = time.perf_counter()
    with child(command, place.proxy_core, home, env, log) as process:
        wait_for_port(port, process, log)
        yield Running(f"http://127.0.0.1:{port}", process.pid, time.perf_counter() - began)
