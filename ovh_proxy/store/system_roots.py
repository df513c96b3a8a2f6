"""The certificate authorities that this system trusts, as PEM."""

import base64
import binascii
import os
import re
import ssl
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ovh_proxy.core.errors import CommandFailed

_BLOCK = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII
)
# Where OpenSSL was built to look elsewhere. Source: Go's crypto/x509, root_linux.go, root_bsd.go.
_WELL_KNOWN = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def system_roots(without: bytes, well_known: Iterable[str] = _WELL_KNOWN) -> str:
    """All of them, each once.

    Args:
        without: what no certificate may have in it: a bundle that was made before may be what
            this system is told to trust.
        well_known: files of which the first is taken where OpenSSL finds nothing.

    Raises:
        CommandFailed: there are none.
    """
    found = dict.fromkeys(der for der in _certificates(well_known) if without not in der)
    if not found:
        raise CommandFailed(
            "no certificate authorities of this system are found; "
            "set SSL_CERT_FILE to a PEM file of them"
        )
    return "".join(map(ssl.DER_cert_to_PEM_cert, found))


def certificates_of(path: str, without: bytes) -> str:
    """Those of a PEM file, or of a directory of them; empty where there are none.

    Args:
        without: what no certificate may have in it.
    """
    cursor = Path(path)
    files = sorted(cursor.glob("*")) if cursor.is_dir() else [cursor]
    found = dict.fromkeys(der for der in _in_files(files) if without not in der)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found))


def _certificates(well_known: Iterable[str]) -> Iterator[bytes]:
    if sys.platform == "win32":  # pragma: no cover - its own store
        for der, kind, _ in ssl.enum_certificates("ROOT"):
            if kind == "x509_asn":
                yield der
        return
    paths = ssl.get_default_verify_paths()
    named = [Path(paths.cafile)] if paths.cafile else []
    if paths.capath:
        named += sorted(Path(paths.capath).glob("*"))
    found = False
    for der in _in_files(named):
        found = True
        yield der
    if not found:
        yield from _in_files([next(filter(Path.is_file, map(Path, well_known)), Path(os.devnull))])


def _in_files(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            text = path.read_bytes()
        except OSError:  # a link that leads nowhere, a directory, another's file
            continue
        for block in _BLOCK.findall(text):
            try:
                yield base64.b64decode(block)
            except binascii.Error:
                continue
