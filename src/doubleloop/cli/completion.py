"""``doubleloop completion``: what a shell needs to complete nouns, verbs and options."""

from __future__ import annotations

import click
from click import shell_completion

from doubleloop.base import errors
from doubleloop.cli import tree

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_DOUBLELOOP_COMPLETE"
_WHERE = {
    "bash": 'Add to ~/.bashrc: eval "$(doubleloop completion bash)"',
    "zsh": 'Add to ~/.zshrc: eval "$(doubleloop completion zsh)"',
    "fish": "Add to ~/.config/fish/config.fish: doubleloop completion fish | source",
}


@click.command("completion")
@click.argument("shell", metavar="bash|zsh|fish")
def completion(shell: str) -> None:
    """Write what SHELL needs to complete these words."""
    found = shell_completion.get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise errors.InvalidInput(f"'{shell}' is not a shell that is known here", cure=tree.nearest(shell, SHELLS))
    made = found(click.Command("doubleloop"), {}, "doubleloop", VARIABLE)
    click.echo(shell_completion.ShellComplete.source(made))
    click.echo(f"# {_WHERE[shell]}")
