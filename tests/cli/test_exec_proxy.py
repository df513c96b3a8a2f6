import stat
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType

import pytest

from ovh_proxy.cli.exec_proxy import new_authority, private_constraints, private_directory
from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store


def store(*base_urls: str) -> Store:
    profiles = {
        f"p{number}": Profile(f"p{number}", parse_endpoint(url), AccessToken(Secret("x")))
        for number, url in enumerate(base_urls)
    }
    return Store(MappingProxyType(profiles), None, "test")


@pytest.mark.parametrize("host", ["www.ovh.com", "ca.ovh.com", "us.ovhcloud.com"])
def test_the_token_hosts_are_allowed(host: str) -> None:
    assert private_constraints(store()).cover(host)
    assert not DEFAULT_CONSTRAINTS.cover(host)


@pytest.mark.parametrize("host", ["example.org", "com", "ovh.com", "192.0.2.1"])
def test_other_hosts_are_not_allowed(host: str) -> None:
    assert not private_constraints(store("ovh-eu")).cover(host)


def test_the_hosts_of_the_store_are_allowed() -> None:
    constraints = private_constraints(
        store("https://api.internal:8443/1.0", "https://192.0.2.9/1.0", "https://[2001:db8::1]/1.0")
    )

    assert "api.internal" in constraints.names
    assert constraints.cover("192.0.2.9")
    assert not constraints.cover("192.0.2.8")
    assert ip_network("2001:db8::1/128") in constraints.networks


def test_each_name_is_listed_once() -> None:
    constraints = private_constraints(store("ovh-eu", "ovh-ca", "http://localhost:1/1.0"))

    assert len(set(constraints.names)) == len(constraints.names)


def test_each_authority_is_different() -> None:
    first, second = new_authority(store()), new_authority(store())

    assert first.fingerprint != second.fingerprint
    assert set(first.constraints.names) >= {"eu.api.ovh.com", "www.ovh.com", "localhost"}


def test_the_directory_is_private_and_is_deleted_with_its_files() -> None:
    with private_directory() as directory:
        (directory / "a.pem").write_text("x")
        mode = stat.S_IMODE(directory.stat().st_mode)

    assert mode == 0o700
    assert not directory.exists()


def test_the_directory_is_deleted_after_a_failure() -> None:
    seen: list[Path] = []

    def fail() -> None:
        with private_directory() as directory:
            seen.append(directory)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert not seen[0].exists()


def test_without_a_directory_the_error_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="set TMPDIR"), private_directory(tmp_path / "missing"):
        pass
