"""Files by which clients trust an authority of ours, and the variables that name them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ovh_proxy.cli.trust_settings import write_settings
from ovh_proxy.config.files import write_public
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.store.system_roots import certificates_of, system_roots

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
