"""``ganlm help``: the help of a command, in the words in which one asks for it."""

import click


@click.command("help")
@click.argument("command", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_(context: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of COMMAND, for example of 'run' or of 'weights verify', or the help of ganlm."""
    root = context.find_root()
    root.command.main([*command, "--help"], prog_name="ganlm", standalone_mode=False, obj=context.obj)
