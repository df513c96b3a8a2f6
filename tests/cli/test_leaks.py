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

# A word of its own for each secret, so that one that shows can be told.
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
    """A store that holds or points at them, in every way."""
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


def _shown(text: str, sandbox: Sandbox) -> set[str]:
    """The secrets that a text holds, as they are or as they travel."""
    issued = {token: token for token in sandbox.grants.token_owners}
    basic = base64.b64encode(f"EU.robot:{quote_plus(SECRETS['client_secret'])}".encode()).decode()
    return {
        name
        for name, secret in {**SECRETS, **issued, "basic": basic}.items()
        if secret in text or base64.b64encode(secret.encode()).decode() in text
    }


def _said(ended: Ended) -> str:
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
async def test_no_command_shows_a_secret(
    ask: Ask, store: Path, sandbox: Sandbox, line: str
) -> None:
    ended = await ask(*line.split(), "--credentials", store, *DEBUG)

    assert _said(ended)
    assert _shown(_said(ended), sandbox) == set()


@pytest.mark.parametrize("line", ["check", "check --json"])
@pytest.mark.parametrize("word", SECRETS.values(), ids=SECRETS)
async def test_no_secret_shows_when_it_is_refused(
    ask: Ask, store: Path, sandbox: Sandbox, line: str, word: str
) -> None:
    for file in (store, store.with_name("consumer_key")):
        file.write_text(file.read_text().replace(word, f"Not{word}"))

    ended = await ask(*line.split(), "--credentials", store, *DEBUG)

    assert _shown(_said(ended), sandbox) == set()


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
async def test_no_secret_shows_in_the_problems_of_a_store(
    ask: Ask, store: Path, sandbox: Sandbox, broken: str
) -> None:
    store.write_text(broken.format(**SECRETS))

    ended = await ask("check", "--json", "--credentials", store, *DEBUG)

    assert ended.code == 2
    assert _shown(_said(ended), sandbox) == set()


@pytest.mark.parametrize("flags", [[], ["--curl"], ["--explain"], ["--curl", "--explain"]])
async def test_signed_headers_show_each_key_on_its_own_line_alone(
    ask: Ask, store: Path, sandbox: Sandbox, flags: list[str]
) -> None:
    ended = await ask("sign", "GET", "/me", *flags, "--credentials", store, *DEBUG)

    shown = {line: _shown(line, sandbox) for line in _said(ended).splitlines()}
    assert {line.split("X-Ovh-")[-1][:12]: names for line, names in shown.items() if names} == {
        "Application:": {"application_key"},
        f"Consumer: {SECRETS['consumer_key'][:2]}": {"consumer_key"},
    }


async def test_serving_shows_no_secret_at_any_level(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    def ask_all(url: str) -> list[tuple[int, bytes]]:
        import http.client

        answers = []
        host = url.removeprefix("http://")
        for path in ("/me", "/@robot/me", "/@card/me", "/-/profiles", "/-/metrics", "/-/readyz"):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("GET", path, headers={"Authorization": "Bearer ClientsWord7777"})
            answer = connection.getresponse()
            answers.append((answer.status, answer.read() + bytes(str(answer.headers), "utf-8")))
            connection.close()
        return answers

    flags = ("--listen", "127.0.0.1:0", "--credentials", store, *DEBUG)
    async with running(home, "run", *flags) as proxy:
        answers = await outside(ask_all, proxy.url)
        sandbox.grants.revoke(SECRETS["consumer_key"])
        sandbox.grants.forget_tokens()
        refused = await outside(ask_all, proxy.url)
        process = proxy.process

    assert process.stdout is not None
    said = (home / "log").read_text() + proxy.line + (await process.stdout.read()).decode()
    said += "".join(body.decode() for _, body in answers + refused)
    assert [status for status, _ in answers] == [200] * 6
    assert said.count('"request"') == 12
    assert _shown(said, sandbox) == set()
    assert "ClientsWord7777" not in said
