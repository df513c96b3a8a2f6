"""`ovh-proxy completion`: makes a shell complete our commands and flags."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: eval "$(ovh-proxy completion bash)"      in ~/.bashrc
    zsh:  eval "$(ovh-proxy completion zsh)"       in ~/.zshrc
    fish: ovh-proxy completion fish | source       in ~/.config/fish/config.fish
    """
    made = get_completion_class(shell)
    assert made is not None, "the choice lists what click has"
    root = context.find_root().command
    click.echo(made(root, {}, "ovh-proxy", "_OVH_PROXY_COMPLETE").source())
