import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import pytest_asyncio
from support.command import running
from support.ended import Ask, Ended
from support.running import outside

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import Grants

pytestmark = pytest.mark.asyncio

# A distinct word for each secret, so that a leak can be identified.
SECRETS = {
    "application_key": "AppKeyWord7777aa",
    "application_secret": "AppSecretWord7777bb",
    "consumer_key": "ConsumerWord7777cc",
    "client_secret": "ClientWord+7777dd",
    "access_token": "TokenWord7777ee",
}
DEBUG = ("--log-level", "debug")


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An API that knows these secrets."""
    async with Sandbox(grants=Grants(client_id="EU.robot", **SECRETS)) as running:
        yield running


@pytest.fixture
def store(home: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with these secrets, in the file and by every kind of reference."""
    (home / "consumer_key").write_text(SECRETS["consumer_key"] + "\n")
    (home / "consumer_key").chmod(0o600)
    monkeypatch.setenv("CLIENT_SECRET", SECRETS["client_secret"])
    endpoint = {"endpoint": sandbox.base_url}
    profiles = {
        "personal": {
            **endpoint,
            "application_key": SECRETS["application_key"],
            "application_secret": SECRETS["application_secret"],
            "consumer_key": {"file": "consumer_key"},
        },
        "robot": {
            **endpoint,
            "client_id": "EU.robot",
            "client_secret": {"env": "CLIENT_SECRET"},
            "token_url": sandbox.token_url,
        },
        "card": {
            **endpoint,
            "access_token": {"command": ["printf", "%s", SECRETS["access_token"]]},
        },
    }
    store = home / "credentials.yaml"
    store.write_text(json.dumps({"default": "personal", "profiles": profiles}))
    store.chmod(0o600)
    return store


def _leaked(text: str, sandbox: Sandbox) -> set[str]:
    """The names of the secrets in a text, plain or base64-encoded."""
    issued = {token: token for token in sandbox.grants.token_owners}
    basic = base64.b64encode(f"EU.robot:{quote_plus(SECRETS['client_secret'])}".encode()).decode()
    return {
        name
        for name, secret in {**SECRETS, **issued, "basic": basic}.items()
        if secret in text or base64.b64encode(secret.encode()).decode() in text
    }


def _output(ended: Ended) -> str:
    return ended.out + ended.err


@pytest.mark.parametrize(
    "line",
    [
        "check",
        "check --json",
        "check --offline",
        "check --offline --json",
        "sign GET /@robot/me",
        "sign GET /@card/me",
        "sign GET /@nosuch/me",
        "sign GET /../me",
        "healthcheck --url http://127.0.0.1:1",
        "run --listen nowhere",
        "run --listen 192.0.2.1:0",
    ],
)
async def test_no_command_prints_a_secret(
    ask: Ask, store: Path, sandbox: Sandbox, line: str
) -> None:
    ended = await ask(*line.split(), "--credentials", store, *DEBUG)

    assert _output(ended)
    assert _leaked(_output(ended), sandbox) == set()


@pytest.mark.parametrize("line", ["check", "check --json"])
@pytest.mark.parametrize("word", SECRETS.values(), ids=SECRETS)
async def test_no_secret_is_printed_when_ovhcloud_rejects_it(
    ask: Ask, store: Path, sandbox: Sandbox, line: str, word: str
) -> None:
    for file in (store, store.with_name("consumer_key")):
        file.write_text(file.read_text().replace(word, f"Not{word}"))

    ended = await ask(*line.split(), "--credentials", store, *DEBUG)

    assert _leaked(_output(ended), sandbox) == set()


@pytest.mark.parametrize(
    "broken",
    [
        "profiles: {{personal: {{application_secret: {application_secret}, nosuch: 1}}}}",
        "profiles: {{personal: {{endpoint: ovh-eu, access_token: [{access_token}]}}}}",
        "profiles: {{personal: {{endpoint: ovh-eu, access_token: {access_token}",
        "profiles: {{personal: {{endpoint: ovh-eu, access_token: '{access_token} x'}}}}",
        "{consumer_key}",
    ],
    ids=["unknown key", "wrong type", "no YAML", "a space", "a bare secret"],
)
async def test_no_secret_is_printed_with_the_problems_of_a_store(
    ask: Ask, store: Path, sandbox: Sandbox, broken: str
) -> None:
    store.write_text(broken.format(**SECRETS))

    ended = await ask("check", "--json", "--credentials", store, *DEBUG)

    assert ended.code == 2
    assert _leaked(_output(ended), sandbox) == set()


@pytest.mark.parametrize("flags", [[], ["--curl"], ["--explain"], ["--curl", "--explain"]])
async def test_signed_headers_have_each_key_only_on_its_own_line(
    ask: Ask, store: Path, sandbox: Sandbox, flags: list[str]
) -> None:
    ended = await ask("sign", "GET", "/me", *flags, "--credentials", store, *DEBUG)

    leaked = {line: _leaked(line, sandbox) for line in _output(ended).splitlines()}
    assert {line.split("X-Ovh-")[-1][:12]: names for line, names in leaked.items() if names} == {
        "Application:": {"application_key"},
        f"Consumer: {SECRETS['consumer_key'][:2]}": {"consumer_key"},
    }


async def test_run_logs_no_secret_at_debug_level(home: Path, store: Path, sandbox: Sandbox) -> None:
    def ask_all(url: str) -> list[tuple[int, bytes]]:
        import http.client

        responses = []
        host = url.removeprefix("http://")
        for path in ("/me", "/@robot/me", "/@card/me", "/-/profiles", "/-/metrics", "/-/readyz"):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("GET", path, headers={"Authorization": "Bearer ClientsWord7777"})
            response = connection.getresponse()
            headers = str(response.headers).encode()
            responses.append((response.status, response.read() + headers))
            connection.close()
        return responses

    flags = ("--listen", "127.0.0.1:0", "--credentials", store, *DEBUG)
    async with running(home, "run", *flags) as proxy:
        responses = await outside(ask_all, proxy.url)
        sandbox.grants.revoke(SECRETS["consumer_key"])
        sandbox.grants.forget_tokens()
        rejected = await outside(ask_all, proxy.url)
        process = proxy.process

    assert process.stdout is not None
    output = (home / "log").read_text() + proxy.line + (await process.stdout.read()).decode()
    output += "".join(body.decode() for _, body in responses + rejected)
    assert [status for status, _ in responses] == [200] * 6
    assert output.count('"request"') == 12
    assert _leaked(output, sandbox) == set()
    assert "ClientsWord7777" not in output
