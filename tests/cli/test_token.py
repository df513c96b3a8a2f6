import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml
from support.ended import Ask, Ended

from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.settings import Client

pytestmark = pytest.mark.asyncio

STORE = """\
default: personal
profiles:
  personal: {endpoint: ovh-eu, access_token: made-up}
  robot: {endpoint: ovh-eu, access_token: made-up}
"""


def _client(home: Path, entry: str) -> Client:
    """The one client of settings that hold the entry."""
    config, store = home / "ovh-proxy.yaml", home / "credentials.yaml"
    config.write_text(entry)
    store.write_text(STORE)
    store.chmod(0o600)
    (client,) = load_settings(Sources(credentials=str(store), config=str(config))).clients
    return client


def _token(ended: Ended) -> str:
    return ended.out.removesuffix("\n")


async def test_only_the_token_goes_to_standard_output(ask: Ask) -> None:
    made = await ask("token")

    assert made.code == 0
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", made.out)
    assert len(base64.urlsafe_b64decode(_token(made) + "=")) == 32
    assert _token(made) not in made.err


async def test_every_token_is_different(ask: Ask) -> None:
    tokens = {(await ask("token")).out for _ in range(20)}

    assert len(tokens) == 20


async def test_the_entry_is_valid_in_the_settings(ask: Ask, home: Path) -> None:
    made = await ask(
        *("token", "--name", "ci", "--profile", "robot", "--profile", "personal"),
        *("--rule", "GET /me", "--rule", "GET,POST  /domain/zone/*", "--rule", "read-only /ip"),
        *("--rule", "* /sms/*"),
    )

    client = _client(home, made.err)

    assert client.name == "ci"
    assert client.digest == hashlib.sha256(_token(made).encode()).digest()
    assert client.profiles == ("robot", "personal")
    assert client.access_rules is not None
    assert [str(rule) for rule in client.access_rules] == [
        "GET /me",
        "GET,POST /domain/zone/*",
        "GET /ip",
        "GET /ip/*",
        "* /sms/*",
    ]


@pytest.mark.parametrize("name", ["client", "true", "0123", "1e5", "No", "a.b_c-d"])
async def test_any_name_is_parsed_unchanged(ask: Ask, home: Path, name: str) -> None:
    made = await ask("token", "--name", name)

    assert _client(home, made.err).name == name
    assert yaml.safe_load(made.err)["clients"][0]["name"] == name


async def test_without_flags_a_client_has_all_profiles_and_calls(ask: Ask, home: Path) -> None:
    made = await ask("token")

    client = _client(home, made.err)

    assert (client.name, client.profiles, client.access_rules) == ("client", (), None)


async def test_the_commented_lines_are_valid_when_uncommented(ask: Ask, home: Path) -> None:
    made = await ask("token")
    uncommented = re.sub(r"^    # (\w)", r"    \1", made.err, flags=re.MULTILINE)

    client = _client(home, uncommented.replace("NAME", "robot"))

    assert client.profiles == ("robot",)
    assert client.access_rules is not None


async def test_json_has_the_token_and_the_entry(ask: Ask, home: Path) -> None:
    made = await ask("token", "--json", "--profile", "robot", "--rule", "GET /me")

    output = json.loads(made.out)

    assert made.err == ""
    client = _client(home, yaml.safe_dump({"clients": [output["client"]]}))
    assert client.digest == hashlib.sha256(output["token"].encode()).digest()
    assert client.profiles == ("robot",)


async def test_json_leaves_out_what_is_not_restricted(ask: Ask) -> None:
    made = await ask("token", "--json")

    assert list(json.loads(made.out)["client"]) == ["name", "token"]


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--rule", "GET"), "METHOD /path"),
        (("--rule", "get /me"), "unknown method"),
        (("--rule", "GET /me?x=1"), "without a query"),
        (("--rule", "GET /1.0/me"), "rule path '/1.0/me' never"),
        (("--rule", "read-only /v1/me"), "rule path '/v1/me' never"),
        (("--name", "two words"), "--name: invalid name 'two words'; use at most"),
        (("--profile", "../x"), "--profile: invalid name '../x'; use at most"),
    ],
)
async def test_what_the_settings_would_reject_makes_no_token(
    ask: Ask, flags: tuple[str, ...], what: str
) -> None:
    refused = await ask("token", *flags)

    assert (refused.code, refused.out) == (2, "")
    assert what in refused.err


async def test_a_shell_captures_the_token(start: Ask) -> None:
    made = await start("token", OVH_PROXY_TOKEN_NAME="ci")

    assert len(_token(made)) == 43
    assert "- name: ci" in made.err
