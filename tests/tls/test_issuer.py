"""TLS contexts made on demand, cached, and renewed in time."""

import os
import ssl
import tempfile
import time
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.handshake import names_of, shake_hands, trusting

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.tls.authority import CertificateAuthority, make_authority, new_key
from ovh_proxy.tls.certificates import load_chain, server_context
from ovh_proxy.tls.issuer import LeafIssuer, make_leaf

HOUR = 3600.0
LOCALHOST = ("localhost",)


@dataclass
class WallClock:
    """A clock that the test sets."""

    at: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return make_authority(DEFAULT_CONSTRAINTS, time.time())


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def issuer(authority, clock) -> LeafIssuer:
    return LeafIssuer(authority, clock)


def test_a_context_has_a_certificate_for_the_requested_names(issuer, authority):
    context = issuer.context(("localhost", "127.0.0.1", "::1"))

    names = names_of(shake_hands(context, trusting(authority.root_pem), "localhost"))

    assert names == ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"]


@pytest.mark.parametrize("later", [0.0, 1.0, 11.9 * HOUR])
def test_a_context_is_cached(issuer, clock, later):
    context = issuer.context(LOCALHOST)
    clock.at += later

    assert issuer.context(LOCALHOST) is context


@pytest.mark.parametrize("later", [12.1 * HOUR, 48 * HOUR, -1.0, -48 * HOUR])
def test_a_context_is_replaced_before_it_expires_and_when_the_clock_was_set_back(
    issuer, clock, later
):
    context = issuer.context(LOCALHOST)
    clock.at += later

    assert issuer.context(LOCALHOST) is not context


def test_a_client_that_requests_many_names_cannot_fill_the_memory(issuer):
    first = issuer.context(LOCALHOST)
    many = [issuer.context((f"{number}.localhost",)) for number in range(63)]
    used = issuer.context(LOCALHOST)

    issuer.context(("one.too.many.localhost",))

    assert used is first
    assert issuer.context(LOCALHOST) is first
    assert issuer.context(("1.localhost",)) is many[1]
    assert issuer.context(("0.localhost",)) is not many[0]


def test_a_new_authority_signs_all_later_certificates(issuer):
    issuer.context(LOCALHOST)
    other = make_authority(DEFAULT_CONSTRAINTS, time.time())

    issuer.sign_with(other)

    context = issuer.context(LOCALHOST)
    assert shake_hands(context, trusting(other.root_pem), "localhost").version()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted here")
def test_no_descriptor_is_left_open(issuer):
    issuer.context(LOCALHOST)
    before = len(os.listdir("/proc/self/fd"))

    issuer.context(("a.localhost",))

    assert len(os.listdir("/proc/self/fd")) <= before


def test_no_descriptor_is_left_open_if_loading_fails():
    before = len(os.listdir("/dev/fd"))

    with pytest.raises(ssl.SSLError):
        load_chain(server_context(), b"no PEM", b"no PEM")

    assert len(os.listdir("/dev/fd")) <= before


def test_without_dev_fd_the_key_is_briefly_in_a_file(authority, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    context, key = server_context(), new_key()
    chain = make_leaf(authority, LOCALHOST, key.public_key(), time.time()).encode()
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    load_chain(context, chain, key_pem, descriptors=str(tmp_path / "nowhere"))

    assert shake_hands(context, trusting(authority.root_pem), "localhost").version()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_more_than_a_pipe_can_hold_is_an_error():
    with pytest.raises(ssl.SSLError):
        load_chain(server_context(), b"x" * 10_000_000, b"no PEM")
