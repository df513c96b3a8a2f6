from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.acme import Acme, pebble
from support.clients import RunClient
from support.stand_in import SIGNED, StandIn
from support.tools import tool

pytestmark = [pytest.mark.asyncio, pytest.mark.clients]

NAME = "new.example.org"
# docs/clients.md says that these rules are enough.
CHANGES = "POST,DELETE /domain/zone/example.org/*"
CERTBOT = """\
dns_ovh_endpoint = ovh-eu
dns_ovh_application_key = made-up
dns_ovh_application_secret = made-up
dns_ovh_consumer_key = made-up
"""


@pytest_asyncio.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Acme]:
    """An ACME server that the clients can reach."""
    async with pebble(tmp_path, "example.org") as running:
        yield running


def changes(stand_in: StandIn) -> list[str]:
    """The calls that changed the zone."""
    return [f"{one.method} {one.target.decode()}" for one in stand_in.signed if one.method != "GET"]


async def test_lego_gets_a_certificate(
    run_client: RunClient, stand_in: StandIn, acme: Acme, tmp_path: Path
) -> None:
    options = f"--server {acme.url} --accept-tos --email me@example.org --path {tmp_path}/lego"
    names = f"--domains {NAME} --dns ovh --dns.disable-cp --dns.resolvers {acme.resolver}"
    command = (tool("lego"), *options.split(), *names.split(), "run")

    result = await run_client(
        *command,
        flags=("--made-up-keys", "--rule", CHANGES),
        LEGO_CA_CERTIFICATES=str(acme.ca_file),
    )

    assert (result.code, result.keys) == (0, []), result.err
    assert (tmp_path / f"lego/certificates/{NAME}.crt").exists()
    assert [call.split()[0] for call in changes(stand_in)] == ["POST", "POST", "DELETE", "POST"]
    assert set(stand_in.verdicts) == {SIGNED}


async def test_certbot_gets_a_certificate(
    run_client: RunClient, stand_in: StandIn, acme: Acme, tmp_path: Path
) -> None:
    keys = tmp_path / "ovh.ini"
    keys.touch(mode=0o600)
    keys.write_text(CERTBOT)
    directories = [f"--{name}-dir={tmp_path}/{name}" for name in ("config", "work", "logs")]
    options = f"--server {acme.url} --no-verify-ssl --agree-tos --non-interactive -m me@example.org"
    names = f"--authenticator dns-ovh --dns-ovh-propagation-seconds 0 -d {NAME}"

    result = await run_client(
        *(tool("certbot"), "certonly", *directories, *options.split(), *names.split()),
        *("--dns-ovh-credentials", keys),
        flags=("--rule", "read-only /domain/zone", "--rule", CHANGES),
    )

    assert (result.code, result.keys) == (0, []), result.err
    assert (tmp_path / f"config/live/{NAME}/fullchain.pem").exists()
    assert [call.split()[0] for call in changes(stand_in)] == ["POST", "POST", "DELETE", "POST"]
    assert set(stand_in.verdicts) == {SIGNED}
