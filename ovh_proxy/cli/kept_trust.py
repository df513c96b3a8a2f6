"""The files by which clients trust the authority that the state directory keeps."""

import os
import time
from collections.abc import Mapping

from ovh_proxy.cli.client_trust import write_trust
from ovh_proxy.config.files import make_directory
from ovh_proxy.config.sources import Sources, state_directory
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.tls.authority import MARK
from ovh_proxy.tls.stored_authority import AuthorityFiles, open_authority


def write_stored_trust(sources: Sources, environ: Mapping[str, str]) -> dict[str, str]:
    """Writes the files beside the authority, which is made where there is none.

    Returns:
        the variables that name them.

    Raises:
        CommandFailed: they cannot be written, or the authority cannot be used.
    """
    state = state_directory(sources)
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
