"""The authority of `tls: auto`, in a temporary state directory."""

from pathlib import Path

import pytest

from ovh_proxy.core.settings import AutoTls, TcpAddress
from ovh_proxy.tls.stored_authority import AuthorityFiles, AutoCertificates


@pytest.fixture
def files(tmp_path: Path) -> AuthorityFiles:
    """The files of the authority."""
    return AuthorityFiles(tmp_path)


@pytest.fixture
def tls(tmp_path: Path) -> AutoTls:
    return AutoTls(str(tmp_path))


@pytest.fixture
def certificates(tls: AutoTls) -> AutoCertificates:
    """The certificates of a listener on loopback, which makes the authority."""
    return AutoCertificates(tls, TcpAddress("127.0.0.1", 0))
