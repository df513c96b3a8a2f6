"""Leaf certificates, verified by a client."""

import ssl
import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.handshake import shake_hands, trusting

from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.tls.authority import CertificateAuthority, make_authority, new_key
from ovh_proxy.tls.certificates import load_chain, server_context
from ovh_proxy.tls.issuer import make_leaf

NOW = time.time()
KEY = new_key()
KEY_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return make_authority(DEFAULT_CONSTRAINTS, NOW)


def serving(chain: str) -> ssl.SSLContext:
    context = server_context()
    load_chain(context, chain.encode(), KEY_PEM)
    return context


@pytest.mark.parametrize(
    "names",
    [("localhost",), ("127.0.0.1",), ("::1",), ("eu.api.ovh.com",), ("a.localhost", "127.9.9.9")],
    ids=" ".join,
)
def test_a_leaf_is_accepted_for_each_of_its_names(authority, names):
    context = serving(make_leaf(authority, names, KEY.public_key(), NOW))

    for name in names:
        assert shake_hands(context, trusting(authority.root_pem), name).version() == "TLSv1.3"


def test_a_leaf_is_rejected_for_another_name(authority):
    context = serving(make_leaf(authority, ["localhost"], KEY.public_key(), NOW))

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(context, trusting(authority.root_pem), "a.localhost")


def test_a_leaf_is_rejected_by_a_client_that_trusts_another_authority(authority):
    context = serving(make_leaf(authority, ["localhost"], KEY.public_key(), NOW))
    other = make_authority(DEFAULT_CONSTRAINTS, NOW)

    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake_hands(context, trusting(other.root_pem), "localhost")


def test_a_leaf_is_short_lived_and_backdated_for_slow_clocks(authority):
    leaf = x509.load_pem_x509_certificate(
        make_leaf(authority, ["localhost"], KEY.public_key(), NOW).encode()
    )

    assert leaf.not_valid_before_utc.timestamp() == pytest.approx(NOW - 3600, abs=1)
    assert leaf.not_valid_after_utc.timestamp() == pytest.approx(NOW + 86_400, abs=1)


@pytest.mark.parametrize("after_s", [-3600, 60, 100_000], ids=["within", "behind", "long behind"])
def test_a_leaf_expires_no_later_than_its_authority(after_s):
    authority = make_authority(DEFAULT_CONSTRAINTS, NOW, timedelta(days=1))
    ends = authority.signer.not_valid_after_utc

    made = make_leaf(authority, ["localhost"], KEY.public_key(), ends.timestamp() + after_s)

    assert x509.load_pem_x509_certificate(made.encode()).not_valid_after_utc == ends
