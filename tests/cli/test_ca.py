"""`ovh-proxy ca`."""

import asyncio
import re
import subprocess
from pathlib import Path

import pytest
from support.ended import Ask, Ended

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS

pytestmark = pytest.mark.asyncio

BLOCK = r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def state(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the authority, which does not exist yet."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return home / ".local" / "state" / "ovh-proxy" / "ca"


def _shown(ended: Ended) -> dict[str, str]:
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in ended.out.splitlines())


async def test_the_authority_is_created_and_shown(ask: Ask, state: Path) -> None:
    ended = await ask("ca")

    shown = _shown(ended)
    assert (ended.code, ended.err) == (0, "")
    assert shown["certificate"] == str(state / "ca.pem")
    assert shown["key"] == str(state / "key.pem")
    assert re.fullmatch(r"SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}", shown["fingerprint"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", shown["valid until"])
    assert shown["limited to"] == str(DEFAULT_CONSTRAINTS)
    assert (state / "key.pem").stat().st_mode & 0o777 == 0o600


async def test_the_authority_does_not_change(ask: Ask) -> None:
    first = await ask("ca")

    assert (await ask("ca")).out == first.out


async def test_the_fingerprint_is_the_one_that_openssl_prints(ask: Ask, state: Path) -> None:
    shown = _shown(await ask("ca"))
    try:
        printed = subprocess.run(
            ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", state / "ca.pem"],
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("no openssl command")

    assert printed.stdout.strip().partition("=")[2] == shown["fingerprint"].removeprefix("SHA-256 ")


async def test_the_export_is_only_the_certificate(ask: Ask, state: Path) -> None:
    ended = await ask("ca", "--export")

    assert (ended.code, ended.err) == (0, "")
    assert re.fullmatch(BLOCK, ended.out)
    assert ended.out == (state / "ca.pem").read_text()


async def test_the_export_can_be_written_to_a_file(ask: Ask, home: Path, state: Path) -> None:
    ended = await ask("ca", "--export", "ours.crt")

    assert (ended.code, ended.out) == (0, "")
    assert "wrote ours.crt" in ended.err
    assert (home / "ours.crt").read_text() == (state / "ca.pem").read_text()


async def test_export_and_bundle_cannot_both_write_to_standard_output(
    ask: Ask, state: Path
) -> None:
    ended = await ask("ca", "--export", "--bundle")

    assert (ended.code, ended.out) == (2, "")
    assert "cannot both write to standard output" in ended.err
    assert not state.exists()


async def test_renew_creates_a_new_authority(ask: Ask) -> None:
    first = _shown(await ask("ca"))

    second = _shown(await ask("ca", "--renew"))

    assert second["fingerprint"] != first["fingerprint"]
    assert second == _shown(await ask("ca"))


@pytest.mark.parametrize("text", ["", "no key at all", "-----BEGIN PRIVATE KEY-----\n"])
async def test_a_damaged_authority_is_reported_and_can_be_renewed(
    ask: Ask, state: Path, text: str
) -> None:
    await ask("ca")
    (state / "key.pem").write_text(text)

    damaged, renewed = await ask("ca"), await ask("ca", "--renew")

    assert (damaged.code, damaged.out) == (1, "")
    assert damaged.err.endswith("run: ovh-proxy ca --renew\n")
    assert renewed.code == 0


async def test_a_wrong_certificate_file_is_repaired(ask: Ask, state: Path) -> None:
    await ask("ca")
    good = (state / "ca.pem").read_text()
    (state / "ca.pem").write_text("from before a crash")

    await ask("ca")

    assert (state / "ca.pem").read_text() == good


async def test_a_key_that_others_may_read_is_rejected(ask: Ask, state: Path) -> None:
    await ask("ca")
    (state / "key.pem").chmod(0o644)

    ended = await ask("ca")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith(f"run: chmod 600 {state / 'key.pem'}\n")


async def test_the_state_directory_can_be_named(start: Ask, home: Path) -> None:
    ended = await start("ca", OVH_PROXY_STATE_DIR=str(home / "elsewhere"))

    assert _shown(ended)["certificate"] == str(home / "elsewhere" / "ca" / "ca.pem")


async def test_an_unusable_state_directory_is_reported(start: Ask, home: Path) -> None:
    (home / "file").write_text("")

    ended = await start("ca", OVH_PROXY_STATE_DIR=str(home / "file"))

    assert (ended.code, ended.out) == (1, "")
    assert "set OVH_PROXY_STATE_DIR to a directory that you own" in ended.err


async def test_concurrent_commands_create_one_authority(start: Ask, home: Path) -> None:
    ended = await asyncio.gather(*(start("ca") for _ in range(3)))

    assert {one.code for one in ended} == {0}
    assert len({one.out for one in ended}) == 1


@pytest.mark.parametrize("flags", [(), ("--export",), ("--bundle",), ("--renew",)], ids=str)
async def test_the_key_is_never_printed(ask: Ask, state: Path, flags: tuple[str, ...]) -> None:
    ended = await ask("ca", *flags)

    lines = (state / "key.pem").read_text().split("-----")[2].split()
    assert lines
    assert "PRIVATE KEY" not in ended.out + ended.err
    assert not any(line in ended.out + ended.err for line in lines)
