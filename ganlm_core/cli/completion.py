"""``ganlm completion``: the script with which a shell completes commands, options and values."""

import click

from ganlm_core.cli.output import echo_data

SHELLS = ("bash", "zsh", "fish")

INSTALL = """\
\b
bash: add to ~/.bashrc                      eval "$(ganlm completion bash)"
zsh:  add to ~/.zshrc, below compinit       eval "$(ganlm completion zsh)"
fish: run once                              ganlm completion fish > ~/.config/fish/completions/ganlm.fish
"""

COLONS = 'COMP_WORDBREAKS="${COMP_WORDBREAKS//:}"  # else bash would complete zoo:NAME in two words\n'


@click.command(epilog=INSTALL)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, names of components, recipes and files.

    Open a new shell after installing it, then press Tab.
    """
    from click.shell_completion import get_completion_class

    from ganlm_core.cli import COMPLETE

    shell_class = get_completion_class(shell)
    assert shell_class is not None  # click has all of SHELLS
    script = shell_class(context.find_root().command, {}, "ganlm", COMPLETE).source()
    echo_data((COLONS if shell == "bash" else "") + script)
