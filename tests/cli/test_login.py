import asyncio
import json
import os
import pty
import re
import signal
import stat
import sys
import time
from pathlib import Path

import aiohttp
import pytest
import yaml
from support.command import environment
from support.ended import Ask
from support.login import decide, logging_in

from ovh_proxy.recording.calls import RecordedCall
from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="no terminals or signals as here"),
]

PLAIN = ("--no-browser", "--read-only", "/me")


@pytest.fixture
def store(home: Path, sandbox: Sandbox) -> Path:
    """A store whose profile has application keys, but no consumer key yet."""
    path = home / "credentials.yaml"
    path.write_text(
        f"""\
# mine
profiles:
  personal:
    endpoint: {sandbox.base_url}
    application_key: {grants.APPLICATION_KEY}   # from the createApp page
    application_secret: {grants.APPLICATION_SECRET}
  robot:
    endpoint: ovh-eu
    access_token: {{env: NOWHERE}}
"""
    )
    path.chmod(0o600)
    return path


def _personal(store: Path) -> dict[str, str]:
    profile: dict[str, str] = yaml.safe_load(store.read_text())["profiles"]["personal"]
    return profile


def _flags(store: Path) -> tuple[str, ...]:
    return ("--credentials", str(store), "--profile", "personal", *PLAIN)


async def test_a_validated_key_is_stored_in_the_store(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    async with logging_in(home, *_flags(store)) as login:
        redirected_to, page = await decide(login.url)

        ended = await login.end()

    key = _personal(store)["consumer_key"]
    assert ended.code == 0, ended.err
    assert sandbox.grants.consumer_keys[key].state == "validated"
    assert store.read_text().startswith("# mine\n")
    assert "# from the createApp page" in store.read_text()
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert re.match(r"http://127\.0\.0\.1:[0-9]+/", redirected_to)
    assert "You can close this tab" in page
    assert f"stored in {store}" in ended.out
    assert "GET /me; GET /me/*; POST /auth/logout" in ended.out
    assert re.search(r"expires +in (23 hours|1 day)", ended.out)
    assert key not in ended.out + ended.err
    assert [*(home / "state").rglob("*.yaml")] == []


async def test_the_flags_say_which_rules_are_requested(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    calls = [
        RecordedCall("personal", "x", "/domain/zone/*", "PUT"),
        RecordedCall("robot", "x", "/sms", "GET"),
    ]
    (home / "calls").write_text("".join(call.to_line() for call in calls))
    rules = (
        *("--rule", "GET,DELETE /ip", "--read-only", "/me", "--read-write", "/vps/"),
        *("--from-recording", "calls", "--rule", "PATCH /ip", "--rule", "GET /v2/iam"),
        *("--allowed-ip", "192.0.2.0/24", "--allowed-ip", "2001:db8::1", "--redirect"),
    )

    async with logging_in(
        home, "--credentials", store, "--profile", "personal", *rules, "https://example.org/"
    ) as login:
        requested = next(key for key in sandbox.grants.consumer_keys.values() if key.redirection)

    methods = ("GET", "POST", "PUT", "DELETE")
    assert set(requested.rules) == {
        *(("GET", "/ip"), ("DELETE", "/ip"), ("GET", "/me"), ("GET", "/me/*")),
        *((method, path) for method in methods for path in ("/vps", "/vps/*")),
        *(("PUT", "/domain/zone/*"), ("POST", "/auth/logout")),
    }
    assert (requested.allowed_ips, requested.redirection) == (
        ("192.0.2.0/24", "2001:db8::1"),
        "https://example.org/",
    )
    assert "do not support it: PATCH /ip\n" in login.shown
    assert "do not support it: GET /v2/iam\n" in login.shown


async def test_without_flags_the_access_rules_of_the_profile_are_requested(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    rules = f"application_secret: {grants.APPLICATION_SECRET}\n    access_rules: [GET /me]"
    text = store.read_text().replace(f"application_secret: {grants.APPLICATION_SECRET}", rules)
    store.write_text(text)

    async with logging_in(home, "--credentials", store, "--profile", "personal") as login:
        pass

    assert "  GET /me\n  POST /auth/logout\n" in login.shown


async def test_the_page_waits_for_a_browser_that_comes_back_after_the_key_was_validated(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    async with logging_in(home, *_flags(store)) as login:
        key = list(sandbox.grants.consumer_keys.values())[-1]
        sandbox.grants.validate(key.consumer_key, time.time())
        before = len(sandbox.requests)
        async with asyncio.timeout(20):
            while len(sandbox.requests) == before:
                await asyncio.to_thread(time.sleep, 0.01)
        async with aiohttp.ClientSession() as browser, browser.get(key.redirection) as response:
            page = await response.text()
        ended = await login.end()

    assert (response.status, ended.code) == (200, 0)
    assert "close this tab" in page


async def test_a_refused_key_is_not_stored(home: Path, store: Path) -> None:
    before = store.read_text()

    async with logging_in(home, *_flags(store)) as login:
        await decide(login.url, "refuse")
        ended = await login.end()

    assert ended.code == 1
    assert "ovh-proxy: the key was refused on OVHcloud's page; request a new one: " in ended.err
    assert (ended.out, store.read_text()) == ("", before)


async def test_resume_continues_an_interrupted_login(home: Path, store: Path) -> None:
    async with logging_in(home, *_flags(store)) as login:
        await login.read_until("waiting for you")
        login.process.send_signal(signal.SIGINT)
        ended = await login.end()
    (pending,) = (home / "state").rglob("*.yaml")
    mode = stat.S_IMODE(pending.stat().st_mode)
    url = login.url

    async with logging_in(
        home, "--credentials", store, "--profile", "personal", "--resume", "--no-browser"
    ) as again:
        _, page = await decide(url)
        resumed = await again.end()

    assert (ended.code, mode, again.url) == (130, 0o600, url)
    assert "continue with: ovh-proxy login --resume --profile personal" in ended.err
    assert resumed.code == 0, resumed.err
    assert "You can close this tab" in page
    assert "consumer_key" in _personal(store)
    assert not pending.exists()


async def test_waiting_ends_after_the_timeout(home: Path, store: Path) -> None:
    async with logging_in(home, *_flags(store), "--timeout", "1s") as login:
        ended = await login.end()

    assert ended.code == 1
    assert "the key was not validated in time; continue with: ovh-proxy login --resume" in ended.err


async def test_print_stores_nothing_and_prints_only_the_key(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    before = store.read_text()

    async with logging_in(home, *_flags(store), "--print") as login:
        await decide(login.url, validity="unlimited")
        ended = await login.end()

    key = ended.out.removesuffix("\n")
    assert ended.code == 0
    assert sandbox.grants.consumer_keys[key].state == "validated"
    assert key not in ended.err
    assert "expires  never" in ended.err
    assert store.read_text() == before
    assert not (home / "state").exists()


@pytest.mark.parametrize(
    ("decision", "code", "state"), [("validate", 0, "validated"), ("refuse", 1, "refused")]
)
async def test_json_output(home: Path, store: Path, decision: str, code: int, state: str) -> None:
    async with logging_in(home, *_flags(store), "--json") as login:
        await decide(login.url, decision)
        ended = await login.end()

    result = json.loads(ended.out)
    assert (ended.code, result["state"], result["ok"]) == (code, state, code == 0)
    assert result["rules"] == ["GET /me", "GET /me/*", "POST /auth/logout"]
    assert result["kept_in"] == (str(store) if code == 0 else None)
    assert "consumer_key" not in result


async def test_flags_create_a_new_profile(home: Path, sandbox: Sandbox) -> None:
    keys = (
        *("--endpoint", sandbox.base_url, "--application-key", grants.APPLICATION_KEY),
        *("--application-secret-file", "-"),
    )

    async with logging_in(home, *PLAIN, *keys, stdin=grants.APPLICATION_SECRET.encode()) as login:
        await decide(login.url)
        ended = await login.end()

    store = home / ".config" / "ovh-proxy" / "credentials.yaml"
    assert ended.code == 0, ended.err
    assert yaml.safe_load(store.read_text())["default"] == "personal"
    assert list(_personal(store)) == [
        "endpoint",
        "application_key",
        "application_secret",
        "consumer_key",
    ]


async def test_a_key_file_that_does_not_exist_yet_is_created(home: Path, store: Path) -> None:
    secret = f"application_secret: {grants.APPLICATION_SECRET}\n"
    text = store.read_text().replace(secret, f"{secret}    consumer_key: {{file: key}}\n")
    store.write_text(text)

    async with logging_in(home, *_flags(store)) as login:
        await decide(login.url)
        ended = await login.end()

    assert ended.code == 0, ended.err
    assert len((home / "key").read_text()) == 33
    assert store.read_text() == text


async def test_a_wrong_application_secret_ends_the_login(home: Path, store: Path) -> None:
    store.write_text(store.read_text().replace(grants.APPLICATION_SECRET, "made-up"))

    async with logging_in(home, *_flags(store)) as login:
        ended = await login.end()

    assert ended.code == 1
    assert "INVALID_SIGNATURE); check the application secret of profile personal" in ended.err


async def test_an_unknown_application_key_is_reported(ask: Ask, store: Path) -> None:
    store.write_text(store.read_text().replace(grants.APPLICATION_KEY, "made-up"))

    refused = await ask("login", *_flags(store))

    assert (refused.code, refused.out) == (1, "")
    assert "INVALID_KEY); check the application key" in refused.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--profile", "personal"), "--rule 'METHOD /path', --read-only PATH, --read-write PATH"),
        ((), "no profile given; use --profile with personal or robot"),
        (("--profile", "new"), "use --endpoint, --application-key and --application-secret-file"),
        (("--profile", "personal", "--rule", "GET me"), "the path must start with /"),
        (
            ("--profile", "personal", "--rule", "GET /1.0/me"),
            "--rule: rule path '/1.0/me' ",
        ),
        (
            ("--profile", "personal", "--rule", "GET /v2/iam"),
            "support none of these rules: GET /v2/iam;",
        ),
        (
            ("--profile", "personal", "--allowed-ip", "home"),
            "invalid network 'home'; use an address",
        ),
        (("--timeout", "soon"), "such as 30s, 10m, 2h or 7d"),
        (("--profile", "personal", "--resume"), "profile 'personal' has no pending key"),
        (("--resume", "--rule", "GET /me"), "--resume cannot be combined with --rule"),
        (("--print", "--json"), "--print cannot be combined with --json"),
        (("--profile", "personal", "--endpoint", "ovh-eu"), "profile 'personal' exists already"),
        (("--profile", "personal", "--from-recording", "none"), "none does not exist"),
    ],
)
async def test_without_a_terminal_the_message_names_the_missing_flags(
    ask: Ask, store: Path, sandbox: Sandbox, flags: tuple[str, ...], message: str
) -> None:
    before = len(sandbox.grants.consumer_keys)

    refused = await ask("login", "--credentials", store, *flags)

    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert len(sandbox.grants.consumer_keys) == before


async def test_keys_of_the_sdks_have_to_be_imported_first(ask: Ask, home: Path) -> None:
    (home / ".ovh.conf").write_text("[ovh-eu]\napplication_key=a\napplication_secret=b\n")

    refused = await ask("login", *PLAIN)

    assert refused.code == 2
    assert "import them into the store first: ovh-proxy import" in refused.err


async def test_a_key_that_cannot_be_stored_is_refused_before_the_request(
    start: Ask, store: Path, sandbox: Sandbox
) -> None:
    secret = f"application_secret: {grants.APPLICATION_SECRET}\n"
    text = store.read_text().replace(secret, f"{secret}    consumer_key: {{env: CK}}\n")
    store.write_text(text)
    before = len(sandbox.grants.consumer_keys)

    refused = await start("login", *_flags(store), CK="made-up")

    assert refused.code == 1
    assert "comes from the environment variable CK" in refused.err
    assert len(sandbox.grants.consumer_keys) == before


async def test_the_keyring_needs_its_extra(start: Ask, store: Path, home: Path) -> None:
    (home / "keyring.py").write_text("raise ImportError\n")

    refused = await start("login", *_flags(store), "--keyring", PYTHONPATH=str(home))

    assert refused.code == 1
    assert "pip install 'ovh-proxy[keyring]'" in refused.err


async def test_the_page_opens_in_the_browser(home: Path, store: Path) -> None:
    opened = home / "opened"
    script = home / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    script.chmod(0o700)

    async with logging_in(
        *(home, "--credentials", store, "--profile", "personal", "--read-only", "/me"),
        BROWSER=str(script),
    ) as login:
        await login.read_until("The page opens in your browser.")
        async with asyncio.timeout(20):
            while not opened.exists():  # noqa: ASYNC110 - another process makes the file
                await asyncio.sleep(0.01)

    assert opened.read_text() == f"{login.url}\n"


class Terminal:
    """A pseudo-terminal with its output as raw text."""

    def __init__(self, home: Path, *arguments: str | Path) -> None:
        self._master, slave = pty.openpty()
        self.screen = ""
        self._starting = asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ovh_proxy", *map(str, arguments)),
            cwd=home,
            env=environment(home, XDG_STATE_HOME=str(home / "state"), TERM="xterm"),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self._slave = slave

    async def start(self) -> None:
        self.process = await self._starting
        os.close(self._slave)

    async def expect(self, text: str, typed: str | None = None) -> None:
        """Waits for a text in the rest of the output, then types a line."""
        async with asyncio.timeout(20):
            while text not in self.screen:
                self.screen += (await asyncio.to_thread(os.read, self._master, 4096)).decode()
        self.screen = self.screen.partition(text)[2]
        if typed is not None:
            os.write(self._master, f"{typed}\n".encode())

    async def end(self) -> int:
        try:
            async with asyncio.timeout(20):
                return await self.process.wait()
        finally:
            os.close(self._master)


async def test_on_a_terminal_everything_is_asked_and_the_secret_is_not_shown(
    home: Path, sandbox: Sandbox
) -> None:
    terminal = Terminal(home, "login", "--no-browser")
    await terminal.start()

    await terminal.expect("Name of the profile [personal]:", "shop")
    await terminal.expect("Endpoint [ovh-eu]:", "ovh-xx")
    await terminal.expect("unknown endpoint")
    await terminal.expect("Endpoint [ovh-eu]:", sandbox.base_url)
    await terminal.expect("Application key:", grants.APPLICATION_KEY)
    await terminal.expect("(not shown):", grants.APPLICATION_SECRET)
    await terminal.expect("What should the new key allow?")
    shown = terminal.screen
    await terminal.expect("Choose [1]:", "3")
    await terminal.expect("Rule", "nonsense")
    await terminal.expect("write METHOD /path")
    await terminal.expect("Rule", "GET /me")
    await terminal.expect("Rule", "")
    await terminal.expect("credentialToken=")
    await terminal.expect("left; Ctrl-C keeps the key")
    key = list(sandbox.grants.consumer_keys.values())[-1]
    await decide(f"{sandbox.base_url[:-4]}/auth/?credentialToken={key.validation_token}")
    await terminal.expect("Profile shop: the key is validated")
    await terminal.expect("Next: ovh-proxy run --profile shop")
    code = await terminal.end()

    assert code == 0
    assert set(key.rules) == {("GET", "/me"), ("POST", "/auth/logout")}
    assert grants.APPLICATION_SECRET not in shown
