"""The authority that the state directory keeps: made on first need."""

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.server.new_authority import make_authority
from ovh_proxy.store.authority_files import AuthorityFiles
from ovh_proxy.tls.authority import CertificateAuthority, parse_authority


def open_authority(
    files: AuthorityFiles, now: float, *, renews: bool = False
) -> CertificateAuthority:
    """The authority, a new one where there is none.

    Args:
        renews: whether a new one takes its place.

    Raises:
        CommandFailed: it cannot be used, or made.
    """

    def make() -> tuple[str, str]:
        authority = make_authority(DEFAULT_CONSTRAINTS, now)
        return authority.private_pem(), authority.root_pem

    files.keep(make, replaces=renews)
    return read_authority(files)


def read_authority(files: AuthorityFiles) -> CertificateAuthority:
    """The authority that is there.

    Raises:
        CommandFailed: there is none, or it cannot be used.
    """
    try:
        return parse_authority(files.read())
    except ValueError as failure:
        raise CommandFailed(
            f"{files.private} cannot be used: {failure}; run: ovh-proxy ca --renew"
        ) from failure
