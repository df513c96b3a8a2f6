"""A file that anybody may read, written whole or not at all."""

import os
from pathlib import Path

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.store.atomic import replace_file

_PUBLIC = 0o644


def write_public(path: str, text: str) -> None:
    """Writes it; follows a link, and writes into what is no plain file, such as a pipe.

    Raises:
        CommandFailed: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_file() or not target.exists():
            replace_file(target, text.encode(), mode=_PUBLIC)
        else:
            target.write_text(text, encoding="ascii")
    except OSError as failure:
        raise CommandFailed(
            f"{path} cannot be written: {os.strerror(failure.errno or 0)}"
        ) from failure
