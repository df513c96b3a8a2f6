"""`tls: auto` while its authority changes."""

import io
import ssl
import time
from datetime import timedelta

import pytest
from support.handshake import shake_hands
from support.intercepted import client_of

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.core.settings import TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.tls.authority import make_authority
from ovh_proxy.tls.stored_authority import (
    AuthorityFiles,
    AutoCertificates,
    open_authority,
)

LOOPBACK = TcpAddress("127.0.0.1", 0)


def reload(certificates: AutoCertificates) -> str:
    """Reloads if the files have changed; returns the log."""
    log = io.StringIO()
    assert certificates.reload_if_changed(Log("info", "text", log)) is False
    return log.getvalue()


def test_a_renewed_authority_signs_later_certificates(certificates, files):
    former = client_of(files)
    shake_hands(certificates.context, former, "localhost")
    open_authority(files, time.time(), renews=True)

    logged = reload(certificates)

    assert "certificate authority reloaded" in logged
    assert shake_hands(certificates.context, client_of(files), "localhost").version()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificates.context, former, "localhost")


def test_an_unchanged_authority_is_not_reloaded(certificates):
    assert reload(certificates) == ""


def _damage(files: AuthorityFiles, how: str) -> None:
    match how:
        case "gone":
            files.private.unlink()
        case "no key":
            files.private.write_text("no key at all")
        case "open to others":
            files.private.chmod(0o644)
        case "expired":
            ended = time.time() - 30 * 86_400
            made = make_authority(DEFAULT_CONSTRAINTS, ended, timedelta(days=1))
            files.private.write_text(made.private_pem())


DAMAGES = {
    "gone": "does not exist",
    "no key": "run: ovh-proxy ca --renew",
    "open to others": "run: chmod 600",
    "expired": "run: ovh-proxy ca --renew",
}


@pytest.mark.parametrize(("how", "expected"), DAMAGES.items(), ids=DAMAGES)
def test_an_invalid_authority_keeps_the_previous_one(certificates, files, how, expected):
    client = client_of(files)
    _damage(files, how)

    logged, again = reload(certificates), reload(certificates)

    assert "certificate authority reload failed, keeping" in logged
    assert expected in logged
    assert again == ""
    assert shake_hands(certificates.context, client, "localhost").version()


def test_an_authority_is_loaded_after_its_mode_was_fixed(certificates, files):
    open_authority(files, time.time(), renews=True)
    files.private.chmod(0o644)
    rejected = reload(certificates)
    files.private.chmod(0o600)

    loaded = reload(certificates)

    assert "certificate authority reload failed, keeping" in rejected
    assert "certificate authority reloaded" in loaded


@pytest.mark.parametrize("how", ["no key", "open to others", "expired"])
def test_a_listener_without_a_usable_authority_does_not_start(certificates, tls, files, how):
    _damage(files, how)

    with pytest.raises(CommandFailed, match=DAMAGES[how]):
        AutoCertificates(tls, LOOPBACK)
