"""Runs the selected parts, prints the tables, and writes them into the page with --write."""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from conformance import corpus, httpbin, httpbin_routes, page, slow
from conformance.contenders import CONTENDERS, Contender, Setup, found, version
from support.proxy_server import Message, RawUpstream, UpstreamSide

_LARGE = b"x" * 1_000_000


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


async def requests_part(contenders: Sequence[Contender], home: Path) -> str:
    """Sends the corpus, whole and byte by byte."""
    upstream, sent, results = RawUpstream(), corpus.items(), {}
    await upstream.start()
    for contender in contenders:
        with contender.start(Setup(upstream.port, corpus.TIMEOUT_S, home)) as port:
            for way in ("whole", "bytes"):
                say(f"requests, {way}: {contender.name}")
                result = await corpus.send_all(upstream, port, sent, is_slow=way == "bytes")
                results[f"{contender.name}, {way}"] = result
    await upstream.stop()
    tables = page.corpus_table(sent, results), page.difference_table(sent, results)
    return "## Malformed requests\n\n" + "\n\n".join(tables)


async def slow_part(contenders: Sequence[Contender], home: Path) -> str:
    """Runs slowhttptest."""
    if found(slow.PROGRAM) is None:
        raise CannotMeasureError(slow.INSTALL)
    upstream = RawUpstream()
    upstream.answering = _large_or_small
    await upstream.start()
    attacks: dict[str, dict[str, slow.SlowAttack]] = {mode: {} for mode in slow.MODES}
    for contender in contenders:
        with contender.start(Setup(upstream.port, slow.TIMEOUT_S, home)) as port:
            for mode, by_name in attacks.items():
                say(f"{mode}: {contender.name}")
                by_name[contender.name] = await slow.attack(port, mode, home)
    await upstream.stop()
    return "## Slow clients\n\n" + page.slow_table(attacks)


async def _large_or_small(request: Message, side: UpstreamSide) -> None:
    if request.target.endswith("/auth/currentCredential"):
        await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        return
    body = _LARGE if "/large" in request.target else b"ok"
    length = b"Content-Length: %d\r\n" % len(body)
    shown = b"" if request.method == "HEAD" else body
    await side.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + shown)


async def httpbin_part(
    contenders: Sequence[Contender], home: Path, environment: Path | None
) -> str:
    """Sends requests to httpbin, directly and through each contender."""
    differing: dict[str, dict[str, list[str]]] = {}
    if environment is None:
        say("installing httpbin")
        environment = httpbin.create_environment(home / "environment")
    with httpbin.httpbin(environment, home) as direct:
        direct_origin = f"http://127.0.0.1:{direct}"
        for contender in contenders:
            say(f"httpbin: {contender.name}")
            with contender.start(Setup(direct, 20, home, base="")) as port:
                origins = direct_origin, f"http://127.0.0.1:{port}"
                for request in httpbin_routes.REQUESTS:
                    row = differing.setdefault(request.name, {})
                    row[contender.name] = _differences(request, direct, port, origins)
    return "## httpbin\n\n" + page.httpbin_table(differing)


def _differences(
    request: httpbin_routes.Request, direct: int, port: int, origins: tuple[str, str]
) -> list[str]:
    """Differences through a contender, ignoring those between two direct responses."""
    one, other, through = (httpbin.send(where, request) for where in (direct, direct, port))
    noise = httpbin_routes.differences(one, other, (origins[0], origins[0]))
    found = httpbin_routes.differences(one, through, origins)
    return [line for line in found if line not in noise]


def able() -> tuple[list[Contender], list[str]]:
    """The contenders that can run here, and what the others need."""
    missing = [text for one in CONTENDERS if (text := one.missing())]
    return [one for one in CONTENDERS if not one.missing()], missing


def _versions() -> str:
    rows = [
        ["nginx", version("nginx", "-v") if found("nginx") else "not installed"],
        ["haproxy", version("haproxy", "-v") if found("haproxy") else "not installed"],
        ["slow clients", f"{slow.CONNECTIONS} connections for {slow.SECONDS} s"],
        [
            "timeouts",
            f"{corpus.TIMEOUT_S} s for malformed requests, {slow.TIMEOUT_S} s for slow ones",
        ],
    ]
    return page.markdown(["", ""], rows)


def measure(options: argparse.Namespace) -> tuple[str, list[str]]:
    """The tables, and what could not be measured."""
    contenders, missing = able()
    with tempfile.TemporaryDirectory(prefix="ovh-proxy-conformance-") as folder:
        home = Path(folder)
        makers: dict[str, Callable[[Path], Awaitable[str]]] = {
            "requests": lambda home: requests_part(contenders, home),
            "slow": lambda home: slow_part(contenders, home),
            "httpbin": lambda home: httpbin_part(contenders, home, options.httpbin),
        }
        parts = [_versions()]
        for name in options.parts:
            try:
                parts.append(asyncio.run(makers[name](_new(home, name))))  # type: ignore[arg-type]
            except CannotMeasureError as failure:
                missing.append(f"{name}: {failure}")
    return "\n\n".join(parts), missing


def _new(home: Path, name: str) -> Path:
    path = home / name
    path.mkdir()
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    names = ("requests", "slow", "httpbin")
    parser.add_argument(
        "--parts", nargs="+", choices=names, default=names, help="the parts to run (default: all)"
    )
    parser.add_argument(
        "--httpbin",
        type=Path,
        metavar="DIR",
        help="a virtual environment with httpbin and gunicorn (default: create a temporary one)",
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="update the tables in this page")
    options = parser.parse_args(arguments)
    if options.write is not None and set(options.parts) != set(names):
        parser.error("--write needs all parts, because it updates all tables")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The upstream is strict and drops invalid HTTP. asyncio would log each case.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    part, missing = measure(options)
    sys.stdout.write(f"{part}\n")
    if options.write is not None:
        before = options.write.read_text() if options.write.exists() else ""
        options.write.write_text(page.renewed(before, part))
    for line in missing:
        say(f"skipped: {line}")
    return 0
