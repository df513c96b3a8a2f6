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

_WGETRC, _PHP_SCAN = "WGETRC", "PHP_INI_SCAN_DIR"
_MARK = "# Of ovh-proxy."


def write_settings(directory: Path, bundle: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Writes settings files for PHP and wget; returns the variables that name them.

    Args:
        directory: our own, which clients can read.
        bundle: a PEM file with all trusted certificates.
        environ: the current environment.

    Raises:
        CommandFailed: a file cannot be written.
    """
    # PHP's curl trusts the file that php.ini names. Single quotes prevent interpolation.
    php = f"curl.cainfo='{bundle}'\nopenssl.cafile='{bundle}'\n"
    write_public(str(directory / "php.ini"), php)
    assigned = {_PHP_SCAN: _scan_directories(directory, environ.get(_PHP_SCAN))}
    if not _has_wgetrc(environ):
        # Needed by wget with GnuTLS, such as Debian's.
        wgetrc = directory / "wgetrc"
        write_public(str(wgetrc), f"{_MARK}\nca_certificate = {bundle}\n")
        assigned[_WGETRC] = str(wgetrc)
    return assigned


def _scan_directories(directory: Path, present: str | None) -> str:
    """Our directory after those that PHP scans already; an empty name is PHP's default."""
    names = [""] if present is None else [name for name in present.split(os.pathsep) if present]
    return os.pathsep.join([*(name for name in names if name != str(directory)), str(directory)])


def _has_wgetrc(environ: Mapping[str, str]) -> bool:
    """Whether the user has a wgetrc, which ours would replace."""
    own = environ.get(_WGETRC) or os.path.join(environ.get("HOME", ""), ".wgetrc")
    try:
        return not Path(own).read_bytes().startswith(_MARK.encode())
    except OSError:
        return False


_BLOCK = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII
)

# For an OpenSSL that was built for other paths.
# Source: Go's crypto/x509, root_linux.go, root_bsd.go.
_WELL_KNOWN = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def system_roots(without: bytes, well_known: Iterable[str] = _WELL_KNOWN) -> str:
    """The certificate authorities that the system trusts, as PEM, without duplicates.

    Args:
        without: certificates that contain these bytes are left out, because SSL_CERT_FILE may name
            a bundle with an earlier authority of ours.
        well_known: if OpenSSL finds nothing, the first of these files that exists is read.

    Raises:
        CommandFailed: none are found.
    """
    found = dict.fromkeys(der for der in _certificates(well_known) if without not in der)
    if not found:
        raise CommandFailed(
            "cannot find the certificate authorities of this system; "
            "set SSL_CERT_FILE to a PEM file that contains them"
        )
    return "".join(map(ssl.DER_cert_to_PEM_cert, found))


def certificates_of(path: str, without: bytes) -> str:
    """The certificates of a PEM file or of a directory of them, as PEM; may be empty.

    Args:
        without: certificates that contain these bytes are left out.
    """
    named = Path(path)
    files = sorted(named.glob("*")) if named.is_dir() else [named]
    found = dict.fromkeys(der for der in _in_files(files) if without not in der)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found))


def _certificates(well_known: Iterable[str]) -> Iterator[bytes]:
    if sys.platform == "win32":  # pragma: no cover - has a store
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
        except OSError:  # a dangling link, a directory, a file of another user
            continue
        for block in _BLOCK.findall(text):
            try:
                yield base64.b64decode(block)
            except binascii.Error:
                continue


# These replace what a client trusts by default, so the file has to contain that, too.
REPLACING = (
    "SSL_CERT_FILE",  # OpenSSL and with it Python and Ruby; Go and .NET on Linux; Rust
    "NIX_SSL_CERT_FILE",  # programs built by Nix read it before SSL_CERT_FILE
    "REQUESTS_CA_BUNDLE",  # Python's requests: python-ovh, lexicon, httpie, ansible
    "CURL_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "PERL_LWP_SSL_CA_FILE",
)

# These add to what a client trusts by default.
ADDING = (
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
)

_AUTHORITY, _BUNDLE = "authority.pem", "bundle.pem"


def write_trust(
    directory: Path,
    root_pem: str,
    environ: Mapping[str, str],
    mark: bytes,
    roots: Callable[[bytes], str] = system_roots,
) -> dict[str, str]:
    """Writes the certificate files; returns the variables that name them.

    If a variable is set already, the authorities of its file stay trusted, but only through this
    variable.

    Args:
        directory: our own, which clients can read.
        root_pem: our certificate authority.
        environ: the current environment.
        mark: part of the name of each authority of ours; earlier ones are left out.
        roots: returns what the system trusts.

    Raises:
        CommandFailed: a file cannot be written.
    """
    authority, bundle = directory / _AUTHORITY, directory / _BUNDLE
    try:
        system_pem = roots(mark)
    except CommandFailed:  # an image without any: OVHcloud's hosts are reachable anyway
        system_pem = ""
    write_public(str(authority), root_pem)
    write_public(str(bundle), system_pem + root_pem)
    assigned = dict.fromkeys(REPLACING, str(bundle)) | dict.fromkeys(ADDING, str(authority))
    for name in assigned:
        present = certificates_of(environ[name], without=mark) if environ.get(name) else ""
        if present:
            file = directory / f"{name.lower()}.pem"
            write_public(str(file), present + root_pem)
            assigned[name] = str(file)
    return assigned | write_settings(directory, bundle, environ)


def write_stored_trust(sources: Sources, environ: Mapping[str, str]) -> dict[str, str]:
    """Writes the certificate files to the state directory; creates the authority if needed.

    Returns:
        the variables that name the files.

    Raises:
        CommandFailed: a file cannot be written, or the authority cannot be used.
    """
    state = state_directory(sources)
    # Imported here: `cryptography` is slow to import, and most calls of `env` do not need it.
    from ovh_proxy.tls.authority import MARK
    from ovh_proxy.tls.stored_authority import AuthorityFiles, open_authority

    authority = open_authority(AuthorityFiles(state), time.time())
    # Separate from the key, because clients see the path.
    directory = state / "trust"
    try:
        make_directory(directory)
    except OSError as failure:
        raise CommandFailed(
            f"cannot create {directory}: {os.strerror(failure.errno or 0)}"
        ) from failure
    return write_trust(directory, authority.root_pem, environ, MARK.encode())
