"""Listeners with `tls: auto`: the certificate of a handshake."""

import os
import ssl
import time
from collections.abc import Callable, Iterator

import pytest
from support.handshake import names_of, shake_hands
from support.intercepted import client_of

from ovh_proxy.core.settings import TcpAddress
from ovh_proxy.tls.stored_authority import AutoCertificates

LOOPBACK = TcpAddress("127.0.0.1", 0)
OWN = ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"]


@pytest.mark.parametrize(
    "name",
    ["localhost", "a.localhost", "A.LocalHost", "eu.api.ovh.com", "api.us.ovhcloud.com"],
)
def test_a_client_gets_a_certificate_for_the_requested_name(certificates, files, name):
    connection = shake_hands(certificates.context, client_of(files), name)

    assert names_of(connection) == [name.lower()]


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "localhost"])
def test_without_a_requested_name_the_certificate_is_for_loopback(certificates, files, name):
    # An address is checked, but never sent as a server name (RFC 6066 section 3).
    connection = shake_hands(certificates.context, client_of(files), name)

    assert names_of(connection) == (OWN if name != "localhost" else ["localhost"])


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("127.1.2.3", ["127.1.2.3"]),
        ("box.localhost", ["box.localhost"]),
        ("::1", []),
        ("0.0.0.0", []),
        ("192.0.2.1", []),
        ("box.example", []),
    ],
)
def test_the_address_of_the_listener_is_included_if_the_constraints_permit_it(
    tls, files, host, more
):
    certificates = AutoCertificates(tls, TcpAddress(host, 8443))

    connection = shake_hands(certificates.context, client_of(files), "127.0.0.1")

    assert names_of(connection) == OWN + more


@pytest.mark.parametrize("name", ["www.ovh.com", "www.example.com", "localhost.example", "a"])
def test_a_client_that_requests_a_name_outside_the_constraints_gets_the_default_certificate(
    certificates, files, name
):
    with pytest.raises(ssl.SSLCertVerificationError, match=f"not valid for '{name}'"):
        shake_hands(certificates.context, client_of(files), name)


def test_names_outside_the_constraints_share_one_certificate(certificates, files):
    serials = {
        shake_hands(
            certificates.context, client_of(files, checks_name=False), f"{number}.example"
        ).getpeercert()["serialNumber"]
        for number in range(3)
    }

    assert len(serials) == 1


def test_a_second_listener_has_the_same_authority(tls, certificates, files):
    other = AutoCertificates(tls, LOOPBACK)

    assert shake_hands(other.context, client_of(files), "localhost").version()


def test_an_expiring_leaf_is_replaced(tls, files):
    at = [time.time() - 23 * 3600]
    certificates = AutoCertificates(tls, LOOPBACK, lambda: at[0])
    client = client_of(files, checks_name=False)
    before = shake_hands(certificates.context, client).getpeercert()
    at[0] += 23 * 3600

    after = shake_hands(certificates.context, client).getpeercert()

    assert ssl.cert_time_to_seconds(before["notAfter"]) < time.time() + 3601
    assert ssl.cert_time_to_seconds(after["notAfter"]) > time.time() + 23 * 3600


@pytest.fixture
def out_of_descriptors() -> Iterator[Callable[[], None]]:
    """Leaves this process without free descriptors until the end of the test."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def run_out() -> None:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))

    yield run_out
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_the_handshake_fails_and_nothing_is_printed(
    certificates, files, out_of_descriptors, capfd
):
    client = client_of(files)
    shake_hands(certificates.context, client, "a.localhost")
    out_of_descriptors()

    with pytest.raises(ssl.SSLError):
        shake_hands(certificates.context, client, "b.localhost")

    assert shake_hands(certificates.context, client, "a.localhost").version()
    assert capfd.readouterr() == ("", "")
