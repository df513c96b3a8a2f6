"""Settings of clients that read no variable for what they trust, but one for where settings are."""

import os
from collections.abc import Mapping
from pathlib import Path

from ovh_proxy.config.files import write_public

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
