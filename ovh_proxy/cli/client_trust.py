"""Files and variables by which clients trust our certificate authority, beside the system's."""

import base64
import binascii
import os
import re
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ovh_proxy.config.files import make_directory, write_public
from ovh_proxy.config.sources import Sources, state_directory
from ovh_proxy.core.errors import CommandFailed

_WGETRC, _SCANNED = "WGETRC", "PHP_INI_SCAN_DIR"

_MARK = "# Of ovh-proxy."


def write_settings(directory: Path, bundle: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Writes them; gives the variables.

    Args:
        directory: of ours, that clients can read.
        bundle: all that is to be trusted, as PEM.
        environ: what clients are told already.

    Raises:
        CommandFailed: a file cannot be written.
    """
    # PHP's curl trusts what php.ini names. In single quotes nothing is replaced.
    php = f"curl.cainfo='{bundle}'\nopenssl.cafile='{bundle}'\n"
    write_public(str(directory / "php.ini"), php)
    told = {_SCANNED: _scanned(directory, environ.get(_SCANNED))}
    if not _has_wgetrc(environ):
        # One made with GnuTLS, as Debian's.
        wgetrc = directory / "wgetrc"
        write_public(str(wgetrc), f"{_MARK}\nca_certificate = {bundle}\n")
        told[_WGETRC] = str(wgetrc)
    return told


def _scanned(directory: Path, before: str | None) -> str:
    """Our directory behind those that PHP looks into anyway; the empty one stands for its own."""
    kept = [""] if before is None else [one for one in before.split(os.pathsep) if before]
    return os.pathsep.join([*(one for one in kept if one != str(directory)), str(directory)])


def _has_wgetrc(environ: Mapping[str, str]) -> bool:
    """Whether the user has one, which would not be read any more."""
    own = environ.get(_WGETRC) or os.path.join(environ.get("HOME", ""), ".wgetrc")
    try:
        return not Path(own).read_bytes().startswith(_MARK.encode())
    except OSError:
        return False


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


# Take the place of what a client trusts by itself: what it trusted has to be in the file.
REPLACING = (
    "SSL_CERT_FILE",  # OpenSSL and with it Python and Ruby; Go and .NET on Linux; Rust
    "NIX_SSL_CERT_FILE",  # read before SSL_CERT_FILE by what Nix has built
    "REQUESTS_CA_BUNDLE",  # Python's requests: python-ovh, lexicon, httpie, ansible
    "CURL_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "PERL_LWP_SSL_CA_FILE",
)

# Are trusted besides what a client trusts by itself.
ADDING = (
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
)

_ALONE, _BUNDLE = "authority.pem", "bundle.pem"


def write_trust(
    directory: Path,
    root_pem: str,
    environ: Mapping[str, str],
    mark: bytes,
    roots: Callable[[bytes], str] = system_roots,
) -> dict[str, str]:
    """Writes the files; gives the variables.

    Who has set one of them has other authorities in mind than the system's: they stay trusted, by
    the clients that read this variable.

    Args:
        directory: of ours, that clients can read.
        root_pem: what is to be trusted, as PEM.
        environ: what clients are told already.
        mark: in the name of every authority of ours; those of before are left out.
        roots: gives what the system trusts.

    Raises:
        CommandFailed: a file cannot be written.
    """
    alone, bundle = directory / _ALONE, directory / _BUNDLE
    write_public(str(alone), root_pem)
    write_public(str(bundle), _all_of(roots, mark) + root_pem)
    told = dict.fromkeys(REPLACING, str(bundle)) | dict.fromkeys(ADDING, str(alone))
    for name in told:
        known = certificates_of(environ[name], without=mark) if environ.get(name) else ""
        if known:
            own = directory / f"{name.lower()}.pem"
            write_public(str(own), known + root_pem)
            told[name] = str(own)
    return told | write_settings(directory, bundle, environ)


def _all_of(roots: Callable[[bytes], str], mark: bytes) -> str:
    try:
        return roots(mark)
    except CommandFailed:  # an image without any: OVHcloud's hosts are reached all the same
        return ""


def write_stored_trust(sources: Sources, environ: Mapping[str, str]) -> dict[str, str]:
    """Writes the files beside the authority, which is made where there is none.

    Returns:
        the variables that name them.

    Raises:
        CommandFailed: they cannot be written, or the authority cannot be used.
    """
    state = state_directory(sources)
    # Imported here: `cryptography` takes a while, and most calls of `env` need none of it.
    from ovh_proxy.tls.authority import MARK
    from ovh_proxy.tls.stored_authority import AuthorityFiles, open_authority

    authority = open_authority(AuthorityFiles(state), time.time())
    # Apart from the key: clients may be shown where it is.
    directory = state / "trust"
    try:
        make_directory(directory)
    except OSError as failure:
        raise CommandFailed(
            f"{directory} cannot be made: {os.strerror(failure.errno or 0)}"
        ) from failure
    return write_trust(directory, authority.root_pem, environ, MARK.encode())
