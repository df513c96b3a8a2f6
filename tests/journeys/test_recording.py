"""Recorded calls become access rules that allow these calls and nothing else."""

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml
from support.command import environment, running, write_store

from ovh_proxy.recording.calls import parse_recording
from ovh_proxy.sandbox.api import Sandbox

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"^```sh example\n(.*?)```", README.read_text(), re.DOTALL | re.MULTILINE)
SECRETS = ("unique-query-word", "unique-body-word", "unique-header-word")

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(
        not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"
    ),
]


async def _output(*command: str, home: Path, **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=home,
        env=environment(home, **env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, (out, err)
    return out.decode()


async def _run_examples(url: str, home: Path) -> list[str]:
    shell = ("bash", "-euo", "pipefail", "-c")
    return [await _output(*shell, example, home=home, OVH_PROXY_URL=url) for example in EXAMPLES]


async def _record(home: Path, sandbox: Sandbox, *flags: str | Path) -> Path:
    """A recording of the README's examples."""
    store, file = write_store(home, sandbox), home / "rules.jsonl"
    arguments = ("--credentials", store, "--listen", "127.0.0.1:0", "--record-rules", file)
    async with running(home, "run", *arguments, *flags) as proxy:
        await _run_examples(proxy.url, home)
        async with aiohttp.ClientSession(proxy.url) as session:
            await session.post(
                f"/domain/zone/example.org/record?x={SECRETS[0]}",
                data=json.dumps({"fieldType": "A", "target": SECRETS[1]}),
                headers={"X-Anything": SECRETS[2]},
            )
            await session.get("/me/unique-unknown-route")
            await session.get("/auth/time")
    return file


async def _rules(home: Path, file: Path, profile: str) -> list[str]:
    output = await _output(
        *(sys.executable, "-m", "ovh_proxy", "rules", str(file), "--profile", profile), home=home
    )
    return list(yaml.safe_load(output)["access_rules"])


async def test_the_examples_pass_with_the_rules_recorded_from_them(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        file = await _record(tmp_path, sandbox)
        rules = {name: await _rules(tmp_path, file, name) for name in ("personal", "runabove")}
        store = yaml.safe_load((tmp_path / "credentials.yaml").read_text())
        for name, granted in rules.items():
            store["profiles"][name] = {**store["profiles"][name], "access_rules": granted}
        (tmp_path / "credentials.yaml").write_text(yaml.safe_dump(store))
        arguments = ("--credentials", tmp_path / "credentials.yaml", "--listen", "127.0.0.1:0")

        async with running(tmp_path, "run", *arguments) as proxy:
            output = await _run_examples(proxy.url, tmp_path)
            before = len(sandbox.requests)
            async with aiohttp.ClientSession(proxy.url) as session:
                refused = await session.delete("/domain/zone/example.org/record/1")
                other = await session.get("/@runabove/me")

    assert rules == {
        "personal": [
            "POST /auth/credential",
            "GET /dedicated/server",
            "GET /dedicated/server/*",
            "PUT /dedicated/server/*/burst",
            "POST /domain/zone/*/record",
            "GET /me",
            "GET /me/bill",
            "GET /me/bill/*",
        ],
        "runabove": ["GET /instance"],
    }
    assert all(output)
    assert (refused.status, other.status) == (403, 403)
    assert {response.headers["X-Ovh-Proxy-Error"] for response in (refused, other)} == {
        "ACCESS_DENIED"
    }
    assert len(sandbox.requests) == before


async def test_a_recording_contains_path_patterns_and_no_values(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        file = await _record(tmp_path, sandbox)

    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(parse_recording(text, "file")) == len(text.splitlines())
    assert not [
        word
        for word in (*SECRETS, "unique-unknown", "example.org", "/auth/time", "FR")
        if word in text
    ]


async def test_a_schema_on_disk_is_not_fetched_again(tmp_path: Path) -> None:
    schema = tmp_path / "schema"
    async with Sandbox() as sandbox:
        async with aiohttp.ClientSession() as session:
            for section in ("auth", "me", "dedicated/server", "domain", "instance"):
                answer = await session.get(f"{sandbox.base_url}/{section}.json")
                place = schema / f"{section}.json"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(await answer.read())
        before = len(sandbox.requests)

        file = await _record(tmp_path, sandbox, "--schema", schema)

        targets = [request.target for request in sandbox.requests[before:]]
    assert not [target for target in targets if target.endswith((b".json", b"1.0/"))]
    assert "GET /me/bill/*" in await _rules(tmp_path, file, "personal")


async def test_a_recording_is_continued(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        first = (await _record(tmp_path, sandbox)).read_text()

        second = (await _record(tmp_path, sandbox)).read_text()

    assert second == first


@pytest.mark.parametrize(
    "name",
    ["credentials.yaml", "nowhere/rules.jsonl", "."],
    ids=["another file", "no directory", "a directory"],
)
async def test_an_unusable_recording_file_is_an_error_before_serving(
    tmp_path: Path, name: str
) -> None:
    async with Sandbox() as sandbox:
        store = write_store(tmp_path, sandbox)
    before = store.read_text()

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ovh_proxy", "run", "--listen", "127.0.0.1:0"),
        *("--credentials", str(store), "--record-rules", name),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"ovh-proxy: ")
    assert b"Traceback" not in err
    assert store.read_text() == before


async def test_the_recording_of_a_batch_call_contains_no_resource(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        store, file = write_store(tmp_path, sandbox), tmp_path / "rules.jsonl"
        arguments = ("--credentials", store, "--listen", "127.0.0.1:0", "--record-rules", file)
        async with (
            running(tmp_path, "run", *arguments) as proxy,
            aiohttp.ClientSession(proxy.url) as session,
        ):
            ids = await (await session.get("/domain/zone/example.org/record")).json()
            joined = ",".join(map(str, ids[:2]))
            answer = await session.get(
                f"/domain/zone/example.org/record/{joined}", headers={"X-Ovh-Batch": ","}
            )
            found = await answer.json()

    assert len(found) == 2
    assert await _rules(tmp_path, file, "personal") == [
        "GET /domain/zone/*/record",
        "GET /domain/zone/*/record/*",
    ]


async def test_a_batch_call_with_one_forbidden_resource_is_not_forwarded(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        store = write_store(tmp_path, sandbox)
        loaded = yaml.safe_load(store.read_text())
        loaded["profiles"]["personal"]["access_rules"] = ["GET /me/bill/FR1*"]
        store.write_text(yaml.safe_dump(loaded))
        arguments = ("--credentials", store, "--listen", "127.0.0.1:0")
        async with (
            running(tmp_path, "run", *arguments) as proxy,
            aiohttp.ClientSession(proxy.url) as session,
        ):
            batch = {"X-Ovh-Batch": ","}
            granted = await session.get("/me/bill/FR10030001,FR10030002", headers=batch)
            before = len(sandbox.requests)
            refused = await session.get("/me/bill/FR10030001,XX1", headers=batch)

    assert granted.status == 200
    assert (refused.status, refused.headers["X-Ovh-Proxy-Error"]) == (403, "ACCESS_DENIED")
    assert len(sandbox.requests) == before
