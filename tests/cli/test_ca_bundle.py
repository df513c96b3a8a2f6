"""`ovh-proxy ca --bundle`."""

import re
import ssl
from pathlib import Path

import pytest
from support.ended import Ask

pytestmark = pytest.mark.asyncio

BLOCK = r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def state(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the authority, which does not exist yet."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return home / ".local" / "state" / "ovh-proxy" / "ca"


async def test_the_bundle_has_the_certificates_of_the_system_and_ours(
    ask: Ask, home: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ssl.DER_cert_to_PEM_cert(b"one of the system's")
    (home / "system.pem").write_text(system)
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "system.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(home / "nowhere"))

    ended = await ask("ca", "--bundle")

    assert ended.out == system + (state / "ca.pem").read_text()


async def test_a_bundle_that_replaces_itself_drops_the_former_authority(
    ask: Ask, home: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "bundle.pem").write_text(ssl.DER_cert_to_PEM_cert(b"one of the system's"))
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "bundle.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(home / "nowhere"))
    await ask("ca", "--bundle", "bundle.pem")
    former = (state / "ca.pem").read_text()

    ended = await ask("ca", "--renew", "--bundle", "bundle.pem")

    bundle = (home / "bundle.pem").read_text()
    assert ended.code == 0
    assert former not in bundle
    assert bundle.endswith((state / "ca.pem").read_text())
    assert len(re.findall(BLOCK, bundle)) == 2
