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
    """A store whose profile has application keys and waits for its first login."""
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


async def test_a_validated_key_is_kept_in_the_store(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    async with logging_in(home, *_flags(store)) as login:
        where, page = await decide(login.url)

        ended = await login.end()

    key = _personal(store)["consumer_key"]
    assert ended.code == 0, ended.err
    assert sandbox.grants.consumer_keys[key].state == "validated"
    assert store.read_text().startswith("# mine\n")
    assert "# from the createApp page" in store.read_text()
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert re.match(r"http://127\.0\.0\.1:[0-9]+/", where)
    assert "You can close this tab" in page
    assert f"kept in {store}" in ended.out
    assert "GET /me; GET /me/*; POST /auth/logout" in ended.out
    assert re.search(r"it ends +in (23 hours|1 day)", ended.out)
    assert key not in ended.out + ended.err
    assert [*(home / "state").rglob("*.yaml")] == []


async def test_what_is_asked_for_is_what_the_flags_say(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    calls = [
        RecordedCall("personal", "x", "/domain/zone/*", "PUT"),
        RecordedCall("robot", "x", "/sms", "GET"),
    ]
    (home / "calls").write_text("".join(call.to_line() for call in calls))
    rights = (
        *("--rule", "GET,DELETE /ip", "--read-only", "/me", "--read-write", "/vps/"),
        *("--from-recording", "calls", "--rule", "PATCH /ip", "--rule", "GET /v2/iam"),
        *("--allowed-ip", "192.0.2.0/24", "--allowed-ip", "2001:db8::1", "--redirect"),
    )

    async with logging_in(
        home, "--credentials", store, "--profile", "personal", *rights, "https://example.org/"
    ) as login:
        asked = next(key for key in sandbox.grants.consumer_keys.values() if key.redirection)

    every = ("GET", "POST", "PUT", "DELETE")
    assert set(asked.rules) == {
        *(("GET", "/ip"), ("DELETE", "/ip"), ("GET", "/me"), ("GET", "/me/*")),
        *((method, path) for method in every for path in ("/vps", "/vps/*")),
        *(("PUT", "/domain/zone/*"), ("POST", "/auth/logout")),
    }
    assert (asked.allowed_ips, asked.redirection) == (
        ("192.0.2.0/24", "2001:db8::1"),
        "https://example.org/",
    )
    assert "no such right: PATCH /ip\n" in login.said
    assert "no such right: GET /v2/iam\n" in login.said


async def test_the_access_rules_of_the_store_are_asked_for_where_nothing_else_is_said(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    rules = f"application_secret: {grants.APPLICATION_SECRET}\n    access_rules: [GET /me]"
    text = store.read_text().replace(f"application_secret: {grants.APPLICATION_SECRET}", rules)
    store.write_text(text)

    async with logging_in(home, "--credentials", store, "--profile", "personal") as login:
        pass

    assert "  GET /me\n  POST /auth/logout\n" in login.said


async def test_the_page_is_there_for_a_browser_that_comes_after_the_key_was_seen_validated(
    home: Path, store: Path, sandbox: Sandbox
) -> None:
    async with logging_in(home, *_flags(store)) as login:
        key = list(sandbox.grants.consumer_keys.values())[-1]
        sandbox.grants.validate(key.consumer_key, time.time())
        before = len(sandbox.requests)
        async with asyncio.timeout(20):
            while len(sandbox.requests) == before:
                await asyncio.to_thread(time.sleep, 0.01)
        async with aiohttp.ClientSession() as browser, browser.get(key.redirection) as answer:
            page = await answer.text()
        ended = await login.end()

    assert (answer.status, ended.code) == (200, 0)
    assert "close this tab" in page


async def test_a_refused_key_is_not_kept(home: Path, store: Path) -> None:
    before = store.read_text()

    async with logging_in(home, *_flags(store)) as login:
        await decide(login.url, "refuse")
        ended = await login.end()

    assert ended.code == 1
    assert "ovh-proxy: the key was refused on OVHcloud's page; ask again: " in ended.err
    assert (ended.out, store.read_text()) == ("", before)


async def test_an_interrupted_login_goes_on_with_resume(home: Path, store: Path) -> None:
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
    assert "go on with: ovh-proxy login --resume --profile personal" in ended.err
    assert resumed.code == 0, resumed.err
    assert "You can close this tab" in page
    assert "consumer_key" in _personal(store)
    assert not pending.exists()


async def test_nobody_is_waited_for_longer_than_said(home: Path, store: Path) -> None:
    async with logging_in(home, *_flags(store), "--timeout", "1s") as login:
        ended = await login.end()

    assert ended.code == 1
    assert "nobody has validated the key in time; go on with: ovh-proxy login --resume" in ended.err


async def test_print_stores_nothing_and_prints_the_key_alone(
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
    assert "it ends       never" in ended.err
    assert store.read_text() == before
    assert not (home / "state").exists()


@pytest.mark.parametrize(
    ("decision", "code", "state"), [("validate", 0, "validated"), ("refuse", 1, "refused")]
)
async def test_programs_get_json(
    home: Path, store: Path, decision: str, code: int, state: str
) -> None:
    async with logging_in(home, *_flags(store), "--json") as login:
        await decide(login.url, decision)
        ended = await login.end()

    told = json.loads(ended.out)
    assert (ended.code, told["state"], told["ok"]) == (code, state, code == 0)
    assert told["rules"] == ["GET /me", "GET /me/*", "POST /auth/logout"]
    assert told["kept_in"] == (str(store) if code == 0 else None)
    assert "consumer_key" not in told


async def test_a_new_profile_is_made_by_flags(home: Path, sandbox: Sandbox) -> None:
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


async def test_a_key_kept_in_a_file_that_is_not_there_yet_is_written_to_it(
    home: Path, store: Path
) -> None:
    secret = f"application_secret: {grants.APPLICATION_SECRET}\n"
    text = store.read_text().replace(secret, f"{secret}    consumer_key: {{file: key}}\n")
    store.write_text(text)

    async with logging_in(home, *_flags(store)) as login:
        await decide(login.url)
        ended = await login.end()

    assert ended.code == 0, ended.err
    assert len((home / "key").read_text()) == 33
    assert store.read_text() == text


async def test_a_wrong_application_secret_ends_the_waiting(home: Path, store: Path) -> None:
    store.write_text(store.read_text().replace(grants.APPLICATION_SECRET, "made-up"))

    async with logging_in(home, *_flags(store)) as login:
        ended = await login.end()

    assert ended.code == 1
    assert "INVALID_SIGNATURE); check the application secret of profile personal" in ended.err


async def test_an_unknown_application_is_sent_to_its_page(ask: Ask, store: Path) -> None:
    store.write_text(store.read_text().replace(grants.APPLICATION_KEY, "made-up"))

    refused = await ask("login", *_flags(store))

    assert (refused.code, refused.out) == (1, "")
    assert "INVALID_KEY); check the application key" in refused.err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--profile", "personal"), "--rule 'METHOD /path', --read-only PATH, --read-write PATH"),
        ((), "which profile? give --profile, one of personal, robot"),
        (("--profile", "new"), "give --endpoint, --application-key and --application-secret-file"),
        (("--profile", "personal", "--rule", "GET me"), "--rule: a rule's path starts with /"),
        (("--profile", "personal", "--rule", "GET /1.0/me"), "--rule: leave /1.0 or /v1 out"),
        (("--profile", "personal", "--rule", "GET /v2/iam"), "no right of a consumer key"),
        (("--profile", "personal", "--allowed-ip", "home"), "a block is an address"),
        (("--timeout", "soon"), "such as 30s, 10m, 2h or 7d"),
        (("--profile", "personal", "--resume"), "no key of profile personal waits"),
        (("--resume", "--rule", "GET /me"), "leave the flags of rights out"),
        (("--print", "--json"), "--print goes without --json"),
        (("--profile", "personal", "--endpoint", "ovh-eu"), "personal is there already"),
        (("--profile", "personal", "--from-recording", "none"), "none does not exist"),
    ],
)
async def test_without_a_terminal_nothing_is_asked_and_the_flags_are_named(
    ask: Ask, store: Path, sandbox: Sandbox, flags: tuple[str, ...], told: str
) -> None:
    before = len(sandbox.grants.consumer_keys)

    refused = await ask("login", "--credentials", store, *flags)

    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err
    assert len(sandbox.grants.consumer_keys) == before


async def test_keys_of_the_sdks_are_imported_first(ask: Ask, home: Path) -> None:
    (home / ".ovh.conf").write_text("[ovh-eu]\napplication_key=a\napplication_secret=b\n")

    refused = await ask("login", *PLAIN)

    assert refused.code == 2
    assert "bring them into the store first: ovh-proxy import" in refused.err


async def test_a_key_that_others_keep_is_refused_before_anybody_is_asked(
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


async def test_a_browser_is_opened_where_there_is_one(home: Path, store: Path) -> None:
    opened = home / "opened"
    script = home / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    script.chmod(0o700)

    async with logging_in(
        *(home, "--credentials", store, "--profile", "personal", "--read-only", "/me"),
        BROWSER=str(script),
    ) as login:
        await login.read_until("It opens in your browser.")
        async with asyncio.timeout(20):
            while not opened.exists():  # noqa: ASYNC110 - another process makes the file
                await asyncio.sleep(0.01)

    assert opened.read_text() == f"{login.url}\n"


class Terminal:
    """A person's terminal, its screen as raw text."""

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

    async def expect(self, text: str, answer: str | None = None) -> None:
        """Waits for a text on the rest of the screen, then types a line."""
        async with asyncio.timeout(20):
            while text not in self.screen:
                self.screen += (await asyncio.to_thread(os.read, self._master, 4096)).decode()
        self.screen = self.screen.partition(text)[2]
        if answer is not None:
            os.write(self._master, f"{answer}\n".encode())

    async def end(self) -> int:
        try:
            async with asyncio.timeout(20):
                return await self.process.wait()
        finally:
            os.close(self._master)


async def test_a_person_is_asked_for_all_and_never_shown_the_secret(
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
    await terminal.expect("What may the new key do?")
    shown = terminal.screen
    await terminal.expect("Choose [1]:", "3")
    await terminal.expect("Rule", "nonsense")
    await terminal.expect("a rule is METHOD /path")
    await terminal.expect("Rule", "GET /me")
    await terminal.expect("Rule", "")
    await terminal.expect("credentialToken=")
    await terminal.expect("left; Ctrl-C keeps it")
    key = list(sandbox.grants.consumer_keys.values())[-1]
    await decide(f"{sandbox.base_url[:-4]}/auth/?credentialToken={key.validation_token}")
    await terminal.expect("Profile shop: the key is validated")
    await terminal.expect("Next: ovh-proxy run --profile shop")
    code = await terminal.end()

    assert code == 0
    assert set(key.rules) == {("GET", "/me"), ("POST", "/auth/logout")}
    assert grants.APPLICATION_SECRET not in shown
