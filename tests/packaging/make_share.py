"""Writes the manual page and the shell completions of packages: `make_share.py DIRECTORY`."""

import sys
from pathlib import Path

from click.shell_completion import get_completion_class
from manual import page

from ovh_proxy.cli.main import cli

# The search paths of the shells, below /usr/share or the share folder of a virtual environment.
COMPLETIONS = {
    "bash": "bash-completion/completions/ovh-proxy",
    "zsh": "zsh/site-functions/_ovh-proxy",
    "fish": "fish/vendor_completions.d/ovh-proxy.fish",
}


def main(share: Path) -> None:
    """Writes all files below a directory."""
    _write(share / "man/man1/ovh-proxy.1", page())
    for shell, path in COMPLETIONS.items():
        made = get_completion_class(shell)
        assert made is not None, "click supports all three"
        _write(share / path, made(cli, {}, "ovh-proxy", "_OVH_PROXY_COMPLETE").source())


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
