"""`login` with the flags of a new profile, one of them wrong."""

from pathlib import Path

import pytest
from support.ended import Ask

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

KEY, SECRET = grants.APPLICATION_KEY, grants.APPLICATION_SECRET


@pytest.fixture
def store(home: Path, sandbox: Sandbox) -> Path:
    """A store whose profile has an access token."""
    path = home / "credentials.yaml"
    path.write_text(
        f"profiles: {{card: {{endpoint: {sandbox.base_url}, access_token: {grants.ACCESS_TOKEN}}}}}"
    )
    path.chmod(0o600)
    return path


def flags(store: Path, sandbox: Sandbox, **changes: str) -> list[str]:
    """The flags of a login for a new profile, some of them changed."""
    given = {
        "credentials": str(store),
        "profile": "new",
        "endpoint": sandbox.base_url,
        "application-key": KEY,
        "application-secret-file": "secret",
        "rule": "GET /me",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return ["--no-browser", *(f"--{name}={value}" for name, value in given.items())]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "no good"}, "--profile: invalid name 'no good': "),
        ({"endpoint": "ovh-moon"}, "--endpoint: "),
        ({"endpoint": "ftp://example.org"}, "--endpoint: invalid URL: it must start with https://"),
        ({"application_key": "two words"}, "--application-key: secret contains white space"),
        ({"application_secret_file": "nowhere"}, "--application-secret-file: nowhere does not"),
        ({"application_secret_file": "empty"}, "--application-secret-file: empty secret"),
        (
            {"application_secret_file": "words"},
            "--application-secret-file: secret contains white space",
        ),
    ],
    ids=["name", "unknown endpoint", "not https", "key", "no file", "empty file", "two words"],
)
async def test_a_wrong_flag_is_named_and_nothing_is_requested(
    ask: Ask, home: Path, store: Path, sandbox: Sandbox, changes: dict[str, str], message: str
) -> None:
    for name, text in (("secret", SECRET), ("empty", "\n"), ("words", f"{SECRET} {SECRET}")):
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    before, text = len(sandbox.requests), store.read_text()

    refused = await ask("login", *flags(store, sandbox, **changes))

    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert message in refused.err
    assert SECRET not in refused.err
    assert len(sandbox.requests) == before
    assert store.read_text() == text


async def test_a_profile_with_an_access_token_has_no_consumer_key(
    ask: Ask, store: Path, sandbox: Sandbox
) -> None:
    before = len(sandbox.requests)

    refused = await ask(
        "login", "--credentials", store, "--profile", "card", "--rule", "GET /me", "--no-browser"
    )

    assert (refused.code, refused.out) == (2, "")
    assert "profile 'card' has no consumer key" in refused.err
    assert "access token" in refused.err
    assert len(sandbox.requests) == before
