"""The third-party contenders, and the naive one."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.environment import environment
from benchmarks.processes import child, free_port, wait_for_port
from benchmarks.running import Running
from benchmarks.upstream import scheme

HERE = Path(__file__).parent


@contextmanager
def direct(bench: Bench, flavour: str) -> Iterator[Running]:
    yield Running(bench.upstream.origin(flavour))


def naive(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    port, origin = free_port(), bench.upstream.origin(flavour)
    command = (sys.executable, HERE / "naive_proxy.py", str(port), origin, bench.upstream.ca_file)
    env = environment(bench, flavour)
    return _listening(command, port, bench, bench.directory("naive"), env)


def missing_aws_sigv4_proxy(bench: Bench) -> str | None:
    if bench.aws_sigv4_proxy:
        return None
    return "give its path with --aws-sigv4-proxy (github.com/awslabs/aws-sigv4-proxy)"


def aws_sigv4_proxy(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    port = free_port()
    command = (
        *(str(bench.aws_sigv4_proxy), "--port", f"127.0.0.1:{port}", "--name", "execute-api"),
        *("--region", "eu-west-1", "--host", bench.upstream.authority(flavour)),
        *("--upstream-url-scheme", scheme(flavour)),
    )
    env = environment(
        bench,
        flavour,
        AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        SSL_CERT_FILE=str(bench.upstream.ca_file),
        GOMAXPROCS="1",
    )
    return _listening(command, port, bench, bench.directory("aws-sigv4-proxy"), env)


def missing_mitmproxy(bench: Bench) -> str | None:
    if mitmdump(bench):
        return None
    return "mitmproxy is missing: apt-get install mitmproxy, or give its path with --mitmdump"


def mitmdump(bench: Bench) -> str | None:
    return bench.mitmdump or shutil.which("mitmdump")


def mitmproxy(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    port, home = free_port(), bench.directory("mitmproxy")
    command = (
        *(str(mitmdump(bench)), "--quiet", "--mode", f"reverse:{bench.upstream.origin(flavour)}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(port), "--set", f"confdir={home}"),
        *("--set", f"ssl_verify_upstream_trusted_ca={bench.upstream.ca_file}"),
        *("--set", "stream_large_bodies=128m", "-s", HERE / "mitm_addon.py"),
    )
    return _listening(command, port, bench, home, environment(bench, flavour))


@contextmanager
def _listening(
    command: Sequence[str | Path], port: int, bench: Bench, home: Path, env: dict[str, str]
) -> Iterator[Running]:
    log = home / "log"
    began = time.perf_counter()
    with child(command, bench.proxy_core, home, env, log) as process:
        wait_for_port(port, process, log)
        yield Running(f"http://127.0.0.1:{port}", process.pid, time.perf_counter() - began)
