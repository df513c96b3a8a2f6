"""No secret, token, cookie, body or query value is ever written anywhere."""

import asyncio
import base64
import hashlib
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote_plus

import pytest
import pytest_asyncio
from support.command import Running, environment, running
from support.raw import RawAnswer, request, say

from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    Client,
    HttpProxy,
    Listener,
    Profile,
    Settings,
    Store,
    TcpAddress,
    Upstream,
)
from ovh_proxy.core.target import parse_target
from ovh_proxy.ovhcloud.messages import Body, ResponseHead, UpstreamRequest
from ovh_proxy.ovhcloud.oauth2 import Token, bearer_header
from ovh_proxy.ovhcloud.signature import SignedText, signature_headers
from ovh_proxy.policy.client_auth import EntryPoint, admit
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.routing import find_route
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import Grants

# A distinct word for each secret, so that a leak can be identified.
KEYS = {
    "application_key": "Word01AppKey9x",
    "application_secret": "Word02AppSecret9x",
    "consumer_key": "Word03Consumer9x",
    "client_secret": "Word04+ClientSecret9x",
    "access_token": "Word05AccessToken9x",
}
CLIENT_TOKEN = "Word06ClientToken9x"
SAID = {
    "wrong token": "Word07WrongToken9x",
    "cookie": "Word08Cookie9x",
    "body": "Word09Body9x",
    "query value": "Word10QueryValue9x",
    "query flag": "Word11QueryFlag9x",
    "malformed": "Word12Malformed9x",
    "header": "Word13Header9x",
    "proof": "Word14Proof9x",
}
WORDS = {**KEYS, "client token": CLIENT_TOKEN, **SAID}

TOKEN = f"Authorization: Bearer {CLIENT_TOKEN}"
QUERY = "key=Word10QueryValue9x&Word11QueryFlag9x&a=b=Word10QueryValue9x"
BROUGHT = (
    "Cookie: session=Word08Cookie9x",
    "X-Custom: Word13Header9x",
    "X-Ovh-Signature: $1$Word14Proof9x",
    "X-Ovh-Consumer: Word14Proof9x",
)
BODY = b'{"target": "Word09Body9x"}'
CHUNKED = b"%x\r\n%s\r\n" % (len(BODY), BODY)


def malformed(*lines: str, version: str = "HTTP/1.1") -> bytes:
    head = [f"GET /me?{QUERY} {version}", "Host: localhost", "Connection: close", *lines, "", ""]
    return "\r\n".join(head).encode()


def chunked(body: bytes) -> bytes:
    head = request("/me", TOKEN, "Transfer-Encoding: chunked", method="POST")
    return head + body


def fault(what: str) -> bytes:
    return request(f"/me?{QUERY}", TOKEN, f"X-Sandbox-Fault: {what}", *BROUGHT)


WRONG = "Word07WrongToken9x"
AS_BASIC = base64.b64encode(f"user:{WRONG}".encode()).decode()
JOURNEYS: dict[str, bytes] = {
    "signed": request(f"/me?{QUERY}", TOKEN, *BROUGHT),
    "signed, by another place": request("/me", f"X-Ovh-Application: {CLIENT_TOKEN}", *BROUGHT),
    "service account": request(f"/@robot/me?{QUERY}", TOKEN, *BROUGHT),
    "access token": request(f"/@card/me?{QUERY}", TOKEN, *BROUGHT),
    "not found": request(f"/no/such?{QUERY}", TOKEN, *BROUGHT, method="POST", body=BODY),
    "body in memory": request("/me/bill", TOKEN, *BROUGHT, method="PUT", body=BODY),
    "body on disk": request("/me/bill", TOKEN, method="PUT", body=BODY * 1000),
    "body too large": request("/me/bill", TOKEN, method="PUT", body=BODY * 9000),
    "chunked": chunked(CHUNKED + b"0\r\n\r\n"),
    "chunk cut": chunked(CHUNKED + b"Word12Malformed9x\r\n"),
    "trailer": chunked(CHUNKED + b"0\r\nAuthorization: Word12Malformed9x\r\n\r\n"),
    "body too slow": request("/me", TOKEN, method="PUT", body=BODY)[:-5],
    "unknown profile": request(f"/@nosuch/me?{QUERY}", TOKEN, *BROUGHT),
    "no rule": request(f"/@narrow/me/bill?{QUERY}", TOKEN, *BROUGHT),
    "no credential": request(f"/@fresh/me?{QUERY}", TOKEN, *BROUGHT),
    "nobody upstream": request(f"/@dead/me?{QUERY}", TOKEN, *BROUGHT),
    "logout": request("/auth/logout", TOKEN, method="POST"),
    "no token": request(f"/me?{QUERY}", *BROUGHT),
    "wrong token": request(f"/me?{QUERY}", f"Authorization: Bearer {WRONG}", *BROUGHT),
    "wrong basic": request(f"/me?{QUERY}", f"Authorization: Basic {AS_BASIC}"),
    "wrong key": request(f"/me?{QUERY}", f"X-Ovh-Application: {WRONG}"),
    "wrong host": request(f"/me?{QUERY}", "Host: site.example", TOKEN, *BROUGHT),
    "wrong origin": request(f"/me?{QUERY}", "Origin: https://site.example", TOKEN, *BROUGHT),
    "two readings": request(f"/me/../x?{QUERY}", TOKEN, *BROUGHT),
    "fragment": request(f"/me#{QUERY}", TOKEN, *BROUGHT),
    "absolute form": request(f"http://user:{WRONG}@localhost/me?{QUERY}", TOKEN, *BROUGHT),
    "expectation": request("/me", TOKEN, "Expect: Word12Malformed9x"),
    "request id": request(
        "/me", TOKEN, "X-Ovh-Proxy-Request-Id: Word12 Malformed9x;Word12Malformed9x"
    ),
    "unknown auth": request("/me", TOKEN, "X-Ovh-Proxy-Auth: Word12Malformed9x"),
    "named profile": request("/me", TOKEN, "X-Ovh-Proxy-Profile: nosuch"),
    "version": malformed(TOKEN, version="HTTP/3.Word12Malformed9x"),
    "field": malformed(TOKEN, "Authorization : Word12Malformed9x"),
    "field with NUL": malformed(TOKEN, "X: Word12Malformed9x\0"),
    "bare line end": malformed(TOKEN, "X: Word12Malformed9x\nY: Word12Malformed9x"),
    "length": malformed(TOKEN, "Content-Length: Word12Malformed9x"),
    "coding": malformed(TOKEN, "Transfer-Encoding: Word12Malformed9x"),
    "twice": malformed(TOKEN, "Authorization: Word12Malformed9x"),
    "no request": b"Word12Malformed9x\r\n\r\n",
    "head too large": malformed(TOKEN, "X: " + "Word12Malformed9x" * 9000),
    "head too slow": malformed(TOKEN, "X: Word12Malformed9x")[:-4],
    "TRACE": request(f"/me?{QUERY}", TOKEN, *BROUGHT, method="TRACE"),
    "upstream refuses": fault("refuse=INVALID_CREDENTIAL"),
    "upstream cuts the head": fault("cut=head"),
    "upstream cuts the body": fault("cut=body"),
    "upstream is garbage": fault("garbage"),
    "upstream fails": fault("status=500"),
}
OWN = ["healthz", "readyz", "version", "profiles", "metrics", "", "nosuch"]


def secrets_in(text: str | bytes, issued: Iterable[str] = ()) -> set[str]:
    """Returns the secret words in a text, plain or encoded, including issued tokens."""
    text = text if isinstance(text, str) else text.decode("latin-1")
    tokens = {f"issued token {number}": token for number, token in enumerate(issued)}
    basic = base64.b64encode(f"EU.robot:{quote_plus(KEYS['client_secret'])}".encode()).decode()
    return {
        name
        for name, word in {**WORDS, **tokens, "as Basic": basic, "wrong Basic": AS_BASIC}.items()
        if any(form in text for form in (word, quote_plus(word), encoded(word)))
    }


def encoded(word: str) -> str:
    return base64.b64encode(word.encode()).decode()


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An API that knows these secrets."""
    async with Sandbox(grants=Grants(client_id="EU.robot", **KEYS)) as running:
        yield running


@pytest.fixture
def files(tmp_path: Path, sandbox: Sandbox) -> tuple[str, ...]:
    """Flags for a store and settings that contain all of the words."""
    at = {"endpoint": sandbox.base_url}
    keys = {
        "application_key": KEYS["application_key"],
        "application_secret": {"env": "WORD"},
        "consumer_key": {"file": "word"},
    }
    account = {"client_id": "EU.robot", "client_secret": KEYS["client_secret"]}
    profiles = {
        "personal": at | keys,
        "narrow": at | keys | {"access_rules": ["GET /me"]},
        "fresh": at | {name: keys[name] for name in ("application_key", "application_secret")},
        "robot": at | account | {"token_url": sandbox.token_url},
        "card": at | {"access_token": {"command": ["printf", "%s", KEYS["access_token"]]}},
        "dead": {"endpoint": "http://127.0.0.1:9/1.0", "access_token": KEYS["access_token"]},
    }
    settings = {
        "listen": ["127.0.0.1:0"],
        "admin_listen": "127.0.0.1:0",
        "clients": [{"name": "ci", "token": {"file": "token"}}],
        "limits": {"body_bytes": 100_000, "memory_body_bytes": 10_000},
        "timeouts": {"header_s": 0.2, "body_s": 0.2},
    }
    for name, text in (
        ("word", KEYS["consumer_key"]),
        ("token", CLIENT_TOKEN),
        ("credentials.yaml", json.dumps({"default": "personal", "profiles": profiles})),
        ("ovh-proxy.yaml", json.dumps(settings)),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return (
        *("--credentials", str(tmp_path / "credentials.yaml")),
        *("--config", str(tmp_path / "ovh-proxy.yaml"), "--log-level", "debug"),
    )


ENV = {"WORD": KEYS["application_secret"]}


async def rest_of(running_proxy: Running) -> str:
    """Returns the standard output after the first line, once the process has ended."""
    assert running_proxy.process.stdout is not None
    return running_proxy.line + (await running_proxy.process.stdout.read()).decode()


def process_list(pid: int) -> bytes:
    """Returns what every user of the machine can see of a process."""
    proc = Path(f"/proc/{pid}")
    return b"".join((proc / name).read_bytes() for name in ("cmdline", "comm", "status"))


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["text", "json"])
async def test_serving_never_shows_a_secret(
    tmp_path: Path, sandbox: Sandbox, files: tuple[str, ...], form: str
) -> None:
    flags = (*files, "--log-format", form)
    async with running(tmp_path, "run", *flags, env=ENV) as proxy:
        assert proxy.process.stdout is not None
        admin = (await proxy.process.stdout.readline()).decode()
        responses = {name: await say(proxy.url, text) for name, text in JOURNEYS.items()}
        issued = [*sandbox.grants.token_owners]
        sandbox.grants.revoke(KEYS["consumer_key"])
        sandbox.grants.forget_tokens()
        for name in ("signed", "service account"):
            responses[f"{name}, revoked"] = await say(proxy.url, JOURNEYS[name])
        issued += sandbox.grants.token_owners
        for route in OWN:
            target = f"/-/{route}?{QUERY}"
            responses[f"own {route}"] = await say(proxy.url, request(target, TOKEN, *BROUGHT))
            responses[f"admin {route}"] = await say(admin.split()[-1], request(target, *BROUGHT))
        seen = process_list(proxy.pid) if Path("/proc").exists() else b""
    log = (tmp_path / "log").read_text()
    outputs = {"log": log.encode(), "stdout": (await rest_of(proxy)).encode(), "process": seen}
    outputs |= {name: response.text for name, response in responses.items()}

    assert {
        name: words for name, text in outputs.items() if (words := secrets_in(text, issued))
    } == {}
    assert issued
    assert_the_journeys_were_made(responses, log, sandbox)


def assert_the_journeys_were_made(
    responses: dict[str, RawAnswer], log: str, sandbox: Sandbox
) -> None:
    """Checks that the test reached the upstream: without requests it would find no leak."""
    statuses = {name: response.status for name, response in responses.items() if response.text}
    assert {name for name, status in statuses.items() if status == 200} >= {
        "signed",
        "signed, by another place",
        "service account",
        "access token",
        "own metrics",
        "own profiles",
        "admin metrics",
    }
    codes = {response.code for response in responses.values()}
    assert codes >= {
        *("BAD_REQUEST", "BAD_TARGET", "CLIENT_TOKEN_REQUIRED", "CLIENT_TOKEN_REFUSED"),
        *("HOST_REFUSED", "ORIGIN_REFUSED", "ACCESS_DENIED", "UNKNOWN_PROFILE", "UNKNOWN_ROUTE"),
        *("METHOD_REFUSED", "REQUEST_TIMEOUT", "BODY_TOO_LARGE", "EXPECTATION_FAILED"),
        *("HEADERS_TOO_LARGE", "UPSTREAM_UNREACHABLE", "UPSTREAM_BROKEN", "NO_CREDENTIAL"),
    }
    assert log.count("request_id") >= len(JOURNEYS)
    bodies = b"".join(received.body for received in sandbox.requests)
    assert b"Word09Body9x" in bodies
    assert any(b"Word10QueryValue9x" in received.target for received in sandbox.requests)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "line",
    ["check", "check --json", "check --offline", "check --offline --json", "sign GET /@robot/me"],
)
async def test_commands_never_show_a_secret(
    tmp_path: Path, sandbox: Sandbox, files: tuple[str, ...], line: str
) -> None:
    output = await output_of(tmp_path, *line.split(), *files)

    assert "robot" in output
    assert secrets_in(output) == set()


@pytest.mark.asyncio
async def test_an_explained_signature_shows_keys_only_on_their_own_lines(
    tmp_path: Path, sandbox: Sandbox, files: tuple[str, ...]
) -> None:
    output = await output_of(tmp_path, "sign", "GET", "/me", "--explain", *files)

    words = {line.partition(":")[0]: secrets_in(line) for line in output.splitlines()}
    assert {start: found for start, found in words.items() if found} == {
        "X-Ovh-Application": {"application_key"},
        "X-Ovh-Consumer": {"consumer_key"},
    }
    assert any(line.startswith("# ") for line in output.splitlines())


async def output_of(home: Path, *arguments: str) -> str:
    """Returns the whole output of a command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", *arguments),
        cwd=home,
        env=environment(home, **ENV),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    return out.decode()


# -- values


CREDENTIAL = ApplicationCredential(
    Secret(KEYS["application_key"]),
    Secret(KEYS["application_secret"]),
    Secret(KEYS["consumer_key"]),
)
ENDPOINT = parse_endpoint("ovh-eu")
PROFILES = {
    "keys": Profile("keys", ENDPOINT, CREDENTIAL),
    "robot": Profile(
        "robot", ENDPOINT, ServiceAccount("EU.x", Secret(KEYS["client_secret"]), "https://x/")
    ),
    "card": Profile("card", ENDPOINT, AccessToken(Secret(KEYS["access_token"]))),
}
STORE = Store(MappingProxyType(PROFILES), "keys", "tests")
CLIENT = Client("ci", hashlib.sha256(CLIENT_TOKEN.encode()).digest())
UPSTREAM = Upstream(
    proxy=HttpProxy(TcpAddress("proxy.example", 3128), Secret("user:Word07WrongToken9x"))
)
SETTINGS = Settings(store=STORE, clients=(CLIENT,), upstream=UPSTREAM)
TARGET = parse_target(f"/me?{QUERY}".encode())
HEADERS = ((b"Cookie", b"Word08Cookie9x"), (b"X-Custom", b"Word13Header9x"))


def signed() -> UpstreamRequest:
    text = SignedText(CREDENTIAL, "PUT", f"https://x/me?{QUERY}")
    text.update(BODY)
    proof = signature_headers(CREDENTIAL, text.signature(7), 7)
    body = Body((BODY,), len(BODY))
    unsigned = UpstreamRequest("PUT", f"https://x/me?{QUERY}", HEADERS, body, text)
    return unsigned.with_headers(proof)


VALUES: dict[str, Callable[[], object]] = {
    "settings": lambda: SETTINGS,
    "store": lambda: STORE,
    "profiles": lambda: PROFILES,
    "credential": lambda: CREDENTIAL,
    "client": lambda: CLIENT,
    "upstream settings": lambda: UPSTREAM,
    # Its str() is what is sent; other values show its repr().
    "target": lambda: (TARGET,),
    "route": lambda: find_route(TARGET, None, (), STORE),
    "request headers": lambda: RequestHeaders(HEADERS),
    "signed request": signed,
    "bearer request": lambda: UpstreamRequest(
        "GET", "https://x/", bearer_header(Secret(KEYS["access_token"]))
    ),
    "answer": lambda: ResponseHead(200, b"OK", ((b"Set-Cookie", b"a=Word08Cookie9x"),)),
    "token": lambda: Token(Secret(KEYS["access_token"]), 3600.0),
}


def views(value: object) -> Iterable[str]:
    """Yields every text representation of a value."""
    yield from (repr(value), str(value), f"{value}", repr([value]), repr({"key": value}))
    yield logging.LogRecord("x", 10, "x", 1, "%s %r", (value, value), None).getMessage()
    yield repr(ValueError(value))


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_no_core_value_shows_a_secret(make: Callable[[], object]) -> None:
    value = make()

    text = "".join(views(value))

    assert {name for name, word in WORDS.items() if word in text} == set()
    assert CLIENT.digest.hex() not in text
    assert repr(CLIENT.digest) not in text


@pytest.mark.parametrize(
    "headers",
    [
        ((b"Host", b"localhost"), (b"Authorization", b"Bearer Word07WrongToken9x")),
        ((b"Host", b"Word12Malformed9x"),),
        ((b"Host", b"Word12Malformed9x:x@"),),
        ((b"Host", b"[Word12Malformed9x]"),),
        ((b"Host", b"localhost"), (b"Authorization", b"a"), (b"Authorization", b"Word07")),
    ],
    ids=["token", "name", "user", "IPv6", "twice"],
)
def test_no_authentication_error_shows_a_secret(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    door = EntryPoint(Listener(TcpAddress("127.0.0.1", 1)), "http", "127.0.0.1", 1)

    with pytest.raises(OvhProxyError) as refused:
        admit(RequestHeaders(headers), door, SETTINGS)

    assert "Word" not in repr(refused.value)
