"""`ovh-proxy ca`: shows and hands out the certificate authority of `tls: auto`."""

import time
from datetime import datetime

import click

from ovh_proxy.cli.client_trust import system_roots
from ovh_proxy.cli.options import option
from ovh_proxy.config.files import write_public
from ovh_proxy.config.sources import Sources, state_directory
from ovh_proxy.core.errors import UsageError

_STDOUT = "-"


@click.command("ca")
@option(
    "--export",
    "Write the certificate as PEM to FILE, by default to standard output.",
    "ca",
    metavar="[FILE]",
    is_flag=False,
    flag_value=_STDOUT,
)
@option(
    "--bundle",
    "Likewise, together with the certificates that this system trusts.",
    "ca",
    metavar="[FILE]",
    is_flag=False,
    flag_value=_STDOUT,
)
@option("--renew", "Create a new authority that replaces this one.", "ca", is_flag=True)
def command(export: str | None, bundle: str | None, renew: bool) -> None:
    """Show the certificate authority of listeners with `tls: auto`; create it if needed.

    Clients have to trust its certificate: use --export for curl --cacert and NODE_EXTRA_CA_CERTS,
    and --bundle for variables that replace the trusted certificates: SSL_CERT_FILE,
    REQUESTS_CA_BUNDLE. The key stays in the state directory, $OVH_PROXY_STATE_DIR or
    ~/.local/state/ovh-proxy. Name constraints limit it to the names shown: a stolen key cannot
    impersonate other sites.
    """
    if export == bundle == _STDOUT:
        raise UsageError(
            "--export and --bundle cannot both write to standard output; give one a FILE"
        )
    from ovh_proxy.tls.authority import MARK
    from ovh_proxy.tls.stored_authority import AuthorityFiles, open_authority

    files = AuthorityFiles(state_directory(Sources()))
    now = time.time()
    authority = open_authority(files, now, renews=renew)
    files.publish(authority.root_pem)
    if export:
        _write(export, authority.root_pem)
    if bundle:
        _write(bundle, system_roots(without=MARK.encode()) + authority.root_pem)
    if export or bundle:
        return
    _show("certificate", str(files.public))
    _show("key", str(files.private))
    _show("fingerprint", f"SHA-256 {authority.fingerprint}")
    _show("valid until", _until(authority.signer.not_valid_after_utc, authority.is_current(now)))
    _show("limited to", str(authority.constraints))


def _show(name: str, value: str) -> None:
    click.echo(f"{name:<11}  {value}")


def _until(expires: datetime, is_current: bool) -> str:
    hint = "" if is_current else ": not valid now; set the clock, or run: ovh-proxy ca --renew"
    return f"{expires:%Y-%m-%d}{hint}"


def _write(target: str, text: str) -> None:
    if target == _STDOUT:
        click.echo(text, nl=False)
    else:
        write_public(target, text)
        click.echo(f"ovh-proxy: wrote {target}", err=True)
