import asyncio
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.command import write_store
from support.ended import Ask

from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

_DATA = json.loads((Path(__file__).parents[1] / "data/signature_vectors.json").read_text())
# Vectors that a command line can hold: an ASCII path below a base URL.
VECTORS = [
    vector
    for vector in _DATA["vectors"]
    if re.fullmatch(r"https://[^/]+/[!-~]*", vector["url"]) and "#" not in vector["url"]
]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def _store(home: Path, **fields: Any) -> Path:
    """A store with one profile, by default with the made-up keys of OVHcloud's guide."""
    profile = {
        "endpoint": "ovh-eu",
        "application_key": "7kbG7Bk7S9Nt7ZSV",
        "application_secret": "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF",
        "consumer_key": "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1",
        **fields,
    }
    store = home / "credentials.yaml"
    # JSON is YAML.
    known = {key: value for key, value in profile.items() if value is not None}
    store.write_text(json.dumps({"profiles": {"personal": known}}))
    store.chmod(0o600)
    return store


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
async def test_the_known_answers_are_printed_in_the_documented_spelling(
    ask: Ask, home: Path, vector: dict[str, Any]
) -> None:
    parts = urlsplit(vector["url"])
    store = _store(
        home,
        endpoint=f"{parts.scheme}://{parts.netloc}",
        **{key: vector[key] for key in ("application_key", "application_secret", "consumer_key")},
    )
    target = vector["url"].removeprefix(f"{parts.scheme}://{parts.netloc}")

    ended = await ask(
        "sign", vector["method"], target, f"--data={vector['body']}",
        f"--timestamp={vector['timestamp']}", "--credentials", store,
    )  # fmt: skip

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"X-Ovh-Application: {vector['application_key']}",
        f"X-Ovh-Consumer: {vector['consumer_key']}",
        f"X-Ovh-Timestamp: {vector['timestamp']}",
        f"X-Ovh-Signature: {vector['expected_signature']}",
    ]


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ("/me?x=%7E", "https://eu.api.ovh.com/1.0/me?x=%7E"),
        ("/v2/iam/policy", "https://eu.api.ovh.com/v2/iam/policy"),
        ("/@personal/me", "https://eu.api.ovh.com/1.0/me"),
        ("/ip/192.0.2.0%2F24", "https://eu.api.ovh.com/1.0/ip/192.0.2.0%2F24"),
    ],
)
async def test_the_path_is_interpreted_like_that_of_a_request(
    ask: Ask, home: Path, arguments: str, url: str
) -> None:
    ended = await ask(
        "sign", "GET", arguments, "--timestamp=1", "--explain", "--credentials", _store(home)
    )

    assert f"#   URL: {url}\n" in ended.out


async def test_an_explanation_masks_the_secrets(ask: Ask, home: Path) -> None:
    ended = await ask(
        "sign", "post", "/me", "--data", '{"a":"é\n"}', "--timestamp=7", "--explain",
        "--credentials", _store(home),
    )  # fmt: skip

    assert [line.removeprefix("#   ") for line in ended.out.splitlines()[6:]] == [
        "application secret: ***",
        "consumer key: ***",
        "method: POST",
        "URL: https://eu.api.ovh.com/1.0/me",
        'body: {"a":"é\\u000a"}',
        "timestamp: 7",
    ]
    assert ended.out.count("MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1") == 1


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b"", "(empty)"), (b"\xff\x00", "2 bytes"), (b"x" * 501, "x" * 500 + "…")],
    ids=["none", "binary", "long"],
)
async def test_an_explanation_shows_the_body_or_its_size(
    ask: Ask, home: Path, body: bytes, shown: str
) -> None:
    ended = await ask(
        "sign", "POST", "/me", "--data=-", "--timestamp=7", "--explain",
        "--credentials", _store(home), stdin=body,
    )  # fmt: skip

    assert f"#   body: {shown}\n" in ended.out


async def test_with_a_timestamp_no_request_is_made(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    ended = await ask("sign", "GET", "/me", "--timestamp=1", "--credentials", store)

    assert (ended.code, sandbox.requests) == (0, [])


async def test_without_a_timestamp_the_endpoints_time_is_used(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    sandbox.clock_offset = 86_400.0
    store = write_store(home, sandbox)

    ended = await ask("sign", "GET", "/me", "--curl", "--credentials", store)

    status = await _run_curl(ended.out)
    assert [request.target for request in sandbox.requests] == [b"/1.0/auth/time", b"/1.0/me"]
    assert status == 200


async def test_an_unreachable_endpoint_is_one_line(ask: Ask, home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)
    await sandbox.stop()

    ended = await ask("sign", "GET", "/me", "--credentials", store)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"ovh-proxy: 127.0.0.1:{sandbox.port} refuses connections\n"


async def _run_curl(line: str) -> int:
    """The status of the response to a printed command."""
    script = f"{line.strip()} -s -o answer -w '%{{http_code}}'"
    process = await asyncio.create_subprocess_exec("sh", "-c", script, stdout=subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    return int(out)


@needs_curl
@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["GET", "/me"], b""),
        (["HEAD", "/me"], b""),
        (["DELETE", "/sandbox/echo"], b""),
        (["POST", "/sandbox/echo"], b""),
        (["GET", "/sandbox/echo?x=[1-3]{a,b}&y=%27'"], b""),
        (["POST", "/sandbox/echo", "--data", """{"name":"it's é $HOME `id` \\n"}"""], None),
        (["POST", "/sandbox/echo", "--data", "line one\nline two\n"], None),
        (["PUT", "/sandbox/echo", "--data", "@body file"], b"\x00\xff\n@\r\n"),
        (["POST", "/sandbox/echo", "--data", "-"], b"@etc and ' quotes\n"),
    ],
    ids=["plain", "head", "delete", "empty post", "globs", "json", "lines", "file", "stdin"],
)
async def test_a_printed_command_makes_the_call_byte_for_byte(
    ask: Ask, home: Path, sandbox: Sandbox, arguments: list[str], body: bytes | None
) -> None:
    (home / "body file").write_bytes(body or b"")
    store = write_store(home, sandbox)
    ended = await ask("sign", *arguments, "--curl", "--credentials", store, stdin=body or b"")

    status = await _run_curl(ended.out)

    received = sandbox.requests[-1]
    assert (status, received.verdict) == (200, "signed by 7kbG7Bk7S9Nt7ZSV")
    assert received.method == arguments[0]
    assert received.target == b"/1.0" + arguments[1].encode()
    assert received.body == (arguments[3].encode() if body is None else body)


async def test_a_printed_command_sets_the_content_type_of_json(ask: Ask, home: Path) -> None:
    ended = await ask(
        "sign", "POST", "/me", "--data", '{"a":1}', "--timestamp=1", "--curl",
        "--credentials", _store(home),
    )  # fmt: skip

    words = shlex.split(ended.out)
    assert "Content-Type: application/json" in words
    assert words[words.index("--data-binary") + 1] == '{"a":1}'
    assert [line for line in ended.out.splitlines() if "MtSw" in line] == [
        "  -H 'X-Ovh-Consumer: MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1' \\"
    ]


async def test_a_command_with_an_explanation_still_runs(
    ask: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)
    ended = await ask("sign", "GET", "/me", "--curl", "--explain", "--credentials", store)

    checked = await asyncio.to_thread(
        subprocess.run, ["sh", "-s"], input=ended.out.encode(), capture_output=True, check=False
    )

    assert (checked.returncode, sandbox.requests[-1].verdict) == (0, "signed by 7kbG7Bk7S9Nt7ZSV")


@pytest.mark.parametrize(
    ("fields", "arguments", "code", "message"),
    [
        ({"access_rules": ["GET /me"]}, "DELETE /me", 1, "no access rule of profile personal"),
        ({}, "POST /auth/logout", 1, "would revoke the key for everyone"),
        ({"consumer_key": None}, "GET /me", 1, "no consumer key yet"),
        ({}, "GET /auth/time", 1, "GET /auth/time is not signed"),
        ({}, "POST /auth/credential", 1, "POST /auth/credential is not signed"),
        ({}, "GET /a/../b", 2, "ambiguous path"),
        ({}, "GET me", 2, "not a path"),
        ({}, "GET /-/healthz", 2, "the proxy's own"),
        ({}, "GET /@nosuch/me", 2, "unknown profile 'nosuch'; use personal"),
        ({}, "GET /me --profile nosuch", 2, "--profile: unknown profile 'nosuch'; use personal"),
        ({}, "G?T /me", 2, "METHOD: invalid method 'G?T'; use"),
        ({}, "POST /me --data @nosuch", 2, "--data: cannot read nosuch: no such file"),
        ({}, "GET /me --timestamp=-1", 2, "--timestamp"),
    ],
)
async def test_a_call_that_cannot_be_signed_is_one_line(
    ask: Ask, home: Path, fields: dict[str, Any], arguments: str, code: int, message: str
) -> None:
    store = _store(home, **fields)

    ended = await ask("sign", "--timestamp=1", *arguments.split(), "--credentials", store)

    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert ended.err.startswith("ovh-proxy: ")
    assert message in ended.err


@pytest.mark.parametrize("path", ["/me?a b", "/me?\r\nX-Evil: 1", "/me\t"])
async def test_a_path_that_no_request_line_can_hold_is_rejected(
    ask: Ask, home: Path, path: str
) -> None:
    ended = await ask("sign", "GET", path, "--timestamp=1", "--credentials", _store(home))

    assert (ended.code, ended.out) == (2, "")
    assert "percent-encode it (%20)" in ended.err


async def test_a_body_that_no_command_line_can_hold_is_rejected_for_curl(
    ask: Ask, home: Path
) -> None:
    ended = await ask(
        "sign", "POST", "/me", "--data=-", "--timestamp=1", "--curl",
        "--credentials", _store(home), stdin=b"a\x00b",
    )  # fmt: skip

    assert (ended.code, ended.out) == (2, "")
    assert "--data @FILE" in ended.err


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"client_id": "EU.0", "client_secret": "unseen-word"}, "service account"),
        ({"access_token": "unseen-word"}, "access token"),
    ],
    ids=["service account", "access token"],
)
async def test_a_profile_that_does_not_sign_is_an_error_with_a_remedy(
    ask: Ask, home: Path, fields: dict[str, str], kind: str
) -> None:
    keys = dict.fromkeys(("application_key", "application_secret", "consumer_key"))
    store = _store(home, **{**keys, **fields})

    ended = await ask("sign", "GET", "/me", "--timestamp=1", "--credentials", store)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"ovh-proxy: calls of profile personal are not signed: they carry a token ({kind}); "
        "run: ovh-proxy run --profile personal\n"
    )
