"""`ovh-proxy completion`: makes a shell complete our commands and flags."""

import click
from click.shell_completion import get_completion_class

from ovh_proxy.cli.options import Choice


@click.command("completion")
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash: eval "$(ovh-proxy completion bash)"      in ~/.bashrc
    zsh:  eval "$(ovh-proxy completion zsh)"       in ~/.zshrc
    fish: ovh-proxy completion fish | source       in ~/.config/fish/config.fish
    """
    completion_class = get_completion_class(shell)
    assert completion_class is not None, "click supports every shell of the choice"
    root = context.find_root().command
    click.echo(completion_class(root, {}, "ovh-proxy", "_OVH_PROXY_COMPLETE").source())
